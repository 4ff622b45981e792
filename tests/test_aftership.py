"""Does the AfterShip provider say what the messages say, whatever their version, and refuse what it cannot read?"""

import itertools
import json
import random
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from support.rows import ARRIVAL, rows
from trackledger.adapters.follow_up import FOLLOWERS
from trackledger.adapters.inbox import message as kept
from trackledger.adapters.providers import provider
from trackledger.adapters.providers.aftership import OWN, own_id
from trackledger.adapters.providers.aftership_codes import SUBTAGS, TAGS
from trackledger.adapters.providers.base import Message, Provider
from trackledger.adapters.providers.verifying import Endpoint, Request, Unverified
from trackledger.adapters.runtime import Runtime
from trackledger.domain.checkpoints import AssertionKind, Channel, Checkpoint, Estimate, EstimateSource, Report
from trackledger.domain.errors import Ignored, MessageError, Unreadable
from trackledger.domain.events import LedgerEvent
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Precision, ZoneSource
from trackledger.domain.policies import attempts, status
from trackledger.domain.shipment import Judgement, Shipment
from trackledger.domain.statements import Statements

FIXTURES = Path(__file__).parent / "fixtures" / "aftership"
RECEIVED = datetime(2026, 3, 6, 6, 0, tzinfo=UTC)
AFTERSHIP: Provider = provider("aftership")

M, N = Milestone, NdrReason
Body = dict[str, Any]


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_bytes())


def message(body: Any, channel: Channel = "webhook", received_at: datetime = RECEIVED) -> Message:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Message("msg-1", "aftership", "default", channel, received_at, raw)


def reports(body: Any) -> list[Report]:
    return AFTERSHIP.normalize(message(body, "webhook" if "msg" in body else "poll"))


def report(body: str | Body) -> Report:
    (only,) = reports(fixture(body) if isinstance(body, str) else body)
    return only


def of_list(reference: str) -> Report:
    return next(of for of in reports(fixture("poll_list")) if of.tracker.reference.startswith(reference))


def tracking(*checkpoints: Body, **more: Any) -> Body:
    """An answer about one tracking, with little more than it has to have."""
    least = {"id": "t-1", "tracking_number": "1Z5550001", "slug": "ups", "updated_at": "2026-03-05T12:00:00+00:00"}
    return {"meta": {"code": 200}, "data": {**least, "checkpoints": list(checkpoints), **more}}


def scan(time: str | None, message: str, subtag: str = "InTransit_001", **more: Any) -> Body:
    tag = subtag.partition("_")[0]
    return {"checkpoint_time": time, "message": message, "slug": "ups", "tag": tag, "subtag": subtag, **more}


def scan_of(**more: Any) -> Checkpoint:
    (only,) = report(tracking(scan("2026-03-05T10:00:00Z", "words") | more)).checkpoints
    return only


def claims(of: Report) -> dict[AssertionKind, tuple[str, str]]:
    return {a.kind: (a.value, a.said) for a in of.assertions}


def expected(of: Report) -> dict[EstimateSource, tuple[str, str]]:
    return {e.source: (e.starts.said if e.starts else "", e.ends.said if e.ends else "") for e in of.estimates}


def heard(*told: Report) -> tuple[Statements, list[tuple[int, int, int]]]:
    """What the ledger makes of these reports: the fold, and how many each recorded, amended and repeated."""
    shipment, statements = Shipment(told[0].key), Statements(told[0].key)
    counted = []
    for of in told:
        events, judgement = shipment.report(of, RECEIVED, withdrawals=True)
        for event in events:
            shipment.apply(event)
            statements.apply(LedgerEvent(told[0].key, shipment.version, event))
        counted.append(_counts(judgement))
    return statements, counted


def _counts(judgement: Judgement) -> tuple[int, int, int]:
    assert judgement.withdrawn == 0
    return judgement.recorded, judgement.amended, judgement.repeated


def standing(statements: Statements) -> list[Checkpoint]:
    return [told.checkpoint for told in statements.told()]


def concluded(*told: Report) -> status.Status:
    return status.conclude(standing(heard(*told)[0]))


def refusal(body: Any, kind: type[MessageError] = Unreadable) -> str:
    with pytest.raises(kind) as caught:
        reports(body)
    assert type(caught.value) is kind
    reason = str(caught.value)
    assert reason.startswith("aftership: ") and reason.isprintable() and len(reason) <= 400
    return reason


def left_out(body: Any) -> tuple[str, Report]:
    """Why a part of a message was left out, and what was read of it all the same."""
    with pytest.raises(Unreadable) as caught:
        reports(body)
    (readable,) = caught.value.readable
    return str(caught.value), readable


# Who sent it

VECTOR = (
    b'{"event":"tracking_update","event_id":"94dadd60-ed26-46d0-aa52-3ced925a50ff",'
    b'"msg":{"tag":"InTransit"},"ts":1712741696}'
)
SIGNATURE = "V1KDLat++Mpdykag86yj1tfLNwimzcpy0TbHBZ6OmWY="
ENDPOINT = Endpoint((SecretStr("aftership_test_webhook_secret"),))


def test_the_published_signature_is_accepted() -> None:
    AFTERSHIP.verify(Request(VECTOR, {"aftership-hmac-sha256": SIGNATURE}), ENDPOINT)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"aftership-hmac-sha256": SIGNATURE.rstrip("=")},
        {"aftership-hmac-sha256": "5750ca0dab7ef8ca5dca46a0f3aca3d6d7cb3708a6cdca72d136c7059e8e9966"},
        {"as-signature-hmac-sha256": SIGNATURE},
        {"am-webhook-signature": f"hmac-sha256={SIGNATURE}"},
        {"authorization": "aftership_test_webhook_secret"},
    ],
)
def test_headers_of_other_products_and_other_spellings_prove_nothing(headers: dict[str, str]) -> None:
    with pytest.raises(Unverified):
        AFTERSHIP.verify(Request(VECTOR, headers), ENDPOINT)


# Which parcel it is


def test_an_id_of_our_own_is_made_of_the_trackers_key_for_ever() -> None:
    assert FOLLOWERS["aftership"] == own_id.__name__
    assert own_id("default:rye:O-1:ups:1Z1") == "trackledger-080004757a5b6b48cffab2fe4fec627205732d5f"
    keys = ["default:rye:O-1:ups:1Z1", "default:rye:O-1:ups:1Z2", "shop:rye:O-1:ups:1Z1", "x" * 400, "délai:ø", ""]
    ids = [own_id(key) for key in keys]
    assert len(set(ids)) == len(keys)
    assert all(re.fullmatch(AFTERSHIP.reference_form, id_) and id_.startswith(OWN) for id_ in ids)


