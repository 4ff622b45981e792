"""Is AfterShip asked as it wants to be, and what is made of its answers?"""

import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from support.scripted import Reply, Scripted, scripted
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import normalize, provider
from trackledger.adapters.providers.aftership import own_id
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

FIXTURES = Path(__file__).parent / "fixtures" / "aftership"
KEY = "asat_5d1c/key+"
PATH = "/tracking/2026-07/trackings"
SINCE = datetime(2026, 3, 6, 10, 0, tzinfo=UTC)


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


@pytest.fixture
def client(played: Scripted) -> Iterator[Client]:
    client = provider("aftership").client(Access(SecretStr(KEY), url=played.url))
    yield client
    client.close()


def tracker(reference: str, number: str = "", carrier: str = "") -> Tracker:
    return Tracker("aftership", reference, carrier, number)


def one(id_: str, number: str = "1Z5550001", slug: str = "ups") -> dict[str, Any]:
    return {"id": id_, "tracking_number": number, "slug": slug, "tag": "Pending", "subtag": "Pending_001"}


def single(id_: str, number: str = "1Z5550001", code: int = 200) -> Reply:
    return Reply({"meta": {"code": code}, "data": one(id_, number)}, code)


def listed(*trackings: dict[str, Any], cursor: str | None = None) -> dict[str, Any]:
    pagination = {"total": len(trackings), "next_cursor": cursor, "has_next_page": cursor is not None}
    return {"meta": {"code": 200}, "data": {"pagination": pagination, "trackings": list(trackings)}}


def failed(code: int, status: int = 400, said: Any = "no", data: Any = None) -> Reply:
    return Reply({"meta": {"code": code, "message": said, "type": "BadRequest"}, "data": data or {}}, status)


EXISTS = failed(4003, 400, "Tracking already exists.", {"tracking_number": "1Z5550001", "slug": "ups"})
NOT_THERE = failed(4004, 404, "Tracking does not exist.")


# Asking about trackers


def test_fifty_numbers_are_one_call(client: Client, played: Scripted) -> None:
    trackers = [tracker(f"t-{n}", f"1Z555{n:04}") for n in range(51)]
    played.answers(
        listed(*(one(t.reference, t.tracking_number) for t in trackers[:50])),
        listed(one("t-50", "1Z5550050")),
    )

    answers = client.ask(trackers)

    assert [(a.method, a.path) for a in played.asked] == [("GET", PATH)] * 2
    numbers = [t.tracking_number for t in trackers]
    assert [a.params["tracking_numbers"] for a in played.asked] == [",".join(numbers[:50]), numbers[50]]
    assert all(a.params["limit"] == "200" and "lang" not in a.params for a in played.asked)
    assert all(a.headers["as-api-key"] == KEY for a in played.asked)
    assert [(bool(a.body), a.unknown, a.changed, a.context) for a in answers] == [(True, (), (), {})] * 2


def test_every_list_says_how_far_back_it_goes(client: Client, played: Scripted) -> None:
    """Without it some versions leave out, silently, what is older than 30 days. A plus sign that is sent as it is
    would arrive as a blank."""
    played.answers(listed(one("t-1")))
    client.ask([tracker("t-1", "1Z5550001")])
    said = played.asked[0].params["created_at_min"]
    assert said.endswith("+00:00") and len(said) == 25
    assert abs(datetime.now(UTC) - timedelta(days=120) - datetime.fromisoformat(said)) < timedelta(minutes=5)


def test_an_answer_is_kept_as_it_came_and_read(client: Client, played: Scripted) -> None:
    body = (FIXTURES / "poll_list.json").read_bytes().replace(b'"has_next_page": true', b'"has_next_page": false')
    played.answers(Reply(body))

    (told,) = client.ask([tracker("d4ae6f3b2c8a4b59a460b3caf5eb7d93", "1Z8FA7610391174400")])

    assert (told.body, told.context) == (body, {})
    assert len(normalize(message("aftership", told.body, received_at=SINCE))) == 6


def test_answers_are_matched_by_id_as_a_number_may_have_several_trackings(client: Client, played: Scripted) -> None:
    played.answers(listed(one("t-2", slug="ups-mi"), one("t-9", slug="usps")))

    answers = client.ask([tracker("t-1", "1Z5550001"), tracker("t-2", "1Z5550001")])

    assert [a.params["tracking_numbers"] for a in played.asked] == ["1Z5550001"]
    assert [(bool(a.body), a.unknown) for a in answers] == [(True, ()), (False, ("t-1",))]


