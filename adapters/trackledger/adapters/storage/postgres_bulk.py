"""How is a whole ledger written at once into one PostgreSQL schema?"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from eventsourcing.persistence import IntegrityError

from trackledger.adapters.storage import schema
from trackledger.adapters.storage.bulk import Values
from trackledger.adapters.storage.database import Database
from trackledger.adapters.storage.postgres import (
    EVENT_TYPES,
    Connection,
    PostgresDatabase,
    PostgresSnapshot,
    copy_rows,
    making_lock,
    split_url,
    unreachable,
)
from trackledger.domain.errors import Refused, UsageError
from trackledger.projections.table import Table
from trackledger.projections.tables import POSITION

_HOLDS = """SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = %s LIMIT 1"""


class PostgresBulk:
    """See `bulk.Bulk`."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._prefix = f'"{name}".'
        self._last = 0
        self.reader = PostgresSnapshot(connection, self._prefix)

    def events(self, rows: Sequence[tuple[int, str, int, str, bytes]]) -> None:
        self._copy("stored_events", EVENT_TYPES, rows)
        self._last = max(self._last, *(row[0] for row in rows))

    def write(self, table: Table[Any], rows: Sequence[Values]) -> None:
        self._copy(table.name, [column.kind.value[2].removesuffix("[]") for column in table.columns], rows)

    def _copy(self, name: str, types: Sequence[str], rows: Iterable[Values]) -> None:
        try:
            copy_rows(self._connection, f"{self._prefix}{name}", types, rows)
        except psycopg.IntegrityError as error:
            raise IntegrityError(error) from error

    def begin(self, name: str) -> None:
        """Make the schema of this name, and in it the tables without their indexes."""
        self._connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{name}"'.encode())
        for statement in schema.create_bare("postgresql", self._prefix):
            self._connection.execute(statement.encode())

    def count_on(self) -> None:
        """Let the next event follow on the last one."""
        self._connection.execute(f"UPDATE {self._prefix}ledger_head SET last = %s".encode(), (self._last,))

    def finish(self) -> None:
        """Make the indexes and views."""
        self.count_on()
        for statement in schema.create_rest("postgresql", self._prefix):
            self._connection.execute(statement.encode())


@contextmanager
def new(url: str, source: Database | None, option: str) -> Generator[PostgresBulk]:
    """See `bulk.new_ledger`. All of it is one transaction."""
    address, name = split_url(url)
    with unreachable(option), psycopg.connect(address) as connection:
        if isinstance(source, PostgresDatabase) and source.is_at(connection, name):
            raise UsageError(f"schema {name} is the ledger itself; name another schema with {option}")
        # Who opens the ledger meanwhile waits for it, and who would make another there is told at once.
        taken = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (making_lock(name),)).fetchone()
        if taken == (False,):
            raise Refused(f"schema {name} is being filled by another process; name another schema with {option}")
        if connection.execute(_HOLDS, (name,)).fetchone():
            raise UsageError(f"schema {name} is not empty; name one that is not there yet with {option}")
        bulk = PostgresBulk(connection, name)
        bulk.begin(name)
        yield bulk
        bulk.finish()


@contextmanager
def empty(url: str) -> Generator[PostgresBulk]:
    """See `bulk.empty_ledger`. All of it is one transaction."""
    address, name = split_url(url)
    with unreachable("--db"), psycopg.connect(address) as connection:
        # The row that hands out positions is locked, so that nobody appends.
        connection.execute(f'UPDATE "{name}".ledger_head SET last = last'.encode())
        if connection.execute(f'SELECT 1 FROM "{name}".stored_events LIMIT 1'.encode()).fetchone():
            raise UsageError(
                f"the ledger in schema {name} holds events already; name one that is empty or new with --db"
            )
        connection.execute(f'DELETE FROM "{name}".positions WHERE name = %s'.encode(), (POSITION,))
        bulk = PostgresBulk(connection, name)
        yield bulk
        bulk.count_on()
