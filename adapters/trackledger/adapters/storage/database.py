"""What must a database offer so that one recorder and one table store serve both?"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from trackledger.projections.table import Dialect, Reader, Table

if TYPE_CHECKING:
    from eventsourcing.persistence import StoredEvent

    from trackledger.projections.projector import Waiter


class InUse(Exception):
    """A table could not be locked, as somebody is reading it, or what was deleted is held back by somebody who may
    still see it; the text says by whom."""


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

    def fill(self, table: Table[Any], values: Sequence[tuple[Any, ...]], name: str) -> None:
        """Insert rows of which none is there yet, given as values in column order, into the table of another name."""
        ...

    def delete(self, table: Table[Any], keys: Iterable[Any], name: str = "") -> None:
        """Delete rows by key."""
        ...

    def rename(self, name: str, to: str) -> None:
        """Give a table another name. Views that people made read by name on SQLite, and go with it on PostgreSQL."""
        ...

    def onlookers(self, names: Sequence[str]) -> list[str]:
        """The views, other than those of these names, that would go on reading tables and views which are replaced."""
        ...

    def access(self, names: Sequence[str]) -> list[str]:
        """Statements that give what will have these names the owner and the privileges of what has them now."""
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

    def pages(self, sql: str, size: int, **params: Any) -> Iterator[list[tuple[Any, ...]]]:
        """Rows as bare tuples, at most so many at a time and in memory; take them all before the next such question."""
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

    def scrub(self, names: Sequence[str]) -> None:
        """Make what was deleted from these tables, and what earlier versions of their rows held, leave the files of the
        database, which a deletion alone does not. It takes as long as writing the tables anew, and others who write to
        them wait. Raises `InUse` when somebody holds it back for longer than a few seconds; ask again then.

        Backups, PostgreSQL's archived and not yet recycled log, and blocks that the file system has freed are beyond
        its reach.
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
