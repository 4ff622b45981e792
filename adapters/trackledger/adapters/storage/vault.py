"""How are the words of private shipments kept so that destroying one key makes them unreadable wherever they lie?

AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits, under a key of the shipment's own, over a JSON object of
the words by their places; shipment, version and topic of the event are authenticated with them. `sealed` is the Base64
of nonce and ciphertext. The keys lie in `vault`, outside of the events.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from secrets import token_bytes
from typing import TYPE_CHECKING, TypeVar

import msgspec
from eventsourcing.persistence import StoredEvent

from trackledger.domain.errors import UnknownEvent
from trackledger.domain.events import LedgerEvent, Worded
from trackledger.domain.mapper import ALTERED, decode, encode
from trackledger.domain.privacy import KEY_BYTES, texts_of, with_texts
from trackledger.projections.table import Reader

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED = b'"sealed":"'
"""Stands in the state of every sealed event and of no other: within a text its quotes would be escaped."""

NONCE_BYTES = 12
KEYS_A_QUERY = 100

# Of one length, so that it is prepared once.
_KEYS = f"""SELECT shipment_id, secret FROM {{s}}vault
  WHERE shipment_id IN ({", ".join(f":k{n}" for n in range(KEYS_A_QUERY))})"""

E = TypeVar("E", bound=StoredEvent)


def new_key() -> bytes:
    """The key of one shipment, at random."""
    return token_bytes(KEY_BYTES)


def keys_of(reader: Reader, shipment_ids: Iterable[str]) -> dict[str, bytes]:
    """The keys of those of these shipments that have one, in a query for a hundred."""
    wanted = sorted(set(shipment_ids))
    found: dict[str, bytes] = {}
    for start in range(0, len(wanted), KEYS_A_QUERY):
        some = wanted[start : start + KEYS_A_QUERY]
        some += some[-1:] * (KEYS_A_QUERY - len(some))
        rows = reader.read(_KEYS, **{f"k{n}": id_ for n, id_ in enumerate(some)})
        found.update((row["shipment_id"], bytes(row["secret"])) for row in rows)
    return found


def seal(events: Sequence[StoredEvent], keys: Mapping[str, bytes]) -> list[StoredEvent]:
    """Events as they are stored: those of the shipments with a key have their words sealed."""
    ciphers = {id_: _cipher(key) for id_, key in keys.items()}
    return [_sealed(one, ciphers[id_]) if (id_ := str(one.originator_id)) in ciphers else one for one in events]


def opened(reader: Reader, events: Sequence[E]) -> Sequence[E]:
    """Stored events with their words in their places again; where the key was destroyed the words are empty.

    Of an event whose sealed words were altered nothing can be read. Events that are not sealed cost a search for a few
    bytes and no question to the database.
    """
    ids = {str(one.originator_id) for one in events if SEALED in one.state}
    if not ids:
        return events
    return unsealed(events, keys_of(reader, ids))


def unsealed(events: Sequence[E], keys: Mapping[str, bytes]) -> Sequence[E]:
    """See `opened`; with the keys at hand."""
    ids = {str(one.originator_id) for one in events if SEALED in one.state}
    ciphers = {id_: _cipher(keys[id_]) for id_ in ids & keys.keys()}
    return [_open(one, ciphers.get(str(one.originator_id))) if SEALED in one.state else one for one in events]


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    # Not the key itself, which also blinds what is computed from the words.
    return AESGCM(blake2b(key=key, digest_size=KEY_BYTES, person=b"trackledger seal").digest())


def _place(stored: StoredEvent) -> bytes:
    return f"{stored.originator_id}\x1f{stored.originator_version}\x1f{stored.topic}".encode()


def _sealed(stored: StoredEvent, cipher: "AESGCM") -> StoredEvent:
    placed = decode(stored)
    if not isinstance(placed.event, Worded) or not (texts := texts_of(placed.event)):
        return stored
    nonce = token_bytes(NONCE_BYTES)
    words = nonce + cipher.encrypt(nonce, msgspec.json.encode(texts), _place(stored))
    event = with_texts(placed.event, {}, b64encode(words).decode())
    return encode(LedgerEvent(placed.originator_id, placed.originator_version, event))


def _open(stored: E, cipher: "AESGCM | None") -> E:
    from cryptography.exceptions import InvalidTag

    try:
        placed = decode(stored)
    except UnknownEvent:
        return stored  # whoever folds it is told why
    if not isinstance(placed.event, Worded):
        return stored
    texts: dict[str, str] = {}
    if cipher is not None:
        try:
            words = b64decode(placed.event.sealed, validate=True)
            said = cipher.decrypt(words[:NONCE_BYTES], words[NONCE_BYTES:], _place(stored))
            texts = msgspec.json.decode(said, type=dict[str, str])
        except (InvalidTag, ValueError):
            return replace(stored, state=ALTERED)
    event = with_texts(placed.event, texts)
    return replace(stored, state=encode(LedgerEvent(placed.originator_id, placed.originator_version, event)).state)
