"""Other processes, and what they are asked to do: each function opens the ledger at a URL for itself."""

import multiprocessing
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

from eventsourcing.persistence import StoredEvent

from trackledger.adapters.follow_up import FollowUp
from trackledger.adapters.inbox import Inbox, Outcome, message
from trackledger.adapters.intake import Intake
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage import open_database
from trackledger.domain.checkpoints import Report
from trackledger.projections.projector import Projector
from trackledger.projections.tables import VIEWS

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


def pump_for_ever(url: str, batch: int, stop: str = "") -> None:
    """Follow the ledger until killed, or until the file `stop` is there."""
    flag = Event()
    if stop:
        Thread(target=_set_when_there, args=(flag, stop)).start()
    with open_runtime(Settings(url)) as runtime:
        Projector(runtime.store, batch=batch).run(flag)


def _set_when_there(flag: Event, path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.05)
    flag.set()


def read_until(url: str, stop: str) -> int:
    """Ask every table and view over and over until the file `stop` is there; how often.

    Fails when one is missing, holds less than it did before, as nothing is ever taken back, or is of another moment
    than the others that are read with it: `shipments` says how many lines of `timeline` it has.
    """
    times = 0
    seen = {"shipments": 0, "timeline": 0, "delivery_dates": 0, "estimates": 0}
    whole = """SELECT (SELECT COUNT(*) FROM {s}timeline WHERE NOT withdrawn) AS lines,
                      (SELECT COALESCE(SUM(checkpoints), 0) FROM {s}shipments) AS counted"""
    with open_runtime(Settings(url)) as runtime:
        while not Path(stop).exists():
            for name, before in seen.items():
                seen[name] = runtime.store.read(f"SELECT COUNT(*) AS n FROM {{s}}{name}")[0]["n"]
                assert seen[name] >= before
            for one, other in (("shipments", "timeline"), ("timeline", "shipments")):
                joined = f"SELECT COUNT(*) AS n FROM {{s}}{one} a JOIN {{s}}{other} b ON a.shipment_id = b.shipment_id"
                assert runtime.store.read(joined)[0]["n"] >= seen["timeline"]
            assert len({int(number) for number in runtime.store.read(whole)[0].values()}) == 1
            with runtime.database.snapshot() as snapshot:
                (counted,) = snapshot.read("SELECT COALESCE(SUM(checkpoints), 0) AS n FROM {s}shipments")
                time.sleep(0.01)
                assert snapshot.read("SELECT COUNT(*) AS n FROM {s}timeline WHERE NOT withdrawn") == [counted]
            for view in VIEWS:
                runtime.store.read(f"SELECT COUNT(*) AS n FROM {{s}}{view.name}")
            times += 1
    return times


def hold(url: str, flag: str, seconds: float) -> float:
    """Keep a writing transaction open, touching the flag once it is; the time at which it ended."""
    database = open_database(url)
    with database.transaction() as transaction:
        transaction.append([])
        Path(flag).touch()
        time.sleep(seconds)
        ended = time.time()
    database.close()
    return ended


def keep(url: str, numbers: Sequence[int]) -> None:
    """Put messages into the inbox."""
    database = open_database(url)
    moment = datetime(2025, 3, 3, tzinfo=UTC)
    Inbox(database).append([message("clickpost", str(number).encode(), received_at=moment) for number in numbers])
    database.close()


def claim(url: str, times: int, limit: int) -> list[str]:
    """Claim messages so many times; the ids of all that were got."""
    database = open_database(url)
    inbox = Inbox(database)
    got = [claimed.message.message_id for _ in range(times) for claimed in inbox.claim(limit, 60)]
    database.close()
    return got


def claim_and_hang(url: str, flag: str, seconds: float) -> None:
    """Claim some messages for so many seconds, touch the flag, and never do anything with them."""
    Inbox(open_database(url)).claim(20, seconds)
    Path(flag).touch()
    time.sleep(600)


def take_messages(url: str, batch: int, claim_seconds: float, stop: str = "") -> tuple[list[str], int]:
    """Take in messages until killed, or until the file `stop` is there: their ids, and the checkpoints recorded."""
    flag = Event()
    if stop:
        Thread(target=_set_when_there, args=(flag, stop)).start()
    taken: list[Outcome] = []
    with open_runtime(Settings(url)) as runtime:
        follow_up = FollowUp(runtime.settings.follow_up)
        intake = Intake(runtime.inbox, runtime.ledger, follow_up, batch=batch, claim_seconds=claim_seconds)
        intake.run(flag, lambda message, outcome: taken.append(outcome))
    return [outcome.message_id for outcome in taken], sum(outcome.recorded for outcome in taken)


def forget_and_hang(url: str, shipment_id: str, before: str, flag: str) -> None:
    """Forget a shipment as far as the step `before`, touch the flag, and do nothing more."""

    def hang(*_: object) -> None:
        Path(flag).touch()
        time.sleep(600)

    with open_runtime(Settings(url, privacy="sealed")) as runtime:
        steps = {
            "event": (runtime.ledger, "forget"),
            "rows": (runtime.projector, "catch_up"),
            "deletion": (runtime.forgetting, "_erase"),
            "scrubbing": (runtime.database, "scrub"),
        }
        setattr(*steps[before], hang)
        runtime.forgetting.scrub([runtime.forgetting.forget(shipment_id, "clerk@shop", "asked to")])


def in_a_doomed_transaction(url: str, flag: str) -> None:
    """Append, touch the flag, and never commit."""
    database = open_database(url)
    with database.transaction() as transaction:
        transaction.append([StoredEvent("doomed", 1, "test.Happened", b"{}")])
        Path(flag).touch()
        time.sleep(600)


def killed(work: Callable[..., object], *arguments: Any, when: Callable[[], bool]) -> None:
    """Do work in a process of its own and kill that, as the kernel would, once something is so."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    try:
        deadline = time.monotonic() + 60
        while not when():
            assert process.is_alive() and time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        process.kill()
        process.join()
        process.close()
