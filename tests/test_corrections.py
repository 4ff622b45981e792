"""What a person reads otherwise: which events follow, and what stands then?"""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from support.reports import TRACKER, report
from support.scans import instant, scan, when
from trackledger.adapters.runtime import Runtime
from trackledger.domain.corrections import MAX_TEXT, Reading
from trackledger.domain.events import AmendedByHand, Correction, Event, Forgotten, WithdrawnByHand
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.statements import Statements, Told, fold

ID = "default:clickpost:4:AWB1"
WHO = ("clerk@shop", "the customer sent a photo")

MOVING = scan("in_transit", "3 09:00", id="clickpost:1", said="Moving", remark="left with Mrs Rao")
DOOR = scan("out_for_delivery", "4 09:00", id="clickpost:2", said="Out")
LOOSE = scan("arrived", "3 15:00", said="Hub")


@pytest.fixture
def told(runtime: Runtime) -> Runtime:
    """A ledger in which three checkpoints of one shipment were told."""
    runtime.ledger.intake([report(MOVING, DOOR, LOOSE, at="4 10:00")])
    return runtime


def said(runtime: Runtime) -> Statements:
    return fold(ID, runtime.ledger.history(ID))


def one(runtime: Runtime, key: str) -> Told:
    return next(told for told in said(runtime).told() if told.checkpoint.key == key)


def last(runtime: Runtime) -> Event:
    return runtime.ledger.history(ID)[-1].event


def nothing_happened(runtime: Runtime, act: Callable[[], Any]) -> Any:
    before = len(runtime.ledger.history(ID))
    outcome = act()
    assert len(runtime.ledger.history(ID)) == before
    return outcome


def test_an_amendment_by_hand_takes_the_place_of_the_version_that_stands(told: Runtime) -> None:
    reading = Reading(milestone=Milestone.DELIVERED, occurred=when("4 11:00"))

    receipt = told.ledger.amend(ID, "clickpost:2", reading, *WHO)

    delivered = replace(DOOR, milestone=Milestone.DELIVERED, occurred=when("4 11:00"))
    assert receipt.events == 1
    assert last(told) == AmendedByHand(
        recorded_at=last(told).recorded_at,
        actor=WHO[0],
        reason=WHO[1],
        correction=Correction("clickpost:2", DOOR.digest, delivered),
    )
    assert one(told, "clickpost:2").checkpoint == delivered
    assert one(told, "clickpost:2").corrected == 1
    assert one(told, "clickpost:2").message_id == "poll 4 10:00"


def test_a_provider_that_repeats_what_was_amended_by_hand_changes_nothing(told: Runtime) -> None:
    told.ledger.amend(ID, "clickpost:2", Reading(milestone=Milestone.DELIVERED), *WHO)

    nothing_happened(told, lambda: told.ledger.intake([report(MOVING, DOOR, LOOSE, at="5 10:00")]))

    assert one(told, "clickpost:2").checkpoint.milestone is Milestone.DELIVERED


def test_a_provider_that_says_something_else_later_stands_above_an_amendment_by_hand(told: Runtime) -> None:
    told.ledger.amend(ID, "clickpost:2", Reading(milestone=Milestone.DELIVERED), *WHO)

    other = scan("delivery_failed", "4 12:00", id="clickpost:2", said="Failed")
    told.ledger.intake([report(other, at="5 10:00")])

    assert one(told, "clickpost:2").checkpoint == other


def test_an_ndr_reason_given_by_hand_is_no_inference(told: Runtime) -> None:
    told.ledger.amend(ID, "clickpost:2", Reading(ndr_reason=NdrReason.REFUSED, leg=Leg.RETURN), *WHO)

    checkpoint = one(told, "clickpost:2").checkpoint
    assert (checkpoint.ndr_reason, checkpoint.ndr_inferred, checkpoint.leg) == (NdrReason.REFUSED, False, Leg.RETURN)


