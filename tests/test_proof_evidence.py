"""Does one file prove a shipment's events to somebody who has Python and the verifier key?"""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from support.cli import ATTEMPTED, NEVER_PICKED_UP, Cli
from support.sealed import KEY, OTHER_KEY, add, event, fill, flip, sealer, sql
from trackledger.adapters.proof import check_evidence
from trackledger.adapters.proof.check_evidence import is_signed, read_key
from trackledger.adapters.proof.evidence import evidence as evidence_of
from trackledger.adapters.proof.heads import Trust
from trackledger.adapters.proof.leaves import event_hash
from trackledger.adapters.proof.notes import SigningKey
from trackledger.adapters.runtime import Runtime
from trackledger.domain import merkle
from trackledger.domain.merkle import leaf_hash, perfect_root

CONFIGURED = f'[proof]\nverifier_keys = ["{KEY.verifier}"]\n'
SHIPMENT = "default:clickpost:4:P7"


@pytest.fixture
def sealed(runtime: Runtime, cli: Cli) -> Cli:
    """The command on a ledger of 320 events, whose head is in `kept`, and the program in `check.py`."""
    fill(runtime)
    Path("kept").write_text(sealer(runtime).seal().note)
    Path("trackledger.toml").write_text(CONFIGURED)
    cli.text("evidence", "--script", "--out", "check.py")
    return cli


