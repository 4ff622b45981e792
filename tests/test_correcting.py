"""Can a person put right what was said, and is it seen at once who did so and why?"""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.cli import ATTEMPTED, Cli, fixture, written
from trackledger.adapters.runtime import Runtime
from trackledger.domain.events import AmendedByHand, NoteAdded, WithdrawnByHand

FAILED = "clickpost:41228027380"
LAST = "clickpost:41229035199"
ME = ("--actor", "clerk@shop")
WHY = (*ME, "--reason", "the customer sent a photo")


def head(cli: Cli) -> int:
    answer: int = cli.json("project")["position"]
    return answer


def row(cli: Cli, key: str) -> dict[str, object]:
    return next(one for one in cli.json("timeline", "TL-20417") if one["checkpoint_id"] == key)


def test_a_note_is_kept_and_shown(filled: Cli, runtime: Runtime) -> None:
    before, position = filled.json("status", "TL-20417"), head(filled)

    answer = filled.json("note", "TL-20417", "Called the customer: परसों", *ME)

    assert answer == {"shipment_id": ATTEMPTED, "events": 1, "position": position + 1}
    event = runtime.ledger.history(ATTEMPTED)[-1].event
    assert isinstance(event, NoteAdded)
    assert (event.text, event.actor) == ("Called the customer: परसों", "clerk@shop")
    after = filled.json("status", "TL-20417")
    (note,) = after.pop("notes")
    assert (note["text"], note["actor"]) == ("Called the customer: परसों", "clerk@shop")
    assert {**after, "position": 0, "notes": []} == {**before, "position": 0}
    assert "by clerk@shop: Called the customer: परसों" in filled.text("status", "TL-20417")
    assert f"{ATTEMPTED}: noted by clerk@shop\n" == filled.text("note", "TL-20417", "again", *ME)


def test_only_the_newest_notes_are_shown_and_as_they_were_known(filled: Cli) -> None:
    for number in range(22):
        filled.text("note", "TL-20417", f"note {number}", *ME)

    notes = filled.json("status", "TL-20417")["notes"]

    assert [note["text"] for note in notes] == [f"note {number}" for number in range(2, 22)]
    known = filled.json("status", "TL-20417", "--known-at", notes[-2]["recorded_at"])["notes"]
    assert [note["text"] for note in known] == [f"note {number}" for number in range(1, 21)]


def test_no_note_of_a_forgotten_shipment_is_shown(filled: Cli, runtime: Runtime) -> None:
    filled.text("note", "TL-20417", "Called Mrs Rao", *ME)

    runtime.ledger.forget(ATTEMPTED, "privacy@shop", "asked for")

    assert filled.json("status", ATTEMPTED)["notes"] == []


def test_the_words_of_a_private_note_are_shown_as_long_as_there_is_the_key(
    cli: Cli, runtime: Runtime, tmp_path: Path
) -> None:
    config = written(tmp_path / "private.toml", b'privacy = "sealed"')
    cli.text("ingest", "clickpost", fixture("poll_failed_delivery"), "--config", config)
    cli.text("note", "TL-20417", "Called Mrs Rao", *ME)

    assert cli.json("status", "TL-20417")["notes"][0]["text"] == "Called Mrs Rao"
    assert "by clerk@shop: Called Mrs Rao" in cli.text("status", "TL-20417")

    with runtime.database.transaction() as transaction:
        transaction.execute("DELETE FROM {s}vault")

    assert cli.json("status", "TL-20417")["notes"][0]["text"] is None
    assert "by clerk@shop: private, and its key is lost" in cli.text("status", "TL-20417")


def test_an_amendment_is_concluded_from_at_once(filled: Cli, runtime: Runtime) -> None:
    options = ("--milestone", "delivered", "--occurred", "2026-03-06T18:00:00+05:30", "--location", "Pune")

    answer = filled.json("amend", "TL-20417", LAST, *WHY, *options)

    assert (answer["shipment_id"], answer["checkpoint_id"], answer["events"]) == (ATTEMPTED, LAST, 1)
    assert answer["changed"]["milestone"] == ["out_for_delivery", "delivered"]
    assert answer["changed"]["occurred_at"] == ["2026-03-06T04:07:41Z", "2026-03-06T12:30:00Z"]
    status = filled.json("status", "TL-20417")
    assert (status["status"]["milestone"], status["status"]["location"]) == ("delivered", "Pune")
    told = row(filled, LAST)
    assert (told["corrected"], told["amended"], told["occurred_said"], told["zone_source"]) == (
        1,
        0,
        "2026-03-06T18:00:00+05:30",
        "stated",
    )
    event = runtime.ledger.history(ATTEMPTED)[-1].event
    assert isinstance(event, AmendedByHand)
    assert (event.actor, event.reason) == ("clerk@shop", "the customer sent a photo")
    assert event.correction.checkpoint.occurred.offset == 330


