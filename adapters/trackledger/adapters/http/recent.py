"""Which figures were counted a moment ago, so that they need not be counted again?

Counting a hundred thousand journeys takes some tenths of a second, and hardly anybody can tell the difference that the
last minute made. Every answer says of which moment and position it is.
"""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime
from threading import Lock
from time import monotonic

from msgspec import Struct

from trackledger.projections.analytics import Figures

REFRESH = 60.0
"""Seconds after which figures are counted anew, if anything was recorded since."""

KEEP = 300.0
"""Seconds after which they are so anyway, as a rebuild changes rows without a new event."""

KEPT = 256
"""Answers in memory; the least recently asked go first."""


class Counted(Struct, frozen=True):
    """Figures, with the moment as of which and the position at which they were counted."""

    figures: Figures
    as_of: datetime
    position: int
    at: float


class Recent:
    """The answers of one ledger. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, Counted] = OrderedDict()
        self._lock = Lock()

    def find(self, question: Hashable, position: int, at_least: int = 0) -> Counted | None:
        """What was answered a moment ago, when the tables, which are at `position` now, were `at_least` at that one."""
        with self._lock:
            counted = self._kept.get(question)
            if counted is None:
                return None
            age = monotonic() - counted.at
            same = counted.position == position
            if age > (KEEP if same else REFRESH) or counted.position < at_least:
                return None
            self._kept.move_to_end(question)
            return counted

    def keep(self, question: Hashable, figures: Figures, as_of: datetime, position: int) -> Counted:
        """Keep an answer for a while."""
        counted = Counted(figures, as_of, position, monotonic())
        with self._lock:
            self._kept[question] = counted
            self._kept.move_to_end(question)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return counted
