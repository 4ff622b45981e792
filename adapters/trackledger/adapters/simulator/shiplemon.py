"""What does Shiplemon answer? It sends nothing."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from trackledger.adapters.simulator.plan import Parcel, Step
from trackledger.adapters.simulator.wire import KEY, Asked, Push, Reply, said, utc
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.milestones import Milestone, NdrReason

M = Milestone

WORDS: dict[Milestone, tuple[str, str | None, str]] = {
    M.INFO_RECEIVED: ("PRE_TRANSIT", None, "ΚΑΤΑΧΩΡΗΣΗ ΑΠΟΣΤΟΛΗΣ"),
    M.IN_TRANSIT: ("TRANSIT", None, "ΣΕ ΔΙΑΚΙΝΗΣΗ"),
    M.ARRIVED: ("TRANSIT", None, "ΕΚΦΟΡΤΩΣΗ ΣΤΟ ΚΑΤΑΣΤΗΜΑ"),
    M.CUSTOMS: ("TRANSIT", None, "ΣΤΟ ΤΕΛΩΝΕΙΟ"),
    M.OUT_FOR_DELIVERY: ("TRANSIT", "WITH_COURIER", "ΜΕ ΤΟΝ ΔΙΑΝΟΜΕΑ"),
    M.DELIVERY_FAILED: ("EXCEPTION", None, "ΑΠΟΥΣΙΑ ΠΑΡΑΛΗΠΤΗ"),
    M.AVAILABLE_FOR_PICKUP: ("TRANSIT", None, "ΣΕ ΑΝΑΜΟΝΗ ΠΑΡΑΛΑΒΗΣ ΣΤΟ ΚΑΤΑΣΤΗΜΑ"),
    M.DELIVERED: ("DELIVERED", None, "ΠΑΡΑΔΟΘΗΚΕ"),
    M.EXCEPTION: ("EXCEPTION", None, "ΚΑΤΕΣΤΡΑΜΜΕΝΗ ΕΤΙΚΕΤΑ"),
    M.RETURNING: ("EXCEPTION", None, "ΕΠΙΣΤΡΟΦΗ ΣΤΟΝ ΑΠΟΣΤΟΛΕΑ"),
    M.UNKNOWN: ("UNKNOWN", None, "ΑΓΝΩΣΤΗ ΚΑΤΑΣΤΑΣΗ"),
}
"""Milestone to status, exact status, and a courier's text."""

REASONS: dict[NdrReason, str] = {
    NdrReason.REFUSED: "ΑΡΝΗΣΗ ΠΑΡΑΛΑΒΗΣ",
    NdrReason.BAD_ADDRESS: "ΛΑΘΟΣ ΔΙΕΥΘΥΝΣΗ",
}
"""The reasons that a text tells; with any other, nobody was there."""


class Shiplemon:
    """Shiplemon for the merchant with `KEY`."""

    name = "shiplemon"
    base = ""
    retries: Sequence[timedelta] = ()

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        self._parcels = {parcel.reference: parcel for parcel in parcels}

    def trackers(self) -> Iterator[Tracker]:
        for parcel in self._parcels.values():
            yield Tracker("shiplemon", parcel.reference, parcel.carrier.name, parcel.number)

    def answer(self, asked: Asked, at: datetime) -> Reply:
        if asked.headers.get("x-api-key") != KEY:
            return _error(401, "UNAUTHORIZED", "The key is not valid")
        match asked.method, asked.path.strip("/").split("/"):
            case "GET", ["public", "v1", "shipments", id_, "tracking"]:
                about = _tracking
            case "GET", ["v1", "shipments", id_]:
                about = _shipment
            case _:
                return _error(404, "NOT_FOUND", "Route does not exist")
        parcel = self._parcels.get(id_)
        if parcel is None or parcel.created_at > at:
            return _error(404, "NOT_FOUND", "There is no such shipment")
        return said({"status": "ok", "data": about(parcel, at)})

    def pushes(self) -> Iterator[Push]:
        return iter(())


def _error(status: int, code: str, message: str) -> Reply:
    return said({"error": {"code": code, "message": message, "metadata": None}}, status)


def _row(step: Step, at: datetime) -> dict[str, Any]:
    status, exact, text = WORDS[step.milestone]
    if step.reason is not None:
        text = REASONS.get(step.reason, text)
    return {
        "status": status,
        "status_exact": exact,
        "status_date": utc(step.at),
        "status_details": f"{text} (ΔΙΟΡΘΩΣΗ)" if step.is_reworded(at) else text,
    }


def _history(parcel: Parcel, at: datetime) -> dict[str, Any]:
    told = parcel.told(at)[::-1]
    now = next((step.milestone for step in told if step.moves), M.INFO_RECEIVED)
    return {
        "driver": parcel.carrier.code,
        "tracking_status": WORDS[now][0],
        "tracking_history": [_row(step, at) for step in told],
        "tracking_ref": parcel.number,
        "tracking_url": f"https://couriers.example/{parcel.carrier.code}/{parcel.number}",
    }


def _service(parcel: Parcel, at: datetime) -> dict[str, Any]:
    expected = parcel.expected_at(at)
    # Counted from the day on which the shipment was made.
    days = (expected.day - parcel.created_at.date()).days if expected else None
    return {"code": f"{parcel.carrier.code}_door", "name": "Door to door", "estimated_delivery_in_days": days}


def _carrier(parcel: Parcel) -> dict[str, str]:
    return {"code": parcel.carrier.code, "name": parcel.carrier.name, "image": "https://couriers.example/logo.svg"}


def _tracking(parcel: Parcel, at: datetime) -> dict[str, Any]:
    return {
        "partner_id": "simulated-shop",
        "carrier": _carrier(parcel),
        "service": _service(parcel, at),
        **_history(parcel, at),
        "country_from": parcel.lane.country_from,
        "country_to": parcel.lane.country_to,
    }


def _shipment(parcel: Parcel, at: datetime) -> dict[str, Any]:
    vouchers = [parcel.number, *(f"{parcel.number}-{piece}" for piece in range(2, parcel.pieces + 1))]
    return {
        "id": parcel.reference,
        "state": "created",
        **_history(parcel, at),
        "related_order_id": parcel.order_id,
        "child_vouchers": [{"tracking_ref": number, "tracking_url": "", "label_url": ""} for number in vouchers[1:]],
        "rate": {"provider": _carrier(parcel), "service": _service(parcel, at), "currency": "EUR"},
        "created_at": utc(parcel.created_at),
        "updated_at": utc(parcel.created_at),
    }
