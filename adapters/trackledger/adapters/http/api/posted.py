"""How is the body of a command read, and which ones are refused?"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from fastapi import Depends, Request
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from trackledger.adapters.http.api.services import operator
from trackledger.adapters.http.principals import Principal
from trackledger.adapters.http.problems import Problem

MAX_BYTES = 256 * 1024
"""Of the body of a command, which is room for a hundred registrations."""

BODY_SECONDS = 15.0
"""Within this time the whole body has to be here."""

T = TypeVar("T")


def posted(shape: Callable[[bytes], TypeAdapter[T]], *, optional: bool = False) -> Callable[..., Awaitable[T]]:
    """A dependency that reads the JSON body of a request in the shape that it calls for; where it is `optional`, none
    is an empty object.

    It is read only for those who may operate, so that all others are told no more than that they may not. Raises
    `Problem`: 413 for a body that is too large, 415 for what is not JSON by its type, 422 naming the field otherwise.
    """

    async def read(request: Request, _: Principal = Depends(operator)) -> T:  # noqa: B008 (how FastAPI is told)
        body = await whole(request, MAX_BYTES)
        if not body and optional:
            return _validated(shape(b"{}"), b"{}")
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Problem(415, "the body is not application/json; send JSON and say so", parameter="content-type")
        return _validated(shape(body), body)

    return read


async def whole(request: Request, most: int) -> bytes:
    """The body of a request. Raises `Problem`: 413 as soon as it has more than `most` bytes, 408 where it is too slow,
    and 400 where its sender goes away."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise Problem(413, f"the body has more than {most:,} bytes, the limit; send less at a time")
    except TimeoutError:
        raise Problem(408, f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None
    except ClientDisconnect:
        raise Problem(400, "the body did not arrive as a whole") from None
    return bytes(body)


def _validated(shape: TypeAdapter[T], body: bytes) -> T:
    try:
        return shape.validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        raise Problem(422, "the body is not JSON in UTF-8; correct it", parameter="body")
    field = ".".join(str(part) for part in first["loc"]) or "body"
    if first["type"] == "extra_forbidden":
        raise Problem(422, f"there is no field {field!r}; see /openapi.json for those that there are", parameter=field)
    says = first["msg"].removeprefix("Value error, ")
    raise Problem(422, f"{field} is wrong: {says[:1].lower()}{says[1:]}", parameter=field)


def describe_body(schema: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """The body in the OpenAPI description."""
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}
