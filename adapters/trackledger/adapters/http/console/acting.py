"""What can be done about a shipment, or about messages that nobody could read, by those who may operate?"""

from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import uuid4

from anyio import from_thread
from fastapi import APIRouter, Depends, Form, Query, Request, Response

from trackledger.adapters import acting
from trackledger.adapters.acting import Acted
from trackledger.adapters.http import problems
from trackledger.adapters.http.api.services import Given, Services
from trackledger.adapters.http.console.flashes import told
from trackledger.adapters.http.console.forms import About, AgainSent, NdrSent, NoteSent, RetrySent, Sent
from trackledger.adapters.http.console.rendering import link, render
from trackledger.adapters.http.console.sessions import Operating, csrf, inside, operating, root
from trackledger.adapters.http.principals import Principal
from trackledger.adapters.once import Answered, InWork, once
from trackledger.domain.errors import ShipmentNotFound, TrackledgerError
from trackledger.domain.ndr_actions import ActionState, Instruction, NdrAction
from trackledger.projections import ndr, ndr_actions, shipments

ROUTER = APIRouter(dependencies=[Depends(operating)])
POSTED = [Depends(csrf)]

WAIT = 2.0
"""Seconds to wait until the tables tell of what was done, so that the page that follows does."""


@ROUTER.get("/act")
def act(request: Request, given: Given, principal: Operating, asked: Annotated[About, Query()]) -> Response:
    """The forms about one shipment."""
    return _forms(request, given, principal, asked.shipment_id, _came_from(request))


@ROUTER.post("/act/ndr", dependencies=POSTED)
def act_on_failure(request: Request, given: Given, principal: Operating, sent: Annotated[NdrSent, Form()]) -> Response:
    """Have something done about a failed delivery."""
    try:
        instruction = Instruction(
            action=sent.action,
            preferred_date=sent.preferred_date,
            address=sent.address.strip(),
            landmark=sent.landmark.strip(),
            pincode=sent.pincode.strip(),
            phone=sent.phone.strip(),
            remark=sent.remark.strip(),
        )
        acted = acting.request_ndr_action(
            given.runtime,
            sent.shipment_id,
            sent.case_no,
            instruction,
            principal.name,
            account=principal.account,
            action_id=sent.once,
            by_hand=sent.by_hand,
        )
    except InWork:
        return told(request, sent.next, "This is being asked for right now.")
    except TrackledgerError as error:
        return _wrong(request, given, principal, sent, error)
    return _acted(request, given, sent, acted)


@ROUTER.post("/act/again", dependencies=POSTED)
def ask_again(request: Request, given: Given, principal: Operating, sent: Annotated[AgainSent, Form()]) -> Response:
    """Ask again for an action that nobody has answered."""
    try:
        acted = acting.send_ndr_action(
            given.runtime, sent.shipment_id, sent.action_id, principal.name, account=principal.account
        )
    except InWork:
        return told(request, sent.next, "This is being asked for right now.")
    except TrackledgerError as error:
        return _wrong(request, given, principal, sent, error)
    return _acted(request, given, sent, acted)


@ROUTER.post("/act/note", dependencies=POSTED)
def note(request: Request, given: Given, principal: Operating, sent: Annotated[NoteSent, Form()]) -> Response:
    """Add a remark."""
    _own(given, principal, sent.shipment_id)
    text = " ".join(sent.text.splitlines())
    position = 0
    try:
        with once(
            given.runtime.database, principal.account, f"note:{sent.once}", f"{sent.shipment_id}\0{text}"
        ) as turn:
            if turn.earlier is None:
                receipt = given.runtime.ledger.note(sent.shipment_id, text, principal.name)
                position = acting.stored(receipt).position
                turn.answer = Answered(303, "")
    except InWork:
        return told(request, sent.next, "This is being noted right now.")
    except TrackledgerError as error:
        return _wrong(request, given, principal, sent, error)
    return told(request, _onward(request, sent), f"Noted.{_behind(given, position)}")


