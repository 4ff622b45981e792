"""Do exported files hold what the tables hold, of one moment, whole or not at all, and safe to open?"""

import csv
import io
import json
import os
import pty
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.acted import acted_on
from support.cli import ATTEMPTED, NEVER_PICKED_UP, NOW, Cli, installed
from support.files import LATER, beginnings, exported, limited_to, rows_of
from support.parcels import batches, reports
from support.reports import estimate, report
from support.scans import instant, scan
from support.workers import Processes, pump_for_ever, take_in
from trackledger.adapters.exporting import as_parquet
from trackledger.adapters.exporting.as_csv import guarded, plain
from trackledger.adapters.exporting.formats import FORMATS, Format
from trackledger.adapters.exporting.ledger_file import EventLine
from trackledger.adapters.exporting.outfile import whole_file
from trackledger.adapters.exporting.relations import OF_EVENTS, RELATIONS
from trackledger.adapters.past import past
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.recorder import Recorder
from trackledger.adapters.storage.schema import LINKS
from trackledger.domain.checkpoints import Checkpoint, Registration, Report, Tracker
from trackledger.domain.errors import UnknownEvent
from trackledger.domain.ledger import Ledger
from trackledger.projections.rebuild import rebuild
from trackledger.projections.tables import TABLES, VIEWS

FORMULA = '=HYPERLINK("http://example.com","x")'
WORDS = ('Türen, "zu"\nund\tdicht', "-1+1", "\t=1", "'s-Hertogenbosch", "'=1", "＝1", " @SUM(A1)", "0042", "true", "")


def fill(runtime: Runtime) -> None:
    """Parcels of two accounts, in all states, with words that a spreadsheet or a parser could stumble over."""
    told = [
        report(
            *(
                scan(one.milestone, f"{day} 10:00", id=f"clickpost:{n}.{day}", location=word, remark=FORMULA)
                for day, one in enumerate(parts, start=1)
            ),
            at=f"{number + 1} 18:00",
            tracker=Tracker("clickpost", f"4:P{n}", "=Carrier", f"+{n}"),
            details={"order_id": word} if word else {},
            estimates=(estimate("carrier", "4"),),
        )
        for n, word in enumerate(WORDS)
        for number, parts in enumerate(_histories())
    ]
    runtime.ledger.intake(told)
    runtime.ledger.intake(reports(3))
    runtime.ledger.register(
        [
            Registration("PARENT", account="acme", trackers=(Tracker("ship24", "x:1"),)),
            Registration("PIECE", account="acme", piece_of="acme:host:PARENT"),
        ]
    )
    odd = Tracker("shippit", "S1")
    runtime.ledger.intake([report(scan("unknown", "1 10:00", said="@odd"), at="1 12:00", tracker=odd)])
    runtime.projector.catch_up()


def _histories() -> list[list[Checkpoint]]:
    said = [scan(one, "1 10:00") for one in ("picked_up", "in_transit", "out_for_delivery", "delivery_failed")]
    return [said[:2], said]


def expected(runtime: Runtime, name: str) -> list[dict[str, object]]:
    """The rows of a table or view, as of `LATER`."""
    one = RELATIONS[name]
    sql, params = one.query(LATER, None, None)
    with runtime.database.snapshot() as snapshot:
        return snapshot.read(sql, **params)


# What is in a file


@pytest.mark.parametrize("format_", FORMATS)
def test_every_table_and_view_is_written_as_it_is(runtime: Runtime, tmp_path: Path, format_: Format) -> None:
    fill(runtime)
    acted_on(runtime)

    for name, one in RELATIONS.items():
        done = exported(runtime, tmp_path / name, name, format_)
        found = rows_of(tmp_path / name, format_, one.columns)
        empty_is_none = {"": None} if format_ == "csv" else {}
        wanted = [
            {key: empty_is_none.get(value, value) if isinstance(value, str) else value for key, value in row.items()}
            for row in _typed(runtime, name)
        ]
        assert found == wanted, name
        assert (done.rows, done.position, len(found) > 0) == (len(found), runtime.store.head(), True), name


