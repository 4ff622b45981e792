"""How are the routes, the limits and what they share put together to one application?"""

from importlib.metadata import version

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse

from trackledger.adapters.http import api, health, problems, webhooks
from trackledger.adapters.http.api.services import Services
from trackledger.adapters.http.console.application import console
from trackledger.adapters.http.limits import Limits
from trackledger.adapters.http.moments import Moments
from trackledger.adapters.http.principals import Principals
from trackledger.adapters.http.receiver import Receiver
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.runtime import Runtime

DESCRIPTION = """Webhooks of tracking providers, kept before they are acknowledged, and the query API. Every refusal is
JSON with one sentence in `detail`; of the API, as problem details (RFC 9457)."""


def create_app(runtime: Runtime, metrics: Metrics | None = None, *, with_console: bool = True) -> FastAPI:
    """An ASGI application on an open ledger, to be served, or mounted in another at any path.

    The ledger stays the caller's to close, after the last request was answered; what the application keeps open is
    closed with it, so that nothing depends on its lifespan, which hosts do not run for what they mount. All that it
    shares is between its own requests: several in one process, each on a ledger of its own, know nothing of each other.
    Its errors, its limits and its description are its own, and the host's handlers do not see them. The caller has a
    proxy's or a mount's path told as ASGI says, as `root_path`.

    Without the console there are webhooks, the query API and what machines look at, and `/console` is nothing.

    It does not run the pumps that take in what it keeps: `run` does, or `poll` and `project` in other processes.
    """
    metrics = metrics or Metrics()
    app = FastAPI(
        title="trackledger", version=version("trackledger"), description=DESCRIPTION, docs_url=None, redoc_url=None
    )
    receiver = Receiver(runtime.inbox, metrics)
    app.router.routes += webhooks.routes(runtime.settings, receiver, metrics)
    app.include_router(health.router(runtime, metrics))
    moments = Moments(runtime)
    runtime.on_close(moments.close)
    app.state.services = Services(runtime, Principals(runtime.settings), moments)
    for router in api.ROUTERS:
        app.include_router(router, prefix="/api")
    if with_console:
        app.add_api_route("/console", _to_console, include_in_schema=False)
        app.mount("/console", console(app.state.services))
    problems.install(app)
    app.add_middleware(Limits, max_concurrent=runtime.settings.server.max_concurrent)
    described = app.openapi()
    described["paths"].update(webhooks.DESCRIBED)
    return app


def _to_console(request: Request) -> RedirectResponse:
    """By a path, as the name of the host is whatever somebody says it is."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/console/")
