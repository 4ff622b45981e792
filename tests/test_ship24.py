"""Does the Ship24 provider say what the messages say, and refuse what it cannot read?"""

import copy
import json
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from support.messages import EXPECTED
from trackledger.adapters.inbox import message as kept
from trackledger.adapters.providers import PROVIDERS, provider
from trackledger.adapters.providers.base import Message, Provider
from trackledger.adapters.providers.ship24_codes import CATEGORIES, CODES, DELIVERY_OPTIONS, ERRORS, MILESTONES
from trackledger.adapters.providers.verifying import Endpoint, Request, Unverified
from trackledger.adapters.runtime import Runtime
from trackledger.domain.checkpoints import AssertionKind, Channel, Checkpoint, EstimateSource, Report
from trackledger.domain.errors import Ignored, MessageError, Unreadable
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Precision, ZoneSource
from trackledger.domain.policies import attempts, status
from trackledger.domain.policies.order import in_order
from trackledger.domain.shipment import Shipment
from trackledger.projections import shipments

FIXTURES = Path(__file__).parent / "fixtures" / "ship24"
RECEIVED = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
SHIP24: Provider = provider("ship24")

M = Milestone


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_bytes())


def message(body: Any, channel: Channel = "poll", context: Mapping[str, str] | None = None) -> Message:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Message("msg-1", "ship24", "default", channel, RECEIVED, raw, context or {})


def reports(body: Any, channel: Channel = "poll", context: Mapping[str, str] | None = None) -> list[Report]:
    return SHIP24.normalize(message(body, channel, context))


def channel_of(name: str) -> Channel:
    return "webhook" if name.startswith("webhook") else "poll"


def report(name: str) -> Report:
    (only,) = reports(fixture(name), channel_of(name))
    return only


def items(body: Any) -> Any:
    return body["trackings"] if "trackings" in body else body["data"]["trackings"]


def hook(**event: Any) -> Any:
    """A webhook with one event, these fields of it changed."""
    body = fixture("webhook_out_for_delivery")
    items(body)[0]["events"][0] |= event
    return body


def scan_of(body: Any) -> Checkpoint:
    (told,) = reports(body, "webhook")
    (only,) = told.checkpoints
    return only


def meaning(**event: Any) -> tuple[Milestone, Leg]:
    """How an event with these status words and no others is read."""
    words = {"statusCode": None, "statusCategory": None, "statusMilestone": None}
    scan = scan_of(hook(**(words | event)))
    return scan.milestone, scan.leg


def claims(of: Report) -> dict[AssertionKind, tuple[str, str]]:
    return {a.kind: (a.value, a.said) for a in of.assertions}


def refusal(body: Any, kind: type[MessageError] = Unreadable, context: Mapping[str, str] | None = None) -> str:
    with pytest.raises(kind) as caught:
        reports(body, context=context)
    assert type(caught.value) is kind
    reason = str(caught.value)
    assert reason.startswith("ship24: ") and reason.isprintable() and len(reason) <= 400
    return reason


# Who sent it


def test_a_webhook_is_accepted_with_its_secret_as_a_bearer_token() -> None:
    endpoint = Endpoint((SecretStr("one"), SecretStr("two")))
    for said in ("Bearer one", "Bearer two", "bearer one", "BEARER  two", "bEArer one"):
        SHIP24.verify(Request(b"{}", {"authorization": said}), endpoint)
    for said in ("one", "Bearer", "Bearer three", "Bearer one two", "Basic one", "Bearerone", "Bearer: one", ""):
        with pytest.raises(Unverified):
            SHIP24.verify(Request(b"{}", {"authorization": said}), endpoint)
    for headers in ({}, {"x-other": "Bearer one"}):
        with pytest.raises(Unverified):
            SHIP24.verify(Request(b"{}", headers), endpoint)


def test_a_header_of_your_own_is_then_the_only_one() -> None:
    endpoint = Endpoint((SecretStr("one"),), header="X-Shop")
    SHIP24.verify(Request(b"{}", {"x-shop": "Bearer one"}), endpoint)
    with pytest.raises(Unverified):
        SHIP24.verify(Request(b"{}", {"authorization": "Bearer one"}), endpoint)


def test_a_head_probe_is_answered_and_is_no_message() -> None:
    secret = Endpoint((SecretStr("one"),))
    probe = Request(b"", {"authorization": "Bearer one"}, "HEAD")
    SHIP24.verify(probe, secret)
    assert SHIP24.handshake(probe) == b"{}"
    assert SHIP24.handshake(Request((FIXTURES / "webhook_delivered.json").read_bytes())) is None


# What the messages say


def test_ship24_is_a_provider_by_name() -> None:
    assert "ship24" in PROVIDERS
    assert SHIP24.name == "ship24"


@pytest.mark.parametrize("name", [name for name, expected in EXPECTED["ship24"].items() if "reports" in expected])
def test_every_report_has_what_ship24_always_says(name: str) -> None:
    for of in reports(fixture(name), channel_of(name), EXPECTED["ship24"][name].get("context")):
        assert of.tracker.carrier == ""
        assert of.tracker.tracking_number == of.details.get("tracking_number", "")
        assert (of.stated_at is not None) == name.startswith("webhook")
        assert of.whole_history == name.startswith("poll")
        for checkpoint in of.checkpoints:
            assert checkpoint.id.startswith("ship24:") and checkpoint.status_said and checkpoint.status_code
            assert checkpoint.occurred.zone is not ZoneSource.ASSUMED
            assert checkpoint.remark == "" and checkpoint.reported is None
            assert (checkpoint.leg is Leg.RETURN) == (checkpoint.milestone in (M.RETURNING, M.RETURNED))


