"""How many checkpoints a second get from the inbox into the tables, with everything at work at once?

    uv run python -m benchmarks.line [--checkpoints 80000] [--together 50] [--only sqlite|postgresql] [--profile]

started in `tests/`. Messages are answers of ClickPost about one parcel each, eight scans long. One thread appends them
to the inbox, so many in a commit, one pump takes them in, and one pump projects, all in this process and with the
database on the same cores, as in `trackledger run`. The clock runs from the first append until the last row is there.

Then the same in stages, each alone, to see where the time goes; and one scan a message, as webhooks come.
"""

import argparse
import cProfile
import json
import pstats
import random
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from threading import Event, Thread
from time import perf_counter, sleep

from benchmarks.__main__ import say
from benchmarks.parcels import CARRIERS, CHECKPOINTS, START, checkpoint
from support.postgres import server
from trackledger.adapters.inbox import message
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings


def scans(number: int) -> tuple[str, int, list[bytes]]:
    """A parcel's waybill, its carrier, and its scans as ClickPost writes them."""
    rng = random.Random(number)
    cp_id, _, base = CARRIERS[number % len(CARRIERS)]
    waybill = str(base + number // 512 * 512 + (number * 167) % 512)
    return waybill, cp_id, [checkpoint(waybill, cp_id, number, step, rng)[1] for step in range(CHECKPOINTS)]


def polls(parcels: int) -> list[Message]:
    """One answer about each parcel, with its whole history."""
    answers = []
    for number in range(parcels):
        waybill, cp_id, raw = scans(number)
        about = b'"additional": {"order_id": "ORD-%d", "is_stuck": false, "courier_partner_edd": "2026-01-12"}' % number
        said = b'{"valid": true, %s, "scans": [%s]}' % (about, b", ".join(reversed(raw)))
        body = b'{"meta": {"success": true, "status": 200}, "result": {"%s": %s}}' % (waybill.encode(), said)
        at = START + timedelta(days=10, milliseconds=number)
        answers.append(message("clickpost", body, received_at=at, context={"cp_id": str(cp_id)}))
    return answers


def webhooks(parcels: int) -> list[Message]:
    """One delivery for each scan, wave after wave."""
    deliveries = []
    for step in range(CHECKPOINTS):
        for number in range(parcels):
            waybill, cp_id, raw = scans(number)
            body = json.dumps({"waybill": waybill, "cp_id": cp_id, **json.loads(raw[step])}).encode()
            at = START + timedelta(days=10 + step, milliseconds=number)
            deliveries.append(message("clickpost", body, channel="webhook", received_at=at))
    return deliveries


def rate(checkpoints: int, work: Callable[..., object], *arguments: object) -> float:
    """Checkpoints per second of a piece of work."""
    started = perf_counter()
    work(*arguments)
    return checkpoints / (perf_counter() - started)


def append(runtime: Runtime, messages: Sequence[Message], commit: int) -> None:
    """As a server does it whose senders come at the same time."""
    for start in range(0, len(messages), commit):
        runtime.inbox.append(messages[start : start + commit])


def together(runtime: Runtime, messages: Sequence[Message], commit: int) -> float:
    """Append, take in and project at once; the seconds until everything is in the tables."""
    stop = Event()
    started = perf_counter()
    threads = [
        Thread(target=append, args=(runtime, messages, commit)),
        Thread(target=runtime.intake.run, args=(stop,)),
        Thread(target=runtime.projector.run, args=(stop,)),
    ]
    for thread in threads:
        thread.start()
    threads[0].join()
    while runtime.inbox.waiting() or runtime.store.position("tables") < runtime.store.head():
        sleep(0.02)
    seconds = perf_counter() - started
    stop.set()
    runtime.database.wake()
    for thread in threads:
        thread.join()
    return seconds


def stages(runtime: Runtime, messages: Sequence[Message], commit: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """The same, one after the other."""
    yield "append alone", lambda: append(runtime, messages, commit)
    yield "intake alone", runtime.intake.catch_up
    yield "projection alone", runtime.projector.catch_up


def measure(kind: str, url: Callable[[], str], parcels: int, commit: int) -> None:
    """Every measurement on one database, each in a ledger of its own."""
    checkpoints = parcels * CHECKPOINTS
    say(f"\n{kind}: {checkpoints:,} checkpoints, {commit} messages a commit")
    for title, messages in (("8 a message", polls(parcels)), ("1 a message", webhooks(parcels // 4))):
        told = checkpoints if title.startswith("8") else checkpoints // 4
        with open_runtime(Settings(url())) as runtime:
            whole = told / together(runtime, messages, commit)
            say(f"  {title}: {'inbox to tables':<30} {whole:>10,.0f} /s")
        with open_runtime(Settings(url())) as runtime:
            for stage, work in stages(runtime, messages, commit):
                say(f"  {title}: {stage:<30} {rate(told, work):>10,.0f} /s")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=80_000)
    parser.add_argument("--together", type=int, default=50, help="messages in one commit of the inbox")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--profile", action="store_true", help="tell where the time of intake alone goes")
    asked = parser.parse_args()
    parcels = asked.checkpoints // CHECKPOINTS
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder, server(shared_buffers="1GB") as postgres:
        urls: dict[str, Callable[[], str]] = {
            "postgresql": lambda: f"{postgres}&schema=line_{uuid.uuid4().hex[:8]}",
            "sqlite": lambda: f"sqlite:///{folder}/{uuid.uuid4().hex[:8]}.db",
        }
        for kind, url in urls.items():
            if asked.only not in (None, kind):
                continue
            if asked.profile:
                with open_runtime(Settings(url())) as runtime:
                    append(runtime, polls(parcels), asked.together)
                    profile = cProfile.Profile()
                    profile.runcall(runtime.intake.catch_up)
                pstats.Stats(profile).sort_stats("cumtime").print_stats(40)
            else:
                measure(kind, url, parcels, asked.together)


if __name__ == "__main__":
    main()
