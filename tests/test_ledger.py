"""Given reports, registrations and notes: which events does the ledger hold, and what do its receipts say?"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from support.reports import OTHER_TRACKER, TRACKER, claim, estimate, report
from support.scans import instant, scan
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.database import Transaction
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.batch import Loaded, Receipt
from trackledger.domain.checkpoints import HOST, Registration, Tracker
from trackledger.domain.errors import Contended, InvalidStatement, ShipmentNotFound, UsageError
from trackledger.domain.events import (
    CheckpointsWithdrawn,
    DetailsStated,
    NoteAdded,
    Opened,
    PieceLinked,
    ReportRecorded,
    TrackerLinked,
)
from trackledger.domain.ledger import MAX_BATCH, Ledger
from trackledger.domain.statements import fold
from trackledger.projections import shipments

ID = "default:clickpost:4:AWB1"
OTHER_ID = "default:clickpost:9:AWB1"

OUT = scan("out_for_delivery", "3 10:29", id="clickpost:1")
FAILED = scan("delivery_failed", "3 17:12", id="clickpost:2", reason="refused")
DELIVERED = scan("delivered", "4 11:00", id="clickpost:3")


def stored(runtime: Runtime) -> int:
    """The number of events in the ledger, by counting them."""
    return int(runtime.database.tuples("SELECT COUNT(*) FROM {s}stored_events")[0][0])


def links(runtime: Runtime) -> dict[str, str]:
    """Which tracker feeds which shipment."""
    return dict(runtime.database.tuples("SELECT tracker, shipment_id FROM {s}tracker_links"))


def types(ledger: Ledger, shipment_id: str = ID) -> list[type]:
    return [type(placed.event) for placed in ledger.history(shipment_id)]


def news(ledger: Ledger, shipment_id: str = ID) -> ReportRecorded:
    """The newest report of a shipment."""
    return [p.event for p in ledger.history(shipment_id) if isinstance(p.event, ReportRecorded)][-1]


# Reports


def test_a_report_of_an_unannounced_tracker_opens_its_shipment(runtime: Runtime) -> None:
    before = datetime.now(UTC)
    said = report(OUT, FAILED, at="3 18:00", message="m1", estimates=(estimate("carrier", "5"),))

    receipts = runtime.ledger.intake([said])

    assert receipts == [Receipt(ID, recorded=2, events=2, position=2)]
    opened, recorded = runtime.ledger.history(ID)
    assert isinstance(opened.event, Opened) and isinstance(recorded.event, ReportRecorded)
    assert (opened.event.account, opened.event.reference, opened.event.trackers) == ("default", "", (TRACKER,))
    assert recorded.event.recorded == (OUT, FAILED)
    assert recorded.event.estimates == (estimate("carrier", "5"),)
    assert (recorded.event.message_id, recorded.event.channel) == ("m1", "poll")
    assert (recorded.event.tracker, recorded.event.provider) == (ID, "clickpost")
    assert recorded.event.received_at == instant("3 18:00")
    assert before <= recorded.event.recorded_at <= datetime.now(UTC)
    assert [opened.originator_version, recorded.originator_version] == [1, 2]
    assert links(runtime) == {ID: ID}


def test_a_report_without_any_statement_opens_the_shipment_and_records_nothing(runtime: Runtime) -> None:
    assert runtime.ledger.intake([report(at="3 18:00")]) == [Receipt(ID, events=1, position=1)]
    assert types(runtime.ledger) == [Opened]


def test_the_same_report_again_stores_nothing(runtime: Runtime) -> None:
    said = report(OUT, FAILED, at="3 18:00", assertions=(claim("status", "OFD"),), details={"carrier": "Delhivery"})
    runtime.ledger.intake([said])

    again = runtime.ledger.intake([said, replace(said, channel="webhook", message_id="m2", received_at=instant("5"))])

    assert again == [Receipt(ID, repeated=2), Receipt(ID, repeated=2)]
    assert stored(runtime) == 2


def test_an_empty_batch_stores_nothing(runtime: Runtime) -> None:
    assert runtime.ledger.intake([]) == []
    assert runtime.ledger.register([]) == []
    assert stored(runtime) == 0


def test_only_what_is_new_of_a_later_report_is_recorded(runtime: Runtime) -> None:
    runtime.ledger.intake([report(OUT, at="3 12:00")])

    receipts = runtime.ledger.intake([report(OUT, FAILED, at="3 18:00")])

    assert receipts == [Receipt(ID, recorded=1, repeated=1, events=1, position=3)]
    assert news(runtime.ledger).recorded == (FAILED,)


def test_reports_of_one_shipment_in_one_batch_build_on_one_another(runtime: Runtime) -> None:
    reports = [report(OUT, at="3 12:00"), report(OUT, FAILED, at="3 18:00"), report(OUT, FAILED, at="3 19:00")]

    receipts = runtime.ledger.intake(reports)

    assert receipts == [
        Receipt(ID, recorded=1, events=2, position=3),
        Receipt(ID, recorded=1, repeated=1, events=1, position=3),
        Receipt(ID, repeated=2, position=3),
    ]
    assert [placed.originator_version for placed in runtime.ledger.history(ID)] == [1, 2, 3]


def test_every_receipt_of_a_batch_has_the_position_after_the_batch(runtime: Runtime) -> None:
    reports = [report(OUT, at="3 12:00", tracker=Tracker("clickpost", f"4:{n}")) for n in range(50)]

    assert {receipt.position for receipt in runtime.ledger.intake(reports)} == {100}
    assert runtime.ledger.recorder.max_notification_id() == 100
    assert [receipt.shipment_id for receipt in runtime.ledger.intake(reports)] == [said.key for said in reports]


def test_a_changed_statement_is_an_amendment_that_names_what_it_replaces(runtime: Runtime) -> None:
    runtime.ledger.intake([report(FAILED, at="3 18:00")])
    changed = scan("delivery_failed", "3 17:12", id="clickpost:2", remark="door locked")

    receipts = runtime.ledger.intake([report(OUT, changed, at="3 19:00")])

    assert receipts == [Receipt(ID, recorded=1, amended=1, events=1, position=3)]
    amendment = news(runtime.ledger).amended[0]
    assert (amendment.checkpoint, amendment.replaces) == (changed, FAILED.digest)


def test_an_amendment_that_a_newer_message_had_superseded_is_kept_and_does_not_stand(runtime: Runtime) -> None:
    first, second = (scan("in_transit", "3 10:00", id="clickpost:7", remark=remark) for remark in ("first", "second"))
    runtime.ledger.intake([report(second, at="3 19:00")])

    receipts = runtime.ledger.intake([report(first, at="3 18:00")])

    assert receipts == [Receipt(ID, amended=1, events=1, position=3)]
    told = fold(ID, runtime.ledger.history(ID)).told()
    assert [(t.checkpoint.remark, t.amended) for t in told] == [("second", 1)]


def test_a_statement_learns_its_id_when_a_later_message_has_one(runtime: Runtime) -> None:
    runtime.ledger.intake([report(scan("in_transit", "3 10:00"), at="3 12:00", channel="webhook")])

    receipts = runtime.ledger.intake([report(scan("in_transit", "3 10:00", id="clickpost:7"), at="3 13:00")])

    assert receipts == [Receipt(ID, repeated=1, events=1, position=3)]
    assert [t.checkpoint.key for t in fold(ID, runtime.ledger.history(ID)).told()] == ["clickpost:7"]
    assert runtime.ledger.intake([report(scan("in_transit", "3 10:00"), at="3 14:00")]) == [Receipt(ID, repeated=1)]


# Whole histories


@pytest.fixture
def withdrawing(runtime: Runtime) -> Ledger:
    """A ledger in which ClickPost's whole histories withdraw what they no longer hold."""
    return Ledger(Recorder(runtime.database), withdraws={"clickpost"})


