"""Who asks all the providers of a configuration, for ever or once?"""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from threading import Event as Flag
from threading import Thread

from eventsourcing.persistence import PersistenceError
from msgspec import Struct

from trackledger.adapters.asker import Asker
from trackledger.adapters.caller import Caller
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.schedule import Schedule
from trackledger.adapters.scheduling import Scheduler
from trackledger.adapters.sweeps import Sweeps
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.domain.errors import InvalidStatement, traced

LOOK_EVERY = 1.0
"""Seconds between two looks at the ledger for trackers that are new, unless a commit wakes it."""

IDLE = 1.0
"""Seconds after which a thread looks by itself, for leases that ran out and accounts that may be called again."""

LEAST_IDLE = 0.02

RESTING = 5.0
"""Seconds of rest after the database failed."""

log = logging.getLogger("trackledger.poller")


class Asked(Struct, frozen=True):
    """One account at one provider, and the two ways of asking there."""

    caller: Caller
    sweeps: Sweeps
    asker: Asker


class Poller:
    """Asks each configured provider about what is due there, within its budget, each in threads of its own.

    Any number of processes may do so at once; none asks about a tracker that another is asking about. Raises
    `UsageError` for credentials that cannot be right.
    """

    def __init__(self, runtime: Runtime, metrics: Metrics, stop: Flag, only: str = "") -> None:
        self._runtime = runtime
        self._stop = stop
        self._clock = runtime.settings.clock
        self._schedule = Schedule(runtime.database)
        self._asked: list[Asked] = []
        try:
            for one in runtime.settings.accounts:
                if one.access is not None and only in ("", one.provider):
                    caller = Caller(one, one.access, runtime, metrics, stop)
                    sweeps = Sweeps(runtime.database, caller, self._schedule)
                    self._asked.append(Asked(caller, sweeps, Asker(caller, self._schedule, self._link)))
        except BaseException:
            self.close()
            raise
        self._scheduler = Scheduler(runtime.database, self._schedule, [asked.caller.pair for asked in self._asked])

    def _link(self, account: str, first: Tracker, further: Tracker) -> str:
        try:
            registration = Registration(account=account, trackers=(first, further))
            return self._runtime.ledger.register([registration])[0].error
        except InvalidStatement as error:
            return str(error)

    def once(self) -> dict[str, int]:
        """Ask about everything that is due by now: how many trackers were seen to, or changes asked for, by
        provider."""
        self._scheduler.sync(self._clock.now())
        done: Counter[str] = Counter()
        for asked in self._asked:
            name = asked.caller.pair[1]
            done[name] += asked.sweeps.step()
            upto = self._clock.now()
            while steps := asked.asker.step(upto):
                done[name] += steps
        return {name: count for name, count in done.items() if count}

    def run(self) -> None:
        """Ask until told to stop; what is being asked then is finished, and what was not asked yet is given back."""
        threads = [
            Thread(target=self._repeat, args=(self._step(asked),), name=f"asker-{asked.caller.pair[1]}")
            for asked in self._asked
            for _ in range(_threads(asked))
        ]
        for thread in threads:
            thread.start()
        waiter = self._runtime.database.waiter()

        def follow() -> float:
            self._scheduler.sync(self._clock.now())
            waiter.wait(LOOK_EVERY)
            return 0.0

        try:
            self._repeat(follow)
        finally:
            waiter.close()
            for thread in threads:
                thread.join()

    def _repeat(self, step: Callable[[], float]) -> None:
        """Take steps until told to stop, each followed by so many seconds of rest as it says."""
        while not self._stop.is_set():
            try:
                rest = step()
            except PersistenceError as error:
                log.warning("asking could not go on and will be tried again: %s", error)
                rest = RESTING
            except Exception as error:
                log.error("asking failed unforeseen and will be tried again; report this: %s", traced(error))
                log.debug("asking failed", exc_info=error)
                rest = RESTING
            self._stop.wait(rest)

    def _step(self, asked: Asked) -> Callable[[], float]:
        return lambda: 0.0 if asked.sweeps.step() + asked.asker.step() else self._idle(asked)

    def _idle(self, asked: Asked) -> float:
        """Seconds until something may be due."""
        rest = asked.caller.rest()
        if rest != 0:
            return IDLE if rest is None else min(IDLE, rest)
        times: list[datetime] = [
            at for at in (self._schedule.next_due(asked.caller.pair), asked.sweeps.due()) if at is not None
        ]
        seconds = self._clock.seconds(min(times) - self._clock.now()) if times else IDLE
        return min(IDLE, max(seconds, LEAST_IDLE))

    def close(self) -> None:
        """Close the connections to the providers."""
        for asked in self._asked:
            asked.caller.close()


def _threads(asked: Asked) -> int:
    """How many at once can use the calls that the provider allows."""
    return 1 if asked.caller.provider.abilities.per_second <= 2 else 2
