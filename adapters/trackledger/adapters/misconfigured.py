"""What is wrong in a configuration file, where exactly, and what is the remedy?

A value of the file is not repeated where it may be a secret that somebody wrote into the wrong place.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from trackledger.domain.errors import UsageError

MAX_FILE = 1024 * 1024

T = TypeVar("T")

_FAILURE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_QUOTED = re.compile(r"`([^`]*)`")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SECRET = re.compile(r"key|secret|token|password|signature", re.IGNORECASE)


class Place(Struct, frozen=True):
    """A place in a configuration file: the keys that lead there, as TOML writes them."""

    file: str
    path: str = ""

    def key(self, name: str) -> "Place":
        """The place of a key of the table that is here."""
        name = name if len(name) <= 60 else name[:57] + "..."
        shown = name if _BARE.fullmatch(name) else json.dumps(name)
        return Place(self.file, f"{self.path}.{shown}" if self.path else shown)

    def item(self, index: int) -> "Place":
        """The place of an element of the list that is here."""
        return Place(self.file, f"{self.path}[{index}]")

    def wrong(self, says: str) -> UsageError:
        """An error to raise: what is wrong here, and the remedy."""
        return UsageError(f"{self.file}: {self.path} {says}")


def read_toml(file: Path, called: str) -> dict[str, Any]:
    """The tables of a TOML file of up to 1 MiB, `called` so in errors. Raises `UsageError` for what is none."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(f"{called} cannot be read: {error.strerror}; name a configuration file") from None
    if len(content) > MAX_FILE:
        raise UsageError(f"{called} is larger than {MAX_FILE:,} bytes, the limit; name a configuration file")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{called}: line {line} is not text in UTF-8; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{called} is not TOML: {_lower(str(error))}; correct it there") from None
    except RecursionError:
        raise UsageError(f"{called} is not TOML: it is nested too deep; correct it") from None


def section(kind: type[T], value: Any, place: Place) -> T:
    """A value of the file as a struct. Raises `UsageError` at the first key that it cannot have, or not so.

    What a key has to be is said by the `description` in the `Meta` of its field.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        failure = str(error)
    found = _FAILURE.fullmatch(failure)
    assert found is not None
    hint: Any = kind
    wants = "a table"
    for name, index in _STEP.findall(found["path"] or ""):
        place = place.key(name) if name else place.item(int(index))
        hint = get_type_hints(_struct(hint), include_extras=True)[name] if name else _element(hint)
        wants = _description(hint)
    names = _QUOTED.findall(found["what"])
    if "unknown field" in found["what"]:
        raise unknown(names[0], [f.name for f in msgspec.structs.fields(_struct(hint))], place)
    if "missing required field" in found["what"]:
        missing = get_type_hints(_struct(hint), include_extras=True)[names[0]]
        raise place.key(names[0]).wrong(f"is missing; give {_description(missing)}")
    raise place.wrong(f"has to be {wants or found['what']}")


def unknown(name: str, known: Iterable[str], place: Place) -> UsageError:
    """An error to raise for a key that does not exist here: it is misspelt, or it is a secret."""
    known = list(known)
    near = get_close_matches(name, known, n=1)
    variable = next((key for key in known if key.endswith("_env")), "")
    if variable and looks_secret(name):
        return place.key(name).wrong(
            f"may not be here, as secrets do not belong into the file; put it into an environment variable and write "
            f"its name as {variable}"
        )
    remedy = f"did you mean {near[0]}?" if near else f"use one of: {', '.join(known)}"
    return place.key(name).wrong(f"is unknown; {remedy}")


def looks_secret(name: str) -> bool:
    """Whether a key is named as those are that hold a secret, rather than name an environment variable."""
    return _SECRET.search(name) is not None and not name.lower().endswith("env")


def entries(value: Any, kind: Any, wants: str, place: Place) -> dict[str, Any]:
    """A table whose keys anybody may choose, each value a `kind`, described as `wants`. Raises `UsageError`."""
    if not isinstance(value, Mapping):
        raise place.wrong("has to be a table")
    checked = {}
    for name, one in value.items():
        with suppress(msgspec.ValidationError):
            checked[name] = msgspec.convert(one, kind)
        if name not in checked:
            raise place.key(name).wrong(f"has to be {wants}")
    return checked


def _description(hint: Any) -> str:
    """What a type hint says of itself, or of the one thing that it holds besides None."""
    if isinstance(hint, Meta):
        return hint.description or ""
    inside = get_args(hint)[::-1] if get_origin(hint) in (Annotated, Union, UnionType) else ()
    return next((said for one in inside if (said := _description(one))), "")


def _struct(hint: Any) -> type[Struct]:
    """The struct that a type hint is about, however optional."""
    found = _find_struct(hint)
    assert found is not None, hint
    return found


def _find_struct(hint: Any) -> type[Struct] | None:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return hint
    return next((found for one in get_args(hint) if (found := _find_struct(one))), None)


def _element(hint: Any) -> Any:
    """The type of the elements of a `tuple[…, ...]`."""
    return get_args(get_args(hint)[0] if get_origin(hint) is Annotated else hint)[0]


def _lower(text: str) -> str:
    """tomllib's own words, which begin like a sentence. They name keys and characters, and no value."""
    return text[:1].lower() + text[1:]
