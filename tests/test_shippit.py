"""Does the Shippit provider say what the messages say, and refuse what it cannot read?"""

import copy
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from support.messages import EXPECTED
from trackledger.adapters.inbox import message as kept
from trackledger.adapters.providers import provider
from trackledger.adapters.providers.base import Message, Provider
from trackledger.adapters.providers.shippit_codes import ALIASES, MILESTONES, NDR_REASONS
from trackledger.adapters.providers.verifying import Endpoint, Request, Unverified
from trackledger.adapters.runtime import Runtime
from trackledger.domain.checkpoints import Assertion, AssertionKind, Channel, Checkpoint, EstimateSource, Report
from trackledger.domain.errors import Ignored, MessageError, Unreadable
from trackledger.domain.events import LedgerEvent
from trackledger.domain.milestones import FINAL, Leg, Milestone, NdrReason
from trackledger.domain.moments import Precision, ZoneSource
from trackledger.domain.policies import status
from trackledger.domain.shipment import Shipment
from trackledger.domain.statements import Statements, Told, fold

FIXTURES = Path(__file__).parent / "fixtures" / "shippit"
RECEIVED = datetime(2026, 4, 20, 6, 0, tzinfo=UTC)
SHIPPIT: Provider = provider("shippit")

M = Milestone


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_bytes())


def message(body: Any, channel: Channel = "poll", context: Mapping[str, str] | None = None) -> Message:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Message("msg-1", "shippit", "default", channel, RECEIVED, raw, context or {})


def report_of(body: Any, channel: Channel = "poll", context: Mapping[str, str] | None = None) -> Report:
    (only,) = SHIPPIT.normalize(message(body, channel, context))
    return only


def report(name: str) -> Report:
    context = EXPECTED["shippit"][name].get("context", {})
    return report_of(fixture(name), "webhook" if name.startswith("webhook") else "poll", context)


def polled(*rows: tuple[str, str, Any], number: str = "PPk3TqW8nHs2D", **context: str) -> Report:
    """A poll of these rows, each a status, a date and a time, the newest first."""
    track = [{"status": said, "date": on, "timestamp": at} for said, on, at in rows]
    return report_of({"response": {"tracking_number": number, "track": track}}, "poll", context)


def sent(*rows: tuple[str, str], state: str = "in_transit", number: str = "PPk3TqW8nHs2D", **more: Any) -> Report:
    """A webhook of these rows, each a status and a time, the newest first."""
    history = [{"status": said, "time": at} for said, at in rows]
    body = {"tracking_number": number, "current_state": state, "status_history": history} | more
    return report_of(body, "webhook")


def scan(said: str) -> Checkpoint:
    (only,) = sent((said, "2026-03-02T05:48:19Z")).checkpoints
    return only


def refusal(body: Any, kind: type[MessageError] = Unreadable, context: Mapping[str, str] | None = None) -> str:
    with pytest.raises(kind) as caught:
        report_of(body, context=context)
    assert type(caught.value) is kind
    reason = str(caught.value)
    assert reason.startswith("shippit: ")
    assert reason.isprintable()
    assert len(reason) <= 400
    return reason


def states(of: Report) -> list[tuple[str, str, str]]:
    return [(str(claim.kind), claim.value, claim.said) for claim in of.assertions]


def heard(reports: Iterable[Report]) -> tuple[Statements, list[tuple[int, int, int]]]:
    """What a shipment amounts to that hears these reports, and of each how many it recorded, amended and repeated."""
    shipment = Shipment("default:shippit:PPk3TqW8nHs2D")
    placed: list[LedgerEvent] = []
    counted = []
    for of in reports:
        events, judgement = shipment.report(of, RECEIVED, withdrawals=True)
        assert judgement.withdrawn == 0
        for event in events:
            shipment.apply(event)
            placed.append(LedgerEvent(shipment.id, shipment.version, event, shipment.version))
        counted.append((judgement.recorded, judgement.amended, judgement.repeated))
    return fold(shipment.id, placed), counted


def told(reports: Iterable[Report]) -> list[Told]:
    return heard(reports)[0].told()


# Who sent it


def test_a_webhook_is_accepted_with_its_secret_in_the_header_that_shippit_is_configured_with() -> None:
    endpoint = Endpoint((SecretStr("one"), SecretStr("two")))
    for secret in ("one", "two"):
        SHIPPIT.verify(Request(b"{}", {"x-shippit-webhook-token": secret}), endpoint)
    for headers in ({}, {"x-shippit-webhook-token": "three"}, {"authorization": "one"}, {"x-shippit-platform": "one"}):
        with pytest.raises(Unverified):
            SHIPPIT.verify(Request(b"{}", headers), endpoint)


def test_a_header_of_your_own_is_then_the_only_one() -> None:
    endpoint = Endpoint((SecretStr("one"),), header="X-Shop")
    SHIPPIT.verify(Request(b"{}", {"x-shop": "one"}), endpoint)
    with pytest.raises(Unverified):
        SHIPPIT.verify(Request(b"{}", {"x-shippit-webhook-token": "one"}), endpoint)


