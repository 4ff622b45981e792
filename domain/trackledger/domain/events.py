"""What can happen to a shipment in the ledger, and under which names is it stored for ever?"""

from collections.abc import Mapping
from datetime import date, datetime

from msgspec import Struct

from trackledger.domain.checkpoints import Assertion, Channel, Checkpoint, Estimate, Tracker
from trackledger.domain.ndr_actions import NdrAction


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something the ledger recorded at `recorded_at`, by its own clock, in UTC."""

    recorded_at: datetime


class Worded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An event with words that may name people, those that `privacy.texts_of` finds.

    Stored, those of a private shipment are in `sealed`, encrypted, and their own places are empty. Where an event is
    read to be folded they are back there, or lost with the key, and `sealed` is empty.
    """

    sealed: str = ""


class Opened(Event, frozen=True):
    """The shipment came into being: the host registered it, or a report named an unknown tracker.

    Where it is `private`, free text in its events is sealed under a key of its own, which is kept outside of them.
    """

    account: str
    reference: str = ""
    trackers: tuple[Tracker, ...] = ()
    private: bool = False


class TrackerLinked(Event, frozen=True):
    """One more tracker, or the host's own reference (provider `host`), now feeds this shipment."""

    tracker: Tracker


class DetailsStated(Worded, frozen=True):
    """The host stated facts about the shipment; they outrank what providers say. A promise is the host's too."""

    details: Mapping[str, str] = {}
    promised: Estimate | None = None


class Amendment(Struct, frozen=True):
    """A statement that differs from the one of digest `replaces` with the same identity."""

    checkpoint: Checkpoint
    replaces: str


class Identification(Struct, frozen=True):
    """The statement known by its `fingerprint` turned out to have the provider's checkpoint id `id`."""

    fingerprint: str
    id: str


