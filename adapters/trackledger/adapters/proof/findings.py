"""What is not as it was sealed, in one line each?"""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

NAMED = 100
"""Findings that are named; the others are counted."""

Kind = Literal["changed", "moved", "missing", "surplus", "unreadable", "version", "hash", "head", "tables"]


class Finding(Struct, frozen=True):
    """One thing that is wrong, and where: `position`, or those from it up to and including `last`; the shipment, and
    the version of the event, where they are known.

    Kinds: an event was `changed`, stands elsewhere (`moved`), is `missing`, has no place (`surplus`), is `unreadable`,
    or its `version` does not follow; a `hash` of the stored tree, a `head`, or the `tables` are not what they should
    be.
    """

    kind: Kind
    says: str
    position: int | None = None
    last: int | None = None
    shipment_id: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        where = []
        several = self.position is not None and self.last is not None and self.last > self.position
        if self.position is not None:
            where.append(f"positions {self.position:,} to {self.last:,}" if several else f"position {self.position:,}")
        if self.shipment_id is not None:
            who = self.shipment_id + (f" version {self.version}" if self.version is not None else "")
            where.append(f"the first {who}" if several else who)
        return f"{', '.join(where)}: {self.says}" if where else self.says


class Findings:
    """The first of what was found, and how many there are in all."""

    def __init__(self) -> None:
        self.named: list[Finding] = []
        self.count = 0

    def add(self, *findings: Finding) -> None:
        """Take in findings. Of neighbours of which the same is said one is made."""
        for one in findings:
            before = self.named[-1] if self.named else None
            if before and one.kind in ("missing", "moved") and _goes_on(before, one):
                self.named[-1] = replace(before, last=one.last)
                continue
            if len(self.named) < NAMED:
                self.named.append(one)
            self.count += 1


def _goes_on(before: Finding, one: Finding) -> bool:
    return (before.kind, before.says) == (one.kind, one.says) and (before.last or 0) + 1 == one.position
