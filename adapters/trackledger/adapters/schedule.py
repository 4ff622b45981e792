"""Which trackers are due to be asked about, and who is asking?"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import random
from typing import Any

from msgspec import Struct

from trackledger.adapters.due import Next, Seen, first_ask, next_ask
from trackledger.adapters.providers import provider
from trackledger.adapters.storage.database import Database, Transaction
from trackledger.adapters.storage.schema import SCHEDULE, ScheduleRow
from trackledger.domain.checkpoints import Tracker, tracker_key
from trackledger.domain.errors import InvalidStatement
from trackledger.domain.events import FORGOTTEN
from trackledger.domain.milestones import Milestone
from trackledger.projections.table import Reader

POKE_AGAIN = timedelta(minutes=1)
"""A tracker is not asked about sooner than this after the last time, however often something hints at news."""

COLUMNS = ", ".join(SCHEDULE.names)
_FREE = """provider = :provider AND account = :account AND state = 'asking'
  AND (leased_until IS NULL OR leased_until <= :machine)"""
_DUE = f"{_FREE} AND due_at <= :now"
_SETTLED = ("tracker", "state", "reason", "due_at", "leased_until", "failures", "unknown", "unchanged", "asked")
_LATEST = ("asked_at", "outcome", "digest", "followed")
OF_FORGOTTEN = f"""EXISTS (SELECT 1 FROM {{s}}stored_events e
  WHERE e.originator_id = %s AND e.topic = '{FORGOTTEN}')"""
"""The condition that the shipment with an id was forgotten."""

_POKED = "CASE WHEN asked_at > :lately THEN :later ELSE :now END"

Pair = tuple[str, str]
"""An account and a provider."""


class Due(Struct, frozen=True):
    """A tracker that was asked about or is going to be, and what the tables say of its shipment; `milestone` is
    `unknown` while they say nothing. `swept_at` is up to when its provider told its changes."""

    row: ScheduleRow
    milestone: Milestone = Milestone.UNKNOWN
    service: str = ""
    since: datetime | None = None
    heard_at: datetime | None = None
    webhook_at: datetime | None = None
    swept_at: datetime | None = None

    @property
    def tracker(self) -> Tracker:
        """What a client is asked about."""
        return Tracker(self.row.provider, self.row.reference, self.row.carrier, self.row.tracking_number)

    def next(self, asked_at: datetime, chance: float) -> Next:
        """When to ask again after it was asked about at `asked_at`, with the counts of its row."""
        row = self.row
        seen = Seen(
            self.milestone,
            self.heard_at or row.scheduled_at,
            self.service,
            self.since,
            self.webhook_at,
            self.swept_at,
            row.failures,
            row.unknown,
            row.unchanged,
        )
        speaking = provider(row.provider)
        return next_ask(speaking.cadence, speaking.abilities.sweep, seen, asked_at, chance)


class Schedule:
    """The due-table: one row per tracker. Any number of processes share it without asking twice.

    Instants are of the clock that stamps messages; leases are in the machine's own time, and one that runs out frees
    its tracker.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = " FOR UPDATE SKIP LOCKED" if database.dialect == "postgresql" else ""

    @staticmethod
    def add(
        transaction: Transaction, trackers: Iterable[tuple[str, str, Tracker]], now: datetime, reason: str = ""
    ) -> None:
        """Schedule (account, shipment, tracker)s that are not scheduled yet. Those that are keep their time, and learn
        what was not known of them when something hinted at them."""
        rows = [_new(account, shipment_id, tracker, now, reason) for account, shipment_id, tracker in trackers]
        transaction.execute_many(
            f"""INSERT INTO {{s}}poll_schedule ({COLUMNS}) VALUES ({", ".join(f":{name}" for name in SCHEDULE.names)})
                ON CONFLICT (tracker) DO UPDATE SET shipment_id = excluded.shipment_id, carrier = excluded.carrier,
                  tracking_number = excluded.tracking_number
                WHERE poll_schedule.shipment_id = '' AND excluded.shipment_id <> ''""",
            # In one order for all writers, so that they wait for each other instead of deadlocking.
            [
                dict(zip(SCHEDULE.names, SCHEDULE.values(row), strict=True))
                for row in sorted(rows, key=lambda row: row.tracker)
            ],
        )

    def poke(self, transaction: Transaction, hints: Mapping[Pair, Iterable[str]], now: datetime, reason: str) -> None:
        """Make references of an account at a provider due at once, also those that are not asked about any more, and
        such as are not scheduled yet where the account is asked at all; never those of forgotten shipments."""
        accounts = transaction.read("SELECT account, provider FROM {s}poll_accounts")
        asked = {(row["account"], row["provider"]) for row in accounts}
        keys: dict[str, tuple[Pair, Tracker]] = {}
        for pair, references in hints.items():
            for reference in references:
                try:
                    keys[tracker_key(*pair, reference)] = (pair, Tracker(pair[1], reference))
                except InvalidStatement:
                    continue  # whatever it is, it names no tracker
        for tracker in self._of_forgotten(transaction, list(keys)):
            del keys[tracker]
        new = [(pair[0], "", tracker) for pair, tracker in keys.values() if pair in asked]
        self.add(transaction, new, now, reason)
        machine = datetime.now(UTC)
        times = {"now": now, "machine": machine, "lately": now - POKE_AGAIN, "later": now + POKE_AGAIN}
        transaction.execute_many(
            f"""UPDATE {{s}}poll_schedule SET state = 'asking', reason = :reason, due_at = {_POKED}
               WHERE tracker = :tracker AND (state <> 'asking' OR due_at > {_POKED} OR leased_until > :machine)""",
            [{"tracker": key, "reason": reason, **times} for key in sorted(keys)],
        )

    def _of_forgotten(self, reader: Reader, trackers: Sequence[str]) -> list[str]:
        """Which of these trackers feed shipments that were forgotten."""
        found = reader.read(
            f"""SELECT l.tracker FROM {{s}}tracker_links l WHERE {self._database.any_of("l.tracker", "trackers")}
                AND {OF_FORGOTTEN % "l.shipment_id"}""",
            trackers=list(trackers),
        )
        return [row["tracker"] for row in found]

    def forget(self, transaction: Transaction, shipment_id: str) -> int:
        """Stop asking about a shipment, for ever; how many trackers that stops. An answer under way changes nothing."""
        return transaction.execute(
            """UPDATE {s}poll_schedule SET state = 'stopped', reason = :reason, leased_until = NULL
               WHERE shipment_id = :id AND (state <> 'stopped' OR reason <> :reason OR leased_until IS NOT NULL)""",
            reason="the shipment was forgotten",
            id=shipment_id,
        )

    def soon(self, shipment_ids: Sequence[str], now: datetime) -> None:
        """Make all trackers of these shipments due as soon as is polite, also those that are not asked about any more:
        at once, or a minute after they were asked about last. What was counted against them is forgotten. One that is
        being asked about is asked about again after that, and of a shipment that was forgotten nothing is."""
        with self._database.transaction() as transaction:
            found = transaction.read(
                f"""SELECT tracker, asked_at FROM {{s}}poll_schedule
                    WHERE {self._database.any_of("shipment_id", "ids")}
                      AND NOT {OF_FORGOTTEN % "poll_schedule.shipment_id"} ORDER BY tracker""",
                ids=list(shipment_ids),
            )
            machine = datetime.now(UTC)
            transaction.execute_many(
                """UPDATE {s}poll_schedule SET state = 'asking', reason = 'somebody wants to know', due_at = :due_at,
                     failures = 0, unknown = 0, unchanged = 0
                   WHERE tracker = :tracker
                     AND (state <> 'asking' OR due_at > :due_at OR leased_until > :machine)""",
                [
                    {
                        "tracker": row["tracker"],
                        "due_at": max(now, row["asked_at"] + POKE_AGAIN) if row["asked_at"] else now,
                        "machine": machine,
                    }
                    for row in found
                ],
            )

    def lease(self, pair: Pair, limit: int, seconds: float, now: datetime) -> list[Due]:
        """Up to `limit` trackers of an account at a provider that are due, the longest first, for nobody else for so
        many seconds."""
        asked = {"account": pair[0], "provider": pair[1], "now": now}
        due = f"SELECT {{columns}} FROM {{{{s}}}}poll_schedule WHERE {_DUE}"
        if not self._database.tuples(f"{due.format(columns=1)} LIMIT 1", **asked, machine=datetime.now(UTC)):
            return []
        with self._database.transaction() as transaction:
            machine = datetime.now(UTC)
            found = transaction.read(
                f"{due.format(columns=COLUMNS)} ORDER BY due_at LIMIT :limit{self._lock}",
                **asked,
                machine=machine,
                limit=limit,
            )
            until = machine + timedelta(seconds=seconds)
            transaction.execute(
                f"""UPDATE {{s}}poll_schedule SET leased_until = :until
                    WHERE {self._database.any_of("tracker", "trackers")}""",
                until=until,
                trackers=[row["tracker"] for row in found],
            )
        return self.known(self._database, [ScheduleRow(**{**row, "leased_until": until}) for row in found])

    def known(self, reader: Reader, rows: Sequence[ScheduleRow]) -> list[Due]:
        """Rows together with what the tables say of their shipments, in their order."""
        swept = {
            (row["account"], row["provider"]): row["swept_until"]
            for row in reader.read("SELECT account, provider, swept_until FROM {s}poll_accounts")
        }
        shipments = {
            row["shipment_id"]: row
            for row in reader.read(
                f"""SELECT s.shipment_id, s.milestone, s.service, s.since, s.opened_at, s.last_heard_at,
                      (SELECT t.received_at FROM {{s}}timeline t
                       WHERE t.shipment_id = s.shipment_id AND t.channel = 'webhook'
                       ORDER BY t.received_at DESC LIMIT 1) AS webhook_at
                    FROM {self._database.each("ids")}
                    {self._database.look_up("shipments", "s", "shipment_id", "k.value")}""",
                ids=sorted({row.shipment_id for row in rows}),
            )
        }
        return [_due(row, shipments.get(row.shipment_id), swept.get((row.account, row.provider))) for row in rows]

    def settle(self, settled: Sequence[tuple[Due, ScheduleRow]]) -> None:
        """Write what became of trackers that were asked about and end their leases. One that was poked meanwhile is due
        again a little later, and one whose lease ran out and was taken over is left to the other."""
        with self._database.transaction() as transaction:
            transaction.execute_many(
                """UPDATE {s}poll_schedule SET leased_until = NULL,
                     state = CASE WHEN due_at = :was THEN :state ELSE 'asking' END,
                     reason = CASE WHEN due_at = :was THEN :reason ELSE reason END,
                     due_at = CASE WHEN due_at = :was THEN :due_at ELSE :later END,
                     failures = :failures, unknown = :unknown, unchanged = :unchanged, asked = :asked,
                     asked_at = :asked_at, outcome = :outcome, digest = :digest, followed = :followed
                   WHERE tracker = :tracker AND leased_until = :leased_until""",
                [
                    {name: getattr(row, name) for name in (*_SETTLED, *_LATEST)}
                    | {"was": due.row.due_at, "later": (row.asked_at or row.due_at) + POKE_AGAIN}
                    for due, row in sorted(settled, key=lambda pair: pair[0].row.tracker)
                ],
            )

    def release(self, leased: Iterable[Due]) -> None:
        """Give back trackers that were not asked about."""
        with self._database.transaction() as transaction:
            transaction.execute_many(
                """UPDATE {s}poll_schedule SET leased_until = NULL
                   WHERE tracker = :tracker AND leased_until = :leased_until""",
                [
                    {"tracker": due.row.tracker, "leased_until": due.row.leased_until}
                    for due in sorted(leased, key=lambda due: due.row.tracker)
                ],
            )

    def next_due(self, pair: Pair) -> datetime | None:
        """When the next tracker is due that nobody has leased; None when none is scheduled."""
        found = self._database.tuples(
            f"SELECT due_at FROM {{s}}poll_schedule WHERE {_FREE} ORDER BY due_at LIMIT 1",
            account=pair[0],
            provider=pair[1],
            machine=datetime.now(UTC),
        )
        return found[0][0] if found else None

    def listed(
        self, *, account: str = "", name: str = "", stopped: bool = False, shipments: Sequence[str] = (), limit: int
    ) -> list[dict[str, Any]]:
        """Rows for people, those that are due first before the others; of these shipments only, if any are given.
        `account_stopped` says why none of its account are asked about, `blocked_until` until when that is so."""
        return self._database.read(
            f"""SELECT p.tracker, p.shipment_id, p.account, p.provider, p.reference, p.state, p.due_at, p.reason,
                  p.outcome, p.asked_at, p.asked, p.failures, p.unknown, p.unchanged, p.scheduled_at,
                  COALESCE(a.stopped, '') AS account_stopped, a.blocked_until
                FROM {{s}}poll_schedule p
                LEFT JOIN {{s}}poll_accounts a ON a.account = p.account AND a.provider = p.provider
                WHERE (:account = '' OR p.account = :account) AND (:name = '' OR p.provider = :name)
                {"AND p.state <> 'asking'" if stopped else ""}
                {"AND " + self._database.any_of("p.shipment_id", "ids") if shipments else ""}
                ORDER BY p.state, p.due_at, p.tracker LIMIT :limit""",
            account=account,
            name=name,
            limit=limit,
            **({"ids": list(shipments)} if shipments else {}),
        )


def _new(account: str, shipment_id: str, tracker: Tracker, now: datetime, reason: str) -> ScheduleRow:
    first = first_ask(provider(tracker.provider).cadence, now, random())
    return ScheduleRow(
        tracker_key(account, tracker.provider, tracker.reference),
        account,
        tracker.provider,
        tracker.reference,
        tracker.carrier,
        tracker.tracking_number,
        shipment_id,
        first.state,
        reason or first.reason,
        now,
        first.at or now,
    )


def _due(row: ScheduleRow, shipment: Mapping[str, Any] | None, swept_at: datetime | None) -> Due:
    if shipment is None:
        return Due(row, swept_at=swept_at)
    return Due(
        row,
        Milestone(shipment["milestone"]),
        shipment["service"] or "",
        shipment["since"],
        shipment["last_heard_at"] or shipment["opened_at"],
        shipment["webhook_at"],
        swept_at,
    )
