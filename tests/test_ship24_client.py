"""Is Ship24 asked as it wants to be, and what is made of its answers?"""

import json
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
    NotYetKnown,
    Rejected,
    TooMany,
    Unavailable,
)
from trackledger.adapters.providers.ship24_client import URL, Ship24Client, client_tracker_id
from trackledger.adapters.providers.ship24_codes import ERRORS
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import UsageError

FIXTURES = Path(__file__).parent / "fixtures" / "ship24"
KEY = "apik_5d1c"
ID, OTHER_ID = "0b7d3f6e-5a41-4c2f-9e80-6d1c2b9a4f10", "41e7c2ab-6d09-4835-b8fa-d20593e6170c"
NUMBER, OTHER_NUMBER = "LX402118837CN", "SPXSG0448817263"
SHIPMENT = "default:host:TL-31877"


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


@pytest.fixture
def client(played: Scripted) -> Iterator[Ship24Client]:
    client = provider("ship24").client(Access(SecretStr(KEY), url=played.url))
    assert isinstance(client, Ship24Client)
    yield client
    client.close()


def body(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes()


def trackers(*references: str) -> list[Tracker]:
    return [Tracker("ship24", reference) for reference in references]


def unfollowed(number: str = NUMBER, carrier: str = "") -> Tracker:
    return Tracker("ship24", number, carrier, number)


def created(id_: str = ID, number: str = NUMBER) -> dict[str, Any]:
    return {"trackerId": id_, "trackingNumber": number, "isSubscribed": True, "createdAt": "2026-09-28T07:12:44.108Z"}


def failed(code: str, said: str | None = "no") -> dict[str, Any]:
    return {"errors": [{"code": code, "message": said}], "data": None}


# Results


def test_each_tracker_is_asked_about_with_the_key_as_a_bearer_token(client: Ship24Client, played: Scripted) -> None:
    played.answers(Reply(body("poll_delivered")), Reply(body("poll_returned"), 201))

    answers = client.ask(trackers(ID, OTHER_ID))

    assert [(a.method, a.path, a.params, a.body) for a in played.asked] == [
        ("GET", f"/trackers/{id_}/results", {}, b"") for id_ in (ID, OTHER_ID)
    ]
    assert all(a.headers["authorization"] == f"Bearer {KEY}" for a in played.asked)
    assert [a.body for a in answers] == [body("poll_delivered"), body("poll_returned")]
    assert [a.unknown for a in answers] == [(), ()]


def test_an_answer_reads_with_its_context(client: Ship24Client, played: Scripted) -> None:
    played.answers(Reply(body("poll_per_call")))

    (told,) = client.ask(trackers(ID))

    kept = message("ship24", told.body, context=told.context, received_at=datetime(2026, 11, 1, tzinfo=UTC))
    assert normalize(kept)[0].tracker.reference == ID


def test_production_is_asked_at_its_documented_address() -> None:
    assert URL == "https://api.ship24.com/public/v1"


def test_the_path_of_a_base_address_is_kept(played: Scripted) -> None:
    client = Ship24Client(Access(SecretStr(KEY), url=f"{played.url}/public/v1/"))
    played.answers(Reply(body("poll_delivered")))
    client.ask(trackers(ID))
    client.close()
    assert played.asked[0].path == f"/public/v1/trackers/{ID}/results"


def test_of_several_trackers_the_unknown_ones_are_told_apart(client: Ship24Client, played: Scripted) -> None:
    played.answers(Reply(failed("tracker_not_found"), 404), Reply(body("poll_delivered")))

    unknown, known = client.ask(trackers(OTHER_ID, ID))

    assert (unknown.body, unknown.unknown) == (b"", (OTHER_ID,))
    assert (known.body, known.unknown) == (body("poll_delivered"), ())


@pytest.mark.parametrize(
    "reply",
    [
        Reply(failed("tracker_not_found", "Tracker not found."), 404),
        Reply(failed("parcel_not_found"), 404),
        Reply(failed("tracker_not_found"), 400),
        Reply(b"", 404),
        {"data": {"trackings": []}},
        {"data": None},
    ],
)
def test_a_tracker_that_is_not_known_yet_is_no_failure_of_the_account(
    client: Ship24Client, played: Scripted, reply: Any
) -> None:
    for ask in (lambda: client.ask(trackers(ID)), lambda: client.search(NUMBER)):
        played.answers(reply)
        with pytest.raises(NotYetKnown, match=r"^ship24: GET "):
            ask()


def test_a_search_by_number_may_tell_of_several_trackers(client: Ship24Client, played: Scripted) -> None:
    played.answers(Reply(body("poll_search_two_trackers")))

    told = client.search(OTHER_NUMBER)

    assert (played.asked[0].method, played.asked[0].path) == ("GET", f"/trackers/search/{OTHER_NUMBER}/results")
    kept = message("ship24", told.body, context=told.context, received_at=datetime(2026, 11, 1, tzinfo=UTC))
    assert [report.tracker.reference for report in normalize(kept)] == [
        "41e7c2ab-6d09-4835-b8fa-d20593e6170c",
        "d5a8f036-93b1-4e72-8c4d-0f6b1e29c758",
    ]


def test_a_number_cannot_leave_its_place_in_the_path(client: Ship24Client, played: Scripted) -> None:
    played.answers(Reply(body("poll_delivered")), Reply(body("poll_delivered")))
    client.search("AB/12?x=1#y")
    client.results("a/../b")
    assert [a.path for a in played.asked] == [
        "/trackers/search/AB%2F12%3Fx%3D1%23y/results",
        "/trackers/a%2F..%2Fb/results",
    ]
    assert [a.params for a in played.asked] == [{}, {}]


# What can go wrong


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(failed("auth_missing_header"), 400), BadCredentials),
        (Reply(failed("auth_invalid_header"), 400), BadCredentials),
        (Reply(failed("auth_invalid_api_key"), 401), BadCredentials),
        (Reply(failed("no_active_subscription"), 422), BadCredentials),
        (Reply({"message": "Forbidden"}, 403), BadCredentials),
        (Reply(failed("quota_limit_reached"), 403), TooMany),
        (Reply(failed("quota_limit_reached"), 405), TooMany),
        (Reply(failed("bulk_create_limit_exceeded"), 403), TooMany),
        (Reply(failed("request_conflict"), 409), Unavailable),
        (Reply(b"", 409), Unavailable),
        (Reply(failed("tracker_conflict"), 400), Rejected),
        (Reply(failed("tracker_not_updatable"), 400), Rejected),
        (Reply(failed("shipping_date_outdated"), 400), Rejected),
        (Reply(failed("validation_error", None), 400), Rejected),
        (Reply(failed("missing_mandatory_field"), 400), Rejected),
        (Reply(failed("parsing_error"), 400), Rejected),
        (Reply(failed("processing_error"), 400), Rejected),
        (Reply(failed("webhook_url_missing"), 400), Rejected),
        (Reply(failed("teapot"), 400), Rejected),
        (Reply(failed("teapot"), 401), BadCredentials),
        (Reply(failed("teapot"), 500), Unavailable),
        (Reply(failed("teapot"), 200), Rejected),
        (Reply(failed("auth_invalid_api_key"), 200), BadCredentials),
        (Reply({"errors": ["no"]}, 200), Rejected),
        (Reply(b"Request failed", 402), Rejected),
        (Reply(b'<html><a href="/code">"code"</a></html>', 503, {"content-type": "text/html"}), Unavailable),
        (Reply(b"<html>Sign in</html>", 200, {"content-type": "text/html"}), Unavailable),
        (Reply(b""), Unavailable),
        (Reply(b"", 500), Unavailable),
        (Reply({}), Unavailable),
        (Reply([]), Unavailable),
        (Reply(b"Too many requests", 429, {"content-type": "text/plain"}), TooMany),
        (Reply(failed("validation_error"), 429), TooMany),
    ],
)
def test_a_failure_is_told_apart_by_its_code_then_by_its_status(
    client: Ship24Client, played: Scripted, reply: Reply, kind: type[AskError]
) -> None:
    for ask in (lambda: client.ask(trackers(ID)), lambda: client.follow(unfollowed(), SHIPMENT)):
        played.answers(reply)
        with pytest.raises(AskError) as raised:
            ask()
        assert type(raised.value) is kind
        assert f" {played.url}/trackers" in str(raised.value)
        assert str(raised.value).startswith("ship24: ") and str(raised.value).isprintable()
        assert raised.value.wait is None
    assert len(played.asked) == 2


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_says_what_it_means_and_which_request_it_was(
    client: Ship24Client, played: Scripted, code: str
) -> None:
    played.answers(Reply(failed(code, "so it is"), 400, {"x-request-id": "req-7f"}))
    with pytest.raises(AskError) as raised:
        client.ask(trackers(ID))
    for words in (code, ERRORS[code], '"so it is"', 'its id of this request is "req-7f"'):
        assert words in str(raised.value)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"ratelimit-limit": "10", "ratelimit-remaining": "0", "ratelimit-reset": "1"}, 1.0),
        ({"retry-after": "3", "ratelimit-reset": "1"}, 3.0),
        ({}, None),
    ],
)
def test_a_limit_in_plain_text_says_how_long_to_wait(
    client: Ship24Client, played: Scripted, headers: dict[str, str], wait: float | None
) -> None:
    played.answers(Reply(b"Too many requests", 429, {"content-type": "text/plain"} | headers))
    with pytest.raises(TooMany) as raised:
        client.ask(trackers(ID))
    assert raised.value.wait == wait


