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

AGAINST_A_RETURN = frozenset({M.OUT_FOR_DELIVERY, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP, M.DELIVERED, M.PICKED_UP})
"""Forward scans that show that a return under way was given up; a bare transit scan does not."""


class Status(Struct, frozen=True):
    """The conclusion: `rule` drew it from the checkpoints with the keys `because`, the newest last.

    `since` is the instant of the first scan of the current milestone, `location` and `said` are those of the newest.
    `delivered_at` outlives a return, and ends when the parcel is on its way to the consignee again.
    """

    milestone: Milestone
    leg: Leg
    since: datetime | None
    location: str
    said: str
    rule: str
    because: tuple[str, ...]
    delivered_at: datetime | None = None


def conclude(checkpoints: Iterable[Checkpoint]) -> Status:
    """The status that these checkpoints, in any order, amount to."""
    milestone, leg, rule = M.UNKNOWN, Leg.FORWARD, "nothing_said"
    run: list[Checkpoint] = []
    delivered_at: datetime | None = None
    for checkpoint in in_order(checkpoints):
        meant = meaning(checkpoint)
        verdict = _verdict(milestone, meant, checkpoint)
        if verdict is None:
            continue
        new_leg = Leg.RETURN if meant in _RETURN else checkpoint.leg
        if meant is not milestone or new_leg is not leg:
            run = []
        if meant is M.DELIVERED:
            delivered_at = delivered_at if milestone is M.DELIVERED else checkpoint.occurred.at
        elif meant in AGAINST_A_RETURN and (milestone, meant) != (M.DELIVERED, M.PICKED_UP):
            # A pickup right after a delivery begins another trip; it does not say that the delivery was none.
            delivered_at = None
        milestone, leg, rule = meant, new_leg, verdict
        run.append(checkpoint)
    if not run:
        return Status(milestone, leg, None, "", "", rule, ())
    newest = run[-1]
    return Status(
        milestone,
        leg,
        run[0].occurred.at,
        next((c.location for c in reversed(run) if c.location), ""),
        newest.status_said or newest.remark,
        rule,
        tuple(c.key for c in run),
        delivered_at,
    )


def _verdict(milestone: Milestone, meant: Milestone, checkpoint: Checkpoint) -> str | None:
    """The name of the rule by which the statement moves the status, or None when it does not."""
    if meant is M.UNKNOWN:
        return None
    ended_by = ENDED_BY.get(milestone)
    if ended_by is not None:
        if meant not in ended_by:
            return None
        if milestone is M.DELIVERED and checkpoint.leg is Leg.RETURN and not _opens_return(checkpoint):
            return None
        return "final" if meant is milestone else f"{meant}_after_{milestone}"
    if milestone in MOVEMENT and meant in BEFORE_PICKUP:
        # Carriers file the booking late. What has moved was picked up.
        return None
    if milestone is M.RETURNING and checkpoint.leg is not Leg.RETURN and meant not in _RETURN:
        if meant in AGAINST_A_RETURN:
            return "return_given_up"
        return "final" if meant in ENDED_BY else None
    return "final" if meant in ENDED_BY else "latest_scan"


def _opens_return(checkpoint: Checkpoint) -> bool:
    """Whether a return-leg scan says in its own words that a return began, rather than being a stray transit scan."""
    return checkpoint.milestone in _RETURN or checkpoint.milestone in (M.PICKED_UP, M.DELIVERED)
