"""Which command forgets people?"""

import sys
from typing import TYPE_CHECKING

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import Asked, actor_option, shared
from trackledger.adapters.commands.reading import account_option, id_of
from trackledger.domain.errors import InvalidStatement, UsageError

if TYPE_CHECKING:
    from trackledger.adapters.forgetting import Held


@click.command()
@click.argument("refs", nargs=-1, required=True, metavar="REF…")
@actor_option
@click.option("--reason", default="", help="Why; it is recorded, so do not name the person.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be erased.")
@account_option
@shared
def forget(
    asked: Asked, refs: tuple[str, ...], actor: str | None, reason: str, dry_run: bool, account: str | None
) -> None:
    """Erase what names people in the shipments REF…, for good, and hear nothing more of them.

    Raw messages that speak of them are deleted, and they are asked about no more. Statements and conclusions stay,
    without free text; of a private shipment the key to it is destroyed. Forgetting again finishes what was interrupted.
    """
    from msgspec import to_builtins

    who = "" if dry_run else asked.who(actor)
    if not dry_run:
        _require_reason(reason)
    with asked.open() as runtime:
        ids = list(dict.fromkeys(id_of(runtime, ref, account) for ref in refs))
        if dry_run:
            held = [runtime.forgetting.look(id_) for id_ in ids]
        else:
            held = [runtime.forgetting.forget(id_, who, reason) for id_ in ids]
        if asked.as_json:
            answers.as_json([to_builtins(one) for one in held])
        else:
            for one in held:
                click.echo(_in_words(one, dry_run))
        waiting = [message_id for one in held for message_id in one.waiting]
        if waiting:
            click.echo(
                f"trackledger: messages that wait to be taken in: {', '.join(waiting)}; run `trackledger project`, "
                "then forget again",
                err=True,
            )
        if not dry_run:
            runtime.forgetting.scrub(held)
    if waiting:
        sys.exit(1)


def _require_reason(reason: str) -> None:
    from trackledger.domain.corrections import require_text

    if not reason:
        raise UsageError("nothing is said of why; give --reason, which is recorded, or --dry-run")
    try:
        require_text(reason, "reason")
    except InvalidStatement as error:
        raise UsageError(str(error)) from None


def _in_words(held: "Held", dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    text = answers.text
    lines = [f"{text(held.shipment_id)}: {'to be forgotten' if dry_run else 'forgotten'}"]
    lines.append(f"  raw messages {would}erased: {len(held.messages)}")
    if held.others:
        lines.append(f"  they also spoke of {', '.join(map(text, held.others))}, whose statements stay")
    if held.asked:
        lines.append(f"  trackers {would}asked about no more: {held.asked}")
    if held.private:
        lines.append(f"  the key to its free text {would}destroyed")
    else:
        lines.append("  free text in its events stays there, as it is not private, and is left out of every answer")
    return "\n".join(lines)
