"""What goes wrong, and how often?"""

from collections.abc import Iterable
from datetime import timedelta
from random import Random

from msgspec import Struct
from msgspec.structs import asdict, replace

from trackledger.adapters.providers import PROVIDERS
from trackledger.adapters.simulator.wire import Reply, encoded
from trackledger.domain.errors import UsageError

HANG = 11.0
"""Seconds that a call hangs, which is longer than our clients wait."""

LATEST_DELAY = timedelta(hours=6)
LATEST_DUPLICATE = timedelta(hours=2)
LATEST_REORDERING = timedelta(hours=1)


class Faults(Struct, frozen=True):
    """Shares of calls, from 0 to 1, that are answered otherwise, and of webhooks that come otherwise.

    `refused_too_many` tells how long to wait and `too_many` does not. Of webhooks, `lost_webhooks` are never sent,
    `delays` come up to six hours late, `duplicates` twice and `reordering` after later ones. With `rewritten_history`,
    some of what was told is told in other words later, or was never so. The key of each of `wrong_key` is refused.
    """

    refused_too_many: float = 0.0
    too_many: float = 0.0
    server_errors: float = 0.0
    html: float = 0.0
    time_outs: float = 0.0
    truncated: float = 0.0
    duplicates: float = 0.0
    reordering: float = 0.0
    delays: float = 0.0
    lost_webhooks: float = 0.0
    rewritten_history: bool = False
    wrong_key: tuple[str, ...] = ()
    hang: float = HANG


CALLS = ("refused_too_many", "too_many", "server_errors", "html", "time_outs", "truncated")
"""Of these, at most one befalls a call."""

USUAL: dict[str, float] = {
    "refused_too_many": 0.05,
    "too_many": 0.05,
    "server_errors": 0.05,
    "html": 0.03,
    "time_outs": 0.005,
    "truncated": 0.03,
    "duplicates": 0.2,
    "reordering": 0.3,
    "delays": 0.1,
    "lost_webhooks": 0.05,
}
"""How often each happens where nobody says."""

NAMES = (*(name.replace("_", "-") for name in USUAL), "rewritten-history", "wrong-key")


def named(names: Iterable[str]) -> Faults:
    """Faults by name, as `html`, `html=0.2` or `wrong-key=ship24`; `all` is every one but wrong keys.

    Raises `UsageError` for what is no such name and for a share outside 0 to 1.
    """
    faults = Faults()
    for said in names:
        name, _, value = said.partition("=")
        field = name.replace("-", "_")
        if name == "all" and not value:
            faults = replace(faults, **USUAL, rewritten_history=True)
        elif name == "wrong-key" and value in PROVIDERS:
            faults = replace(faults, wrong_key=(*faults.wrong_key, value))
        elif name == "rewritten-history" and not value:
            faults = replace(faults, rewritten_history=True)
        elif field in USUAL:
            faults = replace(faults, **{field: _share(said, value) if value else USUAL[field]})
        else:
            raise UsageError(f"fault {said!r} is unknown; use all, or of {', '.join(NAMES)} as many as you like")
    return faults


def _share(said: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"fault {said!r} has a share of {value}; give one from 0 to 1, as html=0.2")
    return share


def befalls(faults: Faults, random: Random) -> str:
    """What happens to one call; empty for nothing."""
    chance = random.random()
    for name in CALLS:
        chance -= asdict(faults)[name]
        if chance < 0:
            return name
    return ""


def spoiled(fault: str, reply: Reply) -> Reply:
    """What is answered in place of a reply; a time-out is a matter of time and answered late by a proxy."""
    page = {"content-type": "text/html"}
    match fault:
        case "refused_too_many":
            return Reply(encoded({"message": "Too many requests"}), 429, {"retry-after": "1"})
        case "too_many":
            return Reply(b"Too many requests", 429, {"content-type": "text/plain"})
        case "server_errors":
            return Reply(b"", 503)
        case "html":
            return Reply(b"<!doctype html><title>Scheduled maintenance</title>", 200, page)
        case "time_outs":
            return Reply(b"<!doctype html><title>504 Gateway Time-out</title>", 504, page)
        case "truncated":
            return replace(reply, body=reply.body[: len(reply.body) // 2])
        case _:
            return reply
