"""When is a provider asked for everything that changed, from when on, and by whom?"""

from datetime import UTC, datetime, timedelta

from trackledger.adapters.budget import NotNow
from trackledger.adapters.caller import Caller
from trackledger.adapters.due import RECONCILED
from trackledger.adapters.providers.asking import AskError, Rejected
from trackledger.adapters.schedule import Schedule
from trackledger.adapters.storage.database import Database
from trackledger.domain.errors import UsageError

LEASE_SECONDS = 300.0
"""Longer than one page takes; after it another process takes over the call of a dead one."""

OVERLAP = timedelta(minutes=10)
"""A call begins so long before the watermark, as a provider may list a change a little after it made it."""

FIRST = timedelta(hours=1)
"""How far back the first call looks; older changes are found tracker by tracker."""

REACH = RECONCILED
"""How far back a call looks at most: by then each tracker was due to be asked about singly."""

FAILED = timedelta(minutes=5)

_ROW = "account = :account AND provider = :provider"


class Sweeps:
    """Asks a provider for everything that changed for one account, where it can be asked so.

    The watermark moves only when the last page was kept, so that nothing between two calls is missed. One process does
    so at a time.
    """

    def __init__(self, database: Database, caller: Caller, schedule: Schedule) -> None:
        self._database = database
        self._caller = caller
        self._schedule = schedule
        self._key = {"account": caller.pair[0], "provider": caller.pair[1]}
        self._is_offered = bool(caller.provider.abilities.sweep)
        self._for_update = " FOR UPDATE" if database.dialect == "postgresql" else ""

    def step(self) -> int:
        """Ask for what changed, if that is due; how often that was done."""
        if not self._is_offered or self._caller.rest() != 0:
            return 0
        now = self._caller.now
        leased = self._lease(now)
        if leased is None:
            return 0
        until, watermark = leased
        kept, next_ = watermark, None
        since = max(watermark or now - FIRST, now - REACH) - OVERLAP
        try:
            with self._caller.heeded():
                for answer in self._caller.client.changes(since, now):
                    self._caller.keep([answer])
                    self._poke(answer.changed)
                    until = self._extend(until)
            kept, next_ = now, now + self._caller.provider.cadence.sweep
            self._caller.count("swept")
        except UsageError:
            self._is_offered = False  # a generation of its API that has no such call
        except Rejected:
            next_ = now + REACH
        except (AskError, NotNow):
            pass
        finally:
            self._end(until, kept, next_ or self._caller.after(FAILED))
        return 1

    def due(self) -> datetime | None:
        """When the next call is due, None where there are none."""
        if not self._is_offered:
            return None
        found = self._database.tuples(f"SELECT sweep_at FROM {{s}}poll_accounts WHERE {_ROW}", **self._key)
        return found[0][0] if found else None

    def _lease(self, now: datetime) -> tuple[datetime, datetime | None] | None:
        """Until when the next call is nobody else's, and the watermark, None before the first; None if none is due."""
        with self._database.transaction() as transaction:
            (row,) = transaction.read(
                f"""SELECT swept_until, sweep_at, sweep_leased_until FROM {{s}}poll_accounts
                    WHERE {_ROW}{self._for_update}""",
                **self._key,
            )
            machine = datetime.now(UTC)
            if row["sweep_at"] > now or (row["sweep_leased_until"] is not None and row["sweep_leased_until"] > machine):
                return None
            until = machine + timedelta(seconds=LEASE_SECONDS)
            transaction.execute(
                f"UPDATE {{s}}poll_accounts SET sweep_leased_until = :until WHERE {_ROW}", **self._key, until=until
            )
        return until, row["swept_until"]

    def _extend(self, until: datetime) -> datetime:
        further = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS)
        with self._database.transaction() as transaction:
            moved = transaction.execute(
                f"""UPDATE {{s}}poll_accounts SET sweep_leased_until = :further
                    WHERE {_ROW} AND sweep_leased_until = :until""",
                **self._key,
                until=until,
                further=further,
            )
        if not moved:
            raise NotNow("another process has taken over the call for what changed")
        return further

    def _end(self, until: datetime, swept_until: datetime | None, sweep_at: datetime) -> None:
        """End the lease, unless it has run out and another process took over: where the watermark is now, and when the
        next call is due."""
        with self._database.transaction() as transaction:
            transaction.execute(
                f"""UPDATE {{s}}poll_accounts SET sweep_leased_until = NULL, sweep_at = :sweep_at,
                      swept_until = :swept_until WHERE {_ROW} AND sweep_leased_until = :until""",
                **self._key,
                sweep_at=sweep_at,
                swept_until=swept_until,
                until=until,
            )

    def _poke(self, references: tuple[str, ...]) -> None:
        if references:
            hints = {self._caller.pair: references}
            with self._database.transaction() as transaction:
                self._schedule.poke(transaction, hints, self._caller.now, "the provider says that it changed")
