"""Who has gone quiet, since when, and who is stuck?"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trackledger.projections.table import Index, Reader, Table, View

if TYPE_CHECKING:
    from trackledger.projections.conclusions import Conclusions


class SilenceRow(Struct, frozen=True):
    """One open shipment: from `stuck_after` on it is stuck, in the way `kind` says. The provider's own flag stands
    beside ours, never instead."""

    shipment_id: str
    kind: str
    quiet_since: datetime
    stuck_after: datetime
    provider_says_stuck: bool | None
    policy_version: str


TABLE = Table("silence", SilenceRow, ("shipment_id",), [Index(("stuck_after", "shipment_id"))])

_STUCK = """SELECT q.*, s.account, s.reference, s.order_id, s.carrier, s.tracking_number, s.provider, s.milestone,
                   s.location, s.last_heard_at
            FROM {s}silence q JOIN {s}shipments s ON s.shipment_id = q.shipment_id
            WHERE q.stuck_after <= {now}"""

STUCK = View("stuck_shipments", _STUCK)
"""Shipments that are stuck by the database's clock."""


def rows(c: "Conclusions") -> Iterator[SilenceRow]:
    """The row of one shipment while it is open."""
    if c.silence is not None:
        yield SilenceRow(
            shipment_id=c.statements.shipment_id,
            kind=c.silence.kind.value,
            quiet_since=c.silence.quiet_since,
            stuck_after=c.silence.stuck_after,
            provider_says_stuck=c.provider_says_stuck,
            policy_version=c.silence.policy_version,
        )


def stuck(
    store: Reader, now: datetime, *, kind: str | None = None, account: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Shipments that are stuck as of `now`, the longest first."""
    return store.read(
        f"""{_STUCK.replace("{now}", ":now")}
            AND (CAST(:kind AS TEXT) IS NULL OR q.kind = :kind)
            AND (CAST(:account AS TEXT) IS NULL OR s.account = :account)
            ORDER BY q.stuck_after, q.shipment_id LIMIT :limit""",
        now=now,
        kind=kind,
        account=account,
        limit=limit,
    )


def of(store: Reader, shipment_id: str, now: datetime) -> dict[str, Any] | None:
    """The silence of one shipment with `is_stuck` as of `now`; None once it is final."""
    found = store.read(
        "SELECT q.*, q.stuck_after <= :now AS is_stuck FROM {s}silence q WHERE q.shipment_id = :id",
        id=shipment_id,
        now=now,
    )
    return found[0] | {"is_stuck": bool(found[0]["is_stuck"])} if found else None