def test_a_history_is_told_event_by_event() -> None:
    told = report("poll_delivered")
    assert [(c.milestone, c.occurred.said, c.order) for c in told.checkpoints] == [
        (M.INFO_RECEIVED, "2026-09-28T09:30:00", 1),
        (M.IN_TRANSIT, "2026-09-29T16:02:18", 2),
        (M.IN_TRANSIT, "2026-10-01T23:10:00", 3),
        (M.ARRIVED, "2026-10-03T15:48:37", 4),
        (M.CUSTOMS, "2026-10-03T22:05:00", 5),
        (M.CUSTOMS, "2026-10-04T19:20:51", 6),
        (M.IN_TRANSIT, "2026-10-06T04:31:22", 7),
        (M.OUT_FOR_DELIVERY, "2026-10-06T08:15:00", 8),
        (M.DELIVERED, "2026-10-06T11:42:10", 9),
    ]
    delivered = told.checkpoints[-1]
    assert (delivered.status_code, delivered.status_said) == ("delivery_delivered", "Die Sendung wurde zugestellt")
    assert delivered.location == "Jena"
    assert claims(told) == {AssertionKind.STATUS: ("delivered", "delivery_delivered")}
    assert told.whole_history


def test_an_answer_names_tracker_and_details() -> None:
    told = report("poll_delivered")
    assert told.tracker.reference == "0b7d3f6e-5a41-4c2f-9e80-6d1c2b9a4f10"
    assert told.details == {
        "order_id": "TL-31877",
        "carrier": "dhl",
        "tracking_number": "LX402118837CN",
        "service": "DHL Paket",
        "origin": "CN",
        "destination": "DE",
        "registered_at": "2026-09-28T07:12:44.108000Z",
    }


def test_the_carrier_is_the_courier_of_the_newest_event_else_the_one_asked_for() -> None:
    body = fixture("poll_delivered")
    (item,) = items(body)
    random.Random(0).shuffle(item["events"])
    assert reports(body)[0].details["carrier"] == "dhl"
    for event in item["events"]:
        event["courierCode"] = None
    assert reports(body)[0].details["carrier"] == "cn-post"
    item["tracker"]["courierCode"] = "yanwen"
    assert reports(body)[0].details["carrier"] == "yanwen"
    item["tracker"]["courierCode"] = []
    assert "carrier" not in reports(body)[0].details


def test_a_webhook_is_no_history_and_says_when_it_was_made() -> None:
    told = report("webhook_delivered")
    assert len(told.checkpoints) == 1
    assert not told.whole_history
    assert told.stated_at == datetime(2026, 10, 6, 9, 48, 3, 511_000, tzinfo=UTC)
    assert told.received_at == RECEIVED


def test_a_clock_that_runs_ahead_has_not_the_last_word_for_ever() -> None:
    body = fixture("webhook_delivered")
    items(body)[0]["metadata"]["generatedAt"] = "2099-01-01T00:00:00.000Z"
    assert reports(body, "webhook")[0].stated_at == RECEIVED


def test_the_body_tells_an_answer_from_a_webhook_and_the_message_its_channel() -> None:
    answer, hooked = fixture("poll_delivered"), fixture("webhook_delivered")
    assert [(r.channel, r.whole_history) for r in reports(answer, "webhook")] == [("webhook", True)]
    assert [(r.channel, r.whole_history) for r in reports(hooked, "poll")] == [("poll", False)]


def test_a_tracking_that_stands_alone_is_read_and_promises_no_history() -> None:
    told = report("tracking_object")
    assert status.conclude(told.checkpoints).milestone is M.LOST
    assert not told.whole_history


def test_an_answer_without_a_tracker_is_read_under_the_one_of_the_request() -> None:
    body = fixture("poll_per_call")
    assert "data.trackings.0.tracker is missing" in refusal(body)
    (told,) = reports(body, context={"tracker_id": "mine"})
    assert told.tracker.reference == "mine"
    assert reports(fixture("poll_delivered"), context={"tracker_id": "mine"})[0].tracker.reference.startswith(
        "0b7d3f6e"
    )
    items(body).append(copy.deepcopy(items(body)[0]))
    assert "data.trackings.0.tracker is missing" in refusal(body, context={"tracker_id": "mine"})


def test_a_webhook_without_events_tells_the_state_of_the_shipment_only() -> None:
    body = fixture("webhook_delivered")
    nothing: tuple[Any, ...] = ([], None)
    for events in nothing:
        items(body)[0]["events"] = events
        (told,) = reports(body, "webhook")
        assert told.checkpoints == ()
        assert claims(told) == {AssertionKind.STATUS: ("delivered", "delivery_delivered")}
        assert len(told.estimates) == 1
    del items(body)[0]["events"]
    assert reports(body, "webhook")[0].checkpoints == ()
    assert claims(report("webhook_no_events")) == {AssertionKind.STATUS: ("pending", "")}


def test_an_empty_list_of_events_promises_no_history() -> None:
    body = fixture("poll_delivered")
    items(body)[0]["events"] = []
    assert not reports(body)[0].whole_history


# Times


def test_zoneless_dated_and_offset_times_in_one_list_keep_what_they_say() -> None:
    times = {c.occurred.said: c.occurred for c in report("poll_mixed_times").checkpoints}

    def told(said: str) -> tuple[datetime, ZoneSource, int, Precision]:
        return times[said].at, times[said].zone, times[said].offset, times[said].precision

    assert told("2026-10-14T09:05:00+02:00") == (
        datetime(2026, 10, 14, 7, 5, tzinfo=UTC),
        ZoneSource.STATED,
        120,
        Precision.SECOND,
    )
    assert told("2026-10-13T21:44:12Z") == (
        datetime(2026, 10, 13, 21, 44, 12, tzinfo=UTC),
        ZoneSource.STATED,
        0,
        Precision.SECOND,
    )
    assert told("2026-10-12T18:30:45") == (
        datetime(2026, 10, 12, 18, 30, 45, tzinfo=UTC),
        ZoneSource.UNKNOWN,
        0,
        Precision.SECOND,
    )
    assert told("2026-10-13") == (datetime(2026, 10, 13, tzinfo=UTC), ZoneSource.UNKNOWN, 0, Precision.DAY)


def test_a_zoneless_time_never_gets_a_zone() -> None:
    for name in ("poll_delivered", "webhook_delivered", "webhook_legacy", "poll_returned"):
        assert {c.occurred.zone for c in report(name).checkpoints} == {ZoneSource.UNKNOWN}
        assert {c.occurred.offset for c in report(name).checkpoints} == {0}


