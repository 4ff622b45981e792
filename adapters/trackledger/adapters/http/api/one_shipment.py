"""What is known of one shipment, and why is it concluded so?

Of another account's, and of one that was not known at the moment asked about, there is nothing to tell: each is missing
in the same words.
"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from trackledger.adapters.explained import as_answer, explain, kept, statements
from trackledger.adapters.http.api.answering import answer, describe_one, item_schema
from trackledger.adapters.http.api.asking import MAX_PAGE, Asked
from trackledger.adapters.http.api.services import Given, Reading, Services, caught_up
from trackledger.adapters.http.moments import Tables
from trackledger.adapters.http.principals import Principal
from trackledger.adapters.http.problems import missing
from trackledger.adapters.one_shipment import with_notes, with_pieces
from trackledger.adapters.recollection import Recollection, recollect
from trackledger.domain.errors import ShipmentNotFound
from trackledger.projections import consignments, delivery_dates, ndr, shipments, silence
from trackledger.projections.one_shipment import row_of, status_of
from trackledger.projections.table import Column, Kind, Reader

ROUTER = APIRouter(tags=["shipments"], dependencies=[Depends(caught_up)])
GENERAL = APIRouter(tags=["shipments"], dependencies=[Depends(caught_up)])
"""The route that takes any id, after all that are longer."""

_TRACKER = tuple(
    Column(name, Kind.TEXT, nullable=False) for name in ("provider", "reference", "carrier", "tracking_number")
)
_CONSIGNMENT = (
    Column("shipment_id", Kind.TEXT, nullable=False),
    *(Column(name, Kind.INTEGER, nullable=False) for name in ("pieces", "delivered", "open", "failed")),
    Column("state", Kind.TEXT, nullable=False),
)
_NOTE = (
    Column("recorded_at", Kind.INSTANT, nullable=False),
    Column("actor", Kind.TEXT, nullable=False),
    Column("text", Kind.TEXT, nullable=True),
    Column("message_id", Kind.TEXT, nullable=True),
)


def _or_null(*columns: Column) -> dict[str, Any]:
    schema = item_schema(columns)
    return {**schema, "type": ["object", "null"]}


def _rows(columns: tuple[Column, ...]) -> dict[str, Any]:
    return {"type": "array", "items": item_schema(columns)}


_STATUS: dict[str, Any] = {
    **item_schema(shipments.TABLE.named("shipment_id", "account", "reference", "order_id"))["properties"],
    "trackers": _rows(_TRACKER),
    "status": {
        **item_schema(shipments.TABLE.named("milestone", "leg", "since", "location", "said")),
        "description": "`because` names the rule that concluded it, and the checkpoints it did so from",
    },
    "ndr": _or_null(*ndr.TABLE.columns),
    "silence": _or_null(*silence.TABLE.columns, Column("is_stuck", Kind.BOOLEAN, nullable=False)),
    "delivery": _or_null(*delivery_dates.TABLE.columns, Column("on_time", Kind.BOOLEAN, nullable=True)),
    "consignment": _or_null(*_CONSIGNMENT),
    "checkpoints": {"type": "integer"},
    "position": {"type": "integer"},
    "notes": {**_rows(_NOTE), "description": "The newest twenty, oldest first"},
}


def require_id(shipment_id: str) -> None:
    """Raises `Problem` for what no shipment's id can be: no database takes the character zero."""
    if "\x00" in shipment_id:
        raise missing(shipment_id)


def row_for(store: Reader, principal: Principal, shipment_id: str) -> dict[str, Any]:
    """Its row in `shipments`. Raises `Problem` where it is missing to this account."""
    row = row_of(store, shipment_id)
    if row is None or row["account"] != principal.account:
        raise missing(shipment_id)
    return row


def recollected(
    given: Services, principal: Principal, shipment_id: str, known_at: datetime | None, upto: int
) -> Recollection:
    """What the ledger knows of it, up to a position. Raises `Problem` where it is missing to this account."""
    try:
        found = recollect(given.runtime, shipment_id, known_at, upto=upto)
    except ShipmentNotFound:
        raise missing(shipment_id) from None
    if found.statements.account != principal.account:
        raise missing(shipment_id)
    return found


@contextmanager
def _known(
    given: Services, principal: Principal, shipment_id: str, known_at: datetime | None, *, pieces: bool = True
) -> Generator[tuple[Tables, dict[str, Any]]]:
    """The tables, and its row in them; those of the past with its pieces."""
    require_id(shipment_id)
    ids = with_pieces(given.runtime, [shipment_id]) if pieces and known_at is not None else [shipment_id]
    with given.moments.tables(known_at, ids) as tables:
        yield tables, row_for(tables.reader, principal, shipment_id)


@ROUTER.get(
    "/shipments/{shipment_id:path}/consignment",
    responses=describe_one(
        {
            "consignment": _or_null(*_CONSIGNMENT),
            "piece_of": {"type": ["string", "null"]},
            "pieces": {**_rows(shipments.TABLE.columns), "description": f"The first {MAX_PAGE:,}, by their ids"},
        }
    ),
)
def consignment(given: Given, principal: Reading, shipment_id: str, asked: Annotated[Asked, Query()]) -> Response:
    """How many of its pieces have arrived, and the pieces that are shipments of their own. `consignment` is null where
    it has none; `piece_of` names the shipment that it is a piece of."""
    with _known(given, principal, shipment_id, asked.known_at) as (tables, row):
        body = {
            "consignment": consignments.of(tables.reader, shipment_id),
            "piece_of": row["piece_of"],
            "pieces": consignments.pieces(tables.reader, shipment_id, limit=MAX_PAGE),
        }
        return answer(given.now(asked), asked.known_at, tables, body)


@ROUTER.get(
    "/shipments/{shipment_id:path}/explanation",
    responses=describe_one(
        {
            "shipment_id": {"type": "string"},
            "judged_at": {"type": "string", "format": "date-time"},
            "conclusions": {"type": "array", "items": {"type": "object"}},
            "unused": {"type": "array", "items": {"type": "object"}},
            "messages": {"type": "object", "additionalProperties": {"type": "object"}},
        }
    ),
)
def explanation(given: Given, principal: Reading, shipment_id: str, asked: Annotated[Asked, Query()]) -> Response:
    """Every conclusion: which rule drew it, from which statements, and what would change it. `messages` tells which of
    those that the statements are from are still kept."""
    now = given.now(asked)
    with _known(given, principal, shipment_id, asked.known_at, pieces=False) as (tables, _):
        try:
            told = explain(given.runtime, shipment_id, now, known_at=asked.known_at, upto=tables.position)
        except ShipmentNotFound:
            raise missing(shipment_id) from None
        messages = kept(given.runtime, statements(told), raw=False)
        return answer(now, asked.known_at, tables, as_answer(told, messages))


@GENERAL.get("/shipments/{shipment_id:path}", responses=describe_one(_STATUS))
def shipment(given: Given, principal: Reading, shipment_id: str, asked: Annotated[Asked, Query()]) -> Response:
    """Where it is, why that is concluded, and what else is known of it."""
    now = given.now(asked)
    with _known(given, principal, shipment_id, asked.known_at) as (tables, row):
        known = status_of(tables.reader, row, now)
        body = with_notes(given.runtime, known, asked.known_at, upto=tables.position)
        return answer(now, asked.known_at, tables, body)