def check(*args: str, key: str = str(KEY.verifier)) -> tuple[int, str, str]:
    """What the program says, with nothing but the standard library."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "check.py", *args, "--key", key], capture_output=True, text=True, encoding="utf-8"
    )
    return done.returncode, done.stdout, done.stderr


def test_a_shipment_is_proven_to_an_outsider(sealed: Cli, runtime: Runtime) -> None:
    add(runtime, 500)
    sealer(runtime).seal()

    assert sealed.text("evidence", "P7", "--out", "evidence.json") == ""

    code, told, failure = check("evidence.json")
    assert (code, failure) == (0, "")
    lines = told.splitlines()
    assert lines[0].startswith("ledger tracking.shop: 820 events, sealed 2")
    assert lines[0].endswith(", signed by tracking.shop")
    assert lines[1] == f"shipment {SHIPMENT}: 8 events are in it, from the first on, none left out between"
    assert lines[2].startswith("  position 57, version 1: shipment.Opened, recorded at 2")
    assert len(lines) == 10


def test_the_events_are_in_it_byte_for_byte(sealed: Cli, runtime: Runtime) -> None:
    told = json.loads(sealed.text("evidence", SHIPMENT))

    assert told["shipment_id"] == SHIPMENT
    assert told["head"] == Path("kept").read_text()
    assert (told["not_sealed"], told["earlier_head"]) == (0, None)
    assert "check_evidence.py" in told["how_to_check"]
    assert len(told["events"]) == 8
    for one in told["events"]:
        stored = (SHIPMENT, one["version"], one["topic"], one["state"].encode())
        assert event(runtime.database, one["position"]) == stored


def test_it_goes_back_to_a_head_that_was_kept(sealed: Cli, runtime: Runtime) -> None:
    add(runtime, 500)
    Path("newest").write_text(sealer(runtime).seal().note)
    sealed.text("evidence", "P7", "--head", "kept", "--out", "evidence.json")
    sealed.text("evidence", "P7", "--out", "without.json")

    code, told, _ = check("evidence.json", "--head", "kept")
    assert code == 0
    assert "its first 320 events are those of the head that you kept, sealed 2" in told
    assert check("without.json", "--head", "newest")[0] == 0
    code, _, failure = check("without.json", "--head", "kept")
    assert code == 1
    assert failure == (
        "check_evidence: not proven: the file does not go back to the head that you kept; ask for one that does\n"
    )


def test_a_rewritten_ledger_cannot_go_back_to_a_kept_head(sealed: Cli, runtime: Runtime) -> None:
    flip(1, "state", lambda state: bytes(state).replace(b"2026", b"2025"))(runtime.database)
    sql("DELETE FROM {s}tree_tiles", "DELETE FROM {s}tree_heads", "DELETE FROM {s}positions WHERE name = 'tree'")(
        runtime.database
    )
    add(runtime, 500)
    sealer(runtime).seal()

    assert sealed.refusal("evidence", "P7", "--head", "kept") == (
        "the ledger does not begin with what the kept head sealed; see `trackledger verify --head FILE`"
    )
    told = json.loads(sealed.text("evidence", "P7"))
    told["earlier_head"] = {"head": Path("kept").read_text(), "proof": told["events"][0]["proof"]}
    Path("evidence.json").write_text(json.dumps(told))
    code, _, failure = check("evidence.json", "--head", "kept")
    assert code == 1
    assert failure == (
        "check_evidence: not proven: the ledger does not begin with what was sealed in the head that you kept: it was "
        "rewritten\n"
    )


def test_events_that_are_not_sealed_yet_are_left_out_and_counted(sealed: Cli, runtime: Runtime) -> None:
    runtime.ledger.note(SHIPMENT, "the customer called", "ann")
    runtime.ledger.note(SHIPMENT, "again", "ann")

    result = sealed("evidence", "P7", "--out", "evidence.json")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        f"trackledger: events of {SHIPMENT} that are not yet sealed and not in it: 2; run `trackledger seal` first to "
        "have them in it\n"
    )
    assert json.loads(Path("evidence.json").read_text())["not_sealed"] == 2
    assert check("evidence.json")[0] == 0


def test_what_cannot_be_proven_is_refused(filled: Cli, runtime: Runtime) -> None:
    assert filled.refusal("evidence", ATTEMPTED) == (
        "nothing is sealed yet, so that nothing can be proven; run `trackledger seal` first"
    )
    sealer(runtime).seal()
    filled.ingest("poll_failed_delivery", account="other")
    assert filled.refusal("evidence", "nobody") == (
        "no shipment has the id, reference, order id or tracking number 'nobody'; check it"
    )
    assert filled.refusal("evidence", "TL-20417", code=2) == (
        "'TL-20417' names 2 shipments; use one of their ids: default:clickpost:4:7702913348051, "
        "other:clickpost:4:7702913348051"
    )
    assert filled.refusal("evidence", "TL-20417", "--account", "other") == (
        "nothing of other:clickpost:4:7702913348051 is sealed yet; run `trackledger seal` first"
    )
    assert filled.refusal("evidence", code=2).startswith("REF is empty")
    assert filled.refusal("evidence", "x", "--script", code=2).startswith("--script writes the program alone")
    assert filled.refusal("evidence", "x", "--head", "bad", code=2).startswith("bad cannot be read: ")
    assert "cannot be written: No such file or directory" in filled.refusal(
        "evidence", NEVER_PICKED_UP, "--out", "no/such/folder"
    )


def test_evidence_that_would_not_hold_is_not_given_out(sealed: Cli, runtime: Runtime) -> None:
    not_what_was_sealed = f"version 3 of {SHIPMENT}, at position 59, is not what was sealed; see `trackledger verify`"
    flip(59, "state", lambda state: bytes(state) + b" ")(runtime.database)
    assert sealed.refusal("evidence", "P7") == not_what_was_sealed
    flip(59, "state", lambda state: bytes(state) + b"\xff")(runtime.database)
    assert sealed.refusal("evidence", "P7") == not_what_was_sealed
    sql("DELETE FROM {s}tree_tiles")(runtime.database)
    assert "the stored tree has no hash" in sealed.refusal("evidence", "P8")
    Path("trackledger.toml").write_text(CONFIGURED.replace(str(KEY.verifier), str(OTHER_KEY.verifier)))
    assert sealed.refusal("evidence", "P8") == (
        "the newest head, over 320 events, is not signed by a key that is known here; see `trackledger verify`"
    )


def test_a_shipment_that_lacks_an_event_is_not_proven(sealed: Cli, runtime: Runtime) -> None:
    sql("DELETE FROM {s}stored_events WHERE notification_id = 59")(runtime.database)

    assert sealed.refusal("evidence", "P7") == (
        f"an event of {SHIPMENT} is not there any more, or has no place; see `trackledger verify`"
    )


def test_no_character_takes_the_place_of_a_question_mark(runtime: Runtime) -> None:
    add(runtime, 1, b'{"recorded_at":"2026-03-06T10:00:00Z","account":"where?"}')
    head = sealer(runtime).seal()
    file = json.loads(encode(evidence_of(runtime.database, "x:1", Trust((KEY.verifier,)))))
    assert check_evidence.check(file, read_key(str(KEY.verifier))) and head.size == 1

    file["events"][0]["state"] = file["events"][0]["state"].replace("?", "\ud83d")

    with pytest.raises(check_evidence.NotProven, match="holds characters that no recorded text holds"):
        check_evidence.check(file, read_key(str(KEY.verifier)))


@pytest.fixture
def evidence(sealed: Cli) -> dict[str, Any]:
    """A file of evidence, as JSON."""
    found: dict[str, Any] = json.loads(sealed.text("evidence", "P7", "--head", "kept"))
    return found


def first(told: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = told["events"][0]
    return found


def edit(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(told: dict[str, Any]) -> None:
        *steps, last = path.split(".")
        inside: Any = told
        for step in steps:
            inside = inside[int(step) if step.isdigit() else step]
        key: Any = int(last) if last.isdigit() else last
        inside[key] = value(inside[key]) if callable(value) else value

    return change


DAMAGED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "another format": (edit("format", "x"), "the file is no trackledger evidence 1"),
    "a state": (edit("events.2.state", lambda state: state.replace("2026", "2025")), "version 3 of"),
    "a topic": (edit("events.0.topic", "shipment.NoteAdded"), "its proof does not lead to the head"),
    "a position": (edit("events.0.position", 58), "its proof does not lead to the head"),
    "a position that is none": (edit("events.0.position", "57"), "lacks a position, a topic or a state"),
    "a negative position": (edit("events.0.position", -57), "its proof does not lead to the head"),
    "a version": (edit("events.1.version", 3), "version 2 of default:clickpost:4:P7 is not in its place"),
    "a position that is a truth": (edit("events.0.position", True), "lacks a position, a topic or a state"),
    "half of a character in a state": (
        edit("events.2.state", lambda state: state + "\ud83d"),
        "holds characters that no recorded text holds",
    ),
    "half of a character in an id": (edit("shipment_id", "default:clickpost:4:\ud83d"), "holds characters that no"),
    "half of a character in the head": (
        edit("head", KEY.sign("x\n").replace("x", "\ud83d", 1)),
        "holds characters that no",
    ),
    "no version": (edit("events.0.version", True), "version 1 of default:clickpost:4:P7 is not in its place"),
    "an event less": (edit("events", lambda events: events[:2] + events[3:]), "version 3 of"),
    "no events": (edit("events", []), "the file names no shipment with events"),
    "no list of events": (edit("events", "x"), "the file names no shipment with events"),
    "events that are none": (edit("events", [1, None]), "is not in its place in the file"),
    "another shipment": (edit("shipment_id", "default:clickpost:4:P8"), "its proof does not lead to the head"),
    "no shipment": (edit("shipment_id", None), "the file names no shipment with events"),
    "a proof": (edit("events.0.proof.3", lambda one: "A" + one[1:]), "its proof does not lead to the head"),
    "a shorter proof": (edit("events.0.proof", lambda proof: proof[:-1]), "its proof does not lead to the head"),
    "a proof of nothing": (edit("events.0.proof", ["!"]), "is no list of hashes"),
    "no proof": (edit("events.0.proof", None), "is no list of hashes"),
    "the head": (
        edit("head", lambda head: head.replace("320", "321")),
        "its signature by tracking.shop is of another text",
    ),
    "no head": (edit("head", None), "its head is not signed by tracking.shop"),
    "an unsigned head": (edit("head", "tracking.shop\n320\n"), "its head is not signed by tracking.shop"),
    "a signed text that is no head": (edit("head", KEY.sign("one\n")), "its head is no head of a ledger"),
    "a head that another signed": (edit("head", OTHER_KEY.sign("one\n")), "its head is not signed by tracking.shop"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_evidence_proves_nothing(evidence: dict[str, Any], case: str) -> None:
    change, says = DAMAGED[case]
    change(evidence)

    with pytest.raises(check_evidence.NotProven) as refused:
        check_evidence.check(evidence, read_key(str(KEY.verifier)))

    assert says in str(refused.value)


FILES = {
    "no JSON": (b"<html>", 1, "not proven: the file is not JSON, or it was cut off"),
    "nothing": (b"", 1, "not proven: the file is not JSON, or it was cut off"),
    "not text": (b"\xff\xfe\x00", 1, "not proven: the file is not JSON, or it was cut off"),
    "too deep": (b"[" * 100_000, 1, "not proven: the file is not JSON, or it was cut off"),
    "something else": (b"[]", 1, "not proven: the file is no trackledger evidence 1"),
}


def test_a_file_that_is_none_is_told_in_one_sentence(sealed: Cli) -> None:
    for content, code, says in FILES.values():
        Path("bad").write_bytes(content)
        assert check("bad") == (code, "", f"check_evidence: {says}\n")
    code, told, failure = check("nowhere")
    assert (code, told) == (2, "") and failure.startswith("check_evidence: ") and "No such file" in failure
    sealed.text("evidence", "P7", "--out", "evidence.json")
    assert check("evidence.json", key=str(OTHER_KEY.verifier)) == (
        1,
        "",
        "check_evidence: not proven: its head is not signed by tracking.shop\n",
    )
    code, told, failure = check("evidence.json", key="nonsense")
    assert (code, told) == (2, "")
    assert failure == ("check_evidence: 'nonsense' is no verifier key; give name+id+base64 as it was handed to you\n")


def test_what_a_file_says_cannot_steer_a_terminal(sealed: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_evidence.main(["kept", "--key", "\x1b[31m"]) == 2

    assert "\x1b" not in capsys.readouterr().err


# RFC 8032, 7.1: public key, message, signature

VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        "454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_published_signatures(public: str, message: str, signature: str) -> None:
    key, text, signed = map(bytes.fromhex, (public, message, signature))

    assert is_signed(key, text, signed)
    assert not is_signed(key, text + b"x", signed)
    for at in (0, 31, 32, 63):
        assert not is_signed(key, text, signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :])
    assert not is_signed(key, text, signed[:-1])
    assert not is_signed(key[:-1], text, signed)
    # The same number in another form, which RFC 8032, 5.1.7 refuses.
    larger = int.from_bytes(signed[32:], "little") + ORDER
    assert not is_signed(key, text, signed[:32] + larger.to_bytes(32, "little"))
    # No point of the curve.
    assert not is_signed(b"\x02" + bytes(31), text, signed)
    assert not is_signed(b"\xff" * 32, text, signed)


@given(st.binary(min_size=32, max_size=32), st.text(max_size=40))
def test_the_program_believes_what_the_ledger_signs(seed: bytes, text: str) -> None:
    key = SigningKey("tracking.shop", seed)
    text = text.encode("utf-8", "replace").decode() + "\n"
    signature = base64.b64decode(key.sign(text).rpartition(" ")[2])[4:]

    name, id_, public = read_key(str(key.verifier))

    assert (name, id_, public) == ("tracking.shop", key.verifier.id, key.verifier.public)
    assert is_signed(public, text.encode(), signature)
    assert not is_signed(public, text.encode() + b"x", signature)


@given(st.integers(1, 70), st.data())
def test_the_program_and_the_ledger_agree_on_proofs(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(size)]

    def node(height: int, number: int) -> bytes:
        return perfect_root(leaves[number << height : (number + 1) << height])

    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    inclusion, consistency = merkle.inclusion_proof(index, size, node), merkle.consistency_proof(old, size, node)
    roots = [merkle.root(n, node) for n in (old, size)]
    cut = data.draw(st.integers(0, 10))

    for proof in (inclusion, inclusion[:cut], [*inclusion, leaves[0]]):
        assert check_evidence.root_by_inclusion(index, size, leaves[index], proof) == merkle.root_by_inclusion(
            index, size, leaves[index], proof
        )
    for proof in (consistency, consistency[:cut], [*consistency, leaves[0]]):
        assert check_evidence.is_consistent(old, roots[0], size, roots[1], proof) == merkle.is_consistent(
            old, roots[0], size, roots[1], proof
        )


def test_a_leaf_is_every_field_of_an_event() -> None:
    leaf = b"7\ndefault:host:A\n2\nshipment.NoteAdded\n{}"

    assert event_hash(7, b"default:host:A", 2, b"shipment.NoteAdded", b"{}") == sha256(b"\0" + leaf).digest()
