"""How is Shippit asked?

Source: developer.shippit.com, "Tracking endpoint", "Tracking responses" and "Authentication": one order a call, and
sixty calls a minute for each API key. There is no list of what changed.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from trackledger.adapters.providers.asking import Access, Answer, Line, NotYetKnown, Unavailable
from trackledger.adapters.providers.reading import shown
from trackledger.adapters.providers.shippit_times import zone
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import UsageError

URL = "https://app.shippit.com/api/3"

TIMEOUT = 30.0
"""Seconds, as long as Shippit's own plugins wait."""

PLATFORM = "trackledger"


class ShippitClient:
    """Asks with the API key of one store. The option `zone` is the IANA zone in which its times are read, Sydney's
    unless given; `suffix` is the last part of the address, `tracking` unless given."""

    def __init__(self, access: Access) -> None:
        key = access.key.get_secret_value()
        if not key:
            raise UsageError("shippit: a key is needed; set the API key of this account")
        try:
            zone(access.options.get("zone", ""))
        except ValueError as error:
            raise UsageError(f"shippit: option zone is {error}") from None
        self._context = {"zone": access.options["zone"]} if access.options.get("zone") else {}
        self._suffix = access.options.get("suffix") or "tracking"
        headers = {"authorization": f"Bearer {key}", "user-agent": PLATFORM, "x-shippit-platform": PLATFORM}
        self._line = Line("shippit", access, URL, headers=headers)

    def ask(self, trackers: Sequence[Tracker]) -> list[Answer]:
        """One call an order."""
        answers = [self.track(tracker.reference) for tracker in trackers]
        if len(answers) == 1 and answers[0].unknown:
            raise self._line.failure(NotYetKnown, f"order {shown(trackers[0].reference)} is not known, yet")
        return answers

    def track(self, number: str) -> Answer:
        """The history of one order; `unknown` where Shippit does not know its number, for which it answers 400."""
        # A number of dots must not lead to another address.
        order = quote(number, safe="").replace(".", "%2E")
        response = self._line.call("GET", f"/orders/{order}/{self._suffix}", timeout=TIMEOUT)
        if response.status != 400:
            self._line.require_success(response)
        value = self._line.json(response)
        if _is_unknown(value):
            return Answer(unknown=(number,))
        self._line.require_success(response)
        if not isinstance(value, dict) or not isinstance(value.get("response"), dict):
            where = f"{response.method} {response.url} answered {response.status}"
            raise self._line.failure(Unavailable, f"{where} without a response in it; it is no answer of its API")
        return Answer(response.body, self._context)

    def follow(self, tracker: Tracker, shipment_id: str) -> Tracker:
        """Nothing to do: every order is followed, and one of another's booking has to be placed with all its addresses,
        which is for the host to do."""
        return tracker

    def changes(self, since: datetime, until: datetime) -> Iterator[Answer]:
        raise UsageError("shippit: it has no list of what changed; ask about each order, or receive its webhooks")

    def close(self) -> None:
        self._line.close()


def _is_unknown(value: Any) -> bool:
    error = value.get("error") if isinstance(value, dict) else None
    return isinstance(error, dict) and "order_id" in error
