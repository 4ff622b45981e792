"""A ledger behind a real web server, with an endpoint for every provider that has webhooks."""

from collections.abc import Generator
from contextlib import contextmanager

import httpx
from msgspec import Struct
from pydantic import SecretStr

from support.signing import SIGNED
from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import serving
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.providers.verifying import Endpoint
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import ProviderAccount, ServerSettings, Settings

SECRET = "a-secret-that-nobody-guesses"
ENDPOINT = "an-endpoint-that-nobody-guesses"
ACCOUNT = "shop"


def accounts() -> tuple[ProviderAccount, ...]:
    """One endpoint for each provider that signs or shows a secret."""
    names = dict.fromkeys(way.split()[0] for way in SIGNED)
    accepts = {ENDPOINT: Endpoint((SecretStr(SECRET),))}
    return tuple(ProviderAccount(ACCOUNT, name, endpoints=accepts) for name in names)


def path(name: str, endpoint: str = ENDPOINT) -> str:
    """The path of a provider's endpoint."""
    return f"/webhooks/{name}/{endpoint}"


def signed(way: str, body: bytes, secret: str = SECRET) -> dict[str, str]:
    """The headers with which a provider sends a body."""
    return SIGNED[way](secret, body)


class Served(Struct):
    """The running server, its ledger, its counters, and a client that talks to it."""

    runtime: Runtime
    metrics: Metrics
    client: httpx.Client

    def send(self, way: str, body: bytes, **headers: str) -> httpx.Response:
        """Send a body as the provider does."""
        return self.client.post(path(way.split()[0]), content=body, headers=signed(way, body) | headers)

    def messages(self) -> list[dict[str, object]]:
        """What the inbox holds, the oldest first."""
        return self.runtime.store.read("SELECT * FROM {s}messages ORDER BY received_at, message_id")

    def counted(self, provider: str, outcome: str) -> float:
        """How many requests of a provider came to this end."""
        labels = {"provider": provider, "outcome": outcome}
        return self.metrics.registry.get_sample_value("trackledger_webhooks_total", labels) or 0.0


@contextmanager
def served(url: str, limits: ServerSettings | None = None) -> Generator[Served]:
    """Serve the ledger at a database URL until the end of the block."""
    settings = Settings(url, accounts=accounts(), server=limits or ServerSettings())
    metrics = Metrics()
    with (
        open_runtime(settings) as runtime,
        serving(create_app(runtime, metrics)) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield Served(runtime, metrics, client)
