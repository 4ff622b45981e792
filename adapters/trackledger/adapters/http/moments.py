"""From which tables is a question answered: those of now, or as they were known at a moment?"""

from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from threading import Lock
from time import monotonic

from eventsourcing.persistence import Notification
from msgspec import Struct

from trackledger.adapters.http.problems import Problem
from trackledger.adapters.past import past, require_come
from trackledger.adapters.runtime import Runtime
from trackledger.domain.errors import UnknownEvent, UsageError
from trackledger.domain.events import FORGOTTEN
from trackledger.domain.mapper import recorded_at
from trackledger.projections.table import Reader
from trackledger.projections.tables import POSITION

KEPT = 2
"""So many moments of the whole ledger are kept, as the next page will be about the same."""

KEPT_SECONDS = 600.0
"""After so long a moment is folded anew: by then nobody turns the pages of the same list any more."""

MAX_EVENTS = 1_000_000
"""Events up to which the whole ledger is folded for a question; that many take half a minute or more."""

LOOKED_AT = 1_000
"""Newer events that are looked at, and in memory, at a time."""

PATIENCE = 10.0
"""Seconds that a question waits for another one's moment to be folded, or to be read by somebody else."""


class Tables(Struct, frozen=True):
    """The tables of one moment. They reflect the events up to `position`."""

    reader: Reader
    position: int


class _Kept:
    """One moment of the whole ledger: folded by whoever asks first, and read by one at a time, who has the `lock`.

    `users` are those who have it or wait for it; they are counted under the lock of all.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.users = 0
        self.folded: Tables | None = None
        self.until = 0.0
        self.closing = ExitStack()


class Moments:
    """The tables of a ledger, as they are and as they were. Safe to use from several threads."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._kept: OrderedDict[datetime, _Kept] = OrderedDict()
        self._lock = Lock()
        self._folding = Lock()

    @contextmanager
    def tables(self, known_at: datetime | None, shipment_ids: Sequence[str] | None = None) -> Generator[Tables]:
        """The tables for the length of the block: a moment of those that are there, or what was known at `known_at` of
        these shipments, or of all, which takes its time.

        Raises `Problem` for a moment that has not come, for the past of a ledger that is too large to be folded for a
        question, and where others keep this one waiting for too long.
        """
        if known_at is None:
            with self._runtime.database.snapshot() as snapshot:
                yield Tables(snapshot, position(snapshot))
            return
        _require_come(known_at, self._runtime.settings.clock.now())
        if shipment_ids is not None:
            with past(self._runtime, known_at=known_at, shipment_ids=shipment_ids) as snapshot:
                yield Tables(snapshot, position(snapshot))
            return
        kept = self._take(known_at)
        try:
            with _patiently(kept.lock):
                kept.folded = self._as_of_head(kept, known_at)
                if kept.folded is None:
                    kept.closing.close()
                    kept.folded = self._fold(kept, known_at)
                yield kept.folded
        finally:
            self._give_back(known_at, kept)

    def _take(self, known_at: datetime) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(known_at, _Kept())
            self._kept.move_to_end(known_at)
            kept.users += 1
            unused = [at for at, one in self._kept.items() if not one.users]
            for at in unused[: max(len(self._kept) - KEPT, 0)]:
                self._kept.pop(at).closing.close()
            return kept

    def _give_back(self, known_at: datetime, kept: _Kept) -> None:
        with self._lock:
            kept.users -= 1
            is_too_much = len(self._kept) > KEPT or kept.folded is None
            if not kept.users and (is_too_much or self._kept.get(known_at) is not kept):
                kept.closing.close()
                if self._kept.get(known_at) is kept:
                    del self._kept[known_at]

    def _as_of_head(self, kept: _Kept, known_at: datetime) -> Tables | None:
        """What was folded, reflecting all that is there by now; None where it is to be folded anew. So it is when more
        was recorded by the moment than there was then, as what was being written meanwhile, and when somebody was
        forgotten, who is in it by name."""
        if kept.folded is None or monotonic() > kept.until:
            return None
        position = kept.folded.position
        while stored := self._runtime.store.notifications(position, LOOKED_AT):
            if any(one.topic == FORGOTTEN or _recorded_by(one, known_at) for one in stored):
                return None
            position = stored[-1].id
        return Tables(kept.folded.reader, position)

    def _fold(self, kept: _Kept, known_at: datetime) -> Tables:
        if self._runtime.store.head() > MAX_EVENTS:
            raise Problem(
                422,
                f"the ledger holds more than {MAX_EVENTS:,} events, too many to be folded for one question; ask about "
                f"one shipment, or fold them once with `trackledger replay --known-at … --into …`",
                parameter="known_at",
            )
        # One at a time, as each of them takes a CPU and its room on the disk.
        with _patiently(self._folding), ExitStack() as closing:
            snapshot = closing.enter_context(past(self._runtime, known_at=known_at))
            kept.closing = closing.pop_all()
        kept.until = monotonic() + KEPT_SECONDS
        return Tables(snapshot, position(snapshot))

    def close(self) -> None:
        """Give back what is kept; what somebody is reading, once they have read it."""
        with self._lock:
            for kept in self._kept.values():
                if not kept.users:
                    kept.closing.close()
            self._kept.clear()


@contextmanager
def _patiently(lock: Lock) -> Generator[None]:
    if not lock.acquire(timeout=PATIENCE):
        raise Problem(
            503,
            "the past is being folded or read for other questions; try again",
            parameter="known_at",
            headers={"retry-after": f"{PATIENCE:.0f}"},
        )
    try:
        yield
    finally:
        lock.release()


def _recorded_by(stored: Notification, moment: datetime) -> bool:
    try:
        return recorded_at(stored) <= moment
    except UnknownEvent:
        # It cannot say when; a fold tells that its shipment cannot be read.
        return True


def _require_come(known_at: datetime, now: datetime) -> None:
    """Raises `Problem` for a moment that has not come. Before the first event nothing was known, which is an answer."""
    try:
        require_come(now, known_at=known_at)
    except UsageError as error:
        raise Problem(422, str(error).replace("--known-at", "known_at"), parameter="known_at") from None


def position(reader: Reader) -> int:
    """Up to which event the tables are complete."""
    found = reader.read("SELECT position FROM {s}positions WHERE name = :name", name=POSITION)
    return int(found[0]["position"]) if found else 0
