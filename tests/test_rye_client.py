"""Is Rye asked as each of its generations wants to be, and what is made of its answers?"""

import base64
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from support.messages import body_of
from support.scripted import Reply, Scripted, scripted
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import normalize, provider
from trackledger.adapters.providers.asking import (
    Access,
    Answer,
    AskError,
    BadCredentials,
    Client,
    NotYetKnown,
    Rejected,
    TooMany,
    Unavailable,
)
from trackledger.adapters.providers.rye_client import RyeOrders, RyeShipments
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import UsageError

ORDER = "5f0c7d52-90ab-4a5e-8a39-6d1c2b7e4f11"
KEY = "TL-19c0-key"
TOKEN = base64.b64encode(f"{KEY}:".encode()).decode()
KEY_2 = "RYE/production-8d1f-key"
SINCE, UNTIL = datetime(2026, 4, 5, tzinfo=UTC), datetime(2026, 4, 6, tzinfo=UTC)


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


def connected(played: Scripted, key: str, **options: str) -> Client:
    return provider("rye").client(Access(SecretStr(key), url=played.url, options=options))


@pytest.fixture
def orders(played: Scripted) -> Iterator[Client]:
    client = connected(played, KEY)
    yield client
    client.close()


@pytest.fixture
def shipments(played: Scripted) -> Iterator[Client]:
    client = connected(played, KEY_2)
    yield client
    client.close()


def trackers(*references: str) -> list[Tracker]:
    return [Tracker("rye", reference) for reference in references]


def order(id: str = ORDER, status: str = "SUCCEEDED") -> dict[str, Any]:
    event = {"__typename": "OrderPlacedOrderEvent", "id": "1", "createdAt": "2026-03-02T15:04:31Z"}
    return {"data": {"orderByID": {"id": id, "status": status, "events": [event], "shipments": []}}}


def errors(code: Any = None, data: Any = None, said: Any = "no") -> dict[str, Any]:
    return {"errors": [{"message": said, "extensions": {"code": code}}], "data": data}


def shipment(id: str, updated_at: str | None = "2026-04-05T10:00:00Z") -> dict[str, Any]:
    return {"id": id, "checkoutIntentId": "ci_1", "status": "ordered", "createdAt": "2026-04-01T00:00:00Z"} | (
        {"updatedAt": updated_at} if updated_at else {}
    )


def page(*rows: Any, after: str | None = None) -> dict[str, Any]:
    info = {"hasNextPage": after is not None, "endCursor": after, "hasPreviousPage": False, "startCursor": None}
    return {"data": list(rows), "pageInfo": info}


# Orders


@pytest.mark.parametrize("key", [KEY, TOKEN])
def test_an_order_is_asked_about_with_the_key_or_the_token_made_of_it(played: Scripted, key: str) -> None:
    played.answers(order())
    client = connected(played, key)

    (told,) = client.ask(trackers(ORDER))
    client.close()

    (asked,) = played.asked
    assert (asked.method, asked.path, asked.params) == ("POST", "/v1/query", {})
    assert asked.headers["authorization"] == f"Basic {TOKEN}"
    assert asked.json["variables"] == {"id": ORDER}
    assert told.context == {} and told.unknown == ()


def test_the_query_selects_what_is_read_and_nothing_of_a_person(orders: Client, played: Scripted) -> None:
    played.answers(order())
    orders.ask(trackers(ORDER))
    query = played.asked[0].json["query"]
    for name in ("__typename", "createdAt", "reason", "carrierName", "carrierTrackingNumber", "status"):
        assert name in query
    for name in ("buyerIdentity", "shippingAddress", "reasonCode", "retryable", "returns"):
        assert name not in query


def test_an_order_and_its_parcels_are_one_call(orders: Client, played: Scripted) -> None:
    played.answers(order(), order("other"))

    answers = orders.ask(trackers(f"{ORDER}:ups:1Z1", ORDER, "other", f"{ORDER}:a b:1:2"))

    assert [asked.json["variables"]["id"] for asked in played.asked] == [ORDER, "other"]
    assert len(answers) == 2


def test_an_answer_is_kept_as_it_came(orders: Client, played: Scripted) -> None:
    body = body_of("rye", "poll_two_numbers")
    played.answers(Reply(body))

    (told,) = orders.ask(trackers(ORDER))

    assert told.body == body
    assert len(normalize(message("rye", told.body, context=told.context, received_at=datetime.now(UTC)))) == 3


