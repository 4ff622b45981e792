"""How well do deliveries go?

Figures are counted from the tables, and those of the last minute may be given again: `as_of` and `consistent_with` say
of when they are. Where `now`, or a position to wait for, is named, they are of that.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec.structs import asdict
from pydantic import Field

from trackledger.adapters.http.api.answering import (
    AS_OF,
    accepted,
    also_as_rows,
    describe,
    describe_one,
    item_schema,
    json,
    table,
)
from trackledger.adapters.http.api.asking import Asked, Day, Word
from trackledger.adapters.http.api.services import Given, Reading, Services, caught_up
from trackledger.adapters.http.figures import Wanted, figures
from trackledger.adapters.http.principals import Principal
from trackledger.adapters.http.problems import Problem
from trackledger.adapters.http.recent import Counted
from trackledger.projections.analytics import BY, DEFINITIONS, QUESTIONS, Question, figure_columns
from trackledger.projections.cohorts import Cohort, Dimension, columns
from trackledger.projections.transit_times import Unit

ROUTER = APIRouter(tags=["analytics"], dependencies=[Depends(caught_up)])

MAX_GROUPS = 1_000

OfDeliveries = Literal["carrier", "provider", "lane", "day", "week", "month"]


class CohortAsked(Asked):
    """Which journeys: those that ended in a period, by local days, of a carrier, told of by a provider."""

    first: Day | None = Field(None, alias="from", description="The first local day of deliveries, or other ends")
    last: Day | None = Field(None, alias="to", description="The last one, inclusive")
    carrier: Word | None = None
    provider: Word | None = None
    limit: int = Field(100, ge=1, le=MAX_GROUPS, description="Groups: the largest, or by periods the latest")

    def cohort(self, account: str) -> Cohort:
        """The cohort. Raises `Problem` for a period that ends before it begins."""
        if self.first and self.last and self.first > self.last:
            raise Problem(422, f"from is {self.first}, after to, {self.last}; exchange them", parameter="from")
        return Cohort(account=account, first=self.first, last=self.last, carrier=self.carrier, provider=self.provider)


class SharesAsked(CohortAsked):
    """By what a share is grouped."""

    by: list[OfDeliveries] = Field([], max_length=2, description="Group by these, in this order; else by carrier")


class TransitAsked(CohortAsked):
    """By what times are grouped, and in what they are told."""

    by: list[OfDeliveries] = Field([], max_length=2, description="Group by these; else by lane and carrier")
    unit: Unit = Field("hours", description="Hours between two instants, or days between two local days")


class EstimatesAsked(CohortAsked):
    """By what errors are grouped, beside the days ahead; a source is who stated the estimate."""

    by: list[Dimension] = Field([], max_length=2, description="Group by these; else by source")


def _described(question: Question) -> dict[int | str, Any]:
    every = figure_columns(question, ())
    group = item_schema(every)
    names: tuple[Dimension, ...] = ("carrier", "provider", "lane", "source", "day", "week", "month")
    group["properties"] |= item_schema(columns(names))["properties"]
    overall = item_schema([column for column in every if column.name != "days_ahead"])
    return also_as_rows(describe_one(_body(overall, group), refusals=(406,)))


def _body(overall: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    count = {"type": "integer"}
    return {
        "question": {"enum": list(QUESTIONS)},
        "definition": {"type": "string", "description": "What counts, what does not, and what is missing"},
        "by": {"type": "array", "items": {"type": "string"}},
        "overall": overall,
        "groups": {"type": "array", "items": group},
        "left_out": count | {"description": "Groups that are not shown"},
        "under_way": count | {"description": "Attempted shipments that have not ended, and are in no figure"},
    }


_ANY = {"type": "object"}

_ALL = describe(
    {
        "type": "object",
        "required": ["answers", *AS_OF],
        "properties": {
            "answers": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": [*_body(_ANY, _ANY), *AS_OF],
                    "properties": {**_body(_ANY, _ANY), **AS_OF},
                },
            },
            **AS_OF,
        },
    }
)


@ROUTER.get("/analytics", responses=_ALL)
def all_figures(given: Given, principal: Reading, asked: Annotated[CohortAsked, Query()]) -> Response:
    """Every question, each grouped as it is by itself."""
    found = [_counted(given, principal, asked, question, BY[question]) for question in QUESTIONS]
    oldest = min(found, key=lambda counted: counted.position)
    answers = [{**asdict(counted.figures), **_about(counted, asked)} for counted in found]
    return json({"answers": answers, **_about(oldest, asked)})


@ROUTER.get("/analytics/on-time", responses=_described("on-time"), description=DEFINITIONS["on-time"])
def on_time(request: Request, given: Given, principal: Reading, asked: Annotated[SharesAsked, Query()]) -> Response:
    """Which share of deliveries came in time?"""
    return _answered(request, given, principal, asked, "on-time", tuple(asked.by))


@ROUTER.get("/analytics/transit", responses=_described("transit"), description=DEFINITIONS["transit"])
def transit(request: Request, given: Given, principal: Reading, asked: Annotated[TransitAsked, Query()]) -> Response:
    """How long are parcels on their way?"""
    return _answered(request, given, principal, asked, "transit", tuple(asked.by), asked.unit)


@ROUTER.get("/analytics/first-attempt", responses=_described("first-attempt"), description=DEFINITIONS["first-attempt"])
def first_attempt(
    request: Request, given: Given, principal: Reading, asked: Annotated[SharesAsked, Query()]
) -> Response:
    """Which share was delivered at the first attempt?"""
    return _answered(request, given, principal, asked, "first-attempt", tuple(asked.by))


@ROUTER.get("/analytics/rto", responses=_described("rto"), description=DEFINITIONS["rto"])
def rto(request: Request, given: Given, principal: Reading, asked: Annotated[SharesAsked, Query()]) -> Response:
    """Which share was returned to its origin?"""
    return _answered(request, given, principal, asked, "rto", tuple(asked.by))


@ROUTER.get("/analytics/edd-error", responses=_described("edd-error"), description=DEFINITIONS["edd-error"])
def edd_error(
    request: Request, given: Given, principal: Reading, asked: Annotated[EstimatesAsked, Query()]
) -> Response:
    """How far off were the estimates, by days ahead?"""
    return _answered(request, given, principal, asked, "edd-error", tuple(asked.by))


def _answered(
    request: Request,
    given: Services,
    principal: Principal,
    asked: CohortAsked,
    question: Question,
    by: tuple[Dimension, ...],
    unit: Unit = "hours",
) -> Response:
    media_type = accepted(request)
    by = tuple(dict.fromkeys(by)) or BY[question]
    counted = _counted(given, principal, asked, question, by, unit)
    if media_type == "application/json":
        return json({**asdict(counted.figures), **_about(counted, asked)})
    return table(
        media_type,
        question,
        figure_columns(question, by),
        counted.figures.groups,
        counted.as_of,
        counted.position,
    )


def _counted(
    given: Services,
    principal: Principal,
    asked: CohortAsked,
    question: Question,
    by: tuple[Dimension, ...],
    unit: Unit = "hours",
) -> Counted:
    wanted = Wanted(question=question, cohort=asked.cohort(principal.account), by=by, limit=asked.limit, unit=unit)
    return figures(
        given,
        wanted,
        given.now(asked),
        asked.known_at,
        at_least=int(asked.wait_for or 0),
        exactly=asked.now is not None,
    )


def _about(counted: Counted, asked: CohortAsked) -> dict[str, Any]:
    return {"as_of": counted.as_of, "known_at": asked.known_at, "consistent_with": str(counted.position)}
