"""Which command brings the tables up to the ledger?"""

from collections.abc import Callable
from typing import Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import Asked, shared
from trackledger.projections.tables import POSITION, lag


@click.command()
@click.option("--follow", is_flag=True, help="Go on for ever, waking on every commit; end with Ctrl-C.")
@shared
def project(asked: Asked, follow: bool) -> None:
    """Take in the messages that wait and bring the tables up to the ledger, once or for ever.

    With --follow the ledger is sealed as often as is configured, where there is a key for it.
    """
    with asked.open(sealing=follow) as runtime:
        runtime.intake.catch_up()
        if left := runtime.inbox.waiting():
            click.echo(
                f"trackledger: messages that wait because another process is at work on them: {left:,}", err=True
            )
        behind = lag(runtime.store)
        done = 0
        with answers.progress("project") as show:

            def taken(events: int) -> None:
                nonlocal done
                done += events
                show(done, behind)

            events = runtime.projector.catch_up(taken)
        position = runtime.store.position(POSITION)
        if asked.as_json:
            answers.as_json({"events": events, "position": position})
        else:
            click.echo(f"{events} events taken in, tables at position {position}")
        if follow:
            _follow(runtime)


def _follow(runtime: Any) -> None:
    import signal
    from threading import Event, Thread

    stop, failed = Event(), list[BaseException]()

    def end(*_: object) -> None:
        # At once, also out of a long wait; a transaction under way rolls back and is done again by the next pump.
        raise SystemExit(0)

    def until_told(pump: Callable[[], None]) -> None:
        try:
            pump()
        except BaseException as error:
            failed.append(error)
            stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    pumps = [lambda: runtime.intake.run(stop)]
    if runtime.settings.proof.key:
        sealer = runtime.sealer
        pumps.append(lambda: sealer.run(stop, runtime.settings.proof.seal_every))
    threads = [Thread(target=until_told, args=(pump,)) for pump in pumps]
    for thread in threads:
        thread.start()
    try:
        runtime.projector.run(stop)
    finally:
        # It ends with the batch under way, which would otherwise have to wait until its claim has run out.
        stop.set()
        for thread in threads:
            thread.join()
    raise failed[0]
