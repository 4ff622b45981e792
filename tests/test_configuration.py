"""What does a configuration file do, and what is said of one that cannot be used?"""

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.cli import ATTEMPTED, NOW, Cli
from trackledger.adapters.clock import Clock
from trackledger.adapters.configuration import load
from trackledger.adapters.example import example
from trackledger.adapters.settings import (
    Retention,
    ServerSettings,
    Settings,
    Token,
    from_environment,
    without_password,
)
from trackledger.domain.errors import UsageError
from trackledger.domain.policies.attempts import AttemptPolicy
from trackledger.projections.conclusions import Policies

ENDPOINT = "q8Rk2vXw7TnB4sLz"
OTHER = "Zt5mC1yHd9JpQ0fG"
KEY = "hush-this-is-the-key"
WEBHOOK = "hush-this-signs-webhooks"

CONNECTED = f"""
[accounts.default.clickpost]
key_env = "CLICKPOST_KEY"
user = "shop"
url = "http://127.0.0.1:9000/clickpost"
options = {{ account_code = "A1" }}
context = {{ zone_offset = "330" }}
per_second = 2

[[accounts.default.clickpost.webhooks]]
endpoint = "{ENDPOINT}"
secrets_env = ["CLICKPOST_WEBHOOK_SECRET", "CLICKPOST_OLD_SECRET"]
header = "X-Secret"
sender = "4711"

[accounts.outlet.ship24]
key_env = "CLICKPOST_KEY"
ask = false

[[accounts.outlet.ship24.webhooks]]
endpoint = "{OTHER}"
secrets_env = ["CLICKPOST_WEBHOOK_SECRET"]
"""
SECRETS = {"CLICKPOST_KEY": KEY, "CLICKPOST_WEBHOOK_SECRET": WEBHOOK, "CLICKPOST_OLD_SECRET": f"{WEBHOOK}-old"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, and where its configuration file would be."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "trackledger.toml"


def configured(text: str) -> Settings:
    """What a file in the working directory leads to, with every secret in the environment."""
    Path("trackledger.toml").write_text(text)
    return from_environment(outside=True, environ=SECRETS)


# A good file


def test_everything_that_a_file_says_is_in_the_settings(here: Path) -> None:
    said = configured(
        CONNECTED
        + """
        [follow_up]
        rye = "none"
        [server]
        host = "0.0.0.0"
        port = 9999
        max_body = 4096
        max_concurrent = 3
        per_minute = 7
        api_per_minute = 8
        [retention]
        done = 1.5
        ignored = "forever"
        parked = 365
        [clock]
        world = 2026-03-01T00:00:00Z
        real = 2026-11-21T09:30:00+01:00
        speed = 600
        ends = 2026-03-31T00:00:00Z
        """
    )

    assert said.server == ServerSettings("0.0.0.0", 9999, 4096, 3, 7, 8)
    assert said.retention == Retention(timedelta(hours=36), None, timedelta(days=365))
    real = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
    assert said.clock == Clock(datetime(2026, 3, 1, tzinfo=UTC), real, 600, datetime(2026, 3, 31, tzinfo=UTC))
    assert (said.follow_up, said.database, said.policies) == ({}, "sqlite:///trackledger.db", None)
    clickpost, ship24 = said.accounts
    assert clickpost.access is not None
    assert clickpost.access.key.get_secret_value() == KEY
    assert (clickpost.access.user, clickpost.access.url) == ("shop", "http://127.0.0.1:9000/clickpost")
    assert (clickpost.access.options, clickpost.context) == ({"account_code": "A1"}, {"zone_offset": "330"})
    assert clickpost.per_second == 2
    endpoint = clickpost.endpoints[ENDPOINT]
    assert [one.get_secret_value() for one in endpoint.secrets] == [WEBHOOK, f"{WEBHOOK}-old"]
    assert (endpoint.header.lower(), endpoint.sender) == ("x-secret", "4711")
    assert (ship24.account, ship24.provider, ship24.access) == ("outlet", "ship24", None)
    assert list(ship24.endpoints) == [OTHER]


def test_a_file_that_says_nothing_changes_nothing(here: Path) -> None:
    assert configured("") == Settings()


def test_the_example_can_be_loaded_and_says_what_the_defaults_are(here: Path) -> None:
    here.write_text(example())
    said = load(here)

    assert (said.server, said.retention, said.clock) == (ServerSettings(), Retention(), Clock())
    assert said.tokens == ()
    assert (said.follow_up, said.withdraws) == (Settings().follow_up, Settings().withdraws)
    assert [(one.account, one.provider, one.asked) for one in said.connections] == [("default", "clickpost", True)]


def test_the_example_can_be_loaded_with_everything_in_it_switched_on(here: Path) -> None:
    here.write_text(re.sub(r"^#(?=\S)", "", example(), flags=re.MULTILINE))
    said = load(here)

    assert [one.provider for one in said.connections] == ["clickpost", "aftership"]
    assert said.policies is not None
    assert said.policies.silence.quiet_for("in_transit", "DELHIVERY", "Express")[0] == timedelta(hours=36)  # type: ignore[arg-type]
    assert said.policies.silence.quiet_for("in_transit", "DTDC", "Express")[0] == timedelta(hours=72)  # type: ignore[arg-type]
    assert said.clock.speed == 600
    assert [(one.said.name, one.said.account, one.said.rights, one.said.raw) for one in said.tokens] == [
        ("asha", "default", "operate", True)
    ]


def test_no_two_examples_have_the_same_endpoints() -> None:
    def endpoints() -> set[str]:
        return set(re.findall(r'endpoint = "(\S+)"', example()))

    first, second = endpoints(), endpoints()
    assert len(first) == len(second) == 2
    assert not first & second


def test_a_relative_file_of_a_ledger_lies_beside_its_configuration(tmp_path: Path, here: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "shop.toml").write_text('database = "sqlite:///shop.db"')

    assert from_environment(config="etc/shop.toml", environ={}).database == f"sqlite:///{folder}/shop.db"


# What counts more


def test_an_option_beats_the_environment_and_the_environment_the_file(cli: Cli, database_url: str) -> None:
    cli.ingest("poll_failed_delivery")
    alone = Cli(None)
    Path("trackledger.toml").write_text('database = "sqlite:///nowhere.db"')

    assert "there is no ledger at" in alone.refusal("status", ATTEMPTED)
    assert alone("--db", database_url, "status", ATTEMPTED).exit_code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKLEDGER_DB", database_url)
        assert alone("status", ATTEMPTED).exit_code == 0
        assert "there is no ledger at other.db" in alone.refusal("--db", "sqlite:///other.db", "status", ATTEMPTED)


def test_the_file_is_the_one_asked_for_else_that_of_the_environment_else_that_of_the_folder(here: Path) -> None:
    for name in ("trackledger", "one", "two"):
        Path(f"{name}.toml").write_text(f'database = "sqlite:////{name}.db"')
    environ = {"TRACKLEDGER_CONFIG": "one.toml"}

    assert from_environment(config="two.toml", environ=environ).database == "sqlite:////two.db"
    assert from_environment(environ=environ).database == "sqlite:////one.db"
    assert from_environment(environ={}).database == "sqlite:////trackledger.db"
    here.unlink()
    assert from_environment(environ={}).database == "sqlite:///trackledger.db"


def test_the_environment_beats_the_file_on_follow_up(here: Path) -> None:
    here.write_text('follow_up = { rye = "none" }')

    assert from_environment(environ={}).follow_up == {}
    assert from_environment(environ={"TRACKLEDGER_FOLLOW_UP": "rye=aftership"}).follow_up == {"rye": "aftership"}


def test_the_option_may_stand_before_and_after_the_command(cli: Cli) -> None:
    cli.ingest("poll_failed_delivery")
    Path("bad.toml").write_text("prot = 1")
    Path("good.toml").write_text("")

    assert "prot" in cli.refusal("--config", "bad.toml", "shipments", code=2)
    assert "prot" in cli.refusal("shipments", "--config", "bad.toml", code=2)
    assert cli("--config", "bad.toml", "shipments", "--config", "good.toml").exit_code == 0


# Policies


POLICIES = """
[policies]
version = "2026-11"
[[policies.silence]]
carrier = "Delhivery"
hours = { out_for_delivery = 1 }
[policies.attempts]
carriers = { Delhivery = 2 }
"""


def test_the_policies_of_the_file_make_the_rows_and_a_rebuild_makes_the_older_ones(cli: Cli) -> None:
    cli.ingest("poll_failed_delivery")
    (before,) = cli.json("stuck", "--now", "2026-03-08T00:00:00Z")
    Path("trackledger.toml").write_text(POLICIES)
    assert cli.json("stuck", "--now", NOW) == []

    told = {one["table"]: one["changed"] for one in cli.json("rebuild")}

    (after,) = cli.json("stuck", "--now", NOW)
    assert (before["stuck_after"], after["stuck_after"]) == ("2026-03-07T00:07:41Z", "2026-03-06T05:07:41Z")
    assert before["policy_version"] == "1"
    assert re.fullmatch(r"2026-11\+[0-9a-f]{8}", after["policy_version"])
    assert told["silence"] == 1


def test_messages_are_taken_in_under_the_policies_of_the_file(cli: Cli) -> None:
    Path("trackledger.toml").write_text(POLICIES)
    cli.ingest("poll_failed_delivery")

    assert [row["stuck_after"] for row in cli.json("stuck", "--now", NOW)] == ["2026-03-06T05:07:41Z"]


def policies(text: str) -> Policies:
    """The policies of a file in the working directory."""
    found = configured(text).policies
    assert found is not None
    return found


def test_the_version_of_the_policies_changes_with_their_numbers_and_only_then(here: Path) -> None:
    said = policies(POLICIES)
    assert said.attempts == AttemptPolicy(act_within_by_carrier={"delhivery": timedelta(hours=2)})

    same = policies(POLICIES.replace("hours = { out_for_delivery = 1 }", "hours = { out_for_delivery = 1.0 }"))
    other_silence = policies(POLICIES.replace("out_for_delivery = 1", "out_for_delivery = 2"))
    other_attempts = policies(POLICIES.replace("Delhivery = 2", "Delhivery = 3"))
    other_name = policies(POLICIES.replace("2026-11", "2026-12"))

    versions = [one.silence.version for one in (said, other_silence, other_attempts, other_name)]
    assert same.silence.version == versions[0]
    assert len(set(versions)) == 4


# A file that cannot be used

ACCOUNT = "[accounts.default.clickpost]\n"
HOOK = f'[[accounts.default.clickpost.webhooks]]\nendpoint = "{ENDPOINT}"\nsecrets_env = ["S"]\n'
NAME_OF_VARIABLE = (
    "has to be the name of an environment variable in capitals, such as CLICKPOST_KEY; the secret itself does not "
    "belong into the file"
)
LIST_OF_VARIABLES = (
    'has to be a list of 1 to 10 names of environment variables, such as ["CLICKPOST_WEBHOOK_SECRET"]; the secrets '
    "themselves do not belong into the file"
)
NOT_HERE = (
    "may not be here, as secrets do not belong into the file; put it into an environment variable and write its name as"
)
GUESSABLE = (
    "has to be 16 to 128 random characters of A-Z a-z 0-9 _ -, which nobody can guess; make one with "
    '`python -c "import secrets; print(secrets.token_urlsafe(24))"`'
)
DAYS = 'has to be a number of days above 0 and up to 36500, or "forever"'
DATABASE = "database holds a password; leave it out, and set the whole URL as TRACKLEDGER_DB, or PGPASSWORD"
URL = 'has to be "sqlite:///FILE" or "postgresql://…", in quotes'
ADDRESS = (
    "accounts.default.clickpost.url has to be an address like https://host, without a user, a password or a query; "
    "http only on this machine"
)
ADMITTED = '[[tokens]]\nname = "asha"\n'
NAME = "has to be 1 to 64 of the characters A-Z a-z 0-9 . _ @ -, in quotes"
PROVIDERS = "clickpost, ship24, shippit, shiplemon, rye, aftership"

BAD: dict[str, tuple[str, str]] = {
    # TOML
    "no value": ("[server]\nport = \nhost = 'a'", "is not TOML: invalid value (at line 2, column 8); correct it there"),
    "a table twice": (
        "[server]\n[server]",
        "is not TOML: cannot declare ('server',) twice (at line 2, column 8); correct it there",
    ),
    "nested too deep": ("a = " + "[" * 5000, "is not TOML: it is nested too deep; correct it"),
    # Keys
    "an unknown table": ("[servr]\nport = 1", "servr is unknown; did you mean server?"),
    "an unknown key": ("[server]\nprot = 1", "server.prot is unknown; did you mean port?"),
    "an unlike key": ("[clock]\nx = 1", "clock.x is unknown; use one of: world, real, speed, ends"),
    "an unknown key of an account": (
        f'{ACCOUNT}key_env = "K"\nusr = "a"',
        "accounts.default.clickpost.usr is unknown; did you mean user?",
    ),
    "an unknown key of webhooks": (
        f'{HOOK}hedaer = "X"',
        "accounts.default.clickpost.webhooks[0].hedaer is unknown; did you mean header?",
    ),
    "an odd key": (
        '"a b\\u001b" = 1',
        '"a b\\u001b" is unknown; use one of: database, withdraws, privacy, follow_up, server, retention, proof, '
        "clock, tokens, policies, accounts",
    ),
    # Types and limits
    "a text for a number": ('[server]\nport = "80"', "server.port has to be a whole number from 0 to 65535"),
    "a number too large": ("[server]\nport = 70000", "server.port has to be a whole number from 0 to 65535"),
    "a truth value for a number": ("[server]\nport = true", "server.port has to be a whole number from 0 to 65535"),
    "a value for a table": ("server = 1", "server has to be a table"),
    "a table for accounts": ("accounts = 1", "accounts has to be tables, each begun by [accounts.NAME.PROVIDER]"),
    "no days": (
        "[retention]\ndone = 0",
        'retention.done has to be a number of days above 0 and up to 36500, or "forever"',
    ),
    "days for ever": ("[retention]\ndone = inf", f"retention.done {DAYS}"),
    "days in words": ('[retention]\nparked = "long"', f"retention.parked {DAYS}"),
    "half a clock": (
        "[clock]\nspeed = 2",
        "clock.world is missing; give a time with its zone, such as 2026-11-21T09:30:00Z",
    ),
    "a clock without a zone": (
        "[clock]\nworld = 2026-01-01T00:00:00\nreal = 2026-01-01T00:00:00Z",
        "clock.world has to be a time with its zone, such as 2026-11-21T09:30:00Z",
    ),
    "a clock that stands": (
        "[clock]\nworld = 2026-01-01T00:00:00Z\nreal = 2026-01-01T00:00:00Z\nspeed = 0",
        "clock.speed has to be a number above 0 and up to 1000000",
    ),
    "ask in words": (f'{ACCOUNT}ask = "yes"', "accounts.default.clickpost.ask has to be true or false"),
    "a context with a number": (
        f'{ACCOUNT}key_env = "K"\ncontext = {{ cp_id = 4 }}',
        "accounts.default.clickpost.context.cp_id has to be text of up to 1000 characters, in quotes",
    ),
    "no calls at all": (
        f'{ACCOUNT}key_env = "K"\nper_second = 0',
        "accounts.default.clickpost.per_second has to be a number of calls per second above 0 and up to 1000",
    ),
    # Secrets
    "a key": (f'{ACCOUNT}key = "{KEY}"', f"accounts.default.clickpost.key {NOT_HERE} key_env"),
    "an API key": (f'{ACCOUNT}api_key = "{KEY}"', f"accounts.default.clickpost.api_key {NOT_HERE} key_env"),
    "a key for its name": (f'{ACCOUNT}key_env = "{KEY}"', f"accounts.default.clickpost.key_env {NAME_OF_VARIABLE}"),
    "a number for its name": (f"{ACCOUNT}key_env = 123", f"accounts.default.clickpost.key_env {NAME_OF_VARIABLE}"),
    "a key among the options": (
        f'{ACCOUNT}key_env = "K"\noptions = {{ token = "{KEY}" }}',
        f"accounts.default.clickpost.options.token {NOT_HERE} key_env",
    ),
    "a secret of webhooks": (
        f'{HOOK}secrets = ["{WEBHOOK}"]',
        f"accounts.default.clickpost.webhooks[0].secrets {NOT_HERE} secrets_env",
    ),
    "a secret for its name": (
        HOOK.replace('"S"', f'"S", "{WEBHOOK}"'),
        f"accounts.default.clickpost.webhooks[0].secrets_env[1] {NAME_OF_VARIABLE}",
    ),
    "a secret for the list": (
        HOOK.replace('["S"]', f'"{WEBHOOK}"'),
        f"accounts.default.clickpost.webhooks[0].secrets_env {LIST_OF_VARIABLES}",
    ),
    "no secrets": (
        HOOK.replace('["S"]', "[]"),
        f"accounts.default.clickpost.webhooks[0].secrets_env {LIST_OF_VARIABLES}",
    ),
    "a password of the database": (
        f'database = "postgresql://me:{KEY}@db/shop"',
        DATABASE,
    ),
    "another database": ('database = "mysql://db/shop"', f"database {URL}"),
    "a ledger in memory": ('database = "sqlite:///:memory:"', f"database {URL}"),
    "no file of a ledger": ('database = "sqlite:///"', f"database {URL}"),
    "a number for a database": ("database = 1", f"database {URL}"),
    "a password in the query": (f'database = "postgresql://db/shop?password={KEY}"', DATABASE),
    # Accounts
    "an account without a provider": (
        '[accounts.clickpost]\nkey_env = "K"',
        "accounts.clickpost.key_env is not within a provider; begin the table by [accounts.NAME.PROVIDER]",
    ),
    "an account without a table": ("[accounts]\ndefault = 1", "accounts.default has to be a table"),
    "an account with a colon": (
        '[accounts."a:b".clickpost]\nkey_env = "K"',
        'accounts."a:b" is no name of an account; use 1 to 64 of the characters A-Z a-z 0-9 . _ -',
    ),
    "an unknown provider": (
        '[accounts.default.clickpots]\nkey_env = "K"',
        "accounts.default.clickpots is unknown; did you mean clickpost?",
    ),
    "a provider like no other": (
        '[accounts.default.x]\nkey_env = "K"',
        f"accounts.default.x is unknown; use one of: {PROVIDERS}",
    ),
    "an account for nothing": (
        f'{ACCOUNT}user = "shop"',
        "accounts.default.clickpost would neither be asked nor listened to; give key_env or webhooks, or remove it",
    ),
    "asked without a key": (
        f"{ACCOUNT}ask = true",
        "accounts.default.clickpost.ask is true without a key; name the environment variable that holds it as key_env",
    ),
    "an address in the clear": (f'{ACCOUNT}key_env = "K"\nurl = "http://example.com"', ADDRESS),
    "an address with a key": (f'{ACCOUNT}key_env = "K"\nurl = "https://example.com?key={KEY}"', ADDRESS),
    "an address with a password": (f'{ACCOUNT}key_env = "K"\nurl = "https://me:{KEY}@example.com"', ADDRESS),
    "an address that is none": (f'{ACCOUNT}key_env = "K"\nurl = "https://[::"', ADDRESS),
    "an address with an odd port": (f'{ACCOUNT}key_env = "K"\nurl = "https://host:port"', ADDRESS),
    "a file for an address": (f'{ACCOUNT}key_env = "K"\nurl = "file:///etc/passwd"', ADDRESS),
    # Endpoints
    "an endpoint that is short": (
        HOOK.replace(ENDPOINT, "clickpost"),
        f"accounts.default.clickpost.webhooks[0].endpoint {GUESSABLE}",
    ),
    "an endpoint with a slash": (
        HOOK.replace(ENDPOINT, f"{ENDPOINT}/a"),
        f"accounts.default.clickpost.webhooks[0].endpoint {GUESSABLE}",
    ),
    "an endpoint with a line's end": (
        HOOK.replace(ENDPOINT, rf"{ENDPOINT}\n"),
        f"accounts.default.clickpost.webhooks[0].endpoint {GUESSABLE}",
    ),
    "no endpoint": (
        HOOK.replace("endpoint", "#"),
        f"accounts.default.clickpost.webhooks[0].endpoint is missing; {GUESSABLE.replace('has to be', 'give')}",
    ),
    "an endpoint twice": (
        HOOK * 2,
        "accounts.default.clickpost.webhooks[1].endpoint is the same as accounts.default.clickpost.webhooks[0].endpoint"
        "; give each endpoint its own name",
    ),
    "an endpoint twice at two providers": (
        HOOK + HOOK.replace("default.clickpost", "outlet.ship24"),
        "accounts.outlet.ship24.webhooks[0].endpoint is the same as accounts.default.clickpost.webhooks[0].endpoint; "
        "give each endpoint its own name",
    ),
    # Others
    "a follow-up of nobody": ('[follow_up]\nryee = "aftership"', "follow_up.ryee is unknown; did you mean rye?"),
    "a follow-up that cannot be": (
        '[follow_up]\nrye = "clickpost"',
        "follow_up.rye cannot be: follow-up rye=clickpost: clickpost takes no reference of ours; use one of: aftership",
    ),
    "a follow-up by a number": ("[follow_up]\nrye = 1", 'follow_up.rye has to be the name of a provider, or "none"'),
    "an unknown withdrawal": ('withdraws = ["shiplemn"]', "withdraws.shiplemn is unknown; did you mean shiplemon?"),
    "an unknown milestone": (
        "[[policies.silence]]\nhours = { in_transt = 1 }",
        "policies.silence[0].hours.in_transt is unknown; did you mean in_transit?",
    ),
    "an allowance after the end": (
        "[[policies.silence]]\nhours = { delivered = 1 }",
        "policies.silence[0].hours.delivered ends the journey, so that no parcel is quiet there; remove it",
    ),
    "hours in words": (
        '[[policies.silence]]\nhours = { in_transit = "1 h" }',
        "policies.silence[0].hours.in_transit has to be a number of hours above 0 and up to 87600",
    ),
    "an allowance twice": (
        '[[policies.silence]]\ncarrier = "A"\nhours = { customs = 1 }\n' * 2,
        "policies.silence[1].hours.customs is set before for this carrier and service; leave one",
    ),
    "silence without a list": (
        "[policies.silence]\nhours = { customs = 1 }",
        "policies.silence has to be tables, each begun by [[policies.silence]]",
    ),
    "hours to act of a carrier in words": (
        '[policies.attempts]\ncarriers = { A = "1" }',
        "policies.attempts.carriers.A has to be a number of hours above 0 and up to 87600",
    ),
    "tokens in one table": (
        '[tokens]\nname = "asha"',
        "tokens has to be tables, each begun by [[tokens]]",
    ),
    "a token in the file": (
        f'{ADMITTED}token = "{KEY}"',
        f"tokens[0].token {NOT_HERE} token_env",
    ),
    "a token instead of its variable": (f'{ADMITTED}token_env = "{KEY}"', f"tokens[0].token_env {NAME_OF_VARIABLE}"),
    "a token without a variable": (
        ADMITTED,
        f"tokens[0].token_env is missing; give {NAME_OF_VARIABLE.removeprefix('has to be ')}",
    ),
    "a token without a name": (
        '[[tokens]]\ntoken_env = "T"',
        f"tokens[0].name is missing; give {NAME.removeprefix('has to be ')}",
    ),
    "a token's name with a blank": ('[[tokens]]\nname = "asha k"\ntoken_env = "T"', f"tokens[0].name {NAME}"),
    "a token's name twice": (
        f'{ADMITTED}token_env = "T"\n{ADMITTED}token_env = "U"',
        "tokens[1].name is the name of another token too; it says who acted, so give each its own",
    ),
    "rights that are none": (
        f'{ADMITTED}token_env = "T"\nrights = "admin"',
        'tokens[0].rights has to be "read" or "operate", in quotes',
    ),
    "an account of a token that is none": (
        f'{ADMITTED}token_env = "T"\naccount = "a b"',
        "tokens[0].account has to be 1 to 64 of the characters A-Z a-z 0-9 . _ -",
    ),
    "raw messages perhaps": (f'{ADMITTED}token_env = "T"\nraw = 1', "tokens[0].raw has to be true or false"),
    "too few questions": (
        "[server]\napi_per_minute = 0",
        "server.api_per_minute has to be a whole number from 1 to 10000000",
    ),
    "a version in two words": (
        '[policies]\nversion = "two words"',
        "policies.version has to be 1 to 40 of the characters A-Z a-z 0-9 . _ -",
    ),
}


@pytest.fixture
def alone(tmp_path: Path, here: Path) -> Iterator[Cli]:
    """The command on SQLite: what a file says does not depend on the database."""
    yield Cli(f"sqlite:///{tmp_path}/ledger.db")


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_told_in_one_sentence_with_the_key_and_the_remedy(alone: Cli, here: Path, case: str) -> None:
    text, wanted = BAD[case]
    here.write_text(text)

    told = alone.refusal("shipments", code=2)

    said = told.removeprefix("trackledger.toml").removeprefix(": ").strip()
    assert said == wanted
    for secret in (KEY, WEBHOOK, ENDPOINT):
        assert secret not in told


def test_a_key_that_is_misspelt_is_no_secret(alone: Cli, here: Path) -> None:
    here.write_text(f'{ACCOUNT}key_evn = "CLICKPOST_KEY"')

    assert "accounts.default.clickpost.key_evn" in alone.refusal("shipments", code=2)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"# ok\nuser = '\xff'", "trackledger.toml: line 2 is not text in UTF-8; save the file as UTF-8"),
        (b"#" * 1_048_577, "trackledger.toml is larger than 1,048,576 bytes, the limit; name a configuration file"),
    ],
)
def test_a_file_that_is_no_text_is_refused(alone: Cli, here: Path, content: bytes, wanted: str) -> None:
    here.write_bytes(content)

    assert alone.refusal("shipments", code=2) == wanted


