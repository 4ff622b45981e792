"""Does the ClickPost provider say what the messages say, and refuse what it cannot read?"""

import copy
import json
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from support.messages import EXPECTED
from trackledger.adapters.providers import PROVIDERS, provider
from trackledger.adapters.providers.base import Message, Provider
from trackledger.adapters.providers.verifying import Endpoint, Request, Unverified
from trackledger.adapters.runtime import Runtime
from trackledger.domain.checkpoints import AssertionKind, Channel, Checkpoint, EstimateSource, Report
from trackledger.domain.errors import Ignored, MessageError, Unreadable
from trackledger.domain.milestones import Leg, Milestone
from trackledger.domain.moments import Precision, ZoneSource
from trackledger.domain.policies import status
from trackledger.domain.shipment import Shipment

FIXTURES = Path(__file__).parent / "fixtures" / "clickpost"
RECEIVED = datetime(2026, 3, 6, 6, 0, tzinfo=UTC)
CLICKPOST: Provider = provider("clickpost")

M = Milestone


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_bytes())


def message(body: Any, channel: Channel = "poll", context: Mapping[str, str] | None = None) -> Message:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Message("msg-1", "clickpost", "default", channel, RECEIVED, raw, context or {})


def reports(body: Any, channel: Channel = "poll", context: Mapping[str, str] | None = None) -> list[Report]:
    return CLICKPOST.normalize(message(body, channel, context))


def report(name: str, **context: str) -> Report:
    (only,) = reports(fixture(name), "webhook" if name.startswith("webhook") else "poll", context)
    return only


def scan_of(name: str) -> Checkpoint:
    (only,) = report(name).checkpoints
    return only


def claims(of: Report) -> dict[AssertionKind, tuple[str, str, str]]:
    return {a.kind: (a.value, a.said, a.about) for a in of.assertions}


def refusal(body: Any, kind: type[MessageError] = Unreadable, context: Mapping[str, str] | None = None) -> str:
    with pytest.raises(kind) as caught:
        reports(body, context=context)
    assert type(caught.value) is kind
    return assert_one_sentence(str(caught.value))


def assert_one_sentence(reason: str) -> str:
    assert reason.startswith("clickpost: ")
    assert reason.isprintable()
    assert len(reason) <= 400
    return reason


def assert_words(of: Report) -> None:
    """What is true of ClickPost alone."""
    assert of.tracker.reference.endswith(f":{of.tracker.tracking_number}")
    for checkpoint in of.checkpoints:
        assert checkpoint.occurred.zone is ZoneSource.ASSUMED
        assert checkpoint.ndr_reason is None and checkpoint.order == 0
        assert checkpoint.status_code.isdecimal() and checkpoint.status_said


# Who sent it


def test_a_webhook_is_accepted_with_its_secret_in_any_of_the_headers_that_clickpost_uses() -> None:
    endpoint = Endpoint((SecretStr("one"), SecretStr("two")))
    for header in ("webhook_key", "webhook-key", "authorization", "x-api-key"):
        for secret in ("one", "two"):
            CLICKPOST.verify(Request(b"{}", {header: secret}), endpoint)
    for headers in ({}, {"webhook_key": "three"}, {"x-other": "one"}, {"authorization": "Bearer one"}):
        with pytest.raises(Unverified):
            CLICKPOST.verify(Request(b"{}", headers), endpoint)


def test_a_header_of_your_own_is_then_the_only_one() -> None:
    endpoint = Endpoint((SecretStr("one"),), header="X-Shop")
    CLICKPOST.verify(Request(b"{}", {"x-shop": "one"}), endpoint)
    with pytest.raises(Unverified):
        CLICKPOST.verify(Request(b"{}", {"webhook_key": "one"}), endpoint)


# What the messages say


def test_clickpost_is_a_provider_by_name() -> None:
    assert "clickpost" in PROVIDERS
    assert CLICKPOST.name == "clickpost"


