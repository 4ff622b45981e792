"""How fast are the kept messages of a ledger read again, beside taking them in for the first time?

    uv run python -m benchmarks.renormalizing [--checkpoints 50000] [--only sqlite|postgresql]

started in `tests/`. The messages are those of simulated worlds of all six providers. They are taken in by an older
mapping of ClickPost, which knows no failed delivery and reads times in another zone; the rates are messages per second
of wall time, those of changes shipments per second.
"""

import argparse
import tempfile
import uuid
from contextlib import closing

from benchmarks.__main__ import Stopwatch, memory, say
from benchmarks.world import messages
from support.postgres import server
from trackledger.adapters.differences import Difference
from trackledger.adapters.providers import clickpost, clickpost_codes
from trackledger.adapters.renormalization import Renormalization, Which
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings


def measure(kind: str, database: str, checkpoints: int) -> None:
    """Take in by the older mapping, then look, record, and look again by today's."""
    intake = Stopwatch()
    today = clickpost_codes.MILESTONES.pop(clickpost_codes.FAILED_DELIVERY), clickpost.INDIA
    clickpost.INDIA = 0
    for runtime, batch in messages(database, checkpoints):
        intake.time(len(batch), runtime.intake.take, batch)
        runtime.projector.catch_up()
    clickpost_codes.MILESTONES[clickpost_codes.FAILED_DELIVERY], clickpost.INDIA = today
    say(f"\n{kind}: {checkpoints:,} checkpoints, {intake.checkpoints:,} messages")
    say(f"  intake                  {intake.rate:>10,.0f} /s   peak memory {memory():.0f} MiB")
    with open_runtime(Settings(database)) as runtime:
        for title, store in (("looked at", False), ("recorded", True), ("nothing left", False)):
            survey, changes, found = Stopwatch(), Stopwatch(), list[Difference]()
            with closing(Renormalization(runtime, Which(), "benchmark")) as run:
                survey.time(intake.checkpoints, run.survey, lambda done, total: None)
                changes.time(0, found.extend, run.differences(store=store))
            share = f"{survey.rate / intake.rate:.2f} of intake"
            say(f"  read again, {title:<12}{survey.rate:>10,.0f} /s   {share}   peak memory {memory():.0f} MiB")
            say(f"  shipments that change   {len(found) / changes.seconds:>10,.0f} /s   {len(found):,} of them")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=50_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder:
        if asked.only != "postgresql":
            measure("sqlite", f"sqlite:///{folder}/ledger.db", asked.checkpoints)
        if asked.only != "sqlite":
            with server() as url:
                measure("postgresql", f"{url}&schema=bench_{uuid.uuid4().hex[:8]}", asked.checkpoints)


if __name__ == "__main__":
    main()
