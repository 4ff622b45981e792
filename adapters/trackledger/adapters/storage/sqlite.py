"""How is a ledger kept in one SQLite file?"""

import json
import sqlite3
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from threading import Event as Flag
from threading import Lock, RLock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from trackledger.adapters.storage.database import InUse
from trackledger.domain.errors import NoLedger, Refused
from trackledger.projections.table import Dialect, Kind, Table

if TYPE_CHECKING:
    from eventsourcing.persistence import StoredEvent

APPLICATION_ID = 0x544C4701
BUSY_SECONDS = 30.0
SCRUB_SECONDS = 5.0
LOOK_EVERY = 0.05
"""Seconds between two looks at the file's change counter, which costs microseconds and reads nothing."""


def _instant(text: bytes) -> datetime:
    return datetime.fromisoformat(text.decode())


sqlite3.register_converter("TEXT_INSTANT", _instant)
sqlite3.register_converter("TEXT_DAY", lambda text: date.fromisoformat(text.decode()))
sqlite3.register_converter("INTEGER_BOOLEAN", lambda text: text != b"0")


def _instant_text(instant: datetime) -> str:
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return utc.isoformat("T", "microseconds")[:-6] + "Z"


def _plain(value: Any) -> Any:
    """A value as SQLite keeps it: instants as UTC text of fixed width, lists as JSON."""
    if isinstance(value, datetime):
        return _instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, list) else value


def _plain_rows(table: Table[Any], rows: Iterable[Any]) -> Iterable[Sequence[Any]]:
    return plain_values(table)(map(table.values, rows))


def plain_values(table: Table[Any]) -> Callable[[Iterable[tuple[Any, ...]]], list[Sequence[Any]]]:
    """Makes the values of a table's rows, in column order, those that SQLite keeps."""
    instants = [n for n, column in enumerate(table.columns) if column.kind is Kind.INSTANT]
    days = [n for n, column in enumerate(table.columns) if column.kind is Kind.DAY]

    def made(rows: Iterable[tuple[Any, ...]]) -> list[Sequence[Any]]:
        found: list[Sequence[Any]] = []
        # One instant is in the rows of all checkpoints of a message. By identity, as hashing takes as long as writing;
        # `kept` keeps the identity from being given to another.
        texts: dict[int, str] = {}
        kept = []
        for row in rows:
            values = list(row)
            for n in instants:
                if (instant := values[n]) is not None:
                    text = texts.get(id(instant))
                    if text is None:
                        kept.append(instant)
                        text = texts[id(instant)] = _instant_text(instant)
                    values[n] = text
            for n in days:
                if (day := values[n]) is not None:
                    values[n] = day.isoformat()
            found.append(tuple(values))
        return found

    return made


@cache
def _prepared(sql: str) -> str:
    return sql.replace("{s}", "")