def test_the_reference_is_the_tracking_id_and_the_number_only_a_detail() -> None:
    told = report("poll_delivered")
    assert told.tracker.reference == "3c9be0a4d7f1462e8b5a60c9d2e7f814"
    assert (told.tracker.carrier, told.tracker.tracking_number) == ("evri", "H00PQA0041773925")
    assert told.details == {
        "order_id": "5522917031",
        "carrier": "evri",
        "tracking_number": "H00PQA0041773925",
        "service": "Standard",
        "origin": "Rugby",
        "destination": "Norwich",
        "registered_at": "2026-03-03T08:10:02Z",
    }
    assert report("webhook_delivered_without_checkpoints").details["order_id"] == "TL-30470"
    assert report("poll_v4_tracking").details["destination"] == "ESP"


def test_two_trackings_of_one_number_are_two_trackers() -> None:
    first, second = of_list("e5bf"), of_list("f6c0")
    assert first.tracker.tracking_number == second.tracker.tracking_number
    assert first.key != second.key


# What the messages say


def test_a_journey_is_told_checkpoint_by_checkpoint() -> None:
    told = report("poll_delivered")
    assert [(c.milestone, f"{c.occurred.at:%m-%d %H:%M:%S}", c.order) for c in told.checkpoints] == [
        (M.INFO_RECEIVED, "03-03 07:55:00", 0),
        (M.PICKED_UP, "03-03 17:40:12", 0),
        (M.ARRIVED, "03-03 23:05:00", 0),
        (M.IN_TRANSIT, "03-03 23:05:00", 1),
        (M.OUT_FOR_DELIVERY, "03-04 07:12:45", 0),
        (M.DELIVERY_FAILED, "03-04 13:31:09", 0),
        (M.OUT_FOR_DELIVERY, "03-05 07:20:33", 0),
        (M.DELIVERED, "03-05 12:48:57", 0),
    ]
    failed = told.checkpoints[5]
    assert failed.id == f"aftership:{'f72a43' * 6}beef"
    assert (failed.status_code, failed.status_said) == ("AttemptFail_002", "Addressee not available")
    assert (failed.remark, failed.location) == (
        "Tried to deliver, nobody came to the door",
        "Norwich, Norfolk, United Kingdom",
    )
    assert (failed.ndr_reason, failed.ndr_inferred) == (N.CUSTOMER_UNAVAILABLE, False)
    assert told.stated_at == datetime(2026, 3, 5, 13, 15, 48, tzinfo=UTC)
    assert claims(told) == {
        AssertionKind.STATUS: ("Delivered_005", "Delivered to neighbor"),
        AssertionKind.DIRECTION: ("forward", ""),
        AssertionKind.PIECES: ("1", ""),
    }


@pytest.mark.parametrize(
    ("subtag", "milestone", "leg"),
    [
        ("Pending_001", M.UNKNOWN, Leg.FORWARD),
        ("Pending_004", M.UNKNOWN, Leg.FORWARD),
        ("InfoReceived_001", M.INFO_RECEIVED, Leg.FORWARD),
        ("InTransit_001", M.IN_TRANSIT, Leg.FORWARD),
        ("InTransit_002", M.PICKED_UP, Leg.FORWARD),
        ("InTransit_003", M.ARRIVED, Leg.FORWARD),
        ("InTransit_004", M.ARRIVED, Leg.FORWARD),
        ("InTransit_005", M.CUSTOMS, Leg.FORWARD),
        ("InTransit_006", M.CUSTOMS, Leg.FORWARD),
        ("InTransit_007", M.IN_TRANSIT, Leg.FORWARD),
        ("InTransit_008", M.IN_TRANSIT, Leg.FORWARD),
        ("InTransit_009", M.IN_TRANSIT, Leg.FORWARD),
        ("InTransit_012", M.IN_TRANSIT, Leg.FORWARD),
        ("OutForDelivery_001", M.OUT_FOR_DELIVERY, Leg.FORWARD),
        ("OutForDelivery_002", M.AVAILABLE_FOR_PICKUP, Leg.FORWARD),
        ("OutForDelivery_003", M.OUT_FOR_DELIVERY, Leg.FORWARD),
        ("OutForDelivery_004", M.OUT_FOR_DELIVERY, Leg.FORWARD),
        ("AvailableForPickup_001", M.AVAILABLE_FOR_PICKUP, Leg.FORWARD),
        ("AvailableForPickup_003", M.AVAILABLE_FOR_PICKUP, Leg.FORWARD),
        ("AttemptFail_001", M.DELIVERY_FAILED, Leg.FORWARD),
        ("AttemptFail_002", M.DELIVERY_FAILED, Leg.FORWARD),
        ("AttemptFail_003", M.DELIVERY_FAILED, Leg.FORWARD),
        ("Delivered_001", M.DELIVERED, Leg.FORWARD),
        ("Delivered_005", M.DELIVERED, Leg.FORWARD),
        ("Exception_001", M.EXCEPTION, Leg.FORWARD),
        ("Exception_002", M.DELIVERY_FAILED, Leg.FORWARD),
        ("Exception_003", M.DELIVERY_FAILED, Leg.FORWARD),
        ("Exception_004", M.ON_HOLD, Leg.FORWARD),
        ("Exception_005", M.DELAYED, Leg.FORWARD),
        ("Exception_006", M.ON_HOLD, Leg.FORWARD),
        ("Exception_007", M.DELIVERY_FAILED, Leg.FORWARD),
        ("Exception_008", M.DELIVERY_FAILED, Leg.FORWARD),
        ("Exception_009", M.EXCEPTION, Leg.FORWARD),
        ("Exception_010", M.RETURNING, Leg.RETURN),
        ("Exception_011", M.RETURNED, Leg.RETURN),
        ("Exception_012", M.DAMAGED, Leg.FORWARD),
        ("Exception_013", M.LOST, Leg.FORWARD),
        ("Exception_014", M.EXCEPTION, Leg.FORWARD),
        ("Exception_015", M.EXCEPTION, Leg.FORWARD),
        ("Exception_016", M.DELAYED, Leg.FORWARD),
        ("Exception_017", M.DELAYED, Leg.FORWARD),
        ("Exception_018", M.ON_HOLD, Leg.FORWARD),
        ("Exception_019", M.DELAYED, Leg.FORWARD),
        ("Exception_020", M.CANCELLED, Leg.FORWARD),
        ("Exception_021", M.EXCEPTION, Leg.FORWARD),
        ("Expired_001", M.EXPIRED, Leg.FORWARD),
        ("Teleported_001", M.UNKNOWN, Leg.FORWARD),
    ],
)
def test_a_milestone_goes_by_the_sub_status_and_else_by_the_tag(subtag: str, milestone: Milestone, leg: Leg) -> None:
    tag = subtag.partition("_")[0]
    for told in (scan_of(tag=tag, subtag=subtag), scan_of(tag=None, subtag=subtag)):
        assert (told.milestone, told.leg, told.status_code) == (milestone, leg, subtag)


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_alone_is_enough(tag: str) -> None:
    told = scan_of(tag=tag, subtag=None)
    assert (told.milestone, told.status_code) == (TAGS[tag], tag)


