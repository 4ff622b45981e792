"""Are providers asked politely, over real sockets, and is every answer kept before anything else?"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from msgspec.structs import replace

from support.polls import (
    KEY,
    Standing,
    asked_account,
    at_speed,
    change,
    earliest,
    poll_and_die,
    poll_until,
    register,
    scheduled,
)
from support.scripted import Asked, Reply, Scripted, scripted
from support.threads import until
from support.workers import Processes, killed
from trackledger.adapters import asker, caller
from trackledger.adapters.budget import Budget
from trackledger.adapters.caller import REHEARSED, Caller
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.poller import Poller
from trackledger.adapters.providers.clickpost_client import ClickPostClient
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.settings import ProviderAccount, Settings
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.domain.errors import UsageError

NOW = datetime(2026, 3, 26, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UNAVAILABLE = Reply(b"<html>Bad gateway</html>", 502)
NO_CHANGES: tuple[Any, ...] = ({"meta": {"status": 200, "success": True}, "result": []},) * 3
"""ClickPost's answers when it is asked for the first time what changed: half an hour each."""


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


@pytest.fixture
def other() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


class Once:
    """Polls of one ledger, each by a poller of its own while the clock stands still."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.metrics = Metrics()

    def __call__(self, *accounts: ProviderAccount, at: datetime = NOW, only: str = "") -> dict[str, int]:
        self.runtime.settings = replace(self.runtime.settings, accounts=accounts, clock=Standing(at))
        self.runtime.projector.catch_up()
        poller = Poller(self.runtime, self.metrics, Event(), only)
        try:
            return poller.once()
        finally:
            poller.close()

    def counted(self, name: str) -> dict[str, int]:
        """Calls by outcome."""
        return {
            sample.labels["outcome"]: int(sample.value)
            for metric in self.metrics.registry.collect()
            for sample in metric.samples
            if sample.name == "trackledger_polls_total" and sample.labels["provider"] == name
        }


@pytest.fixture
def once(runtime: Runtime) -> Once:
    return Once(runtime)


def shippit(number: str, *rows: tuple[str, str]) -> dict[str, Any]:
    """An answer about an order, its rows as (status, time of 26 March in Sydney)."""
    track = [{"status": status, "date": "2026-03-26", "timestamp": f"{time}:00"} for status, time in rows]
    return {"response": {"tracking_number": number, "success": True, "error": None, "track": track}}


def any_shippit(asked: Asked) -> dict[str, Any]:
    return shippit(asked.path.split("/")[2], ("In Transit", "20:00"))


def clickpost(*waybills: str) -> dict[str, Any]:
    scan = {"timestamp": "2026-03-26 10:00:00", "clickpost_status_code": 5, "status": "In Transit", "checkpoint_id": 1}
    said = {waybill: {"scans": [scan], "valid": True} for waybill in waybills}
    return {"meta": {"status": 200, "success": True}, "result": said}


def listed(*ids: str, cursor: str | None = None) -> dict[str, Any]:
    """A page of AfterShip's trackings."""
    told = [{"id": one, "tracking_number": f"1Z{one}", "tag": "InTransit", "subtag": "InTransit_001"} for one in ids]
    pages = {"next_cursor": cursor, "has_next_page": cursor is not None}
    return {"meta": {"code": 200}, "data": {"pagination": pages, "trackings": told}}


def row(runtime: Runtime, tracker: str) -> dict[str, Any]:
    return scheduled(runtime)[tracker]


def messages(runtime: Runtime) -> list[dict[str, Any]]:
    return runtime.database.read("SELECT * FROM {s}messages ORDER BY received_at, message_id")


# an ordinary day


def test_an_answer_waits_in_the_inbox_and_the_next_time_is_set(once: Once, played: Scripted) -> None:
    register(once.runtime, "shippit", "PP1", "PP2")
    played.otherwise = any_shippit

    assert once(asked_account("shippit", played.url)) == {"shippit": 2}
    kept = messages(once.runtime)
    assert sorted(json.loads(message["body"])["response"]["tracking_number"] for message in kept) == ["PP1", "PP2"]
    assert {(one["state"], one["channel"], one["received_at"]) for one in kept} == {("waiting", "poll", NOW)}
    asked = row(once.runtime, "default:shippit:PP1")
    assert (asked["asked"], asked["asked_at"], asked["outcome"]) == (1, NOW, "answered")
    assert asked["digest"] in {message["message_id"] for message in kept}
    assert NOW + 6 * HOUR <= asked["due_at"] <= NOW + 6.6 * HOUR
    assert (asked["reason"], asked["leased_until"]) == ("unknown: every 6 h", None)

    assert once(asked_account("shippit", played.url), at=NOW + HOUR) == {}
    assert len(played.asked) == 2
    assert once.counted("shippit") == {"answered": 2}


