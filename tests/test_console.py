"""Does the console admit the right people, show what they may see, and do what they may do?"""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from fastapi import FastAPI
from msgspec.structs import replace

from support.asked import SECRETS, TOKENS, Api, asked
from support.pages import Page, harmless, visiting
from support.parcels import parcel, parcel_id, reports
from support.reports import estimate, report
from support.scans import scan
from trackledger.adapters.http import create_app
from trackledger.adapters.http.api import posted
from trackledger.adapters.http.serving import serving
from trackledger.adapters.inbox import message
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.schedule import Schedule
from trackledger.adapters.settings import ServerSettings, Settings
from trackledger.domain.checkpoints import Registration
from trackledger.domain.events import NoteAdded

PAGES = (
    "/",
    "/shipments",
    "/ndr",
    "/stuck",
    "/late",
    "/will-be-late",
    "/parked",
    "/unmapped",
    "/polls",
)
EVIL = "<script>alert(1)</script>"
FAILED, EVIL_ID = parcel_id(0), parcel_id(77)


def fill(api: Api) -> None:
    """Six failed deliveries, of which one says evil things, four delivered parcels, a message that is none, a status
    without a meaning, and two trackers that are asked about."""
    told = [one for number in range(5) for one in reports(1, first=number)[:5]]
    told += [one for number in range(5, 9) for one in reports(1, first=number)]
    bad = scan(
        "delivery_failed",
        "5 10:00",
        location=EVIL,
        said=f"said {EVIL}",
        remark=f"remark \u202e{EVIL}",
        reason="bad_address",
    )
    odd = scan("unknown", "5 11:00", said=f"odd {EVIL}")
    details = {"order_id": f'"{EVIL}', "tracking_number": f"'{EVIL}"}
    told.append(
        report(bad, odd, at="5 12:00", details=details, tracker=parcel(77), estimates=(estimate("carrier", "6"),))
    )
    api.runtime.ledger.intake(told)
    received = told[0].received_at
    api.runtime.inbox.append([message("clickpost", b"<script>", channel="webhook", received_at=received)])
    api.runtime.intake.catch_up()
    with api.runtime.database.transaction() as transaction:
        Schedule.add(transaction, [("default", parcel_id(n), parcel(n)) for n in (0, 1)], received)
    api.runtime.projector.catch_up()


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with asked(database_url) as api:
        fill(api)
        yield api


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Api]:
    """A ledger of three parcels, for what does not depend on the database."""
    with asked(f"sqlite:///{tmp_path}/ledger.db") as api:
        api.runtime.ledger.intake(reports(3))
        api.runtime.projector.catch_up()
        yield api


# Coming in


def test_nobody_sees_anything_without_signing_in(small: Api) -> None:
    with visiting(small.url) as visitor:
        for path in (*PAGES, "/position", f"/shipments/{parcel_id(0)}", "/search?q=P1", "/act?shipment_id=x"):
            assert visitor.leads(path).startswith("/login?next=%2Fconsole"), path
        page = visitor.open("/login")
        assert page.all("script") == [] and page.all("nav") == []


def test_a_wrong_token_is_told_one_sentence_and_soon_no_more_are_tried(small: Api) -> None:
    with visiting(small.url) as visitor:
        told = set()
        for token in ("", "x", "x" * 400, SECRETS["reader"][:-1], "ü" * 30):
            response = visitor.send("/login", {"token": token})
            assert response.status_code == 401 and "set-cookie" not in response.headers
            harmless(Page(response.text), response, visitor.base)
            told.add(Page(response.text).text)
        assert len(told) == 1
        statuses = [visitor.send("/login", {"token": "x"}).status_code for _ in range(10)]
        assert statuses[-1] == 429
        refused = visitor.sign_in("reader")
        assert refused.status_code == 429 and refused.headers["retry-after"] == "60"


