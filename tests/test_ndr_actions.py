"""Is it recorded who wanted what about a failed delivery and what was answered, and does that count as it should?"""

from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from support.reports import TRACKER, report
from support.rows import ARRIVAL, rows
from support.scans import instant, scan
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.vault import SEALED
from trackledger.domain.batch import Receipt
from trackledger.domain.errors import CaseMovedOn, InvalidStatement, NoSuchCase, ShipmentForgotten, ShipmentNotFound
from trackledger.domain.events import (
    Event,
    NdrActionAcknowledged,
    NdrActionRefused,
    NdrActionRequested,
    NdrActionSent,
)
from trackledger.domain.instructing import Wanted
from trackledger.domain.ndr_actions import Instruction, NdrAction, require_sense
from trackledger.domain.statements import fold
from trackledger.projections import ndr_actions
from trackledger.projections.conclusions import Policies, conclude
from trackledger.projections.explanation import explain
from trackledger.projections.history import entries
from trackledger.projections.rebuild import rebuild

ID = "default:clickpost:4:AWB1"
OUT, FAILED = scan("out_for_delivery", "3 08:00"), scan("delivery_failed", "3 12:00", reason="customer_unavailable")
SAID_AGAIN = scan("delivery_failed", "3 14:00", location="depot")
OUT_AGAIN, FAILED_AGAIN = scan("out_for_delivery", "4 08:00"), scan("delivery_failed", "4 12:00")
RETURNING = scan("returning", "4 15:00", "return")
REATTEMPT, RTO = Instruction(NdrAction.REATTEMPT), Instruction(NdrAction.RTO)
MOVED = Instruction(
    NdrAction.CHANGE_DETAILS, date(2025, 3, 5), "14 Lake View Road", "Behind the library", "560034", "+91 98450 00000"
)
SENT_AT = datetime(2025, 3, 3, 10, tzinfo=UTC)


def failed(runtime: Runtime) -> None:
    """A parcel whose delivery has failed once."""
    runtime.ledger.intake([report(OUT, FAILED, at="3 13:00")])


def want(
    runtime: Runtime, instruction: Instruction = REATTEMPT, action_id: str = "a1", case_no: int = 1, hand: bool = False
) -> Receipt:
    wanted = Wanted(action_id, case_no, instruction, "clerk", None if hand else TRACKER)
    return runtime.ledger.request_ndr_action(ID, wanted)


def answer(runtime: Runtime, words: str = "SUCCESS", action_id: str = "a1", *, refused: bool = False) -> Receipt:
    return runtime.ledger.answer_ndr_action(ID, action_id, "clerk", SENT_AT, words, refused=refused)


def events(runtime: Runtime, after: int = 2) -> list[Event]:
    return [placed.event for placed in runtime.ledger.history(ID)[after:]]


def case(runtime: Runtime) -> tuple[str, bool]:
    """The state of the newest case, and whether somebody has to act."""
    runtime.projector.catch_up()
    (*_, row) = runtime.store.read("SELECT * FROM {s}ndr_cases ORDER BY case_no")
    return row["state"], row["act_by"] is not None


def actions(runtime: Runtime) -> list[tuple[Any, ...]]:
    runtime.projector.catch_up()
    return [(row["action"], row["state"], row["case_no"], row["effect"]) for row in ndr_actions.of(runtime.store, ID)]


def test_an_action_is_recorded_as_requested_with_all_that_is_wanted(runtime: Runtime) -> None:
    failed(runtime)

    receipt = want(runtime, replace(MOVED, remark="he called"))

    assert (receipt.error, receipt.events, receipt.position) == ("", 1, 3)
    (requested,) = events(runtime)
    assert requested == NdrActionRequested(
        recorded_at=requested.recorded_at,
        action_id="a1",
        case_no=1,
        action=NdrAction.CHANGE_DETAILS,
        actor="clerk",
        failure=FAILED.key,
        provider="clickpost",
        tracker="4:AWB1",
        preferred_date=date(2025, 3, 5),
        address="14 Lake View Road",
        landmark="Behind the library",
        pincode="560034",
        phone="+91 98450 00000",
        remark="he called",
    )
    assert actions(runtime) == [("change_details", "requested", 1, "not_answered")]
    assert case(runtime) == ("open", True)


