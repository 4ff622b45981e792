"""Other processes, and what they are asked to do: each function opens the ledger at a URL for itself."""

import multiprocessing
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage import open_database
from trackledger.domain.checkpoints import Report
from trackledger.projections.projector import Projector

SOON = 0.25
"""Seconds until work that is to start at once starts in every process."""

R = TypeVar("R")

Receipts = list[tuple[int, int, int]]


class Processes:
    """A number of processes that are running and have imported what they need."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.count = count
        self._pool = ProcessPoolExecutor(count, context, _await_the_others, (context.Barrier(count),))
        for started in [self._pool.submit(time.sleep, 0) for _ in range(count)]:
            started.result()

    def start(self, work: Callable[..., R], *arguments: Any) -> "Future[R]":
        """Begin one piece of work."""
        return self._pool.submit(work, *arguments)

    def together(self, work: Callable[..., R], arguments: Iterable[Sequence[Any]]) -> list[R]:
        """Do as many pieces of work as there are arguments, started at the same moment in different processes."""
        moment = time.time() + SOON
        futures = [self._pool.submit(_at, moment, work, *some) for some in arguments]
        assert len(futures) <= self.count
        return [future.result() for future in futures]

    def close(self) -> None:
        self._pool.shutdown()


@contextmanager
def processes(count: int) -> Generator[Processes]:
    """So many processes, until the end of the block."""
    running = Processes(count)
    try:
        yield running
    finally:
        running.close()


def _await_the_others(barrier: Any) -> None:
    barrier.wait(60)


def _at(moment: float, work: Callable[..., R], *arguments: Any) -> R:
    time.sleep(max(0.0, moment - time.time()))
    return work(*arguments)


def create(url: str) -> str:
    """Open a ledger, making it if it is missing."""
    database = open_database(url)
    database.close()
    return database.dialect


def take_in(url: str, batches: Sequence[Sequence[Report]]) -> Receipts:
    """Take in batches of reports; (recorded, amended, events) of each report."""
    with open_runtime(Settings(url)) as runtime:
        receipts = [receipt for batch in batches for receipt in runtime.ledger.intake(batch)]
    assert not [receipt.error for receipt in receipts if receipt.error]
    return [(receipt.recorded, receipt.amended, receipt.events) for receipt in receipts]


def pump(url: str, batch: int) -> int:
    """Bring the tables up to the ledger; the number of events taken in."""
    with open_runtime(Settings(url)) as runtime:
        return Projector(runtime.store, batch=batch).catch_up()


def pump_for_ever(url: str, batch: int) -> None:
    """Follow the ledger until killed."""
    with open_runtime(Settings(url)) as runtime:
        Projector(runtime.store, batch=batch).run(Event())


def hold(url: str, seconds: float) -> None:
    """Keep a writing transaction open."""
    database = open_database(url)
    with database.transaction() as transaction:
        transaction.execute("UPDATE {s}positions SET position = position")
        time.sleep(seconds)
    database.close()
