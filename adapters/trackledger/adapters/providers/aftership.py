"""What does an AfterShip message say about its parcels?

Source: www.aftership.com/docs/tracking ("Webhook specifications", "Webhook signature", "Changelog", "Migration guide"),
AfterShip's published description of its API, and its SDKs for the older versions. Every message is a snapshot: the
tracking as it is, with all of its checkpoints. One that a newer snapshot leaves out is not taken for withdrawn, because
AfterShip drops true ones too.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, time, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

from msgspec.structs import replace

from trackledger.adapters.providers.aftership_answers import UPDATE, is_webhook, trackings
from trackledger.adapters.providers.aftership_checkpoints import checkpoints, clean, headline
from trackledger.adapters.providers.aftership_wire import Dates, Tracking, Webhook
from trackledger.adapters.providers.base import Abilities, Cadence, Message
from trackledger.adapters.providers.reading import clock, epoch, iso, load_object, read, read_each, reference, shown
from trackledger.adapters.providers.verifying import Endpoint, Request, from_base64, require_hmac
from trackledger.domain.checkpoints import Assertion, AssertionKind, Estimate, EstimateSource, Report, Tracker
from trackledger.domain.errors import Ignored, Unreadable
from trackledger.domain.milestones import FINAL, Leg
from trackledger.domain.moments import Moment, Precision

if TYPE_CHECKING:
    from trackledger.adapters.providers.asking import Access, Client

S = EstimateSource

TRACKING_ID = re.compile(r"[0-9A-Za-z_-]{1,128}")

OWN = "trackledger-"
"""What every tracking id that we chose begins with."""

MAX_BATCH = 50
"""Tracking numbers in one call, as AfterShip documents."""

MAX_PIECES = 9999

_LEGS = {"forward": Leg.FORWARD, "return": Leg.RETURN}

_EXPECTED: dict[str, EstimateSource | None] = {
    "courier_estimated_delivery_date": S.CARRIER,
    "aftership_estimated_delivery_date": S.PROVIDER,
    "custom_estimated_delivery_date": S.SLA,  # of the shop's own rules: cut-off, processing and transit days
    "order_promised_delivery_date": S.PROMISE,
    "latest_estimated_delivery": None,
    "expected_delivery": S.CARRIER,
    "first_estimated_delivery": None,
}
"""Which field tells the date of which source, None where it says so itself; of several, the first one counts."""

_SOURCES: dict[str | None, EstimateSource] = {
    "Carrier EDD": S.CARRIER,
    "AfterShip EDD": S.PROVIDER,
    "Custom EDD": S.SLA,
    "Order EDD": S.PROMISE,
}
"""`source` of a date that names it; any other one is AfterShip's."""


def own_id(key: str) -> str:
    """The tracking id that we choose for a parcel, made of the key of the tracker that named it: `OWN` and 160 bits.

    The same key gives the same id for ever, so that creating a tracking twice creates it once.
    """
    return f"{OWN}{blake2b(key.encode(), digest_size=20).hexdigest()}"


class AfterShip:
    """The reference is the tracking id, AfterShip's or one of our choice.

    A number may have several trackings, a tracking that is created again has another id, and the courier of one is
    corrected later: nothing else identifies a tracking.
    """

    name = "aftership"
    title = "AfterShip"
    reference_form = TRACKING_ID.pattern
    reference_like = "6f1c0a7be2d94c53a8b7e90d41f5c362"
    abilities = Abilities(
        push="hmac",
        zones="mixed",
        checkpoint_ids="some",
        estimates=("carrier", "provider", "sla", "promise"),
        ndr_reasons="stated",
        pieces=True,
        sweep="messages",
        batch=MAX_BATCH,
        per_second=3,
    )
    # AfterShip asks the carriers every 3 to 12 hours. A day after its end a tracking is worth one more look.
    cadence = Cadence(timedelta(hours=1), dict.fromkeys(FINAL, timedelta(days=1)))

    def normalize(self, message: Message) -> list[Report]:
        """One report per tracking of a webhook or an answer, of whatever version.

        A checkpoint or an expected date whose time cannot be read is left out of its report; the message is then
        `Unreadable` for it, with all of its reports in `readable`. A webhook other than `tracking_update` may leave out
        the tracking's id, and is `Ignored` where it does.
        """
        body = load_object("aftership", message.body)
        if is_webhook(body):
            hook = read(Webhook, "aftership", body)
            if hook.msg.id is None and body["event"] != UPDATE:
                about = f"{body['event']} about the number {shown(hook.msg.tracking_number)}"
                raise Ignored(f"aftership: {about} does not say which tracking; the next snapshot of it tells the same")
            reports = read_each([hook.msg], lambda msg: _report(message, msg, "msg", hook.ts))
        else:
            reports = read_each(
                trackings(body), lambda told: _report(message, read(Tracking, "aftership", told[1], told[0]), told[0])
            )
        if not reports:
            raise Ignored("aftership: the tracking has neither a tag nor a checkpoint; it makes no statement")
        return reports

    def verify(self, request: Request, endpoint: Endpoint) -> None:
        """The HMAC-SHA256 of the raw body as base64 in `aftership-hmac-sha256`. No time is signed, and AfterShip tries
        for 68 hours: an old message is as good as a new one."""
        require_hmac(endpoint, request.body, from_base64(request.headers.get("aftership-hmac-sha256")))

    def handshake(self, request: Request) -> bytes | None:
        return None

    def pokes(self, message: Message) -> Sequence[str]:
        """The tracking of a webhook without checkpoints: something changed there, and it tells a part of it only."""
        if b'"msg"' not in message.body:
            return ()
        try:
            told = load_object("aftership", message.body).get("msg")
        except Unreadable:
            return ()
        id_ = told.get("id") if isinstance(told, dict) and told.get("checkpoints") is None else None
        return (id_,) if isinstance(id_, str) and TRACKING_ID.fullmatch(id_) else ()

    def client(self, access: "Access") -> "Client":
        # Reading a message does without HTTP, which takes longer to import.
        from trackledger.adapters.providers.aftership_client import AfterShipClient

        return AfterShipClient(access)


