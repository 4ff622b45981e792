"""What does a command load before it answers? Only what it needs, so that it answers at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.cli import Cli, fixture
from trackledger.adapters.example import example

HEAVY = frozenset({"pydantic", "httpx", "eventsourcing", "rich", "psycopg", "psycopg_pool"})

PROGRAM = """
import json, sys
from trackledger.adapters.cli import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded(*args: str, url: str) -> frozenset[str]:
    """Which of the heavy packages the command loads in a process of its own."""
    environment = {**os.environ, "TRACKLEDGER_DB": url}
    done = subprocess.run([sys.executable, "-c", PROGRAM, *args], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return HEAVY.intersection(name.partition(".")[0] for name in json.loads(done.stderr))


@pytest.mark.parametrize(
    "args", [("--help",), ("--version",), ("ingest", "--help"), ("status", "--help")], ids=" ".join
)
def test_help_loads_nothing_heavy(tmp_path: Path, args: tuple[str, ...]) -> None:
    assert loaded(*args, url=f"sqlite:///{tmp_path}/ledger.db") == set()


@pytest.mark.parametrize(
    "args",
    [
        ("status", "TL-20417"),
        ("status", "TL-20417", "--json"),
        ("shipments", "--json"),
        ("timeline", "TL-20417", "--json"),
        ("ndr", "--json"),
        ("stuck", "--json"),
        ("late", "--json"),
        ("edd", "TL-20417", "--json"),
        ("unmapped", "--json"),
    ],
    ids=" ".join,
)
def test_answers_load_no_more_than_the_driver_of_their_database(database_url: str, args: tuple[str, ...]) -> None:
    Cli(database_url).text("ingest", "clickpost", fixture("poll_failed_delivery"))

    driver = set() if database_url.startswith("sqlite:") else {"psycopg", "psycopg_pool"}
    assert loaded(*args, url=database_url) == driver


@pytest.mark.parametrize("args", [("status", "TL-20417"), ("stuck", "--json")], ids=" ".join)
def test_a_configuration_makes_no_answer_load_more(tmp_path: Path, args: tuple[str, ...]) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    Cli(url).text("ingest", "clickpost", fixture("poll_failed_delivery"))
    file = tmp_path / "trackledger.toml"
    file.write_text(
        example()
        + """
        [policies.attempts]
        hours_to_act = 24
        """
    )

    assert loaded("--config", str(file), *args, url=url) == set()


def test_taking_in_on_sqlite_loads_no_other_driver_and_no_client(tmp_path: Path) -> None:
    heavy = loaded("ingest", "clickpost", fixture("poll_failed_delivery"), url=f"sqlite:///{tmp_path}/ledger.db")

    assert heavy == {"pydantic", "eventsourcing"}
