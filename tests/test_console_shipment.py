"""Does the page of a shipment show what was said of it, by whom, what was known when and why it is concluded?"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from typing import Any

import pytest
from fastapi import FastAPI

from support.asked import Api, asked
from support.messages import kept
from support.pages import Page, Visitor, visiting
from support.parcels import parcel
from support.reports import claim, estimate, report
from support.scans import instant, scan
from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import serving
from trackledger.adapters.inbox import message
from trackledger.adapters.settings import Settings
from trackledger.domain import Registration, Tracker
from trackledger.domain.corrections import Reading
from trackledger.domain.milestones import Milestone

ID = "default:clickpost:4:AWB1"
PATH = f"/shipments/{ID}"
WHO = ("clerk@shop", "the customer sent a photo")
EVIL = "<script>alert(1)</script>\u202e'\"&"

PICKED_UP = scan("picked_up", "1 10:00", id="clickpost:1", location="Jaipur", said="Picked")
ODD = scan("unknown", "2 10:00", id="clickpost:2", said="Held at X-ray")
OUT = scan("out_for_delivery", "3 09:00", id="clickpost:3", said="Dispatched")
FAILED = scan("delivery_failed", "3 12:00", id="clickpost:4", said="Nobody home", reason="customer_unavailable")
DELIVERED = scan("delivered", "4 12:00", id="clickpost:5", said="Handed over")


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    """A ledger that was told of a parcel bit by bit: what was amended, withdrawn and corrected by hand is among it."""
    with asked(database_url) as api:
        ledger = api.runtime.ledger
        ledger.intake([report(PICKED_UP, at="1 12:00", estimates=(estimate("carrier", "3"),))])
        moved = scan("picked_up", "1 10:00", id="clickpost:1", location="Jodhpur", said="Picked")
        ledger.intake([report(moved, ODD, at="2 12:00")])
        ledger.intake([report(OUT, at="3 10:00", channel="webhook", assertions=(claim("stuck", "no"),))])
        ledger.intake([report(FAILED, at="3 13:00", channel="webhook", estimates=(estimate("carrier", "4"),))])
        ledger.amend(ID, "clickpost:2", Reading(milestone=Milestone.ON_HOLD), *WHO)
        ledger.withdraw(ID, ["clickpost:3"], *WHO)
        api.runtime.projector.catch_up()
        yield api


@pytest.fixture
def reader(api: Api) -> Iterator[Visitor]:
    with visiting(api.url, "reader") as visitor:
        yield visitor


def known(api: Api) -> list[str]:
    """The moments at which something was recorded, as they stand in addresses."""
    found = api.runtime.store.streams([ID], api.runtime.store.head())[ID]
    moments = {re.search(rb'"recorded_at":"([^"]+)"', stored.state)[1].decode() for stored in found}  # type: ignore[index]
    return sorted(moments)


def rows(page: Page) -> list[str]:
    """The checkpoints in the table."""
    return [attrs["id"] for attrs in page.all("tr") if attrs.get("id", "").startswith("checkpoint-")]


def marks(page: Page) -> list[str]:
    """The checkpoints in the drawing."""
    return [row for attrs in page.all("g") for row in attrs.get("data-rows", "").split() if "mark" in attrs["class"]]


def test_everything_said_is_in_the_table_and_in_the_drawing(reader: Visitor) -> None:
    page = reader.open(PATH, now="2025-03-04T00:00:00Z")
    assert len(rows(page)) == 4
    assert sorted(marks(page)) == sorted(rows(page))
    for words in ("Picked", "Jodhpur", "Held at X-ray", "Dispatched", "Nobody home", "customer unavailable", "3 12:00"):
        assert words in page.text
    assert [attrs["id"] for attrs in page.all("h2") if attrs["id"] == "drawing-title"]
    assert "case 1, open" in page.text and "6 h left to act, until 2025-03-04 06:30 UTC" in page.text
    svg = page.all("svg", role="img")[0]
    assert svg["viewbox"] == f"0 0 {svg['width']} {svg['height']}"
    assert svg["aria-labelledby"] == "drawing-says drawing-tells"
    assert {attrs["id"] for attrs in page.all("title") + page.all("desc") if "id" in attrs} == {
        "drawing-says",
        "drawing-tells",
    }


def test_what_was_amended_withdrawn_and_corrected_is_told_apart(reader: Visitor) -> None:
    page = reader.open(PATH)
    states = [attrs["class"] for attrs in page.all("g") if attrs.get("data-rows", "").startswith("checkpoint")]
    assert sum("withdrawn" in state for state in states) == 1
    assert sum("amended" in state for state in states) >= 2
    assert len(page.all("details", id=f"{rows(page)[0]}-earlier")) == 1
    assert "before:" in page.text and "Jaipur" in page.text
    assert "amended by hand by clerk@shop" in page.text
    assert "withdrawn by hand by clerk@shop" in page.text and "the customer sent a photo" in page.text


def test_the_table_is_filtered_and_the_links_of_the_explanation_lead_to_what_is_there(reader: Visitor) -> None:
    choices: list[tuple[dict[str, Any], int]] = [
        ({}, 4),
        ({"withdrawn": "hidden"}, 3),
        ({"provider": "clickpost"}, 4),
        ({"provider": "nobody"}, 0),
        ({"provider": ""}, 4),
    ]
    for params, count in choices:
        page = reader.open(PATH, **params)
        assert len(rows(page)) == count, params
        assert len(marks(page)) == 4
        names = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
        assert {attrs["href"][1:] for attrs in page.all("a", **{"class": "inline"})} <= names
    assert {attrs["href"][1:] for attrs in reader.open(PATH).all("a", **{"class": "inline"})} > set(rows(page))


def test_every_conclusion_is_explained(reader: Visitor) -> None:
    page = reader.open(PATH)
    about = {attrs["id"] for attrs in page.all("details") if attrs.get("id", "").startswith("why-")}
    assert about >= {
        "why-status",
        "why-attempts",
        "why-ndr_case_1",
        "why-ndr_case_1-reason",
        "why-ndr_case_1-act_by",
        "why-stuck",
        "why-original",
        "why-current",
        "why-on_time",
        "why-unused-withdrawn_by_hand",
    }
    for words in (
        "Failed deliveries",
        "Silence",
        "Delivery dates",
        "A failed delivery opens a case",
        "Somebody took it",
    ):
        assert words in page.text


def test_one_can_step_back_through_what_was_known(api: Api, reader: Visitor) -> None:
    moments = known(api)
    page = reader.open(PATH)
    slider = page.all("input", id="known-at")[0]
    assert slider["data-moments"].split() == moments
    assert (slider["min"], slider["max"], slider["value"]) == ("0", str(len(moments)), str(len(moments)))
    assert page.all("label", **{"for": "known-at"}) and page.all("output", **{"for": "known-at"})
    seen = []
    while (earlier := page.link("prev")) is not None:
        page = reader.open(earlier.removeprefix(reader.base))
        seen.append((len(rows(page)), page.all("input", id="known-at")[0]["value"]))
        assert "This is what was known at" in page.text
        assert {"href": f"{reader.base}{PATH}"}.items() <= page.all("a", **{"class": "button small"})[0].items()
        assert sorted(marks(page)) == sorted(rows(page))
    numbers = [str(number) for number in reversed(range(len(moments)))]
    assert seen == list(zip([4, 4, 4, 3, 2, 1], numbers, strict=True))
    assert "Jaipur" in page.text and "Jodhpur" not in page.text and "case 1" not in page.text
    assert page.link("next") == f"{reader.base}{PATH}?known_at={moments[1].replace(':', '%3A')}"


def test_what_is_concluded_is_what_was_known_then(api: Api, reader: Visitor) -> None:
    before, failed = known(api)[2], known(api)[3]
    assert "m-out_for_delivery" in reader.open(PATH, known_at=before).html
    page = reader.open(PATH, known_at=failed)
    assert page.all("span", **{"class": "chip m-delivery_failed"})
    assert "recorded delivery_failed at 2025-03-03" in page.text
    assert not [attrs for attrs in page.all("tr") if "withdrawn" in attrs.get("class", "")]


def test_before_the_first_moment_nothing_was_known_and_none_that_is_to_come_can_be_asked_about(reader: Visitor) -> None:
    page = reader.open(PATH, known_at="2001-01-01T00:00:00Z")
    assert "Nothing was known of this shipment at that moment" in page.text
    assert page.link("prev") is None and page.link("next") is not None
    for params, named in [
        ({"known_at": "2999-01-01T00:00:00Z"}, "known_at"),
        ({"known_at": "2026-01-01T00:00:00"}, "known_at"),
        ({"known_at": "yesterday"}, "known_at"),
        ({"now": "soon"}, "now"),
        ({"withdrawn": "maybe"}, "withdrawn"),
        ({"provider": "x" * 300}, "provider"),
        ({"providers": "x"}, "providers"),
    ]:
        assert f"The parameter is {named}" in reader.open(PATH, 422, **params).text


def test_nobody_learns_of_the_shipments_of_others(api: Api) -> None:
    with visiting(api.url, "stranger") as stranger:
        theirs = stranger.open(PATH, 404)
        assert theirs.text == stranger.open("/shipments/default:clickpost:4:NONE", 404).text
        assert stranger.open(PATH, 404, known_at="2001-01-01T00:00:00Z").text == theirs.text
    with visiting(api.url) as nobody:
        assert nobody.leads(PATH).startswith("/login?next=")
        assert nobody.leads("/messages/0123").startswith("/login?next=")


def test_raw_messages_are_for_those_who_may_read_them(api: Api, reader: Visitor) -> None:
    api.runtime.intake.take([kept("clickpost", "poll_failed_delivery")])
    api.runtime.projector.catch_up()
    path = "/shipments/default:clickpost:4:7702913348051"
    with visiting(api.url, "operator") as operator, visiting(api.url, "stranger") as stranger:
        page = operator.open(path)
        (link,) = (one["href"] for one in page.all("a") if "/messages/" in one["href"])
        raw = link.removeprefix(operator.base)
        told = operator.open(raw)
        assert '"clickpost_status_description"' in told.html.replace("&#34;", '"')
        assert "JSON, laid out" in told.text
        assert "1 message taught us this" in reader.open(path).text
        assert not [one for one in reader.open(path).all("a") if "/messages/" in one["href"]]
        reader.open(raw, 403)
        assert stranger.open(raw, 404).text == stranger.open("/messages/" + "0" * 32, 404).text
        operator.open("/messages/" + "0" * 32, 404)
        operator.open("/messages/x", 404)


def test_a_raw_message_is_text_whatever_it_holds(api: Api) -> None:
    bodies = [EVIL.encode(), b"\x00\xff\x1b[2J<img src=x>", b"[" * 100_000, b'{"big": "' + b"x" * 400_000 + b'"}']
    received = datetime(2026, 1, 1, tzinfo=UTC)
    told = [message("clickpost", body, received_at=received) for body in bodies]
    api.runtime.inbox.append(told)
    with visiting(api.url, "operator") as operator:
        pages = [operator.open(f"/messages/{one.message_id}") for one in told]
    assert escape("<script>alert(1)</script>\\u202e") in pages[0].html
    assert "\\u0000\\xff\\u001b[2J&lt;img src=x&gt;" in pages[1].html
    assert all("as it arrived" in page.text for page in pages)
    assert "The last 137,867 bytes are left out" in pages[3].text
    assert max(len(page.html) for page in pages) < 300_000


def test_nothing_that_anybody_says_is_more_than_text(api: Api) -> None:
    tracker = Tracker("clickpost", f"4:{'<b>1</b>'}", "<i>C</i>", "<u>N</u>")
    bad = scan("delivery_failed", "3 12:00", id="clickpost:<q>", location=EVIL, said=EVIL, remark=EVIL)
    details = {"order_id": "<s>O</s>", "service": "<s>S</s>"}
    api.runtime.ledger.intake(
        [report(bad, at="3 13:00", tracker=tracker, assertions=(claim("status", "9", EVIL),), details=details)]
    )
    shipment_id = "default:clickpost:4:<b>1</b>"
    api.runtime.ledger.note(shipment_id, EVIL, "<b>me</b>")
    api.runtime.ledger.amend(shipment_id, "clickpost:<q>", Reading(location="<tt>"), "<em>", EVIL)
    api.runtime.projector.catch_up()
    with visiting(api.url, "operator") as operator:
        page = operator.open(f"/shipments/{shipment_id.replace('/', '%2F')}")
    assert page.text.count("\\u202e") >= 5 and "\u202e" not in page.html
    assert not {tag for tag, _ in page.tags} & {"i", "u", "s", "q", "tt", "em", "script"} - {"script"}
    assert all("static" in attrs["src"] for attrs in page.all("script"))


def test_operators_find_the_forms_and_a_note_appears(api: Api, reader: Visitor) -> None:
    def forms(page: Page) -> list[str]:
        return [one["action"].removeprefix(reader.base) for one in page.all("form", method="post")]

    assert forms(reader.open(PATH)) == ["/logout"]
    with visiting(api.url, "operator") as operator:
        page = operator.open(PATH)
        assert forms(page) == ["/logout", "/act/refresh", "/act/note"]
        sheet = next(one["href"] for one in page.all("a") if "data-sheet" in one)
        assert sheet == f"/console/act?shipment_id={ID.replace(':', '%3A')}"
        assert forms(operator.open(PATH, known_at=known(api)[0])) == ["/logout"]
        form = {name: page.field(name) for name in ("csrf", "shipment_id", "next", "once")}
        sent = operator.send("/act/note", form | {"text": "call them"})
        assert sent.status_code == 303 and sent.headers["location"] == f"/console{PATH}"
        api.runtime.projector.catch_up()
        assert "call them" in operator.open(PATH).text
    assert "call them" in reader.open(PATH).text
    assert "call them" not in reader.open(PATH, known_at=known(api)[-2]).text


def test_pieces_are_counted_as_they_were_known_then(api: Api, reader: Visitor) -> None:
    ledger = api.runtime.ledger
    (whole,) = ledger.register([Registration("WHOLE")])
    ledger.register([Registration(f"P{n}", trackers=(parcel(n),), piece_of=whole.shipment_id) for n in (1, 2)])
    registered = datetime.now(UTC).isoformat()
    ledger.intake([report(scan("delivered", "4 10:00"), at="4 11:00", tracker=parcel(1))])
    api.runtime.projector.catch_up()
    page = reader.open(f"/shipments/{whole.shipment_id}")
    assert "1 of 2 delivered, 1 open, 0 failed" in page.text
    pieces = [one["href"] for one in page.all("a") if one["href"].startswith("/console/shipments/default:host:P")]
    assert pieces == ["/console/shipments/default:host:P1", "/console/shipments/default:host:P2"]
    piece = reader.open(pieces[0].removeprefix(reader.base))
    assert "/console/shipments/default:host:WHOLE" in [one["href"] for one in piece.all("a")]
    then = reader.open(f"/shipments/{whole.shipment_id}", known_at=registered)
    assert "0 of 2 delivered, 2 open, 0 failed" in then.text
    before = page.all("input", id="known-at")[0]["data-moments"].split()[0]
    assert "of 2 delivered" not in reader.open(f"/shipments/{whole.shipment_id}", known_at=before).text


def test_a_private_shipment_says_so_and_a_forgotten_one_says_nothing_else(database_url: str) -> None:
    with asked(database_url, Settings(privacy="sealed")) as api, visiting(api.url, "operator") as operator:
        api.runtime.ledger.intake([report(FAILED, at="3 13:00")])
        api.runtime.ledger.note(ID, "Mrs Rao rang", "clerk")
        api.runtime.projector.catch_up()
        page = operator.open(PATH)
        assert "This shipment is private" in page.text
        assert "Nobody home" in page.text and "Mrs Rao rang" in page.text
        api.runtime.forgetting.forget(ID, *WHO)
        api.runtime.projector.catch_up()
        for page in (operator.open(PATH), operator.open(PATH, known_at=known(api)[0])):
            assert "This shipment was forgotten" in page.text
            assert len(rows(page)) == 1
            assert "Nobody home" not in page.text and "Mrs Rao" not in page.text
            assert "/act/note" not in page.html


def test_a_shipment_that_cannot_be_folded_says_why_and_shows_what_there_is(api: Api, reader: Visitor) -> None:
    api.runtime.ledger.note(ID, "from a later version", "test")
    with api.runtime.database.transaction() as transaction:
        transaction.execute(
            "UPDATE {s}stored_events SET topic = 'shipment.Later' WHERE notification_id = :id",
            id=api.runtime.store.head(),
        )
    api.runtime.projector.catch_up()
    page = reader.open(PATH)
    assert "cannot be folded" in page.text and "shipment.Later" in page.text
    assert len(rows(page)) == 4 and sorted(marks(page)) == sorted(rows(page))
    assert "case 1, open" in page.text
    assert "Why it is concluded" not in page.text


def test_a_shipment_of_which_nothing_was_said_has_a_page(api: Api, reader: Visitor) -> None:
    (quiet,) = api.runtime.ledger.register([Registration("QUIET/1 %?#ü")])
    api.runtime.projector.catch_up()
    page = reader.open("/shipments/default:host:QUIET/1%20%25%3F%23%C3%BC")
    assert "Nothing was said of it yet" in page.text and "QUIET/1 %?#ü" in page.text
    assert not page.all("svg", role="img")
    earlier = page.link("prev")
    assert earlier is not None
    assert "QUIET/1 %?#ü" in reader.open(earlier.removeprefix(reader.base)).text
    assert quiet.shipment_id == "default:host:QUIET/1 %?#ü"


def test_much_is_shown_up_to_a_limit(api: Api, reader: Visitor) -> None:
    tracker = Tracker("clickpost", "4:MANY", "Delhivery", "MANY")
    scans = [scan("in_transit", f"{1 + n // 24} {n % 24}:00", id=f"clickpost:m{n}") for n in range(620)]
    api.runtime.ledger.intake([report(*scans, at="30 10:00", tracker=tracker)])
    api.runtime.projector.catch_up()
    page = reader.open("/shipments/default:clickpost:4:MANY", now=instant("30 12:00").isoformat())
    assert len(rows(page)) == 500 and "120 older ones are left out" in page.text
    assert sorted(marks(page)) == sorted(rows(page))


def test_it_works_below_another_path(api: Api) -> None:
    host = FastAPI()
    host.mount("/a/tracking", create_app(api.runtime))
    with serving(host, grace=1) as url, visiting(url, "operator", base="/a/tracking/console") as visitor:
        page = visitor.open(PATH)
        earlier = page.link("prev")
        assert earlier is not None
        visitor.open(earlier.removeprefix(visitor.base))
        for script in page.all("script") + [one for one in page.all("link") if one["rel"] == "stylesheet"]:
            address = script.get("src") or script["href"]
            assert visitor.client.get(address).status_code == 200
