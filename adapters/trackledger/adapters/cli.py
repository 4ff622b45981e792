"""The `trackledger` command."""

import click

from trackledger.adapters.commands import (
    acting,
    analysing,
    correcting,
    demo,
    doctor,
    explaining,
    forgetting,
    history,
    messages,
    moving,
    polling,
    proving,
    pumping,
    reading,
    rebuilding,
    renormalizing,
    replaying,
    serving,
    simulating,
    writing,
)
from trackledger.adapters.commands.options import Asked


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--db", metavar="URL", help="sqlite:///FILE or postgresql://…  [default: $TRACKLEDGER_DB]")
@click.option("--config", metavar="FILE", help="Configuration.  [default: $TRACKLEDGER_CONFIG, trackledger.toml]")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("--allow-volatile", is_flag=True, help="Accept a PostgreSQL that can lose acknowledged events.")
@click.version_option(package_name="trackledger", message="%(version)s")
@click.pass_context
def main(ctx: click.Context, db: str | None, config: str | None, as_json: bool, allow_volatile: bool) -> None:
    """An event-sourced ledger of shipment tracking: what every provider said, once, and what follows from it."""
    ctx.obj = Asked(db, as_json, allow_volatile, config)


for command in (
    writing.ingest,
    writing.register,
    reading.status,
    reading.shipments_,
    reading.timeline_,
    reading.ndr_,
    reading.stuck,
    reading.late,
    reading.edd,
    analysing.analytics,
    history.history_,
    explaining.explain_,
    reading.unmapped,
    reading.parked,
    messages.show,
    messages.retry,
    messages.discard,
    messages.purge,
    forgetting.forget,
    correcting.note,
    correcting.amend,
    correcting.withdraw,
    acting.act,
    acting.refresh,
    renormalizing.renormalize,
    pumping.project,
    rebuilding.rebuild,
    replaying.replay,
    proving.seal,
    proving.verify,
    proving.evidence,
    moving.export,
    moving.import_,
    doctor.doctor,
    serving.serve,
    serving.run,
    polling.poll,
    polling.polls,
    simulating.simulate,
    demo.demo,
):
    main.add_command(command)
main.add_command(writing.register, "track")
