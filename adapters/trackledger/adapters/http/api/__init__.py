"""What do other systems ask over HTTP, and what may they do?"""

from trackledger.adapters.http.api import (
    actions,
    analytics,
    changes,
    commands,
    messages,
    one_shipment,
    operations,
    queues,
    shipments,
    summary,
    told,
)

ROUTERS = (
    analytics.ROUTER,
    queues.ROUTER,
    operations.ROUTER,
    summary.ROUTER,
    changes.ROUTER,
    commands.ROUTER,
    actions.ROUTER,
    shipments.ROUTER,
    told.ROUTER,
    messages.ROUTER,
    one_shipment.ROUTER,
    one_shipment.GENERAL,
)
"""The routes below `/api`. A route of one shipment takes any id, so that longer ones stand before it."""
