"""How is Rye asked?

Source: docs.rye.com, "orderByID" and "Authorization headers" (first generation: GraphQL, one order a call), and
rye.com/docs/api-v2, "Shipments" and "Events" (second generation: REST, one shipment a call or pages of all).
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import httpx
from pydantic import Field

from trackledger.adapters.providers.asking import (
    Access,
    Answer,
    AskError,
    BadCredentials,
    Client,
    Line,
    NotYetKnown,
    Rejected,
    Response,
    TooMany,
    Unavailable,
    wait,
)
from trackledger.adapters.providers.reading import P, Rows, Time, clock, read, shown
from trackledger.adapters.providers.rye_orders import is_not_yet, rye_id
from trackledger.adapters.providers.rye_wire import MAX_PAGE, Camel, Source
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import Unreadable, UsageError

URL = "https://graphql.api.rye.com"
PATH = "/v1/query"
URL_2 = "https://api.rye.com"
PATH_2 = "/api/v1/shipments"
EVENTS_2 = "/api/v1/events"

QUERY = """query OrderById($id: ID!) {
  orderByID(id: $id) {
    id
    status
    events {
      __typename
      createdAt
      ... on OrderFailedOrderEvent { reason }
      ... on OrderCancelFailedOrderEvent { reason }
    }
    shipments { carrierName carrierTrackingNumber }
  }
}"""
"""Only what is read. A field that the schema does not have would fail the whole query; some are new there."""

PAGE = 100
"""Shipments or events of a page, the most that Rye gives."""

_KEY_2 = re.compile(r"RYE/(staging|production)-.+")
_HOSTS_2 = {"api.rye.com": "production", "staging.api.rye.com": "staging"}

_FAILURES: dict[str, type[AskError]] = {
    "UNAUTHENTICATED": BadCredentials,
    "UNAUTHORIZED": BadCredentials,
    "FORBIDDEN": BadCredentials,
    "RATE_LIMITED": TooMany,
    "TOO_MANY_REQUESTS": TooMany,
    "GRAPHQL_PARSE_FAILED": Rejected,
    "GRAPHQL_VALIDATION_FAILED": Rejected,
    "BAD_USER_INPUT": Rejected,
}
"""`extensions.code` of an error to what it asks of the caller; any other is `Unavailable`. Rye documents no code: these
are the ones that GraphQL servers commonly send."""


def connect(access: Access) -> Client:
    """A client of the generation that the option `generation` names, else of the one that the key belongs to: those of
    the second begin with `RYE/`."""
    key = access.key.get_secret_value()
    if not key:
        raise UsageError("rye: an API key is needed; set it for this account")
    is_second = bool(_KEY_2.fullmatch(key))
    generation = access.options.get("generation") or ("2" if is_second else "1")
    if generation not in ("1", "2"):
        raise UsageError(f"rye: the generation is {shown(generation)}; 1 or 2 is needed")
    if (generation == "2") is not is_second:
        raise UsageError(f"rye: a key of generation {generation} is needed; those of generation 2 begin with RYE/")
    return RyeShipments(access) if is_second else RyeOrders(access)


class RyeOrders:
    """Asks about orders, with the key of an account or with the token that Rye's console makes of it."""

    def __init__(self, access: Access) -> None:
        token = _token(access.key.get_secret_value())
        self._line = Line("rye", access, URL, headers={"authorization": f"Basic {token}"}, secrets=[token])

    def ask(self, trackers: Sequence[Tracker]) -> list[Answer]:
        """One call per order, whichever of its parcels are asked about."""
        orders: dict[str, list[str]] = {}
        for tracker in trackers:
            orders.setdefault(tracker.reference.partition(":")[0], []).append(tracker.reference)
        answers = [self._order(order, references) for order, references in orders.items()]
        if len(trackers) == 1 and answers[0].unknown:
            raise self._line.failure(NotYetKnown, f"nothing is known of {shown(trackers[0].reference)}, yet")
        return answers

    def _order(self, order: str, references: Sequence[str]) -> Answer:
        response = self._line.call("POST", PATH, json={"query": QUERY, "variables": {"id": order}})
        self._line.require_success(response)
        value = self._line.json(response)
        where = f"{response.method} {response.url}"
        if not isinstance(value, dict):
            raise self._line.failure(Unavailable, f"{where} answered no object; it is no answer of its API")
        if value.get("errors"):
            raise self._failure(where, value["errors"], response)
        data = value.get("data")
        if not isinstance(data, dict) or "orderByID" not in data:
            raise self._line.failure(Unavailable, f"{where} answered without data.orderByID")
        return Answer(unknown=tuple(references)) if is_not_yet(data["orderByID"]) else Answer(response.body)

    def _failure(self, where: str, errors: Any, response: Response) -> AskError:
        """Errors come with HTTP 200 and may stand beside data, which then are not all there is."""
        first = errors[0] if isinstance(errors, list) else errors
        said = first if isinstance(first, dict) else {"message": first}
        extensions = said.get("extensions")
        code = extensions.get("code") if isinstance(extensions, dict) else None
        what = f"{where} answered with errors, the first {shown(code)}: {shown(said.get('message'))}"
        kind = _FAILURES.get(code, Unavailable) if isinstance(code, str) else Unavailable
        return self._line.failure(kind, what, wait(response))

    def follow(self, tracker: Tracker, shipment_id: str) -> Tracker:
        """Rye knows its own orders."""
        return tracker

    def changes(self, since: datetime, until: datetime) -> Iterator[Answer]:
        raise UsageError("rye: generation 1 has no list of changes; each order has to be asked about")

    def close(self) -> None:
        self._line.close()


