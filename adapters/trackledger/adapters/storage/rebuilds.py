"""How are new tables filled beside the old ones and put in their place, whoever dies on the way?"""

import os
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from importlib.metadata import version
from secrets import token_hex
from typing import Any

from eventsourcing.persistence import IntegrityError
from msgspec.structs import replace

from trackledger.adapters.ranges import Range, ranges, streams
from trackledger.adapters.storage.beside import compare
from trackledger.adapters.storage.builds import clear, drop, is_alive, locked, old_names
from trackledger.adapters.storage.database import Database, InUse, Transaction
from trackledger.adapters.storage.schema import BUILDS, POISONED, POSITIONS, REBUILDS, BuildRow, PositionRow, RebuildRow
from trackledger.adapters.storage.store import OVERTAKEN, TableStore
from trackledger.domain.errors import Contended, Refused
from trackledger.projections.conclusions import Policies
from trackledger.projections.folding import AsOf, folded
from trackledger.projections.parity import Parity
from trackledger.projections.rebuild import NEXT, OLD, Batch, Begun, Plan
from trackledger.projections.table import Reader, Table
from trackledger.projections.tables import POSITION, TABLES, VIEWS

EVENTS = 500
"""Events whose shipments' rows are filled in in one transaction, so that other writers wait for a moment only."""

COMPARED = 20
"""Batches whose rows are compared at one moment."""

_MINE = "UPDATE {s}rebuilds SET alive_at = :now, leased_until = :until"


