"""Is the tree that is kept that of all events, whoever builds it, in however many steps, and who may sign it?"""

import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest

from support.cli import Cli, fixture, installed
from support.sealed import EVENTS, FORGET_THE_TREE, KEY, OTHER_KEY, add, fill, flip, sealer, sql
from support.threads import until
from trackledger.adapters.proof import sealer as sealing
from trackledger.adapters.proof.heads import Trust, read
from trackledger.adapters.proof.leaves import event_hash, stored
from trackledger.adapters.proof.sealer import Sealer
from trackledger.adapters.proof.tiles import WIDTH, Tiles
from trackledger.adapters.proof.verifier import verify
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings, from_environment
from trackledger.domain import merkle
from trackledger.domain.errors import Refused
from trackledger.domain.merkle import CompactRange, perfect_root

Open = Callable[[], Runtime]
Patch = pytest.MonkeyPatch

TRUST = Trust((KEY.verifier,))


def leaves(runtime: Runtime) -> list[bytes]:
    database = runtime.database
    return [event_hash(*event) for event in stored(database, database.dialect, 1, 2**62)]


def tiles(runtime: Runtime) -> dict[tuple[int, int], bytes]:
    found = runtime.database.tuples("SELECT level, number, hashes FROM {s}tree_tiles")
    return {(level, number): bytes(hashes) for level, number, hashes in found}


def expected(hashes: list[bytes]) -> dict[tuple[int, int], bytes]:
    """The tiles over these leaves."""
    found: dict[tuple[int, int], bytes] = {}
    level = 0
    while hashes:
        groups = [hashes[at : at + WIDTH] for at in range(0, len(hashes), WIDTH)]
        found |= {(level, number): b"".join(group) for number, group in enumerate(groups)}
        level, hashes = level + 1, [perfect_root(group) for group in groups if len(group) == WIDTH]
    return found


def test_a_head_is_over_every_event_in_the_order_of_the_ledger(runtime: Runtime) -> None:
    fill(runtime)

    head = sealer(runtime).seal()

    assert (head.origin, head.size, head.root) == ("tracking.shop", EVENTS, CompactRange(leaves(runtime)).root())
    assert tiles(runtime) == expected(leaves(runtime))
    (row,) = runtime.database.read("SELECT * FROM {s}tree_heads")
    assert row == {"size": head.size, "root": head.root, "sealed_at": head.sealed_at, "note": head.note}


def test_an_empty_ledger_can_be_sealed(runtime: Runtime) -> None:
    assert sealer(runtime).seal().root == merkle.EMPTY_ROOT
    assert verify(runtime, TRUST).count == 0


def test_in_however_many_steps_it_grows_the_tree_is_the_same(runtime: Runtime, monkeypatch: Patch) -> None:
    monkeypatch.setattr(sealing, "PAGE", 100)
    heads = []
    for more in (1, 1, 253, 1, 1, 255, 600, 0):
        add(runtime, more) if more else None
        heads.append(sealer(runtime).seal())

    hashes = leaves(runtime)
    assert tiles(runtime) == expected(hashes)
    assert [head.size for head in heads] == [1, 2, 255, 256, 257, 512, 1112, 1112]
    assert heads[-1] == heads[-2]
    for head in heads:
        assert (
            head.root
            == CompactRange(hashes[: head.size]).root()
            == merkle.root(head.size, Tiles(runtime.database).node)
        )
    found = verify(runtime, TRUST)
    assert (found.count, found.heads, found.sealed) == (0, 7, 1112)


def test_a_tree_of_three_levels(runtime: Runtime) -> None:
    size = WIDTH * WIDTH + 3
    add(runtime, size)

    head = sealer(runtime).seal()

    kept = tiles(runtime)
    assert {level for level, _ in kept} == {0, 1, 2} and len(kept[2, 0]) == 32
    node = Tiles(runtime.database).node
    for index in (0, 255, 256, WIDTH * WIDTH - 1, WIDTH * WIDTH, size - 1):
        proof = merkle.inclusion_proof(index, size, node)
        (event,) = stored(runtime.database, runtime.database.dialect, index + 1, index + 1)
        assert merkle.root_by_inclusion(index, size, event_hash(*event), proof) == head.root
    assert verify(runtime, TRUST, processes=2).count == 0
    sql("UPDATE {s}tree_tiles SET hashes = :bad WHERE level = 2", bad=bytes(32))(runtime.database)
    (finding,) = verify(runtime, TRUST, processes=1).findings
    assert (finding.kind, finding.position, finding.last) == ("hash", 1, WIDTH * WIDTH)
    assert "in level 2 of the stored tree" in finding.says


