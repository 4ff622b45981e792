"""Does the Shiplemon provider say what the messages say, and refuse what it cannot read?"""

import copy
import json
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unicodedata import normalize as unicode_form

import msgspec
import pytest

from support.messages import EXPECTED, FIXTURES, kept
from support.rows import ARRIVAL, rows
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import normalize, provider
from trackledger.adapters.providers.base import Provider
from trackledger.adapters.providers.shiplemon_codes import EXACT, MILESTONES, STATUSES, TEXTS, fold, meaning
from trackledger.adapters.runtime import Runtime
from trackledger.domain.checkpoints import AssertionKind, Checkpoint, EstimateSource, Report
from trackledger.domain.errors import Ignored, MessageError, Unreadable
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Precision, ZoneSource
from trackledger.domain.policies import status
from trackledger.domain.policies.order import in_order
from trackledger.projections import consignments

RECEIVED = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
SHIPLEMON: Provider = provider("shiplemon")
ID = "68f1c2a49be0d7315c4e9a02"

M, N = Milestone, NdrReason


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / "shiplemon" / f"{name}.json").read_bytes())


def reports(body: Any, **context: str) -> list[Report]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    context = {"shipment_id": ID} | context
    return normalize(message("shiplemon", raw, received_at=RECEIVED, context=context))


def report(name: str) -> Report:
    (only,) = normalize(kept("shiplemon", name))
    return only


def row(status: str | None = "TRANSIT", said: str | None = "ΑΝΑΧΩΡΗΣΗ", **more: Any) -> dict[str, Any]:
    return {"status": status, "status_date": "2026-03-05T10:20:00.000Z", "status_details": said, **more}


def tracking(*history: Any, **more: Any) -> dict[str, Any]:
    return {
        "status": "ok",
        "data": {"driver": "elta", "tracking_status": "TRANSIT", "tracking_history": history, **more},
    }


def told_by(*history: Any, **context: str) -> tuple[Checkpoint, ...]:
    (only,) = reports(tracking(*history), **context)
    return only.checkpoints


def claims(of: Report) -> dict[AssertionKind, tuple[str, str]]:
    return {a.kind: (a.value, a.said) for a in of.assertions}


def refusal(body: Any, kind: type[MessageError] = Unreadable, context: Mapping[str, str] | None = None) -> str:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    context = {"shipment_id": ID} if context is None else context
    with pytest.raises(MessageError) as caught:
        normalize(message("shiplemon", raw, received_at=RECEIVED, context=context))
    assert type(caught.value) is kind
    return str(caught.value)


# What it is


def test_shiplemon_is_called_at_five_and_thirty_five_and_sends_nothing() -> None:
    assert SHIPLEMON.cadence.minutes == (5, 35)
    assert SHIPLEMON.cadence.interval(M.OUT_FOR_DELIVERY) == timedelta(minutes=30)
    assert SHIPLEMON.cadence.interval(M.DELIVERED) == SHIPLEMON.cadence.interval(M.RETURNED) == timedelta(hours=12)
    assert SHIPLEMON.abilities.push == ""
    assert SHIPLEMON.pokes(kept("shiplemon", "poll_delivered")) == ()


# What the messages say


def test_a_tracking_is_told_row_by_row() -> None:
    told = report("poll_delivered")
    assert [(c.milestone, c.status_code, f"{c.occurred.at:%m-%d %H:%M}") for c in told.checkpoints] == [
        (M.DELIVERED, "DELIVERED", "03-04 09:47"),
        (M.OUT_FOR_DELIVERY, "TRANSIT:WITH_COURIER", "03-04 06:20"),
        (M.ARRIVED, "TRANSIT", "03-04 03:12"),
        (M.IN_TRANSIT, "TRANSIT", "03-03 18:40"),
        (M.INFO_RECEIVED, "PRE_TRANSIT", "03-02 08:15"),
    ]
    newest = told.checkpoints[0]
    assert (newest.id, newest.status_said, newest.location, newest.order) == ("", "ΠΑΡΑΔΟΘΗΚΕ ΣΤΗΝ ΠΟΡΤΑ", "", 0)
    assert claims(told) == {AssertionKind.STATUS: ("DELIVERED", "")}
    assert told.whole_history
    assert told.stated_at is None


def test_a_tracking_names_tracker_and_details() -> None:
    told = report("poll_delivered")
    tracker = told.tracker
    assert (tracker.reference, tracker.carrier, tracker.tracking_number) == (ID, "ELTA Courier", "ZZ700418826GR")
    assert told.details == {
        "carrier": "ELTA Courier",
        "tracking_number": "ZZ700418826GR",
        "service": "Πόρτα-Πόρτα",
        "origin": "GR",
        "destination": "GR",
    }


def test_a_shipment_names_its_order_and_when_it_was_made() -> None:
    told = report("shipment_empty_history")
    assert told.details == {
        "order_id": "LS-1081",
        "carrier": "UPS",
        "tracking_number": "1Z00TEST0000000025",
        "service": "Standard",
        "registered_at": "2026-07-04T10:02:17.300000Z",
    }


