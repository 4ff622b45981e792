"""Which ledger is asked, which requests make no sense, and what reaches the terminal?"""

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from support.cli import ANSWERING, ATTEMPTED, NEVER_PICKED_UP, NOW, Cli, fixture, installed, written
from trackledger.adapters.cli import main
from trackledger.adapters.inbox import message
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory of its own, and no ledger named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRACKLEDGER_DB", raising=False)


# which ledger, and what there is at its place


def test_the_database_may_be_named_before_and_after_the_command_and_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shipments(*args: str) -> int:
        return len(Cli(None).json(*args))

    one, two = f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/two.db"
    Cli(None).text("--db", one, "ingest", "clickpost", fixture("poll_failed_delivery"))
    Cli(None).text("ingest", "--db", two, "clickpost", fixture("poll_five_waybills"))

    assert shipments("--db", one, "shipments") == 1
    assert shipments("shipments", "--db", one) == 1
    assert shipments("--db", one, "shipments", "--db", two) == 4
    monkeypatch.setenv("TRACKLEDGER_DB", two)
    assert shipments("shipments") == 4
    assert shipments("--db", one, "shipments") == 1


def test_the_ledger_is_a_file_of_the_working_directory_by_default(tmp_path: Path) -> None:
    Cli(None).ingest("poll_failed_delivery")

    assert (tmp_path / "trackledger.db").is_file()
    assert len(Cli("sqlite:///trackledger.db").json("shipments")) == 1


def test_json_may_be_asked_for_before_and_after_the_command(filled: Cli) -> None:
    before, after = filled("--json", "shipments"), filled("shipments", "--json")

    assert before.stdout == after.stdout
    assert len(json.loads(before.stdout)) == 2


@pytest.mark.parametrize("args", [*ANSWERING, ("project",), ("rebuild",)], ids=lambda args: args[0])
def test_an_answer_needs_a_ledger_and_makes_none(cli: Cli, tmp_path: Path, args: tuple[str, ...]) -> None:
    for _ in range(2):
        told = cli.refusal(*args)
        assert told.startswith("there is no ledger ")
        assert told.endswith("; ingest a message or register a shipment first")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", [("shipments",), ("ingest", "clickpost", fixture("webhook_ofd"))], ids=lambda a: a[0])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, args: tuple[str, ...]) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("Buy bread.\n" * 100)

    told = Cli(f"sqlite:///{file}").refusal(*args)

    assert told == (f"{file} cannot be opened as a ledger: file is not a database; name another file with --db")
    assert file.read_text() == "Buy bread.\n" * 100


@pytest.mark.parametrize("args", [("shipments",), ("ingest", "clickpost", fixture("webhook_ofd"))], ids=lambda a: a[0])
def test_a_database_of_another_application_is_left_alone(tmp_path: Path, args: tuple[str, ...]) -> None:
    file = tmp_path / "contacts.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE contacts (name TEXT)")
        connection.execute("INSERT INTO contacts VALUES ('Ada')")
    connection.close()
    before = file.read_bytes()

    told = Cli(f"sqlite:///{file}").refusal(*args)

    assert told == f"{file} holds something else than a ledger; name another file with --db"
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_an_empty_file_becomes_a_ledger_by_taking_in_and_not_by_asking(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.touch()
    cli = Cli(f"sqlite:///{file}")

    assert cli.refusal("shipments").startswith(f"there is no ledger at {file}; ")
    assert file.read_bytes() == b""
    cli.ingest("poll_failed_delivery")
    assert len(cli.json("shipments")) == 1


def test_a_ledger_that_lost_a_table_is_told_in_one_sentence(tmp_path: Path) -> None:
    cli = Cli(f"sqlite:///{tmp_path}/ledger.db")
    cli.ingest("poll_failed_delivery")
    settings = Settings(f"sqlite:///{tmp_path}/ledger.db")
    with open_runtime(settings) as runtime, runtime.database.transaction() as transaction:
        transaction.execute("DROP TABLE {s}shipments")

    assert cli.refusal("shipments") == (
        "the database failed (no such table: shipments); see that it works and try again"
    )


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/none", "postgresql://[bad", "postgresql://localhost/none?colour=red"]
)
def test_a_server_that_cannot_be_used_is_told_in_one_sentence(url: str) -> None:
    told = Cli(url).refusal("shipments")

    assert told.startswith("PostgreSQL cannot be ")
    assert told.endswith("; check --db")