def test_a_whole_history_withdraws_what_it_no_longer_holds(withdrawing: Ledger) -> None:
    withdrawing.intake([report(OUT, FAILED, at="3 18:00", whole=True)])

    receipts = withdrawing.intake([report(OUT, at="3 19:00", whole=True)])

    assert receipts == [Receipt(ID, repeated=1, withdrawn=1, events=1, position=3)]
    withdrawn = withdrawing.history(ID)[-1].event
    assert isinstance(withdrawn, CheckpointsWithdrawn)
    assert (withdrawn.keys, withdrawn.said_at) == (("clickpost:2",), instant("3 19:00"))
    assert withdrawing.intake([report(OUT, at="3 20:00", whole=True)]) == [Receipt(ID, repeated=1)]


def test_what_was_withdrawn_and_is_stated_again_counts_again(withdrawing: Ledger) -> None:
    withdrawing.intake([report(OUT, FAILED, at="3 18:00", whole=True), report(OUT, at="3 19:00", whole=True)])

    receipts = withdrawing.intake([report(OUT, FAILED, at="3 20:00", whole=True)])

    assert receipts == [Receipt(ID, repeated=2, events=1, position=4)]
    assert news(withdrawing).reinstated == ("clickpost:2",)
    assert [told.withdrawn for told in fold(ID, withdrawing.history(ID)).told()] == [False, False]


