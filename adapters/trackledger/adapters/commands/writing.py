"""Which commands add to the ledger?"""

import csv
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
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
    said = dict(pair.partition("=")[::2] for pair in context)
    told: list[dict[str, Any]] = []
    with asked.open(create=True) as runtime:
        for start in range(0, len(files), FILES_A_BATCH):
            batch = files[start : start + FILES_A_BATCH]
            told += _take(runtime, batch, provider, channel, account, received_at or datetime.now(UTC), said)
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
    from trackledger.adapters.inbox import message

    entries: list[dict[str, Any]] = []
    messages = []
    for file in files:
        try:
            body = _body(file, provider)
        except Refused as error:
            entries.append({"file": file, "state": "refused", "reason": str(error)})
            continue
        entries.append({"file": file})
        messages.append(
            message(provider, body, channel=channel, account=account, received_at=received_at, context=context)
        )
    outcomes = iter(runtime.intake.take(messages))
    return [entry if "state" in entry else entry | _plain(next(outcomes)) for entry in entries]


def _plain(outcome: Any) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(outcome)
    return found


def _body(file: str, provider: str) -> bytes:
    from trackledger.adapters.providers.base import MAX_BODY

    try:
        if file == "-":
            body = sys.stdin.buffer.read(MAX_BODY + 1)
            size = len(body)
        else:
            size = Path(file).stat().st_size
            body = Path(file).read_bytes() if size <= MAX_BODY else b""
    except OSError as error:
        raise Refused(f"{provider}: {file} cannot be read: {error.strerror}; check the path") from None
    if size > MAX_BODY:
        raise Refused(
            f"{provider}: {file} has {size:,} bytes, over the limit of {MAX_BODY:,} for one message; split it"
        )
    return body


def _line(entry: dict[str, Any]) -> str:
    if entry["state"] != "done":
        return f"{entry['file']}: {entry['state']}: {answers.text(entry['reason'])}"
    counts = ", ".join(f"{entry[name]} {name}" for name in ("recorded", "amended", "repeated"))
    withdrawn = f", {entry['withdrawn']} withdrawn" if entry["withdrawn"] else ""
    return f"{entry['file']}: {counts}{withdrawn}: {', '.join(entry['shipments'])}"


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
@click.option("--promised", default="", metavar="DAY[/DAY]", help="Promised delivery day or window, in UTC days.")
@click.option("--piece-of", default="", metavar="SHIPMENT_ID", help="The consignment that this is one piece of.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="CSV or NDJSON with these names as columns.")
@shared
def register(asked: Asked, files: tuple[str, ...], **flags: Any) -> None:
    """Follow a shipment: give your reference, its trackers, or both. From flags, or many from a file.

    In a file, several trackers are separated by blanks. Registering the same again changes nothing.
    """
    from trackledger.domain.ledger import MAX_BATCH

    wanted: list[dict[str, Any]] = [entry for file in files for entry in _entries(file)]
    if any(flags[name] for name in ("reference", "trackers")):
        wanted.append(flags)
    if not wanted:
        raise UsageError("nothing to register; give --reference, --tracker or --file")
    registrations = [_registration(entry) for entry in wanted]
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
            told = r.error or ("registered" if r.events else "already registered")
            click.echo(f"{r.shipment_id}: {told}", err=bool(r.error))
    if any(r.error for r in receipts):
        sys.exit(1)


def _entries(file: str) -> Iterator[dict[str, Any]]:
    import msgspec

    try:
        text = Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}; give a CSV or NDJSON file in UTF-8") from None
    if text.lstrip().startswith("{"):
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    entry = msgspec.json.decode(line, type=dict[str, str | list[str]])
                except msgspec.DecodeError as error:
                    raise UsageError(f"{file} line {number} is not a JSON object of texts: {error}") from None
                yield entry | {"line": f"{file} line {number}"}
    else:
        for number, row in enumerate(csv.DictReader(text.splitlines()), start=2):
            yield {k: v or "" for k, v in row.items() if k is not None} | {"line": f"{file} line {number}"}


_FIELDS = {
    "reference", "account", "trackers", "tracker", "order_id", "carrier", "tracking_number", "service", "promised",
    "piece_of", "line",
}  # fmt: skip


def _registration(entry: dict[str, Any]) -> Any:
    from trackledger.adapters.providers import provider as known
    from trackledger.domain.checkpoints import Registration, Tracker

    where = f"{entry['line']}: " if "line" in entry else ""
    unknown = sorted(str(name) for name in entry.keys() - _FIELDS)
    if unknown:
        raise UsageError(
            f"{where}column {unknown[0]!r} is unknown; use {', '.join(sorted(_FIELDS - {'line', 'tracker'}))}"
        )
    named = entry.get("trackers") or entry.get("tracker") or ()
    trackers = []
    for text in named.split() if isinstance(named, str) else named:
        provider, colon, reference = text.partition(":")
        if not colon or not reference:
            raise UsageError(f"{where}tracker {text!r} is not PROVIDER:REFERENCE, such as clickpost:4:4210610508756")
        known(provider)
        trackers.append(Tracker(provider, reference, entry.get("carrier") or "", entry.get("tracking_number") or ""))
    details = {n: entry[n] for n in ("order_id", "carrier", "tracking_number", "service") if entry.get(n)}
    return Registration(
        reference=entry.get("reference") or "",
        account=entry.get("account") or "default",
        trackers=tuple(trackers),
        details=details,
        promised=_promised(entry.get("promised") or "", where),
        piece_of=entry.get("piece_of") or "",
    )


def _promised(window: str, where: str) -> Any:
    from trackledger.domain.checkpoints import Estimate, EstimateSource
    from trackledger.domain.moments import ZoneSource, day

    if not window:
        return None
    first, _, last = window.partition("/")
    try:
        starts, ends = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise UsageError(f"{where}promised {window!r} is not a day or DAY/DAY, such as 2026-11-24/2026-11-25") from None
    if ends < starts:
        raise UsageError(f"{where}promised {window!r} ends before it starts")
    return Estimate(
        EstimateSource.PROMISE, day(starts, first, 0, ZoneSource.STATED), day(ends, last or first, 0, ZoneSource.STATED)
    )
