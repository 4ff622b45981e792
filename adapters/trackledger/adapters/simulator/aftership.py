"""What does AfterShip answer and send? Every message is a snapshot of a whole tracking."""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from trackledger.adapters.providers.verifying import Request
from trackledger.adapters.simulator.plan import Parcel, Step
from trackledger.adapters.simulator.wire import (
    KEY,
    SECRET,
    Asked,
    Push,
    Reply,
    encoded,
    local,
    number_of,
    said,
    uuid_of,
)
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.milestones import Milestone, NdrReason

M = Milestone

WORDS: dict[Milestone, tuple[str, str, str]] = {
    M.INFO_RECEIVED: ("InfoReceived_001", "Info Received", "Label made by the shipper"),
    M.PICKED_UP: ("InTransit_002", "Acceptance scan", "Accepted at the counter"),
    M.IN_TRANSIT: ("InTransit_007", "Departure scan", "Left the sort centre"),
    M.ARRIVED: ("InTransit_003", "Arrival scan", "At the delivery unit"),
    M.CUSTOMS: ("InTransit_006", "Customs clearance started", "Shown to customs"),
    M.ON_HOLD: ("Exception_004", "Delayed (Customs clearance)", "Customs ask for an invoice"),
    M.DELAYED: ("Exception_017", "Delayed (Weather)", "Snow on the pass"),
    M.OUT_FOR_DELIVERY: ("OutForDelivery_001", "Out for Delivery", "On the vehicle for delivery today"),
    M.DELIVERY_FAILED: ("AttemptFail_001", "Failed Attempt", "We tried to deliver"),
    M.AVAILABLE_FOR_PICKUP: ("AvailableForPickup_001", "Available for Pickup", "Kept at the counter"),
    M.DELIVERED: ("Delivered_001", "Delivered", "Left with the recipient"),
    M.EXCEPTION: ("Exception_001", "Exception", "Label cannot be read"),
    M.LOST: ("Exception_013", "Shipment lost", "Given up after a search"),
    M.DAMAGED: ("Exception_012", "Shipment damaged", "Opened and found broken"),
    M.RETURNING: ("Exception_010", "Returning to sender", "Turned around"),
    M.RETURNED: ("Exception_011", "Returned to sender", "Back with the shipper"),
    M.CANCELLED: ("Exception_020", "Shipment cancelled", "Label voided"),
}
"""Milestone to sub-status, its label, and a carrier's message."""

REASONS: dict[NdrReason, tuple[str, str]] = {
    NdrReason.CUSTOMER_UNAVAILABLE: ("AttemptFail_002", "Addressee not available"),
    NdrReason.REFUSED: ("Exception_003", "Customer refused delivery"),
    NdrReason.BAD_ADDRESS: ("Exception_007", "Incorrect address"),
}
"""The reasons that have a sub-status of their own."""

COUNTRIES = {"US": "USA", "GB": "GBR"}

PATH = "/tracking/2026-07/trackings"


class AfterShip:
    """AfterShip for the organisation with `KEY`.

    Trackings of parcels in `unfollowed` are there only once somebody has created them, which takes them out of it.
    """

    name = "aftership"
    base = ""
    # Fourteen attempts: 30 seconds, and twice as long each time.
    retries: Sequence[timedelta] = tuple(timedelta(seconds=30 * 2**n) for n in range(13))

    def __init__(self, parcels: Sequence[Parcel], unfollowed: set[str]) -> None:
        self._parcels = {parcel.reference: parcel for parcel in parcels}
        self._unfollowed = unfollowed

    def trackers(self) -> Iterator[Tracker]:
        for parcel in self._parcels.values():
            yield Tracker("aftership", parcel.reference, parcel.carrier.code, parcel.number)

    def answer(self, asked: Asked, at: datetime) -> Reply:
        if asked.headers.get("as-api-key") != KEY:
            return _error(401, 401, "The API key is invalid.")
        is_known = asked.path.removeprefix(f"{PATH}/")
        match asked.method, asked.path:
            case "GET", path if path == PATH:
                return self._listed(asked, at)
            case "POST", path if path == PATH:
                return self._create(asked.json(), at)
            case "GET", _ if is_known in self._parcels and is_known not in self._unfollowed:
                return said({"meta": {"code": 200}, "data": tracking(self._parcels[is_known], at)})
            case _:
                return _error(404, 4004, "Tracking does not exist.")

    def _listed(self, asked: Asked, at: datetime) -> Reply:
        numbers = set(filter(None, asked.params.get("tracking_numbers", "").split(",")))
        least, most = (_time(asked.params.get(name)) for name in ("updated_at_min", "updated_at_max"))
        found = [
            parcel
            for parcel in self._followed(at)
            if (not numbers or parcel.number in numbers)
            and (least is None or _updated(parcel, at) >= least)
            and (most is None or _updated(parcel, at) <= most)
        ]
        start = int(asked.params.get("cursor") or 0)
        end = start + min(200, int(asked.params.get("limit") or 100))
        more = end < len(found)
        pagination = {"total": len(found), "next_cursor": str(end) if more else None, "has_next_page": more}
        page = [tracking(parcel, at) for parcel in found[start:end]]
        return said({"meta": {"code": 200}, "data": {"pagination": pagination, "trackings": page}})

    def _followed(self, at: datetime) -> Iterator[Parcel]:
        for reference, parcel in self._parcels.items():
            if reference not in self._unfollowed and parcel.created_at <= at:
                yield parcel

    def _create(self, wanted: Any, at: datetime) -> Reply:
        number, id_ = wanted.get("tracking_number"), wanted.get("id")
        parcel = next((p for p in self._parcels.values() if p.number == number and id_ in (None, p.reference)), None)
        if parcel is None:
            return _error(400, 4012, "No courier was detected for this number.")
        if parcel.reference not in self._unfollowed:
            return _error(
                400, 4003, "Tracking already exists.", {"tracking_number": number, "slug": parcel.carrier.code}
            )
        self._unfollowed.discard(parcel.reference)
        return said({"meta": {"code": 201}, "data": tracking(parcel, at)}, 201)

    def pushes(self) -> Iterator[Push]:
        for parcel in self._parcels.values():
            for at in parcel.changes():
                body = encoded(_webhook(parcel, at))
                digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
                headers = {
                    "aftership-hmac-sha256": base64.b64encode(digest).decode(),
                    "as-webhook-version": "2026-07",
                    "user-agent": "AfterShipTrackingWebhook/4.0.0",
                }
                yield Push(at, parcel.reference, Request(body, headers))


