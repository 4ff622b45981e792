"""What is known of one shipment, now or as of a moment, and why is it concluded?"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.http.api.services import Services
from trackledger.adapters.http.moments import position
from trackledger.adapters.recollection import Recollection, recollect
from trackledger.domain.events import NoteAdded, Opened
from trackledger.domain.statements import fold, known_at
from trackledger.projections import consignments, delivery_dates, explanation, ndr, shipments, silence
from trackledger.projections.conclusions import Conclusions, Policies, conclude
from trackledger.projections.explanation import Explanation
from trackledger.projections.notes import NEWEST
from trackledger.projections.table import Reader
from trackledger.projections.tables import why


class Standing(Struct, frozen=True, kw_only=True):
    """What the tables say of a shipment: its rows in `shipments`, `ndr_cases` (the newest first), `silence`,
    `delivery_dates` and `consignments`, its trackers, and the rows in `shipments` of its pieces."""

    row: dict[str, Any]
    trackers: list[dict[str, Any]]
    cases: list[dict[str, Any]]
    quiet: dict[str, Any] | None
    dates: dict[str, Any] | None
    consignment: dict[str, Any] | None
    pieces: list[dict[str, Any]]


class Dossier(Struct, frozen=True, kw_only=True):
    """One shipment as it is known at `now`, or was known at `known_at`: then `standing` is None where nothing was.

    `recollection` is what was recorded by then. `concluded` and `told` are None where it cannot be folded, `trouble`
    says why. `steps` are the moments at which something was recorded, oldest first, also later ones. `polls` has when
    each tracker is asked about, by provider and reference, as of the clock.
    """

    shipment_id: str
    now: datetime
    known_at: datetime | None
    position: int
    standing: Standing | None
    recollection: Recollection
    concluded: Conclusions | None
    told: Explanation | None
    trouble: str
    steps: Sequence[datetime]
    polls: dict[tuple[str, str], dict[str, Any]]

    @property
    def private(self) -> bool:
        """Whether its words are sealed in the ledger."""
        return any(isinstance(one.event, Opened) and one.event.private for one in self.recollection.events)

    @property
    def forgotten(self) -> bool:
        """Whether what names people was erased."""
        return self.recollection.statements.forgotten

    @property
    def notes(self) -> list[NoteAdded]:
        """The newest remarks, oldest first; none of a forgotten shipment."""
        events = [] if self.forgotten else self.recollection.events
        return [one.event for one in events if isinstance(one.event, NoteAdded)][-NEWEST:]


def dossier(
    services: Services, account: str, shipment_id: str, now: datetime, at: datetime | None = None
) -> Dossier | None:
    """One shipment of an account, as known at the moment `at` if that is given; None where there is none. Raises
    `Problem` for a moment that has not come."""
    runtime = services.runtime
    with runtime.database.snapshot() as tables:
        rows = tables.read(
            "SELECT * FROM {s}shipments WHERE shipment_id = :id AND account = :account", id=shipment_id, account=account
        )
        if not rows:
            return None
        upto = position(tables)
        standing = _standing(tables, rows[0], now)
        polls = _polls(tables, shipment_id)
    found = recollect(runtime, shipment_id, upto=upto)
    steps = sorted({one.event.recorded_at for one in found.events})
    if at is not None:
        found = _by_then(found, shipment_id, at)
        ids = [shipment_id, *(piece["shipment_id"] for piece in standing.pieces)]
        with services.moments.tables(at, ids) as past:
            rows = past.reader.read("SELECT * FROM {s}shipments WHERE shipment_id = :id", id=shipment_id)
            then = _standing(past.reader, rows[0], now) if rows else None
    policies = runtime.settings.policies or Policies()
    concluded, trouble = _concluded(found, policies)
    standing_then = standing if at is None else then
    told = None
    if concluded is not None:
        consignment = standing_then.consignment if standing_then else None
        pieces = standing_then.pieces if standing_then else ()
        told = explanation.explain(concluded, found.events, now, policies, consignment, pieces)
    return Dossier(
        shipment_id=shipment_id,
        now=now,
        known_at=at,
        position=upto,
        standing=standing_then,
        recollection=found,
        concluded=concluded,
        told=told,
        trouble=trouble,
        steps=steps,
        polls=polls,
    )


def _by_then(found: Recollection, shipment_id: str, moment: datetime) -> Recollection:
    events = known_at(found.events, moment)
    statements = fold(shipment_id, events)
    statements.forgotten = found.statements.forgotten
    return replace(found, events=events, statements=statements)


def _concluded(found: Recollection, policies: Policies) -> tuple[Conclusions | None, str]:
    if found.unread:
        return None, found.unread[0].why
    if not found.events:
        return None, ""
    try:
        return conclude(found.statements, policies), ""
    except Exception as error:
        # Whatever it is, the pump has put the shipment aside for it.
        return None, why(error, is_forgotten=found.statements.forgotten)


def _standing(tables: Reader, row: dict[str, Any], now: datetime) -> Standing:
    id_ = row["shipment_id"]
    return Standing(
        row=row,
        trackers=shipments.trackers(tables, id_),
        cases=ndr.of(tables, id_),
        quiet=silence.of(tables, id_, now),
        dates=delivery_dates.of(tables, id_, now),
        consignment=consignments.of(tables, id_),
        pieces=consignments.pieces(tables, id_),
    )


def _polls(tables: Reader, shipment_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = tables.read("SELECT * FROM {s}poll_schedule WHERE shipment_id = :id", id=shipment_id)
    return {(row["provider"], row["reference"]): row for row in found}
