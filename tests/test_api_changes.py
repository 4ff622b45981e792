"""Does whoever follows the feed hear of every change once, in order, when it can be read, and of nobody else's?"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from threading import Thread
from typing import Any

import pytest
from msgspec.structs import replace

from support.asked import Api, asked, refused
from support.needy import slipped
from support.parcels import parcel_id, reports
from support.reports import report
from support.scans import scan
from trackledger.adapters.settings import Settings
from trackledger.domain.corrections import Reading
from trackledger.domain.events import TOPICS
from trackledger.domain.milestones import Milestone
from trackledger.projections import changes


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with asked(database_url) as api:
        yield api


def told(api: Api, parcels: int = 3) -> None:
    """Parcels of one account, each followed by one of another, in the tables."""
    for number in range(parcels):
        api.runtime.ledger.intake(reports(1, number))
        api.runtime.ledger.intake(slipped(number, "elsewhere"))
    api.runtime.projector.catch_up()


def followed(api: Api, who: str = "reader", after: str = "0", limit: int = 4) -> list[dict[str, Any]]:
    """Everything from a position on, by going from answer to answer until one has nothing and gets nowhere."""
    found: list[dict[str, Any]] = []
    while True:
        answer = api.answer("/api/changes", who, after=after, limit=limit)
        found += answer["items"]
        if not answer["items"] and answer["next"] == after:
            return found
        assert int(answer["next"]) > int(after)
        after = answer["next"]


def events(api: Api, account: str) -> list[tuple[str, str, int, str]]:
    """What the ledger holds of an account."""
    rows = api.runtime.database.tuples(
        """SELECT notification_id, originator_id, originator_version, topic FROM {s}stored_events
           ORDER BY notification_id"""
    )
    return [(str(position), id_, version, topic) for position, id_, version, topic in rows if _of(id_) == account]


def _of(shipment_id: str) -> str:
    return shipment_id.partition(":")[0]


def test_every_event_is_told_once_in_order(api: Api) -> None:
    told(api)
    for who, account in (("reader", "default"), ("stranger", "elsewhere")):
        for limit in (1, 4, 1000):
            found = followed(api, who, limit=limit)
            places = [(one["position"], one["shipment_id"], one["version"], one["type"]) for one in found]
            assert places == events(api, account) != []
    middle = found[len(found) // 2]["position"]
    assert followed(api, "stranger", after=middle) == [one for one in found if int(one["position"]) > int(middle)]


def test_an_account_with_few_events_gets_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LOOKED_AT", 5)
    told(api, 4)
    places = [(one["position"], one["shipment_id"], one["version"], one["type"]) for one in followed(api, "stranger")]
    assert places == events(api, "elsewhere")


def test_what_is_told_is_in_the_tables_already(api: Api) -> None:
    told(api)
    at = api.answer("/api/changes", limit=1000)["next"]
    api.runtime.ledger.intake(reports(1, 9))
    answer = api.answer("/api/changes", after=at)
    assert (answer["items"], answer["next"]) == ([], at)
    api.runtime.projector.catch_up()
    answer = api.answer("/api/changes", after=at)
    assert answer["next"] == answer["consistent_with"] == str(api.runtime.store.head())
    row = api.items("/api/shipments", limit=1000)[-1]
    assert row["shipment_id"] == parcel_id(9)
    for one in answer["items"]:
        assert one["shipment_id"] == parcel_id(9)
        assert one["shipment"] == {name: row[name] for name in changes.NOW}


def test_what_changed_is_told_in_short(api: Api) -> None:
    ledger = api.runtime.ledger
    first, second = scan("picked_up", "1 10:00", id="clickpost:1"), scan("in_transit", "2 10:00", id="clickpost:2")
    other = scan("in_transit", "2 11:00", id="clickpost:2")
    ledger.intake([report(first, second, at="2 12:00", message="m1")])
    ledger.intake([report(first, other, at="3 12:00", message="m2")])
    id_ = ledger.find("4:AWB1")[0]
    ledger.amend(id_, "clickpost:2", Reading(milestone=Milestone.ARRIVED), "ops", "misread")
    ledger.withdraw(id_, ["clickpost:1"], "ops", "not ours")
    ledger.withdraw(id_, ["clickpost:1"], "ops", "it is", undone=True)
    api.runtime.projector.catch_up()
    opened, recorded, amended, corrected, struck, counted = followed(api)
    assert (opened["type"], opened["checkpoints"]) == ("shipment.Opened", [])
    assert [(one["what"], one["checkpoint_id"], one["milestone"]) for one in recorded["checkpoints"]] == [
        ("recorded", "clickpost:1", "picked_up"),
        ("recorded", "clickpost:2", "in_transit"),
    ]
    assert (recorded["provider"], recorded["channel"], recorded["message_id"]) == ("clickpost", "poll", "m1")
    at = other.occurred.at.isoformat().replace("+00:00", "Z")
    assert amended["checkpoints"] == [
        {"checkpoint_id": "clickpost:2", "what": "amended", "milestone": "in_transit", "occurred_at": at}
    ]
    assert [(one["what"], one["milestone"]) for one in corrected["checkpoints"]] == [("amended_by_hand", "arrived")]
    assert corrected["provider"] is None
    assert [one["what"] for one in struck["checkpoints"]] == ["withdrawn_by_hand"]
    assert [one["what"] for one in counted["checkpoints"]] == ["counted_again"]
    assert {one["shipment"]["milestone"] for one in (opened, counted)} == {"arrived"}
    assert datetime.fromisoformat(opened["recorded_at"]) <= datetime.now(UTC)


@pytest.mark.parametrize("privacy", ["open", "sealed"])
def test_no_free_text_is_told(database_url: str, privacy: Any) -> None:
    word = "Anna-at-the-gate"
    with asked(database_url, Settings(privacy=privacy)) as api:
        ledger = api.runtime.ledger
        said = scan("delivery_failed", "2 10:00", id="clickpost:1", said=word, remark=word, location=word)
        ledger.intake([report(said, at="2 12:00", details={"destination": word})])
        id_ = ledger.find("4:AWB1")[0]
        ledger.note(id_, word, word)
        ledger.amend(id_, "clickpost:1", Reading(remark=f"{word} again"), word, word)
        api.runtime.projector.catch_up()
        before = followed(api)
        assert len(before) == len(events(api, "default"))
        api.runtime.forgetting.forget(id_, word, word)
        after = followed(api)
        assert [one["position"] for one in after[: len(before)]] == [one["position"] for one in before]
        assert after[-1]["type"] == "shipment.Forgotten"
        assert word not in api.get("/api/changes").text
        assert before[1]["checkpoints"][0]["milestone"] == "delivery_failed"


def test_an_event_that_cannot_be_read_is_told_all_the_same(api: Api) -> None:
    told(api, 1)
    with api.runtime.database.transaction() as transaction:
        transaction.execute("UPDATE {s}stored_events SET topic = 'shipment.Teleported' WHERE notification_id = 3")
    found = followed(api)
    assert [one["position"] for one in found] == [place[0] for place in events(api, "default")]
    (unread,) = [one for one in found if one["type"] not in TOPICS]
    assert (unread["position"], unread["recorded_at"], unread["checkpoints"]) == ("3", None, [])


def test_waiting_for_a_change(api: Api) -> None:
    told(api, 1)
    at = str(api.runtime.store.head())
    answer = api.answer("/api/changes", after=at, wait=0.2)
    assert (answer["items"], answer["next"]) == ([], at)

    found: list[Any] = []
    waiting = Thread(target=lambda: found.append(api.answer("/api/changes", after=at, wait=10)))
    waiting.start()
    # Nothing of the account itself: whoever waits goes on waiting, from there.
    api.runtime.ledger.intake(slipped(5, "elsewhere"))
    api.runtime.projector.catch_up()
    api.runtime.ledger.intake(reports(1, 7))
    api.runtime.projector.catch_up()
    waiting.join()
    assert {one["shipment_id"] for one in found[0]["items"]} == {parcel_id(7)}


def test_nothing_is_left_out_while_others_write(api: Api) -> None:
    def write(account: str) -> Callable[[], None]:
        def written() -> None:
            for number in range(8):
                api.runtime.ledger.intake([replace(one, account=account) for one in reports(1, number)])
                api.runtime.projector.catch_up()

        return written

    writers = [Thread(target=write(account)) for account in ("default", "elsewhere")]
    for writer in writers:
        writer.start()
    found: list[dict[str, Any]] = []
    after = "0"
    while any(writer.is_alive() for writer in writers) or after != str(api.runtime.store.head()):
        answer = api.answer("/api/changes", after=after, limit=7, wait=0.1)
        found += answer["items"]
        after = answer["next"]
        api.runtime.projector.catch_up()
    for writer in writers:
        writer.join()
    places = [(one["position"], one["shipment_id"], one["version"], one["type"]) for one in found]
    assert places == events(api, "default")
    assert all(int(a[0]) < int(b[0]) for a, b in pairwise(places))


def test_what_is_wrong_is_named(api: Api) -> None:
    told(api, 1)
    beyond = str(api.runtime.store.head() + 1)
    for parameter, value in (
        ("after", beyond),
        ("after", "-1"),
        ("after", "first"),
        ("after", ""),
        ("limit", "0"),
        ("limit", "1001"),
        ("wait", "11"),
        ("wait", "-1"),
        ("wait", "nan"),
        ("known_at", "2025-03-05T00:00:00Z"),
        ("now", "2025-03-05T00:00:00Z"),
    ):
        refused(api.get("/api/changes", **{parameter: value}), 422, parameter)
    # What the tables do not reflect yet is no mistake.
    api.runtime.ledger.intake(reports(1, 7))
    answer = api.answer("/api/changes", after=beyond)
    assert (answer["items"], answer["next"]) == ([], beyond)
