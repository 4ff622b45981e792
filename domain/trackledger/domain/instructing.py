"""Which events follow when somebody acts on a failed delivery, and when that is answered?"""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from trackledger.domain.checkpoints import Tracker
from trackledger.domain.corrections import require_actor
from trackledger.domain.errors import CaseMovedOn, InvalidStatement, NoSuchCase
from trackledger.domain.events import (
    Event,
    NdrActionAcknowledged,
    NdrActionRefused,
    NdrActionRequested,
    NdrActionSent,
)
from trackledger.domain.ndr_actions import MAX_ANSWER, ActionState, Instruction, ToldAction, require_sense
from trackledger.domain.policies import attempts
from trackledger.domain.policies.attempts import Case, CaseState
from trackledger.domain.statements import Statements, told_action

MAX_ACTION_ID = 64


class Wanted(Struct, frozen=True):
    """An action that somebody wants, under an id that stands for it for ever. `tracker` is the one whose provider is to
    be asked; without one it was done by hand."""

    action_id: str
    case_no: int
    instruction: Instruction
    actor: str
    tracker: Tracker | None = None


def case_of(said: Statements, case_no: int) -> Case:
    """The failed delivery of this number. Raises `NoSuchCase`."""
    found = [case for case in _cases(said) if case.case_no == case_no]
    if not found:
        raise NoSuchCase(f"{said.shipment_id} has no failed delivery {case_no}; see `trackledger status`")
    return found[0]


def _cases(said: Statements) -> list[Case]:
    return attempts.conclude(told.checkpoint for told in said.told() if not told.withdrawn)


def request(said: Statements, wanted: Wanted, now: datetime) -> list[Event]:
    """That an action is wanted about the newest failure of a case; done by hand, that it is done as well. Nothing where
    this very action was wanted under its id already.

    Raises `NoSuchCase`, `CaseMovedOn` for a case that is closed, an action that is under way or agreed to already,
    whatever was remarked on it, or an id that another action has, and `InvalidStatement`.
    """
    require_actor(wanted.actor)
    if not 0 < len(wanted.action_id) <= MAX_ACTION_ID or not wanted.action_id.isprintable():
        raise InvalidStatement(f"action_id {wanted.action_id[:80]!r} is not 1 to {MAX_ACTION_ID} printable characters")
    one = require_sense(wanted.instruction)
    by_hand = wanted.tracker is None
    for known in said.actions():
        if known.action_id == wanted.action_id:
            if (known.case_no, known.instruction, known.by_hand) != (wanted.case_no, one, by_hand):
                raise CaseMovedOn(f"{known.action_id} is another action, by {known.actor}; look at that, and ask anew")
            return []
    case = case_of(said, wanted.case_no)
    if case.state is CaseState.CLOSED:
        raise CaseMovedOn(f"the failed delivery {case.case_no} of {said.shipment_id} is closed; look at it again")
    failure = case.because[-1]
    for known in said.actions():
        is_alike = replace(known.instruction, remark="") == replace(one, remark="")
        is_same = is_alike and said.listed_as(known.failure) == failure
        # What nobody answered may well be seen to by hand.
        is_over = known.state is ActionState.REFUSED or (by_hand and known.state is ActionState.REQUESTED)
        if is_same and not is_over:
            raise CaseMovedOn(f"this is {known.state} already as {known.action_id}, by {known.actor}; look at that")
    asked_for = NdrActionRequested(
        recorded_at=now,
        action_id=wanted.action_id,
        case_no=case.case_no,
        action=one.action,
        actor=wanted.actor,
        failure=failure,
        provider=wanted.tracker.provider if wanted.tracker else "",
        tracker=wanted.tracker.reference if wanted.tracker else "",
        by_hand=by_hand,
        preferred_date=one.preferred_date,
        address=one.address,
        landmark=one.landmark,
        pincode=one.pincode,
        phone=one.phone,
        remark=one.remark,
    )
    if not by_hand:
        return [asked_for]
    return [asked_for, *_answered(told_action(asked_for), wanted.actor, now, "", now, refused=False)]


def require_case(said: Statements, one: ToldAction) -> None:
    """Raises `CaseMovedOn` where what an action is about waits for nobody any more."""
    failure = said.listed_as(one.failure)
    case = next((case for case in _cases(said) if failure in case.because), None)
    if case is None or case.state is CaseState.CLOSED:
        raise CaseMovedOn(
            f"the failed delivery {one.case_no} of {said.shipment_id} is closed; nobody is asked about it"
        )


def action_of(said: Statements, action_id: str) -> ToldAction:
    """The action of this id. Raises `NoSuchCase`."""
    found = [one for one in said.actions() if one.action_id == action_id]
    if not found:
        raise NoSuchCase(f"{said.shipment_id} has no action {action_id[:80]!r}; see `trackledger status`")
    return found[0]


def answer(
    said: Statements, action_id: str, actor: str, sent_at: datetime, words: str, now: datetime, *, refused: bool
) -> list[Event]:
    """That an action was handed over at `sent_at`, and what was answered; nothing where it is answered already. Raises
    `NoSuchCase`."""
    require_actor(actor)
    one = action_of(said, action_id)
    if one.state in (ActionState.ACKNOWLEDGED, ActionState.REFUSED):
        return []
    return _answered(one, actor, sent_at, words, now, refused=refused)


def _answered(
    one: ToldAction, actor: str, sent_at: datetime, words: str, now: datetime, *, refused: bool
) -> list[Event]:
    kind = NdrActionRefused if refused else NdrActionAcknowledged
    events: list[Event] = []
    if one.sent_at is None:
        events.append(
            NdrActionSent(
                recorded_at=now,
                action_id=one.action_id,
                case_no=one.case_no,
                action=one.instruction.action,
                actor=actor,
                sent_at=sent_at,
            )
        )
    events.append(
        kind(
            recorded_at=now,
            action_id=one.action_id,
            case_no=one.case_no,
            action=one.instruction.action,
            actor=actor,
            answer=words[:MAX_ANSWER],
        )
    )
    return events
