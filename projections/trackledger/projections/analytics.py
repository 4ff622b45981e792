"""How well do deliveries go, and over how many is each figure?

Every question has its definition, which goes with the answer: what counts, what does not, and what is missing. All are
about journeys to a consignee; pickups from one, and shipments whose parcels are shipments of their own, are left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Literal, get_args

from msgspec import Struct

from trackledger.projections import estimate_errors, shares, transit_times
from trackledger.projections.cohorts import Cohort, Dimension, Group, columns, largest, under_way
from trackledger.projections.shares import Share, Verdict
from trackledger.projections.table import Column, Kind, Reader
from trackledger.projections.transit_times import Unit

Question = Literal["on-time", "transit", "first-attempt", "rto", "edd-error"]
QUESTIONS: tuple[Question, ...] = get_args(Question)

_SHARES: Mapping[str, Share] = {
    "on-time": shares.ON_TIME,
    "first-attempt": shares.FIRST_ATTEMPT,
    "rto": shares.RTO,
}

BY: Mapping[Question, tuple[Dimension, ...]] = {
    "on-time": ("carrier",),
    "transit": ("lane", "carrier"),
    "first-attempt": ("carrier",),
    "rto": ("carrier",),
    "edd-error": ("source",),
}
"""By what a question is grouped unless it says so itself."""

DEFINITIONS: Mapping[Question, str] = {
    "on-time": (
        "The share of deliveries that came before their date had passed, by the local day of the delivery. The date is "
        "the promise, else the first estimate; one of a whole day lasts until its local midnight. n: delivered "
        "shipments with a date. missing: delivered shipments for which nobody named one. Not counted: what was not "
        "delivered, however late it is."
    ),
    "transit": (
        "The time from the first pickup to the delivery, by the local day of the delivery: percentiles, linear between "
        "the nearest ranks. In hours: deliveries of which both are told to the second; in days: from local day to "
        "local day. n: delivered shipments with such a time. missing: delivered shipments without, as the pickup was "
        "not told, or only a day, or a time after the delivery. The lane is from origin to destination as a provider "
        "states them, else from the place of the first scan to that of the last, differing only beyond case and blanks."
    ),
    "first-attempt": (
        "The share of ended shipments that were delivered at the first attempt, with no failed one, by the local day "
        "on which they ended. n: ended shipments that were attempted, including those that the carrier says it did "
        "not attempt after all. missing: delivered or returned shipments of which no attempt was told. Not counted: "
        "what is still under way, and what ended otherwise before it was attempted."
    ),
    "rto": (
        "The share of ended shipments that were returned to their origin without having been delivered, by the local "
        "day on which they ended. n: shipments that were delivered, returned, lost or damaged. missing: expired ones, "
        "of which nobody said how they ended. Not counted: cancelled ones, and what is still under way, also on its "
        "way back. What a consignee sends back after the delivery is no return to origin."
    ),
    "edd-error": (
        "The local day of the delivery minus the last day of an estimate, in days, negative where it came earlier; for "
        f"each estimate that was stated 0 to {estimate_errors.DAYS_AHEAD} local days before the delivery, by the local "
        "day of the delivery. n: estimates. missing: deliveries for which none was stated that many days ahead, as a "
        "share of the deliveries. Not counted: repetitions of an estimate that stood already, those stated later than "
        "the delivery or earlier than that, and shipments that were not delivered."
    ),
}


class Figures(Struct, frozen=True):
    """The answer to a question: the figures of all journeys together, and of every group; `left_out` are further groups
    of which none are shown. `under_way` are attempted shipments that have not ended and are in no figure; they belong
    to no period."""

    question: Question
    definition: str
    by: tuple[Dimension, ...]
    overall: dict[str, Any]
    groups: list[dict[str, Any]]
    left_out: int
    under_way: int


def figure_columns(question: Question, by: Sequence[Dimension]) -> tuple[Column, ...]:
    """The columns of the rows in `groups`."""
    which = columns(by)
    if question == "edd-error":
        return (*which, Column("days_ahead", Kind.INTEGER, False), *estimate_errors.COLUMNS)
    return (*which, *(transit_times.COLUMNS if question == "transit" else _SHARES[question].columns))


def ask(
    reader: Reader, question: Question, cohort: Cohort, by: Sequence[Dimension], limit: int, unit: Unit = "hours"
) -> Figures:
    """The answer to a question about a cohort, with up to `limit` groups: the largest, or by periods the latest."""
    if question == "edd-error":
        overall, groups, left_out = _estimate_errors(reader, cohort, by, limit)
    elif question == "transit":
        overall, groups, left_out = _transit(reader, cohort, by, limit, unit)
    else:
        overall, groups, left_out = _share(reader, _SHARES[question], cohort, by, limit)
    return Figures(question, DEFINITIONS[question], tuple(by), overall, groups, left_out, under_way(reader, cohort))


_Answer = tuple[dict[str, Any], list[dict[str, Any]], int]


def _share(reader: Reader, one: Share, cohort: Cohort, by: Sequence[Dimension], limit: int) -> _Answer:
    counts = one.counts(reader, cohort, by)
    shown, left_out = largest({group: found.total() for group, found in counts.items()}, by, limit)
    overall = sum(counts.values(), Counter[Verdict]())
    return one.figures(overall), [_named(by, group) | one.figures(counts[group]) for group in shown], left_out


def _transit(reader: Reader, cohort: Cohort, by: Sequence[Dimension], limit: int, unit: Unit) -> _Answer:
    times = transit_times.times(reader, cohort, by, unit)
    shown, left_out = largest({group: len(some) for group, some in times.items()}, by, limit)
    groups = [_named(by, group) | transit_times.figures(times[group], unit) for group in shown]
    return transit_times.figures(list(chain.from_iterable(times.values())), unit), groups, left_out


def _estimate_errors(reader: Reader, cohort: Cohort, by: Sequence[Dimension], limit: int) -> _Answer:
    found = estimate_errors.errors(reader, cohort, by)
    sizes = {group: sum(errors.off.total() for errors in ahead.values()) for group, ahead in found.groups.items()}
    shown, left_out = largest(sizes, by, limit)
    groups = [
        _named(by, group) | {"days_ahead": days} | errors.figures(found.deliveries[estimate_errors.whose(group, by)])
        for group in shown
        for days, errors in sorted(found.groups[group].items())
    ]
    return found.overall.figures(found.deliveries.total()), groups, left_out


def _named(by: Sequence[Dimension], group: Group) -> dict[str, Any]:
    return {column.name: value for column, value in zip(columns(by), group, strict=True)}
