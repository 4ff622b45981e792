"""What do the routes share, and who may use them?"""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from trackledger.adapters.http.api.asking import MAX_WAIT, Asked
from trackledger.adapters.http.moments import Moments, position
from trackledger.adapters.http.principals import Principal, Principals
from trackledger.adapters.http.problems import Problem
from trackledger.adapters.http.recent import Recent
from trackledger.adapters.runtime import Runtime

LOOK_EVERY = 0.05
"""Seconds between two looks how far the tables have come."""

_BEARER = HTTPBearer(auto_error=False, description="A token of the configuration; it is of one account")


class Services:
    """One open ledger, those who are admitted to it, and its past."""

    def __init__(self, runtime: Runtime, principals: Principals, moments: Moments) -> None:
        self.runtime = runtime
        self.principals = principals
        self.moments = moments
        self.recent = Recent()

    def now(self, asked: Asked) -> datetime:
        """The time by which a question is judged: the one asked for, else that of the past it is about, else the
        clock's."""
        return asked.now or asked.known_at or self.runtime.settings.clock.now()

    async def reached(self, wanted: int, seconds: float) -> int:
        """Wait until the tables reflect every event up to `wanted`, for so many seconds at most; how far they are."""
        ends = asyncio.get_running_loop().time() + seconds
        while True:
            at = await run_in_threadpool(position, self.runtime.database)
            if at >= wanted or asyncio.get_running_loop().time() >= ends:
                return at
            await asyncio.sleep(LOOK_EVERY)


def services(request: Request) -> Services:
    """What `create_app` has put together."""
    found: Services = request.app.state.services
    return found


async def reader(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Principal:
    """Who asks. Raises `Problem`: 401 without a valid token, always with the same sentence, and 429."""
    given = services(request)
    principal = given.principals.holder(bearer.credentials) if bearer else None
    if principal is None:
        raise Problem(
            401, "there is no valid bearer token; send one as authorization", headers={"www-authenticate": "Bearer"}
        )
    given.principals.count(principal)
    return principal


async def operator(principal: Annotated[Principal, Depends(reader)]) -> Principal:
    """Who acts. Raises `Problem` (403) for a token that only reads."""
    if not principal.may_operate:
        raise Problem(403, f"the token {principal.name!r} only reads; use one with the right to operate")
    return principal


async def caught_up(request: Request, principal: Annotated[Principal, Depends(reader)]) -> None:
    """Wait for the position that a question names. Raises `Problem` (503) where it is not reached in time."""
    wanted = request.query_params.get("wait_for", "")
    # What cannot be read is refused by the question's own parameters.
    if not wanted.isascii() or not wanted.isdigit() or len(wanted) > 18:
        return
    try:
        seconds = float(request.query_params.get("wait_seconds", "5"))
    except ValueError:
        return
    # Not a number is neither, and would never be over.
    if not 0 < seconds <= MAX_WAIT:
        return
    at = await services(request).reached(int(wanted), seconds)
    if at < int(wanted):
        raise Problem(
            503,
            f"the tables reflect the events up to {at} only; see that `trackledger run` works, and try again",
            parameter="wait_for",
            headers={"retry-after": "1"},
        )


Given = Annotated[Services, Depends(services)]
Reading = Annotated[Principal, Depends(reader)]
Operating = Annotated[Principal, Depends(operator)]
