"""What happens to one parcel, and from when on is each part of it told?"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct

from trackledger.domain.milestones import Leg, Milestone, NdrReason


class Carrier(Struct, frozen=True):
    """Who moves the parcel: its name, its code at the provider, and how its numbers begin."""

    name: str
    code: str
    prefix: str


class Lane(Struct, frozen=True):
    """Which way it goes; `zone` is that of the places at its end, in which local times are told."""

    origin: str
    hub: str
    destination: str
    depot: str
    zone: str
    country_from: str
    country_to: str

    def offset(self, at: datetime) -> int:
        """Minutes east of UTC at an instant."""
        return int((at.astimezone(ZoneInfo(self.zone)).utcoffset() or timedelta()).total_seconds()) // 60


class Case(StrEnum):
    """What a step does to the failed delivery of its parcel."""

    OPENED = "open"
    ACTIONED = "actioned"
    CLOSED = "closed"


class Step(Struct, frozen=True):
    """One thing that happens, told from `told_at` on.

    `visit` is the number of the visit that failed, 0 for anything else. `case` is what it does to a failed delivery,
    and `moves` whether it says where the parcel is; both are decided by who plans, not concluded. From `reworded_at`
    on the same is told in other words; from `taken_back_at` on it is no longer told: it never happened.
    """

    no: int
    milestone: Milestone
    at: datetime
    told_at: datetime
    place: str
    leg: Leg = Leg.FORWARD
    reason: NdrReason | None = None
    visit: int = 0
    case: Case | None = None
    moves: bool = True
    reworded_at: datetime | None = None
    taken_back_at: datetime | None = None

    def is_told(self, at: datetime) -> bool:
        """Whether the provider says it at this instant."""
        return self.told_at <= at and (self.taken_back_at is None or at < self.taken_back_at)

    def is_reworded(self, at: datetime) -> bool:
        """Whether the provider says it in its later words."""
        return self.reworded_at is not None and self.reworded_at <= at


class Expected(Struct, frozen=True):
    """The day on which it shall come, as told from `told_at` on, in the zone `offset` minutes east of UTC."""

    told_at: datetime
    day: date
    offset: int


class Parcel(Struct, frozen=True):
    """One parcel as planned. `provider` tells its journey under `reference`; steps are in the order they happen in.

    `order_id` is the shop's order, and that of Rye for what was bought there. `pieces` travel and are told of as one.
    """

    provider: str
    reference: str
    number: str
    carrier: Carrier
    lane: Lane
    order_id: str
    service: str
    created_at: datetime
    steps: tuple[Step, ...]
    expected: tuple[Expected, ...] = ()
    pieces: int = 1

    def told(self, at: datetime) -> list[Step]:
        """What the provider says at this instant, the oldest first."""
        return [step for step in self.steps if step.is_told(at)]

    def expected_at(self, at: datetime) -> Expected | None:
        """When it shall come, as the provider says at this instant."""
        return next((said for said in reversed(self.expected) if said.told_at <= at), None)

    def changes(self) -> list[datetime]:
        """The instants from which on something else is told, in order."""
        return sorted(set(self._changes()))

    def _changes(self) -> Iterator[datetime]:
        for step in self.steps:
            yield step.told_at
            if step.reworded_at:
                yield step.reworded_at
            if step.taken_back_at:
                yield step.taken_back_at
        for said in self.expected:
            yield said.told_at


ASKED_WITHIN = timedelta(hours=25)


class Order(Struct, frozen=True):
    """An order of Rye's first generation: its events as Rye names them, and the parcels whose numbers it announces."""

    id: str
    events: tuple[tuple[str, datetime], ...]
    parcels: tuple[Parcel, ...] = ()


class World(Struct, frozen=True):
    """All parcels by who tells of them, and the orders of Rye. The parcels of an order are told of by AfterShip."""

    parcels: tuple[Parcel, ...]
    orders: tuple[Order, ...] = ()

    @property
    def until(self) -> datetime:
        """From then on nothing more is told, and whoever asks at least once a day has heard it."""
        instants = [change for parcel in self.parcels for change in parcel.changes()[-1:]]
        instants += [order.events[-1][1] for order in self.orders]
        return max(instants) + ASKED_WITHIN
