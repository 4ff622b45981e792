"""Does the demonstration end with the truth, and does it say so when it does not?"""

import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from support.cli import Cli, installed
from trackledger.adapters.simulator.faults import Faults
from trackledger.adapters.simulator.simulation import Simulation

SMALL = ("demo", "--exit", "--parcels", "30", "--seconds", "4", "--seed", "3")


def test_it_ends_with_the_truth_about_every_parcel(cli: Cli) -> None:
    told = cli.json(*SMALL, "--faults", "duplicates", "--faults", "too-many=0.02", "--faults", "rewritten-history")

    plan = Simulation(3, 30, faults=Faults(rewritten_history=True))
    with plan.serve() as running:
        true = running.truth(running.until)
    assert told["differences"] == 0
    assert told["trackers"] == len(true.rows) >= 30
    assert {row["milestone"]: row["truth"] for row in told["milestones"]} == true.milestones
    assert {row["milestone"]: row["ledger"] for row in told["milestones"]} == true.milestones
    assert told["late"] == {"ledger": true.late, "truth": true.late}
    assert told["failed_deliveries"] == {"ledger": true.failed_deliveries, "truth": true.failed_deliveries}
    assert min(told["calls"], told["webhooks"], told["events"], told["checkpoints"]) > 30
    assert told["parked"] == 0

    # The ledger stays, to be looked at.
    assert cli.json("shipments", "--limit", "1000")
    assert cli.json("status", told["example"], "--now", told["now"])["shipment_id"] == told["example"]
    assert {row["state"] for row in cli.json("polls", "--limit", "1000")} <= {"asking", "over"}

    assert cli.refusal(*SMALL) == (
        "a rehearsal needs a ledger of its own, and this one is not empty; name another with --db"
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_nobody_told_the_ledger_is_a_difference(cli: Cli) -> None:
    """Shiplemon sends no webhooks, and with a key that it refuses there is no other way to hear of its parcels."""
    result = cli(*SMALL, "--faults", "wrong-key=shiplemon")
    assert result.exit_code == 1
    there = [one for one in Simulation(3, 30).world.parcels if one.provider == "shiplemon" and one.steps]
    assert f"they differ in {len(there)} trackers; the ledger is at " in result.stdout
    for parcel in there:
        assert f"shiplemon {parcel.reference}: the ledger says " in result.stderr


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_fault_that_is_none_is_refused(cli: Cli) -> None:
    assert cli.refusal(*SMALL, "--faults", "htlm", code=2).startswith("fault 'htlm' is unknown; use all, or of ")


def test_without_exit_it_goes_on_serving_until_it_is_told_to_end(tmp_path: Path) -> None:
    command = [installed(), "demo", "--parcels", "5", "--seconds", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        told = [process.stderr.readline()]
        while not told[-1].startswith("still serving at "):
            told.append(process.stderr.readline())
        url = told[-1].removeprefix("still serving at ").partition(";")[0]
        assert httpx.get(f"{url}/healthz").json() == {"ok": True}
        console, token = told[-2].removeprefix("log in at ").strip().split(" with the token ")
        assert told[-2] == told[0]
        assert console == f"{url}/console"
        assert httpx.get(f"{url}/api/shipments", headers={"authorization": f"Bearer {token}"}).json()["items"]
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
    assert process.returncode == 0
    assert "the ledger and the truth agree; the ledger is at sqlite:///" in said
