"""What becomes of asking one provider for one account about the trackers that are due?"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from random import random
from time import monotonic

from msgspec.structs import replace

from trackledger.adapters.budget import NotNow
from trackledger.adapters.caller import Caller, Unforeseen
from trackledger.adapters.due import Next, missed
from trackledger.adapters.inbox import storable
from trackledger.adapters.providers.asking import AskError, NotYetKnown, Rejected
from trackledger.adapters.schedule import Due, Schedule
from trackledger.adapters.storage.schema import ScheduleRow
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import Contended, UsageError

LEASE_SECONDS = 600.0
"""After it another process takes over what a dead one had leased."""

ASK_SECONDS = 300.0
"""Calls of a lease are begun for so long, so that the last of them ends within the lease, however slow."""

LEASED = (50, 500)
"""Trackers in one lease, at least and at most: as many as may be asked about in `AHEAD` seconds."""

AHEAD = 10.0

Link = Callable[[str, Tracker, Tracker], str]
"""Makes a further tracker feed the shipment of a first one, both of an account; why that cannot be, empty when done."""

Settled = list[tuple[Due, ScheduleRow]]


class Asker:
    """Asks, and says when to ask again. Usable from several threads.

    An answer is kept before the tracker's next time is written: a process that dies in between asks once more. A call
    that fails changes when the next one is made and nothing else.
    """

    def __init__(self, caller: Caller, schedule: Schedule, link: Link) -> None:
        self._caller = caller
        self._schedule = schedule
        self._link = link
        may_ask = int(caller.per_second * caller.provider.abilities.batch * AHEAD)
        self._leased = min(max(may_ask, LEASED[0]), LEASED[1])

    def step(self, upto: datetime | None = None) -> int:
        """Ask about what is due now, or `upto` an instant, as far as one lease reaches: how many trackers were seen to,
        0 when nothing is due or the account is not to be called now."""
        if self._caller.rest() != 0:
            return 0
        leased = self._schedule.lease(self._caller.pair, self._leased, LEASE_SECONDS, upto or self._caller.now)
        waiting = {due.row.tracker: due for due in leased}
        try:
            self._see_to(waiting)
        except NotNow:
            pass
        finally:
            if waiting:
                self._schedule.release(waiting.values())
        return len(leased) - len(waiting)

    def _see_to(self, waiting: dict[str, Due]) -> None:
        """Ask about all of these for which there is time, and take out those that are settled."""
        deadline = monotonic() + ASK_SECONDS
        self._settle(self._postponed(waiting.values()), waiting)
        batches = deque(self._batches(waiting.values()))
        while batches and monotonic() < deadline:
            batch = batches.popleft()
            settled = self._asked(batch)
            if settled is None:
                batches.extendleft([due] for due in reversed(batch))
            else:
                self._settle(settled, waiting)

    def _settle(self, settled: Settled, waiting: dict[str, Due]) -> None:
        if settled:
            self._schedule.settle(settled)
        for due, _ in settled:
            del waiting[due.row.tracker]

    def _postponed(self, leased: Iterable[Due]) -> Settled:
        """Those whose time has passed, at a provider that is asked in certain minutes only."""
        now = self._caller.now
        # How late one is, is a matter of the machine's time: a clock that runs fast makes nothing late.
        late = ((due, timedelta(seconds=self._caller.clock.seconds(now - due.row.due_at))) for due in leased)
        found = ((due, missed(self._caller.provider.cadence, by, now, random())) for due, by in late)
        return [(due, _waiting(due.row, next_)) for due, next_ in found if next_]

    def _batches(self, leased: Iterable[Due]) -> Iterator[list[Due]]:
        """As many as one call takes, those together whose references begin alike: some providers are asked by carrier.
        One that failed before goes alone, as it may be what others fail for."""
        size = self._caller.provider.abilities.batch
        for prefix, some in groupby(sorted(leased, key=_kind), key=_kind):
            alike = list(some)
            step = 1 if prefix[0] else size
            yield from (alike[start : start + step] for start in range(0, len(alike), step))

    def _asked(self, batch: list[Due]) -> Settled | None:
        """Ask about some in one call; what is to be written of each, None when each has to be asked about alone."""
        now = self._caller.now
        try:
            answers = self._caller.call(self._caller.client.ask, [due.tracker for due in batch])
        except (NotYetKnown, Rejected, UsageError, Unforeseen) as error:
            return self._told(batch[0], error, now) if len(batch) == 1 else None
        except AskError as error:
            return [self._failed(due, error, now) for due in batch]
        digest = self._caller.keep(answers)
        unknown = {reference for answer in answers for reference in answer.unknown}
        return [
            self._unknown(due, now) if due.row.reference in unknown else self._answered(due, digest, now)
            for due in batch
        ]

    def _told(self, due: Due, error: Exception, now: datetime) -> Settled:
        if isinstance(error, NotYetKnown):
            return [self._unknown(due, now)]
        if isinstance(error, Unforeseen):
            return [self._failed(due, error, now)]
        return [self._written(due, due.row, "rejected", Next(None, str(error)), now)]

    def _answered(self, due: Due, digest: str, now: datetime) -> tuple[Due, ScheduleRow]:
        same = digest == due.row.digest
        unchanged = due.row.unchanged + 1 if same else 0
        row = replace(due.row, failures=0, unknown=0, unchanged=unchanged, digest=digest)
        return self._again(due, row, "unchanged" if same else "answered", now)

    def _unknown(self, due: Due, now: datetime) -> tuple[Due, ScheduleRow]:
        """A provider that has to be told what to follow is told once, under our shipment's id."""
        row = replace(due.row, failures=0, unknown=due.row.unknown + 1)
        if row.followed or not row.shipment_id:
            return self._again(due, row, "unknown", now)
        try:
            tracker = self._caller.call(self._caller.client.follow, due.tracker, row.shipment_id)
            refused = ""
            if tracker.reference != row.reference:
                refused = self._link(row.account, due.tracker, tracker)
        except (Rejected, UsageError) as error:
            return self._written(due, due.row, "rejected", Next(None, str(error)), now)
        except (AskError, Contended) as error:
            return self._failed(due, error, now)
        row = replace(row, followed=True)
        if tracker.reference == row.reference:
            return self._again(due, row, "unknown", now)
        said = f"the provider follows it as {tracker.reference}"
        said += f", which cannot be linked: {refused}" if refused else ""
        return self._written(due, row, "rejected" if refused else "followed", Next(None, said), now)

    def _failed(self, due: Due, error: Exception, now: datetime) -> tuple[Due, ScheduleRow]:
        return self._again(due, replace(due.row, failures=due.row.failures + 1), type(error).__name__, now)

    def _again(self, due: Due, row: ScheduleRow, outcome: str, now: datetime) -> tuple[Due, ScheduleRow]:
        return self._written(due, row, outcome, replace(due, row=row).next(now, random()), now)

    def _written(self, due: Due, row: ScheduleRow, outcome: str, next_: Next, now: datetime) -> tuple[Due, ScheduleRow]:
        if outcome.islower():  # calls that failed are counted where that is found out, by the name of their error
            self._caller.count(outcome)
        return due, replace(_waiting(row, next_), asked=row.asked + 1, asked_at=now, outcome=outcome)


def _kind(due: Due) -> tuple[bool, str]:
    return due.row.failures > 1, due.row.reference.rpartition(":")[0]


def _waiting(row: ScheduleRow, next_: Next) -> ScheduleRow:
    """The row with its next time; one without a next time keeps its last."""
    return replace(row, state=next_.state, reason=storable(next_.reason), due_at=next_.at or row.due_at)
