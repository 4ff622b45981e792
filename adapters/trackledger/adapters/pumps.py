"""How does one process do all the work beside the server: ask, take in, keep the tables, and seal?"""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread

from trackledger.adapters.inbox import Outcome
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.poller import Poller
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime
from trackledger.domain.errors import traced

RESTING = 5.0
"""Seconds after which a pump that ended unforeseen begins again."""

LOOKS_UP = 1.0
"""Seconds after which a silent projector sees that it is to end."""

log = logging.getLogger("trackledger.pumps")


@contextmanager
def pumping(runtime: Runtime, metrics: Metrics) -> Generator[None]:
    """Poller, intake, projector, and a sealer where there is a key for it, each in threads of its own, until the end of
    the block, which waits for them.

    Each can be killed at any point, and others of their kind may run in other processes. Raises `UsageError` for
    credentials that cannot be right.
    """
    stop = Flag()
    sealer = runtime.sealer if runtime.settings.proof.key else None
    poller = Poller(runtime, metrics, stop)

    def told(message: Message, outcome: Outcome) -> None:
        metrics.messages.labels(message.provider, outcome.state).inc()

    pumps = {
        "poller": poller.run,
        "intake": lambda: runtime.intake.run(stop, told),
        "projector": lambda: runtime.projector.run(stop, LOOKS_UP),
    }
    if sealer is not None:
        pumps["sealer"] = lambda: sealer.run(stop, runtime.settings.proof.seal_every)
    # Made here, as threads that ask for a part at once would make it twice.
    _ = runtime.ledger, runtime.store, runtime.inbox
    threads = [Thread(target=_go_on, args=(name, pump, stop), name=name) for name, pump in pumps.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        poller.close()


def _go_on(name: str, pump: Callable[[], None], stop: Flag) -> None:
    """Run a pump until it ends because it was told to; one that fails unforeseen is begun again."""
    while not stop.is_set():
        try:
            pump()
        except Exception as error:
            log.error("the %s failed unforeseen and begins again; report this: %s", name, traced(error))
            log.debug("the %s failed", name, exc_info=error)
            stop.wait(RESTING)
