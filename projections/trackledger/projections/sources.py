"""Who said it, through which message, when, and what has become of it since?"""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from trackledger.domain.checkpoints import HOST, Estimate
from trackledger.domain.events import (
    AmendedByHand,
    CheckpointsWithdrawn,
    DetailsStated,
    LedgerEvent,
    ReportRecorded,
    Reread,
    WithdrawnByHand,
)
from trackledger.domain.policies.delivery_dates import Window
from trackledger.domain.statements import Statements, Told, ToldAssertion


class Change(Struct, frozen=True):
    """What was done to a statement after it was made, by the event at `position`: `by` a provider or a person.

    `what` is `amended` or `withdrawn` or `stated_again` by its provider, `amended_by_hand`, `withdrawn_by_hand` or
    `counted_again` by a person, `reread` by a later mapping.
    """

    what: str
    position: int
    recorded_at: datetime
    by: str
    reason: str | None = None
    message_id: str | None = None


class Statement(Struct, frozen=True, kw_only=True):
    """One statement: a `checkpoint`, an `estimate` or a `claim`, and how we know.

    Its times are those of the parcel (`occurred_at`, with the source's own text and whose zone it was read in), of the
    provider (`reported_at` for the checkpoint, `stated_at` for the message), of our inbox and of our ledger. `value` is
    what a claim or an estimate comes to. `amended`, `withdrawn`, `corrected` and `by_hand` are as in the timeline, and
    `changes` tells by whom. A statement without a `message_id` was made by the host.
    """

    kind: str
    provider: str
    checkpoint_id: str | None = None
    milestone: str | None = None
    leg: str | None = None
    value: str | None = None
    status_code: str | None = None
    said: str | None = None
    remark: str | None = None
    location: str | None = None
    ndr_reason: str | None = None
    ndr_inferred: bool = False
    occurred_at: datetime | None = None
    occurred_said: str | None = None
    zone_source: str | None = None
    precision: str | None = None
    reported_at: datetime | None = None
    stated_at: datetime | None = None
    received_at: datetime | None = None
    recorded_at: datetime | None = None
    channel: str | None = None
    message_id: str | None = None
    position: int | None = None
    amended: int = 0
    withdrawn: bool = False
    corrected: int = 0
    by_hand: bool = False
    changes: tuple[Change, ...] = ()


class Sources:
    """Finds where the statements of one shipment are from, among the events that they were folded from."""

    def __init__(self, statements: Statements, events: Iterable[LedgerEvent]) -> None:
        self._statements = statements
        self._recorded: dict[tuple[str, datetime], LedgerEvent] = {}
        self._stated: dict[tuple[str, datetime], LedgerEvent] = {}
        self._changes: dict[str, list[Change]] = {}
        for placed in events:
            event = placed.event
            if isinstance(event, ReportRecorded):
                self._recorded.setdefault((event.message_id, event.recorded_at), placed)
                self._stated.setdefault((event.message_id, event.said_at), placed)
            elif isinstance(event, DetailsStated):
                self._stated.setdefault(("", event.recorded_at), placed)
            for key, change in changes_of(placed, wordless=statements.forgotten):
                self._changes.setdefault(statements.listed_as(key), []).append(change)

    def checkpoint(self, told: Told) -> Statement:
        """A checkpoint in one of its versions."""
        c = told.checkpoint
        placed = self._recorded.get((told.message_id, told.recorded_at))
        return Statement(
            kind="checkpoint",
            provider=told.provider,
            checkpoint_id=c.key,
            milestone=c.milestone.value,
            leg=c.leg.value,
            status_code=c.status_code or None,
            said=c.status_said or None,
            remark=c.remark or None,
            location=c.location or None,
            ndr_reason=c.ndr_reason.value if c.ndr_reason else None,
            ndr_inferred=c.ndr_inferred,
            occurred_at=c.occurred.at,
            occurred_said=c.occurred.said,
            zone_source=c.occurred.zone.value,
            precision=c.occurred.precision.value,
            reported_at=c.reported,
            stated_at=placed.event.stated_at if placed and isinstance(placed.event, ReportRecorded) else None,
            received_at=told.received_at,
            recorded_at=told.recorded_at,
            channel=told.channel,
            message_id=told.message_id,
            position=placed.position if placed else None,
            amended=told.amended,
            withdrawn=told.withdrawn,
            corrected=told.corrected,
            by_hand=told.by_hand,
            changes=tuple(self._changes.get(c.key, ())),
        )

    def claim(self, told: ToldAssertion) -> Statement:
        """A headline claim."""
        one = told.assertion
        return self._stated_in(told.message_id, told.stated_at, "claim", f"{one.kind}: {one.value}", one.said)

    def estimate(self, window: Window) -> Statement:
        """An estimate, by the window that it comes to."""
        value = f"{window.source}: {window.starts} to {window.ends}"
        return self._stated_in(window.message_id, window.stated_at, "estimate", value)

    def uncounted(self, estimate: Estimate, message_id: str, stated_at: datetime) -> Statement:
        """An estimate in days that there is no day to count from for."""
        days = f"{estimate.source}: {estimate.days_from} to {estimate.days_to} days"
        return self._stated_in(message_id, stated_at, "estimate", days)

    def _stated_in(self, message_id: str, at: datetime, kind: str, value: str, said: str = "") -> Statement:
        placed = self._stated.get((message_id, at))
        event = placed.event if placed else None
        if not isinstance(event, ReportRecorded):
            recorded_at, position = (event.recorded_at, placed.position) if event and placed else (None, None)
            return Statement(kind=kind, provider=HOST, value=value, recorded_at=recorded_at, position=position)
        return Statement(
            kind=kind,
            provider=event.provider,
            value=value,
            said=said or None,
            stated_at=event.stated_at,
            received_at=event.received_at,
            recorded_at=event.recorded_at,
            channel=event.channel,
            message_id=message_id,
            position=placed.position if placed else None,
        )


def changes_of(placed: LedgerEvent, *, wordless: bool = False) -> list[tuple[str, Change]]:
    """What an event does to checkpoints that were stated before, each by its key; without free text if `wordless`."""
    event = placed.event

    def change(what: str, by: str, reason: str = "", message_id: str = "") -> Change:
        reason = "" if wordless else reason
        return Change(what, placed.position, event.recorded_at, by, reason or None, message_id or None)

    match event:
        case ReportRecorded():
            amended = change("amended", event.provider, message_id=event.message_id)
            again = change("stated_again", event.provider, message_id=event.message_id)
            return [
                *((one.checkpoint.key, amended) for one in event.amended),
                *((key, again) for key in event.reinstated),
            ]
        case CheckpointsWithdrawn():
            gone = change("withdrawn", event.provider, message_id=event.message_id)
            return [(key, gone) for key in event.keys]
        case AmendedByHand():
            return [(event.correction.key, change("amended_by_hand", event.actor, event.reason))]
        case WithdrawnByHand():
            struck = change("counted_again" if event.undone else "withdrawn_by_hand", event.actor, event.reason)
            return [(key, struck) for key in event.keys]
        case Reread():
            reread = Change(
                "reread", placed.position, event.recorded_at, event.actor, f"mapping {event.mapping}", event.message_id
            )
            return [(one.key, reread) for one in event.corrections]
        case _:
            return []
