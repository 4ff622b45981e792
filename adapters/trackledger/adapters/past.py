"""What did the ledger know at a moment, and what had happened by then, as tables that every query can be asked of?"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime

from eventsourcing.persistence import Notification

from trackledger.adapters.ranges import ranges, streams
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.bulk import plain
from trackledger.adapters.storage.database import Database, Snapshot
from trackledger.adapters.storage.schema import LINKS, POISONED, POSITIONS
from trackledger.adapters.storage.sqlite_bulk import Private
from trackledger.domain.errors import UsageError
from trackledger.domain.mapper import recorded_at
from trackledger.projections.conclusions import Policies
from trackledger.projections.folding import AsOf, folded
from trackledger.projections.tables import POSITION, TABLES


@contextmanager
def past(
    runtime: Runtime,
    *,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    shipment_ids: Sequence[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Generator[Snapshot]:
    """The tables as they were, in a private place until the end of the block.

    `known_at`: by what the ledger had recorded by then, by its own clock. `valid_at`: as far as it is about what had
    happened by then (see `Statements.until`). Both together are what was known then of what had happened by then, and
    neither is what is known now, at the newest event. By the policies of today. `shipment_ids` limits it to some
    shipments, which is quick. All of them take their time, in bounded memory; `progress` is told events done and in
    all.

    Beside the tables and views it holds `tracker_links`, and those that cannot be folded in `poisoned`; the events and
    messages are only in the ledger. A shipment that was forgotten since is so here too. Nothing recorded by then means
    no rows: see `require_moments`, which callers that were given a moment by a person ask first.
    """
    as_of = AsOf(known_at, valid_at)
    policies = runtime.settings.policies or Policies()
    upto = runtime.store.head()
    with closing(Private()) as private:
        bulk = private.bulk
        ready = {table: plain("sqlite", table) for table in (*TABLES, LINKS, POISONED, POSITIONS)}
        done = 0
        for batch in _batches(runtime, shipment_ids, upto):
            found = [one for id_, stream in batch if (one := folded(id_, stream, policies, as_of)) is not None]
            for place, table in enumerate(TABLES):
                bulk.write(table, ready[table]([row for one in found for row in one.rows[place]]))
            bulk.write(LINKS, ready[LINKS]([LINKS.values(link) for one in found for link in one.links]))
            bulk.write(POISONED, ready[POISONED]([POISONED.values(one.poison) for one in found if one.poison]))
            done += sum(len(stream) for _, stream in batch)
            progress(done, upto)
        bulk.write(POSITIONS, [(POSITION, upto)])
        yield private.finish()


Batch = list[tuple[str, Sequence[Notification]]]


def _batches(runtime: Runtime, shipment_ids: Sequence[str] | None, upto: int) -> Iterator[Batch]:
    if shipment_ids is not None:
        yield sorted(runtime.store.streams(shipment_ids, upto).items())
        return
    for within in ranges(runtime.database):
        yield list(streams(runtime.database, within, upto))


def require_come(now: datetime, *, known_at: datetime | None = None, valid_at: datetime | None = None) -> None:
    """Raises `UsageError` for a moment that has not come yet."""
    for name, moment in (("--known-at", known_at), ("--valid-at", valid_at)):
        if moment is not None and moment > now:
            raise UsageError(f"{name} {_shown(moment)} is in the future; name a moment up to now, {_shown(now)}")


def require_moments(
    database: Database, now: datetime, *, known_at: datetime | None = None, valid_at: datetime | None = None
) -> None:
    """Raises `UsageError` for a moment that has not come yet, and for one at which the ledger knew nothing yet."""
    require_come(now, known_at=known_at, valid_at=valid_at)
    if known_at is None:
        return
    first = first_recorded(database)
    if first is None:
        raise UsageError(f"nothing was known at {_shown(known_at)}: the ledger holds no event yet; take in messages")
    if known_at < first:
        raise UsageError(
            f"nothing was known at {_shown(known_at)}: the first event was recorded at {_shown(first)}; name a moment "
            f"from then on"
        )


def first_recorded(database: Database) -> datetime | None:
    """When the first event was recorded; None in an empty ledger."""
    found = database.tuples(
        """SELECT originator_id, originator_version, topic, state, notification_id FROM {s}stored_events
           ORDER BY notification_id LIMIT 1"""
    )
    return recorded_at(Notification(*found[0])) if found else None


def _shown(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
