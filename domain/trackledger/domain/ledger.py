"""How do reports become events, once each, whoever else is writing?"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, IntegrityError, Mapper
from eventsourcing.utils import Environment, EnvType
from msgspec.structs import replace

from trackledger.domain import corrections, instructing
from trackledger.domain.batch import Batch, Decision, Loaded, Receipt, registration_keys
from trackledger.domain.checkpoints import Registration, Report
from trackledger.domain.corrections import Reading
from trackledger.domain.errors import Contended, ShipmentNotFound, UsageError
from trackledger.domain.events import Event, LedgerEvent
from trackledger.domain.instructing import Wanted
from trackledger.domain.links import Link
from trackledger.domain.mapper import EventMapper, decode
from trackledger.domain.moments import require_aware
from trackledger.domain.rereading import Rereading, Review
from trackledger.domain.statements import Statements

MAX_BATCH = 10_000
ATTEMPTS = 20

Also = Callable[[Any, Sequence[Receipt]], None]


class LedgerRecorder(ApplicationRecorder):
    """What the ledger needs of a database beyond the library's recorder; `adapters.storage` has the two of them.

    `insert_events(stored_events, links=…, keys=…, also=…)` stores events and links in one transaction with whatever
    `also` does in it, and raises the library's `IntegrityError`, having stored nothing, when another writer was first.
    `keys` are those of the private shipments among the events: their words are stored so that only the key opens them,
    and a shipment's key is stored with its first event. Whatever reads events gives them back with their words in
    their places, as far as the keys are still there.
    """

    @abstractmethod
    def load(self, keys: Sequence[str]) -> dict[str, Loaded]:
        """The shipments that these tracker keys feed, by key, in one SELECT, and one more for the keys of private ones;
        unknown trackers are absent."""

    @abstractmethod
    def find_links(self, text: str, account: str | None) -> list[Link]:
        """Links whose shipment id, reference or tracking number is `text`, in key order; of one account or of all."""


class Ledger(Application[str]):
    """The append-only ledger of one schema; an `eventsourcing` application.

    `clock` gives the recording time. `withdraws` names the providers whose whole histories withdraw what they no longer
    hold. A batch of up to 10,000 costs one SELECT and one transaction. `new_key` makes a key of 32 random bytes; if it
    is given, shipments that are opened are private.
    """

    name = "trackledger"

    def __init__(
        self,
        recorder: LedgerRecorder,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        withdraws: Iterable[str] = (),
        new_key: Callable[[], bytes] | None = None,
    ) -> None:
        self._ledger_recorder = recorder
        self._clock = clock
        self._withdraws = frozenset(withdraws)
        self._new_key = new_key
        super().__init__()

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """An environment of its own: the library merges the process's, where a host's variables would configure us."""
        return Environment(name, dict(env or {}))

    def construct_mapper(self) -> Mapper[str]:
        """The explicit topics and the msgspec format of `mapper`."""
        return EventMapper()

    def construct_recorder(self) -> ApplicationRecorder:
        """The recorder that the ledger was given."""
        return self._ledger_recorder

    def intake(self, reports: Sequence[Report], *, also: Also | None = None) -> list[Receipt]:
        """Take in what reports newly say: one receipt each, in their order.

        What is new is stored in one transaction, together with what `also`, called with that transaction and the
        receipts (their positions still 0), writes in it. Nothing is stored twice, also
        when other processes take in the same reports at once. Raises `Contended` after 20 lost races, and
        `InvalidStatement` for an ill-formed account, tracker or time; then nothing of the batch is stored.
        """
        names = [report.key for report in reports]
        wanted = list(names)
        for report in reports:
            _require_zones(report)
            if report.also_trackers or report.piece_of:
                wanted += report.keys
        decisions: list[Decision] = [partial(_report, report) for report in reports]
        return self._commit(wanted, names, decisions, also)

    def register(self, registrations: Sequence[Registration]) -> list[Receipt]:
        """Open shipments, or add trackers, a reference or details to those that a tracker or reference already opened.

        Registering the same again stores nothing. A tracker or reference that feeds another shipment is refused in the
        receipt's `error`. Raises `InvalidStatement` for an ill-formed name; then nothing of the batch is stored.
        """
        keys = [registration_keys(registration) for registration in registrations]
        wanted = [k for some in keys for k in some] + [r.piece_of for r in registrations if r.piece_of]
        decisions: list[Decision] = [partial(_register, registration) for registration in registrations]
        return self._commit(wanted, [some[0] for some in keys], decisions, None)

    def note(self, shipment_id: str, text: str, actor: str) -> Receipt:
        """Add a remark to a shipment; a missing shipment is told in the receipt's `error`."""
        return self._decide(shipment_id, lambda batch, now: batch.note(shipment_id, text, actor, now))

    def amend(self, shipment_id: str, key: str, reading: Reading, actor: str, reason: str) -> Receipt:
        """Read the checkpoint listed under `key` otherwise, by hand; what is wrong is told in the receipt's `error`."""

        def decide(said: Statements, now: datetime) -> list[Event]:
            return corrections.amend(said, key, reading, actor, reason, now)

        return self._correct(shipment_id, decide)

    def withdraw(
        self, shipment_id: str, keys: Sequence[str], actor: str, reason: str, *, undone: bool = False
    ) -> Receipt:
        """Take the checkpoints listed under `keys` out of every conclusion, by hand, or let them count again; what is
        wrong is told in the receipt's `error`."""

        def decide(said: Statements, now: datetime) -> list[Event]:
            return corrections.withdraw(said, keys, actor, reason, now, undone=undone)

        return self._correct(shipment_id, decide)

    def request_ndr_action(self, shipment_id: str, wanted: Wanted) -> Receipt:
        """Record that an action about a failed delivery is wanted, before anybody is told of it, or that it was done by
        hand; what is wrong is told in the receipt's `error`."""
        return self._correct(shipment_id, lambda said, now: instructing.request(said, wanted, now))

    def answer_ndr_action(
        self, shipment_id: str, action_id: str, actor: str, sent_at: datetime, words: str, *, refused: bool
    ) -> Receipt:
        """Record that an action was handed over at `sent_at`, and the words in which it was acknowledged or refused; an
        answer that is there already stands. What is wrong is told in the receipt's `error`."""

        def decide(said: Statements, now: datetime) -> list[Event]:
            return instructing.answer(said, action_id, actor, sent_at, words, now, refused=refused)

        require_aware(sent_at, "sent_at")
        return self._correct(shipment_id, decide)

    def reread(
        self, shipments: Sequence[Sequence[Rereading]], mappings: Mapping[str, str], actor: str, *, store: bool
    ) -> list[Review]:
        """Read what kept messages told as today's mappings do, whose versions `mappings` names by provider, and take in
        what they tell for the first time: one review for each shipment, given by what its messages say now.

        The corrections and what is new are stored in one transaction, unless it is only to be seen what they would be.
        Up to 10,000 readings and shipments at a time. Raises `Contended` as `intake` does.
        """
        corrections.require_actor(actor)
        reviews = [Review() for _ in shipments]
        wanted: list[str] = []
        names: list[str] = []
        decisions: list[Decision] = []
        owners: list[Review] = []
        for review, readings in zip(reviews, shipments, strict=True):
            reports = [reading.report for reading in readings]
            wanted += [key for report in reports for key in report.keys]
            names += [reports[0].key, *(report.key for report in reports)]
            decisions.append(partial(_reread, review, readings, mappings, actor))
            decisions += [partial(_untold, review, number) for number in range(len(reports))]
            owners += [review] * (len(reports) + 1)
        receipts = self._commit(wanted, names, decisions, None, store=store)
        for review, receipt in zip(owners, receipts, strict=True):
            if receipt.error and not review.error:
                review.error, review.forgotten = receipt.error, receipt.forgotten
        return reviews

    def forget(self, shipment_id: str, actor: str, reason: str) -> Receipt:
        """Let nothing more be heard of a shipment, and its free text be left out of every answer.

        From then on reports of it are told as `forgotten` in their receipts, and whatever else is to be added to it is
        refused in the receipt's `error`.
        """
        return self._decide(shipment_id, lambda batch, now: batch.forget(shipment_id, actor, reason, now))

    def _correct(self, shipment_id: str, decide: Callable[[Statements, datetime], list[Event]]) -> Receipt:
        return self._decide(shipment_id, lambda batch, now: batch.correct(shipment_id, lambda said: decide(said, now)))

    def _decide(self, shipment_id: str, decision: Decision) -> Receipt:
        return self._commit([shipment_id], [shipment_id], [decision], None)[0]

    def _commit(
        self,
        keys: Sequence[str],
        names: Sequence[str],
        decisions: Sequence[Decision],
        also: Also | None,
        *,
        store: bool = True,
    ) -> list[Receipt]:
        if len(decisions) > MAX_BATCH:
            raise UsageError(f"a batch of {len(decisions):,} is over the limit of {MAX_BATCH:,}; split it")
        distinct = sorted(set(keys))
        for _ in range(ATTEMPTS):
            now = require_aware(self._clock(), "the clock's time")
            batch = Batch(self._ledger_recorder.load(distinct), self._withdraws, self._new_key)
            receipts = [batch.decide(name, decision, now) for name, decision in zip(names, decisions, strict=True)]
            if not store:
                return receipts
            try:
                positions = self._ledger_recorder.insert_events(
                    batch.events,
                    links=batch.links,
                    keys=batch.keys,
                    also=partial(_call, also, receipts) if also else None,
                )
            except IntegrityError:
                # Another writer was first, or the connection broke after our commit: reload and decide again.
                continue
            return [replace(receipt, position=positions[-1]) for receipt in receipts] if positions else receipts
        raise Contended(f"other writers won {ATTEMPTS} times in a row and nothing was stored; take the batch in again")

    def history(self, shipment_id: str) -> list[LedgerEvent]:
        """Every event of one shipment, oldest first. Raises `ShipmentNotFound`."""
        events = [decode(stored) for stored in self._ledger_recorder.select_events(shipment_id)]
        if not events:
            raise ShipmentNotFound(f"no shipment {shipment_id!r} in this ledger; look it up by number first")
        return events

    def find(self, text: str, account: str | None = None) -> list[str]:
        """Ids of the shipments with this id, reference or tracking number; several, as numbers are not unique."""
        return list(dict.fromkeys(link.shipment_id for link in self._ledger_recorder.find_links(text, account)))


