"""How fast is a ledger folded anew into another database, by one process and by several, and how fast is it compared?

    uv run python -m benchmarks.replay [--checkpoints 100000] [--per-report 8] [--processes 2] [--only …] [--profile]

started in `tests/`. All rates are checkpoints per second of wall time. One process and several take turns, three times
each, so that a drift of the machine's speed meets both; quote the ratio.
"""

import argparse
import cProfile
import pstats
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.__main__ import Stopwatch, batches, memory, say, told
from benchmarks.parcels import CHECKPOINTS
from support.postgres import server
from trackledger.adapters.replay import replay
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.bulk import Filled
from trackledger.adapters.table_check import check_tables

TURNS = 3


def fill(runtime: Runtime, checkpoints: int, per_report: int) -> None:
    """A ledger of so many checkpoints, its tables up to date."""
    for batch in batches(checkpoints // CHECKPOINTS, per_report):
        runtime.ledger.intake([report for report, _ in batch])
    runtime.projector.catch_up()


def measure(kind: str, runtime: Runtime, target: Callable[[], str], checkpoints: int, processes: int) -> None:
    """Replay and comparison, alone and divided, in turns."""
    say(f"\n{kind}: {checkpoints:,} checkpoints in {runtime.store.head():,} events")
    watches = {(what, n): Stopwatch() for what in ("replay", "check") for n in (1, processes)}
    found: list[Filled] = []
    digests: set[str] = set()
    for _ in range(TURNS):
        for n in (1, processes):
            into = target()
            watches["replay", n].time(
                checkpoints, lambda into=into, n=n: found.append(replay(runtime, into, processes=n))
            )
            Path(into.removeprefix("sqlite:///")).unlink(missing_ok=True)
            watches["check", n].time(checkpoints, lambda n=n: digests.add(check_tables(runtime, processes=n).digest))
    assert digests == {one.digest for one in found}
    assert found[0].checkpoints == checkpoints
    for what, title in (("replay", f"replay into {kind}"), ("check", "comparison with a fresh fold")):
        told(f"{title}, 1 process", watches[what, 1])
        told(f"{title}, {processes} processes", watches[what, processes], watches[what, 1], "one process")
    say(f"  peak memory of this process {memory():.0f} MiB")


def targets(kind: str, folder: str, postgres: str) -> Iterator[str]:
    """Places for a ledger, each unused."""
    while True:
        name = f"replay_{uuid.uuid4().hex[:8]}"
        yield f"sqlite:///{folder}/{name}.db" if kind == "sqlite" else f"{postgres}&schema={name}"


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=100_000)
    parser.add_argument("--per-report", type=int, default=CHECKPOINTS, help="checkpoints of an event: 8, 4, 2 or 1")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--profile", action="store_true", help="tell where the time of one process goes")
    asked = parser.parse_args()
    with ExitStack() as after:
        folder = after.enter_context(tempfile.TemporaryDirectory(prefix="tl-bench-"))
        kinds = [asked.only] if asked.only else ["sqlite", "postgresql"]
        postgres = after.enter_context(server(max_wal_size="4GB")) if "postgresql" in kinds else ""
        for kind in kinds:
            places = targets(kind, folder, postgres)
            with open_runtime(Settings(next(places))) as runtime:
                fill(runtime, asked.checkpoints, asked.per_report)
                if asked.profile:
                    profile = cProfile.Profile()
                    profile.runcall(replay, runtime, next(places), processes=1)
                    pstats.Stats(profile).sort_stats("tottime").print_stats(40)
                else:
                    measure(kind, runtime, places.__next__, asked.checkpoints, asked.processes)


if __name__ == "__main__":
    main()
