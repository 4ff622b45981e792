"""What do Rye's words mean?

Source: docs.rye.com, "Tracking shipments", "Webhooks" and "orderByID" (first generation), and rye.com/docs/api-v2,
"Shipments" and "Webhooks" (second generation).
"""

from trackledger.domain.milestones import Milestone

M = Milestone

TRACKING_OBTAINED = "TRACKING_OBTAINED"
HANDSHAKE = "WEBHOOK_URL_VERIFICATION"
HANDSHAKE_2 = "webhook_endpoint.verification_challenge"

ORDER_EVENTS: dict[str, Milestone] = {
    "ORDER_PLACED": M.INFO_RECEIVED,  # the vendor took the order, which awaits fulfilment
    "TRACKING_OBTAINED": M.INFO_RECEIVED,  # a number exists, and nothing has moved
    "ORDER_REQUIRES_ACTION": M.ON_HOLD,  # documented in words only, hence both spellings
    "ORDER_ACTION_REQUIRED": M.ON_HOLD,
    "ORDER_FAILED": M.CANCELLED,
    "ORDER_CANCEL_SUCCEEDED": M.CANCELLED,
}
"""Event of an order, as webhooks spell it, to milestone. None says that anything was delivered: Rye does not know."""

ORDER_CLAIMS = frozenset(
    {
        "PAYMENT_SUCCEEDED",
        "PAYMENT_FAILED",
        "PAYMENT_REFUNDED",
        "REFUND_CREATED",
        "ORDER_SUBMISSION_STARTED",
        "ORDER_SUBMISSION_SUCCEEDED",
        "ORDER_CANCEL_STARTED",
        "ORDER_CANCEL_FAILED",
        "RETURN_REQUESTED",
        "RETURN_APPROVED",
        "RETURN_DECLINED",
        "RETURN_CLOSED",
        "RETURN_CANCELLED",
    }
)
"""Events that leave an order where it is: kept as what Rye last said of it."""

NOT_OF_ORDERS = ("PRODUCT_", "SHOPIFY_", "AFFILIATE_")
"""How the types of webhooks about products, stores and commissions begin."""

TYPE_NAMES: dict[str, str] = {
    "PaymentSucceededOrderEvent": "PAYMENT_SUCCEEDED",
    "PaymentFailedOrderEvent": "PAYMENT_FAILED",
    "PaymentRefundedOrderEvent": "PAYMENT_REFUNDED",
    "OrderSubmissionStartedOrderEvent": "ORDER_SUBMISSION_STARTED",
    "OrderSubmissionSucceededOrderEvent": "ORDER_SUBMISSION_SUCCEEDED",
    "OrderPlacedOrderEvent": "ORDER_PLACED",
    "OrderFailedOrderEvent": "ORDER_FAILED",
    "OrderCancelStartedOrderEvent": "ORDER_CANCEL_STARTED",
    "OrderCancelSucceededOrderEvent": "ORDER_CANCEL_SUCCEEDED",
    "OrderCancelFailedOrderEvent": "ORDER_CANCEL_FAILED",
    "TrackingObtainedOrderEvent": "TRACKING_OBTAINED",
}
"""`__typename` of an event in an answer to the spelling of webhooks; any other is kept as it is and means nothing."""

PLACES = ("shipments", "shipment", "tracking")
NUMBERS = ("carrierTrackingNumber", "trackingNumber", "tracking_number", "number")
CARRIERS = ("carrierName", "carrier", "courier")
"""Where a webhook may announce numbers, and under which names, in the order in which they are tried. Rye documents that
they are there and not where; the first of each list is the spelling of its query."""

SHIPMENT_STATUSES: dict[str, Milestone] = {
    "ordered": M.INFO_RECEIVED,
    "shipped": M.IN_TRANSIT,
    "out_for_delivery": M.OUT_FOR_DELIVERY,
    "delayed": M.DELAYED,
    "delivered": M.DELIVERED,
    "canceled": M.CANCELLED,
}
"""Status of a shipment or of one of its tracking events (second generation) to milestone."""
