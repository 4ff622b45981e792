"""Which share of the journeys went well: in time, at the first attempt, without a return?"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from trackledger.projections.cohorts import Cohort, Dimension, Group, counted, share
from trackledger.projections.table import Column, Kind, Reader

Verdict = bool | None
"""Of one journey: whether it is in the share, or not; None where it should count and nobody can tell."""


class Share(Struct, frozen=True):
    """A share of the ended journeys under the condition `where`. `verdict` tells of one by the value of the column
    `of`; `name` is what those in the share are called."""

    name: str
    where: str
    of: str
    verdict: Callable[[Any], Verdict]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The figures of a group: how many count, of how many nobody can tell, and how many are in the share."""
        return (
            Column("n", Kind.INTEGER, False),
            Column("missing", Kind.INTEGER, False),
            Column("missing_share", Kind.REAL, True),
            Column(self.name, Kind.INTEGER, False),
            Column(f"{self.name}_share", Kind.REAL, True),
        )

    def counts(self, reader: Reader, cohort: Cohort, by: Sequence[Dimension]) -> dict[Group, Counter[Verdict]]:
        """How many of every group there are by verdict."""
        found: dict[Group, Counter[Verdict]] = {}
        for group, value, n in counted(reader, cohort.where(self.where), by, self.of):
            found.setdefault(group, Counter())[self.verdict(value)] += n
        return found

    def figures(self, counts: Mapping[Verdict, int]) -> dict[str, Any]:
        """The figures of so many journeys by verdict."""
        yes, missing = counts.get(True, 0), counts.get(None, 0)
        n = yes + counts.get(False, 0)
        return {
            "n": n,
            "missing": missing,
            "missing_share": share(missing, n + missing),
            self.name: yes,
            f"{self.name}_share": share(yes, n),
        }


ON_TIME = Share("on_time", "outcome = 'delivered'", "on_time", lambda on_time: on_time)

FIRST_ATTEMPT = Share(
    "first_attempt",
    "(first_attempt_ok IS NOT NULL OR outcome IN ('delivered', 'returned'))",
    "first_attempt_ok",
    lambda succeeded: succeeded,
)

RTO = Share(
    "returned",
    "outcome IN ('delivered', 'returned', 'lost', 'damaged', 'expired')",
    "outcome",
    lambda outcome: None if outcome == "expired" else outcome == "returned",
)
