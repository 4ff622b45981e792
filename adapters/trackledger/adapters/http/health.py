"""Is this process alive, is the ledger usable, and what does a monitoring system want to know?"""

from collections.abc import Iterator

from eventsourcing.persistence import PersistenceError
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from trackledger.adapters.metrics import Metrics
from trackledger.adapters.runtime import Runtime
from trackledger.domain.errors import TrackledgerError
from trackledger.domain.mapper import decode
from trackledger.projections.tables import POSITION, lag


class Ledger(Collector):
    """What the tables say at the moment of a collection: how much waits, and for how long."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing in advance: collecting asks the database, which a registration must not."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        store, inbox = self._runtime.store, self._runtime.inbox
        unsettled = GaugeMetricFamily(
            "trackledger_messages_unsettled", "Messages that wait or are parked", labels=("provider", "state")
        )
        oldest = GaugeMetricFamily(
            "trackledger_oldest_waiting_seconds", "Age of the oldest message that waits to be read"
        )
        for labels, count in inbox.counts().items():
            unsettled.add_metric(labels, count)
        waited = inbox.oldest_waiting(self._runtime.settings.clock.now())
        oldest.add_metric((), max(0.0, waited.total_seconds()) if waited else 0.0)
        yield unsettled
        yield oldest
        yield GaugeMetricFamily("trackledger_lag_events", "Events that the tables do not show yet", lag(store))
        yield GaugeMetricFamily("trackledger_lag_seconds", "Age of the oldest such event", _lag_seconds(self._runtime))
        poisoned = store.read("SELECT COUNT(*) AS n FROM {s}poisoned")[0]["n"]
        yield GaugeMetricFamily("trackledger_poisoned_shipments", "Shipments that cannot be folded", poisoned)


def _lag_seconds(runtime: Runtime) -> float:
    position = runtime.store.position(POSITION)
    following = runtime.store.notifications(position, 1)
    if not following:
        return 0.0
    recorded_at = decode(following[0]).event.recorded_at
    return max(0.0, (runtime.settings.clock.now() - recorded_at).total_seconds())


def router(runtime: Runtime, metrics: Metrics) -> APIRouter:
    """The routes that machines look at."""
    routes = APIRouter(tags=["health"])
    gauges = CollectorRegistry()
    gauges.register(Ledger(runtime))

    @routes.get("/healthz")
    def healthz() -> dict[str, bool]:
        """The process answers."""
        return {"ok": True}

    @routes.get("/readyz", responses={503: {"description": "The database does not answer"}})
    def readyz() -> Response:
        """The database answers; `lag` is how many events the tables are behind the ledger."""
        try:
            return JSONResponse({"ok": True, "lag": lag(runtime.store)})
        except (PersistenceError, TrackledgerError):
            return JSONResponse({"ok": False, "detail": "the database does not answer"}, 503)

    @routes.get("/metrics", response_class=PlainTextResponse)
    def metrics_() -> Response:
        """The counters of this process and the state of the ledger, in the text format of Prometheus."""
        text = generate_latest(metrics.registry) + generate_latest(gauges)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return routes
