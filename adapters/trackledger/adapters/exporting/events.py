"""How are all stored events read as of one moment?"""

from collections.abc import Iterator
from datetime import datetime

from eventsourcing.persistence import Notification

from trackledger.adapters.ranges import EVENT
from trackledger.adapters.storage.database import Snapshot
from trackledger.projections.folding import AsOf, known

PAGE = 500
"""Events in memory."""


def head(snapshot: Snapshot) -> int:
    """The position of the newest event."""
    return int(snapshot.tuples("SELECT COALESCE(MAX(notification_id), 0) FROM {s}stored_events")[0][0])


def pages(snapshot: Snapshot, upto: int, known_at: datetime | None) -> Iterator[tuple[int, list[Notification]]]:
    """The events up to a position that had been recorded by `known_at`, in the order of the ledger and as they are
    stored, so that sealed words are sealed; with the position up to which that is all."""
    as_of = AsOf(known_at)
    for page in snapshot.pages(
        f"SELECT {EVENT} FROM {{s}}stored_events WHERE notification_id <= :upto ORDER BY notification_id",
        PAGE,
        upto=upto,
    ):
        yield page[-1][-1], list(known([Notification(*row) for row in page], as_of))
