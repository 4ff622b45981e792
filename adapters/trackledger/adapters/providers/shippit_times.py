"""When did it happen, as Shippit tells it?

A webhook writes instants with an offset. A poll writes a date and a time of day and no zone for them; no page says
which it is, so they are read in the zone that the account is configured with.
"""

import re
from datetime import time, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from trackledger.adapters.providers.reading import iso, shown
from trackledger.domain.errors import Unreadable
from trackledger.domain.moments import Moment, Precision, day

ZONE = "Australia/Sydney"
"""Where Shippit is at home; the zone of polls unless another is configured."""

# Shippit's own example has `2015-04-03T00:00:00.000Z` for a date and 58985, its second of the day, for a time.
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ][0-9:.+Z -]*)?")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.][0-9]{1,9})?)?")
_SECONDS = re.compile(r"([0-9]{1,5})(?:[.][0-9]*)?")
_DAY = 24 * 60 * 60


def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name, Sydney's for none. Raises `ValueError` for a name that is none."""
    try:
        return ZoneInfo(name.strip() or ZONE)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{shown(name)}: the name of a zone like {ZONE} is needed") from None


def local(date: str, clock: str, field: str, where: ZoneInfo) -> Moment:
    """What a row of a poll says, read in an assumed zone; its text is the pair as it came.

    The day is the first ten characters of `date` and is never shifted by a `Z` behind them; without a time of day it is
    all there is.
    """
    said = f"{date} {clock}".strip()
    match = _DATE.fullmatch(date.strip())
    if match is None:
        raise Unreadable(f"shippit: {field}.date is {shown(date)}: a date like 2026-03-05 is needed")
    digits = _digits(clock.strip(), f"{field}.timestamp")
    return replace(iso("shippit", f"{match[1]} {digits}".strip(), f"{field}.date", where), said=said)


def _digits(clock: str, field: str) -> str:
    """The time of day as `HH:MM:SS`, from that, without zeros or seconds, or from seconds since midnight."""
    if match := _CLOCK.fullmatch(clock):
        return f"{match[1]:0>2}:{match[2]}:{match[3] or '00'}"
    if (match := _SECONDS.fullmatch(clock)) and int(match[1]) < _DAY:
        return str(timedelta(seconds=int(match[1]))).rjust(8, "0")
    if clock:
        raise Unreadable(f"shippit: {field} is {shown(clock)}: a time of day like 16:23:05 is needed")
    return ""


def instant(said: str, field: str, where: ZoneInfo) -> Moment:
    """What a row of a webhook says, to the second; `where` is for one that lacks its offset."""
    occurred = iso("shippit", said, field, where)
    return replace(occurred, at=occurred.at.replace(microsecond=0)) if occurred.at.microsecond else occurred


def expected(said: str, field: str, where: ZoneInfo) -> Moment:
    """When a delivery is expected. A local midnight is how a day without a time is written, and is read as that day."""
    due = iso("shippit", said, field, where)
    at_midnight = (due.at + timedelta(minutes=due.offset)).time() == time()
    if due.precision is Precision.DAY or not at_midnight:
        return due
    return day(due.local_date, said, due.offset, due.zone)
