"""Which command tells how well deliveries go?"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import click
from msgspec.structs import asdict

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.as_of import Moments, as_of_options
from trackledger.adapters.commands.options import Asked, now_option, shared
from trackledger.domain.errors import UsageError
from trackledger.projections.analytics import BY, QUESTIONS, Figures, Question, ask, figure_columns
from trackledger.projections.cohorts import DIMENSIONS, Cohort, Dimension
from trackledger.projections.transit_times import Unit

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("question", required=False, type=click.Choice(QUESTIONS))
@click.option("--by", multiple=True, type=click.Choice(DIMENSIONS), help="Group by this; may be given several times.")
@click.option("--from", "first", type=_DAY, metavar="DAY", help="Of what ended on this local day or later.")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="Of what ended on this local day or earlier.")
@click.option("--carrier", help="Only this carrier's shipments.")
@click.option("--provider", help="Only shipments that this provider tells of.")
@click.option("--account", default="default", show_default=True, help="Whose shipments.")
@click.option("--unit", type=click.Choice(["hours", "days"]), default="hours", show_default=True, help="Of transit.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Groups.")
@now_option
@as_of_options
@shared
def analytics(
    asked: Asked,
    moments: Moments,
    question: Question | None,
    by: Sequence[Dimension],
    first: datetime | None,
    last: datetime | None,
    unit: Unit,
    limit: int,
    now: datetime,
    **whose: Any,
) -> None:
    """How well deliveries go: QUESTION is on-time, transit, first-attempt, rto or edd-error; else all of them."""
    cohort = Cohort(first=_day(first), last=_day(last), **whose)
    if cohort.first and cohort.last and cohort.first > cohort.last:
        raise UsageError(f"--from {cohort.first} is after --to {cohort.last}; exchange them")
    if by and question is None:
        raise UsageError(f"--by {by[0]} is of one question; name it, such as on-time")
    if "source" in by and question != "edd-error":
        raise UsageError("--by source is of edd-error only; use another")
    with asked.open() as runtime, moments.tables(runtime) as tables:
        found = [
            ask(tables, one, cohort, tuple(dict.fromkeys(by)) or BY[one], limit, unit)
            for one in ((question,) if question else QUESTIONS)
        ]
    if asked.as_json:
        told = [asdict(figures) | {"as_of": now} for figures in found]
        answers.as_json(told[0] if question else told)
        return
    for figures in found:
        _show(figures)


def _day(value: datetime | None) -> date | None:
    return value.date() if value else None


def _show(figures: Figures) -> None:
    click.secho(f"{figures.question}", bold=True)
    click.echo(figures.definition)
    every = [column.name for column in figure_columns(figures.question, figures.by)]
    overall = dict.fromkeys(every, "") | {every[0]: "all"} | figures.overall
    answers.table([*figures.groups, overall], every, empty="")
    if figures.left_out:
        click.echo(f"{figures.left_out:,} more groups are not shown")
    click.echo(f"{figures.under_way:,} attempted shipments are under way and in no figure\n")