NOT_YET = [
    {"data": {"orderByID": None}},
    {"data": {"orderByID": {"id": ORDER, "status": "PENDING", "events": [], "shipments": []}}},
    {"data": {"orderByID": {"id": ORDER, "status": "PENDING", "events": None, "shipments": None}}, "errors": []},
]


@pytest.mark.parametrize("reply", NOT_YET)
def test_an_order_that_was_not_submitted_is_not_known_yet(orders: Client, played: Scripted, reply: Any) -> None:
    played.answers(reply, reply, order("other"))
    with pytest.raises(NotYetKnown, match=rf'^rye: nothing is known of "{ORDER}:ups:1Z1", yet$'):
        orders.ask(trackers(f"{ORDER}:ups:1Z1"))

    unknown, known = orders.ask(trackers(ORDER, "other", f"{ORDER}:ups:1Z1"))
    assert (unknown.body, unknown.unknown) == (b"", (ORDER, f"{ORDER}:ups:1Z1"))
    assert known.unknown == ()


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (errors("UNAUTHENTICATED"), BadCredentials, "UNAUTHENTICATED"),
        (errors("FORBIDDEN", {"orderByID": None}), BadCredentials, "FORBIDDEN"),
        (errors("RATE_LIMITED"), TooMany, "RATE_LIMITED"),
        (Reply(errors("TOO_MANY_REQUESTS"), 200, {"retry-after": "11"}), TooMany, "TOO_MANY"),
        (errors("GRAPHQL_VALIDATION_FAILED"), Rejected, "VALIDATION"),
        (errors("INTERNAL_SERVER_ERROR"), Unavailable, "INTERNAL"),
        (errors(["UNAUTHENTICATED"]), Unavailable, "errors"),
        (errors(None, order()["data"], "no shipments"), Unavailable, "no shipments"),
        ({"errors": [7], "data": None}, Unavailable, "errors"),
        ({"errors": {"message": "down"}}, Unavailable, "errors"),
        ({"errors": [{"message": "down", "extensions": "none"}]}, Unavailable, "down"),
        ({"data": None}, Unavailable, "without data.orderByID"),
        ({"data": {"order": {}}}, Unavailable, "without data.orderByID"),
        ({}, Unavailable, "without data.orderByID"),
        ([], Unavailable, "no object"),
        (Reply(errors("UNAUTHENTICATED"), 401), BadCredentials, "401"),
        (Reply({"message": "no"}, 403), BadCredentials, "403"),
        (Reply(errors("GRAPHQL_PARSE_FAILED"), 400), Rejected, "400"),
        (Reply(errors("GRAPHQL_VALIDATION_FAILED"), 422), Rejected, "422"),
        (Reply(b"slow down", 429, {"retry-after": "11"}), TooMany, "429"),
        (Reply(b"<html>Bad gateway</html>", 502, {"content-type": "text/html"}), Unavailable, "502"),
        (Reply(b"<html>Sign in</html>", 200, {"content-type": "text/html"}), Unavailable, "not JSON"),
        (Reply(b""), Unavailable, "empty body"),
    ],
)
def test_a_failed_query_is_told_apart_by_what_to_do(
    orders: Client, played: Scripted, reply: Any, kind: type[AskError], said: str
) -> None:
    played.answers(reply)
    with pytest.raises(AskError) as raised:
        orders.ask(trackers(ORDER))
    assert type(raised.value) is kind
    assert str(raised.value).startswith(f"rye: POST {played.url}/v1/query answered ")
    assert said in str(raised.value)
    assert raised.value.wait == (11.0 if isinstance(reply, Reply) and "retry-after" in reply.headers else None)


def test_orders_have_no_list_of_changes(orders: Client, played: Scripted) -> None:
    with pytest.raises(UsageError, match="generation 1 has no list of changes"):
        orders.changes(SINCE, UNTIL)
    assert played.asked == []


# Shipments


def test_a_shipment_is_asked_about_by_its_id(shipments: Client, played: Scripted) -> None:
    body = body_of("rye", "poll_2_delivered")
    played.answers(Reply(body), shipment("a/b?c"))

    told, other = shipments.ask(trackers("shp_3c9e07f5a1d84b62", "a/b?c"))

    assert [(asked.method, asked.path, asked.params) for asked in played.asked] == [
        ("GET", "/api/v1/shipments/shp_3c9e07f5a1d84b62", {}),
        ("GET", "/api/v1/shipments/a%2Fb%3Fc", {}),
    ]
    assert {asked.headers["authorization"] for asked in played.asked} == {f"Bearer {KEY_2}"}
    assert (told.body, other.unknown) == (body, ())
    assert (
        normalize(message("rye", told.body, received_at=datetime.now(UTC)))[0].tracker.reference in played.asked[0].path
    )


