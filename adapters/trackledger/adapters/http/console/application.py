"""How are the pages put together to one application, and what does every answer of it say to the browser?"""

from urllib.parse import unquote_to_bytes, urlencode

from eventsourcing.persistence import PersistenceError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trackledger.adapters.http import problems
from trackledger.adapters.http.api.posted import whole
from trackledger.adapters.http.api.services import Services
from trackledger.adapters.http.console import (
    acting,
    analytics,
    board,
    entrance,
    live,
    messages,
    queues,
    searching,
    shipment,
    static_files,
)
from trackledger.adapters.http.console.entrance import Attempts
from trackledger.adapters.http.console.rendering import here, render, signed_in_as
from trackledger.adapters.http.console.sessions import Sessions, SignInRequired, root
from trackledger.adapters.http.problems import Problem
from trackledger.domain.errors import TrackledgerError

ROUTERS = (
    static_files.ROUTER,
    entrance.ROUTER,
    live.ROUTER,
    board.ROUTER,
    queues.ROUTER,
    acting.ROUTER,
    searching.ROUTER,
    analytics.ROUTER,
    messages.ROUTER,
    shipment.ROUTER,
)
"""The routes below the console's path. That of one shipment takes any id, so that longer ones stand before it."""

MAX_FORM = 64 * 1024
"""Bytes of a form."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What every answer says, unless it says otherwise of the cache."""


def console(services: Services) -> ASGIApp:
    """The pages, to be mounted below a path."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.services = services
    app.state.sessions = Sessions(services.runtime.settings, services.principals)
    app.state.attempts = Attempts()
    for router in ROUTERS:
        app.include_router(router)
    for kind in (Problem, RequestValidationError, HTTPException, PersistenceError, TrackledgerError, Exception):
        app.add_exception_handler(kind, refuse)
    app.add_exception_handler(SignInRequired, to_login)
    return Hardened(app)


async def refuse(request: Request, error: Exception) -> Response:
    """The page that tells of a refusal. What is missing and what is another account's look the same."""
    problem = problems.of(error)
    headers = {name: value for name, value in problem.headers.items() if name.lower() in ("retry-after", "allow")}
    return render(
        request, signed_in_as(request), "refusal.html", status=problem.status, headers=headers, problem=problem
    )


async def to_login(request: Request, error: Exception) -> Response:
    """Go to the login page, and from there on to the page that was asked for."""
    if request.method == "GET" and request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        # Who follows a link from elsewhere may be signed in: browsers send the cookie only to who comes from here.
        return render(request, None, "onward.html")
    onward = f"?{urlencode({'next': here(request)})}" if request.method == "GET" else ""
    return RedirectResponse(f"{root(request)}/login{onward}", 303)


class Hardened:
    """Adds the headers to every answer, refuses forms that are too large before anything of them is read, and those
    that are too slow, and takes out of the address what a form sends for the fields that were left empty."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["method"] not in ("GET", "HEAD"):
            length = dict(scope["headers"]).get(b"content-length", b"")
            # Browsers say how long a form is; what does not is no form.
            if not length.isdigit() or int(length) > MAX_FORM:
                response = _told(413, f"a form has {MAX_FORM:,} bytes at most, and says so")
                await response(scope, receive, hardened)
                return
            try:
                # Here, as whoever reads it later would wait for the rest of it for ever.
                receive = _again(await whole(Request(scope, receive), MAX_FORM), receive)
            except Problem as problem:
                await _told(problem.status, problem.detail)(scope, receive, hardened)
                return
        await self._app({**scope, "query_string": said(scope["query_string"])}, receive, hardened)


def _told(status: int, says: str) -> Response:
    return Response(f"{says}\n", status, media_type="text/plain")


def _again(body: bytes, receive: Receive) -> Receive:
    """What receives a body that was read already, and then what comes after it."""
    read = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def received() -> Message:
        message: Message | None = next(read, None)
        return await receive() if message is None else message

    return received


def said(query: bytes) -> bytes:
    """A query string without the parameters that have no value."""
    parts = [part.partition(b"=") for part in query.split(b"&")]
    return b"&".join(
        name + equals + value
        for name, equals, value in parts
        if unquote_to_bytes(value.replace(b"+", b" ")).strip() or not equals
    )