def test_a_part_of_a_history_withdraws_nothing(withdrawing: Ledger) -> None:
    withdrawing.intake([report(OUT, FAILED, at="3 18:00", whole=True)])
    assert withdrawing.intake([report(OUT, at="3 19:00", channel="webhook")]) == [Receipt(ID, repeated=1)]


def test_whole_histories_of_other_providers_withdraw_nothing(withdrawing: Ledger, runtime: Runtime) -> None:
    elsewhere = Tracker("ship24", "t1")
    withdrawing.intake([report(OUT, FAILED, at="3 18:00", whole=True, tracker=elsewhere)])
    again = withdrawing.intake([report(OUT, at="3 19:00", whole=True, tracker=elsewhere)])
    assert again == [Receipt("default:ship24:t1", repeated=1)]

    runtime.ledger.intake([report(OUT, FAILED, at="3 18:00", whole=True)])
    assert runtime.ledger.intake([report(OUT, at="3 19:00", whole=True)]) == [Receipt(ID, repeated=1)]


def test_one_tracker_does_not_withdraw_what_another_stated(withdrawing: Ledger) -> None:
    withdrawing.register([Registration("R1", trackers=(TRACKER, OTHER_TRACKER))])
    withdrawing.intake([report(OUT, at="3 18:00", whole=True)])
    receipts = withdrawing.intake([report(FAILED, at="3 19:00", whole=True, tracker=OTHER_TRACKER)])
    assert [(receipt.recorded, receipt.withdrawn) for receipt in receipts] == [(1, 0)]


# Further trackers and pieces

FURTHER = Tracker("aftership", "tl-1", "ups", "1Z1")
ORDER = Tracker("rye", "O-1")
PARCEL = Tracker("rye", "O-1:ups:1Z1", "UPS", "1Z1")
PARCEL_ID = "default:rye:O-1:ups:1Z1"


def test_a_further_tracker_feeds_the_same_shipment_once(runtime: Runtime) -> None:
    said = replace(report(OUT, at="3 12:00", tracker=PARCEL), also_trackers=(FURTHER,))

    first = runtime.ledger.intake([said, said])
    again = runtime.ledger.intake([said])
    followed = runtime.ledger.intake([report(DELIVERED, at="4 12:00", tracker=FURTHER)])

    assert [r.events for r in (*first, *again)] == [3, 0, 0]
    assert types(runtime.ledger, PARCEL_ID) == [Opened, TrackerLinked, ReportRecorded, ReportRecorded]
    assert followed[0].shipment_id == PARCEL_ID
    assert runtime.ledger.find("tl-1") == runtime.ledger.find("O-1:ups:1Z1") == [PARCEL_ID]


def test_a_further_tracker_is_linked_also_when_the_report_repeats_what_is_known(runtime: Runtime) -> None:
    said = report(OUT, at="3 12:00", tracker=PARCEL)
    runtime.ledger.intake([said])

    receipts = runtime.ledger.intake([replace(said, also_trackers=(FURTHER,))])

    assert (receipts[0].repeated, receipts[0].events) == (1, 1)
    assert types(runtime.ledger, PARCEL_ID) == [Opened, ReportRecorded, TrackerLinked]


def test_a_further_tracker_that_feeds_another_shipment_stays_there(runtime: Runtime) -> None:
    runtime.ledger.intake([report(OUT, at="3 12:00", tracker=FURTHER)])

    receipts = runtime.ledger.intake([replace(report(OUT, at="3 13:00", tracker=PARCEL), also_trackers=(FURTHER,))])

    assert (receipts[0].recorded, receipts[0].error) == (1, "")
    assert types(runtime.ledger, PARCEL_ID) == [Opened, ReportRecorded]
    assert links(runtime)["default:aftership:tl-1"] == "default:aftership:tl-1"