@pytest.mark.parametrize("name", [name for name, expected in EXPECTED["clickpost"].items() if "reports" in expected])
def test_every_report_has_what_clickpost_always_says(name: str) -> None:
    for of in reports(fixture(name)):
        assert_words(of)


def test_a_waybill_that_cannot_be_read_holds_back_no_other(runtime: Runtime) -> None:
    body = fixture("poll_five_waybills")
    body["result"]["FMPC0041177204"]["scans"][0]["timestamp"] = "yesterday"
    body["result"]["FMPC0041177205"]["scans"][0]["timestamp"] = "2031-01-01 10:00:00"

    (outcome,) = runtime.intake.take([replace(message(body), received_at=datetime(2026, 3, 13, tzinfo=UTC))])

    assert outcome.state == "parked"
    assert "result.FMPC0041177204.scans.0.timestamp" in outcome.reason
    assert outcome.shipments == ("default:clickpost:55:FMPC0041177203", "default:clickpost:55:FMPC0041177207")
    assert outcome.recorded == 3


def test_a_failed_delivery_is_told_scan_by_scan() -> None:
    told = report("poll_failed_delivery")
    assert [(c.milestone, f"{c.occurred.at:%m-%d %H:%M:%S}") for c in told.checkpoints] == [
        (M.OUT_FOR_DELIVERY, "03-06 04:07:41"),
        (M.DELIVERY_FAILED, "03-05 10:57:55"),
        (M.OUT_FOR_DELIVERY, "03-05 04:18:10"),
        (M.ARRIVED, "03-05 01:03:25"),
        (M.IN_TRANSIT, "03-04 16:21:09"),
        (M.IN_TRANSIT, "03-02 20:44:30"),
        (M.PICKED_UP, "03-02 12:52:47"),
        (M.OUT_FOR_PICKUP, "03-02 11:10:03"),
        (M.INFO_RECEIVED, "03-02 05:35:12"),
    ]
    failed = told.checkpoints[1]
    assert failed.id == "clickpost:41228027380"
    assert failed.reported == datetime(2026, 3, 5, 11, 58, 12, tzinfo=UTC)
    assert (failed.status_code, failed.status_said, failed.remark) == ("9", "Pending", "Nobody at home, door locked")
    assert failed.location == "Pune_Kothrud_D (Maharashtra)"
    assert claims(told) == {
        AssertionKind.STATUS: ("6", "OutForDelivery", ""),
        AssertionKind.STUCK: ("no", "", ""),
        AssertionKind.NDR: ("customer_unavailable", "Customer Unavailable", failed.fingerprint),
    }
    assert told.whole_history
    assert told.stated_at is None


def test_a_poll_names_tracker_and_details() -> None:
    told = report("poll_failed_delivery")
    assert (told.tracker.reference, told.tracker.carrier) == ("4:7702913348051", "Delhivery")
    assert told.details == {
        "order_id": "TL-20417",
        "carrier": "Delhivery",
        "tracking_number": "7702913348051",
        "origin": "Jaipur",
        "destination": "Pune",
        "registered_at": "2026-03-02T05:34:58Z",
    }


def test_an_estimated_day_is_not_shifted() -> None:
    carrier, sla = report("poll_failed_delivery").estimates
    assert carrier.source is EstimateSource.CARRIER and carrier.starts and carrier.starts == carrier.ends
    assert (carrier.starts.said, carrier.starts.local_date) == ("2026-03-06", date(2026, 3, 6))
    assert (carrier.starts.precision, carrier.starts.offset, carrier.offset) == (Precision.DAY, 330, 330)
    assert (sla.source, sla.days_from, sla.days_to, sla.offset) == (EstimateSource.SLA, 2, 4, 330)


def test_an_exact_service_level_is_both_ends() -> None:
    (sla,) = report("poll_not_picked_up").estimates
    assert (sla.days_from, sla.days_to) == (5, 5)


