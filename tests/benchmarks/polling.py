"""How many trackers a second does the due-table lease and settle, among a hundred thousand that are scheduled?

    uv run python -m benchmarks.polling [--trackers 100000] [--only sqlite|postgresql] [--profile]

started in `tests/`. Every tracker has a shipment in the tables and a statement of a webhook in its timeline, both of
which a lease looks up. Each is leased once, "asked about", and settled for an hour later; half of them are due. A
poller leases 50 to 500 at a time, as many as it may ask about soon.
"""

import argparse
import cProfile
import pstats
import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter

from msgspec.structs import replace

from benchmarks.__main__ import say
from support.postgres import server
from trackledger.adapters.asker import LEASED
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.schedule import Due, Schedule
from trackledger.adapters.scheduling import Scheduler
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.schema import SCHEDULE, ScheduleRow
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.projections import shipments, timeline

NOW = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
PAIR = ("default", "shippit")


def fill(runtime: Runtime, trackers: int) -> None:
    """As many trackers, shipments and statements, half of them due, in no order."""
    ids = [f"default:shippit:PP{n:07}" for n in range(trackers)]
    rows = [
        ScheduleRow(
            id_, *PAIR, id_[16:], "", id_[16:], id_, "asking", "in_transit: every 4 h", NOW,
            NOW + timedelta(seconds=(n * 7919) % trackers - trackers / 2),
        )
        for n, id_ in enumerate(ids)
    ]  # fmt: skip
    about = [
        shipments.ShipmentRow(
            id_, "default", None, None, None, id_[16:], "shippit", "standard", "in_transit", "forward", NOW, None, "x",
            "latest", "[]", 1, NOW, NOW, None, 0, None, None, False, n,
        )
        for n, id_ in enumerate(ids)
    ]  # fmt: skip
    said = [
        {
            "shipment_id": id_, "checkpoint_id": f"{n}", "fingerprint": f"{n}", "provider": "shippit",
            "milestone": "in_transit", "leg": "forward", "occurred_at": NOW, "occurred_said": "x",
            "precision": "second", "zone_source": "stated", "channel": "webhook", "message_id": "x",
            "received_at": NOW - timedelta(days=1), "recorded_at": NOW, "amended": 0, "withdrawn": False,
            "ndr_inferred": False,
        }
        for n, id_ in enumerate(ids)
    ]  # fmt: skip
    names = [column.name for column in timeline.TABLE.columns if not column.nullable]
    with runtime.database.transaction() as transaction:
        transaction.insert(SCHEDULE, rows)
        transaction.insert(shipments.TABLE, about)
        transaction.execute_many(
            f"INSERT INTO {{s}}timeline ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})",
            [{name: row[name] for name in names} for row in said],
        )


def ask(schedule: Schedule, limit: int) -> int:
    """Lease and settle everything that is due; how many."""
    total = 0
    while leased := schedule.lease(PAIR, limit, 600, NOW):
        schedule.settle([(due, answered(due)) for due in leased])
        total += len(leased)
    return total


def answered(due: Due) -> ScheduleRow:
    """As the poller writes it after an answer."""
    row = replace(due.row, unchanged=0, digest=due.row.tracker)
    next_ = replace(due, row=row).next(NOW, 0.5)
    assert next_.at is not None
    return replace(row, reason=next_.reason, due_at=next_.at, asked=row.asked + 1, asked_at=NOW, outcome="answered")


def measure(kind: str, runtime: Runtime, trackers: int) -> None:
    """Leasing and settling by size of the lease, and scheduling."""
    schedule = Schedule(runtime.database)
    fill(runtime, trackers)
    for limit in LEASED:
        started = perf_counter()
        total = ask(schedule, limit)
        say(f"  {kind:<12} leased and settled, {limit:>3} at a time {total / (perf_counter() - started):>10,.0f} /s")
        with runtime.database.transaction() as transaction:
            sql = "UPDATE {s}poll_schedule SET due_at = scheduled_at, asked = 0 WHERE asked > 0"
            transaction.execute(sql)
    new = [Registration(trackers=(Tracker(*PAIR[1:], f"NEW{n:07}"),)) for n in range(trackers // 10)]
    for start in range(0, len(new), 1000):
        runtime.ledger.register(new[start : start + 1000])
    started = perf_counter()
    Scheduler(runtime.database, schedule, [PAIR]).sync(NOW)
    say(f"  {kind:<12} scheduled from the ledger       {len(new) / (perf_counter() - started):>10,.0f} /s")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trackers", type=int, default=100_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--profile", action="store_true", help="tell where the time of leasing and settling goes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder, server() as postgres:
        urls: dict[str, Callable[[], str]] = {
            "postgresql": lambda: f"{postgres}&schema=polling_{uuid.uuid4().hex[:8]}",
            "sqlite": lambda: f"sqlite:///{folder}/{uuid.uuid4().hex[:8]}.db",
        }
        say(f"\n{asked.trackers:,} trackers")
        for kind, url in urls.items():
            if asked.only not in (None, kind):
                continue
            with open_runtime(Settings(url())) as runtime:
                if asked.profile:
                    fill(runtime, asked.trackers)
                    profile = cProfile.Profile()
                    profile.runcall(ask, Schedule(runtime.database), LEASED[-1])
                    pstats.Stats(profile).sort_stats("tottime").print_stats(40)
                else:
                    measure(kind, runtime, asked.trackers)


if __name__ == "__main__":
    main()
