"""Which parcels does a benchmark follow? Deterministic, and about 400 bytes a checkpoint as a provider sends it."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from trackledger.domain.checkpoints import Checkpoint, Report, Tracker, content_digest, fingerprint
from trackledger.domain.milestones import Milestone
from trackledger.domain.moments import Moment, ZoneSource

CHECKPOINTS = 8
START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
CARRIERS = (
    (4, "Delhivery", 35_412_000_000_000),
    (5, "Blue Dart", 77_120_000_000),
    (6, "Xpressbees", 15_189_400_000_000),
)
PLACES = ("Faridabad_Okhla_H (Haryana)", "Bengaluru_Bommasandra_HB (Karnataka)", "Pune_Sudhwadi_GW (Maharashtra)")
M = Milestone
JOURNEY = (
    (1, M.INFO_RECEIVED, "Manifested", "Shipment details received from the client"),
    (4, M.PICKED_UP, "In Transit", "Shipment picked up from the client's warehouse"),
    (5, M.IN_TRANSIT, "In Transit", "Bag added to trip, vehicle departed from the facility"),
    (5, M.IN_TRANSIT, "In Transit", "Bag received at the facility, shipment sorted"),
    (1004, M.ARRIVED, "Pending", "Shipment received at the destination facility"),
    (6, M.OUT_FOR_DELIVERY, "Dispatched", "Out for delivery with the field executive"),
    (9, M.DELIVERY_FAILED, "Pending", "Consignee unavailable, delivery attempted at the address"),
    (8, M.DELIVERED, "Delivered", "Delivered to consignee"),
)


def checkpoint(waybill: str, cp_id: int, number: int, step: int, rng: random.Random) -> tuple[Checkpoint, bytes]:
    """One normalized checkpoint and the bytes in which a provider would send it."""
    code, milestone, said, remark = JOURNEY[step % len(JOURNEY)]
    at = START + timedelta(minutes=number % 50_000, hours=9 * step, seconds=rng.randrange(3600))
    local = (at + timedelta(minutes=330)).strftime("%Y-%m-%d %H:%M:%S")
    place = PLACES[(number + step) % len(PLACES)]
    id_ = 9_000_000_000 + number * 16 + step
    occurred = Moment(at, local, ZoneSource.ASSUMED, 330)
    raw = {
        "timestamp": local,
        "location": place,
        "remark": remark,
        "status": said,
        "clickpost_status_code": code,
        "checkpoint_id": id_,
        "tracking_id": 493_000_000 + number,
        "created_at": (at + timedelta(minutes=40)).strftime("%Y-%m-%d %H:%M:%S"),
        "clickpost_status_description": milestone.value,
        "clickpost_status_bucket": 3,
        "clickpost_status_bucket_description": "In transit",
    }
    normalized = Checkpoint(
        fingerprint=fingerprint("clickpost", str(cp_id), waybill, str(code), local, said, remark, place),
        digest=content_digest(occurred, str(code), said, place, remark),
        milestone=milestone,
        occurred=occurred,
        id=f"clickpost:{id_}",
        status_code=str(code),
        status_said=said,
        location=place,
        remark=remark,
    )
    return normalized, json.dumps(raw).encode()


def reports(shipments: int, per_report: int = CHECKPOINTS, first: int = 0) -> Iterator[tuple[Report, list[bytes]]]:
    """Reports in the order of their arrival: `per_report` checkpoints each, so that 1 means wave after wave."""
    for wave in range(CHECKPOINTS // per_report):
        for number in range(first, first + shipments):
            rng = random.Random(number * 31 + wave)
            cp_id, carrier, base = CARRIERS[number % len(CARRIERS)]
            # Neighbouring waybills are booked together and travel apart.
            waybill = str(base + number // 512 * 512 + (number * 167) % 512)
            steps = range(wave * per_report, (wave + 1) * per_report)
            pairs = [checkpoint(waybill, cp_id, number, step, rng) for step in steps]
            yield (
                Report(
                    account="default",
                    tracker=Tracker("clickpost", f"{cp_id}:{waybill}", carrier, waybill),
                    message_id=f"{number:08x}{wave:02x}",
                    channel="poll",
                    received_at=START + timedelta(days=5, hours=wave),
                    checkpoints=tuple(c for c, _ in pairs),
                    details={"order_id": f"ORD-{number}", "carrier": carrier},
                ),
                [raw for _, raw in pairs],
            )
