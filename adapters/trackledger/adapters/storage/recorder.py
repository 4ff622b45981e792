"""How are stored events appended once and read back, on either database?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Notification, OperationalError, StoredEvent, Subscription

from trackledger.adapters.storage.database import Database, Transaction
from trackledger.adapters.storage.schema import LINKS, VAULT, VaultRow
from trackledger.adapters.storage.vault import keys_of, opened, seal, unsealed
from trackledger.domain.batch import Loaded
from trackledger.domain.ledger import LedgerRecorder
from trackledger.domain.links import Link

PAGE = 500
WAIT = 1.0

PRIVATE = b'"private":true'
"""Stands in the state of the first event of every private shipment and of no other: in a text its quotes would be
escaped."""


class Recorder(LedgerRecorder):
    """The library's application recorder with what `LedgerRecorder` adds.

    Notification ids are gapless and in the order of commits, so that a reader that has seen `n` has seen everything
    up to it, however many writers append.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        links: Sequence[Link] = (),
        keys: Mapping[str, bytes] | None = None,
        also: Callable[[Transaction], None] | None = None,
        **kwargs: Any,
    ) -> list[int] | None:
        """See `LedgerRecorder`. A lost connection is tried once more: if the first commit had come through after all,
        the second meets its own events and raises `IntegrityError`, on which the ledger decides again."""
        if not (stored_events or links or also):
            return None
        new_keys: list[VaultRow] = []
        if keys:
            opening = {str(one.originator_id) for one in stored_events if one.originator_version == 1}
            new_keys = [VaultRow(id_, keys[id_]) for id_ in sorted(opening & keys.keys())]
            stored_events = seal(stored_events, keys)
        try:
            positions = self._insert(stored_events, links, new_keys, also)
        except OperationalError:
            positions = self._insert(stored_events, links, new_keys, also)
        if positions:
            self._database.wake()
        return positions

    def _insert(
        self,
        stored_events: Sequence[StoredEvent],
        links: Sequence[Link],
        new_keys: Sequence[VaultRow],
        also: Callable[[Transaction], None] | None,
    ) -> list[int] | None:
        with self._database.transaction() as transaction:
            if also is not None:
                also(transaction)
            if links:
                # In key order, so that two writers that open the same shipments wait for each other instead of
                # deadlocking; and before the append, which holds the ledger's counter until the commit.
                transaction.insert(LINKS, sorted(links, key=lambda link: link.tracker))
            if new_keys:
                transaction.insert(VAULT, new_keys)
            return transaction.append(stored_events) if stored_events else None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """One shipment's events by version."""
        found = self._database.tuples(
            f"""SELECT originator_id, originator_version, topic, state FROM {{s}}stored_events
                WHERE originator_id = :id AND originator_version > :gt AND originator_version <= :lte
                ORDER BY originator_version {"DESC" if desc else "ASC"} LIMIT :limit""",
            id=str(originator_id),
            gt=-1 if gt is None else gt,
            lte=2**62 if lte is None else lte,
            limit=2**62 if limit is None else limit,
        )
        return opened(self._database, [StoredEvent(*row) for row in found])

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events of all shipments in the order of the ledger."""
        after = -1 if start is None else start - (1 if inclusive_of_start else 0)
        found = self._database.tuples(
            f"""SELECT originator_id, originator_version, topic, state, notification_id FROM {{s}}stored_events
                WHERE notification_id > :after AND notification_id <= :stop
                {"AND " + self._database.any_of("topic", "topics") if topics else ""}
                ORDER BY notification_id LIMIT :limit""",
            after=after,
            stop=2**62 if stop is None else stop,
            limit=limit,
            **({"topics": list(topics)} if topics else {}),
        )
        return opened(self._database, [Notification(*row) for row in found])

    def max_notification_id(self) -> int | None:
        """The position of the newest event, None in an empty ledger."""
        found: int | None = self._database.tuples("SELECT MAX(notification_id) FROM {s}stored_events")[0][0]
        return found

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[LedgerRecorder]:
        """An endless iterator over events after `gt`, which sleeps while there are none."""
        return Following(self, self._database, gt, topics)

    def load(self, keys: Sequence[str]) -> dict[str, Loaded]:
        """See `LedgerRecorder`."""
        loaded = self._load(keys)
        private = {one.shipment_id for one in loaded.values() if PRIVATE in one.stream[0].state}
        if not private:
            return loaded
        key_of = keys_of(self._database, private)
        if private - key_of.keys():
            # A key is destroyed after its shipment was forgotten; perhaps that was between the two questions.
            now = self._load(keys)
            loaded = {tracker: now[tracker] for tracker in loaded}
        return {
            tracker: Loaded(one.shipment_id, unsealed(one.stream, key_of), key_of.get(one.shipment_id, b""))
            for tracker, one in loaded.items()
        }

    def _load(self, keys: Sequence[str]) -> dict[str, Loaded]:
        found = self._database.tuples(
            f"""SELECT l.tracker, l.shipment_id, e.originator_version, e.topic, e.state
                FROM {self._database.each("keys")}
                {self._database.look_up("tracker_links", "l", "tracker", "k.value")}
                {self._database.look_up("stored_events", "e", "originator_id", "l.shipment_id")}
                ORDER BY l.tracker, e.originator_version""",
            keys=list(keys),
        )
        loaded: dict[str, Loaded] = {}
        stream: list[StoredEvent] = []
        for tracker, shipment_id, version, topic, state in found:
            if tracker not in loaded:
                stream = []
                loaded[tracker] = Loaded(shipment_id, stream)
            stream.append(StoredEvent(shipment_id, version, topic, state))
        return loaded

    def find_links(self, text: str, account: str | None) -> list[Link]:
        """See `LedgerRecorder`."""
        found = self._database.tuples(
            f"""SELECT {", ".join(LINKS.names)} FROM {{s}}tracker_links
                WHERE (shipment_id = :text OR reference = :text OR tracking_number = :text)
                AND (CAST(:account AS TEXT) IS NULL OR account = :account) ORDER BY tracker""",
            text=text,
            account=account,
        )
        return [Link(*row) for row in found]


class Following(Subscription[LedgerRecorder]):
    """Pulls pages and, at the end of the ledger, waits for the next commit."""

    def __init__(self, recorder: LedgerRecorder, database: Database, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._waiter = database.waiter()
        self._page: list[Notification] = []

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            if self._page:
                return self._page.pop()
            page = self._recorder.select_notifications(
                self._last_notification_id or 0, PAGE, topics=self._topics, inclusive_of_start=False
            )
            if page:
                self._last_notification_id = page[-1].id
                self._page = list(reversed(page))
            else:
                self._waiter.wait(WAIT)
        raise StopIteration

    def stop(self) -> None:
        """End the iteration, also of a thread that waits in it."""
        super().stop()
        self._waiter.close()
