"""Which tables does a command answer from: those of now, or as they were at a moment?"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from msgspec import Struct

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import INSTANT
from trackledger.adapters.runtime import Runtime
from trackledger.projections.table import Reader
from trackledger.projections.tables import lag

F = TypeVar("F", bound=Callable[..., Any])


class Moments(Struct, frozen=True):
    """What was known by `known_at` of what had happened by `valid_at`; None stands for now and for all that is said."""

    known_at: datetime | None = None
    valid_at: datetime | None = None

    @property
    def judged_at(self) -> datetime | None:
        """The time by which lateness and silence are judged unless another is asked for; None: by the clock."""
        return min((at for at in (self.known_at, self.valid_at) if at is not None), default=None)

    def __str__(self) -> str:
        known = f"known at {_shown(self.known_at)}" if self.known_at else ""
        valid = f"valid at {_shown(self.valid_at)}" if self.valid_at else ""
        return " and ".join(one for one in (known, valid) if one)

    @contextmanager
    def tables(self, runtime: Runtime, shipment_ids: Sequence[str] | None = None) -> Generator[Reader]:
        """The tables, of these shipments or of all. Raises `UsageError` for a moment that cannot be asked about."""
        if self.judged_at is None:
            warn_if_behind(runtime)
            yield runtime.database
            return
        from trackledger.adapters.past import past

        self.require(runtime)
        with (
            answers.progress("fold") as show,
            past(
                runtime,
                known_at=self.known_at,
                valid_at=self.valid_at,
                shipment_ids=shipment_ids,
                progress=show,
            ) as reader,
        ):
            yield reader

    def require(self, runtime: Runtime) -> None:
        """Raises `UsageError` for a moment that has not come, and for one at which nothing was known yet."""
        if self.judged_at is not None:
            from trackledger.adapters.past import require_moments

            require_moments(runtime.database, datetime.now(UTC), known_at=self.known_at, valid_at=self.valid_at)


NOW = Moments()


def as_of_options(command: F) -> F:
    """Add `--known-at` and `--valid-at`, which a command receives as `moments`; they are the default of its `--now`."""

    @click.option("--known-at", type=INSTANT, metavar="ISO", help="As it was known to the ledger at this time.")
    @click.option("--valid-at", type=INSTANT, metavar="ISO", help="By what had happened until this time.")
    @wraps(command)
    def wrapped(known_at: datetime | None, valid_at: datetime | None, **kwargs: Any) -> None:
        moments = Moments(known_at, valid_at)
        source = click.get_current_context().get_parameter_source("now")
        if moments.judged_at is not None and source is ParameterSource.DEFAULT:
            kwargs["now"] = moments.judged_at
        command(moments=moments, **kwargs)

    return wrapped  # type: ignore[return-value]


def warn_if_behind(runtime: Runtime) -> None:
    """Say on stderr when the tables do not reflect every event yet."""
    behind = lag(runtime.database)
    if behind > 0:
        click.echo(
            f"trackledger: the tables are {behind:,} events behind the ledger; run `trackledger project`", err=True
        )


def _shown(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