def test_the_legacy_time_with_its_false_z_is_not_believed() -> None:
    body = fixture("webhook_delivered")
    assert items(body)[0]["events"][0]["datetime"] == "2026-10-06T11:42:10.000Z"
    assert scan_of(body).occurred.zone is ZoneSource.UNKNOWN
    assert scan_of(hook(datetime="1970-01-01T00:00:00.000Z")) == scan_of(hook())


def test_a_misspelt_time_is_read() -> None:
    events = items(fixture("webhook_legacy"))[0]["events"]
    misspelt = [event["occurenceDatetime"] for event in events if "occurenceDatetime" in event]
    assert len(misspelt) == 2
    assert all("occurrenceDatetime" not in event for event in events if "occurenceDatetime" in event)
    assert set(misspelt) < {c.occurred.said for c in report("webhook_legacy").checkpoints}


def test_broken_legacy_fields_are_no_harm() -> None:
    event = items(fixture("webhook_legacy"))[0]["events"][0]
    assert (event["hasNoTime"], event["utcOffset"]) == ("false,", "null,")
    broken: tuple[Any, ...] = ("false,", "null,", None, 7, [], {"a": 1})
    for value in broken:
        assert scan_of(hook(hasNoTime=value, utcOffset=value, datetime=value)) == scan_of(hook())


@pytest.mark.parametrize("field", ["occurrenceDatetime", "metadata.generatedAt", "tracker.createdAt"])
@pytest.mark.parametrize(
    "said",
    [
        "0000-00-00T00:00:00",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59",
        "2026-02-30",
        "2026-10-06T25:00:00",
        "06-10-2026 10:00:00",
        "1791273600",
        "yesterday",
        "2026-10-06T08:15:00 Europe/Berlin",
        "\u0662026-10-06T08:15:00",
        "2" * 65,
        1791273600,
        {},
    ],
)
def test_an_absurd_time_is_refused_by_its_path(field: str, said: Any) -> None:
    body = hook(**{field: said} if "." not in field else {})
    if "." in field:
        part, name = field.split(".")
        items(body)[0][part][name] = said
        assert f"trackings.0.{field}" in refusal(body)
    else:
        assert f"trackings.0.events.0.{field}" in refusal(body)


def test_an_event_without_a_time_is_refused() -> None:
    body = hook()
    del items(body)[0]["events"][0]["occurrenceDatetime"]
    assert "trackings.0.events.0.occurrenceDatetime is missing" in refusal(body)


def test_local_times_of_two_countries_interleave_and_delivered_stands() -> None:
    told = report("webhook_legacy")
    ordered = [c.status_said for c in in_order(told.checkpoints)]
    assert ordered.index("Arrived in the destination country") < ordered.index("Departed from the airport of origin")
    assert status.conclude(told.checkpoints).milestone is M.DELIVERED
    late = scan_of(hook(occurrenceDatetime="2026-09-21T02:00:00", statusCode=None, statusMilestone="in_transit"))
    assert status.conclude([*told.checkpoints, late]).milestone is M.DELIVERED


# The provider's order


def test_order_decides_between_equal_times_only() -> None:
    ordered = [(c.occurred.said, c.order) for c in in_order(report("webhook_legacy").checkpoints)]
    assert [order for said, order in ordered if said == "2026-09-16T00:00:00"] == [1, 2]
    assert ordered.index(("2026-09-16T00:00:00", 2)) < ordered.index(("2026-09-16T00:40:00", 0))


def test_order_decides_between_events_of_one_day() -> None:
    days = [c for c in in_order(report("poll_mixed_times").checkpoints) if c.occurred.precision is Precision.DAY]
    assert [(c.order, c.milestone) for c in days] == [(2, M.ARRIVED), (3, M.CUSTOMS)]


def test_an_order_that_is_null_everywhere_or_reversed_changes_no_conclusion() -> None:
    body = fixture("poll_delivered")
    events = items(body)[0]["events"]
    plain = status.conclude(reports(body)[0].checkpoints)
    for orders in ([None] * len(events), list(range(1, len(events) + 1))):
        for event, order in zip(events, orders, strict=True):
            event["order"] = order
        (told,) = reports(body)
        assert [c.order for c in told.checkpoints] == [order or 0 for order in reversed(orders)]
        assert status.conclude(told.checkpoints) == plain
    assert status.conclude(report("poll_customs_order_reversed").checkpoints).said == "Held by customs"


def test_shuffled_events_are_the_same_statements() -> None:
    for name in ("poll_delivered", "poll_mixed_times", "poll_returned", "poll_failed_attempts_by_milestone"):
        body = fixture(name)
        plain = reports(body)
        for seed in range(5):
            random.Random(seed).shuffle(items(body)[0]["events"])
            assert reports(body) == plain


# Identity


def test_the_same_event_in_webhook_and_poll_form_meets_by_its_id() -> None:
    polled = {c.id: c for c in (*report("poll_delivered").checkpoints, *report("poll_returned").checkpoints)}
    for name in ("webhook_delivered", "webhook_out_for_delivery", "webhook_failed_attempt", "webhook_still_failed"):
        (hooked,) = report(name).checkpoints
        assert polled[hooked.id] == hooked


def test_the_ledger_hears_the_webhook_and_the_poll_of_one_event_once() -> None:
    shipment = Shipment("default:ship24:0b7d3f6e-5a41-4c2f-9e80-6d1c2b9a4f10")
    counted = []
    for name in ("webhook_delivered", "poll_delivered", "webhook_out_for_delivery", "poll_delivered"):
        events, judgement = shipment.report(report(name), RECEIVED, withdrawals=True)
        for event in events:
            shipment.apply(event)
        counted.append((judgement.recorded, judgement.repeated, judgement.amended, judgement.withdrawn))
    assert counted == [(1, 0, 0, 0), (8, 1, 0, 0), (0, 1, 0, 0), (0, 9, 0, 0)]


