"""How is this process configured? The only reader of the environment."""

import os
from collections.abc import Mapping

from msgspec import Struct, field

from trackledger.domain.errors import UsageError

DATABASE = "sqlite:///trackledger.db"

FOLLOW_UP = {"rye": "aftership"}
"""Rye itself names AfterShip as one to ask about the numbers that it announces."""


class Settings(Struct, frozen=True):
    """`database` is the URL of the ledger; `allow_volatile` opens a PostgreSQL that can lose acknowledged events.

    `follow_up` says who is followed for the parcels of a provider that announces a number and tells no journey.
    `withdraws` are the providers whose answers are whole histories, in which a row that is missing was taken back:
    Shiplemon replaces a history as a whole; of the others' it is not documented.
    """

    database: str = DATABASE
    allow_volatile: bool = False
    follow_up: Mapping[str, str] = field(default_factory=lambda: dict(FOLLOW_UP))
    withdraws: tuple[str, ...] = ("shiplemon",)


def from_environment(
    database: str | None = None, allow_volatile: bool = False, environ: Mapping[str, str] = os.environ
) -> Settings:
    """What was asked for explicitly, else `TRACKLEDGER_DB`, else the file `trackledger.db` in the working directory.

    `TRACKLEDGER_FOLLOW_UP` replaces the follow-up providers, as `rye=aftership`; `none` means nobody. Raises
    `UsageError` for anything else.
    """
    url = database if database is not None else environ.get("TRACKLEDGER_DB") or DATABASE
    said = environ.get("TRACKLEDGER_FOLLOW_UP")
    if not said:
        return Settings(url, allow_volatile)
    return Settings(url, allow_volatile, follow_up={} if said == "none" else _pairs(said))


def _pairs(said: str) -> dict[str, str]:
    pairs = dict(pair.strip().partition("=")[::2] for pair in said.split(","))
    if not all(first and then for first, then in pairs.items()):
        raise UsageError(f"TRACKLEDGER_FOLLOW_UP is {said!r}; write provider=provider, or none")
    return pairs
