"""Whatever is heard, corrected by hand and read again, in whichever order: do decisions and read models stay at one?

Of the domain alone, without a database, so that many more examples can be tried.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec import Struct
from msgspec.structs import replace

from support.reports import report
from support.scans import scan, when
from trackledger.domain import corrections
from trackledger.domain.batch import Batch, Deciding, Decision, Loaded, Receipt
from trackledger.domain.checkpoints import Checkpoint, Report
from trackledger.domain.corrections import Reading
from trackledger.domain.identities import Identities
from trackledger.domain.mapper import decode
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.rereading import Rereading, Review
from trackledger.domain.shipment import Shipment
from trackledger.domain.shipment import fold as decided
from trackledger.domain.statements import Statements, fold

ID = "default:clickpost:4:AWB1"
WHO = ("clerk@shop", "the customer sent a photo")

FACTS = ("always", "always too", "later", "never", "never too")
"""What happened to the parcel, each named by when its provider gives it an id."""

MAPPINGS = ("status", "zone", "dropped")
"""How mappings differ: in the status of every other fact, in the zone of times, and in that one fact is not read."""

READINGS = (
    Reading(milestone=Milestone.DELIVERED),
    Reading(milestone=Milestone.ARRIVED),
    Reading(location="Pune"),
    Reading(ndr_reason=NdrReason.REFUSED),
    Reading(ndr_reason=None),
    Reading(leg=Leg.RETURN, remark="see the photo"),
    Reading(occurred=when("9 09:00")),
)


class Line(Struct, frozen=True):
    """One row of a message, in the provider's words."""

    fact: str
    version: int
    id: str

    def read(self, mapping: frozenset[str]) -> Checkpoint:
        place = FACTS.index(self.fact)
        said = f"{3 + place} 10:00"
        checkpoint = scan(
            "arrived",
            f"{3 + place} 15:30" if "zone" in mapping else said,
            id=self.id,
            said=f"version {self.version}",
            mark=self.fact,
        )
        milestone = Milestone.UNKNOWN if "status" in mapping and place % 2 else checkpoint.milestone
        return replace(checkpoint, milestone=milestone, occurred=replace(checkpoint.occurred, said=said))


class Sent(Struct, frozen=True):
    """One message; a `copy` says the same at the same time, as another message."""

    number: int
    day: int
    lines: tuple[Line, ...]
    whole: bool
    copy: int = 0

    def read(self, mapping: frozenset[str]) -> Report:
        return report(
            *(line.read(mapping) for line in self.lines if line.fact != "never too" or "dropped" not in mapping),
            at=f"{self.day} 12:{self.number:02}",
            message=f"{self.number}.{self.copy}",
            whole=self.whole,
        )


class Stream:
    """The events of one shipment, and what is decided by them."""

    def __init__(self) -> None:
        self._loaded = Loaded(ID, ())
        self._now = datetime(2025, 6, 1, tzinfo=UTC)

    def _decide(self, *decisions: Decision) -> list[Receipt]:
        self._now += timedelta(minutes=1)
        stream = self._loaded.stream
        batch = Batch({ID: self._loaded} if stream else {}, frozenset({"clickpost"}))
        receipts = [batch.decide(ID, decision, self._now) for decision in decisions]
        assert [receipt.error for receipt in receipts if receipt.error] == []
        self._loaded = Loaded(ID, (*stream, *batch.events))
        return receipts

    def hear(self, told: Report) -> Receipt:
        return self._decide(lambda batch, now: batch.report(told, now))[0]

    def correct(self, decide: Deciding) -> Receipt:
        return self._decide(lambda batch, now: batch.correct(ID, decide))[0]

    def amend(self, key: str, reading: Reading) -> Receipt:
        return self.correct(lambda said: corrections.amend(said, key, reading, *WHO, self._now))

    def withdraw(self, key: str, *, undone: bool) -> Receipt:
        return self.correct(lambda said: corrections.withdraw(said, [key], *WHO, self._now, undone=undone))

    def reread(self, told: Iterable[Report]) -> int:
        """The number of events that follow when messages are read again as these reports."""
        readings = [Rereading(one) for one in told]
        review = Review()
        decisions: list[Decision] = [
            lambda batch, now: batch.reread(readings, {"clickpost": "2+0c"}, "ops@shop", review, now),
            *(partial(_untold, review, number) for number in range(len(readings))),
        ]
        return sum(receipt.events for receipt in self._decide(*decisions))

    @property
    def said(self) -> Statements:
        return fold(ID, map(decode, self._loaded.stream))

    @property
    def shipment(self) -> Shipment:
        return decided(ID, (decode(stored).event for stored in self._loaded.stream))


def _untold(review: Review, number: int, batch: Batch, now: datetime) -> Any:
    return batch.untold(review, number, now)


