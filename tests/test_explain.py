"""Does every conclusion say by which rule it was drawn, from which statements, and what would change it?"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.cli import ATTEMPTED, NEVER_PICKED_UP, NOW, Cli, fixture, parcel, written
from support.messages import of_provider
from support.parcels import parcel_id, reports
from support.reports import OTHER_TRACKER, TRACKER, claim, estimate, report
from support.scans import instant, scan
from trackledger.adapters.explained import explain, kept, statements
from trackledger.adapters.providers import PROVIDERS
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.domain.checkpoints import Estimate, EstimateSource, Registration, Report, Tracker
from trackledger.domain.corrections import Reading
from trackledger.domain.errors import ShipmentNotFound, TrackledgerError
from trackledger.domain.milestones import Milestone
from trackledger.projections import shipments
from trackledger.projections.explanation import Conclusion, Explanation, Unused
from trackledger.projections.one_shipment import status_of

ID = "default:clickpost:4:AWB1"
WHO = ("clerk@shop", "the customer sent a photo")


def explained(runtime: Runtime, *told: Report, now: str = "9 12:00") -> Explanation:
    """Why things are concluded once this is told too."""
    runtime.ledger.intake(told)
    runtime.projector.catch_up()
    return explain(runtime, ID, instant(now))


def one(found: Explanation, about: str) -> Conclusion:
    (conclusion,) = (one for one in found.conclusions if one.about == about)
    return conclusion


def drawn(found: Explanation, about: str) -> tuple[list[str], list[str | None]]:
    """By which rules, and from what."""
    conclusion = one(found, about)
    return [rule.name for rule in conclusion.rules], [s.checkpoint_id or s.value for s in conclusion.statements]


def unused(found: Explanation) -> dict[str | None, str]:
    """What was not used, and by which rule."""
    return {one.statement.checkpoint_id or one.statement.value: one.rule.name for one in found.unused}


def flat(found: Explanation) -> dict[str, Any]:
    return {f"{one.about}.{name}": value for one in found.conclusions for name, value in one.value.items()}


def agrees(runtime: Runtime, shipment_id: str, found: Explanation) -> None:
    """What is explained is what `status` says, whatever it is."""
    (row,) = (row for row in shipments.find(runtime.store, shipment_id) if row["shipment_id"] == shipment_id)
    answer = status_of(runtime.store, row, found.judged_at)
    said, dates, quiet, case = flat(found), answer["delivery"], answer["silence"], answer["ndr"]
    status = one(found, "status")
    for name in ("milestone", "leg", "since", "said"):
        assert said[f"status.{name}"] == answer["status"][name], name
    assert said.get("location.location") == answer["status"]["location"]
    assert status.rules[0].name == answer["status"]["because"]["rule"]
    scans = [s.checkpoint_id for s in status.statements if s.kind == "checkpoint"]
    assert scans == answer["status"]["because"]["checkpoints"]
    for name in ("kind", "quiet_since", "stuck_after", "is_stuck"):
        assert said[f"stuck.{name}"] == (quiet[name] if quiet else False if name == "is_stuck" else None), name
    if quiet:
        assert said["provider_says_stuck.provider_says_stuck"] == quiet["provider_says_stuck"]
    for name in ("promised_from", "promised_to", "original_from", "original_to", "current_from", "current_to"):
        assert said[f"{name.partition('_')[0]}.{name}"] == dates[name], name
    for name in ("on_time", "baseline", "promised_by"):
        assert said[f"on_time.{name}"] == dates[name], name
    assert said["first_attempt_at.first_attempt_at"] == dates["first_attempt_at"]
    assert said["delivered_at.delivered_at"] == dates["delivered_at"]
    assert said["attempts.attempts"] == row["attempts"]
    assert (case is None) is not any(about.startswith("ndr_case") for about in said)
    for name, value in (case or {}).items():
        if name not in ("shipment_id", "account", "case_no"):
            assert value in [v for about, v in said.items() if about.endswith(f".{name}") and "ndr_case" in about], name
    assert said.get("consignment.state") == (answer["consignment"] or {}).get("state")
    assert said.get("piece_of.piece_of") == row["piece_of"]


def is_whole(runtime: Runtime, found: Explanation) -> None:
    """Every rule has a version and a sentence, every statement its source, and each checkpoint is told of once."""
    for conclusion in found.conclusions:
        assert conclusion.rules and conclusion.says
    for statement in statements(found):
        assert statement.recorded_at and statement.position
        assert statement.provider == "host" or (statement.message_id and statement.channel and statement.received_at)
        assert statement.kind != "checkpoint" or (statement.occurred_at and statement.zone_source)
    checkpoints = {statement.checkpoint_id for statement in statements(found) if statement.kind == "checkpoint"}
    rows = runtime.store.read("SELECT checkpoint_id FROM {s}timeline WHERE shipment_id = :id", id=found.shipment_id)
    assert checkpoints == {row["checkpoint_id"] for row in rows}
    assert json.loads(msgspec.json.encode(found))["shipment_id"] == found.shipment_id


@pytest.mark.parametrize("provider", PROVIDERS)
def test_everything_that_a_provider_can_say_is_explained_as_it_is_concluded(runtime: Runtime, provider: str) -> None:
    runtime.intake.take(list(of_provider(provider)))
    runtime.projector.catch_up()
    ids = [row["shipment_id"] for row in shipments.listed(runtime.store)]

    assert ids
    for id_ in ids:
        for now in ("5 12:00", "900 12:00"):
            found = explain(runtime, id_, instant(now))
            agrees(runtime, id_, found)
        is_whole(runtime, found)
        messages = {statement.message_id for statement in statements(found)} - {None}
        assert kept(runtime, statements(found), raw=False).keys() == messages


def test_so_is_what_was_told_in_pieces(runtime: Runtime) -> None:
    runtime.ledger.intake(reports(6))
    runtime.projector.catch_up()

    for number in range(6):
        found = explain(runtime, parcel_id(number), instant("6 12:00"))
        agrees(runtime, parcel_id(number), found)
        is_whole(runtime, found)


def test_a_scan_that_was_filed_late_is_named_with_the_rule_by_which_it_moved_nothing(runtime: Runtime) -> None:
    delivered, late = scan("delivered", "3 17:12", id="clickpost:1"), scan("in_transit", "3 18:00", id="clickpost:2")

    found = explained(runtime, report(delivered, late, scan("unknown", "4 10:00", id="clickpost:3"), at="4 12:00"))

    assert drawn(found, "status") == (["final"], ["clickpost:1"])
    assert "returning" in one(found, "status").next
    assert drawn(found, "delivered_at") == (["first_of_delivery"], ["clickpost:1"])
    assert drawn(found, "stuck") == (["journey_ended"], ["clickpost:1"])
    assert unused(found) == {"clickpost:2": "after_the_end", "clickpost:3": "not_understood"}


def test_attempts_are_told_visit_by_visit(runtime: Runtime) -> None:
    first = scan("delivery_failed", "3 10:00", id="clickpost:1", reason="refused")
    again = scan("delivery_failed", "3 11:00", id="clickpost:2")
    out = scan("out_for_delivery", "4 09:00", id="clickpost:3")
    second = scan("delivery_failed", "4 10:00", id="clickpost:4")
    told = report(
        first, again, out, second, at="4 12:00", assertions=(claim("ndr", "bad_address", "No. 7?", second.fingerprint),)
    )

    found = explained(runtime, told, now="4 22:00")

    assert drawn(found, "attempts")[1] == ["clickpost:1", "clickpost:4"]
    assert drawn(found, "ndr_case_1") == (["waiting"], ["clickpost:1", "clickpost:4"])
    rules, scans = drawn(found, "ndr_case_1.attempts")
    assert (rules, scans) == (["first_failure", "out_again"], ["clickpost:1", "clickpost:2", "clickpost:4"])
    assert drawn(found, "ndr_case_1.reason") == (["stated_reason"], ["clickpost:4", "ndr: bad_address"])
    assert drawn(found, "ndr_case_1.act_by") == (["time_to_act"], ["clickpost:4"])
    assert one(found, "ndr_case_1.act_by").next == "12 h are left."
    assert one(found, "ndr_case_1.act_by").rules[0].policy_version == "1"
    assert one(found, "ndr_case_1").rules[0].policy_version is None


def test_silence_says_from_when_on_it_is_stuck_beside_what_the_provider_says(runtime: Runtime) -> None:
    told = report(scan("arrived", "3 10:00", id="clickpost:1"), at="3 12:00", assertions=(claim("stuck", "yes"),))

    quiet = explained(runtime, told, now="4 12:00")
    stuck = explained(runtime, now="6 12:00")

    assert drawn(quiet, "stuck") == (["default_allowance", "newest_scan", "kind_of_milestone"], ["clickpost:1"])
    assert one(quiet, "stuck").next.startswith("Stuck from 2025-03-05 04:30:00Z on (at facility), if nothing is heard")
    assert one(stuck, "stuck").next.startswith("Stuck since 2025-03-05 04:30:00Z")
    assert drawn(quiet, "provider_says_stuck") == (["provider_claim"], ["stuck: yes"])


def test_dates_say_whose_they_are_and_what_days_were_counted_from(runtime: Runtime) -> None:
    sla = Estimate(EstimateSource.SLA, days_from=2, days_to=4, offset=330)
    runtime.ledger.register([Registration("SHOP-1", trackers=(TRACKER,), promised=estimate("promise", "5"))])
    first = report(scan("picked_up", "2 10:00", id="clickpost:1"), at="2 12:00", estimates=(sla,))
    second = report(at="3 12:00", estimates=(estimate("carrier", "7"),))
    third = report(at="4 12:00", estimates=(estimate("carrier", "8"),))
    runtime.ledger.intake([first, second, third])
    runtime.projector.catch_up()
    id_ = "default:host:SHOP-1"

    found = explain(runtime, id_, instant("6 12:00"))

    assert drawn(found, "promised") == (
        ["newest_promise", "to_the_end_of_the_day"],
        ["promise: 2025-03-05 to 2025-03-05"],
    )
    assert one(found, "promised").statements[0].provider == "host"
    assert drawn(found, "original") == (
        ["first_stated", "days_from_pickup", "to_the_end_of_the_day"], ["sla: 2025-03-04 to 2025-03-06", "clickpost:1"],
    )  # fmt: skip
    assert drawn(found, "current")[1] == ["carrier: 2025-03-08 to 2025-03-08"]
    assert drawn(found, "on_time") == (["overdue", "promise_counts"], ["promise: 2025-03-05 to 2025-03-05"])
    assert one(found, "on_time").value["margin_seconds"] == 12 * 3600
    assert one(found, "on_time").says == "late, by 12 h so far against the promised date"
    assert unused(found) == {"carrier: 2025-03-07 to 2025-03-07": "other_estimate"}
    agrees(runtime, id_, found)


def test_days_that_nothing_can_be_counted_from_are_not_used(runtime: Runtime) -> None:
    found = explained(runtime, report(at="2 12:00", estimates=(Estimate(EstimateSource.SLA, days_to=4),)))

    assert unused(found) == {"sla: None to 4 days": "no_day_to_count_from"}
    assert drawn(found, "original") == (["no_estimate"], [])
    assert drawn(found, "status") == (["nothing_said"], [])
    assert drawn(found, "stuck")[0][1] == "since_known"


def test_a_reverse_pickup_arrives_with_the_merchant(runtime: Runtime) -> None:
    told = report(
        scan("picked_up", "2 10:00", id="clickpost:1"),
        scan("delivered", "4 10:00", id="clickpost:2"),
        at="4 12:00",
        assertions=(claim("direction", "return"),),
    )

    found = explained(runtime, told)

    assert drawn(found, "status") == (["final"], ["clickpost:2", "direction: return"])
    assert drawn(found, "delivered_at") == (["arrived_with_merchant"], ["clickpost:2"])
    agrees(runtime, ID, found)


def test_what_its_provider_withdrew_amended_or_stated_again_is_not_used_and_told_of(runtime: Runtime) -> None:
    settings = Settings(withdraws=("clickpost",))
    runtime.settings = settings
    door = scan("out_for_delivery", "3 09:00", id="clickpost:1", said="Out")
    gone = scan("delivered", "3 10:00", id="clickpost:2")
    other = msgspec.structs.replace(scan("out_for_delivery", "3 09:30", said="Out now"), id="clickpost:1")

    found = explained(
        runtime, report(door, gone, at="3 12:00", whole=True), report(other, at="3 13:00", message="m2", whole=True)
    )

    assert drawn(found, "status") == (["latest_scan"], ["clickpost:1"])
    assert unused(found) == {"clickpost:2": "withdrawn", "clickpost:1": "superseded"}
    (amended,) = one(found, "status").statements
    assert (amended.said, amended.amended, amended.message_id) == ("Out now", 1, "m2")
    assert [(change.what, change.by, change.message_id) for change in amended.changes] == [
        ("amended", "clickpost", "m2")
    ]
    by_rule: dict[str, Unused] = {one.rule.name: one for one in found.unused}
    assert by_rule["superseded"].statement.said == "Out"
    assert by_rule["withdrawn"].statement.changes[0].what == "withdrawn"
    agrees(runtime, ID, found)


def test_what_a_person_corrected_says_who_and_why(runtime: Runtime) -> None:
    explained(
        runtime, report(scan("in_transit", "3 09:00", id="clickpost:1"), scan("arrived", "3 10:00"), at="3 12:00")
    )
    loose = next(s.checkpoint_id for s in statements(explained(runtime)) if s.milestone == "arrived")
    runtime.ledger.amend(ID, "clickpost:1", Reading(milestone=Milestone.DELIVERED), *WHO)
    runtime.ledger.withdraw(ID, [str(loose)], *WHO)

    found = explained(runtime)

    (delivered,) = one(found, "status").statements
    assert (delivered.milestone, delivered.by_hand, delivered.corrected) == ("delivered", True, 1)
    assert [(c.what, c.by, c.reason) for c in delivered.changes] == [("amended_by_hand", *WHO)]
    assert unused(found) == {loose: "withdrawn_by_hand"}
    assert [(c.what, c.by, c.reason) for c in found.unused[0].statement.changes] == [("withdrawn_by_hand", *WHO)]
    agrees(runtime, ID, found)
    runtime.ledger.withdraw(ID, [str(loose)], *WHO, undone=True)
    (back,) = explained(runtime).unused
    assert [c.what for c in back.statement.changes] == ["withdrawn_by_hand", "counted_again"]


def test_a_forgotten_shipment_is_explained_without_words(runtime: Runtime) -> None:
    failed = scan("delivery_failed", "3 09:00", id="clickpost:1", said="Rao out", location="Rao 7", remark="Rao away")
    amended = msgspec.structs.replace(failed, remark="Mr Rao away", digest="other")
    told = (claim("ndr", "refused", "Rao refused", failed.fingerprint), claim("status", "9", "Rao"))
    explained(runtime, report(failed, at="3 12:00", assertions=told), report(amended, at="4 12:00", message="m2"))
    runtime.ledger.amend(ID, "clickpost:1", Reading(remark="Rao, door 7"), "clerk@shop", "Rao called")
    runtime.ledger.forget(ID, "clerk@shop", "asked to")

    found = explained(runtime)

    assert b"Rao" not in msgspec.json.encode(found)
    assert one(found, "ndr_case_1.reason").value["reason"] == "refused"
    agrees(runtime, ID, found)


@pytest.fixture
def consignment(runtime: Runtime) -> Runtime:
    """Two pieces of one consignment, of which one has arrived."""
    runtime.ledger.register([Registration("PARENT")])
    for tracker in (TRACKER, OTHER_TRACKER):
        runtime.ledger.register([Registration(trackers=(tracker,), piece_of="default:host:PARENT")])
    runtime.ledger.intake([report(scan("delivered", "3 10:00"), at="3 12:00")])
    runtime.projector.catch_up()
    return runtime


def test_a_consignment_is_explained_by_its_pieces(consignment: Runtime) -> None:
    parent = explain(consignment, "default:host:PARENT", instant("4 12:00"))
    piece = explain(consignment, ID, instant("4 12:00"))

    assert drawn(parent, "consignment") == (["partial", "each"], [])
    said = one(parent, "consignment").value
    assert (said["pieces"], [row["milestone"] for row in said["shipments"]]) == (2, ["delivered", "unknown"])
    assert drawn(piece, "piece_of")[0] == ["piece_linked"]
    for id_, found in (("default:host:PARENT", parent), (ID, piece)):
        agrees(consignment, id_, found)


def test_pieces_that_are_only_counted_are_a_claim(runtime: Runtime) -> None:
    found = explained(runtime, report(scan("in_transit", "3 10:00"), at="3 12:00", assertions=(claim("pieces", "3"),)))

    assert drawn(found, "consignment") == (["open", "counted"], ["pieces: 3"])


def test_an_order_that_was_split_is_not_waited_for(runtime: Runtime) -> None:
    found = explained(
        runtime, report(at="3 12:00", assertions=(claim("split", "2"), claim("pickup_failure", "closed")))
    )

    assert drawn(found, "stuck") == (["split"], ["split: 2"])
    assert unused(found) == {"pickup_failure: closed": "other_claim"}


def test_a_thousand_scans_are_explained(runtime: Runtime) -> None:
    scans = [
        scan("in_transit", f"{1 + n // 1440} {n // 60 % 24}:{n % 60:02}", id=f"clickpost:{n}") for n in range(1000)
    ]

    assert len(one(explained(runtime, report(*scans, at="9 12:00")), "status").statements) == 1000


def test_what_cannot_be_read_is_not_explained(runtime: Runtime) -> None:
    explained(runtime, report(scan("in_transit", "3 10:00"), at="3 12:00"))
    with runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}stored_events SET topic = 'shipment.Beamed' WHERE originator_version = 2")

    with pytest.raises(TrackledgerError, match=r"cannot be explained: event 'shipment.Beamed'.*upgrade"):
        explain(runtime, ID, instant("4 12:00"))
    with pytest.raises(ShipmentNotFound, match="no shipment 'nobody'"):
        explain(runtime, "nobody", instant("4 12:00"))


def test_what_cannot_be_concluded_is_told_in_one_sentence(runtime: Runtime) -> None:
    told = report(scan("in_transit", "3 10:00"), at="3 12:00", details={"registered_at": "tomorrow"})

    with pytest.raises(TrackledgerError, match=r"cannot be explained: ValueError: .*'tomorrow'; see `trackledger park"):
        explained(runtime, told)


# the command


def test_the_command_tells_every_conclusion_with_rule_version_statement_and_message(filled: Cli) -> None:
    told = filled.text("explain", "TL-20417", "--now", NOW)

    assert told.startswith(f"{ATTEMPTED}, judged at 2026-03-06 12:00:00Z\n\nstatus: out_for_delivery since ")
    assert "  rule latest_scan (status-1): The newest scan that tells of the parcel says where it is.\n" in told
    assert "  rule default_allowance (silence-2, numbers 1): " in told
    assert "(said '2026-03-06 09:37:41', zone assumed), Pune_Kothrud_D (Maharashtra): \"Dispatched: Out" in told
    assert "clickpost by poll, message " in told and "raw message kept (done, " in told
    assert "  next: Stuck from 2026-03-07 00:07:41Z on (out for delivery overnight), if nothing is heard" in told
    assert "\non_time: not due for another 6 h 30 min against the original date\n" in told
    assert "\nnot used by rule older (statements-1): " in told
    assert "as above" in told


def test_the_command_in_json(filled: Cli) -> None:
    told = filled.json("explain", "TL-20417", "--now", NOW)

    assert (told["shipment_id"], told["judged_at"], told["known_at"]) == (ATTEMPTED, NOW, None)
    status = told["conclusions"][0]
    assert status["about"] == "status" and status["value"]["milestone"] == "out_for_delivery"
    assert status["rules"] == [
        {
            "name": "latest_scan",
            "version": "status-1",
            "says": "The newest scan that tells of the parcel says where it is.",
            "policy_version": None,
        }
    ]
    (statement,) = status["statements"]
    message = told["messages"][statement["message_id"]]
    assert statement["message"] == {"kept": True, "state": "done", "bytes": message["bytes"]}
    assert statement["occurred_at"] == "2026-03-06T04:07:41Z" and statement["reported_at"] == "2026-03-06T05:21:09Z"
    assert "body" not in message
    assert {one["rule"]["name"] for one in told["unused"]} == {"older", "other_estimate"}


def test_raw_messages_are_told_while_they_are_kept(filled: Cli) -> None:
    raw = filled.json("explain", "TL-20417", "--raw")

    (message,) = raw["messages"].values()
    assert json.loads(message["body"]) == json.loads(Path(fixture("poll_failed_delivery")).read_text())
    assert "7702913348051" in filled.text("explain", "TL-20417", "--raw").partition("\nmessage ")[2]

    filled.text("purge", "--older-than", "0")

    gone = filled.json("explain", "TL-20417", "--raw")
    assert gone["messages"] == {}
    assert gone["conclusions"][0]["statements"][0]["message"] == {"kept": False}
    assert "; raw message not kept" in filled.text("explain", "TL-20417")


def test_more_raw_messages_than_fit_are_left_to_show(filled: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trackledger.adapters.explained.MAX_RAW", 100)

    (message,) = filled.json("explain", "TL-20417", "--raw")["messages"].values()

    assert message["body"] is None
    assert "too much for one answer; see `trackledger show " in filled.text("explain", "TL-20417", "--raw")


def test_a_shipment_is_explained_by_what_was_known_and_had_happened(filled: Cli) -> None:
    now = filled.json("explain", "TL-20417", "--valid-at", "2026-03-05T12:00:00Z")

    assert now["valid_at"] == now["judged_at"] == "2026-03-05T12:00:00Z"
    assert now["conclusions"][0]["value"]["milestone"] == "delivery_failed"
    assert (
        filled.json("status", "TL-20417", "--valid-at", "2026-03-05T12:00:00Z")["status"]["milestone"]
        == "delivery_failed"
    )
    told = filled.refusal("explain", "TL-20417", "--known-at", "2026-03-05T12:00:00Z")
    assert told.startswith(f"nothing was known of '{ATTEMPTED}' at 2026-03-05T12:00:00Z: it was first heard of at 20")


def test_bad_requests_are_told_in_one_sentence(filled: Cli) -> None:
    assert filled.refusal("explain", "NOBODY").startswith("no shipment has the id, reference, order id or tracking")
    assert "REF is empty" in filled.refusal("explain", "", code=2)
    assert "is in the future" in filled.refusal("explain", "TL-20417", "--known-at", "2999-01-01T00:00:00Z", code=2)
    assert "has no zone" in filled.usage("explain", "TL-20417", "--known-at", "2026-03-05T12:00:00")
    filled.ingest("poll_failed_delivery", account="other")
    told = filled.refusal("explain", "TL-20417", code=2)
    assert told == (
        f"'TL-20417' names 2 shipments; use one of their ids: {ATTEMPTED}, {ATTEMPTED.replace('default', 'other')}"
    )
    assert filled.json("explain", "TL-20417", "--account", "other")["shipment_id"].startswith("other:")


def test_words_of_a_provider_steer_no_terminal(cli: Cli, tmp_path: Path) -> None:
    message, said = parcel()
    said["scans"][0]["remark"] = "up\x1b[31m\u202edown"
    cli.json("ingest", "clickpost", written(tmp_path / "m.json", message), "--received-at", NOW)

    for command in ("explain", "history"):
        told = cli(command, "TL-20417", "--now", NOW, terminal=True).output
        assert "down" in told and "\x1b[31m" not in told and "\u202e" not in told


def test_the_policies_of_the_configuration_are_named(filled: Cli, tmp_path: Path) -> None:
    file = tmp_path / "trackledger.toml"
    file.write_text('[policies]\nversion = "mine"\n[[policies.silence]]\nhours = { out_for_delivery = 5 }\n')

    told = filled.json("explain", "TL-20417", "--config", str(file), "--now", NOW)

    rules = next(one for one in told["conclusions"] if one["about"] == "stuck")["rules"]
    assert rules[0]["name"] == "host_allowance" and rules[0]["policy_version"].startswith("mine+")
    assert filled.json("explain", NEVER_PICKED_UP)["conclusions"][0]["value"]["milestone"] == "pickup_scheduled"


def test_private_words_are_told_to_who_holds_the_key(database_url: str) -> None:
    with open_runtime(Settings(database_url, privacy="sealed")) as runtime:
        tracker = Tracker("clickpost", "4:AWB1", "Delhivery", "AWB1")
        told = report(scan("in_transit", "3 10:00", remark="Mrs Rao"), at="3 12:00", tracker=tracker)
        found = explained(runtime, told)

    assert one(found, "status").statements[0].remark == "Mrs Rao"
