"""Is a replay what the ledger was at a moment, wherever it is written and whoever folds it?"""

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.cli import ANSWERING, AT, ATTEMPTED, NEVER_PICKED_UP, NOW, Cli, installed
from support.parcels import batches, reports
from support.rows import rows
from support.scans import instant
from support.simulated import heard, instants, take
from support.threads import in_thread, until
from trackledger.adapters.clock import Clock
from trackledger.adapters.past import past
from trackledger.adapters.ranges import InProcess
from trackledger.adapters.replay import replay
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.simulator.simulation import Simulation
from trackledger.adapters.storage.bulk import new_ledger
from trackledger.domain.errors import Refused
from trackledger.projections.digest import of_tables
from trackledger.projections.tables import VIEWS, lag

SMALL = 40
"""Events of a range, so that a few parcels are several."""


def fill(runtime: Runtime, parcels: int = 9, first: int = 0) -> None:
    """Reports about so many parcels, taken in and folded."""
    for batch in batches(reports(parcels, first), parcels, 20):
        runtime.ledger.intake(batch)
    runtime.projector.catch_up()


def moment(clock: Clock = Clock()) -> datetime:  # noqa: B008
    """The present, which nothing that is recorded later is part of."""
    now = clock.now()
    while clock.now() <= now:
        pass
    return now


def held(url: str, *names: str) -> dict[str, Any]:
    """Every row of every table at a URL, and of these."""
    with open_runtime(Settings(url)) as runtime:
        more = {name: runtime.store.read(f"SELECT * FROM {{s}}{name} ORDER BY 1") for name in names}
        return rows(runtime.store) | more


def nothing_at(url: str) -> bool:
    """Whether nothing is left of a ledger that was to be at a URL, nor of its beginnings."""
    if url.startswith("sqlite:"):
        path = Path(url.removeprefix("sqlite:///"))
        return not path.exists() and not list(path.parent.glob(f".{path.name}*"))
    address, _, name = url.rpartition("schema=")
    with psycopg.connect(address.rstrip("?&")) as connection:
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,))
        return found.fetchone() is None


# As of a moment


def test_a_replay_as_of_a_moment_is_what_the_tables_held_then(database_url: str, places: Callable[[str], str]) -> None:
    simulation = Simulation(7, 18)
    live: list[tuple[datetime, dict[str, Any]]] = []
    with simulation.serve() as running, open_runtime(running.settings(database_url)) as runtime:
        runtime.ledger.register(running.registrations())
        before = simulation.start
        for at in instants(running, simulation.start, 3):
            told = [one for one in running.deliveries() if before < one.push.at <= at]
            assert take(runtime, heard(runtime, told)) == []
            links = runtime.store.read("SELECT * FROM {s}tracker_links ORDER BY tracker")
            live.append((moment(runtime.settings.clock), rows(runtime.store) | {"tracker_links": links}))
            before = at

        for kind in ("sqlite", "postgresql"):
            for known_at, then in live:
                into = places(kind)
                done = replay(runtime, into, known_at=known_at, processes=1, batch=SMALL)
                assert held(into, "tracker_links") == then
                assert (done.shipments, done.checkpoints) == (len(then["shipments"]), len(then["timeline"]))


def test_a_replay_by_what_had_happened_holds_no_more(runtime: Runtime, places: Callable[[str], str]) -> None:
    fill(runtime, 3)
    everything = rows(runtime.store)
    fourth = instant("4 12:00")
    into = places("sqlite")

    replay(runtime, into, valid_at=fourth, processes=1)

    now = held(into)
    assert [row["checkpoint_id"] for row in now["timeline"]] == [
        row["checkpoint_id"] for row in everything["timeline"] if row["occurred_at"] <= fourth
    ]
    assert {row["milestone"] for row in now["shipments"]} == {"out_for_delivery"}
    with past(runtime, valid_at=fourth) as reader:
        assert rows(reader) == now


def test_what_was_recorded_at_the_moment_itself_was_known_then(runtime: Runtime, places: Callable[[str], str]) -> None:
    fill(runtime, 2)
    ids = [row["shipment_id"] for row in rows(runtime.store)["shipments"]]
    last = max(placed.event.recorded_at for id_ in ids for placed in runtime.ledger.history(id_))
    at, before = places("sqlite"), places("sqlite")

    replay(runtime, at, known_at=last, processes=1)
    replay(runtime, before, known_at=last - timedelta(microseconds=1), processes=1)

    assert held(at) == rows(runtime.store) != held(before)


