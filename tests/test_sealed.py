"""With `privacy = "sealed"`: is everything as it is without, but for the words in the stored events?"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.cli import ATTEMPTED, NOW, Cli, fixture
from support.parcels import batches, reports, webhooks
from support.reports import claim, report
from support.rows import Rows, fresh, rows
from support.scans import scan
from trackledger.adapters.configuration import load
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Privacy, Settings, from_environment
from trackledger.adapters.storage.vault import KEYS_A_QUERY
from trackledger.domain.checkpoints import Registration, Report, Tracker
from trackledger.domain.corrections import Reading
from trackledger.domain.errors import UsageError
from trackledger.domain.events import NoteAdded, Opened, ReportRecorded
from trackledger.domain.milestones import Milestone

ID = "default:clickpost:4:AWB1"
PLANTED = "Mrs Rao, door 7"

FAILED = scan("delivery_failed", "3 10:00", id="clickpost:1", said="Failed", location="Pune", remark=PLANTED)
LOOSE = scan("arrived", "2 15:00", said="Hub", remark=PLANTED)
WITH_ID = scan("arrived", "2 15:00", id="clickpost:2", said="Hub", remark=PLANTED)


@pytest.fixture
def opened_with(database_url: str) -> Iterator[Callable[[Privacy], Runtime]]:
    """Opens the ledger at `database_url` in a process that is configured so."""
    opened: list[Runtime] = []

    def open_(privacy: Privacy) -> Runtime:
        opened.append(open_runtime(Settings(database_url, privacy=privacy)))
        return opened[-1]

    yield open_
    for runtime in opened:
        runtime.close()


@pytest.fixture
def sealed(opened_with: Callable[[Privacy], Runtime]) -> Runtime:
    return opened_with("sealed")


@pytest.fixture(params=["open", "sealed"])
def either(request: pytest.FixtureRequest, opened_with: Callable[[Privacy], Runtime]) -> Runtime:
    """A ledger of which it must not matter how it is configured."""
    return opened_with(request.param)


def stored(runtime: Runtime) -> list[bytes]:
    """The states of all events as they lie in the database."""
    found = runtime.database.tuples("SELECT state FROM {s}stored_events ORDER BY notification_id")
    return [bytes(row[0]) for row in found]


def secrets(runtime: Runtime) -> dict[str, bytes]:
    return {id_: bytes(secret) for id_, secret in runtime.database.tuples("SELECT shipment_id, secret FROM {s}vault")}


def comparable(found: Rows) -> Rows:
    """Rows without what is blinded by a random key, and without when they were recorded."""

    def named(row: dict[str, Any]) -> dict[str, Any]:
        return {
            name: "~" if name == "checkpoint_id" and str(value).startswith("~") else value
            for name, value in row.items()
            if name not in ("fingerprint", "recorded_at", "opened_at", "because")
        }

    return {table: sorted((named(row) for row in some), key=repr) for table, some in found.items()}


# what is stored


def test_no_word_of_a_carrier_is_in_a_stored_event(sealed: Runtime) -> None:
    sealed.ledger.intake([report(FAILED, LOOSE, at="3 11:00", assertions=(claim("ndr", "refused", PLANTED),))])
    sealed.ledger.note(ID, PLANTED, "clerk@shop")
    sealed.ledger.amend(
        ID, "clickpost:1", Reading(milestone=Milestone.DELIVERED, remark=PLANTED), "clerk@shop", PLANTED
    )
    sealed.ledger.withdraw(ID, ["clickpost:1"], "clerk@shop", PLANTED)

    assert len(stored(sealed)) == 5
    assert not any(word in state for state in stored(sealed) for word in (b"Rao", b"Failed", b"Pune", b"Hub"))
    assert not any(
        one in state for state in stored(sealed) for one in (FAILED.digest.encode(), LOOSE.fingerprint.encode())
    )
    assert all(b"clerk@shop" in state for state in stored(sealed)[2:])


def test_the_key_is_stored_with_the_first_event_and_is_of_this_shipment_alone(sealed: Runtime) -> None:
    sealed.ledger.intake(
        [report(FAILED, at="3 11:00"), report(FAILED, at="3 11:00", tracker=Tracker("clickpost", "4:AWB2"))]
    )
    sealed.ledger.register([Registration("ORDER-17", details={"origin": PLANTED})])

    kept = secrets(sealed)
    assert sorted(kept) == [ID, "default:clickpost:4:AWB2", "default:host:ORDER-17"]
    assert {len(secret) for secret in kept.values()} == {32}
    assert len(set(kept.values())) == 3


def test_the_same_words_are_another_ciphertext_in_every_event(sealed: Runtime) -> None:
    for _ in range(2):
        sealed.ledger.note(ID, PLANTED, "clerk@shop") if stored(sealed) else sealed.ledger.intake(
            [report(FAILED, at="3 11:00")]
        )
    sealed.ledger.note(ID, PLANTED, "clerk@shop")

    one, other = [state.partition(b'"sealed":"')[2].partition(b'"')[0] for state in stored(sealed)[-2:]]
    assert one and one != other


def test_the_ledger_gives_the_words_back(sealed: Runtime) -> None:
    sealed.ledger.intake([report(FAILED, at="3 11:00")])
    sealed.ledger.note(ID, PLANTED, "clerk@shop")

    opened, told, note = [placed.event for placed in sealed.ledger.history(ID)]
    assert isinstance(opened, Opened) and opened.private
    assert isinstance(told, ReportRecorded) and told.recorded[0].remark == PLANTED and told.sealed == ""
    assert isinstance(note, NoteAdded) and note.text == PLANTED
    assert [one.state for one in sealed.store.notifications(0, 9)] == [
        one.state for one in sealed.store.streams([ID], 9)[ID]
    ]


def test_an_open_ledger_stores_what_it_always_did(opened_with: Callable[[Privacy], Runtime]) -> None:
    runtime = opened_with("open")
    runtime.ledger.intake([report(FAILED, at="3 11:00")])

    assert PLANTED.encode() in stored(runtime)[1]
    assert not any(b"private" in state or b"sealed" in state for state in stored(runtime))
    assert secrets(runtime) == {}


# what it is configured for


def test_a_shipment_stays_as_it_was_opened_however_the_process_is_configured(
    opened_with: Callable[[Privacy], Runtime],
) -> None:
    open_, sealed = opened_with("open"), opened_with("sealed")
    other = Tracker("clickpost", "4:AWB2")
    open_.ledger.intake([report(FAILED, at="3 11:00")])
    sealed.ledger.intake([report(FAILED, at="3 11:00", tracker=other)])

    sealed.ledger.intake([report(LOOSE, at="3 12:00")])
    open_.ledger.intake([report(LOOSE, at="3 12:00", tracker=other)])

    assert list(secrets(open_)) == ["default:clickpost:4:AWB2"]
    assert [PLANTED.encode() in state for state in stored(open_)] == [False, True, False, False, True, False]
    assert open_.ledger.history("default:clickpost:4:AWB2") == sealed.ledger.history("default:clickpost:4:AWB2")
    open_.projector.catch_up()
    remarks = open_.database.tuples("SELECT remark FROM {s}timeline")
    assert remarks == [(PLANTED,)] * 4


@pytest.mark.parametrize("said", ["open", "sealed", None])
def test_the_file_says_which_it_is(tmp_path: Path, said: Privacy | None) -> None:
    file = tmp_path / "trackledger.toml"
    file.write_text(f'privacy = "{said}"\n' if said else "")

    assert load(file).privacy == said
    assert from_environment(config=str(file), environ={}).privacy == (said or "open")


def test_another_word_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "trackledger.toml"
    file.write_text('privacy = "seal"\n')

    with pytest.raises(UsageError) as raised:
        load(file)

    assert str(raised.value) == f'{file}: privacy has to be "open" or "sealed", in quotes'


# what is decided


def test_the_same_said_again_is_no_news(either: Runtime) -> None:
    told = report(FAILED, LOOSE, at="3 11:00", assertions=(claim("stuck", "yes", PLANTED),))
    either.ledger.intake([told])

    (receipt,) = either.ledger.intake([told])

    assert (receipt.repeated, receipt.events) == (2, 0)


def test_a_webhook_and_the_poll_after_it_meet_in_one_checkpoint(either: Runtime) -> None:
    either.ledger.intake([report(LOOSE, at="2 16:00", channel="webhook")])

    (receipt,) = either.ledger.intake([report(WITH_ID, FAILED, at="3 11:00")])

    assert (receipt.recorded, receipt.amended, receipt.repeated) == (1, 0, 1)
    either.projector.catch_up()
    assert [row["checkpoint_id"] for row in rows(either.store)["timeline"]] == ["clickpost:1", "clickpost:2"]


def test_a_poll_and_the_webhook_without_an_id_after_it_meet_in_one_checkpoint(either: Runtime) -> None:
    either.ledger.intake([report(WITH_ID, at="3 11:00")])

    (receipt,) = either.ledger.intake([report(LOOSE, at="3 12:00", channel="webhook")])

    assert (receipt.repeated, receipt.events) == (1, 0)


def test_other_words_are_an_amendment(either: Runtime) -> None:
    either.ledger.intake([report(FAILED, at="3 11:00")])
    changed = scan(
        "delivery_failed", "3 10:00", id="clickpost:1", said="Failed", location="Pune", remark="Mr Rao, door 8"
    )

    (receipt,) = either.ledger.intake([report(changed, at="4 11:00")])

    assert (receipt.amended, receipt.events) == (1, 1)
    either.projector.catch_up()
    (row,) = rows(either.store)["timeline"]
    assert (row["remark"], row["amended"]) == ("Mr Rao, door 8", 1)


def test_what_a_whole_history_no_longer_holds_is_withdrawn(database_url: str, either: Runtime) -> None:
    tracker = Tracker("shiplemon", "S1")
    either.ledger.intake([report(FAILED, LOOSE, at="3 11:00", whole=True, tracker=tracker)])

    (receipt,) = either.ledger.intake([report(FAILED, at="4 11:00", whole=True, tracker=tracker)])

    assert receipt.withdrawn == 1
    either.projector.catch_up()
    assert {row["milestone"]: row["withdrawn"] for row in rows(either.store)["timeline"]} == {
        "delivery_failed": False,
        "arrived": True,
    }


def test_an_explanation_finds_the_failure_that_it_is_about(either: Runtime) -> None:
    bare = scan("delivery_failed", "3 10:00", id="clickpost:1", said="Failed")
    about = claim("ndr", "refused", "Mrs Rao refused", bare.fingerprint)

    either.ledger.intake([report(bare, at="3 11:00", assertions=(about,))])

    either.projector.catch_up()
    (case,) = rows(either.store)["ndr_cases"]
    assert (case["reason"], case["reason_said"]) == ("refused", "Mrs Rao refused")


def test_a_correction_by_hand_is_about_the_version_that_it_names(either: Runtime) -> None:
    either.ledger.intake([report(FAILED, LOOSE, at="3 11:00")])
    either.projector.catch_up()
    loose = next(row["checkpoint_id"] for row in rows(either.store)["timeline"] if row["milestone"] == "arrived")

    amended = either.ledger.amend(ID, loose, Reading(remark="by Mr Rao"), "clerk@shop", "he called")
    struck = either.ledger.withdraw(ID, ["clickpost:1"], "clerk@shop", "another parcel")

    assert (amended.events, struck.events, amended.error + struck.error) == (1, 1, "")
    assert either.ledger.intake([report(FAILED, LOOSE, at="4 11:00")])[0].events == 0
    either.projector.catch_up()
    told = {row["milestone"]: (row["remark"], row["withdrawn"]) for row in rows(either.store)["timeline"]}
    assert told == {"arrived": ("by Mr Rao", False), "delivery_failed": (PLANTED, True)}


def test_batches_of_more_shipments_than_keys_in_a_query_are_taken_in_and_folded(either: Runtime) -> None:
    parcels = KEYS_A_QUERY + 5
    told = [report(FAILED, at="3 11:00", tracker=Tracker("clickpost", f"4:P{n}")) for n in range(parcels)]
    either.ledger.intake(told)

    assert [receipt.events for receipt in either.ledger.intake(told)] == [0] * parcels
    either.projector.catch_up()
    assert [row["remark"] for row in rows(either.store)["timeline"]] == [PLANTED] * parcels


# what the tables hold


def fed(runtime: Runtime, batches: Sequence[Sequence[Report]]) -> Rows:
    for batch in batches:
        runtime.ledger.intake(batch)
        runtime.projector.catch_up()
    return rows(runtime.store)


@pytest.mark.parametrize("told", [reports, webhooks])
def test_the_tables_are_the_same_but_for_what_is_blinded(
    opened_with: Callable[[Privacy], Runtime], tmp_path: Path, told: Callable[[int], list[Report]]
) -> None:
    some = batches(told(4), seed=7)
    with open_runtime(Settings(f"sqlite:///{tmp_path / 'other.db'}")) as other:
        expected = fed(other, some)

    sealed = opened_with("sealed")
    found = fed(sealed, some)

    assert comparable(found) == comparable(expected)
    assert found["timeline"]
    assert found == fresh(sealed)


def test_status_and_timeline_say_the_same(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "sealed.toml").write_text('privacy = "sealed"\n')
    open_ = Cli(f"sqlite:///{tmp_path / 'open.db'}")
    for one, config in ((cli, ["--config", str(tmp_path / "sealed.toml")]), (open_, [])):
        one.json(
            "ingest", "clickpost", fixture("poll_failed_delivery"), "--received-at", "2026-03-06T10:00:00Z", *config
        )

    for asked in (
        ("status", ATTEMPTED, "--now", NOW),
        ("timeline", ATTEMPTED),
        ("ndr", "--now", NOW),
        ("edd", ATTEMPTED),
    ):
        found, expected = cli.json(*asked), open_.json(*asked)
        without = ("fingerprint", "recorded_at")
        if asked[0] == "timeline":
            found, expected = (
                [{k: v for k, v in row.items() if k not in without} for row in some] for some in (found, expected)
            )
        assert found == expected


# when it goes wrong


def words_of(runtime: Runtime, position: int) -> bytes:
    return stored(runtime)[position - 1].partition(b'"sealed":"')[2].partition(b'"')[0]


def test_words_that_were_put_into_another_event_are_not_taken_for_its_own(sealed: Runtime) -> None:
    sealed.ledger.intake([report(FAILED, at="3 11:00")])
    for text in ("one", "two"):
        sealed.ledger.note(ID, text, "clerk@shop")
    one, two = words_of(sealed, 3), words_of(sealed, 4)
    with sealed.database.transaction() as transaction:
        transaction.execute(
            "UPDATE {s}stored_events SET state = :state WHERE notification_id = 4",
            state=stored(sealed)[3].replace(two, one),
        )
    sealed.ledger.intake([report(FAILED, at="3 11:00", tracker=Tracker("clickpost", "4:AWB2"))])

    sealed.projector.catch_up()

    (poisoned,) = sealed.database.read("SELECT * FROM {s}poisoned")
    assert poisoned["reason"] == (
        f"UnknownEvent: the sealed words of event 'shipment.NoteAdded' of {ID} version 4 were altered; "
        "run `trackledger verify`"
    )
    assert [row["shipment_id"] for row in rows(sealed.store)["shipments"]] == ["default:clickpost:4:AWB2"]


def test_a_shipment_whose_key_was_lost_can_be_read_without_words_and_takes_in_nothing(sealed: Runtime) -> None:
    sealed.ledger.intake([report(FAILED, at="3 11:00")])
    with sealed.database.transaction() as transaction:
        transaction.execute("DELETE FROM {s}vault")

    lost, other = sealed.ledger.intake(
        [report(LOOSE, at="4 11:00"), report(FAILED, at="3 11:00", tracker=Tracker("clickpost", "4:AWB2"))]
    )

    assert lost.error == f"the key of {ID} is not in the vault; restore it from a backup, or forget it"
    assert (lost.events, lost.forgotten, other.events) == (0, False, 2)
    sealed.projector.catch_up()
    assert {row["shipment_id"]: row["remark"] for row in rows(sealed.store)["timeline"]} == {
        ID: None,
        "default:clickpost:4:AWB2": PLANTED,
    }
