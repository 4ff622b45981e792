"""Which rows does a shipment have by its stored events, as they are now or as they were?"""

from collections.abc import Sequence
from datetime import datetime

from eventsourcing.persistence import Notification
from msgspec import Struct
from msgspec.structs import astuple

from trackledger.domain.events import FORGOTTEN
from trackledger.domain.links import Link, links_of
from trackledger.domain.mapper import decode, recorded_at
from trackledger.domain.statements import fold
from trackledger.projections.conclusions import Policies, conclude
from trackledger.projections.digest import Rows
from trackledger.projections.tables import TABLES, Poisoned, poisoned


class AsOf(Struct, frozen=True):
    """As of when: what the ledger had recorded by `known_at`, by its own clock; of that, what had happened by
    `valid_at`. None stands for all there is."""

    known_at: datetime | None = None
    valid_at: datetime | None = None


class Folded(Struct, frozen=True):
    """One shipment as of a moment: its rows, in the order of `TABLES`, and its links; or why it cannot be folded."""

    shipment_id: str
    rows: Rows
    links: list[Link]
    poison: Poisoned | None = None


def known(stream: Sequence[Notification], as_of: AsOf) -> Sequence[Notification]:
    """The events that had been recorded."""
    moment = as_of.known_at
    return stream if moment is None else [stored for stored in stream if recorded_at(stored) <= moment]


def folded(shipment_id: str, stream: Sequence[Notification], policies: Policies, as_of: AsOf) -> Folded | None:
    """The shipment by all of its stored events, oldest first; None where nothing had been recorded of it.

    A shipment that was forgotten is so in its past too. One that cannot be folded has no rows.
    """
    found: list[Link] = []
    try:
        by_then = known(stream, as_of)
        if not by_then:
            return None
        events = [decode(stored) for stored in by_then]
        found = links_of(shipment_id, (placed.event for placed in events))
        statements = fold(shipment_id, events)
        statements.forgotten = any(stored.topic == FORGOTTEN for stored in stream)
        if as_of.valid_at is not None:
            statements = statements.until(as_of.valid_at)
        concluded = conclude(statements, policies)
        rows: Rows = [[astuple(row) for row in rows_of(concluded)] for rows_of in TABLES.values()]
    except Exception as error:
        return Folded(shipment_id, [[] for _ in TABLES], found, poisoned(shipment_id, stream, error))
    return Folded(shipment_id, rows, found)
