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
from trackledger.domain.ndr_actions import ActionState, NdrAction, ToldAction
from trackledger.domain.policies.order import in_order

M = Milestone

NEW_VISIT_AFTER = timedelta(hours=12)
"""Two failures this far apart are two visits, even when no out-for-delivery scan was filed in between."""

ACT_WITHIN = timedelta(hours=24)
"""Time to answer a failed delivery before the carrier decides by itself, where the policy names no other."""


class CaseState(StrEnum):
    """`OPEN`: waiting for somebody to act. `ACTIONED`: somebody did, or it is on its way to the consignee again.
    `CLOSED`: see the outcome."""

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

    def time_to_act(self, carrier: str) -> tuple[timedelta, str]:
        """How long one has to act after a failed attempt, and the rule that says so."""
        own = self.act_within_by_carrier.get(carrier.casefold())
        return (self.act_within, "time_to_act") if own is None else (own, "time_to_act_of_carrier")


class Case(Struct, frozen=True):
    """One failed-delivery case. `attempts` are visits, `failure_scans` the scans that told of them.

    `rule` drew the state and outcome, from the scan with the key `moved_by` where it is not open any more.
    `reason_rule` drew reason and party from the failure with the key `reason_by`, and `act_rule` the time to act.
    `because` are the keys of all failures, `visits` of those that began a visit, each with the rule that says why.
    """

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
    rule: str = ""
    moved_by: str = ""
    reason_rule: str = ""
    reason_by: str = ""
    act_rule: str = ""
    visits: tuple[tuple[str, str], ...] = ()


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

RULES_VERSION = "attempts-2"

RULES: dict[str, str] = {
    "no_failed_delivery": "Only a failed delivery on the way to the consignee opens a case, and there is none.",
    "visits_in_all": "The attempts are the visits of all cases; scans that repeat the failure of a visit are none.",
    "first_failure": "A failed delivery opens a case, and is its first visit.",
    "out_again": "The parcel was out for delivery since the failure before, so that this one is another visit.",
    "long_apart": "It is so long since the failure before that this one is another visit.",
    "waiting": "Since the newest failure the parcel was not sent out again, is not to be collected, and nothing ended.",
    "sent_out_again": "The parcel is out for delivery again.",
    "to_be_collected": "The parcel waits where the consignee can collect it.",
    "told_to_try_again": "Whoever has the parcel agreed to try again.",
    "told_to_return": "Whoever has the parcel agreed to return it.",
    "acted_by_hand": "Somebody saw to it outside of this system, and says that it was agreed to.",
    "not_answered": "Nobody has answered the action, so that it changes nothing: the carrier may not know of it.",
    "refused": "The action was refused, so that somebody still has to act.",
    "overtaken": "Another visit failed since the one that the action is about, so that it changes nothing any more.",
    "case_gone": "The action is about a failure that does not count any more, or is of no case.",
    "closed_by_delivery": "The parcel was delivered.",
    "closed_by_collection": "The parcel was handed over after it had waited to be collected.",
    "closed_by_way_back": "A scan on the way back shows that the parcel is returning.",
    "closed_by_given_up_return": "A return was announced, but the parcel was delivered after all.",
    **{f"closed_by_{milestone}": f"The parcel was said to be {milestone}." for milestone in _ENDINGS},
    "stated_reason": "The newest failure that names a reason says why; each reason has the party who must act.",
    "inferred_reason": "The newest failure whose words give a reason says why; it was read out of free text.",
    "no_reason": "No failure names a reason.",
    "time_to_act": "There is so long to act after the newest failure before the carrier decides by itself.",
    "time_to_act_of_carrier": "This carrier gives so long to act after the newest failure before it decides by itself.",
    "nothing_to_do": "Nobody has to act on a case that is not open.",
}
"""Rule to what it says."""

NUMBERED = frozenset({"long_apart", "time_to_act", "time_to_act_of_carrier"})
"""Rules with a number in them that a host may set."""


class _Draft:
    """A case while it is being folded."""

    def __init__(self, case_no: int, opened_at: datetime) -> None:
        self.case_no = case_no
        self.opened_at = opened_at
        self.failures: list[Checkpoint] = []
        self.visits: list[tuple[str, str]] = []
        self.out_again = False
        self.state = CaseState.OPEN
        self.rule = "waiting"
        self.moved_by = ""
        self.closed: tuple[datetime, Outcome] | None = None

    def fail(self, checkpoint: Checkpoint, new_visit_after: timedelta, agreed: str) -> None:
        """Take in a failure; `agreed` is the rule by which an action about it was agreed to, if one was."""
        if not self.failures:
            visit = "first_failure"
        elif self.out_again:
            visit = "out_again"
        elif _apart(self.failures[-1].occurred, checkpoint.occurred, new_visit_after):
            visit = "long_apart"
        else:
            visit = ""
        if visit:
            self.visits.append((checkpoint.key, visit))
            self.state, self.rule, self.moved_by = CaseState.OPEN, "waiting", ""
        self.out_again = False
        self.failures.append(checkpoint)
        if agreed:
            self.action(agreed, checkpoint.key)

    def action(self, rule: str, key: str) -> None:
        self.state, self.rule, self.moved_by = CaseState.ACTIONED, rule, key

    @property
    def last_attempt_at(self) -> datetime:
        return max(c.occurred.at for c in self.failures)

    def close(self, checkpoint: Checkpoint, outcome: Outcome, rule: str) -> None:
        """A day begins before what happened in it: an ending of day precision is never before the attempt it ends."""
        self.closed = (max(checkpoint.occurred.at, self.last_attempt_at), outcome)
        self.state, self.rule, self.moved_by = CaseState.CLOSED, rule, checkpoint.key

    def give_up_return(self, checkpoint: Checkpoint) -> None:
        """A return that was announced and then not carried out did not end the case, the delivery did."""
        if self.closed is not None and self.closed[1] is Outcome.RETURNING:
            self.close(checkpoint, Outcome.DELIVERED, "closed_by_given_up_return")


