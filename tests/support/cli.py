"""The `trackledger` command, called in this process on one database: `cli.json("status", "TL-20417")`."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from trackledger.adapters.cli import main

CLICKPOST = Path(__file__).parents[1] / "fixtures" / "clickpost"

ATTEMPTED = "default:clickpost:4:7702913348051"
"""The shipment of `poll_failed_delivery`: its first delivery failed, and it is out for the second."""

NEVER_PICKED_UP = "default:clickpost:6:143399020817"
"""The shipment of `poll_not_picked_up`."""

AT = "2026-03-06T10:00:00Z"
NOW = "2026-03-06T12:00:00Z"

ANSWERING = (
    ("status", "TL-20417"),
    ("shipments",),
    ("timeline", "TL-20417"),
    ("ndr",),
    ("stuck",),
    ("late",),
    ("edd", "TL-20417"),
    ("unmapped",),
    ("parked",),
)
"""Every command that only answers, with what it needs to be told."""


def fixture(name: str) -> str:
    """The path of one of ClickPost's sample messages."""
    return str(CLICKPOST / f"{name}.json")


def parcel(name: str = "poll_failed_delivery") -> tuple[dict[str, Any], dict[str, Any]]:
    """A sample answer about one waybill, to be changed, and within it what it says of the waybill."""
    message: dict[str, Any] = json.loads(Path(fixture(name)).read_text())
    (said,) = message["result"].values()
    return message, said


def written(path: Path, message: Any) -> str:
    """The path of a file holding this message as JSON, or as it is if it is bytes."""
    path.write_bytes(message if isinstance(message, bytes) else json.dumps(message).encode())
    return str(path)


def installed() -> str:
    """The path of the installed command."""
    found = shutil.which("trackledger", path=str(Path(sys.executable).parent))
    assert found
    return found


class Cli:
    """The command with `--db` set; anything but an exit code that it raises is an error of the test."""

    def __init__(self, url: str | None) -> None:
        self._url = url

    def __call__(self, *args: str, input: str | bytes | None = None, terminal: bool = False) -> Result:
        """Run it. On a `terminal`, click passes on what it would otherwise take out of the output."""
        db = [] if self._url is None else ["--db", self._url]
        result = CliRunner().invoke(main, [*db, *args], input=input, color=terminal)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *args: str, code: int = 0) -> Any:
        """Its answer in JSON."""
        result = self(*args, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def text(self, *args: str, code: int = 0) -> str:
        """Its answer for people, without a word on stderr."""
        result = self(*args)
        assert (result.exit_code, result.stderr) == (code, ""), result.output
        return result.stdout

    def refusal(self, *args: str, code: int = 1, input: str | bytes | None = None) -> str:
        """The one sentence with which it fails."""
        result = self(*args, input=input)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        line, *rest = result.stderr.splitlines()
        assert not rest and line.startswith("trackledger: "), result.stderr
        return line.removeprefix("trackledger: ")

    def usage(self, *args: str) -> str:
        """What click says of a request that it cannot parse."""
        result = self(*args)
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        return result.stderr.splitlines()[-1]

    def ingest(self, *names: str, at: str = AT, channel: str = "poll", account: str = "default") -> list[Any]:
        """What it says in JSON of these sample messages."""
        options = ("--channel", channel, "--received-at", at, "--account", account)
        told: list[Any] = self.json("ingest", "clickpost", *map(fixture, names), *options)
        return told