def test_a_request_that_shippit_sends_waits_for_no_handshake() -> None:
    assert SHIPPIT.handshake(Request(b"{}", {"x-shippit-webhook-token": "one"})) is None


# What the messages say


def test_a_poll_is_told_status_by_status() -> None:
    of = report("poll_delivered")
    assert [(c.milestone, f"{c.occurred.at:%m-%d %H:%M:%S}", c.status_said) for c in of.checkpoints] == [
        (M.INFO_RECEIVED, "03-01 22:14:32", "Order Placed"),
        (M.INFO_RECEIVED, "03-02 00:02:07", "Despatch In Progress"),
        (M.PICKUP_SCHEDULED, "03-02 00:05:40", "Ready For Pick Up"),
        (M.IN_TRANSIT, "03-02 05:48:19", "In Transit"),
        (M.OUT_FOR_DELIVERY, "03-02 20:31:55", "With Driver"),
        (M.DELIVERED, "03-02 23:20:03", "Completed"),
    ]
    assert of.tracker.reference == of.tracker.tracking_number == "PPk3TqW8nHs2D"
    assert (of.estimates, of.assertions, of.details) == ((), (), {})
    assert not of.whole_history


def test_a_webhook_is_its_whole_history_and_a_claim() -> None:
    of = report("webhook_completed")
    assert [(c.milestone, c.status_code) for c in of.checkpoints] == [
        (M.INFO_RECEIVED, "order_placed"),
        (M.INFO_RECEIVED, "despatch_in_progress"),
        (M.PICKUP_SCHEDULED, "ready_for_pickup"),
        (M.IN_TRANSIT, "in_transit"),
        (M.OUT_FOR_DELIVERY, "with_driver"),
        (M.DELIVERED, "completed"),
    ]
    assert states(of) == [("status", "completed", "completed")]
    assert of.details == {
        "order_id": "TL-50117",
        "carrier": "Direct Freight Example",
        "tracking_number": "DFX0048812",
    }
    assert not of.whole_history


def test_both_channels_open_the_same_tracker() -> None:
    assert report("poll_delivered").tracker == report("webhook_completed").tracker


def test_the_reference_of_the_merchant_stands_in_for_an_order_number() -> None:
    of = sent(("in_transit", "2026-03-02T05:48:19Z"), retailer_order_number=" ", retailer_reference="#OD-7")
    assert of.details == {"order_id": "#OD-7"}


def test_the_channel_of_a_report_is_that_of_its_message() -> None:
    assert report_of(fixture("webhook_completed"), "poll").channel == "poll"
    assert report_of(fixture("poll_delivered"), "webhook").channel == "webhook"


def test_a_webhook_in_an_envelope_is_the_one_inside() -> None:
    enveloped = fixture("webhook_wrapped")
    assert report_of(enveloped, "webhook") == report_of(enveloped["order_event"]["payload"], "webhook")


def test_addresses_products_and_who_was_responsible_are_left_out() -> None:
    for name in ("webhook_completed", "poll_delivered", "webhook_wrapped"):
        written = msgspec.json.encode(report(name)).decode()
        for personal in ("Example Street", "Exampleville", "Example Person", "0000", "Outdoors", "tent", "-30.5"):
            assert personal not in written


# What a status means

DOCUMENTED = {
    "processing": M.INFO_RECEIVED,
    "order_placed": M.INFO_RECEIVED,
    "despatch_in_progress": M.INFO_RECEIVED,
    "awaiting_drop_off": M.INFO_RECEIVED,
    "ready_for_pickup": M.PICKUP_SCHEDULED,
    "pickup_failed": M.PICKUP_FAILED,
    "invalidated": M.PICKUP_FAILED,
    "cancelled": M.CANCELLED,
    "in_transit": M.IN_TRANSIT,
    "untrackable": M.UNKNOWN,
    "with_customs": M.CUSTOMS,
    "customs_awaiting_paym": M.CUSTOMS,
    "customs_on_hold": M.ON_HOLD,
    "customs_failed": M.EXCEPTION,
    "with_driver": M.OUT_FOR_DELIVERY,
    "delivery_attempted": M.DELIVERY_FAILED,
    "insufficient_address": M.DELIVERY_FAILED,
    "delivery_failed": M.DELIVERY_FAILED,
    "awaiting_collection": M.AVAILABLE_FOR_PICKUP,
    "parcel_completed": M.IN_TRANSIT,
    "partially_completed": M.IN_TRANSIT,
    "completed": M.DELIVERED,
    "lost": M.LOST,
    "damaged": M.DAMAGED,
    "returned_to_sender": M.RETURNED,
    "return_requested": M.INFO_RECEIVED,
    "return_booked": M.PICKUP_SCHEDULED,
    "return_booking_failed": M.EXCEPTION,
}
"""Every status that Shippit names."""


