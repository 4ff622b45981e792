"""Trackers to ask about, and what becomes of them: also in other processes, each of which opens the ledger itself."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

from msgspec.structs import replace
from pydantic import SecretStr

from trackledger.adapters.budget import Budget
from trackledger.adapters.clock import Clock
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.poller import Poller
from trackledger.adapters.providers.asking import Access
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.schedule import Pair, Schedule
from trackledger.adapters.scheduling import Scheduler
from trackledger.adapters.settings import ProviderAccount, Settings
from trackledger.adapters.storage import open_database
from trackledger.domain.checkpoints import Registration, Tracker


class Standing(Clock, frozen=True):
    """A clock that stands still."""

    def now(self) -> datetime:
        """The instant that it was made for."""
        assert self.world is not None
        return self.world


SHOP: Pair = ("default", "shippit")
KEY = "the-key-that-nobody-may-see"


def register(runtime: Runtime, name: str, *references: str, account: str = "default", **details: str) -> list[str]:
    """Open a shipment for each reference at a provider; their ids."""
    registrations = [
        Registration(account=account, trackers=(Tracker(name, one, tracking_number=one),), details=details)
        for one in references
    ]
    receipts = runtime.ledger.register(registrations)
    assert not [receipt.error for receipt in receipts if receipt.error]
    return [receipt.shipment_id for receipt in receipts]


def sync(runtime: Runtime, now: datetime, *pairs: Pair) -> None:
    """Bring the tables up to the ledger and the due-table up to both."""
    runtime.projector.catch_up()
    Scheduler(runtime.database, Schedule(runtime.database), pairs).sync(now)


def scheduled(runtime: Runtime) -> dict[str, dict[str, Any]]:
    """The due-table by tracker."""
    found = runtime.database.read("SELECT * FROM {s}poll_schedule ORDER BY tracker")
    return {row["tracker"]: row for row in found}


def change(runtime: Runtime, tracker: str, **values: Any) -> None:
    """Write a row of the due-table by hand."""
    columns = ", ".join(f"{name} = :{name}" for name in values)
    with runtime.database.transaction() as transaction:
        sql = f"UPDATE {{s}}poll_schedule SET {columns} WHERE tracker = :tracker"
        assert transaction.execute(sql, tracker=tracker, **values) == 1


def open_account(runtime: Runtime, pair: Pair, now: datetime, key: str = KEY, per_second: float = 1.0) -> Budget:
    """The budget of an account that is asked."""
    budget = Budget(runtime.database, pair, per_second, Access(SecretStr(key)))
    budget.open(now)
    return budget


def asked_account(
    name: str, url: str, *, account: str = "default", per_second: float = 1000.0, key: str = KEY, **options: str
) -> ProviderAccount:
    """An account that asks a provider that is played at this address."""
    user = "shop" if name == "clickpost" else ""
    return ProviderAccount(account, name, Access(SecretStr(key), user, url, options), per_second=per_second)


# in other processes


def sync_together(url: str, now: datetime, pairs: Sequence[Pair], times: int) -> None:
    """Follow the ledger, so many times."""
    database = open_database(url)
    scheduler = Scheduler(database, Schedule(database), pairs)
    for _ in range(times):
        scheduler.sync(now)
        time.sleep(0.001)
    database.close()


def lease_all(url: str, pair: Pair, now: datetime, limit: int) -> list[str]:
    """Lease until nothing is left; what was got."""
    database = open_database(url)
    schedule = Schedule(database)
    got: list[str] = []
    while leased := schedule.lease(pair, limit, 60, now):
        got += [due.row.tracker for due in leased]
    database.close()
    return got


def lease_and_hang(url: str, pair: Pair, now: datetime, seconds: float, flag: str) -> None:
    """Lease what is due, touch the flag, and never do anything with it."""
    Schedule(open_database(url)).lease(pair, 100, seconds, now)
    Path(flag).touch()
    time.sleep(600)


def reserve(url: str, pair: Pair, per_second: float, calls: int) -> list[datetime]:
    """The instants reserved for so many calls, each used in its time."""
    database = open_database(url)
    budget = Budget(database, pair, per_second, Access(SecretStr(KEY)))
    got = []
    for _ in range(calls):
        got.append(budget.reserve())
        time.sleep(max(0.0, (got[-1] - datetime.now(UTC)).total_seconds()))
    database.close()
    return got


def poll_until(settings: Settings, stop: str) -> None:
    """Ask for ever, until the file `stop` is there."""
    flag = Event()

    def watch() -> None:
        while not Path(stop).exists():
            time.sleep(0.02)
        flag.set()

    Thread(target=watch).start()
    with open_runtime(settings) as runtime:
        poller = Poller(runtime, Metrics(), flag)
        poller.run()
        poller.close()


def poll_and_die(settings: Settings, flag: str) -> None:
    """Ask, keep the answers, touch the flag, and never write when to ask again."""

    def hang(self: Schedule, settled: object) -> None:
        Path(flag).touch()
        time.sleep(600)

    Schedule.settle = hang  # type: ignore[method-assign]
    with open_runtime(settings) as runtime:
        Poller(runtime, Metrics(), Event()).once()


def at_speed(settings: Settings, world: datetime, speed: float) -> Settings:
    """The same settings with a clock that shows `world` now and runs so many times as fast."""
    return replace(settings, clock=Clock(world, datetime.now(UTC), speed))


def earliest(instants: Sequence[datetime]) -> timedelta:
    """The shortest time between two of these."""
    ordered = sorted(instants)
    return min(then - first for first, then in pairwise(ordered))
