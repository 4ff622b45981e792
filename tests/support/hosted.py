"""Host applications of other kinds with a ledger below `/tracking`, each the least that such a project is."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from trackledger.domain.errors import ShipmentNotFound

MOUNT = "/tracking"


def fastapi_host(tracking: ASGIApp, lived: list[str]) -> FastAPI:
    """A FastAPI application with routes, a lifespan and handlers of its own, among them one of an error of ours."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        lived.append("started")
        yield
        lived.append("ended")

    host = FastAPI(title="shop", lifespan=lifespan)

    @host.exception_handler(ShipmentNotFound)
    async def not_found(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("the shop's own words", 418)

    @host.get("/api/shipments")
    def shipments() -> list[str]:
        return ["the shop's own"]

    @host.get("/lost")
    def lost() -> None:
        raise ShipmentNotFound("lost")

    host.mount(MOUNT, tracking)
    return host


def by_path(tracking: ASGIApp, everything_else: ASGIApp) -> ASGIApp:
    """What stands in `asgi.py` of a project whose framework mounts nothing: one application below a path, the other for
    the rest. As ASGI says, `path` stays whole, and `root_path` is the part of it that leads here."""

    async def dispatched(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] + "/").startswith(f"{MOUNT}/"):
            await tracking({**scope, "root_path": scope.get("root_path", "") + MOUNT}, receive, send)
        elif scope["type"] == "http":
            await everything_else(scope, receive, send)

    return dispatched
