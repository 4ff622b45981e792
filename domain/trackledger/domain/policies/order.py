"""In which order did things happen, as far as the statements tell?"""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import RANK
from trackledger.domain.moments import Precision


def in_order(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    """By instant, then the provider's own order, then milestone rank, then identity; never by arrival.

    A day has no instant of its own. It is placed after the last scan of that day that ranks below it, so that "failed,
    on the 3rd" follows "out for delivery, on the 3rd at 10:29"; with none, at the start of the day.
    """
    statements = list(checkpoints)
    days = [c for c in statements if c.occurred.precision is Precision.DAY]
    if not days:
        return sorted(statements, key=_key)
    timed = sorted((c for c in statements if c.occurred.precision is not Precision.DAY), key=_key)
    instants = [c.occurred.at for c in timed]
    placed: list[tuple[tuple[datetime, int, int, str], Checkpoint]] = [(_key(c), c) for c in timed]
    for c in days:
        at = c.occurred.at
        rank = RANK[c.milestone]
        window = timed[bisect_left(instants, at) : bisect_left(instants, c.occurred.end)]
        after = max((t.occurred.at for t in window if RANK[t.milestone] < rank), default=at)
        placed.append(((after, c.order, rank, c.key), c))
    return [c for _, c in sorted(placed, key=lambda entry: entry[0])]


def _key(checkpoint: Checkpoint) -> tuple[datetime, int, int, str]:
    return (checkpoint.occurred.at, checkpoint.order, RANK[checkpoint.milestone], checkpoint.key)
