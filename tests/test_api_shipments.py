"""Are the shipments found that are meant, by whichever conditions, on pages that together hold each of them once?"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.asked import Api, asked, refused
from support.assorted import CARRIERS, NOW, PROVIDERS, SHIPMENTS, fill, heard, reference_of, tracker_of, words
from trackledger.adapters.runtime import Runtime
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.domain.milestones import FINAL, Leg, Milestone
from trackledger.domain.policies.silence import StuckKind
from trackledger.projections import seeking
from trackledger.projections.seeking import NdrState, Sought, beyond, numbers

PATH = "/api/shipments"


class World:
    """Every row that there is, and what is true of each, worked out without any SQL."""

    def __init__(self, runtime: Runtime) -> None:
        read = runtime.database.read
        self.rows = read("SELECT * FROM {s}shipments ORDER BY shipment_id")
        self.quiet = {row["shipment_id"]: row for row in read("SELECT * FROM {s}silence")}
        self.dates = {row["shipment_id"]: row for row in read("SELECT * FROM {s}delivery_dates")}
        self.cases: dict[str, list[dict[str, Any]]] = {}
        self.links: dict[str, list[dict[str, Any]]] = {}
        for row in read("SELECT * FROM {s}ndr_cases ORDER BY shipment_id, case_no"):
            self.cases.setdefault(row["shipment_id"], []).append(row)
        for row in read("SELECT * FROM {s}tracker_links"):
            self.links.setdefault(row["shipment_id"], []).append(row)

    def ids(self, sought: Sought, sort: str) -> list[str]:
        """The ids of those that are meant, in order."""
        found = [row for row in self.rows if row["account"] == sought.account and self.is_meant(row, sought)]
        column = sort.removeprefix("-")
        found.sort(key=lambda row: (row[column] or NOW, row["shipment_id"]), reverse=sort.startswith("-"))
        return [row["shipment_id"] for row in sorted(found, key=lambda row: row[column] is None)]

    def is_meant(self, row: Mapping[str, Any], sought: Sought) -> bool:
        given = msgspec.structs.asdict(sought)
        return all(means(self, row, sought) for name, means in _MEANS.items() if given[name] not in (None, ()))

    def is_stuck(self, row: Mapping[str, Any], sought: Sought) -> bool:
        quiet = self.quiet.get(row["shipment_id"])
        return quiet is not None and quiet["stuck_after"] <= sought.now

    def is_late(self, row: Mapping[str, Any], sought: Sought) -> bool:
        dates = self.dates[row["shipment_id"]]
        promised_by = dates["promised_by"]
        return not row["is_final"] and promised_by is not None and promised_by <= sought.now

    def state(self, row: Mapping[str, Any]) -> str:
        cases = self.cases.get(row["shipment_id"], [])
        return cases[-1]["state"] if cases else "none"

    def says(self, row: Mapping[str, Any], text: str) -> bool:
        names = [row[name] for name in ("shipment_id", "reference", "order_id", "tracking_number")]
        names += [link[name] for link in self.links[row["shipment_id"]] for name in ("reference", "tracking_number")]
        return any(name is not None and name.startswith(one) for name in names for one in numbers(text))

    def edd(self, row: Mapping[str, Any], name: str) -> date | None:
        day: date | None = self.dates[row["shipment_id"]][name]
        return day


def _equal(name: str) -> Callable[[World, Mapping[str, Any], Sought], bool]:
    return lambda world, row, sought: bool(row[name] == getattr(sought, name))


def _between(column: str, bound: str) -> Callable[[World, Mapping[str, Any], Sought], bool]:
    def holds(world: World, row: Mapping[str, Any], sought: Sought) -> bool:
        value, limit = row[column], getattr(sought, bound)
        return value is not None and bool(value >= limit if bound.endswith("from") else value < limit)

    return holds


_MEANS: dict[str, Callable[[World, Mapping[str, Any], Sought], bool]] = {
    **{
        name: _equal(name)
        for name in ("carrier", "provider", "leg", "service", "reference", "order_id", "tracking_number")
    },
    "milestones": lambda world, row, sought: row["milestone"] in sought.milestones,
    "is_final": _equal("is_final"),
    "stuck": lambda world, row, sought: world.is_stuck(row, sought) == sought.stuck,
    "late": lambda world, row, sought: world.is_late(row, sought) == sought.late,
    "q": lambda world, row, sought: world.says(row, sought.q or ""),
    "ndr": lambda world, row, sought: world.state(row) == sought.ndr,
    "stuck_kind": lambda world, row, sought: (
        world.is_stuck(row, sought) and world.quiet[row["shipment_id"]]["kind"] == sought.stuck_kind
    ),
    "heard_from": _between("last_heard_at", "heard_from"),
    "heard_before": _between("last_heard_at", "heard_before"),
    "since_from": _between("since", "since_from"),
    "since_before": _between("since", "since_before"),
    "opened_from": _between("opened_at", "opened_from"),
    "opened_before": _between("opened_at", "opened_before"),
    "edd_from": lambda world, row, sought: (world.edd(row, "current_to") or date.min) >= (sought.edd_from or date.min),
    "edd_to": lambda world, row, sought: (world.edd(row, "current_from") or date.max) <= (sought.edd_to or date.max),
}

MOMENTS = st.integers(-24 * 20, 24 * 4).map(lambda hours: NOW + timedelta(hours=hours))
DAYS = st.integers(-16, 6).map(lambda days: NOW.date() + timedelta(days=days))
ASKED: dict[str, st.SearchStrategy[Any]] = {
    "milestones": st.lists(st.sampled_from(Milestone), max_size=4).map(tuple),
    "is_final": st.booleans(),
    "carrier": st.sampled_from(CARRIERS),
    "provider": st.sampled_from(PROVIDERS),
    "leg": st.sampled_from(list(map(str, Leg))),
    "service": st.sampled_from(["express", "slow"]),
    "reference": st.integers(0, SHIPMENTS).map(reference_of),
    "order_id": st.integers(0, SHIPMENTS // 3).map(lambda number: f"order {number}"),
    "tracking_number": st.integers(0, SHIPMENTS).map(lambda number: tracker_of(number).tracking_number),
    "q": st.sampled_from(words()) | st.text("AWTLawb-/ 0123456789", min_size=1, max_size=6),
    "ndr": st.sampled_from(NdrState),
    "stuck": st.booleans(),
    "stuck_kind": st.sampled_from(list(map(str, StuckKind))),
    "late": st.booleans(),
    "heard_from": MOMENTS,
    "heard_before": MOMENTS,
    "since_from": MOMENTS,
    "since_before": MOMENTS,
    "opened_from": MOMENTS,
    "opened_before": MOMENTS,
    "edd_from": DAYS,
    "edd_to": DAYS,
}


@st.composite
def soughts(draw: st.DrawFn) -> Sought:
    """Up to three conditions together."""
    chosen = draw(st.lists(st.sampled_from(sorted(ASKED)), max_size=3, unique=True))
    account = draw(st.sampled_from(["default", "default", "elsewhere", "nobody"]))
    return Sought(account=account, now=draw(MOMENTS), **{name: draw(ASKED[name]) for name in chosen})


def paged(runtime: Runtime, sought: Sought, sort: str, limit: int) -> list[str]:
    """The ids on all pages."""
    ids: list[str] = []
    after = None
    while True:
        page = seeking.page(runtime.database, sought, seeking.ORDERS[sort], limit, after)
        assert len(page.rows) == limit or page.after is None
        ids += [row["shipment_id"] for row in page.rows]
        if page.after is None:
            return ids
        after = page.after


@pytest.mark.parametrize("few", [0, 2, seeking.FEW])
def test_whatever_is_asked_for_is_found_in_order(runtime: Runtime, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(seeking, "FEW", few)
    fill(runtime)
    world = World(runtime)
    found = 0

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(soughts(), st.sampled_from(sorted(seeking.ORDERS)), st.sampled_from([1, 7, 100]))
    def holds(sought: Sought, sort: str, limit: int) -> None:
        nonlocal found
        ids = paged(runtime, sought, sort, limit)
        assert ids == world.ids(sought, sort)
        found += bool(ids)

    holds()
    assert found > 10


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with asked(database_url) as api:
        fill(api.runtime)
        yield api


def examples(world: World) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each condition by itself with every value that there is, as the API and as the projections are asked."""
    values: dict[str, list[Any]] = {
        "carrier": [*CARRIERS, "Nobody"],
        "provider": list(PROVIDERS),
        "leg": list(Leg),
        "service": ["express"],
        "is_final": [True, False],
        "stuck": [True, False],
        "late": [True, False],
        "stuck_kind": list(StuckKind),
        "ndr": list(NdrState),
        "q": words(),
        **{
            name: sorted({row[name] for row in world.rows if row[name]})
            for name in ("reference", "order_id", "tracking_number")
        },
        **{name: [NOW - timedelta(days=days) for days in (0, 9, 15)] for name in ("heard_from", "heard_before")},
        **{name: [NOW - timedelta(days=days) for days in (0, 9, 15)] for name in ("since_from", "since_before")},
        **{name: [NOW - timedelta(days=days) for days in (9, 15, 17)] for name in ("opened_from", "opened_before")},
        **{name: [NOW.date() - timedelta(days=days) for days in (-2, 4, 9)] for name in ("edd_from", "edd_to")},
    }
    milestones = [(one,) for one in Milestone] + [(Milestone.LOST, Milestone.DELIVERED)]
    return [
        *(({"milestone": [one.value for one in some]}, {"milestones": some}) for some in milestones),
        *(({name: value}, {name: value}) for name, some in values.items() for value in some),
    ]


