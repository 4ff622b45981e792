"""Does the Rye provider say what the messages of both generations say, and refuse what it cannot read?"""

import base64
import hashlib
import hmac
import json
import random
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from support.messages import EXPECTED, body_of, kept
from support.rows import ARRIVAL, rows
from trackledger.adapters.inbox import Outcome, message
from trackledger.adapters.providers import normalize, provider
from trackledger.adapters.providers.base import Message, Provider
from trackledger.adapters.providers.rye_codes import (
    ORDER_CLAIMS,
    ORDER_EVENTS,
    SHIPMENT_STATUSES,
    TYPE_NAMES,
)
from trackledger.adapters.providers.verifying import Endpoint, Request, Unverified
from trackledger.adapters.runtime import Runtime
from trackledger.domain.checkpoints import AssertionKind, Channel, Checkpoint, EstimateSource, Report
from trackledger.domain.errors import Ignored, MessageError, Unreadable
from trackledger.domain.milestones import Leg, Milestone
from trackledger.domain.moments import Precision, ZoneSource
from trackledger.domain.policies import status
from trackledger.domain.shipment import Shipment
from trackledger.projections import consignments, timeline

RECEIVED = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
RYE: Provider = provider("rye")
ORDER = "5f0c7d52-90ab-4a5e-8a39-6d1c2b7e4f11"
PARCEL = f"{ORDER}:ups:1Z4E77W80391264450"
DEVELOPER = "tlDevQ7m2XkA90"

M = Milestone


def fixture(name: str) -> Any:
    return json.loads(body_of("rye", name))


def kept_as(body: Any, channel: Channel = "webhook", received_at: datetime = RECEIVED) -> Message:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return message("rye", raw, channel=channel, received_at=received_at)


def reports(body: Any) -> list[Report]:
    return normalize(kept_as(body))


def of_fixture(name: str) -> dict[str, Report]:
    return {report.tracker.reference: report for report in normalize(kept("rye", name))}


def webhook(kind: str, data: Any = None, at: str = "2026-03-04T19:22:10Z", id: str = "wh-1") -> dict[str, Any]:
    return {
        "id": id,
        "requestId": ORDER,
        "developerId": DEVELOPER,
        "createdAt": at,
        "type": kind,
        "data": {} if data is None else data,
    }


def event(type_name: str, at: str = "2026-03-04T19:22:10Z", **more: Any) -> dict[str, Any]:
    return {"__typename": type_name, "id": "gq-1", "createdAt": at, **more}


def answer(*events: Any, shipments: Any = (), status: str = "SUCCEEDED") -> dict[str, Any]:
    order = {"id": ORDER, "status": status, "events": list(events), "shipments": list(shipments)}
    return {"data": {"orderByID": order}}


def row(number: str, carrier: str = "UPS") -> dict[str, Any]:
    return {"carrierName": carrier, "carrierTrackingNumber": number}


def shipment(status: str = "shipped", *scans: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "shp_1",
        "checkoutIntentId": "ci_1",
        "status": status,
        "createdAt": "2026-04-01T14:00:04.000Z",
        "updatedAt": "2026-04-05T00:00:00.000Z",
        "trackingEvents": list(scans),
        **more,
    }


def scan(
    status: str | None = "shipped", utc: str | None = "2026-04-04T00:11:00.000Z", local: str | None = None, **more: Any
) -> dict[str, Any]:
    return {"status": status, "description": "Departed", "timestamp": {"local": local, "utc": utc}, **more}


def told_by(body: Any) -> tuple[Checkpoint, ...]:
    (only,) = reports(body)
    return only.checkpoints


def claims(of: Report) -> dict[AssertionKind, tuple[str, str]]:
    return {a.kind: (a.value, a.said) for a in of.assertions}


def references(body: Any) -> list[str]:
    return [report.tracker.reference for report in reports(body)]


def refusal(body: Any, kind: type[MessageError] = Unreadable) -> str:
    with pytest.raises(MessageError) as caught:
        reports(body)
    assert type(caught.value) is kind
    return str(caught.value)


def take(runtime: Runtime, *bodies: Any, channel: Channel = "webhook") -> list[Outcome]:
    """Each body is received a minute after the one before."""
    outcomes = [
        runtime.intake.take([kept_as(body, channel, RECEIVED + timedelta(minutes=minute))])[0]
        for minute, body in enumerate(bodies)
    ]
    runtime.projector.catch_up()
    assert {outcome.state for outcome in outcomes} == {"done"}
    return outcomes


def states(runtime: Runtime) -> dict[str, str]:
    found = runtime.store.read("SELECT shipment_id, milestone FROM {s}shipments")
    return {row["shipment_id"].removeprefix("default:rye:"): row["milestone"] for row in found}


# Who sent it

BODY = (
    '{"id":"wh-1","requestId":"o-1","developerId":"tlDevQ7m2XkA90","createdAt":"2026-03-02T15:04:31Z",'
    '"type":"ORDER_PLACED","data":{"note":"café"}}'
).encode()
SECRET, SIGNATURE = "9f1c-clé-of-tests", "ct8cpbzfU9LCZBT7gzVsw5XnzpKxCvUbQW2I9EyBFyw="
BODY_2 = (
    b'{"id":"evt_1","object":"event","type":"shipment.updated","createdAt":"2026-04-03T09:00:00.000Z",'
    b'"source":{"type":"shipment","id":"shp_1"}}'
)
SECRET_2 = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
SIGNATURE_2 = "53a88dff858d858ae5a4343b21d29fbdaf63093fcf99180a41172f73a8a5e7e3"


def accepted(body: bytes, headers: Mapping[str, str], *secrets: str, sender: str = "") -> bool:
    try:
        RYE.verify(Request(body, headers), Endpoint(tuple(map(SecretStr, secrets)), sender=sender))
    except Unverified:
        return False
    return True


