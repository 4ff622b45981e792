"""What did the ledger hear of a shipment, event by event, and what was concluded from it?"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.as_of import Moments, as_of_options
from trackledger.adapters.commands.options import Asked, now_option, shared
from trackledger.adapters.commands.reading import account_option, ids_of, in_words, only
from trackledger.adapters.one_shipment import history

if TYPE_CHECKING:
    from trackledger.adapters.runtime import Runtime
    from trackledger.projections.history import Deed, Entry

SHOWN = ("occurred_at", "milestone", "leg", "status_said", "location", "remark", "amended", "withdrawn", "corrected")


@click.command(name="history")
@click.argument("ref")
@account_option
@now_option
@as_of_options
@shared
def history_(asked: Asked, ref: str, account: str | None, now: datetime, moments: Moments) -> None:
    """Every event of REF in words, and what was concluded from them.

    With --known-at by what the ledger had recorded by then; with --valid-at by what had happened by then, as far as is
    known; with both, by what was known then of what had happened by then.
    """
    with asked.open() as runtime:
        id_ = named(runtime, ref, account, moments)
        told = history(runtime, id_, known_at=moments.known_at, valid_at=moments.valid_at, now=now)
    if asked.as_json:
        answers.as_json(told)
        return
    click.echo("\n".join([f"{id_} {moments}".rstrip(), *(line for one in told["events"] for line in _lines(one))]))
    if not told["events"]:
        click.echo("  nothing had happened by then")
    click.echo(f"\nconcluded from this, judged at {answers.text(now)}:\n")
    click.echo(in_words(told["status"]) if told["status"] else f"nothing: {answers.text(told['error'])}")
    click.echo("")
    answers.table(told["timeline"], SHOWN, empty="nothing had happened by then")


def named(runtime: "Runtime", ref: str, account: str | None, moments: Moments) -> str:
    """The id of the one shipment that REF names. Raises `UsageError` for several, and for a moment that is to come."""
    from trackledger.adapters.past import require_come

    require_come(datetime.now(UTC), known_at=moments.known_at, valid_at=moments.valid_at)
    return str(only(ref, [{"shipment_id": id_} for id_ in ids_of(runtime, ref, account)])["shipment_id"])


def _lines(one: "Entry") -> list[str]:
    text = answers.text
    told = {
        "by": one.channel,
        "message": one.message_id,
        "received": one.received_at,
        "stated": one.stated_at,
        "mapping": one.mapping,
        "reason": one.reason,
    }
    about = ", ".join(f"{name} {text(value)}" for name, value in told.items() if value)
    who = text(one.who) if one.who else "nobody is named"
    lines = [f"#{one.position} {one.event} recorded {text(one.recorded_at)}: {who}" + (f" ({about})" if about else "")]
    if one.unreadable:
        lines.append(f"    cannot be read: {text(one.unreadable)}")
    lines += [f"    {_deed(deed)}" for deed in one.did]
    if one.left_out:
        lines.append(f"    and {one.left_out:,} more about what happened later")
    return lines


def _deed(deed: "Deed") -> str:
    key = f"{deed.checkpoint_id} " if deed.what == "recorded" else ""
    return answers.text(f"{deed.what.replace('_', ' ')}: {key}{deed.says}")
