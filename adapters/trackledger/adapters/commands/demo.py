"""Which command shows the whole thing, without any credentials?"""

import signal
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import Asked, shared

if TYPE_CHECKING:
    from trackledger.adapters.simulator.comparison import Difference
    from trackledger.adapters.simulator.rehearsal import Counts, Rehearsal
    from trackledger.adapters.simulator.truth import Key, Truth

LOOK_EVERY = 0.25
TELL_EVERY = 5.0
"""Seconds between two lines where there is no terminal to show a moving table."""

SHOWN = 20
"""Differences that are shown one by one."""


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Which world; the same for the same number.")
@click.option("--parcels", type=click.IntRange(1, 10_000), default=300, show_default=True)
@click.option("--seconds", type=click.FloatRange(1, 3600), default=20.0, show_default=True, help="For the whole world.")
@click.option("--faults", multiple=True, metavar="NAME[=SHARE]", help="What goes wrong, or all; may be repeated.")
@click.option("--exit", "ends", is_flag=True, help="End with code 0 if the ledger and the truth agree, else with 1.")
@shared
def demo(asked: Asked, seed: int, parcels: int, seconds: float, faults: tuple[str, ...], ends: bool) -> None:
    """Follow a few weeks of simulated parcels of all six providers, in a ledger of their own, within a minute.

    Providers answer over HTTP and send webhooks, all on this machine. At the end the tables are compared with what the
    simulator knows to be true. Without --exit it goes on serving until Ctrl-C, so that you can look around: the console
    is there from the beginning, with a token that is made for it.
    """
    from trackledger.adapters.simulator.comparison import differences
    from trackledger.adapters.simulator.faults import named
    from trackledger.adapters.simulator.rehearsal import rehearsal
    from trackledger.adapters.simulator.simulation import Simulation

    plan = Simulation(seed, parcels, faults=named(faults))
    speed = (plan.until - plan.start).total_seconds() / seconds
    simulation = Simulation(seed, parcels, faults=named(faults), speed=speed)
    database = asked.db or f"sqlite:///{Path(mkdtemp(prefix='trackledger-demo-')) / 'ledger.db'}"
    with rehearsal(simulation, database) as going:
        if not ends:
            _admit(going)
        _watch(going, quietly=asked.as_json)
        going.settle()
        truth = going.running.truth(going.running.until)
        wrong = differences(going.runtime.store, truth)
        told = _told(going, truth, wrong, database)
        if asked.as_json:
            answers.as_json(told)
        else:
            _show(told, wrong)
        if not ends:
            told_to_end = Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: told_to_end.set())
            _admit(going)
            click.echo(f"still serving at {going.url}; end with Ctrl-C", err=True)
            told_to_end.wait()
            click.echo("", err=True)
    if wrong:
        sys.exit(1)


def _admit(going: "Rehearsal") -> None:
    """Say where the console is, and what opens it."""
    click.echo(f"log in at {going.url}/console with the token {going.running.token}", err=True)


def _watch(going: "Rehearsal", *, quietly: bool) -> None:
    """Show how far it has come until the world has ended."""
    if quietly or not sys.stderr.isatty():
        told_at = time.monotonic()
        while not going.has_ended:
            time.sleep(LOOK_EVERY)
            if not quietly and time.monotonic() - told_at >= TELL_EVERY:
                told_at = time.monotonic()
                click.echo(_line(going.counts()), err=True)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while not going.has_ended:
            live.update(_line(going.counts()), refresh=True)
            time.sleep(LOOK_EVERY)


def _line(counts: "Counts") -> str:
    return (
        f"{answers.text(counts.at)}  {counts.webhooks:,} webhooks taken, {counts.asked:,} calls made; "
        f"{counts.messages:,} messages ({counts.waiting:,} waiting, {counts.parked:,} parked); "
        f"{counts.events:,} events; {counts.shipments:,} shipments, {counts.checkpoints:,} checkpoints"
    )


def _told(going: "Rehearsal", truth: "Truth", wrong: "dict[Key, Difference]", database: str) -> dict[str, Any]:
    from trackledger.adapters.settings import without_password
    from trackledger.adapters.simulator.comparison import concluded
    from trackledger.adapters.simulator.truth import Truth
    from trackledger.projections import silence

    said = concluded(going.runtime.store, truth.at)
    ledger = Truth(truth.at, {key: row for key, row in said.items() if key in truth.rows})
    counts = going.counts()
    example = going.runtime.store.read("SELECT shipment_id FROM {s}ndr_cases ORDER BY shipment_id LIMIT 1")
    stuck = silence.page(going.runtime.store, silence.Sought(), truth.at, silence.BY_STUCK_AFTER, 1_000_000)
    return {
        "database": without_password(database),
        "now": truth.at,
        "trackers": len(truth.rows),
        "messages": counts.messages,
        "parked": counts.parked,
        "events": counts.events,
        "checkpoints": counts.checkpoints,
        "calls": counts.asked,
        "webhooks": counts.webhooks,
        "milestones": [
            {"milestone": name, "ledger": ledger.milestones.get(name, 0), "truth": truth.milestones.get(name, 0)}
            for name in sorted({*ledger.milestones, *truth.milestones})
        ],
        "failed_deliveries": {"ledger": ledger.failed_deliveries, "truth": truth.failed_deliveries},
        "late": {"ledger": ledger.late, "truth": truth.late},
        "stuck": len(stuck.rows),
        "differences": len(wrong),
        "example": example[0]["shipment_id"] if example else None,
    }


def _show(told: dict[str, Any], wrong: "dict[Key, Difference]") -> None:
    click.echo(
        f"{told['webhooks']:,} webhooks and the answers to {told['calls']:,} calls made {told['messages']:,} messages, "
        f"{told['events']:,} events and {told['checkpoints']:,} checkpoints of {told['trackers']:,} trackers"
    )
    if told["parked"]:
        click.echo(f"{told['parked']:,} messages are parked, as a fault had made them unreadable")
    answers.table(told["milestones"], ("milestone", "ledger", "truth"), empty="nothing was told")
    failed, late = told["failed_deliveries"], told["late"]
    click.echo(f"failed deliveries not closed: {failed['ledger']} in the ledger, {failed['truth']} in truth")
    click.echo(f"late: {late['ledger']} in the ledger, {late['truth']} in truth; stuck by our policy: {told['stuck']}")
    for (name, reference), (said, true) in list(wrong.items())[:SHOWN]:
        click.echo(f"{name} {reference}: the ledger says {said}, true is {true}", err=True)
    agree = "the ledger and the truth agree" if not wrong else f"they differ in {len(wrong)} trackers"
    click.echo(f"{agree}; the ledger is at {told['database']}")
    if told["example"]:
        now = told["now"].isoformat().replace("+00:00", "Z")
        click.echo(f"look further: trackledger --db {told['database']} status {told['example']} --now {now}")
        click.echo(
            f"              trackledger --db {told['database']} ndr --now {now}, or stuck, late, timeline, polls"
        )