def test_the_header_tells_the_generation_whose_signature_is_checked() -> None:
    first, second = {"rye-hmac-signature-v1": SIGNATURE}, {"x-rye-signature": f"v0={SIGNATURE_2}"}
    assert accepted(BODY, first, SECRET)
    assert accepted(BODY_2, second, SECRET_2)
    assert not accepted(BODY, {"rye-hmac-signature-v1": f"v0={SIGNATURE_2}"}, SECRET_2)
    assert not accepted(BODY_2, {"rye-hmac-signature-v1": SIGNATURE_2}, SECRET_2)
    assert not accepted(BODY, {"x-rye-signature": SIGNATURE}, SECRET)


def test_both_signatures_or_none_are_refused() -> None:
    both = {"rye-hmac-signature-v1": SIGNATURE, "x-rye-signature": f"v0={SIGNATURE_2}"}
    assert not accepted(BODY, both, SECRET, SECRET_2)
    assert not accepted(BODY_2, both, SECRET, SECRET_2)
    assert not accepted(BODY, {}, SECRET)
    assert not accepted(BODY, {"rye-verification": DEVELOPER}, SECRET, sender=DEVELOPER)


@pytest.mark.parametrize(
    "value", [SIGNATURE_2, f"v1={SIGNATURE_2}", f"v0={SIGNATURE_2.upper()}", f"V0={SIGNATURE_2}", f"v0= {SIGNATURE_2}"]
)
def test_the_second_signature_is_lower_case_hexadecimal_behind_its_version(value: str) -> None:
    assert not accepted(BODY_2, {"x-rye-signature": value}, SECRET_2)


def test_a_body_that_was_written_anew_is_refused() -> None:
    anew = json.dumps(json.loads(BODY)).encode()
    assert json.loads(anew) == json.loads(BODY)
    assert not accepted(anew, {"rye-hmac-signature-v1": SIGNATURE}, SECRET)


@pytest.mark.parametrize(
    ("sender", "header", "good"),
    [
        ("", None, True),
        ("", "somebody else", True),
        (DEVELOPER, None, True),
        (DEVELOPER, DEVELOPER, True),
        (DEVELOPER, "somebody else", False),
        ("somebody else", None, False),
        ("somebody else", "somebody else", False),
    ],
)
def test_an_endpoint_that_names_its_sender_takes_no_other_developers_messages(
    sender: str, header: str | None, good: bool
) -> None:
    headers = {"rye-hmac-signature-v1": SIGNATURE} | ({} if header is None else {"rye-verification": header})
    assert accepted(BODY, headers, SECRET, sender=sender) is good


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"developerId": []}', b'{"developerId": 7}'])
def test_a_body_without_a_developer_is_not_of_the_sender(body: bytes) -> None:
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    assert accepted(body, {"rye-hmac-signature-v1": signature}, SECRET)
    assert not accepted(body, {"rye-hmac-signature-v1": signature}, SECRET, sender="7")


def test_events_of_the_second_generation_name_no_developer() -> None:
    assert accepted(BODY_2, {"x-rye-signature": f"v0={SIGNATURE_2}"}, SECRET_2, sender=DEVELOPER)


# Handshakes


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("webhook_handshake", {"challenge": "8b1f-not-a-real-challenge-27c9"}),
        ("webhook_2_challenge", {"challenge": "c0ffee-27"}),
        ("webhook_2_challenge_by_id", {"id": "we_90ad7c", "challenge": "we_90ad7c"}),
    ],
)
def test_a_handshake_is_answered(name: str, answered: Any) -> None:
    reply = RYE.handshake(Request(body_of("rye", name)))
    assert reply is not None and json.loads(reply) == answered


@pytest.mark.parametrize("name", [n for n in EXPECTED["rye"] if "handshake" not in n and "challenge" not in n])
def test_no_other_message_is_a_handshake(name: str) -> None:
    assert RYE.handshake(Request(body_of("rye", name))) is None


@pytest.mark.parametrize("data", [None, {}, {"challenge": 7}, {"challenge": None}, []])
def test_a_first_handshake_without_its_challenge_has_no_answer(data: Any) -> None:
    assert RYE.handshake(Request(json.dumps({"type": "WEBHOOK_URL_VERIFICATION", "data": data}).encode())) is None


# Orders


@pytest.mark.parametrize("kind", ORDER_EVENTS)
def test_a_webhook_and_the_answer_say_the_same_of_every_kind_of_event(kind: str) -> None:
    (hooked,) = told_by(webhook(kind))
    names = [name for name, of in TYPE_NAMES.items() if of == kind] or [kind]
    (answered,) = told_by(answer(*map(event, names)))
    for one in (hooked, answered):
        assert (one.milestone, one.status_code, one.status_said) == (ORDER_EVENTS[kind], kind, kind)
    assert (hooked.fingerprint, hooked.digest) == (answered.fingerprint, answered.digest)
    assert (hooked.id, answered.id) == (f"rye:wh-1:{kind}", "")


def test_every_name_of_an_answers_events_is_known_under_that_of_webhooks() -> None:
    assert set(TYPE_NAMES.values()) <= {*ORDER_EVENTS, *ORDER_CLAIMS}
    assert not set(ORDER_EVENTS) & ORDER_CLAIMS


@pytest.mark.parametrize("kind", sorted(ORDER_CLAIMS))
def test_what_leaves_an_order_where_it_is_is_a_claim(kind: str) -> None:
    (report,) = reports(webhook(kind))
    assert report.tracker.reference == ORDER
    assert report.checkpoints == ()
    assert claims(report) == {AssertionKind.STATUS: (kind, "")}
    for name in (name for name, of in TYPE_NAMES.items() if of == kind):
        (answered,) = reports(answer(event(name)))
        assert answered.checkpoints == ()


def test_nothing_that_the_first_generation_says_is_a_delivery() -> None:
    for order_status in ("SUCCEEDED", "DELIVERED", "PROCESSING", "PARTIALLY_CANCELLED"):
        (report,) = reports(answer(event("OrderPlacedOrderEvent"), status=order_status))
        assert [c.milestone for c in report.checkpoints] == [M.INFO_RECEIVED]
        assert claims(report) == {AssertionKind.STATUS: (order_status, "")}
    moving = {M.PICKED_UP, M.IN_TRANSIT, M.ARRIVED, M.OUT_FOR_DELIVERY, M.DELIVERED}
    assert not moving & set(ORDER_EVENTS.values())


