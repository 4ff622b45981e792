"""What exactly is hashed of an event? Every field of it, as it is stored, and nothing that could be read otherwise."""

from typing import Any

from trackledger.domain.merkle import leaf_hash
from trackledger.projections.digest import Tuples
from trackledger.projections.table import Dialect

_OTHERWISE = "CAST(typeof({0}) || ' ' || {0} AS BLOB)"
"""What an SQLite column holds that is of another type than it should be: no query finds it any more, so that it is not
what was recorded, whatever its bytes are."""

_TEXT = {
    "sqlite": f"CASE typeof({{0}}) WHEN 'text' THEN CAST({{0}} AS BLOB) ELSE {_OTHERWISE} END",
    "postgresql": "convert_to({0}, 'UTF8')",
}
_BYTES = {"sqlite": f"CASE typeof({{0}}) WHEN 'blob' THEN {{0}} ELSE {_OTHERWISE} END", "postgresql": "{0}"}

Stored = tuple[int, bytes, int, bytes, bytes]
"""One event as it is stored: position, shipment id, version, topic, state. The texts are bytes too, as they may have
been damaged so that they are no text any more."""


def event_hash(position: int, shipment_id: bytes, version: int, topic: bytes, state: bytes) -> bytes:
    """The leaf of the event at a position, counted from 1; it is the leaf `position - 1` of the tree."""
    # Written with %a, a version that was damaged to be no whole number is none. Ids and topics hold no line's end.
    return leaf_hash(b"%d\n%b\n%a\n%b\n%b" % (position, shipment_id, version, topic, state))


def as_bytes(dialect: Dialect, column: str) -> str:
    """The expression that reads a text as it is stored, also where it is no UTF-8, of which SQLite makes an error."""
    return _TEXT[dialect].format(column)


def bytes_of(dialect: Dialect, column: str) -> str:
    """The expression that reads bytes as they are stored; other ones where SQLite holds something else there."""
    return _BYTES[dialect].format(column)


def in_words(text: bytes) -> str:
    """A stored text, to be shown."""
    return text.decode("utf-8", "backslashreplace")


def stored(reader: Tuples, dialect: Dialect, first: int, last: int) -> list[Stored]:
    """The events from one position up to and including another, in order."""
    id_, topic, state = as_bytes(dialect, "originator_id"), as_bytes(dialect, "topic"), bytes_of(dialect, "state")
    found: list[Any] = reader.tuples(
        f"""SELECT notification_id, {id_}, originator_version, {topic}, {state} FROM {{s}}stored_events
            WHERE notification_id >= :first AND notification_id <= :last ORDER BY notification_id""",
        first=first,
        last=last,
    )
    return found
