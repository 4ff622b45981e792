"""Which checkpoints does a tracking of AfterShip tell, and what does its tag say beyond them?"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from trackledger.adapters.providers.aftership_codes import EVENT_REASONS, EVENTS, REASONS, SUBTAGS, TAGS
from trackledger.adapters.providers.aftership_wire import Event, Scan, Tracking
from trackledger.adapters.providers.reading import iso
from trackledger.adapters.providers.reasons import hinted
from trackledger.domain.checkpoints import Checkpoint, content_digest, fingerprint, squash
from trackledger.domain.errors import Unreadable
from trackledger.domain.milestones import FINAL, Leg, Milestone, NdrReason
from trackledger.domain.moments import Moment, ZoneSource

M = Milestone

_RETURN = frozenset({M.RETURN_REQUESTED, M.RETURNING, M.RETURNED})


def checkpoints(tracking: Tracking, number: str, at: str, left_out: list[Unreadable]) -> Iterator[Checkpoint]:
    """The checkpoints that have a time; the refusals of the others, which are at no known point of the journey, are
    added to `left_out`.

    A checkpoint is the same where courier, time and words are: its place and its classification are corrected later,
    which is an amendment. Those alike in all of that, and those of one instant, keep the order of the list, which is
    read from its older end.
    """
    placed: list[tuple[Scan, Moment]] = []
    for index, scan in enumerate(tracking.checkpoints or ()):
        try:
            occurred = iso("aftership", scan.checkpoint_time or "", f"{at}checkpoints.{index}.checkpoint_time")
        except Unreadable as reason:
            left_out.append(reason)
        else:
            placed.append((scan, occurred))
    if placed and placed[0][1].at > placed[-1][1].at:
        placed.reverse()
    alike: Counter[str] = Counter()
    at_once: Counter[datetime] = Counter()
    for scan, occurred in placed:
        # Digits without a zone are no instant.
        when = f"{occurred.at}" if occurred.zone is ZoneSource.STATED else f"local:{occurred.at}"
        same = fingerprint("aftership", number, clean(scan.slug), when, squash(scan.message or ""))
        twin = alike[same]
        yield _checkpoint(scan, occurred, fingerprint(same, str(twin)) if twin else same, at_once[occurred.at])
        alike[same] += 1
        at_once[occurred.at] += 1


def _checkpoint(scan: Scan, occurred: Moment, same: str, order: int) -> Checkpoint:
    tag, subtag = clean(scan.tag), clean(scan.subtag)
    events = scan.events or ()
    codes = [code for event in events for code in _codes(event)]
    milestone = meaning(tag, subtag, codes)
    said, words, place = clean(scan.subtag_message), clean(scan.message), _place(scan)
    reason, inferred = _reason(milestone, subtag, codes, words, said)
    number = clean(scan.hash)
    return Checkpoint(
        fingerprint=same,
        # Whatever decides the milestone, the reason or the order: the same statement heard again leaves no trace.
        digest=content_digest(occurred, "|".join((tag, subtag, str(order), *codes)), said, place, words),
        milestone=milestone,
        occurred=occurred,
        id=f"aftership:{number}" if number else "",
        leg=_leg(milestone),
        status_code=subtag or tag,
        status_said=said,
        location=place,
        remark=words,
        ndr_reason=reason,
        order=order,
        ndr_inferred=inferred,
    )


def headline(tracking: Tracking, id_: str, stated: Moment | None, told: Sequence[Checkpoint]) -> Checkpoint | None:
    """The tag as a checkpoint, where the list of checkpoints does not tell of it: where there is none at all, or none
    for a tag that ends the journey, as when somebody marks a tracking as completed, lost or returned, or it expires.

    It happened when AfterShip stated it, at the latest. There is one for each sub-status, with the id
    `aftership:tag:TRACKING:SUBSTATUS`, however many snapshots repeat it.
    """
    code = clean(tracking.subtag) or clean(tracking.tag)
    milestone = meaning(clean(tracking.tag), clean(tracking.subtag))
    known = {checkpoint.milestone for checkpoint in told} - {M.UNKNOWN}
    if stated is None or tracking.checkpoints is None or milestone is M.UNKNOWN:
        return None
    if known and (milestone not in FINAL or milestone in known):
        return None
    said = clean(tracking.subtag_message)
    reason, inferred = _reason(milestone, code, (), said)
    return Checkpoint(
        fingerprint=fingerprint("aftership", id_, "tag", code),
        digest=content_digest(stated, f"{clean(tracking.tag)}|{code}", said, "", ""),
        milestone=milestone,
        occurred=stated,
        id=f"aftership:tag:{id_}:{code}",
        leg=_leg(milestone),
        status_code=code,
        status_said=said,
        ndr_reason=reason,
        ndr_inferred=inferred,
    )


def meaning(tag: str, subtag: str, events: Sequence[str] = ()) -> Milestone:
    """The milestone of the sub-status, else of the first event that refines the tag, else of the tag."""
    if subtag in SUBTAGS:
        return SUBTAGS[subtag]
    tag = tag or subtag.partition("_")[0]
    refined = (EVENTS[tag, event] for event in events if (tag, event) in EVENTS)
    return next(refined, TAGS.get(tag, M.UNKNOWN))


def _leg(milestone: Milestone) -> Leg:
    return Leg.RETURN if milestone in _RETURN else Leg.FORWARD


def _reason(milestone: Milestone, subtag: str, codes: Sequence[str], *texts: str) -> tuple[NdrReason | None, bool]:
    """Why a delivery failed, and whether only the text hints at it."""
    if subtag in REASONS:
        return REASONS[subtag], False
    if milestone is not M.DELIVERY_FAILED:
        return None, False
    stated = next((EVENT_REASONS[code] for code in codes if code in EVENT_REASONS), None)
    if stated is not None:
        return stated, False
    reason = hinted(*texts)
    return reason, reason is not None


def _codes(event: Event) -> Iterator[str]:
    """The reason first: it says more."""
    if event.reason and clean(event.reason.code):
        yield clean(event.reason.code)
    if clean(event.code):
        yield clean(event.code)


def _place(scan: Scan) -> str:
    parts = (clean(part) for part in (scan.city, scan.state, scan.country))
    return clean(scan.location) or ", ".join(part for part in parts if part)


def clean(text: str | None) -> str:
    """AfterShip's text without blanks around it, empty for none."""
    return (text or "").strip()
