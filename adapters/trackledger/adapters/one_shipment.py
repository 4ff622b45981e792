"""What does the ledger tell of one shipment that takes more than its tables?"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trackledger.projections import consignments, notes, timeline
from trackledger.projections.one_shipment import row_of, status_of

if TYPE_CHECKING:
    from trackledger.adapters.recollection import Recollection
    from trackledger.adapters.runtime import Runtime
    from trackledger.projections.history import Entry


def with_pieces(runtime: "Runtime", ids: Iterable[str]) -> list[str]:
    """These shipments and those that are pieces of them, on whose rows their consignments depend."""
    found = [(id_, *(row["shipment_id"] for row in consignments.pieces(runtime.store, id_))) for id_ in ids]
    return list(dict.fromkeys(one for some in found for one in some))


def with_notes(
    runtime: "Runtime", answer: dict[str, Any], known_at: datetime | None, upto: int | None = None
) -> dict[str, Any]:
    """What `status_of` answers, with the remarks that were recorded by then, and up to a position."""

    def opened(stored: Any) -> Any:
        from trackledger.adapters.storage import vault

        return vault.opened(runtime.database, stored)

    return answer | {"notes": notes.of(runtime.database, answer["shipment_id"], opened, known_at, upto)}


def history(
    runtime: "Runtime",
    shipment_id: str,
    *,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """The events of one shipment with what they did, and the answer and timeline that followed, judged at `now`: by
    default the earlier of the moments, else the clock.

    `status` is None, and `error` says why, where an event cannot be read. Raises `ShipmentNotFound`; see `recollect`.
    """
    from trackledger.adapters.past import past
    from trackledger.adapters.recollection import recollect

    now = now or min((at for at in (known_at, valid_at) if at is not None), default=None) or datetime.now(UTC)
    found = recollect(runtime, shipment_id, known_at)
    ids = with_pieces(runtime, [shipment_id])
    with past(runtime, known_at=known_at, valid_at=valid_at, shipment_ids=ids) as tables:
        row = row_of(tables, shipment_id)
        status = with_notes(runtime, status_of(tables, row, now), known_at) if row else None
        error = tables.read("SELECT reason FROM {s}poisoned WHERE shipment_id = :id", id=shipment_id)
        told = timeline.of(tables, shipment_id)
    return {
        "shipment_id": shipment_id,
        "known_at": known_at,
        "valid_at": valid_at,
        "judged_at": now,
        "events": entries_of(found, valid_at),
        "status": status,
        "error": error[0]["reason"] if error else None,
        "timeline": told,
    }


def entries_of(found: "Recollection", valid_at: datetime | None = None) -> "list[Entry]":
    """The events of a shipment in words, in their order, also those that cannot be read."""
    from trackledger.projections.history import entries, unreadable

    told = [
        *entries(found.events, found.statements, valid_at),
        *(unreadable(one.position, one.version, one.topic, one.why) for one in found.unread),
    ]
    return sorted(told, key=lambda one: one.version)
