"""Does every rule that draws a conclusion say what it means, and does its version change with it?"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import blake2b
from itertools import product
from random import Random
from typing import Any

import msgspec
import pytest

from support.reports import estimate
from support.scans import instant, scan
from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.milestones import Leg, Milestone
from trackledger.domain.policies import attempts, delivery_dates, lateness, silence, status
from trackledger.domain.statements import ToldEstimate
from trackledger.projections import consignments, explanation

MODULES: tuple[explanation.Ruled, ...] = (
    status,
    attempts,
    silence,
    delivery_dates,
    lateness,
    consignments,
    explanation,
)
HOT = ("delivery_failed", "out_for_delivery", "available_for_pickup", "delivered", "return_requested", "lost")
POLICY = silence.SilencePolicy(
    "test",
    {
        ("acme", "fast", Milestone.IN_TRANSIT): timedelta(hours=5),
        ("acme", "", Milestone.ARRIVED): timedelta(hours=6),
        ("", "fast", Milestone.CUSTOMS): timedelta(hours=7),
        ("", "", Milestone.ON_HOLD): timedelta(hours=8),
    },
)
ACTING = attempts.AttemptPolicy(act_within_by_carrier={"acme": timedelta(hours=5)})
AGREED = ("told_to_try_again", "told_to_return", "acted_by_hand")
NOW = instant("3 12:00")


def journeys() -> Iterator[tuple[Random, list[Checkpoint]]]:
    """Scans of parcels that go any way, each milestone once after each other among them; the same each time."""
    random = Random(20250301)
    for one, other, leg in product(Milestone, Milestone, (Leg.FORWARD, Leg.RETURN)):
        yield random, [scan(one, "1 10:00"), scan(other, "2 10:00", leg)]
    for days in (3, 9):
        yield random, [scan("pickup_failed", f"{day} 10:00") for day in range(1, days)]
    for _ in range(1000):
        scans = [
            scan(
                random.choice(HOT) if random.random() < 0.5 else random.choice(list(Milestone)),
                f"{random.randint(1, 4)}" + (f" {random.randint(0, 23)}:00" if random.random() < 0.9 else ""),
                random.choice([*[Leg.FORWARD] * 5, Leg.RETURN, Leg.EXCHANGE]),
                location=random.choice(["", "Delhi"]),
                reason=random.choice([None, "refused", "unspecified"]),
            )
            for _ in range(random.randint(0, 8))
        ]
        yield random, list({one.key: one for one in scans}.values())


def concluded(random: Random, scans: list[Checkpoint]) -> dict[str, Any]:
    """What each module concludes, by its name."""
    found = status.conclude(scans)
    carrier, service = random.choice([("Acme", "Fast"), ("Acme", ""), ("", "fast"), ("", "")])
    known_since = random.choice([None, instant("1 08:00"), instant("9 08:00")])
    registered = random.choice([None, instant("1 09:00")])
    told = [
        ToldEstimate(one, instant(f"{random.randint(1, 3)} 08:00"), f"m{n}")
        for n, one in enumerate(random.sample(ESTIMATES, random.randint(0, 3)))
    ]
    arrival = status.arrival(found, is_reverse=random.random() < 0.2)
    dates = delivery_dates.conclude(told, scans, registered, arrival.at)
    split = random.random() < 0.1
    agreed = {one.key: AGREED[int(one.fingerprint[0], 16) % 3] for one in scans if one.fingerprint < "4"}
    cases = attempts.conclude(scans, carrier, policy=ACTING, agreed=agreed)
    acted_on = bool(cases) and cases[-1].state == "actioned"
    quiet = silence.conclude(found, scans, known_since, carrier, service, POLICY, is_split=split, is_acted_on=acted_on)
    return {
        "status": (found, arrival),
        "attempts": cases,
        "silence": quiet or silence.excuse(found, is_split=split) or "no_time",
        "delivery_dates": dates,
        "lateness": lateness.judge(
            dates.promised_by, dates.delivered_at, NOW, ended=found.milestone in ("lost", "cancelled")
        ),
    }


ESTIMATES = [
    estimate("carrier", "3"),
    estimate("provider", "4 18:00"),
    estimate("promise", "2"),
    msgspec.structs.replace(estimate("sla", "1"), starts=None, ends=None, days_from=1, days_to=2),
]


def named(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every rule that conclusions name, with the name of its module."""
    state, arrival = found["status"]
    yield from (("status", name) for name in (state.rule, arrival.rule, *(rule for _, rule in state.passed)))
    for case in found["attempts"]:
        rules = (case.rule, case.reason_rule, case.act_rule, *(rule for _, rule in case.visits))
        yield from (("attempts", name) for name in rules)
    quiet = found["silence"]
    yield from (("silence", name) for name in ((quiet,) if isinstance(quiet, str) else quiet.rules))
    dates = found["delivery_dates"]
    yield "delivery_dates", delivery_dates.AGAINST[dates.baseline]
    yield from (("delivery_dates", name) for window in dates.windows for name in window.rules)
    yield "lateness", found["lateness"].rule


