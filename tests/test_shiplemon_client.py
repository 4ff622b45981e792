"""Is Shiplemon asked as it wants to be, and what is made of its answers?"""

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from support.messages import body_of
from support.scripted import Reply, Scripted, scripted
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import normalize, provider, shiplemon_client
from trackledger.adapters.providers.asking import (
    Access,
    Answer,
    AskError,
    BadCredentials,
    NotYetKnown,
    Rejected,
    TooMany,
    Unavailable,
)
from trackledger.adapters.providers.shiplemon_client import ShiplemonClient
from trackledger.domain.checkpoints import AssertionKind, Tracker
from trackledger.domain.errors import UsageError

KEY = "lemon-k3y"
ID = "68f1c2a49be0d7315c4e9a02"
TRACKING = Reply(body_of("shiplemon", "poll_delivered"))
SHIPMENT = Reply(body_of("shiplemon", "shipment_vouchers"))
NOT_FOUND = {"error": {"code": "NOT_FOUND", "message": "No such shipment", "metadata": None}}
ROW = {"status": "TRANSIT", "status_date": "2026-03-05T10:20:00.000Z", "status_details": "ΑΝΑΧΩΡΗΣΗ"}


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


@pytest.fixture
def client(played: Scripted) -> Iterator[ShiplemonClient]:
    client = provider("shiplemon").client(Access(SecretStr(KEY), "", played.url))
    assert isinstance(client, ShiplemonClient)
    yield client
    client.close()


def tracker(reference: str = ID) -> Tracker:
    return Tracker("shiplemon", reference)


def paths(played: Scripted) -> list[str]:
    return [f"{asked.method} {asked.path}" for asked in played.asked]


def test_a_shipment_is_asked_about_with_the_key_in_a_header(client: ShiplemonClient, played: Scripted) -> None:
    played.answers(TRACKING, SHIPMENT)

    tracking, vouchers = client.ask([tracker()])

    assert paths(played) == [f"GET /public/v1/shipments/{ID}/tracking", f"GET /v1/shipments/{ID}"]
    assert [(a.params, a.headers["x-api-key"], a.body) for a in played.asked] == [({}, KEY, b"")] * 2
    assert tracking == Answer(TRACKING.body, {"shipment_id": ID})
    assert vouchers == Answer(SHIPMENT.body, {"shipment_id": ID, "about": "vouchers"})


def test_answers_read_with_the_context_of_their_requests(client: ShiplemonClient, played: Scripted) -> None:
    played.answers(TRACKING, SHIPMENT)
    at = datetime(2026, 9, 1, tzinfo=UTC)

    told = [
        normalize(message("shiplemon", answer.body, context=answer.context, received_at=at))[0]
        for answer in client.ask([tracker()])
    ]

    assert [of.tracker.reference for of in told] == [ID, ID]
    assert [len(of.checkpoints) for of in told] == [5, 0]
    assert [a.kind for a in told[1].assertions] == [AssertionKind.PIECES]


def test_vouchers_are_asked_for_once_a_shipment(client: ShiplemonClient, played: Scripted) -> None:
    played.answers(TRACKING, SHIPMENT, TRACKING, TRACKING, SHIPMENT)

    counts = [len(client.ask([tracker(reference)])) for reference in (ID, ID, "another")]

    assert counts == [2, 1, 2]
    assert paths(played)[2:] == [
        f"GET /public/v1/shipments/{ID}/tracking",
        "GET /public/v1/shipments/another/tracking",
        "GET /v1/shipments/another",
    ]


@pytest.mark.parametrize(
    ("reply", "again"),
    [
        (Reply(NOT_FOUND, 404), False),
        (Reply({"error": {"code": "X"}}, 403), False),
        (Reply({"error": {"code": "X"}}, 422), False),
        (Reply(b"slow down", 429), True),
        (Reply(b"", 503), True),
        (Reply(b"<html>"), True),
        (Reply(b"", 0), True),
    ],
)
def test_vouchers_that_cannot_be_had_lose_no_tracking(
    client: ShiplemonClient, played: Scripted, reply: Reply, again: bool
) -> None:
    played.answers(TRACKING, reply, TRACKING, SHIPMENT)

    assert client.ask([tracker()]) == [Answer(TRACKING.body, {"shipment_id": ID})]
    assert len(client.ask([tracker()])) == (2 if again else 1)


def test_what_is_remembered_of_vouchers_has_a_limit(
    client: ShiplemonClient, played: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shiplemon_client, "MAX_REMEMBERED", 2)
    played.answers(*[TRACKING, SHIPMENT] * 4)

    assert [len(client.ask([tracker(reference)])) for reference in ("a", "b", "c", "a")] == [2, 2, 2, 2]


