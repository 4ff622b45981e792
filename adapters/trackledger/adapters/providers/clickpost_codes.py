"""What do ClickPost's numbers mean?

Source of the numbers: docs.clickpost.ai, "Tracking status codes", "NDR action update API" and "Error codes", and for
the older ones ClickPost's public documentation of 2016 to 2020. ClickPost itself says to go by the numbers: the texts
beside them vary between carriers, and one and the same text stands for different codes.
"""

from trackledger.domain.milestones import Leg, Milestone, NdrReason

M, N = Milestone, NdrReason

FAILED_DELIVERY = 9
FAILED_PICKUP = 3
RETURN_ORDER = 101

MAX_WAYBILL = 100
"""Characters of the longest waybill that is believed."""

MAX_BATCH = 5
"""Waybills in one call, as ClickPost documents; all of one carrier."""

MILESTONES: dict[int, Milestone] = {
    1: M.INFO_RECEIVED,  # OrderPlaced
    2: M.PICKUP_SCHEDULED,  # PickupPending
    3: M.PICKUP_FAILED,  # PickupFailed
    4: M.PICKED_UP,  # PickedUp
    5: M.IN_TRANSIT,  # InTransit
    6: M.OUT_FOR_DELIVERY,  # OutForDelivery
    7: M.EXCEPTION,  # NotServiceable
    8: M.DELIVERED,  # Delivered
    9: M.DELIVERY_FAILED,  # FailedDelivery
    10: M.CANCELLED,  # Cancelled
    11: M.RETURN_REQUESTED,  # RTO-Requested
    12: M.RETURN_REQUESTED,  # RTO-Marked: not yet moving, ClickPost's own "RTO in transit" event leaves it out
    13: M.RETURNING,  # RTO-OutForDelivery, which is out for delivery to the sender
    14: M.RETURNED,  # RTO-Delivered
    15: M.RETURNING,  # RTO-Failed: the sender did not take it, it is still on its way back
    16: M.LOST,  # Lost
    17: M.DAMAGED,  # Damaged
    18: M.DELAYED,  # ShipmentDelayed
    19: M.EXCEPTION,  # ContactCustomerCare
    20: M.ON_HOLD,  # ShipmentHeld
    21: M.RETURNING,  # RTO-InTransit
    23: M.EXPIRED,  # Expired, set by ClickPost on request
    25: M.OUT_FOR_PICKUP,  # OutForPickup
    26: M.RETURNING,  # RTO-ContactCustomerCare
    27: M.RETURNING,  # RTO-ShipmentDelay
    28: M.INFO_RECEIVED,  # AwbRegistered
    30: M.PICKED_UP,  # Exchange-Pickup
    31: M.IN_TRANSIT,  # Exchange-In-Transit
    32: M.DELIVERED,  # Exchange-Delivered
    1004: M.ARRIVED,  # DestinationHubIn
    1005: M.IN_TRANSIT,  # OriginCityIn
    1006: M.IN_TRANSIT,  # OriginCityOut
}
"""`clickpost_status_code` to milestone. Never map a bucket: *Cancelled* is in the bucket "Order placed", and return
orders are sent with the bucket of *Lost*. Some of the numbers between 22 and 52 that are missing here are in use, but
what they mean is unpublished."""

LEGS: dict[int, Leg] = {
    11: Leg.RETURN,
    12: Leg.RETURN,
    13: Leg.RETURN,
    14: Leg.RETURN,
    15: Leg.RETURN,
    21: Leg.RETURN,
    26: Leg.RETURN,
    27: Leg.RETURN,
    30: Leg.EXCHANGE,
    31: Leg.EXCHANGE,
    32: Leg.EXCHANGE,
}
"""Codes that name the way the parcel travels; every other one is said of either leg and read as forward."""