@pytest.mark.parametrize("url", ["ledger.db", "mysql://localhost/ledger", "sqlite://ledger.db", "sqlite:///"])
def test_a_database_of_another_kind_is_a_usage_error(url: str) -> None:
    assert Cli(url).refusal("shipments", code=2) == (
        f"database {url!r} is neither sqlite:///FILE nor postgresql://…; correct --db"
    )


# requests that make no sense


def test_an_unknown_provider_is_a_usage_error_and_makes_no_ledger(cli: Cli, tmp_path: Path) -> None:
    told = cli.refusal("ingest", "clickpots", fixture("poll_failed_delivery"), code=2)

    assert told == "provider 'clickpots' is unknown; use one of: clickpost, ship24, shippit, shiplemon, rye, aftership"
    assert list(tmp_path.iterdir()) == []
    assert cli.refusal("shipments").startswith("there is no ledger ")


@pytest.mark.parametrize("account", ["a:b", "", "north pole", "x" * 65, "ä"])
def test_an_account_that_no_identity_can_hold_is_a_usage_error(account: str) -> None:
    told = Cli("sqlite:///ledger.db").refusal(
        "ingest", "clickpost", fixture("poll_failed_delivery"), "--account", account, code=2
    )

    assert told.startswith(f"account {account!r} must be 1 to 64 of the characters")


def test_context_has_to_be_pairs() -> None:
    told = Cli("sqlite:///ledger.db").refusal(
        "ingest", "clickpost", fixture("poll_2016_shape"), "--context", "cp_id", code=2
    )

    assert told == "context 'cp_id' is not KEY=VALUE, such as cp_id=4"


TIMED = [("status", "X"), ("ndr",), ("stuck",), ("late",), ("edd", "X")]


@pytest.mark.parametrize("args", TIMED, ids=lambda args: args[0])
@pytest.mark.parametrize(
    ("now", "why"),
    [
        ("2026-03-06T12:00:00", "has no zone; add one, such as Z or +05:30"),
        ("2026-03-06", "has no zone; add one, such as Z or +05:30"),
        ("noon", "is not an ISO 8601 time such as 2026-11-21T09:30:00Z"),
        ("2026-13-01T00:00:00Z", "is not an ISO 8601 time such as 2026-11-21T09:30:00Z"),
        ("0001-01-01T00:00:00+05:30", "is not between the years 1 and 9999 in UTC"),
    ],
)
def test_now_has_to_be_a_time_with_a_zone(args: tuple[str, ...], now: str, why: str) -> None:
    told = Cli("sqlite:///ledger.db").usage(*args, "--now", now)

    assert told == f"Error: Invalid value for '--now': {now!r} {why}"


def test_received_at_has_to_have_a_zone(tmp_path: Path) -> None:
    told = Cli("sqlite:///ledger.db").usage(
        "ingest", "clickpost", fixture("webhook_ofd"), "--received-at", "2026-03-06T12:00:00"
    )

    assert "'2026-03-06T12:00:00' has no zone" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("status",),
        ("status", "A", "B"),
        ("timeline",),
        ("ingest",),
        ("ingest", "clickpost"),
        ("ingest", "clickpost", "a.json", "--channel", "fax"),
        ("ndr", "--state", "closed"),
        ("shipments", "--limit", "0"),
        ("stuck", "--limit", "many"),
        ("late", "--limit", "-1"),
        ("parked", "--limit", "100001"),
        ("shipments", "--colour"),
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_parsed_is_a_usage_error(tmp_path: Path, args: tuple[str, ...]) -> None:
    assert Cli("sqlite:///ledger.db").usage(*args).startswith("Error: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "args", [("status", "\udcff"), ("shipments", "--carrier", "\udcff"), ("unmapped", "--provider", "\udcff")]
)
def test_arguments_that_are_not_utf8_are_a_usage_error(filled: Cli, args: tuple[str, ...]) -> None:
    assert filled.refusal(*args, code=2) == r"'\udcff' is not text in UTF-8; correct it"


# help


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    for flag in ("--help", "-h"):
        told = CliRunner().invoke(main, [command, flag])
        assert told.exit_code == 0
        assert told.stdout.startswith(f"Usage: main {command} ")
        for option in ("--db", "--json", "--allow-volatile"):
            assert option in told.stdout
    assert list(tmp_path.iterdir()) == []


