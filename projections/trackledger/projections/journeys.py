"""How did each journey to a consignee go: from where to where, how fast, at which attempt, and how did it end?"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from trackledger.domain.checkpoints import AssertionKind, Checkpoint, squash
from trackledger.domain.milestones import FINAL, Leg, Milestone
from trackledger.domain.moments import EARLIEST, LATEST, Moment, Precision
from trackledger.domain.policies.lateness import on_time
from trackledger.projections import shipments
from trackledger.projections.table import Index, Table

if TYPE_CHECKING:
    from trackledger.domain.policies.delivery_dates import Window
    from trackledger.projections.conclusions import Conclusions


class JourneyRow(Struct, frozen=True):
    """One shipment on its way to a consignee that has ended, or was attempted to be delivered.

    `outcome` is `delivered` once a delivery stands, also where the consignee sends it back later, else the milestone
    that ended it; None while it is under way. `ended_on` is the local day of that. `first_attempt_ok` is whether the
    first attempt delivered it and no other failed; None where no attempt was told.

    The lane is from `origin` to `destination`, in lower case and with single blanks. They are what a provider states of
    the shipment (`lane_by` is `stated`), else where its first and its last scan on the way were (`scanned`), which are
    facilities as the carrier calls them; None where neither is known, and of a forgotten shipment. `transit_seconds` go
    from the first pickup to the delivery, where both are told to the second, and `transit_days` from the local day of
    one to that of the other.

    `estimated` is a JSON array of what was estimated before the delivery, each as an array of its source, the number of
    local days from its statement to the delivery, and that from its last day to the delivery, which is negative where
    the parcel came earlier; None where nothing was.
    """

    shipment_id: str
    account: str
    carrier: str | None
    provider: str | None
    origin: str | None
    destination: str | None
    lane_by: str | None
    picked_up_at: datetime | None
    first_attempt_at: datetime | None
    first_attempt_ok: bool | None
    delivered_at: datetime | None
    ended_on: date | None
    outcome: str | None
    on_time: bool | None
    transit_seconds: int | None
    transit_days: int | None
    estimated: str | None


TABLE = Table(
    "journeys",
    JourneyRow,
    ("shipment_id",),
    [
        Index(
            ("account", "ended_on"),
            also=("carrier", "provider", "outcome", "on_time", "first_attempt_ok", "transit_seconds", "transit_days"),
        )
    ],
    personal=("origin", "destination"),
)


def rows(c: "Conclusions") -> Iterator[JourneyRow]:
    """The row of one shipment. A pickup from the consignee has none, nor has one whose parcels are shipments of their
    own."""
    s, dates = c.statements, c.dates
    has_ended = c.arrival.at is not None or c.status.milestone in FINAL
    if not has_ended and dates.first_attempt_at is None:
        return
    direction = s.assertion(AssertionKind.DIRECTION)
    if (direction is not None and direction.value == Leg.RETURN) or s.assertion(AssertionKind.SPLIT) is not None:
        return
    scans = {t.checkpoint.key: t.checkpoint for t in c.told if not t.withdrawn}
    delivery = scans[c.arrival.by] if c.arrival.at is not None else None
    ending = delivery or (scans[c.status.because[0]] if has_ended else None)
    attempt = scans[dates.first_attempt_by] if dates.first_attempt_by else None
    pickup = _first_pickup(scans.values())
    origin, destination, lane_by = _lane(c, scans.values(), delivery)
    delivered_at = delivery.occurred.at if delivery else None
    yield JourneyRow(
        shipment_id=s.shipment_id,
        account=s.account,
        carrier=shipments.carrier(c),
        provider=shipments.provider(c),
        origin=origin,
        destination=destination,
        lane_by=lane_by,
        picked_up_at=pickup.occurred.at if pickup else None,
        first_attempt_at=dates.first_attempt_at,
        first_attempt_ok=None if attempt is None else _succeeded(c, attempt),
        delivered_at=delivered_at,
        ended_on=ending.occurred.local_date if ending else None,
        outcome="delivered" if delivery else c.status.milestone.value if has_ended else None,
        on_time=on_time(dates.promised_by, delivered_at, delivered_at) if delivered_at else None,
        transit_seconds=_seconds(pickup, delivery),
        transit_days=_days(pickup, delivery),
        estimated=_estimated(dates.windows, delivery.occurred) if delivery else None,
    )


def _succeeded(c: "Conclusions", attempt: Checkpoint) -> bool:
    # A failure after a delivery shows that the delivery was claimed and did not happen.
    return attempt.milestone is Milestone.DELIVERED and c.arrival.at is not None and not c.cases


def _first_pickup(scans: Iterable[Checkpoint]) -> Checkpoint | None:
    pickups = [scan for scan in scans if scan.milestone is Milestone.PICKED_UP and scan.leg is Leg.FORWARD]
    return min(pickups, key=_happened, default=None)


def _lane(
    c: "Conclusions", scans: Iterable[Checkpoint], delivery: Checkpoint | None
) -> tuple[str, str, str] | tuple[None, None, None]:
    if c.statements.forgotten:
        return None, None, None
    origin, destination = squash(c.statements.detail("origin")), squash(c.statements.detail("destination"))
    if origin and destination:
        return origin, destination, "stated"
    located = [scan for scan in scans if scan.leg is Leg.FORWARD and squash(scan.location)]
    if delivery is not None:
        # What is filed after the delivery tells nothing of the way to it.
        located = [scan for scan in located if scan.occurred.at <= delivery.occurred.end]
    if len(located) < 2:
        return None, None, None
    return squash(min(located, key=_happened).location), squash(max(located, key=_happened).location), "scanned"


def _happened(scan: Checkpoint) -> tuple[datetime, int, str]:
    return scan.occurred.at, scan.order, scan.key


def _seconds(pickup: Checkpoint | None, delivery: Checkpoint | None) -> int | None:
    if pickup is None or delivery is None or Precision.DAY in (pickup.occurred.precision, delivery.occurred.precision):
        return None
    seconds = int((delivery.occurred.at - pickup.occurred.at).total_seconds())
    return seconds if seconds >= 0 else None


def _days(pickup: Checkpoint | None, delivery: Checkpoint | None) -> int | None:
    if pickup is None or delivery is None:
        return None
    days = (delivery.occurred.local_date - pickup.occurred.local_date).days
    return days if days >= 0 else None


def _estimated(windows: "Iterable[Window]", delivered: Moment) -> str | None:
    found = []
    for window in windows:
        if not EARLIEST <= window.stated_at < LATEST:
            continue  # a provider's clock that is that wrong tells of no day
        stated_on = (window.stated_at + timedelta(minutes=delivered.offset)).date()
        if (ahead := (delivered.local_date - stated_on).days) >= 0:
            found.append((window.source.value, ahead, (delivered.local_date - window.ends).days))
    return msgspec.json.encode(sorted(found)).decode() if found else None