def test_the_carrier_is_the_driver_where_it_has_no_better_name() -> None:
    assert report("poll_words_of_others").tracker.carrier == "usps"


def test_a_service_level_counts_days() -> None:
    for name, days in (("poll_delivered", 2), ("shipment_empty_history", 4)):
        (sla,) = report(name).estimates
        assert (sla.source, sla.days_from, sla.days_to) == (EstimateSource.SLA, days, days)
        assert (sla.starts, sla.ends, sla.offset) == (None, None, 0)
    assert report("poll_words_of_others").estimates == ()


@pytest.mark.parametrize(
    ("status", "exact", "text", "milestone"),
    [
        ("PRE_TRANSIT", None, "ΔΗΜΙΟΥΡΓΙΑ ΣΥ.ΔΕ.ΤΑ.", M.INFO_RECEIVED),
        ("TRANSIT", None, None, M.IN_TRANSIT),
        ("TRANSIT", "", "ΑΝΑΧΩΡΗΣΗ", M.IN_TRANSIT),
        ("TRANSIT", "WITH_COURIER", None, M.OUT_FOR_DELIVERY),
        ("TRANSIT", "WITH_COURIER", "ΕΚΦΟΡΤΩΣΗ", M.OUT_FOR_DELIVERY),
        ("TRANSIT", "AT_HUB", "ΑΝΑΧΩΡΗΣΗ", M.IN_TRANSIT),
        ("TRANSIT", "AT_HUB", "ΕΚΦΟΡΤΩΣΗ", M.ARRIVED),
        ("EXCEPTION", "WITH_COURIER", None, M.EXCEPTION),
        ("DELIVERED", None, "ΠΑΡΑΛΑΒΗ ΑΠΟ ΚΑΤΑΣΤΗΜΑ", M.DELIVERED),
        ("EXCEPTION", None, None, M.EXCEPTION),
        ("RETURNED", None, None, M.RETURNED),
        ("FAILURE", None, None, M.EXCEPTION),
        ("UNKNOWN", None, "ΠΡΟΣ ΠΑΡΑΔΟΣΗ", M.UNKNOWN),
        ("HELD", None, "ΠΡΟΣ ΠΑΡΑΔΟΣΗ", M.UNKNOWN),
        ("delivered", None, None, M.UNKNOWN),
        (None, None, None, M.UNKNOWN),
    ],
)
def test_a_status_means_what_its_table_says(
    status: str | None, exact: str | None, text: str | None, milestone: Milestone
) -> None:
    (one,) = told_by(row(status, text, status_exact=exact))
    assert one.milestone is milestone
    assert (one.status_code, one.status_said) == (":".join(filter(None, (status, exact))), text or "")


def test_every_documented_status_has_a_milestone() -> None:
    assert set(STATUSES) <= set(MILESTONES)
    assert {status for status, _ in EXACT} | set(TEXTS) <= set(STATUSES)


def test_an_unmapped_status_stays_unknown_and_verbatim() -> None:
    told = report("poll_words_of_others")
    assert [(c.milestone, c.status_code, c.status_said) for c in told.checkpoints] == [
        (M.UNKNOWN, "UNKNOWN", "Status pending"),
        (M.EXCEPTION, "FAILURE", "Carrier reports a problem"),
        (M.UNKNOWN, "HELD:DEPOT_HOLD", ""),
        (M.IN_TRANSIT, "TRANSIT:AT_HUB", "Departed"),
    ]


def test_a_return_travels_on_the_return_leg() -> None:
    told = report("poll_coming_back")
    assert [(c.milestone, c.leg, c.ndr_reason) for c in told.checkpoints] == [
        (M.RETURNING, Leg.RETURN, None),
        (M.DELIVERY_FAILED, Leg.FORWARD, N.REFUSED),
        (M.CUSTOMS, Leg.FORWARD, None),
    ]
    (returned,) = told_by(row("RETURNED", None))
    assert (returned.milestone, returned.leg) == (M.RETURNED, Leg.RETURN)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ΑΠΟΥΣΙΑ ΠΑΡΑΛΗΠΤΗ", N.CUSTOMER_UNAVAILABLE),
        ("Ο ΠΑΡΑΛΗΠΤΗΣ ΑΠΩΝ", N.CUSTOMER_UNAVAILABLE),
        ("ΑΡΝΗΣΗ ΠΑΡΑΛΑΒΗΣ", N.REFUSED),
        ("ΛΑΘΟΣ ΔΙΕΥΘΥΝΣΗ", N.BAD_ADDRESS),
        ("ΕΛΛΙΠΗΣ ΔΙΕΥΘΥΝΣΗ", N.BAD_ADDRESS),
        ("ΑΓΝΩΣΤΟΣ ΠΑΡΑΛΗΠΤΗΣ", N.BAD_ADDRESS),
    ],
)
def test_the_reason_of_a_failed_delivery_is_read_out_of_its_text_and_marked_so(text: str, reason: NdrReason) -> None:
    (one,) = told_by(row("EXCEPTION", text))
    assert (one.milestone, one.ndr_reason, one.ndr_inferred) == (M.DELIVERY_FAILED, reason, True)