def agreed_to(actions: Iterable[ToldAction]) -> dict[str, str]:
    """The key of each failure about which an action was agreed to, and the rule of the newest such action."""
    return {one.failure: _rule(one) for one in actions if one.state is ActionState.ACKNOWLEDGED}


def _rule(one: ToldAction) -> str:
    if one.by_hand:
        return "acted_by_hand"
    return "told_to_return" if one.instruction.action is NdrAction.RTO else "told_to_try_again"


def visit_of(case: Case, failure: str) -> int:
    """Which of its visits a failure of a case tells of, counted from 1."""
    begun = {key for key, _ in case.visits}
    return sum(key in begun for key in case.because[: case.because.index(failure) + 1])


def judge(one: ToldAction, failure: str, cases: Iterable[Case]) -> tuple[int, str]:
    """The case that an action belongs to, by the failure it is about as that is listed now, and the rule that says what
    it does there; the case as it was asked for where there is none any more."""
    case = next((case for case in cases if failure in case.because), None)
    if case is None:
        return one.case_no, "case_gone"
    if one.state is ActionState.REFUSED:
        return case.case_no, "refused"
    if one.state is not ActionState.ACKNOWLEDGED:
        return case.case_no, "not_answered"
    return case.case_no, _rule(one) if visit_of(case, failure) == case.attempts else "overtaken"


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
    agreed: Mapping[str, str] | None = None,
) -> list[Case]:
    """The cases of one shipment, oldest first. `said` gives the provider's words for a reason by checkpoint key, and
    `agreed` the rule by which a failure with this key was acted on; see `agreed_to`.

    Only a forward-leg `delivery_failed` opens a case: a provider's NDR block without one is a claim, not a visit. An
    action counts from the visit that it is about until the next one fails, whenever either was heard of.
    """
    policy = policy or AttemptPolicy()
    drafts: list[_Draft] = []
    for checkpoint in in_order(checkpoints):
        current = drafts[-1] if drafts and drafts[-1].closed is None else None
        milestone = checkpoint.milestone
        if milestone is M.DELIVERY_FAILED and checkpoint.leg is Leg.FORWARD:
            if current is None:
                current = _Draft(len(drafts) + 1, checkpoint.occurred.at)
                drafts.append(current)
            current.fail(checkpoint, policy.new_visit_after, (agreed or {}).get(checkpoint.key, ""))
        elif current is None:
            if drafts and milestone is M.DELIVERED and checkpoint.leg is Leg.FORWARD:
                drafts[-1].give_up_return(checkpoint)
        elif checkpoint.leg is Leg.RETURN and milestone is not M.UNKNOWN:
            current.close(checkpoint, Outcome.RETURNING, "closed_by_way_back")
        elif milestone is M.OUT_FOR_DELIVERY:
            current.out_again = True
            current.action("sent_out_again", checkpoint.key)
        elif milestone is M.AVAILABLE_FOR_PICKUP:
            current.action("to_be_collected", checkpoint.key)
        elif milestone is M.DELIVERED:
            if current.rule == "to_be_collected":
                current.close(checkpoint, Outcome.COLLECTED, "closed_by_collection")
            else:
                current.close(checkpoint, Outcome.DELIVERED, "closed_by_delivery")
        elif milestone in _ENDINGS:
            current.close(checkpoint, _ENDINGS[milestone], f"closed_by_{milestone}")
    return [_case(draft, carrier, said or {}, policy) for draft in drafts]


def _case(draft: _Draft, carrier: str, said: Mapping[str, str], policy: AttemptPolicy) -> Case:
    last = draft.failures[-1]
    explained = next((c for c in reversed(draft.failures) if c.ndr_reason not in _NO_REASON), last)
    reason = explained.ndr_reason or NdrReason.UNSPECIFIED
    if reason is NdrReason.UNSPECIFIED:
        reason_rule = "no_reason"
    else:
        reason_rule = "inferred_reason" if explained.ndr_inferred else "stated_reason"
    act_by, act_rule = None, "nothing_to_do"
    if draft.state is CaseState.OPEN:
        time, act_rule = policy.time_to_act(carrier)
        act_by = draft.last_attempt_at + time
    return Case(
        case_no=draft.case_no,
        state=draft.state,
        reason=reason,
        reason_said=said.get(explained.key) or explained.remark or explained.status_said,
        party=PARTY[reason],
        attempts=len(draft.visits),
        failure_scans=len(draft.failures),
        opened_at=draft.opened_at,
        last_attempt_at=draft.last_attempt_at,
        act_by=act_by,
        closed_at=draft.closed[0] if draft.closed else None,
        outcome=draft.closed[1] if draft.closed else None,
        because=tuple(c.key for c in draft.failures),
        rule=draft.rule,
        moved_by=draft.moved_by,
        reason_rule=reason_rule,
        reason_by=explained.key,
        act_rule=act_rule,
        visits=tuple(draft.visits),
    )
