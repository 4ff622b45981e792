"""What do the tables hold, so that two ledgers can be compared?"""

from collections.abc import Iterable, Mapping
from typing import Any

from trackledger.adapters.runtime import Runtime
from trackledger.domain.mapper import decode
from trackledger.domain.statements import fold
from trackledger.projections.conclusions import Policies, conclude
from trackledger.projections.table import Reader, Table
from trackledger.projections.tables import TABLES

ARRIVAL: Mapping[str, frozenset[str]] = {
    "shipments": frozenset({"position", "opened_at", "last_heard_at"}),
    "timeline": frozenset({"channel", "message_id", "received_at", "recorded_at", "occurred_said"}),
    "estimates": frozenset({"message_id"}),
}
"""Columns that tell when and how a statement reached us; all others have to be the same in whichever order it did. The
spelling of a time is among them: another spelling of the same instant is no news, so that the first one is kept."""

Rows = dict[str, list[dict[str, Any]]]


def rows(store: Reader, account: str = "", without: Mapping[str, Iterable[str]] | None = None) -> Rows:
    """Every row of every table, in key order; of one account if given, whose name is then taken out of the ids."""
    without = without or {}
    return {
        table.name: [
            {name: value for name, value in row.items() if name not in without.get(table.name, ())}
            for row in _of_account(store, table, account)
        ]
        for table in TABLES
    }


def _of_account(store: Reader, table: Table[Any], account: str) -> list[dict[str, Any]]:
    order = ", ".join(table.key)
    if not account:
        return store.read(f"SELECT * FROM {{s}}{table.name} ORDER BY {order}")
    found = store.read(
        f"SELECT * FROM {{s}}{table.name} WHERE shipment_id >= :first AND shipment_id < :last ORDER BY {order}",
        first=f"{account}:",
        last=f"{account};",
    )
    anonymous = {"account": ""} if "account" in table.names else {}
    ids = [name for name in ("shipment_id", "piece_of") if name in table.names]
    return [row | anonymous | {name: row[name] and row[name].removeprefix(account) for name in ids} for row in found]


def fresh(runtime: Runtime) -> Rows:
    """What the tables have to hold: the rows of a fold of every shipment from its first event on."""
    ids = [row[0] for row in runtime.database.tuples("SELECT DISTINCT originator_id FROM {s}stored_events")]
    policies = Policies()
    held: dict[Table[Any], list[Any]] = {table: [] for table in TABLES}
    for id_, stream in runtime.store.streams(ids, runtime.store.head()).items():
        concluded = conclude(fold(id_, map(decode, stream)), policies)
        for table, rows_of in TABLES.items():
            held[table] += rows_of(concluded)
    return {
        table.name: [dict(zip(table.names, table.values(row), strict=True)) for row in sorted(some, key=table.key_of)]
        for table, some in held.items()
    }