def test_an_exception_without_a_known_reason_is_no_failed_delivery() -> None:
    (one,) = told_by(row("EXCEPTION", "ΚΑΘΥΣΤΕΡΗΣΗ ΛΟΓΩ ΚΑΚΟΚΑΙΡΙΑΣ"))
    assert (one.milestone, one.ndr_reason, one.ndr_inferred) == (M.EXCEPTION, None, False)


def test_of_a_list_every_shipment_is_told_and_an_empty_one_says_nothing() -> None:
    first, second = normalize(kept("shiplemon", "list_shipments"))
    assert (first.tracker.reference, first.details["order_id"]) == ("68f38824f0c17a93e5d62b0c", "LS-1102")
    assert [c.milestone for c in first.checkpoints] == [M.AVAILABLE_FOR_PICKUP]
    assert (second.tracker.reference, second.checkpoints) == ("68f30b5e4ad2817f60c9e3d4", ())


def test_a_shipment_of_a_list_that_cannot_be_read_holds_back_no_other() -> None:
    body = fixture("list_shipments")
    body["data"][1]["tracking_history"][0]["status_date"] = "yesterday"
    with pytest.raises(Unreadable, match=r"data\.1\.tracking_history\.0\.status_date") as caught:
        reports(body)
    assert [of.tracker.reference for of in caught.value.readable] == ["68f30b5e4ad2817f60c9e3d4"]


def test_a_shipment_that_a_list_tells_twice_is_told_once_or_refused() -> None:
    """Of two whole histories the second would take back what only the first one has."""
    first = tracking(row(), id="a")["data"]
    assert len(reports({"data": [first, first]})) == 1
    with pytest.raises(Unreadable, match=r'^shiplemon: "a" is told of twice, differently$') as refused:
        reports({"data": [first, tracking(row("DELIVERED"), id="a")["data"], tracking(row(), id="b")["data"]]})
    assert [of.tracker.reference for of in refused.value.readable] == ["a", "b"]
    assert refused.value.readable[0].checkpoints[0].status_code == "TRANSIT"


def test_a_list_does_not_take_its_ids_from_the_request() -> None:
    body = fixture("list_shipments")
    del body["data"][2]["id"]
    with pytest.raises(Unreadable, match="does not name its shipment"):
        reports(body)


# Trap: the shipment is named by the request only


def test_a_tracking_without_the_id_of_the_request_says_what_to_add() -> None:
    reason = refusal(fixture("poll_unnamed"), context={})
    assert reason == (
        "shiplemon: the answer does not name its shipment; say which one was asked about, "
        "with the context's shipment_id (--context shipment_id=…)"
    )
    (told,) = reports(fixture("poll_unnamed"))
    assert told.tracker.reference == ID


def test_an_id_in_the_answer_counts_before_that_of_the_request() -> None:
    (told,) = reports(fixture("put_three_answers"), shipment_id="another")
    assert told.tracker.reference == "5e0b77c1-3f02-4c9a-8d15-2a7740cf1b36"


@pytest.mark.parametrize("said", ["../../x", "a b", "a/b", "a:b", "x" * 101, "\u202ea", "ελτα"])
def test_an_id_is_what_can_stand_in_an_address(said: str) -> None:
    assert "letters, digits, hyphens" in refusal(tracking(row()), context={"shipment_id": said})
    assert "data.id is" in refusal(tracking(row(), id=said))


# Trap: rows out of order and three contradictory "current" statuses


def test_rows_out_of_order_with_three_current_statuses_conclude_by_their_times() -> None:
    """The first row and the status say one thing each, and the newest row a third."""
    told = report("put_three_answers")
    assert told.checkpoints[0].milestone is M.DELIVERED
    assert claims(told)[AssertionKind.STATUS] == ("PRE_TRANSIT", "")
    assert [c.milestone for c in in_order(told.checkpoints)] == [M.DELIVERED, M.INFO_RECEIVED, M.ARRIVED, M.EXCEPTION]
    # A scan that the courier takes back is no failed attempt: what was delivered stays so, the exception is on record.
    concluded = status.conclude(told.checkpoints)
    assert (concluded.milestone, concluded.because) == (M.DELIVERED, (told.checkpoints[0].key,))


@pytest.mark.parametrize("name", ["put_three_answers", "poll_delivered", "poll_equal_instants", "poll_small_letters"])
def test_shuffled_rows_are_the_same_statements(name: str) -> None:
    context = EXPECTED["shiplemon"][name].get("context", {})
    body = fixture(name)
    plain = reports(body, **context)[0]
    for seed in range(8):
        random.Random(seed).shuffle(body["data"]["tracking_history"])
        shuffled = reports(body, **context)[0]
        assert {c.key: c for c in shuffled.checkpoints} == {c.key: c for c in plain.checkpoints}
        assert (shuffled.assertions, shuffled.details) == (plain.assertions, plain.details)


def test_when_the_history_was_updated_last_is_not_believed() -> None:
    """It may lie before every row; it neither dates nor orders anything."""
    body = fixture("put_three_answers")
    plain = reports(body)
    assert body["data"]["tracking_history_last_updated_at"] < "2026"
    del body["data"]["tracking_history_last_updated_at"]
    assert msgspec.json.encode(reports(body)[0].checkpoints) == msgspec.json.encode(plain[0].checkpoints)
    assert plain[0].stated_at is None


