"""How does the due-table follow the ledger?"""

from collections.abc import Callable, Sequence
from datetime import datetime

from trackledger.adapters.schedule import COLUMNS, OF_FORGOTTEN, Pair, Schedule
from trackledger.adapters.storage.database import Database, Transaction
from trackledger.adapters.storage.schema import LINKS, ScheduleRow
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.events import TOPICS, Opened, TrackerLinked
from trackledger.domain.links import Link
from trackledger.projections.tables import POSITION

NEWS = "schedule"
"""The name of the place in the ledger up to which news were heeded. Up to where the trackers of an account are
scheduled has a place for each, as an account may be configured later than others."""

PAGE = 5000
"""Events looked at in one transaction."""

LATEST = 1.0
"""The chance by which a next time is put forward: only what wants it sooner at any rate is."""

_LINKING = frozenset(topic for topic, event in TOPICS.items() if event in (Opened, TrackerLinked))

Placed = tuple[int, str, str]
"""Position, shipment and topic of an event."""

Act = Callable[[Transaction, Sequence[Placed], Sequence[str]], None]
"""What is to be done about some events for the readers of these names."""


class Scheduler:
    """Schedules the trackers of the accounts that are asked, and asks sooner about those of which something is heard.

    Any number of processes may do so, also for different accounts; each tracker is scheduled once.
    """

    def __init__(self, database: Database, schedule: Schedule, asked: Sequence[Pair]) -> None:
        self._database = database
        self._schedule = schedule
        self._readers = {f"{NEWS}:{account}:{name}": (account, name) for account, name in asked}

    def sync(self, now: datetime) -> None:
        """Take in what the ledger has learned: trackers at once, news as far as the tables show them.

        A tracker whose journey was over is asked about again when its shipment goes on.
        """

        def link(transaction: Transaction, events: Sequence[Placed], readers: Sequence[str]) -> None:
            pairs = {self._readers[name] for name in readers}
            shipments = {shipment_id for _, shipment_id, topic in events if topic in _LINKING}
            self._link(transaction, sorted(shipments), pairs, now)

        def hear(transaction: Transaction, events: Sequence[Placed], readers: Sequence[str]) -> None:
            self._hear(transaction, sorted({shipment_id for _, shipment_id, _ in events}), now)

        while self._step(list(self._readers), 2**62, link):
            pass
        shown = self._places([POSITION])[POSITION]
        while self._step([NEWS], shown, hear):
            pass

    def _places(self, readers: Sequence[str]) -> dict[str, int]:
        found = self._database.tuples(
            f"SELECT name, position FROM {{s}}positions WHERE {self._database.any_of('name', 'names')}",
            names=list(readers),
        )
        return dict.fromkeys(readers, 0) | dict(found)

    def _step(self, readers: Sequence[str], upto: int, act: Act) -> bool:
        """Act on the next events for the readers that are furthest behind, and move them; whether there were any."""
        places = self._places(readers)
        if not places:
            return False
        behind = min(places.values())
        events = self._database.tuples(
            """SELECT notification_id, originator_id, topic FROM {s}stored_events
               WHERE notification_id > :behind AND notification_id <= :upto ORDER BY notification_id LIMIT :page""",
            behind=behind,
            # No further than where the next of them is, so that from there on they go together.
            upto=min([upto, *(place for place in places.values() if place > behind)]),
            page=PAGE,
        )
        if not events:
            return False
        with self._database.transaction() as transaction:
            moved = [
                name
                for name in sorted(places)
                if places[name] == behind and _move(transaction, name, behind, events[-1][0])
            ]
            # A reader that was not moved was moved by another process, which has acted on the same events.
            if moved:
                act(transaction, events, moved)
        return True

    def _link(self, transaction: Transaction, shipment_ids: Sequence[str], pairs: set[Pair], now: datetime) -> None:
        """Schedule what feeds these shipments at these accounts."""
        found = transaction.read(
            f"""SELECT {", ".join(f"l.{name}" for name in LINKS.names)} FROM {self._database.each("ids")}
                {self._database.look_up("tracker_links", "l", "shipment_id", "k.value")}
                WHERE NOT {OF_FORGOTTEN % "k.value"}""",
            ids=list(shipment_ids),
        )
        links = [link for link in (Link(**row) for row in found) if (link.account, link.provider) in pairs]
        self._schedule.add(
            transaction,
            [
                (
                    link.account,
                    link.shipment_id,
                    Tracker(link.provider, link.reference, link.carrier, link.tracking_number),
                )
                for link in links
            ],
            now,
        )

    def _hear(self, transaction: Transaction, shipment_ids: Sequence[str], now: datetime) -> None:
        """Bring the trackers of these shipments forward to where their state wants them; never put one off."""
        found = transaction.read(
            f"""SELECT {", ".join(f"p.{name}" for name in COLUMNS.split(", "))} FROM {self._database.each("ids")}
                {self._database.look_up("poll_schedule", "p", "shipment_id", "k.value")}
                WHERE p.state <> 'stopped' AND p.asked_at IS NOT NULL""",
            ids=list(shipment_ids),
        )
        sooner = []
        for due in self._schedule.known(transaction, [ScheduleRow(**row) for row in found]):
            next_ = due.next(due.row.asked_at or now, LATEST)
            if next_.at is not None and (due.row.state == "over" or next_.at < due.row.due_at):
                sooner.append({"tracker": due.row.tracker, "at": max(next_.at, now), "reason": next_.reason})
        transaction.execute_many(
            """UPDATE {s}poll_schedule SET state = 'asking', due_at = :at, reason = :reason
               WHERE tracker = :tracker AND (state = 'over' OR due_at > :at)""",
            sorted(sooner, key=lambda row: str(row["tracker"])),
        )


def _move(transaction: Transaction, reader: str, position: int, to: int) -> bool:
    """Compare and set, so that of two processes that read the same events one acts on them."""
    if position == 0:
        transaction.execute(
            "INSERT INTO {s}positions (name, position) VALUES (:name, 0) ON CONFLICT (name) DO NOTHING", name=reader
        )
    moved = transaction.execute(
        "UPDATE {s}positions SET position = :to WHERE name = :name AND position = :position",
        to=to,
        name=reader,
        position=position,
    )
    return moved == 1
