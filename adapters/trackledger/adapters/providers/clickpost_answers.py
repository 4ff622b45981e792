"""Is this a track-order answer or a webhook of ClickPost, and if not, what is it?

An error of ClickPost comes with HTTP 200 and says so in `meta.status` only. Answers of its other calls look much alike;
one that came out well is understood and ignored, requests and whatever else cannot be told are unreadable.
"""

from collections.abc import Mapping
from typing import Any

from trackledger.adapters.providers.clickpost_codes import ERRORS, NOT_FOUND, OTHER_SUCCESSES
from trackledger.adapters.providers.reading import Whole, Wire, read, shown
from trackledger.domain.errors import Ignored, MessageError, Unreadable

MAX_PARCELS = 1000

_SAYS_NOTHING = "it makes no statement about a parcel"

_NO_ANSWER: dict[str, tuple[type[MessageError], str]] = {
    "test_data": (Unreadable, "looks like a request to test a webhook, not like a webhook"),
    "shipment_info": (Unreadable, "looks like a request to register a waybill"),
    "key": (Unreadable, "looks like a request to ClickPost"),
    "Content-Type": (Unreadable, "looks like HTTP headers"),
    "webhook_key": (Ignored, f"answers register-webhook; {_SAYS_NOTHING}"),
}
"""What a body is that is neither, by a key that only it has."""

_OTHER_RESULTS: dict[str, tuple[type[MessageError], str]] = {
    "config": (
        Unreadable,
        "is of the consumer tracking page, whose clock differs; poll track-order of api.clickpost.in",
    ),
    "label": (Ignored, f"answers create-order; {_SAYS_NOTHING}"),
    "tracking_id": (Ignored, f"answers awb-register; {_SAYS_NOTHING}"),
    "awb": (Ignored, f"answers awb-unregister; {_SAYS_NOTHING}"),
    "pod_url": (Ignored, f"answers a request for a proof of delivery; {_SAYS_NOTHING}"),
    "ndr_update_status": (Ignored, f"answers ndr-update; {_SAYS_NOTHING}"),
}
"""Which call a `result` belongs to, by a key that no waybill is spelled like."""

_ROWS: dict[str, str] = {
    "updated_at": "are of updated-order, a hint whom to ask, not a scan",
    "webhook_payload": f"are of return_order_poll; {_SAYS_NOTHING}",
    "is_rejected": f"are of the NDR feedback of customers; {_SAYS_NOTHING}",
}
"""Which call a `result` that is a list belongs to, by a key of its first row."""


class _Meta(Wire):
    status: Whole
    success: bool | None = None
    message: Any = None
    messsage: Any = None  # sic, in 2016


def is_webhook(body: Mapping[str, Any]) -> bool:
    """Whether the body is one scan that ClickPost sent, however badly, rather than an answer."""
    if "meta" in body or "result" in body:
        return False
    return "clickpost_status_code" in body or ("waybill" in body and "timestamp" in body)


def parcels(body: Mapping[str, Any]) -> dict[str, Any]:
    """The waybills of a track-order answer, each with what is said of it.

    Raises `Ignored` where ClickPost found no parcel or answered another call, else `Unreadable`.
    """
    if "meta" not in body:
        if "detail" in body:
            raise Unreadable(f"clickpost: the body is an HTTP error, {shown(body['detail'])}")
        for key, (error, what) in _NO_ANSWER.items():
            if key in body:
                raise error(f"clickpost: the body with {key!r} {what}")
        raise Unreadable(f"clickpost: the body has neither meta nor clickpost_status_code, but {shown(sorted(body))}")
    _refuse_errors(body["meta"])
    if "result" not in body:
        raise Unreadable("clickpost: result is missing; track-order has one, ndr-update answers without")
    result = body["result"]
    if result is None:
        raise Ignored("clickpost: result is null: no waybill of this answer is known yet")
    if isinstance(result, list):
        _refuse_rows(result)
    if not isinstance(result, dict):
        raise Unreadable(f"clickpost: result is {shown(result)}: it must be an object of waybills")
    for key, (error, what) in _OTHER_RESULTS.items():
        if key in result:
            raise error(f"clickpost: the result with {key!r} {what}")
    if len(result) > MAX_PARCELS:
        raise Unreadable(f"clickpost: result has {len(result):,} waybills, over the limit of {MAX_PARCELS:,}")
    return result


def _refuse_errors(said: Any) -> None:
    if isinstance(said, dict) and isinstance(said.get("meta"), dict):
        said = said["meta"]  # the NDR feedback wraps it twice
    meta = read(_Meta, "clickpost", said, "meta")
    message = shown(meta.messsage if meta.message is None else meta.message)
    if meta.status in NOT_FOUND:
        raise Ignored(f"clickpost: meta.status is {meta.status} (no such waybill, yet); ClickPost says {message}")
    if meta.status in OTHER_SUCCESSES:
        what = f"{OTHER_SUCCESSES[meta.status]}; {_SAYS_NOTHING}"
        raise Ignored(f"clickpost: meta.status is {meta.status} ({what}); ClickPost says {message}")
    if meta.status != 200:
        what = ERRORS.get(meta.status, "an error that ClickPost does not document")
        raise Unreadable(f"clickpost: meta.status is {shown(meta.status)} ({what}); ClickPost says {message}")
    if meta.success is False:
        raise Unreadable(f"clickpost: meta.success is false, although meta.status is 200; ClickPost says {message}")


def _refuse_rows(rows: list[Any]) -> None:
    if not rows:
        raise Ignored(f"clickpost: result is an empty list; {_SAYS_NOTHING}")
    if isinstance(rows[0], dict):
        for key, what in _ROWS.items():
            if key in rows[0]:
                raise Ignored(f"clickpost: the rows of result with {key!r} {what}")
    # Only the keys of a row: its values may be about a person.
    first = shown(sorted(rows[0]) if isinstance(rows[0], dict) else rows[0])
    raise Unreadable(f"clickpost: result is a list, first of {first}: it must be an object of waybills")
