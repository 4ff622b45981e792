"""The fold depends on the set of statements, not on the order in which they were heard, nor on how often."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reports import OTHER_TRACKER, TRACKER, claim, estimate, report
from support.scans import instant, scan

from trackledger.domain.checkpoints import AssertionKind, Checkpoint, Registration, Report, Tracker
from trackledger.domain.events import Event, LedgerEvent, Opened
from trackledger.domain.shipment import Shipment
from trackledger.domain.statements import Statements, fold, known_at

OPENED = Opened(recorded_at=instant("1 00:00"), account="default", trackers=(TRACKER, OTHER_TRACKER))
REGISTRATION = Registration(trackers=(TRACKER,), details={"service": "Express"}, promised=estimate("promise", "9"))


def events_of(heard: Sequence[Report | Registration], withdrawals: bool = False) -> list[LedgerEvent]:
    """What the ledger holds once the shipment has heard these, one minute after the other."""
    shipment = Shipment("s1")
    happened: list[LedgerEvent] = []

    def happen(events: Sequence[Event]) -> None:
        for event in events:
            shipment.apply(event)
            happened.append(LedgerEvent("s1", shipment.version, event, len(happened) + 1))

    happen([OPENED])
    for minute, what in enumerate(heard, start=1):
        now = OPENED.recorded_at + timedelta(minutes=minute)
        if isinstance(what, Report):
            happen(shipment.report(what, now, withdrawals=withdrawals)[0])
        else:
            happen(shipment.register(what, now))
    return happened


def statements_of(*heard: Report | Registration, withdrawals: bool = False) -> Statements:
    return fold("s1", events_of(heard, withdrawals))


def told_by(statements: Statements) -> dict[str, Any]:
    """Everything that the statements say but for when, in which message and over which channel they arrived."""
    slots = sorted({(t.checkpoint.fingerprint, kind) for t in statements.told() for kind in AssertionKind})
    return {
        "checkpoints": [(t.checkpoint, t.provider, t.amended, t.withdrawn, t.ndr_said) for t in statements.told()],
        "estimates": sorted((e.estimate.source, e.estimate.digest) for e in statements.estimates),
        "details": {name: statements.detail(name) for name in ("carrier", "order_id", "service")},
        "claims": {kind: statements.assertion(kind) for kind in AssertionKind},
        "claims about": {slot: statements.assertion(slot[1], slot[0]) for slot in slots},
    }


@dataclass(frozen=True)
class Changing:
    """Something that changes at certain times and is never again what it was."""

    changes: list[int]

    def version(self, at: int) -> int:
        return bisect_right(self.changes, at)


@dataclass(frozen=True)
class Scanned:
    """A checkpoint of the real world: `mark` makes its fingerprint, `id` is empty where the provider gives none."""

    milestone: str
    mark: str
    id: str
    content: Changing
    first: int
    last: int
    fingerprint_follows: bool = False

    def told(self, at: int, with_id: bool) -> Checkpoint:
        version = self.content.version(at)
        mark = f"{self.mark}.{version}" if self.fingerprint_follows else self.mark
        remark = f"version {version}"
        return scan(self.milestone, "1 10:00", mark=mark, remark=remark, id=self.id if with_id else "")


@dataclass(frozen=True)
class World:
    """What one tracker has to tell of."""

    tracker: Tracker
    scanned: list[Scanned]
    changing: dict[str, Changing] = field(default_factory=dict)


def changing(latest: int) -> st.SearchStrategy[Changing]:
    return st.builds(Changing, st.lists(st.integers(2, latest), max_size=2, unique=True).map(sorted))


@st.composite
def worlds(draw: st.DrawFn, tracker: Tracker, name: str, latest: int) -> World:
    """Checkpoints with and without ids, some of them twins under one fingerprint; those are told with ids only."""
    scanned: list[Scanned] = []
    for n in range(draw(st.integers(1, 3))):
        first = draw(st.integers(1, latest))
        content, last = draw(changing(latest)), draw(st.integers(first, latest))
        milestone = draw(st.sampled_from(["in_transit", "delivery_failed"]))
        kind = draw(st.sampled_from(["id", "id at times", "id, fingerprint follows", "no id", "twins"]))
        mark, id_ = f"{name}{n}", f"{tracker.provider}:{name}{n}"
        if kind == "twins":
            scanned += [Scanned(milestone, mark, f"{id_}{twin}", content, first, last, True) for twin in "ab"]
        else:
            follows = kind == "id, fingerprint follows"
            scanned.append(Scanned(milestone, mark, "" if kind == "no id" else id_, content, first, last, follows))
    facts = ("carrier", "provider", "detail", "status", "direction", "ndr")
    return World(tracker, scanned, {fact: draw(changing(latest)) for fact in facts})


@st.composite
def reports(draw: st.DrawFn, world: World, at: int, whole: bool) -> Report:
    """What the world was like at `at`, or a part of it.

    A whole history always claims something of its own. A history that repeats what is known leaves no event, and one
    heard after it cannot know that it was told.
    """
    checkpoints = []
    for one in world.scanned:
        if one.first <= at <= one.last if whole else draw(st.booleans()):
            only_with_id = one.fingerprint_follows
            checkpoints.append(one.told(at, only_with_id or (bool(one.id) and draw(st.booleans()))))
    version = {fact: change.version(at) for fact, change in world.changing.items()}
    first_tracker = world.tracker == TRACKER
    estimates = [estimate(source, str(5 + version[source])) for source in ("carrier", "provider")]
    claims = [
        claim("status" if first_tracker else "stuck", f"{at}" if whole else f"{version['status']}"),
        claim("ndr", "refused" if version["ndr"] else "bad_address", f"{version['ndr']}", checkpoint_mark(world)),
    ]
    if first_tracker:
        claims.append(claim("direction", "return" if version["direction"] else "forward", f"{version['direction']}"))
    some: st.SearchStrategy[Any] = st.booleans()
    return report(
        *draw(st.permutations(checkpoints)),
        at=f"{at} 12:00",
        received=f"{draw(st.integers(1, 31))} 13:00",
        channel=draw(st.sampled_from(["poll", "webhook"])),
        whole=whole,
        estimates=tuple(e for e in estimates if draw(some)),
        assertions=tuple(c for n, c in enumerate(claims) if (whole and n == 0) or draw(some)),
        details={"carrier" if first_tracker else "order_id": f"{version['detail']}"} if draw(some) else {},
        tracker=world.tracker,
    )


def checkpoint_mark(world: World) -> str:
    """The fingerprint of the first checkpoint as it was first told."""
    return world.scanned[0].told(0, False).fingerprint


@st.composite
def tellings(draw: st.DrawFn, whole: bool = False) -> tuple[list[Report | Registration], list[Report | Registration]]:
    """Reports in the order of their time, and the same shuffled, some of them twice.

    No two reports are of one time, and nothing is ever again what it was: of two contents, or of two histories of one
    time, the fold cannot know which is newer, and a repetition is not kept.
    """
    latest = draw(st.integers(2, 7))
    both = [draw(worlds(TRACKER, "a", latest)), draw(worlds(OTHER_TRACKER, "b", latest))]
    in_time: list[Report | Registration] = [REGISTRATION]
    in_time += [draw(reports(both[draw(st.sampled_from([0, 0, 0, 1]))], at, whole)) for at in range(1, latest + 1)]
    twice = draw(st.lists(st.sampled_from(in_time), max_size=4))
    return in_time, draw(st.permutations([*in_time, *twice]))


@settings(max_examples=300, deadline=None)
@given(tellings())
def test_the_order_of_arrival_is_irrelevant_and_twice_is_once(
    telling: tuple[list[Report | Registration], list[Report | Registration]],
) -> None:
    in_time, as_heard = telling
    assert told_by(statements_of(*as_heard)) == told_by(statements_of(*in_time))


@settings(max_examples=300, deadline=None)
@given(tellings(whole=True))
def test_the_order_of_arrival_is_irrelevant_to_withdrawals(
    telling: tuple[list[Report | Registration], list[Report | Registration]],
) -> None:
    """Of whole histories, in which a checkpoint that is gone stays gone."""
    in_time, as_heard = telling
    assert told_by(statements_of(*as_heard, withdrawals=True)) == told_by(statements_of(*in_time, withdrawals=True))


@settings(max_examples=100, deadline=None)
@given(tellings(), st.booleans())
def test_what_was_heard_once_leaves_no_event_when_heard_again(
    telling: tuple[list[Report | Registration], list[Report | Registration]], withdrawals: bool
) -> None:
    _, as_heard = telling
    once = events_of(as_heard, withdrawals)
    assert events_of([*as_heard, as_heard[-1]], withdrawals) == once
