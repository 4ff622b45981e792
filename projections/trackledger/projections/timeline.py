"""What was said, in order?"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trackledger.projections.table import Index, Reader, Table, View

if TYPE_CHECKING:
    from trackledger.projections.conclusions import Conclusions


class TimelineRow(Struct, frozen=True):
    """One checkpoint as it stands. `amended` counts its earlier versions; a withdrawn one is kept and counts no more.
    `corrected` counts the readings, by a person or a better mapping, that took an earlier one's place.

    `occurred_said` is the source's own text for the time, `zone_source` says whose zone it was read in. `ndr_inferred`
    marks a reason that was read out of free text. `channel`, `message_id`, `received_at` and `recorded_at` tell of the
    message that taught us the standing version.
    """

    shipment_id: str
    checkpoint_id: str
    fingerprint: str
    provider: str
    milestone: str
    leg: str
    occurred_at: datetime
    occurred_said: str
    precision: str
    zone_source: str
    location: str | None
    status_code: str | None
    status_said: str | None
    remark: str | None
    ndr_reason: str | None
    ndr_inferred: bool
    channel: str
    message_id: str
    received_at: datetime
    recorded_at: datetime
    amended: int
    withdrawn: bool
    corrected: int


TABLE = Table(
    "timeline",
    TimelineRow,
    ("shipment_id", "checkpoint_id"),
    [Index(("provider", "status_code"), where="milestone = 'unknown'")],
    personal=("location", "status_said", "remark"),
)

UNMAPPED = View(
    "unmapped",
    """SELECT provider, COALESCE(status_code, '') AS status_code, COALESCE(status_said, '') AS text,
              MIN(recorded_at) AS first_seen, MAX(recorded_at) AS last_seen, COUNT(*) AS count,
              MIN(message_id) AS example_message_id
       FROM {s}timeline WHERE milestone = 'unknown'
       GROUP BY provider, COALESCE(status_code, ''), COALESCE(status_said, '')""",
)
"""Statuses that no table maps, by the provider's own words. A view, because it is a count over rows that are there."""


def rows(c: "Conclusions") -> Iterator[TimelineRow]:
    """The rows of one shipment."""
    shipment_id = c.statements.shipment_id
    for told in c.told:
        checkpoint = told.checkpoint
        occurred = checkpoint.occurred
        yield TimelineRow(
            shipment_id,
            checkpoint.key,
            checkpoint.fingerprint,
            told.provider,
            checkpoint.milestone.value,
            checkpoint.leg.value,
            occurred.at,
            occurred.said,
            occurred.precision.value,
            occurred.zone.value,
            checkpoint.location or None,
            checkpoint.status_code or None,
            checkpoint.status_said or None,
            checkpoint.remark or None,
            checkpoint.ndr_reason.value if checkpoint.ndr_reason else None,
            checkpoint.ndr_inferred,
            told.channel,
            told.message_id,
            told.received_at,
            told.recorded_at,
            told.amended,
            told.withdrawn,
            told.corrected,
        )


def of(store: Reader, shipment_id: str) -> list[dict[str, Any]]:
    """The timeline of one shipment, oldest first."""
    return store.read(
        "SELECT * FROM {s}timeline WHERE shipment_id = :id ORDER BY occurred_at, checkpoint_id", id=shipment_id
    )


def unmapped(store: Reader, provider: str | None = None) -> list[dict[str, Any]]:
    """Statuses that no table maps, the most frequent first."""
    found = store.read(
        """SELECT * FROM {s}unmapped WHERE CAST(:provider AS TEXT) IS NULL OR provider = :provider
           ORDER BY count DESC, provider, status_code, text""",
        provider=provider,
    )
    # SQLite does not tell of which kind the minimum of a column is.
    return [row | {name: _instant(row[name]) for name in ("first_seen", "last_seen")} for row in found]


def _instant(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
