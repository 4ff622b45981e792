"""What of a report is new for this shipment, and which events follow from it?"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from trackledger.domain.checkpoints import (
    HOST,
    Assertion,
    Checkpoint,
    Estimate,
    Registration,
    Report,
    Tracker,
    tracker_key,
)
from trackledger.domain.events import (
    Amendment,
    CheckpointsWithdrawn,
    DetailsStated,
    Event,
    Identification,
    Opened,
    PieceLinked,
    ReportRecorded,
    TrackerLinked,
)
from trackledger.domain.versions import Identities, Known, Verdict, Versions

S = TypeVar("S", Estimate, Assertion)


class Shipment:
    """The aggregate: one consignment followed for one account, trimmed to what decisions need.

    `apply` takes in what happened, the other methods return the events that should happen next and change nothing.
    """

    __slots__ = ("_details", "_known", "_parent", "_snapshots", "_statements", "account", "id", "trackers", "version")

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.version = 0
        self.account = ""
        self.trackers: set[str] = set()
        self._known = Identities()
        self._statements: dict[tuple[str, str, str], Versions] = {}
        self._details: dict[tuple[str, str], Versions] = {}
        self._snapshots: dict[str, datetime] = {}
        self._parent = ""

    @property
    def is_open(self) -> bool:
        """Whether the shipment exists in the ledger."""
        return self.version > 0

    def apply(self, event: Event) -> None:
        """Fold one event."""
        self.version += 1
        match event:
            case ReportRecorded():
                self._apply_report(event)
            case Opened():
                self.account = event.account
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
                    self._state_detail(HOST, name, value, event.recorded_at)
                if event.promised:
                    self._state(HOST, "estimate", event.promised.source, event.promised.digest, event.recorded_at)
            case PieceLinked():
                self._parent = event.parent
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
            self._state(tracker, "estimate", estimate.source, estimate.digest, at)
        for assertion in event.assertions:
            self._state(tracker, assertion.kind, assertion.about, assertion.digest, at)
        for name, value in event.details.items():
            self._state_detail(tracker, name, value, at)
        if event.whole_history:
            self._see(tracker, at)

    def _state(self, tracker: str, kind: str, about: str, digest: str, at: datetime) -> None:
        slot = (tracker, kind, about)
        versions = self._statements.get(slot)
        if versions is None:
            self._statements[slot] = Versions(digest, at)
        else:
            versions.add(digest, at)

    def _state_detail(self, tracker: str, name: str, value: str, at: datetime) -> None:
        versions = self._details.get((tracker, name))
        if versions is None:
            self._details[tracker, name] = Versions(value, at)
        else:
            versions.add(value, at)

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
        news = self._news(report)
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
            estimates=self._new(report.estimates, lambda e: (tracker, "estimate", e.source), at),
            assertions=self._new(report.assertions, lambda a: (tracker, a.kind, a.about), at),
            details={n: v for n, v in report.details.items() if v and self._is_new_detail(tracker, n, v, at)},
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

    def _news(self, report: Report) -> "_News":
        news = _News()
        distinct = _distinct(report.checkpoints)
        if not self._known:
            news.recorded += distinct
            return news
        at = report.said_at
        late = at < self._snapshots.get(report.key, at)
        identified_now: set[str] = set()
        changed: list[tuple[Known, Checkpoint]] = []
        for checkpoint in distinct:
            known = self._known.find(checkpoint)
            if known is None:
                news.recorded.append(checkpoint)
                continue
            loose = self._known.identified_by(checkpoint)
            if loose is not None:
                if checkpoint.fingerprint in identified_now and known is loose:
                    # A twin: the same scan filed twice, under two ids. The first of them took the id-less statement.
                    news.recorded.append(checkpoint)
                    continue
                identified_now.add(checkpoint.fingerprint)
                news.identified.append(Identification(checkpoint.fingerprint, checkpoint.id))
                news.state(loose, checkpoint.digest)
            news.state(known, checkpoint.digest)
            if known.standing == checkpoint.digest and known.withdrawn_at is None:
                continue
            verdict = _judge(known, checkpoint, at)
            if verdict is Verdict.AMENDED:
                changed.append((known, checkpoint))
            elif verdict is Verdict.REINSTATED and not late:
                news.reinstated.append(checkpoint.id or known.key)
        for known, checkpoint in changed:
            # A message that states two contents of one checkpoint returns to neither by stating both again.
            if not (known.older and checkpoint.digest in known.older and known.standing in news.present[known]):
                news.amended.append(Amendment(checkpoint, known.standing))
                if late and known.is_withdrawn:
                    news.gone.append(checkpoint.id or known.key)
        return news

    def _withdrawn_by(self, report: Report, news: "_News", recorded_at: datetime) -> CheckpointsWithdrawn | None:
        tracker, at = report.key, report.said_at
        snapshot = self._snapshots.get(tracker)
        if snapshot is not None and at < snapshot:
            # An older message, read late: what it alone states was already missing from the newer history.
            gone, at = [*(checkpoint.key for checkpoint in news.recorded), *news.gone], snapshot
        elif report.whole_history:
            gone = [
                known.key
                for known in self._known
                if known.tracker == tracker
                and known not in news.present
                and not known.is_withdrawn
                and known.heard_at < at
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

    def _new(self, said: Sequence[S], slot: Callable[[S], tuple[str, str, str]], at: datetime) -> tuple[S, ...]:
        """What is news; two contents of one slot in every message, both known, are not."""
        if not said:
            return ()
        stated = {(slot(one), one.digest) for one in said}
        return tuple(
            one
            for one in said
            if self._is_news(*slot(one), one.digest, at)
            and not (
                (versions := self._statements.get(slot(one)))
                and versions.older
                and one.digest in versions.older
                and (slot(one), versions.standing) in stated
            )
        )

    def _is_news(self, tracker: str, kind: str, about: str, digest: str, at: datetime) -> bool:
        versions = self._statements.get((tracker, kind, about))
        return versions is None or versions.judge(digest, at) is Verdict.AMENDED

    def _is_new_detail(self, tracker: str, name: str, value: str, at: datetime) -> bool:
        versions = self._details.get((tracker, name))
        return versions is None or versions.judge(value, at) is Verdict.AMENDED

    def register(self, registration: Registration, recorded_at: datetime) -> list[Event]:
        """The events by which the host's wish becomes true; none when it already is."""
        wanted = list(registration.trackers)
        events: list[Event] = []
        if not self.is_open:
            events.append(
                Opened(
                    recorded_at=recorded_at,
                    account=registration.account,
                    reference=registration.reference,
                    trackers=tuple(wanted),
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
        details = {n: v for n, v in registration.details.items() if v and self._is_new_detail(HOST, n, v, recorded_at)}
        promised = registration.promised
        if promised and not self._is_news(HOST, "estimate", promised.source, promised.digest, recorded_at):
            promised = None
        if details or promised:
            events.append(DetailsStated(recorded_at=recorded_at, details=details, promised=promised))
        if registration.piece_of and registration.piece_of != self._parent:
            events.append(PieceLinked(recorded_at=recorded_at, parent=registration.piece_of))
        return events


class Judgement:
    """How many checkpoints of a report were new, changed, known, and gone."""

    __slots__ = ("amended", "recorded", "repeated", "withdrawn")

    def __init__(self, recorded: int = 0, amended: int = 0, repeated: int = 0) -> None:
        self.recorded, self.amended, self.repeated, self.withdrawn = recorded, amended, repeated, 0


class _News:
    """What of a report's checkpoints is new, and which known ones it states."""

    __slots__ = ("amended", "gone", "identified", "present", "recorded", "reinstated")

    def __init__(self) -> None:
        self.recorded: list[Checkpoint] = []
        self.amended: list[Amendment] = []
        self.identified: list[Identification] = []
        self.reinstated: list[str] = []
        self.gone: list[str] = []
        self.present: dict[Known, set[str]] = {}

    def state(self, known: Known, digest: str) -> None:
        """Take in that the report states this content of a known checkpoint."""
        self.present.setdefault(known, set()).add(digest)

    def __bool__(self) -> bool:
        return bool(self.recorded or self.amended or self.identified or self.reinstated)


def _distinct(checkpoints: Sequence[Checkpoint]) -> Iterable[Checkpoint]:
    """What one message says, once: some repeat a row within itself."""
    if len({c.id or c.fingerprint for c in checkpoints}) == len(checkpoints):
        return checkpoints
    return {(c.key, c.digest): c for c in checkpoints}.values()


def _judge(known: Known, checkpoint: Checkpoint, at: datetime) -> Verdict:
    verdict = known.judge(checkpoint.digest, at)
    if (
        verdict is Verdict.REPEATED
        and known.is_withdrawn
        and known.withdrawn_at is not None
        and at > known.withdrawn_at
    ):
        return Verdict.REINSTATED
    return verdict


def fold(id_: str, events: Iterable[Event]) -> Shipment:
    """The shipment as its events left it; not open when there are none."""
    shipment = Shipment(id_)
    for event in events:
        shipment.apply(event)
    return shipment