def test_what_is_not_given_stays(filled: Cli) -> None:
    before = row(filled, FAILED)

    filled.text("amend", "TL-20417", FAILED, *WHY, "--ndr-reason", "refused", "--leg", "return")

    changed = {"ndr_reason": "refused", "leg": "return", "corrected": 1}
    assert row(filled, FAILED) == {**before, **changed}


def test_a_reason_of_failure_can_be_taken_away(filled: Cli) -> None:
    filled.text("amend", "TL-20417", LAST, *WHY, "--ndr-reason", "refused")
    assert row(filled, LAST)["ndr_reason"] == "refused"

    filled.text("amend", "TL-20417", LAST, *WHY, "--ndr-reason", "none", "--location", "", "--remark", "")

    assert (row(filled, LAST)["ndr_reason"], row(filled, LAST)["location"]) == (None, None)


def test_people_are_told_what_changed(filled: Cli) -> None:
    text = filled.text("amend", "TL-20417", FAILED, *WHY, "--milestone", "delivered")

    assert text == f"{ATTEMPTED}: amended {FAILED}: milestone delivery_failed → delivered\n"


def test_an_amendment_that_reads_the_same_stores_nothing(filled: Cli) -> None:
    before = head(filled)

    text = filled.text("amend", "TL-20417", FAILED, *WHY, "--milestone", "delivery_failed")

    assert text == f"{ATTEMPTED}: nothing changed, {FAILED} is read so already\n"
    assert filled.json("amend", "TL-20417", FAILED, *WHY, "--milestone", "delivery_failed")["events"] == 0
    assert head(filled) == before


def test_what_is_withdrawn_counts_no_more_until_that_is_undone(filled: Cli, runtime: Runtime) -> None:
    before = filled.json("status", "TL-20417")["status"]

    answer = filled.json("withdraw", "TL-20417", LAST, FAILED, LAST, *WHY)

    assert (answer["withdrawn"], answer["events"]) == ({LAST: True, FAILED: True}, 1)
    assert filled.json("status", "TL-20417")["ndr"] is None
    event = runtime.ledger.history(ATTEMPTED)[-1].event
    assert isinstance(event, WithdrawnByHand)
    assert (event.keys, event.actor) == ((LAST, FAILED), "clerk@shop")
    filled.ingest("poll_failed_delivery", at="2026-03-07T10:00:00Z")
    assert row(filled, LAST)["withdrawn"] is True
    again = filled.text("withdraw", "TL-20417", LAST, *WHY)
    assert again == f"{ATTEMPTED}: nothing changed, all are withdrawn by hand\n"

    text = filled.text("withdraw", "TL-20417", LAST, FAILED, "--undo", *WHY)

    assert text == f"{ATTEMPTED}: {LAST}, {FAILED} counts again\n"
    assert filled.json("status", "TL-20417")["status"] == before
    undone = filled.text("withdraw", "TL-20417", LAST, "--undo", *WHY)
    assert undone == f"{ATTEMPTED}: nothing changed, none is withdrawn by hand\n"


def test_a_checkpoint_without_an_id_is_named_with_or_without_its_tilde(cli: Cli) -> None:
    cli.ingest("webhook_blanks_in_time", channel="webhook")
    (told,) = cli.json("timeline", "7702913350112")
    key = told["checkpoint_id"]
    assert key.startswith("~")

    assert cli.json("withdraw", "7702913350112", key[1:], *WHY)["withdrawn"] == {key: True}
    assert cli.json("withdraw", "7702913350112", key, *WHY)["events"] == 0


