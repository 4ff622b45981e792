"""What follows, by the policies, from what was said about one shipment?"""

from datetime import datetime

from msgspec import Struct

from trackledger.domain.checkpoints import AssertionKind
from trackledger.domain.milestones import Leg, Milestone
from trackledger.domain.policies import attempts, delivery_dates, silence, status
from trackledger.domain.policies.attempts import AttemptPolicy, Case
from trackledger.domain.policies.delivery_dates import DeliveryDates, Window
from trackledger.domain.policies.order import in_order
from trackledger.domain.policies.silence import Silence, SilencePolicy
from trackledger.domain.policies.status import Status
from trackledger.domain.statements import Statements, Told


class Policies(Struct, frozen=True):
    """The rules with a number in them that a host may set."""

    attempts: AttemptPolicy = AttemptPolicy()
    silence: SilencePolicy = SilencePolicy()


class Conclusions(Struct, frozen=True):
    """One shipment's statements and everything concluded from them; each read model picks its rows from here."""

    statements: Statements
    told: list[Told]
    status: Status
    cases: list[Case]
    silence: Silence | None
    dates: DeliveryDates
    windows: list[Window]
    provider_says_stuck: bool | None


def conclude(statements: Statements, policies: Policies) -> Conclusions:
    """Apply every policy to what stands; withdrawn checkpoints count for nothing."""
    told = statements.told()
    live = in_order(t.checkpoint for t in told if not t.withdrawn)
    said = {t.checkpoint.key: t.ndr_said for t in told if t.ndr_said}
    carrier, service = statements.detail("carrier"), statements.detail("service")
    registered = statements.detail("registered_at")
    registered_at = datetime.fromisoformat(registered) if registered else None
    claim = statements.assertion(AssertionKind.STUCK)
    known_since = registered_at or statements.known_since
    concluded = status.conclude(live)
    direction = statements.assertion(AssertionKind.DIRECTION)
    arrived_at = concluded.delivered_at
    if direction and direction.value == Leg.RETURN and concluded.milestone is Milestone.RETURNED:
        # A reverse pickup is meant for the merchant: there it has arrived.
        arrived_at = concluded.since
    return Conclusions(
        statements=statements,
        told=told,
        status=concluded,
        cases=attempts.conclude(live, carrier, said, policies.attempts),
        # An order whose parcels are shipments of their own has nothing more to say; they have.
        silence=None
        if statements.assertion(AssertionKind.SPLIT)
        else silence.conclude(concluded, live, known_since, carrier, service, policies.silence),
        dates=delivery_dates.conclude(statements.estimates, live, registered_at, arrived_at),
        windows=delivery_dates.windows(statements.estimates, delivery_dates.count_from(live, registered_at)),
        provider_says_stuck=claim.value == "yes" if claim else None,
    )
