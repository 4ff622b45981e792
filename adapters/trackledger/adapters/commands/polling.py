"""Which commands ask providers, and show when they are asked?"""

import signal
from threading import Event

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import Asked, shared
from trackledger.adapters.commands.reading import matching
from trackledger.domain.errors import UsageError


@click.command()
@click.option("--once", is_flag=True, help="Ask about everything that is due now, and end.")
@click.option("--provider", "only", default="", help="Ask this one only.")
@shared
def poll(asked: Asked, once: bool, only: str) -> None:
    """Ask the configured providers about the trackers that are due, for ever or once.

    The answers are kept in the inbox; `project`, or `run`, takes them in. Any number of processes may poll.
    """
    from trackledger.adapters import logs
    from trackledger.adapters.metrics import Metrics
    from trackledger.adapters.poller import Poller
    from trackledger.adapters.providers import provider

    if only:
        provider(only)
    stop = Event()
    settings = asked.settings(outside=True)
    if not [one for one in settings.accounts if one.access is not None and only in ("", one.provider)]:
        what = f"no account asks {only}" if only else "no account asks a provider"
        raise UsageError(f"{what}; configure one as [accounts.NAME.{only or 'PROVIDER'}] with a key_env")
    with asked.open(create=True, outside=True) as runtime:
        poller = Poller(runtime, Metrics(), stop, only)
        try:
            if once:
                done = poller.once()
                if asked.as_json:
                    answers.as_json(done)
                else:
                    told = ", ".join(f"{name} {count}" for name, count in done.items())
                    click.echo(f"asked: {told}" if told else "nothing is due")
                return
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            logs.configure()
            poller.run()
        finally:
            poller.close()


@click.command()
@click.argument("ref", required=False)
@click.option("--account", default="")
@click.option("--provider", "name", default="")
@click.option("--stopped", is_flag=True, help="Only those that are not asked about any more.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@shared
def polls(asked: Asked, ref: str | None, account: str, name: str, stopped: bool, limit: int) -> None:
    """When each tracker (of the shipment REF) is asked about next, and why then."""
    from trackledger.adapters.providers import provider
    from trackledger.adapters.schedule import Schedule

    if name:
        provider(name)
    with asked.open() as runtime:
        ids = [] if ref is None else [row["shipment_id"] for row in matching(runtime, ref, account or None)]
        rows = Schedule(runtime.database).listed(
            account=account, name=name, stopped=stopped, shipments=ids, limit=limit
        )
    if asked.as_json:
        answers.as_json(rows)
        return
    for row in rows:
        if row["account_stopped"]:
            row["reason"] = f"its account is not asked any more: {row['account_stopped']}"
    columns = ("tracker", "state", "due_at", "reason", "outcome", "asked_at")
    answers.table(rows, columns, empty="nothing is scheduled")
