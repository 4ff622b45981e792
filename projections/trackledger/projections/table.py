"""How does one declaration become the same table on SQLite and on PostgreSQL?"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args, get_origin

from msgspec import Struct
from msgspec.structs import astuple, fields

Dialect = Literal["sqlite", "postgresql"]


class Kind(Enum):
    """The types a column may have, as (SQLite, PostgreSQL, PostgreSQL array).

    SQLite's names carry the kind, so that reading gives back the same Python values: an instant is stored as text of
    fixed width in UTC (`2026-11-21T09:30:00.000000Z`), which sorts by time, a day as `2026-11-21`, a truth value as 0
    or 1. PostgreSQL's texts are compared by bytes, so that both databases sort alike.
    """

    TEXT = ("TEXT", 'TEXT COLLATE "C"', "text[]")
    INTEGER = ("INTEGER", "BIGINT", "bigint[]")
    REAL = ("REAL", "DOUBLE PRECISION", "double precision[]")
    BOOLEAN = ("INTEGER_BOOLEAN", "BOOLEAN", "boolean[]")
    INSTANT = ("TEXT_INSTANT", "TIMESTAMPTZ", "timestamptz[]")
    DAY = ("TEXT_DAY", "DATE", "date[]")
    BYTES = ("BLOB", "BYTEA", "bytea[]")


_KIND_OF: dict[type, Kind] = {
    str: Kind.TEXT,
    int: Kind.INTEGER,
    bool: Kind.BOOLEAN,
    datetime: Kind.INSTANT,
    date: Kind.DAY,
    bytes: Kind.BYTES,
}

R = TypeVar("R", bound=Struct)


class Column(Struct, frozen=True):
    """One column, taken from one field of a row class."""

    name: str
    kind: Kind
    nullable: bool


class Index(Struct, frozen=True):
    """An index over columns; `where` makes it partial, in SQL that both databases read.

    It ends with what is `also` in it, so that questions are answered from it alone. It is called by the `columns`,
    unless these make a name that is too long for PostgreSQL, or another's.
    """

    columns: tuple[str, ...]
    where: str = ""
    also: tuple[str, ...] = ()
    name: str = ""


class Table(Generic[R]):
    """A table whose columns are the fields of the frozen struct `row`, with the primary key `key`.

    Columns whose text may name people are `personal`: the database keeps no statistics of them, which would be copies
    that outlive their rows.
    """

    def __init__(
        self,
        name: str,
        row: type[R],
        key: tuple[str, ...],
        indexes: Sequence[Index] = (),
        personal: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.row = row
        self.key = key
        self.indexes = tuple(indexes)
        self.personal = tuple(personal)
        self.columns = tuple(_column(f.name, f.type) for f in fields(row))
        self.names = tuple(column.name for column in self.columns)
        self._key_of = attrgetter(*key)

    def named(self, *names: str) -> tuple[Column, ...]:
        """The columns of these names, in this order."""
        column_of = {column.name: column for column in self.columns}
        return tuple(column_of[name] for name in names)

    def key_of(self, row: R) -> Any:
        """The primary key of a row: a value, or a tuple of them."""
        return self._key_of(row)

    def values(self, row: R) -> tuple[Any, ...]:
        """The row's values in column order."""
        return astuple(row)

    def create(self, dialect: Dialect, schema: str = "", name: str = "", mark: str = "") -> list[str]:
        """The statements that create the table and its indexes, under another `name` if given.

        `schema` is a prefix including its dot. `mark` is added to the names of the indexes, which a schema holds once.
        """
        return [
            self.create_bare(dialect, schema, name),
            *self.forbid_statistics(dialect, schema, name),
            *self.create_indexes(dialect, schema, name, mark),
        ]

    def create_bare(self, dialect: Dialect, schema: str = "", name: str = "") -> str:
        """The statement that creates the table with its primary key alone, as it is filled the fastest."""
        index = 0 if dialect == "sqlite" else 1
        columns = [f"{c.name} {c.kind.value[index]}{'' if c.nullable else ' NOT NULL'}" for c in self.columns]
        columns.append(f"PRIMARY KEY ({', '.join(self.key)})")
        rowid = " WITHOUT ROWID" if dialect == "sqlite" and Kind.BYTES not in {c.kind for c in self.columns} else ""
        return f"CREATE TABLE {schema}{name or self.name} ({', '.join(columns)}){rowid}"

    def forbid_statistics(self, dialect: Dialect, schema: str = "", name: str = "") -> list[str]:
        """The statements after which no samples of the `personal` columns are kept; SQLite keeps none unless asked."""
        if dialect == "sqlite" or not self.personal:
            return []
        columns = ", ".join(f"ALTER COLUMN {column} SET STATISTICS 0" for column in self.personal)
        return [f"ALTER TABLE {schema}{name or self.name} {columns}"]

    def create_indexes(self, dialect: Dialect, schema: str = "", name: str = "", mark: str = "") -> list[str]:
        """The statements that create its indexes; see `create`."""
        statements = []
        for i in self.indexes:
            title = "_".join((self.name, *((i.name,) if i.name else i.columns))) + mark
            title = f"{schema}{title}" if dialect == "sqlite" else title
            where = f" WHERE {i.where}" if i.where else ""
            columns = ", ".join((*i.columns, *i.also))
            statements.append(f"CREATE INDEX {title} ON {schema}{name or self.name} ({columns}){where}")
        return statements

    def upsert(self, dialect: Dialect, schema: str = "", name: str = "") -> str:
        """Insert rows, or overwrite those with the same key.

        SQLite takes one row of positional parameters, PostgreSQL one array per column.
        """
        if dialect == "sqlite":
            source = f"VALUES ({', '.join('?' * len(self.columns))})"
        else:
            source = f"SELECT * FROM unnest({', '.join(f'%b::{c.kind.value[2]}' for c in self.columns)})"
        changed = [f"{n} = excluded.{n}" for n in self.names if n not in self.key]
        action = f"DO UPDATE SET {', '.join(changed)}" if changed else "DO NOTHING"
        target = f"INSERT INTO {schema}{name or self.name} ({', '.join(self.names)})"
        return f"{target} {source} ON CONFLICT ({', '.join(self.key)}) {action}"

    def insert(self, name: str = "") -> str:
        """Insert one row of positional parameters into SQLite; a key that is taken is an error."""
        return self.upsert("sqlite", name=name).partition(" ON CONFLICT ")[0]

    def delete(self, dialect: Dialect, schema: str = "", name: str = "") -> str:
        """Delete one row by its key, given as positional parameters."""
        mark = "?" if dialect == "sqlite" else "%s"
        return f"DELETE FROM {schema}{name or self.name} WHERE {' AND '.join(f'{k} = {mark}' for k in self.key)}"


class View(Struct, frozen=True):
    """A stored query. In `sql`, `{s}` stands for the schema prefix and `{now}` for the database's clock."""

    name: str
    sql: str

    def create(self, dialect: Dialect, schema: str = "") -> str:
        """The statement that creates the view."""
        return f"CREATE VIEW {schema}{self.name} AS {self.sql.format(s=schema, now=NOW[dialect])}"


NOW: Mapping[Dialect, str] = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
    "postgresql": "now()",
}


class Change(Struct, frozen=True):
    """Rows to write to a table and keys of rows to take out of it."""

    table: Table[Any]
    rows: list[Any]
    gone: list[Any]


class Reader(Protocol):
    """Something that answers SQL from the tables of one ledger."""

    def read(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """Rows by column name. `{s}` stands for the schema prefix; parameters are written `:name`."""
        ...


def _column(name: str, annotation: Any) -> Column:
    options = get_args(annotation) if get_origin(annotation) is UnionType else (annotation,)
    kinds = [option for option in options if option is not NoneType]
    return Column(name, _KIND_OF[kinds[0]], NoneType in options)
