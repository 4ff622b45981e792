"""Which words of an event may name people, and how do they part from it?

Names, phones and addresses stay in the raw messages. Free text of carriers and of whoever corrects or acts by hand may
name people too: where a shipment is private, these words are taken out of its events before they are stored and kept
beside them in a form that only the shipment's key opens, and whatever is computed from them is blinded by that key.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b

from msgspec.structs import replace

from trackledger.domain.checkpoints import Assertion, Checkpoint, Report
from trackledger.domain.events import (
    AmendedByHand,
    ClaimCorrection,
    Correction,
    DetailCorrection,
    DetailsStated,
    NdrActionAcknowledged,
    NdrActionRefused,
    NdrActionRequested,
    NoteAdded,
    ReportRecorded,
    Reread,
    WithdrawnByHand,
    Worded,
)

KEY_BYTES = 32

NAMING_NOBODY = frozenset({"order_id", "carrier", "tracking_number", "service", "registered_at"})
"""Details that shipments are looked up by or policies need; others, such as places, count as free text."""

_OF_AN_INSTRUCTION = ("address", "landmark", "pincode", "phone", "remark")

Change = Callable[[str, str], str]
"""What takes the place of a text, by where it stands in its event: `recorded.0.remark`."""


def texts_of(event: Worded) -> dict[str, str]:
    """The words of an event that may name people, by where they stand; empty ones are left out.

    Who acted is not among them, nor why somebody was forgotten: those are our own record of it.
    """
    found: dict[str, str] = {}

    def note(place: str, text: str) -> str:
        if text:
            found[place] = text
        return text

    _change(event, note)
    return found


def with_texts(event: Worded, texts: Mapping[str, str], sealed: str = "") -> Worded:
    """The event with these words in their places, and none in the others; and with what is `sealed`."""
    return replace(_change(event, lambda place, _: texts.get(place, "")), sealed=sealed)


def blinded(report: Report, key: bytes) -> Report:
    """The report as a private shipment hears it: what identifies and compares its statements is computed anew from what
    it was and the key.

    Equal stays equal and different different, so that repetitions and amendments are found as ever; but without the key
    nobody can try whether a guess at the words is right.
    """
    return replace(
        report,
        checkpoints=tuple(blinded_checkpoint(checkpoint, key) for checkpoint in report.checkpoints),
        assertions=tuple(
            replace(assertion, about=_blind(assertion.about, key, 16)) if assertion.about else assertion
            for assertion in report.assertions
        ),
    )


def blinded_checkpoint(checkpoint: Checkpoint, key: bytes) -> Checkpoint:
    """One checkpoint as a private shipment hears it; see `blinded`."""
    return replace(
        checkpoint, fingerprint=_blind(checkpoint.fingerprint, key, 16), digest=_blind(checkpoint.digest, key, 8)
    )


def _blind(said: str, key: bytes, size: int) -> str:
    return blake2b(said.encode(), key=key, digest_size=size, person=b"trackledger").hexdigest()


def _change(event: Worded, of: Change) -> Worded:
    match event:
        case ReportRecorded():
            return replace(
                event,
                recorded=tuple(_checkpoint(one, f"recorded.{n}", of) for n, one in enumerate(event.recorded)),
                amended=tuple(
                    replace(one, checkpoint=_checkpoint(one.checkpoint, f"amended.{n}", of))
                    for n, one in enumerate(event.amended)
                ),
                assertions=tuple(_assertion(one, f"assertions.{n}", of) for n, one in enumerate(event.assertions)),
                details=_details(event.details, of),
            )
        case DetailsStated():
            return replace(event, details=_details(event.details, of))
        case NoteAdded():
            return replace(event, text=of("text", event.text))
        case AmendedByHand():
            return replace(
                event, reason=of("reason", event.reason), correction=_correction(event.correction, "correction", of)
            )
        case WithdrawnByHand():
            return replace(event, reason=of("reason", event.reason))
        case NdrActionRequested():
            return replace(event, **{name: of(name, getattr(event, name)) for name in _OF_AN_INSTRUCTION})
        case NdrActionAcknowledged() | NdrActionRefused():
            return replace(event, answer=of("answer", event.answer))
        case Reread():
            return replace(
                event,
                corrections=tuple(_correction(one, f"corrections.{n}", of) for n, one in enumerate(event.corrections)),
                claims=tuple(_claim(one, f"claims.{n}", of) for n, one in enumerate(event.claims)),
                details=tuple(_detail(one, f"details.{n}", of) for n, one in enumerate(event.details)),
            )
        case _:
            return event


def _checkpoint(checkpoint: Checkpoint, place: str, of: Change) -> Checkpoint:
    return replace(
        checkpoint,
        status_said=of(f"{place}.status_said", checkpoint.status_said),
        location=of(f"{place}.location", checkpoint.location),
        remark=of(f"{place}.remark", checkpoint.remark),
    )


def _assertion(assertion: Assertion, place: str, of: Change) -> Assertion:
    return replace(assertion, said=of(f"{place}.said", assertion.said))


def _correction(correction: Correction, place: str, of: Change) -> Correction:
    return replace(correction, checkpoint=_checkpoint(correction.checkpoint, place, of))


def _claim(one: ClaimCorrection, place: str, of: Change) -> ClaimCorrection:
    return replace(
        one,
        replaces=_assertion(one.replaces, f"{place}.replaces", of),
        claim=_assertion(one.claim, f"{place}.claim", of),
    )


def _detail(one: DetailCorrection, place: str, of: Change) -> DetailCorrection:
    if one.name in NAMING_NOBODY:
        return one
    return replace(one, replaces=of(f"{place}.replaces", one.replaces), value=of(f"{place}.value", one.value))


def _details(details: Mapping[str, str], of: Change) -> dict[str, str]:
    return {name: value if name in NAMING_NOBODY else of(f"details.{name}", value) for name, value in details.items()}
