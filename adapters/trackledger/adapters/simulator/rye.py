"""What does Rye's first generation answer and send? Events of orders, and the numbers of their parcels."""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from trackledger.adapters.providers.verifying import Request
from trackledger.adapters.simulator.plan import Order
from trackledger.adapters.simulator.wire import KEY, SECRET, Asked, Push, Reply, encoded, said, utc, uuid_of
from trackledger.domain.checkpoints import Tracker

DEVELOPER = "developer-of-the-simulator"

TYPE_NAMES: dict[str, str] = {
    "ORDER_SUBMISSION_STARTED": "OrderSubmissionStartedOrderEvent",
    "ORDER_SUBMISSION_SUCCEEDED": "OrderSubmissionSucceededOrderEvent",
    "PAYMENT_SUCCEEDED": "PaymentSucceededOrderEvent",
    "ORDER_PLACED": "OrderPlacedOrderEvent",
    "ORDER_FAILED": "OrderFailedOrderEvent",
    "TRACKING_OBTAINED": "TrackingObtainedOrderEvent",
}

STATUSES: dict[str, str] = {"ORDER_FAILED": "FAILED", "ORDER_PLACED": "SUCCEEDED", "TRACKING_OBTAINED": "SUCCEEDED"}
"""The last event of an order to its status; any other is being processed."""

TOKEN = base64.b64encode(f"{KEY}:".encode()).decode()


class Rye:
    """Rye for the developer with `KEY`: one GraphQL endpoint."""

    name = "rye"
    base = ""
    # A webhook that is not taken is not sent again.
    retries: Sequence[timedelta] = ()

    def __init__(self, orders: Sequence[Order]) -> None:
        self._orders = {order.id: order for order in orders}

    def trackers(self) -> Iterator[Tracker]:
        for order in self._orders.values():
            yield Tracker("rye", order.id)

    def answer(self, asked: Asked, at: datetime) -> Reply:
        if asked.headers.get("authorization") != f"Basic {TOKEN}":
            return said({"message": "Unauthorized"}, 401)
        if (asked.method, asked.path) != ("POST", "/v1/query"):
            return said({"message": "Not Found"}, 404)
        body = asked.json()
        id_ = str(body.get("variables", {}).get("id")) if "orderByID" in str(body.get("query")) else ""
        if not id_:
            error = {"message": "Cannot query this field", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}
            return said({"errors": [error], "data": None})
        order = self._orders.get(id_)
        return said({"data": {"orderByID": _order(order, at) if order else None}})

    def pushes(self) -> Iterator[Push]:
        for order in self._orders.values():
            for kind, at in order.events:
                body = encoded(_webhook(order, kind, at))
                digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
                headers = {"rye-hmac-signature-v1": base64.b64encode(digest).decode(), "rye-verification": DEVELOPER}
                # Heard a moment after it happened.
                yield Push(at + timedelta(seconds=2), order.id, Request(body, headers))


def _shipments(order: Order) -> list[dict[str, str | None]]:
    return [
        {"carrierName": parcel.carrier.name, "carrierTrackingNumber": parcel.number, "carrierTrackingUrl": None}
        for parcel in order.parcels
    ]


def _order(order: Order, at: datetime) -> dict[str, Any] | None:
    happened = [(kind, when) for kind, when in order.events if when <= at]
    if not happened:
        return None
    last = happened[-1][0]
    events = [
        {"__typename": TYPE_NAMES[kind], "id": uuid_of(order.id, kind, "event"), "createdAt": utc(when)}
        | ({"reason": "The marketplace did not take the order"} if kind == "ORDER_FAILED" else {})
        for kind, when in happened
    ]
    return {
        "id": order.id,
        "status": STATUSES.get(last, "PROCESSING"),
        "events": events,
        "shipments": _shipments(order) if last == "TRACKING_OBTAINED" else [],
    }


def _webhook(order: Order, kind: str, at: datetime) -> dict[str, Any]:
    data: dict[str, Any] = {"marketplace": "shopify"}
    if kind == "TRACKING_OBTAINED":
        data = {"shipments": _shipments(order)}
    if kind == "ORDER_FAILED":
        data["reason"] = "The marketplace did not take the order"
    return {
        "id": uuid_of(order.id, kind, "webhook"),
        "requestId": order.id,
        "developerId": DEVELOPER,
        "createdAt": f"{utc(at)[:19]}Z",
        "type": kind,
        "data": data,
    }
