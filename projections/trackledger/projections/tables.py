"""Which tables and views are there, and what fills each?"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trackledger.domain.events import FORGOTTEN
from trackledger.projections import (
    consignments,
    delivery_dates,
    journeys,
    ndr,
    ndr_actions,
    shipments,
    silence,
    timeline,
)
from trackledger.projections.table import Reader, Table, View

if TYPE_CHECKING:
    from eventsourcing.persistence import Notification

    from trackledger.projections.conclusions import Conclusions

TABLES: dict[Table[Any], Callable[["Conclusions"], Iterable[Any]]] = {
    shipments.TABLE: shipments.rows,
    timeline.TABLE: timeline.rows,
    ndr.TABLE: ndr.rows,
    ndr_actions.TABLE: ndr_actions.rows,
    silence.TABLE: silence.rows,
    delivery_dates.TABLE: delivery_dates.rows,
    delivery_dates.ESTIMATES: delivery_dates.estimate_rows,
    journeys.TABLE: journeys.rows,
}
"""Every table and what fills it."""

VIEWS: tuple[View, ...] = (
    timeline.UNMAPPED,
    ndr.OPEN,
    silence.STUCK,
    delivery_dates.LATE,
    consignments.CONSIGNMENTS,
)

POSITION = "tables"
"""The name under which the pump keeps its place."""


class Poisoned(Struct, frozen=True):
    """A shipment that could not be folded at `position`: its rows stay as they were until it can be."""

    shipment_id: str
    position: int
    reason: str


def poisoned(shipment_id: str, stream: "Sequence[Notification]", error: Exception) -> Poisoned:
    """That a shipment cannot be folded by these events, and why."""
    is_forgotten = any(stored.topic == FORGOTTEN for stored in stream)
    return Poisoned(shipment_id, stream[-1].id, why(error, is_forgotten=is_forgotten))


def why(error: Exception, *, is_forgotten: bool) -> str:
    """Why a shipment cannot be folded; of a forgotten one only what kind of error it was, as its text may quote what
    was said."""
    return type(error).__name__ + ("" if is_forgotten else f": {error}")


def lag(store: Reader) -> int:
    """How many events the tables are behind the ledger."""
    found = store.read(
        """SELECT (SELECT COALESCE(MAX(notification_id), 0) FROM {s}stored_events)
                - (SELECT COALESCE(MAX(position), 0) FROM {s}positions WHERE name = :name) AS lag""",
        name=POSITION,
    )
    return int(found[0]["lag"])
