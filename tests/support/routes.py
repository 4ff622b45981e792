"""What can be asked: every question that the API describes, and every page to which the console links."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from html import unescape
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
from msgspec import Struct

from support.many import NOW
from trackledger.adapters.runtime import Runtime

SHARED = frozenset({"known_at", "wait_for", "wait_seconds", "cursor", "limit", "now"})
"""Parameters of every list that choose no rows."""

Known = dict[str, list[str]]
Shape = tuple[str, str]
"""Pages that differ in values only: their path and the names of their parameters."""

_LINK = re.compile(r"""(?:href|src|hx-get|action)="([^"#]+)""")


def values(runtime: Runtime) -> Known:
    """Values by which something of the account `default` is found."""
    select = (
        "SELECT * FROM {s}shipments WHERE account = 'default' AND shipment_id > :start ORDER BY shipment_id LIMIT 200"
    )
    # Opened by a provider's first message, and by the host.
    starts = ("default:clickpost:3", "default:host:TL-4")
    rows = [row for start in starts for row in runtime.store.read(select, start=start)]
    messages = runtime.store.read(
        "SELECT message_id FROM {s}messages WHERE account = 'default' AND state = 'parked' LIMIT 50"
    )
    named = {name: [str(row[name]) for row in rows if row[name]] for name in rows[0]}
    numbers = [*named["tracking_number"], *named["reference"], *named["order_id"]]
    return {
        **named,
        "q": [*numbers, *(number[:9] for number in named["tracking_number"])],
        "ref": numbers,
        "message_id": [row["message_id"] for row in messages],
    }


class Question(Struct):
    """One route of the API: its path, and for each parameter something that makes its values."""

    path: str
    parameters: dict[str, list[str]]
    places: list[str]
    required: list[str]

    @property
    def free(self) -> list[str]:
        """The parameters that may be left out."""
        return [name for name in self.parameters if name not in self.required]

    def asked(self, given: Sequence[str], chance: Random, known: Known) -> tuple[str, dict[str, str]]:
        """The path and the parameters of one question, with values by chance."""
        path = self.path
        for place in self.places:
            path = path.replace(f"{{{place}}}", chance.choice(known.get(place) or known["shipment_id"]))
        return path, {name: chance.choice(self.parameters[name]) for name in (*self.required, *given)}


def questions(description: dict[str, Any], known: Known) -> Iterator[Question]:
    """Every question that the API describes; raises `ValueError` for a parameter of which no value is known."""
    for path, operations in sorted(description["paths"].items()):
        if not path.startswith("/api/") or "get" not in operations:
            continue
        parameters: dict[str, list[str]] = {}
        places, required = [], []
        for parameter in operations["get"].get("parameters", []):
            name = parameter["name"]
            if parameter["in"] == "path":
                places.append(name)
            elif parameter["in"] == "query" and name not in SHARED:
                parameters[name] = possible(name, parameter["schema"], description, known)
                if not parameters[name]:
                    raise ValueError(f"what are values of {name} of {path}?")
                if parameter.get("required"):
                    required.append(name)
        yield Question(path, parameters, places, required)


def possible(name: str, schema: dict[str, Any], description: dict[str, Any], known: Known) -> list[str]:
    """Values that a parameter may have."""
    while "$ref" in schema or "anyOf" in schema or "items" in schema:
        if "$ref" in schema:
            schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = next(one for one in schema["anyOf"] if one.get("type") != "null")
        else:
            schema = schema["items"]
    if "enum" in schema:
        return list(map(str, schema["enum"]))
    if name in known:
        return known[name]
    match schema.get("type"), schema.get("format", ""):
        case "boolean", _:
            return ["true", "false"]
        case "string", "date-time":
            return [(NOW - timedelta(days=days)).isoformat() for days in range(0, 40, 5)]
        case "string", "date":
            # A span begins before it ends.
            ago = range(20, 45, 5) if name.endswith("from") else range(-5, 20, 5)
            return [str((NOW - timedelta(days=days)).date()) for days in ago]
        case "integer" | "number", _:
            least = int(schema.get("minimum", 1))
            return [str(least + more) for more in range(3)]
    if "after" in name or "position" in name:
        return ["0", "50000"]
    return [str(schema["const"])] if "const" in schema else []


class Page(Struct):
    """A page of the console as it was answered, and the addresses to which it leads, or of what it needs."""

    address: str
    status: int
    shape: Shape
    links: list[str]


def pages(client: httpx.Client, secret: str, most: int, root: str = "/console") -> Iterator[Page]:
    """Sign in with a token and follow every link from the board on: up to so many pages of each shape, and those that
    are not there; what is no page is left out."""
    signed_in = client.post(f"{root}/login", data={"token": secret})
    assert signed_in.status_code == 303, signed_in.text
    found: Counter[Shape] = Counter()
    waiting = [signed_in.headers["location"]]
    seen = set(waiting)
    while waiting:
        address = waiting.pop(0)
        shape = _shape(address)
        if found[shape] >= most:
            continue
        with client.stream("GET", address) as response:
            # Where forms are sent is no page.
            if response.status_code == 405 or not response.headers.get("content-type", "").startswith("text/html"):
                continue
            html = response.read().decode()
        found[shape] += response.status_code == 200
        links = [urljoin(address, unescape(link)) for link in _LINK.findall(html)]
        yield Page(address, response.status_code, shape, links)
        for onward in links:
            if onward.startswith(f"{root}/") and onward not in seen and "/static/" not in onward:
                seen.add(onward)
                waiting.append(onward)


def _shape(address: str) -> Shape:
    parts = urlsplit(address)
    path = re.sub(r"/[^/]*(?::|%3A)[^/]*|/[0-9a-f]{16,}", "/{one}", parts.path)
    return path, " ".join(sorted(name for name, _ in parse_qsl(parts.query)))
