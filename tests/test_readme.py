"""Does the README tell the truth? Its blocks run as they are printed."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.cli import installed
from trackledger.adapters.cli import main
from trackledger.adapters.providers import PROVIDERS, provider
from trackledger.adapters.providers.base import Cadence, Provider
from trackledger.adapters.settings import from_environment
from trackledger.projections.tables import TABLES, VIEWS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory that has the sample messages where a clone has them, and no ledger."""
    shutil.copytree(ROOT / "tests/fixtures", tmp_path / "tests/fixtures")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRACKLEDGER_DB", raising=False)


@pytest.mark.usefixtures("clone")
def test_python_blocks_run_one_after_the_other() -> None:
    names: dict[str, object] = {}
    # A block that begins with a file's name is that file: `test_adding_a_provider` runs it.
    blocks = [block for block in _blocks("python") if not block.startswith("# adapters/")]
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


@pytest.mark.usefixtures("clone")
def test_console_blocks_print_what_they_show() -> None:
    for block in _blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            result = CliRunner().invoke(main, shlex.split(command)[1:])
            assert result.output == shown, command


@pytest.mark.usefixtures("clone")
def test_the_sample_can_be_taken_in_and_asked_for() -> None:
    line = next(block for block in _blocks("sh") if block.startswith("uv run trackledger ingest"))
    for step in line.strip().split(" && "):
        words = shlex.split(step)
        assert words[:3] == ["uv", "run", "trackledger"]
        result = CliRunner().invoke(main, words[3:])
        assert result.exit_code == 0, result.output
        assert "7702913348051" in result.output or "clickpost:41229035199" in result.output


def test_the_demo_agrees_with_the_truth(tmp_path: Path) -> None:
    line = next(block for block in _blocks("sh") if block.startswith("pip install uv"))
    install, command = line.strip().split(" && ")
    assert install == "pip install uv"
    words = shlex.split(command)
    assert words[:3] == ["uv", "run", "trackledger"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([installed(), *words[3:]], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the ledger and the truth agree" in done.stdout


def test_the_configuration_it_shows_can_be_read(tmp_path: Path) -> None:
    (shown,) = _blocks("toml")
    file = tmp_path / "trackledger.toml"
    file.write_text(shown, "utf-8")
    secrets = {
        "CLICKPOST_KEY": "k3y-of-the-shop",
        "CLICKPOST_WEBHOOK_SECRET": "s3cret-of-the-endpoint",
        "TRACKLEDGER_TOKEN_ASHA": "t0ken-that-nobody-can-guess",
    }
    settings = from_environment(config=str(file), outside=True, environ=secrets)
    (one,) = settings.accounts
    assert [(token.name, token.account, token.rights, token.raw) for token in settings.tokens] == [
        ("asha", "default", "operate", False)
    ]
    assert (one.account, one.provider, len(one.endpoints)) == ("default", "clickpost", 1)
    assert one.access is not None


def test_ci_runs_the_readme_test_command() -> None:
    assert "uv run pytest\n" in _blocks("sh")
    assert "\nuv run pytest\n" in (ROOT / ".ci/run").read_text("utf-8")


def test_every_provider_is_described_as_its_module_says() -> None:
    (rows,) = re.findall(r"^\| provider \| webhooks .*\n\|[-|]+\n((?:\|.*\n)+)", README, re.MULTILINE)
    assert rows.splitlines() == [_described(provider(name)) for name in PROVIDERS]


def _described(one: Provider) -> str:
    can, cadence = one.abilities, one.cadence
    cells = (
        one.title,
        {"hmac": "HMAC over the body", "secret": "secret in a header", "": "none"}[can.push],
        can.checkpoint_ids,
        can.zones,
        ", ".join(can.estimates) or "none",
        can.ndr_reasons,
        "yes" if can.pieces else "no",
        "1 parcel" if can.batch == 1 else f"{can.batch} parcels",
        can.sweep or "not told",
        _asked_again(cadence),
        f"{can.per_second:g} a second" if can.per_second >= 1 else f"{can.per_second * 60:g} a minute",
    )
    return f"| {' | '.join(cells)} |"


def _asked_again(cadence: Cadence) -> str:
    minutes = cadence.usual.total_seconds() / 60
    interval = f"{minutes / 60:g} h" if minutes >= 60 else f"{minutes:g} min"
    return " and ".join(f":{minute:02}" for minute in cadence.minutes) or interval


def test_every_table_view_and_command_is_named() -> None:
    for name in [table.name for table in TABLES] + [view.name for view in VIEWS]:
        assert f"`{name}`" in README
    for command in main.commands:
        assert re.search(rf"`{command}[ `]", README), command
