"""Where is a ledger kept? `sqlite:///FILE` or `postgresql://…`, the same tables on both."""

from importlib import import_module
from typing import TYPE_CHECKING, Literal

from trackledger.domain.errors import UsageError

if TYPE_CHECKING:
    from trackledger.adapters.storage.database import Database

_SQLITE = "sqlite:///"


def open_database(url: str, *, create: bool = True, allow_volatile: bool = False) -> "Database":
    """The database of a URL: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…[?schema=NAME]`.

    A missing ledger is made, unless `create` is false. Raises `UsageError` for another kind of URL and `Refused` for a
    database that cannot hold a ledger.
    """
    kind = kind_of(url)
    module = import_module(f"{__name__}.{kind}")
    database: Database
    if kind == "sqlite":
        database = module.SqliteDatabase(sqlite_path(url), create=create)
    else:
        database = module.PostgresDatabase(url, create=create, allow_volatile=allow_volatile)
    return database


def kind_of(url: str, option: str = "--db") -> Literal["sqlite", "postgres"]:
    """Which module serves the URL that `option` names. Raises `UsageError` for one that none does."""
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        if sqlite_path(url) == ":memory:":
            raise UsageError("a ledger in memory cannot be shared by the connections it needs; name a file")
        return "sqlite"
    if url.startswith(("postgresql://", "postgres://")):
        return "postgres"
    shown = url if "@" not in url else f"{url.partition(':')[0]}:…"  # what stands before an @ may be a password
    raise UsageError(f"database {shown!r} is neither sqlite:///FILE nor postgresql://…; correct {option}")


def sqlite_path(url: str) -> str:
    """The path in the URL of an SQLite file."""
    return url.removeprefix(_SQLITE)