def test_an_acknowledged_action_is_sent_and_the_case_actioned(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)

    assert answer(runtime).events == 2

    _, sent, acknowledged = events(runtime)
    assert sent == NdrActionSent(
        recorded_at=sent.recorded_at,
        action_id="a1",
        case_no=1,
        action=NdrAction.REATTEMPT,
        actor="clerk",
        sent_at=SENT_AT,
    )
    assert acknowledged == NdrActionAcknowledged(
        recorded_at=sent.recorded_at,
        action_id="a1",
        case_no=1,
        action=NdrAction.REATTEMPT,
        actor="clerk",
        answer="SUCCESS",
    )
    assert case(runtime) == ("actioned", False)
    (row,) = ndr_actions.of(runtime.store, ID)
    assert (row["state"], row["answer"], row["effect"]) == ("acknowledged", "SUCCESS", "told_to_try_again")
    assert (row["sent_at"], row["answered_at"], row["actor"]) == (SENT_AT, sent.recorded_at, "clerk")
    assert (row["requested_at"], row["provider"], row["by_hand"]) == (
        events(runtime)[0].recorded_at,
        "clickpost",
        False,
    )


def test_a_refused_action_leaves_the_case_open_and_another_may_follow(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)
    answer(runtime, "Invalid Action", refused=True)

    refusal = events(runtime)[-1]
    assert isinstance(refusal, NdrActionRefused)
    assert refusal.answer == "Invalid Action"
    assert case(runtime) == ("open", True)
    assert want(runtime, action_id="a2").error == ""
    assert actions(runtime) == [
        ("reattempt", "refused", 1, "refused"),
        ("reattempt", "requested", 1, "not_answered"),
    ]


def test_an_answer_stands(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)
    answer(runtime)

    assert answer(runtime, "no", refused=True).events == 0

    assert actions(runtime) == [("reattempt", "acknowledged", 1, "told_to_try_again")]


def test_what_was_done_by_hand_counts_as_agreed_to(runtime: Runtime) -> None:
    failed(runtime)

    want(runtime, RTO, hand=True)

    assert [type(one) for one in events(runtime)] == [NdrActionRequested, NdrActionSent, NdrActionAcknowledged]
    assert case(runtime) == ("actioned", False)
    (row,) = ndr_actions.of(runtime.store, ID)
    assert (row["by_hand"], row["provider"], row["effect"]) == (True, None, "acted_by_hand")


def test_what_nobody_answered_can_be_seen_to_by_hand(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)

    assert want(runtime, action_id="a2", hand=True).error == ""

    assert case(runtime) == ("actioned", False)


def test_the_same_id_never_makes_a_second_action(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)

    again = want(runtime)

    assert (again.events, again.error) == (0, "")
    assert len(events(runtime)) == 1


@pytest.mark.parametrize(
    ("instruction", "hand"), [(RTO, False), (replace(REATTEMPT, remark="again"), False), (REATTEMPT, True)]
)
def test_an_id_stands_for_one_action_for_ever(runtime: Runtime, instruction: Instruction, hand: bool) -> None:
    failed(runtime)
    want(runtime)
    answer(runtime)

    other = want(runtime, instruction, hand=hand)

    assert isinstance(other.refusal, CaseMovedOn)
    assert other.error == "a1 is another action, by clerk; look at that, and ask anew"
    assert len(events(runtime)) == 3


def test_the_same_action_is_not_asked_for_twice_about_one_failure(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)

    twice = want(runtime, action_id="a2")
    answer(runtime)
    thrice = want(runtime, action_id="a3")

    assert isinstance(twice.refusal, CaseMovedOn) and isinstance(thrice.refusal, CaseMovedOn)
    assert twice.error == "this is requested already as a1, by clerk; look at that"
    assert isinstance(want(runtime, replace(REATTEMPT, remark="he called"), "a4").refusal, CaseMovedOn)
    assert want(runtime, RTO, "a5").error == ""