@pytest.mark.parametrize("code", ["quota_limit_reached", "request_conflict"])
def test_an_error_with_a_code_may_say_how_long_to_wait_too(client: Ship24Client, played: Scripted, code: str) -> None:
    played.answers(Reply(failed(code), 400, {"retry-after": "60"}))
    with pytest.raises(AskError) as raised:
        client.follow(unfollowed(), SHIPMENT)
    assert raised.value.wait == 60.0


def test_the_key_is_in_no_error_log_or_context(
    client: Ship24Client, played: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    played.answers(
        Reply(failed("auth_invalid_api_key", f"unknown key {KEY}"), 401),
        Reply(failed(KEY, KEY), 400),
        Reply(KEY.encode(), 500),
        Reply(b"", 0),
        Reply({"data": {"tracker": {"trackerId": KEY, "trackingNumber": 7}}}),
    )
    told = repr(client) + repr(vars(client))
    for call in range(5):
        with pytest.raises(AskError) as raised:
            client.ask(trackers(ID)) if call < 4 else client.follow(unfollowed(), SHIPMENT)
        told += "".join(traceback.format_exception(raised.value)) + repr(raised.value.__context__)
    assert KEY not in told + caplog.text
    assert "unknown key ***" in told

    played.answers(Reply(body("poll_delivered")))
    assert all(KEY not in repr(answer.context) for answer in client.ask(trackers(ID)))


# Following


def test_a_number_is_followed_under_our_shipment_s_id(client: Ship24Client, played: Scripted) -> None:
    played.answers(Reply({"data": {"tracker": created()}}, 201))

    followed = client.follow(unfollowed(carrier="China Post"), SHIPMENT)

    assert followed == Tracker("ship24", ID, "China Post", NUMBER)
    (asked,) = played.asked
    assert (asked.method, asked.path, asked.params) == ("POST", "/trackers", {})
    assert asked.json == {"trackingNumber": NUMBER, "clientTrackerId": SHIPMENT}


def test_a_tracker_s_reference_is_its_number_where_no_other_is_given(client: Ship24Client, played: Scripted) -> None:
    played.answers({"data": {"tracker": created()}}, {"data": {"tracker": created()}})
    client.follow(Tracker("ship24", NUMBER), SHIPMENT)
    client.follow(Tracker("ship24", "ours", "", NUMBER), SHIPMENT)
    assert [asked.json["trackingNumber"] for asked in played.asked] == [NUMBER, NUMBER]


def test_the_same_tracker_is_always_followed_by_the_same_request(client: Ship24Client, played: Scripted) -> None:
    """Any difference would make another tracker, which costs quota."""
    played.answers(
        Reply(b"", 503),
        Reply(failed("request_conflict"), 409),
        Reply({"data": {"tracker": created()}}, 201),
        Reply({"data": {"tracker": created()}}, 200),
        Reply({"status": "success", "data": [bulk_item(ID)], "error": None}, 201),
    )
    for _ in range(2):
        with pytest.raises(Unavailable):
            client.follow(unfollowed(), SHIPMENT)
    assert client.follow(unfollowed(), SHIPMENT) == client.follow(unfollowed(), SHIPMENT)
    client.follow_all([(unfollowed(carrier="China Post"), SHIPMENT)])
    assert len({asked.body for asked in played.asked[:4]}) == 1
    assert played.asked[4].json == [played.asked[0].json]


def test_what_is_followed_already_is_not_created_again(client: Ship24Client, played: Scripted) -> None:
    for tracker in (Tracker("ship24", ID), Tracker("ship24", ID.upper(), "China Post", NUMBER)):
        assert client.follow(tracker, SHIPMENT) is tracker
        assert client.follow_all([(tracker, SHIPMENT)]) == [tracker]
    assert played.asked == []


def test_an_id_that_is_too_long_is_shortened_always_the_same_way() -> None:
    assert client_tracker_id("x" * 100) == "x" * 100
    one, other = (client_tracker_id("default:host:" + "x" * 150 + end) for end in "ab")
    assert one == "default:host:" + "x" * 54 + "~" + one[-32:]
    assert len(one) == len(other) == 100
    assert one != other
    assert one == client_tracker_id("default:host:" + "x" * 150 + "a")


def test_a_number_comes_back_in_capitals(client: Ship24Client, played: Scripted) -> None:
    played.answers({"data": {"tracker": created()}})
    assert client.follow(unfollowed(NUMBER.lower()), SHIPMENT) == Tracker("ship24", ID, "", NUMBER)


@pytest.mark.parametrize("number", [OTHER_NUMBER, None, ""])
def test_the_tracker_of_another_number_is_not_taken_for_ours(
    client: Ship24Client, played: Scripted, number: str | None
) -> None:
    """Ship24 finds a tracker by our id alone, and a shipment may have a second number."""
    played.answers({"data": {"tracker": created() | {"trackingNumber": number}}})
    with pytest.raises(Rejected, match=f'for "{NUMBER}" it answered with the tracker of '):
        client.follow(unfollowed(), SHIPMENT)


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        None,
        {"tracker": None},
        {"tracker": {"trackingNumber": NUMBER}},
        {"tracker": created("")},
        {"tracker": created("a\nb")},
    ],
)
def test_an_answer_without_a_tracker_is_tried_again(client: Ship24Client, played: Scripted, data: Any) -> None:
    played.answers(Reply({"data": data}, 201))
    with pytest.raises(Unavailable):
        client.follow(unfollowed(), SHIPMENT)


