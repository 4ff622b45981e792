"""Did it come in time, as far as one can tell at a given moment?"""

from datetime import datetime


def on_time(
    promised_by: datetime | None, delivered_at: datetime | None, now: datetime, *, ended: bool = False
) -> bool | None:
    """True when it came before `promised_by`, False when it did not or still has not.

    None while that is open, and where it is never to be known: without a date, or when the journey `ended` without a
    delivery, as a cancelled one does.
    """
    if promised_by is None:
        return None
    if delivered_at is not None:
        return delivered_at < promised_by
    return False if now >= promised_by and not ended else None
