"""Is ClickPost asked to act on a failed delivery just once, and is what it answers, or does not, recorded as it is?"""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from msgspec.structs import replace

from support.polls import KEY, asked_account
from support.reports import TRACKER, report
from support.scans import scan
from support.scripted import Reply, Scripted, scripted
from support.simulated import ask_all, standing, take
from trackledger.adapters.acting import Acted, request_ndr_action, send_ndr_action
from trackledger.adapters.once import InWork
from trackledger.adapters.providers import PROVIDERS, provider
from trackledger.adapters.providers.asking import (
    Access,
    Acts,
    BadCredentials,
    Declined,
    Rejected,
    TooMany,
    Unavailable,
)
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.simulator.simulation import Simulation
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.domain.errors import InvalidStatement, ShipmentNotFound, UsageError
from trackledger.domain.events import NdrActionRequested
from trackledger.domain.ndr_actions import Instruction, NdrAction
from trackledger.projections import ndr_actions

ID = "default:clickpost:4:AWB1"
REATTEMPT = Instruction(NdrAction.REATTEMPT)
DAY = datetime.now(UTC).date() + timedelta(days=2)
OK = {"meta": {"message": "SUCCESS", "success": True, "status": 200}}


def no(status: int, message: Any = "Bad Request , Invalid Action") -> dict[str, Any]:
    return {"meta": {"status": status, "message": message, "success": False}}


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


@pytest.fixture
def client(played: Scripted) -> Iterator[Acts]:
    access = asked_account("clickpost", played.url, account_code="Surface").access
    assert access is not None
    client = provider("clickpost").client(access)
    assert isinstance(client, Acts)
    yield client
    client.close()


@pytest.fixture
def connected(database_url: str, played: Scripted) -> Iterator[Runtime]:
    """A ledger with a failed delivery, whose account asks the scripted ClickPost."""
    account = asked_account("clickpost", played.url, account_code="Surface")
    with open_runtime(Settings(database_url, accounts=(account,))) as runtime:
        fail(runtime)
        yield runtime


def fail(runtime: Runtime) -> None:
    runtime.ledger.intake([report(scan("delivery_failed", "3 12:00", reason="refused"), at="3 13:00")])


def state(runtime: Runtime) -> list[tuple[str, str | None]]:
    runtime.projector.catch_up()
    return [(row["state"], row["answer"]) for row in ndr_actions.of(runtime.store, ID)]


@pytest.mark.parametrize(
    ("instruction", "body"),
    [
        (REATTEMPT, {"action": "REATTEMPT"}),
        (replace(REATTEMPT, remark="stays here"), {"action": "REATTEMPT"}),
        (Instruction(NdrAction.RTO), {"action": "INITIATE_RTO"}),
        (
            Instruction(NdrAction.RESCHEDULE, date(2026, 3, 9)),
            {"action": "REATTEMPT", "preferred_date": "2026-03-09"},
        ),
        (
            Instruction(NdrAction.CHANGE_DETAILS, None, "14 Lake View Road", "At the lake", "560034", "9845000000"),
            {
                "action": "REATTEMPT",
                "address": "14 Lake View Road",
                "landmark": "At the lake",
                "drop_pincode": "560034",
                "phone_number": "9845000000",
            },
        ),
    ],
)
def test_an_action_is_posted_in_clickposts_words(
    client: Acts, played: Scripted, instruction: Instruction, body: dict[str, Any]
) -> None:
    played.answers(OK)

    assert client.act(TRACKER, instruction) == "SUCCESS"

    (asked,) = played.asked
    assert (asked.method, asked.path) == ("POST", "/api/v2/ndr-update-api")
    assert asked.params == {"username": "shop", "key": KEY}
    assert asked.json == {"waybill": "AWB1", "cp_id": 4, "account_code": "Surface", **body}


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (no(400), "Bad Request , Invalid Action"),
        (Reply(no(400), 400), "Bad Request , Invalid Action"),
        (no(330, "waybill is unknown"), "waybill is unknown"),
        (no(321), "Bad Request , Invalid Action"),
        (no(422, {"phone_number": ["too short"]}), '{"phone_number": ["too short"]}'),
        (no(400, f"no user for key {KEY}\nat all"), "no user for key *** at all"),
        (no(400, None), "null"),
        (no(200, "not eligible"), "not eligible"),
    ],
)
def test_a_refusal_has_its_words(client: Acts, played: Scripted, reply: Any, words: str) -> None:
    played.answers(reply)

    with pytest.raises(Declined) as raised:
        client.act(TRACKER, REATTEMPT)

    assert raised.value.words == words
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (no(301, "Authentication Failed: Invalid Token or API Key"), BadCredentials),
        (no(429), TooMany),
        (Reply(b"", 429, {"retry-after": "7"}), TooMany),
        (no(322), Unavailable),
        (no(500), Unavailable),
        (Reply(b"<!doctype html>", 200, {"content-type": "text/html"}), Unavailable),
        (Reply({"detail": "down"}, 503), Unavailable),
        (Reply(OK, 503), Unavailable),
        (Reply(OK, 302), Rejected),
        (Reply({"success": True}), Unavailable),
        (Reply([1]), Unavailable),
        (Reply(b""), Unavailable),
        (Reply(status=0), Unavailable),
    ],
)
def test_whatever_else_is_answered_is_no_refusal(
    client: Acts, played: Scripted, reply: Any, kind: type[Exception]
) -> None:
    played.answers(reply)

    with pytest.raises(kind) as raised:
        client.act(TRACKER, REATTEMPT)

    assert not isinstance(raised.value, Declined)
    assert KEY not in str(raised.value)
    assert len(played.asked) == 1


