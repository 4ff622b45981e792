"""The status is what the statements amount to in their order of happening, whoever told them when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from support.scans import instant, scan
from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import FINAL, Leg, Milestone
from trackledger.domain.moments import Precision
from trackledger.domain.policies.order import in_order
from trackledger.domain.policies.status import Status, conclude


def concluded(*scans: Checkpoint) -> Status:
    """The status, having made sure that the scans read backwards give the same one."""
    status = conclude(scans)
    assert conclude(reversed(scans)) == status
    return status


def test_nothing_said_is_unknown_since_no_time() -> None:
    assert concluded() == Status(Milestone.UNKNOWN, Leg.FORWARD, None, "", "", "nothing_said", ())


def test_the_latest_scan_is_the_status() -> None:
    transit = scan("in_transit", "2 08:00", location="Delhi", said="Bag received")
    status = concluded(scan("picked_up", "1 18:00", location="Pune"), transit)
    assert status == Status(
        Milestone.IN_TRANSIT, Leg.FORWARD, instant("2 08:00"), "Delhi", "Bag received", "latest_scan", (transit.key,),
        located_by=transit.key,
    )  # fmt: skip


def test_the_remark_speaks_where_the_provider_gave_no_words() -> None:
    assert concluded(scan("on_hold", "2 08:00", remark="Strike")).said == "Strike"


def test_the_location_is_the_last_one_named_in_the_run() -> None:
    status = concluded(scan("in_transit", "2 08:00", location="Delhi"), scan("in_transit", "2 09:00"))
    assert status.location == "Delhi"


def test_a_location_of_an_earlier_milestone_is_not_carried_over() -> None:
    assert concluded(scan("arrived", "2 08:00", location="Delhi"), scan("out_for_delivery", "2 09:00")).location == ""


def test_a_late_in_transit_scan_after_delivered_does_not_reopen() -> None:
    delivered = scan("delivered", "3 17:12")
    status = concluded(delivered, scan("in_transit", "3 18:00"), scan("arrived", "4 02:00"))
    assert (status.milestone, status.rule, status.because) == (Milestone.DELIVERED, "final", (delivered.key,))
    assert status.delivered_at == instant("3 17:12")


def test_a_failed_attempt_after_delivered_reopens() -> None:
    status = concluded(scan("delivered", "3 17:12"), scan("delivery_failed", "3 19:00"))
    assert (status.milestone, status.rule) == (Milestone.DELIVERY_FAILED, "delivery_failed_after_delivered")
    assert status.delivered_at is None


def test_a_return_after_delivered_reopens_and_keeps_the_delivery_on_record() -> None:
    status = concluded(scan("delivered", "3 17:12"), scan("return_requested", "9 10:00"))
    assert (status.milestone, status.leg) == (Milestone.RETURN_REQUESTED, Leg.RETURN)
    assert status.delivered_at == instant("3 17:12")


def test_a_return_under_way_after_delivered_reopens() -> None:
    status = concluded(scan("delivered", "3 17:12"), scan("returning", "9 10:00"))
    assert (status.milestone, status.rule) == (Milestone.RETURNING, "returning_after_delivered")


def test_a_new_pickup_after_delivered_reopens() -> None:
    status = concluded(scan("delivered", "3 17:12"), scan("picked_up", "9 10:00"))
    assert (status.milestone, status.rule) == (Milestone.PICKED_UP, "picked_up_after_delivered")
    assert status.delivered_at == instant("3 17:12")
    out_again = concluded(
        scan("delivered", "3 17:12"), scan("picked_up", "9 10:00"), scan("out_for_delivery", "9 11:00")
    )
    assert out_again.delivered_at is None


def test_a_booking_filed_late_does_not_take_back_a_movement() -> None:
    status = concluded(scan("picked_up", "3 10:00"), scan("in_transit", "3 12:00"), scan("info_received", "3 12:30"))
    assert (status.milestone, status.because) == (Milestone.IN_TRANSIT, status.because[:1])


def test_delivered_again_after_a_new_pickup_counts_from_the_second_delivery() -> None:
    status = concluded(scan("delivered", "3 17:12"), scan("picked_up", "9 10:00"), scan("delivered", "11 12:00"))
    assert (status.milestone, status.delivered_at) == (Milestone.DELIVERED, instant("11 12:00"))


def test_delivered_stamped_before_out_for_delivery_is_delivered() -> None:
    status = concluded(scan("delivered", "3 10:00"), scan("out_for_delivery", "3 10:05"))
    assert (status.milestone, status.since) == (Milestone.DELIVERED, instant("3 10:00"))


def test_a_delivery_on_the_way_back_is_returned_not_delivered() -> None:
    status = concluded(
        scan("delivery_failed", "3 10:00"), scan("returning", "4 10:00"), scan("delivered", "8 10:00", "return")
    )
    assert (status.milestone, status.leg, status.delivered_at) == (Milestone.RETURNED, Leg.RETURN, None)


@pytest.mark.parametrize("stray", ["in_transit", "arrived", "customs", "out_for_delivery", "delivery_failed"])
def test_return_leg_scans_do_not_overwrite_a_forward_delivery(stray: str) -> None:
    status = concluded(scan("delivered", "3 10:00"), scan(stray, "3 11:00", "return"))
    assert (status.milestone, status.leg) == (Milestone.DELIVERED, Leg.FORWARD)


def test_return_legs_reusing_the_number_end_returned_and_keep_the_delivery_on_record() -> None:
    journey = [
        scan("delivered", "3 10:00"),
        scan("pickup_scheduled", "8 10:00", "return"),
        scan("picked_up", "9 10:00", "return"),
        scan("in_transit", "10 10:00", "return"),
        scan("delivered", "12 10:00", "return"),
    ]
    milestones = [concluded(*journey[:n]).milestone for n in range(1, 6)]
    assert milestones == ["delivered", "delivered", "returning", "returning", "returned"]
    status = concluded(*journey)
    assert (status.leg, status.delivered_at) == (Leg.RETURN, instant("3 10:00"))


def test_a_new_pickup_after_a_return_starts_a_journey_that_is_not_delivered_yet() -> None:
    status = concluded(scan("delivered", "3 10:00"), scan("returned", "9 10:00"), scan("picked_up", "12 10:00"))
    assert (status.milestone, status.delivered_at) == (Milestone.PICKED_UP, None)


def test_out_for_delivery_after_a_return_from_the_consignee_is_not_delivered_yet() -> None:
    status = concluded(scan("delivered", "3 10:00"), scan("returning", "4 10:00"), scan("out_for_delivery", "5 10:00"))
    assert (status.milestone, status.rule, status.delivered_at) == (
        Milestone.OUT_FOR_DELIVERY,
        "return_given_up",
        None,
    )


def test_a_return_given_up_is_delivered() -> None:
    status = concluded(
        scan("delivery_failed", "3 10:00"), scan("returning", "4 10:00"), scan("delivered", "6 10:00", location="Pune")
    )
    assert (status.milestone, status.rule) == (Milestone.DELIVERED, "return_given_up")
    assert status.delivered_at == instant("6 10:00")


def test_a_bare_forward_transit_scan_does_not_give_up_a_return() -> None:
    status = concluded(scan("returning", "4 10:00"), scan("in_transit", "4 11:00"), scan("on_hold", "4 12:00"))
    assert (status.milestone, status.leg) == (Milestone.RETURNING, Leg.RETURN)


def test_a_parcel_can_be_lost_on_its_way_back() -> None:
    assert concluded(scan("returning", "4 10:00"), scan("lost", "14 10:00")).milestone is Milestone.LOST


def test_a_return_asked_for_before_it_began_does_not_stop_forward_scans() -> None:
    status = concluded(scan("return_requested", "4 10:00"), scan("in_transit", "4 11:00"))
    assert (status.milestone, status.leg) == (Milestone.IN_TRANSIT, Leg.FORWARD)


def test_lost_then_found() -> None:
    status = concluded(scan("lost", "4 10:00"), scan("arrived", "9 10:00"))
    assert (status.milestone, status.rule) == (Milestone.ARRIVED, "arrived_after_lost")


def test_lost_stays_lost_while_nobody_has_it_in_hand() -> None:
    assert concluded(scan("lost", "4 10:00"), scan("delayed", "9 10:00")).milestone is Milestone.LOST


def test_a_cancelled_parcel_that_keeps_moving_moves() -> None:
    status = concluded(scan("cancelled", "1 10:00"), scan("picked_up", "1 18:00"), scan("in_transit", "2 10:00"))
    assert status.milestone is Milestone.IN_TRANSIT


@pytest.mark.parametrize("before", ["info_received", "pickup_scheduled", "out_for_pickup", "pickup_failed"])
def test_a_cancelled_parcel_that_only_waits_for_its_pickup_stays_cancelled(before: str) -> None:
    assert concluded(scan("cancelled", "1 10:00"), scan(before, "1 18:00")).milestone is Milestone.CANCELLED


@pytest.mark.parametrize("final", sorted(FINAL))
def test_a_final_status_said_again_keeps_its_time(final: Milestone) -> None:
    first, again = scan(final, "3 10:00"), scan(final, "5 10:00")
    status = concluded(first, again)
    assert (status.milestone, status.since, status.because) == (final, instant("3 10:00"), (first.key, again.key))


@pytest.mark.parametrize("final", sorted(FINAL))
def test_delivery_to_the_consignee_ends_every_other_final_status(final: Milestone) -> None:
    status = concluded(scan(final, "3 10:00"), scan("delivered", "5 10:00"))
    assert status.milestone is Milestone.DELIVERED


def test_of_equal_instants_the_later_milestone_counts() -> None:
    status = concluded(scan("delivered", "3 10:00"), scan("out_for_delivery", "3 10:00"), scan("arrived", "3 10:00"))
    assert (status.milestone, status.rule) == (Milestone.DELIVERED, "final")


def test_of_equal_instants_the_providers_own_order_counts_before_the_rank() -> None:
    status = concluded(scan("out_for_delivery", "3 10:00", order=1), scan("arrived", "3 10:00", order=2))
    assert status.milestone is Milestone.ARRIVED


def test_of_equal_instants_a_failed_delivery_comes_before_the_way_back() -> None:
    status = concluded(scan("delivery_failed", "3 10:00"), scan("in_transit", "3 10:00", "return"))
    assert (status.milestone, status.leg) == (Milestone.RETURNING, Leg.RETURN)


def test_of_equal_instants_and_milestones_the_identity_decides() -> None:
    scans = [scan("in_transit", "3 10:00", location=city, said=city) for city in ("Pune", "Delhi", "Agra")]
    status = concluded(*scans)
    assert status.because == tuple(sorted(c.key for c in scans))
    assert status.location == max(scans, key=lambda c: c.key).location


def test_a_day_without_a_time_follows_the_lower_ranked_scans_of_that_day() -> None:
    status = concluded(scan("out_for_delivery", "3 10:29"), scan("delivery_failed", "3"))
    assert status.milestone is Milestone.DELIVERY_FAILED


def test_a_day_without_a_time_precedes_the_higher_ranked_scans_of_that_day() -> None:
    status = concluded(scan("in_transit", "3"), scan("out_for_delivery", "3 00:00"), scan("delivery_failed", "3 09:00"))
    assert status.milestone is Milestone.DELIVERY_FAILED


def test_a_day_follows_a_scan_to_which_the_provider_gave_a_higher_number() -> None:
    status = concluded(scan("out_for_delivery", "3 10:29", order=7), scan("delivery_failed", "3", order=3))
    assert status.milestone is Milestone.DELIVERY_FAILED


def test_a_day_between_two_scans_of_one_instant_goes_between_them() -> None:
    scans = [scan("out_for_delivery", "3 10:29"), scan("delivery_failed", "3"), scan("delivered", "3 10:29")]
    assert in_order(reversed(scans)) == scans


def test_days_only_are_read_in_the_order_of_a_journey() -> None:
    words = ["info_received", "picked_up", "in_transit", "out_for_delivery", "delivery_failed", "delivered"]
    scans = [scan(word, "3") for word in words]
    assert in_order(reversed(scans)) == scans
    assert concluded(*scans).milestone is Milestone.DELIVERED


def test_a_day_belongs_before_the_next_day_whatever_its_rank() -> None:
    status = concluded(scan("delivery_failed", "3"), scan("out_for_delivery", "4"), scan("in_transit", "4 08:00"))
    assert status.milestone is Milestone.OUT_FOR_DELIVERY


def test_a_failure_on_a_day_does_not_reopen_that_days_delivery_by_a_late_transit_scan() -> None:
    status = concluded(
        scan("out_for_delivery", "3 09:00"),
        scan("delivery_failed", "3"),
        scan("delivered", "3 12:00"),
        scan("arrived", "3 18:00"),
    )
    assert (status.milestone, status.delivered_at) == (Milestone.DELIVERED, instant("3 12:00"))


def test_a_delivery_on_a_day_follows_that_days_failures_whatever_is_scanned_after_them() -> None:
    status = concluded(scan("delivery_failed", "3 11:00"), scan("out_for_delivery", "3 15:00"), scan("delivered", "3"))
    assert status.milestone is Milestone.DELIVERED


def test_a_failed_delivery_and_the_way_back_on_one_day_is_a_return() -> None:
    status = concluded(scan("delivery_failed", "3"), scan("in_transit", "3", "return"))
    assert status.milestone is Milestone.RETURNING


def test_the_day_is_the_local_one() -> None:
    late_evening = scan("out_for_delivery", "3 23:30")
    assert late_evening.occurred.at.day == 3
    early_morning = scan("out_for_delivery", "3 00:30")
    assert early_morning.occurred.at.day == 2
    for timed in (late_evening, early_morning):
        assert concluded(timed, scan("delivery_failed", "3")).milestone is Milestone.DELIVERY_FAILED


def test_unknown_never_moves_the_status_and_is_no_reason_for_it() -> None:
    transit = scan("in_transit", "2 08:00", location="Delhi", said="Bag received")
    unknown = scan("unknown", "3 08:00", location="Pune", said="Prosessed")
    status = concluded(transit, unknown)
    assert replace(status, passed=()) == concluded(transit)
    assert status.passed == ((unknown.key, "not_understood"),)
    assert replace(concluded(unknown), passed=()) == concluded()


def test_since_is_the_first_scan_of_the_current_run_and_because_holds_the_run() -> None:
    transit, hold = scan("in_transit", "1 08:00"), scan("on_hold", "2 08:00")
    run = [scan("in_transit", f"{day} 08:00") for day in (3, 4, 5)]
    status = concluded(transit, hold, *run, scan("unknown", "6 08:00"))
    assert status.since == instant("3 08:00")
    assert status.because == tuple(c.key for c in run)


def test_scans_that_move_nothing_do_not_break_the_run() -> None:
    first, again = scan("delivered", "3 10:00"), scan("delivered", "3 12:00")
    status = concluded(first, scan("in_transit", "3 11:00"), again)
    assert (status.since, status.because) == (instant("3 10:00"), (first.key, again.key))


def test_the_same_milestone_on_another_leg_is_another_run() -> None:
    status = concluded(scan("on_hold", "3 10:00"), scan("on_hold", "4 10:00", "return"))
    assert (status.leg, status.since) == (Leg.RETURN, instant("4 10:00"))


def test_because_names_the_providers_ids() -> None:
    assert concluded(scan("in_transit", "3 10:00", id="clickpost:77")).because == ("clickpost:77",)


def test_a_reverse_pickup_is_read_on_its_own_leg_from_end_to_end() -> None:
    words = ["info_received", "out_for_pickup", "pickup_failed", "picked_up", "in_transit", "delivered"]
    journey = [scan(word, f"{day} 10:00", "return") for day, word in enumerate(words, start=1)]
    statuses = [concluded(*journey[:n]) for n in range(1, len(words) + 1)]
    assert [s.milestone for s in statuses] == [
        "info_received",
        "out_for_pickup",
        "pickup_failed",
        "returning",
        "returning",
        "returned",
    ]
    assert {s.leg for s in statuses} == {Leg.RETURN}
    assert statuses[-1].delivered_at is None


def test_the_other_half_of_an_exchange_keeps_its_leg() -> None:
    status = concluded(scan("delivered", "3 10:00"), scan("picked_up", "3 10:10", "exchange"))
    assert (status.milestone, status.leg) == (Milestone.PICKED_UP, Leg.EXCHANGE)


def some_scans(max_size: int = 9) -> st.SearchStrategy[list[Checkpoint]]:
    """Scans crowded into three days, so that equal instants and whole days meet often."""
    return st.lists(
        st.builds(
            scan,
            st.sampled_from(Milestone),
            st.builds("{} {}:00".format, st.integers(1, 3), st.integers(0, 23)),
            st.sampled_from(Leg),
            st.sampled_from(Precision),
            order=st.integers(0, 1),
        ),
        max_size=max_size,
        unique_by=lambda c: c.key,
    )


@given(st.data(), some_scans())
def test_the_order_of_the_input_is_irrelevant(data: st.DataObject, scans: list[Checkpoint]) -> None:
    assert conclude(data.draw(st.permutations(scans))) == conclude(scans)


@given(some_scans())
def test_every_conclusion_rests_on_scans_that_were_given(scans: list[Checkpoint]) -> None:
    status = conclude(scans)
    used = [c for c in in_order(scans) if c.key in status.because]
    assert tuple(c.key for c in used) == status.because
    assert status.since == (used[0].occurred.at if used else None)
    assert bool(used) == any(c.milestone is not Milestone.UNKNOWN for c in scans)
    assert all(c.milestone is not Milestone.UNKNOWN for c in used)


@given(some_scans())
def test_the_order_of_happening_keeps_instants_in_order(scans: list[Checkpoint]) -> None:
    placed = in_order(scans)
    assert sorted(c.key for c in placed) == sorted(c.key for c in scans)
    timed = [c.occurred.at for c in placed if c.occurred.precision is Precision.SECOND]
    assert timed == sorted(timed)
    for i, day in enumerate(placed):
        if day.occurred.precision is Precision.DAY:
            assert all(c.occurred.at < day.occurred.end for c in placed[:i])
            assert all(c.occurred.at >= day.occurred.at for c in placed[i:])
