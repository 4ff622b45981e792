"""What can one message say about one shipment?"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from trackledger.domain.errors import InvalidStatement
from trackledger.domain.milestones import Leg, Milestone, NdrReason
from trackledger.domain.moments import Moment

HOST = "host"
"""The pseudo-provider under which a host's own reference is linked to a shipment."""

MAX_REFERENCE = 256
"""Characters of a reference, a tracking number, or any other text that shipments are looked up by."""

_COUNT = re.compile(r"[1-9][0-9]{0,3}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

Channel = Literal["poll", "webhook"]


class Tracker(Struct, frozen=True, omit_defaults=True, gc=False):
    """A subscription at a provider: `reference` is the provider's own stable id for it, never just a number."""

    provider: str
    reference: str
    carrier: str = ""
    tracking_number: str = ""


@lru_cache(maxsize=16_384)
def tracker_key(account: str, provider: str, reference: str) -> str:
    """`account:provider:reference`, the identity of a tracker and of the shipment that it opens.

    Account and provider cannot hold a colon, so the text is unambiguous. It is a natural key on purpose: neighbouring
    waybills stay neighbours in every index, which a hash would scatter (measured: five times on SQLite inserts).
    Raises `InvalidStatement` for an account or provider outside `[A-Za-z0-9._-]{1,64}` and for a reference that is
    empty, longer than 256 characters or holds control characters.
    """
    for what, value in (("account", account), ("provider", provider)):
        if not _NAME.fullmatch(value):
            raise InvalidStatement(f"{what} {value[:80]!r} must be 1 to 64 of the characters A-Z a-z 0-9 . _ -")
    if not 0 < len(reference) <= MAX_REFERENCE or not reference.isprintable():
        raise InvalidStatement(f"reference {reference[:80]!r} must be 1 to {MAX_REFERENCE} printable characters")
    return f"{account}:{provider}:{reference}"


class Checkpoint(Struct, frozen=True, omit_defaults=True, gc=False):
    """One normalized statement about the parcel.

    `id` is the provider's checkpoint id as `provider:id`, or empty; `fingerprint` identifies the statement where there
    is no id; `digest` changes when the content changes. `order` is the provider's own sequence for equal instants,
    `reported` the provider's clock. Two statements are the same checkpoint when their ids are equal, or when one has no
    id and their fingerprints are equal.
    """

    fingerprint: str
    digest: str
    milestone: Milestone
    occurred: Moment
    id: str = ""
    leg: Leg = Leg.FORWARD
    status_code: str = ""
    status_said: str = ""
    location: str = ""
    remark: str = ""
    ndr_reason: NdrReason | None = None
    order: int = 0
    reported: datetime | None = None
    ndr_inferred: bool = False

    @property
    def key(self) -> str:
        """The identity under which the statement is listed: the provider's id, else `~fingerprint`."""
        return self.id or f"~{self.fingerprint}"


@lru_cache(maxsize=4096)
def squash(text: str) -> str:
    """Text without the differences that providers introduce without meaning: case and runs of blanks."""
    return " ".join(text.split()).casefold()


def fingerprint(*parts: str) -> str:
    """128 bits over the parts of a statement that identify it, by each provider's recipe.

    Parts are joined by a character that no kept text contains, so that moving a blank between two parts is a change.
    """
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def content_digest(occurred: Moment, code: str, said: str, location: str, remark: str) -> str:
    """64 bits over what a statement says in the provider's words.

    Milestone, leg and reason are left out: they are our reading of these words, and a better reading of an unchanged
    statement is no amendment by the provider.
    """
    words = (str(occurred.at), occurred.precision, code, squash(said), squash(location), squash(remark))
    return blake2b("\x1f".join(words).encode(), digest_size=8).hexdigest()


class EstimateSource(StrEnum):
    """Who promises or predicts a delivery date."""

    CARRIER = "carrier"
    PROVIDER = "provider"
    SLA = "sla"
    PROMISE = "promise"


class Estimate(Struct, frozen=True, omit_defaults=True, gc=False):
    """One statement about when it will come: a window, or a number of days after the pickup.

    `starts` and `ends` are both inclusive days or instants and may be equal. `days_from` and `days_to` count from the
    local day of the pickup, else of the registration; `offset` is the zone, in minutes, in which days are counted.
    """

    source: EstimateSource
    starts: Moment | None = None
    ends: Moment | None = None
    days_from: int | None = None
    days_to: int | None = None
    offset: int = 0

    @property
    def digest(self) -> str:
        """Changes when the estimate does; another notation of the same window is no change."""
        window = (
            self.starts and (self.starts.at, self.starts.precision),
            self.ends and (self.ends.at, self.ends.precision),
        )
        return f"{window}|{self.days_from}|{self.days_to}"


class AssertionKind(StrEnum):
    """Which headline claims a provider can make about a whole parcel."""

    STATUS = "status"
    STUCK = "stuck"
    NDR = "ndr"
    PICKUP_FAILURE = "pickup_failure"
    DIRECTION = "direction"
    PIECES = "pieces"
    SPLIT = "split"


_VALUES: dict[AssertionKind, list[str]] = {
    AssertionKind.STUCK: ["yes", "no"],
    AssertionKind.NDR: [reason.value for reason in NdrReason],
    AssertionKind.DIRECTION: [leg.value for leg in Leg],
}


class Assertion(Struct, frozen=True, omit_defaults=True, gc=False):
    """One headline claim: the provider's own words for it, and our reading in `value`.

    `STATUS`: value is the provider's code. `STUCK`: `yes` or `no`. `NDR`: value is an `NdrReason`, and `about` the
    fingerprint of the failed attempt it explains, empty when there is none. `DIRECTION`: value is a `Leg` that the
    whole shipment travels on. `PIECES`: value is the number of pieces that share the state of this shipment. `SPLIT`:
    value is the number of its parcels that are shipments of their own, so that nothing more is to be heard of this one.
    """

    kind: AssertionKind
    value: str
    said: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        if self.kind in (AssertionKind.PIECES, AssertionKind.SPLIT) and not _COUNT.fullmatch(self.value):
            raise InvalidStatement(f"claim {self.kind} has the value {self.value!r}; use a number from 1 to 9999")
        allowed = _VALUES.get(self.kind)
        if allowed is not None and self.value not in allowed:
            raise InvalidStatement(f"claim {self.kind} has the value {self.value!r}; use one of: {', '.join(allowed)}")

    @property
    def digest(self) -> str:
        """Changes when the claim does."""
        return f"{self.value}\x1f{squash(self.said)}"


DETAILS = ("order_id", "carrier", "tracking_number", "service", "origin", "destination", "registered_at")
"""What is known of a shipment as a whole, each a text; `registered_at` is an ISO 8601 instant in UTC."""


class Report(Struct, frozen=True):
    """Everything one message says about one tracker.

    `message_id`, `channel` and `received_at` say how we know. `stated_at` is the provider's clock for the message as a
    whole; where it is missing, `received_at` decides which of two contradicting statements is the newer one.
    `whole_history` promises that a checkpoint missing here is one that the provider no longer states.

    `also_trackers` are further trackers of the same shipment: each is linked to it once, unless it feeds another
    already. `piece_of` is the reference of the tracker, of the same account and provider, whose shipment this one is a
    piece of; that shipment must exist, or be opened by an earlier report of the same batch.
    """

    account: str
    tracker: Tracker
    message_id: str
    channel: Channel
    received_at: datetime
    stated_at: datetime | None = None
    checkpoints: tuple[Checkpoint, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    details: Mapping[str, str] = {}
    whole_history: bool = False
    also_trackers: tuple[Tracker, ...] = ()
    piece_of: str = ""

    @property
    def keys(self) -> list[str]:
        """The identities of every tracker that taking in this report looks at."""
        keys = [tracker_key(self.account, t.provider, t.reference) for t in (self.tracker, *self.also_trackers)]
        if self.piece_of:
            keys.append(tracker_key(self.account, self.tracker.provider, self.piece_of))
        return keys

    @property
    def key(self) -> str:
        """The identity of the tracker that this report is about."""
        return tracker_key(self.account, self.tracker.provider, self.tracker.reference)

    @property
    def said_at(self) -> datetime:
        """Which of two contradicting reports is newer: the later `said_at`."""
        return self.stated_at or self.received_at


def require_short(texts: Iterable[str]) -> None:
    """Raises `InvalidStatement` for a text that is too long to be looked up by: over 256 characters."""
    for text in texts:
        if len(text) > MAX_REFERENCE:
            raise InvalidStatement(
                f"text {text[:80]!r}… has {len(text):,} characters; at most {MAX_REFERENCE} are kept"
            )


class Registration(Struct, frozen=True):
    """A host's wish to follow a shipment: its own reference, one or more trackers, or both."""

    reference: str = ""
    account: str = "default"
    trackers: tuple[Tracker, ...] = ()
    details: Mapping[str, str] = {}
    promised: Estimate | None = None
    piece_of: str = ""
