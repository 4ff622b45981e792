"""What do the answers and failures of calls to one provider mean for the account that makes them?"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import inf
from threading import Event as Flag
from typing import ParamSpec, TypeVar

from eventsourcing.persistence import PersistenceError
from msgspec.structs import replace
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from trackledger.adapters.budget import Budget, NotNow
from trackledger.adapters.inbox import message
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.providers import provider
from trackledger.adapters.providers.asking import (
    Access,
    Answer,
    AskError,
    BadCredentials,
    NotYetKnown,
    Rejected,
    TooMany,
    Unavailable,
)
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.settings import ProviderAccount
from trackledger.domain.errors import UsageError, traced

TRIES = 3
"""Calls in quick succession while none is answered."""

LEAST_BLOCK = 1.0
"""Seconds for which a provider is left alone at least that asks for it."""

BLOCKED = 60.0
"""Seconds for which a provider is left alone that says "too many" and not for how long."""

DOWN = 5
"""After so many calls in a row without an answer the provider is left alone for `REST` seconds after each."""

REST = 30.0

REHEARSED = 50.0
"""Calls a second of the machine's time at most, however fast a rehearsal's clock runs."""

REHEARSED_PAUSE = 0.05
"""Seconds of the machine's time that a pause takes at least, however fast it runs."""

REHEARSED_WAIT = timedelta(seconds=0.25)
"""The machine's time that passes at least before what failed as a whole is begun again, so that there is time for
something else."""

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("trackledger.poller")


class Unforeseen(AskError):
    """A call that failed in a way that its client should have foreseen."""


class Caller:
    """Calls a provider for one account within its budget, and hands what it says to the inbox. Usable from several
    threads. A call waits at most `patience` seconds until it may be made."""

    def __init__(
        self,
        one: ProviderAccount,
        access: Access,
        runtime: Runtime,
        metrics: Metrics,
        stop: Flag,
        patience: float = inf,
    ) -> None:
        self.pair = (one.account, one.provider)
        self.provider = provider(one.provider)
        self.clock = runtime.settings.clock
        self._context = one.context
        self._inbox = runtime.inbox
        self._metrics = metrics
        self._stop = stop
        self._unanswered = 0
        self.per_second = self._allowed(one, access)
        self._budget = Budget(runtime.database, self.pair, self.per_second, access, patience)
        self.client = self.provider.client(replace(access, before_call=lambda: self._budget.wait(stop)))
        self._again = Retrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential_jitter(multiplier=0.2, max=2.0, jitter=0.2),
            retry=retry_if_exception(lambda error: isinstance(error, Unavailable) and error.wait is None),
            sleep=self._sleep,
            reraise=True,
        )
        self._budget.open(self.now)

    def _allowed(self, one: ProviderAccount, access: Access) -> float:
        """What the provider allows is for its own address. Where a rehearsal's clock runs fast, it is counted by it."""
        allowed = self.provider.abilities.per_second
        wanted = one.per_second or allowed if access.url else min(one.per_second or allowed, allowed)
        return max(wanted, min(wanted * self.clock.speed, REHEARSED))

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(self._machine(seconds))

    def _leave_alone(self, seconds: float) -> None:
        """Have no process call the provider for so many seconds."""
        self._budget.block(self._machine(max(seconds, LEAST_BLOCK)))

    def _machine(self, seconds: float) -> float:
        """What a pause takes of the machine's time. Where a rehearsal's clock runs fast, it is counted by that."""
        shown = self.clock.seconds(timedelta(seconds=seconds))
        return min(seconds, max(shown, REHEARSED_PAUSE))

    @property
    def now(self) -> datetime:
        """The time of messages and schedules."""
        return self.clock.now()

    def after(self, span: timedelta) -> datetime:
        """When so long will have passed since now."""
        return self.now + max(span, REHEARSED_WAIT * self.clock.speed)

    def rest(self) -> float | None:
        """Seconds until the provider may be called at all; None while the account is stopped."""
        return self._budget.rest()

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a call of the client gives, made again a few times while there is no answer. Raises as `heeded` does."""
        with self.heeded():
            return self._again(work, *args, **kwargs)

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Calls of the client in this block mean for the account what they say: it is stopped for a bad credential, and
        left alone as long as the provider wants.

        Raises `NotNow` when the account has to wait, `UsageError` for what cannot be asked, and another `AskError` for
        the one call that failed.
        """
        try:
            yield
        except (NotNow, UsageError, PersistenceError):
            raise
        except (NotYetKnown, Rejected):
            self._unanswered = 0
            raise
        except AskError as error:
            self._heed(error)
            raise
        except Exception as error:
            log.error("a call to %s failed unforeseen; report this: %s", self.pair[1], traced(error))
            log.debug("a call to %s failed", self.pair[1], exc_info=error)
            self.count("Unforeseen")
            raise Unforeseen(f"{self.pair[1]}: the call failed unforeseen ({type(error).__name__})") from None
        self._unanswered = 0

    def _heed(self, error: AskError) -> None:
        self.count(type(error).__name__)
        if isinstance(error, BadCredentials):
            self._budget.stop(str(error))
            raise NotNow(str(error)) from None
        log.warning("%s", error)
        if isinstance(error, TooMany):
            self._leave_alone(BLOCKED if error.wait is None else error.wait)
            raise NotNow(str(error)) from None
        self._unanswered += 1
        if error.wait is not None:
            self._leave_alone(error.wait)
        elif self._unanswered >= DOWN:
            self._leave_alone(REST)

    def keep(self, answers: Sequence[Answer]) -> str:
        """Hand answers to the inbox, which is durable when this returns; the message of the first, empty if there is
        none."""
        self._unanswered = 0
        account, name = self.pair
        now = self.now
        messages = [
            message(name, one.body, account=account, received_at=now, context={**self._context, **one.context})
            for one in answers
            if one.body
        ]
        if messages:
            self._inbox.append(messages)
        return messages[0].message_id if messages else ""

    def count(self, outcome: str) -> None:
        """Count a call by what became of it."""
        self._metrics.polls.labels(self.pair[1], outcome).inc()

    def close(self) -> None:
        """Close the connection to the provider."""
        self.client.close()
