"""What does Rye's first generation say: webhooks about an order, and answers to `orderByID`?

An order is a shipment; each number that Rye obtains for it is a shipment of its own and a piece of the order's. Webhook
and answer tell of the same events, and nothing says that they do so under the same ids. So the ids of answers are not
used: the two meet where they name the same second, else both are kept, and both say the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from trackledger.adapters.providers.base import Message
from trackledger.adapters.providers.reading import MAX_TEXT, iso, read, read_each, reference, shown
from trackledger.adapters.providers.rye_codes import (
    CARRIERS,
    HANDSHAKE,
    NOT_OF_ORDERS,
    NUMBERS,
    ORDER_CLAIMS,
    ORDER_EVENTS,
    PLACES,
    TRACKING_OBTAINED,
    TYPE_NAMES,
)
from trackledger.adapters.providers.rye_wire import MAX_PARCELS, Announced, Order, OrderEvent, Webhook
from trackledger.domain.checkpoints import (
    Assertion,
    AssertionKind,
    Checkpoint,
    Report,
    Tracker,
    content_digest,
    fingerprint,
    squash,
)
from trackledger.domain.errors import Ignored, Unreadable
from trackledger.domain.milestones import Milestone
from trackledger.domain.moments import Moment

MAX_ID = 80
MAX_CARRIER = 64
MAX_NUMBER = 100


def rye_id(said: str, field: str) -> str:
    """The id of an order or shipment. It holds no colon: by its colons the reference of a parcel is told apart."""
    text = reference("rye", said, field, MAX_ID)
    if ":" in text:
        raise Unreadable(f"rye: {field} is {shown(text)}: an id without a colon is needed")
    return text


def parcel_reference(order: str, carrier: str, number: str) -> str:
    """`order:carrier:number`, the same however carrier and number were typed. Raises `Unreadable` where one of them is
    too long or cannot be printed."""
    carrier = squash(carrier).replace(":", " ")
    if not (len(carrier) <= MAX_CARRIER and carrier.isprintable()):
        raise Unreadable(f"rye: the carrier is {shown(carrier)}: up to {MAX_CARRIER} printable characters are needed")
    return f"{order}:{carrier}:{reference('rye', number.strip().upper(), 'the tracking number', MAX_NUMBER)}"


def from_webhook(message: Message, body: Mapping[str, Any]) -> list[Report]:
    """The order's report and, where the webhook announces numbers, one for each of them after it."""
    event = read(Webhook, "rye", body)
    kind = reference("rye", event.type, "type")
    if kind == HANDSHAKE:
        raise Ignored(f"rye: {kind} only tests the endpoint")
    if kind.startswith(NOT_OF_ORDERS):
        raise Ignored(f"rye: {shown(kind)} is about no order; it makes no statement about a parcel")
    if event.request_id is None:
        raise Unreadable(f"rye: requestId is missing; a webhook of type {shown(kind)} has to name its order")
    order = rye_id(event.request_id, "requestId")
    stated, occurred = _occurred(event.created_at, "createdAt")
    about, data = _About(message, order, stated), event.data or {}
    if kind in ORDER_CLAIMS:
        # The unit of an amount is documented of refunds only, so it is kept as it came.
        said = _reason(data) or (shown(data["amount"]) if "amount" in data else "")
        return [about.order(assertions=[Assertion(AssertionKind.STATUS, kind, said)])]
    # Different events of an order may come under one id.
    id_ = f"rye:{reference('rye', event.id, 'id')}:{kind}"
    parcels = {
        key: about.parcel(key, carrier, number, [_checkpoint(key, kind, occurred, id_)])
        for key, carrier, number in (_announced(order, data) if kind == TRACKING_OBTAINED else ())
    }
    checkpoint = _checkpoint(order, kind, occurred, id_, _reason(data))
    return [about.order([checkpoint], _split(len(parcels))), *parcels.values()]


def from_answer(message: Message, body: Mapping[str, Any]) -> list[Report]:
    """The order's report and one for each of its shipments after it.

    Of an order that was not submitted yet nothing is known, and errors beside data make the data worthless.
    """
    data = body.get("data")
    if body.get("errors"):
        raise Unreadable(f"rye: the answer has errors, so that its data cannot be relied on: {shown(body['errors'])}")
    if not isinstance(data, dict) or "orderByID" not in data:
        what = shown(sorted(data) if isinstance(data, dict) else data)
        raise Unreadable(f"rye: data is {what}: the answer to orderByID is needed")
    if is_not_yet(data["orderByID"]):
        raise Ignored("rye: orderByID knows nothing yet of the order that was asked about")
    said = read(Order, "rye", data["orderByID"], "data.orderByID")
    order = rye_id(said.id, "data.orderByID.id")
    about, events = _About(message, order), list(_events(said.events or ()))
    # A shipment has no time. With a single event that a number was obtained it is this one's; of more than one nothing
    # says which is whose.
    obtained = [at for kind, at, _ in events if kind == TRACKING_OBTAINED]
    obtained = obtained if len(obtained) == 1 else []
    had: set[str] = set()

    def parcel(part: tuple[int, Any]) -> Report | None:
        row = read(Announced, "rye", part[1], f"data.orderByID.shipments.{part[0]}")
        carrier, number = (row.carrier_name or "").strip(), (row.carrier_tracking_number or "").strip()
        key = parcel_reference(order, carrier, number) if number else ""
        if not key or key in had:
            return None
        had.add(key)
        return about.parcel(key, carrier, number, [_checkpoint(key, TRACKING_OBTAINED, at) for at in obtained])

    refused: Unreadable | None = None
    try:
        parcels: Sequence[Report] = read_each(enumerate(said.shipments or ()), parcel)
    except Unreadable as reason:
        refused, parcels = reason, reason.readable
    status = (said.status or "").strip()
    claims = [Assertion(AssertionKind.STATUS, status)] if status else []
    told = [_checkpoint(order, kind, at, reason=why) for kind, at, why in events if kind not in ORDER_CLAIMS]
    reports = [about.order(told, [*claims, *_split(len(parcels))]), *parcels]
    if refused:
        raise Unreadable(str(refused), reports)
    if not told and not claims and not parcels:
        raise Ignored(f"rye: orderByID names the order {shown(order)} and says nothing of it")
    return reports


