"""How does an answer become a page?"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from trackledger.adapters.http.console import flashes, static_files
from trackledger.adapters.http.console.sessions import csrf_token, found, root
from trackledger.adapters.http.principals import Principal

PAGES = (
    ("/", "Board", "b"),
    ("/shipments", "Shipments", "s"),
    ("/ndr", "Failed deliveries", "f"),
    ("/stuck", "Stuck", "t"),
    ("/late", "Late", "l"),
    ("/will-be-late", "Will be late", "w"),
    ("/parked", "Parked", "p"),
    ("/unmapped", "Unmapped", "u"),
    ("/polls", "Polls", "o"),
    ("/analytics", "Analytics", "a"),
)
"""Where the pages lie, what they are called, and the letter that leads there after `g`."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Characters that are not seen, or that reverse the direction of the text around them. Those that join letters are
none of them, as names need them."""

_DOTS = re.compile(r"/(?=\.{1,2}(?:/|$))")


def render(
    request: Request,
    principal: Principal | None,
    name: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """A page, from the template `name`. Every template can rely on `principal`, `now` (the clock's, unless given),
    `link`, `static`, `csrf` (a function, for forms), `flash` and `here` (this page's path and query)."""
    base = root(request)
    flash = flashes.waiting(request) if principal else None
    about = {
        "principal": principal,
        "now": request.app.state.services.runtime.settings.clock.now(),
        "base": base,
        "pages": PAGES,
        "link": lambda path, **query: link(base, path, **query),
        "static": lambda file: f"{base}{static_files.path(file)}",
        "csrf": lambda: csrf_token(request),
        "flash": flash,
        "here": here(request),
        "at": request.scope["path"].removeprefix(request.scope.get("root_path", "")),
        "q": "",
    }
    page = _environment().get_template(name).render(about | context)
    response = HTMLResponse(page, status, dict(headers or {}))
    if flash is not None:
        flashes.shown(request, response)
    return response


def link(base: str, path: str, **query: Any) -> str:
    """The address of a page of the console: `path` begins with a slash; parts of the query that are None are left
    out."""
    given = {name: value for name, value in query.items() if value is not None}
    # A shipment may be called `../x`, which browsers would resolve: they leave dots behind an escaped slash alone.
    steps = _DOTS.sub("%2F", quote(path, safe="/:@~"))
    return f"{base}{steps}{'?' if given else ''}{urlencode(given, doseq=True)}"


def here(request: Request) -> str:
    """The address of this page, as a path."""
    return f"{link('', request.scope['path'])}{'?' if request.url.query else ''}{request.url.query}"


def signed_in_as(request: Request) -> Principal | None:
    """Who is signed in, for a page that anybody may see."""
    session = getattr(request.state, "session", None) or found(request)
    if session is not None:
        request.state.session = session
    return session.principal if session else None


def visible(value: Any) -> Any:
    """A text in which every character is seen that would steer the text around it; nothing is an empty text."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value if value.isprintable() else _STEERING.sub(lambda one: f"\\u{ord(one[0]):04x}", value)
    return value


def words(value: str | None) -> str:
    """A name such as `in_transit` as words."""
    return (value or "").replace("_", " ")


def instant(value: datetime | None) -> str:
    """An instant to the minute, in UTC."""
    return _time(value, f"{value.astimezone(UTC).isoformat(' ', 'minutes')[:16]} UTC") if value else ""


def exactly(value: datetime) -> str:
    """An instant as exactly as it is known, in UTC: moments at which something was recorded may lie close together."""
    fraction = f"{value:.%f}".rstrip("0").rstrip(".")
    return _time(value, f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}{fraction} UTC")


def iso(value: datetime) -> str:
    """An instant as it stands in addresses."""
    return value.isoformat().replace("+00:00", "Z")


def offset(value: timedelta) -> str:
    """How far east of UTC, such as `+05:30`."""
    minutes = int(value.total_seconds()) // 60
    return f"{'+' if minutes >= 0 else '−'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def day(value: date | None) -> str:
    """A day."""
    return Markup(f'<time datetime="{value.isoformat()}">{value.isoformat()}</time>') if value else ""


@pass_context
def ago(context: Context, value: datetime | None) -> str:
    """How long ago an instant was as of `now`, or in how long it will be."""
    if value is None:
        return ""
    seconds = (context["now"] - value).total_seconds()
    return _time(value, f"{_length(seconds)} ago" if seconds >= 0 else f"in {_length(-seconds)}")


@pass_context
def left(context: Context, value: datetime | None) -> str:
    """How much time is left until a deadline as of `now`, or for how long it is over."""
    if value is None:
        return ""
    seconds = (value - context["now"]).total_seconds()
    return _time(value, f"{_length(seconds)} left" if seconds > 0 else f"{_length(-seconds)} over")


def _time(value: datetime, said: str) -> str:
    # Put together of digits and our own words: nothing in it needs escaping, which would take longer than all the rest.
    utc = value.astimezone(UTC)
    iso = utc.isoformat(" ", "seconds")[:19]
    stamp = utc.isoformat().replace("+00:00", "Z")
    return Markup(f'<time datetime="{stamp}" title="{_DAYS[utc.weekday()]} {iso} UTC">{said}</time>')


def _length(seconds: float) -> str:
    for unit, name, upto in ((60, "min", 120), (3600, "h", 72)):
        if seconds < unit * upto:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds // 86_400):,} d"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
        auto_reload=False,
    )
    environment.filters |= {"words": words, "instant": instant, "day": day, "ago": ago, "left": left}
    environment.filters |= {"exactly": exactly, "offset": offset, "iso": iso}
    return environment
