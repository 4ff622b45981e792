"""What does a kept message say otherwise when it is read again with today's mapping?"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from trackledger.domain.checkpoints import Assertion, Checkpoint, Estimate, Report, squash
from trackledger.domain.events import (
    ClaimCorrection,
    Correction,
    DetailCorrection,
    EstimateCorrection,
    Event,
    LedgerEvent,
    ReportRecorded,
    Reread,
    WithdrawnByHand,
)
from trackledger.domain.privacy import blinded
from trackledger.domain.statements import Statements, Told, fold

S = TypeVar("S")

_UNSAID = "does not say so"

Version = tuple[str, Told]
"""The key of a checkpoint, and one version of it."""

Match = tuple[str, Told, Checkpoint]
"""The key of a checkpoint, one version of it, and how that is read today."""


class Rereading(Struct, frozen=True):
    """What one kept message says of one tracker by today's mapping; `whole` when nothing in it was unreadable."""

    report: Report
    whole: bool = True

    def heard(self, key: bytes) -> "Rereading":
        """The same as the private shipment with this key hears it; without a key as it is."""
        return Rereading(blinded(self.report, key), self.whole) if key else self


class Review:
    """What came of reading messages about one shipment again.

    `before` is what had happened, `events` what follows: the corrections first, then what is taken in of `untold`, the
    reports of what was never told before. `by_hand` counts statements that stay as somebody amended them. `error` says
    why nothing can follow; `forgotten` that it is because the shipment was forgotten.
    """

    __slots__ = ("before", "by_hand", "error", "events", "forgotten", "shipment_id", "untold")

    def __init__(self) -> None:
        self.shipment_id = ""
        self.before: list[LedgerEvent] = []
        self.events: list[Event] = []
        self.untold: list[Report] = []
        self.by_hand = 0
        self.error = ""
        self.forgotten = False


def corrections(
    review: Review,
    readings: Sequence[Rereading],
    key: bytes,
    mappings: Mapping[str, str],
    actor: str,
    now: datetime,
) -> list[Event]:
    """The events by which the statements of messages are read as today; `mappings` are the versions of the mapping by
    provider.

    A statement is compared with what the ledger holds from that very message. It is found by its identity and content,
    else by the provider's id, else by its fingerprint, else by its words; where as many remain on both sides, by their
    order. A statement that stands and is no longer read out of its message is withdrawn, and one that was withdrawn for
    that and is read again counts again. What somebody amended by hand keeps that reading. `key` is that of a private
    shipment, else empty; what was never told is left in the review.
    """
    as_heard = [reading.heard(key) for reading in readings]
    said = fold(review.shipment_id, review.before)
    events: list[Event] = []

    def follows(event: Event) -> None:
        events.append(event)
        said.apply(LedgerEvent(review.shipment_id, 0, event))

    for reading in sorted(as_heard, key=lambda one: (one.report.said_at, one.report.message_id)):
        report = reading.report
        provider = report.tracker.provider
        matches, gone = _matched(said, reading)
        changed = []
        for listed, told, checkpoint in matches:
            if told.by_hand:
                review.by_hand += told.checkpoint != checkpoint
                checkpoint = replace(
                    told.checkpoint, id=checkpoint.id, fingerprint=checkpoint.fingerprint, digest=checkpoint.digest
                )
            if told.checkpoint != checkpoint:
                changed.append(Correction(listed, told.checkpoint.digest, checkpoint))
        claims, estimates, details = _restated(report, (*(one.event for one in review.before), *events))
        if changed or claims or estimates or details:
            follows(
                Reread(
                    recorded_at=now,
                    provider=provider,
                    mapping=mappings[provider],
                    message_id=report.message_id,
                    actor=actor,
                    corrections=tuple(changed),
                    tracker=report.key,
                    claims=tuple(claims),
                    estimates=tuple(estimates),
                    details=tuple(details),
                )
            )
        back = _said_again(said, (*(one.event for one in review.before), *events), report, matches)
        for keys, undone in ((gone, False), (back, True)):
            if keys:
                says = "says so again" if undone else _UNSAID
                reason = f"message {report.message_id} {says} as {provider} is read by mapping {mappings[provider]}"
                follows(WithdrawnByHand(recorded_at=now, actor=actor, reason=reason, keys=tuple(keys), undone=undone))
    review.untold = [
        said.untold(reading.report, heard.report) for reading, heard in zip(readings, as_heard, strict=True)
    ]
    return events


