"""Is the ledger still what was sealed, whole, in order and readable?"""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from msgspec import Struct

from trackledger.adapters.proof.findings import Finding, Findings
from trackledger.adapters.proof.heads import Trust
from trackledger.adapters.proof.judged import Judged, Kept, attributed, contradicted, stored_heads
from trackledger.adapters.proof.order import dense_end, ends, surplus
from trackledger.adapters.proof.recomputed import RANGE, Part, Task, recompute, versions
from trackledger.adapters.proof.tiles import HEIGHT, POSITION, WIDTH, Tiles
from trackledger.adapters.proof.upper_levels import UpperLevels
from trackledger.adapters.ranges import in_order, workers
from trackledger.adapters.runtime import Runtime
from trackledger.domain.errors import UsageError
from trackledger.domain.merkle import EMPTY_ROOT, CompactRange, joined

SPARSE = 16 * RANGE
"""Positions in a row without an event behind which nothing is looked for."""


class Verified(Struct, frozen=True):
    """What was found in `events`, of which the first `sealed` are covered by the newest of `heads` that agrees, sealed
    at `sealed_at`. The first of `count` findings are in `findings`."""

    events: int
    sealed: int
    sealed_at: datetime | None
    heads: int
    outside_heads: int
    findings: list[Finding]
    count: int


def verify(
    runtime: Runtime,
    trust: Trust,
    outside: Sequence[Kept] = (),
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verified:
    """Hash every event anew and compare with the stored tree, with every head in the ledger and with those `outside`;
    look whether positions and versions are without gaps, and whether every event can be read.

    Events that are recorded meanwhile are left out. Work is divided among `processes`, by default one for each CPU;
    memory stays flat. `progress` is told events done and in all. Raises `UsageError` for a head from outside that is
    not to be believed. Writes nothing.
    """
    for kept in outside:
        if why := trust.doubt(kept.head):
            remedy = "give its verifier key with --key, or in verifier_keys in [proof]"
            raise UsageError(f"{kept.file}: this head {why}; {remedy}")
    return _Verifying(runtime, trust, outside).verify(processes or os.cpu_count() or 1, progress)


class _Verifying:
    def __init__(self, runtime: Runtime, trust: Trust, outside: Sequence[Kept]) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._trust = trust
        self._outside = sorted(outside, key=lambda kept: kept.head.size)
        # What was sealed before this moment is over events that were there before the next.
        self._newest = self._number("SELECT MAX(size) FROM {s}tree_heads")
        hashed = self._number("SELECT MAX(position) FROM {s}positions WHERE name = :name", name=POSITION)
        self._end, self._counter = ends(self._database)
        self._last = dense_end(self._database, self._end, SPARSE)
        self._hashed = max(hashed, self._newest)
        self._events = 0
        self._heads: list[Judged] = []
        self._stored = 0
        self._suspects = Findings()
        self._about_heads = Findings()
        self._out_of_order: list[Finding] = []

    def _number(self, sql: str, **params: object) -> int:
        found = self._database.tuples(sql, **params)[0][0]
        # An SQLite column holds what it is given.
        return max(found, 0) if isinstance(found, int) else 0

    def verify(self, processes: int, progress: Callable[[int, int], None]) -> Verified:
        """Everything, in order."""
        found = Findings()
        found.add(*surplus(self._database, self._end, self._counter))
        self._recompute(processes, progress)
        found.add(*attributed(self._suspects.named, self._heads))
        found.count += self._suspects.count - len(self._suspects.named)
        found.add(*self._missing_at_the_end())
        found.add(*self._out_of_order)
        found.add(*self._about_heads.named, *contradicted(self._heads, self._last))
        found.count += self._about_heads.count - len(self._about_heads.named)
        agreeing = [one for one in self._heads if one.events]
        newest = max(agreeing, key=lambda one: one.size, default=None)
        return Verified(
            self._events,
            newest.size if newest else 0,
            newest.kept.head.sealed_at if newest else None,
            self._stored,
            len(self._outside),
            found.named,
            found.count,
        )

    def _recompute(self, processes: int, progress: Callable[[int, int], None]) -> None:
        database, settings, last = self._database, self._runtime.settings, self._last
        for kept in self._heads_over(-(2**62), 0):
            self._judge(kept, EMPTY_ROOT, EMPTY_ROOT)
        tree = Tiles(database)
        upper = UpperLevels(tree, self._hashed)
        by_events, by_hashes = CompactRange(), CompactRange()
        count = max(1, min(processes, -(-last // RANGE)))
        task = Task(settings.database, settings.allow_volatile, self._hashed)
        waiting: list[list[Kept]] = []
        with workers(count) as pool:
            order = pool.submit(versions, task, last)
            ahead = 1 if count == 1 else count + 2
            for part in in_order(pool, ahead, recompute, self._tasks(task, waiting)):
                self._take(part, waiting.pop(0), by_events, by_hashes, upper)
                progress(min(part.first + RANGE - 1, last), last)
            self._out_of_order = order.result()
        self._suspects.add(*upper.finish())
        for kept in self._heads_over(last, 2**62):
            self._judge(kept, None, None)

    def _tasks(self, task: Task, waiting: list[list[Kept]]) -> Iterator[tuple[Task, int, int, list[int]]]:
        """The ranges of the ledger; the heads that are over the end of each are added to `waiting`."""
        for first in range(1, self._last + 1, RANGE):
            last = min(first + RANGE - 1, self._last)
            kept = list(self._heads_over(first - 1, last))
            waiting.append(kept)
            yield task, first, last, sorted({one.head.size for one in kept})

    def _heads_over(self, after: int, upto: int) -> Iterator[Kept]:
        stored = stored_heads(self._database, self._trust, after, min(upto, self._newest))
        for one in chain(stored, (kept for kept in self._outside if after < kept.head.size <= upto)):
            if isinstance(one, Finding):
                self._about_heads.add(one)
            else:
                yield one
            self._stored += isinstance(one, Finding) or not one.file

    def _take(
        self, part: Part, heads: Sequence[Kept], by_events: CompactRange, by_hashes: CompactRange, upper: UpperLevels
    ) -> None:
        self._events += part.events
        self._suspects.add(*part.findings)
        self._suspects.count += part.count - len(part.findings)
        waiting = sorted(heads, key=lambda kept: kept.head.size)
        end = part.first - 1
        for pair in (*part.tiles, None):
            end += WIDTH
            while waiting and waiting[0].head.size <= end:
                kept = waiting.pop(0)
                events, hashes = part.beginnings[kept.head.size]
                self._judge(kept, joined(by_events.nodes + events), joined(by_hashes.nodes + hashes))
            if pair is not None:
                by_events.append(pair[0], HEIGHT)
                by_hashes.append(pair[1], HEIGHT)
                self._suspects.add(*upper.add(pair))

    def _judge(self, kept: Kept, by_events: bytes | None, by_hashes: bytes | None) -> None:
        root = kept.head.root
        self._heads.append(Judged(kept, by_events == root, by_hashes == root))

    def _missing_at_the_end(self) -> Iterator[Finding]:
        """Positions behind the last event that were handed out, hashed or sealed."""
        beyond = {
            self._counter: "were handed out",
            self._hashed: "were hashed",
            **{one.size: f"are covered by {one.kept}" for one in self._heads},
        }
        if self._end > self._last:
            says = "no event is there but for some after a wide gap, which were not looked at"
            yield Finding("missing", says, self._last + 1, self._end)
            return
        end = max(beyond)
        if end > self._last:
            says = f"the ledger ends before; these positions {beyond[end]}"
            yield Finding("missing", says, self._last + 1, end)
