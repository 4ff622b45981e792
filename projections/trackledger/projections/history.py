"""What did each event of a shipment do, in words?"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from trackledger.domain.checkpoints import HOST, Checkpoint, Estimate, Tracker
from trackledger.domain.events import (
    AmendedByHand,
    CheckpointsWithdrawn,
    Correction,
    DetailsStated,
    Event,
    Forgotten,
    LedgerEvent,
    NdrActionAcknowledged,
    NdrActionRefused,
    NdrActionRequested,
    NdrActionSent,
    NdrStep,
    NoteAdded,
    Opened,
    PieceLinked,
    ReportRecorded,
    Reread,
    TrackerLinked,
    WithdrawnByHand,
    Worded,
)
from trackledger.domain.privacy import with_texts
from trackledger.domain.statements import Statements

By = Literal["provider", "host", "person", "unknown"]


class Deed(Struct, frozen=True, kw_only=True):
    """One thing that an event did: `says` in words, the rest for programs.

    `what` is `opened`, `linked`, `stated`, `recorded`, `amended`, `identified`, `reinstated`, `withdrawn`, `estimated`,
    `claimed`, `noted`, `amended_by_hand`, `withdrawn_by_hand`, `counted_again`, `reread`, `action_requested`,
    `action_sent`, `action_acknowledged`, `action_refused` or `forgotten`. `checkpoint` is the statement in the columns
    of the timeline, `changed` what was said or read of it before and after, by column.
    """

    what: str
    says: str
    checkpoint_id: str | None = None
    checkpoint: dict[str, Any] | None = None
    changed: dict[str, tuple[Any, Any]] | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """One event in its place. `by` tells of which kind `who` is; unknown where a message linked something and told
    nothing else. `left_out` counts what it says of later than was asked about; `unreadable` says why nothing is told.
    """

    position: int
    version: int
    event: str
    recorded_at: datetime | None
    by: By
    who: str | None
    channel: str | None = None
    message_id: str | None = None
    received_at: datetime | None = None
    stated_at: datetime | None = None
    tracker: str | None = None
    reason: str | None = None
    mapping: str | None = None
    did: tuple[Deed, ...] = ()
    left_out: int = 0
    unreadable: str | None = None


def entries(events: Sequence[LedgerEvent], statements: Statements, valid_at: datetime | None = None) -> Iterator[Entry]:
    """The events of a shipment in words, in their order; `statements` is what they come to.

    With `valid_at` they tell only of what had happened by then, and events that tell of nothing else are left out. Of a
    forgotten shipment no words are told.
    """
    known = _Seen(statements, valid_at)
    for number, placed in enumerate(events):
        event = placed.event
        if statements.forgotten and isinstance(event, Worded):
            event = with_texts(event, {})
        did, left_out = known.deeds(event)
        if did or not left_out:
            yield _entry(placed, event, _speaker(events, number), tuple(did), left_out)


def unreadable(position: int, version: int, topic: str, why: str) -> Entry:
    """An event that cannot be read."""
    return Entry(
        position=position, version=version, event=topic, recorded_at=None, by="unknown", who=None, unreadable=why
    )


def _entry(placed: LedgerEvent, event: Event, speaker: Event, did: tuple[Deed, ...], left_out: int) -> Entry:
    by, who = _said_by(event, speaker)
    told = speaker if isinstance(speaker, ReportRecorded | CheckpointsWithdrawn) else None
    of_message = getattr(event, "message_id", "") or (told.message_id if told else "")
    return Entry(
        position=placed.position,
        version=placed.originator_version,
        event=type(event).__name__,
        recorded_at=event.recorded_at,
        by=by,
        who=who,
        channel=told.channel if told else None,
        message_id=of_message or None,
        received_at=told.received_at if told else None,
        stated_at=getattr(told, "stated_at", None) if told else None,
        tracker=getattr(event, "tracker", None) if isinstance(event, ReportRecorded | CheckpointsWithdrawn) else None,
        reason=getattr(event, "reason", None) or None,
        mapping=event.mapping if isinstance(event, Reread) else None,
        did=did,
        left_out=left_out,
    )


def _speaker(events: Sequence[LedgerEvent], number: int) -> Event:
    """The event that says whose doing this one is: what a report opens and links is stored right before it."""
    event = events[number].event
    if not isinstance(event, Opened | TrackerLinked | PieceLinked):
        return event
    for placed in events[number:]:
        if placed.event.recorded_at != event.recorded_at:
            break
        if isinstance(placed.event, ReportRecorded | CheckpointsWithdrawn):
            return placed.event
        if not isinstance(placed.event, Opened | TrackerLinked | PieceLinked):
            break
    return event


def _said_by(event: Event, speaker: Event) -> tuple[By, str | None]:
    match event:
        case DetailsStated():
            return "host", HOST
        case Opened() if event.reference:
            return "host", HOST
        case TrackerLinked() if event.tracker.provider == HOST:
            return "host", HOST
        case NoteAdded() | AmendedByHand() | WithdrawnByHand() | Reread() | Forgotten():
            return "person", event.actor
        case NdrActionRequested() | NdrActionSent() | NdrActionAcknowledged() | NdrActionRefused():
            return "person", event.actor
    if isinstance(speaker, ReportRecorded | CheckpointsWithdrawn):
        return "provider", speaker.provider
    return "unknown", None


class _Seen:
    """Tells events in their order, as what an amendment replaces was told before."""

    def __init__(self, statements: Statements, valid_at: datetime | None) -> None:
        self._statements = statements
        self._valid_at = valid_at
        self._versions: dict[str, Checkpoint] = {}
        self._happened = None
        if valid_at is not None:
            self._happened = {told.checkpoint.key for told in statements.until(valid_at).told()}

    def deeds(self, event: Event) -> tuple[list[Deed], int]:
        """What the event did, and how much of it is about what had not happened yet."""
        every = list(self._all(event))
        told = [deed for deed in every if self._had_happened(event, deed)]
        return told, len(every) - len(told)

    def _had_happened(self, event: Event, deed: Deed) -> bool:
        if self._valid_at is None or self._happened is None:
            return True
        if deed.checkpoint_id is not None:
            return self._statements.listed_as(deed.checkpoint_id) in self._happened
        if deed.what in ("estimated", "claimed") and isinstance(event, ReportRecorded):
            return event.said_at <= self._valid_at
        return True

    def _all(self, event: Event) -> Iterable[Deed]:
        match event:
            case ReportRecorded():
                return self._report(event)
            case Opened():
                return _opened(event)
            case TrackerLinked():
                return [Deed(what="linked", says=f"linked {tracker(event.tracker)}")]
            case PieceLinked():
                return [Deed(what="linked", says=f"is a piece of {event.parent}")]
            case DetailsStated():
                promise = [Deed(what="estimated", says=window(event.promised))] if event.promised else []
                return [*_details(event.details), *promise]
            case CheckpointsWithdrawn():
                return [self._about("withdrawn", key, "no longer states") for key in event.keys]
            case WithdrawnByHand():
                if event.undone:
                    return [self._about("counted_again", key, "lets count again") for key in event.keys]
                return [self._about("withdrawn_by_hand", key, "takes out by hand") for key in event.keys]
            case AmendedByHand():
                return [self._corrected("amended_by_hand", event.correction)]
            case Reread():
                return self._reread(event)
            case NoteAdded():
                return [Deed(what="noted", says=event.text or "a remark whose words are not kept")]
            case NdrActionRequested() | NdrActionSent() | NdrActionAcknowledged() | NdrActionRefused():
                return [_step(event)]
            case Forgotten():
                return [Deed(what="forgotten", says="was forgotten: what names a person was erased")]
            case _:
                return []

    def _report(self, event: ReportRecorded) -> Iterator[Deed]:
        for checkpoint in event.recorded:
            self._versions[checkpoint.digest] = checkpoint
            yield Deed(
                what="recorded",
                says=said(checkpoint),
                checkpoint_id=checkpoint.key,
                checkpoint=columns(checkpoint),
            )
        for one in event.amended:
            yield self._replaced("amended", one.checkpoint.key, one.replaces, one.checkpoint)
        for identified in event.identified:
            yield Deed(
                what="identified",
                says=f"gives the checkpoint ~{identified.fingerprint} the id {identified.id}",
                checkpoint_id=identified.id,
            )
        for key in event.reinstated:
            yield self._about("reinstated", key, "states again")
        for estimate in event.estimates:
            yield Deed(what="estimated", says=window(estimate))
        for claim in event.assertions:
            words = f': "{claim.said}"' if claim.said else ""
            yield Deed(what="claimed", says=f"{claim.kind} {claim.value}{words}")
        yield from _details(event.details)

    def _reread(self, event: Reread) -> Iterator[Deed]:
        for correction in event.corrections:
            yield self._corrected("reread", correction)
        for one in event.claims:
            was, now = one.replaces, one.claim
            yield Deed(what="reread", says=f"claim {was.kind} {was.value} is read as {now.kind} {now.value}")
        for other in event.estimates:
            yield Deed(what="reread", says=f"{window(other.replaces)} is read as {window(other.estimate)}")
        for detail in event.details:
            was_and_is = f"{detail.name} {detail.replaces} is read as {detail.value}"
            yield Deed(what="reread", says=was_and_is if detail.value else f"{detail.name} is read otherwise")

    def _corrected(self, what: str, correction: Correction) -> Deed:
        return self._replaced(what, correction.key, correction.replaces, correction.checkpoint)

    def _replaced(self, what: str, key: str, replaces: str, checkpoint: Checkpoint) -> Deed:
        before, after = self._versions.get(replaces), columns(checkpoint)
        self._versions[checkpoint.digest] = checkpoint
        changed = {}
        if before is not None:
            changed = {name: (was, after[name]) for name, was in columns(before).items() if was != after[name]}
        words = ", ".join(f"{name} {_shown(was)} → {_shown(now)}" for name, (was, now) in changed.items())
        return Deed(
            what=what,
            says=f"{key} {words}" if words else said(checkpoint),
            checkpoint_id=key,
            checkpoint=after,
            changed=changed,
        )

    def _about(self, what: str, key: str, does: str) -> Deed:
        standing = self._statements.standing(self._statements.listed_as(key))
        if standing is None:
            return Deed(what=what, says=f"{does} {key}", checkpoint_id=key)
        words = f"{standing.milestone} of {standing.occurred.at:%Y-%m-%d %H:%M:%SZ}"
        return Deed(what=what, says=f"{does} {key}, {words}", checkpoint_id=key)


def _opened(event: Opened) -> Iterator[Deed]:
    named = f" under the reference {event.reference}" if event.reference else ""
    private = "; its words are sealed" if event.private else ""
    yield Deed(what="opened", says=f"opened for the account {event.account}{named}{private}")
    for one in event.trackers:
        yield Deed(what="linked", says=f"linked {tracker(one)}")


def _step(event: NdrStep) -> Deed:
    about = f"{event.action} of the failed delivery {event.case_no}"
    words = (
        f': "{event.answer}"' if isinstance(event, NdrActionAcknowledged | NdrActionRefused) and event.answer else ""
    )
    match event:
        case NdrActionRequested():
            # Where somebody lives, and under which number they answer, is told to the provider and to nobody else.
            given = {
                f"on {event.preferred_date}": event.preferred_date,
                "with another address": event.address or event.landmark or event.pincode,
                "with another phone number": event.phone,
                f'remark "{event.remark}"': event.remark,
            }
            details = "".join(f", {words}" for words, is_given in given.items() if is_given)
            whom = "done by hand" if event.by_hand else f"asks {event.provider} for"
            return Deed(what="action_requested", says=f"{whom} {about}{details}", checkpoint_id=event.failure)
        case NdrActionSent():
            return Deed(what="action_sent", says=f"{about} was handed over at {event.sent_at:%Y-%m-%d %H:%M:%SZ}")
        case NdrActionRefused():
            return Deed(what="action_refused", says=f"{about} was refused{words}")
        case _:
            return Deed(what="action_acknowledged", says=f"{about} was acknowledged{words}")


def _details(details: Any) -> list[Deed]:
    return [Deed(what="stated", says=f"{name} {value}") for name, value in details.items() if value]


def tracker(one: Tracker) -> str:
    """A tracker in words."""
    about = " ".join(part for part in (one.carrier, one.tracking_number) if part)
    return f"{one.provider} {one.reference}" + (f" ({about})" if about else "")


def window(estimate: Estimate) -> str:
    """An estimate in words."""
    starts, ends = estimate.starts or estimate.ends, estimate.ends or estimate.starts
    if starts is None or ends is None:
        days = dict.fromkeys(n for n in (estimate.days_from, estimate.days_to) if n is not None)
        return f"{estimate.source}: {' to '.join(map(str, days))} days"
    return f"{estimate.source}: " + " to ".join(dict.fromkeys((starts.said, ends.said)))


def said(checkpoint: Checkpoint) -> str:
    """A statement in words: what, when, where, and as its provider says it."""
    leg = "" if checkpoint.leg == "forward" else f" ({checkpoint.leg} leg)"
    occurred = checkpoint.occurred
    place = f", {checkpoint.location}" if checkpoint.location else ""
    own = ": ".join(text for text in (checkpoint.status_said, checkpoint.remark) if text)
    reason = f" [{checkpoint.ndr_reason}]" if checkpoint.ndr_reason else ""
    return (
        f"{checkpoint.milestone}{leg} at {occurred.at:%Y-%m-%d %H:%M:%SZ} "
        f'(said "{occurred.said}", zone {occurred.zone}){place}' + (f': "{own}"' if own else "") + reason
    )


def columns(checkpoint: Checkpoint) -> dict[str, Any]:
    """A statement in the columns of the timeline."""
    occurred = checkpoint.occurred
    return {
        "milestone": checkpoint.milestone.value,
        "leg": checkpoint.leg.value,
        "occurred_at": occurred.at,
        "occurred_said": occurred.said,
        "precision": occurred.precision.value,
        "zone_source": occurred.zone.value,
        "reported_at": checkpoint.reported,
        "location": checkpoint.location or None,
        "status_code": checkpoint.status_code or None,
        "status_said": checkpoint.status_said or None,
        "remark": checkpoint.remark or None,
        "ndr_reason": checkpoint.ndr_reason.value if checkpoint.ndr_reason else None,
        "ndr_inferred": checkpoint.ndr_inferred,
    }


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%SZ}"
    return "-" if value is None else str(value)
