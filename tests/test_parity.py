"""Is every difference between two tables counted, whatever they hold and however they are divided?"""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from trackledger.projections.parity import EXAMPLES, SHOWN, Parity, Values, compared
from trackledger.projections.table import Table


class Row(Struct, frozen=True):
    """A row with a column for each thing that may be told about it."""

    shipment_id: str
    number: int
    kind: str | None
    row: int | None


TABLE = Table("specimen", Row, ("shipment_id", "number"))
IDS = [f"S{n}" for n in range(6)]

rows = st.dictionaries(
    st.tuples(st.sampled_from(IDS), st.integers(0, 2)),
    st.tuples(st.sampled_from([None, "a", "b"]), st.sampled_from([None, 1, 2])),
).map(lambda found: [(*key, *values) for key, values in found.items()])


@given(old=rows, new=rows, later=st.sets(st.sampled_from(IDS), max_size=2))
def test_rows_and_columns_are_counted_as_one_would_by_hand(
    old: list[Values], new: list[Values], later: set[str]
) -> None:
    found = compared(TABLE, old, new, later)

    was, is_ = ({row[:2]: row[2:] for row in some if row[0] not in later} for some in (old, new))
    both = was.keys() & is_.keys()
    assert found.rows == len(is_)
    assert found.left_out == len({row[0] for row in (*old, *new)} & later)
    assert (found.only_new, found.only_old) == (len(is_.keys() - was.keys()), len(was.keys() - is_.keys()))
    assert found.changed == sum(was[key] != is_[key] for key in both)
    assert found.columns == {
        name: count
        for n, name in enumerate(("kind", "row"))
        if (count := sum(was[key][n] != is_[key][n] for key in both))
    }
    assert found.holds == (was == is_)
    for one in found.examples:
        key = (one.shipment_id, int(one.key))
        assert one.kind == ("changed" if key in both else "only_new" if key in is_ else "only_old")
        for name, (before, after) in one.columns.items():
            n = ("kind", "row").index(name)
            assert before != after and (before, after) == (was[key][n], is_[key][n])
    assert {name for one in found.examples for name in one.columns} == set(found.columns)
    differing = {id_ for id_, number in was.keys() | is_.keys() if was.get((id_, number)) != is_.get((id_, number))}
    assert min(EXAMPLES, len(differing)) <= len({one.shipment_id for one in found.examples})
    assert len(found.examples) <= EXAMPLES + 2


@given(old=rows, new=rows, cut=st.sampled_from(IDS))
def test_two_halves_together_are_the_whole(old: list[Values], new: list[Values], cut: str) -> None:
    def half(some: list[Values], first: bool) -> list[Values]:
        return [row for row in some if (row[0] <= cut) == first]

    first, second = (compared(TABLE, half(old, one), half(new, one), set()) for one in (True, False))

    assert Parity("specimen").plus(first).plus(second) == compared(TABLE, old, new, set())


def test_a_long_text_is_shown_in_part() -> None:
    found = compared(TABLE, [("S1", 1, "x" * 5000, None)], [("S1", 1, "short", None)], set())
    assert found.examples[0].columns == {"kind": ("x" * SHOWN + "…", "short")}


def test_many_differences_give_a_few_examples_that_show_every_column() -> None:
    old: list[Values] = [(f"S{n:04}", 1, "a", 1) for n in range(1000)]
    new: list[Values] = [(f"S{n:04}", 1, "b", 2 if n == 999 else 1) for n in range(1000)]
    found = compared(TABLE, old, new, set())
    assert found.columns == {"kind": 1000, "row": 1}
    assert [one.shipment_id for one in found.examples] == [*(f"S{n:04}" for n in range(EXAMPLES)), "S0999"]
