"""Is a ledger that is made of an exported file the same, and is a damaged file found before anything is written?"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cli import ATTEMPTED, Cli, fixture
from support.files import contents, edited, events_digest, exported, imported, resealed
from support.parcels import parcel_id, reports, webhooks
from support.reports import report
from support.rows import rows
from support.scans import scan
from support.simulated import heard, take
from trackledger.adapters.inbox import message
from trackledger.adapters.replay import replay
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.simulator.simulation import Simulation
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.domain.errors import Refused, TrackledgerError, Unreadable, UsageError
from trackledger.domain.links import links_of
from trackledger.domain.mapper import decode
from trackledger.projections.digest import of_tables
from trackledger.projections.rebuild import rebuild
from trackledger.projections.tables import TABLES, lag

KINDS = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
HELD = ("tracker_links", "poisoned", "positions", *(table.name for table in TABLES))


def fill(runtime: Runtime, parcels: int = 5) -> None:
    """Parcels with corrections by hand, one that was forgotten, and one with several trackers and the host's reference,
    which it was given later."""
    runtime.ledger.intake(reports(parcels))
    runtime.ledger.note(parcel_id(0), "looked into", "clerk@shop")
    runtime.ledger.withdraw(parcel_id(1), ["clickpost:1.5"], "clerk@shop", "another parcel's")
    runtime.ledger.forget(parcel_id(2), "clerk@shop", "asked to")
    runtime.ledger.register(
        [Registration("ORDER-17", trackers=(Tracker("clickpost", "4:P3"), Tracker("ship24", "x:1")))]
    )
    runtime.projector.catch_up()


def nothing_at(url: str) -> bool:
    """Whether nothing is left of a ledger that was to be at a URL, nor of its beginnings."""
    if url.startswith("sqlite:"):
        path = Path(url.removeprefix("sqlite:///"))
        return not path.exists() and not list(path.parent.glob(f".{path.name}*"))
    address, _, name = url.rpartition("schema=")
    with psycopg.connect(address.rstrip("?&")) as connection:
        return connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (name,)).fetchone() is None


# The same ledger


def test_a_ledger_comes_back_the_same_by_way_of_the_other_database(
    database_url: str, places: Callable[[str], str], tmp_path: Path
) -> None:
    simulation = Simulation(7, 12)
    with simulation.serve() as running, open_runtime(running.settings(database_url)) as runtime:
        runtime.ledger.register(running.registrations())
        take(runtime, heard(runtime, list(running.deliveries())))
        fill(runtime)
        first, digest = exported(runtime, tmp_path / "first"), of_tables(runtime.database)
    original = contents(database_url, *HELD)
    other, back = places("sqlite" if database_url.startswith("postgresql") else "postgresql"), places("sqlite")

    done = imported(other, tmp_path / "first")
    with open_runtime(Settings(other), create=False) as runtime:
        second = exported(runtime, tmp_path / "second")
        assert of_tables(runtime.database) == digest
    imported(back, tmp_path / "second")

    assert contents(other, *HELD) == contents(back, *HELD) == original
    assert (done.events, done.position, done.poisoned, done.digest) == (first.rows, first.position, 0, digest)
    assert (done.shipments, done.checkpoints) == (len(original["shipments"]), len(original["timeline"]))
    one, two = ((tmp_path / name).read_bytes().splitlines() for name in ("first", "second"))
    assert one[1:-1] == two[1:-1]
    assert (second.rows, second.position) == (first.rows, first.position)


def test_links_follow_from_the_events_of_their_shipment(runtime: Runtime) -> None:
    fill(runtime)
    links = runtime.store.read("SELECT * FROM {s}tracker_links ORDER BY tracker")
    ids = [row["shipment_id"] for row in links]

    found = [
        link
        for id_, stream in runtime.store.streams(ids, runtime.store.head()).items()
        for link in links_of(id_, (decode(stored).event for stored in stream))
    ]

    assert len(links) == 7
    assert [
        {name: getattr(link, name) for name in links[0]} for link in sorted(found, key=lambda one: one.tracker)
    ] == links
    assert links_of("default:host:R", []) == []


@KINDS
def test_the_ledger_goes_on_as_the_original_would(
    runtime: Runtime, places: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    fill(runtime)
    exported(runtime, tmp_path / "file")
    last, into = runtime.store.head(), places(kind)
    imported(into, tmp_path / "file")

    with open_runtime(Settings(into), create=False) as restored:
        assert lag(restored.store) == 0
        assert restored.projector.catch_up() == 0
        again = restored.ledger.intake(reports(2))
        assert sum(one.events for one in again) == 0
        assert [one.error for one in again if one.error] == []
        (forgotten,) = restored.ledger.intake(reports(3)[-1:])
        assert forgotten.forgotten
        news = scan("returned", "9 10:00", id="clickpost:0.9")
        (told,) = restored.ledger.intake([report(news, at="9 12:00", tracker=Tracker("clickpost", "4:P0"))])
        assert (told.recorded, told.position) == (1, last + 1)
        (opened,) = restored.ledger.register([Registration("NEW")])
        assert (opened.shipment_id, opened.position) == ("default:host:NEW", last + 2)
        assert restored.projector.catch_up() == 2
        assert restored.ledger.find("ORDER-17") == [parcel_id(3)]
        versions = [placed.originator_version for placed in restored.ledger.history(parcel_id(0))]
        assert versions == list(range(1, len(runtime.ledger.history(parcel_id(0))) + 2))


@KINDS
def test_messages_are_taken_in_as_on_the_original(cli: Cli, places: Callable[[str], str], kind: str) -> None:
    cli.ingest("poll_failed_delivery")
    cli.json("export", "events", "--out", "ledger.ndjson")
    restored = Cli(places(kind))

    assert restored.json("import", "ledger.ndjson")["events"] == 2
    (told,) = restored.ingest("poll_failed_delivery")
    assert (told["recorded"], told["repeated"]) == (0, 9)
    assert restored.json("status", "TL-20417") == cli.json("status", "TL-20417")
    # Raw messages are not in the file: the one that is there now came just now.
    assert restored.json("doctor", code=0)
    assert [row["tracker"] for row in restored.json("polls")] == [row["tracker"] for row in cli.json("polls")]


@KINDS
def test_an_empty_ledger_of_an_empty_one(
    runtime: Runtime, places: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    done = exported(runtime, tmp_path / "file")
    assert (done.rows, done.position) == (0, 0)
    into = places(kind)

    assert imported(into, tmp_path / "file").events == 0

    with open_runtime(Settings(into), create=False) as restored:
        assert restored.ledger.intake(reports(1)[:1])[0].position == 2
        assert restored.projector.catch_up() == 2


def test_a_ledger_that_holds_no_event_is_filled_and_keeps_the_rest(
    runtime: Runtime, database_url: str, tmp_path: Path
) -> None:
    with open_runtime(Settings(f"sqlite:///{tmp_path}/source.db")) as source:
        fill(source, 3)
        exported(source, tmp_path / "file")
        digest, original = of_tables(source.database), events_digest(source)
    runtime.inbox.append(
        [message("clickpost", Path(fixture("poll_failed_delivery")).read_bytes(), received_at=datetime.now(UTC))]
    )
    rebuild(runtime.rebuilds)

    assert imported(database_url, tmp_path / "file").digest == digest

    assert (of_tables(runtime.database), events_digest(runtime)) == (digest, original)
    assert runtime.inbox.waiting() == 1
    runtime.intake.catch_up()
    assert runtime.projector.catch_up() == 2
    with pytest.raises(UsageError, match="holds events already; name one that is empty or new with --db"):
        imported(database_url, tmp_path / "file")


@KINDS
def test_as_of_a_moment(runtime: Runtime, places: Callable[[str], str], tmp_path: Path, kind: str) -> None:
    runtime.ledger.intake(reports(3)[:8])
    known_at = datetime.now(UTC)
    while datetime.now(UTC) <= known_at:
        pass
    runtime.ledger.intake(webhooks(4))
    runtime.projector.catch_up()
    into = places(kind)

    done = imported(into, tmp_path / "file") if exported(runtime, tmp_path / "file", known_at=known_at).rows else None

    assert done is not None
    assert done.digest == replay(runtime, places("sqlite"), known_at=known_at, processes=1).digest
    assert done.position < runtime.store.head()
    assert json.loads((tmp_path / "file").read_bytes().splitlines()[0])["position"] == runtime.store.head()
    with open_runtime(Settings(into), create=False) as restored:
        assert restored.ledger.intake(webhooks(4, 9)[:1])[0].position == done.position + 2


@KINDS
def test_a_shipment_that_cannot_be_folded_has_its_events_and_links(
    runtime: Runtime, places: Callable[[str], str], tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = Tracker("clickpost", "4:P0")
    runtime.ledger.intake([report(at="1 10:00", tracker=tracker, details={"registered_at": "some day"})])
    runtime.projector.catch_up()
    assert "cannot be folded" in caplog.text
    exported(runtime, tmp_path / "file")
    into = places(kind)

    done = imported(into, tmp_path / "file")

    assert (done.events, done.shipments, done.poisoned) == (2, 0, 1)
    with open_runtime(Settings(into), create=False) as restored:
        for name in ("poisoned", "tracker_links"):
            assert restored.store.read(f"SELECT * FROM {{s}}{name}") == runtime.store.read(f"SELECT * FROM {{s}}{name}")
        (told,) = restored.ledger.intake(reports(1)[:1])
        assert (told.shipment_id, told.recorded, told.error) == (parcel_id(0), 1, "")


# Private shipments


@KINDS
@pytest.mark.parametrize("with_keys", [True, False])
def test_the_text_of_private_shipments_needs_their_keys(
    database_url: str, places: Callable[[str], str], tmp_path: Path, kind: str, with_keys: bool
) -> None:
    into = places(kind)
    with open_runtime(Settings(database_url, privacy="sealed")) as runtime:
        told = [
            report(
                scan("in_transit", "3 10:00", id=f"clickpost:{n}", location="Pune"),
                at="3 12:00",
                tracker=Tracker("clickpost", f"4:P{n}"),
            )
            for n in range(3)
        ]
        runtime.ledger.intake(told)
        runtime.ledger.forget(parcel_id(2), "clerk@shop", "asked to")
        runtime.forgetting.forget(parcel_id(2), "clerk@shop", "asked to")
        runtime.projector.catch_up()
        done = exported(runtime, tmp_path / "file", with_keys=with_keys)
        before = rows(runtime.store)
    assert b"Pune" not in (tmp_path / "file").read_bytes()

    imported(into, tmp_path / "file")

    assert done.sealed == (0 if with_keys else 2)
    with open_runtime(Settings(into, privacy="sealed"), create=False) as restored:
        after = rows(restored.store)
        if with_keys:
            assert after == before
            assert {row["location"] for row in after["timeline"]} == {"Pune", None}
            assert sum(one.events for one in restored.ledger.intake(told)) == 0
        else:
            assert {row["location"] for row in after["timeline"]} == {None}
            assert {one.error.partition(" is not")[0] for one in restored.ledger.intake(told[:2])} == {
                f"the key of {parcel_id(n)}" for n in range(2)
            }


# Damaged files


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An export of a small ledger."""
    folder = tmp_path_factory.mktemp("whole")
    with open_runtime(Settings(f"sqlite:///{folder}/ledger.db")) as runtime:
        fill(runtime, 3)
        exported(runtime, folder / "file")
    return (folder / "file").read_bytes()


