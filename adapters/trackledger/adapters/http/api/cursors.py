"""How does a client ask for the page that follows?"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Annotated, Any

import msgspec
from msgspec import Struct

from trackledger.adapters.http.problems import Problem
from trackledger.domain.corrections import MAX_TEXT
from trackledger.projections.table import Column, Kind

Instant = Annotated[datetime, msgspec.Meta(tz=True)]

_TYPES: dict[Kind, Any] = {
    Kind.TEXT: Annotated[str, msgspec.Meta(pattern=r"\A[^\x00]*\Z", max_length=MAX_TEXT)],
    Kind.INTEGER: Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)],
    Kind.BOOLEAN: bool,
    Kind.INSTANT: Instant,
    Kind.DAY: date,
}

_UNREADABLE = (ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What is raised by words that are no cursor, by times that UTC has no calendar for and by what is nested deeply."""


class Cursor(Struct, frozen=True, array_like=True):
    """Where a page ends: the digest of the question, the times by which it is answered, and the place of the last row.

    It holds no secret and admits to nothing: whose shipments are listed is said by the token each time.
    """

    question: str
    now: Instant
    known_at: Instant | None
    after: tuple[Any, ...]


def question(name: str, filters: Mapping[str, Any]) -> str:
    """The digest of a question, by its name and what was asked for."""
    said = msgspec.json.encode([name, sorted((key, value) for key, value in filters.items() if value is not None)])
    return sha256(said).hexdigest()[:12]


def write(cursor: Cursor) -> str:
    """The cursor as a word of an address."""
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def read(text: str, asked: str, columns: Sequence[Column]) -> Cursor:
    """The cursor of such a word, for the question with the digest `asked`, whose rows stand by these columns. Raises
    `Problem`, naming the parameter."""
    try:
        cursor = msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
        now, known_at = cursor.now.astimezone(UTC), cursor.known_at and cursor.known_at.astimezone(UTC)
    except _UNREADABLE:
        raise _wrong("is none that was given here; leave it out to begin with the first page") from None
    if cursor.question != asked or len(cursor.after) != len(columns):
        raise _wrong("belongs to another question; repeat all other parameters as they were, or leave it out")
    try:
        after = tuple(_value(value, column) for value, column in zip(cursor.after, columns, strict=True))
    except _UNREADABLE:
        raise _wrong("is none that was given here; leave it out to begin with the first page") from None
    return Cursor(cursor.question, now, known_at, after)


def _value(value: Any, column: Column) -> Any:
    if value is None and column.nullable:
        return None
    read = msgspec.convert(value, _TYPES[column.kind])
    return read.astimezone(UTC) if isinstance(read, datetime) else read


def _wrong(says: str) -> Problem:
    return Problem(422, f"cursor {says}", parameter="cursor")
