"""An estimate of a day is late from the next local midnight on; a promise is kept apart from every estimate."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.scans import IST, instant, scan, when
from trackledger.domain.checkpoints import Checkpoint, Estimate, EstimateSource
from trackledger.domain.policies.delivery_dates import DeliveryDates, conclude
from trackledger.domain.statements import ToldEstimate


def told(
    source: str,
    starts: str | None = None,
    ends: str | None = None,
    stated: str = "1 08:00",
    days: tuple[int | None, int | None] = (None, None),
    offset: int = IST,
    message: str = "m1",
) -> ToldEstimate:
    """`starts` and `ends` as in `scan`: `5` is a day, `5 18:00` an instant."""
    estimate = Estimate(
        EstimateSource(source),
        when(starts, offset=offset) if starts else None,
        when(ends, offset=offset) if ends else None,
        *days,
        offset=offset,
    )
    return ToldEstimate(estimate, instant(stated), message)


def dates(
    *estimates: ToldEstimate,
    scans: list[Checkpoint] | None = None,
    registered: str | None = None,
    delivered: str | None = None,
) -> DeliveryDates:
    return conclude(
        estimates,
        scans or [],
        instant(registered) if registered else None,
        instant(delivered) if delivered else None,
    )


def test_nothing_estimated_is_nothing_to_be_late_for() -> None:
    found = dates(delivered="5 12:00")
    assert found == DeliveryDates(None, None, None, 0, None, instant("5 12:00"), "", None)
    assert found.on_time(instant("9 12:00")) is None


def test_a_day_is_late_only_from_the_next_local_midnight() -> None:
    found = dates(told("carrier", "5"))
    assert found.promised_by == instant("6 00:00") == datetime.fromisoformat("2025-03-05T18:30:00+00:00")
    assert found.on_time(instant("5 23:59")) is None
    assert found.on_time(instant("6 00:00")) is False


@pytest.mark.parametrize(("delivered", "on_time"), [("5 23:30", True), ("5 00:00", True), ("6 00:00", False)])
def test_a_delivery_of_that_local_day_is_on_time(delivered: str, on_time: bool) -> None:
    assert dates(told("carrier", "5"), delivered=delivered).on_time(instant("9 12:00")) is on_time


def test_the_day_is_that_of_the_estimates_own_zone() -> None:
    delivered_in_new_york = datetime.fromisoformat("2025-03-06T04:30:00+00:00")
    found = conclude([told("carrier", "5", offset=-300)], [], None, delivered_in_new_york)
    assert found.on_time(delivered_in_new_york) is True
    assert conclude([told("carrier", "5")], [], None, delivered_in_new_york).on_time(delivered_in_new_york) is False


def test_a_window_of_days_is_late_after_its_last_day() -> None:
    found = dates(told("carrier", "4", "6"))
    assert found.original is not None
    assert (found.original.starts, found.original.ends) == (date(2025, 3, 4), date(2025, 3, 6))
    assert found.promised_by == instant("7 00:00")


def test_an_estimate_with_one_end_is_a_window_of_that_day() -> None:
    for one in (told("carrier", starts="5"), told("carrier", ends="5")):
        (window,) = dates(one).windows
        assert (window.starts, window.ends) == (date(2025, 3, 5), date(2025, 3, 5))


def test_a_window_of_instants_is_late_after_its_last_instant() -> None:
    found = dates(told("carrier", "5 10:00", "5 12:00"))
    assert found.original is not None
    assert (found.original.starts, found.original.precision) == (date(2025, 3, 5), "second")
    assert found.promised_by == instant("5 12:00") + timedelta(seconds=1)
    assert found.on_time(instant("5 12:00")) is None
    assert found.on_time(instant("5 12:01")) is False
    assert dates(told("carrier", "5 10:00", "5 12:00"), delivered="5 12:00").on_time(instant("9 12:00")) is True
    assert dates(told("carrier", "5 10:00", "5 12:00"), delivered="5 13:00").on_time(instant("9 12:00")) is False


def test_on_time_is_open_until_it_came_or_is_late() -> None:
    found = dates(told("carrier", "5"))
    assert (found.on_time(instant("1 12:00")), found.on_time(instant("7 12:00"))) == (None, False)


SLA = told("sla", days=(2, 4))


def test_service_days_count_from_the_pickup() -> None:
    found = dates(SLA, scans=[scan("info_received", "1 10:00"), scan("picked_up", "3 23:30")], registered="2 10:00")
    assert found.original is not None
    assert (found.original.starts, found.original.ends) == (date(2025, 3, 5), date(2025, 3, 7))
    assert (found.original.precision, found.promised_by) == ("day", instant("8 00:00"))


def test_service_days_count_from_the_local_day_of_the_pickup() -> None:
    shortly_after_midnight = scan("picked_up", "3 00:30")
    assert shortly_after_midnight.occurred.at.day == 2
    assert dates(SLA, scans=[shortly_after_midnight]).promised_by == instant("8 00:00")


def test_without_a_pickup_service_days_count_from_the_registration() -> None:
    assert dates(SLA, scans=[scan("in_transit", "1 10:00")], registered="2 10:00").promised_by == instant("7 00:00")


def test_without_a_registration_service_days_count_from_the_oldest_scan() -> None:
    scans = [scan("in_transit", "3 10:00"), scan("info_received", "1 10:00")]
    assert dates(SLA, scans=scans).promised_by == instant("6 00:00")
    (window,) = dates(SLA, scans=scans).windows
    assert (window.rules[0], window.counted_by) == ("days_from_first_scan", scans[1].key)


def test_the_pickup_of_a_return_starts_no_service_level() -> None:
    scans = [scan("info_received", "1 10:00"), scan("picked_up", "9 10:00", "return")]
    assert dates(SLA, scans=scans).promised_by == instant("6 00:00")


@pytest.mark.parametrize("days", [(4, None), (None, 4)])
def test_a_service_level_of_one_number_is_a_window_of_one_day(days: tuple[int | None, int | None]) -> None:
    (window,) = dates(told("sla", days=days), registered="1 10:00").windows
    assert (window.starts, window.ends) == (date(2025, 3, 5), date(2025, 3, 5))


def test_estimates_without_a_date_to_count_from_are_ignored() -> None:
    assert dates(SLA) == dates()
    assert dates(SLA, told("carrier", "5")) == dates(told("carrier", "5"))


def test_estimates_that_say_nothing_are_ignored() -> None:
    assert dates(told("provider"), registered="1 10:00") == dates()


@pytest.mark.parametrize("days", [40_000, 4_000_000, 10**12])
def test_estimates_beyond_the_calendar_are_ignored(days: int) -> None:
    assert dates(told("sla", days=(days, days)), registered="1 10:00") == dates()


def test_a_promise_is_kept_apart_and_is_the_baseline() -> None:
    found = dates(told("promise", "4"), told("carrier", "6", stated="2 08:00"))
    assert found.promised is not None
    assert found.original is not None
    assert found.current is not None
    assert (found.promised.ends, found.original.ends, found.current.ends) == (
        date(2025, 3, 4),
        date(2025, 3, 6),
        date(2025, 3, 6),
    )
    assert (found.baseline, found.promised_by, found.revisions) == ("promised", instant("5 00:00"), 0)


def test_the_last_promise_counts() -> None:
    found = dates(told("promise", "4"), told("promise", "8", stated="2 08:00"))
    assert (found.baseline, found.promised_by) == ("promised", instant("9 00:00"))
    assert (found.original, found.current, found.revisions) == (None, None, 0)


def test_without_a_promise_the_original_estimate_is_the_baseline() -> None:
    found = dates(told("carrier", "5"), told("carrier", "9", stated="3 08:00"))
    assert (found.baseline, found.promised_by) == ("original", instant("6 00:00"))


def test_original_current_and_revisions_follow_the_time_of_statement() -> None:
    found = dates(
        told("carrier", "7", stated="3 08:00", message="m3"),
        told("carrier", "5", stated="1 08:00", message="m1"),
        told("carrier", "6", stated="2 08:00", message="m2"),
    )
    assert found.original is not None
    assert found.current is not None
    assert (found.original.message_id, found.current.message_id, found.revisions) == ("m1", "m3", 2)


def test_the_same_window_said_again_is_no_revision() -> None:
    found = dates(told("carrier", "5"), told("carrier", "5", "5", stated="2 08:00"))
    assert found.revisions == 0


def test_a_window_that_comes_back_is_revised_twice() -> None:
    said = [told("carrier", window, stated=f"{day} 08:00") for day, window in enumerate(("5", "6", "5"), start=1)]
    assert dates(*said).revisions == 2


def test_the_carrier_is_nearer_to_the_parcel_than_provider_and_service_level() -> None:
    said = [told("carrier", "5"), told("provider", "7", stated="2 08:00"), told("sla", days=(9, 9), stated="3 08:00")]
    found = dates(*said, registered="1 10:00")
    assert found.current is not None
    assert (found.current.source, found.current.ends) == (EstimateSource.CARRIER, date(2025, 3, 5))
    assert found.revisions == 0
    found = dates(*said[1:], registered="1 10:00")
    assert found.current is not None
    assert found.current.source is EstimateSource.PROVIDER


def test_of_several_first_estimates_the_nearest_to_the_parcel_is_the_original() -> None:
    found = dates(told("provider", "7"), told("carrier", "5"), told("carrier", "9", stated="2 08:00"))
    assert found.original is not None
    assert (found.original.source, found.original.ends) == (EstimateSource.CARRIER, date(2025, 3, 5))


def test_of_two_estimates_of_one_day_in_one_message_the_later_deadline_is_the_original() -> None:
    day, hour = told("carrier", "5"), told("carrier", "5 18:00")
    assert dates(day, hour) == dates(hour, day)
    assert dates(day, hour).promised_by == instant("6 00:00")


def test_the_first_attempt_is_the_first_visit_on_the_way_out() -> None:
    scans = [
        scan("delivery_failed", "2 10:00", "return"),
        scan("delivery_failed", "4 10:00"),
        scan("delivered", "5 10:00"),
    ]
    assert dates(scans=scans).first_attempt_at == instant("4 10:00")
    assert dates(scans=scans[::2]).first_attempt_at == instant("5 10:00")
    assert dates(scans=scans[:1]).first_attempt_at is None


def some_estimates() -> st.SearchStrategy[list[ToldEstimate]]:
    days = st.integers(1, 6).map(str)
    moments = st.none() | days | st.builds("{} {}:00".format, days, st.integers(0, 23))
    counts = st.none() | st.integers(0, 9)
    return st.lists(
        st.builds(
            told,
            st.sampled_from(EstimateSource),
            moments,
            moments,
            days.map("{} 08:00".format),
            st.tuples(counts, counts),
            st.sampled_from([IST, 0, -300]),
            st.sampled_from(["m1", "m2"]),
        ),
        max_size=7,
    )


def some_scans() -> st.SearchStrategy[list[Checkpoint]]:
    return st.lists(
        st.builds(
            scan,
            st.sampled_from(["info_received", "picked_up", "delivery_failed", "delivered"]),
            st.builds("{} {}:00".format, st.integers(1, 5), st.integers(0, 23)),
            st.sampled_from(["forward", "return"]),
        ),
        max_size=4,
        unique_by=lambda c: c.key,
    )


@given(some_estimates(), some_scans(), st.data())
def test_the_order_of_the_input_is_irrelevant(
    estimates: list[ToldEstimate], scans: list[Checkpoint], data: st.DataObject
) -> None:
    shuffled, walked = data.draw(st.permutations(estimates)), data.draw(st.permutations(scans))
    assert dates(*shuffled, scans=walked) == dates(*estimates, scans=scans)


@given(some_estimates(), some_scans(), st.none() | st.just("4 12:00"))
def test_it_is_late_or_on_time_by_the_deadline_alone(
    estimates: list[ToldEstimate], scans: list[Checkpoint], delivered: str | None
) -> None:
    found = dates(*estimates, scans=scans, delivered=delivered)
    stated = {"promised": found.promised, "original": found.original, "": None}[found.baseline]
    assert found.promised_by == (stated.deadline if stated else None)
    if found.promised_by is None:
        assert (found.promised, found.original, found.current) == (None, None, None)
        return
    just_before = found.promised_by - timedelta(microseconds=1)
    if delivered is None:
        assert (found.on_time(just_before), found.on_time(found.promised_by)) == (None, False)
    else:
        assert (
            found.on_time(just_before) is found.on_time(found.promised_by) is (instant(delivered) < found.promised_by)
        )
