"""Does `forget` take out everything that names a person, whatever happens on the way, and nothing else?"""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace

from support.cli import ATTEMPTED, CLICKPOST, NEVER_PICKED_UP, Cli
from support.messages import RECEIVED, kept
from support.planted import files, found_in, named, planted, tables_with
from support.reports import TRACKER, claim, report
from support.rows import fresh, rows
from support.scans import scan
from support.sealed import KEY, sealer
from support.workers import forget_and_hang, killed
from trackledger.adapters.forgetting import Held
from trackledger.adapters.inbox import message
from trackledger.adapters.kept import Kept
from trackledger.adapters.proof import judged
from trackledger.adapters.proof.heads import Trust
from trackledger.adapters.proof.verifier import verify
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.schedule import Schedule
from trackledger.adapters.scheduling import Scheduler
from trackledger.adapters.settings import Privacy, Settings
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.domain.corrections import Reading
from trackledger.domain.errors import Contended, ShipmentNotFound, traced
from trackledger.domain.events import Forgotten
from trackledger.projections.rebuild import rebuild

ID = "default:clickpost:4:AWB1"
WHO = ("clerk@shop", "asked to")

FAILED = scan("delivery_failed", "3 10:00", id="clickpost:1", said="Failed", location="Pune", remark="Mrs Rao away")


@pytest.fixture(params=["open", "sealed"])
def privacy(request: pytest.FixtureRequest) -> Privacy:
    found: Privacy = request.param
    return found


@pytest.fixture
def runtime(database_url: str, privacy: Privacy) -> Iterator[Runtime]:
    """An open, empty ledger that is configured so."""
    with open_runtime(Settings(database_url, privacy=privacy)) as runtime:
        yield runtime


def poll(name: str = "poll_failed_delivery", marked: str = "") -> Message:
    """One of ClickPost's sample answers, with another message id for another mark."""
    body = json.loads((CLICKPOST / f"{name}.json").read_bytes()) | ({"mark": marked} if marked else {})
    return message("clickpost", json.dumps(body).encode(), received_at=RECEIVED)


def take(runtime: Runtime, *messages: Message) -> list[Any]:
    outcomes = runtime.intake.take(messages)
    runtime.projector.catch_up()
    return outcomes


def kept_ids(runtime: Runtime) -> set[str]:
    return {row[0] for row in runtime.database.tuples("SELECT message_id FROM {s}messages")}


def forget(runtime: Runtime, shipment_id: str = ATTEMPTED) -> Held:
    held = runtime.forgetting.forget(shipment_id, *WHO)
    runtime.forgetting.scrub([held])
    return held


# everywhere


def unmoved(runtime: Runtime) -> None:
    """Keep bodies on PostgreSQL as they are: compressed ones would not be found by their text."""
    if runtime.database.dialect == "postgresql":
        with runtime.database.transaction() as transaction:
            for table, column in (("messages", "body"), ("stored_events", "state"), ("timeline", "remark")):
                transaction.execute(f"ALTER TABLE {{s}}{table} ALTER COLUMN {column} SET STORAGE EXTERNAL")


def analyzed(runtime: Runtime, url: str) -> None:
    """Have the database look at all columns, as it does by itself from time to time."""
    if runtime.database.dialect == "postgresql":
        with psycopg.connect(url.partition("?schema=")[0].partition("&schema=")[0], autocommit=True) as connection:
            for table in ("messages", "timeline", "shipments", "ndr_cases", "vault"):
                connection.execute(f"ANALYZE {runtime.database.schema}{table}".encode())


