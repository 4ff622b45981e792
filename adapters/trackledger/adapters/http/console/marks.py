"""Which mark stands for which checkpoint, how high, and in which shape and colour?"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from trackledger.adapters.http.console.scale import Scale
from trackledger.domain.milestones import Milestone

M = Milestone

LEVELS: Mapping[str, frozenset[Milestone]] = {
    "ended": frozenset({M.DELIVERED, M.RETURNED, M.LOST, M.DAMAGED, M.CANCELLED, M.EXPIRED}),
    "at the door": frozenset({M.OUT_FOR_DELIVERY, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP}),
    "on the way": frozenset(
        {M.PICKED_UP, M.IN_TRANSIT, M.ARRIVED, M.CUSTOMS, M.ON_HOLD, M.DELAYED, M.EXCEPTION, M.RETURNING}
    ),
    "announced": frozenset(
        {M.INFO_RECEIVED, M.PICKUP_SCHEDULED, M.OUT_FOR_PICKUP, M.PICKUP_FAILED, M.RETURN_REQUESTED}
    ),
    "unknown": frozenset({M.UNKNOWN}),
}
"""How far a parcel is, the farthest first."""

TONES: Mapping[str, frozenset[Milestone]] = {
    "bad": frozenset({M.DELIVERY_FAILED, M.PICKUP_FAILED, M.LOST, M.DAMAGED, M.EXCEPTION}),
    "unknown": frozenset({M.UNKNOWN}),
    "warn": frozenset({M.ON_HOLD, M.DELAYED, M.CUSTOMS, M.CANCELLED, M.EXPIRED}),
    "back": frozenset({M.RETURN_REQUESTED, M.RETURNING, M.RETURNED}),
    "good": frozenset({M.DELIVERED}),
    "door": frozenset({M.OUT_FOR_DELIVERY, M.AVAILABLE_FOR_PICKUP}),
    "moving": frozenset({M.PICKED_UP, M.IN_TRANSIT, M.ARRIVED}),
}
"""In which colour a milestone is drawn, the most notable first; the others are `calm`."""

MARK = 16.0
"""Room that a mark takes; checkpoints of one lane and level that are nearer to each other than that share one."""

MOST_NAMED = 8
"""Checkpoints that a shared mark names."""

_LEVEL_OF = {milestone.value: name for name, milestones in LEVELS.items() for milestone in milestones}
_TONE_OF = {milestone.value: name for name, milestones in TONES.items() for milestone in milestones}


class Point(Struct, frozen=True, kw_only=True):
    """One checkpoint to be drawn; `row` identifies it and `says` tells of it in a line. `until` is the end of the day
    where only that is known."""

    row: str
    at: datetime
    until: datetime | None = None
    provider: str
    channel: str
    milestone: str
    says: str
    by_hand: bool = False
    amended: bool = False
    withdrawn: bool = False


class Mark(Struct, frozen=True):
    """A mark at a place: `shape` is `poll`, `webhook`, `hand` or `several`. `rows` are the checkpoints that it stands
    for, `whole_day` reaches to the end of a day of which no time is known."""

    x: float
    y: float
    shape: str
    tone: str
    says: str
    rows: tuple[str, ...]
    state: tuple[str, ...] = ()
    whole_day: float | None = None


def tone(milestone: str) -> str:
    """The colour of a milestone."""
    return _TONE_OF.get(milestone, "calm")


def level(milestone: str) -> str:
    """How far a parcel is by a milestone."""
    return _LEVEL_OF.get(milestone, "unknown")


def marks(points: Sequence[Point], axis: Scale, heights: Mapping[str, float]) -> Iterable[Mark]:
    """The marks of one lane, at the heights of its levels."""
    for name, y in heights.items():
        together: list[Point] = []
        for one in (one for one in points if level(one.milestone) == name):
            if together and axis.x(one.at) - axis.x(together[0].at) >= MARK:
                yield _mark(together, axis, y)
                together = []
            together.append(one)
        if together:
            yield _mark(together, axis, y)


def _mark(together: Sequence[Point], axis: Scale, y: float) -> Mark:
    first = together[0]
    states = [
        *(["withdrawn"] if all(one.withdrawn for one in together) else []),
        *(["amended"] if any(one.amended or one.by_hand for one in together) else []),
    ]
    rows = tuple(one.row for one in together)
    if len(together) == 1:
        shape = "hand" if first.by_hand else first.channel
        day = axis.x(first.until) if first.until else None
        return Mark(axis.x(first.at), y, shape, tone(first.milestone), first.says, rows, tuple(states), day)
    tones = {tone(one.milestone) for one in together if not one.withdrawn} or {"calm"}
    worst = next((name for name in TONES if name in tones), "calm")
    named = "\n".join(one.says for one in together[:MOST_NAMED])
    more = f"\nand {len(together) - MOST_NAMED} more" if len(together) > MOST_NAMED else ""
    # At the first, so that it stays clear of the mark that follows.
    return Mark(axis.x(first.at), y, "several", worst, named + more, rows, tuple(states))


def path(points: Iterable[Point], axis: Scale, heights: Mapping[str, float]) -> str:
    """How far the parcel was at which time, as steps; what is withdrawn or unknown moves nothing."""
    steps = ""
    for one in points:
        if one.withdrawn or one.milestone == M.UNKNOWN:
            continue
        x, y = axis.x(one.at), heights[level(one.milestone)]
        steps += f"H{x:g}V{y:g}" if steps else f"M{x:g} {y:g}"
    return steps if "H" in steps else ""
