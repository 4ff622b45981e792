"""How does a list of rows become a page that filters, sorts, pages and can be downloaded?"""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import Request, Response
from msgspec import Struct
from pydantic import BaseModel, Field

from trackledger.adapters.http.api.answering import Listing, Query, downloaded, turn
from trackledger.adapters.http.api.asking import Listed
from trackledger.adapters.http.api.services import Services
from trackledger.adapters.http.console.filters import fields, sorts, times
from trackledger.adapters.http.console.rendering import link, render
from trackledger.adapters.http.console.sessions import root
from trackledger.adapters.http.principals import Principal

ROWS = 50
"""On a page, unless asked otherwise."""

FORMATS: Mapping[str, str] = {"csv": "text/csv", "ndjson": "application/x-ndjson"}


class Downloadable(BaseModel):
    """What every list of the console may be asked besides."""

    format: Literal["csv", "ndjson"] | None = Field(None, description="As a file of all rows instead of a page")


class Shown(Struct, frozen=True):
    """One column of a page: what it is called, of which `kind` its values are (see `queue.html`), and the name by which
    it is sorted, if that is another. A column of `trouble` is there only where there is some."""

    name: str
    label: str
    kind: str = "text"
    sort: str = ""


class Queue(Struct, frozen=True):
    """One list: where it lies, what it is called, what it says of itself and where it is empty, and its columns. A row
    is known by `key`. Where something can be done about a row's shipment, `acts` is what the link to it says; where
    rows can be picked for that, `picks` is the column that says which."""

    path: str
    title: str
    says: str
    columns: tuple[Shown, ...]
    none: str
    key: tuple[str, ...] = ("shipment_id",)
    acts: str = ""
    picks: str = ""


def shown(
    request: Request,
    services: Services,
    principal: Principal,
    asked: Listed,
    queue: Queue,
    listing: Listing,
    query: Query,
    **context: Any,
) -> Response:
    """The page, or the file that is asked for. Raises `Problem`."""
    if (rows_as := getattr(asked, "format", None)) is not None:
        return downloaded(services, asked, listing, query, FORMATS[rows_as])
    turned = turn(services, asked, listing, query, ROWS)
    asked_for = request.query_params
    given = {name: asked_for.getlist(name) for name in asked_for if name not in ("cursor", "format")}
    base = root(request)

    def to(**changed: str | None) -> str:
        return link(base, queue.path, **{**given, **changed})

    model, placed = type(asked), listing.order.names[0]
    sorted_by = f"-{placed}" if listing.order.descending else placed
    about: dict[str, Any] = {
        "queue": queue,
        "columns": [one for one in queue.columns if one.kind != "trouble" or any(row[one.name] for row in turned.rows)],
        "rows": turned.rows,
        "now": turned.now,
        "known_at": turned.known_at,
        "fields": fields(model, given),
        "times": times(model, given),
        "given": [(name, values, to(**{name: None})) for name, values in given.items() if name != "sort"],
        "sort": asked_for.get("sort"),
        "sorting": {shown.name: _sort(shown, sorts(model), sorted_by, to) for shown in queue.columns},
        "first": to() if asked.cursor is not None else None,
        "following": to(cursor=turned.following) if turned.following is not None else None,
        "exports": [(name.upper(), to(format=name, limit=None)) for name in FORMATS],
        # A page of a moment that was asked for stays as it is.
        "live": asked.now is None and asked.known_at is None and asked.cursor is None,
    }
    return render(request, principal, "queue.html", **(about | context))


def _sort(shown: Shown, sorts: tuple[str, ...], sorted_by: str, to: Any) -> tuple[str | None, str | None]:
    """Where a heading leads, and how the column is sorted; each None where it is not."""
    up, down = shown.sort or shown.name, f"-{shown.sort or shown.name}"
    now = {up: "ascending", down: "descending"}.get(sorted_by)
    other = next((one for one in (up, down) if one in sorts and one != sorted_by), None)
    return (to(sort=other) if other else None), now
