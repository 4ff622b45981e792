"""Is whatever was changed behind the ledger's back found, and named?"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from support.cli import ATTEMPTED, Cli
from support.sealed import (
    EVENTS,
    FORGET_THE_TREE,
    KEY,
    OTHER_KEY,
    Change,
    add,
    event,
    fill,
    flip,
    put_in,
    sealer,
    sql,
    swap,
    take_out,
)
from trackledger.adapters.proof import verifier
from trackledger.adapters.proof.heads import Trust, read, sign
from trackledger.adapters.proof.judged import Kept
from trackledger.adapters.proof.verifier import Verified
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.database import Database
from trackledger.adapters.storage.schema import TREE_HEADS, HeadRow
from trackledger.domain.errors import UsageError
from trackledger.projections.tables import TABLES

CONFIGURED = f"""
[proof]
verifier_keys = ["{KEY.verifier}"]
"""


@pytest.fixture
def sealed(runtime: Runtime, cli: Cli) -> Cli:
    """The command on a ledger of 320 events, sealed; the head is in `kept`."""
    fill(runtime)
    assert runtime.store.head() == EVENTS
    Path("kept").write_text(sealer(runtime).seal().note)
    Path("trackledger.toml").write_text(CONFIGURED)
    return cli


def named(found: Verified) -> list[tuple[str, int | None, int | None]]:
    return [(one.kind, one.position, one.last) for one in found.findings]


def verify(runtime: Runtime) -> Verified:
    return verifier.verify(runtime, Trust((KEY.verifier,)), processes=1)


def test_nothing_is_found_where_nothing_was_changed(sealed: Cli) -> None:
    told = sealed.text("verify", "--head", "kept")

    first, second = told.splitlines()
    assert first.startswith("320 events, sealed up to position 320 at 2")
    assert first.endswith(", all of them sealed; 2 heads, 1 of them from outside: nothing wrong")
    assert second.endswith(" rows of 40 shipments: as a fresh fold makes them")


def test_the_answer_in_json(sealed: Cli) -> None:
    told = sealed.json("verify", "--no-tables")

    assert told.pop("sealed_at").endswith("Z")
    assert told == {
        "holds": True,
        "events": 320,
        "sealed": 320,
        "heads": 1,
        "outside_heads": 0,
        "findings": [],
        "count": 0,
        "tables": None,
    }


def test_what_is_behind_the_newest_head_is_not_yet_sealed(sealed: Cli, runtime: Runtime) -> None:
    add(runtime, 7)

    assert ", 7 not yet sealed; " in sealed.text("verify", "--head", "kept", "--no-tables")


def test_a_ledger_that_was_never_sealed_is_looked_at_all_the_same(cli: Cli, runtime: Runtime) -> None:
    assert (
        cli.text("verify", "--no-tables")
        == "0 events, nothing is sealed yet; 0 heads, 0 of them from outside: nothing wrong\n"
    )
    fill(runtime)
    assert cli.text("verify", "--no-tables").startswith("320 events, nothing is sealed yet; 0 heads")
    flip(17, "topic", lambda topic: topic + "s")(runtime.database)
    assert cli("verify", "--no-tables").exit_code == 1


def at(position: int, says: str) -> Callable[[Database], str]:
    def line(database: Database) -> str:
        shipment_id, version, *_ = event(database, position)
        return f"position {position}, {shipment_id} version {version}: {says}"

    return line


CHANGED = "the event is not the one that was sealed"
ALTERED: dict[str, tuple[Change, list[Callable[[Database], str] | str]]] = {
    "a byte of a state": (
        flip(17, "state", lambda state: bytes(state).replace(b"Delhivery", b"Delhivary").replace(b"2026", b"2027")),
        [at(17, CHANGED)],
    ),
    "a letter of a shipment id": (
        flip(17, "originator_id", lambda id_: id_[:-1] + "x"),
        [at(17, CHANGED), at(18, "it is the first event of the shipment, and no version 1")],
    ),
    "a version": (flip(17, "originator_version", lambda version: version + 300), [at(17, CHANGED)]),
    "a topic": (
        flip(17, "topic", lambda topic: topic.replace("shipment.", "shipmenT.")),
        [at(17, CHANGED)],
    ),
    "a state that cannot be read any more": (
        flip(17, "state", lambda state: bytes(state)[:-1]),
        [at(17, CHANGED)],
    ),
    "the first event is gone": (
        sql("DELETE FROM {s}stored_events WHERE notification_id = 1"),
        ["position 1: no event is there"],
    ),
    "an event in the middle is gone": (
        sql("DELETE FROM {s}stored_events WHERE notification_id = 100"),
        ["position 100: no event is there"],
    ),
    "several are gone": (
        sql("DELETE FROM {s}stored_events WHERE notification_id BETWEEN 100 AND 299"),
        ["positions 100 to 299: no event is there"],
    ),
    "the last event is gone": (
        sql("DELETE FROM {s}stored_events WHERE notification_id = 320"),
        ["position 320: the ledger ends before; these positions are covered by the head over 320 events"],
    ),
    "the tail is gone": (
        sql("DELETE FROM {s}stored_events WHERE notification_id > 200"),
        ["positions 201 to 320: the ledger ends before; these positions are covered by the head over 320 events"],
    ),
    "everything is gone": (
        sql("DELETE FROM {s}stored_events"),
        ["positions 1 to 320: the ledger ends before; these positions are covered by the head over 320 events"],
    ),
    "two neighbours changed places": (
        swap(20, 21),
        [at(20, "moved 1 place forward since sealing"), at(21, "moved 1 place back since sealing")],
    ),
    "two far apart changed places": (swap(20, 290), [at(20, CHANGED), at(290, CHANGED)]),
    "one was put in": (
        put_in(100),
        [
            f"position 100, default:host:FORGED version 1: {CHANGED}",
            "positions 101 to 320, the first ",
            "moved 1 place back since sealing",
        ],
    ),
    "one was put in before the last": (put_in(320), [f"position 320, default:host:FORGED version 1: {CHANGED}"]),
    "one was taken out and the gap closed": (
        take_out(100),
        [
            "positions 100 to 319, the first ",
            "moved 1 place forward since sealing",
            "position 320: the ledger ends before",
        ],
    ),
    "one was put before the first": (swap(-5, 1), ["position -5, ", "the ledger has never handed out this position"]),
}


@pytest.mark.parametrize("case", ALTERED)
def test_altered_events_are_named(sealed: Cli, database: Database, case: str) -> None:
    change, wanted = ALTERED[case]
    change(database)

    result = sealed("verify")

    assert result.exit_code == 1
    for line in wanted:
        assert (line if isinstance(line, str) else line(database)) in result.stdout
    assert "nothing wrong" not in result.stdout
    assert "sealed up to position 320" not in result.stdout


HASHES: dict[str, tuple[Change, str]] = {
    "a leaf": (
        sql("UPDATE {s}tree_tiles SET hashes = :bad WHERE level = 0 AND number = 1", bad=b"x" * 64 * 32),
        "position 257, {} version {}: the event is the one that was sealed, its hash in the stored tree is not",
    ),
    "a hash above": (
        sql("UPDATE {s}tree_tiles SET hashes = :bad WHERE level = 1", bad=bytes(32)),
        "positions 1 to 256: their hash in level 1 of the stored tree is not that of the hashes below it",
    ),
    "a tile that is gone": (
        sql("DELETE FROM {s}tree_tiles WHERE level = 0 AND number = 1"),
        "position 257, {} version {}: its hash is missing in the stored tree",
    ),
    "a tile that was cut": (
        sql("UPDATE {s}tree_tiles SET hashes = :short WHERE level = 0 AND number = 1", short=b"short"),
        "position 257, {} version {}: its hash is missing in the stored tree",
    ),
}


@pytest.mark.parametrize("case", HASHES)
def test_altered_hashes_are_told_from_altered_events(sealed: Cli, database: Database, case: str) -> None:
    change, line = HASHES[case]
    change(database)

    result = sealed("verify", "--no-tables", "--head", "kept")

    assert result.exit_code == 1
    assert line.format(*event(database, 257)) in result.stdout
    assert "sealed up to position 320" in result.stdout


HEADS: dict[str, tuple[Change, str]] = {
    "its root": (sql("UPDATE {s}tree_heads SET root = :bad", bad=bytes(32)), "is not what its signed note says"),
    "its note": (sql("UPDATE {s}tree_heads SET note = 'x'"), "was damaged"),
    "a digit of its note": (
        sql("UPDATE {s}tree_heads SET note = replace(note, '320', '321')"),
        "is not signed by a key that is known here",
    ),
    "its size": (sql("UPDATE {s}tree_heads SET size = 310"), "is not what its signed note says"),
    "its time": (
        sql("UPDATE {s}tree_heads SET sealed_at = '2026-03-06T10:00:00.000000Z'"),
        "is not what its signed note says",
    ),
}


@pytest.mark.parametrize("case", HEADS)
def test_an_altered_head_is_named(sealed: Cli, database: Database, case: str) -> None:
    change, says = HEADS[case]
    change(database)

    result = sealed("verify", "--no-tables")

    assert result.exit_code == 1
    assert result.stdout.startswith(f"the stored head over {310 if case == 'its size' else 320} events {says}\n")
    assert "320 events, no head agrees with them; 1 head" in result.stdout


def test_a_head_that_another_signed_is_not_believed(sealed: Cli, runtime: Runtime) -> None:
    add(runtime, 10)
    forged = sealer(runtime, OTHER_KEY, KEY).seal()

    result = sealed("verify", "--no-tables")

    assert forged.size == 330 and result.exit_code == 1
    assert result.stdout.startswith("the stored head over 330 events is not signed by a key that is known here\n")
    assert "sealed up to position 320" in result.stdout


def rewrite(runtime: Runtime, key: Any) -> None:
    """Another history, with a tree and a head of its own, as somebody with all rights would write it."""
    flip(17, "state", lambda state: bytes(state).replace(b"2026", b"2025"))(runtime.database)
    sql(*FORGET_THE_TREE)(runtime.database)
    sealer(runtime, key).seal()


def test_a_rewritten_ledger_is_caught_by_the_head_that_was_kept_outside(sealed: Cli, runtime: Runtime) -> None:
    rewrite(runtime, KEY)

    assert sealed("verify", "--no-tables").exit_code == 0
    result = sealed("verify", "--no-tables", "--head", "kept")

    assert result.exit_code == 1
    assert result.stdout.startswith("positions 1 to 320: the head in kept over 320 events, sealed at 2")
    assert "is not over these events: they were changed since" in result.stdout


def test_a_ledger_that_was_rewritten_with_another_key_is_caught_too(sealed: Cli, runtime: Runtime) -> None:
    rewrite(runtime, OTHER_KEY)
    Path("trackledger.toml").write_text(CONFIGURED.replace(str(KEY.verifier), str(OTHER_KEY.verifier)))

    assert sealed("verify", "--no-tables").exit_code == 0
    assert sealed.refusal("verify", "--head", "kept", code=2) == (
        "kept: this head is not signed by a key that is known here; give its verifier key with --key, or in "
        "verifier_keys in [proof]"
    )
    result = sealed("verify", "--no-tables", "--head", "kept", "--key", str(KEY.verifier))
    assert result.exit_code == 1
    assert "is not over these events: they were changed since" in result.stdout


def test_a_change_of_event_and_hashes_is_narrowed_down_to_the_heads_around_it(sealed: Cli, runtime: Runtime) -> None:
    add(runtime, 100)
    sealer(runtime).seal()
    add(runtime, 100)
    newest = sealer(runtime).seal()
    flip(400, "state", lambda state: bytes(state).replace(b'"x"', b'"y"'))(runtime.database)
    sql("DELETE FROM {s}tree_tiles", "UPDATE {s}positions SET position = 0 WHERE name = 'tree'")(runtime.database)
    sql("DELETE FROM {s}tree_heads")(runtime.database)
    sealer(runtime, OTHER_KEY).seal()
    # The heads are put back, as somebody who can write everything but sign would do.
    kept = [Path("kept").read_text(), newest.note]
    assert len(kept) == 2
    sql("DELETE FROM {s}tree_heads")(runtime.database)
    with runtime.database.transaction() as transaction:
        heads = [read(note, "kept") for note in kept]
        transaction.insert(TREE_HEADS, [HeadRow(one.size, one.root, one.sealed_at, one.note) for one in heads])

    found = verify(runtime)

    assert named(found) == [("head", 321, 520)]
    assert "they were changed together with their stored hashes" in found.findings[0].says
    assert found.sealed == 320


def test_any_change_of_any_field_of_any_event_is_named(runtime: Runtime) -> None:
    fill(runtime)
    sealer(runtime).seal()
    random = Random(7)
    for _ in range(25):
        position = random.randint(1, EVENTS)
        column = random.choice(("originator_id", "originator_version", "topic", "state"))
        held: list[Any] = []

        def other(value: Any, held: list[Any] = held) -> Any:
            held.append(value)
            return changed(value, random)

        flip(position, column, other)(runtime.database)

        found = verify(runtime)

        assert any(one.kind == "changed" and one.position == position for one in found.findings), (position, column)
        flip(position, column, lambda _, held=held: held[0])(runtime.database)  # type: ignore[misc]
    assert verify(runtime).count == 0


def changed(value: Any, random: Random) -> Any:
    if isinstance(value, int):
        return value + random.choice((-1000, 1000))
    place = random.randrange(len(value))
    if isinstance(value, str):
        return value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
    flipped = bytearray(value)
    flipped[place] ^= 1 << random.randrange(8)
    return bytes(flipped)


def test_no_more_than_a_hundred_are_named_and_the_rest_are_counted(sealed: Cli, database: Database) -> None:
    sql("UPDATE {s}stored_events SET topic = 'shipment.NoteAdded'")(database)

    result = sealed("verify", "--no-tables")
    lines = result.stdout.splitlines()

    assert result.exit_code == 1
    assert len(lines) == 102 and lines[100].startswith("and ") and lines[100].endswith(" more")
    assert sealed.json("verify", "--no-tables", code=1)["count"] > 320


def test_text_in_an_sqlite_column_that_is_no_text_is_named_too(sealed: Cli, database: Database) -> None:
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL refuses to store it")
    sql(
        "UPDATE {s}stored_events SET originator_id = CAST(x'ff41' AS TEXT) WHERE notification_id = 17",
        "UPDATE {s}stored_events SET originator_version = 2.5 WHERE notification_id = 18",
        "UPDATE {s}stored_events SET originator_version = 'two' WHERE notification_id = 26",
        "UPDATE {s}stored_events SET originator_id = CAST(x'ff42' AS TEXT) WHERE notification_id = 27",
    )(database)

    found = sealed.json("verify", code=1)["findings"]

    assert {(one["kind"], one["position"]) for one in found} >= {
        *(("changed", position) for position in (17, 18, 26, 27)),
        *(("version", position) for position in (18, 26, 27)),
    }
    assert found[-1]["says"].startswith("the tables cannot be compared: ")
    assert "position 27, \\xffB version 3: it is the first event" in sealed("verify").stdout


RETYPED = {
    "an id": "UPDATE {s}stored_events SET originator_id = CAST(originator_id AS BLOB) WHERE notification_id = 320",
    "a topic": "UPDATE {s}stored_events SET topic = CAST(topic AS BLOB) WHERE notification_id = 320",
    "a state": "UPDATE {s}stored_events SET state = CAST(state AS TEXT) WHERE notification_id = 320",
}


@pytest.mark.parametrize("case", RETYPED)
def test_the_same_bytes_of_another_type_are_not_what_was_recorded(sealed: Cli, database: Database, case: str) -> None:
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL has one type for a column")
    sql(RETYPED[case])(database)

    for args in (("verify",), ("verify", "--no-tables")):
        found = sealed.json(*args, code=1)["findings"]
        assert ("changed", 320) in {(one["kind"], one["position"]) for one in found}


UNTYPED = {
    "the time of a head": (
        "UPDATE {s}tree_heads SET sealed_at = 'soon'",
        "the stored head over 320 events is not what its signed note says",
    ),
    "the note of a head": (
        "UPDATE {s}tree_heads SET note = CAST(x'ff41' AS TEXT)",
        "the stored head over 320 events was damaged",
    ),
    "hashes": ("UPDATE {s}tree_tiles SET hashes = CAST(x'ff41' AS TEXT) WHERE level = 1", "their hash in level 1"),
    "the counter": ("UPDATE sqlite_sequence SET seq = 'x'", "the ledger has never handed out this position"),
}


@pytest.mark.parametrize("case", UNTYPED)
def test_what_an_sqlite_column_cannot_mean_is_named(sealed: Cli, database: Database, case: str) -> None:
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL refuses to store it")
    statement, says = UNTYPED[case]
    sql(statement)(database)

    result = sealed("verify", "--no-tables")

    assert result.exit_code == 1 and says in result.stdout


@pytest.mark.parametrize("position", [999_999_999_999, 2**63 - 1])
def test_an_event_that_was_moved_far_away_does_not_keep_verify_busy(
    sealed: Cli, database: Database, position: int
) -> None:
    sql(f"UPDATE {{s}}stored_events SET notification_id = {position} WHERE notification_id = 320")(database)

    result = sealed("verify", "--no-tables")

    assert result.exit_code == 1
    assert f"position {position:,}, default:clickpost:4:P39 version 8: the ledger has never handed" in result.stdout
    assert f"positions 320 to {position:,}: no event is there but for some after a wide gap" in result.stdout


def test_a_head_over_less_than_nothing_is_named(sealed: Cli, database: Database) -> None:
    sql("UPDATE {s}tree_heads SET size = -3")(database)

    result = sealed("verify", "--no-tables")

    assert result.exit_code == 1
    assert "the stored head over -3 events is not what its signed note says" in result.stdout


def test_rows_that_do_not_follow_are_named(sealed: Cli, database: Database) -> None:
    sql("UPDATE {s}shipments SET milestone = 'lost' WHERE shipment_id = 'default:clickpost:4:P7'")(database)

    result = sealed("verify", "--head", "kept")

    assert result.exit_code == 1
    assert "shipments of default:clickpost:4:P7: changed in milestone\n" in result.stdout
    assert ": nothing wrong\n" in result.stdout
    assert sealed("verify", "--no-tables").exit_code == 0


def test_tables_may_be_behind(sealed: Cli, runtime: Runtime) -> None:
    sql("UPDATE {s}positions SET position = 0 WHERE name = 'tables'")(runtime.database)
    for table in TABLES:
        sql(f"DELETE FROM {{s}}{table.name}")(runtime.database)

    assert sealed("verify").exit_code == 0


def test_the_proofs_hold_when_the_text_of_an_event_is_private_and_forgotten(cli: Cli, runtime: Runtime) -> None:
    Path("trackledger.toml").write_text(f'privacy = "sealed"\n{CONFIGURED}')
    cli.ingest("poll_failed_delivery")
    Path("kept").write_text(sealer(runtime).seal().note)
    before = cli.json("evidence", ATTEMPTED)

    cli.text("forget", ATTEMPTED, "--actor", "ann", "--reason", "asked for it")

    told = cli.json("verify", "--head", "kept")
    assert (told["holds"], told["events"], told["sealed"]) == (True, 3, 2)
    after = cli.json("evidence", ATTEMPTED)
    assert after == {**before, "not_sealed": 1}
    assert b"Customer Unavailable" not in str(after).encode()


BAD_HEADS = {
    "no such file": (None, "bad cannot be read: No such file or directory; name a file with a sealed head"),
    "empty": (b"", "bad is no sealed head; give one as `trackledger seal --out FILE` writes it"),
    "not text": (b"\xff\xfe", "bad is no sealed head; give one as `trackledger seal --out FILE` writes it"),
    "a page": (b"<html>", "bad is no sealed head; give one as `trackledger seal --out FILE` writes it"),
    "too large": (b"a" * 100_000, "bad is no sealed head; give one as `trackledger seal --out FILE` writes it"),
}


@pytest.mark.parametrize("case", BAD_HEADS)
def test_a_file_that_is_no_head_is_refused(sealed: Cli, case: str) -> None:
    content, says = BAD_HEADS[case]
    if content is not None:
        Path("bad").write_bytes(content)

    assert sealed.refusal("verify", "--head", "bad", code=2) == says


def test_a_head_cut_anywhere_or_with_a_flipped_byte_is_refused(sealed: Cli, runtime: Runtime) -> None:
    whole = Path("kept").read_bytes()
    flipped = [bytes(c ^ 1 if n == at else c for n, c in enumerate(whole)) for at in range(0, len(whole), 5)]
    for content in [whole[:length] for length in range(0, len(whole), 9)] + flipped:
        Path("bad").write_bytes(content)
        result = sealed("verify", "--no-tables", "--head", "bad")
        assert (result.exit_code, result.stdout) == (2, ""), content


def test_a_head_of_another_ledger_is_refused(sealed: Cli, runtime: Runtime) -> None:
    foreign = sign("somewhere.else", 320, bytes(32), datetime.now(UTC), KEY)
    Path("foreign").write_text(foreign.note)

    assert sealed.refusal("verify", "--head", "foreign", code=2) == (
        "foreign: this head is of another ledger, 'somewhere.else'; give its verifier key with --key, or in "
        "verifier_keys in [proof]"
    )


def test_without_any_key_no_head_is_believed(sealed: Cli, runtime: Runtime) -> None:
    Path("trackledger.toml").unlink()

    result = sealed("verify", "--no-tables")
    assert result.exit_code == 1
    assert result.stdout.startswith("the stored head over 320 events is not signed by a key that is known here\n")
    with pytest.raises(UsageError):
        verifier.verify(runtime, Trust(()), [Kept(sealer(runtime).seal(), "kept")])


@pytest.mark.parametrize(
    "key", ["", "x", "tracking.shop+00000000+AAAA", KEY.line()], ids=["empty", "a word", "too short", "private"]
)
def test_what_is_no_verifier_key_is_refused_without_showing_a_private_one(sealed: Cli, key: str) -> None:
    told = sealed.refusal("verify", "--key", key, code=2)

    assert told.startswith("--key ") and KEY.line() not in told
