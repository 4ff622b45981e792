"""What a message says otherwise when it is read again: which events follow, and what stands then?"""

from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from msgspec.structs import replace

from support.parcels import batches, parcel, reports
from support.reports import OTHER_TRACKER, claim, estimate, report
from support.rows import ARRIVAL, rows
from support.scans import scan, when
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.domain.checkpoints import Checkpoint, Report
from trackledger.domain.corrections import Reading
from trackledger.domain.errors import InvalidStatement
from trackledger.domain.events import (
    ClaimCorrection,
    Correction,
    DetailCorrection,
    EstimateCorrection,
    Event,
    ReportRecorded,
    Reread,
    WithdrawnByHand,
)
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.rereading import Rereading, Review
from trackledger.domain.statements import Statements, Told, fold

ID = "default:clickpost:4:AWB1"
MAPPINGS = {"clickpost": "2+0c"}
AT = "4 10:00"

MOVING = scan("in_transit", "3 09:00", id="clickpost:1", said="Moving", remark="left with Mrs Rao")
DOOR = scan("out_for_delivery", "4 09:00", id="clickpost:2", said="Out")
LOOSE = scan("arrived", "3 15:00", said="Hub")
WHO = ("clerk@shop", "the customer sent a photo")


@pytest.fixture
def told(runtime: Runtime) -> Runtime:
    """A ledger in which three checkpoints of one shipment were told by one message."""
    runtime.ledger.intake([report(MOVING, DOOR, LOOSE, at=AT)])
    return runtime


def again(runtime: Runtime, *readings: Report, store: bool = True, whole: bool = True) -> Review:
    """Read messages about one shipment again, as these reports."""
    review, *others = runtime.ledger.reread(
        [[Rereading(one, whole) for one in readings]], MAPPINGS, "ops@shop", store=store
    )
    assert not others
    return review


def said(runtime: Runtime) -> Statements:
    return fold(ID, runtime.ledger.history(ID))


def one(runtime: Runtime, key: str) -> Told:
    return next(told for told in said(runtime).told() if told.checkpoint.key == key)


def events(runtime: Runtime) -> list[Event]:
    return [placed.event for placed in runtime.ledger.history(ID)]


def nothing_follows(runtime: Runtime, *readings: Report) -> None:
    before = len(events(runtime))
    assert again(runtime, *readings).events == []
    assert {receipt.events for receipt in runtime.ledger.intake(list(readings))} == {0}
    assert len(events(runtime)) == before


