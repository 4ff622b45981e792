"""The fold depends on the set of statements, not on the order in which they were heard, nor on how often."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.reports import OTHER_TRACKER, TRACKER, claim, estimate, report
from support.scans import instant, scan
from trackledger.domain.checkpoints import AssertionKind, Checkpoint, Registration, Report, Tracker
from trackledger.domain.events import Event, LedgerEvent, Opened
from trackledger.domain.milestones import Leg, Milestone, NdrReason
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
    """A checkpoint of the real world, of which a message tells or does not.

    `mark` makes its fingerprint, which may move with an amendment; `id` is empty where the provider gives none.
    """

    milestone: str
    mark: str
    id: str
    content: Changing
    moves: Changing
    needs_id: bool = False

    def told(self, at: int, with_id: bool) -> Checkpoint:
        mark, remark = f"{self.mark} {self.moves.version(at)}", f"version {self.content.version(at)}"
        return scan(self.milestone, "1 10:00", mark=mark, remark=remark, id=self.id if with_id else "")


@dataclass(frozen=True)
class World:
    """What one tracker has to tell of."""

    tracker: Tracker
    scanned: list[Scanned]
    facts: dict[str, Changing]


def changing(latest: int) -> st.SearchStrategy[Changing]:
    return st.builds(Changing, st.lists(st.integers(2, latest), max_size=2, unique=True).map(sorted))


@st.composite
def worlds(draw: st.DrawFn, tracker: Tracker, name: str, latest: int) -> World:
    """Checkpoints with ids, at times with ids, and without; twins under one fingerprint are told with ids only."""
    scanned: list[Scanned] = []
    for n in range(draw(st.integers(1, 3))):
        content, never = draw(changing(latest)), Changing([])
        milestone = draw(st.sampled_from(["in_transit", "delivery_failed"]))
        kind = draw(st.sampled_from(["id at times", "moving", "no id", "twins"]))
        mark, id_ = f"{name}{n}", f"{tracker.provider}:{name}{n}"
        if kind == "twins":
            scanned += [Scanned(milestone, mark, f"{id_}{twin}", content, never, True) for twin in "ab"]
        elif kind == "moving":
            moves = Changing(content.changes[: draw(st.integers(0, 2))])
            scanned.append(Scanned(milestone, mark, id_, content, moves))
        else:
            scanned.append(Scanned(milestone, mark, "" if kind == "no id" else id_, content, never))
    return World(tracker, scanned, {fact: draw(changing(latest)) for fact in ("estimate", "detail", "claim")})


@st.composite
def reports(draw: st.DrawFn, world: World, at: int, whole: bool) -> Report:
    """What the world was like at `at`, or a part of it.

    A whole history always claims something of its own: a history that only repeats what is known leaves no event, and
    then an older one, heard after it, is not known to be the older one.
    """
    checkpoints = []
    for one in world.scanned:
        if draw(st.booleans()):
            checkpoints.append(one.told(at, bool(one.id) and (one.needs_id or draw(st.booleans()))))
    version = {fact: change.version(at) for fact, change in world.facts.items()}
    ours, claimed = world.tracker == TRACKER, version["claim"]
    claims = [
        claim("status" if ours else "pickup_failure", f"{at}" if whole else f"{claimed}"),
        claim("ndr", ("bad_address", "refused", "other")[claimed], about=world.scanned[0].told(0, False).fingerprint),
        claim("direction", ("forward", "return", "exchange")[claimed])
        if ours
        else claim("stuck", ("no", "yes", "yes")[claimed]),
    ]
    windows = [estimate(source, f"{5 + version['estimate']}") for source in ("carrier", "provider")]
    told = draw(st.integers(0, 63))
    return report(
        *draw(st.permutations(checkpoints)),
        at=f"{at} 12:00",
        received=f"{draw(st.integers(1, 31))} 13:00",
        channel=draw(st.sampled_from(["poll", "webhook"])),
        whole=whole,
        estimates=tuple(w for n, w in enumerate(windows) if told & 1 << n),
        assertions=tuple(c for n, c in enumerate(claims, start=2) if told & 1 << n or (whole and n == 2)),
        details={"carrier" if ours else "order_id": f"{version['detail']}"} if told & 32 else {},
        tracker=world.tracker,
    )


Telling = tuple[list[Report | Registration], list[Report | Registration]]


@st.composite
def tellings(draw: st.DrawFn, whole: bool = False) -> Telling:
    """Reports in the order of their time, and the same shuffled, some of them twice.

    No two reports are of one time, and nothing is ever again what it was: repetitions are not kept, so that of two
    contents or two histories that take turns the fold cannot know which was told last.
    """
    latest = draw(st.integers(2, 6))
    ours, others = draw(worlds(TRACKER, "a", latest)), draw(worlds(OTHER_TRACKER, "b", latest))
    in_time: list[Report | Registration] = [REGISTRATION]
    for at in range(1, latest + 1):
        in_time.append(draw(reports(draw(st.sampled_from([ours, ours, others])), at, whole)))
    twice = draw(st.lists(st.sampled_from(in_time), max_size=3))
    return in_time, draw(st.permutations([*in_time, *twice]))


@settings(max_examples=120, deadline=None)
@given(tellings())
def test_the_order_of_arrival_is_irrelevant_and_twice_is_once(telling: Telling) -> None:
    in_time, as_heard = telling
    assert told_by(statements_of(*as_heard)) == told_by(statements_of(*in_time))


@settings(max_examples=120, deadline=None)
@given(tellings(whole=True))
def test_the_order_of_arrival_is_irrelevant_to_withdrawals(telling: Telling) -> None:
    """Of whole histories, in which a checkpoint that is gone stays gone."""
    in_time, as_heard = telling
    assert told_by(statements_of(*as_heard, withdrawals=True)) == told_by(statements_of(*in_time, withdrawals=True))


@settings(max_examples=60, deadline=None)
@given(tellings(), st.booleans())
def test_what_was_heard_once_leaves_no_event_when_heard_again(telling: Telling, withdrawals: bool) -> None:
    _, as_heard = telling
    once = events_of(as_heard, withdrawals)
    assert events_of([*as_heard, as_heard[-1]], withdrawals) == once


FAILED = scan("delivery_failed", "3 11:00", id="clickpost:4", remark="closed")
BARE = scan("delivery_failed", "3 11:00", remark="closed")


def test_an_amendment_that_reaches_a_known_fingerprint_loses_nothing_said_under_it() -> None:
    first = scan("delivery_failed", "3 11:00", id="clickpost:4", mark="as first told", remark="busy")
    newest = scan("delivery_failed", "3 11:00", remark="moved")
    heard = [report(first, at="3 12:00"), report(newest, at="3 14:00"), report(FAILED, at="3 13:00")]
    (told,) = statements_of(*heard).told()
    assert (told.checkpoint.id, told.checkpoint.remark, told.amended) == ("clickpost:4", "moved", 2)


def test_what_was_identified_after_a_history_without_it_stands() -> None:
    first, gone = report(BARE, at="3 12:00", whole=True), report(at="3 13:00", whole=True)
    webhook = report(FAILED, at="3 14:00", channel="webhook")
    (told,) = statements_of(first, webhook, gone, withdrawals=True).told()
    assert not told.withdrawn


def test_a_direction_turns_forward_scans_to_its_leg_and_leaves_the_others() -> None:
    exchanged = scan("picked_up", "4 11:00", "exchange")
    statements = statements_of(report(FAILED, exchanged, at="4 12:00", assertions=(claim("direction", "return"),)))
    assert {t.checkpoint.milestone: t.checkpoint.leg for t in statements.told()} == {
        Milestone.DELIVERY_FAILED: Leg.RETURN,
        Milestone.PICKED_UP: Leg.EXCHANGE,
    }


def test_an_ndr_claim_explains_the_attempt_that_it_names() -> None:
    ndr = claim("ndr", "refused", "Rejected by customer", FAILED.fingerprint)
    other = scan("delivery_failed", "4 11:00")
    told = statements_of(report(FAILED, other, at="4 12:00", assertions=(ndr,))).told()
    assert {(t.checkpoint.key, t.checkpoint.ndr_reason, t.ndr_said) for t in told} == {
        ("clickpost:4", NdrReason.REFUSED, "Rejected by customer"),
        (other.key, None, ""),
    }


def test_an_ndr_claim_does_not_replace_the_reason_that_the_scan_itself_gives() -> None:
    explained = scan("delivery_failed", "3 11:00", reason="bad_address")
    ndr = claim("ndr", "refused", about=explained.fingerprint)
    (told,) = statements_of(report(explained, at="4 12:00", assertions=(ndr,))).told()
    assert told.checkpoint.ndr_reason is NdrReason.BAD_ADDRESS


def test_the_newest_claim_counts_though_it_was_heard_first() -> None:
    newer, older = (
        report(at=at, assertions=(claim("stuck", value),)) for at, value in (("4 12:00", "yes"), ("3 12:00", "no"))
    )
    found = statements_of(newer, older).assertion(AssertionKind.STUCK)
    assert found == claim("stuck", "yes")


def test_of_two_contents_at_one_instant_the_one_that_did_not_stand_before_is_the_later() -> None:
    """So that it makes no difference whether the repetition of the other was kept."""
    first = report(at="3 08:00", details={"order_id": "B"}, estimates=(estimate("carrier", "6"),), message="first")
    again = report(at="3 12:00", details={"order_id": "B"}, estimates=(estimate("carrier", "6"),), message="again")
    other = report(at="3 12:00", details={"order_id": "A"}, estimates=(estimate("carrier", "5"),), message="other")
    for heard in permutations((first, again, other)):
        statements = statements_of(*heard)
        assert statements.detail("order_id") == "A"
        assert [told.estimate for told in statements.estimates] == [estimate("carrier", "6"), estimate("carrier", "5")]


def test_the_hosts_word_counts_before_any_later_one_of_a_provider() -> None:
    later = report(at="5 12:00", details={"service": "Surface"})
    assert statements_of(REGISTRATION, later).detail("service") == "Express"
    assert statements_of(later, REGISTRATION).detail("service") == "Express"


def test_nothing_claimed_and_nothing_stated_is_empty() -> None:
    statements = statements_of()
    assert (statements.told(), statements.estimates, statements.last_heard_at) == ([], [], None)
    assert (statements.assertion(AssertionKind.STATUS), statements.detail("carrier")) == (None, "")
    assert (statements.account, statements.trackers) == ("default", [TRACKER, OTHER_TRACKER])


def test_what_was_known_at_a_moment_is_what_the_ledger_had_recorded_by_then() -> None:
    events = events_of([report(BARE, at="3 12:00"), report(FAILED, at="3 13:00")])
    moment = OPENED.recorded_at + timedelta(minutes=1)
    assert known_at(events, moment) == events[:2]
    assert fold("s1", known_at(events, moment)).told()[0].checkpoint.key == BARE.key
    assert fold("s1", events).told()[0].checkpoint.key == "clickpost:4"