# Trap: Greek


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKD"])
@pytest.mark.parametrize(
    "text",
    [
        "ΑΓΝΩΣΤΟΣ ΠΑΡΑΛΗΠΤΗΣ",
        "Άγνωστος παραλήπτης",
        "άγνωστοσ παραλήπτησ",
        "ΆΓΝΩΣΤΟΣ   ΠΑΡΑΛΉΠΤΗΣ",
        "αγνωστος-παραληπτης",
    ],
)
def test_greek_is_read_with_or_without_accents_capitals_and_final_sigmas(text: str, form: Any) -> None:
    assert fold(unicode_form(form, text)) == fold("ΑΓΝΩΣΤΟΣ ΠΑΡΑΛΗΠΤΗΣ")
    (one,) = told_by(row("EXCEPTION", unicode_form(form, text)))
    assert (one.milestone, one.ndr_reason) == (M.DELIVERY_FAILED, N.BAD_ADDRESS)


def test_a_diaeresis_with_an_accent_folds_too() -> None:
    assert fold("ΐ") == fold("ϊ") == fold("Ϊ") == fold("ι") == "ι"


def test_what_is_longer_than_any_word_keeps_its_spelling() -> None:
    """To spell thousands of accents in a row another way takes a hundred times as long as to read them."""
    piled = "\N{COMBINING ACUTE ACCENT}" * 2000 + "\N{COMBINING DOT BELOW}" * 1900
    (told,) = told_by(row("EXCEPTION", f"ΑΡΝΗΣΗ {piled}"))
    assert told.status_said == f"ΑΡΝΗΣΗ {piled}"
    assert told.ndr_reason is N.REFUSED


def test_one_text_in_both_unicode_spellings_is_one_statement() -> None:
    text = "Άφιξη στο υποκατάστημα"
    composed, decomposed = unicode_form("NFC", text), unicode_form("NFD", text)
    assert composed != decomposed
    (first,), (second,) = told_by(row(said=composed)), told_by(row(said=f" {decomposed.replace(' ', '  ')}"))
    assert first == second
    assert len(told_by(row(said=composed), row(said=decomposed))) == 1
    assert first.status_said == composed


@pytest.mark.parametrize(
    ("status", "text", "milestone"),
    [
        ("TRANSIT", "ΠΡΟΣ ΠΑΡΑΔΟΣΗ ΣΕ LOCKER", M.OUT_FOR_DELIVERY),
        ("TRANSIT", "LOCKER: ΠΡΟΣ ΠΑΡΑΔΟΣΗ", M.OUT_FOR_DELIVERY),
        ("TRANSIT", "ΤΟΠΟΘΕΤΗΘΗΚΕ ΣΕ LOCKER", M.AVAILABLE_FOR_PICKUP),
        ("TRANSIT", "ΣΕ ΑΝΑΜΟΝΗ ΠΑΡΑΛΑΒΗΣ ΜΕΤΑ ΤΗΝ ΕΚΦΟΡΤΩΣΗ", M.AVAILABLE_FOR_PICKUP),
        ("EXCEPTION", "ΕΠΙΣΤΡΟΦΗ ΛΟΓΩ ΑΡΝΗΣΗΣ", M.RETURNING),
        ("EXCEPTION", "ΑΚΥΡΩΣΗ ΑΠΟ ΔΙΑΝΟΜΕΑ, ΑΠΟΥΣΙΑ", M.EXCEPTION),
    ],
)
def test_of_several_fragments_the_longest_counts(status: str, text: str, milestone: Milestone) -> None:
    assert told_by(row(status, text))[0].milestone is milestone


@pytest.mark.parametrize(
    ("status", "text", "milestone"),
    [
        ("TRANSIT", "ΠΑΡΑΔΟΣΗ ΑΠΟ ΤΟΝ ΔΙΑΝΟΜΕΑ", M.IN_TRANSIT),
        ("TRANSIT", "ΠΑΡΑΛΑΒΗ ΑΠΟ ΤΟΝ ΑΠΟΣΤΟΛΕΑ", M.IN_TRANSIT),
        ("TRANSIT", "ΑΠΟΥΣΙΑ ΠΑΡΑΛΗΠΤΗ", M.IN_TRANSIT),
        ("TRANSIT", "ΔΗΜΙΟΥΡΓΙΑ ΣΥ.ΔΕ.ΤΑ.", M.IN_TRANSIT),
        ("PRE_TRANSIT", "ΠΡΟΣ ΠΑΡΑΔΟΣΗ", M.INFO_RECEIVED),
        ("PRE_TRANSIT", "ΑΡΝΗΣΗ", M.INFO_RECEIVED),
        ("EXCEPTION", "ΠΡΟΣ ΠΑΡΑΔΟΣΗ", M.EXCEPTION),
        ("EXCEPTION", "ΠΑΡΑΔΟΣΗ ΑΠΟ ΤΟΝ ΔΙΑΝΟΜΕΑ", M.EXCEPTION),
        ("EXCEPTION", "LOCKER ΠΛΗΡΕΣ", M.EXCEPTION),
        ("DELIVERED", "ΕΠΙΣΤΡΟΦΗ", M.DELIVERED),
        ("DELIVERED", "ΑΡΝΗΣΗ", M.DELIVERED),
        ("DELIVERED", "ΠΡΟΣ ΠΑΡΑΔΟΣΗ", M.DELIVERED),
        ("FAILURE", "ΑΡΝΗΣΗ", M.EXCEPTION),
    ],
)
def test_a_text_refines_only_what_its_status_leaves_open(status: str, text: str, milestone: Milestone) -> None:
    assert told_by(row(status, text))[0].milestone is milestone


