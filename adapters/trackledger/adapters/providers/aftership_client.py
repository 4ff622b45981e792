"""How is AfterShip asked?

Source: AfterShip's published description of its API, version 2026-07, and www.aftership.com/docs/tracking ("Rate
limit", "Migration guide"). An answer says in `meta.code` how it went, more exactly than its HTTP status.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from msgspec.structs import replace
from pydantic import Field

from trackledger.adapters.providers.aftership import MAX_BATCH, TRACKING_ID
from trackledger.adapters.providers.aftership_answers import MAX_TRACKINGS
from trackledger.adapters.providers.aftership_codes import ERRORS, EXISTS, NOT_FOUND, UNKNOWN_COURIER
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
from trackledger.adapters.providers.reading import Name, Rows, Wire, read, shown
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import Unreadable, UsageError

URL = "https://api.aftership.com"
TRACKINGS = "/tracking/2026-07/trackings"

KEPT = timedelta(days=120)
"""How long AfterShip keeps a tracking. Stated in every list, because some versions leave out older than 30 days."""

OVERLAP = timedelta(minutes=10)
"""How much earlier than asked a list of changes begins; what it tells twice is recorded once."""

PAGE = 200

_NUMBER = re.compile(r"[A-Z0-9._/-]{4,100}")
_COURIER = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

_FAILURES: dict[int, type[AskError]] = {
    401: BadCredentials,
    403: BadCredentials,
    404: NotYetKnown,
    4004: NotYetKnown,
    429: TooMany,
    500: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
"""`meta.code` to what it asks of the caller; any other failure is `Unavailable` where the HTTP status says that the
server failed, else `Rejected`."""


class _Found(Wire):
    id: Name
    tracking_number: Name | None = None
    slug: Name | None = None


class _Pagination(Wire):
    next_cursor: Name | None = None
    has_next_page: bool = False


class _Listed(Wire):
    trackings: Annotated[Rows[_Found], Field(max_length=MAX_TRACKINGS)]
    pagination: _Pagination | None = None


class AfterShipClient:
    """Asks with the API key of an account, and never in a language: it would translate the checkpoints."""

    def __init__(self, access: Access) -> None:
        key = access.key.get_secret_value()
        if not key:
            raise UsageError("aftership: an API key is needed; set it for this account")
        self._line = Line("aftership", access, URL, headers={"as-api-key": key})

    def ask(self, trackers: Sequence[Tracker]) -> list[Answer]:
        """One call for fifty numbers, and one for each tracker without a number.

        A number can have other trackings than those that were asked about; the answers tell of them too.
        """
        numbers = list(dict.fromkeys(filter(None, map(_number, trackers))))
        answers: list[Answer] = []
        found: set[str] = set()
        for start in range(0, len(numbers), MAX_BATCH):
            batch = ",".join(numbers[start : start + MAX_BATCH])
            for body, page in self._pages({"tracking_numbers": batch}, datetime.now(UTC)):
                answers += [Answer(body)] if page else []
                found.update(one.id for one in page)
        for tracker in trackers:
            if not _number(tracker) and (body := self._by_id(tracker)[0]):
                answers.append(Answer(body))
                found.add(tracker.reference)
        unknown = tuple(tracker.reference for tracker in trackers if tracker.reference not in found)
        if unknown and len(trackers) == 1:
            raise self._line.failure(NotYetKnown, f"tracking {shown(unknown[0])} is not known, yet")
        return [*answers, Answer(unknown=unknown)] if unknown else answers

    def follow(self, tracker: Tracker, shipment_id: str) -> Tracker:
        """Create a tracking with the tracker's reference as its id, or adopt the one that the number has already.

        A carrier by whose name AfterShip knows none is left to AfterShip to recognise.
        """
        number, courier = _number(tracker), _courier(tracker)
        if not number:
            what = f"{shown(tracker.reference)} has no number that AfterShip takes"
            raise UsageError(f"aftership: {what}; register it with 4 to 100 of A-Z 0-9 - . _ /")
        code, created = self._create(tracker, number, courier)
        if code == UNKNOWN_COURIER and courier:
            code, created = self._create(tracker, number, "")
        if code == EXISTS:
            return replace(tracker, reference=self._existing(tracker, number, courier))
        if code == UNKNOWN_COURIER:
            raise self._line.failure(Rejected, f"number {shown(number)} is refused: {ERRORS[code]}")
        id_ = created.get("id")
        if not isinstance(id_, str) or not TRACKING_ID.fullmatch(id_):
            raise self._line.failure(Unavailable, f"a tracking of {shown(number)} was created with the id {shown(id_)}")
        return replace(tracker, reference=id_)

    def changes(self, since: datetime, until: datetime) -> Iterator[Answer]:
        """Every tracking that was updated, whole, two hundred a call. An interrupted list raises `Unavailable`."""
        between = {"updated_at_min": _time(since - OVERLAP), "updated_at_max": _time(until)}
        for body, page in self._pages(between, until):
            if page:
                yield Answer(body)

    def close(self) -> None:
        self._line.close()

    def _create(self, tracker: Tracker, number: str, courier: str) -> tuple[int, dict[str, Any]]:
        wanted = {"id": _id(tracker), "tracking_number": number} | ({"slug": courier} if courier else {})
        return self._data(self._line.call("POST", TRACKINGS, json=wanted), EXISTS, UNKNOWN_COURIER)

    def _existing(self, tracker: Tracker, number: str, courier: str) -> str:
        """The id of the tracking that stands in the way: it is ours, else the one of the number and the courier."""
        if _bare(self._by_id(tracker)[1].get("tracking_number")) == number:
            return tracker.reference
        pages = self._pages({"tracking_numbers": number}, datetime.now(UTC))
        found = [one for _, page in pages for one in page if TRACKING_ID.fullmatch(one.id)]
        # The courier of a tracking may have been corrected since it was created.
        meant = [one for one in found if one.slug == courier] or found
        if not meant:
            raise self._line.failure(Unavailable, f"the tracking of {shown(number)} that exists is in no list, yet")
        if len(meant) > 1:
            what = f"{len(meant)} trackings of {shown(number)} exist"
            raise self._line.failure(Rejected, f"{what}; register the one that is meant by its id")
        return meant[0].id

    def _by_id(self, tracker: Tracker) -> tuple[bytes, dict[str, Any]]:
        """The answer about one tracking and its data, both empty where there is none."""
        response = self._line.call("GET", f"{TRACKINGS}/{_id(tracker)}")
        code, data = self._data(response, *NOT_FOUND)
        return (b"", {}) if code in NOT_FOUND else (response.body, data)

    def _pages(self, params: Mapping[str, str], now: datetime) -> Iterator[tuple[bytes, list[_Found]]]:
        """Every page of a list of trackings. Raises `Unavailable` where a further page is announced and not named."""
        query = {**params, "created_at_min": _time(now - KEPT), "limit": str(PAGE)}
        had: set[str] = set()
        while True:
            response = self._line.call("GET", TRACKINGS, params=query)
            try:
                listed = read(_Listed, "aftership", self._data(response)[1], "data")
            except Unreadable as error:
                raise self._line.failure(Unavailable, f"trackings: {error}") from None
            yield response.body, listed.trackings
            if listed.pagination is None or not listed.pagination.has_next_page:
                return
            query["cursor"] = self._line.next_page(listed.pagination.next_cursor, had, "trackings")

    def _data(self, response: Response, *also: int) -> tuple[int, dict[str, Any]]:
        """`meta.code` and the data of a call that came out well, or that failed with one of the codes `also`."""
        if response.status == 429 or (not response.is_success and b'"meta"' not in response.body):
            self._line.require_success(response)
        value = self._line.json(response)
        where = f"{response.method} {response.url}"
        meta = value.get("meta") if isinstance(value, dict) else None
        code = meta.get("code") if isinstance(meta, dict) else None
        if not isinstance(meta, dict) or not isinstance(code, int):
            raise self._line.failure(Unavailable, f"{where} answered without meta.code; it is no answer of its API")
        if 200 <= code < 300 or code in also:
            data = value.get("data")
            return code, data if isinstance(data, dict) else {}
        said = f"{where} answered meta.code {code} ({ERRORS.get(code, 'undocumented')}): {shown(meta.get('message'))}"
        otherwise = Unavailable if response.status >= 500 else Rejected
        raise self._line.failure(_FAILURES.get(code, otherwise), said, wait(response))


def _id(tracker: Tracker) -> str:
    if not TRACKING_ID.fullmatch(tracker.reference):
        raise UsageError(f"aftership: {shown(tracker.reference)} is no tracking id; use letters, digits, _ and -")
    return tracker.reference


def _bare(number: Any) -> str:
    return "".join(str(number or "").split()).upper()


def _number(tracker: Tracker) -> str:
    """The number as AfterShip takes it, empty where it takes none like it."""
    number = _bare(tracker.tracking_number)
    return number if _NUMBER.fullmatch(number) else ""


def _courier(tracker: Tracker) -> str:
    """The carrier's name in the form of AfterShip's names, empty where it cannot be brought into it."""
    name = "-".join(tracker.carrier.lower().split())
    return name if _COURIER.fullmatch(name) else ""


def _time(at: datetime) -> str:
    """In the one form that AfterShip documents; the plus sign is sent as `%2B`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