def test_a_shipment_that_is_not_known_is_no_failure_of_the_account(shipments: Client, played: Scripted) -> None:
    missing = Reply({"message": "Shipment not found"}, 404)
    played.answers(missing, missing, shipment("shp_2"))
    with pytest.raises(NotYetKnown, match="answered 404"):
        shipments.ask(trackers("shp_1"))
    unknown, known = shipments.ask(trackers("shp_1", "shp_2"))
    assert (unknown.body, unknown.unknown, known.unknown) == (b"", ("shp_1",), ())


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply({"message": "no"}, 401), BadCredentials),
        (Reply({"message": "no"}, 403), BadCredentials),
        (Reply({"message": "no"}, 400), Rejected),
        (Reply(b"slow down", 429, {"retry-after": "11"}), TooMany),
        (Reply({"message": "no"}, 409), Unavailable),
        (Reply(b"<html></html>", 503, {"retry-after": "11"}), Unavailable),
        (Reply(b"<html></html>", 200, {"content-type": "text/html"}), Unavailable),
        (Reply(b""), Unavailable),
    ],
)
def test_a_failed_call_is_told_apart_by_what_to_do(
    shipments: Client, played: Scripted, reply: Reply, kind: type[AskError]
) -> None:
    played.answers(reply, reply)
    for ask in (True, False):
        with pytest.raises(AskError) as raised:
            shipments.ask(trackers("shp_1")) if ask else list(shipments.changes(SINCE, UNTIL))
        assert type(raised.value) is kind
        assert str(raised.value).startswith(f"rye: GET {played.url}/api/v1/shipments")
        assert raised.value.wait == (11.0 if "retry-after" in reply.headers else None)


def test_changes_are_the_pages_with_a_shipment_that_was_updated(shipments: Client, played: Scripted) -> None:
    first = page(shipment("shp_1", "2026-04-01T00:00:00Z"), shipment("shp_2", "2026-04-05T00:00:00Z"), after="c1")
    played.answers(
        first,
        page(shipment("shp_3", "2026-04-04T23:59:59Z"), after="c2"),
        page(shipment("shp_4", None), after="c3"),
        page(),
    )

    answers = list(shipments.changes(SINCE, UNTIL))

    assert [(asked.path, asked.params) for asked in played.asked] == [
        ("/api/v1/shipments", {"limit": "100"}),
        ("/api/v1/shipments", {"limit": "100", "after": "c1"}),
        ("/api/v1/shipments", {"limit": "100", "after": "c2"}),
        ("/api/v1/shipments", {"limit": "100", "after": "c3"}),
    ]
    read = [normalize(message("rye", told.body, received_at=datetime.now(UTC))) for told in answers]
    assert [[of.tracker.reference for of in reports] for reports in read] == [["shp_1", "shp_2"], ["shp_4"]]
    assert all(told.changed == told.unknown == () for told in answers)


@pytest.mark.parametrize(
    "last", [page(), {"data": [], "pageInfo": {}}, {"data": [], "pageInfo": {"hasNextPage": False, "endCursor": "c"}}]
)
def test_the_pages_end_where_rye_says_so(shipments: Client, played: Scripted, last: Any) -> None:
    played.answers(last)
    assert list(shipments.changes(SINCE, UNTIL)) == []
    assert len(played.asked) == 1


@pytest.mark.parametrize("cursor", ["c1", "", None])
def test_a_page_that_leads_nowhere_moves_no_watermark(shipments: Client, played: Scripted, cursor: str | None) -> None:
    nowhere = {"data": [], "pageInfo": {"hasNextPage": True, "endCursor": cursor}}
    played.answers(page(after="c1"), page(after="c2"), nowhere)
    with pytest.raises(Unavailable, match=r"a page after 3 is announced under the cursor .* which leads nowhere"):
        list(shipments.changes(SINCE, UNTIL))
    assert len(played.asked) == 3


def test_missed_events_name_the_shipments_that_they_are_about(shipments: Client, played: Scripted) -> None:
    def of(kind: str, id_: str) -> dict[str, Any]:
        return {"id": f"evt_{id_}", "object": "event", "type": f"{kind}.updated", "source": {"type": kind, "id": id_}}

    assert isinstance(shipments, RyeShipments)
    played.answers(
        page(of("shipment", "shp_1"), of("product", "p_1"), of("shipment", "shp_1"), after="c1"),
        page(of("checkout_intent", "ci_1"), after="c2"),
        page(of("shipment", "shp_2")),
        page(of("shipment", "a:b")),
    )
    assert list(shipments.events()) == [Answer(changed=("shp_1",)), Answer(changed=("shp_2",))]
    assert [(asked.path, asked.params.get("after")) for asked in played.asked] == [
        ("/api/v1/events", None),
        ("/api/v1/events", "c1"),
        ("/api/v1/events", "c2"),
    ]
    with pytest.raises(Unavailable, match=r"^rye: the list of events: .*source\.id"):
        list(shipments.events())