def _typed(runtime: Runtime, name: str) -> list[dict[str, object]]:
    """Rows by the types that PostgreSQL gives them: what a view computes has none on SQLite."""
    instants = ("first_seen", "last_seen")
    return [
        {
            key: datetime.fromisoformat(value)
            if key in instants and isinstance(value, str)
            else bool(value)
            if key == "overdue"
            else value
            for key, value in row.items()
        }
        for row in expected(runtime, name)
    ]


def test_tables_have_the_columns_of_their_declaration_and_views_their_own(runtime: Runtime) -> None:
    fill(runtime)
    assert {table.name: table.names for table in TABLES}.items() <= {n: r.names for n, r in RELATIONS.items()}.items()

    for view in VIEWS:
        (row, *_) = runtime.store.read(f"SELECT * FROM {{s}}{view.name}")
        assert set(row) == set(RELATIONS[view.name].names), view.name
    kinds = {column.name: column.kind for one in RELATIONS.values() if not one.is_view for column in one.columns}
    for view in VIEWS:
        for column in RELATIONS[view.name].columns:
            assert kinds.get(column.name, column.kind) is column.kind


def test_parquet_is_typed_and_in_groups(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(runtime)
    monkeypatch.setattr(as_parquet, "GROUP_ROWS", 1)
    monkeypatch.setattr("trackledger.adapters.exporting.exporter.PAGE", 4)

    exported(runtime, tmp_path / "shipments", "shipments", "parquet")
    exported(runtime, tmp_path / "dates", "delivery_dates", "parquet")

    file = pyarrow.parquet.ParquetFile(tmp_path / "shipments")
    types = {field.name: (str(field.type), field.nullable) for field in file.schema_arrow}
    assert types["since"] == ("timestamp[us, tz=UTC]", True)
    assert types["is_final"] == ("bool", False)
    assert types["attempts"] == ("int64", False)
    assert types["shipment_id"] == ("string", False)
    assert str(pyarrow.parquet.read_schema(tmp_path / "dates").field("original_to").type) == "date32[day]"
    assert (file.num_row_groups, file.metadata.num_rows) == (4, 13)


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_events_as_a_table_hold_the_stored_state(runtime: Runtime, tmp_path: Path, format_: Format) -> None:
    fill(runtime)

    exported(runtime, tmp_path / "table", "events", format_)
    exported(runtime, tmp_path / "lines", "events")

    lines = [json.loads(line) for line in (tmp_path / "lines").read_bytes().splitlines()[1:-1]]
    assert [
        {**row, "state": json.loads(row["state"])} for row in rows_of(tmp_path / "table", format_, OF_EVENTS)
    ] == lines
    assert list(lines[0]) == list(EventLine.__struct_fields__)


def test_an_event_stands_in_its_line_byte_for_byte(runtime: Runtime, tmp_path: Path) -> None:
    fill(runtime)

    done = exported(runtime, tmp_path / "file")

    header, *lines, trailer = (tmp_path / "file").read_bytes().splitlines()
    states = [line.partition(b'"state":')[2].removesuffix(b"}") for line in lines]
    assert states == [
        bytes(row[0]) for row in runtime.database.tuples("SELECT state FROM {s}stored_events ORDER BY notification_id")
    ]
    told = json.loads(header)
    assert (told["format"], told["version"], told["keys"], told["known_at"]) == ("trackledger.events", 1, False, None)
    assert told["position"] == done.position == done.rows == runtime.store.head()
    assert json.loads(trailer) == {"events": done.rows, "keys": 0, "sha256": done.sha256}
    assert "postgres" not in told["ledger"] and "/" not in told["ledger"]


def test_an_event_that_could_not_be_read_again_is_told(runtime: Runtime, tmp_path: Path) -> None:
    fill(runtime)
    (old,) = runtime.database.tuples("SELECT state FROM {s}stored_events WHERE notification_id = 3")
    for state, sentence in ((b"{}", "cannot be read"), (bytes(old[0]).replace(b",", b",\n", 1), "in several lines")):
        with runtime.database.transaction() as transaction:
            transaction.execute("UPDATE {s}stored_events SET state = :state WHERE notification_id = 3", state=state)
        with pytest.raises(UnknownEvent, match=sentence):
            exported(runtime, tmp_path / "file")
    with runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}stored_events SET state = :state WHERE notification_id = 3", state=b"\xff")
    with pytest.raises(UnknownEvent, match="is no text; run `trackledger verify`"):
        exported(runtime, tmp_path / "file", "events", "csv")


