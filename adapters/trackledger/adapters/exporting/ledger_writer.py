"""How is a file written of which a ledger can be made?"""

from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from typing import BinaryIO

from eventsourcing.persistence import Notification
from msgspec import Raw

from trackledger.adapters.exporting import events
from trackledger.adapters.exporting.ledger_file import (
    FORMAT,
    VERSION,
    EventLine,
    Header,
    KeyLine,
    Trailer,
    encode_lines,
    line,
)
from trackledger.adapters.exporting.relations import EVENTS
from trackledger.adapters.exporting.wanted import Exported, Progress, Wanted
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage import kind_of, sqlite_path
from trackledger.adapters.storage.database import Snapshot
from trackledger.domain.errors import UnknownEvent
from trackledger.domain.mapper import decode

# Those that were private by the last event that is exported.
_KEYS = """FROM {s}vault AS v WHERE EXISTS (SELECT 1 FROM {s}stored_events AS e
  WHERE e.originator_id = v.shipment_id AND e.originator_version = 1 AND e.notification_id <= :upto)"""


def write_ledger(
    runtime: Runtime, snapshot: Snapshot, upto: int, wanted: Wanted, file: BinaryIO, progress: Progress
) -> Exported:
    """Write the events up to a position; see `ledger_file`.

    Raises `UnknownEvent` for an event that could not be read again, rather than write a file that cannot be used.
    """
    hashed = _Hashed(file)
    hashed.write(
        line(
            Header(
                FORMAT,
                VERSION,
                upto,
                wanted.known_at,
                wanted.with_keys,
                _name(runtime),
                runtime.settings.proof.origin,
                datetime.now(UTC),
                f"trackledger {version('trackledger')}",
            )
        )
    )
    number = last = keys = 0
    for position, page in events.pages(snapshot, upto, wanted.known_at):
        if page:
            _write(hashed, page)
            number, last = number + len(page), page[-1].id
        progress(position, upto)
    if wanted.with_keys:
        for found in snapshot.pages(f"SELECT v.secret, v.shipment_id {_KEYS} ORDER BY 2", events.PAGE, upto=last):
            hashed.write(encode_lines([KeyLine(*row) for row in found]))
            keys += len(found)
    private = int(snapshot.tuples(f"SELECT COUNT(*) {_KEYS}", upto=last)[0][0])
    digest = hashed.hexdigest()
    file.write(line(Trailer(number, keys, digest)))
    return Exported(EVENTS, number, upto, digest, private - keys)


def _name(runtime: Runtime) -> str:
    """Of the ledger, without what its URL says of where it is and who may come in."""
    url = runtime.settings.database
    if kind_of(url) == "sqlite":
        return sqlite_path(url).rpartition("/")[2]
    return runtime.database.schema.strip('".')


def _write(hashed: "_Hashed", page: list[Notification]) -> None:
    for stored in page:
        decode(stored)
        if b"\n" in stored.state:
            raise UnknownEvent(
                f"event {stored.topic!r} of {stored.originator_id} version {stored.originator_version} was altered: it "
                f"is stored in several lines; run `trackledger verify`"
            )
    hashed.write(
        encode_lines(
            [
                EventLine(
                    stored.id, str(stored.originator_id), stored.originator_version, stored.topic, Raw(stored.state)
                )
                for stored in page
            ]
        )
    )


class _Hashed:
    """Writes, and hashes what it writes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = sha256()

    def write(self, data: bytes) -> None:
        self._sha256.update(data)
        self._file.write(data)

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()
