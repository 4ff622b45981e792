"""What does a Ship24 message say about its parcels?

Source: docs.ship24.com ("Standard data format", "Webhooks") and the public OpenAPI description of its tracking API. An
answer holds the whole history of a tracker; a webhook holds what is new, normally one event for each item.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trackledger.adapters.providers.base import Abilities, Cadence, Message
from trackledger.adapters.providers.reading import clock, iso, load_object, read, read_each, reference
from trackledger.adapters.providers.ship24_answers import trackings
from trackledger.adapters.providers.ship24_events import Scan, checkpoints, in_order, state_before
from trackledger.adapters.providers.ship24_wire import Delivery, Follower, Metadata, Shipment, Tracking, Window
from trackledger.adapters.providers.verifying import Endpoint, Request, require_secret
from trackledger.domain.checkpoints import Assertion, AssertionKind, Estimate, EstimateSource, Report, Tracker
from trackledger.domain.errors import Ignored, Unreadable
from trackledger.domain.milestones import Milestone
from trackledger.domain.moments import EARLIEST, Moment, Precision, day

if TYPE_CHECKING:
    from trackledger.adapters.providers.asking import Access, Client

POD = "tracking/pod"
"""The topic of a webhook with a proof of delivery."""

M = Milestone


class Ship24:
    """The context's `tracker_id` names the tracker of a message with a single tracking that names none."""

    name = "ship24"
    title = "Ship24"
    reference_form = r".{1,200}"
    reference_like = "6b1f0c52-94d7-4e0b-8a3c-2f7d51e6a904"
    abilities = Abilities(
        push="secret",
        zones="mixed",
        checkpoint_ids="all",
        estimates=("carrier", "provider"),
        ndr_reasons="inferred",
        pieces=False,
        sweep="",
        batch=1,
        per_second=10,
    )
    # Ship24 names no interval; these are ours, for an account that also has webhooks.
    cadence = Cadence(
        timedelta(hours=4),
        {
            M.UNKNOWN: timedelta(hours=6),
            M.INFO_RECEIVED: timedelta(hours=6),
            M.OUT_FOR_DELIVERY: timedelta(minutes=30),
            M.DELIVERY_FAILED: timedelta(minutes=30),
            M.AVAILABLE_FOR_PICKUP: timedelta(hours=6),
            M.EXCEPTION: timedelta(hours=12),
            M.LOST: timedelta(hours=12),
            M.RETURNING: timedelta(hours=12),
            M.DELIVERED: timedelta(hours=24),
            M.RETURNED: timedelta(hours=24),
            M.CANCELLED: timedelta(hours=24),
        },
    )

    def normalize(self, message: Message) -> list[Report]:
        """One report per tracker, whatever the number of its items and their order.

        A proof of delivery says nothing, and neither does a tracker without an event and a status; where nothing says
        anything, the message is `Ignored`.
        """
        at, items = trackings(load_object("ship24", message.body))
        alone = message.context.get("tracker_id", "") if len(items) == 1 else ""
        by_tracker: dict[str, list[tuple[str, Any]]] = {}
        for index, item in enumerate(items):
            field = f"{at}.{index}." if at else ""
            if alone and isinstance(item, dict) and item.get("tracker") is None:
                item = item | {"tracker": {"trackerId": alone}}
            by_tracker.setdefault(_tracker_id(item) or field, []).append((field, item))
        is_history = at.startswith("data.")
        reports = read_each(by_tracker.values(), lambda told: _report(message, told, is_history))
        if not reports:
            raise Ignored("ship24: no tracking has an event or a status; a proof of delivery is neither")
        return reports

    def verify(self, request: Request, endpoint: Endpoint) -> None:
        """The dashboard's secret as `Authorization: Bearer secret`, or in `endpoint.header`, where that names one."""
        parts = request.headers.get(endpoint.header.lower() or "authorization", "").split()
        is_bearer = len(parts) == 2 and parts[0].lower() == "bearer"
        require_secret(endpoint, parts[1] if is_bearer else None)

    def handshake(self, request: Request) -> bytes | None:
        """Ship24 has probed addresses with HEAD, to be answered 200."""
        return b"{}" if request.method == "HEAD" else None

    def pokes(self, message: Message) -> Sequence[str]:
        return ()

    def client(self, access: "Access") -> "Client":
        # Reading a message does without HTTP, which takes longer to import.
        from trackledger.adapters.providers.ship24_client import Ship24Client

        return Ship24Client(access)


PROVIDER = Ship24()


class _Item(Struct):
    """One item of a message: its field path with the final dot, and when Ship24 made it, by its own clock."""

    at: str
    tracking: Tracking
    made: datetime | None


