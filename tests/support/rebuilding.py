"""Rebuilds that stop at a certain point, in whichever process."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from support.parcels import webhooks
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.rebuilds import Rebuilds
from trackledger.domain.errors import Contended
from trackledger.projections.rebuild import rebuild

EVENTS = 7
"""Events of one batch, so that small ledgers have several."""


def small(runtime: Runtime) -> Rebuilds:
    """What rebuilds in small batches."""
    return Rebuilds(runtime.database, runtime.store, events=EVENTS)


def after(rebuilds: Rebuilds, step: str, times: int, do: Callable[[], object]) -> Rebuilds:
    """The same, doing something once a step was taken so many times; the steps of its pump are called `advance`."""
    on: Any = rebuilds.store if step == "advance" else rebuilds
    take = getattr(on, step)
    left = times

    def taken(*args: Any) -> Any:
        nonlocal left
        result = take(*args)
        left -= 1
        if left == 0:
            do()
        return result

    setattr(on, step, taken)
    return rebuilds


def rebuild_and_hang(url: str, step: str, times: int, flag: str) -> None:
    """Rebuild, take in something once it has begun, and after a step touch the flag and do nothing more."""

    def hang() -> None:
        Path(flag).touch()
        time.sleep(600)

    with open_runtime(Settings(url)) as runtime:
        rebuilds = small(runtime)
        after(rebuilds, "begin", 1, lambda: runtime.ledger.intake(webhooks(2, first=100)))
        after(rebuilds, step, times, hang)
        rebuild(rebuilds)


def rebuild_or_tell(url: str) -> str:
    """Rebuild; why not, if not."""
    with open_runtime(Settings(url)) as runtime:
        try:
            rebuild(small(runtime))
        except Contended as error:
            return str(error)
    return "rebuilt"


def presume_dead(runtime: Runtime) -> None:
    """As if the time had passed after which a rebuild that gives no sign of life is presumed dead."""
    with runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}rebuilds SET leased_until = alive_at")


def leased_until(runtime: Runtime) -> datetime | None:
    """Until when nobody else may take the rebuild over; None where there is none."""
    return next((row["leased_until"] for row in runtime.store.read("SELECT leased_until FROM {s}rebuilds")), None)