def test_an_event_without_an_id_meets_itself_by_its_fingerprint() -> None:
    known, loose = scan_of(hook()), scan_of(hook(eventId=None))
    assert (loose.id, loose.key) == ("", f"~{loose.fingerprint}")
    assert (loose.fingerprint, loose.digest) == (known.fingerprint, known.digest)
    assert scan_of(hook(eventId="  ")).id == ""


@pytest.mark.parametrize(
    "event",
    [
        {"eventTrackingNumber": "00340434161094027325"},
        {"occurrenceDatetime": "2026-10-06T08:15:01"},
        {"status": "Die Sendung wird zugestellt"},
        {"location": "Weimar"},
    ],
)
def test_what_identifies_an_event_without_an_id(event: dict[str, Any]) -> None:
    assert scan_of(hook(**event)).fingerprint != scan_of(hook()).fingerprint


@pytest.mark.parametrize(
    "event",
    [
        {"status": "Die Sendung wird zugestellt"},
        {"location": None},
        {"occurrenceDatetime": "2026-10-06T08:15:01"},
        {"occurrenceDatetime": "2026-10-06T08:15:00+02:00"},
        {"statusCode": "delivery_attempted"},
        {"statusCategory": "transit"},
        {"statusMilestone": "in_transit"},
        {"order": 2},
    ],
)
def test_other_content_under_the_same_id_is_a_correction(event: dict[str, Any]) -> None:
    plain, other = scan_of(hook()), scan_of(hook(**event))
    assert other.id == plain.id
    assert other.digest != plain.digest


@pytest.mark.parametrize(
    "event",
    [
        {"courierCode": "dhl-paket", "sourceCode": "dhl-api"},
        {"trackingNumber": "00340434161094027318"},
        {"status": "  DIE  Sendung wurde in das Zustellfahrzeug geladen "},
        {"occurrenceDatetime": " 2026-10-06T08:15:00.000 "},
        {"somethingNew": {"a": [1]}},
    ],
)
def test_what_ship24_rewrites_without_meaning_is_no_correction(event: dict[str, Any]) -> None:
    plain, other = scan_of(hook()), scan_of(hook(**event))
    assert (other.key, other.digest, other.fingerprint) == (plain.key, plain.digest, plain.fingerprint)


def test_the_same_number_under_two_trackers_is_two_shipments(runtime: Runtime) -> None:
    body = (FIXTURES / "poll_search_two_trackers.json").read_bytes()
    one, other = reports(body)
    assert one.tracker.tracking_number == other.tracker.tracking_number == "SPXSG0448817263"
    assert {c.id for c in one.checkpoints} < {c.id for c in other.checkpoints}

    (outcome,) = runtime.intake.take([kept("ship24", body, received_at=RECEIVED)])
    runtime.projector.catch_up()

    assert outcome.recorded == 5
    found = shipments.find(runtime.store, "SPXSG0448817263")
    assert {(row["order_id"], row["checkpoints"]) for row in found} == {("TL-32180", 2), ("TL-29944", 3)}


def test_two_trackers_in_one_message_are_two_reports_and_two_items_of_one_are_one() -> None:
    first, second = reports(fixture("webhook_two_trackers"), "webhook")
    assert [c.milestone for c in first.checkpoints] == [M.IN_TRANSIT, M.OUT_FOR_DELIVERY]
    assert [c.milestone for c in second.checkpoints] == [M.PICKED_UP]
    assert first.tracker.reference != second.tracker.reference


def test_items_out_of_order_in_one_message_say_what_the_newest_says() -> None:
    body = fixture("webhook_two_trackers")
    plain = {told.tracker.reference: told for told in reports(body, "webhook")}
    first = plain["2a6c80d5-b31e-47f9-9c02-e15f74d8a033"]
    assert claims(first) == {AssertionKind.STATUS: ("out_for_delivery", "delivery_out_for_delivery")}
    assert first.stated_at == datetime(2026, 10, 10, 8, 16, 20, tzinfo=UTC)
    assert len(first.estimates) == 1
    for order in permutations(items(body)):
        shuffled = reports({"trackings": list(order)}, "webhook")
        assert {told.tracker.reference: told for told in shuffled} == plain


def test_two_contents_of_one_event_in_one_message_are_the_one_that_was_made_later() -> None:
    body = fixture("webhook_out_for_delivery")
    (item,) = items(body)
    later = copy.deepcopy(item)
    later["metadata"]["generatedAt"] = "2026-10-06T07:00:00.000Z"
    later["events"][0] |= {"location": "Jena-Göschwitz", "occurrenceDatetime": "2026-10-06T08:10:00"}
    for both in ([item, later], [later, item]):
        assert scan_of({"trackings": both}).location == "Jena-Göschwitz"


def test_a_tracker_that_cannot_be_read_holds_back_no_other(runtime: Runtime) -> None:
    body = fixture("webhook_two_trackers")
    items(body)[2]["events"][0]["occurrenceDatetime"] = "yesterday"

    raw = json.dumps(body).encode()
    (outcome,) = runtime.intake.take([kept("ship24", raw, channel="webhook", received_at=RECEIVED)])

    assert outcome.state == "parked"
    assert "trackings.2.events.0.occurrenceDatetime" in outcome.reason
    assert outcome.shipments == ("default:ship24:97d3e5b4-0c8f-4b61-a5de-71f2c9680e45",)
    assert outcome.recorded == 1


# What the words mean


