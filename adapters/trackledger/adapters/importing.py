"""How is a ledger made of a file of all its events?"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any, BinaryIO

from eventsourcing.persistence import IntegrityError, Notification

from trackledger.adapters.exporting.ledger_reader import LedgerReader
from trackledger.adapters.ranges import ranges, streams
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage import kind_of, open_database
from trackledger.adapters.storage.bulk import Bulk, Filled, Plain, Values, empty_ledger, new_ledger, plain
from trackledger.adapters.storage.schema import LINKS, POISONED, POSITIONS, VAULT
from trackledger.domain.errors import NoLedger, Unreadable
from trackledger.projections import shipments, timeline
from trackledger.projections.conclusions import Policies
from trackledger.projections.digest import Digest, of_rows
from trackledger.projections.folding import AsOf, folded
from trackledger.projections.table import Dialect, Table
from trackledger.projections.tables import POSITION, TABLES

Progress = Callable[[int, int], None]


def import_ledger(settings: Settings, file: BinaryIO, progress: Progress = lambda done, total: None) -> Filled:
    """Make the ledger that the settings name of a file that `ledger_writer` has written, whole or not at all.

    It has the same events, byte for byte and in the same places, the links that they imply and the tables by the
    policies of the settings, and goes on behind its last event as the original would. Memory does not grow with it.
    Raises `Unreadable` for a file that is not whole and in order, and `UsageError` for a ledger that holds events.
    """
    reader = LedgerReader(file)
    total = 2 * reader.header.position
    with _target(settings) as bulk:
        for page in reader.event_pages():
            try:
                bulk.events([(e.id, str(e.originator_id), e.originator_version, e.topic, e.state) for e in page])
            except IntegrityError:
                raise reader.taken_twice() from None
            progress(reader.last, total)
        for keys in reader.key_pages():
            bulk.write(VAULT, keys)
        reader.end()
        filling = Filling(settings, bulk)
        filling.fill(reader.last, lambda events: progress(reader.last + events, total))
    return filling.done(reader.last)


def _target(settings: Settings) -> AbstractContextManager[Bulk]:
    try:
        open_database(settings.database, create=False, allow_volatile=settings.allow_volatile).close()
    except NoLedger:
        return new_ledger(settings.database, option="--db")
    return empty_ledger(settings.database)


class Filling:
    """Fills the tables of a ledger of which the events are written, and counts."""

    def __init__(self, settings: Settings, bulk: Bulk) -> None:
        self._bulk = bulk
        self._policies = settings.policies or Policies()
        dialect: Dialect = "sqlite" if kind_of(settings.database) == "sqlite" else "postgresql"
        self._plain: Callable[[Table[Any]], Plain] = cache(partial(plain, dialect))
        self._digest = Digest()
        self._numbers: dict[str, int] = {}
        self._events = 0

    def fill(self, upto: int, progress: Callable[[int], None]) -> None:
        """Fold every shipment by its events up to a position; `progress` is told how many events that were so far."""
        for within in ranges(self._bulk.reader):
            found = []
            for shipment_id, stream in streams(self._bulk.reader, within, upto):
                _require_order(shipment_id, stream)
                self._events += len(stream)
                if (one := folded(shipment_id, stream, self._policies, AsOf())) is not None:
                    found.append(one)
            for place, table in enumerate(TABLES):
                self._write(table, [row for one in found for row in one.rows[place]])
            self._write(LINKS, [LINKS.values(link) for one in found for link in one.links])
            self._write(POISONED, [POISONED.values(one.poison) for one in found if one.poison])
            self._digest.add(of_rows([one.rows for one in found if not one.poison]))
            progress(self._events)
        if upto:
            self._write(POSITIONS, [(POSITION, upto)])

    def _write(self, table: Table[Any], rows: Sequence[Values]) -> None:
        try:
            self._bulk.write(table, self._plain(table)(rows))
        except IntegrityError:
            raise Unreadable(
                f"the file cannot be of one ledger, as two of its shipments have a row of {table.name} in common; "
                f"nothing was imported"
            ) from None
        self._numbers[table.name] = self._numbers.get(table.name, 0) + len(rows)

    def done(self, position: int) -> Filled:
        """What was written."""
        number = self._numbers.get
        return Filled(
            self._events,
            number(shipments.TABLE.name, 0),
            number(timeline.TABLE.name, 0),
            number(POISONED.name, 0),
            position,
            self._digest.hexdigest(),
        )


def _require_order(shipment_id: str, stream: Sequence[Notification]) -> None:
    before = 0
    for version, stored in enumerate(stream, start=1):
        if stored.originator_version != version or stored.id <= before:
            raise Unreadable(
                f"the event at position {stored.id} of the file is version {stored.originator_version} of "
                f"{shipment_id}, whose version {version} does not come before it; export it anew, nothing was imported"
            )
        before = stored.id