def test_a_parcel_that_was_never_picked_up_has_an_ndr_claim_about_no_scan() -> None:
    told = report("poll_not_picked_up")
    assert len(told.checkpoints) == 8
    assert claims(told)[AssertionKind.NDR] == ("customer_unreachable", "Customer Unreachable", "")
    assert M.DELIVERY_FAILED not in {c.milestone for c in told.checkpoints}
    assert claims(told)[AssertionKind.STUCK] == ("yes", "", "")
    assert status.conclude(told.checkpoints).milestone is M.PICKUP_SCHEDULED


def test_a_delivered_poll_concludes_delivered() -> None:
    told = report("poll_delivered")
    assert status.conclude(told.checkpoints).milestone is M.DELIVERED
    assert told.tracker.carrier == "Blue Dart"


def test_a_return_delivered_to_the_sender_is_returned_not_delivered() -> None:
    told = report("poll_rto_delivered")
    assert [(c.status_code, c.milestone) for c in told.checkpoints if c.leg is Leg.RETURN] == [
        ("14", M.RETURNED),
        ("13", M.RETURNING),
        ("15", M.RETURNING),
        ("13", M.RETURNING),
        ("21", M.RETURNING),
        ("12", M.RETURN_REQUESTED),
        ("11", M.RETURN_REQUESTED),
    ]
    assert status.conclude(told.checkpoints).milestone is M.RETURNED
    assert claims(told)[AssertionKind.NDR][0] == "refused"


def test_a_bare_list_of_scans_is_read_without_a_carrier() -> None:
    told = report("poll_list_shape")
    assert told.tracker.reference == "-:0038114"
    assert told.assertions == ()
    assert [c.location for c in told.checkpoints if c.milestone is M.PICKED_UP] == [""]
    assert told.whole_history


def test_the_request_names_the_carrier_that_the_answer_does_not() -> None:
    assert report("poll_list_shape", cp_id="5").tracker.reference == "5:0038114"
    assert report("poll_list_shape", cp_id="-").tracker.reference == "-:0038114"
    assert report("poll_failed_delivery", cp_id="5").tracker.reference == "4:7702913348051"


def test_the_oldest_shape_is_read() -> None:
    told = report("poll_2016_shape")
    assert [c.milestone for c in told.checkpoints] == [M.INFO_RECEIVED, M.IN_TRANSIT]
    assert [c.location for c in told.checkpoints] == ["", "NAGPUR, NAGPUR"]
    assert claims(told) == {AssertionKind.STATUS: ("5", "InTransit", "")}


def test_of_five_waybills_the_invalid_one_says_nothing() -> None:
    told = reports(fixture("poll_five_waybills"))
    assert [of.tracker.reference for of in told] == [
        "55:FMPC0041177203",
        "55:FMPC0041177204",
        "55:FMPC0041177205",
        "55:FMPC0041177207",
    ]
    assert [len(of.checkpoints) for of in told] == [2, 3, 4, 1]


def test_an_invalid_waybill_says_nothing_whatever_is_listed_of_it() -> None:
    body = fixture("poll_delivered")
    (parcel,) = body["result"].values()
    parcel["valid"] = False
    assert "nothing is known yet" in refusal(body, Ignored)


def test_waybills_of_which_nothing_is_known_are_ignored() -> None:
    assert "result is null" in refusal(fixture("poll_unknown_awb"), Ignored)
    body = fixture("poll_five_waybills")
    body["result"] = {awb: {"valid": False} for awb in body["result"]} | {"X1": None, "X2": [], "X3": {"scans": []}}
    assert "FMPC0041177206" in refusal(body, Ignored)


def test_a_report_keeps_the_channel_of_its_message() -> None:
    assert reports(fixture("webhook_ofd"), "poll")[0].channel == "poll"
    assert reports(fixture("poll_delivered"), "webhook")[0].channel == "webhook"


# The traps


def test_digits_with_a_z_are_indian_time() -> None:
    scan = scan_of("webhook_ofd")
    assert scan.occurred.at == datetime(2026, 3, 6, 4, 7, 41, tzinfo=UTC)
    assert (scan.occurred.said, scan.occurred.offset) == ("2026-03-06T09:37:41Z", 330)
    assert scan.occurred.zone is ZoneSource.ASSUMED


