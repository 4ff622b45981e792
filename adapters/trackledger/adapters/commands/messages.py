"""Which commands look after the raw messages?"""

import sys
from datetime import datetime, timedelta
from typing import Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import INSTANT, Asked, shared
from trackledger.domain.errors import UsageError


@click.command()
@click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]…")
@click.option("--all", "everything", is_flag=True, help="Every parked message.")
@click.option("--provider", default="", help="With --all: only those of this provider.")
@shared
def retry(asked: Asked, message_ids: tuple[str, ...], everything: bool, provider: str) -> None:
    """Read messages again that were parked, ignored or discarded, and tell what became of each.

    The first 8 or more characters of an id are enough. Exit code 1 when one is parked again.
    """
    if bool(message_ids) == everything:
        raise UsageError("nothing to retry, or too much: give message ids, or --all for everything that is parked")
    if provider:
        from trackledger.adapters.providers import provider as known

        known(provider)
        if not everything:
            raise UsageError(f"provider {provider!r} goes with --all; a message id names its message already")
    with asked.open() as runtime, answers.progress("retry") as show:
        ids = runtime.kept.retry_parked(provider) if everything else runtime.kept.retry(message_ids)
        done = 0

        def taken(messages: int) -> None:
            nonlocal done
            done += messages
            show(done, len(ids))

        runtime.intake.catch_up(taken)
        runtime.projector.catch_up()
        rows = runtime.kept.rows(ids)
    if asked.as_json:
        names = ("message_id", "provider", "state", "recorded", "amended", "repeated", "reason")
        answers.as_json([{name: row[name] for name in names} for row in rows])
    else:
        for row in rows:
            click.echo(_became(row), err=row["state"] == "parked")
        if not rows:
            click.echo("no message is parked")
    if any(row["state"] == "parked" for row in rows):
        sys.exit(1)


def _became(row: dict[str, Any]) -> str:
    if row["state"] == "done":
        return f"{row['message_id']}: " + ", ".join(f"{row[n]} {n}" for n in ("recorded", "amended", "repeated"))
    return f"{row['message_id']}: {row['state']}: {answers.text(row['reason'])}"


@click.command()
@click.argument("message_ids", nargs=-1, required=True, metavar="MESSAGE_ID…")
@click.option("--reason", required=True, help="Why, for those who come after you.")
@shared
def discard(asked: Asked, message_ids: tuple[str, ...], reason: str) -> None:
    """Set messages aside that are parked or waiting: they are not read any more, also when they arrive again."""
    with asked.open() as runtime:
        ids = runtime.kept.discard(message_ids, reason)
        rows = runtime.kept.rows(ids)
    if asked.as_json:
        answers.as_json([{name: row[name] for name in ("message_id", "provider", "state", "reason")} for row in rows])
    else:
        for row in rows:
            click.echo(_became(row))


@click.command()
@click.argument("message_id")
@click.option("--body", is_flag=True, help="Write the message itself, byte for byte.")
@shared
def show(asked: Asked, message_id: str, body: bool) -> None:
    """One raw message: when and how it arrived, and what became of it."""
    if body and asked.as_json:
        raise UsageError("--body writes the bytes as they arrived and --json an answer about them; leave one out")
    with asked.open() as runtime:
        if body:
            _write(runtime.kept.body(message_id))
            return
        row = runtime.kept.show(message_id)
    if asked.as_json:
        answers.as_json(row)
        return
    for name, value in row.items():
        shown = ", ".join(f"{key}={said}" for key, said in value.items()) if isinstance(value, dict) else value
        click.echo(f"{name.replace('_', ' '):<17}{answers.text(shown)}")


def _write(body: bytes) -> None:
    if sys.stdout.isatty():
        # A message may hold what steers a terminal.
        click.echo(answers.text(body.decode("utf-8", "backslashreplace")))
    else:
        sys.stdout.buffer.write(body)


@click.command()
@click.option("--older-than", type=click.IntRange(0, 36_500), metavar="DAYS", help="Instead of the configured days.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["done", "ignored", "discarded", "parked"]),
    help="Only these.  [default: all that are kept for a limited time; parked ones only if configured or named]",
)
@click.option("--now", type=INSTANT, metavar="ISO", help="Count the days back from here.  [default: now]")
@click.option("--dry-run", is_flag=True, help="Only tell how many messages it would be.")
@shared
def purge(asked: Asked, older_than: int | None, states: tuple[str, ...], now: datetime | None, dry_run: bool) -> None:
    """Erase raw messages that last arrived long ago. What they told stays in the ledger.

    Messages that wait to be read are never erased.
    """
    from trackledger.adapters.kept import PURGED
    from trackledger.adapters.settings import Retention

    with asked.open() as runtime:
        retention = runtime.settings.retention
        if older_than is not None:
            age = timedelta(days=older_than)
            retention = Retention(age, age, age if "parked" in states else retention.parked, age)
        asked_for = (now or runtime.settings.clock.now(), retention, states or PURGED)
        counts = runtime.kept.purgeable(*asked_for) if dry_run else runtime.kept.purge(*asked_for)
    if asked.as_json:
        answers.as_json([{"state": state, "messages": count, "erased": not dry_run} for state, count in counts.items()])
        return
    for state in states or PURGED:
        if state in counts:
            click.echo(f"{state}: {counts[state]:,} {'would be erased' if dry_run else 'erased'}")
        elif states:
            click.echo(f"{state}: kept for ever; say --older-than DAYS to erase some")
