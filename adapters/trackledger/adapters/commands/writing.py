"""Which commands add to the ledger?"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import INSTANT, Asked, shared
from trackledger.domain.errors import Refused, UsageError

FILES_A_BATCH = 200


@click.command()
@click.argument("provider")
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option("--channel", type=click.Choice(["poll", "webhook"]), default="poll", show_default=True)
@click.option("--account", default="default", show_default=True)
@click.option("--received-at", type=INSTANT, metavar="ISO", help="When the messages arrived.  [default: now]")
@click.option("--context", multiple=True, metavar="KEY=VALUE", help="What the request said, e.g. cp_id=4.")
@shared
def ingest(
    asked: Asked,
    provider: str,
    files: tuple[str, ...],
    channel: str,
    account: str,
    received_at: datetime | None,
    context: tuple[str, ...],
) -> None:
    """Read message files of PROVIDER (`-` for standard input) through the whole line into the tables.

    Tells for each file what was recorded, amended, repeated or parked; exit code 1 when a file could not be used.
    """
    from trackledger.adapters.providers import provider as known
    from trackledger.domain.checkpoints import tracker_key
    from trackledger.domain.errors import InvalidStatement

    known(provider)
    try:
        tracker_key(account, provider, "-")
    except InvalidStatement as error:
        raise UsageError(str(error)) from None
    if received_at is not None and received_at > datetime.now(UTC) + timedelta(days=1):
        raise UsageError(f"received-at {received_at.isoformat()} lies in the future; nothing could supersede it")
    for pair in context:
        if "=" not in pair:
            raise UsageError(f"context {pair!r} is not KEY=VALUE, such as cp_id=4")
    said = dict(pair.partition("=")[::2] for pair in context)
    told: list[dict[str, Any]] = []
    with asked.open(create=True) as runtime, answers.progress("ingest") as show:
        for start in range(0, len(files), FILES_A_BATCH):
            batch = files[start : start + FILES_A_BATCH]
            told += _take(runtime, batch, provider, channel, account, received_at or datetime.now(UTC), said)
            show(len(told), len(files))
        runtime.intake.catch_up()
        runtime.projector.catch_up()
    if asked.as_json:
        answers.as_json(told)
    else:
        for entry in told:
            click.echo(_line(entry), err=entry["state"] in ("parked", "refused"))
    if any(entry["state"] in ("parked", "refused") for entry in told):
        sys.exit(1)


def _take(
    runtime: Any,
    files: tuple[str, ...],
    provider: str,
    channel: Any,
    account: str,
    received_at: datetime,
    context: dict[str, str],
) -> list[dict[str, Any]]:
    from msgspec import to_builtins

    from trackledger.adapters.inbox import Outcome, message

    refused: dict[int, Outcome] = {}
    messages = []
    for number, file in enumerate(files):
        try:
            body = _body(file, provider)
        except Refused as error:
            refused[number] = Outcome("", "refused", reason=str(error))
            continue
        messages.append(
            message(provider, body, channel=channel, account=account, received_at=received_at, context=context)
        )
    outcomes = iter(runtime.intake.take(messages))
    told = [refused.get(number) or next(outcomes) for number in range(len(files))]
    return [{"file": click.format_filename(file)} | to_builtins(one) for file, one in zip(files, told, strict=True)]


def _body(file: str, provider: str) -> bytes:
    """The bytes of a file, pipe or device, none of which is read beyond the limit."""
    from trackledger.adapters.providers.reading import MAX_BODY

    name = click.format_filename(file)
    try:
        if file == "-":
            body = sys.stdin.buffer.read(MAX_BODY + 1)
        else:
            with Path(file).open("rb") as source:
                body = source.read(MAX_BODY + 1)
    except OSError as error:
        raise Refused(f"{provider}: {name} cannot be read: {error.strerror}; check the path") from None
    if len(body) > MAX_BODY:
        raise Refused(f"{provider}: {name} has more than {MAX_BODY:,} bytes, the limit for one message; split it")
    return body


def _line(entry: dict[str, Any]) -> str:
    file, reason = answers.text(entry["file"]), answers.text(entry["reason"])
    counts = ", ".join(f"{entry[name]} {name}" for name in ("recorded", "amended", "repeated"))
    counts += f", {entry['withdrawn']} withdrawn" if entry["withdrawn"] else ""
    if entry["state"] == "done":
        return f"{file}: {counts}: {', '.join(entry['shipments'])}"
    others = f" ({counts} of other parcels)" if entry["shipments"] else ""
    return f"{file}: {entry['state']}{others}: {reason}"


@click.command()
@click.option("--reference", default="", help="Your own name for the shipment.")
@click.option(
    "--tracker", "trackers", multiple=True, metavar="PROVIDER:REFERENCE", help="E.g. clickpost:4:4210610508756."
)
@click.option("--account", default="default", show_default=True)
@click.option("--order-id", default="")
@click.option("--carrier", default="")
@click.option("--tracking-number", default="")
@click.option("--service", default="")
@click.option("--promised", default="", metavar="DAY[/DAY]", help="Promised delivery day or window, as local days.")
@click.option("--zone", default="", metavar="+HH:MM", help="The zone of the promised days.  [default: +00:00]")
@click.option("--piece-of", default="", metavar="SHIPMENT_ID", help="The consignment that this is one piece of.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="CSV or NDJSON with these names as columns.")
@shared
def register(asked: Asked, files: tuple[str, ...], **flags: Any) -> None:
    """Follow a shipment: give your reference, its trackers, or both. From flags, or many from a file.

    In a file, several trackers are separated by blanks, and the other flags hold where a line does not say otherwise.
    Registering the same again changes nothing. A line that makes no sense stops them all before the first.
    """
    from trackledger.adapters.registrations import lines, registration
    from trackledger.domain.ledger import MAX_BATCH

    defaults = {name: value for name, value in flags.items() if name not in ("reference", "trackers")}
    registrations = [registration(defaults | line, where) for file in files for where, line in lines(file)]
    if flags["reference"] or flags["trackers"]:
        registrations.append(registration(flags))
    if not registrations:
        raise UsageError("nothing to register; give --reference, --tracker or --file")
    receipts = []
    with asked.open(create=True) as runtime:
        for start in range(0, len(registrations), MAX_BATCH):
            receipts += runtime.ledger.register(registrations[start : start + MAX_BATCH])
        runtime.projector.catch_up()
    if asked.as_json:
        answers.as_json(
            [{"shipment_id": r.shipment_id, "events": r.events, "error": r.error or None} for r in receipts]
        )
    else:
        for r in receipts:
            told = answers.text(r.error) if r.error else "registered" if r.events else "already registered"
            click.echo(f"{r.shipment_id}: {told}", err=bool(r.error))
    if any(r.error for r in receipts):
        sys.exit(1)
