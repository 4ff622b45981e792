"""Is the past of a whole ledger told side by side, to each by its own moment, and without who was forgotten since?"""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import repeat
from threading import Barrier, Event

import pytest

from support.reports import report
from support.scans import instant, scan
from support.threads import in_thread
from trackledger.adapters.http import moments
from trackledger.adapters.http.moments import Moments
from trackledger.adapters.http.problems import Problem
from trackledger.adapters.past import past as past_of
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.ledger import Ledger

DAYS = range(3, 9)


@pytest.fixture
def known(runtime: Runtime) -> Runtime:
    """One more parcel became known each day at noon."""
    for day in DAYS:
        told = report(scan("picked_up", f"{day} 10:00", remark=f"by {day}"), at=f"{day} 11:00", tracker=parcel(day))
        Ledger(Recorder(runtime.database), clock=repeat(noon(day)).__next__).intake([told])
    runtime.projector.catch_up()
    return runtime


def parcel(day: int) -> Tracker:
    return Tracker("clickpost", f"4:D{day}", "Delhivery", f"D{day}")


def noon(day: int) -> datetime:
    return instant(f"{day} 12:00")


def count(past: Moments, day: int) -> int:
    """How many were known by the noon of a day."""
    with past.tables(noon(day)) as tables:
        return int(tables.reader.read("SELECT COUNT(*) AS n FROM {s}shipments")[0]["n"])


@pytest.fixture
def past(known: Runtime) -> Moments:
    found = Moments(known)
    known.on_close(found.close)
    return found


def test_each_thread_reads_its_own_moment(past: Moments) -> None:
    started = Barrier(4)

    def ask(seed: int) -> list[tuple[int, int]]:
        started.wait()
        days = [DAYS[(seed * step) % len(DAYS)] for step in range(12)]
        return [(day, count(past, day)) for day in days]

    with ThreadPoolExecutor(4) as threads:
        found = [one for some in threads.map(ask, (1, 1, 2, 5)) for one in some]
    assert len(found) == 48
    assert all(number == day - DAYS[0] + 1 for day, number in found)


def test_a_moment_is_folded_once_for_all_who_ask_about_it(past: Moments, monkeypatch: pytest.MonkeyPatch) -> None:
    folds = counted(monkeypatch)
    started = Barrier(4)

    def ask(_: int) -> int:
        started.wait()
        return count(past, 5)

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(ask, range(4))) == {3}
    assert len(folds) == 1
    assert (count(past, 6), count(past, 5), len(folds)) == (4, 3, 2)
    assert (count(past, 7), count(past, 6), len(folds)) == (5, 4, 4), "the one that was read longest ago made room"


def counted(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The moments that are folded from now on, the whole ledger each time."""
    folds: list[datetime] = []
    fold = past_of

    def noted(runtime: Runtime, *, known_at: datetime) -> object:
        folds.append(known_at)
        return fold(runtime, known_at=known_at)

    monkeypatch.setattr(moments, "past", noted)
    return folds


def test_who_reads_a_moment_keeps_nobody_from_another(past: Moments) -> None:
    with past.tables(noon(3)) as tables:
        for day in DAYS[1:]:
            assert count(past, day) == day - DAYS[0] + 1
        assert len(tables.reader.read("SELECT * FROM {s}shipments")) == 1, "it stays while somebody reads it"


def test_a_moment_that_is_being_folded_keeps_nobody_from_one_that_is_kept(
    past: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert count(past, 3) == 1
    folding, go_on = Event(), Event()
    fold = past_of

    def held_up(runtime: Runtime, *, known_at: datetime) -> object:
        folding.set()
        go_on.wait()
        return fold(runtime, known_at=known_at)

    monkeypatch.setattr(moments, "past", held_up)
    monkeypatch.setattr(moments, "PATIENCE", 0.01)
    with in_thread(lambda: count(past, 4)):
        folding.wait()
        try:
            assert count(past, 3) == 1
            for day in (4, 5):
                with pytest.raises(Problem, match="try again") as refused, past.tables(noon(day)):
                    pass
                assert (refused.value.status, refused.value.parameter) == (503, "known_at")
        finally:
            go_on.set()
    assert count(past, 5) == 3


def test_what_failed_is_tried_again(past: Moments, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(runtime: Runtime, *, known_at: datetime) -> object:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(moments, "past", failing)
        with pytest.raises(OSError, match="no room"):
            count(past, 5)
    assert count(past, 5) == 3


def test_a_ledger_that_is_too_large_is_not_folded(past: Moments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "MAX_EVENTS", 3)
    with pytest.raises(Problem, match="too many") as refused:
        count(past, 5)
    assert (refused.value.status, refused.value.parameter) == (422, "known_at")


def test_who_is_forgotten_is_in_no_moment_that_is_kept(known: Runtime, past: Moments) -> None:
    def remarks() -> set[str | None]:
        with past.tables(noon(4)) as tables:
            return {row["remark"] for row in tables.reader.read("SELECT remark FROM {s}timeline")}

    assert remarks() == {"by 3", "by 4"}
    known.forgetting.forget("default:clickpost:4:D3", "clerk@shop", "asked us to")
    assert remarks() == {None, "by 4"}


def test_what_was_recorded_by_then_and_committed_later_is_in_a_kept_moment(
    known: Runtime, past: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(day: int, at: datetime) -> None:
        told = report(scan("picked_up", "3 10:00"), at="3 11:00", tracker=parcel(day))
        Ledger(Recorder(known.database), clock=repeat(at).__next__).intake([told])

    monkeypatch.setattr(moments, "LOOKED_AT", 1)
    folds = counted(monkeypatch)
    assert (count(past, 5), len(folds)) == (3, 1)
    record(20, noon(6))
    record(21, noon(5))
    assert (count(past, 5), len(folds)) == (4, 2)
    record(22, noon(6))
    with past.tables(noon(5)) as tables:
        assert tables.position == known.store.head(), "nothing of the rest was known by then"
    assert (count(past, 5), len(folds)) == (4, 2)


def test_a_kept_moment_is_not_kept_for_ever(past: Moments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "KEPT_SECONDS", -1.0)
    folds = counted(monkeypatch)
    assert (count(past, 5), count(past, 5), len(folds)) == (3, 3, 2)


def test_what_is_given_back_can_be_asked_for_again(past: Moments) -> None:
    assert count(past, 5) == 3
    with past.tables(noon(4)) as tables:
        past.close()
        assert len(tables.reader.read("SELECT * FROM {s}shipments")) == 2
    assert count(past, 5) == 3


def test_the_future_is_not_known(past: Moments) -> None:
    future = instant("3 12:00").replace(year=2999)
    for ids in (None, ["default:clickpost:4:D3"]):
        with pytest.raises(Problem, match="future") as refused, past.tables(future, ids):
            pass
        assert refused.value.parameter == "known_at"
