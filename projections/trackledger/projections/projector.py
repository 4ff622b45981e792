"""How do new events reach the tables: each batch in one transaction, exactly once, never waiting hot?"""

import logging
from collections.abc import Callable, Mapping, Sequence
from threading import Event as Flag
from typing import Any, Protocol

from eventsourcing.persistence import IntegrityError, Notification, OperationalError
from msgspec import Struct

from trackledger.domain.errors import traced
from trackledger.domain.events import FORGOTTEN
from trackledger.domain.mapper import decode
from trackledger.domain.statements import Statements, fold
from trackledger.projections.conclusions import Policies, conclude
from trackledger.projections.table import Change, Reader, Table
from trackledger.projections.tables import POSITION, TABLES, Poisoned, poisoned

BATCH = 1000
"""Events a transaction; an event holds everything new of one report."""

IDLE = 5.0
"""Seconds after which the pump looks by itself, should a wake-up have been lost."""

log = logging.getLogger("trackledger.projector")

Rows = dict[Table[Any], dict[Any, Any]]


class Step(Struct, frozen=True):
    """What some events do to the tables; the last of them is at `position`.

    `poison` are shipments that cannot be folded. Of those in `anew` all rows go before the rows of `changes` are
    written: it is not known which they have, as they could not be folded before, or they are forgotten, and whatever
    was said of them is to go.
    """

    events: int
    position: int
    changes: list[Change]
    poison: list[Poisoned]
    anew: list[str]


class Waiter(Protocol):
    """Sleeps until something may have been committed."""

    def wait(self, timeout: float) -> None:
        """Return on a commit, or after `timeout` seconds; may return early."""
        ...

    def close(self) -> None:
        """Give back what waiting needed."""
        ...


class Store(Reader, Protocol):
    """Where the pump reads events and writes rows."""

    def notifications(self, after: int, limit: int) -> Sequence[Notification]:
        """The next events after a position, without gaps, in the order of the ledger."""
        ...

    def streams(self, shipment_ids: Sequence[str], upto: int) -> Mapping[str, Sequence[Notification]]:
        """The events of these shipments up to and including a position, oldest first."""
        ...

    def head(self) -> int:
        """The position of the newest event."""
        ...

    def position(self, name: str, suffix: str = "") -> int:
        """How far the named reader has come, 0 at first."""
        ...

    def poisoned(self, shipment_ids: Sequence[str], suffix: str) -> set[str]:
        """Which of these shipments could not be folded the last time."""
        ...

    def advance(self, name: str, expected: int, step: Step, suffix: str) -> bool:
        """Write rows and position in one transaction; False, with nothing written, when the position has moved."""
        ...

    def waiter(self) -> Waiter:
        """A new waiter, which wakes on commits to this ledger by any process."""
        ...


class Projector:
    """The pump from the ledger to the tables.

    A step is one transaction that writes rows together with the position they reflect, and only if no other pump has
    moved it: any number of pumps may run, and any may be killed at any point. A shipment's rows are the difference
    between its fold before and after the batch, so that they equal a fold from zero at every position.
    """

    def __init__(
        self,
        store: Store,
        policies: Policies | None = None,
        *,
        batch: int = BATCH,
        name: str = POSITION,
        suffix: str = "",
        tables: Sequence[Table[Any]] = tuple(TABLES),
    ) -> None:
        self._store = store
        self._policies = policies or Policies()
        self._batch = batch
        self._name = name
        self._suffix = suffix
        self._tables = tables

    def step(self) -> int:
        """Take in the next batch of events; their number, 0 when there were none."""
        while True:
            position = self._store.position(self._name, self._suffix)
            step = self.plan(position, self._batch)
            if step is None:
                return 0
            if self._store.advance(self._name, position, step, self._suffix):
                return step.events

    def plan(self, position: int, limit: int) -> Step | None:
        """What the next events after a position do to tables that are at that position; None when there are none."""
        batch = self._store.notifications(position, limit)
        if not batch:
            return None
        news: dict[str, list[Notification]] = {}
        for stored in batch:
            news.setdefault(str(stored.originator_id), []).append(stored)
        older = self._store.streams([id_ for id_, new in news.items() if new[0].originator_version > 1], position)
        broken = self._store.poisoned(list(news), self._suffix)
        poison: list[Poisoned] = []
        anew: list[str] = []
        writes: dict[Table[Any], Change] = {table: Change(table, [], []) for table in self._tables}
        for id_, new in news.items():
            is_forgotten = any(stored.topic == FORGOTTEN for stored in new)
            if is_forgotten or id_ in broken:
                anew.append(id_)
            try:
                statements = fold(id_, map(decode, older.get(id_, ())))
                before = {} if is_forgotten or id_ in broken or not statements.position else self.rows(statements)
                for stored in new:
                    statements.apply(decode(stored))
                after = self.rows(statements)
            except Exception as error:
                poison.append(self.poison(id_, [*older.get(id_, ()), *new], error))
                if not is_forgotten and id_ in broken:
                    anew.remove(id_)
                continue
            for table, rows in after.items():
                old = before.get(table, {})
                change = writes[table]
                change.rows.extend(row for key, row in rows.items() if old.get(key) != row)
                change.gone.extend(key for key in old if key not in rows)
        changes = [change for change in writes.values() if change.rows or change.gone or anew]
        return Step(len(batch), batch[-1].id, changes, poison, anew)

    def rows(self, statements: Statements) -> Rows:
        """The rows of one shipment, by table and key."""
        concluded = conclude(statements, self._policies)
        return {t: {t.key_of(row): row for row in TABLES[t](concluded)} for t in self._tables}

    def poison(self, shipment_id: str, stream: Sequence[Notification], error: Exception) -> Poisoned:
        """Note that a shipment cannot be folded by these events; the next ones are not held up."""
        log.error("shipment %s cannot be folded at position %d: %s", shipment_id, stream[-1].id, traced(error))
        log.debug("shipment %s cannot be folded", shipment_id, exc_info=error)
        return poisoned(shipment_id, stream, error)

    def catch_up(self, progress: Callable[[int], None] = lambda _: None) -> int:
        """Take in everything that is there by now; the number of events. `progress` is told of each batch.

        It ends also while others go on appending, having taken in some of that.
        """
        head = self._store.head()
        total = 0
        while self._store.position(self._name, self._suffix) < head and (taken := self.step()):
            total += taken
            progress(taken)
        return total

    def run(self, stop: Flag, idle: float = IDLE) -> None:
        """Follow the ledger until `stop` is set, also through a restart of the database; sleep while it is silent, and
        look up after `idle` seconds."""
        waiter = self._store.waiter()
        try:
            while not stop.is_set():
                if not self._try_step():
                    waiter.wait(idle)
        finally:
            waiter.close()

    def _try_step(self) -> int:
        try:
            return self.step()
        except (OperationalError, IntegrityError) as error:
            # A connection was lost, or a lock not given in time; nothing of the step was written.
            log.warning("the pump could not take a step and will try again: %s", error)
            return 0
