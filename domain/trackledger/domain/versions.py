"""Of all versions of a statement, which one stands, whatever the order in which we heard them?"""

from collections.abc import Container, Mapping
from datetime import datetime
from typing import TypeVar

S = TypeVar("S")


class Versions:
    """Every version of one statement. The one said last stands; equal times are decided by the digest.

    A repetition is not stored, so that the time at which a version was said is that of its first telling. A provider
    that changes a statement and changes it back, heard out of order, can therefore leave the middle version standing.
    """

    __slots__ = ("older", "standing", "standing_at")

    def __init__(self, digest: str, at: datetime) -> None:
        self.standing = digest
        self.standing_at = at
        self.older: dict[str, datetime] | None = None

    def is_news(self, digest: str, at: datetime) -> bool:
        """Whether the version `digest`, said at `at`, is worth recording: a new one, or a return to an older one."""
        if digest == self.standing:
            return False
        return (at, digest) > (self.standing_at, self.standing) or not self.had(digest)

    def had(self, digest: str) -> bool:
        """Whether the version is one that does not stand."""
        return self.older is not None and digest in self.older

    def add(self, digest: str, at: datetime) -> None:
        """Take in a recorded version."""
        if digest == self.standing:
            self.standing_at = min(self.standing_at, at)
            return
        older = self.older = self.older or {}
        if (at, digest) > (self.standing_at, self.standing):
            older[self.standing] = self.standing_at
            older.pop(digest, None)
            self.standing, self.standing_at = digest, at
        else:
            older[digest] = min(at, older.get(digest, at))

    def rename(self, digest: str, other: str) -> None:
        """Take in that the version `digest` is read as `other` now; when it was said stays."""
        if digest == other:
            return
        if digest == self.standing:
            self.standing = other
            if self.older:
                self.older.pop(other, None)
        elif self.older and (at := self.older.pop(digest, None)) is not None and other != self.standing:
            self.older[other] = min(at, self.older.get(other, at))

    def first_told(self, digest: str) -> datetime | None:
        """When a version was said first, as far as we heard; None for one that was not."""
        return self.standing_at if digest == self.standing else (self.older or {}).get(digest)

    def merge(self, other: "Versions") -> None:
        """Take in all versions of what turned out to be the same statement."""
        for digest, at in (other.older or {}).items():
            self.add(digest, at)
        self.add(other.standing, other.standing_at)


Slot = tuple[str, str, str]
"""Whose statement, of which kind, about what."""


class Slots:
    """The versions of statements that are told apart by who makes them about what, not by an id of their own."""

    __slots__ = ("_versions",)

    def __init__(self) -> None:
        self._versions: dict[Slot, Versions] = {}

    def correct(self, slot: Slot, digest: str, other_slot: Slot, other: str) -> None:
        """Take in that what was told of `slot` as `digest` is read as `other`, told of `other_slot`."""
        versions = self._versions.get(slot)
        if versions is None or (at := versions.first_told(digest)) is None:
            return
        if slot == other_slot:
            versions.rename(digest, other)
        else:
            self.add(other_slot, other, at)

    def add(self, slot: Slot, digest: str, at: datetime) -> None:
        """Take in a recorded version."""
        versions = self._versions.get(slot)
        if versions is None:
            self._versions[slot] = Versions(digest, at)
        else:
            versions.add(digest, at)

    def news(self, said: Mapping[tuple[Slot, str], S], at: datetime, *, first_told: bool = False) -> tuple[S, ...]:
        """Of the statements that one message makes, by slot and digest, those worth recording.

        A message that states two contents of one slot returns to neither by stating both again. Where it matters since
        when a statement was made, `first_told`, the same said earlier is news too.
        """
        return tuple(
            statement
            for (slot, digest), statement in said.items()
            if self._is_news(slot, digest, at, said) or (first_told and self._is_earlier(slot, digest, at))
        )

    def _is_earlier(self, slot: Slot, digest: str, at: datetime) -> bool:
        versions = self._versions.get(slot)
        first_told = versions.first_told(digest) if versions else None
        return first_told is not None and at < first_told

    def _is_news(self, slot: Slot, digest: str, at: datetime, said: Container[tuple[Slot, str]]) -> bool:
        versions = self._versions.get(slot)
        if versions is None:
            return True
        both_told = versions.had(digest) and (slot, versions.standing) in said
        return versions.is_news(digest, at) and not both_told
