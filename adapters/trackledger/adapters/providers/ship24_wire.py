"""How does Ship24 spell a tracking?

Only what is kept is listed; no field for a recipient, an address or a signature is, so that none can reach a report.
The deprecated `datetime`, `utcOffset` and `hasNoTime` of an event are not read: the first stamps `Z` on local digits,
and the others come as broken texts such as "false,".
"""

from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from trackledger.adapters.providers.reading import Name, Rows, Text, Time, Whole, Wire

MAX_EVENTS = 5000


class Camel(Wire):
    """Ship24 writes `trackingNumber` for `tracking_number`. Texts lose the blanks around them."""

    model_config = ConfigDict(alias_generator=to_camel, str_strip_whitespace=True)


def _couriers(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else [value]


class Follower(Camel):
    """The tracker: who asked about which number. Only answers say `courierCode`, one text or a list."""

    tracker_id: Text
    tracking_number: Name | None = None
    shipment_reference: Name | None = None
    courier_code: Annotated[Rows[Name], Field(max_length=100), BeforeValidator(_couriers)] | None = None
    created_at: Time | None = None


class Window(Camel):
    """When it should come; either end may be missing."""

    earliest: Time | None = Field(None, validation_alias="from")
    latest: Time | None = Field(None, validation_alias="to")


class Delivery(Camel):
    """The first two are the courier's, as one time and as a window; the third is Ship24's own prediction."""

    estimated_delivery_date: Time | None = None
    courier_estimated_delivery_date: Window | None = None
    ai_predictive_delivery_date: Window | None = None
    service: Name | None = None


class Shipment(Camel):
    """The parcel as a whole; its countries are guessed by Ship24."""

    status_code: Name | None = None
    status_milestone: Name | None = None
    origin_country_code: Name | None = None
    destination_country_code: Name | None = None
    delivery: Delivery | None = None


class Event(Camel):
    """One scan. `status` is the courier's text in any language; `order` sorts events of one time, the lower the older.

    The misspelt name of the time is Ship24's own, in the message that its dashboard sends as a test.
    """

    occurrence_datetime: Annotated[
        Time, Field(validation_alias=AliasChoices("occurrenceDatetime", "occurenceDatetime"))
    ]
    event_id: Name | None = None
    event_tracking_number: Name | None = None
    status: Text | None = None
    location: Text | None = None
    courier_code: Name | None = None
    status_code: Name | None = None
    status_category: Name | None = None
    status_milestone: Name | None = None
    order: Annotated[Whole, Field(ge=-1_000_000, le=1_000_000)] | None = None


class Metadata(Camel):
    """Only webhooks have it, and the older ones without a topic."""

    generated_at: Time | None = None
    topic: Name | None = None


class Timestamps(Camel):
    """When a milestone was first reached."""

    failed_attempt_datetime: Time | None = None


class Statistics(Camel):
    """What Ship24 counts."""

    timestamps: Timestamps | None = None


class Tracking(Camel):
    """Everything about one tracker: all its events in an answer, the new ones in a webhook."""

    metadata: Metadata | None = None
    tracker: Follower
    shipment: Shipment | None = None
    events: Annotated[Rows[Event], Field(max_length=MAX_EVENTS)] | None = None
    statistics: Statistics | None = None
