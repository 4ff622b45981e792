"""How is an answer given: as JSON with its moment and position, or as rows of CSV or NDJSON?

Everywhere, instants are RFC 3339 in UTC with `Z` and days `YYYY-MM-DD`.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from trackledger.adapters.exporting import as_csv, as_ndjson
from trackledger.adapters.exporting.formats import RowsFile
from trackledger.adapters.http.api import cursors
from trackledger.adapters.http.api.asking import MAX_PAGE, MAX_ROWS, Listed
from trackledger.adapters.http.api.services import Services
from trackledger.adapters.http.moments import Tables
from trackledger.adapters.http.problems import MEDIA_TYPE, SCHEMA, Problem
from trackledger.projections.pages import Order, Page
from trackledger.projections.table import Column, Kind, Reader

DEFAULT_PAGE = 100
AT_ONCE = 1_000
"""Rows of CSV and NDJSON that are read, and in memory, at a time."""

_ROWS: Mapping[str, Callable[[BinaryIO, Sequence[Column]], RowsFile]] = {
    "text/csv": as_csv.Rows,
    "application/x-ndjson": as_ndjson.Rows,
}

_TYPES: Mapping[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": "string"},
    Kind.INTEGER: {"type": "integer"},
    Kind.REAL: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.INSTANT: {"type": "string", "format": "date-time"},
    Kind.DAY: {"type": "string", "format": "date"},
}

AS_OF: dict[str, Any] = {
    "as_of": {"type": "string", "format": "date-time", "description": "The `now` of this answer"},
    "known_at": {"type": ["string", "null"], "format": "date-time"},
    "consistent_with": {"type": "string", "description": "Every event up to this position is reflected, and no later"},
}
"""What every answer in JSON says of itself, in the OpenAPI description."""

Query = Callable[[Reader, datetime, int, Sequence[Any] | None], Page]
"""A list: asked of a reader as of a moment, for so many rows from a place on."""


class Listing(Struct, frozen=True):
    """A list of rows: its `name` in file names and cursors, its columns, how it is sorted, and the shipments that it is
    about if it is not about all: what was known of a few is answered quickly."""

    name: str
    columns: tuple[Column, ...]
    order: Order
    shipment_ids: tuple[str, ...] | None = None

    @property
    def place(self) -> list[Column]:
        """The columns by which a row has its place."""
        column_of = {column.name: column for column in self.columns}
        return [column_of[name] for name in self.order.names]


Question = tuple[Listing, Query]
"""What a list is, and how it is asked for: the same for programs and for people."""


def answer(asked_at: datetime, known_at: datetime | None, tables: Tables, body: Mapping[str, Any]) -> Response:
    """One JSON object, with the moment and the position of which it is true."""
    about = {"as_of": asked_at, "known_at": known_at, "consistent_with": str(tables.position)}
    return json({**body, **about})


def json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document that no cache keeps."""
    return Response(
        msgspec.json.encode(body), status, {"cache-control": "no-store", **(headers or {})}, "application/json"
    )


class Turned(Struct, frozen=True):
    """One page of a list: the times by which it was answered, the tables that did, and the cursor of the page that
    follows, None where there is none."""

    rows: list[dict[str, Any]]
    now: datetime
    known_at: datetime | None
    tables: Tables
    following: str | None


def listed(request: Request, services: Services, asked: Listed, listing: Listing, query: Query) -> Response:
    """A page as JSON, `next` being the cursor of the one that follows; or, where CSV or NDJSON is accepted rather, all
    rows up to the limit. Rows are read by the thousand then, each thousand of a moment of its own."""
    rows_as = accepted(request)
    if rows_as in _ROWS:
        return downloaded(services, asked, listing, query, rows_as)
    turned = turn(services, asked, listing, query)
    body = {"items": turned.rows, "next": turned.following}
    given = answer(turned.now, turned.known_at, turned.tables, body)
    if turned.following is not None:
        others = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        given.headers["link"] = f'<?{urlencode([*others, ("cursor", turned.following)])}>; rel="next"'
    return given


def turn(services: Services, asked: Listed, listing: Listing, query: Query, usual: int = DEFAULT_PAGE) -> Turned:
    """The page that is asked for, of `usual` length unless that is asked for too. Raises `Problem`."""
    asked_for, now, known_at, after = _from(services, asked, listing)
    limit = asked.limit or usual
    if limit > MAX_PAGE:
        raise Problem(422, f"limit is above {MAX_PAGE:,}, the most in JSON; page, or accept CSV", parameter="limit")
    with services.moments.tables(known_at, listing.shipment_ids) as tables:
        page = query(tables.reader, now, limit, after)
    following = None if page.after is None else cursors.write(cursors.Cursor(asked_for, now, known_at, page.after))
    return Turned(page.rows, now, known_at, tables, following)


def downloaded(services: Services, asked: Listed, listing: Listing, query: Query, rows_as: str) -> Response:
    """All rows up to the limit as a file of this media type. Raises `Problem`."""
    _, now, known_at, after = _from(services, asked, listing)
    return _rows(services.moments.tables, listing, query, rows_as, now, known_at, after, asked.limit or MAX_ROWS)


def known_when(services: Services, asked: Listed, listing: Listing) -> datetime | None:
    """The moment as of which a list is asked for, also by its cursor; None for now. Raises `Problem`."""
    return _from(services, asked, listing)[2]