def test_sealers_at_once_do_not_hinder_each_other(open_ledger: Open, monkeypatch: Patch) -> None:
    monkeypatch.setattr(sealing, "PAGE", 50)
    runtimes = [open_ledger() for _ in range(4)]
    add(runtimes[0], 1000)

    with ThreadPoolExecutor(4) as pool:
        heads = list(pool.map(lambda runtime: sealer(runtime).seal(), runtimes))

    assert {head.root for head in heads} == {CompactRange(leaves(runtimes[0])).root()}
    assert tiles(runtimes[0]) == expected(leaves(runtimes[0]))
    assert len(runtimes[0].database.tuples("SELECT size FROM {s}tree_heads")) == 1


def test_a_sealer_that_was_ended_between_two_pages_is_gone_on_with(runtime: Runtime, monkeypatch: Patch) -> None:
    monkeypatch.setattr(sealing, "PAGE", 70)
    add(runtime, 300)

    def end(done: int, total: int) -> None:
        if done >= 140:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sealer(runtime).seal(end)
    found = verify(runtime, TRUST)
    assert (found.count, found.sealed, found.heads) == (0, 0, 0)
    assert sealer(runtime).seal().root == CompactRange(leaves(runtime)).root()
    assert tiles(runtime) == expected(leaves(runtime))


def test_a_new_key_goes_on_where_the_earlier_one_is_believed(runtime: Runtime) -> None:
    add(runtime, 5)
    sealer(runtime).seal()
    add(runtime, 5)

    with pytest.raises(
        Refused, match=r"is not signed by a key that is known here; add the verifier key of an earlier key"
    ):
        sealer(runtime, OTHER_KEY).seal()
    assert sealer(runtime, OTHER_KEY, KEY).seal().size == 10
    assert verify(runtime, Trust((KEY.verifier, OTHER_KEY.verifier))).count == 0


