"""How well do deliveries go, drawn, and in tables beside every drawing?"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from msgspec import Struct
from pydantic import Field

from trackledger.adapters.http.api.analytics import CohortAsked
from trackledger.adapters.http.api.services import Given
from trackledger.adapters.http.console.rendering import render, visible
from trackledger.adapters.http.console.sessions import SignedIn
from trackledger.adapters.http.figures import Wanted, figures
from trackledger.adapters.http.recent import Counted
from trackledger.projections.analytics import Question
from trackledger.projections.cohorts import Dimension, columns
from trackledger.projections.transit_times import PERCENTS

ROUTER = APIRouter()

GROUPS = 12
PERIODS = 26
"""So many carriers or lanes, and so many periods, are shown; the API tells of more."""

UNKNOWN = "not known"


class PageAsked(CohortAsked):
    """What the page may be asked."""

    over: Literal["day", "week", "month"] = Field("week", description="Shares by the periods of this length")


class Shown(Struct, frozen=True):
    """One figure of a table: its name in the rows, what it is called, and whether it is a `share`."""

    name: str
    label: str
    is_share: bool = False


class Part(Struct, frozen=True):
    """One answer: its table, `chart` as `analytics.js` draws it, and in words what is to be seen there."""

    id: str
    title: str
    by: tuple[str, ...]
    shown: tuple[Shown, ...]
    rows: Sequence[Mapping[str, Any]]
    counted: Counted
    chart: dict[str, Any]


class Section(Struct, frozen=True):
    """One question: its answers, which have one definition, and what stands out of the figures of all together."""

    id: Question
    title: str
    parts: tuple[Part, ...]
    headline: tuple[Shown, ...]

    @property
    def counted(self) -> Counted:
        """The answer that tells of all together."""
        return self.parts[0].counted


class _Share(Struct, frozen=True):
    """How one of the shares is called, and its figures."""

    title: str
    name: str
    counts: str


_SHARES: Mapping[Question, _Share] = {
    "on-time": _Share("On time", "on_time", "In time"),
    "first-attempt": _Share("Delivered at the first attempt", "first_attempt", "At the first"),
    "rto": _Share("Returned to origin", "returned", "Returned"),
}

_OF = (Shown("n", "n"), Shown("missing", "Missing"), Shown("missing_share", "Missing share", True))
_BY: Mapping[str, str] = {
    "carrier": "Carrier", "origin": "From", "destination": "To", "source": "Estimated by", "day": "Day",
    "week": "Week", "month": "Month", "days_ahead": "Days ahead",
}  # fmt: skip


@ROUTER.get("/analytics")
def analytics(request: Request, given: Given, principal: SignedIn, asked: Annotated[PageAsked, Query()]) -> Response:
    """The page."""
    cohort = asked.cohort(principal.account)
    now = given.now(asked)

    def counted(question: Question, by: tuple[Dimension, ...], limit: int = GROUPS) -> Counted:
        wanted = Wanted(question=question, cohort=cohort, by=by, limit=limit)
        return figures(given, wanted, now, asked.known_at, exactly=asked.now is not None)

    sections = (
        *(
            _shares(question, counted(question, (asked.over,), PERIODS), counted(question, ("carrier",)))
            for question in _SHARES
        ),
        _transit(counted("transit", ("lane", "carrier"))),
        _estimates(counted("edd-error", ("source",))),
    )
    charts = {part.id: part.chart for section in sections for part in section.parts if part.rows}
    return render(
        request,
        principal,
        "analytics.html",
        now=now,
        known_at=asked.known_at,
        asked=asked,
        sections=sections,
        charts=charts,
        labels=_BY,
        under_way=sections[0].counted.figures.under_way,
    )


def _shares(question: Question, over: Counted, by_carrier: Counted) -> Section:
    about = _SHARES[question]
    share = Shown(f"{about.name}_share", "Share", True)
    shown = (share, Shown(about.name, about.counts), *_OF)
    parts = []
    for counted, kind in ((over, "line"), (by_carrier, "bars")):
        rows, (by,) = counted.figures.groups, counted.figures.by
        chart = {
            "kind": kind,
            "unit": "%",
            "labels": [_name(row[by]) for row in rows],
            "series": [{"label": about.title, "values": [row[share.name] for row in rows], "notes": _notes(rows)}],
        }
        parts.append(Part(f"{question}-{by}", f"By {by}", (by,), shown, rows, counted, chart))
    return Section(question, about.title, tuple(parts), shown)


def _transit(counted: Counted) -> Section:
    rows = counted.figures.groups
    percentiles = tuple(Shown(f"p{percent}", f"{percent} % within, h") for percent in PERCENTS)
    chart = {
        "kind": "bars",
        "unit": "h",
        "labels": [f"{_name(r['origin'])} → {_name(r['destination'])}, {_name(r['carrier'])}" for r in rows],
        "series": [
            {"label": f"{percent} % within", "values": [row[f"p{percent}"] for row in rows], "notes": _notes(rows)}
            for percent in PERCENTS
        ],
    }
    by = tuple(column.name for column in columns(counted.figures.by))
    part = Part("transit-lane", "By lane and carrier", by, (*percentiles, *_OF), rows, counted, chart)
    return Section("transit", "Time in transit", (part,), part.shown)


def _estimates(counted: Counted) -> Section:
    rows = sorted(counted.figures.groups, key=lambda row: (row["source"], -row["days_ahead"]))
    days = sorted({row["days_ahead"] for row in rows}, reverse=True)
    series = []
    for source in dict.fromkeys(row["source"] for row in rows):
        found = {row["days_ahead"]: row for row in rows if row["source"] == source}
        series.append(
            {
                "label": source,
                "values": [found[day]["mean_days"] if day in found else None for day in days],
                "notes": [_note(found[day]) if day in found else "" for day in days],
            }
        )
    chart = {"kind": "line", "unit": "d", "labels": [f"{day} ahead" for day in days], "series": series}
    shown = (
        Shown("mean_days", "Mean error, d"),
        Shown("median_days", "Median error, d"),
        Shown("within_a_day_share", "Within a day", True),
        *_OF,
    )
    part = Part("edd-error-source", "By who estimated", ("source", "days_ahead"), shown, rows, counted, chart)
    return Section("edd-error", "Error of estimated delivery dates", (part,), shown)


def _name(value: Any) -> str:
    # The charts take it from a block of data, and not from the template, which would do the same.
    return UNKNOWN if value is None else str(visible(str(value)))


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [_note(row) for row in rows]


def _note(row: Mapping[str, Any]) -> str:
    return f"n {row['n']:,}, missing {row['missing']:,}"
