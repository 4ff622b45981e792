"""Messages about many parcels, as a provider would send them: `hook(7, 2)` tells of the third scan of parcel 7."""

import json
from datetime import timedelta
from typing import Any

from support.messages import RECEIVED
from trackledger.adapters.inbox import message
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import Runtime

CODES = (4, 5, 6, 8)
"""Picked up, in transit, out for delivery, delivered."""


def scan(number: int, step: int) -> dict[str, Any]:
    """One scan of a parcel, as ClickPost writes it."""
    return {
        "timestamp": f"2026-10-{20 + step} 10:{number % 60:02}:00",
        "clickpost_status_code": CODES[step],
        "status": f"Step {step}",
        "location": "Pune",
        "checkpoint_id": 10 * number + step,
    }


def hook(number: int, step: int) -> Message:
    """A webhook with one scan; those of later parcels and steps arrive later."""
    body = {"waybill": f"W{number}", "cp_id": 4, **scan(number, step)}
    arrived = RECEIVED + timedelta(minutes=step, milliseconds=number)
    return message("clickpost", json.dumps(body).encode(), channel="webhook", received_at=arrived)


def hooks(parcels: int, first: int = 0) -> list[Message]:
    """Every scan of so many parcels."""
    return [hook(number, step) for step in range(len(CODES)) for number in range(first, first + parcels)]


def poll(number: int, minute: int = 0) -> Message:
    """An answer about one parcel, the same bytes whenever it is given."""
    said = {"valid": True, "scans": [scan(number, step) for step in range(len(CODES))]}
    body = {"meta": {"success": True, "status": 200}, "result": {f"W{number}": said}}
    at = RECEIVED + timedelta(minutes=minute)
    return message("clickpost", json.dumps(body).encode(), received_at=at, context={"cp_id": "4"})


def states(runtime: Runtime) -> dict[str, int]:
    """How many messages are in each state."""
    found = runtime.database.tuples("SELECT state, COUNT(*) FROM {s}messages GROUP BY state")
    return dict(found)
