"""When was it promised, when is it expected, and from which instant on is it late?

A window of day precision is compared by local day: its deadline is the next local midnight. Treating such a day as a
midnight instant counts parcels of that very day as late and overstates lateness by about a fifth.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise

from msgspec import Struct

from trackledger.domain.checkpoints import Checkpoint, Estimate, EstimateSource
from trackledger.domain.errors import InvalidStatement
from trackledger.domain.milestones import Leg, Milestone
from trackledger.domain.moments import Precision, ZoneSource, day
from trackledger.domain.policies.lateness import on_time
from trackledger.domain.policies.order import in_order
from trackledger.domain.statements import ToldEstimate

M = Milestone

_TO_THE_SECOND = timedelta(seconds=1)
"""A window that ends at an instant includes it."""

_WEIGHT = {
    EstimateSource.SLA: 0,
    EstimateSource.PROVIDER: 1,
    EstimateSource.CARRIER: 2,
    EstimateSource.PROMISE: 3,
}
"""Of two sources, the one nearer to the parcel counts."""


class Window(Struct, frozen=True):
    """From the day `starts` to the day `ends`, both local and inclusive; late from the instant `deadline` on."""

    source: EstimateSource
    starts: date
    ends: date
    deadline: datetime
    precision: str
    stated_at: datetime
    message_id: str


class DeliveryDates(Struct, frozen=True):
    """`baseline` names the window that `promised_by` was taken from: `promised`, else `original`, else empty."""

    promised: Window | None
    original: Window | None
    current: Window | None
    revisions: int
    first_attempt_at: datetime | None
    delivered_at: datetime | None
    baseline: str
    promised_by: datetime | None

    def on_time(self, now: datetime) -> bool | None:
        """See `lateness.on_time`, of a journey that has not ended otherwise."""
        return on_time(self.promised_by, self.delivered_at, now)


def conclude(
    estimates: Iterable[ToldEstimate],
    checkpoints: Iterable[Checkpoint],
    registered_at: datetime | None,
    delivered_at: datetime | None,
) -> DeliveryDates:
    """The delivery dates of one shipment, from its estimates and checkpoints in any order.

    Days of a service level count from the pickup, else from `registered_at`, else from the oldest scan. The original
    window was stated first, the current one is the newest of the source nearest to the parcel (carrier, provider,
    service level); `revisions` counts its changes. A promise is kept apart and never replaced by an estimate.
    """
    scans = in_order(checkpoints)
    base = _base(scans, registered_at)
    told = windows(estimates, base)
    promises = [w for w in told if w.source is EstimateSource.PROMISE]
    predictions = [w for w in told if w.source is not EstimateSource.PROMISE]
    promised = promises[-1] if promises else None
    original = _strongest([w for w in predictions if w.stated_at == predictions[0].stated_at])
    current = _strongest(predictions)
    changes = [w for w in predictions if current and w.source is current.source]
    revisions = sum(1 for a, b in pairwise(changes) if (a.starts, a.ends) != (b.starts, b.ends))
    baseline, against = ("promised", promised) if promised else ("original", original) if original else ("", None)
    return DeliveryDates(
        promised=promised,
        original=original,
        current=current,
        revisions=revisions,
        first_attempt_at=next((c.occurred.at for c in scans if _is_attempt(c)), None),
        delivered_at=delivered_at,
        baseline=baseline,
        promised_by=against.deadline if against else None,
    )


def windows(estimates: Iterable[ToldEstimate], base: datetime | None) -> list[Window]:
    """The estimates as windows, in the order in which they were stated.

    Those without a date to count from, and those that count beyond the calendar, are left out.
    """
    told = [w for w in (_window(t, base) for t in estimates) if w is not None]
    return sorted(told, key=lambda w: (w.stated_at, _WEIGHT[w.source], w.starts, w.ends, w.deadline, w.message_id))


def count_from(checkpoints: Iterable[Checkpoint], registered_at: datetime | None) -> datetime | None:
    """The instant from whose local day a service level counts."""
    return _base(in_order(checkpoints), registered_at)


def _base(scans: list[Checkpoint], registered_at: datetime | None) -> datetime | None:
    # Of the trip that the parcel makes first: a reverse pickup knows the way back only.
    leg = next((c.leg for c in scans if c.milestone is not M.UNKNOWN), Leg.FORWARD)
    picked_up = next((c.occurred.at for c in scans if c.milestone is M.PICKED_UP and c.leg is leg), None)
    if picked_up is not None:
        return picked_up
    if registered_at is not None:
        return registered_at
    return scans[0].occurred.at if scans else None


def _is_attempt(checkpoint: Checkpoint) -> bool:
    return checkpoint.leg is Leg.FORWARD and checkpoint.milestone in (M.DELIVERY_FAILED, M.DELIVERED)


def _strongest(predictions: list[Window]) -> Window | None:
    """The newest window of the source nearest to the parcel."""
    return max(predictions, key=lambda w: (_WEIGHT[w.source], w.stated_at, w.starts, w.ends, w.deadline), default=None)


def _window(told: ToldEstimate, base: datetime | None) -> Window | None:
    estimate = told.estimate
    starts, ends = estimate.starts, estimate.ends
    if starts is None and ends is None:
        return _counted(told, estimate, base)
    first, last = starts or ends, ends or starts
    assert first is not None and last is not None
    return Window(
        estimate.source,
        first.local_date,
        last.local_date,
        last.end if last.precision is Precision.DAY else last.at + _TO_THE_SECOND,
        str(last.precision),
        told.stated_at,
        told.message_id,
    )


def _counted(told: ToldEstimate, estimate: Estimate, base: datetime | None) -> Window | None:
    most = estimate.days_to if estimate.days_to is not None else estimate.days_from
    if base is None or most is None:
        return None
    least = estimate.days_from if estimate.days_from is not None else most
    first_day = (base + timedelta(minutes=estimate.offset)).date()
    try:
        starts, ends = first_day + timedelta(days=least), first_day + timedelta(days=most)
        deadline = day(ends, ends.isoformat(), estimate.offset, ZoneSource.ASSUMED).end
    except (OverflowError, InvalidStatement):
        return None
    return Window(estimate.source, starts, ends, deadline, str(Precision.DAY), told.stated_at, told.message_id)
