"""How is it fixed what the ledger holds, so that no later change of it can go unnoticed?"""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event as Flag

from eventsourcing.persistence import IntegrityError, OperationalError

from trackledger.adapters.proof import heads
from trackledger.adapters.proof.heads import Head, Trust
from trackledger.adapters.proof.judged import Kept, stored_heads
from trackledger.adapters.proof.leaves import as_bytes, event_hash, in_words, stored
from trackledger.adapters.proof.notes import SigningKey
from trackledger.adapters.proof.tiles import POSITION, Tiles, grown
from trackledger.adapters.storage.database import Database
from trackledger.adapters.storage.schema import TREE_HEADS, HeadRow
from trackledger.domain import merkle
from trackledger.domain.errors import Refused, UsageError
from trackledger.domain.merkle import CompactRange

PAGE = 10_000
"""Events that are hashed in one transaction."""

AT_ONCE = 1000
"""Events that are held in memory."""

_WAY_OUT = (
    "look at the rest with `trackledger verify`, and with a head kept outside, then go on without this one with "
    "`trackledger seal --drop-head {}`"
)

log = logging.getLogger("trackledger.proof")


class Sealer:
    """Adds the events that are new to the tree, and signs the root.

    Any number of these may work at once, and each may be killed at any point: the next one goes on from there. `trust`
    is in the heads that may be there already; `clock` tells when it was sealed.
    """

    def __init__(
        self,
        database: Database,
        key: SigningKey,
        trust: Trust,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._key = key
        self._trust = trust
        self._origin = trust.origin or key.verifier.name
        self._clock = clock

    def seal(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Head:
        """A head over every event that was there at the beginning; the newest one, where none is new since.

        `progress` is told events hashed and in all. Raises `Refused` where the tree or the events cannot be those that
        were sealed before: a new signature would cover that up.
        """
        newest, hashed = newest_head(self._database), self._hashed()
        # What is sealed or hashed was there before.
        size = int(self._database.tuples("SELECT COALESCE(MAX(notification_id), 0) FROM {s}stored_events")[0][0])
        if size < (before := max(hashed, newest.size if newest else 0)):
            raise Refused(
                f"{before:,} events were hashed before and the ledger ends at position {size:,}; see what is missing "
                f"with `trackledger verify`"
            )
        if newest is not None:
            self._require_signature(newest)
            self._require_tree(newest)
            if newest.size == size:
                return newest
        self._hash_up_to(size, progress)
        return self._sign(size)

    def rehash(self, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Make the stored tree anew, where it alone was damaged: raises `Refused`, having changed nothing, where the
        events are not those of the newest head. `progress` is as in `seal`."""
        newest = newest_head(self._database)
        if newest is not None:
            self._require_signature(newest)
            self._require_events(newest)
        with self._database.transaction() as transaction:
            transaction.execute("DELETE FROM {s}tree_tiles")
            transaction.execute("UPDATE {s}positions SET position = 0 WHERE name = :name", name=POSITION)
        self._hash_up_to(newest.size if newest else 0, progress)

    def drop_head(self, size: int) -> None:
        """Take out the stored head over so many events, where it was damaged or is not to be believed. What it alone
        covered is then sealed as it is now. Raises `Refused` for any other head."""
        found = next(stored_heads(self._database, self._trust, size - 1, size), None)
        if found is None:
            raise Refused(f"there is no stored head over {size:,} events; see `trackledger verify`")
        if isinstance(found, Kept):
            raise Refused(f"the stored head over {size:,} events is sound and stays; leave --drop-head out")
        with self._database.transaction() as transaction:
            transaction.execute("DELETE FROM {s}tree_heads WHERE size = :size", size=size)
        log.warning("%s, and was taken out", found.says)

    def _hash_up_to(self, size: int, progress: Callable[[int, int], None]) -> None:
        while (done := self._hashed()) < size:
            progress(done, size)
            self._hash_page(done, min(size, done + PAGE))
        progress(size, size)

    def _require_events(self, head: Head) -> None:
        if CompactRange(self._leaves(1, head.size)).root() != head.root:
            raise Refused(
                f"the events are not those of the newest head, over {head.size:,} events; see which were changed with "
                f"`trackledger verify`"
            )

    def run(self, stop: Flag, every: timedelta) -> None:
        """Seal as often as that, together with those that do so in other processes, until told to stop."""
        while not stop.is_set():
            try:
                wait = self._seal_if_due(every)
            except (Refused, OperationalError) as error:
                log.error("the ledger cannot be sealed: %s", error)
                wait = every
            stop.wait(wait.total_seconds())

    def _seal_if_due(self, every: timedelta) -> timedelta:
        """How long it is until the next time."""
        newest = newest_head(self._database)
        due_in = newest.sealed_at + every - self._clock() if newest else timedelta()
        if timedelta() < due_in <= every:
            return due_in
        head = self.seal()
        if newest is None or head.size > newest.size:
            log.info("the ledger is sealed up to position %s", head.size)
        return every

    def _require_signature(self, head: Head) -> None:
        if why := self._trust.doubt(head):
            raise Refused(
                f"the newest head, over {head.size:,} events, {why}; add the verifier key of an earlier key to "
                f"verifier_keys in [proof], or if there is none, {_WAY_OUT.format(head.size)}"
            )

    def _require_tree(self, head: Head) -> None:
        if merkle.root(head.size, Tiles(self._database).node) != head.root:
            raise Refused(
                f"the stored tree is not that of the newest head, over {head.size:,} events, so that it was changed; "
                f"see what is wrong with `trackledger verify`"
            )

    def _hashed(self) -> int:
        found = self._database.tuples("SELECT position FROM {s}positions WHERE name = :name", name=POSITION)
        hashed = found[0][0] if found else 0
        if not isinstance(hashed, int) or hashed < 0:
            raise Refused(
                f"the sealer's place in `positions` was damaged, it is {hashed!r}; make the stored hashes anew with "
                f"`trackledger seal --rehash`"
            )
        return hashed

    def _hash_page(self, done: int, last: int) -> None:
        """Add the leaves behind `done` to the tiles, unless somebody else does so first."""
        leaves = list(self._leaves(done + 1, last))
        if len(leaves) != last - done:
            raise Refused(
                f"events are missing between the positions {done + 1:,} and {last:,}; see which with "
                f"`trackledger verify`"
            )
        growth = grown(Tiles(self._database), done, leaves)
        with self._database.transaction() as transaction:
            if done == 0:
                transaction.execute(
                    "INSERT INTO {s}positions (name, position) VALUES (:name, 0) ON CONFLICT (name) DO NOTHING",
                    name=POSITION,
                )
            moved = transaction.execute(
                "UPDATE {s}positions SET position = :last WHERE name = :name AND position = :done",
                last=last,
                name=POSITION,
                done=done,
            )
            if moved == 1:
                growth.write(transaction)

    def _leaves(self, first: int, last: int) -> Iterator[bytes]:
        for start in range(first, last + 1, AT_ONCE):
            for event in stored(self._database, self._database.dialect, start, min(last, start + AT_ONCE - 1)):
                yield event_hash(*event)

    def _sign(self, size: int) -> Head:
        root = merkle.root(size, Tiles(self._database).node)
        head = heads.sign(self._origin, size, root, self._clock(), self._key)
        try:
            with self._database.transaction() as transaction:
                transaction.insert(TREE_HEADS, [HeadRow(size, root, head.sealed_at, head.note)])
        except IntegrityError:
            # Somebody else has sealed the same events just now.
            newest = newest_head(self._database)
            assert newest is not None
            return newest
        return head


def newest_head(database: Database) -> Head | None:
    """The stored head over the most events, whoever signed it. Raises `Refused` for one that cannot be read."""
    note_ = as_bytes(database.dialect, "note")
    found = database.tuples(f"SELECT size, {note_} FROM {{s}}tree_heads ORDER BY size DESC LIMIT 1")
    if not found:
        return None
    size, note = found[0]
    try:
        head = heads.read(in_words(note), "it")
    except UsageError:
        head = None
    if head is None or head.size != size:
        raise Refused(f"the stored head over {size:,} events was damaged; {_WAY_OUT.format(size)}")
    return head