def test_the_cookie_is_hardened_and_ends(small: Api) -> None:
    with visiting(small.url) as visitor:
        cookie = visitor.sign_in("reader").headers["set-cookie"].lower()
        for part in ("httponly", "samesite=strict", "path=/console", "max-age=43200"):
            assert part in cookie
        assert "secure" not in cookie
        assert SECRETS["reader"] not in cookie
    with visiting(small.url) as visitor:
        visitor.client.headers["x-forwarded-proto"] = "https"
        assert "secure" in visitor.sign_in("reader").headers["set-cookie"].lower()


ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "/console//evil.example",
    "/console/../api/shipments",
    "/console/%2e%2e/api/shipments",
    "/console/%2E%2E%2fapi",
    "/console\\..\\api",
    "/api/shipments",
    "/consolex",
    "javascript:alert(1)",
    "/console/\r\nset-cookie: a=b",
    "/console/\u2028",
    "",
)


def test_signing_in_leads_nowhere_else(small: Api) -> None:
    with visiting(small.url) as visitor:
        for onward in ELSEWHERE:
            assert visitor.sign_in("reader", onward).headers["location"] == "/console/", onward
            assert visitor.leads("/login", next=onward) == "/", onward


def test_signing_in_leads_to_what_was_asked_for(small: Api) -> None:
    with visiting(small.url) as visitor:
        asked_for = visitor.leads("/shipments?milestone=delivered&q=P+1")
        page = visitor.open(asked_for)
        onward = page.field("next")
        assert onward == "/console/shipments?milestone=delivered&q=P+1"
        assert visitor.sign_in("reader", onward).headers["location"] == onward


def test_who_is_signed_in_may_follow_a_link_from_elsewhere(small: Api) -> None:
    with visiting(small.url) as visitor:
        visitor.client.headers["sec-fetch-site"] = "cross-site"
        page = visitor.open("/stuck?carrier=Delhivery")
        assert page.all("meta", **{"http-equiv": "refresh"}) == [{"http-equiv": "refresh", "content": "0"}]
        assert page.all("nav") == []


def test_signing_out_ends_the_session_also_of_whoever_copied_the_cookie(small: Api) -> None:
    with visiting(small.url, "reader") as visitor, visiting(small.url) as thief:
        thief.client.cookies.update(visitor.client.cookies)
        thief.open("/")
        page = visitor.open("/")
        assert visitor.send("/logout", {"csrf": page.field("csrf")}).headers["location"] == "/console/login"
        assert visitor.leads("/").startswith("/login")
        assert thief.leads("/").startswith("/login")


def test_a_cookie_that_was_changed_is_none(small: Api) -> None:
    with visiting(small.url, "reader") as visitor:
        name, cookie = next(iter(visitor.client.cookies.items()))
        which, _, signed = cookie.partition(".")
        with visiting(small.url, "operator") as other:
            other_which = next(iter(other.client.cookies.values())).partition(".")[0]
        for forged in (
            "",
            "x",
            f"{cookie}x",
            cookie[:-2],
            f"{other_which}.{signed}",
            f"{which}.",
            f"x.{signed}",
            "a" * 3000,
        ):
            visitor.client.cookies.clear()
            visitor.client.cookies.set(name, forged)
            assert visitor.leads("/").startswith("/login"), forged


def test_a_token_that_is_changed_ends_its_sessions_and_no_others(tmp_path: Path) -> None:
    settings = Settings(f"sqlite:///{tmp_path}/ledger.db", tokens=TOKENS)
    with open_runtime(settings) as runtime, serving(create_app(runtime), grace=1) as url:
        with visiting(url, "reader") as visitor:
            reader = dict(visitor.client.cookies)
        with visiting(url, "operator") as visitor:
            operator = dict(visitor.client.cookies)
    changed = tuple(replace(one, secret="n" * 30) if one.name == "reader" else one for one in TOKENS)
    with (
        open_runtime(replace(settings, tokens=changed)) as runtime,
        serving(create_app(runtime), grace=1) as url,
        visiting(url) as visitor,
    ):
        visitor.client.cookies.update(reader)
        assert visitor.leads("/").startswith("/login")
        visitor.client.cookies.clear()
        visitor.client.cookies.update(operator)
        visitor.open("/")