def test_no_name_is_left_in_any_file_of_the_database_nor_in_the_log(
    runtime: Runtime, database_url: str, privacy: Privacy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    name, word = f"n{uuid4().hex}", f"w{uuid4().hex}"
    unmoved(runtime)
    messages = list(named(name, word))
    take(runtime, *messages)
    runtime.ledger.note("default:clickpost:4:7702913348051", f"left with {word}", "clerk@shop")
    analyzed(runtime, database_url)
    secrets = runtime.database.tuples("SELECT secret FROM {s}vault")
    ids = [row["shipment_id"] for row in rows(runtime.store)["shipments"]]

    assert len(ids) > 30 and {id_.split(":")[1] for id_ in ids} == {m.provider for m in messages}
    in_tables = {"messages", "timeline", "shipments", "ndr_cases"}
    assert tables_with(runtime.database, name) == {"messages"}
    assert tables_with(runtime.database, word) == in_tables | ({"stored_events"} if privacy == "open" else set())
    assert found_in(files(runtime.database, database_url), name)
    assert found_in(files(runtime.database, database_url), word)
    if privacy == "sealed":
        assert any(
            secret in path.read_bytes() for (secret,) in secrets for path in files(runtime.database, database_url)
        )

    held = [runtime.forgetting.forget(id_, *WHO) for id_ in ids]
    runtime.forgetting.scrub(held)
    outcomes = take(runtime, *messages)
    runtime.forgetting.scrub([runtime.forgetting.forget(id_, *WHO) for id_ in ids[:1]])

    assert {outcome.state for outcome in outcomes} == {"ignored"}
    assert tables_with(runtime.database, name) == set()
    assert found_in(files(runtime.database, database_url), name) == []
    assert name not in caplog.text and word not in caplog.text
    if privacy == "sealed":
        assert tables_with(runtime.database, word) == set()
        assert found_in(files(runtime.database, database_url), word) == []
        left = [path.read_bytes() for path in files(runtime.database, database_url)]
        assert not any(bytes(secret) in content for (secret,) in secrets for content in left)
    else:
        assert tables_with(runtime.database, word) == {"stored_events"}
    assert rows(runtime.store) == fresh(runtime)


def test_a_forgotten_shipment_keeps_its_journey(runtime: Runtime) -> None:
    take(runtime, poll())
    before = rows(runtime.store)

    forget(runtime)

    after = rows(runtime.store)
    without_words = {"status_said", "location", "remark", "said", "reason_said", "position"}
    without_words |= {"origin", "destination", "lane_by"}
    for table, some in before.items():
        assert [{k: v for k, v in row.items() if k not in without_words} for row in after[table]] == [
            {k: v for k, v in row.items() if k not in without_words} for row in some
        ]
    assert all(row[word] is None for row in after["timeline"] for word in ("status_said", "location", "remark"))
    assert after["shipments"][0]["location"] is None and after["shipments"][0]["said"] is None
    assert after["ndr_cases"][0]["reason_said"] is None
    assert before["journeys"][0]["origin"] and after["journeys"][0]["origin"] is after["journeys"][0]["lane_by"] is None
    assert after == fresh(runtime)


def test_the_destroyed_key_leaves_the_rows_that_the_event_leaves(database_url: str) -> None:
    """Two claims at one instant, which are told apart by their words alone, are the hardest case."""
    claims = (claim("stuck", "yes", "Mrs Rao says so"), claim("stuck", "no"))
    with open_runtime(Settings(database_url, privacy="sealed")) as runtime:
        runtime.ledger.intake([report(FAILED, at="3 11:00", assertions=(claim("stuck", "yes", "they say so"),))])
        runtime.ledger.intake([report(FAILED, at="3 12:00", assertions=claims)])
        runtime.ledger.forget(ID, *WHO)
        by_the_event = fresh(runtime)
        with runtime.database.transaction() as transaction:
            transaction.execute("DELETE FROM {s}vault")

        assert fresh(runtime) == by_the_event


def test_what_is_rebuilt_is_what_is_there(runtime: Runtime) -> None:
    take(runtime, poll(), poll("poll_not_picked_up"))
    forget(runtime)
    before = rows(runtime.store)

    rebuild(runtime.rebuilds)

    assert rows(runtime.store) == before


def test_old_tables_that_a_rebuild_kept_name_nobody_either(
    runtime: Runtime, database_url: str, privacy: Privacy
) -> None:
    name, word = f"n{uuid4().hex}", f"w{uuid4().hex}"
    unmoved(runtime)
    take(runtime, planted(poll(), name, word))
    rebuild(runtime.rebuilds)
    assert "timeline__old" in tables_with(runtime.database, word)

    forget(runtime)

    if privacy == "sealed":
        assert found_in(files(runtime.database, database_url), word) == []
    else:
        assert tables_with(runtime.database, word) == {"stored_events"}


def test_the_proofs_still_hold(runtime: Runtime) -> None:
    take(runtime, poll(), poll("poll_not_picked_up"))
    outside = judged.Kept(sealer(runtime).seal(), "kept")

    forget(runtime)

    sealer(runtime).seal()
    found = verify(runtime, Trust((KEY.verifier,)), [outside], processes=1)
    assert (found.events, found.sealed, found.findings) == (runtime.store.head(), runtime.store.head(), [])


# which messages


def test_every_message_that_speaks_of_it_goes_and_no_other(runtime: Runtime) -> None:
    first, again = poll(), poll(marked="repeats what is known")
    unreadable = message("clickpost", b'{"waybill": "7702913348051", "broken', channel="webhook", received_at=RECEIVED)
    discarded = message("ship24", b'{"about": "7702913348051", "bad', channel="webhook", received_at=RECEIVED)
    other, part = poll("poll_not_picked_up"), message("clickpost", b'["17702913348051"', received_at=RECEIVED)
    elsewhere = replace(message("clickpost", unreadable.body, account="shop2", received_at=RECEIVED))
    outcomes = take(runtime, first, again, unreadable, discarded, other, part, elsewhere)
    assert [outcome.state for outcome in outcomes] == ["done", "done", *["parked"] * 2, "done", *["parked"] * 2]
    Kept(runtime.database).discard([discarded.message_id], "nobody knows")

    held = forget(runtime)

    assert set(held.messages) == {one.message_id for one in (first, again, unreadable, discarded)}
    assert kept_ids(runtime) == {one.message_id for one in (other, part, elsewhere)}
    assert (held.forgotten, held.waiting, held.others) == (False, (), ())


def test_a_message_about_several_shipments_goes_too_and_the_others_keep_their_statements(runtime: Runtime) -> None:
    (outcome,) = take(runtime, kept("clickpost", "poll_five_waybills"))
    first, *others = sorted(outcome.shipments)
    before = [row for row in rows(runtime.store)["timeline"] if row["shipment_id"] != first]

    held = forget(runtime, first)

    assert held.others == tuple(others) and others
    assert kept_ids(runtime) == set()
    assert [row for row in rows(runtime.store)["timeline"] if row["shipment_id"] != first] == before


@pytest.mark.parametrize("reference", ["SL-9900817", "lemon"])
def test_an_answer_that_does_not_repeat_what_it_was_asked_about_goes_too(runtime: Runtime, reference: str) -> None:
    def answer(recipient: str, asked: str = reference) -> Message:
        row = {"status": "in-transit", "status_details": "Left", "status_date": "2026-03-05T10:00:00.000Z"}
        body = {"data": {"tracking_status": "in-transit", "tracking_history": [row], "recipient": recipient}}
        return message("shiplemon", json.dumps(body).encode(), received_at=RECEIVED, context={"shipment_id": asked})

    unreadable = message(
        "shiplemon", b'{"data": "Anna Rao is out"}', received_at=RECEIVED, context={"shipment_id": reference}
    )
    other = answer("Ben", "SL-7700817")
    outcomes = take(runtime, answer("Anna"), answer("Anna Rao"), other, unreadable)
    assert [outcome.state for outcome in outcomes] == ["done", "done", "done", "parked"]
    assert outcomes[1].repeated == 1 and outcomes[1].recorded == 0

    forget(runtime, f"default:shiplemon:{reference}")

    left = {other.message_id} if reference == "SL-9900817" else {other.message_id, unreadable.message_id}
    assert kept_ids(runtime) == left


def test_a_short_reference_takes_no_message_with_it_that_happens_to_hold_it(runtime: Runtime) -> None:
    tracker = Tracker("shiplemon", "17")
    runtime.ledger.register([Registration("5", trackers=(tracker,))])
    parked = message("clickpost", b'{"day": 17, "attempt": 5, "bad', received_at=RECEIVED)
    take(runtime, poll(), parked)

    held = forget(runtime, "default:host:5")

    assert held.messages == ()
    assert parked.message_id in kept_ids(runtime)


def test_a_carrier_s_name_in_a_reference_takes_no_message_with_it(runtime: Runtime) -> None:
    tracker = Tracker("rye", "order-1:FEDEX-GROUND:794612345678", "FEDEX-GROUND", "794612345678")
    runtime.ledger.register([Registration("ORDER-17", trackers=(tracker,))])
    of_another = message("rye", b'{"carrier": "FEDEX-GROUND", "number": "794600000000", "bad', received_at=RECEIVED)
    of_it = message("rye", b'{"carrier": "FEDEX-GROUND", "number": "794612345678", "bad', received_at=RECEIVED)
    take(runtime, of_another, of_it)

    assert forget(runtime, "default:host:ORDER-17").messages == (of_it.message_id,)
    assert kept_ids(runtime) == {of_another.message_id}


def test_a_tracker_of_a_short_name_has_its_messages_found_by_what_they_say(runtime: Runtime) -> None:
    short = json.loads(poll().body)
    short["result"] = {"777": short["result"]["7702913348051"]}
    about_it = message("clickpost", json.dumps(short).encode(), context={"cp_id": "4"}, received_at=RECEIVED)
    repeated = message(
        "clickpost", json.dumps(short | {"mark": 1}).encode(), context={"cp_id": "4"}, received_at=RECEIVED
    )
    about_another = message("clickpost", b'{"day": 777, "bad', received_at=RECEIVED)
    outcomes = take(runtime, about_it, repeated, about_another)

    held = forget(runtime, *outcomes[0].shipments)

    assert set(held.messages) == {about_it.message_id, repeated.message_id}
    assert kept_ids(runtime) == {about_another.message_id}


def test_a_number_that_was_only_stated_finds_its_messages_too(runtime: Runtime) -> None:
    runtime.ledger.register([Registration("ORDER-17", details={"tracking_number": "AWB-88123456"})])
    parked = message("shippit", b'{"name": "Mrs Rao", "tracking": "AWB-88123456", "bad', received_at=RECEIVED)
    take(runtime, parked)

    assert forget(runtime, "default:host:ORDER-17").messages == (parked.message_id,)


def test_a_message_that_waits_is_named_and_nothing_of_it_is_lost(runtime: Runtime) -> None:
    take(runtime, poll())
    five = json.loads(kept("clickpost", "poll_five_waybills").body)
    ours = json.loads(poll().body)["result"]
    waiting = message("clickpost", json.dumps(five | {"result": five["result"] | ours}).encode(), received_at=RECEIVED)
    runtime.inbox.append([waiting])

    held = forget(runtime)

    assert held.waiting == (waiting.message_id,)
    assert kept_ids(runtime) == {waiting.message_id}
    runtime.intake.catch_up()
    runtime.projector.catch_up()
    assert kept_ids(runtime) == set()
    valid = [said for said in five["result"].values() if said["valid"]]
    assert len(rows(runtime.store)["shipments"]) == 1 + len(valid)
    assert forget(runtime).waiting == ()


# nothing more is heard


def test_later_reports_are_dropped_and_their_messages_not_kept(runtime: Runtime) -> None:
    take(runtime, poll())
    forget(runtime)
    before = runtime.store.head()

    again, changed = take(runtime, poll(), poll(marked="new"))

    assert (again.state, again.reason, again.shipments) == ("ignored", f"{ATTEMPTED} was forgotten", ())
    assert changed.state == "ignored"
    assert kept_ids(runtime) == set()
    assert runtime.store.head() == before


def test_the_same_bytes_do_not_come_back_through_a_pump_either(runtime: Runtime) -> None:
    take(runtime, poll())
    forget(runtime)

    runtime.inbox.append([poll()])
    assert runtime.intake.catch_up() == 1

    assert kept_ids(runtime) == set()


def test_what_else_a_message_says_is_heard(runtime: Runtime) -> None:
    take(runtime, poll())
    forget(runtime)
    both = json.loads(poll().body)
    both["result"] |= json.loads(poll("poll_not_picked_up").body)["result"]

    (outcome,) = take(runtime, message("clickpost", json.dumps(both).encode(), received_at=RECEIVED))

    assert (outcome.state, outcome.shipments) == ("done", (NEVER_PICKED_UP,))
    assert outcome.reason == f"{ATTEMPTED} was forgotten"
    assert kept_ids(runtime) == set()


def test_a_message_that_cannot_be_read_otherwise_stays_until_somebody_looks_at_it(runtime: Runtime) -> None:
    take(runtime, poll())
    forget(runtime)
    both = json.loads(poll().body)
    both["result"] |= {"143399020817": {"scans": "none of your business"}}
    parked = message("clickpost", json.dumps(both).encode(), received_at=RECEIVED)

    (outcome,) = take(runtime, parked)

    assert outcome.state == "parked" and f"{ATTEMPTED} was forgotten" in outcome.reason
    assert kept_ids(runtime) == {parked.message_id}
    assert forget(runtime).messages == (parked.message_id,)


def test_nothing_is_added_by_hand_or_by_the_host(runtime: Runtime) -> None:
    runtime.ledger.intake([report(FAILED, at="3 11:00")])
    runtime.ledger.forget(ID, *WHO)

    refused = [
        runtime.ledger.register([Registration("ORDER-17", trackers=(TRACKER,))])[0],
        runtime.ledger.note(ID, "Mrs Rao called", "clerk@shop"),
        runtime.ledger.amend(ID, "clickpost:1", Reading(remark="Mrs Rao"), *WHO),
        runtime.ledger.withdraw(ID, ["clickpost:1"], *WHO),
        runtime.ledger.intake([report(FAILED, at="4 11:00")])[0],
    ]

    assert {receipt.error for receipt in refused} == {f"{ID} was forgotten; nothing can be added to it"}
    assert [receipt.forgotten for receipt in refused] == [True] * 5
    assert isinstance(runtime.ledger.history(ID)[-1].event, Forgotten)


# nothing more is asked


def asked(runtime: Runtime) -> Scheduler:
    return Scheduler(runtime.database, Schedule(runtime.database), [("default", "clickpost")])


def schedule_of(runtime: Runtime) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in runtime.database.tuples("SELECT state, reason FROM {s}poll_schedule")]


