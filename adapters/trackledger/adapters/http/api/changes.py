"""What has changed since I last asked?"""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from trackledger.adapters.http.api.answering import answer, describe_one, item_schema
from trackledger.adapters.http.api.asking import MAX_PAGE, MAX_WAIT, Position
from trackledger.adapters.http.api.services import Given, Reading, Services
from trackledger.adapters.http.moments import Tables
from trackledger.adapters.http.problems import Problem
from trackledger.projections import changes, shipments
from trackledger.projections.changes import Changes

ROUTER = APIRouter(tags=["changes"])

_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_INSTANT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
_WORDS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
_CHECKPOINT: dict[str, Any] = {
    "checkpoint_id": {"type": "string"},
    "what": {"type": "string"},
    "milestone": _TEXT,
    "occurred_at": _INSTANT,
}
_CHANGE: dict[str, Any] = {
    "position": {"type": "string"},
    "shipment_id": {"type": "string"},
    "version": {"type": "integer", "description": "Which event of the shipment it is"},
    "type": {"type": "string", "description": "The stored name of the event"},
    "recorded_at": _INSTANT,
    "provider": _TEXT,
    "channel": _TEXT,
    "message_id": _TEXT,
    "checkpoints": {
        "type": "array",
        "items": {"type": "object", "required": list(_CHECKPOINT), "properties": _CHECKPOINT},
    },
    "estimates": {"type": "integer"},
    "claims": _WORDS,
    "details": _WORDS,
    "case_no": {"type": ["integer", "null"]},
    "action": _TEXT,
    "shipment": item_schema(shipments.TABLE.named(*changes.NOW)) | {"type": ["object", "null"]},
}
_DESCRIBED: dict[str, Any] = {
    "items": {"type": "array", "items": {"type": "object", "required": list(_CHANGE), "properties": _CHANGE}},
    "next": {"type": "string", "description": "The position to go on from, also where there are no items"},
}


class ChangesAsked(BaseModel):
    """From where on, and how patiently."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Position = Field(
        "0", description="`next` of the answer before, or `consistent_with` of any; else from the beginning"
    )
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Changes at most")
    wait: float = Field(0.0, ge=0, le=MAX_WAIT, description="Seconds to wait for one where there is none yet")


@ROUTER.get("/changes", responses=describe_one(_DESCRIBED, refusals=()))
async def list_changes(given: Given, principal: Reading, asked: Annotated[ChangesAsked, Query()]) -> Response:
    """The events of the account's shipments, in the order of the ledger, none of them twice and none left out.

    Those that the tables do not reflect yet are told later, so that whoever hears of a change finds it there. No free
    text of carriers and people is among it.
    """
    loop = asyncio.get_running_loop()
    ends, after = loop.time() + asked.wait, int(asked.after)
    while True:
        found, tables = await run_in_threadpool(_look, given, principal.account, after, asked.limit)
        left = ends - loop.time()
        if found.items or left <= 0:
            break
        after = found.next
        await given.reached(after + 1, left)
    items = [msgspec.structs.asdict(one) | {"position": str(one.position)} for one in found.items]
    now = given.runtime.settings.clock.now()
    return answer(now, None, tables, {"items": items, "next": str(found.next)})


def _look(services: Services, account: str, after: int, limit: int) -> tuple[Changes, Tables]:
    with services.moments.tables(None) as tables:
        if after > tables.position and after > services.runtime.store.head():
            raise Problem(
                422, f"after is {after}, which this ledger has not come to; begin without it", parameter="after"
            )
        return changes.of(tables.reader, account, after, tables.position, limit), tables
