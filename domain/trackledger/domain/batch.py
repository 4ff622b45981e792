"""What does a batch of reports or registrations decide, before any of it is stored?"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from eventsourcing.persistence import StoredEvent
from msgspec import Struct

from trackledger.domain import corrections, rereading, statements
from trackledger.domain.checkpoints import HOST, Registration, Report, Tracker, require_short, tracker_key
from trackledger.domain.errors import (
    KeyMissing,
    ShipmentForgotten,
    ShipmentNotFound,
    TrackerTaken,
    TrackledgerError,
    UsageError,
)
from trackledger.domain.events import Event, LedgerEvent
from trackledger.domain.links import Link
from trackledger.domain.mapper import decode, encode
from trackledger.domain.privacy import blinded
from trackledger.domain.rereading import Rereading, Review
from trackledger.domain.shipment import Judgement, Shipment, fold


class Loaded(Struct, frozen=True):
    """A shipment's stored stream, oldest event first, its words in their places; and its key if it is private."""

    shipment_id: str
    stream: Sequence[StoredEvent]
    key: bytes = b""


class Receipt(Struct, frozen=True):
    """What became of one report, registration or note.

    `recorded`, `amended`, `repeated` and `withdrawn` count checkpoints, `events` counts what was appended. `position`
    is the ledger position after the batch, 0 when the batch stored nothing. When the shipment cannot be read or the
    request not be decided, `error` says why, nothing of this item is stored, and the other items are unaffected.
    `forgotten` says that this is because the shipment was forgotten, and `refusal` is the error where one was raised on
    purpose.
    """

    shipment_id: str
    recorded: int = 0
    amended: int = 0
    repeated: int = 0
    withdrawn: int = 0
    events: int = 0
    position: int = 0
    error: str = ""
    forgotten: bool = False
    refusal: TrackledgerError | None = None


Decided = tuple[Shipment, list[Event], Judgement]
Decision = Callable[["Batch", datetime], Decided]
Deciding = Callable[[statements.Statements], list[Event]]