class ReportRecorded(Worded, frozen=True):
    """Everything new that one report said; what it repeated is left out.

    `reinstated` lists keys of withdrawn checkpoints that were stated again. Statements that a newer message had already
    superseded are kept too: the fold orders them by `said_at`, not by arrival.
    """

    tracker: str
    provider: str
    message_id: str
    channel: Channel
    received_at: datetime
    stated_at: datetime | None = None
    recorded: tuple[Checkpoint, ...] = ()
    amended: tuple[Amendment, ...] = ()
    identified: tuple[Identification, ...] = ()
    reinstated: tuple[str, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    assertions: tuple[Assertion, ...] = ()
    details: Mapping[str, str] = {}
    whole_history: bool = False

    @property
    def said_at(self) -> datetime:
        """When the statements were made, for deciding which of two contradicting ones is newer."""
        return self.stated_at or self.received_at


class CheckpointsWithdrawn(Event, frozen=True):
    """The provider's whole history no longer holds these checkpoints, as of `said_at`."""

    tracker: str
    provider: str
    message_id: str
    channel: Channel
    received_at: datetime
    said_at: datetime
    keys: tuple[str, ...]


class PieceLinked(Event, frozen=True):
    """This shipment is one piece of the consignment `parent`, another shipment's id."""

    parent: str


class NoteAdded(Worded, frozen=True):
    """Somebody, or a message that is not about the parcel itself, left a remark; no conclusion depends on it."""

    text: str
    actor: str
    message_id: str = ""


class Correction(Struct, frozen=True):
    """Another reading of one version of a checkpoint: `checkpoint` takes the place of the version with the digest
    `replaces` of the checkpoint listed under `key`. When it was said, and by whom, stays."""

    key: str
    replaces: str
    checkpoint: Checkpoint


class ClaimCorrection(Struct, frozen=True):
    """Another reading of a headline claim: `claim` takes the place of `replaces` wherever that was told."""

    replaces: Assertion
    claim: Assertion


class EstimateCorrection(Struct, frozen=True):
    """Another reading of an estimate of the same source: `estimate` takes the place of `replaces`."""

    replaces: Estimate
    estimate: Estimate


class DetailCorrection(Struct, frozen=True):
    """Another reading of a fact about the shipment: `value` takes the place of `replaces`."""

    name: str
    replaces: str
    value: str


class AmendedByHand(Worded, frozen=True):
    """`actor` read a version of a checkpoint otherwise, for a `reason`. It is about that version: should the provider
    say something else of the checkpoint later, that stands."""

    actor: str
    reason: str
    correction: Correction


class WithdrawnByHand(Worded, frozen=True):
    """`actor` took checkpoints out of every conclusion, however often the provider repeats or changes them; `undone`
    lets them count again."""

    actor: str
    reason: str
    keys: tuple[str, ...]
    undone: bool = False


class Reread(Worded, frozen=True):
    """The message `message_id` was read again with the version `mapping` of its provider's mapping, which reads these
    statements otherwise. `actor` had it done. `tracker` is the one that the message told of."""

    provider: str
    mapping: str
    message_id: str
    actor: str
    corrections: tuple[Correction, ...]
    tracker: str = ""
    claims: tuple[ClaimCorrection, ...] = ()
    estimates: tuple[EstimateCorrection, ...] = ()
    details: tuple[DetailCorrection, ...] = ()


class NdrActionRequested(Worded, frozen=True):
    """`actor` wants an action about the failed delivery `case_no`, of which the failed attempt listed under `failure`
    was the newest. Nobody was told of it yet. `action_id` ties all that is about one action together.

    `provider` is to be asked by way of `tracker`; `by_hand` it is not, as somebody saw to it outside of this system.
    """

    action_id: str
    case_no: int
    action: NdrAction
    actor: str
    failure: str
    provider: str = ""
    tracker: str = ""
    by_hand: bool = False
    preferred_date: date | None = None
    address: str = ""
    landmark: str = ""
    pincode: str = ""
    phone: str = ""
    remark: str = ""


class NdrActionSent(Event, frozen=True):
    """`actor` had the action handed over at `sent_at`, to the provider or by hand."""

    action_id: str
    case_no: int
    action: NdrAction
    actor: str
    sent_at: datetime


class NdrActionAcknowledged(Worded, frozen=True):
    """Whoever was asked, on behalf of `actor`, takes the action on, and says so in the words of `answer`."""

    action_id: str
    case_no: int
    action: NdrAction
    actor: str
    answer: str = ""


class NdrActionRefused(Worded, frozen=True):
    """Whoever was asked, on behalf of `actor`, does not take the action on, for the reason in `answer`."""

    action_id: str
    case_no: int
    action: NdrAction
    actor: str
    answer: str = ""


NdrStep = NdrActionRequested | NdrActionSent | NdrActionAcknowledged | NdrActionRefused
"""What can be recorded of an action about a failed delivery."""


class Forgotten(Event, frozen=True):
    """Whatever names a person was erased; nothing more is heard of the shipment."""

    actor: str
    reason: str


TOPICS: dict[str, type[Event]] = {
    "shipment.Opened": Opened,
    "shipment.TrackerLinked": TrackerLinked,
    "shipment.DetailsStated": DetailsStated,
    "shipment.ReportRecorded": ReportRecorded,
    "shipment.CheckpointsWithdrawn": CheckpointsWithdrawn,
    "shipment.PieceLinked": PieceLinked,
    "shipment.NoteAdded": NoteAdded,
    "shipment.AmendedByHand": AmendedByHand,
    "shipment.WithdrawnByHand": WithdrawnByHand,
    "shipment.Reread": Reread,
    "shipment.Forgotten": Forgotten,
    "shipment.NdrActionRequested": NdrActionRequested,
    "shipment.NdrActionSent": NdrActionSent,
    "shipment.NdrActionAcknowledged": NdrActionAcknowledged,
    "shipment.NdrActionRefused": NdrActionRefused,
}
"""Stored name to type. A name here is version 1; a later version of an event is a new line, `shipment.Opened.v2`.

Stored names are data: none is ever changed or forgotten. Adding an optional field with a default keeps the version,
anything else is a new one; the older then moves to `upcasting.UPCASTS`.
"""

FORGOTTEN = "shipment.Forgotten"
"""The topic after which nothing is told of a shipment that may name people."""


class LedgerEvent(Struct, frozen=True):
    """An event in its place: which shipment, which version of it, which position in the ledger (0: not stored)."""

    originator_id: str
    originator_version: int
    event: Event
    position: int = 0