PROVIDER = AfterShip()


def _report(message: Message, tracking: Tracking, field: str, ts: int | None = None) -> Report | None:
    """Everything that a snapshot says, None for nothing. What had to be left out is raised, with the report."""
    at = f"{field}."
    id_ = _tracking_id(tracking.id, f"{at}id")
    number, carrier = clean(tracking.tracking_number), clean(tracking.slug)
    stated = _stated(tracking, at, ts)
    left_out: list[Unreadable] = []
    told = list(checkpoints(tracking, "".join(number.split()).upper() or id_, at, left_out))
    if (tag := headline(tracking, id_, stated, told)) is not None:
        told.append(tag)
    details = {
        "order_id": clean(tracking.order_id) or clean(tracking.order_number),
        "carrier": carrier,
        "tracking_number": number,
        "service": clean(tracking.shipment_type),
        "origin": clean(tracking.origin_city) or clean(tracking.origin),
        "destination": clean(tracking.destination_city) or clean(tracking.destination),
        "registered_at": "",
    }
    if tracking.created_at:
        registered = clock("aftership", tracking.created_at, f"{at}created_at")
        details["registered_at"] = registered.isoformat().replace("+00:00", "Z")
    report = Report(
        account=message.account,
        tracker=Tracker("aftership", id_, carrier, number),
        message_id=message.message_id,
        channel=message.channel,
        received_at=message.received_at,
        stated_at=None if stated is None else stated.at,
        checkpoints=tuple({one.key: one for one in told}.values()),
        estimates=tuple(_estimates(tracking, at, left_out)),
        assertions=tuple(_assertions(tracking)),
        details={name: value for name, value in details.items() if value},
    )
    says_anything = bool(report.checkpoints or report.estimates or report.assertions)
    if left_out:
        more = f", as are {len(left_out) - 1:,} more" if len(left_out) > 1 else ""
        raise Unreadable(f"{left_out[0]}; it is left out{more}", [report] if says_anything else [])
    return report if says_anything else None


def _tracking_id(said: str | None, field: str) -> str:
    if said is None:
        raise Unreadable(f"aftership: {field} is missing: nothing else identifies a tracking")
    id_ = reference("aftership", said, field, 128)
    if not TRACKING_ID.fullmatch(id_):
        raise Unreadable(f"aftership: {field} is {shown(said)}: letters, digits, _ and - are needed")
    return id_


def _stated(tracking: Tracking, at: str, ts: int | None) -> Moment | None:
    """AfterShip's clock for the snapshot: when the tracking was updated, else when the webhook was made. An older
    snapshot that arrives after a newer one changes nothing that the newer one states."""
    if tracking.updated_at:
        return iso("aftership", tracking.updated_at, f"{at}updated_at", UTC)
    return None if ts is None else Moment(epoch("aftership", ts, "ts"), str(ts))


def _assertions(tracking: Tracking) -> Iterator[Assertion]:
    if code := clean(tracking.subtag) or clean(tracking.tag):
        yield Assertion(AssertionKind.STATUS, code, clean(tracking.subtag_message))
    if leg := _LEGS.get(clean(tracking.shipment_direction)):
        yield Assertion(AssertionKind.DIRECTION, str(leg))
    if tracking.shipment_package_count and 0 < tracking.shipment_package_count <= MAX_PIECES:
        yield Assertion(AssertionKind.PIECES, str(tracking.shipment_package_count))


def _estimates(tracking: Tracking, at: str, left_out: list[Unreadable]) -> Iterator[Estimate]:
    """One estimate a source. What was expected at first counts only where nothing else is: told beside the current
    date, it would contradict it as if it were as new."""
    told: dict[EstimateSource, tuple[str, Dates]] = {}
    for name, source in _EXPECTED.items():
        dates: Dates | None = getattr(tracking, name)
        if dates is None or not (clean(dates.on) or clean(dates.first) or clean(dates.last)):
            continue
        if name != "first_estimated_delivery" or not told.keys() - {S.PROMISE}:
            told.setdefault(source or _SOURCES.get(dates.source, S.PROVIDER), (name, dates))
    for source, (name, dates) in told.items():
        try:
            starts = _expected(clean(dates.first) or clean(dates.on), f"{at}{name}")
            ends = _expected(clean(dates.last) or clean(dates.on), f"{at}{name}")
        except Unreadable as reason:
            left_out.append(reason)
        else:
            yield Estimate(source, starts, ends)


def _expected(said: str, field: str) -> Moment | None:
    """A day, or an instant. Midnight is how a day is written as a time: nobody expects a parcel then, and taken for an
    instant it would make every parcel of that day late."""
    if not said:
        return None
    moment = iso("aftership", said, field)
    local = moment.at + timedelta(minutes=moment.offset)
    return replace(moment, precision=Precision.DAY) if local.time() == time() else moment
