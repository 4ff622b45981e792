"""Which shipments are there?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from trackledger.adapters.http.api.answering import Listing, Question, describe_list, listed
from trackledger.adapters.http.api.asking import Day, Instant, Listed, Number, Word
from trackledger.adapters.http.api.services import Given, Reading, caught_up
from trackledger.domain.milestones import Leg, Milestone
from trackledger.domain.policies.silence import StuckKind
from trackledger.projections import seeking, shipments
from trackledger.projections.pages import Page
from trackledger.projections.seeking import NdrState, Sought
from trackledger.projections.table import Reader

ROUTER = APIRouter(tags=["shipments"], dependencies=[Depends(caught_up)])


class ShipmentsAsked(Listed):
    """Which shipments, and in which order. All that is given applies."""

    account: Word | None = Field(None, description="The token's own; there are none of another for it")
    milestone: list[Milestone] = Field([], max_length=len(Milestone), description="One of these")
    is_final: bool | None = Field(None, description="Whether its journey has ended")
    carrier: Word | None = None
    provider: Word | None = Field(None, description="Who told of the milestone")
    leg: Leg | None = None
    service: Word | None = None
    reference: Word | None = Field(None, description="The host's own")
    order_id: Word | None = None
    tracking_number: Word | None = None
    q: Annotated[Number, Field(pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")] | None = Field(
        None,
        description="A shipment id, reference, order id or tracking number, also of one of its trackers, or what one "
        "begins with; as written, in capitals, and without blanks and dashes",
    )
    ndr: NdrState | None = Field(None, description="State of its failed deliveries; `none`: there is none")
    stuck: bool | None = Field(None, description="Whether it has been quiet for too long as of `now`")
    stuck_kind: StuckKind | None = Field(None, description="Only those that are stuck in this way")
    late: bool | None = Field(None, description="Whether it is open past its date as of `now`")
    heard_from: Instant | None = Field(None, description="Last heard of then or later")
    heard_before: Instant | None = Field(None, description="Last heard of before")
    since_from: Instant | None = Field(None, description="At its milestone since then, or later")
    since_before: Instant | None = Field(None, description="At its milestone since before")
    opened_from: Instant | None = Field(None, description="Opened then or later")
    opened_before: Instant | None = Field(None, description="Opened before")
    edd_from: Day | None = Field(None, description="Expected on this day or later, by the current estimate")
    edd_to: Day | None = Field(None, description="Expected on this day or earlier, by the current estimate")
    sort: Literal["shipment_id", "-shipment_id", "last_heard_at", "-last_heard_at", "since", "-since"] = Field(
        "shipment_id", description="A minus stands for descending; those of which it is not known come last"
    )

    def question(self, account: str) -> Question:
        """What is asked, of one account."""
        order = seeking.ORDERS[self.sort]
        shared = {*Listed.model_fields, "account", "milestone", "sort"}
        given = {name: getattr(self, name) for name in ShipmentsAsked.model_fields if name not in shared}

        def query(store: Reader, now: datetime, limit: int, after: Sequence[Any] | None) -> Page:
            if self.account not in (None, account):
                return Page([], None)
            sought = Sought(account=account, now=now, milestones=tuple(self.milestone), **given)
            return seeking.page(store, sought, order, limit, after)

        return Listing("shipments", shipments.TABLE.columns, order), query


@ROUTER.get("/shipments", responses=describe_list(shipments.TABLE.columns))
def list_shipments(
    request: Request, given: Given, principal: Reading, asked: Annotated[ShipmentsAsked, Query()]
) -> Response:
    """Shipments, by their ids unless sorted otherwise."""
    return listed(request, given, asked, *asked.question(principal.account))