@pytest.mark.parametrize(
    ("code", "milestone"),
    [
        ("data_order_created", M.INFO_RECEIVED),
        ("data_order_cancelled", M.CANCELLED),
        ("transit_handover", M.PICKED_UP),
        ("transit_origin_country_departure", M.IN_TRANSIT),
        ("destination_arrival", M.ARRIVED),
        ("customs_received", M.CUSTOMS),
        ("customs_exception", M.ON_HOLD),
        ("customs_rejected", M.EXCEPTION),
        ("customs_cleared", M.CUSTOMS),
        ("delivery_available_for_pickup", M.AVAILABLE_FOR_PICKUP),
        ("delivery_out_for_delivery", M.OUT_FOR_DELIVERY),
        ("delivery_attempted", M.DELIVERY_FAILED),
        ("delivery_exception", M.EXCEPTION),
        ("delivery_refused", M.DELIVERY_FAILED),
        ("delivery_delivered", M.DELIVERED),
        ("exception_return", M.RETURNING),
        ("exception_lost", M.LOST),
        ("exception_discarded", M.EXCEPTION),
    ],
)
def test_a_code_says_what_happened_whatever_stands_beside_it(code: str, milestone: Milestone) -> None:
    leg = Leg.RETURN if code == "exception_return" else Leg.FORWARD
    for after in (None, "in_transit", "delivered"):
        for category in (None, "transit"):
            assert meaning(statusCode=code, statusCategory=category, statusMilestone=after) == (milestone, leg)
    assert scan_of(hook(statusCode=code)).status_code == code


def test_every_documented_code_is_mapped() -> None:
    assert len(CODES.keys() | DELIVERY_OPTIONS) == 20
    assert len(MILESTONES) == 8 - len(["pending"])


@pytest.mark.parametrize(
    ("after", "milestone"),
    [
        ("pending", M.UNKNOWN),
        ("info_received", M.INFO_RECEIVED),
        ("in_transit", M.IN_TRANSIT),
        ("out_for_delivery", M.OUT_FOR_DELIVERY),
        ("available_for_pickup", M.AVAILABLE_FOR_PICKUP),
        ("failed_attempt", M.DELIVERY_FAILED),
        ("delivered", M.DELIVERED),
        ("exception", M.EXCEPTION),
        ("on_pause", M.UNKNOWN),
        ("Delivered", M.UNKNOWN),
        ("", M.UNKNOWN),
        (None, M.UNKNOWN),
    ],
)
def test_without_a_known_code_the_milestone_says_it(after: str | None, milestone: Milestone) -> None:
    for code in (None, "", "gate_scan", "delivered"):
        assert meaning(statusCode=code, statusMilestone=after) == (milestone, Leg.FORWARD)


@pytest.mark.parametrize(
    ("category", "milestone"),
    [
        ("data", M.INFO_RECEIVED),
        ("transit", M.IN_TRANSIT),
        ("destination", M.ARRIVED),
        ("customs", M.CUSTOMS),
        ("delivery", M.OUT_FOR_DELIVERY),
        ("exception", M.OUT_FOR_DELIVERY),
        ("in_transit", M.OUT_FOR_DELIVERY),
    ],
)
def test_a_category_that_names_one_thing_comes_before_the_state_of_the_parcel(
    category: str, milestone: Milestone
) -> None:
    for code in (None, "gate_scan"):
        told = meaning(statusCode=code, statusCategory=category, statusMilestone="out_for_delivery")
        assert told == (milestone, Leg.FORWARD)
    assert CATEGORIES.keys() == {"data", "transit", "destination", "customs"}


@pytest.mark.parametrize("code", sorted(DELIVERY_OPTIONS))
def test_a_delivery_option_leaves_the_parcel_in_its_state(code: str) -> None:
    told = {after: meaning(statusCode=code, statusMilestone=after)[0] for after in (*MILESTONES, "pending", None)}
    assert told == MILESTONES | {"failed_attempt": M.UNKNOWN, "pending": M.IN_TRANSIT, None: M.IN_TRANSIT}


def test_words_that_nothing_maps_stay_unknown_and_verbatim() -> None:
    (scan,) = report("webhook_unmapped").checkpoints
    assert (scan.milestone, scan.status_code, scan.status_said) == (M.UNKNOWN, "gate_scan", "Gate scan")
    assert claims(report("webhook_unmapped")) == {AssertionKind.STATUS: ("on_pause", "gate_scan")}


def test_an_unknown_word_moves_no_status() -> None:
    told = report("poll_customs_order_reversed").checkpoints
    assert [c.milestone for c in told] == [M.IN_TRANSIT, M.CUSTOMS, M.ARRIVED, M.UNKNOWN, M.ON_HOLD]
    assert status.conclude(told[:-1]).milestone is M.ARRIVED


def test_an_event_without_a_text_has_the_words_of_its_status() -> None:
    assert scan_of(hook(status=None)).status_said == "delivery_out_for_delivery"
    scan = scan_of(hook(status="", statusCode=None, statusCategory=None))
    assert (scan.status_said, scan.status_code) == ("out_for_delivery", "out_for_delivery")


@pytest.mark.parametrize(
    ("said", "milestone"),
    [
        ("Returned to shipper", M.RETURNED),
        ("The package was returned to the sender.", M.RETURNED),
        ("Your item has been delivered to the original sender", M.RETURNED),
        ("RETURNED BACK TO SENDER", M.RETURNED),
        ("The parcel will be returned to sender", M.RETURNING),
        ("Is being returned to sender", M.RETURNING),
        ("Return to sender requested", M.RETURNING),
        ("Retour à l'expéditeur", M.RETURNING),
        ("Delivered", M.RETURNING),
        (None, M.RETURNING),
    ],
)
def test_a_return_has_arrived_only_where_clear_words_say_so(said: str | None, milestone: Milestone) -> None:
    assert meaning(statusCode="exception_return", status=said) == (milestone, Leg.RETURN)


def test_a_delivery_to_the_sender_is_a_return_that_arrived_not_a_delivery() -> None:
    assert meaning(statusCode="delivery_delivered", status="Delivered to sender") == (M.RETURNED, Leg.RETURN)
    for said in ("Delivered", "Delivered to the sender's neighbour", "Signed document returned"):
        assert meaning(statusCode="delivery_delivered", status=said) == (M.DELIVERED, Leg.FORWARD)


def test_a_returned_parcel_concludes_returned() -> None:
    told = report("poll_returned")
    assert [(c.milestone, c.leg) for c in told.checkpoints[-2:]] == [
        (M.RETURNING, Leg.RETURN),
        (M.RETURNED, Leg.RETURN),
    ]
    assert status.conclude(told.checkpoints).milestone is M.RETURNED


