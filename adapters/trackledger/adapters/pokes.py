"""Which trackers are worth asking about at once, now that a webhook has come?"""

import logging
from collections.abc import Sequence

from trackledger.adapters.clock import Clock
from trackledger.adapters.providers import provider
from trackledger.adapters.providers.base import Message
from trackledger.adapters.schedule import Pair, Schedule
from trackledger.adapters.storage.database import Transaction
from trackledger.domain.errors import traced

log = logging.getLogger("trackledger.poller")


class Pokes:
    """Makes those trackers due of which a webhook hints that there is more to know than it tells.

    An answer is never such a hint: it tells what there is, and would be asked for again and again.
    """

    def __init__(self, schedule: Schedule, clock: Clock) -> None:
        self._schedule = schedule
        self._clock = clock

    def __call__(self, transaction: Transaction, messages: Sequence[Message]) -> None:
        """Heed messages in the transaction that settles them. Raises only what the database raises."""
        hints: dict[Pair, list[str]] = {}
        for message in messages:
            if message.channel == "webhook" and (references := _poked(message)):
                hints.setdefault((message.account, message.provider), []).extend(references)
        if hints:
            self._schedule.poke(transaction, hints, self._clock.now(), "a webhook says that there is more to know")


def _poked(message: Message) -> Sequence[str]:
    try:
        return provider(message.provider).pokes(message)
    except Exception as error:
        log.error("message %s cannot be looked at for hints; report this: %s", message.message_id, traced(error))
        log.debug("message %s cannot be looked at for hints", message.message_id, exc_info=error)
        return ()
