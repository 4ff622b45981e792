"""What is to be exported, and what was?"""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from trackledger.adapters.exporting.formats import Format, module
from trackledger.adapters.exporting.relations import ALL, EVENTS, relation
from trackledger.domain.errors import UsageError

Progress = Callable[[int, int | None], None]
"""Is told what was done, and how much there is in all if that is known."""


class Wanted(Struct, frozen=True):
    """What is to be exported, and as of when; see `past` for the moments. `now` is the time of views with a clock."""

    what: str
    format: Format
    now: datetime
    known_at: datetime | None = None
    valid_at: datetime | None = None
    account: str | None = None
    provider: str | None = None
    with_keys: bool = False

    def check(self) -> None:
        """Raises `UsageError` for what there is not, and for what makes no sense together."""
        module(self.format)
        if self.what not in (EVENTS, ALL):
            relation(self.what).query(self.now, self.account, self.provider)
        elif self.account is not None or self.provider is not None:
            raise UsageError(f"{self.what} is the ledger as a whole; --account and --provider are for tables")
        if self.what == EVENTS and self.valid_at is not None:
            raise UsageError("events are what was recorded, whatever it is about; --valid-at is for tables")
        if self.with_keys and self.what != ALL and (self.what, self.format) != (EVENTS, "ndjson"):
            raise UsageError("--with-keys is for events as NDJSON, of which a ledger can be made; leave it out")


class Exported(Struct, frozen=True):
    """So many rows or events were written. Tables reflect the events up to `position`, events are those up to it.

    Of a file of which a ledger can be made: the `sha256` in its last line, and in `sealed` how many private shipments
    have their text in it encrypted while their keys are not in it.
    """

    what: str
    rows: int
    position: int
    sha256: str = ""
    sealed: int = 0