def other(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    """The same words in another reading that changes what identifies them."""
    fresh = {"digest": checkpoint.digest[::-1], "fingerprint": checkpoint.fingerprint[::-1]}
    return replace(checkpoint, **{**fresh, **changes})


READINGS = {
    "another milestone": (MOVING, replace(MOVING, milestone=Milestone.CUSTOMS)),
    "another leg and reason": (DOOR, replace(DOOR, leg=Leg.RETURN, ndr_reason=NdrReason.REFUSED)),
    "another zone, by its id": (MOVING, other(MOVING, occurred=when("3 14:30"))),
    "another zone, by its words": (LOOSE, other(LOOSE, occurred=replace(when("3 20:30"), said=LOOSE.occurred.said))),
    "another zone, by its fingerprint": (LOOSE, replace(LOOSE, digest="0f" * 8, occurred=when("3 20:30"))),
    "another everything, by its place": (LOOSE, other(LOOSE, occurred=when("3 20:30"), status_said="At a hub")),
    "an id where there was none": (LOOSE, replace(LOOSE, id="clickpost:7")),
    "another id": (MOVING, replace(MOVING, id="cp:1")),
    "another id and fingerprint": (MOVING, replace(MOVING, id="cp:1", fingerprint="f0" * 16)),
    "no id any more": (MOVING, replace(MOVING, id="", fingerprint="f0" * 16)),
}


@pytest.mark.parametrize(("before", "after"), READINGS.values(), ids=READINGS)
def test_a_statement_that_is_read_otherwise_is_corrected(told: Runtime, before: Checkpoint, after: Checkpoint) -> None:
    reading = report(*(after if one is before else one for one in (MOVING, DOOR, LOOSE)), at=AT)

    review = again(told, reading)

    event = Reread(
        recorded_at=review.events[0].recorded_at,
        provider="clickpost",
        mapping="2+0c",
        message_id="poll 4 10:00",
        actor="ops@shop",
        corrections=(Correction(before.key, before.digest, after),),
        tracker=ID,
    )
    assert review.events == [event] == events(told)[-1:]
    key = after.key if after.id or not before.id else before.id
    assert replace(one(told, key).checkpoint, id=after.id) == after
    assert (one(told, key).corrected, one(told, key).message_id, len(said(told).told())) == (1, "poll 4 10:00", 3)
    nothing_follows(told, reading, replace(reading, message_id="later", received_at=when("6 09:00").at))


def test_a_better_reading_only_looked_at_is_not_stored(told: Runtime) -> None:
    reading = report(replace(MOVING, milestone=Milestone.CUSTOMS), DOOR, LOOSE, at=AT)

    review = again(told, reading, store=False)

    assert [type(event) for event in review.events] == [Reread]
    assert [type(placed.event) for placed in review.before] == [type(event) for event in events(told)]
    assert Reread not in map(type, events(told))


def test_a_version_that_no_longer_stands_does_not_stand_again(told: Runtime) -> None:
    newer = scan("delivered", "5 08:00", id="clickpost:1", said="Done")
    told.ledger.intake([report(newer, at="5 10:00")])

    again(told, report(replace(MOVING, milestone=Milestone.CUSTOMS), DOOR, LOOSE, at=AT))

    assert one(told, "clickpost:1").checkpoint == newer
    assert said(told).version("clickpost:1", MOVING.digest) == replace(MOVING, milestone=Milestone.CUSTOMS)


def test_what_another_message_told_is_left_to_that_message(told: Runtime) -> None:
    later = report(replace(MOVING, milestone=Milestone.CUSTOMS), DOOR, LOOSE, at="5 10:00")
    assert {receipt.events for receipt in told.ledger.intake([later])} == {0}

    assert again(told, later).events == []


def test_what_is_read_for_the_first_time_is_recorded_as_told_by_its_message(told: Runtime) -> None:
    found = scan("customs", "3 11:00", said="Customs")

    review = again(told, report(MOVING, DOOR, LOOSE, found, at=AT))

    (event,) = review.events
    assert isinstance(event, ReportRecorded)
    assert (event.message_id, event.received_at, event.recorded) == ("poll 4 10:00", when(AT).at, (found,))


def test_what_is_read_no_more_is_withdrawn(told: Runtime) -> None:
    reading = report(MOVING, DOOR, at=AT)

    (event,) = again(told, reading).events

    assert isinstance(event, WithdrawnByHand)
    assert (event.keys, event.actor) == ((LOOSE.key,), "ops@shop")
    assert event.reason == "message poll 4 10:00 does not say so as clickpost is read by mapping 2+0c"
    nothing_follows(told, reading)


def test_what_is_read_again_after_a_mapping_left_it_out_counts_again(told: Runtime) -> None:
    told.ledger.withdraw(ID, ["clickpost:1"], *WHO)
    again(told, report(MOVING, DOOR, at=AT))

    (event,) = again(told, report(MOVING, DOOR, LOOSE, at=AT)).events

    assert isinstance(event, WithdrawnByHand)
    assert (event.keys, event.undone) == ((LOOSE.key,), True)
    assert event.reason == "message poll 4 10:00 says so again as clickpost is read by mapping 2+0c"
    assert [t.checkpoint.key for t in said(told).told() if t.withdrawn] == ["clickpost:1"]
    nothing_follows(told, report(MOVING, DOOR, LOOSE, at=AT))


def test_two_contents_of_one_checkpoint_are_both_found_by_its_new_identity(runtime: Runtime) -> None:
    both = (LOOSE, replace(LOOSE, digest="0f" * 8, status_said="Hub 2"))
    runtime.ledger.intake([report(*both, at=AT)])
    reading = report(*(other(one, fingerprint="f0" * 16, occurred=when("3 20:30")) for one in both), at=AT)

    again(runtime, reading)

    assert [t.checkpoint.key for t in said(runtime).told()] == ["~" + "f0" * 16]
    nothing_follows(runtime, reading)


@pytest.mark.parametrize("first", ["with its id", "without"])
def test_what_was_heard_by_both_mappings_is_one_checkpoint_after_it_is_read_again(runtime: Runtime, first: str) -> None:
    old, new = MOVING, other(MOVING, occurred=replace(when("3 14:30"), said=MOVING.occurred.said))
    if first == "without":
        runtime.ledger.intake([report(replace(old, id=""), at=AT)])
        runtime.ledger.intake([report(new, at="5 10:00")])
        reading = report(replace(new, id=""), at=AT)
    else:
        runtime.ledger.intake([report(old, at=AT)])
        runtime.ledger.intake([report(replace(new, id=""), at="5 10:00")])
        reading = report(new, at=AT)
    assert len(said(runtime).told()) == 2

    again(runtime, reading)

    assert [t.checkpoint for t in said(runtime).told()] == [new]
    nothing_follows(runtime, reading)


def test_what_somebody_amended_is_found_by_the_words_before_that(told: Runtime) -> None:
    told.ledger.amend(ID, LOOSE.key, Reading(location="Pune", remark="see the photo"), *WHO)
    moved = other(LOOSE, occurred=replace(when("3 20:30"), said=LOOSE.occurred.said))

    again(told, report(MOVING, DOOR, moved, scan("customs", "3 11:00", said="Customs"), at=AT))

    assert len(said(told).told()) == 4
    stands = one(told, moved.key).checkpoint
    assert (stands.location, stands.remark, stands.digest) == ("Pune", "see the photo", moved.digest)
    nothing_follows(told, report(MOVING, DOOR, moved, at="6 10:00"))


def test_what_was_not_read_of_a_message_in_part_unreadable_is_not_gone(told: Runtime) -> None:
    assert again(told, report(MOVING, at=AT), whole=False).events == []


def test_what_somebody_amended_stays_also_where_it_is_identified_otherwise(told: Runtime) -> None:
    told.ledger.amend(ID, "clickpost:2", Reading(milestone=Milestone.DELIVERED), *WHO)
    same = report(MOVING, replace(DOOR, milestone=Milestone.ON_HOLD), LOOSE, at=AT)
    shifted = report(MOVING, other(DOOR, occurred=when("4 14:30")), LOOSE, at=AT)

    assert (again(told, same).events, again(told, same).by_hand) == ([], 1)
    assert len(again(told, shifted).events) == 1

    assert one(told, "clickpost:2").checkpoint == other(DOOR, milestone=Milestone.DELIVERED)
    nothing_follows(told, shifted)


def test_a_checkpoint_that_was_withdrawn_by_hand_stays_so(told: Runtime) -> None:
    told.ledger.withdraw(ID, [LOOSE.key], *WHO)

    again(told, report(MOVING, DOOR, other(LOOSE, occurred=when("3 20:30")), at=AT))

    assert [t.withdrawn for t in said(told).told() if not t.checkpoint.id] == [True]


def headlines(reason: str, zone: str, carrier: str, about: str) -> dict[str, Any]:
    return {
        "claims": claim("ndr", reason, "OTP", about),
        "estimate": estimate("carrier", zone),
        "details": {"carrier": carrier, "order_id": "TL-1"},
    }


def telling(scanned: Checkpoint, said: Mapping[str, Any]) -> Report:
    return report(scanned, at=AT, assertions=(said["claims"],), estimates=(said["estimate"],), details=said["details"])


def test_claims_estimates_and_details_are_corrected(runtime: Runtime) -> None:
    failed = scan("delivery_failed", "4 09:00", said="Failed")
    moved = other(failed, occurred=when("4 14:30"))
    before = headlines("other", "6", "113", failed.fingerprint)
    after = headlines("otp_issue", "7", "Delhivery", moved.fingerprint)
    runtime.ledger.intake([telling(failed, before)])

    (event,) = again(runtime, telling(moved, after)).events

    assert isinstance(event, Reread)
    assert event.claims == (ClaimCorrection(before["claims"], after["claims"]),)
    assert event.estimates == (EstimateCorrection(before["estimate"], after["estimate"]),)
    assert event.details == (DetailCorrection("carrier", "113", "Delhivery"),)
    (stands,) = said(runtime).told()
    assert (stands.checkpoint.ndr_reason, stands.ndr_said) == (NdrReason.OTP_ISSUE, "OTP")
    assert [told.estimate for told in said(runtime).estimates] == [after["estimate"]]
    assert (said(runtime).detail("carrier"), said(runtime).detail("order_id")) == ("Delhivery", "TL-1")
    nothing_follows(runtime, telling(moved, after))


def test_one_shipment_that_cannot_be_decided_harms_no_other(told: Runtime) -> None:
    told.ledger.intake([report(MOVING, at=AT, tracker=OTHER_TRACKER)])
    told.ledger.forget(ID, *WHO)
    readings = [
        [Rereading(report(replace(MOVING, milestone=Milestone.CUSTOMS), at=AT, tracker=tracker))]
        for tracker in (parcel(1), OTHER_TRACKER)
    ]
    forgotten = [Rereading(report(replace(MOVING, milestone=Milestone.CUSTOMS), at=AT))]

    reviews = told.ledger.reread([forgotten, *readings], MAPPINGS, "ops@shop", store=True)

    assert [review.error for review in reviews] == [f"{ID} was forgotten; nothing can be added to it", "", ""]
    assert [review.forgotten for review in reviews] == [True, False, False]
    assert [[type(event).__name__ for event in review.events] for review in reviews] == [
        [],
        ["Opened", "ReportRecorded"],
        ["Reread"],
    ]


def test_whoever_has_it_read_again_has_a_name(told: Runtime) -> None:
    with pytest.raises(InvalidStatement, match="say who you are"):
        told.ledger.reread([], MAPPINGS, "", store=True)


def test_a_private_shipment_is_read_again_as_it_was_heard(database_url: str) -> None:
    with open_runtime(Settings(database_url, privacy="sealed")) as private:
        private.ledger.intake(
            [report(MOVING, LOOSE, at=AT, assertions=(claim("ndr", "other", "OTP", MOVING.fingerprint),))]
        )
        reading = report(
            replace(MOVING, milestone=Milestone.CUSTOMS),
            other(LOOSE, occurred=when("3 20:30")),
            at=AT,
            assertions=(claim("ndr", "otp_issue", "OTP", MOVING.fingerprint),),
        )

        assert [type(event) for event in again(private, reading).events] == [Reread]

        stands = one(private, "clickpost:1").checkpoint
        assert (stands.milestone, stands.remark) == (Milestone.CUSTOMS, "left with Mrs Rao")
        assert stands.fingerprint != MOVING.fingerprint
        nothing_follows(private, reading)
        stored = private.database.tuples("SELECT state FROM {s}stored_events WHERE topic = 'shipment.Reread'")
        assert b"Mrs Rao" not in stored[0][0] and b"OTP" not in stored[0][0]


def as_of_old(one: Report, mapping: str) -> Report:
    """What the message says by an older mapping, which did not know a status, read times in another zone, or both."""
    return replace(one, checkpoints=tuple(_old(checkpoint, mapping) for checkpoint in one.checkpoints))


def _old(checkpoint: Checkpoint, mapping: str) -> Checkpoint:
    if "status" in mapping and checkpoint.milestone in (Milestone.DELIVERY_FAILED, Milestone.PICKED_UP):
        checkpoint = replace(checkpoint, milestone=Milestone.UNKNOWN)
    if "zone" in mapping:
        occurred = checkpoint.occurred
        shifted = replace(when(occurred.said.partition(" ")[0] + " 20:00"), said=occurred.said)
        checkpoint = other(checkpoint, occurred=shifted)
    return checkpoint


@examples(max_examples=12, deadline=None)
@given(mapping=st.sampled_from(["status", "zone", "status and zone"]), seed=st.integers(0, 10_000))
def test_a_ledger_read_again_equals_one_that_was_read_so_from_the_beginning(mapping: str, seed: int) -> None:
    messages = reports(3)
    with TemporaryDirectory() as folder, open_runtime(Settings(f"sqlite:///{folder}/ledger.db")) as runtime:
        by_account = {account: [replace(one, account=account) for one in messages] for account in ("before", "today")}
        for account, all_of in by_account.items():
            for batch in batches(all_of, seed):
                runtime.ledger.intake([as_of_old(one, mapping) if account == "before" else one for one in batch])
        readings: dict[str, list[Rereading]] = {}
        for one in (one for batch in batches(by_account["before"], seed + 1) for one in batch):
            readings.setdefault(one.key, []).append(Rereading(one))

        assert any(
            review.events for review in runtime.ledger.reread(list(readings.values()), MAPPINGS, "me", store=True)
        )

        second = runtime.ledger.reread(list(readings.values()), MAPPINGS, "me", store=True)
        assert [review.events for review in second] == [[]] * len(readings)
        runtime.projector.catch_up()
        without = {**ARRIVAL, "timeline": ARRIVAL["timeline"] | {"corrected"}}
        assert rows(runtime.store, "before", without) == rows(runtime.store, "today", without)