def test_an_unknown_event_is_kept_word_for_word() -> None:
    for checkpoint in (*told_by(webhook("ORDER_TAKEN_OVER")), *told_by(answer(event("OrderTakenOverOrderEvent")))):
        assert checkpoint.milestone is M.UNKNOWN
        assert checkpoint.status_code in ("ORDER_TAKEN_OVER", "OrderTakenOverOrderEvent")


def test_a_failed_order_says_why() -> None:
    (hooked,) = of_fixture("webhook_order_failed")["91d7e5b3-8a40-4c6e-a2f1-d05b3c9e7a28"].checkpoints
    (answered,) = of_fixture("poll_failed")["91d7e5b3-8a40-4c6e-a2f1-d05b3c9e7a28"].checkpoints
    assert hooked.remark == answered.remark == "The product is out of stock"
    assert hooked.fingerprint == answered.fingerprint


def test_amounts_are_kept_as_they_came() -> None:
    ((refund,),) = [of.assertions for of in of_fixture("webhook_refund_created").values()]
    ((paid,),) = [of.assertions for of in of_fixture("webhook_payment_succeeded").values()]
    assert refund.said == '{"currency": "USD", "displayValue": "$12.80", "value": 1280}'
    assert paid.said == "4250"


@pytest.mark.parametrize("reason", ["x" * 4001, "a\x00b", 7, None, {"code": 1}])
def test_an_odd_reason_is_left_out(reason: Any) -> None:
    (checkpoint,) = told_by(webhook("ORDER_FAILED", {"reason": reason}))
    assert (checkpoint.milestone, checkpoint.remark) == (M.CANCELLED, "")


def test_times_are_instants_with_their_own_text() -> None:
    (checkpoint,) = told_by(webhook("ORDER_PLACED", at="2026-03-02T17:04:31.250+02:00"))
    assert checkpoint.occurred.at == datetime(2026, 3, 2, 15, 4, 31, tzinfo=UTC)
    assert (checkpoint.occurred.said, checkpoint.occurred.offset) == ("2026-03-02T17:04:31.250+02:00", 120)
    assert checkpoint.occurred.zone is ZoneSource.STATED
    (bare,) = told_by(webhook("ORDER_PLACED", at="2026-03-02T15:04:31"))
    assert (bare.occurred.at.hour, bare.occurred.zone) == (15, ZoneSource.ASSUMED)


def test_a_webhook_is_as_new_as_it_says_and_an_answer_as_its_arrival() -> None:
    assert {of.stated_at for of in reports(fixture("webhook_tracking_two_numbers"))} == {
        datetime(2026, 3, 4, 19, 22, 10, tzinfo=UTC)
    }
    assert {of.stated_at for of in reports(fixture("poll_two_numbers"))} == {None}


def test_a_time_within_a_webhook_is_not_compared_with_the_webhooks() -> None:
    body = fixture("webhook_cancel_started")
    assert body["data"]["startedAt"] > body["createdAt"]
    assert len(reports(body)) == 1


# Numbers


def test_the_order_comes_first_and_each_number_is_a_piece_of_it() -> None:
    order, ups, usps = reports(fixture("webhook_tracking_two_numbers"))
    assert (order.tracker.reference, order.piece_of) == (ORDER, "")
    assert claims(order) == {AssertionKind.SPLIT: ("2", "")}
    assert (ups.tracker.reference, ups.piece_of) == (PARCEL, ORDER)
    assert (usps.tracker.reference, usps.piece_of) == (f"{ORDER}:usps:9400111206213859496247", ORDER)
    assert ups.details == {"order_id": ORDER, "carrier": "UPS", "tracking_number": "1Z4E77W80391264450"}
    assert [(c.milestone, c.status_code) for c in ups.checkpoints] == [(M.INFO_RECEIVED, "TRACKING_OBTAINED")]
    assert ups.also_trackers == ()


BOTH = {"carrierName": "UPS", "carrierTrackingNumber": "1Z4E77W80391264450"}


@pytest.mark.parametrize(
    "data",
    [
        {"shipments": [BOTH]},
        {"shipments": BOTH},
        {"shipment": BOTH},
        {"shipment": [BOTH]},
        {"tracking": BOTH},
        {"tracking": [BOTH]},
        BOTH,
        {"carrier": "UPS", "trackingNumber": "1Z4E77W80391264450"},
        {"courier": "UPS", "tracking_number": "1Z4E77W80391264450"},
        {"carrierName": "UPS", "number": "1Z4E77W80391264450"},
        {"carrierName": None, "carrier": "UPS", "carrierTrackingNumber": "", "number": " 1z4e77w80391264450\n"},
        {"carrierName": " ups ", "carrierTrackingNumber": "1z4E77w80391264450"},
        {"shipments": [], "shipment": None, "tracking": "none", **BOTH},
        {"shipments": [{"carrierName": "FedEx"}], "shipment": BOTH},
        {"shipments": [BOTH, BOTH, {"carrierName": "Ups", "number": "1z4e77w80391264450"}]},
    ],
)
def test_wherever_a_webhook_has_the_number_it_leads_to_the_reference_that_the_answer_has(data: Any) -> None:
    polled = references(answer(event("TrackingObtainedOrderEvent"), shipments=[BOTH]))
    assert references(webhook("TRACKING_OBTAINED", data)) == polled == [ORDER, PARCEL]


def test_the_first_place_with_a_number_is_the_one_that_counts() -> None:
    data = {"tracking": row("LATER"), "shipments": [row("FIRST")], **row("LAST")}
    assert references(webhook("TRACKING_OBTAINED", data)) == [ORDER, f"{ORDER}:ups:FIRST"]


def test_a_number_that_is_written_as_a_number_is_read() -> None:
    data = {"carrier": "FedEx", "trackingNumber": 772819036455}
    assert references(webhook("TRACKING_OBTAINED", data)) == [ORDER, f"{ORDER}:fedex:772819036455"]