# Failed deliveries


def test_a_scan_that_finds_the_parcel_in_the_state_of_a_failed_attempt_is_no_further_attempt() -> None:
    told = report("poll_returned").checkpoints
    assert [(c.milestone, c.occurred.said[5:16]) for c in told if c.status_said != "Out for delivery"][1:5] == [
        (M.DELIVERY_FAILED, "10-21T11:36"),
        (M.UNKNOWN, "10-21T18:55"),
        (M.UNKNOWN, "10-22T07:15"),
        (M.UNKNOWN, "10-22T19:40"),
    ]
    (case,) = attempts.conclude(told)
    assert (case.attempts, case.failure_scans, case.outcome) == (2, 2, attempts.Outcome.RETURNING)
    assert status.conclude(told[:6]).milestone is M.DELIVERY_FAILED


def test_without_codes_each_change_to_failed_attempt_is_an_attempt() -> None:
    told = report("poll_failed_attempts_by_milestone").checkpoints
    assert [c.milestone for c in told] == [
        M.IN_TRANSIT,
        M.OUT_FOR_DELIVERY,
        M.DELIVERY_FAILED,
        M.UNKNOWN,
        M.OUT_FOR_DELIVERY,
        M.DELIVERY_FAILED,
    ]
    (case,) = attempts.conclude(told)
    assert (case.attempts, case.state) == (2, attempts.CaseState.OPEN)


def test_events_of_one_day_change_the_state_in_their_order() -> None:
    body = fixture("poll_failed_attempts_by_milestone")
    (item,) = items(body)
    plain = [c.milestone for c in reports(body)[0].checkpoints]
    for order, event in enumerate(reversed(item["events"]), start=1):
        event |= {"occurrenceDatetime": "2026-10-30", "order": order}
    assert [c.milestone for c in reports(body)[0].checkpoints] == plain


def test_an_event_without_a_state_leaves_the_parcel_in_the_one_before() -> None:
    body = fixture("poll_failed_attempts_by_milestone")
    (item,) = items(body)
    stateless = item["events"][3] | {"eventId": "e-1", "occurrenceDatetime": "2026-10-29T20:00:00+01:00"}
    for after in (None, ""):
        item["events"][6:] = [stateless | {"statusMilestone": after}]
        told = [c.milestone for c in reports(body)[0].checkpoints]
        assert told[2:5] == [M.DELIVERY_FAILED, M.UNKNOWN, M.UNKNOWN]


def failed(at: str, first: str | None) -> Milestone:
    """How a webhook's scan is read that has nothing but the state of a failed attempt."""
    body = hook(occurrenceDatetime=at, statusCode=None, statusCategory=None, statusMilestone="failed_attempt")
    items(body)[0]["statistics"]["timestamps"]["failedAttemptDatetime"] = first
    return scan_of(body).milestone


def test_a_webhook_tells_the_first_failed_attempt_by_its_statistics() -> None:
    assert failed("2026-10-06T10:00:00", "2026-10-06T10:00:00") is M.DELIVERY_FAILED
    assert failed("2026-10-06T10:00:00", "2026-10-06T10:00:00.000Z") is M.DELIVERY_FAILED
    assert failed("2026-10-06T10:00:00.000Z", "2026-10-06T10:00:00") is M.DELIVERY_FAILED
    assert failed("2026-10-06T10:00:00", None) is M.DELIVERY_FAILED
    assert failed("2026-10-05T10:00:00", "2026-10-06T10:00:00") is M.DELIVERY_FAILED
    assert failed("2026-10-06T18:00:00", "2026-10-06T10:00:00") is M.UNKNOWN
    body = fixture("webhook_still_failed")
    for nothing in ({"timestamps": None}, None):
        items(body)[0]["statistics"] = nothing
        assert scan_of(body).milestone is M.DELIVERY_FAILED


def test_the_whole_history_corrects_what_a_webhook_could_not_know() -> None:
    body = fixture("poll_failed_attempts_by_milestone")
    (item,) = items(body)
    second = {"events": [item["events"][0]], "statistics": {"timestamps": {"failedAttemptDatetime": "2026-10-29"}}}
    made = {"metadata": {"generatedAt": "2026-10-30T12:30:00.000Z"}}
    (hooked,) = reports({"trackings": [item | second | made]}, "webhook")
    (polled,) = reports(body)
    assert [c.milestone for c in hooked.checkpoints] == [M.UNKNOWN]
    shipment = Shipment(hooked.key)
    counted = []
    for told in (hooked, polled, hooked, polled):
        events, judgement = shipment.report(told, RECEIVED, withdrawals=False)
        for event in events:
            shipment.apply(event)
        counted.append((judgement.recorded, judgement.amended, judgement.repeated))
    assert counted == [(1, 0, 0), (5, 1, 0), (0, 0, 1), (0, 0, 6)]


def test_a_delivery_exception_is_a_failed_delivery_where_the_milestone_says_so() -> None:
    assert meaning(statusCode="delivery_exception", statusMilestone="failed_attempt")[0] is M.DELIVERY_FAILED
    assert meaning(statusCode="delivery_exception", statusMilestone="in_transit")[0] is M.EXCEPTION
    assert meaning(statusCode="delivery_exception", statusMilestone="exception")[0] is M.EXCEPTION


def test_the_category_keeps_a_transit_scan_after_a_failed_attempt_from_being_one() -> None:
    assert meaning(statusCategory="transit", statusMilestone="failed_attempt")[0] is M.IN_TRANSIT