def test_who_asks_too_much_is_told_so_on_a_page(tmp_path: Path) -> None:
    settings = Settings(server=ServerSettings(api_per_minute=3))
    with asked(f"sqlite:///{tmp_path}/ledger.db", settings) as api, visiting(api.url, "reader") as visitor:
        for _ in range(3):
            visitor.open("/")
        assert "come back in a minute" in visitor.open("/", 429).text


# Forms


def test_a_form_is_taken_only_from_a_page_of_the_same_session(small: Api) -> None:
    form = {"shipment_id": parcel_id(0), "once": "0" * 32, "text": "hello"}
    with visiting(small.url, "operator") as visitor, visiting(small.url, "operator") as other:
        foreign = other.open("/").field("csrf")
        own = visitor.open("/").field("csrf")
        for wrong in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": foreign}, {"csrf": own[:-1]}):
            response = visitor.send("/act/note", form | wrong)
            assert response.status_code in (403, 422), wrong
        response = visitor.client.post(
            "/console/act/note", data=form | {"csrf": own}, headers={"sec-fetch-site": "cross-site"}
        )
        assert response.status_code == 403
        response = visitor.client.post(
            "/console/login", data={"token": SECRETS["stranger"]}, headers={"sec-fetch-site": "cross-site"}
        )
        assert response.status_code == 403
        assert visitor.send("/logout", {"csrf": foreign}).status_code == 403
        visitor.open("/")
        assert notes(small, parcel_id(0)) == []
        assert visitor.send("/act/note", form | {"csrf": own}).status_code == 303
        assert notes(small, parcel_id(0)) == ["hello"]


def notes(api: Api, shipment_id: str) -> list[str]:
    """The remarks on a shipment."""
    events = api.runtime.ledger.history(shipment_id)
    return [one.event.text for one in events if isinstance(one.event, NoteAdded)]


def test_a_form_that_is_sent_twice_is_done_once_and_what_became_of_it_is_told_once(small: Api) -> None:
    with visiting(small.url, "operator") as visitor:
        page = visitor.open("/act", shipment_id=parcel_id(0))
        form = {
            "csrf": page.field("csrf"),
            "shipment_id": parcel_id(0),
            "once": page.field("once"),
            "text": f"look {EVIL}",
            "next": "/console/stuck?carrier=Delhivery",
        }
        for _ in range(2):
            assert visitor.send("/act/note", form).headers["location"] == form["next"]
        assert notes(small, parcel_id(0)) == [f"look {EVIL}"]
        told = visitor.open("/stuck")
        assert [attrs for attrs in told.all("p") if attrs.get("role") == "status"]
        assert not [attrs for attrs in visitor.open("/stuck").all("p") if attrs.get("role") == "status"]
        assert visitor.send("/act/note", form | {"next": "https://evil.example"}).headers["location"] == "/console/"


def test_a_remark_of_several_lines_is_kept_in_one(small: Api) -> None:
    with visiting(small.url, "operator") as visitor:
        form = {"csrf": visitor.open("/").field("csrf"), "shipment_id": parcel_id(0), "once": "0" * 32}
        assert visitor.send("/act/note", form | {"text": "he called\r\ntwice"}).status_code == 303
        assert notes(small, parcel_id(0)) == ["he called twice"]


def test_a_form_that_is_sent_again_with_another_action_is_refused(api: Api) -> None:
    with visiting(api.url, "operator") as visitor:
        page = visitor.open("/act", shipment_id=FAILED)
        form = {name: page.field(name) for name in ("csrf", "shipment_id", "case_no", "once")} | {"by_hand": "true"}
        assert visitor.send("/act/ndr", form | {"action": "reattempt"}).status_code == 303
        gone_back = visitor.send("/act/ndr", form | {"action": "rto"})
        assert gone_back.status_code == 409 and "is another action" in Page(gone_back.text).text
        assert Page(gone_back.text).field("once") != form["once"]


