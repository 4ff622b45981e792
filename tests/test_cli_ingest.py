"""What does `ingest` record of a message, and what of one that says nothing new?"""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.cli import ATTEMPTED, Cli, fixture, parcel, written
from trackledger.adapters.inbox import message
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings


def test_ingest_tells_of_each_file_what_was_recorded(cli: Cli) -> None:
    files = fixture("poll_failed_delivery"), fixture("poll_five_waybills")

    told = cli.text("ingest", "clickpost", *files).splitlines()

    assert told[0] == f"{files[0]}: 9 recorded, 0 amended, 0 repeated: {ATTEMPTED}"
    assert told[1].startswith(f"{files[1]}: 10 recorded, 0 amended, 0 repeated: default:clickpost:55:FMPC0041177203, ")


def test_ingest_in_json(cli: Cli) -> None:
    (told,) = cli.ingest("poll_failed_delivery")

    assert told == {
        "file": fixture("poll_failed_delivery"),
        "message_id": told["message_id"],
        "state": "done",
        "recorded": 9,
        "amended": 0,
        "repeated": 0,
        "withdrawn": 0,
        "shipments": [ATTEMPTED],
        "reason": "",
        "erased": False,
    }


def test_ingesting_twice_records_nothing(filled: Cli) -> None:
    before = [filled.json("shipments"), filled.json("timeline", ATTEMPTED)]

    again = filled.ingest("poll_failed_delivery", "poll_not_picked_up", at="2026-03-06T11:00:00Z")

    assert [(one["recorded"], one["amended"], one["repeated"]) for one in again] == [(0, 0, 9), (0, 0, 8)]
    assert [filled.json("shipments"), filled.json("timeline", ATTEMPTED)] == before


def test_the_same_file_twice_in_one_command_is_recorded_once(cli: Cli) -> None:
    told = cli.ingest("poll_failed_delivery", "poll_failed_delivery")

    assert [(one["recorded"], one["repeated"]) for one in told] == [(9, 0), (0, 9)]


def test_shuffled_scans_record_nothing(filled: Cli, tmp_path: Path) -> None:
    shuffled, said = parcel()
    said["scans"] = said["scans"][4:] + said["scans"][3::-1]
    before = filled.json("shipments")

    (told,) = filled.json("ingest", "clickpost", written(tmp_path / "shuffled.json", shuffled))

    assert (told["recorded"], told["amended"], told["repeated"]) == (0, 0, 9)
    assert filled.json("shipments") == before


def test_a_webhook_and_the_later_poll_meet_in_one_checkpoint(cli: Cli) -> None:
    (webhook,) = cli.ingest("webhook_ndr", channel="webhook", at="2026-03-05T11:00:00Z")
    (poll,) = cli.ingest("poll_failed_delivery")

    assert (webhook["recorded"], poll["recorded"], poll["repeated"]) == (1, 8, 1)
    failed = [row for row in cli.json("timeline", ATTEMPTED) if row["milestone"] == "delivery_failed"]
    assert [(row["checkpoint_id"], row["channel"]) for row in failed] == [("clickpost:41228027380", "webhook")]
    assert cli.json("status", ATTEMPTED)["checkpoints"] == 9


def test_a_poll_and_the_later_webhook_meet_in_one_checkpoint(filled: Cli) -> None:
    told = filled.ingest("webhook_ndr", "webhook_ofd", channel="webhook", at="2026-03-06T11:00:00Z")

    assert [(one["recorded"], one["repeated"]) for one in told] == [(0, 1), (0, 1)]
    assert filled.json("status", ATTEMPTED)["checkpoints"] == 9


