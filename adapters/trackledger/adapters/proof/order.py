"""Does every event have its place: positions without gaps from 1 on, and versions of each shipment in their order?"""

from collections.abc import Iterator

from trackledger.adapters.proof.findings import NAMED, Finding
from trackledger.adapters.proof.leaves import as_bytes, in_words
from trackledger.adapters.storage.database import Database

_COUNTER = {
    "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = 'stored_events'",
    "postgresql": "SELECT last FROM {s}ledger_head",
}
"""The counter from which positions are handed out, in the transaction that stores the events."""


def ends(database: Database) -> tuple[int, int]:
    """The position of the last event, and the last one that was handed out, which is the same unless somebody else than
    the ledger has written. At one moment."""
    found = database.tuples(
        f"""SELECT (SELECT COALESCE(MAX(notification_id), 0) FROM {{s}}stored_events),
                   COALESCE(({_COUNTER[database.dialect]}), 0)"""
    )
    last, counter = found[0]
    # An SQLite column holds what it is given; a counter that is no number has handed out nothing.
    return int(last), counter if isinstance(counter, int) else 0


def dense_end(database: Database, last: int, span: int) -> int:
    """The last position up to `last` before which nowhere more than `span` of them in a row are without an event: what
    stands behind such a gap would take for ever to be looked for."""
    (count,) = database.tuples(
        "SELECT COUNT(*) FROM {s}stored_events WHERE notification_id BETWEEN 1 AND :last", last=last
    )[0]
    if last - count <= span:
        return last
    found = database.tuples(
        """SELECT MIN(position_before) FROM (
             SELECT notification_id, LAG(notification_id, 1, 0) OVER (ORDER BY notification_id) AS position_before
             FROM {s}stored_events WHERE notification_id BETWEEN 1 AND :last) AS e
           WHERE notification_id - position_before > :span""",
        last=last,
        span=span,
    )
    return last if found[0][0] is None else int(found[0][0])


def surplus(database: Database, last: int, counter: int) -> Iterator[Finding]:
    """Events at positions that were never handed out: before the first, and up to the `last` behind the `counter`."""
    found = database.tuples(
        f"""SELECT notification_id, {as_bytes(database.dialect, "originator_id")}, originator_version
           FROM {{s}}stored_events
           WHERE notification_id < 1 OR notification_id > :counter AND notification_id <= :last
           ORDER BY notification_id LIMIT :n""",
        counter=counter,
        last=last,
        n=NAMED,
    )
    for position, shipment_id, version in found:
        says = "the ledger has never handed out this position"
        yield Finding("surplus", says, position, position, in_words(shipment_id), str(version))


def versions(database: Database, upto: int) -> Iterator[Finding]:
    """Versions that do not follow on the one before, or lie before it in the ledger; the first of them."""
    found = database.tuples(
        f"""SELECT {as_bytes(database.dialect, "originator_id")}, originator_version, version_before, notification_id,
                  position_before FROM (
             SELECT originator_id, originator_version, notification_id,
               LAG(originator_version, 1, 0) OVER shipment AS version_before,
               LAG(notification_id, 1, 0) OVER shipment AS position_before
             FROM {{s}}stored_events WHERE notification_id <= :upto
             WINDOW shipment AS (PARTITION BY originator_id ORDER BY originator_version)) AS e
           WHERE originator_version <> version_before + 1 OR notification_id <= position_before
           ORDER BY notification_id LIMIT :n""",
        upto=upto,
        n=NAMED,
    )
    for shipment_id, version, before, position, position_before in found:
        if position <= position_before:
            says = f"version {before} of the shipment stands behind it, at position {position_before:,}"
        elif before == 0:
            says = "it is the first event of the shipment, and no version 1"
        else:
            says = f"the version before it is {before}, at position {position_before:,}"
        yield Finding("version", says, position, position, in_words(shipment_id), str(version))