def test_a_forgotten_shipment_is_so_in_its_past(filled: Cli, runtime: Runtime, places: Callable[[str], str]) -> None:
    known_at = moment()
    runtime.ledger.forget(ATTEMPTED, "auditor", "asked to")
    into = places("sqlite")

    replay(runtime, into, known_at=known_at, processes=1)

    said = {row["shipment_id"]: row["status_said"] for row in held(into)["timeline"]}
    assert said == {ATTEMPTED: None, NEVER_PICKED_UP: said[NEVER_PICKED_UP]}
    assert said[NEVER_PICKED_UP]


# A ledger in its own right


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_target_answers_every_command_as_the_ledger_does(
    filled: Cli, places: Callable[[str], str], kind: str
) -> None:
    into = places(kind)
    done = filled.json("replay", "--into", into)
    copy = Cli(into)

    for command in ANSWERING:
        options = ("--now", NOW) if "--now" in filled(*command, "--help").stdout else ()
        assert copy.json(*command, *options) == filled.json(*command, *options)
    assert done["position"] == 4
    again = copy.ingest("poll_failed_delivery", at=AT)
    assert [one["repeated"] for one in again] == [9]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_target_is_made_like_any_other_ledger(places: Callable[[str], str], database_url: str, kind: str) -> None:
    catalog = {
        "sqlite": "SELECT name, sql FROM sqlite_master ORDER BY name",
        "postgresql": """SELECT c.relname AS name, c.relkind::text AS sql FROM pg_class c
                         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema ORDER BY 1""",
    }[kind]
    into, other = places(kind), places(kind)
    with open_runtime(Settings(database_url)) as runtime:
        fill(runtime, 2)
        replay(runtime, into, processes=1)
        head = runtime.store.head()

    with open_runtime(Settings(into)) as one, open_runtime(Settings(other)) as another:
        there = [r.database.read(catalog, schema=r.database.schema.strip('".')) for r in (one, another)]
        assert there[0] == there[1] and len(there[0]) > 20
        assert lag(one.store) == 0 and one.store.head() == head
        for view in VIEWS:
            one.store.read(f"SELECT * FROM {{s}}{view.name}")
        fill(one, 2, first=5)  # it can go on from there, on a branch of its own
        assert one.store.head() > head
        with past(one) as reader:
            assert rows(reader) == rows(one.store)


def test_events_are_copied_as_they_are_stored(runtime: Runtime, places: Callable[[str], str]) -> None:
    fill(runtime, 2)
    into = places("sqlite")

    replay(runtime, into, processes=2)

    sql = "SELECT notification_id, originator_id, originator_version, topic, state FROM {s}stored_events ORDER BY 1"
    with open_runtime(Settings(into)) as copy:
        assert copy.database.tuples(sql) == [(*row[:4], bytes(row[4])) for row in runtime.database.tuples(sql)]


def test_private_words_can_be_read_in_the_target_as_in_the_ledger(
    database_url: str, places: Callable[[str], str]
) -> None:
    into = places("sqlite")
    with open_runtime(Settings(database_url, privacy="sealed")) as runtime:
        fill(runtime, 2)
        replay(runtime, into, processes=1)
        live = rows(runtime.store)

    assert held(into) == live
    with open_runtime(Settings(into)) as copy, past(copy) as reader:
        assert rows(reader) == live


# Whoever folds


def test_the_digest_is_the_same_whoever_folds_and_wherever_it_is_written(
    runtime: Runtime, places: Callable[[str], str]
) -> None:
    fill(runtime, 20)
    folding: list[AbstractContextManager[Executor | None]] = [
        nullcontext(None),
        InProcess(),
        ThreadPoolExecutor(3),
        ProcessPoolExecutor(1, get_context("spawn")),
    ]
    digests = {of_tables(runtime.database)}
    for kind in ("sqlite", "postgresql"):
        for who in folding if kind == "sqlite" else folding[:2]:
            into = places(kind)
            with who as executor:
                digests.add(replay(runtime, into, processes=1, executor=executor, batch=SMALL).digest)
            with open_runtime(Settings(into)) as copy:
                digests.add(of_tables(copy.database))

    assert len(digests) == 1


def test_the_digest_is_the_same_for_any_number_of_processes(runtime: Runtime, places: Callable[[str], str]) -> None:
    fill(runtime, 20)

    done = [replay(runtime, places("sqlite"), processes=n, batch=SMALL) for n in (1, 2, 3)]

    assert done[0] == done[1] == done[2]
    assert done[0].shipments == 20


