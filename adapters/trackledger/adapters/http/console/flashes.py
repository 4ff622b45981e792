"""What became of the form that was just sent, told on the page that follows?"""

from datetime import timedelta

from fastapi import Request
from msgspec import Struct
from starlette.responses import RedirectResponse, Response

from trackledger.adapters.http.console.sessions import Session, drop, inside, keep

COOKIE = "trackledger_console_told"
LASTS = timedelta(minutes=1)
LONGEST = 500


class Flash(Struct, frozen=True):
    """One sentence, good or bad."""

    says: str
    is_good: bool


def told(request: Request, to: str, says: str, *, is_good: bool = True) -> Response:
    """Go on to a page of the console, where the sentence is shown once."""
    session: Session = request.state.session
    response = RedirectResponse(inside(request, to), 303)
    keep(request, response, COOKIE, session.signed([says[:LONGEST], is_good], "flash"), LASTS)
    return response


def waiting(request: Request) -> Flash | None:
    """What there is to tell on this page."""
    session: Session | None = getattr(request.state, "session", None)
    if session is None or (text := request.cookies.get(COOKIE)) is None:
        return None
    match session.value(text, "flash", LASTS):
        case [str(says), bool(is_good)]:
            return Flash(says, is_good)
        case _:
            return None


def shown(request: Request, response: Response) -> None:
    """It is told."""
    drop(request, response, COOKIE)
