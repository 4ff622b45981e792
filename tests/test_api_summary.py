"""Does the summary count what the lists hold, of one moment and one account?"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from support.asked import Api, asked, refused
from support.assorted import NOW
from support.needy import ask, need, park, slipped, unmapped
from support.parcels import reports
from support.scans import instant
from trackledger.adapters.feeds import SILENT
from trackledger.adapters.inbox import message
from trackledger.adapters.past import past
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.settings import ProviderAccount, Settings
from trackledger.domain.milestones import Milestone
from trackledger.projections import summary
from trackledger.projections.summary import ENDED_WITHIN

CONNECTED = Settings(
    accounts=tuple(
        ProviderAccount(account, name)
        for account, name in (
            ("default", "shippit"), ("default", "clickpost"), ("default", "rye"), ("elsewhere", "aftership"),
        )
    )
)  # fmt: skip


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with asked(database_url, CONNECTED) as api:
        need(api.runtime)
        yield api


def test_it_counts_what_the_lists_hold(api: Api) -> None:
    for who, account in (("reader", "default"), ("stranger", "elsewhere")):
        for now in (NOW, instant("12 00:00"), instant("3 00:00")):
            told = api.answer("/api/summary", who, now=now.isoformat())
            rows = api.runtime.database.read("SELECT * FROM {s}shipments WHERE account = :account", account=account)
            opened = [row for row in rows if not row["is_final"]]
            ended = [row for row in rows if row["is_final"] and row["since"] >= now - ENDED_WITHIN]
            assert told["open"] == Counter(row["milestone"] for row in opened)
            assert told["ended"] == Counter(row["milestone"] for row in ended)
            assert told["legs"] == Counter(row["leg"] for row in opened)
            assert told["providers"] == Counter(row["provider"] for row in opened)

            def items(path: str, now: datetime = now, who: str = who, **params: Any) -> list[Any]:
                return api.items(path, who, now=now.isoformat(), limit=1000, **params)

            assert told["stuck"] == Counter(row["kind"] for row in items("/api/stuck"))
            assert told["late"] == len(items("/api/late"))
            assert told["will_be_late"] == len(items("/api/will-be-late"))
            codes = {(row["provider"], row["status_code"]) for row in api.items("/api/unmapped", who)}
            assert told["unmapped"] == len(codes) > 0
            assert told["line"]["parked"] == len(api.items("/api/parked", who)) > 0
            assert told["line"]["lag"] == 0
            assert told["poisoned"] == 0
            assert sum(told["failed_deliveries"].values()) == len(items("/api/ndr"))
            assert told["failed_deliveries"]["actioned"] == len(items("/api/ndr", state="actioned"))
            assert told["failed_deliveries"]["overdue"] == len(items("/api/ndr", overdue=True))
        order = [milestone for milestone in Milestone if milestone in told["open"]]
        assert list(told["open"]) == order


def test_cases_by_the_time_that_is_left(api: Api) -> None:
    case = api.items("/api/ndr", now=NOW.isoformat(), state="open")[-1]
    line = datetime.fromisoformat(case["act_by"])
    tick = timedelta(microseconds=1)

    def found(now: datetime) -> dict[str, int]:
        counts: dict[str, int] = api.answer("/api/summary", now=now.isoformat())["failed_deliveries"]
        return counts

    for before, at, span in (
        ("later", "within_24_hours", timedelta(hours=24)),
        ("within_24_hours", "within_4_hours", timedelta(hours=4)),
        ("within_4_hours", "overdue", timedelta()),
    ):
        earlier, later = found(line - span - tick), found(line - span)
        assert earlier[before] - later[before] == later[at] - earlier[at] >= 1
        assert sum(earlier.values()) == sum(later.values())


def test_those_that_ended_long_ago_are_counted_when_asked_for(api: Api) -> None:
    far = NOW + timedelta(days=400)
    none = api.answer("/api/summary", now=far.isoformat())
    assert none["ended"] == {}
    assert none["ended_since"] == (far - ENDED_WITHIN).isoformat().replace("+00:00", "Z")
    rows = api.runtime.database.read("SELECT milestone FROM {s}shipments WHERE is_final AND account = 'default'")
    everything = api.answer("/api/summary", now=far.isoformat(), days=36_500)
    assert everything["ended"] == Counter(row["milestone"] for row in rows) != {}


def test_providers_that_fall_silent(api: Api) -> None:
    heard = NOW - timedelta(hours=1)
    api.runtime.inbox.append([message("shippit", b"[]", received_at=heard)])

    def feeds(now: datetime) -> dict[str, Any]:
        return {one["provider"]: one for one in api.answer("/api/summary", now=now.isoformat())["line"]["feeds"]}

    found = feeds(heard + SILENT)
    assert list(found) == ["clickpost", "rye", "shippit"]
    assert (found["rye"]["last_heard_at"], found["rye"]["is_silent"]) == (None, True)
    assert found["shippit"]["last_heard_at"] == heard.isoformat().replace("+00:00", "Z")
    assert not found["shippit"]["is_silent"]
    assert found["shippit"]["stopped"] == "the key is wrong"
    assert found["clickpost"]["stopped"] is None
    assert found["clickpost"]["waiting"] == api.answer("/api/summary")["providers"]["clickpost"]
    assert feeds(heard + SILENT + timedelta(microseconds=1))["shippit"]["is_silent"]


def test_the_past_has_no_line(api: Api) -> None:
    known_at = instant("5 12:00")
    told = api.answer("/api/summary", known_at=known_at.isoformat())
    assert told["line"] is None
    assert told["as_of"] == told["known_at"] == known_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    with past(api.runtime, known_at=known_at) as then:
        counts = summary.of(then, "default", known_at)
        rows = then.read("SELECT milestone FROM {s}shipments WHERE account = 'default' AND NOT is_final")
    assert told["open"] == counts.open == Counter(row["milestone"] for row in rows) != {}
    assert told["stuck"] == counts.stuck


def test_what_is_wrong_is_named(api: Api) -> None:
    for parameter, value in (
        ("days", "0"),
        ("days", "36501"),
        ("days", "many"),
        ("account", "elsewhere"),
        ("limit", "1"),
        ("now", "noon"),
        ("known_at", "2999-01-01T00:00:00Z"),
    ):
        refused(api.get("/api/summary", **{parameter: value}), 422, parameter)
    for now in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        api.answer("/api/summary", now=now, days=36_500)


PATHS = (
    "/api/ndr", "/api/ndr?state=closed", "/api/stuck", "/api/late", "/api/will-be-late?now=2025-03-12T00:00:00Z",
    "/api/unmapped", "/api/parked", "/api/polls", "/api/summary?days=36500", "/api/changes?limit=1000",
    "/api/ndr?known_at=2025-03-08T00:00:00Z", "/api/summary?known_at=2025-03-08T00:00:00Z",
)  # fmt: skip


def answers(api: Api) -> list[Any]:
    """Everything that one account is told, without how far the ledger is."""
    told = []
    for path in PATHS:
        answer = api.client.get(path, headers={"authorization": f"Bearer {'reader-' + 'r' * 24}"}).json()
        gone = {"consistent_with", "as_of", "ended_since", "next" if "changes" in path else ""}
        told.append({name: value for name, value in answer.items() if name not in gone})
    return told


def plant(runtime: Runtime, account: str, number: int) -> None:
    """Something for every queue, of another account, with the numbers that the first one has."""
    told = [*reports(2, number)[: 2 + number], *slipped(number % 4, account), unmapped(number, account)]
    runtime.ledger.intake([replace(one, account=account) for one in told])
    park(runtime, account, 1)
    ask(runtime, account, 2)
    runtime.projector.catch_up()


def test_what_is_of_another_account_changes_no_answer(database_url: str) -> None:
    with asked(database_url, CONNECTED) as api:
        need(api.runtime)
        before = answers(api)
        assert all(next(iter(answer.values())) for answer in before)

        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            st.sampled_from(("default.", "default-", "default0", "defaul", "Default", "a", "z", "_")), st.integers(0, 9)
        )
        def planted(account: str, number: int) -> None:
            plant(api.runtime, account, number)
            assert answers(api) == before

        planted()
        others = api.runtime.database.read("SELECT COUNT(*) AS n FROM {s}shipments WHERE account LIKE 'default_%'")
        assert others[0]["n"] > 0