def test_a_file_that_is_not_there_is_missed(alone: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = "there is no configuration file 'gone.toml'; correct "
    assert alone.refusal("shipments", "--config", "gone.toml", code=2) == f"{wanted}--config"
    assert alone.refusal("shipments", "--config", "", code=2) == "there is no configuration file ''; correct --config"
    monkeypatch.setenv("TRACKLEDGER_CONFIG", "gone.toml")
    assert alone.refusal("shipments", code=2) == f"{wanted}TRACKLEDGER_CONFIG"


# Secrets


def test_a_missing_secret_stops_only_what_needs_it(cli: Cli) -> None:
    Path("trackledger.toml").write_text(CONNECTED)

    cli.ingest("poll_failed_delivery")
    assert cli.json("status", ATTEMPTED)["shipment_id"] == ATTEMPTED
    assert cli.refusal("serve", "--port", "0", code=2) == (
        "trackledger.toml: accounts.default.clickpost.key_env names the environment variable CLICKPOST_KEY, which is "
        "not set; set it to the secret"
    )


@pytest.mark.parametrize(
    ("missing", "wanted_by"),
    [
        ("CLICKPOST_KEY", "accounts.default.clickpost.key_env"),
        ("CLICKPOST_OLD_SECRET", "accounts.default.clickpost.webhooks[0].secrets_env"),
        ("CLICKPOST_WEBHOOK_SECRET", "accounts.default.clickpost.webhooks[0].secrets_env"),
    ],
)
@pytest.mark.parametrize("blank", [None, "", " \n"])
def test_a_missing_secret_is_told_with_its_variable_and_the_key(
    here: Path, missing: str, wanted_by: str, blank: str | None
) -> None:
    here.write_text(CONNECTED)
    environ = {name: value for name, value in SECRETS.items() if name != missing}
    if blank is not None:
        environ[missing] = blank

    with pytest.raises(UsageError) as refused:
        from_environment(outside=True, environ=environ)

    assert str(refused.value) == (
        f"trackledger.toml: {wanted_by} names the environment variable {missing}, which is not set; set it to the "
        "secret"
    )


def test_a_key_that_is_not_used_is_not_wanted(here: Path) -> None:
    here.write_text(f'[accounts.default.ship24]\nkey_env = "GONE"\nask = false\n{HOOK.replace("clickpost", "ship24")}')

    (account,) = from_environment(outside=True, environ={"S": "s"}).accounts

    assert account.access is None


def test_webhooks_of_a_provider_that_sends_none_are_refused_by_those_who_would_listen(here: Path) -> None:
    here.write_text(HOOK.replace("clickpost", "shiplemon"))

    assert from_environment(environ={"S": "s"}).accounts == ()
    with pytest.raises(UsageError) as refused:
        from_environment(outside=True, environ={"S": "s"})
    assert str(refused.value) == (
        "trackledger.toml: accounts.default.shiplemon.webhooks cannot be, as shiplemon sends none; remove it and set "
        "key_env"
    )


TOKENS = """
[[tokens]]
name = "asha"
token_env = "TOKEN_ASHA"
rights = "operate"
raw = true
[[tokens]]
name = "wall"
token_env = "TOKEN_WALL"
account = "outlet"
"""
TOKEN = "hush-this-token-admits-asha"
ADMITTING = {"TOKEN_ASHA": TOKEN, "TOKEN_WALL": f" {TOKEN[::-1]}\n"}


def test_tokens_are_admitted_with_their_secrets_by_those_who_serve(here: Path) -> None:
    here.write_text(TOKENS)

    asha, wall = from_environment(outside=True, environ=ADMITTING).tokens

    assert asha == Token("asha", "default", "operate", TOKEN, raw=True)
    assert wall == Token("wall", "outlet", "read", TOKEN[::-1], raw=False)
    assert from_environment(environ={}).tokens == ()


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ("", "which is not set; set it to the token"),
        (" \n", "which is not set; set it to the token"),
        ("hush-23-characters-long", "whose token is not 24 or more visible characters of ASCII; make one with "),
        (f"{TOKEN} {TOKEN}", "whose token is not 24 or more visible characters of ASCII; make one with "),
        (f"{TOKEN}é", "whose token is not 24 or more visible characters of ASCII; make one with "),
        (TOKEN, "whose token is also that of asha; give each its own"),
    ],
)
def test_a_token_that_admits_nobody_or_anybody_is_told_with_its_variable(here: Path, secret: str, told: str) -> None:
    here.write_text(TOKENS)

    with pytest.raises(UsageError) as refused:
        from_environment(outside=True, environ=ADMITTING | {"TOKEN_WALL": secret})

    assert str(refused.value).startswith(
        f"trackledger.toml: tokens[1].token_env names the environment variable TOKEN_WALL, {told}"
    )
    assert "hush" not in str(refused.value)