def test_a_piece_is_tied_to_the_shipment_of_its_parents_tracker_once(runtime: Runtime) -> None:
    order_id = runtime.ledger.register([Registration("ORDER-17", trackers=(ORDER,))])[0].shipment_id
    piece = replace(report(OUT, at="3 12:00", tracker=PARCEL), piece_of="O-1")

    runtime.ledger.intake([piece])
    runtime.ledger.intake([piece])

    assert types(runtime.ledger, PARCEL_ID) == [Opened, PieceLinked, ReportRecorded]
    statements = fold(PARCEL_ID, runtime.ledger.history(PARCEL_ID))
    assert statements.parent == order_id == "default:host:ORDER-17"


def test_an_earlier_report_of_the_batch_opens_the_parent(runtime: Runtime) -> None:
    order, piece = (
        report(at="3 12:00", tracker=ORDER),
        replace(report(OUT, at="3 12:00", tracker=PARCEL), piece_of="O-1"),
    )

    receipts = runtime.ledger.intake([order, piece])

    assert [r.error for r in receipts] == ["", ""]
    assert fold(PARCEL_ID, runtime.ledger.history(PARCEL_ID)).parent == "default:rye:O-1"


def test_a_piece_without_its_parent_is_refused_and_harms_no_other(runtime: Runtime) -> None:
    lost = replace(report(OUT, at="3 12:00", tracker=PARCEL), piece_of="O-1")

    receipts = runtime.ledger.intake([lost, report(OUT, at="3 12:00")])

    assert receipts[0].error == "no shipment is fed by default:rye:O-1 to be a piece of; report it first"
    assert (receipts[1].recorded, stored(runtime)) == (1, 2)


def test_the_hosts_word_on_the_parent_outranks_the_providers(runtime: Runtime) -> None:
    mine = runtime.ledger.register([Registration("ORDER-17")])[0].shipment_id
    runtime.ledger.register([Registration(trackers=(PARCEL,), piece_of=mine)])

    piece = replace(report(OUT, at="3 12:00", tracker=PARCEL), piece_of="O-1")
    runtime.ledger.intake([report(at="3 12:00", tracker=ORDER), piece])

    assert fold(PARCEL_ID, runtime.ledger.history(PARCEL_ID)).parent == mine


# Registrations


def test_a_registration_opens_a_shipment_under_the_hosts_reference(runtime: Runtime) -> None:
    details, promised = {"service": "Express", "origin": ""}, estimate("promise", "9")
    wish = Registration("R1", trackers=(TRACKER, OTHER_TRACKER), details=details, promised=promised)

    receipts = runtime.ledger.register([wish])

    assert receipts == [Receipt("default:host:R1", events=2, position=2)]
    opened, stated = (placed.event for placed in runtime.ledger.history("default:host:R1"))
    assert isinstance(opened, Opened) and isinstance(stated, DetailsStated)
    assert (opened.reference, opened.trackers) == ("R1", (TRACKER, OTHER_TRACKER))
    assert (stated.details, stated.promised) == ({"service": "Express"}, promised)
    assert set(links(runtime)) == {"default:host:R1", ID, OTHER_ID}


def test_the_same_registration_again_stores_nothing(runtime: Runtime) -> None:
    wish = Registration("R1", trackers=(TRACKER,), details={"service": "Express"}, promised=estimate("promise", "9"))
    runtime.ledger.register([wish])
    assert runtime.ledger.register([wish, wish]) == [Receipt("default:host:R1")] * 2
    assert stored(runtime) == 2


def test_reports_of_every_tracker_feed_the_registered_shipment(runtime: Runtime) -> None:
    runtime.ledger.register([Registration("R1", trackers=(TRACKER, OTHER_TRACKER))])

    receipts = runtime.ledger.intake([report(OUT, at="3 12:00"), report(FAILED, at="3 18:00", tracker=OTHER_TRACKER)])

    assert [receipt.shipment_id for receipt in receipts] == ["default:host:R1"] * 2
    assert types(runtime.ledger, "default:host:R1") == [Opened, ReportRecorded, ReportRecorded]
    told = fold("default:host:R1", runtime.ledger.history("default:host:R1")).told()
    assert [t.checkpoint.key for t in told] == ["clickpost:1", "clickpost:2"]


