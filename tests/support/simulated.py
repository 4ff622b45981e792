"""What does a simulated world tell, and what does a ledger that heard it conclude?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from support.rows import ARRIVAL, Rows, rows
from trackledger.adapters.clock import Clock
from trackledger.adapters.inbox import Outcome, message
from trackledger.adapters.providers import provider
from trackledger.adapters.providers.asking import Client, NotYetKnown
from trackledger.adapters.providers.base import Message
from trackledger.adapters.providers.verifying import Request
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.simulator import comparison
from trackledger.adapters.simulator.comparison import Difference
from trackledger.adapters.simulator.push import Delivery
from trackledger.adapters.simulator.simulation import Running
from trackledger.adapters.simulator.truth import Key
from trackledger.domain.checkpoints import Tracker


def standing(at: datetime) -> Clock:
    """A clock that shows this instant, as good as stopped."""
    return Clock(at, datetime.now(UTC), 1e-9)


def ask_all(runtime: Runtime, running: Running, at: datetime) -> list[Message]:
    """One answer of every provider about every tracker that the ledger knows and it may be asked about."""
    running.clock = standing(at)
    found: list[Message] = []
    for one in runtime.settings.accounts:
        if one.access is None:
            continue
        client = provider(one.provider).client(one.access)
        trackers = [
            Tracker(row["provider"], row["reference"], row["carrier"] or "", row["tracking_number"] or "")
            for row in runtime.database.read(
                "SELECT * FROM {s}tracker_links WHERE account = :account AND provider = :provider ORDER BY tracker",
                account=one.account,
                provider=one.provider,
            )
        ]
        batch = provider(one.provider).abilities.batch
        for start in range(0, len(trackers), batch):
            for answer in _answers(client, trackers[start : start + batch]):
                found.append(
                    message(
                        one.provider,
                        answer.body,
                        account=one.account,
                        received_at=at,
                        context={**one.context, **answer.context},
                    )
                )
        client.close()
    return found


def _answers(client: Client, trackers: Sequence[Tracker]) -> Iterator[Any]:
    followed = [client.follow(t, "") if t.reference.startswith("trackledger-") else t for t in trackers]
    assert followed == list(trackers)
    try:
        yield from (answer for answer in client.ask(trackers) if answer.body)
    except NotYetKnown:
        return


def heard(runtime: Runtime, found: Iterable[Delivery]) -> list[Message]:
    """Webhooks as the inbox keeps them, each verified by its provider's rule and received as it was sent."""
    endpoints = {
        (one.provider, name): (one.account, endpoint)
        for one in runtime.settings.accounts
        for name, endpoint in one.endpoints.items()
    }
    messages = []
    for delivery in found:
        _, _, name, endpoint_name = delivery.path.split("/")
        account, endpoint = endpoints[name, endpoint_name]
        request = Request(delivery.push.request.body, dict(delivery.push.request.headers))
        provider(name).verify(request, endpoint)
        if provider(name).handshake(request) is None:
            received_at = delivery.push.at
            messages.append(message(name, request.body, channel="webhook", account=account, received_at=received_at))
    return messages


def take(runtime: Runtime, messages: Sequence[Message]) -> list[str]:
    """Take messages in and fold them; why any of them was parked."""
    outcomes = runtime.intake.take(messages)
    runtime.projector.catch_up()
    return [outcome.reason for outcome in outcomes if outcome.state not in ("done", "ignored")]


def news(runtime: Runtime, messages: Sequence[Message]) -> list[Outcome]:
    """Of messages that were taken in before, those in which any statement is new when they come once more."""
    outcomes = runtime.intake.take(messages)
    runtime.projector.catch_up()
    return [one for one in outcomes if one.recorded or one.amended or one.withdrawn or one.state == "parked"]


def differences(runtime: Runtime, running: Running, at: datetime) -> dict[Key, Difference]:
    """Where the tables and the truth at an instant differ."""
    return comparison.differences(runtime.store, running.truth(at))


def instants(running: Running, start: datetime, number: int) -> list[datetime]:
    """As many instants of a world, evenly apart, the last of which is its end."""
    span = (running.until - start) / number
    return [start + span * nth + timedelta(microseconds=1) for nth in range(1, number)] + [running.until]


def compared(runtime: Runtime, without: Mapping[str, frozenset[str]]) -> Rows:
    """All tables, less what tells of the arrival and these columns."""
    names = {*ARRIVAL, *without}
    left_out = {name: ARRIVAL.get(name, frozenset()) | without.get(name, frozenset()) for name in names}
    return {
        name: sorted(held, key=lambda row: str(sorted(row.items())))
        for name, held in rows(runtime.store, without=left_out).items()
    }