def test_settings_show_no_token(here: Path) -> None:
    here.write_text(TOKENS)
    settings = from_environment(outside=True, environ=ADMITTING)

    assert "'asha'" in repr(settings) and "'outlet'" in repr(settings)
    assert "hush" not in repr(settings) + repr(settings.tokens) + str(settings.tokens[0])
    assert TOKEN[::-1] not in repr(settings)


def test_settings_show_no_secret(here: Path) -> None:
    said = configured(CONNECTED)
    with_password = Settings(f"postgresql://me:{KEY}@db/shop?sslmode=require", accounts=said.accounts)

    shown = repr(with_password)

    assert "postgresql://me:***@db/shop?sslmode=require" in shown
    assert KEY not in shown and WEBHOOK not in shown
    assert "CLICKPOST" not in shown and "'shop'" in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("postgresql://me@db/shop", "postgresql://me@db/shop"),
        ("postgresql://db:5432/shop?schema=a", "postgresql://db:5432/shop?schema=a"),
        (f"postgresql://me:{KEY}@db:5432/shop", "postgresql://me:***@db:5432/shop"),
        (f"postgresql://me:@/{KEY}@db/shop", "postgresql://me:***@db/shop"),
        (f"postgresql://db/shop?user=me&password={KEY}&x=1", "postgresql://db/shop?user=me&password=***&x=1"),
        (f"postgresql://db/shop?password={KEY}", "postgresql://db/shop?password=***"),
    ],
)
def test_a_database_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_the_example_names_every_provider_and_key() -> None:
    text = example()
    assert PROVIDERS in text
    switched_on = tomllib.loads(re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE))
    assert {
        "database",
        "withdraws",
        "privacy",
        "follow_up",
        "accounts",
        "server",
        "retention",
        "policies",
        "clock",
        "proof",
        "tokens",
    } == set(switched_on)
