"""How long may a parcel be quiet where it is, and from when on is it stuck?

The allowances are our own defaults, measured against nothing but experience of the field: override them per carrier and
service. What is stored is the deadline; whether it has passed is a question that brings its own `now`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from msgspec import Struct

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import BEFORE_PICKUP, FINAL, MOVEMENT, Leg, Milestone
from trackledger.domain.policies.order import in_order
from trackledger.domain.policies.status import Status

VERSION = "1"

M = Milestone

_ANOTHER_TRIP = MOVEMENT | FINAL | {M.RETURN_REQUESTED}


class StuckKind(StrEnum):
    """In which way a parcel is stuck once it has been quiet for too long."""

    NEVER_PICKED_UP = "never_picked_up"
    STALLED_IN_TRANSIT = "stalled_in_transit"
    AT_FACILITY = "at_facility"
    ON_HOLD = "on_hold"
    CUSTOMS = "customs"
    OUT_FOR_DELIVERY_OVERNIGHT = "out_for_delivery_overnight"
    NDR_UNACTIONED = "ndr_unactioned"
    NOT_COLLECTED = "not_collected"
    EXCEPTION_UNRESOLVED = "exception_unresolved"
    RETURN_STALLED = "return_stalled"
    NOTHING_HEARD = "nothing_heard"


class Allowance(Struct, frozen=True):
    """How long a milestone may be quiet. `in_all` bounds the time before the pickup, however many scans it has."""

    kind: StuckKind
    quiet: timedelta
    in_all: timedelta | None = None


_HOUR = timedelta(hours=1)
_BEFORE_PICKUP = Allowance(StuckKind.NEVER_PICKED_UP, 72 * _HOUR, in_all=168 * _HOUR)
_IN_TRANSIT = Allowance(StuckKind.STALLED_IN_TRANSIT, 72 * _HOUR)
_EXCEPTION = Allowance(StuckKind.EXCEPTION_UNRESOLVED, 48 * _HOUR)
_RETURN = Allowance(StuckKind.RETURN_STALLED, 120 * _HOUR)

ALLOWANCES: dict[Milestone, Allowance] = {
    M.UNKNOWN: Allowance(StuckKind.NOTHING_HEARD, 72 * _HOUR),
    M.INFO_RECEIVED: _BEFORE_PICKUP,
    M.PICKUP_SCHEDULED: _BEFORE_PICKUP,
    M.OUT_FOR_PICKUP: _BEFORE_PICKUP,
    M.PICKUP_FAILED: _BEFORE_PICKUP,
    M.PICKED_UP: _IN_TRANSIT,
    M.IN_TRANSIT: _IN_TRANSIT,
    M.DELAYED: _IN_TRANSIT,
    M.ARRIVED: Allowance(StuckKind.AT_FACILITY, 48 * _HOUR),
    M.ON_HOLD: Allowance(StuckKind.ON_HOLD, 72 * _HOUR),
    M.CUSTOMS: Allowance(StuckKind.CUSTOMS, 120 * _HOUR),
    M.EXCEPTION: _EXCEPTION,
    M.OUT_FOR_DELIVERY: Allowance(StuckKind.OUT_FOR_DELIVERY_OVERNIGHT, 20 * _HOUR),
    M.DELIVERY_FAILED: Allowance(StuckKind.NDR_UNACTIONED, 36 * _HOUR),
    M.AVAILABLE_FOR_PICKUP: Allowance(StuckKind.NOT_COLLECTED, 120 * _HOUR),
    M.RETURN_REQUESTED: _RETURN,
    M.RETURNING: _RETURN,
}
"""Milestone to allowance, version `VERSION`; a final milestone has none."""


class SilencePolicy(Struct, frozen=True):
    """The allowances in force. `quiet` overrides the quiet time by (lower-case carrier, lower-case service, milestone);
    an empty carrier or service stands for any."""

    version: str = VERSION
    quiet: Mapping[tuple[str, str, Milestone], timedelta] = {}

    def quiet_for(self, milestone: Milestone, carrier: str, service: str) -> timedelta:
        """The allowed quiet time, the most specific entry first."""
        carrier, service = carrier.casefold(), service.casefold()
        for key in ((carrier, service), (carrier, ""), ("", service), ("", "")):
            if (*key, milestone) in self.quiet:
                return self.quiet[(*key, milestone)]
        return ALLOWANCES[milestone].quiet


class Silence(Struct, frozen=True):
    """From `stuck_after` on the parcel is stuck in the way `kind` says, unless something is heard before."""

    kind: StuckKind
    quiet_since: datetime
    stuck_after: datetime
    policy_version: str


def conclude(
    status: Status,
    checkpoints: Iterable[Checkpoint],
    known_since: datetime | None,
    carrier: str = "",
    service: str = "",
    policy: SilencePolicy | None = None,
) -> Silence | None:
    """The deadline of an open shipment; None once the status is final or nothing gives a time to count from.

    Quiet time counts from the newest scan that tells of the parcel. Without any it counts from `known_since`, or from a
    scan that nobody understands, where one is older. Where the newest scan names a day only, it may have happened until
    the day's end: the allowance counts from there.
    """
    if status.milestone in FINAL:
        return None
    policy = policy or SilencePolicy()
    ordered = in_order(checkpoints)
    scans = [c for c in ordered if c.milestone is not M.UNKNOWN]
    first_said = ordered[0].occurred.at if ordered else None
    begun = min((at for at in (known_since, first_said) if at is not None), default=None)
    quiet_since = max((c.occurred.at for c in scans), default=begun)
    if quiet_since is None:
        return None
    heard_until = max(quiet_since, scans[-1].occurred.end) if scans else quiet_since
    allowance = ALLOWANCES[status.milestone]
    kind, quiet = allowance.kind, policy.quiet_for(status.milestone, carrier, service)
    if status.leg is Leg.RETURN and status.milestone not in BEFORE_PICKUP:
        kind = StuckKind.RETURN_STALLED
    stuck_after = heard_until + quiet
    if allowance.in_all is not None:
        stuck_after = min(stuck_after, _waiting_since(scans, heard_until) + max(allowance.in_all, quiet))
    return Silence(kind, quiet_since, stuck_after, policy.version)


def _waiting_since(scans: list[Checkpoint], otherwise: datetime) -> datetime:
    """When the wait for this pickup began; what moved or ended before belongs to an earlier trip of the same number."""
    wait = list(takewhile(lambda c: c.milestone not in _ANOTHER_TRIP, reversed(scans)))
    return next((c.occurred.end for c in reversed(wait) if c.milestone in BEFORE_PICKUP), otherwise)