def found_by(known: Identities) -> Any:
    """All that identifies what is known, and all that decides what is news of it."""
    places = [
        {
            place: (
                one.key,
                one.tracker,
                one.standing,
                one.standing_at,
                one.older or {},
                one.heard_at,
                one.withdrawn_at,
            )
            for place, one in some.items()
        }
        for some in (known._by_id, known._without_id)
    ]
    return places, known._id_of


def standing(stream: Stream) -> list[Checkpoint]:
    return [told.checkpoint for told in stream.said.told() if not told.withdrawn]


class Interleavings(RuleBasedStateMachine):
    """One shipment, and its like that nobody corrects by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.corrected, self.untouched = Stream(), Stream()
        self.mapping: frozenset[str] = frozenset()
        self.dropped = False
        self.sent: list[Sent] = []
        self.version = dict.fromkeys(FACTS, 0)

    def take(self, sent: Sent) -> None:
        self.sent.append(sent)
        told = sent.read(self.mapping)
        assert self.corrected.hear(told) == self.untouched.hear(told)

    @rule(day=st.integers(10, 18), facts=st.sets(st.sampled_from(FACTS)), with_id=st.booleans(), whole=st.booleans())
    def hear(self, day: int, facts: set[str], with_id: bool, whole: bool) -> None:
        identified = ("always", "always too", "later") if with_id else ("always", "always too")
        lines = tuple(
            Line(fact, self.version[fact], f"clickpost:{fact}" if fact in identified else "") for fact in sorted(facts)
        )
        self.take(Sent(len(self.sent), day, lines, whole))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def hear_a_copy(self, data: st.DataObject) -> None:
        self.take(replace(data.draw(st.sampled_from(self.sent)), copy=len(self.sent)))

    @rule(fact=st.sampled_from(FACTS))
    def change(self, fact: str) -> None:
        self.version[fact] += 1

    @rule(mapping=st.sets(st.sampled_from(MAPPINGS)))
    def map_otherwise(self, mapping: set[str]) -> None:
        self.mapping = frozenset(mapping)
        self.dropped = self.dropped or "dropped" in mapping

    def keys(self) -> list[str]:
        return [told.checkpoint.key for told in self.corrected.said.told()]

    @precondition(lambda self: self.keys())
    @rule(data=st.data(), reading=st.sampled_from(READINGS))
    def amend(self, data: st.DataObject, reading: Reading) -> None:
        key = data.draw(st.sampled_from(self.keys()))
        self.corrected.amend(key, reading)
        assert self.corrected.amend(key, reading).events == 0

    @precondition(lambda self: self.keys())
    @rule(data=st.data(), undone=st.booleans())
    def withdraw(self, data: st.DataObject, undone: bool) -> None:
        key = data.draw(st.sampled_from(self.keys()))
        self.corrected.withdraw(key, undone=undone)
        assert self.corrected.said.is_struck(key) is not undone

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def read_again(self, data: st.DataObject) -> None:
        self.reread(data.draw(st.lists(st.sampled_from(self.sent), unique=True, min_size=1)))

    def reread(self, some: list[Sent]) -> None:
        told = [sent.read(self.mapping) for sent in some]
        self.corrected.reread(told)
        self.untouched.reread(told)
        assert (self.corrected.reread(told), self.untouched.reread(told)) == (0, 0)

    @invariant()
    def decisions_and_read_models_know_the_same(self) -> None:
        for stream in (self.corrected, self.untouched):
            said = stream.said
            assert found_by(stream.shipment._known) == found_by(said._known)
            for known in said._known:
                versions = {digest: told.checkpoint.digest for digest, (_, told) in (known.tellings or {}).items()}
                assert versions == {digest: digest for digest in (known.standing, *(known.older or {}))}

    @invariant()
    def what_is_done_by_hand_changes_no_identity(self) -> None:
        assert found_by(self.corrected.shipment._known) == found_by(self.untouched.shipment._known)

    def teardown(self) -> None:
        """All read again by the last mapping is as if it had been read by that from the beginning."""
        if not self.sent:
            return
        self.reread(self.sent)
        always = Stream()
        for sent in self.sent:
            always.hear(sent.read(self.mapping))
        # A history of which nothing was news withdraws nothing later, so that what was read of it once may tell.
        assert self.dropped or standing(self.untouched) == standing(always)
        for sent in self.sent:
            told = sent.read(self.mapping)
            assert self.corrected.hear(told) == self.untouched.hear(told)


def test_decisions_and_read_models_agree_whatever_is_corrected_and_when() -> None:
    run_state_machine_as_test(
        Interleavings,
        settings=settings(
            max_examples=150,
            report_multiple_bugs=False,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
        ),
    )
