"""Is a tracker asked about as often as its provider's rules and its state want it, and for a reason that is told?"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackledger.adapters import due
from trackledger.adapters.due import Next, Seen, first_ask, missed, next_ask, slot
from trackledger.adapters.providers import PROVIDERS, provider
from trackledger.adapters.providers.base import Cadence
from trackledger.domain.milestones import FINAL, Milestone

M = Milestone
NOW = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOURLY = Cadence(HOUR)
TWICE = Cadence(30 * MINUTE, minutes=(5, 35))


def seen(milestone: Milestone = M.IN_TRANSIT, **values: Any) -> Seen:
    return Seen(milestone, **({"heard_at": NOW - HOUR} | values))


def asked(
    this: Seen, cadence: Cadence = HOURLY, sweep: str = "", now: datetime = NOW, chance: float = 0.0
) -> tuple[timedelta | None, str]:
    """How long after now it is asked about again, and why then."""
    next_ = next_ask(cadence, sweep, this, now, chance)
    return None if next_.at is None else next_.at - now, next_.reason


def at(clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return NOW.replace(hour=hour, minute=minute)


# what the provider's rules say


@pytest.mark.parametrize(
    ("service", "milestone", "wait"),
    [
        ("standard", M.INFO_RECEIVED, "6 h"),
        ("standard", M.IN_TRANSIT, "4 h"),
        ("standard", M.OUT_FOR_DELIVERY, "1 h"),
        ("express", M.INFO_RECEIVED, "3 h"),
        ("express", M.IN_TRANSIT, "2 h"),
        ("Express", M.OUT_FOR_DELIVERY, "30 min"),
        ("priority", M.IN_TRANSIT, "15 min"),
        ("on_demand", M.INFO_RECEIVED, "10 min"),
        ("on_demand", M.IN_TRANSIT, "5 min"),
        ("on_demand", M.OUT_FOR_DELIVERY, "3 min"),
        ("a level of tomorrow", M.IN_TRANSIT, "4 h"),
    ],
)
def test_shippit_is_asked_by_service_level_and_state(service: str, milestone: Milestone, wait: str) -> None:
    interval, reason = asked(seen(milestone, service=service), provider("shippit").cadence)

    assert interval is not None and due.shown(interval) == wait
    assert reason == f"{milestone} by {service}: every {wait}"


def test_a_shipment_without_a_service_level_is_asked_about_as_its_state_wants() -> None:
    assert asked(seen(), provider("shippit").cadence) == (4 * HOUR, "in_transit: every 4 h")


@pytest.mark.parametrize(
    ("now", "chance", "then"),
    [
        ("12:04", 0.0, "12:05"),  # asked late in the slot of 11:35
        ("12:05", 0.0, "12:35"),
        ("12:09", 1.0, "12:40"),
        ("12:34", 0.0, "12:35"),
        ("12:35", 0.0, "13:05"),
        ("12:59", 0.5, "13:07"),
    ],
)
def test_shiplemon_is_asked_in_its_two_minutes_and_a_little_after(now: str, chance: float, then: str) -> None:
    interval, reason = asked(seen(), provider("shiplemon").cadence, now=at(now), chance=chance)

    assert interval is not None
    assert (at(now) + interval).replace(second=0) == at(then)
    assert reason == "in_transit: every 30 min, only at :05 and :35"


def test_a_longer_wait_ends_in_one_of_the_minutes_too() -> None:
    failed = seen(failures=7)

    interval, reason = asked(failed, TWICE, now=at("12:09"))
    assert interval == at("13:35") - at("12:09")  # the next after 64 minutes
    assert reason == "no answer 7 times: after 64 min again, only at :05 and :35"


def test_a_new_tracker_is_asked_about_at_once_or_at_the_next_minute() -> None:
    assert first_ask(HOURLY, NOW, 0.9) == Next(NOW, "new")
    assert first_ask(TWICE, at("12:05"), 0.0) == Next(at("12:35"), "new, at :05 and :35")
    assert first_ask(TWICE, at("12:04"), 0.0) == Next(at("12:05"), "new, at :05 and :35")


def test_a_missed_minute_is_not_made_up_for() -> None:
    assert missed(TWICE, 10 * MINUTE, at("12:16"), 0.0) is None
    assert missed(TWICE, 11 * MINUTE, at("12:16"), 0.0) == Next(at("12:35"), "its minute was missed, at :05 and :35")
    assert missed(TWICE, 30 * DAY, at("12:16"), 0.0) == Next(at("12:35"), "its minute was missed, at :05 and :35")
    assert missed(HOURLY, 30 * DAY, NOW, 0.0) is None


# what makes it slower


def test_webhooks_make_asking_slower_while_they_are_fresh() -> None:
    fresh = seen(webhook_at=NOW - 2 * HOUR)

    assert asked(fresh) == (4 * HOUR, "in_transit: every 1 h, 4 times that as webhooks are fresh")
    assert asked(seen(webhook_at=NOW - 2 * HOUR - MINUTE)) == (HOUR, "in_transit: every 1 h")


@pytest.mark.parametrize(("times", "interval"), [(2, 1), (3, 2), (5, 2), (6, 4), (12, 16), (15, 24), (10_000, 24)])
def test_asking_gets_slower_while_nothing_is_new(times: int, interval: int) -> None:
    wait, reason = asked(seen(unchanged=times))

    assert wait == interval * HOUR
    assert reason == "in_transit: every 1 h" + (f", longer as {times} times nothing was new" if times > 2 else "")


def test_a_provider_that_tells_changes_is_asked_about_single_trackers_rarely() -> None:
    swept = seen(swept_at=NOW - 23 * HOUR)

    assert asked(swept, sweep="messages") == (DAY, "every 1 d, as changes are swept")
    assert asked(swept, sweep="references") == (4 * HOUR, "in_transit: every 1 h, 4 times that as changes are swept")


@pytest.mark.parametrize("swept_at", [None, NOW - DAY - MINUTE])
@pytest.mark.parametrize("sweep", ["messages", "references"])
def test_as_usual_while_changes_are_not_told(sweep: str, swept_at: datetime | None) -> None:
    assert asked(seen(swept_at=swept_at), sweep=sweep) == (HOUR, "in_transit: every 1 h")


# what ends it


@pytest.mark.parametrize("milestone", sorted(FINAL))
def test_the_end_of_a_journey_is_confirmed_once_and_asking_ends(milestone: Milestone) -> None:
    ended = seen(milestone, since=NOW - HOUR, heard_at=NOW - HOUR)
    confirming = next_ask(HOURLY, "", ended, NOW, 0.0)
    assert confirming == Next(NOW + 23 * HOUR, f"{milestone}: once more after 1 d")

    assert confirming.at is not None
    over = next_ask(HOURLY, "", ended, confirming.at, 0.0)
    assert over == Next(None, f"{milestone}: the journey is over", over=True)
    assert over.state == "over"


def test_what_is_heard_after_the_end_is_confirmed_too() -> None:
    late = seen(M.DELIVERED, since=NOW - 9 * DAY, heard_at=NOW - HOUR)

    assert asked(late) == (23 * HOUR, "delivered: once more after 1 d")


def test_the_end_is_confirmed_in_one_of_the_providers_minutes() -> None:
    interval, _ = asked(seen(M.DELIVERED, since=at("11:50"), heard_at=at("11:50")), TWICE)

    assert interval == at("12:05") + DAY - NOW


def test_what_a_provider_never_comes_to_know_is_taken_for_a_mistake() -> None:
    assert asked(seen(unknown=1)) == (5 * MINUTE, "not known there yet, once: after 5 min")
    assert asked(seen(unknown=2)) == (HOUR, "not known there yet, 2 times: after 1 h")
    assert asked(seen(unknown=13)) == (DAY, "not known there yet, 13 times: after 1 d")

    given_up = next_ask(HOURLY, "", seen(unknown=14), NOW, 0.0)
    assert (given_up.at, given_up.state) == (None, "stopped")
    assert given_up.reason == "the provider did not know it 14 times; correct it, or have it asked again"


def test_an_open_shipment_of_which_nothing_is_heard_is_over() -> None:
    assert asked(seen(heard_at=NOW - 60 * DAY))[0] == HOUR

    silent = next_ask(HOURLY, "", seen(heard_at=NOW - 60 * DAY - MINUTE), NOW, 0.0)
    assert (silent.at, silent.state) == (None, "over")
    assert silent.reason == "nothing new for 60 d: it is taken to be over"


# what failed


@pytest.mark.parametrize(("failures", "minutes"), [(1, 1), (2, 2), (5, 16), (9, 256), (10, 360), (1_000_000, 360)])
def test_a_call_without_an_answer_is_made_again_later_and_later(failures: int, minutes: int) -> None:
    interval, reason = asked(seen(failures=failures))

    assert interval == minutes * MINUTE
    assert reason.startswith(f"no answer {'once' if failures == 1 else f'{failures} times'}: after ")


def test_a_failure_says_nothing_about_the_journey() -> None:
    ended = seen(M.DELIVERED, since=NOW - 9 * DAY, heard_at=NOW - 99 * DAY, unknown=20, failures=1)

    assert asked(ended)[0] == MINUTE


# whatever is seen

INSTANTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
MAYBE = st.none() | INSTANTS
COUNTS = st.integers(0, 50)
CHANCES = st.floats(0, 1)
ANYTHING = st.builds(
    Seen,
    st.sampled_from(Milestone),
    INSTANTS,
    st.sampled_from(["", "express", "on_demand", " two\nlines "]),
    MAYBE,
    MAYBE,
    MAYBE,
    COUNTS,
    COUNTS,
    COUNTS,
)


@given(st.sampled_from(PROVIDERS), ANYTHING, INSTANTS, CHANCES)
def test_the_next_time_is_later_than_now_and_not_too_far_away(
    name: str, this: Seen, now: datetime, chance: float
) -> None:
    speaking = provider(name)
    cadence = speaking.cadence
    next_ = next_ask(cadence, speaking.abilities.sweep, this, now, chance)

    assert next_.reason and len(next_.reason.splitlines()) == 1
    if next_.at is None:
        assert next_.state in ("over", "stopped")
        return
    assert next_.state == "asking" and now < next_.at
    usual = cadence.interval(this.milestone, this.service)
    longest = max(usual, DAY, max(this.since or now, this.heard_at) + DAY - now if this.milestone in FINAL else DAY)
    assert next_.at <= now + longest * 1.1 + (HOUR if cadence.minutes else timedelta())
    if cadence.minutes:
        assert next_.at.minute in {minute + late for minute in cadence.minutes for late in range(6)}
    elif not (this.failures or this.unknown or this.milestone in FINAL):
        assert next_.at >= now + usual


@given(st.sampled_from(PROVIDERS), ANYTHING, INSTANTS, CHANCES)
def test_chance_only_puts_off_and_by_a_tenth(name: str, this: Seen, now: datetime, chance: float) -> None:
    speaking = provider(name)
    soonest = next_ask(speaking.cadence, speaking.abilities.sweep, this, now, 0.0)
    other = next_ask(speaking.cadence, speaking.abilities.sweep, this, now, chance)

    if soonest.at is None or other.at is None:
        assert soonest == other
        return
    spread = timedelta(minutes=5) if speaking.cadence.minutes else (soonest.at - now) * 0.1 + timedelta(microseconds=1)
    assert soonest.at <= other.at <= soonest.at + spread


@given(INSTANTS, INSTANTS, CHANCES)
def test_a_slot_never_begins_early(now: datetime, earliest: datetime, chance: float) -> None:
    found = slot((5, 35), now, earliest, chance)
    begins = found - timedelta(minutes=5) * chance

    assert begins > now and begins >= earliest
    assert begins - max(now, earliest) <= timedelta(minutes=30)
    assert begins.minute in (5, 35) and abs(begins.second + begins.microsecond / 1e6) < 0.001


@pytest.mark.parametrize(
    ("span", "said"), [(90 * MINUTE, "90 min"), (48 * HOUR, "2 d"), (timedelta(seconds=61), "61 s"), (2 * HOUR, "2 h")]
)
def test_spans_are_told_in_their_largest_whole_unit(span: timedelta, said: str) -> None:
    assert due.shown(span) == said
