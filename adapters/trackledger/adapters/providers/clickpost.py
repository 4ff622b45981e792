"""What does a ClickPost message say about its parcels?

Source: docs.clickpost.ai ("Tracking shipment using polling", "Tracking a shipment using webhook", "Tracking status
codes") and ClickPost's public documentation of 2016 to 2020. A track-order answer holds the whole history of each
waybill; a webhook is one scan, its outer object, and beside it the state of the parcel as a claim.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trackledger.adapters.providers.base import Abilities, Cadence, Message
from trackledger.adapters.providers.clickpost_answers import is_webhook, parcels
from trackledger.adapters.providers.clickpost_codes import (
    BY_TEXT,
    CARRIERS,
    FAILED_DELIVERY,
    FAILED_PICKUP,
    LEGS,
    MAX_BATCH,
    MAX_WAYBILL,
    MILESTONES,
    NDR_REASONS,
    RETURN_ORDER,
)
from trackledger.adapters.providers.clickpost_wire import Additional, Headline, Parcel, Scan, Webhook
from trackledger.adapters.providers.reading import load_object, read, read_each, reference, shown
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
    squash,
)
from trackledger.domain.errors import Ignored, InvalidStatement, Unreadable
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Moment, ZoneSource, day, moment
from trackledger.domain.ndr_actions import NdrAction

if TYPE_CHECKING:
    from trackledger.adapters.providers.asking import Access, Client

INDIA = 330
"""Minutes east of UTC. ClickPost gives the local digits of India, whatever `Z` or `+00:00` it writes behind them."""

WEBHOOK_HEADERS = ("webhook_key", "webhook-key", "authorization", "x-api-key")

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]?([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
"""A time of ClickPost; of those with other blanks inside (`14: 55: 13Z`), what is left without any."""


class ClickPost:
    """Times are read in the zone `zone_offset` of the context (minutes east of UTC), else in India's.

    The context's `cp_id` names the carrier where the body does not; without either the reference is `-:waybill`.
    """

    name = "clickpost"
    title = "ClickPost"
    reference_form = r"(?:[0-9]+|-):(?P<tracking_number>.{1,100})"
    reference_like = "4:4210610508756"
    abilities = Abilities(
        push="secret",
        zones="assumed",
        checkpoint_ids="some",
        estimates=("carrier", "sla"),
        ndr_reasons="stated",
        pieces=False,
        sweep="references",
        batch=MAX_BATCH,
        per_second=2,
        ndr_actions=tuple(NdrAction),
        ndr_references=r"[0-9]+:.{1,100}",
        accepted=200,  # it sends again whatever is answered otherwise
    )
    # ClickPost itself asks the carriers every two hours; without its list of changes each waybill once an hour. That
    # list covers half an hour a call.
    cadence = Cadence(timedelta(hours=1), sweep=timedelta(minutes=15))

    def normalize(self, message: Message) -> list[Report]:
        """One report per waybill of a track-order answer, or one with the single scan of a webhook.

        Which of the two it is, the body tells; the channel of the reports is that of the message. A waybill that
        ClickPost does not know yet says nothing, and when none says anything, the message is `Ignored`.
        """
        body = load_object("clickpost", message.body)
        if is_webhook(body):
            return [_webhook(message, read(Webhook, "clickpost", body))]
        waybills = parcels(body)
        reports = read_each(waybills.items(), lambda told: _polled(message, *told))
        if not reports:
            raise Ignored(f"clickpost: nothing is known yet of the waybills {shown(list(waybills))}")
        return reports

    def verify(self, request: Request, endpoint: Endpoint) -> None:
        """A secret in the header `webhook_key`, which proxies may spell with a hyphen or drop, or in `Authorization`
        just as it was typed into ClickPost's dashboard; in `endpoint.header` only, where that names one."""
        names = (endpoint.header.lower(),) if endpoint.header else WEBHOOK_HEADERS
        require_secret(endpoint, *(request.headers.get(name) for name in names))

    def handshake(self, request: Request) -> bytes | None:
        return None

    def pokes(self, message: Message) -> Sequence[str]:
        return ()

    def client(self, access: "Access") -> "Client":
        # Reading a message does without HTTP, which takes longer to import.
        from trackledger.adapters.providers.clickpost_client import ClickPostClient

        return ClickPostClient(access)


PROVIDER = ClickPost()


def _webhook(message: Message, scan: Webhook) -> Report:
    if scan.clickpost_status_code == RETURN_ORDER or scan.cp_id == -1:
        forward = shown(scan.additional.forward_awb if scan.additional else None)
        raise Ignored(
            f"clickpost: a return was ordered for the forward waybill {forward}; it is not a scan of a parcel"
        )
    if not scan.waybill.strip():
        raise Unreadable("clickpost: waybill is empty; the message has to name the parcel it is about")
    waybill = _waybill(scan.waybill, "waybill")
    return _report(message, waybill, scan.cp_id, Parcel(scans=[scan], additional=scan.additional), "")