def test_a_conflict_is_told_with_what_it_means(client: Ship24Client, played: Scripted) -> None:
    played.answers(Reply(failed("tracker_conflict"), 400))
    with pytest.raises(Rejected, match="another tracker that is followed has this clientTrackerId"):
        client.follow(unfollowed(), SHIPMENT)


# Following many


def bulk_item(
    id_: str, number: str = NUMBER, client_id: str = SHIPMENT, kind: str = "created", **more: Any
) -> dict[str, Any]:
    return {
        "itemStatus": kind,
        "inputData": {"trackingNumber": number, "clientTrackerId": client_id},
        "tracker": created(id_, number.upper()),
        "errors": None,
    } | more


def test_many_are_followed_in_one_call_each_with_its_own_outcome(client: Ship24Client, played: Scripted) -> None:
    invalid = {
        "tracker": None,
        "errors": [{"code": "validation_error", "message": "The trackingNumber seems invalid."}],
    }
    conflict = {"errors": [{"code": "tracker_conflict"}]}
    items = [
        bulk_item("", "AB", "s-3", "error", **conflict),
        bulk_item("", "TL", "s-2", "error", **invalid),
        bulk_item(OTHER_ID, OTHER_NUMBER, "s-1", "existing"),
        bulk_item(ID),
    ]
    del items[0]["tracker"]
    played.answers(Reply({"status": "partial", "summary": {}, "data": items, "error": None}, 207))
    wanted = [
        (unfollowed(), SHIPMENT),
        (Tracker("ship24", ID), "s-0"),
        (unfollowed(OTHER_NUMBER.lower(), "SPX"), "s-1"),
        (unfollowed("TL"), "s-2"),
        (unfollowed("AB"), "s-3"),
        (unfollowed("CD"), "s-4"),
    ]
    items[2]["inputData"]["trackingNumber"] = OTHER_NUMBER.lower()

    one, known, existing, wrong, taken, missing = client.follow_all(wanted)

    assert (one, known) == (Tracker("ship24", ID, "", NUMBER), Tracker("ship24", ID))
    assert existing == Tracker("ship24", OTHER_ID, "SPX", OTHER_NUMBER)
    assert isinstance(wrong, Rejected) and "The trackingNumber seems invalid." in str(wrong)
    assert isinstance(taken, Rejected) and "tracker_conflict" in str(taken)
    assert isinstance(missing, Unavailable) and 'without a tracker for "CD"' in str(missing)
    (asked,) = played.asked
    assert (asked.method, asked.path) == ("POST", "/trackers/bulk")
    assert [one["clientTrackerId"] for one in asked.json] == [SHIPMENT, "s-1", "s-2", "s-3", "s-4"]