NO_NUMBER: list[Any] = [
    {},
    {"marketplace": "shopify"},
    {"number": "1Z4E77W80391264450"},
    {"carrierName": "UPS"},
    {"carrierName": "UPS", "number": "   "},
    {"carrierName": {"name": "UPS"}, "number": "1Z4E77W80391264450"},
    {"carrierName": "UPS", "number": True},
    {"carrierName": "UPS", "number": "N" * 101},
    {"carrierName": "C" * 65, "number": "1Z4E77W80391264450"},
    {"carrierName": "UPS", "number": "1Z\u202e4E77"},
    {"carrierName": "UPS", "number": "1Z\x004E77"},
    {"shipments": [[BOTH]]},
    {"shipments": {"first": BOTH}},
    None,
]


@pytest.mark.parametrize("data", NO_NUMBER)
def test_without_a_readable_number_the_order_is_told_of_and_asked_about(data: Any) -> None:
    """A number without its carrier would be another parcel than the one that the answer tells of."""
    body = webhook("TRACKING_OBTAINED") | {"data": data}
    (report,) = reports(body)
    assert report.tracker.reference == ORDER
    assert [c.status_code for c in report.checkpoints] == ["TRACKING_OBTAINED"]
    assert report.assertions == ()
    assert RYE.pokes(kept_as(body)) == (ORDER,)


def test_after_any_number_the_order_is_asked_about_and_after_nothing_else() -> None:
    poked = {name: RYE.pokes(kept("rye", name)) for name in EXPECTED["rye"]}
    for name, references in poked.items():
        if "tracking" in name and name.startswith("webhook"):
            assert references == (fixture(name)["requestId"],), name
        elif name == "poll_2_events":
            assert references == ("shp_3c9e07f5a1d84b62", "shp_7f20b8c64e9d4a15")
        elif name == "webhook_2_shipment_updated":
            assert references == ("shp_3c9e07f5a1d84b62",)
        else:
            assert references == (), name


def test_numbers_and_carriers_with_colons_stay_apart() -> None:
    one = references(answer(shipments=[row("C", "A:B"), row("B:C", "A")]))
    assert one == [ORDER, f"{ORDER}:a b:C", f"{ORDER}:a:B:C"]


def test_a_carrier_with_many_blanks_is_kept_with_one() -> None:
    _, parcel = reports(webhook("TRACKING_OBTAINED", row("1Z1", "Royal\n" + " " * 300 + "Mail")))
    assert (parcel.tracker.carrier, parcel.details["carrier"]) == ("Royal Mail", "Royal Mail")


def test_a_shipment_without_a_number_is_none_yet() -> None:
    assert references(answer(shipments=[row(" "), {"carrierName": "UPS"}, row("1Z", "")])) == [ORDER, f"{ORDER}::1Z"]


def test_a_shipment_that_an_answer_names_twice_is_one_parcel() -> None:
    order, *parcels = reports(answer(shipments=[row("1Z1"), row(" 1z1", "ups"), row("1Z2")]))
    assert [of.tracker.reference for of in parcels] == [f"{ORDER}:ups:1Z1", f"{ORDER}:ups:1Z2"]
    assert claims(order)[AssertionKind.SPLIT] == ("2", "")


def test_a_shipment_that_cannot_be_read_holds_back_no_other() -> None:
    body = answer(event("OrderPlacedOrderEvent"), shipments=[row("N" * 101), row("1Z1"), {"carrierName": []}, 7])
    with pytest.raises(Unreadable, match=r"the tracking number is .* 2 more of its parcels") as refused:
        reports(body)
    assert [of.tracker.reference for of in refused.value.readable] == [ORDER, f"{ORDER}:ups:1Z1"]
    assert claims(refused.value.readable[0])[AssertionKind.SPLIT] == ("1", "")


def test_the_time_of_a_shipment_is_that_of_the_only_number_obtained() -> None:
    obtained = event("TrackingObtainedOrderEvent", "2026-03-04T19:22:10Z")
    later = event("TrackingObtainedOrderEvent", "2026-03-05T08:00:00Z")
    placed = event("OrderPlacedOrderEvent", "2026-03-02T15:04:31Z")
    of_one = reports(answer(placed, obtained, shipments=[row("1Z1"), row("1Z2")]))
    of_two = reports(answer(placed, obtained, later, shipments=[row("1Z1"), row("1Z2")]))
    of_none = reports(answer(placed, shipments=[row("1Z1")]))
    assert [[c.occurred.said for c in of.checkpoints] for of in of_one[1:]] == [["2026-03-04T19:22:10Z"]] * 2
    assert [of.checkpoints for of in (*of_two[1:], *of_none[1:])] == [(), (), ()]


def test_events_and_shipments_in_any_order_are_the_same_statements() -> None:
    body = fixture("poll_cancelled_after_tracking")
    plain = reports(body)
    for seed in range(5):
        random.Random(seed).shuffle(body["data"]["orderByID"]["events"])
        random.Random(seed).shuffle(body["data"]["orderByID"]["shipments"])
        assert reports(body) == [msgspec.structs.replace(of, message_id=kept_as(body).message_id) for of in plain]


# The traps, as the ledger hears them


def heard(shipment: Shipment, body: Any) -> tuple[int, int, int]:
    """What of the report about this shipment is recorded, amended, repeated."""
    (of,) = [of for of in reports(body) if of.key == shipment.id]
    events, judgement = shipment.report(of, RECEIVED, withdrawals=True)
    for one in events:
        shipment.apply(one)
    return judgement.recorded, judgement.amended, judgement.repeated


def test_events_that_share_one_id_across_types_are_all_heard() -> None:
    order = Shipment(f"default:rye:{ORDER}")
    placed, obtained = fixture("webhook_order_placed"), fixture("webhook_tracking_two_numbers")
    assert placed["id"] == obtained["id"]
    assert heard(order, placed) == (1, 0, 0)
    assert heard(order, obtained) == (1, 0, 0)
    assert heard(order, placed) == heard(order, obtained) == (0, 0, 1)


