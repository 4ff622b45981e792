"""Why is it concluded so of a shipment, and which raw messages is that from?"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from trackledger.adapters.one_shipment import with_pieces
from trackledger.domain.errors import TrackledgerError

if TYPE_CHECKING:
    from trackledger.adapters.runtime import Runtime
    from trackledger.projections.explanation import Explanation
    from trackledger.projections.sources import Statement

MAX_RAW = 16 * 1024 * 1024
"""Bytes of raw messages in one answer; further ones are left to `trackledger show`."""

Messages = dict[str, dict[str, Any]]


def explain(
    runtime: "Runtime",
    shipment_id: str,
    now: datetime,
    *,
    known_at: datetime | None = None,
    valid_at: datetime | None = None,
    upto: int | None = None,
) -> "Explanation":
    """Why everything that is concluded of a shipment as of these moments, judged at `now`, is concluded; from its
    events up to the position `upto`, if that is given.

    Raises `ShipmentNotFound`, see `recollect`, and `TrackledgerError` for a shipment that cannot be folded.
    """
    from trackledger.adapters.past import past
    from trackledger.adapters.recollection import recollect
    from trackledger.projections import consignments, explanation
    from trackledger.projections.conclusions import Policies, conclude
    from trackledger.projections.tables import why

    found = recollect(runtime, shipment_id, known_at, upto=upto)
    if found.unread:
        raise TrackledgerError(f"{shipment_id} cannot be explained: {found.unread[0].why}")
    said = found.statements if valid_at is None else found.statements.until(valid_at)
    policies = runtime.settings.policies or Policies()
    try:
        concluded = conclude(said, policies)
    except Exception as error:
        # Whatever it is, the pump has put the shipment aside for it.
        says = why(error, is_forgotten=said.forgotten)
        raise TrackledgerError(f"{shipment_id} cannot be explained: {says}; see `trackledger parked`") from error
    row, pieces = None, list[dict[str, Any]]()
    ids = with_pieces(runtime, [shipment_id])
    if len(ids) > 1 or said.claim(consignments.COUNTED_BY):
        with past(runtime, known_at=known_at, valid_at=valid_at, shipment_ids=ids) as tables:
            row, pieces = consignments.of(tables, shipment_id), consignments.pieces(tables, shipment_id)
    return explanation.explain(concluded, found.events, now, policies, row, pieces)


def statements(told: "Explanation") -> "list[Statement]":
    """Every statement that is named, used or not."""
    used = [statement for one in told.conclusions for statement in one.statements]
    return used + [one.statement for one in told.unused]


def kept(runtime: "Runtime", named_in: "Iterable[Statement]", *, raw: bool) -> Messages:
    """The messages that these statements are from, as far as they are still kept, by id; with their `body` if `raw`,
    None for those that are too much for one answer."""
    ids = sorted({one.message_id for one in named_in if one.message_id})
    names = ("provider", "channel", "state", "received_at", "times", "bytes")
    found = {row["message_id"]: {name: row[name] for name in names} for row in runtime.kept.rows(ids)} if ids else {}
    left = MAX_RAW if raw else 0
    for message_id, row in found.items() if raw else ():
        left -= row["bytes"]
        row["body"] = runtime.kept.body(message_id).decode("utf-8", "backslashreplace") if left >= 0 else None
    return found


def as_answer(told: "Explanation", messages: Mapping[str, Any]) -> dict[str, Any]:
    """The explanation as plain values; each statement says whether its message is kept."""
    answer: dict[str, Any] = msgspec.to_builtins(told, builtin_types=(datetime, date))
    used = [one for conclusion in answer["conclusions"] for one in conclusion["statements"]]
    for statement in (*used, *(one["statement"] for one in answer["unused"])):
        row = messages.get(statement["message_id"])
        statement["message"] = {"kept": row is not None} | ({k: row[k] for k in ("state", "bytes")} if row else {})
    return answer | {"messages": messages}
