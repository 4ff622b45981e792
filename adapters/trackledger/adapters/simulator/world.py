"""Which parcels are there? The same for the same seed, for ever."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from msgspec.structs import replace

from trackledger.adapters.providers import PROVIDERS
from trackledger.adapters.providers.aftership import own_id
from trackledger.adapters.simulator.journeys import JOURNEYS, Telling
from trackledger.adapters.simulator.lanes import CARRIERS, LANES, SAYS, SERVICES
from trackledger.adapters.simulator.plan import Case, Expected, Lane, Order, Parcel, Step, World
from trackledger.domain.checkpoints import tracker_key
from trackledger.domain.errors import UsageError
from trackledger.domain.milestones import FINAL, Milestone

START = datetime(2026, 3, 2, tzinfo=UTC)
"""When the first parcel of a world is announced, unless another instant is given."""

ANNOUNCED_WITHIN = timedelta(days=3)

MAX_PARCELS = 100_000

SHARES = {"clickpost": 6, "ship24": 4, "shippit": 3, "shiplemon": 3, "aftership": 2, "rye": 1, "rye2": 1}
"""Of twenty parcels, how many each provider tells of. Those of `rye` are orders, with a parcel or two each, and `rye2`
is Rye's second generation."""

TAKES_BACK = frozenset({"shiplemon"})
"""Providers that state a whole history each time, so that a row that is missing was taken back."""

REWORDS = frozenset({"ship24", "shiplemon", "aftership"})
"""Providers that number what they say in every channel or replace it as a whole, so that a correction is one."""

DATED_BY_UTC = frozenset({"ship24", "shiplemon", "aftership", "rye", "rye2"})
"""Providers whose days have no zone, and are taken for days of UTC."""


def world(
    seed: int,
    number: int,
    *,
    start: datetime = START,
    account: str = "default",
    providers: Sequence[str] = PROVIDERS,
    rewrites: bool = False,
) -> World:
    """The parcels and orders of a seed, of these providers in turn. With `rewrites`, some of what was told is told in
    other words later, or was never so. The `account` is part of the ids under which AfterShip follows parcels of Rye.

    Raises `UsageError` for a number outside 1 to 100,000 and for a provider that is none.
    """
    if not 1 <= number <= MAX_PARCELS:
        raise UsageError(f"{number:,} parcels cannot be simulated; give a number from 1 to {MAX_PARCELS:,}")
    for provider in providers:
        if provider not in PROVIDERS:
            raise UsageError(f"provider {provider!r} is unknown; use one of: {', '.join(PROVIDERS)}")
    kinds = [kind for kind, share in SHARES.items() if kind.removesuffix("2") in providers for _ in range(share)]
    Random(seed).shuffle(kinds)
    parcels: list[Parcel] = []
    orders: list[Order] = []
    for n in range(number):
        kind = kinds[n % len(kinds)]
        if kind == "rye":
            order = _order(seed, n, start, account)
            orders.append(order)
            parcels += order.parcels
        else:
            parcels.append(_parcel(seed, n, kind, start))
    if rewrites:
        rewritten = {parcel.reference: _rewritten(seed, parcel) for parcel in parcels}
        parcels = list(rewritten.values())
        orders = [replace(o, parcels=tuple(rewritten[p.reference] for p in o.parcels)) for o in orders]
    return World(tuple(parcels), tuple(orders))


def random_of(*what: object) -> Random:
    """Chance that depends on nothing but these."""
    return Random("\x1f".join(map(str, what)))


def _begins(random: Random, start: datetime) -> datetime:
    return start + timedelta(seconds=round(random.uniform(0, ANNOUNCED_WITHIN.total_seconds())))


def _order(seed: int, n: int, start: datetime, account: str) -> Order:
    """An order; one in twelve fails, the others have their numbers within a day."""
    random = random_of(seed, "rye", n)
    id_ = _reference(random, "ship24", "", "")
    at = _begins(random, start)
    events = [
        (kind, at + timedelta(seconds=seconds))
        for kind, seconds in (("ORDER_SUBMISSION_STARTED", 0), ("ORDER_SUBMISSION_SUCCEEDED", 5))
    ]
    if random.random() < 1 / 12:
        return Order(id_, (*events, ("ORDER_FAILED", at + timedelta(seconds=70))))
    events += [("PAYMENT_SUCCEEDED", at + timedelta(seconds=6)), ("ORDER_PLACED", at + timedelta(seconds=8))]
    obtained_at = at + timedelta(seconds=random.randrange(2 * 3600, 20 * 3600))
    parcels = []
    for piece in range(2 if random.random() < 0.25 else 1):
        parcel = _parcel(seed, f"{n}-{piece}", "rye", obtained_at, at=obtained_at)
        key = tracker_key(account, "rye", in_order(id_, parcel))
        parcels.append(replace(parcel, provider="aftership", reference=own_id(key), order_id=id_))
    return Order(id_, (*events, ("TRACKING_OBTAINED", obtained_at)), tuple(parcels))


