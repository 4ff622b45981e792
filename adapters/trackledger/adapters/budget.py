"""May a provider be called for an account right now? All processes together keep to what it allows."""

import logging
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import inf
from threading import Event as Flag
from threading import Lock

from trackledger.adapters.providers.asking import Access
from trackledger.adapters.schedule import Pair
from trackledger.adapters.storage.database import Database
from trackledger.domain.errors import TrackledgerError

AT_ONCE = 1.0
"""Seconds of calls that one process reserves together, so that not every call costs a transaction. So long it may go on
calling after another process was told to leave the provider alone."""

MAX_AT_ONCE = 20

_ROW = "account = :account AND provider = :provider"

log = logging.getLogger("trackledger.budget")


class NotNow(TrackledgerError):
    """The account is not to be called now: it is blocked or stopped, too many wait for it, or the process is told to
    end."""


class Budget:
    """The calls of one account at one provider, shared through the database by all processes that make some.

    It is a bucket that leaks `per_second` calls: the row holds when the next call is free, and a process that wants to
    call moves it on. It lets nobody save up calls, so that a pause is not followed by a burst. Nobody waits for a call
    that is free later than in `patience` seconds.
    """

    def __init__(
        self, database: Database, pair: Pair, per_second: float, access: Access, patience: float = inf
    ) -> None:
        self._database = database
        self._key = {"account": pair[0], "provider": pair[1]}
        self._interval = timedelta(seconds=1 / per_second)
        self._at_once = max(1, min(MAX_AT_ONCE, int(per_second * AT_ONCE)))
        said = f"{access.key.get_secret_value()}\x1f{access.user}\x1f{access.url}"
        # Not the key itself, and too little of its digest to find it by trying.
        self._credentials = sha256(said.encode()).hexdigest()[:8]
        self._patience = patience
        self._lock = Lock()
        self._reserved: list[datetime] = []
        self._for_update = " FOR UPDATE" if database.dialect == "postgresql" else ""

    def open(self, now: datetime) -> None:
        """Make the account's row if it is missing; with other credentials than those it was stopped for, it may be
        called again."""
        with self._database.transaction() as transaction:
            transaction.execute(
                """INSERT INTO {s}poll_accounts (account, provider, free_at, stopped, credentials, sweep_at)
                   VALUES (:account, :provider, :machine, '', :credentials, :now)
                   ON CONFLICT (account, provider) DO NOTHING""",
                **self._key,
                machine=datetime.now(UTC),
                credentials=self._credentials,
                now=now,
            )
            transaction.execute(
                f"""UPDATE {{s}}poll_accounts SET stopped = '', blocked_until = NULL, credentials = :credentials
                    WHERE {_ROW} AND credentials <> :credentials""",
                **self._key,
                credentials=self._credentials,
            )

    def rest(self) -> float | None:
        """Seconds until the provider may be called at all, 0 when it may; None while the account is stopped."""
        found = self._database.read(
            f"SELECT stopped, credentials, blocked_until FROM {{s}}poll_accounts WHERE {_ROW}", **self._key
        )
        # A process with other credentials was started since: whether these are good is known no more.
        if not found or found[0]["stopped"] or found[0]["credentials"] != self._credentials:
            return None
        until = found[0]["blocked_until"]
        return max(0.0, (until - datetime.now(UTC)).total_seconds()) if until else 0.0

    def wait(self, stop: Flag) -> None:
        """Return when the next call may be made. Raises `NotNow` where that is not soon, and when `stop` is set."""
        at = self.reserve()
        if stop.wait(max(0.0, (at - datetime.now(UTC)).total_seconds())):
            raise NotNow("told to end")

    def reserve(self) -> datetime:
        """The instant for one call, for nobody else. Raises `NotNow` while the account is blocked or stopped, and
        where it is later than anybody waits for; then none is taken."""
        with self._lock:
            # One that was not used in its time is lost: called later, it would come on top of others.
            usable = datetime.now(UTC) - self._interval
            self._reserved = [at for at in self._reserved if at >= usable] or self._reserve()
            return self._reserved.pop(0)

    def _reserve(self) -> list[datetime]:
        with self._database.transaction() as transaction:
            (row,) = transaction.read(
                f"""SELECT free_at, blocked_until, stopped, credentials FROM {{s}}poll_accounts
                    WHERE {_ROW}{self._for_update}""",
                **self._key,
            )
            machine = datetime.now(UTC)
            if row["stopped"] or row["credentials"] != self._credentials:
                raise NotNow("the account is not asked any more")
            if row["blocked_until"] is not None and row["blocked_until"] > machine:
                raise NotNow(f"the provider is left alone until {row['blocked_until']}")
            first = max(machine, row["free_at"])
            if (first - machine).total_seconds() > self._patience:
                raise NotNow(f"so many calls wait already that the next is free at {first}")
            transaction.execute(
                f"UPDATE {{s}}poll_accounts SET free_at = :free_at WHERE {_ROW}",
                **self._key,
                free_at=first + self._at_once * self._interval,
            )
        return [first + n * self._interval for n in range(self._at_once)]

    def block(self, seconds: float) -> None:
        """Leave the provider alone for so many seconds, in all processes."""
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        with self._lock:
            self._reserved = []
        with self._database.transaction() as transaction:
            transaction.execute(
                f"""UPDATE {{s}}poll_accounts SET blocked_until = :until
                    WHERE {_ROW} AND (blocked_until IS NULL OR blocked_until < :until)""",
                **self._key,
                until=until,
            )

    def stop(self, reason: str) -> None:
        """Call no more for this account until its credentials are others; said once, whoever finds out first."""
        with self._lock:
            self._reserved = []
        with self._database.transaction() as transaction:
            stopped = transaction.execute(
                f"""UPDATE {{s}}poll_accounts SET stopped = :reason
                    WHERE {_ROW} AND stopped = '' AND credentials = :credentials""",
                **self._key,
                reason=reason,
                credentials=self._credentials,
            )
        if stopped:
            log.error(
                "%s is not asked any more for account %s: %s", self._key["provider"], self._key["account"], reason
            )
