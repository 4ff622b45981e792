"""How much may come in at once, from anybody?"""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_HEADERS = 32 * 1024
"""Bytes of all names and values of a request's headers."""

MAX_PATH = 512


class Limits:
    """Refuses what is too much before anything of it is read: 431 for headers, 414 for the address, and 503 with the
    time to come back when too many requests are in work."""

    def __init__(self, app: ASGIApp, max_concurrent: int) -> None:
        self._app = app
        self._max_concurrent = max_concurrent
        self._in_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._in_work += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._in_work -= 1

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
            return JSONResponse({"detail": f"the headers have more than {MAX_HEADERS:,} bytes, the limit"}, 431)
        if len(scope["path"]) > MAX_PATH:
            return JSONResponse({"detail": f"the path has more than {MAX_PATH} characters, the limit"}, 414)
        # The lifespan of the application counts as one.
        if self._in_work > self._max_concurrent:
            wait = {"retry-after": "1"}
            return JSONResponse({"detail": "too many requests are in work; come back in a second"}, 503, wait)
        return None