def said(value: Any) -> Any:
    """As it is written in an address."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | datetime) else value


def test_each_condition_finds_those_it_is_true_of_and_no_others(api: Api) -> None:
    world = World(api.runtime)
    found: dict[str, int] = {}
    for params, conditions in examples(world):
        rows = api.items(PATH, now=NOW.isoformat(), limit=1000, **{name: said(one) for name, one in params.items()})
        sought = Sought(account="default", now=NOW, **conditions)
        assert [row["shipment_id"] for row in rows] == world.ids(sought, "shipment_id"), params
        for name in params:
            found[name] = found.get(name, 0) + bool(rows) + (len(rows) < len(world.rows) * 5 // 6 - 1)
    # Each of them finds some, and leaves some out.
    assert min(found.values()) >= 2, found


def test_every_order_goes_through_all_pages(api: Api) -> None:
    world = World(api.runtime)
    everything = Sought(account="default", now=NOW)
    for sort in seeking.ORDERS:
        rows = [row["shipment_id"] for page in api.pages(PATH, limit=9, sort=sort) for row in page]
        assert rows == world.ids(everything, sort)
    unheard = [row["shipment_id"] for row in world.rows if row["last_heard_at"] is None]
    assert unheard


def test_what_stays_is_on_one_page_whatever_is_written_meanwhile(api: Api) -> None:
    newcomers = count(SHIPMENTS)
    came = 0
    for sort in seeking.ORDERS:
        stays = [row["shipment_id"] for row in api.items(PATH, sort=sort, limit=1000)]
        met: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = api.answer(PATH, sort=sort, limit=9, **cursor)
            met += [row["shipment_id"] for row in answer["items"]]
            if answer["next"] is None:
                break
            cursor = {"cursor": answer["next"]}
            api.runtime.ledger.intake([heard(next(newcomers)) for _ in range(3)])
            api.runtime.projector.catch_up()
        assert [one for one in met if one in stays] == stays, sort
        came += len(set(met) - set(stays))
    assert came, "some of those that came meanwhile stand farther on"


def test_the_pages_of_a_narrowed_list_follow_one_another(api: Api) -> None:
    asked: dict[str, Any] = {"milestone": ["delivered", "in_transit"], "carrier": "Delhivery", "sort": "-since"}
    pages = api.pages(PATH, limit=2, **asked)
    assert len(pages) > 2
    assert [row for page in pages for row in page] == api.items(PATH, **asked)


def test_other_accounts_shipments_are_not_there(api: Api) -> None:
    mine = {row["shipment_id"] for row in api.items(PATH, limit=1000)}
    theirs = {row["shipment_id"] for row in api.items(PATH, who="stranger", limit=1000)}
    assert mine and theirs and not mine & theirs
    assert {row["shipment_id"] for row in api.items(PATH, account="default", limit=1000)} == mine
    assert api.items(PATH, account="elsewhere") == api.items(PATH, account="nobody") == []
    for shipment_id in theirs:
        assert api.items(PATH, q=shipment_id) == []


def test_the_longest_names_are_found_and_paged_through(api: Api) -> None:
    longest = ["\U00010428" * 255 + end for end in "abc"]
    carrier = "\U0001f69a" * 256
    for reference in longest:
        tracker = Tracker("clickpost", reference, carrier, reference)
        api.runtime.ledger.register(
            [Registration(reference, trackers=(tracker,), details={"order_id": reference, "service": carrier})]
        )
    api.runtime.projector.catch_up()
    for reference in longest:
        ids = [f"default:host:{reference}"]
        for name in ("reference", "order_id", "tracking_number", "q"):
            assert [row["shipment_id"] for row in api.items(PATH, **{name: reference})] == ids
        assert [row["shipment_id"] for row in api.items(PATH, q=ids[0])] == ids
    rows = [row["reference"] for page in api.pages(PATH, carrier=carrier, service=carrier, limit=1) for row in page]
    assert rows == longest


WRONG = [
    ("milestone", "nowhere"),
    ("is_final", "perhaps"),
    ("leg", "sideways"),
    ("carrier", ""),
    ("carrier", "x" * 257),
    ("carrier", "\x00"),
    ("q", ""),
    ("q", "x" * 401),
    ("q", "   "),
    ("q", "a\x00"),
    ("ndr", "shut"),
    ("stuck", "somewhat"),
    ("stuck_kind", "glued"),
    ("late", "soon"),
    ("heard_from", "2025-03-01T00:00:00"),
    ("heard_before", "yesterday"),
    ("since_from", "2025-03"),
    ("opened_from", "2025-03-01"),
    ("opened_before", "12"),
    ("edd_from", "2025-02-30"),
    ("edd_to", "1741392000"),
    ("sort", "carrier"),
    ("colour", "red"),
]


def test_what_is_wrong_is_named(api: Api) -> None:
    for parameter, value in WRONG:
        refused(api.get(PATH, **{parameter: value}), 422, parameter)


def test_beginnings_end_where_others_begin() -> None:
    assert beyond("AWB") == "AWC"
    assert beyond("a\U0010ffff") == "b"
    assert beyond("\U0010ffff") is None
    assert beyond("\ud7ff") == "\ue000"


def test_a_number_may_be_kept_as_it_is_read() -> None:
    assert numbers(" ab-12 3 ") == ["ab-12 3", "AB-12 3", "ab123", "AB123"]
    assert numbers("-") == ["-"]
    assert numbers("  ") == []
    assert {one in FINAL for one in Milestone} == {True, False}