TAMPERED: dict[str, tuple[Any, str]] = {
    "the tree": (sql("UPDATE {s}tree_tiles SET hashes = :bad", bad=b"x" * 160), "the stored tree is not that of"),
    "a tile is gone": (sql("DELETE FROM {s}tree_tiles"), "the stored tree has no hash 0 in level 0"),
    "the newest head": (sql("UPDATE {s}tree_heads SET note = 'x'"), "the stored head over 5 events was damaged"),
    "its size": (sql("UPDATE {s}tree_heads SET size = 6"), "the stored head over 6 events was damaged"),
    "the tail": (
        sql("DELETE FROM {s}stored_events WHERE notification_id > 4"),
        "5 events were hashed before and the ledger ends at position 4",
    ),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_what_was_tampered_with_is_not_signed_again(runtime: Runtime, case: str) -> None:
    change, says = TAMPERED[case]
    add(runtime, 5)
    sealer(runtime).seal()
    change(runtime.database)
    if case != "the tail":
        add(runtime, 5)

    with pytest.raises(Refused, match=says) as refused:
        sealer(runtime).seal()

    assert "`trackledger verify`" in str(refused.value)
    assert len(runtime.database.tuples("SELECT size FROM {s}tree_heads")) == 1


DAMAGED_HEADS = {
    "its note": "UPDATE {s}tree_heads SET note = 'x' WHERE size = 5",
    "its size": "UPDATE {s}tree_heads SET size = 4611686018427387905 WHERE size = 5",
    "a size below nothing": "UPDATE {s}tree_heads SET size = -3",
    "its root": "UPDATE {s}tree_heads SET root = :bad WHERE size = 5",
    "its time": "UPDATE {s}tree_heads SET sealed_at = '2026-03-06T10:00:00.000000Z' WHERE size = 5",
}


@pytest.mark.parametrize("case", DAMAGED_HEADS)
def test_a_damaged_head_can_be_taken_out(runtime: Runtime, case: str) -> None:
    if case != "a size below nothing":
        add(runtime, 3)
        sealer(runtime).seal()
    add(runtime, 5 - runtime.store.head())
    sealer(runtime).seal()
    sql(DAMAGED_HEADS[case], bad=bytes(32))(runtime.database)
    add(runtime, 2)
    size = runtime.database.tuples("SELECT size FROM {s}tree_heads ORDER BY size DESC")[0][0]
    if size == -3:
        size = runtime.database.tuples("SELECT MIN(size) FROM {s}tree_heads")[0][0]
    if case not in ("its root", "its time"):
        with pytest.raises(Refused, match=f"trackledger seal --drop-head {size}"):
            sealer(runtime).seal()
    assert verify(runtime, TRUST).count >= 1

    sealer(runtime).drop_head(size)

    assert sealer(runtime).seal().size == 7
    assert verify(runtime, TRUST).count == 0


def test_a_head_that_another_put_in_can_be_taken_out(runtime: Runtime) -> None:
    add(runtime, 5)
    sealer(runtime).seal()
    add(runtime, 5)
    sealer(runtime, OTHER_KEY, KEY).seal()
    with pytest.raises(Refused, match=r"or if there is none, .* `trackledger seal --drop-head 10`"):
        sealer(runtime).seal()

    sealer(runtime).drop_head(10)

    assert sealer(runtime).seal().size == 10
    assert verify(runtime, TRUST).count == 0


def test_a_sound_head_stays(configured: Cli, runtime: Runtime) -> None:
    configured.text("seal")

    assert configured.refusal("seal", "--drop-head", "4") == (
        "the stored head over 4 events is sound and stays; leave --drop-head out"
    )
    assert configured.refusal("seal", "--drop-head", "3") == (
        "there is no stored head over 3 events; see `trackledger verify`"
    )
    assert len(runtime.database.tuples("SELECT size FROM {s}tree_heads")) == 1


def test_a_place_of_the_sealer_that_was_damaged_is_told(runtime: Runtime) -> None:
    add(runtime, 5)
    sealer(runtime).seal()
    bad = "'x'" if runtime.database.dialect == "sqlite" else "-5"
    sql(f"UPDATE {{s}}positions SET position = {bad} WHERE name = 'tree'")(runtime.database)
    add(runtime, 2)

    with pytest.raises(Refused, match="make the stored hashes anew with `trackledger seal --rehash`"):
        sealer(runtime).seal()
    assert verify(runtime, TRUST).count == 0
    sealer(runtime).rehash()

    assert sealer(runtime).seal().size == 7
    assert tiles(runtime) == expected(leaves(runtime))


@pytest.mark.parametrize(
    "statement", ["DELETE FROM {s}tree_tiles", "UPDATE {s}tree_tiles SET hashes = :bad", FORGET_THE_TREE[2]]
)
def test_a_damaged_tree_is_made_anew_from_the_events(runtime: Runtime, statement: str) -> None:
    add(runtime, 700)
    sealer(runtime).seal()
    add(runtime, 20)
    sql(statement, bad=b"x" * 160)(runtime.database)

    sealer(runtime).rehash()

    assert verify(runtime, TRUST).count == 0
    assert sealer(runtime).seal().size == 720
    assert tiles(runtime) == expected(leaves(runtime))


def test_a_tree_is_not_made_anew_where_it_shows_what_was_changed(configured: Cli, runtime: Runtime) -> None:
    configured.text("seal")
    before = tiles(runtime)
    flip(2, "state", lambda state: bytes(state) + b" ")(runtime.database)

    assert configured.refusal("seal", "--rehash") == (
        "the events are not those of the newest head, over 4 events; see which were changed with `trackledger verify`"
    )
    assert tiles(runtime) == before


def test_a_gap_among_new_events_is_not_signed(runtime: Runtime) -> None:
    add(runtime, 10)
    sql("DELETE FROM {s}stored_events WHERE notification_id = 4")(runtime.database)

    with pytest.raises(Refused, match="events are missing between the positions 1 and 10; see which with"):
        sealer(runtime).seal()


def test_a_sealer_seals_as_often_as_it_should(runtime: Runtime) -> None:
    now, stop, waited = [datetime(2026, 3, 6, tzinfo=UTC)], Flag(), list[float]()
    add(runtime, 5)

    class Ends(Flag):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            now[0] += timedelta(seconds=waited[-1])
            add(runtime, 1)
            if len(waited) == 1:
                # Another process has just sealed.
                now[0] += timedelta(minutes=10)
                own.seal()
            if len(waited) == 4:
                self.set()
            return self.is_set()

    stop = Ends()
    own = Sealer(runtime.database, KEY, TRUST, clock=lambda: now[0])
    own.run(stop, timedelta(hours=1))

    times = runtime.database.tuples("SELECT size, sealed_at FROM {s}tree_heads ORDER BY size")
    start = datetime(2026, 3, 6, tzinfo=UTC)
    assert waited == [3600, 3600, 3600, 3600]
    assert [(size, at - start) for size, at in times] == [
        (5, timedelta()),
        (6, timedelta(hours=1, minutes=10)),
        (7, timedelta(hours=2, minutes=10)),
        (8, timedelta(hours=3, minutes=10)),
    ]


def test_one_that_must_not_sign_says_so_and_goes_on(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> None:
    add(runtime, 5)
    sealer(runtime).seal()
    sql(*FORGET_THE_TREE[:1])(runtime.database)
    add(runtime, 5)

    class Once(Flag):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return True

    Sealer(runtime.database, KEY, TRUST, clock=lambda: datetime.max.replace(tzinfo=UTC)).run(Once(), timedelta(hours=1))

    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "the ledger cannot be sealed: the stored tree has no hash" in caplog.text


# the command

CONFIGURED = """
[proof]
key_env = "SEALING_KEY"
"""


@pytest.fixture
def configured(filled: Cli, monkeypatch: Patch) -> Cli:
    """The command on a ledger of two parcels, with a key to seal it."""
    monkeypatch.setenv("SEALING_KEY", KEY.line())
    Path("trackledger.toml").write_text(CONFIGURED)
    return filled


def test_the_head_is_printed_and_written(configured: Cli) -> None:
    told = configured.text("seal", "--out", "head")

    assert told == Path("head").read_text("utf-8")
    head = read(told, "it")
    assert TRUST.doubt(head) == ""
    assert configured.json("seal") == {
        "origin": "tracking.shop",
        "size": 4,
        "root": head.root.hex(),
        "sealed_at": head.sealed_at.isoformat().replace("+00:00", "Z"),
        "note": told,
    }
    assert configured("verify", "--head", "head").exit_code == 0


def test_without_a_key_it_says_what_to_configure(filled: Cli) -> None:
    assert filled.refusal("seal", code=2) == (
        "there is no key to sign with, and without a signature the ledger proves nothing to others; make one with "
        "`trackledger seal --new-key NAME` and name its environment variable as key_env in [proof]"
    )


def test_a_key_that_is_not_there_stops_only_those_who_seal(configured: Cli, monkeypatch: Patch) -> None:
    monkeypatch.delenv("SEALING_KEY")
    missing = (
        "trackledger.toml: proof.key_env names the environment variable SEALING_KEY, which is not set; set it to the "
        "key"
    )

    assert configured.refusal("seal", code=2) == missing
    assert configured.refusal("project", "--follow", code=2) == missing
    assert configured.refusal("run", code=2) == missing
    assert configured("status", "TL-20417").exit_code == 0
    assert configured("verify").exit_code == 0
    assert configured("project").exit_code == 0


def test_what_is_no_key_is_refused_without_showing_it(configured: Cli, monkeypatch: Patch) -> None:
    monkeypatch.setenv("SEALING_KEY", KEY.line()[:-4])

    assert configured.refusal("seal", code=2) == (
        "the environment variable SEALING_KEY holds no signing key; make one with `trackledger seal --new-key NAME`"
    )


def test_a_new_key_is_printed_with_what_to_do_with_it(cli: Cli, monkeypatch: Patch) -> None:
    told = cli.json("seal", "--new-key", "tracking.shop")
    monkeypatch.setenv("SEALING_KEY", told["key"])
    cli.ingest("poll_failed_delivery")
    Path("trackledger.toml").write_text(CONFIGURED)
    cli.text("seal", "--out", "head")
    monkeypatch.delenv("SEALING_KEY")

    assert cli("verify", "--head", "head", "--key", told["verifier_key"]).exit_code == 0
    lines = cli.text("seal", "--new-key", "tracking.shop").splitlines()
    assert lines[1].startswith("TRACKLEDGER_SEALING_KEY='PRIVATE+KEY+tracking.shop+")
    assert lines[-1].startswith("tracking.shop+")
    assert cli.refusal("seal", "--new-key", "a b", code=2).startswith("key name 'a b' has to be 1 to 200 characters")
    assert cli.refusal("seal", "--new-key", "a", "--out", "x", code=2).startswith("--new-key prints a key")


def test_the_key_is_nowhere_to_be_seen(configured: Cli, database_url: str) -> None:
    assert KEY.line() not in repr(from_environment(database_url))
    assert KEY.line() not in configured("doctor", "--json").output


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('key = "x"', "proof.key may not be here, as secrets do not belong into the file"),
        ('key_env = "PRIVATE+KEY+x"', "proof.key_env has to be the name of an environment variable in capitals"),
        ('seal_every = "often"', 'proof.seal_every has to be a span such as "15min", "1h" or "1d", in quotes'),
        ("seal_every = 5", 'proof.seal_every has to be a span such as "15min", "1h" or "1d", in quotes'),
        ('verifier_keys = ["x"]', "proof.verifier_keys[0] has to be a verifier key, name+id+base64 in quotes"),
        ('verifier_keys = "x"', "proof.verifier_keys has to be a list of verifier keys"),
        ('origin = "two words"', "proof.origin has to be a name of the ledger without blanks, in quotes"),
    ],
)
def test_a_bad_configuration_is_told(filled: Cli, line: str, says: str) -> None:
    Path("trackledger.toml").write_text(f"[proof]\n{line}\n")

    told = filled.refusal("seal", code=2)

    assert told.startswith(f"trackledger.toml: {says}")