def test_many_are_followed_a_hundred_a_call(client: Ship24Client, played: Scripted) -> None:
    numbers = [f"TLX900{n:06}" for n in range(205)]
    for first in (0, 100, 200):
        data = [bulk_item(f"id-{number}", number, number) for number in numbers[first : first + 100]]
        played.answers(Reply({"status": "success", "summary": {}, "data": data, "error": None}, 201))

    followed = client.follow_all([(unfollowed(number), number) for number in numbers])

    assert followed == [Tracker("ship24", f"id-{number}", "", number) for number in numbers]
    assert [len(asked.json) for asked in played.asked] == [100, 100, 5]


def test_a_call_in_which_every_item_failed_says_so_of_each(client: Ship24Client, played: Scripted) -> None:
    error = {"code": "processing_error", "message": "Every single item failed."}
    item = bulk_item("", kind="error", tracker=None, errors=[{"code": "validation_error", "message": "too short"}])
    played.answers(Reply({"status": "error", "summary": {}, "data": [item], "error": error}, 400))
    (told,) = client.follow_all([(unfollowed(), SHIPMENT)])
    assert isinstance(told, Rejected) and "too short" in str(told)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(json.loads(body("bulk_quota")), 403), TooMany),
        (Reply(failed("auth_invalid_api_key"), 401), BadCredentials),
        (Reply(b"Too many requests", 429), TooMany),
        (Reply(b"<html></html>", 502), Unavailable),
        (Reply({"data": None, "error": None}, 201), Unavailable),
        (Reply({"data": [7], "error": None}, 201), Unavailable),
        (Reply([], 201), Unavailable),
    ],
)
def test_a_call_for_many_that_fails_as_a_whole_raises(
    client: Ship24Client, played: Scripted, reply: Reply, kind: type[AskError]
) -> None:
    played.answers(reply)
    with pytest.raises(AskError) as raised:
        client.follow_all([(unfollowed(), SHIPMENT)])
    assert type(raised.value) is kind


