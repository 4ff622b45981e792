"""One file that cannot be used, and a good one, in one command: what is told, kept and recorded?"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.cli import AT, NEVER_PICKED_UP, Cli, fixture, parcel, written
from trackledger.adapters.providers.base import Message
from trackledger.adapters.providers.clickpost import PROVIDER as CLICKPOST
from trackledger.adapters.providers.reading import MAX_BODY
from trackledger.domain.checkpoints import Report

GOOD = fixture("poll_not_picked_up")
WAYBILL = "7702913348051"


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    message, said = parcel()
    change(said)
    return json.dumps(message).encode()


def first_scan(**values: object) -> bytes:
    return changed(lambda said: said["scans"][0].update(values))


def replaced(old: str, new: str | bytes) -> bytes:
    message, _ = parcel()
    return json.dumps(message).encode().replace(old.encode(), new.encode() if isinstance(new, str) else new)


SCAN = f"result.{WAYBILL}.scans.0"

PARKED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "not JSON": (b"<html>Bad gateway</html>", ("the body is not JSON",)),
    "of another provider": (b'{"msg": {"tracking_number": "1", "checkpoints": []}}', ('["msg"]',)),
    "not an object": (b"[1, 2]", ("an array of 2",)),
    "empty": (b"", ("the body is not JSON",)),
    "blank": (b" \n", ("the body is not JSON",)),
    "in UTF-16": (json.dumps(parcel()[0]).encode("utf-16"), ("the body is not JSON",)),
    "not UTF-8": (replaced("Nobody at home", b"Nobody \xff\xfe home"), ("the body is not JSON",)),
    "without a time": (changed(lambda said: said["scans"][0].pop("timestamp")), (f"{SCAN}.timestamp is missing",)),
    "without a code": (
        changed(lambda said: said["scans"][0].pop("clickpost_status_code")),
        (f"{SCAN}.clickpost_status_code is missing",),
    ),
    "a code in words": (first_scan(clickpost_status_code="six"), (f"{SCAN}.clickpost_status_code", '"six"')),
    "scans that are a text": (changed(lambda said: said.update(scans="none")), (f"result.{WAYBILL}.scans", '"none"')),
    "scanned in the year 0": (first_scan(timestamp="0000-03-06 09:37:41"), (f"{SCAN}.timestamp", "0000-03-06")),
    "scanned in 1970": (first_scan(timestamp="1970-01-01 00:00:00"), (f"{SCAN}.timestamp", "1970-01-01")),
    "scanned in 9999": (first_scan(timestamp="9999-12-31 23:59:59"), (f"{SCAN}.timestamp", "9999-12-31")),
    "scanned on 30 February": (first_scan(timestamp="2026-02-30 09:37:41"), (f"{SCAN}.timestamp", "2026-02-30")),
    "created in 9999": (first_scan(created_at="9999-12-31 23:59:59"), (f"{SCAN}.created_at", "9999-12-31")),
    "expected in 1970": (
        changed(lambda said: said["additional"].update(courier_partner_edd="1970-01-01")),
        (f"result.{WAYBILL}.additional.courier_partner_edd", "1970-01-01"),
    ),
    "a number of 5,000 digits": (replaced("41229035199", "9" * 5000), ("the body is not JSON",)),
    "a number of 20 digits": (replaced("41229035199", "9" * 20), (f"{SCAN}.checkpoint_id", "9" * 20)),
    "a text of 5,000 characters": (first_scan(remark="x" * 5000), (f"{SCAN}.remark", "xxx...")),
    "with NUL": (first_scan(remark="Nobody\0home"), (f"{SCAN}.remark", r"Nobody\u0000home")),
    "with NUL in the waybill": (replaced(WAYBILL, r"77\u0000"), (r"77\u0000",)),
    "with a lone surrogate": (replaced("Nobody at home", r"Nobody \ud800 home"), ("the body is not JSON",)),
    "nested 100,000 deep": (b"[" * 100_000, ("the body is not JSON",)),
    "nested 500 deep": (b'{"meta": {"status": 200}, "result": ' + b'{"a":' * 500 + b"1" + b"}" * 501, ("not JSON",)),
}


@pytest.mark.parametrize("case", PARKED)
def test_a_message_that_cannot_be_read_is_parked_and_the_next_one_recorded(cli: Cli, tmp_path: Path, case: str) -> None:
    body, fragments = PARKED[case]
    bad = written(tmp_path / "bad.json", body)

    result = cli("ingest", "clickpost", bad, GOOD, "--received-at", AT)

    assert result.exit_code == 1
    (told,) = result.stderr.splitlines()
    assert told.startswith(f"{bad}: parked: clickpost: ")
    for fragment in fragments:
        assert fragment in told
    assert result.stdout == f"{GOOD}: 8 recorded, 0 amended, 0 repeated: {NEVER_PICKED_UP}\n"
    assert [(row["shipment_id"], row["position"]) for row in cli.json("shipments")] == [(NEVER_PICKED_UP, 2)]
    (parked,) = cli.json("parked")
    assert (parked["provider"], parked["account"], parked["channel"]) == ("clickpost", "default", "poll")
    assert (parked["received_at"], parked["times"]) == (AT, 1)
    assert told == f"{bad}: parked: {parked['reason']}"
    assert parked["reason"] in cli.text("parked")


def too_large(folder: Path) -> str:
    with (folder / "bad.json").open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    return str(folder / "bad.json")


REFUSED: dict[str, tuple[Callable[[Path], str], str]] = {
    "of 50 MB": (too_large, "has more than 8,388,608 bytes"),
    "a folder": (str, "Is a directory"),
    "missing": (lambda folder: str(folder / "missing.json"), "No such file or directory"),
    "an endless device": (lambda folder: "/dev/zero", "has more than 8,388,608 bytes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_no_message_is_refused_and_the_next_one_recorded(cli: Cli, tmp_path: Path, case: str) -> None:
    make, fragment = REFUSED[case]
    bad = make(tmp_path)

    result = cli("ingest", "clickpost", bad, GOOD)

    assert result.exit_code == 1
    (told,) = result.stderr.splitlines()
    assert told.startswith(f"{bad}: refused: clickpost: {bad} ")
    assert fragment in told
    assert result.stdout == f"{GOOD}: 8 recorded, 0 amended, 0 repeated: {NEVER_PICKED_UP}\n"
    assert [row["shipment_id"] for row in cli.json("shipments")] == [NEVER_PICKED_UP]
    assert cli.json("parked") == []
    assert cli.text("parked") == "no message is parked\n"


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret.json"
    file.write_text("{}")
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("this user may read every file")

    result = Cli(f"sqlite:///{tmp_path}/ledger.db")("ingest", "clickpost", str(file))

    assert (result.exit_code, result.stderr) == (
        1,
        f"{file}: refused: clickpost: {file} cannot be read: Permission denied; check the path\n",
    )


def test_standard_input_is_not_read_beyond_the_limit(cli: Cli) -> None:
    result = cli("ingest", "clickpost", "-", input=b" " * (MAX_BODY + 1))

    assert result.exit_code == 1
    assert result.stderr.startswith("-: refused: clickpost: - has more than 8,388,608 bytes")


def test_what_is_refused_or_parked_has_the_same_names_in_json_as_what_is_recorded(cli: Cli, tmp_path: Path) -> None:
    bad = written(tmp_path / "bad.json", b"")

    told = cli.json("ingest", "clickpost", "missing.json", bad, GOOD, code=1)

    assert [(one["file"], one["state"], one["recorded"], one["shipments"]) for one in told] == [
        ("missing.json", "refused", 0, []),
        (bad, "parked", 0, []),
        (GOOD, "done", 8, [NEVER_PICKED_UP]),
    ]
    assert len({tuple(one) for one in told}) == 1


def test_a_parked_message_is_kept_once_and_counted(cli: Cli, tmp_path: Path) -> None:
    bad = written(tmp_path / "bad.json", b"busy")
    cli("ingest", "clickpost", bad, bad, "--received-at", AT)
    cli("ingest", "clickpost", bad, "--received-at", "2026-03-07T10:00:00Z")

    (parked,) = cli.json("parked")

    assert (parked["times"], parked["received_at"]) == (3, AT)


def test_parked_messages_are_listed_oldest_first_up_to_a_limit(cli: Cli, tmp_path: Path) -> None:
    for day in ("08", "06", "07"):
        bad = written(tmp_path / "bad.json", f"busy {day}".encode())
        cli("ingest", "clickpost", bad, "--received-at", f"2026-03-{day}T10:00:00Z")

    assert [row["received_at"][8:10] for row in cli.json("parked", "--limit", "2")] == ["06", "07"]


def test_a_message_that_says_nothing_about_a_parcel_is_ignored_and_not_a_failure(cli: Cli) -> None:
    unknown = fixture("poll_unknown_awb")

    result = cli("ingest", "clickpost", unknown, GOOD)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0].startswith(f"{unknown}: ignored: clickpost: ")
    assert cli.json("parked") == []


def test_an_answer_that_refuses_the_key_is_parked_with_what_to_do(cli: Cli) -> None:
    told = cli("ingest", "clickpost", fixture("poll_bad_key"))

    assert told.exit_code == 1
    assert "the key or user name is wrong" in told.stderr


def test_a_provider_that_fails_in_a_way_nobody_thought_of_parks_the_message(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        name = "clickpost"

        def normalize(self, message: Message) -> list[Report]:
            if message.body == b"odd":
                raise LookupError("never \0 seen \ud800")
            return CLICKPOST.normalize(message)

    monkeypatch.setattr("trackledger.adapters.providers.provider", lambda name: Broken())

    result = cli("ingest", "clickpost", written(tmp_path / "odd.json", b"odd"), GOOD)

    assert result.exit_code == 1
    assert result.stdout == f"{GOOD}: 8 recorded, 0 amended, 0 repeated: {NEVER_PICKED_UP}\n"
    (parked,) = cli.json("parked")
    assert parked["reason"].startswith(
        r"clickpost: the message could not be read (LookupError('never \x00 seen \ud800')"
    )
    assert "cannot be normalized" in caplog.text
