"""Checkpoints in one line each, at Indian times of March 2025: `scan("out_for_delivery", "3 10:29")`."""

from datetime import UTC, datetime, timedelta

from trackledger.domain.checkpoints import Checkpoint, content_digest, fingerprint
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Moment, Precision, ZoneSource, moment

IST = 330


def when(text: str, precision: Precision | None = None, offset: int = IST) -> Moment:
    """`3 10:29` is a local time of 3 March 2025 and `3` that whole day; days above 31 run on into April."""
    day, _, clock = text.partition(" ")
    hours, minutes = clock.split(":") if clock else ("0", "0")
    precision = precision or (Precision.SECOND if clock else Precision.DAY)
    since_midnight = timedelta() if precision is Precision.DAY else timedelta(hours=int(hours), minutes=int(minutes))
    local = datetime(2025, 3, 1) + timedelta(days=int(day) - 1) + since_midnight  # noqa: DTZ001 (local digits)
    return moment(local, text, ZoneSource.ASSUMED, offset, precision)


def instant(text: str, offset: int = IST) -> datetime:
    """The instant of a local time: `3 10:29` is 04:59 UTC on 3 March 2025."""
    return when(text, offset=offset).at


def scan(
    milestone: Milestone | str,
    at: str | datetime,
    leg: Leg | str = Leg.FORWARD,
    precision: Precision | None = None,
    *,
    id: str = "",
    order: int = 0,
    location: str = "",
    said: str = "",
    remark: str = "",
    reason: NdrReason | str | None = None,
    offset: int = IST,
    mark: str = "",
) -> Checkpoint:
    """One statement. Equal arguments give the same one, another `mark` another fingerprint and nothing else."""
    milestone, leg = Milestone(milestone), Leg(leg)
    occurred = (
        when(at, precision, offset)
        if isinstance(at, str)
        else Moment(at.astimezone(UTC), at.isoformat(), precision=precision or Precision.SECOND)
    )
    return Checkpoint(
        fingerprint=fingerprint(milestone, leg, str(occurred.at), occurred.precision, location, mark),
        digest=content_digest(occurred, milestone, said, location, remark),
        milestone=milestone,
        occurred=occurred,
        id=id,
        leg=leg,
        status_code=milestone,
        status_said=said,
        location=location,
        remark=remark,
        ndr_reason=NdrReason(reason) if reason is not None else None,
        order=order,
    )
