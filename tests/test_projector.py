"""Do the tables hold exactly what the ledger says, however many pumps run or die, and while they are rebuilt?"""

import inspect
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import Any

import pytest
from eventsourcing.persistence import Notification

from support.parcels import batches, journey, parcel, parcel_id, reports, webhooks
from support.reports import claim, report
from support.rows import fresh, rows
from support.scans import scan
from support.threads import in_thread, until
from support.workers import Processes, killed, pump, pump_for_ever, take_in
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.store import TableStore
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.projections import shipments, timeline
from trackledger.projections.projector import IDLE, Projector
from trackledger.projections.rebuild import rebuild
from trackledger.projections.tables import POSITION, TABLES, lag

TABLE_NAMES = [table.name for table in TABLES]


def fill(runtime: Runtime, parcels: int) -> None:
    """Take in reports about so many parcels."""
    for batch in batches(reports(parcels), parcels, 20):
        runtime.ledger.intake(batch)


def break_event(runtime: Runtime, position: int) -> bytes:
    """Make a stored event unreadable; what it was."""
    found = runtime.database.tuples("SELECT state FROM {s}stored_events WHERE notification_id = :n", n=position)
    mend_event(runtime, position, b"{")
    return bytes(found[0][0])


def mend_event(runtime: Runtime, position: int, state: bytes) -> None:
    with runtime.database.transaction() as transaction:
        transaction.execute(
            "UPDATE {s}stored_events SET state = :state WHERE notification_id = :n", state=state, n=position
        )


def poisoned(runtime: Runtime) -> dict[str, int]:
    return dict(runtime.database.tuples("SELECT shipment_id, position FROM {s}poisoned"))


# Exactly once


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_two_pumping_processes_take_in_every_event_once(
    runtime: Runtime, database_url: str, others: Processes, batch: int
) -> None:
    fill(runtime, 6)

    taken = others.together(pump, [(database_url, batch), (database_url, batch)])

    assert sum(taken) == runtime.store.head() == runtime.store.position(POSITION)
    assert rows(runtime.store) == fresh(runtime)


def test_threads_with_batches_of_any_size_take_in_every_event_once_while_others_append(runtime: Runtime) -> None:
    told = batches(reports(6), 1, 5)
    done = Event()
    taken: list[int] = []

    def append() -> None:
        try:
            for batch in told:
                runtime.ledger.intake(batch)
        finally:
            done.set()

    def pump(size: int) -> Callable[[], None]:
        def run() -> None:
            projector = Projector(runtime.store, batch=size)
            while not done.is_set():
                taken.append(projector.step())
            taken.append(projector.catch_up())

        return run

    with in_thread(append), in_thread(pump(1)), in_thread(pump(3)), in_thread(pump(1000)):
        pass

    assert sum(taken) == runtime.store.head()
    assert rows(runtime.store) == fresh(runtime)


@pytest.mark.parametrize("batch", [1, 5])
def test_a_pump_that_is_killed_goes_on_where_its_last_transaction_ended(
    runtime: Runtime, database_url: str, batch: int
) -> None:
    fill(runtime, 20)

    killed(pump_for_ever, database_url, batch, when=lambda: runtime.store.position(POSITION) >= 20)

    left = lag(runtime.store)
    assert 0 < left < runtime.store.head()
    assert runtime.projector.catch_up() == left
    assert rows(runtime.store) == fresh(runtime)


def test_rows_and_position_are_written_together_or_not_at_all(runtime: Runtime) -> None:
    fill(runtime, 2)
    runtime.projector.step()
    runtime.ledger.intake([report(scan("delivered", "20 10:00"), at="20 12:00", tracker=parcel(0))])
    before, position = rows(runtime.store), runtime.store.position(POSITION)
    with runtime.database.transaction() as transaction:
        transaction.execute("ALTER TABLE {s}timeline RENAME TO gone")

    with pytest.raises(Exception, match="timeline"):
        runtime.projector.step()

    assert runtime.store.position(POSITION) == position
    with runtime.database.transaction() as transaction:
        transaction.execute("ALTER TABLE {s}gone RENAME TO timeline")
    assert rows(runtime.store) == before
    assert runtime.projector.catch_up() == 1
    assert rows(runtime.store) == fresh(runtime)


