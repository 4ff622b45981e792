"""How are the routes, the limits and what they share put together to one application?"""

from importlib.metadata import version

from fastapi import FastAPI

from trackledger.adapters.http import health, webhooks
from trackledger.adapters.http.limits import Limits
from trackledger.adapters.http.receiver import Receiver
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.runtime import Runtime

DESCRIPTION = """Webhooks of tracking providers, kept before they are acknowledged. Every refusal is JSON with one
sentence in `detail`."""


def create_app(runtime: Runtime, metrics: Metrics | None = None) -> FastAPI:
    """An ASGI application on an open ledger, to be served or mounted; the ledger stays the caller's to close.

    It does not run the pumps that take in what it keeps: `run` does, or `poll` and `project` in other processes.
    """
    metrics = metrics or Metrics()
    app = FastAPI(
        title="trackledger", version=version("trackledger"), description=DESCRIPTION, docs_url=None, redoc_url=None
    )
    receiver = Receiver(runtime.inbox, metrics)
    app.router.routes += webhooks.routes(runtime.settings, receiver, metrics)
    app.include_router(health.router(runtime, metrics))
    app.add_middleware(Limits, max_concurrent=runtime.settings.server.max_concurrent)
    described = app.openapi()
    described["paths"].update(webhooks.DESCRIBED)
    return app
