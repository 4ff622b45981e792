"""Which commands receive webhooks, alone or with all the rest?"""

import logging
from typing import TYPE_CHECKING

import click

from trackledger.adapters.commands.options import Asked, shared

if TYPE_CHECKING:
    from socket import socket

    from trackledger.adapters.metrics import Metrics
    from trackledger.adapters.runtime import Runtime

log = logging.getLogger("trackledger.serving")

_host = click.option("--host", help="The address to listen on.  [default: from the configuration, else 127.0.0.1]")
_port = click.option(
    "--port", type=click.IntRange(0, 65535), help="The port; 0 takes any.  [default: from there, else 8787]"
)


@click.command()
@_host
@_port
@shared
def serve(asked: Asked, host: str | None, port: int | None) -> None:
    """Receive the webhooks of the configured endpoints, answer the query API and show the console, until told to stop.

    It keeps messages and answers; `project`, or `run`, takes them in.
    """
    from trackledger.adapters.metrics import Metrics

    with asked.open(create=True, outside=True) as runtime, _listening(runtime, host, port) as listening:
        _serve(runtime, Metrics(), listening)


@click.command()
@_host
@_port
@shared
def run(asked: Asked, host: str | None, port: int | None) -> None:
    """Do everything in one process: serve as `serve` does, ask providers, take in messages, keep the tables, seal.

    It ends on SIGINT or SIGTERM, having answered what it accepted. Any number of these may run on one ledger.
    """
    from trackledger.adapters.metrics import Metrics
    from trackledger.adapters.pumps import pumping

    metrics = Metrics()
    # Nobody is asked before it is sure that webhooks can be received.
    with (
        asked.open(create=True, outside=True, sealing=True) as runtime,
        _listening(runtime, host, port) as listening,
        pumping(runtime, metrics),
    ):
        _serve(runtime, metrics, listening)


def _listening(runtime: "Runtime", host: str | None, port: int | None) -> "socket":
    """The socket that was asked for; from now on the log is JSON."""
    from trackledger.adapters import logs
    from trackledger.adapters.http.serving import listen

    wanted = runtime.settings.server
    listening = listen(wanted.host if host is None else host, wanted.port if port is None else port)
    logs.configure()
    return listening


def _serve(runtime: "Runtime", metrics: "Metrics", listening: "socket") -> None:
    from trackledger.adapters.http import create_app
    from trackledger.adapters.http.serving import address
    from trackledger.adapters.http.serving import serve as until_told

    if not runtime.settings.accounts:
        log.warning(
            "no account is configured, so that no webhook is accepted and nobody is asked; see doctor --example"
        )
    if not runtime.settings.tokens:
        log.warning(
            "no token is configured, so that nobody may use the query API and the console; admit somebody with a table "
            "[[tokens]], see doctor --example"
        )

    def tell() -> None:
        click.echo(f"listening on {address(listening)}")
        if runtime.settings.tokens:
            click.echo(f"console at {address(listening)}/console")

    until_told(create_app(runtime, metrics), listening, tell)
