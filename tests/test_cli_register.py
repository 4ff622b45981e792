"""Which shipments does `register` open, from flags and from files, and what does it refuse?"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.cli import Cli, fixture

TRACKER = "clickpost:4:7702913348051"
TRACKED = f"default:{TRACKER}"


@pytest.fixture
def nowhere(tmp_path: Path) -> Cli:
    """The command on a place that stays empty, as nothing that is asked for makes sense."""
    return Cli(f"sqlite:///{tmp_path}/ledger.db")


def shipments(cli: Cli) -> dict[str, dict[str, Any]]:
    return {row["shipment_id"]: row for row in cli.json("shipments")}


# from flags


def test_a_reference_opens_a_shipment_of_its_name(cli: Cli) -> None:
    assert cli.text("register", "--reference", "ORDER-17") == "default:host:ORDER-17: registered\n"

    answer = cli.json("status", "ORDER-17")
    assert (answer["shipment_id"], answer["reference"], answer["trackers"]) == ("default:host:ORDER-17", "ORDER-17", [])
    assert (answer["status"]["milestone"], answer["checkpoints"], answer["ndr"]) == ("unknown", 0, None)
    assert "unknown since -, at -: -" in cli.text("status", "ORDER-17")


def test_every_flag_reaches_the_shipment(cli: Cli) -> None:
    flags = {
        "--reference": "ORDER-17",
        "--tracker": TRACKER,
        "--account": "north",
        "--order-id": "TL-1",
        "--carrier": "Delhivery",
        "--tracking-number": "7702913348051",
        "--service": "surface",
        "--promised": "2026-03-05/2026-03-06",
        "--piece-of": "north:host:ORDER-1",
    }

    cli.json("register", "--reference", "ORDER-1", "--account", "north")
    (told,) = cli.json("register", *[part for flag in flags.items() for part in flag])

    assert told == {"shipment_id": "north:host:ORDER-17", "events": 3, "error": None}
    row = shipments(cli)["north:host:ORDER-17"]
    expected = {
        "account": "north",
        "reference": "ORDER-17",
        "order_id": "TL-1",
        "carrier": "Delhivery",
        "tracking_number": "7702913348051",
        "provider": "clickpost",
        "service": "surface",
        "milestone": "unknown",
        "piece_of": "north:host:ORDER-1",
        "is_final": False,
    }
    assert {name: row[name] for name in expected} == expected
    answer = cli.json("status", "ORDER-17")
    assert answer["trackers"] == [
        {
            "provider": "clickpost",
            "reference": "4:7702913348051",
            "carrier": "Delhivery",
            "tracking_number": "7702913348051",
        }
    ]
    assert (answer["delivery"]["promised_from"], answer["delivery"]["promised_to"]) == ("2026-03-05", "2026-03-06")


def test_track_is_another_name_of_register(cli: Cli) -> None:
    assert cli.text("track", "--tracker", TRACKER) == f"{TRACKED}: registered\n"
    assert cli.text("register", "--tracker", TRACKER) == f"{TRACKED}: already registered\n"


def test_registering_the_same_again_changes_nothing(cli: Cli) -> None:
    asked = ("register", "--reference", "ORDER-17", "--tracker", TRACKER, "--promised", "2026-03-05", "--order-id", "1")
    cli.text(*asked)
    before = cli.json("status", "ORDER-17")

    assert cli.text(*asked) == "default:host:ORDER-17: already registered\n"
    assert cli.json(*asked) == [{"shipment_id": "default:host:ORDER-17", "events": 0, "error": None}]
    assert cli.json("status", "ORDER-17") == before


def test_a_report_reaches_the_shipment_that_announced_its_tracker(cli: Cli) -> None:
    cli.text("register", "--reference", "ORDER-17", "--tracker", TRACKER)

    told = cli.json("ingest", "clickpost", fixture("poll_failed_delivery"))

    assert told[0]["shipments"] == ["default:host:ORDER-17"]
    for ref in ("ORDER-17", "TL-20417", "7702913348051"):
        assert cli.json("status", ref)["status"]["milestone"] == "out_for_delivery"
    assert len(shipments(cli)) == 1


def test_a_reference_can_be_given_to_a_shipment_that_a_report_opened(cli: Cli) -> None:
    cli.json("ingest", "clickpost", fixture("poll_failed_delivery"))

    cli.text("register", "--reference", "ORDER-17", "--tracker", TRACKER)

    answer = cli.json("status", "ORDER-17")
    assert (answer["shipment_id"], answer["reference"], answer["checkpoints"]) == (TRACKED, "ORDER-17", 9)


def test_one_shipment_may_have_several_trackers(cli: Cli) -> None:
    other = "clickpost:9:SF1"

    cli.text("register", "--reference", "ORDER-17", "--tracker", TRACKER, "--tracker", other)

    assert [one["reference"] for one in cli.json("status", "ORDER-17")["trackers"]] == ["4:7702913348051", "9:SF1"]


def test_the_words_of_the_host_outrank_those_of_the_provider(cli: Cli) -> None:
    cli.text("register", "--tracker", TRACKER, "--order-id", "OURS-1", "--carrier", "Delhivery Express")
    cli.json("ingest", "clickpost", fixture("poll_failed_delivery"))

    row = shipments(cli)[TRACKED]

    assert (row["order_id"], row["carrier"]) == ("OURS-1", "Delhivery Express")


def test_a_promise_becomes_the_baseline_and_late_lists_it(cli: Cli) -> None:
    cli.json("ingest", "clickpost", fixture("poll_failed_delivery"), "--received-at", "2026-03-06T10:00:00Z")
    cli.text("register", "--tracker", TRACKER, "--promised", "2026-03-03/2026-03-04")

    dates = cli.json("edd", TRACKED, "--now", "2026-03-05T00:00:00Z")

    assert (dates["promised_from"], dates["promised_to"]) == ("2026-03-03", "2026-03-04")
    assert (dates["baseline"], dates["promised_by"], dates["on_time"]) == ("promised", "2026-03-05T00:00:00Z", False)
    assert (dates["original_to"], dates["current_to"]) == ("2026-03-06", "2026-03-06")
    assert [one["source"] for one in dates["estimates"]].count("promise") == 1
    assert cli.json("late", "--now", "2026-03-04T23:59:59Z") == []
    (row,) = cli.json("late", "--now", "2026-03-05T00:00:00Z")
    assert (row["shipment_id"], row["baseline"], row["promised_by"]) == (TRACKED, "promised", "2026-03-05T00:00:00Z")


def test_a_promised_day_alone_is_a_window_of_one_day(cli: Cli) -> None:
    cli.text("register", "--reference", "ORDER-17", "--promised", "2026-03-05")

    dates = cli.json("status", "ORDER-17")["delivery"]

    assert (dates["promised_from"], dates["promised_to"]) == ("2026-03-05", "2026-03-05")
    assert [row["shipment_id"] for row in cli.json("late", "--now", "2026-03-06T00:00:00Z")] == [
        "default:host:ORDER-17"
    ]


def test_a_tracker_of_another_shipment_is_refused_and_the_others_are_registered(cli: Cli, tmp_path: Path) -> None:
    cli.text("register", "--reference", "FIRST", "--tracker", TRACKER)
    cli.text("register", "--reference", "SECOND")
    file = tmp_path / "orders.csv"
    file.write_text(f"reference,tracker\nTHIRD,\nSECOND,{TRACKER}\nFOURTH,clickpost:4:1\n")

    result = cli("register", "--file", str(file))

    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["default:host:THIRD: registered", "default:host:FOURTH: registered"]
    (told,) = result.stderr.splitlines()
    assert told.startswith("default:host:SECOND: these belong to 2 shipments already")
    assert set(shipments(cli)) == {f"default:host:{name}" for name in ("FIRST", "SECOND", "THIRD", "FOURTH")}
    assert cli.json("status", "SECOND")["trackers"] == []
    again = cli.json("register", "--file", str(file), code=1)
    assert [(one["events"], bool(one["error"])) for one in again] == [(0, False), (0, True), (0, False)]


def test_a_shipment_is_no_piece_of_itself(cli: Cli) -> None:
    result = cli("register", "--reference", "BOX", "--piece-of", "default:host:BOX")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot be a piece of itself" in result.stderr


# from files


def test_a_csv_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(
        "reference,trackers,order_id,carrier,promised,account\n"
        f"A-1,{TRACKER} clickpost:9:SF1,TL-1,Delhivery,2026-03-05/2026-03-06,\n"
        'A-2,,"TL-2, second",,,north\n'
        ",clickpost:6:143399020817,,,,\n"
    )

    told = cli.text("register", "--file", str(file))

    assert told.splitlines() == [
        "default:host:A-1: registered",
        "north:host:A-2: registered",
        "default:clickpost:6:143399020817: registered",
    ]
    assert [one["reference"] for one in cli.json("status", "A-1")["trackers"]] == ["4:7702913348051", "9:SF1"]
    assert cli.json("status", "A-1")["delivery"]["promised_to"] == "2026-03-06"
    assert cli.json("status", "A-2")["order_id"] == "TL-2, second"
    assert cli.text("register", "--file", str(file)).count("already registered") == 3


def test_an_ndjson_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "orders.ndjson"
    entries = [
        {"reference": "A-1", "trackers": [TRACKER, "clickpost:9:with a blank"], "order_id": "TL-1"},
        {"reference": "A-2", "tracker": "clickpost:6:143399020817", "account": "north"},
        {"tracker": "clickpost:6:1 clickpost:6:2"},
    ]
    file.write_text("\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n\n")

    told = cli.json("register", "--file", str(file))

    ids = ["default:host:A-1", "north:host:A-2", "default:clickpost:6:1"]
    assert [one["shipment_id"] for one in told] == ids
    assert [one["reference"] for one in cli.json("status", "A-1")["trackers"]] == [
        "4:7702913348051",
        "9:with a blank",
    ]
    assert [one["reference"] for one in cli.json("status", ids[2])["trackers"]] == ["6:1", "6:2"]


def test_files_and_flags_together(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("reference\r\nA-1\r\n\r\nA-2\r\n")
    (tmp_path / "b.ndjson").write_text('\ufeff{"reference": "B-1"}\n', "utf-8")
    files = ("--file", str(tmp_path / "a.csv"), "--file", str(tmp_path / "b.ndjson"))

    cli.text("register", *files, "--reference", "C-1")

    assert set(shipments(cli)) == {f"default:host:{name}" for name in ("A-1", "A-2", "B-1", "C-1")}


def test_flags_hold_for_the_lines_that_do_not_say_otherwise(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("reference,account,carrier\nA-1,,\nA-2,south,Ekart\n")

    cli.text("register", "--file", str(file), "--account", "north", "--carrier", "Delhivery", "--service", "air")

    found = {id_: (row["carrier"], row["service"]) for id_, row in shipments(cli).items()}
    assert found == {"north:host:A-1": ("Delhivery", "air"), "south:host:A-2": ("Ekart", "air")}


def test_a_file_larger_than_a_batch(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("reference\n" + "".join(f"A-{n}\n" for n in range(10_001)))

    told = cli.json("register", "--file", str(file))

    assert len({one["shipment_id"] for one in told}) == 10_001
    assert len(cli.json("shipments", "--limit", "100000")) == 10_001


# requests that make no sense: exit code 2, and not even a ledger is made


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ((), "nothing to register; give --reference, --tracker or --file"),
        (("--order-id", "TL-1"), "nothing to register; give --reference, --tracker or --file"),
        (("--tracker", "4210610508756"), "tracker '4210610508756' is not PROVIDER:REFERENCE, such as clickpost:4:42"),
        (("--tracker", "clickpost:"), "tracker 'clickpost:' is not PROVIDER:REFERENCE"),
        (("--tracker", ""), "tracker '' is not PROVIDER:REFERENCE"),
        (("--tracker", ":4:1"), "provider '' is unknown; use one of: clickpost"),
        (("--tracker", "clickpots:4:1"), "provider 'clickpots' is unknown; use one of: clickpost"),
        (("--tracker", "host:ORDER-1"), "provider 'host' is unknown; use one of: clickpost"),
        (("--tracker", f"clickpost:{'9' * 300}"), "tracker 'clickpost:9999"),
        (("--tracker", "clickpost:7702913348051"), "tracker 'clickpost:7702913348051' is not of clickpost's form"),
        (("--reference", "A", "--account", "a:b"), "account 'a:b' must be 1 to 64 of the characters"),
        (("--reference", "A\nB"), "reference 'A\\nB' must be up to 400 printable characters"),
        (("--reference", "x" * 257), "reference 'xxxx"),
        (("--reference", "\udcff"), "reference '\\udcff' must be up to 400 printable characters"),
        (("--reference", "A", "--order-id", "a\0b"), "order_id 'a\\x00b' must be up to 400 printable characters"),
        (("--reference", "A", "--service", "\udcff"), "service '\\udcff' must be up to 400 printable characters"),
        (("--reference", "A", "--carrier", "x" * 401), "carrier 'xxxx"),
        (("--reference", "A", "--promised", "tomorrow"), "promised 'tomorrow' is not a day or DAY/DAY"),
        (("--reference", "A", "--promised", "2026-02-30"), "promised '2026-02-30' is not a day or DAY/DAY"),
        (("--reference", "A", "--promised", "2026-03-06T10:00:00Z"), "promised '2026-03-06T10:00:00Z' is not a day"),
        (("--reference", "A", "--promised", "2026-03-06/2026-03-05"), "promised '2026-03-06/2026-03-05' ends before"),
        (("--reference", "A", "--promised", "1970-01-01"), "time '1970-01-01' is not between the years 2000 and 2100"),
        (("--reference", "A", "--promised", "0001-01-01"), "time '0001-01-01' is not between the years 2000 and 2100"),
        (("--reference", "A", "--promised", "9999-12-31"), "time '9999-12-31' is not between the years 2000 and 2100"),
    ],
)
def test_flags_that_make_no_sense(nowhere: Cli, tmp_path: Path, flags: tuple[str, ...], why: str) -> None:
    assert nowhere.refusal("register", *flags, code=2).startswith(why)
    assert list(tmp_path.iterdir()) == []


GOOD = '{"reference": "GOOD"}\n'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("reference,colour\nGOOD,\nA,red\n", "line 3: column 'colour' is unknown; use account, carrier, order_id"),
        ("reference;tracker\nA;B\n", "line 2: column 'reference;tracker' is unknown"),
        ("reference,tracker\nGOOD,\nA,4210610508756\n", "line 3: tracker '4210610508756' is not PROVIDER:REFERENCE"),
        ("reference,tracker\nA,clickpots:1\n", "line 2: provider 'clickpots' is unknown"),
        ("reference,order_id\nA,1,2\n", "line 2: more values than the first line has names"),
        ("reference,order_id\nGOOD,1\n,2\n", "line 3: a registration needs a reference or a tracker"),
        (f"reference\n{'x' * 200_000}\n", "after line 1: not CSV: field larger than field limit"),
        ('reference,order_id\nA,"two\nlines"\n', "line 3: order_id 'two\\nlines' must be up to 400 printable"),
        ("reference,promised\nA,soon\n", "line 2: promised 'soon' is not a day"),
        (f'{GOOD}{{"reference": 5}}\n', "line 2: not a JSON object of texts: Expected `str | array`, got `int`"),
        (f'{GOOD}{{"reference": "A"\n', "line 2: not a JSON object of texts: "),
        (f"{GOOD}[]\n", "line 2: not a JSON object of texts: Expected `object`, got `array`"),
        (f'{GOOD}{{"reference": ["A", "B"]}}\n', "line 2: reference ['A', 'B'] must be up to 400 printable"),
        (f'{GOOD}{{"reference": "A", "promised": ["2026-01-01"]}}\n', "line 2: promised ['2026-01-01'] must be"),
        (f'{GOOD}{{"reference": "A", "order_id": "a\\u0000b"}}\n', "line 2: order_id 'a\\x00b' must be up to 400"),
        (f'{GOOD}{{"reference": "A", "order_id": "a\u2028b"}}\n', "line 2: order_id 'a\\u2028b' must be up to 400"),
        (f'{GOOD}{{"reference": "A", "line": "7"}}\n', "line 2: column 'line' is unknown"),
    ],
)
def test_one_line_that_makes_no_sense_stops_them_all(nowhere: Cli, tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "orders"
    file.write_text(content, "utf-8")

    told = nowhere.refusal("register", "--file", str(file), code=2)

    assert told.startswith(f"{file} {why}")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("content", ["", "\n", "reference,tracker\n"])
def test_a_file_without_lines_registers_nothing(nowhere: Cli, tmp_path: Path, content: str) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(content)

    assert nowhere.refusal("register", "--file", str(file), code=2).startswith("nothing to register")


def test_a_file_that_cannot_be_read(nowhere: Cli, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"reference\nM\xfcller\n")

    for file, why in (("missing", "No such file"), ("", "Is a directory"), ("latin", "'utf-8' codec")):
        told = nowhere.refusal("register", "--file", str(tmp_path / file), code=2)
        assert re.search(f" cannot be read: .*{why}.*; give a CSV or NDJSON file in UTF-8", told)


def test_a_second_order_on_a_taken_tracker_is_refused(cli: Cli) -> None:
    cli.json("register", "--reference", "O1", "--tracker", "clickpost:4:AAA", "--order-id", "ORD1")
    (told,) = cli.json("register", "--reference", "O2", "--tracker", "clickpost:4:AAA", "--order-id", "ORD2", code=1)

    assert "registered as default:host:O1 already" in told["error"]
    assert cli.json("status", "AAA")["order_id"] == "ORD1"


def test_a_promise_is_of_the_days_of_its_zone(cli: Cli) -> None:
    cli.json("register", "--reference", "O1", "--promised", "2026-03-05", "--zone", "+05:30")

    assert cli.json("edd", "O1")["promised_by"] == "2026-03-05T18:30:00Z"
