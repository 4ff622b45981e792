"""Which lists are there to be worked through?"""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Query as InQuery

from trackledger.adapters import parked, polls
from trackledger.adapters.http.api.answering import Listing
from trackledger.adapters.http.api.operations import ParkedAsked, PollsAsked, UnmappedAsked
from trackledger.adapters.http.api.queues import LateAsked, NdrAsked, StuckAsked
from trackledger.adapters.http.api.services import Given
from trackledger.adapters.http.api.shipments import ShipmentsAsked
from trackledger.adapters.http.console.columns import (
    LATE,
    NDR,
    PARKED,
    POLLS,
    SHIPMENTS,
    STUCK,
    UNMAPPED,
    WILL_BE_LATE,
)
from trackledger.adapters.http.console.queueing import Downloadable, shown
from trackledger.adapters.http.console.sessions import SignedIn
from trackledger.projections import delivery_dates, ndr, seeking, shipments, silence, timeline

ROUTER = APIRouter()


class Shipments(ShipmentsAsked, Downloadable):
    """Which shipments."""


class Ndr(NdrAsked, Downloadable):
    """Which failed deliveries."""


class Stuck(StuckAsked, Downloadable):
    """Which of those that are stuck."""


class Late(LateAsked, Downloadable):
    """Which of those that are late, or will be."""


class Parked(ParkedAsked, Downloadable):
    """Which messages."""


class Unmapped(UnmappedAsked, Downloadable):
    """Which statuses."""


class Polls(PollsAsked, Downloadable):
    """Which trackers."""


@ROUTER.get("/shipments")
def list_shipments(
    request: Request, given: Given, principal: SignedIn, asked: Annotated[Shipments, InQuery()]
) -> Response:
    """Shipments by every filter."""
    order, account = seeking.ORDERS[asked.sort], principal.account
    listing = Listing("shipments", shipments.TABLE.columns, order)
    return shown(
        request,
        given,
        principal,
        asked,
        SHIPMENTS,
        listing,
        lambda store, now, limit, after: seeking.page(store, asked.sought(account, now), order, limit, after),
        q=asked.q or "",
    )


@ROUTER.get("/ndr")
def list_failed_deliveries(
    request: Request, given: Given, principal: SignedIn, asked: Annotated[Ndr, InQuery()]
) -> Response:
    """Failed deliveries."""
    sought, order = asked.sought(principal.account), asked.order
    return shown(
        request,
        given,
        principal,
        asked,
        NDR,
        Listing("failed-deliveries", ndr.COLUMNS, order),
        lambda store, now, limit, after: ndr.page(store, sought, now, order, limit, after),
    )


@ROUTER.get("/stuck")
def list_stuck(request: Request, given: Given, principal: SignedIn, asked: Annotated[Stuck, InQuery()]) -> Response:
    """Shipments that are stuck."""
    sought, order = asked.sought(principal.account), silence.ORDERS[asked.sort]
    return shown(
        request,
        given,
        principal,
        asked,
        STUCK,
        Listing("stuck", silence.COLUMNS, order),
        lambda store, now, limit, after: silence.page(store, sought, now, order, limit, after),
    )


@ROUTER.get("/late")
def list_late(request: Request, given: Given, principal: SignedIn, asked: Annotated[Late, InQuery()]) -> Response:
    """Shipments that are late."""
    sought, order = asked.sought(principal.account), delivery_dates.ORDERS[asked.sort]
    return shown(
        request,
        given,
        principal,
        asked,
        LATE,
        Listing("late", delivery_dates.COLUMNS, order),
        lambda store, now, limit, after: delivery_dates.late(store, sought, now, order, limit, after),
    )


@ROUTER.get("/will-be-late")
def list_will_be_late(
    request: Request, given: Given, principal: SignedIn, asked: Annotated[Late, InQuery()]
) -> Response:
    """Shipments that will be late."""
    sought, order = asked.sought(principal.account), delivery_dates.ORDERS[asked.sort]
    return shown(
        request,
        given,
        principal,
        asked,
        WILL_BE_LATE,
        Listing("will-be-late", delivery_dates.COLUMNS, order),
        lambda store, now, limit, after: delivery_dates.will_be_late(store, sought, now, order, limit, after),
    )


@ROUTER.get("/parked")
def list_parked(request: Request, given: Given, principal: SignedIn, asked: Annotated[Parked, InQuery()]) -> Response:
    """Messages that nobody could read."""
    sought = asked.sought(principal.account)
    return shown(
        request,
        given,
        principal,
        asked,
        PARKED,
        Listing("parked", parked.COLUMNS, parked.BY_ARRIVAL),
        lambda store, now, limit, after: parked.listed(store, sought, limit, after),
    )


@ROUTER.get("/unmapped")
def list_unmapped(
    request: Request, given: Given, principal: SignedIn, asked: Annotated[Unmapped, InQuery()]
) -> Response:
    """Statuses that no mapping knows."""
    return shown(
        request,
        given,
        principal,
        asked,
        UNMAPPED,
        Listing("unmapped", timeline.UNMAPPED_COLUMNS, timeline.BY_COUNT),
        lambda store, now, limit, after: timeline.unmapped_of(store, principal.account, asked.provider, limit, after),
    )


@ROUTER.get("/polls")
def list_polls(request: Request, given: Given, principal: SignedIn, asked: Annotated[Polls, InQuery()]) -> Response:
    """Trackers that are asked about."""
    sought = asked.sought(principal.account)
    return shown(
        request,
        given,
        principal,
        asked,
        POLLS,
        Listing("polls", polls.COLUMNS, polls.in_turn(sought)),
        lambda store, now, limit, after: polls.listed(store, sought, now, limit, after),
    )