def test_those_who_are_said_to_act_have_clients_that_do() -> None:
    acting = [one for one in map(provider, PROVIDERS) if one.abilities.ndr_actions]

    assert [one.name for one in acting] == ["clickpost"]
    for one in acting:
        client = one.client(asked_account(one.name, "http://127.0.0.1:1").access or Access())
        assert isinstance(client, Acts)
        client.close()


def test_an_answer_is_recorded_after_the_request_was(connected: Runtime, played: Scripted) -> None:
    def answer(asked: Any) -> Any:
        # What is asked for is in the ledger before anybody is asked.
        (*_, newest) = connected.ledger.history(ID)
        assert isinstance(newest.event, NdrActionRequested)
        return OK

    played.otherwise = answer

    acted = request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", action_id="a1")

    assert acted == Acted("a1", "acknowledged", "SUCCESS", position=connected.store.head())  # type: ignore[arg-type]
    assert state(connected) == [("acknowledged", "SUCCESS")]


def test_a_refusal_is_recorded(connected: Runtime, played: Scripted) -> None:
    played.answers(no(400))

    acted = request_ndr_action(connected, ID, 1, REATTEMPT, "clerk")

    assert (acted.state, acted.answer) == ("refused", "Bad Request , Invalid Action")
    assert state(connected) == [("refused", "Bad Request , Invalid Action")]


def test_without_an_answer_it_stays_requested_and_is_sent_again(connected: Runtime, played: Scripted) -> None:
    played.answers(Reply(status=0), Reply({"detail": "down"}, 503), OK)

    lost = request_ndr_action(connected, ID, 1, REATTEMPT, "clerk")
    assert (lost.state, lost.answer) == ("requested", "")
    assert "gave no answer" in lost.trouble and lost.position == connected.store.head()
    down = send_ndr_action(connected, ID, lost.action_id, "clerk")
    assert state(connected) == [("requested", None)]
    assert "503" in down.trouble

    sent = send_ndr_action(connected, ID, lost.action_id, "another")

    assert sent.state == "acknowledged"
    assert state(connected) == [("acknowledged", "SUCCESS")]
    assert len(played.asked) == 3
    assert send_ndr_action(connected, ID, lost.action_id, "clerk").state == "acknowledged"
    assert len(played.asked) == 3


def test_a_long_answer_is_told_as_it_is_kept(connected: Runtime, played: Scripted) -> None:
    played.answers({"meta": {"message": "so " * 1000, "success": True, "status": 200}})

    acted = request_ndr_action(connected, ID, 1, REATTEMPT, "clerk")

    assert state(connected) == [("acknowledged", acted.answer)]


def test_nobody_is_asked_about_a_delivery_that_is_over(connected: Runtime, played: Scripted) -> None:
    played.answers(Reply(status=0))
    request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", action_id="a1")
    connected.ledger.intake([report(scan("delivered", "4 12:00"), at="4 13:00")])

    acted = send_ndr_action(connected, ID, "a1", "clerk")

    says = f"the failed delivery 1 of {ID} is closed; nobody is asked about it"
    assert acted == Acted("a1", "requested", trouble=says)  # type: ignore[arg-type]
    assert len(played.asked) == 1


