"""What does one look at a part of the whole tell?"""

from typing import Literal

from msgspec import Struct


class Check(Struct, frozen=True):
    """One thing that was looked at. `state` says whether it works (`ok`), should be looked at (`warning`) or does not
    work (`failed`); `remedy` is what to do about the latter two."""

    check: str
    state: Literal["ok", "warning", "failed"]
    says: str
    remedy: str = ""


def refused(check: str, error: Exception) -> Check:
    """A check that failed with one of our errors, whose sentences end with the remedy."""
    says, semicolon, remedy = str(error).rpartition("; ")
    return Check(check, "failed", says, remedy) if semicolon else Check(check, "failed", str(error), "correct it")


def several(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
