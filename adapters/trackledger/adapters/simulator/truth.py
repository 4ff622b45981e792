"""How do the parcels stand at an instant, by what was planned and told, and by nobody's conclusions?"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, time, timedelta, timezone

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.simulator.plan import Case, Parcel, World
from trackledger.adapters.simulator.world import in_order
from trackledger.domain.milestones import FINAL, Milestone


class Row(Struct, frozen=True):
    """How one parcel stands. `attempts` are the visits that failed, `failed_delivery` is `open`, `actioned` or empty.
    `is_late` says that it is still on its way after the day on which it was first expected. `is_heard` is false until
    anything is told."""

    milestone: Milestone
    attempts: int = 0
    failed_delivery: str = ""
    is_late: bool = False
    is_heard: bool = True


Key = tuple[str, str]
"""Provider and tracker reference."""


class Truth(Struct, frozen=True):
    """How all parcels stand at the instant `at`."""

    at: datetime
    rows: Mapping[Key, Row]

    @property
    def milestones(self) -> dict[str, int]:
        """How many parcels there are of each milestone that there are parcels of."""
        return dict(sorted(Counter(str(row.milestone) for row in self.rows.values()).items()))

    @property
    def failed_deliveries(self) -> int:
        """How many parcels wait for another attempt, or for somebody to order one."""
        return sum(1 for row in self.rows.values() if row.failed_delivery)

    @property
    def late(self) -> int:
        """How many parcels are late."""
        return sum(1 for row in self.rows.values() if row.is_late)


def truth_of(parcel: Parcel, at: datetime) -> Row:
    """How one parcel stands, as its provider tells it by then."""
    told = parcel.told(at)
    moved = [step for step in told if step.moves]
    milestone = moved[-1].milestone if moved else Milestone.UNKNOWN
    # A visit to the consignee without a failure before it opens nothing.
    case = ""
    for step in told:
        if step.case is Case.OPENED or (step.case is Case.ACTIONED and case):
            case = str(step.case)
        elif step.case is Case.CLOSED:
            case = ""
    is_over = milestone in FINAL or any(step.milestone is Milestone.DELIVERED for step in told)
    expected = next(iter(parcel.expected), None)
    is_late = False
    if expected and expected.told_at <= at and not is_over:
        zone = timezone(timedelta(minutes=expected.offset))
        is_late = at >= datetime.combine(expected.day, time(), zone) + timedelta(days=1)
    return Row(milestone, len({step.visit for step in told if step.visit}), case, is_late, bool(told))


def truth(world: World, at: datetime) -> Truth:
    """How all parcels and orders stand, in the order of their keys."""
    sold = {parcel.reference for order in world.orders for parcel in order.parcels}
    rows = {(p.provider, p.reference): truth_of(p, at) for p in world.parcels if p.reference not in sold}
    for order in world.orders:
        happened = {kind for kind, when in order.events if when <= at}
        placed = Milestone.INFO_RECEIVED if "ORDER_PLACED" in happened else Milestone.UNKNOWN
        milestone = Milestone.CANCELLED if "ORDER_FAILED" in happened else placed
        rows[("rye", order.id)] = Row(milestone, is_heard=bool(happened))
        for parcel in order.parcels if "TRACKING_OBTAINED" in happened else ():
            row = truth_of(parcel, at)
            announced = replace(row, milestone=Milestone.INFO_RECEIVED, is_heard=True)
            rows[("rye", in_order(order.id, parcel))] = row if row.is_heard else announced
    return Truth(at, dict(sorted(rows.items())))