def test_a_form_that_is_too_large_is_refused_unread(small: Api) -> None:
    with visiting(small.url, "operator") as visitor:
        assert visitor.send("/act/note", {"text": "x" * 100_000}).status_code == 413
        assert visitor.client.post("/console/login", content=iter([b"token=x"])).status_code == 413


def test_a_form_that_does_not_arrive_is_not_waited_for(small: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted, "BODY_SECONDS", 0.2)
    address = urlsplit(small.url)
    form = b"POST /console/login HTTP/1.1\r\nhost: here\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    with socket.create_connection((address.hostname, address.port)) as slow:
        slow.sendall(form + b"content-length: 100\r\n\r\ntoken=")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_failed_delivery_is_acted_on_from_its_queue(api: Api) -> None:
    with visiting(api.url, "operator") as visitor:
        queue = visitor.open("/ndr", state="open", sort="act_by")
        assert f"{FAILED} 1" in queue.rows
        visitor.client.headers["referer"] = f"{api.url}/console/ndr?state=open"
        page = visitor.open("/act", shipment_id=FAILED)
        form = {name: page.field(name) for name in ("csrf", "shipment_id", "next", "case_no", "once")}
        assert form["next"] == "/console/ndr?state=open"

        nobody = visitor.send("/act/ndr", form | {"action": "reattempt"})
        assert nobody.status_code == 422 and "record it as done by hand" in Page(nobody.text).text
        lacking = visitor.send("/act/ndr", form | {"action": "reschedule", "by_hand": "true", "remark": f"for {EVIL}"})
        again = Page(lacking.text)
        assert lacking.status_code == 422 and "preferred_date is missing" in again.text
        assert again.all("input", name="remark")[0]["value"] == f"for {EVIL}"
        assert "checked" in again.all("input", name="action", value="reschedule")[0]
        assert visitor.send("/act/ndr", form | {"action": "burn"}).status_code == 422

        done = form | {"action": "rto", "by_hand": "true", "remark": "", "preferred_date": "", "address": ""}
        for _ in range(2):
            assert visitor.send("/act/ndr", done).headers["location"] == form["next"]
        api.runtime.projector.catch_up()
        assert "Agreed to" in visitor.open("/ndr", state="open").text
        told = api.runtime.store.read(
            "SELECT action, state, actor FROM {s}ndr_actions WHERE shipment_id = :id", id=FAILED
        )
        assert told == [{"action": "rto", "state": "acknowledged", "actor": "operator"}]
        assert "return to origin" in visitor.open("/act", shipment_id=parcel_id(1)).text


def test_a_refresh_and_a_retry_are_left_to_whoever_asks_and_reads(api: Api) -> None:
    with visiting(api.url, "operator") as visitor:
        csrf = visitor.open("/").field("csrf")
        form = {"csrf": csrf, "shipment_id": FAILED}
        assert visitor.send("/act/refresh", form).headers["location"] == f"/console/shipments/{FAILED}"
        assert "clickpost will be asked" in visitor.open("/").text
        visitor.send("/act/refresh", form | {"shipment_id": parcel_id(6)})
        assert "No provider is asked" in visitor.open("/").text

        page = visitor.open("/parked")
        (parked,) = page.rows
        for chosen, says in (({}, "No message was chosen"), ({"message_id": parked}, "1 message will be read again")):
            visitor.send("/act/retry", {"csrf": csrf} | chosen)
            assert says in visitor.open("/").text
        api.runtime.intake.catch_up()
        visitor.send("/act/retry", {"csrf": csrf, "all": "true"})
        assert visitor.open("/parked").rows == []