def test_an_action_about_a_visit_ends_with_the_next_one_that_fails(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)
    answer(runtime)

    runtime.ledger.intake([report(SAID_AGAIN, at="3 15:00")])
    assert case(runtime) == ("actioned", False)
    runtime.ledger.intake([report(OUT_AGAIN, FAILED_AGAIN, at="4 13:00")])

    assert case(runtime) == ("open", True)
    assert actions(runtime) == [("reattempt", "acknowledged", 1, "overtaken")]
    assert want(runtime, action_id="a2").error == ""


def test_an_action_whose_failure_is_taken_back_is_of_no_case(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)
    answer(runtime)

    runtime.ledger.withdraw(ID, [FAILED.key], "clerk", "another parcel")

    assert actions(runtime) == [("reattempt", "acknowledged", 1, "case_gone")]
    assert runtime.store.read("SELECT * FROM {s}ndr_cases") == []


def test_a_return_that_was_agreed_to_is_closed_by_the_way_back(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime, RTO)
    answer(runtime)
    assert case(runtime) == ("actioned", False)

    runtime.ledger.intake([report(RETURNING, at="4 16:00")])

    assert case(runtime) == ("closed", False)
    assert actions(runtime) == [("rto", "acknowledged", 1, "told_to_return")]


LATER = (SAID_AGAIN, OUT_AGAIN, FAILED_AGAIN, scan("delivery_failed", "2 12:00"))


@pytest.mark.parametrize("outcome", ["requested", "acknowledged", "refused"])
def test_the_order_in_which_scans_are_heard_of_does_not_matter(runtime: Runtime, outcome: str) -> None:
    """One tells of the same visit again, two of another one after the action, and one of a visit before."""
    orders = {f"shop{number}": order for number, order in enumerate(permutations(LATER))}
    for account, order in orders.items():
        id_ = ID.replace("default", account)
        runtime.ledger.intake([replace(report(OUT, FAILED, at="3 13:00"), account=account)])
        runtime.ledger.request_ndr_action(id_, Wanted("a1", 1, REATTEMPT, "clerk", TRACKER))
        if outcome != "requested":
            runtime.ledger.answer_ndr_action(id_, "a1", "clerk", SENT_AT, "so", refused=outcome == "refused")
        late = [replace(report(one, at=f"5 1{number}:00"), account=account) for number, one in enumerate(order)]
        runtime.ledger.intake(late)
    runtime.projector.catch_up()

    without = {**ARRIVAL, "ndr_actions": frozenset({"requested_at", "answered_at"})}
    found = [rows(runtime.store, account, without) for account in orders]
    assert all(one == found[0] for one in found)
    assert found[0]["ndr_cases"][0]["attempts"] == 3
    assert found[0]["ndr_cases"][0]["state"] == "open"
    effects = {"requested": "not_answered", "acknowledged": "overtaken", "refused": "refused"}
    assert found[0]["ndr_actions"][0]["effect"] == effects[outcome]


def test_an_action_on_the_newest_visit_holds_whenever_earlier_ones_are_heard_of(runtime: Runtime) -> None:
    runtime.ledger.intake([report(OUT_AGAIN, FAILED_AGAIN, at="4 13:00")])
    want(runtime)
    answer(runtime)

    runtime.ledger.intake([report(OUT, FAILED, at="4 14:00")])

    assert case(runtime) == ("actioned", False)
    assert actions(runtime) == [("reattempt", "acknowledged", 1, "told_to_try_again")]


def test_a_checkpoint_that_gets_its_id_later_keeps_its_action(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)
    answer(runtime)

    runtime.ledger.intake([report(replace(FAILED, id="clickpost:77"), at="3 18:00")])

    assert case(runtime) == ("actioned", False)
    assert actions(runtime) == [("reattempt", "acknowledged", 1, "told_to_try_again")]


def test_tables_with_actions_are_the_same_made_anew(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime, MOVED)
    answer(runtime)
    want(runtime, RTO, "a2", hand=True)
    runtime.projector.catch_up()

    assert all(parity.holds for parity in rebuild(runtime.rebuilds))
    assert [row[0] for row in actions(runtime)] == ["change_details", "rto"]


