"""Are rebuilt tables the right ones, does nobody see half of one, and who may rebuild after whom?"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Any

import psycopg
import pytest

from support.acted import acted_on
from support.parcels import JOURNEY, batches, parcel, parcel_id, reports, webhooks
from support.rebuilding import after, leased_until, presume_dead, rebuild_and_hang, rebuild_or_tell, small
from support.reports import report
from support.rows import Rows, fresh, rows
from support.scans import scan
from support.threads import in_thread, until
from support.workers import Processes, killed, pump_for_ever, read_until, take_in
from trackledger.adapters.ranges import Range
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.builds import builds, drop_new, drop_old
from trackledger.adapters.storage.rebuilds import Rebuilds
from trackledger.domain.errors import Contended, NothingThere, Refused, UsageError
from trackledger.domain.policies.silence import SilencePolicy
from trackledger.projections.conclusions import Policies
from trackledger.projections.parity import Example, Parity
from trackledger.projections.rebuild import NEXT, OLD, Batch, rebuild
from trackledger.projections.table import Table
from trackledger.projections.tables import POSITION, TABLES, VIEWS, lag

TABLE_NAMES = [table.name for table in TABLES]
OTHERS = Policies(silence=SilencePolicy("other"))


def fill(runtime: Runtime, parcels: int) -> None:
    """Take in reports about so many parcels, and fold them."""
    for batch in batches(reports(parcels), parcels, 20):
        runtime.ledger.intake(batch)
    runtime.projector.catch_up()


def now() -> datetime:
    return datetime.now(UTC)


def stop(*_: object) -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt


def interrupted(rebuilds: Rebuilds, step: str, times: int = 1, **options: Any) -> None:
    """A rebuild that was stopped after a step was taken so many times."""
    with pytest.raises(KeyboardInterrupt):
        rebuild(after(rebuilds, step, times, stop), **options)


def names(runtime: Runtime) -> set[str]:
    """The tables that stand beside those that are read."""
    listed = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if runtime.database.dialect == "sqlite"
        else "SELECT tablename AS name FROM pg_tables WHERE schemaname = '" + runtime.database.schema.strip('".') + "'"
    )
    return {row["name"] for row in runtime.store.read(listed) if row["name"].endswith((NEXT, OLD))}


def old_rows(runtime: Runtime, name: str) -> list[dict[str, Any]]:
    (table,) = [table for table in TABLES if table.name == name]
    return runtime.store.read(f"SELECT * FROM {{s}}{name}{OLD} ORDER BY {', '.join(table.key)}")


def assert_nothing_is_left(runtime: Runtime) -> None:
    assert not {name for name in names(runtime) if name.endswith(NEXT)}
    assert [row[0] for row in runtime.database.tuples("SELECT name FROM {s}positions")] == [POSITION]
    assert leased_until(runtime) is None


def test_a_rebuild_gives_the_same_rows(runtime: Runtime) -> None:
    fill(runtime, 8)
    runtime.projector.catch_up()
    before = rows(runtime.store)

    report = rebuild(runtime.rebuilds)

    assert all(parity.holds for parity in report)
    assert {parity.table: parity.rows for parity in report} == {name: len(some) for name, some in before.items()}
    assert rows(runtime.store) == before == fresh(runtime)


def test_a_rebuild_of_tables_that_lag_behind_brings_them_up_to_the_ledger(runtime: Runtime) -> None:
    fill(runtime, 3)
    assert all(parity.holds for parity in rebuild(runtime.rebuilds))
    assert lag(runtime.store) == 0
    assert rows(runtime.store) == fresh(runtime)


def damage(runtime: Runtime) -> None:
    """Change something in every table by hand."""
    acted_on(runtime)
    with runtime.database.transaction() as transaction:
        for statement in (
            "UPDATE {s}shipments SET location = 'Atlantis' WHERE shipment_id = :id",
            "DELETE FROM {s}timeline WHERE shipment_id = :id",
            "UPDATE {s}ndr_cases SET attempts = 99 WHERE shipment_id = :id",
            """INSERT INTO {s}silence SELECT 'ghost', account, 'stalled', since, since, NULL, '1' FROM {s}shipments
               WHERE shipment_id = :id""",
            "UPDATE {s}delivery_dates SET revisions = 99 WHERE shipment_id = :id",
            "DELETE FROM {s}estimates WHERE shipment_id <> :id",
            "UPDATE {s}estimates SET source = 'sla' WHERE shipment_id = :id",
            "UPDATE {s}ndr_actions SET answer = 'no' WHERE shipment_id <> :id",
            "UPDATE {s}journeys SET outcome = 'lost' WHERE shipment_id = :id",
        ):
            assert transaction.execute(statement, id=parcel_id(1)) >= 1


def test_an_unknown_table_is_refused_with_the_names_of_those_there_are(runtime: Runtime) -> None:
    with pytest.raises(UsageError, match="no table 'parcels'; use one of: shipments, timeline, ndr_cases"):
        rebuild(runtime.rebuilds, "parcels")


def test_a_rebuild_waits_for_a_reader_that_holds_tables_and_does_not_hold_it_up(
    postgres_url: str, postgres_server: str
) -> None:
    with open_runtime(Settings(postgres_url)) as runtime, psycopg.connect(postgres_server) as reader:
        runtime.ledger.intake(webhooks(3))
        runtime.projector.catch_up()
        schema = runtime.database.schema.encode()
        reader.execute(b"SELECT COUNT(*) FROM " + schema + b"silence")
        with in_thread(lambda: rebuild(runtime.rebuilds)):
            time.sleep(0.6)
            for name in (b"delivery_dates", b"shipments", b"stuck_shipments", b"timeline"):
                reader.execute(b"SELECT COUNT(*) FROM " + schema + name)
                time.sleep(0.2)
            reader.rollback()
        assert rows(runtime.store) == fresh(runtime)


def test_the_views_answer_before_and_after_a_rebuild(runtime: Runtime) -> None:
    runtime.ledger.intake(
        [
            report(scan("delivery_failed", "3 10:00", reason="refused"), at="3 12:00", tracker=parcel(1)),
            report(scan("unknown", "3 10:00", said="Zwischenlager"), at="3 12:00", tracker=parcel(2)),
        ]
    )
    runtime.projector.catch_up()
    before = {view.name: runtime.store.read(f"SELECT * FROM {{s}}{view.name}") for view in VIEWS}
    assert [row["shipment_id"] for row in before["ndr_open"]] == [parcel_id(1)]
    assert {row["shipment_id"] for row in before["stuck_shipments"]} == {parcel_id(1), parcel_id(2)}
    assert [(row["text"], row["count"]) for row in before["unmapped"]] == [("Zwischenlager", 1)]

    rebuild(runtime.rebuilds)

    assert {view.name: runtime.store.read(f"SELECT * FROM {{s}}{view.name}") for view in VIEWS} == before


@pytest.mark.parametrize("name", TABLE_NAMES)
def test_one_table_can_be_rebuilt(runtime: Runtime, name: str) -> None:
    runtime.ledger.intake([report(scan("in_transit", "3 10:00"), at="3 12:00")])
    fill(runtime, 3)
    damage(runtime)

    (parity,) = rebuild(runtime.rebuilds, name)

    assert (parity.table, parity.holds) == (name, False)
    assert rows(runtime.store)[name] == fresh(runtime)[name] != []
    assert [n for n in TABLE_NAMES if rows(runtime.store)[n] != fresh(runtime)[n]] == [
        n for n in TABLE_NAMES if n != name
    ]
    assert names(runtime) == {name + OLD}


def test_an_empty_ledger_gives_empty_tables(runtime: Runtime) -> None:
    assert rebuild(runtime.rebuilds) == [Parity(name) for name in TABLE_NAMES]
    fill(runtime, 1)
    assert rows(runtime.store) == fresh(runtime)


def test_it_tells_how_far_it_is(runtime: Runtime) -> None:
    fill(runtime, 4)
    told: list[tuple[int, int]] = []
    rebuild(small(runtime), progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 4
    assert {total for _, total in told} == {told[-1][0]} == {2 * runtime.store.head()}


# What differs


def test_what_was_changed_by_hand_is_named_with_rows_columns_and_values_and_is_mended(runtime: Runtime) -> None:
    runtime.ledger.intake([report(scan("in_transit", "3 10:00"), at="3 12:00")])
    fill(runtime, 3)
    acted_on(runtime)
    total = {name: len(some) for name, some in rows(runtime.store).items()}
    damage(runtime)

    found = {parity.table: parity for parity in rebuild(small(runtime))}

    one = parcel_id(1)
    changed = Example(one, "", "changed", {"location": ("Atlantis", None)})
    assert found["shipments"] == Parity("shipments", 5, changed=1, columns={"location": 1}, examples=(changed,))
    assert {(e.shipment_id, e.kind) for e in found["timeline"].examples} == {(one, "only_new")}
    assert found["timeline"].only_new == len(JOURNEY) and len(found["timeline"].examples) == 1
    assert found["ndr_cases"].examples == (Example(one, "1", "changed", {"attempts": (99, 1)}),)
    assert (found["silence"].only_old, found["silence"].examples) == (1, (Example("ghost", "", "only_old"),))
    assert found["delivery_dates"].columns == {"revisions": 1}
    estimates = found["estimates"]
    assert (estimates.only_new, estimates.changed, estimates.only_old) == (6, 3, 0)
    assert estimates.columns == {"source": 3}
    assert estimates.rows == 9
    assert all(parity.rows == total[name] for name, parity in found.items())
    assert rows(runtime.store) == fresh(runtime)
    assert all(parity.holds for parity in rebuild(runtime.rebuilds))


def test_other_policies_make_other_rows_and_the_old_ones_are_kept(runtime: Runtime) -> None:
    runtime.ledger.intake([report(scan("in_transit", "3 10:00"), at="3 12:00")])
    runtime.projector.catch_up()
    before = rows(runtime.store)

    found = {parity.table: parity for parity in rebuild(runtime.rebuilds, policies=OTHERS)}

    assert [name for name, parity in found.items() if not parity.holds] == ["silence"]
    assert found["silence"].columns == {"policy_version": 1}
    assert found["silence"].examples[0].columns == {"policy_version": ("1", "other")}
    assert old_rows(runtime, "silence") == before["silence"] != rows(runtime.store)["silence"]


def test_what_is_heard_during_the_comparison_makes_no_difference(runtime: Runtime) -> None:
    fill(runtime, 4)
    rebuilds = small(runtime)
    compare, heard = rebuilds.compare, [0]

    def hear_more(marker: str, tables: Sequence[Table[Any]], within: Range) -> list[Parity]:
        heard[0] += 1
        late = scan("exception", f"20 10:{heard[0]:02}")
        # Of a shipment that is just compared, and of one that is compared already or still to be.
        runtime.ledger.intake([report(late, at="20 12:00", tracker=parcel(n)) for n in (heard[0] % 4, 0)])
        runtime.projector.catch_up()
        return compare(marker, tables, within)

    rebuilds.compare = hear_more  # type: ignore[method-assign]
    found = rebuild(rebuilds)

    assert heard[0] >= 1
    assert all(parity.holds for parity in found)
    assert sum(parity.left_out for parity in found) > 0
    assert rows(runtime.store) == fresh(runtime)


# Old tables


def test_old_tables_are_kept_as_they_were_until_they_are_replaced_or_dropped(runtime: Runtime) -> None:
    fill(runtime, 2)
    first = rows(runtime.store)
    position = runtime.store.head()
    rebuild(runtime.rebuilds, policies=OTHERS)
    assert {name: old_rows(runtime, name) for name in TABLE_NAMES} == first

    kept = builds(runtime.database, now()).old
    assert [(one.table, one.rows, one.position, one.policies) for one in kept] == [
        (name + OLD, len(first[name]), position, "") for name in sorted(TABLE_NAMES)
    ]
    assert all(one.bytes is None or one.bytes > 0 for one in kept)

    runtime.ledger.intake(webhooks(1, first=9))
    runtime.projector.catch_up()
    second = rows(runtime.store)
    rebuild(runtime.rebuilds)
    assert {name: old_rows(runtime, name) for name in TABLE_NAMES} == second != first
    assert {(one.policies, one.position) for one in builds(runtime.database, now()).old} == {
        ("other", runtime.store.head())
    }

    assert drop_old(runtime.database, "timeline") == [f"timeline{OLD}"]
    assert drop_old(runtime.database) == sorted(name + OLD for name in TABLE_NAMES if name != "timeline")
    assert names(runtime) == set()
    assert builds(runtime.database, now()).old == []
    assert rows(runtime.store) == fresh(runtime)
    with pytest.raises(NothingThere, match="there are no old tables"):
        drop_old(runtime.database)
    with pytest.raises(NothingThere, match="there is no old table timeline__old"):
        drop_old(runtime.database, "timeline")


def test_a_table_that_was_made_by_the_pump_names_the_policies_of_its_rows(runtime: Runtime) -> None:
    runtime.ledger.intake([report(scan("in_transit", "3 10:00"), at="3 12:00")])
    runtime.projector.catch_up()
    rebuild(runtime.rebuilds, "shipments")
    assert [(one.table, one.policies) for one in builds(runtime.database, now()).old] == [(f"shipments{OLD}", "1")]


def test_without_the_switch_the_new_tables_wait_for_the_next_rebuild_or_are_dropped(runtime: Runtime) -> None:
    fill(runtime, 3)
    damage(runtime)
    before = rows(runtime.store)

    found = rebuild(runtime.rebuilds, switch=False)

    assert not all(parity.holds for parity in found)
    assert rows(runtime.store) == before
    one = builds(runtime.database, now()).under_way
    assert one is not None
    assert (one.state, one.tables, one.events, one.upto) == ("built", TABLE_NAMES, one.upto, runtime.store.head())

    runtime.ledger.intake(webhooks(2, first=10))
    notes: list[str] = []
    again = rebuild(runtime.rebuilds, note=notes.append)
    assert [note.startswith("going on with the rebuild that began ") for note in notes] == [True]
    assert "ended after its tables were filled" in notes[0]
    assert {p.table: p.columns for p in again} == {p.table: p.columns for p in found}
    assert rows(runtime.store) == fresh(runtime)
    assert_nothing_is_left(runtime)

    rebuild(runtime.rebuilds, "silence", switch=False)
    assert drop_new(runtime.database, now()) == [f"silence{NEXT}"]
    assert_nothing_is_left(runtime)
    with pytest.raises(NothingThere, match="no rebuild was interrupted"):
        drop_new(runtime.database, now())


# Interrupted and gone on with

STEPS = [
    ("begin", 1),
    ("fill", 3),
    ("_create", 1),
    ("finish", 1),
    ("advance", 1),
    ("compare", 1),
    ("make_room", 1),
    ("_rename", 1),
    ("switch", 1),
]
"""After what it is killed, and after how many times of that. Those with a line before them are within a transaction."""


@pytest.mark.parametrize(("step", "times"), STEPS)
def test_killed_at_any_point_it_leaves_the_tables_whole_and_the_next_one_goes_on(
    runtime: Runtime, database_url: str, tmp_path: Path, step: str, times: int
) -> None:
    fill(runtime, 6)
    rebuild(runtime.rebuilds)
    damage(runtime)
    before = rows(runtime.store)
    flag = tmp_path / "flag"

    killed(rebuild_and_hang, database_url, step, times, str(flag), when=flag.exists)

    if step == "switch":
        assert rows(runtime.store) == fresh(runtime)
        assert_nothing_is_left(runtime)
        return
    stays_old = {name: [row for row in some if not is_late(row)] for name, some in rows(runtime.store).items()}
    assert stays_old == before
    notes: list[str] = []
    if step == "_create":
        assert leased_until(runtime) is None
    else:
        with pytest.raises(Contended, match=r"another rebuild is under way, by process \d+ on .*, last sign of life"):
            rebuild(runtime.rebuilds)
        presume_dead(runtime)

    found = rebuild(small(runtime), note=notes.append)

    assert sum(note.startswith("going on with") for note in notes) == (step != "_create")
    assert sum(note.startswith("the old tables that are kept will be replaced: ") for note in notes) == (
        step not in ("make_room", "_rename")
    )
    assert [parity.table for parity in found if not parity.holds] == TABLE_NAMES
    assert rows(runtime.store) == fresh(runtime)
    assert_nothing_is_left(runtime)
    assert names(runtime) == {name + OLD for name in TABLE_NAMES}


def is_late(row: dict[str, Any]) -> bool:
    """Whether a row is of what the killed process took in itself."""
    return row["shipment_id"] in (parcel_id(100), parcel_id(101))


def test_what_was_folded_is_not_folded_again(runtime: Runtime) -> None:
    fill(runtime, 8)
    interrupted(small(runtime), "fill", 3)
    one = builds(runtime.database, now()).under_way
    assert one is not None and one.state == "interrupted"
    assert 0 < one.events < one.upto == runtime.store.head()

    rebuilds, folded = small(runtime), list[int]()
    fill_in = rebuilds.fill

    def counted(marker: str, batch: Batch, lease: float) -> None:
        folded.append(batch.events)
        fill_in(marker, batch, lease)

    rebuilds.fill = counted  # type: ignore[method-assign]
    rebuild(rebuilds)

    assert sum(folded) == one.upto - one.events
    assert rows(runtime.store) == fresh(runtime)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"policies": OTHERS}, "was by other policies (version 1, now other)"),
        (
            {"name": "timeline"},
            "was of other tables (shipments, timeline, ndr_cases, ndr_actions, silence, delivery_dates, estimates, "
            "journeys)",
        ),
    ],
    ids=["policies", "tables"],
)
def test_with_other_policies_or_tables_it_begins_anew_and_says_so(
    runtime: Runtime, options: dict[str, Any], why: str
) -> None:
    fill(runtime, 4)
    interrupted(small(runtime), "fill", 2)
    notes: list[str] = []

    rebuild(small(runtime), note=notes.append, **options)

    assert len(notes) == 1 and notes[0].startswith("beginning anew, as the rebuild that was interrupted ")
    assert notes[0].endswith(why)
    assert_nothing_is_left(runtime)
    assert rows(runtime.store)["timeline"] == fresh(runtime)["timeline"]


def test_numbers_of_policies_that_have_no_version_of_their_own_count_too(runtime: Runtime) -> None:
    from datetime import timedelta

    from trackledger.domain.policies.attempts import AttemptPolicy

    fill(runtime, 3)
    interrupted(small(runtime), "fill", 2)
    notes: list[str] = []
    rebuild(small(runtime), policies=Policies(AttemptPolicy(timedelta(hours=1))), note=notes.append)
    assert notes[0].endswith("was by other policies or another version of trackledger")


def test_one_that_fails_lets_the_next_go_on_at_once(runtime: Runtime) -> None:
    fill(runtime, 3)
    with runtime.database.transaction() as transaction:
        transaction.execute("ALTER TABLE {s}timeline RENAME TO gone")
    with pytest.raises(Exception, match="timeline"):
        rebuild(runtime.rebuilds)
    with runtime.database.transaction() as transaction:
        transaction.execute("ALTER TABLE {s}gone RENAME TO timeline")
    notes: list[str] = []
    rebuild(runtime.rebuilds, note=notes.append)
    assert notes[0].endswith("ended after its tables were filled")
    assert rows(runtime.store) == fresh(runtime)


# One at a time


def test_while_one_is_alive_another_is_refused(runtime: Runtime, open_ledger: Callable[[], Runtime]) -> None:
    fill(runtime, 3)
    other = open_ledger()
    refused: list[str] = []

    def try_another() -> None:
        for attempt in (
            lambda: rebuild(other.rebuilds),
            lambda: rebuild(other.rebuilds, "silence"),
            lambda: drop_new(other.database, now()),
        ):
            with pytest.raises(Contended, match="another rebuild is under way") as error:
                attempt()
            refused.append(str(error.value))

    rebuilds = small(runtime)
    for step in ("begin", "fill", "finish", "compare", "make_room"):
        after(rebuilds, step, 1, try_another)
    rebuild(rebuilds)

    assert len(refused) == 15
    assert rows(runtime.store) == fresh(runtime)
    assert_nothing_is_left(runtime)


def test_a_long_statement_is_no_lack_of_life(runtime: Runtime, open_ledger: Callable[[], Runtime]) -> None:
    fill(runtime, 2)
    other, lease = open_ledger(), 0.4

    def take_long() -> None:
        for _ in range(6):
            time.sleep(lease / 2)
            with pytest.raises(Contended, match="another rebuild is under way"):
                rebuild(other.rebuilds, lease=lease)

    rebuild(after(runtime.rebuilds, "finish", 1, take_long), lease=lease)
    assert rows(runtime.store) == fresh(runtime)


def test_a_dead_one_is_taken_over_after_its_lease(runtime: Runtime) -> None:
    fill(runtime, 2)
    begun = runtime.rebuilds.begin(list(TABLES), Policies(), 0.3)  # and nothing is heard of it any more
    with pytest.raises(Contended, match="another rebuild is under way"):
        rebuild(runtime.rebuilds)
    until(lambda: (leased_until(runtime) or now()) <= now())
    rebuild(runtime.rebuilds)
    with pytest.raises(Contended, match="has taken over"):
        runtime.rebuilds.renew(begun.marker, 60)


@pytest.mark.parametrize("step", ["begin", "fill", "finish", "advance", "compare", "make_room"])
def test_one_that_was_thought_dead_and_is_not_does_no_harm(
    runtime: Runtime, open_ledger: Callable[[], Runtime], step: str
) -> None:
    fill(runtime, 4)
    damage(runtime)
    other = open_ledger()
    expected: list[Rows] = []

    def overtake() -> None:
        runtime.ledger.intake(webhooks(1, first=20))
        presume_dead(runtime)
        interrupted(small(other), "compare")
        expected.append(rows(runtime.store))

    rebuilds = small(runtime)
    if step == "advance":
        after(rebuilds, "begin", 1, lambda: runtime.ledger.intake(webhooks(1, first=30)))
    with pytest.raises(Contended, match="another process has taken over this rebuild"):
        rebuild(after(rebuilds, step, 1, overtake))
    assert [rows(runtime.store)] == expected
    assert rebuild(other.rebuilds)
    assert rows(runtime.store) == fresh(runtime)


def test_of_many_that_begin_at_once_one_rebuilds(runtime: Runtime, database_url: str, others: Processes) -> None:
    fill(runtime, 3)
    outcomes = others.together(rebuild_or_tell, [(database_url,)] * others.count)
    assert outcomes.count("rebuilt") >= 1
    assert {what.partition(",")[0] for what in outcomes} <= {"rebuilt", "another rebuild is under way"}
    assert rows(runtime.store) == fresh(runtime)
    assert_nothing_is_left(runtime)


# While others read and write


def test_readers_see_whole_tables_while_others_append_and_pump_during_rebuilds(
    runtime: Runtime, database_url: str, others: Processes, tmp_path: Path
) -> None:
    runtime.ledger.intake(webhooks(10))
    runtime.projector.catch_up()
    stop = tmp_path / "stop"
    reading = [others.start(read_until, database_url, str(stop)) for _ in range(3)]
    following = others.start(pump_for_ever, database_url, 100, str(stop))
    writing = [others.start(take_in, database_url, batches(webhooks(25, first=n), n, 2)) for n in range(10, 60, 25)]
    times = 0
    try:
        while times < 3 or not all(writer.done() for writer in writing):
            assert all(parity.holds for parity in rebuild(small(runtime), None if times % 2 else "timeline"))
            times += 1
    finally:
        stop.touch()
    for writer in writing:
        writer.result()
    following.result()

    assert all(one.result() >= 2 for one in reading)
    assert all(parity.holds for parity in rebuild(runtime.rebuilds))
    assert rows(runtime.store) == fresh(runtime)
    assert len(rows(runtime.store)["shipments"]) == 60


def test_a_snapshot_from_before_the_switch_sees_whole_tables_after_it(
    runtime: Runtime, open_ledger: Callable[[], Runtime]
) -> None:
    fill(runtime, 3)
    counted = [{"n": len(rows(runtime.store)["timeline"])}]
    other = open_ledger()
    done = Event()

    def run() -> None:
        rebuild(runtime.rebuilds)
        done.set()

    with in_thread(run), other.database.snapshot() as snapshot:
        assert snapshot.read("SELECT COUNT(*) AS n FROM {s}positions") != []
        # On SQLite it is over by then; on PostgreSQL it waits, as the snapshot would see the new tables empty.
        done.wait(1.0)
        assert snapshot.read("SELECT COUNT(*) AS n FROM {s}timeline") == counted
    assert done.is_set()
    assert rows(runtime.store) == fresh(runtime)


def sql(connection: "psycopg.Connection[Any]", statement: str) -> None:
    connection.execute(statement.encode())


def test_an_old_table_that_is_being_read_is_not_dropped_under_its_reader(
    postgres_url: str, postgres_server: str
) -> None:
    with open_runtime(Settings(postgres_url)) as runtime, psycopg.connect(postgres_server) as reader:
        fill(runtime, 2)
        rebuild(runtime.rebuilds)
        sql(reader, f"SELECT COUNT(*) FROM {runtime.database.schema}timeline__old")
        with pytest.raises(Contended, match="timeline__old is being read, so it cannot be dropped"):
            drop_old(runtime.database, "timeline")
        reader.rollback()
        assert drop_old(runtime.database, "timeline") == ["timeline__old"]


def test_privileges_and_owner_outlive_the_switch(postgres_url: str, postgres_server: str) -> None:
    with open_runtime(Settings(postgres_url)) as runtime, psycopg.connect(postgres_server, autocommit=True) as admin:
        fill(runtime, 2)
        s, number = runtime.database.schema, token_hex(4)
        analyst, owner = f"analyst_{number}", f"owner_{number}"
        read = [*TABLE_NAMES, *(view.name for view in VIEWS)]
        try:
            for statement in (
                f"CREATE ROLE {analyst}",
                f"CREATE ROLE {owner}",
                f"GRANT USAGE ON SCHEMA {s[:-1]} TO {analyst}",
                f"GRANT USAGE, CREATE ON SCHEMA {s[:-1]} TO {owner}",
                *(f"ALTER TABLE {s}{name} OWNER TO {owner}" for name in read),
                f"GRANT SELECT ON {s}timeline, {s}stuck_shipments TO {analyst}",
                f"GRANT SELECT ON {s}ndr_cases TO PUBLIC",
            ):
                sql(admin, statement)

            # By somebody else than the owner, who may do everything.
            for _ in range(2):
                rebuild(runtime.rebuilds)

            sql(admin, f"SET ROLE {analyst}")
            for name in ("timeline", "stuck_shipments", "ndr_cases"):
                sql(admin, f"SELECT COUNT(*) FROM {s}{name}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                sql(admin, f"SELECT COUNT(*) FROM {s}shipments")
            sql(admin, f"SET ROLE {owner}")
            for name in read:
                sql(admin, f"GRANT SELECT ON {s}{name} TO {analyst}")
        finally:
            sql(admin, "RESET ROLE")
            for role in (analyst, owner):
                for statement in ("REASSIGN OWNED BY {} TO CURRENT_USER", "DROP OWNED BY {}", "DROP ROLE {}"):
                    sql(admin, statement.format(role))


def test_a_view_that_somebody_made_would_go_on_reading_old_rows_and_is_named(
    postgres_url: str, postgres_server: str
) -> None:
    with open_runtime(Settings(postgres_url)) as runtime, psycopg.connect(postgres_server, autocommit=True) as other:
        fill(runtime, 2)
        s = runtime.database.schema
        sql(other, f"CREATE VIEW {s}mine AS SELECT shipment_id FROM {s}stuck_shipments")
        with pytest.raises(Refused, match=r"would go on reading the old ones: test_\w+\.mine; drop it, rebuild"):
            rebuild(runtime.rebuilds)
        assert_nothing_is_left(runtime)
        sql(other, f"DROP VIEW {s}mine")
        sql(other, f"CREATE VIEW {s}mine AS SELECT shipment_id FROM {s}timeline")
        with pytest.raises(Refused, match=r"\.mine; drop it"):
            rebuild(runtime.rebuilds, "timeline")
        rebuild(runtime.rebuilds, "silence")


def test_a_view_that_somebody_made_on_sqlite_reads_the_new_rows(tmp_path: Path) -> None:
    with open_runtime(Settings(f"sqlite:///{tmp_path / 'ledger.db'}")) as runtime:
        fill(runtime, 2)
        with runtime.database.transaction() as transaction:
            transaction.execute("CREATE VIEW mine AS SELECT COUNT(*) AS n FROM timeline")
        for parcels in (3, 4):
            rebuild(runtime.rebuilds)
            drop_old(runtime.database)
            fill(runtime, parcels)
            assert runtime.store.read("SELECT n FROM mine") == [{"n": len(rows(runtime.store)["timeline"])}]


def test_a_large_old_table_is_dropped_bit_by_bit(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trackledger.adapters.storage.builds.ROWS_AT_ONCE", 5)
    fill(runtime, 3)
    rebuild(runtime.rebuilds)
    assert len(drop_old(runtime.database)) == len(TABLES)
    assert names(runtime) == set()
