"""How does Shippit spell an order?

Only what is kept is listed; no field for an address, a product or whoever is responsible for a status is.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

from trackledger.adapters.providers.reading import Name, Rows, Text, Time, Wire

MAX_ROWS = 5000

Status = Annotated[str, StringConstraints(strip_whitespace=True, max_length=256, pattern=r"^[^\x00]*$")]

Clock = Annotated[str, Field(coerce_numbers_to_str=True, max_length=64)]
"""A time of day, some of which come as a number of seconds."""


class Track(Wire):
    """One status of a poll."""

    status: Status
    date: Time
    timestamp: Clock | None = None


class Polled(Wire):
    """The `response` of a poll: the whole history, the newest status first."""

    tracking_number: Text
    track: Annotated[Rows[Track], Field(max_length=MAX_ROWS)] | None = None


class Past(Wire):
    """One status of a webhook."""

    status: Status
    time: Time


class Webhook(Wire):
    """Where an order is and the history up to then, the newest status first. Shippit calls every field optional."""

    tracking_number: Text
    current_state: Status | None = None
    status_history: Annotated[Rows[Past], Field(max_length=MAX_ROWS)] | None = None
    expected_delivery_date: Time | None = None
    courier_name: Name | None = None
    courier_job_id: Name | None = None
    retailer_order_number: Name | None = None
    retailer_reference: Name | None = None