@pytest.mark.parametrize(("said", "milestone"), DOCUMENTED.items())
def test_every_documented_status_has_its_milestone(said: str, milestone: Milestone) -> None:
    for spelled in (said, said.replace("_", " ").title(), f" {said.upper()} "):
        assert scan(spelled).milestone is milestone


def test_no_status_is_mapped_that_is_not_documented() -> None:
    assert {ALIASES.get(said, said) for said in DOCUMENTED} == set(MILESTONES)
    assert set(ALIASES.values()) <= set(MILESTONES)
    assert not set(ALIASES) & set(MILESTONES)


@pytest.mark.parametrize(
    ("said", "slug"),
    [
        ("Booked for delivery", "ready_for_pickup"),
        ("Awaiting pickup / dropoff", "ready_for_pickup"),
        ("Packing Order", "despatch_in_progress"),
        ("In Progress", "despatch_in_progress"),
        ("Customs - awaiting payment", "customs_awaiting_payment"),
        ("customs_awaiting_paym", "customs_awaiting_payment"),
        ("Await Collection", "awaiting_collection"),
        ("Delivered", "completed"),
        ("WITH-DRIVER", "with_driver"),
    ],
)
def test_one_status_has_one_slug_however_it_is_spelled(said: str, slug: str) -> None:
    assert scan(said).status_code == slug
    assert scan(said).status_said == said
    assert scan(said).fingerprint == scan(slug).fingerprint


@pytest.mark.parametrize("said", ["ready_for_pickup", "Ready For Pick Up", "Ready For Pickup", "ready_for_pick_up"])
def test_ready_for_pickup_waits_for_the_carrier_and_not_for_the_consignee(said: str) -> None:
    assert scan(said).milestone is M.PICKUP_SCHEDULED
    for of in (polled((said, "2026-03-02", "11:05:40")), sent((said, "2026-03-02T00:05:40Z"))):
        assert status.conclude(of.checkpoints).milestone is M.PICKUP_SCHEDULED


def test_awaiting_collection_is_what_the_consignee_picks_up() -> None:
    assert status.conclude(report("webhook_awaiting_collection").checkpoints).milestone is M.AVAILABLE_FOR_PICKUP


def test_a_parcel_of_several_is_not_the_order() -> None:
    assert status.conclude(report("poll_one_of_two_parcels").checkpoints).milestone is M.IN_TRANSIT


def test_returned_to_the_sender_is_on_the_return_leg() -> None:
    of = report("webhook_returned_to_sender")
    assert [c.status_code for c in of.checkpoints if c.leg is Leg.RETURN] == ["returned_to_sender"]
    assert status.conclude(of.checkpoints).milestone is M.RETURNED


@pytest.mark.parametrize("later", ["return_requested", "return_booked", "return_booking_failed"])
def test_a_return_that_is_asked_for_takes_back_no_delivery(later: str) -> None:
    of = sent((later, "2026-03-05T00:00:00Z"), ("completed", "2026-03-02T23:20:03Z"), state=later)
    assert [c.leg for c in of.checkpoints] == [Leg.FORWARD, Leg.RETURN]
    assert status.conclude(of.checkpoints).milestone is M.DELIVERED


@pytest.mark.parametrize("said", ["insufficient_address", "Insufficient Address"])
def test_the_reason_that_a_status_names_is_stated(said: str) -> None:
    assert (scan(said).ndr_reason, scan(said).ndr_inferred) == (NdrReason.BAD_ADDRESS, False)


def test_no_other_status_has_a_reason() -> None:
    assert {said for said in DOCUMENTED if scan(said).ndr_reason is not None} == set(NDR_REASONS)


def test_an_unmapped_status_stays_unknown_and_verbatim() -> None:
    first, second = report("poll_unmapped").checkpoints
    assert (first.milestone, first.status_said) == (M.UNKNOWN, "Untrackable")
    assert (second.milestone, second.leg) == (M.UNKNOWN, Leg.FORWARD)
    assert (second.status_code, second.status_said) == ("flood_delay_depot_closed", "Flood Delay – Depot Closed")
    assert status.conclude(report("webhook_unmapped").checkpoints).milestone is M.IN_TRANSIT


def test_two_statuses_of_no_latin_letter_are_two() -> None:
    of = sent(("配達中", "2026-03-02T05:00:00Z"), ("集荷", "2026-03-02T05:00:00Z"), ("!!!", "2026-03-02T05:00:00Z"))
    assert sorted(c.status_code for c in of.checkpoints) == ["!!!", "配達中", "集荷"]


# When it happened


def test_seconds_of_the_day_are_its_time() -> None:
    (written,) = polled(("Completed", "2026-03-02", "16:23:05")).checkpoints
    (counted,) = polled(("Completed", "2026-03-02", 58985)).checkpoints
    assert counted.occurred.at == datetime(2026, 3, 2, 5, 23, 5, tzinfo=UTC)
    assert counted.occurred.said == "2026-03-02 58985"
    assert counted.occurred.precision is Precision.SECOND
    assert (counted.fingerprint, counted.digest) == (written.fingerprint, written.digest)


