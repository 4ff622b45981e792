"""Which command reads the kept messages again?"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import INSTANT, Asked, actor_option, shared
from trackledger.adapters.commands.reading import account_option, limit_option, matching, only
from trackledger.domain.errors import UsageError

if TYPE_CHECKING:
    from trackledger.adapters.differences import Changes, Difference
    from trackledger.adapters.renormalization import Survey

CLOSED = ("milestone", "leg", "ndr_reason")
"""Fields of few words, whose changes are counted by what they were and become."""

INSIDE = ("digest", "fingerprint", "offset")
"""Fields that follow from others; people are told of them where nothing else changes."""

MOST = 20
"""Kinds of changes that people are told of."""

NOBODY = "nobody"
"""Who has messages read again only to see what would change."""


@click.command()
@click.argument("ref", required=False)
@click.option("--provider", default="", help="Only messages of this provider.")
@account_option
@click.option("--since", type=INSTANT, metavar="ISO", help="Only messages first received from this time on.")
@click.option("--until", type=INSTANT, metavar="ISO", help="Only messages first received before this time.")
@click.option("--apply", "store", is_flag=True, help="Record it.")
@actor_option
@limit_option
@shared
def renormalize(
    asked: Asked,
    ref: str | None,
    provider: str,
    account: str | None,
    since: datetime | None,
    until: datetime | None,
    store: bool,
    actor: str | None,
    limit: int,
) -> None:
    """Read the kept messages again with today's mappings and tell what would change, for all shipments or for REF.

    With --apply it is recorded: as amendments that name the version of the mapping, beside which what was recorded
    before stays. A second time there is nothing to change. Of more than --limit shipments only the numbers are told.
    Exit code 1 when something of a shipment cannot be decided.
    """
    from trackledger.adapters.renormalization import Renormalization, Which

    who = asked.who(actor) if store else NOBODY
    if provider:
        from trackledger.adapters.providers import provider as known

        known(provider)
    if since and until and since >= until:
        raise UsageError(f"--since {since.isoformat()} is not before --until {until.isoformat()}; no message is meant")
    with asked.open() as runtime, answers.progress("renormalize") as show:
        id_ = "" if ref is None else only(ref, matching(runtime, ref, account))["shipment_id"]
        which = Which(provider, account or "", since, until, id_)
        with closing(Renormalization(runtime, which, who)) as run:
            survey = run.survey(show)
            totals, told = Totals(), list["Difference"]()
            for one in run.differences(store=store):
                totals.add(one)
                if len(told) < limit:
                    told.append(one)
            if store:
                run.take_in()
                runtime.projector.catch_up()
            mappings = {name: version for name, version in run.mappings.items() if name == (provider or name)}
    if asked.as_json:
        answers.as_json(
            {
                "applied": store,
                "mappings": mappings,
                "survey": survey,
                "totals": totals.as_json(),
                "shipments": told,
            }
        )
    else:
        for line in _in_words(survey, totals, told, store=store):
            click.echo(line)
    if totals.counts["errors"]:
        sys.exit(1)


class Totals:
    """What changes in all: how many shipments, statements by their kind, checkpoints that are new or gone, and errors;
    fields of checkpoints by what they were and become; rows by table."""

    def __init__(self) -> None:
        self.counts = Counter(
            dict.fromkeys(("shipments", "checkpoint", "claim", "estimate", "detail", "new", "gone", "errors"), 0)
        )
        self.fields: Counter[tuple[str, Any, Any]] = Counter()
        self.conclusions: Counter[str] = Counter()

    def add(self, one: "Difference") -> None:
        """Count one shipment."""
        if one.error:
            self.counts["errors"] += 1
            return
        self.counts["shipments"] += 1
        self.counts["new"] += len(one.new)
        self.counts["gone"] += len(one.gone)
        for statement in one.statements:
            self.counts[statement.what] += 1
            if statement.what == "checkpoint":
                self.fields.update(
                    (name, *(pair if name in CLOSED else ("", ""))) for name, pair in statement.changes.items()
                )
        self.conclusions.update(row.table for row in one.conclusions)

    def as_json(self) -> dict[str, Any]:
        """The numbers; the fields that change most first."""
        fields = [
            {"field": name, "before": before, "after": after, "count": count}
            for (name, before, after), count in self.fields.most_common()
        ]
        return {**self.counts, "fields": fields, "conclusions": dict(self.conclusions)}


def _in_words(survey: "Survey", totals: Totals, told: "list[Difference]", *, store: bool) -> Iterator[str]:
    for one in told:
        yield from _shipment(one)
    counts = totals.counts
    yield "read again: " + ", ".join(f"{count:,} messages {state}" for state, count in survey.messages.items())
    for count, what in (
        (survey.silent, "of them say nothing today; what they told stays"),
        (survey.unreadable, "of them cannot be read any more, or only in part; what they told stays"),
        (survey.readable, f"that were parked or ignored {'are taken in' if store else 'can be read'} now"),
        (survey.parked, "still cannot be read; see `trackledger parked`"),
        (survey.by_hand, "statements stay as they were amended by hand"),
        (survey.erased, "checkpoints cannot be read again: their messages are no longer kept"),
    ):
        if count:
            yield f"{count:,} {what}"
    if counts["errors"]:
        yield f"{counts['errors']:,} shipments cannot be decided; see above"
    if not counts["shipments"]:
        yield "nothing changes"
        return
    verb = "changed" if store else "would change"
    kinds = ", ".join(
        f"{counts[what]:,} {what}s" for what in ("checkpoint", "claim", "estimate", "detail") if counts[what]
    )
    appear = f"{counts['new']:,} new, {counts['gone']:,} gone"
    yield f"{counts['shipments']:,} shipments {verb}: {kinds or 'no statement'}, {appear}"
    telling = ((field, count) for field, count in totals.fields.most_common(MOST) if field[0] not in INSIDE)
    for (name, before, after), count in telling:
        yield f"  {count:,} × {name}" + (f" {answers.text(before)} → {answers.text(after)}" if name in CLOSED else "")
    if totals.conclusions:
        rows = ", ".join(f"{count:,} of {table}" for table, count in totals.conclusions.items())
        yield f"  rows that {verb}: {rows}"
    if not store:
        yield "nothing is recorded yet: run it again with --apply"


def _shipment(one: "Difference") -> Iterator[str]:
    yield one.shipment_id
    if one.error:
        yield f"  {answers.text(one.error)}"
    for statement in one.statements:
        what = "" if statement.what == "checkpoint" else f"{statement.what} "
        yield f"  {what}{answers.text(statement.about)}: {_changes(statement.changes)}"
    for key, milestone in one.new.items():
        yield f"  {key}: new, {milestone}"
    for key in one.gone:
        yield f"  {key}: gone"
    for row in one.conclusions:
        change = "appears" if row.appears else "disappears" if row.disappears else _changes(row.changes)
        yield f"  → {row.table}: {change}"


def _changes(changes: "Changes") -> str:
    telling = {name: pair for name, pair in changes.items() if name not in INSIDE} or changes
    return ", ".join(f"{name} {answers.text(old)} → {answers.text(new)}" for name, (old, new) in telling.items())
