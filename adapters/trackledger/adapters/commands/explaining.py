"""Why does the ledger conclude what it concludes of a shipment?"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.as_of import Moments, as_of_options
from trackledger.adapters.commands.history import named
from trackledger.adapters.commands.options import Asked, now_option, shared
from trackledger.adapters.commands.reading import account_option, with_pieces
from trackledger.domain.errors import TrackledgerError

if TYPE_CHECKING:
    from trackledger.adapters.runtime import Runtime
    from trackledger.projections.explanation import Explanation
    from trackledger.projections.sources import Statement

MAX_RAW = 16 * 1024 * 1024
"""Bytes of raw messages in one answer; further ones are left to `trackledger show`."""

Messages = dict[str, dict[str, Any]]


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
        answers.as_json(as_answer(told, moments, messages))
    else:
        click.echo("\n".join(_Page(messages).lines(told, moments)))


def explain(
    runtime: "Runtime",
    shipment_id: str,
    now: datetime,
    *,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
) -> "Explanation":
    """Why everything that is concluded of a shipment as of these moments, judged at `now`, is concluded.

    Raises `ShipmentNotFound`, see `recollect`, and `TrackledgerError` for a shipment that cannot be folded.
    """
    from trackledger.adapters.past import past
    from trackledger.adapters.recollection import recollect
    from trackledger.projections import consignments, explanation
    from trackledger.projections.conclusions import Policies, conclude

    found = recollect(runtime, shipment_id, known_at)
    if found.unread:
        raise TrackledgerError(f"{shipment_id} cannot be explained: {found.unread[0].why}")
    said = found.statements if valid_at is None else found.statements.until(valid_at)
    policies = runtime.settings.policies or Policies()
    try:
        concluded = conclude(said, policies)
    except Exception as error:
        # Whatever it is, the pump has put the shipment aside for it; words of a forgotten one are not told.
        why = type(error).__name__ + ("" if said.forgotten else f": {error}")
        raise TrackledgerError(f"{shipment_id} cannot be explained: {why}; see `trackledger parked`") from error
    row, pieces = None, list[dict[str, Any]]()
    ids = with_pieces(runtime, [shipment_id])
    if len(ids) > 1 or said.claim(consignments.COUNTED_BY):
        with past(runtime, known_at=known_at, valid_at=valid_at, shipment_ids=ids) as tables:
            row, pieces = consignments.of(tables, shipment_id), consignments.pieces(tables, shipment_id)
    return explanation.explain(concluded, found.events, now, policies, row, pieces)


def statements(told: "Explanation") -> "list[Statement]":
    """Every statement that is named, used or not."""
    used = [statement for one in told.conclusions for statement in one.statements]
    return used + [one.statement for one in told.unused]


def kept(runtime: "Runtime", named_in: "Iterable[Statement]", *, raw: bool) -> Messages:
    """The messages that these statements are from, as far as they are still kept, by id; with their `body` if `raw`,
    None for those that are too much for one answer."""
    ids = sorted({one.message_id for one in named_in if one.message_id})
    names = ("provider", "channel", "state", "received_at", "times", "bytes")
    found = {row["message_id"]: {name: row[name] for name in names} for row in runtime.kept.rows(ids)} if ids else {}
    left = MAX_RAW if raw else 0
    for message_id, row in found.items() if raw else ():
        left -= row["bytes"]
        row["body"] = runtime.kept.body(message_id).decode("utf-8", "backslashreplace") if left >= 0 else None
    return found


def as_answer(told: "Explanation", moments: Moments, messages: Mapping[str, Any]) -> dict[str, Any]:
    """The explanation as plain values; each statement says whether its message is kept."""
    answer: dict[str, Any] = msgspec.to_builtins(told, builtin_types=(datetime, date))
    used = [one for conclusion in answer["conclusions"] for one in conclusion["statements"]]
    for statement in (*used, *(one["statement"] for one in answer["unused"])):
        row = messages.get(statement["message_id"])
        statement["message"] = {"kept": row is not None} | ({k: row[k] for k in ("state", "bytes")} if row else {})
    return answer | {"known_at": moments.known_at, "valid_at": moments.valid_at, "messages": messages}


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
