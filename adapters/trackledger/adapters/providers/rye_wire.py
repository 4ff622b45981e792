"""How does Rye spell orders and shipments?

Only what is kept is listed; no field for a name, a phone or an address is, so that none can reach a report.
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from trackledger.adapters.providers.reading import Name, Rows, Text, Time, Wire

MAX_SCANS = 5000
MAX_EVENTS = 1000
MAX_PARCELS = 500
MAX_PAGE = 1000


class Camel(Wire):
    """Rye writes `createdAt` for `created_at`."""

    model_config = ConfigDict(alias_generator=to_camel)


class Webhook(Camel):
    """An event of the first generation. `request_id` is the order; what `data` holds depends on the type."""

    id: Name
    type: Name
    created_at: Time
    request_id: Name | None = None
    data: dict[str, Any] | None = None


class OrderEvent(Camel):
    """An event in the answer about an order; it never says more about a parcel than that a number exists."""

    type_name: Annotated[Name, Field(alias="__typename")]
    created_at: Time
    reason: Text | None = None


class Order(Camel):
    """What `orderByID` says of an order; its shipments are read one by one."""

    id: Name
    status: Name | None = None
    events: Annotated[Rows[OrderEvent], Field(max_length=MAX_EVENTS)] | None = None
    shipments: Annotated[Rows[Any], Field(max_length=MAX_PARCELS)] | None = None


class Announced(Camel):
    """A parcel of an order: the carrier's number and no time."""

    carrier_name: Name | None = None
    carrier_tracking_number: Name | None = None


class Source(Camel):
    """What an event of the second generation is about."""

    type: Name
    id: Name


class Hint(Camel):
    """An event of the second generation: it says that something changed, and not what."""

    type: Name
    source: Source


class Stamp(Camel):
    """A time, once with the offset of the place and once in UTC."""

    local: Time | None = None
    utc: Time | None = None


class Place(Camel):
    """Where a tracking event happened."""

    city: Text | None = None
    province: Text | None = None
    country: Text | None = None


class Scan(Camel):
    """One tracking event."""

    status: Name | None = None
    description: Text | None = None
    location: Place | None = None
    timestamp: Stamp | None = None


class DeliveryDate(Camel):
    """When it will come."""

    estimated: Time | None = None


class Tracking(Camel):
    """The carrier's side of a shipment."""

    number: Name | None = None
    carrier_name: Name | None = None
    delivery_date: DeliveryDate | None = None


class Shipment(Camel):
    """A shipment of the second generation. Until it is shipped, and once it is canceled, it has no tracking."""

    id: Name
    status: Name
    checkout_intent_id: Name
    created_at: Time | None = None
    updated_at: Time | None = None
    shipped_at: Time | None = None
    delivered_at: Time | None = None
    tracking: Tracking | None = None
    tracking_events: Annotated[Rows[Scan], Field(max_length=MAX_SCANS)] | None = None
