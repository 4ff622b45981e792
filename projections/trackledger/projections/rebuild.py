"""How are the tables made anew from the first event on, while readers keep the old ones?"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event as Flag
from threading import Thread
from time import sleep
from typing import Any, Protocol

from eventsourcing.persistence import PersistenceError
from msgspec import Struct

from trackledger.domain.errors import Contended, UsageError
from trackledger.projections.conclusions import Policies
from trackledger.projections.parity import Parity, Values
from trackledger.projections.projector import Projector, Step, Store
from trackledger.projections.table import Table
from trackledger.projections.tables import TABLES, Poisoned

NEXT = "__next"
OLD = "__old"

LEASE_SECONDS = 60.0
"""Seconds after the last sign of life of a rebuild after which another may take over."""

SWITCH_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, *[3.0] * 200)
"""Seconds between two attempts, in which readers have the tables; about ten minutes in all."""


Plan = Callable[[int, int], Step | None]
"""`Projector.plan`."""


class Begun(Struct, frozen=True):
    """A rebuild that may be worked on. `marker` is the name of the position of its tables, and nobody else has it.

    The fill goes on behind the shipment `filled_to`, with the events up to the position `upto`; of those, `events` were
    folded before. `note` is what whoever asked for it should know, or empty; `kept` are old tables that the switch will
    replace.
    """

    marker: str
    upto: int
    filled_to: str
    events: int
    is_filled: bool
    note: str
    kept: list[str]


class Batch(Struct, frozen=True):
    """The rows of the next shipments in the order of their ids, `last` being that of the last one, by table."""

    last: str
    events: int
    rows: dict[Table[Any], list[Values]]
    poison: list[Poisoned]


class RebuildStore(Protocol):
    """What a rebuild needs beyond the pump.

    Whatever takes a `marker` raises `Contended`, having done nothing, once another process has taken the rebuild over.
    """

    @property
    def store(self) -> Store:
        """What the pumps of new and old tables work on."""
        ...

    def begin(self, tables: Sequence[Table[Any]], policies: Policies, lease: float) -> Begun:
        """Go on with the rebuild of just these tables by just these policies that was interrupted, else begin anew with
        empty tables in place of any that are left. Nobody else may do so for `lease` seconds after the last sign of
        life. Raises `Contended` while another one is alive."""
        ...

    def renew(self, marker: str, lease: float) -> None:
        """Give a sign of life."""
        ...

    def release(self, marker: str) -> None:
        """Let another one go on at once."""
        ...

    def batches(self, begun: Begun, tables: Sequence[Table[Any]], policies: Policies) -> Iterator[Batch]:
        """The rows that are still to be filled in."""
        ...

    def fill(self, marker: str, batch: Batch, lease: float) -> None:
        """Write rows into new tables, and up to which shipment they are filled, in one transaction."""
        ...

    def finish(self, marker: str, tables: Sequence[Table[Any]]) -> None:
        """Make what new tables still lack once they are filled."""
        ...

    def ranges(self) -> Iterable[tuple[Any, int]]:
        """All shipments in ranges, with the number of events up to the end of each."""
        ...

    def compare(self, marker: str, tables: Sequence[Table[Any]], within: Any) -> list[Parity]:
        """The new tables against the old at one moment, within a range of shipments."""
        ...

    def make_room(self, marker: str, tables: Sequence[Table[Any]]) -> bool:
        """Drop the tables that were kept by an earlier rebuild; False while a reader keeps one of them locked."""
        ...

    def switch(self, marker: str, tables: Sequence[Table[Any]], plan: Plan) -> bool:
        """Bring the new tables to the position of the old by `plan`, put them in their place, and keep the old ones
        under another name, in one transaction.

        False, with nothing done, when the old are behind the new, or when a reader kept one of them locked.
        """
        ...


def rebuild(
    rebuilds: RebuildStore,
    name: str | None = None,
    policies: Policies | None = None,
    *,
    switch: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
    note: Callable[[str], None] = lambda sentence: None,
    lease: float = LEASE_SECONDS,
) -> list[Parity]:
    """Fold the whole ledger into new tables beside the old, compare, and switch.

    `name` picks one table, by default all are rebuilt. Readers see the old table until the switch and the new one from
    then on, never a part, and other writers and pumps go on meanwhile. The old ones stay under the name `NAME__old`, in
    place of any that were kept before. Memory does not grow with the ledger.

    One that was interrupted, at whatever point, is gone on with by the next one of the same tables and policies.
    Without `switch` it ends after the comparison, to be gone on with as well. `progress` is told the work done and in
    all, and `note` what is worth knowing besides.

    Raises `UsageError` for an unknown table, and `Contended`, with the old tables in their place, while another rebuild
    is alive or when it took over, or when readers kept the tables locked for minutes.
    """
    tables = chosen(name)
    policies = policies or Policies()
    begun = rebuilds.begin(tables, policies, lease)
    if begun.note:
        note(begun.note)
    if switch and begun.kept:
        note(f"the old tables that are kept will be replaced: {', '.join(begun.kept)}")
    with _alive(rebuilds, begun.marker, lease):
        return _rebuild(rebuilds, begun, tables, policies, switch, progress, lease)


def chosen(name: str | None) -> list[Table[Any]]:
    """The table of this name, or all. Raises `UsageError` where there is none."""
    tables = [table for table in TABLES if name in (None, table.name)]
    if not tables:
        raise UsageError(f"no table {name!r}; use one of: {', '.join(table.name for table in TABLES)}")
    return tables


def _rebuild(
    rebuilds: RebuildStore,
    begun: Begun,
    tables: Sequence[Table[Any]],
    policies: Policies,
    switch: bool,
    progress: Callable[[int, int], None],
    lease: float,
) -> list[Parity]:
    marker, total = begun.marker, 2 * begun.upto
    fresh = Projector(rebuilds.store, policies, name=marker, suffix=NEXT, tables=tables)
    live = Projector(rebuilds.store, policies)

    def catch_up() -> None:
        """In this order: from then on the old tables are not behind the new ones."""
        fresh.catch_up()
        live.catch_up()

    done = begun.events
    if not begun.is_filled:
        for batch in rebuilds.batches(begun, tables, policies):
            rebuilds.fill(marker, batch, lease)
            done += batch.events
            progress(done, total)
        rebuilds.finish(marker, tables)
    report = [Parity(table.name) for table in tables]
    catch_up()
    for within, events in rebuilds.ranges():
        found = rebuilds.compare(marker, tables, within)
        report = [one.plus(other) for one, other in zip(report, found, strict=True)]
        progress(min(begun.upto + events, total), total)
        # While others append, the fewer shipments have to be left out of the next range.
        catch_up()
    progress(total, total)
    if switch:
        for pause in SWITCH_PAUSES:
            if rebuilds.make_room(marker, tables):
                catch_up()
                if rebuilds.switch(marker, tables, fresh.plan):
                    return report
            sleep(pause)
        raise Contended(
            "readers kept the tables locked, so the rebuilt ones were not put in their place; rebuild again"
        )
    return report


@contextmanager
def _alive(rebuilds: RebuildStore, marker: str, lease: float) -> Generator[None]:
    """Signs of life for the length of the block, in which a single statement may take long; and then no more."""
    stop = Flag()

    def renew() -> None:
        while not stop.wait(lease / 4):
            # One that could not be given is no failure, and whoever was overtaken learns of it by the next write.
            with suppress(PersistenceError, Contended):
                rebuilds.renew(marker, lease)

    thread = Thread(target=renew, name="signs of life")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with suppress(PersistenceError):
            rebuilds.release(marker)