def _require_zones(report: Report) -> None:
    where = f"report {report.message_id!r} of {report.key}:"
    require_aware(report.received_at, f"{where} received_at")
    require_aware(report.said_at, f"{where} stated_at")
    for checkpoint in report.checkpoints:
        if checkpoint.occurred.at.tzinfo is None:
            require_aware(checkpoint.occurred.at, f"{where} checkpoint {checkpoint.key}")


def _call(also: Also, receipts: Sequence[Receipt], transaction: Any) -> None:
    also(transaction, receipts)


def _report(report: Report, batch: Batch, now: datetime) -> Any:
    return batch.report(report, now)


def _reread(
    review: Review,
    readings: Sequence[Rereading],
    mappings: Mapping[str, str],
    actor: str,
    batch: Batch,
    now: datetime,
) -> Any:
    review.untold = [reading.report for reading in readings]
    for report in review.untold:
        _require_zones(report)
    shipment, events, judgement = batch.reread(readings, mappings, actor, review, now)
    review.events = list(events)
    return shipment, events, judgement


def _untold(review: Review, number: int, batch: Batch, now: datetime) -> Any:
    shipment, events, judgement = batch.untold(review, number, now)
    review.events += events
    return shipment, events, judgement


def _register(registration: Registration, batch: Batch, now: datetime) -> Any:
    return batch.register(registration, now)