def test_every_listed_sub_status_belongs_to_a_tag() -> None:
    assert {subtag.partition("_")[0] for subtag in SUBTAGS} <= set(TAGS)


@pytest.mark.parametrize(
    ("subtag", "codes", "milestone"),
    [
        ("InTransit_001", ["picked_up"], M.PICKED_UP),
        ("InTransit_001", ["handed_over_to_last_mile_carrier", "misrouted"], M.DELAYED),
        ("InTransit_001", ["rerouted"], M.IN_TRANSIT),
        ("InfoReceived_001", ["carrier_pickup_failed"], M.PICKUP_FAILED),
        ("Exception_001", ["held_by_customs"], M.ON_HOLD),
        ("Exception_001", ["rejected_by_customer"], M.DELIVERY_FAILED),
        ("Exception_001", ["return_to_sender_requested"], M.RETURN_REQUESTED),
        ("Exception_014", ["shipment_lost"], M.LOST),
        ("Exception_001", ["shipment_damaged"], M.DAMAGED),
        ("Exception_001", ["canceled"], M.CANCELLED),
        # A sub-status that says something is the vendor's better word, and an event of another family contradicts.
        ("Exception_010", ["shipment_damaged"], M.RETURNING),
        ("InTransit_003", ["picked_up"], M.ARRIVED),
        ("InTransit_001", ["shipment_lost", "returned_to_sender"], M.IN_TRANSIT),
        ("Delivered_001", ["delivery_attempt_failed"], M.DELIVERED),
        ("Teleported_001", ["shipment_lost"], M.UNKNOWN),
    ],
)
def test_an_event_refines_a_tag_that_it_agrees_with(subtag: str, codes: list[str], milestone: Milestone) -> None:
    events = [{"code": code, "reason": None} for code in codes]
    assert scan_of(tag=subtag.partition("_")[0], subtag=subtag, events=events).milestone is milestone


@pytest.mark.parametrize(
    ("subtag", "events", "text", "reason", "inferred"),
    [
        ("AttemptFail_002", [], "", N.CUSTOMER_UNAVAILABLE, False),
        ("AttemptFail_003", [], "", N.CUSTOMER_UNAVAILABLE, False),
        ("Exception_002", [], "", N.BAD_ADDRESS, False),
        ("Exception_003", [], "", N.REFUSED, False),
        ("Exception_006", [], "", N.PAYMENT_ISSUE, False),
        ("Exception_007", [], "", N.BAD_ADDRESS, False),
        ("Exception_008", [], "", N.NOT_COLLECTED, False),
        ("AttemptFail_001", [("delivery_attempt_failed", "incorrect_missing_address")], "", N.BAD_ADDRESS, False),
        ("AttemptFail_001", [("redelivery_scheduled", None)], "Nobody in", N.RESCHEDULED, False),
        ("Exception_001", [("rejected_by_customer", None)], "", N.REFUSED, False),
        ("AttemptFail_001", [("delivery_attempt_failed", "dog")], "Address incomplete", N.BAD_ADDRESS, True),
        ("AttemptFail_001", [], "The shop was closed", N.CUSTOMER_UNAVAILABLE, True),
        ("AttemptFail_001", [], "Geen gehoor", None, False),
        ("Exception_001", [], "Address incomplete", None, False),
        ("Delivered_002", [("delivered_to_neighbor", "incorrect_missing_address")], "refused", None, False),
    ],
)
def test_a_reason_is_stated_or_marked_as_inferred(
    subtag: str, events: list[tuple[str, str | None]], text: str, reason: NdrReason | None, inferred: bool
) -> None:
    told = scan_of(
        tag=subtag.partition("_")[0],
        subtag=subtag,
        message=text,
        events=[{"code": code, "reason": why and {"code": why}} for code, why in events],
    )
    assert (told.ndr_reason, told.ndr_inferred) == (reason, inferred)


def test_a_failed_delivery_becomes_a_case_with_its_reason() -> None:
    (case,) = attempts.conclude(report("webhook_attempt_fail").checkpoints)
    assert (case.state, case.reason, case.attempts) == ("open", N.CUSTOMER_UNAVAILABLE, 1)
    (case,) = attempts.conclude(report("poll_delivered").checkpoints)
    assert (case.outcome, case.attempts) == ("delivered", 1)


def test_a_return_to_the_sender_is_returned_not_delivered() -> None:
    told = of_list("d4ae")
    assert [(c.milestone, c.leg) for c in told.checkpoints][1:] == [
        (M.DELIVERY_FAILED, Leg.FORWARD),
        (M.RETURNING, Leg.RETURN),
        (M.RETURNED, Leg.RETURN),
    ]
    assert concluded(told).milestone is M.RETURNED


def test_an_exception_midway_ends_nothing() -> None:
    told = of_list("a1f7")
    assert [c.milestone for c in told.checkpoints] == [M.PICKED_UP, M.EXCEPTION, M.IN_TRANSIT, M.DELIVERED]
    assert concluded(told).milestone is M.DELIVERED


def test_a_return_shipment_travels_back_as_a_whole() -> None:
    told = report("webhook_return_shipment")
    assert claims(told)[AssertionKind.DIRECTION] == ("return", "")
    assert concluded(told).milestone is M.RETURNED


@pytest.mark.parametrize(("count", "pieces"), [(3, "3"), ("2", "2"), (1, "1"), (0, None), (None, None), (10_000, None)])
def test_packages_under_one_tracking_are_pieces(count: Any, pieces: str | None) -> None:
    told = claims(report(tracking(tag="Pending", shipment_package_count=count)))
    assert told.get(AssertionKind.PIECES) == (pieces and (pieces, ""))


def test_words_that_no_table_knows_stay_unknown_and_verbatim() -> None:
    known, unknown = report("webhook_unknown_words").checkpoints
    assert (known.milestone, known.status_code, known.status_said) == (M.IN_TRANSIT, "InTransit_042", "Sorted anew")
    assert (unknown.milestone, unknown.status_code, unknown.status_said, unknown.remark) == (
        M.UNKNOWN,
        "Teleported_001",
        "Teleported",
        "It is there already",
    )
    assert claims(report("webhook_unknown_words"))[AssertionKind.STATUS] == ("Teleported_001", "Teleported")


def test_a_pending_tracking_is_known_and_has_no_status() -> None:
    told = of_list("e5bf")
    assert (told.checkpoints, claims(told)[AssertionKind.STATUS]) == ((), ("Pending_001", "Pending"))


