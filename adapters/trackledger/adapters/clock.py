"""What time is it, for what is said, for what is recorded and for when to ask?"""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

AFTERWARDS = 3600.0
"""How fast a fast clock runs after its end."""


class Clock(Struct, frozen=True):
    """The clock of messages, events and schedules; that of the machine unless a rehearsal runs faster.

    At the machine's instant `real` it shows `world`, and from then on it runs `speed` times as fast; from `ends` on, if
    it has an end, an hour a second at most. It never stands still: what happens one after the other has times in that
    order, and what is due becomes due. Leases, time-outs and limits of calls are always kept in the machine's own time.
    """

    world: datetime | None = None
    real: datetime | None = None
    speed: float = 1.0
    ends: datetime | None = None

    def now(self) -> datetime:
        """The instant that it shows, in UTC."""
        machine = datetime.now(UTC)
        if self.world is None or self.real is None:
            return machine
        shown = self.world + (machine - self.real) * self.speed
        if self.ends is None or shown <= self.ends:
            return shown
        return self.ends + (shown - self.ends) / self.speed * min(self.speed, AFTERWARDS)

    @property
    def has_ended(self) -> bool:
        """Whether it is past its end."""
        return self.ends is not None and self.now() >= self.ends

    def seconds(self, span: timedelta) -> float:
        """How many seconds of the machine's time pass while this clock shows that `span` has passed."""
        return max(0.0, span.total_seconds() / self.speed)