@pytest.mark.parametrize(
    ("clock", "time"),
    [
        (0, "00:00:00"),
        (59, "00:00:59"),
        (27212, "07:33:32"),
        (86399, "23:59:59"),
        (58985.0, "16:23:05"),
        ("58985", "16:23:05"),
        ("07:23:32", "07:23:32"),
        ("7:23", "07:23:00"),
        ("16:23", "16:23:00"),
        (" 16:23:05.250 ", "16:23:05"),
    ],
)
def test_a_time_of_day_has_several_forms(clock: Any, time: str) -> None:
    (scan,) = polled(("In Transit", "2026-03-02", clock), zone="UTC").checkpoints
    assert f"{scan.occurred.at:%Y-%m-%d %H:%M:%S}" == f"2026-03-02 {time}"


@pytest.mark.parametrize("day", ["2026-03-02", "2026-03-02T00:00:00.000Z", "2026-03-02 00:00:00 +0000", " 2026-03-02 "])
def test_a_date_with_a_time_part_is_that_day_and_not_shifted(day: str) -> None:
    (scan,) = polled(("Completed", day, "16:23:05")).checkpoints
    (plain,) = polled(("Completed", "2026-03-02", "16:23:05")).checkpoints
    assert scan.occurred.at == plain.occurred.at == datetime(2026, 3, 2, 5, 23, 5, tzinfo=UTC)
    assert scan.occurred.local_date == date(2026, 3, 2)
    assert scan.occurred.said == f"{day} 16:23:05".strip()
    assert (scan.fingerprint, scan.digest) == (plain.fingerprint, plain.digest)


@pytest.mark.parametrize("clock", [None, "", "  "])
def test_a_date_without_a_time_is_a_day(clock: str | None) -> None:
    (scan,) = polled(("Completed", "2026-03-02T00:00:00.000Z", clock)).checkpoints
    assert (scan.occurred.precision, scan.occurred.local_date) == (Precision.DAY, date(2026, 3, 2))
    assert scan.occurred.at == datetime(2026, 3, 1, 13, 0, tzinfo=UTC)


def test_a_poll_is_read_in_sydney_unless_the_request_names_a_zone() -> None:
    row = ("In Transit", "2026-03-02", "16:48:19")
    (sydney,) = polled(row).checkpoints
    (perth,) = polled(row, zone="Australia/Perth").checkpoints
    assert (sydney.occurred.at, sydney.occurred.offset) == (datetime(2026, 3, 2, 5, 48, 19, tzinfo=UTC), 660)
    assert (perth.occurred.at, perth.occurred.offset) == (datetime(2026, 3, 2, 8, 48, 19, tzinfo=UTC), 480)
    assert sydney.occurred.zone is perth.occurred.zone is ZoneSource.ASSUMED
    assert sydney.occurred.said == perth.occurred.said == "2026-03-02 16:48:19"


def test_an_hour_that_occurs_twice_is_the_first_and_a_skipped_one_moves_forward() -> None:
    (twice,) = polled(("In Transit", "2026-04-05", "02:30:00")).checkpoints
    (never,) = polled(("In Transit", "2026-10-04", "02:30:00")).checkpoints
    assert twice.occurred.at == datetime(2026, 4, 4, 15, 30, tzinfo=UTC)
    assert never.occurred.at == datetime(2026, 10, 3, 16, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "said",
    [
        "2026-03-02T05:48:19Z",
        "2026-03-02T05:48:19.000Z",
        "2026-03-02T05:48:19+00:00",
        "2026-03-02T05:48:19.480+00:00",
        "2026-03-02T16:48:19+11:00",
        "2026-03-02T00:48:19.000-0500",
    ],
)
def test_equal_instants_in_different_notations_are_one_statement(said: str) -> None:
    plain = sent(("in_transit", "2026-03-02T05:48:19Z"))
    other = sent(("in_transit", said))
    assert other.checkpoints[0].occurred.said == said
    assert other.checkpoints[0].occurred.at == datetime(2026, 3, 2, 5, 48, 19, tzinfo=UTC)
    assert other.checkpoints[0].occurred.zone is ZoneSource.STATED
    assert other.stated_at == plain.stated_at
    assert heard([plain, other])[1] == [(1, 0, 0), (0, 0, 1)]
    assert len(sent(("in_transit", said), ("in_transit", "2026-03-02T05:48:19Z")).checkpoints) == 1


def test_a_webhook_time_without_an_offset_is_read_in_the_assumed_zone() -> None:
    (scan,) = sent(("in_transit", "2026-03-02 16:48:19")).checkpoints
    assert scan.occurred.at == datetime(2026, 3, 2, 5, 48, 19, tzinfo=UTC)
    assert scan.occurred.zone is ZoneSource.ASSUMED


