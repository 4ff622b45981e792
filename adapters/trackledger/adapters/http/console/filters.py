"""Which form asks a question: a field for each parameter that its model declares?"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct
from pydantic import BaseModel

BESIDE = frozenset({"account", "now", "known_at", "wait_for", "wait_seconds", "limit", "cursor", "sort", "format"})
"""Parameters that filter nothing, or by what is given already."""

_LABELS = {"q": "number or reference", "is_final": "ended", "ndr": "NDR", "order_id": "order"}
_KINDS = {"date": "date", "date-time": "instant", "integer": "number", "number": "number"}


class Field(Struct, frozen=True):
    """One field: `kind` is `choice` of one, `choices` of several, `text`, `date`, `instant` or `number`; `options` are
    those of a choice, each as it is asked for; `says` is the parameter's description; `values` is what was given."""

    name: str
    label: str
    kind: str
    options: tuple[str, ...]
    says: str
    values: tuple[str, ...]


def fields(model: type[BaseModel], given: Mapping[str, Sequence[str]]) -> list[Field]:
    """The filters of a question, in the order of their declaration."""
    return [_field(name, schema, given.get(name, ())) for name, schema in _properties(model) if name not in BESIDE]


def times(model: type[BaseModel], given: Mapping[str, Sequence[str]]) -> list[Field]:
    """The same of the times by which it is answered."""
    return [
        _field(name, schema, given.get(name, ())) for name, schema in _properties(model) if name in ("now", "known_at")
    ]


def sorts(model: type[BaseModel]) -> tuple[str, ...]:
    """By what its answer can be sorted, the first unless something else is asked for; a minus stands for descending."""
    return next((tuple(map(str, _one(schema)["enum"])) for name, schema in _properties(model) if name == "sort"), ())


@lru_cache(maxsize=64)
def _properties(model: type[BaseModel]) -> tuple[tuple[str, dict[str, Any]], ...]:
    described = model.model_json_schema()
    return tuple(_resolved(described["properties"], described.get("$defs", {})))


def _resolved(
    properties: Mapping[str, dict[str, Any]], definitions: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    def meant(schema: dict[str, Any]) -> dict[str, Any]:
        one = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        return one | {"items": meant(one["items"])} if "items" in one else one

    for name, schema in properties.items():
        kinds = [meant(one) for one in schema.get("anyOf", [schema])]
        yield name, {"anyOf": kinds, "description": schema.get("description", "")}


def _one(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What it is when it is not null."""
    found: dict[str, Any] = next(one for one in schema["anyOf"] if one.get("type") != "null")
    return found


def _field(name: str, schema: dict[str, Any], values: Sequence[str]) -> Field:
    one = _one(schema)
    if one.get("type") == "array":
        return Field(name, _label(name), "choices", tuple(one["items"]["enum"]), schema["description"], tuple(values))
    options: tuple[str, ...] = (
        ("true", "false") if one.get("type") == "boolean" else tuple(map(str, one.get("enum", ())))
    )
    kind = "choice" if options else _KINDS.get(one.get("format", one.get("type", "")), "text")
    return Field(name, _label(name), kind, options, schema["description"], tuple(values))


def _label(name: str) -> str:
    words = _LABELS.get(name) or name.replace("_", " ").replace("edd", "EDD")
    return words[:1].upper() + words[1:]