def test_a_registration_after_an_unannounced_report_adopts_its_shipment(runtime: Runtime) -> None:
    runtime.ledger.intake([report(OUT, at="3 12:00")])

    receipts = runtime.ledger.register([Registration("R1", trackers=(TRACKER, OTHER_TRACKER))])

    assert receipts == [Receipt(ID, events=2, position=4)]
    linked = [placed.event for placed in runtime.ledger.history(ID)[2:]]
    assert [event.tracker for event in linked if isinstance(event, TrackerLinked)] == [
        OTHER_TRACKER,
        Tracker(HOST, "R1"),
    ]
    assert fold(ID, runtime.ledger.history(ID)).reference == "R1"
    assert runtime.ledger.find("R1") == [ID]
    assert runtime.ledger.intake([report(FAILED, at="3 18:00", tracker=OTHER_TRACKER)])[0].shipment_id == ID


def test_registrations_of_one_batch_build_on_one_another(runtime: Runtime) -> None:
    receipts = runtime.ledger.register(
        [Registration("R1", trackers=(TRACKER,)), Registration("", trackers=(TRACKER, OTHER_TRACKER))]
    )
    assert [(r.shipment_id, r.events) for r in receipts] == [("default:host:R1", 1), ("default:host:R1", 1)]


def test_a_tracker_of_another_shipment_is_refused_and_the_others_are_stored(runtime: Runtime) -> None:
    runtime.ledger.register([Registration("R1", trackers=(TRACKER,)), Registration("R2")])

    receipts = runtime.ledger.register([Registration("R2", trackers=(TRACKER,)), Registration("R3")])

    assert [bool(receipt.error) for receipt in receipts] == [True, False]
    assert f"{ID} feeds default:host:R1" in receipts[0].error
    assert (receipts[0].shipment_id, receipts[0].events) == ("default:host:R2", 0)
    assert links(runtime)[ID] == "default:host:R1"
    assert types(runtime.ledger, "default:host:R2") == [Opened]
    assert types(runtime.ledger, "default:host:R3") == [Opened]


def test_a_tracker_taken_earlier_in_the_same_batch_is_refused(runtime: Runtime) -> None:
    runtime.ledger.register([Registration("R1"), Registration("R2")])
    receipts = runtime.ledger.register(
        [Registration("R1", trackers=(TRACKER,)), Registration("R2", trackers=(TRACKER,))]
    )
    assert [bool(receipt.error) for receipt in receipts] == [False, True]
    assert links(runtime)[ID] == "default:host:R1"


def test_a_shipment_can_be_a_piece_of_another_but_not_of_itself(runtime: Runtime) -> None:
    parent, piece, circle = runtime.ledger.register(
        [
            Registration("P"),
            Registration("P-1", piece_of="default:host:P"),
            Registration("P-2", piece_of="default:host:P-2"),
        ]
    )
    assert (parent.error, piece.error) == ("", "")
    assert "cannot be a piece of itself" in circle.error
    assert types(runtime.ledger, "default:host:P-1") == [Opened, PieceLinked]
    assert fold("", runtime.ledger.history("default:host:P-1")).parent == "default:host:P"
    assert runtime.ledger.find("P-2") == []
    assert runtime.ledger.register([Registration("P-1", piece_of="default:host:P")])[0].events == 0


def test_a_shipment_is_no_piece_of_another_account_s(runtime: Runtime) -> None:
    runtime.ledger.register([Registration("P")])

    there, missing = runtime.ledger.register(
        [
            Registration(f"P-{n}", account="other", piece_of=of)
            for n, of in enumerate(("default:host:P", "default:host:Q"))
        ]
    )

    assert there.events == missing.events == 0 and there.error
    assert there.error.replace("host:P", "host:Q") == missing.error


def test_a_registration_of_nothing_is_refused(runtime: Runtime) -> None:
    with pytest.raises(UsageError, match="needs a reference or a tracker"):
        runtime.ledger.register([Registration("R1"), Registration()])
    assert stored(runtime) == 0


# Notes and questions


def test_a_note_is_added_to_a_shipment_that_exists(runtime: Runtime) -> None:
    runtime.ledger.intake([report(OUT, at="3 12:00")])

    receipt = runtime.ledger.note(ID, "consignee called", "asha")

    assert receipt == Receipt(ID, events=1, position=3)
    note = runtime.ledger.history(ID)[-1].event
    assert isinstance(note, NoteAdded) and (note.text, note.actor) == ("consignee called", "asha")


