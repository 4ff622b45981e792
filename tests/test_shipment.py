"""Given what was heard, when a report comes in, then exactly these events."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from support.reports import OTHER_TRACKER, TRACKER, claim, estimate, report
from support.scans import instant, scan
from trackledger.domain.batch import Batch
from trackledger.domain.checkpoints import Checkpoint, Registration, Report, Tracker
from trackledger.domain.events import (
    Amendment,
    CheckpointsWithdrawn,
    DetailsStated,
    Event,
    Identification,
    LedgerEvent,
    Opened,
    PieceLinked,
    ReportRecorded,
    TrackerLinked,
)
from trackledger.domain.shipment import Judgement, Shipment
from trackledger.domain.statements import fold

NOW = instant("20 12:00")
OPENED = Opened(recorded_at=NOW, account="default", trackers=(TRACKER,))


def having(*heard: Event | Report, withdrawals: bool = False) -> Shipment:
    """A shipment to which this happened, one after the other."""
    shipment = Shipment("default:clickpost:4:AWB1")
    shipment.apply(OPENED)
    for what in heard:
        for event in when(shipment, what, withdrawals) if isinstance(what, Report) else [what]:
            shipment.apply(event)
    return shipment


def when(shipment: Shipment, heard: Report, withdrawals: bool = False) -> list[Event]:
    """The events of a report, having made sure that the question alone changed nothing."""
    events, judgement = shipment.report(heard, NOW, withdrawals=withdrawals)
    assert shipment.report(heard, NOW, withdrawals=withdrawals)[0] == events
    recorded = [e for e in events if isinstance(e, ReportRecorded)]
    assert judgement.recorded == sum(len(e.recorded) for e in recorded)
    assert judgement.amended == sum(len(e.amended) for e in recorded)
    assert judgement.recorded + judgement.amended + judgement.repeated == len(heard.checkpoints)
    assert judgement.withdrawn == sum(len(e.keys) for e in events if isinstance(e, CheckpointsWithdrawn))
    return events


def judged(shipment: Shipment, heard: Report) -> Judgement:
    return shipment.report(heard, NOW, withdrawals=False)[1]


def news(of: Report, **parts: Any) -> ReportRecorded:
    """The event that keeps these parts of a report."""
    return ReportRecorded(
        recorded_at=NOW,
        tracker=of.key,
        provider=of.tracker.provider,
        message_id=of.message_id,
        channel=of.channel,
        received_at=of.received_at,
        stated_at=of.stated_at,
        **parts,
    )


def withdrawn(by: Report, *keys: str, as_of: str) -> CheckpointsWithdrawn:
    return CheckpointsWithdrawn(
        recorded_at=NOW,
        tracker=by.key,
        provider=by.tracker.provider,
        message_id=by.message_id,
        channel=by.channel,
        received_at=by.received_at,
        said_at=instant(as_of),
        keys=keys,
    )


def nothing_happened(events: Sequence[Event]) -> None:
    assert list(events) == []


def standing(*events: Event) -> list[tuple[str, str, bool]]:
    """Key, remark and withdrawal of every checkpoint, as these events leave it."""
    placed = [LedgerEvent("s1", version, event) for version, event in enumerate((OPENED, *events), start=1)]
    told = fold("s1", placed).told()
    return [(t.checkpoint.key, t.checkpoint.remark, t.withdrawn) for t in told]


def heard_in_order(*heard: Report, withdrawals: bool = False) -> list[Event]:
    """Every event of these reports."""
    shipment, events = having(), []
    for one in heard:
        for event in when(shipment, one, withdrawals):
            shipment.apply(event)
            events.append(event)
    return events


PICKED_UP = scan("picked_up", "1 18:00", id="clickpost:1")
TRANSIT = scan("in_transit", "2 08:00", id="clickpost:2")
OUT = scan("out_for_delivery", "3 09:00", id="clickpost:3")


# --- opening and repeating


def test_the_first_report_of_an_unknown_tracker_opens_the_shipment() -> None:
    first = report(PICKED_UP, at="1 19:00")
    shipment, events, judgement = Batch({}, frozenset()).report(first, NOW)
    assert shipment.id == first.key == "default:clickpost:4:AWB1"
    assert events == [OPENED, news(first, recorded=(PICKED_UP,))]
    assert (judgement.recorded, judgement.amended, judgement.repeated) == (1, 0, 0)


def test_everything_new_of_a_report_is_one_event() -> None:
    said: dict[str, Any] = {
        "estimates": (estimate("carrier", "5"),),
        "assertions": (claim("status", "5", "In Transit"),),
        "details": {"carrier": "Delhivery", "service": ""},
    }
    heard = report(PICKED_UP, TRANSIT, at="2 09:00", **said)
    expected = news(heard, recorded=(PICKED_UP, TRANSIT), **{**said, "details": {"carrier": "Delhivery"}})
    assert when(having(), heard) == [expected]


def test_an_identical_report_is_nothing() -> None:
    heard = report(PICKED_UP, TRANSIT, at="2 09:00", estimates=(estimate("carrier", "5"),), details={"carrier": "D"})
    nothing_happened(when(having(heard), heard))


def test_the_same_statements_in_a_later_message_are_nothing() -> None:
    shipment = having(report(PICKED_UP, TRANSIT, at="2 09:00"))
    later = report(PICKED_UP, TRANSIT, at="2 15:00", channel="webhook")
    nothing_happened(when(shipment, later))
    assert judged(shipment, later).repeated == 2


def test_the_same_statements_shuffled_are_nothing() -> None:
    shipment = having(report(PICKED_UP, TRANSIT, OUT, at="3 09:30"))
    nothing_happened(when(shipment, report(OUT, PICKED_UP, TRANSIT, at="3 10:00")))


def test_an_empty_report_is_nothing() -> None:
    nothing_happened(when(having(), report(at="1 19:00")))


def test_of_a_longer_history_only_the_new_part_is_kept() -> None:
    longer = report(PICKED_UP, TRANSIT, OUT, at="3 09:30")
    assert when(having(report(PICKED_UP, TRANSIT, at="2 09:00")), longer) == [news(longer, recorded=(OUT,))]


def test_duplicates_within_one_message_count_as_repeated() -> None:
    heard = report(PICKED_UP, TRANSIT, PICKED_UP, PICKED_UP, at="2 09:00")
    assert when(having(), heard) == [news(heard, recorded=(PICKED_UP, TRANSIT))]
    judgement = judged(having(), heard)
    assert (judgement.recorded, judgement.amended, judgement.repeated) == (2, 0, 2)


@given(st.lists(st.permutations([PICKED_UP, TRANSIT, OUT]), min_size=2, max_size=4))
def test_a_history_is_kept_once_however_it_is_told(tellings: list[list[Checkpoint]]) -> None:
    first, *others = [report(*told, at=f"3 {hour}:00") for hour, told in enumerate(tellings, start=10)]
    shipment = having(first)
    for other in others:
        nothing_happened(when(shipment, other))


# --- amendments


BUSY, CLOSED, MOVED = (
    scan("delivery_failed", "3 11:00", id="clickpost:4", remark=r) for r in ("busy", "closed", "moved")
)


def test_the_same_id_with_other_content_is_amended_and_names_what_it_replaces() -> None:
    later = report(CLOSED, at="3 13:00")
    assert when(having(report(BUSY, at="3 12:00")), later) == [news(later, amended=(Amendment(CLOSED, BUSY.digest),))]


def test_the_same_fingerprint_with_other_content_is_amended() -> None:
    first, second = replace(BUSY, id=""), replace(CLOSED, id="")
    later = report(second, at="3 13:00")
    assert when(having(report(first, at="3 12:00")), later) == [news(later, amended=(Amendment(second, BUSY.digest),))]


def test_an_amendment_heard_again_is_nothing() -> None:
    later = report(CLOSED, at="3 13:00")
    nothing_happened(when(having(report(BUSY, at="3 12:00"), later), later))


def test_another_notation_of_the_same_words_is_no_amendment() -> None:
    shipment = having(report(scan("in_transit", "2 08:00", id="clickpost:2", remark="Bag  received"), at="2 09:00"))
    again = scan("in_transit", "2 08:00", id="clickpost:2", remark="BAG RECEIVED ")
    nothing_happened(when(shipment, report(again, at="2 10:00")))


def test_an_older_version_heard_late_is_kept_but_does_not_stand() -> None:
    newer, older = report(CLOSED, at="3 13:00"), report(BUSY, at="3 12:00", received="3 14:00")
    events = heard_in_order(newer, older)
    assert events[1:] == [news(older, amended=(Amendment(BUSY, CLOSED.digest),))]
    assert standing(*events) == [("clickpost:4", "closed", False)]
    nothing_happened(when(having(newer, older), older))


def test_a_version_between_two_known_ones_is_kept_but_does_not_stand() -> None:
    events = heard_in_order(
        *(report(c, at=at) for c, at in ((BUSY, "3 12:00"), (MOVED, "3 14:00"), (CLOSED, "3 13:00")))
    )
    assert standing(*events) == [("clickpost:4", "moved", False)]


def test_a_content_that_comes_back_is_amended_again() -> None:
    back = report(BUSY, at="3 14:00")
    shipment = having(report(BUSY, at="3 12:00"), report(CLOSED, at="3 13:00"))
    assert when(shipment, back) == [news(back, amended=(Amendment(BUSY, CLOSED.digest),))]


def test_two_contents_of_one_time_are_decided_by_their_digest() -> None:
    last = max(BUSY, CLOSED, key=lambda c: c.digest)
    for said in ((BUSY, CLOSED), (CLOSED, BUSY)):
        events = heard_in_order(*(report(c, at="3 12:00") for c in said))
        assert standing(*events) == [("clickpost:4", last.remark, False)]


def test_two_contents_under_one_identity_in_every_message_are_kept_once() -> None:
    shipment = having(report(BUSY, CLOSED, at="3 12:00"))
    nothing_happened(when(shipment, report(BUSY, CLOSED, at="3 13:00")))


# --- identities


def test_a_webhook_without_id_and_the_poll_with_one_meet() -> None:
    bare = replace(TRANSIT, id="")
    webhook, poll = report(bare, at="2 09:00", channel="webhook"), report(TRANSIT, at="2 12:00")
    events = heard_in_order(webhook, poll)
    assert events == [
        news(webhook, recorded=(bare,)),
        news(poll, identified=(Identification(TRANSIT.fingerprint, "clickpost:2"),)),
    ]
    assert standing(*events) == [("clickpost:2", "", False)]
    for again in (webhook, poll):
        nothing_happened(when(having(webhook, poll), again))


def test_a_poll_with_id_and_the_webhook_without_one_meet() -> None:
    poll, webhook = report(TRANSIT, at="2 12:00"), report(replace(TRANSIT, id=""), at="2 09:00", channel="webhook")
    nothing_happened(when(having(poll), webhook))


def test_an_identified_checkpoint_can_be_amended_in_the_same_report() -> None:
    bare, poll = replace(BUSY, id=""), report(CLOSED, at="3 13:00")
    events = heard_in_order(report(bare, at="3 12:00"), poll)
    assert events[1:] == [
        news(
            poll,
            identified=(Identification(BUSY.fingerprint, "clickpost:4"),),
            amended=(Amendment(CLOSED, BUSY.digest),),
        )
    ]
    assert standing(*events) == [("clickpost:4", "closed", False)]


def test_a_statement_without_id_amends_the_one_with_an_id() -> None:
    webhook = report(replace(CLOSED, id=""), at="3 13:00", channel="webhook")
    events = heard_in_order(report(BUSY, at="3 12:00"), webhook)
    assert standing(*events) == [("clickpost:4", "closed", False)]


def test_two_ids_with_one_fingerprint_stay_two() -> None:
    twin = replace(TRANSIT, id="clickpost:22")
    heard = report(TRANSIT, twin, at="2 12:00")
    assert when(having(), heard) == [news(heard, recorded=(TRANSIT, twin))]
    assert when(having(report(TRANSIT, at="2 09:00")), heard) == [news(heard, recorded=(twin,))]
    nothing_happened(when(having(heard), heard))


@pytest.mark.parametrize("bare_first", [True, False])
def test_two_ids_with_one_fingerprint_stay_two_beside_a_statement_without_id(bare_first: bool) -> None:
    webhook = report(replace(TRANSIT, id=""), at="2 09:00", channel="webhook")
    poll = report(TRANSIT, replace(TRANSIT, id="clickpost:22"), at="2 12:00")
    heard = (webhook, poll) if bare_first else (poll, webhook)
    events = heard_in_order(*heard)
    assert standing(*events) == [("clickpost:2", "", False), ("clickpost:22", "", False)]
    for again in heard:
        nothing_happened(when(having(*heard), again))


@pytest.mark.parametrize("bare_first", [True, False])
def test_a_message_that_tells_one_scan_with_and_without_id_tells_of_one(bare_first: bool) -> None:
    bare = replace(TRANSIT, id="")
    heard = report(*((bare, TRANSIT) if bare_first else (TRANSIT, bare)), at="2 12:00")
    events = heard_in_order(heard)
    assert standing(*events) == [("clickpost:2", "", False)]
    nothing_happened(when(having(heard), heard))
    nothing_happened(when(having(heard), report(bare, at="2 13:00")))


# --- whole histories and withdrawals


def history(*checkpoints: Checkpoint, at: str) -> Report:
    return report(*checkpoints, at=at, whole=True)


FIRST = history(PICKED_UP, TRANSIT, at="2 09:00")


def test_a_row_that_a_whole_history_no_longer_holds_is_withdrawn() -> None:
    shorter = history(PICKED_UP, at="2 12:00")
    events = when(having(FIRST, withdrawals=True), shorter, withdrawals=True)
    assert events == [withdrawn(shorter, "clickpost:2", as_of="2 12:00")]


def test_a_withdrawal_and_news_of_one_report_are_two_events() -> None:
    other = history(PICKED_UP, OUT, at="3 12:00")
    assert when(having(FIRST, withdrawals=True), other, withdrawals=True) == [
        news(other, recorded=(OUT,), whole_history=True),
        withdrawn(other, "clickpost:2", as_of="3 12:00"),
    ]


def test_without_withdrawals_nothing_is_withdrawn() -> None:
    nothing_happened(when(having(FIRST), history(PICKED_UP, at="2 12:00")))


def test_a_part_of_a_history_withdraws_nothing() -> None:
    nothing_happened(when(having(FIRST, withdrawals=True), report(PICKED_UP, at="2 12:00"), withdrawals=True))


def test_a_withdrawal_heard_again_is_nothing() -> None:
    shorter = history(PICKED_UP, at="2 12:00")
    for again in (shorter, history(PICKED_UP, at="2 15:00")):
        nothing_happened(when(having(FIRST, shorter, withdrawals=True), again, withdrawals=True))


def test_a_row_that_comes_back_is_reinstated() -> None:
    heard = [FIRST, history(PICKED_UP, at="2 12:00"), history(PICKED_UP, TRANSIT, at="2 15:00")]
    events = heard_in_order(*heard, withdrawals=True)
    assert events[2:] == [news(heard[2], reinstated=("clickpost:2",), whole_history=True)]
    assert standing(*events[:2]) == [("clickpost:1", "", False), ("clickpost:2", "", True)]
    assert standing(*events) == [("clickpost:1", "", False), ("clickpost:2", "", False)]


def test_a_row_that_comes_back_changed_is_amended_and_stands() -> None:
    changed = replace(TRANSIT, digest="other", remark="changed")
    heard = [FIRST, history(PICKED_UP, at="2 12:00"), history(PICKED_UP, changed, at="2 15:00")]
    assert standing(*heard_in_order(*heard, withdrawals=True))[1] == ("clickpost:2", "changed", False)


def test_an_older_history_read_late_does_not_withdraw_newer_rows() -> None:
    late = history(PICKED_UP, at="1 19:00")
    nothing_happened(when(having(FIRST, withdrawals=True), late, withdrawals=True))


def test_a_row_that_only_an_older_history_has_is_withdrawn_at_once() -> None:
    late = history(PICKED_UP, OUT, at="1 19:00")
    events = when(having(FIRST, withdrawals=True), late, withdrawals=True)
    assert events == [
        news(late, recorded=(OUT,), whole_history=True),
        withdrawn(late, "clickpost:3", as_of="2 09:00"),
    ]
    assert standing(*heard_in_order(FIRST, late, withdrawals=True))[2] == ("clickpost:3", "", True)


def test_a_row_that_only_an_older_webhook_has_is_withdrawn_at_once() -> None:
    late = report(OUT, at="1 19:00", channel="webhook")
    events = when(having(FIRST, withdrawals=True), late, withdrawals=True)
    assert events == [news(late, recorded=(OUT,)), withdrawn(late, "clickpost:3", as_of="2 09:00")]


def test_a_webhook_newer_than_the_whole_history_stands() -> None:
    webhook = report(OUT, at="3 09:30", channel="webhook")
    events = heard_in_order(webhook, FIRST, withdrawals=True)
    assert standing(*events)[2] == ("clickpost:3", "", False)


def test_the_history_of_one_tracker_does_not_withdraw_what_another_states() -> None:
    other = report(OUT, at="1 10:00", tracker=OTHER_TRACKER)
    nothing_happened(when(having(other, FIRST, withdrawals=True), FIRST, withdrawals=True))


def test_a_history_that_only_withdrew_still_is_the_newest() -> None:
    late = history(PICKED_UP, TRANSIT, OUT, at="2 10:00")
    shipment = having(FIRST, history(PICKED_UP, at="2 12:00"), withdrawals=True)
    assert when(shipment, late, withdrawals=True)[1:] == [withdrawn(late, "clickpost:3", as_of="2 12:00")]


def test_an_older_history_read_late_reinstates_nothing() -> None:
    gone = history(PICKED_UP, at="2 12:00"), history(PICKED_UP, OUT, at="3 12:00")
    late = history(PICKED_UP, TRANSIT, at="2 15:00")
    nothing_happened(when(having(FIRST, *gone, withdrawals=True), late, withdrawals=True))


# --- estimates, claims and details


def test_estimates_claims_and_details_said_again_are_nothing() -> None:
    said: dict[str, Any] = {
        "estimates": (estimate("carrier", "5"), estimate("provider", "6")),
        "assertions": (claim("status", "5", "In Transit"), claim("stuck", "no")),
        "details": {"carrier": "Delhivery"},
    }
    shipment = having(report(at="2 09:00", **said))
    nothing_happened(when(shipment, report(at="2 12:00", **said)))


def test_another_estimate_claim_or_detail_is_news() -> None:
    shipment = having(
        report(
            at="2 09:00",
            estimates=(estimate("carrier", "5"), estimate("provider", "6")),
            assertions=(claim("status", "5"), claim("stuck", "no")),
            details={"carrier": "Delhivery", "service": "Surface"},
        )
    )
    window, stuck = estimate("carrier", "7"), claim("stuck", "yes")
    heard = report(
        at="2 12:00",
        estimates=(window, estimate("provider", "6")),
        assertions=(claim("status", "5"), stuck),
        details={"carrier": "Blue Dart", "service": "Surface"},
    )
    assert when(shipment, heard) == [
        news(heard, estimates=(window,), assertions=(stuck,), details={"carrier": "Blue Dart"})
    ]


def test_a_detail_said_empty_is_not_said() -> None:
    nothing_happened(when(having(), report(at="2 09:00", details={"carrier": ""})))


def test_two_windows_of_one_source_in_every_message_are_kept_once() -> None:
    both = (estimate("carrier", "5"), estimate("carrier", "6"))
    nothing_happened(when(having(report(at="2 09:00", estimates=both)), report(at="2 12:00", estimates=both)))


def test_the_hosts_detail_outranks_every_providers() -> None:
    by_host = DetailsStated(recorded_at=NOW, details={"carrier": "Blue Dart"})
    for detail, said in (("Delhivery", "2 09:00"), ("Shadowfax", "30 09:00")):
        heard = report(at=said, details={"carrier": detail, "service": "Surface"})
        for events in ([by_host, *when(having(), heard)], [*when(having(), heard), by_host]):
            placed = [LedgerEvent("s1", version, event) for version, event in enumerate((OPENED, *events), start=1)]
            assert fold("s1", placed).detail("carrier") == "Blue Dart"
            assert fold("s1", placed).detail("service") == "Surface"


# --- registering


def test_registering_opens_a_shipment_with_its_trackers_and_details() -> None:
    registration = Registration("order-7", "default", (TRACKER,), {"carrier": "Delhivery", "service": ""})
    assert Shipment("default:host:order-7").register(registration, NOW) == [
        Opened(recorded_at=NOW, account="default", reference="order-7", trackers=(TRACKER,)),
        DetailsStated(recorded_at=NOW, details={"carrier": "Delhivery"}),
    ]


def test_registering_the_same_again_is_nothing() -> None:
    registration = Registration(
        "order-7", "default", (TRACKER,), {"carrier": "Delhivery"}, estimate("promise", "9"), "default:host:parent"
    )
    shipment = Shipment("default:host:order-7")
    for event in shipment.register(registration, NOW):
        shipment.apply(event)
    nothing_happened(shipment.register(registration, NOW + timedelta(days=1)))


def test_registering_adds_what_is_new() -> None:
    promise = estimate("promise", "9")
    registration = Registration("order-7", "default", (TRACKER, OTHER_TRACKER), {}, promise, "default:host:parent")
    assert having().register(registration, NOW) == [
        TrackerLinked(recorded_at=NOW, tracker=OTHER_TRACKER),
        TrackerLinked(recorded_at=NOW, tracker=Tracker("host", "order-7")),
        DetailsStated(recorded_at=NOW, promised=promise),
        PieceLinked(recorded_at=NOW, parent="default:host:parent"),
    ]


def test_a_changed_promise_is_news() -> None:
    shipment = having(DetailsStated(recorded_at=NOW, promised=estimate("promise", "9")))
    changed = Registration("", "default", (TRACKER,), promised=estimate("promise", "11"))
    later = NOW + timedelta(hours=1)
    assert shipment.register(changed, later) == [DetailsStated(recorded_at=later, promised=changed.promised)]
