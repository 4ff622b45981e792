"""Does everything that arrives reach the tables, and does anything arrive at all?"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from trackledger.adapters.checks import Check, several
from trackledger.adapters.clock import Clock
from trackledger.adapters.configuration import Connection
from trackledger.adapters.feeds import SILENT, last_heard
from trackledger.adapters.inbox import Inbox
from trackledger.adapters.storage.builds import old_names, under_way
from trackledger.adapters.storage.database import Database
from trackledger.domain.policies.silence import VERSION
from trackledger.projections.conclusions import Policies
from trackledger.projections.tables import POSITION, lag

WAITING_LONG = timedelta(minutes=1)
OVERDUE = timedelta(minutes=15)


class Look(Struct, frozen=True):
    """What is looked at, as of `now`, in the time of `clock`."""

    database: Database
    now: datetime
    clock: Clock
    connections: Sequence[Connection]
    policies: Policies | None

    def one(self, sql: str, **params: Any) -> dict[str, Any] | None:
        """The first row of a query, None where there is none."""
        return next(iter(self.database.read(sql, **params)), None)

    def is_longer(self, age: timedelta, limit: timedelta) -> bool:
        """Whether an age in the clock's time is longer than this of the machine's time."""
        return self.clock.seconds(age) > limit.total_seconds()


def ledger(look: Look) -> Check:
    """How far the tables are behind."""
    head = look.database.read("SELECT COALESCE(MAX(notification_id), 0) AS head FROM {s}stored_events")[0]["head"]
    behind = lag(look.database)
    says = f"{several(head, 'event')}, the {POSITION} are {several(behind, 'event')} behind"
    if behind > 0:
        return Check("ledger", "warning", says, "see that `trackledger run` works, or run `trackledger project`")
    return Check("ledger", "ok", says)


def poisoned(look: Look) -> Check:
    """Shipments whose events cannot be folded."""
    found = look.one("SELECT COUNT(*) AS n, MIN(shipment_id) AS example FROM {s}poisoned")
    if found and found["n"]:
        says = f"{several(found['n'], 'shipment')} cannot be folded, e.g. {found['example']}: the rows are old"
        return Check("shipments", "failed", says, "see why in `trackledger parked`, upgrade, and `trackledger rebuild`")
    return Check("shipments", "ok", "every shipment can be folded")


def waiting(look: Look) -> Check:
    """Messages that were kept and not yet taken in."""
    inbox = Inbox(look.database)
    age = inbox.oldest_waiting(look.now)
    if age is None:
        return Check("inbox", "ok", "no message waits")
    says = f"{several(inbox.waiting(), 'message waits', 'messages wait')}, the oldest for {span(age)}"
    if look.is_longer(age, WAITING_LONG):
        return Check("inbox", "warning", says, "see that `trackledger run` works, or run `trackledger project`")
    return Check("inbox", "ok", says)


def parked(look: Look) -> Check:
    """Messages that nobody could read, by provider."""
    found = {name: count for (name, state), count in Inbox(look.database).counts().items() if state == "parked"}
    if not found:
        return Check("parked", "ok", "no message is parked")
    counts = ", ".join(f"{count:,} of {name}" for name, count in found.items())
    return Check("parked", "warning", f"messages that could not be read: {counts}", "see why in `trackledger parked`")


def unmapped(look: Look) -> Check:
    """Statuses that no mapping knows."""
    found = look.one("SELECT COUNT(*) AS n FROM {s}unmapped")
    if not found or not found["n"]:
        return Check("statuses", "ok", "every status is mapped")
    says = f"{several(found['n'], 'status', 'statuses')} that no mapping knows"
    return Check("statuses", "warning", says, "see them in `trackledger unmapped`, and upgrade or report them")


def silent(look: Look) -> Check:
    """Providers that are connected and of which nothing arrives."""
    quiet = []
    for one in look.connections:
        last = last_heard(look.database, one.account, one.provider)
        if last is None or look.now - last > SILENT:
            since = "ever" if last is None else f"for {span(look.now - last)}"
            quiet.append(f"{one.account}.{one.provider} {since}")
    if quiet:
        remedy = "see that `trackledger run` works and that the webhooks are set up at the provider"
        return Check("silent providers", "warning", f"nothing was heard from {', '.join(quiet)}", remedy)
    heard_of = "every connected provider was heard within a day" if look.connections else "no provider is connected"
    return Check("silent providers", "ok", heard_of)


def stopped(look: Look) -> Check:
    """Accounts that are not asked any more."""
    found = look.database.read(
        "SELECT account, provider, stopped FROM {s}poll_accounts WHERE stopped <> '' ORDER BY account, provider"
    )
    if not found:
        return Check("stopped accounts", "ok", "no account was stopped")
    says = ", ".join(f"{row['account']}.{row['provider']} is not asked any more: {row['stopped']}" for row in found)
    return Check("stopped accounts", "failed", says, "correct its credentials and start the poller again")


def overdue(look: Look) -> Check:
    """Trackers that should have been asked about by now."""
    late = "FROM {s}poll_schedule WHERE state = 'asking' AND due_at < :before"
    before = look.now - OVERDUE * look.clock.speed
    count = look.database.read(f"SELECT COUNT(*) AS n {late}", before=before)[0]["n"]
    oldest = look.one(f"SELECT due_at {late} ORDER BY due_at LIMIT 1", before=before)
    if oldest is None:
        return Check("poll schedule", "ok", "nothing is overdue")
    says = f"{several(count, 'tracker')} overdue, the oldest by {span(look.now - oldest['due_at'])}"
    return Check("poll schedule", "warning", says, "see that `trackledger run` or `trackledger poll` works")


def policies(look: Look) -> Check:
    """Whether the rows were made by the policies that are configured."""
    version = look.policies.silence.version if look.policies else VERSION
    found = look.database.read(
        """SELECT policy_version, COUNT(*) AS n FROM {s}silence WHERE policy_version <> :version
           GROUP BY policy_version ORDER BY policy_version LIMIT 10""",
        version=version,
    )
    if not found:
        return Check("policies", "ok", f"version {version}")
    others = ", ".join(f"{row['n']:,} by version {row['policy_version']}" for row in found)
    says = f"rows were made by other policies than the configured version {version}: {others}"
    return Check("policies", "warning", says, "run `trackledger rebuild`")


def rebuilds(look: Look) -> Check:
    """Whether a rebuild was left off, and which tables it replaced are still there."""
    kept = old_names(look.database)
    old = f", kept are {', '.join(kept)} until `trackledger rebuild --drop-old`" if kept else ""
    # Its lease is in the machine's time, whatever the configured clock shows.
    one = under_way(look.database, datetime.now(UTC))
    if one is None:
        return Check("rebuilds", "ok", f"none is under way{old}")
    folded = f"{one.events:,} of {one.upto:,} events"
    if one.state == "running":
        return Check("rebuilds", "ok", f"one is under way by {one.process}, {folded} folded{old}")
    how = "was not switched to" if one.state == "built" else f"was interrupted after {folded}"
    remedy = "go on with `trackledger rebuild`, or give it up with `trackledger rebuild --drop-new`"
    return Check("rebuilds", "warning", f"one of {', '.join(one.tables)} {how}{old}", remedy)


CHECKS: tuple[Callable[[Look], Check], ...] = (
    ledger,
    poisoned,
    waiting,
    parked,
    unmapped,
    silent,
    stopped,
    overdue,
    policies,
    rebuilds,
)


def span(age: timedelta) -> str:
    """A span in its largest unit, rounded down."""
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
