"""Which events follow when a person, or a better mapping, reads again what was said?"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from trackledger.domain.errors import InvalidStatement, NoSuchCheckpoint, UsageError
from trackledger.domain.events import AmendedByHand, Correction, Event, Forgotten, NoteAdded, Reread, WithdrawnByHand
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Moment
from trackledger.domain.statements import Statements

MAX_TEXT = 4000
MAX_ACTOR = 128
MAX_KEYS = 1000


class Reading(Struct, frozen=True):
    """What a person reads otherwise in a checkpoint; what is not given stays. An NDR reason of None takes it away."""

    milestone: Milestone | UnsetType = UNSET
    leg: Leg | UnsetType = UNSET
    occurred: Moment | UnsetType = UNSET
    ndr_reason: NdrReason | UnsetType | None = UNSET
    location: str | UnsetType = UNSET
    remark: str | UnsetType = UNSET


class Rereading(Struct, frozen=True):
    """How the version `mapping` of a provider's mapping reads what one message stated, and who had it read again."""

    provider: str
    mapping: str
    message_id: str
    actor: str
    corrections: tuple[Correction, ...]


def note(text: str, actor: str, now: datetime) -> list[Event]:
    """A remark."""
    return [NoteAdded(recorded_at=now, text=_text(text, "note"), actor=_actor(actor))]


def amend(said: Statements, key: str, reading: Reading, actor: str, reason: str, now: datetime) -> list[Event]:
    """Another reading of the version of a checkpoint that stands; nothing when it reads the same.

    Identity and digest stay, as they are of the provider's words: the provider's repetition changes nothing, its next
    version stands. Raises `NoSuchCheckpoint`.
    """
    standing = said.standing(key)
    if standing is None:
        raise _missing(said, key)
    changes = {name: value for name, value in asdict(reading).items() if value is not UNSET}
    for name in ("location", "remark"):
        if name in changes:
            _text(changes[name], name, least=0)
    if "ndr_reason" in changes:
        changes["ndr_inferred"] = False
    checkpoint = replace(standing, **changes)
    if checkpoint == standing:
        return []
    correction = Correction(key, standing.digest, checkpoint)
    return [AmendedByHand(recorded_at=now, actor=_actor(actor), reason=_text(reason, "reason"), correction=correction)]


def withdraw(
    said: Statements, keys: Sequence[str], actor: str, reason: str, now: datetime, *, undone: bool = False
) -> list[Event]:
    """Take checkpoints out of every conclusion, or let them count again; nothing for those that are so already.

    Raises `NoSuchCheckpoint`, and `UsageError` for more than 1,000 at a time; then nothing is withdrawn.
    """
    if len(keys) > MAX_KEYS:
        raise UsageError(f"{len(keys):,} checkpoints are over the limit of {MAX_KEYS:,}; name fewer at a time")
    for key in keys:
        if said.standing(key) is None:
            raise _missing(said, key)
    _actor(actor), _text(reason, "reason")
    changed = tuple(key for key in dict.fromkeys(keys) if said.is_struck(key) is undone)
    if not changed:
        return []
    return [WithdrawnByHand(recorded_at=now, actor=actor, reason=reason, keys=changed, undone=undone)]


def reread(said: Statements, readings: Rereading, now: datetime) -> list[Event]:
    """Other readings of versions that one message stated; those that are read so already are left out."""
    news = tuple(
        correction
        for correction in readings.corrections
        if (known := said.version(correction.key, correction.replaces)) is not None and known != correction.checkpoint
    )
    if not news:
        return []
    return [
        Reread(
            recorded_at=now,
            provider=readings.provider,
            mapping=readings.mapping,
            message_id=readings.message_id,
            actor=_actor(readings.actor),
            corrections=news,
        )
    ]


def forget(actor: str, reason: str, now: datetime, *, forgotten: bool) -> list[Event]:
    """That a shipment is forgotten; nothing when it is already."""
    _actor(actor), _text(reason, "reason")
    return [] if forgotten else [Forgotten(recorded_at=now, actor=actor, reason=reason)]


def _missing(said: Statements, key: str) -> NoSuchCheckpoint:
    return NoSuchCheckpoint(f"{said.shipment_id} has no checkpoint {key[:80]!r}; see `trackledger timeline`")


def _text(text: str, what: str, least: int = 1) -> str:
    if not least <= len(text.strip()) <= MAX_TEXT or len(text) > MAX_TEXT:
        raise InvalidStatement(f"the {what} has {len(text):,} characters; write {least} to {MAX_TEXT:,}")
    return text


def _actor(actor: str) -> str:
    if not actor.strip() or len(actor) > MAX_ACTOR or not actor.isprintable():
        raise InvalidStatement(f"actor {actor[:80]!r} must be 1 to {MAX_ACTOR} printable characters; say who you are")
    return actor
