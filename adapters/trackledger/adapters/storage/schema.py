"""Which tables does a ledger consist of?"""

from datetime import datetime
from typing import Any

from msgspec import Struct

from trackledger.domain.links import Link
from trackledger.projections.table import Dialect, Index, Table
from trackledger.projections.tables import TABLES, VIEWS, Poisoned


class MessageRow(Struct, frozen=True):
    """One message as it arrived. Identical ones are stored once and counted in `times`.

    `state` is `waiting`, `done`, `parked` (see `reason`) or `ignored` (see `reason`); `recorded`, `amended` and
    `repeated` count its checkpoints the last time it was taken in. `context` is a JSON object.
    """

    message_id: str
    provider: str
    account: str
    channel: str
    state: str
    reason: str | None
    received_at: datetime
    last_received_at: datetime
    times: int
    recorded: int
    amended: int
    repeated: int
    context: str
    body: bytes


class PositionRow(Struct, frozen=True):
    """How far one reader of the ledger has come."""

    name: str
    position: int


LINKS = Table(
    "tracker_links", Link, ("tracker",), [Index(("shipment_id",)), Index(("reference",)), Index(("tracking_number",))]
)
MESSAGES = Table(
    "messages", MessageRow, ("message_id",), [Index(("state", "received_at"), where="state IN ('waiting', 'parked')")]
)
POSITIONS = Table("positions", PositionRow, ("name",))
POISONED = Table("poisoned", Poisoned, ("shipment_id",))

MACHINERY: tuple[Table[Any], ...] = (LINKS, MESSAGES, POSITIONS, POISONED)

# AUTOINCREMENT: a bare rowid is renumbered by VACUUM and reused after a deletion.
_STORED_EVENTS_SQLITE = """CREATE TABLE stored_events (
  notification_id INTEGER PRIMARY KEY AUTOINCREMENT,
  originator_id TEXT NOT NULL,
  originator_version INTEGER NOT NULL,
  topic TEXT NOT NULL,
  state BLOB NOT NULL,
  UNIQUE (originator_id, originator_version))"""

# Events of up to a page stay in their row uncompressed: compressing those above 2 kB, as is the default, took more time
# than writing them.
_STORED_EVENTS_POSTGRESQL = """CREATE TABLE {s}stored_events (
  notification_id BIGINT PRIMARY KEY,
  originator_id TEXT COLLATE "C" NOT NULL,
  originator_version BIGINT NOT NULL,
  topic TEXT COLLATE "C" NOT NULL,
  state BYTEA NOT NULL,
  UNIQUE (originator_id, originator_version)) WITH (toast_tuple_target = 8160)"""

# The counter row is the lock that makes ids gapless in the order of commits, and it hands them out. It is one row that
# every batch updates: leave room on its page so that updates stay there, and let vacuum come often.
_LEDGER_HEAD = """CREATE TABLE {s}ledger_head (one BOOLEAN PRIMARY KEY CHECK (one), last BIGINT NOT NULL)
  WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0)"""


def create(dialect: Dialect, prefix: str = "") -> list[str]:
    """Every statement that makes an empty ledger."""
    if dialect == "sqlite":
        statements = [_STORED_EVENTS_SQLITE]
    else:
        statements = [
            _STORED_EVENTS_POSTGRESQL.format(s=prefix),
            _LEDGER_HEAD.format(s=prefix),
            f"INSERT INTO {prefix}ledger_head VALUES (TRUE, 0)",
        ]
    for table in (*MACHINERY, *TABLES):
        statements += table.create(dialect, prefix)
    return statements + [view.create(dialect, prefix) for view in VIEWS]
