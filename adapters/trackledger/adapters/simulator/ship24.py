"""What does Ship24 answer and send? Answers hold whole histories, a webhook one event."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from trackledger.adapters.providers.verifying import Request
from trackledger.adapters.simulator.plan import Parcel, Step
from trackledger.adapters.simulator.wire import KEY, SECRET, Asked, Push, Reply, encoded, local, said, utc, uuid_of
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.milestones import Milestone, NdrReason

M = Milestone

WORDS: dict[Milestone, tuple[str | None, str, str, str]] = {
    M.INFO_RECEIVED: ("data_order_created", "data", "info_received", "The sender has announced the parcel"),
    M.PICKED_UP: ("transit_handover", "transit", "in_transit", "The parcel was handed over"),
    M.IN_TRANSIT: (None, "transit", "in_transit", "The parcel is being sorted"),
    M.ARRIVED: ("destination_arrival", "destination", "in_transit", "Reached the delivery base"),
    M.CUSTOMS: ("customs_received", "customs", "in_transit", "Presented to customs"),
    M.ON_HOLD: ("customs_exception", "customs", "exception", "Customs want further documents"),
    M.OUT_FOR_DELIVERY: ("delivery_out_for_delivery", "delivery", "out_for_delivery", "Loaded into the delivery van"),
    M.DELIVERY_FAILED: ("delivery_attempted", "delivery", "failed_attempt", "Delivery tried in vain"),
    M.AVAILABLE_FOR_PICKUP: (
        "delivery_available_for_pickup",
        "delivery",
        "available_for_pickup",
        "Waiting at the parcel shop",
    ),
    M.DELIVERED: ("delivery_delivered", "delivery", "delivered", "The parcel was delivered"),
    M.EXCEPTION: ("delivery_exception", "delivery", "exception", "Label torn, needs a new one"),
    M.LOST: ("exception_lost", "exception", "exception", "Cannot be found"),
    M.RETURNING: ("exception_return", "exception", "exception", "Going back to where it came from"),
    M.CANCELLED: ("data_order_cancelled", "data", "info_received", "The announcement was withdrawn"),
}
"""Milestone to code, category, state of the parcel after it, and a courier's text."""

REASONS: dict[NdrReason, str] = {
    NdrReason.CUSTOMER_UNAVAILABLE: "Delivery tried in vain, nobody at home",
    NdrReason.BAD_ADDRESS: "Delivery tried in vain, address incomplete",
    NdrReason.RESCHEDULED: "Delivery tried in vain, postponed by the recipient",
    NdrReason.PAYMENT_ISSUE: "Delivery tried in vain, payment was not possible",
    NdrReason.CUSTOMER_UNREACHABLE: "Delivery tried in vain, recipient could not be reached by phone",
    NdrReason.REFUSED: "Not accepted by the recipient",
}

REFUSED = "delivery_refused"