@pytest.mark.parametrize(
    "said",
    [
        "2026-03-06 09:37:41",
        "2026-03-06T09:37:41Z",
        "2026-03-06 09:37:41+00:00",
        "2026-03-06 09:37:41 +00:00",
        "2026-03-06T09:37:41.002000Z",
        "2026-03-06T09:37:41.710",
        "2026-03-06T09: 37: 41Z",
        " 2026-03-06 09:37:41 ",
    ],
)
def test_every_spelling_of_a_time_is_one_statement(said: str) -> None:
    body = fixture("webhook_ofd")
    body["timestamp"] = said
    (told,) = reports(body, "webhook")
    plain = scan_of("webhook_ofd")
    assert told.checkpoints[0].occurred.said == said
    assert (told.checkpoints[0].fingerprint, told.checkpoints[0].digest) == (plain.fingerprint, plain.digest)


def test_blanks_inside_a_time_are_no_harm() -> None:
    scan = scan_of("webhook_blanks_in_time")
    assert scan.occurred.at == datetime(2026, 3, 7, 8, 35, 33, tzinfo=UTC)
    assert scan.occurred.said == "2026-03-07T14: 05: 33Z"


def test_the_zone_can_be_configured_and_is_no_part_of_the_identity() -> None:
    (there,) = report("webhook_ofd", zone_offset="180").checkpoints
    assert there.occurred.at == datetime(2026, 3, 6, 6, 37, 41, tzinfo=UTC)
    assert there.fingerprint == scan_of("webhook_ofd").fingerprint
    estimate = report("webhook_ofd", zone_offset="180").estimates[0]
    assert estimate.starts and estimate.starts.local_date == date(2026, 3, 6)


def test_shuffled_scans_are_the_same_statements() -> None:
    body = fixture("poll_rto_delivered")
    plain = reports(body)[0]
    (parcel,) = body["result"].values()
    for seed in range(5):
        random.Random(seed).shuffle(parcel["scans"])
        shuffled = reports(body)[0]
        assert {c.key: c for c in shuffled.checkpoints} == {c.key: c for c in plain.checkpoints}
        assert shuffled.assertions == plain.assertions


@pytest.mark.parametrize("name", ["webhook_ndr", "webhook_ofd"])
def test_a_webhook_and_a_poll_of_one_scan_meet(name: str) -> None:
    hooked = scan_of(name)
    (polled,) = [c for c in report("poll_failed_delivery").checkpoints if c.fingerprint == hooked.fingerprint]
    assert polled.digest == hooked.digest
    assert (hooked.id, hooked.reported) == ("", None)
    assert polled.id
    assert claims(report("webhook_ndr"))[AssertionKind.NDR] == claims(report("poll_failed_delivery"))[AssertionKind.NDR]


def test_the_ledger_hears_a_webhook_and_a_poll_of_one_scan_once() -> None:
    shipment = Shipment("default:clickpost:4:7702913348051")
    counted = []
    for name in ("webhook_ndr", "poll_failed_delivery", "webhook_ofd", "poll_failed_delivery"):
        events, judgement = shipment.report(report(name), RECEIVED, withdrawals=True)
        for event in events:
            shipment.apply(event)
        counted.append((judgement.recorded, judgement.repeated, judgement.amended, judgement.withdrawn))
    assert counted == [(1, 0, 0, 0), (8, 1, 0, 0), (0, 1, 0, 0), (0, 9, 0, 0)]


def test_a_webhook_is_no_history_and_its_latest_status_no_scan() -> None:
    body = fixture("webhook_ndr")
    body["additional"]["latest_status"] = fixture("webhook_delivered_with_ndr")["additional"]["latest_status"]
    (told,) = reports(body, "webhook")
    assert [c.milestone for c in told.checkpoints] == [M.DELIVERY_FAILED]
    assert claims(told)[AssertionKind.STATUS] == ("8", "Delivered", "")
    assert not told.whole_history


