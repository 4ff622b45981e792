"""When is a tracker asked about again, and why then?

The provider says how long to wait (`Cadence`); what is here stretches that when there is less to learn, and ends it
when there is nothing more. All numbers are our own defaults. Pure: time and chance enter as arguments.
"""

from datetime import datetime, timedelta

from msgspec import Struct

from trackledger.adapters.providers.base import Cadence
from trackledger.domain.milestones import FINAL, Milestone

FRESH = 2
"""Webhooks are fresh while the last is no older than so many intervals; then an interval is `SLOWER` times as long."""

SLOWER = 4

UNCHANGED = 3
"""After so many equal answers in a row an interval is doubled, after as many more again, up to `LONGEST`."""

LONGEST = timedelta(days=1)

RECONCILED = timedelta(days=1)
"""Where one call tells everything that changed, a single tracker is asked about only to see that nothing was missed;
unless that call has not come through for as long."""

CONFIRMED = timedelta(days=1)
"""So long after the end of a journey it is asked once more whether that was the end."""

UNKNOWN = (timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
"""Waits after the first answers that the provider does not know it yet; the last one repeats."""

UNKNOWN_TIMES = 14
"""After so many such answers in a row it is taken for a mistake."""

SILENT = timedelta(days=60)
"""After so long without any news of an open shipment it has expired."""

FAILED = timedelta(minutes=1)
"""The wait after a call without an answer, doubled with each further one up to `FAILED_LONGEST`."""

FAILED_LONGEST = timedelta(hours=6)

SPREAD = 0.1
"""Waits are stretched by up to this share, so that what was asked together does not stay together."""

SLOT = timedelta(minutes=5)
"""Within so long after one of a provider's minutes all its trackers are asked."""

MISSED = timedelta(minutes=10)
"""One that could not be asked about for so long after its time in a provider's minute waits for the next one."""


class Seen(Struct, frozen=True):
    """What is known of one tracker when it has just been asked about.

    `heard_at` is when anything new was heard last, or when it was scheduled; `webhook_at` when a webhook last told
    something new; `since` when its status began; `swept_at` up to when changes were asked for. The three counts are
    those of `ScheduleRow`, this call included.
    """

    milestone: Milestone
    heard_at: datetime
    service: str = ""
    since: datetime | None = None
    webhook_at: datetime | None = None
    swept_at: datetime | None = None
    failures: int = 0
    unknown: int = 0
    unchanged: int = 0


class Next(Struct, frozen=True):
    """When to ask again, None for never, and why. What is not asked about any more is either `over`, until something
    new is heard of it, or somebody has to look at it."""

    at: datetime | None
    reason: str
    over: bool = False

    @property
    def state(self) -> str:
        """The state of a `ScheduleRow`."""
        return "asking" if self.at is not None else "over" if self.over else "stopped"


def first_ask(cadence: Cadence, now: datetime, chance: float) -> Next:
    """The time for a tracker that is new: at once, or at the provider's next minute."""
    if cadence.minutes:
        return Next(slot(cadence.minutes, now, now, chance), f"new, at {_minutes(cadence.minutes)}")
    return Next(now, "new")


def missed(cadence: Cadence, late: timedelta, now: datetime, chance: float) -> Next | None:
    """The next time for a tracker that is `late` and has therefore missed its minute, else None."""
    if not cadence.minutes or late <= MISSED:
        return None
    return Next(slot(cadence.minutes, now, now, chance), f"its minute was missed, at {_minutes(cadence.minutes)}")


def next_ask(cadence: Cadence, sweep: str, seen: Seen, now: datetime, chance: float) -> Next:
    """The next time for a tracker that was asked about at `now`, always later than that. `sweep` is what the provider's
    call for changes yields; `chance` is between 0 and 1."""
    if seen.failures:
        wait = min(FAILED * 2 ** min(seen.failures - 1, 20), FAILED_LONGEST)
        return _after(cadence, wait, now, chance, f"no answer {_times(seen.failures)}: after {shown(wait)} again")
    if seen.unknown >= UNKNOWN_TIMES:
        return Next(None, f"the provider did not know it {_times(seen.unknown)}; correct it, or have it asked again")
    if seen.unknown:
        wait = UNKNOWN[min(seen.unknown, len(UNKNOWN)) - 1]
        return _after(cadence, wait, now, chance, f"not known there yet, {_times(seen.unknown)}: after {shown(wait)}")
    if seen.milestone in FINAL:
        wait = max(seen.since or now, seen.heard_at) + CONFIRMED - now
        if wait <= timedelta():
            return Next(None, f"{seen.milestone}: the journey is over", over=True)
        return _after(cadence, wait, now, chance, f"{seen.milestone}: once more after {shown(CONFIRMED)}")
    if now - seen.heard_at > SILENT:
        return Next(None, f"nothing new for {shown(SILENT)}: it is taken to be over", over=True)
    wait, reason = _interval(cadence, sweep, seen, now)
    if cadence.minutes:
        # Counted from the minute in which it was asked, as it may have come later in that than in the next.
        wait -= now - max(start for start in _starts(cadence.minutes, now) if start <= now)
    return _after(cadence, wait, now, chance, reason)


def _interval(cadence: Cadence, sweep: str, seen: Seen, now: datetime) -> tuple[timedelta, str]:
    usual = cadence.interval(seen.milestone, seen.service)
    swept = sweep if seen.swept_at is not None and now - seen.swept_at <= RECONCILED else ""
    if swept == "messages":
        wait = max(usual, RECONCILED)
        return wait, f"every {shown(wait)}, as changes are swept"
    service = f" by {' '.join(seen.service.split())}" if seen.service.strip() else ""
    reason = f"{seen.milestone}{service}: every {shown(usual)}"
    wait = usual
    if swept or (seen.webhook_at is not None and now - seen.webhook_at <= FRESH * usual):
        wait *= SLOWER
        reason += f", {SLOWER} times that as {'changes are swept' if swept else 'webhooks are fresh'}"
    doubled = min(seen.unchanged // UNCHANGED, 10)
    if doubled and wait < LONGEST:
        wait *= 2**doubled
        reason += f", longer as {_times(seen.unchanged)} nothing was new"
    return max(min(wait, LONGEST), usual), reason


def _after(cadence: Cadence, wait: timedelta, now: datetime, chance: float, reason: str) -> Next:
    if not cadence.minutes:
        return Next(now + wait * (1 + SPREAD * chance), reason)
    return Next(slot(cadence.minutes, now, now + wait, chance), f"{reason}, only at {_minutes(cadence.minutes)}")


def slot(minutes: tuple[int, ...], now: datetime, earliest: datetime, chance: float) -> datetime:
    """The next of a provider's minutes, not before `earliest`, and a little after it by chance; never one that has
    begun by `now`."""
    starts = _starts(minutes, max(now, earliest))
    return min(start for start in starts if start > now and start >= earliest) + SLOT * chance


def _starts(minutes: tuple[int, ...], now: datetime) -> list[datetime]:
    """The minutes of this hour, the one before and the one after."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return [hour + timedelta(hours=later, minutes=minute) for later in (-1, 0, 1) for minute in minutes]


def shown(span: timedelta) -> str:
    """A span of time in its largest whole unit."""
    seconds = round(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _minutes(minutes: tuple[int, ...]) -> str:
    return " and ".join(f":{minute:02}" for minute in minutes)
