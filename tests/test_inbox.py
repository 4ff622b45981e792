"""What does the inbox keep, who gets which message, and what may overwrite what?"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from support.arrivals import hook, poll, states
from support.messages import RECEIVED
from support.workers import Processes, claim
from trackledger.adapters import inbox as inbox_module
from trackledger.adapters.inbox import MAX_TRIES, Claimed, Inbox, Outcome, message
from trackledger.adapters.kept import Kept, NoSuchMessage
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.settings import Retention
from trackledger.adapters.storage.database import Database
from trackledger.domain.errors import UsageError


@pytest.fixture
def inbox(runtime: Runtime) -> Inbox:
    return runtime.inbox


def settle(runtime: Runtime, claims: Sequence[Claimed], state: str = "done", reason: str = "") -> None:
    """Settle what was claimed, as a pump does with the events."""
    pairs = [(one, Outcome(one.message.message_id, state, recorded=1, reason=reason)) for one in claims]
    with runtime.database.transaction() as transaction:
        runtime.inbox.settle(transaction, pairs)


def kept(runtime: Runtime, of: Message) -> dict[str, object]:
    return runtime.kept.show(of.message_id)


def numbers(count: int) -> list[Message]:
    """Messages that arrived one second after the other, given in another order."""
    told = [message("rye", b"%d" % n, received_at=RECEIVED + timedelta(seconds=n)) for n in range(count)]
    return told[1::2] + told[::2]


def bodies(claims: Sequence[Claimed]) -> list[bytes]:
    return [one.message.body for one in claims]


# keeping


def test_identical_bytes_are_kept_once_and_counted(runtime: Runtime) -> None:
    runtime.inbox.append([poll(1, minute=0), poll(2)])
    runtime.inbox.append([poll(1, minute=5)])

    row = kept(runtime, poll(1))
    assert (row["times"], row["state"]) == (2, "waiting")
    assert (row["received_at"], row["last_received_at"]) == (RECEIVED, RECEIVED + timedelta(minutes=5))
    assert states(runtime) == {"waiting": 2}


def test_the_same_bytes_for_another_account_channel_or_request_are_another_message(runtime: Runtime) -> None:
    runtime.inbox.append(
        [
            message("rye", b"{}", received_at=RECEIVED),
            message("aftership", b"{}", received_at=RECEIVED),
            message("rye", b"{}", received_at=RECEIVED, account="other"),
            message("rye", b"{}", received_at=RECEIVED, channel="webhook"),
            message("rye", b"{}", received_at=RECEIVED, context={"order": "1"}),
            message("rye", b"{}", received_at=RECEIVED, headers={"user-agent": "Rye/2"}),
        ]
    )

    assert states(runtime) == {"waiting": 5}


def test_no_header_is_kept_but_those_that_are_known_to_hold_no_secret(runtime: Runtime) -> None:
    said = {
        "Content-Type": "application/json",
        "AS-Webhook-Version": "2026-01",
        "user-agent": "x" * 1000,
        "authorization": "Bearer secret",
        "webhook_key": "secret",
        "cookie": "secret",
    }
    arrived = message("aftership", b"{}", channel="webhook", received_at=RECEIVED, headers=said)
    runtime.inbox.append([arrived])
    (claimed,) = runtime.inbox.claim(10, 60)

    assert arrived.headers == {
        "content-type": "application/json",
        "as-webhook-version": "2026-01",
        "user-agent": "x" * 256,
    }
    assert kept(runtime, arrived)["headers"] == arrived.headers
    assert claimed.message == arrived


# claiming


def test_the_oldest_are_claimed_first_and_nobody_gets_them_a_second_time(inbox: Inbox) -> None:
    inbox.append(numbers(5))

    assert bodies(inbox.claim(2, 60)) == [b"0", b"1"]
    assert bodies(inbox.claim(10, 60)) == [b"2", b"3", b"4"]
    assert inbox.claim(10, 60) == []


def test_no_message_is_claimed_by_two_processes(database: Database, database_url: str, others: Processes) -> None:
    Inbox(database).append(numbers(150))

    got = others.together(claim, [(database_url, 10, 5)] * 3)

    assert [len(one) for one in got] == [50, 50, 50]
    assert len({id_ for one in got for id_ in one}) == 150


def test_a_claim_that_ran_out_is_taken_over_one_message_at_a_time(inbox: Inbox) -> None:
    inbox.append(numbers(3))
    assert len(inbox.claim(10, 0)) == 3
    inbox.append([message("rye", b"new", received_at=RECEIVED + timedelta(seconds=9))])

    claims = [inbox.claim(10, 60) for _ in range(4)]

    assert [bodies(one) for one in claims] == [[b"0"], [b"1"], [b"2"], [b"new"]]
    assert [one[0].tries for one in claims] == [2, 2, 2, 1]


def test_a_claim_has_a_limit_of_bytes_as_well(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "CLAIM_BYTES", 25)
    sizes = (10, 10, 10, 40, 1)
    inbox.append(
        [message("rye", b"%d" % n * size, received_at=RECEIVED + timedelta(seconds=n)) for n, size in enumerate(sizes)]
    )

    assert [len(inbox.claim(100, 60)) for _ in range(5)] == [2, 1, 1, 1, 0]


def test_what_its_pumps_never_finished_is_parked_and_ends_no_more_of_them(runtime: Runtime) -> None:
    inbox = runtime.inbox
    inbox.append([poll(1)])
    for _ in range(MAX_TRIES):
        assert len(inbox.claim(10, 0)) == 1
    inbox.append([poll(2, minute=1)])

    assert [one.message for one in inbox.claim(10, 60)] == [poll(2, minute=1)]
    row = kept(runtime, poll(1))
    assert row["state"] == "parked"
    assert str(row["reason"]).startswith("clickpost: its pump ended 5 times before it was done with it; ")

    inbox.append([poll(1)])
    assert inbox.claim(10, 60) == []
    assert kept(runtime, poll(1))["state"] == "parked"

    runtime.kept.retry([poll(1).message_id])
    assert [one.tries for one in inbox.claim(10, 60)] == [1]


def test_what_is_settled_is_not_looked_at_to_find_what_waits(runtime: Runtime) -> None:
    if runtime.database.dialect != "sqlite":
        pytest.skip("a young PostgreSQL has no statistics from which its plan would follow")
    for sql in (inbox_module._ANY_FREE, f"SELECT COUNT(*) FROM {{s}}messages WHERE {inbox_module._UNSETTLED}"):
        (step,) = runtime.database.read(f"EXPLAIN QUERY PLAN {sql}", now=RECEIVED)
        assert "INDEX messages_state_received_at_message_id (state=?)" in step["detail"]


# settling


@pytest.mark.parametrize("again", [poll(1, minute=5), hook(1, 0)], ids=["poll", "webhook"])
def test_a_message_that_arrives_again_while_it_is_taken_in_goes_on_waiting(runtime: Runtime, again: Message) -> None:
    first = poll(1) if again.channel == "poll" else hook(1, 0)
    runtime.inbox.append([first])
    claims = runtime.inbox.claim(10, 60)
    runtime.inbox.append([again])
    assert runtime.inbox.claim(10, 60) == []

    settle(runtime, claims)

    assert kept(runtime, first)["state"] == "waiting"
    (second,) = runtime.inbox.claim(10, 60)
    # An answer confirms for its own time; a delivery says what it said the first time.
    assert second.message == again
    assert second.tries == 1
    settle(runtime, [second])
    assert kept(runtime, first)["state"] == "done"
    assert runtime.inbox.claim(10, 60) == []


def test_a_message_that_keeps_arriving_is_not_given_up(runtime: Runtime) -> None:
    runtime.inbox.append([poll(1)])
    for minute in range(3 * MAX_TRIES):
        (claimed,) = runtime.inbox.claim(10, 60)
        runtime.inbox.append([poll(1, minute)])
        settle(runtime, [claimed])

    settle(runtime, runtime.inbox.claim(10, 60))
    assert (kept(runtime, poll(1))["state"], kept(runtime, poll(1))["times"]) == ("done", 3 * MAX_TRIES + 1)


def test_a_slow_pump_does_not_overwrite_what_became_of_its_message_meanwhile(runtime: Runtime) -> None:
    runtime.inbox.append([poll(1), poll(2)])
    slow = runtime.inbox.claim(10, 0)
    settle(runtime, runtime.inbox.claim(1, 60))
    runtime.kept.discard([poll(2).message_id], "not ours")

    settle(runtime, slow, "parked", "too late")

    assert (kept(runtime, poll(1))["state"], kept(runtime, poll(1))["reason"]) == ("done", None)
    assert (kept(runtime, poll(2))["state"], kept(runtime, poll(2))["reason"]) == ("discarded", "not ours")


def test_what_a_slow_pump_did_counts_also_after_its_claim_ran_out(runtime: Runtime) -> None:
    runtime.inbox.append([poll(1)])
    slow, quick = runtime.inbox.claim(10, 0), runtime.inbox.claim(10, 60)

    settle(runtime, slow)
    settle(runtime, quick, "parked", "the second to come")

    assert kept(runtime, poll(1))["state"] == "done"


def test_appending_and_settling_at_once_loses_no_arrival(runtime: Runtime) -> None:
    """Whatever arrived last is read after it arrived: in the end every arrival is settled, and none waits for ever."""
    arrivals = 60
    seen: list[datetime] = []
    finished = threading.Event()

    def arrive() -> None:
        for minute in range(arrivals):
            runtime.inbox.append([poll(1, minute)])
        finished.set()

    thread = threading.Thread(target=arrive)
    thread.start()
    while True:
        ended = finished.is_set()
        claims = runtime.inbox.claim(10, 60)
        seen += [one.message.received_at for one in claims]
        settle(runtime, claims)
        if ended and not claims:
            break
    thread.join()

    assert seen[-1] == RECEIVED + timedelta(minutes=arrivals - 1)
    assert (kept(runtime, poll(1))["state"], kept(runtime, poll(1))["times"]) == ("done", arrivals)


def test_a_reason_that_no_database_can_store_is_escaped(runtime: Runtime) -> None:
    runtime.inbox.append([poll(1), poll(2)])
    settle(runtime, runtime.inbox.claim(1, 60), "parked", "a \x00 and a \ud800" + "x" * 5000)
    runtime.inbox.put_back(runtime.inbox.claim(1, 60)[0], "a \x00", 60)

    assert str(kept(runtime, poll(1))["reason"]).startswith("a \\x00 and a \\ud800xxx")
    assert len(str(kept(runtime, poll(1))["reason"])) == 2000
    assert kept(runtime, poll(2))["reason"] == "a \\x00"


def test_what_is_put_back_waits_and_is_parked_when_it_has_had_its_tries(runtime: Runtime) -> None:
    runtime.inbox.append([poll(1)])
    for tries in range(1, MAX_TRIES + 1):
        (claimed,) = runtime.inbox.claim(10, 60)
        assert (claimed.tries, kept(runtime, poll(1))["state"]) == (tries, "waiting")
        runtime.inbox.put_back(claimed, "the disk is full", 0)
    runtime.inbox.append([poll(2)])
    runtime.inbox.put_back(runtime.inbox.claim(10, 60)[0], "the disk is full", 60)

    assert (kept(runtime, poll(1))["state"], kept(runtime, poll(1))["reason"]) == ("parked", "the disk is full")
    assert kept(runtime, poll(2))["state"] == "waiting"
    assert runtime.inbox.claim(10, 60) == []


# looking after what is kept


def test_what_waits_is_counted_by_provider_and_its_age_is_told(runtime: Runtime) -> None:
    now = RECEIVED + timedelta(hours=1)
    assert (runtime.inbox.counts(), runtime.inbox.oldest_waiting(now), runtime.inbox.waiting()) == ({}, None, 0)
    runtime.inbox.append([poll(1), poll(2, minute=10), hook(1, 1), message("rye", b"", received_at=RECEIVED)])
    settle(runtime, runtime.inbox.claim(1, 60), "parked", "why")
    settle(runtime, runtime.inbox.claim(1, 60))

    assert runtime.inbox.waiting() == 2
    assert runtime.inbox.oldest_waiting(now) == timedelta(minutes=59) - timedelta(milliseconds=1)
    assert sum(runtime.inbox.counts().values()) == 3
    assert runtime.inbox.counts("done") | runtime.inbox.counts() == runtime.inbox.counts("waiting", "parked", "done")
    assert runtime.inbox.counts()["clickpost", "waiting"] == 2


def test_an_id_may_be_shortened_as_long_as_it_means_one_message(runtime: Runtime) -> None:
    runtime.inbox.append(numbers(50))
    whole = numbers(50)[0].message_id
    with runtime.database.transaction() as transaction:
        transaction.execute(
            "UPDATE {s}messages SET message_id = :twin WHERE message_id = :id",
            twin=whole[:10] + "f" * 22,
            id=numbers(50)[1].message_id,
        )

    kept = runtime.kept
    assert kept.ids([whole, whole[:11], numbers(50)[2].message_id[:8]]) == [whole, numbers(50)[2].message_id]
    for wrong, error in (
        (whole[:10], UsageError),
        (whole[:7], UsageError),
        (whole.upper() + "G", UsageError),
        ("%" * 8, UsageError),
        ("0" * 32, NoSuchMessage),
    ):
        with pytest.raises(error):
            kept.show(wrong)
    with pytest.raises(UsageError, match="limit"):
        kept.ids([whole] * 1001)


def test_a_discarded_message_is_counted_and_not_read_when_it_arrives_again(runtime: Runtime) -> None:
    runtime.inbox.append([poll(1)])
    settle(runtime, runtime.inbox.claim(1, 60), "parked", "unreadable")
    runtime.kept.discard([poll(1).message_id], " an error page\n")
    runtime.inbox.append([poll(1)])

    row = kept(runtime, poll(1))
    assert (row["state"], row["reason"], row["times"]) == ("discarded", "an error page; before: unreadable", 2)
    assert runtime.inbox.claim(10, 60) == []
    runtime.kept.retry([poll(1).message_id])
    assert len(runtime.inbox.claim(10, 60)) == 1


def test_what_is_done_or_waits_is_not_tried_again_and_what_is_done_not_discarded(runtime: Runtime) -> None:
    runtime.inbox.append([poll(1), poll(2, 1), poll(3, 2)])
    settle(runtime, runtime.inbox.claim(1, 60))
    settle(runtime, runtime.inbox.claim(1, 60), "parked", "why")
    done, parked, waiting = (poll(n).message_id for n in (1, 2, 3))

    for ids in ([done], [waiting], [parked, done]):
        with pytest.raises(NoSuchMessage, match="only what is parked or ignored or discarded can be tried again"):
            runtime.kept.retry(ids)
    with pytest.raises(NoSuchMessage, match=f"message {done} is done"):
        runtime.kept.discard([parked, done], "all of it")
    for reason in ("", " \n", "x" * 501):
        with pytest.raises(UsageError, match="reason"):
            runtime.kept.discard([parked], reason)
    assert states(runtime) == {"done": 1, "parked": 1, "waiting": 1}


def test_parked_messages_of_one_provider_are_tried_again(runtime: Runtime) -> None:
    runtime.inbox.append([poll(1), *numbers(3), poll(2)])
    settle(runtime, [one for _ in range(5) for one in runtime.inbox.claim(1, 60)], "parked", "why")

    assert runtime.kept.retry_parked("rye") == [m.message_id for m in sorted(numbers(3), key=lambda m: m.received_at)]
    assert states(runtime) == {"parked": 2, "waiting": 3}
    assert len(runtime.kept.retry_parked()) == 2


# erasing


DAY = timedelta(days=1)
STATES = ("waiting", "parked", "done", "ignored", "discarded")


@pytest.fixture
def aged(runtime: Runtime) -> Kept:
    """One message of each state for each of the ages 0 to 9 days."""
    told = [
        message("rye", f"{state} {age}".encode(), received_at=RECEIVED - age * DAY)
        for state in STATES
        for age in range(10)
    ]
    runtime.inbox.append(told)
    with runtime.database.transaction() as transaction:
        transaction.execute_many(
            "UPDATE {s}messages SET state = :state WHERE message_id = :id",
            [{"state": m.body.split()[0].decode(), "id": m.message_id} for m in told],
        )
    return runtime.kept


def test_what_is_old_is_erased_by_age_and_state_and_never_what_waits(aged: Kept, runtime: Runtime) -> None:
    retention = Retention(done=5 * DAY, ignored=9 * DAY, discarded=None)

    assert aged.purgeable(RECEIVED, retention) == {"done": 5, "ignored": 1}
    assert states(runtime) == dict.fromkeys(STATES, 10)
    assert aged.purge(RECEIVED, retention) == {"done": 5, "ignored": 1}
    assert aged.purge(RECEIVED, retention) == {"done": 0, "ignored": 0}
    assert states(runtime) == {"waiting": 10, "parked": 10, "done": 5, "ignored": 9, "discarded": 10}
    left = runtime.database.tuples("SELECT MIN(last_received_at) AS x FROM {s}messages WHERE state = 'done'")
    assert left[0][0] in (RECEIVED - 4 * DAY, (RECEIVED - 4 * DAY).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def test_parked_messages_are_erased_only_when_that_is_asked_for(aged: Kept, runtime: Runtime) -> None:
    everything = Retention(*[timedelta(0)] * 4)

    assert aged.purge(RECEIVED, everything, ["ignored"]) == {"ignored": 10}
    assert aged.purge(RECEIVED, everything, ["parked"]) == {"parked": 10}
    with pytest.raises(UsageError, match="'waiting'"):
        aged.purge(RECEIVED, everything, ["done", "waiting"])
    assert states(runtime) == {"waiting": 10, "done": 10, "discarded": 10}


def test_more_than_one_slice_is_erased(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trackledger.adapters.kept.SLICE", 7)
    runtime.inbox.append(numbers(60))
    settle(runtime, runtime.inbox.claim(40, 60))

    assert runtime.kept.purge(datetime.now(UTC) + 400 * DAY, Retention()) == {"done": 40, "ignored": 0, "discarded": 0}
    assert states(runtime) == {"waiting": 20}
