"""How does AfterShip spell a tracking, from its version 4 to 2026-07?

Only what is kept is listed; no field for a name, a phone, a street address, a signature or the shop's own fields is, so
that none can reach a report. Names that changed are read in every spelling. `created_at` of a checkpoint is not read:
it is stamped anew when a tracking is created again.
"""

from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from trackledger.adapters.providers.reading import Name, Rows, Text, Time, Whole, Wire

MAX_CHECKPOINTS = 5000
MAX_EVENTS = 100


class Reason(Wire):
    """Why an event happened."""

    code: Name | None = None


class Event(Wire):
    """What a checkpoint tells, in AfterShip's newer and finer words."""

    code: Name | None = None
    reason: Reason | None = None


class Scan(Wire):
    """One checkpoint. `hash` is its id, since 2026-07."""

    checkpoint_time: Time | None = None
    slug: Name | None = None
    message: Text | None = None
    location: Text | None = None
    city: Name | None = None
    state: Name | None = None
    country: Name | None = Field(None, validation_alias=AliasChoices("country_region_name", "country_name"))
    tag: Name | None = None
    subtag: Name | None = None
    subtag_message: Text | None = None
    events: Annotated[Rows[Event], Field(max_length=MAX_EVENTS)] | None = None
    hash: Name | None = None


def _dates(value: Any) -> Any:
    return {"datetime": value} if isinstance(value, str) else value


class Dates(Wire):
    """When a parcel is expected: a date, the first and the last one, or all three."""

    on: Time | None = Field(
        None, validation_alias=AliasChoices("estimated_delivery_date", "promised_delivery_date", "datetime")
    )
    first: Time | None = Field(
        None, validation_alias=AliasChoices("estimated_delivery_date_min", "promised_delivery_date_min", "datetime_min")
    )
    last: Time | None = Field(
        None, validation_alias=AliasChoices("estimated_delivery_date_max", "promised_delivery_date_max", "datetime_max")
    )
    source: Name | None = None


Expected = Annotated[Dates, BeforeValidator(_dates)]
"""Dates, or the text of a single one, as the promised date was until 2025-07."""


def _scans(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Scans = Annotated[Rows[Scan], Field(max_length=MAX_CHECKPOINTS), BeforeValidator(_scans)]


class Tracking(Wire):
    """Everything said about one parcel. An answer to `last_checkpoint` has the single `checkpoint`."""

    id: Name | None = None
    tracking_number: Name | None = None
    slug: Name | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    tag: Name | None = None
    subtag: Name | None = None
    subtag_message: Text | None = None
    checkpoints: Scans | None = Field(None, validation_alias=AliasChoices("checkpoints", "checkpoint"))
    order_id: Name | None = None
    order_number: Name | None = None
    shipment_type: Name | None = None
    shipment_package_count: Whole | None = None
    shipment_direction: Name | None = None
    origin_city: Name | None = None
    origin: Name | None = Field(None, validation_alias=AliasChoices("origin_country_region", "origin_country_iso3"))
    destination_city: Name | None = None
    destination: Name | None = Field(
        None, validation_alias=AliasChoices("destination_country_region", "destination_country_iso3")
    )
    courier_estimated_delivery_date: Expected | None = None
    aftership_estimated_delivery_date: Expected | None = None
    custom_estimated_delivery_date: Expected | None = None
    order_promised_delivery_date: Expected | None = None
    latest_estimated_delivery: Expected | None = None
    first_estimated_delivery: Expected | None = None
    expected_delivery: Expected | None = None


class Webhook(Wire):
    """One webhook: a tracking, and AfterShip's clock in Unix seconds."""

    ts: Whole | None = None
    msg: Tracking