def test_an_empty_list_of_scans_promises_no_history() -> None:
    body = fixture("poll_not_picked_up")
    (parcel,) = body["result"].values()
    parcel["scans"] = []
    assert not reports(body)[0].whole_history


def test_a_delivered_webhook_with_an_ndr_block_is_delivered() -> None:
    told = report("webhook_delivered_with_ndr")
    assert [c.milestone for c in told.checkpoints] == [M.DELIVERED]
    assert claims(told)[AssertionKind.NDR] == ("customer_unavailable", "Customer Unavailable", "")


def test_an_ndr_webhook_explains_its_own_scan() -> None:
    told = report("webhook_ndr")
    assert claims(told)[AssertionKind.NDR][2] == told.checkpoints[0].fingerprint


def test_an_ndr_block_explains_the_newest_failed_scan() -> None:
    body = fixture("poll_failed_delivery")
    (parcel,) = body["result"].values()
    again = copy.deepcopy(parcel["scans"][1]) | {"timestamp": "2026-03-06 17:01:00", "checkpoint_id": 41230000000}
    parcel["scans"].append(again)
    (told,) = reports(body)
    assert claims(told)[AssertionKind.NDR][2] == told.checkpoints[-1].fingerprint


@pytest.mark.parametrize(
    ("number", "reason"),
    [(0, "other"), (4, "not_attempted"), (10, "self_collect"), ("13", "misrouted"), (14, "refused"), (15, "other")],
)
def test_an_ndr_reason_goes_by_its_number(number: int | str, reason: str) -> None:
    body = fixture("webhook_ndr")
    body["additional"]["ndr_status_code"] = number
    assert claims(reports(body)[0])[AssertionKind.NDR][:2] == (reason, "Customer Unavailable")


def test_an_ndr_reason_without_words_keeps_its_number() -> None:
    body = fixture("webhook_ndr")
    body["additional"] |= {"ndr_status_code": 21, "ndr_status_description": None}
    assert claims(reports(body)[0])[AssertionKind.NDR][:2] == ("other", "21")


def test_a_reverse_pickup_travels_on_the_return_leg() -> None:
    told = report("webhook_rvp_delivered")
    assert claims(told)[AssertionKind.DIRECTION][0] == "return"
    assert [(c.milestone, c.leg) for c in told.checkpoints] == [(M.DELIVERED, Leg.FORWARD)]
    assert claims(report("webhook_ofd"))[AssertionKind.DIRECTION][0] == "forward"


def test_a_failed_pickup_keeps_its_reason_verbatim() -> None:
    told = report("webhook_pickup_failed")
    assert [c.milestone for c in told.checkpoints] == [M.PICKUP_FAILED]
    assert claims(told)[AssertionKind.PICKUP_FAILURE] == ("7", "Customer not ready", told.checkpoints[0].fingerprint)


def test_a_return_request_in_the_bucket_of_lost_is_no_loss() -> None:
    body = fixture("webhook_return_request")
    assert body["clickpost_status_bucket"] == 8
    assert "7702913348051" in refusal(body, Ignored)


@pytest.mark.parametrize("other", [{"clickpost_status_code": 5}, {"cp_id": 4, "waybill": "770"}])
def test_a_return_request_is_told_by_its_code_or_by_its_carrier_alone(other: dict[str, Any]) -> None:
    assert "a return was ordered" in refusal(fixture("webhook_return_request") | other, Ignored)


def test_events_of_clickpost_itself_are_stamped_in_utc() -> None:
    body = fixture("poll_delivered")
    (parcel,) = body["result"].values()
    parcel["scans"][0] |= {"clickpost_status_code": 101, "clickpost_status_description": "Return Request Placed"}
    scan = reports(body)[0].checkpoints[0]
    assert scan.occurred.at == datetime(2026, 2, 11, 14, 58, 2, tzinfo=UTC)
    assert scan.milestone is M.UNKNOWN