def test_nothing_is_known_of_an_answer_before_it_came(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime)
    runtime.ledger.answer_ndr_action(ID, "a1", "clerk", datetime.now(UTC), "SUCCESS", refused=False)
    requested, _, acknowledged = events(runtime)
    said = fold(ID, runtime.ledger.history(ID))

    assert [one.state.value for one in said.until(requested.recorded_at).actions()] == ["requested"]
    assert [one.state.value for one in said.until(acknowledged.recorded_at).actions()] == ["acknowledged"]
    assert said.until(instant("3 13:00")).actions() == []


@pytest.mark.parametrize(
    ("shipment_id", "case_no", "kind"),
    [(ID, 2, NoSuchCase), (ID, 0, NoSuchCase), ("default:clickpost:4:AWB9", 1, ShipmentNotFound)],
)
def test_what_is_not_there_cannot_be_acted_on(
    runtime: Runtime, shipment_id: str, case_no: int, kind: type[Exception]
) -> None:
    failed(runtime)

    receipt = runtime.ledger.request_ndr_action(shipment_id, Wanted("a1", case_no, REATTEMPT, "clerk", TRACKER))

    assert isinstance(receipt.refusal, kind)
    assert events(runtime) == []


def test_a_closed_case_is_not_acted_on(runtime: Runtime) -> None:
    failed(runtime)
    runtime.ledger.intake([report(scan("delivered", "3 18:00"), at="3 19:00")])

    receipt = want(runtime)

    assert isinstance(receipt.refusal, CaseMovedOn)
    assert receipt.error == f"the failed delivery 1 of {ID} is closed; look at it again"


def test_an_answer_to_an_action_that_nobody_asked_for_is_refused(runtime: Runtime) -> None:
    failed(runtime)

    assert isinstance(answer(runtime, action_id="a9").refusal, NoSuchCase)


@pytest.mark.parametrize(
    ("instruction", "says"),
    [
        (Instruction(NdrAction.RESCHEDULE), "preferred_date is missing; reschedule to a day such as 2026-11-28"),
        (Instruction(NdrAction.CHANGE_DETAILS), "address is missing, and phone is too; give what has changed"),
        (
            Instruction(NdrAction.REATTEMPT, phone="9845000000"),
            "phone is of no use to reattempt; the action for it is change_details",
        ),
        (
            Instruction(NdrAction.RTO, date(2026, 3, 9)),
            "preferred_date is of no use to rto; leave it out",
        ),
        (
            Instruction(NdrAction.CHANGE_DETAILS, phone="9845000000", pincode="560034"),
            "address is missing; a landmark or a pincode goes with one",
        ),
        (
            replace(MOVED, phone="call me"),
            "phone is not 6 to 25 digits, blanks, hyphens and brackets, after a +; correct it",
        ),
        (replace(MOVED, address="a\nb at the lake"), "address is not 5 to 500 characters in one line; correct it"),
        (replace(MOVED, address="a\u2028b at the lake"), "address is not 5 to 500 characters in one line; correct it"),
        (replace(MOVED, remark="a\x85b"), "remark is not 1 to 500 characters in one line; correct it"),
        (replace(MOVED, address=" " * 9), "address is not 5 to 500 characters in one line; correct it"),
        (replace(MOVED, address="14 Lake \ud800 Road"), "address is not 5 to 500 characters in one line; correct it"),
        (replace(MOVED, pincode="5'; --"), "pincode is not 3 to 12 letters, digits, blanks and hyphens; correct it"),
    ],
)
def test_an_instruction_that_makes_no_sense_says_which_field(instruction: Instruction, says: str) -> None:
    with pytest.raises(InvalidStatement) as raised:
        require_sense(instruction)
    assert str(raised.value) == says


def test_an_instruction_that_makes_no_sense_is_not_recorded(runtime: Runtime) -> None:
    failed(runtime)

    assert want(runtime, Instruction(NdrAction.RESCHEDULE)).error.startswith("preferred_date is missing")
    assert want(runtime, action_id="").error.startswith("action_id '' is not 1 to 64")
    assert events(runtime) == []


