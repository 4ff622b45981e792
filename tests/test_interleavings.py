"""Whatever is heard, corrected by hand and read again, in whichever order: do decisions and read models stay at one?

Of the domain alone, without a database, so that many more examples can be tried. The ledger and the database beneath it
have the same in `test_rereading` and `test_properties`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec import Struct
from msgspec.structs import asdict, replace

from support.reports import report
from support.scans import instant, scan, when
from trackledger.domain import corrections
from trackledger.domain.batch import Batch, Decision, Loaded, Receipt
from trackledger.domain.checkpoints import Checkpoint, Report
from trackledger.domain.corrections import Reading
from trackledger.domain.events import LedgerEvent
from trackledger.domain.identities import Identities, Known
from trackledger.domain.mapper import decode
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.rereading import Rereading, Review
from trackledger.domain.shipment import Shipment
from trackledger.domain.shipment import fold as decided
from trackledger.domain.statements import Statements, fold, known_at

ID = "default:clickpost:4:AWB1"
WHO = ("clerk@shop", "the customer sent a photo")

FACTS = ("always", "always too", "later", "never", "twin", "never too")
"""Checkpoints of the real world, by whether the provider gives them an id; `twin` has the fingerprint of `later`."""

import os
MAPPINGS = tuple(os.environ.get("M", "status,zone,drops,no ids").split(","))


class Line(Struct, frozen=True):
    """What a message says in the provider's words."""

    fact: str
    version: int
    id: str


class Told(Struct, frozen=True):
    """One message."""

    number: int
    day: int
    lines: tuple[Line, ...]
    whole: bool


def read(line: Line, mapping: frozenset[str]) -> Checkpoint:
    place = FACTS.index("later" if line.fact == "twin" else line.fact)
    said = f"{3 + place} 10:00"
    checkpoint = scan(
        "in_transit" if "status" in mapping and place % 2 else "arrived",
        f"{3 + place} 15:30" if "zone" in mapping else said,
        id="" if "no ids" in mapping and "always" in line.fact else line.id,
        said=f"version {line.version}",
        mark=f"{place}",
    )
    return replace(checkpoint, occurred=replace(checkpoint.occurred, said=said))


def reported(told: Told, mapping: frozenset[str]) -> Report:
    lines = [one for one in told.lines if not ("drops" in mapping and one.fact == "never too")]
    return report(
        *(read(line, mapping) for line in lines),
        at=f"{told.day} 12:00",
        message=f"message {told.number}",
        whole=told.whole,
    )


class Stream:
    """One shipment's events, and what is decided about it."""

    def __init__(self) -> None:
        self.placed: list[LedgerEvent] = []
        self.stored: list[Any] = []
        self.now = datetime(2025, 6, 1, tzinfo=UTC)

    def decide(self, *decisions: Decision) -> list[Receipt]:
        self.now += timedelta(minutes=1)
        batch = Batch({ID: Loaded(ID, tuple(self.stored))} if self.stored else {}, frozenset({"clickpost"}))
        receipts = [batch.decide(ID, decision, self.now) for decision in decisions]
        assert [one.error for one in receipts if one.error] == []
        self.stored += batch.events
        self.placed += map(decode, batch.events)
        return receipts

    def hear(self, *told: Report) -> list[Receipt]:
        return self.decide(*(lambda batch, now, one=one: batch.report(one, now) for one in told))

    def correct(self, decide: Any) -> Receipt:
        (receipt,) = self.decide(lambda batch, now: batch.correct(ID, lambda said: decide(said, now)))
        return receipt

    def reread(self, reports: Iterable[Report]) -> Review:
        review = Review()
        readings = [Rereading(one) for one in reports]

        def first(batch: Batch, now: datetime) -> Any:
            review.untold = [one.report for one in readings]
            shipment, events, judgement = batch.reread(readings, {"clickpost": "2+0c"}, "ops@shop", review, now)
            review.events = list(events)
            return shipment, events, judgement

        def then(number: int, batch: Batch, now: datetime) -> Any:
            shipment, events, judgement = batch.untold(review, number, now)
            review.events += events
            return shipment, events, judgement

        self.decide(first, *(partial(then, number) for number in range(len(readings))))
        return review

    @property
    def said(self) -> Statements:
        return fold(ID, self.placed)

    @property
    def shipment(self) -> Shipment:
        return decided(ID, (one.event for one in self.placed))


def state(identities: Identities) -> Any:
    def of(known: Known) -> Any:
        return (
            known.key,
            known.standing,
            known.standing_at,
            dict(known.older or {}),
            known.tracker,
            known.heard_at,
            known.withdrawn_at,
        )

    return (
        {key: of(known) for key, known in identities._by_id.items()},
        {key: of(known) for key, known in identities._without_id.items()},
        dict(identities._id_of),
    )


READINGS = st.sampled_from(
    [
        Reading(milestone=Milestone.DELIVERED),
        Reading(milestone=Milestone.ARRIVED),
        Reading(location="Pune"),
        Reading(ndr_reason=NdrReason.REFUSED),
        Reading(ndr_reason=None),
        Reading(leg=Leg.RETURN, remark="a photo"),
        Reading(occurred=when("9 09:00")),
    ]
)


