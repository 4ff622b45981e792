"""Which providers do we understand? One module each; adding one is adding its line here."""

from datetime import timedelta
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from trackledger.domain.errors import Unreadable, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trackledger.adapters.providers.base import Message, Provider
    from trackledger.domain.checkpoints import Report

PROVIDERS = ("clickpost", "ship24", "shippit", "shiplemon", "rye", "aftership")

MAX_AHEAD = timedelta(days=1)
"""How far ahead of its arrival a statement may lie: a day for zones that were guessed, and for clocks."""


def provider(name: str) -> "Provider":
    """The provider of this name, loaded on first use. Raises `UsageError` naming those there are."""
    if name not in PROVIDERS:
        raise UsageError(f"provider {name!r} is unknown; use one of: {', '.join(PROVIDERS)}")
    return _loaded(name)


@cache
def _loaded(name: str) -> "Provider":
    return cast("Provider", import_module(f"{__name__}.{name}").PROVIDER)


def normalize(message: "Message") -> "list[Report]":
    """Everything the message says, by its provider's module, and refused where no provider may say it.

    Raises `Unreadable` and `Ignored` as the module does, also `Unreadable` for a scan, or a clock of the provider, that
    lies more than a day ahead of the message: it would hide everything that is said after it. The error's `readable`
    are the reports of what could be read.
    """
    refused: list[Unreadable] = []
    try:
        reports: Sequence[Report] = provider(message.provider).normalize(message)
    except Unreadable as reason:
        refused.append(reason)
        reports = reason.readable
    latest = message.received_at + MAX_AHEAD
    believed = []
    for report in reports:
        ahead = [c.occurred.said for c in report.checkpoints if c.occurred.at > latest]
        if report.said_at > latest:
            ahead.append(report.said_at.isoformat())
        if ahead:
            refused.append(_ahead(message, report, ahead[0]))
        else:
            believed.append(report)
    if refused:
        raise Unreadable(str(refused[0]), believed)
    return believed


def _ahead(message: "Message", report: "Report", said: str) -> Unreadable:
    return Unreadable(
        f"{message.provider}: time {said!r} of {report.tracker.reference!r} lies more than a day after the message "
        f"arrived, {message.received_at.isoformat()}"
    )
