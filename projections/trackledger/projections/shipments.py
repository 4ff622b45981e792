"""Where is it now?"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from trackledger.domain.checkpoints import AssertionKind
from trackledger.domain.milestones import FINAL
from trackledger.projections.table import Index, Reader, Table

if TYPE_CHECKING:
    from trackledger.projections.conclusions import Conclusions


class ShipmentRow(Struct, frozen=True):
    """One shipment. `said` is the provider's words for the milestone, `reason_rule` the rule that concluded it from the
    checkpoints in `because` (a JSON array of ids), `position` the ledger position of the newest event it reflects.

    `piece_of` is the parent of a piece with a state of its own; `pieces` the number of those that share this state."""

    shipment_id: str
    account: str
    reference: str | None
    order_id: str | None
    carrier: str | None
    tracking_number: str | None
    provider: str | None
    service: str | None
    milestone: str
    leg: str
    since: datetime | None
    location: str | None
    said: str | None
    reason_rule: str
    because: str
    checkpoints: int
    opened_at: datetime | None
    last_heard_at: datetime | None
    delivered_at: datetime | None
    attempts: int
    piece_of: str | None
    pieces: int | None
    is_final: bool
    position: int


_SIFTED = ("carrier", "provider", "leg", "service")
"""What else lists are narrowed down by, and has so few values that an index of its own would not pay."""

TABLE = Table(
    "shipments",
    ShipmentRow,
    ("shipment_id",),
    [
        # A number is looked for by itself, or by what it begins with, also where nobody says of whose it is.
        Index(("reference", "account")),
        Index(("order_id", "account")),
        Index(("tracking_number", "account")),
        # One for each order that `seeking` reads them in, milestone by milestone.
        Index(("account", "milestone", "shipment_id"), also=_SIFTED),
        Index(("account", "milestone", "last_heard_at", "shipment_id"), also=_SIFTED),
        Index(("account", "milestone", "since", "shipment_id"), also=_SIFTED),
        Index(("opened_at", "account")),
        # With what its condition is about: SQLite would look that up for every row that it counts.
        Index(("account", "leg", "provider", "milestone"), where="NOT is_final", also=("is_final",)),
        Index(("piece_of",), where="piece_of IS NOT NULL"),
        Index(("shipment_id",), where="pieces > 1"),
    ],
    personal=("location", "said"),
)


def rows(c: "Conclusions") -> Iterator[ShipmentRow]:
    """The row of one shipment."""
    s, status = c.statements, c.status
    trackers = s.trackers
    yield ShipmentRow(
        shipment_id=s.shipment_id,
        account=s.account,
        reference=s.reference or None,
        order_id=s.detail("order_id") or None,
        carrier=carrier(c),
        tracking_number=s.detail("tracking_number") or next((t.tracking_number for t in trackers), None) or None,
        provider=provider(c),
        service=s.detail("service") or None,
        milestone=status.milestone.value,
        leg=status.leg.value,
        since=status.since,
        location=status.location or None,
        said=status.said or None,
        reason_rule=status.rule,
        because=msgspec.json.encode(status.because).decode(),
        checkpoints=sum(1 for t in c.told if not t.withdrawn),
        opened_at=s.opened_at,
        last_heard_at=s.last_heard_at,
        delivered_at=status.delivered_at,
        attempts=sum(case.attempts for case in c.cases),
        piece_of=s.parent or None,
        pieces=int(pieces.value) if (pieces := s.assertion(AssertionKind.PIECES)) else None,
        is_final=status.milestone in FINAL,
        position=s.position,
    )


def carrier(c: "Conclusions") -> str | None:
    """Who moves the parcel; None where nobody says so."""
    trackers = c.statements.trackers
    return c.statements.detail("carrier") or next((t.carrier for t in trackers if t.carrier), None)


def provider(c: "Conclusions") -> str | None:
    """Who told of its status, else who would tell; None where nobody would."""
    if c.status.because:
        newest = c.status.because[-1]
        return next(t.provider for t in c.told if t.checkpoint.key == newest)
    trackers = c.statements.trackers
    return trackers[0].provider if trackers else None


FILTERS = ("account", "carrier", "milestone", "leg", "order_id", "provider", "reference", "tracking_number")


def listed(store: Reader, *, limit: int = 100, after: str = "", **filters: str | None) -> list[dict[str, Any]]:
    """Shipments in the order of their ids, from the one after `after`; `filters` are equalities on `FILTERS`."""
    given = {name: value for name, value in filters.items() if value is not None}
    conditions = " AND ".join(["shipment_id > :after", *(f"{name} = :{name}" for name in FILTERS if name in given)])
    return store.read(
        f"SELECT * FROM {{s}}shipments WHERE {conditions} ORDER BY shipment_id LIMIT :limit",
        after=after,
        limit=limit,
        **given,
    )


def find(store: Reader, text: str, account: str | None = None) -> list[dict[str, Any]]:
    """Shipments with this id, reference, order id or tracking number, also of one of their trackers; numbers repeat."""
    return store.read(
        """SELECT * FROM {s}shipments WHERE shipment_id IN (
             SELECT shipment_id FROM {s}shipments WHERE shipment_id = :text
             UNION SELECT shipment_id FROM {s}shipments WHERE reference = :text
             UNION SELECT shipment_id FROM {s}shipments WHERE order_id = :text
             UNION SELECT shipment_id FROM {s}shipments WHERE tracking_number = :text
             UNION SELECT shipment_id FROM {s}tracker_links WHERE reference = :text
             UNION SELECT shipment_id FROM {s}tracker_links WHERE tracking_number = :text
           ) AND (CAST(:account AS TEXT) IS NULL OR account = :account) ORDER BY shipment_id""",
        text=text,
        account=account,
    )


def trackers(store: Reader, shipment_id: str) -> list[dict[str, Any]]:
    """The trackers that feed a shipment."""
    return store.read(
        """SELECT provider, reference, carrier, tracking_number FROM {s}tracker_links
           WHERE shipment_id = :id AND provider <> 'host' ORDER BY tracker""",
        id=shipment_id,
    )
