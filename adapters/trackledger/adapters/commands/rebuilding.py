"""Which command makes the tables anew, and drops what is left of that?"""

from typing import TYPE_CHECKING, Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.ending import ends_as_by_ctrl_c
from trackledger.adapters.commands.options import Asked, shared
from trackledger.domain.errors import UsageError

if TYPE_CHECKING:
    from trackledger.adapters.runtime import Runtime
    from trackledger.projections.parity import Parity

DROP_OLD = "trackledger rebuild --drop-old"


@click.command()
@click.argument("name", required=False)
@click.option("--no-switch", is_flag=True, help="Make and compare the new tables; the next rebuild switches to them.")
@click.option("--status", is_flag=True, help="Tell which new and old tables there are, and change nothing.")
@click.option("--drop-old", is_flag=True, help="Drop the old tables that were kept, or the one of the table NAME.")
@click.option("--drop-new", is_flag=True, help="Give up a rebuild that was interrupted or not switched to.")
@shared
def rebuild(asked: Asked, name: str | None, no_switch: bool, status: bool, drop_old: bool, drop_new: bool) -> None:
    """Make the tables (or the one called NAME) anew from the first event on, beside the old ones, compare, and switch.

    Readers and writers go on meanwhile. One that was interrupted is gone on with. The old tables are kept as
    NAME__old until they are dropped, or replaced by the next rebuild.
    """
    given = [text for text, is_set in _options(no_switch, status, drop_old, drop_new) if is_set]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other; use one of them")
    if name is not None and (status or drop_new):
        raise UsageError(f"{given[0]} is about all tables; leave out {name!r}")
    with asked.open() as runtime:
        if status:
            _tell_status(asked, runtime)
        elif drop_old:
            _drop_old(asked, runtime, name)
        elif drop_new:
            _drop_new(asked, runtime)
        else:
            _rebuild(asked, runtime, name, switch=not no_switch)


def _options(no_switch: bool, status: bool, drop_old: bool, drop_new: bool) -> tuple[tuple[str, bool], ...]:
    return (("--no-switch", no_switch), ("--status", status), ("--drop-old", drop_old), ("--drop-new", drop_new))


def _rebuild(asked: Asked, runtime: "Runtime", name: str | None, *, switch: bool) -> None:
    from msgspec import to_builtins

    from trackledger.projections.rebuild import OLD
    from trackledger.projections.rebuild import rebuild as run

    with ends_as_by_ctrl_c(), answers.progress("rebuild") as show:
        report = run(runtime.rebuilds, name, runtime.settings.policies, switch=switch, progress=show, note=_note)
    if asked.as_json:
        answers.as_json([to_builtins(parity, builtin_types=()) for parity in report])
        return
    for parity in report:
        _tell(parity)
    if switch:
        click.echo(f"switched; the old tables are kept as NAME{OLD} until you drop them with `{DROP_OLD}`")
    else:
        click.echo("not switched; `trackledger rebuild` goes on to switch, `trackledger rebuild --drop-new` gives up")


def _note(sentence: str) -> None:
    click.echo(f"trackledger: {answers.text(sentence)}", err=True)


def _tell(parity: "Parity") -> None:
    left_out = f", without {parity.left_out:,} shipments of which more was just heard" if parity.left_out else ""
    if parity.holds:
        click.echo(f"{parity.table}: {parity.rows:,} rows, equal to the old{left_out}")
        return
    columns = ", ".join(f"{column} {count:,}" for column, count in parity.columns.items())
    changed = f"{parity.changed:,} changed" + (f" ({columns})" if columns else "")
    counts = f"{parity.only_new:,} only new, {parity.only_old:,} only old, {changed}"
    click.echo(f"{parity.table}: {parity.rows:,} rows, {counts}{left_out}")
    for one in parity.examples:
        row = answers.text(one.shipment_id) + (f", {answers.text(one.key)}" if one.key else "")
        what = {"only_new": "only new", "only_old": "only old"}.get(one.kind) or ", ".join(
            f"{column} {answers.text(old)} → {answers.text(new)}" for column, (old, new) in one.columns.items()
        )
        click.echo(f"  {row}: {what}")


def _tell_status(asked: Asked, runtime: "Runtime") -> None:
    from datetime import UTC, datetime

    from trackledger.adapters.checks.line import span
    from trackledger.adapters.storage.builds import builds

    now = datetime.now(UTC)
    found = builds(runtime.database, now)
    if asked.as_json:
        answers.as_json(found)
        return
    one = found.under_way
    if one is None:
        click.echo("no rebuild is under way or was interrupted")
    else:
        done = "tables filled" if one.state == "built" else f"{one.events:,} of {one.upto:,} events folded"
        click.echo(
            f"{one.state}: {', '.join(one.tables)} by policies {one.policies}, begun {answers.text(one.began_at)}, "
            f"{done}, {one.process}, last sign of life {span(now - one.alive_at)} ago"
        )
    rows: list[dict[str, Any]] = [
        {
            "table": old.table + (" (being dropped)" if old.being_dropped else ""),
            "age": span(now - old.since),
            "policies": old.policies,
            "position": old.position,
            "rows": old.rows,
            "bytes": old.bytes,
        }
        for old in found.old
    ]
    answers.table(rows, ("table", "age", "policies", "position", "rows", "bytes"), empty="no old tables are kept")


def _drop_old(asked: Asked, runtime: "Runtime", name: str | None) -> None:
    from trackledger.adapters.storage.builds import drop_old

    _tell_dropped(asked, drop_old(runtime.database, name))


def _drop_new(asked: Asked, runtime: "Runtime") -> None:
    from datetime import UTC, datetime

    from trackledger.adapters.storage.builds import drop_new

    _tell_dropped(asked, drop_new(runtime.database, datetime.now(UTC)))


def _tell_dropped(asked: Asked, names: list[str]) -> None:
    if asked.as_json:
        answers.as_json({"dropped": names})
    else:
        click.echo(f"dropped: {', '.join(names)}")
