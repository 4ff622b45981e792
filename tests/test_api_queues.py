"""Does every queue hold what it has to as of a moment, page by page, whichever conditions there are?"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from support.asked import Api, asked, refused
from support.assorted import NOW
from support.needy import need
from support.reports import report
from support.scans import instant, scan
from trackledger.adapters.inbox import message
from trackledger.adapters.past import past
from trackledger.domain.checkpoints import Tracker
from trackledger.projections.table import Reader

Row = dict[str, Any]
LATER = NOW + timedelta(days=30)


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with asked(database_url) as api:
        need(api.runtime)
        yield api


def beside(read: Callable[..., list[Row]], table: str, *names: str) -> list[Row]:
    """The rows of a table, each with what its shipment has under these names."""
    shipments = {row["shipment_id"]: row for row in read("SELECT * FROM {s}shipments")}
    rows = read(f"SELECT * FROM {{s}}{table}")
    return [row | {name: shipments[row["shipment_id"]][name] for name in names} for row in rows]


NUMBERS = ("reference", "order_id", "carrier", "tracking_number", "provider", "milestone", "location")


def ndr(store: Reader, now: datetime) -> list[Row]:
    rows = beside(store.read, "ndr_cases", *NUMBERS)
    return [row | {"overdue": row["act_by"] is not None and row["act_by"] <= now} for row in rows]


def stuck(store: Reader, now: datetime) -> list[Row]:
    return [row for row in beside(store.read, "silence", *NUMBERS, "last_heard_at") if row["stuck_after"] <= now]


def due(store: Reader) -> list[Row]:
    rows = beside(store.read, "delivery_dates", *NUMBERS, "since")
    return [row for row in rows if not row["is_final"] and not row["delivered_at"] and row["promised_by"]]


def late(store: Reader, now: datetime) -> list[Row]:
    return [row for row in due(store) if row["promised_by"] <= now]


def will_be_late(store: Reader, now: datetime) -> list[Row]:
    return [row for row in due(store) if row["promised_by"] > now and row["current_to"] > row[f"{row['baseline']}_to"]]


def parked(store: Reader, now: datetime) -> list[Row]:
    names = ("message_id", "provider", "account", "channel", "reason", "received_at", "last_received_at", "times")
    found = store.read("SELECT * FROM {s}messages WHERE state = 'parked'")
    return [{name: row[name] for name in names} | {"bytes": len(row["body"])} for row in found]


def polls(store: Reader, now: datetime) -> list[Row]:
    accounts = {(row["account"], row["provider"]): row for row in store.read("SELECT * FROM {s}poll_accounts")}
    hidden = {"leased_until", "digest", "followed"}
    rows = []
    for row in store.read("SELECT * FROM {s}poll_schedule"):
        found = accounts.get((row["account"], row["provider"]), {})
        rows.append(
            {name: value for name, value in row.items() if name not in hidden}
            | {"account_stopped": found.get("stopped"), "blocked_until": found.get("blocked_until")}
            | {"due": row["state"] == "asking" and row["due_at"] <= now}
        )
    return rows


QUEUES: Mapping[str, Callable[[Reader, datetime], list[Row]]] = {
    "ndr": ndr, "stuck": stuck, "late": late, "will-be-late": will_be_late, "parked": parked, "polls": polls,
}  # fmt: skip

KEYS = {"ndr": ("shipment_id", "case_no"), "parked": ("message_id",), "polls": ("due_at", "tracker")}

SORTED = {"ndr": "act_by", "stuck": "stuck_after", "late": "promised_by", "will-be-late": "promised_by"} | {
    "parked": "received_at",
    "polls": "state",
}

MEANT: Mapping[str, Callable[[Row, Any], bool]] = {
    "act_by_from": lambda row, value: row["act_by"] is not None and row["act_by"] >= value,
    "act_by_before": lambda row, value: row["act_by"] is not None and row["act_by"] < value,
    "promised_from": lambda row, value: bool(row["promised_by"] >= value),
    "promised_before": lambda row, value: bool(row["promised_by"] < value),
    "failing": lambda row, value: (row["failures"] > 0) == value,
}

ASKED: list[tuple[str, dict[str, Any]]] = [
    ("ndr", {}),
    ("ndr", {"state": "open"}),
    ("ndr", {"state": "actioned"}),
    ("ndr", {"state": "closed"}),
    ("ndr", {"state": "closed", "sort": "last_attempt_at"}),
    ("ndr", {"sort": "-last_attempt_at"}),
    ("ndr", {"sort": "last_attempt_at", "carrier": "Delhivery"}),
    ("ndr", {"reason": "unspecified", "party": "merchant"}),
    ("ndr", {"reason": "refused"}),
    ("ndr", {"provider": "ship24"}),
    ("ndr", {"overdue": True}),
    ("ndr", {"overdue": False}),
    ("ndr", {"act_by_from": instant("9 12:00"), "act_by_before": instant("14 12:00")}),
    ("ndr", {"act_by_before": instant("9 12:00"), "sort": "-last_attempt_at"}),
    ("stuck", {}),
    ("stuck", {"sort": "-stuck_after"}),
    ("stuck", {"kind": "stalled_in_transit"}),
    ("stuck", {"carrier": "Blue Dart"}),
    ("stuck", {"provider": "aftership", "provider_says_stuck": True}),
    ("late", {}),
    ("late", {"sort": "-promised_by", "carrier": "Shadowfax"}),
    ("late", {"provider": "clickpost", "baseline": "promised"}),
    ("late", {"promised_from": instant("8"), "promised_before": instant("12")}),
    ("will-be-late", {}),
    ("will-be-late", {"baseline": "original"}),
    ("will-be-late", {"sort": "-promised_by", "carrier": "Delhivery"}),
    ("parked", {}),
    ("parked", {"provider": "ship24"}),
    ("parked", {"channel": "webhook"}),
    ("polls", {}),
    ("polls", {"provider": "shippit"}),
    ("polls", {"state": "asking"}),
    ("polls", {"due": True}),
    ("polls", {"due": False}),
    ("polls", {"failing": True, "state": "over"}),
    ("polls", {"failing": False}),
]

WHEN = {"will-be-late": instant("12 00:00")}
"""As of when they are asked, where nothing is left at `NOW`."""


def expected(store: Reader, queue: str, now: datetime, account: str, given: Mapping[str, Any]) -> list[Any]:
    """The rows that are meant, in order, as JSON has them."""
    given = dict(given)
    sort = given.pop("sort", "-last_attempt_at" if given.get("state") == "closed" else SORTED[queue])
    rows = [row for row in QUEUES[queue](store, now) if row["account"] == account]
    if queue == "ndr" and "state" not in given:
        rows = [row for row in rows if row["state"] != "closed"]
    for name, value in given.items():
        means = MEANT.get(name, lambda row, value, name=name: row[name] == value)
        rows = [row for row in rows if means(row, value)]
    column, keys = sort.removeprefix("-"), KEYS.get(queue, ("shipment_id",))
    rows.sort(key=lambda row: (row[column] or NOW, *(row[key] for key in keys)), reverse=sort.startswith("-"))
    rows.sort(key=lambda row: row[column] is None)
    return [msgspec.json.decode(msgspec.json.encode(row)) for row in rows]


def params(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one.isoformat() if isinstance(one, datetime) else one for name, one in given.items()}


def test_every_queue_holds_what_is_meant_in_order(api: Api) -> None:
    found: dict[str, int] = {}
    for queue, given in ASKED:
        now = WHEN.get(queue, NOW)
        for account, who in (("default", "reader"), ("elsewhere", "stranger")):
            wanted = expected(api.runtime.database, queue, now, account, given)
            pages = api.pages(f"/api/{queue}", who, **params(given), now=now.isoformat(), limit=3)
            assert [row for page in pages for row in page] == wanted, (queue, given, account)
            assert all(len(page) == 3 for page in pages[:-1])
            found[f"{queue} {given}"] = found.get(f"{queue} {given}", 0) + len(wanted)
    # A condition that nothing meets tells nothing, but for the reason that nobody gave.
    assert [asked for asked, rows in found.items() if not rows] == ["ndr {'reason': 'refused'}"]


def test_a_queue_comes_as_a_file_in_the_same_order(api: Api) -> None:
    for queue in QUEUES:
        now = WHEN.get(queue, NOW).isoformat()
        items = api.items(f"/api/{queue}", now=now, limit=1000)
        ndjson = api.get(f"/api/{queue}", accept="application/x-ndjson", now=now)
        lines = [msgspec.json.decode(line) for line in ndjson.text.splitlines()]
        key = KEYS.get(queue, ("shipment_id",))[-1]
        assert [line[key] for line in lines] == [item[key] for item in items]
        assert set(lines[0]) == set(items[0])
        csv = api.get(f"/api/{queue}", accept="text/csv", now=now)
        assert csv.headers["content-disposition"].startswith("attachment; filename=")
        assert set(csv.content.decode("utf-8-sig").splitlines()[0].split(",")) == set(items[0])


def test_time_alone_moves_rows_across_the_line(api: Api) -> None:
    tick = timedelta(microseconds=1)

    def ids(queue: str, now: datetime, **given: Any) -> set[str]:
        return {row["shipment_id"] for row in api.items(f"/api/{queue}", now=now.isoformat(), limit=1000, **given)}

    for queue, column in (("stuck", "stuck_after"), ("late", "promised_by"), ("ndr", "act_by")):
        given: dict[str, Any] = {"overdue": True} if queue == "ndr" else {}
        row = api.items(f"/api/{queue}", now=NOW.isoformat(), limit=1000, **given)[-1]
        line = datetime.fromisoformat(row[column])
        assert row["shipment_id"] not in ids(queue, line - tick, **given)
        assert row["shipment_id"] in ids(queue, line, **given)
    soon = api.items("/api/will-be-late", now=WHEN["will-be-late"].isoformat())[0]
    line = datetime.fromisoformat(soon["promised_by"])
    assert soon["shipment_id"] in ids("will-be-late", line - tick) - ids("late", line - tick)
    assert soon["shipment_id"] in ids("late", line) - ids("will-be-late", line)


def test_a_queue_as_it_was_known(api: Api) -> None:
    known_at = instant("5 12:00")
    with past(api.runtime, known_at=known_at) as then:
        for queue in ("ndr", "stuck", "late", "will-be-late"):
            wanted = expected(then, queue, LATER, "default", {})
            asked_at = {"known_at": known_at.isoformat(), "now": LATER.isoformat()}
            assert api.items(f"/api/{queue}", limit=1000, **asked_at) == wanted
            now = api.items(f"/api/{queue}", limit=1000, now=LATER.isoformat())
            assert queue == "will-be-late" or (wanted and wanted != now)
    assert api.items("/api/unmapped", known_at=known_at.isoformat()) == []


def test_statuses_that_nothing_maps_are_counted_for_one_account(api: Api) -> None:
    told = [
        row
        for row in api.runtime.database.read("SELECT * FROM {s}timeline WHERE milestone = 'unknown'")
        if row["shipment_id"].startswith("default:")
    ]
    counts: dict[tuple[str, str, str], list[Row]] = {}
    for row in told:
        counts.setdefault((row["provider"], row["status_code"] or "", row["status_said"] or ""), []).append(row)
    wanted = sorted(((len(rows), *key) for key, rows in counts.items()), reverse=True)
    found = [row for page in api.pages("/api/unmapped", limit=2) for row in page]
    assert [(row["count"], row["provider"], row["status_code"], row["text"]) for row in found] == wanted
    first = counts[wanted[0][1:]]
    seen = sorted(msgspec.to_builtins(row["recorded_at"]) for row in first)
    assert (found[0]["first_seen"], found[0]["last_seen"]) == (seen[0], seen[-1])
    assert found[0]["example_message_id"] == min(row["message_id"] for row in first)
    of_one = api.items("/api/unmapped", provider="ship24")
    assert of_one == [row for row in found if row["provider"] == "ship24"] != []


def test_statuses_of_many_words_are_paged_through(api: Api) -> None:
    words = ["\U0001f4e6" * 3999 + end for end in "cba"] + ["\x01" * 4000]
    scans = [replace(scan("unknown", f"{n + 1} 10:00", said=said), status_code="") for n, said in enumerate(words)]
    api.runtime.ledger.intake([report(*scans, at="5 12:00", tracker=Tracker("shippit", "S1"))])
    api.runtime.projector.catch_up()
    pages = api.pages("/api/unmapped", provider="shippit", limit=1)
    assert [row["text"] for page in pages for row in page] == words


def test_a_parked_message_is_shown_to_those_who_may_see_it(api: Api) -> None:
    row = api.items("/api/parked")[0]
    path = f"/api/parked/{row['message_id']}/body"
    shown = api.get(path, "operator", accept="*/*")
    assert shown.content == api.runtime.kept.body(row["message_id"])
    assert shown.headers["content-type"] == "application/octet-stream"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "raw" in refused(api.get(path), 403)
    assert "there is no parked message" in refused(api.get(path, "stranger"), 404)
    other = message("clickpost", b"{}", account="default", received_at=NOW)
    api.runtime.inbox.append([other])
    refused(api.get(f"/api/parked/{other.message_id}/body", "operator"), 404)
    refused(api.get("/api/parked/nonsense/body", "operator"), 422, "message_id")


def test_what_is_wrong_is_named(api: Api) -> None:
    for queue, parameter, value in [
        ("ndr", "state", "ajar"),
        ("ndr", "reason", "bored"),
        ("ndr", "party", "me"),
        ("ndr", "overdue", "perhaps"),
        ("ndr", "act_by_from", "2026-11-21"),
        ("ndr", "sort", "stuck_after"),
        ("ndr", "carrier", ""),
        ("ndr", "account", "elsewhere"),
        ("stuck", "kind", "bored"),
        ("stuck", "provider_says_stuck", "2"),
        ("late", "baseline", "guessed"),
        ("late", "promised_before", "tomorrow"),
        ("will-be-late", "sort", "-"),
        ("unmapped", "sort", "count"),
        ("parked", "channel", "pigeon"),
        ("polls", "state", "tired"),
        ("polls", "due", ""),
        ("parked", "known_at", "2025-03-05T00:00:00Z"),
        ("polls", "known_at", "2025-03-05T00:00:00Z"),
        ("stuck", "known_at", "2999-01-01T00:00:00Z"),
    ]:
        refused(api.get(f"/api/{queue}", **{parameter: value}), 422, parameter)
    refused(api.get("/api/ndr", state="closed", sort="act_by"), 422, "sort")
    cursor = api.answer("/api/ndr", limit=1)["next"]
    refused(api.get("/api/ndr", cursor=cursor, overdue="true"), 422, "cursor")
    refused(api.get("/api/stuck", cursor=cursor), 422, "cursor")


def test_the_ends_of_time_are_answered(api: Api) -> None:
    for queue in (*QUEUES, "unmapped"):
        for now in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
            api.items(f"/api/{queue}", now=now)
