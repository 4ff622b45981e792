"""How are the tables made anew from the first event on, while readers keep the old ones?"""

from collections.abc import Callable, Sequence
from secrets import token_hex
from time import sleep
from typing import Any, Protocol

from eventsourcing.persistence import Notification
from msgspec import Struct

from trackledger.domain.errors import Contended, UsageError
from trackledger.domain.mapper import decode
from trackledger.domain.statements import fold
from trackledger.projections.conclusions import Policies
from trackledger.projections.projector import Projector, Step, Store
from trackledger.projections.table import Change, Table
from trackledger.projections.tables import POSITION, TABLES, Poisoned

NEXT = "__next"
SHIPMENTS_A_BATCH = 500
SWITCH_ATTEMPTS = 1000
SWITCH_PAUSE = 0.1
"""Seconds between two attempts, in which readers have the tables."""


Plan = Callable[[int, int], Step | None]
"""`Projector.plan`."""


class Parity(Struct, frozen=True):
    """How one new table compares with the old: its rows, those only in the new, those only in the old, and keys of
    some shipments that differ."""

    table: str
    rows: int
    only_new: int
    only_old: int
    examples: tuple[str, ...] = ()


class RebuildStore(Store, Protocol):
    """What a rebuild needs of a store beyond the pump. `name` is the position of the new tables.

    Raises `Contended` once another rebuild has begun.
    """

    def shipments_after(self, shipment_id: str, limit: int, upto: int) -> list[tuple[str, Sequence[Notification]]]:
        """The next shipments in the order of their ids, each with its events up to and including a position."""
        ...

    def begin_rebuild(self, tables: Sequence[Table[Any]], suffix: str, name: str, position: int) -> None:
        """Make empty new tables, in place of any that an interrupted rebuild left, and a position for them."""
        ...

    def fill(self, name: str, changes: Sequence[Change], poison: Sequence[Poisoned], suffix: str) -> None:
        """Write rows into new tables."""
        ...

    def compare(self, table: Table[Any], suffix: str, upto: int) -> Parity:
        """The new table at position `upto` against the old, of which shipments with later events are left out."""
        ...

    def switch(self, tables: Sequence[Table[Any]], suffix: str, name: str, live: str, plan: Plan) -> bool:
        """Bring the new tables to the position of the old by `plan` and put them in their place, in one transaction.

        False, with nothing done, when the old are behind the new, or when a reader kept one of them locked.
        """
        ...


def rebuild(
    store: RebuildStore,
    name: str | None = None,
    policies: Policies | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Parity]:
    """Fold the whole ledger into new tables beside the old, compare, and switch.

    `name` picks one table, by default all are rebuilt. Readers see the old table until the switch and the new one from
    then on, never a part, and other writers and pumps go on meanwhile. Memory does not grow with the ledger. `progress`
    is told positions done and in all. Raises `UsageError` for an unknown table, and `Contended`, with the old tables in
    their place, when another rebuild has begun meanwhile or readers kept the tables locked for minutes.
    """
    tables = [table for table in TABLES if name in (None, table.name)]
    if not tables:
        raise UsageError(f"no table {name!r}; use one of: {', '.join(table.name for table in TABLES)}")
    upto = store.head()
    marker = f"{POSITION}{NEXT}_{token_hex(4)}"
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
        store.fill(marker, list(changes.values()), poison, NEXT)
        progress(done, upto)

    def catch_up() -> None:
        """In this order: from then on the old tables are not behind the new ones."""
        fresh.catch_up()
        live.catch_up()

    catch_up()
    position = store.position(marker, NEXT)
    report = [store.compare(table, NEXT, position) for table in tables]
    for _ in range(SWITCH_ATTEMPTS):
        catch_up()
        if store.switch(tables, NEXT, marker, POSITION, fresh.plan):
            return report
        sleep(SWITCH_PAUSE)
    raise Contended("readers kept the tables locked, so the rebuilt ones were not put in their place; rebuild again")
