"""What does ClickPost do when it is asked to act on a failed delivery, and what happens to the parcel then?"""

from datetime import date, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from trackledger.adapters.simulator.journeys import Telling
from trackledger.adapters.simulator.lanes import SAYS
from trackledger.adapters.simulator.plan import Case, Parcel
from trackledger.adapters.simulator.world import random_of

MOST_VISITS = 3
"""After so many visits the carrier tries no more."""


def refusal(parcel: Parcel | None, said: Any, at: datetime) -> tuple[int, str] | None:
    """The status and the words in which an action is refused, None where it is taken on."""
    if not isinstance(said, dict) or said.get("action") not in ("REATTEMPT", "INITIATE_RTO"):
        return 400, "Bad Request , Invalid Action"
    if parcel is None or not parcel.told(at):
        return 330, "waybill is not registered"
    told = parcel.told(at)
    if next((step.case for step in reversed(told) if step.case), None) is not Case.OPENED:
        return 400, "Bad Request , shipment is not undelivered"
    if said["action"] == "REATTEMPT" and len({step.visit for step in told if step.visit}) >= MOST_VISITS:
        return 400, "Bad Request , maximum number of attempts is reached"
    try:
        day = date.fromisoformat(said["preferred_date"]) if "preferred_date" in said else None
    except (TypeError, ValueError):
        return 400, "Bad Request , preferred_date is not YYYY-MM-DD"
    if day is not None and day < _local(parcel, at).date():
        return 400, "Bad Request , preferred_date is in the past"
    return None


def acted_on(parcel: Parcel, said: dict[str, Any], at: datetime) -> Parcel:
    """The parcel with another story from now on: tried again, on the day that is wanted, it is delivered; else it goes
    back all the way. Whoever asks is told; webhooks, which were planned before, tell only the story until then."""
    story = Telling(random_of("acted", parcel.reference, at), parcel.lane, SAYS["clickpost"], at)
    story.steps = [step for step in parcel.steps if step.at <= at]
    if said["action"] == "INITIATE_RTO":
        story.returned()
    else:
        wanted = date.fromisoformat(said["preferred_date"]) if "preferred_date" in said else None
        days = (wanted - _local(parcel, at).date()).days if wanted else 1
        story.at += timedelta(days=max(days, 1) - 1)
        story.out()
        story.delivered()
    return replace(parcel, steps=tuple(story.steps))


def _local(parcel: Parcel, at: datetime) -> datetime:
    return at + timedelta(minutes=parcel.lane.offset(at))
