"""Is ClickPost asked as it wants to be, and what is made of its answers?"""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from support.scripted import Reply, Scripted, scripted
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import clickpost_client, normalize, provider
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

FIXTURES = Path(__file__).parent / "fixtures" / "clickpost"
OK = {"status": 200, "success": True, "message": "SUCCESS"}
KEY = "5d1c-key"


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


@pytest.fixture
def client(played: Scripted) -> Iterator[Client]:
    client = provider("clickpost").client(Access(SecretStr(KEY), "shop", played.url, {"account_code": "Surface"}))
    yield client
    client.close()


def trackers(*references: str) -> list[Tracker]:
    return [Tracker("clickpost", reference) for reference in references]


def answer(*waybills: str) -> dict[str, Any]:
    scan = {"timestamp": "2026-03-05 10:00:00", "clickpost_status_code": 5, "status": "In Transit", "checkpoint_id": 1}
    return {"meta": OK, "result": {waybill: {"scans": [scan], "valid": True} for waybill in waybills}}


def failed(status: int, said: Any = "no") -> dict[str, Any]:
    return {"meta": {"status": status, "success": False, "message": said}}


def test_waybills_are_asked_about_by_carrier_five_at_a_time(client: Client, played: Scripted) -> None:
    played.answers(answer("1", "2", "3", "4", "5"), answer("6"), answer("A"))

    answers = client.ask(trackers("4:1", "4:2", "9:A", "4:3", "4:4", "4:5", "4:6"))

    assert [(a.method, a.path, a.params) for a in played.asked] == [
        ("GET", "/api/v2/track-order/", {"waybill": waybills, "cp_id": cp_id, "username": "shop", "key": KEY})
        for cp_id, waybills in (("4", "1,2,3,4,5"), ("4", "6"), ("9", "A"))
    ]
    assert [a.context for a in answers] == [{"cp_id": "4"}, {"cp_id": "4"}, {"cp_id": "9"}]
    assert [a.unknown for a in answers] == [(), (), ()]


def test_a_list_of_waybills_stays_within_a_hundred_characters(client: Client, played: Scripted) -> None:
    long, longer = "L" * 60, "M" * 140
    played.answers(answer(long), answer(long + "2"), answer(longer))

    client.ask(trackers(f"4:{long}", f"4:{long}2", f"4:{longer}"))

    assert [a.params["waybill"] for a in played.asked] == [long, long + "2", longer]


def test_an_answer_is_kept_as_it_came_and_reads_with_its_context(client: Client, played: Scripted) -> None:
    body = (FIXTURES / "poll_failed_delivery.json").read_bytes()
    played.answers(Reply(body))

    (told,) = client.ask(trackers("4:7702913348051"))

    assert told.body == body
    kept = message("clickpost", told.body, context=told.context, received_at=datetime.now(UTC))
    assert normalize(kept)[0].tracker.reference == "4:7702913348051"


def test_waybills_that_an_answer_leaves_out_are_asked_about_alone(client: Client, played: Scripted) -> None:
    played.answers(answer("1"), answer("2"), failed(321))

    answers = client.ask(trackers("4:1", "4:2", "4:3"))

    assert [a.params["waybill"] for a in played.asked] == ["1,2,3", "2", "3"]
    assert [a.unknown for a in answers] == [(), (), ("4:3",)]


@pytest.mark.parametrize(
    "reply",
    [
        {"meta": OK, "result": None},
        {"meta": OK, "result": {}},
        {"meta": OK, "result": {"1": None}},
        {"meta": OK, "result": {"1": {"valid": False, "scans": []}}},
        failed(321, "AWB not found"),
        failed(330),
    ],
)
def test_a_waybill_that_is_not_known_yet_is_no_failure_of_the_account(
    client: Client, played: Scripted, reply: Any
) -> None:
    played.answers(reply)
    with pytest.raises(NotYetKnown, match=r'^clickpost: waybill "4:1" is not known, yet$'):
        client.ask(trackers("4:1"))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (failed(301, "wrong key"), BadCredentials),
        (Reply(failed(401), 401), BadCredentials),
        (Reply({"detail": "Forbidden"}, 403), BadCredentials),
        (failed(302), Rejected),
        (failed(352), Rejected),
        (failed(400, {"waybill": ["This field is required."]}), Rejected),
        (Reply({"detail": "Method not allowed."}, 405), Rejected),
        (failed(322), Unavailable),
        (failed(354), Unavailable),
        (failed(500), Unavailable),
        (Reply(b"<html>Bad gateway</html>", 502, {"content-type": "text/html"}), Unavailable),
        (Reply(b"<html>Sign in</html>", 200, {"content-type": "text/html"}), Unavailable),
        (Reply(b""), Unavailable),
        ({"result": {}}, Unavailable),
        ([], Unavailable),
        (failed(429), TooMany),
        (Reply(b"slow down", 429, {"retry-after": "11"}), TooMany),
    ],
)
def test_a_failure_is_told_apart_by_what_to_do(
    client: Client, played: Scripted, reply: Any, kind: type[AskError]
) -> None:
    played.answers(reply)
    with pytest.raises(AskError) as raised:
        client.ask(trackers("4:1"))
    assert type(raised.value) is kind
    assert str(raised.value).startswith(f"clickpost: GET {played.url}/api/v2/track-order/ answered ")
    assert KEY not in str(raised.value)
    assert raised.value.wait == (11.0 if isinstance(reply, Reply) and "retry-after" in reply.headers else None)