def test_dispatched_is_out_for_delivery() -> None:
    scan = scan_of("webhook_ofd")
    assert (scan.status_said, scan.milestone) == ("Dispatched", M.OUT_FOR_DELIVERY)


def test_an_unmapped_code_stays_unknown_and_verbatim() -> None:
    scan = scan_of("webhook_unmapped")
    assert (scan.milestone, scan.leg) == (M.UNKNOWN, Leg.FORWARD)
    assert (scan.status_code, scan.status_said, scan.remark) == ("47", "Held at X-ray", "Awaiting second screening")


@pytest.mark.parametrize(
    ("code", "description", "milestone", "leg"),
    [
        (1004, "DestinationHubIn", M.ARRIVED, Leg.FORWARD),
        ("6", "", M.OUT_FOR_DELIVERY, Leg.FORWARD),
        (10, "Cancelled", M.CANCELLED, Leg.FORWARD),
        (23, "Expired", M.EXPIRED, Leg.FORWARD),
        (26, "RTO-ContactCustomerCare", M.RETURNING, Leg.RETURN),
        (32, "Exchange-Delivered", M.DELIVERED, Leg.EXCHANGE),
        (22, "Delivered", M.UNKNOWN, Leg.FORWARD),
        (44, "Partial RTO Delivered", M.RETURNING, Leg.RETURN),
        (44, "Reached-Drop_Location", M.OUT_FOR_DELIVERY, Leg.FORWARD),
        (44, "NoStatusExist", M.UNKNOWN, Leg.FORWARD),
        (5, "Delivered", M.IN_TRANSIT, Leg.FORWARD),
    ],
)
def test_a_milestone_goes_by_the_number(code: int | str, description: str, milestone: Milestone, leg: Leg) -> None:
    body = fixture("webhook_unmapped") | {"clickpost_status_code": code, "clickpost_status_description": description}
    (scan,) = reports(body)[0].checkpoints
    assert (scan.milestone, scan.leg, scan.status_code) == (milestone, leg, str(code))


def test_a_scan_without_words_of_the_carrier_has_those_of_clickpost() -> None:
    body = fixture("webhook_unmapped") | {"status": "None"}
    assert reports(body)[0].checkpoints[0].status_said == "Sorting Hold"


def test_checkpoint_ids_of_64_bits_stay_exact() -> None:
    body = fixture("poll_delivered")
    (parcel,) = body["result"].values()
    parcel["scans"][0]["checkpoint_id"] = 2**64 - 1
    assert reports(body)[0].checkpoints[0].id == f"clickpost:{2**64 - 1}"


def test_two_scans_of_one_second_differ_by_their_remark() -> None:
    body = fixture("poll_list_shape")
    (scans,) = body["result"].values()
    scans.append(scans[0] | {"remark": "Signature taken"})
    (told,) = reports(body)
    assert len({checkpoint.key for checkpoint in told.checkpoints}) == len(told.checkpoints) == len(scans)


def test_a_scan_that_an_answer_repeats_is_one_scan() -> None:
    body = fixture("poll_delivered")
    (parcel,) = body["result"].values()
    once = reports(body)[0].checkpoints
    parcel["scans"] = [scan for scan in parcel["scans"] for _ in range(2)]
    assert reports(body)[0].checkpoints == once


def test_of_two_contents_under_one_number_the_same_is_told_in_whichever_order() -> None:
    body = fixture("poll_delivered")
    (parcel,) = body["result"].values()
    first = parcel["scans"][0]
    pair = [first | {"remark": "one"}, first | {"remark": "two"}]
    parcel["scans"] = pair
    (told,) = reports(body)[0].checkpoints
    parcel["scans"] = pair[::-1]
    assert reports(body)[0].checkpoints == (told,)


