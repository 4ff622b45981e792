"""What can a person do with the messages that are kept: look at one, try it again, set it aside, erase old ones?"""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from trackledger.adapters.inbox import MAX_REASON, storable
from trackledger.adapters.settings import Retention
from trackledger.adapters.storage.database import Database
from trackledger.domain.errors import TrackledgerError, UsageError

PURGED = ("done", "ignored", "discarded", "parked")
"""States whose messages may be erased. What waits is never erased: it is acknowledged and nobody has read it yet."""

SLICE = 1000
"""Messages that are erased in one transaction."""

MAX_IDS = 1000

_PREFIX = re.compile(r"[0-9a-f]{8,32}")
_AGAIN = ("parked", "ignored", "discarded")
_OPEN = ("parked", "waiting")
_COLUMNS = """message_id, provider, account, channel, state, reason, received_at, last_received_at, times, recorded,
  amended, repeated, tries, claimed_until, context, headers"""


class NoSuchMessage(TrackledgerError, LookupError):
    """No message with this id is kept, or it is not in a state in which this can be done with it."""


class Kept:
    """The kept messages of one ledger. An id may be shortened to its first characters, at least 8, if one is meant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ids(self, prefixes: Sequence[str], account: str | None = None) -> list[str]:
        """The whole ids, in their order, each once. Raises `UsageError` for what is no id or means several messages,
        and `NoSuchMessage`, also for what is of another `account`; at most 1,000 at a time."""
        if len(prefixes) > MAX_IDS:
            raise UsageError(f"{len(prefixes):,} message ids are over the limit of {MAX_IDS:,}; name fewer at a time")
        return list(dict.fromkeys(self._id(prefix, account) for prefix in prefixes))

    def _id(self, prefix: str, account: str | None) -> str:
        if not _PREFIX.fullmatch(prefix):
            raise UsageError(f"message id {prefix[:80]!r} is not 8 to 32 of the characters 0-9 a-f; see `parked`")
        found = self._database.tuples(
            f"""SELECT message_id FROM {{s}}messages WHERE message_id >= :least AND message_id < :most
                {"" if account is None else "AND account = :account"} LIMIT 2""",
            least=prefix,
            most=prefix + "g",
            **({} if account is None else {"account": account}),
        )
        if not found:
            raise NoSuchMessage(f"no message {prefix!r} is kept; see `parked`, or it was erased")
        if len(found) > 1:
            raise UsageError(f"message id {prefix!r} means several messages; give more of its characters")
        return str(found[0][0])

    def show(self, message_id: str) -> dict[str, Any]:
        """Everything that is known of one message but its bytes, of which only the number is told."""
        row = self.rows(self.ids([message_id]))[0]
        return row | {"context": json.loads(row["context"]), "headers": json.loads(row["headers"])}

    def body(self, message_id: str) -> bytes:
        """The bytes of one message, as they arrived."""
        found = self._database.tuples(
            "SELECT body FROM {s}messages WHERE message_id = :id", id=self.ids([message_id])[0]
        )
        return bytes(found[0][0])

    def rows(self, message_ids: Sequence[str]) -> list[dict[str, Any]]:
        """What has become of these messages, in their order; `bytes` is the size of the body."""
        found = self._database.read(
            f"""SELECT {_COLUMNS}, length(body) AS bytes FROM {{s}}messages
                WHERE {self._database.any_of("message_id", "ids")}""",
            ids=list(message_ids),
        )
        place = {message_id: number for number, message_id in enumerate(message_ids)}
        return sorted(found, key=lambda row: place[row["message_id"]])

    def retry(self, message_ids: Sequence[str], account: str | None = None) -> list[str]:
        """Let messages that are parked, ignored or discarded wait again, to be read as if they had just arrived.

        All of them or none: raises `NoSuchMessage` for one in another state or of another `account`. Returns the whole
        ids.
        """
        ids = self.ids(message_ids, account)
        self._require(ids, _AGAIN, "tried again")
        self._wait_again("AND " + self._database.any_of("message_id", "ids"), _AGAIN, ids=ids)
        return ids

    def retry_parked(self, provider: str = "", account: str | None = None) -> list[str]:
        """Let every parked message wait again, of one provider and one account if they are named; their ids, the oldest
        first."""
        named = {"provider": provider or None, "account": account}
        given = {name: value for name, value in named.items() if value is not None}
        which = " ".join(f"AND {name} = :{name}" for name in given)
        found = self._wait_again(which, ("parked",), **given)
        return [row["message_id"] for row in sorted(found, key=lambda row: (row["received_at"], row["message_id"]))]

    def _wait_again(self, which: str, states: Sequence[str], **params: Any) -> list[dict[str, Any]]:
        with self._database.transaction() as transaction:
            found = transaction.read(
                f"""UPDATE {{s}}messages SET state = 'waiting', tries = 0, claimed_until = NULL
                    WHERE {self._database.any_of("state", "states")} {which} RETURNING message_id, received_at""",
                states=list(states),
                **params,
            )
        self._database.wake()
        return found

    def discard(self, message_ids: Sequence[str], reason: str) -> list[str]:
        """Set messages that are parked or waiting aside, also when they arrive again; why they were parked is kept
        behind the reason. All of them or none: raises `NoSuchMessage` for one in another state. Returns the whole ids.
        """
        if not reason.strip() or len(reason) > MAX_REASON // 4:
            raise UsageError(f"the reason has {len(reason):,} characters; say in 1 to {MAX_REASON // 4} why")
        ids = self.ids(message_ids)
        self._require(ids, _OPEN, "discarded")
        with self._database.transaction() as transaction:
            transaction.execute(
                f"""UPDATE {{s}}messages SET state = 'discarded', claimed_until = NULL, tries = 0,
                      reason = substr(CAST(:reason AS TEXT) || COALESCE('; before: ' || reason, ''), 1, {MAX_REASON})
                    WHERE {self._database.any_of("message_id", "ids")}
                      AND {self._database.any_of("state", "states")}""",
                reason=storable(reason.strip()),
                ids=ids,
                states=list(_OPEN),
            )
        return ids

    def _require(self, ids: Sequence[str], states: Sequence[str], what: str) -> None:
        for row in self.rows(ids):
            if row["state"] not in states:
                raise NoSuchMessage(
                    f"message {row['message_id']} is {row['state']}; only what is {' or '.join(states)} can be {what}"
                )

    def purgeable(self, now: datetime, retention: Retention, states: Sequence[str] = PURGED) -> dict[str, int]:
        """How many messages in each of these states `purge` would erase."""
        return {
            state: int(
                self._database.tuples(
                    "SELECT COUNT(*) FROM {s}messages WHERE state = :state AND last_received_at <= :before",
                    state=state,
                    before=now - age,
                )[0][0]
            )
            for state, age in _ages(retention, states)
        }

    def purge(self, now: datetime, retention: Retention, states: Sequence[str] = PURGED) -> dict[str, int]:
        """Erase messages in these states that last arrived longer before `now` than they are to be kept; how many of
        each. The events that came of them stay. Raises `UsageError` for a state of which nothing may be erased."""
        return {state: self._purge(state, now - age) for state, age in _ages(retention, states)}

    def _purge(self, state: str, before: datetime) -> int:
        erased, after = 0, ""
        # In slices in the order of the key, so that neither a transaction nor a search grows with what there is.
        while True:
            with self._database.transaction() as transaction:
                found = transaction.read(
                    """SELECT message_id FROM {s}messages
                       WHERE message_id > :after AND state = :state AND last_received_at <= :before
                       ORDER BY message_id LIMIT :limit""",
                    after=after,
                    state=state,
                    before=before,
                    limit=SLICE,
                )
                # Asked again: on PostgreSQL one of them may have arrived again since.
                erased += transaction.execute(
                    f"""DELETE FROM {{s}}messages WHERE {self._database.any_of("message_id", "ids")}
                          AND state = :state AND last_received_at <= :before""",
                    ids=[row["message_id"] for row in found],
                    state=state,
                    before=before,
                )
            if len(found) < SLICE:
                return erased
            after = found[-1]["message_id"]


def _ages(retention: Retention, states: Sequence[str]) -> list[tuple[str, timedelta]]:
    """These states, each with how long its messages are kept, without those that are kept for ever."""
    for state in states:
        if state not in PURGED:
            raise UsageError(f"messages that are {state!r} are not erased; name some of: {', '.join(PURGED)}")
    ages = {
        "done": retention.done,
        "ignored": retention.ignored,
        "discarded": retention.discarded,
        "parked": retention.parked,
    }
    return [(state, age) for state in dict.fromkeys(states) if (age := ages[state]) is not None]
