"""How does a message become events? Inbox, normalize, ledger, in one straight line."""

import logging
from collections.abc import Sequence

from msgspec import Struct

from trackledger.adapters.follow_up import FollowUp
from trackledger.adapters.inbox import Inbox, Outcome
from trackledger.adapters.providers import normalize
from trackledger.adapters.providers.base import Message
from trackledger.adapters.storage.database import Transaction
from trackledger.domain.batch import Receipt
from trackledger.domain.checkpoints import Report
from trackledger.domain.errors import Ignored, InvalidStatement, Unreadable
from trackledger.domain.ledger import MAX_BATCH, Ledger

RESUMED_AT_ONCE = 50

log = logging.getLogger("trackledger.intake")


class Read(Struct, frozen=True):
    """What a message says; `reason` is why it says nothing, or why a part of it could not be read."""

    message: Message
    reports: list[Report]
    state: str = "done"
    reason: str = ""


class Intake:
    """Takes messages through the whole line."""

    def __init__(self, inbox: Inbox, ledger: Ledger, follow_up: FollowUp) -> None:
        self._inbox = inbox
        self._ledger = ledger
        self._follow_up = follow_up

    def take(self, messages: Sequence[Message]) -> list[Outcome]:
        """Keep the messages, read them, and record what they newly say: one outcome each, in their order.

        Events and outcomes of a batch are one transaction. A message that cannot be read is parked with its reason, and
        so is one with a shipment that cannot be decided; neither holds back another, nor the other parcels that the
        message tells of.
        """
        return self._take(self._inbox.append(messages))

    def resume(self) -> int:
        """Take in what was kept and not taken in, as when a process died in between; the number of messages."""
        total = 0
        while messages := self._inbox.waiting(RESUMED_AT_ONCE):
            self._take(messages)
            total += len(messages)
        return total

    def _take(self, messages: Sequence[Message]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        batch: list[Read] = []
        size = 0
        for read in map(self._read, messages):
            if batch and size + len(read.reports) > MAX_BATCH:
                outcomes += self._record(batch)
                batch, size = [], 0
            batch.append(read)
            size += len(read.reports)
        return outcomes + (self._record(batch) if batch else [])

    def _read(self, message: Message) -> Read:
        try:
            reason, reports = "", normalize(message)
        except Ignored as ignored:
            return Read(message, [], "ignored", str(ignored))
        except Unreadable as unreadable:
            reason, reports = str(unreadable), list(unreadable.readable)
        except Exception as error:
            log.exception("message %s cannot be normalized", message.message_id)
            # Its own text may hold what no database can store; `repr` escapes that.
            reason, reports = f"{message.provider}: the message could not be read ({error!r}); report this", []
        sound = []
        for report in reports:
            try:
                _ = report.keys
            except InvalidStatement as error:
                reason = reason or str(error)
            else:
                sound.append(self._follow_up(report))
        return Read(message, sound, "parked" if reason else "done", reason)

    def _record(self, batch: list[Read]) -> list[Outcome]:
        reports = [report for read in batch for report in read.reports]
        outcomes: list[Outcome] = []

        def settle(transaction: Transaction, receipts: Sequence[Receipt]) -> None:
            remaining = iter(receipts)
            outcomes[:] = [_outcome(read, [next(remaining) for _ in read.reports]) for read in batch]
            self._inbox.settle(transaction, outcomes)

        self._ledger.intake(reports, also=settle)
        return outcomes


def _outcome(read: Read, receipts: list[Receipt]) -> Outcome:
    errors = [f"{receipt.shipment_id}: {receipt.error}" for receipt in receipts if receipt.error]
    return Outcome(
        read.message.message_id,
        "parked" if errors else read.state,
        sum(r.recorded for r in receipts),
        sum(r.amended for r in receipts),
        sum(r.repeated for r in receipts),
        sum(r.withdrawn for r in receipts),
        tuple(dict.fromkeys(r.shipment_id for r in receipts if not r.error)),
        "; ".join([read.reason] * bool(read.reason) + errors),
    )
