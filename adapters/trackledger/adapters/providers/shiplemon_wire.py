"""How does Shiplemon spell a shipment?

Only what is kept is listed; addresses, items and signed addresses of labels are not, so that none can reach a report.
"""

from typing import Annotated

from pydantic import Field

from trackledger.adapters.providers.reading import Name, Rows, Text, Time, Whole, Wire

MAX_ROWS = 5000
MAX_VOUCHERS = 500
MAX_DAYS = 3650


class Row(Wire):
    """One row of a history. It has no number and no place; `status_exact` may be null or missing."""

    status: Name | None = None
    status_exact: Name | None = None
    status_date: Time
    status_details: Text | None = None


class Carrier(Wire):
    """The courier by its full name, which is `carrier` to the tracking and `rate.provider` to the shipment."""

    name: Name | None = None


class Service(Wire):
    """What was bought."""

    name: Name | None = None
    estimated_delivery_in_days: Annotated[Whole, Field(ge=0, le=MAX_DAYS)] | None = None


class Rate(Wire):
    """What was bought, as the shipment says it."""

    provider: Carrier | None = None
    service: Service | None = None


class Voucher(Wire):
    """One piece of several, under a number of its own."""

    tracking_ref: Name | None = None


class Shipment(Wire):
    """A shipment as the tracking tells of it (until `country_to`) or as the shipment itself does (with `id`).

    The history may be null but not missing: without it this is something else.
    """

    tracking_history: Annotated[Rows[Row], Field(max_length=MAX_ROWS)] | None
    tracking_status: Name | None
    driver: Name | None = None
    carrier: Carrier | None = None
    service: Service | None = None
    tracking_ref: Name | None = None
    country_from: Name | None = None
    country_to: Name | None = None
    id: Name | None = None
    rate: Rate | None = None
    related_order_id: Name | None = None
    child_vouchers: Annotated[Rows[Voucher], Field(max_length=MAX_VOUCHERS)] | None = None
    created_at: Time | None = None
