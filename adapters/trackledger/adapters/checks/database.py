"""Does the database keep what it acknowledges, and do all clocks agree?"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from trackledger.adapters.checks import Check
from trackledger.projections.table import Dialect

if TYPE_CHECKING:
    from trackledger.adapters.clock import Clock
    from trackledger.adapters.storage.database import Database

MAX_SKEW = timedelta(seconds=2)

OLDEST_POSTGRESQL = 150_000

_WANTED = {
    "sqlite": {"journal_mode": ("wal",), "synchronous": ("full", "extra")},
    "postgresql": {
        "fsync": ("on",),
        "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
        "full_page_writes": ("on",),
    },
}
"""Each setting on which durability depends, and the values with which a commit outlives a crash."""


_SYNCHRONOUS = ("off", "normal", "full", "extra")
"""SQLite's names of the numbers that it answers."""


def durability(database: "Database", where: str, *, allow_volatile: bool = False) -> Check:
    """Whether a commit outlives a crash, by the settings that the database says of itself."""
    return judged(database.dialect, where, _settings(database), allow_volatile=allow_volatile)


def _settings(database: "Database") -> dict[str, str]:
    if database.dialect == "sqlite":
        said = {name: database.read(f"PRAGMA {name}")[0][name] for name in _WANTED["sqlite"]}
        return said | {"synchronous": _SYNCHRONOUS[said["synchronous"]]}
    found = database.read(
        f"SELECT name, setting FROM pg_catalog.pg_settings WHERE {database.any_of('name', 'names')}",
        names=[*_WANTED["postgresql"], "server_version_num"],
    )
    return {row["name"]: row["setting"] for row in found}


def judged(dialect: Dialect, where: str, settings: Mapping[str, str], *, allow_volatile: bool = False) -> Check:
    """What these settings mean."""
    version = int(settings.get("server_version_num", OLDEST_POSTGRESQL))
    if version < OLDEST_POSTGRESQL:
        says = f"{where} is a PostgreSQL {version // 10_000}"
        return Check("database", "failed", says, "use PostgreSQL 15 or newer")
    wrong = [name for name, good in _WANTED[dialect].items() if settings.get(name) not in good]
    shown = ", ".join(f"{name}={settings.get(name, 'unknown')}" for name in wrong or _WANTED[dialect])
    if not wrong:
        return Check("database", "ok", f"{where}: {shown}")
    remedy = (
        "turn it on in the server's configuration"
        if dialect == "postgresql"
        else f"run PRAGMA {wrong[0]} = "
        + ("WAL on the file while nothing else has it open" if wrong[0] == "journal_mode" else "FULL")
    )
    says = f"{where} can lose what it acknowledged: {shown}"
    return Check("database", "warning" if allow_volatile else "failed", says, remedy)


def clock(database: "Database", clock: "Clock") -> Check:
    """Whether the machine and the database tell the same time, and whether a rehearsal runs."""
    skew, within = timedelta(), timedelta()
    if database.dialect == "postgresql":
        before = datetime.now(UTC)
        there = database.read("SELECT clock_timestamp() AS now")[0]["now"]
        after = datetime.now(UTC)
        within = (after - before) / 2
        skew = there - (before + within)
    return compared(clock, skew, within)


def compared(clock: "Clock", skew: timedelta, within: timedelta) -> Check:
    """What it means that the database's clock is ahead of the machine's by `skew`, known up to `within`."""
    if abs(skew) > MAX_SKEW + within:
        ahead = "ahead of" if skew > timedelta() else "behind"
        says = f"the database's clock is {abs(skew).total_seconds():.1f} s {ahead} this machine's"
        return Check("clock", "warning", says, "let both follow the same time server")
    if clock.world is not None:
        says = f"a rehearsal's: it shows {clock.now():%Y-%m-%d %H:%M:%SZ} and runs {clock.speed:g} times as fast"
        return Check("clock", "warning", says, "remove [clock] from the configuration to use the machine's")
    return Check("clock", "ok", "the machine's, and the database agrees within 2 s")
