"""How many webhooks a second are acknowledged, against one commit for each, in one run on this machine?

    uv run python -m benchmarks.webhooks [--messages 5000] [--senders 50] [--only sqlite|postgresql]

started in `tests/`. Senders in another process keep one connection each open and send as soon as they are answered. The
two servers take turns, so that a drift of the machine's speed meets both; quote the ratios.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import uuid
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from pydantic import SecretStr

from benchmarks.__main__ import say
from support.postgres import server as postgres
from trackledger.adapters.http import create_app
from trackledger.adapters.http import receiver as receiving
from trackledger.adapters.http.serving import serving
from trackledger.adapters.providers.verifying import Endpoint
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import ProviderAccount, ServerSettings, Settings

ROUNDS = 4
SECRET = "benchmark-secret"
ENDPOINT = "endpoint-of-the-benchmark"
FIXTURE = Path(__file__).parents[1] / "fixtures" / "clickpost" / "webhook_ofd.json"


def requests(first: int, count: int) -> list[bytes]:
    """Whole HTTP requests, each with a waybill of its own."""
    scan = json.loads(FIXTURE.read_bytes())
    found = []
    for number in range(first, first + count):
        body = json.dumps(scan | {"waybill": f"35{number:012}"}).encode()
        head = (
            f"POST /webhooks/clickpost/{ENDPOINT} HTTP/1.1\r\nhost: localhost\r\nwebhook_key: {SECRET}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        found.append(head.encode() + body)
    return found


async def _sender(address: tuple[str, int], mine: list[bytes], latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    for request in mine:
        started = perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(head.decode())
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append(perf_counter() - started)
    writer.close()


async def _send(address: tuple[str, int], senders: int, sent: list[bytes]) -> list[float]:
    latencies: list[float] = []
    await asyncio.gather(*(_sender(address, sent[n::senders], latencies) for n in range(senders)))
    return latencies


def send(url: str, senders: int, first: int, count: int) -> tuple[float, list[float]]:
    """Send messages from many connections at once: the seconds it took, and the latency of each."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    sent = requests(first, count)
    started = perf_counter()
    latencies = asyncio.run(_send((parts.hostname, parts.port), senders, sent))
    return perf_counter() - started, latencies


def compare(kind: str, runtime: Runtime, messages: int, senders: int) -> None:
    """Committed together, and one by one, in turns."""
    say(f"\n{kind}: {messages:,} webhooks from {senders} senders at once")
    seconds = {"together": 0.0, "one by one": 0.0}
    latencies: dict[str, list[float]] = {"together": [], "one by one": []}
    together = receiving.MAX_TOGETHER
    context = multiprocessing.get_context("spawn")
    with serving(create_app(runtime)) as url, ProcessPoolExecutor(1, context) as others:
        others.submit(send, url, senders, 0, senders).result()
        for turn in range(2 * ROUNDS):
            way = ("together", "one by one")[turn % 2]
            receiving.MAX_TOGETHER = together if way == "together" else 1
            count = messages // ROUNDS
            took, some = others.submit(send, url, senders, (turn + 1) * 1_000_000, count).result()
            seconds[way] += took
            latencies[way] += some
    receiving.MAX_TOGETHER = together
    for way, some in latencies.items():
        percentiles = statistics.quantiles(some, n=100)
        rate = len(some) / seconds[way]
        spread = f"p50 {percentiles[49] * 1000:6.1f} ms   p99 {percentiles[98] * 1000:6.1f} ms"
        say(f"  committed {way:<12} {rate:>8,.0f} /s   {spread}")
    ratio = seconds["one by one"] / seconds["together"]
    say(f"  together is {ratio:.1f} times one by one")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--senders", type=int, default=50)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    accounts = (ProviderAccount("default", "clickpost", endpoints={ENDPOINT: Endpoint((SecretStr(SECRET),))}),)
    limits = ServerSettings(per_minute=10_000_000)
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder:
        if asked.only != "postgresql":
            with open_runtime(Settings(f"sqlite:///{folder}/ledger.db", accounts=accounts, server=limits)) as runtime:
                compare("sqlite", runtime, asked.messages, asked.senders)
        if asked.only != "sqlite":
            with postgres() as url:
                settings = Settings(f"{url}&schema=bench_{uuid.uuid4().hex[:8]}", accounts=accounts, server=limits)
                with open_runtime(settings) as runtime:
                    compare("postgresql", runtime, asked.messages, asked.senders)


if __name__ == "__main__":
    main()
