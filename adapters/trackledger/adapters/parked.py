"""Which messages of an account could nobody read?"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from trackledger.adapters.storage.schema import MESSAGES
from trackledger.projections.pages import Order, Page, page
from trackledger.projections.table import Column, Kind, Reader

_OWN = ("message_id", "provider", "account", "channel", "reason", "received_at", "last_received_at", "times")

COLUMNS = (*MESSAGES.named(*_OWN), Column("bytes", Kind.INTEGER, nullable=False))
"""The columns of a list of them; `bytes` is the size of the body, and `times` how often the same one arrived."""

BY_ARRIVAL = Order((("m.message_id", "message_id"),), ("m.received_at", "received_at"))
"""The oldest first."""

_SELECT = f"SELECT {', '.join(f'm.{name}' for name in _OWN)}, length(m.body) AS bytes FROM {{s}}messages m"
_PARKED = "m.account = :account AND m.state = 'parked'"


class Sought(Struct, frozen=True, kw_only=True):
    """Which parked messages are sought: those to which all that is given applies."""

    account: str
    provider: str | None = None
    channel: str | None = None


def listed(store: Reader, sought: Sought, limit: int, after: Sequence[Any] | None = None) -> Page:
    """Parked messages in the order of their arrival, from the one that stands `after`; see `pages.page`."""
    given = {name: value for name in ("provider", "channel") if (value := getattr(sought, name)) is not None}
    conditions = [_PARKED, *(f"m.{name} = :{name}" for name in given)]
    return page(store, _SELECT, conditions, given | {"account": sought.account}, BY_ARRIVAL, limit=limit, after=after)


def count(store: Reader, account: str) -> int:
    """How many messages of an account are parked."""
    found = store.read(f"SELECT COUNT(*) AS n FROM {{s}}messages m WHERE {_PARKED}", account=account)
    return int(found[0]["n"])


def body(store: Reader, account: str, message_id: str) -> bytes | None:
    """The bytes of one parked message of an account, as they arrived; None where there is none."""
    found = store.read(
        f"SELECT m.body FROM {{s}}messages m WHERE m.message_id = :id AND {_PARKED}", id=message_id, account=account
    )
    return bytes(found[0]["body"]) if found else None
