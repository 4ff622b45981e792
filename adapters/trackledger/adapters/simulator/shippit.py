"""What does Shippit answer and send? Histories, with local digits in answers and instants in webhooks."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from trackledger.adapters.providers.verifying import Request
from trackledger.adapters.simulator.plan import Parcel, Step
from trackledger.adapters.simulator.wire import KEY, SECRET, Asked, Push, Reply, encoded, said, utc
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.milestones import Milestone, NdrReason

M = Milestone

SLUGS: dict[Milestone, str] = {
    M.INFO_RECEIVED: "despatch_in_progress",
    M.PICKUP_SCHEDULED: "ready_for_pickup",
    M.PICKUP_FAILED: "pickup_failed",
    M.IN_TRANSIT: "in_transit",
    M.CUSTOMS: "with_customs",
    M.ON_HOLD: "customs_on_hold",
    M.OUT_FOR_DELIVERY: "with_driver",
    M.DELIVERY_FAILED: "delivery_attempted",
    M.AVAILABLE_FOR_PICKUP: "awaiting_collection",
    M.DELIVERED: "completed",
    M.LOST: "lost",
    M.DAMAGED: "damaged",
    M.RETURNED: "returned_to_sender",
    M.CANCELLED: "cancelled",
    M.UNKNOWN: "driver_swapped",
}
"""Milestone to status; the last is one that nobody documents."""

SYDNEY = ZoneInfo("Australia/Sydney")


class Shippit:
    """Shippit for the store with `KEY`, all times of whose answers are Sydney's."""

    name = "shippit"
    base = "/api/3"
    # Nothing is documented; what is lost is repaired by the next snapshot.
    retries: Sequence[timedelta] = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=8))

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        self._parcels = {parcel.reference: parcel for parcel in parcels}

    def trackers(self) -> Iterator[Tracker]:
        for parcel in self._parcels.values():
            yield Tracker("shippit", parcel.reference, tracking_number=parcel.reference)

    def answer(self, asked: Asked, at: datetime) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return said({"error": "unauthorized", "error_description": "Please check your API key"}, 401)
        match asked.method, asked.path.split("/")[3:]:
            case "GET", ["orders", number, "tracking"]:
                parcel = self._parcels.get(number)
                return _unknown() if parcel is None or parcel.created_at > at else said(_history(parcel, at))
            case _:
                return said({"error": "not_found", "error_description": "There is no such page"}, 404)

    def pushes(self) -> Iterator[Push]:
        for parcel in self._parcels.values():
            for at in sorted({step.told_at for step in parcel.steps}):
                body = encoded(_snapshot(parcel, at))
                yield Push(at, parcel.reference, Request(body, {"x-shippit-webhook-token": SECRET}))


def _unknown() -> Reply:
    error = {"order_id": ["There is no order with this tracking number."]}
    return said({"error": error, "error_description": "The request does not fit.", "success": False}, 400)


def slug(step: Step) -> str:
    """The status of a step; of the reasons for a failure Shippit knows one."""
    return "insufficient_address" if step.reason is NdrReason.BAD_ADDRESS else SLUGS[step.milestone]


def _history(parcel: Parcel, at: datetime) -> dict[str, Any]:
    track = [
        {
            "status": slug(step).replace("ready_for_pickup", "ready_for_pick_up").replace("_", " ").title(),
            "date": f"{step.at.astimezone(SYDNEY):%Y-%m-%d}",
            "timestamp": f"{step.at.astimezone(SYDNEY):%H:%M:%S}",
            "status_owner": parcel.carrier.name,
        }
        for step in reversed(parcel.told(at))
    ]
    return {
        "response": {
            "tracking_number": parcel.reference,
            "tracking_url": f"https://track.shippit.com/{parcel.reference.lower()}",
            "success": True,
            "error": None,
            "track": track,
        }
    }


def _snapshot(parcel: Parcel, at: datetime) -> dict[str, Any]:
    told = parcel.told(at)[::-1]
    now = next((step for step in told if step.moves), told[0])
    return {
        "tracking_number": parcel.reference,
        "tracking_url": f"https://track.shippit.com/{parcel.reference.lower()}",
        "current_state": slug(now),
        "status_history": [{"status": slug(step), "time": utc(step.at)} for step in told],
        "expected_delivery_date": None,
        "courier_name": parcel.carrier.name,
        "courier_job_id": parcel.number,
        "retailer_order_number": parcel.order_id,
        "retailer_reference": None,
        "source_platform": "",
        "merchant_url": "",
        "products": [{"quantity": 1, "sku": "SIM-1", "title": "A thing of the simulator", "product_line_id": None}],
    }