@pytest.mark.parametrize(
    ("place", "location"),
    [
        ({"location": " OSAKA JP ", "city": "Osaka"}, "OSAKA JP"),
        ({"location": None, "city": "Utica", "state": "NY", "country_name": None}, "Utica, NY"),
        ({"location": "", "city": None, "country_region_name": "Chile"}, "Chile"),
        ({"country_name": "Chile"}, "Chile"),
        ({}, ""),
    ],
)
def test_a_place_is_told_in_every_spelling(place: Body, location: str) -> None:
    assert scan_of(**place).location == location


def test_personal_data_is_left_out_and_unknown_keys_are_tolerated() -> None:
    for name in ("poll_delivered", "poll_v4_tracking", "webhook_attempt_fail"):
        text = msgspec.json.encode(report(name)).decode()
        for secret in ("Example", "@", "NR0 0ZZ", "loyalty", "0000000000", "door.jpg"):
            assert secret not in text, (name, secret)
    body = fixture("poll_delivered")
    plain = msgspec.json.encode(reports(body))
    body["data"]["a key of tomorrow"] = body["data"]["checkpoints"][0]["another"] = {"x": [1]}
    assert msgspec.json.encode(reports(body)) == plain


def test_no_history_is_whole_because_aftership_drops_true_checkpoints() -> None:
    assert not any(of.whole_history for of in reports(fixture("poll_list")))
    shorter = fixture("poll_delivered")
    shorter["data"]["updated_at"] = "2026-03-05T18:00:00+00:00"
    del shorter["data"]["checkpoints"][2:]
    statements, counted = heard(report("poll_delivered"), report(shorter))
    assert counted[1][:2] == (1, 0), "the tag, which no checkpoint tells any more"
    assert not any(told.withdrawn for told in statements.told())


# Times


@pytest.mark.parametrize(
    ("said", "at", "zone", "precision"),
    [
        ("2026-02-13T13:17:00-05:00", "2026-02-13T18:17:00", ZoneSource.STATED, Precision.SECOND),
        ("2026-02-13T18:17:00.000Z", "2026-02-13T18:17:00", ZoneSource.STATED, Precision.SECOND),
        ("2026-02-13T18:17:00", "2026-02-13T18:17:00", ZoneSource.UNKNOWN, Precision.SECOND),
        ("2026-02-13", "2026-02-13T00:00:00", ZoneSource.UNKNOWN, Precision.DAY),
    ],
)
def test_a_time_keeps_its_text_its_zone_and_its_precision(
    said: str, at: str, zone: ZoneSource, precision: Precision
) -> None:
    occurred = scan_of(checkpoint_time=said).occurred
    assert occurred.at == datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert (occurred.said, occurred.zone, occurred.precision) == (said, zone, precision)


def test_a_zoneless_checkpoint_time_is_of_an_unknown_zone() -> None:
    told = report("poll_twins").checkpoints
    assert {c.occurred.zone for c in told} == {ZoneSource.UNKNOWN}
    assert {c.occurred.precision for c in told[:1]} == {Precision.DAY}


def test_digits_without_a_zone_are_not_the_instant_of_the_same_digits() -> None:
    local, instant = scan_of(checkpoint_time="2026-02-13T18:17:00"), scan_of(checkpoint_time="2026-02-13T18:17:00Z")
    assert local.occurred.at == instant.occurred.at
    assert local.fingerprint != instant.fingerprint


def test_times_that_change_notation_between_get_and_put_are_repeated_not_amended() -> None:
    """AfterShip answers GET with `…15:29:27+01:00` and PUT with `…14:29:27.000Z`."""
    got, put = fixture("poll_v4_tracking"), fixture("poll_v4_tracking")
    for one in put["data"]["tracking"]["checkpoints"]:
        at = datetime.fromisoformat(one["checkpoint_time"]).astimezone(UTC)
        one["checkpoint_time"] = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert got != put
    for first, second in ((got, put), (put, got)):
        assert heard(report(first), report(second))[1] == [(5, 0, 0), (0, 0, 5)]


def test_a_checkpoint_without_a_time_is_left_out_and_the_others_are_read() -> None:
    reason, told = left_out(fixture("poll_without_time"))
    assert reason.startswith('aftership: data.checkpoints.0.checkpoint_time is "": a time like ')
    assert reason.endswith("; it is left out")
    (only,) = told.checkpoints
    assert (only.milestone, only.ndr_reason, only.ndr_inferred) == (M.DELIVERY_FAILED, N.CUSTOMER_UNAVAILABLE, True)


def test_a_message_with_a_checkpoint_left_out_is_parked_and_its_parcel_known(runtime: Runtime) -> None:
    raw = (FIXTURES / "poll_without_time.json").read_bytes()
    (outcome,) = runtime.intake.take([kept("aftership", raw, received_at=RECEIVED)])
    assert (outcome.state, outcome.recorded) == ("parked", 1)
    assert "checkpoints.0.checkpoint_time" in outcome.reason


@pytest.mark.parametrize("said", ["", None, "yesterday", "0000-00-00", "1970-01-01T00:00:00Z", "2026-02-30T10:00:00"])
def test_an_absurd_time_costs_only_its_own_checkpoint(said: str | None) -> None:
    body = tracking(scan("2026-03-04T10:00:00Z", "one"), scan(said, "two"), scan(said, "three"))
    reason, told = left_out(body)
    assert "data.checkpoints.1.checkpoint_time" in reason
    assert reason.endswith("; it is left out, as are 1 more")
    assert [c.remark for c in told.checkpoints] == ["one"]


def test_a_tracking_that_cannot_be_read_holds_back_no_other() -> None:
    body = fixture("poll_list")
    body["data"]["trackings"][1]["updated_at"] = "soon"
    body["data"]["trackings"][2]["checkpoints"][0]["checkpoint_time"] = None
    with pytest.raises(Unreadable) as caught:
        reports(body)
    assert "data.trackings.1.updated_at" in str(caught.value)
    assert "1 more of its parcels" in str(caught.value)
    assert [of.tracker.reference[:4] for of in caught.value.readable] == ["a1f7", "c39d", "d4ae", "e5bf", "f6c0"]
    assert [len(of.checkpoints) for of in caught.value.readable] == [4, 2, 4, 0, 1]


# Which checkpoint it is


def test_created_at_is_stamped_anew_and_changes_nothing() -> None:
    body, again = fixture("poll_v4_tracking"), fixture("poll_v4_tracking")
    for one in again["data"]["tracking"]["checkpoints"]:
        one["created_at"] = "2026-01-16T09:00:00+00:00"
    assert heard(report(body), report(again))[1] == [(5, 0, 0), (0, 0, 5)]


def test_a_tracking_created_again_has_another_id_and_the_same_checkpoints() -> None:
    body, again = fixture("poll_v4_tracking"), fixture("poll_v4_tracking")
    again["data"]["tracking"]["id"] = "0a1b2c3d4e5f6g7h8i9j0k1l"
    first, second = report(body), report(again)
    assert first.key != second.key
    assert first.checkpoints == second.checkpoints


