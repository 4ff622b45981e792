"""Which parts are looked at, in which order, and what if one cannot be?"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from eventsourcing.persistence import PersistenceError

from trackledger.adapters.checks import Check, configured, database, line, refused, sealed
from trackledger.adapters.configuration import Connection, load
from trackledger.adapters.follow_up import FollowUp
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings, configuration_file, without_password
from trackledger.domain.errors import NoLedger, TrackledgerError, UsageError


def examine(settings: Callable[[], Settings], config: str | None, now: datetime | None = None) -> Iterator[Check]:
    """Every check, those of the configuration first. Raises nothing for what does not work: that is what it tells.

    `settings` gives the settings in force, `config` is the configuration file that was asked for. As of `now`, else of
    the configured clock. Asks nobody outside and makes no ledger.
    """
    try:
        file = configuration_file(config)
        said = load(file) if file else None
        chosen = settings()
        FollowUp(chosen.follow_up)
    except UsageError as error:
        yield refused("configuration", error)
        return
    connections = said.connections if said else ()
    yield configured.configuration(said)
    yield from map(configured.account, connections)
    yield from configured.follow_up(chosen.follow_up, connections)
    yield configured.tokens(said.tokens if said else (), connections)
    yield sealed.configured(chosen.proof)
    try:
        runtime = open_runtime(chosen, create=False)
    except NoLedger as missing:
        says, _, remedy = str(missing).partition("; ")
        yield Check("database", "warning", says, remedy)
    except TrackledgerError as error:
        yield refused("database", error)
    else:
        with runtime:
            yield from _inside(runtime, connections, now or chosen.clock.now())


def _inside(runtime: Runtime, connections: Sequence[Connection], now: datetime) -> Iterator[Check]:
    opened, settings = runtime.database, runtime.settings
    where = without_password(settings.database)
    look = line.Look(opened, now, settings.clock, connections, settings.policies)
    checks: list[Callable[[], Check]] = [
        partial(database.durability, opened, where, allow_volatile=settings.allow_volatile),
        partial(database.clock, opened, settings.clock),
        *(partial(check, look) for check in line.CHECKS),
        partial(sealed.newest, opened, settings.proof, datetime.now(UTC)),
    ]
    for check in checks:
        try:
            yield check()
        except PersistenceError as error:
            yield Check("database", "failed", f"it failed: {error}", "see that it works and try again")
            return