def test_the_same_event_with_other_content_is_an_amendment_and_both_are_kept(runtime: Runtime) -> None:
    first, second = webhook("ORDER_FAILED", {"reason": "a"}), webhook("ORDER_FAILED", {"reason": "b"})
    outcomes = take(runtime, first, second, first, webhook("ORDER_FAILED", {"reason": "b"}, "2026-03-05T00:00:00Z"))
    assert [(o.recorded, o.amended, o.repeated) for o in outcomes] == [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 0)]
    (row,) = timeline.of(runtime.store, f"default:rye:{ORDER}")
    assert (row["checkpoint_id"], row["amended"], row["remark"]) == ("rye:wh-1:ORDER_FAILED", 2, "b")


def test_the_same_event_with_another_number_leaves_both_numbers(runtime: Runtime) -> None:
    take(runtime, webhook("TRACKING_OBTAINED", row("1Z1")), webhook("TRACKING_OBTAINED", row("1Z2")))
    assert set(states(runtime)) == {ORDER, f"{ORDER}:ups:1Z1", f"{ORDER}:ups:1Z2"}


def test_an_event_of_webhook_and_answer_meets_within_its_second_and_is_kept_twice_beyond(runtime: Runtime) -> None:
    hooked = webhook("ORDER_PLACED", at="2026-03-02T15:04:31Z")
    near, far = "2026-03-02T15:04:31.412Z", "2026-03-02T15:04:32.001Z"
    take(runtime, hooked)
    outcomes = take(
        runtime,
        answer(event("OrderPlacedOrderEvent", near)),
        answer(event("OrderPlacedOrderEvent", near)),
        answer(event("OrderPlacedOrderEvent", far)),
        channel="poll",
    )
    assert [(o.recorded, o.amended, o.repeated) for o in outcomes] == [(0, 0, 1), (0, 0, 1), (1, 0, 0)]
    told = timeline.of(runtime.store, f"default:rye:{ORDER}")
    assert [(row["occurred_said"], row["amended"], row["channel"]) for row in told] == [
        ("2026-03-02T15:04:31Z", 0, "webhook"),
        (far, 0, "poll"),
    ]
    assert [row["checkpoint_id"] == "rye:wh-1:ORDER_PLACED" for row in told] == [True, False]
    assert states(runtime) == {ORDER: "info_received"}


def test_two_events_of_one_kind_and_second_in_an_answer_are_one_statement() -> None:
    twice = [event("OrderPlacedOrderEvent", f"2026-03-02T15:04:31.{n}00Z") for n in (9, 1)]
    (checkpoint,) = told_by(answer(*twice))
    assert checkpoint.occurred.at == datetime(2026, 3, 2, 15, 4, 31, tzinfo=UTC)


def test_two_numbers_obtained_within_a_second_are_the_same_in_whatever_order_they_are_heard(runtime: Runtime) -> None:
    said = [
        webhook("TRACKING_OBTAINED", row("1Z1"), "2026-03-04T19:22:10.250Z", "wh-1"),
        webhook("TRACKING_OBTAINED", row("1Z2"), "2026-03-04T19:22:10.900Z", "wh-2"),
        answer(event("TrackingObtainedOrderEvent", "2026-03-04T19:22:10.900Z"), shipments=[row("1Z1"), row("1Z2")]),
    ]

    def told(account: str, order: tuple[Any, ...]) -> Any:
        for minute, body in enumerate(order):
            of = message(
                "rye",
                json.dumps(body).encode(),
                account=account,
                received_at=RECEIVED + timedelta(minutes=minute),
                channel="webhook" if "type" in body else "poll",
            )
            assert runtime.intake.take([of])[0].state == "done"
        runtime.projector.catch_up()
        return rows(runtime.store, account, ARRIVAL)["timeline"]

    first, *others = [told(f"a{n}", order) for n, order in enumerate(permutations(said))]
    assert {row["amended"] for row in first} == {0}
    assert all(other == first for other in others)


def test_a_number_may_be_heard_before_its_order_was_placed(runtime: Runtime) -> None:
    take(runtime, fixture("webhook_tracking_two_numbers"), fixture("webhook_order_placed"))
    told = timeline.of(runtime.store, f"default:rye:{ORDER}")
    assert [row["status_code"] for row in told] == ["ORDER_PLACED", "TRACKING_OBTAINED"]
    assert states(runtime)[ORDER] == "info_received"


def test_an_order_may_be_cancelled_after_its_number_was_obtained(runtime: Runtime) -> None:
    """Its parcel is not said to be: only its carrier knows."""
    order = "c4e81a90-6f3d-4d27-b0c5-2f9a8d716b44"
    names = ("webhook_cancel_succeeded", "webhook_tracking_flat", "webhook_cancel_failed", "webhook_cancel_started")
    take(runtime, *map(fixture, names))
    assert states(runtime) == {order: "cancelled", f"{order}:amazon:TBA318826604112": "info_received"}


def test_two_numbers_are_two_pieces_of_a_consignment(runtime: Runtime) -> None:
    one, other = webhook("TRACKING_OBTAINED", row("1Z1")), webhook("TRACKING_OBTAINED", row("1Z2"), id="wh-2")
    take(runtime, one, other)
    take(runtime, answer(event("OrderPlacedOrderEvent"), shipments=[row("1Z2"), row("1Z1")]), channel="poll")
    assert set(states(runtime)) == {ORDER, f"{ORDER}:ups:1Z1", f"{ORDER}:ups:1Z2"}
    of = consignments.of(runtime.store, f"default:rye:{ORDER}")
    assert of is not None and (of["pieces"], of["open"], of["state"]) == (2, 2, "open")


def test_a_number_that_only_the_answer_tells_of_is_a_piece_too(runtime: Runtime) -> None:
    names = ("webhook_tracking_no_number", "poll_one_number")
    take(runtime, *map(fixture, names))
    order = "0b9d3f6e-1c27-4b8a-9f50-77a1e2c4d803"
    assert states(runtime) == {order: "info_received", f"{order}:fedex:772819036455": "info_received"}
    of = consignments.of(runtime.store, f"default:rye:{order}")
    assert of is not None and of["pieces"] == 1


