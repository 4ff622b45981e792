"""How is Ship24 asked?

Source: docs.ship24.com, "Trackers", "Errors" and "Rate limiter", and Ship24's public Node library. Creating a tracker
again gives the same one only if nothing of the request differs; whatever does makes another one and costs quota.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field

from trackledger.adapters.providers.asking import (
    Access,
    Answer,
    AskError,
    BadCredentials,
    Line,
    NotYetKnown,
    Rejected,
    Response,
    TooMany,
    Unavailable,
    wait,
)
from trackledger.adapters.providers.reading import Rows, W, Whole, Wire, read, reference, shown
from trackledger.adapters.providers.ship24_answers import error_of
from trackledger.adapters.providers.ship24_codes import ERRORS
from trackledger.adapters.providers.ship24_wire import Camel, Follower
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import Unreadable, UsageError

URL = "https://api.ship24.com/public/v1"

MAX_CLIENT_ID = 100

MAX_BULK = 100

_TRACKER_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)

_FAILURES: dict[str, type[AskError]] = {
    "auth_missing_header": BadCredentials,
    "auth_invalid_header": BadCredentials,
    "auth_invalid_api_key": BadCredentials,
    "no_active_subscription": BadCredentials,
    "quota_limit_reached": TooMany,
    "bulk_create_limit_exceeded": TooMany,
    "tracker_not_found": NotYetKnown,
    "parcel_not_found": NotYetKnown,
    "request_conflict": Unavailable,
    "tracker_conflict": Rejected,
    "tracker_not_updatable": Rejected,
    "shipping_date_outdated": Rejected,
    "validation_error": Rejected,
    "missing_mandatory_field": Rejected,
    "parsing_error": Rejected,
    "processing_error": Rejected,
    "webhook_url_missing": Rejected,
}
"""`code` of an error to what it asks of the caller; of any other the HTTP status decides."""


class _Created(Wire):
    tracker: Follower


class _Summary(Camel):
    total_resent: Annotated[Whole, Field(ge=0)]


class _Resent(Wire):
    summary: _Summary


class _Input(Camel):
    tracking_number: str = ""
    client_tracker_id: str = ""


class _BulkItem(Camel):
    input_data: _Input
    tracker: Follower | None = None
    errors: list[Any] | None = None


class _Bulk(Wire):
    data: Annotated[Rows[_BulkItem], Field(max_length=MAX_BULK)]


class Ship24Client:
    """Asks with the key of an account. A tracker's reference is Ship24's `trackerId`; one that has no such form is not
    followed yet, and `follow` makes a tracker of its number."""

    def __init__(self, access: Access) -> None:
        key = access.key.get_secret_value()
        if not key:
            raise UsageError("ship24: a key is needed; set it for this account")
        self._line = Line("ship24", access, URL, headers={"authorization": f"Bearer {key}"})

    def ask(self, trackers: Sequence[Tracker]) -> list[Answer]:
        """One call for each tracker."""
        answers = []
        for tracker in trackers:
            try:
                answers.append(self.results(tracker.reference))
            except NotYetKnown:
                if len(trackers) == 1:
                    raise
                answers.append(Answer(unknown=(tracker.reference,)))
        return answers

    def results(self, tracker_id: str) -> Answer:
        """The whole history of one tracker."""
        response = self._line.call("GET", f"/trackers/{quote(tracker_id, safe='')}/results")
        return Answer(self._trackings(response), {"tracker_id": tracker_id})

    def search(self, tracking_number: str) -> Answer:
        """The whole histories of all trackers of a number, which may be several: each feeds a shipment of its own."""
        response = self._line.call("GET", f"/trackers/search/{quote(tracking_number, safe='')}/results")
        return Answer(self._trackings(response))

    def follow(self, tracker: Tracker, shipment_id: str) -> Tracker:
        """Create a tracker for the number, under our shipment's id. The request is made of the number and the id alone,
        so that it is the same one however often it is sent."""
        if _TRACKER_ID.fullmatch(tracker.reference):
            return tracker
        response = self._line.call("POST", "/trackers", json=_request(tracker, shipment_id))
        return self._followed(tracker, self._read(_Created, self._data(response), response).tracker)

    def follow_all(self, wanted: Sequence[tuple[Tracker, str]]) -> list[Tracker | AskError]:
        """What `follow` gives for each tracker and shipment id, or the error that it would raise, in a call for every
        hundred that have no tracker yet."""
        new = [(tracker, id_) for tracker, id_ in wanted if not _TRACKER_ID.fullmatch(tracker.reference)]
        done: dict[tuple[Tracker, str], Tracker | AskError] = {}
        for start in range(0, len(new), MAX_BULK):
            batch = new[start : start + MAX_BULK]
            done |= zip(batch, self._create(batch), strict=True)
        return [done.get((tracker, id_), tracker) for tracker, id_ in wanted]

    def resend(self, tracker_id: str) -> int:
        """Make Ship24 send all webhooks of a tracker again; how many it will."""
        response = self._line.call("POST", f"/trackers/{quote(tracker_id, safe='')}/webhook-events/resend")
        return self._read(_Resent, self._data(response), response).summary.total_resent

    def changes(self, since: datetime, until: datetime) -> Iterator[Answer]:
        """There is none: the list of trackers has no status."""
        raise UsageError("ship24: there is no list of changes; ask about each tracker, or let it send webhooks")

    def close(self) -> None:
        self._line.close()

    def _trackings(self, response: Response) -> bytes:
        data = self._data(response)
        if not isinstance(data, dict) or not data.get("trackings"):
            raise self._line.failure(NotYetKnown, f"{response.method} {response.url} answered without any tracking")
        return response.body

    def _create(self, batch: Sequence[tuple[Tracker, str]]) -> Iterator[Tracker | AskError]:
        requests = [_request(tracker, shipment_id) for tracker, shipment_id in batch]
        response = self._line.call("POST", "/trackers/bulk", json=requests)
        value = self._value(response)
        # Where single items fail, the whole answer has an error too, but also all of its items.
        if not (isinstance(value, dict) and isinstance(value.get("data"), list)):
            self._require_success(response, value)
        items = {
            (item.input_data.client_tracker_id, item.input_data.tracking_number.upper()): item
            for item in self._read(_Bulk, value, response).data
        }
        for (tracker, _), request in zip(batch, requests, strict=True):
            item = items.get((request["clientTrackerId"], request["trackingNumber"].upper()))
            try:
                yield self._created(tracker, item, response)
            except AskError as error:
                yield error

    def _created(self, tracker: Tracker, item: _BulkItem | None, response: Response) -> Tracker:
        if item is not None and item.tracker is not None:
            return self._followed(tracker, item.tracker)
        error = error_of({"errors": item.errors}) if item else None
        if error is None:
            where = f"{response.method} {response.url} answered {response.status}"
            raise self._line.failure(Unavailable, f"{where} without a tracker for {shown(tracker.reference)}")
        raise self._failure(response, *error, otherwise=Rejected)

    def _followed(self, tracker: Tracker, said: Follower) -> Tracker:
        """The tracker under Ship24's id. One for another number is none: Ship24 looks for an existing tracker by our id
        alone, and a shipment may have several numbers."""
        number = _number(tracker)
        if said.tracking_number is None or said.tracking_number.upper() != number.upper():
            text = f"for {shown(number)} it answered with the tracker of {shown(said.tracking_number)}"
            raise self._line.failure(Rejected, f"{text}; register it as a shipment of its own")
        try:
            id_ = reference("ship24", said.tracker_id, "trackerId")
        except Unreadable as error:
            raise self._line.failure(Unavailable, str(error)) from None
        return Tracker("ship24", id_, tracker.carrier, said.tracking_number)

    def _data(self, response: Response) -> Any:
        """The `data` of an answer that came out well."""
        value = self._value(response)
        self._require_success(response, value)
        if not isinstance(value, dict) or "data" not in value:
            where = f"{response.method} {response.url} answered {response.status}"
            raise self._line.failure(Unavailable, f"{where} without data; it is no answer of its API")
        return value["data"]

    def _value(self, response: Response) -> Any:
        """The JSON of an answer; of a failure only where it can have an error's code."""
        if response.status == 429 or (not response.is_success and b'"code"' not in response.body):
            self._line.require_success(response)
        return self._line.json(response)

    def _require_success(self, response: Response, value: Any) -> None:
        error = error_of(value) if isinstance(value, dict) else None
        try:
            self._line.require_success(response)
        except AskError as failed:
            if error is None:
                raise
            otherwise = type(failed)
        else:
            if error is None:
                return
            otherwise = Rejected
        raise self._failure(response, *error, otherwise=otherwise)

    def _failure(self, response: Response, code: str, message: Any, otherwise: type[AskError]) -> AskError:
        said = f"{shown(code)} ({ERRORS.get(code, 'undocumented')}): {shown(message)}"
        request = response.headers.get("x-request-id", "")
        where = f"{response.method} {response.url} answered {response.status}"
        named = f"; its id of this request is {shown(request)}" if request else ""
        return self._line.failure(_FAILURES.get(code, otherwise), f"{where} {said}{named}", wait(response))

    def _read(self, model: type[W], value: Any, response: Response) -> W:
        try:
            return read(model, "ship24", value)
        except Unreadable as error:
            raise self._line.failure(Unavailable, f"{response.method} {response.url}: {error}") from None


def _request(tracker: Tracker, shipment_id: str) -> dict[str, str]:
    return {"trackingNumber": _number(tracker), "clientTrackerId": client_tracker_id(shipment_id)}


def _number(tracker: Tracker) -> str:
    return tracker.tracking_number or tracker.reference


def client_tracker_id(shipment_id: str) -> str:
    """Our id of a shipment as Ship24 takes it: as it is up to 100 characters, else its beginning and a digest of it."""
    if len(shipment_id) <= MAX_CLIENT_ID:
        return shipment_id
    digest = blake2b(shipment_id.encode(), digest_size=16).hexdigest()
    return f"{shipment_id[: MAX_CLIENT_ID - len(digest) - 1]}~{digest}"
