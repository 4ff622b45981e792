"""In which rows do the new tables of a rebuild and the old ones differ, seen at one moment?"""

from collections.abc import Sequence
from typing import Any

from trackledger.adapters.ranges import Range
from trackledger.adapters.storage.database import Database, Snapshot
from trackledger.adapters.storage.store import OVERTAKEN
from trackledger.domain.errors import Contended
from trackledger.projections.parity import Parity, compared
from trackledger.projections.rebuild import NEXT
from trackledger.projections.table import Table
from trackledger.projections.tables import POSITION


def compare(database: Database, marker: str, tables: Sequence[Table[Any]], within: Range) -> list[Parity]:
    """How the rows of a range of shipments compare. Where new and old tables are at different positions, the
    shipments with events between the two are left out.

    Raises `Contended` where there are no new tables of this marker any more.
    """
    with database.snapshot() as snapshot:
        positions = dict(
            snapshot.tuples(
                "SELECT name, position FROM {s}positions WHERE name IN (:live, :marker)",
                live=POSITION,
                marker=marker,
            )
        )
        if marker not in positions:
            raise Contended(OVERTAKEN)
        low, high = sorted((positions.get(POSITION, 0), positions[marker]))
        found = snapshot.tuples(
            """SELECT DISTINCT originator_id FROM {s}stored_events
               WHERE notification_id > :low AND notification_id <= :high""",
            low=low,
            high=high,
        )
        later = {row[0] for row in found}
        return [_compare(snapshot, table, within, later) for table in tables]


def _compare(snapshot: Snapshot, table: Table[Any], within: Range, later: set[str]) -> Parity:
    """Rows are fetched only where any differ: that all are the same is found within the database."""
    limit = "" if within.last is None else "AND {}shipment_id <= :last"
    old, new = (f"{{s}}{name} {alias}" for name, alias in ((table.name, "o"), (table.name + NEXT, "n")))
    of_old, of_new = (f"{a}.shipment_id > :after {limit.format(f'{a}.')}" for a in ("o", "n"))
    keys = " AND ".join(f"n.{name} = o.{name}" for name in table.key)
    same = " AND ".join(f"n.{name} IS NOT DISTINCT FROM o.{name}" for name in table.names if name not in table.key)
    bounds = {"after": within.after} | ({} if within.last is None else {"last": within.last})
    ((olds, news, sames),) = snapshot.tuples(
        f"""SELECT (SELECT COUNT(*) FROM {old} WHERE {of_old}), (SELECT COUNT(*) FROM {new} WHERE {of_new}),
              (SELECT COUNT(*) FROM {new} JOIN {old} ON {keys} WHERE {of_new} AND {of_old} AND {same})""",
        **bounds,
    )
    if olds == news == sames:
        return Parity(table.name, news)
    names = ", ".join(table.names)
    olds, news = (
        snapshot.tuples(f"SELECT {names} FROM {rows} WHERE {where}", **bounds)
        for rows, where in ((old, of_old), (new, of_new))
    )
    return compared(table, olds, news, later)
