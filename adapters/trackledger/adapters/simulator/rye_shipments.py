"""What does Rye's second generation answer and send? Shipments, and hints to ask about them."""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from trackledger.adapters.providers.verifying import Request
from trackledger.adapters.simulator.plan import Parcel, Step
from trackledger.adapters.simulator.wire import KEY, SECRET, Asked, Push, Reply, encoded, local, said, utc, uuid_of
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.milestones import Milestone

M = Milestone

STATUSES: dict[Milestone, tuple[str, str]] = {
    M.IN_TRANSIT: ("shipped", "Moving through the network"),
    M.OUT_FOR_DELIVERY: ("out_for_delivery", "On the truck"),
    M.DELAYED: ("delayed", "Held up by a storm"),
    M.DELIVERED: ("delivered", "At the door"),
}
"""Milestone to status and description. What was only ordered has no event."""

KEY_2 = f"RYE/staging-{KEY}"


class RyeShipments:
    """Rye's REST API for the account with `KEY_2`."""

    name = "rye"
    base = ""
    # Nothing is documented.
    retries: Sequence[timedelta] = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        self._parcels = {parcel.reference: parcel for parcel in parcels}

    def trackers(self) -> Iterator[Tracker]:
        for parcel in self._parcels.values():
            yield Tracker("rye", parcel.reference, parcel.carrier.name, parcel.number)

    def answer(self, asked: Asked, at: datetime) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {KEY_2}":
            return said({"name": "UnauthorizedError", "message": "Unauthorized"}, 401)
        match asked.method, asked.path.split("/")[3:]:
            case "GET", ["shipments"]:
                return self._listed(asked, at)
            case "GET", ["shipments", id_] if id_ in self._parcels and self._parcels[id_].told(at):
                return said(_shipment(self._parcels[id_], at))
            case _:
                return said({"name": "NotFoundError", "message": "Not found"}, 404)

    def _listed(self, asked: Asked, at: datetime) -> Reply:
        there = [parcel for parcel in self._parcels.values() if parcel.told(at)]
        start = int(asked.params.get("after") or 0)
        end = start + min(100, int(asked.params.get("limit") or 100))
        more = end < len(there)
        about = {"hasNextPage": more, "endCursor": str(end) if more else None, "hasPreviousPage": start > 0}
        return said({"data": [_shipment(parcel, at) for parcel in there[start:end]], "pageInfo": about})

    def pushes(self) -> Iterator[Push]:
        for parcel in self._parcels.values():
            for nth, at in enumerate(parcel.changes()):
                event = {
                    "id": f"evt_{uuid_of(parcel.reference, nth)}",
                    "object": "event",
                    "type": "shipment.updated" if nth else "shipment.created",
                    "createdAt": utc(at),
                    "source": {"type": "shipment", "id": parcel.reference},
                }
                body = encoded(event)
                signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
                headers = {"x-rye-signature": f"v0={signature}", "x-rye-event-id": str(event["id"])}
                yield Push(at, parcel.reference, Request(body, headers))


def _scan(parcel: Parcel, step: Step) -> dict[str, Any]:
    status, description = STATUSES[step.milestone]
    return {
        "status": status,
        "description": description,
        "location": {"city": step.place or None, "province": None, "country": parcel.lane.country_to},
        "timestamp": {"local": local(step.at, parcel.lane), "utc": f"{step.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"},
    }


def _first(steps: Sequence[Step], milestone: Milestone) -> str | None:
    return next((utc(step.at) for step in steps if step.milestone is milestone), None)


def _shipment(parcel: Parcel, at: datetime) -> dict[str, Any]:
    told = parcel.told(at)
    heard = [step for step in told if step.milestone in STATUSES]
    expected = parcel.expected_at(at)
    ordered = {
        "id": parcel.reference,
        "checkoutIntentId": parcel.order_id,
        "marketplaceOrderId": parcel.order_id,
        # The order is as old as the first that is told of it.
        "createdAt": utc(parcel.steps[0].at),
        "updatedAt": utc(max(change for change in parcel.changes() if change <= at)),
        "status": "ordered",
    }
    if not heard:
        return ordered
    now = next(step for step in reversed(heard) if step.moves)
    shipment = ordered | {
        "externalId": parcel.number,
        "shippedAt": _first(heard, M.IN_TRANSIT),
        "status": STATUSES[now.milestone][0],
        "tracking": {
            "number": parcel.number,
            "carrierName": parcel.carrier.name,
            "url": None,
            "deliveryDate": {"estimated": f"{expected.day.isoformat()}T00:00:00Z"} if expected else None,
        },
        "trackingEvents": [_scan(parcel, step) for step in heard],
    }
    return shipment | ({"deliveredAt": _first(heard, M.DELIVERED)} if now.milestone is M.DELIVERED else {})