def test_the_digest_is_known(places: Callable[[str], str], tmp_path: Path) -> None:
    """It is kept outside, so that it must not change from version to version."""
    with open_runtime(Settings(f"sqlite:///{tmp_path}/empty.db")) as runtime:
        digest = replay(runtime, places("sqlite"), processes=1).digest

    assert digest == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_tells_rows_apart(runtime: Runtime) -> None:
    fill(runtime, 2)
    digests = [of_tables(runtime.database)]
    for sql in (
        "UPDATE {s}timeline SET remark = 'other' WHERE checkpoint_id = (SELECT MAX(checkpoint_id) FROM {s}timeline)",
        "DELETE FROM {s}silence",
        "DELETE FROM {s}timeline WHERE checkpoint_id = (SELECT MAX(checkpoint_id) FROM {s}timeline)",
    ):
        with runtime.database.transaction() as transaction:
            transaction.execute(sql)
        digests.append(of_tables(runtime.database))

    assert len(set(digests)) == len(digests) - (rows(runtime.store)["silence"] == [] and digests[1] == digests[2])


class Interrupted(InProcess):
    """Does two pieces of work; then somebody presses Ctrl-C."""

    def __init__(self) -> None:
        self.left = 2

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_interrupted_replay_leaves_nothing(runtime: Runtime, places: Callable[[str], str], kind: str) -> None:
    fill(runtime, 20)
    into = places(kind)

    with pytest.raises(KeyboardInterrupt):
        replay(runtime, into, processes=1, executor=Interrupted(), batch=SMALL)

    assert nothing_at(into)
    assert replay(runtime, into, processes=1).shipments == 20


def test_ctrl_c_once_and_again_ends_a_replay_and_leaves_nothing(tmp_path: Path, places: Callable[[str], str]) -> None:
    source, into = f"sqlite:///{tmp_path}/source.db", places("sqlite")
    with open_runtime(Settings(source)) as runtime:
        fill(runtime, 200)
    path = Path(into.removeprefix("sqlite:///"))
    command = [installed(), "--db", source, "replay", "--into", into, "--workers", "2"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        until(lambda: bool(list(tmp_path.glob(f".{path.name}*.part"))))
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)

    assert process.returncode in (1, -signal.SIGINT)
    assert nothing_at(into)


