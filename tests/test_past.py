"""Do queries about the past see what was known then, of what had happened by then, and nothing else?"""

from datetime import timedelta
from itertools import repeat

import pytest

from support.parcels import reports
from support.rows import rows
from support.scans import instant
from trackledger.adapters.past import first_recorded, past, require_moments
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.errors import UsageError
from trackledger.domain.ledger import Ledger
from trackledger.projections import shipments, timeline
from trackledger.projections.tables import TABLES, VIEWS, lag

IDS = [f"default:clickpost:4:P{n}" for n in range(3)]


def live_at(runtime: Runtime) -> None:
    """Three parcels, each report recorded when it was received."""
    for one in sorted(reports(3), key=lambda one: one.received_at):
        Ledger(Recorder(runtime.database), clock=repeat(one.received_at).__next__).intake([one])
    runtime.projector.catch_up()


def milestones(
    runtime: Runtime, known: str | None = None, valid: str | None = None, ids: list[str] | None = None
) -> dict[str, str]:
    """The milestone of each shipment as of these days."""
    with past(
        runtime,
        known_at=instant(known) if known else None,
        valid_at=instant(valid) if valid else None,
    ) as reader:
        return {row["shipment_id"]: row["milestone"] for row in shipments.listed(reader)}


def test_what_was_known_and_what_had_happened(runtime: Runtime) -> None:
    live_at(runtime)

    assert milestones(runtime) == dict.fromkeys(IDS, "delivered")
    assert milestones(runtime, known="1 11:00") == {}
    assert milestones(runtime, known="1 12:00") == dict.fromkeys(IDS, "picked_up")
    assert milestones(runtime, known="5 18:00") == dict.fromkeys(IDS, "delivery_failed")
    assert milestones(runtime, valid="3 18:00") == dict.fromkeys(IDS, "arrived")
    assert milestones(runtime, valid="1 01:00") == dict.fromkeys(IDS, "unknown")
    # At noon of the fifth day the failure at ten was known; what had happened by the day before is the van.
    assert milestones(runtime, known="5 18:00", valid="4 18:00") == dict.fromkeys(IDS, "out_for_delivery")
    assert milestones(runtime, known="4 18:00", valid="5 18:00") == dict.fromkeys(IDS, "out_for_delivery")


def test_some_shipments_are_as_they_are_among_all(runtime: Runtime) -> None:
    live_at(runtime)
    known_at = instant("5 18:00")

    with past(runtime, known_at=known_at) as everything:
        every = rows(everything)
    with past(runtime, known_at=known_at, shipment_ids=[IDS[2], IDS[0], "nobody"]) as reader:
        some = rows(reader)
        assert shipments.trackers(reader, IDS[0])[0]["reference"] == "4:P0"
        assert shipments.trackers(reader, IDS[1]) == []
    with past(runtime, known_at=known_at, shipment_ids=[]) as reader:
        assert rows(reader) == {table.name: [] for table in TABLES}

    assert some == {
        name: [row for row in held if row["shipment_id"] in (IDS[0], IDS[2])] for name, held in every.items()
    }
    assert len(some["timeline"]) == 10


def test_the_past_has_all_tables_and_views_and_is_nowhere_else(runtime: Runtime) -> None:
    live_at(runtime)
    before = rows(runtime.store)

    with past(runtime) as reader:
        assert rows(reader) == before
        assert lag(reader) <= 0
        for view in VIEWS:
            reader.read(f"SELECT * FROM {{s}}{view.name}")
        assert len(timeline.of(reader, IDS[0])) == 7
        assert reader.tuples("SELECT COUNT(*) FROM {s}stored_events") == [(0,)]
    assert rows(runtime.store) == before


def test_moments_are_checked(runtime: Runtime) -> None:
    now = instant("20 12:00")

    with pytest.raises(UsageError, match="the ledger holds no event yet"):
        require_moments(runtime.database, now, known_at=now)
    assert first_recorded(runtime.database) is None
    live_at(runtime)

    first = first_recorded(runtime.database)
    assert first == instant("1 12:00")
    require_moments(runtime.database, now)
    require_moments(runtime.database, now, known_at=first, valid_at=now)
    with pytest.raises(UsageError, match="the first event was recorded at 2025-03-01T06:30:00Z; name"):
        require_moments(runtime.database, now, known_at=first - timedelta(microseconds=1))
    for moments in ({"known_at": now + timedelta(seconds=1)}, {"valid_at": now + timedelta(days=1)}):
        with pytest.raises(UsageError, match="is in the future"):
            require_moments(runtime.database, now, **moments)