# Spreadsheets


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        (FORMULA, "'" + FORMULA),
        ("+49 30 1234", "'+49 30 1234"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\n=x", "'\n=x"),
        ("  =x", "'  =x"),
        ("\u00a0=x", "'\u00a0=x"),
        ("＝x", "'＝x"),
        ("＋x", "'＋x"),
        ("－x", "'－x"),
        ("＠x", "'＠x"),
        ("'=x", "''=x"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
        ("a=b", "a=b"),
        (" x", " x"),
        ("", ""),
    ],
)
def test_a_text_that_a_spreadsheet_would_run_has_an_apostrophe_in_front(text: str, cell: str) -> None:
    assert guarded(text) == cell
    assert plain(cell) == text


@given(st.text(st.sampled_from("'=+-@＝＠\t\r\n a0")) | st.text())
def test_the_apostrophe_can_be_taken_away_again(text: str) -> None:
    assert plain(guarded(text)) == text
    assert guarded(text).lstrip(" ")[:1] not in {*"=+-@\t\r\n"} or text == ""


def test_no_cell_begins_like_a_formula_and_numbers_stay_plain(runtime: Runtime, tmp_path: Path) -> None:
    fill(runtime)

    exported(runtime, tmp_path / "timeline.csv", "timeline", "csv")
    exported(runtime, tmp_path / "shipments.csv", "shipments", "csv")

    text = (tmp_path / "timeline.csv").read_bytes().decode()
    header, *lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert tuple(header) == RELATIONS["timeline"].names
    assert "\r\n" in text
    cells = [cell for line in lines for cell in line]
    assert "'" + FORMULA in cells
    assert not [cell for cell in cells if cell.strip()[:1] in {*"=+-@＝"} and cell]
    assert WORDS[0] in cells
    shipments = io.StringIO((tmp_path / "shipments.csv").read_text("utf-8-sig"))
    (row,) = [one for one in csv.DictReader(shipments) if one["tracking_number"] == "'+5"]
    assert (row["attempts"], row["is_final"]) == ("1", "false")
    assert row["since"] == "2025-03-04T04:30:00.000000Z"


# As of a moment, and a part


def live(runtime: Runtime) -> None:
    """Three parcels, each report recorded when it was received."""
    for one in sorted(reports(3), key=lambda one: one.received_at):
        _record(runtime, one)
    runtime.projector.catch_up()


def _record(runtime: Runtime, one: Report) -> None:
    Ledger(Recorder(runtime.database), clock=lambda: one.received_at).intake([one])


@pytest.mark.parametrize(("known", "valid"), [("4 18:00", None), (None, "3 18:00"), ("5 18:00", "4 18:00")])
def test_tables_as_of_a_moment_are_those_of_the_past(
    runtime: Runtime, tmp_path: Path, known: str | None, valid: str | None
) -> None:
    live(runtime)
    known_at, valid_at = (instant(text) if text else None for text in (known, valid))

    for table in (*TABLES, LINKS):
        name = table.name
        exported(runtime, tmp_path / name, name, known_at=known_at, valid_at=valid_at)
        with past(runtime, known_at=known_at, valid_at=valid_at) as tables:
            rows = tables.read(f"SELECT * FROM {{s}}{name} ORDER BY {', '.join(table.key)}")
        assert rows_of(tmp_path / name, "ndjson", RELATIONS[name].columns) == rows
        assert rows or name in ("ndr_cases", "ndr_actions", "journeys")


