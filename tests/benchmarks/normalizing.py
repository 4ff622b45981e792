"""How fast are the providers' messages read, against what it takes to store what they say, in one run on this machine?

    uv run python -m benchmarks.normalizing [--seconds 2]

started in `tests/`. Messages are the fixtures that can be read, each for accounts of its own so that every one is news,
and two bulky forms: a ClickPost answer about five waybills of forty scans, an AfterShip list of fifty trackings of ten
checkpoints. Reading and storing take turns; quote the ratios.
"""

import argparse
import gc
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from time import perf_counter
from typing import Any

from msgspec.structs import replace

from benchmarks.__main__ import Stopwatch, say
from support.messages import RECEIVED, body_of, of_provider
from support.postgres import server as postgres
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import PROVIDERS, normalize
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.domain.checkpoints import Report
from trackledger.domain.errors import Ignored, Unreadable

SCANS, CHECKPOINTS, TRACKINGS = 40, 10, 50
BATCH = 200
"""Messages read and then stored in one turn."""


def clickpost_batch() -> Message:
    """Five waybills, forty scans each."""
    answer = json.loads(body_of("clickpost", "poll_delivered"))
    (told,) = answer["result"].values()
    scan = told["scans"][0]
    numbers = count(50_000_000_000)
    answer["result"] = {
        f"6021773{waybill:04}": told
        | {"scans": [scan | {"checkpoint_id": next(numbers), "timestamp": _at(n, " ")} for n in range(SCANS)]}
        for waybill in range(5)
    }
    return message("clickpost", json.dumps(answer).encode(), received_at=RECEIVED)


def aftership_list() -> Message:
    """Fifty trackings, ten checkpoints each."""
    answer = json.loads(body_of("aftership", "poll_list"))
    tracking = answer["data"]["trackings"][0]
    checkpoint = tracking["checkpoints"][0]
    numbers = count()
    answer["data"]["trackings"] = [
        tracking
        | {
            "id": f"{n:032x}",
            "checkpoints": [_checkpoint(checkpoint, at, next(numbers)) for at in range(CHECKPOINTS)],
        }
        for n in range(TRACKINGS)
    ]
    return message("aftership", json.dumps(answer).encode(), received_at=RECEIVED)


def _checkpoint(like: dict[str, Any], at: int, number: int) -> dict[str, Any]:
    hashed = {"hash": f"{number:032x}"} if "hash" in like else {}
    return like | {"checkpoint_time": _at(at, "T") + "+01:00"} | hashed


def _at(hours: int, between: str) -> str:
    return (datetime(2026, 3, 2, 8, 15, 20, tzinfo=UTC) + timedelta(hours=hours)).strftime(f"%Y-%m-%d{between}%H:%M:%S")


def readable(name: str) -> list[Message]:
    """The fixtures of a provider that make statements."""
    found = []
    for one in of_provider(name):
        try:
            normalize(one)
        except (Ignored, Unreadable):
            continue
        found.append(one)
    return found


def measure(runtime: Runtime, what: str, messages: list[Message], seconds: float, accounts: Iterator[int]) -> None:
    """Read and store in turns until so much time has gone into reading."""
    reading, storing = Stopwatch(), Stopwatch()
    done = 0
    while reading.seconds < seconds:
        batch = [
            replace(one, account=f"a{next(accounts)}")
            for _ in range(max(1, BATCH // len(messages)))
            for one in messages
        ]
        reports: list[Report] = []
        gc.collect()
        started = perf_counter()
        for one in batch:
            reports += normalize(one)
        reading.seconds += perf_counter() - started
        checkpoints = sum(len(report.checkpoints) for report in reports)
        reading.checkpoints += checkpoints
        done += len(batch)
        storing.time(checkpoints, runtime.ledger.intake, reports[:10_000])
    share = storing.seconds / reading.seconds
    rate = f"{done / reading.seconds:>8,.0f} messages/s  {reading.rate:>9,.0f} checkpoints/s"
    say(f"  {what:<22} {rate}   storing takes {share:4.1f} times as long")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of reading, for each form")
    asked = parser.parse_args()
    accounts = count()
    forms = {name: readable(name) for name in PROVIDERS}
    forms |= {"clickpost, 5 of 40": [clickpost_batch()], "aftership, 50 of 10": [aftership_list()]}
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder, postgres() as server:
        for kind, url in (("sqlite", f"sqlite:///{folder}/ledger.db"), ("postgresql", f"{server}&schema=bench")):
            with open_runtime(Settings(url)) as runtime:
                say(f"\n{kind}")
                for what, messages in forms.items():
                    measure(runtime, what, messages, asked.seconds, accounts)


if __name__ == "__main__":
    main()
