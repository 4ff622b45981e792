"""What every test may ask for: a database of either kind, a ledger on it, and messages to feed it."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from support.cli import Cli
from support.postgres import server
from support.workers import Processes, processes
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings
from trackledger.adapters.storage import open_database
from trackledger.adapters.storage.database import Database

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The same examples every time: a run that fails here fails everywhere.
settings.register_profile("stable", derandomize=True)
settings.load_profile("stable")

KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL that is really running."""
    if url := os.environ.get("TRACKLEDGER_TEST_POSTGRES"):
        yield url
    else:
        with server() as url:
            yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an unused schema, dropped afterwards."""
    import psycopg

    schema = f"test_{uuid.uuid4().hex}"
    yield f"{postgres_server}{'&' if '?' in postgres_server else '?'}schema={schema}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'.encode())


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty place for a ledger: once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def places(postgres_server: str, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes URLs, of either kind, at which there is nothing yet; what comes there is removed afterwards."""
    import psycopg

    schemas: list[str] = []

    def place(kind: str) -> str:
        name = f"into_{uuid.uuid4().hex}"
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        schemas.append(name)
        return f"{postgres_server}{'&' if '?' in postgres_server else '?'}schema={name}"

    yield place
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name in schemas:
            connection.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE'.encode())


@pytest.fixture
def open_ledger(database_url: str) -> Iterator[Callable[[], Runtime]]:
    """Opens the ledger at `database_url`, again with each call."""
    opened: list[Runtime] = []

    def open_() -> Runtime:
        opened.append(open_runtime(Settings(database_url)))
        return opened[-1]

    yield open_
    for runtime in opened:
        runtime.close()


@pytest.fixture
def runtime(open_ledger: Callable[[], Runtime]) -> Runtime:
    """An open, empty ledger."""
    return open_ledger()


@pytest.fixture(scope="session")
def others() -> Iterator[Processes]:
    """Eight other processes to do work at the same time."""
    with processes(8) as running:
        yield running


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open, empty ledger's database."""
    database = open_database(database_url)
    yield database
    database.close()


@pytest.fixture
def cli(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The `trackledger` command on an empty place, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRACKLEDGER_DB", "TRACKLEDGER_CONFIG", "TRACKLEDGER_FOLLOW_UP", "TRACKLEDGER_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    return Cli(database_url)


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """The command on a ledger of two parcels: one whose delivery failed once, one that was never picked up."""
    cli.ingest("poll_failed_delivery", "poll_not_picked_up")
    return cli


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A browser. It ends with the module, as no event loop can be begun in this thread meanwhile."""
    from support.browser import chromium

    with chromium() as browser:
        yield browser
