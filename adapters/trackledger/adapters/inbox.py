"""Which messages arrived, and what became of each?"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.providers.base import Message
from trackledger.adapters.storage.database import Database, Transaction
from trackledger.domain.checkpoints import Channel
from trackledger.domain.moments import require_aware


class Outcome(Struct, frozen=True):
    """What became of one message. `state` is `done`, `ignored`, `parked`, or `refused` for what was never kept; all but
    the first say why in `reason`."""

    message_id: str
    state: str
    recorded: int = 0
    amended: int = 0
    repeated: int = 0
    withdrawn: int = 0
    shipments: tuple[str, ...] = ()
    reason: str = ""


def message(
    provider: str,
    body: bytes,
    *,
    channel: Channel = "poll",
    account: str = "default",
    received_at: datetime,
    context: Mapping[str, str] | None = None,
) -> Message:
    """A message with the id that its content gives it: the same bytes for the same account have the same id."""
    context = dict(context or {})
    digest = blake2b(digest_size=16)
    for part in (provider.encode(), account.encode(), channel.encode(), json.dumps(context, sort_keys=True).encode()):
        digest.update(part + b"\x1f")
    digest.update(body)
    received_at = require_aware(received_at, "received-at")
    return Message(digest.hexdigest(), provider, account, channel, received_at, body, context)


class Inbox:
    """The durable record of raw messages. Appending is what acknowledges: it returns after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, messages: Sequence[Message]) -> list[Message]:
        """Keep messages, in one transaction. One that is there already is counted again and waits again.

        Returns them as they are to be read: a webhook that was delivered again says what it said the first time, so it
        keeps the time of its first arrival. A poll that was answered the same again confirms it for its own time.
        """
        with self._database.transaction() as transaction:
            first = self._first_arrivals(transaction, [m.message_id for m in messages if m.channel == "webhook"])
            transaction.execute_many(
                """INSERT INTO {s}messages (message_id, provider, account, channel, state, received_at,
                     last_received_at, times, recorded, amended, repeated, context, body)
                   VALUES (:id, :provider, :account, :channel, 'waiting', :at, :at, 1, 0, 0, 0, :context, :body)
                   ON CONFLICT (message_id) DO UPDATE SET state = 'waiting', times = messages.times + 1,
                     last_received_at = excluded.last_received_at""",
                [
                    {
                        "id": m.message_id,
                        "provider": m.provider,
                        "account": m.account,
                        "channel": m.channel,
                        "at": m.received_at,
                        "context": json.dumps(m.context),
                        "body": m.body,
                    }
                    # In one order for all writers, so that they wait for each other instead of deadlocking.
                    for m in sorted(messages, key=lambda m: m.message_id)
                ],
            )
        return [replace(m, received_at=first.get(m.message_id, m.received_at)) for m in messages]

    def _first_arrivals(self, transaction: Transaction, message_ids: Sequence[str]) -> dict[str, datetime]:
        found = transaction.read(
            f"""SELECT message_id, received_at FROM {{s}}messages
                WHERE {self._database.any_of("message_id", "ids")}""",
            ids=list(message_ids),
        )
        return {row["message_id"]: row["received_at"] for row in found}

    def waiting(self, limit: int) -> list[Message]:
        """Messages that were kept and not yet taken in, as when a process died in between, the oldest first."""
        found = self._database.read(
            """SELECT message_id, provider, account, channel, received_at, last_received_at, body, context
               FROM {s}messages WHERE state = 'waiting' ORDER BY received_at, message_id LIMIT :limit""",
            limit=limit,
        )
        return [
            Message(
                row["message_id"],
                row["provider"],
                row["account"],
                row["channel"],
                row["received_at"] if row["channel"] == "webhook" else row["last_received_at"],
                row["body"],
                json.loads(row["context"]),
            )
            for row in found
        ]

    @staticmethod
    def settle(transaction: Transaction, outcomes: Sequence[Outcome]) -> None:
        """Note what became of messages, in the transaction that stores their events."""
        transaction.execute_many(
            """UPDATE {s}messages SET state = :state, reason = :reason, recorded = :recorded, amended = :amended,
                 repeated = :repeated WHERE message_id = :id""",
            [
                {
                    "id": o.message_id,
                    "state": o.state,
                    "reason": o.reason or None,
                    "recorded": o.recorded,
                    "amended": o.amended,
                    "repeated": o.repeated,
                }
                for o in sorted(outcomes, key=lambda o: o.message_id)
            ],
        )

    def parked(self, limit: int = 100) -> list[dict[str, Any]]:
        """Messages that nobody could read, the oldest first."""
        return self._database.read(
            """SELECT message_id, provider, account, channel, received_at, times, reason FROM {s}messages
               WHERE state = 'parked' ORDER BY received_at, message_id LIMIT :limit""",
            limit=limit,
        )