class Rebuilds:
    """See `rebuild.RebuildStore`.

    That there is one at a time is a row of `rebuilds`, leased to a process in the machine's time. Whoever takes it over
    gives it a new marker, which every write names: one that was thought dead and is not does no harm.
    """

    def __init__(self, database: Database, store: TableStore, *, events: int = EVENTS) -> None:
        self._database = database
        self.store = store
        self._events = events

    def begin(self, tables: Sequence[Table[Any]], policies: Policies, lease: float) -> Begun:
        now = datetime.now(UTC)
        wanted = RebuildRow(
            name=POSITION,
            marker=f"{POSITION}{NEXT}_{token_hex(4)}",
            tables=",".join(table.name for table in tables),
            policies=policies.silence.version,
            recipe=_recipe(tables, policies),
            upto=self.store.head(),
            filled_to="",
            events=0,
            is_filled=False,
            process=f"process {os.getpid()} on {socket.gethostname()}",
            began_at=now,
            alive_at=now,
            leased_until=now + timedelta(seconds=lease),
        )
        try:
            return self._begin(tables, wanted)
        except IntegrityError:
            # Another one began at this moment.
            return self._begin(tables, wanted)

    def _begin(self, tables: Sequence[Table[Any]], wanted: RebuildRow) -> Begun:
        with self._database.transaction() as transaction:
            self._refuse_onlookers(transaction, tables)
            there = locked(transaction)
            if there is not None and there.leased_until > wanted.alive_at:
                raise Contended(is_alive(there, wanted.alive_at))
            if there is not None and (there.tables, there.recipe) == (wanted.tables, wanted.recipe):
                mine = replace(
                    there,
                    marker=wanted.marker,
                    process=wanted.process,
                    alive_at=wanted.alive_at,
                    leased_until=wanted.leased_until,
                )
                transaction.upsert(REBUILDS, [mine])
                transaction.execute(
                    "UPDATE {s}positions SET name = :new WHERE name = :old", new=mine.marker, old=there.marker
                )
                return _begun(mine, _goes_on(there), _kept(transaction, tables))
            if there is not None:
                transaction.delete(REBUILDS, [POSITION])
            transaction.insert(REBUILDS, [wanted])
            clear(transaction, TABLES)
            self._create(transaction, tables)
            transaction.upsert(POSITIONS, [PositionRow(wanted.marker, wanted.upto)])
            return _begun(wanted, _begins_anew(there, wanted) if there else "", _kept(transaction, tables))

    def _create(self, transaction: Transaction, tables: Sequence[Table[Any]]) -> None:
        """With their indexes: making these at the end was no faster at 800,000 checkpoints, on neither database, and
        lets nobody else write to SQLite meanwhile."""
        dialect, prefix = self._database.dialect, self._database.schema
        for table in (*tables, POISONED):
            for statement in table.create(dialect, prefix, table.name + NEXT, f"_{token_hex(4)}"):
                transaction.execute(statement)

    def _refuse_onlookers(self, transaction: Transaction, tables: Sequence[Table[Any]]) -> None:
        names = [*(view.name for view in VIEWS), *(table.name for table in tables)]
        if found := transaction.onlookers(names):
            raise Refused(
                f"what you made to read the tables would go on reading the old ones: {', '.join(found[:5])}; "
                f"drop it, rebuild, and make it again"
            )

    def renew(self, marker: str, lease: float) -> None:
        with self._database.transaction() as transaction:
            _require_mine(transaction, marker, lease)

    def release(self, marker: str) -> None:
        with self._database.transaction() as transaction:
            now = datetime.now(UTC)
            transaction.execute(f"{_MINE} WHERE marker = :marker", marker=marker, now=now, until=now)

    def batches(self, begun: Begun, tables: Sequence[Table[Any]], policies: Policies) -> Iterator[Batch]:
        places = [(n, table) for n, table in enumerate(TABLES) if table in tables]
        for within in ranges(self._database, self._events, begun.filled_to):
            found = []
            last, events = within.last or within.after, 0
            for shipment_id, stream in streams(self._database, within, begun.upto):
                last, events = max(last, shipment_id), events + len(stream)
                if (one := folded(shipment_id, stream, policies, AsOf())) is not None:
                    found.append(one)
            yield Batch(
                last,
                events,
                {table: [row for one in found if one.rows for row in one.rows[n]] for n, table in places},
                [one.poison for one in found if one.poison],
            )

    def fill(self, marker: str, batch: Batch, lease: float) -> None:
        with self._database.transaction() as transaction:
            _require_mine(transaction, marker, lease)
            transaction.execute(
                "UPDATE {s}rebuilds SET filled_to = :last, events = events + :events WHERE marker = :marker",
                last=batch.last,
                events=batch.events,
                marker=marker,
            )
            for table, rows in batch.rows.items():
                transaction.fill(table, rows, table.name + NEXT)
            transaction.upsert(POISONED, batch.poison, POISONED.name + NEXT)

    def finish(self, marker: str, tables: Sequence[Table[Any]]) -> None:
        with self._database.transaction() as transaction:
            if self._database.dialect == "postgresql":
                for table in tables:
                    # Else the first queries would be planned as if the table were empty.
                    transaction.execute(f"ANALYZE {{s}}{table.name}{NEXT}")
            # Last, as the row is locked from then on, and signs of life are given meanwhile.
            if (
                transaction.execute("UPDATE {s}rebuilds SET is_filled = TRUE WHERE marker = :marker", marker=marker)
                != 1
            ):
                raise Contended(OVERTAKEN)

    def ranges(self) -> Iterator[tuple[Range, int]]:
        size = COMPARED * self._events
        for number, within in enumerate(ranges(self._database, size), start=1):
            yield within, number * size

    def compare(self, marker: str, tables: Sequence[Table[Any]], within: Range) -> list[Parity]:
        return compare(self._database, marker, tables, within)

    def make_room(self, marker: str, tables: Sequence[Table[Any]]) -> bool:
        # Not in the transaction of the switch, for which writers wait: on SQLite this takes long for large tables.
        return all(drop(self._database, name) for name in _kept(self._database, tables))

    def switch(self, marker: str, tables: Sequence[Table[Any]], plan: Plan) -> bool:
        try:
            with self._database.transaction() as transaction:
                mine = locked(transaction)
                if mine is None or mine.marker != marker:
                    raise Contended(OVERTAKEN)
                target = self.store.lock_position(transaction, POSITION)
                position = self.store.lock_position(transaction, marker)
                if position > target:
                    return False
                step = plan(position, target - position)
                if step is not None:
                    self.store.write(transaction, step, NEXT)
                self._refuse_onlookers(transaction, tables)
                named = transaction.read("SELECT DISTINCT policy_version FROM {s}silence ORDER BY 1 LIMIT 5")
                self._rename(transaction, tables)
                self._note(transaction, tables, mine, target, ", ".join(row["policy_version"] for row in named))
                _replace_poisoned(transaction, everything=len(tables) == len(TABLES))
                transaction.execute("DELETE FROM {s}positions WHERE name = :name", name=marker)
                transaction.delete(REBUILDS, [POSITION])
        except InUse:
            return False
        return True

    def _rename(self, transaction: Transaction, tables: Sequence[Table[Any]]) -> None:
        names = [*(view.name for view in VIEWS), *(table.name for table in tables)]
        transaction.lock_out([*names, *(table.name + NEXT for table in (*tables, POISONED))])
        access = transaction.access(names)
        for view in VIEWS:
            transaction.execute(f"DROP VIEW IF EXISTS {{s}}{view.name}")
        for table in tables:
            transaction.rename(table.name, table.name + OLD)
            transaction.rename(table.name + NEXT, table.name)
        for view in VIEWS:
            transaction.execute(view.create(self._database.dialect, self._database.schema))
        for statement in access:
            transaction.execute(statement)

    @staticmethod
    def _note(
        transaction: Transaction, tables: Sequence[Table[Any]], mine: RebuildRow, position: int, named: str
    ) -> None:
        now = datetime.now(UTC)
        by = {row["name"]: row["policies"] for row in transaction.read("SELECT name, policies FROM {s}builds")}
        kept = [BuildRow(table.name + OLD, by.get(table.name, named), now, position) for table in tables]
        transaction.upsert(BUILDS, [*kept, *(BuildRow(table.name, mine.policies, now) for table in tables)])


