"""Which commands take what a ledger holds out of it, and make a ledger of it again?"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.as_of import Moments, as_of_options, warn_if_behind
from trackledger.adapters.commands.ending import ends_as_by_ctrl_c
from trackledger.adapters.commands.options import Asked, now_option, shared
from trackledger.adapters.commands.reading import account_option
from trackledger.adapters.commands.replaying import tell
from trackledger.domain.errors import Refused, UsageError

if TYPE_CHECKING:
    from trackledger.adapters.exporting.wanted import Exported


@click.command()
@click.argument("what")
@click.option("--format", "said", type=click.Choice(["ndjson", "csv", "parquet"]), help="[default: by the ending]")
@click.option("--out", default="-", metavar="FILE", help="Where to; for all a new folder.  [default: standard output]")
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--provider", help="Only what this provider told, of tables that say so.")
@click.option("--with-keys", is_flag=True, help="Add the keys to the text of private shipments; keep FILE secret.")
@account_option
@now_option
@as_of_options
@shared
def export(asked: Asked, what: str, said: Any, out: str, force: bool, moments: Moments, **options: Any) -> None:
    """Write WHAT as NDJSON, CSV or Parquet: events, the name of a table or view, or all of it into a folder.

    It is all of one moment, however much is written meanwhile. `import` makes a ledger of events as NDJSON. Raw
    messages are not exported. Without --known-at and --valid-at it is what is known now.
    """
    from trackledger.adapters.exporting.formats import format_of
    from trackledger.adapters.exporting.relations import ALL
    from trackledger.adapters.exporting.wanted import Wanted

    if what == ALL and out == "-":
        raise UsageError("all are several files; name a new folder for them with --out")
    format_ = said or "ndjson" if what == ALL else format_of(said, out)
    wanted = Wanted(what, format_, known_at=moments.known_at, valid_at=moments.valid_at, **options)
    wanted.check()
    if out == "-" and sys.stdout.isatty():
        raise UsageError(f"{what} as {format_} is not for a terminal; name a file with --out, or send it on by a pipe")
    with asked.open() as runtime:
        moments.require(runtime)
        if moments.judged_at is None:
            warn_if_behind(runtime)
        done = _exported(runtime, wanted, out, force)
    _tell(asked, done, out)


def _exported(runtime: Any, wanted: Any, out: str, force: bool) -> "list[Exported]":
    from trackledger.adapters.exporting.exporter import export, export_all
    from trackledger.adapters.exporting.outfile import COMMON, PRIVATE, whole_file, whole_folder
    from trackledger.adapters.exporting.relations import ALL

    with ends_as_by_ctrl_c(), answers.progress("export") as show:
        if out == "-":
            file = sys.stdout.buffer
            done = export(runtime, wanted, file, show)
            file.flush()
            return [done]
        mode = PRIVATE if wanted.with_keys else COMMON
        if wanted.what == ALL:
            with whole_folder(Path(out), mode=mode) as new_file:
                return export_all(runtime, wanted, new_file, show)
        with whole_file(Path(out), force=force, mode=mode) as file:
            return [export(runtime, wanted, file, show)]


def _tell(asked: Asked, done: "list[Exported]", out: str) -> None:
    """On standard error where the export itself is on standard output."""
    from msgspec import to_builtins

    to_stderr = out == "-"
    if asked.as_json:
        answers.as_json([to_builtins(one) for one in done], err=to_stderr)
    else:
        for one in done:
            rows = "events" if one.sha256 else "rows"
            click.echo(f"{one.what}: {one.rows:,} {rows}, as of position {one.position}", err=to_stderr)
    for one in done:
        if one.sealed:
            click.echo(
                f"trackledger: {one.sealed:,} shipments are private, and their text cannot be read without their keys, "
                f"which are not in the file; see --with-keys",
                err=True,
            )


@click.command(name="import")
@click.argument("file", metavar="FILE")
@shared
def import_(asked: Asked, file: str) -> None:
    """Make a ledger of FILE (`-` for standard input), as `export events` has written it, where there is none or none
    that holds anything: the same events in the same places, and the tables that follow from them."""
    from trackledger.adapters.importing import import_ledger

    settings = asked.settings()
    with ends_as_by_ctrl_c(), answers.progress("import") as show:
        if file == "-":
            done = import_ledger(settings, sys.stdin.buffer, show)
        else:
            with _opened(file) as source:
                done = import_ledger(settings, source, show)
    tell(asked, done)


def _opened(file: str) -> Any:
    try:
        return Path(file).open("rb")
    except OSError as error:
        hint = "; name the file of events in it" if Path(file).is_dir() else ""
        raise Refused(f"{file} cannot be read: {error.strerror}{hint or '; name another file'}") from None
