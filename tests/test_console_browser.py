"""Can people work with the console, in a real browser, on a world of parcels?"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount

from support.asked import SECRETS
from support.browser import PHONE, Visitor, overflow, sign_in, tab_to, unfit, unreached
from support.rehearsed import Rehearsed, rehearsed
from support.threads import until
from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import serving


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    """A world on SQLite, which the tests of this module share."""
    with rehearsed(f"sqlite:///{tmp_path_factory.mktemp('world')}/ledger.db") as world:
        yield world


@pytest.fixture(scope="module")
def cookies() -> dict[str, Any]:
    """The sessions that were begun at the server of that world."""
    return {}


@pytest.fixture
def visitor(browser: Browser, world: Rehearsed, cookies: dict[str, Any]) -> Iterator[Visitor]:
    """Somebody at the console of that world; nothing may have gone wrong in their browser."""
    visitor = Visitor(browser, world.api.url, cookies)
    yield visitor
    visitor.close()


def counts(page: Page, title: str) -> dict[str, int]:
    """The numbers on one card of the board, by what they count."""
    card = page.get_by_role("region", name=title)
    found = {}
    for line in card.locator(".tally li").all():
        if line.locator(".n").count():
            (number,) = line.locator(".n").all_inner_texts()
            label = line.locator("a, .line").locator("span").first.inner_text()
            found[label] = int(number.replace(",", ""))
    for figure in card.locator(".figures > div").all():
        label, number = figure.locator("dt").inner_text(), figure.locator("dd").inner_text()
        found[label] = int(number.replace(",", ""))
    return found


def scan(waybill: str, world: Rehearsed, evil: str = "", **said: Any) -> dict[str, Any]:
    """What ClickPost sends about a parcel that nobody has announced."""
    return {
        "waybill": waybill,
        "cp_id": 4,
        "remark": f"remark {evil}",
        "location": f"at {evil}",
        "timestamp": (world.at - timedelta(minutes=5)).isoformat(),
        **said,
        "additional": {"order_id": f"SO {evil}", "latest_status": {"reference_number": f"SO {evil}"}},
    }


def looking(page: Page, seen: Callable[[], object]) -> None:
    """Let the page's clock run on until something is seen."""
    for _ in range(40):
        page.clock.run_for(5_000)
        try:
            seen()
        except AssertionError:
            continue
        return
    seen()


# Coming and going


