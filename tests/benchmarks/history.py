"""How long do the history and the explanation of one shipment take, however large the ledger is?

    uv run python -m benchmarks.history [--checkpoints 1000000] [--per-report 4] [--only sqlite|postgresql]

started in `tests/`. Measured inside the process at a tenth of the checkpoints and at all of them, of shipments at
random, as they are and as they were known earlier: the median and the slowest of a hundred each. Fails with an
assertion where the median of the larger ledger is over 20 ms.
"""

import argparse
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from random import Random
from statistics import median
from time import perf_counter

from benchmarks.__main__ import batches, memory, say
from benchmarks.parcels import CHECKPOINTS
from support.postgres import server
from trackledger.adapters.explained import explain
from trackledger.adapters.one_shipment import history
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings

SHIPMENTS = 100
LIMIT = 0.020
"""Seconds for one shipment."""


def grow(runtime: Runtime, checkpoints: int, per_report: int) -> Iterator[datetime]:
    """Let a ledger grow; the moments at which it holds a tenth and all."""
    marks = [checkpoints // 10, checkpoints]
    held = 0
    for batch in batches(checkpoints // CHECKPOINTS, per_report):
        runtime.ledger.intake([report for report, _ in batch])
        held += sum(len(report.checkpoints) for report, _ in batch)
        runtime.projector.catch_up()
        while marks and held >= marks[0]:
            del marks[0]
            yield datetime.now(UTC)


def measure(runtime: Runtime, moment: datetime, title: str, act: Callable[[str], object]) -> float:
    """The median of the seconds that it takes for some shipments that were known at a moment."""
    found = runtime.database.tuples(
        "SELECT shipment_id FROM {s}shipments WHERE opened_at <= :moment ORDER BY shipment_id", moment=moment
    )
    ids = Random(7).sample([row[0] for row in found], SHIPMENTS)
    act(ids[0])
    seconds = []
    for id_ in ids:
        started = perf_counter()
        act(id_)
        seconds.append(perf_counter() - started)
    say(f"  {title:<34}median {median(seconds) * 1000:5.1f} ms, slowest {max(seconds) * 1000:5.1f} ms")
    return median(seconds)


def look_back(runtime: Runtime, moment: datetime) -> float:
    """Every question about single shipments; the median of the slowest."""
    rows = runtime.database.tuples("SELECT COUNT(*) FROM {s}timeline")[0][0]
    say(f" {rows:,} checkpoints in {runtime.store.head():,} events")
    now = datetime.now(UTC)
    asked = partial(measure, runtime, moment)
    return max(
        asked("history", lambda id_: history(runtime, id_)),
        asked("history as known then", lambda id_: history(runtime, id_, known_at=moment)),
        asked("history of what had happened then", lambda id_: history(runtime, id_, valid_at=moment)),
        asked("explain", lambda id_: explain(runtime, id_, now)),
        asked("explain as known then", lambda id_: explain(runtime, id_, now, known_at=moment)),
    )


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=1_000_000)
    parser.add_argument("--per-report", type=int, default=4, help="checkpoints of an event: 8, 4, 2 or 1")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    with ExitStack() as after:
        folder = after.enter_context(tempfile.TemporaryDirectory(prefix="tl-bench-"))
        kinds = [asked.only] if asked.only else ["sqlite", "postgresql"]
        postgres = after.enter_context(server(max_wal_size="4GB")) if "postgresql" in kinds else ""
        for kind in kinds:
            place = (
                f"sqlite:///{folder}/ledger.db" if kind == "sqlite" else f"{postgres}&schema=h{uuid.uuid4().hex[:8]}"
            )
            say(f"\n{kind}")
            with open_runtime(Settings(place)) as runtime:
                growth = grow(runtime, asked.checkpoints, asked.per_report)
                early = next(growth)
                small = look_back(runtime, early)
                next(growth)
                large = look_back(runtime, early)
            say(f"  the larger ledger against the smaller: {large / small:.2f}; peak memory {memory():.0f} MiB")
            assert large < LIMIT


if __name__ == "__main__":
    main()
