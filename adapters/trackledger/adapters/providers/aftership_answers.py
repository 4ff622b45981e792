"""Is this a webhook of AfterShip or an answer about trackings, and if not, what is it?

Every answer of every version is `{"meta": {…}, "data": {…}}`, and `meta.code` says how it went.
"""

from collections.abc import Mapping
from typing import Any

from trackledger.adapters.providers.aftership_codes import ERRORS, EXISTS, NOT_FOUND
from trackledger.adapters.providers.reading import Whole, Wire, read, shown
from trackledger.domain.errors import Ignored, Unreadable

MAX_TRACKINGS = 1000

UPDATE = "tracking_update"
WEBHOOKS = (UPDATE, "edd_revise", "tracking_pending_time")

_SAYS_NOTHING = "it makes no statement about a parcel"

_NO_MESSAGE: dict[str, str] = {
    "trackingNumber": "is a tracking as AfterShip's Java SDK spells it, with times that are not AfterShip's",
    "tracking_number": "looks like a request to create a tracking, or like a tracking without its answer",
    "trackings": "looks like trackings without their answer",
}
"""What a body is that is neither, by a key that only it has."""

_OTHER_ANSWERS: dict[str, str] = {
    "couriers": "couriers or couriers/detect",
    "estimated_delivery_dates": "estimated-delivery-date/predict-batch",
    "origin_address": "estimated-delivery-date/predict",
    "notification": "notifications",
    "courier_connections": "courier-connections",
}
"""Which other call the `data` of an answer belongs to, by a key that no tracking has."""


class _Meta(Wire):
    code: Whole
    message: Any = None


def is_webhook(body: Mapping[str, Any]) -> bool:
    """Whether the body is a webhook rather than an answer. Raises `Ignored` for an event that AfterShip may add."""
    if "msg" not in body:
        return False
    event = body.get("event")
    if not isinstance(event, str):
        raise Unreadable(f"aftership: event is {shown(event)}: one of {', '.join(WEBHOOKS)} is needed")
    if event not in WEBHOOKS:
        raise Ignored(f"aftership: event is {shown(event)}: none of {', '.join(WEBHOOKS)}")
    return True


def trackings(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The trackings of an answer, each with its field path.

    Raises `Ignored` where AfterShip knows no tracking or answered another call, else `Unreadable`.
    """
    if "meta" not in body:
        for key, what in _NO_MESSAGE.items():
            if key in body:
                raise Unreadable(f"aftership: the body with {key!r} {what}; give it as AfterShip sent it")
        raise Unreadable(f"aftership: the body has neither msg nor meta, but {shown(sorted(body))}")
    _refuse_errors(body["meta"])
    data = body.get("data")
    if not isinstance(data, dict):
        raise Unreadable(f"aftership: data is {shown(data)}: it must be an object")
    for key, call in _OTHER_ANSWERS.items():
        if key in data:
            raise Ignored(f"aftership: the data with {key!r} answers {call}; {_SAYS_NOTHING}")
    if "trackings" in data:
        return [(f"data.trackings.{index}", said) for index, said in enumerate(_several(data["trackings"]))]
    if "tracking" in data:
        return [("data.tracking", data["tracking"])]
    if not data:
        raise Ignored(f"aftership: data is empty; {_SAYS_NOTHING}")
    return [("data", data)]


def _several(said: Any) -> list[Any]:
    if not isinstance(said, list):
        raise Unreadable(f"aftership: data.trackings is {shown(said)}: it must be a list of trackings")
    if not said:
        raise Ignored("aftership: data.trackings is empty: no tracking is known, yet")
    if len(said) > MAX_TRACKINGS:
        raise Unreadable(f"aftership: data.trackings has {len(said):,} trackings, over the limit of {MAX_TRACKINGS:,}")
    return said


def _refuse_errors(said: Any) -> None:
    meta = read(_Meta, "aftership", said, "meta")
    if 200 <= meta.code < 300:
        return
    what = ERRORS.get(meta.code, "an error that AfterShip does not document")
    reason = f"aftership: meta.code is {shown(meta.code)} ({what}); AfterShip says {shown(meta.message)}"
    raise Ignored(reason) if meta.code == EXISTS or meta.code in NOT_FOUND else Unreadable(reason)
