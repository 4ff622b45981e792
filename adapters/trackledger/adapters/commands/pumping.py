"""Which commands bring the tables up to the ledger?"""

from typing import Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import Asked, shared
from trackledger.projections.tables import POSITION, lag


@click.command()
@click.option("--follow", is_flag=True, help="Go on for ever, waking on every commit; end with Ctrl-C.")
@shared
def project(asked: Asked, follow: bool) -> None:
    """Take in the messages that wait and bring the tables up to the ledger, once or for ever."""
    with asked.open() as runtime:
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

    def take_in() -> None:
        try:
            runtime.intake.run(stop)
        except BaseException as error:
            failed.append(error)
            stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    intake = Thread(target=take_in)
    intake.start()
    try:
        runtime.projector.run(stop)
    finally:
        # It ends with the batch under way, which would otherwise have to wait until its claim has run out.
        stop.set()
        intake.join()
    raise failed[0]


@click.command()
@click.argument("name", required=False)
@shared
def rebuild(asked: Asked, name: str | None) -> None:
    """Make the tables (or the one called NAME) anew from the first event on, beside the old ones, and switch."""
    from msgspec import to_builtins

    from trackledger.projections.rebuild import rebuild as run

    with asked.open() as runtime, answers.progress("rebuild") as show:
        report = run(runtime.store, name, runtime.settings.policies, show)
    if asked.as_json:
        answers.as_json([to_builtins(parity) for parity in report])
        return
    for parity in report:
        differ = f"{parity.only_new} new or changed, {parity.only_old} gone or changed"
        same = "equal to the old" if not parity.only_new and not parity.only_old else differ
        examples = f", e.g. {', '.join(parity.examples)}" if parity.examples else ""
        click.echo(f"{parity.table}: {parity.rows} rows, {same}{examples}")