@ROUTER.post("/act/refresh", dependencies=POSTED)
def refresh(request: Request, given: Given, principal: Operating, sent: Annotated[Sent, Form()]) -> Response:
    """Have a shipment asked about soon."""
    asked = [
        one
        for one in acting.refresh(given.runtime, sent.shipment_id, account=principal.account)
        if one["state"] == "asking" and not one["account_stopped"]
    ]
    if not asked:
        says = "No provider is asked about this shipment; it is heard of by webhooks, or not at all."
        return told(request, _onward(request, sent), says, is_good=False)
    names = ", ".join(sorted({one["provider"] for one in asked}))
    return told(request, _onward(request, sent), f"{names} will be asked within a minute or so.")


@ROUTER.post("/act/retry", dependencies=POSTED)
def retry(request: Request, given: Given, principal: Operating, sent: Annotated[RetrySent, Form()]) -> Response:
    """Have parked messages read again."""
    onward = link(root(request), "/parked")
    if not sent.all and not sent.message_id:
        return told(request, onward, "No message was chosen.", is_good=False)
    ids = acting.retry_parked(given.runtime, principal.account, None if sent.all else sent.message_id)
    return told(request, onward, f"{len(ids):,} message{'' if len(ids) == 1 else 's'} will be read again.")


def _forms(
    request: Request,
    given: Given,
    principal: Principal,
    shipment_id: str,
    onward: str,
    *,
    status: int = 200,
    wrong: str = "",
    typed: Sent | None = None,
) -> Response:
    row = _own(given, principal, shipment_id)
    with given.moments.tables(None) as tables:
        cases = [case for case in ndr.of(tables.reader, shipment_id) if case["state"] != "closed"]
        actions = ndr_actions.of(tables.reader, shipment_id)
    values = {name: value for name, value in typed.model_dump(mode="json").items() if value} if typed else {}
    return render(
        request,
        principal,
        "act.html",
        status=status,
        row=row,
        case=cases[0] if cases else None,
        actions=actions[-5:],
        choices=list(NdrAction),
        # What is sent again after a mistake is a new attempt: nothing was recorded.
        once=lambda: uuid4().hex,
        onward=inside(request, onward),
        wrong=wrong,
        typed=values,
    )


def _wrong(request: Request, given: Services, principal: Principal, sent: Sent, error: TrackledgerError) -> Response:
    """The forms again, as they were filled in, with what is wrong."""
    problem = problems.of(error)
    if problem.status in (404, 410):
        raise error
    return _forms(
        request,
        given,
        principal,
        sent.shipment_id,
        sent.next,
        status=problem.status,
        wrong=problem.detail,
        typed=sent,
    )


def _acted(request: Request, given: Services, sent: Sent, acted: Acted) -> Response:
    behind, answer = _behind(given, acted.position), f": {acted.answer}" if acted.answer else ""
    match acted.state:
        case ActionState.ACKNOWLEDGED:
            return told(request, _onward(request, sent), f"Agreed to{answer}.{behind}")
        case ActionState.REFUSED:
            return told(request, _onward(request, sent), f"Refused{answer}.{behind}", is_good=False)
        case ActionState.SENT:
            return told(request, _onward(request, sent), f"Sent; nothing was answered.{behind}")
    says = f"Recorded, but nobody has answered: {acted.trouble or 'it is not known why'}. Ask again later.{behind}"
    return told(request, _onward(request, sent), says, is_good=False)


def _behind(given: Services, position: int) -> str:
    """Wait for the tables; what is to be said where they are slow."""
    if position and from_thread.run(given.reached, position, WAIT) < position:
        return " The pages will show it in a moment."
    return ""


def _own(given: Services, principal: Principal, shipment_id: str) -> dict[str, Any]:
    """The row of a shipment of the account. Raises `ShipmentNotFound`."""
    found = shipments.find(given.runtime.database, shipment_id, principal.account)
    row = next((one for one in found if one["shipment_id"] == shipment_id), None)
    if row is None:
        raise ShipmentNotFound(f"there is no shipment {shipment_id!r}")
    return row


def _onward(request: Request, sent: Sent) -> str:
    return sent.next or link(root(request), f"/shipments/{sent.shipment_id}")


def _came_from(request: Request) -> str:
    """The page from which a form was opened, to go back to."""
    came = urlsplit(request.headers.get("referer", ""))
    if came.netloc != request.url.netloc:
        return ""
    return f"{came.path}?{came.query}" if came.query else came.path
