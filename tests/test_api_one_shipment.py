"""Is one shipment told as it is and as it was known, to its own account only, and by what ways it came to be so?"""

import base64
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import repeat
from typing import Any

import msgspec
import pytest

from support.asked import Api, asked, refused
from support.cli import ATTEMPTED
from support.messages import kept
from support.reports import TRACKER, report
from support.scans import instant, scan
from trackledger.adapters.explained import explain
from trackledger.adapters.inbox import message
from trackledger.adapters.one_shipment import history
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.checkpoints import Registration, Tracker
from trackledger.domain.ledger import Ledger
from trackledger.projections import delivery_dates, timeline
from trackledger.projections.one_shipment import row_of, status_of

PATH = "/api/shipments"
NOW = "2026-11-20T12:00:00Z"
ODD = "default:host:TL/20/417: of ours"
"""An id with everything in it that an address may not hold as it is."""
WAYS = ("", "/timeline", "/estimates", "/consignment", "/history", "/explanation", "/ndr")
PARENT = "default:host:PARENT"


def at(api: Api, moment: str, act: Callable[[Ledger], Any]) -> None:
    """Do something with the ledger at a time of its clock."""
    act(Ledger(Recorder(api.runtime.database), clock=repeat(instant(moment)).__next__))
    api.runtime.projector.catch_up()


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with asked(database_url) as api:
        yield api


@pytest.fixture
def attempted(api: Api) -> Api:
    """One whose delivery failed, from a message of a provider."""
    api.runtime.inbox.append([kept("clickpost", "poll_failed_delivery")])
    api.runtime.intake.catch_up()
    api.runtime.projector.catch_up()
    return api


def test_it_is_told_as_everywhere(attempted: Api) -> None:
    runtime, database = attempted.runtime, attempted.runtime.database
    runtime.ledger.note(ATTEMPTED, "the customer rang", "clerk@shop")
    runtime.projector.catch_up()
    now = datetime.fromisoformat(NOW)
    row = row_of(database, ATTEMPTED)
    assert row is not None
    answer = attempted.answer(f"{PATH}/{ATTEMPTED}", now=NOW)
    (note,) = answer.pop("notes")
    assert (note["actor"], note["text"]) == ("clerk@shop", "the customer rang")
    told = {name: answer.pop(name) for name in ("as_of", "known_at", "consistent_with")}
    assert told == {"as_of": NOW, "known_at": None, "consistent_with": str(runtime.store.head())}
    assert answer == same(status_of(database, row, now))
    below = {
        "timeline": timeline.of(database, ATTEMPTED),
        "estimates": delivery_dates.estimates(database, ATTEMPTED),
        "ndr": database.read("SELECT * FROM {s}ndr_cases ORDER BY case_no"),
        "history": history(runtime, ATTEMPTED)["events"],
    }
    for name, rows in below.items():
        assert rows, name
        assert attempted.items(f"{PATH}/{ATTEMPTED}/{name}") == same(rows), name


def same(value: Any) -> Any:
    """As it comes over the wire."""
    return msgspec.json.decode(msgspec.json.encode(value))


def test_notes_after_the_position_are_not_told(attempted: Api) -> None:
    """The tables have not taken in the event yet, and the answer says up to where it is complete."""
    before = attempted.answer(f"{PATH}/{ATTEMPTED}")
    attempted.runtime.ledger.note(ATTEMPTED, "later", "clerk@shop")
    after = attempted.answer(f"{PATH}/{ATTEMPTED}")
    assert (before["notes"], after["notes"]) == ([], [])
    assert before["consistent_with"] == after["consistent_with"]
    attempted.runtime.projector.catch_up()
    assert [note["text"] for note in attempted.answer(f"{PATH}/{ATTEMPTED}")["notes"]] == ["later"]


def test_lists_below_it_are_paged_and_come_as_csv_and_ndjson(attempted: Api) -> None:
    for name in ("timeline", "history"):
        path = f"{PATH}/{ATTEMPTED}/{name}"
        pages = attempted.pages(path, limit=1)
        assert len(pages) > 1
        assert [row for page in pages for row in page] == attempted.items(path)
    for name in ("timeline", "estimates", "ndr"):
        path = f"{PATH}/{ATTEMPTED}/{name}"
        rows = attempted.items(path)
        csv = attempted.get(path, accept="text/csv").text.splitlines()
        assert csv[0].removeprefix("\ufeff").split(",") == list(rows[0]), name
        lines = attempted.get(path, accept="application/x-ndjson").text.splitlines()
        assert len(csv) - 1 == len(lines) == len(rows), name


def test_a_cursor_is_of_one_shipment(attempted: Api) -> None:
    at(attempted, "3 12:00", lambda ledger: ledger.intake([report(scan("picked_up", "3 10:00"), at="3 12:00")]))
    cursor = attempted.answer(f"{PATH}/{ATTEMPTED}/timeline", limit=1)["next"]
    response = attempted.get(f"{PATH}/default:clickpost:4:AWB1/timeline", cursor=cursor)
    assert "another question" in refused(response, 422, "cursor")


