"""Up to which value are so many percent of the values?"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate


def percentiles(counts: Mapping[int, int], percents: Sequence[int]) -> list[float | None]:
    """The percentiles of values that are met so often each; None of no values.

    They are exact, and between two values linear between the nearest ranks, as `percentile_cont` of PostgreSQL and the
    default of NumPy have it (Hyndman and Fan's type 7).
    """
    values = sorted(counts)
    reached = list(accumulate(counts[value] for value in values))
    if not reached:
        return [None for _ in percents]
    found: list[float | None] = []
    for percent in percents:
        rank, rest = divmod((reached[-1] - 1) * percent, 100)
        lower = values[bisect_right(reached, rank)]
        upper = values[bisect_right(reached, rank + 1)] if rest else lower
        found.append(lower + (upper - lower) * rest / 100)
    return found