def test_a_note_to_a_shipment_that_was_registered_by_reference_is_added(runtime: Runtime) -> None:
    runtime.ledger.register([Registration("R1", trackers=(TRACKER,))])
    assert runtime.ledger.note("default:host:R1", "fragile", "asha").events == 1


def test_a_note_to_a_missing_shipment_is_refused_in_its_receipt(runtime: Runtime) -> None:
    receipt = runtime.ledger.note("default:host:nowhere", "hello", "asha")
    assert "no shipment 'default:host:nowhere'" in receipt.error
    assert stored(runtime) == 0


def test_the_history_of_a_missing_shipment_is_an_error(runtime: Runtime) -> None:
    with pytest.raises(ShipmentNotFound, match="'nowhere'"):
        runtime.ledger.history("nowhere")


def test_a_shipment_is_found_by_id_reference_and_tracking_number(runtime: Runtime) -> None:
    runtime.ledger.register([Registration("R1", trackers=(TRACKER,))])
    for text in ("default:host:R1", "R1", "4:AWB1", "AWB1"):
        assert runtime.ledger.find(text) == ["default:host:R1"], text
    assert runtime.ledger.find("R2") == []


def test_one_tracking_number_may_name_several_shipments(runtime: Runtime) -> None:
    runtime.ledger.intake([report(OUT, at="3 12:00"), report(OUT, at="3 12:00", tracker=OTHER_TRACKER)])
    assert runtime.ledger.find("AWB1") == [ID, OTHER_ID]
    assert runtime.ledger.find("4:AWB1") == [ID]


def test_accounts_are_apart(runtime: Runtime) -> None:
    said = report(OUT, at="3 12:00")
    receipts = runtime.ledger.intake([said, replace(said, account="acme")])

    assert [receipt.shipment_id for receipt in receipts] == [ID, "acme:clickpost:4:AWB1"]
    assert [receipt.recorded for receipt in receipts] == [1, 1]
    assert runtime.ledger.find("AWB1", "acme") == ["acme:clickpost:4:AWB1"]
    assert runtime.ledger.find("AWB1", "default") == [ID]
    assert runtime.ledger.find("AWB1") == ["acme:clickpost:4:AWB1", ID]
    assert runtime.ledger.find("AWB1", "nobody") == []


def test_registrations_under_one_reference_in_two_accounts_are_two_shipments(runtime: Runtime) -> None:
    receipts = runtime.ledger.register([Registration("R1"), Registration("R1", "acme", (TRACKER,))])
    assert [receipt.shipment_id for receipt in receipts] == ["default:host:R1", "acme:host:R1"]
    assert runtime.ledger.intake([report(OUT, at="3 12:00")])[0].shipment_id == ID


# Refusals


def test_a_batch_of_ten_thousand_is_taken_and_a_larger_one_refused(runtime: Runtime) -> None:
    batch = [report(OUT, at="3 12:00")] * MAX_BATCH
    with pytest.raises(UsageError, match="10,001"):
        runtime.ledger.intake([*batch, batch[0]])
    assert stored(runtime) == 0

    receipts = runtime.ledger.intake(batch)
    assert (receipts[0].recorded, sum(receipt.repeated for receipt in receipts)) == (1, MAX_BATCH - 1)


GOOD = report(OUT, at="3 12:00")
NAIVE = datetime(2025, 3, 3, 12)  # noqa: DTZ001 (that is the point)

