"""Which stories can a parcel live through?"""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.simulator.plan import Case, Lane, Step
from trackledger.domain.milestones import Leg, Milestone, NdrReason

M, N = Milestone, NdrReason

REASONS = (N.CUSTOMER_UNAVAILABLE, N.BAD_ADDRESS, N.REFUSED, N.RESCHEDULED, N.PAYMENT_ISSUE, N.CUSTOMER_UNREACHABLE)
"""Why deliveries fail here; each provider says it in its way, if it does."""

_RETURN = frozenset({M.RETURN_REQUESTED, M.RETURNING, M.RETURNED})


class Telling:
    """A story while it is made up. What the provider has no word for is left out and takes its time all the same."""

    def __init__(self, random: Random, lane: Lane, says: frozenset[Milestone], begins: datetime) -> None:
        self._random = random
        self._lane = lane
        self._says = says
        self.at = begins
        self.steps: list[Step] = []
        self._visits = 0

    def hours(self, least: float, most: float) -> None:
        """Let time pass, to the second."""
        self.at += timedelta(seconds=round(self._random.uniform(least, most) * 3600))

    def morning(self, days: int = 1) -> None:
        """Let time pass until the morning some local days later, when drivers set out."""
        offset = timedelta(minutes=self._lane.offset(self.at))
        midnight = (self.at + offset).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days) - offset
        self.at = midnight
        self.hours(7.5, 9.5)

    def say(
        self, milestone: Milestone, place: str, case: Case | None = None, *, moves: bool = True, lag: float = 1.5
    ) -> None:
        """The next step happens now and is told at the latest `lag` hours later."""
        if milestone not in self._says:
            return
        told_at = self.at + timedelta(seconds=round(self._random.uniform(0.03, lag) * 3600))
        if not moves and self.steps:
            # What moves nothing does so only beside what it comes too late for.
            told_at = max(told_at, self.steps[-1].told_at + timedelta(minutes=1))
        leg = Leg.RETURN if milestone in _RETURN else Leg.FORWARD
        self.steps.append(Step(len(self.steps), milestone, self.at, told_at, place, leg, case=case, moves=moves))

    def booked(self) -> None:
        """Somebody wants it moved."""
        self.say(M.INFO_RECEIVED, self._lane.origin)
        self.hours(1, 6)
        self.say(M.PICKUP_SCHEDULED, self._lane.origin)

    def collected(self) -> None:
        """The carrier gets it, now and then at the second try."""
        self.booked()
        if self._random.random() < 0.12:
            self.hours(2, 8)
            self.say(M.PICKUP_FAILED, self._lane.origin)
            self.morning()
        self.hours(1, 3)
        self.say(M.OUT_FOR_PICKUP, self._lane.origin)
        self.hours(1, 6)
        self.say(M.PICKED_UP, self._lane.origin)

    def travelled(self) -> None:
        """It gets to the place that it is delivered from."""
        self.collected()
        self.hours(2, 8)
        self.say(M.IN_TRANSIT, self._lane.origin)
        self.hours(6, 30)
        self.say(M.IN_TRANSIT, self._lane.hub)
        self.hours(6, 30)
        self.say(M.ARRIVED, self._lane.depot)

    def out(self) -> None:
        """A driver sets out with it."""
        self.morning()
        self.say(M.OUT_FOR_DELIVERY, self._lane.depot, Case.ACTIONED)

    def failed(self, reason: NdrReason | None = None) -> None:
        """A driver comes and goes with it, and some say so twice."""
        reason = reason or self._random.choice(REASONS)
        self.out()
        self.hours(1.5, 6)
        self._visits += 1
        for again in range(2 if self._random.random() < 0.2 else 1):
            if again:
                self.hours(0.3, 2)
            self.say(M.DELIVERY_FAILED, self._lane.destination, Case.OPENED)
            if self.steps[-1].milestone is M.DELIVERY_FAILED:
                self.steps[-1] = replace(self.steps[-1], reason=reason, visit=self._visits)
        if self._random.random() < 0.3:
            self.hours(1, 3)
            self.say(M.ARRIVED, self._lane.depot)

    def delivered(self) -> None:
        """It arrives where it should."""
        self.hours(1.5, 6)
        self.say(M.DELIVERED, self._lane.destination, Case.CLOSED)

    def returned(self) -> None:
        """It goes back all the way."""
        self.hours(4, 20)
        self.say(M.RETURN_REQUESTED, self._lane.depot, Case.CLOSED)
        self.hours(3, 10)
        self.say(M.RETURNING, self._lane.depot, Case.CLOSED)
        self.hours(20, 40)
        self.say(M.RETURNING, self._lane.hub, Case.CLOSED)
        self.hours(20, 40)
        self.say(M.RETURNED, self._lane.origin, Case.CLOSED)

    def at_hub(self, milestone: Milestone, case: Case | None = None) -> None:
        """Something is said of it on its way."""
        self.say(milestone, self._lane.hub, case)


def _delivered(t: Telling) -> None:
    t.travelled()
    t.out()
    t.delivered()


def _at_second_try(t: Telling) -> None:
    t.travelled()
    t.failed()
    t.out()
    t.delivered()


