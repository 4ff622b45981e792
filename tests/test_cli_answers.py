"""What do the tables answer on the command line, and how are they kept up with the ledger?"""

import json
import os
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from support.cli import ANSWERING, AT, ATTEMPTED, NEVER_PICKED_UP, NOW, Cli, fixture, installed, parcel, written
from trackledger.adapters.inbox import message
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings


def without_tables(url: str, *names: str, channel: Any = "poll") -> None:
    """Take messages into the ledger, and leave the tables as they are."""
    with open_runtime(Settings(url)) as runtime:
        bodies = [Path(fixture(name)).read_bytes() for name in names]
        at = datetime.fromisoformat(AT)
        runtime.intake.take([message("clickpost", body, channel=channel, received_at=at) for body in bodies])


# status


def test_status_in_json_of_a_failed_delivery(filled: Cli) -> None:
    assert filled.json("status", "7702913348051", "--now", NOW) == {
        "shipment_id": ATTEMPTED,
        "account": "default",
        "reference": None,
        "order_id": "TL-20417",
        "trackers": [
            {
                "provider": "clickpost",
                "reference": "4:7702913348051",
                "carrier": "Delhivery",
                "tracking_number": "7702913348051",
            }
        ],
        "status": {
            "milestone": "out_for_delivery",
            "leg": "forward",
            "since": "2026-03-06T04:07:41Z",
            "location": "Pune_Kothrud_D (Maharashtra)",
            "said": "Dispatched",
            "because": {"rule": "latest_scan", "checkpoints": ["clickpost:41229035199"]},
        },
        "ndr": {
            "shipment_id": ATTEMPTED,
            "account": "default",
            "case_no": 1,
            "state": "actioned",
            "reason": "customer_unavailable",
            "reason_said": "Customer Unavailable",
            "party": "consignee",
            "attempts": 1,
            "failure_scans": 1,
            "opened_at": "2026-03-05T10:57:55Z",
            "last_attempt_at": "2026-03-05T10:57:55Z",
            "act_by": None,
            "closed_at": None,
            "outcome": None,
        },
        "silence": {
            "shipment_id": ATTEMPTED,
            "account": "default",
            "kind": "out_for_delivery_overnight",
            "quiet_since": "2026-03-06T04:07:41Z",
            "stuck_after": "2026-03-07T00:07:41Z",
            "provider_says_stuck": False,
            "policy_version": "1",
            "is_stuck": False,
        },
        "delivery": {
            "shipment_id": ATTEMPTED,
            "account": "default",
            "is_final": False,
            "promised_from": None,
            "promised_to": None,
            "original_from": "2026-03-06",
            "original_to": "2026-03-06",
            "current_from": "2026-03-06",
            "current_to": "2026-03-06",
            "current_source": "carrier",
            "revisions": 0,
            "first_attempt_at": "2026-03-05T10:57:55Z",
            "delivered_at": None,
            "baseline": "original",
            "promised_by": "2026-03-06T18:30:00Z",
            "on_time": None,
        },
        "consignment": None,
        "notes": [],
        "checkpoints": 9,
        "position": 2,
    }


def test_status_in_json_of_a_parcel_never_picked_up(filled: Cli) -> None:
    assert filled.json("status", "143399020817", "--now", "2026-01-26T15:00:00Z") == {
        "shipment_id": NEVER_PICKED_UP,
        "account": "default",
        "reference": None,
        "order_id": "TL-19903",
        "trackers": [
            {
                "provider": "clickpost",
                "reference": "6:143399020817",
                "carrier": "Xpressbees",
                "tracking_number": "143399020817",
            }
        ],
        "status": {
            "milestone": "pickup_scheduled",
            "leg": "forward",
            "since": "2026-01-14T06:41:44Z",
            "location": "Noida Sector 63",
            "said": "PND",
            "because": {
                "rule": "latest_scan",
                "checkpoints": ["clickpost:40558020538", "clickpost:40559027380"],
            },
        },
        "ndr": None,
        "silence": {
            "shipment_id": NEVER_PICKED_UP,
            "account": "default",
            "kind": "never_picked_up",
            "quiet_since": "2026-01-16T14:45:27Z",
            "stuck_after": "2026-01-19T04:32:31Z",
            "provider_says_stuck": True,
            "policy_version": "1",
            "is_stuck": True,
        },
        "delivery": {
            "shipment_id": NEVER_PICKED_UP,
            "account": "default",
            "is_final": False,
            "promised_from": None,
            "promised_to": None,
            "original_from": "2026-01-17",
            "original_to": "2026-01-17",
            "current_from": "2026-01-17",
            "current_to": "2026-01-17",
            "current_source": "sla",
            "revisions": 0,
            "first_attempt_at": None,
            "delivered_at": None,
            "baseline": "original",
            "promised_by": "2026-01-17T18:30:00Z",
            "on_time": False,
        },
        "consignment": None,
        "notes": [],
        "checkpoints": 8,
        "position": 4,
    }