def test_what_is_told_to_end_leaves_nothing(tmp_path: Path) -> None:
    source, target = f"sqlite:///{tmp_path}/source.db", tmp_path / "target.db"
    with open_runtime(Settings(source)) as runtime:
        fill(runtime, 200)
    assert Cli(source)("export", "events", "--out", f"{tmp_path}/events.ndjson").exit_code == 0
    for command in (
        ["--db", source, "replay", "--into", f"sqlite:///{target}", "--workers", "2"],
        ["--db", f"sqlite:///{target}", "import", "/dev/stdin"],
    ):
        with subprocess.Popen(
            [installed(), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin
            process.stdin.write((tmp_path / "events.ndjson").read_bytes()[:50_000])
            process.stdin.flush()
            until(lambda: bool(list(tmp_path.glob(".target.db*.part"))))
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)

        assert process.returncode == 1
        assert not list(tmp_path.glob("*target.db*")) and not list(tmp_path.glob(".target.db*"))


def test_workers_end_when_who_started_them_is_killed(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path}/source.db"
    with open_runtime(Settings(source)) as runtime:
        fill(runtime, 200)
    command = [installed(), "--db", source, "replay", "--into", f"sqlite:///{tmp_path}/target.db", "--workers", "2"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until(lambda: bool(list(tmp_path.glob(".target.db*.part"))))
        time.sleep(0.3)  # in which its workers begin
        process.kill()
        # They hold the same pipes, which end with the last of them.
        process.communicate(timeout=60)

    assert process.returncode == -signal.SIGKILL


def test_a_worker_that_is_killed_leaves_nothing(runtime: Runtime, places: Callable[[str], str]) -> None:
    fill(runtime, 9)
    into = places("sqlite")

    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        executor.submit(os._exit, 1)
        with pytest.raises(Refused, match="was ended from outside"):
            replay(runtime, into, executor=executor, batch=SMALL)

    assert nothing_at(into)


def test_shipments_that_cannot_be_folded_are_told(runtime: Runtime, places: Callable[[str], str]) -> None:
    fill(runtime, 3)
    with runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}stored_events SET state = :state WHERE notification_id = 1", state=b"{")
    into = places("sqlite")

    done = replay(runtime, into, processes=1)

    assert (done.shipments, done.poisoned) == (2, 1)
    (poisoned,) = held(into, "poisoned")["poisoned"]
    assert "cannot be read" in poisoned["reason"]
    with pytest.raises(Exception, match="cannot be read"):
        replay(runtime, places("sqlite"), known_at=moment(), processes=1)


# Bad input


def test_a_moment_has_to_be_one_that_the_ledger_knows(filled: Cli, places: Callable[[str], str]) -> None:
    into = places("sqlite")
    for command in (("replay", "--into", into), *(one for one in ANSWERING if one != ("parked",))):
        early = filled.refusal(*command, "--known-at", "2020-01-01T00:00:00Z", code=2)
        assert early.startswith("nothing was known at 2020-01-01T00:00:00Z: the first event was recorded at 20")
        for option in ("--known-at", "--valid-at"):
            future = filled.refusal(*command, option, "2099-01-01T00:00:00Z", code=2)
            assert future.startswith(f"{option} 2099-01-01T00:00:00Z is in the future; name a moment up to now, ")
            assert "has no zone; add one" in filled.usage(*command, option, "2026-01-01T00:00:00")
            assert "is not an ISO 8601 time" in filled.usage(*command, option, "yesterday")
    assert nothing_at(into)


def test_an_empty_ledger_knew_nothing(cli: Cli, runtime: Runtime) -> None:
    assert cli.refusal("shipments", "--known-at", "2026-01-01T00:00:00Z", code=2) == (
        "nothing was known at 2026-01-01T00:00:00Z: the ledger holds no event yet; take in messages"
    )


def test_the_target_is_neither_the_ledger_nor_anything_else(
    filled: Cli, database_url: str, places: Callable[[str], str], tmp_path: Path
) -> None:
    def refused(into: str, sentence: str, code: int = 2) -> None:
        assert sentence in filled.refusal("replay", "--into", into, "--workers", "1", code=code)

    if database_url.startswith("sqlite:"):
        ledger = Path(database_url.removeprefix("sqlite:///"))
        (tmp_path / "link.db").symlink_to(ledger)
        (tmp_path / "hard.db").hardlink_to(ledger)
        for spelling in (ledger, f"{tmp_path}/./x/../ledger.db", "ledger.db", "link.db", "hard.db"):
            (tmp_path / "x").mkdir(exist_ok=True)
            refused(f"sqlite:///{spelling}", "is the ledger itself; name another file with --into")
    else:
        for spelling in (database_url, f"{database_url}&application_name=other"):
            refused(spelling, "is the ledger itself; name another schema with --into")
    for kind in ("sqlite", "postgresql"):
        other = places(kind)
        filled.text("replay", "--into", other, "--workers", "1")
        before = held(other)
        refused(other, "is not empty; name")
        assert held(other) == before
    (tmp_path / "notes.txt").write_text("mine")
    refused(f"sqlite:///{tmp_path}/notes.txt", "is not empty")
    refused(f"sqlite:///{tmp_path}", "is a folder")
    refused(f"sqlite:///{tmp_path}/nowhere/x.db", "cannot be written: No such file or directory", code=1)
    refused(f"sqlite:///{tmp_path}/notes.txt/x.db", "cannot be written: Not a directory", code=1)
    refused("postgresql://x@/y?host=/nowhere", "PostgreSQL cannot be reached", code=1)
    refused("mysql://x", "database 'mysql://x' is neither sqlite:///FILE nor postgresql://…; correct --into")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not list(tmp_path.glob(".*.part"))


def test_what_is_left_of_another_database_is_not_written_over_the_new_one(filled: Cli, tmp_path: Path) -> None:
    # As after a process was killed and the file was removed without what belongs to it.
    other = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE theirs (n)")
    log = (tmp_path / "other.db-wal").read_bytes()
    other.close()
    target = tmp_path / "target.db"
    for end in ("-wal", "-journal"):
        left = tmp_path / f"target.db{end}"
        left.write_bytes(log)

        assert filled.refusal("replay", "--into", f"sqlite:///{target}", "--workers", "1", code=2) == (
            f"{left} is left of a database that was at {target}; remove it, or name another file with --into"
        )

        assert not target.exists()
        left.unlink()
    filled.text("replay", "--into", f"sqlite:///{target}", "--workers", "1")


def test_who_opens_a_schema_that_is_being_filled_waits_and_who_would_fill_it_too_is_told(
    runtime: Runtime, places: Callable[[str], str]
) -> None:
    fill(runtime, 2)
    into = places("postgresql")
    opened: list[int] = []

    def count() -> None:
        with open_runtime(Settings(into)) as there:
            opened.append(there.store.head())

    with ExitStack() as after, new_ledger(into) as bulk:
        after.enter_context(in_thread(count))
        with pytest.raises(Refused, match=r"^schema into_\w+ is being filled by another process; name another"):
            replay(runtime, into, processes=1)
        time.sleep(0.3)  # in which the other one has long asked for it
        assert opened == []
        bulk.events([(1, "default:host:A", 1, "shipment.opened", b"{}")])
    assert opened == [1]


def test_an_empty_file_or_schema_is_as_good_as_none(
    runtime: Runtime, places: Callable[[str], str], postgres_server: str
) -> None:
    fill(runtime, 2)
    file, schema = places("sqlite"), places("postgresql")
    Path(file.removeprefix("sqlite:///")).touch()
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema.rpartition("=")[2]}"'.encode())

    for into in (file, schema):
        assert replay(runtime, into, processes=1).shipments == 2
        assert held(into) == rows(runtime.store)


def test_a_damaged_file_is_told_in_a_sentence(tmp_path: Path, places: Callable[[str], str]) -> None:
    file, into = tmp_path / "damaged.db", places("sqlite")
    with open_runtime(Settings(f"sqlite:///{file}")) as runtime:
        fill(runtime, 40)
    content = bytearray(file.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    file.write_bytes(content)

    sentence = Cli(f"sqlite:///{file}").refusal("replay", "--into", into)

    assert "malformed" in sentence and sentence.startswith("the database failed (")
    assert nothing_at(into)


def test_no_ledger_is_no_source(cli: Cli, places: Callable[[str], str]) -> None:
    into = places("sqlite")

    assert "there is no ledger" in cli.refusal("replay", "--into", into)
    assert nothing_at(into)


def test_the_number_of_workers_has_bounds(filled: Cli) -> None:
    for workers in ("0", "257", "x"):
        assert "--workers" in filled.usage("replay", "--into", "sqlite:///x.db", "--workers", workers)


# Answers as of a moment


def test_a_command_answers_as_it_did_at_the_moment(cli: Cli, places: Callable[[str], str]) -> None:
    cli.ingest("poll_failed_delivery")
    known_at = moment()
    cli.ingest("poll_not_picked_up")
    into = places("sqlite")
    cli.text("replay", "--into", into, "--known-at", known_at.isoformat(), "--workers", "1")
    then = Cli(into)

    for command in ANSWERING:
        if command != ("parked",):
            options = ("--now", known_at.isoformat()) if "--now" in cli(*command, "--help").stdout else ()
            assert cli.json(*command, "--known-at", known_at.isoformat()) == then.json(*command, *options)
    assert len(then.json("shipments")) == 1 and len(cli.json("shipments")) == 2


def test_a_moment_is_judged_by_itself_unless_another_is_named(filled: Cli) -> None:
    early, late = "2026-03-03T00:00:00Z", "2026-03-09T00:00:00Z"

    def is_stuck(*options: str) -> bool:
        return bool(filled.json("status", "TL-20417", *options)["silence"]["is_stuck"])

    assert not is_stuck("--valid-at", early)
    assert is_stuck("--valid-at", early, "--now", late)
    assert is_stuck("--valid-at", late)
    assert not is_stuck("--valid-at", early, "--known-at", moment().isoformat())


def test_a_shipment_that_was_not_known_then_is_told(cli: Cli) -> None:
    cli.ingest("poll_failed_delivery")
    known_at = moment().isoformat().replace("+00:00", "Z")
    cli.ingest("poll_not_picked_up")

    for command in ("status", "timeline", "edd"):
        assert cli.refusal(command, "143399020817", "--known-at", known_at) == (
            f"nothing of '143399020817' was known at {known_at}; ask for a later moment, or leave it out"
        )
        assert "no shipment has the id" in cli.refusal(command, "nobody", "--known-at", known_at)
        assert "REF is empty" in cli.refusal(command, "", "--known-at", known_at, code=2)


def test_a_reference_that_names_several_lists_or_refuses_them_in_the_past_too(cli: Cli) -> None:
    cli.ingest("poll_failed_delivery")
    cli.ingest("poll_failed_delivery", account="other")
    known_at = moment().isoformat()

    assert len(cli.json("status", "TL-20417", "--known-at", known_at)) == 2
    for command in ("timeline", "edd"):
        sentence = cli.refusal(command, "TL-20417", "--known-at", known_at, code=2)
        assert sentence.startswith("'TL-20417' names 2 shipments; use one of their ids: ") and ATTEMPTED in sentence


def test_events_that_the_tables_lack_are_in_the_past(filled: Cli, runtime: Runtime) -> None:
    runtime.ledger.intake(reports(1))
    known_at = moment().isoformat()

    assert filled.json("status", "P0", "--known-at", known_at)["checkpoints"] == 7