def is_not_yet(order: Any) -> bool:
    """Whether this is what `orderByID` says until an order was submitted: null, or pending without anything."""
    if not isinstance(order, dict):
        return order is None
    return order.get("status") == "PENDING" and not order.get("events") and not order.get("shipments")


class _About:
    """What all reports of one message about one order share; `stated_at` is the time of a webhook."""

    def __init__(self, message: Message, order: str, stated_at: datetime | None = None) -> None:
        self._message = message
        self._order = order
        self._stated_at = stated_at

    def order(self, checkpoints: Iterable[Checkpoint] = (), assertions: Iterable[Assertion] = ()) -> Report:
        return self._report(Tracker("rye", self._order), checkpoints, assertions)

    def parcel(self, key: str, carrier: str, number: str, checkpoints: Iterable[Checkpoint]) -> Report:
        tracker = Tracker("rye", key, " ".join(carrier.split()), number)
        return self._report(tracker, checkpoints, piece_of=self._order)

    def _report(
        self,
        tracker: Tracker,
        checkpoints: Iterable[Checkpoint],
        assertions: Iterable[Assertion] = (),
        piece_of: str = "",
    ) -> Report:
        details = {"order_id": self._order, "carrier": tracker.carrier, "tracking_number": tracker.tracking_number}
        # Events of one kind and second are one statement, the last of them.
        distinct = {c.key: c for c in sorted(checkpoints, key=lambda c: (c.occurred.at, c.digest))}
        return Report(
            account=self._message.account,
            tracker=tracker,
            message_id=self._message.message_id,
            channel=self._message.channel,
            received_at=self._message.received_at,
            stated_at=self._stated_at,
            checkpoints=tuple(distinct.values()),
            assertions=tuple(assertions),
            details={name: value for name, value in details.items() if value},
            piece_of=piece_of,
        )


def _checkpoint(key: str, kind: str, occurred: Moment, id_: str = "", reason: str = "") -> Checkpoint:
    return Checkpoint(
        fingerprint=fingerprint("rye", key, kind, f"{occurred.at:%Y-%m-%dT%H:%M:%S}"),
        digest=content_digest(occurred, kind, kind, "", reason),
        milestone=ORDER_EVENTS.get(kind, Milestone.UNKNOWN),
        occurred=occurred,
        id=id_,
        status_code=kind,
        status_said=kind,
        remark=reason,
    )


def _split(parcels: int) -> tuple[Assertion, ...]:
    """That nothing more is to be heard of the order itself, once there are parcels."""
    return (Assertion(AssertionKind.SPLIT, str(parcels)),) if parcels else ()


def _events(said: Iterable[OrderEvent]) -> Iterator[tuple[str, Moment, str]]:
    """Kind, time and reason of each event of an answer."""
    for index, event in enumerate(said):
        at = f"data.orderByID.events.{index}."
        name = reference("rye", event.type_name, f"{at}__typename")
        _, occurred = _occurred(event.created_at, f"{at}createdAt")
        yield TYPE_NAMES.get(name, name), occurred, (event.reason or "").strip()


def _occurred(said: str, field: str) -> tuple[datetime, Moment]:
    """The instant of an event, and its second: some messages write milliseconds and some do not, and nothing but time
    and kind tells that they are about the same event."""
    exact = iso("rye", said, field, UTC)
    return exact.at, replace(exact, at=exact.at.replace(microsecond=0))


def _reason(data: Mapping[str, Any]) -> str:
    said = data.get("reason")
    return said.strip() if isinstance(said, str) and len(said) <= MAX_TEXT and "\x00" not in said else ""


def _announced(order: str, data: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Reference, carrier and number of the parcels that the first telling place names.

    Only both together are a parcel: the answer to `orderByID`, which has both, must lead to the same reference.
    """
    for place in (*map(data.get, PLACES), data):
        rows = place[:MAX_PARCELS] if isinstance(place, list) else [place]
        named = [(_word(row, CARRIERS), _word(row, NUMBERS)) for row in rows if isinstance(row, dict)]
        if found := [(carrier, number) for carrier, number in named if carrier and number]:
            for carrier, number in found:
                with suppress(Unreadable):
                    yield parcel_reference(order, carrier, number), carrier, number
            return


def _word(row: Mapping[str, Any], names: Iterable[str]) -> str:
    said = (row.get(name) for name in names)
    texts = (str(one).strip() for one in said if isinstance(one, str | int) and not isinstance(one, bool))
    return next((text for text in texts if text), "")
