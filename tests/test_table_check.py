"""Does the comparison of the tables with a fresh fold find what differs, and nothing else?"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from support.acted import acted_on
from support.parcels import batches, reports
from support.rows import rows
from support.threads import in_thread
from trackledger.adapters.ranges import ranges, streams
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.table_check import NAMED, Difference, check_tables
from trackledger.domain.policies.silence import SilencePolicy
from trackledger.projections import ndr_actions
from trackledger.projections.conclusions import Policies
from trackledger.projections.digest import of_tables
from trackledger.projections.table import Table
from trackledger.projections.tables import TABLES

P0, P1, P2 = (f"default:clickpost:4:P{n}" for n in range(3))
SMALL = 10


def fill(runtime: Runtime, parcels: int, first: int = 0) -> None:
    """Reports about so many parcels, taken in."""
    for batch in batches(reports(parcels, first), parcels, 20):
        runtime.ledger.intake(batch)


def change(runtime: Runtime, sql: str, **params: Any) -> None:
    with runtime.database.transaction() as transaction:
        assert transaction.execute(sql, **params) > 0


def found(runtime: Runtime, **options: Any) -> list[str]:
    """The differences, in words."""
    check = check_tables(runtime, processes=1, batch=SMALL, **options)
    assert check.holds == (not check.differences) and check.differing == len(check.differences)
    return [str(one) for one in check.differences]


def test_tables_that_are_as_they_should_be(runtime: Runtime) -> None:
    fill(runtime, 5)
    runtime.projector.catch_up()

    check = check_tables(runtime, processes=1, batch=SMALL)

    held = sum(map(len, rows(runtime.store).values())) + 5
    assert (check.holds, check.shipments, check.rows, check.differing) == (True, 5, held, 0)
    assert check.digest == of_tables(runtime.database)
    with ThreadPoolExecutor(2) as executor:
        assert check_tables(runtime, executor=executor, batch=SMALL) == check
    assert check_tables(runtime, processes=2, batch=SMALL) == check


def test_an_empty_ledger_holds(runtime: Runtime) -> None:
    check = check_tables(runtime, processes=1)

    assert (check.holds, check.shipments, check.rows) == (True, 0, 0)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_row_of_any_table_that_was_changed_added_or_taken_away_is_named(runtime: Runtime, table: Table[Any]) -> None:
    fill(runtime, 3)
    runtime.projector.catch_up()
    if not rows(runtime.store)[table.name]:  # of parcels that have arrived, none is silent
        runtime.ledger.intake([one for one in reports(1, first=3) if one.received_at < reports(1)[4].received_at])
        runtime.projector.catch_up()
    if table is ndr_actions.TABLE:
        acted_on(runtime)
    (row, *_) = rows(runtime.store)[table.name]
    id_, columns = row["shipment_id"], ", ".join(table.names)
    where = " AND ".join(f"{name} = :{name}" for name in table.key)
    key = {name: row[name] for name in table.key}
    shown = "".join(f", {row[name]}" for name in table.key if name != "shipment_id")
    text = next(c.name for c in table.columns if c.kind.name == "TEXT" and c.name not in table.key)

    change(runtime, f"UPDATE {{s}}{table.name} SET {text} = 'forged' WHERE {where}", **key)
    assert found(runtime) == [f"{table.name} of {id_}{shown}: changed in {text}"]
    change(runtime, f"DELETE FROM {{s}}{table.name} WHERE {where}", **key)
    assert found(runtime) == [f"{table.name} of {id_}{shown}: missing"]
    change(
        runtime,
        f"INSERT INTO {{s}}{table.name} ({columns}) VALUES ({', '.join(f':{name}' for name in table.names)})",
        **(row | {"shipment_id": "nobody"}),
    )
    assert found(runtime) == [
        f"{table.name} of {id_}{shown}: missing",
        f"{table.name} of nobody{shown}: extra",
    ]


def test_every_changed_column_is_named(runtime: Runtime) -> None:
    fill(runtime, 1)
    runtime.projector.catch_up()
    later = "occurred_at = (SELECT MAX(received_at) FROM {s}timeline)"
    sql = f"UPDATE {{s}}timeline SET remark = 'x', withdrawn = TRUE, amended = 9, {later} WHERE checkpoint_id = :id"
    change(runtime, sql, id="clickpost:0.1")

    (difference,) = check_tables(runtime, processes=1).differences

    columns = ("occurred_at", "remark", "amended", "withdrawn")
    assert difference == Difference("timeline", P0, "clickpost:0.1", "changed", columns)


def test_links_are_compared_too(runtime: Runtime) -> None:
    fill(runtime, 2)
    runtime.projector.catch_up()

    change(runtime, "UPDATE {s}tracker_links SET shipment_id = :other WHERE shipment_id = :id", other=P1, id=P0)

    assert found(runtime) == [f"tracker_links of {P0}, {P0}: missing", f"tracker_links of {P1}, {P0}: extra"]


def test_tables_that_are_behind_are_compared_with_what_they_reflect(runtime: Runtime) -> None:
    fill(runtime, 3)
    assert check_tables(runtime, processes=1).holds
    runtime.projector.catch_up()
    fill(runtime, 3, first=2)

    check = check_tables(runtime, processes=1, batch=SMALL)

    assert check.holds and check.rows == sum(map(len, rows(runtime.store).values())) + 5
    change(runtime, "DELETE FROM {s}shipments WHERE shipment_id = :id", id=P2)
    assert found(runtime) == [f"shipments of {P2}: missing"]


def test_those_who_write_meanwhile_make_no_difference(runtime: Runtime) -> None:
    fill(runtime, 3)
    stop = Event()

    def write() -> None:
        first = 3
        while not stop.is_set():
            fill(runtime, 2, first)
            runtime.projector.step()
            first += 2

    with in_thread(write):
        try:
            checks = [check_tables(runtime, processes=1, batch=SMALL) for _ in range(5)]
        finally:
            stop.set()

    assert [check.differences for check in checks] == [()] * 5
    assert checks[-1].shipments > 3


def test_shipments_that_cannot_be_folded_are_told_apart(runtime: Runtime) -> None:
    fill(runtime, 3)
    runtime.projector.catch_up()
    sql = "UPDATE {s}stored_events SET state = :state WHERE originator_id = :id AND originator_version = 2"
    change(runtime, sql, state=b"{", id=P1)
    unnoted = check_tables(runtime, processes=1)
    runtime.ledger.note(P1, "a note", "somebody")
    fill(runtime, 3, first=1)
    position = runtime.database.tuples("SELECT MAX(notification_id) FROM {s}stored_events")[0][0]
    change(
        runtime,
        "INSERT INTO {s}poisoned (shipment_id, position, reason) VALUES (:id, :n, 'broken')",
        id=P1,
        n=position,
    )
    noted = check_tables(runtime, processes=1)

    assert (unnoted.holds, unnoted.unnoted, unnoted.poisoned) == (False, 1, 0)
    assert unnoted.unfoldable[0].shipment_id == P1 and "cannot be read" in unnoted.unfoldable[0].reason
    assert (noted.holds, noted.unnoted, noted.poisoned) == (True, 0, 1)
    assert (noted.unfoldable[0].reason, noted.unfoldable[0].noted) == ("broken", True)


def test_other_policies_make_a_difference(database_url: str) -> None:
    with open_runtime(Settings(database_url)) as runtime:
        fill(runtime, 1)
        told = reports(1, first=7)
        runtime.ledger.intake(told[:1])
        runtime.projector.catch_up()
    policies = Policies(silence=SilencePolicy(version="other"))

    with open_runtime(Settings(database_url, policies=policies)) as runtime:
        assert found(runtime) == ["silence of default:clickpost:4:P7: changed in policy_version"]


def test_only_the_first_differences_are_named_and_all_are_counted(runtime: Runtime) -> None:
    fill(runtime, 20)
    runtime.projector.catch_up()
    change(runtime, "UPDATE {s}timeline SET remark = 'forged'")

    check = check_tables(runtime, processes=1, batch=SMALL)

    assert (check.differing, len(check.differences)) == (140, NAMED)
    assert [one.shipment_id for one in check.differences] == sorted(one.shipment_id for one in check.differences)


def test_ranges_are_all_shipments_in_order_and_no_larger_than_wanted(runtime: Runtime) -> None:
    fill(runtime, 20)
    every = [row["shipment_id"] for row in runtime.store.read("SELECT shipment_id FROM {s}tracker_links ORDER BY 1")]

    for size in (1, 7, 8, 9, 50, 10_000):
        parts = list(ranges(runtime.database, size))
        held = [list(streams(runtime.database, one, 2**62)) for one in parts]
        assert [id_ for part in held for id_, _ in part] == every
        assert all(len(part) == 1 or sum(len(s) for _, s in part) < size + 8 for part in held)
    upto = 40
    kept = [s for one in ranges(runtime.database, 9) for _, s in streams(runtime.database, one, upto)]
    assert sorted(event.id for stream in kept for event in stream) == list(range(1, upto + 1))


def test_progress_is_told(runtime: Runtime, tmp_path: Path) -> None:
    fill(runtime, 5)
    runtime.projector.catch_up()
    told: list[tuple[int, int]] = []

    check_tables(runtime, processes=1, batch=SMALL, progress=lambda done, total: told.append((done, total)))

    head = runtime.store.head()
    assert told[-1] == (head, head) and len(told) > 2 and told == sorted(told)
