"""The domain: what is true about shipments. Hosts import from here: `from trackledger.domain import Ledger, Report`.

Names are resolved on first use, so that a program that only reads tables does not load the event-sourcing library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trackledger.domain.batch import Receipt
    from trackledger.domain.checkpoints import (
        Assertion,
        AssertionKind,
        Checkpoint,
        Estimate,
        EstimateSource,
        Registration,
        Report,
        Tracker,
    )
    from trackledger.domain.errors import TrackledgerError
    from trackledger.domain.ledger import Ledger
    from trackledger.domain.milestones import Leg, Milestone, NdrReason
    from trackledger.domain.moments import Moment, Precision, ZoneSource

_HOME = {
    "Assertion": "checkpoints",
    "AssertionKind": "checkpoints",
    "Checkpoint": "checkpoints",
    "Estimate": "checkpoints",
    "EstimateSource": "checkpoints",
    "Ledger": "ledger",
    "Leg": "milestones",
    "Milestone": "milestones",
    "Moment": "moments",
    "NdrReason": "milestones",
    "Precision": "moments",
    "Receipt": "batch",
    "Registration": "checkpoints",
    "Report": "checkpoints",
    "Tracker": "checkpoints",
    "TrackledgerError": "errors",
    "ZoneSource": "moments",
}

__all__ = [
    "Assertion",
    "AssertionKind",
    "Checkpoint",
    "Estimate",
    "EstimateSource",
    "Ledger",
    "Leg",
    "Milestone",
    "Moment",
    "NdrReason",
    "Precision",
    "Receipt",
    "Registration",
    "Report",
    "Tracker",
    "TrackledgerError",
    "ZoneSource",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
