"""How is the whole ledger folded anew into another database, as it is now or as it was?"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from eventsourcing.persistence import Notification
from msgspec import Struct

from trackledger.adapters.ranges import EVENT, EVENTS, Range, in_order, ranges, streams, workers
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage import kind_of, open_database
from trackledger.adapters.storage.bulk import Bulk, Filled, Values, new_ledger, plain
from trackledger.adapters.storage.database import Database
from trackledger.adapters.storage.recorder import PRIVATE
from trackledger.adapters.storage.schema import LINKS, POISONED, POSITIONS, VAULT
from trackledger.adapters.storage.vault import keys_of
from trackledger.projections import shipments, timeline
from trackledger.projections.conclusions import Policies
from trackledger.projections.digest import Digest, of_rows
from trackledger.projections.folding import AsOf, Folded, folded, known
from trackledger.projections.table import Dialect, Table
from trackledger.projections.tables import POSITION, TABLES

PAGE = 1000

WRITTEN: tuple[Table[Any], ...] = (*TABLES, LINKS, POISONED, VAULT)
"""The tables that a replay fills, besides the events and their position."""


class Task(Struct, frozen=True):
    """What a worker has to know besides the range: where the ledger is, up to which position, as of when and by which
    policies it is folded, and for which kind of database."""

    source: str
    allow_volatile: bool
    upto: int
    as_of: AsOf
    policies: Policies
    dialect: Dialect


class Part(Struct, frozen=True):
    """A folded range: rows of each table of `WRITTEN` as its driver takes them, and the shipments' digests."""

    rows: list[Sequence[Values]]
    digests: bytes
    events: int


def fold_range(task: Task, within: Range) -> Part:
    """The work on one range; in whichever process, it opens the ledger for itself."""
    database = open_database(task.source, create=False, allow_volatile=task.allow_volatile)
    try:
        events = 0
        found: list[Folded] = []
        private: list[str] = []
        for shipment_id, stream in streams(database, within, task.upto):
            events += len(stream)
            if (one := folded(shipment_id, stream, task.policies, task.as_of)) is not None:
                found.append(one)
                if PRIVATE in stream[0].state:
                    private.append(shipment_id)
        keys = sorted(keys_of(database, private).items())
    finally:
        database.close()
    rows: list[list[Values]] = [[row for one in found for row in one.rows[n]] for n, _ in enumerate(TABLES)]
    rows.append([LINKS.values(link) for one in found for link in one.links])
    rows.append([POISONED.values(one.poison) for one in found if one.poison])
    rows.append(keys)
    ready = [plain(task.dialect, table)(some) for table, some in zip(WRITTEN, rows, strict=True)]
    return Part(ready, of_rows([one.rows for one in found if not one.poison]), events)


def replay(
    runtime: Runtime,
    into: str,
    *,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    processes: int | None = None,
    executor: Executor | None = None,
    batch: int = EVENTS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Filled:
    """Write the ledger as of a moment into a new SQLite file or PostgreSQL schema, whole or not at all.

    The target is a ledger in its own right, for every command and any SQL: the events that had been recorded by
    `known_at` with their positions, the tables and views, and the links by which shipments are found. With `valid_at`
    the tables hold only what had happened by then, the events stay whole. Raw messages are not copied.

    Shipments are folded by `processes`, by default one for each CPU, or by whatever is behind `executor`: workers get
    the ledger's URL and must be able to reach it. They return rows, in ranges of about `batch` events of which a few
    are under way at a time, and this process alone writes. Who folds makes no difference to what is written.
    `progress` is told events done and in all. Raises `UsageError` for a target that is not empty or is the ledger
    itself, and `Refused` for one that cannot be written.
    """
    count = processes or os.cpu_count() or 1
    dialect: Dialect = "sqlite" if kind_of(into, "--into") == "sqlite" else "postgresql"
    settings, as_of, upto = runtime.settings, AsOf(known_at, valid_at), runtime.store.head()
    task = Task(settings.database, settings.allow_volatile, upto, as_of, settings.policies or Policies(), dialect)
    digest, numbers, done = Digest(), [0] * len(WRITTEN), 0
    with new_ledger(into, runtime.database) as bulk:
        events = Events(runtime.database, as_of, upto)
        copying = events.copy(bulk)
        with nullcontext(executor) if executor else workers(count) as pool:
            arguments = ((task, within) for within in ranges(runtime.database, batch))
            # More than there are workers, so that none of them waits while this process writes.
            for part in in_order(pool, 1 if count == 1 else count + 2, fold_range, arguments, copying):
                for n, table in enumerate(WRITTEN):
                    bulk.write(table, part.rows[n])
                    numbers[n] += len(part.rows[n])
                digest.add(part.digests)
                done += part.events
                progress(done, upto)
        for _ in copying:
            pass
        bulk.write(POSITIONS, [(POSITION, events.last)])
    held = dict(zip(WRITTEN, numbers, strict=True))
    return Filled(
        events.number,
        held[shipments.TABLE],
        held[timeline.TABLE],
        held[POISONED],
        events.last,
        digest.hexdigest(),
    )


class Events:
    """Copies the events that had been recorded as they are stored, in the order of the ledger; their `number`, and the
    position of the `last`, so far."""

    def __init__(self, database: Database, as_of: AsOf, upto: int) -> None:
        self._database, self._as_of, self._upto = database, as_of, upto
        self.number = self.last = 0

    def copy(self, bulk: Bulk) -> Iterator[None]:
        """Copy page by page, a page a step."""
        after = 0
        while page := self._database.tuples(
            f"""SELECT {EVENT} FROM {{s}}stored_events WHERE notification_id > :after AND notification_id <= :upto
                ORDER BY notification_id LIMIT :n""",
            after=after,
            upto=self._upto,
            n=PAGE,
        ):
            after = page[-1][-1]
            if by_then := known([Notification(*row) for row in page], self._as_of):
                bulk.events([(e.id, str(e.originator_id), e.originator_version, e.topic, e.state) for e in by_then])
                self.number, self.last = self.number + len(by_then), by_then[-1].id
            yield
