"""Can a person have providers asked, see when that happens next, and why?"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cli import Cli, installed
from support.scripted import Asked, Reply, Scripted, scripted
from support.threads import until

NOW_KEY = {"SHIPPIT_KEY": "the-key-that-nobody-may-see"}


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        one.otherwise = in_transit
        yield one


def in_transit(asked: Asked) -> dict[str, Any]:
    track = [{"status": "In Transit", "date": "2026-03-26", "timestamp": "20:00:00"}]
    number = asked.path.split("/")[2]
    return {"response": {"tracking_number": number, "success": True, "error": None, "track": track}}


@pytest.fixture
def connected(cli: Cli, played: Scripted, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command where one account asks Shippit, and knows of two orders there."""
    configure(played)
    for name, value in NOW_KEY.items():
        monkeypatch.setenv(name, value)
    for number in ("PPk3TqW8nHs2D", "PPf9BzLm4XcQe"):
        cli.text("register", "--reference", f"ORDER-{number[:3]}", "--tracker", f"shippit:{number}")
    cli.text("project")
    return cli


def configure(played: Scripted, **more: str) -> None:
    lines = [
        "[accounts.default.shippit]",
        'key_env = "SHIPPIT_KEY"',
        f'url = "{played.url}"',
        "per_second = 1000",
        *(f"{name} = {value}" for name, value in more.items()),
    ]
    Path("trackledger.toml").write_text("\n".join(lines))


def test_without_an_account_there_is_nobody_to_ask(cli: Cli) -> None:
    assert cli.refusal("poll", "--once", code=2) == (
        "no account asks a provider; configure one as [accounts.NAME.PROVIDER] with a key_env"
    )
    assert not Path("ledger.db").exists()


def test_a_provider_that_no_account_asks_is_named(connected: Cli) -> None:
    assert connected.refusal("poll", "--once", "--provider", "ship24", code=2) == (
        "no account asks ship24; configure one as [accounts.NAME.ship24] with a key_env"
    )


@pytest.mark.parametrize("command", [("poll", "--once"), ("polls",)])
def test_an_unknown_provider_is_refused(cli: Cli, command: tuple[str, ...]) -> None:
    assert cli.refusal(*command, "--provider", "pigeon", code=2) == (
        "provider 'pigeon' is unknown; use one of: clickpost, ship24, shippit, shiplemon, rye, aftership"
    )


def test_a_key_that_is_missing_is_named_and_not_asked_without(
    connected: Cli, played: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHIPPIT_KEY")
    refusal = connected.refusal("poll", "--once", code=2)

    assert "SHIPPIT_KEY" in refusal and "accounts.default.shippit.key_env" in refusal
    assert played.asked == []


def test_everything_that_is_due_is_asked_about_once(connected: Cli, played: Scripted) -> None:
    assert connected.text("poll", "--once") == "asked: shippit 2\n"
    assert len(played.asked) == 2
    assert connected.text("poll", "--once") == "nothing is due\n"
    assert connected.json("poll", "--once") == {}
    connected.text("project")
    assert connected.json("status", "ORDER-PPk")["status"]["milestone"] == "in_transit"


def test_what_was_asked_is_told_as_json(connected: Cli) -> None:
    assert connected.json("poll", "--once", "--provider", "shippit") == {"shippit": 2}


def test_before_anybody_asks_nothing_is_scheduled(connected: Cli) -> None:
    assert connected.text("polls") == "nothing is scheduled\n"
    assert connected.json("polls") == []


def test_the_next_time_and_its_reason_are_shown(connected: Cli) -> None:
    connected.text("poll", "--once")

    rows = connected.json("polls")
    assert [row["reference"] for row in sorted(rows, key=lambda row: row["reference"])] == [
        "PPf9BzLm4XcQe",
        "PPk3TqW8nHs2D",
    ]
    assert {(row["state"], row["outcome"], row["asked"], row["reason"]) for row in rows} == {
        ("asking", "answered", 1, "unknown: every 6 h")
    }
    shown = connected.text("polls")
    assert "unknown: every 6 h" in shown and "default:shippit:PPk3TqW8nHs2D" in shown
    assert len(connected.json("polls", "--limit", "1")) == 1
    assert connected.json("polls", "--provider", "ship24") == []
    assert connected.json("polls", "--account", "outlet") == []


def test_one_shipment_is_shown_by_any_of_its_names(connected: Cli) -> None:
    connected.text("poll", "--once")

    for ref in ("ORDER-PPk", "PPk3TqW8nHs2D"):
        (row,) = connected.json("polls", ref)
        assert row["tracker"] == "default:shippit:PPk3TqW8nHs2D"
    assert connected.refusal("polls", "NONESUCH").startswith("no shipment has the id, reference")


def test_what_is_not_asked_about_any_more_says_why_and_can_be_taken_up_again(connected: Cli, played: Scripted) -> None:
    played.answers(Reply({"error": {"tracking_number": ["is wrong"]}, "success": False}, 422))
    connected.text("poll", "--once")

    (stopped,) = connected.json("polls", "--stopped")
    assert (stopped["state"], stopped["outcome"]) == ("stopped", "rejected")
    assert stopped["reason"].startswith("shippit: GET http://127.0.0.1")
    assert "stopped" in connected.text("polls", "--stopped")

    (told,) = connected.json("refresh", stopped["reference"])
    assert (told["state"], told["reason"]) == ("asking", "somebody wants to know")
    assert connected.json("polls", "--stopped") == []


def test_an_account_that_was_stopped_is_told_with_each_of_its_trackers(connected: Cli, played: Scripted) -> None:
    played.answers(Reply({"error": "forbidden"}, 403))
    assert connected.text("poll", "--once") == "nothing is due\n"

    rows = connected.json("polls")
    assert {row["state"] for row in rows} == {"asking"}
    assert all("the key is refused" in row["account_stopped"] for row in rows)
    shown = connected.text("polls")
    assert shown.count("its account is not asked any more: shippit: GET") == 2
    assert NOW_KEY["SHIPPIT_KEY"] not in shown


def test_polls_need_a_ledger(cli: Cli) -> None:
    assert cli.refusal("polls").startswith("there is no ledger")


def test_it_asks_until_it_is_told_to_stop(connected: Cli, played: Scripted, database_url: str) -> None:
    process = subprocess.Popen(
        [installed(), "--db", database_url, "poll"],
        env={**os.environ, **NOW_KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: len(played.asked) >= 2 or process.poll() is not None)
        until(lambda: all(row["asked"] for row in connected.json("polls")))
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()

    assert (process.returncode, out) == (0, "")
    assert all(json.loads(line)["level"] in ("info", "warning") for line in err.splitlines())
    assert len(connected.json("polls")) == 2
