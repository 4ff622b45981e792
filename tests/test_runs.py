"""Do several `trackledger run` share one ledger without doing anything twice, and does each end as it is told?"""

import json
import re
import socket
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.cli import Cli
from support.polls import scheduled
from support.rows import fresh, rows
from support.runs import Run, runs, unused_port
from support.simulated import heard, news
from trackledger.adapters.due import SLOT, UNKNOWN
from trackledger.adapters.providers import provider
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.schedule import POKE_AGAIN
from trackledger.adapters.simulator import handed_over
from trackledger.adapters.simulator.comparison import differences
from trackledger.adapters.simulator.faults import Faults
from trackledger.adapters.simulator.plan import World
from trackledger.adapters.simulator.rehearsal import settle
from trackledger.adapters.simulator.simulation import Running, Simulation
from trackledger.domain.events import ReportRecorded
from trackledger.domain.mapper import decode_state

Named = tuple[str, str, str]

SEED = 14
PARCELS = 40
SECONDS = 12.0
"""For the whole world."""


def at_speed(seconds: float, seed: int = SEED, parcels: int = PARCELS, faults: Faults | None = None) -> Simulation:
    """A simulation that takes so many seconds."""
    plan = Simulation(seed, parcels, faults=faults)
    return Simulation(seed, parcels, faults=faults, speed=(plan.until - plan.start).total_seconds() / seconds)


def test_two_on_one_ledger_do_nothing_twice_and_reach_the_truth(postgres_url: str, tmp_path: Path) -> None:
    simulation = at_speed(SECONDS, faults=Faults(duplicates=0.1, reordering=0.3, delays=0.1))
    with (
        simulation.serve() as running,
        runs(running, postgres_url, tmp_path) as processes,
        open_runtime(running.settings(postgres_url)) as runtime,
    ):
        note_what_is_asked(runtime)
        both = [processes.start(unused_port()) for _ in range(2)]
        for one in both:
            one.await_start()
        assert not [one.error for one in runtime.ledger.register(running.registrations()) if one.error]
        # Each hears of everything.
        pushings = [running.push_to(one.url) for one in both]
        both[0].until(lambda: running.clock.has_ended and all(one.wait(0) for one in pushings), 120)
        settle(runtime, running)
        done = [work_of(one) for one in both]
        assert [one.end() for one in both] == [0, 0]
        runtime.intake.catch_up()
        runtime.projector.catch_up()

        assert differences(runtime.store, running.truth(running.until)) == {}
        assert rows(runtime.store) == fresh(runtime)
        # Both have worked, and each message was taken in and each tracker asked about by one of them.
        assert min(one[name] for one in done for name in ("messages", "polls")) > 10
        assert_asked_once_when_due(runtime, running, simulation.world)
        assert_told_once(runtime)
        assert news(runtime, [message for one in pushings for message in heard(runtime, one.taken)]) == []
        assert "report this" not in "".join(one.log() for one in both)


def work_of(run: Run) -> Counter[str]:
    """Messages it has taken in and answers it has had."""
    told = httpx.get(f"{run.url}/metrics").text
    counted: Counter[str] = Counter()
    for name, value in re.findall(r"^trackledger_(messages|polls)_total\{.*\} (\S+)$", told, re.MULTILINE):
        counted[name] += round(float(value))
    return counted


def note_what_is_asked(runtime: Runtime) -> None:
    """Have the database note each time that a tracker was asked about."""
    with runtime.database.transaction() as transaction:
        transaction.execute("CREATE TABLE {s}noted (tracker TEXT, asked_at TIMESTAMPTZ, outcome TEXT)")
        transaction.execute(
            """CREATE FUNCTION {s}note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO {s}noted VALUES (NEW.tracker, NEW.asked_at, NEW.outcome); RETURN NULL; END $$"""
        )
        transaction.execute(
            """CREATE TRIGGER noting AFTER UPDATE ON {s}poll_schedule FOR EACH ROW
               WHEN (NEW.asked > OLD.asked) EXECUTE FUNCTION {s}note()"""
        )


def assert_asked_once_when_due(runtime: Runtime, running: Running, world: World) -> None:
    """The simulator was asked about each tracker as often as the ledger knows of, each time after the shortest wait
    that there is for it."""
    trackers = scheduled(runtime)
    noted: dict[str, list[datetime]] = defaultdict(list)
    for row in runtime.store.read("SELECT tracker, asked_at FROM {s}noted ORDER BY asked_at"):
        noted[row["tracker"]].append(row["asked_at"])
    assert noted.keys() == trackers.keys()
    known: Counter[Named] = Counter()
    for tracker, instants in noted.items():
        # Once everything has ended, it is asked about at once, whenever that was done before.
        apart = [then - first for first, then in pairwise(instants) if then < running.until]
        shortest = shortest_wait(trackers[tracker]["provider"])
        assert min(apart, default=shortest) >= shortest, tracker
        known[named(trackers[tracker])] += len(instants)
    assert asked(running, world, set(known)) == known
    assert known.total() > 3 * len(noted)