def _matched(said: Statements, reading: Rereading) -> tuple[list[Match], list[str]]:
    """The versions that the message told with their readings of today, and the keys of checkpoints that stand by a
    version that today's reading lacks."""
    report = reading.report
    before = said.told_by(report.message_id, report.key)
    if not before:
        return [], []
    after = list({(one.key, one.digest): one for one in report.checkpoints}.values())
    matches: list[Match] = []
    for sign in (_content, _provider_id, _fingerprint, _words):
        before, after = _pair(before, after, sign, matches)
    after = [checkpoint for checkpoint in after if not said.knows(checkpoint)]
    if reading.whole and len(before) == len(after):
        matches += [(key, told, checkpoint) for (key, told), checkpoint in zip(before, after, strict=True)]
        before = []
    if not reading.whole:
        return matches, []
    return matches, [key for key, told in before if said.stands(key) and said.standing(key) == told.checkpoint]


def _said_again(said: Statements, events: Iterable[Event], report: Report, matches: Iterable[Match]) -> list[str]:
    """Keys of checkpoints that were withdrawn as the message did not say so then, and does now."""
    why = {key: event.reason for event in events if isinstance(event, WithdrawnByHand) for key in event.keys}
    reasons = {said.listed_as(key): reason for key, reason in why.items()}
    unsaid = f"message {report.message_id} {_UNSAID}"
    keys = dict.fromkeys(said.listed_as(key) for key, _, _ in matches)
    return [key for key in keys if said.is_struck(key) and reasons.get(key, "").startswith(unsaid)]


def _pair(
    before: list[Version], after: list[Checkpoint], sign: Callable[[Checkpoint], Hashable], matches: list[Match]
) -> tuple[list[Version], list[Checkpoint]]:
    """Note those that have the same sign on both sides, in their order; the others are returned."""
    found: dict[Hashable, list[Checkpoint]] = {}
    for checkpoint in after:
        if (of := sign(checkpoint)) is not None:
            found.setdefault(of, []).append(checkpoint)
    left = []
    for key, told in before:
        same = found.get(sign(told.stated or told.checkpoint))
        if same:
            matches.append((key, told, same.pop(0)))
        else:
            left.append((key, told))
    used = {id(checkpoint) for _, _, checkpoint in matches}
    return left, [checkpoint for checkpoint in after if id(checkpoint) not in used]


def _content(one: Checkpoint) -> Hashable:
    return one.key, one.digest


def _provider_id(one: Checkpoint) -> Hashable:
    return one.id or None


def _fingerprint(one: Checkpoint) -> Hashable:
    return one.fingerprint


def _words(one: Checkpoint) -> Hashable:
    return one.occurred.said, one.status_code, *map(squash, (one.status_said, one.location, one.remark))


def _restated(
    report: Report, events: Iterable[Event]
) -> tuple[list[ClaimCorrection], list[EstimateCorrection], list[DetailCorrection]]:
    """The claims, estimates and details that the message newly told, where they are read otherwise today."""
    claims: dict[tuple[str, str, str], Assertion] = {}
    estimates: dict[tuple[str, str], Estimate] = {}
    details: dict[str, str] = {}
    for event in events:
        if isinstance(event, ReportRecorded) and (event.message_id, event.tracker) == (report.message_id, report.key):
            claims |= {_claim(one): one for one in event.assertions}
            estimates |= {_estimate(one): one for one in event.estimates}
            details |= event.details
        elif isinstance(event, Reread) and event.tracker == report.key:
            claims = _replaced(claims, _claim, {_claim(one.replaces): one.claim for one in event.claims})
            other = {_estimate(one.replaces): one.estimate for one in event.estimates}
            estimates = _replaced(estimates, _estimate, other)
            for one in event.details:
                if details.get(one.name) == one.replaces:
                    details[one.name] = one.value
    return (
        [ClaimCorrection(old, new) for old, new in _differing(claims, {_claim(one): one for one in report.assertions})],
        [
            EstimateCorrection(old, new)
            for old, new in _differing(estimates, {_estimate(one): one for one in report.estimates})
        ],
        [
            DetailCorrection(name, value, report.details[name])
            for name, value in details.items()
            if report.details.get(name, value) not in ("", value)
        ],
    )


K = TypeVar("K", bound=tuple[str, ...])


def _claim(one: Assertion) -> tuple[str, str, str]:
    return one.kind.value, one.about, one.digest


def _estimate(one: Estimate) -> tuple[str, str]:
    return one.source.value, one.digest


def _replaced(told: dict[K, S], key_of: Callable[[S], K], other: Mapping[K, S]) -> dict[K, S]:
    now = (other.get(key, one) for key, one in told.items())
    return {key_of(one): one for one in now}


def _differing(before: Mapping[K, S], after: Mapping[K, S]) -> list[tuple[S, S]]:
    """What only one side has, kind by kind in its order."""
    found: list[tuple[S, S]] = []
    for kind in dict.fromkeys(key[0] for key in before):
        old = [one for key, one in before.items() if key[0] == kind and key not in after]
        new = [one for key, one in after.items() if key[0] == kind and key not in before]
        found += zip(old, new, strict=False)
    return found
