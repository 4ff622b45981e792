"""Why does the ledger conclude what it concludes of a shipment?"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.as_of import Moments, as_of_options
from trackledger.adapters.commands.history import named
from trackledger.adapters.commands.options import Asked, now_option, shared
from trackledger.adapters.commands.reading import account_option
from trackledger.adapters.explained import Messages, as_answer, explain, kept, statements

if TYPE_CHECKING:
    from trackledger.projections.explanation import Explanation
    from trackledger.projections.sources import Statement


@click.command(name="explain")
@click.argument("ref")
@click.option("--raw", is_flag=True, help="With the raw messages, as far as they are still kept.")
@account_option
@now_option
@as_of_options
@shared
def explain_(asked: Asked, ref: str, account: str | None, raw: bool, now: datetime, moments: Moments) -> None:
    """Every conclusion about REF: which rule drew it, from which statements, and what would change it."""
    with asked.open() as runtime:
        id_ = named(runtime, ref, account, moments)
        told = explain(runtime, id_, now, known_at=moments.known_at, valid_at=moments.valid_at)
        messages = kept(runtime, statements(told), raw=raw)
    if asked.as_json:
        answers.as_json(as_answer(told, messages) | {"known_at": moments.known_at, "valid_at": moments.valid_at})
    else:
        click.echo("\n".join(_Page(messages).lines(told, moments)))


class _Page:
    """An explanation as lines; a statement is told where it is named first, and by its number from then on."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._told: dict[Statement, int] = {}

    def lines(self, told: "Explanation", moments: Moments) -> Iterable[str]:
        yield f"{told.shipment_id}{f' {moments}' if str(moments) else ''}, judged at {answers.text(told.judged_at)}"
        for one in told.conclusions:
            yield f"\n{one.about}: {answers.text(one.says)}"
            for rule in one.rules:
                policy = f", numbers {rule.policy_version}" if rule.policy_version else ""
                yield f"  rule {rule.name} ({rule.version}{answers.text(policy) if policy else ''}): {rule.says}"
            for statement in one.statements:
                yield from self._statement(statement)
            if one.next:
                yield f"  next: {answers.text(one.next)}"
        for rule in dict.fromkeys(one.rule for one in told.unused):
            yield f"\nnot used by rule {rule.name} ({rule.version}): {rule.says}"
            for unused in told.unused:
                if unused.rule == rule:
                    yield from self._in_short(unused.statement)
        for message_id, row in self._messages.items():
            if "body" in row:
                yield f"\nmessage {answers.text(message_id)}, {row['bytes']:,} bytes:"
                body = row["body"]
                yield from (
                    map(answers.text, body.splitlines())
                    if body is not None
                    else (f"too much for one answer; see `trackledger show {message_id} --body`",)
                )

    def _statement(self, one: "Statement") -> Iterable[str]:
        if one in self._told:
            yield f"  [{self._told[one]}] {answers.text(_headline(one))}, as above"
            return
        number = self._told[one] = len(self._told) + 1
        yield f"  [{number}] {answers.text(_headline(one))}{_words(one)}"
        times = ("stated_at", "reported_at", "received_at", "recorded_at")
        when = ", ".join(f"{name[:-3]} {answers.text(at)}" for name in times if (at := getattr(one, name)))
        source = f"{one.provider} by {one.channel}, message {one.message_id}" if one.message_id else one.provider
        place = f", position {one.position}" if one.position else ""
        yield f"      {answers.text(source)}; {when}{place}{self._kept(one.message_id)}"
        yield from self._changes(one)

    def _in_short(self, one: "Statement") -> Iterable[str]:
        source = (
            f"; {answers.text(one.provider)}, message {answers.text(one.message_id)}" if one.message_id else "; host"
        )
        yield f"  {answers.text(_headline(one))}{_words(one)}{source}{self._kept(one.message_id)}"
        yield from self._changes(one)

    def _changes(self, one: "Statement") -> Iterable[str]:
        for change in one.changes:
            why = f": {change.reason}" if change.reason else ""
            by = f"{change.what.replace('_', ' ')} by {change.by} at position {change.position}{why}"
            yield f"      {answers.text(by)} ({answers.text(change.recorded_at)})"

    def _kept(self, message_id: str | None) -> str:
        if message_id is None:
            return ""
        row = self._messages.get(message_id)
        return f"; raw message kept ({row['state']}, {row['bytes']:,} bytes)" if row else "; raw message not kept"


def _headline(one: "Statement") -> str:
    if one.kind != "checkpoint":
        return f"{one.kind} {one.value}"
    leg = "" if one.leg == "forward" else f" ({one.leg} leg)"
    return f"{one.checkpoint_id} {one.milestone}{leg}"


def _words(one: "Statement") -> str:
    when = ""
    if one.occurred_at:
        when = f" at {answers.text(one.occurred_at)} (said {one.occurred_said!r}, zone {one.zone_source}"
        when += ", a day)" if one.precision == "day" else ")"
    place = f", {one.location}" if one.location else ""
    own = ": ".join(text for text in (one.said, one.remark) if text)
    state = [
        *(["withdrawn"] if one.withdrawn else []),
        *([f"amended {one.amended} times"] if one.amended else []),
        *(["corrected by hand"] if one.by_hand else ["read again"] if one.corrected else []),
    ]
    shown = place + (f': "{own}"' if own else "") + (f" [{one.ndr_reason}]" if one.ndr_reason else "")
    shown += f" ({', '.join(state)})" if state else ""
    return when + (answers.text(shown) if shown else "")
