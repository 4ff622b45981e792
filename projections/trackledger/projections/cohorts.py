"""Which journeys does a figure count, and how are they grouped?

A cohort is what ended in a period: shipments belong to the local day on which they were delivered, or on which what
ended them happened. What is still under way is in no cohort yet, so that the newest days change as their slow ones end;
nothing is estimated for it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal, get_args

from msgspec import Struct

from trackledger.projections.ids import bounds, of_account
from trackledger.projections.table import Column, Kind, Reader

Dimension = Literal["carrier", "provider", "lane", "source", "day", "week", "month"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

PERIODS: Mapping[Dimension, Callable[[date], str]] = {
    "day": date.isoformat,
    "week": lambda day: "{}-W{:02}".format(*day.isocalendar()),
    "month": lambda day: f"{day:%Y-%m}",
}
"""Period to how the one of a day is called: `2026-03-06`, `2026-W10` by ISO 8601, or `2026-03`."""

_NAMES: Mapping[Dimension, tuple[str, ...]] = {"lane": ("origin", "destination")}

Group = tuple[str | None, ...]
"""The values by which a group differs from the others, those of its dimensions in their order."""


class Condition(Struct, frozen=True):
    """Which rows of `journeys`: SQL and its parameters."""

    sql: str
    params: dict[str, Any]

    def also(self, conditions: Sequence[str], params: Mapping[str, Any]) -> "Condition":
        """Those of them that fulfil more conditions."""
        return Condition(" AND ".join((self.sql, *conditions)), {**self.params, **params})


class Cohort(Struct, frozen=True, kw_only=True):
    """Whose journeys, ended from the local day `first` to the day `last`, both inclusive, and of whom."""

    account: str
    first: date | None = None
    last: date | None = None
    carrier: str | None = None
    provider: str | None = None

    def where(self, *conditions: str) -> Condition:
        """Those that have ended, and fulfil some more conditions."""
        period = {"first": ("ended_on >= :first", self.first), "last": ("ended_on <= :last", self.last)}
        given = {name: value for name, (_, value) in period.items() if value is not None}
        ended = [sql for sql, value in period.values() if value is not None] or ["ended_on IS NOT NULL"]
        return self._of_whom(bool(given)).also([*ended, *conditions], given)

    def under_way(self) -> Condition:
        """Those that were attempted and have not ended; they belong to no period."""
        return self._of_whom(True).also(["ended_on IS NULL"], {})

    def _of_whom(self, by_day: bool) -> "Condition":
        # An account's journeys lie side by side by their ids, so that all of them are found faster without an index.
        one = Condition("account = :account", {"account": self.account})
        if not by_day:
            one = Condition(of_account("shipment_id"), bounds(self.account))
        whom = {name: value for name in ("carrier", "provider") if (value := getattr(self, name)) is not None}
        return one.also([f"{name} = :{name}" for name in whom], whom)


def counted(reader: Reader, where: Condition, by: Sequence[Dimension], value: str) -> Iterator[tuple[Group, Any, int]]:
    """How many journeys there are of each group with each value of a column. A group may be met several times with the
    same value, once for each of its days."""
    named = ", ".join((*_selected(by), value))
    sql = f"SELECT {named}, COUNT(*) AS n FROM {{s}}journeys WHERE {where.sql} GROUP BY {named}"
    group_of = _grouping(by)
    for row in reader.read(sql, **where.params):
        yield group_of(row), row[value], row["n"]


def listed(reader: Reader, where: Condition, by: Sequence[Dimension], value: str) -> dict[Group, list[Any]]:
    """The values of a column, of which hardly two are the same, by group."""
    named = ", ".join((*_selected(by), value))
    group_of = _grouping(by)
    found: dict[Group, list[Any]] = defaultdict(list)
    for row in reader.read(f"SELECT {named} FROM {{s}}journeys WHERE {where.sql}", **where.params):
        found[group_of(row)].append(row[value])
    return found


def under_way(reader: Reader, cohort: Cohort) -> int:
    """How many of a cohort's account, carrier and provider were attempted and have not ended."""
    where = cohort.under_way()
    found = reader.read(f"SELECT COUNT(*) AS n FROM {{s}}journeys WHERE {where.sql}", **where.params)
    return int(found[0]["n"])


def columns(by: Sequence[Dimension]) -> tuple[Column, ...]:
    """The columns that say which group a row is about."""
    return tuple(Column(name, Kind.TEXT, one not in PERIODS) for one in by for name in _NAMES.get(one, (one,)))


def _selected(by: Sequence[Dimension]) -> list[str]:
    return list(dict.fromkeys("ended_on" if one in PERIODS else name for one in by for name in _NAMES.get(one, (one,))))


def _grouping(by: Sequence[Dimension]) -> Callable[[Mapping[str, Any]], Group]:
    """What tells of a row which group it is in; it is asked for every one of very many."""
    names = [name for one in by for name in _NAMES.get(one, (one,))]
    if any(one in PERIODS for one in by):
        periods = {one: lru_cache(maxsize=4096)(PERIODS[one]) for one in by if one in PERIODS}
        return lambda row: tuple(periods[name](row["ended_on"]) if name in periods else row[name] for name in names)
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple(row[name] for name in names)


def largest(sizes: Mapping[Group, int], by: Sequence[Dimension], limit: int) -> tuple[list[Group], int]:
    """The groups to show, and how many are left out: the largest first, or, by periods, the latest in the order of
    time. What is unknown stands after what is known."""
    period = next((n for n, one in enumerate(columns(by)) if one.name in PERIODS), None)
    if period is None:
        shown = sorted(sizes, key=lambda group: (-sizes[group], _sortable(group)))[:limit]
    else:
        shown = sorted(sizes, key=lambda group: (group[period], _sortable(group)))[-limit:]
    return shown, len(sizes) - len(shown)


def _sortable(group: Group) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, "" if value is None else str(value)) for value in group)


def share(part: int, whole: int) -> float | None:
    """A share with four digits; None of nothing."""
    return round(part / whole, 4) if whole else None
