"""Are questions over HTTP answered page by page, in every form, for one account only, and refused in one way?"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator

import pytest
from msgspec.json import decode, encode

from support.asked import Api, asked, refused
from support.parcels import parcel_id, reports

PARCELS = 25


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with asked(database_url) as api:
        api.runtime.ledger.intake(reports(PARCELS))
        api.runtime.projector.catch_up()
        yield api


def test_pages_hold_every_row_once_in_order(api: Api) -> None:
    for sort in ("shipment_id", "-last_heard_at"):
        pages = api.pages("/api/shipments", limit=7, sort=sort)
        assert [len(page) for page in pages] == [7, 7, 7, 4]
        ids = [row["shipment_id"] for page in pages for row in page]
        assert sorted(ids) == sorted(map(parcel_id, range(PARCELS)))
        assert (ids == sorted(ids)) == (sort == "shipment_id")


def test_an_answer_says_of_when_it_is(api: Api) -> None:
    answer = api.answer("/api/shipments", now="2026-11-21T09:30:00+05:30")
    assert answer["as_of"] == "2026-11-21T04:00:00Z"
    assert answer["consistent_with"] == str(api.runtime.store.head())


def test_rows_come_as_csv_and_ndjson_as_a_whole(api: Api) -> None:
    csv = api.get("/api/shipments", accept="text/csv")
    assert csv.headers["content-disposition"] == 'attachment; filename="shipments.csv"'
    assert len(csv.text.splitlines()) == PARCELS + 1
    lines = api.get("/api/shipments", accept="application/x-ndjson", limit=3)
    assert len(lines.text.splitlines()) == 3
    nothing = api.get("/api/shipments", who="stranger", accept="text/csv")
    assert nothing.text.splitlines() == csv.text.splitlines()[:1]


def test_another_account_has_none_of_them(api: Api) -> None:
    assert api.items("/api/shipments", who="stranger") == []


def test_waiting_for_a_position(api: Api) -> None:
    head = api.runtime.store.head()
    assert api.items("/api/shipments", wait_for=head)
    told = refused(api.get("/api/shipments", wait_for=head + 1, wait_seconds=0.1), 503, "wait_for")
    assert str(head) in told


def test_what_is_wrong_is_named(api: Api) -> None:
    cursor = api.answer("/api/shipments", limit=1)["next"]
    for parameter, value in [
        ("milestone", "nowhere"),
        ("mile", "delivered"),
        ("sort", "colour"),
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "many"),
        ("now", "2026-11-21T09:30:00"),
        ("now", "yesterday"),
        ("known_at", "2999-01-01T00:00:00Z"),
        ("known_at", "2026-11-21"),
        ("cursor", "nonsense"),
        ("cursor", cursor[:-3]),
        ("wait_for", "-1"),
        ("wait_seconds", "1000"),
    ]:
        assert parameter in refused(api.get("/api/shipments", **{parameter: value}), 422, parameter)
    for seconds in ("nan", "inf", "-1"):
        refused(api.get("/api/shipments", wait_for="999999", wait_seconds=seconds), 422, "wait_seconds")


@pytest.mark.parametrize(
    "words",
    [
        '["QUESTION","NOW","2026-01-01T00:00:00",["P"]]',
        '["QUESTION","2026-01-01T00:00:00",null,["P"]]',
        '["QUESTION","9999-12-31T23:59:59-12:00",null,["P"]]',
        '["QUESTION","NOW","0001-01-01T00:00:00+12:00",["P"]]',
        '["QUESTION","NOW",null,[7]]',
        '["QUESTION","NOW",null,["\\u0000"]]',
        '["QUESTION","NOW",null,' + "[" * 1400,
    ],
)
def test_a_cursor_that_nobody_gave_is_refused(api: Api, words: str) -> None:
    given = decode(urlsafe_b64decode(api.answer("/api/shipments", limit=1)["next"] + "=="))
    forged = words.replace("QUESTION", given[0]).replace("NOW", given[1])

    refused(api.get("/api/shipments", cursor=urlsafe_b64encode(forged.encode()).decode()), 422, "cursor")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00"])
def test_a_cursor_with_a_place_beyond_time_is_refused(api: Api, at: str) -> None:
    given = decode(urlsafe_b64decode(api.answer("/api/shipments", sort="since", limit=1)["next"] + "=="))
    given[3][0] = at

    forged = urlsafe_b64encode(encode(given)).decode()
    refused(api.get("/api/shipments", sort="since", cursor=forged), 422, "cursor")


def test_a_cursor_is_of_one_question(api: Api) -> None:
    cursor = api.answer("/api/shipments", limit=1)["next"]
    assert api.items("/api/shipments", limit=2, cursor=cursor)
    assert "another question" in refused(api.get("/api/shipments", cursor=cursor, carrier="X"), 422, "cursor")


def test_without_a_token_nothing_is_told(api: Api) -> None:
    same = {refused(api.client.get(path), 401) for path in ("/api/shipments", "/api/shipments?limit=0")}
    same.add(refused(api.client.get("/api/shipments", headers={"authorization": "Bearer wrong"}), 401))
    assert len(same) == 1


def test_before_the_first_event_nothing_was_known(api: Api) -> None:
    assert api.items("/api/shipments", known_at="1999-01-01T00:00:00Z") == []
