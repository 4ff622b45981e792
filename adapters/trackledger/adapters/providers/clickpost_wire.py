"""How does ClickPost spell a parcel?

Only what is kept is listed; no field for a name, a phone or an address is, so that none can reach a report.
"""

from typing import Annotated

from pydantic import Field

from trackledger.adapters.providers.reading import Name, Rows, Text, Time, Whole, Wire

MAX_SCANS = 5000
MAX_DAYS = 3650

Code = Annotated[Whole, Field(ge=0, le=999_999)]
Days = Annotated[Whole, Field(ge=0, le=MAX_DAYS)]


class Scan(Wire):
    """One scan of the carrier. Only polls number it and say when ClickPost got it."""

    timestamp: Time
    clickpost_status_code: Code
    clickpost_status_description: Text | None = None
    status: Text | None = None
    remark: Text | None = None
    location: Text | None = None
    checkpoint_id: Annotated[Whole, Field(ge=0, lt=2**64)] | None = None
    created_at: Time | None = None


class Headline(Wire):
    """Where ClickPost takes the parcel to be; its `created_at` is the registration of the parcel."""

    clickpost_status_code: Code | None = None
    clickpost_status_description: Text | None = None
    created_at: Time | None = None


class Ndr(Wire):
    """The last reason for not delivering, of the parcel and not of a scan."""

    ndr_bucket_code: Code | None = None
    ndr_description: Text | None = None


class Sla(Wire):
    """How many days the delivery should take."""

    min_sla: Days | None = None
    max_sla: Days | None = None
    exact_sla: Days | None = None


class Additional(Wire):
    """What is said beside the scans, in polls (`ndr`) and webhooks (`ndr_status_code`) under other names."""

    latest_status: Headline | None = None
    courier_partner_id: Code | None = None
    courier_name: Name | None = None
    courier_partner_name: Name | None = None
    order_id: Name | None = None
    pickup_city: Name | None = None
    drop_city: Name | None = None
    is_stuck: bool | None = None
    is_rvp: bool | None = None
    courier_partner_edd: Time | None = None
    edd: Sla | None = None
    ndr: Ndr | None = None
    ndr_status_code: Code | None = None
    ndr_status_description: Text | None = None
    npr_status_code: Name | None = None
    npr_status_description: Text | None = None
    forward_awb: Name | None = None


class Parcel(Wire):
    """What a poll says of one waybill; not `valid` means that ClickPost does not know it."""

    latest_status: Headline | None = None
    scans: Annotated[Rows[Scan], Field(max_length=MAX_SCANS)] | None = None
    valid: bool | None = None
    additional: Additional | None = None


class Webhook(Scan):
    """One scan of one waybill. A `cp_id` of -1 is ClickPost itself."""

    waybill: Text
    cp_id: Annotated[Whole, Field(ge=-1, le=999_999)] | None = None
    additional: Additional | None = None
