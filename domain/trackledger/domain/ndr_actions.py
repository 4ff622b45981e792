"""What can be done about a failed delivery, who asked for it, and what was answered?"""

import re
from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct

from trackledger.domain.errors import InvalidStatement


class NdrAction(StrEnum):
    """The closed vocabulary of what can be asked of whoever moves a parcel whose delivery failed.

    `REATTEMPT`: try again. `RESCHEDULE`: try again on a day. `CHANGE_DETAILS`: try again with another address or phone
    number. `RTO`: give up and return it to its origin.
    """

    REATTEMPT = "reattempt"
    RESCHEDULE = "reschedule"
    CHANGE_DETAILS = "change_details"
    RTO = "rto"


class ActionState(StrEnum):
    """How far an action has come. `REQUESTED`: it is recorded, and nobody has answered; whether anybody heard of it is
    not known. `SENT`: it was handed over, without a word on what becomes of it. The others are answers."""

    REQUESTED = "requested"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"


MAX_ADDRESS = 500
MAX_ANSWER = 1000

_IN_ONE_LINE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"

_FORMS = {
    "address": (re.compile(_IN_ONE_LINE + r"{5,500}"), f"5 to {MAX_ADDRESS} characters in one line"),
    "landmark": (re.compile(_IN_ONE_LINE + r"{1,200}"), "1 to 200 characters in one line"),
    "pincode": (re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{2,11}"), "3 to 12 letters, digits, blanks and hyphens"),
    "phone": (re.compile(r"\+?[0-9][0-9 ()-]{4,22}[0-9]"), "6 to 25 digits, blanks, hyphens and brackets, after a +"),
    "remark": (re.compile(_IN_ONE_LINE + r"{1,500}"), "1 to 500 characters in one line"),
}


class Instruction(Struct, frozen=True):
    """What is asked for. `preferred_date` is a day where the parcel goes to; `remark` stays with us, nobody is sent it.

    Its texts are personal, and empty where they were erased.
    """

    action: NdrAction
    preferred_date: date | None = None
    address: str = ""
    landmark: str = ""
    pincode: str = ""
    phone: str = ""
    remark: str = ""

    @property
    def wordless(self) -> "Instruction":
        """What is left of it once its shipment is forgotten."""
        return Instruction(self.action, self.preferred_date)


def require_sense(one: Instruction) -> Instruction:
    """The same instruction. Raises `InvalidStatement`, which begins with the name of the field, for an ill-formed text,
    and for what its action lacks or has no use for: a day is what `RESCHEDULE` is about, a new address or phone number
    `CHANGE_DETAILS`, and `RTO` has none of them."""
    for name, (form, says) in _FORMS.items():
        text: str = getattr(one, name)
        if text and not (form.fullmatch(text) and text.strip() and _is_text(text)):
            raise InvalidStatement(f"{name} is not {says}; correct it")
    if one.action is NdrAction.RESCHEDULE and one.preferred_date is None:
        raise InvalidStatement("preferred_date is missing; reschedule to a day such as 2026-11-28")
    if one.action is NdrAction.CHANGE_DETAILS and not (one.address or one.phone):
        raise InvalidStatement("address is missing, and phone is too; give what has changed")
    if (one.landmark or one.pincode) and not one.address:
        raise InvalidStatement("address is missing; a landmark or a pincode goes with one")
    if (one.address or one.phone) and one.action is not NdrAction.CHANGE_DETAILS:
        what = "address" if one.address else "phone"
        raise InvalidStatement(f"{what} is of no use to {one.action}; the action for it is change_details")
    if one.preferred_date is not None and one.action is NdrAction.RTO:
        raise InvalidStatement("preferred_date is of no use to rto; leave it out")
    return one


def _is_text(text: str) -> bool:
    """Whether every database can show it again."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


class ToldAction(Struct, frozen=True):
    """One action about a failed delivery, as far as it has come.

    `failure` is the key of the failed attempt that it answers, and `case_no` the case that this belonged to when it was
    asked for. `tracker` is the one whose `provider` is asked; without, it was done `by_hand`, outside of this system.
    `answer` is what the provider said, or whoever did it by hand.
    """

    action_id: str
    case_no: int
    instruction: Instruction
    actor: str
    failure: str
    requested_at: datetime
    provider: str = ""
    tracker: str = ""
    by_hand: bool = False
    state: ActionState = ActionState.REQUESTED
    sent_at: datetime | None = None
    answered_at: datetime | None = None
    answer: str = ""
