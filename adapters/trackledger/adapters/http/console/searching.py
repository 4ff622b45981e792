"""Which shipment does somebody mean who types a number?"""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.responses import RedirectResponse

from trackledger.adapters.http.api.asking import Number
from trackledger.adapters.http.api.services import Given
from trackledger.adapters.http.console.rendering import link
from trackledger.adapters.http.console.sessions import SignedIn, root
from trackledger.projections import seeking, shipments
from trackledger.projections.table import Reader

ROUTER = APIRouter()


class Search(BaseModel):
    """What was typed."""

    model_config = ConfigDict(extra="forbid")

    q: Number | None = None


@ROUTER.get("/search")
def search(request: Request, given: Given, principal: SignedIn, asked: Annotated[Search, Query()]) -> Response:
    """Go on to the one shipment that is meant, or to the list of those that may be."""
    text = (asked.q or "").strip()
    with given.moments.tables(None) as tables:
        found = _meant(tables.reader, principal.account, given, text) if text else []
    only = f"/shipments/{found[0]}" if len(found) == 1 else None
    to = link(root(request), only) if only else link(root(request), "/shipments", q=text or None)
    return RedirectResponse(to, 303)


def _meant(store: Reader, account: str, given: Given, text: str) -> list[str]:
    """Ids of shipments that have the number; where none has it, up to two that have one which begins so."""
    whole = {row["shipment_id"] for number in seeking.numbers(text) for row in shipments.find(store, number, account)}
    if whole:
        return sorted(whole)
    sought = seeking.Sought(account=account, now=given.runtime.settings.clock.now(), q=text)
    return [row["shipment_id"] for row in seeking.page(store, sought, seeking.ORDERS["shipment_id"], 2).rows]
