"""A real Chromium, whose pages are watched: what a browser complains of fails the test that looked at the page."""

import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Dialog, Locator, Page, Request, Route, sync_playwright

from support.asked import SECRETS

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NONE_HERE = "no Chromium on this machine: install chromium-headless-shell, or name one as TRACKLEDGER_CHROMIUM"

DESK = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}

SERIOUS = frozenset({"serious", "critical"})


@contextmanager
def chromium() -> Generator[Browser]:
    """The browser that `TRACKLEDGER_CHROMIUM` names, else the first on the path, else Playwright's own.

    Without any of them the test is skipped; with `TRACKLEDGER_REQUIRE_BROWSER` it fails.
    """
    named = os.environ.get("TRACKLEDGER_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            if os.environ.get("TRACKLEDGER_REQUIRE_BROWSER"):
                pytest.fail(NONE_HERE)
            pytest.skip(NONE_HERE)
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS])
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Somebody who looks at the console of a server, in as many windows as they like.

    `complaints` has every error in a browser's console, among them what the content security policy forbids, every
    uncaught error of a page, every dialog that a script opens, and every request to another server, of which none gets
    through. `cookies` keeps the sessions that were begun, by the token's name, for the next visitor.
    """

    def __init__(self, browser: Browser, url: str, cookies: dict[str, Any] | None = None) -> None:
        self.url = url
        self.complaints: list[str] = []
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._cookies = {} if cookies is None else cookies

    def window(self, who: str = "", **options: Any) -> Page:
        """An empty window of a browser that nobody else uses, signed in with the token of this name if there is one."""
        context = self._browser.new_context(
            **{"viewport": DESK, "base_url": self.url, "reduced_motion": "reduce", "color_scheme": "light"} | options
        )
        self._contexts.append(context)
        context.set_default_timeout(10_000)
        # A pattern, which is tried in the browser's driver; a function would be asked about every request.
        context.route(re.compile(rf"^(?!{re.escape(self.url)}/|data:|blob:)"), self._refuse)
        context.on("console", lambda said: self._complain(said.text) if said.type == "error" else None)
        context.on("weberror", lambda error: self._complain(str(error.error)))
        context.on("dialog", self._dismiss)
        if who:
            context.add_cookies(self._signed_in(who))
        return context.new_page()

    def forgive(self, pattern: str) -> None:
        """One complaint that matches was meant to be; raises if there is none."""
        found = next((one for one in self.complaints if re.search(pattern, one)), None)
        assert found is not None, f"nothing like {pattern!r} among {self.complaints}"
        self.complaints.remove(found)

    def close(self) -> None:
        """Close every window; raises if there was any complaint."""
        for context in self._contexts:
            context.close()
        assert not self.complaints, "\n".join(self.complaints)

    def _signed_in(self, who: str) -> Any:
        """The cookies of a session, which is begun as a person begins it."""
        if who not in self._cookies:
            page = self.window()
            sign_in(page, SECRETS[who])
            page.wait_for_url("**/console/")
            self._cookies[who] = page.context.cookies()
            page.context.close()
        return self._cookies[who]

    def _complain(self, says: str) -> None:
        self.complaints.append(says)

    def _dismiss(self, dialog: Dialog) -> None:
        self._complain(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    def _refuse(self, route: Route, request: Request) -> None:
        self._complain(f"{request.url} was asked for")
        route.abort()


def sign_in(page: Page, token: str, path: str = "/console/login") -> None:
    """Fill in the form on the login page and send it."""
    page.goto(path)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def unfit(page: Page, *rules: str) -> list[str]:
    """What keeps people from using a page, each with the first element: the serious and critical findings of axe, by
    these of its rules or by all."""
    options = {"resultTypes": ["violations"], "preload": False} | ({"runOnly": [*rules]} if rules else {})
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}; {len(one['nodes'])} elements, such as {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in SERIOUS
    ]


def overflow(page: Page) -> int:
    """How many pixels of a page are beside the window, so that one would have to scroll sideways."""
    wide: int = page.evaluate("document.scrollingElement.scrollWidth - document.documentElement.clientWidth")
    return wide


def tab_to(page: Page, wanted: Locator, most: int = 150) -> None:
    """Go to an element with the keyboard alone."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"nobody gets to {wanted} with the keyboard")


REACHABLE = """() => [...document.querySelectorAll(
  'a[href], button:enabled, input:enabled:not([type=hidden]), select:enabled, textarea:enabled, summary, [tabindex="0"]'
)].filter(one => one.checkVisibility({visibilityProperty: true}))"""


def unreached(page: Page) -> list[str]:
    """What can be used with a mouse and not with the keyboard, or is not seen to have the focus when it has."""
    number: int = page.evaluate(f"window.left = new Set(({REACHABLE})()); window.left.size")
    for _ in range(number + 20):  # as some fields have several parts
        page.keyboard.press("Tab")
        if page.evaluate(SEEN) == 0:
            break
    # Of a group of radio buttons one is reached, and arrows lead to the others.
    left: list[str] = page.evaluate("[...window.left].filter(one => one.type !== 'radio').map(one => one.outerHTML)")
    return left


SEEN = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
  const isMarked = style.outlineStyle !== 'none' || style.boxShadow !== 'none';
  const isInView = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  if (isMarked && isInView) window.left.delete(one);
  return window.left.size;
}"""