def test_a_channel_without_hash_and_one_with_it_meet_in_one_checkpoint() -> None:
    hooked, polled = report("webhook_attempt_fail"), report("poll_delivered")
    assert {c.id for c in hooked.checkpoints} == {""} and all(c.id for c in polled.checkpoints)
    statements, counted = heard(hooked, polled)
    assert counted == [(6, 0, 0), (2, 0, 6)]
    assert {c.key for c in standing(statements)} == {c.id for c in polled.checkpoints}
    statements, counted = heard(polled, hooked)
    assert counted == [(8, 0, 0), (0, 0, 6)]
    assert {c.key for c in standing(statements)} == {c.id for c in polled.checkpoints}


def test_names_of_older_versions_say_the_same() -> None:
    renamed = fixture("webhook_attempt_fail")
    names = {"country_iso3": "country_region", "country_name": "country_region_name", "zip": "postal_code"}
    for one in renamed["msg"]["checkpoints"]:
        for old, new in names.items():
            one[new] = one.pop(old)
    assert reports(renamed) == reports(fixture("webhook_attempt_fail"))


def test_the_same_message_and_place_at_two_times_are_two_checkpoints() -> None:
    told = [c for c in report("poll_twins").checkpoints if c.remark.startswith("Sorted at AUCKLAND")]
    assert len({c.key for c in told}) == len(told) == 2
    announced = report("poll_v4_tracking").checkpoints[:2]
    assert [c.occurred.at.second for c in announced] == [27, 56]
    assert announced[0].key != announced[1].key


def test_checkpoints_alike_to_the_second_are_all_kept() -> None:
    told = [c for c in report("poll_twins").checkpoints if c.remark == "Reached the sorting centre"]
    assert [c.location for c in told] == ["HAMILTON, New Zealand", "HAMILTON NORTH, New Zealand"]
    assert told[0].key != told[1].key
    exact = report(tracking(*[scan("2026-03-04T10:00:00Z", "Scanned")] * 3)).checkpoints
    assert len({c.key for c in exact}) == len(exact) == 3


def test_checkpoints_of_one_instant_keep_the_order_of_the_list() -> None:
    told = report("poll_twins").checkpoints
    assert [c.order for c in told] == [0, 0, 0, 0, 1, 2]
    assert status.conclude(told).said == "Departure Scan"


def test_a_list_with_the_newest_first_says_the_same() -> None:
    for name in ("poll_twins", "poll_delivered", "poll_v4_tracking"):
        body = fixture(name)
        plain = report(body)
        data = body["data"].get("tracking", body["data"])
        data["checkpoints"].reverse()
        assert report(body).checkpoints == plain.checkpoints


def test_shuffled_checkpoints_of_different_instants_are_the_same_statements() -> None:
    body = fixture("poll_v4_tracking")
    plain = {c.key: c for c in report(body).checkpoints}
    for seed in range(5):
        random.Random(seed).shuffle(body["data"]["tracking"]["checkpoints"])
        assert {c.key: c for c in report(body).checkpoints} == plain


def test_a_hash_that_is_told_twice_is_one_checkpoint() -> None:
    twice = [scan("2026-03-04T10:00:00Z", "Scanned", hash="beef")] * 2
    assert [c.id for c in report(tracking(*twice)).checkpoints] == ["aftership:beef"]
    assert [c.id for c in report(tracking(scan("2026-03-04T10:00:00Z", "Scanned", hash=" "))).checkpoints] == [""]


def test_a_checkpoint_that_is_classified_anew_is_amended() -> None:
    before, after = report("webhook_unclassified"), report("webhook_reclassified")
    assert before.checkpoints[0].fingerprint == after.checkpoints[0].fingerprint
    for order in ((before, after), (after, before)):
        statements, counted = heard(*order)
        assert counted == [(1, 0, 0), (0, 1, 0)]
        (told,) = statements.told()
        assert (told.checkpoint.milestone, told.checkpoint.ndr_reason) == (M.DELIVERY_FAILED, N.BAD_ADDRESS)
        assert told.amended == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"subtag": "InTransit_003"},
        {"subtag_message": "Moving"},
        {"location": "Hull"},
        {"city": "Hull"},
        {"events": [{"code": "picked_up", "reason": None}]},
        {"events": [{"code": "x", "reason": {"code": "y"}}]},
    ],
)
def test_whatever_is_corrected_is_an_amendment_of_the_same_checkpoint(changed: Body) -> None:
    before, after = scan_of(), scan_of(**changed)
    assert (before.fingerprint, before.digest != after.digest) == (after.fingerprint, True)


@pytest.mark.parametrize(
    "changed",
    [
        {"created_at": "2026-03-05T10:00:00Z"},
        {"coordinate": {"latitude": 1, "longitude": 2}},
        {"raw_tag": "RO"},
        {"source": "user"},
        {"message": "  WORDS "},
        {"slug": " ups"},
    ],
)
def test_what_is_rewritten_without_meaning_changes_nothing(changed: Body) -> None:
    before, after = scan_of(), scan_of(**changed)
    assert (before.fingerprint, before.digest) == (after.fingerprint, after.digest)


@pytest.mark.parametrize(
    "changed", [{"slug": "usps"}, {"message": "others"}, {"checkpoint_time": "2026-03-05T10:00:01Z"}]
)
def test_courier_words_and_time_tell_checkpoints_apart(changed: Body) -> None:
    assert scan_of(**changed).fingerprint != scan_of().fingerprint


def test_two_couriers_of_one_journey_interleave() -> None:
    told = of_list("c39d")
    assert [c.milestone for c in told.checkpoints] == [M.PICKED_UP, M.CUSTOMS, M.ON_HOLD]
    assert told.details["carrier"] == "china-post"


# Snapshots


def snapshot(day: int, tag: str, edd: str, *checkpoints: Body, **more: Any) -> Report:
    told = {
        "tag": tag,
        "subtag": f"{tag}_001",
        "courier_estimated_delivery_date": {"estimated_delivery_date": edd},
    }
    return report(tracking(*checkpoints, **{"updated_at": f"2026-03-{day:02}T12:00:00Z"} | told | more))


def test_an_older_snapshot_after_a_newer_one_adds_its_checkpoints_and_changes_nothing_else() -> None:
    older = snapshot(2, "InTransit", "2026-03-04", scan("2026-03-01T10:00:00Z", "left out later"))
    newer = snapshot(4, "OutForDelivery", "2026-03-05", scan("2026-03-04T08:00:00Z", "loaded", "OutForDelivery_001"))
    older_late = replace(older, received_at=RECEIVED + timedelta(hours=68))
    for order in ((older, newer), (newer, older_late)):
        statements, _ = heard(*order)
        assert {c.remark for c in standing(statements)} == {"left out later", "loaded"}
        claim = statements.assertion(AssertionKind.STATUS)
        assert claim is not None and claim.value == "OutForDelivery_001"
        newest = statements.estimates[-1].estimate
        assert newest.starts is not None and newest.starts.said == "2026-03-05"