class SqliteTransaction:
    """See `database.Transaction`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        return _dicts(_execute(self._connection, sql, params))

    def execute(self, sql: str, **params: Any) -> int:
        return _execute(self._connection, sql, params).rowcount

    def execute_many(self, sql: str, rows: Sequence[dict[str, Any]]) -> None:
        plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
        self._connection.executemany(_prepared(sql), plain)

    def append(self, events: "Sequence[StoredEvent]") -> list[int]:
        last = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'stored_events'").fetchone()
        first = (last[0] if last else 0) + 1
        self._connection.executemany(
            "INSERT INTO stored_events VALUES (?, ?, ?, ?, ?)",
            [(n, e.originator_id, e.originator_version, e.topic, e.state) for n, e in enumerate(events, start=first)],
        )
        return list(range(first, first + len(events)))

    def insert(self, table: Table[Any], rows: Sequence[Any]) -> None:
        self._connection.executemany(table.insert(), _plain_rows(table, rows))

    def upsert(self, table: Table[Any], rows: Sequence[Any], name: str = "") -> None:
        self._connection.executemany(table.upsert("sqlite", name=name), _plain_rows(table, rows))

    def fill(self, table: Table[Any], values: Sequence[tuple[Any, ...]], name: str) -> None:
        self._connection.executemany(table.insert(name), plain_values(table)(values))

    def delete(self, table: Table[Any], keys: Iterable[Any], name: str = "") -> None:
        rows = (key if isinstance(key, tuple) else (key,) for key in keys)
        self._connection.executemany(table.delete("sqlite", name=name), rows)

    def rename(self, name: str, to: str) -> None:
        # Else the views that people made would be rewritten to read the table under its new name.
        self._connection.execute("PRAGMA legacy_alter_table = ON")
        try:
            self._connection.execute(f"ALTER TABLE {name} RENAME TO {to}")
        finally:
            self._connection.execute("PRAGMA legacy_alter_table = OFF")

    def onlookers(self, names: Sequence[str]) -> list[str]:
        return []

    def access(self, names: Sequence[str]) -> list[str]:
        return []

    def lock_out(self, names: Sequence[str]) -> None:
        """Nothing to do: readers go on with the tables as they were when they began to read."""


class SqliteSnapshot:
    """See `database.Snapshot`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        with _library_errors():
            return _dicts(_execute(self._connection, sql, params))

    def tuples(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        with _library_errors():
            return _execute(self._connection, sql, params).fetchall()

    def pages(self, sql: str, size: int, **params: Any) -> Iterator[list[tuple[Any, ...]]]:
        with _library_errors(), closing(_execute(self._connection, sql, params)) as cursor:
            while page := cursor.fetchmany(size):
                yield page


class SqliteDatabase:
    """A ledger in a file of its own: WAL, `synchronous=FULL`, one writing transaction at a time.

    Writers of other processes are waited for up to 30 seconds. Raises `Refused` when the file is not a ledger, or when
    there is none and `create` is false.
    """

    dialect: Dialect = "sqlite"
    schema = ""

    def __init__(self, path: str, *, create: bool = True) -> None:
        self._path = path
        # Readers are opened when they are needed, perhaps after the process has changed its folder.
        self._file = Path(path).absolute()
        self._lock = RLock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._all: list[sqlite3.Connection] = []
        if not create and not self._file.is_file():
            raise self._missing()
        try:
            self._writer = self._connect()
            self._open(create)
        except sqlite3.DatabaseError as error:
            self.close()
            raise Refused(f"{path} cannot be opened as a ledger: {error}; name another file with --db") from error
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file,
            timeout=BUSY_SECONDS,
            detect_types=sqlite3.PARSE_DECLTYPES,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        self._all.append(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -65536")
        # Pages, 40 MB: pages that many batches touch are then copied into the file once.
        connection.execute("PRAGMA wal_autocheckpoint = 10000")
        return connection

    def _open(self, create: bool) -> None:
        if self._is_ledger():  # asked before anything is changed: the file may be another application's
            return
        if not create:
            raise self._missing()
        self._use_wal()
        with self.transaction() as transaction:
            if self._is_ledger():
                return
            from trackledger.adapters.storage import schema

            for statement in schema.create("sqlite"):
                transaction.execute(statement)
            self._writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _use_wal(self) -> None:
        """SQLite itself does not wait here: this begins as reading, and turning to writing it gives up at once while
        somebody else writes, as another process does that makes the ledger at this moment."""
        deadline = monotonic() + BUSY_SECONDS
        while True:
            try:
                self._writer.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > deadline:
                    raise
            sleep(LOOK_EVERY)

    def _is_ledger(self) -> bool:
        """False when the file is empty. Raises `Refused` when it holds something else."""
        # In this order: another process may make the ledger, in one transaction, between the two.
        content = self._writer.execute("SELECT name FROM sqlite_master LIMIT 1").fetchone()
        application_id = self._writer.execute("PRAGMA application_id").fetchone()[0]
        if application_id == APPLICATION_ID:
            return True
        if application_id or content:
            raise Refused(f"{self._path} holds something else than a ledger; name another file with --db")
        return False

    def _missing(self) -> NoLedger:
        return NoLedger(f"there is no ledger at {self._path}; ingest a message or register a shipment first")

    @contextmanager
    def transaction(self) -> Generator[SqliteTransaction]:
        with self._lock, _library_errors():
            # IMMEDIATE: a deferred transaction that reads first fails at once when another process has written since.
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.popleft()
        except IndexError:
            connection = self._connect()
        try:
            with _library_errors():
                yield connection
        finally:
            self._idle.append(connection)

    def read(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        with self._reader() as connection:
            return _dicts(_execute(connection, sql, params))

    def tuples(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        with self._reader() as connection:
            return _execute(connection, sql, params).fetchall()

    def is_at(self, path: Path) -> bool:
        """Whether it is kept in this file, however the path is written."""
        return path.exists() and path.samefile(self._file)

    @contextmanager
    def snapshot(self) -> Generator[SqliteSnapshot]:
        """The moment is that of the first read in the block."""
        with self._reader() as connection:
            connection.execute("BEGIN DEFERRED")
            try:
                yield SqliteSnapshot(connection)
            finally:
                connection.execute("ROLLBACK")

    def any_of(self, column: str, parameter: str) -> str:
        return f"{column} IN (SELECT value FROM json_each(:{parameter}))"

    def each(self, parameter: str) -> str:
        return f"json_each(:{parameter}) AS k"

    def look_up(self, table: str, alias: str, column: str, equals: str) -> str:
        return f"CROSS JOIN {{s}}{table} AS {alias} ON {alias}.{column} = {equals}"

    def scrub(self, names: Sequence[str]) -> None:
        """The whole file is written anew: of what is deleted under `secure_delete`, pieces were found to stay behind
        where pages had been split. Then the log that holds the earlier pages is emptied."""
        with self._lock, _library_errors():
            self._writer.execute(f"PRAGMA busy_timeout = {SCRUB_SECONDS * 1000:.0f}")
            try:
                self._writer.execute("VACUUM")
                held = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                raise InUse(f"another process writes to {self._path}") from error
            finally:
                self._writer.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
        if held:
            raise InUse(f"another process has been reading {self._path} since before")

    def wake(self) -> None:
        """Nothing to do: waiters watch the file's change counter."""

    def waiter(self) -> "SqliteWaiter":
        return SqliteWaiter(self._file)

    def close(self) -> None:
        for connection in self._all:
            connection.close()
        self._all.clear()
        self._idle.clear()


class SqliteWaiter:
    """Watches the change counter of the file, which moves with every commit of another connection."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._closed = Flag()
        self._in_use = Lock()
        self._seen = 0
        self._has_moved()

    def _has_moved(self) -> bool:
        with self._in_use:
            if self._closed.is_set():
                return True
            before, self._seen = self._seen, int(self._connection.execute("PRAGMA data_version").fetchone()[0])
            return self._seen != before

    def wait(self, timeout: float) -> None:
        for _ in range(max(1, round(timeout / LOOK_EVERY))):
            if self._has_moved() or self._closed.wait(LOOK_EVERY):
                return

    def close(self) -> None:
        self._closed.set()
        with self._in_use:
            self._connection.close()


@contextmanager
def _library_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        from eventsourcing import persistence

        name = type(error).__name__
        if name not in ("IntegrityError", "OperationalError", "DatabaseError"):  # the last for a damaged file
            raise
        raise getattr(persistence, name)(error) from error


def _execute(connection: sqlite3.Connection, sql: str, params: dict[str, Any]) -> sqlite3.Cursor:
    return connection.execute(_prepared(sql), {name: _plain(value) for name, value in params.items()})


def _dicts(cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
    if cursor.description is None:
        return []
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
