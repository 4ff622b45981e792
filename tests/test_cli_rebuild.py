"""What does `trackledger rebuild` say, and what does it refuse?"""

import json
import os
import signal
from datetime import UTC, datetime

import pytest

from support.cli import ATTEMPTED, NEVER_PICKED_UP, NOW, Cli
from support.rebuilding import after, presume_dead, small
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage.rebuilds import Rebuilds
from trackledger.projections.conclusions import Policies
from trackledger.projections.rebuild import rebuild
from trackledger.projections.tables import TABLES

TABLE_NAMES = [table.name for table in TABLES]
KEPT = "switched; the old tables are kept as NAME__old until you drop them with `trackledger rebuild --drop-old`\n"


def interrupt(url: str) -> None:
    """Leave a rebuild as one leaves it that ends in the middle."""

    def stop() -> None:
        raise KeyboardInterrupt

    with open_runtime(Settings(url)) as runtime, pytest.raises(KeyboardInterrupt):
        rebuild(after(small(runtime), "fill", 1, stop))


def execute(url: str, statement: str) -> None:
    with open_runtime(Settings(url)) as runtime, runtime.database.transaction() as transaction:
        transaction.execute(statement)


def doctors(cli: Cli) -> tuple[str, str, str]:
    """What the doctor says of rebuilds."""
    answer = json.loads(cli("doctor", "--json").stdout)
    ((state, says, remedy),) = [
        (one["state"], one["says"], one["remedy"]) for one in answer if one["check"] == "rebuilds"
    ]
    return state, says, remedy


def test_it_tells_that_nothing_changed(filled: Cli) -> None:
    before = [filled.json(*args, "--now", NOW) for args in (("stuck",), ("late",), ("ndr",))]

    report = filled.json("rebuild")

    assert [(one.pop("table"), one.pop("rows"), one) for one in report] == [
        (
            name,
            rows,
            {"left_out": 0, "only_new": 0, "only_old": 0, "changed": 0, "columns": {}, "examples": []},
        )
        for name, rows in zip(TABLE_NAMES, (2, 17, 1, 0, 2, 2, 3, 1), strict=True)
    ]
    assert [filled.json(*args, "--now", NOW) for args in (("stuck",), ("late",), ("ndr",))] == before
    filled.json("rebuild", "--drop-old")
    told = filled.text("rebuild")
    assert told.startswith("shipments: 2 rows, equal to the old\n")
    assert told.endswith(KEPT)


def test_it_tells_what_was_wrong_with_one_table_and_mends_it(filled: Cli, database_url: str) -> None:
    execute(database_url, f"DELETE FROM {{s}}silence WHERE shipment_id = '{ATTEMPTED}'")
    execute(database_url, f"UPDATE {{s}}silence SET kind = 'lazy' WHERE shipment_id = '{NEVER_PICKED_UP}'")

    assert filled.text("rebuild", "silence", "--no-switch") == (
        "silence: 2 rows, 1 only new, 0 only old, 1 changed (kind 1)\n"
        f"  {ATTEMPTED}: only new\n"
        f"  {NEVER_PICKED_UP}: kind lazy → never_picked_up\n"
        "not switched; `trackledger rebuild` goes on to switch, `trackledger rebuild --drop-new` gives up\n"
    )
    assert len(filled.json("stuck", "--now", "2026-04-01T00:00:00Z")) == 1

    result = filled("rebuild", "silence", "--json")
    assert "going on with the rebuild that began" in result.stderr
    (told,) = json.loads(result.stdout)
    assert (told["only_new"], told["changed"], told["columns"]) == (1, 1, {"kind": 1})
    assert told["examples"][1] == {
        "shipment_id": NEVER_PICKED_UP,
        "key": "",
        "kind": "changed",
        "columns": {"kind": ["lazy", "never_picked_up"]},
    }
    assert len(filled.json("stuck", "--now", "2026-04-01T00:00:00Z")) == 2


def test_values_are_told_as_everywhere(filled: Cli, database_url: str) -> None:
    execute(database_url, "UPDATE {s}silence SET provider_says_stuck = TRUE, stuck_after = quiet_since")

    (told,) = filled.json("rebuild", "silence", "--no-switch")
    text = filled("rebuild", "silence", "--no-switch").stdout

    columns = told["examples"][0]["columns"]
    assert columns["provider_says_stuck"][0] is True
    assert columns["stuck_after"][0].endswith("Z")
    assert "provider_says_stuck yes → no" in text and "Z → 2026-" in text