def _from(
    services: Services, asked: Listed, listing: Listing
) -> tuple[str, datetime, datetime | None, Sequence[Any] | None]:
    filters = asked.model_dump(exclude={"now", "known_at", "wait_for", "wait_seconds", "limit", "cursor"})
    asked_for = cursors.question(listing.name, {**filters, "of": listing.shipment_ids})
    if asked.cursor is None:
        return asked_for, services.now(asked), asked.known_at, None
    cursor = cursors.read(asked.cursor, asked_for, listing.place)
    return asked_for, cursor.now, cursor.known_at, cursor.after


def accepted(request: Request) -> str:
    """The media type that is answered in, by the order in which they are accepted; JSON where it makes no odds. Raises
    `Problem` where none is accepted."""
    wanted = [part.split(";")[0].strip().lower() for part in request.headers.get("accept", "*/*").split(",")]
    for one in wanted:
        if one in _ROWS:
            return one
        if one in ("", "*/*", "application/*", "application/json", MEDIA_TYPE):
            return "application/json"
        if one == "text/*":
            return "text/csv"
    raise Problem(
        406, f"accept names none of {', '.join(('application/json', *_ROWS))}; accept one of them", parameter="accept"
    )


def _rows(
    tables: Callable[[datetime | None, Sequence[str] | None], AbstractContextManager[Tables]],
    listing: Listing,
    query: Query,
    media_type: str,
    now: datetime,
    known_at: datetime | None,
    after: Sequence[Any] | None,
    limit: int,
) -> Response:
    def read(left: int, after: Sequence[Any] | None) -> tuple[Page, int]:
        with tables(known_at, listing.shipment_ids) as found:
            return query(found.reader, now, min(left, AT_ONCE), after), found.position

    # The first are read before anything is answered, so that a refusal can still be told.
    first, position = read(limit, after)

    def content() -> Iterator[bytes]:
        buffer = io.BytesIO()
        writer = _ROWS[media_type](buffer, listing.columns)
        page, left = first, limit
        while True:
            writer.write([tuple(row[column.name] for column in listing.columns) for row in page.rows])
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
            left -= len(page.rows)
            if page.after is None or left <= 0:
                break
            page, _ = read(left, page.after)
        writer.finish()
        yield buffer.getvalue()

    headers = _headers(media_type, listing.name, now, position)
    return StreamingResponse(content(), headers=headers, media_type=media_type)


def table(
    media_type: str,
    name: str,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    now: datetime,
    position: int,
) -> Response:
    """A short table as a whole, as CSV or NDJSON."""
    buffer = io.BytesIO()
    writer = _ROWS[media_type](buffer, columns)
    if rows:
        writer.write([tuple(row[column.name] for column in columns) for row in rows])
    writer.finish()
    return Response(buffer.getvalue(), 200, _headers(media_type, name, now, position), media_type)


def _headers(media_type: str, name: str, now: datetime, position: int) -> dict[str, str]:
    extension = "csv" if media_type == "text/csv" else "ndjson"
    return {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="{name}.{extension}"',
        "trackledger-as-of": now.isoformat().replace("+00:00", "Z"),
        "trackledger-position": str(position),
    }


def item_schema(columns: Sequence[Column]) -> dict[str, Any]:
    """A row in the OpenAPI description."""
    return {
        "type": "object",
        "required": [column.name for column in columns],
        "properties": {column.name: _column_schema(column) for column in columns},
    }


def _column_schema(column: Column) -> dict[str, Any]:
    schema = dict(_TYPES[column.kind])
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    return schema


def describe(
    schema: dict[str, Any], *, status: int = 200, also: Mapping[int, str] | None = None, refusals: Sequence[int] = ()
) -> dict[int | str, Any]:
    """The answers of a route in the OpenAPI description: the good one, other good ones of the same form with what they
    mean, and those by which it may refuse."""
    problem = {"content": {MEDIA_TYPE: {"schema": SCHEMA}}}
    told: dict[int | str, Any] = {
        code: {"description": meaning, "content": {"application/json": {"schema": schema}}}
        for code, meaning in {status: "As asked", **(also or {})}.items()
    }
    meanings = {
        401: "No valid token", 403: "The token does not allow it", 404: "There is none", 406: "Not in this form",
        409: "It is not so any more", 410: "It was forgotten", 413: "Too large", 414: "The path is too long",
        415: "Not JSON", 422: "A parameter is wrong", 429: "Too many requests", 431: "The headers are too large",
        503: "Not now; try again",
    }  # fmt: skip
    for code in sorted({401, 414, 422, 429, 431, 503, *refusals}):
        told[code] = {"description": meanings[code]} | problem
    return told


def describe_list(columns: Sequence[Column], *, refusals: Sequence[int] = ()) -> dict[int | str, Any]:
    """The same of a list of rows."""
    items = {"type": "array", "items": item_schema(columns)}
    schema = {
        "type": "object",
        "required": ["items", "next", *AS_OF],
        "properties": {"items": items, "next": {"type": ["string", "null"]}} | AS_OF,
    }
    return also_as_rows(describe(schema, refusals=(406, *refusals)))


def also_as_rows(told: dict[int | str, Any]) -> dict[int | str, Any]:
    """The same, where CSV and NDJSON may be accepted as well."""
    told[200]["content"] |= {media_type: {"schema": {"type": "string"}} for media_type in _ROWS}
    return told


def describe_one(properties: Mapping[str, Any], *, refusals: Sequence[int] = (404,)) -> dict[int | str, Any]:
    """The same of one object."""
    schema = {"type": "object", "required": [*properties, *AS_OF], "properties": {**properties, **AS_OF}}
    return describe(schema, refusals=refusals)
