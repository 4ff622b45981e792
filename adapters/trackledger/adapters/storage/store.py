"""How are the tables written, in step with the position they reflect?"""

from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from eventsourcing.persistence import Notification

from trackledger.adapters.storage.database import Database
from trackledger.adapters.storage.schema import POISONED, POSITIONS, PositionRow
from trackledger.projections.projector import Waiter
from trackledger.projections.rebuild import Parity
from trackledger.projections.table import Change, Table
from trackledger.projections.tables import VIEWS, Poisoned

_EVENT = "originator_id, originator_version, topic, state, notification_id"


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
                f"""SELECT {_EVENT} FROM {{s}}stored_events
                    WHERE {self._database.any_of("originator_id", "ids")} AND notification_id <= :upto
                    ORDER BY originator_id, originator_version""",
                ids=sorted(shipment_ids),
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

    def position(self, name: str) -> int:
        found = self._database.tuples("SELECT position FROM {s}positions WHERE name = :name", name=name)
        return int(found[0][0]) if found else 0

    def poisoned(self, shipment_ids: Sequence[str]) -> set[str]:
        found = self._database.tuples(
            f"SELECT shipment_id FROM {{s}}poisoned WHERE {self._database.any_of('shipment_id', 'ids')}",
            ids=list(shipment_ids),
        )
        return {row[0] for row in found}

    def advance(
        self,
        name: str,
        expected: int,
        position: int,
        changes: Sequence[Change],
        poison: Sequence[Poisoned],
        suffix: str,
    ) -> bool:
        with self._database.transaction() as transaction:
            # Compare and set, first of all: of two pumps that read the same batch, one finds the position moved.
            if expected == 0:
                transaction.execute(
                    "INSERT INTO {s}positions (name, position) VALUES (:name, 0) ON CONFLICT (name) DO NOTHING",
                    name=name,
                )
            moved = transaction.execute(
                "UPDATE {s}positions SET position = :position WHERE name = :name AND position = :expected",
                position=position,
                name=name,
                expected=expected,
            )
            if moved != 1:
                return False
            for change in changes:
                target = change.table.name + suffix
                transaction.delete(change.table, change.gone, target)
                transaction.upsert(change.table, change.rows, target)
            transaction.upsert(POISONED, [p for p in poison if p.reason])
            transaction.delete(POISONED, [p.shipment_id for p in poison if not p.reason])
        return True

    def begin_rebuild(self, tables: Sequence[Table[Any]], suffix: str, name: str, position: int) -> None:
        dialect, prefix = self._database.dialect, self._database.schema
        with self._database.transaction() as transaction:
            for table in tables:
                transaction.execute(f"DROP TABLE IF EXISTS {{s}}{table.name}{suffix}")
                for statement in table.create(dialect, prefix, table.name + suffix, "_" + token_hex(4)):
                    transaction.execute(statement)
            transaction.upsert(POSITIONS, [PositionRow(name, position)])

    def fill(self, changes: Sequence[Change], poison: Sequence[Poisoned], suffix: str) -> None:
        with self._database.transaction() as transaction:
            for change in changes:
                transaction.upsert(change.table, change.rows, change.table.name + suffix)
            transaction.upsert(POISONED, poison)

    def compare(self, table: Table[Any], suffix: str) -> Parity:
        old, new, columns = f"{{s}}{table.name}", f"{{s}}{table.name}{suffix}", ", ".join(table.names)

        def surplus(a: str, b: str) -> str:
            return f"(SELECT {columns} FROM {a} EXCEPT SELECT {columns} FROM {b}) AS surplus"

        def count(of: str) -> int:
            return int(self._database.tuples(f"SELECT COUNT(*) FROM {of}")[0][0])

        only_new, only_old = count(surplus(new, old)), count(surplus(old, new))
        examples: list[tuple[Any, ...]] = []
        if only_new or only_old:
            sides = (surplus(new, old), surplus(old, new))
            union = " UNION ".join(f"SELECT shipment_id FROM {side}" for side in sides)
            examples = self._database.tuples(f"SELECT shipment_id FROM ({union}) AS u ORDER BY shipment_id LIMIT 5")
        return Parity(table.name, count(new), only_new, only_old, tuple(row[0] for row in examples))

    def switch(self, tables: Sequence[Table[Any]], suffix: str, name: str, live: str) -> bool:
        with self._database.transaction() as transaction:
            same = transaction.execute(
                """UPDATE {s}positions SET position = position WHERE name = :live AND position =
                   (SELECT n.position FROM {s}positions n WHERE n.name = :name)""",
                live=live,
                name=name,
            )
            if same != 1:
                return False
            for view in VIEWS:
                transaction.execute(f"DROP VIEW {{s}}{view.name}")
            for table in tables:
                transaction.execute(f"DROP TABLE {{s}}{table.name}")
                transaction.execute(f"ALTER TABLE {{s}}{table.name}{suffix} RENAME TO {table.name}")
            for view in VIEWS:
                transaction.execute(view.create(self._database.dialect, self._database.schema))
            transaction.execute("DELETE FROM {s}positions WHERE name = :name", name=name)
        return True
