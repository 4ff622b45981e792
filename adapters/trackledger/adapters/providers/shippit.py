"""What does a Shippit message say about its order?

Source: developer.shippit.com, "Tracking schema", "Tracking responses", "Webhook schema", "Webhook examples" and
"Webhooks". A poll answers with the whole history of one order; a webhook is a snapshot of its state and of the history
up to then, so that each later one only adds. Neither numbers what it tells.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from trackledger.adapters.providers.base import Abilities, Message
from trackledger.adapters.providers.reading import load_object, read, reference, shown
from trackledger.adapters.providers.shippit_codes import CADENCE, LEGS, MILESTONES, NDR_REASONS, slug
from trackledger.adapters.providers.shippit_times import expected, instant, local, zone
from trackledger.adapters.providers.shippit_wire import Polled, Webhook
from trackledger.adapters.providers.verifying import Endpoint, Request, require_secret
from trackledger.domain.checkpoints import (
    Assertion,
    AssertionKind,
    Checkpoint,
    Estimate,
    EstimateSource,
    Report,
    Tracker,
    content_digest,
    fingerprint,
)
from trackledger.domain.errors import Ignored, MessageError, Unreadable
from trackledger.domain.milestones import Leg, Milestone
from trackledger.domain.moments import Moment

if TYPE_CHECKING:
    from trackledger.adapters.providers.asking import Access, Client

MAX_NUMBER = 100

WEBHOOK_HEADER = "x-shippit-webhook-token"

_A_MOMENT = timedelta(microseconds=1)


class Shippit:
    """The reference is Shippit's own tracking number, letter by letter as it is written.

    A status is identified by its slug and its instant to the second, in both channels. Polls have local digits without
    a zone, read in the IANA zone `zone` of the context, else in Sydney's. Where that is the right one, poll and webhook
    are two versions of one checkpoint, and the webhook's stands, whichever came first. Where it is not, they stay two
    statements at two times: nothing in a message could tell.
    """

    name = "shippit"
    title = "Shippit"
    reference_form = r"(?P<tracking_number>.{1,100})"
    reference_like = "PPk3TqW8nHs2D"
    abilities = Abilities(
        push="secret",
        zones="mixed",
        checkpoint_ids="none",
        estimates=("provider",),
        ndr_reasons="stated",
        pieces=False,
        sweep="",
        batch=1,
        per_second=1,
        accepted=200,  # what it expects is documented nowhere; its own plugins answer this
    )
    cadence = CADENCE

    def normalize(self, message: Message) -> list[Report]:
        """One report with every status that the message tells.

        What an earlier message told and this one does not is not taken back: Shippit promises nowhere that a history
        is complete.
        """
        body = load_object("shippit", message.body)
        if "order_event" in body:
            body = _unwrapped(body["order_event"])
        if "response" in body:
            return [_polled(message, read(Polled, "shippit", body["response"], "response"))]
        if "current_state" in body or "status_history" in body:
            return [_sent(message, read(Webhook, "shippit", body))]
        raise _no_message(body)

    def verify(self, request: Request, endpoint: Endpoint) -> None:
        """A secret in a header of your own that Shippit is configured to send, `X-Shippit-Webhook-Token` unless
        `endpoint.header` names another. Shippit signs nothing, so this proves the sender and not the body."""
        require_secret(endpoint, request.headers.get(endpoint.header.lower() or WEBHOOK_HEADER))

    def handshake(self, request: Request) -> bytes | None:
        return None

    def pokes(self, message: Message) -> Sequence[str]:
        """The order of a webhook whose history lacks its state: a poll may know when that began."""
        try:
            reports = self.normalize(message)
        except MessageError:
            return ()
        return [report.tracker.reference for report in reports if report.assertions and report.stated_at is None]

    def client(self, access: "Access") -> "Client":
        # Reading a message does without HTTP, which takes longer to import.
        from trackledger.adapters.providers.shippit_client import ShippitClient

        return ShippitClient(access)


PROVIDER = Shippit()


def _polled(message: Message, answer: Polled) -> Report:
    number = reference("shippit", answer.tracking_number, "response.tracking_number", MAX_NUMBER)
    where = _zone(message)
    checkpoints = _checkpoints(
        number,
        [
            (row.status, local(row.date, row.timestamp or "", f"response.track.{at}", where))
            for at, row in enumerate(answer.track or ())
        ],
    )
    if not checkpoints:
        raise Ignored(f"shippit: response.track of {shown(number)} is empty: nothing has happened yet")
    return Report(
        message.account,
        _tracker(number),
        message.message_id,
        message.channel,
        message.received_at,
        # An answer has no clock. Dated before all that it tells, it never stands over a webhook that tells the same:
        # there an offset is stated.
        stated_at=min(checkpoint.occurred.at for checkpoint in checkpoints) - _A_MOMENT,
        checkpoints=checkpoints,
    )


def _sent(message: Message, snapshot: Webhook) -> Report:
    number = reference("shippit", snapshot.tracking_number, "tracking_number", MAX_NUMBER)
    where = _zone(message)
    checkpoints = _checkpoints(
        number,
        [
            (row.status, instant(row.time, f"status_history.{at}.time", where))
            for at, row in enumerate(snapshot.status_history or ())
        ],
    )
    state = snapshot.current_state or ""
    estimates = tuple(_estimates(snapshot, where))
    if not (checkpoints or state or estimates):
        raise Ignored(
            f"shippit: current_state and status_history of {shown(number)} are empty: nothing has happened yet"
        )
    details = {
        "order_id": (snapshot.retailer_order_number or "").strip() or (snapshot.retailer_reference or "").strip(),
        "carrier": (snapshot.courier_name or "").strip(),
        "tracking_number": (snapshot.courier_job_id or "").strip(),
    }
    return Report(
        message.account,
        _tracker(number),
        message.message_id,
        message.channel,
        message.received_at,
        stated_at=_since(slug(state), checkpoints),
        checkpoints=checkpoints,
        estimates=estimates,
        # A state that the history lacks stays a claim: taken for a status at the time of its receipt, it would happen
        # again with every message, and when would be decided by which of them came first.
        assertions=(Assertion(AssertionKind.STATUS, slug(state), state),) if state else (),
        details={name: value for name, value in details.items() if value},
    )


def _since(state: str, checkpoints: Iterable[Checkpoint]) -> datetime | None:
    """Since when the order is in this state, which is as old as the snapshot can be; None unless it is the newest
    status of the history. A late snapshot so takes back neither state nor estimate of a newer one."""
    newest = max((checkpoint.occurred.at for checkpoint in checkpoints), default=None)
    states = {checkpoint.status_code for checkpoint in checkpoints if checkpoint.occurred.at == newest}
    return newest if state in states else None


def _estimates(snapshot: Webhook, where: ZoneInfo) -> Iterable[Estimate]:
    said = snapshot.expected_delivery_date
    if said and said.strip():
        due = expected(said, "expected_delivery_date", where)
        yield Estimate(EstimateSource.PROVIDER, due, due, offset=due.offset)


def _checkpoints(number: str, newest_first: Sequence[tuple[str, Moment]]) -> tuple[Checkpoint, ...]:
    """The statuses, each once. Of those of one second, one that the list has later happened earlier."""
    told: dict[str, Checkpoint] = {}
    of_second: dict[datetime, int] = {}
    for said, occurred in reversed(newest_first):
        code = slug(said)
        identity = fingerprint("shippit", number, code, str(occurred.at))
        if identity in told:
            continue
        order = of_second[occurred.at] = of_second.get(occurred.at, -1) + 1
        told[identity] = Checkpoint(
            fingerprint=identity,
            # How a status is spelled is no content. Whether its zone is stated is, and keeps polls and webhooks apart
            # as versions of one checkpoint.
            digest=content_digest(occurred, code, occurred.zone, "", str(order)),
            milestone=MILESTONES.get(code, Milestone.UNKNOWN),
            occurred=occurred,
            leg=LEGS.get(code, Leg.FORWARD),
            status_code=code,
            status_said=said,
            ndr_reason=NDR_REASONS.get(code),
            order=order,
        )
    return tuple(told.values())


def _tracker(number: str) -> Tracker:
    """Without the carrier, which polls do not name: both channels have to open the same tracker."""
    return Tracker("shippit", number, tracking_number=number)


def _zone(message: Message) -> ZoneInfo:
    try:
        return zone(message.context.get("zone", ""))
    except ValueError as error:
        raise Unreadable(f"shippit: zone of the request is {error}") from None


def _unwrapped(envelope: Any) -> dict[str, Any]:
    """The webhook inside the envelope that some relays put it into."""
    payload = envelope.get("payload") if isinstance(envelope, dict) else envelope
    if not isinstance(payload, dict):
        raise Unreadable(f"shippit: order_event.payload is {shown(payload)}: it must be an object")
    return payload


def _no_message(body: dict[str, Any]) -> MessageError:
    error = body.get("error")
    if isinstance(error, dict) and "order_id" in error:
        return Ignored(f"shippit: the order is not known, yet; Shippit says {shown(error['order_id'])}")
    if error is not None:
        return Unreadable(f"shippit: the body is an error, {shown(error)}, and not the history of an order")
    if "order" in body:
        return Unreadable("shippit: the body with 'order' looks like a request to register an order")
    # Only its keys: the values of a raw data webhook are about persons.
    return Unreadable(
        f"shippit: the body has neither response nor current_state, but {shown(sorted(body))}; of Shippit's webhooks, "
        "the one with mapped data is read, the one with raw data of a carrier is not"
    )
