"""Does a number that one provider announces lead to another that tells its journey, once and for good?"""

import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trackledger.adapters.follow_up import FOLLOWERS, FollowUp
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import PROVIDERS, normalize, provider
from trackledger.adapters.providers.aftership import own_id
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.domain.checkpoints import Channel, Report, Tracker
from trackledger.domain.errors import UsageError
from trackledger.domain.events import Opened, PieceLinked, ReportRecorded, TrackerLinked
from trackledger.projections import consignments, shipments

RECEIVED = datetime(2026, 6, 1, 6, 0, tzinfo=UTC)
ORDER = "8e0f51c7-2b94-4d6a-b3e8-5c17f09a6d42"
UPS, USPS = "1Z7F03W40318846622", "9400111206213859440016"
ORDER_ID, UPS_ID, USPS_ID = (f"default:rye:{ORDER}{tail}" for tail in ("", f":ups:{UPS}", f":usps:{USPS}"))

Said = tuple[str, Channel, Any]


def rye_webhook(kind: str = "TRACKING_OBTAINED", at: str = "2026-03-04T19:22:10Z", **data: Any) -> Said:
    body = {"id": f"wh-{at}", "requestId": ORDER, "developerId": "dev", "createdAt": at, "type": kind, "data": data}
    return "rye", "webhook", body


def rye_answer(*numbers: tuple[str, str]) -> Said:
    events = [
        {"__typename": f"{name}OrderEvent", "id": name, "createdAt": at}
        for name, at in (("OrderPlaced", "2026-03-02T15:04:31Z"), ("TrackingObtained", "2026-03-04T19:22:10.655Z"))
    ]
    rows = [{"carrierName": carrier, "carrierTrackingNumber": number} for carrier, number in numbers]
    order = {"id": ORDER, "status": "SUCCEEDED", "events": events, "shipments": rows}
    return "rye", "poll", {"data": {"orderByID": order}}


def aftership(shipment_id: str, number: str, tag: str, at: str) -> Said:
    """What AfterShip says of the tracking that was made for the parcel of this id."""
    checkpoint = {"checkpoint_time": at, "created_at": at, "slug": "any", "tag": tag, "message": tag, "city": "Reno"}
    tracking = {"id": own_id(shipment_id), "tracking_number": number, "slug": "any", "tag": tag, "updated_at": at}
    body = {"event": "tracking_update", "msg": tracking | {"checkpoints": [checkpoint]}, "ts": 1780000000}
    return "aftership", "webhook", body


FROM_WEBHOOK = rye_webhook(shipments=[{"carrierName": "UPS", "carrierTrackingNumber": UPS}])
FROM_ANSWER = rye_answer(("ups ", f" {UPS.lower()}"))
TWO_BY_WEBHOOKS = (
    FROM_WEBHOOK,
    rye_webhook(at="2026-03-05T07:00:00Z", tracking={"courier": "USPS", "tracking_number": USPS}),
)
TWO_BY_ANSWER = rye_answer(("UPS", UPS), ("USPS", USPS))


def take(runtime: Runtime, *said: Said, account: str = "default") -> None:
    for minute, (name, channel, body) in enumerate(said):
        raw, at = json.dumps(body).encode(), RECEIVED + timedelta(minutes=minute)
        (outcome,) = runtime.intake.take([message(name, raw, channel=channel, account=account, received_at=at)])
        assert (outcome.state, outcome.reason) == ("done", "")
    runtime.projector.catch_up()


def links(runtime: Runtime) -> dict[str, str]:
    """AfterShip's tracking ids and the shipments that they feed."""
    found = runtime.database.tuples(
        "SELECT reference, shipment_id FROM {s}tracker_links WHERE provider = 'aftership' ORDER BY shipment_id"
    )
    return {row[0]: row[1] for row in found}


def linked(runtime: Runtime, shipment_id: str) -> list[Tracker]:
    """The trackers that the shipment's events say were linked to it later."""
    events = [placed.event for placed in runtime.ledger.history(shipment_id)]
    return [event.tracker for event in events if isinstance(event, TrackerLinked)]


# From Rye to AfterShip