def test_of_equal_instants_the_one_further_down_the_list_happened_earlier() -> None:
    of = report("poll_equal_instants")
    assert [(c.status_code, c.order) for c in of.checkpoints[-2:]] == [("delivery_attempted", 0), ("in_transit", 1)]
    assert status.conclude(of.checkpoints).milestone is M.IN_TRANSIT
    rows = fixture("poll_equal_instants")
    rows["response"]["track"][:2] = reversed(rows["response"]["track"][:2])
    assert status.conclude(report_of(rows).checkpoints).milestone is M.DELIVERY_FAILED


def test_what_turns_out_to_have_happened_earlier_in_the_same_second_is_put_before() -> None:
    row, earlier = ("in_transit", "2026-03-02T05:48:19Z"), ("ready_for_pickup", "2026-03-02T05:48:19Z")
    snapshots = [sent(row), sent(row, earlier)]
    for order in permutations(snapshots):
        assert {line.checkpoint.status_code: line.checkpoint.order for line in told(order)} == {
            "ready_for_pickup": 0,
            "in_transit": 1,
        }


def test_a_row_that_is_told_twice_is_told_once() -> None:
    row, other = ("in_transit", "2026-03-02T05:48:19Z"), ("with_driver", "2026-03-02T05:48:19Z")
    assert sent(other, row, row).checkpoints == sent(other, row).checkpoints


def test_two_visits_are_two_statements_of_one_status() -> None:
    of = report("poll_failed_delivery")
    assert [c.status_code for c in of.checkpoints].count("with_driver") == 2
    assert len({c.key for c in of.checkpoints}) == len(of.checkpoints) == 7


# What is one statement


GROWING = ("webhook_ready_for_pickup", "webhook_in_transit", "webhook_completed")


def test_a_later_snapshot_only_adds() -> None:
    assert heard(map(report, GROWING))[1] == [(3, 0, 0), (1, 0, 3), (2, 0, 4)]


def test_a_redelivered_snapshot_says_nothing_new() -> None:
    of = report("webhook_completed")
    assert heard([of, of, report("webhook_in_transit"), of])[1] == [(6, 0, 0), (0, 0, 6), (0, 0, 4), (0, 0, 6)]


def test_snapshots_in_any_order_amount_to_the_same() -> None:
    in_order = told(map(report, GROWING))
    assert [told.withdrawn for told in in_order] == [False] * 6
    for order in permutations(GROWING):
        heard_now = heard(map(report, order))[0]
        assert [t.checkpoint for t in heard_now.told()] == [t.checkpoint for t in in_order]
        assert heard_now.assertion(AssertionKind.STATUS) == Assertion(AssertionKind.STATUS, "completed", "completed")


def test_a_late_snapshot_takes_back_neither_state_nor_estimate() -> None:
    late = replace(report("webhook_in_transit"), received_at=RECEIVED + timedelta(hours=1))
    statements, counted = heard([report("webhook_completed"), late])
    assert counted[-1] == (0, 0, 4)
    claim = statements.assertion(AssertionKind.STATUS)
    assert claim and claim.value == "completed"
    assert [e.estimate.starts.said for e in statements.estimates if e.estimate.starts][
        -1
    ] == "2026-03-03T18:00:00+11:00"


def test_a_history_that_shrinks_withdraws_nothing() -> None:
    for shorter in (
        sent(("completed", "2026-03-02T23:20:03Z"), state="completed"),
        polled(("Completed", "2026-03-03", "10:20:03")),
    ):
        after = told([report("webhook_completed"), report("poll_delivered"), shorter])
        assert len(after) == 6
        assert not any(one.withdrawn for one in after)


def test_a_poll_and_a_webhook_of_one_status_meet_in_one_checkpoint() -> None:
    by_poll = {c.fingerprint: c for c in report("poll_delivered").checkpoints}
    by_webhook = {c.fingerprint: c for c in report("webhook_completed").checkpoints}
    assert by_poll.keys() == by_webhook.keys()
    assert len(told([report("poll_delivered"), report("webhook_completed")])) == 6


def test_the_webhook_of_a_status_stands_whichever_came_first() -> None:
    poll, webhooks = report("poll_delivered"), [report(name) for name in GROWING]
    in_order = told([poll, *webhooks])
    assert {one.checkpoint.occurred.zone for one in in_order} == {ZoneSource.STATED}
    assert {one.amended for one in in_order} == {1}
    for order in permutations([poll, *webhooks, poll, webhooks[-1]]):
        now = told(order)
        assert [(t.checkpoint, t.amended) for t in now] == [(t.checkpoint, t.amended) for t in in_order]


