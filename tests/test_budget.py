"""Do all processes together keep to the calls that a provider allows, and leave it alone when it wants to be?"""

import logging
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from support.polls import KEY, earliest, open_account, reserve
from support.workers import Processes
from trackledger.adapters.budget import Budget, NotNow
from trackledger.adapters.runtime import Runtime

PAIR = ("default", "ship24")
NOW = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


@pytest.fixture
def budget(runtime: Runtime) -> Budget:
    return opened(runtime)


def opened(runtime: Runtime, key: str = KEY, per_second: float = 10.0) -> Budget:
    return open_account(runtime, PAIR, NOW, key, per_second)


def account(runtime: Runtime) -> dict[str, object]:
    (row,) = runtime.database.read("SELECT * FROM {s}poll_accounts")
    return row


def test_calls_are_as_far_apart_as_the_provider_wants(budget: Budget) -> None:
    before = datetime.now(UTC)
    instants = [budget.reserve() for _ in range(35)]

    assert instants == sorted(instants) and instants[0] >= before
    assert earliest(instants) == timedelta(seconds=0.1)


@pytest.mark.parametrize("per_second", [20.0, 3.0])
def test_processes_together_make_no_more_calls_than_one(
    runtime: Runtime, database_url: str, others: Processes, per_second: float
) -> None:
    opened(runtime, per_second=per_second)
    got = others.together(reserve, [(database_url, PAIR, per_second, round(per_second))] * 3)

    instants = [instant for some in got for instant in some]
    assert len(set(instants)) == 3 * round(per_second)
    assert earliest(instants) >= timedelta(seconds=1 / per_second) - timedelta(microseconds=1)


def test_accounts_have_budgets_of_their_own(runtime: Runtime) -> None:
    slow = opened(runtime, per_second=0.01)
    slow.reserve()
    other = open_account(runtime, ("outlet", "ship24"), NOW, per_second=0.01)

    assert other.reserve() < datetime.now(UTC) + timedelta(seconds=1)
    assert slow.reserve() > datetime.now(UTC) + timedelta(seconds=60)


def test_nobody_saves_up_calls(runtime: Runtime, budget: Budget) -> None:
    first = budget.reserve()
    # As if time had passed: everything that was reserved together lies behind.
    budget._reserved = [first - timedelta(seconds=n) for n in range(9, 0, -1)]
    before = datetime.now(UTC)
    instants = [budget.reserve() for _ in range(15)]

    assert instants[0] >= before
    assert earliest(instants) == timedelta(seconds=0.1)


def test_a_call_waits_for_its_time(budget: Budget, monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime.now(UTC) + timedelta(seconds=0.2)
    monkeypatch.setattr(budget, "reserve", lambda: at)
    budget.wait(Event())

    assert datetime.now(UTC) >= at - timedelta(milliseconds=5)


def test_who_is_told_to_end_waits_no_longer(runtime: Runtime) -> None:
    budget = opened(runtime, per_second=0.001)
    budget.reserve()
    stop = Event()
    stop.set()
    before = datetime.now(UTC)

    with pytest.raises(NotNow, match="told to end"):
        budget.wait(stop)
    assert datetime.now(UTC) - before < timedelta(seconds=500)


# blocked


def test_a_provider_that_wants_to_be_left_alone_is_left_alone_by_all(runtime: Runtime, budget: Budget) -> None:
    other = opened(runtime)
    assert budget.rest() == 0
    budget.reserve()
    budget.block(40)

    for one in (budget, other):
        assert 39 < (one.rest() or 0) <= 40
        with pytest.raises(NotNow, match="left alone until"):
            one.reserve()


def test_a_longer_block_stands(budget: Budget) -> None:
    budget.block(40)
    budget.block(5)
    assert 39 < (budget.rest() or 0) <= 40


def test_after_a_block_calls_go_on(runtime: Runtime, budget: Budget) -> None:
    budget.block(40)
    with runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}poll_accounts SET blocked_until = :past", past=datetime.now(UTC))

    assert budget.rest() == 0
    assert budget.reserve() <= datetime.now(UTC) + timedelta(seconds=1)


# stopped


def test_an_account_is_stopped_once_with_one_word(
    runtime: Runtime, budget: Budget, caplog: pytest.LogCaptureFixture
) -> None:
    other = opened(runtime)
    with caplog.at_level(logging.INFO):
        budget.stop("the key is refused")
        other.stop("the key is refused again")

    assert [record.getMessage() for record in caplog.records] == [
        "ship24 is not asked any more for account default: the key is refused"
    ]
    assert account(runtime)["stopped"] == "the key is refused"
    for one in (budget, other, opened(runtime)):
        assert one.rest() is None
        with pytest.raises(NotNow, match="not asked any more"):
            one.reserve()


def test_other_credentials_open_the_account_again(runtime: Runtime, budget: Budget) -> None:
    budget.stop("the key is refused")
    budget.block(40)
    other = opened(runtime, key="a new key")

    assert other.rest() == 0
    assert other.reserve()
    # The process with the old ones is not to spoil it.
    budget.stop("the key is refused")
    assert budget.rest() is None
    with pytest.raises(NotNow):
        budget.reserve()
    assert other.rest() == 0


def test_no_key_is_kept(runtime: Runtime, budget: Budget) -> None:
    budget.stop("the key is refused")

    assert KEY not in repr(account(runtime))
    assert len(str(account(runtime)["credentials"])) == 8