def test_a_waybill_that_is_told_twice_is_told_once_or_refused() -> None:
    """Of two whole histories the second would take back what only the first one has."""
    body = fixture("poll_delivered")
    ((waybill, parcel),) = body["result"].items()
    body["result"] |= {f" {waybill}": parcel}
    assert len(reports(body)) == 1
    body["result"] |= {f"{waybill} ": parcel | {"scans": parcel["scans"][1:]}}
    with pytest.raises(Unreadable, match=f'":?.*{waybill}" is told of twice, differently$') as refused:
        reports(body)
    assert [len(of.checkpoints) for of in refused.value.readable] == [len(parcel["scans"])]


def test_unknown_keys_are_tolerated_and_personal_data_left_out() -> None:
    body = fixture("webhook_ndr")
    secret = {"customer_name": "Example Person", "phone": "0000000000", "pickup_address": "1 Example Street"}
    body |= secret
    body["additional"] |= secret
    assert msgspec.json.encode(reports(body)) == msgspec.json.encode(reports(fixture("webhook_ndr")))


# What is refused


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"status": 301, "message": "Authentication Failed"}, "key"),
        ({"status": 302, "message": "no"}, "cp_id"),
        ({"status": 329, "message": None}, "carrier"),
        ({"status": 400, "message": {"waybill": ["is missing"]}}, '{"waybill": ["is missing"]}'),
        ({"status": 500}, "ClickPost failed"),
        ({"status": 999}, "does not document"),
        ({"status": 200, "success": False}, "meta.success"),
        ({"status": True}, "meta.status is true"),
        ({}, "meta.status is missing"),
        ([], "meta is []"),
    ],
)
def test_an_error_inside_http_200_is_told(meta: Any, words: str) -> None:
    assert words in refusal({"meta": meta, "result": None})


@pytest.mark.parametrize("code", [321, 330, 303, 323, 202])
def test_an_answer_about_no_parcel_is_ignored(code: int) -> None:
    assert f"meta.status is {code}" in refusal({"meta": {"status": code, "message": "so it is"}}, Ignored)


def test_a_delta_list_is_a_hint_only() -> None:
    assert "hint" in refusal(fixture("delta"), Ignored)


@pytest.mark.parametrize(
    "result",
    [
        {"tracking_id": 1, "security_key": "x"},
        {"waybill": "1", "label": None, "children": []},
        {"pod_url": "https://example.com/pod.pdf"},
        {"ndr_update_status": [{"awb": "1", "status": True}]},
        {"awb": "1"},
        [],
        [{"webhook_payload": {}}],
        [{"awb": "1", "is_rejected": None}],
    ],
)
def test_answers_of_other_calls_are_ignored(result: Any) -> None:
    refusal({"meta": {"status": 200, "success": True}, "result": result}, Ignored)


def test_the_consumer_tracking_page_is_refused() -> None:
    body = fixture("poll_delivered")
    body["result"] |= {"config": {}, "cp_id": 5}
    assert "consumer tracking page" in refusal(body)
    del body["result"]["config"]
    assert "result.cp_id" in refusal(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": 'Method "POST" not allowed.'}, "HTTP error"),
        ({"test_url": "https://example.com", "test_data": {}}, "test a webhook"),
        ({"waybill": "1", "cp_id": 4, "shipment_info": {}}, "register"),
        ({"waybill": "1", "cp_id": 4, "key": "secret"}, "request"),
        ({"Content-Type": "application/json", "webhook_key": "secret"}, "headers"),
        ([{"waybill": "1", "act": "RE-ATTEMPT"}], "array of 1"),
        ({"meta": {"status": 200, "success": True}}, "result is missing"),
        ({"meta": {"status": 200}, "result": "x"}, "result is"),
        ({"meta": {"status": 200}, "result": [7]}, "result is a list"),
        ({"meta": {"status": 200}, "result": [{"name": "Example Person"}]}, '["name"]'),
        ({"data": {"trackings": []}}, "neither meta nor"),
        ({"meta": {"code": 200}, "data": {}}, "meta.status is missing"),
    ],
)
def test_what_is_no_message_is_told_what_it_is(body: Any, words: str) -> None:
    reason = refusal(body)
    assert words in reason
    assert "secret" not in reason and "Example Person" not in reason


