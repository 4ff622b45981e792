"""What was said, in order?"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trackledger.projections import ids
from trackledger.projections.pages import Order, Page, page_by
from trackledger.projections.table import Column, Index, Kind, Reader, Table, View

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
    [Index(("shipment_id", "provider", "status_code"), where="milestone = 'unknown'", also=("milestone",))],
    personal=("location", "status_said", "remark"),
)

_COUNTED = """SELECT provider, COALESCE(status_code, '') AS status_code, COALESCE(status_said, '') AS text,
    MIN(recorded_at) AS first_seen, MAX(recorded_at) AS last_seen, COUNT(*) AS count,
    MIN(message_id) AS example_message_id
  FROM {s}timeline WHERE milestone = 'unknown'"""
_GROUPED = "GROUP BY provider, COALESCE(status_code, ''), COALESCE(status_said, '')"

UNMAPPED = View("unmapped", f"{_COUNTED} {_GROUPED}")
"""Statuses that no table maps, by the provider's own words. A view, because it is a count over rows that are there."""

UNMAPPED_COLUMNS = (
    *(Column(name, Kind.TEXT, nullable=False) for name in ("provider", "status_code", "text")),
    *(Column(name, Kind.INSTANT, nullable=False) for name in ("first_seen", "last_seen")),
    Column("count", Kind.INTEGER, nullable=False),
    Column("example_message_id", Kind.TEXT, nullable=False),
)
"""The columns of that view."""

BY_COUNT = Order(
    (("u.provider", "provider"), ("u.status_code", "status_code"), ("u.text", "text")),
    ("u.count", "count"),
    descending=True,
)
"""The most frequent first."""


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
    return list(map(_typed, found))


def unmapped_of(
    store: Reader, account: str, provider: str | None, limit: int, after: Sequence[Any] | None = None
) -> Page:
    """The same of one account, page by page, in `BY_COUNT`; see `pages.page`."""
    given = ids.bounds(account) | ({"provider": provider} if provider is not None else {})
    of_provider = "AND provider = :provider" if provider is not None else ""
    counted = f"{_COUNTED} AND {ids.of_account('shipment_id')} {of_provider} {_GROUPED}"

    def sql(part: Sequence[str], tail: str) -> str:
        return f"SELECT * FROM ({counted}) u {'WHERE' if part else ''} {' AND '.join(part)} {tail}"

    found = page_by(store, sql, given, BY_COUNT, limit=limit, after=after)
    return Page(list(map(_typed, found.rows)), found.after)


def unmapped_count(store: Reader, account: str) -> int:
    """How many status codes of an account no table maps, by provider; those without a code are one."""
    found = store.read(
        f"""SELECT COUNT(*) AS n FROM (SELECT DISTINCT provider, status_code FROM {{s}}timeline
              WHERE milestone = 'unknown' AND {ids.of_account("shipment_id")}) u""",
        **ids.bounds(account),
    )
    return int(found[0]["n"])


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    # SQLite does not tell of which kind the minimum of a column is.
    return row | {name: _instant(row[name]) for name in ("first_seen", "last_seen")}


def _instant(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
