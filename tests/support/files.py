"""Exported files: written, read again, and damaged."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet

from trackledger.adapters.exporting.as_csv import plain
from trackledger.adapters.exporting.exporter import export
from trackledger.adapters.exporting.formats import Format
from trackledger.adapters.exporting.wanted import Exported, Wanted
from trackledger.adapters.importing import import_ledger
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.bulk import Filled
from trackledger.projections.table import Column, Kind

LATER = datetime(2030, 1, 1, tzinfo=UTC)
"""A time at which everything that is open is stuck and late."""


def exported(
    runtime: Runtime, path: Path, what: str = "events", format_: Format = "ndjson", **options: Any
) -> Exported:
    """Export into a file."""
    with path.open("wb") as file:
        return export(runtime, Wanted(what, format_, **{"now": LATER, **options}), file, lambda done, total: None)


def imported(url: str, path: Path) -> Filled:
    """Make a ledger of a file."""
    with path.open("rb") as file:
        return import_ledger(Settings(url), file)


def events_digest(runtime: Runtime) -> str:
    """SHA-256 over every field of every stored event."""
    found = runtime.store.read(
        """SELECT notification_id, originator_id, originator_version, topic, state FROM {s}stored_events
           ORDER BY notification_id"""
    )
    return sha256(repr([tuple(row.values()) for row in found]).encode()).hexdigest()


def contents(url: str, *names: str) -> dict[str, Any]:
    """The digest of the events at a URL, and every row of these tables."""
    with open_runtime(Settings(url), create=False) as runtime:
        tables = {name: runtime.store.read(f"SELECT * FROM {{s}}{name} ORDER BY 1, 2") for name in names}
        return {"events": events_digest(runtime)} | tables


def rows_of(path: Path, format_: Format, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The rows of a file, as the tables have them; in CSV an empty text is none."""
    if format_ == "parquet":
        found: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
        return found
    if format_ == "ndjson":
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        return [{c.name: _typed(c.kind, line[c.name]) for c in columns} for line in lines]
    text = path.read_bytes().decode("utf-8")
    assert text.startswith("\ufeff")
    cells = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    return [{c.name: _of_cell(c.kind, row[c.name]) for c in columns} for row in cells]


def _of_cell(kind: Kind, cell: str) -> Any:
    if not cell:
        return None
    if kind is Kind.BOOLEAN:
        return {"true": True, "false": False}[cell]
    if kind is Kind.INTEGER:
        return int(cell)
    return _typed(kind, plain(cell))


def _typed(kind: Kind, said: Any) -> Any:
    if said is not None and kind is Kind.INSTANT:
        return datetime.fromisoformat(said)
    return date.fromisoformat(said) if said is not None and kind is Kind.DAY else said


def resealed(lines: Sequence[bytes]) -> bytes:
    """A file of these lines and a last one that fits them."""
    trailer = {
        "events": sum(line.startswith(b'{"position":') for line in lines),
        "keys": sum(line.startswith(b'{"key":') for line in lines),
        "sha256": sha256(b"".join(lines)).hexdigest(),
    }
    return b"".join(lines) + json.dumps(trailer).encode() + b"\n"


def edited(line: bytes, **changes: Any) -> bytes:
    """An event's line in which something else stands."""
    return json.dumps(json.loads(line) | changes, separators=(",", ":")).encode() + b"\n"


def limited_to(size: int) -> Callable[[], None]:
    """Lets a process write no file of more than so many bytes, as a disk does that is full."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def beginnings(folder: Path) -> list[str]:
    """What is left in a folder of files that were not finished."""
    return [name for name in os.listdir(folder) if name.endswith(".part")]  # noqa: PTH208 (hidden ones too)