def test_nobody_waits_for_ever_until_a_call_is_free(connected: Runtime, played: Scripted) -> None:
    played.answers(Reply(status=0))
    request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", action_id="a1")
    later = datetime.now(UTC) + timedelta(minutes=10)
    with connected.database.transaction() as transaction:
        transaction.execute("UPDATE {s}poll_accounts SET free_at = :later", later=later)

    acted = send_ndr_action(connected, ID, "a1", "clerk")

    assert acted.trouble == f"so many calls wait already that the next is free at {later}"
    assert connected.store.read("SELECT free_at FROM {s}poll_accounts") == [{"free_at": later}]
    assert len(played.asked) == 1


def test_an_account_that_cannot_be_asked_after_all_leaves_it_requested(database_url: str) -> None:
    account = asked_account("clickpost", "http://127.0.0.1:1")
    assert account.access is not None
    nameless = replace(account, access=replace(account.access, user=""))
    with open_runtime(Settings(database_url, accounts=(nameless,))) as runtime:
        fail(runtime)

        acted = request_ndr_action(runtime, ID, 1, REATTEMPT, "clerk")

        assert acted.trouble == "clickpost: a key and a user name are needed; set both for this account"
        assert state(runtime) == [("requested", None)]


def test_a_crash_after_the_request_leaves_it_requested(connected: Runtime, played: Scripted) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    played.otherwise = lambda asked: OK
    ledger = connected.ledger
    answer = ledger.answer_ndr_action
    ledger.answer_ndr_action = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", action_id="a1")
    ledger.answer_ndr_action = answer  # type: ignore[method-assign]

    assert state(connected) == [("requested", None)]
    assert request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", action_id="a1").state == "acknowledged"
    assert state(connected) == [("acknowledged", "SUCCESS")]


