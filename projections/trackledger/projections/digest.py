"""Do two ledgers hold the same rows? One number says so, whatever the database and the order of arrival.

The digest of a shipment is SHA-256 over a JSON array in UTF-8 without blanks: for each table of `TABLES`, in that
order, the array of its rows in key order, each the array of its values in column order. Days are `YYYY-MM-DD`,
instants RFC 3339 in UTC with `Z`, with six digits of a second's fraction or, where that is zero, none. The digest of a
ledger is SHA-256 over the digests, 32 bytes each, of all shipments that have any rows, in the order of their ids (by
code point). Views and the machinery's own tables are not in it.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any, Protocol

import msgspec

from trackledger.projections.table import Reader
from trackledger.projections.tables import TABLES

PAGE = 500
"""Shipments that are read at a time."""

Values = tuple[Any, ...]
"""The values of a row in column order."""

Rows = list[list[Values]]
"""All rows of one shipment: those of each table, in the order of `TABLES`, in key order."""

_encode = msgspec.json.Encoder().encode


class Tuples(Reader, Protocol):
    """A reader that also answers with bare tuples."""

    def tuples(self, sql: str, **params: Any) -> list[Values]:
        """Rows as tuples."""
        ...


def of_shipment(rows: Rows) -> bytes:
    """The digest of one shipment."""
    return sha256(_encode(rows)).digest()


class Digest:
    """The digest of a ledger, from its shipments' in the order of their ids."""

    def __init__(self) -> None:
        self._sha256 = sha256()

    def add(self, digests: bytes) -> None:
        """Take in the digests of the next shipments, one after the other."""
        self._sha256.update(digests)

    def hexdigest(self) -> str:
        """The digest so far."""
        return self._sha256.hexdigest()


def stored(reader: Tuples, after: str = "", last: str | None = None) -> dict[str, Rows]:
    """All rows of the shipments from the one behind `after` to `last`, or to the end; by id, in their order."""
    found: dict[str, Rows] = {}
    limit = "" if last is None else "AND shipment_id <= :last"
    for place, table in enumerate(TABLES):
        id_of = itemgetter(table.names.index("shipment_id"))
        for row in reader.tuples(
            f"""SELECT {", ".join(table.names)} FROM {{s}}{table.name} WHERE shipment_id > :after {limit}
                ORDER BY {", ".join(table.key)}""",
            after=after,
            **({} if last is None else {"last": last}),
        ):
            rows = found.get(id_of(row))
            if rows is None:
                rows = found[id_of(row)] = [[] for _ in TABLES]
            rows[place].append(row)
    return dict(sorted(found.items()))


def pages(reader: Tuples, size: int = PAGE) -> Iterator[tuple[str, str | None]]:
    """Ranges of shipment ids for `stored`, which together are all of them; the last one has no end."""
    after: str = ""
    while True:
        found = reader.tuples(
            "SELECT shipment_id FROM {s}shipments WHERE shipment_id > :after ORDER BY shipment_id LIMIT 1 OFFSET :n",
            after=after,
            n=size - 1,
        )
        last = found[0][0] if found else None
        yield after, last
        if last is None:
            return
        after = last


def of_tables(reader: Tuples) -> str:
    """The digest of the rows that a ledger holds, in hexadecimal; read page by page."""
    digest = Digest()
    for after, last in pages(reader):
        digest.add(b"".join(map(of_shipment, stored(reader, after, last).values())))
    return digest.hexdigest()


def of_rows(shipments: Sequence[Rows]) -> bytes:
    """The digests of some shipments, one after the other."""
    return b"".join(map(of_shipment, shipments))
