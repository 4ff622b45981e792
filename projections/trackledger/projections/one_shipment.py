"""What is known of one shipment, all together?"""

import json
from datetime import datetime
from typing import Any

from trackledger.projections import consignments, delivery_dates, ndr, shipments, silence
from trackledger.projections.table import Reader


def row_of(store: Reader, shipment_id: str) -> dict[str, Any] | None:
    """Its row in `shipments`; None where there is none."""
    found = store.read("SELECT * FROM {s}shipments WHERE shipment_id = :id", id=shipment_id)
    return found[0] if found else None


def status_of(store: Reader, row: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Everything known of one shipment as of `now`, from its row in `shipments`."""
    id_ = row["shipment_id"]
    return {
        "shipment_id": id_,
        "account": row["account"],
        "reference": row["reference"],
        "order_id": row["order_id"],
        "trackers": shipments.trackers(store, id_),
        "status": {
            "milestone": row["milestone"],
            "leg": row["leg"],
            "since": row["since"],
            "location": row["location"],
            "said": row["said"],
            "because": {"rule": row["reason_rule"], "checkpoints": json.loads(row["because"])},
        },
        "ndr": ndr.newest(store, id_),
        "silence": silence.of(store, id_, now),
        "delivery": delivery_dates.of(store, id_, now),
        "consignment": consignments.of(store, id_),
        "checkpoints": row["checkpoints"],
        "position": row["position"],
    }
