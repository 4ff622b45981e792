"""How far from the delivery were the estimates that were stated some days ahead of it?"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from trackledger.projections.cohorts import Cohort, Dimension, Group, columns, counted, share
from trackledger.projections.percentiles import percentiles
from trackledger.projections.table import Column, Kind, Reader

DAYS_AHEAD = 14
"""Estimates that were stated up to so many local days before the delivery count."""

COLUMNS = (
    Column("n", Kind.INTEGER, False),
    Column("missing", Kind.INTEGER, False),
    Column("missing_share", Kind.REAL, True),
    Column("mean_days", Kind.REAL, True),
    Column("median_days", Kind.REAL, True),
    Column("within_a_day", Kind.INTEGER, False),
    Column("within_a_day_share", Kind.REAL, True),
)

_estimates = msgspec.json.Decoder(list[tuple[str, int, int]]).decode


class Errors:
    """How far off estimates were. `off` has how many were so many days off; `heard_of` is for how many deliveries one
    was stated."""

    def __init__(self) -> None:
        self.off: Counter[int] = Counter()
        self.heard_of = 0

    def figures(self, deliveries: int) -> dict[str, Any]:
        """The figures, of so many deliveries."""
        n = self.off.total()
        missing, within = deliveries - self.heard_of, sum(self.off[days] for days in (-1, 0, 1))
        (median,) = percentiles(self.off, (50,))
        return {
            "n": n,
            "missing": missing,
            "missing_share": share(missing, deliveries),
            "mean_days": round(sum(days * times for days, times in self.off.items()) / n, 2) + 0.0 if n else None,
            "median_days": median,
            "within_a_day": within,
            "within_a_day_share": share(within, n),
        }


class Found(Struct, frozen=True):
    """The errors of all estimates together and of every group by days ahead, and how many deliveries there are, also by
    group, but whoever stated an estimate for them."""

    overall: Errors
    groups: dict[Group, dict[int, Errors]]
    deliveries: Counter[Group]


def errors(reader: Reader, cohort: Cohort, by: Sequence[Dimension]) -> Found:
    """The errors of the estimates for the deliveries of a cohort."""
    overall, groups, deliveries = Errors(), dict[Group, dict[int, Errors]](), Counter[Group]()
    of_deliveries = [one for one in by if one != "source"]
    place = next((n for n, column in enumerate(columns(by)) if column.name == "source"), None)
    where = cohort.where("outcome = 'delivered'")
    for group, estimated, n in counted(reader, where, of_deliveries, "estimated"):
        deliveries[group] += n
        heard = set()
        for source, ahead, off in _estimates(estimated or "[]"):
            if ahead <= DAYS_AHEAD:
                of_source = group if place is None else (*group[:place], source, *group[place:])
                about = groups.setdefault(of_source, {}).setdefault(ahead, Errors())
                for one in (overall, about):
                    one.off[off] += n
                heard |= {overall, about}
        for one in heard:
            one.heard_of += n
    return Found(overall, groups, deliveries)


def whose(group: Group, by: Sequence[Dimension]) -> Group:
    """The group of the deliveries, without who stated the estimates."""
    return tuple(value for column, value in zip(columns(by), group, strict=True) if column.name != "source")
