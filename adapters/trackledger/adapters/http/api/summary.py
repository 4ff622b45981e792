"""How many shipments are where, what needs somebody now, and which providers have gone silent?"""

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from trackledger.adapters import overview
from trackledger.adapters.http.api.answering import answer, describe_one
from trackledger.adapters.http.api.asking import Asked
from trackledger.adapters.http.api.services import Given, Reading, Services, caught_up
from trackledger.projections.ndr import TimeLeft
from trackledger.projections.summary import ENDED_WITHIN

ROUTER = APIRouter(tags=["queues"], dependencies=[Depends(caught_up)])

_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}
_COUNTS: dict[str, Any] = {"type": "object", "additionalProperties": _COUNT}
_FEED: dict[str, Any] = {
    "provider": {"type": "string"},
    "last_heard_at": _INSTANT | {"type": ["string", "null"]},
    "is_silent": {"type": "boolean"},
    "waiting": _COUNT | {"description": "Open shipments that it tells of"},
    "stopped": {"type": ["string", "null"], "description": "Why it is not asked any more"},
    "blocked_until": _INSTANT | {"type": ["string", "null"]},
}
_LINE: dict[str, Any] = {
    "feeds": {"type": "array", "items": {"type": "object", "required": list(_FEED), "properties": _FEED}},
    "parked": _COUNT | {"description": "Messages that could not be read"},
    "lag": _COUNT | {"description": "Events that the tables do not reflect yet"},
}
_DESCRIBED: dict[str, Any] = {
    "open": _COUNTS | {"description": "By milestone"},
    "ended": _COUNTS | {"description": "By milestone, since ended_since"},
    "ended_since": _INSTANT,
    "legs": _COUNTS | {"description": "Open ones"},
    "providers": _COUNTS | {"description": "Open ones by who tells of them"},
    "failed_deliveries": {
        "type": "object",
        "required": list(TimeLeft.__struct_fields__),
        "properties": dict.fromkeys(TimeLeft.__struct_fields__, _COUNT),
        "description": "By the time that is left to act",
    },
    "stuck": _COUNTS | {"description": "By kind"},
    "late": _COUNT,
    "will_be_late": _COUNT,
    "unmapped": _COUNT | {"description": "Status codes that no mapping knows"},
    "poisoned": _COUNT | {"description": "Shipments that cannot be folded"},
    "line": {
        "type": ["object", "null"],
        "required": list(_LINE),
        "properties": _LINE,
        "description": "What is between the providers and the tables; null for the past",
    },
}


class SummaryAsked(Asked):
    """Of which time."""

    days: int = Field(ENDED_WITHIN.days, ge=1, le=36_500, description="Since when shipments that ended are counted")


@ROUTER.get("/summary", responses=describe_one(_DESCRIBED, refusals=()))
def summarize(given: Given, principal: Reading, asked: Annotated[SummaryAsked, Query()]) -> Response:
    """Counts of one moment."""
    now = given.now(asked)
    connected = None if asked.known_at else connected_providers(given, principal.account)
    with given.moments.tables(asked.known_at) as tables:
        found = overview.of(tables.reader, principal.account, now, connected, timedelta(days=asked.days))
    body = msgspec.structs.asdict(found.summary) | {"line": found.line}
    return answer(now, asked.known_at, tables, body)


def connected_providers(services: Services, account: str) -> list[str]:
    """The providers that an account is connected to, by the configuration."""
    return [one.provider for one in services.runtime.settings.accounts if one.account == account]
