"""How does a message become events? Inbox, normalize, ledger, in one straight line."""

import logging
from collections.abc import Callable, Sequence
from threading import Event as Flag

from eventsourcing.persistence import OperationalError, PersistenceError
from msgspec import Struct

from trackledger.adapters.follow_up import FollowUp
from trackledger.adapters.inbox import Claimed, Inbox, Outcome
from trackledger.adapters.providers import normalize
from trackledger.adapters.providers.base import Message
from trackledger.adapters.storage.database import Transaction
from trackledger.domain.batch import Receipt
from trackledger.domain.checkpoints import Report
from trackledger.domain.errors import Contended, Ignored, InvalidStatement, Unreadable, traced
from trackledger.domain.ledger import MAX_BATCH, Ledger

BATCH = 500
"""Messages of one claim."""

CLAIM_SECONDS = 60.0
"""Many times what the largest batch takes; after it another pump takes over what a dead one had claimed."""

IDLE = 1.0
"""Seconds after which the pump looks by itself, for claims that ran out, lost wake-ups, and whether it is to stop."""

log = logging.getLogger("trackledger.intake")

Told = Callable[[Message, Outcome], None]

Also = Callable[[Transaction, Sequence[Message]], None]
"""What else is to be done about messages, in the transaction that settles them."""


class Read(Struct, frozen=True):
    """What a message says; `reason` is why it says nothing, or why a part of it could not be read."""

    claimed: Claimed
    reports: list[Report]
    state: str = "done"
    reason: str = ""


