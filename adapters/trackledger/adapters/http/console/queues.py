"""Which lists are there to be worked through?"""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Query as InQuery

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
    return shown(request, given, principal, asked, SHIPMENTS, *asked.question(principal.account), q=asked.q or "")


@ROUTER.get("/ndr")
def list_failed_deliveries(
    request: Request, given: Given, principal: SignedIn, asked: Annotated[Ndr, InQuery()]
) -> Response:
    """Failed deliveries."""
    return shown(request, given, principal, asked, NDR, *asked.question(principal.account))


@ROUTER.get("/stuck")
def list_stuck(request: Request, given: Given, principal: SignedIn, asked: Annotated[Stuck, InQuery()]) -> Response:
    """Shipments that are stuck."""
    return shown(request, given, principal, asked, STUCK, *asked.question(principal.account))


@ROUTER.get("/late")
def list_late(request: Request, given: Given, principal: SignedIn, asked: Annotated[Late, InQuery()]) -> Response:
    """Shipments that are late."""
    return shown(request, given, principal, asked, LATE, *asked.late(principal.account))


@ROUTER.get("/will-be-late")
def list_will_be_late(
    request: Request, given: Given, principal: SignedIn, asked: Annotated[Late, InQuery()]
) -> Response:
    """Shipments that will be late."""
    return shown(request, given, principal, asked, WILL_BE_LATE, *asked.will_be_late(principal.account))


@ROUTER.get("/parked")
def list_parked(request: Request, given: Given, principal: SignedIn, asked: Annotated[Parked, InQuery()]) -> Response:
    """Messages that nobody could read."""
    return shown(request, given, principal, asked, PARKED, *asked.question(principal.account))


@ROUTER.get("/unmapped")
def list_unmapped(
    request: Request, given: Given, principal: SignedIn, asked: Annotated[Unmapped, InQuery()]
) -> Response:
    """Statuses that no mapping knows."""
    return shown(request, given, principal, asked, UNMAPPED, *asked.question(principal.account))


@ROUTER.get("/polls")
def list_polls(request: Request, given: Given, principal: SignedIn, asked: Annotated[Polls, InQuery()]) -> Response:
    """Trackers that are asked about."""
    return shown(request, given, principal, asked, POLLS, *asked.question(principal.account))
