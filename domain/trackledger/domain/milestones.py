"""Which words may a status use, in which order do they come, and which of them end a journey?"""

from enum import StrEnum


class Milestone(StrEnum):
    """The closed vocabulary of what can happen to a parcel, whoever reports it."""

    UNKNOWN = "unknown"
    INFO_RECEIVED = "info_received"
    PICKUP_SCHEDULED = "pickup_scheduled"
    OUT_FOR_PICKUP = "out_for_pickup"
    PICKUP_FAILED = "pickup_failed"
    PICKED_UP = "picked_up"
    IN_TRANSIT = "in_transit"
    ARRIVED = "arrived"
    CUSTOMS = "customs"
    ON_HOLD = "on_hold"
    DELAYED = "delayed"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERY_FAILED = "delivery_failed"
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    DELIVERED = "delivered"
    EXCEPTION = "exception"
    LOST = "lost"
    DAMAGED = "damaged"
    RETURN_REQUESTED = "return_requested"
    RETURNING = "returning"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Leg(StrEnum):
    """Which way the parcel travels: to the consignee, back to the sender, or as the other half of an exchange."""

    FORWARD = "forward"
    RETURN = "return"
    EXCHANGE = "exchange"


M = Milestone

RANK: dict[Milestone, int] = {
    milestone: rank
    for rank, milestone in enumerate(
        (
            M.UNKNOWN,
            M.INFO_RECEIVED,
            M.PICKUP_SCHEDULED,
            M.OUT_FOR_PICKUP,
            M.PICKUP_FAILED,
            M.PICKED_UP,
            M.IN_TRANSIT,
            M.CUSTOMS,
            M.ON_HOLD,
            M.DELAYED,
            M.EXCEPTION,
            M.ARRIVED,
            M.OUT_FOR_DELIVERY,
            M.DELIVERY_FAILED,
            M.AVAILABLE_FOR_PICKUP,
            M.RETURN_REQUESTED,
            M.RETURNING,
            M.EXPIRED,
            M.CANCELLED,
            M.DAMAGED,
            M.LOST,
            M.DELIVERED,
            M.RETURNED,
        )
    )
}
"""Tie-breaker between statements of one instant: the higher is taken to have happened later."""

FINAL = frozenset({M.DELIVERED, M.RETURNED, M.LOST, M.DAMAGED, M.CANCELLED, M.EXPIRED})
"""Milestones after which nothing is expected any more. None is irrevocable: see policies.status."""

BEFORE_PICKUP = frozenset({M.INFO_RECEIVED, M.PICKUP_SCHEDULED, M.OUT_FOR_PICKUP, M.PICKUP_FAILED})
"""The carrier does not have the parcel yet."""

MOVEMENT = frozenset(
    {
        M.PICKED_UP,
        M.IN_TRANSIT,
        M.ARRIVED,
        M.CUSTOMS,
        M.OUT_FOR_DELIVERY,
        M.DELIVERY_FAILED,
        M.AVAILABLE_FOR_PICKUP,
        M.DELIVERED,
        M.RETURNING,
        M.RETURNED,
    }
)
"""Somebody had the parcel in their hands."""


class NdrReason(StrEnum):
    """Why a delivery failed, in the closed vocabulary of non-delivery reports."""

    CUSTOMER_UNAVAILABLE = "customer_unavailable"
    CUSTOMER_UNREACHABLE = "customer_unreachable"
    BAD_ADDRESS = "bad_address"
    REFUSED = "refused"
    RESCHEDULED = "rescheduled"
    NOT_ATTEMPTED = "not_attempted"
    PAYMENT_ISSUE = "payment_issue"
    OUT_OF_DELIVERY_AREA = "out_of_delivery_area"
    ORDER_CANCELLED = "order_cancelled"
    SELF_COLLECT = "self_collect"
    SEIZED_BY_CUSTOMER = "seized_by_customer"
    OPEN_DELIVERY_REQUESTED = "open_delivery_requested"
    MISROUTED = "misrouted"
    OTP_ISSUE = "otp_issue"
    NOT_COLLECTED = "not_collected"
    CARRIER_ISSUE = "carrier_issue"
    OTHER = "other"
    UNSPECIFIED = "unspecified"


class Party(StrEnum):
    """Who has to act so that the next attempt succeeds."""

    CONSIGNEE = "consignee"
    CARRIER = "carrier"
    MERCHANT = "merchant"
    CUSTOMS = "customs"
    WEATHER = "weather"


PARTY: dict[NdrReason, Party] = {
    NdrReason.CUSTOMER_UNAVAILABLE: Party.CONSIGNEE,
    NdrReason.CUSTOMER_UNREACHABLE: Party.CONSIGNEE,
    NdrReason.BAD_ADDRESS: Party.CONSIGNEE,
    NdrReason.REFUSED: Party.MERCHANT,
    NdrReason.RESCHEDULED: Party.CARRIER,
    NdrReason.NOT_ATTEMPTED: Party.CARRIER,
    NdrReason.PAYMENT_ISSUE: Party.CONSIGNEE,
    NdrReason.OUT_OF_DELIVERY_AREA: Party.MERCHANT,
    NdrReason.ORDER_CANCELLED: Party.MERCHANT,
    NdrReason.SELF_COLLECT: Party.CONSIGNEE,
    NdrReason.SEIZED_BY_CUSTOMER: Party.CARRIER,
    NdrReason.OPEN_DELIVERY_REQUESTED: Party.MERCHANT,
    NdrReason.MISROUTED: Party.CARRIER,
    NdrReason.OTP_ISSUE: Party.CONSIGNEE,
    NdrReason.NOT_COLLECTED: Party.CONSIGNEE,
    NdrReason.CARRIER_ISSUE: Party.CARRIER,
    NdrReason.OTHER: Party.MERCHANT,
    NdrReason.UNSPECIFIED: Party.MERCHANT,
}
