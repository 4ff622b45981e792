"""Does a webhook that hints at more than it tells make its tracker due, together with what becomes of it?"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from support.messages import kept
from support.polls import open_account, register, scheduled, sync
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import provider
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.schedule import Pair

NOW = datetime(2026, 3, 26, 12, 0, tzinfo=UTC)
SHIPPIT: Pair = ("default", "shippit")
RYE: Pair = ("default", "rye")
REASON = "a webhook says that there is more to know"

HINTS = [
    (kept("shippit", "webhook_state_without_row"), "PPr8CnT3hYj7L", "done"),
    (kept("rye", "webhook_2_shipment_updated"), "shp_3c9e07f5a1d84b62", "ignored"),
    (kept("rye", "webhook_tracking_flat"), "c4e81a90-6f3d-4d27-b0c5-2f9a8d716b44", "done"),
]


def poked(runtime: Runtime) -> list[str]:
    return [row["reference"] for row in scheduled(runtime).values() if row["reason"] == REASON]


@pytest.mark.parametrize(("hint", "reference", "state"), HINTS, ids=[reference for _, reference, _ in HINTS])
def test_a_hint_makes_its_tracker_due_whatever_becomes_of_the_message(
    runtime: Runtime, hint: Message, reference: str, state: str
) -> None:
    open_account(runtime, (hint.account, hint.provider), NOW)
    before = datetime.now(UTC)
    (outcome,) = runtime.intake.take([hint])

    assert outcome.state == state
    assert poked(runtime) == [reference]
    assert before <= scheduled(runtime)[f"default:{hint.provider}:{reference}"]["due_at"] <= datetime.now(UTC)


def test_a_tracker_that_waits_is_brought_forward_by_the_pump(runtime: Runtime) -> None:
    register(runtime, "shippit", "PPr8CnT3hYj7L")
    sync(runtime, datetime.now(UTC).replace(year=2090), SHIPPIT)
    runtime.inbox.append([HINTS[0][0]])
    runtime.intake.catch_up()

    assert poked(runtime) == ["PPr8CnT3hYj7L"]


def test_where_nobody_asks_nothing_is_scheduled(runtime: Runtime) -> None:
    runtime.intake.take([hint for hint, _, _ in HINTS])

    assert scheduled(runtime) == {}


def test_a_whole_message_is_no_hint(runtime: Runtime) -> None:
    open_account(runtime, SHIPPIT, NOW)
    runtime.intake.take([kept("shippit", "webhook_completed"), kept("shippit", "webhook_raw_data")])

    assert scheduled(runtime) == {}


def test_an_answer_is_no_hint_as_it_would_be_asked_for_for_ever(runtime: Runtime) -> None:
    hint = HINTS[0][0]
    assert provider("shippit").pokes(hint)
    open_account(runtime, SHIPPIT, NOW)
    runtime.intake.take([message("shippit", hint.body, channel="poll", received_at=hint.received_at)])

    assert scheduled(runtime) == {}


def test_hints_are_of_the_account_of_their_message(runtime: Runtime) -> None:
    open_account(runtime, ("outlet", "rye"), NOW)
    open_account(runtime, RYE, NOW)
    hint = HINTS[1][0]
    elsewhere = message("rye", hint.body, channel="webhook", account="outlet", received_at=hint.received_at)
    runtime.intake.take([elsewhere])

    assert list(scheduled(runtime)) == ["outlet:rye:shp_3c9e07f5a1d84b62"]


def test_what_is_rolled_back_hints_at_nothing(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    from eventsourcing.persistence import OperationalError

    from trackledger.adapters.schedule import Schedule

    open_account(runtime, RYE, NOW)
    poke = Schedule.poke

    def fails_afterwards(self: Schedule, *arguments: Any) -> None:
        poke(self, *arguments)
        raise OperationalError("the connection broke")

    monkeypatch.setattr(Schedule, "poke", fails_afterwards)
    with pytest.raises(OperationalError):
        runtime.intake.take([HINTS[1][0]])
    assert scheduled(runtime) == {}
    assert runtime.inbox.waiting() == 1


def test_a_provider_that_cannot_say_holds_back_no_message(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: object, message: Message) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(type(provider("shippit")), "pokes", broken)
    open_account(runtime, RYE, NOW)
    outcomes = runtime.intake.take([HINTS[0][0], HINTS[1][0]])

    assert [outcome.state for outcome in outcomes] == ["done", "ignored"]
    assert poked(runtime) == ["shp_3c9e07f5a1d84b62"]
    assert f"message {HINTS[0][0].message_id} cannot be looked at for hints" in caplog.text


def test_a_reference_that_can_be_none_is_passed_over(runtime: Runtime) -> None:
    open_account(runtime, RYE, NOW)
    body = json.loads(HINTS[1][0].body)
    body["source"]["id"] = "shp\u0007" * 100
    runtime.intake.take([message("rye", json.dumps(body).encode(), channel="webhook", received_at=NOW)])

    assert scheduled(runtime) == {}
