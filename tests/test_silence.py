"""A deadline per open shipment: from then on it is stuck, in the way that its milestone makes it stuck."""

from datetime import datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from support.scans import instant, scan
from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import FINAL, Leg, Milestone
from trackledger.domain.moments import Precision
from trackledger.domain.policies import status
from trackledger.domain.policies.silence import ALLOWANCES, VERSION, Silence, SilencePolicy, StuckKind, conclude

OPENED = instant("1 08:00")
HOUR = timedelta(hours=1)


def silence(
    *scans: Checkpoint, carrier: str = "", service: str = "", policy: SilencePolicy | None = None
) -> Silence | None:
    return conclude(status.conclude(scans), scans, OPENED, carrier, service, policy)


def deadline(*scans: Checkpoint, carrier: str = "", service: str = "", policy: SilencePolicy | None = None) -> float:
    """Hours from the last scan to being stuck."""
    found = silence(*scans, carrier=carrier, service=service, policy=policy)
    assert found is not None
    return (found.stuck_after - found.quiet_since) / HOUR


def told(found: Silence | None) -> tuple[StuckKind, datetime, datetime, str]:
    """What it says, without the rules that say so."""
    assert found is not None
    return found.kind, found.quiet_since, found.stuck_after, found.policy_version


@pytest.mark.parametrize(
    ("milestone", "kind", "hours"),
    [
        ("info_received", "never_picked_up", 72),
        ("pickup_scheduled", "never_picked_up", 72),
        ("out_for_pickup", "never_picked_up", 72),
        ("pickup_failed", "never_picked_up", 72),
        ("picked_up", "stalled_in_transit", 72),
        ("in_transit", "stalled_in_transit", 72),
        ("delayed", "stalled_in_transit", 72),
        ("arrived", "at_facility", 48),
        ("on_hold", "on_hold", 72),
        ("customs", "customs", 120),
        ("exception", "exception_unresolved", 48),
        ("out_for_delivery", "out_for_delivery_overnight", 20),
        ("delivery_failed", "ndr_unactioned", 36),
        ("available_for_pickup", "not_collected", 120),
        ("return_requested", "return_stalled", 120),
        ("returning", "return_stalled", 120),
    ],
)
def test_each_open_milestone_has_its_own_kind_and_patience(milestone: str, kind: str, hours: int) -> None:
    last = instant("3 10:00")
    assert told(silence(scan(milestone, "3 10:00"))) == (StuckKind(kind), last, last + hours * HOUR, VERSION)


def test_a_failed_delivery_that_somebody_acted_on_is_stuck_in_another_way_and_as_soon() -> None:
    scans = [scan("out_for_delivery", "3 08:00"), scan("delivery_failed", "3 10:00")]
    found = conclude(status.conclude(scans), scans, None, is_acted_on=True)
    left = conclude(status.conclude(scans), scans, None)
    assert found is not None and left is not None
    assert (found.kind, left.kind) == (StuckKind.NDR_ACTIONED, StuckKind.NDR_UNACTIONED)
    assert found.stuck_after == left.stuck_after
    returning = [*scans, scan("returning", "4 10:00", "return")]
    back = conclude(status.conclude(returning), returning, None, is_acted_on=True)
    assert back is not None and back.kind is StuckKind.RETURN_STALLED


def test_every_milestone_is_final_or_has_an_allowance() -> None:
    assert set(ALLOWANCES) | FINAL == set(Milestone)
    assert not set(ALLOWANCES) & FINAL


@pytest.mark.parametrize("milestone", sorted(FINAL))
def test_a_final_shipment_is_never_stuck(milestone: Milestone) -> None:
    assert silence(scan("in_transit", "2 10:00"), scan(milestone, "3 10:00")) is None


def test_silence_counts_from_the_newest_scan_though_it_moves_nothing() -> None:
    found = silence(scan("returning", "3 10:00"), scan("in_transit", "4 10:00"))
    assert found is not None
    assert (found.kind, found.quiet_since) == (StuckKind.RETURN_STALLED, instant("4 10:00"))


def test_never_picked_up_is_bounded_however_many_pickup_scans_there_are() -> None:
    tries = [scan(word, f"{day} 10:00") for day in range(1, 7) for word in ("out_for_pickup", "pickup_failed")]
    found = silence(scan("info_received", "1 09:00"), *tries)
    assert found is not None
    assert (found.kind, found.quiet_since) == (StuckKind.NEVER_PICKED_UP, instant("6 10:00"))
    assert found.stuck_after == instant("8 09:00")


def test_never_picked_up_is_bounded_through_scans_that_tell_of_no_pickup() -> None:
    found = silence(scan("info_received", "1 09:00"), scan("delayed", "5 09:00"), scan("pickup_scheduled", "7 09:00"))
    assert found is not None
    assert found.stuck_after == instant("8 09:00")


def test_the_wait_for_the_pickup_of_a_return_does_not_count_from_the_first_journey() -> None:
    found = silence(
        scan("info_received", "1 09:00"),
        scan("picked_up", "2 09:00"),
        scan("delivered", "4 09:00"),
        scan("return_requested", "14 09:00"),
        scan("pickup_scheduled", "15 09:00", "return"),
    )
    assert found is not None
    assert (found.kind, found.stuck_after) == (StuckKind.NEVER_PICKED_UP, instant("18 09:00"))


def test_a_carrier_with_more_patience_than_the_bound_keeps_it() -> None:
    policy = SilencePolicy(quiet={("slow post", "", Milestone.INFO_RECEIVED): 240 * HOUR})
    assert deadline(scan("info_received", "1 09:00"), carrier="Slow Post", policy=policy) == 240