STOPPED = [("stopped", "the shipment was forgotten")]


def test_it_is_asked_about_no_more_however_much_hints_at_news(runtime: Runtime) -> None:
    take(runtime, poll())
    runtime.database.tuples("SELECT 1")
    asked(runtime).sync(RECEIVED)
    (leased,) = Schedule(runtime.database).lease(("default", "clickpost"), 9, 60, RECEIVED + timedelta(days=9))

    held = forget(runtime)

    assert held.asked == 1
    schedule = Schedule(runtime.database)
    schedule.settle([(leased, replace(leased.row, asked=1))])
    schedule.soon([ATTEMPTED], RECEIVED)
    with runtime.database.transaction() as transaction:
        schedule.poke(transaction, {("default", "clickpost"): ["4:7702913348051"]}, RECEIVED, "a webhook")
    asked(runtime).sync(RECEIVED)
    assert schedule_of(runtime) == STOPPED
    assert forget(runtime).asked == 0


def test_it_is_not_scheduled_once_its_account_is_asked(runtime: Runtime) -> None:
    take(runtime, poll())
    forget(runtime)

    asked(runtime).sync(RECEIVED)

    assert schedule_of(runtime) == []


# whatever happens on the way


@pytest.mark.parametrize("privacy", ["sealed"], indirect=True)
@pytest.mark.parametrize("before", ["event", "rows", "deletion", "scrubbing"])
def test_whoever_forgets_again_finishes_what_a_killed_process_began(
    runtime: Runtime, database_url: str, tmp_path: Path, before: str
) -> None:
    name, word = f"n{uuid4().hex}", f"w{uuid4().hex}"
    unmoved(runtime)
    take(runtime, planted(poll(), name, word))
    flag = tmp_path / "flag"
    killed(forget_and_hang, database_url, ATTEMPTED, before, str(flag), when=flag.exists)
    assert found_in(files(runtime.database, database_url), name)

    forget(runtime)

    assert found_in(files(runtime.database, database_url), name) == []
    assert found_in(files(runtime.database, database_url), word) == []
    assert rows(runtime.store) == fresh(runtime)
    assert [type(placed.event) for placed in runtime.ledger.history(ATTEMPTED)].count(Forgotten) == 1


