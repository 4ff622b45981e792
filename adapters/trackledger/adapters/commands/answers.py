"""How is an answer shown: as JSON for programs, as text for people?"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any
from unicodedata import category

import click
import msgspec

_STEERING = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""The second set of control characters and those that reverse the direction of the text around them."""


def as_json(answer: Any, *, err: bool = False) -> None:
    """One JSON document, on standard error if `err`. Instants are ISO 8601 in UTC with `Z`, days `YYYY-MM-DD`.

    Characters that steer a terminal are escaped, also those that JSON would allow as they are.
    """
    document = msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()
    click.echo(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", document), err=err)


def text(value: Any) -> str:
    """A value for a person; nothing is shown as a dash, and characters that steer a terminal are escaped."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    shown = str(value)
    return shown if shown.isprintable() else "".join(map(_printable, shown))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    if category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode()


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """Rows as an aligned table, or the sentence `empty`."""
    rows = list(rows)
    if not rows:
        click.echo(empty)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(text(row[column])) for column in columns))
    # Into a pipe or file every row is one line, however wide.
    Console(width=None if sys.stdout.isatty() else 100_000).print(grid)


@contextmanager
def progress(title: str) -> Iterator[Any]:
    """A progress bar on a terminal, nothing elsewhere; yields a function of (done, total)."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
