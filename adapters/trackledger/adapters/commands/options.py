"""Which options do the commands share, and how are failures told?"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

import click
from msgspec import Struct

from trackledger.adapters.commands import answers
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings, from_environment
from trackledger.domain.errors import InvalidStatement, TrackledgerError, UsageError

F = TypeVar("F", bound=Callable[..., Any])


class Instant(click.ParamType[datetime]):
    """An ISO 8601 time that says its zone."""

    name = "iso-time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Raises a usage error for a time that cannot be read or has no zone."""
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not an ISO 8601 time such as 2026-11-21T09:30:00Z", param, ctx)
        if instant.tzinfo is None:
            self.fail(f"{value!r} has no zone; add one, such as Z or +05:30", param, ctx)
        try:
            return instant.astimezone(UTC)
        except OverflowError:
            self.fail(f"{value!r} is not between the years 1 and 9999 in UTC", param, ctx)


INSTANT = Instant()


class Asked(Struct):
    """What the shared options say."""

    db: str | None = None
    as_json: bool = False
    allow_volatile: bool = False
    config: str | None = None

    def settings(self, *, outside: bool = False, sealing: bool = False) -> Settings:
        """How this process is configured; with accounts and their secrets for those who go `outside`, and not without
        the configured key for those who are `sealing`."""
        return from_environment(self.db, self.allow_volatile, self.config, outside=outside, sealing=sealing)

    def who(self, actor: str | None) -> str:
        """Who acts: the one named, else `TRACKLEDGER_ACTOR`. Raises `UsageError` for nobody and for no name."""
        from trackledger.domain.corrections import require_actor

        name = self.settings().actor if actor is None else actor
        if not name:
            raise UsageError("nobody is named who does this; give --actor, or set TRACKLEDGER_ACTOR")
        try:
            return require_actor(name)
        except InvalidStatement as error:
            raise UsageError(str(error)) from None

    def open(self, *, create: bool = False, outside: bool = False, sealing: bool = False) -> Runtime:
        """The ledger that was asked for. Only writing commands make a missing one."""
        return open_runtime(self.settings(outside=outside, sealing=sealing), create=create)


def shared(command: F) -> F:
    """Add the shared options to a command, which receives them as `asked`, and tell its failures as one sentence.

    They may stand before the command's name as well as after it. Exit codes: 1 when the asked-for thing is not so or
    the database fails, 2 when the request makes no sense.
    """

    @click.option("--db", metavar="URL", help="sqlite:///FILE or postgresql://…  [default: $TRACKLEDGER_DB]")
    @click.option("--config", metavar="FILE", help="Configuration.  [default: $TRACKLEDGER_CONFIG, trackledger.toml]")
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
    @click.option("--allow-volatile", is_flag=True, help="Accept a PostgreSQL that can lose acknowledged events.")
    @click.pass_context
    @wraps(command)
    def wrapped(
        ctx: click.Context,
        /,
        db: str | None,
        config: str | None,
        as_json: bool,
        allow_volatile: bool,
        **kwargs: Any,
    ) -> None:
        before = ctx.find_object(Asked) or Asked()
        asked = Asked(
            before.db if db is None else db,
            as_json or before.as_json,
            allow_volatile or before.allow_volatile,
            before.config if config is None else config,
        )
        try:
            command(asked=asked, **kwargs)
        except TrackledgerError as error:
            _tell(str(error))
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise  # the reader has seen enough; click ends quietly
            _tell(f"the answer cannot be written: {error.strerror}; see where it goes")
            ctx.exit(1)
        except UnicodeEncodeError as error:
            _tell(f"{error.object!r} is not text in UTF-8; correct it")
            ctx.exit(2)
        except Exception as error:
            from eventsourcing.persistence import PersistenceError

            if not isinstance(error, PersistenceError):
                raise
            _tell(f"the database failed ({error}); see that it works and try again")
            ctx.exit(1)

    return wrapped  # type: ignore[return-value]


def _tell(failure: str) -> None:
    sentence = answers.text(" ".join(failure.split()))
    click.echo(f"trackledger: {sentence}", err=True)


def now_option(command: F) -> F:
    """Add `--now`, by default the clock."""
    return click.option(
        "--now", type=INSTANT, default=lambda: datetime.now(UTC), metavar="ISO", help="Answer as of this time."
    )(command)


def actor_option(command: F) -> F:
    """Add `--actor`; see `Asked.who`."""
    return click.option("--actor", help="Who you are; it is recorded.  [default: $TRACKLEDGER_ACTOR]")(command)
