"""Which words of an event may name people: are all of them found, and is nothing else taken?"""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import fields, replace

from support.reports import claim, report
from support.scans import scan
from test_golden_events import LINES, Line, by_topic, stored
from trackledger.domain.checkpoints import Assertion, Checkpoint
from trackledger.domain.events import DetailCorrection, DetailsStated, Event, Reread, Worded
from trackledger.domain.mapper import decode
from trackledger.domain.privacy import blinded, texts_of, with_texts

KEY, OTHER_KEY = bytes(32), bytes([1]) * 32

FREE = {
    Checkpoint: {"status_said", "location", "remark"},
    Assertion: {"said"},
}
"""Free text of what providers say, by type."""

OWN = {"text", "reason", "address", "landmark", "pincode", "phone", "remark", "answer"}
"""Free text of those who correct and act, in events that are sealed."""


def free_texts(value: Any) -> list[str]:
    """Every free text within a value, found in another way than by the code that is tested."""
    if isinstance(value, DetailCorrection):
        return [value.replaces, value.value] if value.name in ("origin", "destination") else []
    if isinstance(value, Struct):
        own = FREE.get(type(value), OWN if isinstance(value, Worded) else set())
        found = [getattr(value, name) for name in own & {field.name for field in fields(value)}]
        return [*found, *(text for field in fields(value) for text in free_texts(getattr(value, field.name)))]
    if isinstance(value, dict):
        return [value[name] for name in ("origin", "destination") if name in value]
    if isinstance(value, tuple):
        return [text for one in value for text in free_texts(one)]
    return []


def event_of(line: Line) -> Event:
    return decode(stored(line)).event


@by_topic
def test_every_free_text_of_every_event_is_found(line: Line) -> None:
    event = event_of(line)

    if isinstance(event, Worded):
        assert sorted(texts_of(event).values()) == sorted(text for text in free_texts(event) if text)
    else:
        assert free_texts(event) == []


def test_some_text_is_found_in_every_type_that_has_words() -> None:
    worded = {type(event) for event in map(event_of, LINES) if isinstance(event, Worded) and texts_of(event)}

    assert worded >= set(Worded.__subclasses__()) - {
        type_ for type_ in Worded.__subclasses__() if type_.__name__ == "DetailsStated"
    }


@by_topic
def test_words_that_part_from_an_event_come_back_to_their_places(line: Line) -> None:
    event = event_of(line)
    if not isinstance(event, Worded):
        return
    texts = texts_of(event)

    silent = with_texts(event, {}, "sealed")

    assert not any(text in msgspec.json.encode(silent).decode() for text in texts.values() if len(text) > 8)
    assert silent.sealed == "sealed"
    assert with_texts(silent, texts) == replace(event, sealed="")


def test_a_place_is_free_text_and_an_order_number_is_not() -> None:
    said = report(at="3 10:00", details={"origin": "c/o Rao, Pune", "order_id": "TL-1", "carrier": "Delhivery"})

    event = DetailsStated(recorded_at=datetime(2026, 3, 6, tzinfo=UTC), details=said.details)

    assert texts_of(event) == {"details.origin": "c/o Rao, Pune"}
    assert with_texts(event, {}).details == {"origin": "", "order_id": "TL-1", "carrier": "Delhivery"}  # type: ignore[attr-defined]


SCAN = scan("delivery_failed", "3 10:00", id="clickpost:1", said="Failed", remark="Mrs Rao not at home")
TOLD = report(SCAN, at="3 11:00", assertions=(claim("ndr", "refused", about=SCAN.fingerprint), claim("stuck", "no")))


def test_what_is_computed_from_words_is_blinded_and_the_words_are_not() -> None:
    heard = blinded(TOLD, KEY)

    (checkpoint,) = heard.checkpoints
    assert checkpoint.fingerprint != SCAN.fingerprint and checkpoint.digest != SCAN.digest
    assert (len(checkpoint.fingerprint), len(checkpoint.digest)) == (len(SCAN.fingerprint), len(SCAN.digest))
    assert replace(checkpoint, fingerprint=SCAN.fingerprint, digest=SCAN.digest) == SCAN
    assert [assertion.about for assertion in heard.assertions] == [checkpoint.fingerprint, ""]
    assert replace(heard, checkpoints=TOLD.checkpoints, assertions=TOLD.assertions) == TOLD


def test_equal_stays_equal_under_one_key_and_under_no_other() -> None:
    assert blinded(TOLD, KEY) == blinded(TOLD, KEY)
    assert blinded(TOLD, KEY).checkpoints[0].digest != blinded(TOLD, OTHER_KEY).checkpoints[0].digest
    assert blinded(TOLD, KEY).checkpoints[0].fingerprint != blinded(TOLD, OTHER_KEY).checkpoints[0].fingerprint


@pytest.mark.parametrize("change", [{"remark": "Mr Rao not at home"}, {"said": "failed again"}])
def test_different_stays_different(change: dict[str, str]) -> None:
    words = {"said": "Failed", "remark": SCAN.remark} | change
    other = scan("delivery_failed", "3 10:00", id="clickpost:1", said=words["said"], remark=words["remark"])

    assert (
        blinded(replace(TOLD, checkpoints=(other,)), KEY).checkpoints[0].digest
        != blinded(TOLD, KEY).checkpoints[0].digest
    )


def test_a_place_that_is_read_otherwise_is_free_text_too() -> None:
    details = (DetailCorrection("origin", "c/o Rao", "c/o Rao, Pune"), DetailCorrection("carrier", "dhl", "DHL"))
    event = Reread(
        recorded_at=datetime(2026, 3, 6, tzinfo=UTC), provider="p", mapping="1", message_id="m", actor="ops",
        corrections=(), details=details,
    )  # fmt: skip

    assert texts_of(event) == {"details.0.replaces": "c/o Rao", "details.0.value": "c/o Rao, Pune"}
    assert with_texts(with_texts(event, {}), texts_of(event)) == event
