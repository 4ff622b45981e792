"""Where in a body of Ship24 are its trackings, and if there are none, what is it?

Webhooks have them under `trackings`, answers under `data.trackings`. Answers of other calls that came out well are
understood and ignored; errors, requests and whatever else cannot be told are unreadable.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from trackledger.adapters.providers.reading import shown
from trackledger.adapters.providers.ship24_codes import ERRORS, NOT_FOUND
from trackledger.domain.errors import Ignored, Unreadable

MAX_TRACKINGS = 1000

_SAYS_NOTHING = "it makes no statement about a parcel"

_OTHER_DATA: dict[str, str] = {
    "tracker": "is of a call that creates, gets or changes a tracker",
    "trackers": "is of the list of trackers",
    "couriers": "is of the list of couriers",
    "summary": "is of a call to send webhooks again",
}
"""Which call `data` belongs to, by a key that no results have."""

_NO_ANSWER: dict[str, str] = {
    "webhooks": "looks like a history of webhooks; give each of its requestBody as a message",
    "trackingNumber": "looks like a request to create a tracker",
    "isSubscribed": "looks like a request to change a tracker",
}
"""What a body is that is none of Ship24's messages, by a key that only it has."""


def trackings(body: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The trackings of a body and the field path of their list, empty for a tracking that stands alone.

    Raises `Ignored` where Ship24 found no parcel or answered another call, else `Unreadable`.
    """
    if (error := error_of(body)) is not None:
        _refuse(*error)
    data = body.get("data")
    if "trackings" in body:
        at, found = "trackings", body["trackings"]
    elif isinstance(data, dict) and "trackings" in data:
        at, found = "data.trackings", data["trackings"]
    elif "tracker" in body and ("events" in body or "shipment" in body):
        at, found = "", [body]
    else:
        _refuse_others(body)
    if not isinstance(found, list):
        raise Unreadable(f"ship24: {at} is {shown(found)}: it must be a list of trackings")
    if len(found) > MAX_TRACKINGS:
        raise Unreadable(f"ship24: {at} has {len(found):,} items, over the limit of {MAX_TRACKINGS:,}")
    if not found:
        raise Ignored(f"ship24: {at} is empty: nothing is known yet")
    return at, found


def error_of(body: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Code and message of the first error that a body tells of; those of a bulk call stand under `error`."""
    errors = body.get("errors") or body.get("error") or None
    first = errors[0] if isinstance(errors, list) else errors
    if not first:
        return None
    if not isinstance(first, dict) or not isinstance(first.get("code"), str):
        return "", first
    return first["code"], first.get("message")


def _refuse(code: str, message: Any) -> NoReturn:
    if code in NOT_FOUND:
        raise Ignored(f"ship24: the body is the error {code} ({ERRORS[code]}); Ship24 says {shown(message)}")
    meaning = ERRORS.get(code, "an error that Ship24 does not document")
    raise Unreadable(f"ship24: the body is the error {shown(code)} ({meaning}); Ship24 says {shown(message)}")


def _refuse_others(body: Mapping[str, Any]) -> NoReturn:
    data = body.get("data")
    if isinstance(data, dict):
        for key, what in _OTHER_DATA.items():
            if key in data:
                raise Ignored(f"ship24: the data with {key!r} {what}; {_SAYS_NOTHING}")
    if "summary" in body and isinstance(data, list):
        raise Ignored(f"ship24: the body with 'summary' is of a call that creates many trackers; {_SAYS_NOTHING}")
    for key, what in _NO_ANSWER.items():
        if key in body:
            raise Unreadable(f"ship24: the body with {key!r} {what}")
    # Only keys: values may be about a person.
    raise Unreadable(f"ship24: the body has neither trackings nor data.trackings, but {shown(sorted(body))}")