def test_the_webhook_stands_also_where_it_tells_of_the_oldest_status_alone() -> None:
    poll = report("poll_delivered")
    webhook = sent(("order_placed", "2026-03-01T22:14:32.000Z"), state="order_placed")
    for order in ([poll, webhook], [webhook, poll], [poll, webhook, poll]):
        stated = [t.checkpoint for t in told(order) if t.checkpoint.occurred.zone is ZoneSource.STATED]
        assert [c.status_code for c in stated] == ["order_placed"]


def test_polls_and_webhooks_by_turns_amend_once() -> None:
    poll, webhook = report("poll_delivered"), report("webhook_completed")
    assert heard([poll, webhook, poll, webhook, poll])[1] == [(6, 0, 0), (0, 6, 0), *[(0, 0, 6)] * 3]


def test_in_a_wrong_zone_they_stay_two_statements() -> None:
    poll = report_of(fixture("poll_delivered"), context={"zone": "Australia/Perth"})
    both = told([poll, report("webhook_completed")])
    assert len(both) == 12
    assert {one.amended for one in both} == {0}


def test_the_zone_of_another_country_lets_them_meet_too() -> None:
    both = told([report("webhook_new_zealand"), report("poll_new_zealand")])
    assert {t.checkpoint.status_code: t.checkpoint.occurred.zone for t in both} == {
        "ready_for_pickup": ZoneSource.STATED,
        "in_transit": ZoneSource.STATED,
        "with_driver": ZoneSource.ASSUMED,
    }
    assert len(both) == 3


def test_numbers_that_differ_by_case_are_two_orders() -> None:
    upper = sent(("in_transit", "2026-03-02T05:48:19Z"), number="PPK3TQW8NHS2D")
    assert upper.tracker.reference == "PPK3TQW8NHS2D"
    assert upper.checkpoints[0].fingerprint != sent(("in_transit", "2026-03-02T05:48:19Z")).checkpoints[0].fingerprint


def test_poll_and_webhook_are_one_shipment_in_the_ledger(runtime: Runtime) -> None:
    def taken(account: str, *names: str) -> list[dict[str, Any]]:
        for name in names:
            channel: Channel = "webhook" if name.startswith("webhook") else "poll"
            body = (FIXTURES / f"{name}.json").read_bytes()
            (outcome,) = runtime.intake.take(
                [kept("shippit", body, channel=channel, account=account, received_at=RECEIVED)]
            )
            assert outcome.shipments == (f"{account}:shippit:PPk3TqW8nHs2D",)
        runtime.projector.catch_up()
        return runtime.store.read(
            """SELECT checkpoint_id, occurred_at, occurred_said, zone_source, status_said, amended FROM {s}timeline
               WHERE shipment_id = :id ORDER BY occurred_at""",
            id=f"{account}:shippit:PPk3TqW8nHs2D",
        )

    rows = taken("one", "poll_delivered", *GROWING)
    assert len(rows) == 6
    assert {row["zone_source"] for row in rows} == {"stated"}
    assert taken("other", *reversed(GROWING), "poll_delivered", "poll_delivered") == rows


# A state without its row


def test_a_state_that_the_history_lacks_is_a_claim_and_no_status() -> None:
    of = report("webhook_state_without_row")
    assert states(of) == [("status", "completed", "completed")]
    assert [c.status_code for c in of.checkpoints] == ["in_transit", "with_driver"]
    assert status.conclude(of.checkpoints).milestone is M.OUT_FOR_DELIVERY
    assert of.stated_at is None


def test_a_state_is_claimed_by_its_slug_and_kept_as_it_was_said() -> None:
    of = sent(("in_transit", "2026-03-02T05:48:19Z"), state="In Transit")
    assert states(of) == [("status", "in_transit", "In Transit")]
    assert of.stated_at is not None


def test_a_state_alone_is_a_claim_whenever_it_is_received() -> None:
    of = report("webhook_state_only")
    assert (of.checkpoints, states(of), of.stated_at) == ((), [("status", "processing", "processing")], None)
    later = replace(of, received_at=RECEIVED + timedelta(days=3))
    statements, counted = heard([of, later])
    assert statements.told() == []
    assert counted == [(0, 0, 0), (0, 0, 0)]


def test_a_state_that_the_history_lacks_is_worth_a_question() -> None:
    for name, reference in (
        ("webhook_state_without_row", ["PPr8CnT3hYj7L"]),
        ("webhook_state_only", ["PPg2XwD6bFm9Q"]),
        ("webhook_completed", []),
        ("webhook_awaiting_collection", []),
        ("poll_delivered", []),
        ("poll_unknown_number", []),
        ("webhook_raw_data", []),
    ):
        assert list(SHIPPIT.pokes(message(fixture(name), "webhook"))) == reference


def test_a_newer_claim_outlives_an_older_one_of_the_same_history() -> None:
    """Both snapshots tell the same newest status; only the receipt tells which of the states is the newer one."""
    rows = [("with_driver", "2026-03-26T21:19:50Z"), ("in_transit", "2026-03-26T10:40:33Z")]
    older, newer = sent(*rows, state="with_driver"), sent(*rows, state="completed")
    for order in ([older, newer], [newer, older]):
        claim = heard(order)[0].assertion(AssertionKind.STATUS)
        assert claim and claim.value == "completed"


