"""What does a scan mean in view of the way the parcel travels?"""

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import Leg, Milestone

M = Milestone

_ON_RETURN = {
    M.PICKED_UP: M.RETURNING,
    M.IN_TRANSIT: M.RETURNING,
    M.ARRIVED: M.RETURNING,
    M.CUSTOMS: M.RETURNING,
    M.OUT_FOR_DELIVERY: M.RETURNING,
    M.DELIVERY_FAILED: M.RETURNING,
    M.AVAILABLE_FOR_PICKUP: M.RETURNING,
    M.DELIVERED: M.RETURNED,
}
"""What a milestone means on the way back."""


def meaning(checkpoint: Checkpoint) -> Milestone:
    """The milestone in view of the leg: a delivery on the way back is a return that arrived."""
    if checkpoint.leg is Leg.RETURN:
        return _ON_RETURN.get(checkpoint.milestone, checkpoint.milestone)
    return checkpoint.milestone