def test_a_parcel_is_stuck_by_our_rule_although_the_provider_says_it_is_not(cli: Cli, tmp_path: Path) -> None:
    message, said = parcel("poll_not_picked_up")
    said["additional"]["is_stuck"] = False
    cli.json("ingest", "clickpost", written(tmp_path / "denied.json", message))
    ten_days_later = ("--now", "2026-01-26T14:45:27Z")

    answer = cli.json("status", "TL-19903", *ten_days_later)

    silence = answer["silence"]
    assert (silence["kind"], silence["is_stuck"], silence["provider_says_stuck"]) == ("never_picked_up", True, False)
    assert answer["ndr"] is None
    (row,) = cli.json("stuck", *ten_days_later)
    assert (row["shipment_id"], row["kind"], row["provider_says_stuck"]) == (NEVER_PICKED_UP, "never_picked_up", False)
    assert cli.json("ndr", *ten_days_later) == []
    told = cli.text("status", "TL-19903", *ten_days_later)
    assert "stuck after 2026-01-19 04:32:31Z (never_picked_up); the provider says it is not stuck" in told


def test_status_in_words(filled: Cli) -> None:
    told = filled.text("status", "TL-20417", "--now", NOW)

    assert told.splitlines()[0] == ATTEMPTED
    for words in (
        "clickpost: Delhivery 7702913348051",
        "out_for_delivery since 2026-03-06 04:07:41Z, at Pune_Kothrud_D (Maharashtra): Dispatched",
        "case 1 actioned: customer_unavailable",
        "stuck if nothing is heard after 2026-03-07 00:07:41Z",
        "current 2026-03-06 to 2026-03-06 by carrier: not due yet against original",
        "by rule latest_scan from clickpost:41229035199",
        "9 checkpoints, ledger position 2",
    ):
        assert words in told


@pytest.mark.parametrize("ref", [ATTEMPTED, "TL-20417", "7702913348051", "4:7702913348051"])
def test_a_shipment_is_found_by_id_order_and_number(filled: Cli, ref: str) -> None:
    assert filled.json("status", ref)["shipment_id"] == ATTEMPTED


def test_several_matches_are_all_listed(cli: Cli) -> None:
    cli.ingest("poll_failed_delivery", account="north")
    cli.ingest("poll_failed_delivery", account="south")
    ids = ["north:clickpost:4:7702913348051", "south:clickpost:4:7702913348051"]

    assert [one["shipment_id"] for one in cli.json("status", "7702913348051")] == ids
    assert [line for line in cli.text("status", "7702913348051").splitlines() if line in ids] == ids
    assert cli.json("status", "7702913348051", "--account", "south")["shipment_id"] == ids[1]
    for command in ("timeline", "edd"):
        told = cli.refusal(command, "7702913348051", code=2)
        assert told == f"'7702913348051' names 2 shipments; use one of their ids: {ids[0]}, {ids[1]}"
        assert cli(command, "7702913348051", "--account", "north").exit_code == 0


@pytest.mark.parametrize("command", ["status", "timeline", "edd"])
@pytest.mark.parametrize("ref", ["TL-99999", "'; DROP TABLE shipments; --", "%", "TL-20417 "])
def test_an_unknown_ref_is_told_in_one_sentence(filled: Cli, command: str, ref: str) -> None:
    told = filled.refusal(command, ref)

    assert told == f"no shipment has the id, reference, order id or tracking number {ref!r}; check it"


@pytest.mark.parametrize("command", ["status", "timeline", "edd"])
def test_an_empty_ref_names_nothing(filled: Cli, command: str) -> None:
    filled.json("register", "--reference", "without a number")

    assert filled.refusal(command, "", code=2).startswith("REF is empty")


