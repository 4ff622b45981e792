"""Which deliveries failed, and by when must somebody act?"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trackledger.projections.table import Index, Reader, Table, View

if TYPE_CHECKING:
    from trackledger.projections.conclusions import Conclusions


class NdrRow(Struct, frozen=True):
    """One failed-delivery case. `party` is who must act, `attempts` counts visits, `failure_scans` the scans.

    `state` is `open`, `actioned` or `closed`; `act_by` stands while it is open.
    """

    shipment_id: str
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
    [Index(("act_by", "shipment_id"), where="state <> 'closed'")],
    personal=("reason_said",),
)

_OPEN = """SELECT n.*, s.account, s.reference, s.order_id, s.carrier, s.tracking_number, s.milestone, s.location,
                  n.act_by IS NOT NULL AND n.act_by <= {now} AS overdue
           FROM {s}ndr_cases n JOIN {s}shipments s ON s.shipment_id = n.shipment_id
           WHERE n.state <> 'closed'"""

OPEN = View("ndr_open", _OPEN)
"""Cases that are not closed; `overdue` compares their deadline with the database's clock."""


def rows(c: "Conclusions") -> Iterator[NdrRow]:
    """The rows of one shipment."""
    for case in c.cases:
        yield NdrRow(
            shipment_id=c.statements.shipment_id,
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


def unclosed(
    store: Reader, now: datetime, *, state: str | None = None, account: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Cases that are not closed, the most urgent first; `overdue` is as of `now`."""
    found = store.read(
        f"""{_OPEN.replace("{now}", ":now")}
            AND (CAST(:state AS TEXT) IS NULL OR n.state = :state)
            AND (CAST(:account AS TEXT) IS NULL OR s.account = :account)
            ORDER BY n.act_by IS NULL, n.act_by, n.shipment_id LIMIT :limit""",
        now=now,
        state=state,
        account=account,
        limit=limit,
    )
    return [row | {"overdue": bool(row["overdue"])} for row in found]


def newest(store: Reader, shipment_id: str) -> dict[str, Any] | None:
    """The newest case of a shipment, open or not; None when no delivery failed."""
    found = store.read(
        "SELECT * FROM {s}ndr_cases WHERE shipment_id = :id ORDER BY case_no DESC LIMIT 1", id=shipment_id
    )
    return found[0] if found else None