def test_a_pump_that_always_loses_the_race_still_ends(runtime: Runtime) -> None:
    class Overtaken(TableStore):
        def notifications(self, after: int, limit: int) -> Sequence[Notification]:
            found = super().notifications(after, limit)
            if found:
                assert Projector(runtime.store, batch=1).step() == 1
            return found

    runtime.ledger.intake(webhooks(40))
    assert runtime.store.head() > 300
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(inspect.stack(0)) + 150)
        assert Projector(Overtaken(runtime.database), batch=1).catch_up() == 0
    finally:
        sys.setrecursionlimit(limit)
    assert lag(runtime.store) == 0


def test_a_row_that_a_later_statement_takes_away_goes(runtime: Runtime) -> None:
    runtime.ledger.intake([report(scan("in_transit", "3 10:00"), at="3 12:00")])
    runtime.projector.catch_up()
    assert [line["checkpoint_id"][0] for line in rows(runtime.store)["timeline"]] == ["~"]
    runtime.ledger.intake([report(scan("in_transit", "3 10:00", id="clickpost:7"), at="3 13:00")])
    runtime.projector.catch_up()
    assert [line["checkpoint_id"] for line in rows(runtime.store)["timeline"]] == ["clickpost:7"]
    assert rows(runtime.store) == fresh(runtime)


# Shipments that cannot be folded

BAD = "default:clickpost:4:P0"


def test_a_shipment_that_cannot_be_folded_is_noted_and_holds_back_nothing(runtime: Runtime) -> None:
    runtime.ledger.intake(reports(3))
    expected = {row["shipment_id"]: row for row in fresh(runtime)["shipments"]}
    broken = [n.id for n in runtime.store.notifications(0, 100) if n.originator_id == BAD][-1]
    state = break_event(runtime, broken)

    assert runtime.projector.catch_up() == runtime.store.head()

    assert poisoned(runtime) == {BAD: broken}
    reason = runtime.database.tuples("SELECT reason FROM {s}poisoned")[0][0]
    assert "UnknownEvent" in reason and "cannot be read" in reason
    assert {row["shipment_id"]: row for row in rows(runtime.store)["shipments"]} == {
        id_: row for id_, row in expected.items() if id_ != BAD
    }

    mend_event(runtime, broken, state)
    runtime.ledger.intake([report(scan("delivered", "20 10:00"), at="20 12:00", tracker=parcel(0))])
    runtime.projector.catch_up()
    assert poisoned(runtime) == {}
    assert rows(runtime.store) == fresh(runtime)


def test_the_rows_of_a_shipment_stay_as_they_were_until_it_can_be_folded_again(runtime: Runtime) -> None:
    tracker = parcel(0)
    runtime.ledger.intake(
        [report(scan("in_transit", "3 10:00"), scan("delivery_failed", "3 11:00"), at="3 12:00", tracker=tracker)]
    )
    runtime.projector.catch_up()
    before = rows(runtime.store)
    assert [len(before[name]) for name in ("shipments", "timeline", "ndr_cases")] == [1, 2, 1]

    # What is said meanwhile takes rows away: a statement learns its id, and the failure turns out to be a return.
    late = runtime.ledger.intake(
        [
            report(scan("in_transit", "3 10:00", id="clickpost:7"), at="3 13:00", tracker=tracker),
            report(scan("return_requested", "3 09:00"), at="3 14:00", tracker=tracker),
        ]
    )[-1].position
    state = break_event(runtime, late)
    runtime.projector.catch_up()
    assert list(poisoned(runtime)) == [BAD]
    assert rows(runtime.store) == before

    mend_event(runtime, late, state)
    runtime.ledger.intake([report(scan("returned", "4 10:00", "return"), at="4 12:00", tracker=tracker)])
    runtime.projector.catch_up()
    assert poisoned(runtime) == {}
    assert rows(runtime.store) == fresh(runtime)


