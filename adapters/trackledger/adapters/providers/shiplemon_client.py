"""How is Shiplemon asked?

Source: docs.shiplemon.com, "Authentication", "Errors", "Tracking", "Get shipment" and "Import shipment". The key is a
header on every call. The documentation knows the sandbox, https://api-sandbox.shiplemon.com; no limit on calls, no
webhooks, no paging and no list of what changed are published.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from trackledger.adapters.providers.asking import (
    Access,
    Answer,
    AskError,
    Line,
    NotYetKnown,
    Rejected,
    Response,
    TooMany,
    Unavailable,
)
from trackledger.adapters.providers.reading import shown
from trackledger.adapters.providers.shiplemon import PROVIDER, VOUCHERS
from trackledger.adapters.providers.shiplemon_codes import NOT_FOUND, STATUSES
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import UsageError

URL = "https://api.shiplemon.com"

MAX_REMEMBERED = 100_000


class ShiplemonClient:
    """Asks with the `key` of an account."""

    def __init__(self, access: Access) -> None:
        key = access.key.get_secret_value()
        if not key:
            raise UsageError("shiplemon: a key is needed; set it for this account")
        self._line = Line("shiplemon", access, URL, headers={"x-api-key": key})
        self._vouchers_had: set[str] = set()

    def ask(self, trackers: Sequence[Tracker]) -> list[Answer]:
        """The tracking of each shipment and, with the first that this client has of it, its vouchers."""
        answers: list[Answer] = []
        for tracker in trackers:
            answers.append(self.tracking(tracker.reference))
            answers += self._vouchers_once(tracker.reference)
        return answers

    def tracking(self, shipment_id: str) -> Answer:
        """The history of a shipment as it is now."""
        body = self._body("GET", f"/public/v1/shipments/{_checked(shipment_id)}/tracking")
        return Answer(body, {"shipment_id": shipment_id})

    def shipment(self, shipment_id: str) -> Answer:
        """The shipment itself, with its vouchers and, in the bytes that are kept, the addresses of people."""
        return Answer(self._body("GET", f"/v1/shipments/{_checked(shipment_id)}"), {"shipment_id": shipment_id})

    def replace_history(self, shipment_id: str, rows: Sequence[Mapping[str, str]]) -> Answer:
        """Make these rows, each with `status`, `status_date` and `status_details`, the whole history of a shipment;
        what they leave out is gone. The answer is the shipment with its new history."""
        for row in rows:
            if (status := row.get("status")) not in STATUSES:
                raise UsageError(f"shiplemon: status {shown(status)} is unknown; use one of: {', '.join(STATUSES)}")
        path = f"/v1/shipments/{_checked(shipment_id)}/tracking"
        body = self._body("PUT", path, {"tracking_history": [dict(row) for row in rows]})
        return Answer(body, {"shipment_id": shipment_id})

    def follow(self, tracker: Tracker, shipment_id: str) -> Tracker:
        """Nothing: Shiplemon follows what was created or imported there, and an import needs the addresses and the
        items of a parcel, which no tracker has."""
        return tracker

    def changes(self, since: datetime, until: datetime) -> Iterator[Answer]:
        raise UsageError("shiplemon: there is no list of what changed; ask about each shipment")

    def close(self) -> None:
        self._line.close()

    def _vouchers_once(self, shipment_id: str) -> list[Answer]:
        """The vouchers do not change with every scan. That they cannot be had is no reason to lose a tracking."""
        if shipment_id in self._vouchers_had:
            return []
        answers: list[Answer] = []
        try:
            told = self.shipment(shipment_id)
            answers.append(Answer(told.body, {**told.context, "about": VOUCHERS}))
        except (TooMany, Unavailable):
            return []
        except AskError:
            pass  # not a shipment of this key: the next answer would be the same
        if len(self._vouchers_had) >= MAX_REMEMBERED:
            self._vouchers_had.clear()
        self._vouchers_had.add(shipment_id)
        return answers

    def _body(self, method: str, path: str, json: Any = None) -> bytes:
        """The body of an answer that came out well, which is always an object."""
        response = self._line.call(method, path, json=json)
        if response.status in (400, 422):
            said = shown(_error(self._line.json(response)))
            raise self._line.failure(Rejected, f"{_where(response)}: {said}; do not repeat the request")
        self._line.require_success(response)
        value = self._line.json(response)
        if not isinstance(value, dict):
            raise self._line.failure(Unavailable, f"{_where(response)} with no object; it is no answer of its API")
        error = _error(value)
        if error is not None:
            kind = NotYetKnown if isinstance(error, dict) and error.get("code") == NOT_FOUND else Unavailable
            raise self._line.failure(kind, f"{_where(response)} with an error inside: {shown(error)}")
        return response.body


def _where(response: Response) -> str:
    return f"{response.method} {response.url} answered {response.status}"


def _error(value: Any) -> Any:
    return value.get("error") if isinstance(value, dict) else None


def _checked(shipment_id: str) -> str:
    """A shipment id that is one segment of a path."""
    if not re.fullmatch(PROVIDER.reference_form, shipment_id):
        raise UsageError(f"shiplemon: {shown(shipment_id)} is no shipment id; give one like {PROVIDER.reference_like}")
    return shipment_id
