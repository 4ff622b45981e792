"""How is what was said of a shipment drawn against the days on which it should come?

As places in a plane, which the templates turn into SVG: days from left to right; above, the attempts and every estimate
that was made; below, a lane for each provider with a mark for each checkpoint, the higher the farther the parcel is.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from math import ceil

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.http.console.marks import LEVELS, Mark, Point, level, marks, path
from trackledger.adapters.http.console.scale import Break, Scale, scale

LEVEL_HEIGHT = 19.0
ROW_HEIGHT = 19.0
HEAD = 42.0
GAP = 12.0
DAY_ROOM = 54.0
YEAR_ROOM = 84.0
MOST_WINDOWS = 8
MOST_LANES = 8
MOST_ATTEMPTS = 40


class Span(Struct, frozen=True, kw_only=True):
    """One estimate: local days, both inclusive, and the instant from which on it is missed. `counts` has which of
    `promised`, `original` and `current` it is."""

    source: str
    starts: date
    ends: date
    deadline: datetime
    stated_at: datetime
    counts: tuple[str, ...] = ()


class Visit(Struct, frozen=True):
    """An attempt, or with the number 0 the delivery, which the checkpoint of a row tells of."""

    number: int
    at: datetime
    row: str


class Case(Struct, frozen=True):
    """A failed-delivery case from its opening until its end, if it has one."""

    number: int
    opened_at: datetime
    closed_at: datetime | None
    act_by: datetime | None


class Subject(Struct, frozen=True, kw_only=True):
    """What is to be drawn. `offset` is that of the parcel's days east of UTC, `now` the time by which it is judged;
    a parcel whose journey has ended is not drawn up to then."""

    points: Sequence[Point] = ()
    spans: Sequence[Span] = ()
    visits: Sequence[Visit] = ()
    cases: Sequence[Case] = ()
    promised_by: datetime | None = None
    offset: timedelta = timedelta()
    now: datetime
    ended: bool = False


class Text(Struct, frozen=True):
    """Words at a place: of the axis, or at the height of a row or level of the plane."""

    at: float
    says: str
    kind: str = ""


class Bar(Struct, frozen=True):
    """A stretch of one row; `stated` is where it was said, if that is to be shown."""

    left: float
    right: float
    y: float
    kind: str
    says: str
    stated: float | None = None


class Numbered(Struct, frozen=True):
    """An attempt, or with an empty label the delivery."""

    x: float
    y: float
    label: str
    row: str


class Drawing(Struct, frozen=True, kw_only=True):
    """A plane of `width` by `height`. Everything lies within it; `labels` belong beside it, on the left."""

    width: float
    height: float
    top: float = HEAD
    days: tuple[Text, ...]
    breaks: tuple[Break, ...]
    labels: tuple[Text, ...]
    lines: tuple[float, ...]
    shades: tuple[Bar, ...]
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    paths: tuple[str, ...]
    attempts: tuple[Numbered, ...]
    due: float | None
    now: float | None
    latest: float
    """Where the newest of what was said is, or now."""
    left_out: int
    """Estimates that there was no room for."""


def draw(subject: Subject) -> Drawing:
    """The same drawing for the same things, in whichever order they are given."""
    points = sorted(subject.points, key=lambda one: (one.at, one.row))
    spans, left_out = _chosen(subject.spans)
    axis = scale(_instants(subject, points, spans))
    labels: list[Text] = []
    bars: list[Bar] = []
    y = HEAD + GAP
    attempts: tuple[Numbered, ...] = ()
    if subject.visits or subject.cases:
        y += ROW_HEIGHT / 2
        labels.append(Text(y, "attempts", "row"))
        bars += [_case(one, axis, y, subject.now) for one in sorted(subject.cases, key=lambda one: one.number)]
        visits = sorted(subject.visits, key=lambda one: (one.at, one.row))[-MOST_ATTEMPTS:]
        attempts = tuple(Numbered(axis.x(one.at), y, str(one.number or ""), one.row) for one in visits)
        y += ROW_HEIGHT / 2 + GAP
    for span in spans:
        y += ROW_HEIGHT / 2
        labels.append(Text(y, f"{span.source} date", "row"))
        bars.append(_bar(span, axis, y, subject.offset))
        y += ROW_HEIGHT / 2
    y += GAP if spans else 0
    providers = sorted({one.provider for one in points})
    lines: list[float] = []
    drawn: list[Mark] = []
    paths: list[str] = []
    for lane in _lanes(providers):
        lines.append(y)
        y += GAP + 8
        labels.append(Text(y - 4, ", ".join(lane), "lane"))
        y += GAP
        of_lane = [one for one in points if one.provider in lane]
        reached = {level(one.milestone) for one in of_lane}
        levels = [name for name in LEVELS if name in reached]
        heights = {name: y + number * LEVEL_HEIGHT for number, name in enumerate(levels)}
        labels += [Text(height, name, "level") for name, height in heights.items()]
        drawn += marks(of_lane, axis, heights)
        paths.append(path(of_lane, axis, heights))
        y += (len(levels) - 1) * LEVEL_HEIGHT + GAP + 4
    return Drawing(
        width=round(axis.width, 1),
        height=round(max(y + 4, HEAD + 60), 1),
        days=_days(axis, subject.offset),
        breaks=axis.breaks,
        labels=tuple(labels),
        lines=tuple(lines),
        shades=tuple(_shades(spans, axis, subject.offset)),
        bars=tuple(bars),
        marks=tuple(drawn),
        paths=tuple(filter(None, paths)),
        attempts=attempts,
        due=axis.x(subject.promised_by) if subject.promised_by else None,
        now=None if subject.ended else axis.x(subject.now),
        latest=axis.x(max([one.at for one in points] + ([] if subject.ended and points else [subject.now]))),
        left_out=left_out,
    )


def midnight(day: date, offset: timedelta) -> datetime:
    """The first instant of a local day at an offset east of UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - offset