Damage = Callable[[list[bytes]], bytes]


def _changed(number: int, **changes: object) -> Damage:
    """Another event in a line, counted from 1, and a last line that fits."""
    return lambda lines: resealed([*lines[: number - 1], edited(lines[number - 1], **changes), *lines[number:-1]])


def _opening_twice(lines: list[bytes]) -> bytes:
    position = len(lines) - 1
    return resealed([*lines[:-1], edited(lines[1], position=position)])


def _taken_tracker(lines: list[bytes]) -> bytes:
    second = json.loads(lines[1]) | {"shipment_id": "default:clickpost:another", "position": len(lines) - 1}
    return resealed([*lines[:-1], json.dumps(second).encode() + b"\n"])


DAMAGES: dict[str, tuple[Damage, str]] = {
    "nothing": (lambda lines: b"", r"the file is empty; name one that `trackledger export events` has written"),
    "no export": (lambda lines: b"\x00\xff\n", r"line 1 of the file is not how one begins"),
    "rows": (lambda lines: b'{"shipment_id":"x"}\n', r"line 1 of the file is not how one begins"),
    "another format": (
        lambda lines: lines[0].replace(b'"version":1', b'"version":2') + lines[-1],
        r"version 2, and not 'trackledger.events', version 1; upgrade",
    ),
    "no header": (lambda lines: b"".join(lines[1:]), r"line 1 of the file is not how one begins"),
    "no end": (
        lambda lines: b"".join(lines[:-1]),
        r"the file ends with line \d+, which is not its last: it was cut short",
    ),
    "cut within a line": (
        lambda lines: b"".join(lines)[:3000],
        r"line \d+ of the file has no end: the file was cut short",
    ),
    "cut within the last": (lambda lines: b"".join(lines)[:-9], r"line \d+ of the file has no end"),
    "a line too many": (lambda lines: b"".join(lines) + lines[-1], r"line \d+ of the file comes after the last"),
    "a blank line": (lambda lines: b"".join([*lines[:3], b"\n", *lines[3:]]), r"line 4 of the file cannot be read"),
    "a line left out": (
        lambda lines: b"".join([*lines[:4], *lines[5:]]),
        r"line 5 of the file has position 5 where 4 is next",
    ),
    "a line twice": (
        lambda lines: b"".join([*lines[:4], *lines[3:]]),
        r"line 5 of the file has position 3 where 4 is next",
    ),
    "the last event left out": (
        lambda lines: b"".join([*lines[:-2], lines[-1]]),
        r"says that there are (\d+) events, and there are",
    ),
    "two lines exchanged": (
        lambda lines: b"".join([*lines[:2], lines[3], lines[2], *lines[4:]]),
        r"line 3 of the file has position 3 where 2 is next",
    ),
    "a text changed": (
        lambda lines: b"".join(lines).replace(b"picked_up", b"picked_uq", 1),
        r"line \d+ of the file holds no event: .*cannot be read",
    ),
    "a time changed": (
        lambda lines: b"".join(lines).replace(b"T06:30:00Z", b"T06:31:00Z", 1),
        r"does not have the SHA-256 of those before it",
    ),
    "no JSON": (
        lambda lines: b"".join([*lines[:3], lines[3].replace(b'"topic"', b'"topic'), *lines[4:]]),
        r"line 4 of the file cannot be read",
    ),
    "values nested too deeply": (
        lambda lines: b"".join([*lines[:3], lines[3][:-2] + b',"more":' + b"[" * 99_999 + b"\n", *lines[4:]]),
        r"line 4 of the file cannot be read",
    ),
    "a header nested too deeply": (
        lambda lines: b'{"more":' + b"[" * 99_999 + b"\n",
        r"line 1 of the file is not how one begins",
    ),
    "a state nested too deeply": (
        lambda lines: lines[0] + lines[1].partition(b'"state":')[0] + b'"state":' + b"[" * 99_999 + b"\n",
        r"line 2 of the file cannot be read",
    ),
    "no UTF-8": (
        lambda lines: b"".join([*lines[:3], lines[3].replace(b"clickpost", b"click\xffost"), *lines[4:]]),
        r"line 4 of the file",
    ),
    "an unknown topic": (
        _changed(4, topic="shipment.Sung"),
        r"line 4 of the file holds no event: .*'shipment.Sung'.* upgrade trackledger",
    ),
    "an unknown member": (_changed(4, more=1), r"line 4 of the file cannot be read: .*`more`"),
    "a state that is none": (_changed(4, state=[]), r"line 4 of the file holds no event"),
    "a text with NUL": (
        _changed(2, state={"recorded_at": "2026-01-01T00:00:00Z", "account": "a\0b"}),
        r"line 2 of the file holds no event: .*NUL",
    ),
    "no shipment id": (_changed(4, shipment_id="P1"), r"line 4 of the file holds no event: 'P1' is no shipment id"),
    "an account with a blank": (
        _changed(4, shipment_id="a b:c:d"),
        r"line 4 of the file holds no event: account 'a b'",
    ),
    "a version left out": (
        _changed(4, version=99),
        r"the event at position \d+ of the file is version \d+ of \S+, whose version \d+ does not come before it",
    ),
    "a version of nought": (_changed(4, version=0), r"line 4 of the file cannot be read"),
    "a position beyond": (_changed(4, position=2**70), r"line 4 of the file cannot be read"),
    "a version twice": (
        _opening_twice,
        r"one of the lines 2 to \d+ of the file has a version of a shipment that was there already",
    ),
    "a tracker of two": (_taken_tracker, r"two of its shipments have a row of tracker_links in common"),
    "a key that was not announced": (
        lambda lines: resealed([*lines[:-1], b'{"key":"AAAA","shipment_id":"x"}\n']),
        r"line \d+ of the file cannot be read",
    ),
    "a key that is too short": (
        lambda lines: resealed(
            [lines[0].replace(b'"keys":false', b'"keys":true'), *lines[1:-1], b'{"key":"AAAA","shipment_id":"x"}\n']
        ),
        r"line \d+ of the file holds a key of 3 bytes instead of 32",
    ),
}