INVALID = {
    "account with a colon": replace(GOOD, account="a:b"),
    "account empty": replace(GOOD, account=""),
    "account of 65 characters": replace(GOOD, account="a" * 65),
    "account with a line break": replace(GOOD, account="a\n"),
    "provider with a blank": replace(GOOD, tracker=Tracker("click post", "4:AWB1")),
    "reference empty": replace(GOOD, tracker=Tracker("clickpost", "")),
    "reference of 257 characters": replace(GOOD, tracker=Tracker("clickpost", "4:" + "A" * 255)),
    "reference with a NUL": replace(GOOD, tracker=Tracker("clickpost", "4:AWB\0")),
    "reference with half a character": replace(GOOD, tracker=Tracker("clickpost", "4:AWB\ud800")),
    "stated at a naive time": replace(GOOD, stated_at=NAIVE),
    "received at a naive time": replace(GOOD, received_at=NAIVE),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_ill_formed_report_is_refused_and_nothing_of_its_batch_stored(case: str, runtime: Runtime) -> None:
    with pytest.raises(InvalidStatement):
        runtime.ledger.intake([GOOD, INVALID[case]])
    assert (stored(runtime), links(runtime)) == (0, {})


def test_an_ill_formed_registration_is_refused_and_nothing_of_its_batch_stored(runtime: Runtime) -> None:
    for wish in (Registration("R\n2"), Registration("R2", "a:b"), Registration(trackers=(Tracker("p", ""),))):
        with pytest.raises(InvalidStatement):
            runtime.ledger.register([Registration("R1"), wish])
    assert (stored(runtime), links(runtime)) == (0, {})


def test_a_clock_without_a_zone_is_refused(runtime: Runtime) -> None:
    ledger = Ledger(Recorder(runtime.database), clock=lambda: NAIVE)
    with pytest.raises(InvalidStatement, match="clock"):
        ledger.intake([GOOD])
    assert stored(runtime) == 0


def test_the_recording_time_is_the_clocks_in_utc(runtime: Runtime) -> None:
    ledger = Ledger(Recorder(runtime.database), clock=lambda: datetime.fromisoformat("2025-03-03T17:30:00+05:30"))
    ledger.intake([GOOD])
    assert {str(placed.event.recorded_at) for placed in ledger.history(ID)} == {"2025-03-03 12:00:00+00:00"}


HOST_ENVIRONMENT = {
    "PERSISTENCE_MODULE": "a_module_of_the_host",
    "TRACKLEDGER_PERSISTENCE_MODULE": "a_module_of_the_host",
    "COMPRESSOR_TOPIC": "zlib",
    "TRACKLEDGER_COMPRESSOR_TOPIC": "zlib",
    "CIPHER_TOPIC": "eventsourcing.cipher:AESCipher",
    "CIPHER_KEY": "not a key",
    "MAPPER_TOPIC": "a_module_of_the_host:Mapper",
    "IS_SNAPSHOTTING_ENABLED": "yes",
    "AGGREGATE_CACHE_MAXSIZE": "10",
    "SQLITE_DBNAME": "host.db",
    "POSTGRES_DBNAME": "host",
}


def test_a_hosts_environment_does_not_configure_the_ledger(
    monkeypatch: pytest.MonkeyPatch, open_ledger: Callable[[], Runtime]
) -> None:
    for name, value in HOST_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    runtime = open_ledger()

    assert runtime.ledger.intake([GOOD])[0].recorded == 1

    assert not set(HOST_ENVIRONMENT) & set(runtime.ledger.env)
    state = runtime.database.tuples("SELECT state FROM {s}stored_events ORDER BY notification_id")[0][0]
    assert bytes(state).startswith(b'{"account":"default"')


# What goes wrong


def test_a_shipment_that_cannot_be_read_is_told_in_its_receipt_and_the_rest_is_stored(runtime: Runtime) -> None:
    runtime.ledger.intake([GOOD])
    with runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}stored_events SET state = :state WHERE notification_id = 2", state=b"{broken")

    receipts = runtime.ledger.intake([report(FAILED, at="3 18:00"), report(OUT, at="3 12:00", tracker=OTHER_TRACKER)])

    assert (receipts[0].shipment_id, receipts[0].events) == (ID, 0)
    assert f"{ID} version 2 cannot be read" in receipts[0].error
    assert receipts[1] == Receipt(OTHER_ID, recorded=1, events=2, position=4)
    assert "cannot be read" in runtime.ledger.note(ID, "why?", "asha").error
    assert "cannot be read" in runtime.ledger.register([Registration("R1", trackers=(TRACKER,))])[0].error
    assert links(runtime) == {ID: ID, OTHER_ID: OTHER_ID}


def test_an_event_of_a_later_version_is_told_in_the_receipt(runtime: Runtime) -> None:
    runtime.ledger.intake([GOOD])
    with runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}stored_events SET topic = 'shipment.Opened.v9' WHERE notification_id = 1")
    assert "upgrade trackledger" in runtime.ledger.intake([report(FAILED, at="3 18:00")])[0].error