def test_help_lists_every_command() -> None:
    told = CliRunner().invoke(main, ["--help"]).stdout

    for command in main.commands:
        assert f"\n  {command} " in told
    assert CliRunner().invoke(main, []).exit_code == 2


# what a provider says on a terminal

STEERING = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202egnp\u2066.\r\nnext\x7f"


def test_nothing_that_a_provider_says_steers_the_terminal(cli: Cli, tmp_path: Path) -> None:
    held = json.loads(Path(fixture("webhook_unmapped")).read_text())
    held |= {"status": STEERING, "remark": STEERING, "location": STEERING}
    held["additional"]["order_id"] = STEERING
    moving = held | {"clickpost_status_code": 5, "timestamp": "2026-03-08T09:00:00Z"}
    name = f"{tmp_path}/\x1b[2J.json"
    files = [
        written(Path(name), held),
        written(tmp_path / "b.json", moving),
        written(tmp_path / "c.json", b'{"\x9b": 1}'),
    ]
    id_ = "default:clickpost:4:7702913350203"
    commands = [("ingest", "clickpost", *files, f"{tmp_path}/missing\x1b.json", "--channel", "webhook")]
    commands += [("status", id_), ("timeline", id_), ("edd", id_), ("shipments",), ("stuck",), ("late",)]
    commands += [("unmapped",), ("parked",), ("status", STEERING), ("status", f"{STEERING} unknown"), ("rebuild",)]

    for command in commands:
        for options in ((), ("--json",)):
            result = cli(*command, *options, terminal=True)
            printed = result.stdout + result.stderr
            steering = {character for character in printed if not character.isprintable()} - {"\n"}
            assert not steering, (command, options, steering)

    row = cli.json("timeline", id_)[0]
    assert (row["status_said"], row["remark"], row["location"]) == (STEERING, STEERING, STEERING)
    assert r"\x1b[31mred" in cli.text("status", id_)


def test_other_scripts_and_blanks_stay_readable_beside_what_is_escaped(cli: Cli, tmp_path: Path) -> None:
    held = json.loads(Path(fixture("webhook_ofd")).read_text())
    held |= {"location": "पुणे\u00a0कोथरूड 東京\u3000支店\x1b", "status": "[bold]Verteilt[/bold] :boom:"}
    cli.json("ingest", "clickpost", written(tmp_path / "held.json", held), "--channel", "webhook")

    for command in (("status", "TL-20417"), ("shipments",), ("timeline", "TL-20417")):
        assert r"पुणे कोथरूड 東京 支店\x1b" in cli.text(*command)
    assert "[bold]Verteilt[/bold] :boom:" in cli.text("timeline", "TL-20417")


# both databases


def test_both_databases_give_the_same_answers(tmp_path: Path, postgres_url: str) -> None:
    polls = [path.stem for path in sorted(Path(fixture("poll_delivered")).parent.glob("poll_*.json"))]
    webhooks = [path.stem for path in sorted(Path(fixture("webhook_ofd")).parent.glob("webhook_*.json"))]
    webhooks.remove("webhook_delivered_with_ndr")

    def without(answer: Any) -> Any:
        """What does not depend on the ledger's own clock."""
        if isinstance(answer, list):
            return [without(one) for one in answer]
        if isinstance(answer, dict):
            recorded = {"recorded_at", "opened_at", "first_seen", "last_seen"}
            if answer.get("source") == "promise":
                recorded |= {"stated_at"}
            if answer.get("kind") == "nothing_heard":
                recorded |= {"quiet_since", "stuck_after"}
            return {name: without(value) for name, value in answer.items() if name not in recorded}
        return answer

    def answers(url: str) -> dict[str, Any]:
        cli = Cli(url)
        taken = [
            cli.json("ingest", "clickpost", *map(fixture, names), "--channel", channel, "--received-at", at, code=code)
            for names, channel, at, code in (
                (polls, "poll", "2026-03-12T10:00:00Z", 1),
                (webhooks, "webhook", "2026-03-12T11:00:00.000500Z", 0),
            )
        ]
        promise = ("--promised", "2026-03-01/2026-03-02", "--tracker", "clickpost:4:7702913348051")
        cli.json("register", "--reference", "Zürich-1", "--order-id", "ä", *promise)
        piece = ("--piece-of", "default:clickpost:4:7702913348051", "--tracker", "clickpost:6:143399020817")
        cli.json("register", "--reference", "a-2", *piece)
        now = ("--now", "2026-04-01T00:00:00Z")
        ids = [row["shipment_id"] for row in cli.json("shipments")]
        asked = [("shipments",), ("ndr", *now), ("stuck", *now), ("late", *now), ("unmapped",), ("parked",)]
        for id_ in ids:
            asked += [("status", id_, *now), ("timeline", id_), ("edd", id_, *now)]
        asked += [("status", "Zürich-1", *now), ("rebuild",), ("project",)]
        return {"taken": without(taken)} | {" ".join(args): without(cli.json(*args)) for args in asked}

    on_sqlite, on_postgresql = answers(f"sqlite:///{tmp_path}/ledger.db"), answers(postgres_url)

    assert len(on_sqlite["shipments"]) > 8
    for question in ("ndr", "stuck", "late"):
        assert on_sqlite[f"{question} --now 2026-04-01T00:00:00Z"], question
    assert on_sqlite["unmapped"]
    assert on_sqlite["parked"]
    assert list(on_sqlite) == list(on_postgresql)
    for question, answer in on_sqlite.items():
        assert answer == on_postgresql[question], question


