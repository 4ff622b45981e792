"""The console, visited over a real socket without a browser, and what its pages hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

import httpx

from support.asked import SECRETS


class Page(HTMLParser):
    """One page: its tags with their attributes, and the text outside of them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Keep it."""
        self._text.append(data)

    @property
    def text(self) -> str:
        """What is read, each run of blanks as one."""
        return " ".join(" ".join(self._text).split())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """The attributes of every such tag."""
        return [attrs for name, attrs in self.tags if name == tag and all(attrs.get(k) == v for k, v in wanted.items())]

    @property
    def rows(self) -> list[str]:
        """What the rows of its table are known by."""
        return [attrs["data-row"].strip() for attrs in self.all("tr") if "data-row" in attrs]

    def field(self, name: str) -> str:
        """The value of the first field of this name."""
        return next(attrs["value"] for attrs in self.all("input") if attrs.get("name") == name)

    def link(self, rel: str) -> str | None:
        """Where the link of this relation leads."""
        return next((attrs["href"] for attrs in self.all("a", rel=rel)), None)


def harmless(page: Page, response: httpx.Response, base: str) -> None:
    """Nothing of a page runs but the console's own files, and it loads and leads to nothing elsewhere."""
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"
    assert "camera=()" in response.headers["permissions-policy"]
    assert response.headers["cache-control"] == "no-store"
    for tag, attrs in page.tags:
        assert tag not in ("style", "base", "iframe", "object", "embed"), tag
        assert not [name for name in attrs if name.startswith("on") or name == "style"], (tag, attrs)
        if tag == "script":
            assert attrs["src"].startswith(f"{base}/static/"), attrs
        for name in ("src", "href", "action", "formaction"):
            assert attrs.get(name, base).startswith((base, "#")), (tag, attrs)


class Visitor:
    """Somebody who looks at the console at `base`, keeps its cookies, and follows no redirect by themselves."""

    def __init__(self, client: httpx.Client, base: str) -> None:
        self.client = client
        self.base = base

    def open(self, path: str, status: int = 200, **params: Any) -> Page:
        """A page, which is harmless."""
        response = self.client.get(f"{self.base}{path}", params=params or None)
        assert response.status_code == status, (path, response.status_code, response.text)
        page = Page(response.text)
        harmless(page, response, self.base)
        return page

    def leads(self, path: str, **params: Any) -> str:
        """Where an address leads on to."""
        response = self.client.get(f"{self.base}{path}", params=params or None)
        assert response.status_code == 303, response.text
        return response.headers["location"].removeprefix(self.base)

    def send(self, path: str, form: dict[str, Any]) -> httpx.Response:
        """Send a form."""
        return self.client.post(f"{self.base}{path}", data=form)

    def sign_in(self, who: str, onward: str = "") -> httpx.Response:
        """Begin a session."""
        return self.send("/login", {"token": SECRETS[who], "next": onward})


@contextmanager
def visiting(url: str, who: str | None = None, base: str = "/console") -> Iterator[Visitor]:
    """A visitor with cookies of their own, signed in if said as whom."""
    with httpx.Client(base_url=url, timeout=30) as client:
        visitor = Visitor(client, base)
        if who is not None:
            assert visitor.sign_in(who).status_code == 303
        yield visitor
