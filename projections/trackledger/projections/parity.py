"""In which rows and columns do a rebuilt table and the old one differ?"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal

from msgspec import Struct

from trackledger.projections.table import Table

EXAMPLES = 5
"""Shipments of which a row is shown for each table, besides one more for each column that none of those shows."""

SHOWN = 200
"""Characters of a text that are shown of it."""

Kind = Literal["only_new", "only_old", "changed"]

Values = tuple[Any, ...]
"""The values of a row in column order."""


class Example(Struct, frozen=True):
    """One row that differs. `key` tells it from other rows of its shipment, empty where a shipment has one row only;
    `columns` are those that differ, each with its old and its new value."""

    shipment_id: str
    key: str
    kind: Kind
    columns: dict[str, tuple[Any, Any]] = {}


class Parity(Struct, frozen=True):
    """How a new table compares with the old.

    `rows` of the new one were compared; `left_out` shipments were not, as events about them were just being taken in.
    Rows with one key are the same row: `changed` ones differ in `columns`, which count the rows in which they do.
    """

    table: str
    rows: int = 0
    left_out: int = 0
    only_new: int = 0
    only_old: int = 0
    changed: int = 0
    columns: dict[str, int] = {}
    examples: tuple[Example, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every row that was compared is the same."""
        return not (self.only_new or self.only_old or self.changed)

    def plus(self, other: "Parity") -> "Parity":
        """Both together."""
        both = dict(self.columns)
        for name, count in other.columns.items():
            both[name] = both.get(name, 0) + count
        return Parity(
            self.table,
            self.rows + other.rows,
            self.left_out + other.left_out,
            self.only_new + other.only_new,
            self.only_old + other.only_old,
            self.changed + other.changed,
            both,
            _chosen((*self.examples, *other.examples)),
        )


def compared(table: Table[Any], old: Sequence[Values], new: Sequence[Values], later: AbstractSet[str]) -> Parity:
    """Some rows of the old table and the new rows of the same shipments, those of the shipments `later` left out."""
    ids = table.names.index("shipment_id")
    places = [table.names.index(name) for name in table.key]
    left_out = {row[ids] for row in (*old, *new)} & later
    before, after = (
        {tuple(row[n] for n in places): row for row in rows if row[ids] not in left_out} for rows in (old, new)
    )
    counts: dict[str, int] = {}
    examples: list[Example] = []
    changed = 0

    def example(row: Values, kind: Kind, columns: dict[str, tuple[Any, Any]]) -> None:
        key = ", ".join(str(row[n]) for n in places if n != ids)
        examples.append(Example(row[ids], key, kind, columns))

    for key in sorted(before.keys() | after.keys()):
        was, is_ = before.get(key), after.get(key)
        if was is None or is_ is None:
            example(was or is_ or (), "only_new" if was is None else "only_old", {})
        elif was != is_:
            changed += 1
            differing = {
                name: (_shown(a), _shown(b)) for name, a, b in zip(table.names, was, is_, strict=True) if a != b
            }
            for name in differing:
                counts[name] = counts.get(name, 0) + 1
            example(is_, "changed", differing)
    return Parity(
        table.name,
        len(after),
        len(left_out),
        len(after.keys() - before.keys()),
        len(before.keys() - after.keys()),
        changed,
        counts,
        _chosen(examples),
    )


def _chosen(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The first one of each of the first shipments, and others that show a column which none before them does."""
    chosen: list[Example] = []
    ids: set[str] = set()
    columns: set[str] = set()
    for one in examples:
        if (len(ids) < EXAMPLES and one.shipment_id not in ids) or not one.columns.keys() <= columns:
            chosen.append(one)
            ids.add(one.shipment_id)
            columns |= one.columns.keys()
    return tuple(chosen)


def _shown(value: Any) -> Any:
    return f"{value[:SHOWN]}…" if isinstance(value, str) and len(value) > SHOWN else value
