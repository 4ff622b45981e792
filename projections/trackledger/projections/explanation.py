"""Why is it concluded so: by which rule, from which statements, and what would change it?"""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import asdict

from trackledger.domain.checkpoints import AssertionKind
from trackledger.domain.events import LedgerEvent, PieceLinked
from trackledger.domain.milestones import FINAL
from trackledger.domain.policies import attempts, delivery_dates, lateness, silence, status
from trackledger.domain.policies.attempts import Case, CaseState
from trackledger.domain.policies.delivery_dates import Window
from trackledger.domain.statements import ToldAssertion
from trackledger.projections import consignments, ndr, ndr_actions
from trackledger.projections.conclusions import Conclusions, Policies
from trackledger.projections.sources import Sources, Statement


class Rule(Struct, frozen=True):
    """A rule that drew a conclusion: its name, the version of the rules that it is one of, and what it says.

    `policy_version` is that of the numbers in force, of a rule with a number in it; see `SilencePolicy`.
    """

    name: str
    version: str
    says: str
    policy_version: str | None = None


class Conclusion(Struct, frozen=True, kw_only=True):
    """One conclusion, `about` what; `says` it in words and `value` in the columns of the tables.

    `rules` drew it, the one that decided first, from `statements`. `next` says what would change it.
    """

    about: str
    says: str
    value: dict[str, Any]
    rules: tuple[Rule, ...]
    statements: tuple[Statement, ...] = ()
    next: str = ""


class Unused(Struct, frozen=True):
    """A statement that no conclusion depends on, and the rule that says why."""

    statement: Statement
    rule: Rule


class Explanation(Struct, frozen=True):
    """Every conclusion about one shipment as of `judged_at`, and what was said and used for none of them."""

    shipment_id: str
    judged_at: datetime
    conclusions: tuple[Conclusion, ...]
    unused: tuple[Unused, ...]


RULES_VERSION = "statements-1"

RULES: dict[str, str] = {
    "withdrawn": "Its provider does not state it any more.",
    "withdrawn_by_hand": "Somebody took it out by hand.",
    "superseded": "The same checkpoint is stated otherwise by a version that was said later.",
    "older": "Newer scans tell where the parcel is, and nothing else depends on this one.",
    "other_estimate": "A newer estimate counts, or one that is nearer to the parcel.",
    "no_day_to_count_from": "It is in days, and there is no day yet to count them from.",
    "other_claim": "A headline claim of the provider that no conclusion depends on.",
    "piece_linked": "A report or the host said of which consignment it is a piece.",
}
"""Rule to what it says: which statements stand for what. The version is changed as those of the policies are."""


class Ruled(Protocol):
    """A module with rules."""

    RULES: dict[str, str]
    RULES_VERSION: str


def rule(module: Ruled, name: str) -> Rule:
    """One rule of a module. Raises `KeyError` for one that has no sentence."""
    return Rule(name, module.RULES_VERSION, module.RULES[name])


def explain(
    c: Conclusions,
    events: Iterable[LedgerEvent],
    now: datetime,
    policies: Policies,
    consignment: Mapping[str, Any] | None = None,
    pieces: Sequence[Mapping[str, Any]] = (),
) -> Explanation:
    """Every conclusion about one shipment as of `now`, which was drawn by these policies from these events.

    `consignment` is its row in `consignments`, and `pieces` are the rows in `shipments` of the shipments that are its
    pieces, if there are any. A pure function: equal arguments, equal result.
    """
    told = _Telling(c, list(events), now, policies)
    conclusions = (
        *told.of_status(),
        *told.of_attempts(),
        *told.of_actions(),
        *told.of_silence(),
        *told.of_dates(),
        *told.of_consignment(consignment, pieces),
    )
    return Explanation(c.statements.shipment_id, now, conclusions, tuple(told.unused(conclusions)))


