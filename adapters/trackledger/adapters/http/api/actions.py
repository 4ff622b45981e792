"""What can be done over HTTP about a failed delivery?"""

from datetime import date
from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import TypeAdapter

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
    in_work,
    named,
    position_of,
)
from trackledger.adapters.http.api.posted import describe_body, posted
from trackledger.adapters.http.api.services import Given, Operating, Services
from trackledger.adapters.once import InWork
from trackledger.domain.errors import InvalidStatement
from trackledger.domain.ndr_actions import ActionState, Instruction, NdrAction

ROUTER = APIRouter(tags=["commands"])

CaseNo = Annotated[int, Path(ge=1, le=1_000_000)]


class ActionSaid(Said):
    """What is wanted about a failed delivery. `preferred_date` is a day where the parcel goes to; addresses and phone
    numbers go with `change_details`. `remark` stays here. `by_hand` says that you have seen to it elsewhere."""

    action: Literal["reattempt", "reschedule", "change_details", "rto"]
    preferred_date: date | None = None
    address: Text = ""
    landmark: Text = ""
    pincode: Text = ""
    phone: Text = ""
    remark: Text = ""
    by_hand: bool = False


_ACTION = TypeAdapter(ActionSaid)
_TEXT: dict[str, Any] = {"type": "string"}

_ACTED = command_schema(
    action_id=_TEXT,
    state={"type": "string", "enum": ["requested", "sent", "acknowledged", "refused"]},
    answer={"type": ["string", "null"], "description": "What was said to it"},
    trouble={"type": ["string", "null"], "description": "Why nobody has answered, if that is known"},
)
_UNANSWERED = {202: "It is recorded, and nobody has answered"}


@ROUTER.post(
    "/shipments/{shipment_id:path}/ndr/{case_no}/actions",
    status_code=201,
    responses=describe(_ACTED, status=201, also=_UNANSWERED, refusals=(403, 404, 409, 410, 413, 415)),
    openapi_extra=describe_body(_ACTION.json_schema()),
)
def act_on_failed_delivery(
    given: Given,
    principal: Operating,
    shipment_id: Shipment,
    case_no: CaseNo,
    said: Annotated[ActionSaid, Depends(posted(lambda _: _ACTION))],
    idempotency_key: Key = None,
) -> Response:
    """Have something done about a failed delivery: it is recorded, then the provider is asked and its answer recorded.

    201 with an answer, good or bad, and 202 where nobody has answered: the action stays `requested`, and can be sent
    again.
    """
    fields = said.model_dump(exclude={"by_hand", "action"})
    request = ["act", shipment_id, case_no, said.model_dump(mode="json")]
    # The same for the same key, so that one who died over it left nothing that would be done twice; and another one for
    # another action, as keys are forgotten. Nobody is named in it.
    about = (principal.account, idempotency_key or "", shipment_id, str(case_no), said.action)
    action_id = sha256("\x1f".join(about).encode()).hexdigest()[:32] if idempotency_key else ""

    def do() -> Told:
        try:
            acted = acting.request_ndr_action(
                given.runtime,
                shipment_id,
                case_no,
                Instruction(NdrAction(said.action), **fields),
                principal.name,
                account=principal.account,
                action_id=action_id,
                by_hand=said.by_hand,
            )
        except InvalidStatement as error:
            raise named(error, ActionSaid.model_fields) from None
        return _acted(given, acted)

    def again() -> Told:
        return _acted(given, acting.ndr_action(given.runtime, shipment_id, action_id, account=principal.account))

    return answered_once(given, principal, idempotency_key, request, do, again)


@ROUTER.post(
    "/shipments/{shipment_id:path}/ndr/actions/{action_id}/send",
    status_code=201,
    responses=describe(_ACTED, status=201, also=_UNANSWERED, refusals=(403, 404, 409, 410)),
)
def send_action_again(
    given: Given, principal: Operating, shipment_id: Shipment, action_id: Annotated[str, Path(max_length=64)]
) -> Response:
    """Ask the provider again for an action that nobody has answered; one that was answered is only told of."""
    try:
        acted = acting.send_ndr_action(given.runtime, shipment_id, action_id, principal.name, account=principal.account)
    except InWork as error:
        raise in_work(error) from None
    status, told = _acted(given, acted)
    return json(told, status)


def _acted(given: Services, acted: acting.Acted) -> Told:
    told = {
        "action_id": acted.action_id,
        "state": acted.state.value,
        "answer": acted.answer or None,
        "trouble": acted.trouble or None,
        "position": position_of(given, acted.position),
    }
    return 202 if acted.state is ActionState.REQUESTED else 201, told
