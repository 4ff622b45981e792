"""Which messages arrived, who is at work on them, and what became of each?"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.providers.base import Message
from trackledger.adapters.storage.database import Database, Transaction
from trackledger.domain.checkpoints import Channel
from trackledger.domain.moments import require_aware

if TYPE_CHECKING:
    from trackledger.projections.projector import Waiter

MAX_TRIES = 5
"""How often a message is claimed before it is given up, when each time its pump ended before it was settled."""

CLAIM_BYTES = 16 * 1024 * 1024
"""Bytes of the bodies of one claim, unless a single message has more."""

HEADERS = frozenset({"content-type", "user-agent", "x-request-id", "as-webhook-version", "x-rye-event-id"})
"""Headers of a request that may explain a message later; none of them carries a secret."""

MAX_HEADER = 256
MAX_REASON = 2000

STATES = ("waiting", "done", "ignored", "parked", "discarded")

# SQLite uses a partial index only where its condition stands in the query word for word.
_UNSETTLED = "state IN ('waiting', 'parked')"
_WAITING = f"{_UNSETTLED} AND state = 'waiting'"
_FREE = f"{_WAITING} AND (claimed_until IS NULL OR claimed_until <= :now)"
_ANY_FREE = f"SELECT 1 FROM {{s}}messages WHERE {_FREE} LIMIT 1"
# Without statistics, as in a young table, PostgreSQL would sort all that waits for each batch of it.
_IN_ORDER = "SELECT set_config('enable_bitmapscan', 'off', TRUE), set_config('enable_sort', 'off', TRUE)"
ENVELOPE = """message_id, provider, account, channel, state, reason, received_at, last_received_at, times, tries,
  context, headers"""
_DIED = f"its pump ended {MAX_TRIES} times before it was done with it; see why in the log of the pump, then retry it"


class Outcome(Struct, frozen=True):
    """What became of one message. `state` is `done`, `ignored`, `parked`, `discarded` for one that is not to be read
    any more, or `refused` for what was never kept; all but the first say why in `reason`. One that speaks of a
    forgotten shipment is `erased`."""

    message_id: str
    state: str
    recorded: int = 0
    amended: int = 0
    repeated: int = 0
    withdrawn: int = 0
    shipments: tuple[str, ...] = ()
    reason: str = ""
    erased: bool = False


class Claimed(Struct, frozen=True):
    """A message to be taken in now. `times` says which of its arrivals is meant: what becomes of this one settles no
    later one. It is claimed for the `tries`th time since it was last settled."""

    message: Message
    times: int
    tries: int = 1


def message(
    provider: str,
    body: bytes,
    *,
    channel: Channel = "poll",
    account: str = "default",
    received_at: datetime,
    context: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Message:
    """A message with the id that its content gives it: the same bytes for the same account, channel and context have
    the same id. Of the headers only those in `HEADERS` are kept, up to 256 characters of each."""
    context = dict(context or {})
    digest = blake2b(digest_size=16)
    for part in (provider.encode(), account.encode(), channel.encode(), json.dumps(context, sort_keys=True).encode()):
        digest.update(part + b"\x1f")
    digest.update(body)
    received_at = require_aware(received_at, "received-at")
    kept = {name.lower(): text[:MAX_HEADER] for name, text in (headers or {}).items() if name.lower() in HEADERS}
    return Message(digest.hexdigest(), provider, account, channel, received_at, body, context, kept)


class Inbox:
    """The durable record of raw messages. Appending is what acknowledges: it returns after the commit.

    A message waits until it is settled. Whoever takes it in claims it first, for a number of seconds of the machine's
    time; if that process dies, the claim runs out and another takes over.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_sqlite = database.dialect == "sqlite"

    def append(self, messages: Sequence[Message]) -> None:
        """Keep messages, in one transaction, and wake the pumps.

        One that is there already is counted again and waits again, unless somebody has discarded it.
        """
        with self._database.transaction() as transaction:
            self._append(transaction, messages, None)
        self._database.wake()

    def append_claimed(self, messages: Sequence[Message], seconds: float) -> list[Claimed | Outcome]:
        """Keep messages that the caller takes in at once, so that no pump does so too: each as it is to be read, in
        their order, or what had become of it where somebody has discarded it."""
        with self._database.transaction() as transaction:
            self._append(transaction, messages, datetime.now(UTC) + timedelta(seconds=seconds))
            found = transaction.read(
                f"""SELECT message_id, state, reason, received_at, times FROM {{s}}messages
                    WHERE {self._database.any_of("message_id", "ids")}""",
                ids=[m.message_id for m in messages],
            )
        kept = {row["message_id"]: row for row in found}
        return [
            Outcome(m.message_id, "discarded", reason=kept[m.message_id]["reason"] or "")
            if kept[m.message_id]["state"] == "discarded"
            else Claimed(replace(m, received_at=_received_at(m, kept[m.message_id])), kept[m.message_id]["times"])
            for m in messages
        ]

    @staticmethod
    def _append(transaction: Transaction, messages: Sequence[Message], claimed_until: datetime | None) -> None:
        claim = ", tries = 1, claimed_until = excluded.claimed_until" if claimed_until else ""
        transaction.execute_many(
            f"""INSERT INTO {{s}}messages (message_id, provider, account, channel, state, received_at,
                  last_received_at, times, recorded, amended, repeated, tries, claimed_until, context, headers, body)
                VALUES (:id, :provider, :account, :channel, 'waiting', :at, :at, 1, 0, 0, 0, :tries, :until,
                  :context, :headers, :body)
                ON CONFLICT (message_id) DO UPDATE SET times = messages.times + 1,
                  last_received_at = excluded.last_received_at,
                  state = CASE WHEN messages.state = 'discarded' THEN 'discarded' ELSE 'waiting' END{claim}""",
            [
                {
                    "id": m.message_id,
                    "provider": m.provider,
                    "account": m.account,
                    "channel": m.channel,
                    "at": m.received_at,
                    "tries": 1 if claimed_until else 0,
                    "until": claimed_until,
                    "context": json.dumps(dict(m.context)),
                    "headers": json.dumps(dict(m.headers)),
                    "body": m.body,
                }
                # In one order for all writers, so that they wait for each other instead of deadlocking.
                for m in sorted(messages, key=lambda m: m.message_id)
            ],
        )

    def claim(self, limit: int, seconds: float) -> list[Claimed]:
        """Up to `limit` waiting messages, the oldest first, which nobody else gets for so many seconds.

        One that was claimed before and not settled comes alone: it may be what ended its pump, and the others are not
        to be given up with it. After `MAX_TRIES` times it is parked instead.
        """
        now = datetime.now(UTC)
        while True:
            # A transaction would keep SQLite's other writers waiting, for nothing most of the time.
            if self._is_sqlite and not self._database.tuples(_ANY_FREE, now=now):
                return []
            with self._database.transaction() as transaction:
                free = self._free(transaction, now, limit)
                if not free:
                    return []
                chosen = _together(free)
                if chosen[0]["tries"] < MAX_TRIES:
                    return self._claim(transaction, chosen, now + timedelta(seconds=seconds))
                # `tries` stays, so that the same bytes end no more pumps when they arrive again.
                transaction.execute(
                    """UPDATE {s}messages SET state = 'parked', reason = :reason, claimed_until = NULL
                       WHERE message_id = :id""",
                    reason=f"{chosen[0]['provider']}: {_DIED}",
                    id=chosen[0]["message_id"],
                )

    def _free(self, transaction: Transaction, now: datetime, limit: int) -> list[dict[str, Any]]:
        free = f"""SELECT {ENVELOPE}, length(body) AS bytes FROM {{s}}messages WHERE {_FREE}
                   ORDER BY received_at, message_id LIMIT :limit"""
        if self._is_sqlite:
            return transaction.read(free, now=now, limit=limit)
        transaction.execute(_IN_ORDER)
        return transaction.read(f"{free} FOR UPDATE SKIP LOCKED", now=now, limit=limit)

    def _claim(self, transaction: Transaction, chosen: list[dict[str, Any]], until: datetime) -> list[Claimed]:
        claimed = transaction.read(
            f"""UPDATE {{s}}messages SET tries = tries + 1, claimed_until = :until
                WHERE {self._database.any_of("message_id", "ids")} RETURNING message_id, body""",
            until=until,
            ids=[row["message_id"] for row in chosen],
        )
        bodies = {row["message_id"]: row["body"] for row in claimed}
        return [
            Claimed(stored_message(row, bodies[row["message_id"]]), row["times"], row["tries"] + 1) for row in chosen
        ]

    @staticmethod
    def settle(transaction: Transaction, settled: Iterable[tuple[Claimed, Outcome]]) -> None:
        """Note what became of messages, in the transaction that stores their events.

        One that has arrived again since it was claimed goes on waiting, and one that somebody else has settled in the
        meantime, because a claim ran out, stays as it is. One that is not to be kept is deleted.
        """
        settled = list(settled)
        transaction.execute_many(
            "DELETE FROM {s}messages WHERE message_id = :id AND state = 'waiting' AND times = :times",
            [
                {"id": outcome.message_id, "times": claimed.times}
                for claimed, outcome in sorted(settled, key=lambda pair: pair[1].message_id)
                if outcome.erased
            ],
        )
        transaction.execute_many(
            """UPDATE {s}messages SET state = CASE WHEN times = :times THEN :state ELSE state END,
                 reason = :reason, recorded = :recorded, amended = :amended, repeated = :repeated,
                 tries = 0, claimed_until = NULL
               WHERE message_id = :id AND state = 'waiting'""",
            [
                {
                    "id": outcome.message_id,
                    "times": claimed.times,
                    "state": outcome.state,
                    "reason": storable(outcome.reason) or None,
                    "recorded": outcome.recorded,
                    "amended": outcome.amended,
                    "repeated": outcome.repeated,
                }
                for claimed, outcome in sorted(settled, key=lambda pair: pair[1].message_id)
            ],
        )

    def put_back(self, claimed: Claimed, reason: str, seconds: float) -> None:
        """Let a message that could not be taken in wait for so many seconds, or park it if it has had its tries."""
        with self._database.transaction() as transaction:
            if claimed.tries >= MAX_TRIES:
                self.settle(transaction, [(claimed, Outcome(claimed.message.message_id, "parked", reason=reason))])
                return
            transaction.execute(
                """UPDATE {s}messages SET reason = :reason, claimed_until = :until
                   WHERE message_id = :id AND state = 'waiting' AND times = :times""",
                reason=storable(reason),
                until=datetime.now(UTC) + timedelta(seconds=seconds),
                id=claimed.message.message_id,
                times=claimed.times,
            )

    def read(self, message_id: str) -> Message | None:
        """One kept message; None where it is not kept any more."""
        found = self._database.read(f"SELECT {ENVELOPE}, body FROM {{s}}messages WHERE message_id = :id", id=message_id)
        return stored_message(found[0], bytes(found[0]["body"])) if found else None

    def waiter(self) -> "Waiter":
        """Something that sleeps until messages may have arrived."""
        return self._database.waiter()

    def waiting(self) -> int:
        """How many messages are not taken in yet, claimed or not."""
        return int(self._database.tuples(f"SELECT COUNT(*) FROM {{s}}messages WHERE {_WAITING}")[0][0])

    def oldest_waiting(self, now: datetime) -> timedelta | None:
        """How long before `now`, a time of the clock that stamps messages, the one that has waited longest arrived;
        None when none waits."""
        found = self._database.tuples(
            f"SELECT last_received_at FROM {{s}}messages WHERE {_WAITING} ORDER BY last_received_at LIMIT 1"
        )
        return now - found[0][0] if found else None

    def counts(self, *states: str) -> dict[tuple[str, str], int]:
        """How many messages there are by (provider, state): those that wait or are parked, or those in the states that
        are named, for which every message has to be looked at."""
        found = self._database.tuples(
            f"""SELECT provider, state, COUNT(*) FROM {{s}}messages
                WHERE {self._database.any_of("state", "states") if states else _UNSETTLED}
                GROUP BY provider, state ORDER BY provider, state""",
            **({"states": list(states)} if states else {}),
        )
        return {(provider, state): count for provider, state, count in found}

    def parked(self, limit: int = 100) -> list[dict[str, Any]]:
        """Messages that nobody could read, the oldest first."""
        return self._database.read(
            f"""SELECT message_id, provider, account, channel, received_at, times, reason FROM {{s}}messages
               WHERE {_UNSETTLED} AND state = 'parked' ORDER BY received_at, message_id LIMIT :limit""",
            limit=limit,
        )


