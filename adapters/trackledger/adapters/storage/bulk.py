"""How is a whole ledger written at once, where there is none yet?"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from trackledger.adapters.storage import kind_of
from trackledger.projections.table import Dialect, Table

if TYPE_CHECKING:
    from trackledger.adapters.storage.database import Database, Snapshot

Values = tuple[Any, ...]
Plain = Callable[[Sequence[Values]], Sequence[Values]]
"""Turns rows of a table, as values in column order, into what its driver takes."""


class Filled(Struct, frozen=True):
    """What a ledger holds that was written at once: events and shipments, and `checkpoints` among their rows;
    `poisoned` are shipments that cannot be folded, which have no rows. See `projections.digest` for the digest."""

    events: int
    shipments: int
    checkpoints: int
    poisoned: int
    position: int
    digest: str


class Bulk(Protocol):
    """A ledger that is being made. Nobody sees any of it before the end of the block that opened it, when it is there
    as a whole; a block that ends by an exception leaves nothing behind.

    Both ways to write raise the library's `IntegrityError` for a key that is there already; then the block has to end.
    """

    reader: "Snapshot"
    """Reads what was written so far."""

    def events(self, rows: Sequence[tuple[int, str, int, str, bytes]]) -> None:
        """Write stored events: position, shipment id, version, topic, state."""
        ...

    def write(self, table: Table[Any], rows: Sequence[Values]) -> None:
        """Write rows that `plain` has made ready; fastest in the order of their keys."""
        ...


def plain(dialect: Dialect, table: Table[Any]) -> Plain:
    """See `Plain`."""
    if dialect == "postgresql":
        return lambda rows: rows
    made: Plain = import_module("trackledger.adapters.storage.sqlite").plain_values(table)
    return made


def new_ledger(url: str, source: "Database | None" = None, option: str = "--into") -> AbstractContextManager[Bulk]:
    """Make a ledger at a URL at which there is nothing yet: no file, or an empty one; no schema, or an empty one.

    Raises `UsageError` where something is, also where it is the ledger `source` itself, and `Refused` for a place that
    cannot be written to. `option` is the one that gave the URL.
    """
    made: AbstractContextManager[Bulk] = _module(url).new(url, source, option)
    return made


def empty_ledger(url: str) -> AbstractContextManager[Bulk]:
    """Fill the ledger at a URL that is there and holds no event yet; nobody appends to it meanwhile.

    Raises `UsageError` where it holds any. Whatever else it holds, such as messages, stays.
    """
    filled: AbstractContextManager[Bulk] = _module(url).empty(url)
    return filled


def _module(url: str) -> ModuleType:
    return import_module(f"trackledger.adapters.storage.{kind_of(url)}_bulk")
