"""Is every question of the API and every page of the console answered by way of an index?"""

from collections.abc import Iterator
from itertools import combinations
from random import Random
from typing import Any

import httpx
import psycopg
import pytest
from msgspec import Struct

from support.many import SECRET, fill, settings
from support.routes import pages, questions, values
from support.watched import Watched
from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import serving
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.storage import open_database
from trackledger.adapters.storage.schema import LINKS, MESSAGES, SCHEDULE
from trackledger.projections.table import Kind, Table
from trackledger.projections.tables import TABLES

SHIPMENTS = 1_000
COPIES = 20
LARGE: tuple[Table[Any], ...] = (*TABLES, LINKS, MESSAGES, SCHEDULE)
NAMES = [table.name for table in LARGE]
IDS = {"shipment_id", "message_id", "tracker", "reference"}
"""Columns that make a copy of a row a row of its own."""

OF_EVERYTHING = "analytics"
"""Figures of all that has ended are made of all of it."""


class Asked(Struct):
    """A large ledger that remembers what it is asked, and a client of it."""

    runtime: Runtime
    watched: Watched
    client: httpx.Client


def multiply(runtime: Runtime) -> None:
    """Copy every row, so that a database which knows how large its tables are does not care to read them whole."""
    with runtime.database.transaction() as transaction:
        for table in LARGE:
            columns = [
                f"{one.name} || '~' || n" if one.name in IDS and one.kind is Kind.TEXT else one.name
                for one in table.columns
            ]
            transaction.execute(
                f"""WITH RECURSIVE copies (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < {COPIES})
                    INSERT INTO {{s}}{table.name} ({", ".join(table.names)})
                    SELECT {", ".join(columns)} FROM {{s}}{table.name}, copies"""
            )


@pytest.fixture
def asked(database_url: str) -> Iterator[Asked]:
    with open_runtime(settings(database_url)) as runtime:
        for _ in fill(runtime, SHIPMENTS):
            pass
        if runtime.database.dialect == "postgresql":
            multiply(runtime)
            with psycopg.connect(database_url.rpartition("&")[0], autocommit=True) as connection:
                for name in NAMES:
                    connection.execute(f"VACUUM ANALYZE {runtime.database.schema}{name}".encode())
    watched = Watched(open_database(database_url))
    with (
        Runtime(watched, settings(database_url)) as runtime,
        serving(create_app(runtime), grace=1) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        yield Asked(runtime, watched, client)


def statements(asked: Asked) -> Iterator[tuple[str, bool, str]]:
    """Each statement that is asked for any route or page, the question that was the first to ask it, and whether that
    narrows nothing down."""
    seen = set(asked.watched.asked)

    def new(title: str, is_plain: bool) -> Iterator[tuple[str, bool, str]]:
        for sql in [sql for sql in asked.watched.asked if sql not in seen]:
            seen.add(sql)
            yield title, is_plain, sql

    known = values(asked.runtime)
    # Of the others there are only rows.
    known["shipment_id"] = [one for one in known["shipment_id"] if "~" not in one]
    seen.update(asked.watched.asked)
    chance = Random(1)
    bearer = {"authorization": f"Bearer {SECRET}"}
    for question in questions(asked.client.get("/openapi.json").json(), known):
        pairs = list(combinations(question.free, 2))
        chance.shuffle(pairs)
        for given in [(), *((name,) for name in question.free), *pairs[: len(question.free)]]:
            path, params = question.asked(given, chance, known)
            is_plain = set(given) <= {"sort"}
            response = asked.client.get(path, params=params, headers=bearer)
            yield from new(f"{path} {params}", is_plain)
            if following := response.links.get("next", {}).get("url"):
                asked.client.get(f"{path}{following}", headers=bearer)
                yield from new(f"{path} {params}, the page that follows", is_plain)
    for page in pages(asked.client, SECRET, 2):
        yield from new(page.address, not page.shape[1])
    address = f"/console/shipments/{known['shipment_id'][0]}"
    assert asked.client.get(address).status_code == 200
    yield from new(address, is_plain=True)


def rows(runtime: Runtime, name: str) -> int:
    return int(runtime.store.read(f"SELECT COUNT(*) AS n FROM {{s}}{name}")[0]["n"])


def test_an_index_leads_to_whatever_is_asked(asked: Asked) -> None:
    found = [
        (title, is_plain, sql)
        for title, is_plain, sql in statements(asked)
        if sql.lstrip().upper().startswith(("SELECT", "WITH"))
    ]
    assert {title.split("/")[1] for title, _, _ in found} == {"api", "console"}
    unindexed = "SELECT * FROM {s}timeline WHERE remark = 'unheard of'"
    asked.watched.read(unindexed)
    assert asked.watched.scans(unindexed, NAMES) == asked.watched.preferred_scans(unindexed, NAMES) == ["timeline"]

    nothing_leads = [
        f"{title}: {tables}\n{sql}" for title, _, sql in found if (tables := asked.watched.scans(sql, NAMES))
    ]
    large = [
        name for name in NAMES if asked.runtime.store.read(f"SELECT COUNT(*) AS n FROM {{s}}{name}")[0]["n"] > 2_000
    ]
    preferred = [
        f"{title}: {tables}\n{sql}"
        for title, is_plain, sql in found
        if is_plain and OF_EVERYTHING not in title and (tables := asked.watched.preferred_scans(sql, large))
    ]
    assert (nothing_leads, preferred) == ([], []), "\n\n".join([*nothing_leads, *preferred])