# The rest


@pytest.mark.parametrize(("said", "number"), [(8, 8), ("8", 8), (0, 0)])
def test_webhooks_are_sent_again_and_counted(client: Ship24Client, played: Scripted, said: Any, number: int) -> None:
    played.answers(Reply({"data": {"summary": {"totalResent": said}}}, 201))
    assert client.resend(ID) == number
    (asked,) = played.asked
    assert (asked.method, asked.path) == ("POST", f"/trackers/{ID}/webhook-events/resend")


def test_a_request_to_send_again_that_fails_says_why(client: Ship24Client, played: Scripted) -> None:
    played.answers(Reply(failed("webhook_url_missing"), 400), Reply({"data": {"summary": {}}}, 201))
    with pytest.raises(Rejected, match="the account has no webhook address to send to"):
        client.resend(ID)
    with pytest.raises(Unavailable, match=r"summary\.totalResent is missing"):
        client.resend(ID)


def test_there_is_no_list_of_changes(client: Ship24Client, played: Scripted) -> None:
    since = datetime(2026, 11, 1, tzinfo=UTC)
    with pytest.raises(UsageError, match="there is no list of changes"):
        list(client.changes(since, since + timedelta(hours=1)))
    assert played.asked == []


@pytest.mark.parametrize("access", [Access(), Access(user="shop"), Access(SecretStr("line\nbreak"))])
def test_credentials_that_cannot_be_right_are_refused_at_once(access: Access) -> None:
    with pytest.raises(UsageError, match=r"^ship24: .*key"):
        provider("ship24").client(access)
