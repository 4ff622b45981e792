"""Which tables stand beside those that are read: new ones that a rebuild makes, and old ones that it replaced?"""

from collections.abc import Iterable
from datetime import datetime
from time import sleep
from typing import Any, Literal

from eventsourcing.persistence import PersistenceError
from msgspec import Struct

from trackledger.adapters.storage.database import Database, InUse, Transaction
from trackledger.adapters.storage.schema import BUILDS, POISONED, REBUILDS, RebuildRow
from trackledger.domain.errors import Contended, NothingThere
from trackledger.projections.rebuild import NEXT, OLD, chosen
from trackledger.projections.table import Reader, Table
from trackledger.projections.tables import POSITION, TABLES

ROWS_AT_ONCE = 5000
"""Rows of an old table that SQLite deletes in one transaction."""

PAUSE = 0.02
"""Seconds after each, in which others may write."""


class Kept(Struct, frozen=True):
    """A table that was replaced `since` then, when it was at `position`. `policies` is the version by which it was made
    anew before, or those that its rows named; `bytes` is None where the database cannot say. One that is
    `being_dropped` is no longer whole."""

    table: str
    being_dropped: bool
    policies: str
    position: int
    since: datetime
    rows: int
    bytes: int | None


class UnderWay(Struct, frozen=True):
    """The rebuild of some tables that has begun: `running`; or `interrupted`, or `built` without being switched to,
    which the next rebuild goes on with. Of the `upto` events that there were at first, `events` were folded."""

    state: Literal["running", "interrupted", "built"]
    tables: list[str]
    policies: str
    process: str
    began_at: datetime
    alive_at: datetime
    events: int
    upto: int


class Builds(Struct, frozen=True):
    """What is there besides the tables that are read."""

    under_way: UnderWay | None
    old: list[Kept]


def builds(database: Database, now: datetime) -> Builds:
    """What there is at an instant of the machine's time."""
    found = database.read("SELECT * FROM {s}builds WHERE position IS NOT NULL ORDER BY name")
    old = [
        Kept(
            row["name"],
            row["being_dropped"],
            row["policies"],
            row["position"],
            row["since"],
            database.tuples(f"SELECT COUNT(*) FROM {{s}}{row['name']}")[0][0],
            _bytes(database, row["name"]),
        )
        for row in found
    ]
    return Builds(under_way(database, now), old)


def under_way(reader: Reader, now: datetime) -> UnderWay | None:
    """The rebuild that has begun, if any."""
    for row in reader.read("SELECT * FROM {s}rebuilds"):
        one = RebuildRow(**row)
        state: Literal["running", "interrupted", "built"] = "built" if one.is_filled else "interrupted"
        if one.leased_until > now:
            state = "running"
        return UnderWay(
            state, one.tables.split(","), one.policies, one.process, one.began_at, one.alive_at, one.events, one.upto
        )
    return None


def old_names(reader: Reader) -> list[str]:
    """The old tables that are kept."""
    return [row["name"] for row in reader.read("SELECT name FROM {s}builds WHERE position IS NOT NULL ORDER BY name")]


def drop_old(database: Database, name: str | None = None) -> list[str]:
    """Drop the old tables, or the one of the table `name`; their names. Each goes in a transaction of its own.

    Raises `NothingThere` where there are none, and `Contended` while somebody reads one.
    """
    wanted = [table.name + OLD for table in chosen(name)]
    dropped = [one for one in old_names(database) if one in wanted]
    if not dropped:
        what = f"is no old table {wanted[0]}" if name else "are no old tables"
        raise NothingThere(f"there {what}; see `trackledger rebuild --status`")
    for one in dropped:
        if not drop(database, one):
            raise Contended(f"{one} is being read, so it cannot be dropped; try again when its readers have ended")
    return dropped


def drop(database: Database, name: str) -> bool:
    """Drop one old table; False, with nothing done, while somebody reads it."""
    if database.dialect == "sqlite":
        _empty(database, name)
    try:
        with database.transaction() as transaction:
            transaction.lock_out([name])
            transaction.execute(f"DROP TABLE IF EXISTS {{s}}{name}")
            transaction.delete(BUILDS, [name])
    except InUse:
        return False
    return True


def _empty(database: Database, name: str) -> None:
    """Bit by bit, as SQLite lets nobody else write while it drops a large table."""
    some = f"SELECT shipment_id FROM {{s}}{name} ORDER BY shipment_id LIMIT 1 OFFSET {ROWS_AT_ONCE}"
    with database.transaction() as transaction:
        transaction.execute("UPDATE {s}builds SET being_dropped = TRUE WHERE name = :name", name=name)
    left = True
    while left:
        with database.transaction() as transaction:
            left = transaction.execute(f"DELETE FROM {{s}}{name} WHERE shipment_id <= ({some})") > 0
        # Those who wait for the lock look for it now and then, and would never find it free.
        sleep(PAUSE)


def drop_new(database: Database, now: datetime) -> list[str]:
    """Drop what an interrupted rebuild has made; the names of its tables.

    Raises `NothingThere` where there is none, and `Contended` while one is under way.
    """
    with database.transaction() as transaction:
        there = locked(transaction)
        if there is None:
            raise NothingThere(
                "no rebuild was interrupted, so there are no new tables; see `trackledger rebuild --status`"
            )
        if there.leased_until > now:
            raise Contended(is_alive(there, now))
        clear(transaction, TABLES)
        transaction.delete(REBUILDS, [POSITION])
    return [name + NEXT for name in there.tables.split(",")]


def clear(transaction: Transaction, tables: Iterable[Table[Any]]) -> None:
    """Drop new tables, and their position."""
    for table in (*tables, POISONED):
        transaction.execute(f"DROP TABLE IF EXISTS {{s}}{table.name}{NEXT}")
    transaction.execute(
        "DELETE FROM {s}positions WHERE substr(name, 1, length(:left)) = :left", left=f"{POSITION}{NEXT}"
    )


def locked(transaction: Transaction) -> RebuildRow | None:
    """The rebuild that has begun; nobody else changes it until the end of the transaction."""
    if not transaction.execute("UPDATE {s}rebuilds SET name = name"):
        return None
    (row,) = transaction.read("SELECT * FROM {s}rebuilds")
    return RebuildRow(**row)


def is_alive(there: RebuildRow, now: datetime) -> str:
    """Why nobody else may touch it."""
    silent, left = (now - there.alive_at).total_seconds(), (there.leased_until - now).total_seconds()
    return (
        f"another rebuild is under way, by {there.process} since {there.began_at:%Y-%m-%d %H:%M:%SZ}, last sign of "
        f"life {max(0.0, silent):.0f} s ago; let it finish, or try again in {left + 1:.0f} s if it is dead"
    )


def _bytes(database: Database, name: str) -> int | None:
    if database.dialect == "postgresql":
        ((size,),) = database.tuples(
            "SELECT pg_total_relation_size(CAST(:name AS regclass))", name=database.schema + name
        )
        return int(size)
    try:
        ((size,),) = database.tuples(
            """SELECT SUM(pgsize) FROM sqlite_master m JOIN dbstat d ON d.name = m.name AND d.aggregate = TRUE
               WHERE m.tbl_name = :name""",
            name=name,
        )
    except PersistenceError:
        # SQLite was compiled without it.
        return None
    return None if size is None else int(size)
