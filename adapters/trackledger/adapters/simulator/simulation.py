"""How are the six providers played, and what would be true?"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace
from pydantic import SecretStr

from trackledger.adapters.clock import Clock
from trackledger.adapters.http.serving import serving
from trackledger.adapters.providers import PROVIDERS
from trackledger.adapters.providers.asking import Access
from trackledger.adapters.providers.verifying import Endpoint
from trackledger.adapters.settings import ProviderAccount, Settings, Token
from trackledger.adapters.simulator.aftership import AfterShip
from trackledger.adapters.simulator.clickpost import ClickPost
from trackledger.adapters.simulator.faults import LATEST_DELAY, LATEST_DUPLICATE, LATEST_REORDERING, Faults
from trackledger.adapters.simulator.push import Delivery, Pushing, deliveries
from trackledger.adapters.simulator.rye import DEVELOPER, Rye
from trackledger.adapters.simulator.rye_shipments import KEY_2, RyeShipments
from trackledger.adapters.simulator.server import Call, Served
from trackledger.adapters.simulator.ship24 import Ship24
from trackledger.adapters.simulator.shiplemon import Shiplemon
from trackledger.adapters.simulator.shippit import Shippit
from trackledger.adapters.simulator.truth import Truth, truth
from trackledger.adapters.simulator.wire import KEY, SECRET, USER, Api, number_of
from trackledger.adapters.simulator.world import START, world
from trackledger.domain.checkpoints import Estimate, EstimateSource, Registration
from trackledger.domain.moments import day

Told = Literal["webhook", "poll"]
BOTH: frozenset[Told] = frozenset({"webhook", "poll"})

SECOND = "-2"
"""What the name of the account with Rye's second generation ends with: a key is of one generation."""

_ONLY_ASKED = frozenset({"shiplemon", "rye2"})
"""Those of whom a webhook tells nothing, or that have none: they are asked whatever the channels."""


class Connected(Struct, frozen=True):
    """One connection to the simulator: the account, the provider, and the endpoint's name for its webhooks."""

    name: str
    account: str
    provider: str
    endpoint: str
    key: str
    user: str = ""
    sender: str = ""
    is_asked: bool = True
    is_heard: bool = True


class Simulation:
    """A world of parcels of a seed, and the providers that tell of them.

    `clock` says what time it is there; without one, it begins when it is served and runs `speed` times as fast as ours
    until the last story was told. `channels` are the ways in which the providers tell: of those
    that tell in one way only, that one is never left out. Raises `UsageError` for what cannot be simulated.
    """

    def __init__(
        self,
        seed: int = 1,
        parcels: int = 100,
        *,
        clock: Clock | None = None,
        speed: float = 1.0,
        faults: Faults | None = None,
        channels: frozenset[Told] = BOTH,
        account: str = "default",
        providers: Sequence[str] = PROVIDERS,
        start: datetime = START,
    ) -> None:
        self.faults = faults or Faults()
        self.seed = seed
        rewrites = self.faults.rewritten_history
        self.world = world(seed, parcels, start=start, account=account, providers=providers, rewrites=rewrites)
        self.start = start
        self.until = self.world.until
        if self.faults.delays or self.faults.reordering or self.faults.duplicates:
            self.until += LATEST_DELAY + LATEST_REORDERING + LATEST_DUPLICATE
        self.account = account
        self.channels = channels
        self._clock = clock
        self._speed = speed
        self._providers = providers

    def apis(self, unfollowed: set[str]) -> dict[str, Api]:
        """The providers by the path under which they are served."""
        of = {name: [p for p in self.world.parcels if p.provider == name] for name in PROVIDERS}
        there: dict[str, Api] = {
            "clickpost": ClickPost(of["clickpost"]),
            "ship24": Ship24(of["ship24"]),
            "shippit": Shippit(of["shippit"]),
            "shiplemon": Shiplemon(of["shiplemon"]),
            "aftership": AfterShip(of["aftership"], unfollowed),
            "rye": Rye(self.world.orders),
            "rye2": RyeShipments(of["rye"]),
        }
        asked = {*self._providers} | ({"aftership"} if "rye" in self._providers else set())
        return {name: api for name, api in there.items() if name.removesuffix("2") in asked}

    def connections(self, names: Sequence[str]) -> list[Connected]:
        """What has to be configured to hear of everything."""
        asked, heard = "poll" in self.channels, "webhook" in self.channels
        return [
            Connected(
                name,
                f"{self.account}{SECOND}" if name == "rye2" else self.account,
                name.removesuffix("2"),
                f"simulated-{name}-{number_of(self.seed, name):016x}",
                KEY_2 if name == "rye2" else KEY,
                USER if name == "clickpost" else "",
                DEVELOPER if name == "rye" else "",
                asked or name in _ONLY_ASKED,
                heard and name != "shiplemon",
            )
            for name in names
        ]

    @contextmanager
    def serve(self, port: int = 0) -> "Generator[Running]":
        """Play the providers over HTTP on loopback until the end of the block; port 0 takes any that is free."""
        clock = self._clock or Clock(self.start, datetime.now(UTC), self._speed, self.until)
        # What is sold by Rye is followed at AfterShip only once somebody asks for it; without asking, from the first.
        sold = {parcel.reference for order in self.world.orders for parcel in order.parcels}
        unfollowed = sold if "poll" in self.channels else set()
        apis = self.apis(unfollowed)
        app = Served(apis, clock, self.faults, self.seed)
        # A call that hangs on purpose is not waited for.
        with serving(app, port, grace=1) as url:
            running = Running(self, app, url, apis, unfollowed)
            try:
                yield running
            finally:
                running.stop()


