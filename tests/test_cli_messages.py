"""How are raw messages looked at, tried again, set aside and erased on the command line?"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.cli import AT, ATTEMPTED, Cli, fixture, written
from trackledger.adapters.inbox import message
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings

BODY = b"<html>Bad \x1b[31mgateway \xff</html>"


@pytest.fixture
def unreadable(cli: Cli, tmp_path: Path) -> str:
    """The id of a message that is parked, beside one that is done."""
    cli.ingest("poll_failed_delivery")
    assert cli("ingest", "clickpost", written(tmp_path / "bad", BODY), "--received-at", AT).exit_code == 1
    (row,) = cli.json("parked")
    id_: str = row["message_id"]
    return id_


def done(cli: Cli) -> str:
    """The id of the message that is done."""
    return str(cli.json("timeline", ATTEMPTED)[0]["message_id"])


def test_show_in_json_tells_everything_but_the_body(cli: Cli, unreadable: str) -> None:
    reason = cli.json("parked")[0]["reason"]

    assert cli.json("show", unreadable[:8]) == {
        "message_id": unreadable,
        "provider": "clickpost",
        "account": "default",
        "channel": "poll",
        "state": "parked",
        "reason": reason,
        "received_at": AT,
        "last_received_at": AT,
        "times": 1,
        "recorded": 0,
        "amended": 0,
        "repeated": 0,
        "tries": 0,
        "claimed_until": None,
        "context": {},
        "headers": {},
        "bytes": len(BODY),
    }
    assert cli.json("show", done(cli))["recorded"] == 9


def test_show_in_words_tells_headers_and_context(cli: Cli, unreadable: str, database_url: str) -> None:
    arrived = message(
        "clickpost",
        b"{}",
        channel="webhook",
        received_at=datetime.fromisoformat(AT),
        context={"cp_id": "4"},
        headers={"User-Agent": "Click\x1b[31mPost", "webhook_key": "secret"},
    )
    with open_runtime(Settings(database_url)) as runtime:
        runtime.inbox.append([arrived])

    told = cli.text("show", arrived.message_id).splitlines()

    assert told[:5] == [
        f"message id       {arrived.message_id}",
        "provider         clickpost",
        "account          default",
        "channel          webhook",
        "state            waiting",
    ]
    assert told[-3:] == [
        "context          cp_id=4",
        r"headers          user-agent=Click\x1b[31mPost",
        "bytes            2",
    ]


def test_the_body_is_written_byte_for_byte(cli: Cli, unreadable: str) -> None:
    assert cli("show", unreadable, "--body").stdout_bytes == BODY
    assert cli("show", done(cli), "--body").stdout_bytes == Path(fixture("poll_failed_delivery")).read_bytes()
    assert "leave one out" in cli.refusal("show", unreadable, "--body", "--json", code=2)


@pytest.mark.parametrize("command", [("show",), ("retry",), ("discard", "--reason", "x")], ids=lambda args: args[0])
def test_an_id_that_names_no_message_is_told_in_one_sentence(cli: Cli, unreadable: str, command: tuple[str]) -> None:
    assert cli.refusal(*command, "00000000").startswith("no message '00000000' is kept; ")
    assert cli.refusal(*command, unreadable[:7], code=2).startswith(f"message id '{unreadable[:7]}' is not 8 to 32 ")
    assert cli.refusal(*command, "\x1b[31m", code=2).startswith("message id '\\x1b[31m' is not ")


def test_retry_tells_what_is_parked_again(cli: Cli, unreadable: str) -> None:
    reason = cli.json("parked")[0]["reason"]

    result = cli("retry", unreadable[:10])

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{unreadable}: parked: {reason}\n"
    assert [(row["state"], row["reason"]) for row in cli.json("retry", "--all", code=1)] == [("parked", reason)]
    assert cli.json("retry", "--all", "--provider", "rye") == []
    assert cli.text("retry", "--all", "--provider", "rye") == "no message is parked\n"


def test_retry_after_the_cause_was_mended_records_what_the_message_says(cli: Cli, database_url: str) -> None:
    def topic(name: str) -> None:
        with open_runtime(Settings(database_url)) as runtime, runtime.database.transaction() as transaction:
            transaction.execute("UPDATE {s}stored_events SET topic = :name WHERE notification_id = 1", name=name)

    cli.ingest("webhook_ndr", channel="webhook", at="2026-03-05T11:00:00Z")
    topic("shipment.Later")
    assert cli("ingest", "clickpost", fixture("poll_failed_delivery"), "--received-at", AT).exit_code == 1
    (row,) = [one for one in cli.json("parked") if "message_id" in one]
    topic("shipment.Opened")

    assert cli.text("retry", "--all") == f"{row['message_id']}: 8 recorded, 0 amended, 1 repeated\n"
    assert cli.json("status", ATTEMPTED)["checkpoints"] == 9


def test_what_is_not_parked_is_not_tried_again(cli: Cli, unreadable: str) -> None:
    id_ = done(cli)

    assert cli.refusal("retry", id_) == (
        f"message {id_} is done; only what is parked or ignored or discarded can be tried again"
    )
    for args in ((), (unreadable, "--all"), (unreadable, "--provider", "clickpost"), ("--all", "--provider", "dhl")):
        cli.refusal("retry", *args, code=2)


def test_a_discarded_message_is_listed_no_more_and_not_read_again(cli: Cli, unreadable: str, tmp_path: Path) -> None:
    told = cli.text("discard", unreadable[:8], "--reason", "an error page")

    assert told.startswith(f"{unreadable}: discarded: an error page; before: clickpost: the body is not JSON")
    assert cli.json("parked") == []
    (again,) = cli.json("ingest", "clickpost", str(tmp_path / "bad"))
    assert (again["state"], again["recorded"]) == ("discarded", 0)
    assert cli.json("show", unreadable)["times"] == 2
    assert cli.json("retry", unreadable, code=1)[0]["state"] == "parked"
    (row,) = cli.json("discard", unreadable, "--reason", "for good")
    assert (row["message_id"], row["state"]) == (unreadable, "discarded")
    assert cli.refusal("discard", unreadable, "--reason", " ", code=2).startswith("the reason ")
    assert "Missing option '--reason'" in cli.usage("discard", unreadable)


def counts(told: list[dict[str, Any]]) -> dict[str, int]:
    return {row["state"]: row["messages"] for row in told}


def test_purge_erases_what_is_past_its_time_and_leaves_the_tables(cli: Cli, unreadable: str) -> None:
    before = cli.json("timeline", ATTEMPTED)
    later = (datetime.fromisoformat(AT) + timedelta(days=181)).astimezone(UTC).isoformat()

    assert counts(cli.json("purge", "--now", AT)) == {"done": 0, "ignored": 0, "discarded": 0}
    assert counts(cli.json("purge", "--now", later, "--dry-run")) == {"done": 1, "ignored": 0, "discarded": 0}
    assert cli.text("purge", "--now", later, "--dry-run").splitlines()[0] == "done: 1 would be erased"
    assert cli.text("purge", "--now", later).splitlines() == [
        "done: 1 erased",
        "ignored: 0 erased",
        "discarded: 0 erased",
    ]
    assert cli.refusal("show", before[0]["message_id"]).startswith("no message ")
    assert cli.json("timeline", ATTEMPTED) == before
    assert cli.json("show", unreadable)["state"] == "parked"


def test_purge_erases_parked_messages_only_when_they_are_named(cli: Cli, unreadable: str) -> None:
    assert counts(cli.json("purge", "--older-than", "0")) == {"done": 1, "ignored": 0, "discarded": 0}
    assert cli.text("purge", "--state", "parked") == "parked: kept for ever; say --older-than DAYS to erase some\n"
    assert counts(cli.json("purge", "--state", "parked", "--older-than", "0", "--dry-run")) == {"parked": 1}
    assert counts(cli.json("purge", "--state", "parked", "--older-than", "0")) == {"parked": 1}
    assert cli.json("parked") == []
    assert "'waiting' is not one of" in cli.usage("purge", "--state", "waiting")
    assert "--older-than" in cli.usage("purge", "--older-than", "-1")


def test_purge_keeps_to_the_configured_days(cli: Cli, unreadable: str, tmp_path: Path) -> None:
    (tmp_path / "trackledger.toml").write_text("[retention]\ndone = 2\nparked = 1\n")
    later = (datetime.fromisoformat(AT) + timedelta(days=1)).astimezone(UTC).isoformat()

    assert counts(cli.json("purge", "--now", later)) == {"done": 0, "ignored": 0, "discarded": 0, "parked": 1}


def test_what_waits_is_never_erased(cli: Cli, database_url: str) -> None:
    with open_runtime(Settings(database_url)) as runtime:
        arrived = message("clickpost", b"{}", received_at=datetime(2020, 1, 1, tzinfo=UTC))
        runtime.inbox.append([arrived])
    for state in ("done", "ignored", "discarded", "parked"):
        cli.json("purge", "--older-than", "0", "--state", state)

    assert json.loads(cli("show", arrived.message_id, "--json").stdout)["state"] == "waiting"