def _polled(message: Message, key: str, said: Any) -> Report | None:
    waybill = _waybill(key, "a waybill of result")
    field = f"result.{waybill}"
    parcel = _parcel(said, field)
    if parcel.valid is False:
        return None
    cp_id = parcel.additional.courier_partner_id if parcel.additional else None
    report = _report(message, waybill, cp_id, parcel, f"{field}.")
    return report if _says_anything(report) else None


def _waybill(said: str, field: str) -> str:
    return reference("clickpost", said, field, MAX_WAYBILL)


def _parcel(said: Any, field: str) -> Parcel:
    """What is said of one waybill; until 2017 it was a bare list of scans."""
    if said is None:
        return Parcel()
    if not isinstance(said, dict | list):
        raise Unreadable(f"clickpost: {field} is {shown(said)}: it must be what is said of a waybill")
    return read(Parcel, "clickpost", {"scans": said} if isinstance(said, list) else said, field)


def _report(message: Message, waybill: str, cp_id: int | None, parcel: Parcel, at: str) -> Report:
    """`at` is the field path of the parcel with its final dot; empty for a webhook, which is no history."""
    offset = _context(message, "zone_offset", -720, 840)
    offset = INDIA if offset is None else offset
    cp_id = _context(message, "cp_id", 0, 999_999) if cp_id is None else cp_id
    about = parcel.additional or Additional()
    # ClickPost names a carrier in polls only; for the carriers we know, both channels must give the same name.
    carrier = CARRIERS.get(cp_id or 0) or _clean(about.courier_name or about.courier_partner_name)
    cp = "-" if cp_id is None else str(cp_id)
    checkpoints = _once(
        _checkpoint(scan, cp, waybill, offset, f"{at}scans.{index}." if at else "")
        for index, scan in enumerate(parcel.scans or ())
    )
    details = {
        "order_id": _clean(about.order_id),
        "carrier": carrier,
        "tracking_number": waybill,
        "origin": _clean(about.pickup_city),
        "destination": _clean(about.drop_city),
        "registered_at": "",
    }
    if parcel.latest_status and parcel.latest_status.created_at:
        registered = _utc(parcel.latest_status.created_at, f"{at}latest_status.", "created_at")
        details["registered_at"] = registered.isoformat().replace("+00:00", "Z")
    return Report(
        account=message.account,
        tracker=Tracker("clickpost", f"{cp}:{waybill}", carrier, waybill),
        message_id=message.message_id,
        channel=message.channel,
        received_at=message.received_at,
        checkpoints=checkpoints,
        estimates=tuple(_estimates(about, offset, f"{at}additional.")),
        assertions=tuple(_assertions(about, parcel.latest_status or about.latest_status, checkpoints)),
        details={name: value for name, value in details.items() if value},
        # An empty list is what a parcel without any scan has; it must not withdraw what was once said.
        whole_history=bool(at and checkpoints),
    )


def _once(scans: Iterable[Checkpoint]) -> tuple[Checkpoint, ...]:
    """Every scan once, wherever an answer repeats it. Of two contents under one number the one with the higher digest,
    which is the one that would stand."""
    told: dict[str, Checkpoint] = {}
    for scan in scans:
        other = told.setdefault(scan.key, scan)
        if other.digest < scan.digest:
            told[scan.key] = scan
    return tuple(told.values())


def _says_anything(report: Report) -> bool:
    said = report.checkpoints or report.estimates or report.assertions
    return bool(said or report.details.keys() - {"carrier", "tracking_number"})


def _checkpoint(scan: Scan, cp_id: str, waybill: str, offset: int, at: str) -> Checkpoint:
    code = scan.clickpost_status_code
    # ClickPost's own events are, unlike the carriers', stamped in UTC.
    digits, occurred = _time(scan.timestamp, at, "timestamp", 0 if code == RETURN_ORDER else offset)
    milestone, leg = _meaning(code, scan.clickpost_status_description)
    status, remark, location = _clean(scan.status), _clean(scan.remark), _clean(scan.location)
    said = status or _clean(scan.clickpost_status_description)
    number = str(code)
    return Checkpoint(
        # No zone, creation time or place in the list: webhooks and polls have to meet in one fingerprint.
        fingerprint=fingerprint(
            "clickpost", cp_id, waybill, number, digits, squash(status), squash(remark), squash(location)
        ),
        digest=content_digest(occurred, number, said, location, remark),
        milestone=milestone,
        occurred=occurred,
        id="" if scan.checkpoint_id is None else f"clickpost:{scan.checkpoint_id}",
        leg=leg,
        status_code=number,
        status_said=said,
        location=location,
        remark=remark,
        reported=_utc(scan.created_at, at, "created_at") if scan.created_at else None,
    )


