"""Does the simulator speak as the providers do, and is what it calls true also what follows from its words?"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from support.rows import Rows
from support.simulated import ask_all, compared, differences, heard, instants, standing, take
from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import listen, serving
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import PROVIDERS, provider
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.simulator.faults import Faults
from trackledger.adapters.simulator.push import Delivery
from trackledger.adapters.simulator.simulation import Running, Simulation, Told

PARCELS = 40

POLLS: frozenset[Told] = frozenset({"poll"})
WEBHOOKS: frozenset[Told] = frozenset({"webhook"})

every_provider = pytest.mark.parametrize("name", PROVIDERS)
pushing = pytest.mark.parametrize("name", ["clickpost", "ship24", "shippit", "aftership", "rye"])


def ledger(running: Running, folder: Path, name: str = "ledger") -> Runtime:
    """An open, empty ledger that follows every parcel of a simulation."""
    runtime = open_runtime(running.settings(f"sqlite:///{folder}/{name}.db"))
    runtime.ledger.register(running.registrations())
    return runtime


def ask(runtime: Runtime, running: Running, at: datetime) -> None:
    """Ask about everything at an instant, twice, as Rye's parcels are known only once its orders are."""
    for _ in range(2 if any(one.provider == "rye" for one in running.connections) else 1):
        assert take(runtime, ask_all(runtime, running, at)) == []


def told_by(found: Sequence[Delivery], after: datetime, by: datetime) -> list[Delivery]:
    """The webhooks of a span of time."""
    return [one for one in found if after < one.push.at <= by]


@every_provider
def test_what_a_provider_answers_leads_to_the_truth_at_any_time(tmp_path: Path, name: str) -> None:
    simulation = Simulation(7, PARCELS, providers=[name], channels=POLLS)
    with simulation.serve() as running, ledger(running, tmp_path) as runtime:
        for at in instants(running, simulation.start, 6):
            ask(runtime, running, at)
            assert differences(runtime, running, at) == {}


@pushing
def test_what_a_provider_sends_leads_to_the_truth_at_any_time(tmp_path: Path, name: str) -> None:
    simulation = Simulation(7, PARCELS, providers=[name], channels=WEBHOOKS)
    with simulation.serve() as running, ledger(running, tmp_path) as runtime:
        before = simulation.start
        for at in instants(running, simulation.start, 6):
            assert take(runtime, heard(runtime, told_by(running.deliveries(), before, at))) == []
            if name == "rye":  # whose second generation only hints
                ask(runtime, running, at)
            assert differences(runtime, running, at) == {}
            before = at


@every_provider
def test_what_was_rewritten_leads_to_the_truth(tmp_path: Path, name: str) -> None:
    simulation = Simulation(3, PARCELS, providers=[name], faults=Faults(rewritten_history=True))
    with simulation.serve() as running, ledger(running, tmp_path) as runtime:
        before = simulation.start
        for at in instants(running, simulation.start, 6):
            assert take(runtime, heard(runtime, told_by(running.deliveries(), before, at))) == []
            ask(runtime, running, at)
            assert differences(runtime, running, at) == {}
            before = at


TOLD_BY_ONE_CHANNEL: dict[str, dict[str, frozenset[str]]] = {
    # Webhooks have no ids and never say whether a parcel is stuck.
    "clickpost": {
        "shipments": frozenset({"because"}),
        "timeline": frozenset({"checkpoint_id"}),
        "silence": frozenset({"provider_says_stuck"}),
    },
    "ship24": {},
    # Answers have no zone, so that a local day may be another, and spell a status otherwise; only webhooks name the
    # courier and its number.
    "shippit": {
        "shipments": frozenset({"carrier", "tracking_number", "said"}),
        "timeline": frozenset({"zone_source", "status_said", "amended"}),
        "ndr_cases": frozenset({"reason_said"}),
        "journeys": frozenset({"carrier", "ended_on", "transit_days", "estimated"}),
    },
    "aftership": {},
}
"""Columns that one channel of a provider says nothing about, or says otherwise."""


@pytest.mark.parametrize("name", TOLD_BY_ONE_CHANNEL)
def test_a_world_gives_the_same_tables_through_either_channel_and_through_both(tmp_path: Path, name: str) -> None:
    simulation = Simulation(11, 15, providers=[name])
    with simulation.serve() as running:
        with ledger(running, tmp_path, "webhooks") as runtime:
            sent = heard(runtime, running.deliveries())
            assert take(runtime, sent) == []
            by_webhooks = tables(runtime, name)
        with ledger(running, tmp_path, "polls") as runtime:
            answered = asked_at_every_change(running, simulation, name)
            assert take(runtime, answered) == []
            by_polls = tables(runtime, name)
        with ledger(running, tmp_path, "both") as runtime:
            messages = [*sent, *answered, *sent[::3]]
            Random(5).shuffle(messages)
            assert take(runtime, messages) == []
            by_both = tables(runtime, name)

    assert by_webhooks["shipments"]
    assert by_polls == by_webhooks
    assert by_both == by_webhooks


def tables(runtime: Runtime, name: str) -> Rows:
    """What both channels tell. That an estimate was stated when it was heard is a matter of the channel."""
    without = TOLD_BY_ONE_CHANNEL[name]
    return compared(runtime, {"estimates": frozenset({"stated_at"}), **without})


def asked_at_every_change(running: Running, simulation: Simulation, name: str) -> list[Message]:
    """An answer about each parcel at every instant from which on something else is told of it."""
    client = provider(name).client(running.access(name))
    trackers = {one.trackers[0].reference: one.trackers[0] for one in running.registrations()}
    found = []
    for parcel in simulation.world.parcels:
        for at in parcel.changes():
            running.clock = standing(at)
            found += [
                message(name, answer.body, received_at=at, context=answer.context)
                for answer in client.ask([trackers[parcel.reference]])
            ]
    client.close()
    return found


# Over real sockets


def test_webhooks_reach_a_real_server_late_twice_and_out_of_order_and_lead_to_the_truth(tmp_path: Path) -> None:
    faults = Faults(duplicates=0.3, reordering=0.5, delays=0.2)
    simulation = Simulation(2, PARCELS, faults=faults, channels=WEBHOOKS, speed=1_000_000)
    with simulation.serve() as running, ledger(running, tmp_path) as runtime, serving(create_app(runtime)) as url:
        pushing = running.push_to(url)
        assert pushing.wait(120)
        assert pushing.counts["given_up"] == 0
        assert pushing.counts["taken"] == len(running.deliveries()) == len(pushing.taken)
        runtime.intake.catch_up()
        ask(runtime, running, running.until)
        assert differences(runtime, running, running.until) == {}


def test_a_webhook_that_is_not_taken_is_sent_again(tmp_path: Path) -> None:
    simulation = Simulation(2, 5, providers=["aftership"], channels=WEBHOOKS, speed=1_000_000)
    with simulation.serve() as running, ledger(running, tmp_path) as runtime:
        with listen("127.0.0.1", 0) as unused:
            port = unused.getsockname()[1]
        pushing = running.push_to(f"http://127.0.0.1:{port}")
        while not pushing.counts["refused"]:
            assert not pushing.wait(0.01)
        with serving(create_app(runtime), port=port):
            assert pushing.wait(120)
        assert pushing.counts["given_up"] == 0
        assert pushing.counts["taken"] == len(running.deliveries())