def test_a_reader_that_holds_the_bytes_back_is_named(runtime: Runtime, database_url: str, monkeypatch: Any) -> None:
    import trackledger.adapters.storage.postgres as postgres
    import trackledger.adapters.storage.sqlite as sqlite

    monkeypatch.setattr(postgres, "SCRUB_SECONDS", 1.0)
    monkeypatch.setattr(sqlite, "SCRUB_SECONDS", 0.2)
    take(runtime, poll())
    with open_runtime(Settings(database_url)) as other, other.database.snapshot() as snapshot:
        snapshot.tuples("SELECT COUNT(*) FROM {s}shipments")
        held = runtime.forgetting.forget(ATTEMPTED, *WHO)
        with pytest.raises(Contended) as raised:
            runtime.forgetting.scrub([held])

    assert str(raised.value).startswith("what was erased is still in the files, as ")
    assert str(raised.value).endswith("; forget again after that")
    runtime.forgetting.scrub([held])


def test_a_shipment_that_cannot_be_folded_has_no_rows_left_and_its_reason_quotes_nothing(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    details = {"registered_at": "when Mrs Rao rang"}
    take(runtime, poll())
    runtime.ledger.intake([report(FAILED, at="3 11:00"), report(FAILED, at="4 11:00", details=details)])
    runtime.projector.catch_up()
    (poisoned,) = runtime.database.read("SELECT * FROM {s}poisoned")
    assert "Mrs Rao" in poisoned["reason"]

    forget(runtime, ID)

    (poisoned,) = runtime.database.read("SELECT * FROM {s}poisoned")
    assert poisoned["reason"] == "ValueError"
    assert {row["shipment_id"] for row in rows(runtime.store)["timeline"]} == {ATTEMPTED}
    assert "cannot be folded" in caplog.text and "Mrs Rao" not in caplog.text


def test_an_unknown_shipment_is_told(runtime: Runtime) -> None:
    with pytest.raises(ShipmentNotFound):
        runtime.forgetting.forget("default:clickpost:4:NONE", *WHO)


def test_what_an_error_quotes_is_no_part_of_its_trace() -> None:
    def fail(quoted: str) -> None:
        raise ValueError(quoted)

    with pytest.raises(ValueError) as raised:
        fail(" ".join(("Mrs", "Rao")))

    assert "Mrs Rao" not in traced(raised.value)
    assert traced(raised.value).startswith("ValueError\n") and "in fail" in traced(raised.value)


# the command


def test_the_command_tells_what_it_erased(filled: Cli) -> None:
    told = filled.text("forget", "TL-20417", "--actor", "clerk@shop", "--reason", "asked to")

    assert told == (
        f"{ATTEMPTED}: forgotten\n"
        "  raw messages erased: 1\n"
        "  free text in its events stays there, as it is not private, and is left out of every answer\n"
    )
    assert filled.json("timeline", ATTEMPTED)[0]["remark"] is None
    (again,) = filled.json("forget", "TL-20417", "--actor", "clerk@shop", "--reason", "asked to")
    assert again == {
        "shipment_id": ATTEMPTED,
        "forgotten": True,
        "private": False,
        "messages": [],
        "waiting": [],
        "others": [],
        "asked": 0,
    }


def test_several_are_forgotten_at_once(filled: Cli) -> None:
    told = filled.json("forget", "TL-20417", NEVER_PICKED_UP, "TL-20417", "--actor", "clerk", "--reason", "asked to")

    assert [one["shipment_id"] for one in told] == [ATTEMPTED, NEVER_PICKED_UP]


def test_a_dry_run_changes_nothing(filled: Cli) -> None:
    before = filled.json("timeline", ATTEMPTED)

    told = filled.text("forget", "TL-20417", "--dry-run")

    assert told.splitlines()[:2] == [f"{ATTEMPTED}: to be forgotten", "  raw messages would be erased: 1"]
    assert filled.json("timeline", ATTEMPTED) == before
    (outcome,) = filled.ingest("poll_failed_delivery")
    assert (outcome["state"], outcome["repeated"]) == ("done", 9)


def test_a_message_that_waits_makes_the_command_fail_after_its_work(filled: Cli, database_url: str) -> None:
    waiting = poll(marked="waits")
    with open_runtime(Settings(database_url)) as runtime:
        runtime.inbox.append([waiting])
    result = filled("forget", "TL-20417", "--actor", "clerk@shop", "--reason", "asked to")

    assert result.exit_code == 1
    assert result.stderr == (
        f"trackledger: messages that wait to be taken in: {waiting.message_id}; run `trackledger project`, "
        "then forget again\n"
    )
    filled.text("project")
    assert filled("forget", "TL-20417", "--actor", "clerk@shop", "--reason", "asked to").exit_code == 0


def test_files_of_a_forgotten_shipment_are_told_as_ignored(filled: Cli) -> None:
    filled.text("forget", "TL-20417", "--actor", "clerk@shop", "--reason", "asked to")

    (outcome,) = filled.ingest("poll_failed_delivery")

    assert (outcome["state"], outcome["reason"]) == ("ignored", f"{ATTEMPTED} was forgotten")


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("TL-20417",), 2, "nobody is named who does this; give --actor, or set TRACKLEDGER_ACTOR"),
        (("TL-20417", "--actor", "a\nb", "--reason", "x"), 2, "actor 'a\\nb' must be 1 to 128 printable characters"),
        (("TL-20417", "--actor", "me"), 2, "nothing is said of why; give --reason, which is recorded, or --dry-run"),
        (("TL-20417", "--actor", "me", "--reason", "x" * 4001), 2, "the reason has 4,001 characters; write 1 to 4,000"),
        (("NONE", "--dry-run"), 1, "no shipment has the id, reference, order id or tracking number 'NONE'; check it"),
        (("", "--dry-run"), 2, "REF is empty; give a shipment id, reference, order id or tracking number"),
    ],
)
def test_a_request_that_makes_no_sense_erases_nothing(filled: Cli, args: tuple[str, ...], code: int, says: str) -> None:
    assert filled.refusal("forget", *args, code=code).startswith(says)

    assert filled.json("forget", "TL-20417", "--dry-run")[0]["messages"]


