"""Does an event that was stored in an older form load as one of today's?

There is no older form yet, so that these are made up: a note that named its actor otherwise, and before that had none.
"""

import json
from copy import deepcopy
from datetime import UTC, datetime

import pytest

from trackledger.domain.errors import UnknownEvent
from trackledger.domain.events import TOPICS, NoteAdded
from trackledger.domain.mapper import decode_state
from trackledger.domain.upcasting import UPCASTS, State, Upcast, upcast

AT = "2026-03-06T10:00:00.250000Z"
FIRST = {"said": "Called", "recorded_at": AT}
SECOND = {"text": "Called", "by": "nobody", "recorded_at": AT}


def second(state: State) -> State:
    return {"text": state["said"], "by": "nobody", "recorded_at": state["recorded_at"]}


def third(state: State) -> State:
    return {("actor" if name == "by" else name): value for name, value in state.items()}


MADE_UP = {
    "note.First": Upcast("note.Second", second),
    "note.Second": Upcast("shipment.NoteAdded", third),
    "note.Lost": Upcast("note.Nowhere", second),
}


def decoded(topic: str, state: object) -> object:
    return decode_state(topic, json.dumps(state).encode(), "X version 3", MADE_UP)


@pytest.mark.parametrize(("topic", "state"), [("note.First", FIRST), ("note.Second", SECOND)])
def test_an_older_form_loads_as_the_newest(topic: str, state: State) -> None:
    assert decoded(topic, state) == NoteAdded(
        recorded_at=datetime(2026, 3, 6, 10, 0, 0, 250_000, UTC), text="Called", actor="nobody"
    )


def test_upcasting_changes_nothing_that_it_is_given() -> None:
    before = deepcopy(FIRST)

    once, again = upcast("note.First", FIRST, MADE_UP), upcast("note.First", FIRST, MADE_UP)

    assert before == FIRST
    assert once == again == ("shipment.NoteAdded", {"text": "Called", "actor": "nobody", "recorded_at": AT})


def test_the_newest_form_stays_as_it_is() -> None:
    assert upcast("shipment.NoteAdded", FIRST, MADE_UP) == ("shipment.NoteAdded", FIRST)


@pytest.mark.parametrize("topic", ["note.Never", "note.Lost"])
def test_a_topic_that_leads_nowhere_is_unknown(topic: str) -> None:
    with pytest.raises(UnknownEvent, match=f"event '{topic}' of X version 3 is unknown here; upgrade trackledger"):
        decoded(topic, FIRST)


@pytest.mark.parametrize("state", [{}, [], "x", {"said": "Called"}, {"said": 5, "recorded_at": AT}])
def test_an_older_form_that_is_broken_is_named(state: object) -> None:
    with pytest.raises(UnknownEvent, match=r"event 'note.First' of X version 3 cannot be read"):
        decoded("note.First", state)


def test_a_chain_that_bites_its_tail_ends() -> None:
    ring = {"a": Upcast("b", dict), "b": Upcast("a", dict)}

    assert upcast("a", {}, ring)[0] in ring


def test_every_older_topic_leads_to_one_that_is_written() -> None:
    assert not TOPICS.keys() & UPCASTS.keys()
    for topic in UPCASTS:
        seen = [topic]
        while seen[-1] in UPCASTS:
            assert seen.count(seen[-1]) == 1
            seen.append(UPCASTS[seen[-1]].topic)
        assert seen[-1] in TOPICS