class Ship24:
    """Ship24 for one account with `KEY`. A tracker asked for by its number is the one that there is."""

    name = "ship24"
    base = "/public/v1"
    # Twenty attempts, from twelve minutes to twelve hours apart, for six days.
    retries: Sequence[timedelta] = tuple(timedelta(minutes=min(720, 12 * 2**n)) for n in range(19))

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        self._parcels = {parcel.reference: parcel for parcel in parcels}
        self._by_number = {parcel.number.upper(): parcel for parcel in parcels}
        self._client_ids: dict[str, str] = {}

    def trackers(self) -> Iterator[Tracker]:
        for parcel in self._parcels.values():
            yield Tracker("ship24", parcel.reference, parcel.carrier.code, parcel.number)

    def answer(self, asked: Asked, at: datetime) -> Reply:
        key = asked.headers.get("authorization", "")
        if not key:
            return _error(400, "auth_missing_header", "The authorization header is missing")
        if key != f"Bearer {KEY}":
            return _error(401, "auth_invalid_api_key", "This key is not valid")
        match asked.method, asked.path.split("/")[3:]:
            case "POST", ["trackers"]:
                return self._create(asked.json())
            case "POST", ["trackers", "bulk"]:
                return self._create_all(asked.json())
            case "POST", ["trackers", id_, "webhook-events", "resend"] if id_ in self._parcels:
                resent = sum(1 for step in self._parcels[id_].steps if step.is_told(at))
                return said({"data": {"summary": {"totalResent": resent}}}, 201)
            case "GET", ["trackers", "search", number, "results"] if number.upper() in self._by_number:
                return said({"data": {"trackings": [self._tracking(self._by_number[number.upper()], at)]}})
            case "GET", ["trackers", id_, "results"] if id_ in self._parcels:
                return said({"data": {"trackings": [self._tracking(self._parcels[id_], at)]}})
            case _:
                return _error(404, "tracker_not_found", "There is no such tracker")

    def _create(self, wanted: Any) -> Reply:
        parcel = self._by_number.get(str(wanted.get("trackingNumber")).upper())
        if parcel is None:
            return _error(400, "validation_error", "The trackingNumber provided seems invalid")
        self._client_ids[parcel.reference] = str(wanted.get("clientTrackerId", ""))
        return said({"data": {"tracker": self._tracker(parcel)}}, 201)

    def _create_all(self, wanted: Any) -> Reply:
        items = []
        for one in wanted if isinstance(wanted, list) else ():
            reply = self._create(one)
            if reply.status == 201:
                parcel = self._by_number[str(one.get("trackingNumber")).upper()]
                items.append({"itemStatus": "existing", "inputData": one, "tracker": self._tracker(parcel)})
            else:
                error = {"code": "validation_error", "message": "The trackingNumber provided seems invalid"}
                items.append({"itemStatus": "error", "inputData": one, "errors": [error]})
        failed = sum(1 for item in items if item["itemStatus"] == "error")
        summary = {"totalInputs": len(items), "totalCreated": 0, "totalExisting": len(items) - failed}
        status = "partial" if failed else "success"
        value = {"status": status, "summary": {**summary, "totalErrors": failed}, "data": items, "error": None}
        return said(value, 207 if failed else 201)

    def pushes(self) -> Iterator[Push]:
        for parcel in self._parcels.values():
            for step in parcel.steps:
                for at in filter(None, (step.told_at, step.reworded_at)):
                    body = encoded({"trackings": [self._webhook(parcel, step, at)]})
                    yield Push(at, parcel.reference, Request(body, {"authorization": f"Bearer {SECRET}"}))

    def _tracking(self, parcel: Parcel, at: datetime) -> dict[str, Any]:
        tracker = self._tracker(parcel) | {"isTracked": True, "courierCode": [parcel.carrier.code]}
        events = [_event(parcel, step, at) for step in reversed(parcel.told(at))]
        return {
            "tracker": tracker,
            "shipment": _shipment(parcel, at),
            "events": events,
            "statistics": _first(parcel, at),
        }

    def _webhook(self, parcel: Parcel, step: Step, at: datetime) -> dict[str, Any]:
        event = _event(parcel, step, at)
        legacy = {"datetime": f"{event['occurrenceDatetime'][:19]}.000Z", "utcOffset": None, "hasNoTime": False}
        return {
            "metadata": {
                "generatedAt": utc(at),
                "messageId": uuid_of(parcel.reference, step.no, at),
                "topic": "tracking/events",
            },
            "tracker": self._tracker(parcel),
            "shipment": _shipment(parcel, at),
            "events": [event | legacy],
            "statistics": _first(parcel, at),
        }

    def _tracker(self, parcel: Parcel) -> dict[str, Any]:
        return {
            "trackerId": parcel.reference,
            "trackingNumber": parcel.number,
            "shipmentReference": parcel.order_id,
            "clientTrackerId": self._client_ids.get(parcel.reference) or None,
            "isSubscribed": True,
            "createdAt": utc(parcel.created_at),
        }


def _error(status: int, code: str, message: str) -> Reply:
    return said({"errors": [{"code": code, "message": message}], "data": None}, status)


def _event(parcel: Parcel, step: Step, at: datetime) -> dict[str, Any]:
    code, category, state, text = WORDS[step.milestone]
    if step.reason is not None:
        text = REASONS[step.reason]
        code = REFUSED if step.reason is NdrReason.REFUSED else code
    return {
        "eventId": uuid_of(parcel.reference, step.no),
        "trackingNumber": parcel.number,
        "eventTrackingNumber": parcel.number,
        "status": f"{text} (corrected)" if step.is_reworded(at) else text,
        "occurrenceDatetime": local(step.at, parcel.lane),
        "order": None,
        "location": step.place or None,
        "sourceCode": f"{parcel.carrier.code}-tracking",
        "courierCode": parcel.carrier.code,
        "statusCode": code,
        "statusCategory": category,
        "statusMilestone": state,
    }


def _shipment(parcel: Parcel, at: datetime) -> dict[str, Any]:
    moved = [step for step in parcel.told(at) if step.moves]
    code, category, state, _ = WORDS[moved[-1].milestone] if moved else (None, None, "pending", "")
    expected = parcel.expected_at(at)
    return {
        "shipmentId": uuid_of(parcel.reference),
        "statusCode": code,
        "statusCategory": category,
        "statusMilestone": state,
        "originCountryCode": parcel.lane.country_from,
        "destinationCountryCode": parcel.lane.country_to,
        "delivery": {
            "estimatedDeliveryDate": f"{expected.day.isoformat()}T00:00:00" if expected else None,
            "courierEstimatedDeliveryDate": None,
            "service": None,
            "signedBy": None,
        },
        "trackingNumbers": [{"tn": parcel.number}],
        "recipient": None,
    }


def _first(parcel: Parcel, at: datetime) -> dict[str, Any]:
    """When each state was first reached."""
    names = ("infoReceived", "inTransit", "outForDelivery", "failedAttempt", "availableForPickup", "exception")
    first: dict[str, str | None] = {f"{name}Datetime": None for name in (*names, "delivered")}
    for step in reversed(parcel.told(at)):
        head, *others = WORDS[step.milestone][2].split("_")
        first[f"{head}{''.join(map(str.capitalize, others))}Datetime"] = local(step.at, parcel.lane)
    return {"timestamps": first}