# When it will come


def test_an_estimate_keeps_its_instant_and_its_offset() -> None:
    (estimate,) = report("webhook_completed").estimates
    assert estimate.source is EstimateSource.PROVIDER
    assert estimate.starts and estimate.starts == estimate.ends
    assert estimate.starts.at == datetime(2026, 3, 3, 7, 0, tzinfo=UTC)
    assert (estimate.starts.said, estimate.starts.offset, estimate.offset) == ("2026-03-03T18:00:00+11:00", 660, 660)
    assert (estimate.starts.precision, estimate.starts.zone) == (Precision.SECOND, ZoneSource.STATED)


@pytest.mark.parametrize(
    ("said", "zone"), [("2026-03-11T00:00:00+11:00", ZoneSource.STATED), ("2026-03-11", ZoneSource.ASSUMED)]
)
def test_an_estimated_midnight_is_that_whole_day(said: str, zone: ZoneSource) -> None:
    (estimate,) = sent(expected_delivery_date=said).estimates
    assert estimate.starts and estimate.starts.said == said
    assert (estimate.starts.precision, estimate.starts.zone) == (Precision.DAY, zone)
    assert (estimate.starts.local_date, estimate.offset) == (date(2026, 3, 11), 660)
    assert estimate.starts.end == datetime(2026, 3, 11, 13, 0, tzinfo=UTC)


@pytest.mark.parametrize("said", [None, "", "  "])
def test_no_estimate_erases_none(said: str | None) -> None:
    before = sent(("in_transit", "2026-03-02T05:48:19Z"), expected_delivery_date="2026-03-04T18:00:00+11:00")
    after = sent(("completed", "2026-03-02T23:20:03Z"), state="completed", expected_delivery_date=said)
    assert after.estimates == ()
    assert len(heard([before, after])[0].estimates) == 1


def test_a_changed_estimate_is_another_statement() -> None:
    estimates = heard(map(report, GROWING))[0].estimates
    assert [e.estimate.starts.said for e in estimates if e.estimate.starts] == [
        "2026-03-04T18:00:00+11:00",
        "2026-03-03T18:00:00+11:00",
    ]


# How often it is asked


@pytest.mark.parametrize(
    ("service", "early", "between", "late"),
    [
        ("", 360, 240, 60),
        ("standard", 360, 240, 60),
        ("Express", 180, 120, 30),
        ("priority", 30, 15, 10),
        ("on_demand", 10, 5, 3),
        ("click_and_collect", 360, 240, 60),
    ],
)
def test_a_faster_service_is_asked_about_more_often(service: str, early: int, between: int, late: int) -> None:
    minutes = {m: SHIPPIT.cadence.interval(m, service) / timedelta(minutes=1) for m in Milestone}
    for milestone in (M.UNKNOWN, M.INFO_RECEIVED, M.PICKUP_SCHEDULED, M.PICKUP_FAILED):
        assert minutes[milestone] == early
    for milestone in (M.IN_TRANSIT, M.CUSTOMS, M.ON_HOLD, M.EXCEPTION):
        assert minutes[milestone] == between
    for milestone in (M.OUT_FOR_DELIVERY, M.DELIVERY_FAILED, M.AVAILABLE_FOR_PICKUP):
        assert minutes[milestone] == late
    assert {minutes[milestone] for milestone in FINAL} == {24 * 60}


# What is refused or ignored


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (fixture("poll_unknown_number"), Ignored, 'not known, yet; Shippit says ["There is no order of this number."]'),
        (fixture("poll_nothing_yet"), Ignored, 'response.track of "PPj4MzG7aUt2B" is empty'),
        ({"response": {"tracking_number": "PP1", "track": None}}, Ignored, "response.track"),
        (fixture("webhook_empty"), Ignored, "current_state and status_history"),
        ({"tracking_number": "PP1", "status_history": None}, Ignored, "nothing has happened yet"),
        (fixture("webhook_raw_data"), Unreadable, "the one with raw data of a carrier is not"),
        ({"tracking_number": "PP1"}, Unreadable, "neither response nor current_state"),
        (fixture("order_request"), Unreadable, "a request to register an order"),
        (fixture("poll_error"), Unreadable, '"invalid_merchant_account"'),
        ({"error": {"tracking_number": ["is wrong"]}, "success": False}, Unreadable, "the body is an error"),
        ({"response": None}, Unreadable, "response is null"),
        ({"response": []}, Unreadable, "response is []"),
        ({"response": {"id": 7, "state": "order_placed"}}, Unreadable, "response.tracking_number is missing"),
        ({"response": {"tracking_number": 7}}, Unreadable, "response.tracking_number is 7"),
        ({"response": {"tracking_number": "PP1", "track": {}}}, Unreadable, "response.track is {}"),
        ({"response": {"tracking_number": "PP1", "track": [7]}}, Unreadable, "response.track.0 is 7"),
        ({"current_state": "in_transit"}, Unreadable, "tracking_number is missing"),
        ({"tracking_number": None, "status_history": []}, Unreadable, "tracking_number is null"),
        ({"tracking_number": "PP1", "status_history": {}}, Unreadable, "status_history is {}"),
        ({"order_event": None}, Unreadable, "order_event.payload is null"),
        ({"order_event": {"payload": [1]}}, Unreadable, "order_event.payload is [1]"),
        ({"order_event": {"type": "shipping"}}, Unreadable, "order_event.payload is null"),
        ({"order_event": {"payload": {"order_event": {}}}}, Unreadable, "neither response nor current_state"),
        ([{"tracking_number": "PP1"}], Unreadable, "array of 1"),
        ({}, Unreadable, "neither response nor current_state"),
    ],
)
def test_what_says_nothing_or_is_no_message_is_told_what_it_is(body: Any, kind: type[MessageError], words: str) -> None:
    assert words in refusal(body, kind)