@KINDS
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_told_and_nothing_is_written(
    whole: bytes, places: Callable[[str], str], tmp_path: Path, kind: str, name: str
) -> None:
    damage, sentence = DAMAGES[name]
    damaged = damage(whole.splitlines(keepends=True))
    assert damaged != whole
    (tmp_path / "damaged").write_bytes(damaged)
    into = places(kind)

    with pytest.raises(Unreadable, match=sentence):
        imported(into, tmp_path / "damaged")

    assert nothing_at(into)


@KINDS
def test_a_damaged_file_leaves_an_empty_ledger_empty(
    whole: bytes, places: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    into = places(kind)
    open_runtime(Settings(into)).close()
    (tmp_path / "damaged").write_bytes(whole[:-1])

    with pytest.raises(Unreadable, match="cut short"):
        imported(into, tmp_path / "damaged")

    with open_runtime(Settings(into), create=False) as runtime:
        assert runtime.store.head() == 0
        assert rows(runtime.store) == {table.name: [] for table in TABLES}
        assert runtime.ledger.intake(reports(1)[:1])[0].position == 2


@given(st.data())
def test_a_file_of_which_any_byte_is_another_makes_no_ledger(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != whole[at]))
    folder = tmp_path_factory.mktemp("flipped")
    (folder / "damaged").write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])

    with pytest.raises(TrackledgerError):
        imported(f"sqlite:///{folder}/into.db", folder / "damaged")

    assert {path.name for path in folder.iterdir()} == {"damaged"}


