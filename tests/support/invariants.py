"""What holds of every report of every provider, whatever the message was?"""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from trackledger.adapters.providers import MAX_AHEAD, normalize, provider
from trackledger.adapters.providers.base import Message
from trackledger.domain.checkpoints import DETAILS, MAX_REFERENCE, AssertionKind, EstimateSource, Report
from trackledger.domain.errors import MessageError
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Moment, ZoneSource
from trackledger.domain.shipment import Shipment

_HEX = re.compile(r"[0-9a-f]+")


def read_or_refused(of: Message) -> list[Report]:
    """The reports, their invariants checked; none where the message was refused in one sentence.

    Anything else that is raised goes through: it is what the calling test is after.
    """
    try:
        reports = normalize(of)
    except MessageError as refused:
        assert_one_sentence(of.provider, str(refused))
        return []
    assert_all(of, reports)
    return reports


def assert_one_sentence(name: str, reason: str) -> None:
    """A reason that a person can read in a list."""
    assert reason.startswith(f"{name}: "), reason
    assert reason.isprintable(), reason
    assert len(reason) <= 400, reason


def assert_all(of: Message, reports: list[Report]) -> None:
    """Every invariant, and that the domain takes each report of a message."""
    assert reports, "a message that says nothing is to be ignored by name"
    references = [report.tracker.reference for report in reports]
    assert len(set(references)) == len(references), "two reports of one message about one tracker"
    for report in reports:
        assert_invariants(of, report)
        _, judgement = Shipment(report.key).report(report, of.received_at, withdrawals=True)
        assert judgement.recorded == len({checkpoint.key for checkpoint in report.checkpoints})
        assert judgement.withdrawn == 0


def assert_invariants(of: Message, report: Report) -> None:
    """Aware instants, unique identities, words of the vocabulary, no future beyond a day, references of the form."""
    speaking = provider(of.provider)
    assert (report.account, report.message_id, report.channel) == (of.account, of.message_id, of.channel)
    assert report.received_at == of.received_at
    assert report.stated_at is None or _is_utc(report.stated_at)
    tracker = report.tracker
    assert tracker.provider == of.provider
    assert report.keys
    for reference in (tracker.reference, *(further.reference for further in report.also_trackers)):
        assert re.fullmatch(speaking.reference_form, reference), reference
    assert all(len(text) <= MAX_REFERENCE for text in (tracker.carrier, tracker.tracking_number))
    assert report.details.keys() <= set(DETAILS)
    assert all(0 < len(text) <= MAX_REFERENCE and "\x00" not in text for text in report.details.values())

    keys = {checkpoint.key for checkpoint in report.checkpoints}
    assert len(keys) == len(report.checkpoints), "two checkpoints with one identity"
    for checkpoint in report.checkpoints:
        assert checkpoint.milestone in Milestone
        assert checkpoint.leg in Leg
        assert checkpoint.ndr_reason is None or checkpoint.ndr_reason in NdrReason
        assert not checkpoint.ndr_inferred or checkpoint.ndr_reason is not None
        _assert_moment(checkpoint.occurred)
        assert checkpoint.occurred.at <= of.received_at + MAX_AHEAD
        assert checkpoint.reported is None or _is_utc(checkpoint.reported)
        assert not checkpoint.id or checkpoint.id.startswith(f"{of.provider}:")
        assert _HEX.fullmatch(checkpoint.fingerprint) and _HEX.fullmatch(checkpoint.digest)
    for estimate in report.estimates:
        assert estimate.source in EstimateSource
        for moment in (estimate.starts, estimate.ends):
            if moment is not None:
                _assert_moment(moment)
    fingerprints = {checkpoint.fingerprint for checkpoint in report.checkpoints}
    for assertion in report.assertions:
        assert assertion.about in {"", *fingerprints}
        assert assertion.kind is not AssertionKind.NDR or assertion.value in set(NdrReason)
    if report.whole_history:
        assert report.checkpoints, "an empty list promises no history"


def _assert_moment(moment: Moment) -> None:
    assert _is_utc(moment.at)
    assert moment.said
    assert moment.zone in ZoneSource
    assert moment.zone is not ZoneSource.UNKNOWN or moment.offset == 0


def _is_utc(instant: datetime) -> bool:
    return instant.utcoffset() == timedelta(0)


WRONG: tuple[Any, ...] = (None, True, -1, 2.5, 10**40, "", "x" * 5000, "\x00", "\u202e\u200b٣", [], [[]], {}, {"a": 1})
"""Values that no field expects, but for those where one is harmless."""


def without_one_field(body: bytes) -> Iterator[bytes]:
    """A JSON body as often as it has members and elements, each time without one of them."""
    for path in _paths(json.loads(body)):
        changed = json.loads(body)
        del _place(changed, path)[path[-1]]
        yield json.dumps(changed).encode()


def with_one_wrong_value(body: bytes, wrong: Any) -> Iterator[bytes]:
    """A JSON body as often as it has members and elements, each time with another of them replaced."""
    for path in _paths(json.loads(body)):
        changed = json.loads(body)
        _place(changed, path)[path[-1]] = wrong
        yield json.dumps(changed).encode()


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from _paths(child, (*at, key))


def _place(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        value = value[key]
    return value
