"""Is Shippit asked as it wants to be, and what is made of its answers?"""

import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from support.scripted import Reply, Scripted, scripted
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import normalize, provider
from trackledger.adapters.providers.asking import (
    Access,
    AskError,
    BadCredentials,
    Client,
    NotYetKnown,
    Rejected,
    TooMany,
    Unavailable,
)
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import UsageError

FIXTURES = Path(__file__).parent / "fixtures" / "shippit"
UNKNOWN = (FIXTURES / "poll_unknown_number.json").read_bytes()
KEY = "s3cret-of/the store"


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


@pytest.fixture
def client(played: Scripted) -> Iterator[Client]:
    client = provider("shippit").client(Access(SecretStr(KEY), url=f"{played.url}/api/3"))
    yield client
    client.close()


def trackers(*references: str) -> list[Tracker]:
    return [Tracker("shippit", reference) for reference in references]


def answer(number: str) -> dict[str, Any]:
    row = {"status": "In Transit", "date": "2026-03-02", "timestamp": "16:48:19", "status_owner": "Somebody"}
    return {"response": {"tracking_number": number, "success": True, "error": None, "track": [row]}}


def test_each_order_is_asked_about_with_the_key_in_the_header(client: Client, played: Scripted) -> None:
    played.answers(answer("PPa1"), answer("PPb2"))

    answers = client.ask(trackers("PPa1", "PPb2"))

    assert [(a.method, a.path, a.params) for a in played.asked] == [
        ("GET", "/api/3/orders/PPa1/tracking", {}),
        ("GET", "/api/3/orders/PPb2/tracking", {}),
    ]
    for asked in played.asked:
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert asked.headers["user-agent"] == asked.headers["x-shippit-platform"] == "trackledger"
        assert asked.body == b""
    assert [(a.context, a.unknown, a.changed) for a in answers] == [({}, (), ())] * 2


def test_an_answer_is_kept_as_it_came_and_reads_with_its_context(played: Scripted) -> None:
    body = (FIXTURES / "poll_new_zealand.json").read_bytes()
    played.answers(Reply(body))
    client = provider("shippit").client(Access(SecretStr(KEY), "", played.url, {"zone": "Pacific/Auckland"}))

    (told,) = client.ask(trackers("PPn3HtC8zRa6G"))
    client.close()

    assert (told.body, told.context) == (body, {"zone": "Pacific/Auckland"})
    kept = message("shippit", told.body, context=told.context, received_at=datetime.now(UTC))
    (report,) = normalize(kept)
    assert report.tracker.reference == "PPn3HtC8zRa6G"
    assert report.checkpoints[-1].occurred.at == datetime(2026, 3, 23, 19, 11, tzinfo=UTC)


def test_an_order_of_which_nothing_is_told_yet_is_known(client: Client, played: Scripted) -> None:
    played.answers({"response": {"tracking_number": "PPa1", "track": []}})
    (told,) = client.ask(trackers("PPa1"))
    assert told.body and told.unknown == ()


def test_the_last_part_of_the_address_is_an_option(played: Scripted) -> None:
    played.answers(answer("PPa1"))
    client = provider("shippit").client(Access(SecretStr(KEY), "", f"{played.url}/api/3/", {"suffix": "track"}))
    client.ask(trackers("PPa1"))
    client.close()
    assert played.asked[0].path == "/api/3/orders/PPa1/track"


@pytest.mark.parametrize(
    ("number", "path"),
    [
        ("PPaBcD", "/api/3/orders/PPaBcD/tracking"),
        ("../merchant", "/api/3/orders/%2E%2E%2Fmerchant/tracking"),
        ("..", "/api/3/orders/%2E%2E/tracking"),
        ("a?b#c d", "/api/3/orders/a%3Fb%23c%20d/tracking"),
    ],
)
def test_a_number_stays_one_part_of_the_address(client: Client, played: Scripted, number: str, path: str) -> None:
    played.answers(answer(number))
    client.ask(trackers(number))
    assert played.asked[0].path == path


@pytest.mark.parametrize("reply", [Reply(UNKNOWN, 400), Reply(UNKNOWN, 200), Reply({"message": "Not found"}, 404)])
def test_an_order_that_is_not_known_yet_is_no_failure_of_the_account(
    client: Client, played: Scripted, reply: Reply
) -> None:
    played.answers(reply)
    with pytest.raises(NotYetKnown, match=r"^shippit: .* not known( there)?, yet$"):
        client.ask(trackers("PPa1"))


