"""What does ClickPost answer and send? Times are digits of India, those of webhooks with a false `Z`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from trackledger.adapters.providers.verifying import Request
from trackledger.adapters.simulator.clickpost_actions import acted_on, refusal
from trackledger.adapters.simulator.plan import Parcel, Step
from trackledger.adapters.simulator.wire import KEY, SECRET, USER, Asked, Push, Reply, encoded, number_of, said
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.milestones import Milestone, NdrReason

M, N = Milestone, NdrReason

WORDS: dict[Milestone, tuple[int, str, int, str, str]] = {
    M.INFO_RECEIVED: (1, "OrderPlaced", 1, "Manifested", "Shipment details manifested"),
    M.PICKUP_SCHEDULED: (2, "PickupPending", 1, "Manifested", "Pickup scheduled"),
    M.PICKUP_FAILED: (3, "PickupFailed", 1, "Manifested", "Seller asked to collect tomorrow"),
    M.OUT_FOR_PICKUP: (25, "OutForPickup", 1, "Out for Pickup", "Executive on the way to the seller"),
    M.PICKED_UP: (4, "PickedUp", 2, "In Transit", "Collected from the seller"),
    M.IN_TRANSIT: (5, "InTransit", 3, "In Transit", "Bag moved on"),
    M.ARRIVED: (1004, "DestinationHubIn", 3, "Pending", "Received at the delivery centre"),
    M.DELAYED: (18, "ShipmentDelayed", 3, "In Transit", "Vehicle delayed, road closed"),
    M.ON_HOLD: (20, "ShipmentHeld", 3, "Pending", "Held for the documents"),
    M.EXCEPTION: (19, "ContactCustomerCare", 3, "Pending", "Call customer care"),
    M.OUT_FOR_DELIVERY: (6, "OutForDelivery", 4, "Dispatched", "With the delivery executive"),
    M.DELIVERY_FAILED: (9, "FailedDelivery", 5, "Pending", "Delivery tried without success"),
    M.DELIVERED: (8, "Delivered", 6, "Delivered", "Handed to the consignee"),
    M.CANCELLED: (10, "Cancelled", 1, "Canceled", "Cancelled by the seller"),
    M.LOST: (16, "Lost", 8, "LOST", "Not found after a search"),
    M.DAMAGED: (17, "Damaged", 9, "Damaged", "Contents broken"),
    M.RETURN_REQUESTED: (11, "RTO-Requested", 7, "In Transit", "Return to the seller ordered"),
    M.RETURNING: (21, "RTO-InTransit", 7, "In Transit", "On the way back"),
    M.RETURNED: (14, "RTO-Delivered", 7, "RTO", "Handed back to the seller"),
    M.UNKNOWN: (46, "ThirdPartyScan", 3, "Scan", "See remark of partner"),
}
"""Milestone to code, description, bucket, and the carrier's status and remark."""

BUCKETS = {1: "Order placed", 2: "Shipped", 3: "In transit", 4: "Out for delivery", 5: "Failed delivery"} | {
    6: "Delivered",
    7: "Returned",
    8: "Lost",
    9: "Damaged",
}

REASONS: dict[NdrReason, tuple[int, str]] = {
    N.CUSTOMER_UNAVAILABLE: (1, "Customer Unavailable"),
    N.REFUSED: (2, "Rejected by Customer"),
    N.RESCHEDULED: (3, "Delivery Rescheduled"),
    N.CUSTOMER_UNREACHABLE: (5, "Customer Unreachable"),
    N.BAD_ADDRESS: (6, "Address Issue"),
    N.PAYMENT_ISSUE: (7, "Payment Issue"),
}

PAGE = 100
MAX_SPAN = 1800
INDIA = timezone(timedelta(minutes=330))


