"""How is work on all shipments divided, among processes if there are several, and put together again in order?"""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from operator import attrgetter
from typing import Any, ParamSpec, TypeVar

from eventsourcing.persistence import Notification
from msgspec import Struct

from trackledger.adapters.storage.vault import opened
from trackledger.domain.errors import Refused
from trackledger.projections.digest import Tuples

EVENTS = 2000
"""Events of a range, so that the memory for it is bounded; a shipment that has more is a range of its own."""

EVENT = "originator_id, originator_version, topic, state, notification_id"

P = ParamSpec("P")
R = TypeVar("R")


_NO_MORE = object()
_ID = attrgetter("originator_id")


class Range(Struct, frozen=True):
    """The shipments whose ids come behind `after` and not behind `last`; None: to the end."""

    after: str
    last: str | None


def ranges(reader: Tuples, events: int = EVENTS, after: str = "") -> list[Range]:
    """All shipments of a ledger behind an id, in ranges of about so many events, in the order of their ids.

    They are told at once, lest those who add shipments meanwhile are run after for ever: each shipment that is added
    belongs to one of them too, as the last has no end.
    """
    found: list[Range] = []
    while beyond := reader.tuples(
        """SELECT originator_id FROM {s}stored_events WHERE originator_id > :after
           ORDER BY originator_id, originator_version LIMIT 1 OFFSET :n""",
        after=after,
        n=events - 1,
    ):
        found.append(Range(after, beyond[0][0]))
        after = beyond[0][0]
    return [*found, Range(after, None)]


def streams(reader: Tuples, within: Range, upto: int) -> Iterator[tuple[str, Sequence[Notification]]]:
    """The shipments of a range in order, each with its events up to and including a position, oldest first."""
    limit = "" if within.last is None else "AND originator_id <= :last"
    found = reader.tuples(
        f"""SELECT {EVENT} FROM {{s}}stored_events WHERE originator_id > :after {limit} AND notification_id <= :upto
            ORDER BY originator_id, originator_version""",
        after=within.after,
        upto=upto,
        **({} if within.last is None else {"last": within.last}),
    )
    for shipment_id, events in groupby(opened(reader, [Notification(*row) for row in found]), _ID):
        yield str(shipment_id), list(events)


class InProcess(Executor):
    """Does the work where it is asked for, at once."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> "Future[R]":
        """The future of work that is done already."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def workers(number: int) -> Generator[Executor]:
    """So many processes on this machine until the end of the block; for one, this process itself."""
    if number == 1:
        yield InProcess()
        return
    # Fresh processes, as connections and threads do not survive a fork.
    executor = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), _begin)
    try:
        yield executor
    finally:
        with _uninterrupted():
            executor.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Generator[None]:
    """Ctrl-C pressed once more is not heard: the executor of Python 3.11 then waits for its processes for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin() -> None:
    # Ctrl-C reaches every process of a terminal, and is for the one that started the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Folding makes no cycles; looking for some among all rows took a seventh of its time.
    gc.set_threshold(1_000_000)


def _end_with_parent() -> None:
    """Where it was killed, nobody tells its workers, who would wait for work for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def in_order(
    executor: Executor,
    ahead: int,
    work: Callable[..., R],
    arguments: Iterable[Sequence[Any]],
    meanwhile: Iterator[object] | None = None,
) -> Iterator[R]:
    """What `work` makes of each set of arguments, in their order, with at most so many under way or not yet taken.

    Instead of waiting for the next one, steps of `meanwhile` are taken, as long as there are any. Raises `Refused`
    where a process of the executor ended instead of doing its work.
    """
    under_way: deque[Future[R]] = deque()

    def next_() -> R:
        future = under_way.popleft()
        while meanwhile and not future.done() and next(meanwhile, _NO_MORE) is not _NO_MORE:
            pass
        return future.result()

    try:
        for some in arguments:
            under_way.append(executor.submit(work, *some))
            if len(under_way) >= ahead:
                yield next_()
        while under_way:
            yield next_()
    except BrokenExecutor as error:
        raise Refused(
            "a process that did a part of the work was ended from outside; see whether memory ran out and try again "
            "with fewer --workers"
        ) from error
    finally:
        for future in under_way:
            future.cancel()
