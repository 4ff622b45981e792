"""Can other processes follow the world that `trackledger simulate` plays?"""

import json
import signal
import subprocess
import sys
from pathlib import Path

from support.cli import Cli
from support.simulated import differences, heard, take
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import from_environment
from trackledger.adapters.simulator import handed_over
from trackledger.adapters.simulator.faults import Faults
from trackledger.adapters.simulator.simulation import Simulation

PROGRAM = "from trackledger.adapters.cli import main; main()"


def simulate(*args: str) -> "subprocess.Popen[str]":
    """The command in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, "simulate", "--port", "0", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_plays_a_world_to_its_end_and_tells_what_is_true() -> None:
    with simulate(
        "--seed", "8", "--parcels", "30", "--speed", "1000000", "--channels", "poll", "--exit", "--json"
    ) as one:
        said, notes = one.communicate()
    assert one.returncode == 0, notes
    assert notes.startswith("simulating at http://127.0.0.1:")
    told = json.loads(said)
    with Simulation(8, 30).serve() as running:
        true = running.truth(running.until)
    assert told["milestones"] == true.milestones
    assert told["parcels"] == sum(true.milestones.values()) == len(true.rows)
    assert (told["failed_deliveries"], told["late"]) == (true.failed_deliveries, true.late)
    assert (told["asked"], told["webhooks"]) == ({}, {})


def test_it_ends_when_it_is_told_to_stop() -> None:
    with simulate("--parcels", "10") as one:
        assert one.stderr is not None
        assert one.stderr.readline().startswith("simulating at http://127.0.0.1:")
        one.send_signal(signal.SIGTERM)
        said, _ = one.communicate()
    assert one.returncode == 0
    assert "parcels:" in said


def test_it_refuses_what_cannot_be_simulated() -> None:
    for args, told in (
        (("--faults", "htlm"), "fault 'htlm' is unknown"),
        (("--provider", "pigeon"), "provider 'pigeon' is unknown"),
        (("--push-to", "https://shop.example"), "webhooks cannot be sent to 'https://shop.example'"),
    ):
        with simulate(*args) as one:
            said, notes = one.communicate()
        assert (one.returncode, said) == (2, "")
        assert notes.startswith(f"trackledger: {told}")


def test_the_configuration_and_the_parcels_that_it_writes_make_a_ledger_that_follows_it(
    cli: Cli, database_url: str, tmp_path: Path
) -> None:
    simulation = Simulation(9, 40, speed=1_000_000, channels=frozenset({"webhook"}), faults=Faults(duplicates=0.1))
    with simulation.serve() as running:
        (tmp_path / "world.toml").write_text(handed_over.configuration(running, "sqlite:///w.db", "127.0.0.1", 8901))
        (tmp_path / "parcels.ndjson").write_text("\n".join(handed_over.parcels(running)))
        environ = handed_over.environment(running)
        settings = from_environment(None, False, str(tmp_path / "world.toml"), outside=True, environ=environ)
        assert settings.accounts == running.settings("").accounts
        assert settings.tokens == running.settings("").tokens
        assert settings.clock == running.clock
        assert settings.database == f"sqlite:///{tmp_path}/w.db"
        assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8901)

        cli.text("register", "--file", str(tmp_path / "parcels.ndjson"))
        with open_runtime(running.settings(database_url)) as runtime:
            told = [one for one in running.deliveries() if "simulated-rye2" not in one.path]
            assert take(runtime, heard(runtime, told)) == []
            asked = {("rye", parcel.reference) for parcel in simulation.world.parcels if parcel.provider == "rye"}
            asked |= {(p.provider, p.reference) for p in simulation.world.parcels if p.provider == "shiplemon"}
            assert differences(runtime, running, running.until).keys() <= asked