def test_the_explanation_is_that_of_the_command(attempted: Api) -> None:
    answer = attempted.answer(f"{PATH}/{ATTEMPTED}/explanation", now=NOW)
    told = explain(attempted.runtime, ATTEMPTED, datetime.fromisoformat(NOW))
    assert [one["says"] for one in answer["conclusions"]] == [one.says for one in told.conclusions]
    assert answer["shipment_id"] == ATTEMPTED and answer["judged_at"] == NOW
    (known,) = answer["messages"].values()
    assert known["state"] == "done" and "body" not in known


def test_what_is_missing_and_what_is_anothers_look_the_same(attempted: Api) -> None:
    owner = {"who": "stranger"}
    for way in (*WAYS, "/messages"):
        told = []
        for shipment_id in (ATTEMPTED, "elsewhere:clickpost:4:NONE"):
            response = attempted.get(f"{PATH}/{shipment_id}{way}", **owner)
            refused(response, 404)
            told.append(response.content.replace(shipment_id.encode(), b"ID"))
            known = attempted.get(f"{PATH}/{shipment_id}{way}", known_at="2026-11-02T00:00:00Z", **owner)
            told.append(known.content.replace(shipment_id.encode(), b"ID"))
        assert len(set(told)) == 1, way


def test_ids_hold_colons_slashes_and_blanks(api: Api) -> None:
    at(api, "1 12:00", lambda ledger: ledger.register([Registration("TL/20/417: of ours", trackers=(TRACKER,))]))
    for way in WAYS:
        assert api.get(f"{PATH}/{ODD}{way}").status_code == 200, way
        assert api.get(f"{PATH}/{ODD.replace('/', '%2F')}{way}").status_code == 200, way


def test_an_id_that_no_database_takes_is_of_no_shipment(api: Api) -> None:
    for way in (*WAYS, "/messages"):
        refused(api.get(f"{PATH}/a%00b{way}", who="operator"), 404)
        refused(api.get(f"{PATH}/a%00b{way}", who="operator", known_at="2020-01-01T00:00:00Z"), 404)


def test_it_is_told_as_it_was_known(api: Api) -> None:
    scans = [scan("picked_up", "3 10:00"), scan("out_for_delivery", "4 10:00"), scan("delivery_failed", "4 18:00")]
    for day, some in enumerate((scans[:1], scans[:2], scans), start=3):
        told = report(*some, at=f"{day} 20:00", message=f"m{day}")
        at(api, f"{day} 21:00", lambda ledger, told=told: ledger.intake([told]))  # type: ignore[misc]
    shipment_id = "default:clickpost:4:AWB1"
    at(api, "9 12:00", lambda ledger: ledger.note(shipment_id, "late remark", "clerk@shop"))

    milestones, events, notes, cases = [], [], [], []
    for day in (3, 4, 5, 9):
        moment = instant(f"{day} 21:00").isoformat()
        answer = api.answer(f"{PATH}/{shipment_id}", known_at=moment)
        assert (
            datetime.fromisoformat(answer["as_of"])
            == datetime.fromisoformat(answer["known_at"])
            == instant(f"{day} 21:00")
        )
        milestones.append(answer["status"]["milestone"])
        notes.append(len(answer["notes"]))
        assert len(api.items(f"{PATH}/{shipment_id}/timeline", known_at=moment)) == min(day - 2, 3)
        cases.append(len(api.items(f"{PATH}/{shipment_id}/ndr", known_at=moment)))
        events.append(sum(map(len, api.pages(f"{PATH}/{shipment_id}/history", known_at=moment, limit=1))))
        explanation = api.answer(f"{PATH}/{shipment_id}/explanation", known_at=moment)
        assert explanation["conclusions"][0]["value"]["milestone"] == milestones[-1]
    assert milestones == ["picked_up", "out_for_delivery", "delivery_failed", "delivery_failed"]
    assert (notes, cases) == ([0, 0, 0, 1], [0, 0, 1, 1])
    assert events == sorted(events) and events[0] < events[1] < events[2] < events[3]

    missing = refused(api.get(f"{PATH}/default:nobody"), 404).replace("default:nobody", shipment_id)
    for way in WAYS:
        before = api.get(f"{PATH}/{shipment_id}{way}", known_at=instant("3 20:59").isoformat())
        assert refused(before, 404) == missing


def test_a_cursor_keeps_the_moment_of_its_list(api: Api) -> None:
    shipment_id = "default:clickpost:4:AWB1"
    for day in (3, 4, 5):
        told = report(scan("in_transit", f"{day} 10:00"), at=f"{day} 20:00", message=f"m{day}")
        at(api, f"{day} 21:00", lambda ledger, told=told: ledger.intake([told]))  # type: ignore[misc]
    for name in ("timeline", "history"):
        path = f"{PATH}/{shipment_id}/{name}"
        then = api.items(path, known_at=instant("4 22:00").isoformat())
        first = api.answer(path, known_at=instant("4 22:00").isoformat(), limit=1)
        rest = api.answer(path, cursor=first["next"])
        assert first["items"] + rest["items"] == then
        assert rest["known_at"] == first["known_at"]