def _chosen(spans: Iterable[Span]) -> tuple[list[Span], int]:
    """Those that count and the newest others, in the order in which they were stated; how many were left out."""
    every = sorted(spans, key=lambda one: (one.stated_at, one.source, one.starts, one.ends, one.counts))
    by_weight = sorted(range(len(every)), key=lambda number: (bool(every[number].counts), number))
    return [every[number] for number in sorted(by_weight[-MOST_WINDOWS:])], max(len(every) - MOST_WINDOWS, 0)


def _instants(subject: Subject, points: Iterable[Point], spans: Iterable[Span]) -> list[datetime]:
    found = [one.at for one in points] + [one.until for one in points if one.until]
    found += [at for one in spans for at in (midnight(one.starts, subject.offset), one.deadline, one.stated_at)]
    found += [one.at for one in subject.visits]
    found += [at for one in subject.cases for at in (one.opened_at, one.closed_at, one.act_by) if at]
    found += [subject.promised_by] if subject.promised_by else []
    return [*found, subject.now] if not subject.ended or not found else found


def _lanes(providers: Sequence[str]) -> list[Sequence[str]]:
    alone, others = providers[: MOST_LANES - 1], providers[MOST_LANES - 1 :]
    return [*((one,) for one in alone), *([others] if others else [])]


def _days(axis: Scale, offset: timedelta) -> tuple[Text, ...]:
    days: list[Text] = []
    has_room = ceil(DAY_ROOM / axis.per_day) * axis.per_day > YEAR_ROOM
    for at in axis.days(offset, DAY_ROOM):
        local = at + offset
        is_new = not days or local.timetuple().tm_yday <= 1
        x = axis.x(at)
        # The words stand to the right of their line, where no break has its own.
        is_free = not any(gap.left < x + DAY_ROOM and x < gap.right for gap in axis.breaks)
        if x < axis.width - DAY_ROOM and is_free:
            days.append(Text(x, f"{local:%a} {local.day} {local:%b}{f' {local:%Y}' if is_new and has_room else ''}"))
    return tuple(days)


def _case(one: Case, axis: Scale, y: float, now: datetime) -> Bar:
    ends = one.closed_at or max(now, one.opened_at)
    says = f"case {one.number}, {'closed' if one.closed_at else 'open'}"
    due = axis.x(one.act_by) if one.act_by else None
    return Bar(axis.x(one.opened_at), axis.x(ends), y, "case", says, due)


def _bar(span: Span, axis: Scale, y: float, offset: timedelta) -> Bar:
    days = f"{span.starts} to {span.ends}" if span.starts != span.ends else f"{span.ends}"
    counts = f" ({', '.join(span.counts)})" if span.counts else ""
    left, right = axis.x(midnight(span.starts, offset)), axis.x(span.deadline)
    kind = span.counts[0] if span.counts else "replaced"
    says = f"{span.source}: {days}{counts}, stated {span.stated_at:%Y-%m-%d %H:%M} UTC"
    return Bar(min(left, right), max(right, left), y, kind, says, axis.x(span.stated_at))


def _shades(spans: Iterable[Span], axis: Scale, offset: timedelta) -> Iterable[Bar]:
    """The days of what is measured against, and of what is expected now, from top to bottom."""
    counting = {name: one for one in spans for name in one.counts}
    against = "promised" if "promised" in counting else "original"
    for name in (against, "current"):
        if name in counting:
            bar = _bar(counting[name], axis, 0, offset)
            yield replace(bar, kind=name, stated=None)