def test_events_as_of_a_moment_are_those_recorded_by_then(runtime: Runtime, tmp_path: Path) -> None:
    live(runtime)
    known_at = instant("4 18:00")

    done = exported(runtime, tmp_path / "file", known_at=known_at)

    header, *lines, _ = [json.loads(line) for line in (tmp_path / "file").read_bytes().splitlines()]
    assert {datetime.fromisoformat(line["state"]["recorded_at"]) <= known_at for line in lines} == {True}
    assert done.rows == len(lines) == 15
    assert datetime.fromisoformat(header["known_at"]) == known_at


def test_a_view_with_a_clock_is_as_of_the_time_asked_for(filled: Cli) -> None:
    def stuck(*options: str) -> list[str]:
        return [
            json.loads(line)["shipment_id"]
            for line in filled("export", "stuck_shipments", *options).stdout.splitlines()
        ]

    assert stuck("--now", "2026-01-13T00:00:00Z") == []
    assert stuck("--now", NOW) == [NEVER_PICKED_UP]
    assert stuck("--now", "2026-04-01T00:00:00Z") == sorted([ATTEMPTED, NEVER_PICKED_UP])
    assert stuck("--now", NOW) == [row["shipment_id"] for row in filled.json("stuck", "--now", NOW)]


def test_a_part_of_a_table(cli: Cli) -> None:
    cli.ingest("poll_failed_delivery")
    cli.ingest("poll_failed_delivery", account="acme")
    cli.ingest("poll_not_picked_up", account="acme.too")

    def ids(*options: str) -> list[str]:
        return [json.loads(line)["shipment_id"] for line in cli("export", *options).stdout.splitlines()]

    assert ids("shipments", "--account", "acme") == [ATTEMPTED.replace("default", "acme")]
    assert set(ids("timeline", "--account", "acme.too")) == {NEVER_PICKED_UP.replace("default", "acme.too")}
    assert ids("shipments", "--account", "nobody") == []
    assert len(ids("tracker_links", "--provider", "clickpost")) == 3
    assert ids("shipments", "--provider", "ship24") == []


# Of one moment


def test_an_export_is_of_one_moment_while_others_write_and_rebuild(
    runtime: Runtime, database_url: str, others: Processes, tmp_path: Path
) -> None:
    runtime.ledger.intake(reports(40))
    stop = tmp_path / "stop"
    told = batches(reports(60, 40), 3, 20)
    pump = others.start(pump_for_ever, database_url, 7, str(stop))
    writer = others.start(take_in, database_url, told)
    rebuilding = Thread(target=lambda: rebuild(runtime.rebuilds))
    rebuilding.start()
    seen: list[int] = []
    with open_runtime(Settings(database_url), create=False) as other:
        while not writer.done() or len(seen) < 3:
            (tmp_path / "out").mkdir()
            cli = Cli(database_url)
            done = cli("export", "all", "--out", str(tmp_path / "out" / "all"), "--json")
            assert done.exit_code == 0, done.output
            files = {one["what"]: one for one in json.loads(done.stdout)}
            shipments = [json.loads(line) for line in (tmp_path / "out/all/shipments.ndjson").read_bytes().splitlines()]
            assert sum(row["checkpoints"] for row in shipments) == files["timeline"]["rows"]
            assert max((row["position"] for row in shipments), default=0) <= files["shipments"]["position"]
            assert files["events"]["rows"] == files["events"]["position"] >= files["shipments"]["position"]
            assert len({one["position"] for what, one in files.items() if what != "events"}) == 1
            seen.append(files["events"]["rows"])
            (tmp_path / "out").rename(tmp_path / f"seen{len(seen)}")
        rebuilding.join()
        stop.touch()
        pump.result()
        assert seen == sorted(seen)
        assert other.store.head() >= seen[-1] >= 320


# Whole or not at all


