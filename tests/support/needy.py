"""A ledger in which every queue has something, of two accounts.

On top of `assorted`: windows that slipped, statuses that nothing maps, messages that nobody can read, and trackers in
every state of being asked about.
"""

from datetime import timedelta

from msgspec.structs import replace

from support.assorted import NOW, fill
from support.reports import estimate, report
from support.scans import scan
from trackledger.adapters.inbox import message
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.schedule import Schedule
from trackledger.domain.checkpoints import Channel, Report, Tracker

ACCOUNTS = ("default", "elsewhere")


def slipped(number: int, account: str) -> list[Report]:
    """It was expected on one day, and is on a later one; every other had been promised for the same day."""
    tracker = Tracker("clickpost", f"4:S{number}", "Delhivery", f"S{number}")
    first = (estimate("carrier", "18"), *((estimate("promise", "18"),) if number % 2 else ()))
    told = [
        report(scan("picked_up", f"1{number} 10:00"), at=f"1{number} 12:00", tracker=tracker, estimates=first),
        report(at=f"1{number} 13:00", tracker=tracker, estimates=(estimate("carrier", str(18 + 4 * number)),)),
    ]
    return [replace(one, account=account) for one in told]


def unmapped(number: int, account: str) -> Report:
    """Statuses that nothing maps: one by its code in other words each time, and one without a code."""
    scans = [
        replace(scan("unknown", "2 10:00", said=f"Words {number}"), status_code="X1"),
        replace(scan("unknown", "2 11:00", said="Only words"), status_code=""),
    ]
    tracker = Tracker(("clickpost", "ship24")[number % 2], f"4:U{number}", "Delhivery", f"U{number}")
    return replace(report(*scans, at="2 12:00", tracker=tracker), account=account)


def park(runtime: Runtime, account: str, count: int = 3) -> None:
    """Messages that nobody can read."""
    channels: tuple[Channel, ...] = ("poll", "webhook")
    told = [
        message(
            ("clickpost", "ship24")[n % 2],
            f"neither JSON nor anything else {n}".encode(),
            channel=channels[n // 2 % 2],
            account=account,
            received_at=NOW - timedelta(hours=n),
        )
        for n in range(count)
    ]
    runtime.inbox.append(told)
    runtime.intake.catch_up()


def ask(runtime: Runtime, account: str, count: int = 8) -> None:
    """Trackers that are due, not yet, no more, or not answered about."""
    trackers = [(account, "", Tracker(("shippit", "clickpost")[n % 2], f"4:P{account}{n}")) for n in range(count)]
    with runtime.database.transaction() as transaction:
        Schedule.add(transaction, trackers, NOW)
        for number, (_, _, tracker) in enumerate(trackers):
            transaction.execute(
                """UPDATE {s}poll_schedule SET due_at = :due, state = :state, failures = :failures
                   WHERE reference = :reference""",
                due=NOW + timedelta(hours=number - 3),
                state=("asking", "asking", "over", "stopped")[number // 2],
                failures=number % 3,
                reference=tracker.reference,
            )
        transaction.execute(
            """INSERT INTO {s}poll_accounts (account, provider, free_at, blocked_until, stopped, credentials, sweep_at)
               VALUES (:account, 'shippit', :now, :now, 'the key is wrong', '', :now) ON CONFLICT DO NOTHING""",
            account=account,
            now=NOW,
        )


def need(runtime: Runtime) -> None:
    """All of it."""
    fill(runtime)
    for account in ACCOUNTS:
        for number in range(4):
            runtime.ledger.intake([*slipped(number, account), unmapped(number, account)])
        park(runtime, account)
        ask(runtime, account)
    runtime.projector.catch_up()
