"""Does a ledger say of the simulated parcels what is true of them?"""

from datetime import datetime

from trackledger.adapters.simulator.truth import Key, Row, Truth
from trackledger.domain.milestones import Milestone
from trackledger.projections import delivery_dates
from trackledger.projections.table import Reader

MOST = 1_000_000
"""Late parcels that are looked at, many times what can be simulated."""

Difference = tuple[Row | None, Row]
"""What the ledger says, None where it knows no such tracker, and what is true."""


def concluded(store: Reader, at: datetime) -> dict[Key, Row]:
    """What the tables say of each tracker as of an instant, in the form of the truth."""
    cases = {
        row["shipment_id"]: row["state"]
        for row in store.read("SELECT shipment_id, state FROM {s}ndr_cases ORDER BY shipment_id, case_no")
    }
    found_late = delivery_dates.late(store, delivery_dates.Sought(), at, delivery_dates.BY_PROMISED_BY, MOST)
    late = {row["shipment_id"] for row in found_late.rows}
    shipments = {
        row["shipment_id"]: row
        for row in store.read("SELECT shipment_id, milestone, attempts, checkpoints FROM {s}shipments")
    }
    found = {}
    for link in store.read("SELECT provider, reference, shipment_id FROM {s}tracker_links WHERE provider <> 'host'"):
        shipment = shipments.get(link["shipment_id"])
        if shipment is None:
            continue
        case = cases.get(link["shipment_id"], "closed")
        found[link["provider"], link["reference"]] = Row(
            Milestone(shipment["milestone"]),
            shipment["attempts"],
            "" if case == "closed" else case,
            link["shipment_id"] in late,
            shipment["checkpoints"] > 0,
        )
    return found


def differences(store: Reader, truth: Truth) -> dict[Key, Difference]:
    """Where the tables and the truth differ, both as of the instant of the truth."""
    said = concluded(store, truth.at)
    return {key: (said.get(key), true) for key, true in truth.rows.items() if said.get(key) != true}