def test_a_refused_body_shows_no_person() -> None:
    for name in ("webhook_raw_data", "order_request"):
        reason = refusal(fixture(name))
        assert "Example" not in reason and "0000" not in reason


@pytest.mark.parametrize("number", ["", "  ", "P" * 101, "PP\n1", "PP\x001", "PP\u202e1"])
def test_a_number_is_short_and_printable(number: str) -> None:
    assert "tracking_number is" in refusal(fixture("webhook_completed") | {"tracking_number": number})
    body = fixture("poll_delivered")
    body["response"]["tracking_number"] = number
    assert "response.tracking_number is" in refusal(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("date", None),
        ("date", ""),
        ("date", 20260302),
        ("date", "02/03/2026"),
        ("date", "2026-02-30"),
        ("date", "1999-12-30"),
        ("date", "2026-03-02T\x00"),
        ("date", "2026-03-02 noon"),
        ("date", "٢٠٢٦-03-02"),
        ("timestamp", -1),
        ("timestamp", 86400),
        ("timestamp", 10**40),
        ("timestamp", 1772430305),
        ("timestamp", True),
        ("timestamp", []),
        ("timestamp", "25:00:00"),
        ("timestamp", "16:60"),
        ("timestamp", "4pm"),
        ("timestamp", "16:23:05Z"),
        ("timestamp", "١٦:23:05"),
        ("timestamp", "1" * 65),
        ("status", None),
        ("status", 7),
        ("status", "a\x00b"),
        ("status", "x" * 257),
    ],
)
def test_a_wrong_row_of_a_poll_is_refused_by_its_path(field: str, value: Any) -> None:
    body = fixture("poll_delivered")
    body["response"]["track"][2][field] = value
    reason = refusal(body)
    # Whether digits are a time shows only together with their date.
    assert f"response.track.2.{field}" in reason or (field == "timestamp" and "response.track.2.date" in reason)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status_history.1.time", None),
        ("status_history.1.time", 1772430305),
        ("status_history.1.time", "yesterday"),
        ("status_history.1.time", "2026-02-30T00:00:00Z"),
        ("status_history.1.time", "2026-03-02T05:48:19\x00Z"),
        ("status_history.1.time", "1999-03-02T05:48:19Z"),
        ("status_history.1.status", {}),
        ("status_history.1.status", "x" * 257),
        ("current_state", 5),
        ("current_state", "a\x00b"),
        ("expected_delivery_date", "soon"),
        ("expected_delivery_date", "2126-03-03"),
        ("expected_delivery_date", 20260303),
        ("courier_name", {}),
        ("courier_job_id", "a\x00b"),
        ("retailer_order_number", "x" * 257),
    ],
)
def test_a_wrong_value_of_a_webhook_is_refused_by_its_path(path: str, value: Any) -> None:
    body = fixture("webhook_completed")
    *parents, last = path.split(".")
    place = body
    for parent in parents:
        place = place[int(parent) if parent.isdecimal() else parent]
    place[last] = value
    assert path in refusal(body)


@pytest.mark.parametrize(
    "zone", ["AEST", "Australia/Nowhere", "Australia", "../UTC", "/etc/passwd", "a\x00b", "+10:00"]
)
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    for name in ("poll_delivered", "webhook_completed"):
        assert "zone of the request is" in refusal(fixture(name), context={"zone": zone})


def test_a_history_has_its_limits() -> None:
    body = fixture("webhook_completed")
    start = datetime(2026, 3, 1, tzinfo=UTC)
    body["status_history"] = [
        {"status": "in_transit", "time": (start + timedelta(minutes=minute)).isoformat()} for minute in range(5000)
    ]
    assert len(report_of(body).checkpoints) == 5000
    body["status_history"].append(copy.copy(body["status_history"][0]))
    assert "status_history" in refusal(body)
