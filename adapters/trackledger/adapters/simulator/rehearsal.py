"""How does a whole ledger live through a simulated world, from its first parcel to the last word about each?"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from time import monotonic, sleep

from msgspec import Struct

from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import serving
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.pumps import pumping
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.schedule import Schedule
from trackledger.adapters.simulator.push import Pushing
from trackledger.adapters.simulator.simulation import Running, Simulation
from trackledger.domain.errors import Refused, TrackledgerError
from trackledger.projections.tables import lag

QUIET_SECONDS = 120.0
"""How long the ledger has to hear the last word about everything once the world has ended."""

LOOK_EVERY = 0.05


class Unfinished(TrackledgerError):
    """The ledger did not come to rest although nothing new was told."""


class Counts(Struct, frozen=True):
    """How far it has come: messages kept, of them waiting and parked, events, parcels, checkpoints, the events that the
    tables lag behind, calls of providers and webhooks that were taken."""

    at: datetime
    messages: int
    waiting: int
    parked: int
    events: int
    lag: int
    shipments: int
    checkpoints: int
    asked: int
    webhooks: int


class Rehearsal:
    """A ledger with its server at `url`, which admits the simulator's token, its poller and pumps, and the simulator
    that it hears of everything from."""

    def __init__(self, runtime: Runtime, running: Running, pushing: Pushing, url: str) -> None:
        self.runtime = runtime
        self.running = running
        self.url = url
        self._pushing = pushing

    @property
    def has_ended(self) -> bool:
        """Whether everything has happened, and every webhook was sent."""
        return self.running.clock.has_ended and self._pushing.wait(0)

    def counts(self) -> Counts:
        """How far it has come by now."""
        store = self.runtime.store
        (row,) = store.read(
            """SELECT (SELECT COUNT(*) FROM {s}messages) AS messages,
                 (SELECT COUNT(*) FROM {s}messages WHERE state = 'waiting') AS waiting,
                 (SELECT COUNT(*) FROM {s}messages WHERE state = 'parked') AS parked,
                 (SELECT COUNT(*) FROM {s}shipments) AS shipments,
                 (SELECT COUNT(*) FROM {s}timeline) AS checkpoints"""
        )
        return Counts(
            at=self.running.clock.now(),
            events=store.head(),
            lag=lag(store),
            asked=sum(self.running.asked.values()),
            webhooks=self._pushing.counts["taken"],
            **row,
        )

    def settle(self) -> None:
        """Have it hear the last word about everything; raises as the function does."""
        settle(self.runtime, self.running)


def settle(runtime: Runtime, running: Running) -> None:
    """Have everything asked about once more now that the world has ended, until all that is said is in the tables.

    The work may be done by other processes on the same ledger. What belongs to an account that is stopped is not waited
    for. Raises `Unfinished` when it does not come to an end.
    """
    deadline = monotonic() + QUIET_SECONDS
    schedule = Schedule(runtime.database)
    asked_again: set[str] = set()
    while monotonic() < deadline:
        # A parcel that Rye announces late brings its own tracker along, which is then asked about too.
        found = runtime.store.read("SELECT shipment_id FROM {s}poll_schedule")
        left = {row["shipment_id"] for row in found} - asked_again
        if left:
            schedule.soon(sorted(left), running.clock.now())
            asked_again |= left
        elif _is_quiet(runtime, running.until):
            return
        sleep(LOOK_EVERY)
    raise Unfinished("not everything that was told has reached the tables; see `trackledger doctor`")


def _is_quiet(runtime: Runtime, ended: datetime) -> bool:
    """Whether nothing waits, and everything was asked about with success after the end; what a provider was told to
    follow when it did not know it, once more after that."""
    (row,) = runtime.store.read(
        """SELECT (SELECT COUNT(*) FROM {s}messages WHERE state = 'waiting') AS waiting,
             (SELECT COUNT(*) FROM {s}poll_schedule p JOIN {s}poll_accounts a
                ON a.account = p.account AND a.provider = p.provider AND a.stopped = ''
                WHERE p.leased_until IS NOT NULL OR (p.state = 'asking' AND
                  (p.asked_at IS NULL OR p.asked_at < :ended OR p.failures > 0 OR p.unknown = 1))) AS asking,
             (SELECT COUNT(*) FROM {s}tracker_links l JOIN {s}poll_accounts a
                ON a.account = l.account AND a.provider = l.provider
                WHERE NOT EXISTS (SELECT 1 FROM {s}poll_schedule q WHERE q.tracker = l.tracker)) AS unscheduled""",
        ended=ended,
    )
    return not any(row.values()) and lag(runtime.store) == 0


@contextmanager
def rehearsal(simulation: Simulation, database: str) -> Generator[Rehearsal]:
    """Play the providers, follow their parcels with the ledger at a database URL, and do all the work in this process
    until the end of the block. Raises `Refused` for a ledger that is not empty."""
    with simulation.serve() as running, open_runtime(running.settings(database)) as runtime:
        if runtime.store.head():
            raise Refused("a rehearsal needs a ledger of its own, and this one is not empty; name another with --db")
        registrations = running.registrations()
        for start in range(0, len(registrations), 1000):
            runtime.ledger.register(registrations[start : start + 1000])
        metrics = Metrics()
        with pumping(runtime, metrics), serving(create_app(runtime, metrics)) as url:
            pushing = running.push_to(url)
            try:
                yield Rehearsal(runtime, running, pushing, url)
            finally:
                running.stop()
