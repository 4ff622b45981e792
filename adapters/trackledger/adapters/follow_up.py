"""Who is asked about a parcel once its provider has nothing more to say?"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import cast

from msgspec.structs import replace

from trackledger.adapters.providers import PROVIDERS, provider
from trackledger.domain.checkpoints import Report, Tracker
from trackledger.domain.errors import UsageError

FOLLOWERS = {"aftership": "own_id"}
"""Providers that take a reference of our choice, and the function of their module that makes it of a tracker's key."""


class FollowUp:
    """Adds, to a report of a parcel whose journey its provider does not tell, a tracker at the provider that does.

    `then` maps the provider that stops to the one that goes on. The further tracker has a reference of our own, made of
    the first tracker's identity: however often and through whatever message a number is learned, it is the same
    tracker, which the ledger links once. Raises `UsageError` for providers that cannot be put together so.
    """

    def __init__(self, then: Mapping[str, str]) -> None:
        for first, name in then.items():
            if first not in PROVIDERS:
                raise UsageError(f"follow-up {first}={name}: {first} is unknown; use one of: {', '.join(PROVIDERS)}")
            if name not in FOLLOWERS:
                known = ", ".join(FOLLOWERS)
                raise UsageError(f"follow-up {first}={name}: {name} takes no reference of ours; use one of: {known}")
        self._then = dict(then)

    def __call__(self, report: Report) -> Report:
        tracker = report.tracker
        name = self._then.get(tracker.provider)
        if name is None or not re.fullmatch(provider(tracker.provider).abilities.follow_up, tracker.reference):
            return report
        further = Tracker(name, _own_reference(name)(report.key), tracker.carrier, tracker.tracking_number)
        return replace(report, also_trackers=(*report.also_trackers, further))


@cache
def _own_reference(name: str) -> Callable[[str], str]:
    module = import_module(f"trackledger.adapters.providers.{name}")
    return cast(Callable[[str], str], getattr(module, FOLLOWERS[name]))
