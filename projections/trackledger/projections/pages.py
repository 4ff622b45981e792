"""Which rows of a list come next, in an order that stays the same however much is written meanwhile?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from trackledger.projections.table import Reader


class Order(Struct, frozen=True):
    """By which columns a list is sorted: by `column`, if there is one, then by `key`, which no two rows share.

    Each is given as (SQL of the column, name in the rows). Rows whose `column` is not known stand at the end, in either
    direction; only one that is `nullable` can have such.
    """

    key: tuple[tuple[str, str], ...]
    column: tuple[str, str] | None = None
    nullable: bool = False
    descending: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the rows, of the columns that say where a row stands."""
        return tuple(name for _, name in ((self.column, *self.key) if self.column else self.key))


class Page(Struct, frozen=True):
    """Rows in order. `after` is where the last of them stands, by the columns of the order; None where the list ends
    with them."""

    rows: list[dict[str, Any]]
    after: tuple[Any, ...] | None


def page(
    store: Reader,
    select: str,
    conditions: Sequence[str],
    params: Mapping[str, Any],
    order: Order,
    *,
    limit: int,
    after: Sequence[Any] | None = None,
) -> Page:
    """Up to `limit` rows of `select`, which is SQL as far as its WHERE, from the row that stands `after`.

    Every row that is there throughout is on exactly one page; one whose place changes meanwhile may be met twice or
    never. One more row is read than is given, to know whether there are more.
    """

    def sql(part: Sequence[str], tail: str) -> str:
        return f"{select} WHERE {' AND '.join([*conditions, *part])} {tail}"

    return page_by(store, sql, params, order, limit=limit, after=after)


def page_by(
    store: Reader,
    sql: Callable[[Sequence[str], str], str],
    params: Mapping[str, Any],
    order: Order,
    *,
    limit: int,
    after: Sequence[Any] | None = None,
) -> Page:
    """See `page`; `sql` makes the question, of conditions that it is to hold besides its own, and of the ORDER BY and
    LIMIT with which it is to end."""
    rows: list[dict[str, Any]] = []
    for part, given in _parts(order, after):
        # Unknown ones are a question of their own, which an index answers like the first.
        if len(rows) <= limit:
            tail = f"ORDER BY {_sorted(order)} LIMIT {limit + 1 - len(rows)}"
            rows += store.read(sql(part, tail), **params, **given)
    if len(rows) <= limit:
        return Page(rows, None)
    rows = rows[:limit]
    return Page(rows, tuple(rows[-1][name] for name in order.names))


def _parts(order: Order, after: Sequence[Any] | None) -> list[tuple[list[str], dict[str, Any]]]:
    keys = [column for column, _ in order.key]
    if order.column is None:
        return [_from(keys, after, order)]
    column = order.column[0]
    known = [f"{column} IS NOT NULL"] if order.nullable else []
    unknown: list[tuple[list[str], dict[str, Any]]] = [([f"{column} IS NULL"], {})] if order.nullable else []
    if after is None:
        return [(known, {}), *unknown]
    if after[0] is None:
        condition, given = _from(keys, after[1:], order)
        return [([f"{column} IS NULL", *condition], given)]
    condition, given = _from([column, *keys], after, order)
    return [([*known, *condition], given), *unknown]


def _from(columns: Sequence[str], after: Sequence[Any] | None, order: Order) -> tuple[list[str], dict[str, Any]]:
    if after is None:
        return [], {}
    given = {f"after_{at}": value for at, value in enumerate(after)}
    beyond = "<" if order.descending else ">"
    return [f"({', '.join(columns)}) {beyond} ({', '.join(f':{name}' for name in given)})"], given


def _sorted(order: Order) -> str:
    columns = [column for column, _ in ((order.column, *order.key) if order.column else order.key)]
    return ", ".join(f"{column} DESC" if order.descending else column for column in columns)
