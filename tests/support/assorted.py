"""A ledger with shipments of every kind, of two accounts, with numbers that resemble each other."""

from itertools import repeat
from random import Random

from msgspec.structs import replace

from support.reports import claim, estimate, report
from support.scans import instant, scan
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.storage.recorder import Recorder
from trackledger.domain.checkpoints import Registration, Report, Tracker
from trackledger.domain.ledger import Ledger

SHIPMENTS = 60
NOW = instant("20 12:00")

JOURNEYS: tuple[tuple[str, ...], ...] = (
    ("picked_up", "in_transit", "arrived", "out_for_delivery", "delivered"),
    ("picked_up", "in_transit", "arrived", "out_for_delivery", "delivery_failed"),
    ("picked_up", "out_for_delivery", "delivery_failed", "out_for_delivery"),
    ("picked_up", "out_for_delivery", "delivery_failed", "out_for_delivery", "delivered"),
    ("picked_up", "in_transit"),
    ("info_received",),
    ("picked_up", "in_transit", "customs"),
    ("picked_up", "in_transit", "return_requested", "returning"),
    ("picked_up", "in_transit", "returning", "returned"),
    ("picked_up", "lost"),
    ("cancelled",),
)
CARRIERS = ("Delhivery", "Blue Dart", "Shadowfax")
PROVIDERS = ("clickpost", "ship24", "aftership")


def account_of(number: int) -> str:
    """Every sixth is of another account."""
    return "elsewhere" if number % 6 == 5 else "default"


def tracker_of(number: int) -> Tracker:
    """Numbers of which one begins as another does; some carry dashes and small letters."""
    written = f"AWB-{number}" if number % 4 == 0 else f"awb{number}" if number % 4 == 1 else f"AWB{number}"
    return Tracker(PROVIDERS[number % 3], f"{number % 5}:{written}", CARRIERS[number % 3], written)


def reference_of(number: int) -> str:
    """The host's own, of those that it registers."""
    return f"TL-{number // 2}/{number}"


def heard(number: int) -> Report:
    """All that is said of one of them."""
    chance = Random(number)
    began = chance.randint(1, 12)
    journey = JOURNEYS[number % len(JOURNEYS)]
    leg = ["return" if one in ("returning", "returned") else "forward" for one in journey]
    scans = [scan(one, f"{began + day} 10:{number:02}", leg[day]) for day, one in enumerate(journey)]
    windows = (estimate("carrier", str(began + 4), str(began + 4 + number % 3)),) if number % 7 else ()
    told = report(
        *scans,
        at=f"{began + len(journey)} 12:{number:02}",
        message=f"{number}",
        tracker=tracker_of(number),
        estimates=windows,
        assertions=(claim("stuck", "yes"),) if number % 4 == 0 else (),
        details={"service": "express"} if number % 3 == 0 else {},
    )
    return replace(told, account=account_of(number))


def registered(number: int) -> Registration:
    """As the host announces it; orders consist of three."""
    return Registration(
        reference_of(number), account_of(number), (tracker_of(number),), {"order_id": f"order {number // 3}"}
    )


def fill(runtime: Runtime, count: int = SHIPMENTS) -> None:
    """Two of three are registered, one of ten is not heard of, and what is known is in the tables."""
    for number in range(count):
        clock = repeat(instant(f"{1 + number % 9} 08:{number:02}")).__next__
        ledger = Ledger(Recorder(runtime.database), clock=clock)
        if number % 3:
            ledger.register([registered(number)])
        if number % 10 or not number % 3:
            ledger.intake([heard(number)])
    runtime.projector.catch_up()


def words(count: int = SHIPMENTS) -> list[str]:
    """What people may look for: numbers as they write them, beginnings, and what is nowhere."""
    numbers = [word for n in range(0, count, 7) for word in (reference_of(n), tracker_of(n).tracking_number)]
    asked = [*numbers, *(one.lower() for one in numbers), *(f" {one[:3]} {one[3:]}" for one in numbers)]
    return [*asked, "AWB", "awb-", "T", "TL-1", "order 1", "default:", "nowhere", "-", "\U0010ffff", "\ud7ff", "é"]