def test_a_wrong_token_is_refused_and_the_right_one_leads_to_the_page_that_was_asked_for(visitor: Visitor) -> None:
    page = visitor.window()
    page.goto("/console/shipments?milestone=delivered")
    expect(page).to_have_title("Sign in · trackledger")
    page.get_by_label("Token").fill("no-token-of-anybody-at-all")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This is no valid token. Check that all of it was copied.")
    visitor.forgive("status of 401")
    assert page.context.cookies() == []

    page.get_by_label("Token").fill(SECRETS["reader"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Shipments")
    assert page.url == f"{visitor.url}/console/shipments?milestone=delivered"
    for cookie in page.context.cookies():
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/console")
        assert cookie["expires"] > 0


def test_signing_out_ends_the_session_also_of_its_copies(visitor: Visitor) -> None:
    page = visitor.window()
    sign_in(page, SECRETS["reader"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Board")
    copied = page.context.cookies()

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_focused()
    page.goto("/console/")
    expect(page.get_by_label("Token")).to_be_visible()

    thief = visitor.window()
    thief.context.add_cookies(copied)  # type: ignore[arg-type]
    thief.goto("/console/")
    expect(thief.get_by_label("Token")).to_be_visible()


# The board


def test_the_numbers_of_the_board_are_those_of_the_tables(visitor: Visitor, world: Rehearsed) -> None:
    numbers_are_those_of_the_tables(visitor, world)


def numbers_are_those_of_the_tables(visitor: Visitor, world: Rehearsed) -> None:
    """Every number on the board is what its card says."""
    page = visitor.window("reader")
    page.goto("/console/")

    milestones = {
        (row["milestone"].replace("_", " "), bool(row["is_final"])): row["n"]
        for row in world.rows(
            "SELECT milestone, is_final, COUNT(*) AS n FROM {s}shipments WHERE account = :account GROUP BY 1, 2",
        )
    }
    assert counts(page, "On their way") == {name: n for (name, over), n in milestones.items() if not over}
    assert counts(page, "Ended in the last days") == {name: n for (name, over), n in milestones.items() if over}

    cases = world.rows("SELECT state, act_by FROM {s}ndr_cases WHERE account = :account AND state <> 'closed'")
    assert all(row["act_by"] for row in cases if row["state"] == "open")
    left = [(row["act_by"] - world.at).total_seconds() / 3600 for row in cases if row["state"] == "open"]
    assert counts(page, "Failed deliveries by time left to act") == {
        "overdue": sum(hours <= 0 for hours in left),
        "within 4 hours": sum(0 < hours <= 4 for hours in left),
        "within 24 hours": sum(4 < hours <= 24 for hours in left),
        "later": sum(hours > 24 for hours in left),
        "acted on": sum(row["state"] == "actioned" for row in cases),
    }
    quiet = world.rows("SELECT kind FROM {s}silence WHERE account = :account AND stuck_after <= :now", now=world.at)
    kinds = [row["kind"].replace("_", " ") for row in quiet]
    assert counts(page, "Stuck") == {kind: kinds.count(kind) for kind in kinds}
    (late,) = world.rows(
        """SELECT COUNT(*) AS n FROM {s}delivery_dates d JOIN {s}shipments s USING (shipment_id)
           WHERE s.account = :account AND NOT s.is_final AND d.delivered_at IS NULL AND d.promised_by <= :now""",
        now=world.at,
    )
    assert counts(page, "Against the promise")["late"] == late["n"] > 0
    (unmapped,) = world.rows(
        """SELECT COUNT(*) AS n FROM (SELECT DISTINCT t.provider, t.status_code, t.status_said FROM {s}timeline t
             JOIN {s}shipments s USING (shipment_id)
             WHERE s.account = :account AND t.milestone = 'unknown') found""",
    )
    assert counts(page, "What we hear")["statuses without a meaning"] == unmapped["n"] > 0


def test_every_number_of_the_board_leads_to_a_list_of_as_many(visitor: Visitor) -> None:
    page = visitor.window("reader")
    page.goto("/console/")
    found = {}
    for link in page.locator("main .tally a:has(.n), main .figures dd a").all():
        said = link.locator(".n").inner_text() if link.locator(".n").count() else link.inner_text()
        found[link.get_attribute("href") or ""] = int(said.replace(",", ""))
    assert len(found) > 20

    for address, number in found.items():
        rows = page.context.request.get(f"{address}{'&' if '?' in address else '?'}format=ndjson")
        assert (rows.status, len(rows.text().splitlines())) == (200, number), address


def test_a_number_of_the_board_changes_while_one_looks_at_it(visitor: Visitor, world: Rehearsed) -> None:
    page = visitor.window("reader")
    page.clock.install()
    page.goto("/console/", wait_until="networkidle")
    before = counts(page, "On their way").get("out for delivery", 0)
    page.evaluate("window.isTheSamePage = true")

    world.tell(scan("9000000001", world, status="Dispatched", clickpost_status_code=6))
    shown = page.get_by_role("region", name="On their way").locator("li", has_text="out for delivery").locator(".n")
    looking(page, lambda: expect(shown).to_have_text(str(before + 1), timeout=200))
    assert page.evaluate("window.isTheSamePage")


# Failed deliveries


def test_the_failed_deliveries_are_worked_through_with_the_keyboard(visitor: Visitor, world: Rehearsed) -> None:
    work_through_failed_deliveries(visitor, world)


def test_the_same_on_postgresql(browser: Browser, postgres_url: str) -> None:
    with rehearsed(postgres_url) as world:
        visitor = Visitor(browser, world.api.url)
        numbers_are_those_of_the_tables(visitor, world)
        work_through_failed_deliveries(visitor, world)
        look_back(visitor, world)
        visitor.close()


def work_through_failed_deliveries(visitor: Visitor, world: Rehearsed) -> None:
    """Filter the queue, act on its first case, see what came of it, and open the shipment, all with the keyboard."""
    page = visitor.window("operator")
    page.goto("/console/")
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.get_by_role("heading", level=1)).to_have_text("Failed deliveries")

    tab_to(page, page.locator("#filters summary"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Provider"))
    page.keyboard.type("clickpost")
    tab_to(page, page.get_by_label("State"))
    page.keyboard.type("open")
    tab_to(page, page.get_by_role("button", name="Apply"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/ndr\?.*provider=clickpost"))
    waiting = world.rows(
        """SELECT c.shipment_id, c.case_no FROM {s}ndr_cases c JOIN {s}shipments s USING (shipment_id)
           WHERE s.account = :account AND c.state = 'open' AND s.provider = 'clickpost'
           ORDER BY c.act_by, c.shipment_id"""
    )
    assert len(waiting) > 1
    page.wait_for_load_state()
    lines = page.locator("tr[data-row]")
    expect(lines).to_have_count(len(waiting))

    page.keyboard.press("j")
    expect(lines.first.get_by_role("link").first).to_be_focused()
    first = waiting[0]["shipment_id"]
    assert page.locator("tr.here").get_attribute("data-row").split() == [first, "1"]  # type: ignore[union-attr]
    page.keyboard.press("a")
    sheet = page.get_by_role("dialog")
    expect(sheet).to_be_visible()
    asked = len(updates(world))
    tab_to(page, sheet.get_by_role("button", name="Have it done"))
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_have_text(re.compile("^Agreed to"))
    assert len(updates(world)) == asked + 1
    (action,) = world.rows("SELECT * FROM {s}ndr_actions WHERE shipment_id = :id", id=first)
    assert (action["action"], action["state"], action["actor"]) == ("reattempt", "acknowledged", "operator")
    (case,) = world.rows("SELECT state FROM {s}ndr_cases WHERE shipment_id = :id", id=first)
    assert case["state"] == "actioned"
    # It left the list of those that nobody has acted on.
    expect(lines).to_have_count(len(waiting) - 1)

    page.goto(f"/console/shipments/{first}")
    told = page.get_by_role("region", name="Failed delivery")
    expect(told).to_contain_text("acknowledged reattempt by operator")
    expect(told).to_contain_text("actioned")


def updates(world: Rehearsed) -> list[Any]:
    """The calls with which ClickPost was told what to do about a failed delivery."""
    return [call for call in world.running.calls if "ndr-update" in call.asked.path]


# Looking for something, and at it


def test_any_number_leads_to_its_shipment(visitor: Visitor, world: Rehearsed) -> None:
    (row,) = world.rows(
        """SELECT shipment_id, tracking_number, order_id FROM {s}shipments
           WHERE account = :account AND provider = 'clickpost' ORDER BY shipment_id LIMIT 1"""
    )
    page = visitor.window("reader")
    page.goto("/console/stuck")
    for number in (row["tracking_number"], row["order_id"], row["shipment_id"], f"  {row['tracking_number']} "):
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type(number)
        page.keyboard.press("Enter")
        page.wait_for_url("**/shipments/**")
        assert page.locator("h1 + * + .mono, .head .mono").first.inner_text() == row["shipment_id"]
        page.goto("/console/stuck")

    page.get_by_role("searchbox").fill("SO-5")
    page.keyboard.press("Enter")
    page.wait_for_url("**/shipments?q=SO-5")
    expected = world.rows("SELECT shipment_id FROM {s}shipments WHERE account = :account AND order_id LIKE 'SO-5%'")
    expect(page.locator("tr[data-row]")).to_have_count(min(len(expected), 50))

    page.get_by_role("searchbox").fill("no-such-number")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No shipment is like that.")).to_be_visible()


def test_the_slider_shows_what_was_known_when(visitor: Visitor, world: Rehearsed) -> None:
    look_back(visitor, world)


def look_back(visitor: Visitor, world: Rehearsed) -> None:
    """Move the slider of a delivered parcel back to when it was under way, and forward again."""
    (row,) = world.rows(
        """SELECT shipment_id FROM {s}shipments WHERE account = :account AND milestone = 'delivered'
             AND provider = 'clickpost' ORDER BY attempts DESC, shipment_id LIMIT 1"""
    )
    (first,) = world.rows(
        "SELECT recorded_at FROM {s}timeline WHERE shipment_id = :id ORDER BY recorded_at LIMIT 1",
        id=row["shipment_id"],
    )
    page = visitor.window("reader")
    page.goto(f"/console/shipments/{row['shipment_id']}")
    status = page.locator("#shipment-head .chip").first
    lines = page.locator("#statements tbody tr[id], table.statements tbody tr[id]")
    expect(status).to_have_text("delivered")
    now = lines.count()

    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("This is what was known at")).to_be_visible()
    assert "known_at=" in page.url
    expect(status).not_to_have_text("delivered")
    assert lines.count() < now
    for _ in range(int(slider.get_attribute("max") or 0)):
        page.keyboard.press("ArrowRight")
    expect(status).to_have_text("delivered")
    expect(page.get_by_text("This is what was known at")).to_have_count(0)
    assert "known_at=" not in page.url
    assert lines.count() == now

    # The same address shows the same to somebody else.
    page.goto(
        f"/console/shipments/{row['shipment_id']}?known_at={first['recorded_at'].isoformat().replace('+00:00', 'Z')}"
    )
    expect(status).not_to_have_text("delivered")


# Bad intentions

EVIL = (
    "<script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title = 'owned'\">",
    '"><svg onload=alert(1)>',
    "' onfocus=alert(2) autofocus '",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "javascript:alert(3)",
)


def test_nothing_that_a_provider_says_runs_and_all_of_it_is_shown_as_it_was_said(
    visitor: Visitor, world: Rehearsed
) -> None:
    page = visitor.window("operator")
    parked = "SELECT message_id FROM {s}messages WHERE state = 'parked'"
    parked_before = world.rows(parked)
    for number, evil in enumerate(EVIL):
        waybill = f"66600000{number}"
        world.tell(scan(waybill, world, evil=evil, clickpost_status_code=9, status=f"Failed {evil}"))
        world.tell(scan(f"7{waybill}", world, evil=evil, clickpost_status_code=987654, status=f"Odd {evil}"))
    world.tell(EVIL[0].encode())
    until(lambda: not world.rows("SELECT 1 FROM {s}messages WHERE state = 'waiting'"))
    until(lambda: world.rows("SELECT COUNT(*) AS n FROM {s}shipments WHERE order_id LIKE '%owned%'")[0]["n"] == 4)

    for number, evil in enumerate(EVIL):
        id_ = f"default:clickpost:4:66600000{number}"
        page.goto(f"/console/shipments/{id_}")
        main = page.get_by_role("main")
        for text in (f"Failed {evil}", f"remark {evil}", f"at {evil}", f"SO {evil}"):
            expect(main.get_by_text(text).first).to_be_visible()
        page.goto(f"/console/act?shipment_id={id_}")
        page.get_by_label("For whoever looks at it next").fill(f"note {evil}")
        page.get_by_role("button", name="Add the note").click()
        expect(page.get_by_text("Noted.")).to_be_visible()
        page.goto(f"/console/shipments/{id_}")
        expect(page.get_by_text(f"note {evil}").first).to_be_visible()
        page.get_by_role("searchbox").fill(f"SO {evil}")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/shipments"))
        expect(page.get_by_text(f"SO {evil}").first).to_be_visible()
    for path in ("/ndr?provider=clickpost", "/unmapped", "/parked", "/shipments?q=SO", "/"):
        page.goto(f"/console{path}", wait_until="networkidle")
        assert "owned" not in page.title()
        assert page.locator("main script, main [onerror], main [onload], main [onfocus]").count() == 0
    page.goto("/console/unmapped")
    for evil in EVIL:
        expect(page.get_by_text(f"Odd {evil}").first).to_be_visible()
    (kept,) = [one for one in world.rows(parked) if one not in parked_before]
    page.goto(f"/console/messages/{kept['message_id']}")
    expect(page.get_by_text(EVIL[0]).first).to_be_visible()


def test_a_token_that_only_reads_is_offered_nothing_to_do_and_may_do_nothing(
    visitor: Visitor, world: Rehearsed
) -> None:
    (case,) = world.rows(
        "SELECT shipment_id FROM {s}ndr_cases WHERE account = :account AND state = 'open' ORDER BY shipment_id LIMIT 1"
    )
    id_ = case["shipment_id"]
    page = visitor.window("reader")
    for path in ("/", "/ndr", "/stuck", "/parked", f"/shipments/{id_}"):
        page.goto(f"/console{path}")
        assert page.locator("form[method=post]").count() == 1, path  # to sign out
        assert page.locator("a[href*='/act']").count() == 0, path
        assert page.locator("a[href*='/messages/']").count() == 0, path

    page.goto(f"/console/act?shipment_id={id_}")
    expect(page.get_by_role("main")).to_contain_text("the token 'reader' only reads")
    visitor.forgive("status of 403")
    (message,) = world.rows("SELECT message_id FROM {s}messages WHERE account = :account ORDER BY message_id LIMIT 1")
    page.goto(f"/console/messages/{message['message_id']}")
    expect(page.get_by_role("main")).to_contain_text("may not read raw messages")
    visitor.forgive("status of 403")
    csrf = page.locator("input[name=csrf]").first.get_attribute("value") or ""
    form = {"csrf": csrf, "shipment_id": id_, "once": "0" * 32, "text": "I was here"}
    assert page.context.request.post("/console/act/note", form=form).status == 403
    assert not world.rows("SELECT 1 FROM {s}ndr_actions WHERE actor = 'reader'")


def test_what_is_another_accounts_looks_as_if_it_were_not_there(visitor: Visitor, world: Rehearsed) -> None:
    (row,) = world.rows(
        """SELECT shipment_id, tracking_number FROM {s}shipments
           WHERE account = :account AND provider = 'clickpost' ORDER BY shipment_id LIMIT 1"""
    )
    (message,) = world.rows("SELECT message_id FROM {s}messages WHERE account = :account ORDER BY message_id LIMIT 1")
    page = visitor.window("stranger")

    def refusal(path: str) -> str:
        response = page.goto(f"/console{path}")
        assert response is not None and response.status == 404
        visitor.forgive("status of 404")
        return page.title() + page.get_by_role("main").inner_html()

    assert refusal(f"/shipments/{row['shipment_id']}") == refusal("/shipments/default:clickpost:4:none")
    assert refusal(f"/messages/{message['message_id']}") == refusal(f"/messages/{'0' * 32}")
    assert refusal(f"/act?shipment_id={row['shipment_id']}") == refusal("/act?shipment_id=default:clickpost:4:none")
    page.goto(f"/console/search?q={row['tracking_number']}")
    expect(page.get_by_text("No shipment is like that.")).to_be_visible()
    page.goto("/console/")
    assert not any(counts(page, "Failed deliveries by time left to act").values())
    assert counts(page, "On their way") == {}


# Everybody


def pages(world: Rehearsed, page: Page, rows: int = 50) -> list[str]:
    """A path of each kind of page, lists with so many rows."""
    page.goto("/console/")
    (case,) = world.rows(
        "SELECT shipment_id FROM {s}ndr_cases WHERE account = :account AND state = 'open' ORDER BY shipment_id LIMIT 1"
    )
    (ended,) = world.rows(
        """SELECT s.shipment_id, MIN(recorded_at) AS at FROM {s}shipments s JOIN {s}timeline t USING (shipment_id)
           WHERE s.account = :account AND is_final AND withdrawn
           GROUP BY s.shipment_id ORDER BY s.shipment_id LIMIT 1"""
    )
    (message,) = world.rows("SELECT message_id FROM {s}messages WHERE account = :account ORDER BY message_id LIMIT 1")
    links = [one.get_attribute("href") or "" for one in page.locator("nav.nav a").all()]
    assert len(links) > 8
    return [
        "/",
        "/analytics",
        *(f"{link.removeprefix('/console')}?limit={rows}" for link in links if not link.endswith(("/", "/analytics"))),
        f"/shipments/{case['shipment_id']}",
        f"/shipments/{ended['shipment_id']}",
        f"/shipments/{case['shipment_id']}?known_at={world.at.isoformat().replace('+00:00', 'Z')}",
        f"/act?shipment_id={case['shipment_id']}",
        f"/messages/{message['message_id']}",
        "/shipments?milestone=delivered&milestone=lost&sort=-since&limit=5",
        "/ndr?state=closed",
        "/shipments?q=none-of-them",
    ]


def test_everybody_can_use_every_page_in_the_light_and_in_the_dark(visitor: Visitor, world: Rehearsed) -> None:
    page = visitor.window("operator")
    found = {}
    # One row is as fit as the next of its kind.
    for path in pages(world, page, rows=12):
        page.goto(f"/console{path}")
        found[path] = unfit_in_either_light(page)
    for path in ("/nowhere", "/shipments?limit=0"):
        page.goto(f"/console{path}")
        found[path] = unfit_in_either_light(page)
        visitor.forgive("status of (404|422)")
    page.goto("/console/stuck")
    page.get_by_role("link", name="Act").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found["the sheet"] = unfit_in_either_light(page)
    nobody = visitor.window()
    nobody.goto("/console/login")
    found["/login"] = unfit_in_either_light(nobody)
    assert {path: some for path, some in found.items() if some} == {}


def unfit_in_either_light(page: Page) -> list[str]:
    """What axe finds on a light page, and what cannot be read on a dark one."""
    page.emulate_media(color_scheme="light")
    assert brightness(page) > 600
    found = unfit(page)
    page.emulate_media(color_scheme="dark")
    assert brightness(page) < 200
    return found + unfit(page, "color-contrast")


def brightness(page: Page) -> int:
    """Of the ground of a page: 0 is black and 765 is white."""
    colour: str = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def test_on_a_phone_no_page_is_wider_than_it(visitor: Visitor, world: Rehearsed) -> None:
    page = visitor.window("operator", viewport=PHONE, has_touch=True, is_mobile=True)
    found = {}
    for path in pages(world, page):
        page.goto(f"/console{path}")
        found[path] = overflow(page)
    nobody = visitor.window(viewport=PHONE, has_touch=True, is_mobile=True)
    nobody.goto("/console/login")
    found["/login"] = overflow(nobody)
    assert {path: pixels for path, pixels in found.items() if pixels > 0} == {}


def test_everything_is_reached_with_the_keyboard_and_seen_to_be(visitor: Visitor, world: Rehearsed) -> None:
    page = visitor.window("operator")
    found = {}
    paths = pages(world, page)
    for path in ("/", "/ndr", "/parked", "/analytics", *(one for one in paths if "default:" in one)):
        page.goto(f"/console{path}")
        found[path] = unreached(page)
    assert {path: some for path, some in found.items() if some} == {}

    page.goto("/console/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_without_scripts_one_can_look_page_and_act(visitor: Visitor, world: Rehearsed) -> None:
    page = visitor.window(java_script_enabled=False)
    sign_in(page, SECRETS["operator"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Board")
    page.get_by_role("link", name="Work through them").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Failed deliveries")
    id_ = page.locator("tr[data-row] a.open").first.get_attribute("title")
    page.get_by_role("link", name="Act", exact=False).first.click()
    page.get_by_label("For whoever looks at it next").fill("seen without scripts")
    page.get_by_role("button", name="Add the note").click()
    expect(page.get_by_role("status")).to_have_text("Noted.")
    page.goto(f"/console/shipments/{id_}")
    expect(page.get_by_text("seen without scripts").first).to_be_visible()
    page.get_by_role("link", name="Earlier").click()
    expect(page.get_by_text("This is what was known at")).to_be_visible()

    page.goto("/console/shipments?limit=30")
    seen: list[str] = []
    while True:
        seen += [one.get_attribute("data-row") or "" for one in page.locator("tr[data-row]").all()]
        following = page.get_by_role("link", name="Next page")
        if not following.count():
            break
        following.click()
    (all_of_them,) = world.rows("SELECT COUNT(*) AS n FROM {s}shipments WHERE account = :account")
    assert len(seen) == len(set(seen)) == all_of_them["n"]


def test_the_lists_sort_and_can_be_taken_along(visitor: Visitor, world: Rehearsed) -> None:
    page = visitor.window("reader")
    page.goto("/console/stuck")
    heading = page.get_by_role("columnheader", name="Stuck for")
    assert heading.get_attribute("aria-sort") == "ascending"
    ids = [one.get_attribute("data-row") for one in page.locator("tr[data-row]").all()]
    heading.get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Stuck for")).to_have_attribute("aria-sort", "descending")
    assert [one.get_attribute("data-row") for one in page.locator("tr[data-row]").all()] == ids[::-1]

    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert len(download.value.path().read_text("utf-8-sig").splitlines()) == len(ids) + 1


def test_the_analytics_are_drawn_and_told(visitor: Visitor) -> None:
    page = visitor.window("reader")
    page.goto("/console/analytics", wait_until="networkidle")
    canvases = page.locator("canvas")
    assert canvases.count() > 0
    for canvas in canvases.all():
        # Some pixels are coloured, some are not.
        drawn = canvas.evaluate(
            """one => new Set(new Uint32Array(
                 one.getContext('2d').getImageData(0, 0, one.width, one.height).data.buffer)).size"""
        )
        assert drawn > 2
    assert page.locator("main table").count() > 0


def test_it_works_below_a_path_of_a_host(browser: Browser, world: Rehearsed) -> None:
    host = Starlette(routes=[Mount("/parcels", create_app(world.api.runtime))])
    with serving(host, grace=1) as url:
        visitor = Visitor(browser, url)
        page = visitor.window()
        page.goto("/parcels/console/stuck")
        page.get_by_label("Token").fill(SECRETS["operator"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Stuck")
        assert {cookie["path"] for cookie in page.context.cookies()} == {"/parcels/console"}
        page.wait_for_load_state()
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/parcels/console/shipments/**")
        page.get_by_role("slider").focus()
        page.keyboard.press("Home")
        expect(page.get_by_text("This is what was known at")).to_be_visible()
        page.get_by_role("searchbox").fill("SO-5")
        page.keyboard.press("Enter")
        page.wait_for_url("**/parcels/console/shipments?q=SO-5")
        outside = [
            address
            for one in page.locator("[href], [src], [action]").all()
            for address in [one.evaluate("one => one.getAttribute('href') ?? one.getAttribute('src') ?? one.action")]
            if not re.match(rf"({re.escape(url)})?/parcels/console/|#", address)
        ]
        assert outside == []
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/parcels/console/login")
        visitor.close()
