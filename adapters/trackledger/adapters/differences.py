"""What changes for one shipment when its messages are read again: which statements, which conclusions?"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import asdict

from trackledger.domain.checkpoints import Checkpoint
from trackledger.domain.events import (
    CheckpointsWithdrawn,
    LedgerEvent,
    ReportRecorded,
    Reread,
    WithdrawnByHand,
)
from trackledger.domain.moments import Moment
from trackledger.domain.rereading import Review
from trackledger.domain.statements import Statements, fold
from trackledger.projections import delivery_dates, ndr, shipments, silence
from trackledger.projections.conclusions import Policies, conclude
from trackledger.projections.table import Table
from trackledger.projections.tables import TABLES

CONCLUDED: tuple[Table[Any], ...] = (shipments.TABLE, ndr.TABLE, silence.TABLE, delivery_dates.TABLE)
"""The tables whose rows are compared; the timeline's are the statements themselves."""

Changes = dict[str, tuple[Any, Any]]
"""By field or column, what it was and what it becomes."""


class ChangedStatement(Struct, frozen=True):
    """One statement of a message that is read otherwise: a `checkpoint` by its id, or a `claim`, an `estimate` or a
    `detail` by what it is about."""

    what: str
    about: str
    message_id: str
    changes: Changes


class ChangedRow(Struct, frozen=True):
    """One row of a table that comes out otherwise, in these columns; where there was none before, it `appears`, where
    there is none after, it `disappears`."""

    table: str
    key: str
    changes: Changes
    appears: bool = False
    disappears: bool = False


class Difference(Struct, frozen=True):
    """Everything that changes for one shipment. `new` are checkpoints that today's mapping reads for the first time,
    or again, with their milestone, `gone` those that it reads no more. `error` says why nothing can be said of it."""

    shipment_id: str
    statements: list[ChangedStatement] = []
    new: dict[str, str] = {}
    gone: list[str] = []
    conclusions: list[ChangedRow] = []
    error: str = ""


def difference(review: Review, policies: Policies) -> Difference:
    """What the events of a review change, folded in memory."""
    if review.error:
        return Difference(review.shipment_id, error=review.error)
    statements: list[ChangedStatement] = []
    new: dict[str, str] = {}
    gone: list[str] = []
    said = fold(review.shipment_id, review.before)
    before = _rows(said, policies) if review.before else {}
    for event in review.events:
        if isinstance(event, Reread):
            statements += _restated(said, event)
        elif isinstance(event, ReportRecorded):
            new |= {one.key: one.milestone.value for one in event.recorded}
            new |= {one.checkpoint.key: one.checkpoint.milestone.value for one in event.amended}
        elif isinstance(event, WithdrawnByHand) and event.undone:
            new |= {key: one.milestone.value for key in event.keys if (one := said.standing(key))}
        elif isinstance(event, WithdrawnByHand | CheckpointsWithdrawn):
            gone += event.keys
        said.apply(LedgerEvent(review.shipment_id, 0, event))
    return Difference(review.shipment_id, statements, new, gone, list(_changed(before, _rows(said, policies))))


def _restated(said: Statements, event: Reread) -> Iterable[ChangedStatement]:
    id_ = event.message_id
    for correction in event.corrections:
        old = said.version(correction.key, correction.replaces)
        if old is not None:
            changes = _differing(_fields(old), _fields(correction.checkpoint))
            yield ChangedStatement("checkpoint", correction.key, id_, changes)
    for claim in event.claims:
        yield ChangedStatement("claim", claim.replaces.kind.value, id_, _structs(claim.replaces, claim.claim))
    for estimate in event.estimates:
        changes = _structs(estimate.replaces, estimate.estimate)
        yield ChangedStatement("estimate", estimate.replaces.source.value, id_, changes)
    for detail in event.details:
        yield ChangedStatement("detail", detail.name, id_, {detail.name: (detail.replaces, detail.value)})


def _fields(one: Checkpoint) -> dict[str, Any]:
    fields: dict[str, Any] = _plain(asdict(one))
    del fields["occurred"]
    occurred = one.occurred
    return fields | {
        "occurred_at": occurred.at,
        "occurred_said": occurred.said,
        "precision": occurred.precision.value,
        "zone_source": occurred.zone.value,
        "offset": occurred.offset,
    }


def _structs(old: Struct, new: Struct) -> Changes:
    return _differing(_flat(old), _flat(new))


def _flat(one: Struct) -> dict[str, Any]:
    """The fields of a claim or an estimate, those of its times each by its own name: `starts_at`."""
    fields: dict[str, Any] = {}
    for name, value in asdict(one).items():
        parts = asdict(value) if isinstance(value, Moment) else {"": value}
        fields |= {f"{name}_{part}".rstrip("_"): _plain(said) for part, said in parts.items()}
    return fields


def _plain(value: Any) -> Any:
    return to_builtins(value, builtin_types=(datetime,))


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> Changes:
    return {name: (old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)}


def _rows(said: Statements, policies: Policies) -> dict[tuple[str, str], dict[str, Any]]:
    concluded = conclude(said, policies)
    return {(table.name, _key(table, row)): asdict(row) for table in CONCLUDED for row in TABLES[table](concluded)}


def _key(table: Table[Any], row: Any) -> str:
    key = table.key_of(row)
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _changed(
    before: Mapping[tuple[str, str], dict[str, Any]], after: Mapping[tuple[str, str], dict[str, Any]]
) -> Iterable[ChangedRow]:
    for place in dict.fromkeys((*before, *after)):
        changes = _differing(before.get(place, {}), after.get(place, {}))
        changes.pop("position", None)
        if changes:
            yield ChangedRow(*place, changes, appears=place not in before, disappears=place not in after)
