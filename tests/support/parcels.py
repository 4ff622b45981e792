"""Reports about many parcels at once, the same for the same seed."""

from random import Random

from support.reports import claim, estimate, report
from support.scans import scan
from trackledger.domain.checkpoints import Checkpoint, Report, Tracker

JOURNEY = ("picked_up", "in_transit", "arrived", "out_for_delivery", "delivery_failed", "out_for_delivery", "delivered")


def parcel(number: int) -> Tracker:
    """A tracker of its own."""
    return Tracker("clickpost", f"4:P{number}", "Delhivery", f"P{number}")


def parcel_id(number: int) -> str:
    """The id of its shipment."""
    return f"default:clickpost:4:P{number}"


def journey(number: int) -> list[Checkpoint]:
    """Every scan of a parcel, one a day; one in three has no id."""
    return [
        scan(milestone, f"{day} 10:{number % 60:02}", id="" if day % 3 == 0 else f"clickpost:{number}.{day}")
        for day, milestone in enumerate(JOURNEY, start=1)
    ]


def reports(parcels: int, first: int = 0) -> list[Report]:
    """Polls of every parcel, one after each of its scans, each holding the history so far."""
    told: list[Report] = []
    for number in range(first, first + parcels):
        scans = journey(number)
        told += [
            report(
                *scans[:day],
                at=f"{day} 12:00",
                message=f"{number}.{day}",
                tracker=parcel(number),
                estimates=(estimate("carrier", str(9 + day // 3)),),
                assertions=(claim("stuck", "yes" if day == 4 else "no"),),
            )
            for day in range(1, len(scans) + 1)
        ]
    return told


def webhooks(parcels: int, first: int = 0) -> list[Report]:
    """One message for each scan of every parcel: each of them is news, in any order."""
    return [
        report(checkpoint, at=checkpoint.occurred.said, channel="webhook", tracker=parcel(number))
        for number in range(first, first + parcels)
        for checkpoint in journey(number)
    ]


def batches(told: list[Report], seed: int, largest: int = 9) -> list[list[Report]]:
    """The reports in some order, in batches of some sizes."""
    random = Random(seed)
    left = random.sample(told, len(told))
    batches: list[list[Report]] = []
    while left:
        size = random.randint(1, largest)
        batches.append(left[:size])
        left = left[size:]
    return batches
