"""How are the parts of one ledger put together?"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from trackledger.adapters.settings import Settings
from trackledger.adapters.storage import open_database
from trackledger.domain.errors import UsageError

if TYPE_CHECKING:
    from trackledger.adapters.forgetting import Forgetting
    from trackledger.adapters.inbox import Inbox
    from trackledger.adapters.intake import Intake
    from trackledger.adapters.kept import Kept
    from trackledger.adapters.proof.sealer import Sealer
    from trackledger.adapters.storage.database import Database
    from trackledger.adapters.storage.rebuilds import Rebuilds
    from trackledger.adapters.storage.store import TableStore
    from trackledger.domain.ledger import Ledger
    from trackledger.projections.projector import Projector


class Runtime:
    """One open ledger and what works on it; each part is made on first use. Close it, or use it in a `with` block."""

    def __init__(self, database: "Database", settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self._closing = ExitStack()
        self._closing.callback(database.close)

    @cached_property
    def ledger(self) -> "Ledger":
        """The events."""
        from trackledger.adapters.storage.recorder import Recorder
        from trackledger.domain.ledger import Ledger

        recorder, clock = Recorder(self.database), self.settings.clock.now
        if self.settings.privacy == "sealed":
            from trackledger.adapters.storage.vault import new_key

            return Ledger(recorder, clock=clock, withdraws=self.settings.withdraws, new_key=new_key)
        return Ledger(recorder, clock=clock, withdraws=self.settings.withdraws)

    @cached_property
    def store(self) -> "TableStore":
        """The tables."""
        from trackledger.adapters.storage.store import TableStore

        return TableStore(self.database)

    @cached_property
    def rebuilds(self) -> "Rebuilds":
        """What makes the tables anew."""
        from trackledger.adapters.storage.rebuilds import Rebuilds

        return Rebuilds(self.database, self.store)

    @cached_property
    def projector(self) -> "Projector":
        """The pump between the two."""
        from trackledger.projections.projector import Projector

        return Projector(self.store, self.settings.policies)

    @cached_property
    def sealer(self) -> "Sealer":
        """What signs the ledger as it is. Raises `UsageError` where there is no key for that."""
        from trackledger.adapters.proof.heads import trust
        from trackledger.adapters.proof.notes import signing_key
        from trackledger.adapters.proof.sealer import Sealer

        proof = self.settings.proof
        if not proof.key:
            raise UsageError(
                "there is no key to sign with, and without a signature the ledger proves nothing to others; make one "
                "with `trackledger seal --new-key NAME` and name its environment variable as key_env in [proof]"
            )
        key = signing_key(proof.key, f"the environment variable {proof.key_env}")
        return Sealer(self.database, key, trust(proof))

    @cached_property
    def inbox(self) -> "Inbox":
        """The raw messages."""
        from trackledger.adapters.inbox import Inbox

        return Inbox(self.database)

    @cached_property
    def kept(self) -> "Kept":
        """What a person can do with the raw messages."""
        from trackledger.adapters.kept import Kept

        return Kept(self.database)

    @cached_property
    def intake(self) -> "Intake":
        """The line from a message to its events."""
        from trackledger.adapters.follow_up import FollowUp
        from trackledger.adapters.intake import Intake
        from trackledger.adapters.pokes import Pokes
        from trackledger.adapters.schedule import Schedule

        pokes = Pokes(Schedule(self.database), self.settings.clock)
        return Intake(self.inbox, self.ledger, FollowUp(self.settings.follow_up), also=pokes)

    @cached_property
    def forgetting(self) -> "Forgetting":
        """What takes a person out of the ledger."""
        from trackledger.adapters.forgetting import Forgetting

        return Forgetting(self.database, self.ledger, self.inbox, self.projector)

    def on_close(self, close: Callable[[], object]) -> None:
        """Have something that works on the ledger closed with it, before the database."""
        self._closing.callback(close)

    def close(self) -> None:
        """Close what works on it, then the database. Once is enough, twice does no harm."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_runtime(settings: Settings | None = None, *, create: bool = True) -> Runtime:
    """Open the ledger that the settings name, making it if it is missing and `create` is true."""
    settings = settings or Settings()
    database = open_database(settings.database, create=create, allow_volatile=settings.allow_volatile)
    return Runtime(database, settings)