def test_the_environment_says_who_acts(filled: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLEDGER_ACTOR", "desk 3")

    assert filled.text("note", "TL-20417", "x") == f"{ATTEMPTED}: noted by desk 3\n"
    assert filled.text("note", "TL-20417", "x", *ME) == f"{ATTEMPTED}: noted by clerk@shop\n"


Sentence = tuple[tuple[str, ...], int, str]

AMEND = ("amend", "TL-20417", FAILED)
REFUSED: list[Sentence] = [
    (("note", "TL-20417", "x"), 2, "nobody is named who does this; give --actor, or set TRACKLEDGER_ACTOR"),
    (("note", "TL-20417", "x", "--actor", " "), 2, "actor ' ' must be 1 to 128 printable characters; say who you are"),
    (("note", "TL-20417", "x", "--actor", "a" * 129), 2, "actor 'aaaa"),
    (("note", "TL-20417", "", *ME), 2, "the note has 0 characters; write 1 to 4,000"),
    (("note", "TL-20417", "x" * 4001, *ME), 2, "the note has 4,001 characters; write 1 to 4,000"),
    (("note", "TL-20417", "a\x1b[2Jb", *ME), 2, "the note has a control character at place 2; write it in one line"),
    (("note", "TL-20417", "a\udcff", *ME), 2, "the note has a control character at place 2; write it in one line"),
    (("note", "nobody", "x", *ME), 1, "no shipment has the id, reference, order id or tracking number 'nobody'"),
    (("note", "", "x", *ME), 2, "REF is empty; give a shipment id"),
    ((*AMEND, *WHY), 2, "nothing to amend; give one or more of --milestone, --leg, --occurred, --ndr-reason, --loc"),
    ((*AMEND, *ME, "--reason", "", "--leg", "return"), 2, "the reason has 0 characters; write 1 to 4,000"),
    ((*AMEND, *WHY, "--remark", "a\nb"), 2, "the remark has a control character at place 2; write it in one line"),
    ((*AMEND, *WHY, "--location", "x" * 4001), 2, "the location has 4,001 characters; write 0 to 4,000"),
    ((*AMEND, *WHY, "--occurred", "2099-01-01T00:00:00Z"), 2, "time '2099-01-01T00:00:00Z' lies in the future"),
    (("amend", "TL-20417", "clickpost:1", *WHY, "--leg", "return"), 1, "there is no checkpoint 'clickpost:1'; see"),
    (("withdraw", "TL-20417", FAILED, "no", *WHY), 1, "there is no checkpoint 'no'; see `trackledger timeline`"),
    (("withdraw", "nobody", FAILED, *WHY), 1, "no shipment has the id"),
]


@pytest.mark.parametrize(("args", "code", "sentence"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_makes_no_sense_is_refused_and_nothing_stored(
    filled: Cli, args: tuple[str, ...], code: int, sentence: str
) -> None:
    before = head(filled)

    assert filled.refusal(*args, code=code).startswith(sentence)

    assert head(filled) == before


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--occurred", "2026-03-06T18:00:00", "has no zone; add one, such as Z or +05:30"),
        ("--occurred", "2026-03-06", "has no zone; add one, such as Z or +05:30"),
        ("--occurred", "yesterday", "is not an ISO 8601 time such as"),
        ("--occurred", "1999-12-31T23:59:59Z", "is not between the years 2000 and 2100"),
        ("--occurred", "2100-01-01T00:00:00Z", "is not between the years 2000 and 2100"),
        ("--occurred", "0001-01-01T00:00:00+05:30", "is not between the years 2000 and 2100"),
        ("--occurred", "2026-03-06T18:00:00+05:30:15", "has a zone with seconds; give it in hours and minutes"),
        ("--milestone", "teleported", "'teleported' is not one of"),
        ("--leg", "sideways", "'sideways' is not one of"),
        ("--ndr-reason", "bored", "'bored' is not one of"),
    ],
)
def test_a_value_that_cannot_be_is_refused(filled: Cli, option: str, value: str, why: str) -> None:
    before = head(filled)

    assert why in filled.usage(*AMEND, *WHY, option, value)

    assert head(filled) == before


@pytest.mark.parametrize("act", [(*AMEND, *ME, "--leg", "return"), ("withdraw", "TL-20417", FAILED, *ME)])
def test_a_correction_needs_a_reason(filled: Cli, act: tuple[str, ...]) -> None:
    assert "Missing option '--reason'" in filled.usage(*act)


CORRECTIONS: list[Callable[[str], tuple[str, ...]]] = [
    lambda ref: ("note", ref, "x", *ME),
    lambda ref: ("amend", ref, FAILED, *WHY, "--leg", "return"),
    lambda ref: ("withdraw", ref, FAILED, *WHY),
]


@pytest.mark.parametrize("act", CORRECTIONS)
def test_a_ref_of_several_shipments_is_refused(filled: Cli, act: Callable[[str], tuple[str, ...]]) -> None:
    filled.ingest("poll_failed_delivery", account="other")

    assert filled.refusal(*act("TL-20417"), code=2).startswith("'TL-20417' names 2 shipments; use one of their ids: ")
    assert filled.json(*act("TL-20417"), "--account", "other")["shipment_id"].startswith("other:")


@pytest.mark.parametrize("act", CORRECTIONS)
def test_nothing_is_added_to_a_forgotten_shipment(
    filled: Cli, runtime: Runtime, act: Callable[[str], tuple[str, ...]]
) -> None:
    runtime.ledger.forget(ATTEMPTED, "privacy@shop", "asked for")
    before = head(filled)

    assert filled.refusal(*act(ATTEMPTED)) == f"{ATTEMPTED} was forgotten; nothing can be added to it"

    assert head(filled) == before


@pytest.mark.parametrize("act", CORRECTIONS)
def test_a_correction_makes_no_ledger(cli: Cli, act: Callable[[str], tuple[str, ...]]) -> None:
    assert "no ledger" in cli.refusal(*act(ATTEMPTED))
