"""Does the history of a shipment tell what each event did, and what was concluded from it then?"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any

import msgspec
import pytest

from support.cli import ATTEMPTED, NOW, Cli
from support.messages import of_provider
from support.parcels import parcel_id, reports
from support.reports import OTHER_TRACKER, TRACKER, claim, estimate, report
from support.scans import instant, scan
from trackledger.adapters.one_shipment import history, with_notes
from trackledger.adapters.providers import PROVIDERS
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.checkpoints import Registration, Report, Tracker
from trackledger.domain.corrections import Reading
from trackledger.domain.errors import ShipmentNotFound
from trackledger.domain.ledger import Ledger
from trackledger.domain.milestones import Milestone
from trackledger.domain.rereading import Rereading
from trackledger.projections import consignments, shipments, timeline
from trackledger.projections.history import Entry
from trackledger.projections.one_shipment import status_of

ID = "default:clickpost:4:AWB1"
WHO = ("clerk@shop", "the customer sent a photo")
PLACES = ("status", "timeline")


def at(runtime: Runtime, moment: str, act: Callable[[Ledger], Any]) -> None:
    """Do something with the ledger at a time."""
    clock = repeat(instant(moment)).__next__
    act(Ledger(Recorder(runtime.database), clock=clock, withdraws=runtime.settings.withdraws))
    runtime.projector.catch_up()


def hear(runtime: Runtime, told: Report) -> None:
    """Take in a report when it is received."""
    clock = repeat(told.received_at).__next__
    Ledger(Recorder(runtime.database), clock=clock).intake([told])
    runtime.projector.catch_up()


def live(runtime: Runtime, shipment_id: str, now: datetime) -> dict[str, Any]:
    """What the tables answer at this moment."""
    (row,) = (row for row in shipments.find(runtime.store, shipment_id) if row["shipment_id"] == shipment_id)
    return {
        "status": with_notes(runtime, status_of(runtime.store, row, now), None),
        "timeline": timeline.of(runtime.store, shipment_id),
    }


def deeds(told: dict[str, Any]) -> list[tuple[str, str]]:
    """What was done, in words."""
    return [(deed.what, deed.says) for entry in told["events"] for deed in entry.did]


def test_what_was_known_then_is_what_the_tables_held_then(runtime: Runtime) -> None:
    id_ = parcel_id(0)
    held: dict[datetime, dict[str, Any]] = {}
    for one in sorted(reports(2), key=lambda one: one.received_at):
        hear(runtime, one)
        held[one.received_at] = live(runtime, id_, one.received_at)

    for moment, then in held.items():
        told = history(runtime, id_, known_at=moment + timedelta(seconds=1), now=moment)
        assert {name: told[name] for name in PLACES} == then
        assert all(entry.recorded_at <= moment for entry in told["events"])
    assert {name: history(runtime, id_, now=moment)[name] for name in PLACES} == then
    assert len(history(runtime, id_)["events"]) == 8


@pytest.mark.parametrize("provider", PROVIDERS)
def test_everything_that_a_provider_can_say_is_told(runtime: Runtime, provider: str) -> None:
    runtime.intake.take(list(of_provider(provider)))
    runtime.projector.catch_up()
    now = datetime.now(UTC)
    ids = [row["shipment_id"] for row in shipments.listed(runtime.store)]

    assert ids
    for id_ in ids:
        told = history(runtime, id_, now=now)
        assert {name: told[name] for name in PLACES} == live(runtime, id_, now)
        checkpoints = {d.checkpoint_id for e in told["events"] for d in e.did if d.what in ("recorded", "identified")}
        assert {row["checkpoint_id"] for row in told["timeline"]} <= checkpoints
        stored = runtime.ledger.history(id_)
        assert [entry.version for entry in told["events"]] == [placed.originator_version for placed in stored]
        positions = [entry.position for entry in told["events"]]
        assert positions == sorted(set(positions)) and positions[0] > 0
        assert all(e.did and (e.by, e.who, bool(e.message_id)) == ("provider", provider, True) for e in told["events"])
        msgspec.json.encode(told)


@pytest.fixture
def eventful(runtime: Runtime) -> Iterator[Runtime]:
    """A shipment to which everything happened that can happen to one."""
    runtime.settings = Settings(withdraws=("clickpost",))
    door = scan("out_for_delivery", "3 09:00", said="Out", location="Pune")
    named = msgspec.structs.replace(door, id="clickpost:1")
    failed = scan("delivery_failed", "3 10:00", id="clickpost:2", said="Failed", remark="away", reason="other")
    amended = msgspec.structs.replace(failed, remark="moved", digest="other words")
    at(runtime, "1 10:00", lambda ledger: ledger.register([Registration("PARENT")]))
    registration = Registration(
        "SHOP-1",
        trackers=(TRACKER,),
        details={"carrier": "Delhivery"},
        promised=estimate("promise", "5"),
        piece_of="default:host:PARENT",
    )
    at(runtime, "1 11:00", lambda ledger: ledger.register([registration]))
    at(runtime, "2 11:00", lambda ledger: ledger.register([Registration("SHOP-1", trackers=(OTHER_TRACKER,))]))
    told = report(
        door,
        failed,
        at="3 12:00",
        message="m1",
        whole=True,
        estimates=(estimate("carrier", "4", "5"),),
        assertions=(claim("stuck", "no"),),
        details={"service": "express"},
    )
    at(runtime, "3 12:01", lambda ledger: ledger.intake([told]))
    at(
        runtime,
        "3 13:01",
        lambda ledger: ledger.intake([report(named, amended, at="3 13:00", message="m2", whole=True)]),
    )
    at(runtime, "3 14:01", lambda ledger: ledger.intake([report(amended, at="3 14:00", message="m3", whole=True)]))
    at(
        runtime,
        "3 15:01",
        lambda ledger: ledger.intake([report(named, amended, at="3 15:00", message="m4", whole=True)]),
    )
    at(runtime, "4 10:00", lambda ledger: ledger.note("default:host:SHOP-1", "called twice", "anna"))
    reading = Reading(milestone=Milestone.DELIVERED)
    at(runtime, "4 11:00", lambda ledger: ledger.amend("default:host:SHOP-1", "clickpost:2", reading, *WHO))
    at(runtime, "4 12:00", lambda ledger: ledger.withdraw("default:host:SHOP-1", ["clickpost:1"], *WHO))
    at(
        runtime,
        "4 13:00",
        lambda ledger: ledger.withdraw("default:host:SHOP-1", ["clickpost:1"], *WHO, undone=True),
    )
    read = report(
        msgspec.structs.replace(door, milestone=Milestone.ARRIVED),
        failed,
        at="3 12:00",
        message="m1",
        whole=True,
        estimates=(estimate("carrier", "4", "6"),),
        assertions=(claim("stuck", "yes"),),
        details={"service": "standard"},
    )
    reread = [[Rereading(read)]]
    at(runtime, "5 10:00", lambda ledger: ledger.reread(reread, {"clickpost": "v2"}, "ops@shop", store=True))
    yield runtime


def test_every_kind_of_event_is_told_in_words(eventful: Runtime) -> None:
    told = history(eventful, "default:host:SHOP-1")

    assert deeds(told) == [
        ("opened", "opened for the account default under the reference SHOP-1"),
        ("linked", "linked clickpost 4:AWB1 (Delhivery AWB1)"),
        ("stated", "carrier Delhivery"),
        ("estimated", "promise: 5"),
        ("linked", "is a piece of default:host:PARENT"),
        ("linked", "linked clickpost 9:AWB1 (Shadowfax AWB1)"),
        (
            "recorded",
            'out_for_delivery at 2025-03-03 03:30:00Z (said "3 09:00", zone assumed), Pune: "Out"',
        ),
        ("recorded", 'delivery_failed at 2025-03-03 04:30:00Z (said "3 10:00", zone assumed): "Failed: away" [other]'),
        ("estimated", "carrier: 4 to 5"),
        ("claimed", "stuck no"),
        ("stated", "service express"),
        ("amended", "clickpost:2 remark away → moved"),
        ("identified", f"gives the checkpoint {loose()} the id clickpost:1"),
        ("withdrawn", "no longer states clickpost:1, arrived of 2025-03-03 03:30:00Z"),
        ("reinstated", "states again clickpost:1, arrived of 2025-03-03 03:30:00Z"),
        ("noted", "called twice"),
        ("amended_by_hand", "clickpost:2 milestone delivery_failed → delivered"),
        ("withdrawn_by_hand", "takes out by hand clickpost:1, arrived of 2025-03-03 03:30:00Z"),
        ("counted_again", "lets count again clickpost:1, arrived of 2025-03-03 03:30:00Z"),
        ("reread", "clickpost:1 milestone out_for_delivery → arrived"),
        ("reread", "claim stuck no is read as stuck yes"),
        ("reread", "carrier: 4 to 5 is read as carrier: 4 to 6"),
        ("reread", "service express is read as standard"),
    ]


def loose() -> str:
    return scan("out_for_delivery", "3 09:00", said="Out", location="Pune").key


def test_every_event_says_whose_it_is(eventful: Runtime) -> None:
    told: list[Entry] = history(eventful, "default:host:SHOP-1")["events"]

    assert [(one.event, one.by, one.who, one.message_id) for one in told] == [
        ("Opened", "host", "host", None),
        ("DetailsStated", "host", "host", None),
        ("PieceLinked", "unknown", None, None),
        ("TrackerLinked", "unknown", None, None),
        ("ReportRecorded", "provider", "clickpost", "m1"),
        ("ReportRecorded", "provider", "clickpost", "m2"),
        ("CheckpointsWithdrawn", "provider", "clickpost", "m3"),
        ("ReportRecorded", "provider", "clickpost", "m4"),
        ("NoteAdded", "person", "anna", None),
        ("AmendedByHand", "person", WHO[0], None),
        ("WithdrawnByHand", "person", WHO[0], None),
        ("WithdrawnByHand", "person", WHO[0], None),
        ("Reread", "person", "ops@shop", "m1"),
    ]
    assert [one.reason for one in told[9:12]] == [WHO[1]] * 3
    assert (told[12].mapping, told[4].channel, told[4].received_at) == ("v2", "poll", instant("3 12:00"))
    amended = told[5].did[0]
    assert amended.changed == {"remark": ("away", "moved")}
    assert amended.checkpoint is not None and amended.checkpoint["milestone"] == "delivery_failed"


def test_a_consignment_is_as_its_pieces_were(eventful: Runtime) -> None:
    then = history(eventful, "default:host:PARENT", known_at=instant("3 18:00"))["status"]
    now = history(eventful, "default:host:PARENT")["status"]

    assert (then["consignment"]["state"], then["consignment"]["pieces"]) == ("open", 1)
    assert now["consignment"] == consignments.of(eventful.store, "default:host:PARENT")
    assert now["consignment"]["state"] == "complete"


def test_what_had_happened_by_then_is_told_and_nothing_later(runtime: Runtime) -> None:
    door, failed = scan("out_for_delivery", "3 09:00"), scan("delivery_failed", "3 10:00", id="clickpost:2")
    first = report(door, failed, at="3 12:00", estimates=(estimate("carrier", "4"),))
    hear(runtime, first)
    hear(runtime, report(scan("delivered", "4 10:00"), at="4 12:00"))
    late = scan("in_transit", "2 08:00")
    hear(runtime, report(late, at="5 12:00"))

    told = history(runtime, ID, valid_at=instant("3 09:30"))

    assert [entry.event for entry in told["events"]] == ["Opened", "ReportRecorded", "ReportRecorded"]
    assert [deed.checkpoint_id for entry in told["events"] for deed in entry.did if deed.checkpoint_id] == [
        door.key,
        late.key,
    ]
    assert [entry.left_out for entry in told["events"]] == [0, 2, 0]
    assert told["status"]["status"]["milestone"] == "out_for_delivery"
    assert told["judged_at"] == instant("3 09:30")
    both = history(runtime, ID, valid_at=instant("3 10:30"), known_at=instant("4 18:00"))
    assert [row["checkpoint_id"] for row in both["timeline"]] == [door.key, failed.key]
    assert both["judged_at"] == instant("3 10:30")


def test_a_time_that_was_amended_counts_as_it_is_known(runtime: Runtime) -> None:
    wrong = scan("delivered", "5 10:00", id="clickpost:1")
    right = scan("delivered", "3 10:00", id="clickpost:1")
    hear(runtime, report(wrong, at="5 12:00"))
    hear(runtime, report(right, at="5 13:00"))

    by_today = history(runtime, ID, valid_at=instant("4 12:00"))
    by_then = history(runtime, ID, valid_at=instant("4 12:00"), known_at=instant("5 12:30"))

    assert [deed for deed, _ in deeds(by_today)] == ["opened", "linked", "recorded", "amended"]
    assert by_today["status"]["status"]["milestone"] == "delivered"
    assert [deed for deed, _ in deeds(by_then)] == ["opened", "linked"]
    assert by_then["status"]["status"]["milestone"] == "unknown"


def test_a_forgotten_shipment_tells_no_words(eventful: Runtime) -> None:
    at(eventful, "6 10:00", lambda ledger: ledger.forget("default:host:SHOP-1", "clerk@shop", "asked to"))

    for told in (
        history(eventful, "default:host:SHOP-1"),
        history(eventful, "default:host:SHOP-1", known_at=instant("4 12:30")),
    ):
        said = msgspec.json.encode(told)
        for word in (b"called twice", b"Pune", b"Failed", b"away", b"photo", b'"Out'):
            assert word not in said
        assert b"out_for_delivery" in said and told["status"]["notes"] == []
    assert deeds(history(eventful, "default:host:SHOP-1"))[-1] == (
        "forgotten",
        "was forgotten: what names a person was erased",
    )


def test_what_a_report_opened_and_linked_is_its_doing(runtime: Runtime) -> None:
    also = Tracker("aftership", "t-1", "Delhivery", "AWB1")
    told = msgspec.structs.replace(report(scan("in_transit", "3 10:00"), at="3 12:00"), also_trackers=(also,))
    runtime.ledger.intake([told])
    runtime.projector.catch_up()

    entries: list[Entry] = history(runtime, ID)["events"]

    assert [(one.event, one.who) for one in entries] == [
        ("Opened", "clickpost"),
        ("TrackerLinked", "clickpost"),
        ("ReportRecorded", "clickpost"),
    ]


def test_an_event_that_cannot_be_read_is_told_and_hides_no_other(runtime: Runtime) -> None:
    hear(runtime, report(scan("in_transit", "3 10:00"), at="3 12:00"))
    hear(runtime, report(scan("arrived", "4 10:00"), at="4 12:00"))
    with runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}stored_events SET state = :state WHERE originator_version = 2", state=b"{")

    told = history(runtime, ID, known_at=instant("9 12:00"))

    assert [(entry.version, bool(entry.unreadable)) for entry in told["events"]] == [(1, False), (2, True), (3, False)]
    assert told["status"] is None and "cannot be read" in told["error"]


def test_a_shipment_that_is_unknown_then_says_when_it_was_first_heard_of(runtime: Runtime) -> None:
    hear(runtime, report(scan("in_transit", "3 10:00"), at="3 12:00"))

    with pytest.raises(ShipmentNotFound, match=r"was first heard of at 2025-03-03T06:30:00Z; name a moment from then"):
        history(runtime, ID, known_at=instant("3 11:59"))
    with pytest.raises(ShipmentNotFound, match="no shipment 'nobody'"):
        history(runtime, "nobody")


# the command


def test_the_command_tells_events_and_conclusions(filled: Cli) -> None:
    told = filled.text("history", "TL-20417", "--now", NOW)

    assert told.startswith(f"{ATTEMPTED}\n#1 Opened recorded ")
    assert ": clickpost (by poll, message " in told and ", received 2026-03-06 10:00:00Z)" in told
    assert '\n    recorded: clickpost:41228027380 delivery_failed at 2026-03-05 10:57:55Z (said "2026-' in told
    assert "\nconcluded from this, judged at 2026-03-06 12:00:00Z:\n" in told
    assert filled.text("status", "TL-20417", "--now", NOW) in told
    timeline_ = told.rpartition("occurred_at ")[2].splitlines()
    assert len([line for line in timeline_ if line.startswith("2026-")]) == 9


def test_the_command_in_json(filled: Cli) -> None:
    filled.json("note", "TL-20417", "called", "--actor", "anna")

    told = filled.json("history", "TL-20417", "--now", NOW)

    assert told.keys() == {
        "shipment_id", "known_at", "valid_at", "judged_at", "events", "status", "error", "timeline",
    }  # fmt: skip
    assert told["status"] == filled.json("status", "TL-20417", "--now", NOW)
    assert told["timeline"] == filled.json("timeline", "TL-20417")
    assert [one["event"] for one in told["events"]] == ["Opened", "ReportRecorded", "NoteAdded"]
    assert (told["known_at"], told["error"]) == (None, None)


def test_the_command_as_of_a_moment(filled: Cli) -> None:
    moment = "2026-03-05T12:00:00Z"

    told = filled.json("history", "TL-20417", "--valid-at", moment)

    assert told["status"] == filled.json("status", "TL-20417", "--valid-at", moment)
    assert told["timeline"] == filled.json("timeline", "TL-20417", "--valid-at", moment)
    assert told["judged_at"] == told["valid_at"] == moment
    words = filled.text("history", "TL-20417", "--valid-at", moment)
    assert words.startswith(f"{ATTEMPTED} valid at {moment}\n") and "more about what happened later" in words
    assert filled.refusal("history", "TL-20417", "--known-at", moment).startswith(
        f"nothing was known of '{ATTEMPTED}' at {moment}: it was first heard of at "
    )


def test_bad_requests_are_told_in_one_sentence(filled: Cli) -> None:
    assert filled.refusal("history", "NOBODY").startswith("no shipment has the id, reference, order id or tracking")
    assert "REF is empty" in filled.refusal("history", "", code=2)
    for option in ("--known-at", "--valid-at"):
        future = filled.refusal("history", "TL-20417", option, "2999-01-01T00:00:00Z", code=2)
        assert future.startswith(f"{option} 2999-01-01T00:00:00Z is in the future; name a moment up to now")
        assert "has no zone" in filled.usage("history", "TL-20417", option, "2026-03-05T12:00:00")
    filled.ingest("poll_failed_delivery", account="other")
    told = filled.refusal("history", "TL-20417", code=2)
    assert told.startswith("'TL-20417' names 2 shipments; use one of their ids: ") and ATTEMPTED in told


def test_a_history_needs_no_tables(filled: Cli, database_url: str) -> None:
    before = filled.json("history", ATTEMPTED, "--now", NOW)
    with open_runtime(Settings(database_url)) as runtime, runtime.database.transaction() as transaction:
        for name in ("shipments", "timeline", "silence", "delivery_dates", "ndr_cases", "estimates"):
            transaction.execute(f"DELETE FROM {{s}}{name}")

    assert filled.json("history", "7702913348051", "--now", NOW) == before
