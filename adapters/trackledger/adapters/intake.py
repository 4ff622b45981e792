"""How does a message become events? Inbox, normalize, ledger, in one straight line."""

import logging
from collections.abc import Sequence

from trackledger.adapters.follow_up import FollowUp
from trackledger.adapters.inbox import Inbox, Outcome
from trackledger.adapters.providers import normalize
from trackledger.adapters.providers.base import Message
from trackledger.adapters.storage.database import Transaction
from trackledger.domain.batch import Receipt
from trackledger.domain.checkpoints import Report
from trackledger.domain.errors import Ignored, InvalidStatement, MessageError
from trackledger.domain.ledger import MAX_BATCH, Ledger

RESUMED_AT_ONCE = 50

log = logging.getLogger("trackledger.intake")


class Intake:
    """Takes messages through the whole line."""

    def __init__(self, inbox: Inbox, ledger: Ledger, follow_up: FollowUp) -> None:
        self._inbox = inbox
        self._ledger = ledger
        self._follow_up = follow_up

    def take(self, messages: Sequence[Message]) -> list[Outcome]:
        """Keep the messages, read them, and record what they newly say: one outcome each, in their order.

        Events and outcomes of a batch are one transaction. A message that cannot be read is parked with its reason, and
        so is one with a shipment that cannot be decided; neither holds back another.
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
        batch: list[tuple[Message, list[Report] | Outcome]] = []
        size = 0
        for message in messages:
            read = self._read(message)
            reports = len(read) if isinstance(read, list) else 0
            if batch and size + reports > MAX_BATCH:
                outcomes += self._record(batch)
                batch, size = [], 0
            batch.append((message, read))
            size += reports
        return outcomes + (self._record(batch) if batch else [])

    def _read(self, message: Message) -> list[Report] | Outcome:
        try:
            reports = self._follow_up(normalize(message))
            for report in reports:
                _ = report.keys
        except Ignored as reason:
            return Outcome(message.message_id, "ignored", reason=str(reason))
        except (MessageError, InvalidStatement) as reason:
            return Outcome(message.message_id, "parked", reason=str(reason))
        except Exception as error:
            log.exception("message %s cannot be normalized", message.message_id)
            # Its own text may hold what no database can store; `repr` escapes that.
            failure = f"{message.provider}: the message could not be read ({error!r}); report this"
            return Outcome(message.message_id, "parked", reason=failure)
        return reports

    def _record(self, batch: list[tuple[Message, list[Report] | Outcome]]) -> list[Outcome]:
        reports = [report for _, read in batch if isinstance(read, list) for report in read]
        outcomes: list[Outcome] = []

        def settle(transaction: Transaction, receipts: Sequence[Receipt]) -> None:
            remaining = iter(receipts)
            outcomes[:] = [
                read if isinstance(read, Outcome) else _outcome(message, [next(remaining) for _ in read])
                for message, read in batch
            ]
            self._inbox.settle(transaction, outcomes)

        self._ledger.intake(reports, also=settle)
        return outcomes


def _outcome(message: Message, receipts: list[Receipt]) -> Outcome:
    errors = [f"{receipt.shipment_id}: {receipt.error}" for receipt in receipts if receipt.error]
    return Outcome(
        message.message_id,
        "parked" if errors else "done",
        sum(r.recorded for r in receipts),
        sum(r.amended for r in receipts),
        sum(r.repeated for r in receipts),
        sum(r.withdrawn for r in receipts),
        tuple(dict.fromkeys(r.shipment_id for r in receipts if not r.error)),
        "; ".join(errors),
    )
