"""What did people remark about a shipment?"""

from datetime import datetime
from typing import Any

import msgspec

from trackledger.domain.events import FORGOTTEN, NoteAdded
from trackledger.projections.table import Reader

NEWEST = 20

_decode = msgspec.json.Decoder(NoteAdded).decode


def of(store: Reader, shipment_id: str, known_at: datetime | None = None) -> list[dict[str, Any]]:
    """The newest twenty remarks that were recorded by a moment, oldest first; none of a forgotten shipment.

    Read from the events, as no table is needed for so few. The text of a private shipment's is None here: only who
    holds its key can read it.
    """
    found = store.read(
        f"""SELECT topic, state FROM {{s}}stored_events
            WHERE originator_id = :id AND topic IN ('{FORGOTTEN}', 'shipment.NoteAdded')
            ORDER BY originator_version""",
        id=shipment_id,
    )
    if any(row["topic"] == FORGOTTEN for row in found):
        return []
    notes = [_decode(row["state"]) for row in found]
    return [
        {"recorded_at": note.recorded_at, "actor": note.actor, "text": note.text or None, "message_id": note.message_id}
        for note in notes
        if known_at is None or note.recorded_at <= known_at
    ][-NEWEST:]
