"""Does what goes wrong in the simulator look to our clients as it would at a provider?"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from support.simulated import standing
from trackledger.adapters.providers import PROVIDERS, provider
from trackledger.adapters.providers.asking import AskError, BadCredentials, Client, NotYetKnown, TooMany, Unavailable
from trackledger.adapters.simulator.faults import CALLS, LATEST_DELAY, NAMES, USUAL, Faults, named
from trackledger.adapters.simulator.simulation import Running, Simulation
from trackledger.adapters.simulator.world import world
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import UsageError

ALL_ASKED = (*PROVIDERS, "rye2")

every_provider = pytest.mark.parametrize("name", ALL_ASKED)


@contextmanager
def connected(name: str, faults: Faults, key: str = "") -> Iterator[tuple[Client, Tracker, Running]]:
    """A client of a provider whose parcels have all arrived, and the tracker of one of them."""
    simulation = Simulation(4, 20, providers=[name.removesuffix("2")], faults=faults)
    with simulation.serve() as running:
        running.clock = standing(running.until)
        account = next(one.account for one in running.connections if one.name == name)
        asked = name.removesuffix("2")
        tracker = next(
            one.trackers[0]
            for one in running.registrations()
            if one.account == account and one.trackers[0].provider == asked
        )
        access = running.access(name)
        client = provider(asked).client(replace(access, key=SecretStr(key)) if key else access)
        try:
            yield client, tracker, running
        finally:
            client.close()


@every_provider
def test_without_faults_every_call_is_answered(name: str) -> None:
    with connected(name, Faults()) as (client, tracker, running):
        assert client.follow(tracker, "default:x:y") == tracker
        assert all(answer.body for answer in client.ask([tracker]))
        assert running.asked[name] >= 1


@pytest.mark.parametrize(
    ("fault", "kind", "wait"),
    [
        ("refused_too_many", TooMany, 1.0),
        ("too_many", TooMany, None),
        ("server_errors", Unavailable, None),
        ("html", Unavailable, None),
        ("time_outs", Unavailable, None),
        ("truncated", Unavailable, None),
    ],
)
@every_provider
def test_a_fault_is_what_our_client_takes_it_for(
    name: str, fault: str, kind: type[AskError], wait: float | None
) -> None:
    with connected(name, replace(Faults(hang=0.01), **{fault: 1.0})) as (client, tracker, _):
        with pytest.raises(AskError) as raised:
            client.ask([tracker])
        assert type(raised.value) is kind
        assert raised.value.wait == wait


@every_provider
def test_a_wrong_key_is_refused_and_so_is_a_right_one_on_request(name: str) -> None:
    wrong = "RYE/staging-another" if name == "rye2" else "another"
    with connected(name, Faults(), wrong) as (client, tracker, _), pytest.raises(BadCredentials):
        client.ask([tracker])
    refusing = Faults(wrong_key=(name.removesuffix("2"),))
    with connected(name, refusing) as (client, tracker, _), pytest.raises(BadCredentials):
        client.ask([tracker])


@every_provider
def test_a_tracker_that_is_none_is_not_known(name: str) -> None:
    with connected(name, Faults()) as (client, tracker, _), pytest.raises(NotYetKnown):
        reference = tracker.reference[:-1] + ("0" if tracker.reference[-1] != "0" else "1")
        client.ask([replace(tracker, reference=reference, tracking_number="")])


def test_changes_are_listed_page_by_page() -> None:
    simulation = Simulation(4, 450, providers=["clickpost", "aftership"])
    expected = Counter(parcel.provider for parcel in simulation.world.parcels)
    with simulation.serve() as running:
        running.clock = standing(running.until)
        clickpost = provider("clickpost").client(running.access("clickpost"))
        span = (running.until - timedelta(days=30), running.until)
        listed = [one for answer in clickpost.changes(*span) for one in answer.changed]
        assert len(listed) == len(set(listed)) == expected["clickpost"]
        clickpost.close()
        aftership = provider("aftership").client(running.access("aftership"))
        assert len([answer for answer in aftership.changes(*span) if answer.body]) == 1 + expected["aftership"] // 200
        aftership.close()


def test_calls_meet_about_as_many_faults_as_was_asked_for() -> None:
    faults = Faults(html=0.3, hang=0.0)
    with connected("shiplemon", faults) as (client, tracker, running):
        failed = 0
        for _ in range(200):
            try:
                client.ask([tracker])
            except Unavailable:
                failed += 1
        assert 0.2 * 200 < failed < 0.4 * 200
        assert running.asked["shiplemon"] >= 200


def test_webhooks_are_lost_delayed_and_doubled_as_was_asked_for() -> None:
    def sent(faults: Faults) -> list[tuple[str, bytes]]:
        with Simulation(6, 60, faults=faults).serve() as running:
            return [(one.path, one.push.request.body) for one in running.deliveries()]

    whole = sent(Faults())
    assert sent(Faults()) == whole
    assert sent(Faults(lost_webhooks=1.0)) == []
    some = sent(Faults(lost_webhooks=0.2))
    assert 0.7 * len(whole) < len(some) < 0.9 * len(whole)
    assert set(some) < set(whole)
    assert sorted(sent(Faults(duplicates=1.0))) == sorted([*whole, *whole])
    moved = sent(Faults(delays=0.5))
    assert moved != whole
    assert sorted(moved) == sorted(whole)
    assert Simulation(6, 60, faults=Faults(delays=0.5)).until >= Simulation(6, 60).until + LATEST_DELAY


def test_faults_have_names() -> None:
    assert named(()) == Faults()
    assert named(["html", "lost-webhooks=0.5"]) == Faults(html=USUAL["html"], lost_webhooks=0.5)
    assert named(["all"]) == replace(Faults(rewritten_history=True), **USUAL)
    assert named(["wrong-key=ship24", "wrong-key=rye"]).wrong_key == ("ship24", "rye")
    assert set(CALLS) < set(USUAL)
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("htlm", "fault 'htlm' is unknown; use all, or of refused-too-many, "),
        ("wrong-key=pigeon", "fault 'wrong-key=pigeon' is unknown"),
        ("html=2", "fault 'html=2' has a share of 2; give one from 0 to 1"),
        ("html=nan", "fault 'html=nan' has a share of nan"),
        ("html=often", "fault 'html=often' has a share of often"),
    ],
)
def test_a_fault_that_is_none_is_refused(said: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        named([said])


def test_a_world_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert world(5, 200) == world(5, 200)
    assert world(5, 200) != world(6, 200)
    assert world(5, 200).parcels[:50] == world(5, 100).parcels[:50]
    assert world(5, 200, rewrites=True) != world(5, 200)


def test_a_world_cannot_be_larger_than_its_limit_nor_of_others() -> None:
    with pytest.raises(UsageError, match="0 parcels cannot be simulated"):
        world(1, 0)
    with pytest.raises(UsageError, match="100,001 parcels cannot be simulated"):
        world(1, 100_001)
    with pytest.raises(UsageError, match="provider 'pigeon' is unknown"):
        world(1, 10, providers=["pigeon"])
