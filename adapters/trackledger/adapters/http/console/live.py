"""Has anything changed since a page was made?"""

from fastapi import APIRouter, Request, Response

from trackledger.adapters.http.api.answering import json
from trackledger.adapters.http.api.services import Given
from trackledger.adapters.http.console.sessions import SignedIn
from trackledger.adapters.http.moments import position

ROUTER = APIRouter()


@ROUTER.get("/position")
def position_(request: Request, given: Given, principal: SignedIn) -> Response:
    """Up to which event the tables are complete; 304 for a page that knows."""
    at = str(position(given.runtime.database))
    headers = {"etag": f'"{at}"', "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return json({"position": at}, headers=headers)
