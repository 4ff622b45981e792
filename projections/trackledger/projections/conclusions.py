"""What follows, by the policies, from what was said about one shipment?"""

from datetime import datetime

from msgspec import Struct

from trackledger.domain.checkpoints import AssertionKind
from trackledger.domain.milestones import Leg
from trackledger.domain.policies import attempts, delivery_dates, silence, status
from trackledger.domain.policies.attempts import AttemptPolicy, Case, CaseState
from trackledger.domain.policies.delivery_dates import DeliveryDates
from trackledger.domain.policies.order import in_order
from trackledger.domain.policies.silence import Silence, SilencePolicy
from trackledger.domain.policies.status import Arrival, Status
from trackledger.domain.statements import Statements, Told


class Policies(Struct, frozen=True):
    """The rules with a number in them that a host may set."""

    attempts: AttemptPolicy = AttemptPolicy()
    silence: SilencePolicy = SilencePolicy()


class Conclusions(Struct, frozen=True):
    """One shipment's statements and everything concluded from them; each read model picks its rows from here.

    `known_since` is when it was registered, else first heard of. Without a deadline `excuse` is the rule that says why.
    """

    statements: Statements
    told: list[Told]
    status: Status
    arrival: Arrival
    cases: list[Case]
    silence: Silence | None
    excuse: str
    known_since: datetime | None
    dates: DeliveryDates
    provider_says_stuck: bool | None


def conclude(statements: Statements, policies: Policies) -> Conclusions:
    """Apply every policy to what stands; withdrawn checkpoints count for nothing."""
    told = statements.told()
    live = in_order(t.checkpoint for t in told if not t.withdrawn)
    said = {t.checkpoint.key: t.ndr_said for t in told if t.ndr_said}
    carrier, service = statements.detail("carrier"), statements.detail("service")
    registered = statements.detail("registered_at")
    registered_at = datetime.fromisoformat(registered) if registered else None
    agreed = {statements.listed_as(key): name for key, name in attempts.agreed_to(statements.actions()).items()}
    claim = statements.assertion(AssertionKind.STUCK)
    known_since = registered_at or statements.known_since
    concluded = status.conclude(live)
    direction = statements.assertion(AssertionKind.DIRECTION)
    arrival = status.arrival(concluded, is_reverse=direction is not None and direction.value == Leg.RETURN)
    is_split = statements.assertion(AssertionKind.SPLIT) is not None
    cases = attempts.conclude(live, carrier, said, policies.attempts, agreed)
    quiet = silence.conclude(
        concluded,
        live,
        known_since,
        carrier,
        service,
        policies.silence,
        is_split=is_split,
        is_acted_on=bool(cases) and cases[-1].state is CaseState.ACTIONED,
    )
    return Conclusions(
        statements=statements,
        told=told,
        status=concluded,
        arrival=arrival,
        cases=cases,
        silence=quiet,
        excuse="" if quiet else silence.excuse(concluded, is_split=is_split) or "no_time",
        known_since=known_since,
        dates=delivery_dates.conclude(statements.estimates, live, registered_at, arrival.at),
        provider_says_stuck=claim.value == "yes" if claim else None,
    )