class _Row(Camel):
    updated_at: Time | None = None
    source: Source | None = None


class _PageInfo(Camel):
    has_next_page: bool = False
    end_cursor: str | None = None


class _Page(Camel):
    data: Annotated[Rows[_Row], Field(max_length=MAX_PAGE)]
    page_info: _PageInfo


class RyeShipments:
    """Asks about shipments. A key names its environment, which has to be that of the address."""

    def __init__(self, access: Access) -> None:
        key = access.key.get_secret_value()
        match = _KEY_2.fullmatch(key)
        environment = match[1] if match else ""
        self._line = Line("rye", access, URL_2, headers={"authorization": f"Bearer {key}"})
        host = httpx.URL(access.url or URL_2).host
        if _HOSTS_2.get(host, environment) != environment:
            raise UsageError(f"rye: the key is of {environment}, and {host} is not; set the address that fits it")

    def ask(self, trackers: Sequence[Tracker]) -> list[Answer]:
        """One call per shipment."""
        answers = []
        for tracker in trackers:
            response = self._line.call("GET", f"{PATH_2}/{quote(tracker.reference, safe='')}")
            if response.status == 404 and len(trackers) > 1:
                answers.append(Answer(unknown=(tracker.reference,)))
                continue
            self._line.require_success(response)
            self._line.json(response)
            answers.append(Answer(response.body))
        return answers

    def follow(self, tracker: Tracker, shipment_id: str) -> Tracker:
        """Rye knows its own shipments."""
        return tracker

    def changes(self, since: datetime, until: datetime) -> Iterator[Answer]:
        """Every page of shipments on which one was updated since.

        Nothing says in which order Rye lists them, and no parameter asks for the changed ones: all pages are looked at,
        a call for each hundred shipments of the account.
        """
        for body, changed in self._pages(PATH_2, "the list of shipments", lambda row: _is_since(row, since)):
            if any(changed):
                yield Answer(body)

    def events(self) -> Iterator[Answer]:
        """Which shipments the events that Rye keeps are about, page by page, for when webhooks were missed."""
        for _, ids in self._pages(EVENTS_2, "the list of events", _shipment_of):
            if changed := tuple(dict.fromkeys(filter(None, ids))):
                yield Answer(changed=changed)

    def _pages(self, path: str, what: str, of: Callable[[_Row], P]) -> Iterator[tuple[bytes, list[P]]]:
        """Every page of a list, and what is read `of` its rows."""
        had: set[str] = set()
        params = {"limit": str(PAGE)}
        while True:
            response = self._line.call("GET", path, params=params)
            self._line.require_success(response)
            try:
                page = read(_Page, "rye", self._line.json(response))
                found = [of(row) for row in page.data]
            except Unreadable as error:
                raise self._line.failure(Unavailable, f"{what}: {error}") from None
            yield response.body, found
            if not page.page_info.has_next_page:
                return
            params["after"] = self._line.next_page(page.page_info.end_cursor, had, what)

    def close(self) -> None:
        self._line.close()


def _is_since(row: _Row, since: datetime) -> bool:
    return not row.updated_at or clock("rye", row.updated_at, "updatedAt") >= since


def _shipment_of(row: _Row) -> str:
    return rye_id(row.source.id, "source.id") if row.source and row.source.type == "shipment" else ""


def _token(key: str) -> str:
    """The base64 text of the key as a user name without a password; a key that is that text already is kept."""
    try:
        if base64.b64decode(key, validate=True).endswith(b":"):
            return key
    except (ValueError, binascii.Error):
        pass
    return base64.b64encode(f"{key}:".encode()).decode()
