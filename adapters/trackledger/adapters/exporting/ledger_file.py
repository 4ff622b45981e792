"""What stands in a file that holds all events of a ledger, so that another can be made of it?

NDJSON, without blanks. The first line is a `Header`. Then comes a line for each event, in the order of the ledger:

    {"position":1,"shipment_id":"…","version":1,"topic":"shipment.Opened","state":{…}}

in which `state` is the event byte for byte as it is stored. Then, if the header says so, a line for each key of a
private shipment, in the order of their ids; and last a `Trailer`. Its `sha256` is over all lines before it, each with
its newline.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

FORMAT = "trackledger.events"
VERSION = 1

Place = Annotated[int, Meta(ge=1, lt=2**62)]


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """`position` is that of the ledger's newest event at the moment of which the file is; `ledger` is the name of its
    file or schema and `origin` that in its signed heads, if it has any. With a `known_at` there are only the events
    that had been recorded by then. `keys` says whether the keys of private shipments are in the file."""

    format: str
    version: int
    position: int
    known_at: datetime | None
    keys: bool
    ledger: str
    origin: str
    made_at: datetime
    made_by: str


class EventLine(Struct, frozen=True, forbid_unknown_fields=True):
    """One event."""

    position: Place
    shipment_id: str
    version: Place
    topic: str
    state: Raw


class KeyLine(Struct, frozen=True, forbid_unknown_fields=True):
    """The key of one private shipment, in Base64."""

    key: bytes
    shipment_id: str


class Trailer(Struct, frozen=True, forbid_unknown_fields=True):
    """How much there was, and the SHA-256 of all of it in hexadecimal."""

    events: int
    keys: int
    sha256: str


encode_lines = msgspec.json.Encoder().encode_lines


def line(part: Header | Trailer) -> bytes:
    """The line of a part."""
    return msgspec.json.encode(part) + b"\n"
