"""Which tracker feeds which shipment?"""

from msgspec import Struct


class Link(Struct, frozen=True):
    """One row of `tracker_links`: the tracker `tracker` feeds `shipment_id`, and no other shipment ever."""

    tracker: str
    account: str
    provider: str
    reference: str
    shipment_id: str
    carrier: str = ""
    tracking_number: str = ""