def _meaning(code: int, description: str | None) -> tuple[Milestone, Leg]:
    milestone = MILESTONES.get(code)
    if milestone is not None:
        return milestone, LEGS.get(code, Leg.FORWARD)
    label = squash(description or "").replace(" ", "").replace("-", "").replace("_", "")
    return BY_TEXT.get(label, (Milestone.UNKNOWN, Leg.FORWARD))


def _assertions(about: Additional, headline: Headline | None, checkpoints: Iterable[Checkpoint]) -> Iterable[Assertion]:
    """Claims about the whole parcel. None is a scan: an NDR block stays when the parcel was delivered long ago."""
    if headline and headline.clickpost_status_code is not None:
        said = _clean(headline.clickpost_status_description)
        yield Assertion(AssertionKind.STATUS, str(headline.clickpost_status_code), said)
    if about.is_stuck is not None:
        yield Assertion(AssertionKind.STUCK, "yes" if about.is_stuck else "no")
    if about.is_rvp is not None:
        yield Assertion(AssertionKind.DIRECTION, str(Leg.RETURN if about.is_rvp else Leg.FORWARD))
    ndr, ndr_said = about.ndr_status_code, about.ndr_status_description
    if about.ndr and about.ndr.ndr_bucket_code is not None:
        ndr, ndr_said = about.ndr.ndr_bucket_code, about.ndr.ndr_description
    if ndr is not None:
        reason = NDR_REASONS.get(ndr, NdrReason.OTHER)
        failed = _newest(checkpoints, FAILED_DELIVERY)
        yield Assertion(AssertionKind.NDR, str(reason), _clean(ndr_said) or str(ndr), failed)
    if _clean(about.npr_status_code):
        failed = _newest(checkpoints, FAILED_PICKUP)
        said = _clean(about.npr_status_description)
        yield Assertion(AssertionKind.PICKUP_FAILURE, _clean(about.npr_status_code), said, failed)


def _newest(checkpoints: Iterable[Checkpoint], code: int) -> str:
    """The fingerprint of the newest scan of a code, empty without one."""
    found = [(c.occurred.at, c.fingerprint) for c in checkpoints if c.status_code == str(code)]
    return max(found)[1] if found else ""


def _estimates(about: Additional, offset: int, at: str) -> Iterable[Estimate]:
    if about.courier_partner_edd and about.courier_partner_edd.strip():
        said, field = about.courier_partner_edd, f"{at}courier_partner_edd"
        match = _TIME.fullmatch("".join(said.split()))
        try:
            # A calendar day, whatever follows it: shifting it to another zone would make it another day.
            expected = day(date.fromisoformat(match[1] if match else ""), said, offset)
        except InvalidStatement as error:
            raise Unreadable(f"clickpost: {field}: {error}") from None
        except ValueError:
            raise Unreadable(f"clickpost: {field} is {shown(said)}: a date like 2022-11-03 is needed") from None
        yield Estimate(EstimateSource.CARRIER, expected, expected, offset=offset)
    if about.edd:
        days = [d for d in (about.edd.min_sla, about.edd.max_sla) if d is not None]
        if about.edd.exact_sla is not None:
            days = [about.edd.exact_sla]
        if days:
            yield Estimate(EstimateSource.SLA, days_from=min(days), days_to=max(days), offset=offset)


def _time(text: str, at: str, field: str, offset: int) -> tuple[str, Moment]:
    """The local digits to the second, and their moment; zone and fraction are decoration and dropped."""
    match = _TIME.fullmatch(text) or _TIME.fullmatch("".join(text.split()))
    if match and match[2]:
        digits = f"{match[1]}T{match[2]}"
        try:
            return digits, moment(datetime.fromisoformat(digits), text, ZoneSource.ASSUMED, offset)
        except InvalidStatement as error:
            raise Unreadable(f"clickpost: {at}{field}: {error}") from None
        except ValueError:
            pass
    raise Unreadable(f"clickpost: {at}{field} is {shown(text)}: a time like 2022-10-31 19:56:16 is needed")


def _utc(text: str, at: str, field: str) -> datetime:
    """ClickPost's own clock, which is UTC although nothing says so."""
    return _time(text, at, field, 0)[1].at


def _clean(text: str | None) -> str:
    """The provider's text, empty for the word that some carriers send in place of nothing."""
    text = (text or "").strip()
    return "" if text == "None" else text


def _context(message: Message, name: str, least: int, most: int) -> int | None:
    said = message.context.get(name, "").strip()
    if said in ("", "-"):
        return None
    try:
        value = int(said)
    except ValueError:
        value = most + 1
    if not least <= value <= most:
        raise Unreadable(f"clickpost: {name} of the request is {shown(said)}: {least} to {most} is needed")
    return value