def test_status_and_doctor_tell_of_what_is_there(filled: Cli, database_url: str) -> None:
    assert filled.text("rebuild", "--status") == (
        "no rebuild is under way or was interrupted\nno old tables are kept\n"
    )
    assert filled.json("rebuild", "--status") == {"under_way": None, "old": []}
    assert doctors(filled) == ("ok", "none is under way", "")

    interrupt(database_url)
    (status,) = [filled.json("rebuild", "--status")["under_way"]]
    assert (status["state"], status["tables"], status["policies"]) == ("interrupted", TABLE_NAMES, "1")
    assert filled.text("rebuild", "--status").startswith(f"interrupted: {', '.join(TABLE_NAMES)} by policies 1, begun ")
    state, says, remedy = doctors(filled)
    assert (state, says.startswith("one of shipments, timeline, ")) == ("warning", True)
    assert "was interrupted after" in says
    assert remedy == "go on with `trackledger rebuild`, or give it up with `trackledger rebuild --drop-new`"

    filled.json("rebuild", "--no-switch")
    assert filled.json("rebuild", "--status")["under_way"]["state"] == "built"
    assert "was not switched to" in doctors(filled)[1]

    filled.json("rebuild")
    assert doctors(filled)[0] == "ok"
    assert "kept are delivery_dates__old, estimates__old, " in doctors(filled)[1]
    found = filled.json("rebuild", "--status")
    assert found["under_way"] is None
    assert [(one["table"], one["rows"], one["policies"], one["being_dropped"]) for one in found["old"]] == [
        (f"{name}__old", rows, "1", False)
        for name, rows in sorted(zip(TABLE_NAMES, (2, 17, 1, 0, 2, 2, 3, 1), strict=True))
    ]
    assert "timeline__old" in filled.text("rebuild", "--status")

    result = filled("rebuild", "silence")
    assert result.stderr == "trackledger: the old tables that are kept will be replaced: silence__old\n"


def test_while_one_is_alive_the_status_says_so_and_nothing_is_dropped(filled: Cli, database_url: str) -> None:
    with open_runtime(Settings(database_url)) as runtime:
        filled.json("rebuild")
        runtime.rebuilds.begin(list(TABLES), Policies(), 60)
        assert filled.json("rebuild", "--status")["under_way"]["state"] == "running"
        assert doctors(filled)[1].startswith("one is under way by process ")
        for args in (("rebuild",), ("rebuild", "--drop-new")):
            told = filled.refusal(*args)
            assert told.startswith("another rebuild is under way, by process ")
            assert told.endswith(" s if it is dead") and f"since {datetime.now(UTC):%Y-%m-%d}" in told
        presume_dead(runtime)
    assert filled.json("rebuild", "--drop-new")["dropped"] == [f"{name}__next" for name in TABLE_NAMES]


def test_told_to_end_it_lets_the_next_one_go_on_at_once(filled: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Rebuilds, "fill", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        result = filled("rebuild")
    assert (result.exit_code, result.stdout) == (1, "")
    assert filled.json("rebuild", "--status")["under_way"]["state"] == "interrupted"
    assert "going on with the rebuild that began" in filled("rebuild").stderr


def test_old_tables_are_dropped_one_or_all(filled: Cli) -> None:
    filled.json("rebuild")
    assert filled.text("rebuild", "timeline", "--drop-old") == "dropped: timeline__old\n"
    assert filled.refusal("rebuild", "timeline", "--drop-old") == (
        "there is no old table timeline__old; see `trackledger rebuild --status`"
    )
    assert len(filled.json("rebuild", "--drop-old")["dropped"]) == len(TABLES) - 1
    assert filled.refusal("rebuild", "--drop-old") == ("there are no old tables; see `trackledger rebuild --status`")


@pytest.mark.parametrize("args", [(), ("--no-switch",), ("--drop-old",)], ids=str)
def test_an_unknown_table_is_answered_with_those_there_are(filled: Cli, args: tuple[str, ...]) -> None:
    assert filled.refusal("rebuild", "parcels", *args, code=2) == (
        "no table 'parcels'; use one of: shipments, timeline, ndr_cases, ndr_actions, silence, delivery_dates, "
        "estimates, journeys"
    )


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--status", "--drop-old"), "--status and --drop-old exclude each other; use one of them"),
        (("--no-switch", "--drop-new"), "--no-switch and --drop-new exclude each other; use one of them"),
        (("timeline", "--status"), "--status is about all tables; leave out 'timeline'"),
        (("timeline", "--drop-new"), "--drop-new is about all tables; leave out 'timeline'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_that_make_no_sense_are_refused(filled: Cli, args: tuple[str, ...], says: str) -> None:
    assert filled.refusal("rebuild", *args, code=2) == says


@pytest.mark.parametrize("args", [(), ("--status",), ("--drop-old",), ("--drop-new",)], ids=str)
def test_where_there_is_no_ledger_none_is_made(cli: Cli, args: tuple[str, ...]) -> None:
    for _ in range(2):
        assert cli.refusal("rebuild", *args).startswith("there is no ledger ")


def test_where_nothing_was_interrupted_there_is_nothing_to_give_up(filled: Cli) -> None:
    assert filled.refusal("rebuild", "--drop-new") == (
        "no rebuild was interrupted, so there are no new tables; see `trackledger rebuild --status`"
    )