def test_a_snapshot_is_as_old_as_its_update_and_only_else_as_its_webhook() -> None:
    hook = fixture("webhook_attempt_fail")
    assert report(hook).stated_at == datetime(2026, 3, 4, 14, 2, 7, tzinfo=UTC)
    hook["ts"] += 200_000
    assert report(hook).stated_at == datetime(2026, 3, 4, 14, 2, 7, tzinfo=UTC)
    hook["ts"] = 1772632928
    del hook["msg"]["updated_at"]
    assert report(hook).stated_at == datetime(2026, 3, 4, 14, 2, 8, tzinfo=UTC)
    del hook["ts"]
    assert report(hook).stated_at is None


def test_snapshots_in_any_order_twice_give_the_same_tables(runtime: Runtime) -> None:
    names = ["webhook_out_for_delivery", "webhook_attempt_fail", "poll_delivered"]
    raws = [(FIXTURES / f"{name}.json").read_bytes() for name in names]

    def told(account: str, order: tuple[int, ...]) -> Any:
        for at in (*order, *order):
            channel: Channel = "webhook" if names[at].startswith("webhook") else "poll"
            of = kept("aftership", raws[at], channel=channel, account=account, received_at=RECEIVED)
            (outcome,) = runtime.intake.take([of])
            assert outcome.state == "done"
        runtime.projector.catch_up()
        return rows(runtime.store, account, ARRIVAL)

    first, *others = [told(f"a{n}", order) for n, order in enumerate(itertools.permutations(range(3)))]
    assert len(first["timeline"]) == 8
    assert [row["milestone"] for row in first["shipments"]] == ["delivered"]
    assert all(other == first for other in others)


# The tag


def test_a_delivered_tag_without_checkpoints_is_delivered_when_aftership_said_so() -> None:
    told = report("webhook_delivered_without_checkpoints")
    (only,) = told.checkpoints
    assert (only.milestone, only.status_said) == (M.DELIVERED, "Delivered")
    assert (only.id, only.status_code) == (f"aftership:tag:{told.tracker.reference}:Delivered_001", "Delivered_001")
    assert (only.occurred.at, only.occurred.said) == (told.stated_at, "2026-02-02T10:40:08+00:00")
    assert concluded(told).milestone is M.DELIVERED


def test_a_checkpoint_that_explains_the_tag_says_when_and_where() -> None:
    tagged, explained = report("webhook_delivered_without_checkpoints"), report("poll_delivered_explained")
    assert [c.id.startswith("aftership:tag:") for c in explained.checkpoints] == [False]
    for order in ((tagged, explained), (explained, tagged)):
        now = concluded(*order)
        assert (now.milestone, now.location) == (M.DELIVERED, "Leeds, United Kingdom")
        assert now.since == now.delivered_at == datetime(2026, 2, 2, 9, 5, tzinfo=UTC)


def test_a_tag_is_one_statement_however_many_snapshots_repeat_it() -> None:
    said = [
        report(tracking(tag="Delivered", subtag="Delivered_001", updated_at=f"2026-03-0{d}T12:00:00Z"))
        for d in (3, 1, 2)
    ]
    for order in itertools.permutations(said):
        (only,) = standing(heard(*order)[0])
        assert only.occurred.at == datetime(2026, 3, 3, 12, tzinfo=UTC)


def test_a_failed_attempt_told_by_tag_and_then_by_checkpoint_is_one_attempt() -> None:
    tagged = report(tracking(tag="AttemptFail", subtag="AttemptFail_001", updated_at="2026-03-05T15:00:00Z"))
    explained = report(tracking(scan("2026-03-05T14:10:00Z", "No answer", "AttemptFail_002"), tag="AttemptFail"))
    (case,) = attempts.conclude(standing(heard(tagged, explained)[0]))
    assert (case.attempts, case.failure_scans, case.reason) == (1, 2, N.CUSTOMER_UNAVAILABLE)


def test_an_ending_that_no_checkpoint_tells_is_added_to_the_others() -> None:
    """As when somebody marks a tracking as lost, or when nothing was heard for a month."""
    told = report("poll_marked_lost")
    assert [c.milestone for c in told.checkpoints] == [M.PICKED_UP, M.IN_TRANSIT, M.LOST]
    assert concluded(told).milestone is M.LOST
    bare, with_scans = reports(fixture("poll_v4_list_expired"))
    assert [c.milestone for c in bare.checkpoints] == [M.EXPIRED]
    assert [c.milestone for c in with_scans.checkpoints] == [M.IN_TRANSIT, M.EXPIRED]


def test_lost_then_found() -> None:
    lost = report("poll_marked_lost")
    body = fixture("poll_marked_lost")
    body["data"] |= {"tag": "Delivered", "subtag": "Delivered_001", "updated_at": "2026-02-26T20:00:00+00:00"}
    body["data"]["checkpoints"].append(scan("2026-02-26T13:00:00-06:00", "Delivered", "Delivered_001"))
    assert concluded(lost, report(body)).milestone is M.DELIVERED


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"tag": "Delivered", "updated_at": None}, "nothing says when"),
        ({"tag": "Delivered", "checkpoints": None}, "the message leaves the checkpoints out"),
        ({"tag": "Pending"}, "it tells nothing"),
        ({"tag": "Teleported"}, "nobody knows what it means"),
    ],
)
def test_a_tag_is_no_checkpoint_where(more: Body, why: str) -> None:
    told = report(tracking(**more))
    assert told.checkpoints == (), why
    assert claims(told)[AssertionKind.STATUS] == (more["tag"], "")


@pytest.mark.parametrize(
    ("subtag", "of_checkpoint", "added"),
    [
        ("InTransit_001", "OutForDelivery_001", False),
        ("AttemptFail_001", "InTransit_001", False),
        ("Delivered_001", "Delivered_003", False),
        ("Exception_013", "Exception_001", True),
        ("Exception_011", "Delivered_001", True),
        ("InTransit_001", "Teleported_001", True),
    ],
)
def test_checkpoints_tell_the_journey_and_the_tag_only_an_ending_that_they_lack(
    subtag: str, of_checkpoint: str, added: bool
) -> None:
    body = tracking(scan("2026-03-04T10:00:00Z", "x", of_checkpoint), tag=subtag.partition("_")[0], subtag=subtag)
    assert len(report(body).checkpoints) == 1 + added


# Estimates


def test_each_source_has_one_estimate() -> None:
    assert expected(report("poll_delivered")) == {
        EstimateSource.CARRIER: ("2026-03-05", "2026-03-05"),
        EstimateSource.PROMISE: ("2026-03-06", "2026-03-06"),
    }
    assert expected(of_list("a1f7")) == {EstimateSource.PROVIDER: ("2026-02-12", "2026-02-14")}
    assert expected(of_list("b28c")) == {EstimateSource.SLA: ("2026-02-20", "2026-02-23")}


