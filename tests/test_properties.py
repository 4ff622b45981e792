"""Whatever is said, in whichever order, how often, and over which channel it is heard: the tables are the same.

From the reports through ledger, pump and database to the rows, on both databases. `test_statements` has the same of the
fold alone, with many more examples.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec import Struct
from msgspec.structs import replace

from support.reports import claim, estimate, report
from support.rows import ARRIVAL, Rows, fresh, rows
from support.scans import scan
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.checkpoints import Channel, Checkpoint, Registration, Report, Tracker
from trackledger.domain.ledger import Ledger
from trackledger.domain.milestones import Milestone
from trackledger.projections.projector import Projector
from trackledger.projections.rebuild import rebuild
from trackledger.projections.tables import TABLES

EXAMPLES = {"sqlite": 200, "postgresql": 40}
LATEST = 6
"""Reports of one tracker are of the days 1 to so many, and no two of one day."""

DAYS = ("3", "3 10:00", "3 10:00", "3 18:30", "4", "4 09:00", "5 09:00", "7")

SOURCES = ("carrier", "provider", "sla")
DETAILS = ("carrier", "order_id", "origin")

MARKS = range(5)

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

    # Connected before the first example is drawn: connecting takes random numbers, which Hypothesis watches.
    assert runtime.store.head() == 0
    check()
    assert [parity.holds for parity in rebuild(runtime.rebuilds)] == [True] * len(TABLES)
    assert rows(runtime.store) == fresh(runtime)


# Many steps, against a model


class Kept(Struct):
    """What the model knows of one shipment: the version of each checkpoint, who told of it first, and what is gone."""

    versions: dict[int, int]
    told_by: dict[int, str]
    gone: set[int]
    reference: str = ""


class LedgerMachine(RuleBasedStateMachine):
    """Reports, whole histories and registrations in the order of their time, in an account of its own.

    The model is a dictionary of shipments and one of the keys that lead to them.
    """

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self.account = f"m{next(_accounts)}"
        self.ledger = Ledger(Recorder(runtime.database), withdraws={"clickpost"})
        self.minute = 0
        self.version = dict.fromkeys(MARKS, 0)
        self.owner: dict[str, str] = {}
        self.kept: dict[str, Kept] = {}
        self.last: Report | None = None

    def key(self, provider: str, reference: str) -> str:
        return f"{self.account}:{provider}:{reference}"

    @rule(tracker=st.sampled_from(range(4)), marks=st.sets(st.sampled_from(MARKS)), whole=st.booleans())
    def hear(self, tracker: int, marks: set[int], whole: bool) -> None:
        self.minute += 1
        key = self.key("clickpost", f"4:T{tracker}")
        shipment_id = self.owner.get(key, key)
        opened = shipment_id not in self.kept
        kept = self.kept.setdefault(shipment_id, Kept({}, {}, set()))
        self.owner[key] = shipment_id
        recorded = {mark for mark in marks if mark not in kept.versions}
        amended = {mark for mark in marks - recorded if kept.versions[mark] != self.version[mark]}
        reinstated = kept.gone & marks
        gone = {m for m in kept.versions if whole and m not in marks | kept.gone and kept.told_by[m] == key}
        kept.versions |= {mark: self.version[mark] for mark in marks}
        kept.told_by |= dict.fromkeys(recorded, key)
        kept.gone = kept.gone - marks | gone
        self.last = replace(
            report(
                *(self.checkpoint(mark) for mark in sorted(marks)),
                at=f"2 {self.minute // 60:02}:{self.minute % 60:02}",
                whole=whole,
                tracker=Tracker("clickpost", f"4:T{tracker}", "Delhivery", f"T{tracker % 2}"),
            ),
            account=self.account,
        )

        receipt = self.ledger.intake([self.last])[0]

        assert (receipt.shipment_id, receipt.error) == (shipment_id, "")
        assert (receipt.recorded, receipt.amended, receipt.repeated, receipt.withdrawn) == (
            len(recorded),
            len(amended),
            len(marks) - len(recorded) - len(amended),
            len(gone),
        )
        assert receipt.events == opened + bool(recorded or amended or reinstated) + bool(gone)

    def checkpoint(self, mark: int) -> Checkpoint:
        return scan("in_transit", "1 10:00", mark=f"{mark}", id=f"clickpost:{mark}", remark=f"{self.version[mark]}")

    @rule(mark=st.sampled_from(MARKS))
    def change(self, mark: int) -> None:
        self.version[mark] += 1

    @precondition(lambda self: self.last is not None)
    @rule(channel=st.sampled_from(["poll", "webhook"]))
    def hear_the_same_again(self, channel: Channel) -> None:
        assert self.last is not None
        receipt = self.ledger.intake([replace(self.last, channel=channel, message_id="again")])[0]
        assert (receipt.events, receipt.repeated) == (0, len(self.last.checkpoints))

    @rule(reference=st.sampled_from(["", "R0", "R1"]), trackers=st.sets(st.sampled_from(range(4)), max_size=2))
    def register(self, reference: str, trackers: set[int]) -> None:
        if not reference and not trackers:
            return
        linked = [Tracker("clickpost", f"4:T{n}", "Delhivery", f"T{n % 2}") for n in sorted(trackers)]
        keys = [self.key("host", reference)] if reference else []
        keys += [self.key("clickpost", tracker.reference) for tracker in linked]
        owners = {self.owner[key] for key in keys if key in self.owner}

        receipt = self.ledger.register([Registration(reference, self.account, tuple(linked))])[0]

        taken = len(owners) > 1
        if len(owners) == 1:
            known_as = self.kept[next(iter(owners))].reference
            taken = bool(reference and known_as and known_as != reference)
        assert bool(receipt.error) == taken
        if taken:
            assert receipt.events == 0
            return
        shipment_id = next(iter(owners), keys[0])
        assert receipt.shipment_id == shipment_id
        assert (receipt.events == 0) == all(key in self.owner for key in keys)
        self.owner |= dict.fromkeys(keys, shipment_id)
        kept = self.kept.setdefault(shipment_id, Kept({}, {}, set()))
        kept.reference = kept.reference or reference

    @rule(size=st.sampled_from([1, 3, 1000]))
    def pump(self, size: int) -> None:
        Projector(self.runtime.store, batch=size).step()

    @invariant()
    def every_key_leads_to_its_shipment(self) -> None:
        for key, shipment_id in self.owner.items():
            assert self.ledger.find(key.split(":", 2)[2], self.account) == [shipment_id]
        for number in ("T0", "T1"):
            numbered = {s for key, s in self.owner.items() if ":clickpost:" in key and f"T{int(key[-1]) % 2}" == number}
            assert set(self.ledger.find(number, self.account)) == numbered

    def teardown(self) -> None:
        self.runtime.projector.catch_up()
        held = rows(self.runtime.store, self.account)
        lines = {
            (row["shipment_id"], row["checkpoint_id"]): (row["remark"], row["withdrawn"]) for row in held["timeline"]
        }
        assert lines == {
            (id_.removeprefix(self.account), f"clickpost:{mark}"): (f"{version}", mark in kept.gone)
            for id_, kept in self.kept.items()
            for mark, version in kept.versions.items()
        }
        assert {row["shipment_id"]: (row["reference"], row["checkpoints"]) for row in held["shipments"]} == {
            id_.removeprefix(self.account): (kept.reference or None, len(kept.versions) - len(kept.gone))
            for id_, kept in self.kept.items()
        }


def test_the_ledger_behaves_like_a_dictionary_of_sets(tmp_path: Path) -> None:
    with open_runtime(Settings(f"sqlite:///{tmp_path / 'ledger.db'}")) as runtime:

        class OnFile(LedgerMachine):
            def __init__(self) -> None:
                super().__init__(runtime)

        run_state_machine_as_test(
            OnFile,
            settings=settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True, database=None),
        )
        assert rows(runtime.store) == fresh(runtime)
