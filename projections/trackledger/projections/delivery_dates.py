"""When was it promised, when will it come, and is it late?"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trackledger.domain.policies.lateness import on_time
from trackledger.projections.table import Index, Reader, Table, View

if TYPE_CHECKING:
    from trackledger.domain.policies.delivery_dates import Window
    from trackledger.projections.conclusions import Conclusions


class DeliveryDatesRow(Struct, frozen=True):
    """One shipment. Days are local and inclusive; from the instant `promised_by` on it is late, measured against the
    window that `baseline` names (`promised`, else `original`). `revisions` counts changes of the current window."""

    shipment_id: str
    promised_from: date | None
    promised_to: date | None
    original_from: date | None
    original_to: date | None
    current_from: date | None
    current_to: date | None
    current_source: str | None
    revisions: int
    first_attempt_at: datetime | None
    delivered_at: datetime | None
    baseline: str | None
    promised_by: datetime | None


class EstimateRow(Struct, frozen=True):
    """One estimate as stated, numbered in the order of its statement."""

    shipment_id: str
    estimate_no: int
    source: str
    from_date: date
    to_date: date
    precision: str
    stated_at: datetime
    message_id: str | None


TABLE = Table(
    "delivery_dates",
    DeliveryDatesRow,
    ("shipment_id",),
    [Index(("promised_by", "shipment_id"), where="delivered_at IS NULL AND promised_by IS NOT NULL")],
)

ESTIMATES = Table("estimates", EstimateRow, ("shipment_id", "estimate_no"))

_LATE = """SELECT d.*, s.account, s.reference, s.order_id, s.carrier, s.tracking_number, s.provider, s.milestone,
                  s.location, s.since
           FROM {s}delivery_dates d JOIN {s}shipments s ON s.shipment_id = d.shipment_id
           WHERE d.delivered_at IS NULL AND d.promised_by IS NOT NULL AND d.promised_by <= {now} AND NOT s.is_final"""

LATE = View("late_shipments", _LATE)
"""Open shipments past their date by the database's clock."""


def rows(c: "Conclusions") -> Iterator[DeliveryDatesRow]:
    """The row of one shipment."""
    d = c.dates
    promised, original, current = _span(d.promised), _span(d.original), _span(d.current)
    yield DeliveryDatesRow(
        shipment_id=c.statements.shipment_id,
        promised_from=promised[0],
        promised_to=promised[1],
        original_from=original[0],
        original_to=original[1],
        current_from=current[0],
        current_to=current[1],
        current_source=d.current.source.value if d.current else None,
        revisions=d.revisions,
        first_attempt_at=d.first_attempt_at,
        delivered_at=d.delivered_at,
        baseline=d.baseline or None,
        promised_by=d.promised_by,
    )


def estimate_rows(c: "Conclusions") -> Iterator[EstimateRow]:
    """The estimates of one shipment; those in days appear once there is a day to count from."""
    for number, window in enumerate(c.dates.windows, start=1):
        yield EstimateRow(
            shipment_id=c.statements.shipment_id,
            estimate_no=number,
            source=window.source.value,
            from_date=window.starts,
            to_date=window.ends,
            precision=window.precision,
            stated_at=window.stated_at,
            message_id=window.message_id or None,
        )


def _span(window: "Window | None") -> tuple[date, date] | tuple[None, None]:
    return (window.starts, window.ends) if window else (None, None)


def late(store: Reader, now: datetime, *, account: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """Open shipments that are late as of `now`, the longest first."""
    return store.read(
        f"""{_LATE.replace("{now}", ":now")}
            AND (CAST(:account AS TEXT) IS NULL OR s.account = :account)
            ORDER BY d.promised_by, d.shipment_id LIMIT :limit""",
        now=now,
        account=account,
        limit=limit,
    )


def of(store: Reader, shipment_id: str, now: datetime) -> dict[str, Any] | None:
    """The dates of one shipment, with `on_time` as of `now`: true, false, or None while that is open."""
    found = store.read(
        """SELECT d.*, s.is_final FROM {s}delivery_dates d JOIN {s}shipments s ON s.shipment_id = d.shipment_id
           WHERE d.shipment_id = :id""",
        id=shipment_id,
    )
    if not found:
        return None
    row = found[0]
    ended = row.pop("is_final")
    return row | {"on_time": on_time(row["promised_by"], row["delivered_at"], now, ended=ended)}


def estimates(store: Reader, shipment_id: str) -> list[dict[str, Any]]:
    """Every estimate of one shipment in the order of its statement."""
    return store.read("SELECT * FROM {s}estimates WHERE shipment_id = :id ORDER BY estimate_no", id=shipment_id)