def test_a_ref_of_another_account_is_unknown(filled: Cli) -> None:
    assert "no shipment has" in filled.refusal("status", "TL-20417", "--account", "other")


# lists


def test_shipments_are_listed_with_filters_and_pages(filled: Cli) -> None:
    def ids(*args: str) -> list[str]:
        return [row["shipment_id"] for row in filled.json("shipments", *args)]

    assert ids() == [ATTEMPTED, NEVER_PICKED_UP]
    assert ids("--limit", "1") == [ATTEMPTED]
    assert ids("--limit", "1", "--after", ATTEMPTED) == [NEVER_PICKED_UP]
    assert ids("--after", NEVER_PICKED_UP) == []
    assert ids("--milestone", "out_for_delivery") == [ATTEMPTED]
    assert ids("--carrier", "Xpressbees") == [NEVER_PICKED_UP]
    assert ids("--carrier", "Xpressbees", "--milestone", "out_for_delivery") == []
    assert ids("--provider", "clickpost", "--leg", "forward") == [ATTEMPTED, NEVER_PICKED_UP]
    assert ids("--leg", "return") == []
    assert ids("--order-id", "TL-19903") == [NEVER_PICKED_UP]
    assert ids("--account", "other") == []


def test_a_row_of_shipments_in_json(filled: Cli) -> None:
    row = filled.json("shipments", "--order-id", "TL-20417")[0]

    assert row == {
        "shipment_id": ATTEMPTED,
        "account": "default",
        "reference": None,
        "order_id": "TL-20417",
        "carrier": "Delhivery",
        "tracking_number": "7702913348051",
        "provider": "clickpost",
        "service": None,
        "milestone": "out_for_delivery",
        "leg": "forward",
        "since": "2026-03-06T04:07:41Z",
        "location": "Pune_Kothrud_D (Maharashtra)",
        "said": "Dispatched",
        "reason_rule": "latest_scan",
        "because": '["clickpost:41229035199"]',
        "checkpoints": 9,
        "opened_at": row["opened_at"],
        "last_heard_at": AT,
        "delivered_at": None,
        "attempts": 1,
        "piece_of": None,
        "pieces": None,
        "is_final": False,
        "position": 2,
    }


def test_shipments_in_text_are_one_line_each(filled: Cli) -> None:
    head, _, *rows = filled.text("shipments").splitlines()

    assert head.split()[:3] == ["shipment_id", "milestone", "leg"]
    assert [row.split()[:3] for row in rows] == [
        [ATTEMPTED, "out_for_delivery", "forward"],
        [NEVER_PICKED_UP, "pickup_scheduled", "forward"],
    ]


def test_timeline_is_in_the_order_of_the_parcels_clock(filled: Cli) -> None:
    rows = filled.json("timeline", "TL-20417")

    assert [row["milestone"] for row in rows] == [
        "info_received",
        "out_for_pickup",
        "picked_up",
        "in_transit",
        "in_transit",
        "arrived",
        "out_for_delivery",
        "delivery_failed",
        "out_for_delivery",
    ]
    failed = rows[7]
    assert failed == {
        "shipment_id": ATTEMPTED,
        "checkpoint_id": "clickpost:41228027380",
        "fingerprint": failed["fingerprint"],
        "provider": "clickpost",
        "milestone": "delivery_failed",
        "leg": "forward",
        "occurred_at": "2026-03-05T10:57:55Z",
        "occurred_said": "2026-03-05 16:27:55",
        "precision": "second",
        "zone_source": "assumed",
        "location": "Pune_Kothrud_D (Maharashtra)",
        "status_code": "9",
        "status_said": "Pending",
        "remark": "Nobody at home, door locked",
        "ndr_reason": "customer_unavailable",
        "ndr_inferred": False,
        "channel": "poll",
        "message_id": failed["message_id"],
        "received_at": AT,
        "recorded_at": failed["recorded_at"],
        "amended": 0,
        "withdrawn": False,
        "corrected": 0,
    }
    lines = filled.text("timeline", "TL-20417").splitlines()[2:]
    assert [line.split("  ")[0] for line in lines][7] == "2026-03-05 10:57:55Z"
    assert "Nobody at home, door locked" in lines[7]


