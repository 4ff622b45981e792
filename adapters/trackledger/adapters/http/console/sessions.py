"""Who is signed in, and did their own page send this form?"""

from collections import OrderedDict
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from threading import Lock
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import Depends, Request, Response
from itsdangerous import BadData, URLSafeTimedSerializer
from msgspec import Struct

from trackledger.adapters.http.api.services import Given
from trackledger.adapters.http.principals import Principal, Principals
from trackledger.adapters.http.problems import Problem
from trackledger.adapters.settings import Settings

COOKIE = "trackledger_console"
LASTS = timedelta(hours=12)

MAX_ENDED = 10_000
"""So many sessions that were signed out are remembered as ended until their time is over."""


class SignInRequired(Exception):
    """Nobody is signed in: the way leads to the login page."""


class Session(Struct, frozen=True):
    """One signing in: whose it is, and a name of its own. `key` signs what belongs to it."""

    principal: Principal
    id: str
    key: str

    def signed(self, value: Any, purpose: str) -> str:
        """A value that only this session accepts, for this purpose."""
        return self._serializer(purpose).dumps([self.id, value])

    def value(self, text: str, purpose: str, lasts: timedelta = LASTS) -> Any:
        """The value that was signed for this purpose; None where it was not, or too long ago."""
        match self.read(text, purpose, lasts):
            case [self.id, value]:
                return value
            case _:
                return None

    def read(self, text: str, purpose: str, lasts: timedelta = LASTS) -> Any:
        """The id of the session that signed, and what; None where no session of this token has."""
        try:
            return self._serializer(purpose).loads(text, max_age=int(lasts.total_seconds()))
        except BadData:
            return None

    def _serializer(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.key, salt=f"trackledger console {purpose}")


class Sessions:
    """The sessions of those who have a token. The key of each is derived from the token, so that a token which is
    changed or taken away ends its sessions; a server that is started again goes on with the others."""

    def __init__(self, settings: Settings, principals: Principals) -> None:
        self._principals = principals
        self._holders: dict[str, tuple[str, Principal]] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()
        for token in settings.tokens:
            if (principal := principals.holder(token.secret)) is not None:
                self._holders[_key(token.secret, "which")[:16]] = (_key(token.secret, "session"), principal)

    def begin(self, secret: str) -> str | None:
        """The cookie of a new session of whoever holds this token; None where it is nobody's."""
        if self._principals.holder(secret) is None:
            return None
        which = _key(secret, "which")[:16]
        key, principal = self._holders[which]
        session = Session(principal, token_urlsafe(16), key)
        return f"{which}.{session.signed(None, 'session')}"

    def read(self, cookie: str) -> Session | None:
        """The session of a cookie; None where it is none, was signed out, or its time is over."""
        which, _, signed = cookie.partition(".")
        if which not in self._holders:
            return None
        key, principal = self._holders[which]
        match Session(principal, "", key).read(signed, "session"):
            case [str(id), None] if id not in self._ended:
                return Session(principal, id, key)
            case _:
                return None

    def end(self, session: Session) -> None:
        """Let the cookie of a session admit nobody any more, also whoever has copied it."""
        with self._lock:
            self._ended[session.id] = None
            while len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)


def _key(secret: str, purpose: str) -> str:
    return sha256(f"trackledger console {purpose}\0{secret}".encode("utf-8", "surrogateescape")).hexdigest()


def found(request: Request) -> Session | None:
    """The session of a request, if there is one."""
    sessions: Sessions = request.app.state.sessions
    return sessions.read(request.cookies.get(COOKIE, ""))


def signed_in(request: Request, services: Given) -> Principal:
    """Who is signed in. Raises `SignInRequired`, and `Problem` (429)."""
    session = found(request)
    if session is None:
        raise SignInRequired
    request.state.session = session
    services.principals.count(session.principal)
    return session.principal


def operating(principal: Annotated[Principal, Depends(signed_in)]) -> Principal:
    """Who acts. Raises `Problem` (403) for a token that only reads."""
    if not principal.may_operate:
        raise Problem(403, f"the token {principal.name!r} only reads; sign in with one that has the right to operate")
    return principal


def csrf_token(request: Request) -> str:
    """What a form carries as `csrf`, so that only pages of this session can send it."""
    session: Session = request.state.session
    return session.signed("form", "csrf")


async def csrf(request: Request, principal: Annotated[Principal, Depends(signed_in)]) -> None:
    """Raises `Problem` (403) for a form that no page of this session has sent."""
    same_site(request)
    session: Session = request.state.session
    given = (await request.form()).get("csrf")
    if not isinstance(given, str) or not compare_digest(str(session.value(given, "csrf")), "form"):
        raise Problem(403, "the form does not belong to this session; open the page again and send it from there")


def same_site(request: Request) -> None:
    """Raises `Problem` (403) for what a browser says that another site has sent."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "the form was sent by another site; open the page here and send it from there")


def root(request: Request) -> str:
    """The path below which the console lies, as it stands in addresses, without a slash at its end."""
    path: str = request.scope.get("root_path", "")
    # Browsers write it so too, and send a cookie only where the address begins with its path.
    return quote(path.rstrip("/"), safe="/:@!$&'()*+,=~")


def keep(request: Request, response: Response, name: str, value: str, lasts: timedelta) -> None:
    """Set a cookie that no script reads, no other site sends, and no other path gets."""
    response.set_cookie(
        name,
        value,
        max_age=int(lasts.total_seconds()),
        path=root(request) or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def drop(request: Request, response: Response, name: str) -> None:
    """Take such a cookie back."""
    keep(request, response, name, "", timedelta())


def inside(request: Request, path: str) -> str:
    """A path of the console to go on with, which is the board where the one asked for is none."""
    base = root(request)
    steps = unquote(path.partition("?")[0])
    harmless = path.isprintable() and path.isascii() and "\\" not in steps and "//" not in steps
    if harmless and ".." not in steps.split("/") and steps.startswith(f"{unquote(base)}/"):
        return path
    return f"{base}/"


SignedIn = Annotated[Principal, Depends(signed_in)]
Operating = Annotated[Principal, Depends(operating)]
