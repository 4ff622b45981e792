"""What does a provider that sends us a message get for an answer?

    200, 202   the message is committed to the inbox, whether or not anybody can read it
    200        a handshake is answered, or a HEAD probe
    401        it is not proven to be the provider's; always the same sentence
    404        there is no such provider or endpoint
    408        the body did not arrive in time
    413, 431   the body or the headers are too large
    415        the body is compressed, so that its signature cannot be checked
    429        more than the configured number of requests came to this endpoint within a minute
    503        it could not be committed, or too many are in work: send it again

Which of 200 and 202 is for the provider to choose (`Abilities.accepted`): one of them sends anything but its own again.
"""

import asyncio
import logging
from time import perf_counter
from typing import Any

from eventsourcing.persistence import PersistenceError
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from trackledger.adapters.http.receiver import Receiver
from trackledger.adapters.inbox import message
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.providers import PROVIDERS, provider, verifying
from trackledger.adapters.settings import ProviderAccount, Settings

BODY_SECONDS = 15.0
"""Within this time the whole body has to be here; no provider waits longer for its answer."""

log = logging.getLogger("trackledger.webhooks")

PATH = "/webhooks/{provider}/{endpoint}"

_ANSWERS = {
    200: "Kept, to be read; or a handshake is answered",
    202: "Kept, to be read",
    401: "Not proven to be the provider's",
    404: "No such provider or endpoint",
    408: "The body did not arrive in time",
    413: "The body is too large",
    414: "The path is too long",
    415: "The body is compressed",
    429: "Too many requests",
    431: "The headers are too large",
    503: "Not kept: send it again",
}
_JSON: dict[str, Any] = {"application/json": {"schema": {}}}
_PROBE = {200: "It is there", 404: _ANSWERS[404]}

DESCRIBED: dict[str, Any] = {
    PATH: {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in ("provider", "endpoint")
        ],
        "post": {
            "summary": "Keep one message of a provider, or say in one sentence why not",
            "tags": ["webhooks"],
            "requestBody": {"content": _JSON, "required": True},
            "responses": {
                str(status): {"description": meaning, "content": _JSON} for status, meaning in _ANSWERS.items()
            },
        },
        "head": {
            "summary": "Whether an endpoint is there: some providers ask before they send anything",
            "tags": ["webhooks"],
            "responses": {str(status): {"description": meaning} for status, meaning in _PROBE.items()},
        },
    }
}
"""These routes in the OpenAPI description."""


class Refusal(Exception):
    """A request that becomes no message: its status, one sentence, and the word under which it is counted."""

    def __init__(self, status: int, detail: str, outcome: str, wait: int = 0) -> None:
        super().__init__(detail)
        self.status = status
        self.outcome = outcome
        self.headers = {"retry-after": str(wait)} if wait else {}


def routes(settings: Settings, receiver: Receiver, metrics: Metrics) -> list[Route]:
    """The routes of every configured endpoint.

    They are plain ones, which `DESCRIBED` describes: resolving the parameters of described ones took as long as
    everything else that is done for a webhook.
    """
    endpoints = {
        (one.provider, name): (one, accepts) for one in settings.accounts for name, accepts in one.endpoints.items()
    }
    rate = RateLimitItemPerMinute(settings.server.per_minute)
    limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def probe(request: Request) -> Response:
        asked = (request.path_params["provider"], request.path_params["endpoint"])
        return Response(status_code=200 if asked in endpoints else 404)

    async def receive(request: Request) -> Response:
        started = perf_counter()
        name, endpoint = request.path_params["provider"], request.path_params["endpoint"]
        known = endpoints.get((name, endpoint))
        outcome = "accepted"
        try:
            if known is None:
                raise Refusal(404, "there is no such webhook endpoint", "unknown")
            if not limiter.hit(rate, name, endpoint):
                raise Refusal(429, "too many requests to this endpoint; come back in a minute", "too_many", 60)
            response, outcome = await _receive(request, *known)
        except Refusal as refusal:
            response = JSONResponse({"detail": str(refusal)}, refusal.status, refusal.headers)
            outcome = refusal.outcome
            log.warning("webhook refused", extra={"provider": name, "outcome": outcome})
        counted = name if name in PROVIDERS else "unknown"
        metrics.webhooks.labels(counted, outcome).inc()
        metrics.webhook_seconds.labels(counted).observe(perf_counter() - started)
        return response

    async def _receive(
        request: Request, connection: ProviderAccount, accepts: verifying.Endpoint
    ) -> tuple[Response, str]:
        if request.headers.get("content-encoding", "identity").casefold() != "identity":
            raise Refusal(415, "the body is compressed; send it as it was signed", "compressed")
        body = await _body(request, settings.server.max_body)
        speaking = provider(connection.provider)
        asked = verifying.Request(body, {name.lower(): value for name, value in request.headers.items()})
        try:
            speaking.verify(asked, accepts)
        except verifying.Unverified as error:
            raise Refusal(401, str(error), "refused") from None
        answer = speaking.handshake(asked)
        if answer is not None:
            return Response(answer, media_type="application/json"), "handshake"
        kept = message(
            connection.provider,
            body,
            channel="webhook",
            account=connection.account,
            received_at=settings.clock.now(),
            context=connection.context,
            headers=asked.headers,
        )
        try:
            await receiver.keep(kept)
        except PersistenceError as error:
            log.error("a webhook could not be kept: %s", error)
            raise Refusal(503, "the message could not be kept; send it again", "failed", 5) from None
        return JSONResponse({"ok": True}, speaking.abilities.accepted), "accepted"

    return [Route(PATH, probe, methods=["HEAD"]), Route(PATH, receive, methods=["POST"])]


async def _body(request: Request, limit: int) -> bytes:
    """The whole body, refused as soon as it is known to be too large or too slow."""
    too_large = Refusal(413, f"the body has more than {limit:,} bytes, the limit", "too_large")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {BODY_SECONDS:g} seconds", "too_slow") from None
    except ClientDisconnect:
        raise Refusal(400, "the request was aborted", "aborted") from None
    return bytes(body)
