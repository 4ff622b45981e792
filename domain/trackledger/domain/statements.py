"""What has been said about one shipment, by whom, and which of it stands?"""

from collections.abc import Iterable
from copy import copy
from datetime import datetime
from itertools import groupby
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from trackledger.domain.checkpoints import (
    HOST,
    Assertion,
    AssertionKind,
    Channel,
    Checkpoint,
    Estimate,
    Report,
    Tracker,
)
from trackledger.domain.events import (
    AmendedByHand,
    CheckpointsWithdrawn,
    Correction,
    DetailsStated,
    Forgotten,
    LedgerEvent,
    NdrActionAcknowledged,
    NdrActionRefused,
    NdrActionRequested,
    NdrActionSent,
    Opened,
    PieceLinked,
    ReportRecorded,
    Reread,
    TrackerLinked,
    WithdrawnByHand,
)
from trackledger.domain.identities import Identities, Known
from trackledger.domain.milestones import Leg, NdrReason
from trackledger.domain.ndr_actions import ActionState, Instruction, ToldAction


class Told(Struct, frozen=True, gc=False):
    """One checkpoint as it stands, and how we know. `ndr_said` is the provider's text for its NDR reason; `corrected`
    counts the readings of it that took an earlier one's place. `by_hand` says whether a person's is among them; then
    `stated` has the provider's words, which that may have changed."""

    checkpoint: Checkpoint
    provider: str
    channel: Channel
    message_id: str
    received_at: datetime
    recorded_at: datetime
    amended: int = 0
    withdrawn: bool = False
    ndr_said: str = ""
    corrected: int = 0
    by_hand: bool = False
    stated: Checkpoint | None = None


class ToldEstimate(Struct, frozen=True):
    """One estimate, when it was stated and by which message (empty: by the host)."""

    estimate: Estimate
    stated_at: datetime
    message_id: str


class ToldAssertion(Struct, frozen=True):
    """One headline claim, when it was stated and by which message."""

    assertion: Assertion
    stated_at: datetime
    message_id: str


S = TypeVar("S")

_WORDLESS: dict[str, object] = {"status_said": "", "location": "", "remark": ""}
"""What is left of the words of a checkpoint once its shipment is forgotten."""

_OF_A_MOMENT = (AssertionKind.STATUS.value, AssertionKind.STUCK.value)

Telling = tuple[datetime, str, S]
"""When something was said, what identifies its content, and the statement."""


def changes(tellings: Iterable[Telling[S]]) -> list[S]:
    """Of statements about one thing those that changed what stood, in the order in which they were said.

    Of several contents at one instant, the one that stood already is no change and comes first, so that it makes no
    difference whether its repetition was kept.
    """
    tellings = list(tellings)
    if len(tellings) == 1:
        return [tellings[0][2]]
    standing: str | None = None
    changed: list[S] = []
    for _, together in groupby(sorted(tellings, key=lambda telling: telling[:2]), key=lambda telling: telling[0]):
        for _, digest, statement in sorted(together, key=lambda telling: telling[1] != standing):
            if digest != standing:
                standing = digest
                changed.append(statement)
    return changed


