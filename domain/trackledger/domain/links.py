"""Which tracker feeds which shipment?"""

from collections.abc import Iterable

from msgspec import Struct

from trackledger.domain.checkpoints import HOST, Tracker, tracker_key
from trackledger.domain.events import Event, Opened, TrackerLinked


class Link(Struct, frozen=True):
    """One row of `tracker_links`: the tracker `tracker` feeds `shipment_id`, and no other shipment ever."""

    tracker: str
    account: str
    provider: str
    reference: str
    shipment_id: str
    carrier: str = ""
    tracking_number: str = ""


def links_of(shipment_id: str, events: Iterable[Event]) -> list[Link]:
    """The links of one shipment that its events imply: of its trackers, and of the host's own reference, if it has one.

    They are those that were stored with the events.
    """
    account = reference = ""
    trackers: list[Tracker] = []
    for event in events:
        if isinstance(event, Opened):
            account, reference = event.account, event.reference
            trackers += event.trackers
        elif isinstance(event, TrackerLinked):
            if event.tracker.provider == HOST:
                reference = reference or event.tracker.reference
            else:
                trackers.append(event.tracker)
    if reference:
        trackers.append(Tracker(HOST, reference))
    found: dict[str, Link] = {}
    for t in trackers:
        key = tracker_key(account, t.provider, t.reference)
        found.setdefault(key, Link(key, account, t.provider, t.reference, shipment_id, t.carrier, t.tracking_number))
    return list(found.values())