@pytest.mark.parametrize(
    ("code", "said", "reason", "inferred"),
    [
        ("delivery_refused", "Receiver did not want the product", NdrReason.REFUSED, False),
        ("delivery_refused", "Customer not available", NdrReason.REFUSED, False),
        ("delivery_attempted", "Customer not available", NdrReason.CUSTOMER_UNAVAILABLE, True),
        ("delivery_attempted", "The address is incomplete", NdrReason.BAD_ADDRESS, True),
        ("delivery_attempted", "Delivery postponed at the receiver's request", NdrReason.RESCHEDULED, True),
        ("delivery_attempted", "Parcel was refused", NdrReason.REFUSED, True),
        (None, "Payment outstanding", NdrReason.PAYMENT_ISSUE, True),
        ("delivery_attempted", "Empfänger nicht angetroffen", None, False),
        ("delivery_attempted", None, None, False),
    ],
)
def test_only_a_refusal_is_a_stated_reason(
    code: str | None, said: str | None, reason: NdrReason | None, inferred: bool
) -> None:
    words = {"statusCode": code, "statusCategory": None, "statusMilestone": "failed_attempt", "status": said}
    scan = scan_of(hook(**words))
    assert scan.milestone is M.DELIVERY_FAILED
    assert (scan.ndr_reason, scan.ndr_inferred) == (reason, inferred)


def test_what_is_no_failed_delivery_has_no_reason() -> None:
    for name in ("poll_delivered", "poll_mixed_times", "webhook_still_failed"):
        assert {c.ndr_reason for c in report(name).checkpoints} == {None}
    assert scan_of(hook(status="Customer not available, refused")).ndr_reason is None


# When it will come


def windows(**delivery: Any) -> dict[EstimateSource, tuple[str | None, str | None]]:
    body = hook()
    items(body)[0]["shipment"]["delivery"] = delivery
    return {
        e.source: (e.starts.said if e.starts else None, e.ends.said if e.ends else None)
        for e in reports(body, "webhook")[0].estimates
    }


def test_the_courier_s_window_comes_before_its_single_time() -> None:
    (estimate,) = report("poll_delivered").estimates
    assert estimate.source is EstimateSource.CARRIER and estimate.starts and estimate.ends
    assert (estimate.starts.said, estimate.ends.said) == ("2026-10-06T10:00:00", "2026-10-06T18:00:00")
    assert estimate.ends.zone is ZoneSource.UNKNOWN
    single = {EstimateSource.CARRIER: ("2026-10-06T18:00:00",) * 2}
    for nothing in (None, {"from": None, "to": None}, {}, {"from": "", "to": " "}):
        delivery = {"estimatedDeliveryDate": "2026-10-06T18:00:00", "courierEstimatedDeliveryDate": nothing}
        assert windows(**delivery) == single
    assert windows(estimatedDeliveryDate=None) == windows() == {}


def test_a_window_may_have_one_end() -> None:
    assert windows(courierEstimatedDeliveryDate={"from": "2026-10-06"}) == {
        EstimateSource.CARRIER: ("2026-10-06", None)
    }
    assert windows(courierEstimatedDeliveryDate={"to": "2026-10-07"}) == {EstimateSource.CARRIER: (None, "2026-10-07")}


def test_ship24_s_own_prediction_stands_beside_the_courier_s() -> None:
    carrier, provider_ = report("poll_mixed_times").estimates
    assert (carrier.source, provider_.source) == (EstimateSource.CARRIER, EstimateSource.PROVIDER)
    assert carrier.starts and carrier.starts == carrier.ends
    assert (carrier.starts.said, carrier.starts.precision) == ("2026-10-15", Precision.DAY)
    assert provider_.starts and provider_.ends
    assert provider_.ends.at == datetime(2026, 10, 15, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "first", "zone", "offset"),
    [
        ("2026-10-14", datetime(2026, 10, 14, tzinfo=UTC), ZoneSource.UNKNOWN, 0),
        ("2026-10-14T00:00:00", datetime(2026, 10, 14, tzinfo=UTC), ZoneSource.UNKNOWN, 0),
        ("2026-10-14T00:00:00.000Z", datetime(2026, 10, 14, tzinfo=UTC), ZoneSource.STATED, 0),
        ("2026-10-14T00:00:00+02:00", datetime(2026, 10, 13, 22, tzinfo=UTC), ZoneSource.STATED, 120),
    ],
)
def test_an_estimate_of_midnight_is_that_whole_day(said: str, first: datetime, zone: ZoneSource, offset: int) -> None:
    body = hook()
    items(body)[0]["shipment"]["delivery"] = {"estimatedDeliveryDate": said}
    expected = reports(body, "webhook")[0].estimates[0].ends
    assert expected is not None
    assert (expected.at, expected.zone, expected.offset, expected.said) == (first, zone, offset, said)
    assert (expected.precision, expected.local_date) == (Precision.DAY, date(2026, 10, 14))
    assert expected.end == first + timedelta(days=1)


def test_midnight_in_an_event_is_an_instant() -> None:
    assert scan_of(hook(occurrenceDatetime="2026-10-06T00:00:00")).occurred.precision is Precision.SECOND


# What is left out


def test_personal_data_is_left_out_and_unknown_keys_are_tolerated() -> None:
    body = fixture("poll_delivered")
    (item,) = items(body)
    assert item["shipment"]["recipient"]["name"] == "Example Person"
    told = msgspec.json.encode(reports(body)).decode()
    for private in (*(text for text in item["shipment"]["recipient"].values() if text), "Example Neighbour"):
        assert private not in told
    item["shipment"] |= {"recipient": None, "phone": "0000000000"}
    item["shipment"]["delivery"]["signedBy"] = None
    item["tracker"] |= {"recipient": {"email": "person@example.com"}}
    assert msgspec.json.encode(reports(body)).decode() == told


def test_a_shipment_that_is_null_takes_no_event_away() -> None:
    told = report("poll_shipment_null")
    assert [c.milestone for c in told.checkpoints] == [M.PICKED_UP]
    assert (told.assertions, told.estimates) == ((), ())


def test_a_proof_of_delivery_is_no_scan_and_hides_none() -> None:
    pod, hooked = fixture("webhook_pod"), fixture("webhook_delivered")
    assert "a proof of delivery is neither" in refusal(pod, Ignored)
    assert "files.example" not in refusal(pod, Ignored)
    for both in ([*items(pod), *items(hooked)], [*items(hooked), *items(pod)]):
        assert reports({"trackings": both}, "webhook") == reports(hooked, "webhook")


