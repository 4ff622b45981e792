"""Which trackers of an account are asked about when, and why then?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from trackledger.adapters.storage.schema import POLL_ACCOUNTS, SCHEDULE
from trackledger.projections.pages import Order, Page, page
from trackledger.projections.table import Column, Kind, Reader

_OWN = (
    "tracker",
    "account",
    "provider",
    "reference",
    "carrier",
    "tracking_number",
    "shipment_id",
    "state",
    "reason",
    "due_at",
    "scheduled_at",
    "asked_at",
    "asked",
    "outcome",
    "failures",
    "unknown",
    "unchanged",
)
_SELECT = f"""SELECT {", ".join(f"p.{name}" for name in _OWN)}, a.stopped AS account_stopped, a.blocked_until
  FROM {{s}}poll_schedule p
  LEFT JOIN {{s}}poll_accounts a ON a.account = p.account AND a.provider = p.provider"""

COLUMNS = (
    *SCHEDULE.named(*_OWN),
    Column("account_stopped", Kind.TEXT, nullable=True),
    *POLL_ACCOUNTS.named("blocked_until"),
    Column("due", Kind.BOOLEAN, nullable=False),
)
"""The columns of a list of them. `account_stopped` says why none of its account at the provider are asked about, and
`blocked_until` until when the provider wants to be left alone; neither is known before the account was asked at all.
"""

_BY_TIME = (("p.due_at", "due_at"), ("p.tracker", "tracker"))


class Sought(Struct, frozen=True, kw_only=True):
    """Which trackers are sought: those to which all that is given applies. `failing` are those whose last call had no
    answer."""

    account: str
    provider: str | None = None
    state: str | None = None
    due: bool | None = None
    failing: bool | None = None


def in_turn(sought: Sought) -> Order:
    """Those that are asked about first, the longest due before the others; then those whose journey is over, and those
    that were stopped."""
    # In the same order without what is the same of all; SQLite would sort them anew.
    return Order(_BY_TIME if sought.state is not None else (("p.state", "state"), *_BY_TIME))


def listed(store: Reader, sought: Sought, now: datetime, limit: int, after: Sequence[Any] | None = None) -> Page:
    """Trackers in turn, from the one that stands `after`; `due` is as of `now`. See `pages.page`."""
    conditions = ["p.account = :account"]
    given: dict[str, Any] = {"account": sought.account}
    for name in ("provider", "state"):
        if (value := getattr(sought, name)) is not None:
            conditions.append(f"p.{name} = :{name}")
            given[name] = value
    if sought.due is not None:
        conditions.append(f"{'' if sought.due else 'NOT '}(p.state = 'asking' AND p.due_at <= :now)")
        given["now"] = now
    if sought.failing is not None:
        conditions.append("p.failures > 0" if sought.failing else "p.failures = 0")
    found = page(store, _SELECT, conditions, given, in_turn(sought), limit=limit, after=after)
    rows = [row | {"due": row["state"] == "asking" and row["due_at"] <= now} for row in found.rows]
    return Page([row | {"account_stopped": row["account_stopped"] or None} for row in rows], found.after)