class Intake:
    """Takes messages through the whole line.

    Events and outcomes of a batch are one transaction. A message that cannot be read is parked with its reason, and so
    is one with a shipment that cannot be decided; neither holds back another, nor the other parcels that the message
    tells of. When a batch fails in a way that nobody foresaw, its messages are taken one by one, and the one that fails
    again is parked.

    What a message says of a forgotten shipment is left out, and the message is not kept once it is taken in.

    Any number of pumps may run, and any may be killed at any point: `claim_seconds` later another does its work.
    """

    def __init__(
        self,
        inbox: Inbox,
        ledger: Ledger,
        follow_up: FollowUp,
        *,
        batch: int = BATCH,
        claim_seconds: float = CLAIM_SECONDS,
        put_back_seconds: float = 2.0,
        also: Also = lambda transaction, messages: None,
    ) -> None:
        self._inbox = inbox
        self._ledger = ledger
        self._follow_up = follow_up
        self._batch = batch
        self._claim_seconds = claim_seconds
        self._put_back_seconds = put_back_seconds
        self._also = also

    def take(self, messages: Sequence[Message]) -> list[Outcome]:
        """Keep the messages, read them, and record what they newly say: one outcome each, in their order.

        When the database fails, or other writers keep winning, that is raised, and the messages wait for a pump.
        """
        kept = self._inbox.append_claimed(messages, self._claim_seconds)
        outcomes = iter(self._take([one for one in kept if isinstance(one, Claimed)]))
        return [next(outcomes) if isinstance(one, Claimed) else one for one in kept]

    def step(self, limit: int = 0, told: Told = lambda message, outcome: None) -> int:
        """Take in the oldest messages that wait, up to `limit` of them; their number, 0 when none was to be had.

        `told` is called with each message and what became of it. Raises what the database raises when it is down; then
        the messages wait until their claim has run out.
        """
        claims = self._inbox.claim(limit or self._batch, self._claim_seconds)
        self._work(claims, told)
        return len(claims)

    def catch_up(self, progress: Callable[[int], None] = lambda _: None) -> int:
        """Take in what waits by now and no other pump is at work on; the number of messages. `progress` is told of each
        batch. It ends also while others go on appending, having taken in some of that."""
        waiting = self._inbox.waiting()
        total = 0
        while total < waiting and (taken := self.step()):
            total += taken
            progress(taken)
        return total

    def run(self, stop: Flag, told: Told = lambda message, outcome: None) -> None:
        """Take in messages until `stop` is set, also through a restart of the database; sleep while there are none."""
        waiter = self._inbox.waiter()
        claims: list[Claimed] = []
        try:
            while not stop.is_set():
                try:
                    claims = claims or self._inbox.claim(self._batch, self._claim_seconds)
                    self._work(claims, told)
                except PersistenceError as error:
                    # What is claimed is kept in hand, so that it does not have to wait until its claim runs out.
                    log.warning("the pump could not take in messages and will try again: %s", error)
                    waiter.wait(IDLE)
                else:
                    if not claims:
                        waiter.wait(IDLE)
                    claims = []
        finally:
            waiter.close()

    def _work(self, claims: Sequence[Claimed], told: Told) -> None:
        """Take in what was claimed. When the database fails, it need not be down: a message may bring it about."""
        try:
            outcomes = self._take(claims)
        except (OperationalError, Contended):
            outcomes = [outcome for claimed in claims for outcome in self._take_or_put_back(claimed)]
        messages = {claimed.message.message_id: claimed.message for claimed in claims}
        for outcome in outcomes:
            told(messages[outcome.message_id], outcome)

    def _take_or_put_back(self, claimed: Claimed) -> list[Outcome]:
        try:
            return self._take([claimed])
        except (OperationalError, Contended) as error:
            # If that fails too, the database is down, and the message is not to blame.
            reason = f"{claimed.message.provider}: the database failed ({error})"
            self._inbox.put_back(claimed, reason, self._put_back_seconds * 2 ** (claimed.tries - 1))
            log.warning("message %s is put back: %s", claimed.message.message_id, error)
            return []

    def _take(self, claims: Sequence[Claimed]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        batch: list[Read] = []
        size = 0
        for read in map(self.read, claims):
            if batch and size + len(read.reports) > MAX_BATCH:
                outcomes += self._record(batch)
                batch, size = [], 0
            batch.append(read)
            size += len(read.reports)
        return outcomes + (self._record(batch) if batch else [])

    def read(self, claimed: Claimed) -> Read:
        """What a message says by today's mapping, or what is wrong with it; nothing of it is recorded."""
        try:
            return self._reports(claimed)
        except Ignored as ignored:
            return Read(claimed, [], "ignored", str(ignored))
        except Exception as error:
            log.error("message %s cannot be normalized: %s", claimed.message.message_id, traced(error))
            log.debug("message %s cannot be normalized", claimed.message.message_id, exc_info=error)
            return Read(claimed, [], "parked", _unforeseen(claimed.message, "read", error))

    def _reports(self, claimed: Claimed) -> Read:
        try:
            reason, reports = "", normalize(claimed.message)
        except Unreadable as unreadable:
            reason, reports = str(unreadable), list(unreadable.readable)
        sound = []
        for report in reports:
            try:
                _ = report.keys
            except InvalidStatement as error:
                reason = reason or str(error)
            else:
                sound.append(self._follow_up(report))
        return Read(claimed, sound, "parked" if reason else "done", reason)

    def _record(self, batch: Sequence[Read]) -> list[Outcome]:
        try:
            return self._record_together(batch)
        except (OperationalError, Contended):
            raise
        except Exception as error:
            if len(batch) > 1:
                return [outcome for read in batch for outcome in self._record([read])]
            message = batch[0].claimed.message
            log.error("message %s cannot be recorded: %s", message.message_id, traced(error))
            log.debug("message %s cannot be recorded", message.message_id, exc_info=error)
            return self._record_together(
                [Read(batch[0].claimed, [], "parked", _unforeseen(message, "recorded", error))]
            )

    def _record_together(self, batch: Sequence[Read]) -> list[Outcome]:
        reports = [report for read in batch for report in read.reports]
        outcomes: list[Outcome] = []

        def settle(transaction: Transaction, receipts: Sequence[Receipt]) -> None:
            remaining = iter(receipts)
            outcomes[:] = [_outcome(read, [next(remaining) for _ in read.reports]) for read in batch]
            self._inbox.settle(transaction, zip([read.claimed for read in batch], outcomes, strict=True))
            kept = (read for read, outcome in zip(batch, outcomes, strict=True) if not outcome.erased)
            self._also(transaction, [read.claimed.message for read in kept])

        self._ledger.intake(reports, also=settle)
        return outcomes


def _unforeseen(message: Message, done: str, error: Exception) -> str:
    # Its own text may hold what no database can store; `repr` escapes that.
    return f"{message.provider}: the message could not be {done} ({error!r}); report this"


def _outcome(read: Read, receipts: list[Receipt]) -> Outcome:
    errors = [
        f"{receipt.shipment_id}: {receipt.error}" for receipt in receipts if receipt.error and not receipt.forgotten
    ]
    forgotten = list(dict.fromkeys(receipt.shipment_id for receipt in receipts if receipt.forgotten))
    state = "parked" if errors else read.state
    if state == "done" and forgotten and all(receipt.forgotten for receipt in receipts):
        state = "ignored"
    return Outcome(
        read.claimed.message.message_id,
        state,
        sum(r.recorded for r in receipts),
        sum(r.amended for r in receipts),
        sum(r.repeated for r in receipts),
        sum(r.withdrawn for r in receipts),
        tuple(dict.fromkeys(r.shipment_id for r in receipts if not r.error)),
        "; ".join([read.reason] * bool(read.reason) + errors + [f"{one} was forgotten" for one in forgotten]),
        bool(forgotten) and state != "parked",
    )