def test_a_timeline_of_which_nothing_was_said(cli: Cli) -> None:
    cli.json("register", "--reference", "ORDER-1")

    assert cli.json("timeline", "ORDER-1") == []
    assert cli.text("timeline", "ORDER-1") == "nothing was said about it yet\n"


def test_ndr_lists_cases_with_their_deadline(cli: Cli) -> None:
    cli.ingest("webhook_ndr", channel="webhook")

    (open_,) = cli.json("ndr", "--now", "2026-03-06T10:57:54Z")
    assert (open_["shipment_id"], open_["state"], open_["act_by"]) == (ATTEMPTED, "open", "2026-03-06T10:57:55Z")
    assert open_["overdue"] is False
    assert cli.json("ndr", "--now", "2026-03-06T10:57:55Z")[0]["overdue"] is True
    assert "customer_unavailable" in cli.text("ndr", "--now", NOW)

    cli.ingest("webhook_ofd", channel="webhook")
    assert [row["state"] for row in cli.json("ndr", "--now", NOW)] == ["actioned"]
    assert cli.json("ndr", "--state", "open", "--now", NOW) == []
    assert [row["overdue"] for row in cli.json("ndr", "--state", "actioned", "--now", NOW)] == [False]
    assert cli.json("ndr", "--account", "other") == []

    cli.ingest("webhook_delivered_with_ndr", channel="webhook")
    assert cli.json("ndr") == []
    assert cli.text("ndr") == "no failed deliveries\n"
    case = cli.json("status", ATTEMPTED)["ndr"]
    assert (case["state"], case["outcome"], case["act_by"]) == ("closed", "delivered", None)


def test_stuck_lists_the_longest_stuck_first_as_of_now(filled: Cli) -> None:
    def ids(*args: str) -> list[str]:
        return [row["shipment_id"] for row in filled.json("stuck", *args)]

    later = ("--now", "2026-03-07T00:07:41Z")
    assert ids("--now", "2026-01-19T04:32:30Z") == []
    assert ids("--now", "2026-01-19T04:32:31Z") == [NEVER_PICKED_UP]
    assert ids("--now", "2026-01-19T10:02:31+05:30") == [NEVER_PICKED_UP]
    assert ids(*later) == [NEVER_PICKED_UP, ATTEMPTED]
    assert ids(*later, "--limit", "1") == [NEVER_PICKED_UP]
    assert ids(*later, "--kind", "out_for_delivery_overnight") == [ATTEMPTED]
    assert ids(*later, "--account", "other") == []
    assert filled.text("stuck", "--now", "2026-01-19T04:32:30Z") == "nothing is stuck\n"
    assert "never_picked_up" in filled.text("stuck", *later)


def test_late_lists_what_is_past_its_date_in_the_day_of_the_place(filled: Cli) -> None:
    def ids(*args: str) -> list[str]:
        return [row["shipment_id"] for row in filled.json("late", *args)]

    midnight_in_india = ("--now", "2026-03-06T18:30:00Z")
    assert ids("--now", "2026-03-06T18:29:59Z") == [NEVER_PICKED_UP]
    assert ids(*midnight_in_india) == [NEVER_PICKED_UP, ATTEMPTED]
    assert ids(*midnight_in_india, "--limit", "1") == [NEVER_PICKED_UP]
    assert ids(*midnight_in_india, "--account", "other") == []
    assert filled.text("late", "--now", "2026-01-01T00:00:00Z") == "nothing is late\n"
    assert "TL-20417" not in filled.text("late", "--now", "2026-03-06T18:29:59Z")
    assert "original" in filled.text("late", *midnight_in_india)


def test_edd_gives_the_dates_and_every_estimate(filled: Cli) -> None:
    answer = filled.json("edd", "TL-20417", "--now", "2026-03-06T18:30:00Z")

    estimates = answer.pop("estimates")
    assert answer == filled.json("status", "TL-20417", "--now", "2026-03-06T18:30:00Z")["delivery"]
    assert (answer["current_source"], answer["on_time"]) == ("carrier", False)
    stated = {
        (one["source"], one["from_date"], one["to_date"], one["precision"], one["stated_at"]) for one in estimates
    }
    assert stated == {
        ("sla", "2026-03-04", "2026-03-06", "day", AT),
        ("carrier", "2026-03-06", "2026-03-06", "day", AT),
    }
    told = filled.text("edd", "TL-20417", "--now", NOW)
    assert "promised_by  2026-03-06 18:30:00Z" in told
    assert "sla" in told


