"""Does every message get through the line once, whoever takes it in, dies over it or cannot read it?"""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from eventsourcing.persistence import DatabaseError, OperationalError

from support.arrivals import CODES, hook, hooks, poll, states
from support.rows import fresh, rows
from support.threads import in_thread, until
from support.workers import Processes, claim_and_hang, killed, take_messages
from trackledger.adapters.follow_up import FollowUp
from trackledger.adapters.inbox import MAX_TRIES, Claimed, Inbox, Outcome, message
from trackledger.adapters.intake import Intake
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.batch import Receipt
from trackledger.domain.checkpoints import Report
from trackledger.domain.errors import Contended
from trackledger.domain.ledger import Also, Ledger

SECONDS = 0.5
"""A claim that runs out soon, and yet holds while a batch of a test is taken in."""


def checkpoints(runtime: Runtime) -> int:
    """How many checkpoints the tables hold, which equal a fresh fold of the events."""
    runtime.projector.catch_up()
    assert rows(runtime.store) == fresh(runtime)
    return len(rows(runtime.store)["timeline"])


def became(runtime: Runtime, of: Message) -> tuple[Any, Any]:
    row = runtime.kept.show(of.message_id)
    return row["state"], row["reason"]


def garbage(number: int) -> Message:
    return message("clickpost", b"<html>%d</html>" % number, received_at=hook(number, 0).received_at)


# one pump


def test_a_step_takes_the_oldest_and_catching_up_all(runtime: Runtime) -> None:
    told: list[tuple[Message, Outcome]] = []
    runtime.inbox.append([*hooks(3), garbage(7)])

    assert runtime.intake.step(2, lambda message, outcome: told.append((message, outcome))) == 2
    assert [(m, o.state, o.recorded) for m, o in told] == [(hook(n, 0), "done", 1) for n in range(2)]
    assert states(runtime) == {"done": 2, "waiting": 3 * len(CODES) - 1}
    assert runtime.intake.catch_up() == 3 * len(CODES) - 1
    assert (runtime.intake.step(), runtime.intake.catch_up()) == (0, 0)
    assert states(runtime) == {"done": 3 * len(CODES), "parked": 1}
    assert checkpoints(runtime) == 3 * len(CODES)


def test_a_running_pump_leaves_alone_what_is_taken_in_at_once(runtime: Runtime) -> None:
    taken = runtime.inbox.append_claimed([poll(1)], 60)

    assert len(taken) == 1
    assert runtime.intake.step() == 0
    assert [(o.state, o.recorded) for o in runtime.intake.take([poll(1), poll(1)])] == [("done", 4), ("done", 0)]
    assert states(runtime) == {"done": 1}


def test_a_discarded_message_is_not_taken_in(runtime: Runtime) -> None:
    runtime.inbox.append([poll(2)])
    runtime.kept.discard([poll(2).message_id], "a test")

    outcomes = runtime.intake.take([poll(1), poll(2), garbage(3)])

    assert [(o.state, o.recorded) for o in outcomes] == [("done", 4), ("discarded", 0), ("parked", 0)]
    assert outcomes[1].reason == "a test"
    assert checkpoints(runtime) == 4


