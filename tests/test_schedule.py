"""Is every tracker scheduled once, leased to one process at a time, and asked about sooner when something is heard?"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from time import sleep

import pytest
from msgspec.structs import replace

from support.polls import (
    SHOP,
    change,
    lease_all,
    lease_and_hang,
    open_account,
    register,
    scheduled,
    sync,
    sync_together,
)
from support.reports import report
from support.scans import instant, scan
from support.workers import Processes, killed
from trackledger.adapters import scheduling
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.schedule import Due, Pair, Schedule
from trackledger.adapters.storage.schema import ScheduleRow
from trackledger.domain.checkpoints import Registration, Report, Tracker
from trackledger.domain.milestones import Milestone

Open = Callable[[], Runtime]

NOW = instant("3 12:00")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CLICKPOST: Pair = ("default", "clickpost")
PP1 = Tracker("shippit", "PP1", tracking_number="PP1")


@pytest.fixture
def schedule(runtime: Runtime) -> Schedule:
    return Schedule(runtime.database)


def told(runtime: Runtime, *reports: Report) -> None:
    assert not [receipt.error for receipt in runtime.ledger.intake(reports) if receipt.error]


def lease(
    schedule: Schedule, now: datetime = NOW, pair: Pair = SHOP, limit: int = 100, seconds: float = 60
) -> list[Due]:
    return schedule.lease(pair, limit, seconds, now)


def settled(due: Due, **values: object) -> tuple[Due, ScheduleRow]:
    return due, replace(due.row, **({"asked_at": NOW, "due_at": NOW + HOUR} | values))


def poke(runtime: Runtime, *references: str, now: datetime = NOW, pair: Pair = SHOP) -> None:
    with runtime.database.transaction() as transaction:
        Schedule(runtime.database).poke(transaction, {pair: references}, now, "a hint")


# following the ledger


def test_every_tracker_of_the_ledger_is_scheduled_at_once(runtime: Runtime) -> None:
    register(runtime, "shippit", "PP1", "PP2")
    told(runtime, report(scan("in_transit", "3 10:00"), at="3 11:00", tracker=Tracker("shippit", "PP3", "Aramex")))
    sync(runtime, NOW, SHOP, CLICKPOST)
    further = Tracker("clickpost", "4:AWB1", "Delhivery", "AWB1")
    runtime.ledger.register([Registration("ORDER-1", trackers=(PP1, further))])
    sync(runtime, NOW + HOUR, SHOP, CLICKPOST)

    rows = scheduled(runtime)
    assert {tracker: (row["shipment_id"], row["scheduled_at"]) for tracker, row in rows.items()} == {
        "default:shippit:PP1": ("default:shippit:PP1", NOW),
        "default:shippit:PP2": ("default:shippit:PP2", NOW),
        "default:shippit:PP3": ("default:shippit:PP3", NOW),
        "default:clickpost:4:AWB1": ("default:shippit:PP1", NOW + HOUR),
    }
    assert {row["state"] for row in rows.values()} == {"asking"}
    assert {row["reason"] for row in rows.values()} == {"new"}
    assert all(row["due_at"] == row["scheduled_at"] for row in rows.values())
    linked = rows["default:clickpost:4:AWB1"]
    assert (linked["carrier"], linked["tracking_number"]) == ("Delhivery", "AWB1")


def test_what_is_scheduled_keeps_its_time(runtime: Runtime) -> None:
    register(runtime, "shippit", "PP1")
    sync(runtime, NOW, SHOP)
    change(runtime, "default:shippit:PP1", due_at=NOW + DAY, reason="kept")
    runtime.ledger.register([Registration("ORDER-1", trackers=(PP1, Tracker("shippit", "PP2")))])
    sync(runtime, NOW + HOUR, SHOP)

    assert scheduled(runtime)["default:shippit:PP1"]["due_at"] == NOW + DAY
    assert scheduled(runtime)["default:shippit:PP1"]["reason"] == "kept"
    assert scheduled(runtime)["default:shippit:PP2"]["due_at"] == NOW + HOUR


def test_a_tracker_in_certain_minutes_is_first_asked_about_in_the_next_of_them(runtime: Runtime) -> None:
    register(runtime, "shiplemon", "64a1f0c2b7d94e3f8a21c0de")
    now = NOW.replace(minute=30)
    sync(runtime, now, ("default", "shiplemon"))

    (row,) = scheduled(runtime).values()
    assert now.replace(minute=35) <= row["due_at"] <= now.replace(minute=40)


def test_only_what_is_asked_about_is_scheduled_and_the_rest_once_it_is(runtime: Runtime) -> None:
    register(runtime, "shippit", "PP1")
    register(runtime, "clickpost", "4:AWB1")
    register(runtime, "shippit", "PP1", account="outlet")
    sync(runtime, NOW, SHOP)
    assert set(scheduled(runtime)) == {"default:shippit:PP1"}

    register(runtime, "shippit", "PP2")
    register(runtime, "clickpost", "4:AWB2")
    sync(runtime, NOW + HOUR, CLICKPOST)
    assert set(scheduled(runtime)) == {"default:shippit:PP1", "default:clickpost:4:AWB1", "default:clickpost:4:AWB2"}

    sync(runtime, NOW + 2 * HOUR, SHOP, CLICKPOST, ("outlet", "shippit"))
    assert {row["tracker"]: row["scheduled_at"] for row in scheduled(runtime).values()} == {
        "default:shippit:PP1": NOW,
        "default:clickpost:4:AWB1": NOW + HOUR,
        "default:clickpost:4:AWB2": NOW + HOUR,
        "default:shippit:PP2": NOW + 2 * HOUR,
        "outlet:shippit:PP1": NOW + 2 * HOUR,
    }


def test_the_ledger_is_followed_page_by_page(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "PAGE", 3)
    register(runtime, "shippit", *(f"PP{n}" for n in range(10)))
    sync(runtime, NOW, SHOP)
    register(runtime, "clickpost", *(f"4:AWB{n}" for n in range(7)))
    register(runtime, "shippit", *(f"PP{n}" for n in range(10, 21)))
    sync(runtime, NOW, SHOP, CLICKPOST)

    assert len(scheduled(runtime)) == 28


def test_processes_that_follow_the_ledger_at_once_schedule_each_tracker_once(
    runtime: Runtime, database_url: str, others: Processes
) -> None:
    pairs = [[SHOP], [SHOP, CLICKPOST], [CLICKPOST], [SHOP, CLICKPOST]]
    following = [others.start(sync_together, database_url, NOW, some, 40) for some in pairs]
    for n in range(30):
        register(runtime, "shippit", f"PP{n}")
        register(runtime, "clickpost", f"4:AWB{n}")
    for one in following:
        one.result()
    sync(runtime, NOW, SHOP, CLICKPOST)

    links = runtime.database.tuples("SELECT tracker, shipment_id FROM {s}tracker_links")
    assert {row["tracker"]: row["shipment_id"] for row in scheduled(runtime).values()} == dict(links)
    assert len(links) == 60


def test_nothing_is_followed_for_nobody(runtime: Runtime) -> None:
    register(runtime, "shippit", "PP1")
    sync(runtime, NOW)

    assert scheduled(runtime) == {}


# news


def asked_about(runtime: Runtime, tracker: str = "default:shippit:PP1", **values: object) -> None:
    """As if it had been asked about at `NOW` while it was in transit."""
    change(runtime, tracker, **({"asked_at": NOW, "due_at": NOW + 4 * HOUR, "reason": "as usual"} | values))


def test_news_bring_the_next_time_forward(runtime: Runtime) -> None:
    told(runtime, report(scan("in_transit", "3 10:00"), at="3 11:00", tracker=PP1))
    sync(runtime, NOW, SHOP)
    asked_about(runtime)
    told(runtime, report(scan("out_for_delivery", "3 11:50"), at="3 12:00", tracker=PP1))
    sync(runtime, NOW + MINUTE, SHOP)

    (row,) = scheduled(runtime).values()
    assert (row["due_at"], row["reason"]) == (NOW + 1.1 * HOUR, "out_for_delivery: every 1 h")


def test_news_that_come_late_make_it_due_now_and_none_puts_it_off(runtime: Runtime) -> None:
    told(runtime, report(scan("in_transit", "3 10:00"), at="3 11:00", tracker=PP1))
    sync(runtime, NOW, SHOP)
    asked_about(runtime)
    told(runtime, report(scan("out_for_delivery", "3 11:50"), at="3 12:00", tracker=PP1))
    sync(runtime, NOW + 3 * HOUR, SHOP)
    assert scheduled(runtime)["default:shippit:PP1"]["due_at"] == NOW + 3 * HOUR

    told(runtime, report(scan("delivered", "3 12:50"), at="3 13:00", tracker=PP1))
    sync(runtime, NOW + 3 * HOUR, SHOP)
    assert scheduled(runtime)["default:shippit:PP1"]["due_at"] == NOW + 3 * HOUR


def test_news_that_change_nothing_leave_the_time_as_it_is(runtime: Runtime) -> None:
    told(runtime, report(scan("in_transit", "3 10:00"), at="3 11:00", tracker=PP1))
    sync(runtime, NOW, SHOP)
    asked_about(runtime)
    told(runtime, report(scan("in_transit", "3 11:50"), at="3 12:00", tracker=PP1))
    sync(runtime, NOW + MINUTE, SHOP)

    (row,) = scheduled(runtime).values()
    assert (row["due_at"], row["reason"]) == (NOW + 4 * HOUR, "as usual")


def test_what_the_tables_do_not_show_yet_is_heeded_once_they_do(runtime: Runtime) -> None:
    told(runtime, report(scan("in_transit", "3 10:00"), at="3 11:00", tracker=PP1))
    sync(runtime, NOW, SHOP)
    asked_about(runtime)
    told(runtime, report(scan("out_for_delivery", "3 11:50"), at="3 12:00", tracker=PP1))
    scheduling.Scheduler(runtime.database, Schedule(runtime.database), [SHOP]).sync(NOW)
    assert scheduled(runtime)["default:shippit:PP1"]["reason"] == "as usual"

    sync(runtime, NOW, SHOP)
    assert scheduled(runtime)["default:shippit:PP1"]["reason"] == "out_for_delivery: every 1 h"


@pytest.mark.parametrize(("state", "then"), [("over", "asking"), ("stopped", "stopped")])
def test_a_shipment_that_goes_on_after_its_end_is_asked_about_again(runtime: Runtime, state: str, then: str) -> None:
    told(runtime, report(scan("delivered", "3 10:00"), at="3 11:00", tracker=PP1))
    sync(runtime, NOW, SHOP)
    asked_about(runtime, state=state, asked_at=NOW + 2 * DAY, due_at=NOW + 30 * DAY)
    sync(runtime, NOW + 2 * DAY, SHOP)
    assert scheduled(runtime)["default:shippit:PP1"]["state"] == state

    told(runtime, report(scan("delivery_failed", "5 13:00"), at="5 14:00", tracker=PP1))
    sync(runtime, NOW + 3 * DAY, SHOP)

    (row,) = scheduled(runtime).values()
    assert row["state"] == then
    if then == "asking":
        assert (row["due_at"], row["reason"]) == (NOW + 3 * DAY, "delivery_failed: every 1 h")


# leases


def test_what_is_due_is_leased_the_longest_first_with_what_is_known_of_it(runtime: Runtime, schedule: Schedule) -> None:
    register(runtime, "shippit", "PP2", "PP3", "PP4", "PP5")
    register(runtime, "clickpost", "4:AWB1")
    register(runtime, "shippit", "PP1", service="express")
    seen = report(scan("out_for_delivery", "3 10:30"), at="3 11:00", channel="webhook", tracker=PP1)
    told(runtime, report(scan("in_transit", "3 9:00"), at="3 10:00", channel="webhook", tracker=PP1), seen)
    told(runtime, report(scan("in_transit", "3 10:00"), at="3 11:20", tracker=PP1))
    sync(runtime, NOW, SHOP, CLICKPOST)
    change(runtime, "default:shippit:PP1", due_at=NOW - MINUTE)
    change(runtime, "default:shippit:PP2", due_at=NOW - HOUR)
    change(runtime, "default:shippit:PP3", due_at=NOW + MINUTE)
    change(runtime, "default:shippit:PP4", state="stopped")

    two = lease(schedule, limit=2)
    assert [due.row.tracker for due in two] == ["default:shippit:PP2", "default:shippit:PP1"]
    assert two[1].tracker == PP1
    known = two[1]
    assert (known.milestone, known.service) == (Milestone.OUT_FOR_DELIVERY, "express")
    assert (known.since, known.heard_at) == (instant("3 10:30"), instant("3 11:20"))
    assert (known.webhook_at, known.swept_at) == (instant("3 11:00"), None)
    assert [due.row.tracker for due in lease(schedule)] == ["default:shippit:PP5"]
    assert lease(schedule) == []


def test_a_tracker_of_which_the_tables_say_nothing_is_leased_all_the_same(runtime: Runtime, schedule: Schedule) -> None:
    register(runtime, "shippit", "PP1")
    scheduling.Scheduler(runtime.database, schedule, [SHOP]).sync(NOW)

    (due,) = lease(schedule)
    assert (due.milestone, due.heard_at) == (Milestone.UNKNOWN, None)
    assert due.next(NOW + HOUR, 0.0).reason == "unknown: every 6 h"
    assert due.next(NOW + 61 * DAY, 0.0).state == "over"


def test_threads_lease_each_tracker_once(runtime: Runtime, schedule: Schedule) -> None:
    register(runtime, "shippit", *(f"PP{n}" for n in range(200)))
    sync(runtime, NOW, SHOP)

    def work() -> list[str]:
        got = []
        while leased := lease(schedule, limit=7):
            got += [due.row.tracker for due in leased]
        return got

    with ThreadPoolExecutor(6) as pool:
        got = [tracker for future in [pool.submit(work) for _ in range(6)] for tracker in future.result()]
    assert sorted(got) == sorted(scheduled(runtime))


def test_processes_lease_each_tracker_once(runtime: Runtime, database_url: str, others: Processes) -> None:
    register(runtime, "shippit", *(f"PP{n}" for n in range(300)))
    sync(runtime, NOW, SHOP)

    got = others.together(lease_all, [(database_url, SHOP, NOW, 7)] * 4)
    assert sorted(tracker for some in got for tracker in some) == sorted(scheduled(runtime))


def test_what_a_process_had_leased_that_died_is_leased_by_another(
    runtime: Runtime, schedule: Schedule, database_url: str, tmp_path: Path
) -> None:
    register(runtime, "shippit", "PP1")
    sync(runtime, NOW, SHOP)
    flag = tmp_path / "leased"
    killed(lease_and_hang, database_url, SHOP, NOW, 1.0, str(flag), when=flag.exists)

    assert lease(schedule) == []
    sleep(1.0)
    assert [due.row.tracker for due in lease(schedule)] == ["default:shippit:PP1"]


def test_who_comes_back_after_the_lease_ran_out_changes_nothing(runtime: Runtime, schedule: Schedule) -> None:
    register(runtime, "shippit", "PP1")
    sync(runtime, NOW, SHOP)
    (late,) = lease(schedule, seconds=0.01)
    sleep(0.02)
    (other,) = lease(schedule)

    schedule.settle([settled(late, outcome="late", asked=7)])
    schedule.release([late])
    row = scheduled(runtime)["default:shippit:PP1"]
    assert (row["asked"], row["leased_until"]) == (0, other.row.leased_until)

    schedule.settle([settled(other, outcome="answered", asked=1)])
    row = scheduled(runtime)["default:shippit:PP1"]
    assert (row["asked"], row["outcome"], row["leased_until"], row["due_at"]) == (1, "answered", None, NOW + HOUR)


def test_what_is_given_back_is_due_as_before(runtime: Runtime, schedule: Schedule) -> None:
    register(runtime, "shippit", "PP1")
    sync(runtime, NOW, SHOP)
    before = scheduled(runtime)
    schedule.release(lease(schedule))

    assert scheduled(runtime) == before
    assert schedule.next_due(SHOP) == NOW


def test_the_next_time_is_that_of_a_tracker_which_nobody_has_leased(runtime: Runtime, schedule: Schedule) -> None:
    assert schedule.next_due(SHOP) is None
    register(runtime, "shippit", "PP1", "PP2")
    sync(runtime, NOW, SHOP)
    change(runtime, "default:shippit:PP2", due_at=NOW + DAY)
    lease(schedule)

    assert schedule.next_due(SHOP) == NOW + DAY
    assert schedule.next_due(CLICKPOST) is None


# hints


def test_a_hint_makes_a_tracker_due(runtime: Runtime) -> None:
    register(runtime, "shippit", "PP1", "PP2")
    sync(runtime, NOW, SHOP)
    asked_about(runtime, asked_at=NOW - HOUR)
    poke(runtime, "PP1")

    row = scheduled(runtime)["default:shippit:PP1"]
    assert (row["due_at"], row["reason"], row["state"]) == (NOW, "a hint", "asking")
    assert scheduled(runtime)["default:shippit:PP2"]["reason"] == "new"


@pytest.mark.parametrize("state", ["over", "stopped"])
def test_a_hint_takes_up_a_tracker_that_was_not_asked_about_any_more(runtime: Runtime, state: str) -> None:
    register(runtime, "shippit", "PP1")
    sync(runtime, NOW, SHOP)
    asked_about(runtime, state=state, asked_at=NOW - DAY, due_at=NOW - DAY)
    poke(runtime, "PP1")

    (row,) = scheduled(runtime).values()
    assert (row["state"], row["due_at"]) == ("asking", NOW)


def test_hints_do_not_make_it_asked_about_more_than_once_a_minute(runtime: Runtime) -> None:
    register(runtime, "shippit", "PP1")
    sync(runtime, NOW, SHOP)
    asked_about(runtime)
    for second in range(0, 50, 10):
        poke(runtime, "PP1", now=NOW + timedelta(seconds=second))

    (row,) = scheduled(runtime).values()
    assert row["due_at"] == NOW + MINUTE


def test_a_hint_does_not_put_off_what_is_due_sooner(runtime: Runtime) -> None:
    register(runtime, "shippit", "PP1")
    sync(runtime, NOW, SHOP)
    asked_about(runtime, due_at=NOW + timedelta(seconds=5))
    poke(runtime, "PP1")

    (row,) = scheduled(runtime).values()
    assert (row["due_at"], row["reason"]) == (NOW + timedelta(seconds=5), "as usual")


@pytest.mark.parametrize("state", ["asking", "over", "stopped"])
def test_a_hint_while_it_is_being_asked_about_makes_it_due_again(
    runtime: Runtime, schedule: Schedule, state: str
) -> None:
    register(runtime, "shippit", "PP1")
    sync(runtime, NOW - HOUR, SHOP)
    (due,) = lease(schedule)
    poke(runtime, "PP1")
    assert lease(schedule) == []
    schedule.settle([settled(due, state=state, reason="not to be read", outcome="answered", asked=1)])

    (row,) = scheduled(runtime).values()
    assert (row["state"], row["reason"], row["due_at"]) == ("asking", "a hint", NOW + MINUTE)
    assert (row["outcome"], row["asked_at"], row["leased_until"]) == ("answered", NOW, None)


def test_a_hint_at_something_new_schedules_it_where_the_account_is_asked(runtime: Runtime) -> None:
    poke(runtime, "PP1")
    assert scheduled(runtime) == {}

    open_account(runtime, SHOP, NOW)
    poke(runtime, "PP1", "PP2", "PP1")
    poke(runtime, "4:AWB1", pair=CLICKPOST)
    assert {row["tracker"]: (row["shipment_id"], row["due_at"]) for row in scheduled(runtime).values()} == {
        "default:shippit:PP1": ("", NOW),
        "default:shippit:PP2": ("", NOW),
    }


def test_what_was_hinted_at_becomes_a_tracker_of_its_shipment(runtime: Runtime) -> None:
    open_account(runtime, SHOP, NOW)
    poke(runtime, "PP1")
    change(runtime, "default:shippit:PP1", due_at=NOW + DAY)
    runtime.ledger.register([Registration("ORDER-1", trackers=(Tracker("shippit", "PP1", "Aramex", "AR1"),))])
    sync(runtime, NOW + HOUR, SHOP)

    (row,) = scheduled(runtime).values()
    assert (row["shipment_id"], row["carrier"], row["tracking_number"]) == ("default:host:ORDER-1", "Aramex", "AR1")
    assert row["due_at"] == NOW + DAY


def test_a_hint_that_names_no_tracker_is_passed_over(runtime: Runtime) -> None:
    open_account(runtime, SHOP, NOW)
    poke(runtime, "", "x" * 257, "a\nb", "PP1")

    assert list(scheduled(runtime)) == ["default:shippit:PP1"]


# for people


def test_a_person_has_a_shipment_asked_about_again(runtime: Runtime, schedule: Schedule) -> None:
    shipments = register(runtime, "shippit", "PP1", "PP2", "PP3")
    sync(runtime, NOW, SHOP)
    for number in (1, 2, 3):
        tracker = f"default:shippit:PP{number}"
        asked_about(runtime, tracker, state="stopped", unknown=14, failures=3, unchanged=9)
    change(runtime, "default:shippit:PP2", asked_at=NOW + HOUR)

    schedule.soon(shipments[:2], NOW + HOUR)

    first, second, third = scheduled(runtime).values()
    assert (first["state"], first["due_at"], first["reason"]) == ("asking", NOW + HOUR, "somebody wants to know")
    assert (second["state"], second["due_at"]) == ("asking", NOW + HOUR + MINUTE)
    for row in (first, second):
        assert (row["unknown"], row["failures"], row["unchanged"]) == (0, 0, 0)
    assert (third["state"], third["unknown"]) == ("stopped", 14)


def test_who_wants_to_know_is_not_told_what_was_asked_before(runtime: Runtime, schedule: Schedule) -> None:
    shipments = register(runtime, "shippit", "PP1")
    sync(runtime, NOW, SHOP)
    change(runtime, "default:shippit:PP1", due_at=NOW)
    (leased,) = lease(schedule, NOW)

    schedule.soon(shipments, NOW + MINUTE)
    schedule.settle([settled(leased)])

    (row,) = scheduled(runtime).values()
    assert (row["due_at"], row["reason"]) == (NOW + MINUTE, "somebody wants to know")


def test_the_list_tells_what_is_due_first_and_why_an_account_is_not_asked(runtime: Runtime, schedule: Schedule) -> None:
    register(runtime, "shippit", "PP1", "PP2", "PP3")
    register(runtime, "clickpost", "4:AWB1")
    sync(runtime, NOW, SHOP, CLICKPOST)
    change(runtime, "default:shippit:PP1", due_at=NOW + DAY)
    change(runtime, "default:shippit:PP2", state="over")
    open_account(runtime, SHOP, NOW).stop("the key is refused")

    rows = schedule.listed(limit=10)
    assert [row["reference"] for row in rows] == ["4:AWB1", "PP3", "PP1", "PP2"]
    assert [row["account_stopped"] for row in rows] == ["", *["the key is refused"] * 3]
    assert [row["reference"] for row in schedule.listed(limit=2)] == ["4:AWB1", "PP3"]
    assert [row["reference"] for row in schedule.listed(limit=9, stopped=True)] == ["PP2"]
    assert [row["reference"] for row in schedule.listed(limit=9, name="clickpost")] == ["4:AWB1"]
    assert [row["reference"] for row in schedule.listed(limit=9, account="outlet")] == []
    assert [row["reference"] for row in schedule.listed(limit=9, shipments=["default:shippit:PP3"])] == ["PP3"]
