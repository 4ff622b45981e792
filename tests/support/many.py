"""A ledger of as many shipments as wanted, as different from each other as those of a shop: two months of two accounts.

The same number is the same shipment, whatever it is filled into. `NOW` is when all of this is looked at.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from support.simulated import standing
from trackledger.adapters.inbox import message
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.schedule import Schedule
from trackledger.adapters.settings import Settings, Token
from trackledger.domain.checkpoints import (
    Assertion,
    AssertionKind,
    Channel,
    Checkpoint,
    Estimate,
    EstimateSource,
    Registration,
    Report,
    Tracker,
    content_digest,
    fingerprint,
)
from trackledger.domain.instructing import Wanted
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Moment, Precision, ZoneSource
from trackledger.domain.ndr_actions import Instruction, NdrAction

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAYS = 60
IST = 330
SECRET = "many-" + "m" * 24
TOKENS = (
    Token("shop", "default", "operate", SECRET, raw=True),
    Token("other", "elsewhere", "operate", "other-" + "o" * 24, raw=True),
)

ONCE_MORE = Wanted("once more", 1, Instruction(NdrAction.REATTEMPT), "shop")
TOGETHER = 1000
"""Shipments that are taken in at once."""

PROVIDERS = ("clickpost",) * 6 + ("ship24", "shippit", "aftership", "aftership")
CARRIERS = (
    "Delhivery", "Blue Dart", "Xpressbees", "Ecom Express", "Shadowfax", "DTDC", "Ekart", "Amazon Shipping", "DHL",
    "FedEx", "Aramex", "StarTrack",
)  # fmt: skip
SERVICES = ("surface", "express", "next_day")
CITIES = (
    "Faridabad", "Bengaluru", "Pune", "Mumbai", "Kolkata", "Chennai", "Hyderabad", "Jaipur", "Lucknow", "Guwahati",
    "Kochi", "Surat",
)  # fmt: skip
WORDS = {
    "info_received": "Shipment details received from the client",
    "picked_up": "Shipment picked up from the client's warehouse",
    "in_transit": "Bag added to trip, vehicle departed from the facility",
    "arrived": "Shipment received at the destination facility",
    "out_for_delivery": "Out for delivery with the field executive",
    "delivery_failed": "Consignee unavailable, delivery attempted at the address",
    "delivered": "Delivered to consignee",
}
START = ("info_received", "picked_up", "in_transit", "in_transit", "arrived")
VISIT = ("out_for_delivery", "delivery_failed")
ENDS: Sequence[tuple[float, tuple[str, ...]]] = (
    (0.70, (*START, "out_for_delivery", "delivered")),
    (0.10, (*START, *VISIT, "out_for_delivery", "delivered")),
    (0.06, (*START, *VISIT, *VISIT, *VISIT, "returning", "return:in_transit", "return:delivered")),
    (0.03, (*START, *VISIT)),
    (0.04, START[:4]),
    (0.02, START[:1]),
    (0.01, (*START[:3], "customs")),
    (0.01, (*START[:3], "lost")),
    (0.01, (*START[:1], "cancelled")),
    (0.02, (*START[:3], "unknown", "unknown")),
)
"""Which stories are told, and how often each."""


class Story(Struct, frozen=True):
    """One shipment: what the host says of it, if anything, and what the provider says, message by message."""

    registration: Registration | None
    reports: tuple[Report, ...]


def story(number: int) -> Story:
    """The shipment of a number, as far as it is told by `NOW`."""
    rng = Random(number)
    account = "elsewhere" if number % 10 == 9 else "default"
    provider, carrier = rng.choice(PROVIDERS), rng.choice(CARRIERS)
    waybill = str(35_412_000_000 + number)
    tracker = Tracker(provider, f"{CARRIERS.index(carrier)}:{waybill}", carrier, waybill)
    booked = NOW - timedelta(days=DAYS) + timedelta(seconds=rng.randrange(DAYS * 86_400))
    origin, destination = rng.choice(CITIES[:4]), rng.choice(CITIES)
    details = {
        "order_id": f"ORD-{number}",
        "carrier": carrier,
        "service": SERVICES[number % len(SERVICES)],
        "origin": origin,
        "destination": destination,
    }
    (steps,) = rng.choices([told for _, told in ENDS], [share for share, _ in ENDS])
    scans = []
    at = booked
    for place, step in enumerate(steps):
        at += timedelta(hours=rng.uniform(3, 22))
        if at > NOW:
            break
        scans.append(_scan(number, place, step, at, origin if place < 3 else destination))
    due = booked + timedelta(days=rng.randint(3, 7))
    registration = None
    if number % 10 < 7:
        promised = _estimate(EstimateSource.PROMISE, booked + timedelta(days=5))
        registered = details | {"registered_at": booked.isoformat()}
        registration = Registration(f"TL-{number}", account, (tracker,), registered, promised)
    told: tuple[tuple[Channel, list[Checkpoint], int], ...] = (
        ("webhook", scans[: len(scans) // 2], 0),
        ("poll", scans, rng.choice((0, 0, 1, 3))),
    )
    reports = [
        Report(
            account=account,
            tracker=tracker,
            message_id="",
            channel=channel,
            received_at=upto[-1].occurred.at + timedelta(minutes=20),
            checkpoints=tuple(upto),
            estimates=(_estimate(EstimateSource.CARRIER, due + timedelta(days=later)),),
            assertions=(Assertion(AssertionKind.STUCK, "yes" if rng.random() < 0.03 else "no"),),
            details=details,
        )
        for channel, upto, later in told
        if upto
    ]
    return Story(registration, tuple(_kept(report) for report in reports))


def _scan(number: int, place: int, step: str, at: datetime, city: str) -> Checkpoint:
    leg, _, name = step.rpartition(":")
    milestone = Milestone(name)
    said = name.replace("_", " ").capitalize()
    code = f"X{number % 40}" if milestone is Milestone.UNKNOWN else name[:3].upper()
    remark = WORDS.get(name, f"Shipment {said.lower()} at the hub of {city}")
    local = (at + timedelta(minutes=IST)).strftime("%Y-%m-%d %H:%M:%S")
    occurred = Moment(at.replace(microsecond=0), local, ZoneSource.ASSUMED, IST)
    reason = None
    if milestone is Milestone.DELIVERY_FAILED:
        reason = tuple(NdrReason)[number % len(NdrReason)]
    return Checkpoint(
        fingerprint=fingerprint(str(number), code, local, said, remark, city),
        digest=content_digest(occurred, code, said, city, remark),
        milestone=milestone,
        occurred=occurred,
        id=f"scan:{number}.{place}",
        leg=Leg(leg) if leg else Leg.FORWARD,
        status_code=code,
        status_said=said,
        location=f"{city}_Hub_{number % 9}",
        remark=remark,
        ndr_reason=reason,
    )


def _estimate(source: EstimateSource, at: datetime) -> Estimate:
    midnight = datetime(at.year, at.month, at.day, tzinfo=UTC) - timedelta(minutes=IST)
    day = Moment(midnight, str(at.date()), ZoneSource.ASSUMED, IST, Precision.DAY)
    return Estimate(source, day, day, offset=IST)


def _kept(report: Report) -> Report:
    return replace(report, message_id=raw(report).message_id)


def raw(report: Report) -> Message:
    """The message that a report is of, about as long as a provider's."""
    scans = [
        {"id": c.id, "at": c.occurred.said, "status": c.status_said, "remark": c.remark} for c in report.checkpoints
    ]
    body = json.dumps({"waybill": report.tracker.tracking_number, "scans": scans}).encode()
    return message(
        report.tracker.provider,
        body,
        account=report.account,
        channel=report.channel,
        received_at=report.received_at,
    )