# Told


def test_the_command(filled: Cli, places: Callable[[str], str], tmp_path: Path) -> None:
    filled.text("export", "events", "--out", "ledger.ndjson")
    restored = Cli(places("sqlite"))

    told = restored.text("import", "ledger.ndjson")

    assert told.startswith("4 events, 2 shipments, 17 checkpoints, up to position 4\ndigest of the tables ")
    assert restored.json("status", ATTEMPTED) == filled.json("status", ATTEMPTED)
    assert "holds events already" in restored.refusal("import", "ledger.ndjson", code=2)
    assert filled.json("timeline", ATTEMPTED) == restored.json("timeline", ATTEMPTED)


def test_standard_input(filled: Cli, places: Callable[[str], str]) -> None:
    whole = filled("export", "events").stdout_bytes
    restored = Cli(places("postgresql"))

    assert restored("import", "-", input=whole).exit_code == 0
    assert restored.json("status", ATTEMPTED) == filled.json("status", ATTEMPTED)
    assert "it was cut short" in Cli(places("sqlite")).refusal("import", "-", input=whole[: whole.rindex(b'{"events"')])


def test_what_cannot_be_read_is_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.db").write_bytes(b"")
    (tmp_path / "text").write_text("hello\n")

    assert cli.refusal("import", "missing") == "missing cannot be read: No such file or directory; name another file"
    assert cli.refusal("import", "folder").startswith("folder cannot be read: Is a directory; name the file of events")
    assert cli.refusal("import", "text").startswith("line 1 of the file is not how one begins")
    assert "Missing argument 'FILE'" in cli.usage("import")


def test_a_place_that_cannot_hold_a_ledger_is_told(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(whole)
    (tmp_path / "other.db").write_bytes(b"something else")
    (tmp_path / "folder").mkdir()

    for name, error, sentence in (
        ("other.db", Refused, "cannot be opened as a ledger"),
        ("folder", UsageError, "is a folder; name a file that is not there yet with --db"),
        ("missing/ledger.db", Refused, "cannot be written: No such file or directory; name another file with --db"),
        ("file/ledger.db", (Refused, NotADirectoryError), "Not a directory"),
    ):
        with pytest.raises(error, match=sentence):
            imported(f"sqlite:///{tmp_path}/{name}", tmp_path / "file")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "other.db", "folder"}
    assert (tmp_path / "other.db").read_bytes() == b"something else"
