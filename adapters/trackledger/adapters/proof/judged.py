"""Do the signed heads speak for the events, for the stored hashes, or against both?"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.proof.findings import Finding
from trackledger.adapters.proof.heads import Head, Trust, read
from trackledger.adapters.proof.leaves import as_bytes, bytes_of, in_words
from trackledger.adapters.storage.database import Database
from trackledger.domain.errors import UsageError

_SEALED_AT = {
    "sqlite": as_bytes("sqlite", "sealed_at"),
    "postgresql": as_bytes("postgresql", """to_char(sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""),
}
"""When it was sealed, in the form of the signed note, also where it was damaged so that it is no time any more."""


class Kept(Struct, frozen=True):
    """A head that is believed, and where it was kept: in the `file` outside, or in the ledger itself."""

    head: Head
    file: str = ""

    def __str__(self) -> str:
        where = f"the head in {self.file}" if self.file else "the head"
        return f"{where} over {self.head.size:,} events, sealed at {self.head.sealed_at:%Y-%m-%d %H:%M:%SZ}"


class Judged(Struct, frozen=True):
    """Whether a head is over the `events` as they are, and over the `hashes` as they are stored."""

    kept: Kept
    events: bool
    hashes: bool

    @property
    def size(self) -> int:
        """Over how many events it is."""
        return self.kept.head.size


def stored_heads(database: Database, trust: Trust, after: int, upto: int) -> Iterator[Kept | Finding]:
    """The heads that are kept in the ledger over more than `after` and up to `upto` events, in that order; a finding
    instead of one that is not to be believed."""
    root_, note_ = bytes_of(database.dialect, "root"), as_bytes(database.dialect, "note")
    found = database.tuples(
        f"""SELECT size, {root_}, {_SEALED_AT[database.dialect]}, {note_} FROM {{s}}tree_heads
            WHERE size > :after AND size <= :upto ORDER BY size""",
        after=after,
        upto=upto,
    )
    for size, root, sealed_at, note in found:
        called = f"the stored head over {size:,} events"
        try:
            head = read(in_words(note), called)
        except UsageError:
            yield Finding("head", f"{called} was damaged")
            continue
        if why := trust.doubt(head):
            yield Finding("head", f"{called} {why}")
        elif (head.size, head.root, head.stated_at.encode()) != (size, root, sealed_at):
            yield Finding("head", f"{called} is not what its signed note says")
        else:
            yield Kept(head)


def attributed(suspects: Iterable[Finding], heads: Sequence[Judged]) -> Iterator[Finding]:
    """Say of each event that is not the one whose hash is stored which of the two was changed. `heads` by size."""
    for one in suspects:
        if one.kind != "changed":
            yield one
            continue
        position = one.position or 0
        head = next((head for head in heads if head.size >= position and (head.events or head.hashes)), None)
        if head is None:
            covered = any(head.size >= position for head in heads)
            which = "no head agrees with either" if covered else "no head is over it yet"
            yield replace(one, says=f"the event is not the one whose hash is stored; {which}")
        elif head.hashes:
            yield replace(one, says="the event is not the one that was sealed")
        else:
            says = "the event is the one that was sealed, its hash in the stored tree is not"
            yield replace(one, kind="hash", says=says)


def contradicted(heads: Sequence[Judged], last: int) -> Iterator[Finding]:
    """The heads that speak against the ledger, whose last event is at the position `last`: each one from outside that
    is not over the events as they are, and the first in the ledger that is over neither them nor their stored hashes.
    """
    good = 0
    stored = [head for head in heads if not head.kept.file and head.size <= last]
    for head in stored:
        if not (head.events or head.hashes):
            later = sum(not (other.events or other.hashes) for other in stored if other.size > head.size)
            more = f", nor {later:,} later ones" if later else ""
            says = f"{head.kept} is not over these events{more}: they were changed together with their stored hashes"
            yield Finding("head", says, good + 1, head.size)
            break
        good = head.size
    for head in heads:
        if head.kept.file and not head.events:
            agreed = max((other.size for other in heads if other.events and other.size < head.size), default=0)
            what = "changed" if head.size <= last else "changed or removed"
            says = f"{head.kept} is not over these events: they were {what} since"
            yield Finding("head", says, agreed + 1, head.size)