class ClickPost:
    """ClickPost for one account, `USER` with `KEY`."""

    name = "clickpost"
    base = ""
    # It sends again what is not answered 200; how often and when is not documented.
    retries: Sequence[timedelta] = tuple(timedelta(minutes=minutes) for minutes in (5, 30, 120, 360, 720, 1440))

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        self._parcels = {parcel.reference: parcel for parcel in parcels}
        self._registered: set[str] = set()

    def trackers(self) -> Iterator[Tracker]:
        for parcel in self._parcels.values():
            yield Tracker("clickpost", parcel.reference, parcel.carrier.name, parcel.number)

    def answer(self, asked: Asked, at: datetime) -> Reply:
        registers = asked.path == "/api/v3/tracking/awb-register/"
        if asked.params.get("key") != KEY or (asked.params.get("username") != USER and not registers):
            return _meta(301, "Authentication failed")
        match asked.method, asked.path:
            case "GET", "/api/v2/track-order/":
                return self._track(asked, at)
            case "GET", "/api/v1/updated-order":
                return self._changed(asked, at)
            case "POST", "/api/v3/tracking/awb-register/":
                return self._register(asked.json())
            case "POST", "/api/v2/ndr-update-api":
                return self._act(asked.json(), at)
            case _:
                return said({"detail": f"Method {asked.method} not allowed at {asked.path}"}, 405)

    def _track(self, asked: Asked, at: datetime) -> Reply:
        cp_id = asked.params.get("cp_id", "")
        found = (self._parcels.get(f"{cp_id}:{waybill}") for waybill in asked.params.get("waybill", "").split(","))
        known = [parcel for parcel in found if parcel and parcel.told(at)]
        return _meta(200, "SUCCESS", {parcel.number: _told(parcel, at) for parcel in known} or None)

    def _changed(self, asked: Asked, at: datetime) -> Reply:
        try:
            start, end = (int(asked.params.get(name, "")) for name in ("start_date", "end_date"))
            page = int(asked.params.get("page", "1"))
        except ValueError:
            return _meta(400, {"start_date": ["A valid integer is required."]})
        if end - start > MAX_SPAN:
            return _meta(400, "the span is longer than 1800 seconds")
        rows = []
        for parcel in self._parcels.values():
            changed = [change for change in parcel.changes() if change <= at]
            if changed and start <= changed[-1].timestamp() <= end:
                rows.append(_row(parcel, changed[-1], at))
        reply = {"status": 200, "success": True, "message": "SUCCESS"}
        shown = rows[(page - 1) * PAGE : page * PAGE]
        if rows[page * PAGE :]:
            further = {**asked.params, "page": str(page + 1)}
            reply["next"] = f"https://api.clickpost.in/api/v1/updated-order?{urlencode(further)}"
        return said({"meta": reply, "result": shown})

    def _register(self, body: Any) -> Reply:
        reference = f"{body.get('courier_partner')}:{body.get('waybill')}"
        if reference not in self._parcels:
            return _meta(326, "tracking id is not valid")
        if reference in self._registered:
            return _meta(303, "AWB already registered")
        self._registered.add(reference)
        return _meta(200, "SUCCESS", {"tracking_id": number_of(reference, bits=32)})

    def _act(self, body: Any, at: datetime) -> Reply:
        reference = f"{body.get('cp_id')}:{body.get('waybill')}" if isinstance(body, dict) else ""
        parcel = self._parcels.get(reference)
        refused = refusal(parcel, body, at)
        if refused is not None:
            return _answered(*refused)
        assert parcel is not None
        self._parcels[reference] = acted_on(parcel, body, at)
        return _answered(200, "SUCCESS")

    def now(self, parcel: Parcel) -> Parcel:
        """A parcel with the story that it lives through since somebody acted on it."""
        return self._parcels.get(parcel.reference, parcel)

    def pushes(self) -> Iterator[Push]:
        for parcel in self._parcels.values():
            for step in parcel.steps:
                body = encoded(_webhook(parcel, step))
                yield Push(step.told_at, parcel.reference, Request(body, {"webhook_key": SECRET}))


def _meta(status: int, message: Any, result: Any = None) -> Reply:
    meta = {"status": status, "success": status == 200, "message": message}
    return said({"meta": meta, "result": result})


def _answered(status: int, message: str) -> Reply:
    """As it answers where there is no result."""
    return said({"meta": {"status": status, "success": status == 200, "message": message}})


