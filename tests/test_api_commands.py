"""Is what is told to be done over HTTP done once, for the right account, and refused in one way?"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any, get_args

import httpx
import pytest

from support.asked import SECRETS, Api, asked, refused
from support.polls import asked_account, scheduled, sync
from support.reports import report
from support.scans import scan
from support.scripted import Reply, Scripted, scripted
from trackledger.adapters.http.api.actions import ActionSaid
from trackledger.adapters.http.api.posted import MAX_BYTES
from trackledger.adapters.inbox import message
from trackledger.adapters.once import LEASE, Answered, once
from trackledger.adapters.settings import Settings
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.events import DetailsStated, NoteAdded, Opened
from trackledger.domain.ndr_actions import NdrAction
from trackledger.domain.policies.attempts import CaseState

ID = "default:clickpost:4:AWB1"
OTHER = Tracker("clickpost", "4:AWB9")
ACT = f"/api/shipments/{ID}/ndr/1/actions"
OK = {"meta": {"message": "SUCCESS", "success": True, "status": 200}}
ORDER = {"reference": "ORDER-1", "trackers": ["clickpost:4:77"], "order_id": "TL-1", "promised": "2026-11-28"}


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        one.otherwise = lambda _: OK
        yield one


@pytest.fixture
def api(database_url: str, played: Scripted) -> Iterator[Api]:
    """A ledger with a failed delivery that asks ClickPost as it is played."""
    with asked(database_url, Settings(accounts=(asked_account("clickpost", played.url),))) as api:
        failure = scan("delivery_failed", "3 12:00", reason="refused")
        api.runtime.ledger.intake([report(failure, at="3 13:00")])
        api.runtime.projector.catch_up()
        yield api


def done(response: httpx.Response, status: int) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


def events(api: Api, id_: str = ID) -> list[Any]:
    return [placed.event for placed in api.runtime.ledger.history(id_)]


# registering


def test_a_shipment_is_registered_and_can_be_waited_for(api: Api) -> None:
    told = done(api.post("/api/shipments", ORDER), 201)

    assert (told["shipment_id"], told["new"]) == ("default:host:ORDER-1", True)
    assert told["position"] == str(api.runtime.store.head())
    opened, stated = events(api, told["shipment_id"])
    assert isinstance(opened, Opened) and isinstance(stated, DetailsStated)
    assert [one.reference for one in opened.trackers] == ["4:77"]
    assert stated.details == {"order_id": "TL-1"}
    again = done(api.post("/api/shipments", ORDER), 200)
    assert again == {**told, "new": False}
    api.runtime.projector.catch_up()
    assert api.items("/api/shipments", wait_for=told["position"])


def test_of_many_each_is_told_of(api: Api) -> None:
    api.post("/api/shipments", ORDER)
    taken = {"reference": "ORDER-2", "trackers": ["clickpost:4:77"]}

    told = done(api.post("/api/shipments", [{"reference": "ORDER-3"}, taken, {"trackers": ["ship24:t-1"]}]), 201)

    assert [(one["shipment_id"], one["new"]) for one in told["items"]] == [
        ("default:host:ORDER-3", True),
        ("", False),
        ("default:ship24:t-1", True),
    ]
    assert [one["error"] is None for one in told["items"]] == [True, False, True]
    assert "ORDER-1" in told["items"][1]["error"]
    assert "ORDER-1" in refused(api.post("/api/shipments", taken), 409)


def test_a_shipment_is_always_of_the_account_of_the_token(api: Api) -> None:
    told = done(api.post("/api/shipments", ORDER, who="stranger"), 201)

    assert told["shipment_id"] == "elsewhere:host:ORDER-1"
    refused(api.post("/api/shipments", {**ORDER, "account": "default"}, who="stranger"), 422, "account")


def test_nobody_learns_of_a_parent_of_another_account(api: Api) -> None:
    there = refused(api.post("/api/shipments", {"reference": "P1", "piece_of": ID}, who="stranger"), 404)
    missing = refused(api.post("/api/shipments", {"reference": "P1", "piece_of": ID[:-1]}, who="stranger"), 404)

    assert there.replace(ID, "") == missing.replace(ID[:-1], "")
    done(api.post("/api/shipments", {"reference": "P1", "piece_of": ID}), 201)


NO_REGISTRATIONS: list[tuple[Any, str | None]] = [
    ({}, None),
    ({"reference": 5}, "reference"),
    ({"reference": "x" * 501}, "reference"),
    ({"ref": "x"}, "ref"),
    ({"reference": "a\nb"}, "reference"),
    ({"trackers": "clickpost:4:1"}, "trackers"),
    ({"trackers": ["clickpost"]}, "trackers"),
    ({"trackers": ["dhl:4"]}, None),
    ({"trackers": [f"ship24:{n}" for n in range(21)]}, "trackers"),
    ({"reference": "x", "promised": "soon"}, "promised"),
    ({"reference": "x", "promised": "2026-11-28", "zone": "IST"}, "zone"),
    ([], "body"),
    ([{"reference": "x"}, {"refference": "y"}], "1.refference"),
    ([{"reference": "x"}, {"reference": "y", "promised": "soon"}], "1.promised"),
    ([{"reference": f"r{n}"} for n in range(101)], "body"),
    ("text", "body"),
]


def test_a_registration_that_makes_no_sense_names_the_field(api: Api) -> None:
    before = api.runtime.store.head()

    for body, field in NO_REGISTRATIONS:
        refused(api.post("/api/shipments", body), 422, field)

    assert api.runtime.store.head() == before


# once


def test_a_command_with_a_key_is_done_once(api: Api) -> None:
    key = {"idempotency-key": '"9f2c"'}
    first = api.post(f"/api/shipments/{ID}/notes", {"text": "he called"}, headers=key)
    again = api.post(f"/api/shipments/{ID}/notes", {"text": "he called"}, headers=key)

    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    assert sum(isinstance(one, NoteAdded) for one in events(api)) == 1
    told = refused(api.post(f"/api/shipments/{ID}/notes", {"text": "she"}, headers=key), 422, "idempotency-key")
    assert told == "this key was given to another command; use a new one for each"
    refused(api.post("/api/shipments", ORDER, headers=key), 422, "idempotency-key")


def test_keys_are_of_an_account(api: Api) -> None:
    for who, id_ in (("operator", "default:host:ORDER-1"), ("stranger", "elsewhere:host:ORDER-1")):
        told = done(api.post("/api/shipments", ORDER, who=who, headers={"idempotency-key": "one"}), 201)
        assert told["shipment_id"] == id_


def test_of_many_who_send_the_same_at_once_one_does_it(api: Api) -> None:
    told: list[httpx.Response] = []

    def send() -> None:
        headers = {"authorization": f"Bearer {SECRETS['operator']}", "idempotency-key": "same"}
        with httpx.Client(base_url=api.url, timeout=30) as client:
            told.append(client.post(f"/api/shipments/{ID}/notes", json={"text": "he called"}, headers=headers))

    threads = [Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(told) == 8
    assert {one.status_code for one in told} <= {201, 409}
    good = {one.content for one in told if one.status_code == 201}
    assert len(good) == 1
    assert sum(isinstance(one, NoteAdded) for one in events(api)) == 1
    for one in told:
        if one.status_code == 409:
            assert "is being done right now" in refused(one, 409) and one.headers["retry-after"] == "2"


def test_what_is_refused_may_be_sent_again(api: Api) -> None:
    key = {"idempotency-key": "one"}
    refused(api.post(f"/api/shipments/{ID[:-1]}9/notes", {"text": "he called"}, headers=key), 404)

    api.runtime.ledger.intake([report(scan("in_transit", "3 12:00"), at="3 13:00", tracker=OTHER)])

    done(api.post(f"/api/shipments/{ID[:-1]}9/notes", {"text": "he called"}, headers=key), 201)


def test_a_command_whose_process_died_is_taken_over_and_old_keys_are_forgotten(api: Api) -> None:
    database = api.runtime.database

    def age(by: timedelta) -> None:
        with database.transaction() as transaction:
            past = datetime.now(UTC) - by
            transaction.execute("UPDATE {s}commands SET began_at = :past, leased_until = :past", past=past)

    turn = once(database, "default", "k", "r")
    turn.__enter__()
    age(LEASE)
    with once(database, "default", "k", "r") as second:
        assert second.earlier is None
        second.answer = Answered(201, '{"a":1}')
    with once(database, "default", "k", "r") as third:
        assert third.earlier == Answered(201, '{"a":1}')
    turn.__exit__(None, None, None)  # it was not dead, only slow: what the other answered stands
    with once(database, "default", "k", "r") as fourth:
        assert fourth.earlier == Answered(201, '{"a":1}')
    age(timedelta(hours=25))
    with once(database, "default", "k", "another") as fifth:
        assert fifth.earlier is None


def test_a_key_that_is_older_is_forgotten_however_many_are(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trackledger.adapters.once.ERASED_AT_ONCE", 2)
    database = api.runtime.database
    for key in "abcd":
        with once(database, "default", key, "r") as turn:
            turn.answer = Answered(201, "{}")
    with database.transaction() as transaction:
        transaction.execute("UPDATE {s}commands SET began_at = :past", past=datetime.now(UTC) - timedelta(hours=25))

    for key in "dc":
        with once(database, "default", key, "another") as turn:
            assert turn.earlier is None
            turn.answer = Answered(201, "{}")

    assert len(database.read("SELECT key FROM {s}commands")) == 2


def test_a_key_that_is_none_is_refused(api: Api) -> None:
    for key in ("", "x" * 256, "a b", "\x80"):
        headers = {
            b"authorization": bearer("operator")["authorization"].encode(),
            b"idempotency-key": key.encode("latin-1"),
        }
        refused(api.client.post("/api/shipments", json=ORDER, headers=headers), 422, "Idempotency-Key")


# notes, refreshing, retrying


def test_a_note_names_who_wrote_it(api: Api) -> None:
    told = done(api.post(f"/api/shipments/{ID}/notes", {"text": "परसों"}), 201)

    assert told == {"shipment_id": ID, "position": str(api.runtime.store.head())}
    note = events(api)[-1]
    assert (note.text, note.actor) == ("परसों", "operator")


def test_a_note_that_is_none_is_refused(api: Api) -> None:
    for text in ("", "x" * 4001, "a\x00b", "   ", "two\nlines", 7, None):
        refused(api.post(f"/api/shipments/{ID}/notes", {"text": text}), 422, "text")


def test_a_refreshed_shipment_is_due_at_once_but_not_twice_a_minute(api: Api) -> None:
    now = datetime.now(UTC)
    sync(api.runtime, now + timedelta(days=3), ("default", "clickpost"))
    key = f"{ID}"

    told = done(api.post(f"/api/shipments/{ID}/refresh", None), 202)

    (tracker,) = told["trackers"]
    assert (tracker["tracker"], tracker["state"], tracker["reason"]) == (key, "asking", "somebody wants to know")
    assert datetime.fromisoformat(tracker["due_at"]) <= datetime.now(UTC)
    assert told["position"] == str(api.runtime.store.head())
    asked_at = datetime.now(UTC)
    with api.runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}poll_schedule SET asked_at = :at, due_at = :later", at=asked_at, later=asked_at)
        transaction.execute("UPDATE {s}poll_schedule SET state = 'over'")
    for _ in range(3):
        api.post(f"/api/shipments/{ID}/refresh", None)
    row = scheduled(api.runtime)[key]
    assert (row["state"], row["due_at"]) == ("asking", asked_at + timedelta(minutes=1))


def test_a_shipment_that_nobody_asks_about_is_told_so(api: Api) -> None:
    api.post("/api/shipments", {"reference": "ORDER-9"})

    assert done(api.post("/api/shipments/default:host:ORDER-9/refresh", None), 202)["trackers"] == []


def park(api: Api) -> list[str]:
    """Messages that cannot be read: two of the account and one of another."""
    found = [
        message("clickpost", b"{" + bytes([65 + n]), account=account, received_at=datetime.now(UTC))
        for n, account in enumerate(("default", "default", "elsewhere"))
    ]
    api.runtime.intake.take(found)
    assert {row["state"] for row in api.runtime.kept.rows([one.message_id for one in found])} == {"parked"}
    return [one.message_id for one in found]


def states(api: Api, ids: list[str]) -> list[str]:
    return [row["state"] for row in api.runtime.kept.rows(ids)]


def test_all_that_is_parked_for_the_account_waits_again(api: Api) -> None:
    ids = park(api)

    told = done(api.post("/api/parked/retry", {}), 202)

    assert sorted(told["message_ids"]) == sorted(ids[:2])
    assert states(api, ids) == ["waiting", "waiting", "parked"]
    assert done(api.client.post("/api/parked/retry", headers=bearer("operator")), 202)["message_ids"] == []


def test_one_message_is_retried_but_none_of_another_account(api: Api) -> None:
    ids = park(api)

    assert done(api.post(f"/api/messages/{ids[0]}/retry", None), 202)["message_ids"] == [ids[0]]
    there = refused(api.post(f"/api/messages/{ids[2]}/retry", None), 404)
    missing = refused(api.post(f"/api/messages/{'0' * 32}/retry", None), 404)
    assert there.replace(ids[2], "") == missing.replace("0" * 32, "")
    refused(api.post("/api/parked/retry", {"message_ids": [ids[1], ids[2]]}), 404)
    assert states(api, ids) == ["waiting", "parked", "parked"]
    refused(api.post(f"/api/messages/{ids[0]}/retry", None), 404)
    refused(api.post("/api/messages/xyz/retry", None), 422, "message_id")
    refused(api.post("/api/parked/retry", {"message_ids": ["xyz"]}), 422, "message_ids.0")


# acting on a failed delivery


def test_an_action_is_recorded_sent_and_acknowledged(api: Api, played: Scripted) -> None:
    told = done(api.post(ACT, {"action": "reattempt"}), 201)

    assert (told["state"], told["answer"], told["trouble"]) == ("acknowledged", "SUCCESS", None)
    assert told["position"] == str(api.runtime.store.head())
    assert [one.json["action"] for one in played.asked] == ["REATTEMPT"]
    api.runtime.projector.catch_up()
    (row,) = api.items(f"/api/shipments/{ID}/ndr/actions", wait_for=told["position"])
    assert (row["actor"], row["action_id"], row["state"]) == ("operator", told["action_id"], "acknowledged")
    refused(api.get(f"/api/shipments/{ID}/ndr/actions", who="stranger"), 404)
    (case,) = api.runtime.store.read("SELECT * FROM {s}ndr_cases")
    assert (case["state"], case["act_by"]) == (CaseState.ACTIONED, None)
    refused(api.post(ACT, {"action": "reattempt"}), 409)


def test_an_action_without_an_answer_is_told_so_and_sent_again(api: Api, played: Scripted) -> None:
    played.answers(Reply(status=0), Reply({}, 503))

    told = done(api.post(ACT, {"action": "rto"}), 202)
    assert told["state"] == "requested" and "gave no answer" in told["trouble"]
    send = f"/api/shipments/{ID}/ndr/actions/{told['action_id']}/send"
    assert done(api.post(send, None), 202)["state"] == "requested"

    assert done(api.post(send, None), 201)["state"] == "acknowledged"

    assert len(played.asked) == 3
    refused(api.post(f"/api/shipments/{ID}/ndr/actions/nothing/send", None), 404)
    refused(api.post(send, None, who="stranger"), 404)


def test_an_action_with_a_key_is_asked_for_once_and_told_as_it_is_now(api: Api, played: Scripted) -> None:
    key = {"idempotency-key": "one"}
    played.answers(Reply(status=0))
    first = done(api.post(ACT, {"action": "rto"}, headers=key), 202)
    api.post(f"/api/shipments/{ID}/ndr/actions/{first['action_id']}/send", None)

    again = api.post(ACT, {"action": "rto"}, headers=key)

    assert done(again, 201)["action_id"] == first["action_id"]
    assert again.json()["answer"] == "SUCCESS" and again.headers["idempotency-replayed"] == "true"
    assert len(played.asked) == 2
    refused(api.post(ACT, {"action": "reattempt"}, headers=key), 422, "idempotency-key")
    kept = api.runtime.store.read("SELECT answer FROM {s}commands")
    assert [row["answer"] for row in kept] == ["{}"]


def test_a_key_that_is_forgotten_does_not_stand_for_another_action(api: Api, played: Scripted) -> None:
    key = {"idempotency-key": "one"}
    first = done(api.post(ACT, {"action": "rto"}, headers=key), 201)
    with api.runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}commands SET began_at = :past", past=datetime.now(UTC) - timedelta(hours=25))

    second = done(api.post(ACT, {"action": "reattempt"}, headers=key), 201)

    assert second["action_id"] != first["action_id"]
    assert [one.json["action"] for one in played.asked] == ["INITIATE_RTO", "REATTEMPT"]


def test_what_is_kept_of_a_command_cannot_be_tried_out_without_its_key(api: Api) -> None:
    for key in ("key-1", "key-2"):
        done(api.post(f"/api/shipments/{ID}/notes", {"text": "Mrs Rao"}, headers={"idempotency-key": key}), 201)

    rows = api.runtime.store.read("SELECT key, request FROM {s}commands")
    assert len({row["request"] for row in rows}) == len(rows) == 2
    assert not [row for row in rows if "key-" in row["key"]]


def test_what_was_done_by_hand_is_recorded(api: Api, played: Scripted) -> None:
    body = {"action": "change_details", "phone": "+91 98450 00000", "by_hand": True, "remark": "told the depot"}

    assert done(api.post(ACT, body), 201)["state"] == "acknowledged"

    assert played.asked == []


def test_the_actions_are_those_of_the_vocabulary() -> None:
    assert get_args(ActionSaid.model_fields["action"].annotation) == tuple(NdrAction)


NO_ACTIONS: list[tuple[dict[str, Any], str]] = [
    ({}, "action"),
    ({"action": "shout"}, "action"),
    ({"action": "reschedule"}, "preferred_date"),
    ({"action": "reschedule", "preferred_date": "soon"}, "preferred_date"),
    ({"action": "reschedule", "preferred_date": 20_000}, "preferred_date"),
    ({"action": "reschedule", "preferred_date": "2020-01-01"}, "preferred_date"),
    ({"action": "change_details"}, "address"),
    ({"action": "change_details", "phone": "call me"}, "phone"),
    ({"action": "reattempt", "address": "14 Lake View Road"}, "address"),
    ({"action": "reattempt", "by_hand": "yes"}, "by_hand"),
    ({"action": "reattempt", "who": "me"}, "who"),
]


def test_an_action_that_makes_no_sense_names_the_field(api: Api, played: Scripted) -> None:
    for body, field in NO_ACTIONS:
        refused(api.post(ACT, body), 422, field)

    assert played.asked == [] and len(events(api)) == 2


def test_what_is_not_there_cannot_be_acted_on(api: Api) -> None:
    body = {"action": "reattempt"}
    refused(api.post(f"/api/shipments/{ID}/ndr/2/actions", body), 404)
    refused(api.post(f"/api/shipments/{ID}/ndr/0/actions", body), 422, "case_no")
    refused(api.post("/api/shipments/a%00b/ndr/1/actions", body), 404)
    refused(api.post("/api/shipments/a%00b/notes", {"text": "x"}), 404)
    refused(api.post(f"/api/shipments/{ID}/ndr/actions/a%00b/send", None), 404)
    there = refused(api.post(ACT, body, who="stranger"), 404)
    missing = refused(api.post(ACT.replace(ID, ID[:-1]), body, who="stranger"), 404)
    assert there.replace(ID, "") == missing.replace(ID[:-1], "")


def test_nobody_learns_that_a_shipment_of_another_account_cannot_be_read(api: Api) -> None:
    with api.runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}stored_events SET topic = 'shipment.Teleported'")

    for path, body in COMMANDS:
        if ID in path:
            there = refused(api.post(path, body, who="stranger"), 404)
            missing = refused(api.post(path.replace(ID, ID[:-1]), body, who="stranger"), 404)
            assert there.replace(ID, "") == missing.replace(ID[:-1], "")


def test_every_good_answer_is_described(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    good = {
        path: sorted(code for code in told["post"]["responses"] if code < "300")
        for path, told in paths.items()
        if "post" in told and path.startswith("/api/")
    }
    assert good == {
        "/api/shipments": ["200", "201"],
        "/api/shipments/{shipment_id}/notes": ["201"],
        "/api/shipments/{shipment_id}/refresh": ["202"],
        "/api/shipments/{shipment_id}/ndr/{case_no}/actions": ["201", "202"],
        "/api/shipments/{shipment_id}/ndr/actions/{action_id}/send": ["201", "202"],
        "/api/messages/{message_id}/retry": ["202"],
        "/api/parked/retry": ["202"],
    }


# everybody


COMMANDS = [
    ("/api/shipments", ORDER),
    (f"/api/shipments/{ID}/notes", {"text": "x"}),
    (f"/api/shipments/{ID}/refresh", None),
    (f"/api/messages/{'0' * 32}/retry", None),
    ("/api/parked/retry", {}),
    (ACT, {"action": "reattempt"}),
    (f"/api/shipments/{ID}/ndr/actions/a1/send", None),
]


def bearer(who: str) -> dict[str, str]:
    return {"authorization": f"Bearer {SECRETS[who]}"}


def test_only_those_who_may_operate_do_anything(api: Api, played: Scripted) -> None:
    before = api.runtime.store.head()

    for path, body in COMMANDS:
        refused(api.post(path, body, who="reader"), 403)
        refused(api.client.post(path, content=b"{", headers=bearer("reader")), 403)
        refused(api.client.post(path, json=body), 401)
    refused(api.client.post(ACT, content=b"x" * (MAX_BYTES + 1)), 401)

    assert api.runtime.store.head() == before and played.asked == []


def test_a_body_that_is_no_json_of_a_fair_size_is_refused(api: Api) -> None:
    json = {"content-type": "application/json", **bearer("operator")}

    for path in (path for path, body in COMMANDS if body):
        refused(api.client.post(path, content=b"x" * (MAX_BYTES + 1), headers=json), 413)
        refused(api.client.post(path, content=b"{}", headers=bearer("operator")), 415, "content-type")
        for content in (b"{", b"\xff", b'"\\ud800"', b"[" * 10_000, b""):
            refused(api.client.post(path, content=content, headers=json), 422, "body")


def test_nothing_is_done_about_a_forgotten_shipment(api: Api, played: Scripted) -> None:
    api.runtime.ledger.forget(ID, "privacy", "asked for")

    for path, body in COMMANDS[1:3] + COMMANDS[5:]:
        refused(api.post(path, body), 410)

    assert played.asked == []
