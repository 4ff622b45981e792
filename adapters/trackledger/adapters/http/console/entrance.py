"""How does somebody come in, and go?"""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.responses import RedirectResponse

from trackledger.adapters.http.console import sessions
from trackledger.adapters.http.console.rendering import render
from trackledger.adapters.http.console.sessions import Session, Sessions, SignedIn, csrf, same_site
from trackledger.adapters.http.problems import Problem

WRONG = RateLimitItemPerMinute(10)
"""How many wrong tokens one address may try."""

ROUTER = APIRouter()


class Attempts:
    """Who has tried wrong tokens lately."""

    def __init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def require(self, address: str) -> None:
        """Raises `Problem` (429) for an address that has tried too many."""
        if not self._limiter.test(WRONG, address):
            raise Problem(
                429,
                "too many wrong tokens came from this address; come back in a minute",
                headers={"retry-after": "60"},
            )

    def count(self, address: str) -> None:
        """One more was wrong."""
        self._limiter.hit(WRONG, address)


@ROUTER.get("/login")
def login_page(request: Request, next: str = "") -> Response:
    """The form; whoever is signed in already goes on."""
    if sessions.found(request) is not None:
        return RedirectResponse(sessions.inside(request, next), 303)
    return render(request, None, "login.html", next=sessions.inside(request, next), wrong=False)


@ROUTER.post("/login", dependencies=[Depends(same_site)])
def login(request: Request, token: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "") -> Response:
    """Begin a session, or say the one sentence that is said of every wrong token."""
    attempts: Attempts = request.app.state.attempts
    address = request.client.host if request.client else ""
    attempts.require(address)
    open_sessions: Sessions = request.app.state.sessions
    cookie = open_sessions.begin(token.strip())
    onward = sessions.inside(request, next)
    if cookie is None:
        attempts.count(address)
        return render(request, None, "login.html", status=401, next=onward, wrong=True)
    response = RedirectResponse(onward, 303)
    sessions.keep(request, response, sessions.COOKIE, cookie, sessions.LASTS)
    return response


@ROUTER.post("/logout", dependencies=[Depends(csrf)])
def logout(request: Request, principal: SignedIn) -> Response:
    """End the session, also for whoever has copied its cookie."""
    session: Session = request.state.session
    open_sessions: Sessions = request.app.state.sessions
    open_sessions.end(session)
    response = RedirectResponse(f"{sessions.root(request)}/login", 303)
    sessions.drop(request, response, sessions.COOKIE)
    return response
