"""Which statements are about the same checkpoint, and does the provider still make them?"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.events import Correction
from trackledger.domain.versions import Versions


class Known(Versions):
    """One checkpoint as known: its versions, its identity, whether the provider still states it, and whether somebody
    struck it by hand."""

    __slots__ = ("heard_at", "key", "struck", "tellings", "tracker", "withdrawn_at")

    def __init__(self, checkpoint: Checkpoint, tracker: str, at: datetime) -> None:
        self.standing = checkpoint.digest
        self.standing_at = at
        self.older = None
        self.key = checkpoint.key
        self.tracker = tracker
        self.heard_at = at
        self.withdrawn_at: datetime | None = None
        self.struck = False
        self.tellings: dict[str, tuple[datetime, Any]] | None = None

    @property
    def is_withdrawn(self) -> bool:
        """Whether the provider's last word was that this checkpoint is gone."""
        return self.withdrawn_at is not None and self.withdrawn_at > self.heard_at

    def state(self, checkpoint: Checkpoint, at: datetime) -> None:
        """Take in a recorded version; being stated again ends a withdrawal that is older."""
        self.add(checkpoint.digest, at)
        self.heard_at = max(self.heard_at, at)

    def withdraw(self, at: datetime) -> None:
        """Take in that it was no longer stated at `at`."""
        self.withdrawn_at = max(self.withdrawn_at or at, at)

    def absorb(self, other: "Known") -> None:
        """Take in another checkpoint that turned out to be this one."""
        self.merge(other)
        self.heard_at = max(self.heard_at, other.heard_at)
        self.struck = self.struck or other.struck
        if other.withdrawn_at is not None:
            self.withdraw(other.withdrawn_at)
        if other.tellings:
            self.tellings = {**other.tellings, **(self.tellings or {})}


class Identities:
    """The checkpoints of one shipment, each found by the provider's id or, without one, by its fingerprint.

    The result depends on the set of statements only. A statement without an id belongs to a checkpoint with an id as
    soon as any version of that one has its fingerprint; until then it is a checkpoint of its own.
    """

    __slots__ = ("_by_id", "_id_of", "_moved", "_without_id")

    def __init__(self) -> None:
        self._by_id: dict[str, Known] = {}
        self._without_id: dict[str, Known] = {}
        self._id_of: dict[str, str] = {}
        self._moved: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_id) + len(self._without_id)

    def __iter__(self) -> Iterator[Known]:
        yield from self._by_id.values()
        yield from self._without_id.values()

    def find(self, checkpoint: Checkpoint) -> Known | None:
        """The checkpoint that this statement is about, if it is known."""
        if checkpoint.id:
            return self._by_id.get(checkpoint.id) or self._without_id.get(checkpoint.fingerprint)
        id_ = self._id_of.get(checkpoint.fingerprint)
        return self._by_id[id_] if id_ is not None else self._without_id.get(checkpoint.fingerprint)

    def identified_by(self, checkpoint: Checkpoint) -> Known | None:
        """What was known by its fingerprint only and is given an id by this statement."""
        return self._without_id.get(checkpoint.fingerprint) if self._without_id and checkpoint.id else None

    def identify(self, fingerprint: str, id_: str, at: datetime) -> None:
        """Take in a recorded identification, said at `at`."""
        loose = self._without_id.pop(fingerprint, None)
        if loose is not None:
            self._id_of.setdefault(fingerprint, id_)
            known = self._adopt(loose, id_)
            known.heard_at = max(known.heard_at, at)

    def _adopt(self, loose: Known, id_: str) -> Known:
        known = self._by_id.get(id_)
        if known is not None:
            known.absorb(loose)
            return known
        loose.key = id_
        self._by_id[id_] = loose
        return loose

    def state(self, checkpoint: Checkpoint, tracker: str, at: datetime) -> Known:
        """Take in a recorded statement."""
        id_, fingerprint = checkpoint.id, checkpoint.fingerprint
        if not id_:
            known = self.find(checkpoint)
            if known is None:
                known = self._without_id[fingerprint] = Known(checkpoint, tracker, at)
                return known
        else:
            loose = self._without_id.pop(fingerprint, None) if self._without_id else None
            if fingerprint not in self._id_of:
                self._id_of[fingerprint] = id_
            known = self._by_id.get(id_) if loose is None else self._adopt(loose, id_)
            if known is None:
                known = self._by_id[id_] = Known(checkpoint, tracker, at)
                return known
        known.state(checkpoint, at)
        return known

    def correct(self, correction: Correction) -> Known | None:
        """Take in a recorded correction; the checkpoint that it is about, None if there is none.

        Where the new reading identifies the statement otherwise, it is found by that from now on, together with what
        was told by that identity already.
        """
        known = self.by_key(self.listed_as(correction.key))
        if known is None:
            return None
        checkpoint = correction.checkpoint
        known.rename(correction.replaces, checkpoint.digest)
        before, fingerprint = known.key, checkpoint.fingerprint
        has_id = before in self._by_id
        key = checkpoint.id or (before if has_id else self._id_of.get(fingerprint, checkpoint.key))
        if key != before:
            if has_id:
                del self._by_id[before]
                for told, owner in self._id_of.items():
                    if owner == before:
                        self._id_of[told] = key
            else:
                del self._without_id[before.removeprefix("~")]
            self._moved.pop(key, None)
            self._moved[before] = known.key = key
        is_loose = key.startswith("~")
        if not is_loose:
            self._id_of.setdefault(fingerprint, key)
        for other in (self._by_id.get(key), self._without_id.pop(fingerprint, None)):
            if other is not None and other is not known:
                known.absorb(other)
        (self._without_id if is_loose else self._by_id)[fingerprint if is_loose else key] = known
        return known

    def listed_as(self, key: str) -> str:
        """The key under which the checkpoint is listed now that once was under `key`; the same where there is none."""
        while (known := self.by_key(key)) is None and key in self._moved:
            key = self._moved[key]
        return known.key if known is not None else self._id_of.get(key.removeprefix("~"), key)

    def by_key(self, key: str) -> Known | None:
        """The checkpoint listed under `key`."""
        return self._by_id.get(key) or self._without_id.get(key.removeprefix("~"))
