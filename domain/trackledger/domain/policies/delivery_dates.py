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

_TO_A_DAY = ("to_the_end_of_the_day",)
_TO_AN_INSTANT = ("to_the_second",)

_WEIGHT = {
    EstimateSource.SLA: 0,
    EstimateSource.PROVIDER: 1,
    EstimateSource.CARRIER: 2,
    EstimateSource.PROMISE: 3,
}
"""Of two sources, the one nearer to the parcel counts."""

RULES_VERSION = "delivery_dates-1"

RULES: dict[str, str] = {
    "newest_promise": "What the host promised last is the promise; no estimate takes its place.",
    "first_stated": "The estimate that was stated first is the original one; of several, the one nearest the parcel.",
    "nearest_source": "The carrier's newest estimate counts, else the provider's, else that of the service level.",
    "no_estimate": "Nobody stated one.",
    "promise_counts": "It is late when it misses the promise, whatever was estimated.",
    "original_counts": "Without a promise it is late when it misses the original estimate, whatever came later.",
    "no_baseline": "Nobody stated a date, so that it is never late.",
    "to_the_end_of_the_day": "A date of a whole day lasts until the local midnight after it.",
    "to_the_second": "A window that ends at an instant includes it.",
    "days_from_pickup": "The days of a service level count from the local day of the pickup.",
    "days_from_registration": "Before the pickup the days of a service level count from the day of the registration.",
    "days_from_first_scan": "Without pickup and registration the days of a service level count from the oldest scan.",
    "first_attempt": "The first failed or made delivery to the consignee is the first attempt.",
    "no_attempt": "No delivery to the consignee was tried yet.",
}
"""Rule to what it says."""


AGAINST = {"promised": "promise_counts", "original": "original_counts", "": "no_baseline"}
"""Baseline to the rule that picked it."""


class Window(Struct, frozen=True):
    """From the day `starts` to the day `ends`, both local and inclusive; late from the instant `deadline` on.

    It is of the estimate that was stated at `stated_at` in the message `message_id`. `rules` set its days, where they
    are counted from the scan with the key `counted_by`, and its deadline.
    """

    source: EstimateSource
    starts: date
    ends: date
    deadline: datetime
    precision: str
    stated_at: datetime
    message_id: str
    rules: tuple[str, ...]
    counted_by: str = ""


class Base(Struct, frozen=True):
    """The instant from whose local day a service level counts, by which rule, and from the scan with which key."""

    at: datetime
    rule: str
    by: str = ""


class DeliveryDates(Struct, frozen=True):
    """`baseline` names the window that `promised_by` was taken from: `promised`, else `original`, else empty.

    `first_attempt_by` is the key of the scan that tells of the first attempt, `windows` is every estimate in the order
    of its statement.
    """

    promised: Window | None
    original: Window | None
    current: Window | None
    revisions: int
    first_attempt_at: datetime | None
    delivered_at: datetime | None
    baseline: str
    promised_by: datetime | None
    first_attempt_by: str = ""
    windows: tuple[Window, ...] = ()

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
    told = _windows(estimates, base)
    promises = [w for w in told if w.source is EstimateSource.PROMISE]
    predictions = [w for w in told if w.source is not EstimateSource.PROMISE]
    promised = promises[-1] if promises else None
    original = _strongest([w for w in predictions if w.stated_at == predictions[0].stated_at])
    current = _strongest(predictions)
    changes = [w for w in predictions if current and w.source is current.source]
    revisions = sum(1 for a, b in pairwise(changes) if (a.starts, a.ends) != (b.starts, b.ends))
    baseline, against = ("promised", promised) if promised else ("original", original) if original else ("", None)
    attempt = next((c for c in scans if _is_attempt(c)), None)
    return DeliveryDates(
        promised=promised,
        original=original,
        current=current,
        revisions=revisions,
        first_attempt_at=attempt.occurred.at if attempt else None,
        delivered_at=delivered_at,
        baseline=baseline,
        promised_by=against.deadline if against else None,
        first_attempt_by=attempt.key if attempt else "",
        windows=tuple(told),
    )


def _windows(estimates: Iterable[ToldEstimate], base: Base | None) -> list[Window]:
    """The estimates as windows, in the order in which they were stated.

    Those without a date to count from, and those that count beyond the calendar, are left out.
    """
    told = [w for w in (_window(t, base) for t in estimates) if w is not None]
    return sorted(told, key=lambda w: (w.stated_at, _WEIGHT[w.source], w.starts, w.ends, w.deadline, w.message_id))


def _base(scans: list[Checkpoint], registered_at: datetime | None) -> Base | None:
    # Of the trip that the parcel makes first: a reverse pickup knows the way back only.
    leg = next((c.leg for c in scans if c.milestone is not M.UNKNOWN), Leg.FORWARD)
    picked_up = next((c for c in scans if c.milestone is M.PICKED_UP and c.leg is leg), None)
    if picked_up is not None:
        return Base(picked_up.occurred.at, "days_from_pickup", picked_up.key)
    if registered_at is not None:
        return Base(registered_at, "days_from_registration")
    return Base(scans[0].occurred.at, "days_from_first_scan", scans[0].key) if scans else None


def _is_attempt(checkpoint: Checkpoint) -> bool:
    return checkpoint.leg is Leg.FORWARD and checkpoint.milestone in (M.DELIVERY_FAILED, M.DELIVERED)


def _strongest(predictions: list[Window]) -> Window | None:
    """The newest window of the source nearest to the parcel."""
    return max(predictions, key=lambda w: (_WEIGHT[w.source], w.stated_at, w.starts, w.ends, w.deadline), default=None)


def _window(told: ToldEstimate, base: Base | None) -> Window | None:
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
        _TO_A_DAY if last.precision is Precision.DAY else _TO_AN_INSTANT,
    )


def _counted(told: ToldEstimate, estimate: Estimate, base: Base | None) -> Window | None:
    most = estimate.days_to if estimate.days_to is not None else estimate.days_from
    if base is None or most is None:
        return None
    least = estimate.days_from if estimate.days_from is not None else most
    first_day = (base.at + timedelta(minutes=estimate.offset)).date()
    try:
        starts, ends = first_day + timedelta(days=least), first_day + timedelta(days=most)
        deadline = day(ends, ends.isoformat(), estimate.offset, ZoneSource.ASSUMED).end
    except (OverflowError, InvalidStatement):
        return None
    return Window(
        estimate.source,
        starts,
        ends,
        deadline,
        str(Precision.DAY),
        told.stated_at,
        told.message_id,
        (base.rule, *_TO_A_DAY),
        base.by,
    )