def test_what_the_answer_says_decides_when_to_ask_again(once: Once, played: Scripted) -> None:
    register(once.runtime, "shippit", "PP1", service="priority")
    played.otherwise = any_shippit
    once(asked_account("shippit", played.url))
    once.runtime.intake.catch_up()

    once(asked_account("shippit", played.url), at=NOW + MINUTE)
    asked = row(once.runtime, "default:shippit:PP1")
    assert (asked["due_at"], asked["reason"]) == (NOW + 16.5 * MINUTE, "in_transit by priority: every 15 min")


def test_equal_answers_are_kept_once_and_make_asking_slower(once: Once, played: Scripted) -> None:
    register(once.runtime, "shippit", "PP1")
    played.otherwise = any_shippit
    for day in range(5):
        once(asked_account("shippit", played.url), at=NOW + day * DAY)

    asked = row(once.runtime, "default:shippit:PP1")
    assert (asked["asked"], asked["unchanged"], asked["outcome"]) == (5, 4, "unchanged")
    assert asked["reason"] == "unknown: every 6 h, longer as 4 times nothing was new"
    (kept,) = messages(once.runtime)
    assert kept["times"] == 5

    played.answers(shippit("PP1", ("With Driver", "21:00")))
    once(asked_account("shippit", played.url), at=NOW + 5 * DAY)
    assert row(once.runtime, "default:shippit:PP1")["unchanged"] == 0


def test_a_journey_is_followed_to_its_end_confirmed_and_left_alone(once: Once, played: Scripted) -> None:
    register(once.runtime, "shippit", "PP1")
    played.otherwise = lambda asked: shippit("PP1", ("Completed", "20:00"))
    at = NOW
    for _ in range(6):
        once(asked_account("shippit", played.url), at=at)
        once.runtime.intake.catch_up()
        at = max(at, row(once.runtime, "default:shippit:PP1")["due_at"])

    # The answer, one that was planned before that was known, and the confirmation.
    assert len(played.asked) == 3
    assert at > NOW + DAY
    asked = row(once.runtime, "default:shippit:PP1")
    assert (asked["state"], asked["reason"]) == ("over", "delivered: the journey is over")


def test_only_one_provider_is_asked_where_that_is_wanted(once: Once, played: Scripted, other: Scripted) -> None:
    register(once.runtime, "shippit", "PP1")
    played.otherwise = any_shippit
    accounts = (asked_account("shippit", played.url), asked_account("ship24", other.url))

    assert once(*accounts, only="shippit") == {"shippit": 1}
    assert other.asked == []


