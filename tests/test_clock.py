"""Does the clock of a rehearsal run as it was set?"""

from datetime import UTC, datetime, timedelta

from trackledger.adapters.clock import Clock

WORLD = datetime(2026, 3, 2, tzinfo=UTC)


def test_without_a_world_it_is_the_machine_s() -> None:
    before = datetime.now(UTC)
    assert before <= Clock().now() <= datetime.now(UTC)
    assert not Clock().has_ended


def test_it_runs_as_fast_as_it_was_set() -> None:
    begun = datetime.now(UTC) - timedelta(seconds=10)
    shown = Clock(WORLD, begun, 3600.0).now()
    assert WORLD + timedelta(hours=10) <= shown <= WORLD + (datetime.now(UTC) - begun) * 3600
    assert Clock(WORLD, begun, 3600.0).seconds(timedelta(hours=2)) == 2.0


def test_a_fast_one_slows_down_at_its_end_and_does_not_stand_still() -> None:
    begun = datetime.now(UTC) - timedelta(seconds=10)
    ends = WORLD + timedelta(days=5)
    clock = Clock(WORLD, begun, 86_400.0, ends)
    assert clock.has_ended
    assert ends + timedelta(hours=5) <= clock.now() <= ends + (datetime.now(UTC) - begun - timedelta(seconds=5)) * 3600
    assert clock.now() < clock.now()
    assert not Clock(WORLD, begun, 86_400.0, WORLD + timedelta(days=500)).has_ended


def test_a_slow_one_goes_on_as_slowly() -> None:
    begun = datetime.now(UTC) - timedelta(seconds=10)
    clock = Clock(WORLD, begun, 1.0, WORLD + timedelta(seconds=5))
    assert clock.has_ended
    assert clock.now() <= WORLD + (datetime.now(UTC) - begun)
