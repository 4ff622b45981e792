"""Who has gone quiet, since when, and who is stuck?"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from trackledger.projections import shipments
from trackledger.projections.pages import Order, Page
from trackledger.projections.pages import page as read_page
from trackledger.projections.table import Index, Reader, Table, View

if TYPE_CHECKING:
    from trackledger.projections.conclusions import Conclusions


class SilenceRow(Struct, frozen=True):
    """One open shipment: from `stuck_after` on it is stuck, in the way `kind` says. The provider's own flag stands
    beside ours, never instead."""

    shipment_id: str
    account: str
    kind: str
    quiet_since: datetime
    stuck_after: datetime
    provider_says_stuck: bool | None
    policy_version: str


TABLE = Table(
    "silence",
    SilenceRow,
    ("shipment_id",),
    [
        Index(("account", "stuck_after", "shipment_id")),
        Index(("account", "kind", "stuck_after")),
    ],
)

_BESIDE = ("reference", "order_id", "carrier", "tracking_number", "provider", "milestone", "location", "last_heard_at")
_SELECT = f"""SELECT {", ".join(("q.*", *(f"s.{name}" for name in _BESIDE)))}
  FROM {{s}}silence q CROSS JOIN {{s}}shipments s"""  # SQLite takes the tables in this order then
_JOINED = "s.shipment_id = q.shipment_id"

STUCK = View("stuck_shipments", f"{_SELECT} WHERE {_JOINED} AND q.stuck_after <= {{now}}")
"""Shipments that are stuck by the database's clock."""

COLUMNS = (*TABLE.columns, *shipments.TABLE.named(*_BESIDE))
"""The columns of a list of stuck shipments."""

BY_STUCK_AFTER = Order((("q.shipment_id", "shipment_id"),), ("q.stuck_after", "stuck_after"))

ORDERS: dict[str, Order] = {
    "stuck_after": BY_STUCK_AFTER,
    "-stuck_after": Order((("q.shipment_id", "shipment_id"),), ("q.stuck_after", "stuck_after"), descending=True),
}
"""By what they can be sorted; a minus stands for descending."""


class Sought(Struct, frozen=True, kw_only=True):
    """Which of those that are stuck are sought: those to which all that is given applies."""

    account: str | None = None
    kind: str | None = None
    carrier: str | None = None
    provider: str | None = None
    provider_says_stuck: bool | None = None


def rows(c: "Conclusions") -> Iterator[SilenceRow]:
    """The row of one shipment while it is open."""
    if c.silence is not None:
        yield SilenceRow(
            shipment_id=c.statements.shipment_id,
            account=c.statements.account,
            kind=c.silence.kind.value,
            quiet_since=c.silence.quiet_since,
            stuck_after=c.silence.stuck_after,
            provider_says_stuck=c.provider_says_stuck,
            policy_version=c.silence.policy_version,
        )


def page(
    store: Reader, sought: Sought, now: datetime, order: Order, limit: int, after: Sequence[Any] | None = None
) -> Page:
    """Shipments that are stuck as of `now` in an order, from the one that stands `after`; see `pages.page`."""
    given = {name: value for name, value in asdict(sought).items() if value is not None}
    conditions = [f"{'s' if name in ('carrier', 'provider') else 'q'}.{name} = :{name}" for name in given]
    return read_page(
        store,
        _SELECT,
        [_JOINED, "q.stuck_after <= :now", *conditions],
        {**given, "now": now},
        order,
        limit=limit,
        after=after,
    )


def counts(store: Reader, account: str, now: datetime) -> dict[str, int]:
    """How many shipments of one account are stuck as of `now`, by kind."""
    found = store.read(
        """SELECT kind, COUNT(*) AS n FROM {s}silence WHERE account = :account AND stuck_after <= :now
           GROUP BY kind ORDER BY kind""",
        account=account,
        now=now,
    )
    return {row["kind"]: row["n"] for row in found}


def of(store: Reader, shipment_id: str, now: datetime) -> dict[str, Any] | None:
    """The silence of one shipment with `is_stuck` as of `now`; None once it is final."""
    found = store.read(
        "SELECT q.*, q.stuck_after <= :now AS is_stuck FROM {s}silence q WHERE q.shipment_id = :id",
        id=shipment_id,
        now=now,
    )
    return found[0] | {"is_stuck": bool(found[0]["is_stuck"])} if found else None
