"""How long are parcels on their way, from the first pickup to the delivery?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from trackledger.projections.cohorts import Cohort, Dimension, Group, listed, share
from trackledger.projections.percentiles import percentiles
from trackledger.projections.table import Column, Kind, Reader

Unit = Literal["hours", "days"]

PERCENTS = (50, 80, 90, 95)

COLUMNS = (
    Column("n", Kind.INTEGER, False),
    Column("missing", Kind.INTEGER, False),
    Column("missing_share", Kind.REAL, True),
    Column("unit", Kind.TEXT, False),
    *(Column(f"p{percent}", Kind.REAL, True) for percent in PERCENTS),
)

_MEASURED: Mapping[Unit, tuple[str, int]] = {"hours": ("transit_seconds", 3600), "days": ("transit_days", 1)}

Times = Sequence[int | None]
"""How many seconds, or days, deliveries took; None where that is not known."""


def times(reader: Reader, cohort: Cohort, by: Sequence[Dimension], unit: Unit) -> Mapping[Group, Times]:
    """How long the deliveries of every group took."""
    return listed(reader, cohort.where("outcome = 'delivered'"), by, _MEASURED[unit][0])


def figures(times: Times, unit: Unit) -> dict[str, Any]:
    """The figures of some deliveries."""
    counts = Counter(times)
    missing, divisor = counts.pop(None, 0), _MEASURED[unit][1]
    known = {time: n for time, n in counts.items() if time is not None}
    n = len(times) - missing
    found = zip(PERCENTS, percentiles(known, PERCENTS), strict=True)
    return {
        "n": n,
        "missing": missing,
        "missing_share": share(missing, n + missing),
        "unit": unit,
        **{f"p{percent}": None if time is None else round(time / divisor, 2) for percent, time in found},
    }
