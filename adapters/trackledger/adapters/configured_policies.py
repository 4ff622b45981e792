"""Which policies does the configuration file set?"""

from collections.abc import Mapping
from datetime import timedelta
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from trackledger.adapters.misconfigured import Place, entries, section, unknown
from trackledger.domain.milestones import FINAL, Milestone
from trackledger.domain.policies import attempts, silence
from trackledger.projections.conclusions import Policies

_HOURS = "a number of hours above 0 and up to 87600"
Hours = Annotated[float, Meta(gt=0, le=87_600, description=_HOURS)]
Name = Annotated[str, Meta(min_length=1, max_length=256, description="a name of up to 256 characters")]


class SilenceEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """Allowed quiet hours by milestone, for one carrier or any, for one service or any."""

    hours: Annotated[dict[str, Any], Meta(description="a table of hours by milestone, such as { in_transit = 48 }")]
    carrier: Name | None = None
    service: Name | None = None


class AttemptsSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Hours to act on a failed delivery, and between two failures that make two visits."""

    hours_to_act: Hours = attempts.ACT_WITHIN.total_seconds() / 3600
    hours_between_visits: Hours = attempts.NEW_VISIT_AFTER.total_seconds() / 3600
    carriers: Annotated[dict[str, Any], Meta(description="a table of hours to act by carrier")] = {}


class PoliciesSection(Struct, frozen=True, forbid_unknown_fields=True):
    """The table `policies`."""

    version: Annotated[
        str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,40}\Z", description="1 to 40 of the characters A-Z a-z 0-9 . _ -")
    ] = silence.VERSION
    silence: Annotated[
        tuple[SilenceEntry, ...], Meta(max_length=10_000, description="tables, each begun by [[policies.silence]]")
    ] = ()
    attempts: AttemptsSection = AttemptsSection()


def policies(value: Any, place: Place) -> Policies:
    """The table `policies` as the policies in force. Raises `UsageError` naming the key.

    The version that the rows carry is the stated one with a digest of the numbers, so that rows made with others are
    known even where nobody thought of stating another version.
    """
    said = section(PoliciesSection, value, place)
    quiet: dict[tuple[str, str, Milestone], timedelta] = {}
    for at, entry in enumerate(said.silence):
        here = place.key("silence").item(at)
        carrier, service = (entry.carrier or "").casefold(), (entry.service or "").casefold()
        for milestone, hours in _by_milestone(entry.hours, here.key("hours")).items():
            if (carrier, service, milestone) in quiet:
                raise here.key("hours").key(milestone).wrong("is set before for this carrier and service; leave one")
            quiet[carrier, service, milestone] = hours
    act = said.attempts
    carriers = entries(act.carriers, Hours, _HOURS, place.key("attempts").key("carriers"))
    attempt = attempts.AttemptPolicy(
        timedelta(hours=act.hours_to_act),
        {name.casefold(): timedelta(hours=hours) for name, hours in carriers.items()},
        timedelta(hours=act.hours_between_visits),
    )
    version = f"{said.version}+{_digest(quiet, attempt)}"
    return Policies(attempt, silence.SilencePolicy(version, quiet))


def _by_milestone(value: Mapping[str, Any], place: Place) -> dict[Milestone, timedelta]:
    known = [milestone.value for milestone in silence.ALLOWANCES]
    for name in value:
        if name in FINAL:
            raise place.key(name).wrong("ends the journey, so that no parcel is quiet there; remove it")
        if name not in known:
            raise unknown(name, known, place)
    hours = entries(value, Hours, _HOURS, place)
    return {Milestone(name): timedelta(hours=number) for name, number in hours.items()}


def _digest(quiet: Mapping[tuple[str, str, Milestone], timedelta], attempt: attempts.AttemptPolicy) -> str:
    numbers = (
        silence.VERSION,
        sorted((*key, span.total_seconds()) for key, span in quiet.items()),
        attempt.act_within.total_seconds(),
        sorted((name, span.total_seconds()) for name, span in attempt.act_within_by_carrier.items()),
        attempt.new_visit_after.total_seconds(),
    )
    return blake2b(msgspec.json.encode(numbers), digest_size=4).hexdigest()
