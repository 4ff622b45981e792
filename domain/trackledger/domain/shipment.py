"""Which events follow for one shipment from a report or a registration?"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from trackledger.domain.checkpoints import (
    HOST,
    Registration,
    Report,
    Tracker,
    tracker_key,
)
from trackledger.domain.events import (
    AmendedByHand,
    CheckpointsWithdrawn,
    DetailsStated,
    Event,
    Forgotten,
    Opened,
    PieceLinked,
    ReportRecorded,
    Reread,
    TrackerLinked,
)
from trackledger.domain.identities import Identities
from trackledger.domain.news import News
from trackledger.domain.versions import Slots


class Shipment:
    """The aggregate: one consignment followed for one account, trimmed to what decisions need.

    `apply` takes in what happened, the other methods return the events that should happen next and change nothing.
    """

    __slots__ = (
        "_known", "_parent", "_slots", "_snapshots", "account", "forgotten", "id", "private", "trackers", "version",
    )  # fmt: skip

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.version = 0
        self.account = ""
        self.forgotten = False
        self.private = False
        self.trackers: set[str] = set()
        self._known = Identities()
        self._slots = Slots()
        self._snapshots: dict[str, datetime] = {}
        self._parent = ""

    @property
    def is_open(self) -> bool:
        """Whether the shipment exists in the ledger."""
        return self.version > 0

    @property
    def reference_key(self) -> str:
        """The key under which the host registered it, empty when it did not."""
        prefix = f"{self.account}:{HOST}:"
        return next((key for key in self.trackers if key.startswith(prefix)), "")

    def apply(self, event: Event) -> None:
        """Fold one event."""
        self.version += 1
        match event:
            case ReportRecorded():
                self._apply_report(event)
            case Opened():
                self.account, self.private = event.account, event.private
                self.trackers.update(self._key(tracker) for tracker in event.trackers)
                if event.reference:
                    self.trackers.add(tracker_key(event.account, HOST, event.reference))
            case TrackerLinked():
                self.trackers.add(self._key(event.tracker))
            case CheckpointsWithdrawn():
                for key in event.keys:
                    known = self._known.by_key(key)
                    if known is not None:
                        known.withdraw(event.said_at)
                self._see(event.tracker, event.said_at)
            case DetailsStated():
                for name, value in event.details.items():
                    self._slots.add((HOST, "detail", name), value, event.recorded_at)
                if event.promised:
                    slot = (HOST, "estimate", event.promised.source)
                    self._slots.add(slot, event.promised.digest, event.recorded_at)
            case PieceLinked():
                self._parent = event.parent
            case AmendedByHand():
                self._known.correct(event.correction)
            case Reread():
                self._apply_reread(event)
            case Forgotten():
                self.forgotten = True
            case _:
                pass

    def _apply_report(self, event: ReportRecorded) -> None:
        tracker, at = event.tracker, event.said_at
        for identification in event.identified:
            self._known.identify(identification.fingerprint, identification.id, at)
        for checkpoint in event.recorded:
            self._known.state(checkpoint, tracker, at)
        for amendment in event.amended:
            self._known.state(amendment.checkpoint, tracker, at)
        for key in event.reinstated:
            known = self._known.by_key(key)
            if known is not None:
                known.heard_at = max(known.heard_at, at)
        for estimate in event.estimates:
            self._slots.add((tracker, "estimate", estimate.source), estimate.digest, at)
        for assertion in event.assertions:
            self._slots.add((tracker, assertion.kind, assertion.about), assertion.digest, at)
        for name, value in event.details.items():
            self._slots.add((tracker, "detail", name), value, at)
        if event.whole_history:
            self._see(tracker, at)

    def _apply_reread(self, event: Reread) -> None:
        for correction in event.corrections:
            self._known.correct(correction)
        for one in event.claims:
            was, claim = one.replaces, one.claim
            of, other = (event.tracker, was.kind, was.about), (event.tracker, claim.kind, claim.about)
            self._slots.correct(of, was.digest, other, claim.digest)
        for told in event.estimates:
            source = (event.tracker, "estimate", told.replaces.source)
            self._slots.correct(source, told.replaces.digest, source, told.estimate.digest)
        for detail in event.details:
            name = (event.tracker, "detail", detail.name)
            self._slots.correct(name, detail.replaces, name, detail.value)

    def _see(self, tracker: str, at: datetime) -> None:
        self._snapshots[tracker] = max(self._snapshots.get(tracker, at), at)

    def _key(self, tracker: Tracker) -> str:
        return tracker_key(self.account, tracker.provider, tracker.reference)

    def report(self, report: Report, recorded_at: datetime, *, withdrawals: bool) -> tuple[list[Event], "Judgement"]:
        """The events of one report: none when it repeats what is known.

        With `withdrawals`, a report of a whole history withdraws what the same tracker stated before and states no
        longer. The judgement counts the checkpoints by verdict.
        """
        tracker, at = report.key, report.said_at
        snapshot = self._snapshots.get(tracker, at)
        news = News()
        news.sort_out(report.checkpoints, self._known, at, late=at < snapshot)
        event = ReportRecorded(
            recorded_at=recorded_at,
            tracker=tracker,
            provider=report.tracker.provider,
            message_id=report.message_id,
            channel=report.channel,
            received_at=report.received_at,
            stated_at=report.stated_at,
            recorded=tuple(news.recorded),
            amended=tuple(news.amended),
            identified=tuple(news.identified),
            reinstated=tuple(news.reinstated),
            estimates=self._slots.news(
                {((tracker, "estimate", e.source), e.digest): e for e in report.estimates}, at, first_told=True
            ),
            assertions=self._slots.news({((tracker, a.kind, a.about), a.digest): a for a in report.assertions}, at),
            details=self._new_details(tracker, report.details, at),
            whole_history=withdrawals and report.whole_history,
        )
        events: list[Event] = []
        if news or event.estimates or event.assertions or event.details:
            events.append(event)
        judgement = Judgement(
            len(news.recorded), len(news.amended), len(report.checkpoints) - len(news.recorded) - len(news.amended)
        )
        if withdrawals and (withdrawn := self._withdrawn_by(report, news, recorded_at)):
            events.append(withdrawn)
            judgement.withdrawn = len(withdrawn.keys)
        return events, judgement

    def _withdrawn_by(self, report: Report, news: News, recorded_at: datetime) -> CheckpointsWithdrawn | None:
        tracker, at = report.key, report.said_at
        snapshot = self._snapshots.get(tracker)
        if snapshot is not None and at < snapshot:
            # An older message, read late: what it alone states was already missing from the newer history.
            gone, at = [*(checkpoint.key for checkpoint in news.recorded), *news.gone], snapshot
        elif report.whole_history:
            present = news.present
            gone = [
                known.key
                for known in self._known
                if known.tracker == tracker and known not in present and not known.is_withdrawn and known.heard_at < at
            ]
        else:
            return None
        if not gone:
            return None
        return CheckpointsWithdrawn(
            recorded_at=recorded_at,
            tracker=tracker,
            provider=report.tracker.provider,
            message_id=report.message_id,
            channel=report.channel,
            received_at=report.received_at,
            said_at=at,
            keys=tuple(gone),
        )

    def _new_details(self, who: str, details: Mapping[str, str], at: datetime) -> dict[str, str]:
        said = {((who, "detail", name), value): (name, value) for name, value in details.items() if value}
        return dict(self._slots.news(said, at, first_told=True))

    def register(self, registration: Registration, recorded_at: datetime, *, private: bool = False) -> list[Event]:
        """The events by which the host's wish becomes true; none when it already is. A shipment that is opened by it
        is `private` or not, for ever."""
        wanted = list(registration.trackers)
        events: list[Event] = []
        if not self.is_open:
            events.append(
                Opened(
                    recorded_at=recorded_at,
                    account=registration.account,
                    reference=registration.reference,
                    trackers=tuple(wanted),
                    private=private,
                )
            )
        else:
            if registration.reference:
                wanted.append(Tracker(HOST, registration.reference))
            events += [
                TrackerLinked(recorded_at=recorded_at, tracker=tracker)
                for tracker in wanted
                if self._key(tracker) not in self.trackers
            ]
        details = self._new_details(HOST, registration.details, recorded_at)
        promised = [registration.promised] if registration.promised else []
        news = self._slots.news({((HOST, "estimate", p.source), p.digest): p for p in promised}, recorded_at)
        if details or news:
            events.append(DetailsStated(recorded_at=recorded_at, details=details, promised=news[0] if news else None))
        if registration.piece_of and registration.piece_of != self._parent:
            events.append(PieceLinked(recorded_at=recorded_at, parent=registration.piece_of))
        return events

    def tie(self, trackers: Iterable[Tracker], parent: str, recorded_at: datetime) -> list[Event]:
        """The events by which a report makes further trackers feed this shipment, and it a piece of `parent` where it
        is none of another yet: the host's word on that outranks a provider's."""
        events: list[Event] = [TrackerLinked(recorded_at=recorded_at, tracker=tracker) for tracker in trackers]
        if parent and not self._parent:
            events.append(PieceLinked(recorded_at=recorded_at, parent=parent))
        return events


class Judgement:
    """How many checkpoints of a report were new, changed, known, and gone."""

    __slots__ = ("amended", "recorded", "repeated", "withdrawn")

    def __init__(self, recorded: int = 0, amended: int = 0, repeated: int = 0) -> None:
        self.recorded, self.amended, self.repeated, self.withdrawn = recorded, amended, repeated, 0


def fold(id_: str, events: Iterable[Event]) -> Shipment:
    """The shipment as its events left it; not open when there are none."""
    shipment = Shipment(id_)
    for event in events:
        shipment.apply(event)
    return shipment
