"""Which command folds the whole ledger into another database?"""

from typing import TYPE_CHECKING

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.as_of import Moments, as_of_options
from trackledger.adapters.commands.ending import ends_as_by_ctrl_c
from trackledger.adapters.commands.options import Asked, shared

if TYPE_CHECKING:
    from trackledger.adapters.storage.bulk import Filled


@click.command()
@click.option("--into", required=True, metavar="URL", help="sqlite:///FILE or postgresql://…, where nothing is yet.")
@click.option(
    "--workers", type=click.IntRange(1, 256), default=None, help="Processes that fold.  [default: one for each CPU]"
)
@as_of_options
@shared
def replay(asked: Asked, into: str, workers: int | None, moments: Moments) -> None:
    """Fold the ledger, as it was known or valid at a time, into a new ledger that every command and any SQL can ask."""
    from trackledger.adapters.replay import replay as run

    with asked.open() as runtime:
        moments.require(runtime)
        with ends_as_by_ctrl_c(), answers.progress("replay") as show:
            done = run(
                runtime,
                into,
                known_at=moments.known_at,
                valid_at=moments.valid_at,
                processes=workers,
                progress=show,
            )
    tell(asked, done)


def tell(asked: Asked, done: "Filled") -> None:
    """Answer with what a ledger that was written at once holds."""
    if asked.as_json:
        from msgspec import to_builtins

        answers.as_json(to_builtins(done))
        return
    click.echo(
        f"{done.events:,} events, {done.shipments:,} shipments, {done.checkpoints:,} checkpoints, "
        f"up to position {done.position}"
    )
    if done.poisoned:
        click.echo(f"{done.poisoned:,} shipments cannot be folded and have no rows; see `trackledger parked`")
    click.echo(f"digest of the tables {done.digest}")