BY_TEXT: dict[str, tuple[Milestone, Leg]] = {
    "lastmileprepickup": (M.IN_TRANSIT, Leg.FORWARD),
    "aged": (M.EXPIRED, Leg.FORWARD),
    "readytoship": (M.INFO_RECEIVED, Leg.FORWARD),
    "rtohandover": (M.RETURNING, Leg.RETURN),
    "rtodeliveredreschedulerequested": (M.RETURNED, Leg.RETURN),
    "riderallocationawaited": (M.PICKUP_SCHEDULED, Leg.FORWARD),
    "riderallocationfailed": (M.PICKUP_SCHEDULED, Leg.FORWARD),
    "riderallocated": (M.PICKUP_SCHEDULED, Leg.FORWARD),
    "reachedpickuplocation": (M.OUT_FOR_PICKUP, Leg.FORWARD),
    "reacheddroplocation": (M.OUT_FOR_DELIVERY, Leg.FORWARD),
    "reshippedonnewwaybill": (M.EXCEPTION, Leg.FORWARD),
    "partialdelivered": (M.IN_TRANSIT, Leg.FORWARD),
    "partialcancelled": (M.EXCEPTION, Leg.FORWARD),
    "partialrto": (M.RETURNING, Leg.RETURN),
    "partialrtointransit": (M.RETURNING, Leg.RETURN),
    "partialrtooutfordelivery": (M.RETURNING, Leg.RETURN),
    "partialrtodelivered": (M.RETURNING, Leg.RETURN),
}
"""For unlisted codes: labels whose numbers are unpublished, without blanks, hyphens, underscores and case."""

NDR_REASONS: dict[int, NdrReason] = {
    0: N.OTHER,  # Unknown Exception
    1: N.CUSTOMER_UNAVAILABLE,
    2: N.REFUSED,
    3: N.RESCHEDULED,
    4: N.NOT_ATTEMPTED,
    5: N.CUSTOMER_UNREACHABLE,
    6: N.BAD_ADDRESS,
    7: N.PAYMENT_ISSUE,
    8: N.OUT_OF_DELIVERY_AREA,
    9: N.ORDER_CANCELLED,
    10: N.SELF_COLLECT,
    11: N.SEIZED_BY_CUSTOMER,
    12: N.OPEN_DELIVERY_REQUESTED,
    13: N.MISROUTED,
    14: N.REFUSED,  # cancelled at the door by one-time password
}
"""NDR bucket to reason. More labels exist (one-time password, appointment, weather); their numbers are unpublished."""

CARRIERS: dict[int, str] = {
    4: "Delhivery",
    5: "Blue Dart",
    6: "Xpressbees",
    9: "Shadowfax",
    55: "Ekart",
    113: "Delhivery",
    201: "Self",
    212: "Amazon ATS",
    296: "Naqel",
    325: "SkyExpress",
}
"""`cp_id` to carrier, the few that are public. Delhivery's 113 is its returns service."""

ERRORS: dict[int, str] = {
    301: "the key or user name is wrong",
    302: "the cp_id is wrong",
    306: "the account has not subscribed to this service",
    316: "the account has no such carrier account",
    320: "the account has not subscribed to this service",
    322: "the carrier does not answer",
    326: "the tracking id is wrong",
    327: "the webhook is not registered",
    328: "the posted data are wrong",
    329: "the carrier took too long",
    351: "the carrier account is unknown",
    352: "the carrier account is ambiguous",
    353: "the carrier account is inactive",
    354: "the carrier's answer could not be mapped",
    400: "the request is wrong",
    401: "the request is not authorised",
    403: "the request is forbidden",
    404: "there is nothing at this address",
    405: "the method is not allowed",
    406: "the request is not acceptable",
    420: "the queued order failed",
    422: "the request cannot be processed",
    429: "too many requests",
    500: "ClickPost failed, or the key is wrong",
    503: "ClickPost is not available",
    504: "ClickPost took too long",
}
"""`meta.status` of an answer that failed; most come with HTTP 200."""

NOT_FOUND = frozenset({321, 330})
"""`meta.status` of "no such waybill", which a new parcel has until its carrier is first asked."""

OTHER_SUCCESSES: dict[int, str] = {
    102: "an order was accepted",
    202: "an order was queued",
    303: "the waybill was registered already",
    305: "the webhook was registered already",
    323: "the order was placed already",
}
"""`meta.status` of calls other than tracking that came out well, or were done before."""
