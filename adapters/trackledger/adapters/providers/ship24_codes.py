"""What do Ship24's words mean?

Source: docs.ship24.com, "Status" (20 status codes in 6 categories, and 8 milestones), "Errors" and Ship24's public Node
library for error codes that the page leaves out.
"""

from trackledger.domain.milestones import Milestone

M = Milestone

RETURN = "exception_return"
REFUSED = "delivery_refused"
DELIVERED = "delivery_delivered"
DELIVERY_EXCEPTION = "delivery_exception"
FAILED_ATTEMPT = "failed_attempt"

CODES: dict[str, Milestone] = {
    "data_order_created": M.INFO_RECEIVED,
    "data_order_cancelled": M.CANCELLED,
    "transit_handover": M.PICKED_UP,
    "transit_origin_country_departure": M.IN_TRANSIT,
    "destination_arrival": M.ARRIVED,  # in the country of destination
    "customs_received": M.CUSTOMS,
    "customs_exception": M.ON_HOLD,
    "customs_rejected": M.EXCEPTION,
    "customs_cleared": M.CUSTOMS,
    "delivery_available_for_pickup": M.AVAILABLE_FOR_PICKUP,
    "delivery_out_for_delivery": M.OUT_FOR_DELIVERY,
    "delivery_attempted": M.DELIVERY_FAILED,
    DELIVERY_EXCEPTION: M.EXCEPTION,  # but a failed delivery where the milestone says so
    REFUSED: M.DELIVERY_FAILED,
    DELIVERED: M.DELIVERED,
    RETURN: M.RETURNING,  # said of what will be, is being and was returned
    "exception_lost": M.LOST,
    "exception_discarded": M.EXCEPTION,
}
"""`statusCode` of an event to milestone."""

DELIVERY_OPTIONS = frozenset({"data_delivery_proposed", "data_delivery_decided"})
"""`statusCode` of events in which a way of delivery was offered or chosen: they leave the parcel where it is."""

CATEGORIES: dict[str, Milestone] = {
    "data": M.INFO_RECEIVED,
    "transit": M.IN_TRANSIT,
    "destination": M.ARRIVED,
    "customs": M.CUSTOMS,
}
"""`statusCategory` of an event whose code says nothing to milestone; the categories `delivery` and `exception` hold
opposites. It is about the event, unlike the milestone beside it, which is about the parcel after the event."""

MILESTONES: dict[str, Milestone] = {
    "info_received": M.INFO_RECEIVED,
    "in_transit": M.IN_TRANSIT,
    "out_for_delivery": M.OUT_FOR_DELIVERY,
    FAILED_ATTEMPT: M.DELIVERY_FAILED,
    "available_for_pickup": M.AVAILABLE_FOR_PICKUP,
    "delivered": M.DELIVERED,
    "exception": M.EXCEPTION,
}
"""`statusMilestone`, the state of the parcel after an event, to milestone; `pending` is the state before any event."""

ERRORS: dict[str, str] = {
    "auth_missing_header": "the key is missing",
    "auth_invalid_header": "the key is not sent as it should be",
    "auth_invalid_api_key": "the key is wrong",
    "bulk_create_limit_exceeded": "the plan allows no more trackers to be created at once",
    "missing_mandatory_field": "the request lacks a field",
    "no_active_subscription": "the account has no subscription for this call",
    "parcel_not_found": "nothing is known of the parcel, yet",
    "parsing_error": "the request cannot be read",
    "processing_error": "no item of the request could be used",
    "quota_limit_reached": "the quota of the plan is used up; raise it at Ship24",
    "request_conflict": "the same request is under way already",
    "shipping_date_outdated": "the shipping date lies more than 180 days back",
    "tracker_conflict": "another tracker that is followed has this clientTrackerId",
    "tracker_not_found": "there is no such tracker, yet",
    "tracker_not_updatable": "the tracker has data already and cannot be changed",
    "validation_error": "a field of the request is wrong",
    "webhook_url_missing": "the account has no webhook address to send to",
}
"""`code` of an error to what it means. The HTTP status says less: a wrong key can be a 400, a used-up quota a 405."""

NOT_FOUND = frozenset({"tracker_not_found", "parcel_not_found"})
