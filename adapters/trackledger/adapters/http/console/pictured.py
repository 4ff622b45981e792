"""Which of what is known of a shipment is drawn?"""

from collections.abc import Iterator
from datetime import timedelta

from trackledger.adapters.http.console.dossier import Dossier
from trackledger.adapters.http.console.drawing import Case, Drawing, Span, Subject, Visit, draw
from trackledger.adapters.http.console.marks import Point
from trackledger.adapters.http.console.statement_rows import Row, Rows
from trackledger.domain.moments import Precision, ZoneSource
from trackledger.domain.policies.delivery_dates import Window
from trackledger.projections.conclusions import Conclusions

_DAY = timedelta(days=1)


def picture(one: Dossier, rows: Rows) -> Drawing | None:
    """The drawing of a shipment; None where nothing was said that could be drawn."""
    c = one.concluded
    points = [_point(row) for row in rows.checkpoints]
    if not points and not (c and c.dates.windows):
        return None
    names = {row.statement.checkpoint_id or "": row.name for row in rows.checkpoints}
    return draw(
        Subject(
            points=points,
            spans=list(_spans(c)) if c else (),
            visits=list(_visits(c, names)) if c else (),
            cases=[Case(case.case_no, case.opened_at, case.closed_at, case.act_by) for case in c.cases] if c else (),
            promised_by=c.dates.promised_by if c else None,
            offset=offset(one),
            now=one.now,
            ended=bool(one.standing and one.standing.row["is_final"]),
        )
    )


def offset(one: Dossier) -> timedelta:
    """How far east of UTC the parcel's days are, by the newest estimate of a whole day, else the newest checkpoint that
    says so; else none."""
    windows = one.concluded.dates.windows if one.concluded else ()
    for window in reversed(windows):
        if window.precision == Precision.DAY:
            return _midnight_after(window)
    told = one.recollection.statements.told()
    zoned = [each.checkpoint.occurred for each in told if each.checkpoint.occurred.zone is not ZoneSource.UNKNOWN]
    newest = max(zoned, key=lambda moment: (moment.at, moment.offset), default=None)
    return timedelta(minutes=newest.offset) if newest else timedelta()


def _midnight_after(window: Window) -> timedelta:
    deadline = window.deadline.replace(tzinfo=None)
    return timedelta(days=(window.ends + _DAY).toordinal() - 1) - (deadline - deadline.min)


def _point(row: Row) -> Point:
    said = row.statement
    assert said.occurred_at is not None and said.milestone is not None
    words = said.said or said.remark or said.status_code or ""
    by = " by ".join(part for part in (said.provider, said.channel) if part)
    time = (
        f"{said.occurred_at:%Y-%m-%d}" if said.precision == Precision.DAY else f"{said.occurred_at:%Y-%m-%d %H:%M} UTC"
    )
    gone = ", withdrawn" if said.withdrawn else ""
    return Point(
        row=row.name,
        at=said.occurred_at,
        until=said.occurred_at + _DAY if said.precision == Precision.DAY else None,
        provider=said.provider,
        channel=said.channel or "",
        milestone=said.milestone,
        says=f"{said.milestone.replace('_', ' ')}, {time}, {by}{gone}" + (f": {words[:120]}" if words else ""),
        by_hand=said.by_hand,
        amended=bool(said.amended or said.corrected),
        withdrawn=said.withdrawn,
    )


def _spans(c: Conclusions) -> Iterator[Span]:
    dates = c.dates
    counting = {"promised": dates.promised, "original": dates.original, "current": dates.current}
    for window in dates.windows:
        counts = tuple(name for name, one in counting.items() if one == window)
        starts, ends = sorted((window.starts, window.ends))
        yield Span(
            source=window.source.value,
            starts=starts,
            ends=ends,
            deadline=window.deadline,
            stated_at=window.stated_at,
            counts=counts,
        )


def _visits(c: Conclusions, names: dict[str, str]) -> Iterator[Visit]:
    at = {told.checkpoint.key: told.checkpoint.occurred.at for told in c.told}
    number = 0
    for case in c.cases:
        for key, _ in case.visits:
            number += 1
            yield Visit(number, at[key], names.get(key, ""))
    if c.arrival.at and c.arrival.by:
        yield Visit(0, c.arrival.at, names.get(c.arrival.by, ""))