def test_a_list_about_numbers_is_read_to_its_last_page(client: Client, played: Scripted) -> None:
    played.answers(listed(one("t-9"), cursor="Wz/+="), listed(one("t-1")))

    answers = client.ask([tracker("t-1", "1Z5550001")])

    assert [a.params.get("cursor") for a in played.asked] == [None, "Wz/+="]
    assert [a.unknown for a in answers] == [(), ()]


def test_numbers_are_asked_about_as_aftership_writes_them(client: Client, played: Scripted) -> None:
    played.answers(listed(one("t-1"), one("t-2")))
    client.ask([tracker("t-1", " 1z 555 0001"), tracker("t-2", "1Z5550001")])
    assert [a.params["tracking_numbers"] for a in played.asked] == ["1Z5550001"]


@pytest.mark.parametrize("number", ["", "1Z1", "1Z5550001,1Z5550002", "Ü5550001"])
def test_a_tracker_without_a_number_is_asked_about_by_id(client: Client, played: Scripted, number: str) -> None:
    played.answers(single("t-1"))
    (told,) = client.ask([tracker("t-1", number)])
    assert [(a.path, a.params) for a in played.asked] == [(f"{PATH}/t-1", {})]
    assert json.loads(told.body)["data"]["id"] == "t-1"


def test_one_that_is_not_known_holds_back_no_other(client: Client, played: Scripted) -> None:
    played.answers(listed(), NOT_THERE, single("t-3"))
    answers = client.ask([tracker("t-1", "1Z5550001"), tracker("t-2"), tracker("t-3")])
    assert [(bool(a.body), a.unknown) for a in answers] == [(True, ()), (False, ("t-1", "t-2"))]


@pytest.mark.parametrize(
    ("number", "reply"),
    [
        ("1Z5550001", listed()),
        ("1Z5550001", listed(one("t-9"))),
        ("", NOT_THERE),
        ("", failed(404, 404)),
    ],
)
def test_a_single_tracker_that_is_not_known_yet(client: Client, played: Scripted, number: str, reply: Any) -> None:
    played.answers(reply)
    with pytest.raises(NotYetKnown, match=r'^aftership: tracking "t-1" is not known, yet$'):
        client.ask([tracker("t-1", number)])


