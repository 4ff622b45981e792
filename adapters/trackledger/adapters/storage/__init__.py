"""Where is a ledger kept? `sqlite:///FILE` or `postgresql://…`, the same tables on both."""

from importlib import import_module
from typing import TYPE_CHECKING

from trackledger.domain.errors import UsageError

if TYPE_CHECKING:
    from trackledger.adapters.storage.database import Database


def open_database(url: str, *, create: bool = True, allow_volatile: bool = False) -> "Database":
    """The database of a URL: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…[?schema=NAME]`.

    A missing ledger is made, unless `create` is false. Raises `UsageError` for another kind of URL and `Refused` for a
    database that cannot hold a ledger.
    """
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        if url[10:] == ":memory:":
            raise UsageError("a ledger in memory cannot be shared by the connections it needs; name a file")
        database: Database = import_module(f"{__name__}.sqlite").SqliteDatabase(url[10:], create=create)
    elif url.startswith(("postgresql://", "postgres://")):
        module = import_module(f"{__name__}.postgres")
        database = module.PostgresDatabase(url, create=create, allow_volatile=allow_volatile)
    else:
        shown = url if "@" not in url else f"{url.partition(':')[0]}:…"  # what stands before an @ may be a password
        raise UsageError(f"database {shown!r} is neither sqlite:///FILE nor postgresql://…; correct --db")
    return database
