"""Which tables does a ledger consist of?"""

from datetime import datetime
from typing import Any

from msgspec import Struct

from trackledger.domain.links import Link
from trackledger.projections.table import Dialect, Index, Table
from trackledger.projections.tables import TABLES, VIEWS, Poisoned


class MessageRow(Struct, frozen=True):
    """One message as it arrived. Identical ones are stored once and counted in `times`.

    `state` is `waiting`, `done`, `parked`, `ignored` or `discarded`, the last three for a `reason`; `recorded`,
    `amended` and `repeated` count its checkpoints the last time it was taken in. `context` and `headers` are JSON
    objects, the latter of the few request headers that matter, none of them secret. Before `claimed_until`, in the
    machine's time, no pump takes it up, as one is at work on it, or it was put back; `tries` counts since it was last
    settled.
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
    tries: int
    claimed_until: datetime | None
    context: str
    headers: str
    body: bytes


class ScheduleRow(Struct, frozen=True):
    """When one tracker is asked about next, and why then.

    `state` is `asking`; `over`, when its journey has ended and nothing more is expected; or `stopped`, when somebody
    has to look at it. `reason` says why. Until `leased_until`, in the machine's time, a process is asking. `failures`,
    `unknown` and `unchanged` count in a row calls without an answer, answers that the provider does not know it yet,
    and answers that were the same again; `outcome` is of the last call and `digest` the message of the last answer.
    `followed` is whether the provider was told to follow it, where that is needed.
    """

    tracker: str
    account: str
    provider: str
    reference: str
    carrier: str
    tracking_number: str
    shipment_id: str
    state: str
    reason: str
    scheduled_at: datetime
    due_at: datetime
    leased_until: datetime | None = None
    failures: int = 0
    unknown: int = 0
    unchanged: int = 0
    asked: int = 0
    asked_at: datetime | None = None
    outcome: str = ""
    digest: str = ""
    followed: bool = False


class PollAccountRow(Struct, frozen=True):
    """What all processes that ask a provider for one account have to respect.

    `free_at`, in the machine's time, is when the next call is allowed, `blocked_until` until when the provider wants to
    be left alone. `stopped` says why the account is not asked at all, as long as its credentials are those with the
    digest `credentials`. `swept_until` is the watermark of the calls for everything that changed, `sweep_at` when the
    next is due and `sweep_leased_until` until when one is under way.
    """

    account: str
    provider: str
    free_at: datetime
    blocked_until: datetime | None
    stopped: str
    credentials: str
    swept_until: datetime | None
    sweep_at: datetime
    sweep_leased_until: datetime | None


class PositionRow(Struct, frozen=True):
    """How far one reader of the ledger has come."""

    name: str
    position: int


class RebuildRow(Struct, frozen=True):
    """The rebuild that is under way or was interrupted, of which there is one at most.

    It makes `tables`, separated by commas, by `policies` of a version; `recipe` is a digest of all on which their rows
    depend besides the events. `marker` is the name of their position, and a new one for each process that works on it.
    They are filled with the events up to `upto`, of which `events` were folded, up to the shipment `filled_to`, or with
    all (`is_filled`). Until `leased_until`, in the machine's time, nobody else takes it over.
    """

    name: str
    marker: str
    tables: str
    policies: str
    recipe: str
    upto: int
    filled_to: str
    events: int
    is_filled: bool
    process: str
    began_at: datetime
    alive_at: datetime
    leased_until: datetime


class BuildRow(Struct, frozen=True):
    """By which version of the policies a table was made anew, and when; or of one that was replaced since and is kept
    under the name `…__old`, when that was and the position at which it was. One that is `being_dropped` is no longer
    whole."""

    name: str
    policies: str
    since: datetime
    position: int | None = None
    being_dropped: bool = False


class CommandRow(Struct, frozen=True):
    """That a command was given under a key of its sender's, and what was answered to it with which HTTP status.

    `key` is a digest of that key, and `request` one of what was to be done, made with it. Until `leased_until`, in the
    machine's time, it is being done; without an `answer` after that, whoever did it died.
    """

    account: str
    key: str
    request: str
    began_at: datetime
    leased_until: datetime
    status: int
    answer: str | None


class VaultRow(Struct, frozen=True):
    """The key under which the words of a private shipment are sealed; its text is gone for ever once the row is."""

    shipment_id: str
    secret: bytes


class TileRow(Struct, frozen=True):
    """A part of the Merkle tree over the events: up to 256 hashes of 32 bytes, side by side; see `proof.tiles`."""

    level: int
    number: int
    hashes: bytes


class HeadRow(Struct, frozen=True):
    """That the first `size` events had this `root` at `sealed_at`, as the signed `note` says; see `proof.heads`."""

    size: int
    root: bytes
    sealed_at: datetime
    note: str


LINKS = Table(
    "tracker_links", Link, ("tracker",), [Index(("shipment_id",)), Index(("reference",)), Index(("tracking_number",))]
)
MESSAGES = Table(
    "messages",
    MessageRow,
    ("message_id",),
    [
        Index(("state", "received_at", "message_id"), where="state IN ('waiting', 'parked')"),
        Index(("account", "state", "received_at", "message_id"), where="state = 'parked'"),
        Index(("account", "provider", "last_received_at")),
    ],
    personal=("body", "reason", "context", "headers"),
)
SCHEDULE = Table(
    "poll_schedule",
    ScheduleRow,
    ("tracker",),
    [
        Index(("account", "provider", "state", "due_at", "tracker")),
        Index(("account", "state", "due_at", "tracker")),
        Index(("account", "state", "due_at", "tracker"), where="failures > 0", name="failing"),
        Index(("shipment_id",)),
    ],
)
POLL_ACCOUNTS = Table("poll_accounts", PollAccountRow, ("account", "provider"))
POSITIONS = Table("positions", PositionRow, ("name",))
POISONED = Table("poisoned", Poisoned, ("shipment_id",), personal=("reason",))
REBUILDS = Table("rebuilds", RebuildRow, ("name",))
BUILDS = Table("builds", BuildRow, ("name",))
COMMANDS = Table("commands", CommandRow, ("account", "key"), [Index(("began_at",))], personal=("answer",))
VAULT = Table("vault", VaultRow, ("shipment_id",), personal=("secret",))
TREE_TILES = Table("tree_tiles", TileRow, ("level", "number"))
TREE_HEADS = Table("tree_heads", HeadRow, ("size",))

MACHINERY: tuple[Table[Any], ...] = (
    LINKS,
    MESSAGES,
    SCHEDULE,
    POLL_ACCOUNTS,
    POSITIONS,
    POISONED,
    COMMANDS,
    VAULT,
    TREE_TILES,
    TREE_HEADS,
    REBUILDS,
    BUILDS,
)

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
    return create_bare(dialect, prefix) + create_rest(dialect, prefix)


def create_bare(dialect: Dialect, prefix: str = "") -> list[str]:
    """The statements that make its tables with their primary keys alone, as they are filled the fastest."""
    if dialect == "sqlite":
        statements = [_STORED_EVENTS_SQLITE]
    else:
        statements = [
            _STORED_EVENTS_POSTGRESQL.format(s=prefix),
            _LEDGER_HEAD.format(s=prefix),
            f"INSERT INTO {prefix}ledger_head VALUES (TRUE, 0)",
        ]
    for table in (*MACHINERY, *TABLES):
        statements += [table.create_bare(dialect, prefix), *table.forbid_statistics(dialect, prefix)]
    return statements


def create_rest(dialect: Dialect, prefix: str = "") -> list[str]:
    """The statements that then make their indexes and the views."""
    indexes = [index for table in (*MACHINERY, *TABLES) for index in table.create_indexes(dialect, prefix)]
    return indexes + [view.create(dialect, prefix) for view in VIEWS]
