"""What does an audit of a large ledger find, and how long does each step take?

    uv run python -m benchmarks.audit [--checkpoints 1000000] [--only sqlite|postgresql] [--folder DIR]

started in `tests/`. A ledger hears simulated worlds of all six providers until it holds so many checkpoints. At three
moments the digest of its live tables is taken, from a snapshot that is read while the ledger grows on. Then each moment
is replayed and has to give the same digest; events are tampered with in a copy and have to be found; the tables are
rebuilt while others write and read; and an export is imported into an empty ledger, which has to be the same.
Fails with an assertion where something is not so.
"""

import argparse
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import perf_counter, sleep
from typing import TypeVar

from benchmarks.__main__ import memory, say
from benchmarks.world import messages
from support.postgres import server
from trackledger.adapters.exporting.exporter import export
from trackledger.adapters.exporting.relations import EVENTS
from trackledger.adapters.exporting.wanted import Wanted
from trackledger.adapters.importing import import_ledger
from trackledger.adapters.one_shipment import history
from trackledger.adapters.proof.heads import Head, Trust
from trackledger.adapters.proof.notes import new_key
from trackledger.adapters.proof.sealer import Sealer
from trackledger.adapters.proof.verifier import Verified, verify
from trackledger.adapters.replay import replay
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.bulk import Filled
from trackledger.adapters.table_check import check_tables
from trackledger.domain.checkpoints import Registration
from trackledger.projections.digest import of_tables
from trackledger.projections.rebuild import rebuild
from trackledger.projections.tables import TABLES

T = TypeVar("T")
KEY = new_key("audit.example/ledger")
TRUST = Trust((KEY.verifier,))
MOMENTS = (0.25, 0.5, 0.75)


def timed(what: str, act: Callable[[], T], number: Callable[[T], int] = lambda _: 0, of: str = "") -> T:
    """Do something and tell how long it took."""
    started = perf_counter()
    result = act()
    seconds = perf_counter() - started
    many = number(result)
    rate = f", {many / seconds:,.0f} {of} /s" if many else ""
    say(f"  {what}: {seconds:.1f} s{rate}")
    return result


def fill(database: str, checkpoints: int) -> dict[datetime, str]:
    """Let a ledger grow, and take the digest of its live tables at three moments while it does."""
    wanted = [checkpoints * share for share in MOMENTS]
    digests: dict[datetime, str] = {}
    looking: list[Thread] = []
    heard = 0
    for runtime, batch in messages(database, checkpoints):
        heard += sum(outcome.recorded for outcome in runtime.intake.take(batch))
        runtime.projector.catch_up()
        if wanted and heard >= wanted[0]:
            del wanted[0]
            looking.append(look(database, digests))
    for thread in looking:
        thread.join()
    return digests


def look(database: str, digests: dict[datetime, str]) -> Thread:
    """Take the digest of the tables at this moment, in a thread that reads while others write on."""
    began = Event()

    def read() -> None:
        with open_runtime(Settings(database)) as own, own.database.snapshot() as moment:
            moment.tuples("SELECT COUNT(*) FROM {s}positions")
            now = datetime.now(UTC)
            began.set()
            digests[now] = of_tables(moment)

    thread = Thread(target=read)
    thread.start()
    began.wait()
    return thread


@contextmanager
def readers(database: str) -> Iterator[list[int]]:
    """Others that count the rows of all tables again and again, and see them all each time; a writer among them."""
    stop, counts, failed = Event(), list[int](), list[BaseException]()

    def read() -> None:
        with open_runtime(Settings(database)) as own:
            least = dict.fromkeys(TABLES, 0)
            while not stop.is_set():
                for table in TABLES:
                    rows = int(own.database.tuples(f"SELECT COUNT(*) FROM {{s}}{table.name}")[0][0])
                    assert rows >= least[table], f"{table.name} fell from {least[table]:,} to {rows:,} rows"
                    least[table] = rows
                counts.append(least[next(iter(TABLES))])

    def write() -> None:
        with open_runtime(Settings(database)) as own:
            number = 0
            while not stop.is_set():
                number += 1
                own.ledger.register([Registration(f"MEANWHILE-{number}")])
                own.projector.catch_up()
                sleep(0.05)

    def go(act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=go, args=(act,)) for act in (read, read, write)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


TAMPERINGS = {
    "a byte of a statement flipped": "UPDATE {s}stored_events SET state = {flipped} WHERE notification_id = :n",
    "an event deleted": "DELETE FROM {s}stored_events WHERE notification_id = :n",
    "an event moved to another shipment": "UPDATE {s}stored_events SET originator_id = 'x' WHERE notification_id = :n",
    "an event given another version": """UPDATE {s}stored_events SET originator_version = 99999
        WHERE notification_id = :n""",
    "the tail cut off": "DELETE FROM {s}stored_events WHERE notification_id >= :n",
}


