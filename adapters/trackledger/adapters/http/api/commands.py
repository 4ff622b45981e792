"""What can be done over HTTP by those who may operate?

Each command answers with the `position` of the ledger that a question can `wait_for`. What it is about has to be of the
account of the token; else it is missing.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field, TypeAdapter

from trackledger.adapters import acting
from trackledger.adapters.http.api.answering import describe, json
from trackledger.adapters.http.api.commanding import (
    Key,
    Said,
    Shipment,
    Text,
    Told,
    answered_once,
    command_schema,
    named,
    position_of,
)
from trackledger.adapters.http.api.posted import describe_body, posted
from trackledger.adapters.http.api.services import Given, Operating, Services
from trackledger.adapters.http.problems import Problem
from trackledger.adapters.kept import MAX_IDS
from trackledger.adapters.registering import register
from trackledger.domain.corrections import MAX_TEXT
from trackledger.domain.errors import InvalidStatement, UsageError

ROUTER = APIRouter(tags=["commands"])

MAX_TOGETHER = 100


class ShipmentSaid(Said):
    """A shipment to follow: your `reference`, its `trackers`, or both. `promised` is a day or `DAY/DAY`, as local days
    of `zone`."""

    reference: Text = ""
    trackers: list[Text] = Field([], max_length=20, description="Each as PROVIDER:REFERENCE")
    order_id: Text = ""
    carrier: Text = ""
    tracking_number: Text = ""
    service: Text = ""
    promised: Text = ""
    zone: Text = ""
    piece_of: Text = Field("", description="The id of the shipment that this is one piece of")


class NoteSaid(Said):
    """A remark."""

    text: str = Field(min_length=1, max_length=MAX_TEXT)


class RetrySaid(Said):
    """Which messages; all that are parked where none is named."""

    message_ids: list[Annotated[str, Field(pattern=r"^[0-9a-f]{8,32}$")]] | None = Field(None, max_length=MAX_IDS)


_ONE = TypeAdapter(ShipmentSaid)
_MANY = TypeAdapter(Annotated[list[ShipmentSaid], Field(min_length=1, max_length=MAX_TOGETHER)])
_NOTE, _RETRY = TypeAdapter(NoteSaid), TypeAdapter(RetrySaid)

_TEXT: dict[str, Any] = {"type": "string"}


def _shipments(body: bytes) -> TypeAdapter[Any]:
    return _MANY if body.lstrip()[:1] == b"[" else _ONE


_ITEMS = {"type": "array", "items": {"type": "object"}}
_REGISTERED = {"shipment_id": _TEXT, "new": {"type": "boolean"}}
_SCHEMA_OF_ONE = _ONE.json_schema()


@ROUTER.post(
    "/shipments",
    status_code=201,
    responses=describe(
        {
            "oneOf": [
                command_schema(**_REGISTERED),
                command_schema(items={"type": "array", "items": {"type": "object"}}),
            ]
        },
        status=201,
        also={200: "All of it was so already"},
        refusals=(403, 404, 409, 410, 413, 415),
    ),
    openapi_extra=describe_body(
        {
            "oneOf": [
                _SCHEMA_OF_ONE,
                {"type": "array", "minItems": 1, "maxItems": MAX_TOGETHER, "items": _SCHEMA_OF_ONE},
            ]
        }
    ),
)
def register_shipments(
    given: Given,
    principal: Operating,
    said: Annotated[ShipmentSaid | list[ShipmentSaid], Depends(posted(_shipments))],
    idempotency_key: Key = None,
) -> Response:
    """Follow a shipment, or add trackers, a reference or details to one that is followed; or up to a hundred.

    One is answered alone, and refused as a whole. Of several, each has its `error` or none.
    """
    wishes = said if isinstance(said, list) else [said]

    def do() -> Told:
        fields = [one.model_dump() for one in wishes]
        try:
            registered, position = register(given.runtime, principal.account, fields)
        except UsageError as error:
            raise named(error, ShipmentSaid.model_fields, several=isinstance(said, list)) from None
        at = {"position": position_of(given, position)}
        if isinstance(said, list):
            items = [
                {"shipment_id": one.shipment_id, "new": one.new, "error": str(one.refusal) if one.refusal else None}
                for one in registered
            ]
            return 201 if any(one.new for one in registered) else 200, {"items": items} | at
        (one,) = registered
        if one.refusal is not None:
            raise one.refusal
        return 201 if one.new else 200, {"shipment_id": one.shipment_id, "new": one.new} | at

    request = [one.model_dump(mode="json") for one in wishes]
    return answered_once(given, principal, idempotency_key, ["register", isinstance(said, list), request], do)


@ROUTER.post(
    "/shipments/{shipment_id:path}/notes",
    status_code=201,
    responses=describe(command_schema(shipment_id=_TEXT), status=201, refusals=(403, 404, 410, 413, 415)),
    openapi_extra=describe_body(_NOTE.json_schema()),
)
def add_note(
    given: Given,
    principal: Operating,
    shipment_id: Shipment,
    said: Annotated[NoteSaid, Depends(posted(lambda _: _NOTE))],
    idempotency_key: Key = None,
) -> Response:
    """Add a remark to a shipment. It changes no conclusion."""

    def do() -> Told:
        acting.require_own(given.runtime, shipment_id, principal.account)
        try:
            receipt = acting.stored(given.runtime.ledger.note(shipment_id, said.text, principal.name))
        except InvalidStatement as error:
            raise Problem(422, str(error), parameter="text") from None
        return 201, {"shipment_id": shipment_id, "position": position_of(given, receipt.position)}

    return answered_once(given, principal, idempotency_key, ["note", shipment_id, said.text], do)


@ROUTER.post(
    "/shipments/{shipment_id:path}/refresh",
    status_code=202,
    responses=describe(
        command_schema(shipment_id=_TEXT, trackers={"type": "array", "items": {"type": "object"}}),
        status=202,
        refusals=(403, 404, 410),
    ),
)
def refresh_shipment(given: Given, principal: Operating, shipment_id: Shipment) -> Response:
    """Have the providers asked about a shipment as soon as is polite: at once, or a minute after the last time.

    It is not waited for. `trackers` has when each is due; it is empty where nobody asks about the shipment.
    """
    rows = acting.refresh(given.runtime, shipment_id, account=principal.account)
    shown = ("tracker", "provider", "state", "due_at", "reason", "asked_at", "account_stopped")
    trackers = [{name: row[name] for name in shown} for row in rows]
    return json({"shipment_id": shipment_id, "trackers": trackers, "position": position_of(given)}, 202)


@ROUTER.post(
    "/messages/{message_id}/retry",
    status_code=202,
    responses=describe(command_schema(message_ids={"type": "array", "items": _TEXT}), status=202, refusals=(403, 404)),
)
def retry_message(
    given: Given, principal: Operating, message_id: Annotated[str, Path(pattern="^[0-9a-f]{8,32}$")]
) -> Response:
    """Have a message read again that is parked, ignored or discarded, as if it had just arrived."""
    return _retried(given, acting.retry_parked(given.runtime, principal.account, [message_id]))


@ROUTER.post(
    "/parked/retry",
    status_code=202,
    responses=describe(
        command_schema(message_ids={"type": "array", "items": _TEXT}), status=202, refusals=(403, 404, 413, 415)
    ),
    openapi_extra=describe_body(_RETRY.json_schema(), required=False),
)
def retry_parked(
    given: Given, principal: Operating, said: Annotated[RetrySaid, Depends(posted(lambda _: _RETRY, optional=True))]
) -> Response:
    """Have all parked messages read again, or those that are named."""
    return _retried(given, acting.retry_parked(given.runtime, principal.account, said.message_ids))


def _retried(given: Services, message_ids: Sequence[str]) -> Response:
    return json({"message_ids": message_ids, "position": position_of(given)}, 202)
