"""What can be exported, with which columns, and how is it asked for?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from trackledger.adapters.storage.schema import LINKS
from trackledger.domain.checkpoints import tracker_key
from trackledger.domain.errors import InvalidStatement, UsageError
from trackledger.projections import consignments, delivery_dates, ndr, shipments, silence, timeline
from trackledger.projections.table import Column, Kind, Table
from trackledger.projections.tables import TABLES

EVENTS = "events"
ALL = "all"


class Relation(Struct, frozen=True):
    """A table or view: its columns in their order, and by which its rows are ordered. `source` stands behind FROM."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    source: str

    @property
    def is_view(self) -> bool:
        """Whether its rows are computed."""
        return self.source.startswith("(")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def query(self, now: datetime, account: str | None, provider: str | None) -> tuple[str, dict[str, Any]]:
        """The SQL for its rows, and the parameters. Raises `UsageError` for a filter that it cannot be asked by."""
        conditions: list[str] = []
        params: dict[str, Any] = {}
        if ":now" in self.source:
            params["now"] = now
        if account is not None:
            _require_account(account)
            if "shipment_id" not in self.names:
                raise UsageError(f"{self.name} is about all accounts together; leave out --account")
            # Ids begin with the account, so that this is a range of the primary key; the semicolon follows the colon.
            conditions.append("r.shipment_id >= :first AND r.shipment_id < :last")
            params |= {"first": f"{account}:", "last": f"{account};"}
        if provider is not None:
            if "provider" not in self.names:
                able = ", ".join(one.name for one in RELATIONS.values() if "provider" in one.names)
                raise UsageError(f"{self.name} does not say who told of it; --provider is for {able}")
            conditions.append("r.provider = :provider")
            params["provider"] = provider
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = ", ".join(f"r.{name}" for name in self.key)
        columns = ", ".join(f"r.{name}" for name in self.names)
        return f"SELECT {columns} FROM {self.source} AS r{where} ORDER BY {order}", params


def _require_account(account: str) -> None:
    try:
        tracker_key(account, "any", "any")
    except InvalidStatement as error:
        raise UsageError(str(error)) from None


def _of_table(table: Table[Any]) -> Relation:
    return Relation(table.name, table.columns, table.key, f"{{s}}{table.name}")


def _of_shipments(*names: str) -> tuple[Column, ...]:
    column_of = {column.name: column for column in shipments.TABLE.columns}
    return tuple(column_of[name] for name in names)


_WHICH = ("reference", "order_id", "carrier", "tracking_number")

# A view says nothing of its types, and SQLite knows none of what is computed.
_VIEWS: tuple[tuple[Any, tuple[Column, ...], tuple[str, ...]], ...] = (
    (
        ndr.OPEN,
        (
            *ndr.TABLE.columns,
            *_of_shipments(*_WHICH, "provider", "milestone", "location"),
            Column("overdue", Kind.BOOLEAN, False),
        ),
        ndr.TABLE.key,
    ),
    (
        silence.STUCK,
        (*silence.TABLE.columns, *_of_shipments(*_WHICH, "provider", "milestone", "location", "last_heard_at")),
        silence.TABLE.key,
    ),
    (
        delivery_dates.LATE,
        (*delivery_dates.TABLE.columns, *_of_shipments(*_WHICH, "provider", "milestone", "location", "since")),
        delivery_dates.TABLE.key,
    ),
    (
        consignments.CONSIGNMENTS,
        (
            Column("shipment_id", Kind.TEXT, False),
            *(Column(name, Kind.INTEGER, False) for name in ("pieces", "delivered", "open", "failed")),
            Column("state", Kind.TEXT, False),
        ),
        ("shipment_id",),
    ),
    (
        timeline.UNMAPPED,
        (
            *(Column(name, Kind.TEXT, False) for name in ("provider", "status_code", "text")),
            *(Column(name, Kind.INSTANT, False) for name in ("first_seen", "last_seen")),
            Column("count", Kind.INTEGER, False),
            Column("example_message_id", Kind.TEXT, False),
        ),
        ("provider", "status_code", "text"),
    ),
)

# The clock of a view is the time that was asked for, so that the past can be asked too.
RELATIONS: Mapping[str, Relation] = {
    one.name: one
    for one in (
        *map(_of_table, (*TABLES, LINKS)),
        *(
            Relation(view.name, columns, key, f"({view.sql.format(s='{s}', now=':now')})")
            for view, columns, key in _VIEWS
        ),
    )
}
"""Every table and view that people ask, by name."""

OF_EVENTS = (
    Column("position", Kind.INTEGER, False),
    Column("shipment_id", Kind.TEXT, False),
    Column("version", Kind.INTEGER, False),
    Column("topic", Kind.TEXT, False),
    Column("state", Kind.TEXT, False),
)
"""The columns of the events where they are exported as a table."""


def relation(name: str) -> Relation:
    """The table or view of this name. Raises `UsageError` where there is none."""
    if name not in RELATIONS:
        raise UsageError(f"there is no table or view {name!r}; use one of: {', '.join((EVENTS, ALL, *RELATIONS))}")
    return RELATIONS[name]