@pytest.mark.parametrize(
    "reply",
    [{}, [], {"data": {}, "pageInfo": {}}, {"data": []}, page(7), page(shipment("shp_1", "soon"))],
)
def test_a_page_that_cannot_be_read_moves_no_watermark(shipments: Client, played: Scripted, reply: Any) -> None:
    played.answers(reply)
    with pytest.raises(Unavailable, match=r"^rye: the list of shipments: "):
        list(shipments.changes(SINCE, UNTIL))


# Both


@pytest.mark.parametrize("key", [KEY, KEY_2])
def test_rye_follows_its_own_orders_without_being_told(played: Scripted, key: str) -> None:
    client = connected(played, key)
    tracker = Tracker("rye", f"{ORDER}:ups:1Z1", "UPS", "1Z1")
    assert client.follow(tracker, "default:rye:1") is tracker
    client.close()
    assert played.asked == []


@pytest.mark.parametrize(("key", "kind"), [(KEY, RyeOrders), (KEY_2, RyeShipments)])
def test_the_key_tells_the_generation_and_the_option_has_to_agree(
    played: Scripted, key: str, kind: type[Client]
) -> None:
    mine, others = ("1", "2") if key == KEY else ("2", "1")
    for options in ({}, {"generation": mine}, {"generation": ""}):
        assert type(connected(played, key, **options)) is kind
    with pytest.raises(UsageError, match=f"^rye: a key of generation {others} is needed"):
        connected(played, key, generation=others)
    with pytest.raises(UsageError, match=r'^rye: the generation is "3"; 1 or 2 is needed$'):
        connected(played, key, generation="3")


@pytest.mark.parametrize(
    ("key", "url", "good"),
    [
        ("RYE/production-1", "", True),
        ("RYE/production-1", "https://api.rye.com", True),
        ("RYE/production-1", "https://staging.api.rye.com", False),
        ("RYE/staging-1", "", False),
        ("RYE/staging-1", "https://api.rye.com", False),
        ("RYE/staging-1", "https://staging.api.rye.com", True),
        ("RYE/staging-1", "https://rye.proxy.example", True),
    ],
)
def test_a_key_of_one_environment_is_not_sent_to_the_other(key: str, url: str, good: bool) -> None:
    access = Access(SecretStr(key), url=url)
    if good:
        provider("rye").client(access).close()
        return
    with pytest.raises(UsageError, match=r"^rye: the key is of ") as refused:
        provider("rye").client(access)
    assert key not in str(refused.value)


@pytest.mark.parametrize("key", ["", "RYE/other-1", "RYE/production-"])
def test_a_key_that_cannot_be_right_is_refused_at_once(key: str) -> None:
    with pytest.raises(UsageError, match=r"^rye: .* needed"):
        provider("rye").client(Access(SecretStr(key), options={"generation": "2"}))


@pytest.mark.parametrize(
    ("key", "secret", "replies"),
    [
        (
            KEY,
            secret,
            [errors("UNAUTHENTICATED", said=f"bad {secret}"), errors(secret), Reply({"message": secret}, 401)],
        )
        for secret in (KEY, TOKEN)
    ]
    + [(KEY_2, KEY_2, [Reply({"message": KEY_2}, 401), Reply(KEY_2.encode()), Reply(b"", 503)])],
)
def test_an_echoed_key_is_told_nowhere(
    played: Scripted, key: str, secret: str, replies: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = connected(played, key)
    played.answers(*replies)
    for _ in replies:
        with pytest.raises(AskError) as raised:
            client.ask(trackers(ORDER))
        told = "".join(traceback.format_exception(raised.value)) + caplog.text + repr(client) + repr(vars(client))
        assert secret not in told
    client.close()
    assert len(played.asked) == len(replies)


def test_a_key_that_is_echoed_in_a_page_is_taken_out_of_the_error(shipments: Client, played: Scripted) -> None:
    played.answers(page(shipment("shp_1", KEY_2)))
    with pytest.raises(Unavailable, match=r'updatedAt is "\*\*\*"'):
        list(shipments.changes(SINCE, UNTIL))