def tamper(runtime: Runtime, position: int) -> None:
    """Change an event in each way in turn, and see that it is found and named; then put it back."""
    flipped = {
        "sqlite": "CAST(replace(CAST(state AS TEXT), 'a', 'e') AS BLOB)",
        "postgresql": "convert_to(replace(convert_from(state, 'UTF8'), 'a', 'e'), 'UTF8')",
    }[runtime.database.dialect]
    columns = "notification_id, originator_id, originator_version, topic, state"
    kept = runtime.database.tuples(f"SELECT {columns} FROM {{s}}stored_events WHERE notification_id >= :n", n=position)
    for what, sql in TAMPERINGS.items():
        with runtime.database.transaction() as transaction:
            transaction.execute(sql.replace("{flipped}", flipped), n=position)
        found: Verified = timed(f"verify, {what}", lambda: verify(runtime, TRUST))
        assert found.count, what
        assert any(str(f"{position:,}") in str(one) or str(position) in str(one) for one in found.findings), what
        say(f"    {found.findings[0]}")
        with runtime.database.transaction() as transaction:
            transaction.execute("DELETE FROM {s}stored_events WHERE notification_id >= :n", n=position)
            names = columns.split(", ")
            transaction.execute_many(
                f"INSERT INTO {{s}}stored_events ({columns}) VALUES ({', '.join(f':{n}' for n in names)})",
                [dict(zip(names, row, strict=True)) for row in kept],
            )
    assert not verify(runtime, TRUST).count


def audit(kind: str, place: Callable[[str], str], checkpoints: int, folder: Path) -> None:
    """Every step on one kind of database; `place` makes the URL of an unused place for a ledger."""
    database = place("live")
    say(f"\n{kind}")
    digests = timed("growing", lambda: fill(database, checkpoints), lambda _: checkpoints, "checkpoints")
    with open_runtime(Settings(database)) as runtime:
        held = int(runtime.store.read("SELECT COUNT(*) AS n FROM {s}timeline")[0]["n"])
        say(f"  {held:,} checkpoints in {runtime.store.head():,} events")
        for moment, digest in digests.items():
            replayed = timed(
                f"replay as known at {moment:%H:%M:%S}",
                partial(replay, runtime, place(f"past{moment:%H%M%S%f}"), known_at=moment, processes=2),
                lambda one: one.checkpoints,
                "checkpoints",
            )
            assert replayed.digest == digest, moment
        whole = timed(
            "replay of all",
            lambda: replay(runtime, place("whole"), processes=2),
            lambda r: r.checkpoints,
            "checkpoints",
        )
        checked = timed("tables against a fresh fold", lambda: check_tables(runtime), lambda _: held, "checkpoints")
        assert not checked.differing
        assert checked.digest == whole.digest
        head: Head = timed("seal", Sealer(runtime.database, KEY, TRUST).seal, lambda h: h.size, "events")
        verified = timed("verify", lambda: verify(runtime, TRUST), lambda v: v.events, "events")
        assert (verified.count, verified.sealed) == (0, head.size)
        tamper(runtime, head.size - 1000)
        look_back(runtime, list(digests)[1])
        with readers(database) as counts:
            parities = timed(
                "rebuild while others read and write", lambda: rebuild(runtime.rebuilds), lambda _: held, "checkpoints"
            )
        say(f"  {len(counts)} readings of all tables meanwhile, none of them short of a row")
        assert all(parity.holds for parity in parities)
    move(database, place("moved"), folder / "export.ndjson")
    say(f"  peak memory of this process {memory():.0f} MiB")


def look_back(runtime: Runtime, moment: datetime) -> None:
    """The history of some shipments, one after the other."""
    ids = [
        row[0]
        for row in runtime.database.tuples(
            "SELECT shipment_id FROM {s}shipments WHERE opened_at <= :at ORDER BY since LIMIT 200", at=moment
        )
    ]
    started = perf_counter()
    for id_ in ids:
        history(runtime, id_, known_at=moment)
    say(f"  history of one shipment: {(perf_counter() - started) / len(ids) * 1000:.1f} ms")


def move(database: str, into: str, file: Path) -> None:
    """Export the whole ledger and import it elsewhere: events and rows are the same."""
    with open_runtime(Settings(database)) as runtime:
        runtime.projector.catch_up()
        with file.open("wb") as out:
            wanted = Wanted(EVENTS, "ndjson", datetime.now(UTC))
            timed("export", lambda: export(runtime, wanted, out, lambda done, total: None), lambda e: e.rows, "events")
        digest = of_tables(runtime.database)
    with file.open("rb") as source:
        imported: Filled = timed("import", lambda: import_ledger(Settings(into), source), lambda i: i.events, "events")
    assert imported.digest == digest
    file.unlink()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if asked.only != "postgresql":
            audit("SQLite", lambda name: f"sqlite:///{folder / name}.db", asked.checkpoints, folder)
        if asked.only != "sqlite":
            address = stack.enter_context(server())
            separator = "&" if "?" in address else "?"

            def place(name: str) -> str:
                return f"{address}{separator}schema={name}_{uuid.uuid4().hex[:8]}"

            audit("PostgreSQL", place, asked.checkpoints, folder)


if __name__ == "__main__":
    main()
