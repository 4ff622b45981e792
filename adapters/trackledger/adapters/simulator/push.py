"""How do webhooks get to those who listen?"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import timedelta
from threading import Thread

import httpx
from msgspec import Struct

from trackledger.adapters.clock import Clock
from trackledger.adapters.simulator.faults import LATEST_DELAY, LATEST_DUPLICATE, LATEST_REORDERING, Faults
from trackledger.adapters.simulator.wire import Api, Push
from trackledger.adapters.simulator.world import random_of

AT_ONCE = 16
"""Webhooks that are under way at once."""

TIMEOUT = 15.0

SOON = 0.01

LOOKS_AGAIN = 0.2
"""Seconds after which a waiting webhook looks at the clock again, which may have been stopped."""


class Delivery(Struct, frozen=True):
    """A webhook on its way to a path, again after each of `retries` until it is taken."""

    push: Push
    path: str
    provider: str
    retries: Sequence[timedelta]


def deliveries(apis: Mapping[str, Api], endpoints: Mapping[str, str], faults: Faults, seed: int) -> list[Delivery]:
    """Every webhook in the order in which they are sent, after what befalls some of them."""
    found = [
        Delivery(push, f"/webhooks/{api.name}/{endpoints[name]}", api.name, api.retries)
        for name, api in apis.items()
        for nth, sent in enumerate(api.pushes())
        for push in _befallen(sent, faults, seed, name, nth)
    ]
    return sorted(found, key=lambda one: (one.push.at, one.path, one.push.about))


def _befallen(push: Push, faults: Faults, seed: int, name: str, nth: int) -> Iterator[Push]:
    random = random_of(seed, "webhook", name, nth)
    if random.random() < faults.lost_webhooks:
        return
    at = push.at
    if random.random() < faults.delays:
        at += random.random() * LATEST_DELAY
    if random.random() < faults.reordering:
        at += random.random() * LATEST_REORDERING
    yield Push(at, push.about, push.request)
    if random.random() < faults.duplicates:
        yield Push(at + random.random() * LATEST_DUPLICATE, push.about, push.request)


class Pushing:
    """Sends webhooks to the server at a base address from another thread, each when its time has come.

    Nothing is sent about what is `withheld`, and nothing about a key of `after` before all about its value was sent.

    `counts` has how many attempts there were (`sent`), how many of them were `taken` or `refused`, how many webhooks
    were `given_up`, and how many were `withheld` because nobody follows what they are about. `taken` are the webhooks
    that were acknowledged.
    """

    def __init__(
        self,
        found: Sequence[Delivery],
        base_url: str,
        clock: Clock,
        withheld: Container[str] = (),
        after: Mapping[str, str] | None = None,
    ) -> None:
        self._deliveries = found
        self._after = after or {}
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._open = Counter(delivery.push.about for delivery in found)
        self._base_url = base_url
        self._clock = clock
        self._withheld = withheld
        self._stopping = False
        self.counts: Counter[str] = Counter()
        self.taken: list[Delivery] = []
        self._thread = Thread(target=asyncio.run, args=(self._run(),), name="webhooks", daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every webhook was taken or given up, at most so many seconds; whether that is so."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Send no more; those under way are ended first."""
        self._stopping = True
        self._thread.join()

    async def _run(self) -> None:
        room = asyncio.Semaphore(AT_ONCE)
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with (
            httpx.AsyncClient(base_url=self._base_url, timeout=TIMEOUT, limits=limits) as client,
            asyncio.TaskGroup() as group,
        ):
            for delivery in self._deliveries:
                await self._until(delivery)
                if self._stopping:
                    break
                async with room:
                    # As long as all are under way, no more are begun.
                    pass
                group.create_task(self._deliver(client, delivery, room))

    async def _until(self, delivery: Delivery) -> None:
        """Wait for the time of a webhook; a clock that was stopped before it is not waited for."""
        while not self._stopping and not self._clock.has_ended and (now := self._clock.now()) < delivery.push.at:
            await asyncio.sleep(min(self._clock.seconds(delivery.push.at - now), LOOKS_AGAIN))

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery, room: asyncio.Semaphore) -> None:
        """Hold `room` while a request is under way, and not while waiting."""
        about = delivery.push.about
        while self._open[self._after.get(about, "")] > 0 and not self._stopping:
            await asyncio.sleep(SOON)
        if about in self._withheld:
            self.counts["withheld"] += 1
        elif await self._until_taken(client, delivery, room):
            self.taken.append(delivery)
        else:
            self.counts["given_up"] += 1
        self._open[about] -= 1

    async def _until_taken(self, client: httpx.AsyncClient, delivery: Delivery, room: asyncio.Semaphore) -> bool:
        for wait in (*delivery.retries, None):
            # What is about one parcel goes out in its order; what is sent again falls behind.
            async with self._turns[delivery.push.about], room:
                if await self._attempt(client, delivery):
                    return True
            if wait is None or self._stopping:
                break
            await asyncio.sleep(self._clock.seconds(wait))
        return False

    async def _attempt(self, client: httpx.AsyncClient, delivery: Delivery) -> bool:
        self.counts["sent"] += 1
        request = delivery.push.request
        headers = {"content-type": "application/json", **request.headers}
        try:
            response = await client.post(delivery.path, content=request.body, headers=headers)
        except httpx.HTTPError:
            self.counts["refused"] += 1
            return False
        is_taken = response.is_success and (delivery.provider != "clickpost" or response.status_code == 200)
        self.counts["taken" if is_taken else "refused"] += 1
        return is_taken
