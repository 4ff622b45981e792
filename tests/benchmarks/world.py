"""How is a ledger filled from simulated worlds, as many checkpoints as wanted, while its tables are kept?"""

from collections.abc import Iterator
from datetime import timedelta

from support.simulated import ask_all, heard
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.simulator.simulation import Running, Simulation
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.ledger import Ledger

PARCELS = 2_000
"""Parcels of one world; each is an account of its own."""

TOGETHER = 500
"""Messages taken in at once."""


def messages(database: str, checkpoints: int) -> Iterator[tuple[Runtime, list[Message]]]:
    """Messages in the order of their arrival, so many at once, until the ledger holds that many checkpoints; the
    settings of its runtime know the account that they are for.

    Every other world is heard by webhooks, one scan at a time, and asked once at its end, the others are asked three
    times. Each parcel's answer has its whole story so far.
    """
    told = 0
    seed = 0
    while told < checkpoints:
        seed += 1
        simulation = Simulation(seed, PARCELS, account=f"shop{seed:03}")
        with simulation.serve() as running, open_runtime(running.settings(database)) as runtime:
            # Recorded by the machine's clock, as the worlds follow each other here and their own clocks do not.
            runtime.ledger = Ledger(Recorder(runtime.database), withdraws=runtime.settings.withdraws)
            registrations = running.registrations()
            for start in range(0, len(registrations), 1000):
                runtime.ledger.register(registrations[start : start + 1000])
            for batch in _of(running, runtime, webhooks=seed % 2 == 0):
                yield runtime, batch
            told = int(runtime.store.read("SELECT COUNT(*) AS n FROM {s}timeline")[0]["n"])


def _of(running: Running, runtime: Runtime, *, webhooks: bool) -> Iterator[list[Message]]:
    pushed = heard(runtime, running.deliveries()) if webhooks else []
    for start in range(0, len(pushed), TOGETHER):
        yield pushed[start : start + TOGETHER]
    for days_before in (0,) if webhooks else (9, 5, 0):
        asked = ask_all(runtime, running, running.until - timedelta(days=days_before))
        for start in range(0, len(asked), TOGETHER):
            yield asked[start : start + TOGETHER]