def test_a_message_pokes_nobody() -> None:
    for name in EXPECTED["ship24"]:
        assert SHIP24.pokes(message(fixture(name))) == ()


# What is refused or ignored, and with which reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"data": {"trackings": []}}, "data.trackings is empty"),
        ({"trackings": []}, "trackings is empty"),
        ({"data": {"tracker": {"trackerId": "1"}}}, "creates, gets or changes a tracker"),
        ({"data": {"trackers": []}}, "the list of trackers"),
        ({"data": {"couriers": []}}, "the list of couriers"),
        ({"data": {"summary": {"totalResent": "8"}}}, "send webhooks again"),
        ({"status": "success", "summary": {}, "data": [], "error": None}, "creates many trackers"),
        ({"errors": [{"code": "parcel_not_found"}], "data": None}, "nothing is known of the parcel, yet"),
        ({"errors": [{"code": "tracker_not_found", "message": "no"}], "data": None}, 'Ship24 says "no"'),
        (fixture("poll_nothing_known"), "no tracking has an event or a status"),
        (fixture("webhook_pod"), "a proof of delivery is neither"),
    ],
)
def test_what_says_nothing_about_a_parcel_is_ignored(body: Any, words: str) -> None:
    assert words in refusal(body, Ignored)


@pytest.mark.parametrize("code", sorted(ERRORS.keys() - {"tracker_not_found", "parcel_not_found"}))
def test_an_error_is_no_message_and_refused_by_name(code: str) -> None:
    for body in (
        {"errors": [{"code": code, "message": "so it is"}], "data": None},
        {"status": "error", "summary": None, "data": None, "error": {"code": code, "message": "so it is"}},
    ):
        reason = refusal(body)
        assert code in reason and ERRORS[code] in reason and "so it is" in reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"errors": [{"code": "teapot"}], "data": None}, '"teapot" (an error that Ship24 does not document)'),
        ({"errors": "no", "data": None}, "does not document"),
        ({"errors": [["no"]]}, "does not document"),
        ({"errors": [], "data": None}, "neither trackings nor data.trackings"),
        ({"trackings": {}}, "trackings is {}: it must be a list"),
        ({"trackings": None}, "trackings is null: it must be a list"),
        ({"data": {"trackings": "x"}}, "data.trackings is"),
        ({"trackings": [7]}, "trackings.0 is 7: it must be an object"),
        ({"trackings": [[]]}, "trackings.0 is []"),
        ({"trackings": [{"tracker": {"trackerId": "1"}}]}, "trackings.0.shipment and trackings.0.events are missing"),
        ({"trackings": [{"tracker": {}, "events": []}]}, "trackings.0.tracker.trackerId is missing"),
        ({"trackings": [{"events": []}]}, "trackings.0.tracker is missing"),
        ({"tracker": {"trackerId": "1"}, "events": {}}, "events is {}"),
        ({"trackingNumber": "TLX900417755"}, "looks like a request to create a tracker"),
        ({"isSubscribed": False}, "looks like a request to change a tracker"),
        ({"metadata": {}, "webhooks": []}, "a history of webhooks"),
        ({"meta": {"code": 200}, "data": {"tracking": {}}}, '["data", "meta"]'),
        ({"recipient": "Example Person"}, '["recipient"]'),
        ([{"trackings": []}], "array of 1"),
    ],
)
def test_what_is_no_message_is_told_what_it_is(body: Any, words: str) -> None:
    reason = refusal(body)
    assert words in reason
    assert "Example Person" not in reason


@pytest.mark.parametrize("said", ["", "   ", "9" * 201, "12\n34", "12\u202e34", "12\x0034", "\u200b", 7, True, None])
def test_a_tracker_s_id_is_short_and_printable(said: Any) -> None:
    body = hook()
    items(body)[0]["tracker"]["trackerId"] = said
    assert "trackings.0.tracker.trackerId is" in refusal(body)
    if isinstance(said, str) and said:
        assert "tracker.trackerId is" in refusal(fixture("poll_per_call"), context={"tracker_id": said})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tracker.trackingNumber", "9" * 257),
        ("tracker.trackingNumber", []),
        ("tracker.courierCode", {}),
        ("tracker.courierCode", ["a"] * 101),
        ("shipment", 7),
        ("shipment.statusMilestone", {}),
        ("shipment.delivery", []),
        ("shipment.delivery.service", "x" * 257),
        ("shipment.delivery", {"estimatedDeliveryDate": "soon"}),
        ("shipment.delivery", {"estimatedDeliveryDate": "1999-01-01"}),
        ("shipment.delivery.courierEstimatedDeliveryDate", "2026-10-06"),
        ("shipment.delivery.courierEstimatedDeliveryDate", {"from": "soon"}),
        ("shipment.delivery.aiPredictiveDeliveryDate", {"to": "0000-00-00"}),
        ("metadata.topic", {}),
        ("statistics.timestamps", 7),
        ("events", {}),
        ("events.0", None),
        ("events.0.eventId", {}),
        ("events.0.order", True),
        ("events.0.order", 1.5),
        ("events.0.order", "first"),
        ("events.0.order", 10**30),
        ("events.0.order", float("nan")),
        ("events.0.status", "x" * 4001),
        ("events.0.status", "a\x00b"),
        ("events.0.status", 7),
        ("events.0.location", []),
        ("events.0.statusCode", "x" * 257),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(path: str, value: Any) -> None:
    body = hook()
    *parents, last = path.split(".")
    place = items(body)[0]
    for parent in parents:
        place = place[int(parent) if parent.isdecimal() else parent]
    place[int(last) if last.isdecimal() else last] = value
    assert f"trackings.0.{path}" in refusal(body)


def test_a_message_has_its_limits() -> None:
    body = fixture("webhook_delivered")
    (item,) = items(body)
    (event,) = item["events"]
    item["events"] = [event | {"eventId": f"e-{n}"} for n in range(5000)]
    assert len(reports(body)[0].checkpoints) == 5000
    item["events"].append(event)
    assert "trackings.0.events" in refusal(body)
    assert "1,001 items" in refusal({"trackings": [{}] * 1001})