def test_a_file_that_is_there_is_not_overwritten(filled: Cli, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("mine")
    link = tmp_path / "link.csv"
    link.symlink_to(file)

    assert filled.refusal("export", "shipments", "--out", "x.csv", code=2).endswith(
        "x.csv is there already; name another file with --out, or replace it with --force"
    )
    assert file.read_text() == "mine"
    filled.text("export", "shipments", "--out", "link.csv", "--force")
    assert link.is_symlink()
    assert "shipment_id" in file.read_text("utf-8")


def test_what_is_no_place_for_a_file_is_told(filled: Cli, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for out, code, sentence in (
        ("folder.csv", 2, "is no file; name one with --out"),
        (
            "missing/x.csv",
            1,
            "missing/x.csv cannot be written: No such file or directory; name another place with --out",
        ),
        ("full/file/x.csv", 1, "cannot be written: Not a directory; name another place with --out"),
        ("/dev/null/x.csv", 1, "cannot be written: Not a directory; name another place with --out"),
        ("x.txt", 2, "the ending of 'x.txt' is none of .ndjson, .jsonl, .csv, .parquet; name a format with --format"),
    ):
        assert filled.refusal("export", "shipments", "--out", out, code=code).endswith(sentence)
    assert filled.refusal("export", "shipments", "--out", "/dev/null", "--format", "csv", "--force", code=2)
    for out, sentence in (("full", "holds files already"), ("full/file", "is no folder")):
        assert f"{sentence}; name a new folder with --out" in filled.refusal("export", "all", "--out", out, code=2)
    assert beginnings(tmp_path) == []


def test_what_cannot_be_asked_is_told(filled: Cli) -> None:
    for args, sentence in (
        (("nothing",), "there is no table or view 'nothing'; use one of: events, all, shipments, timeline,"),
        (("stored_events",), "there is no table or view 'stored_events'"),
        (("all",), "all are several files; name a new folder for them with --out"),
        (("events", "--account", "x"), "events is the ledger as a whole; --account and --provider are for tables"),
        (("events", "--valid-at", NOW), "events are what was recorded, whatever it is about; --valid-at is for tables"),
        (("unmapped", "--account", "x"), "unmapped is about all accounts together; leave out --account"),
        (("shipments", "--account", "a:b"), "account 'a:b' must be 1 to 64 of the characters"),
        (("silence", "--provider", "x"), "silence does not say who told of it; --provider is for shipments, timeline,"),
        (("shipments", "--with-keys"), "--with-keys is for events as NDJSON"),
        (("events", "--format", "csv", "--with-keys"), "--with-keys is for events as NDJSON"),
        (("shipments", "--known-at", "2019-01-01T00:00:00Z"), "nothing was known at 2019-01-01T00:00:00Z"),
        (("events", "--known-at", "2019-01-01T00:00:00Z"), "nothing was known at 2019-01-01T00:00:00Z"),
        (("shipments", "--valid-at", "2999-01-01T00:00:00Z"), "is in the future"),
    ):
        assert sentence in filled.refusal("export", *args, code=2)
    assert "is not one of 'ndjson', 'csv', 'parquet'" in filled.usage("export", "shipments", "--format", "xls")


def test_a_ledger_that_is_not_there_is_not_made(cli: Cli, tmp_path: Path) -> None:
    assert cli.refusal("export", "shipments", "--out", "x.csv").startswith("there is no ledger")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_an_export_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "x") as file:
        file.write(b"a part")
        file.flush()
        assert len(beginnings(tmp_path)) == 1
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def _ingested(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    url = f"sqlite:///{tmp_path}/ledger.db"
    with open_runtime(Settings(url)) as runtime:
        runtime.ledger.intake(reports(60))
        runtime.projector.catch_up()
    return [installed(), "export"], {**os.environ, "TRACKLEDGER_DB": url}


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    command, environment = _ingested(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    for what in (("events", "--out", "x.ndjson"), ("timeline", "--out", "x.csv"), ("all", "--out", "folder")):
        done = subprocess.run(
            [*command, *what],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            preexec_fn=limited_to(40_000),
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert "cannot be written: File too large; name another place with --out" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*command, "events"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "trackledger: the answer cannot be written: No space left on device; see where it goes\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    command, environment = _ingested(tmp_path)

    with subprocess.Popen(
        [*command, "events"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b'{"format"')
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_a_terminal_is_no_place_for_an_export(tmp_path: Path) -> None:
    command, environment = _ingested(tmp_path)
    for format_ in FORMATS:
        ours, theirs = pty.openpty()
        done = subprocess.run(
            [*command, "shipments", "--format", format_],
            env=environment,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(theirs)
        os.close(ours)
        assert done.returncode == 2
        assert done.stderr == (
            f"trackledger: shipments as {format_} is not for a terminal; name a file with --out, "
            f"or send it on by a pipe\n"
        )


def test_parquet_goes_through_a_pipe(filled: Cli) -> None:
    done = filled("export", "shipments", "--format", "parquet")

    table = pyarrow.parquet.read_table(io.BytesIO(done.stdout_bytes))
    assert table.num_rows == 2
    assert done.stderr == "shipments: 2 rows, as of position 4\n"


def test_without_pyarrow_parquet_is_told_what_it_needs(
    filled: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(sys.modules, "trackledger.adapters.exporting.as_parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert filled.refusal("export", "shipments", "--out", "x.parquet", code=2) == (
        "Parquet needs the library pyarrow, which is not installed; run `pip install 'trackledger[parquet]'`"
    )
    assert beginnings(tmp_path) == []
    filled.text("export", "shipments", "--out", "x.csv")


# The command


def test_the_answer_says_what_was_written(filled: Cli, tmp_path: Path) -> None:
    assert filled.text("export", "shipments", "--out", "x.csv") == "shipments: 2 rows, as of position 4\n"
    (told,) = filled.json("export", "events", "--out", "y.ndjson")
    assert (told["what"], told["rows"], told["position"], told["sealed"]) == ("events", 4, 4, 0)
    assert told["sha256"] in (tmp_path / "y.ndjson").read_text()
    to_stdout = filled("export", "ndr_cases", "--json")
    assert json.loads(to_stdout.stdout)["shipment_id"] == ATTEMPTED
    assert json.loads(to_stdout.stderr)[0]["rows"] == 1


@pytest.mark.parametrize("format_", FORMATS)
def test_all_is_a_folder_with_everything(filled: Cli, tmp_path: Path, format_: Format) -> None:
    (tmp_path / "all").mkdir()

    told = filled.json("export", "all", "--out", "all", "--format", format_)

    names = {path.name for path in (tmp_path / "all").iterdir()}
    assert names == {"events.ndjson", *(f"{name}.{format_}" for name in RELATIONS)}
    assert {one["what"]: one["rows"] for one in told}["timeline"] == 17
    for name, one in RELATIONS.items():
        assert rows_of(tmp_path / "all" / f"{name}.{format_}", format_, one.columns) is not None
    assert beginnings(tmp_path) == []


def test_all_as_of_a_moment(filled: Cli, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    time.sleep(0.001)
    filled.ingest("poll_rto_delivered")

    told = {
        one["what"]: one["rows"] for one in filled.json("export", "all", "--out", "all", "--known-at", now.isoformat())
    }

    assert (told["events"], told["shipments"]) == (4, 2)
    assert len((tmp_path / "all/shipments.ndjson").read_bytes().splitlines()) == 2


def test_tables_that_are_behind_are_told(filled: Cli, database_url: str) -> None:
    with open_runtime(Settings(database_url), create=False) as runtime:
        runtime.ledger.intake(reports(1)[:1])

    done = filled("export", "shipments")

    assert "the tables are 2 events behind the ledger" in done.stderr
    assert "shipments: 2 rows, as of position 4" in done.stderr


def test_keys_are_in_a_file_of_its_owner_alone(cli: Cli, tmp_path: Path, database_url: str) -> None:
    with open_runtime(Settings(database_url, privacy="sealed")) as runtime:
        runtime.ledger.intake(reports(2))
        runtime.projector.catch_up()

    done = cli("export", "events", "--out", "without.ndjson")
    assert "2 shipments are private, and their text cannot be read without their keys" in done.stderr
    assert cli("export", "events", "--out", "with.ndjson", "--with-keys").stderr == ""
    assert cli("export", "all", "--out", "all", "--with-keys").stderr == ""

    for name in ("with.ndjson", "all/events.ndjson"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
        assert json.loads((tmp_path / name).read_bytes().splitlines()[-1])["keys"] == 2
    assert (tmp_path / "without.ndjson").stat().st_mode & 0o044 == 0o044