class _Telling:
    """Puts the conclusions about one shipment into words."""

    def __init__(self, c: Conclusions, events: list[LedgerEvent], now: datetime, policies: Policies) -> None:
        self._c = c
        self._now = now
        self._events = events
        self._policies = policies
        self._sources = Sources(c.statements, events)
        self._told = {told.checkpoint.key: told for told in c.told}

    def _scans(self, *keys: str) -> tuple[Statement, ...]:
        return tuple(self._sources.checkpoint(self._told[key]) for key in dict.fromkeys(keys) if key)

    def _numbered(self, module: Ruled, numbered: Container[str], name: str) -> Rule:
        version = self._policies.silence.version if name in numbered else None
        return Rule(name, module.RULES_VERSION, module.RULES[name], version)

    def _claim(self, kind: AssertionKind) -> tuple[Statement, ...]:
        claim = self._c.statements.claim(kind)
        return (self._sources.claim(claim),) if claim else ()

    def of_status(self) -> Iterable[Conclusion]:
        s = self._c.status
        leg = "" if s.leg == "forward" else f" on the {s.leg} leg"
        followers = ", ".join(sorted(one.value for one in status.ENDED_BY.get(s.milestone, ())))
        yield Conclusion(
            about="status",
            says=f"{s.milestone}{leg}" + (f" since {shown(s.since)}" if s.since else ""),
            value={
                "milestone": s.milestone.value,
                "leg": s.leg.value,
                "since": s.since,
                "said": s.said or None,
                "is_final": s.milestone in FINAL,
            },
            rules=(rule(status, s.rule),),
            statements=(*self._scans(*s.because), *self._claim(AssertionKind.DIRECTION)),
            next=f"It stands until one of these is stated: {followers}."
            if followers
            else "The next scan that tells of the parcel moves it.",
        )
        if s.location:
            yield Conclusion(
                about="location",
                says=s.location,
                value={"location": s.location},
                rules=(rule(status, "newest_place"),),
                statements=self._scans(s.located_by),
            )
        if claimed := self._claim(AssertionKind.STATUS):
            yield Conclusion(
                about="provider_status",
                says=str(claimed[0].value).partition(": ")[2],
                value={"provider_status": str(claimed[0].value).partition(": ")[2]},
                rules=(rule(status, "provider_headline"),),
                statements=claimed,
            )
        arrival = self._c.arrival
        yield Conclusion(
            about="delivered_at",
            says=shown(arrival.at) if arrival.at else "not delivered",
            value={"delivered_at": arrival.at},
            rules=(rule(status, arrival.rule),),
            statements=self._scans(arrival.by),
        )

    def of_attempts(self) -> Iterable[Conclusion]:
        cases = self._c.cases
        visits, failures = sum(case.attempts for case in cases), sum(case.failure_scans for case in cases)
        yield Conclusion(
            about="attempts",
            says=f"{count(visits, 'attempt')}, told of by {count(failures, 'failure scan')}",
            value={"attempts": visits, "failure_scans": failures},
            rules=(rule(attempts, "visits_in_all" if cases else "no_failed_delivery"),),
            statements=self._scans(*(key for case in cases for key, _ in case.visits)),
        )
        for case, row in zip(cases, ndr.rows(self._c), strict=True):
            yield from self._case(case, asdict(row))

    def _case(self, case: Case, row: dict[str, Any]) -> Iterable[Conclusion]:
        about, newest = f"ndr_case_{case.case_no}", case.because[-1]
        outcome = f": {case.outcome} at {shown(case.closed_at)}" if case.outcome and case.closed_at else ""
        yield Conclusion(
            about=about,
            says=f"{case.state}{outcome}",
            value={name: row[name] for name in ("state", "outcome", "opened_at", "closed_at")},
            rules=(rule(attempts, case.rule),),
            statements=self._scans(case.because[0], case.moved_by or newest),
            next={
                CaseState.OPEN: "It is actioned once an action is agreed to, or it is sent out or can be collected.",
                CaseState.ACTIONED: "It is closed by a delivery or a return, and opens again when a visit fails.",
                CaseState.CLOSED: "The next failed delivery opens another case.",
            }[case.state],
        )
        gap = words(self._policies.attempts.new_visit_after)
        yield Conclusion(
            about=f"{about}.attempts",
            says=f"{count(case.attempts, 'attempt')}, told of by {count(case.failure_scans, 'failure scan')}",
            value={name: row[name] for name in ("attempts", "failure_scans", "last_attempt_at")},
            rules=tuple(
                self._numbered(attempts, attempts.NUMBERED, name)
                for name in dict.fromkeys(name for _, name in case.visits)
            ),
            statements=self._scans(*case.because),
            next=f"A failure after the parcel was out again, or after {gap}, is another attempt.",
        )
        claim = self._c.statements.explanation(case.reason_by)
        yield Conclusion(
            about=f"{about}.reason",
            says=f"{case.reason} ({case.reason_said or 'no words'}): the {case.party} must act",
            value={name: row[name] for name in ("reason", "reason_said", "party")},
            rules=(rule(attempts, case.reason_rule),),
            statements=(*self._scans(case.reason_by), *((self._sources.claim(claim),) if claim else ())),
        )
        left = case.act_by - self._now if case.act_by else timedelta()
        yield Conclusion(
            about=f"{about}.act_by",
            says=f"act by {shown(case.act_by)}, {words(case.act_by - case.last_attempt_at)} after the newest failure"
            if case.act_by
            else "nobody has to act",
            value={"act_by": row["act_by"], "overdue": case.act_by is not None and case.act_by <= self._now},
            rules=(self._numbered(attempts, attempts.NUMBERED, case.act_rule),),
            statements=self._scans(newest) if case.act_by else self._scans(case.moved_by),
            next="" if not case.act_by else f"{words(left)} are left." if left > timedelta() else "That has passed.",
        )

    def of_actions(self) -> Iterable[Conclusion]:
        """What each action about a failed delivery does to its case."""
        numbers: dict[int, int] = {}
        for action, row in zip(self._c.statements.actions(), ndr_actions.rows(self._c), strict=True):
            numbers[row.case_no] = number = numbers.get(row.case_no, 0) + 1
            failure = self._c.statements.listed_as(action.failure)
            answered = f' in the words "{row.answer}"' if row.answer else ""
            when = f" at {shown(row.answered_at or row.sent_at)}" if row.answered_at or row.sent_at else ""
            by_hand = "done by hand, " if row.by_hand else ""
            yield Conclusion(
                about=f"ndr_case_{row.case_no}.action_{number}",
                says=f"{row.action}, asked for by {row.actor} at {shown(row.requested_at)}: "
                f"{by_hand}{row.state}{when}{answered}",
                value=asdict(row),
                rules=(rule(attempts, row.effect),),
                statements=self._scans(failure) if failure in self._told else (),
                next={
                    "not_answered": "Send it again; once it is acknowledged, the case is actioned.",
                    "refused": "Ask for another action.",
                }.get(row.effect, ""),
            )

    def of_silence(self) -> Iterable[Conclusion]:
        quiet = self._c.silence
        claimed = self._claim(AssertionKind.STUCK)
        if quiet is None:
            split = self._claim(AssertionKind.SPLIT) if self._c.excuse == "split" else ()
            ended = self._scans(*self._c.status.because) if self._c.excuse == "journey_ended" else ()
            yield Conclusion(
                about="stuck",
                says="there is no deadline",
                value={"kind": None, "quiet_since": None, "stuck_after": None, "is_stuck": False},
                rules=(rule(silence, self._c.excuse),),
                statements=(*ended, *split),
            )
        else:
            is_stuck = quiet.stuck_after <= self._now
            kind = quiet.kind.replace("_", " ")
            yield Conclusion(
                about="stuck",
                says=f"{'stuck' if is_stuck else 'not stuck'}: quiet since {shown(quiet.quiet_since)}, "
                f"it may be quiet for {words(quiet.quiet)}",
                value={
                    "kind": quiet.kind.value,
                    "quiet_since": quiet.quiet_since,
                    "stuck_after": quiet.stuck_after,
                    "is_stuck": is_stuck,
                    "policy_version": quiet.policy_version,
                },
                rules=tuple(self._numbered(silence, silence.NUMBERED, name) for name in quiet.rules),
                statements=self._scans(*quiet.because),
                next=f"Stuck since {shown(quiet.stuck_after)} ({kind}), until a scan tells of the parcel."
                if is_stuck
                else f"Stuck from {shown(quiet.stuck_after)} on ({kind}), if nothing is heard until then.",
            )
        says = {None: "the provider says nothing of it", True: "the provider says it is stuck"}
        yield Conclusion(
            about="provider_says_stuck",
            says=says.get(self._c.provider_says_stuck, "the provider says it is not stuck"),
            value={"provider_says_stuck": self._c.provider_says_stuck},
            rules=(rule(silence, "provider_claim"),),
            statements=claimed,
        )

    def of_dates(self) -> Iterable[Conclusion]:
        dates = self._c.dates
        for name, by, window in (
            ("promised", "newest_promise", dates.promised),
            ("original", "first_stated", dates.original),
            ("current", "nearest_source", dates.current),
        ):
            yield self._window(name, by, window)
        first = dates.first_attempt_at
        yield Conclusion(
            about="first_attempt_at",
            says=shown(first) if first else "none yet",
            value={"first_attempt_at": first},
            rules=(rule(delivery_dates, "first_attempt" if first else "no_attempt"),),
            statements=self._scans(dates.first_attempt_by),
        )
        against = {"promised": dates.promised, "original": dates.original}.get(dates.baseline)
        ended = self._c.status.milestone in FINAL
        verdict = lateness.judge(dates.promised_by, dates.delivered_at, self._now, ended=ended)
        yield Conclusion(
            about="on_time",
            says=_in_time(verdict, dates.baseline),
            value={
                "on_time": verdict.on_time,
                "baseline": dates.baseline or None,
                "promised_by": dates.promised_by,
                "margin_seconds": int(verdict.margin.total_seconds()) if verdict.margin is not None else None,
            },
            rules=(rule(lateness, verdict.rule), rule(delivery_dates, delivery_dates.AGAINST[dates.baseline])),
            statements=(*((self._sources.estimate(against),) if against else ()), *self._scans(self._c.arrival.by)),
            next=f"Late from {shown(dates.promised_by)} on, unless it is delivered before."
            if verdict.rule == "not_due" and dates.promised_by
            else "",
        )

    def _window(self, name: str, by: str, window: Window | None) -> Conclusion:
        if window is None:
            value = {f"{name}_from": None, f"{name}_to": None}
            return Conclusion(about=name, says="none", value=value, rules=(rule(delivery_dates, "no_estimate"),))
        span = f"{window.starts} to {window.ends}" if window.starts != window.ends else f"{window.ends}"
        return Conclusion(
            about=name,
            says=f"{span} by {window.source}",
            value={f"{name}_from": window.starts, f"{name}_to": window.ends, f"{name}_source": window.source.value},
            rules=tuple(rule(delivery_dates, one) for one in (by, *window.rules)),
            statements=(self._sources.estimate(window), *self._scans(window.counted_by)),
        )

    def of_consignment(
        self, consignment: Mapping[str, Any] | None, pieces: Sequence[Mapping[str, Any]]
    ) -> Iterable[Conclusion]:
        parent = self._c.statements.parent
        if parent:
            linked = [one for one in self._events if isinstance(one.event, PieceLinked)][-1]
            yield Conclusion(
                about="piece_of",
                says=f"a piece of {parent}",
                value={"piece_of": parent, "position": linked.position, "recorded_at": linked.event.recorded_at},
                rules=(Rule("piece_linked", RULES_VERSION, RULES["piece_linked"]),),
            )
        if consignment is not None:
            states = [{name: row[name] for name in ("shipment_id", "milestone", "is_final")} for row in pieces]
            yield Conclusion(
                about="consignment",
                says=f"{consignment['state']}: {consignment['delivered']} of {consignment['pieces']} pieces delivered, "
                f"{consignment['open']} open, {consignment['failed']} failed",
                value={**consignment, "shipments": states},
                rules=(rule(consignments, consignment["state"]), rule(consignments, "each" if pieces else "counted")),
                statements=() if pieces else self._claim(consignments.COUNTED_BY),
            )

    def unused(self, conclusions: Iterable[Conclusion]) -> Iterable[Unused]:
        """What was said and is used for none of these conclusions."""
        used = {statement for one in conclusions for statement in one.statements}
        keys = {one.checkpoint_id for one in used}
        passed = dict(self._c.status.passed)
        for told in self._c.told:
            key = told.checkpoint.key
            if told.withdrawn:
                struck = self._c.statements.is_struck(key)
                yield self._unused(self._sources.checkpoint(told), "withdrawn_by_hand" if struck else "withdrawn")
            elif key in passed and key not in keys:
                yield Unused(self._sources.checkpoint(told), rule(status, passed[key]))
            elif key not in keys:
                yield self._unused(self._sources.checkpoint(told), "older")
            for version in self._c.statements.versions(key):
                yield self._unused(self._sources.checkpoint(version), "superseded")
        for window in self._c.dates.windows:
            estimate = self._sources.estimate(window)
            if estimate not in used:
                yield self._unused(estimate, "other_estimate")
        counted = {(window.message_id, window.stated_at, window.source) for window in self._c.dates.windows}
        for one in self._c.statements.estimates:
            if (one.message_id, one.stated_at, one.estimate.source) not in counted:
                uncounted = self._sources.uncounted(one.estimate, one.message_id, one.stated_at)
                yield self._unused(uncounted, "no_day_to_count_from")
        for claim in self._c.statements.claims():
            yield from self._unused_claim(claim, used)

    def _unused_claim(self, claim: ToldAssertion, used: Container[Statement]) -> Iterable[Unused]:
        statement = self._sources.claim(claim)
        if statement not in used:
            yield self._unused(statement, "other_claim")

    def _unused(self, statement: Statement, name: str) -> Unused:
        return Unused(statement, Rule(name, RULES_VERSION, RULES[name]))


def _in_time(verdict: lateness.Verdict, baseline: str) -> str:
    if verdict.margin is None:
        return "never late"
    by = words(abs(verdict.margin))
    against = f"against the {baseline} date"
    return {
        "in_time": f"delivered in time, {by} before the end of the {baseline} date",
        "too_late": f"delivered too late, by {by} {against}",
        "overdue": f"late, by {by} so far {against}",
        "not_due": f"not due for another {by} {against}",
        "ended_otherwise": f"neither, its journey ended otherwise {against}",
    }[verdict.rule]


def shown(moment: datetime | None) -> str:
    """An instant for a person, in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%SZ") if moment else "-"


def count(number: int, what: str) -> str:
    """So many of something."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def words(span: timedelta) -> str:
    """A length of time for a person, to the minute: `3 d 4 h`."""
    minutes = int(span.total_seconds()) // 60
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "less than a minute"