def test_a_relabelled_number_is_a_further_piece_and_the_old_one_stays(runtime: Runtime) -> None:
    take(runtime, fixture("poll_one_number"), fixture("poll_relabelled"), channel="poll")
    order = "0b9d3f6e-1c27-4b8a-9f50-77a1e2c4d803"
    assert states(runtime) == {
        order: "info_received",
        f"{order}:fedex:772819036455": "info_received",
        f"{order}:fedex:772819040113": "unknown",
    }


def test_an_order_with_parcels_of_its_own_is_never_stuck_itself(runtime: Runtime) -> None:
    take(runtime, webhook("ORDER_PLACED"))
    assert [row["shipment_id"] for row in runtime.store.read("SELECT * FROM {s}silence")] == [f"default:rye:{ORDER}"]
    take(runtime, webhook("TRACKING_OBTAINED", row("1Z1")))
    found = runtime.store.read("SELECT * FROM {s}silence")
    assert [row["shipment_id"] for row in found] == [f"default:rye:{ORDER}:ups:1Z1"]


@pytest.mark.parametrize(
    "order",
    [None, {"id": ORDER, "status": "PENDING", "events": [], "shipments": []}, {"id": ORDER, "status": "PENDING"}],
)
def test_an_order_that_was_not_submitted_is_not_known_yet(order: Any) -> None:
    assert "knows nothing yet" in refusal({"data": {"orderByID": order}}, Ignored)


def test_a_pending_order_with_an_event_is_told_of() -> None:
    assert references(answer(event("PaymentSucceededOrderEvent"), status="PENDING")) == [ORDER]


@pytest.mark.parametrize("errors", [[{"message": "no shipments"}], [{}], "no shipments", {"message": 1}])
def test_errors_beside_data_make_it_unreadable(errors: Any) -> None:
    body = answer(event("OrderPlacedOrderEvent")) | {"errors": errors}
    assert "the answer has errors" in refusal(body)
    assert references(body | {"errors": []}) == references(body | {"errors": None}) == [ORDER]


# Shipments of the second generation


@pytest.mark.parametrize("code", SHIPMENT_STATUSES)
def test_every_status_of_a_tracking_event_is_mapped(code: str) -> None:
    (checkpoint,) = [c for c in told_by(shipment("shipped", scan(code))) if c.status_said == "Departed"]
    assert (checkpoint.milestone, checkpoint.status_code) == (SHIPMENT_STATUSES[code], code)


@pytest.mark.parametrize(
    ("of", "milestone", "at"),
    [
        (shipment("ordered"), M.INFO_RECEIVED, "2026-04-01T14:00:04.000Z"),
        (shipment("shipped", shippedAt="2026-04-03T08:58:30Z"), M.INFO_RECEIVED, "2026-04-03T08:58:30Z"),
        (shipment("shipped", {}, shippedAt="2026-04-03T08:58:30Z"), M.IN_TRANSIT, "2026-04-03T08:58:30Z"),
        (shipment("out_for_delivery"), M.OUT_FOR_DELIVERY, "2026-04-05T00:00:00.000Z"),
        (shipment("delayed"), M.DELAYED, "2026-04-05T00:00:00.000Z"),
        (shipment("delivered", deliveredAt="2026-04-04T21:14:00Z"), M.DELIVERED, "2026-04-04T21:14:00Z"),
        (shipment("delivered"), M.DELIVERED, "2026-04-05T00:00:00.000Z"),
        (shipment("canceled"), M.CANCELLED, "2026-04-05T00:00:00.000Z"),
        (shipment("mislaid"), M.UNKNOWN, "2026-04-05T00:00:00.000Z"),
    ],
)
def test_a_shipment_without_a_scan_is_where_it_says_since_when_it_says(of: Any, milestone: Milestone, at: str) -> None:
    (checkpoint,) = told_by(of)
    assert (checkpoint.milestone, checkpoint.occurred.said) == (milestone, at)
    assert checkpoint.status_code == of["status"]
    assert status.conclude([checkpoint]).milestone is milestone


def test_a_status_that_a_scan_has_is_not_said_again_as_of_the_update() -> None:
    assert len(told_by(shipment("out_for_delivery", scan("out_for_delivery")))) == 1
    assert len(told_by(shipment("delayed", scan("shipped")))) == 2


def test_a_delivery_has_the_time_that_the_shipment_says_and_is_said_once() -> None:
    told = of_fixture("poll_2_delivered")["shp_3c9e07f5a1d84b62"].checkpoints
    (delivery,) = [c for c in told if c.milestone is M.DELIVERED]
    assert delivery.occurred.at == datetime(2026, 4, 6, 21, 14, tzinfo=UTC)
    assert (delivery.status_said, delivery.location) == ("Delivered, front door", "Berkeley, CA, US")
    assert status.conclude(told).delivered_at == delivery.occurred.at


def test_a_shipment_keeps_one_status_however_its_answers_are_shuffled(runtime: Runtime) -> None:
    names = ["poll_2_ordered", "poll_2_shipped_unheard", "poll_2_out_for_delivery", "poll_2_delivered"]
    bodies = [fixture(name) for name in reversed(names)]
    take(runtime, *bodies, channel="poll")
    found = runtime.store.read("SELECT * FROM {s}shipments")
    assert [(row["milestone"], row["checkpoints"], row["carrier"]) for row in found] == [("delivered", 7, "UPS")]


def test_shipped_without_a_scan_and_with_one_are_two_statements() -> None:
    """Else the first to be heard would decide whether it moves."""
    when = "2026-04-03T08:58:30Z"
    (unheard,) = told_by(shipment("shipped", shippedAt=when))
    (_, shipped) = told_by(shipment("shipped", scan(), shippedAt=when))
    assert (unheard.milestone, shipped.milestone) == (M.INFO_RECEIVED, M.IN_TRANSIT)
    assert unheard.fingerprint != shipped.fingerprint