def test_unmapped_counts_statuses_in_the_providers_words(cli: Cli, tmp_path: Path) -> None:
    held = json.loads(Path(fixture("webhook_unmapped")).read_text())
    again = held | {"timestamp": "2026-03-08T05:00:00Z"}
    other = held | {"clickpost_status_code": 48, "status": "Weighed"}
    files = [written(tmp_path / f"{n}.json", body) for n, body in enumerate((held, again, other))]
    cli.json("ingest", "clickpost", *files, "--channel", "webhook")

    rows = cli.json("unmapped")

    assert [(row["provider"], row["status_code"], row["text"], row["count"]) for row in rows] == [
        ("clickpost", "47", "Held at X-ray", 2),
        ("clickpost", "48", "Weighed", 1),
    ]
    assert rows[0]["first_seen"] <= rows[0]["last_seen"]
    assert {row["milestone"] for row in cli.json("shipments")} == {"unknown"}
    assert "Held at X-ray" in cli.text("unmapped")
    assert cli.json("unmapped", "--provider", "aftership") == []
    assert cli.text("unmapped", "--provider", "aftership") == "every status is mapped\n"


def test_a_shipment_that_cannot_be_folded_is_listed_by_parked(filled: Cli, database_url: str) -> None:
    with open_runtime(Settings(database_url)) as runtime:
        runtime.ledger.note(ATTEMPTED, "from a later version", "test")
        with runtime.database.transaction() as transaction:
            transaction.execute("UPDATE {s}stored_events SET topic = 'shipment.Later' WHERE notification_id = 5")
    assert filled("project").exit_code == 0

    (poisoned,) = filled.json("parked")

    assert (poisoned["shipment_id"], poisoned["position"]) == (ATTEMPTED, 5)
    assert "'shipment.Later'" in poisoned["reason"]
    assert "upgrade trackledger" in filled.text("parked")
    assert filled.json("status", ATTEMPTED)["position"] == 2


# the pumps


@pytest.mark.parametrize("args", ANSWERING, ids=lambda args: args[0])
def test_an_answer_behind_the_ledger_says_so(filled: Cli, database_url: str, args: tuple[str, ...]) -> None:
    without_tables(database_url, "webhook_delivered_with_ndr", channel="webhook")

    behind = filled(*args, "--json")

    assert behind.exit_code == 0
    json.loads(behind.stdout)
    assert behind.stderr == "trackledger: the tables are 1 events behind the ledger; run `trackledger project`\n"
    filled.text("project")
    assert filled(*args).stderr == ""


def test_a_shipment_that_is_not_in_the_tables_yet(cli: Cli, database_url: str) -> None:
    without_tables(database_url, "poll_failed_delivery")

    result = cli("status", "TL-20417")

    assert result.exit_code == 1
    assert [line.split()[1] for line in result.stderr.splitlines()] == ["the", "no"]


def test_project_brings_the_tables_up_to_the_ledger(cli: Cli, database_url: str) -> None:
    without_tables(database_url, "poll_failed_delivery", "poll_not_picked_up")
    assert cli("shipments", "--json").stdout == "[]\n"

    assert cli.json("project") == {"events": 4, "position": 4}
    assert cli.text("project") == "0 events taken in, tables at position 4\n"
    assert len(cli.json("shipments")) == 2


def test_project_follows_the_ledger_until_it_is_told_to_stop(database_url: str) -> None:
    cli = Cli(database_url)
    cli.ingest("poll_not_picked_up")
    environment = {**os.environ, "TRACKLEDGER_DB": database_url}
    process = subprocess.Popen([installed(), "project", "--follow"], env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0 events taken in, tables at position 2\n"
        without_tables(database_url, "poll_failed_delivery")
        while len(cli.json("shipments")) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        with open_runtime(Settings(database_url)) as runtime:
            body = Path(fixture("poll_delivered")).read_bytes()
            runtime.inbox.append([message("clickpost", body, received_at=datetime.fromisoformat(AT))])
        while len(cli.json("shipments")) < 3:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    finally:
        process.kill()
        process.communicate()