def test_a_fragment_begins_a_word() -> None:
    """Japan is spelled with the letters of "absent" inside."""
    assert meaning("EXCEPTION", "", "ΚΑΘΥΣΤΕΡΗΣΗ ΑΠΟ ΙΑΠΩΝΙΑ") == (M.EXCEPTION, None)
    assert meaning("EXCEPTION", "", "ΑΠΩΝ") == (M.DELIVERY_FAILED, N.CUSTOMER_UNAVAILABLE)
    assert meaning("TRANSIT", "", "ΣΤΟ ΤΕΛΩΝΕΙΟΥ") == (M.CUSTOMS, None)


def test_a_cancellation_by_the_courier_cancels_no_parcel() -> None:
    (one,) = told_by(row("EXCEPTION", "ακύρωση από διανομέα"))
    assert one.milestone is M.EXCEPTION


# Trap: duplicate JSON members


def test_of_duplicate_members_the_last_wins_every_time() -> None:
    raw = (FIXTURES / "shiplemon" / "put_three_answers.json").read_bytes()
    assert raw.count(b'"tracking_url"') == 3 and raw.count(b'"label_url"') == 3
    assert report("put_three_answers") == report("put_three_answers")
    first, last = json.dumps([row(said="ΠΡΩΤΗ")]), json.dumps([row(said="ΤΕΛΕΥΤΑΙΑ")])
    twice = f'"tracking_status":"A","tracking_history":{first},"tracking_status":"B","tracking_history":{last}'
    (told,) = reports(f'{{"data":{{{twice}}}}}'.encode())
    assert [c.status_said for c in told.checkpoints] == ["ΤΕΛΕΥΤΑΙΑ"]
    assert claims(told) == {AssertionKind.STATUS: ("B", "")}


# Trap: withdrawn rows


def taken(runtime: Runtime, minute: int, name: str) -> tuple[int, int, int]:
    """How many checkpoints the ledger records, withdraws and finds repeated."""
    told = normalize(kept("shiplemon", name, received_at=RECEIVED + timedelta(minutes=minute)))
    (receipt,) = runtime.ledger.intake(told)
    runtime.projector.catch_up()
    return receipt.recorded, receipt.withdrawn, receipt.repeated


def state(runtime: Runtime) -> tuple[str, int]:
    (only,) = runtime.store.read("SELECT milestone, checkpoints FROM {s}shipments")
    return only["milestone"], only["checkpoints"]


def test_a_row_that_a_later_history_leaves_out_is_withdrawn_and_reinstated_when_it_returns(runtime: Runtime) -> None:
    assert taken(runtime, 0, "poll_too_early_delivered") == (3, 0, 0)
    assert state(runtime) == ("delivered", 3)
    assert taken(runtime, 30, "poll_delivery_taken_back") == (0, 1, 2)
    assert state(runtime) == ("out_for_delivery", 2)
    assert [r["milestone"] for r in runtime.store.read("SELECT * FROM {s}timeline WHERE withdrawn")] == ["delivered"]
    assert taken(runtime, 60, "poll_too_early_delivered") == (0, 0, 3)
    assert state(runtime) == ("delivered", 3)
    assert runtime.store.read("SELECT * FROM {s}timeline WHERE withdrawn") == []


def test_an_empty_history_withdraws_nothing(runtime: Runtime) -> None:
    taken(runtime, 0, "poll_too_early_delivered")
    before = rows(runtime.store, "", ARRIVAL)["timeline"]
    assert not report("poll_nothing_left").whole_history
    assert taken(runtime, 30, "poll_nothing_left") == (0, 0, 0)
    assert state(runtime) == ("delivered", 3)
    assert rows(runtime.store, "", ARRIVAL)["timeline"] == before


# Trap: duplicate rows and equal instants


def test_exact_duplicates_collapse_and_equal_instants_with_other_texts_stay_two() -> None:
    told = report("poll_equal_instants")
    assert len(fixture("poll_equal_instants")["data"]["tracking_history"]) == 4
    assert sorted(c.status_said for c in told.checkpoints) == ["ΕΚΦΟΡΤΩΣΗ", "ΦΟΡΤΩΣΗ"]
    assert len({c.occurred.at for c in told.checkpoints}) == 1


def test_rows_of_one_text_with_another_status_or_millisecond_stay_two() -> None:
    assert len(told_by(row("TRANSIT"), row("EXCEPTION"))) == 2
    assert len(told_by(row(), row(status_date="2026-03-05T10:20:00.001Z"))) == 2