def test_an_amendment_that_reads_the_same_stores_nothing(told: Runtime) -> None:
    same = Reading(milestone=Milestone.OUT_FOR_DELIVERY)

    receipt = nothing_happened(told, lambda: told.ledger.amend(ID, "clickpost:2", same, *WHO))

    assert (receipt.error, receipt.events) == ("", 0)


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda ledger: ledger.amend("nobody", "clickpost:2", Reading(), *WHO), "no shipment 'nobody'"),
        (lambda ledger: ledger.amend(ID, "clickpost:9", Reading(), *WHO), "no checkpoint 'clickpost:9'"),
        (lambda ledger: ledger.withdraw(ID, ["clickpost:2", "no"], *WHO), "no checkpoint 'no'"),
        (lambda ledger: ledger.withdraw(ID, ["clickpost:2"], " ", "why"), "say who you are"),
        (lambda ledger: ledger.withdraw(ID, ["clickpost:2"], "me\n", "why"), "say who you are"),
        (lambda ledger: ledger.withdraw(ID, ["clickpost:2"], "me", " "), "the reason has 1 characters"),
        (lambda ledger: ledger.withdraw(ID, ["clickpost:2"] * 1001, *WHO), "over the limit of 1,000"),
        (lambda ledger: ledger.note(ID, "x" * (MAX_TEXT + 1), "me"), "the note has 4,001 characters"),
        (lambda ledger: ledger.note(ID, "two\nlines", "me"), "the note has a control character at place 4"),
        (lambda ledger: ledger.amend(ID, "clickpost:2", Reading(remark="\x1b[2J"), *WHO), "the remark has a control"),
        (lambda ledger: ledger.amend(ID, "clickpost:2", Reading(), "me", " "), "the reason has 1 characters"),
        (lambda ledger: ledger.forget(ID, "", "asked for"), "say who you are"),
        (lambda ledger: ledger.forget("nobody", *WHO), "no shipment 'nobody'"),
    ],
)
def test_what_makes_no_sense_is_told_in_the_receipt_and_stores_nothing(
    told: Runtime, act: Callable[[Any], Any], why: str
) -> None:
    receipt = nothing_happened(told, lambda: act(told.ledger))

    assert why in receipt.error


def test_what_was_withdrawn_by_hand_stays_withdrawn_however_often_it_is_told(told: Runtime) -> None:
    told.ledger.withdraw(ID, ["clickpost:2"], *WHO)
    assert isinstance(last(told), WithdrawnByHand)
    assert one(told, "clickpost:2").withdrawn

    nothing_happened(told, lambda: told.ledger.intake([report(MOVING, DOOR, LOOSE, at="5 10:00")]))
    told.ledger.intake([report(scan("delivered", "5 11:00", id="clickpost:2", said="Done"), at="5 12:00")])

    assert one(told, "clickpost:2").withdrawn


def test_a_withdrawal_by_hand_can_be_undone(told: Runtime) -> None:
    keys = ["clickpost:2", LOOSE.key]
    told.ledger.withdraw(ID, keys, *WHO)
    nothing_happened(told, lambda: told.ledger.withdraw(ID, keys, *WHO))

    told.ledger.withdraw(ID, [LOOSE.key], *WHO, undone=True)

    assert [t.checkpoint.key for t in said(told).told() if t.withdrawn] == ["clickpost:2"]
    nothing_happened(told, lambda: told.ledger.withdraw(ID, [LOOSE.key], *WHO, undone=True))


def test_a_forgotten_shipment_tells_no_free_text(told: Runtime) -> None:
    told.ledger.forget(ID, "privacy@shop", "asked for")

    assert isinstance(last(told), Forgotten)
    texts = [(t.checkpoint.status_said, t.checkpoint.remark, t.checkpoint.location) for t in said(told).told()]
    assert texts == [("", "", "")] * 3
    nothing_happened(told, lambda: told.ledger.forget(ID, "privacy@shop", "asked for"))


def test_what_had_happened_by_a_moment_leaves_out_what_came_later(told: Runtime) -> None:
    by = said(told).until(instant("3 15:00"))

    assert {t.checkpoint.key for t in by.told()} == {"clickpost:1", LOOSE.key}
    assert {t.checkpoint.key for t in said(told).told()} == {"clickpost:1", "clickpost:2", LOOSE.key}


def test_a_note_changes_no_conclusion(told: Runtime) -> None:
    before = said(told).told()

    assert told.ledger.note(ID, "Called the customer", "clerk@shop").events == 1

    assert said(told).told() == before
    assert TRACKER.reference in said(told).shipment_id
