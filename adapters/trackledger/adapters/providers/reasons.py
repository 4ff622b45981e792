"""Which reason do a carrier's own words hint at, where a provider names none?"""

import re

from trackledger.domain.milestones import NdrReason

N = NdrReason

HINTS: tuple[tuple[str, NdrReason], ...] = (
    (r"refus\w*|reject\w* by|not accepted|declined", N.REFUSED),
    (r"resched\w*|postpon\w*|(later|future|another|new) (date|day|delivery)|requested later", N.RESCHEDULED),
    (r"payment|cash|\bcod\b|duty|duties|unpaid|insufficient funds", N.PAYMENT_ISSUE),
    (r"(not|un)[ -]?(collected|claimed)", N.NOT_COLLECTED),
    (r"out of (the )?(delivery )?area|not serviceable|unserviceable|remote area", N.OUT_OF_DELIVERY_AREA),
    (r"address|incomplete|insufficient|consignee (has )?moved|recipient (has )?moved|unknown recipient", N.BAD_ADDRESS),
    (r"phone|no response|unreachable|could not be (reached|contacted)|not reachable", N.CUSTOMER_UNREACHABLE),
    (
        r"not available|unavailable|not (at )?home|not in|nobody|no[ -]?one|no answer|absent|"
        r"(business|premises|shop|office) (is |was )?closed|closed|holiday|card left|left a card",
        N.CUSTOMER_UNAVAILABLE,
    ),
    (r"weather|strike|vehicle|breakdown|no time|capacity|operational", N.CARRIER_ISSUE),
)
"""English words to reason, tried in this order. Our own guess: no provider publishes such a list."""

_HINTS = [(re.compile(rf"\b(?:{words})", re.IGNORECASE), reason) for words, reason in HINTS]


MAX_READ = 500
"""Characters in which a reason is looked for."""


def hinted(*texts: str) -> NdrReason | None:
    """The reason that the first matching English hint in these texts names, None without one.

    What comes of it has to be marked as inferred. Other languages are not read: a wrong reason sends somebody to act.
    """
    text = " ".join(texts)[:MAX_READ]
    return next((reason for words, reason in _HINTS if words.search(text)), None)
