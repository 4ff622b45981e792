"""How is a command that is sent again done once, and answered as it was the first time?"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import digest

from eventsourcing.persistence import IntegrityError
from msgspec import Struct

from trackledger.adapters.storage.database import Database, Transaction
from trackledger.adapters.storage.schema import COMMANDS, CommandRow
from trackledger.domain.errors import TrackledgerError

KEPT = timedelta(hours=24)
"""For so long a key is remembered, and with it what was answered."""

LEASE = timedelta(seconds=120)
"""For so long a command may be in work; after that whoever began it is taken for dead. No call that a command makes may
take as long."""

ERASED_AT_ONCE = 1_000

_ONE = "account = :account AND key = :key"


class InWork(TrackledgerError):
    """The same command is being done right now."""


class OtherCommand(TrackledgerError):
    """The key was given to another command."""


class Answered(Struct, frozen=True):
    """What was answered to a command the first time, as JSON, with its HTTP status."""

    status: int
    body: str


class Turn(Struct):
    """A command that is being done by nobody else. `earlier` is what was answered to it, and then it is done already;
    else `answer` is to be set, or it counts as never given."""

    earlier: Answered | None = None
    answer: Answered | None = None


@contextmanager
def once(database: Database, account: str, key: str, request: str) -> Generator[Turn]:
    """The turn to do a command that has a key of its sender's, who has one `account`; `request` is all that is to be
    done. Any number of processes share this.

    What may name people in a request is not kept: who does not know the key cannot even try whether a guess is right.

    Raises `InWork` while another does the same, and `OtherCommand` where the key was given to another command. What is
    raised in the block is not remembered: the command may be sent again.
    """
    key, request = _hidden(key, request)
    taken = _take(database, account, key, request)
    if taken.earlier is not None:
        yield taken.earlier_turn
        return
    turn = Turn()
    try:
        yield turn
    finally:
        with database.transaction() as transaction:
            _settle(transaction, account, key, taken.leased_until, turn.answer)


def _hidden(key: str, request: str) -> tuple[str, str]:
    """What is kept of a key and of what it was given to."""
    secret = key.encode()
    return sha256(secret).hexdigest(), digest(secret, request.encode("utf-8", "surrogatepass"), "sha256").hex()


class _Taken(Struct, frozen=True):
    leased_until: datetime
    earlier: Answered | None = None

    @property
    def earlier_turn(self) -> Turn:
        return Turn(earlier=self.earlier)


def _take(database: Database, account: str, key: str, request: str) -> _Taken:
    now = datetime.now(UTC)
    row = CommandRow(account, key, request, now, now + LEASE, 0, None)
    try:
        with database.transaction() as transaction:
            _erase(transaction, now - KEPT, account, key)
            transaction.insert(COMMANDS, [row])
        return _Taken(row.leased_until)
    except IntegrityError:
        return _take_over(database, row, now)


def _take_over(database: Database, row: CommandRow, now: datetime) -> _Taken:
    """The turn for a key that is known: its answer, or, where whoever began it died, the turn to do it again."""
    which = {"account": row.account, "key": row.key}
    with database.transaction() as transaction:
        found = transaction.read(
            f"SELECT request, leased_until, status, answer FROM {{s}}commands WHERE {_ONE}", **which
        )
        if not found:
            raise InWork("a command with this key was given up just now; send it again")
        known = found[0]
        if known["request"] != row.request:
            raise OtherCommand("this key was given to another command; use a new one for each")
        if known["answer"] is not None:
            return _Taken(known["leased_until"], Answered(known["status"], known["answer"]))
        taken = transaction.execute(
            f"""UPDATE {{s}}commands SET leased_until = :until
                WHERE {_ONE} AND answer IS NULL AND leased_until = :was AND leased_until <= :now""",
            **which,
            until=row.leased_until,
            was=known["leased_until"],
            now=now,
        )
    if not taken:
        raise InWork(
            "a command with this key is being done right now; send it again in a few seconds, or in two minutes if "
            "what did it was killed"
        )
    return _Taken(row.leased_until)


def _settle(transaction: Transaction, account: str, key: str, leased_until: datetime, answer: Answered | None) -> None:
    """Keep what was answered, or forget that the command was given; unless somebody else has taken it over."""
    mine = {"account": account, "key": key, "until": leased_until}
    if answer is None:
        transaction.execute(f"DELETE FROM {{s}}commands WHERE {_ONE} AND leased_until = :until", **mine)
    else:
        transaction.execute(
            f"UPDATE {{s}}commands SET status = :status, answer = :body WHERE {_ONE} AND leased_until = :until",
            **mine,
            status=answer.status,
            body=answer.body,
        )


def _erase(transaction: Transaction, before: datetime, account: str, key: str) -> None:
    """Forget this key if it is older, and others that are, some at a time so that nobody waits for long."""
    found = transaction.read(
        "SELECT account, key FROM {s}commands WHERE began_at < :before ORDER BY began_at LIMIT :limit",
        before=before,
        limit=ERASED_AT_ONCE,
    )
    older = {(account, key), *((row["account"], row["key"]) for row in found)}
    transaction.execute_many(
        f"DELETE FROM {{s}}commands WHERE {_ONE} AND began_at < :before",
        # In one order for all, so that they wait for each other instead of deadlocking.
        [{"account": a, "key": k, "before": before} for a, k in sorted(older)],
    )
