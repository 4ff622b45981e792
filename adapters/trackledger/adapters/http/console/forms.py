"""What does each form send?"""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trackledger.adapters.http.api.asking import Word
from trackledger.domain.corrections import MAX_TEXT
from trackledger.domain.ndr_actions import NdrAction

Id = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00]*$")]
Once = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""A name that a form gives to what it does: sent twice, it is done once."""


class About(BaseModel):
    """Which shipment."""

    model_config = ConfigDict(extra="forbid")

    shipment_id: Id


class Sent(About):
    """What every form about a shipment sends; `next` is where to go on."""

    csrf: str
    next: str = ""


class NdrSent(Sent):
    """What is wanted about a failed delivery."""

    case_no: Annotated[int, Field(ge=1, le=1_000_000)]
    once: Once
    action: NdrAction
    preferred_date: date | None = None
    address: str = ""
    landmark: str = ""
    pincode: str = ""
    phone: str = ""
    remark: str = ""
    by_hand: bool = False


class NoteSent(Sent):
    """A remark."""

    once: Once
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class AgainSent(Sent):
    """Which action is to be asked for again."""

    action_id: Word


class RetrySent(BaseModel):
    """Which messages are to be read again: these, or all that are parked."""

    model_config = ConfigDict(extra="forbid")

    csrf: str
    message_id: Annotated[list[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]], Field(max_length=1000)] = []
    all: bool = False
