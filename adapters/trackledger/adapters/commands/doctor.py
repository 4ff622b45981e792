"""Which command tells what does not work, and what to do about it?"""

from datetime import datetime

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import INSTANT, Asked, shared

COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command()
@click.option("--example", is_flag=True, help="Print a commented configuration file to begin with, and nothing else.")
@click.option("--now", type=INSTANT, metavar="ISO", help="Look as of this time.  [default: the configured clock's]")
@shared
def doctor(asked: Asked, example: bool, now: datetime | None) -> None:
    """Look at configuration, secrets, database, clocks, pumps and providers, and say what to do.

    Asks nobody outside and changes nothing. Exit code 1 when something failed; warnings do not count.
    """
    from trackledger.adapters.checks.everything import examine
    from trackledger.adapters.example import example as text

    if example:
        click.echo(text(), nl=False)
        return
    checks = list(examine(asked.settings, asked.config, now))
    if asked.as_json:
        answers.as_json(checks)
    else:
        for check in checks:
            state = click.style(f"{check.state:<7}", fg=COLOURS[check.state])
            says = answers.text("; ".join(filter(None, (check.says, check.remedy))))
            click.echo(f"{state}  {check.check}: {says}")
    if any(check.state == "failed" for check in checks):
        click.get_current_context().exit(1)