def test_a_shipment_that_is_not_known_yet_is_no_failure_of_the_account(
    client: ShiplemonClient, played: Scripted
) -> None:
    for reply in (Reply(NOT_FOUND, 404), Reply(NOT_FOUND, 200), Reply(b"", 404)):
        played.answers(reply)
        with pytest.raises(NotYetKnown, match=r"^shiplemon: GET http.*/tracking answered "):
            client.ask([tracker()])
    assert len(played.asked) == 3


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply({"error": {"code": "X", "message": "no"}}, 401), BadCredentials, "the key is refused"),
        (Reply(b"<html>Forbidden</html>", 403), BadCredentials, "the key is refused"),
        (Reply({"error": {"code": "X", "message": "bad id"}}, 400), Rejected, "bad id"),
        (Reply({"error": {"code": "X", "message": "bad row"}}, 422), Rejected, "bad row"),
        (Reply(b"<html>Bad request</html>", 400), Unavailable, "not JSON"),
        (Reply({"error": {"code": "X"}}, 405), Rejected, "answered 405"),
        (Reply(b"", 302, {"location": "https://elsewhere.example/"}), Rejected, "answered 302"),
        (Reply({"error": {"code": "X", "message": "oops"}}), Unavailable, "with an error inside"),
        (Reply({"error": "oops"}), Unavailable, "oops"),
        (Reply({"error": {"code": "X"}}, 500), Unavailable, "answered 500"),
        (Reply(b"<html>Bad gateway</html>", 502, {"content-type": "text/html"}), Unavailable, "answered 502"),
        (Reply(b"<html>Sign in</html>", 200, {"content-type": "text/html"}), Unavailable, "text/html"),
        (Reply(b""), Unavailable, "empty body"),
        (Reply([]), Unavailable, "no answer of its API"),
        (Reply(b"", 0), Unavailable, "gave no answer"),
        (Reply(b"slow down", 429, {"retry-after": "11"}), TooMany, "too many calls"),
    ],
)
@pytest.mark.parametrize("call", ["ask", "shipment", "replace_history"])
def test_a_failure_is_told_apart_by_what_to_do(
    client: ShiplemonClient, played: Scripted, call: str, reply: Reply, kind: type[AskError], words: str
) -> None:
    played.answers(reply)
    calls: dict[str, Callable[[], Any]] = {
        "ask": lambda: client.ask([tracker()]),
        "shipment": lambda: client.shipment(ID),
        "replace_history": lambda: client.replace_history(ID, [ROW]),
    }
    with pytest.raises(AskError) as raised:
        calls[call]()
    assert type(raised.value) is kind
    assert words in str(raised.value)
    assert raised.value.wait == (11.0 if "retry-after" in reply.headers else None)
    assert len(played.asked) == 1


def test_the_key_is_in_no_error_no_log_and_no_context(
    client: ShiplemonClient, played: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    played.answers(Reply({"error": {"code": "X", "message": f"unknown key {KEY}"}}, 422), TRACKING, SHIPMENT)
    with pytest.raises(Rejected, match=r"unknown key \*\*\*") as raised:
        client.ask([tracker()])
    answers = client.ask([tracker()])

    told = "".join(traceback.format_exception(raised.value)) + caplog.text
    assert KEY not in told + repr(client) + repr(vars(client)) + json.dumps([dict(a.context) for a in answers])
    assert all(KEY not in asked.path for asked in played.asked)


def test_a_history_is_replaced_as_a_whole_and_answered_with_a_message(
    client: ShiplemonClient, played: Scripted
) -> None:
    body = body_of("shiplemon", "put_three_answers")
    played.answers(Reply(body), Reply(body))
    rows = [ROW, ROW | {"status": "DELIVERED", "status_date": "2026-03-05T12:00:00.000Z"}]

    answers = [client.replace_history(ID, rows) for _ in range(2)]

    assert paths(played) == [f"PUT /v1/shipments/{ID}/tracking"] * 2
    assert [asked.json for asked in played.asked] == [{"tracking_history": rows}] * 2
    assert played.asked[0].headers["x-api-key"] == KEY
    assert answers == [Answer(body, {"shipment_id": ID})] * 2


@pytest.mark.parametrize("status", ["delivered", "RETURNED", "", None])
def test_a_history_with_a_status_that_shiplemon_does_not_take_is_not_sent(
    client: ShiplemonClient, played: Scripted, status: Any
) -> None:
    with pytest.raises(UsageError, match="use one of: PRE_TRANSIT, TRANSIT, DELIVERED, EXCEPTION"):
        client.replace_history(ID, [ROW, ROW | {"status": status}])
    assert played.asked == []


def test_following_a_parcel_needs_no_call(client: ShiplemonClient, played: Scripted) -> None:
    """An import wants addresses and items, which a tracker does not have."""
    foreign = Tracker("shiplemon", ID, "ELTA Courier", "ZZ700418826GR")
    assert client.follow(foreign, f"default:shiplemon:{ID}") is foreign
    assert played.asked == []


def test_there_is_no_list_of_what_changed(client: ShiplemonClient, played: Scripted) -> None:
    since = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)
    with pytest.raises(UsageError, match=r"^shiplemon: there is no list of what changed"):
        client.changes(since, since + timedelta(hours=1))
    assert played.asked == []


@pytest.mark.parametrize("reference", ["../../v1/shipments", "a/b", "a?b", "", "a b", "é"])
def test_a_reference_that_would_make_another_address_is_not_asked_about(
    client: ShiplemonClient, played: Scripted, reference: str
) -> None:
    for call in (
        lambda: client.ask([tracker(reference)]),
        lambda: client.shipment(reference),
        lambda: client.replace_history(reference, [ROW]),
    ):
        with pytest.raises(UsageError, match=f"is no shipment id; give one like {ID}"):
            call()
    assert played.asked == []


def test_credentials_that_cannot_be_right_are_refused_at_once() -> None:
    for access in (Access(), Access(user="shop")):
        with pytest.raises(UsageError, match="a key is needed"):
            provider("shiplemon").client(access)
    with pytest.raises(UsageError, match="what no header can"):
        provider("shiplemon").client(Access(SecretStr("κλειδί")))