def _at_third_try(t: Telling) -> None:
    t.travelled()
    t.failed()
    t.failed()
    t.out()
    t.delivered()


def _sent_back(t: Telling) -> None:
    t.travelled()
    t.failed()
    t.failed()
    t.returned()


def _refused(t: Telling) -> None:
    t.travelled()
    t.failed(N.REFUSED)
    t.returned()


def _waits_for_an_answer(t: Telling) -> None:
    t.travelled()
    t.failed()


def _waits_at_the_counter(t: Telling) -> None:
    t.travelled()
    t.failed(N.CUSTOMER_UNAVAILABLE)
    t.hours(2, 5)
    t.say(M.AVAILABLE_FOR_PICKUP, "", Case.ACTIONED)


def _collected_at_the_counter(t: Telling) -> None:
    _waits_at_the_counter(t)
    t.hours(18, 50)
    t.say(M.DELIVERED, "", Case.CLOSED)


def _lost(t: Telling) -> None:
    t.collected()
    t.hours(10, 30)
    t.at_hub(M.IN_TRANSIT)
    t.hours(90, 130)
    t.at_hub(M.LOST, Case.CLOSED)


def _lost_and_found(t: Telling) -> None:
    _lost(t)
    t.hours(20, 40)
    t.at_hub(M.IN_TRANSIT)
    t.out()
    t.delivered()


def _damaged(t: Telling) -> None:
    t.travelled()
    t.hours(2, 6)
    t.say(M.DAMAGED, "", Case.CLOSED)


def _cancelled(t: Telling) -> None:
    t.booked()
    t.hours(4, 30)
    t.say(M.CANCELLED, "", Case.CLOSED)


def _never_handed_over(t: Telling) -> None:
    t.booked()


def _stalled(t: Telling) -> None:
    t.collected()
    t.hours(5, 20)
    t.at_hub(M.IN_TRANSIT)


def _held_at_customs(t: Telling) -> None:
    t.collected()
    t.hours(10, 30)
    t.at_hub(M.CUSTOMS)
    t.hours(4, 20)
    t.at_hub(M.ON_HOLD)
    t.hours(20, 60)
    t.at_hub(M.CUSTOMS)
    t.hours(2, 20)
    t.at_hub(M.IN_TRANSIT)
    t.out()
    t.delivered()


def _delayed(t: Telling) -> None:
    t.collected()
    t.hours(8, 20)
    t.at_hub(M.DELAYED)
    t.hours(20, 50)
    t.at_hub(M.IN_TRANSIT)
    t.out()
    t.delivered()


def _trouble_on_the_way(t: Telling) -> None:
    t.collected()
    t.hours(8, 20)
    t.at_hub(M.EXCEPTION)
    t.hours(10, 30)
    t.at_hub(M.IN_TRANSIT)
    t.out()
    t.delivered()


def _sent_back_after_delivery(t: Telling) -> None:
    _delivered(t)
    t.hours(24, 72)
    t.returned()


def _with_a_scan_filed_afterwards(t: Telling) -> None:
    _delivered(t)
    t.hours(0.5, 3)
    t.say(M.IN_TRANSIT, "", moves=False, lag=20)


def _with_a_word_nobody_knows(t: Telling) -> None:
    t.collected()
    t.hours(2, 8)
    t.at_hub(M.IN_TRANSIT)
    t.hours(2, 8)
    t.say(M.UNKNOWN, "", moves=False)
    t.out()
    t.delivered()


class Journey(Struct, frozen=True):
    """A story, how often it is told among others, and the milestones without which it is none."""

    tell: Callable[[Telling], None]
    weight: int
    needs: frozenset[Milestone] = frozenset()


_FAILS = frozenset({M.DELIVERY_FAILED})

JOURNEYS = (
    Journey(_delivered, 40),
    Journey(_at_second_try, 9, _FAILS),
    Journey(_at_third_try, 3, _FAILS),
    Journey(_sent_back, 4, _FAILS | {M.RETURNED}),
    Journey(_refused, 3, _FAILS | {M.RETURNING}),
    Journey(_waits_for_an_answer, 5, _FAILS),
    Journey(_waits_at_the_counter, 2, _FAILS | {M.AVAILABLE_FOR_PICKUP}),
    Journey(_collected_at_the_counter, 3, _FAILS | {M.AVAILABLE_FOR_PICKUP}),
    Journey(_lost, 2, frozenset({M.LOST})),
    Journey(_lost_and_found, 1, frozenset({M.LOST})),
    Journey(_damaged, 1, frozenset({M.DAMAGED})),
    Journey(_cancelled, 3, frozenset({M.CANCELLED})),
    Journey(_never_handed_over, 3),
    Journey(_stalled, 4),
    Journey(_held_at_customs, 3, frozenset({M.CUSTOMS})),
    Journey(_delayed, 4, frozenset({M.DELAYED})),
    Journey(_trouble_on_the_way, 2, frozenset({M.EXCEPTION})),
    Journey(_sent_back_after_delivery, 1, frozenset({M.RETURNED})),
    Journey(_with_a_scan_filed_afterwards, 4),
    Journey(_with_a_word_nobody_knows, 2, frozenset({M.UNKNOWN})),
)
"""The stories; how often each is told is our guess of what a shop sees in a bad month."""
