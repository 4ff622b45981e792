"""Messages of every provider that name a person, and where in a ledger that name can be found."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from msgspec.structs import replace

from support.messages import of_provider
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import PROVIDERS, normalize
from trackledger.adapters.providers.base import Message
from trackledger.adapters.storage.database import Database
from trackledger.domain.errors import MessageError

WORDS = frozenset(
    {"remark", "message", "checkpoint_message", "status_description", "description", "details", "comment"}
)
"""Keys under which providers give a carrier's own words."""


def named(name: str, word: str) -> Iterator[Message]:
    """Every fixture that tells of parcels, with `name` as its recipient's and `word` in what its carrier says."""
    for provider in PROVIDERS:
        for kept in of_provider(provider):
            try:
                if not normalize(kept):
                    continue
            except MessageError:
                continue
            yield planted(kept, name, word)


def planted(kept: Message, name: str, word: str) -> Message:
    """One message so."""
    body = _with_words(json.loads(kept.body), word)
    recipient = {"name": f"Anna {name}", "phone": f"+91 {name}", "address": f"7 {name} Road"}
    for one in body if isinstance(body, list) else [body]:
        one["recipient_details"] = recipient
    raw = json.dumps(body).encode()
    made = message(
        kept.provider,
        raw,
        channel=kept.channel,
        received_at=kept.received_at,
        context=kept.context,
        account=kept.account,
    )
    return replace(made, headers=kept.headers)


def _with_words(value: Any, word: str) -> Any:
    if isinstance(value, list):
        return [_with_words(one, word) for one in value]
    if isinstance(value, dict):
        return {
            key: f"{one} {word}" if key in WORDS and isinstance(one, str) and one else _with_words(one, word)
            for key, one in value.items()
        }
    return value


def files(database: Database, url: str) -> list[Path]:
    """Every file in which the database keeps the ledger, without the server's own log."""
    if database.dialect == "sqlite":
        file = Path(url.removeprefix("sqlite:///"))
        return sorted(file.parent.glob(f"{file.name}*"))
    with psycopg.connect(url.partition("?schema=")[0].partition("&schema=")[0], autocommit=True) as connection:
        # What is only in the server's memory yet would not be seen.
        connection.execute("CHECKPOINT")
        found = connection.execute("SELECT current_setting('data_directory')").fetchone()
    assert found is not None
    data = Path(found[0])
    return sorted(path for path in data.rglob("*") if path.is_file() and "pg_wal" not in path.parts)


def found_in(paths: list[Path], text: str) -> list[str]:
    """The files that hold a text."""
    return [path.name for path in paths if text.encode() in path.read_bytes()]


def tables_with(database: Database, text: str) -> set[str]:
    """The tables of the ledger of which some row holds a text."""
    if database.dialect == "sqlite":
        names = [row[0] for row in database.tuples("SELECT name FROM sqlite_master WHERE type = 'table'")]
    else:
        names = [
            row[0]
            for row in database.tuples(
                "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = :schema",
                schema=database.schema.strip('".'),
            )
        ]
    return {name for name in names if any(_holds(row, text) for row in database.tuples(f"SELECT * FROM {{s}}{name}"))}


def _holds(row: tuple[Any, ...], text: str) -> bool:
    return any(text.encode() in (value if isinstance(value, bytes) else str(value).encode()) for value in row)
