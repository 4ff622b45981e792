"""How are the providers served, all under one port?"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from trackledger.adapters.clock import Clock
from trackledger.adapters.simulator.faults import Faults, befalls, spoiled
from trackledger.adapters.simulator.wire import Api, Asked, Reply, said
from trackledger.adapters.simulator.world import random_of

MAX_BODY = 1024 * 1024

CALLS_KEPT = 10_000

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Call(Struct, frozen=True):
    """A call of a provider, by the name under which it is served, answered as of an instant of its clock."""

    name: str
    asked: Asked
    at: datetime


class Served:
    """An ASGI application with each provider under a path of its own.

    `clock` is what time it is for all of them; it may be replaced by another at any time. `asked` counts the calls by
    path of the provider, and `calls` has the latest of them.
    """

    def __init__(self, apis: Mapping[str, Api], clock: Clock, faults: Faults, seed: int) -> None:
        self._apis = apis
        self.clock = clock
        self._faults = faults
        self._seed = seed
        self.asked: Counter[str] = Counter()
        self.calls: deque[Call] = deque(maxlen=CALLS_KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False) and len(body) <= MAX_BODY
        reply = await self._reply(scope, bytes(body))
        named = {"content-type": "application/json", **reply.headers, "content-length": str(len(reply.body))}
        headers = [(name.encode(), value.encode()) for name, value in named.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Scope, body: bytes) -> Reply:
        _, name, *path = scope["path"].split("/")
        api = self._apis.get(name)
        if api is None:
            return said({"message": f"no provider here; there are {', '.join(self._apis)}"}, 404)
        if len(body) > MAX_BODY:
            return said({"message": "the body is too large"}, 413)
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        params = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        asked = Asked(scope["method"], "/" + "/".join(path), params, headers, body)
        nth = self.asked[name] = self.asked[name] + 1
        fault = befalls(self._faults, random_of(self._seed, "call", name, nth))
        if fault == "time_outs":
            await asyncio.sleep(self._faults.hang)
        if api.name in self._faults.wrong_key:
            asked = Asked(asked.method, asked.path, {}, {"authorization": "Bearer wrong"}, asked.body)
        at = self.clock.now()
        self.calls.append(Call(name, asked, at))
        return spoiled(fault, api.answer(asked, at))