def in_order(order: str, parcel: Parcel) -> str:
    """The reference of a parcel of an order."""
    return f"{order}:{parcel.carrier.name.casefold()}:{parcel.number}"


def _parcel(seed: int, n: int | str, kind: str, start: datetime, at: datetime | None = None) -> Parcel:
    random = random_of(seed, kind, n)
    lane, carrier = random.choice(LANES[kind]), random.choice(CARRIERS[kind])
    created_at = at or _begins(random, start)
    says = SAYS[kind]
    journeys = [journey for journey in JOURNEYS if journey.needs <= says]
    chosen = random.choices(journeys, [journey.weight for journey in journeys])[0]
    telling = Telling(random, lane, says, created_at + timedelta(seconds=random.randrange(60, 3600)))
    chosen.tell(telling)
    steps = _some_late(random, telling.steps)
    digits = f"{random.randrange(10**9):09}"
    number = f"{carrier.prefix}{digits}"
    return Parcel(
        kind.removesuffix("2"),
        _reference(random, kind, carrier.code, number),
        number,
        carrier,
        lane,
        f"SO-{seed}-{n}",
        random.choice(SERVICES.get(kind, ("",))),
        created_at,
        steps,
        tuple(_expected(random, kind, lane, steps, created_at)),
        2 if kind == "shiplemon" and random.random() < 0.15 else 1,
    )


def _reference(random: Random, kind: str, carrier: str, number: str) -> str:
    """The provider's own id of the parcel."""
    bits = f"{random.getrandbits(128):032x}"
    match kind:
        case "clickpost":
            return f"{carrier}:{number}"
        case "ship24":
            return f"{bits[:8]}-{bits[8:12]}-4{bits[13:16]}-a{bits[17:20]}-{bits[20:]}"
        case "shippit":
            return f"PP{bits[:6]}{bits[6:11].upper()}"
        case "shiplemon":
            return bits[:24]
        case "rye2":
            return f"ship_{bits[:16]}"
        case _:
            return bits


def _some_late(random: Random, steps: list[Step]) -> tuple[Step, ...]:
    """Some scans are told a day or two late; never one that ends a journey, nor the last."""
    return tuple(
        replace(step, told_at=step.told_at + timedelta(hours=random.randrange(20, 60)))
        if step is not steps[-1] and step.milestone not in FINAL and random.random() < 0.04
        else step
        for step in steps
    )


def _expected(
    random: Random, kind: str, lane: Lane, steps: tuple[Step, ...], created_at: datetime
) -> Iterator[Expected]:
    """When it shall come: about when it would, now and then too early, and for some parcels put off once."""
    if kind == "shippit":
        # Told in webhooks only; the shop has its own promise, which it registers.
        yield Expected(created_at, created_at.date() + timedelta(days=random.randrange(3, 7)), 0)
        return
    # Rye's second generation tells of it once the parcel has been heard of.
    telling = [step for step in steps if kind != "rye2" or step.milestone is not Milestone.INFO_RECEIVED]
    if not telling:
        return
    first = min(step.told_at for step in telling)
    offset = 0 if kind in DATED_BY_UTC else lane.offset(first)
    day = (created_at + timedelta(minutes=offset)).date() + timedelta(days=random.randrange(3, 7))
    yield Expected(first, day, offset)
    # Told together with a scan, and long enough after the first day that whoever asks rarely has heard that one.
    later = [step.told_at for step in steps if step.told_at > first + timedelta(hours=48)]
    if kind != "shiplemon" and later and random.random() < 0.2:
        yield Expected(random.choice(sorted(later)), day + timedelta(days=random.randrange(1, 4)), offset)


def _rewritten(seed: int, parcel: Parcel) -> Parcel:
    """The same parcel with some of its steps reworded, or with a delivery that never was, where its provider can."""
    random = random_of(seed, "rewritten", parcel.provider, parcel.reference)
    steps = list(parcel.steps)
    if parcel.provider in REWORDS and random.random() < 0.4:
        at = random.randrange(len(steps))
        steps[at] = replace(steps[at], reworded_at=steps[at].told_at + timedelta(hours=random.randrange(2, 30)))
    arrives = any(step.milestone is Milestone.DELIVERED for step in steps)
    if parcel.provider in TAKES_BACK and not arrives and random.random() < 0.5:
        claimed_at, told_at = steps[-1].at + timedelta(minutes=20), steps[-1].told_at + timedelta(hours=1)
        mistake = Step(len(steps), Milestone.DELIVERED, claimed_at, told_at, "", case=Case.CLOSED)
        steps.append(replace(mistake, taken_back_at=told_at + timedelta(hours=26)))
    return replace(parcel, steps=tuple(steps))
