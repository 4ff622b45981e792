"""How many pieces of a consignment have arrived?"""

from trackledger.projections.table import View

CONSIGNMENTS = View(
    "consignments",
    """SELECT piece_of AS shipment_id, COUNT(*) AS pieces,
              SUM(CASE WHEN milestone = 'delivered' THEN 1 ELSE 0 END) AS delivered,
              SUM(CASE WHEN NOT is_final THEN 1 ELSE 0 END) AS open,
              SUM(CASE WHEN is_final AND milestone <> 'delivered' THEN 1 ELSE 0 END) AS failed,
              CASE WHEN SUM(CASE WHEN milestone = 'delivered' THEN 1 ELSE 0 END) = COUNT(*) THEN 'complete'
                   WHEN SUM(CASE WHEN is_final THEN 1 ELSE 0 END) = COUNT(*) THEN 'incomplete'
                   WHEN SUM(CASE WHEN milestone = 'delivered' THEN 1 ELSE 0 END) > 0 THEN 'partial'
                   ELSE 'open' END AS state
       FROM {s}shipments WHERE piece_of IS NOT NULL GROUP BY piece_of""",
)
"""One row per parent shipment. A view, because its pieces are shipments of their own whose rows change by themselves.

`state` is `open` while no piece has arrived, `partial` while some have, `complete` when all have, and `incomplete` when
nothing more is expected and some have not.
"""
