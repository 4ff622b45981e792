"""What did people remark about a shipment?"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trackledger.domain.events import FORGOTTEN, NoteAdded
from trackledger.projections.table import Reader

if TYPE_CHECKING:
    from eventsourcing.persistence import StoredEvent

NEWEST = 20

Open = Callable[[Sequence["StoredEvent"]], Sequence["StoredEvent"]]
"""Gives stored events with the words of private shipments in their places again."""


def of(
    store: Reader, shipment_id: str, open_: Open, known_at: datetime | None = None, upto: int | None = None
) -> list[dict[str, Any]]:
    """The newest twenty remarks that were recorded by a moment and up to a position, oldest first; none of a forgotten
    shipment.

    Read from the events, as no table is needed for so few. The text is None where its key was lost. Raises
    `UnknownEvent` for one that was altered.
    """
    limit = "" if upto is None else "AND notification_id <= :upto"
    found = store.read(
        f"""SELECT originator_version, topic, state FROM {{s}}stored_events
            WHERE originator_id = :id AND topic IN ('{FORGOTTEN}', 'shipment.NoteAdded') {limit}
            ORDER BY originator_version""",
        id=shipment_id,
        **({} if upto is None else {"upto": upto}),
    )
    if not found or any(row["topic"] == FORGOTTEN for row in found):
        return []
    # Only where there is a note: most answers have none, and these would be most of what they load.
    from eventsourcing.persistence import StoredEvent

    from trackledger.domain.mapper import decode

    stored = [StoredEvent(shipment_id, row["originator_version"], row["topic"], bytes(row["state"])) for row in found]
    notes = [placed.event for placed in map(decode, open_(stored)) if isinstance(placed.event, NoteAdded)]
    return [
        {"recorded_at": note.recorded_at, "actor": note.actor, "text": note.text or None, "message_id": note.message_id}
        for note in notes
        if known_at is None or note.recorded_at <= known_at
    ][-NEWEST:]
