"""How is a table, or everything, written into files that are all of one moment?"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, BinaryIO

from eventsourcing.persistence import Notification

from trackledger.adapters.exporting import events
from trackledger.adapters.exporting.formats import rows_file
from trackledger.adapters.exporting.ledger_writer import write_ledger
from trackledger.adapters.exporting.relations import EVENTS, OF_EVENTS, RELATIONS, Relation
from trackledger.adapters.exporting.wanted import Exported, Progress, Wanted
from trackledger.adapters.past import past
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.database import Snapshot
from trackledger.domain.errors import UnknownEvent
from trackledger.projections.table import Kind
from trackledger.projections.tables import POSITION

PAGE = 1000
"""Rows in memory."""

Values = tuple[Any, ...]


def export(runtime: Runtime, wanted: Wanted, file: BinaryIO, progress: Progress) -> Exported:
    """Write a table, a view or the events into a file, as of one moment and in memory that does not grow with it."""
    wanted.check()
    if wanted.what == EVENTS:
        with runtime.database.snapshot() as snapshot:
            write = write_ledger if wanted.format == "ndjson" else _write_events
            return write(runtime, snapshot, events.head(snapshot), wanted, file, progress)
    with _tables(runtime, wanted, progress) as tables:
        return _write_rows(tables, RELATIONS[wanted.what], wanted, file, progress)


def export_all(
    runtime: Runtime, wanted: Wanted, new_file: Callable[[str], BinaryIO], progress: Progress
) -> list[Exported]:
    """Write every table and view, and a file of all events of which a ledger can be made, all as of one moment."""
    wanted.check()
    with runtime.database.snapshot() as snapshot:
        head = events.head(snapshot)
        done = [write_ledger(runtime, snapshot, head, wanted, new_file(f"{EVENTS}.ndjson"), progress)]
        with _tables(runtime, wanted, progress, snapshot) as tables:
            for one in RELATIONS.values():
                file = new_file(f"{one.name}.{wanted.format}")
                done.append(_write_rows(tables, one, wanted, file, progress))
    return done


@contextmanager
def _tables(
    runtime: Runtime, wanted: Wanted, progress: Progress, snapshot: Snapshot | None = None
) -> Generator[Snapshot]:
    if wanted.known_at is not None or wanted.valid_at is not None:
        with past(runtime, known_at=wanted.known_at, valid_at=wanted.valid_at, progress=progress) as tables:
            yield tables
    elif snapshot is not None:
        yield snapshot
    else:
        with runtime.database.snapshot() as own:
            yield own


def _write_rows(tables: Snapshot, one: Relation, wanted: Wanted, file: BinaryIO, progress: Progress) -> Exported:
    found = tables.tuples("SELECT position FROM {s}positions WHERE name = :name", name=POSITION)
    sql, params = one.query(wanted.now, wanted.account, wanted.provider)
    rows, number = rows_file(wanted.format, file, one.columns), 0
    for page in tables.pages(sql, PAGE, **params):
        rows.write(list(map(_typed(one), page)) if one.is_view else page)
        number += len(page)
        progress(number, None)
    rows.finish()
    return Exported(one.name, number, found[0][0] if found else 0)


def _typed(one: Relation) -> Callable[[Values], Values]:
    """Gives the values of a row their types, where SQLite does not know those of what a view computes."""

    def value(kind: Kind, said: Any) -> Any:
        match kind, said:
            case Kind.INSTANT, str():
                return datetime.fromisoformat(said)
            case Kind.DAY, str():
                return date.fromisoformat(said)
            case Kind.BOOLEAN, int():
                return bool(said)
        return said

    kinds = [column.kind for column in one.columns]
    return lambda row: tuple(map(value, kinds, row))


def _write_events(
    runtime: Runtime, snapshot: Snapshot, upto: int, wanted: Wanted, file: BinaryIO, progress: Progress
) -> Exported:
    rows, number = rows_file(wanted.format, file, OF_EVENTS), 0
    for position, page in events.pages(snapshot, upto, wanted.known_at):
        if page:
            rows.write([(e.id, e.originator_id, e.originator_version, e.topic, _text(e)) for e in page])
            number += len(page)
        progress(position, upto)
    rows.finish()
    return Exported(EVENTS, number, upto)


def _text(stored: Notification) -> str:
    try:
        return stored.state.decode()
    except UnicodeDecodeError:
        where = f"{stored.originator_id} version {stored.originator_version}"
        raise UnknownEvent(f"event {stored.topic!r} of {where} is no text; run `trackledger verify`") from None