# Failures


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (failed(401, 401), BadCredentials),
        (failed(403, 403), BadCredentials),
        (failed(401, 200), BadCredentials),
        (failed(4015), Rejected),
        (failed(4008), Rejected),
        (failed(4999, 422), Rejected),
        (failed(5999, 500), Unavailable),
        (failed(4008, 503), Unavailable),
        (failed(500, 500), Unavailable),
        (failed(503, 503), Unavailable),
        (failed(504, 200), Unavailable),
        (Reply(b"Bad Gateway", 502, {"content-type": "text/plain"}), Unavailable),
        (Reply(b"<html>Sign in</html>", 200, {"content-type": "text/html"}), Unavailable),
        (Reply(b""), Unavailable),
        (Reply({"data": {}}), Unavailable),
        (Reply({"meta": {"code": "200"}, "data": {}}), Unavailable),
        (Reply([]), Unavailable),
        (failed(429, 429), TooMany),
        (failed(429, 200), TooMany),
        (Reply(b"slow down", 429, {"content-type": "text/plain"}), TooMany),
    ],
)
def test_a_failure_is_told_apart_by_what_to_do(
    client: Client, played: Scripted, reply: Reply, kind: type[AskError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    played.answers(reply)
    with pytest.raises(AskError) as raised:
        client.ask([tracker("t-1")])
    assert type(raised.value) is kind
    assert str(raised.value).startswith(f"aftership: GET {played.url}{PATH}/t-1 answered ")
    assert raised.value.wait is None
    assert KEY not in str(raised.value) + caplog.text
    assert len(played.asked) == 1


def test_too_many_calls_wait_until_the_limit_is_reset(client: Client, played: Scripted) -> None:
    reset = str(int(time.time()) + 40)
    played.answers(
        Reply({"meta": {"code": 429, "type": "TooManyRequests"}, "data": {}}, 429, {"x-ratelimit-reset": reset})
    )
    with pytest.raises(TooMany) as raised:
        client.ask([tracker("t-1")])
    assert raised.value.wait is not None and 30 < raised.value.wait <= 40


def test_an_echoed_key_is_taken_out_of_the_error(client: Client, played: Scripted) -> None:
    played.answers(failed(401, 401, f"unknown key {KEY}"))
    with pytest.raises(BadCredentials, match=r"unknown key \*\*\*"):
        client.ask([tracker("t-1")])


@pytest.mark.parametrize("data", [{}, {"trackings": None}, {"trackings": {}}, {"trackings": [5]}, {"trackings": [{}]}])
def test_a_list_that_cannot_be_read_is_no_answer(client: Client, played: Scripted, data: Any) -> None:
    played.answers({"meta": {"code": 200}, "data": data})
    with pytest.raises(Unavailable, match=r"^aftership: trackings: .*data\.trackings"):
        client.ask([tracker("t-1", "1Z5550001")])


def test_a_reference_that_is_no_tracking_id_goes_into_no_address(client: Client, played: Scripted) -> None:
    with pytest.raises(UsageError, match=r'"\.\./couriers" is no tracking id'):
        client.ask([tracker("../couriers")])
    assert played.asked == []


@pytest.mark.parametrize("access", [Access(), Access(user="shop")])
def test_without_a_key_there_is_nobody_to_ask(access: Access) -> None:
    with pytest.raises(UsageError, match="an API key is needed"):
        provider("aftership").client(access)


# What changed


def test_changes_are_whole_trackings_page_by_page(client: Client, played: Scripted) -> None:
    played.answers(listed(one("t-1"), one("t-2"), cursor="c1"), listed(one("t-3"), cursor="c2"), listed())

    answers = list(client.changes(SINCE, SINCE + timedelta(hours=1)))

    asked = {
        "updated_at_min": "2026-03-06T09:50:00+00:00",
        "updated_at_max": "2026-03-06T11:00:00+00:00",
        "created_at_min": "2025-11-06T11:00:00+00:00",
        "limit": "200",
    }
    assert [a.params for a in played.asked] == [asked, asked | {"cursor": "c1"}, asked | {"cursor": "c2"}]
    assert [len(json.loads(a.body)["data"]["trackings"]) for a in answers] == [2, 1]
    assert all((a.unknown, a.changed) == ((), ()) for a in answers)


def test_a_time_of_another_zone_is_asked_for_in_utc(client: Client, played: Scripted) -> None:
    played.answers(listed())
    since = datetime.fromisoformat("2026-03-06T15:30:00+05:30")
    assert list(client.changes(since, since + timedelta(hours=1))) == []
    assert played.asked[0].params["updated_at_min"] == "2026-03-06T09:50:00+00:00"


@pytest.mark.parametrize("cursor", ["c1", ""])
def test_a_page_that_leads_nowhere_moves_no_watermark(client: Client, played: Scripted, cursor: str) -> None:
    played.answers(listed(one("t-1"), cursor="c1"), listed(one("t-2"), cursor=cursor))
    answers = []
    with pytest.raises(Unavailable, match="leads nowhere"):
        for answer in client.changes(SINCE, SINCE + timedelta(hours=1)):
            answers.append(answer)
    assert (len(answers), len(played.asked)) == (2, 2)


def test_a_sweep_that_breaks_midway_moves_no_watermark(client: Client, played: Scripted) -> None:
    played.answers(listed(one("t-1"), cursor="c1"), Reply(b"Bad Gateway", 502))
    pages = client.changes(SINCE, SINCE + timedelta(hours=1))
    assert next(pages).body
    with pytest.raises(Unavailable):
        next(pages)


# Following a parcel


OWN = own_id("default:rye:O-1:ups:1Z5550001")


def test_a_tracking_is_created_under_our_own_id(client: Client, played: Scripted) -> None:
    played.answers(single(OWN, code=201))
    wanted = tracker(OWN, "1z 5550001", "UPS")

    assert client.follow(wanted, "default:rye:O-1:ups:1Z5550001") == wanted

    (asked,) = played.asked
    assert (asked.method, asked.path, asked.params) == ("POST", PATH, {})
    assert asked.json == {"id": OWN, "tracking_number": "1Z5550001", "slug": "ups"}
    assert asked.headers["as-api-key"] == KEY


@pytest.mark.parametrize(
    ("carrier", "slug"),
    [("FedEx", "fedex"), ("Royal Mail", "royal-mail"), ("4px", "4px"), ("", None), ("La Poste (FR)", None)],
)
def test_a_courier_is_named_where_its_name_can_be_one(
    client: Client, played: Scripted, carrier: str, slug: str | None
) -> None:
    played.answers(single(OWN, code=201))
    client.follow(tracker(OWN, "1Z5550001", carrier), "")
    assert played.asked[0].json.get("slug") == slug


def test_a_courier_that_aftership_does_not_know_is_left_to_it(client: Client, played: Scripted) -> None:
    played.answers(failed(4010), single(OWN, code=201))
    assert client.follow(tracker(OWN, "1Z5550001", "Amazon"), "").reference == OWN
    assert [a.json.get("slug") for a in played.asked] == ["amazon", None]


def test_a_tracking_is_created_once_however_often(client: Client, played: Scripted) -> None:
    wanted = tracker(OWN, "1Z5550001", "UPS")
    played.answers(single(OWN, code=201), EXISTS, single(OWN))
    assert client.follow(wanted, "") == client.follow(wanted, "") == wanted
    assert [(a.method, a.path) for a in played.asked] == [("POST", PATH), ("POST", PATH), ("GET", f"{PATH}/{OWN}")]


def test_a_tracking_of_the_number_that_somebody_else_created_is_adopted(client: Client, played: Scripted) -> None:
    played.answers(EXISTS, NOT_THERE, listed(one("t-7")))

    adopted = client.follow(tracker(OWN, "1Z5550001", "UPS"), "")

    assert adopted == tracker("t-7", "1Z5550001", "UPS")
    assert [(a.method, a.path, a.params.get("tracking_numbers")) for a in played.asked] == [
        ("POST", PATH, None),
        ("GET", f"{PATH}/{OWN}", None),
        ("GET", PATH, "1Z5550001"),
    ]


def test_of_several_trackings_of_the_number_the_couriers_is_adopted(client: Client, played: Scripted) -> None:
    several = listed(one("t-7", slug="usps"), one("t-8", slug="ups"))
    played.answers(EXISTS, NOT_THERE, several)
    assert client.follow(tracker(OWN, "1Z5550001", "UPS"), "").reference == "t-8"
    played.answers(EXISTS, NOT_THERE, several)
    with pytest.raises(Rejected, match='2 trackings of "1Z5550001" exist; register the one that is meant by its id'):
        client.follow(tracker(OWN, "1Z5550001"), "")


def test_a_tracking_whose_courier_was_corrected_is_adopted(client: Client, played: Scripted) -> None:
    played.answers(EXISTS, NOT_THERE, listed(one("t-7", slug="ups-mi")))
    assert client.follow(tracker(OWN, "1Z5550001", "UPS"), "").reference == "t-7"


def test_an_id_that_belongs_to_another_number_is_not_adopted(client: Client, played: Scripted) -> None:
    played.answers(EXISTS, single(OWN, "1Z9990009"), listed(one("t-7")))
    assert client.follow(tracker(OWN, "1Z5550001", "UPS"), "").reference == "t-7"


def test_a_tracking_that_exists_and_cannot_be_found_is_tried_again_later(client: Client, played: Scripted) -> None:
    played.answers(EXISTS, NOT_THERE, listed())
    with pytest.raises(Unavailable, match='the tracking of "1Z5550001" that exists is in no list, yet'):
        client.follow(tracker(OWN, "1Z5550001", "UPS"), "")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (failed(4010), "the courier is unknown"),
        (failed(4011), "the courier needs further fields"),
        (failed(4012), "no courier was recognised"),
        (failed(4017), "the tracking number has a wrong form"),
    ],
)
def test_a_tracking_that_is_refused_says_why(client: Client, played: Scripted, reply: Reply, words: str) -> None:
    played.answers(reply)
    with pytest.raises(Rejected, match=words):
        client.follow(tracker(OWN, "1Z5550001"), "")


@pytest.mark.parametrize("created", [{}, {"id": None}, {"id": "a/b"}, {"tracking": {"id": "t-1"}}])
def test_a_tracking_created_without_a_usable_id_is_no_answer(client: Client, played: Scripted, created: Any) -> None:
    played.answers(Reply({"meta": {"code": 201}, "data": created}, 201))
    with pytest.raises(Unavailable, match="was created with the id"):
        client.follow(tracker(OWN, "1Z5550001"), "")


def test_a_tracker_without_a_number_cannot_be_followed(client: Client, played: Scripted) -> None:
    for number in ("", "1Z1", "Ü5550001"):
        with pytest.raises(
            UsageError, match=f'^aftership: "{OWN}" has no number that AfterShip takes; register it with'
        ):
            client.follow(tracker(OWN, number, "UPS"), "")
    assert played.asked == []