class Running:
    """A simulation that is being served at `url`. At `until`, by its `clock`, everything was told.

    Whoever sends `token`, which is another each time, may do everything in a ledger that follows it.
    """

    def __init__(
        self, simulation: Simulation, app: Served, url: str, apis: Mapping[str, Api], unfollowed: set[str]
    ) -> None:
        self._simulation = simulation
        self._app = app
        self._apis = apis
        self._unfollowed = unfollowed
        self._pushing: list[Pushing] = []
        self.url = url
        self.token = token_urlsafe(24)
        self.until = simulation.until
        self.connections = simulation.connections(list(apis))

    @property
    def account(self) -> str:
        """Whose parcels they are, but for those of Rye's second generation."""
        return self._simulation.account

    @property
    def clock(self) -> Clock:
        """What time it is for the providers."""
        return self._app.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        """Make it another time for the providers; webhooks on their way keep to the clock that they began with."""
        self._app.clock = clock

    @property
    def asked(self) -> Mapping[str, int]:
        """How many calls each provider had."""
        return dict(self._app.asked)

    @property
    def calls(self) -> list[Call]:
        """The latest ten thousand calls, in the order in which they came."""
        return list(self._app.calls)

    def base(self, name: str) -> str:
        """The base address of a provider, which ends as its real one does."""
        return f"{self.url}/{name}{self._apis[name].base}"

    def access(self, name: str) -> Access:
        """How a provider is reached with a key that it knows."""
        one = next(connected for connected in self.connections if connected.name == name)
        return Access(SecretStr(one.key), one.user, self.base(name))

    def settings(self, database: str, account: str = "") -> Settings:
        """Settings for a ledger that follows this world, its clock set as the providers' is.

        With another `account` than that of the simulation, parcels of Rye are not found at AfterShip.
        """
        accounts = [
            ProviderAccount(
                one.account.replace(self._simulation.account, account or self._simulation.account, 1),
                one.provider,
                self.access(one.name) if one.is_asked else None,
                {one.endpoint: Endpoint((SecretStr(SECRET),), sender=one.sender)} if one.is_heard else {},
            )
            for one in self.connections
            if one.is_asked or one.is_heard
        ]
        admitted = Token("demo", account or self.account, "operate", self.token, raw=True)
        return Settings(database, accounts=tuple(accounts), tokens=(admitted,), clock=self.clock)

    def registrations(self) -> list[Registration]:
        """What a shop knows of its parcels: a tracker for each, and what it promised."""
        sold = self._orders_of_parcels()
        planned = {(parcel.provider, parcel.reference): parcel for parcel in self._simulation.world.parcels}
        made = []
        for one in self.connections:
            for tracker in self._apis[one.name].trackers():
                parcel = planned.get((one.provider, tracker.reference))
                if tracker.reference in sold:
                    continue
                details = {"order_id": parcel.order_id, "service": parcel.service} if parcel else {}
                promised = None
                if parcel and one.provider == "shippit":
                    said = parcel.expected[0]
                    until = day(said.day, said.day.isoformat(), said.offset)
                    promised = Estimate(EstimateSource.PROMISE, until, until, offset=said.offset)
                known = {name: value for name, value in details.items() if value}
                made.append(Registration("", one.account, (tracker,), known, promised))
        return made

    def deliveries(self) -> list[Delivery]:
        """Every webhook as it is sent, in order, also about what nobody follows yet."""
        heard = {one.name: one.endpoint for one in self.connections if one.is_heard}
        apis = {name: self._apis[name] for name in heard}
        return deliveries(apis, heard, self._simulation.faults, self._simulation.seed)

    def push_to(self, base_url: str, retries: Sequence[timedelta] | None = None) -> Pushing:
        """Begin to send the webhooks to the server at this address; with `retries`, what is not taken is sent again
        after these waits instead of the provider's own."""
        # Where nobody asks AfterShip to follow a parcel, the shop does so once Rye has told of it.
        after = {} if self._unfollowed else self._orders_of_parcels()
        found = self.deliveries()
        if retries is not None:
            found = [replace(one, retries=retries) for one in found]
        self._pushing.append(Pushing(found, base_url, self.clock, self._unfollowed, after))
        return self._pushing[-1]

    def _orders_of_parcels(self) -> dict[str, str]:
        return {parcel.reference: order.id for order in self._simulation.world.orders for parcel in order.parcels}

    def truth(self, at: datetime | None = None) -> Truth:
        """How all parcels stand at an instant, now unless one is given; those that somebody acted on as they live on
        since."""
        world, clickpost = self._simulation.world, self._apis.get("clickpost")
        if isinstance(clickpost, ClickPost):
            parcels = (clickpost.now(one) if one.provider == "clickpost" else one for one in world.parcels)
            world = replace(world, parcels=tuple(parcels))
        return truth(world, at or self.clock.now())

    def stop(self) -> None:
        """End all sending."""
        for pushing in self._pushing:
            pushing.stop()