def test_what_names_a_person_is_sealed_and_comes_back(database_url: str) -> None:
    with open_runtime(Settings(database_url, privacy="sealed")) as runtime:
        failed(runtime)
        want(runtime, replace(MOVED, remark="Mrs Rao called"))
        answer(runtime, "Mrs Rao will be called")

        stored = runtime.database.tuples("SELECT topic, state FROM {s}stored_events ORDER BY notification_id")
        kept = {topic: bytes(state) for topic, state in stored if "NdrAction" in topic}
        assert not [
            text for text in (b"Lake", b"library", b"560034", b"98450", b"Rao") for s in kept.values() if text in s
        ]
        assert [topic for topic, state in kept.items() if SEALED in state] == [
            "shipment.NdrActionRequested",
            "shipment.NdrActionAcknowledged",
        ]
        (told,) = fold(ID, runtime.ledger.history(ID)).actions()
        assert told.instruction == replace(MOVED, remark="Mrs Rao called")
        assert told.answer == "Mrs Rao will be called"
        assert case(runtime) == ("actioned", False)


def test_a_forgotten_shipment_says_no_word_of_its_actions(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime, MOVED)
    answer(runtime, "Mrs Rao will be called")

    runtime.ledger.forget(ID, "privacy", "asked for")

    said = fold(ID, runtime.ledger.history(ID))
    assert [(one.instruction, one.answer) for one in said.actions()] == [
        (Instruction(NdrAction.CHANGE_DETAILS, date(2025, 3, 5)), "")
    ]
    runtime.projector.catch_up()
    assert [row["answer"] for row in ndr_actions.of(runtime.store, ID)] == [None]
    told = " ".join(deed.says for one in entries(runtime.ledger.history(ID), said) for deed in one.did)
    assert "Lake" not in told and "Rao" not in told and "change_details of the failed delivery 1" in told
    assert isinstance(want(runtime, action_id="a2").refusal, ShipmentForgotten)
    assert isinstance(answer(runtime).refusal, ShipmentForgotten)


def test_history_and_explanation_tell_of_it(runtime: Runtime) -> None:
    failed(runtime)
    want(runtime, MOVED)
    answer(runtime, "not in our area", refused=True)
    want(runtime, RTO, "a2", hand=True)

    history = runtime.ledger.history(ID)
    said = fold(ID, history)
    told = [(one.by, one.who, deed.what, deed.says) for one in entries(history, said) for deed in one.did][-6:]
    assert told == [
        (
            "person",
            "clerk",
            "action_requested",
            "asks clickpost for change_details of the failed delivery 1, on 2025-03-05, "
            "with another address, with another phone number",
        ),
        (
            "person",
            "clerk",
            "action_sent",
            "change_details of the failed delivery 1 was handed over at 2025-03-03 10:00:00Z",
        ),
        (
            "person",
            "clerk",
            "action_refused",
            'change_details of the failed delivery 1 was refused: "not in our area"',
        ),
        ("person", "clerk", "action_requested", "done by hand rto of the failed delivery 1"),
        ("person", "clerk", "action_sent", told[4][3]),
        ("person", "clerk", "action_acknowledged", "rto of the failed delivery 1 was acknowledged"),
    ]
    concluded = conclude(said, Policies())
    explained = {one.about: one for one in explain(concluded, history, instant("3 15:00"), Policies()).conclusions}
    assert explained["ndr_case_1"].rules[0].name == "acted_by_hand"
    assert explained["ndr_case_1"].rules[0].version == "attempts-2"
    refused, by_hand = explained["ndr_case_1.action_1"], explained["ndr_case_1.action_2"]
    assert refused.says.endswith('in the words "not in our area"')
    assert (refused.rules[0].name, refused.next) == ("refused", "Ask for another action.")
    assert [one.checkpoint_id for one in refused.statements] == [FAILED.key]
    assert by_hand.rules[0].name == "acted_by_hand" and "done by hand" in by_hand.says
