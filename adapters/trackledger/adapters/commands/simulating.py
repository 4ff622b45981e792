"""Which command plays the providers?"""

import signal
import socket
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import INSTANT, Asked, shared
from trackledger.domain.errors import UsageError

if TYPE_CHECKING:
    from trackledger.adapters.simulator.push import Pushing
    from trackledger.adapters.simulator.simulation import Running
    from trackledger.adapters.simulator.truth import Truth

LOOKS_AGAIN = 0.1


@click.command()
@click.option("--seed", type=int, default=1, show_default=True, help="Which world; the same for the same number.")
@click.option("--parcels", type=click.IntRange(1, 100_000), default=100, show_default=True)
@click.option("--start", type=INSTANT, metavar="ISO", help="When the world begins.  [default: 2026-03-02T00:00:00Z]")
@click.option("--speed", type=click.FloatRange(0.1, 1_000_000), default=3600, show_default=True, help="Of its clock.")
@click.option("--port", type=click.IntRange(0, 65535), default=8788, show_default=True, help="0 takes any.")
@click.option("--provider", "providers", multiple=True, help="Only this one; may be repeated.")
@click.option("--channels", type=click.Choice(["both", "webhook", "poll"]), default="both", show_default=True)
@click.option("--faults", multiple=True, metavar="NAME[=SHARE]", help="What goes wrong, or all; may be repeated.")
@click.option("--push-to", "server", default="http://127.0.0.1:8787", show_default=True, help="Where webhooks go.")
@click.option("--account", default="default", show_default=True, help="Whose parcels they are.")
@click.option("--write-config", "configured", metavar="FILE", help="Write a configuration for serve, poll and run.")
@click.option("--write-parcels", "listed", metavar="FILE", help="Write the parcels for register --file.")
@click.option("--exit", "ends", is_flag=True, help="End once everything was told.")
@shared
def simulate(
    asked: Asked,
    seed: int,
    parcels: int,
    start: datetime | None,
    speed: float,
    port: int,
    providers: tuple[str, ...],
    channels: str,
    faults: tuple[str, ...],
    server: str,
    account: str,
    configured: str | None,
    listed: str | None,
    ends: bool,
) -> None:
    """Play the six providers on loopback, and send their webhooks, until told to stop.

    The parcels of a seed live through the same days in every run. When the last story was told, what is true of them
    all is shown, to compare with the answers of the other commands.
    """
    from trackledger.adapters.providers import PROVIDERS
    from trackledger.adapters.simulator import handed_over
    from trackledger.adapters.simulator.faults import named
    from trackledger.adapters.simulator.simulation import BOTH, Simulation
    from trackledger.adapters.simulator.world import START

    host, listens = _address(server)
    simulation = Simulation(
        seed,
        parcels,
        speed=speed,
        faults=named(faults),
        channels=frozenset(one for one in BOTH if channels in ("both", one)),
        account=account,
        providers=providers or PROVIDERS,
        start=start or START,
    )
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with simulation.serve(port) as running:
        if configured:
            database = asked.settings().database
            Path(configured).write_text(handed_over.configuration(running, database, host, listens), "utf-8")
        if listed:
            Path(listed).write_text("".join(f"{line}\n" for line in handed_over.parcels(running)), "utf-8")
        click.echo(f"simulating at {running.url} until {answers.text(running.until)} of its time", err=True)
        for name, value in handed_over.environment(running).items():
            click.echo(f"export {name}={value}", err=True)
        pushing = None
        while not stop.is_set() and not (running.clock.has_ended and (pushing is None or pushing.wait(0))):
            # A provider would not wait, but nobody gives it an address before it is listened at.
            if pushing is None and channels != "poll" and _is_listened_at(host, listens):
                pushing = running.push_to(server)
            stop.wait(LOOKS_AGAIN)
        _tell(running.truth(min(running.until, running.clock.now())), pushing, running, as_json=asked.as_json)
        if not ends:
            stop.wait()


def _address(server: str) -> tuple[str, int]:
    try:
        parts = urlsplit(server)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        host, port = "", 0
    if parts.scheme != "http" or host not in ("127.0.0.1", "localhost", "::1"):
        raise UsageError(f"webhooks cannot be sent to {server!r}; give an address like http://127.0.0.1:8787")
    return host, port


def _is_listened_at(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


def _tell(truth: "Truth", pushing: "Pushing | None", running: "Running", *, as_json: bool) -> None:
    told = {
        "at": truth.at,
        "parcels": len(truth.rows),
        "milestones": truth.milestones,
        "failed_deliveries": truth.failed_deliveries,
        "late": truth.late,
        "asked": dict(running.asked),
        "webhooks": dict(pushing.counts) if pushing else {},
    }
    if as_json:
        answers.as_json(told)
        return
    click.echo(f"at {answers.text(truth.at)} of {len(truth.rows)} parcels:")
    answers.table(
        [{"milestone": name, "parcels": count} for name, count in truth.milestones.items()],
        ("milestone", "parcels"),
        empty="none",
    )
    click.echo(f"{truth.failed_deliveries} failed deliveries are not closed, {truth.late} parcels are late")