def test_who_only_reads_sees_no_forms_and_may_send_none(api: Api) -> None:
    with visiting(api.url, "reader") as visitor:
        for path in (*PAGES, f"/shipments/{FAILED}"):
            page = visitor.open(path)
            assert [form["action"] for form in page.all("form", method="post")] == ["/console/logout"], path
            assert not [attrs for attrs in page.all("a") if "/act" in attrs["href"]], path
        csrf = page.field("csrf")
        visitor.open("/act", 403, shipment_id=FAILED)
        for path in ("/act/ndr", "/act/again", "/act/note", "/act/refresh", "/act/retry"):
            sent = {"csrf": csrf, "shipment_id": FAILED, "once": "0" * 32, "text": "x", "message_id": "0" * 32}
            assert visitor.send(path, sent).status_code == 403, path
        assert notes(api, FAILED) == []


# What is shown


def test_every_page_is_harmless_also_with_what_providers_say(api: Api) -> None:
    with visiting(api.url, "operator") as visitor:
        for path in (*PAGES, f"/shipments/{EVIL_ID}", f"/act?shipment_id={EVIL_ID}", "/shipments?q=<script>"):
            page = visitor.open(path)
            assert "<script>alert" not in page.html, path
        assert EVIL in visitor.open("/ndr").text
        assert f"odd {EVIL}" in visitor.open("/unmapped").text
        shown = visitor.open(f"/shipments/{EVIL_ID}").text
        assert f"remark \\u202e{EVIL}" in shown and "\u202e" not in shown


def test_what_is_missing_and_what_is_anothers_look_the_same(api: Api) -> None:
    with visiting(api.url, "stranger") as visitor:
        csrf = visitor.open("/").field("csrf")
        gone = set()
        for id_ in (FAILED, "default:clickpost:4:none", "elsewhere:x"):
            gone.add(visitor.open(f"/shipments/{id_}", 404).text)
            gone.add(visitor.open("/act", 404, shipment_id=id_).text)
            for path in ("/act/note", "/act/refresh", "/act/ndr"):
                sent = {"csrf": csrf, "shipment_id": id_}
                sent |= {"once": "0" * 32} if path != "/act/refresh" else {}
                sent |= {"text": "x"} if path == "/act/note" else {}
                sent |= {"action": "rto", "case_no": "1"} if path == "/act/ndr" else {}
                response = visitor.send(path, sent)
                assert response.status_code == 404
                gone.add(Page(response.text).text)
        for path in ("/nothing", "/shipments/default:clickpost:4:%00", "/messages/%00"):
            gone.add(visitor.open(path, 404).text)
        assert len(gone) == 1
        for path in PAGES[1:]:
            assert visitor.open(path).rows == [], path
        assert visitor.leads("/search", q="P1") == "/shipments?q=P1"
        assert "P1" not in visitor.open("/shipments?q=P1").rows


def test_the_board_counts_what_its_links_list(api: Api) -> None:
    with visiting(api.url, "reader") as visitor:
        board = visitor.open("/")
        links = {attrs["href"].removeprefix("/console") for attrs in board.all("a")}
        assert {"/ndr?state=open&overdue=true", "/shipments?milestone=delivery_failed", "/late"} <= links
        for link in links:
            if link.startswith(PAGES[1:]):
                visitor.open(link)
        assert len(visitor.open("/ndr?state=open&overdue=true").rows) == 6
        assert "6 overdue" in board.text or "overdue 6" in board.text


def test_the_board_says_what_changed_since(small: Api) -> None:
    with visiting(small.url, "reader") as visitor:
        first = visitor.client.get("/console/position")
        assert first.json() == {"position": str(small.runtime.store.head())}
        etag = {"if-none-match": first.headers["etag"]}
        assert visitor.client.get("/console/position", headers=etag).status_code == 304
        small.runtime.ledger.intake(reports(1, first=9))
        small.runtime.projector.catch_up()
        assert visitor.client.get("/console/position", headers=etag).status_code == 200
        assert [attrs for attrs in visitor.open("/").all("div") if "data-live" in attrs]
        assert [attrs for attrs in visitor.open("/shipments").all("section") if "data-live" in attrs]
        asked_of = visitor.open("/shipments", now="2025-03-05T00:00:00Z")
        assert not [attrs for attrs in asked_of.all("section") if "data-live" in attrs]


