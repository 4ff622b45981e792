"""Which commands seal the ledger, find what was changed since, and prove to others what it holds?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import Asked, shared
from trackledger.adapters.commands.reading import account_option, id_of, require_ref
from trackledger.domain.errors import UsageError

if TYPE_CHECKING:
    from trackledger.adapters.proof.heads import Head
    from trackledger.adapters.proof.notes import VerifierKey
    from trackledger.adapters.proof.verifier import Verified
    from trackledger.adapters.runtime import Runtime
    from trackledger.adapters.table_check import TableCheck

FEW = 20_000

_key_option = click.option(
    "--key", "keys", multiple=True, metavar="KEY", help="A verifier key to believe, besides the configured ones."
)


@click.command()
@click.option("--new-key", metavar="NAME", help="Print a new key for the ledger of this name, and nothing else.")
@click.option("--out", metavar="FILE", help="Also write the signed head there, to be kept outside.")
@click.option("--rehash", is_flag=True, help="First make the stored hashes anew, where verify found them alone wrong.")
@click.option(
    "--drop-head",
    "dropped",
    type=click.IntRange(-(2**62), 2**63 - 1),
    metavar="SIZE",
    help="First take out the stored head over so many events, where verify found it damaged.",
)
@shared
def seal(asked: Asked, new_key: str | None, out: str | None, rehash: bool, dropped: int | None) -> None:
    """Sign what the ledger holds, so that no later change of it goes unnoticed, and print the signed head.

    Keep heads where those who can write to the database cannot: `verify --head FILE` finds any change of what they
    cover. Nothing is signed anew where no event is new.
    """
    if new_key is not None:
        if out is not None or rehash or dropped is not None:
            raise UsageError("--new-key prints a key and seals nothing; leave the rest out")
        _new_key(asked, new_key)
        return
    with asked.open(sealing=True) as runtime, answers.progress("seal") as show:
        if dropped is not None:
            runtime.sealer.drop_head(dropped)
        if rehash:
            runtime.sealer.rehash(show)
        head = runtime.sealer.seal(show)
    if out is not None:
        Path(out).write_text(head.note, "utf-8")
    if asked.as_json:
        answers.as_json(_head_as_json(head))
    else:
        click.echo(head.note, nl=False)


def _new_key(asked: Asked, name: str) -> None:
    from trackledger.adapters.proof.notes import new_key

    key = new_key(name)
    if asked.as_json:
        answers.as_json({"key": key.line(), "verifier_key": str(key.verifier)})
        return
    click.echo("# The key. Keep it secret and out of the database: put it into the environment of those who seal,")
    click.echo(f"TRACKLEDGER_SEALING_KEY='{key.line()}'")
    click.echo('# and into the configuration: [proof], key_env = "TRACKLEDGER_SEALING_KEY"')
    click.echo("# The verifier key. Give it to those who verify:")
    click.echo(str(key.verifier))


def _head_as_json(head: "Head") -> dict[str, Any]:
    shown = {"origin": head.origin, "size": head.size, "root": head.root.hex(), "sealed_at": head.sealed_at}
    return {**shown, "note": head.note}


@click.command()
@click.option("--head", "files", multiple=True, metavar="FILE", help="A sealed head that was kept outside.")
@_key_option
@click.option("--no-tables", is_flag=True, help="Leave out tables and tracker links.")
@click.option("--workers", type=click.IntRange(1, 256), metavar="N", help="Processes.  [default: one for each CPU]")
@shared
def verify(asked: Asked, files: tuple[str, ...], keys: tuple[str, ...], no_tables: bool, workers: int | None) -> None:
    """Find every event that was changed, removed, moved or put in since it was sealed, and rows that do not follow.

    Hashes all events anew and compares them with the stored tree, every head in the ledger and those kept outside, and
    all rows with a fresh fold. Exit code 1 when something is not as it should be.
    """
    from eventsourcing.persistence import PersistenceError
    from msgspec.structs import replace

    from trackledger.adapters.proof.findings import Finding
    from trackledger.adapters.proof.heads import read_file, trust
    from trackledger.adapters.proof.judged import Kept
    from trackledger.adapters.proof.verifier import verify as run

    outside = [Kept(read_file(file), file) for file in files]
    more = _verifier_keys(keys)
    with asked.open() as runtime:
        trusted = trust(runtime.settings.proof, more)
        with answers.progress("events") as show:
            found = run(runtime, trusted, outside, processes=workers, progress=show)
        # To start processes takes longer than a few events do.
        few = 1 if found.events <= FEW else None
        try:
            tables = None if no_tables else _check_tables(runtime, workers or few)
        except Exception as error:
            # Damaged events can keep the database from answering at all; what was found of them counts the more.
            if not found.count and not isinstance(error, PersistenceError):
                raise
            tables, finding = None, Finding("tables", f"the tables cannot be compared: {error}")
            found = replace(found, findings=[*found.findings, finding], count=found.count + 1)
    holds = not found.count and (tables is None or tables.holds)
    if asked.as_json:
        from msgspec import to_builtins

        answers.as_json({"holds": holds, **to_builtins(found), "tables": tables and to_builtins(tables)})
    else:
        _tell(found, tables)
    if not holds:
        click.get_current_context().exit(1)


def _check_tables(runtime: "Runtime", workers: int | None) -> "TableCheck":
    from trackledger.adapters.table_check import check_tables

    with answers.progress("tables") as show:
        return check_tables(runtime, processes=workers, progress=show)


def _verifier_keys(lines: tuple[str, ...]) -> "list[VerifierKey]":
    from trackledger.adapters.proof.notes import verifier_key

    return [verifier_key(line, "--key") for line in lines]


def _tell(found: "Verified", tables: "TableCheck | None") -> None:
    from trackledger.adapters.checks import several

    for finding in found.findings:
        click.echo(answers.text(str(finding)))
    if found.count > len(found.findings):
        click.echo(f"and {found.count - len(found.findings):,} more")
    if tables is not None:
        for line in (*tables.differences, *(f"{one.shipment_id}: {one.reason}" for one in tables.unfoldable)):
            click.echo(answers.text(str(line)))
        if tables.differing > len(tables.differences):
            click.echo(f"and {tables.differing - len(tables.differences):,} more rows")
    heads = found.heads + found.outside_heads
    if found.sealed_at is None:
        sealed = "no head agrees with them" if heads else "nothing is sealed yet"
    else:
        left = found.events - found.sealed
        rest = f"{left:,} not yet sealed" if left > 0 else "all of them sealed"
        sealed = f"sealed up to position {found.sealed:,} at {answers.text(found.sealed_at)}, {rest}"
    wrong = f"{found.count:,} wrong" if found.count else "nothing wrong"
    told_by = f"{several(heads, 'head')}, {found.outside_heads:,} of them from outside"
    click.echo(f"{several(found.events, 'event')}, {sealed}; {told_by}: {wrong}")
    if tables is not None:
        differ = f"{tables.differing:,} differ" if tables.differing else "as a fresh fold makes them"
        click.echo(f"{several(tables.rows, 'row')} of {several(tables.shipments, 'shipment')}: {differ}")


@click.command()
@click.argument("ref", required=False, default="")
@click.option("--out", metavar="FILE", help="Where to write it.  [default: standard output]")
@click.option("--head", "kept", metavar="FILE", help="Also prove that nothing up to this kept head was changed.")
@click.option("--script", is_flag=True, help="Write the program that checks such a file, and nothing else.")
@account_option
@shared
def evidence(asked: Asked, ref: str, out: str | None, kept: str | None, script: bool, account: str | None) -> None:
    """Write one file by which an outsider can check, with nothing but Python, what was recorded of a shipment and when.

    It holds the events of REF as they are stored, the proofs that they are in the ledger, and the newest signed head.
    It is checked by the program that --script writes, and the verifier key, which you hand over some other way.
    """
    from trackledger.adapters.proof import evidence as proofs
    from trackledger.adapters.proof.heads import read_file, trust

    if script:
        if ref or kept is not None or asked.as_json:
            raise UsageError("--script writes the program alone; leave the rest out")
        _write(proofs.script(), out)
        return
    require_ref(ref)
    earlier = None if kept is None else read_file(kept)
    with asked.open() as runtime:
        found = proofs.evidence(runtime.database, id_of(runtime, ref, account), trust(runtime.settings.proof), earlier)
    from msgspec import json

    _write(json.format(json.encode(found), indent=2).decode() + "\n", out)
    if found.not_sealed:
        click.echo(
            f"trackledger: events of {found.shipment_id} that are not yet sealed and not in it: {found.not_sealed:,}; "
            "run `trackledger seal` first to have them in it",
            err=True,
        )


def _write(text: str, out: str | None) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        Path(out).write_text(text, "utf-8")