@pytest.mark.parametrize(
    "said",
    [
        [FROM_WEBHOOK],
        [FROM_ANSWER],
        [FROM_WEBHOOK, FROM_ANSWER],
        [FROM_ANSWER, FROM_WEBHOOK],
        [FROM_WEBHOOK, FROM_WEBHOOK, FROM_ANSWER, FROM_ANSWER, FROM_WEBHOOK],
        [rye_webhook(), FROM_ANSWER],
        [FROM_ANSWER, rye_webhook()],
    ],
    ids=["webhook", "answer", "webhook first", "answer first", "often", "number by answer only", "no number again"],
)
def test_a_number_is_followed_once_from_whatever_message_it_was_learned(runtime: Runtime, said: list[Said]) -> None:
    take(runtime, *said)

    assert links(runtime) == {own_id(UPS_ID): UPS_ID}
    (tracker,) = linked(runtime, UPS_ID)
    assert (tracker.provider, tracker.reference) == ("aftership", own_id(UPS_ID))
    assert (tracker.carrier.strip().upper(), tracker.tracking_number.upper()) == ("UPS", UPS)


def test_a_number_is_a_piece_of_its_order_and_followed_from_its_first_report_on(runtime: Runtime) -> None:
    take(runtime, FROM_WEBHOOK)
    events = [type(placed.event) for placed in runtime.ledger.history(UPS_ID)]
    assert events == [Opened, TrackerLinked, PieceLinked, ReportRecorded]
    (row,) = shipments.find(runtime.store, UPS_ID)
    assert (row["piece_of"], row["carrier"], row["tracking_number"]) == (ORDER_ID, "UPS", UPS)
    assert linked(runtime, ORDER_ID) == []


@pytest.mark.parametrize("said", [TWO_BY_WEBHOOKS, [TWO_BY_ANSWER], [*TWO_BY_WEBHOOKS, TWO_BY_ANSWER]])
def test_two_numbers_stay_two(runtime: Runtime, said: list[Said]) -> None:
    take(runtime, *said)
    assert links(runtime) == {own_id(UPS_ID): UPS_ID, own_id(USPS_ID): USPS_ID}
    assert own_id(UPS_ID) != own_id(USPS_ID)
    of = consignments.of(runtime.store, ORDER_ID)
    assert of is not None and (of["pieces"], of["state"]) == (2, "open")


def test_a_relabelled_number_is_followed_too_and_the_old_one_still_is(runtime: Runtime) -> None:
    take(runtime, rye_answer(("UPS", UPS)), rye_answer(("USPS", USPS)))
    assert links(runtime) == {own_id(UPS_ID): UPS_ID, own_id(USPS_ID): USPS_ID}


def test_what_aftership_tells_is_told_of_the_parcel_that_rye_announced(runtime: Runtime) -> None:
    take(
        runtime,
        *TWO_BY_WEBHOOKS,
        aftership(UPS_ID, UPS, "OutForDelivery", "2026-03-06T08:00:00+00:00"),
        aftership(USPS_ID, USPS, "Delivered", "2026-03-07T12:30:00+00:00"),
        TWO_BY_ANSWER,
    )

    rows = {row["shipment_id"]: row for row in shipments.listed(runtime.store)}
    assert {id_: (row["milestone"], row["provider"]) for id_, row in rows.items()} == {
        ORDER_ID: ("info_received", "rye"),
        UPS_ID: ("out_for_delivery", "aftership"),
        USPS_ID: ("delivered", "aftership"),
    }
    of = consignments.of(runtime.store, ORDER_ID)
    assert of is not None and (of["pieces"], of["delivered"], of["open"], of["state"]) == (2, 1, 1, "partial")

    take(runtime, aftership(UPS_ID, UPS, "Delivered", "2026-03-06T14:00:00+00:00"))
    of = consignments.of(runtime.store, ORDER_ID)
    assert of is not None and (of["delivered"], of["state"]) == (2, "complete")


def test_a_cancelled_order_leaves_its_parcels_to_their_carriers(runtime: Runtime) -> None:
    moved = aftership(UPS_ID, UPS, "InTransit", "2026-03-06T08:00:00+00:00")
    take(runtime, FROM_WEBHOOK, moved, rye_webhook("ORDER_CANCEL_SUCCEEDED", "2026-03-06T09:00:00Z"))
    milestones = {row["shipment_id"]: row["milestone"] for row in shipments.listed(runtime.store)}
    assert milestones == {ORDER_ID: "cancelled", UPS_ID: "in_transit"}


