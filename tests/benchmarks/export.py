"""How fast does a ledger leave as files and come back, and how much memory does that take as it grows?

    uv run python -m benchmarks.export [--checkpoints 100000] [--per-report 2] [--only sqlite|postgresql]

started in `tests/`. Rates are events or rows per second of wall time. Everything is measured at a quarter of the size
and at the whole, each time in a fresh process, whose peak memory is told: it must not grow with the ledger.
"""

import argparse
import multiprocessing
import resource
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.__main__ import batches, say
from benchmarks.parcels import CHECKPOINTS
from support.postgres import server
from trackledger.adapters.exporting.exporter import export
from trackledger.adapters.exporting.formats import FORMATS, Format
from trackledger.adapters.exporting.relations import EVENTS
from trackledger.adapters.exporting.wanted import Wanted
from trackledger.adapters.importing import import_ledger
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings

Measured = tuple[int, float, float, str]
"""Events or rows, seconds, peak memory in MiB, and the digest of what was written."""


def write(url: str, what: str, format_: Format, path: str) -> Measured:
    """Export one thing."""
    with open_runtime(Settings(url), create=False) as runtime, Path(path).open("wb") as file:
        wanted = Wanted(what, format_, datetime.now(UTC))
        wanted.check()
        started = perf_counter()
        done = export(runtime, wanted, file, lambda done, total: None)
        return done.rows, perf_counter() - started, _memory(), done.sha256


def read(url: str, path: str) -> Measured:
    """Make a ledger of a file."""
    with Path(path).open("rb") as file:
        started = perf_counter()
        done = import_ledger(Settings(url), file)
        return done.events, perf_counter() - started, _memory(), done.digest


def fill(url: str, checkpoints: int, per_report: int) -> Measured:
    """Make a ledger, its tables up to date."""
    started = perf_counter()
    with open_runtime(Settings(url)) as runtime:
        for batch in batches(checkpoints // CHECKPOINTS, per_report):
            runtime.ledger.intake([report for report, _ in batch])
        runtime.projector.catch_up()
        return runtime.store.head(), perf_counter() - started, _memory(), ""


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(work: Callable[..., Measured], *arguments: Any) -> Measured:
    """In a process of its own. Its peak is not below that of this one, which therefore does nothing itself."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def told(title: str, done: Measured) -> None:
    """One line."""
    number, seconds, memory, _ = done
    say(f"  {title:<32} {number / seconds:>10,.0f} /s   {number:>10,} in {seconds:6.2f} s   peak {memory:5.0f} MiB")


def measure(url: str, into: str, folder: str) -> None:
    """Everything once."""
    for what in (EVENTS, "timeline"):
        for format_ in FORMATS:
            path = f"{folder}/{what}.{format_}"
            done = apart(write, url, what, format_, path)
            told(f"{what} as {format_}", done)
    told("import of the events", apart(read, into, f"{folder}/{EVENTS}.ndjson"))


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=100_000)
    parser.add_argument("--per-report", type=int, default=2, help="checkpoints of an event: 8, 4, 2 or 1")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    with ExitStack() as after:
        folder = after.enter_context(tempfile.TemporaryDirectory(prefix="tl-bench-"))
        kinds = [asked.only] if asked.only else ["sqlite", "postgresql"]
        postgres = after.enter_context(server(max_wal_size="4GB")) if "postgresql" in kinds else ""

        def place(kind: str) -> str:
            name = f"export_{uuid.uuid4().hex[:8]}"
            return f"sqlite:///{folder}/{name}.db" if kind == "sqlite" else f"{postgres}&schema={name}"

        for kind in kinds:
            for checkpoints in (asked.checkpoints // 4, asked.checkpoints):
                url = place(kind)
                number, *_ = apart(fill, url, checkpoints, asked.per_report)
                say(f"\n{kind}: {checkpoints:,} checkpoints in {number:,} events")
                measure(url, place(kind), folder)


if __name__ == "__main__":
    main()
