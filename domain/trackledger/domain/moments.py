"""When did it happen, how exactly do we know, and who says in which zone?"""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from trackledger.domain.errors import InvalidStatement

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_EARLIEST_DIGITS = EARLIEST.replace(tzinfo=None)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class Precision(StrEnum):
    """The unit the source spoke in. A `DAY` covers the whole local day and is stored as its first instant."""

    SECOND = "second"
    DAY = "day"


class ZoneSource(StrEnum):
    """Where the zone of a time came from.

    `STATED`: the source wrote it and its zone can be believed. `ASSUMED`: the source wrote local digits and we read
    them in a zone we were told or know from its documentation. `UNKNOWN`: nobody knows; the digits were read as UTC.
    """

    STATED = "stated"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"


class Moment(Struct, frozen=True, omit_defaults=True, gc=False):
    """One time as it was said, and the instant we take it for.

    `at` is always in UTC, between 2000 and 2100; `said` is the source's own text; `offset` is the number of minutes
    east of UTC in which the text was read, so that the local day can be recovered.
    """

    at: datetime
    said: str
    zone: ZoneSource = ZoneSource.STATED
    offset: int = 0
    precision: Precision = Precision.SECOND

    @property
    def local_date(self) -> date:
        """The calendar day the source meant."""
        return (self.at + timedelta(minutes=self.offset)).date()

    @property
    def end(self) -> datetime:
        """The first instant after what was said: the next local midnight for a day, the instant itself otherwise."""
        return self.at + timedelta(days=1) if self.precision is Precision.DAY else self.at


@lru_cache(maxsize=2048)
def _minutes(offset: int) -> timedelta:
    return timedelta(minutes=offset)


def moment(
    local: datetime, said: str, zone: ZoneSource, offset: int, precision: Precision = Precision.SECOND
) -> Moment:
    """Read zoneless local digits at `offset` minutes east of UTC.

    Raises `InvalidStatement` for a time that carries a zone of its own or lies outside 2000 to 2100.
    """
    if local.tzinfo is not None:
        raise InvalidStatement(f"time {said!r} already has a zone; pass its local digits and its offset")
    try:
        # A sum, as `replace(tzinfo=UTC)` takes nine times as long, and this is done for every checkpoint that is heard.
        at = EARLIEST + (local - _EARLIEST_DIGITS - _minutes(offset))
    except OverflowError:
        raise InvalidStatement(f"time {said!r} is not between the years 2000 and 2100") from None
    if not EARLIEST <= at < LATEST:
        raise InvalidStatement(f"time {said!r} is not between the years 2000 and 2100")
    return Moment(at, said, zone, offset, precision)


def day(of: date, said: str, offset: int, zone: ZoneSource = ZoneSource.ASSUMED) -> Moment:
    """A calendar day in the zone `offset` minutes east of UTC."""
    return moment(datetime(of.year, of.month, of.day), said, zone, offset, Precision.DAY)  # noqa: DTZ001 (local digits)


def require_aware(instant: datetime, what: str) -> datetime:
    """The same instant in UTC. Raises `InvalidStatement` when it has no zone: we never invent one."""
    if instant.tzinfo is None:
        raise InvalidStatement(f"{what} {instant.isoformat()} has no zone; give it one, for example +00:00")
    return instant.astimezone(UTC)
