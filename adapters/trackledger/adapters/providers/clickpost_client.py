"""How is ClickPost asked?

Source: docs.clickpost.ai, "Tracking shipment using polling", "Fetch updated orders list", "Error codes" and the pages
on registering waybills. The key is a query parameter there.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field

from trackledger.adapters.providers import clickpost_actions
from trackledger.adapters.providers.asking import (
    Access,
    Answer,
    AskError,
    BadCredentials,
    Declined,
    Line,
    NotYetKnown,
    Rejected,
    Response,
    TooMany,
    Unavailable,
    wait,
)
from trackledger.adapters.providers.clickpost_codes import ERRORS, MAX_BATCH, MAX_WAYBILL, NOT_FOUND
from trackledger.adapters.providers.reading import Whole, Wire, read, shown
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import Unreadable, UsageError
from trackledger.domain.ndr_actions import Instruction

URL = "https://api.clickpost.in"
REGISTER_URL = "https://www.clickpost.in"

MAX_JOINED = 100
"""Characters of the list of waybills: ClickPost documents this length of the parameter, whatever it is meant for."""

WINDOW = timedelta(minutes=30)
"""The longest span that one call for changes may cover."""

MAX_PAGES = 1000

ALREADY_REGISTERED = 303

_FAILURES: dict[int, type[AskError]] = {
    301: BadCredentials,
    401: BadCredentials,
    403: BadCredentials,
    322: Unavailable,
    329: Unavailable,
    354: Unavailable,
    429: TooMany,
    500: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
"""`meta.status` to what it asks of the caller; any other failure is `Rejected`."""


class _Row(Wire):
    """What changed. A return that was ordered is no parcel yet: it has an empty waybill, or the carrier -1."""

    waybill: Annotated[str, Field(coerce_numbers_to_str=True)]
    courier_partner: Annotated[Whole, Field(ge=-1)] | None = None
    carrier_partner: Annotated[Whole, Field(ge=-1)] | None = None


class _Changed(Wire):
    result: list[_Row] | None = None


class ClickPostClient:
    """Asks with `username` and `key` of an account. The option `account_code` names the carrier account under which
    waybills are registered."""

    def __init__(self, access: Access) -> None:
        key = access.key.get_secret_value()
        if not key or not access.user:
            raise UsageError("clickpost: a key and a user name are needed; set both for this account")
        secret = {"username": access.user, "key": key}
        self._api = Line("clickpost", access, URL, secret_params=secret)
        self._register = Line("clickpost", access, REGISTER_URL, secret_params={"key": key})
        self._actions = Line("clickpost", access, REGISTER_URL, secret_params=secret)
        self._account_code = access.options.get("account_code", "")

    def ask(self, trackers: Sequence[Tracker]) -> list[Answer]:
        """One call per carrier and five waybills, and one more for each waybill that an answer left out."""
        answers: list[Answer] = []
        for cp_id, waybills in _batches(trackers):
            answer = self.track(cp_id, waybills)
            left_out = [] if len(waybills) == 1 else list(answer.unknown)
            answers.append(Answer(answer.body, answer.context) if left_out else answer)
            answers += [self.track(cp_id, [reference.partition(":")[2]]) for reference in left_out]
        if len(trackers) == 1 and all(answer.unknown for answer in answers):
            raise self._api.failure(NotYetKnown, f"waybill {shown(trackers[0].reference)} is not known, yet")
        return answers

    def track(self, cp_id: str, waybills: Sequence[str]) -> Answer:
        """The track-order answer about at most five waybills of one carrier; `unknown` are those that it leaves out, is
        null for, or calls invalid."""
        response = self._api.call("GET", "/api/v2/track-order/", params={"waybill": ",".join(waybills), "cp_id": cp_id})
        value = self._success(self._api, response)
        said = value.get("result")
        known = said if isinstance(said, dict) else {}
        unknown = [w for w in waybills if not known.get(w) or _is_invalid(known[w])]
        references = tuple(f"{cp_id}:{waybill}" for waybill in unknown)
        return Answer(response.body, {"cp_id": cp_id}, unknown=references)

    def follow(self, tracker: Tracker, shipment_id: str) -> Tracker:
        """Register a waybill, which one of an order that was not placed through ClickPost needs before it is polled."""
        cp_id, waybill = _carrier_and_waybill(tracker)
        body = {"waybill": waybill, "courier_partner": int(cp_id), "account_code": self._account_code}
        response = self._register.call("POST", "/api/v3/tracking/awb-register/", json=body)
        self._success(self._register, response, also=ALREADY_REGISTERED)
        return tracker

    def act(self, tracker: Tracker, instruction: Instruction) -> str:
        """Ask for an action about a failed delivery, once: nobody knows whether a call without an answer was heard."""
        cp_id, waybill = _carrier_and_waybill(tracker)
        asked_for = clickpost_actions.body(cp_id, waybill, self._account_code, instruction)
        response = self._actions.call("POST", clickpost_actions.PATH, json=asked_for)
        value = self._told(self._actions, response)
        meta = value["meta"]
        words = self._actions.plain(clickpost_actions.words(meta))
        if meta["status"] == 200:
            self._actions.require_success(response)
        if meta["status"] in clickpost_actions.REFUSALS or (meta["status"] == 200 and meta.get("success") is False):
            raise Declined(f"clickpost: waybill {shown(waybill)}: {words}", words)
        self._success(self._actions, response)
        return words

    def changes(self, since: datetime, until: datetime) -> Iterator[Answer]:
        """The waybills whose state changed, half an hour a call, with further pages where ClickPost names one."""
        start = since.astimezone(UTC)
        while start < until:
            end = min(start + WINDOW, until)
            params = {"start_date": str(int(start.timestamp())), "end_date": str(int(end.timestamp()))}
            had: list[dict[str, str]] = []
            while params not in had:
                if len(had) == MAX_PAGES:
                    raise self._api.failure(Unavailable, f"updated-order: a page after {MAX_PAGES:,} is announced")
                value = self._success(self._api, self._api.call("GET", "/api/v1/updated-order", params=params))
                yield Answer(changed=self._changed(value))
                had.append(params)
                params = params | _query(value["meta"].get("next"))
            start = end

    def _changed(self, value: Mapping[str, Any]) -> tuple[str, ...]:
        try:
            rows = read(_Changed, "clickpost", value).result or []
        except Unreadable as error:
            raise self._api.failure(Unavailable, f"updated-order: {error}") from None
        named = (
            (row.carrier_partner if row.courier_partner is None else row.courier_partner, row.waybill.strip())
            for row in rows
        )
        # One row that names no waybill must not keep the watermark from moving past it.
        parcels = (
            f"{'-' if cp is None else cp}:{waybill}"
            for cp, waybill in named
            if 0 < len(waybill) <= MAX_WAYBILL and cp != -1
        )
        return tuple(dict.fromkeys(parcels))

    def _success(self, line: Line, response: Response, also: int = 200) -> dict[str, Any]:
        """The answer of a call that came out well: errors come with HTTP 200 too and are told in `meta.status`."""
        value = self._told(line, response)
        meta = value["meta"]
        status = meta["status"]
        if status in (200, also):
            return value
        said = ERRORS.get(status, "undocumented")
        where = f"{response.method} {response.url}"
        what = f"{where} answered meta.status {shown(status)} ({said}): {shown(meta.get('message'))}"
        if status in NOT_FOUND:
            return {"meta": meta, "result": None}
        raise line.failure(_FAILURES.get(status, Rejected), what, wait(response))

    def _told(self, line: Line, response: Response) -> dict[str, Any]:
        """What was answered, good or bad, which has a `meta` with a `status`. Raises `AskError` where it has none."""
        if response.status == 429 or (not response.is_success and b'"meta"' not in response.body):
            line.require_success(response)
        value = line.json(response)
        where = f"{response.method} {response.url}"
        meta = value.get("meta") if isinstance(value, dict) else None
        if not isinstance(meta, dict) or not isinstance(meta.get("status"), int):
            raise line.failure(Unavailable, f"{where} answered without meta.status; it is no answer of its API")
        return dict(value)

    def close(self) -> None:
        self._api.close()
        self._register.close()
        self._actions.close()


def _query(url: Any) -> dict[str, str]:
    """What the address of the next page asks for, without the credentials that it repeats."""
    if not isinstance(url, str):
        return {}
    return {name: value for name, value in parse_qsl(urlsplit(url).query) if name not in ("username", "key")}


def _is_invalid(said: Any) -> bool:
    return isinstance(said, dict) and said.get("valid") is False


def _carrier_and_waybill(tracker: Tracker) -> tuple[str, str]:
    cp_id, _, waybill = tracker.reference.partition(":")
    if not cp_id.isdecimal():
        raise UsageError(f"clickpost: {tracker.reference!r} names no carrier; register it as cp_id:waybill")
    return cp_id, waybill


def _batches(trackers: Sequence[Tracker]) -> Iterator[tuple[str, list[str]]]:
    """Waybills by carrier, at most five and 100 characters at a time; a longer one goes alone."""
    by_carrier: dict[str, list[str]] = {}
    for tracker in trackers:
        cp_id, waybill = _carrier_and_waybill(tracker)
        by_carrier.setdefault(cp_id, []).append(waybill)
    for cp_id, waybills in by_carrier.items():
        batch: list[str] = []
        for waybill in waybills:
            if batch and (len(batch) == MAX_BATCH or len(",".join([*batch, waybill])) > MAX_JOINED):
                yield cp_id, batch
                batch = []
            batch.append(waybill)
        yield cp_id, batch
