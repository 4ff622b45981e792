"""What do the tables hold, so that two ledgers can be compared?"""

from collections.abc import Iterable, Mapping
from typing import Any

from trackledger.adapters.runtime import Runtime
from trackledger.projections.conclusions import Policies, conclude
from trackledger.projections.table import Reader, Table
from trackledger.projections.tables import TABLES

ARRIVAL: Mapping[str, frozenset[str]] = {
    "shipments": frozenset({"position", "opened_at", "last_heard_at"}),
    "timeline": frozenset({"channel", "message_id", "received_at", "recorded_at"}),
    "estimates": frozenset({"message_id"}),
}
"""Columns that tell when and how a statement reached us; all others have to be the same in whichever order it did."""

Rows = dict[str, list[dict[str, Any]]]


def rows(store: Reader, account: str | None = None, without: Mapping[str, Iterable[str]] | None = None) -> Rows:
    """Every row of every table, in key order; of one account if given, whose name is then taken out of the ids."""
    return {
        table.name: [
            {n: v for n, v in _anonymous(row, account).items() if n not in (without or {}).get(table.name, ())}
            for row in store.read(f"SELECT * FROM {{s}}{table.name} ORDER BY {', '.join(table.key)}")
            if account is None or row["shipment_id"].startswith(f"{account}:")
        ]
        for table in TABLES
    }


def _anonymous(row: dict[str, Any], account: str | None) -> dict[str, Any]:
    if account is None:
        return row
    own = {"shipment_id": row["shipment_id"].removeprefix(account)}
    return row | own | ({"account": ""} if "account" in row else {})


def fresh(runtime: Runtime) -> Rows:
    """What the tables have to hold: the rows of a fold of every shipment from its first event."""
    from trackledger.domain.statements import fold

    ids = [row[0] for row in runtime.database.tuples("SELECT DISTINCT originator_id FROM {s}stored_events")]
    head = runtime.store.head()
    streams = runtime.store.streams(ids, head)
    policies = Policies()
    held: dict[Table[Any], list[Any]] = {table: [] for table in TABLES}
    from trackledger.domain.mapper import decode

    for id_, stream in streams.items():
        concluded = conclude(fold(id_, map(decode, stream)), policies)
        for table, rows_of in TABLES.items():
            held[table] += rows_of(concluded)
    return {
        table.name: [dict(zip(table.names, table.values(row), strict=True)) for row in sorted(some, key=table.key_of)]
        for table, some in held.items()
    }
