"""How are webhooks that arrive together acknowledged by one commit?"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from trackledger.adapters.inbox import Inbox
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.providers.base import Message

MAX_TOGETHER = 500
"""Messages in one commit; the rest goes with the next."""


class _Arrival:
    """One message whose sender waits for its commit."""

    __slots__ = ("_kept", "_loop", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self._loop = asyncio.get_running_loop()
        self._kept: asyncio.Future[None] = self._loop.create_future()

    async def kept(self) -> None:
        await self._kept

    def settle(self, error: Exception | None) -> None:
        """Tell the sender, in its own event loop; it may have gone away, and its loop too."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: Exception | None) -> None:
        if self._kept.done():
            return
        if error is None:
            self._kept.set_result(None)
        else:
            self._kept.set_exception(error)


class Receiver:
    """Keeps messages in the inbox, all that wait at the same time in one transaction.

    One thread commits. While it does, others gather, and the next commit takes them all: a disk flush is shared by as
    many senders as there are, and nobody waits for a timer. It works for as long as something waits, so that there is
    nothing to start or to close.
    """

    def __init__(self, inbox: Inbox, metrics: Metrics) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._arrived: list[_Arrival] = []
        self._lock = Lock()
        self._committing = False
        self._thread = ThreadPoolExecutor(1, "receiver")

    async def keep(self, message: Message) -> None:
        """Return once the message is committed. Raises what the database raised."""
        arrival = _Arrival(message)
        with self._lock:
            self._arrived.append(arrival)
            begin, self._committing = not self._committing, True
        if begin:
            self._thread.submit(self._commit)
        await arrival.kept()

    def _commit(self) -> None:
        while together := self._next():
            failure: Exception | None = None
            try:
                self._inbox.append([arrival.message for arrival in together])
            except Exception as error:
                failure = error
            else:
                self._metrics.commits.observe(len(together))
            for arrival in together:
                arrival.settle(failure)

    def _next(self) -> list[_Arrival]:
        with self._lock:
            together, self._arrived = self._arrived[:MAX_TOGETHER], self._arrived[MAX_TOGETHER:]
            self._committing = bool(together)
            return together
