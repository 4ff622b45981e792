"""What has the ledger recorded of one shipment by a moment, and what does that come to?"""

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from trackledger.domain.errors import ShipmentNotFound, UnknownEvent
from trackledger.domain.events import FORGOTTEN, LedgerEvent
from trackledger.domain.mapper import decode, recorded_at
from trackledger.domain.statements import Statements, fold

if TYPE_CHECKING:
    from eventsourcing.persistence import Notification

    from trackledger.adapters.runtime import Runtime


class Unread(Struct, frozen=True):
    """A stored event that cannot be read, and why."""

    position: int
    version: int
    topic: str
    why: str


class Recollection(Struct, frozen=True):
    """One shipment as the ledger knew it: its events, oldest first, and the statements that they come to, without those
    that cannot be read. A shipment that was forgotten since is so here too."""

    events: list[LedgerEvent]
    statements: Statements
    unread: list[Unread]


def recollect(
    runtime: "Runtime", shipment_id: str, known_at: datetime | None = None, *, upto: int | None = None
) -> Recollection:
    """One shipment by what had been recorded by `known_at`; None: by all there is, up to the position `upto` if given.

    Its events are looked up by its id, whatever else the ledger holds. Raises `ShipmentNotFound` where there is none,
    and where nothing had been recorded of it yet, saying when it was first heard of.
    """
    stream = runtime.store.streams([shipment_id], runtime.store.head() if upto is None else upto).get(shipment_id, [])
    if not stream:
        raise ShipmentNotFound(f"no shipment {shipment_id!r} in this ledger; look it up by number first")
    by_then = [stored for stored in stream if known_at is None or _recorded_by(stored, known_at)]
    if not by_then and known_at is not None:
        raise ShipmentNotFound(
            f"nothing was known of {shipment_id!r} at {_shown(known_at)}: it was first heard of at "
            f"{_shown(recorded_at(stream[0]))}; name a moment from then on"
        )
    events: list[LedgerEvent] = []
    unread: list[Unread] = []
    for stored in by_then:
        try:
            events.append(decode(stored))
        except UnknownEvent as error:
            unread.append(Unread(stored.id, stored.originator_version, stored.topic, str(error)))
    statements = fold(shipment_id, events)
    statements.forgotten = any(stored.topic == FORGOTTEN for stored in stream)
    return Recollection(events, statements, unread)


def _recorded_by(stored: "Notification", moment: datetime) -> bool:
    try:
        return recorded_at(stored) <= moment
    except UnknownEvent:
        # It cannot say when; whoever looks at the past is to see that it is there.
        return True


def _shown(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
