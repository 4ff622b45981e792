"""How is a body read, and in which sentence is it refused?"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import from_json

from trackledger.domain.checkpoints import Report
from trackledger.domain.errors import InvalidStatement, Unreadable
from trackledger.domain.moments import EARLIEST, LATEST, Moment, ZoneSource, day, moment

MAX_BODY = 8 * 1024 * 1024
"""Bytes. A message above this is refused unread; the largest known honest one is under 1 MiB."""

MAX_TEXT = 4000

Text = Annotated[str, StringConstraints(max_length=MAX_TEXT, pattern=r"^[^\x00]*$")]
"""A provider's text as kept: up to 4,000 characters and no NUL, which PostgreSQL cannot store."""

Name = Annotated[str, Field(coerce_numbers_to_str=True, max_length=256, pattern=r"^[^\x00]*$")]
"""A text that shipments may be looked up by; some senders write numbers for it."""

Time = Annotated[str, Field(max_length=64)]
"""A time as the provider writes it."""


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a whole number is needed")
    return value


Whole = Annotated[int, BeforeValidator(_no_bool)]
"""A whole number, or the text of one. Pydantic alone would take `true` for 1."""


class Wire(BaseModel):
    """The shape of a message; providers add keys without notice, and those that are not listed are not read."""

    model_config = ConfigDict(extra="ignore")


T = TypeVar("T")
W = TypeVar("W", bound=BaseModel)
P = TypeVar("P")

Rows = Annotated[list[T], Field(fail_fast=True)]
"""A list that is read up to its first wrong element: telling of a million others would take seconds."""


def load(provider: str, body: bytes) -> Any:
    """A JSON body, for a provider whose messages differ so much that the body has to tell which model reads it.

    Raises `Unreadable` where it is not JSON, also for unpaired surrogates, numbers of more than 4,300 digits and
    nesting deeper than 200.
    """
    _limit(provider, body)
    try:
        return from_json(body)
    except ValueError as error:
        raise Unreadable(f"{provider}: the body is not JSON: {error}") from None


def load_object(provider: str, body: bytes) -> dict[str, Any]:
    """A JSON body that has to be an object. Raises `Unreadable` as `load` does, and for any other value."""
    value = load(provider, body)
    if not isinstance(value, dict):
        what = f"an array of {len(value):,}" if isinstance(value, list) else shown(value)
        raise Unreadable(f"{provider}: the body is {what}: it must be an object")
    return value


def read(model: type[W], provider: str, value: Any, at: str = "") -> W:
    """The wire model of a loaded value, found at the field path `at`. Raises `Unreadable` with one
    sentence that names the field and its value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Unreadable(f"{provider}: {_sentence(error, at)}") from None


def read_each(parts: Iterable[P], report: Callable[[P], Report | None]) -> list[Report]:
    """The report of every part of a message that tells of several parcels; a part that says nothing has none.

    A part that cannot be read holds back no other: all are tried, and then `Unreadable` is raised for the first of
    them, with the reports of the others and of whatever could be read of it. Such a part is also a second one about a
    parcel that says something else: nothing tells which of two whole histories is the whole one.
    """
    reports: list[Report] = []
    refused: list[Unreadable] = []
    told: dict[str, Report] = {}
    for part in parts:
        try:
            said = report(part)
        except Unreadable as reason:
            refused.append(reason)
            reports += reason.readable
            continue
        if said is None:
            continue
        first = told.setdefault(said.tracker.reference, said)
        if first is said:
            reports.append(said)
        elif first != said:
            tracker = said.tracker
            refused.append(Unreadable(f"{tracker.provider}: {shown(tracker.reference)} is told of twice, differently"))
    if refused:
        more = f"; {len(refused) - 1:,} more of its parcels cannot be read either" if len(refused) > 1 else ""
        raise Unreadable(f"{refused[0]}{more}", reports)
    return reports


def reference(provider: str, said: str, field: str, longest: int = 200) -> str:
    """A provider's id or number without blanks around it. Raises `Unreadable` unless it can name a tracker."""
    text = said.strip()
    if not 0 < len(text) <= longest or not text.isprintable():
        raise Unreadable(f"{provider}: {field} is {shown(said)}: 1 to {longest} printable characters are needed")
    return text


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)"
    r" ?(Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)


def iso(provider: str, said: str, field: str, zone: tzinfo | None = None) -> Moment:
    """The moment of an ISO 8601 text, fractions of a second cut at microseconds.

    A stated offset or `Z` is believed. Without one the digits are read in `zone`, as `ASSUMED`, or, when it is None, as
    UTC with the zone source `UNKNOWN`. A bare date is that day, in the same zone. Local digits that occur twice mean
    the first time; those that a clock change skipped move forward with it. Raises `Unreadable` naming the field.
    """
    text = said.strip()
    source = ZoneSource.UNKNOWN if zone is None else ZoneSource.ASSUMED
    try:
        if _DAY.fullmatch(text):
            of = date.fromisoformat(text)
            noon = datetime(of.year, of.month, of.day, 12)  # noqa: DTZ001 (local digits)
            return day(of, said, _offset(noon, zone), source)
        match = _TIME.fullmatch(text)
        if match is None:
            raise ValueError
        local = datetime.fromisoformat(f"{match[1]}T{match[2].replace(',', '.')}")
        if match[3] is None:
            return moment(local, said, source, _offset(local, zone))
        return moment(local, said, ZoneSource.STATED, _stated(match[3].upper()))
    except InvalidStatement as error:
        raise Unreadable(f"{provider}: {field}: {error}") from None
    except (ValueError, OverflowError):
        raise Unreadable(f"{provider}: {field} is {shown(said)}: a time like 2026-03-05T14:20:00Z is needed") from None


def _offset(local: datetime, zone: tzinfo | None) -> int:
    return 0 if zone is None else _minutes(zone.utcoffset(local))


@lru_cache(maxsize=256)
def _stated(offset: str) -> int:
    return _minutes(datetime.fromisoformat(f"2000-01-01T00:00{offset}").utcoffset())


def _minutes(offset: timedelta | None) -> int:
    return 0 if offset is None else int(offset.total_seconds()) // 60


def clock(provider: str, said: str, field: str) -> datetime:
    """The provider's own clock, in UTC whether or not the text says so. Raises `Unreadable` naming the field."""
    return iso(provider, said, field, UTC).at


def epoch(provider: str, said: float, field: str) -> datetime:
    """The instant of Unix seconds. Raises `Unreadable` outside the years 2000 to 2100."""
    if not EARLIEST.timestamp() <= said < LATEST.timestamp():
        raise Unreadable(f"{provider}: {field} is {shown(said)}: Unix seconds of 2000 to 2100 are needed")
    return datetime.fromtimestamp(said, UTC)


def _limit(provider: str, body: bytes) -> None:
    if len(body) > MAX_BODY:
        raise Unreadable(f"{provider}: the message has {len(body):,} bytes, over the limit of {MAX_BODY:,}")


def _sentence(error: ValidationError, at: str = "") -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    field = ".".join(str(part) for part in (at, *first["loc"]) if part != "") or "the body"
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"{field} is missing"
    if first["type"] == "string_pattern_mismatch":
        said = "it holds a NUL character"
    if first["type"] == "model_type":
        said = "it must be an object"
    return f"{field} is {shown(first['input'])}: {said[:1].lower()}{said[1:]}"


def shown(value: Any) -> str:
    """A value for a message to a person: as JSON, one line, at most 80 characters, safe to print."""
    try:
        text = json.dumps(value, ensure_ascii=True, default=repr)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."
