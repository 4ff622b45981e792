"""How long do the lists of the query API and the pages of the console take, with a hundred thousand shipments?

    uv run python -m benchmarks.reading [--shipments 100000] [--db URL] [--times 9] [--only WORD]

started in `tests/`. Every route that the OpenAPI description names is asked without a parameter, with each parameter
alone and with pairs of them, and for the page that follows; every page of the console is found by its links. Each is
asked over a socket, on a connection that is warm, of a server in a process of its own, with other values each time.
What is told of a route is the median, the 95th percentile and the bytes of all its questions, then the slowest kind of
question; at the end, all kinds whose median is above 50 ms.

The ledger is built once, in a few minutes, and kept for the next run: in the folder for temporary files, or at the URL.
Without a URL, PostgreSQL is a throw-away server, which is filled each time.
"""

import argparse
import multiprocessing
import tempfile
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from itertools import combinations
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from statistics import median, quantiles
from time import perf_counter

import httpx
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.__main__ import say
from support.many import SECRET, fill, settings
from support.postgres import server
from support.routes import Shape, pages, questions, values
from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import serving
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import ServerSettings

SLOW = 50.0
PAGES = 6
"""So many pages of the console that differ in their values only are asked."""


class Kind(Struct, frozen=True):
    """Questions that differ in their values only: the route, and which parameters are given."""

    route: str
    given: str


Times = dict[Kind, list[tuple[float, int]]]


def build(url: str, shipments: int) -> None:
    """Fill the ledger at a URL, unless it is there."""
    with open_runtime(settings(url)) as runtime:
        if runtime.store.head():
            return
        started = perf_counter()
        for done in fill(runtime, shipments):
            if done % 10_000 == 0:
                say(f"  {done:,} shipments after {perf_counter() - started:.0f} s")
        if runtime.database.dialect == "postgresql":
            import psycopg

            # What autovacuum does within the first minutes of a ledger's life.
            with psycopg.connect(url.partition("&schema=")[0], autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")


def answer(url: str, told: Connection) -> None:
    """Serve the ledger, in a process of its own, until told to stop."""
    given = replace(settings(url), server=ServerSettings(api_per_minute=10_000_000))
    with open_runtime(given) as runtime, serving(create_app(runtime), grace=1) as address:
        told.send(address)
        told.recv()


@contextmanager
def served(url: str) -> Generator[httpx.Client]:
    """A client of the ledger at a URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(url, theirs))
    process.start()
    with httpx.Client(base_url=ours.recv(), timeout=120) as client:
        yield client
    ours.send(None)
    process.join()


def ask(client: httpx.Client, path: str, params: dict[str, str] | None) -> tuple[float, httpx.Response]:
    """The milliseconds of one question, and its answer."""
    started = perf_counter()
    response = client.get(path, params=params)
    return (perf_counter() - started) * 1000, response


def of_the_api(client: httpx.Client, known: dict[str, list[str]], times: int, only: str) -> Times:
    """Ask everything of the API."""
    client.headers["authorization"] = f"Bearer {SECRET}"
    chance = Random(1)
    took: Times = defaultdict(list)
    refused: dict[Kind, str] = {}
    for question in questions(client.get("/openapi.json").json(), known):
        if only not in question.path:
            continue
        pairs = list(combinations(question.free, 2))
        chance.shuffle(pairs)
        for given in [(), *((name,) for name in question.free), *pairs[: 2 * len(question.free)]]:
            kind = Kind(question.path, " ".join(sorted(given)))
            for time in range(times + 1):
                path, params = question.asked(given, chance, known)
                milliseconds, response = ask(client, path, params)
                if response.status_code != 200:
                    refused[kind] = f"{response.status_code} {response.text[:200]}"
                elif time:
                    took[kind].append((milliseconds, len(response.content)))
            if not given and (following := response.links.get("next", {}).get("url")):
                for _ in range(times):
                    milliseconds, response = ask(client, f"{path}{following}", None)
                    took[Kind(question.path, "the page that follows")].append((milliseconds, len(response.content)))
                    following = response.links.get("next", {}).get("url", following)
    for kind, why in refused.items():
        say(f"  ! {kind.route} {kind.given}: {why}")
    return took


def of_the_console(client: httpx.Client, times: int, only: str) -> Times:
    """Sign in, follow every link, and ask each kind of page."""
    took: Times = defaultdict(list)
    addresses: dict[Shape, list[str]] = defaultdict(list)
    for page in pages(client, SECRET, PAGES):
        if page.status == 200:
            addresses[page.shape].append(page.address)
    for shape, found in addresses.items():
        if only in shape[0]:
            for time in range(times + 1):
                milliseconds, response = ask(client, found[time % len(found)], None)
                if time:
                    took[Kind(*shape)].append((milliseconds, len(response.content)))
    return took


def tell(took: Times) -> None:
    """One line for each route, and one for each kind that is too slow."""
    routes: dict[str, dict[Kind, list[tuple[float, int]]]] = defaultdict(dict)
    for kind, measured in took.items():
        routes[kind.route][kind] = measured
    for route, kinds in routes.items():
        every = [milliseconds for measured in kinds.values() for milliseconds, _ in measured]
        slowest = max(kinds, key=lambda kind: middle(kinds[kind]))
        size = max(size for measured in kinds.values() for _, size in measured)
        p95 = quantiles(every, n=20)[-1] if len(every) > 1 else every[0]
        say(
            f"  {route:<46} {len(kinds):>3} kinds {median(every):>7.1f} ms  p95 {p95:>7.1f} ms  {size / 1024:>7.1f} KB"
            f"   slowest {middle(kinds[slowest]):>7.1f} ms {slowest.given}"
        )
    slow = sorted((kind for kind in took if middle(took[kind]) > SLOW), key=lambda kind: -middle(took[kind]))
    say(f"  above {SLOW:.0f} ms at the median: {len(slow)} of {len(took)} kinds")
    for kind in slow:
        say(f"    {middle(took[kind]):>8.1f} ms {kind.route} {kind.given}")


def middle(measured: list[tuple[float, int]]) -> float:
    """The median of some times."""
    return median(milliseconds for milliseconds, _ in measured)


def measure(url: str, shipments: int, times: int, only: str) -> None:
    """Build, ask, and tell."""
    say(f"\n{url.partition(':')[0]}: {shipments:,} shipments")
    build(url, shipments)
    with open_runtime(settings(url), create=False) as runtime:
        known = values(runtime)
    with served(url) as client:
        tell(of_the_api(client, known, times, only))
        tell(of_the_console(client, times, only))


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shipments", type=int, default=100_000)
    parser.add_argument("--db", help="the URL of a ledger that is empty, or that was filled by a run before")
    parser.add_argument("--times", type=int, default=9, help="how often each kind of question is asked")
    parser.add_argument("--only", default="", help="a part of the paths that are asked")
    asked = parser.parse_args()
    if asked.db:
        measure(asked.db, asked.shipments, asked.times, asked.only)
        return
    folder = Path(tempfile.gettempdir()) / "trackledger-reading"
    folder.mkdir(exist_ok=True)
    measure(f"sqlite:///{folder / f'{asked.shipments}.db'}", asked.shipments, asked.times, asked.only)
    with server(shared_buffers="1GB") as url:
        measure(f"{url}&schema=reading", asked.shipments, asked.times, asked.only)


if __name__ == "__main__":
    main()
