"""Is every figure about deliveries the one that counting by hand gives, over what it says it is over?"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from math import isclose
from statistics import mean, median, quantiles
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from support.asked import SECRETS, Api, asked, refused
from support.cli import Cli
from support.parcels import batches, reports
from support.reports import claim, estimate, report
from support.scans import instant, scan
from trackledger.adapters.http import recent
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.domain.checkpoints import Report, Tracker
from trackledger.projections import journeys
from trackledger.projections.analytics import BY, QUESTIONS, Figures, Question, ask, figure_columns
from trackledger.projections.cohorts import Cohort, Dimension
from trackledger.projections.journeys import JourneyRow
from trackledger.projections.percentiles import percentiles

EXAMPLES = {"sqlite": 60, "postgresql": 30}
QUESTION_PATHS = tuple(f"/api/analytics/{question}" for question in QUESTIONS)


# What a journey is


def told(name: str, *scans: Any, carrier: str = "Delhivery", **about: Any) -> Report:
    """All that is said of the parcel `name`, on the 1st of March unless an `at` is given."""
    tracker = Tracker("clickpost", f"4:{name}", carrier, name)
    at = about.pop("at", "1 12:00")
    return report(*scans, at=at, tracker=tracker, **about)


PICKED_UP = scan("picked_up", "3 10:00", location="Delhi  Hub")
FAILED = scan("delivery_failed", "5 12:00", location="pune")
DELIVERED = scan("delivered", "6 14:30", location="Pune")
GOING_BACK = scan("returning", "7 09:00", "return", location="Nashik")
RETURNED = scan("returned", "9 10:00", "return", location="Delhi Hub")

JOURNEYS: dict[str, tuple[Report, dict[str, Any] | None]] = {
    "delivered at once": (
        told("A", PICKED_UP, DELIVERED, estimates=(estimate("carrier", "6"),)),
        {
            "outcome": "delivered",
            "first_attempt_ok": True,
            "on_time": True,
            "transit_seconds": 3 * 86_400 + 4 * 3600 + 1800,
            "transit_days": 3,
            "ended_on": date(2025, 3, 6),
            "origin": "delhi hub",
            "destination": "pune",
            "lane_by": "scanned",
            "estimated": '[["carrier",5,0]]',
        },
    ),
    "a day late, at the second attempt": (
        told("B", PICKED_UP, FAILED, DELIVERED, estimates=(estimate("carrier", "4", "5"),)),
        {
            "outcome": "delivered",
            "first_attempt_ok": False,
            "first_attempt_at": instant("5 12:00"),
            "on_time": False,
            "estimated": '[["carrier",5,1]]',
        },
    ),
    "no date": (told("C", PICKED_UP, DELIVERED), {"outcome": "delivered", "on_time": None, "estimated": None}),
    "days only": (
        told("D", scan("picked_up", "3"), scan("delivered", "6"), estimates=(estimate("promise", "6"),)),
        {"on_time": True, "transit_seconds": None, "transit_days": 3, "lane_by": None},
    ),
    "no pickup": (told("E", DELIVERED), {"transit_seconds": None, "transit_days": None, "picked_up_at": None}),
    "a pickup after the delivery": (
        told("F", DELIVERED, scan("picked_up", "6 14:31", mark="late")),
        {"outcome": "delivered", "transit_seconds": None},
    ),
    "a lane that is stated": (
        told("G", PICKED_UP, DELIVERED, details={"origin": "New  Delhi", "destination": "PUNE"}),
        {"origin": "new delhi", "destination": "pune", "lane_by": "stated"},
    ),
    "returned to its origin": (
        told("H", PICKED_UP, FAILED, GOING_BACK, RETURNED, estimates=(estimate("carrier", "6"),)),
        {
            "outcome": "returned",
            "first_attempt_ok": False,
            "on_time": None,
            "delivered_at": None,
            "ended_on": date(2025, 3, 9),
            "destination": "pune",
            "estimated": None,
        },
    ),
    "sent back after the delivery": (
        told("I", PICKED_UP, DELIVERED, scan("returning", "8 10:00", "return"), RETURNED),
        {"outcome": "delivered", "first_attempt_ok": True, "ended_on": date(2025, 3, 6)},
    ),
    "a delivery that was none": (
        told("J", PICKED_UP, DELIVERED, scan("delivery_failed", "6 18:00")),
        {"outcome": None, "first_attempt_ok": False, "ended_on": None},
    ),
    "cancelled before anybody moved it": (
        told("K", scan("pickup_scheduled", "3 10:00"), scan("cancelled", "4 10:00")),
        {"outcome": "cancelled", "first_attempt_ok": None, "ended_on": date(2025, 3, 4)},
    ),
    "lost after an attempt": (
        told("L", PICKED_UP, FAILED, scan("lost", "8 10:00")),
        {"outcome": "lost", "first_attempt_ok": False},
    ),
    "attempted, and under way": (told("M", PICKED_UP, FAILED), {"outcome": None, "ended_on": None}),
    "an ending at night, in its own zone": (
        told("N", PICKED_UP, scan("delivered", "7 01:00")),
        {"ended_on": date(2025, 3, 7), "delivered_at": datetime(2025, 3, 6, 19, 30, tzinfo=UTC)},
    ),
    "an estimate made after the delivery": (
        told("O", PICKED_UP, DELIVERED, at="8 12:00", estimates=(estimate("carrier", "6"),)),
        {"estimated": None},
    ),
    "on its way": (told("P", PICKED_UP), None),
    "a pickup from the consignee": (
        told("Q", PICKED_UP, scan("delivered", "6 14:30"), assertions=(claim("direction", "return"),)),
        None,
    ),
    "an order whose parcels are shipments": (told("R", DELIVERED, assertions=(claim("split", "2"),)), None),
}


def filled(runtime: Runtime, reports: Sequence[Report]) -> Runtime:
    runtime.ledger.intake(reports)
    runtime.projector.catch_up()
    return runtime


def test_every_journey_has_the_row_that_its_statements_give(runtime: Runtime) -> None:
    filled(runtime, [report for report, _ in JOURNEYS.values()])
    found = {row["shipment_id"]: row for row in runtime.database.read("SELECT * FROM {s}journeys")}
    for name, (report_, expected) in JOURNEYS.items():
        row = found.pop(f"default:{report_.tracker.provider}:{report_.tracker.reference}", None)
        assert (row is None) == (expected is None), name
        if row is not None and expected is not None:
            assert {key: row[key] for key in expected} == expected, name
    assert found == {}


# What is counted


def test_figures_of_a_handful_of_journeys(runtime: Runtime) -> None:
    filled(runtime, [report for report, _ in JOURNEYS.values()])
    found = {question: answer(runtime, question).overall for question in QUESTIONS}
    # In time: A, D, O. Late: B. Without a date: C, E, F, G, I, N.
    assert found["on-time"] == {"n": 4, "missing": 6, "missing_share": 0.6, "on_time": 3, "on_time_share": 0.75}
    # At the first: A, C, D, E, F, G, I, N, O. Not: B, H, L. Cancelled, under way: not counted.
    assert found["first-attempt"] == {
        "n": 12, "missing": 0, "missing_share": 0.0, "first_attempt": 9, "first_attempt_share": 0.75
    }  # fmt: skip
    # H, of ten that were delivered, H and L.
    assert found["rto"] == {"n": 12, "missing": 0, "missing_share": 0.0, "returned": 1, "returned_share": 0.0833}
    # Known of A, B, C, G, I, O, each 76.5 hours, and of N, 87 hours.
    assert found["transit"] == {
        "n": 7, "missing": 3, "missing_share": 0.3, "unit": "hours", "p50": 76.5, "p80": 76.5, "p90": 80.7, "p95": 83.85
    }  # fmt: skip
    # Estimates of A (0 days off), B (1) and D (0), stated five days ahead.
    assert found["edd-error"] == {
        "n": 3, "missing": 7, "missing_share": 0.7, "mean_days": 0.33, "median_days": 0.0, "within_a_day": 3,
        "within_a_day_share": 1.0,
    }  # fmt: skip
    assert answer(runtime, "rto").under_way == 2


def test_an_expired_shipment_is_missing_from_the_returns(runtime: Runtime) -> None:
    filled(runtime, [told("A", PICKED_UP, DELIVERED), told("B", PICKED_UP, scan("expired", "20 10:00"))])
    assert answer(runtime, "rto").overall == {
        "n": 1, "missing": 1, "missing_share": 0.5, "returned": 0, "returned_share": 0.0
    }  # fmt: skip


def test_a_return_without_an_attempt_is_missing_from_the_first_attempts(runtime: Runtime) -> None:
    filled(runtime, [told("A", PICKED_UP, GOING_BACK, RETURNED), told("B", PICKED_UP, DELIVERED)])
    found = answer(runtime, "first-attempt").overall
    assert (found["n"], found["missing"], found["first_attempt"]) == (1, 1, 1)


def test_an_empty_ledger_has_no_share_of_anything(runtime: Runtime) -> None:
    for question in QUESTIONS:
        found = answer(runtime, question)
        assert found.groups == [] and found.left_out == 0
        assert {value for name, value in found.overall.items() if name != "unit"} == {0, None}


def answer(
    runtime: Runtime, question: Question, by: Sequence[Dimension] | None = None, limit: int = 1000, **of: Any
) -> Figures:
    """What is answered about an account, `default` unless another is given."""
    unit = of.pop("unit", "hours")
    with runtime.database.snapshot() as tables:
        return ask(tables, question, Cohort(**({"account": "default"} | of)), by or BY[question], limit, unit)


# Against a count by brute force

NAMES = st.sampled_from(["Delhivery", "Blue Dart", "' OR 1=1", None])
OUTCOMES = st.sampled_from(["delivered", "delivered", "returned", "lost", "damaged", "cancelled", "expired", None])
ACCOUNTS = ("default", "default-2", "defaul", "defaulu")
START = date(2026, 2, 23)


@st.composite
def journey(draw: st.DrawFn, number: int) -> JourneyRow:
    account, outcome = draw(st.sampled_from(ACCOUNTS)), draw(OUTCOMES)
    day = START + timedelta(days=draw(st.integers(0, 20)))
    ended = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    delivered = outcome == "delivered"
    seconds = draw(st.none() | st.integers(0, 500_000)) if delivered else None
    stated = draw(st.lists(st.tuples(st.sampled_from(["carrier", "sla"]), st.integers(0, 16), st.integers(-3, 3))))
    lane = draw(st.sampled_from([("delhi", "pune"), ("pune", "delhi"), (None, None)]))
    return JourneyRow(
        shipment_id=f"{account}:clickpost:{number}",
        account=account,
        carrier=draw(NAMES),
        provider=draw(st.sampled_from(["clickpost", "ship24"])),
        origin=lane[0],
        destination=lane[1],
        lane_by="stated" if lane[0] else None,
        picked_up_at=None,
        first_attempt_at=None,
        first_attempt_ok=draw(st.none() | st.booleans()),
        delivered_at=ended if delivered else None,
        ended_on=day if outcome else None,
        outcome=outcome,
        on_time=draw(st.none() | st.booleans()) if delivered else None,
        transit_seconds=seconds,
        transit_days=None if seconds is None else seconds // 86_400,
        estimated=json.dumps(sorted(stated)) if delivered and stated else None,
    )


@st.composite
def ledgers(draw: st.DrawFn) -> list[JourneyRow]:
    return [draw(journey(number)) for number in range(draw(st.integers(0, 12)))]


DAYS = st.none() | st.integers(0, 20).map(lambda n: START + timedelta(days=n))
COHORTS = st.builds(
    Cohort,
    account=st.sampled_from(ACCOUNTS),
    first=DAYS,
    last=DAYS,
    carrier=st.none() | st.sampled_from(["Delhivery", "' OR 1=1"]),
    provider=st.none() | st.sampled_from(["clickpost", "ship24"]),
)
OF_ALL = ("carrier", "provider", "lane", "day", "week", "month")

Group = tuple[Any, ...]


def counts(row: JourneyRow, cohort: Cohort) -> bool:
    """Whether an ended journey is in the cohort."""
    return (
        row.account == cohort.account
        and row.ended_on is not None
        and (cohort.first is None or row.ended_on >= cohort.first)
        and (cohort.last is None or row.ended_on <= cohort.last)
        and cohort.carrier in (None, row.carrier)
        and cohort.provider in (None, row.provider)
    )


def group_of(row: JourneyRow, by: Sequence[Dimension], source: str = "") -> Group:
    day = row.ended_on
    assert day is not None
    year, week, _ = day.isocalendar()
    values: dict[str, Group] = {
        "carrier": (row.carrier,),
        "provider": (row.provider,),
        "lane": (row.origin, row.destination),
        "source": (source,),
        "day": (str(day),),
        "week": (f"{year}-W{week:02}",),
        "month": (str(day)[:7],),
    }
    return tuple(value for one in by for value in values[one])


def of_share(rows: Sequence[JourneyRow], verdict: Callable[[JourneyRow], bool | None]) -> tuple[int, int, int]:
    """How many count, are missing and are in the share."""
    verdicts = [verdict(row) for row in rows]
    return len(verdicts) - verdicts.count(None), verdicts.count(None), verdicts.count(True)


def by_hand(question: Question, rows: Sequence[JourneyRow]) -> tuple[int, int, int]:
    match question:
        case "on-time":
            return of_share([r for r in rows if r.outcome == "delivered"], lambda r: r.on_time)
        case "first-attempt":
            tried = [r for r in rows if r.first_attempt_ok is not None or r.outcome in ("delivered", "returned")]
            return of_share(tried, lambda r: r.first_attempt_ok)
        case _:
            known = [r for r in rows if r.outcome != "cancelled"]
            return of_share(known, lambda r: None if r.outcome == "expired" else r.outcome == "returned")


def of_database(database_url: str) -> int:
    return EXAMPLES[database_url.partition(":")[0]]


def written(runtime: Runtime, rows: Sequence[JourneyRow]) -> None:
    """Let the table hold these rows only."""
    with runtime.database.transaction() as transaction:
        transaction.execute("DELETE FROM {s}journeys")
        transaction.upsert(journeys.TABLE, rows)


def test_shares_are_those_of_a_count_by_brute_force(runtime: Runtime, database_url: str) -> None:
    names = {"on-time": "on_time", "first-attempt": "first_attempt", "rto": "returned"}

    @given(
        ledgers(),
        COHORTS,
        st.sampled_from(list(names)),
        st.lists(st.sampled_from(OF_ALL), min_size=1, max_size=2, unique=True),
    )
    @settings(max_examples=of_database(database_url), deadline=None)
    def holds(rows: list[JourneyRow], cohort: Cohort, question: Question, by: list[Dimension]) -> None:
        written(runtime, rows)
        found = answer(runtime, question, by, **_fields(cohort))
        cohort_rows = [row for row in rows if counts(row, cohort)]
        groups: dict[Group, list[JourneyRow]] = {}
        for row in cohort_rows:
            groups.setdefault(group_of(row, by), []).append(row)
        expected = {group: by_hand(question, some) for group, some in groups.items()}
        shown = {
            tuple(list(row.values())[:-5]): (row["n"], row["missing"], row[names[question]]) for row in found.groups
        }
        assert shown == {group: figures for group, figures in expected.items() if sum(figures[:2])}
        assert (found.overall["n"], found.overall["missing"], found.overall[names[question]]) == by_hand(
            question, cohort_rows
        )
        whole = replace(cohort, first=None, last=None)
        assert found.under_way == sum(
            1 for row in rows if row.outcome is None and counts(replace(row, ended_on=START), whole)
        )

    holds()


def test_transit_times_are_those_of_a_count_by_brute_force(runtime: Runtime, database_url: str) -> None:
    @given(
        ledgers(),
        COHORTS,
        st.sampled_from(["hours", "days"]),
        st.lists(st.sampled_from(OF_ALL), min_size=1, max_size=2, unique=True),
    )
    @settings(max_examples=of_database(database_url), deadline=None)
    def holds(rows: list[JourneyRow], cohort: Cohort, unit: str, by: list[Dimension]) -> None:
        written(runtime, rows)
        found = answer(runtime, "transit", by, unit=unit, **_fields(cohort))
        groups: dict[Group, list[float | None]] = {}
        for one in rows:
            if counts(one, cohort) and one.outcome == "delivered":
                time = one.transit_days if unit == "days" else one.transit_seconds
                in_unit = time / 3600 if time is not None and unit == "hours" else time
                groups.setdefault(group_of(one, by), []).append(in_unit)
        assert len(found.groups) == len(groups)
        for row in found.groups:
            times = groups[tuple(list(row.values())[:-8])]
            known = sorted(time for time in times if time is not None)
            assert (row["n"], row["missing"]) == (len(known), len(times) - len(known))
            of_hundred = quantiles(known, n=100, method="inclusive") if len(known) > 1 else known * 99
            for percent in (50, 80, 90, 95):
                shown = row[f"p{percent}"]
                assert shown is None if not known else isclose(shown, of_hundred[percent - 1], abs_tol=0.0051)

    holds()


def test_errors_of_estimates_are_those_of_a_count_by_brute_force(runtime: Runtime, database_url: str) -> None:
    @given(
        ledgers(),
        COHORTS,
        st.lists(st.sampled_from(("source", *OF_ALL)), min_size=1, max_size=2, unique=True),
    )
    @settings(max_examples=of_database(database_url), deadline=None)
    def holds(rows: list[JourneyRow], cohort: Cohort, by: list[Dimension]) -> None:
        written(runtime, rows)
        found = answer(runtime, "edd-error", by, **_fields(cohort))
        delivered = [row for row in rows if counts(row, cohort) and row.outcome == "delivered"]
        groups: dict[Group, list[tuple[JourneyRow, int]]] = {}
        for one in delivered:
            for source, ahead, off in json.loads(one.estimated or "[]"):
                if ahead <= 14:
                    groups.setdefault((*group_of(one, by, source), ahead), []).append((one, off))
        assert len(found.groups) == len(groups)
        whose = [dimension for dimension in by if dimension != "source"]
        for row in found.groups:
            stated = groups[tuple(list(row.values())[:-7])]
            errors = [off for _, off in stated]
            # Deliveries of the same carrier, day and so on, whoever estimated.
            about = group_of(stated[0][0], whose)
            deliveries = sum(1 for one in delivered if group_of(one, whose) == about)
            assert row["n"] == len(stated)
            assert row["missing"] == deliveries - len({one.shipment_id for one, _ in stated})
            assert isclose(row["mean_days"], mean(errors), abs_tol=0.0051) and row["median_days"] == median(errors)
            assert row["within_a_day"] == sum(abs(off) <= 1 for off in errors)
        stated_at_all = {one.shipment_id for stated in groups.values() for one, _ in stated}
        assert found.overall["missing"] == len(delivered) - len(stated_at_all)

    holds()


def _fields(cohort: Cohort) -> dict[str, Any]:
    return {name: getattr(cohort, name) for name in cohort.__struct_fields__}


@given(st.dictionaries(st.integers(-1000, 1000), st.integers(1, 5), min_size=1), st.integers(1, 99))
def test_percentiles_are_those_of_the_values_one_by_one(counts: dict[int, int], percent: int) -> None:
    values = sorted(value for value, times in counts.items() for _ in range(times))
    expected = quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]
    (found,) = percentiles(counts, (percent,))
    assert found is not None and isclose(found, expected, abs_tol=1e-9)


def test_the_order_of_arrival_makes_no_difference(places: Callable[[str], str]) -> None:
    told_once = [*reports(12), *(report for report, _ in JOURNEYS.values())]
    found = []
    for kind, seed in (("sqlite", 0), ("sqlite", 1), ("postgresql", 2)):
        with open_runtime(Settings(places(kind))) as runtime:
            for batch in batches(told_once, seed):
                runtime.ledger.intake(batch)
                runtime.projector.catch_up()
            found.append([answer(runtime, question) for question in QUESTIONS])
    assert found[0] == found[1] == found[2]
    assert found[0][0].overall["n"] == 16


def test_the_largest_groups_are_shown_and_the_others_counted(runtime: Runtime) -> None:
    carriers = ["A"] * 3 + ["B"] * 2 + ["C"]
    filled(runtime, [told(str(n), PICKED_UP, DELIVERED, carrier=carrier) for n, carrier in enumerate(carriers)])
    found = answer(runtime, "rto", limit=2)
    assert [row["carrier"] for row in found.groups] == ["A", "B"]
    assert found.left_out == 1 and found.overall["n"] == 6


def test_of_periods_the_latest_are_shown_in_order(runtime: Runtime) -> None:
    filled(runtime, [told(str(day), PICKED_UP, scan("delivered", f"{day} 12:00")) for day in (4, 12, 18, 28)])
    found = answer(runtime, "rto", ("week",), limit=3)
    assert [row["week"] for row in found.groups] == ["2025-W11", "2025-W12", "2025-W13"]
    assert [row["month"] for row in answer(runtime, "rto", ("month",)).groups] == ["2025-03"]


# Over HTTP


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with asked(database_url) as api:
        filled(api.runtime, [report for report, _ in JOURNEYS.values()])
        yield api


def test_every_question_is_answered_with_its_definition_and_of_when_it_is(api: Api) -> None:
    head = str(api.runtime.store.head())
    for path in QUESTION_PATHS:
        found = api.answer(path, now="2026-11-21T09:30:00Z")
        assert found["as_of"] == "2026-11-21T09:30:00Z" and found["consistent_with"] == head
        assert "n:" in found["definition"] and "missing:" in found["definition"]
        assert found["overall"]["n"] > 0 and found["groups"]
        assert sum(row["n"] for row in found["groups"]) == found["overall"]["n"]
    every = api.answer("/api/analytics")["answers"]
    assert [one["question"] for one in every] == list(QUESTIONS)


def test_filters_and_groups(api: Api) -> None:
    assert api.answer("/api/analytics/rto", **{"from": "2025-03-07", "to": "2025-03-08"})["overall"]["n"] == 2
    assert api.answer("/api/analytics/rto", carrier="Blue Dart")["overall"]["n"] == 0
    assert api.answer("/api/analytics/rto", provider="ship24")["overall"]["n"] == 0
    found = api.answer("/api/analytics/transit", by=["lane", "month"], unit="days")
    assert found["by"] == ["lane", "month"] and found["left_out"] == 0
    assert {(row["origin"], row["destination"]) for row in found["groups"]} == {
        ("delhi hub", "pune"), ("new delhi", "pune"), (None, None)
    }  # fmt: skip
    assert found["overall"]["unit"] == "days"


def test_groups_come_as_csv_and_ndjson(api: Api) -> None:
    for question, path in zip(QUESTIONS, QUESTION_PATHS, strict=True):
        rows = api.answer(path)["groups"]
        response = api.get(path, accept="text/csv")
        assert response.headers["content-disposition"] == f'attachment; filename="{question}.csv"'
        assert response.headers["trackledger-position"] == str(api.runtime.store.head())
        lines = list(csv.reader(response.text.removeprefix("\ufeff").splitlines()))
        assert lines[0] == [column.name for column in figure_columns(question, BY[question])] == list(rows[0])
        assert len(lines) == len(rows) + 1
        assert [json.loads(line) for line in api.get(path, accept="application/x-ndjson").text.splitlines()] == rows
    refused(api.get("/api/analytics/rto", accept="image/png"), 406, "accept")


def test_other_accounts_are_never_counted(api: Api) -> None:
    for path in QUESTION_PATHS:
        found = api.answer(path, who="stranger")
        assert found["groups"] == [] and found["overall"]["n"] == 0 and found["under_way"] == 0


def test_what_is_wrong_is_named(api: Api) -> None:
    for parameter, value in [
        ("from", "2025-3-1"),
        ("from", "2025-02-30"),
        ("from", "2025-03-01T00:00:00Z"),
        ("to", "yesterday"),
        ("by", "colour"),
        ("by", "source"),
        ("first", "2025-03-01"),
        ("unit", "hours"),
        ("limit", "0"),
        ("limit", "1001"),
        ("now", "2025-03-01"),
        ("known_at", "2999-01-01T00:00:00Z"),
    ]:
        refused(api.get("/api/analytics/rto", **{parameter: value}), 422, parameter)
    refused(api.get("/api/analytics/rto", **{"from": "2025-03-02", "to": "2025-03-01"}), 422, "from")
    refused(api.get("/api/analytics/transit", unit="weeks"), 422, "unit")
    refused(api.get("/api/analytics/rto", by=["carrier", "lane", "day"]), 422, "by")
    refused(api.client.get("/api/analytics/rto"), 401)


def test_before_the_first_event_nothing_was_known(api: Api) -> None:
    for _ in range(2):
        found = api.answer("/api/analytics/rto", known_at="1999-01-01T00:00:00Z")
        assert found["overall"]["n"] == 0 and found["known_at"] == found["as_of"] == "1999-01-01T00:00:00Z"


def test_an_answer_of_a_moment_ago_says_so_and_is_not_given_where_more_is_asked_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "REFRESH", 3600.0)
    before = api.answer("/api/analytics/rto")
    filled(api.runtime, [told("new", PICKED_UP, DELIVERED)])
    head = api.runtime.store.head()
    assert api.answer("/api/analytics/rto") == before
    for more in ({"now": "2026-11-21T09:30:00Z"}, {"wait_for": head}):
        found = api.answer("/api/analytics/rto", **more)
        assert found["consistent_with"] == str(head) and found["overall"]["n"] == before["overall"]["n"] + 1
    filled(api.runtime, [told("newer", PICKED_UP, DELIVERED)])
    monkeypatch.setattr(recent, "REFRESH", 0.0)
    assert api.answer("/api/analytics/rto")["overall"]["n"] == before["overall"]["n"] + 2


def test_a_question_of_now_is_counted_now(api: Api) -> None:
    now = "2026-11-21T09:30:00Z"
    before = api.answer("/api/analytics/rto", now=now)
    with api.runtime.database.transaction() as transaction:
        # As a rebuild does by other policies: rows change, and no event is recorded.
        transaction.execute("UPDATE {s}journeys SET outcome = 'lost' WHERE outcome = 'returned'")
    found = api.answer("/api/analytics/rto", now=now)
    assert found["consistent_with"] == before["consistent_with"]
    assert (before["overall"]["returned"], found["overall"]["returned"]) == (1, 0)


def test_who_was_forgotten_is_in_no_figure_of_the_past(api: Api) -> None:
    known_at = datetime.now(UTC).isoformat()

    def origins() -> set[str | None]:
        found = api.answer("/api/analytics/transit", known_at=known_at)
        return {row["origin"] for row in found["groups"]}

    assert "new delhi" in origins()
    api.runtime.forgetting.forget("default:clickpost:4:G", "clerk@shop", "asked us to")
    assert origins() and "new delhi" not in origins()


def test_who_was_forgotten_is_in_no_figure_of_a_moment_ago(api: Api) -> None:
    def origins() -> set[str | None]:
        return {row["origin"] for row in api.answer("/api/analytics/transit")["groups"]}

    assert "new delhi" in origins()
    api.runtime.forgetting.forget("default:clickpost:4:G", "clerk@shop", "asked us to")
    api.runtime.projector.catch_up()
    assert origins() and "new delhi" not in origins()


def test_what_was_not_asked_for_long_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "KEPT", 2)
    kept, now = recent.Recent(), datetime(2026, 11, 21, tzinfo=UTC)
    figures = Figures("rto", "", (), {}, [], 0, 0)
    for question in ("a", "b"):
        kept.keep(question, figures, now, 1)
    assert kept.find("a", 1) is not None
    kept.keep("c", figures, now, 1)
    assert [question for question in "abc" if kept.find(question, 1)] == ["a", "c"]


# For people


def test_the_page_shows_every_figure_beside_its_chart_and_no_word_of_others_as_markup(database_url: str) -> None:
    evil = "</script><script>alert('x')</script>"
    with asked(database_url) as api, httpx.Client(base_url=api.url, follow_redirects=True) as browser:
        filled(api.runtime, [told("A", PICKED_UP, DELIVERED, carrier=evil, estimates=(estimate("carrier", "6"),))])
        assert browser.get("/console/analytics").url.path == "/console/login"
        browser.post("/console/login", data={"token": SECRETS["reader"]})
        page = browser.get("/console/analytics", params={"from": "", "to": "2025-03-31", "over": "month"})
        assert page.status_code == 200 and evil not in page.text
        (block,) = re.findall(r'<script type="application/json" id="charts">(.*?)</script>', page.text)
        charts = json.loads(block)
        assert charts["on-time-carrier"]["labels"] == [evil]
        assert charts["on-time-month"]["series"][0]["values"] == [1.0]
        assert set(re.findall(r'<canvas id="([^"]+)"', page.text)) == set(charts)
        assert page.text.count("<table>") == len(charts) == 8
        assert browser.get("/console/analytics", params={"over": "century"}).status_code == 422
        nothing = browser.get("/console/analytics", params={"from": "2025-04-01"})
        assert "<canvas" not in nothing.text and nothing.text.count("Nothing of that kind has ended.") == 8


def test_the_command_answers_one_question_or_all(cli: Cli, database_url: str) -> None:
    with open_runtime(Settings(database_url)) as runtime:
        filled(runtime, [report for report, _ in JOURNEYS.values()])
        expected = answer(runtime, "rto", ("month", "carrier"), first=date(2025, 3, 1))
    found = cli.json("analytics", "rto", "--by", "month", "--by", "carrier", "--from", "2025-03-01")
    assert found["groups"] == expected.groups and found["overall"] == expected.overall
    assert [one["question"] for one in cli.json("analytics")] == list(QUESTIONS)
    assert "0.0833" in cli("analytics", "rto").output
