"""Does the running server answer what it accepted, tell how it is, and end when it is told to?"""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from support.cli import Cli, installed
from support.messages import body_of
from support.served import ENDPOINT, SECRET, Served, path, served, signed
from support.threads import until
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings

OFD = body_of("clickpost", "webhook_ofd")

CONFIGURATION = f"""
[[accounts.shop.clickpost.webhooks]]
endpoint = "{ENDPOINT}"
secrets_env = ["WEBHOOK_SECRET"]
"""

ADMITTING = """
[[tokens]]
name = "asha"
token_env = "TOKEN"
"""
TOKEN = "a-token-that-nobody-guesses"


def value(here: Served, name: str, **labels: str) -> float:
    """One number of the metrics page."""
    pairs = ",".join(f'{label}="{text}"' for label, text in sorted(labels.items()))
    wanted = f"{name}{{{pairs}}}" if labels else name
    lines = dict(line.rsplit(" ", 1) for line in here.client.get("/metrics").text.splitlines() if line[:1] != "#")
    return float(lines[wanted])


def test_the_metrics_tell_what_waits_and_what_lags(database_url: str) -> None:
    with served(database_url) as here:
        here.send("clickpost", OFD)
        here.send("ship24", b"not json")
        assert value(here, "trackledger_messages_unsettled", provider="clickpost", state="waiting") == 1
        assert value(here, "trackledger_oldest_waiting_seconds") > 0
        assert value(here, "trackledger_lag_events") == 0

        while here.runtime.intake.step():
            pass
        assert value(here, "trackledger_messages_unsettled", provider="ship24", state="parked") == 1
        assert value(here, "trackledger_oldest_waiting_seconds") == 0
        assert value(here, "trackledger_lag_events") == 2
        assert value(here, "trackledger_lag_seconds") > 0
        assert here.client.get("/readyz").json() == {"ok": True, "lag": 2}

        here.runtime.projector.catch_up()
        assert value(here, "trackledger_lag_events") == value(here, "trackledger_lag_seconds") == 0
        assert value(here, "trackledger_webhooks_total", provider="clickpost", outcome="accepted") == 1
        assert value(here, "trackledger_webhook_commit_messages_count") == 2


def test_a_ledger_that_cannot_be_asked_is_not_ready_but_alive(database_url: str) -> None:
    with served(database_url) as here:
        with here.runtime.database.transaction() as transaction:
            transaction.execute("ALTER TABLE {s}positions RENAME TO moved")
        answer = here.client.get("/readyz")
        assert (answer.status_code, answer.json()["ok"]) == (503, False)
        assert here.client.get("/healthz").json() == {"ok": True}


@pytest.fixture
def process(database_url: str, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """The command as it is installed, listening on a free port."""
    (tmp_path / "trackledger.toml").write_text(CONFIGURATION)
    environment = {**os.environ, "TRACKLEDGER_DB": database_url, "WEBHOOK_SECRET": SECRET}
    running = subprocess.Popen(
        [installed(), "serve", "--port", "0"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def address(process: "subprocess.Popen[str]") -> str:
    """Where it says that it listens."""
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("listening on http://127.0.0.1:"), line
    return line.removeprefix("listening on ").strip()


def test_told_to_end_it_answers_what_it_accepted_and_everything_answered_is_kept(
    process: "subprocess.Popen[str]", database_url: str
) -> None:
    url = address(process)

    def send(number: int) -> int:
        body = OFD.replace(b"7702913348051", b"77029133%05d" % number)
        try:
            answer = httpx.post(url + path("clickpost"), content=body, headers=signed("clickpost", body), timeout=30)
        except httpx.TransportError:
            return 0
        return number if answer.status_code == 200 else 0

    with ThreadPoolExecutor(8) as senders:
        sent = [senders.submit(send, number) for number in range(1, 400)]
        until(lambda: sum(one.done() for one in sent) > 50)
        process.send_signal(signal.SIGTERM)
        answered = {one.result() for one in sent} - {0}
    assert process.wait(30) == 0

    with open_runtime(Settings(database_url)) as runtime:
        kept = {
            int(json.loads(row["body"])["waybill"][-5:]) for row in runtime.store.read("SELECT body FROM {s}messages")
        }
    assert 50 < len(answered) < 399
    assert answered <= kept


def test_killed_it_has_kept_what_it_answered(process: "subprocess.Popen[str]", database_url: str) -> None:
    url = address(process)
    answered = 0
    with httpx.Client(base_url=url) as client:
        for number in range(20):
            body = OFD.replace(b"7702913348051", b"77029133%05d" % number)
            answered += client.post(path("clickpost"), content=body, headers=signed("clickpost", body)).is_success
    process.kill()
    process.wait(30)

    with open_runtime(Settings(database_url)) as runtime:
        assert runtime.store.read("SELECT COUNT(*) AS n FROM {s}messages") == [{"n": answered}] == [{"n": 20}]


def test_its_log_is_one_json_object_a_line(process: "subprocess.Popen[str]") -> None:
    url = address(process)
    assert httpx.post(url + path("clickpost"), content=OFD, headers={"webhook_key": "wrong"}).status_code == 401
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=30)

    lines = [json.loads(line) for line in told.splitlines()]
    (refused,) = [line for line in lines if line["event"] == "webhook refused"]
    assert (refused["provider"], refused["outcome"], refused["level"]) == ("clickpost", "refused", "warning")
    assert refused["logger"] == "trackledger.webhooks"
    assert refused["timestamp"].endswith("Z")
    assert SECRET not in told


def test_it_says_where_the_console_is_or_how_to_admit_somebody(
    process: "subprocess.Popen[str]", tmp_path: Path, database_url: str
) -> None:
    address(process)
    process.send_signal(signal.SIGTERM)
    said, log = process.communicate(timeout=30)
    (warned,) = [line for line in map(json.loads, log.splitlines()) if line["logger"] == "trackledger.serving"]
    assert said == ""
    assert warned["event"] == (
        "no token is configured, so that nobody may use the query API and the console; admit somebody with a table "
        "[[tokens]], see doctor --example"
    )

    (tmp_path / "trackledger.toml").write_text(f"{CONFIGURATION}{ADMITTING}")
    environment = {**os.environ, "TRACKLEDGER_DB": database_url, "WEBHOOK_SECRET": SECRET, "TOKEN": TOKEN}
    with subprocess.Popen(
        [installed(), "serve", "--port", "0"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as admitting:
        url = address(admitting)
        assert admitting.stdout
        assert admitting.stdout.readline() == f"console at {url}/console\n"
        assert httpx.get(f"{url}/api/shipments", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        admitting.send_signal(signal.SIGTERM)
        _, log = admitting.communicate(timeout=30)
    assert "trackledger.serving" not in log and TOKEN not in log


def test_a_port_that_is_taken_is_told_in_one_sentence(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = cli.refusal("serve", "--port", str(port), code=2)

    assert told.startswith(f"127.0.0.1:{port} cannot be listened on (")
    assert told.endswith("choose another with --host or --port")