def _replace_poisoned(transaction: Transaction, *, everything: bool) -> None:
    """After a rebuild of one table, a shipment that could not be folded before is still behind in the others."""
    if everything:
        transaction.execute(f"DELETE FROM {{s}}{POISONED.name}")
    transaction.execute(
        f"""INSERT INTO {{s}}{POISONED.name} SELECT * FROM {{s}}{POISONED.name}{NEXT} WHERE TRUE
            ON CONFLICT (shipment_id) DO NOTHING"""
    )
    transaction.execute(f"DROP TABLE {{s}}{POISONED.name}{NEXT}")


def _recipe(tables: Sequence[Table[Any]], policies: Policies) -> str:
    columns = [table.create_bare("postgresql") for table in tables]
    return blake2b(repr((version("trackledger"), policies, columns)).encode(), digest_size=16).hexdigest()


def _require_mine(transaction: Transaction, marker: str, lease: float) -> None:
    now = datetime.now(UTC)
    until = now + timedelta(seconds=lease)
    if transaction.execute(f"{_MINE} WHERE marker = :marker", marker=marker, now=now, until=until) != 1:
        raise Contended(OVERTAKEN)


def _kept(reader: Reader, tables: Sequence[Table[Any]]) -> list[str]:
    wanted = [table.name + OLD for table in tables]
    return [name for name in old_names(reader) if name in wanted]


def _begun(row: RebuildRow, note: str, kept: list[str]) -> Begun:
    return Begun(row.marker, row.upto, row.filled_to, row.events, row.is_filled, note, kept)


def _goes_on(there: RebuildRow) -> str:
    done = "after its tables were filled" if there.is_filled else f"after {there.events:,} of {there.upto:,} events"
    return f"going on with the rebuild that began {there.began_at:%Y-%m-%d %H:%M:%SZ} and ended {done}"


def _begins_anew(there: RebuildRow, wanted: RebuildRow) -> str:
    if there.tables != wanted.tables:
        why = f"of other tables ({there.tables.replace(',', ', ')})"
    elif there.policies != wanted.policies:
        why = f"by other policies (version {there.policies}, now {wanted.policies})"
    else:
        why = "by other policies or another version of trackledger"
    return f"beginning anew, as the rebuild that was interrupted {there.alive_at:%Y-%m-%d %H:%M:%SZ} was {why}"
