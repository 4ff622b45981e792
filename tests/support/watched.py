"""Which statements does a piece of work ask of the database, and how would the database go about them?"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from trackledger.adapters.storage.database import Database, Snapshot


class Watched:
    """A ledger's database that remembers what it is asked, with the first parameters of each statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked: dict[str, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def read(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """See `Database`."""
        self.asked.setdefault(sql, params)
        return self._database.read(sql, **params)

    def tuples(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        """See `Database`."""
        self.asked.setdefault(sql, params)
        return self._database.tuples(sql, **params)

    @contextmanager
    def snapshot(self) -> Generator["_Moment"]:
        """See `Database`."""
        with self._database.snapshot() as snapshot:
            yield _Moment(snapshot, self.asked)

    def scans(self, sql: str, names: Sequence[str]) -> list[str]:
        """The tables, of these names, or their indexes, that cannot but be read from one end for a statement that was
        asked, as nothing leads to the rows; of however many rows they are."""
        if self._database.dialect == "sqlite":
            return list(self._sqlite_scans(sql, names))
        # What PostgreSQL prefers depends on the sizes; whether there is another way does not.
        others = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
        return [
            node["Relation Name"]
            for node in self._plan(sql, off=others)
            if node.get("Relation Name") in names
            and ("Seq Scan" in node["Node Type"] or ("Index" in node["Node Type"] and "Index Cond" not in node))
        ]

    def preferred_scans(self, sql: str, names: Sequence[str]) -> list[str]:
        """The tables, of these names, that the database reads from end to end for a statement that was asked, by what
        it knows of their sizes."""
        if self._database.dialect == "sqlite":
            return list(self._sqlite_scans(sql, names))
        return [
            node["Relation Name"]
            for node in self._plan(sql)
            if "Seq Scan" in node["Node Type"] and node["Relation Name"] in names
        ]

    def _plan(self, sql: str, off: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        with self._database.transaction() as transaction:
            for setting in off:
                transaction.read("SELECT set_config(:setting, 'off', TRUE)", setting=setting)
            plan = transaction.read(f"EXPLAIN (FORMAT JSON) {sql}", **self.asked[sql])[0]["QUERY PLAN"]
        (root,) = plan
        yield from _nodes(root["Plan"])

    def _sqlite_scans(self, sql: str, names: Sequence[str]) -> Iterator[str]:
        # Its plans tell of aliases, which may be a subquery's; its programs, of the trees that they walk from an end.
        trees = {
            row["rootpage"]: row for row in self._database.read("SELECT rootpage, name, tbl_name FROM sqlite_master")
        }
        cursors = {}
        for step in self._database.read(f"EXPLAIN {sql}", **self.asked[sql]):
            if step["opcode"] == "OpenRead":
                cursors[step["p1"]] = trees[step["p2"]]
            elif step["opcode"] in ("OpenEphemeral", "OpenPseudo", "OpenAutoindex", "SorterOpen"):
                cursors.pop(step["p1"], None)
            elif step["opcode"] in ("Rewind", "Last") and cursors.get(step["p1"], {}).get("tbl_name") in names:
                yield cursors[step["p1"]]["name"]


class _Moment:
    def __init__(self, snapshot: Snapshot, asked: dict[str, dict[str, Any]]) -> None:
        self._snapshot = snapshot
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)

    def read(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        self._asked.setdefault(sql, params)
        return self._snapshot.read(sql, **params)

    def tuples(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        self._asked.setdefault(sql, params)
        return self._snapshot.tuples(sql, **params)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)
