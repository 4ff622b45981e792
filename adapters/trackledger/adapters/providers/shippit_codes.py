"""What do Shippit's statuses mean, and how often does one ask about them?

Source of the statuses: developer.shippit.com, "Webhook schema" and "Tracking schema", and support.shippit.com, "Order
status definitions"; where those name a status and do not explain it, the name is all we go by.
"""

import re
from datetime import timedelta
from functools import lru_cache

from trackledger.adapters.providers.base import Cadence
from trackledger.domain.milestones import FINAL, Leg, Milestone, NdrReason

M = Milestone

MILESTONES: dict[str, Milestone] = {
    "order_placed": M.INFO_RECEIVED,  # in histories only
    "processing": M.INFO_RECEIVED,  # moved about in Shippit's own lists; may mean stuck there
    "despatch_in_progress": M.INFO_RECEIVED,  # packed, carrier chosen; in histories only
    "awaiting_drop_off": M.INFO_RECEIVED,  # the merchant brings it to the carrier
    "ready_for_pickup": M.PICKUP_SCHEDULED,  # the carrier collects it from the MERCHANT; no consignee can
    "pickup_failed": M.PICKUP_FAILED,
    "invalidated": M.PICKUP_FAILED,  # booked for the same day, and no driver was free
    "cancelled": M.CANCELLED,
    "in_transit": M.IN_TRANSIT,  # collected, on the way to or between depots
    "untrackable": M.UNKNOWN,  # a label only, or click and collect: nothing will be told, also not that it moved
    "with_customs": M.CUSTOMS,
    "customs_awaiting_payment": M.CUSTOMS,  # the consignee has to pay duties
    "customs_on_hold": M.ON_HOLD,
    "customs_failed": M.EXCEPTION,  # refused entry
    "with_driver": M.OUT_FOR_DELIVERY,
    "delivery_attempted": M.DELIVERY_FAILED,  # nobody there, card left, another attempt is possible
    "insufficient_address": M.DELIVERY_FAILED,  # the driver does not find it
    "delivery_failed": M.DELIVERY_FAILED,
    "awaiting_collection": M.AVAILABLE_FOR_PICKUP,  # at a collection point, where the CONSIGNEE gets it
    "parcel_completed": M.IN_TRANSIT,  # one parcel of an order of several arrived, and no field says which
    "partially_completed": M.IN_TRANSIT,  # the same
    "completed": M.DELIVERED,
    "lost": M.LOST,
    "damaged": M.DAMAGED,
    "returned_to_sender": M.RETURNED,
    "return_requested": M.INFO_RECEIVED,  # of the consignee, once a delivery is over: it takes nothing back
    "return_booked": M.PICKUP_SCHEDULED,
    "return_booking_failed": M.EXCEPTION,
}
"""Slug to milestone."""

LEGS: dict[str, Leg] = {
    "returned_to_sender": Leg.RETURN,
    "return_requested": Leg.RETURN,
    "return_booked": Leg.RETURN,
    "return_booking_failed": Leg.RETURN,
}
"""Slug to leg; all others are forward."""

NDR_REASONS: dict[str, NdrReason] = {"insufficient_address": NdrReason.BAD_ADDRESS}
"""The reasons that a slug names itself. Shippit has no field for one."""

ALIASES: dict[str, str] = {
    "ready_for_pick_up": "ready_for_pickup",  # polls
    "booked_for_delivery": "ready_for_pickup",
    "awaiting_pickup_dropoff": "ready_for_pickup",
    "packing_order": "despatch_in_progress",
    "in_progress": "despatch_in_progress",
    "customs_awaiting_paym": "customs_awaiting_payment",  # cut off like this in the documented list
    "await_collection": "awaiting_collection",
    "delivered": "completed",
}
"""Polls and pages for people spell some statuses otherwise than webhooks."""

_BETWEEN_WORDS = re.compile(r"[\W_]+")


@lru_cache(maxsize=1024)
def slug(said: str) -> str:
    """The one spelling of a status: `Ready For Pick Up` and `ready_for_pickup` are the same."""
    spelled = _BETWEEN_WORDS.sub("_", said.lower()).strip("_")
    return ALIASES.get(spelled, spelled) or said


_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)

# What is at hand before the parcel is, when it is near its end, and in between.
_EARLY = (M.UNKNOWN, M.INFO_RECEIVED, M.PICKUP_SCHEDULED, M.OUT_FOR_PICKUP, M.PICKUP_FAILED)
_LATE = (M.OUT_FOR_DELIVERY, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP)
_BETWEEN = tuple(milestone for milestone in M if milestone not in {*_EARLY, *_LATE, *FINAL})

_WAITS: dict[str, tuple[timedelta, timedelta, timedelta]] = {
    "express": (3 * _HOUR, 2 * _HOUR, 30 * _MINUTE),  # the next business day
    "priority": (30 * _MINUTE, 15 * _MINUTE, 10 * _MINUTE),  # the same day
    "on_demand": (10 * _MINUTE, 5 * _MINUTE, 3 * _MINUTE),  # within about three hours
}
"""Service level to the wait early, between and late; `standard` and any other level wait as long as an unknown one."""

CADENCE = Cadence(
    usual=4 * _HOUR,
    by_milestone=dict.fromkeys(_EARLY, 6 * _HOUR) | dict.fromkeys(_LATE, _HOUR) | dict.fromkeys(FINAL, 24 * _HOUR),
    by_service={
        (service, milestone): wait
        for service, waits in _WAITS.items()
        for milestones, wait in zip((_EARLY, _BETWEEN, _LATE), waits, strict=True)
        for milestone in milestones
    },
)
"""Shippit asks for "every few hours", and more often for the faster services; the numbers are ours. No message names
the service level: it is what the host registered the shipment with."""
