"""Is everything that was acknowledged there, and everything true, after a process was killed again and again?"""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random

from support.rows import fresh, rows
from support.runs import Run, forget_the_dead, runs, unused_port
from support.simulated import heard, news
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.simulator.comparison import differences
from trackledger.adapters.simulator.faults import Faults
from trackledger.adapters.simulator.push import Pushing
from trackledger.adapters.simulator.rehearsal import settle
from trackledger.adapters.simulator.simulation import Simulation

SEED = 14
PARCELS = 40
SECONDS = 16.0
"""For the whole world, while nothing ends early."""

FAULTS = Faults(
    refused_too_many=0.03,
    too_many=0.03,
    server_errors=0.05,
    html=0.03,
    truncated=0.03,
    duplicates=0.2,
    reordering=0.3,
    delays=0.1,
    rewritten_history=True,
)

PATIENCE = (timedelta(hours=3),) * 5000
"""Webhooks are sent again until they are taken, so that none is lost because its receiver was dead for days."""

DEATHS = ("starting", "webhooks", "working", "calls", "webhooks", "working", "webhooks")
"""What each process is doing when it is killed, after one that has died while it made the tables."""


def test_killed_again_and_again_it_loses_nothing_and_ends_with_the_truth(database_url: str, tmp_path: Path) -> None:
    plan = Simulation(SEED, PARCELS, faults=FAULTS)
    # Whoever is dead when a parcel is first expected, and asks only when that was put off, cannot know of the first.
    asked_only = [parcel for parcel in plan.world.parcels if parcel.provider in ("rye", "shiplemon")]
    asked_only += [parcel for order in plan.world.orders for parcel in order.parcels]
    assert asked_only and not [parcel for parcel in asked_only if len(parcel.expected) > 1]

    simulation = Simulation(SEED, PARCELS, faults=FAULTS, speed=(plan.until - plan.start).total_seconds() / SECONDS)
    with simulation.serve() as running, runs(running, database_url, tmp_path) as processes:
        port = unused_port()
        random = Random(SEED)
        processes.start(port).kill_after(random.uniform(0.5, 1.5))
        with open_runtime(running.settings(database_url)) as runtime:
            assert not [one.error for one in runtime.ledger.register(running.registrations()) if one.error]
            pushing = running.push_to(f"http://127.0.0.1:{port}", PATIENCE)

            def calls() -> int:
                return sum(running.asked.values())

            def taken() -> int:
                return len(pushing.taken)

            def everything_is_told() -> bool:
                return running.clock.has_ended and pushing.wait(0)

            done = []
            for death in DEATHS:
                run = processes.start(port)
                if death == "starting":
                    run.kill_after(random.uniform(0.1, 1.0))
                elif death == "working":
                    run.await_start()
                    run.kill_after(random.uniform(0.0, 1.0))
                else:
                    counted = taken if death == "webhooks" else calls
                    done.append(run.kill_at(counted, random.randint(1, 30), everything_is_told))
                forget_the_dead(runtime)
            assert sum(number > 0 for number in done) > 1

            last = processes.start(port)
            last.until(everything_is_told, 120)
            settle(runtime, running)
            assert last.end() == 0
            # It went on asking until its end.
            runtime.intake.catch_up()
            runtime.projector.catch_up()

            assert_everything_acknowledged_was_kept(runtime, pushing)
            assert differences(runtime.store, running.truth(running.until)) == {}
            assert rows(runtime.store) == fresh(runtime)
        assert "report this" not in "".join(one.log() for one in processes.all)
        assert_json(last)


def assert_everything_acknowledged_was_kept(runtime: Runtime, pushing: Pushing) -> None:
    """Every webhook was taken at last, is there with its bytes, and was read."""
    assert (pushing.counts["given_up"], len(pushing.taken) > PARCELS) == (0, True)
    kept = {
        row["message_id"]: row for row in runtime.store.read("SELECT message_id, body, state, times FROM {s}messages")
    }
    sent = heard(runtime, pushing.taken)
    assert {one.message_id: one.body for one in sent}.items() <= {id_: row["body"] for id_, row in kept.items()}.items()
    # One that was kept and not acknowledged, as its receiver died in between, was sent once more.
    arrived = Counter(one.message_id for one in sent)
    assert [id_ for id_, times in arrived.items() if kept[id_]["times"] < times] == []
    # What is settled has left its statements behind.
    assert news(runtime, sent) == []
    assert Counter(row["state"] for row in kept.values()).keys() <= {"done", "ignored"}


def assert_json(run: Run) -> None:
    """Every line of its log is an object."""
    lines = [json.loads(line) for line in run.log().splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
