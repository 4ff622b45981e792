"""A small simulated world as it stands on one of its days, in a ledger behind a server, the same in every run."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import httpx
from msgspec import Struct
from msgspec.structs import replace

from support.asked import Api, asked
from support.simulated import ask_all, heard, standing, take
from trackledger.adapters.inbox import message
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.schedule import Schedule
from trackledger.adapters.scheduling import Scheduler
from trackledger.adapters.simulator.faults import Faults
from trackledger.adapters.simulator.simulation import Running, Simulation
from trackledger.adapters.simulator.wire import SECRET

SEED = 5
PARCELS = 120
AT = timedelta(days=6, hours=15)
"""The day of the world, counted from its start, on which there is most to see."""

LOOKS = 14
"""How often until then the ledger is brought up to date: what is heard in between is recorded at these instants."""


class Rehearsed(Struct):
    """The world, the server on the ledger that follows it, and what time it is there."""

    running: Running
    api: Api
    at: datetime

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """What the tables say, `:account` being the one of most parcels."""
        return self.api.runtime.store.read(sql, account="default", **parameters)

    def tell(self, said: dict[str, Any] | bytes) -> None:
        """Have ClickPost send this to the server."""
        endpoint = next(one.endpoint for one in self.running.connections if one.name == "clickpost")
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        answer = httpx.post(
            f"{self.api.url}/webhooks/clickpost/{endpoint}", content=body, headers={"webhook_key": SECRET}
        )
        assert answer.status_code == 200, answer.text


@contextmanager
def rehearsed(url: str) -> Generator[Rehearsed]:
    """Serve a ledger at a database URL that has followed the world up to its day, until the end of the block.

    The account is `default`, to which the tokens `reader` and `operator` belong; `stranger` is of another. One message
    is parked, and every parcel that may be asked about is scheduled.
    """
    simulation = Simulation(SEED, PARCELS, faults=Faults(rewritten_history=True))
    with simulation.serve() as running:
        settings = running.settings(url)
        now = simulation.start + AT
        looked_at = simulation.start
        for number in range(1, LOOKS + 1):
            at = simulation.start + AT * number / LOOKS
            with open_runtime(replace(settings, clock=standing(at))) as runtime:
                if number == 1:
                    runtime.ledger.register(running.registrations())
                sent = [one for one in running.deliveries() if looked_at < one.push.at <= at]
                assert take(runtime, heard(runtime, sent)) == []
                if number in (LOOKS // 2, LOOKS):
                    # Twice, as the parcels of Rye's orders are known only once its orders are.
                    for _ in range(2):
                        assert take(runtime, ask_all(runtime, running, at)) == []
            looked_at = at
        with open_runtime(replace(settings, clock=standing(now))) as runtime:
            runtime.intake.take([message("clickpost", b"<html>", channel="webhook", received_at=now)])
            pairs = [(one.account, one.provider) for one in settings.accounts if one.access]
            Scheduler(runtime.database, Schedule(runtime.database), pairs).sync(now)
        with asked(url, replace(settings, clock=standing(now))) as api, _taking_in(api.runtime):
            yield Rehearsed(running, api, now)


@contextmanager
def _taking_in(runtime: Runtime) -> Generator[None]:
    """Take in what arrives and bring the tables up to it, as `run` does; nobody is asked."""
    stop = Event()
    _ = runtime.ledger, runtime.store, runtime.inbox, runtime.intake, runtime.projector
    pumps = [Thread(target=runtime.intake.run, args=(stop,)), Thread(target=runtime.projector.run, args=(stop, 0.5))]
    for pump in pumps:
        pump.start()
    try:
        yield
    finally:
        stop.set()
        for pump in pumps:
            pump.join()