def test_in_any_order_the_same_parcels_are_followed_and_in_the_same_state(runtime: Runtime) -> None:
    said = [*TWO_BY_WEBHOOKS, TWO_BY_ANSWER, rye_webhook("ORDER_PLACED", "2026-03-02T15:04:31Z"), rye_webhook()]
    for seed in range(4):
        account = f"shuffled{seed}"
        shuffled = said * 2
        random.Random(seed).shuffle(shuffled)
        take(runtime, *shuffled, account=account)
        parcels = [f"{account}:rye:{ORDER}:{tail}" for tail in (f"ups:{UPS}", f"usps:{USPS}")]
        assert {id_: of for id_, of in links(runtime).items() if of.startswith(account)} == {
            own_id(parcel): parcel for parcel in parcels
        }
        found = shipments.listed(runtime.store, account=account)
        assert [row["piece_of"] for row in found] == [None] + [f"{account}:rye:{ORDER}"] * 2


def test_the_same_number_of_two_accounts_is_followed_for_each(runtime: Runtime) -> None:
    take(runtime, FROM_WEBHOOK)
    take(runtime, FROM_WEBHOOK, account="acme")
    assert sorted(links(runtime).values()) == [UPS_ID.replace("default", "acme", 1), UPS_ID]


# Who is not followed


def test_nobody_is_followed_where_nobody_is_asked_to(database_url: str) -> None:
    with open_runtime(Settings(database_url, follow_up={})) as runtime:
        take(runtime, *TWO_BY_WEBHOOKS)
        assert links(runtime) == {}
        assert len(shipments.listed(runtime.store)) == 3


def test_a_shipment_whose_journey_its_provider_tells_is_not_followed(runtime: Runtime) -> None:
    body = {"id": "shp_1", "checkoutIntentId": "ci_1", "status": "shipped", "shippedAt": "2026-04-03T08:58:30Z"}
    tracking = {"number": UPS, "carrierName": "UPS"}
    take(runtime, ("rye", "poll", body | {"tracking": tracking, "trackingEvents": []}))
    assert links(runtime) == {}


@pytest.mark.parametrize("name", PROVIDERS)
def test_only_rye_stops_before_the_journey(name: str) -> None:
    one = provider(name)
    assert bool(re.fullmatch(one.abilities.follow_up, one.reference_like)) is (name == "rye")


def test_what_a_report_says_stays_as_it_is() -> None:
    name, channel, body = FROM_WEBHOOK
    told = normalize(message(name, json.dumps(body).encode(), channel=channel, received_at=RECEIVED))
    order, parcel = map(FollowUp({"rye": "aftership"}), told)
    assert order == told[0]
    further = Tracker("aftership", own_id(UPS_ID), "UPS", UPS)
    assert parcel.also_trackers == (further,)
    assert without_trackers(parcel) == without_trackers(told[1])


def without_trackers(report: Report) -> list[Any]:
    return [getattr(report, name) for name in report.__struct_fields__ if name != "also_trackers"]


# Who follows


@pytest.mark.parametrize("name", FOLLOWERS)
def test_the_reference_that_a_follower_is_given_is_one_that_it_takes(name: str) -> None:
    (further,) = FollowUp({"rye": name})(parcel_report()).also_trackers
    assert re.fullmatch(provider(name).reference_form, further.reference)
    assert FollowUp({"rye": name})(parcel_report()).also_trackers == (further,)


def parcel_report() -> Report:
    tracker = Tracker("rye", f"{ORDER}:ups:{UPS}", "UPS", UPS)
    return Report("default", tracker, "msg-1", "webhook", RECEIVED)


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ({"pigeon": "aftership"}, "follow-up pigeon=aftership: pigeon is unknown; use one of: clickpost, "),
        ({"rye": "pigeon"}, "follow-up rye=pigeon: pigeon takes no reference of ours; use one of: aftership"),
        ({"rye": "ship24"}, "follow-up rye=ship24: ship24 takes no reference of ours; use one of: aftership"),
    ],
)
def test_providers_that_cannot_be_put_together_are_refused(then: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=f"^{reason}"):
        FollowUp(then)