def test_a_shipment_that_stays_broken_stays_noted_with_the_newest_position(runtime: Runtime) -> None:
    runtime.ledger.intake([report(journey(0)[0], at="1 12:00", tracker=parcel(0))])
    break_event(runtime, 1)
    runtime.projector.catch_up()
    with runtime.database.transaction() as transaction:
        runtime_events = transaction.read("SELECT MAX(originator_version) AS v FROM {s}stored_events")
    assert poisoned(runtime) == {BAD: 2} and runtime_events == [{"v": 2}]
    assert runtime.ledger.intake([report(journey(0)[1], at="2 12:00", tracker=parcel(0))])[0].error


def test_a_rebuild_notes_what_it_cannot_fold_and_forgets_what_it_can(runtime: Runtime) -> None:
    runtime.ledger.intake(reports(3))
    break_first, break_later = (
        [n.id for n in runtime.store.notifications(0, 100) if n.originator_id == parcel_id(number)][-1]
        for number in (0, 1)
    )
    state = break_event(runtime, break_first)
    runtime.projector.catch_up()
    mend_event(runtime, break_first, state)
    break_event(runtime, break_later)
    assert poisoned(runtime) == {parcel_id(0): break_first}

    # Of one table only: the shipment is still behind in the others.
    (parity,) = rebuild(runtime.rebuilds, "timeline")
    assert {one.shipment_id for one in parity.examples} == {parcel_id(0), parcel_id(1)}
    assert set(poisoned(runtime)) == {parcel_id(0), parcel_id(1)}

    rebuild(runtime.rebuilds)
    assert poisoned(runtime) == {parcel_id(1): break_later}
    assert {row["shipment_id"] for row in rows(runtime.store)["shipments"]} == {parcel_id(0), parcel_id(2)}


def test_a_long_text_that_no_table_maps_holds_back_nothing(runtime: Runtime) -> None:
    # Of 4,000 characters, as long as a text may be, of three bytes each and none like the one before.
    text = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(4000))
    runtime.ledger.intake([report(scan("unknown", "3 10:00", said=text, remark=text, location=text), at="3 12:00")])
    runtime.projector.catch_up()
    assert timeline.unmapped(runtime.store)[0]["text"] == text


# Waking up


@contextmanager
def following(runtime: Runtime, projector: Projector | None = None) -> Iterator[None]:
    """A pump that follows the ledger for the length of the block."""
    stop = Event()
    with in_thread(lambda: (projector or runtime.projector).run(stop)):
        try:
            yield
        finally:
            stop.set()
            # Any commit wakes it, so that it sees that it is to stop.
            runtime.ledger.intake([report(at="1", tracker=Tracker("clickpost", f"the end {time.monotonic_ns()}"))])


def test_a_pump_is_woken_by_the_commits_of_another_process(
    runtime: Runtime, database_url: str, others: Processes
) -> None:
    with following(runtime):
        slowest = 0.0
        for number in range(6):
            time.sleep(0.11 * number)
            others.start(take_in, database_url, [webhooks(1, first=number)]).result()
            committed = time.monotonic()
            until(partial(is_delivered, runtime, number))
            slowest = max(slowest, time.monotonic() - committed)
    assert slowest < IDLE / 4


def is_delivered(runtime: Runtime, number: int) -> bool:
    found = runtime.store.read("SELECT shipment_id FROM {s}shipments WHERE milestone = 'delivered'")
    return parcel_id(number) in {row["shipment_id"] for row in found}


def test_a_pump_is_woken_by_the_commits_of_its_own_process(runtime: Runtime) -> None:
    with following(runtime):
        for number in range(5):
            runtime.ledger.intake(webhooks(1, first=number))
            committed = time.monotonic()
            until(partial(is_delivered, runtime, number))
            assert time.monotonic() - committed < IDLE / 4


def test_a_pump_does_not_read_while_nothing_is_committed(runtime: Runtime) -> None:
    class Counting(TableStore):
        reads = 0

        def position(self, name: str, suffix: str = "") -> int:
            self.reads += 1
            return super().position(name, suffix)

        def notifications(self, after: int, limit: int) -> Sequence[Notification]:
            self.reads += 1
            return super().notifications(after, limit)

    runtime.ledger.intake(webhooks(1))
    store = Counting(runtime.database)
    with following(runtime, Projector(store)):
        until(lambda: lag(runtime.store) == 0)
        time.sleep(0.3)
        before = store.reads
        time.sleep(1.0)
        assert store.reads - before <= 2  # one look at the most, should the fallback fall into this second


