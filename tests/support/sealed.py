"""A ledger of some parcels that is sealed with a key, and how its database is changed behind its back."""

from collections.abc import Callable, Sequence
from typing import Any

from eventsourcing.persistence import StoredEvent

from support.parcels import webhooks
from trackledger.adapters.proof.heads import Trust
from trackledger.adapters.proof.notes import SigningKey, new_key
from trackledger.adapters.proof.sealer import Sealer
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.database import Database

PARCELS = 40
EVENTS = PARCELS * 8
"""One that opens each shipment and one for each of seven scans: more than one tile, and not a whole number of them."""

KEY = new_key("tracking.shop")
OTHER_KEY = new_key("tracking.shop")


def fill(runtime: Runtime) -> None:
    """Take in the parcels, and bring the tables up to them."""
    runtime.ledger.intake(webhooks(PARCELS))
    runtime.projector.catch_up()


def add(runtime: Runtime, events: int, state: bytes = b'{"recorded_at":"2026-03-06T10:00:00Z","account":"x"}') -> None:
    """Append so many events of as many shipments, which is quicker than taking them in."""
    first = runtime.store.head() + 1
    with runtime.database.transaction() as transaction:
        transaction.append([StoredEvent(f"x:{n}", 1, "shipment.Opened", state) for n in range(first, first + events)])


def sealer(runtime: Runtime, key: SigningKey = KEY, *others: SigningKey) -> Sealer:
    """What seals it."""
    return Sealer(runtime.database, key, Trust((key.verifier, *(one.verifier for one in others))))


Change = Callable[[Database], None]


def sql(*statements: str, **params: Any) -> Change:
    """Execute statements in one transaction."""

    def change(database: Database) -> None:
        with database.transaction() as transaction:
            for statement in statements:
                used = {name: value for name, value in params.items() if f":{name}" in statement}
                transaction.execute(statement, **used)

    return change


def event(database: Database, position: int) -> tuple[str, int, str, bytes]:
    """Shipment, version, topic and state of the event at a position."""
    (found,) = database.tuples(
        "SELECT originator_id, originator_version, topic, state FROM {s}stored_events WHERE notification_id = :at",
        at=position,
    )
    return found[0], found[1], found[2], bytes(found[3])


def flip(position: int, column: str, value: Callable[[Any], Any]) -> Change:
    """Change one field of an event."""

    def change(database: Database) -> None:
        (found,) = database.tuples(f"SELECT {column} FROM {{s}}stored_events WHERE notification_id = :at", at=position)
        sql(
            f"UPDATE {{s}}stored_events SET {column} = :value WHERE notification_id = :at",
            value=value(found[0]),
            at=position,
        )(database)

    return change


def swap(one: int, other: int) -> Change:
    """Let two events change places."""
    move = "UPDATE {{s}}stored_events SET notification_id = {} WHERE notification_id = {}"
    return sql(move.format(-1, one), move.format(one, other), move.format(other, -1))


def shift(first: int, by: int) -> Sequence[str]:
    """Statements that move every event from a position on."""
    away = f"UPDATE {{s}}stored_events SET notification_id = -notification_id WHERE notification_id >= {first}"
    back = f"UPDATE {{s}}stored_events SET notification_id = {by} - notification_id WHERE notification_id < 0"
    return away, back


INSERT = (
    "INSERT INTO {s}stored_events (notification_id, originator_id, originator_version, topic, state) "
    "VALUES (:at, :id, :version, :topic, :state)"
)


def put_in(position: int) -> Change:
    """Put in one more event, moving those from there on."""
    state = b'{"recorded_at":"2026-03-06T10:00:00Z","account":"default"}'
    return sql(
        *shift(position, 1),
        INSERT,
        at=position,
        id="default:host:FORGED",
        version=1,
        topic="shipment.Opened",
        state=state,
    )


def take_out(position: int) -> Change:
    """Take out an event and close the gap."""
    return sql(f"DELETE FROM {{s}}stored_events WHERE notification_id = {position}", *shift(position, -1))


FORGET_THE_TREE = (
    "DELETE FROM {s}tree_tiles",
    "DELETE FROM {s}tree_heads",
    "DELETE FROM {s}positions WHERE name = 'tree'",
)
