"""Which raw messages speak of a shipment?

Those that its events name, and those whose bytes, or what they were asked about, hold one of its references or numbers:
events name no message that only repeated what was known, nor one that nobody could read.
"""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from re import Pattern

from msgspec import Struct

from trackledger.adapters.inbox import Inbox
from trackledger.adapters.providers import normalize
from trackledger.adapters.providers.base import Message
from trackledger.adapters.storage.database import Database
from trackledger.domain.checkpoints import HOST
from trackledger.domain.errors import Unreadable
from trackledger.domain.links import Link

DISTINCT = 6
"""Characters from which on a reference or number that stands in a message by itself says that it is about the shipment.
A shorter one, or one without a digit, may be anything, and counts only where the message can be read and is about one
of the trackers."""

_CONTAINS = {"sqlite": "instr(body, :{name}) > 0", "postgresql": "position(:{name} in body) > 0"}
_ASKED_ABOUT = {"sqlite": "instr(context, :{name}) > 0", "postgresql": "position(:{name} in context) > 0"}
"""Some answers do not repeat what they were asked about: then it is only in the context of the message."""


class Mentioning(Struct, frozen=True):
    """Ids of messages that speak of a shipment: those that are settled in one way or another, and those that wait to be
    taken in. `others` are shipments that the settled ones speak of too."""

    settled: tuple[str, ...]
    waiting: tuple[str, ...]
    others: tuple[str, ...]


class Mentions:
    """Searches the inbox of one ledger. Every body is looked at by the database, and what it finds one by one."""

    def __init__(self, database: Database, inbox: Inbox) -> None:
        self._database = database
        self._inbox = inbox

    def of(self, shipment_id: str, named: Collection[str], numbers: Collection[str] = ()) -> Mentioning:
        """The messages that speak of a shipment; `named` are the ids that its events name, `numbers` tracking numbers
        that were stated of it."""
        links = self._links("shipment_id", [shipment_id])
        words = _words(links) | set(filter(_is_distinct, numbers))
        settled: list[str] = []
        waiting: list[str] = []
        spoken_of: set[str] = set()
        own = {link.tracker for link in links}
        for message_id, state in self._candidates(links, words, named):
            message = self._inbox.read(message_id)
            if message is None:
                continue
            keys = _keys(message)
            if not (message_id in named or keys & own or _says(message, words)):
                continue
            if state == "waiting":
                waiting.append(message_id)
            else:
                settled.append(message_id)
                spoken_of |= keys
        owners = {link.shipment_id for link in self._links("tracker", sorted(spoken_of - own))}
        return Mentioning(tuple(settled), tuple(waiting), tuple(sorted(owners - {shipment_id})))

    def _links(self, column: str, values: Sequence[str]) -> list[Link]:
        found = self._database.read(
            f"SELECT * FROM {{s}}tracker_links WHERE {self._database.any_of(column, 'values')} ORDER BY tracker",
            values=list(values),
        )
        return [Link(**row) for row in found]

    def _candidates(
        self, links: Sequence[Link], words: Collection[str], named: Collection[str]
    ) -> Sequence[tuple[str, str]]:
        needles = {f"n{n}": one for n, one in enumerate(sorted({b for word in words for b in _written(word)}))}
        asked = {f"a{n}": json.dumps(one)[1:-1] for n, one in enumerate(sorted(words))}
        contains, asks = _CONTAINS[self._database.dialect], _ASKED_ABOUT[self._database.dialect]
        conditions = [contains.format(name=name) for name in needles] + [asks.format(name=name) for name in asked]
        anywhere = " OR ".join(conditions) or "1 = 0"
        found = self._database.tuples(
            f"""SELECT message_id, state FROM {{s}}messages
                WHERE {self._database.any_of("message_id", "named")} OR (account = :account AND ({anywhere}))
                ORDER BY message_id""",
            named=sorted(named),
            account=links[0].account if links else "",
            **needles,
            **asked,
        )
        return [(message_id, state) for message_id, state in found]


def _words(links: Iterable[Link]) -> set[str]:
    """References, what they begin and end with, and tracking numbers, as far as they are distinct; of a tracker that
    has none such those that there are."""
    words: set[str] = set()
    for link in links:
        parts = link.reference.split(":")  # what may stand between them is a carrier's name
        said = {link.reference, parts[-1], link.tracking_number} - {""}
        distinct = set(filter(_is_distinct, {*said, parts[0]}))
        # No message is about the host's own reference.
        words |= distinct or (said if link.provider != HOST else set())
    return words


def _written(word: str) -> set[bytes]:
    """The bytes as which a message may hold a word."""
    escaped = json.dumps(word)[1:-1]
    return {word.encode(), escaped.encode(), escaped.replace("/", "\\/").encode()}


def _says(message: Message, words: Iterable[str]) -> bool:
    said = b"\n".join((message.body, *(text.encode() for text in message.context.values())))
    return any(_alone(one).search(said) for word in filter(_is_distinct, words) for one in _written(word))


def _is_distinct(word: str) -> bool:
    return len(word) >= DISTINCT and any(character.isdigit() for character in word)


def _alone(written: bytes) -> Pattern[bytes]:
    return re.compile(rb"(?<![0-9A-Za-z])" + re.escape(written) + rb"(?![0-9A-Za-z])")


def _keys(message: Message) -> set[str]:
    """The trackers that a message is about, as far as it can be read."""
    try:
        reports = normalize(message)
    except Unreadable as unreadable:
        reports = list(unreadable.readable)
    except Exception:
        # Whatever is wrong with it was said when it was taken in.
        return set()
    keys: set[str] = set()
    for report in reports:
        try:
            keys.update(report.keys)
        except ValueError:
            continue
    return keys
