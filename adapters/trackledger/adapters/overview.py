"""How does an account stand: its shipments, its providers, and what arrives?"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from trackledger.adapters import feeds, parked
from trackledger.adapters.feeds import Feed
from trackledger.projections import summary
from trackledger.projections.summary import ENDED_WITHIN, Summary
from trackledger.projections.table import Reader
from trackledger.projections.tables import lag


class Line(Struct, frozen=True):
    """What is between a provider and the tables: the `feeds` that the account is connected to, how many of its messages
    are `parked`, and by how many events the tables are behind the ledger."""

    feeds: list[Feed]
    parked: int
    lag: int


class Overview(Struct, frozen=True):
    """One account as of a moment. `line` is None for the past, of which only the tables are known."""

    summary: Summary
    line: Line | None


def of(
    reader: Reader,
    account: str,
    now: datetime,
    providers: Iterable[str] | None,
    ended_within: timedelta = ENDED_WITHIN,
) -> Overview:
    """The overview of one account as of `now`, with these providers that it is connected to; None where the reader is
    of the past."""
    counts = summary.of(reader, account, now, ended_within)
    if providers is None:
        return Overview(counts, None)
    heard = feeds.of(reader, account, providers, counts.providers, now)
    return Overview(counts, Line(heard, parked.count(reader, account), lag(reader)))
