"""Can a person have something done about a failed delivery, and see what was answered?"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from support.cli import ATTEMPTED, Cli
from support.scripted import Reply, Scripted, scripted

ME = ("--actor", "clerk@shop")
OK = {"meta": {"message": "SUCCESS", "success": True, "status": 200}}
REFUSED = {"meta": {"message": "Bad Request , Invalid Action", "success": False, "status": 400}}


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


@pytest.fixture
def connected(filled: Cli, played: Scripted, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command on a ledger with a failed delivery, where one account asks ClickPost."""
    lines = ["[accounts.default.clickpost]", 'key_env = "CLICKPOST_KEY"', 'user = "shop"', f'url = "{played.url}"']
    Path("trackledger.toml").write_text("\n".join([*lines, "per_second = 1000"]))
    monkeypatch.setenv("CLICKPOST_KEY", "the-key-that-nobody-may-see")
    return filled


def test_an_action_is_asked_for_and_its_answer_told(connected: Cli, played: Scripted) -> None:
    played.answers(OK)

    told = connected.json("act", "TL-20417", "change_details", "--phone", "+91 98450 00000", *ME)

    assert (told["shipment_id"], told["state"], told["answer"]) == (ATTEMPTED, "acknowledged", "SUCCESS")
    assert [asked.json["phone_number"] for asked in played.asked] == ["+91 98450 00000"]
    (case,) = connected.json("ndr")
    assert (case["state"], case["act_by"]) == ("actioned", None)
    assert "change_details, asked for by clerk@shop" in connected.text("explain", "TL-20417")
    history = connected.text("history", "TL-20417")
    assert "with another phone number" in history and "98450" not in history


def test_a_refusal_and_silence_are_told_and_end_with_1(connected: Cli, played: Scripted) -> None:
    played.answers(REFUSED, Reply(status=0), OK)

    refused = connected("act", "TL-20417", "reattempt", *ME)
    assert (refused.exit_code, refused.stderr) == (1, f"{ATTEMPTED}: refused: Bad Request , Invalid Action\n")
    silent = connected("act", "TL-20417", "rto", *ME)
    assert silent.exit_code == 1
    assert silent.stderr.startswith(f"{ATTEMPTED}: recorded, but not answered: clickpost: POST http://127.0.0.1")

    assert connected.text("act", "TL-20417", "again", *ME) == f"{ATTEMPTED}: acknowledged: SUCCESS\n"
    assert "has no action without an answer; ask for one" in connected.refusal("act", "TL-20417", "again", *ME, code=1)


def test_what_was_done_by_hand_is_recorded_without_an_account(filled: Cli) -> None:
    told = filled.text("act", "TL-20417", "rto", "--by-hand", "--remark", "told the depot", *ME)

    assert told == f"{ATTEMPTED}: acknowledged\n"
    assert 'done by hand rto of the failed delivery 1, remark "told the depot"' in filled.text("history", "TL-20417")


def test_what_makes_no_sense_is_refused_in_one_sentence(filled: Cli) -> None:
    for args, says in [
        (("reschedule",), "preferred_date is missing; reschedule to a day such as 2026-11-28"),
        (("change_details",), "address is missing, and phone is too; give what has changed"),
        (("again", "--phone", "9845000000"), "again asks for what was asked for before; leave the other options out"),
        (("again", "--case", "1"), "again asks for what was asked for before; leave the other options out"),
        (("rto", "--by-hand", "--action-id", "a1"), "--action-id names what was asked for before; give it to `again`"),
        (("reattempt",), f"{ATTEMPTED} is followed at clickpost, where no action can be asked for from here"),
    ]:
        assert filled.refusal("act", "TL-20417", *args, *ME, code=2).startswith(says)
    assert "has no failed delivery 2" in filled.refusal(
        "act", "TL-20417", "rto", "--by-hand", "--case", "2", *ME, code=1
    )
    assert "nobody is named who does this" in filled.refusal("act", "TL-20417", "rto", code=2)


def test_a_shipment_is_made_due_as_soon_as_is_polite(connected: Cli, played: Scripted) -> None:
    assert connected.json("refresh", "TL-20417") == []
    assert connected.text("refresh", "TL-20417").startswith("nobody asks about it")
    played.otherwise = lambda _: {"meta": OK["meta"], "result": None}
    connected.text("poll", "--once")

    (told,) = connected.json("refresh", "TL-20417")

    assert (told["tracker"], told["state"], told["reason"]) == (ATTEMPTED, "asking", "somebody wants to know")
    asked_at, due_at = (datetime.fromisoformat(told[name]) for name in ("asked_at", "due_at"))
    assert due_at - asked_at == timedelta(minutes=1)
    assert ATTEMPTED in connected.text("refresh", "TL-20417")
