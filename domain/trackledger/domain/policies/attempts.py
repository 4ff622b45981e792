"""Which deliveries failed, how many visits were made, and by when must somebody act?

Source of the idea that an attempt is a visit and not a scan: providers file several failure scans for one visit (reason
changed, depot re-scan), and counting scans overstates attempts.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import PARTY, Leg, Milestone, NdrReason, Party
from trackledger.domain.moments import Moment, Precision
from trackledger.domain.policies.order import in_order

M = Milestone

NEW_VISIT_AFTER = timedelta(hours=12)
"""Two failures this far apart are two visits, even when no out-for-delivery scan was filed in between."""

ACT_WITHIN = timedelta(hours=24)
"""Time to answer a failed delivery before the carrier decides by itself, where the policy names no other."""


class CaseState(StrEnum):
    """`OPEN`: waiting for somebody to act. `ACTIONED`: on its way to the consignee again. `CLOSED`: see the outcome."""

    OPEN = "open"
    ACTIONED = "actioned"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a case ended."""

    DELIVERED = "delivered"
    COLLECTED = "collected"
    RETURNING = "returning"
    CANCELLED = "cancelled"
    LOST = "lost"


class AttemptPolicy(Struct, frozen=True):
    """How long one has to act, by lower-case carrier name, and otherwise; and what separates two visits."""

    act_within: timedelta = ACT_WITHIN
    act_within_by_carrier: Mapping[str, timedelta] = {}
    new_visit_after: timedelta = NEW_VISIT_AFTER

    def deadline(self, carrier: str, last_attempt_at: datetime) -> datetime:
        """By when to act after an attempt that failed at `last_attempt_at`."""
        return last_attempt_at + self.act_within_by_carrier.get(carrier.casefold(), self.act_within)


class Case(Struct, frozen=True):
    """One failed-delivery case. `attempts` are visits, `failure_scans` the scans that told of them."""

    case_no: int
    state: CaseState
    reason: NdrReason
    reason_said: str
    party: Party
    attempts: int
    failure_scans: int
    opened_at: datetime
    last_attempt_at: datetime
    act_by: datetime | None
    closed_at: datetime | None = None
    outcome: Outcome | None = None
    because: tuple[str, ...] = ()


_NO_REASON = (None, NdrReason.UNSPECIFIED)

_ENDINGS = {
    M.RETURN_REQUESTED: Outcome.RETURNING,
    M.RETURNING: Outcome.RETURNING,
    M.RETURNED: Outcome.RETURNING,
    M.CANCELLED: Outcome.CANCELLED,
    M.EXPIRED: Outcome.CANCELLED,
    M.LOST: Outcome.LOST,
    M.DAMAGED: Outcome.LOST,
}


class _Draft:
    """A case while it is being folded."""

    def __init__(self, case_no: int, opened_at: datetime) -> None:
        self.case_no = case_no
        self.opened_at = opened_at
        self.failures: list[Checkpoint] = []
        self.attempts = 0
        self.out_again = True
        self.collectable = False
        self.closed: tuple[datetime, Outcome] | None = None

    def fail(self, checkpoint: Checkpoint, new_visit_after: timedelta) -> None:
        if self.out_again or _apart(self.failures[-1].occurred, checkpoint.occurred, new_visit_after):
            self.attempts += 1
            self.collectable = False
        self.out_again = False
        self.failures.append(checkpoint)

    @property
    def last_attempt_at(self) -> datetime:
        return max(c.occurred.at for c in self.failures)

    def close(self, at: datetime, outcome: Outcome) -> None:
        """A day begins before what happened in it: an ending of day precision is never before the attempt it ends."""
        self.closed = (max(at, self.last_attempt_at), outcome)

    def give_up_return(self, at: datetime) -> None:
        """A return that was announced and then not carried out did not end the case, the delivery did."""
        if self.closed is not None and self.closed[1] is Outcome.RETURNING:
            self.close(at, Outcome.DELIVERED)


def _apart(a: Moment, b: Moment, gap: timedelta) -> bool:
    """Whether two failures lie apart. A day is no distance from any instant of that day."""
    if Precision.DAY in (a.precision, b.precision) and a.local_date == b.local_date:
        return False
    return b.at - a.at >= gap


def conclude(
    checkpoints: Iterable[Checkpoint],
    carrier: str = "",
    said: Mapping[str, str] | None = None,
    policy: AttemptPolicy | None = None,
) -> list[Case]:
    """The cases of one shipment, oldest first. `said` gives the provider's words for a reason by checkpoint key.

    Only a forward-leg `delivery_failed` opens a case: a provider's NDR block without one is a claim, not a visit.
    """
    policy = policy or AttemptPolicy()
    drafts: list[_Draft] = []
    for checkpoint in in_order(checkpoints):
        current = drafts[-1] if drafts and drafts[-1].closed is None else None
        milestone, at = checkpoint.milestone, checkpoint.occurred.at
        if milestone is M.DELIVERY_FAILED and checkpoint.leg is Leg.FORWARD:
            if current is None:
                current = _Draft(len(drafts) + 1, at)
                drafts.append(current)
            current.fail(checkpoint, policy.new_visit_after)
        elif current is None:
            if drafts and milestone is M.DELIVERED and checkpoint.leg is Leg.FORWARD:
                drafts[-1].give_up_return(at)
        elif checkpoint.leg is Leg.RETURN and milestone is not M.UNKNOWN:
            current.close(at, Outcome.RETURNING)
        elif milestone is M.OUT_FOR_DELIVERY:
            current.out_again, current.collectable = True, False
        elif milestone is M.AVAILABLE_FOR_PICKUP:
            current.collectable = True
        elif milestone is M.DELIVERED:
            current.close(at, Outcome.COLLECTED if current.collectable else Outcome.DELIVERED)
        elif milestone in _ENDINGS:
            current.close(at, _ENDINGS[milestone])
    return [_case(draft, carrier, said or {}, policy) for draft in drafts]


def _case(draft: _Draft, carrier: str, said: Mapping[str, str], policy: AttemptPolicy) -> Case:
    last = draft.failures[-1]
    explained = next((c for c in reversed(draft.failures) if c.ndr_reason not in _NO_REASON), last)
    reason = explained.ndr_reason or NdrReason.UNSPECIFIED
    if draft.closed is not None:
        state = CaseState.CLOSED
    elif draft.out_again or draft.collectable:
        state = CaseState.ACTIONED
    else:
        state = CaseState.OPEN
    return Case(
        case_no=draft.case_no,
        state=state,
        reason=reason,
        reason_said=said.get(explained.key) or explained.remark or explained.status_said,
        party=PARTY[reason],
        attempts=draft.attempts,
        failure_scans=len(draft.failures),
        opened_at=draft.opened_at,
        last_attempt_at=draft.last_attempt_at,
        act_by=policy.deadline(carrier, draft.last_attempt_at) if state is CaseState.OPEN else None,
        closed_at=draft.closed[0] if draft.closed else None,
        outcome=draft.closed[1] if draft.closed else None,
        because=tuple(c.key for c in draft.failures),
    )