def test_nothing_heard_counts_from_the_opening() -> None:
    assert told(silence()) == (StuckKind.NOTHING_HEARD, OPENED, OPENED + 72 * HOUR, VERSION)


def test_nothing_heard_and_never_opened_gives_no_deadline() -> None:
    assert conclude(status.conclude([]), [], None) is None


def test_unknown_scans_do_not_end_the_silence() -> None:
    unknown = scan("unknown", "4 10:00")
    assert silence(unknown) == silence()
    assert silence(scan("in_transit", "3 10:00"), unknown) == silence(scan("in_transit", "3 10:00"))


def test_a_return_that_stalls_is_a_stalled_return_wherever_it_stalls() -> None:
    found = silence(scan("returning", "3 10:00"), scan("on_hold", "4 10:00", "return"))
    assert found is not None
    assert (found.kind, found.stuck_after) == (StuckKind.RETURN_STALLED, instant("7 10:00"))


def test_a_return_that_nobody_picked_up_is_not_a_stalled_return() -> None:
    found = silence(scan("pickup_scheduled", "3 10:00", "return"))
    assert found is not None
    assert found.kind is StuckKind.NEVER_PICKED_UP


def test_a_scan_that_names_its_day_only_is_heard_until_the_end_of_that_day() -> None:
    found = silence(scan("out_for_delivery", "3"))
    assert found is not None
    assert (found.quiet_since, found.stuck_after) == (instant("3 00:00"), instant("4 20:00"))


def test_a_day_does_not_lengthen_the_patience_of_a_later_scan_with_a_time() -> None:
    found = silence(scan("in_transit", "3"), scan("out_for_delivery", "3 10:29"))
    assert found is not None
    assert (found.quiet_since, found.stuck_after) == (instant("3 10:29"), instant("4 06:29"))


POLICY = SilencePolicy(
    version="2025-03",
    quiet={
        ("delhivery", "express", Milestone.IN_TRANSIT): 12 * HOUR,
        ("delhivery", "", Milestone.IN_TRANSIT): 24 * HOUR,
        ("", "express", Milestone.IN_TRANSIT): 36 * HOUR,
        ("", "", Milestone.IN_TRANSIT): 48 * HOUR,
    },
)


@pytest.mark.parametrize(
    ("carrier", "service", "hours"),
    [
        ("Delhivery", "Express", 12),
        ("DELHIVERY", "surface", 24),
        ("delhivery", "", 24),
        ("Blue Dart", "EXPRESS", 36),
        ("", "express", 36),
        ("Blue Dart", "surface", 48),
        ("Blue Dart", "", 48),
        ("", "", 48),
    ],
)
def test_overrides_go_from_the_most_to_the_least_specific(carrier: str, service: str, hours: int) -> None:
    assert deadline(scan("in_transit", "3 10:00"), carrier=carrier, service=service, policy=POLICY) == hours


def test_an_override_leaves_other_milestones_alone_and_names_its_version() -> None:
    found = silence(scan("arrived", "3 10:00"), carrier="Delhivery", policy=POLICY)
    assert found is not None
    assert (found.stuck_after, found.policy_version) == (instant("5 10:00"), "2025-03")


def some_scans() -> st.SearchStrategy[list[Checkpoint]]:
    return st.lists(
        st.builds(
            scan,
            st.sampled_from(Milestone),
            st.builds("{} {}:00".format, st.integers(1, 30), st.integers(0, 23)),
            st.sampled_from(Leg),
            st.sampled_from([*[Precision.SECOND] * 3, Precision.DAY]),
        ),
        max_size=8,
        unique_by=lambda c: c.key,
    )


@given(some_scans())
def test_a_shipment_is_stuck_only_some_time_after_it_fell_quiet(scans: list[Checkpoint]) -> None:
    """All but the wait for a pickup, whose bound runs on while pickup scans keep coming."""
    found = silence(*scans)
    assume(found is not None and found.kind is not StuckKind.NEVER_PICKED_UP)
    assert found is not None
    assert found.stuck_after >= found.quiet_since + 20 * HOUR


@given(some_scans())
def test_a_pickup_is_waited_for_whatever_happened_before_it_was_asked_for(scans: list[Checkpoint]) -> None:
    asked, waiting = scan("return_requested", "31 09:00"), scan("pickup_scheduled", "31 10:00", "return")
    found = silence(*scans, asked, waiting)
    assume(found is not None and found.kind is StuckKind.NEVER_PICKED_UP)
    assert found is not None
    assert (found.quiet_since, found.stuck_after) == (instant("31 10:00"), instant("34 10:00"))


@given(st.lists(st.builds("{} {}:00".format, st.integers(1, 30), st.integers(0, 23)), min_size=1, max_size=8))
def test_the_wait_for_a_pickup_never_exceeds_its_bound(times: list[str]) -> None:
    found = silence(*(scan("pickup_failed", at) for at in times))
    first, last = min(map(instant, times)), max(map(instant, times))
    assert told(found) == (StuckKind.NEVER_PICKED_UP, last, min(last + 72 * HOUR, first + 168 * HOUR), VERSION)


@given(some_scans(), st.data())
def test_the_order_of_the_input_is_irrelevant(scans: list[Checkpoint], data: st.DataObject) -> None:
    assert silence(*data.draw(st.permutations(scans))) == silence(*scans)


@given(some_scans())
def test_every_open_shipment_has_a_deadline_and_no_other(scans: list[Checkpoint]) -> None:
    assert (silence(*scans) is None) == (status.conclude(scans).milestone in FINAL)