def _local(at: datetime) -> str:
    return f"{at.astimezone(INDIA):%Y-%m-%d %H:%M:%S}"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _status(step: Step) -> dict[str, Any]:
    code, description, bucket, status, remark = WORDS[step.milestone]
    return {
        "timestamp": _local(step.at),
        "location": step.place,
        "remark": remark,
        "status": status,
        "clickpost_status_code": code,
        "clickpost_status_description": description,
        "clickpost_status_bucket": bucket,
        "clickpost_status_bucket_description": BUCKETS[bucket],
    }


def _told(parcel: Parcel, at: datetime) -> dict[str, Any]:
    steps = parcel.told(at)[::-1]
    scans = [
        {
            **_status(step),
            "checkpoint_id": 10**10 + number_of(parcel.reference, step.no, bits=32),
            "tracking_id": number_of(parcel.reference, bits=32),
            "created_at": _utc(step.told_at),
        }
        for step in steps
    ]
    expected = parcel.expected_at(at)
    reason = next((REASONS[step.reason] for step in steps if step.reason), None)
    return {
        "latest_status": {**_status(_now(steps)), "created_at": _utc(parcel.created_at)},
        "scans": scans,
        "valid": True,
        "additional": {
            "is_stuck": at - steps[0].at > timedelta(hours=96) and steps[0].milestone in (M.IN_TRANSIT, M.ARRIVED),
            "order_id": parcel.order_id,
            "edd": {"min_sla": None, "max_sla": None, "exact_sla": None},
            "courier_partner_edd": expected.day.isoformat() if expected else None,
            "courier_partner_id": int(parcel.carrier.code),
            "courier_name": parcel.carrier.name,
            "currency_code": "INR",
            "ndr": {"ndr_bucket_code": reason[0], "ndr_description": reason[1]} if reason else None,
        },
    }


def _now(newest_first: Sequence[Step]) -> Step:
    return next((step for step in newest_first if step.moves), newest_first[0])


def _row(parcel: Parcel, changed_at: datetime, at: datetime) -> dict[str, Any]:
    status = _status(_now(parcel.told(at)[::-1]))
    told = ("clickpost_status_code", "clickpost_status_description", "timestamp", "location", "remark", "status")
    return {
        "waybill": parcel.number,
        "courier_partner": int(parcel.carrier.code),
        "created_at": f"{parcel.created_at:%Y-%m-%dT%H:%M:%S}.000000Z",
        "updated_at": f"{changed_at:%Y-%m-%dT%H:%M:%S}.000000Z",
        "reference_number": parcel.order_id,
        "account_code": f"{parcel.carrier.name} Surface",
        "customer_feedback_present": False,
        **{name: status[name] for name in told},
    }


def _webhook(parcel: Parcel, step: Step) -> dict[str, Any]:
    stamp = f"{step.at.astimezone(INDIA):%Y-%m-%dT%H:%M:%S}Z"
    status = {**_status(step), "timestamp": stamp}
    now = _now(parcel.told(step.told_at)[::-1])
    latest = {**_status(now), "timestamp": f"{now.at.astimezone(INDIA):%Y-%m-%dT%H:%M:%S}Z"}
    expected = parcel.expected_at(step.told_at)
    ndr, ndr_said = REASONS[step.reason] if step.reason else (None, None)
    outer = ("location", "remark", "status", "timestamp", "clickpost_status_code", "clickpost_status_description")
    return {
        "waybill": parcel.number,
        "cp_id": int(parcel.carrier.code),
        "account_code": f"{parcel.carrier.name} Surface",
        **{name: status[name] for name in outer},
        "additional": {
            "latest_status": {**latest, "reference_number": parcel.order_id},
            "order_id": parcel.order_id,
            "is_rvp": False,
            "courier_partner_edd": expected.day.isoformat() if expected else None,
            "ndr_status_code": ndr,
            "ndr_status_description": ndr_said,
            "npr_status_code": None,
            "npr_status_description": None,
        },
    }
