"""Which shipments need somebody: whose delivery failed, who is stuck, late, or will be late?"""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from trackledger.adapters.http.api.answering import Listing, Question, describe_list, listed
from trackledger.adapters.http.api.asking import Instant, Listed, Word
from trackledger.adapters.http.api.services import Given, Reading, caught_up
from trackledger.adapters.http.problems import Problem
from trackledger.domain.milestones import NdrReason, Party
from trackledger.domain.policies.attempts import CaseState
from trackledger.domain.policies.silence import StuckKind
from trackledger.projections import delivery_dates, ndr, silence
from trackledger.projections.pages import Order, Page

ROUTER = APIRouter(tags=["queues"], dependencies=[Depends(caught_up)])


class NdrAsked(Listed):
    """Which failed-delivery cases, and in which order."""

    state: CaseState | None = Field(None, description="Without it, those that are not closed")
    reason: NdrReason | None = None
    party: Party | None = Field(None, description="Who has to act")
    carrier: Word | None = None
    provider: Word | None = None
    overdue: bool | None = Field(None, description="Whether the time to act is over, as of now")
    act_by_from: Instant | None = None
    act_by_before: Instant | None = None
    sort: Literal["act_by", "last_attempt_at", "-last_attempt_at"] | None = Field(
        None,
        description="act_by, of closed ones -last_attempt_at; those without a time to act stand at the end",
    )

    @property
    def order(self) -> Order:
        """What `sort` comes to. Raises `Problem`."""
        if self.state is not CaseState.CLOSED:
            return ndr.ORDERS[self.sort or "act_by"]
        if self.sort == "act_by":
            raise Problem(422, "closed cases have no act_by; sort them by last_attempt_at", parameter="sort")
        return ndr.ORDERS[self.sort or "-last_attempt_at"]

    def question(self, account: str) -> Question:
        """What is asked, of one account. Raises `Problem`."""
        order = self.order
        sought = ndr.Sought(
            account=account,
            state=self.state,
            reason=self.reason,
            party=self.party,
            carrier=self.carrier,
            provider=self.provider,
            overdue=self.overdue,
            act_by_from=self.act_by_from,
            act_by_before=self.act_by_before,
        )
        return (
            Listing("failed-deliveries", ndr.COLUMNS, order),
            lambda store, now, limit, after: ndr.page(store, sought, now, order, limit, after),
        )


@ROUTER.get("/ndr", responses=describe_list(ndr.COLUMNS))
def list_failed_deliveries(
    request: Request, given: Given, principal: Reading, asked: Annotated[NdrAsked, Query()]
) -> Response:
    """Failed deliveries on which somebody has to act, the most urgent first unless sorted otherwise."""
    return listed(request, given, asked, *asked.question(principal.account))


class StuckAsked(Listed):
    """Which of those that are stuck, and in which order."""

    kind: StuckKind | None = None
    carrier: Word | None = None
    provider: Word | None = None
    provider_says_stuck: bool | None = None
    sort: Literal["stuck_after", "-stuck_after"] = "stuck_after"

    def question(self, account: str) -> Question:
        """What is asked, of one account."""
        order = silence.ORDERS[self.sort]
        sought = silence.Sought(
            account=account,
            kind=self.kind,
            carrier=self.carrier,
            provider=self.provider,
            provider_says_stuck=self.provider_says_stuck,
        )
        return (
            Listing("stuck", silence.COLUMNS, order),
            lambda store, now, limit, after: silence.page(store, sought, now, order, limit, after),
        )


@ROUTER.get("/stuck", responses=describe_list(silence.COLUMNS))
def list_stuck(request: Request, given: Given, principal: Reading, asked: Annotated[StuckAsked, Query()]) -> Response:
    """Shipments that have been quiet for too long as of now, the longest first unless sorted otherwise."""
    return listed(request, given, asked, *asked.question(principal.account))


class LateAsked(Listed):
    """Which of those that are late, or will be, and in which order."""

    carrier: Word | None = None
    provider: Word | None = None
    baseline: Literal["promised", "original"] | None = Field(None, description="What they are measured against")
    promised_from: Instant | None = Field(None, description="Late from this instant on, or a later one")
    promised_before: Instant | None = None
    sort: Literal["promised_by", "-promised_by"] = "promised_by"

    def late(self, account: str) -> Question:
        """Those that are late, of one account."""
        return self._of("late", delivery_dates.late, account)

    def will_be_late(self, account: str) -> Question:
        """Those that will be, of one account."""
        return self._of("will-be-late", delivery_dates.will_be_late, account)

    def _of(self, name: str, page: Callable[..., Page], account: str) -> Question:
        order = delivery_dates.ORDERS[self.sort]
        sought = delivery_dates.Sought(
            account=account,
            carrier=self.carrier,
            provider=self.provider,
            baseline=self.baseline,
            promised_from=self.promised_from,
            promised_before=self.promised_before,
        )
        return (
            Listing(name, delivery_dates.COLUMNS, order),
            lambda store, now, limit, after: page(store, sought, now, order, limit, after),
        )


@ROUTER.get("/late", responses=describe_list(delivery_dates.COLUMNS))
def list_late(request: Request, given: Given, principal: Reading, asked: Annotated[LateAsked, Query()]) -> Response:
    """Open shipments that are past the day they are measured against, the longest first unless sorted otherwise."""
    return listed(request, given, asked, *asked.late(principal.account))


@ROUTER.get("/will-be-late", responses=describe_list(delivery_dates.COLUMNS))
def list_will_be_late(
    request: Request, given: Given, principal: Reading, asked: Annotated[LateAsked, Query()]
) -> Response:
    """Open shipments that are not late as of now, and are expected after the day that they are measured against."""
    return listed(request, given, asked, *asked.will_be_late(principal.account))
