"""When was it promised, when will it come, and is it late?"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from trackledger.domain.milestones import FINAL
from trackledger.domain.policies.lateness import on_time
from trackledger.projections import shipments
from trackledger.projections.pages import Order, Page
from trackledger.projections.pages import page as read_page
from trackledger.projections.table import Index, Reader, Table, View

if TYPE_CHECKING:
    from trackledger.domain.policies.delivery_dates import Window
    from trackledger.projections.conclusions import Conclusions


class DeliveryDatesRow(Struct, frozen=True):
    """One shipment. Days are local and inclusive; from the instant `promised_by` on it is late, measured against the
    window that `baseline` names (`promised`, else `original`). `revisions` counts changes of the current window."""

    shipment_id: str
    account: str
    is_final: bool
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


_BY_TIME = ("account", "promised_by", "shipment_id")
_OPEN = "NOT is_final AND delivered_at IS NULL AND promised_by IS NOT NULL"
# The window that was promised is the baseline where there is one, else the one that was stated first.
_SLIPPED = "current_to > COALESCE(promised_to, original_to)"

TABLE = Table(
    "delivery_dates",
    DeliveryDatesRow,
    ("shipment_id",),
    [
        # What the conditions are about is in them too: SQLite would look it up for every row that it counts.
        Index(_BY_TIME, where=_OPEN, also=("is_final", "delivered_at")),
        Index(
            _BY_TIME,
            where=f"{_OPEN} AND {_SLIPPED}",
            also=("is_final", "delivered_at", "current_to", "promised_to", "original_to"),
            name="slipped",
        ),
        Index(("account", "current_to", "shipment_id"), also=("current_from",)),
    ],
)

ESTIMATES = Table("estimates", EstimateRow, ("shipment_id", "estimate_no"))

_BESIDE = ("reference", "order_id", "carrier", "tracking_number", "provider", "milestone", "location", "since")
_SELECT = f"""SELECT {", ".join(("d.*", *(f"s.{name}" for name in _BESIDE)))}
  FROM {{s}}delivery_dates d CROSS JOIN {{s}}shipments s"""  # SQLite takes the tables in this order then
_JOINED = "s.shipment_id = d.shipment_id"
_DUE = "NOT d.is_final AND d.delivered_at IS NULL AND d.promised_by IS NOT NULL"
_SLIPPING = "d.current_to > COALESCE(d.promised_to, d.original_to)"

LATE = View("late_shipments", f"{_SELECT} WHERE {_JOINED} AND {_DUE} AND d.promised_by <= {{now}}")
"""Open shipments past their date by the database's clock."""

COLUMNS = (*TABLE.columns, *shipments.TABLE.named(*_BESIDE))
"""The columns of a list of shipments that are late, or will be."""

_KEY = (("d.shipment_id", "shipment_id"),)

BY_PROMISED_BY = Order(_KEY, ("d.promised_by", "promised_by"))

ORDERS: dict[str, Order] = {
    "promised_by": BY_PROMISED_BY,
    "-promised_by": Order(_KEY, ("d.promised_by", "promised_by"), descending=True),
}
"""By what they can be sorted; a minus stands for descending."""


class Sought(Struct, frozen=True, kw_only=True):
    """Which of those that are late, or will be, are sought: those to which all that is given applies.

    From `promised_from` on and before `promised_before` is the instant from which they are late."""

    account: str | None = None
    carrier: str | None = None
    provider: str | None = None
    baseline: str | None = None
    promised_from: datetime | None = None
    promised_before: datetime | None = None


_CONDITIONS = {
    "account": "d.account = :account",
    "carrier": "s.carrier = :carrier",
    "provider": "s.provider = :provider",
    "baseline": "d.baseline = :baseline",
    "promised_from": "d.promised_by >= :promised_from",
    "promised_before": "d.promised_by < :promised_before",
}


def rows(c: "Conclusions") -> Iterator[DeliveryDatesRow]:
    """The row of one shipment."""
    d = c.dates
    promised, original, current = _span(d.promised), _span(d.original), _span(d.current)
    yield DeliveryDatesRow(
        shipment_id=c.statements.shipment_id,
        account=c.statements.account,
        is_final=c.status.milestone in FINAL,
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


def late(
    store: Reader, sought: Sought, now: datetime, order: Order, limit: int, after: Sequence[Any] | None = None
) -> Page:
    """Open shipments that are late as of `now` in an order, from the one that stands `after`; see `pages.page`."""
    return _page(store, sought, ["d.promised_by <= :now"], now, order, limit, after)


def will_be_late(
    store: Reader, sought: Sought, now: datetime, order: Order, limit: int, after: Sequence[Any] | None = None
) -> Page:
    """The same of those that are not late as of `now`, and whose current window ends after the day that they are
    measured against."""
    return _page(store, sought, ["d.promised_by > :now", _SLIPPING], now, order, limit, after)


def _page(
    store: Reader,
    sought: Sought,
    conditions: Sequence[str],
    now: datetime,
    order: Order,
    limit: int,
    after: Sequence[Any] | None,
) -> Page:
    given = {name: value for name, value in asdict(sought).items() if value is not None}
    conditions = [_JOINED, _DUE, *conditions, *(_CONDITIONS[name] for name in given)]
    return read_page(store, _SELECT, conditions, {**given, "now": now}, order, limit=limit, after=after)


def counts(store: Reader, account: str, now: datetime) -> tuple[int, int]:
    """How many shipments of one account are late as of `now`, and how many will be."""
    late = "SELECT COUNT(*) AS n FROM {s}delivery_dates d WHERE d.account = :account AND d.promised_by"
    given = {"account": account, "now": now}
    return (
        int(store.read(f"{late} <= :now AND {_DUE}", **given)[0]["n"]),
        int(store.read(f"{late} > :now AND {_DUE} AND {_SLIPPING}", **given)[0]["n"]),
    )


def of(store: Reader, shipment_id: str, now: datetime) -> dict[str, Any] | None:
    """The dates of one shipment, with `on_time` as of `now`: true, false, or None while that is open."""
    found = store.read("SELECT * FROM {s}delivery_dates WHERE shipment_id = :id", id=shipment_id)
    if not found:
        return None
    row = found[0]
    ended = row["is_final"]
    return row | {"on_time": on_time(row["promised_by"], row["delivered_at"], now, ended=ended)}


def estimates(store: Reader, shipment_id: str) -> list[dict[str, Any]]:
    """Every estimate of one shipment in the order of its statement."""
    return store.read("SELECT * FROM {s}estimates WHERE shipment_id = :id ORDER BY estimate_no", id=shipment_id)
