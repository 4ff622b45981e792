"""Reports in one line each, about one tracker unless told otherwise: `report(scan(…), at="3 12:00")`."""

from collections.abc import Mapping

from support.scans import IST, instant, when
from trackledger.domain.checkpoints import (
    Assertion,
    AssertionKind,
    Channel,
    Checkpoint,
    Estimate,
    EstimateSource,
    Report,
    Tracker,
)

TRACKER = Tracker("clickpost", "4:AWB1", "Delhivery", "AWB1")
OTHER_TRACKER = Tracker("clickpost", "9:AWB1", "Shadowfax", "AWB1")


def report(
    *checkpoints: Checkpoint,
    at: str,
    received: str | None = None,
    message: str = "",
    channel: Channel = "poll",
    whole: bool = False,
    estimates: tuple[Estimate, ...] = (),
    assertions: tuple[Assertion, ...] = (),
    details: Mapping[str, str] | None = None,
    tracker: Tracker = TRACKER,
) -> Report:
    """What a message of the provider's time `at` says; it is received at that time too, unless `received` is given."""
    return Report(
        account="default",
        tracker=tracker,
        message_id=message or f"{channel} {at}",
        channel=channel,
        received_at=instant(received or at),
        stated_at=instant(at) if received else None,
        checkpoints=checkpoints,
        estimates=estimates,
        assertions=assertions,
        details=details or {},
        whole_history=whole,
    )


def estimate(source: str, starts: str, ends: str | None = None) -> Estimate:
    """A window from one day or instant to another, as in `scan`."""
    return Estimate(EstimateSource(source), when(starts), when(ends or starts), offset=IST)


def claim(kind: str, value: str, said: str = "", about: str = "") -> Assertion:
    """One headline claim."""
    return Assertion(AssertionKind(kind), value, said, about)