def test_a_changed_remark_is_amended(filled: Cli, tmp_path: Path) -> None:
    changed, said = parcel()
    said["scans"][1]["remark"] = "Consignee asked for tomorrow"
    file = written(tmp_path / "changed.json", changed)

    told = filled.text("ingest", "clickpost", file, "--received-at", "2026-03-06T11:00:00Z")

    assert told == f"{file}: 0 recorded, 1 amended, 8 repeated: {ATTEMPTED}\n"
    (row,) = [row for row in filled.json("timeline", ATTEMPTED) if row["amended"]]
    assert (row["remark"], row["amended"]) == ("Consignee asked for tomorrow", 1)


def test_ingest_reads_standard_input(cli: Cli) -> None:
    result = cli("ingest", "clickpost", "-", input=Path(fixture("poll_failed_delivery")).read_bytes())

    assert (result.exit_code, result.stdout) == (0, f"-: 9 recorded, 0 amended, 0 repeated: {ATTEMPTED}\n")


def test_context_names_the_carrier_that_the_answer_does_not(cli: Cli) -> None:
    told = cli.json("ingest", "clickpost", fixture("poll_2016_shape"), "--context", "cp_id=5")

    assert [id_.split(":")[2] for id_ in told[0]["shipments"]] == ["5"]


def test_a_file_whose_name_is_not_utf8_can_be_ingested(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.json")
    try:
        shutil.copy(fixture("poll_failed_delivery"), tmp_path / name)
    except OSError:
        pytest.skip("this file system has no such names")

    cli = Cli(f"sqlite:///{tmp_path}/ledger.db")
    here, missing = str(tmp_path / name), f"{tmp_path / name}.missing"
    told = cli.json("ingest", "clickpost", here, missing, code=1)

    assert [(one["file"], one["state"], one["recorded"]) for one in told] == [
        (f"{tmp_path}/caf\ufffd.json", "done", 9),
        (f"{tmp_path}/caf\ufffd.json.missing", "refused", 0),
    ]
    assert "caf\ufffd.json.missing cannot be read" in cli("ingest", "clickpost", missing).stderr


def test_a_webhook_delivered_again_says_what_it_said_the_first_time(cli: Cli, tmp_path: Path) -> None:
    def hook(name: str, edd: str, second: str) -> str:
        body = {
            "waybill": "W1",
            "cp_id": 4,
            "clickpost_status_code": 5,
            "status": "In Transit",
            "timestamp": f"2025-03-03 10:00:{second}",
            "additional": {"courier_partner_edd": edd},
        }
        (tmp_path / name).write_text(json.dumps(body))
        return str(tmp_path / name)

    first, second = hook("1.json", "2025-03-05", "01"), hook("2.json", "2025-03-09", "02")
    for day, file in ((3, first), (4, second), (5, first)):
        at = f"2025-03-0{day}T05:00:00Z"
        cli.json("ingest", "clickpost", file, "--channel", "webhook", "--received-at", at)

    dates = cli.json("edd", "W1")
    assert (dates["original_to"], dates["current_to"], dates["revisions"]) == ("2025-03-05", "2025-03-09", 1)


def test_what_a_killed_process_left_waiting_is_taken_in(cli: Cli, database_url: str) -> None:
    body = Path(fixture("poll_delivered")).read_bytes()
    with open_runtime(Settings(database_url)) as runtime:
        runtime.inbox.append([message("clickpost", body, received_at=datetime(2026, 3, 9, tzinfo=UTC))])
    assert cli.json("shipments") == []

    cli.json("project")

    assert [row["milestone"] for row in cli.json("shipments")] == ["delivered"]


def test_project_tells_of_messages_that_another_process_has_claimed(cli: Cli, database_url: str) -> None:
    body = Path(fixture("poll_delivered")).read_bytes()
    with open_runtime(Settings(database_url)) as runtime:
        runtime.inbox.append_claimed([message("clickpost", body, received_at=datetime(2026, 3, 9, tzinfo=UTC))], 60)

    result = cli("project")

    assert (result.exit_code, result.stdout) == (0, "0 events taken in, tables at position 0\n")
    assert result.stderr == "trackledger: messages that wait because another process is at work on them: 1\n"
