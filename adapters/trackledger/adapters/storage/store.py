"""How are the tables written, in step with the position they reflect?"""

from collections.abc import Mapping, Sequence
from typing import Any

from eventsourcing.persistence import Notification

from trackledger.adapters.storage.database import Database, Transaction
from trackledger.adapters.storage.schema import POISONED
from trackledger.adapters.storage.vault import opened
from trackledger.domain.errors import Contended
from trackledger.projections.projector import Step, Waiter
from trackledger.projections.tables import POSITION

_EVENT = "originator_id, originator_version, topic, state, notification_id"
OVERTAKEN = "another process has taken over this rebuild, as it gave no sign of life; let that one finish"
_INSERT_POSITION = "INSERT INTO {s}positions (name, position) VALUES (:name, 0) ON CONFLICT (name) DO NOTHING"


class TableStore:
    """See `projector.Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        return self._database.read(sql, **params)

    def waiter(self) -> Waiter:
        return self._database.waiter()

    def head(self) -> int:
        return int(self._database.tuples("SELECT COALESCE(MAX(notification_id), 0) FROM {s}stored_events")[0][0])

    def notifications(self, after: int, limit: int) -> Sequence[Notification]:
        found = self._database.tuples(
            f"SELECT {_EVENT} FROM {{s}}stored_events WHERE notification_id > :after ORDER BY notification_id LIMIT :n",
            after=after,
            n=limit,
        )
        return opened(self._database, [Notification(*row) for row in found])

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
            for stored in opened(self._database, [Notification(*row) for row in found]):
                streams.setdefault(str(stored.originator_id), []).append(stored)
        return streams

    def position(self, name: str, suffix: str = "") -> int:
        found = self._database.tuples("SELECT position FROM {s}positions WHERE name = :name", name=name)
        if suffix and not found:
            raise Contended(OVERTAKEN)
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
                    self.lock_position(transaction, name)
                return False
            self.write(transaction, step, suffix)
        return True

    def write(self, transaction: Transaction, step: Step, suffix: str) -> None:
        """Write the rows of a step; the position is the caller's to move, in the same transaction."""
        transaction.delete(POISONED, step.anew, POISONED.name + suffix)
        for change in step.changes:
            target = change.table.name + suffix
            if step.anew:
                transaction.execute(
                    f"DELETE FROM {{s}}{target} WHERE {self._database.any_of('shipment_id', 'ids')}", ids=step.anew
                )
            transaction.delete(change.table, change.gone, target)
            transaction.upsert(change.table, change.rows, target)
        transaction.upsert(POISONED, step.poison, POISONED.name + suffix)

    @staticmethod
    def lock_position(transaction: Transaction, name: str) -> int:
        """Keep pumps from moving a position until the end of the transaction; how far it is."""
        if name == POSITION:
            transaction.execute(_INSERT_POSITION, name=name)
        if transaction.execute("UPDATE {s}positions SET position = position WHERE name = :name", name=name) != 1:
            raise Contended(OVERTAKEN)
        found = transaction.read("SELECT position FROM {s}positions WHERE name = :name", name=name)
        return int(found[0]["position"])
