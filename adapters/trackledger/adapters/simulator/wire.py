"""What goes over the wire between the simulator and those who ask it or listen to it?"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from hashlib import blake2b
from typing import Any, Protocol

from msgspec import Struct

from trackledger.adapters.providers.verifying import Request
from trackledger.adapters.simulator.plan import Lane
from trackledger.domain.checkpoints import Tracker


class Asked(Struct, frozen=True):
    """One request: `path` below the provider's base address, the last of each parameter, header names in lower case."""

    method: str
    path: str
    params: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def json(self) -> Any:
        """The body, an empty object where it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


class Reply(Struct, frozen=True):
    """One answer, JSON unless its headers name another type."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = {}


class Push(Struct, frozen=True):
    """One webhook, first sent at `at`; those of one `about` follow each other in their order."""

    at: datetime
    about: str
    request: Request


class Api(Protocol):
    """One provider as it is seen from outside.

    `base` is the path that its real base address ends with. `retries` are the waits before a webhook that was not taken
    is sent again.
    """

    name: str
    base: str
    retries: Sequence[timedelta]

    def answer(self, asked: Asked, at: datetime) -> Reply:
        """What is answered at an instant."""
        ...

    def pushes(self) -> Iterator[Push]:
        """Every webhook that is sent, in no order, signed."""
        ...

    def trackers(self) -> Iterator[Tracker]:
        """A tracker for each of its parcels."""
        ...


KEY = "a-key-of-the-simulator"
USER = "simulated-shop"
SECRET = "a-webhook-secret-of-the-simulator"
"""No secrets: they open nothing but a simulator on loopback."""


def said(value: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(encoded(value), status, names)


def encoded(value: Any) -> bytes:
    """JSON as it goes out."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def number_of(*what: object, bits: int = 64) -> int:
    """A number that depends on nothing but these, for the ids that a provider gives."""
    digest = blake2b("\x1f".join(map(str, what)).encode(), digest_size=bits // 8).digest()
    return int.from_bytes(digest, "big")


def uuid_of(*what: object) -> str:
    """The same as a UUID."""
    bits = f"{number_of(*what, bits=128):032x}"
    return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-9{bits[17:20]}-{bits[20:]}"


def utc(at: datetime) -> str:
    """An instant as most providers write it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def local(at: datetime, lane: Lane) -> str:
    """An instant as it is written at the end of a lane, with its offset."""
    return at.astimezone(timezone(timedelta(minutes=lane.offset(at)))).isoformat()