def test_an_unknown_order_holds_back_no_other(client: Client, played: Scripted) -> None:
    played.answers(answer("PPa1"), Reply(UNKNOWN, 400), answer("PPc3"))

    answers = client.ask(trackers("PPa1", "PPb2", "PPc3"))

    assert [a.unknown for a in answers] == [(), ("PPb2",), ()]
    assert [bool(a.body) for a in answers] == [True, False, True]


@pytest.mark.parametrize(
    ("reply", "kind", "wait"),
    [
        (Reply({"error": "invalid_merchant_account"}, 401), BadCredentials, None),
        (Reply({"error": "forbidden"}, 403), BadCredentials, None),
        (Reply({"error": {"tracking_number": ["is wrong"]}, "success": False}, 400), Rejected, None),
        (Reply({"error": "missing"}, 400), Rejected, None),
        (Reply([], 400), Rejected, None),
        (Reply({"error": "unprocessable"}, 422), Rejected, None),
        (Reply(b"<html>Bad request</html>", 400, {"content-type": "text/html"}), Unavailable, None),
        (Reply(b"", 301, {"location": "https://www.example.com/"}), Rejected, None),
        (Reply(b"slow down", 429), TooMany, None),
        (Reply(b"slow down", 429, {"retry-after": "17"}), TooMany, 17.0),
        (Reply({"error": "oops"}, 500), Unavailable, None),
        (Reply(b"", 503, {"retry-after": "5"}), Unavailable, 5.0),
        (Reply(b"<html>Sign in</html>", 200, {"content-type": "text/html"}), Unavailable, None),
        (Reply(b""), Unavailable, None),
        (Reply(b'{"response":'), Unavailable, None),
        (Reply({"success": True}), Unavailable, None),
        (Reply({"response": None}), Unavailable, None),
        (Reply({"response": []}), Unavailable, None),
        (Reply([]), Unavailable, None),
        (Reply(b"", 0), Unavailable, None),
    ],
)
def test_a_failure_is_told_apart_by_what_to_do_and_tells_no_key(
    client: Client,
    played: Scripted,
    reply: Reply,
    kind: type[AskError],
    wait: float | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    played.answers(reply)
    with pytest.raises(AskError) as raised:
        client.ask(trackers("PPa1"))
    assert type(raised.value) is kind
    assert raised.value.wait == wait
    assert str(raised.value).startswith(f"shippit: GET {played.url}/api/3/orders/PPa1/tracking ")
    assert len(played.asked) == 1
    assert KEY not in "".join(traceback.format_exception(raised.value)) + caplog.text + repr(vars(client))


def test_an_answer_carries_no_key(client: Client, played: Scripted) -> None:
    played.answers(answer("PPa1"))
    (told,) = client.ask(trackers("PPa1"))
    assert KEY not in repr(told)


def test_following_asks_nothing_however_often(client: Client, played: Scripted) -> None:
    tracker = Tracker("shippit", "PPa1", "", "PPa1")
    for _ in range(2):
        assert client.follow(tracker, "default:shippit:PPa1") == tracker
    assert played.asked == []


def test_there_is_no_list_of_changes(client: Client, played: Scripted) -> None:
    now = datetime(2026, 3, 6, tzinfo=UTC)
    with pytest.raises(UsageError, match=r"^shippit: it has no list of what changed"):
        client.changes(now - timedelta(hours=1), now)
    assert played.asked == []
    assert provider("shippit").abilities.sweep == ""


def test_sixty_calls_a_minute_of_one_order_each() -> None:
    can = provider("shippit").abilities
    assert (can.batch, can.per_second) == (1, 1)


def test_credentials_that_cannot_be_right_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"^shippit: a key is needed"):
        provider("shippit").client(Access(user="shop"))


@pytest.mark.parametrize("zone", ["AEST", "Australia", "../UTC"])
def test_a_zone_that_is_none_is_refused_before_anything_is_asked(zone: str) -> None:
    with pytest.raises(UsageError, match=r"^shippit: option zone is .*Australia/Sydney is needed$"):
        provider("shippit").client(Access(SecretStr(KEY), options={"zone": zone}))
