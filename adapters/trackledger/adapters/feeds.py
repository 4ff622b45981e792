"""Which connected providers are heard, and which have gone silent?"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from trackledger.projections.table import Reader

SILENT = timedelta(hours=24)
"""A provider of which nothing arrives for longer has gone silent: whatever its parcels do, nobody would know."""


class Feed(Struct, frozen=True):
    """One provider that an account is connected to. `waiting` is how many open shipments it tells of.

    `last_heard_at` is when anything of it last arrived, None for never. `stopped` says why it is not asked at all, and
    `blocked_until` is until when it wants to be left alone.
    """

    provider: str
    last_heard_at: datetime | None
    is_silent: bool
    waiting: int
    stopped: str | None = None
    blocked_until: datetime | None = None


def of(reader: Reader, account: str, providers: Iterable[str], waiting: Mapping[str, int], now: datetime) -> list[Feed]:
    """The feeds of one account from these providers as of `now`, by name."""
    asked = {
        row["provider"]: row
        for row in reader.read(
            "SELECT provider, stopped, blocked_until FROM {s}poll_accounts WHERE account = :account", account=account
        )
    }
    found = []
    for name in sorted(set(providers)):
        last, row = last_heard(reader, account, name), asked.get(name, {})
        is_silent = last is None or now - last > SILENT
        blocked = row.get("blocked_until")
        found.append(Feed(name, last, is_silent, waiting.get(name, 0), row.get("stopped") or None, blocked))
    return found


def last_heard(reader: Reader, account: str, provider: str) -> datetime | None:
    """When anything of a provider last arrived for an account."""
    found = reader.read(
        """SELECT last_received_at FROM {s}messages WHERE account = :account AND provider = :provider
           ORDER BY last_received_at DESC LIMIT 1""",
        account=account,
        provider=provider,
    )
    return found[0]["last_received_at"] if found else None
