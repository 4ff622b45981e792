"""Which events follow when a person reads otherwise, takes out or forgets what was said, or remarks on it?"""

from collections.abc import Sequence
from datetime import datetime
from unicodedata import category

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from trackledger.domain.errors import InvalidStatement, NoSuchCheckpoint, UsageError
from trackledger.domain.events import AmendedByHand, Correction, Event, Forgotten, NoteAdded, WithdrawnByHand
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


def note(text: str, actor: str, now: datetime) -> list[Event]:
    """A remark."""
    return [NoteAdded(recorded_at=now, text=require_text(text, "note"), actor=require_actor(actor))]


def amend(said: Statements, key: str, reading: Reading, actor: str, reason: str, now: datetime) -> list[Event]:
    """Another reading of the version of a checkpoint that stands; nothing when it reads the same.

    Identity and digest stay, as they are of the provider's words: the provider's repetition changes nothing, its next
    version stands. Raises `NoSuchCheckpoint`.
    """
    require_actor(actor), require_text(reason, "reason")
    standing = said.standing(key)
    if standing is None:
        raise _missing(said, key)
    changes = {name: value for name, value in asdict(reading).items() if value is not UNSET}
    for name in ("location", "remark"):
        if name in changes:
            require_text(changes[name], name, least=0)
    if "ndr_reason" in changes:
        changes["ndr_inferred"] = False
    checkpoint = replace(standing, **changes)
    if checkpoint == standing:
        return []
    correction = Correction(key, standing.digest, checkpoint)
    return [AmendedByHand(recorded_at=now, actor=actor, reason=reason, correction=correction)]


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
    require_actor(actor), require_text(reason, "reason")
    changed = tuple(key for key in dict.fromkeys(keys) if said.is_struck(key) is undone)
    if not changed:
        return []
    return [WithdrawnByHand(recorded_at=now, actor=actor, reason=reason, keys=changed, undone=undone)]


def forget(actor: str, reason: str, now: datetime, *, forgotten: bool) -> list[Event]:
    """That a shipment is forgotten; nothing when it is already."""
    require_actor(actor), require_text(reason, "reason")
    return [] if forgotten else [Forgotten(recorded_at=now, actor=actor, reason=reason)]


def _missing(said: Statements, key: str) -> NoSuchCheckpoint:
    return NoSuchCheckpoint(f"{said.shipment_id} has no checkpoint {key[:80]!r}; see `trackledger timeline`")


def require_text(text: str, what: str, least: int = 1) -> str:
    """The same text. Raises `InvalidStatement` unless it has `least` to 4,000 characters, none of them a control
    character; blanks alone do not count."""
    if len(text) > MAX_TEXT or len(text.strip()) < least:
        raise InvalidStatement(f"the {what} has {len(text):,} characters; write {least} to {MAX_TEXT:,}")
    at = next((at for at, character in enumerate(text, start=1) if category(character) in ("Cc", "Cs")), 0)
    if at:
        raise InvalidStatement(f"the {what} has a control character at place {at:,}; write it in one line of text")
    return text


def require_actor(actor: str) -> str:
    """The same name. Raises `InvalidStatement` unless it has 1 to 128 characters, all of them printable."""
    if not actor.strip() or len(actor) > MAX_ACTOR or not actor.isprintable():
        raise InvalidStatement(f"actor {actor[:80]!r} must be 1 to {MAX_ACTOR} printable characters; say who you are")
    return actor
