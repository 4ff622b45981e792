"""In which order did things happen, as far as the statements tell?"""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from itertools import takewhile

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import RANK, Milestone
from trackledger.domain.moments import Precision
from trackledger.domain.policies.meaning import meaning

_ARRIVED_FOR_GOOD = frozenset({Milestone.DELIVERED, Milestone.RETURNED})


class InOrder(list[Checkpoint]):
    """Checkpoints that are in order already, so that several policies share one sorting."""


def in_order(checkpoints: Iterable[Checkpoint]) -> InOrder:
    """By instant, then the provider's own order, then milestone rank, then identity; never by arrival.

    The rank is that of what the milestone means on its leg, so that a failed delivery and the first scan of the way
    back, both of one instant, are read as a return and not as a return that was given up.

    A day has no instant of its own. It is placed after the last scan of that day that ranks below it, so that "failed,
    on the 3rd" follows "out for delivery, on the 3rd at 10:29"; with none, at the start of the day. Scans filed after a
    delivery of that day do not count: with "delivered, at 12:00" and a late "in transit, at 18:00", the failure still
    comes before the delivery.
    """
    if isinstance(checkpoints, InOrder):
        return checkpoints
    statements = list(checkpoints)
    days = [c for c in statements if c.occurred.precision is Precision.DAY]
    timed = sorted((c for c in statements if c.occurred.precision is not Precision.DAY), key=_key)
    if not days:
        return InOrder(timed)
    instants = [c.occurred.at for c in timed]
    before: dict[int, list[Checkpoint]] = {}
    for c in sorted(days, key=_key):
        before.setdefault(_place(c, timed, instants), []).append(c)
    result = InOrder()
    for place, scan in enumerate(timed):
        result += before.get(place, ())
        result.append(scan)
    result += before.get(len(timed), ())
    return result


def _place(day: Checkpoint, timed: list[Checkpoint], instants: list[datetime]) -> int:
    """The index in `timed` before which the day belongs."""
    rank = RANK[meaning(day)]
    first = bisect_left(instants, day.occurred.at)
    window = timed[first : bisect_left(instants, day.occurred.end)]
    candidates = takewhile(lambda c: not (RANK[meaning(c)] > rank and meaning(c) in _ARRIVED_FOR_GOOD), window)
    return first + max((n for n, c in enumerate(candidates, start=1) if RANK[meaning(c)] < rank), default=0)


def _key(checkpoint: Checkpoint) -> tuple[datetime, int, int, int, str]:
    milestone = checkpoint.milestone
    return (checkpoint.occurred.at, checkpoint.order, RANK[meaning(checkpoint)], RANK[milestone], checkpoint.key)
