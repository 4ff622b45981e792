"""How is everything that names a person taken out of a ledger that never deletes an event?

In steps, each of which may be the last of a process that is killed; whoever forgets again goes on from there.

1. The event `Forgotten`: from then on nothing more is heard of the shipment.
2. Its rows are written anew, without free text.
3. In one transaction the raw messages that speak of it and its key are deleted, and it is asked about no more.
4. What was deleted leaves the files of the database.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.inbox import Inbox
from trackledger.adapters.mentions import Mentions
from trackledger.adapters.schedule import Schedule
from trackledger.adapters.storage.builds import old_names, under_way
from trackledger.adapters.storage.database import Database, InUse
from trackledger.adapters.storage.schema import MESSAGES, POISONED, VAULT
from trackledger.domain.errors import Contended, TrackledgerError
from trackledger.domain.events import DetailsStated, Forgotten, Opened, ReportRecorded
from trackledger.domain.ledger import Ledger
from trackledger.projections.projector import Projector
from trackledger.projections.rebuild import NEXT
from trackledger.projections.table import Reader
from trackledger.projections.tables import TABLES


class Held(Struct, frozen=True):
    """What a ledger holds of a shipment besides its events, or held until now.

    `messages` are the raw messages that speak of it, without those that are `waiting` to be taken in; `others` the
    shipments that they speak of too, whose statements stay in the ledger; `asked` counts trackers that are asked about.
    Free text in the events of a `private` shipment is under a key, that of others is there for ever.
    """

    shipment_id: str
    forgotten: bool
    private: bool
    messages: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    asked: int = 0


class Forgetting:
    """Forgets shipments of one ledger."""

    def __init__(self, database: Database, ledger: Ledger, inbox: Inbox, projector: Projector) -> None:
        self._database = database
        self._ledger = ledger
        self._mentions = Mentions(database, inbox)
        self._projector = projector

    def look(self, shipment_id: str) -> Held:
        """What there is to be erased. Raises `ShipmentNotFound`."""
        return self._with_messages(self._begun(shipment_id))

    def _begun(self, shipment_id: str) -> Held:
        events = [placed.event for placed in self._ledger.history(shipment_id)]
        asked = self._database.tuples(
            "SELECT COUNT(*) FROM {s}poll_schedule WHERE shipment_id = :id AND state = 'asking'", id=shipment_id
        )
        is_forgotten = any(isinstance(event, Forgotten) for event in events)
        is_private = isinstance(events[0], Opened) and events[0].private
        return Held(shipment_id, is_forgotten, is_private, asked=int(asked[0][0]))

    def _with_messages(self, held: Held) -> Held:
        events = [placed.event for placed in self._ledger.history(held.shipment_id)]
        named = {getattr(event, "message_id", "") for event in events} - {""}
        numbers = {
            event.details.get("tracking_number", "")
            for event in events
            if isinstance(event, ReportRecorded | DetailsStated)
        }
        found = self._mentions.of(held.shipment_id, named, numbers)
        return replace(held, messages=found.settled, waiting=found.waiting, others=found.others)

    def forget(self, shipment_id: str, actor: str, reason: str) -> Held:
        """Forget a shipment, or finish what was begun; what was erased. Those of its messages that wait are named and
        stay: once they are taken in, nothing of them is kept either.

        The bytes leave the files with `scrub` only. Raises `ShipmentNotFound`, and `TrackledgerError` for an actor or a
        reason that cannot be.
        """
        held = self._begun(shipment_id)
        receipt = self._ledger.forget(shipment_id, actor, reason)
        if receipt.error:
            raise TrackledgerError(receipt.error)
        self._projector.catch_up()
        # Looked for only now, as messages may have been taken in until then, and none is from then on.
        return self._erase(self._with_messages(held))

    def _erase(self, held: Held) -> Held:
        with self._database.transaction() as transaction:
            transaction.execute(
                f"""DELETE FROM {{s}}messages
                    WHERE {self._database.any_of("message_id", "ids")} AND state <> 'waiting'""",
                ids=list(held.messages),
            )
            # One of them may have arrived again since.
            left = transaction.read(
                f"SELECT message_id FROM {{s}}messages WHERE {self._database.any_of('message_id', 'ids')}",
                ids=list(held.messages),
            )
            for name in _beside(transaction):
                transaction.execute(f"DELETE FROM {{s}}{name} WHERE shipment_id = :id", id=held.shipment_id)
            transaction.delete(VAULT, [held.shipment_id])
            Schedule(self._database).forget(transaction, held.shipment_id)
        again = {row["message_id"] for row in left}
        return replace(
            held,
            messages=tuple(id_ for id_ in held.messages if id_ not in again),
            waiting=tuple(sorted({*held.waiting, *again})),
        )

    def scrub(self, forgotten: Iterable[Held]) -> None:
        """Make what was erased of these shipments leave the files; once for all of them, as it takes as long as writing
        the tables anew. Raises `Contended` when somebody holds that back."""
        worded = any(held.private for held in forgotten)
        names = [MESSAGES.name, POISONED.name]
        if worded:
            names += [VAULT.name, *(table.name for table in TABLES), *_beside(self._database)]
        try:
            self._database.scrub(names)
        except InUse as held:
            raise Contended(f"what was erased is still in the files, as {held}; forget again after that") from held


def _beside(reader: Reader) -> list[str]:
    """The tables that a rebuild keeps beside those that are read: old ones, and new ones that are not filled yet, which
    get the shipment's rows from its event `Forgotten` at last."""
    begun = under_way(reader, datetime.now(UTC))
    new = [name + NEXT for name in (*begun.tables, POISONED.name)] if begun else []
    return [*old_names(reader), *new]
