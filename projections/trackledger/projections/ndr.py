"""Which deliveries failed, and by when must somebody act?"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from trackledger.projections import shipments
from trackledger.projections.pages import Order, Page
from trackledger.projections.pages import page as read_page
from trackledger.projections.table import Column, Index, Kind, Reader, Table, View

if TYPE_CHECKING:
    from trackledger.projections.conclusions import Conclusions


class NdrRow(Struct, frozen=True):
    """One failed-delivery case. `party` is who must act, `attempts` counts visits, `failure_scans` the scans.

    `state` is `open`, `actioned` or `closed`; `act_by` stands while it is open.
    """

    shipment_id: str
    account: str
    case_no: int
    state: str
    reason: str
    reason_said: str | None
    party: str
    attempts: int
    failure_scans: int
    opened_at: datetime
    last_attempt_at: datetime
    act_by: datetime | None
    closed_at: datetime | None
    outcome: str | None


TABLE = Table(
    "ndr_cases",
    NdrRow,
    ("shipment_id", "case_no"),
    [
        Index(("account", "act_by", "shipment_id", "case_no"), where="state <> 'closed'", also=("state",)),
        Index(("account", "last_attempt_at", "shipment_id", "case_no"), where="state <> 'closed'", name="tried"),
        Index(("account", "last_attempt_at", "shipment_id", "case_no"), where="state = 'closed'", name="closed"),
    ],
    personal=("reason_said",),
)

_BESIDE = ("reference", "order_id", "carrier", "tracking_number", "provider", "milestone", "location")
_SELECTED = ", ".join(("n.*", *(f"s.{name}" for name in _BESIDE)))
# SQLite takes the tables in this order then.
_FROM = "{s}ndr_cases n CROSS JOIN {s}shipments s"
_JOINED = "s.shipment_id = n.shipment_id"
_UNCLOSED = "n.state <> 'closed'"

OPEN = View(
    "ndr_open",
    f"""SELECT {_SELECTED}, n.act_by IS NOT NULL AND n.act_by <= {{now}} AS overdue
        FROM {_FROM} WHERE {_JOINED} AND {_UNCLOSED}""",
)
"""Cases that are not closed; `overdue` compares their deadline with the database's clock."""

COLUMNS = (*TABLE.columns, *shipments.TABLE.named(*_BESIDE), Column("overdue", Kind.BOOLEAN, nullable=False))
"""The columns of a list of cases: each beside its shipment's."""

_KEY = (("n.shipment_id", "shipment_id"), ("n.case_no", "case_no"))

BY_ACT_BY = Order(_KEY, ("n.act_by", "act_by"), nullable=True)

ORDERS: dict[str, Order] = {
    "act_by": BY_ACT_BY,
    "last_attempt_at": Order(_KEY, ("n.last_attempt_at", "last_attempt_at")),
    "-last_attempt_at": Order(_KEY, ("n.last_attempt_at", "last_attempt_at"), descending=True),
}
"""By what cases can be sorted; a minus stands for descending."""


class Sought(Struct, frozen=True, kw_only=True):
    """Which cases are sought: those to which all that is given applies, without a `state` those that are not closed.

    From `act_by_from` on and before `act_by_before` is when somebody has to have acted."""

    account: str | None = None
    state: str | None = None
    reason: str | None = None
    party: str | None = None
    carrier: str | None = None
    provider: str | None = None
    overdue: bool | None = None
    act_by_from: datetime | None = None
    act_by_before: datetime | None = None


def rows(c: "Conclusions") -> Iterator[NdrRow]:
    """The rows of one shipment."""
    for case in c.cases:
        yield NdrRow(
            shipment_id=c.statements.shipment_id,
            account=c.statements.account,
            case_no=case.case_no,
            state=case.state.value,
            reason=case.reason.value,
            reason_said=case.reason_said or None,
            party=case.party.value,
            attempts=case.attempts,
            failure_scans=case.failure_scans,
            opened_at=case.opened_at,
            last_attempt_at=case.last_attempt_at,
            act_by=case.act_by,
            closed_at=case.closed_at,
            outcome=case.outcome.value if case.outcome else None,
        )


_CONDITIONS = {
    "account": "n.account = :account",
    "state": "n.state = :state",
    "reason": "n.reason = :reason",
    "party": "n.party = :party",
    "carrier": "s.carrier = :carrier",
    "provider": "s.provider = :provider",
    "act_by_from": "n.act_by >= :act_by_from",
    "act_by_before": "n.act_by < :act_by_before",
}


def page(
    store: Reader, sought: Sought, now: datetime, order: Order, limit: int, after: Sequence[Any] | None = None
) -> Page:
    """Cases in an order, from the one that stands `after`; `overdue` is as of `now`. See `pages.page`."""
    given = {name: value for name, value in asdict(sought).items() if value is not None and name in _CONDITIONS}
    conditions = [_JOINED, *(_CONDITIONS[name] for name in given)]
    if sought.state != "closed":
        # Also where a state is named: SQLite uses a partial index only where its condition stands word for word.
        conditions.append(_UNCLOSED)
    if sought.overdue is not None:
        conditions.append("n.act_by <= :now" if sought.overdue else "(n.act_by IS NULL OR n.act_by > :now)")
        given["now"] = now
    found = read_page(store, f"SELECT {_SELECTED} FROM {_FROM}", conditions, given, order, limit=limit, after=after)
    rows = [row | {"overdue": row["act_by"] is not None and row["act_by"] <= now} for row in found.rows]
    return Page(rows, found.after)


class TimeLeft(Struct, frozen=True):
    """How many cases are not closed: those that are open by how much time is left to act, which is none, up to 4 hours,
    up to 24, or more, or nobody knows; and those on which somebody has acted."""

    overdue: int
    within_4_hours: int
    within_24_hours: int
    later: int
    undated: int
    actioned: int


def time_left(store: Reader, account: str, now: datetime) -> TimeLeft:
    """The cases of one account as of `now`."""
    until_then = min(now, datetime.max.replace(tzinfo=UTC) - timedelta(hours=24))
    found = store.read(
        """SELECT CASE WHEN state = 'actioned' THEN 'actioned' WHEN act_by IS NULL THEN 'undated'
                       WHEN act_by <= :now THEN 'overdue' WHEN act_by <= :four THEN 'within_4_hours'
                       WHEN act_by <= :day THEN 'within_24_hours' ELSE 'later' END AS left_to_act,
                  COUNT(*) AS n
           FROM {s}ndr_cases WHERE account = :account AND state <> 'closed' GROUP BY 1""",
        account=account,
        now=now,
        four=until_then + timedelta(hours=4),
        day=until_then + timedelta(hours=24),
    )
    counts = {row["left_to_act"]: row["n"] for row in found}
    return TimeLeft(**{name: counts.get(name, 0) for name in TimeLeft.__struct_fields__})


def newest(store: Reader, shipment_id: str) -> dict[str, Any] | None:
    """The newest case of a shipment, open or not; None when no delivery failed."""
    found = store.read(
        "SELECT * FROM {s}ndr_cases WHERE shipment_id = :id ORDER BY case_no DESC LIMIT 1", id=shipment_id
    )
    return found[0] if found else None


def of(store: Reader, shipment_id: str) -> list[dict[str, Any]]:
    """Every case of a shipment, the newest first."""
    return store.read("SELECT * FROM {s}ndr_cases WHERE shipment_id = :id ORDER BY case_no DESC", id=shipment_id)