class Interleaving(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stream = Stream()
        self.untouched = Stream()
        self.mapping: frozenset[str] = frozenset()
        self.messages: list[Told] = []
        self.version = dict.fromkeys(FACTS, 0)
        self.by_hand = False
        self.mappings = set()

    def report(self, told: Told) -> Report:
        return reported(told, self.mapping)

    @rule(
        day=st.integers(10, 18),
        facts=st.sets(st.sampled_from(FACTS)),
        identified=st.booleans(),
        whole=st.booleans(),
        both=st.booleans() if "BOTH" in os.environ else st.just(False),
    )
    def hear(self, day: int, facts: set[str], identified: bool, whole: bool, both: bool) -> None:
        lines = tuple(
            Line(
                fact,
                version,
                f"clickpost:{fact}" if "always" in fact or (identified and fact in ("later", "twin")) else "",
            )
            for fact in sorted(facts)
            for version in ({0, self.version[fact]} if both else {self.version[fact]})
        )
        told = Told(len(self.messages), day, lines, whole)
        self.messages.append(told)
        assert self.stream.hear(self.report(told)) == self.untouched.hear(self.report(told))

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        told = replace(data.draw(st.sampled_from(self.messages)), number=len(self.messages))
        self.messages.append(told)
        assert self.stream.hear(self.report(told)) == self.untouched.hear(self.report(told))

    @rule(fact=st.sampled_from(FACTS))
    def change(self, fact: str) -> None:
        for one in ("later", "twin") if fact in ("later", "twin") else (fact,):
            self.version[one] += 1

    @rule(mapping=st.sets(st.sampled_from(MAPPINGS)))
    def map_otherwise(self, mapping: set[str]) -> None:
        self.mapping = frozenset(mapping)
        self.mappings.add(self.mapping)

    def keys(self) -> list[str]:
        return [told.checkpoint.key for told in self.stream.said.told()]

    @precondition(lambda self: self.keys())
    @rule(data=st.data(), reading=READINGS)
    def amend(self, data: st.DataObject, reading: Reading) -> None:
        key = data.draw(st.sampled_from(self.keys()))
        self.stream.correct(lambda said, now: corrections.amend(said, key, reading, *WHO, now))
        again = self.stream.correct(lambda said, now: corrections.amend(said, key, reading, *WHO, now))
        assert again.events == 0
        self.by_hand = True

    @precondition(lambda self: self.keys())
    @rule(data=st.data(), undone=st.booleans())
    def withdraw(self, data: st.DataObject, undone: bool) -> None:
        key = data.draw(st.sampled_from(self.keys()))
        self.stream.correct(lambda said, now: corrections.withdraw(said, [key], *WHO, now, undone=undone))
        assert self.stream.said.is_struck(key) is not undone
        self.by_hand = True

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def read_again(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.messages), unique=True, min_size=1))
        self.reread(some)

    def reread(self, some: list[Told]) -> None:
        self.stream.reread(map(self.report, some))
        self.untouched.reread(map(self.report, some))
        assert self.stream.reread(map(self.report, some)).events == []

    @invariant()
    def decisions_and_read_models_know_the_same(self) -> None:
        for stream in (self.stream, self.untouched):
            said = stream.said
            assert state(stream.shipment._known) == state(said._known)
            for known in said._known:
                assert set(known.tellings or {}) == {known.standing, *(known.older or {})}
                for digest, (at, telling) in (known.tellings or {}).items():
                    assert telling.checkpoint.digest == digest
            said.told()
        assert state(self.stream.shipment._known) == state(self.untouched.shipment._known)

    def teardown(self) -> None:
        if not self.messages:
            return
        self.reread(self.messages)
        fresh = Stream()
        for told in self.messages:
            fresh.hear(self.report(told))
        if not any('no ids' in m for m in self.mappings): assert shown(fresh.said) == shown(self.untouched.said), '\n'.join(map(str,[shown(fresh.said), shown(self.untouched.said), *self.messages, self.mapping, *[p.event for p in self.untouched.placed]]))
        for told in self.messages:
            a = fresh.hear(self.report(told))
            b = self.untouched.hear(self.report(told))
            c = self.stream.hear(self.report(told))
            assert b == c


def shown(said: Statements) -> Any:
    return [
        (t.checkpoint.key, t.checkpoint.digest, t.checkpoint.milestone, t.checkpoint.occurred)
        for t in said.told() if not t.withdrawn
    ]


import os
from hypothesis import Phase
PH=[Phase.generate] + [Phase.shrink]*('S' in os.environ)
N = int(os.environ.get("N", "300"))


def test_interleavings() -> None:
    run_state_machine_as_test(
        Interleaving,
        settings=settings(max_examples=N, stateful_step_count=25, deadline=None, derandomize=True, database=None, report_multiple_bugs=False, phases=PH),
    )
