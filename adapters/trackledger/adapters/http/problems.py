"""How is a refusal told, as problem details (RFC 9457)?"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from eventsourcing.persistence import PersistenceError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from trackledger.adapters.kept import NoSuchMessage
from trackledger.domain.errors import (
    CaseMovedOn,
    Contended,
    InvalidStatement,
    NoSuchCase,
    NoSuchCheckpoint,
    ShipmentForgotten,
    ShipmentNotFound,
    TrackerTaken,
    TrackledgerError,
    UsageError,
)

MEDIA_TYPE = "application/problem+json"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence: what is wrong, and what to do"},
        "parameter": {"type": "string", "description": "Which parameter, header or field of the body is wrong"},
    },
}
"""What every refusal looks like, in the OpenAPI description."""

_STATUS: Mapping[type[TrackledgerError], int] = {
    ShipmentNotFound: 404,
    NoSuchCheckpoint: 404,
    NoSuchCase: 404,
    NoSuchMessage: 404,
    CaseMovedOn: 409,
    ShipmentForgotten: 410,
    TrackerTaken: 409,
    Contended: 503,
    InvalidStatement: 422,
    UsageError: 422,
}


class Problem(Exception):
    """A request that is refused: one sentence for `detail`, and the `parameter` that is wrong if it is one."""

    def __init__(
        self, status: int, detail: str, *, parameter: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.parameter = parameter
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer. Its type is `about:blank`, as nothing is to be known beside the status and the sentence."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.parameter is not None:
            body["parameter"] = self.parameter
        return Response(msgspec.json.encode(body), self.status, self.headers, MEDIA_TYPE)


def missing(shipment_id: str) -> Problem:
    """That there is no such shipment; also of one of another account, so that nobody learns that it is there."""
    return Problem(404, f"there is no shipment {shipment_id!r}; look for it with GET /api/shipments?q=…")


def of(error: Exception) -> Problem:
    """What is told of an error: nothing of the database's or of another account's, and where to look for the rest."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            detail = error.detail if error.status_code != 404 else "there is nothing at this address"
            return Problem(error.status_code, detail, headers=error.headers)
        case PersistenceError():
            return Problem(503, "the database does not answer; try again", headers={"retry-after": "1"})
        case TrackledgerError():
            status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
            return Problem(
                status, str(error) if status != 500 else "this cannot be answered; see the log of the server"
            )
        case _:
            return Problem(500, "this cannot be answered; see the log of the server")


def _invalid(error: RequestValidationError) -> Problem:
    first = error.errors()[0]
    where, *path = map(str, first["loc"])
    if where == "query":
        # Which of several values it is says less than what they are of.
        path = path[:1]
    name = ".".join(path) or where
    if first["type"] == "extra_forbidden":
        return Problem(
            422, f"there is no parameter {name!r}; see /openapi.json for those that there are", parameter=name
        )
    says = first["msg"].removeprefix("Value error, ")
    return Problem(422, f"{name} is wrong: {says[:1].lower()}{says[1:]}", parameter=name)


def install(app: FastAPI) -> None:
    """Let every refusal of an application be told so."""

    async def tell(request: Request, error: Exception) -> Response:
        return of(error).response()

    for kind in (Problem, RequestValidationError, HTTPException, PersistenceError, TrackledgerError, Exception):
        app.add_exception_handler(kind, tell)