@pytest.mark.parametrize(
    "said", ["2026-03-05T10:20:00Z", "2026-03-05T10:20:00.000Z", "2026-03-05T12:20:00+02:00", " 2026-03-05 10:20Z"]
)
def test_every_spelling_of_an_instant_is_one_statement(said: str) -> None:
    (plain,), (other,) = told_by(row()), told_by(row(status_date=said))
    assert (other.fingerprint, other.digest, other.occurred.said) == (plain.fingerprint, plain.digest, said)


def test_an_exact_status_that_is_filled_in_later_amends_its_row() -> None:
    (before,) = told_by(row())
    for exact in (None, ""):
        assert told_by(row(status_exact=exact)) == (before,)
    (after,) = told_by(row(status_exact="WITH_COURIER"))
    assert after.fingerprint == before.fingerprint and after.digest != before.digest
    assert (before.milestone, after.milestone) == (M.IN_TRANSIT, M.OUT_FOR_DELIVERY)
    assert told_by(row(), row(status_exact="WITH_COURIER")) == told_by(row(status_exact="WITH_COURIER"), row())
    assert told_by(row(), row(status_exact="WITH_COURIER")) == (after,)


def test_rows_of_two_shipments_are_never_the_same_statement() -> None:
    (one,) = told_by(row())
    (other,) = told_by(row(), shipment_id="68f1c2a49be0d7315c4e9a03")
    assert one.fingerprint != other.fingerprint


# Trap: a replaced history is answered with a shipment


def test_the_answer_to_a_replaced_history_is_a_whole_history_of_the_same_rows() -> None:
    told = report("put_three_answers")
    assert told.whole_history and len(told.checkpoints) == 4
    polled = tracking(*fixture("put_three_answers")["data"]["tracking_history"])
    (again,) = reports(polled, shipment_id=told.tracker.reference)
    assert again.checkpoints == told.checkpoints


# Trap: pieces


def pieces(tracking_ref: Any, *children: Any) -> tuple[str, str] | None:
    vouchers = [{"tracking_ref": child, "tracking_url": "", "label_url": None} for child in children]
    (told,) = reports(tracking(tracking_ref=tracking_ref, child_vouchers=vouchers))
    return claims(told).get(AssertionKind.PIECES)


def test_pieces_are_the_shipments_own_voucher_and_its_children_each_once() -> None:
    assert pieces("P", "A", "B") == ("3", "A, B, P")
    assert pieces("P", "P", "A", "A", " B ") == ("3", "A, B, P")
    assert pieces("P", "B", "A") == pieces("P", "A", "B")
    assert pieces(None, "A", "B") == ("2", "A, B")


def test_a_child_with_the_number_of_its_parent_is_no_second_piece() -> None:
    assert pieces("P", "P") == ("1", "P")
    assert claims(report("patch_bare"))[AssertionKind.PIECES] == ("1", "4410027735")


def test_vouchers_without_a_number_count_for_nothing() -> None:
    assert pieces("P", "", None) == ("1", "P")
    assert pieces("") == ("1", "")


@pytest.mark.parametrize("name", ["poll_delivered", "shipment_empty_history"])
def test_without_a_list_of_vouchers_nothing_is_said_of_pieces(name: str) -> None:
    assert AssertionKind.PIECES not in claims(report(name))


def test_pieces_share_the_state_of_their_shipment(runtime: Runtime) -> None:
    taken(runtime, 0, "poll_delivered")
    assert consignments.of(runtime.store, f"default:shiplemon:{ID}") is None
    taken(runtime, 1, "shipment_vouchers")
    assert consignments.of(runtime.store, f"default:shiplemon:{ID}") == {
        "shipment_id": f"default:shiplemon:{ID}",
        "pieces": 3,
        "delivered": 3,
        "open": 0,
        "failed": 0,
        "state": "complete",
    }


def test_vouchers_asked_for_beside_a_tracking_repeat_none_of_its_rows(runtime: Runtime) -> None:
    """Its rows lack the exact status: read as well, they would amend those of the tracking back and forth."""
    told = report("shipment_vouchers")
    assert (told.checkpoints, told.estimates, told.whole_history) == ((), (), False)
    assert claims(told) == {AssertionKind.PIECES: ("3", "ZZ700418826GR, ZZ700418830GR, ZZ700418843GR")}
    assert told.details == {
        "order_id": "LS-1077",
        "tracking_number": "ZZ700418826GR",
        "registered_at": "2026-03-02T08:14:55.120000Z",
    }
    for minute, name in enumerate(("poll_delivered", "shipment_vouchers", "poll_delivered")):
        taken(runtime, minute, name)
    assert [r["amended"] for r in runtime.store.read("SELECT * FROM {s}timeline")] == [0] * 5


def test_vouchers_that_say_no_more_than_the_tracking_are_ignored() -> None:
    body = {"data": {"id": ID, "tracking_ref": "P", "tracking_status": "TRANSIT", "tracking_history": [row()]}}
    assert "nothing is known" in refusal(body, Ignored, {"about": "vouchers"})
    assert len(reports(body)[0].checkpoints) == 1


