"""Do the tables hold what a fresh fold of the events says, row by row and column by column?"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from typing import Any, Literal

from eventsourcing.persistence import Notification
from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.ranges import EVENTS, Range, in_order, ranges, streams, workers
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage import open_database
from trackledger.adapters.storage.database import Snapshot
from trackledger.adapters.storage.schema import LINKS, POISONED
from trackledger.projections.conclusions import Policies
from trackledger.projections.digest import Digest, Rows, Values, of_rows, stored
from trackledger.projections.folding import AsOf, Folded, folded
from trackledger.projections.table import Table
from trackledger.projections.tables import POSITION, TABLES

NAMED = 100
"""Differences that are named; the others are counted."""

_NONE: Rows = [[] for _ in TABLES]
_NOW = AsOf()


class Difference(Struct, frozen=True):
    """A row that is not as it should be: `missing`; `extra`, where the fold has none; or `changed` in `columns`.

    `key` tells it from other rows of its shipment, as a checkpoint's id does; empty where a shipment has one row only.
    """

    table: str
    shipment_id: str
    key: str
    kind: Literal["missing", "extra", "changed"]
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        row = f"{self.table} of {self.shipment_id}" + (f", {self.key}" if self.key else "")
        return f"{row}: {self.kind}" + (f" in {', '.join(self.columns)}" if self.columns else "")


class Unfoldable(Struct, frozen=True):
    """A shipment that cannot be folded, so that its rows stay as they were; `noted` is whether the pump knows of it."""

    shipment_id: str
    reason: str
    noted: bool


class TableCheck(Struct, frozen=True):
    """What a comparison of so many shipments and rows found.

    Of the `differing` rows, the first `NAMED` are in `differences`. Shipments that cannot be folded could not be
    compared: `poisoned`, of which the pump knows, and `unnoted`; the first `NAMED` of both are in `unfoldable`.
    `digest` is that of the rows held (see `projections.digest`), and of use only if nothing was written meanwhile.
    """

    shipments: int = 0
    rows: int = 0
    differing: int = 0
    differences: tuple[Difference, ...] = ()
    poisoned: int = 0
    unnoted: int = 0
    unfoldable: tuple[Unfoldable, ...] = ()
    digest: str = ""

    @property
    def holds(self) -> bool:
        """Whether every row that can be compared is as it should be, and the pump knows of all that cannot."""
        return not self.differing and not self.unnoted

    def plus(self, other: "TableCheck") -> "TableCheck":
        """Both together, without a digest."""
        return TableCheck(
            self.shipments + other.shipments,
            self.rows + other.rows,
            self.differing + other.differing,
            (self.differences + other.differences)[:NAMED],
            self.poisoned + other.poisoned,
            self.unnoted + other.unnoted,
            (self.unfoldable + other.unfoldable)[:NAMED],
        )


class Task(Struct, frozen=True):
    """What a worker has to know besides the range."""

    source: str
    allow_volatile: bool
    policies: Policies


class Part(Struct, frozen=True):
    """What was found in one range, and the digests of the rows that its shipments hold."""

    events: int
    found: TableCheck
    digests: bytes


def check_tables(
    runtime: Runtime,
    *,
    processes: int | None = None,
    executor: Executor | None = None,
    batch: int = EVENTS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TableCheck:
    """Compare every row of every table, and of `tracker_links`, with a fold of the events by the policies of `runtime`.

    Range by range of shipments, each at one moment of the ledger and at the position at which the tables then are, so
    that neither tables that are behind nor those who write meanwhile make a difference. Rows of shipments without
    events differ too. Work is divided as in `replay`; `progress` is told events done and in all. Writes nothing.
    """
    count = processes or os.cpu_count() or 1
    settings, upto = runtime.settings, runtime.store.head()
    task = Task(settings.database, settings.allow_volatile, settings.policies or Policies())
    digest, found, done = Digest(), TableCheck(), 0
    with nullcontext(executor) if executor else workers(count) as pool:
        arguments = ((task, within) for within in ranges(runtime.database, batch))
        for part in in_order(pool, count if count == 1 else count + 2, check_range, arguments):
            digest.add(part.digests)
            found = found.plus(part.found)
            done += part.events
            progress(min(done, upto), upto)
    return replace(found, digest=digest.hexdigest())


def check_range(task: Task, within: Range) -> Part:
    """The work on one range; in whichever process, it opens the ledger for itself."""
    database = open_database(task.source, create=False, allow_volatile=task.allow_volatile)
    try:
        with database.snapshot() as snapshot:
            return _check(snapshot, within, task.policies)
    finally:
        database.close()


def _check(snapshot: Snapshot, within: Range, policies: Policies) -> Part:
    found = snapshot.tuples("SELECT position FROM {s}positions WHERE name = :name", name=POSITION)
    position = int(found[0][0]) if found else 0
    held, linked = stored(snapshot, within.after, within.last), _links(snapshot, within)
    noted: dict[str, str] = dict(_of_range(snapshot, POISONED.name, "shipment_id, reason", within))
    events = 0
    fresh: dict[str, Folded] = {}
    for shipment_id, stream in streams(snapshot, within, 2**62):
        events += len(stream)
        fresh |= _fold(shipment_id, stream, position, policies)
    differences: list[Difference] = []
    unfoldable: list[Unfoldable] = []
    rows = 0
    for shipment_id in sorted(held.keys() | fresh.keys() | linked.keys()):
        one = fresh.get(shipment_id, Folded(shipment_id, _NONE, []))
        if one.poison or shipment_id in noted:
            reason = noted.get(shipment_id) or (one.poison.reason if one.poison else "")
            unfoldable.append(Unfoldable(shipment_id, reason, shipment_id in noted))
            continue
        has, wanted = held.get(shipment_id, _NONE), one.rows
        rows += sum(map(len, wanted)) + len(one.links)
        if has != wanted:
            for n, table in enumerate(TABLES):
                differences += _differences(table, shipment_id, has[n], wanted[n])
        links = sorted(map(LINKS.values, one.links))
        if linked.get(shipment_id, []) != links:
            differences += _differences(LINKS, shipment_id, linked.get(shipment_id, []), links)
    unnoted = sum(not one.noted for one in unfoldable)
    check = TableCheck(
        len(fresh),
        rows,
        len(differences),
        tuple(differences[:NAMED]),
        len(unfoldable) - unnoted,
        unnoted,
        tuple(unfoldable[:NAMED]),
    )
    return Part(events, check, of_rows(list(held.values())))


def _fold(shipment_id: str, stream: Sequence[Notification], position: int, policies: Policies) -> dict[str, Folded]:
    """Its rows by the events that the tables reflect; its links by all, as those are written with the events."""
    behind = [event for event in stream if event.id <= position]
    one = folded(shipment_id, behind, policies, _NOW) if behind else None
    if len(behind) == len(stream):
        return {shipment_id: one} if one else {}
    all_ = folded(shipment_id, stream, policies, _NOW)
    return {shipment_id: Folded(shipment_id, one.rows if one else _NONE, all_.links if all_ else [])}


def _of_range(snapshot: Snapshot, table: str, columns: str, within: Range) -> list[Values]:
    limit = "" if within.last is None else "AND shipment_id <= :last"
    return snapshot.tuples(
        f"SELECT {columns} FROM {{s}}{table} WHERE shipment_id > :after {limit} ORDER BY shipment_id",
        after=within.after,
        **({} if within.last is None else {"last": within.last}),
    )


def _links(snapshot: Snapshot, within: Range) -> dict[str, list[Values]]:
    place = LINKS.names.index("shipment_id")
    linked: dict[str, list[Values]] = {}
    for row in sorted(_of_range(snapshot, LINKS.name, ", ".join(LINKS.names), within)):
        linked.setdefault(row[place], []).append(row)
    return linked


def _differences(table: Table[Any], shipment_id: str, held: list[Values], wanted: list[Values]) -> Iterator[Difference]:
    places = [n for n, name in enumerate(table.names) if name in table.key]
    named = [n for n in places if table.names[n] != "shipment_id"]
    has = {tuple(row[n] for n in places): row for row in held}
    should = {tuple(row[n] for n in places): row for row in wanted}
    for key in sorted(has.keys() | should.keys()):
        old, new = has.get(key), should.get(key)
        shown = ", ".join(str((old or new or ())[n]) for n in named)
        if old is None or new is None:
            yield Difference(table.name, shipment_id, shown, "missing" if old is None else "extra")
        elif old != new:
            columns = tuple(name for name, a, b in zip(table.names, old, new, strict=True) if a != b)
            yield Difference(table.name, shipment_id, shown, "changed", columns)
