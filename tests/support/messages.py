"""The fixtures of every provider, as messages, and what `expected.json` beside them says of each."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trackledger.adapters.inbox import message
from trackledger.adapters.providers import PROVIDERS
from trackledger.adapters.providers.base import Message
from trackledger.domain.checkpoints import Channel

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECEIVED = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)

EXPECTED: dict[str, dict[str, Any]] = {
    name: json.loads((FIXTURES / name / "expected.json").read_bytes()) for name in PROVIDERS
}

ALL = [(provider, name) for provider, fixtures in EXPECTED.items() for name in fixtures]
"""Every fixture as (provider, name)."""


def channel_of(name: str) -> Channel:
    """A fixture's name begins with its channel; those of neither came as answers."""
    return "webhook" if name.startswith("webhook") else "poll"


def body_of(provider: str, name: str) -> bytes:
    """The bytes of a fixture."""
    return (FIXTURES / provider / f"{name}.json").read_bytes()


def kept(provider: str, name: str, body: bytes | None = None, received_at: datetime = RECEIVED) -> Message:
    """A fixture as the inbox keeps it, with another body if one is given."""
    context = EXPECTED[provider][name].get("context", {})
    raw = body_of(provider, name) if body is None else body
    return message(provider, raw, channel=channel_of(name), received_at=received_at, context=context)


def of_provider(provider: str) -> Iterator[Message]:
    """Every fixture of a provider, each received a minute after the one before."""
    for minute, name in enumerate(EXPECTED[provider]):
        yield kept(provider, name, received_at=RECEIVED.replace(minute=minute))