def shortest_wait(name: str) -> timedelta:
    """Between two calls about the same tracker."""
    cadence = provider(name).cadence
    usual = min(cadence.usual, *cadence.by_milestone.values(), *cadence.by_service.values(), UNKNOWN[0])
    if name in ("clickpost", "rye", "shippit"):  # whose hints make it worth asking sooner
        return POKE_AGAIN
    return usual - SLOT if cadence.minutes else usual


def named(tracker: dict[str, Any]) -> Named:
    """Account, provider, and the word that names it in a call: AfterShip is asked by number, and Rye about the order of
    a parcel."""
    words = {"aftership": tracker["tracking_number"], "rye": tracker["reference"].partition(":")[0]}
    word = words.get(tracker["provider"]) or tracker["reference"].rpartition(":")[2]
    return tracker["account"], tracker["provider"], word


def asked(running: Running, world: World, known: set[Named]) -> Counter[Named]:
    """How often the simulator was asked about what is so named."""
    parcels = {parcel.number: parcel for parcel in world.parcels}
    connections = {one.name: one for one in running.connections}
    counted: Counter[Named] = Counter()
    for call in running.calls:
        if call.asked.method == "POST" and call.name != "rye":
            continue  # to have it followed
        if call.name == "shiplemon" and not call.asked.path.endswith("/tracking"):
            continue  # its vouchers, which are asked for along with it
        if call.name == "clickpost" and len(waybills := call.asked.params.get("waybill", "").split(",")) > 1:
            # Our client asks at once once more about each that such an answer leaves out.
            counted.update(("default", "clickpost", one) for one in waybills if parcels[one].told(call.at))
            continue
        said = " ".join((call.asked.path, *call.asked.params.values(), call.asked.body.decode()))
        account, name = connections[call.name].account, connections[call.name].provider
        counted.update({(account, name, word) for word in re.findall(r"[\w-]+", said)} & known)
    return counted


def assert_told_once(runtime: Runtime) -> None:
    """No statement is in two events of its shipment."""
    recorded: Counter[tuple[str, str, str]] = Counter()
    for id_, topic, state in runtime.database.tuples("SELECT originator_id, topic, state FROM {s}stored_events"):
        event = decode_state(topic, state, id_)
        if isinstance(event, ReportRecorded):
            statements = [*event.recorded, *(one.checkpoint for one in event.amended)]
            recorded.update((id_, one.fingerprint, one.digest) for one in statements)
    assert len(recorded) > 5 * PARCELS
    assert [one for one, times in recorded.items() if times > 1] == []


# told to end


def test_told_to_end_in_the_midst_of_its_work_it_leaves_nothing_half_done(database_url: str, tmp_path: Path) -> None:
    simulation = at_speed(60.0, parcels=100, faults=Faults(too_many=0.05, server_errors=0.2))
    with simulation.serve() as running, runs(running, database_url, tmp_path) as processes:
        run = processes.start(unused_port())
        run.await_start()
        with open_runtime(running.settings(database_url)) as runtime:
            runtime.ledger.register(running.registrations())
            pushing = running.push_to(run.url)
            run.until(lambda: len(pushing.taken) > 20 and sum(running.asked.values()) > 50)
            assert run.end() == 0
            pushing.stop()

            assert heard(runtime, pushing.taken)
            kept = runtime.store.read("SELECT message_id, claimed_until FROM {s}messages")
            assert {one.message_id for one in heard(runtime, pushing.taken)} <= {row["message_id"] for row in kept}
            # Another process can go on at once.
            assert {row["claimed_until"] for row in kept} == {None}
            assert {row["leased_until"] for row in scheduled(runtime).values()} == {None}
        lines = [json.loads(line) for line in run.log().splitlines()]
        assert lines
        assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)


def test_where_webhooks_cannot_be_received_nobody_is_asked(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Simulation(SEED, 10).serve() as running, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "world.toml").write_text(handed_over.configuration(running, "sqlite:///x.db", "127.0.0.1", port))
        (tmp_path / "parcels.ndjson").write_text("\n".join(handed_over.parcels(running)))
        cli.text("register", "--file", str(tmp_path / "parcels.ndjson"))
        secrets = handed_over.environment(running)
        for name, value in secrets.items():
            monkeypatch.setenv(name, value)
        run = ("--config", str(tmp_path / "world.toml"), "run")
        told = cli.refusal(*run, code=2)
        assert told.startswith(f"127.0.0.1:{port} cannot be listened on (")
        assert told.endswith("choose another with --host or --port")
        assert not running.asked

        missing = min(secrets)
        monkeypatch.delenv(missing)
        assert f"names the environment variable {missing}, which is not set; set it" in cli.refusal(*run, code=2)
