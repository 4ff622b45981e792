"""Are the events of a part of the ledger those whose hashes are stored, and can they be read?"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.proof import order
from trackledger.adapters.proof.findings import Finding, Findings
from trackledger.adapters.proof.leaves import Stored, event_hash, in_words, stored
from trackledger.adapters.proof.tiles import WIDTH, Tiles, split
from trackledger.adapters.storage import open_database
from trackledger.adapters.storage.database import Database
from trackledger.domain.errors import UnknownEvent
from trackledger.domain.mapper import decode_state
from trackledger.domain.merkle import HASH_BYTES, CompactRange, perfect_root

RANGE = 256 * WIDTH
"""Events of a task, which costs opening the ledger in another process."""

PAGE = 4 * WIDTH
"""Events that are held in memory at a time."""

SHIFTS = tuple(shift for n in range(1, 9) for shift in (n, -n))
"""By how many places an event that is not found where it was is looked for."""

NO_EVENT = bytes(HASH_BYTES)
"""Stands for an event or a hash that is not there; nothing has this hash."""

Pair = tuple[bytes, bytes]
"""A hash by the events, and the same by the hashes that are stored of them."""


class Task(Struct, frozen=True):
    """What a worker has to know besides the range: where the ledger is, and how many leaves its tree should hold."""

    source: str
    allow_volatile: bool
    hashed: int


class Part(Struct, frozen=True):
    """What was found in the events from `first` on.

    `tiles` are the roots of full tiles. `beginnings` are, for each size of the tree that was asked for, the nodes that
    then follow on the full tiles before. Of `count` findings, some are named. A hash that differs is told as a
    `changed` event; whether it was the event or its hash that was changed is for the signed heads to say.
    """

    first: int
    events: int
    tiles: list[Pair]
    beginnings: dict[int, tuple[list[bytes], list[bytes]]]
    findings: list[Finding]
    count: int


def recompute(task: Task, first: int, last: int, sizes: Sequence[int]) -> Part:
    """The work on the positions from `first`, where a tile begins, up to `last`; in whichever process, it opens the
    ledger for itself. `sizes` are those within the range of which the tree is to be known."""
    database = open_database(task.source, create=False, allow_volatile=task.allow_volatile)
    try:
        work = _Recomputing(database, task.hashed, sizes)
        for start in range(first, last + 1, PAGE):
            work.page(start, min(last, start + PAGE - 1))
    finally:
        database.close()
    return Part(first, work.events, work.tiles, work.beginnings, work.findings.named, work.findings.count)


def versions(task: Task, last: int) -> list[Finding]:
    """What `order.versions` finds up to a position; in whichever process, as it takes a while."""
    database = open_database(task.source, create=False, allow_volatile=task.allow_volatile)
    try:
        return list(order.versions(database, last))
    finally:
        database.close()


class _Recomputing:
    def __init__(self, database: Database, hashed: int, sizes: Sequence[int]) -> None:
        self._database = database
        self._tree = Tiles(database)
        self._hashed = hashed
        self._sizes = sizes
        self._topics: dict[bytes, str] = {}
        self.events = 0
        self.tiles: list[Pair] = []
        self.beginnings: dict[int, tuple[list[bytes], list[bytes]]] = {}
        self.findings = Findings()

    def page(self, start: int, end: int) -> None:
        """Take in the events from a position on where a tile begins."""
        events: Sequence[Stored | None] = stored(self._database, self._database.dialect, start, end)
        self.events += len(events)
        if len(events) <= end - start:
            there = {event[0]: event for event in events if event}
            events = [there.get(position) for position in range(start, end + 1)]
            gone = (at for at, event in enumerate(events, start) if event is None)
            self.findings.add(*(Finding("missing", "no event is there", at, at) for at in gone))
        ours = [event_hash(*event) if event else NO_EVENT for event in events]
        self._read(events)
        number = (start - 1) // WIDTH
        kept = self._tree.range(0, number, (end - 1) // WIDTH)
        for at in range(0, len(ours), WIDTH):
            self._tile(number, ours[at : at + WIDTH], kept.get(number, b""), events[at : at + WIDTH])
            number += 1

    def _read(self, events: Sequence[Stored | None]) -> None:
        """See that every event can be decoded."""
        for event in events:
            if event is None:
                continue
            topic = self._topics.get(event[3])
            if topic is None:
                topic = self._topics[event[3]] = in_words(event[3])
            try:
                decode_state(topic, event[4], "")
            except UnknownEvent:
                place = _placed("unreadable", event)
                try:
                    decode_state(topic, event[4], f"{place.shipment_id} version {place.version}")
                except UnknownEvent as error:
                    self.findings.add(replace(place, says=str(error)))

    def _tile(self, number: int, ours: list[bytes], kept: bytes, events: Sequence[Stored | None]) -> None:
        expected = max(0, min(len(ours), self._hashed - number * WIDTH))
        theirs = ours
        if kept[: expected * HASH_BYTES] != b"".join(ours[:expected]):
            there = split(kept)[:expected]
            theirs = there + [NO_EVENT] * (expected - len(there)) + ours[expected:]
            shift = 0
            for event, is_, was in zip(events, ours, theirs, strict=True):
                if event and is_ != was:
                    shift = self._differs(event, was, shift)
        begin = number * WIDTH
        for size in self._sizes:
            if begin < size <= begin + len(ours):
                until = size - begin
                self.beginnings[size] = (CompactRange(ours[:until]).nodes, CompactRange(theirs[:until]).nodes)
        if len(ours) == WIDTH:
            by_events = perfect_root(ours)
            self.tiles.append((by_events, by_events if theirs is ours else perfect_root(theirs)))

    def _differs(self, event: Stored, was: bytes, hint: int) -> int:
        """Tell of an event that is not the one whose hash is stored; by how many places it was moved, if it was."""
        if was == NO_EVENT:
            self.findings.add(replace(_placed("hash", event), says="its hash is missing in the stored tree"))
            return 0
        for shift in (hint, *SHIFTS) if hint else SHIFTS:
            former = event[0] - shift
            if former >= 1 and self._tree.hash_at(0, former - 1) == event_hash(former, *event[1:]):
                self.findings.add(replace(_placed("moved", event), says=_moved(shift)))
                return shift
        self.findings.add(_placed("changed", event))
        return 0


def _moved(shift: int) -> str:
    by = "1 place" if abs(shift) == 1 else f"{abs(shift)} places"
    return f"moved {by} {'back' if shift > 0 else 'forward'} since sealing"


def _placed(kind: Any, event: Stored) -> Finding:
    """A finding about an event, of which nothing is said yet."""
    return Finding(kind, "", event[0], event[0], in_words(event[1]), str(event[2]))
