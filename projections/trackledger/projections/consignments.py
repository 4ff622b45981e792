"""How many pieces of a consignment have arrived?"""

from typing import Any

from trackledger.domain.checkpoints import AssertionKind
from trackledger.projections.table import Reader, View

_PIECES = """SELECT piece_of AS shipment_id, COUNT(*) AS pieces,
              SUM(CASE WHEN milestone = 'delivered' THEN 1 ELSE 0 END) AS delivered,
              SUM(CASE WHEN NOT is_final THEN 1 ELSE 0 END) AS open,
              SUM(CASE WHEN is_final AND milestone <> 'delivered' THEN 1 ELSE 0 END) AS failed
       FROM {s}shipments WHERE piece_of IS NOT NULL GROUP BY piece_of
       UNION ALL
       SELECT shipment_id, pieces,
              CASE WHEN milestone = 'delivered' THEN pieces ELSE 0 END,
              CASE WHEN NOT is_final THEN pieces ELSE 0 END,
              CASE WHEN is_final AND milestone <> 'delivered' THEN pieces ELSE 0 END
       FROM {s}shipments p WHERE pieces > 1
       AND NOT EXISTS (SELECT 1 FROM {s}shipments c WHERE c.piece_of = p.shipment_id)"""

CONSIGNMENTS = View(
    "consignments",
    f"""SELECT shipment_id, pieces, delivered, open, failed,
              CASE WHEN delivered = pieces THEN 'complete' WHEN open = 0 THEN 'incomplete'
                   WHEN delivered > 0 THEN 'partial' ELSE 'open' END AS state
       FROM ({_PIECES}) counted""",
)
"""One row per parent shipment. A view, because its pieces are shipments of their own whose rows change by themselves.

`state` is `open` while no piece has arrived, `partial` while some have, `complete` when all have, and `incomplete` when
nothing more is expected and some have not. Where a provider only counts the pieces, all share their shipment's state.
"""


COUNTED_BY = AssertionKind.PIECES
"""The claim by which a provider counts pieces that are no shipments of their own."""

RULES_VERSION = "consignments-1"

RULES: dict[str, str] = {
    "open": "No piece has arrived, and some are still on their way.",
    "partial": "Some pieces have arrived, and others are still on their way.",
    "complete": "All pieces have arrived.",
    "incomplete": "Nothing more is expected, and some pieces have not arrived.",
    "each": "Each piece is a shipment of its own, whose status says whether it has arrived.",
    "counted": "The provider only counts the pieces: all share the state of this shipment.",
}
"""Rule, or state of a consignment, to what it says; see `domain.policies`."""


def pieces(store: Reader, shipment_id: str, limit: int | None = None) -> list[dict[str, Any]]:
    """The rows of `shipments` of those that are pieces of a shipment, in the order of their ids, up to so many."""
    end = "" if limit is None else f" LIMIT {limit}"
    return store.read(f"SELECT * FROM {{s}}shipments WHERE piece_of = :id ORDER BY shipment_id{end}", id=shipment_id)


def of(store: Reader, shipment_id: str) -> dict[str, Any] | None:
    """The consignment of one shipment, None when it is no parent."""
    found = store.read("SELECT * FROM {s}consignments WHERE shipment_id = :id", id=shipment_id)
    return found[0] if found else None
