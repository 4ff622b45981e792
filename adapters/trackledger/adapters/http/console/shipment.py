"""What does the page of one shipment show?"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Query, Request, Response
from msgspec import Struct
from pydantic import BaseModel, ConfigDict

from trackledger.adapters.http.api.asking import Instant, Word
from trackledger.adapters.http.api.one_shipment import require_id
from trackledger.adapters.http.api.services import Given
from trackledger.adapters.http.console.dossier import Dossier, dossier
from trackledger.adapters.http.console.pictured import offset, picture
from trackledger.adapters.http.console.rendering import render
from trackledger.adapters.http.console.sessions import SignedIn
from trackledger.adapters.http.console.statement_rows import by_rule, rows, said_at
from trackledger.adapters.http.problems import missing
from trackledger.adapters.kept import Kept
from trackledger.adapters.one_shipment import entries_of
from trackledger.projections.explanation import Conclusion

MOST_STEPS = 500
"""Moments that one can step through, the newest."""

MOST_EVENTS = 100
MOST_MESSAGES = 50

SECTIONS = {
    "status": "Where it is",
    "location": "Where it is",
    "provider_status": "Where it is",
    "delivered_at": "Where it is",
    "attempts": "Failed deliveries",
    "ndr": "Failed deliveries",
    "stuck": "Silence",
    "provider_says_stuck": "Silence",
    "piece_of": "Consignment",
    "consignment": "Consignment",
}
"""What a conclusion is about, or begins with, to where it stands; the others are about delivery dates."""

ROUTER = APIRouter()


class ShipmentAsked(BaseModel):
    """How one shipment is looked at: as known at a moment, judged at a time, and which statements are listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    known_at: Instant | None = None
    now: Instant | None = None
    provider: Word | Literal[""] | None = None
    withdrawn: Literal["shown", "hidden"] = "shown"


class Steps(Struct, frozen=True):
    """The moments at which something was recorded, oldest first, and which of them is shown: one behind the last stands
    for now, and -1 for a time before all of them. `left_out` counts older ones."""

    moments: Sequence[datetime]
    at: int
    left_out: int

    @property
    def previous(self) -> datetime | None:
        """The step before the one that is shown."""
        return self.moments[self.at - 1] if self.at > 0 else None

    @property
    def following(self) -> datetime | None:
        """The step after it; None also where that is now."""
        return self.moments[self.at + 1] if self.at + 1 < len(self.moments) else None


@ROUTER.get("/shipments/{shipment_id:path}")
def shipment(
    request: Request, given: Given, principal: SignedIn, shipment_id: str, asked: Annotated[ShipmentAsked, Query()]
) -> Response:
    """Everything about one shipment, as it is known now or was known at a moment."""
    require_id(shipment_id)
    now = asked.now or asked.known_at or given.runtime.settings.clock.now()
    one = dossier(given, principal.account, shipment_id, now, asked.known_at)
    if one is None:
        raise missing(shipment_id)
    said = rows(one)
    shown = [
        row
        for row in said.checkpoints
        if (not asked.provider or row.statement.provider == asked.provider)
        and not (row.statement.withdrawn and asked.withdrawn == "hidden")
    ]
    told = entries_of(one.recollection)
    return render(
        request,
        principal,
        "shipment.html",
        now=now,
        asked=asked,
        one=one,
        steps=_steps(one.steps, asked.known_at),
        said=said,
        said_at=said_at,
        shown=shown,
        names={row.name for row in (*shown, *said.estimates, *said.claims)},
        providers=sorted({row.statement.provider for row in said.checkpoints}),
        drawing=picture(one, said),
        offset=offset(one),
        once=uuid4().hex,
        sections=_sections(one),
        unused=by_rule(one),
        events=told[-MOST_EVENTS:],
        events_left_out=max(len(told) - MOST_EVENTS, 0),
        learned=[entry for entry in told if entry.recorded_at == asked.known_at],
        messages=_messages(given.runtime.kept, one, principal.account) if principal.may_see_raw else (),
        message_count=len(_message_ids(one)),
    )


def _steps(moments: Sequence[datetime], known_at: datetime | None) -> Steps:
    left_out = max(len(moments) - MOST_STEPS, 0)
    moments = moments[left_out:]
    at = len(moments) if known_at is None else bisect_right(moments, known_at) - 1
    return Steps(moments, at, left_out)


def _sections(one: Dossier) -> list[tuple[str, list[Conclusion]]]:
    def title(conclusion: Conclusion) -> str:
        about = conclusion.about
        return SECTIONS.get(about) or SECTIONS.get(about.partition("_")[0], "Delivery dates")

    conclusions: Iterable[Conclusion] = one.told.conclusions if one.told else ()
    return [(name, list(some)) for name, some in groupby(conclusions, key=title)]


def _message_ids(one: Dossier) -> list[str]:
    """The messages that its events name, the newest first."""
    named = (getattr(placed.event, "message_id", None) for placed in reversed(one.recollection.events))
    return list(dict.fromkeys(id_ for id_ in named if id_))


def _messages(kept: Kept, one: Dossier, account: str) -> list[dict[str, Any]]:
    found = kept.rows(_message_ids(one)[:MOST_MESSAGES])
    return [row for row in found if row["account"] == account]
