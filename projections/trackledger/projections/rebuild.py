"""How are the tables made anew from the first event on, while readers keep the old ones?"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from eventsourcing.persistence import Notification
from msgspec import Struct

from trackledger.domain.errors import UsageError
from trackledger.domain.mapper import decode
from trackledger.domain.statements import fold
from trackledger.projections.conclusions import Policies
from trackledger.projections.projector import Projector, Store
from trackledger.projections.table import Change, Table
from trackledger.projections.tables import POSITION, TABLES, Poisoned

NEXT = "__next"
SHIPMENTS_A_BATCH = 500


class Parity(Struct, frozen=True):
    """How one new table compares with the old: its rows, those only in the new, those only in the old, and keys of
    some shipments that differ."""

    table: str
    rows: int
    only_new: int
    only_old: int
    examples: tuple[str, ...] = ()


class RebuildStore(Store, Protocol):
    """What a rebuild needs of a store beyond the pump."""

    def head(self) -> int:
        """The position of the newest event."""
        ...

    def shipments_after(self, shipment_id: str, limit: int, upto: int) -> list[tuple[str, Sequence[Notification]]]:
        """The next shipments in the order of their ids, each with its events up to and including a position."""
        ...

    def begin_rebuild(self, tables: Sequence[Table[Any]], suffix: str, name: str, position: int) -> None:
        """Make empty new tables, in place of any that an interrupted rebuild left, and a position for them."""
        ...

    def fill(self, changes: Sequence[Change], poison: Sequence[Poisoned], suffix: str) -> None:
        """Write rows into new tables."""
        ...

    def compare(self, table: Table[Any], suffix: str) -> Parity:
        """The new table against the old."""
        ...

    def switch(self, tables: Sequence[Table[Any]], suffix: str, name: str, live: str) -> bool:
        """Put the new tables in the place of the old, in one transaction; False when the two positions differ."""
        ...


def rebuild(
    store: RebuildStore,
    name: str | None = None,
    policies: Policies | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Parity]:
    """Fold the whole ledger into new tables beside the old, compare, and switch.

    `name` picks one table, by default all are rebuilt. Readers see the old table until the switch and the new one from
    then on, never a part. Memory does not grow with the ledger. `progress` is told positions done and in all. Raises
    `UsageError` for an unknown table.
    """
    tables = [table for table in TABLES if name in (None, table.name)]
    if not tables:
        raise UsageError(f"no table {name!r}; use one of: {', '.join(table.name for table in TABLES)}")
    upto = store.head()
    marker = POSITION + NEXT
    store.begin_rebuild(tables, NEXT, marker, upto)
    fresh = Projector(store, policies, name=marker, suffix=NEXT, tables=tables)
    live = Projector(store, policies)
    done, last = 0, ""
    while batch := store.shipments_after(last, SHIPMENTS_A_BATCH, upto):
        changes = {table: Change(table, [], []) for table in tables}
        poison: list[Poisoned] = []
        for shipment_id, stream in batch:
            try:
                rows_of = fresh.rows(fold(shipment_id, map(decode, stream)))
            except Exception as error:
                poison.append(fresh.poison(shipment_id, stream[-1].id, error))
                continue
            for table, rows in rows_of.items():
                changes[table].rows.extend(rows.values())
            done += len(stream)
        last = batch[-1][0]
        store.fill(list(changes.values()), poison, NEXT)
        progress(done, upto)
    while True:
        fresh.catch_up()
        live.catch_up()
        report = [store.compare(table, NEXT) for table in tables]
        if store.switch(tables, NEXT, marker, POSITION):
            return report