def test_a_corrected_time_of_the_shipment_is_an_amendment() -> None:
    (one,) = told_by(shipment("delivered", deliveredAt="2026-04-04T21:14:00Z"))
    (other,) = told_by(shipment("delivered", deliveredAt="2026-04-04T22:00:00Z"))
    assert one.fingerprint == other.fingerprint
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("local", "utc", "said", "offset"),
    [
        ("2026-04-03T20:11:00-04:00", "2026-04-04T00:11:00.000Z", "2026-04-03T20:11:00-04:00", -240),
        ("2026-04-03T20:11:00", "2026-04-04T00:11:00.000Z", "2026-04-04T00:11:00.000Z", 0),
        ("2026-04-03T20:11:00-05:00", "2026-04-04T00:11:00.000Z", "2026-04-04T00:11:00.000Z", 0),
        ("April 3", "2026-04-04T00:11:00.000Z", "2026-04-04T00:11:00.000Z", 0),
        (None, "2026-04-04T00:11:00.000Z", "2026-04-04T00:11:00.000Z", 0),
        ("2026-04-03T20:11:00-04:00", None, "2026-04-03T20:11:00-04:00", -240),
    ],
)
def test_the_instant_is_the_one_in_utc_and_the_zone_that_of_the_place(
    local: str | None, utc: str | None, said: str, offset: int
) -> None:
    (checkpoint,) = told_by(shipment("shipped", scan("shipped", utc, local)))
    occurred = checkpoint.occurred
    assert occurred.at == datetime(2026, 4, 4, 0, 11, tzinfo=UTC)
    assert (occurred.said, occurred.offset, occurred.zone) == (said, offset, ZoneSource.STATED)
    (plain,) = told_by(shipment("shipped", scan("shipped", "2026-04-04T00:11:00Z")))
    assert (checkpoint.fingerprint, checkpoint.digest) == (plain.fingerprint, plain.digest)


def test_local_digits_alone_have_no_known_zone() -> None:
    (checkpoint,) = told_by(shipment("shipped", scan("shipped", None, "2026-04-03T20:11:00")))
    assert checkpoint.occurred.zone is ZoneSource.UNKNOWN


@pytest.mark.parametrize("stamp", [None, {}, {"local": None, "utc": None}, {"local": "Friday"}])
def test_a_scan_without_a_time_is_no_statement(stamp: Any) -> None:
    (checkpoint,) = told_by(shipment("shipped", scan() | {"timestamp": stamp}, scan()))
    assert checkpoint.occurred.said == "2026-04-04T00:11:00.000Z"


def test_an_older_answer_with_texts_for_times_is_read_by_its_own_times() -> None:
    (checkpoint,) = of_fixture("poll_2_page")["shp_a6470e2fd39b4c88"].checkpoints
    assert (checkpoint.milestone, checkpoint.occurred.said) == (M.IN_TRANSIT, "2026-04-02T22:00:00.000Z")


def test_scans_in_any_order_and_twice_are_the_same_statements() -> None:
    body = fixture("poll_2_out_for_delivery")
    plain = {c.key: c for c in told_by(body)}
    for seed in range(5):
        body["trackingEvents"] = [*body["trackingEvents"], *body["trackingEvents"]]
        random.Random(seed).shuffle(body["trackingEvents"])
        assert {c.key: c for c in told_by(body)} == plain


def test_scans_of_one_instant_are_told_apart_by_their_words_and_place() -> None:
    texts = [scan(), scan(description="Arrived"), scan(location={"city": "Reno"}), scan(description="DEPARTED ")]
    assert len(told_by(shipment("shipped", *texts))) == 3


def test_a_shipment_names_tracker_and_details() -> None:
    report = of_fixture("poll_2_delivered")["shp_3c9e07f5a1d84b62"]
    assert (report.tracker.carrier, report.tracker.tracking_number) == ("UPS", "1Z90F2A70318846621")
    assert report.piece_of == ""
    assert report.stated_at == datetime(2026, 4, 6, 21, 20, tzinfo=UTC)
    assert claims(report) == {AssertionKind.STATUS: ("delivered", "")}
    assert report.details == {
        "order_id": "ci_5b7e19d0c2a84f36b1e05d7a93cf4826",
        "carrier": "UPS",
        "tracking_number": "1Z90F2A70318846621",
        "registered_at": "2026-04-01T14:00:04Z",
    }


def test_a_canceled_shipment_has_no_events_and_takes_none_back() -> None:
    for of in reports(fixture("poll_2_page")):
        assert not of.whole_history


def test_a_delivery_at_midnight_is_that_day() -> None:
    (estimate,) = of_fixture("poll_2_delivered")["shp_3c9e07f5a1d84b62"].estimates
    assert estimate.source is EstimateSource.PROVIDER
    assert estimate.starts and estimate.starts == estimate.ends
    assert (estimate.starts.precision, estimate.starts.local_date) == (Precision.DAY, date(2026, 4, 6))
    assert estimate.starts.said == "2026-04-06T00:00:00.000Z"
    (exact,) = of_fixture("poll_2_delayed")["shp_7f20b8c64e9d4a15"].estimates
    assert exact.ends and exact.ends.precision is Precision.SECOND
    assert exact.ends.at == datetime(2026, 4, 9, 23, 59, 59, tzinfo=UTC)


def test_a_page_tells_of_each_shipment_once_and_skips_events() -> None:
    hint = {"object": "event", "id": "evt_1"}
    body = {"data": [shipment(), hint, shipment(), shipment("delayed", id="shp_2")]}
    assert [(of.tracker.reference, claims(of)) for of in reports(body)] == [
        ("shp_1", {AssertionKind.STATUS: ("shipped", "")}),
        ("shp_2", {AssertionKind.STATUS: ("delayed", "")}),
    ]


def test_a_shipment_of_which_a_page_tells_two_things_is_not_taken_silently_for_the_first() -> None:
    with pytest.raises(Unreadable, match='"shp_1" is told of twice, differently') as refused:
        reports({"data": [shipment(), shipment("canceled"), shipment(id="shp_2")]})
    assert [of.tracker.reference for of in refused.value.readable] == ["shp_1", "shp_2"]


