"""What do Shiplemon's words mean, and those of the Greek couriers behind it?

Source of the statuses: docs.shiplemon.com, "Tracking", which lists four of them for the replacement of a history; the
only `status_exact` in its examples is WITH_COURIER. Of the couriers' texts no list is published: those that are marked
as seen stand in its examples, all others are our own guess.
"""

import re
from functools import lru_cache
from typing import Literal
from unicodedata import normalize

from trackledger.domain.milestones import Milestone, NdrReason

M, N = Milestone, NdrReason

STATUSES = ("PRE_TRANSIT", "TRANSIT", "DELIVERED", "EXCEPTION")
"""The statuses that a history may be replaced with, in capitals only."""

NOT_FOUND = "NOT_FOUND"
"""The one error code that is published."""

MILESTONES: dict[str, Milestone] = {
    "PRE_TRANSIT": M.INFO_RECEIVED,
    "TRANSIT": M.IN_TRANSIT,
    "DELIVERED": M.DELIVERED,
    "EXCEPTION": M.EXCEPTION,
    "RETURNED": M.RETURNED,  # of Shippo, through which Shiplemon sells some carriers; never seen here
    "FAILURE": M.EXCEPTION,  # likewise
}
"""`status` to milestone; Shippo's UNKNOWN is as unknown as any other word."""

EXACT: dict[tuple[str, str], Milestone] = {
    ("TRANSIT", "WITH_COURIER"): M.OUT_FOR_DELIVERY,  # the courier at the door: its text says "for delivery"
}
"""`status` and `status_exact` to milestone, before any text is looked at."""

TEXTS: dict[str, dict[str, tuple[Milestone, NdrReason | None]]] = {
    "TRANSIT": {
        "ΠΡΟΣ ΠΑΡΑΔΟΣΗ": (M.OUT_FOR_DELIVERY, None),  # for delivery; seen
        "ΕΚΦΟΡΤΩΣΗ": (M.ARRIVED, None),  # unloaded; seen
        "ΣΕ ΑΝΑΜΟΝΗ ΠΑΡΑΛΑΒΗΣ": (M.AVAILABLE_FOR_PICKUP, None),  # waiting to be collected
        "ΘΥΡΙΔΑ": (M.AVAILABLE_FOR_PICKUP, None),  # in a box
        "LOCKER": (M.AVAILABLE_FOR_PICKUP, None),
        "ΕΠΙΣΤΡΟΦΗ": (M.RETURNING, None),  # return
        "ΤΕΛΩΝΕΙΟ": (M.CUSTOMS, None),  # customs office
    },
    "EXCEPTION": {
        "ΑΚΥΡΩΣΗ ΑΠΟ ΔΙΑΝΟΜΕΑ": (M.EXCEPTION, None),  # the courier takes back a scan, nobody cancels; seen
        "ΑΠΟΥΣΙΑ": (M.DELIVERY_FAILED, N.CUSTOMER_UNAVAILABLE),  # absence
        "ΑΠΩΝ": (M.DELIVERY_FAILED, N.CUSTOMER_UNAVAILABLE),  # absent
        "ΑΡΝΗΣΗ": (M.DELIVERY_FAILED, N.REFUSED),  # refusal
        "ΛΑΘΟΣ ΔΙΕΥΘΥΝΣΗ": (M.DELIVERY_FAILED, N.BAD_ADDRESS),  # wrong address
        "ΕΛΛΙΠΗΣ ΔΙΕΥΘΥΝΣΗ": (M.DELIVERY_FAILED, N.BAD_ADDRESS),  # incomplete address
        "ΑΓΝΩΣΤΟΣ ΠΑΡΑΛΗΠΤΗΣ": (M.DELIVERY_FAILED, N.BAD_ADDRESS),  # consignee unknown
        "ΕΠΙΣΤΡΟΦΗ": (M.RETURNING, None),  # return
        "ΤΕΛΩΝΕΙΟ": (M.CUSTOMS, None),  # customs office
    },
}
"""How the beginning of words in `status_details` refines a status, the longest first: "for delivery to a locker" is not
in it yet. A text refines only what its status leaves open. None makes a parcel delivered, or a delivered one less."""

MAX_WORD = 64

_ACCENTS, _WORD = re.compile("[\u0300-\u036f]+"), re.compile(r"\w+")


def normal(form: Literal["NFC", "NFD"], text: str) -> str:
    """A text in one of its Unicode spellings. What is longer than any word stays as it is: the time that it would take
    grows with the square of the number of accents in a row."""
    return " ".join([normalize(form, word) if len(word) <= MAX_WORD else word for word in text.split(" ")])


def fold(text: str) -> str:
    """Greek as it is compared: without accents, capitals, final sigmas and punctuation, whichever way it is encoded."""
    return " ".join(_WORD.findall(_ACCENTS.sub("", normal("NFD", text)).casefold()))


_FOLDED = {
    status: sorted(((f" {fold(words)}", meant) for words, meant in texts.items()), key=lambda one: -len(one[0]))
    for status, texts in TEXTS.items()
}


@lru_cache(maxsize=1024)
def meaning(status: str, exact: str, text: str) -> tuple[Milestone, NdrReason | None]:
    """The milestone of a row, and the reason that its text gives for a failed delivery."""
    milestone = EXACT.get((status, exact))
    if milestone is not None:
        return milestone, None
    if status in _FOLDED:
        said = f" {fold(text)}"
        for words, meant in _FOLDED[status]:
            if words in said:
                return meant
    return MILESTONES.get(status, M.UNKNOWN), None
