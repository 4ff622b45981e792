"""What would one write without a ledger? Plain tables, and the floor under them: COPY of the same bytes."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from trackledger.domain.checkpoints import Report

Batch = Sequence[tuple[Report, list[bytes]]]

TABLES = (
    """CREATE TABLE plain_checkpoints (provider TEXT NOT NULL, waybill TEXT NOT NULL, checkpoint_id TEXT NOT NULL,
         occurred_at {instant} NOT NULL, code TEXT NOT NULL, milestone TEXT NOT NULL, location TEXT, remark TEXT,
         raw {json} NOT NULL, PRIMARY KEY (provider, waybill, checkpoint_id))""",
    """CREATE TABLE plain_status (provider TEXT NOT NULL, waybill TEXT NOT NULL, milestone TEXT NOT NULL,
         since {instant} NOT NULL, PRIMARY KEY (provider, waybill))""",
    "CREATE TABLE plain_copy (checkpoint_id TEXT PRIMARY KEY, raw {bytes} NOT NULL)",
)
INSERT = "INSERT INTO plain_checkpoints VALUES ({marks}) ON CONFLICT DO NOTHING"
UPSERT = """INSERT INTO plain_status VALUES ({marks}) ON CONFLICT (provider, waybill) DO UPDATE
  SET milestone = excluded.milestone, since = excluded.since WHERE excluded.since > plain_status.since"""


def _rows(batch: Batch, text_time: bool) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    checkpoints, statuses = [], []
    for report, raws in batch:
        waybill = report.tracker.tracking_number
        for c, raw in zip(report.checkpoints, raws, strict=True):
            at: Any = c.occurred.at.isoformat() if text_time else c.occurred.at
            checkpoints.append(
                ("clickpost", waybill, c.id, at, c.status_code, c.milestone.value, c.location, c.remark, raw.decode())
            )
        newest = max(report.checkpoints, key=lambda c: c.occurred.at)
        at = newest.occurred.at.isoformat() if text_time else newest.occurred.at
        statuses.append(("clickpost", waybill, newest.milestone.value, at))
    return checkpoints, statuses


class PlainPostgres:
    """Batched statements by `executemany`, which psycopg pipelines; and COPY."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)
        with self._connection.transaction():
            for statement in TABLES:
                self._connection.execute(statement.format(instant="TIMESTAMPTZ", json="JSONB", bytes="BYTEA").encode())
        self._connection.commit()

    def insert(self, batch: Batch) -> None:
        """One transaction of insert and status upsert."""
        checkpoints, statuses = _rows(batch, text_time=False)
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(INSERT.format(marks=", ".join(["%s"] * 9)).encode(), checkpoints)
            cursor.executemany(UPSERT.format(marks=", ".join(["%s"] * 4)).encode(), statuses)

    def insert_arrays(self, batch: Batch) -> None:
        """The same, tuned: one statement each, over binary arrays."""
        checkpoints, statuses = _rows(batch, text_time=False)
        kinds = ("text", "text", "text", "timestamptz", "text", "text", "text", "text", "jsonb")
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for sql, rows, types in ((INSERT, checkpoints, kinds), (UPSERT, statuses, (*kinds[:3], "timestamptz"))):
                arrays = ", ".join(f"%b::{'text' if t == 'jsonb' else t}[]" for t in types)
                columns = ", ".join(f"c{n}{'::jsonb' if t == 'jsonb' else ''}" for n, t in enumerate(types))
                names = ", ".join(f"c{n}" for n in range(len(types)))
                source = f"SELECT {columns} FROM unnest({arrays}) AS u({names})"
                statement = sql.replace("VALUES ({marks})", source)
                cursor.execute(statement.encode(), [list(column) for column in zip(*rows, strict=True)])

    def copy(self, batch: Batch) -> None:
        """The bytes of the checkpoints and nothing else, one transaction."""
        with (
            self._connection.transaction(),
            self._connection.cursor() as cursor,
            cursor.copy("COPY plain_copy FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.set_types(["text", "bytea"])
            for report, raws in batch:
                for c, raw in zip(report.checkpoints, raws, strict=True):
                    copy.write_row((c.id, raw))

    def close(self) -> None:
        self._connection.close()


class PlainSqlite:
    """Batched statements by `executemany`, with the durability that the ledger has."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA cache_size = -65536")
        for statement in TABLES:
            self._connection.execute(statement.format(instant="TEXT", json="TEXT", bytes="BLOB"))

    def insert(self, batch: Batch) -> None:
        """One transaction of insert and status upsert."""
        checkpoints, statuses = _rows(batch, text_time=True)
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(INSERT.format(marks=", ".join("?" * 9)), checkpoints)
        self._connection.executemany(UPSERT.format(marks=", ".join("?" * 4)), statuses)
        self._connection.execute("COMMIT")

    def copy(self, batch: Batch) -> None:
        """The bytes of the checkpoints and nothing else, one transaction."""
        rows = [(c.id, raw) for report, raws in batch for c, raw in zip(report.checkpoints, raws, strict=True)]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO plain_copy VALUES (?, ?)", rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()
