"""Do both databases keep what they acknowledge, once, in order, whoever else is at work and whatever breaks?"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, PersistenceError, StoredEvent
from msgspec import Struct
from msgspec.structs import replace

from support.arrivals import poll, states
from support.parcels import batches, journey, parcel, reports, webhooks
from support.postgres import server
from support.reports import report
from support.rows import ARRIVAL, fresh, rows
from support.scans import instant, scan
from support.threads import in_thread, until
from support.workers import Processes, create, hold, in_a_doomed_transaction, keep, killed, take_in
from trackledger.adapters.inbox import Inbox, message
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage import open_database
from trackledger.adapters.storage.database import Database, Transaction
from trackledger.adapters.storage.recorder import Recorder
from trackledger.adapters.storage.schema import VaultRow
from trackledger.domain.batch import Receipt
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.domain.errors import Refused, UsageError
from trackledger.domain.events import ReportRecorded
from trackledger.domain.ledger import Ledger
from trackledger.domain.links import Link
from trackledger.domain.mapper import decode
from trackledger.projections.projector import IDLE
from trackledger.projections.table import Index, Table
from trackledger.projections.tables import TABLES, VIEWS

OUT = scan("out_for_delivery", "3 10:29", id="clickpost:1")


def event(shipment: str, version: int) -> StoredEvent:
    return StoredEvent(shipment, version, "test.Happened", b"{}")


def ids(database: Database) -> list[int]:
    return [row[0] for row in database.tuples("SELECT notification_id FROM {s}stored_events ORDER BY 1")]


def recorded(runtime: Runtime) -> list[tuple[str, str]]:
    """Every checkpoint that any event records, by shipment, in key order."""
    events = map(decode, runtime.store.notifications(0, 1_000_000))
    return sorted(
        (placed.originator_id, checkpoint.key)
        for placed in events
        if isinstance(placed.event, ReportRecorded)
        for checkpoint in placed.event.recorded
    )


def gapless(runtime: Runtime) -> bool:
    """Whether positions run from 1 and the versions of each shipment from 1."""
    events = runtime.store.notifications(0, 1_000_000)
    versions: dict[str, int] = {}
    for stored in events:
        id_ = str(stored.originator_id)
        versions[id_] = versions.get(id_, 0) + 1
        if stored.originator_version != versions[id_]:
            return False
    return [stored.id for stored in events] == list(range(1, len(events) + 1))


# Writers at once


def test_two_processes_that_take_in_the_same_reports_store_each_statement_once(
    runtime: Runtime, database_url: str, others: Processes, tmp_path: Path
) -> None:
    told = reports(6)

    receipts = others.together(take_in, [(database_url, batches(told, 7)), (database_url, batches(told, 7, 5))])

    with open_runtime(Settings(f"sqlite:///{tmp_path / 'alone.db'}")) as alone:
        alone.ledger.intake(told)
        alone.projector.catch_up()
        expected, once = rows(alone.store, without=ARRIVAL), recorded(alone)
    assert recorded(runtime) == sorted(set(recorded(runtime))) == once
    assert sum(r for process in receipts for r, _, _ in process) == len(once)
    assert sum(events for process in receipts for _, _, events in process) == runtime.store.head()
    assert gapless(runtime)
    runtime.projector.catch_up()
    assert rows(runtime.store, without=ARRIVAL) == expected


def test_two_processes_that_open_the_same_shipments_in_opposite_orders_open_each_once(
    runtime: Runtime, database_url: str, others: Processes
) -> None:
    told = [report(OUT, at="3 12:00", tracker=parcel(number)) for number in range(200)]
    ways = [told[n : n + 20] for n in range(0, 200, 20)]

    others.together(take_in, [(database_url, ways), (database_url, [batch[::-1] for batch in reversed(ways)])])

    assert runtime.store.head() == 400
    assert gapless(runtime)


def test_threads_of_one_process_store_each_statement_once(runtime: Runtime) -> None:
    told = reports(4)

    def take(seed: int) -> Callable[[], None]:
        def intake() -> None:
            for batch in batches(told, seed):
                runtime.ledger.intake(batch)

        return intake

    with in_thread(take(1)), in_thread(take(2)), in_thread(take(3)):
        pass

    assert len(recorded(runtime)) == len(set(recorded(runtime))) == sum(len(journey(n)) for n in range(4))
    assert gapless(runtime)


def test_a_reader_that_follows_four_writing_processes_sees_every_position_once_in_order(
    runtime: Runtime, database_url: str, others: Processes
) -> None:
    work = [(database_url, batches(webhooks(8, first=n), n, 3)) for n in range(0, 32, 8)]
    expected = 4 * 8 * (1 + len(journey(0)))
    subscribed: list[int] = []

    def subscribe() -> None:
        with runtime.ledger.recorder.subscribe(0) as subscription:
            for notification in subscription:
                subscribed.append(notification.id)
                if len(subscribed) == expected:
                    return

    pulled: list[int] = []
    with in_thread(subscribe):
        writers = [others.start(take_in, *some) for some in work]
        while len(pulled) < expected and not (failed := [w for w in writers if w.done() and w.exception()]):
            page = runtime.ledger.recorder.select_notifications(len(pulled) + 1, 7)
            pulled += [notification.id for notification in page]
        assert not failed

    assert pulled == list(range(1, expected + 1))
    assert subscribed == pulled


def test_another_process_that_is_writing_is_waited_for(
    runtime: Runtime, database_url: str, others: Processes, tmp_path: Path
) -> None:
    holding = others.start(hold, database_url, str(tmp_path / "holding"), 0.7)
    until((tmp_path / "holding").exists)

    assert runtime.ledger.intake([report(OUT, at="3 12:00")])[0].position == 2

    assert time.time() >= holding.result()


def test_readers_do_not_wait_for_a_writer(
    runtime: Runtime, database_url: str, others: Processes, tmp_path: Path
) -> None:
    runtime.ledger.intake([report(OUT, at="3 12:00")])
    holding = others.start(hold, database_url, str(tmp_path / "holding"), 0.7)
    until((tmp_path / "holding").exists)

    assert len(runtime.store.notifications(0, 10)) == 2

    assert not holding.done()
    holding.result()


def test_two_processes_that_keep_the_same_messages_in_opposite_orders_keep_each_once(
    runtime: Runtime, database_url: str, others: Processes
) -> None:
    numbers = list(range(300))
    others.together(keep, [(database_url, numbers), (database_url, numbers[::-1])])
    assert runtime.database.tuples("SELECT COUNT(*), MIN(times), MAX(times) FROM {s}messages") == [(300, 2, 2)]


def test_eight_processes_that_make_the_ledger_at_once_all_succeed(database_url: str, others: Processes) -> None:
    kinds = others.together(create, [(database_url,)] * 8)

    assert set(kinds) == {database_url.partition(":")[0]}
    with open_runtime(Settings(database_url), create=False) as runtime:
        assert runtime.ledger.intake([report(OUT, at="3 12:00")])[0].position == 2


def test_who_makes_the_ledger_waits_for_another_that_writes_into_the_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    with in_thread(lambda: open_database(f"sqlite:///{path}").close()):
        time.sleep(0.3)  # in which it has long found the file to be in use
        other.execute("COMMIT")
    other.close()

    open_database(f"sqlite:///{path}", create=False).close()


# What is rolled back


def test_a_transaction_that_fails_leaves_no_gap(database: Database) -> None:
    recorder = Recorder(database)
    recorder.insert_events([event("a", 1)])
    with pytest.raises(LookupError), database.transaction() as transaction:
        assert transaction.append([event("b", 1), event("b", 2)]) == [2, 3]
        raise LookupError
    with pytest.raises(IntegrityError):
        recorder.insert_events([event("c", 1), event("a", 1)])

    assert recorder.insert_events([event("d", 1), event("d", 2)]) == [2, 3]
    assert ids(database) == [1, 2, 3]


def test_a_link_that_is_taken_stores_no_event(database: Database) -> None:
    recorder = Recorder(database)
    recorder.insert_events([event("a", 1)], links=[Link("t", "default", "p", "r", "a")])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event("b", 1)], links=[Link("t", "default", "p", "r", "b")])
    assert ids(database) == [1]
    assert [link.shipment_id for link in recorder.find_links("r", None)] == ["a"]


def test_a_process_killed_in_its_transaction_leaves_nothing_behind(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    Recorder(database).insert_events([event("a", 1)])

    killed(in_a_doomed_transaction, database_url, str(tmp_path / "appended"), when=(tmp_path / "appended").exists)

    assert Recorder(database).insert_events([event("b", 1)]) == [2]
    assert [row[0] for row in database.tuples("SELECT originator_id FROM {s}stored_events ORDER BY 1")] == ["a", "b"]


def test_an_answer_lost_after_the_commit_is_decided_again_without_duplicates(runtime: Runtime) -> None:
    class AnswerLost(Recorder):
        lost = 0

        def _insert(
            self,
            stored_events: Sequence[StoredEvent],
            links: Sequence[Link],
            new_keys: Sequence[VaultRow],
            also: Callable[[Transaction], None] | None,
        ) -> list[int] | None:
            positions = super()._insert(stored_events, links, new_keys, also)
            if not self.lost:
                self.lost += 1
                raise OperationalError("the server closed the connection")
            return positions

    recorder = AnswerLost(runtime.database)

    receipts = Ledger(recorder).intake([report(OUT, at="3 12:00")])

    assert recorder.lost == 1
    assert receipts == [Receipt("default:clickpost:4:AWB1", repeated=1)]
    assert (runtime.store.head(), len(recorded(runtime))) == (2, 1)


# A SQLite file


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_sqlite_never_renumbers_nor_reuses_a_position(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    database = open_database(sqlite_url(path))
    recorder = Recorder(database)
    recorder.insert_events([event("a", 1), event("b", 1), event("c", 1), event("d", 1)])
    with sqlite3.connect(path, isolation_level=None) as by_hand:
        by_hand.execute("DELETE FROM stored_events WHERE notification_id IN (2, 4)")
        by_hand.execute("VACUUM")
    by_hand.close()

    assert ids(database) == [1, 3]
    assert recorder.insert_events([event("e", 1)]) == [5]
    database.close()

    with sqlite3.connect(path, isolation_level=None) as by_hand:
        by_hand.execute("DELETE FROM stored_events")
        by_hand.execute("VACUUM")
    by_hand.close()
    database = open_database(sqlite_url(path))
    assert Recorder(database).insert_events([event("f", 1)]) == [6]
    database.close()


def test_sqlite_writes_ahead_and_waits_for_the_disk(tmp_path: Path) -> None:
    database = open_database(sqlite_url(tmp_path / "ledger.db"))
    with database.transaction() as transaction:
        assert transaction.read("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
        assert transaction.read("PRAGMA synchronous") == [{"synchronous": 2}]
    database.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(Refused, match="cannot be opened as a ledger: file is not a database; name another"):
        open_database(sqlite_url(path))
    assert path.read_bytes() == b"Dear diary, " * 1000


@pytest.mark.parametrize("marked", [True, False])
def test_another_applications_database_is_refused_and_left_alone(tmp_path: Path, marked: bool) -> None:
    path = tmp_path / "host.db"
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE orders (id)")
        theirs.execute("INSERT INTO orders VALUES (1)")
        if marked:
            theirs.execute("PRAGMA application_id = 1234")
    theirs.close()
    before = path.read_bytes()

    with pytest.raises(Refused, match="holds something else than a ledger; name another file"):
        open_database(sqlite_url(path))

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_ledger_that_is_not_there_is_refused_unless_it_may_be_made(database_url: str) -> None:
    for _ in range(2):
        with pytest.raises(Refused, match=r"there is no ledger (at|in schema) .*; ingest a message or register"):
            open_database(database_url, create=False)
    open_database(database_url).close()
    open_database(database_url, create=False).close()


def test_an_empty_file_is_no_ledger_unless_it_may_be_made_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.touch()
    with pytest.raises(Refused, match="there is no ledger"):
        open_database(sqlite_url(path), create=False)
    assert path.read_bytes() == b""
    open_database(sqlite_url(path)).close()


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="unable to open database file"):
        open_database(sqlite_url(tmp_path / "missing" / "ledger.db"))


def test_a_relative_file_stays_the_same_when_the_process_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with open_runtime(Settings("sqlite:///ledger.db")) as runtime:
        runtime.ledger.intake([report(OUT, at="3 12:00")])
        monkeypatch.chdir("elsewhere")
        waiter = runtime.database.waiter()
        with in_thread(lambda: runtime.ledger.find("AWB1")), in_thread(lambda: runtime.ledger.find("AWB1")):
            assert runtime.ledger.find("AWB1") == ["default:clickpost:4:AWB1"]
        assert runtime.projector.catch_up() == 2
        waiter.close()
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", "ledger.db"}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_instants_in_sqlite_have_one_width_and_sort_by_time(tmp_path: Path) -> None:
    database = open_database(sqlite_url(tmp_path / "ledger.db"))
    inbox = Inbox(database)
    times = [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(999, 12, 31, 23, tzinfo=UTC),
        datetime(2025, 3, 3, 12, tzinfo=UTC),
        datetime(2025, 3, 3, 12, 0, 0, 5000, tzinfo=UTC),
        datetime(2025, 3, 3, 17, 30, 0, 5001, tzinfo=timezone(timedelta(minutes=330))),
        datetime(2025, 3, 3, 12, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
    ]
    inbox.append([message("clickpost", str(n).encode(), received_at=at) for n, at in enumerate(times)])

    texts = [row[0] for row in database.tuples("SELECT CAST(received_at AS TEXT) FROM messages ORDER BY received_at")]
    read = [row["received_at"] for row in database.read("SELECT received_at FROM messages ORDER BY received_at")]
    database.close()

    assert {len(text) for text in texts} == {len("2025-03-03T12:00:00.000000Z")}
    assert "2025-03-03T12:00:00.005000Z" in texts
    assert read == times


# A PostgreSQL server


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection of a bystander."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield connection


def add(url: str, **parameters: str) -> str:
    """A URL with more parameters, percent-encoded as libpq reads them."""
    from urllib.parse import quote

    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    return f"{url}{'&' if '?' in url else '?'}{pairs}"


def refused(url: str) -> str:
    """The sentence with which a database is refused; accepted all the same with `allow_volatile`."""
    with pytest.raises(Refused) as refusal:
        open_database(url)
    open_database(url, allow_volatile=True).close()
    return str(refusal.value)


ASYNCHRONOUS = (
    "PostgreSQL runs with synchronous_commit=off, so it can lose the commits of the last moments before a crash "
    "although they were acknowledged; turn it on, or pass allow_volatile (--allow-volatile) if this ledger may lose "
    "events"
)


def test_postgresql_that_commits_asynchronously_by_the_url_is_refused(postgres_url: str) -> None:
    assert refused(add(postgres_url, options="-c synchronous_commit=off")) == ASYNCHRONOUS


@pytest.mark.parametrize("setting", ["DATABASE {0}", "ROLE current_user IN DATABASE {0}"])
def test_postgresql_that_commits_asynchronously_by_a_setting_is_refused(
    postgres_server: str, postgres: psycopg.Connection[tuple[Any, ...]], setting: str
) -> None:
    name = f"careless_{time.monotonic_ns()}"
    postgres.execute(f"CREATE DATABASE {name}".encode())
    try:
        postgres.execute(f"ALTER {setting.format(name)} SET synchronous_commit = off".encode())
        assert refused(add(postgres_server, dbname=name)) == ASYNCHRONOUS
    finally:
        postgres.execute(f"ALTER ROLE current_user IN DATABASE {name} RESET ALL".encode())
        postgres.execute(f"DROP DATABASE {name}".encode())


def test_postgresql_that_does_not_wait_for_the_disk_is_refused() -> None:
    with server(fsync="off") as url:
        sentence = refused(url)
    assert "fsync=off" in sentence and "corrupt the whole database when the machine fails" in sentence


def test_postgresql_that_cannot_be_reached_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"(?s)PostgreSQL cannot be reached: .*; check --db"):
        open_database(f"postgresql://nobody@/postgres?host={tmp_path}")


def test_postgresql_urls_that_make_no_sense_are_refused(postgres_url: str) -> None:
    with pytest.raises((UsageError, Refused)):
        open_database(add(postgres_url, no_such_parameter="1"))
    for name in ("Upper", "1st", "a-b", "", "x" * 51):
        with pytest.raises(UsageError, match="schema"):
            open_database(add("postgresql://nobody@/postgres", schema=name))


def test_a_role_that_may_not_make_a_schema_is_refused(
    postgres_server: str, postgres: psycopg.Connection[tuple[Any, ...]]
) -> None:
    name = f"guest_{time.monotonic_ns()}"
    postgres.execute(f"CREATE ROLE {name}".encode())
    try:
        with pytest.raises(Refused, match="permission denied"):
            open_database(add(postgres_server, schema=name, options=f"-c role={name}"))
    finally:
        postgres.execute(f"DROP ROLE {name}".encode())


@pytest.mark.parametrize(
    ("url", "reaches"),
    [
        ("postgresql:///tracking", {"dbname": "tracking"}),
        ("postgresql:///tracking?schema=a", {"dbname": "tracking"}),
        ("postgres://u:p%40w@h:5433/d?schema=a", {"user": "u", "password": "p@w", "host": "h", "port": "5433"}),
        ("postgresql://u@/d?host=%2Ftmp%2Fa%20b", {"host": "/tmp/a b"}),
        ("postgresql://u@/d?schema=a&application_name=a+b%2Bc", {"application_name": "a+b+c"}),
        ("postgresql://h1,h2:5433/d?target_session_attrs=primary&schema=a", {"host": "h1,h2", "port": ",5433"}),
        ("postgresql://[::1]/d?schema=a", {"host": "::1", "dbname": "d"}),
    ],
)
def test_a_url_reaches_what_libpq_reads_in_it(url: str, reaches: dict[str, str]) -> None:
    from psycopg.conninfo import conninfo_to_dict

    from trackledger.adapters.storage.postgres import split_url

    assert reaches.items() <= conninfo_to_dict(split_url(url)[0]).items()


class Victim:
    """An open ledger whose connections a bystander can end."""

    def __init__(self, url: str, bystander: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.name = f"victim {time.monotonic_ns()}"
        self._bystander = bystander
        self.runtime = open_runtime(Settings(add(url, application_name=self.name)))

    def kill(self, but: int = 0, query: str = "%") -> int:
        """End the connections whose last query is like this, all but one; their number."""
        found = self._bystander.execute(
            """SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
               WHERE application_name = %s AND pid <> %s AND query LIKE %s""",
            (self.name, but, query),
        )
        return len(found.fetchall())

    def use_connections(self, count: int) -> None:
        """Make the pool open so many connections."""
        if count:
            with self.runtime.database.transaction():
                self.use_connections(count - 1)


@pytest.fixture
def victim(postgres_url: str, postgres: psycopg.Connection[tuple[Any, ...]]) -> Iterator[Victim]:
    victim = Victim(postgres_url, postgres)
    yield victim
    victim.runtime.close()


def test_connections_that_were_killed_while_idle_do_not_show(victim: Victim) -> None:
    victim.runtime.ledger.intake([report(OUT, at="3 12:00")])
    for ask in (
        lambda: victim.runtime.ledger.intake([report(OUT, scan("delivered", "4 10:00"), at="4 12:00")]),
        lambda: victim.runtime.ledger.history("default:clickpost:4:AWB1"),
        lambda: victim.runtime.projector.catch_up(),
        lambda: victim.runtime.inbox.append([message("clickpost", b"{}", received_at=instant("3"))]),
    ):
        victim.use_connections(4)
        assert victim.kill() >= 4
        ask()
    assert rows(victim.runtime.store) == fresh(victim.runtime)
    assert len(victim.runtime.inbox.parked()) == 0


def test_a_connection_that_dies_before_its_commit_is_replaced_and_nothing_is_stored_twice(victim: Victim) -> None:
    tries: list[int] = []

    def die(transaction: Transaction, receipts: Sequence[Receipt]) -> None:
        tries.append(len(receipts))
        if len(tries) == 1:
            assert victim.kill() >= 1

    receipts = victim.runtime.ledger.intake([report(OUT, at="3 12:00")], also=die)

    assert tries == [1, 1]
    assert receipts == [Receipt("default:clickpost:4:AWB1", recorded=1, events=2, position=2)]
    assert gapless(victim.runtime)


def test_a_stored_batch_is_acknowledged_also_when_nobody_could_be_woken(victim: Victim) -> None:
    victim.use_connections(5)

    def kill_the_others(transaction: Transaction, receipts: Sequence[Receipt]) -> None:
        own = transaction.read("SELECT pg_backend_pid() AS pid")[0]["pid"]
        assert victim.kill(but=own) >= 4

    receipts = victim.runtime.ledger.intake([report(OUT, at="3 12:00")], also=kill_the_others)

    assert receipts[0].position == 2


def test_a_waiter_whose_connection_was_killed_is_woken_again(victim: Victim, postgres_url: str) -> None:
    waiter = victim.runtime.database.waiter()
    waiter.wait(IDLE)  # the first time it only begins to listen
    for number in range(2):
        assert victim.kill(query="LISTEN%") == 1
        started = time.monotonic()
        waiter.wait(IDLE)  # noticed
        waiter.wait(IDLE)  # listening again
        with open_runtime(Settings(postgres_url)) as writer:
            writer.ledger.intake([report(OUT, at="3 12:00", tracker=parcel(number))])
        waiter.wait(10 * IDLE)
        assert time.monotonic() - started < IDLE
    waiter.close()


def test_a_subscription_goes_on_after_its_connections_were_killed(victim: Victim, postgres_url: str) -> None:
    seen: list[int] = []

    def follow() -> None:
        with victim.runtime.ledger.recorder.subscribe(0) as subscription:
            for notification in subscription:
                seen.append(notification.id)
                if notification.id == 4:
                    return

    with open_runtime(Settings(postgres_url)) as writer, in_thread(follow):
        writer.ledger.intake([report(OUT, at="3 12:00", tracker=parcel(1))])
        until(lambda: len(seen) == 2)
        until(lambda: victim.kill(query="LISTEN%") == 1)
        victim.kill()
        writer.ledger.intake([report(OUT, at="3 12:00", tracker=parcel(2))])
    assert seen == [1, 2, 3, 4]


def test_a_pump_goes_on_after_its_connections_were_killed(victim: Victim, postgres_url: str) -> None:
    stop = Event()

    def run() -> None:
        victim.runtime.projector.run(stop)

    with open_runtime(Settings(postgres_url)) as writer, in_thread(run):
        try:
            for number in range(3):
                writer.ledger.intake([report(OUT, at="3 12:00", tracker=parcel(number))])
                until(lambda: writer.store.position("tables") == writer.store.head())
                victim.kill()
        finally:
            stop.set()
            writer.database.wake()


def test_an_intake_pump_goes_on_after_its_connections_were_killed(victim: Victim, postgres_url: str) -> None:
    stop = Event()
    with open_runtime(Settings(postgres_url)) as writer, in_thread(lambda: victim.runtime.intake.run(stop)):
        try:
            for number in range(3):
                writer.inbox.append([poll(number)])
                until(lambda: writer.inbox.waiting() == 0)
                victim.kill()
        finally:
            stop.set()
            writer.database.wake()
        assert states(writer) == {"done": 3}


def test_two_ledgers_in_one_database_do_not_see_each_other(postgres_server: str, postgres_url: str) -> None:
    own, theirs = postgres_url, add(postgres_server, schema=f"other_{time.monotonic_ns()}")
    with open_runtime(Settings(own)) as one, open_runtime(Settings(theirs)) as two:
        waiter = two.database.waiter()
        waiter.wait(IDLE)
        for number in range(3):
            one.ledger.intake([report(OUT, at="3 12:00", tracker=parcel(number))])
        started = time.monotonic()
        waiter.wait(0.3)
        waiter.close()
        assert time.monotonic() - started >= 0.3
        assert two.ledger.find("P1") == []
        assert two.ledger.intake([report(OUT, at="3 12:00", tracker=parcel(1))])[0].position == 2
        assert (one.projector.catch_up(), two.projector.catch_up()) == (6, 2)
        with two.database.transaction() as transaction:
            transaction.execute("DROP SCHEMA {s} CASCADE".replace("{s}", two.database.schema.rstrip(".")))
        assert one.ledger.intake([report(OUT, at="3 12:00", tracker=parcel(9))])[0].position == 8


# Waiting


def test_a_waiter_can_be_closed_while_another_thread_waits(database: Database) -> None:
    for _ in range(8):
        waiter = database.waiter()

        def wait(waiter: Any = waiter) -> None:
            for _ in range(3):
                waiter.wait(IDLE)

        with in_thread(wait):
            time.sleep(0.005)
            waiter.close()


def test_a_subscription_can_be_stopped_while_another_thread_waits_in_it(runtime: Runtime) -> None:
    runtime.ledger.intake([report(OUT, at="3 12:00")])
    for _ in range(8):
        subscription = runtime.ledger.recorder.subscribe(0)
        seen: list[int] = []

        def follow(subscription: Any = subscription, seen: list[int] = seen) -> None:
            seen += [notification.id for notification in subscription]

        with in_thread(follow):
            time.sleep(0.004)
            subscription.stop()


# What is written and read back


class Specimen(Struct, frozen=True):
    """A row with every kind of column."""

    name: str
    number: int
    text: str | None
    count: int
    flag: bool
    maybe: bool | None
    at: datetime
    perhaps: datetime | None
    day: date
    some_day: date | None
    body: bytes


SPECIMEN = Table("specimen", Specimen, ("name", "number"), [Index(("text",)), Index(("at",), where="flag")])

FIRST = Specimen("a", 1, "x", 2**62, True, None, instant("3 12:00"), None, date(2025, 3, 3), None, b"\x00\xff{}")
SECOND = Specimen(
    "a", 2, None, -1, False, False, instant("4 12:00"), instant("5"), date(1999, 12, 31), date(2025, 3, 4), b""
)


@pytest.fixture
def specimens(database: Database) -> Database:
    with database.transaction() as transaction:
        for statement in SPECIMEN.create(database.dialect, database.schema):
            transaction.execute(statement)
    return database


def held(database: Database) -> list[dict[str, Any]]:
    found = database.read("SELECT * FROM {s}specimen ORDER BY name, number")
    return [{n: bytes(v) if n == "body" else v for n, v in row.items()} for row in found]


def as_read(*specimens: Specimen) -> list[dict[str, Any]]:
    return [dict(zip(SPECIMEN.names, SPECIMEN.values(row), strict=True)) for row in specimens]


def test_a_declared_table_has_the_declared_columns_on_both_databases(specimens: Database) -> None:
    with specimens.transaction() as transaction:
        transaction.insert(SPECIMEN, [FIRST])
    row = held(specimens)[0]
    assert tuple(row) == Specimen.__struct_fields__
    assert {name: type(value) for name, value in row.items()} == {
        name: type(value) for name, value in as_read(FIRST)[0].items()
    }


def test_rows_read_back_equal_by_insert_and_by_upsert(specimens: Database) -> None:
    with specimens.transaction() as transaction:
        transaction.insert(SPECIMEN, [FIRST])
        transaction.upsert(SPECIMEN, [SECOND])
    assert held(specimens) == as_read(FIRST, SECOND)


def test_an_upsert_overwrites_every_column_of_the_row_with_its_key_only(specimens: Database) -> None:
    changed = replace(SECOND, number=1)
    with specimens.transaction() as transaction:
        transaction.insert(SPECIMEN, [FIRST, SECOND])
        transaction.upsert(SPECIMEN, [changed])
    assert held(specimens) == as_read(changed, SECOND)


def test_columns_that_are_empty_in_every_row_can_be_upserted(specimens: Database) -> None:
    bare = [replace(row, text=None, maybe=None, perhaps=None, some_day=None) for row in (FIRST, SECOND)]
    with specimens.transaction() as transaction:
        transaction.upsert(SPECIMEN, bare)
        transaction.upsert(SPECIMEN, [])
    assert held(specimens) == as_read(*bare)


def test_an_insert_of_a_key_that_is_taken_is_an_integrity_error(specimens: Database) -> None:
    with pytest.raises(IntegrityError), specimens.transaction() as transaction:
        transaction.insert(SPECIMEN, [SECOND, FIRST, SECOND])
    assert held(specimens) == []


def test_rows_are_deleted_by_key(specimens: Database) -> None:
    with specimens.transaction() as transaction:
        transaction.insert(SPECIMEN, [FIRST, SECOND])
        transaction.delete(SPECIMEN, [SPECIMEN.key_of(FIRST), ("nobody", 9)])
        transaction.delete(SPECIMEN, [])
    assert held(specimens) == as_read(SECOND)


def test_a_table_can_be_made_beside_itself_under_another_name(specimens: Database) -> None:
    with specimens.transaction() as transaction:
        for statement in SPECIMEN.create(specimens.dialect, specimens.schema, "specimen__next", "_mark"):
            transaction.execute(statement)
        transaction.upsert(SPECIMEN, [FIRST], "specimen__next")
        transaction.delete(SPECIMEN, [SPECIMEN.key_of(FIRST)])
    assert held(specimens) == []
    assert specimens.tuples("SELECT COUNT(*) FROM {s}specimen__next") == [(1,)]


def test_the_ledgers_tables_and_views_have_the_same_columns_on_both_databases(database: Database) -> None:
    for table in TABLES:
        with database.transaction() as transaction:
            transaction.execute(f"CREATE VIEW {{s}}looked_at AS SELECT * FROM {{s}}{table.name}")
            transaction.read("SELECT * FROM {s}looked_at")
            transaction.execute("DROP VIEW {s}looked_at")
            names = ", ".join(f"{name} AS {name}" for name in table.names)
            transaction.read(f"SELECT {names} FROM {{s}}{table.name}")
    for view in VIEWS:
        database.read(f"SELECT * FROM {{s}}{view.name}")


ODD = {
    "combining and joined": "nai\u0308ve 👩‍👩‍👧 पार्सल",
    "right to left": "\u202eRTL\u202c שלום",
    "controls": "tab\tline\nreturn\rbell\x07unit\x1f",
    "quotes and marks": "'\"`;--%s :id {s} ? $1 \\u0000 \\",
    "private and last": "\ue000\ufffd\uffff\U0010ffff",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_text_comes_back_as_it_was_said(runtime: Runtime, text: str) -> None:
    said = scan("in_transit", "3 10:00", location=text, said=text, remark=text)
    details = {"order_id": text, "carrier": text}
    runtime.ledger.intake([report(said, at="3 12:00", message=text, details=details)])
    runtime.ledger.note("default:clickpost:4:AWB1", text, text)
    runtime.projector.catch_up()

    told = decode(runtime.store.notifications(1, 1)[0]).event
    assert isinstance(told, ReportRecorded) and told.recorded == (said,)
    shipment, line = (rows(runtime.store)[name][0] for name in ("shipments", "timeline"))
    assert (shipment["location"], shipment["order_id"], shipment["carrier"]) == (text, text, text)
    assert (line["location"], line["remark"], line["status_said"], line["message_id"]) == (text, text, text, text)


@pytest.mark.parametrize("text", [text for text in ODD.values() if text.isprintable()])
def test_odd_references_are_found_again(runtime: Runtime, text: str) -> None:
    tracker = Tracker("clickpost", f"4:{text}", text, text)
    runtime.ledger.register([Registration(text, trackers=(tracker,))])
    assert runtime.ledger.find(text) == runtime.ledger.find(f"4:{text}") == [f"default:host:{text}"]
    assert runtime.ledger.intake([report(OUT, at="3 12:00", tracker=tracker)])[0].shipment_id == f"default:host:{text}"


def test_a_snapshot_shows_one_moment_while_others_write(runtime: Runtime) -> None:
    head = "SELECT COUNT(*) FROM {s}stored_events"
    runtime.ledger.register([Registration("ORDER-1")])

    with runtime.database.snapshot() as moment:
        assert moment.tuples(head) == [(1,)]
        runtime.ledger.register([Registration("ORDER-2")])
        assert moment.tuples(head) == [(1,)]
        assert [row["shipment_id"] for row in moment.read("SELECT shipment_id FROM {s}tracker_links")] == [
            "default:host:ORDER-1"
        ]
        assert runtime.database.tuples(head) == [(2,)]

    with runtime.database.snapshot() as moment:
        assert moment.tuples(head) == [(2,)]


def test_a_snapshot_that_fails_is_given_back(runtime: Runtime) -> None:
    for _ in range(20):
        with pytest.raises(PersistenceError), runtime.database.snapshot() as moment:
            moment.tuples("SELECT nothing FROM {s}nowhere")

    with runtime.database.snapshot() as moment:
        assert moment.tuples("SELECT COUNT(*) FROM {s}stored_events") == [(0,)]
