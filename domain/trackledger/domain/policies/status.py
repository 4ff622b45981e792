"""Where is it now, since when, and because of which statements?

One fold over the standing checkpoints in their order of happening. Late and contradicting statements are the rule, so
each final milestone says what may end it:

- *delivered* ends by a failed attempt, a pickup, or a return that is announced or under way; not by transit scans of
  either leg, which carriers often file late.
- *returned* ends by a new pickup or by a delivery to the consignee; *lost*, *damaged*, *cancelled* and *expired* end by
  any movement.
- *unknown* never moves anything, and bookings filed late do not take back a movement.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import BEFORE_PICKUP, MOVEMENT, Leg, Milestone
from trackledger.domain.policies.meaning import meaning
from trackledger.domain.policies.order import in_order

M = Milestone

_RETURN = frozenset({M.RETURN_REQUESTED, M.RETURNING, M.RETURNED})

ENDED_BY: dict[Milestone, frozenset[Milestone]] = {
    M.DELIVERED: _RETURN | {M.DELIVERED, M.DELIVERY_FAILED, M.PICKED_UP},
    M.RETURNED: frozenset({M.RETURNED, M.PICKED_UP, M.DELIVERED}),
    M.LOST: MOVEMENT | {M.LOST, M.DAMAGED},
    M.DAMAGED: MOVEMENT | {M.DAMAGED, M.LOST, M.RETURN_REQUESTED},
    M.CANCELLED: MOVEMENT | {M.CANCELLED, M.LOST, M.DAMAGED, M.RETURN_REQUESTED},
    M.EXPIRED: MOVEMENT | {M.EXPIRED, M.LOST, M.DAMAGED, M.CANCELLED, M.RETURN_REQUESTED},
}
"""Final milestone to the milestones that may follow it. Everything else after it is kept and moves nothing."""

RULES_VERSION = "status-1"

RULES: dict[str, str] = {
    "nothing_said": "Nothing that is understood was said of the parcel yet.",
    "latest_scan": "The newest scan that tells of the parcel says where it is.",
    "final": "A scan that ends the journey stands, whatever is filed later, unless it is one that may follow it.",
    "return_given_up": "A scan of a visit or pickup on the way to the consignee shows that the return was given up.",
    **{
        f"{after}_after_{end}": f"The parcel was {end}, and {after} is one of the few things that may follow that."
        for end, followers in ENDED_BY.items()
        for after in followers
        if after is not end
    },
    "not_understood": "A status that no mapping knows moves nothing.",
    "after_the_end": "After a scan that ended the journey a scan of this kind moves nothing; it was filed late.",
    "stray_return_scan": "After a delivery a scan of the way back counts only where it says that a return began.",
    "booked_late": "A booking that is filed after the parcel moved does not take back the movement.",
    "against_a_return": "During a return a scan without a leg of its own does not say that it was given up.",
    "newest_place": "The newest scan of the current status that names a place says where.",
    "provider_headline": "The provider's own headline stands beside our status, never instead.",
    "first_of_delivery": "It was delivered with the first scan of the delivery that stands; a return does not undo it.",
    "arrived_with_merchant": "The parcel is meant for the merchant, so that the end of its way back is its delivery.",
    "not_delivered": "No delivery stands.",
}
"""Rule to what it says."""

STAYS = frozenset({"not_understood", "after_the_end", "stray_return_scan", "booked_late", "against_a_return"})
"""Rules by which a scan leaves the status as it is."""

AGAINST_A_RETURN = frozenset({M.OUT_FOR_DELIVERY, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP, M.DELIVERED, M.PICKED_UP})
"""Forward scans that show that a return under way was given up; a bare transit scan does not."""


class Status(Struct, frozen=True):
    """The conclusion: `rule` drew it from the checkpoints with the keys `because`, the newest last.

    `since` is the instant of the first scan of the current milestone, `location` and `said` are those of the newest.
    `delivered_at` outlives a return, and ends when the parcel is on its way to the consignee again. `located_by` and
    `delivered_by` are the keys of the scans that these are from; `passed` are the keys of those that moved nothing,
    each with the rule that says why.
    """

    milestone: Milestone
    leg: Leg
    since: datetime | None
    location: str
    said: str
    rule: str
    because: tuple[str, ...]
    delivered_at: datetime | None = None
    located_by: str = ""
    delivered_by: str = ""
    passed: tuple[tuple[str, str], ...] = ()


class Arrival(Struct, frozen=True):
    """When the parcel arrived where it was meant for, by the scan with the key `by` and by which rule."""

    at: datetime | None
    by: str
    rule: str


def conclude(checkpoints: Iterable[Checkpoint]) -> Status:
    """The status that these checkpoints, in any order, amount to."""
    milestone, leg, rule = M.UNKNOWN, Leg.FORWARD, "nothing_said"
    run: list[Checkpoint] = []
    passed: list[tuple[str, str]] = []
    delivery: Checkpoint | None = None
    for checkpoint in in_order(checkpoints):
        meant = meaning(checkpoint)
        verdict = _verdict(milestone, meant, checkpoint)
        if verdict in STAYS:
            passed.append((checkpoint.key, verdict))
            continue
        new_leg = Leg.RETURN if meant in _RETURN else checkpoint.leg
        if meant is not milestone or new_leg is not leg:
            run = []
        if meant is M.DELIVERED:
            delivery = delivery if milestone is M.DELIVERED else checkpoint
        elif meant in AGAINST_A_RETURN and (milestone, meant) != (M.DELIVERED, M.PICKED_UP):
            # A pickup right after a delivery begins another trip; it does not say that the delivery was none.
            delivery = None
        milestone, leg, rule = meant, new_leg, verdict
        run.append(checkpoint)
    if not run:
        return Status(milestone, leg, None, "", "", rule, (), passed=tuple(passed))
    newest = run[-1]
    located = next((c for c in reversed(run) if c.location), None)
    return Status(
        milestone,
        leg,
        run[0].occurred.at,
        located.location if located else "",
        newest.status_said or newest.remark,
        rule,
        tuple(c.key for c in run),
        delivery.occurred.at if delivery else None,
        located.key if located else "",
        delivery.key if delivery else "",
        tuple(passed),
    )


def arrival(status: Status, *, is_reverse: bool) -> Arrival:
    """The arrival of a parcel; `is_reverse` is a pickup from the consignee, which is meant for the merchant."""
    if is_reverse and status.milestone is M.RETURNED:
        return Arrival(status.since, status.because[0], "arrived_with_merchant")
    return Arrival(
        status.delivered_at, status.delivered_by, "first_of_delivery" if status.delivered_at else "not_delivered"
    )


def _verdict(milestone: Milestone, meant: Milestone, checkpoint: Checkpoint) -> str:
    """The name of the rule by which the statement moves the status, or of one in `STAYS` when it does not."""
    if meant is M.UNKNOWN:
        return "not_understood"
    ended_by = ENDED_BY.get(milestone)
    if ended_by is not None:
        if meant not in ended_by:
            return "after_the_end"
        if milestone is M.DELIVERED and checkpoint.leg is Leg.RETURN and not _opens_return(checkpoint):
            return "stray_return_scan"
        return "final" if meant is milestone else f"{meant}_after_{milestone}"
    if milestone in MOVEMENT and meant in BEFORE_PICKUP:
        # Carriers file the booking late. What has moved was picked up.
        return "booked_late"
    if milestone is M.RETURNING and checkpoint.leg is not Leg.RETURN and meant not in _RETURN:
        if meant in AGAINST_A_RETURN:
            return "return_given_up"
        return "final" if meant in ENDED_BY else "against_a_return"
    return "final" if meant in ENDED_BY else "latest_scan"


def _opens_return(checkpoint: Checkpoint) -> bool:
    """Whether a return-leg scan says in its own words that a return began, rather than being a stray transit scan."""
    return checkpoint.milestone in _RETURN or checkpoint.milestone in (M.PICKED_UP, M.DELIVERED)
