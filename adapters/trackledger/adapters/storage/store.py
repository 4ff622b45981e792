"""How are the tables written, in step with the position they reflect?"""

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from eventsourcing.persistence import Notification

from trackledger.adapters.storage.database import Database, InUse, Transaction
from trackledger.adapters.storage.schema import POISONED, POSITIONS, PositionRow
from trackledger.domain.errors import Contended
from trackledger.projections.projector import Step, Waiter
from trackledger.projections.rebuild import Parity, Plan
from trackledger.projections.table import Change, Table
from trackledger.projections.tables import POSITION, TABLES, VIEWS, Poisoned

_EVENT = "originator_id, originator_version, topic, state, notification_id"
_OTHER_REBUILD = "another rebuild has begun and replaced the new tables of this one; let it finish"
_INSERT_POSITION = "INSERT INTO {s}positions (name, position) VALUES (:name, 0) ON CONFLICT (name) DO NOTHING"


class TableStore:
    """See `projector.Store` and `rebuild.RebuildStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        return self._database.read(sql, **params)

    def waiter(self) -> Waiter:
        return self._database.waiter()

    def head(self) -> int:
        return int(self._database.tuples("SELECT COALESCE(MAX(notification_id), 0) FROM {s}stored_events")[0][0])

    def notifications(self, after: int, limit: int) -> list[Notification]:
        found = self._database.tuples(
            f"SELECT {_EVENT} FROM {{s}}stored_events WHERE notification_id > :after ORDER BY notification_id LIMIT :n",
            after=after,
            n=limit,
        )
        return [Notification(*row) for row in found]

    def streams(self, shipment_ids: Sequence[str], upto: int) -> Mapping[str, list[Notification]]:
        streams: dict[str, list[Notification]] = {}
        if shipment_ids:
            found = self._database.tuples(
                f"""SELECT {_EVENT} FROM {self._database.each("ids")}
                    {self._database.look_up("stored_events", "e", "originator_id", "k.value")}
                    WHERE notification_id <= :upto ORDER BY originator_id, originator_version""",
                ids=list(shipment_ids),
                upto=upto,
            )
            for row in found:
                streams.setdefault(row[0], []).append(Notification(*row))
        return streams

    def shipments_after(self, shipment_id: str, limit: int, upto: int) -> list[tuple[str, Sequence[Notification]]]:
        ids = [
            row[0]
            for row in self._database.tuples(
                """SELECT originator_id FROM {s}stored_events
                   WHERE originator_id > :after AND originator_version = 1 AND notification_id <= :upto
                   ORDER BY originator_id LIMIT :n""",
                after=shipment_id,
                upto=upto,
                n=limit,
            )
        ]
        streams = self.streams(ids, upto)
        return [(id_, streams[id_]) for id_ in ids]

    def position(self, name: str, suffix: str = "") -> int:
        found = self._database.tuples("SELECT position FROM {s}positions WHERE name = :name", name=name)
        if suffix and not found:
            raise Contended(_OTHER_REBUILD)
        return int(found[0][0]) if found else 0

    def poisoned(self, shipment_ids: Sequence[str], suffix: str) -> set[str]:
        found = self._database.tuples(
            f"""SELECT shipment_id FROM {{s}}{POISONED.name}{suffix}
                WHERE {self._database.any_of("shipment_id", "ids")}""",
            ids=list(shipment_ids),
        )
        return {row[0] for row in found}

    def advance(self, name: str, expected: int, step: Step, suffix: str) -> bool:
        with self._database.transaction() as transaction:
            # Compare and set, first of all: of two pumps that read the same batch, one finds the position moved.
            if expected == 0 and not suffix:
                transaction.execute(_INSERT_POSITION, name=name)
            moved = transaction.execute(
                "UPDATE {s}positions SET position = :position WHERE name = :name AND position = :expected",
                position=step.position,
                name=name,
                expected=expected,
            )
            if moved != 1:
                if suffix:
                    self._lock_position(transaction, name)
                return False
            self._write(transaction, step, suffix)
        return True

    def _write(self, transaction: Transaction, step: Step, suffix: str) -> None:
        for change in step.changes:
            target = change.table.name + suffix
            if step.healed:
                transaction.execute(
                    f"DELETE FROM {{s}}{target} WHERE {self._database.any_of('shipment_id', 'ids')}", ids=step.healed
                )
            transaction.delete(change.table, change.gone, target)
            transaction.upsert(change.table, change.rows, target)
        transaction.upsert(POISONED, step.poison, POISONED.name + suffix)
        transaction.delete(POISONED, step.healed, POISONED.name + suffix)

    @staticmethod
    def _lock_position(transaction: Transaction, name: str) -> int:
        """Keep pumps from moving the position of new tables, which the next rebuild to begin takes away."""
        if transaction.execute("UPDATE {s}positions SET position = position WHERE name = :name", name=name) != 1:
            raise Contended(_OTHER_REBUILD)
        found = transaction.read("SELECT position FROM {s}positions WHERE name = :name", name=name)
        return int(found[0]["position"])

    def begin_rebuild(self, tables: Sequence[Table[Any]], suffix: str, name: str, position: int) -> None:
        dialect, prefix = self._database.dialect, self._database.schema
        with self._database.transaction() as transaction:
            transaction.execute(
                "DELETE FROM {s}positions WHERE substr(name, 1, length(:left)) = :left", left=f"{POSITION}{suffix}"
            )
            for table in (*tables, POISONED):
                transaction.execute(f"DROP TABLE IF EXISTS {{s}}{table.name}{suffix}")
                for statement in table.create(dialect, prefix, table.name + suffix, "_" + token_hex(4)):
                    transaction.execute(statement)
            transaction.upsert(POSITIONS, [PositionRow(name, position)])

    def fill(self, name: str, changes: Sequence[Change], poison: Sequence[Poisoned], suffix: str) -> None:
        with self._database.transaction() as transaction:
            self._lock_position(transaction, name)
            for change in changes:
                transaction.upsert(change.table, change.rows, change.table.name + suffix)
            transaction.upsert(POISONED, poison, POISONED.name + suffix)

    def compare(self, table: Table[Any], suffix: str, upto: int) -> Parity:
        old, new, columns = f"{{s}}{table.name}", f"{{s}}{table.name}{suffix}", ", ".join(table.names)
        # Within one statement, so that events and rows are of the same moment.
        unchanged = """shipment_id NOT IN
          (SELECT originator_id FROM {s}stored_events WHERE notification_id > :upto)"""

        def surplus(a: str, b: str) -> str:
            differing = f"SELECT {columns} FROM {a} EXCEPT SELECT {columns} FROM {b}"
            return f"(SELECT shipment_id FROM ({differing}) AS d WHERE {unchanged}) AS surplus"

        def count(of: str) -> int:
            return int(self._database.tuples(f"SELECT COUNT(*) FROM {of}", upto=upto)[0][0])

        only_new, only_old = count(surplus(new, old)), count(surplus(old, new))
        examples: list[tuple[Any, ...]] = []
        if only_new or only_old:
            union = f"SELECT shipment_id FROM {surplus(new, old)} UNION SELECT shipment_id FROM {surplus(old, new)}"
            examples = self._database.tuples(
                f"SELECT shipment_id FROM ({union}) AS u ORDER BY shipment_id LIMIT 5", upto=upto
            )
        return Parity(table.name, count(new), only_new, only_old, tuple(row[0] for row in examples))

    def switch(self, tables: Sequence[Table[Any]], suffix: str, name: str, live: str, plan: Plan) -> bool:
        try:
            with self._database.transaction() as transaction:
                transaction.execute(_INSERT_POSITION, name=live)
                target = self._lock_position(transaction, live)
                position = self._lock_position(transaction, name)
                if position > target:
                    return False
                step = plan(position, target - position)
                if step is not None:
                    self._write(transaction, step, suffix)
                self._rename(transaction, tables, suffix)
                self._replace_poisoned(transaction, suffix, everything=len(tables) == len(TABLES))
                transaction.execute("DELETE FROM {s}positions WHERE name = :name", name=name)
        except InUse:
            return False
        return True

    def _rename(self, transaction: Transaction, tables: Sequence[Table[Any]], suffix: str) -> None:
        transaction.lock_out([*(view.name for view in VIEWS), *(table.name for table in tables)])
        for view in VIEWS:
            transaction.execute(f"DROP VIEW IF EXISTS {{s}}{view.name}")
        for table in tables:
            transaction.execute(f"DROP TABLE IF EXISTS {{s}}{table.name}")
            transaction.execute(f"ALTER TABLE {{s}}{table.name}{suffix} RENAME TO {table.name}")
        for view in VIEWS:
            transaction.execute(view.create(self._database.dialect, self._database.schema))

    @staticmethod
    def _replace_poisoned(transaction: Transaction, suffix: str, *, everything: bool) -> None:
        """After a rebuild of one table, a shipment that could not be folded before is still behind in the others."""
        if everything:
            transaction.execute(f"DELETE FROM {{s}}{POISONED.name}")
        transaction.execute(
            f"""INSERT INTO {{s}}{POISONED.name} SELECT * FROM {{s}}{POISONED.name}{suffix} WHERE TRUE
                ON CONFLICT (shipment_id) DO NOTHING"""
        )
        transaction.execute(f"DROP TABLE {{s}}{POISONED.name}{suffix}")