def test_a_number_of_several_shipments_is_not_forgotten(cli: Cli, tmp_path: Path) -> None:
    cli.ingest("poll_failed_delivery")
    cli.ingest("poll_failed_delivery", account="shop2")

    says = cli.refusal("forget", "7702913348051", "--actor", "me", "--reason", "asked to", code=2)

    assert says.startswith("'7702913348051' names 2 shipments; use one of their ids: ")


@pytest.mark.parametrize("format_", ["ndjson", "csv"])
def test_no_export_names_a_person_either(cli: Cli, tmp_path: Path, privacy: Privacy, format_: str) -> None:
    name, word = f"n{uuid4().hex}", f"w{uuid4().hex}"
    (tmp_path / "trackledger.toml").write_text(f'privacy = "{privacy}"\n')
    message_file = tmp_path / "message.json"
    message_file.write_bytes(planted(poll(), name, word).body)
    cli.text("ingest", "clickpost", str(message_file))
    message_file.unlink()

    def exported(folder: str) -> list[Path]:
        for what, out in (("all", tmp_path / folder), ("events", tmp_path / f"{folder}.{format_}")):
            assert cli("export", what, "--format", format_, "--out", str(out)).exit_code == 0
        return [*(tmp_path / folder).iterdir(), tmp_path / f"{folder}.{format_}"]

    before = exported("before")
    assert found_in(before, name) == []
    assert f"timeline.{format_}" in found_in(before, word)
    assert (f"before.{format_}" in found_in(before, word)) == (privacy == "open")

    cli.text("forget", ATTEMPTED, "--actor", "clerk@shop", "--reason", "asked to")

    left = set(found_in(exported("after"), word))
    assert left == ({f"after.{format_}", "events.ndjson"} if privacy == "open" else set())
