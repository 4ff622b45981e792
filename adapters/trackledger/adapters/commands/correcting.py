"""Which commands let a person correct what was said about a shipment, or remark on it?"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import Asked, actor_option, shared
from trackledger.adapters.commands.reading import account_option, matching, only
from trackledger.domain.errors import InvalidStatement, NoSuchCheckpoint, TrackledgerError, UsageError
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.projections import timeline

if TYPE_CHECKING:
    from trackledger.adapters.runtime import Runtime
    from trackledger.domain.batch import Receipt
    from trackledger.domain.corrections import Reading

READ = ("milestone", "leg", "occurred_at", "occurred_said", "location", "remark", "ndr_reason")
"""Columns of the timeline that a person may read otherwise."""

NO_REASON = "none"


class Occurred(click.ParamType[Any]):
    """An ISO 8601 time that says its zone, kept as it was written."""

    name = "iso-time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises a usage error for a time that cannot be read, has no zone, or lies outside 2000 to 2100."""
        from trackledger.domain.moments import ZoneSource, moment

        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not an ISO 8601 time such as 2026-11-21T09:30:00+05:30", param, ctx)
        if instant.tzinfo is None:
            self.fail(f"{value!r} has no zone; add one, such as Z or +05:30", param, ctx)
        offset = instant.utcoffset() or timedelta()
        if offset % timedelta(minutes=1):
            self.fail(f"{value!r} has a zone with seconds; give it in hours and minutes", param, ctx)
        try:
            return moment(instant.replace(tzinfo=None), value, ZoneSource.STATED, offset // timedelta(minutes=1))
        except InvalidStatement as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("ref")
@click.argument("text")
@actor_option
@account_option
@shared
def note(asked: Asked, ref: str, text: str, actor: str | None, account: str | None) -> None:
    """Add a remark to REF. It changes no conclusion; `status` shows the newest ones, `history` all."""
    who = asked.who(actor)
    _require_text(text, "note")
    with asked.open() as runtime:
        id_, _ = _checkpoints(runtime, ref, account)
        receipt = _stored(runtime.ledger.note(id_, text, who))
        runtime.projector.catch_up()
    if asked.as_json:
        answers.as_json({"shipment_id": id_, "events": receipt.events, "position": receipt.position})
    else:
        click.echo(f"{id_}: noted by {answers.text(who)}")


@click.command()
@click.argument("ref")
@click.argument("checkpoint_id")
@actor_option
@click.option("--reason", required=True, help="Why you know better; it is recorded.")
@click.option("--milestone", type=click.Choice([one.value for one in Milestone]), metavar="MILESTONE")
@click.option("--leg", type=click.Choice([one.value for one in Leg]))
@click.option("--occurred", type=Occurred(), metavar="ISO", help="When it happened, with its zone.")
@click.option(
    "--ndr-reason",
    type=click.Choice([*(one.value for one in NdrReason), NO_REASON]),
    metavar="REASON",
    help="Why the delivery failed; `none` takes a reason away, save one that the provider claims apart from scans.",
)
@click.option("--location", help="Where it happened; empty for nowhere known.")
@click.option("--remark", help="What was remarked of it.")
@account_option
@shared
def amend(
    asked: Asked,
    ref: str,
    checkpoint_id: str,
    actor: str | None,
    reason: str,
    account: str | None,
    **options: Any,
) -> None:
    """Read a checkpoint of REF otherwise than its provider's module does; what is not given stays.

    CHECKPOINT_ID is as in `timeline`. What the provider said is kept, and saying it again changes nothing; if it says
    something else of the checkpoint later, that stands.
    """
    who = asked.who(actor)
    reading = _reading(options)
    _require_text(reason, "reason")
    with asked.open() as runtime:
        id_, before = _checkpoints(runtime, ref, account)
        key = _key(checkpoint_id, before)
        receipt = _stored(runtime.ledger.amend(id_, key, reading, who, reason))
        runtime.projector.catch_up()
        _, after = _checkpoints(runtime, id_, None)
    changed = {name: [before[key][name], after[key][name]] for name in READ if before[key][name] != after[key][name]}
    if asked.as_json:
        told = {"shipment_id": id_, "checkpoint_id": key, "changed": changed}
        answers.as_json(told | {"events": receipt.events, "position": receipt.position})
    elif receipt.events:
        words = (f"{name} {answers.text(old)} → {answers.text(new)}" for name, (old, new) in changed.items())
        click.echo(f"{id_}: amended {key}: {', '.join(words) or 'nothing that the timeline shows'}")
    else:
        click.echo(f"{id_}: nothing changed, {key} is read so already")


@click.command()
@click.argument("ref")
@click.argument("checkpoint_ids", nargs=-1, required=True, metavar="CHECKPOINT_ID…")
@actor_option
@click.option("--reason", required=True, help="Why; it is recorded.")
@click.option("--undo", is_flag=True, help="Let checkpoints count again that were withdrawn by hand.")
@account_option
@shared
def withdraw(
    asked: Asked,
    ref: str,
    checkpoint_ids: tuple[str, ...],
    actor: str | None,
    reason: str,
    undo: bool,
    account: str | None,
) -> None:
    """Take checkpoints of REF out of every conclusion, however often the provider repeats or changes them.

    CHECKPOINT_ID is as in `timeline`, where they stay, marked as withdrawn.
    """
    who = asked.who(actor)
    _require_text(reason, "reason")
    with asked.open() as runtime:
        id_, before = _checkpoints(runtime, ref, account)
        keys = [_key(one, before) for one in dict.fromkeys(checkpoint_ids)]
        receipt = _stored(runtime.ledger.withdraw(id_, keys, who, reason, undone=undo))
        runtime.projector.catch_up()
        _, after = _checkpoints(runtime, id_, None)
    if asked.as_json:
        told = {"shipment_id": id_, "withdrawn": {key: after[key]["withdrawn"] for key in keys}}
        answers.as_json(told | {"events": receipt.events, "position": receipt.position})
    elif receipt.events:
        click.echo(f"{id_}: {', '.join(keys)} {'counts again' if undo else 'withdrawn'}")
    else:
        click.echo(f"{id_}: nothing changed, {'none is withdrawn by hand' if undo else 'all are withdrawn by hand'}")


def _reading(options: dict[str, Any]) -> "Reading":
    from trackledger.domain.corrections import Reading

    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise UsageError(f"nothing to amend; give one or more of {names}")
    for name in ("location", "remark"):
        _require_text(given.get(name, ""), name, least=0)
    for name, vocabulary in (("milestone", Milestone), ("leg", Leg), ("ndr_reason", NdrReason)):
        if name in given:
            given[name] = None if given[name] == NO_REASON else vocabulary(given[name])
    occurred = given.get("occurred")
    if occurred is not None and occurred.at > datetime.now(UTC) + timedelta(days=1):
        raise UsageError(f"time {occurred.said!r} lies in the future; it would go before all that is said until then")
    return Reading(**given)


def _checkpoints(runtime: "Runtime", ref: str, account: str | None) -> tuple[str, dict[str, dict[str, Any]]]:
    """The one shipment that REF names, and its timeline by checkpoint id."""
    id_ = only(ref, matching(runtime, ref, account))["shipment_id"]
    return id_, {row["checkpoint_id"]: row for row in timeline.of(runtime.database, id_)}


def _key(said: str, known: dict[str, Any]) -> str:
    """A checkpoint id as the timeline has it; the `~` of some is lost in some shells."""
    if said in known:
        return said
    if f"~{said}" in known:
        return f"~{said}"
    raise NoSuchCheckpoint(f"there is no checkpoint {said[:80]!r}; see `trackledger timeline`")


def _stored(receipt: "Receipt") -> "Receipt":
    if receipt.error:
        raise TrackledgerError(receipt.error)
    return receipt


def _require_text(text: str, what: str, least: int = 1) -> None:
    from trackledger.domain.corrections import require_text

    try:
        require_text(text, what, least)
    except InvalidStatement as error:
        raise UsageError(str(error)) from None
