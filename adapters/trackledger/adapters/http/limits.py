"""How much may come in at once, from anybody?"""

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from trackledger.adapters.http.problems import Problem

MAX_HEADERS = 32 * 1024
"""Bytes of all names and values of a request's headers."""

MAX_PATH = 512


class Limits:
    """Refuses what is too much before anything of it is read: 431 for headers, 414 for the address, and 503 with the
    time to come back when too many requests are in work. To a provider it is told as all else is, to others as problem
    details.

    Webhooks are counted by themselves: whoever asks too much, or too slowly, keeps no provider out.
    """

    def __init__(self, app: ASGIApp, max_concurrent: int) -> None:
        self._app = app
        self._max_concurrent = max_concurrent
        self._in_work = {True: 0, False: 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        is_webhook = _is_webhook(scope)
        self._in_work[is_webhook] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_work[is_webhook] -= 1

    def _refusal(self, scope: Scope) -> Response | None:
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
            return _told(scope, 431, f"the headers have more than {MAX_HEADERS:,} bytes, the limit")
        if len(_path(scope)) > MAX_PATH:
            return _told(scope, 414, f"the path has more than {MAX_PATH} characters, the limit")
        if self._in_work[_is_webhook(scope)] >= self._max_concurrent:
            wait = {"retry-after": "1"}
            return _told(scope, 503, "too many requests are in work; come back in a second", wait)
        return None


def _told(scope: Scope, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    if _is_webhook(scope):
        return JSONResponse({"detail": detail}, status, headers)
    return Problem(status, detail, headers=headers).response()


def _is_webhook(scope: Scope) -> bool:
    return _path(scope).startswith("/webhooks/")


def _path(scope: Scope) -> str:
    """The path without that of a mount or a proxy."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