ONE = {"estimated_delivery_date": "2026-03-07", "estimated_delivery_date_min": None}
UNTIL = ONE | {"estimated_delivery_date_max": "2026-03-09"}
RANGE = {"type": "range", "datetime": None, "datetime_min": "2026-03-07", "datetime_max": "2026-03-09"}
CARRIERS = RANGE | {"source": "Carrier EDD"}
SEVENTH, TO_NINTH = ("2026-03-07", "2026-03-07"), ("2026-03-07", "2026-03-09")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"courier_estimated_delivery_date": ONE}, {"carrier": SEVENTH}),
        ({"aftership_estimated_delivery_date": UNTIL}, {"provider": TO_NINTH}),
        ({"custom_estimated_delivery_date": RANGE}, {"sla": TO_NINTH}),
        ({"order_promised_delivery_date": "2026-03-07"}, {"promise": SEVENTH}),
        ({"order_promised_delivery_date": {"promised_delivery_date": "2026-03-07"}}, {"promise": SEVENTH}),
        (
            {"order_promised_delivery_date": {"promised_delivery_date_max": "2026-03-09"}},
            {"promise": ("", "2026-03-09")},
        ),
        ({"expected_delivery": "2026-03-07"}, {"carrier": SEVENTH}),
        ({"latest_estimated_delivery": CARRIERS}, {"carrier": TO_NINTH}),
        ({"latest_estimated_delivery": RANGE | {"source": "AfterShip EDD"}}, {"provider": TO_NINTH}),
        ({"latest_estimated_delivery": RANGE | {"source": "Custom EDD"}}, {"sla": TO_NINTH}),
        ({"latest_estimated_delivery": RANGE | {"source": "Order EDD"}}, {"promise": TO_NINTH}),
        ({"latest_estimated_delivery": RANGE | {"source": "Oracle EDD"}}, {"provider": TO_NINTH}),
        # The field of a source before the latest date, the first date only where there is no other prediction.
        ({"courier_estimated_delivery_date": ONE, "latest_estimated_delivery": CARRIERS}, {"carrier": SEVENTH}),
        ({"first_estimated_delivery": CARRIERS}, {"carrier": TO_NINTH}),
        ({"first_estimated_delivery": CARRIERS, "aftership_estimated_delivery_date": ONE}, {"provider": SEVENTH}),
        (
            {"first_estimated_delivery": CARRIERS, "order_promised_delivery_date": "2026-03-07"},
            {"promise": SEVENTH, "carrier": TO_NINTH},
        ),
        ({"expected_delivery": "", "order_promised_delivery_date": None, "courier_estimated_delivery_date": {}}, {}),
    ],
)
def test_dates_of_every_generation_are_read(fields: Body, said: dict[str, tuple[str, str]]) -> None:
    assert expected(report(tracking(tag="InTransit", **fields))) == said


def _window(said: str) -> Estimate:
    (estimate,) = report(tracking(tag="InTransit", expected_delivery=said)).estimates
    return estimate


@pytest.mark.parametrize(
    ("said", "of", "precision", "zone"),
    [
        ("2026-03-07", date(2026, 3, 7), Precision.DAY, ZoneSource.UNKNOWN),
        ("2026-03-07T00:00:00", date(2026, 3, 7), Precision.DAY, ZoneSource.UNKNOWN),
        ("2026-03-07T00:00:00-05:00", date(2026, 3, 7), Precision.DAY, ZoneSource.STATED),
        ("2026-03-07T18:00:00", date(2026, 3, 7), Precision.SECOND, ZoneSource.UNKNOWN),
        ("2026-03-07T23:59:59+01:00", date(2026, 3, 7), Precision.SECOND, ZoneSource.STATED),
    ],
)
def test_a_day_is_a_day_also_when_it_is_written_as_midnight(
    said: str, of: date, precision: Precision, zone: ZoneSource
) -> None:
    starts = _window(said).starts
    assert starts is not None
    assert (starts.local_date, starts.precision, starts.zone, starts.said) == (of, precision, zone, said)


def test_a_date_that_cannot_be_read_costs_only_itself() -> None:
    body = tracking(
        scan("2026-03-04T10:00:00Z", "one"), expected_delivery="soon", order_promised_delivery_date="2026-03-09"
    )
    reason, told = left_out(body)
    assert 'data.expected_delivery is "soon"' in reason
    assert (len(told.checkpoints), expected(told)) == (1, {EstimateSource.PROMISE: ("2026-03-09", "2026-03-09")})


def test_a_revised_date_without_checkpoints_erases_none() -> None:
    whole, revised = report("poll_marked_lost"), report("webhook_edd_revise")
    assert revised.key == whole.key
    assert (revised.checkpoints, expected(revised)) == ((), {EstimateSource.PROVIDER: ("2026-02-14", "2026-02-14")})
    assert revised.stated_at == datetime(2026, 2, 12, 2, 0, tzinfo=UTC)
    statements, counted = heard(whole, revised)
    assert counted == [(3, 0, 0), (0, 0, 0)]
    assert len(statements.estimates) == 1
    claim = statements.assertion(AssertionKind.STATUS)
    assert claim is not None and claim.value == "Exception_013", "the revision is the older of the two"


def test_a_webhook_that_tells_a_part_pokes_for_the_rest() -> None:
    for name in ("webhook_edd_revise", "webhook_pending_time"):
        assert AFTERSHIP.pokes(message(fixture(name))) == (fixture(name)["msg"]["id"],)
        body = fixture(name)
        body["msg"]["checkpoints"] = None
        assert AFTERSHIP.pokes(message(body)) == (body["msg"]["id"],)
    for name in ("webhook_attempt_fail", "webhook_delivered_without_checkpoints", "webhook_edd_revise_without_id"):
        assert AFTERSHIP.pokes(message(fixture(name))) == ()
    damaged: tuple[Any, ...] = (None, [], {"id": None}, {"id": 5}, {"id": "a b"}, {"id": "x" * 129})
    for msg in damaged:
        assert AFTERSHIP.pokes(message({"event": "edd_revise", "msg": msg})) == ()
    assert AFTERSHIP.pokes(message(b'{"msg": ')) == ()


# Other versions


def test_the_envelope_of_version_4_says_the_same_as_todays() -> None:
    body = fixture("poll_v4_tracking")
    today = {"meta": body["meta"], "data": body["data"]["tracking"]}
    listed = {"meta": body["meta"], "data": {"trackings": [body["data"]["tracking"]], "page": 1, "count": 1}}
    hook = {"event": "tracking_update", "event_id": "x", "msg": body["data"]["tracking"], "ts": 1768464002}
    plain = report(body)
    for other in (today, listed, hook):
        assert replace(report(other), channel="poll") == plain