def test_a_wrong_key_stops_the_account_and_is_told(
    connected: Runtime, played: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    played.answers(no(301, f"Authentication Failed for {KEY}"))

    acted = request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", action_id="a1")
    again = send_ndr_action(connected, ID, "a1", "clerk")

    assert acted.state == again.state == "requested"
    assert "Authentication Failed for ***" in acted.trouble
    assert again.trouble == "the account is not asked any more"
    assert len(played.asked) == 1
    assert KEY not in caplog.text


def test_one_who_wants_to_be_left_alone_is(connected: Runtime, played: Scripted) -> None:
    played.answers(Reply(b"", 429, {"retry-after": "60"}))

    request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", action_id="a1")
    again = send_ndr_action(connected, ID, "a1", "clerk")

    assert "left alone until" in again.trouble
    assert len(played.asked) == 1


def test_two_who_send_the_same_at_once_ask_once(connected: Runtime, played: Scripted) -> None:
    played.answers(Reply(status=0))
    request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", action_id="a1")
    under_way = Barrier(2, timeout=30)

    def slow(asked: Any) -> Any:
        under_way.wait()
        under_way.wait()
        return OK

    played.otherwise = slow
    told: list[Acted] = []
    first = Thread(target=lambda: told.append(send_ndr_action(connected, ID, "a1", "one")))
    first.start()
    under_way.wait()
    with pytest.raises(InWork, match="is being done right now"):
        send_ndr_action(connected, ID, "a1", "other")
    under_way.wait()
    first.join(30)

    assert [one.state for one in told] == ["acknowledged"]
    assert len(played.asked) == 2


def test_nobody_is_asked_about_what_was_done_by_hand(connected: Runtime, played: Scripted) -> None:
    acted = request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", by_hand=True)

    assert acted.state == "acknowledged"
    assert played.asked == []


def test_a_provider_that_takes_no_actions_is_not_asked(runtime: Runtime) -> None:
    fail(runtime)
    with pytest.raises(UsageError) as raised:
        request_ndr_action(runtime, ID, 1, REATTEMPT, "clerk")

    assert str(raised.value) == (
        f"{ID} is followed at clickpost, where no action can be asked for from here; see to it there, and record it "
        "as done by hand"
    )
    assert state(runtime) == []
    assert request_ndr_action(runtime, ID, 1, REATTEMPT, "clerk", by_hand=True).state == "acknowledged"


def test_a_waybill_without_its_carrier_cannot_be_acted_on(connected: Runtime) -> None:
    tracker = Tracker("clickpost", "-:AWB7")
    failure = scan("delivery_failed", "3 12:00")
    connected.ledger.intake([report(failure, at="3 13:00", tracker=tracker)])

    with pytest.raises(UsageError, match="see to it there"):
        request_ndr_action(connected, "default:clickpost:-:AWB7", 1, REATTEMPT, "clerk")


def test_the_tracker_that_told_of_the_failure_is_asked_before_others(connected: Runtime, played: Scripted) -> None:
    tracker = Tracker("ship24", "t-1")
    connected.ledger.register([Registration(trackers=(tracker, Tracker("clickpost", "4:AWB8")))])
    connected.ledger.intake([report(scan("delivery_failed", "3 12:00"), at="3 13:00", tracker=tracker)])
    played.answers(OK)

    request_ndr_action(connected, "default:ship24:t-1", 1, REATTEMPT, "clerk")

    assert [asked.json["waybill"] for asked in played.asked] == ["AWB8"]


def test_of_several_numbers_the_one_whose_delivery_failed_is_acted_on(connected: Runtime, played: Scripted) -> None:
    first, second = Tracker("clickpost", "4:AWB8"), Tracker("clickpost", "4:AWB9")
    connected.ledger.register([Registration(trackers=(first, second))])
    connected.ledger.intake([report(scan("delivery_failed", "3 12:00"), at="3 13:00", tracker=second)])
    played.answers(OK)

    request_ndr_action(connected, "default:clickpost:4:AWB8", 1, REATTEMPT, "clerk")

    assert [asked.json["waybill"] for asked in played.asked] == ["AWB9"]


@pytest.mark.parametrize("days", [-3, 61, 4000])
def test_a_day_that_cannot_be_meant_is_refused(connected: Runtime, played: Scripted, days: int) -> None:
    day = datetime.now(UTC).date() + timedelta(days=days)
    with pytest.raises(InvalidStatement, match=f"^preferred_date {day} is not within 60 days from now; correct it$"):
        request_ndr_action(connected, ID, 1, Instruction(NdrAction.RESCHEDULE, day), "clerk")
    assert state(connected) == []
    assert played.asked == []


def test_the_shipment_of_another_account_is_missing(connected: Runtime) -> None:
    with pytest.raises(ShipmentNotFound) as there:
        request_ndr_action(connected, ID, 1, REATTEMPT, "clerk", account="elsewhere")
    with pytest.raises(ShipmentNotFound) as missing:
        request_ndr_action(connected, ID[:-1], 1, REATTEMPT, "clerk", account="elsewhere")
    assert str(there.value) == str(missing.value).replace(ID[:-1], ID)


def test_simulated_parcels_come_or_go_back_as_was_asked_for(database_url: str) -> None:
    plan = Simulation(3, 60, providers=("clickpost",))
    simulation = Simulation(3, 60, providers=("clickpost",), channels=frozenset({"poll"}), clock=standing(plan.start))
    with simulation.serve() as running:
        with open_runtime(running.settings(database_url)) as runtime:
            runtime.ledger.register(running.registrations())
            assert take(runtime, ask_all(runtime, running, plan.start + timedelta(days=6))) == []
        settings = running.settings(database_url)
        now = settings.clock.now()
        wanted = [
            REATTEMPT,
            Instruction(NdrAction.RTO),
            Instruction(NdrAction.RESCHEDULE, now.date() + timedelta(days=3)),
            Instruction(NdrAction.CHANGE_DETAILS, address="14 Lake View Road"),
        ]
        with open_runtime(settings) as runtime:
            cases = runtime.store.read("SELECT * FROM {s}ndr_cases WHERE state = 'open' AND attempts < 3")[:4]
            acted = [
                request_ndr_action(runtime, case["shipment_id"], case["case_no"], one, "clerk")
                for case, one in zip(cases, wanted, strict=True)
            ]
            assert [one.state for one in acted] == ["acknowledged"] * 4
        with open_runtime(running.settings(database_url)) as runtime:
            at = plan.start + timedelta(days=14)
            assert take(runtime, ask_all(runtime, running, at)) == []
            outcomes = [
                row["outcome"]
                for case in cases
                for row in runtime.store.read(
                    "SELECT * FROM {s}ndr_cases WHERE shipment_id = :id", id=case["shipment_id"]
                )
            ]
            assert outcomes == ["delivered", "returning", "delivered", "delivered"]
            truth = running.truth(at)
            for case, milestone in zip(cases, ("delivered", "returned", "delivered", "delivered"), strict=True):
                reference = case["shipment_id"].removeprefix("default:clickpost:")
                assert truth.rows["clickpost", reference].milestone == milestone
