"""Which commands answer from the tables?"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.as_of import NOW, Moments, as_of_options, warn_if_behind
from trackledger.adapters.commands.options import Asked, now_option, shared
from trackledger.adapters.one_shipment import with_notes, with_pieces
from trackledger.adapters.runtime import Runtime
from trackledger.domain.errors import ShipmentNotFound, UsageError
from trackledger.domain.milestones import Leg, Milestone
from trackledger.projections import delivery_dates, ndr, shipments, silence, timeline
from trackledger.projections.one_shipment import status_of
from trackledger.projections.table import Reader

limit_option = click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True)
account_option = click.option("--account", help="Only this account's shipments.")


def matching(runtime: Runtime, ref: str, account: str | None) -> list[dict[str, Any]]:
    """The rows of `shipments` that REF names. Raises `ShipmentNotFound` where there is none."""
    require_ref(ref)
    warn_if_behind(runtime)
    found = shipments.find(runtime.database, ref, account)
    if not found:
        raise _not_found(ref)
    return found


def require_ref(ref: str) -> None:
    """Raises `UsageError` for a REF that names nothing."""
    if not ref:
        raise UsageError("REF is empty; give a shipment id, reference, order id or tracking number")


def _not_found(ref: str) -> ShipmentNotFound:
    return ShipmentNotFound(f"no shipment has the id, reference, order id or tracking number {ref!r}; check it")


def ids_of(runtime: Runtime, ref: str, account: str | None) -> list[str]:
    """Ids of the shipments that REF names by what is known today. Raises `ShipmentNotFound` where there is none."""
    require_ref(ref)
    named = [row["shipment_id"] for row in shipments.find(runtime.database, ref, account)]
    # The tables may be behind; the links never are.
    ids = sorted({*named, *runtime.ledger.find(ref, account)})
    if not ids:
        raise _not_found(ref)
    return ids


def id_of(runtime: Runtime, ref: str, account: str | None) -> str:
    """The id of the one shipment that REF names by what is known today. Raises `ShipmentNotFound` where there is none,
    and `UsageError` where there are several."""
    found: str = only(ref, [{"shipment_id": id_} for id_ in ids_of(runtime, ref, account)])["shipment_id"]
    return found


@contextmanager
def about(
    runtime: Runtime, ref: str, account: str | None, moments: Moments
) -> Generator[tuple[Reader, list[dict[str, Any]]]]:
    """The tables as of the moments, and the rows of `shipments` in them that REF names by what is known today.

    Raises `ShipmentNotFound` where there is none, and where none was known at the moment.
    """
    if moments == NOW:
        yield runtime.database, matching(runtime, ref, account)
        return
    require_ref(ref)
    moments.require(runtime)
    ids = ids_of(runtime, ref, account)
    with moments.tables(runtime, with_pieces(runtime, ids)) as tables:
        rows = [row for id_ in ids for row in shipments.find(tables, id_) if row["shipment_id"] == id_]
        if not rows:
            raise ShipmentNotFound(f"nothing of {ref!r} was {moments}; ask for a later moment, or leave it out")
        yield tables, rows


def only(ref: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The one row that REF names. Raises `UsageError` where it names several."""
    if len(found) > 1:
        ids = ", ".join(row["shipment_id"] for row in found)
        raise UsageError(f"{ref!r} names {len(found)} shipments; use one of their ids: {ids}")
    return found[0]


@click.command()
@click.argument("ref")
@account_option
@now_option
@as_of_options
@shared
def status(asked: Asked, ref: str, account: str | None, now: datetime, moments: Moments) -> None:
    """Where is REF now? REF is a shipment id, reference, order id or tracking number; several matches are listed."""
    with asked.open() as runtime, about(runtime, ref, account, moments) as (tables, rows):
        found = [with_notes(runtime, status_of(tables, row, now), moments.known_at) for row in rows]
    if asked.as_json:
        answers.as_json(found[0] if len(found) == 1 else found)
        return
    click.echo("\n\n".join(in_words(answer) for answer in found))