def test_a_last_checkpoint_meets_that_of_the_whole_tracking() -> None:
    whole, last = report("poll_v4_tracking"), report("poll_v4_last_checkpoint")
    assert last.tracker.reference == whole.tracker.reference
    assert [c.fingerprint for c in last.checkpoints] == [whole.checkpoints[-1].fingerprint]
    assert heard(whole, last)[1] == [(5, 0, 0), (0, 1, 0)], "it leaves the place out"


# What is refused


def ok(data: Any) -> Body:
    return {"meta": {"code": 200}, "data": data}


def failed(code: Any, data: Any = None) -> Body:
    return {"meta": {"code": code, "message": "no"}, "data": data or {}}


def hook(event: Any, msg: Any) -> Body:
    return {"event": event, "event_id": "1f", "msg": msg}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (failed(401), 'meta.code is 401 (the key is wrong); AfterShip says "no"'),
        (failed(429), "too many requests"),
        (failed(500), "AfterShip failed"),
        (failed(4012), "no courier was recognised"),
        (failed(4999), "does not document"),
        (failed(True), "meta.code is true"),
        (failed(None), "meta.code is null"),
        ({"meta": {}, "data": {}}, "meta.code is missing"),
        ({"meta": [], "data": {}}, "meta is []"),
        ({"meta": {"code": 200}}, "data is null"),
        (ok([]), "data is []"),
        (ok({"trackings": {}}), "data.trackings is {}"),
        (ok({"trackings": [7]}), "data.trackings.0"),
        (ok({"trackings": [{"tag": "Pending"}]}), "data.trackings.0.id is missing"),
        (ok({"tracking": None}), "data.tracking is null: it must be an object"),
        (ok({"tag": "Pending"}), "data.id is missing: nothing else identifies a tracking"),
        ({"trackingNumber": "1", "createdAt": 1768057200000}, "as AfterShip's Java SDK spells it"),
        ({"tracking_number": "1", "slug": "ups"}, "looks like a request to create a tracking"),
        ({"trackings": [{"tag": "Pending"}]}, "looks like trackings without their answer"),
        ({"name": "Example Person"}, 'neither msg nor meta, but ["name"]'),
        (hook("tracking_update", None), "msg is null: it must be an object"),
        (hook("tracking_update", {"tag": "Pending"}), "msg.id is missing"),
        (hook(None, {}), "event is null: one of tracking_update, edd_revise, tracking_pending_time is needed"),
        ({"msg": {"id": "t-1", "tag": "Pending"}}, "event is null"),
    ],
)
def test_what_is_no_message_is_refused_by_name(body: Body, words: str) -> None:
    reason = refusal(body)
    assert words in reason
    assert "Example Person" not in reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (failed(4003, {"tracking": {"tracking_number": "1"}}), "the tracking exists already"),
        (failed(4004), "there is no such tracking"),
        (failed(404), "there is nothing at this address"),
        (ok({}), "data is empty"),
        (ok({"trackings": []}), "data.trackings is empty: no tracking is known, yet"),
        (ok({"tracking": {"id": "t-1", "slug": "ups", "active": True}}), "neither a tag nor a checkpoint"),
        (ok({"id": "t-1", "slug": "ups"}), "neither a tag nor a checkpoint"),
        (ok({"total": 0, "couriers": []}), "answers couriers or couriers/detect"),
        (ok({"estimated_delivery_dates": []}), "answers estimated-delivery-date/predict-batch"),
        (ok({"origin_address": {}}), "answers estimated-delivery-date/predict;"),
        (ok({"notification": {}}), "answers notifications"),
        (ok({"courier_connections": []}), "answers courier-connections"),
        (
            hook("edd_revise", {"tracking_number": "1Z1"}),
            'edd_revise about the number "1Z1" does not say which tracking',
        ),
        (hook("tracking_pending_time", {"tag": "Pending"}), "tracking_pending_time about the number null"),
        (hook("tracking.updated", {}), 'event is "tracking.updated": none of tracking_update'),
    ],
)
def test_what_says_nothing_of_a_parcel_is_ignored_by_name(body: Body, words: str) -> None:
    assert words in refusal(body, Ignored)


@pytest.mark.parametrize("id_", ["", "  ", "a/b", "a b", "é", "x" * 129, "12\u202e34", "../t-1"])
def test_a_tracking_id_has_a_form(id_: str) -> None:
    assert "data.id is" in refusal(tracking(tag="Pending", id=id_))


def test_blanks_around_an_id_are_no_part_of_it() -> None:
    assert report(tracking(tag="Pending", id=" t-1 ")).tracker.reference == "t-1"


def _in_scan(body: Body) -> Body:
    scanned: Body = body["data"]["checkpoints"][0]
    return scanned


def _in_data(body: Body) -> Body:
    data: Body = body["data"]
    return data


@pytest.mark.parametrize(
    ("place", "field", "value"),
    [
        (_in_scan, "message", "x" * 4001),
        (_in_scan, "message", "a\x00b"),
        (_in_scan, "message", 7),
        (_in_scan, "location", []),
        (_in_scan, "tag", {}),
        (_in_scan, "subtag", "x" * 257),
        (_in_scan, "hash", "x" * 257),
        (_in_scan, "events", {}),
        (_in_scan, "events", [{"code": "x"}] * 101),
        (_in_scan, "checkpoint_time", 1772770061),
        (_in_data, "tracking_number", []),
        (_in_data, "slug", "x" * 257),
        (_in_data, "order_id", {}),
        (_in_data, "created_at", "soon"),
        (_in_data, "updated_at", "1999-01-01T00:00:00Z"),
        (_in_data, "shipment_package_count", True),
        (_in_data, "shipment_package_count", "many"),
        (_in_data, "expected_delivery", 20260307),
        (_in_data, "order_promised_delivery_date", [1]),
        (_in_data, "checkpoints", "none"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(place: Callable[[Body], Body], field: str, value: Any) -> None:
    body = fixture("poll_delivered")
    place(body)[field] = value
    assert field in refusal(body)


@pytest.mark.parametrize("ts", [10**40, -1, 0, True, "now", 2.5])
def test_a_clock_of_a_webhook_is_unix_seconds(ts: Any) -> None:
    body = fixture("webhook_edd_revise") | {"ts": ts}
    assert "ts is" in refusal(body)


def test_a_message_has_its_limits() -> None:
    body = tracking(*[scan("2026-03-04T10:00:00Z", "Scanned")] * 5000)
    assert len(report(body).checkpoints) == 5000
    body["data"]["checkpoints"] *= 2
    assert "data.checkpoints" in refusal(body)
    one = tracking(tag="Pending")["data"]
    listed = ok({"trackings": [one | {"id": f"t-{n}"} for n in range(1000)]})
    assert len(reports(listed)) == 1000
    listed["data"]["trackings"].append(one)
    assert "1,001 trackings" in refusal(listed)