def test_an_echoed_key_is_taken_out_of_the_error(client: Client, played: Scripted) -> None:
    played.answers(failed(301, f"unknown key {KEY}"))
    with pytest.raises(BadCredentials, match=r"unknown key \*\*\*"):
        client.ask(trackers("4:1"))


def test_changes_name_the_waybills_to_ask_about_half_an_hour_a_call(
    client: Client, played: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first = [{"waybill": "1", "courier_partner": 4}, {"waybill": "2", "carrier_partner": 9}]
    next_page = f"{played.url}/api/v1/updated-order?username=shop&key={KEY}&start_date=1&end_date=2&page=2"
    played.answers(
        {"meta": OK | {"next": next_page}, "result": first},
        {"meta": OK, "result": [{"waybill": "1", "courier_partner": 4}, {"waybill": "3"}]},
        {"meta": OK, "result": []},
    )
    since = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)

    answers = list(client.changes(since, since + timedelta(minutes=40)))

    start = int(since.timestamp())
    credentials = {"username": "shop", "key": KEY}
    assert [a.params for a in played.asked] == [
        {"start_date": str(start), "end_date": str(start + 1800)} | credentials,
        {"start_date": "1", "end_date": "2", "page": "2"} | credentials,
        {"start_date": str(start + 1800), "end_date": str(start + 2400)} | credentials,
    ]
    assert [a.changed for a in answers] == [("4:1", "9:2"), ("4:1", "-:3"), ()]
    assert all(a.body == b"" for a in answers)
    assert "page=2" in caplog.text
    assert KEY not in caplog.text


def test_pages_that_name_each_other_end(client: Client, played: Scripted) -> None:
    same = {"meta": OK | {"next": f"{played.url}/api/v1/updated-order?page=2"}, "result": []}
    played.answers(same, same, same)
    since = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)

    assert len(list(client.changes(since, since + timedelta(minutes=5)))) == 2


def test_pages_without_end_move_no_watermark(client: Client, played: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickpost_client, "MAX_PAGES", 3)
    played.answers(*({"meta": OK | {"next": f"/api/v1/updated-order?page={n}"}, "result": []} for n in range(4)))
    since = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)

    with pytest.raises(Unavailable, match=r"^clickpost: updated-order: a page after 3 is announced$"):
        list(client.changes(since, since + timedelta(minutes=5)))
    assert len(played.asked) == 3


def test_a_row_that_names_no_waybill_does_not_hold_back_the_others(client: Client, played: Scripted) -> None:
    rows = [{"waybill": "9" * 101, "courier_partner": 4}, {"waybill": 17, "courier_partner": 4}]
    played.answers({"meta": OK, "result": rows})
    since = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)

    (answer,) = client.changes(since, since + timedelta(minutes=5))

    assert answer.changed == ("4:17",)


def test_a_return_that_was_ordered_is_no_waybill_to_ask_about(client: Client, played: Scripted) -> None:
    returns = [{"waybill": "", "courier_partner": 4}, {"waybill": "9", "courier_partner": -1}]
    played.answers({"meta": OK, "result": [*returns, {"waybill": "1", "courier_partner": 4}]})
    since = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)

    (answer,) = client.changes(since, since + timedelta(minutes=5))

    assert answer.changed == ("4:1",)


@pytest.mark.parametrize("result", [{"waybill": "1"}, [{"courier_partner": 4}], [5], "none"])
def test_a_list_of_changes_that_cannot_be_read_moves_no_watermark(
    client: Client, played: Scripted, result: Any
) -> None:
    played.answers({"meta": OK, "result": result})
    since = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)
    with pytest.raises(Unavailable, match=r"^clickpost: updated-order: "):
        list(client.changes(since, since + timedelta(minutes=5)))


@pytest.mark.parametrize("reply", [{"meta": OK, "result": {"tracking_id": 7}}, failed(303, "already registered")])
def test_a_waybill_is_registered_once_however_often(client: Client, played: Scripted, reply: Any) -> None:
    played.answers(reply)
    tracker = Tracker("clickpost", "4:770", "Delhivery", "770")

    assert client.follow(tracker, "default:clickpost:4:770") == tracker

    (asked,) = played.asked
    assert (asked.method, asked.path, asked.params) == ("POST", "/api/v3/tracking/awb-register/", {"key": KEY})
    assert asked.json == {"waybill": "770", "courier_partner": 4, "account_code": "Surface"}
    assert KEY not in json.dumps(asked.json)


def test_a_registration_that_is_refused_says_so(client: Client, played: Scripted) -> None:
    played.answers(failed(351, "Clickpost Account: Does not exist"))
    with pytest.raises(Rejected, match="the carrier account is unknown"):
        client.follow(Tracker("clickpost", "4:770"), "default:clickpost:4:770")


def test_a_tracker_without_a_carrier_is_not_asked_about(client: Client, played: Scripted) -> None:
    for ask in (lambda: client.ask(trackers("-:770")), lambda: client.follow(trackers("-:770")[0], "")):
        with pytest.raises(UsageError, match=r"^clickpost: '-:770' names no carrier; register it as cp_id:waybill$"):
            ask()
    assert played.asked == []


@pytest.mark.parametrize("access", [Access(SecretStr(KEY)), Access(user="shop"), Access()])
def test_credentials_that_cannot_be_right_are_refused_at_once(access: Access) -> None:
    with pytest.raises(UsageError, match="a key and a user name are needed"):
        provider("clickpost").client(access)