def in_words(answer: dict[str, Any]) -> str:
    """What `status_of` answers, and its notes, for a person."""
    s, quiet, dates, case = answer["status"], answer["silence"], answer["delivery"], answer["ndr"]
    text = answers.text
    lines = [answer["shipment_id"]]
    for tracker in answer["trackers"]:
        lines.append(f"  {tracker['provider']}: {text(tracker['carrier'])} {text(tracker['tracking_number'])}")
    if answer["reference"] or answer["order_id"]:
        lines.append(f"  reference {text(answer['reference'])}, order {text(answer['order_id'])}")
    leg = "" if s["leg"] == "forward" else f" ({s['leg']} leg)"
    lines.append(f"  {s['milestone']}{leg} since {text(s['since'])}, at {text(s['location'])}: {text(s['said'])}")
    if case:
        lines.append(
            f"  failed delivery, case {case['case_no']} {case['state']}: "
            f"{case['reason']} ({text(case['reason_said'])}); "
            f"{case['attempts']} attempt{'' if case['attempts'] == 1 else 's'}, act by {text(case['act_by'])}"
        )
    if quiet:
        verdict = "stuck" if quiet["is_stuck"] else "stuck if nothing is heard"
        claim = {None: "says nothing of it", True: "says it is stuck", False: "says it is not stuck"}
        lines.append(
            f"  {verdict} after {text(quiet['stuck_after'])} ({quiet['kind']}); "
            f"the provider {claim[quiet['provider_says_stuck']]}"
        )
    if dates and (dates["current_to"] or dates["promised_to"]):
        verdict = {None: "not due yet", True: "on time", False: "late"}[dates["on_time"]]
        windows = [
            f"{name} {dates[f'{name}_from']} to {dates[f'{name}_to']}{by}"
            for name, by in (("promised", ""), ("original", ""), ("current", f" by {dates['current_source']}"))
            if dates[f"{name}_to"]
        ]
        lines.append(f"  delivery {', '.join(windows)}: {verdict} against {dates['baseline']}")
    if pieces := answer["consignment"]:
        lines.append(
            f"  {pieces['pieces']} pieces: {pieces['delivered']} delivered, {pieces['open']} open, "
            f"{pieces['failed']} failed"
        )
    for note in answer["notes"]:
        said = note["text"] or "private, and its key is lost"
        lines.append(f"  note of {text(note['recorded_at'])} by {text(note['actor'])}: {text(said)}")
    because = s["because"]
    lines.append(f"  by rule {because['rule']} from {', '.join(map(text, because['checkpoints'])) or 'nothing said'}")
    lines.append(f"  {answer['checkpoints']} checkpoints, ledger position {answer['position']}")
    return "\n".join(lines)


@click.command(name="shipments")
@click.option("--milestone", type=click.Choice([milestone.value for milestone in Milestone]), metavar="MILESTONE")
@click.option("--carrier")
@click.option("--provider")
@click.option("--leg", type=click.Choice([leg.value for leg in Leg]))
@click.option("--order-id")
@click.option("--after", default="", help="Continue after this shipment id.")
@account_option
@limit_option
@as_of_options
@shared
def shipments_(asked: Asked, moments: Moments, limit: int, after: str, **filters: str | None) -> None:
    """List shipments in the order of their ids."""
    columns = (
        "shipment_id",
        "milestone",
        "leg",
        "since",
        "carrier",
        "tracking_number",
        "order_id",
        "attempts",
        "location",
    )
    _list(asked, moments, lambda s: shipments.listed(s, limit=limit, after=after, **filters), columns, "no shipments")


@click.command(name="timeline")
@click.argument("ref")
@account_option
@as_of_options
@shared
def timeline_(asked: Asked, ref: str, account: str | None, moments: Moments) -> None:
    """What was said about REF, in order, and how we know."""
    columns = (
        "occurred_at", "occurred_said", "zone_source", "milestone", "leg", "status_code", "status_said", "location",
        "remark", "ndr_reason", "channel", "amended", "withdrawn", "corrected", "checkpoint_id",
    )  # fmt: skip
    with asked.open() as runtime, about(runtime, ref, account, moments) as (tables, found):
        rows = timeline.of(tables, only(ref, found)["shipment_id"])
    _show(asked, rows, columns, "nothing was said about it yet")


