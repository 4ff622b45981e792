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
"""The version of the numbers below, which a host's own numbers replace together with the version."""

RULES_VERSION = "silence-2"

RULES: dict[str, str] = {
    "newest_scan": "The parcel is quiet since the newest scan that tells of it.",
    "day_of_newest_scan": "The newest scan names a day only, so that the time to be quiet begins when that day ends.",
    "since_known": "No scan tells of the parcel, so that it is quiet since it was registered or first heard of.",
    "since_not_understood": "No scan tells of the parcel, so that it is quiet since the first one nobody understands.",
    "kind_of_milestone": "In which way a parcel is stuck follows from its status.",
    "kind_of_acted_on": "Somebody has acted on the failed delivery, so that it is not for want of that.",
    "kind_of_way_back": "On the way back a parcel is stuck as a return, wherever it is.",
    "default_allowance": "Where it is, a parcel may be quiet for so long by our own defaults.",
    "host_allowance": "Where it is, a parcel may be quiet for so long by your configuration.",
    "carrier_allowance": "Where it is, a parcel of this carrier may be quiet for so long.",
    "service_allowance": "Where it is, a parcel of this service may be quiet for so long.",
    "carrier_service_allowance": "Where it is, a parcel of this carrier and service may be quiet for so long.",
    "wait_for_pickup": "The whole wait for the pickup is bounded, however many scans tell of it.",
    "journey_ended": "A parcel whose journey ended is not waited for.",
    "split": "An order whose parcels are shipments of their own has nothing more to say; they have.",
    "no_time": "There is no time to count from yet.",
    "provider_claim": "The provider's own flag stands beside our deadline, never instead.",
}
"""Rule to what it says."""

NUMBERED = frozenset(name for name in RULES if name.endswith("_allowance")) | {"wait_for_pickup"}
"""Rules with a number in them that a host may set."""

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
    NDR_ACTIONED = "ndr_actioned"
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

    def quiet_for(self, milestone: Milestone, carrier: str, service: str) -> tuple[timedelta, str]:
        """The allowed quiet time, the most specific entry first, and the rule that says so."""
        if self.quiet:
            carrier, service = carrier.casefold(), service.casefold()
            for key in ((carrier, service), (carrier, ""), ("", service), ("", "")):
                if (*key, milestone) in self.quiet:
                    return self.quiet[(*key, milestone)], _ALLOWED_BY[bool(key[0]), bool(key[1])]
        return ALLOWANCES[milestone].quiet, "default_allowance"


_ALLOWED_BY = {
    (True, True): "carrier_service_allowance",
    (True, False): "carrier_allowance",
    (False, True): "service_allowance",
    (False, False): "host_allowance",
}


class Silence(Struct, frozen=True):
    """From `stuck_after` on the parcel is stuck in the way `kind` says, unless something is heard before.

    `quiet` is how long it may be quiet. `rules` drew this, the one that set the deadline first, from the scans with the
    keys `because`; without any, it counts from when the shipment was first known.
    """

    kind: StuckKind
    quiet_since: datetime
    stuck_after: datetime
    policy_version: str
    quiet: timedelta
    rules: tuple[str, ...]
    because: tuple[str, ...]


def excuse(status: Status, *, is_split: bool = False) -> str:
    """The rule by which a shipment needs no deadline, whatever was said when; empty for none."""
    if is_split:
        return "split"
    return "journey_ended" if status.milestone in FINAL else ""


def conclude(
    status: Status,
    checkpoints: Iterable[Checkpoint],
    known_since: datetime | None,
    carrier: str = "",
    service: str = "",
    policy: SilencePolicy | None = None,
    *,
    is_split: bool = False,
    is_acted_on: bool = False,
) -> Silence | None:
    """The deadline of an open shipment; None where it has an excuse or nothing gives a time to count from.

    `is_acted_on` says that its newest failed delivery is: the deadline stays, as the parcel has to move all the same.

    Quiet time counts from the newest scan that tells of the parcel. Without any it counts from `known_since`, or from a
    scan that nobody understands, where one is older. Where the newest scan names a day only, it may have happened until
    the day's end: the allowance counts from there.
    """
    if excuse(status, is_split=is_split):
        return None
    policy = policy or SilencePolicy()
    ordered = in_order(checkpoints)
    scans = [c for c in ordered if c.milestone is not M.UNKNOWN]
    if scans:
        newest = scans[0]
        for scan in scans:
            if scan.occurred.at >= newest.occurred.at:
                newest = scan
        quiet_since, since, from_ = newest.occurred.at, "newest_scan", newest
        heard_until = max(quiet_since, scans[-1].occurred.end)
        if heard_until > quiet_since:
            since, from_ = "day_of_newest_scan", scans[-1]
    elif ordered and (known_since is None or ordered[0].occurred.at < known_since):
        quiet_since, since, from_ = ordered[0].occurred.at, "since_not_understood", ordered[0]
        heard_until = quiet_since
    elif known_since is not None:
        quiet_since, since, from_ = known_since, "since_known", None
        heard_until = quiet_since
    else:
        return None
    allowance = ALLOWANCES[status.milestone]
    kind, kind_rule = allowance.kind, "kind_of_milestone"
    quiet, quiet_rule = policy.quiet_for(status.milestone, carrier, service)
    if kind is StuckKind.NDR_UNACTIONED and is_acted_on:
        kind, kind_rule = StuckKind.NDR_ACTIONED, "kind_of_acted_on"
    if status.leg is Leg.RETURN and status.milestone not in BEFORE_PICKUP:
        kind, kind_rule = StuckKind.RETURN_STALLED, "kind_of_way_back"
    stuck_after = heard_until + quiet
    rules: tuple[str, ...] = (quiet_rule, since, kind_rule)
    because = (from_.key,) if from_ else ()
    if allowance.in_all is not None:
        first = _first_of_wait(scans)
        waits_until = (first.occurred.end if first else heard_until) + max(allowance.in_all, quiet)
        if first and waits_until < stuck_after:
            stuck_after, rules = waits_until, ("wait_for_pickup", *rules)
            because = tuple(dict.fromkeys((first.key, *because)))
    return Silence(kind, quiet_since, stuck_after, policy.version, quiet, rules, because)


def _first_of_wait(scans: list[Checkpoint]) -> Checkpoint | None:
    """The scan with which the wait for this pickup began; what moved or ended before belongs to an earlier trip of the
    same number."""
    wait = list(takewhile(lambda c: c.milestone not in _ANOTHER_TRIP, reversed(scans)))
    return next((c for c in reversed(wait) if c.milestone in BEFORE_PICKUP), None)