# Trap: the empty history of a new shipment


def test_an_empty_history_is_a_headline_and_no_scan() -> None:
    told = report("shipment_empty_history")
    assert (told.checkpoints, told.whole_history) == ((), False)
    assert claims(told)[AssertionKind.STATUS] == ("PRE_TRANSIT", "")
    for history in ("[]", "null"):
        body = f'{{"data": {{"id": "{ID}", "tracking_status": "PRE_TRANSIT", "tracking_history": {history}}}}}'
        assert reports(body.encode())[0].checkpoints == ()


def test_a_shipment_of_which_nothing_is_said_is_ignored() -> None:
    body: Any = {"data": {"driver": "acs", "tracking_status": None, "tracking_history": [], "tracking_ref": "7180"}}
    assert refusal(body, Ignored) == "shiplemon: nothing is known yet of the shipment of this answer"
    assert "lists no shipment" in refusal({"status": "ok", "data": [{}, {}]}, Ignored)
    assert "lists no shipment" in refusal({"status": "ok", "data": []}, Ignored)


# Trap: three envelopes


def test_an_answer_is_read_in_each_of_its_three_envelopes() -> None:
    inner = fixture("poll_delivered")["data"]
    told = [reports(body)[0] for body in ({"status": "ok", "data": inner}, {"data": inner}, inner)]
    assert told[0].checkpoints == told[1].checkpoints == told[2].checkpoints
    assert told[0].details == told[1].details == told[2].details
    assert report("patch_bare").tracker.reference == EXPECTED["shiplemon"]["patch_bare"]["context"]["shipment_id"]


# Trap: a documented example that is no JSON


def test_a_body_with_trailing_commas_and_a_missing_brace_is_refused() -> None:
    raw = json.dumps(fixture("put_three_answers"))
    for broken in (raw[:-1], raw.replace('"zip": "10000"', '"zip": "10000",'), raw.replace("}}", "},}")):
        assert broken != raw
        assert "the body is not JSON" in refusal(broken.encode())


# Trap: the zone behind the Z


def test_a_z_is_believed_unless_the_request_knows_better() -> None:
    (plain,) = told_by(row())
    assert (plain.occurred.at, plain.occurred.zone) == (datetime(2026, 3, 5, 10, 20, tzinfo=UTC), ZoneSource.STATED)
    (there,) = told_by(row(), zone="Europe/Athens")
    assert (there.occurred.at, there.occurred.zone) == (datetime(2026, 3, 5, 8, 20, tzinfo=UTC), ZoneSource.ASSUMED)
    assert there.occurred.said == "2026-03-05T10:20:00.000Z"
    assert there.occurred.offset == 120


def test_a_better_zone_amends_a_statement_and_makes_no_other_one() -> None:
    (plain,), (there,) = told_by(row()), told_by(row(), zone="Europe/Athens")
    assert plain.fingerprint == there.fingerprint and plain.digest != there.digest


def test_a_zone_goes_by_the_driver() -> None:
    for zone, hour in [
        ("elta=Europe/Athens", 8),
        ("ELTA = Europe/Athens", 8),
        ("acs=Europe/Athens", 10),
        ("acs=Europe/Athens,elta=Asia/Nicosia", 8),
        ("elta=UTC,Europe/Athens", 10),
        ("acs=UTC,Europe/Athens", 8),
        ("", 10),
    ]:
        assert told_by(row(), zone=zone)[0].occurred.at.hour == hour, zone


def test_athens_has_its_summer_time_and_its_own_midnight() -> None:
    summer, winter = report("poll_athens_clock").checkpoints
    assert (summer.occurred.at, summer.occurred.offset) == (datetime(2026, 7, 14, 8, 5, tzinfo=UTC), 180)
    assert (winter.occurred.at, winter.occurred.offset) == (datetime(2026, 1, 14, 21, 30, tzinfo=UTC), 120)
    assert winter.occurred.local_date == date(2026, 1, 14)


def test_an_offset_is_believed_in_any_zone_and_a_missing_one_is_no_utc() -> None:
    (offset,) = told_by(row(status_date="2026-03-05T10:20:00+03:00"), zone="Europe/Athens")
    assert (offset.occurred.at.hour, offset.occurred.zone) == (7, ZoneSource.STATED)
    (bare,) = told_by(row(status_date="2026-03-05T10:20:00"))
    assert (bare.occurred.at.hour, bare.occurred.zone) == (10, ZoneSource.UNKNOWN)
    (day,) = told_by(row(status_date="2026-03-05"))
    assert (day.occurred.precision, day.occurred.zone) == (Precision.DAY, ZoneSource.UNKNOWN)


@pytest.mark.parametrize(
    "zone", ["Athens", "elta=", "+02:00", "../etc/passwd", "elta=Europe", "x" * 5000, "a=b=c", "\x00"]
)
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    assert "a name like Europe/Athens" in refusal(tracking(row()), context={"shipment_id": ID, "zone": zone})


# What is left out


