"""How many shipments of an account are where, and what of them needs somebody now?"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from trackledger.domain.milestones import FINAL, Milestone
from trackledger.projections import delivery_dates, ids, ndr, silence, timeline
from trackledger.projections.ndr import TimeLeft
from trackledger.projections.table import Reader

ENDED_WITHIN = timedelta(days=7)
"""So long ago at most the shipments became final that are counted, unless asked otherwise."""


class Summary(Struct, frozen=True):
    """Counts as of a moment; what has no entry is none.

    `open` and `ended` are shipments by milestone, in the order of their journey, the latter those that became final
    since `ended_since`. `legs` and `providers` are the open ones by the way they travel, and by who tells of them
    (empty for nobody). `stuck` is by kind, `unmapped` counts status codes that no mapping knows, and `poisoned`
    shipments that cannot be folded.
    """

    open: dict[str, int]
    ended: dict[str, int]
    ended_since: datetime
    legs: dict[str, int]
    providers: dict[str, int]
    failed_deliveries: TimeLeft
    stuck: dict[str, int]
    late: int
    will_be_late: int
    unmapped: int
    poisoned: int


def _among(milestones: Iterable[Milestone]) -> str:
    return f"milestone IN ({', '.join(repr(milestone.value) for milestone in milestones)})"


_OPEN = """SELECT milestone, leg, provider, COUNT(*) AS n FROM {s}shipments WHERE account = :account AND NOT is_final
  GROUP BY leg, provider, milestone"""
_ENDED = f"""SELECT milestone, COUNT(*) AS n FROM {{s}}shipments
  WHERE account = :account AND {_among(m for m in Milestone if m in FINAL)} AND since >= :since
  GROUP BY milestone"""


def of(store: Reader, account: str, now: datetime, ended_within: timedelta = ENDED_WITHIN) -> Summary:
    """The summary of one account as of `now`, all of it counted in indexes."""
    is_open = store.read(_OPEN, account=account)
    since = max(now, _LEAST + ended_within) - ended_within
    ended = store.read(_ENDED, account=account, since=since)
    late, will_be_late = delivery_dates.counts(store, account, now)
    return Summary(
        open=_in_order(_by("milestone", is_open)),
        ended=_in_order(_by("milestone", ended)),
        ended_since=since,
        legs=_by("leg", is_open),
        providers=_by("provider", is_open),
        failed_deliveries=ndr.time_left(store, account, now),
        stuck=silence.counts(store, account, now),
        late=late,
        will_be_late=will_be_late,
        unmapped=timeline.unmapped_count(store, account),
        poisoned=_poisoned(store, account),
    )


_LEAST = datetime.fromisoformat("0001-01-01T00:00:00Z")


def _by(name: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[name] or ""] = counts.get(row[name] or "", 0) + row["n"]
    return dict(sorted(counts.items()))


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return {milestone.value: counts[milestone.value] for milestone in Milestone if milestone.value in counts}


def _poisoned(store: Reader, account: str) -> int:
    found = store.read(
        f"SELECT COUNT(*) AS n FROM {{s}}poisoned WHERE {ids.of_account('shipment_id')}", **ids.bounds(account)
    )
    return int(found[0]["n"])
