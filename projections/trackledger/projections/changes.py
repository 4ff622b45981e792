"""What has changed since a position of the ledger?"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from eventsourcing.persistence import Notification
from msgspec import Struct, field

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.errors import UnknownEvent
from trackledger.domain.events import (
    AmendedByHand,
    CheckpointsWithdrawn,
    DetailsStated,
    Event,
    NdrActionAcknowledged,
    NdrActionRefused,
    NdrActionRequested,
    NdrActionSent,
    ReportRecorded,
    Reread,
    WithdrawnByHand,
)
from trackledger.domain.mapper import decode
from trackledger.projections.table import Reader

LOOKED_AT = 10_000
"""Events of all accounts that are looked at for one answer, so that one with few of them gets on too."""

NOW = ("milestone", "leg", "since", "is_final", "carrier", "tracking_number", "reference", "order_id", "position")
"""What is told of a shipment as it is now; none of it is free text."""


class Changed(Struct, frozen=True):
    """One checkpoint that an event is about. `milestone` and `occurred_at` are what the event says of it, None where it
    says nothing but that it is gone or there again."""

    checkpoint_id: str
    what: str
    milestone: str | None = None
    occurred_at: datetime | None = None


class Change(Struct, frozen=True):
    """One event: at which position, of which shipment, and what it changed, without the words of carriers and people.

    `what` a checkpoint was is `recorded`, `amended`, `withdrawn`, `stated_again`, `amended_by_hand`,
    `withdrawn_by_hand`, `counted_again` or `reread`. `estimates` counts those that were stated, and `claims` and
    `details` are of which kinds the headline claims and by which names the facts are that were stated; `action` was
    taken about the failed delivery `case_no`. Where it cannot be read, by a version of this software that is older than
    the event, nothing but its `type` is told. `shipment` is the shipment as
    the tables have it now, None where they do not.
    """

    position: int
    shipment_id: str
    version: int
    type: str
    recorded_at: datetime | None = None
    provider: str | None = None
    channel: str | None = None
    message_id: str | None = None
    checkpoints: tuple[Changed, ...] = ()
    estimates: int = 0
    claims: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    case_no: int | None = None
    action: str | None = None
    shipment: Mapping[str, Any] | None = field(default=None)


class Changes(Struct, frozen=True):
    """Changes in the order of their positions. Everything up to the position `next` was looked at."""

    items: list[Change]
    next: int


# Not as a range of ids, whose index would be read for all that the account ever had.
_EVENTS = f"""SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state,
    {", ".join(f"s.{name} AS now_{name}" for name in NOW)}
  FROM {{s}}stored_events e LEFT JOIN {{s}}shipments s ON s.shipment_id = e.originator_id
  WHERE e.notification_id > :after AND e.notification_id <= :upto
    AND substr(e.originator_id, 1, :length) = :beginning
  ORDER BY e.notification_id LIMIT :limit"""


def of(store: Reader, account: str, after: int, upto: int, limit: int) -> Changes:
    """Up to `limit` changes of one account after a position, as far as `upto`, which is the position of the tables."""
    upto = min(upto, after + LOOKED_AT)
    if upto <= after:
        return Changes([], after)
    rows = store.read(_EVENTS, after=after, upto=upto, length=len(account) + 1, beginning=f"{account}:", limit=limit)
    return Changes(list(map(_change, rows)), rows[-1]["notification_id"] if len(rows) == limit else upto)


def _change(row: Mapping[str, Any]) -> Change:
    stored = Notification(
        row["originator_id"], row["originator_version"], row["topic"], bytes(row["state"]), row["notification_id"]
    )
    try:
        event = decode(stored).event
    except UnknownEvent:
        said: dict[str, Any] = {}
    else:
        said = {"recorded_at": event.recorded_at, "checkpoints": tuple(_checkpoints(event))} | _about(event)
    return Change(
        row["notification_id"],
        row["originator_id"],
        row["originator_version"],
        row["topic"],
        **said,
        shipment={name: row[f"now_{name}"] for name in NOW} if row["now_milestone"] is not None else None,
    )


def _about(event: Event) -> dict[str, Any]:
    match event:
        case ReportRecorded():
            return {
                "provider": event.provider,
                "channel": event.channel,
                "message_id": event.message_id,
                "estimates": len(event.estimates),
                "claims": tuple(sorted({one.kind.value for one in event.assertions})),
                "details": tuple(sorted(event.details)),
            }
        case CheckpointsWithdrawn():
            return {"provider": event.provider, "channel": event.channel, "message_id": event.message_id}
        case Reread():
            return {"provider": event.provider, "message_id": event.message_id}
        case DetailsStated():
            return {"details": tuple(sorted(event.details)), "estimates": int(event.promised is not None)}
        case NdrActionRequested() | NdrActionSent() | NdrActionAcknowledged() | NdrActionRefused():
            return {"case_no": event.case_no, "action": str(event.action)}
        case _:
            return {}


def _checkpoints(event: Event) -> Iterable[Changed]:
    match event:
        case ReportRecorded():
            yield from (_said(one, "recorded") for one in event.recorded)
            yield from (_said(one.checkpoint, "amended") for one in event.amended)
            yield from (Changed(key, "stated_again") for key in event.reinstated)
        case CheckpointsWithdrawn():
            yield from (Changed(key, "withdrawn") for key in event.keys)
        case AmendedByHand():
            yield _said(event.correction.checkpoint, "amended_by_hand", event.correction.key)
        case WithdrawnByHand():
            yield from (Changed(key, "counted_again" if event.undone else "withdrawn_by_hand") for key in event.keys)
        case Reread():
            yield from (_said(one.checkpoint, "reread", one.key) for one in event.corrections)


def _said(checkpoint: Checkpoint, what: str, key: str = "") -> Changed:
    return Changed(key or checkpoint.key, what, checkpoint.milestone.value, checkpoint.occurred.at)
