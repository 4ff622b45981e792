"""Would the tests in the browser notice what they are there to notice?"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from support.browser import Visitor, chromium, overflow, unfit
from trackledger.adapters.http.serving import serving

PAGES = {
    "/fine": "<h1>Fine</h1>",
    "/script": "<h1>Script</h1><script>document.title = 'ran'</script>",
    "/style": "<h1 style='color: red'>Style</h1>",
    "/elsewhere": "<h1>Elsewhere</h1><img alt='' src='https://tracking.example/dot.gif'>",
    "/gone": "<h1>Gone</h1><script src='/nothing.js'></script>",
    "/thrown": "<h1>Thrown</h1><script src='/throws.js'></script>",
    "/unlabelled": "<h1>Unlabelled</h1><input>",
    "/wide": "<h1>Wide</h1><pre>" + "wide " * 500 + "</pre>",
    "/throws.js": "throw new Error('thrown on purpose')",
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serves the pages under a policy that allows no more than a console's."""
    body = PAGES.get(Request(scope).url.path)
    kind = "text/javascript" if Request(scope).url.path.endswith(".js") else "text/html"
    page = f"<!doctype html><html lang=en><title>Page</title><link rel=icon href=data:,><main>{body}</main></html>"
    headers = {"content-security-policy": "default-src 'self'; img-src * data:"}
    response = HTMLResponse(
        body if kind == "text/javascript" else page, 200 if body else 404, headers=headers, media_type=kind
    )
    await response(scope, receive, send)


# First, as Playwright cannot be begun twice at the same time.
def test_without_a_browser_tests_are_skipped_or_fail_where_one_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", "/nowhere")
    monkeypatch.delenv("TRACKLEDGER_CHROMIUM", raising=False)
    monkeypatch.delenv("TRACKLEDGER_REQUIRE_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="install chromium-headless-shell"), chromium():
        pass
    monkeypatch.setenv("TRACKLEDGER_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="install chromium-headless-shell"), chromium():
        pass


@contextmanager
def visiting(browser: Browser) -> Iterator[Visitor]:
    with serving(app, grace=1) as url:
        yield Visitor(browser, url)


def test_nothing_is_complained_of_a_page_that_is_fine(browser: Browser) -> None:
    with visiting(browser) as visitor:
        page = visitor.window()
        page.goto("/fine")
        assert (unfit(page), overflow(page)) == ([], 0)
        visitor.close()


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/script", "inline script"),
        ("/style", "inline style"),
        ("/elsewhere", "https://tracking.example/dot.gif was asked for"),
        ("/gone", "404"),
        ("/thrown", "thrown on purpose"),
    ],
)
def test_what_a_browser_complains_of_fails(browser: Browser, path: str, complaint: str) -> None:
    with visiting(browser) as visitor:
        visitor.window().goto(path, wait_until="networkidle")
        with pytest.raises(AssertionError, match=complaint):
            visitor.close()


def test_a_page_that_some_cannot_use_is_noticed(browser: Browser) -> None:
    with visiting(browser) as visitor:
        page = visitor.window()
        page.goto("/unlabelled")
        (told,) = unfit(page)
        assert told.startswith("label (critical)")
        page.goto("/wide")
        assert overflow(page) > 100
        visitor.close()
