"""Whatever is said, in whichever order, how often, and over which channel it is heard: the tables are the same.

From the reports through ledger, pump and database to the rows, on both databases. `test_statements` has the same of the
fold alone, with many more examples.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from support.reports import claim, estimate, report
from support.rows import ARRIVAL, Rows, fresh, rows
from support.scans import scan
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.checkpoints import Checkpoint, Registration, Report, Tracker
from trackledger.domain.ledger import Ledger
from trackledger.domain.milestones import Milestone
from trackledger.projections.projector import Projector
from trackledger.projections.rebuild import rebuild
from trackledger.projections.tables import TABLES

EXAMPLES = {"sqlite": 120, "postgresql": 25}
LATEST = 6
"""Reports of one tracker are of the days 1 to so many, and no two of one day."""

DAYS = ("3", "3 10:00", "3 10:00", "3 18:30", "4", "4 09:00", "5 09:00", "7")

SOURCES = ("carrier", "provider", "sla")
DETAILS = ("carrier", "order_id", "origin")

_accounts = count(1)


# What there is to tell


class Changing(Struct, frozen=True):
    """Something that changes on certain days and is never again what it was."""

    days: tuple[int, ...]

    def version(self, day: int) -> int:
        return bisect_right(self.days, day)


class Fact(Struct, frozen=True):
    """A checkpoint of the real world. `id` is empty where the provider gives none; `twin` shares its fingerprint."""

    milestone: Milestone
    when: str
    leg: str
    order: int
    mark: str
    id: str
    follows: bool
    content: Changing

    def told(self, day: int, with_id: bool) -> Checkpoint:
        version = self.content.version(day)
        return scan(
            self.milestone,
            self.when,
            self.leg,
            order=self.order,
            mark=f"{self.mark}.{version}" if self.follows else self.mark,
            id=self.id if with_id else "",
            remark=f"version {version}" if version else "",
            said=self.milestone,
            reason="refused" if self.milestone == "delivery_failed" and self.order else None,
        )


class World(Struct, frozen=True):
    """What one tracker has to tell of. `number` tells it from the others."""

    number: int
    tracker: Tracker
    facts: tuple[Fact, ...]
    changing: dict[str, Changing]


changes = st.lists(st.integers(2, LATEST), max_size=2, unique=True).map(lambda days: Changing(tuple(sorted(days))))


@st.composite
def worlds(draw: st.DrawFn, number: int) -> World:
    facts: list[Fact] = []
    for n in range(draw(st.integers(0, 4))):
        identity = draw(st.sampled_from(["id", "id at times", "id, fingerprint follows", "none", "twins"]))
        id_ = f"clickpost:{number}.{n}"
        fact = Fact(
            milestone=draw(st.sampled_from(list(Milestone))),
            when=draw(st.sampled_from(DAYS)),
            leg=draw(st.sampled_from(["forward", "forward", "return", "exchange"])),
            order=draw(st.integers(0, 1)),
            mark=f"{number}.{n}",
            id="" if identity == "none" else id_,
            follows=identity in ("id, fingerprint follows", "twins"),
            content=draw(changes),
        )
        facts.append(fact)
        if identity == "twins":
            facts.append(replace(fact, id=f"{id_}b"))
    changing = {name: draw(changes) for name in ("stuck", "ndr", "direction", "detail", *SOURCES)}
    return World(number, Tracker("clickpost", f"4:W{number}", "Delhivery", f"W{number}"), tuple(facts), changing)


@st.composite
def told_by(draw: st.DrawFn, world: World, day: int) -> Report:
    """What the provider says on a day: all of it or a part; a fact that has an id is told without it at times.

    Two trackers of one shipment do not contradict one another about the shipment as a whole.
    """
    checkpoints = [
        fact.told(day, fact.follows or (bool(fact.id) and draw(st.booleans())))
        for fact in world.facts
        if draw(st.booleans())
    ]
    version = {name: change.version(day) for name, change in world.changing.items()}
    claims = []
    if world.facts:
        about = world.facts[0].told(1, False).fingerprint
        claims.append(claim("ndr", "bad_address", f"{version['ndr']}", about))
    if world.number == 0:
        claims.append(claim("stuck", "no" if version["stuck"] == 1 else "yes", f"{version['stuck']}"))
        claims.append(claim("direction", "return" if version["direction"] else "forward", f"{version['direction']}"))
    windows = [estimate(source, f"{8 + version[source]}", f"{8 + 2 * version[source]}") for source in SOURCES]
    return report(
        *draw(st.permutations(checkpoints)),
        at=f"{day} 12:00",
        received=f"{draw(st.integers(day, 20))} 13:00",
        estimates=tuple(window for window in windows if draw(st.booleans())),
        assertions=tuple(c for c in claims if draw(st.booleans())),
        details={DETAILS[world.number]: f"{version['detail']}"} if draw(st.booleans()) else {},
        tracker=world.tracker,
    )


class Telling(Struct, frozen=True):
    """The same said twice: once in the order of time, one report after the other, and once as it may be heard."""

    wishes: list[Registration]
    in_time: list[Report]
    as_heard: list[list[Report]]
    pumps: list[int]


@st.composite
def tellings(draw: st.DrawFn) -> Telling:
    told = [draw(worlds(number)) for number in range(draw(st.integers(1, 3)))]
    in_time: list[Report] = []
    for day in range(1, LATEST + 1):
        in_time += [draw(told_by(world, day)) for world in told if draw(st.booleans())]
    twice = draw(st.lists(st.sampled_from(in_time), max_size=4)) if in_time else []
    heard = [
        replace(said, channel=draw(st.sampled_from(["poll", "webhook"])), message_id=f"heard {n}")
        for n, said in enumerate(draw(st.permutations([*in_time, *twice])))
    ]
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(heard) - 1)), max_size=4)))
    wishes = []
    if registered := draw(st.integers(0, 2)):
        trackers = tuple(world.tracker for world in told[:registered])
        promised = draw(st.sampled_from([None, estimate("promise", "9")]))
        wishes = [Registration("R1", trackers=trackers, details={"service": "Express"}, promised=promised)]
    return Telling(
        wishes,
        in_time,
        [heard[a:b] for a, b in zip([0, *cuts], [*cuts, len(heard)], strict=True)],
        draw(st.lists(st.sampled_from([0, 1, 2, 1000]), min_size=len(cuts) + 1, max_size=len(cuts) + 1)),
    )


# What becomes of it


def at_once() -> datetime:
    """One recording time for all, so that what counts from the opening of a shipment can be compared too."""
    return datetime(2025, 3, 1, tzinfo=UTC)


def held_after(
    runtime: Runtime, wishes: Sequence[Registration], heard: Sequence[Sequence[Report]], pumps: Sequence[int]
) -> Rows:
    """The rows of an account of their own, once these batches were heard and pumps of these sizes took a step between.

    Their ids are as if the account had no name.
    """
    account = f"a{next(_accounts)}"
    ledger = Ledger(Recorder(runtime.database), clock=at_once)
    receipts = ledger.register([replace(wish, account=account) for wish in wishes])
    for batch, pump in zip(heard, pumps, strict=True):
        receipts += ledger.intake([replace(said, account=account) for said in batch])
        if pump:
            Projector(runtime.store, batch=pump).step()
    assert [receipt.error for receipt in receipts if receipt.error] == []
    runtime.projector.catch_up()
    return rows(runtime.store, account, ARRIVAL)


def test_order_repetition_channel_and_batches_are_irrelevant_and_a_rebuild_equals_live(runtime: Runtime) -> None:
    @settings(max_examples=EXAMPLES[runtime.database.dialect], deadline=None, derandomize=True, database=None)
    @given(tellings())
    def check(telling: Telling) -> None:
        one_by_one = [[said] for said in telling.in_time]
        in_time = held_after(runtime, telling.wishes, one_by_one, [1] * len(one_by_one))
        assert held_after(runtime, telling.wishes, telling.as_heard, telling.pumps) == in_time
        assert held_after(runtime, telling.wishes, [telling.in_time], [0]) == in_time

    check()
    assert [(parity.only_new, parity.only_old) for parity in rebuild(runtime.store)] == [(0, 0)] * len(TABLES)
    assert rows(runtime.store) == fresh(runtime)