def _error(status: int, code: int, message: str, data: Any = None) -> Reply:
    return said({"meta": {"code": code, "message": message, "type": "BadRequest"}, "data": data or {}}, status)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}+00:00"


def _updated(parcel: Parcel, at: datetime) -> datetime:
    return max((change for change in parcel.changes() if change <= at), default=parcel.created_at)


def _words(step: Step) -> tuple[str, str, str]:
    subtag, label, message = WORDS[step.milestone]
    return (*REASONS[step.reason], message) if step.reason in REASONS else (subtag, label, message)


def _checkpoint(parcel: Parcel, step: Step, at: datetime) -> dict[str, Any]:
    subtag, label, message = _words(step)
    return {
        "created_at": _stamp(step.told_at),
        "slug": parcel.carrier.code,
        "checkpoint_time": local(step.at, parcel.lane),
        "location": step.place or None,
        "city": step.place or None,
        "state": None,
        "postal_code": None,
        "coordinate": None,
        "country_region": COUNTRIES[parcel.lane.country_to],
        "country_region_name": None,
        "message": f"{message} (corrected)" if step.is_reworded(at) else message,
        "tag": subtag.partition("_")[0],
        "subtag": subtag,
        "subtag_message": label,
        "raw_tag": None,
        "events": [],
        "source": "carrier",
        "hash": f"{number_of(parcel.reference, step.no, bits=160):040x}",
    }


def tracking(parcel: Parcel, at: datetime) -> dict[str, Any]:
    """A tracking as it is at an instant, which is the same in answers and webhooks."""
    told = parcel.told(at)
    moved = [step for step in told if step.moves]
    subtag, label, _ = _words(moved[-1]) if moved else ("Pending_001", "Pending", "")
    expected = parcel.expected_at(at)
    none = {"estimated_delivery_date_min": None, "estimated_delivery_date_max": None}
    return {
        "id": parcel.reference,
        "created_at": _stamp(parcel.created_at),
        "updated_at": _stamp(_updated(parcel, at)),
        "tracking_number": parcel.number,
        "slug": parcel.carrier.code,
        "active": True,
        "tag": subtag.partition("_")[0],
        "subtag": subtag,
        "subtag_message": label,
        "title": parcel.number,
        "order_id": parcel.order_id,
        "order_number": parcel.order_id,
        "origin_country_region": COUNTRIES[parcel.lane.country_from],
        "origin_city": parcel.lane.origin,
        "destination_country_region": COUNTRIES[parcel.lane.country_to],
        "destination_city": parcel.lane.destination,
        "courier_estimated_delivery_date": {"estimated_delivery_date": expected.day.isoformat(), **none}
        if expected
        else None,
        "source": "api",
        "checkpoints": [_checkpoint(parcel, step, at) for step in told],
    }


def _webhook(parcel: Parcel, at: datetime) -> dict[str, Any]:
    return {
        "event": "tracking_update",
        "event_id": uuid_of(parcel.reference, at),
        "is_tracking_first_tag": len(parcel.told(at)) == 1,
        "msg": tracking(parcel, at),
        "ts": int(at.timestamp()),
    }
