"""What does each event of a tracker say?

Source: docs.ship24.com, "Status" and "Standard data format", and the public OpenAPI description of the tracking API.
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from trackledger.adapters.providers.reading import iso
from trackledger.adapters.providers.reasons import hinted
from trackledger.adapters.providers.ship24_codes import (
    CATEGORIES,
    CODES,
    DELIVERED,
    DELIVERY_EXCEPTION,
    DELIVERY_OPTIONS,
    FAILED_ATTEMPT,
    MILESTONES,
    REFUSED,
    RETURN,
)
from trackledger.adapters.providers.ship24_wire import Event, Tracking
from trackledger.domain.checkpoints import Checkpoint, content_digest, fingerprint, squash
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Moment

_AT_THE_SENDER = re.compile(
    r"(?<!\bbe )(?<!\bbeing )\b(returned|delivered)( back)? to (the )?(original )?"
    r"(sender|shipper|merchant|seller)\b(?!')",
    re.IGNORECASE,
)
"""Clear words for a return that has arrived, which one that "will be returned to sender" has not."""

_DIGITS = len("2026-03-05T14:20:00")


class Scan(Struct, frozen=True):
    """One event and its time."""

    event: Event
    occurred: Moment


def in_order(trackings: Iterable[tuple[str, Tracking]]) -> list[Scan]:
    """The events of trackings, each with its field path, the oldest first; of two with one id the later told.

    Zoneless times are compared by their digits. `order`, which Ship24 gives to events of one time, to all, or to none,
    decides between equal times only.
    """
    scans: dict[str, Scan] = {}
    for at, tracking in trackings:
        for index, event in enumerate(tracking.events or ()):
            field = f"{at}events.{index}."
            occurred = iso("ship24", event.occurrence_datetime, f"{field}occurrenceDatetime")
            scans[event.event_id or field] = Scan(event, occurred)
    return sorted(scans.values(), key=lambda scan: (scan.occurred.at, scan.event.order or 0, scan.event.event_id or ""))


def state_before(tracking: Tracking, scans: Sequence[Scan]) -> str:
    """The state of the parcel before these scans of a webhook, empty when nothing tells.

    Its statistics say when an attempt failed for the first time. A later scan found the parcel in this state, as far as
    the webhook tells; whether it had left it in between, the whole history will show.
    """
    statistics = tracking.statistics
    failed = statistics.timestamps.failed_attempt_datetime if statistics and statistics.timestamps else None
    if failed and scans and failed[:_DIGITS] < scans[0].event.occurrence_datetime[:_DIGITS]:
        return FAILED_ATTEMPT
    return ""


def checkpoints(scans: Iterable[Scan], before: str) -> tuple[Checkpoint, ...]:
    """The checkpoints of scans in their order; `before` them the parcel was in this state, if that is known.

    The milestone of an event is the state of the parcel after it. Of events that have nothing but that, the one that
    brings `failed_attempt` is a failed delivery; those that leave it there are no further one.
    """
    found: dict[str, Checkpoint] = {}
    for scan in scans:
        after = scan.event.status_milestone or ""
        checkpoint = _checkpoint(scan, after, is_still_failed=before == after == FAILED_ATTEMPT)
        found[checkpoint.key] = checkpoint
        before = after or before
    return tuple(found.values())


def _checkpoint(scan: Scan, after: str, is_still_failed: bool) -> Checkpoint:
    event, occurred = scan.event, scan.occurred
    code, category, location = event.status_code or "", event.status_category or "", event.location or ""
    said = event.status or code or after
    milestone, leg = _meaning(code, category, after, said, is_still_failed)
    reason = None
    if milestone is Milestone.DELIVERY_FAILED:
        reason = NdrReason.REFUSED if code == REFUSED else hinted(said)
    order = event.order or 0
    # All that decides on meaning and order is content: another word there is a correction by Ship24.
    words = f"{code} {category} {after} {order} {is_still_failed}"
    return Checkpoint(
        # Neither the status words nor the courier, all of which Ship24 may revise.
        fingerprint=fingerprint(
            "ship24", event.event_tracking_number or "", str(occurred.at), squash(said), squash(location)
        ),
        digest=content_digest(occurred, words, said, location, ""),
        milestone=milestone,
        occurred=occurred,
        id=f"ship24:{event.event_id}" if event.event_id else "",
        leg=leg,
        status_code=code or after,
        status_said=said,
        location=location,
        ndr_reason=reason,
        order=order,
        ndr_inferred=reason is not None and code != REFUSED,
    )


def _meaning(code: str, category: str, after: str, said: str, is_still_failed: bool) -> tuple[Milestone, Leg]:
    """By the code, else the category, else the state of the parcel after the event."""
    if code in (RETURN, DELIVERED) and _AT_THE_SENDER.search(said):
        return Milestone.RETURNED, Leg.RETURN
    if code == RETURN:
        return CODES[code], Leg.RETURN
    if code == DELIVERY_EXCEPTION and after == FAILED_ATTEMPT:
        return Milestone.DELIVERY_FAILED, Leg.FORWARD
    if code in DELIVERY_OPTIONS:
        # In the state of a failed attempt it is no further visit, and it does not end that state.
        choice = Milestone.UNKNOWN if after == FAILED_ATTEMPT else MILESTONES.get(after, Milestone.IN_TRANSIT)
        return choice, Leg.FORWARD
    overall = Milestone.UNKNOWN if is_still_failed else MILESTONES.get(after, Milestone.UNKNOWN)
    return CODES.get(code) or CATEGORIES.get(category) or overall, Leg.FORWARD
