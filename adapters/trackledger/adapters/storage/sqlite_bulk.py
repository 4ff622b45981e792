"""How is a whole ledger written at once into one SQLite file, or into one that nobody else sees?"""

import os
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from eventsourcing.persistence import IntegrityError

from trackledger.adapters.storage import schema, sqlite_path
from trackledger.adapters.storage.bulk import Values
from trackledger.adapters.storage.database import Database
from trackledger.adapters.storage.sqlite import APPLICATION_ID, BUSY_SECONDS, SqliteDatabase, SqliteSnapshot
from trackledger.domain.errors import Refused, UsageError
from trackledger.projections.table import Table
from trackledger.projections.tables import POSITION

CACHE = "cache_size = -65536"


class SqliteBulk:
    """See `bulk.Bulk`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.reader = SqliteSnapshot(connection)

    def events(self, rows: Sequence[tuple[int, str, int, str, bytes]]) -> None:
        self._insert("INSERT INTO stored_events VALUES (?, ?, ?, ?, ?)", rows)

    def write(self, table: Table[Any], rows: Sequence[Values]) -> None:
        self._insert(table.insert(), rows)

    def _insert(self, sql: str, rows: Sequence[Values]) -> None:
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.IntegrityError as error:
            raise IntegrityError(error) from error

    def begin(self) -> None:
        """Make the tables, without their indexes."""
        self._connection.execute("BEGIN")
        for statement in schema.create_bare("sqlite"):
            self._connection.execute(statement)

    def finish(self) -> None:
        """Make the indexes and views, and commit."""
        for statement in schema.create_rest("sqlite"):
            self._connection.execute(statement)
        self._connection.execute("COMMIT")


class Private:
    """A ledger of nobody else's: SQLite keeps it in memory, and in a file without a name once it outgrows its cache."""

    def __init__(self) -> None:
        # The empty name means a temporary database, which is gone with the connection, however the process ends.
        self._connection = sqlite3.connect(
            "", isolation_level=None, detect_types=sqlite3.PARSE_DECLTYPES, check_same_thread=False
        )
        for pragma in ("journal_mode = OFF", CACHE):
            self._connection.execute(f"PRAGMA {pragma}")
        self.bulk = SqliteBulk(self._connection)
        self.bulk.begin()

    def finish(self) -> SqliteSnapshot:
        """What was written, to be read until it is closed."""
        self.bulk.finish()
        return SqliteSnapshot(self._connection)

    def close(self) -> None:
        """Give back its room."""
        self._connection.close()


@contextmanager
def new(url: str, source: Database | None, option: str) -> Generator[SqliteBulk]:
    """See `bulk.new_ledger`. It is built beside the target and given its name when it is whole."""
    path = Path(sqlite_path(url)).resolve()
    if isinstance(source, SqliteDatabase) and source.is_at(path):
        raise UsageError(f"{sqlite_path(url)} is the ledger itself; name another file with {option}")
    _require_free(path, option)
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    with ExitStack() as after:
        with _told(url, option):
            # A folder that cannot be written to says so in the system's words, SQLite does in its own.
            part.touch(exist_ok=False)
        for end in ("-wal", "-shm", ""):
            after.callback(part.with_name(f"{part.name}{end}").unlink, missing_ok=True)
        connection = sqlite3.connect(part, isolation_level=None)
        after.callback(connection.close)
        # It is thrown away as a whole if anything goes wrong, and flushed once at the end.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", CACHE):
            connection.execute(f"PRAGMA {pragma}")
        bulk = SqliteBulk(connection)
        bulk.begin()
        try:
            yield bulk
        except sqlite3.OperationalError as error:
            raise _unwritten(url, error, option) from error
        with _told(url, option):
            bulk.finish()
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.close()
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            _require_free(path, option)
            part.replace(path)


@contextmanager
def empty(url: str) -> Generator[SqliteBulk]:
    """See `bulk.empty_ledger`. All of it is one transaction."""
    path = sqlite_path(url)
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection, _told(url, "--db"):
        for pragma in ("synchronous = FULL", CACHE):
            connection.execute(f"PRAGMA {pragma}")
        # It is rolled back with the end of the connection, unless it was committed.
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT 1 FROM stored_events LIMIT 1").fetchone():
            raise UsageError(f"the ledger at {path} holds events already; name one that is empty or new with --db")
        connection.execute("DELETE FROM positions WHERE name = ?", (POSITION,))
        yield SqliteBulk(connection)
        connection.execute("COMMIT")


def _require_free(path: Path, option: str) -> None:
    if path.exists() and (not path.is_file() or path.stat().st_size):
        what = "is a folder" if path.is_dir() else "is not empty"
        raise UsageError(f"{path} {what}; name a file that is not there yet with {option}")
    for left in (path.with_name(f"{path.name}{end}") for end in ("-wal", "-journal")):
        # SQLite would write what is in it over the new file, whichever it was written for.
        if left.exists():
            raise UsageError(
                f"{left} is left of a database that was at {path}; remove it, or name another file with {option}"
            )


@contextmanager
def _told(url: str, option: str) -> Generator[None]:
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise _unwritten(url, error, option) from error


def _unwritten(url: str, error: OSError | sqlite3.OperationalError, option: str) -> Refused:
    why = error.strerror if isinstance(error, OSError) else error
    return Refused(f"{sqlite_path(url)} cannot be written: {why}; name another file with {option}")
