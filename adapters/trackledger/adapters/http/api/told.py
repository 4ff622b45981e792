"""What was said of one shipment, which deliveries failed, and what did each of its events do?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from trackledger.adapters.http.api.answering import (
    AS_OF,
    Listing,
    answer,
    describe,
    describe_list,
    known_when,
    listed,
    turn,
)
from trackledger.adapters.http.api.asking import Listed
from trackledger.adapters.http.api.one_shipment import recollected, require_id, row_for
from trackledger.adapters.http.api.services import Given, Reading, Services, caught_up
from trackledger.adapters.http.moments import position
from trackledger.adapters.http.principals import Principal
from trackledger.adapters.one_shipment import entries_of
from trackledger.projections import delivery_dates, ndr, ndr_actions, timeline
from trackledger.projections.pages import Order, Page
from trackledger.projections.pages import page as read_page
from trackledger.projections.table import Column, Kind, Reader, Table

ROUTER = APIRouter(tags=["shipments"], dependencies=[Depends(caught_up)])

_OCCURRED = Order((("t.checkpoint_id", "checkpoint_id"),), ("t.occurred_at", "occurred_at"))
_STATED = Order((("t.estimate_no", "estimate_no"),))
_OPENED = Order((("t.case_no", "case_no"),))
_REQUESTED = Order((("t.action_id", "action_id"),), ("t.requested_at", "requested_at"))
_RECORDED = Order((("version", "version"),))


@ROUTER.get("/shipments/{shipment_id:path}/timeline", responses=describe_list(timeline.TABLE.columns, refusals=(404,)))
def told(
    request: Request, given: Given, principal: Reading, shipment_id: str, asked: Annotated[Listed, Query()]
) -> Response:
    """What was said, as it stands, the oldest first."""
    return _of_table(request, given, principal, shipment_id, asked, timeline.TABLE, _OCCURRED)


@ROUTER.get(
    "/shipments/{shipment_id:path}/estimates",
    responses=describe_list(delivery_dates.ESTIMATES.columns, refusals=(404,)),
)
def estimates(
    request: Request, given: Given, principal: Reading, shipment_id: str, asked: Annotated[Listed, Query()]
) -> Response:
    """Every estimate of its delivery, in the order in which they were stated."""
    return _of_table(request, given, principal, shipment_id, asked, delivery_dates.ESTIMATES, _STATED)


@ROUTER.get("/shipments/{shipment_id:path}/ndr", responses=describe_list(ndr.TABLE.columns, refusals=(404,)))
def failed_deliveries(
    request: Request, given: Given, principal: Reading, shipment_id: str, asked: Annotated[Listed, Query()]
) -> Response:
    """Its failed-delivery cases, closed ones too, the oldest first."""
    return _of_table(request, given, principal, shipment_id, asked, ndr.TABLE, _OPENED)


@ROUTER.get(
    "/shipments/{shipment_id:path}/ndr/actions",
    responses=describe_list(ndr_actions.TABLE.columns, refusals=(404,)),
)
def actions(
    request: Request, given: Given, principal: Reading, shipment_id: str, asked: Annotated[Listed, Query()]
) -> Response:
    """What was asked for about its failed deliveries, by whom, and what came of it, in the order in which it was."""
    return _of_table(request, given, principal, shipment_id, asked, ndr_actions.TABLE, _REQUESTED)


_DEED = {
    "type": "object",
    "required": ["what", "says"],
    "properties": {
        "what": {"type": "string"},
        "says": {"type": "string"},
        "checkpoint_id": {"type": ["string", "null"]},
        "checkpoint": {"type": ["object", "null"]},
        "changed": {"type": ["object", "null"], "description": "By column, what was said before and after"},
    },
}
_ENTRY = {
    "type": "object",
    "required": ["position", "version", "event", "recorded_at", "by", "who", "did"],
    "properties": {
        "position": {"type": "integer"},
        "version": {"type": "integer"},
        "event": {"type": "string"},
        "recorded_at": {"type": ["string", "null"], "format": "date-time"},
        "by": {"type": "string", "enum": ["provider", "host", "person", "unknown"]},
        "who": {"type": ["string", "null"]},
        "did": {"type": "array", "items": _DEED},
    },
}


@ROUTER.get(
    "/shipments/{shipment_id:path}/history",
    responses=describe(
        {
            "type": "object",
            "required": ["items", "next", *AS_OF],
            "properties": {"items": {"type": "array", "items": _ENTRY}, "next": {"type": ["string", "null"]}} | AS_OF,
        },
        refusals=(404,),
    ),
)
def history(given: Given, principal: Reading, shipment_id: str, asked: Annotated[Listed, Query()]) -> Response:
    """What each of its events did, in words and for programs, the oldest first."""
    require_id(shipment_id)
    listing = Listing("history", (Column("version", Kind.INTEGER, nullable=False),), _RECORDED, (shipment_id,))
    known_at = known_when(given, asked, listing)

    def query(store: Reader, now: datetime, limit: int, after: Sequence[Any] | None) -> Page:
        found = recollected(given, principal, shipment_id, known_at, position(store))
        following = [one for one in entries_of(found) if after is None or one.version > after[0]]
        rows = [msgspec.to_builtins(one, builtin_types=(datetime,)) for one in following[:limit]]
        return Page(rows, (rows[-1]["version"],) if len(following) > limit else None)

    page = turn(given, asked, listing, query)
    return answer(page.now, page.known_at, page.tables, {"items": page.rows, "next": page.following})


def _of_table(
    request: Request,
    given: Services,
    principal: Principal,
    shipment_id: str,
    asked: Listed,
    table: Table[Any],
    order: Order,
) -> Response:
    """The rows of one shipment in a table."""
    require_id(shipment_id)
    columns = ", ".join(f"t.{name}" for name in table.names)

    def query(store: Reader, now: datetime, limit: int, after: Sequence[Any] | None) -> Page:
        row_for(store, principal, shipment_id)
        return read_page(
            store,
            f"SELECT {columns} FROM {{s}}{table.name} t",
            ["t.shipment_id = :id"],
            {"id": shipment_id},
            order,
            limit=limit,
            after=after,
        )

    name = table.name.replace("_", "-")
    return listed(request, given, asked, Listing(name, table.columns, order, (shipment_id,)), query)
