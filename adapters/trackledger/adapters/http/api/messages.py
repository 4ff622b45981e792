"""Which raw messages is that which is known of one shipment from? People are named in them, so that not every token may
see them."""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from trackledger.adapters.http.api.answering import AS_OF, Listing, answer, describe, item_schema, known_when, turn
from trackledger.adapters.http.api.asking import Listed
from trackledger.adapters.http.api.one_shipment import recollected, require_id
from trackledger.adapters.http.api.services import Given, Reading, caught_up
from trackledger.adapters.http.moments import position
from trackledger.adapters.http.problems import Problem
from trackledger.adapters.storage.schema import MESSAGES
from trackledger.projections.pages import Order, Page
from trackledger.projections.pages import page as read_page
from trackledger.projections.table import Column, Kind, Reader

MOST = 100
MAX_BYTES = 16 * 1024 * 1024
"""Bytes of messages on one page; it ends before the message that would make it longer, unless that is its first."""

AT_ONCE = 500
"""Ids in one condition."""

ROUTER = APIRouter(tags=["shipments"], dependencies=[Depends(caught_up)])

COLUMNS = (
    *MESSAGES.named("message_id", "provider", "channel", "state", "reason", "received_at", "last_received_at", "times"),
    *(Column(name, Kind.INTEGER, nullable=False) for name in ("recorded", "amended", "repeated", "bytes")),
)
_RECEIVED = Order((("m.message_id", "message_id"),), ("m.received_at", "received_at"))
_SELECT = f"""SELECT {", ".join(f"m.{one.name}" for one in COLUMNS if one.name != "bytes")}, length(m.body) AS bytes,
  m.context, m.headers FROM {{s}}messages m"""


class MessagesAsked(Listed):
    """How many of them."""

    limit: int | None = Field(None, ge=1, le=MOST, description=f"Messages: up to {MOST} (20)")


_ITEM = item_schema(COLUMNS)
_MESSAGE = {
    **_ITEM,
    "properties": {
        **_ITEM["properties"],
        "context": {"type": "object", "description": "What was asked, and how the provider is connected"},
        "headers": {"type": "object", "description": "Those of the request that may explain it"},
        "body": {"type": "string", "description": "As it arrived; in base64 where it is not UTF-8"},
        "encoding": {"type": "string", "enum": ["utf-8", "base64"]},
    },
}


@ROUTER.get(
    "/shipments/{shipment_id:path}/messages",
    responses=describe(
        {
            "type": "object",
            "required": ["items", "next", *AS_OF],
            "properties": {"items": {"type": "array", "items": _MESSAGE}, "next": {"type": ["string", "null"]}} | AS_OF,
        },
        refusals=(403, 404),
    ),
)
def messages(given: Given, principal: Reading, shipment_id: str, asked: Annotated[MessagesAsked, Query()]) -> Response:
    """The raw messages that its events are from, as far as they are still kept, the oldest first: for tokens that may
    see them. One that only repeated what was known is behind no event."""
    if not principal.may_see_raw:
        raise Problem(403, f"the token {principal.name!r} may not see raw messages; use one with the right to see them")
    require_id(shipment_id)
    database = given.runtime.database
    listing = Listing("messages", COLUMNS, _RECEIVED, (shipment_id,))
    known_at = known_when(given, asked, listing)

    def query(store: Reader, now: datetime, limit: int, after: Sequence[Any] | None) -> Page:
        found = recollected(given, principal, shipment_id, known_at, position(store))
        ids = sorted({getattr(one.event, "message_id", "") for one in found.events} - {""})
        # The past has no messages of its own.
        page = _page(database, ids, principal.account, limit, after)
        return _whole(database, page)

    page = turn(given, asked, listing, query, usual=20)
    return answer(page.now, page.known_at, page.tables, {"items": page.rows, "next": page.following})


def _page(store: Reader, ids: Sequence[str], account: str, limit: int, after: Sequence[Any] | None) -> Page:
    """The first of them by when they were received, without their bytes; the `AT_ONCE` at a time are merged."""
    found: list[dict[str, Any]] = []
    goes_on = False
    for start in range(0, len(ids), AT_ONCE):
        params = {f"id_{n}": one for n, one in enumerate(ids[start : start + AT_ONCE])}
        conditions = [f"m.message_id IN ({', '.join(f':{name}' for name in params)})", "m.account = :account"]
        given = {**params, "account": account}
        page = read_page(store, _SELECT, conditions, given, _RECEIVED, limit=limit, after=after)
        found += page.rows
        goes_on = goes_on or page.after is not None
    found.sort(key=lambda row: (row["received_at"], row["message_id"]))
    rows = found[:limit]
    goes_on = goes_on or len(found) > limit
    return Page(rows, _place(rows[-1]) if goes_on else None)


def _whole(store: Reader, page: Page) -> Page:
    """The same with their bytes, as far as they are not too many for one page."""
    rows: list[dict[str, Any]] = []
    left = MAX_BYTES
    for row in page.rows:
        left -= row["bytes"]
        if rows and left < 0:
            return Page(rows, _place(rows[-1]))
        body = store.read("SELECT body FROM {s}messages WHERE message_id = :id", id=row["message_id"])
        # It may have been erased since.
        if body:
            parsed = {name: json.loads(row[name]) for name in ("context", "headers")}
            rows.append({**row, **parsed, **_readable(bytes(body[0]["body"]))})
    return Page(rows, page.after)


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _RECEIVED.names)


def _readable(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode(), "encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"body": b64encode(body).decode(), "encoding": "base64"}