SPOKEN_FOR = {
    "status": {"newest_place", "provider_headline"},
    "attempts": {
        "no_failed_delivery", "visits_in_all", "inferred_reason", "not_answered", "refused", "overtaken", "case_gone",
    },
    "silence": {"provider_claim"},
    "delivery_dates": {
        "newest_promise", "first_stated", "nearest_source", "no_estimate", "first_attempt", "no_attempt",
    },
    "lateness": set(),
}  # fmt: skip
"""Rules that no result of their module names; `test_explain` meets them."""


def test_every_rule_that_is_named_has_its_sentence_and_every_sentence_is_of_one_that_is() -> None:
    met: dict[str, set[str]] = {}
    for random, scans in journeys():
        for module, name in named(concluded(random, scans)):
            met.setdefault(module, set()).add(name)

    rules = {module.__name__.rpartition(".")[2]: set(module.RULES) for module in MODULES[:5]}  # type: ignore[attr-defined]
    assert {module: met[module] | SPOKEN_FOR[module] for module in rules} == rules


@pytest.mark.parametrize("module", MODULES)
def test_rules_are_told_in_one_plain_sentence(module: explanation.Ruled) -> None:
    for name, says in module.RULES.items():
        assert name == name.lower() and " " not in name
        assert says[0].isupper() and says.endswith(".") and ". " not in says, says
    numbered: frozenset[str] = getattr(module, "NUMBERED", frozenset())
    assert numbered <= set(module.RULES)


def test_versions_are_named_for_what_they_are_of() -> None:
    versions = [module.RULES_VERSION.rpartition("-") for module in MODULES]
    assert all(number.isdigit() for _, _, number in versions)
    assert len({name for name, _, _ in versions}) == len(MODULES)


VALUES: dict[str, Callable[[Any], Any]] = {
    "status": lambda found: [
        *(getattr(found[0], name) for name in ("milestone", "leg", "since", "location", "said", "rule", "because")),
        found[1].at,
    ],
    "attempts": lambda found: [
        (case.state, case.reason, case.party, case.attempts, case.act_by, case.closed_at, case.outcome, case.rule)
        for case in found
    ],
    "silence": lambda found: (
        found if isinstance(found, str) else (found.kind, found.quiet_since, found.stuck_after, found.rules)
    ),
    "delivery_dates": lambda found: (
        [(window.starts, window.ends, window.deadline, window.rules) for window in found.windows],
        [one and one.deadline for one in (found.promised, found.original, found.current)],
        (found.revisions, found.first_attempt_at, found.baseline, found.promised_by),
    ),
    "lateness": lambda found: (found.on_time, found.rule, found.margin),
}
"""What matters of the results of each module."""

PINNED = {
    "status-1": "d8de988f7216dd07",
    "attempts-2": "11460065522e64e6",
    "silence-2": "5619a82b75e8ca5a",
    "delivery_dates-1": "6b1d692d6ab06b53",
    "lateness-1": "7d21776d74958fa4",
}
"""Version of the rules to a digest of what they conclude of many journeys."""


def test_the_version_changes_with_the_conclusions() -> None:
    """When this fails, the same statements give another conclusion: give the rules of that module a new version, and
    pin the digest with it. Nobody would know otherwise by which rules an answer of yesterday was drawn."""
    digests = {module: blake2b(digest_size=8) for module in SPOKEN_FOR}
    for random, scans in journeys():
        for module, found in concluded(random, scans).items():
            digests[module].update(msgspec.json.encode(VALUES[module](found)))
    versions = {module.__name__.rpartition(".")[2]: module.RULES_VERSION for module in MODULES[:5]}  # type: ignore[attr-defined]
    assert {versions[module]: digest.hexdigest() for module, digest in digests.items()} == PINNED
