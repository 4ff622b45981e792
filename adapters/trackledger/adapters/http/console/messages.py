"""What does one raw message say, for those who may read it?"""

import msgspec
from fastapi import APIRouter, Request, Response

from trackledger.adapters.http.api.services import Given
from trackledger.adapters.http.console.rendering import render
from trackledger.adapters.http.console.sessions import SignedIn
from trackledger.adapters.http.problems import Problem

MOST = 256 * 1024
"""Bytes of a message that a page shows."""

ROUTER = APIRouter()


@ROUTER.get("/messages/{message_id}")
def message(request: Request, given: Given, principal: SignedIn, message_id: str) -> Response:
    """One message as text, whatever it holds. What is missing and what is another account's look the same."""
    if not principal.may_see_raw:
        raise Problem(403, f"the token {principal.name!r} may not read raw messages; sign in with one that may")
    kept = given.runtime.kept
    # No database takes the character zero.
    found = kept.rows([message_id]) if "\x00" not in message_id else []
    rows = [row for row in found if row["account"] == principal.account]
    if not rows:
        raise Problem(404, "there is no such message")
    body = kept.body(message_id)
    text, is_json = readable(body[:MOST])
    return render(
        request, principal, "message.html", row=rows[0], body=text, is_json=is_json, left_out=max(len(body) - MOST, 0)
    )


def readable(body: bytes) -> tuple[str, bool]:
    """The text of a message, laid out if it is JSON, and whether it is; everything in it stays as it is written."""
    try:
        return msgspec.json.format(body, indent=2).decode("utf-8", "backslashreplace"), True
    except (msgspec.DecodeError, RecursionError):
        return body.decode("utf-8", "backslashreplace"), False