def _tracker_id(item: Any) -> str:
    """The id of an item's tracker, as far as it can be seen before the item is read."""
    tracker = item.get("tracker") if isinstance(item, dict) else None
    said = tracker.get("trackerId") if isinstance(tracker, dict) else None
    return said.strip() if isinstance(said, str) else ""


def _item(at: str, said: Any) -> _Item | None:
    tracking = read(Tracking, "ship24", said, at.removesuffix("."))
    about = tracking.metadata or Metadata()
    if about.topic == POD:
        return None
    if not {"shipment", "events"} & tracking.model_fields_set:
        raise Unreadable(f"ship24: {at}shipment and {at}events are missing; a tracking has one of them")
    made = clock("ship24", about.generated_at, f"{at}metadata.generatedAt") if about.generated_at else None
    return _Item(at, tracking, made)


def _report(message: Message, told: Iterable[tuple[str, Any]], is_history: bool) -> Report | None:
    """What all items of one tracker say; where they contradict each other, the one that was made last counts."""
    items = [item for at, one in told if (item := _item(at, one)) is not None]
    if not items:
        return None
    items.sort(key=lambda item: item.made or EARLIEST)
    newest = items[-1]
    tracker = newest.tracking.tracker
    id_ = reference("ship24", tracker.tracker_id, f"{newest.at}tracker.trackerId")
    telling = next((item for item in reversed(items) if item.tracking.shipment), newest)
    about = telling.tracking.shipment or Shipment()
    delivery = about.delivery or Delivery()
    scans = in_order((item.at, item.tracking) for item in items)
    said = checkpoints(scans, "" if is_history else state_before(newest.tracking, scans))
    estimates = tuple(_estimates(delivery, f"{telling.at}shipment.delivery."))
    milestone, code = about.status_milestone or "", about.status_code or ""
    claims = (Assertion(AssertionKind.STATUS, milestone or code, code),) if milestone or code else ()
    if not (said or estimates or claims):
        return None
    details = {
        "order_id": tracker.shipment_reference or "",
        "carrier": _carrier(tracker, scans),
        "tracking_number": tracker.tracking_number or "",
        "service": delivery.service or "",
        "origin": about.origin_country_code or "",
        "destination": about.destination_country_code or "",
        "registered_at": "",
    }
    if tracker.created_at:
        registered = clock("ship24", tracker.created_at, f"{newest.at}tracker.createdAt")
        details["registered_at"] = registered.isoformat().replace("+00:00", "Z")
    return Report(
        account=message.account,
        tracker=Tracker("ship24", id_, tracking_number=details["tracking_number"]),
        message_id=message.message_id,
        channel=message.channel,
        received_at=message.received_at,
        # Nothing is said after it was heard: a clock that runs ahead would have the last word for ever.
        stated_at=min(newest.made, message.received_at) if newest.made else None,
        checkpoints=said,
        estimates=estimates,
        assertions=claims,
        details={name: value for name, value in details.items() if value},
        # An empty list is what a parcel without any event has; it must not withdraw what was once said.
        whole_history=bool(is_history and said),
    )


def _estimates(delivery: Delivery, at: str) -> Iterable[Estimate]:
    """The courier's window, else its single time, and Ship24's own prediction."""
    window = _window(delivery.courier_estimated_delivery_date, f"{at}courierEstimatedDeliveryDate.")
    if window is None:
        expected = _expected(delivery.estimated_delivery_date, f"{at}estimatedDeliveryDate")
        window = (expected, expected) if expected else None
    if window:
        yield Estimate(EstimateSource.CARRIER, *window)
    if predicted := _window(delivery.ai_predictive_delivery_date, f"{at}aiPredictiveDeliveryDate."):
        yield Estimate(EstimateSource.PROVIDER, *predicted)


def _window(said: Window | None, at: str) -> tuple[Moment | None, Moment | None] | None:
    if said is None:
        return None
    earliest, latest = _expected(said.earliest, f"{at}from"), _expected(said.latest, f"{at}to")
    return (earliest, latest) if earliest or latest else None


def _expected(said: str | None, field: str) -> Moment | None:
    """A time at which it should come. Midnight stands for the day; as an instant, it would make that whole day late."""
    if not said:
        return None
    expected = iso("ship24", said, field)
    local = expected.at + timedelta(minutes=expected.offset)
    if expected.precision is Precision.DAY or local.time() != time():
        return expected
    return day(local.date(), said, expected.offset, expected.zone)


def _carrier(tracker: Follower, scans: Sequence[Scan]) -> str:
    """The courier of the newest event that names one, else the first that the tracker was created for."""
    couriers = [scan.event.courier_code for scan in reversed(scans)]
    couriers += tracker.courier_code or ()
    return next((courier for courier in couriers if courier), "")