def settings(url: str) -> Settings:
    """Settings under which it is `NOW` when such a ledger is asked."""
    return Settings(url, tokens=TOKENS, clock=standing(NOW))


def fill(runtime: Runtime, shipments: int) -> Iterator[int]:
    """Fill a ledger with that many shipments, their messages, some that are parked, and the schedule; gives how many
    are there so far."""
    for first in range(0, shipments, TOGETHER):
        numbers = range(first, min(first + TOGETHER, shipments))
        stories = [story(number) for number in numbers]
        runtime.inbox.append([raw(report) for one in stories for report in one.reports])
        with runtime.database.transaction() as transaction:
            transaction.execute("UPDATE {s}messages SET state = 'done' WHERE state = 'waiting'")
        runtime.ledger.register([one.registration for one in stories if one.registration])
        failed: list[str] = []
        for wave in (0, 1):
            told = [one.reports[wave] for one in stories if len(one.reports) > wave]
            fed = list(zip(told, runtime.ledger.intake(told), strict=True))
            with runtime.database.transaction() as transaction:
                Schedule.add(
                    transaction, [(one.account, receipt.shipment_id, one.tracker) for one, receipt in fed], NOW
                )
            failed += [
                receipt.shipment_id
                for one, receipt in fed
                if wave and one.checkpoints[-1].milestone is Milestone.DELIVERY_FAILED
            ]
        for shipment_id in failed[::3]:
            runtime.ledger.request_ndr_action(shipment_id, ONCE_MORE)
        runtime.intake.take([broken(number) for number in numbers if number % 50 == 0])
        runtime.projector.catch_up()
        yield numbers[-1] + 1


def broken(number: int) -> Message:
    """A message that cannot be read, and is parked; a third of them are of the account `default`."""
    account = "elsewhere" if number % 150 else "default"
    return message("clickpost", b'{"broken": %d' % number, account=account, received_at=NOW - timedelta(minutes=number))
