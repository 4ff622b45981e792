"""What does a Shiplemon message say about its shipments?

Source: docs.shiplemon.com ("Tracking", "Get shipment", "Get shipments", "Update shipment", "Errors"). A message is the
answer to a request for the tracking of a shipment, which does not name it, for the shipment itself, or for all of them,
and the answer to a history that was replaced. Each holds the whole history as it is now. There are no webhooks.

That a shipment was cancelled is not to be seen in any of them: the tracking stays as it was, and of the values of
`state` only "created" is published.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from trackledger.adapters.providers.base import Abilities, Cadence, Message
from trackledger.adapters.providers.reading import clock, iso, load_object, read, read_each, shown
from trackledger.adapters.providers.shiplemon_codes import NOT_FOUND, meaning, normal
from trackledger.adapters.providers.shiplemon_wire import Row, Shipment
from trackledger.adapters.providers.verifying import Endpoint, Request, Unverified
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
from trackledger.domain.errors import Ignored, Unreadable
from trackledger.domain.milestones import FINAL, Leg, Milestone
from trackledger.domain.moments import Moment

if TYPE_CHECKING:
    from trackledger.adapters.providers.asking import Access, Client

MAX_SHIPMENTS = 1000

VOUCHERS = "vouchers"
"""The value of `about` in the context of an answer that is read for what a tracking answer leaves out, and no more."""

_TOLD_BY_TRACKING = ("tracking_history", "tracking_status", "driver", "carrier", "service", "rate")

_BACK = frozenset({Milestone.RETURNING, Milestone.RETURNED})


class Shiplemon:
    """The context's `shipment_id` names the shipment where the answer does not.

    Shiplemon writes every time with a `Z`, which is believed. There is reason to doubt it: some couriers' times look
    like Greek local ones. Whoever knows better says so with the context's `zone`: `Europe/Athens` for all, or
    `elta=Europe/Athens,acs=Europe/Athens` by `driver`.
    """

    name = "shiplemon"
    title = "Shiplemon"
    reference_form = r"[0-9A-Za-z_-]{1,100}"
    reference_like = "68f1c2a49be0d7315c4e9a02"
    abilities = Abilities(
        push="",
        zones="stated",
        checkpoint_ids="none",
        estimates=("sla",),
        ndr_reasons="inferred",
        pieces=True,
        sweep="",
        batch=1,
        per_second=2,
    )
    # Shiplemon asks to be called at these two minutes; that final states are asked about rarely is our own choice.
    cadence = Cadence(timedelta(minutes=30), dict.fromkeys(FINAL, timedelta(hours=12)), minutes=(5, 35))

    def normalize(self, message: Message) -> list[Report]:
        """One report for each shipment of the answer, with its whole history."""
        body = load_object("shiplemon", message.body)
        if body.get("error") is not None:
            raise _error(body["error"])
        at, said = ("data", body["data"]) if "data" in body else ("", body)
        if isinstance(said, list):
            return _listed(message, said)
        report = _report(message, said, at, message.context.get("shipment_id", ""))
        if report is None:
            raise Ignored("shiplemon: nothing is known yet of the shipment of this answer")
        return [report]

    def verify(self, request: Request, endpoint: Endpoint) -> None:
        raise Unverified

    def handshake(self, request: Request) -> bytes | None:
        return None

    def pokes(self, message: Message) -> Sequence[str]:
        return ()

    def client(self, access: "Access") -> "Client":
        # Reading a message does without HTTP, which takes longer to import.
        from trackledger.adapters.providers.shiplemon_client import ShiplemonClient

        return ShiplemonClient(access)


PROVIDER = Shiplemon()

_ID = re.compile(Shiplemon.reference_form)


def _error(said: Any) -> Ignored | Unreadable:
    error: Mapping[str, Any] = said if isinstance(said, dict) else {"message": said}
    code, words = error.get("code"), shown(error.get("message"))
    if code == NOT_FOUND:
        return Ignored(f"shiplemon: error.code is {NOT_FOUND}: no such shipment, yet; Shiplemon says {words}")
    return Unreadable(f"shiplemon: the body is an error with the code {shown(code)}; Shiplemon says {words}")


def _listed(message: Message, rows: list[Any]) -> list[Report]:
    if len(rows) > MAX_SHIPMENTS:
        raise Unreadable(f"shiplemon: data has {len(rows):,} shipments, over the limit of {MAX_SHIPMENTS:,}")
    # An empty object is a shipment of which nothing is said.
    told = ((f"data.{index}", row) for index, row in enumerate(rows) if row != {})
    reports = read_each(told, lambda part: _report(message, part[1], part[0], ""))
    if not reports:
        raise Ignored("shiplemon: data lists no shipment of which anything is known")
    return reports


def _report(message: Message, said: Any, at: str, asked: str) -> Report | None:
    """What is said at the field path `at` of the shipment that was `asked` about, None where it is nothing."""
    if isinstance(said, dict):
        _refuse_others(said, at)
    shipment = read(Shipment, "shiplemon", said, at)
    at = f"{at}." if at else ""
    of = _id(_clean(shipment.id) or asked.strip(), f"{at}id")
    if _about(message) == VOUCHERS:
        shipment = shipment.model_copy(update=dict.fromkeys(_TOLD_BY_TRACKING))
    bought = shipment.rate
    service = shipment.service or (bought.service if bought else None)
    carrier = shipment.carrier or (bought.provider if bought else None)
    details = {
        "order_id": _clean(shipment.related_order_id),
        "carrier": _clean(carrier.name if carrier else None) or _clean(shipment.driver),
        "tracking_number": _clean(shipment.tracking_ref),
        "service": _clean(service.name if service else None),
        "origin": _clean(shipment.country_from),
        "destination": _clean(shipment.country_to),
        "registered_at": "",
    }
    if shipment.created_at:
        registered = clock("shiplemon", shipment.created_at, f"{at}created_at")
        details["registered_at"] = registered.isoformat().replace("+00:00", "Z")
    days = service.estimated_delivery_in_days if service else None
    checkpoints = _checkpoints(message, shipment, of, at)
    report = Report(
        account=message.account,
        tracker=Tracker("shiplemon", of, details["carrier"], details["tracking_number"]),
        message_id=message.message_id,
        channel=message.channel,
        received_at=message.received_at,
        checkpoints=checkpoints,
        estimates=() if days is None else (Estimate(EstimateSource.SLA, days_from=days, days_to=days),),
        assertions=tuple(_assertions(shipment)),
        details={name: value for name, value in details.items() if value},
        # An empty history is what a new shipment has; it must not withdraw what was once said.
        whole_history=bool(checkpoints),
    )
    says_more = report.checkpoints or report.estimates or report.assertions
    return report if says_more or report.details.keys() - {"carrier", "tracking_number"} else None


def _refuse_others(said: Mapping[str, Any], at: str) -> None:
    where = at or "the body"
    if "tracking_history" not in said and "tracking_status" not in said:
        raise Unreadable(
            f"shiplemon: {where} has neither tracking_status nor tracking_history, but {shown(sorted(said))}"
        )
    if said.keys() == {"tracking_history"}:
        raise Unreadable(f"shiplemon: {where} looks like a request to replace a history, not like the answer to it")


def _id(said: str, field: str) -> str:
    if not said:
        raise Unreadable(
            "shiplemon: the answer does not name its shipment; say which one was asked about, "
            "with the context's shipment_id (--context shipment_id=…)"
        )
    if not _ID.fullmatch(said):
        raise Unreadable(f"shiplemon: {field} is {shown(said)}: 1 to 100 letters, digits, hyphens and _ are needed")
    return said


def _about(message: Message) -> str:
    about = message.context.get("about", "")
    if about not in ("", VOUCHERS):
        raise Unreadable(f"shiplemon: about of the request is {shown(about)}: {VOUCHERS} or nothing is needed")
    return about


def _checkpoints(message: Message, shipment: Shipment, of: str, at: str) -> tuple[Checkpoint, ...]:
    """Every row once; of those that are told apart by nothing else, the one with an exact status."""
    zones = _zones(message.context.get("zone", ""))
    zone = zones.get(_clean(shipment.driver).casefold()) or zones.get("")
    rows: dict[str, Checkpoint] = {}
    for index, row in enumerate(shipment.tracking_history or ()):
        one = _checkpoint(row, of, zone, f"{at}tracking_history.{index}.status_date")
        other = rows.get(one.key)
        if other is None or (other.status_code, other.occurred.said) < (one.status_code, one.occurred.said):
            rows[one.key] = one
    return tuple(rows.values())


def _checkpoint(row: Row, of: str, zone: tzinfo | None, field: str) -> Checkpoint:
    status, exact = _clean(row.status), _clean(row.status_exact)
    # One text in both of its Unicode spellings, and however its blanks run, is one statement.
    text = normal("NFC", _clean(row.status_details))
    stated = iso("shiplemon", row.status_date, field)
    occurred = stated if zone is None else _relabelled(row.status_date, field, zone)
    milestone, reason = meaning(status, exact, text)
    code = f"{status}:{exact}" if exact else status
    return Checkpoint(
        # The instant as Shiplemon gives it: a better zone amends a statement and makes no other one of it. Nor is the
        # exact status part of it, which may be filled in later.
        fingerprint=fingerprint("shiplemon", of, status, str(stated.at), text),
        digest=content_digest(occurred, code, text, "", ""),
        milestone=milestone,
        occurred=occurred,
        leg=Leg.RETURN if milestone in _BACK else Leg.FORWARD,
        status_code=code,
        status_said=text,
        ndr_reason=reason,
        ndr_inferred=reason is not None,
    )


def _relabelled(said: str, field: str, zone: tzinfo) -> Moment:
    """The digits before a `Z` that is not believed, in the zone that is."""
    return replace(iso("shiplemon", said.strip().rstrip("Zz"), field, zone), said=said)


def _assertions(shipment: Shipment) -> Iterator[Assertion]:
    """Claims about the whole shipment. Its status is none of its rows: it may contradict all of them."""
    if status := _clean(shipment.tracking_status):
        yield Assertion(AssertionKind.STATUS, status)
    if shipment.child_vouchers is not None:
        # The shipment's own voucher is one of the pieces, and may be listed among the others again.
        numbers = {_clean(ref) for ref in (shipment.tracking_ref, *(v.tracking_ref for v in shipment.child_vouchers))}
        numbers.discard("")
        yield Assertion(AssertionKind.PIECES, str(max(1, len(numbers))), ", ".join(sorted(numbers)))


@lru_cache(maxsize=64)
def _zones(said: str) -> Mapping[str, tzinfo]:
    """The zones of the request by driver; that of all others under the empty name."""
    zones: dict[str, tzinfo] = {}
    for part in filter(None, said.split(",")):
        driver, _, name = part.rpartition("=")
        try:
            zones[driver.strip().casefold()] = ZoneInfo(name.strip())
        except (KeyError, ValueError, OSError):
            needed = "a name like Europe/Athens, or elta=Europe/Athens, is needed"
            raise Unreadable(f"shiplemon: zone of the request is {shown(said)}: {needed}") from None
    return zones


def _clean(text: str | None) -> str:
    """Text without the blanks around it, those inside single."""
    return " ".join(text.split()) if text else ""