def storable(text: str) -> str:
    """A reason as both databases can keep it, whatever an error had to say: escaped, and of up to 2,000 characters."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:MAX_REASON])
    return shown[:MAX_REASON]


def _together(free: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of these rows, and those behind it that can go with it in one batch."""
    if free[0]["tries"]:
        return free[:1]
    chosen: list[dict[str, Any]] = []
    size = 0
    for row in free:
        if row["tries"]:
            continue
        size += row["bytes"]
        if chosen and size > CLAIM_BYTES:
            break
        chosen.append(row)
    return chosen


def stored_message(row: Mapping[str, Any], body: bytes) -> Message:
    """The message of a row of `messages` that has the columns of `ENVELOPE`, and its bytes."""
    kept = Message(
        row["message_id"],
        row["provider"],
        row["account"],
        row["channel"],
        row["last_received_at"],
        body,
        json.loads(row["context"]),
        json.loads(row["headers"]),
    )
    return replace(kept, received_at=_received_at(kept, row))


def _received_at(arrived: Message, kept: Mapping[str, Any]) -> datetime:
    """A webhook that was delivered again says what it said the first time, so it keeps the time of its first arrival.
    A poll that was answered the same again confirms it for its own time."""
    first: datetime = kept["received_at"]
    return first if arrived.channel == "webhook" else arrived.received_at