@click.command(name="ndr")
@click.option("--state", type=click.Choice(["open", "actioned"]))
@account_option
@limit_option
@now_option
@as_of_options
@shared
def ndr_(asked: Asked, moments: Moments, now: datetime, limit: int, **sought: Any) -> None:
    """Failed deliveries that are not closed, the most urgent first."""
    columns = (
        "shipment_id", "case_no", "state", "reason", "reason_said", "party", "attempts", "last_attempt_at", "act_by",
        "overdue", "carrier", "tracking_number",
    )  # fmt: skip
    cases = ndr.Sought(**sought)
    _list(asked, moments, lambda s: ndr.page(s, cases, now, ndr.BY_ACT_BY, limit).rows, columns, "no failed deliveries")


@click.command()
@click.option("--kind", help="Only those stuck in this way.")
@account_option
@limit_option
@now_option
@as_of_options
@shared
def stuck(asked: Asked, moments: Moments, now: datetime, limit: int, **sought: Any) -> None:
    """Shipments that have been quiet for too long, the longest first."""
    columns = (
        "shipment_id", "kind", "quiet_since", "stuck_after", "provider_says_stuck", "milestone", "location", "carrier",
        "tracking_number",
    )  # fmt: skip
    quiet, order = silence.Sought(**sought), silence.BY_STUCK_AFTER
    _list(asked, moments, lambda s: silence.page(s, quiet, now, order, limit).rows, columns, "nothing is stuck")


@click.command()
@account_option
@limit_option
@now_option
@as_of_options
@shared
def late(asked: Asked, moments: Moments, now: datetime, limit: int, **sought: Any) -> None:
    """Open shipments past their promised or first estimated date, the longest first."""
    columns = (
        "shipment_id", "promised_by", "baseline", "original_to", "current_to", "current_source", "milestone",
        "location", "carrier", "tracking_number",
    )  # fmt: skip
    due, order = delivery_dates.Sought(**sought), delivery_dates.BY_PROMISED_BY
    _list(asked, moments, lambda s: delivery_dates.late(s, due, now, order, limit).rows, columns, "nothing is late")


@click.command()
@click.argument("ref")
@account_option
@now_option
@as_of_options
@shared
def edd(asked: Asked, ref: str, account: str | None, now: datetime, moments: Moments) -> None:
    """When REF was promised and is expected, with every estimate ever stated."""
    with asked.open() as runtime, about(runtime, ref, account, moments) as (tables, found):
        id_ = only(ref, found)["shipment_id"]
        dates = delivery_dates.of(tables, id_, now) or {}
        estimates = delivery_dates.estimates(tables, id_)
    if asked.as_json:
        answers.as_json(dates | {"estimates": estimates})
        return
    for name, value in dates.items():
        click.echo(f"{name:>17}  {answers.text(value)}")
    answers.table(
        estimates, ("source", "from_date", "to_date", "precision", "stated_at", "message_id"), empty="no estimates"
    )


@click.command()
@click.option("--provider")
@as_of_options
@shared
def unmapped(asked: Asked, moments: Moments, provider: str | None) -> None:
    """Statuses that no mapping knows, the most frequent first."""
    columns = ("provider", "status_code", "text", "count", "first_seen", "last_seen", "example_message_id")
    _list(asked, moments, lambda s: timeline.unmapped(s, provider), columns, "every status is mapped")


@click.command()
@limit_option
@shared
def parked(asked: Asked, limit: int) -> None:
    """Messages that could not be read, with the reason, and shipments that could not be folded."""
    with asked.open() as runtime:
        warn_if_behind(runtime)
        messages = runtime.inbox.parked(limit)
        poisoned = runtime.database.read("SELECT * FROM {s}poisoned ORDER BY shipment_id LIMIT :limit", limit=limit)
    if asked.as_json:
        answers.as_json(messages + poisoned)
        return
    columns = ("message_id", "provider", "account", "channel", "received_at", "times", "reason")
    answers.table(messages, columns, empty="no message is parked")
    if poisoned:
        answers.table(poisoned, ("shipment_id", "position", "reason"), empty="")


def _list(
    asked: Asked,
    moments: Moments,
    query: Callable[[Reader], list[dict[str, Any]]],
    columns: tuple[str, ...],
    empty: str,
) -> None:
    with asked.open() as runtime, moments.tables(runtime) as tables:
        rows = query(tables)
    _show(asked, rows, columns, empty)


def _show(asked: Asked, rows: list[dict[str, Any]], columns: tuple[str, ...], empty: str) -> None:
    if asked.as_json:
        answers.as_json(rows)
    else:
        answers.table(rows, columns, empty=empty)