# Lists


FILTERS: list[tuple[str, dict[str, Any], int]] = [
    ("/shipments", {"milestone": "delivered"}, 4),
    ("/shipments", {"milestone": ["delivered", "delivery_failed"]}, 10),
    ("/shipments", {"q": "P7", "carrier": " "}, 2),
    ("/shipments", {"ndr": "open", "late": "true", "stuck": "true"}, 6),
    ("/shipments", {"edd_from": "2025-03-06", "edd_to": "2025-03-06", "sort": "-since"}, 1),
    ("/ndr", {}, 6),
    ("/ndr", {"state": "open", "reason": "bad_address", "overdue": "true"}, 1),
    ("/ndr", {"state": "closed", "sort": "-last_attempt_at"}, 4),
    ("/stuck", {"kind": "ndr_unactioned", "provider": "clickpost"}, 6),
    ("/stuck", {"kind": "customs"}, 0),
    ("/late", {"baseline": "original", "sort": "-promised_by"}, 6),
    ("/late", {"carrier": "nobody"}, 0),
    ("/will-be-late", {}, 0),
    ("/will-be-late", {"now": "2025-03-08T00:00:00Z"}, 5),
    ("/parked", {"channel": "webhook"}, 1),
    ("/parked", {"provider": "ship24"}, 0),
    ("/unmapped", {"provider": "clickpost"}, 1),
    ("/polls", {"state": "asking", "due": "true", "failing": "false"}, 2),
    ("/polls", {"state": "over"}, 0),
]
"""What is asked of which list, and how many rows there are then."""


def test_every_list_is_filtered_and_says_by_what(api: Api) -> None:
    with visiting(api.url, "reader") as visitor:
        for path, filters, rows in FILTERS:
            # A form sends the fields that were left empty, too.
            page = visitor.open(path, **{"provider": "", "now": " ", **filters})
            assert len(page.rows) == rows, (path, filters)
            for name, value in filters.items():
                if name in ("now", "sort") or value == " ":
                    continue
                values = value if isinstance(value, list) else [value]
                fields = page.all("input", name=name)[-1:] if name != "q" else page.all("input", id="f-q")
                chosen = {attrs["value"] for attrs in page.all("option") if "selected" in attrs}
                assert fields[0]["value"] == value if fields else set(values) <= chosen, (path, name)


def test_a_list_is_turned_page_by_page_and_begun_again(api: Api) -> None:
    with visiting(api.url, "reader") as visitor:
        for path, expected in (("/shipments?limit=4&sort=-since", 10), ("/ndr?limit=4", 6), ("/stuck?limit=4", 6)):
            rows: list[str] = []
            onward: str | None = path
            while onward is not None:
                page = visitor.open(onward)
                rows += page.rows
                assert (page.link("first") is None) == (onward == path)
                following = page.link("next")
                onward = following.removeprefix("/console") if following else None
            assert len(rows) == len(set(rows)) == expected, path
            first = page.link("first")
            assert first is not None
            assert visitor.open(first.removeprefix("/console")).rows == rows[:4]


def test_a_list_is_sorted_by_its_headings(api: Api) -> None:
    with visiting(api.url, "reader") as visitor:
        page = visitor.open("/shipments?sort=since")
        assert [attrs["aria-sort"] for attrs in page.all("th") if "aria-sort" in attrs] == ["ascending"]
        links = {attrs["href"] for attrs in page.all("a")}
        assert "/console/shipments?sort=-since" in links
        assert visitor.open("/shipments?sort=-since").rows[0] == page.rows[-1]


