"""What must a provider's module offer, and what does it receive?"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from trackledger.adapters.providers.verifying import Endpoint, Request
from trackledger.domain.checkpoints import Channel, Report
from trackledger.domain.milestones import Milestone
from trackledger.domain.ndr_actions import NdrAction

if TYPE_CHECKING:
    from trackledger.adapters.providers.asking import Access, Client


class Message(Struct, frozen=True):
    """One webhook body or one poll answer, as bytes.

    `context` holds what the request said and the answer does not repeat, such as the carrier that was asked for.
    `headers` are the few of a webhook's request that may explain it later, names in lower case; none is secret.
    """

    message_id: str
    provider: str
    account: str
    channel: Channel
    received_at: datetime
    body: bytes
    context: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


class Cadence(Struct, frozen=True):
    """How long to wait before asking about a tracker again: by service level and milestone, by milestone, else `usual`.

    `minutes` are the only minutes of an hour at which asking makes sense, empty for any. `sweep` is the wait between
    two calls for everything that changed, where there are such. These are floors for a polite poller, from the
    provider's documentation where it says so and our own defaults where it does not.
    """

    usual: timedelta
    by_milestone: Mapping[Milestone, timedelta] = {}
    by_service: Mapping[tuple[str, Milestone], timedelta] = {}
    minutes: tuple[int, ...] = ()
    sweep: timedelta = timedelta(hours=1)

    def interval(self, milestone: Milestone, service: str = "") -> timedelta:
        """The wait for a shipment in this state."""
        usual = self.by_milestone.get(milestone, self.usual)
        return self.by_service.get((service.casefold(), milestone), usual)


class Abilities(Struct, frozen=True):
    """What a provider can do, for those who choose one and for the code that asks it.

    `push` names how a webhook is authenticated: an `hmac` over its body, a shared `secret` in a header, or empty where
    there are no webhooks. `zones` says whether times carry a zone that can be believed. `sweep` says what one call for
    everything that changed yields: the `messages` themselves, the `references` to ask about, or nothing. `batch` is the
    number of trackers that one call asks about, `per_second` the calls per second that an account may make.
    `follow_up` is the form of references whose journey the provider does not tell, so that another has to be asked.
    `ndr_actions` are those that it can be asked for about a failed delivery, of trackers whose references have the form
    `ndr_references`; its client `Acts` then.
    `accepted` is the HTTP status that tells it that a webhook was kept.
    """

    push: Literal["hmac", "secret", ""]
    zones: Literal["stated", "assumed", "mixed"]
    checkpoint_ids: Literal["all", "some", "none"]
    estimates: tuple[str, ...]
    ndr_reasons: Literal["stated", "inferred", "none"]
    pieces: bool
    sweep: Literal["messages", "references", ""]
    batch: int
    per_second: float
    follow_up: str = ""
    ndr_actions: tuple[NdrAction, ...] = ()
    ndr_references: str = ""
    accepted: Literal[200, 202] = 202


class Provider(Protocol):
    """A provider, as one literal module: its words in, reports out.

    `title` is its name as it writes it. `reference_form` is the regular expression that its tracker references match as
    a whole, `reference_like` one of them; a tracker registered under another form would never meet a report. Its group
    `tracking_number`, if it has one, is the carrier's number.
    """

    name: str
    title: str
    reference_form: str
    reference_like: str
    abilities: Abilities
    cadence: Cadence

    def normalize(self, message: Message) -> list[Report]:
        """Everything the message says, one report per tracker.

        Raises `Unreadable` for what is not a message of this provider, naming the field and its value, and `Ignored`
        for one that makes no statement about a parcel. Raises nothing else, whatever the bytes. Where a part of a
        message cannot be read, the error has the reports of the rest in `readable`.
        """
        ...

    def verify(self, request: Request, endpoint: Endpoint) -> None:
        """Return if the provider sent this request, judged from its raw bytes and headers, else raise `Unverified`.

        Every failure is the same `Unverified`, also that no secret is configured; nothing else is ever raised.
        """
        ...

    def handshake(self, request: Request) -> bytes | None:
        """The JSON body of the answer that a verified request is waiting for when it only tests the endpoint, else
        None. Such a request is no message."""
        ...

    def pokes(self, message: Message) -> Sequence[str]:
        """References of trackers that this message, read or ignored, makes worth asking about at once."""
        ...

    def client(self, access: "Access") -> "Client":
        """A connection to the provider for one account. Raises `UsageError` for credentials that cannot be right."""
        ...
