"""What is there to do today?"""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from trackledger.adapters import overview
from trackledger.adapters.http.api.services import Given
from trackledger.adapters.http.api.summary import connected_providers
from trackledger.adapters.http.console.rendering import render
from trackledger.adapters.http.console.sessions import SignedIn

ROUTER = APIRouter()


@ROUTER.get("/")
def board(request: Request, given: Given, principal: SignedIn) -> Response:
    """Everything that waits for somebody, each count leading to the list of what it counts."""
    now = given.runtime.settings.clock.now()
    connected = connected_providers(given, principal.account)
    with given.moments.tables(None) as tables:
        found = overview.of(tables.reader, principal.account, now, connected)
    return render(
        request,
        principal,
        "board.html",
        now=now,
        counted=found.summary,
        line=found.line,
        in_4_hours=now + timedelta(hours=4),
        in_24_hours=now + timedelta(hours=24),
    )