def test_what_else_is_written_is_in_the_same_transaction(runtime: Runtime) -> None:
    seen: list[Receipt] = []

    def also(transaction: Transaction, receipts: Sequence[Receipt]) -> None:
        seen[:] = receipts
        transaction.execute("INSERT INTO {s}positions (name, position) VALUES ('also', 7)")

    receipts = runtime.ledger.intake([GOOD], also=also)

    assert seen == [Receipt(ID, recorded=1, events=2, position=0)]
    assert receipts == [replace(seen[0], position=2)]
    assert runtime.store.position("also") == 7


def test_what_else_is_written_is_written_when_nothing_is_new_too(runtime: Runtime) -> None:
    runtime.ledger.intake([GOOD])
    seen: list[Receipt] = []
    runtime.ledger.intake([GOOD], also=lambda transaction, receipts: seen.extend(receipts))
    assert seen == [Receipt(ID, repeated=1)]


def test_nothing_is_stored_when_what_else_is_written_fails(runtime: Runtime) -> None:
    def fail(transaction: Transaction, receipts: Sequence[Receipt]) -> None:
        transaction.execute("INSERT INTO {s}positions (name, position) VALUES ('also', 7)")
        raise LookupError("disk on fire")

    with pytest.raises(LookupError, match="disk on fire"):
        runtime.ledger.intake([GOOD], also=fail)

    assert (stored(runtime), links(runtime), runtime.store.position("also")) == (0, {}, 0)
    assert runtime.ledger.intake([GOOD]) == [Receipt(ID, recorded=1, events=2, position=2)]


class Overtaken(Recorder):
    """A recorder behind whose back `other` takes in one more report after each of the first `times` loads."""

    def __init__(self, runtime: Runtime, other: Ledger, times: int) -> None:
        super().__init__(runtime.database)
        self._other = other
        self._left = times

    def load(self, keys: Sequence[str]) -> dict[str, Loaded]:
        loaded = super().load(keys)
        if self._left:
            self._left -= 1
            self._other.intake([report(scan("in_transit", "3 10:00", mark=f"{self._left}"), OUT, at="3 11:00")])
        return loaded


@pytest.mark.parametrize("opened", [True, False])
def test_a_lost_race_is_decided_again(runtime: Runtime, opened: bool) -> None:
    if opened:
        runtime.ledger.intake([report(at="3 09:00")])
    ledger = Ledger(Overtaken(runtime, runtime.ledger, 3))

    receipts = ledger.intake([report(OUT, FAILED, at="3 18:00")])

    assert receipts == [Receipt(ID, recorded=1, repeated=1, events=1, position=5)]
    assert [placed.originator_version for placed in ledger.history(ID)] == [1, 2, 3, 4, 5]


def test_a_writer_that_always_loses_gives_up_with_nothing_stored(runtime: Runtime) -> None:
    ledger = Ledger(Overtaken(runtime, runtime.ledger, 1000))
    calls: list[Any] = []
    with pytest.raises(Contended, match="20 times"):
        ledger.intake([report(FAILED, at="3 18:00")], also=lambda *_: calls.append(1))
    assert len(calls) == 20
    assert not [t for t in fold(ID, ledger.history(ID)).told() if t.checkpoint == FAILED]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["NUL", "surrogate"])
def test_text_that_no_database_can_show_again_is_told_in_its_receipt_only(runtime: Runtime, text: str) -> None:
    odd, good = Registration("odd", details={"order_id": text}), Registration("good", details={"order_id": "a\\u0000b"})
    first, second = runtime.ledger.register([odd, good])
    assert first.error and not second.error
    assert runtime.ledger.find("odd") == []
    runtime.projector.catch_up()
    assert [row["order_id"] for row in shipments.listed(runtime.store)] == ["a\\u0000b"]


def test_a_text_that_is_too_long_to_be_looked_up_by_is_refused(runtime: Runtime) -> None:
    long = "x" * 257
    receipts = runtime.ledger.register(
        [
            Registration("one", details={"order_id": long}),
            Registration("two", trackers=(Tracker("clickpost", "4:1", "Delhivery", long),)),
            Registration("three"),
        ]
    )
    assert [bool(receipt.error) for receipt in receipts] == [True, True, False]
    assert "at most 256" in receipts[0].error
    assert runtime.ledger.find("two") == []
