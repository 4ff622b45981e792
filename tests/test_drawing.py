"""Is everything that was said of a shipment drawn, each thing in its place, whatever it is and in whichever order?"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackledger.adapters.http.console.drawing import (
    MOST_LANES,
    MOST_WINDOWS,
    Case,
    Drawing,
    Span,
    Subject,
    Visit,
    draw,
    midnight,
)
from trackledger.adapters.http.console.marks import Point
from trackledger.adapters.http.console.scale import LEAST_WIDTH, MOST_WIDTH, scale
from trackledger.domain.milestones import Milestone

START = datetime(2026, 3, 2, tzinfo=UTC)
IST = timedelta(hours=5, minutes=30)


def point(
    number: int, at: datetime, milestone: str = "in_transit", provider: str = "clickpost", **more: object
) -> Point:
    return Point(
        row=f"checkpoint-{number}",
        at=at,
        provider=provider,
        channel="poll" if number % 2 else "webhook",
        milestone=milestone,
        says=f"{milestone} {number}",
        **more,  # type: ignore[arg-type]
    )


def span(first: int, last: int, stated: datetime, *counts: str, source: str = "carrier") -> Span:
    ends = date(2026, 3, last)
    deadline = midnight(ends + timedelta(days=1), IST)
    return Span(
        source=source, starts=date(2026, 3, first), ends=ends, deadline=deadline, stated_at=stated, counts=counts
    )


def hours(number: float) -> datetime:
    return START + timedelta(hours=number)


def places(drawing: Drawing) -> Iterator[tuple[float, float]]:
    """Every place of a drawing, with the room that a mark takes around it."""
    for text in drawing.days:
        yield text.at, 0
    for gap in drawing.breaks:
        yield gap.left, 0
        yield gap.right, 0
    for line in drawing.lines:
        yield 0, line
    for bar in (*drawing.shades, *drawing.bars):
        for x in (bar.left, bar.right, bar.stated if bar.stated is not None else bar.left):
            yield x, bar.y
    for mark in drawing.marks:
        for x in (mark.x, mark.whole_day if mark.whole_day is not None else mark.x):
            yield x, mark.y - 8
            yield x, mark.y + 8
    for one in drawing.attempts:
        yield one.x, one.y - 8
    yield from ((x, 0) for x in (drawing.due, drawing.now, drawing.latest) if x is not None)
    for path in drawing.paths:
        for x, y in re.findall(r"M(\S+) ([\d.]+)", path):
            yield float(x), float(y)
        for x in re.findall(r"H([\d.e+]+)", path):
            yield float(x), 0
        for y in re.findall(r"V([\d.e+]+)", path):
            yield 0, float(y)


def well_drawn(subject: Subject) -> Drawing:
    """The drawing of it, of which everything lies within, and every checkpoint is drawn once."""
    drawing = draw(subject)
    for x, y in places(drawing):
        assert 0 <= x <= drawing.width and 0 <= y <= drawing.height, (x, y)
    for label in drawing.labels:
        assert 0 <= label.at <= drawing.height
    drawn = [row for mark in drawing.marks for row in mark.rows]
    assert sorted(drawn) == sorted(one.row for one in subject.points)
    return drawing


@dataclass
class Shuffled:
    """Things to be drawn in two orders."""

    one: Subject
    other: Subject


instants = st.integers(0, 60 * 24 * 40).map(lambda minutes: START + timedelta(minutes=minutes)) | st.sampled_from(
    [datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 12, 31, 23, 59, tzinfo=UTC), START]
)


@st.composite
def subjects(draw_: st.DrawFn) -> Shuffled:
    """Anything that may have been said of a shipment."""
    points = [
        Point(
            row=f"checkpoint-{number}",
            at=at,
            until=at + timedelta(days=1) if draw_(st.booleans()) else None,
            provider=draw_(st.sampled_from("abcdefghijkl")),
            channel=draw_(st.sampled_from(["poll", "webhook", ""])),
            milestone=draw_(st.sampled_from(list(Milestone))).value,
            says=draw_(st.text(max_size=5)),
            by_hand=draw_(st.booleans()),
            amended=draw_(st.booleans()),
            withdrawn=draw_(st.booleans()),
        )
        for number, at in enumerate(draw_(st.lists(instants, max_size=25)))
    ]
    spans = [
        Span(
            source=draw_(st.sampled_from(["carrier", "sla"])),
            starts=min(at, other).date(),
            ends=max(at, other).date(),
            deadline=max(at, other),
            stated_at=draw_(instants),
            counts=tuple(draw_(st.sets(st.sampled_from(["original", "current"])))),
        )
        for at, other in draw_(st.lists(st.tuples(instants, instants), max_size=12))
    ]
    visits = [Visit(number, at, f"v{number}") for number, at in enumerate(draw_(st.lists(instants, max_size=4)))]
    cases = [Case(1, min(at, end), end, None) for at, end in draw_(st.lists(st.tuples(instants, instants), max_size=1))]
    now, ended, offset = draw_(instants), draw_(st.booleans()), timedelta(minutes=draw_(st.integers(-720, 840)))

    def subject(random: Random) -> Subject:
        return Subject(
            points=random.sample(points, len(points)),
            spans=random.sample(spans, len(spans)),
            visits=random.sample(visits, len(visits)),
            cases=cases,
            offset=offset,
            now=now,
            ended=ended,
        )

    return Shuffled(subject(Random(1)), subject(Random(2)))


@given(subjects())
def test_whatever_was_said_is_drawn_within_its_room_and_the_order_makes_no_difference(both: Shuffled) -> None:
    assert well_drawn(both.one) == well_drawn(both.other)


@pytest.mark.parametrize("number", [0, 1, 2, 30, 500])
def test_few_and_many_checkpoints(number: int) -> None:
    points = [point(each, hours(each * 0.7)) for each in range(number)]
    drawing = well_drawn(Subject(points=points, now=hours(400)))
    assert drawing.width <= MOST_WIDTH + 1
    assert len(drawing.marks) <= drawing.width / 16 + 1
    assert drawing.height < 200


def test_equal_instants_share_a_mark_that_names_them_and_shows_the_worst() -> None:
    points = [point(1, hours(5), "out_for_delivery"), point(2, hours(5), "delivery_failed"), point(3, hours(60))]
    shared, alone = sorted(well_drawn(Subject(points=points, now=hours(70))).marks, key=lambda mark: mark.x)
    assert (shared.shape, shared.tone, shared.rows) == ("several", "bad", ("checkpoint-1", "checkpoint-2"))
    assert shared.says == "out_for_delivery 1\ndelivery_failed 2"
    assert (alone.shape, alone.tone) == ("poll", "moving")


def test_shape_tells_of_the_channel_and_state_of_what_became_of_it() -> None:
    points = [
        point(1, hours(1)),
        point(2, hours(20)),
        point(3, hours(40), by_hand=True),
        point(5, hours(60), withdrawn=True),
        point(7, hours(80), "unknown", amended=True),
    ]
    marks = sorted(well_drawn(Subject(points=points, now=hours(90))).marks, key=lambda mark: mark.x)
    assert [mark.shape for mark in marks] == ["poll", "webhook", "hand", "poll", "poll"]
    assert [mark.state for mark in marks] == [(), (), ("amended",), ("withdrawn",), ("amended",)]
    assert marks[-1].tone == "unknown" and marks[-1].y > marks[0].y


def test_each_provider_has_a_lane_and_too_many_share_the_last() -> None:
    two = [point(1, hours(1), provider="rye"), point(2, hours(1), provider="aftership")]
    drawing = well_drawn(Subject(points=two, now=hours(3)))
    assert [label.says for label in drawing.labels if label.kind == "lane"] == ["aftership", "rye"]
    assert len({mark.y for mark in drawing.marks}) == 2
    many = [point(number, hours(number), provider=f"p{number:02}") for number in range(12)]
    lanes = [label for label in well_drawn(Subject(points=many, now=hours(13))).labels if label.kind == "lane"]
    assert len(lanes) == MOST_LANES
    assert lanes[-1].says == "p07, p08, p09, p10, p11"


def test_a_window_is_drawn_from_its_first_local_midnight_to_the_instant_that_misses_it() -> None:
    spans = [span(5, 5, hours(2), "original"), span(7, 8, hours(30), "current")]
    subject = Subject(
        points=[point(1, hours(4))], spans=spans, promised_by=spans[0].deadline, offset=IST, now=hours(50)
    )
    drawing = well_drawn(subject)
    original, current = drawing.bars
    assert (original.kind, current.kind) == ("original", "current")
    assert [text.at for text in drawing.days if text.says == "Thu 5 Mar"] == [original.left]
    assert original.right == drawing.due
    assert original.stated is not None and original.stated < original.left < current.left
    assert [(shade.kind, shade.left) for shade in drawing.shades] == [
        ("original", original.left),
        ("current", current.left),
    ]


def test_of_many_estimates_those_that_count_and_the_newest_are_drawn() -> None:
    spans = [span(5, 5, hours(0), "original"), *(span(6 + n, 6 + n, hours(n + 1)) for n in range(20))]
    drawing = well_drawn(Subject(spans=spans, offset=IST, now=hours(60)))
    assert len(drawing.bars) == MOST_WINDOWS
    assert drawing.left_out == 21 - MOST_WINDOWS
    assert drawing.bars[0].kind == "original"
    assert "2026-03-25" in drawing.bars[-1].says


def test_attempts_are_numbered_and_their_case_reaches_as_far_as_it_lasts() -> None:
    visits = [Visit(1, hours(10), "a"), Visit(2, hours(34), "b"), Visit(0, hours(60), "c")]
    drawing = well_drawn(Subject(visits=visits, cases=[Case(1, hours(10), hours(60), None)], now=hours(90), ended=True))
    assert [(one.label, one.row) for one in drawing.attempts] == [("1", "a"), ("2", "b"), ("", "c")]
    assert (drawing.bars[0].left, drawing.bars[0].right) == (drawing.attempts[0].x, drawing.attempts[2].x)
    assert drawing.now is None


def test_a_long_silence_is_drawn_shorter_and_says_how_long_it_is() -> None:
    points = [point(1, hours(0)), point(2, hours(24)), point(3, hours(24 * 31))]
    drawing = well_drawn(Subject(points=points, now=hours(24 * 32)))
    (gap,) = drawing.breaks
    assert gap.length == timedelta(days=30)
    first, second, third = sorted(mark.x for mark in drawing.marks)
    assert third - second == pytest.approx(2 * (second - first), abs=0.3)


def test_a_day_without_a_time_reaches_to_its_end() -> None:
    drawing = well_drawn(Subject(points=[point(1, hours(0), until=hours(24))], now=hours(48)))
    assert drawing.marks[0].whole_day == pytest.approx(drawing.width * 34 / 68, abs=0.2)


@given(st.lists(instants, min_size=1, max_size=40))
def test_an_axis_keeps_the_order_of_time(times: list[datetime]) -> None:
    axis = scale(times)
    found = [axis.x(at) for at in sorted(times)]
    assert found == sorted(found)
    assert LEAST_WIDTH - 1 <= axis.width <= MOST_WIDTH + 1
    days = axis.days(timedelta(), 54)
    assert days == sorted(set(days)) and len(days) <= axis.width / 54 * 2 + 40
