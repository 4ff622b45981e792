"""What do the commands share: how each is done once, what it says of itself, and how it names what is wrong?"""

import re
from collections.abc import Callable, Container, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Header, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from trackledger.adapters.http.api.answering import json
from trackledger.adapters.http.api.services import Services
from trackledger.adapters.http.principals import Principal
from trackledger.adapters.http.problems import Problem
from trackledger.adapters.once import Answered, InWork, OtherCommand, once

MAX_KEY = 255

Text = Annotated[str, Field(max_length=500)]
Shipment = Annotated[str, Path(max_length=400)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_KEY,
        pattern="^[!-~]+$",
        description="Within a day the same key with the same body is done once and answered as it was the first time",
    ),
]
Told = tuple[int, dict[str, Any]]


class Said(BaseModel):
    """The body of a command; a field that it does not have is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_POSITION = {"position": {"type": "string", "description": "For `wait_for`"}}


def command_schema(**properties: Any) -> dict[str, Any]:
    """What a command answers, with its position, in the OpenAPI description."""
    return {"type": "object", "required": [*properties, "position"], "properties": properties | _POSITION}


def position_of(given: Services, position: int = 0) -> str:
    """What a question can wait for: where nothing was added, all that there is."""
    return str(position or given.runtime.store.head())


def in_work(error: InWork) -> Problem:
    """That the same is being done by another right now, and when to come back."""
    return Problem(409, str(error), headers={"retry-after": "2"})


def named(error: Exception, fields: Container[str | None], *, several: bool = False) -> Problem:
    """A refusal with the field that its sentence begins with, if it is one of `fields`; of `several` items also with
    the number of the one that it is about."""
    found = re.match(r"(?:shipment ([0-9]+): )?([a-z_]+)\b", str(error))
    field = {"tracker": "trackers"}.get(found[2], found[2]) if found else ""
    if field not in fields:
        field = ""
    number = f"{int(found[1]) - 1}" if found and found[1] else "0" if several else ""
    return Problem(422, str(error), parameter=".".join(part for part in (number, field) if part) or None)


def answered_once(
    given: Services,
    principal: Principal,
    key: str | None,
    request: Sequence[Any],
    do: Callable[[], Told],
    again: Callable[[], Told] | None = None,
) -> Response:
    """The answer to a command; to one with a key, what was answered to it the first time, or what `again` says now."""
    try:
        if key is None:
            status, told = do()
            return json(told, status)
        said = msgspec.json.encode(request).decode()
        with once(given.runtime.database, principal.account, f"key:{key}", said) as turn:
            if turn.earlier is None:
                status, told = do()
                # What people may be named in is not kept here; see the ledger for it.
                turn.answer = Answered(status, "{}" if again else msgspec.json.encode(told).decode())
                return json(told, status)
        replayed = {"idempotency-replayed": "true"}
        if again is not None:
            status, told = again()
            return json(told, status, replayed)
        return json(msgspec.Raw(turn.earlier.body.encode()), turn.earlier.status, replayed)
    except InWork as error:
        raise in_work(error) from None
    except OtherCommand as error:
        raise Problem(422, str(error), parameter="idempotency-key") from None
