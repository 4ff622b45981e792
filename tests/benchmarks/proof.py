"""How fast is a ledger sealed, and how fast is it verified, by one process and by several?

    uv run python -m benchmarks.proof [--checkpoints 1000000] [--per-report 1] [--processes 2] [--only …]

started in `tests/`. All rates are events per second of wall time. One process and several take turns, so that a drift
of the machine's speed meets both; quote the ratio. Bare hashing of the same events in memory stands beside them.
"""

import argparse
import tempfile
import uuid
from contextlib import ExitStack
from time import perf_counter

from benchmarks.__main__ import Stopwatch, batches, memory, say, told
from benchmarks.parcels import CHECKPOINTS
from support.postgres import server
from trackledger.adapters.proof.evidence import evidence
from trackledger.adapters.proof.heads import Trust
from trackledger.adapters.proof.leaves import Stored, event_hash, stored
from trackledger.adapters.proof.notes import new_key
from trackledger.adapters.proof.sealer import Sealer
from trackledger.adapters.proof.verifier import Verified, verify
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings

TURNS = 3
KEY = new_key("benchmark")
TRUST = Trust((KEY.verifier,))


def fill(runtime: Runtime, checkpoints: int, per_report: int) -> None:
    """A ledger of so many checkpoints."""
    for batch in batches(checkpoints // CHECKPOINTS, per_report):
        runtime.ledger.intake([report for report, _ in batch])


def hash_all(events: list[Stored]) -> None:
    """The leaves alone."""
    for event in events:
        event_hash(*event)


def measure(kind: str, runtime: Runtime, processes: int) -> None:
    """Sealing it all, then verifying it, in turns."""
    events = runtime.store.head()
    size = sum(len(e[4]) for e in stored(runtime.database, runtime.database.dialect, 1, 10_000)) // min(events, 10_000)
    say(f"\n{kind}: {events:,} events of {size} bytes")
    bare, sealing, found = Stopwatch(), Stopwatch(), list[Verified]()
    some = stored(runtime.database, runtime.database.dialect, 1, 100_000)
    bare.time(len(some), hash_all, some)
    some.clear()
    told("bare hashing", bare)
    sealing.time(events, Sealer(runtime.database, KEY, TRUST).seal)
    told("seal", sealing, bare, "bare hashing")
    watches = {n: Stopwatch() for n in (1, processes)}
    for _ in range(TURNS):
        for n, watch in watches.items():
            watch.time(events, lambda n=n: found.append(verify(runtime, TRUST, processes=n)))
    assert all((one.count, one.sealed) == (0, events) for one in found)
    told("verify, 1 process", watches[1])
    told(f"verify, {processes} processes", watches[processes], watches[1], "one process")
    (shipment_id,) = runtime.database.tuples(
        "SELECT originator_id FROM {s}stored_events WHERE notification_id = :n", n=events // 2
    )[0]
    started = perf_counter()
    proven = evidence(runtime.database, shipment_id, TRUST)
    say(f"  evidence of {len(proven.events)} events: {(perf_counter() - started) * 1000:.1f} ms")
    say(f"  peak memory of this process {memory():.0f} MiB")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=1_000_000)
    parser.add_argument("--per-report", type=int, default=1, help="1: an event for each checkpoint")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tl-bench-"))
        urls = {}
        if asked.only != "postgresql":
            urls["sqlite"] = f"sqlite:///{folder}/ledger.db"
        if asked.only != "sqlite":
            url = stack.enter_context(server(shared_buffers="1GB", max_wal_size="4GB"))
            urls["postgresql"] = f"{url}&schema=bench_{uuid.uuid4().hex[:8]}"
        for kind, url in urls.items():
            with open_runtime(Settings(url)) as runtime:
                fill(runtime, asked.checkpoints, asked.per_report)
                measure(kind, runtime, asked.processes)


if __name__ == "__main__":
    main()