def test_what_is_listed_is_downloaded_as_a_whole(api: Api) -> None:
    with visiting(api.url, "reader") as visitor:
        page = visitor.open("/shipments", milestone="delivery_failed", limit="2", sort="-since")
        exports = [attrs["href"] for attrs in page.all("a") if "download" in attrs]
        csv, ndjson = (visitor.client.get(href) for href in exports)
        assert csv.headers["content-disposition"] == 'attachment; filename="shipments.csv"'
        assert csv.headers["content-type"].startswith("text/csv")
        assert len(csv.text.splitlines()) == 1 + 6 and len(ndjson.text.splitlines()) == 6
        for path in PAGES[1:]:
            rows = visitor.open(path).rows
            lines = visitor.client.get(f"/console{path}?format=ndjson").text.splitlines()
            assert len(lines) == len(rows), path
    with visiting(api.url) as nobody:
        assert nobody.leads("/shipments?format=csv").startswith("/login")


def test_what_cannot_be_asked_is_named(small: Api) -> None:
    with visiting(small.url, "reader") as visitor:
        for path, parameter, value in [
            ("/shipments", "milestone", "nowhere"),
            ("/shipments", "mile", "delivered"),
            ("/shipments", "sort", "colour"),
            ("/shipments", "edd_from", "tomorrow"),
            ("/shipments", "limit", "1001"),
            ("/shipments", "cursor", "nonsense"),
            ("/shipments", "format", "xml"),
            ("/ndr", "act_by_from", "2025-03-05T00:00:00"),
            ("/stuck", "kind", "bored"),
            ("/late", "known_at", "2999-01-01T00:00:00Z"),
            ("/parked", "known_at", "2025-03-05T00:00:00Z"),
            ("/search", "what", "P1"),
        ]:
            page = visitor.open(path, 422, **{parameter: value})
            assert f"The parameter is {parameter} ." in page.text, page.text


def test_a_list_of_the_past_says_so(small: Api) -> None:
    with visiting(small.url, "reader") as visitor:
        page = visitor.open("/shipments", known_at="1999-01-01T00:00:00Z")
        assert page.rows == [] and "as known at 1999-01-01 00:00 UTC" in page.text


# Looking for a number


def test_a_number_leads_to_its_shipment(api: Api) -> None:
    with visiting(api.url, "reader") as visitor:
        for typed in ("P1", " P1 ", "p1", "4:P1", parcel_id(1)):
            assert visitor.leads("/search", q=typed) == f"/shipments/{parcel_id(1)}", typed
        assert visitor.leads("/search", q="P77") == f"/shipments/{EVIL_ID}"
        assert visitor.leads("/search", q=f'"{EVIL}'[:9]) == f"/shipments/{EVIL_ID}"
        several = visitor.leads("/search", q="P")
        assert several == "/shipments?q=P" and len(visitor.open(several).rows) == 10
        none = visitor.leads("/search", q="nothing like it")
        assert "No shipment is like that." in visitor.open(none).text
        assert visitor.leads("/search", q="  ") == "/shipments"
        visitor.open("/search", 422, q="x" * 401)


# All of it


def test_the_first_page_is_small_and_its_files_are_kept(api: Api) -> None:
    with visiting(api.url, "operator") as visitor:
        page = visitor.open("/")
        files = [attrs["href"] for attrs in page.all("link")] + [attrs["src"] for attrs in page.all("script")]
        answers = [visitor.client.get(file) for file in dict.fromkeys(files)]
        assert all(one.status_code == 200 and "immutable" in one.headers["cache-control"] for one in answers)
        assert {one.headers["content-type"].partition(";")[0] for one in answers} == {
            "image/svg+xml",
            "text/css",
            "text/javascript",
        }
        assert len(page.html.encode()) + sum(len(one.content) for one in answers) < 100_000
        assert max(len(one.content) for one in answers) < 20_000
        assert visitor.client.get(files[0].replace("static/", "static/0")).status_code == 404
        for path in ("/console/static/x/..%2fapplication.py", "/console/static/x/%2e%2e"):
            assert visitor.client.get(path).status_code == 404