class Batch:
    """Decisions that build on one another: each sees what the ones before it did to its shipment.

    `new_key`, if given, makes shipments that are opened private. `keys` are those of the private shipments among
    `events`.
    """

    def __init__(
        self, loaded: Mapping[str, Loaded], withdraws: frozenset[str], new_key: Callable[[], bytes] | None = None
    ) -> None:
        self._owner = {key: entry.shipment_id for key, entry in loaded.items()}
        self._streams = {entry.shipment_id: entry.stream for entry in loaded.values()}
        self._key_of = {entry.shipment_id: entry.key for entry in loaded.values() if entry.key}
        self._new_key = new_key
        self._shipments: dict[str, Shipment] = {}
        self._unapplied: dict[str, list[Event]] = {}
        self._withdraws = withdraws
        self._new_links: list[Link] = []
        self.events: list[StoredEvent] = []
        self.links: list[Link] = []
        self.keys: dict[str, bytes] = {}

    def decide(self, key: str, decision: Decision, now: datetime) -> Receipt:
        """Run one decision; whatever goes wrong with its shipment is told in its receipt and harms no other."""
        try:
            shipment, events, judgement = decision(self, now)
            version = shipment.version
            stored = [encode(LedgerEvent(shipment.id, version + n, event)) for n, event in enumerate(events, start=1)]
        except Exception as error:
            for link in self._new_links:
                del self._owner[link.tracker]
            self._new_links.clear()
            is_forgotten = isinstance(error, ShipmentForgotten)
            return Receipt(
                self._owner.get(key, key),
                error=str(error) or repr(error),
                forgotten=is_forgotten,
                refusal=error if isinstance(error, TrackledgerError) else None,
            )
        self.events += stored
        if events and self._key_of and (own_key := self._key_of.get(shipment.id)):
            self.keys[shipment.id] = own_key
        self.links += self._new_links
        self._new_links.clear()
        if events:
            self._unapplied[shipment.id] = events
        return Receipt(
            shipment.id,
            judgement.recorded,
            judgement.amended,
            judgement.repeated,
            judgement.withdrawn,
            len(events),
        )

    def report(self, report: Report, now: datetime) -> Decided:
        """Take in one report, opening the shipment of an unannounced tracker."""
        shipment = self._shipment(self._owner.get(report.key, report.key))
        events: list[Event] = []
        if not shipment.is_open:
            events += self._registered(shipment, Registration("", report.account, (report.tracker,)), now)
            self._link(report.account, report.tracker, shipment.id)
        if self._key_of and (own_key := self._key_of.get(shipment.id)):
            report = blinded(report, own_key)
        require_short(report.details.values())
        if report.also_trackers or report.piece_of:
            events += self._tie(report, shipment, now)
        news, judgement = shipment.report(report, now, withdrawals=report.tracker.provider in self._withdraws)
        return shipment, events + news, judgement

    def _registered(self, shipment: Shipment, registration: Registration, now: datetime) -> list[Event]:
        """What a registration makes of a shipment, with a key of its own where it is opened as a private one."""
        private = self._new_key is not None and not shipment.is_open
        if self._new_key is not None and private:
            self._key_of[shipment.id] = self._new_key()
        return shipment.register(registration, now, private=private)

    def _tie(self, report: Report, shipment: Shipment, now: datetime) -> list[Event]:
        """Link the further trackers that feed nothing yet, and the shipment to the one that it is a piece of."""
        free = []
        for tracker in report.also_trackers:
            if tracker_key(report.account, tracker.provider, tracker.reference) not in self._owner:
                self._link(report.account, tracker, shipment.id)
                free.append(tracker)
        parent = ""
        if report.piece_of:
            key = tracker_key(report.account, report.tracker.provider, report.piece_of)
            if key not in self._owner:
                raise ShipmentNotFound(f"no shipment is fed by {key} to be a piece of; report it first")
            parent = self._owner[key]
        return shipment.tie(free, "" if parent == shipment.id else parent, now)

    def register(self, registration: Registration, now: datetime) -> Decided:
        """Open a shipment, or add to the one that its reference or a tracker already opened."""
        keys = registration_keys(registration)
        owners = sorted({self._owner[key] for key in keys if key in self._owner})
        if len(owners) > 1:
            feeds = ", ".join(f"{key} feeds {self._owner[key]}" for key in keys if key in self._owner)
            raise TrackerTaken(f"these belong to {len(owners)} shipments already ({feeds}); register them apart")
        id_ = owners[0] if owners else keys[0]
        if registration.piece_of == id_:
            raise UsageError(f"shipment {id_} cannot be a piece of itself; name its parent")
        # As if there were none of another account: what it has is not told, and neither sees the pieces of the other.
        is_own = registration.piece_of.startswith(f"{registration.account}:")
        if registration.piece_of and not (is_own and registration.piece_of in self._owner):
            raise ShipmentNotFound(f"no shipment {registration.piece_of!r} to be a piece of; register it first")
        shipment = self._shipment(id_)
        taken = shipment.reference_key
        if registration.reference and taken not in ("", keys[0]):
            raise TrackerTaken(f"{id_} is registered as {taken} already; register {keys[0]} with trackers of its own")
        require_short((*registration.details.values(), registration.piece_of))
        events = self._registered(shipment, registration, now)
        for tracker in registration.trackers:
            self._link(registration.account, tracker, id_)
        if registration.reference:
            self._link(registration.account, Tracker(HOST, registration.reference), id_)
        return shipment, events, Judgement()

    def note(self, shipment_id: str, text: str, actor: str, now: datetime) -> Decided:
        """Add a remark to a shipment that exists."""
        return self._open(shipment_id), corrections.note(text, actor, now), Judgement()

    def correct(self, shipment_id: str, decide: Deciding) -> Decided:
        """Whatever `decide` makes of all that was said about a shipment that exists."""
        shipment = self._open(shipment_id)
        stream = map(decode, self._streams.get(shipment.id, ()))
        return shipment, decide(statements.fold(shipment.id, stream)), Judgement()

    def reread(
        self,
        readings: Sequence[Rereading],
        mappings: Mapping[str, str],
        actor: str,
        review: Review,
        now: datetime,
    ) -> Decided:
        """Read what messages told of one shipment as today; `review` is told what was before."""
        key = readings[0].report.key
        review.shipment_id = self._owner.get(key, key)
        shipment = self._shipment(review.shipment_id)
        review.before = list(map(decode, self._streams.get(shipment.id, ())))
        own_key = self._key_of.get(shipment.id, b"")
        return shipment, rereading.corrections(review, readings, own_key, mappings, actor, now), Judgement()

    def untold(self, review: Review, number: int, now: datetime) -> Decided:
        """Take in what was never told of a report that was read again."""
        report = review.untold[number]
        says = report.checkpoints or report.assertions or report.estimates or report.details
        if review.before and not (says or report.also_trackers or report.piece_of):
            return self._shipment(review.shipment_id), [], Judgement()
        return self.report(report, now)

    def forget(self, shipment_id: str, actor: str, reason: str, now: datetime) -> Decided:
        """Forget a shipment that exists."""
        shipment = self._open(shipment_id, forgotten=True)
        return shipment, corrections.forget(actor, reason, now, forgotten=shipment.forgotten), Judgement()

    def _open(self, shipment_id: str, *, forgotten: bool = False) -> Shipment:
        shipment = self._shipment(self._owner.get(shipment_id, shipment_id), forgotten=forgotten)
        if not shipment.is_open:
            raise ShipmentNotFound(f"no shipment {shipment_id!r} in this ledger; look it up by number first")
        return shipment

    def _shipment(self, id_: str, *, forgotten: bool = False) -> Shipment:
        """The shipment so far. Raises `ShipmentForgotten` unless `forgotten` ones are wanted too, and `KeyMissing`."""
        shipment = self._shipments.get(id_)
        if shipment is None:
            shipment = fold(id_, (decode(stored).event for stored in self._streams.get(id_, ())))
            self._shipments[id_] = shipment
        # What this batch decided before is applied only now, as most shipments occur in it once.
        for event in self._unapplied.pop(id_, ()):
            shipment.apply(event)
        if not forgotten:
            if shipment.forgotten:
                raise ShipmentForgotten(f"{id_} was forgotten; nothing can be added to it")
            if shipment.private and id_ not in self._key_of:
                raise KeyMissing(f"the key of {id_} is not in the vault; restore it from a backup, or forget it")
        return shipment

    def _link(self, account: str, tracker: Tracker, shipment_id: str) -> None:
        key = tracker_key(account, tracker.provider, tracker.reference)
        if key not in self._owner:
            require_short((tracker.carrier, tracker.tracking_number))
            self._owner[key] = shipment_id
            self._new_links.append(
                Link(
                    key,
                    account,
                    tracker.provider,
                    tracker.reference,
                    shipment_id,
                    tracker.carrier,
                    tracker.tracking_number,
                )
            )


def registration_keys(registration: Registration) -> list[str]:
    """The host's reference first, as it names the shipment, then the trackers. Raises `UsageError` without any."""
    keys = [tracker_key(registration.account, HOST, registration.reference)] if registration.reference else []
    keys += [tracker_key(registration.account, t.provider, t.reference) for t in registration.trackers]
    if not keys:
        raise UsageError("a registration needs a reference or a tracker; give one")
    return keys