def test_doctor_looks_at_key_and_seal(configured: Cli, runtime: Runtime, monkeypatch: Patch) -> None:
    def told(code: int = 0) -> dict[str, tuple[str, str]]:
        found = configured.json("doctor", "--now", "2026-03-06T10:00:30Z", code=code)
        return {one["check"]: (one["state"], one["says"]) for one in found if one["check"] in ("proof", "seal")}

    assert told() == {
        "proof": ("ok", "sealed every 60 min, the key is there; heads of 1 key are believed"),
        "seal": ("ok", "0 events sealed, 4 not yet"),
    }
    early = datetime.now(UTC) - timedelta(hours=4)
    Sealer(runtime.database, KEY, TRUST, clock=lambda: early).seal()
    assert told()["seal"] == ("ok", "4 events sealed, 0 not yet")
    add(runtime, 3)
    assert told()["seal"] == ("warning", "4 events sealed, 3 not yet, the last time 4 h ago")
    monkeypatch.delenv("SEALING_KEY")
    assert told(code=1)["proof"] == (
        "failed",
        "proof.key_env names the environment variable SEALING_KEY, which is not set",
    )
    monkeypatch.setenv("SEALING_KEY", "x")
    assert told(code=1)["proof"] == ("failed", "the environment variable SEALING_KEY holds no signing key")


@pytest.mark.parametrize("command", [("project", "--follow"), ("run", "--port", "0")], ids=" ".join)
def test_the_pumps_seal(tmp_path: Path, command: tuple[str, ...]) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    Cli(url).text("ingest", "clickpost", fixture("poll_failed_delivery"))
    (tmp_path / "trackledger.toml").write_text(CONFIGURED)
    environment = {**os.environ, "SEALING_KEY": KEY.line(), "TRACKLEDGER_DB": url}
    process = subprocess.Popen(
        [installed(), *command], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        with open_runtime(Settings(url)) as runtime:
            until(lambda: verify(runtime, TRUST).sealed == 2 or process.poll() is not None, 60)
            assert verify(runtime, TRUST).sealed == 2
    finally:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGTERM), told