def test_unknown_keys_are_tolerated_and_personal_data_left_out() -> None:
    body = fixture("put_three_answers")
    plain = msgspec.json.encode(reports(body))
    for secret in ("Ελένη", "Ανδρέας", "Οδός", "person@", "+302", "Signature", "labels.example", "Πάτρα"):
        assert secret in json.dumps(body, ensure_ascii=False)
        assert secret not in plain.decode()
    for key in ("address_from", "address_to", "items", "pickup", "label_url", "metadata"):
        body["data"][key] = "anything"
    body["data"]["tracking_history"][0]["driver_name"] = "Ελένη"
    told = reports(body)
    assert told[0].checkpoints == reports(fixture("put_three_answers"))[0].checkpoints
    assert "anything" not in msgspec.json.encode(told).decode()


# What is refused and what is ignored


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"error": {"code": "NOT_FOUND", "message": "no"}}, Ignored, "error.code is NOT_FOUND: no such shipment, yet"),
        ({"error": {"code": "OTHER", "message": "no"}}, Unreadable, 'the code "OTHER"; Shiplemon says "no"'),
        ({"error": {}}, Unreadable, "an error with the code null"),
        ({"error": "Forbidden"}, Unreadable, 'Shiplemon says "Forbidden"'),
        ({"error": ["x" * 5000]}, Unreadable, "an error with the code null"),
        ({"status": "ok", "data": None}, Unreadable, "data is null: it must be an object"),
        ({"status": "ok", "data": "x"}, Unreadable, 'data is "x": it must be an object'),
        ({"status": "ok", "data": [7]}, Unreadable, "data.0 is 7: it must be an object"),
        ({"status": "ok", "data": {}}, Unreadable, "data has neither tracking_status nor tracking_history, but []"),
        ({"status": "ok", "data": {"rates": []}}, Unreadable, 'but ["rates"]'),
        ({"code": 200}, Unreadable, "the body has neither tracking_status nor tracking_history"),
        ({"tracking_history": []}, Unreadable, "the body looks like a request to replace a history"),
        ({"data": {"id": ID, "tracking_status": "TRANSIT"}}, Unreadable, "data.tracking_history is missing"),
        ({"id": ID, "tracking_history": []}, Unreadable, "tracking_status is missing"),
        ([], Unreadable, "the body is an array of 0"),
        ({"data": [{}] * 1001}, Unreadable, "data has 1,001 shipments, over the limit of 1,000"),
        (tracking(*[row()] * 5001), Unreadable, "data.tracking_history is"),
        (tracking(child_vouchers=[{}] * 501), Unreadable, "data.child_vouchers is"),
        (tracking(7), Unreadable, "data.tracking_history.0 is 7"),
    ],
)  # fmt: skip
def test_what_says_nothing_or_is_no_message_is_told_what_it_is(body: Any, kind: type[MessageError], words: str) -> None:
    assert words in refusal(body, kind)


def test_a_refusal_of_another_answer_tells_its_keys_and_no_values() -> None:
    assert "Ελένη" not in refusal({"data": {"name": "Ελένη", "phone": "+30"}})


@pytest.mark.parametrize(
    "said",
    [
        "",
        "yesterday",
        "05/03/2026 10:20",
        "1772705000",
        "1999-12-31T23:59:59Z",
        "2026-02-30T10:00:00Z",
        None,
        1772705000,
    ],
)
def test_another_form_of_time_is_refused_by_its_path(said: Any) -> None:
    assert "data.tracking_history.1.status_date" in refusal(tracking(row(), row(status_date=said)))
    if said:
        assert "data.created_at" in refusal(tracking(row(), created_at=said))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tracking_status", True),
        ("tracking_status", "x" * 257),
        ("tracking_history", {}),
        ("tracking_history.0.status", []),
        ("tracking_history.0.status_exact", {}),
        ("tracking_history.0.status_details", "x" * 4001),
        ("tracking_history.0.status_details", "a\x00b"),
        ("tracking_history.0.status_details", 5),
        ("service.estimated_delivery_in_days", -1),
        ("service.estimated_delivery_in_days", 3651),
        ("service.estimated_delivery_in_days", True),
        ("service.estimated_delivery_in_days", 1.5),
        ("service", "express"),
        ("carrier", []),
        ("tracking_ref", "x" * 257),
        ("tracking_ref", {}),
        ("child_vouchers", {}),
        ("child_vouchers.0.tracking_ref", []),
        ("related_order_id", False),
        ("id", []),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(path: str, value: Any) -> None:
    body = copy.deepcopy(fixture("poll_delivered"))
    body["data"]["child_vouchers"] = [{"tracking_ref": "A"}]
    *parents, last = path.split(".")
    place = body["data"]
    for parent in parents:
        place = place[int(parent) if parent.isdecimal() else parent]
    place[last] = value
    assert f"data.{path} is" in refusal(body)


def test_a_context_that_asks_for_what_there_is_not_is_refused() -> None:
    assert 'about of the request is "rows": vouchers or nothing is needed' in refusal(
        tracking(row()), context={"shipment_id": ID, "about": "rows"}
    )


def test_a_message_has_its_limits() -> None:
    many = [row(said=str(number)) for number in range(5000)]
    assert len(told_by(*many)) == 5000