def test_a_pump_wakes_when_messages_arrive(
    runtime: Runtime, open_ledger: Callable[[], Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trackledger.adapters.intake.IDLE", 600)
    stop, other = Event(), open_ledger()
    with in_thread(lambda: runtime.intake.run(stop)):
        try:
            for number in range(3):
                other.inbox.append([poll(number)])
                until(lambda: other.inbox.waiting() == 0)
        finally:
            stop.set()
            other.inbox.append([poll(3)])
    assert states(runtime)["done"] >= 3


def test_what_arrives_again_and_again_while_a_pump_runs_is_recorded_once(runtime: Runtime) -> None:
    stop = Event()
    with in_thread(lambda: runtime.intake.run(stop)):
        for minute in range(40):
            runtime.inbox.append([poll(1, minute), poll(2)])
        until(lambda: runtime.inbox.waiting() == 0)
        stop.set()
        runtime.database.wake()
    assert runtime.kept.show(poll(1).message_id)["times"] == 40
    assert states(runtime) == {"done": 2}
    assert checkpoints(runtime) == 8


# several pumps, and dead ones


def test_three_pumps_take_each_message_once(
    runtime: Runtime, database_url: str, others: Processes, tmp_path: Path
) -> None:
    stop = str(tmp_path / "stop")
    pumps = [others.start(take_messages, database_url, batch, 60, stop) for batch in (3, 10, 50)]
    arrived = hooks(60)
    for start in range(0, len(arrived), 24):
        runtime.inbox.append(arrived[start : start + 24])
    until(lambda: runtime.inbox.waiting() == 0)
    Path(stop).touch()
    taken = [pump.result() for pump in pumps]

    assert sorted(id_ for ids, _ in taken for id_ in ids) == sorted(m.message_id for m in arrived)
    assert sum(recorded for _, recorded in taken) == len(arrived)
    assert states(runtime) == {"done": len(arrived)}
    assert checkpoints(runtime) == len(arrived)


@pytest.mark.parametrize("batch", [1, 8])
def test_another_pump_finishes_what_a_killed_one_had_claimed(
    runtime: Runtime, database_url: str, tmp_path: Path, batch: int
) -> None:
    arrived = hooks(60)
    runtime.inbox.append(arrived)

    killed(take_messages, database_url, batch, SECONDS, when=lambda: runtime.inbox.waiting() < 236)
    killed(claim_and_hang, database_url, str(tmp_path / "claimed"), SECONDS, when=(tmp_path / "claimed").exists)

    left = runtime.inbox.waiting()
    assert 0 < left < 236
    intake = Intake(runtime.inbox, runtime.ledger, FollowUp({}), claim_seconds=SECONDS)
    taken = 0
    while runtime.inbox.waiting():
        taken += intake.step()
    assert taken == left
    assert states(runtime) == {"done": len(arrived)}
    assert checkpoints(runtime) == len(arrived)


# what cannot be taken in


class Brittle(Ledger):
    """A ledger that fails, in a way of its own, whenever the parcel `W3` is in the batch."""

    def __init__(self, runtime: Runtime, error: Exception) -> None:
        super().__init__(Recorder(runtime.database))
        self.error: Exception | None = error
        self.failures = 0

    def intake(self, reports: Sequence[Report], *, also: Also | None = None) -> list[Receipt]:
        if self.error and any(report.tracker.tracking_number == "W3" for report in reports):
            self.failures += 1
            raise self.error
        return super().intake(reports, also=also)


def brittle(runtime: Runtime, error: Exception) -> tuple[Intake, Brittle]:
    ledger = Brittle(runtime, error)
    return Intake(runtime.inbox, ledger, FollowUp({}), put_back_seconds=0), ledger


@pytest.mark.parametrize(
    "error", [RuntimeError("odd \x00 \ud800"), DatabaseError("no such text"), AssertionError()], ids=repr
)
def test_a_message_that_fails_in_an_unforeseen_way_is_parked_alone(
    runtime: Runtime, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    intake, ledger = brittle(runtime, error)
    runtime.inbox.append([poll(number) for number in range(6)])

    assert intake.catch_up() == 6

    assert ledger.failures == 2
    assert states(runtime) == {"done": 5, "parked": 1}
    reason = f"clickpost: the message could not be recorded ({error!r}); report this"
    assert became(runtime, poll(3)) == ("parked", reason)
    assert f"message {poll(3).message_id} cannot be recorded" in caplog.text
    assert checkpoints(runtime) == 20

    ledger.error = None
    assert runtime.kept.retry_parked() == [poll(3).message_id]
    assert intake.catch_up() == 1
    assert became(runtime, poll(3)) == ("done", None)
    assert checkpoints(runtime) == 24


def test_taking_in_at_once_parks_it_alone_as_well(runtime: Runtime) -> None:
    intake, _ = brittle(runtime, RuntimeError("odd"))

    outcomes = intake.take([poll(number) for number in range(6)])

    assert [outcome.state for outcome in outcomes] == ["done", "done", "done", "parked", "done", "done"]
    assert states(runtime) == {"done": 5, "parked": 1}


@pytest.mark.parametrize("error", [OperationalError("too large for the index"), Contended("others won")], ids=repr)
def test_a_message_over_which_the_database_fails_is_tried_later_and_parked_in_the_end(
    runtime: Runtime, error: Exception
) -> None:
    intake, _ = brittle(runtime, error)
    runtime.inbox.append([poll(number) for number in range(6)])
    reason = f"clickpost: the database failed ({error})"

    assert intake.step() == 6
    assert states(runtime) == {"done": 5, "waiting": 1}
    assert became(runtime, poll(3)) == ("waiting", reason)
    for _ in range(MAX_TRIES - 1):
        runtime.inbox.append([poll(7, minute=-1)])
        assert [intake.step(), intake.step()] == [1, 1]

    assert became(runtime, poll(3)) == ("parked", reason)
    assert states(runtime) == {"done": 6, "parked": 1}
    assert checkpoints(runtime) == 24


def test_taking_in_at_once_tells_that_the_database_failed_and_keeps_the_messages(runtime: Runtime) -> None:
    intake, ledger = brittle(runtime, OperationalError("down"))

    with pytest.raises(OperationalError):
        intake.take([poll(number) for number in range(6)])

    assert states(runtime) == {"waiting": 6}
    ledger.error = None
    assert [outcome.recorded for outcome in intake.take([poll(number) for number in range(6)])] == [4] * 6


def test_what_a_pump_has_claimed_it_takes_in_as_soon_as_the_database_is_back(runtime: Runtime) -> None:
    class Outage(Inbox):
        def put_back(self, claimed: Claimed, reason: str, seconds: float) -> None:
            if ledger.error:
                refused.set()
                raise ledger.error
            super().put_back(claimed, reason, seconds)

    refused, stop = Event(), Event()
    ledger = Brittle(runtime, OperationalError("the server is gone"))
    intake = Intake(Outage(runtime.database), ledger, FollowUp({}), claim_seconds=600)
    runtime.inbox.append([poll(number) for number in range(6)])
    with in_thread(lambda: intake.run(stop)):
        try:
            assert refused.wait(30)
            ledger.error = None
            until(lambda: runtime.inbox.waiting() == 0)
        finally:
            stop.set()
    assert states(runtime) == {"done": 6}
    assert checkpoints(runtime) == 24


def test_a_message_of_which_the_follow_up_cannot_be_told_is_parked_alone(runtime: Runtime) -> None:
    class Failing(FollowUp):
        def __call__(self, report: Report) -> Report:
            return {"W3": report}["W" + "12345"[len(report.checkpoints)]] if "W3" in report.key else report

    intake = Intake(runtime.inbox, runtime.ledger, Failing({}))
    runtime.inbox.append([poll(number) for number in range(6)])
    intake.catch_up()

    assert states(runtime) == {"done": 5, "parked": 1}
    assert "the message could not be read (KeyError('W5')); report this" in str(became(runtime, poll(3))[1])


def test_an_unreadable_message_is_parked_again_when_nothing_was_mended(runtime: Runtime) -> None:
    runtime.inbox.append([garbage(1), poll(1)])
    runtime.intake.catch_up()
    before = became(runtime, garbage(1))
    assert before[0] == "parked"

    runtime.kept.retry_parked()
    assert runtime.intake.catch_up() == 1

    assert became(runtime, garbage(1)) == before


def test_a_message_about_a_shipment_that_cannot_be_read_is_parked_until_that_is_healed(runtime: Runtime) -> None:
    def topic(name: str) -> None:
        with runtime.database.transaction() as transaction:
            transaction.execute("UPDATE {s}stored_events SET topic = :name WHERE notification_id = 1", name=name)

    runtime.intake.take([hook(1, 0)])
    topic("shipment.Later")
    runtime.inbox.append([hook(1, 1), hook(2, 1), hook(1, 2)])
    assert runtime.intake.catch_up() == 3
    assert states(runtime) == {"done": 2, "parked": 2}
    assert "'shipment.Later'" in str(became(runtime, hook(1, 1))[1])

    topic("shipment.Opened")
    assert len(runtime.kept.retry_parked("clickpost")) == 2
    assert runtime.intake.catch_up() == 2

    assert states(runtime) == {"done": 4}
    assert checkpoints(runtime) == 4
