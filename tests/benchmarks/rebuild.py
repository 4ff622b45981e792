"""How fast are the tables made anew, with nobody else at work and under load, and what do readers feel of it?

    uv run python -m benchmarks.rebuild [--checkpoints 200000] [--only sqlite|postgresql]

started in `tests/`. Rates are checkpoints per second of wall time, from the first event until the new tables are in
their place, comparison included. Under load another process takes in reports and keeps the tables, as fast as it can,
and a third asks one shipment and its timeline at a time; all of them and the database share the machine. The times that
these readings took are told before the rebuild, during it, and within a second around the switch.
"""

import argparse
import multiprocessing
import tempfile
import time
import uuid
from collections.abc import Callable
from itertools import islice
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from queue import Queue
from time import perf_counter
from typing import Any

from benchmarks.__main__ import batches, memory, say
from benchmarks.parcels import CHECKPOINTS
from support.postgres import server
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.builds import drop_old
from trackledger.projections.rebuild import rebuild

LOADED = 50_000_000
"""The first parcel of those that are taken in under load."""

Readings = list[tuple[float, float]]
"""When each began, by a clock of all processes, and how long it took."""


def load(url: str, stop: Flag, told: "Queue[Any]") -> None:
    """Take in reports, a hundred at a time, and fold them, until told to stop; how many checkpoints, and seconds."""
    with open_runtime(Settings(url)) as runtime:
        done, started = 0, perf_counter()
        source = (report for batch in batches(1_000_000, first=LOADED) for report, _ in batch)
        while not stop.is_set():
            some = list(islice(source, 100))
            runtime.ledger.intake(some)
            runtime.projector.catch_up()
            done += len(some) * CHECKPOINTS
        told.put((done, perf_counter() - started))


def read(url: str, stop: Flag, told: "Queue[Any]") -> None:
    """Ask shipments one after the other until told to stop; the readings."""
    readings: Readings = []
    with open_runtime(Settings(url)) as runtime:
        ids = [row[0] for row in runtime.database.tuples("SELECT shipment_id FROM {s}shipments LIMIT 1000")]
        while not stop.is_set():
            id_ = ids[len(readings) % len(ids)]
            began, started = time.time(), perf_counter()
            found = runtime.store.read("SELECT * FROM {s}shipments WHERE shipment_id = :id", id=id_)
            lines = runtime.store.read("SELECT * FROM {s}timeline WHERE shipment_id = :id", id=id_)
            readings.append((began, perf_counter() - started))
            assert len(found) == 1 and len(lines) == CHECKPOINTS
    told.put(readings)


def felt(name: str, readings: Readings) -> None:
    """How long readings took, in milliseconds."""
    took = sorted(seconds * 1000 for _, seconds in readings)
    if took:
        half, most = took[len(took) // 2], took[int(len(took) * 0.99)]
        say(f"    {name:<26} {len(took):>8,} times   median {half:.2f} ms   p99 {most:.2f} ms   max {took[-1]:.2f} ms")


def measure(kind: str, url: str, checkpoints: int) -> None:
    """Idle first, then under load."""
    with open_runtime(Settings(url)) as runtime:
        for batch in batches(checkpoints // CHECKPOINTS):
            runtime.ledger.intake([report for report, _ in batch])
        runtime.projector.catch_up()
        say(f"\n{kind}: {checkpoints:,} checkpoints, {CHECKPOINTS} a shipment")
        started = perf_counter()
        rebuild(runtime.rebuilds)
        idle = checkpoints / (perf_counter() - started)
        started = perf_counter()
        drop_old(runtime.database)
        say(f"  rebuild, nobody else at work   {idle:>10,.0f} /s   dropping the old {perf_counter() - started:.1f} s")
        context = multiprocessing.get_context("spawn")
        stop, queues = context.Event(), [context.Queue(), context.Queue()]
        works: list[Callable[..., None]] = [load, read]
        processes = [
            context.Process(target=work, args=(url, stop, queue)) for work, queue in zip(works, queues, strict=True)
        ]
        for process in processes:
            process.start()
        time.sleep(4.0)
        began, started = time.time(), perf_counter()
        report = rebuild(runtime.rebuilds)
        seconds, ended = perf_counter() - started, time.time()
        time.sleep(0.5)
        stop.set()
        (taken, during), readings = (queue.get() for queue in queues)
        for process in processes:
            process.join()
        assert all(parity.holds for parity in report)
        left_out = max(parity.left_out for parity in report)
        held = int(runtime.store.read("SELECT COUNT(*) AS n FROM {s}timeline")[0]["n"])
        say(f"  rebuild under load             {held / seconds:>10,.0f} /s   {left_out} shipments not compared")
        say(f"    taken in and folded meanwhile {taken / during:>9,.0f} /s")
        felt("read before it", [one for one in readings if one[0] < began])
        felt("read during it", [one for one in readings if began <= one[0] < ended])
        felt("read around the switch", [one for one in readings if abs(one[0] - ended) < 0.5])
        say(f"  peak memory {memory():.0f} MiB")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=200_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    if asked.only != "postgresql":
        with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder:
            measure("sqlite", f"sqlite:///{Path(folder) / 'ledger.db'}", asked.checkpoints)
    if asked.only != "sqlite":
        with server(shared_buffers="1GB", max_wal_size="4GB") as url:
            measure("postgresql", f"{url}&schema=bench_{uuid.uuid4().hex[:8]}", asked.checkpoints)


if __name__ == "__main__":
    main()
