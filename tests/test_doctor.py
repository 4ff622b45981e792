"""Does `doctor` find what does not work, and say what to do?"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from support.cli import ATTEMPTED, Cli, fixture
from trackledger.adapters.checks import database as checked
from trackledger.adapters.clock import Clock
from trackledger.adapters.inbox import message
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.schema import POISONED, POLL_ACCOUNTS, SCHEDULE, PollAccountRow, ScheduleRow
from trackledger.projections.tables import POSITION, Poisoned

KEY = "hush-this-is-the-key"
SECRET = "hush-this-signs-webhooks"
ENDPOINT = "q8Rk2vXw7TnB4sLz"
TOKEN = "hush-this-token-admits-asha"
CONNECTED = f"""
[accounts.default.clickpost]
key_env = "CLICKPOST_KEY"
user = "shop"
[[accounts.default.clickpost.webhooks]]
endpoint = "{ENDPOINT}"
secrets_env = ["CLICKPOST_WEBHOOK_SECRET"]
[[tokens]]
name = "asha"
token_env = "TOKEN_ASHA"
rights = "operate"
"""
AT = datetime(2026, 3, 6, 10, tzinfo=UTC)
SOON = ("--now", "2026-03-06T10:00:30Z")

Patch = pytest.MonkeyPatch
Open = Callable[[], Runtime]


@pytest.fixture
def connected(cli: Cli, monkeypatch: Patch) -> Cli:
    """The command on a ledger of one parcel, with ClickPost connected and everything as it should be."""
    monkeypatch.setenv("CLICKPOST_KEY", KEY)
    monkeypatch.setenv("CLICKPOST_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("TOKEN_ASHA", TOKEN)
    Path("trackledger.toml").write_text(CONNECTED)
    cli.ingest("poll_failed_delivery")
    return cli


def told(cli: Cli, *args: str, code: int = 0) -> dict[str, tuple[str, str, str]]:
    """Each check with its state, what it says and the remedy; no secret is in any of it."""
    found = cli.json("doctor", *args, code=code)
    assert not [secret for secret in (KEY, SECRET, ENDPOINT, TOKEN) if secret in str(found)]
    return {one["check"]: (one["state"], one["says"], one["remedy"]) for one in found}


def test_a_healthy_ledger_gets_nothing_but_ok(connected: Cli, database_url: str) -> None:
    found = told(connected, *SOON)

    assert {name: state for name, (state, _, _) in found.items()} == dict.fromkeys(
        (
            "configuration", "account default.clickpost", "tokens", "proof", "database", "clock", "ledger", "shipments",
            "inbox", "parked", "statuses", "silent providers", "stopped accounts", "poll schedule", "policies",
            "rebuilds", "seal",
        ),
        "ok",
    )  # fmt: skip
    assert found["configuration"][1] == "trackledger.toml: 1 account at providers, 1 asked, 1 listened to"
    assert found["account default.clickpost"][1] == "asked, its key is there; listened to at 1 endpoint, 1 secret there"
    assert found["ledger"][1] == "2 events, the tables are 0 events behind"
    assert found["tokens"][1] == "1 token of 1 account, 1 to operate, 0 to see raw messages"
    kept = (
        "journal_mode=wal, synchronous=full"
        if database_url.startswith("sqlite:")
        else "fsync=on, synchronous_commit=on, full_page_writes=on"
    )
    assert found["database"][1].endswith(f": {kept}")


def test_for_people_there_is_a_line_for_each_check(connected: Cli) -> None:
    lines = connected.text("doctor", *SOON).splitlines()

    assert len(lines) == len(told(connected, *SOON))
    assert lines[0] == "ok       configuration: trackledger.toml: 1 account at providers, 1 asked, 1 listened to"
    assert KEY not in str(lines) and SECRET not in str(lines)


def test_a_failure_is_shown_with_its_remedy_and_by_the_exit_code(connected: Cli, monkeypatch: Patch) -> None:
    monkeypatch.delenv("CLICKPOST_WEBHOOK_SECRET")

    lines = connected.text("doctor", *SOON, code=1).splitlines()

    assert lines[1] == (
        "failed   account default.clickpost: trackledger.toml: accounts.default.clickpost.webhooks[0].secrets_env names"
        " the environment variable CLICKPOST_WEBHOOK_SECRET, which is not set; set it to the secret"
    )


def test_it_prints_an_example_and_looks_at_nothing(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.chdir(tmp_path)
    nowhere = Cli("postgresql://nowhere.invalid/x")

    Path("trackledger.toml").write_text(nowhere.text("doctor", "--example"))

    assert Path("trackledger.toml").read_text().startswith("# The configuration of trackledger.")
    assert "there is no ledger" in Cli(None).refusal("shipments")


# Configuration


def test_without_a_file_nothing_is_connected(filled: Cli) -> None:
    found = told(filled, *SOON)

    assert found["configuration"][:2] == ("warning", "there is no file, so that nothing outside is connected")
    assert found["silent providers"][1] == "no provider is connected"


def test_nobody_being_admitted_is_a_warning_where_there_is_a_server(connected: Cli) -> None:
    says = "there is none, so that nobody may use the query API and the console"
    Path("trackledger.toml").write_text(CONNECTED.partition("[[tokens]]")[0])
    assert told(connected, *SOON)["tokens"] == (
        "warning",
        says,
        "admit somebody with a table [[tokens]] as `trackledger doctor --example` shows",
    )
    Path("trackledger.toml").write_text(CONNECTED.partition("[[accounts")[0])
    assert told(connected, *SOON)["tokens"] == ("ok", says, "")


def test_a_token_that_is_not_there_fails(connected: Cli, monkeypatch: Patch) -> None:
    monkeypatch.delenv("TOKEN_ASHA")

    assert told(connected, *SOON, code=1)["tokens"] == (
        "failed",
        "trackledger.toml: tokens[0].token_env names the environment variable TOKEN_ASHA, which is not set",
        "set it to the token",
    )


def test_a_bad_file_fails(cli: Cli) -> None:
    Path("trackledger.toml").write_text("[server]\nprot = 1")

    assert told(cli, code=1) == {
        "configuration": ("failed", "trackledger.toml: server.prot is unknown", "did you mean port?")
    }


def test_a_follow_up_that_cannot_be_fails(cli: Cli, monkeypatch: Patch) -> None:
    monkeypatch.setenv("TRACKLEDGER_FOLLOW_UP", "rye=clickpost")

    state, says, remedy = told(cli, code=1)["configuration"]
    assert (state, remedy) == ("failed", "use one of: aftership")
    assert says == "follow-up rye=clickpost: clickpost takes no reference of ours"


def test_credentials_that_cannot_be_right_fail(connected: Cli) -> None:
    Path("trackledger.toml").write_text(CONNECTED.replace('user = "shop"', ""))

    assert told(connected, *SOON, code=1)["account default.clickpost"] == (
        "failed", "clickpost: a key and a user name are needed", "set both for this account",
    )  # fmt: skip


def test_webhooks_of_a_provider_that_sends_none_fail(connected: Cli) -> None:
    Path("trackledger.toml").write_text(CONNECTED.replace("clickpost", "shiplemon"))

    state, says, remedy = told(connected, *SOON, code=1)["account default.shiplemon"]
    assert (state, remedy) == ("failed", "remove it and set key_env")
    assert says.endswith("accounts.default.shiplemon.webhooks cannot be, as shiplemon sends none")


def test_a_follow_up_that_is_not_connected_is_warned_of(connected: Cli) -> None:
    rye = '[accounts.default.rye]\n[[accounts.default.rye.webhooks]]\nendpoint = "Zt5mC1yHd9JpQ0fG"\n'
    Path("trackledger.toml").write_text(CONNECTED + rye + 'secrets_env = ["CLICKPOST_WEBHOOK_SECRET"]')

    assert told(connected, *SOON)["follow-up"] == (
        "warning",
        "the parcels of default.rye are to be followed at aftership, which is not connected",
        "add [accounts.default.aftership], or set rye to another or none in [follow_up]",
    )


# Database and clock


def test_before_the_first_message_there_is_no_ledger_which_is_no_failure(cli: Cli) -> None:
    state, says, remedy = told(cli)["database"]

    assert (state, remedy) == ("warning", "ingest a message or register a shipment first")
    assert says.startswith("there is no ledger")


def test_a_file_that_is_no_ledger_fails(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.db").write_bytes(b"not a database at all" * 100)

    state, says, remedy = told(Cli("sqlite:///other.db"), code=1)["database"]
    assert (state, remedy) == ("failed", "name another file with --db")
    assert says.startswith("other.db cannot be opened as a ledger")


def test_a_server_that_is_not_there_fails_without_its_password(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.chdir(tmp_path)

    state, says, _ = told(Cli(f"postgresql://me:{KEY}@127.0.0.1:1/nowhere"), code=1)["database"]
    assert state == "failed"
    assert says.startswith("PostgreSQL cannot be reached")


def test_a_password_of_the_database_is_not_shown(postgres_url: str, tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.chdir(tmp_path)
    cli = Cli(f"{postgres_url}{'&' if '?' in postgres_url else '?'}password={KEY}")
    cli.ingest("poll_failed_delivery")

    assert "password=***" in told(cli, *SOON)["database"][1]


def test_a_file_without_its_write_ahead_log_fails(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.chdir(tmp_path)
    cli = Cli("sqlite:///ledger.db")
    cli.ingest("poll_failed_delivery")
    with sqlite3.connect("ledger.db") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()

    assert told(cli, *SOON, code=1)["database"] == (
        "failed",
        "sqlite:///ledger.db can lose what it acknowledged: journal_mode=delete",
        "run PRAGMA journal_mode = WAL on the file while nothing else has it open",
    )


def test_a_server_that_may_forget_fails_unless_that_was_accepted(postgres_url: str) -> None:
    Cli(postgres_url).ingest("poll_failed_delivery")
    separator = "&" if "?" in postgres_url else "?"
    forgetful = Cli(f"{postgres_url}{separator}options=-c%20synchronous_commit%3Doff")

    state, says, remedy = told(forgetful, *SOON, code=1)["database"]
    assert state == "failed" and "synchronous_commit=off" in says and "turn it on" in remedy
    state, says, remedy = told(forgetful, "--allow-volatile", *SOON)["database"]
    assert (state, remedy) == ("warning", "turn it on in the server's configuration")
    assert says.endswith("can lose what it acknowledged: synchronous_commit=off")


GOOD = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "server_version_num": "150004"}


@pytest.mark.parametrize(
    ("settings", "state", "says"),
    [
        (GOOD, "ok", "db: fsync=on, synchronous_commit=on, full_page_writes=on"),
        (GOOD | {"synchronous_commit": "local"}, "ok", "db: fsync=on, synchronous_commit=local, full_page_writes=on"),
        (GOOD | {"fsync": "off"}, "failed", "db can lose what it acknowledged: fsync=off"),
        (GOOD | {"full_page_writes": "off"}, "failed", "db can lose what it acknowledged: full_page_writes=off"),
        (GOOD | {"server_version_num": "140011"}, "failed", "db is a PostgreSQL 14"),
        ({}, "failed", "db can lose what it acknowledged: fsync=unknown, synchronous_commit=unknown, "
         "full_page_writes=unknown"),
    ],
)  # fmt: skip
def test_settings_of_a_server_are_judged(settings: dict[str, str], state: str, says: str) -> None:
    found = checked.judged("postgresql", "db", settings)

    assert (found.state, found.says) == (state, says)
    assert bool(found.remedy) == (state != "ok")


@pytest.mark.parametrize(
    ("skew", "within", "says"),
    [
        (2.5, 0.1, "the database's clock is 2.5 s ahead of this machine's"),
        (-3.0, 0.1, "the database's clock is 3.0 s behind this machine's"),
        (2.5, 0.6, "the machine's, and the database agrees within 2 s"),
        (0.0, 0.0, "the machine's, and the database agrees within 2 s"),
    ],
)
def test_clocks_that_disagree_are_warned_of(skew: float, within: float, says: str) -> None:
    found = checked.compared(Clock(), timedelta(seconds=skew), timedelta(seconds=within))

    assert found.says == says
    assert found.state == ("ok" if "agrees" in says else "warning")


def test_a_rehearsal_is_warned_of(connected: Cli) -> None:
    clock = "[clock]\nworld = 2026-03-06T10:00:00Z\nreal = 2026-03-06T10:00:00Z\nspeed = 1.5\n"
    Path("trackledger.toml").write_text(CONNECTED + clock)

    state, says, remedy = told(connected)["clock"]
    assert (state, remedy) == ("warning", "remove [clock] from the configuration to use the machine's")
    assert says.startswith("a rehearsal's: it shows 20") and says.endswith("and runs 1.5 times as fast")


# The line


def test_tables_that_are_behind_are_warned_of(connected: Cli, open_ledger: Open) -> None:
    body = Path(fixture("poll_not_picked_up")).read_bytes()
    open_ledger().intake.take([message("clickpost", body, received_at=AT)])

    assert told(connected, *SOON)["ledger"] == (
        "warning",
        "4 events, the tables are 2 events behind",
        "see that `trackledger run` works, or run `trackledger project`",
    )


def test_a_shipment_that_cannot_be_folded_fails(connected: Cli, open_ledger: Open) -> None:
    with open_ledger().database.transaction() as transaction:
        transaction.upsert(POISONED, [Poisoned(ATTEMPTED, 2, "LookupError: unheard of")])

    assert told(connected, *SOON, code=1)["shipments"] == (
        "failed",
        f"1 shipment cannot be folded, e.g. {ATTEMPTED}: the rows are old",
        "see why in `trackledger parked`, upgrade, and `trackledger rebuild`",
    )


def test_messages_that_wait_are_warned_of_once_that_takes_long(connected: Cli, open_ledger: Open) -> None:
    waiting = [message("clickpost", body, received_at=AT) for body in (b"{}", b"[]")]
    open_ledger().inbox.append(waiting)

    assert told(connected, *SOON)["inbox"][:2] == ("ok", "2 messages wait, the oldest for 30 s")
    assert told(connected, "--now", "2026-03-06T10:03:00Z")["inbox"] == (
        "warning",
        "2 messages wait, the oldest for 3 min",
        "see that `trackledger run` works, or run `trackledger project`",
    )


def test_in_a_rehearsal_long_is_what_is_long_for_the_machine(connected: Cli, open_ledger: Open) -> None:
    clock = "[clock]\nworld = 2026-03-06T10:00:00Z\nreal = 2026-03-06T10:00:00Z\nspeed = 100\n"
    Path("trackledger.toml").write_text(CONNECTED + clock)
    open_ledger().inbox.append([message("clickpost", b"{}", received_at=AT)])

    assert told(connected, "--now", "2026-03-06T11:00:00Z")["inbox"][0] == "ok"
    assert told(connected, "--now", "2026-03-06T12:00:00Z")["inbox"][0] == "warning"


def test_parked_messages_are_counted_by_provider(connected: Cli, open_ledger: Open) -> None:
    unreadable = [(provider, body) for provider in ("shippit", "clickpost") for body in (b"no", b"not that")]
    open_ledger().intake.take([message(provider, body, received_at=AT) for provider, body in unreadable[1:]])

    assert told(connected, *SOON)["parked"] == (
        "warning",
        "messages that could not be read: 2 of clickpost, 1 of shippit",
        "see why in `trackledger parked`",
    )


def test_statuses_without_a_mapping_are_counted(connected: Cli) -> None:
    connected.ingest("webhook_unmapped", channel="webhook", at="2026-03-08T09:59:00Z")

    state, says, remedy = told(connected, *SOON)["statuses"]
    assert (state, remedy) == ("warning", "see them in `trackledger unmapped`, and upgrade or report them")
    assert says == "1 status that no mapping knows"


def test_a_provider_that_is_silent_is_warned_of(connected: Cli) -> None:
    ship24 = '[accounts.outlet.ship24]\nkey_env = "CLICKPOST_KEY"\n'
    Path("trackledger.toml").write_text(CONNECTED + ship24)

    assert told(connected, "--now", "2026-03-07T09:00:00Z")["silent providers"][1] == (
        "nothing was heard from outlet.ship24 ever"
    )
    assert told(connected, "--now", "2026-03-08T11:00:00Z")["silent providers"] == (
        "warning",
        "nothing was heard from default.clickpost for 2 d, outlet.ship24 ever",
        "see that `trackledger run` works and that the webhooks are set up at the provider",
    )


def scheduled(tracker: str, due_at: datetime, **values: Any) -> ScheduleRow:
    """A tracker that is asked about."""
    row = ScheduleRow(
        tracker=tracker,
        account="default",
        provider="clickpost",
        reference="4:1",
        carrier="",
        tracking_number="1",
        shipment_id=tracker,
        state="asking",
        reason="",
        scheduled_at=due_at,
        due_at=due_at,
    )
    return replace(row, **values)


def test_trackers_that_nobody_asks_about_are_warned_of(connected: Cli, open_ledger: Open) -> None:
    rows = [
        scheduled("a", AT - timedelta(hours=5)),
        scheduled("b", AT - timedelta(minutes=20)),
        scheduled("c", AT - timedelta(minutes=5)),
        scheduled("d", AT - timedelta(days=5), state="stopped", reason="final"),
    ]
    with open_ledger().database.transaction() as transaction:
        transaction.upsert(SCHEDULE, rows)

    assert told(connected, *SOON)["poll schedule"] == (
        "warning",
        "2 trackers overdue, the oldest by 5 h",
        "see that `trackledger run` or `trackledger poll` works",
    )


def test_an_account_that_was_stopped_fails(connected: Cli, open_ledger: Open) -> None:
    rows = [
        PollAccountRow(account, "clickpost", AT, None, stopped, "", None, AT, None)
        for account, stopped in (("default", "clickpost: the key is refused"), ("outlet", ""))
    ]
    with open_ledger().database.transaction() as transaction:
        transaction.upsert(POLL_ACCOUNTS, rows)

    assert told(connected, *SOON, code=1)["stopped accounts"] == (
        "failed",
        "default.clickpost is not asked any more: clickpost: the key is refused",
        "correct its credentials and start the poller again",
    )


def test_rows_of_other_policies_are_warned_of_until_they_are_rebuilt(connected: Cli) -> None:
    Path("trackledger.toml").write_text(CONNECTED + '[policies]\nversion = "2026-11"\n')

    state, says, remedy = told(connected, *SOON)["policies"]
    assert (state, remedy) == ("warning", "run `trackledger rebuild`")
    assert says.startswith("rows were made by other policies than the configured version 2026-11+")
    assert says.endswith(": 1 by version 1")
    connected.json("rebuild")
    assert told(connected, *SOON)["policies"][0] == "ok"


def test_a_database_that_fails_in_between_is_one_more_failure(connected: Cli, open_ledger: Open) -> None:
    with open_ledger().database.transaction() as transaction:
        transaction.execute("DROP TABLE {s}poll_accounts")

    found = connected.json("doctor", *SOON, code=1)

    assert (found[-1]["check"], found[-1]["state"]) == ("database", "failed")
    assert "poll_accounts" in found[-1]["says"]
    assert found[-1]["remedy"] == "see that it works and try again"


def test_it_changes_nothing(connected: Cli, open_ledger: Open) -> None:
    runtime = open_ledger()
    before = (runtime.store.head(), runtime.store.position(POSITION))

    told(connected, *SOON)

    assert (runtime.store.head(), runtime.store.position(POSITION)) == before