def test_a_shipment_whose_name_is_a_path_is_linked_and_opened(small: Api) -> None:
    names = ("../../logout", "..", "x/../../act", "//evil.example/", "%2e%2e/./a", 'a"b?c#d')
    small.runtime.ledger.register([Registration(name) for name in names])
    small.runtime.projector.catch_up()
    with visiting(small.url, "reader") as visitor:
        for name in names:
            (link,) = visitor.open("/shipments", q="default:host:").all("a", title=f"default:host:{name}")
            # As browsers resolve it.
            address = urljoin(f"{small.url}{visitor.base}/shipments", link["href"])
            assert address.startswith(f"{small.url}{visitor.base}/shipments/default:host:")
            assert name in Page(visitor.client.get(address).raise_for_status().text).text


@pytest.mark.parametrize("name", ["50%41", "l\u00e4ger 7", "a?b#c"])
def test_who_notes_something_comes_back_to_the_page_whatever_it_is_called(small: Api, name: str) -> None:
    small.runtime.ledger.register([Registration(name)])
    small.runtime.projector.catch_up()
    path = f"/shipments/{quote(f'default:host:{name}', safe=':')}"
    with visiting(small.url, "operator") as visitor:
        page = visitor.open(path)
        form = {field: page.field(field) for field in ("csrf", "shipment_id", "once", "next")}
        assert visitor.send("/act/note", form | {"text": "x"}).headers["location"] == f"{visitor.base}{path}"


def test_everything_works_below_another_path(tmp_path: Path) -> None:
    with asked(f"sqlite:///{tmp_path}/ledger.db") as api:
        fill(api)
        host = FastAPI()
        host.mount("/a/tracking", create_app(api.runtime))
        with serving(host, grace=1) as url, visiting(url, base="/a/tracking/console") as visitor:
            onward = visitor.leads("/ndr")
            assert onward == "/login?next=%2Fa%2Ftracking%2Fconsole%2Fndr"
            visitor.open(onward)
            signed_in = visitor.sign_in("operator", "/a/tracking/console/ndr")
            assert signed_in.headers["location"] == "/a/tracking/console/ndr"
            assert "path=/a/tracking/console;" in signed_in.headers["set-cookie"].lower()
            assert visitor.sign_in("operator", "/console/ndr").headers["location"] == "/a/tracking/console/"
            for path in (*PAGES, f"/shipments/{FAILED}", f"/act?shipment_id={FAILED}"):
                visitor.open(path)
            assert visitor.leads("/search", q="P1") == f"/shipments/{parcel_id(1)}"


@pytest.mark.parametrize("path", ["/mein lager", "/l\u00e4ger", "/\u5009\u5eab", "/a;b"])
def test_somebody_stays_signed_in_below_a_path_of_any_characters(small: Api, path: str) -> None:
    host = FastAPI()
    host.mount(path, create_app(small.runtime))
    with serving(host, grace=1) as url, visiting(url, base=f"{quote(path)}/console") as visitor:
        signed_in = visitor.sign_in("operator", f"{path}/console/")
        assert f"path={visitor.base};".lower() in signed_in.headers["set-cookie"].lower()
        form = {"csrf": visitor.open("/").field("csrf"), "shipment_id": parcel_id(0), "once": "0" * 32, "text": "x"}
        assert visitor.send("/act/note", form).headers["location"] == f"{visitor.base}/shipments/{parcel_id(0)}"
        assert visitor.open("/ndr").all("a", **{"aria-current": "page"})[0]["href"] == f"{visitor.base}/ndr"


def test_the_way_in_is_a_path_whatever_host_is_named(small: Api) -> None:
    answer = small.client.get("/console", headers={"host": "evil.example"})
    assert (answer.status_code, answer.headers["location"]) == (307, "/console/")