def test_the_inbox_learns_the_context_and_nobody_the_key(
    once: Once, played: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    register(once.runtime, "clickpost", "4:A1", "4:A2")
    played.answers(*NO_CHANGES, clickpost("A1", "A2"))
    account = replace(asked_account("clickpost", played.url), context={"zone_offset": "240"})
    once(account)
    played.answers(*NO_CHANGES[:1], Reply({"meta": {"status": 401, "message": f"bad key {KEY}"}}, 401))
    change(once.runtime, "default:clickpost:4:A1", due_at=NOW)
    once(account, at=NOW + 16 * MINUTE)

    (kept,) = messages(once.runtime)
    assert json.loads(kept["context"]) == {"zone_offset": "240", "cp_id": "4"}
    assert once.counted("clickpost") == {"swept": 2, "answered": 2, "BadCredentials": 1}
    for table in ("messages", "poll_schedule", "poll_accounts"):
        assert KEY not in repr(once.runtime.database.read(f"SELECT * FROM {{s}}{table}"))
    assert KEY not in caplog.text
    assert any(KEY in asked.params.get("key", "") for asked in played.asked)


# what changed first, then in batches


def test_clickpost_is_asked_what_changed_and_then_by_carrier_five_at_a_time(once: Once, played: Scripted) -> None:
    register(once.runtime, "clickpost", *(f"4:A{n}" for n in range(7)), "6:B1", "6:B2", "16:C1")
    changed = {"meta": {"status": 200}, "result": [{"waybill": "NEW", "courier_partner": 6}, {"waybill": "A1"}]}
    played.answers(*NO_CHANGES[:2], changed)
    played.otherwise = lambda asked: clickpost(*asked.params["waybill"].split(","))
    once(asked_account("clickpost", played.url))

    assert [asked.path for asked in played.asked[:3]] == ["/api/v1/updated-order"] * 3
    windows = [(int(asked.params["start_date"]), int(asked.params["end_date"])) for asked in played.asked[:3]]
    assert windows[0][0] == (NOW - 70 * MINUTE).timestamp() and windows[-1][1] == NOW.timestamp()
    batches = {(asked.params["cp_id"], asked.params["waybill"]) for asked in played.asked[3:]}
    assert batches == {("4", "A0,A1,A2,A3,A4"), ("4", "A5,A6"), ("6", "B1,B2,NEW"), ("16", "C1")}
    assert row(once.runtime, "default:clickpost:6:NEW")["outcome"] == "answered"
    unnamed = row(once.runtime, "default:clickpost:-:A1")
    assert (unnamed["state"], unnamed["outcome"]) == ("stopped", "rejected")


def test_what_an_answer_leaves_out_is_asked_about_singly_and_later(once: Once, played: Scripted) -> None:
    register(once.runtime, "clickpost", "4:A1", "4:A2", "4:A3")
    registered = {"meta": {"status": 200}, "result": None}
    played.answers(*NO_CHANGES, clickpost("A1", "A3"), clickpost(), registered)
    once(asked_account("clickpost", played.url, account_code="Surface"))

    assert [asked.params.get("waybill") for asked in played.asked[3:]] == ["A1,A2,A3", "A2", None]
    outcomes = {tracker[-2:]: one["outcome"] for tracker, one in scheduled(once.runtime).items()}
    assert outcomes == {"A1": "answered", "A2": "unknown", "A3": "answered"}
    left_out = row(once.runtime, "default:clickpost:4:A2")
    assert (left_out["unknown"], left_out["followed"]) == (1, True)
    assert left_out["reason"] == "not known there yet, once: after 5 min"


def test_a_batch_that_is_refused_is_asked_about_singly(once: Once, played: Scripted) -> None:
    register(once.runtime, "clickpost", "4:A1", "4:A2", "4:A3")

    def refuse_one(asked: Asked) -> Any:
        waybills = asked.params["waybill"].split(",")
        if "A2" in waybills:
            return Reply({"meta": {"status": 302, "message": "waybill is wrong"}}, 400)
        return clickpost(*waybills)

    played.answers(*NO_CHANGES)
    played.otherwise = refuse_one
    assert once(asked_account("clickpost", played.url)) == {"clickpost": 4}

    assert [asked.params["waybill"] for asked in played.asked[3:]] == ["A1,A2,A3", "A1", "A2", "A3"]
    assert row(once.runtime, "default:clickpost:4:A1")["outcome"] == "answered"
    refused = row(once.runtime, "default:clickpost:4:A2")
    assert (refused["state"], refused["outcome"]) == ("stopped", "rejected")
    assert "waybill is wrong" in refused["reason"]


# sweeps


def account_row(runtime: Runtime) -> dict[str, Any]:
    (found,) = runtime.database.read("SELECT * FROM {s}poll_accounts")
    return found


def test_the_watermark_moves_only_with_the_last_page(once: Once, played: Scripted) -> None:
    aftership = asked_account("aftership", played.url)
    played.answers(listed("t1", "t2", cursor="c1"), listed("t3"))
    assert once(aftership) == {"aftership": 1}
    assert account_row(once.runtime)["swept_until"] == NOW
    assert len(messages(once.runtime)) == 2

    failing = Reply({"meta": {"code": 500, "message": "oops"}, "data": {}}, 500)
    played.answers(listed("t4", cursor="c2"), failing)
    once(aftership, at=NOW + HOUR)
    after = account_row(once.runtime)
    assert (after["swept_until"], after["sweep_at"]) == (NOW, NOW + HOUR + 5 * MINUTE)
    assert after["sweep_leased_until"] is None
    assert len(messages(once.runtime)) == 3
    assert once(aftership, at=NOW + HOUR + 4 * MINUTE) == {}

    played.answers(listed("t4", cursor="c2"), listed("t5"))
    then = NOW + HOUR + 5 * MINUTE
    once(aftership, at=then)
    after = account_row(once.runtime)
    assert (after["swept_until"], after["sweep_at"]) == (then, then + HOUR)
    since = [datetime.fromisoformat(asked.params["updated_at_min"]) for asked in played.asked]
    assert since == [NOW - HOUR - 20 * MINUTE] * 2 + [NOW - 20 * MINUTE] * 4
    assert once.counted("aftership") == {"swept": 2, "Unavailable": 1}


def test_a_sweep_after_a_long_pause_looks_back_no_further_than_a_day(once: Once, played: Scripted) -> None:
    aftership = asked_account("aftership", played.url)
    played.answers(listed(), listed())
    once(aftership)
    once(aftership, at=NOW + 30 * DAY)

    assert datetime.fromisoformat(played.asked[1].params["updated_at_min"]) == NOW + 29 * DAY - 20 * MINUTE
    assert account_row(once.runtime)["swept_until"] == NOW + 30 * DAY


def test_sweeps_that_fail_leave_time_for_asking_also_in_a_rehearsal(runtime: Runtime, played: Scripted) -> None:
    """Each has a page before it fails, so that the provider is not taken to be down."""
    speed = 20_000.0
    settings = at_speed(runtime.settings, NOW, speed)
    runtime.settings = replace(settings, accounts=(asked_account("aftership", played.url),))
    failing = Reply({"meta": {"code": 500, "message": "oops"}, "data": {}}, 500)
    poller = Poller(runtime, Metrics(), Event())
    for _ in range(2 * caller.DOWN):
        played.answers(listed("t1", cursor="c1"), failing)
        before = runtime.settings.clock.now()
        assert poller.once() == {"aftership": 1}
        assert account_row(runtime)["sweep_at"] - before > speed * timedelta(seconds=0.2)
        assert account_row(runtime)["blocked_until"] is None
        with runtime.database.transaction() as transaction:
            transaction.execute("UPDATE {s}poll_accounts SET sweep_at = :now", now=NOW)
    poller.close()


def test_a_sweep_that_is_under_way_is_left_to_its_process(once: Once, played: Scripted) -> None:
    aftership = asked_account("aftership", played.url)
    played.answers(listed(), listed())
    once(aftership)
    for seconds, done in ((60, {}), (-1, {"aftership": 1})):
        leased_until = datetime.now(UTC) + timedelta(seconds=seconds)
        with once.runtime.database.transaction() as transaction:
            transaction.execute("UPDATE {s}poll_accounts SET sweep_leased_until = :at", at=leased_until)
        assert once(aftership, at=NOW + HOUR) == done


def test_a_generation_without_a_list_of_changes_is_asked_tracker_by_tracker(once: Once, played: Scripted) -> None:
    register(once.runtime, "rye", "7ac3f914-52e8-46d0-9b17-c8e4a05d3f62")
    body = (Path(__file__).parent / "fixtures" / "rye" / "poll_placed.json").read_bytes()
    played.otherwise = lambda asked: Reply(body)
    once(asked_account("rye", played.url))
    once(asked_account("rye", played.url), at=NOW + HOUR + 10 * MINUTE)

    assert [asked.method for asked in played.asked] == ["POST", "POST"]
    assert next(iter(scheduled(once.runtime).values()))["reason"] == "unknown: every 1 h"


def test_what_a_sweep_names_wrongly_holds_back_nothing(once: Once, played: Scripted) -> None:
    strange = {"meta": {"status": 200}, "result": [{"waybill": "a\u0007b", "courier_partner": 4}]}
    played.answers(*NO_CHANGES[:2], strange)
    once(asked_account("clickpost", played.url))

    assert scheduled(once.runtime) == {}
    assert account_row(once.runtime)["swept_until"] == NOW


# providers that have to be told what to follow

UUID = "0b7d3f6e-5a41-4c2f-9e80-6d1c2b9a4f10"
NOT_FOUND_24 = Reply({"errors": [{"code": "tracker_not_found", "message": "no"}], "data": None}, 404)
CREATED_24 = Reply({"data": {"tracker": {"trackerId": UUID, "trackingNumber": "LX402118837CN"}}}, 201)


def test_a_tracker_that_is_followed_under_another_reference_takes_the_place_of_the_first(
    once: Once, played: Scripted
) -> None:
    (shipment,) = register(once.runtime, "ship24", "LX402118837CN")
    ship24 = asked_account("ship24", played.url)
    played.answers(NOT_FOUND_24, CREATED_24)
    once(ship24)

    assert [(asked.method, asked.path) for asked in played.asked] == [
        ("GET", "/trackers/LX402118837CN/results"),
        ("POST", "/trackers"),
    ]
    assert played.asked[1].json == {"trackingNumber": "LX402118837CN", "clientTrackerId": shipment}
    first = row(once.runtime, shipment)
    assert (first["state"], first["outcome"]) == ("stopped", "followed")
    assert first["reason"] == f"the provider follows it as {UUID}"
    assert once.runtime.ledger.find(UUID) == [shipment]

    played.answers(Reply((Path(__file__).parent / "fixtures" / "ship24" / "poll_delivered.json").read_bytes()))
    once(ship24, at=NOW + MINUTE)
    assert played.asked[-1].path == f"/trackers/{UUID}/results"
    assert row(once.runtime, f"default:ship24:{UUID}")["shipment_id"] == shipment
    assert len(played.asked) == 3


def test_a_tracker_that_cannot_be_linked_is_stopped_and_says_so(once: Once, played: Scripted) -> None:
    register(once.runtime, "ship24", "LX402118837CN")
    once.runtime.ledger.register([Registration("ANOTHER", trackers=(Tracker("ship24", UUID),))])
    played.otherwise = lambda asked: CREATED_24 if asked.method == "POST" else NOT_FOUND_24
    once(asked_account("ship24", played.url))

    first = row(once.runtime, "default:ship24:LX402118837CN")
    assert (first["state"], first["outcome"]) == ("stopped", "rejected")
    assert first["reason"].startswith(f"the provider follows it as {UUID}, which cannot be linked: these belong to 2")
    assert row(once.runtime, f"default:ship24:{UUID}")["outcome"] == "unknown"


def test_a_tracker_is_created_once_and_then_waited_for(once: Once, played: Scripted) -> None:
    tracker = Tracker("aftership", "trackledger-1", "ups", "1Z5550001")
    once.runtime.ledger.register([Registration(trackers=(tracker,))])
    created = Reply({"meta": {"code": 201}, "data": {"id": "trackledger-1"}}, 201)
    played.answers(listed(), listed(), created, listed(), listed("trackledger-1"))
    aftership = asked_account("aftership", played.url)
    once(aftership)
    first = row(once.runtime, "default:aftership:trackledger-1")
    assert (first["state"], first["outcome"], first["followed"], first["unknown"]) == ("asking", "unknown", True, 1)

    once(aftership, at=NOW + 6 * MINUTE)
    assert row(once.runtime, "default:aftership:trackledger-1")["unknown"] == 2
    assert [asked.method for asked in played.asked] == ["GET", "GET", "POST", "GET"]
    change(once.runtime, "default:aftership:trackledger-1", due_at=NOW + 7 * MINUTE)
    once(aftership, at=NOW + 7 * MINUTE)
    known = row(once.runtime, "default:aftership:trackledger-1")
    assert (known["outcome"], known["unknown"], known["followed"]) == ("answered", 0, True)


def test_what_a_provider_cannot_follow_is_stopped_and_says_why(once: Once, played: Scripted) -> None:
    once.runtime.ledger.register([Registration(trackers=(Tracker("aftership", "trackledger-1"),))])
    played.answers(listed(), Reply({"meta": {"code": 4004, "message": "no"}, "data": {}}, 404))
    once(asked_account("aftership", played.url))

    refused = row(once.runtime, "default:aftership:trackledger-1")
    assert (refused["state"], refused["outcome"]) == ("stopped", "rejected")
    assert "has no number that AfterShip takes" in refused["reason"]


def test_a_creation_that_fails_is_tried_again_later(once: Once, played: Scripted) -> None:
    register(once.runtime, "ship24", "LX402118837CN")
    played.answers(NOT_FOUND_24, Reply({"errors": [{"code": "request_conflict", "message": "wait"}]}, 409))
    played.otherwise = lambda asked: Reply(b"oops", 500)
    once(asked_account("ship24", played.url))

    failed = row(once.runtime, "default:ship24:LX402118837CN")
    assert (failed["outcome"], failed["failures"], failed["followed"]) == ("Unavailable", 1, False)


def test_a_mistake_is_asked_about_for_a_while_and_then_no_more(once: Once, played: Scripted) -> None:
    register(once.runtime, "shippit", "PP1")
    played.otherwise = lambda asked: Reply({"error": {"order_id": ["no such"]}, "success": False}, 400)
    at = NOW
    for _ in range(20):
        once(asked_account("shippit", played.url), at=at)
        at = max(at, row(once.runtime, "default:shippit:PP1")["due_at"])

    assert NOW + 10 * DAY < at < NOW + 14 * DAY
    asked = row(once.runtime, "default:shippit:PP1")
    assert (asked["state"], asked["unknown"], len(played.asked)) == ("stopped", 14, 14)
    assert asked["reason"] == "the provider did not know it 14 times; correct it, or have it asked again"
    assert messages(once.runtime) == []


# failures


def test_too_many_calls_block_that_account_and_no_other(
    once: Once, played: Scripted, other: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    register(once.runtime, "shippit", "PP1", "PP2", "PP3")
    register(once.runtime, "shippit", "PP4", account="outlet")
    played.answers(shippit("PP1"), Reply({"error": "slow down"}, 429, {"retry-after": "40"}))
    other.otherwise = any_shippit
    accounts = (asked_account("shippit", played.url), asked_account("shippit", other.url, account="outlet"))

    assert once(*accounts) == {"shippit": 2}
    assert len(played.asked) == 2
    left = row(once.runtime, "default:shippit:PP3")
    assert (left["asked"], left["failures"], left["leased_until"], left["due_at"]) == (0, 0, None, NOW)
    blocked = row(once.runtime, "default:shippit:PP2")
    assert (blocked["asked"], blocked["failures"], blocked["leased_until"]) == (0, 0, None)
    until_ = {
        found["account"]: found["blocked_until"]
        for found in once.runtime.database.read("SELECT * FROM {s}poll_accounts")
    }
    assert until_["outlet"] is None
    assert timedelta(seconds=30) < until_["default"] - datetime.now(UTC) <= timedelta(seconds=40)
    assert once(*accounts, at=NOW + HOUR) == {}
    assert len(played.asked) == 2
    assert once.counted("shippit") == {"answered": 2, "TooMany": 1}


def test_a_bad_credential_stops_that_account_with_one_word_and_no_other(
    once: Once, played: Scripted, other: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    register(once.runtime, "shippit", "PP1", "PP2")
    register(once.runtime, "shippit", "PP3", "PP4", account="outlet")
    played.otherwise = lambda asked: Reply({"error": "forbidden"}, 403)
    other.otherwise = any_shippit
    accounts = (asked_account("shippit", played.url), asked_account("shippit", other.url, account="outlet"))
    caplog.set_level(logging.WARNING)
    assert once(*accounts) == {"shippit": 2}
    assert once(*accounts, at=NOW + DAY) == {"shippit": 2}

    assert len(played.asked) == 1 and len(other.asked) == 4
    (alert,) = [record.getMessage() for record in caplog.records if "default" in record.getMessage()]
    assert alert.startswith("shippit is not asked any more for account default: shippit: GET http://127.0.0.1")
    left = row(once.runtime, "default:shippit:PP1")
    assert (left["state"], left["failures"], left["leased_until"]) == ("asking", 0, None)

    played.otherwise = any_shippit
    assert once(asked_account("shippit", played.url, key="another key"), at=NOW + DAY) == {"shippit": 2}


def test_no_answer_is_asked_for_again_and_then_later_and_is_no_status(once: Once, played: Scripted) -> None:
    register(once.runtime, "shippit", "PP1")
    played.otherwise = lambda asked: UNAVAILABLE
    once(asked_account("shippit", played.url))

    assert len(played.asked) == 3
    failed = row(once.runtime, "default:shippit:PP1")
    assert (failed["failures"], failed["outcome"], failed["asked"]) == (1, "Unavailable", 1)
    assert NOW + MINUTE <= failed["due_at"] <= NOW + 1.1 * MINUTE
    assert failed["reason"] == "no answer once: after 1 min again"
    assert messages(once.runtime) == []
    once.runtime.projector.catch_up()
    (shipment,) = once.runtime.store.read("SELECT milestone, checkpoints FROM {s}shipments")
    assert (shipment["milestone"], shipment["checkpoints"]) == ("unknown", 0)

    played.answers(UNAVAILABLE, UNAVAILABLE, shippit("PP1", ("In Transit", "20:00")))
    once(asked_account("shippit", played.url), at=NOW + 2 * MINUTE)
    answered = row(once.runtime, "default:shippit:PP1")
    assert (answered["failures"], answered["outcome"]) == (0, "answered")


def test_a_provider_that_is_down_is_left_alone_for_a_while(
    once: Once, played: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "TRIES", 1)
    register(once.runtime, "shippit", *(f"PP{n}" for n in range(10)))
    played.otherwise = lambda asked: UNAVAILABLE
    assert once(asked_account("shippit", played.url)) == {"shippit": 5}

    assert len(played.asked) == 5
    assert sum(one["failures"] for one in scheduled(once.runtime).values()) == 5
    assert timedelta(seconds=20) < account_row(once.runtime)["blocked_until"] - datetime.now(UTC)


def test_a_provider_that_says_for_how_long_it_is_down_is_heeded_and_its_tracker_waits(
    once: Once, played: Scripted
) -> None:
    register(once.runtime, "shippit", "PP1", "PP2")
    played.answers(Reply(b"<html>Back soon</html>", 503, {"retry-after": "40"}))
    assert once(asked_account("shippit", played.url)) == {"shippit": 1}

    assert len(played.asked) == 1
    assert sorted(one["failures"] for one in scheduled(once.runtime).values()) == [0, 1]
    assert account_row(once.runtime)["blocked_until"] > datetime.now(UTC)


@pytest.mark.parametrize(
    ("headers", "speed", "least", "most"),
    [
        ({"retry-after": "40"}, 1.0, 38.0, 40.0),
        ({}, 1.0, 58.0, 60.0),
        ({"retry-after": "0"}, 1.0, 0.0, 1.0),
        ({"retry-after": "40"}, 2.0, 18.0, 20.0),
        # However fast a rehearsal is, it is not to call over and over.
        ({"retry-after": "40"}, 20_000.0, 0.0, 0.05),
    ],
)
def test_a_pause_is_counted_by_the_clock_of_a_rehearsal(
    runtime: Runtime, played: Scripted, headers: dict[str, str], speed: float, least: float, most: float
) -> None:
    register(runtime, "shippit", "PP1")
    played.otherwise = lambda asked: Reply({"error": "slow down"}, 429, headers)
    settings = at_speed(runtime.settings, NOW, speed)
    runtime.settings = replace(settings, accounts=(asked_account("shippit", played.url),))
    before = datetime.now(UTC)
    poller = Poller(runtime, Metrics(), Event())
    poller.once()
    poller.close()

    pause = account_row(runtime)["blocked_until"]
    assert before + timedelta(seconds=least) < pause <= datetime.now(UTC) + timedelta(seconds=most)


def test_one_that_failed_before_is_asked_about_alone(once: Once, played: Scripted) -> None:
    register(once.runtime, "clickpost", "4:A1", "4:A2", "4:A3", "4:A4")
    played.answers(*NO_CHANGES)
    played.otherwise = lambda asked: clickpost(*asked.params["waybill"].split(","))
    clickpost_account = asked_account("clickpost", played.url)
    once(clickpost_account)
    for one, failures in (("A1", 1), ("A2", 2), ("A3", 0), ("A4", 9)):
        change(once.runtime, f"default:clickpost:4:{one}", due_at=NOW, failures=failures)
    once(clickpost_account, at=NOW + MINUTE)

    assert [asked.params["waybill"] for asked in played.asked[-3:]] == ["A1,A3", "A2", "A4"]


def test_a_client_that_fails_unforeseen_holds_back_nothing(
    once: Once, played: Scripted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    register(once.runtime, "clickpost", "4:A1", "4:A2", "6:B1")
    track = ClickPostClient.track

    def broken(self: ClickPostClient, cp_id: str, waybills: list[str]) -> Any:
        if "A2" in waybills:
            raise ZeroDivisionError
        return track(self, cp_id, waybills)

    monkeypatch.setattr(ClickPostClient, "track", broken)
    played.answers(*NO_CHANGES)
    played.otherwise = lambda asked: clickpost(*asked.params["waybill"].split(","))
    assert once(asked_account("clickpost", played.url)) == {"clickpost": 4}

    outcomes = {tracker[-2:]: (one["outcome"], one["failures"]) for tracker, one in scheduled(once.runtime).items()}
    assert outcomes == {"A1": ("answered", 0), "A2": ("Unforeseen", 1), "B1": ("answered", 0)}
    assert "failed unforeseen" in caplog.text


def test_credentials_that_cannot_be_right_are_refused_at_once(once: Once, played: Scripted) -> None:
    wrong = asked_account("clickpost", played.url, key="")
    with pytest.raises(UsageError, match="clickpost: a key and a user name are needed"):
        once(asked_account("shippit", played.url), wrong)


# providers that are asked in certain minutes


def test_a_missed_minute_is_not_made_up_for(once: Once, played: Scripted) -> None:
    register(once.runtime, "shiplemon", "64a1f0c2b7d94e3f8a21c0de")
    shiplemon = asked_account("shiplemon", played.url)
    assert once(shiplemon, at=NOW) == {}
    planned = row(once.runtime, "default:shiplemon:64a1f0c2b7d94e3f8a21c0de")["due_at"]
    assert NOW + 5 * MINUTE <= planned <= NOW + 10 * MINUTE

    assert once(shiplemon, at=NOW + 25 * MINUTE) == {"shiplemon": 1}
    missed = row(once.runtime, "default:shiplemon:64a1f0c2b7d94e3f8a21c0de")
    assert NOW + 35 * MINUTE <= missed["due_at"] <= NOW + 40 * MINUTE
    assert (missed["asked"], missed["reason"]) == (0, "its minute was missed, at :05 and :35")
    assert played.asked == []

    played.otherwise = lambda asked: Reply({"error": {"code": "not_found", "message": "no"}}, 404)
    once(shiplemon, at=NOW + 40 * MINUTE)
    assert len(played.asked) == 1


# crashes, and several at once


def test_who_dies_between_an_answer_and_the_next_time_makes_it_asked_for_once_more(
    once: Once, played: Scripted, database_url: str, tmp_path: Path
) -> None:
    register(once.runtime, "shippit", "PP1")
    played.otherwise = any_shippit
    account = asked_account("shippit", played.url)
    settings = Settings(database_url, accounts=(account,), clock=Standing(NOW))
    flag = tmp_path / "kept"
    killed(poll_and_die, settings, str(flag), when=flag.exists)
    assert (len(played.asked), len(messages(once.runtime))) == (1, 1)
    assert once(account) == {}

    change(once.runtime, "default:shippit:PP1", leased_until=datetime.now(UTC))
    assert once(account) == {"shippit": 1}
    assert len(played.asked) == 2
    (kept,) = messages(once.runtime)
    assert kept["times"] == 2
    once.runtime.intake.catch_up()
    once.runtime.projector.catch_up()
    (shipment,) = once.runtime.store.read("SELECT milestone, checkpoints FROM {s}shipments")
    assert (shipment["milestone"], shipment["checkpoints"]) == ("in_transit", 1)
    assert row(once.runtime, "default:shippit:PP1")["asked"] == 1


def test_a_poller_that_is_told_to_stop_gives_back_what_it_has_leased(runtime: Runtime, played: Scripted) -> None:
    register(runtime, "shippit", *(f"PP{n}" for n in range(10)))
    played.otherwise = any_shippit
    runtime.settings = replace(runtime.settings, accounts=(asked_account("shippit", played.url, per_second=0.01),))
    stop = Event()
    poller = Poller(runtime, Metrics(), stop)
    thread = Thread(target=poller.run)
    thread.start()
    until(lambda: bool(played.asked))
    until(lambda: sum(one["asked"] for one in scheduled(runtime).values()) == 1)
    assert sum(one["leased_until"] is not None for one in scheduled(runtime).values()) == 9
    stop.set()
    thread.join(20)
    poller.close()

    assert not thread.is_alive()
    assert len(played.asked) == 1
    assert [one["leased_until"] for one in scheduled(runtime).values()] == [None] * 10


def test_a_lease_that_takes_too_long_is_given_back_in_time(
    once: Once, played: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "ASK_SECONDS", 0.0)
    register(once.runtime, "shippit", "PP1", "PP2")
    assert once(asked_account("shippit", played.url)) == {}

    assert played.asked == []
    assert [one["leased_until"] for one in scheduled(once.runtime).values()] == [None] * 2


def test_two_processes_ask_about_no_tracker_twice_within_its_cadence(
    runtime: Runtime, played: Scripted, database_url: str, others: Processes, tmp_path: Path
) -> None:
    """Twenty trackers that are asked about every six hours, while the clock runs ten thousand times as fast."""
    speed, trackers = 10_000.0, 20
    register(runtime, "shippit", *(f"PP{n}" for n in range(trackers)))
    arrived: dict[str, list[datetime]] = defaultdict(list)

    def answer(asked: Asked) -> dict[str, Any]:
        arrived[asked.path.split("/")[2]].append(datetime.now(UTC))
        return shippit(asked.path.split("/")[2], ("In Transit", f"20:{len(arrived) % 60:02}"))

    played.otherwise = answer
    account = asked_account("shippit", played.url)
    settings = at_speed(Settings(database_url, accounts=(account,)), NOW, speed)
    stop = tmp_path / "stop"
    running = [others.start(poll_until, settings, str(stop)) for _ in range(2)]
    try:
        until(
            lambda: (
                (len(arrived) == trackers and min(map(len, arrived.values())) >= 3)
                or any(one.done() for one in running)
            )
        )
    finally:
        stop.touch()
    for one in running:
        one.result()

    six_hours = timedelta(seconds=settings.clock.seconds(6 * HOUR))
    gaps = [then - first for instants in arrived.values() for first, then in pairwise(instants)]
    assert len(gaps) >= 2 * trackers
    # A call arrives a little after the instant that counts, the first of two perhaps later than the second.
    assert min(gaps) > 0.8 * six_hours
    rows = scheduled(runtime)
    assert sum(one["asked"] for one in rows.values()) == sum(map(len, arrived.values()))
    assert [one["leased_until"] for one in rows.values()] == [None] * trackers


def test_a_clock_that_runs_fast_makes_no_minute_missed(once: Once, played: Scripted) -> None:
    register(once.runtime, "shiplemon", "64a1f0c2b7d94e3f8a21c0de")
    played.otherwise = lambda asked: Reply({"error": {"code": "not_found", "message": "no"}}, 404)
    account = asked_account("shiplemon", played.url)
    once(account, at=NOW)
    change(once.runtime, "default:shiplemon:64a1f0c2b7d94e3f8a21c0de", due_at=NOW + 5 * MINUTE)
    # Three hours late there, half a second here.
    settings = at_speed(once.runtime.settings, NOW + 3 * HOUR, 20_000.0)
    once.runtime.settings = replace(settings, accounts=(account,))
    poller = Poller(once.runtime, Metrics(), Event())
    poller.once()
    poller.close()

    assert len(played.asked) == 1


def test_what_becomes_due_meanwhile_is_not_asked_about_in_the_same_go(runtime: Runtime, played: Scripted) -> None:
    register(runtime, "shippit", "PP1")
    stop = Event()

    def answer(asked: Asked) -> dict[str, Any]:
        if len(played.asked) == 5:
            stop.set()
        return any_shippit(asked)

    played.otherwise = answer
    # Six hours there are a millisecond here.
    runtime.settings = replace(at_speed(runtime.settings, NOW, 2e7), accounts=(asked_account("shippit", played.url),))
    poller = Poller(runtime, Metrics(), stop)
    assert poller.once() == {"shippit": 1}
    poller.close()


def test_calls_keep_to_the_machines_time_however_fast_the_clock_runs(
    runtime: Runtime, played: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(runtime, "shippit", *(f"PP{n}" for n in range(6)))
    reserved: list[datetime] = []
    reserve = Budget.reserve

    def noted(budget: Budget) -> datetime:
        reserved.append(reserve(budget))
        return reserved[-1]

    monkeypatch.setattr(Budget, "reserve", noted)
    played.otherwise = any_shippit
    settings = at_speed(runtime.settings, NOW, 20_000.0)
    runtime.settings = replace(settings, accounts=(asked_account("shippit", played.url, per_second=20.0),))
    poller = Poller(runtime, Metrics(), Event())
    poller.once()
    poller.close()

    assert len(reserved) == len(played.asked) == 6
    # Its calls are counted by the fast clock, up to what a machine bears.
    assert earliest(reserved) >= timedelta(seconds=1 / REHEARSED)


def test_the_providers_own_limit_stands_at_its_own_address(runtime: Runtime) -> None:
    def allowed(url: str, per_second: float) -> float:
        account = asked_account("shippit", url, per_second=per_second)
        assert account.access is not None
        made = Caller(account, account.access, runtime, Metrics(), Event())
        made.close()
        return made.per_second

    assert allowed("", 5.0) == 1
    assert allowed("", 0.0) == 1
    assert allowed("", 0.5) == 0.5
    assert allowed("http://127.0.0.1:1", 5.0) == 5
    assert allowed("http://127.0.0.1:1", 0.0) == 1
