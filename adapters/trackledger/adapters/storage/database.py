"""What must a database offer so that one recorder and one table store serve both?"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from trackledger.projections.table import Dialect, Reader, Table

if TYPE_CHECKING:
    from eventsourcing.persistence import StoredEvent

    from trackledger.projections.projector import Waiter


class InUse(Exception):
    """A table could not be locked, as somebody is reading it."""


class Transaction(Reader, Protocol):
    """One transaction: what is written in it is committed together, or not at all.

    Everywhere, `{s}` in SQL stands for the schema prefix and parameters are written `:name`.
    """

    def execute(self, sql: str, **params: Any) -> int:
        """Run a statement; the number of rows it touched."""
        ...

    def execute_many(self, sql: str, rows: Sequence[dict[str, Any]]) -> None:
        """Run a statement once for each set of parameters, without waiting for each."""
        ...

    def append(self, events: "Sequence[StoredEvent]") -> list[int]:
        """Append events; their notification ids, which follow on the ledger's last without gaps.

        Raises the library's `IntegrityError` when another writer stored one of these versions.
        """
        ...

    def insert(self, table: Table[Any], rows: Sequence[Any]) -> None:
        """Insert rows; raises the library's `IntegrityError` when a key is taken."""
        ...

    def upsert(self, table: Table[Any], rows: Sequence[Any], name: str = "") -> None:
        """Write rows over those with their keys, into the table of another `name` if given."""
        ...

    def delete(self, table: Table[Any], keys: Iterable[Any], name: str = "") -> None:
        """Delete rows by key."""
        ...

    def lock_out(self, names: Sequence[str]) -> None:
        """Keep readers from tables and views until the end of the transaction, where they would hinder replacing them.

        Raises `InUse` rather than wait for long for those that are reading, as others would have to wait behind.
        """
        ...


class Snapshot(Reader, Protocol):
    """A moment of one ledger: whatever is read in it was so at once, however much is written meanwhile."""

    def tuples(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        """Rows as bare tuples, for the hot paths."""
        ...


class Database(Reader, Protocol):
    """One ledger's schema on one database. Safe to use from several threads."""

    dialect: Dialect
    schema: str

    def tuples(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        """Rows as bare tuples, for the hot paths."""
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """One moment of the ledger, to be read for as long as the block lasts; it holds back no writer."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A writing transaction, which commits at the end of the block. Raises the library's persistence errors."""
        ...

    def any_of(self, column: str, parameter: str) -> str:
        """The condition that a column is among the values of a list parameter."""
        ...

    def each(self, parameter: str) -> str:
        """The values of a list parameter as the table `k` with the column `value`."""
        ...

    def look_up(self, table: str, alias: str, column: str, equals: str) -> str:
        """A join that looks rows up by index, value by value, whatever the database believes of the table's size.

        A young table has no statistics, and reading it whole for each batch would slow down as it grows.
        """
        ...

    def wake(self) -> None:
        """Tell the waiters of other processes that something was committed, where the database does not."""
        ...

    def waiter(self) -> "Waiter":
        """A new waiter."""
        ...

    def close(self) -> None:
        """Close every connection; the object cannot be used afterwards."""
        ...
