"""How fast is the ledger, against plain tables and bare COPY, in one run on this machine?

    uv run python -m benchmarks [--checkpoints 100000] [--growth 1000000] [--only sqlite|postgresql]

started in `tests/`. All rates are checkpoints per second of wall time, the making of the data left out. The contenders
take turns, batch by batch, so that a drift of the machine's speed meets all of them; quote the ratios.
"""

import argparse
import gc
import resource
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter

from benchmarks.parcels import CHECKPOINTS, reports
from benchmarks.plain import Batch, PlainPostgres, PlainSqlite
from support.postgres import server
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.projections.rebuild import rebuild

BATCH = 1000


def batches(shipments: int, per_report: int = CHECKPOINTS, first: int = 0) -> Iterator[Batch]:
    """The parcels' reports, a thousand at a time."""
    source = reports(shipments, per_report, first)
    while batch := list(islice(source, BATCH)):
        yield batch


class Stopwatch:
    """Sums the time of calls of one kind and the checkpoints they handled."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.checkpoints = 0

    def time(self, checkpoints: int, work: Callable[..., object], *arguments: object) -> None:
        gc.collect()
        started = perf_counter()
        work(*arguments)
        self.seconds += perf_counter() - started
        self.checkpoints += checkpoints

    @property
    def rate(self) -> float:
        return self.checkpoints / self.seconds


def say(text: str) -> None:
    """One line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def told(name: str, watch: Stopwatch, against: Stopwatch | None = None, as_what: str = "") -> None:
    """A rate, and its ratio to another."""
    ratio = f"   {watch.rate / against.rate:5.2f} x {as_what}" if against else ""
    say(f"  {name:<42} {watch.rate:>10,.0f} /s{ratio}")


def memory() -> float:
    """Peak memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(kind: str, runtime: Runtime, plain: PlainPostgres | PlainSqlite, shipments: int) -> None:
    """Whole histories in batches of a thousand reports; then one new checkpoint a report."""
    say(f"\n{kind}: {shipments * CHECKPOINTS:,} checkpoints, {CHECKPOINTS} a shipment, batches of {BATCH} reports")
    ledger, hand, tuned, copy, again = (Stopwatch() for _ in range(5))
    for batch in batches(shipments):
        n = sum(len(r.checkpoints) for r, _ in batch)
        news = [r for r, _ in batch]
        hand.time(n, plain.insert, batch)
        ledger.time(n, runtime.ledger.intake, news)
        copy.time(n, plain.copy, batch)
    for batch in batches(shipments):
        news = [r for r, _ in batch]
        again.time(sum(len(r.checkpoints) for r in news), runtime.ledger.intake, news)
    told("hand-written plain tables", hand)
    told("bare COPY" if kind == "postgresql" else "bare executemany", copy)
    told("ledger intake", ledger, hand, "plain tables")
    told("", ledger, copy, "bare")
    told("second intake of the same, nothing new", again, ledger, "first intake")
    if isinstance(plain, PlainPostgres):
        for batch in batches(shipments, first=10_000_000):
            n = sum(len(r.checkpoints) for r, _ in batch)
            tuned.time(n, plain.insert_arrays, batch)
        told("plain tables tuned with binary arrays", tuned)
        told("", ledger, tuned, "tuned plain tables")
    pump = Stopwatch()
    total = shipments * CHECKPOINTS
    pump.time(total, runtime.projector.catch_up)
    told("projection into all tables", pump)
    anew = Stopwatch()
    anew.time(total, rebuild, runtime.rebuilds)
    told("rebuild of all tables", anew)
    trickle, trickle_hand, trickle_pump = Stopwatch(), Stopwatch(), Stopwatch()
    for batch in batches(shipments // 4, per_report=1, first=20_000_000):
        news = [r for r, _ in batch]
        trickle_hand.time(len(news), plain.insert, batch)
        trickle.time(len(news), runtime.ledger.intake, news)
        trickle_pump.time(len(news), runtime.projector.catch_up)
    told("one checkpoint a report: plain tables", trickle_hand)
    told("one checkpoint a report: ledger intake", trickle, trickle_hand, "plain tables")
    told("one checkpoint a report: projection", trickle_pump)
    say(f"  peak memory {memory():.0f} MiB")


def growth(kind: str, runtime: Runtime, checkpoints: int) -> None:
    """Whether intake slows down, and memory grows, with the size of the ledger."""
    say(f"\n{kind}: growth to {checkpoints:,} checkpoints")
    window, done, first_rate = Stopwatch(), 0, 0.0
    step = checkpoints // 10
    for batch in batches(checkpoints // CHECKPOINTS):
        news = [r for r, _ in batch]
        n = sum(len(r.checkpoints) for r in news)
        window.time(n, runtime.ledger.intake, news)
        done += n
        if window.checkpoints >= step:
            first_rate = first_rate or window.rate
            share = f"{window.rate / first_rate:.2f} of the first tenth"
            say(f"  intake at {done:>10,}   {window.rate:>10,.0f} /s   {share}   peak memory {memory():.0f} MiB")
            window = Stopwatch()
    pump = Stopwatch()
    pump.time(checkpoints, runtime.projector.catch_up)
    say(f"  projection of all      {pump.rate:>10,.0f} /s   peak memory {memory():.0f} MiB")
    anew = Stopwatch()
    anew.time(checkpoints, rebuild, runtime.rebuilds)
    say(f"  rebuild of all         {anew.rate:>10,.0f} /s   peak memory {memory():.0f} MiB")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=100_000)
    parser.add_argument("--growth", type=int, default=0, help="also grow one ledger to this many checkpoints")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    shipments = asked.checkpoints // CHECKPOINTS
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder:
        if asked.only != "postgresql":
            with open_runtime(Settings(f"sqlite:///{folder}/ledger.db")) as runtime:
                plain = PlainSqlite(Path(folder) / "plain.db")
                compare("sqlite", runtime, plain, shipments)
                plain.close()
            if asked.growth:
                with open_runtime(Settings(f"sqlite:///{folder}/growth.db")) as runtime:
                    growth("sqlite", runtime, asked.growth)
        if asked.only != "sqlite":
            with server(shared_buffers="1GB", max_wal_size="4GB") as url:
                with open_runtime(Settings(f"{url}&schema=bench_{uuid.uuid4().hex[:8]}")) as runtime:
                    hand = PlainPostgres(url)
                    compare("postgresql", runtime, hand, shipments)
                    hand.close()
                if asked.growth:
                    with open_runtime(Settings(f"{url}&schema=growth")) as runtime:
                        growth("postgresql", runtime, asked.growth)


if __name__ == "__main__":
    main()