def test_a_shipment_of_a_page_that_cannot_be_read_holds_back_no_other() -> None:
    broken = shipment(id="shp_2", deliveredAt="yesterday")
    with pytest.raises(Unreadable, match=r'data\.1\.deliveredAt is "yesterday"') as refused:
        reports({"data": [shipment(), broken, shipment(id="shp_3"), 7]})
    assert [of.tracker.reference for of in refused.value.readable] == ["shp_1", "shp_3"]


def test_a_hint_says_nothing_whatever_it_holds() -> None:
    body = json.loads(BODY_2) | {"data": shipment("delivered")}
    assert refusal(body, Ignored) == 'rye: "shipment.updated" is a hint to ask about "shp_1", not a statement'


# What is left out, ignored and refused


def test_no_personal_data_reaches_a_report() -> None:
    person = {"firstName": "Marlowe", "email": "marlowe@home.example", "address1": "12 Quince Lane", "phone": "+1555"}
    order = answer(event("OrderPlacedOrderEvent", buyer=person), shipments=[row("1Z1") | person])
    order["data"]["orderByID"] |= {"buyerIdentity": person}
    signed = shipment("delivered", scan(signedBy="Marlowe"), recipient=person, deliveredAt="2026-04-04T21:14:00Z")
    obtained = webhook("TRACKING_OBTAINED", {"shipments": [row("1Z1") | person], "buyerIdentity": person})
    for body in (order, signed, obtained, webhook("ORDER_PLACED", {"buyerIdentity": person})):
        kept_words = msgspec.json.encode(reports(body)).decode()
        assert "1Z1" in kept_words or ORDER in kept_words or "shp_1" in kept_words
        for word in ("Marlowe", "home.example", "Quince", "+1555"):
            assert word not in kept_words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (webhook("WEBHOOK_URL_VERIFICATION", {"challenge": "c"}), "only tests the endpoint"),
        (webhook("PRODUCT_UPDATED"), "is about no order"),
        (webhook("PRODUCT_REMOVED"), "is about no order"),
        (webhook("SHOPIFY_APP_UNINSTALLED"), "is about no order"),
        (webhook("AFFILIATE_COMMISSION_EARNED"), "is about no order"),
        (json.loads(BODY_2), "is a hint to ask about"),
        (json.loads(BODY_2) | {"type": "webhook_endpoint.verification_challenge"}, "only tests the endpoint"),
        ({"data": [json.loads(BODY_2)]}, "data holds no shipment, but 1 events"),
        ({"data": []}, "data holds no shipment, but 0 events"),
        ({"data": {"orderByID": {"id": ORDER}}}, "says nothing of it"),
    ],
)
def test_what_says_nothing_is_ignored_by_name(body: Any, words: str) -> None:
    assert words in refusal(body, Ignored)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "none of type, data and checkoutIntentId"),
        ({"challenge": "c"}, '["challenge"]'),
        ({"name": "NotFoundError", "message": "Shipment not found"}, '["message", "name"]'),
        ({"errors": [{"message": "Unauthorized"}]}, "Unauthorized"),
        ({"data": None}, "data is null"),
        ({"data": {"order": {"states": []}}}, 'data is ["order"]: the answer to orderByID is needed'),
        ({"data": {"checkoutByCartID": {}}}, 'data is ["checkoutByCartID"]'),
        ({"data": {"orderByID": 7}}, "data.orderByID is 7: it must be an object"),
        ({"data": {"orderByID": {"status": "FAILED"}}}, "data.orderByID.id is missing"),
        (answer(event("")), "events.0.__typename"),
        (answer(event("OrderPlacedOrderEvent", "soon")), "data.orderByID.events.0.createdAt"),
        (answer(*[event("X")] * 1001), "data.orderByID.events"),
        (answer(shipments=[row("1")] * 501), "data.orderByID.shipments"),
        ({"data": [{}] * 1001}, "data has 1,001 rows"),
        ({"data": [{"id": "x"}]}, "data.0.status is missing"),
        (shipment(id="a:b"), "an id without a colon is needed"),
        (shipment(id="s" * 81), "id is"),
        (shipment(" "), "status is"),
        (shipment("shipped", *[scan()] * 5001), "trackingEvents"),
        (shipment("shipped", scan(utc="soon")), "trackingEvents.0.timestamp.utc"),
        (shipment("shipped", scan(description="x" * 4001)), "trackingEvents.0.description"),
        (shipment(shippedAt="1999-01-01T00:00:00Z"), "shippedAt"),
        (shipment(updatedAt="soon"), "updatedAt"),
        (shipment(tracking={"deliveryDate": {"estimated": "soon"}}), "tracking.deliveryDate.estimated"),
        ({"type": "shipment.updated", "source": {"type": "shipment"}}, "source.id is missing"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_path(body: Any, words: str) -> None:
    assert words in refusal(body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("requestId", None),
        ("requestId", ""),
        ("requestId", "a:b"),
        ("requestId", "o" * 81),
        ("requestId", "o\u202ei"),
        ("requestId", []),
        ("id", ""),
        ("id", None),
        ("type", ""),
        ("type", {}),
        ("createdAt", "yesterday"),
        ("createdAt", None),
        ("createdAt", 1772463871),
        ("data", []),
    ],
)
def test_a_webhook_with_a_wrong_field_is_refused_by_its_name(field: str, value: Any) -> None:
    assert f"{field} is" in refusal(webhook("ORDER_PLACED") | {field: value})


def test_every_reference_is_of_the_form_that_can_be_registered() -> None:
    for references in (list(expected["reports"]) for expected in EXPECTED["rye"].values() if "reports" in expected):
        for reference in references:
            match = re.fullmatch(RYE.reference_form, reference)
            assert match is not None
            is_parcel = re.fullmatch(RYE.abilities.follow_up, reference) is not None
            assert is_parcel is (match["tracking_number"] is not None) is (reference.count(":") == 2)


def test_all_that_rye_says_is_of_the_way_there() -> None:
    for name, expected in EXPECTED["rye"].items():
        for of in normalize(kept("rye", name)) if "reports" in expected else ():
            assert all(c.leg is Leg.FORWARD and c.ndr_reason is None for c in of.checkpoints)
