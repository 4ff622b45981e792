"""What do AfterShip's words mean?

Source: www.aftership.com/docs/tracking, "Delivery statuses", "Delivery sub-statuses" and "Events"; the sub-statuses
after Exception_015 from tracking-helpcenter.aftership.com. The nine tags are few and stable, the sub-statuses say more
and grow in number: one that is not listed here means what its tag means.
"""

from trackledger.domain.milestones import Milestone, NdrReason

M, N = Milestone, NdrReason

TAGS: dict[str, Milestone] = {
    "Pending": M.UNKNOWN,  # registered, nothing known yet
    "InfoReceived": M.INFO_RECEIVED,
    "InTransit": M.IN_TRANSIT,
    "OutForDelivery": M.OUT_FOR_DELIVERY,
    "AttemptFail": M.DELIVERY_FAILED,
    "Delivered": M.DELIVERED,
    "AvailableForPickup": M.AVAILABLE_FOR_PICKUP,
    "Exception": M.EXCEPTION,
    "Expired": M.EXPIRED,
}
"""`tag` to milestone."""

SUBTAGS: dict[str, Milestone] = {
    "InTransit_002": M.PICKED_UP,  # acceptance scan
    "InTransit_003": M.ARRIVED,  # arrival scan
    "InTransit_004": M.ARRIVED,  # arrived in the destination country
    "InTransit_005": M.CUSTOMS,  # customs completed
    "InTransit_006": M.CUSTOMS,  # customs started
    "InTransit_007": M.IN_TRANSIT,  # departure scan
    "InTransit_008": M.IN_TRANSIT,  # problem resolved
    "InTransit_009": M.IN_TRANSIT,  # forwarded to another address
    "OutForDelivery_002": M.AVAILABLE_FOR_PICKUP,  # until it became AvailableForPickup_001
    "OutForDelivery_003": M.OUT_FOR_DELIVERY,  # the customer was contacted
    "OutForDelivery_004": M.OUT_FOR_DELIVERY,  # an appointment was made
    "AttemptFail_002": M.DELIVERY_FAILED,  # addressee not available
    "AttemptFail_003": M.DELIVERY_FAILED,  # business closed
    "Delivered_002": M.DELIVERED,  # picked up by the customer
    "Delivered_003": M.DELIVERED,  # signed for
    "Delivered_004": M.DELIVERED,  # and cash collected
    "Delivered_005": M.DELIVERED,  # to a neighbour
    "Exception_002": M.DELIVERY_FAILED,  # the customer moved
    "Exception_003": M.DELIVERY_FAILED,  # the customer refused
    "Exception_004": M.ON_HOLD,  # delayed by customs
    "Exception_005": M.DELAYED,  # by something outside
    "Exception_006": M.ON_HOLD,  # for a payment
    "Exception_007": M.DELIVERY_FAILED,  # wrong address
    "Exception_008": M.DELIVERY_FAILED,  # not collected in time
    "Exception_009": M.EXCEPTION,  # the carrier did not take it
    "Exception_010": M.RETURNING,
    "Exception_011": M.RETURNED,
    "Exception_012": M.DAMAGED,
    "Exception_013": M.LOST,
    "Exception_016": M.DELAYED,  # processing
    "Exception_017": M.DELAYED,  # weather
    "Exception_018": M.ON_HOLD,  # documents are missing
    "Exception_019": M.DELAYED,  # late flight
    "Exception_020": M.CANCELLED,
    "Exception_021": M.EXCEPTION,  # disposed of
}
"""`subtag` to milestone, where it says more than its tag or is known to say no more."""

EVENTS: dict[tuple[str, str], Milestone] = {
    ("InfoReceived", "carrier_pickup_failed"): M.PICKUP_FAILED,
    ("InTransit", "picked_up"): M.PICKED_UP,
    ("InTransit", "held_by_customs"): M.ON_HOLD,
    ("InTransit", "misrouted"): M.DELAYED,
    ("Exception", "carrier_pickup_failed"): M.PICKUP_FAILED,
    ("Exception", "held_by_customs"): M.ON_HOLD,
    ("Exception", "misrouted"): M.DELAYED,
    ("Exception", "delivery_attempt_failed"): M.DELIVERY_FAILED,
    ("Exception", "redelivery_scheduled"): M.DELIVERY_FAILED,
    ("Exception", "rejected_by_customer"): M.DELIVERY_FAILED,
    ("Exception", "return_to_sender_requested"): M.RETURN_REQUESTED,
    ("Exception", "returned_to_sender"): M.RETURNED,
    ("Exception", "shipment_lost"): M.LOST,
    ("Exception", "shipment_damaged"): M.DAMAGED,
    ("Exception", "canceled"): M.CANCELLED,
}
"""Tag and event code to milestone, where the sub-status says nothing (`_001`, or one that is not listed). Events are a
beta of AfterShip and sometimes contradict the tag beside them; such pairs are left out, and so are those that say
the same."""

REASONS: dict[str, NdrReason] = {
    "AttemptFail_002": N.CUSTOMER_UNAVAILABLE,
    "AttemptFail_003": N.CUSTOMER_UNAVAILABLE,  # the premises are closed
    "Exception_002": N.BAD_ADDRESS,  # the customer moved
    "Exception_003": N.REFUSED,
    "Exception_006": N.PAYMENT_ISSUE,  # also duties: something is to be paid
    "Exception_007": N.BAD_ADDRESS,
    "Exception_008": N.NOT_COLLECTED,
}
"""`subtag` to the reason that it names."""

EVENT_REASONS: dict[str, NdrReason] = {
    "incorrect_missing_address": N.BAD_ADDRESS,  # the only reason code that is public
    "rejected_by_customer": N.REFUSED,
    "redelivery_scheduled": N.RESCHEDULED,
}
"""Reason code or code of an event to the reason that it names for a failed delivery."""

ERRORS: dict[int, str] = {
    400: "the request is wrong",
    401: "the key is wrong",
    403: "the key may not do this",
    404: "there is nothing at this address",
    429: "too many requests",
    500: "AfterShip failed",
    502: "AfterShip failed",
    503: "AfterShip is not available",
    504: "AfterShip took too long",
    4001: "the body is not JSON",
    4003: "the tracking exists already",
    4004: "there is no such tracking",
    4005: "the tracking number is wrong",
    4007: "the tracking number is missing",
    4008: "a field is wrong",
    4009: "a field is missing",
    4010: "the courier is unknown",
    4011: "the courier needs further fields",
    4012: "no courier was recognised, or it is not approved",
    4013: "only an inactive tracking can be tracked again",
    4015: "the tracking id is wrong",
    4016: "it was tracked again already",
    4017: "the tracking number has a wrong form",
}
"""`meta.code` of an answer that failed."""

EXISTS = 4003
UNKNOWN_COURIER = 4010
NOT_FOUND = frozenset({404, 4004})