# the installed command


def script(*args: str, url: str | None = None, input: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    """The installed command in a process of its own."""
    environment = {**os.environ, **({"TRACKLEDGER_DB": url} if url else {})}
    return subprocess.run([installed(), *args], env=environment, input=input, capture_output=True)


def test_the_installed_command_takes_in_and_answers(database_url: str) -> None:
    body = Path(fixture("poll_failed_delivery")).read_bytes()

    taken = script("ingest", "clickpost", "-", url=database_url, input=body)
    assert (taken.returncode, taken.stderr) == (0, b"")
    assert taken.stdout.decode() == f"-: 9 recorded, 0 amended, 0 repeated: {ATTEMPTED}\n"

    told = script("status", "TL-20417", "--json", "--now", NOW, url=database_url)
    assert (told.returncode, told.stderr) == (0, b"")
    assert json.loads(told.stdout)["status"]["milestone"] == "out_for_delivery"

    missing = script("status", "TL-99999", url=database_url)
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert missing.stderr.count(b"\n") == 1

    wrong = script("stuck", "--now", "2026-03-06", url=database_url)
    assert (wrong.returncode, wrong.stdout) == (2, b"")


def test_the_installed_command_survives_a_reader_that_leaves(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    names = tmp_path / "many.csv"
    names.write_text("reference\n" + "".join(f"ORDER-{n:06}\n" for n in range(3000)))
    Cli(url).json("register", "--file", str(names))
    for options in ((), ("--json",)):
        environment = {**os.environ, "TRACKLEDGER_DB": url}
        process = subprocess.Popen(
            [installed(), "shipments", "--limit", "3000", *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        process.wait()


def test_the_installed_command_knows_its_version() -> None:
    from importlib.metadata import version

    assert script("--version").stdout.decode() == version("trackledger") + "\n"


def test_instants_are_told_in_utc_whatever_the_zone_of_the_machine(filled: Cli, database_url: str) -> None:
    environment = {**os.environ, "TRACKLEDGER_DB": database_url, "TZ": "America/New_York"}
    there = subprocess.run([installed(), "shipments", "--json"], env=environment, capture_output=True, check=True)

    assert json.loads(there.stdout) == filled.json("shipments")


def test_an_open_ledger_of_a_host_and_the_command_work_side_by_side(
    cli: Cli, open_ledger: Callable[[], Runtime]
) -> None:
    host = open_ledger()
    cli.ingest("poll_failed_delivery")
    body = Path(fixture("poll_not_picked_up")).read_bytes()
    host.intake.take([message("clickpost", body, received_at=datetime.now(UTC))])
    host.projector.catch_up()

    assert [row["shipment_id"] for row in cli.json("shipments")] == [ATTEMPTED, NEVER_PICKED_UP]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://bob:s3cret@h/db",
        "postgresql+psycopg://bob:s3cret@h/db",
        "postgresql://bob:s3cret@[::1/db",
        "postgresql://bob:s3cret%zz@localhost:1/db",
        "postgresql://bob:s3cret@127.0.0.1:1/db",
    ],
)
def test_a_password_in_the_url_is_never_told(url: str) -> None:
    result = Cli(url)("shipments")

    assert result.exit_code in (1, 2)
    assert "s3cret" not in result.output
