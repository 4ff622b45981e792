"""How is this process configured? The only reader of the environment."""

import os
from collections.abc import Mapping

from msgspec import Struct

DATABASE = "sqlite:///trackledger.db"


class Settings(Struct, frozen=True):
    """`database` is the URL of the ledger; `allow_volatile` opens a PostgreSQL that can lose acknowledged events."""

    database: str = DATABASE
    allow_volatile: bool = False


def from_environment(
    database: str | None = None, allow_volatile: bool = False, environ: Mapping[str, str] = os.environ
) -> Settings:
    """What was asked for explicitly, else `TRACKLEDGER_DB`, else the file `trackledger.db` in the working directory."""
    return Settings(database if database is not None else environ.get("TRACKLEDGER_DB") or DATABASE, allow_volatile)