def test_a_consignment_comes_with_its_pieces_as_they_were(api: Api) -> None:
    trackers = [Tracker("clickpost", f"4:PIECE{n}", "Delhivery", f"PIECE{n}") for n in (1, 2)]
    at(api, "1 12:00", lambda ledger: ledger.register([Registration("PARENT")]))
    for one in trackers:
        at(api, "2 12:00", lambda ledger, one=one: ledger.register([Registration(trackers=(one,), piece_of=PARENT)]))  # type: ignore[misc]
    delivered = report(scan("delivered", "3 10:00"), at="3 12:00", tracker=trackers[0])
    at(api, "3 12:00", lambda ledger: ledger.intake([delivered]))

    now = api.answer(f"{PATH}/{PARENT}/consignment")
    assert (now["consignment"]["state"], now["consignment"]["delivered"]) == ("partial", 1)
    assert [piece["milestone"] for piece in now["pieces"]] == ["delivered", "unknown"]
    then = api.answer(f"{PATH}/{PARENT}/consignment", known_at=instant("2 13:00").isoformat())
    assert then["consignment"]["state"] == "open" and len(then["pieces"]) == 2
    alone = api.answer(f"{PATH}/{PARENT}/consignment", known_at=instant("1 13:00").isoformat())
    assert (alone["consignment"], alone["piece_of"], alone["pieces"]) == (None, None, [])
    piece = api.answer(f"{PATH}/default:clickpost:4:PIECE1/consignment")
    assert (piece["consignment"], piece["piece_of"]) == (None, PARENT)
    assert api.answer(f"{PATH}/{PARENT}", known_at=instant("2 13:00").isoformat())["consignment"]["pieces"] == 2


def test_raw_messages_are_for_those_who_may_see_them(attempted: Api) -> None:
    path = f"{PATH}/{ATTEMPTED}/messages"
    assert "may not see raw messages" in refused(attempted.get(path), 403)
    (told,) = attempted.items(path, who="operator")
    original = kept("clickpost", "poll_failed_delivery")
    assert (told["body"].encode(), told["encoding"]) == (original.body, "utf-8")
    assert told["message_id"] == original.message_id and told["state"] == "done"
    assert told["context"] == dict(original.context) and told["bytes"] == len(original.body)
    refused(attempted.get(path, who="stranger"), 404)


def test_raw_messages_are_paged_whatever_they_hold(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [b"\xff\xfe not UTF-8", "größer".encode(), b"{}", b"x" * 200]
    raw = [
        message("clickpost", body, received_at=instant(f"3 10:0{number}"), headers={"User-Agent": "them"})
        for number, body in enumerate(bodies)
    ]
    api.runtime.inbox.append(raw)
    for number, one in enumerate(raw):
        told = report(scan("in_transit", f"3 1{number}:00"), at="3 20:00", message=one.message_id)
        at(api, f"{4 + number} 12:00", lambda ledger, told=told: ledger.intake([told]))  # type: ignore[misc]
    path = f"{PATH}/default:clickpost:4:AWB1/messages"
    for at_once, most in ((500, 10_000), (1, 10_000), (500, 100)):
        monkeypatch.setattr("trackledger.adapters.http.api.messages.AT_ONCE", at_once)
        monkeypatch.setattr("trackledger.adapters.http.api.messages.MAX_BYTES", most)
        pages = api.pages(path, who="operator", limit=3)
        found = [row for page in pages for row in page]
        assert len(pages) == 2
        assert [decoded(row) for row in found] == bodies
        assert {row["encoding"] for row in found} == {"utf-8", "base64"}
        assert found[0]["headers"] == {"user-agent": "them"}
    then = api.items(path, who="operator", known_at=instant("5 12:00").isoformat())
    assert [decoded(row) for row in then] == bodies[:2]


def decoded(row: dict[str, Any]) -> bytes:
    """The bytes of a message."""
    body: str = row["body"]
    return base64.b64decode(body) if row["encoding"] == "base64" else body.encode()


def test_messages_that_were_erased_are_no_more(attempted: Api) -> None:
    attempted.runtime.forgetting.forget(ATTEMPTED, "clerk@shop", "asked us to")
    path = f"{PATH}/{ATTEMPTED}"
    assert attempted.items(f"{path}/messages", who="operator") == []
    assert all(row["remark"] is None for row in attempted.items(f"{path}/timeline"))


@pytest.mark.parametrize("way", [*WAYS, "/messages"])
def test_what_is_wrong_is_named(attempted: Api, way: str) -> None:
    path = f"{PATH}/{ATTEMPTED}{way}"
    wrong = [("now", "noon"), ("known_at", "2999-01-01T00:00:00Z"), ("known_at", "2026-11-21"), ("colour", "red")]
    if way in ("/timeline", "/estimates", "/history", "/ndr", "/messages"):
        wrong += [("limit", "0"), ("limit", "many"), ("cursor", "nonsense")]
    for parameter, value in wrong:
        refused(attempted.get(path, who="operator", **{parameter: value}), 422, parameter)
    if way == "/messages":
        refused(attempted.get(path, who="operator", limit=101), 422, "limit")
    assert refused(attempted.client.get(path), 401)
