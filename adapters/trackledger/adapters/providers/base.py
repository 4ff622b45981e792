"""What must a provider's module offer, and what does it receive?"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Protocol, TypeVar

from msgspec import Struct
from pydantic import BaseModel, BeforeValidator, StringConstraints, ValidationError
from pydantic_core import from_json

from trackledger.domain.checkpoints import Channel, Report
from trackledger.domain.errors import Unreadable

MAX_BODY = 8 * 1024 * 1024
"""Bytes. A message above this is refused unread; the largest known honest one is under 1 MiB."""

MAX_TEXT = 4000

Text = Annotated[str, StringConstraints(max_length=MAX_TEXT, pattern=r"^[^\x00]*$")]
"""A provider's text as kept: up to 4,000 characters and no NUL, which PostgreSQL cannot store."""


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a whole number is needed")
    return value


Whole = Annotated[int, BeforeValidator(_no_bool)]
"""A whole number, or the text of one. Pydantic alone would take `true` for 1."""

W = TypeVar("W", bound=BaseModel)


class Message(Struct, frozen=True):
    """One webhook body or one poll answer, as bytes.

    `context` holds what the request said and the answer does not repeat, such as the carrier that was asked for.
    """

    message_id: str
    provider: str
    account: str
    channel: Channel
    received_at: datetime
    body: bytes
    context: Mapping[str, str] = {}


class Provider(Protocol):
    """A provider, as one literal module: its words in, reports out.

    `reference_form` is the regular expression that its tracker references match as a whole, `reference_like` one of
    them; a tracker registered under another form would never meet a report. Its group `tracking_number`, if it has
    one, is the carrier's number.
    """

    name: str
    reference_form: str
    reference_like: str

    def normalize(self, message: Message) -> list[Report]:
        """Everything the message says, one report per tracker.

        Raises `Unreadable` for what is not a message of this provider, naming the field and its value, and `Ignored`
        for one that makes no statement about a parcel. Raises nothing else, whatever the bytes.
        """
        ...


def load(provider: str, body: bytes) -> Any:
    """A JSON body, for a provider whose messages differ so much that the body has to tell which model reads it.

    Raises `Unreadable` where it is not JSON, also for unpaired surrogates, numbers of more than 4,300 digits and
    nesting deeper than 200.
    """
    _limit(provider, body)
    try:
        return from_json(body)
    except ValueError as error:
        raise Unreadable(f"{provider}: the body is not JSON: {error}") from None


def read(model: type[W], provider: str, value: Any, at: str = "") -> W:
    """The wire model of a loaded value, found at the field path `at`. Raises `Unreadable` with one
    sentence that names the field and its value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Unreadable(f"{provider}: {_sentence(error, at)}") from None


def _limit(provider: str, body: bytes) -> None:
    if len(body) > MAX_BODY:
        raise Unreadable(f"{provider}: the message has {len(body):,} bytes, over the limit of {MAX_BODY:,}")


def _sentence(error: ValidationError, at: str = "") -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    field = ".".join(str(part) for part in (at, *first["loc"]) if part != "") or "the body"
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"{field} is missing"
    if first["type"] == "string_pattern_mismatch":
        said = "it holds a NUL character"
    if first["type"] == "model_type":
        said = "it must be an object"
    return f"{field} is {shown(first['input'])}: {said[:1].lower()}{said[1:]}"


def shown(value: Any) -> str:
    """A value for a message to a person: as JSON, one line, at most 80 characters, safe to print."""
    try:
        text = json.dumps(value, ensure_ascii=True, default=repr)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."
