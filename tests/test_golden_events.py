"""Does every event that was ever stored still load, and is it still written the same way?

`fixtures/stored_events.jsonl` holds a line for each event type and version: its topic and its state exactly as the
ledger stores it. Lines are added, with every field filled, and never changed: they stand for ledgers that exist.
"""

import json
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from eventsourcing.persistence import StoredEvent
from msgspec import NODEFAULT, Raw, Struct
from msgspec.structs import FieldInfo, fields

from trackledger.domain.checkpoints import AssertionKind, EstimateSource
from trackledger.domain.errors import UnknownEvent
from trackledger.domain.events import TOPICS
from trackledger.domain.mapper import EventMapper, decode, decode_state, encode
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Precision, ZoneSource
from trackledger.domain.ndr_actions import NdrAction
from trackledger.domain.upcasting import UPCASTS

GOLDEN = Path(__file__).parent / "fixtures" / "stored_events.jsonl"


class Line(Struct):
    """One line of the golden file."""

    topic: str
    state: Raw


LINES = [msgspec.json.decode(line, type=Line) for line in GOLDEN.read_bytes().splitlines()]
by_topic = pytest.mark.parametrize("line", LINES, ids=lambda line: line.topic)


def default(field: FieldInfo) -> Any:
    """What a field holds where the stored state does not name it; `NODEFAULT` where it has to."""
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


def structs(value: Any) -> list[Struct]:
    """The value and everything within it that has fields."""
    if isinstance(value, Struct):
        return [value, *(inner for field in fields(value) for inner in structs(getattr(value, field.name)))]
    if isinstance(value, tuple):
        return [inner for one in value for inner in structs(one)]
    return []


def stored(line: Line, state: bytes | None = None, topic: str | None = None) -> StoredEvent:
    return StoredEvent("default:host:ORDER-17", 3, topic or line.topic, bytes(line.state) if state is None else state)


def test_every_topic_has_a_line() -> None:
    assert {line.topic for line in LINES} == TOPICS.keys() | UPCASTS.keys()


@by_topic
def test_a_stored_line_loads_as_the_type_of_its_topic(line: Line) -> None:
    placed = decode(stored(line))

    assert type(placed.event) is TOPICS[line.topic]
    assert (placed.originator_id, placed.originator_version) == ("default:host:ORDER-17", 3)
    assert placed.event.recorded_at == datetime.fromisoformat("2026-03-06T10:00:00.250000Z")


@by_topic
def test_a_loaded_line_is_stored_again_byte_for_byte(line: Line) -> None:
    placed = decode(stored(line))

    assert encode(placed) == stored(line)
    mapper = EventMapper()
    assert mapper.to_stored_event(mapper.to_domain_event(stored(line))) == stored(line)


def test_every_field_of_every_event_is_filled_somewhere() -> None:
    found: dict[type[Struct], set[str]] = {}
    for line in LINES:
        for struct in structs(decode_state(line.topic, bytes(line.state), "the golden file")):
            filled = found.setdefault(type(struct), set())
            filled |= {field.name for field in fields(struct) if getattr(struct, field.name) != default(field)}

    assert {type_: {field.name for field in fields(type_)} for type_ in found} == found
    assert set(TOPICS.values()) <= found.keys()


@by_topic
def test_a_line_from_before_an_optional_field_existed_loads_with_its_default(line: Line) -> None:
    state = json.loads(bytes(line.state))
    for field in fields(TOPICS[line.topic]):
        older = json.dumps({name: value for name, value in state.items() if name != field.name}).encode()
        if field.required:
            with pytest.raises(UnknownEvent, match=f"missing required field `{field.name}`"):
                decode(stored(line, older))
        else:
            assert getattr(decode(stored(line, older)).event, field.name) == default(field)


@by_topic
def test_a_line_with_a_field_that_a_later_version_added_loads(line: Line) -> None:
    later = json.dumps({**json.loads(bytes(line.state)), "added_later": {"_type_": "x", "_data_": []}}).encode()

    assert decode(stored(line, later)) == decode(stored(line))


@by_topic
@pytest.mark.parametrize("topic", ["shipment.Unheard", "shipment.Opened.v2", "shipment.opened", "Opened", ""])
def test_an_unknown_topic_is_named(line: Line, topic: str) -> None:
    event = StoredEvent("default:host:ORDER-17", 3, topic, bytes(line.state))

    with pytest.raises(UnknownEvent) as raised:
        decode(event)

    assert str(raised.value) == (
        f"event {topic!r} of default:host:ORDER-17 version 3 is unknown here; upgrade trackledger to read it"
    )


@by_topic
@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"recorded_at":5}',
        b'{"recorded_at":"yesterday"}',
        b"[" * 100_000,
    ],
    ids=lambda state: repr(state[:30]),
)
def test_a_broken_state_is_named(line: Line, state: bytes) -> None:
    with pytest.raises(UnknownEvent) as raised:
        decode(stored(line, state))

    assert str(raised.value).startswith(f"event {line.topic!r} of default:host:ORDER-17 version 3 cannot be read: ")


@by_topic
def test_a_line_cut_short_anywhere_is_named(line: Line) -> None:
    whole = bytes(line.state)
    for length in range(0, len(whole), 7):
        with pytest.raises(UnknownEvent):
            decode(stored(line, whole[:length]))


def test_a_word_outside_a_vocabulary_is_named() -> None:
    report = next(line for line in LINES if line.topic == "shipment.ReportRecorded")
    for word, other in ((b'"arrived"', b'"teleported"'), (b'"webhook"', b'"fax"'), (b'"sla"', b'"guess"')):
        assert word in bytes(report.state)
        with pytest.raises(UnknownEvent, match=other.decode().strip('"')):
            decode(stored(report, bytes(report.state).replace(word, other)))


STORED_WORDS: dict[type[StrEnum], str] = {
    Milestone: """unknown info_received pickup_scheduled out_for_pickup pickup_failed picked_up in_transit arrived
        customs on_hold delayed out_for_delivery delivery_failed available_for_pickup delivered exception lost damaged
        return_requested returning returned cancelled expired""",
    Leg: "forward return exchange",
    NdrReason: """customer_unavailable customer_unreachable bad_address refused rescheduled not_attempted payment_issue
        out_of_delivery_area order_cancelled self_collect seized_by_customer open_delivery_requested misrouted otp_issue
        not_collected carrier_issue other unspecified""",
    EstimateSource: "carrier provider sla promise",
    AssertionKind: "status stuck ndr pickup_failure direction pieces split",
    NdrAction: "reattempt reschedule change_details rto",
    Precision: "second day",
    ZoneSource: "stated assumed unknown",
}
"""The words of each vocabulary that may stand in a stored event: one may be added here, none taken out."""


@pytest.mark.parametrize("vocabulary", STORED_WORDS)
def test_no_stored_word_is_forgotten(vocabulary: type[StrEnum]) -> None:
    words = STORED_WORDS[vocabulary].split()

    assert [msgspec.convert(word, vocabulary).value for word in words] == words
    assert set(words) == {member.value for member in vocabulary}


def test_a_topic_names_its_type_and_from_version_2_on_its_version() -> None:
    for topic, event_type in TOPICS.items():
        name, _, suffix = topic.removeprefix("shipment.").partition(".")
        assert event_type.__name__.startswith(name)
        assert suffix == "" or (suffix.startswith("v") and int(suffix[1:]) > 1)
    assert len(set(TOPICS.values())) == len(TOPICS)
