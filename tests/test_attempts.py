"""An attempt is a visit, not a scan; a case is what somebody has to act on."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.scans import instant, scan
from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import Leg, Milestone, NdrReason, Party
from trackledger.domain.moments import Precision
from trackledger.domain.policies.attempts import AttemptPolicy, Case, CaseState, Outcome, conclude


def only(scans: list[Checkpoint], carrier: str = "", policy: AttemptPolicy | None = None) -> Case:
    """The one case that these scans make."""
    (case,) = conclude(scans, carrier, policy=policy)
    return case


def failed(at: str, reason: str | None = None, remark: str = "", said: str = "", id: str = "") -> Checkpoint:
    return scan("delivery_failed", at, reason=reason, remark=remark, said=said, id=id)


def test_a_failed_delivery_opens_a_case() -> None:
    failure = failed("3 11:00", "refused", remark="Customer refused")
    assert only([scan("out_for_delivery", "3 09:00"), failure]) == Case(
        case_no=1,
        state=CaseState.OPEN,
        reason=NdrReason.REFUSED,
        reason_said="Customer refused",
        party=Party.MERCHANT,
        attempts=1,
        failure_scans=1,
        opened_at=instant("3 11:00"),
        last_attempt_at=instant("3 11:00"),
        act_by=instant("4 11:00"),
        because=(failure.key,),
        rule="waiting",
        reason_rule="stated_reason",
        reason_by=failure.key,
        act_rule="time_to_act",
        visits=((failure.key, "first_failure"),),
    )


def test_without_a_failed_delivery_there_is_no_case() -> None:
    claimed = scan("on_hold", "3 10:00", reason="customer_unavailable")
    assert conclude([scan("out_for_delivery", "3 09:00"), claimed, scan("exception", "3 12:00")]) == []


def test_failures_on_the_way_back_open_no_case() -> None:
    assert (
        conclude([scan("delivery_failed", "3 11:00", "return"), scan("delivery_failed", "4 11:00", "exchange")]) == []
    )


def test_two_failure_scans_in_one_visit_are_one_attempt() -> None:
    case = only([scan("out_for_delivery", "3 09:00"), failed("3 11:00"), failed("3 18:30")])
    assert (case.attempts, case.failure_scans, case.last_attempt_at) == (1, 2, instant("3 18:30"))


def test_out_for_delivery_in_between_makes_two_attempts() -> None:
    case = only([failed("3 11:00"), scan("out_for_delivery", "3 12:00"), failed("3 13:00")])
    assert (case.attempts, case.failure_scans) == (2, 2)


def test_other_scans_in_between_make_no_new_attempt() -> None:
    case = only([failed("3 11:00"), scan("arrived", "3 12:00"), scan("on_hold", "3 12:30"), failed("3 13:00")])
    assert case.attempts == 1


@pytest.mark.parametrize(("second", "attempts"), [("3 22:59", 1), ("3 23:00", 2), ("4 11:00", 2)])
def test_a_gap_of_twelve_hours_makes_two_attempts(second: str, attempts: int) -> None:
    assert only([failed("3 11:00"), failed(second)]).attempts == attempts


def test_the_gap_is_a_matter_of_policy() -> None:
    policy = AttemptPolicy(new_visit_after=timedelta(hours=4))
    assert only([failed("3 11:00"), failed("3 15:00")], policy=policy).attempts == 2


def test_a_day_is_no_gap_to_a_time_of_that_day() -> None:
    case = only([failed("3"), failed("3 19:00")])
    assert (case.attempts, case.failure_scans, case.last_attempt_at) == (1, 2, instant("3 19:00"))


def test_failures_on_two_days_without_times_are_two_attempts() -> None:
    assert only([failed("3"), failed("4")]).attempts == 2


def test_a_case_is_actioned_by_going_out_again() -> None:
    case = only([failed("3 11:00"), scan("out_for_delivery", "4 09:00")])
    assert (case.state, case.act_by, case.closed_at) == (CaseState.ACTIONED, None, None)


def test_a_case_is_actioned_by_waiting_at_a_collection_point() -> None:
    case = only([failed("3 11:00"), scan("available_for_pickup", "4 09:00")])
    assert case.state is CaseState.ACTIONED


def test_a_case_that_failed_again_is_open_again() -> None:
    case = only([failed("3 11:00"), scan("out_for_delivery", "4 09:00"), failed("4 11:00")])
    assert (case.state, case.attempts, case.act_by) == (CaseState.OPEN, 2, instant("5 11:00"))


def test_a_failed_visit_after_the_collection_point_opens_the_case_again() -> None:
    journey = [failed("3 11:00"), scan("available_for_pickup", "4 09:00"), scan("out_for_delivery", "6 09:00")]
    assert only([*journey, failed("6 11:00")]).state is CaseState.OPEN


def test_a_second_scan_of_the_same_visit_does_not_undo_the_collection_point() -> None:
    journey = [failed("3 11:00"), scan("available_for_pickup", "3 11:30"), failed("3 11:40")]
    assert only(journey).state is CaseState.ACTIONED


@pytest.mark.parametrize(
    ("ending", "leg", "outcome"),
    [
        ("delivered", "forward", Outcome.DELIVERED),
        ("return_requested", "forward", Outcome.RETURNING),
        ("returning", "return", Outcome.RETURNING),
        ("returned", "return", Outcome.RETURNING),
        ("in_transit", "return", Outcome.RETURNING),
        ("delivered", "return", Outcome.RETURNING),
        ("cancelled", "forward", Outcome.CANCELLED),
        ("expired", "forward", Outcome.CANCELLED),
        ("lost", "forward", Outcome.LOST),
        ("damaged", "forward", Outcome.LOST),
    ],
)
def test_a_case_closes(ending: str, leg: str, outcome: Outcome) -> None:
    case = only([failed("3 11:00"), scan("out_for_delivery", "4 09:00"), scan(ending, "4 12:00", leg)])
    assert (case.state, case.outcome, case.closed_at) == (CaseState.CLOSED, outcome, instant("4 12:00"))
    assert case.act_by is None


def test_a_case_closes_collected_at_the_collection_point() -> None:
    case = only([failed("3 11:00"), scan("available_for_pickup", "4 09:00"), scan("delivered", "5 12:00")])
    assert (case.state, case.outcome) == (CaseState.CLOSED, Outcome.COLLECTED)


def test_what_went_out_again_from_the_collection_point_was_delivered_not_collected() -> None:
    journey = [failed("3 11:00"), scan("available_for_pickup", "4 09:00"), scan("out_for_delivery", "6 09:00")]
    assert only([*journey, scan("delivered", "6 12:00")]).outcome is Outcome.DELIVERED


def test_unknown_scans_close_nothing() -> None:
    assert only([failed("3 11:00"), scan("unknown", "3 12:00", "return")]).state is CaseState.OPEN


def test_a_delivery_that_names_its_day_only_does_not_close_before_the_case_opened() -> None:
    case = only([failed("3 11:00"), scan("delivered", "3")])
    assert (case.outcome, case.opened_at, case.closed_at) == (
        Outcome.DELIVERED,
        instant("3 11:00"),
        instant("3 11:00"),
    )


def test_a_failure_that_names_its_day_only_is_not_an_attempt_before_the_first() -> None:
    case = only([failed("3 09:00"), scan("out_for_delivery", "3 10:29"), failed("3")])
    assert (case.attempts, case.opened_at, case.last_attempt_at) == (2, instant("3 09:00"), instant("3 09:00"))


def test_a_delivered_that_failed_again_opens_a_second_case() -> None:
    first, second = conclude([failed("3 11:00"), scan("delivered", "3 15:00"), failed("3 19:00", "refused")])
    assert (first.case_no, first.outcome, first.attempts) == (1, Outcome.DELIVERED, 1)
    assert (second.case_no, second.state, second.attempts) == (2, CaseState.OPEN, 1)
    assert (second.opened_at, second.reason) == (instant("3 19:00"), NdrReason.REFUSED)


def test_act_by_comes_from_the_policy() -> None:
    policy = AttemptPolicy(act_within=timedelta(hours=6))
    assert only([failed("3 11:00")], policy=policy).act_by == instant("3 17:00")


def test_act_by_of_one_carrier_overrides_the_policy_whatever_its_case() -> None:
    policy = AttemptPolicy(act_within_by_carrier={"delhivery": timedelta(hours=48)})
    assert only([failed("3 11:00")], "Delhivery", policy).act_by == instant("5 11:00")
    assert only([failed("3 11:00")], "Blue Dart", policy).act_by == instant("4 11:00")


def test_act_by_counts_from_the_last_attempt() -> None:
    assert only([failed("3 11:00"), failed("4 11:00")]).act_by == instant("5 11:00")


def test_the_reason_is_that_of_the_newest_explained_failure() -> None:
    case = only([failed("3 11:00", "refused"), failed("4 11:00", "bad_address"), failed("5 11:00")])
    assert (case.reason, case.party) == (NdrReason.BAD_ADDRESS, Party.CONSIGNEE)


def test_unspecified_explains_nothing() -> None:
    case = only([failed("3 11:00", "bad_address", "No such house"), failed("4 11:00", "unspecified", "Failed")])
    assert (case.reason, case.reason_said) == (NdrReason.BAD_ADDRESS, "No such house")


def test_without_any_reason_the_case_is_unspecified_in_the_words_of_the_newest_failure() -> None:
    case = only([failed("3 11:00", said="Pending"), failed("4 11:00", said="Undelivered")])
    assert (case.reason, case.reason_said) == (NdrReason.UNSPECIFIED, "Undelivered")


def test_the_providers_words_for_the_reason_outrank_the_scans() -> None:
    failure = failed("3 11:00", "refused", remark="NDR", said="Pending", id="clickpost:1")
    (case,) = conclude([failure], said={"clickpost:1": "Rejected by customer", "clickpost:2": "Lost"})
    assert case.reason_said == "Rejected by customer"
    assert only([failure]).reason_said == "NDR"
    assert only([failed("3 11:00", "refused", said="Pending")]).reason_said == "Pending"


def test_because_holds_the_failures_in_order() -> None:
    failures = [failed("3 11:00"), failed("3 12:00"), failed("4 11:00")]
    assert only(failures[::-1]).because == tuple(c.key for c in failures)


def some_scans() -> st.SearchStrategy[list[Checkpoint]]:
    often = [Milestone.DELIVERY_FAILED] * 12 + [Milestone.OUT_FOR_DELIVERY] * 6
    return st.lists(
        st.builds(
            scan,
            st.sampled_from([*often, *Milestone]),
            st.builds("{} {}:00".format, st.integers(1, 3), st.integers(0, 23)),
            st.sampled_from([Leg.FORWARD] * 5 + [Leg.RETURN, Leg.EXCHANGE]),
            st.sampled_from([*[Precision.SECOND] * 3, Precision.DAY]),
            reason=st.sampled_from([None, *NdrReason]),
        ),
        max_size=10,
        unique_by=lambda c: c.key,
    )


@given(st.data(), some_scans())
def test_the_order_of_the_input_is_irrelevant(data: st.DataObject, scans: list[Checkpoint]) -> None:
    assert conclude(data.draw(st.permutations(scans))) == conclude(scans)


@given(some_scans())
def test_cases_count_every_forward_failure_once(scans: list[Checkpoint]) -> None:
    cases = conclude(scans)
    failures = [c.key for c in scans if c.milestone is Milestone.DELIVERY_FAILED and c.leg is Leg.FORWARD]
    assert sorted(key for case in cases for key in case.because) == sorted(failures)
    assert [case.case_no for case in cases] == list(range(1, len(cases) + 1))
    assert all(case.state is CaseState.CLOSED for case in cases[:-1])
    for case in cases:
        assert 1 <= case.attempts <= case.failure_scans == len(case.because)
        assert case.opened_at <= case.last_attempt_at <= (case.closed_at or case.last_attempt_at)
        assert (case.state is CaseState.CLOSED) == (case.outcome is not None) == (case.closed_at is not None)
        assert (case.state is CaseState.OPEN) == (case.act_by is not None)


def test_a_return_that_was_given_up_ends_as_the_delivery_it_became() -> None:
    requested = scan("return_requested", "3 18:00", leg="return")
    assert [(c.state, c.outcome) for c in conclude([scan("delivery_failed", "3 11:00"), requested])] == [
        ("closed", "returning")
    ]
    delivered = scan("delivered", "4 12:00")
    cases = conclude([scan("delivery_failed", "3 11:00"), requested, delivered])
    assert [(c.outcome, c.closed_at) for c in cases] == [("delivered", delivered.occurred.at)]