class Statements:
    """The fold of one shipment's events that every read model starts from.

    It depends on the set of statements, not on the order in which they were heard; only `recorded_at`, `received_at`,
    `channel`, `message_id` and `position` tell of the arrival. `known_since` is when we first heard of the shipment,
    from the host or in a message, whenever that message was recorded.
    """

    def __init__(self, shipment_id: str) -> None:
        self.shipment_id = shipment_id
        self.account = ""
        self.reference = ""
        self.parent = ""
        self.position = 0
        self.opened_at: datetime | None = None
        self.known_since: datetime | None = None
        self.forgotten = False
        self.last_heard_at: datetime | None = None
        self.trackers: list[Tracker] = []
        self._estimates: dict[tuple[str, str], list[Telling[ToldEstimate]]] = {}
        self._known = Identities()
        self._until: datetime | None = None
        self._details: dict[tuple[str, bool], list[Telling[str]]] = {}
        self._assertions: dict[tuple[str, str], list[Telling[ToldAssertion]]] = {}
        self._actions: dict[str, ToldAction] = {}

    def apply(self, placed: LedgerEvent) -> None:
        """Fold one event."""
        event = placed.event
        self.position = max(self.position, placed.position)
        match event:
            case ReportRecorded():
                self._apply_report(event)
            case Opened():
                self.account, self.reference, self.opened_at = event.account, event.reference, event.recorded_at
                self._know(event.recorded_at)
                self.trackers.extend(event.trackers)
            case TrackerLinked():
                if event.tracker.provider == HOST:
                    self.reference = self.reference or event.tracker.reference
                else:
                    self.trackers.append(event.tracker)
            case DetailsStated():
                for name, value in event.details.items():
                    self._state_detail(name, True, event.recorded_at, value)
                if event.promised:
                    self._state_estimate(HOST, ToldEstimate(event.promised, event.recorded_at, ""))
            case CheckpointsWithdrawn():
                self._hear(event.received_at)
                for key in event.keys:
                    known = self._known.by_key(key)
                    if known is not None:
                        known.withdraw(event.said_at)
            case PieceLinked():
                self.parent = event.parent
            case AmendedByHand():
                self._correct(event.correction, by_hand=True)
            case Reread():
                self._reread(event)
            case WithdrawnByHand():
                for key in event.keys:
                    known = self._known.by_key(key)
                    if known is not None:
                        known.struck = not event.undone
            case NdrActionRequested():
                self._actions[event.action_id] = told_action(event)
            case NdrActionSent() | NdrActionAcknowledged() | NdrActionRefused():
                if event.action_id in self._actions:
                    self._actions[event.action_id] = _further(self._actions[event.action_id], event)
            case Forgotten():
                self.forgotten = True
            case _:
                pass

    def _know(self, at: datetime) -> None:
        self.known_since = at if self.known_since is None else min(self.known_since, at)

    def _hear(self, received_at: datetime) -> None:
        self._know(received_at)
        self.last_heard_at = received_at if self.last_heard_at is None else max(self.last_heard_at, received_at)

    def _apply_report(self, event: ReportRecorded) -> None:
        at = event.said_at
        self._hear(event.received_at)
        for identification in event.identified:
            self._known.identify(identification.fingerprint, identification.id, at)
        for checkpoint in event.recorded:
            self._state(checkpoint, event, at)
        for amendment in event.amended:
            self._state(amendment.checkpoint, event, at)
        for key in event.reinstated:
            known = self._known.by_key(key)
            if known is not None:
                known.heard_at = max(known.heard_at, at)
        for estimate in event.estimates:
            self._state_estimate(event.tracker, ToldEstimate(estimate, at, event.message_id))
        for assertion in event.assertions:
            slot = (str(assertion.kind), assertion.about)
            told = ToldAssertion(assertion, at, event.message_id)
            self._assertions.setdefault(slot, []).append((at, assertion.digest, told))
        for name, value in event.details.items():
            self._state_detail(name, False, at, value)

    def _state(self, checkpoint: Checkpoint, event: ReportRecorded, at: datetime) -> None:
        known = self._known.state(checkpoint, event.tracker, at)
        told = Told(checkpoint, event.provider, event.channel, event.message_id, event.received_at, event.recorded_at)
        tellings = known.tellings = known.tellings or {}
        if checkpoint.digest not in tellings or tellings[checkpoint.digest][0] < at:
            tellings[checkpoint.digest] = (at, told)

    def _reread(self, event: Reread) -> None:
        for correction in event.corrections:
            self._correct(correction)
        for one in event.claims:
            slot = (str(one.replaces.kind), one.replaces.about)
            told = [told for _, digest, told in self._assertions.get(slot, ()) if digest == one.replaces.digest]
            left = [claim for claim in self._assertions.pop(slot, ()) if claim[1] != one.replaces.digest]
            if left:
                self._assertions[slot] = left
            if told:
                news = self._assertions.setdefault((str(one.claim.kind), one.claim.about), [])
                news.extend((was.stated_at, one.claim.digest, replace(was, assertion=one.claim)) for was in told)
        for other in event.estimates:
            estimate, replaces = other.estimate, other.replaces.digest
            tellings = self._estimates.get((event.tracker, str(estimate.source)), [])
            tellings[:] = [
                (at, estimate.digest, replace(told, estimate=estimate)) if digest == replaces else (at, digest, told)
                for at, digest, told in tellings
            ]
        for detail in event.details:
            words = self._details.get((detail.name, False), [])
            words[:] = [
                (at, detail.value, detail.value) if was == detail.replaces else (at, was, said)
                for at, was, said in words
            ]

    def _correct(self, correction: Correction, *, by_hand: bool = False) -> None:
        known = self._known.correct(correction)
        if known is None or not known.tellings or correction.replaces not in known.tellings:
            return
        at, told = known.tellings.pop(correction.replaces)
        checkpoint = correction.checkpoint
        same = known.tellings.get(checkpoint.digest)
        if same is None or same[0] < at:
            by_hand = by_hand or told.by_hand
            identity = {name: getattr(checkpoint, name) for name in ("id", "fingerprint", "digest")}
            known.tellings[checkpoint.digest] = (
                at,
                replace(
                    told,
                    checkpoint=checkpoint,
                    corrected=told.corrected + 1,
                    by_hand=by_hand,
                    stated=replace(told.stated or told.checkpoint, **identity) if by_hand else None,
                ),
            )

    def _state_detail(self, name: str, by_host: bool, at: datetime, value: str) -> None:
        self._details.setdefault((name, by_host), []).append((at, value, value))

    def _state_estimate(self, who: str, told: ToldEstimate) -> None:
        slot = (who, str(told.estimate.source))
        self._estimates.setdefault(slot, []).append((told.stated_at, told.estimate.digest, told))

    @property
    def estimates(self) -> list[ToldEstimate]:
        """Every estimate in the order of its statement, one that was only repeated once, from its first telling on."""
        changed = [(who, told) for (who, _), tellings in self._estimates.items() for told in changes(tellings)]
        changed.sort(key=lambda one: (one[1].stated_at, one[1].estimate.digest, one[0]))
        return [told for _, told in changed]

    def until(self, moment: datetime) -> "Statements":
        """The same statements as far as they are about what had happened by `moment`.

        Checkpoints count from the first instant that they name, a day from its beginning; estimates and a provider's
        status and stuck flag from when they were stated. What describes the shipment as a whole, such as its carrier,
        its direction, or what the host promised, counts always. `self` is not to be fed any more events.
        """
        limited = copy(self)
        limited._until = moment
        limited._estimates = {
            slot: [telling for telling in tellings if slot[0] == HOST or telling[0] <= moment]
            for slot, tellings in self._estimates.items()
        }
        limited._assertions = {
            slot: kept
            for slot, claims in self._assertions.items()
            if (kept := [claim for claim in claims if slot[0] not in _OF_A_MOMENT or claim[0] <= moment])
        }
        limited._actions = {
            id_: _as_of(one, moment) for id_, one in self._actions.items() if one.requested_at <= moment
        }
        return limited

    def actions(self) -> list[ToldAction]:
        """What was asked for about failed deliveries, in the order in which it was; without words once forgotten."""
        actions = sorted(self._actions.values(), key=lambda one: (one.requested_at, one.action_id))
        if self.forgotten:
            return [replace(one, instruction=one.instruction.wordless, answer="") for one in actions]
        return actions

    def standing(self, key: str) -> Checkpoint | None:
        """The checkpoint listed under `key` in the version that stands, as it was stated; None if there is none."""
        known = self._known.by_key(key)
        return None if known is None else self.version(key, known.standing)

    def version(self, key: str, digest: str) -> Checkpoint | None:
        """One version of the checkpoint listed under `key`, as it was stated; None if there is none."""
        known = self._known.by_key(key)
        telling = None if known is None else (known.tellings or {}).get(digest)
        if telling is None:
            return None
        told: Told = telling[1]
        return told.checkpoint

    def versions(self, key: str) -> list[Told]:
        """Every version of the checkpoint listed under `key` that does not stand, in the order they were said."""
        known = self._known.by_key(key)
        if known is None:
            return []
        others = [telling for digest, telling in (known.tellings or {}).items() if digest != known.standing]
        others.sort(key=lambda telling: telling[0])
        if self.forgotten:
            return [replace(told, checkpoint=replace(told.checkpoint, **_WORDLESS)) for _, told in others]
        return [told for _, told in others]

    def listed_as(self, key: str) -> str:
        """Under which key the checkpoint is listed that was once listed under `key`; the same where there is none."""
        return self._known.listed_as(key)

    def teller(self, key: str) -> str:
        """The key of the tracker that told of the checkpoint listed under `key`; empty where there is none."""
        known = self._known.by_key(key)
        return known.tracker if known is not None else ""

    def told_by(self, message_id: str, tracker: str) -> list[tuple[str, Told]]:
        """Every version that this message about a tracker told, with the key that its checkpoint is listed under, in
        the order in which the checkpoints were heard of."""
        return [
            (known.key, told)
            for known in self._known
            if known.tracker == tracker
            for _, told in (known.tellings or {}).values()
            if told.message_id == message_id
        ]

    def knows(self, checkpoint: Checkpoint) -> bool:
        """Whether this very version was told."""
        known = self._known.find(checkpoint)
        return known is not None and checkpoint.digest in (known.tellings or {})

    def untold(self, report: Report, heard: Report) -> Report:
        """What a report says that was never told, not even for a while; `heard` is the same report as this shipment
        hears it, should that be a private one."""
        claims, estimates, details = self._assertions, self._estimates, self._details
        return replace(
            report,
            checkpoints=tuple(
                one
                for one, as_heard in zip(report.checkpoints, heard.checkpoints, strict=True)
                if not self.knows(as_heard)
            ),
            assertions=tuple(
                one
                for one, as_heard in zip(report.assertions, heard.assertions, strict=True)
                if not _holds(claims.get((str(as_heard.kind), as_heard.about)), as_heard.digest)
            ),
            estimates=tuple(
                one for one in report.estimates if not _holds(estimates.get((report.key, str(one.source))), one.digest)
            ),
            details={
                name: value for name, value in report.details.items() if not _holds(details.get((name, False)), value)
            },
            whole_history=False,
        )

    def stands(self, key: str) -> bool:
        """Whether the checkpoint listed under `key` counts: neither its provider nor a person withdrew it."""
        known = self._known.by_key(key)
        return known is not None and not known.is_withdrawn and not known.struck

    def is_struck(self, key: str) -> bool:
        """Whether somebody withdrew the checkpoint listed under `key` by hand."""
        known = self._known.by_key(key)
        return known is not None and known.struck

    def detail(self, name: str) -> str:
        """The last word on one of `DETAILS`, the host's before any provider's; empty when nobody said."""
        tellings = self._details.get((name, True)) or self._details.get((name, False))
        return changes(tellings)[-1] if tellings else ""

    def assertion(self, kind: AssertionKind, about: str = "") -> Assertion | None:
        """The newest headline claim of a kind."""
        told = self.claim(kind, about)
        return told.assertion if told else None

    def claim(self, kind: AssertionKind, about: str = "") -> ToldAssertion | None:
        """The newest headline claim of a kind, and how we know."""
        claims = self._claims(str(kind), about)
        return changes(claims)[-1] if claims else None

    def claims(self) -> list[ToldAssertion]:
        """The newest headline claim of every kind about everything, in the order of kind and what they are about."""
        return [told for kind, about in sorted(self._assertions) if (told := self.claim(AssertionKind(kind), about))]

    def _claims(self, kind: str, about: str) -> list[Telling[ToldAssertion]]:
        """The headline claims of a kind; of a forgotten shipment without their words, as if they had none."""
        claims = self._assertions.get((kind, about), [])
        if not self.forgotten:
            return claims
        silent = (replace(claim, assertion=replace(claim.assertion, said="")) for _, _, claim in claims)
        return [(claim.stated_at, claim.assertion.digest, claim) for claim in silent]

    def explanation(self, key: str) -> ToldAssertion | None:
        """The newest claim that explains the failed attempt listed under `key`, if there is one."""
        known = self._known.by_key(key)
        return self._ndr_of(known) if known is not None and self._assertions else None

    def _ndr_of(self, known: Known) -> ToldAssertion | None:
        """The newest claim that explains this failure, under any of the fingerprints that its versions had."""
        fingerprints = {told.checkpoint.fingerprint for _, told in (known.tellings or {}).values()}
        claims = [claim for fingerprint in fingerprints for claim in self._claims(AssertionKind.NDR.value, fingerprint)]
        return changes(claims)[-1] if claims else None

    def told(self) -> list[Told]:
        """Every checkpoint in its standing version, withdrawn ones marked, sorted by key.

        Claims about the whole parcel are applied: a direction turns forward scans to its leg, and an NDR claim explains
        the attempt that it names.
        """
        direction = self.assertion(AssertionKind.DIRECTION)
        leg = Leg(direction.value) if direction else Leg.FORWARD
        result = []
        for known in self._known:
            assert known.tellings is not None
            told: Told = known.tellings[known.standing][1]
            checkpoint = told.checkpoint
            if self._until is not None and checkpoint.occurred.at > self._until:
                continue
            claim = self._ndr_of(known) if self._assertions else None
            ndr = claim.assertion if claim is not None else None
            changes: dict[str, object] = {}
            if checkpoint.id != known.key and not known.key.startswith("~"):
                changes["id"] = known.key
            if leg is not Leg.FORWARD and checkpoint.leg is Leg.FORWARD:
                changes["leg"] = leg
            if ndr is not None and (checkpoint.ndr_reason is None or checkpoint.ndr_inferred):
                changes |= {"ndr_reason": NdrReason(ndr.value), "ndr_inferred": False}
            if self.forgotten:
                changes |= _WORDLESS
            is_withdrawn = known.is_withdrawn or known.struck
            if changes or known.older or is_withdrawn or ndr is not None:
                told = replace(
                    told,
                    checkpoint=replace(checkpoint, **changes),
                    amended=len(known.older) if known.older else 0,
                    withdrawn=is_withdrawn,
                    ndr_said=ndr.said if ndr is not None else "",
                )
            result.append(told)
        result.sort(key=lambda told: told.checkpoint.key)
        return result