@pytest.mark.parametrize("waybill", ["", "   "])
def test_a_webhook_has_to_name_its_parcel(waybill: str) -> None:
    assert "waybill is empty" in refusal(fixture("webhook_ofd") | {"waybill": waybill})


@pytest.mark.parametrize("waybill", ["9" * 101, "12\n34", "12\u202e34", "12\x0034", "\u200b"])
def test_a_waybill_is_short_and_printable(waybill: str) -> None:
    assert "waybill is" in refusal(fixture("webhook_ofd") | {"waybill": waybill})
    body = fixture("poll_delivered")
    body["result"] = {waybill: next(iter(body["result"].values()))}
    assert "a waybill of result is" in refusal(body)


@pytest.mark.parametrize(
    "said",
    [
        "0000-00-00 00:00:00",
        "1970-01-01 00:00:00",
        "9999-12-31 23:59:59",
        "2026-02-30 10:00:00",
        "2026-03-06 25:00:00",
        "2026-03-06",
        "06-03-2026 10:00:00",
        "20260306T093741",
        "1772770061",
        "yesterday",
        "",
        "\u0662026-03-06 09:37:41",
        "2026-03-06 09:37:41" + " " * 100,
        None,
        1772770061,
        {},
    ],
)
@pytest.mark.parametrize("field", ["timestamp", "created_at"])
def test_an_absurd_time_is_refused_by_its_path(field: str, said: Any) -> None:
    body = fixture("poll_delivered")
    (parcel,) = body["result"].values()
    parcel["scans"][3][field] = said
    if field == "created_at" and not said and said != {}:
        assert reports(body)[0].checkpoints[3].reported is None
    else:
        assert f"result.60217734418.scans.3.{field}" in refusal(body)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("clickpost_status_code", True),
        ("clickpost_status_code", 6.5),
        ("clickpost_status_code", -1),
        ("clickpost_status_code", "six"),
        ("clickpost_status_code", 10**30),
        ("clickpost_status_code", float("nan")),
        ("cp_id", True),
        ("cp_id", "four"),
        ("remark", "x" * 4001),
        ("remark", "a\x00b"),
        ("remark", 7),
        ("waybill", 7702913348051),
        ("additional", []),
        ("additional.courier_partner_edd", "0000-00-00"),
        ("additional.courier_partner_edd", "1999-01-01"),
        ("additional.courier_partner_edd", "soon"),
        ("additional.courier_partner_edd", 20260306),
        ("additional.edd", {"min_sla": 4000}),
        ("additional.edd", {"max_sla": -1}),
        ("additional.edd", {"exact_sla": False}),
        ("additional.ndr", {"ndr_bucket_code": "one"}),
        ("additional.ndr_status_code", True),
        ("additional.is_rvp", "perhaps"),
        ("additional.latest_status", []),
        ("additional.order_id", {}),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(path: str, value: Any) -> None:
    body = fixture("webhook_ndr")
    *parents, last = path.split(".")
    place = body
    for parent in parents:
        place = place[parent]
    place[last] = value
    assert path in refusal(body)


@pytest.mark.parametrize(
    "context", [{"zone_offset": "IST"}, {"zone_offset": "100000"}, {"zone_offset": "9" * 5000}, {"cp_id": "four"}]
)
def test_a_wrong_context_is_refused(context: dict[str, str]) -> None:
    assert next(iter(context)) in refusal(fixture("poll_list_shape"), context=context)


def test_a_message_has_its_limits() -> None:
    body = fixture("poll_delivered")
    (parcel,) = body["result"].values()
    parcel["scans"] = [parcel["scans"][0] | {"checkpoint_id": n} for n in range(5000)]
    assert len(reports(body)[0].checkpoints) == 5000
    parcel["scans"].append(parcel["scans"][0])
    assert "scans" in refusal(body)
    body["result"] = {str(n): {} for n in range(1001)}
    assert "1,001 waybills" in refusal(body)
