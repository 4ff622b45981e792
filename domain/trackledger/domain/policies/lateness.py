"""Did it come in time, as far as one can tell at a given moment?"""

from datetime import datetime, timedelta

from msgspec import Struct

RULES_VERSION = "lateness-1"

RULES: dict[str, str] = {
    "in_time": "It was delivered before its date had passed.",
    "too_late": "It was delivered after its date had passed.",
    "overdue": "Its date has passed, and it was not delivered.",
    "not_due": "Its date has not passed, and it was not delivered yet.",
    "ended_otherwise": "Its journey ended without a delivery, so that it never comes in time or late.",
    "no_date": "Nobody named a date that it could be measured against.",
}
"""Rule to what it says."""


class Verdict(Struct, frozen=True):
    """See `on_time`, and by which rule. `margin` is the time from the date to the delivery, else to now; None without a
    date. It is negative before the date."""

    on_time: bool | None
    rule: str
    margin: timedelta | None


def on_time(
    promised_by: datetime | None, delivered_at: datetime | None, now: datetime, *, ended: bool = False
) -> bool | None:
    """True when it came before `promised_by`, False when it did not or still has not.

    None while that is open, and where it is never to be known: without a date, or when the journey `ended` without a
    delivery, as a cancelled one does.
    """
    return judge(promised_by, delivered_at, now, ended=ended).on_time


def judge(
    promised_by: datetime | None, delivered_at: datetime | None, now: datetime, *, ended: bool = False
) -> Verdict:
    """The same with its rule and by how much."""
    if promised_by is None:
        return Verdict(None, "no_date", None)
    if delivered_at is not None:
        in_time = delivered_at < promised_by
        return Verdict(in_time, "in_time" if in_time else "too_late", delivered_at - promised_by)
    margin = now - promised_by
    if ended:
        return Verdict(None, "ended_otherwise", margin)
    return Verdict(False, "overdue", margin) if now >= promised_by else Verdict(None, "not_due", margin)