def told_action(event: NdrActionRequested) -> ToldAction:
    """An action of which nothing is known but that somebody wants it."""
    instruction = Instruction(
        event.action,
        event.preferred_date,
        event.address,
        event.landmark,
        event.pincode,
        event.phone,
        event.remark,
    )
    return ToldAction(
        action_id=event.action_id,
        case_no=event.case_no,
        instruction=instruction,
        actor=event.actor,
        failure=event.failure,
        requested_at=event.recorded_at,
        provider=event.provider,
        tracker=event.tracker,
        by_hand=event.by_hand,
    )


def _further(one: ToldAction, event: NdrActionSent | NdrActionAcknowledged | NdrActionRefused) -> ToldAction:
    if isinstance(event, NdrActionSent):
        return replace(one, state=ActionState.SENT, sent_at=event.sent_at)
    state = ActionState.REFUSED if isinstance(event, NdrActionRefused) else ActionState.ACKNOWLEDGED
    return replace(one, state=state, answered_at=event.recorded_at, answer=event.answer)


def _as_of(one: ToldAction, moment: datetime) -> ToldAction:
    """An action as far as it had come by then."""
    if one.answered_at is not None and one.answered_at > moment:
        state = ActionState.SENT if one.sent_at else ActionState.REQUESTED
        one = replace(one, state=state, answered_at=None, answer="")
    if one.sent_at is not None and one.sent_at > moment:
        one = replace(one, state=ActionState.REQUESTED, sent_at=None)
    return one


def _holds(tellings: list[Telling[S]] | None, digest: str) -> bool:
    return any(one[1] == digest for one in tellings or ())


def fold(shipment_id: str, events: Iterable[LedgerEvent]) -> Statements:
    """All that was said, as these events tell it."""
    statements = Statements(shipment_id)
    for event in events:
        statements.apply(event)
    return statements


def known_at(events: Iterable[LedgerEvent], moment: datetime) -> list[LedgerEvent]:
    """The events that the ledger had recorded by `moment`, by its own clock."""
    return [event for event in events if event.event.recorded_at <= moment]
