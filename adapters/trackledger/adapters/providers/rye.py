"""What does a Rye message say about its orders and shipments?

Source: docs.rye.com ("Tracking shipments", "Webhooks", "orderByID") and rye.com/docs/api-v2 ("Webhooks", "Shipments").
Two generations of Rye are in use side by side. The first sells orders: it says that a carrier's number was obtained,
and nothing of the journey, for which it sends its users to others, such as AfterShip. The second tells of shipments up
to their delivery; its webhooks are hints to ask.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trackledger.adapters.providers.base import Abilities, Cadence, Message
from trackledger.adapters.providers.reading import load_object, shown
from trackledger.adapters.providers.rye_codes import HANDSHAKE, HANDSHAKE_2, TRACKING_OBTAINED
from trackledger.adapters.providers.rye_orders import from_answer, from_webhook, rye_id
from trackledger.adapters.providers.rye_shipments import from_hint, from_page, from_shipment
from trackledger.adapters.providers.verifying import (
    Endpoint,
    Request,
    Unverified,
    from_base64,
    from_hex,
    require_hmac,
)
from trackledger.domain.checkpoints import Report
from trackledger.domain.errors import MessageError, Unreadable
from trackledger.domain.milestones import Milestone

if TYPE_CHECKING:
    from trackledger.adapters.providers.asking import Access, Client

SIGNATURE = "rye-hmac-signature-v1"
SIGNATURE_2 = "x-rye-signature"
DEVELOPER = "rye-verification"

_HOUR = timedelta(hours=1)


class Rye:
    """References are an order's id, `order:carrier:number` for a parcel of it, and a shipment's id in the second
    generation. Only the second has a list of changes, estimates, and times of a journey."""

    name = "rye"
    title = "Rye"
    reference_form = r"[^:]+(?::[^:]*:(?P<tracking_number>.+))?"
    reference_like = "5f0c7d52-90ab-4a5e-8a39-6d1c2b7e4f11:ups:1Z4E77W80391264450"
    abilities = Abilities(
        push="hmac",
        zones="stated",
        checkpoint_ids="some",
        estimates=("provider",),
        ndr_reasons="none",
        pieces=True,
        sweep="messages",
        batch=1,
        per_second=1,
        follow_up=r"[^:]+:[^:]*:.+",
        accepted=200,
    )
    # Our own defaults. An order that was just placed is asked about soon, then twice a day until it has a number; what
    # comes after that is heard from others, or from the list of changes.
    cadence = Cadence(
        24 * _HOUR,
        {
            Milestone.UNKNOWN: _HOUR,
            Milestone.INFO_RECEIVED: 12 * _HOUR,
            Milestone.ON_HOLD: 12 * _HOUR,
            Milestone.DELAYED: 12 * _HOUR,
            Milestone.OUT_FOR_DELIVERY: 6 * _HOUR,
        },
    )

    def normalize(self, message: Message) -> list[Report]:
        """The order and its parcels, or one report per shipment; which of the forms it is, the body tells."""
        body = load_object("rye", message.body)
        if "source" in body:
            raise from_hint(body)
        if "type" in body:
            return from_webhook(message, body)
        if isinstance(body.get("data"), list):
            return from_page(message, body["data"])
        if "data" in body or "errors" in body:
            return from_answer(message, body)
        if "checkoutIntentId" in body:
            return from_shipment(message, body)
        raise Unreadable(f"rye: the body has none of type, data and checkoutIntentId, but {shown(sorted(body))}")

    def verify(self, request: Request, endpoint: Endpoint) -> None:
        """An HMAC over the body: base64 in `Rye-Hmac-Signature-V1` or, of the second generation, hexadecimal behind
        `v0=` in `x-rye-signature`; not both. Where the endpoint names a `sender`, messages of the first generation have
        to be of that `developerId`; the second names none."""
        first, second = request.headers.get(SIGNATURE), request.headers.get(SIGNATURE_2)
        if first is not None and second is not None:
            raise Unverified
        if second is not None:
            require_hmac(endpoint, request.body, from_hex(second.removeprefix("v0=")) if second[:3] == "v0=" else None)
            return
        require_hmac(endpoint, request.body, from_base64(first))
        stated = (_object(request.body).get("developerId"), request.headers.get(DEVELOPER, endpoint.sender))
        if endpoint.sender and stated != (endpoint.sender, endpoint.sender):
            raise Unverified

    def handshake(self, request: Request) -> bytes | None:
        """The challenge echoed, which one form of the second generation leaves to be told by the endpoint's id."""
        body = _object(request.body)
        kind, data, source = body.get("type"), body.get("data"), body.get("source")
        if kind not in (HANDSHAKE, HANDSHAKE_2):
            return None
        challenge = data.get("challenge") if isinstance(data, dict) else None
        if isinstance(challenge, str):
            return json.dumps({"challenge": challenge}).encode()
        id_ = source.get("id") if isinstance(source, dict) and kind == HANDSHAKE_2 else None
        return json.dumps({"id": id_, "challenge": id_}).encode() if isinstance(id_, str) else None

    def pokes(self, message: Message) -> Sequence[str]:
        """The order for which a number was obtained, as only the answer about it is sure to have the number, and the
        shipments that hints of the second generation name."""
        body = _object(message.body)
        rows = body["data"] if isinstance(body.get("data"), list) else [body]
        return tuple(dict.fromkeys(reference for row in rows if (reference := _poked(row))))

    def client(self, access: "Access") -> "Client":
        # Reading a message does without HTTP, which takes longer to import.
        from trackledger.adapters.providers.rye_client import connect

        return connect(access)


PROVIDER = Rye()


def _object(body: bytes) -> dict[str, Any]:
    """The body, empty where it is none that could be read."""
    try:
        return load_object("rye", body)
    except MessageError:
        return {}


def _poked(row: Any) -> str:
    if not isinstance(row, dict):
        return ""
    source = row.get("source")
    if isinstance(source, dict):
        said = source.get("id") if source.get("type") == "shipment" else None
    else:
        said = row.get("requestId") if row.get("type") == TRACKING_OBTAINED else None
    try:
        return rye_id(said, "id") if isinstance(said, str) else ""
    except Unreadable:
        return ""
