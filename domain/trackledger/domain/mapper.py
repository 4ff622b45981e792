"""How does an event become bytes, and bytes an event again?"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, Notification, StoredEvent

from trackledger.domain.errors import InvalidStatement, UnknownEvent
from trackledger.domain.events import TOPICS, Event, LedgerEvent
from trackledger.domain.upcasting import UPCASTS, Upcast, upcast

Stream: TypeAlias = Sequence[StoredEvent]

_TOPIC_OF = {event_type: topic for topic, event_type in TOPICS.items()}
_DECODER_OF = {topic: msgspec.json.Decoder(event_type) for topic, event_type in TOPICS.items()}

ALTERED = b"altered"
"""The state of an event whose sealed words do not belong to it, in place of what is stored."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_encode = msgspec.json.Encoder().encode
_decode_recorded = msgspec.json.Decoder(Event).decode


class EventMapper(Mapper[str]):
    """Stores each event as one JSON object, readable by SQL, under its explicit topic.

    The library's own transcoder is not used: it interprets nested `_type_` members, so that text of a provider could
    make a shipment unreadable, and it is several times slower (13 against 2 microseconds an event).
    """

    def __init__(self) -> None:
        super().__init__(transcoder=JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """The stored form of a `LedgerEvent`."""
        assert isinstance(domain_event, LedgerEvent)
        return encode(domain_event)

    def to_domain_event(self, stored_event: StoredEvent) -> LedgerEvent:
        """The `LedgerEvent` of a stored form. Raises `UnknownEvent` for a topic or body that cannot be read."""
        return decode(stored_event)


def encode(placed: LedgerEvent) -> StoredEvent:
    """One stored event; unlike the library's, without run-time protocol checks.

    Raises `InvalidStatement` for text with a NUL character or an unpaired surrogate, which no database can show again.
    """
    event = placed.event
    try:
        state = _encode(event)
    except UnicodeEncodeError as error:
        raise InvalidStatement(f"text {error.object[:80]!r} holds an unpaired surrogate; leave it out") from None
    if b"\\u0000" in state and _NUL.search(state):
        raise InvalidStatement(f"a text of {placed.originator_id!r} holds a NUL character; leave it out")
    return StoredEvent(placed.originator_id, placed.originator_version, _TOPIC_OF[type(event)], state)


def decode(stored: StoredEvent) -> LedgerEvent:
    """Raises `UnknownEvent` when no topic in `TOPICS` is or succeeds this one, or the body does not fit its type."""
    event = decode_state(stored.topic, stored.state, f"{stored.originator_id} version {stored.originator_version}")
    position = stored.id if isinstance(stored, Notification) else 0
    return LedgerEvent(str(stored.originator_id), stored.originator_version, event, position)


def recorded_at(stored: StoredEvent) -> datetime:
    """When the ledger recorded an event, without reading the rest of it. Raises `UnknownEvent` where it cannot say."""
    try:
        return _decode_recorded(stored.state).recorded_at
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        where = f"{stored.originator_id} version {stored.originator_version}"
        raise UnknownEvent(f"event {stored.topic!r} of {where} cannot be read: {error}") from error


def decode_state(topic: str, state: bytes, where: str, upcasts: Mapping[str, Upcast] = UPCASTS) -> Event:
    """The event alone, in its newest form. `where` names it in the error. A stored form that is still written costs
    nothing for there being older ones."""
    decoder = _DECODER_OF.get(topic)
    try:
        if decoder is None:
            newest, said = upcast(topic, msgspec.json.decode(state) if topic in upcasts else {}, upcasts)
            if newest not in _DECODER_OF:
                raise UnknownEvent(f"event {topic!r} of {where} is unknown here; upgrade trackledger to read it")
            return _DECODER_OF[newest].decode(_encode(said))
        return decoder.decode(state)
    except (msgspec.DecodeError, ValueError, LookupError, TypeError, RecursionError) as error:
        if state == ALTERED:
            raise UnknownEvent(
                f"the sealed words of event {topic!r} of {where} were altered; run `trackledger verify`"
            ) from None
        raise UnknownEvent(f"event {topic!r} of {where} cannot be read: {error}") from error
