"""What was asked for about failed deliveries, by whom, and what came of it?"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trackledger.domain.policies.attempts import judge
from trackledger.projections.table import Index, Reader, Table

if TYPE_CHECKING:
    from trackledger.projections.conclusions import Conclusions


class ActionRow(Struct, frozen=True):
    """One action about a failed delivery. Addresses and the like that came with it are not here, but in the ledger.

    `state` is `requested`, `sent`, `acknowledged` or `refused`, and `answer` what was said to it. `effect` is the rule
    that says what it does to its case. `provider` was to be asked, nobody where it was done `by_hand`.
    """

    shipment_id: str
    action_id: str
    account: str
    case_no: int
    action: str
    state: str
    effect: str
    actor: str
    provider: str | None
    by_hand: bool
    preferred_date: date | None
    requested_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    answer: str | None


TABLE = Table(
    "ndr_actions",
    ActionRow,
    ("shipment_id", "action_id"),
    [Index(("account", "requested_at", "shipment_id"), where="state = 'requested'")],
    personal=("answer",),
)


def rows(c: "Conclusions") -> Iterator[ActionRow]:
    """The rows of one shipment."""
    said = c.statements
    for one in said.actions():
        case_no, effect = judge(one, said.listed_as(one.failure), c.cases)
        yield ActionRow(
            shipment_id=said.shipment_id,
            action_id=one.action_id,
            account=said.account,
            case_no=case_no,
            action=one.instruction.action.value,
            state=one.state.value,
            effect=effect,
            actor=one.actor,
            provider=one.provider or None,
            by_hand=one.by_hand,
            preferred_date=one.instruction.preferred_date,
            requested_at=one.requested_at,
            sent_at=one.sent_at,
            answered_at=one.answered_at,
            answer=one.answer or None,
        )


def of(store: Reader, shipment_id: str) -> list[dict[str, Any]]:
    """All actions about the failed deliveries of one shipment, in the order in which they were asked for."""
    return store.read(
        "SELECT * FROM {s}ndr_actions WHERE shipment_id = :id ORDER BY requested_at, action_id LIMIT 1000",
        id=shipment_id,
    )
