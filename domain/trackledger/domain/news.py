"""What of a report's checkpoints is new?"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.events import Amendment, Identification
from trackledger.domain.identities import Identities, Known


class News:
    """The new among a report's checkpoints, and which known ones it states.

    `gone` are keys of known checkpoints that an older history amends although a newer one no longer holds them.
    """

    __slots__ = ("_matched", "amended", "gone", "identified", "recorded", "reinstated")

    def __init__(self) -> None:
        self.recorded: list[Checkpoint] = []
        self.amended: list[Amendment] = []
        self.identified: list[Identification] = []
        self.reinstated: list[str] = []
        self.gone: list[str] = []
        self._matched: list[tuple[Known, str]] = []

    def __bool__(self) -> bool:
        return bool(self.recorded or self.amended or self.identified or self.reinstated)

    @property
    def present(self) -> set[Known]:
        """The known checkpoints that the report states, new content or not."""
        return {known for known, _ in self._matched}

    def sort_out(self, checkpoints: Sequence[Checkpoint], identities: Identities, at: datetime, late: bool) -> None:
        """Compare what was said at `at` with what is known; `late` when a newer whole history is known already."""
        distinct = _distinct(checkpoints)
        if not identities:
            self.recorded += distinct
            return
        changed: list[tuple[Known, Checkpoint]] = []
        identified_now: set[str] = set()
        for checkpoint in distinct:
            known = identities.find(checkpoint)
            if known is None:
                self.recorded.append(checkpoint)
                continue
            loose = identities.identified_by(checkpoint)
            if loose is not None:
                if known is loose and checkpoint.fingerprint in identified_now:
                    # A twin: the same scan filed twice, under two ids. The first of them took the id-less statement.
                    self.recorded.append(checkpoint)
                    continue
                identified_now.add(checkpoint.fingerprint)
                self.identified.append(Identification(checkpoint.fingerprint, checkpoint.id))
                self._matched.append((loose, checkpoint.digest))
                if late and loose.is_withdrawn:
                    self.gone.append(checkpoint.id)
            self._matched.append((known, checkpoint.digest))
            if known.standing == checkpoint.digest and known.withdrawn_at is None:
                continue  # by far the most of what is ever heard
            if known.is_news(checkpoint.digest, at):
                changed.append((known, checkpoint))
            elif known.is_withdrawn and not late and known.withdrawn_at is not None and at > known.withdrawn_at:
                self.reinstated.append(checkpoint.id or known.key)
        matched = set(self._matched) if changed else set()
        for known, checkpoint in changed:
            # A message that states two contents of one checkpoint returns to neither by stating both again.
            if known.had(checkpoint.digest) and (known, known.standing) in matched:
                continue
            self.amended.append(Amendment(checkpoint, known.standing))
            if late and known.is_withdrawn:
                self.gone.append(checkpoint.id or known.key)


def _distinct(checkpoints: Sequence[Checkpoint]) -> Iterable[Checkpoint]:
    """What one message says, once: some repeat a row within itself."""
    if len({c.id or c.fingerprint for c in checkpoints}) == len(checkpoints):
        return checkpoints
    return {(c.key, c.digest): c for c in checkpoints}.values()