# What the tables say


def test_pieces_that_a_provider_only_counts_share_the_state_of_their_shipment(runtime: Runtime) -> None:
    out, three = scan("out_for_delivery", "3 10:29"), claim("pieces", "3")

    def consignment() -> list[dict[str, Any]]:
        runtime.projector.catch_up()
        found = runtime.store.read("SELECT * FROM {s}consignments")
        return [{name: row[name] for name in ("shipment_id", "pieces", "delivered", "open", "state")} for row in found]

    runtime.ledger.intake(
        [
            report(out, at="3 12:00", tracker=parcel(1), assertions=(three,)),
            report(out, at="3 12:00", tracker=parcel(2)),
        ]
    )
    assert consignment() == [{"shipment_id": parcel_id(1), "pieces": 3, "delivered": 0, "open": 3, "state": "open"}]

    runtime.ledger.intake([report(scan("delivered", "4 10:00"), at="4 12:00", tracker=parcel(1))])
    assert consignment() == [{"shipment_id": parcel_id(1), "pieces": 3, "delivered": 3, "open": 0, "state": "complete"}]

    runtime.ledger.register([Registration(trackers=(parcel(2),), piece_of=parcel_id(1))])
    assert consignment() == [{"shipment_id": parcel_id(1), "pieces": 1, "delivered": 0, "open": 1, "state": "open"}]


def test_an_order_whose_parcels_are_shipments_of_their_own_is_never_stuck_itself(runtime: Runtime) -> None:
    booked = scan("info_received", "3 10:00")
    runtime.ledger.intake(
        [report(booked, at="3 12:00", tracker=parcel(1)), report(booked, at="3 12:00", tracker=parcel(2))]
    )
    runtime.projector.catch_up()
    assert len(rows(runtime.store)["silence"]) == 2

    runtime.ledger.intake([report(at="3 13:00", tracker=parcel(1), assertions=(claim("split", "1"),))])
    runtime.projector.catch_up()

    assert [row["shipment_id"] for row in rows(runtime.store)["silence"]] == [parcel_id(2)]


def test_a_consignment_counts_its_pieces(runtime: Runtime) -> None:
    def piece(number: int, of: str) -> Registration:
        return Registration(trackers=(parcel(number),), piece_of=of)

    wishes = [piece(n, "default:host:A") for n in range(3)] + [piece(n, "default:host:B") for n in range(3, 5)]
    runtime.ledger.register([Registration("A"), Registration("B"), Registration("C"), *wishes])

    def state(consignment: str) -> tuple[Any, ...]:
        runtime.projector.catch_up()
        found = runtime.store.read("SELECT * FROM {s}consignments WHERE shipment_id = :id", id=consignment)
        names = ("pieces", "delivered", "open", "failed")
        return (*(int(found[0][name]) for name in names), found[0]["state"]) if found else ()

    def happen(number: int, milestone: str) -> None:
        runtime.ledger.intake([report(scan(milestone, "9 10:00"), at="9 12:00", tracker=parcel(number))])

    assert state("default:host:A") == (3, 0, 3, 0, "open")
    assert state("default:host:B") == (2, 0, 2, 0, "open")
    assert state("default:host:C") == ()
    happen(0, "delivered")
    assert state("default:host:A") == (3, 1, 2, 0, "partial")
    happen(1, "delivered")
    happen(2, "delivered")
    assert state("default:host:A") == (3, 3, 0, 0, "complete")
    happen(3, "lost")
    assert state("default:host:B") == (2, 0, 1, 1, "open")
    happen(4, "delivered")
    assert state("default:host:B") == (2, 1, 0, 1, "incomplete")
    assert [row["shipment_id"] for row in shipments.find(runtime.store, "P3")] == [parcel_id(3)]
