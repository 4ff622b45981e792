"""What does Rye's second generation say: a shipment, or a page of them?

A tracking event has no id, and not always a time; without one it is no statement about the journey, and the shipment's
own status stands for it. Answers of an older kind, whose events have a text to display in place of a time, are read
likewise. None of them is a whole history: a canceled shipment no longer has any event.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, time, timedelta
from typing import Any

from trackledger.adapters.providers.base import Message
from trackledger.adapters.providers.reading import clock, iso, read, read_each, reference, shown
from trackledger.adapters.providers.rye_codes import HANDSHAKE_2, SHIPMENT_STATUSES
from trackledger.adapters.providers.rye_orders import rye_id
from trackledger.adapters.providers.rye_wire import MAX_PAGE, Hint, Place, Scan, Shipment, Stamp, Tracking
from trackledger.domain.checkpoints import (
    Assertion,
    AssertionKind,
    Checkpoint,
    Estimate,
    EstimateSource,
    Report,
    Tracker,
    content_digest,
    fingerprint,
    squash,
)
from trackledger.domain.errors import Ignored, Unreadable
from trackledger.domain.milestones import Milestone
from trackledger.domain.moments import Moment, ZoneSource, day


def from_hint(body: Mapping[str, Any]) -> Ignored:
    """Why an event says nothing. Raises `Unreadable` for what is none."""
    hint = read(Hint, "rye", body)
    if hint.type == HANDSHAKE_2:
        return Ignored(f"rye: {hint.type} only tests the endpoint")
    return Ignored(f"rye: {shown(hint.type)} is a hint to ask about {shown(hint.source.id)}, not a statement")


def from_shipment(message: Message, body: Mapping[str, Any]) -> list[Report]:
    """The report of a single shipment."""
    return [_report(message, body, "")]


def from_page(message: Message, rows: list[Any]) -> list[Report]:
    """One report per shipment of a page; a page of events is ignored."""
    if len(rows) > MAX_PAGE:
        raise Unreadable(f"rye: data has {len(rows):,} rows, over the limit of {MAX_PAGE:,}")
    shipments = ((f"data.{index}", row) for index, row in enumerate(rows) if not is_event(row))
    reports = read_each(shipments, lambda part: _report(message, part[1], part[0]))
    if not reports:
        raise Ignored(f"rye: data holds no shipment, but {len(rows):,} events, which are hints whom to ask about")
    return reports


def is_event(row: Any) -> bool:
    """Whether this is an event rather than a shipment."""
    return isinstance(row, dict) and row.get("object") == "event"


def _report(message: Message, body: Any, at: str) -> Report:
    said = read(Shipment, "rye", body, at)
    field = f"{at}." if at else ""
    shipment = rye_id(said.id, f"{field}id")
    status = reference("rye", said.status, f"{field}status")
    tracking = said.tracking or Tracking()
    carrier, number = (tracking.carrier_name or "").strip(), (tracking.number or "").strip()
    created = clock("rye", said.created_at, f"{field}createdAt") if said.created_at else None
    details = {
        "order_id": said.checkout_intent_id.strip(),
        "carrier": carrier,
        "tracking_number": number,
        "registered_at": created.isoformat().replace("+00:00", "Z") if created else "",
    }
    scans = list(_scans(shipment, said.tracking_events or (), f"{field}trackingEvents"))
    distinct = {c.key: c for c in (*scans, *_headlines(shipment, status, said, scans, field))}
    return Report(
        account=message.account,
        tracker=Tracker("rye", shipment, carrier, number),
        message_id=message.message_id,
        channel=message.channel,
        received_at=message.received_at,
        stated_at=clock("rye", said.updated_at, f"{field}updatedAt") if said.updated_at else None,
        checkpoints=tuple(distinct.values()),
        estimates=tuple(_estimates(tracking, f"{field}tracking.deliveryDate.estimated")),
        assertions=(Assertion(AssertionKind.STATUS, status),),
        details={name: value for name, value in details.items() if value},
    )


def _scans(shipment: str, events: Iterable[Scan], at: str) -> Iterator[Checkpoint]:
    for index, event in enumerate(events):
        occurred = _moment(event.timestamp, f"{at}.{index}.timestamp") if event.timestamp else None
        if occurred is None:
            continue
        code, said = (event.status or "").strip(), (event.description or "").strip()
        place = event.location or Place()
        parts = ((part or "").strip() for part in (place.city, place.province, place.country))
        location = ", ".join(part for part in parts if part)
        yield Checkpoint(
            fingerprint=fingerprint("rye", shipment, str(occurred.at), code, squash(said), squash(location)),
            digest=content_digest(occurred, code, said or code, location, ""),
            milestone=SHIPMENT_STATUSES.get(code, Milestone.UNKNOWN),
            occurred=occurred,
            status_code=code,
            status_said=said or code,
            location=location,
        )


def _moment(stamp: Stamp, field: str) -> Moment | None:
    """The instant in UTC, in the zone of the place where its local text names the same instant."""
    utc = iso("rye", stamp.utc, f"{field}.utc", UTC) if stamp.utc else None
    try:
        local = iso("rye", stamp.local, f"{field}.local") if stamp.local else None
    except Unreadable:
        local = None
    if utc is None or (local is not None and local.zone is ZoneSource.STATED and local.at == utc.at):
        return local
    return utc


def _headlines(shipment: str, status: str, said: Shipment, scans: list[Checkpoint], field: str) -> Iterator[Checkpoint]:
    """What the shipment itself says: since when it has which status, unless a scan says just that.

    A status without a time of its own is stated as of the last update. "Shipped" without any tracking event is the word
    of the merchant; no carrier has been heard.
    """
    times = [
        ("ordered", said.created_at if status == "ordered" else None, "createdAt"),
        ("shipped", said.shipped_at, "shippedAt"),
        ("delivered", said.delivered_at, "deliveredAt"),
    ]
    if status not in {code for code, time_said, _ in times if time_said} | {c.status_code for c in scans}:
        times.append((status, said.updated_at, "updatedAt"))
    told = {(c.milestone, c.occurred.at) for c in scans}
    for code, time_said, name in times:
        if not time_said:
            continue
        occurred = iso("rye", time_said, f"{field}{name}", UTC)
        unheard = code == "shipped" and not said.tracking_events
        milestone = Milestone.INFO_RECEIVED if unheard else SHIPMENT_STATUSES.get(code, Milestone.UNKNOWN)
        if (milestone, occurred.at) not in told:
            yield Checkpoint(
                fingerprint=fingerprint("rye", shipment, "shipment", code, "unheard" if unheard else ""),
                digest=content_digest(occurred, code, code, "", ""),
                milestone=milestone,
                occurred=occurred,
                status_code=code,
                status_said=code,
            )


def _estimates(tracking: Tracking, field: str) -> Iterator[Estimate]:
    said = tracking.delivery_date.estimated if tracking.delivery_date else None
    if said and said.strip():
        expected = iso("rye", said, field, UTC)
        local = expected.at + timedelta(minutes=expected.offset)
        if local.time() == time.min:
            # A date that was put into the form of a time: nobody expects a parcel at midnight.
            expected = day(local.date(), said, expected.offset)
        yield Estimate(EstimateSource.PROVIDER, expected, expected, offset=expected.offset)
