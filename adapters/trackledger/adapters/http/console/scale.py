"""Where on the axis of a drawing does an instant lie?"""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil

from msgspec import Struct

LEAST_WIDTH = 910.0
MOST_WIDTH = 6000.0
PER_DAY = 44.0
"""Pixels of a day from which on an axis grows wider than the least."""

LONG = timedelta(days=7)
"""A stretch of time with nothing in it is drawn shorter from this length on."""

SHORTENED = timedelta(days=2)
MOST_BREAKS = 30
MARGIN = timedelta(hours=10)
DAY = timedelta(days=1)

Knot = tuple[datetime, float]


class Break(Struct, frozen=True):
    """A stretch between two places of the axis that is drawn shorter than it is."""

    left: float
    right: float
    length: timedelta


class Scale(Struct, frozen=True):
    """An axis from 0 to `width`: straight between its knots, and drawn shorter where nothing happened for long."""

    knots: tuple[Knot, ...]
    breaks: tuple[Break, ...]
    per_day: float

    @property
    def width(self) -> float:
        """The right end."""
        return self.knots[-1][1]

    def x(self, at: datetime) -> float:
        """The place of an instant; of one beyond an end, that end."""
        number = min(max(bisect_right(self.knots, at, key=lambda knot: knot[0]), 1), len(self.knots) - 1)
        (before, left), (after, right) = self.knots[number - 1], self.knots[number]
        share = min(max((at - before) / (after - before), 0.0), 1.0)
        return round(left + (right - left) * share, 1)

    def days(self, offset: timedelta, room: float) -> list[datetime]:
        """Local midnights at an offset east of UTC that have so much room between them, the same ones however far the
        axis reaches; none in stretches that are drawn shorter."""
        every = max(ceil(room / self.per_day), 1)
        found = []
        for (before, left), (after, _) in pairwise(self.knots):
            if any(one.left == left for one in self.breaks):
                continue
            local = (before + offset).replace(hour=0, minute=0, second=0, microsecond=0)
            midnight = local + DAY * (-local.toordinal() % every) - offset
            if midnight < before:
                midnight += DAY * every
            while midnight < after:
                found.append(midnight)
                midnight += DAY * every
        return found


def scale(instants: Iterable[datetime]) -> Scale:
    """An axis on which all of these instants, at least one, have their places, in whichever order they are given."""
    first, *others = sorted(set(instants))
    places = [first - MARGIN, first, *others, (others[-1] if others else first) + MARGIN]
    gaps = sorted(((after - before, before) for before, after in pairwise(places)), reverse=True)
    broken = {before for length, before in gaps[:MOST_BREAKS] if length > LONG}
    lengths = [SHORTENED if before in broken else after - before for before, after in pairwise(places)]
    days = sum(lengths, timedelta()) / DAY
    per_day = min(max(PER_DAY, LEAST_WIDTH / days), max(MOST_WIDTH / days, 0.001))
    knots: list[Knot] = [(places[0], 0.0)]
    breaks = []
    for length, (before, after) in zip(lengths, pairwise(places), strict=True):
        left = knots[-1][1]
        right = left + length / DAY * per_day
        if before in broken:
            breaks.append(Break(left, right, after - before))
        knots.append((after, right))
    return Scale(tuple(knots), tuple(breaks), per_day)
