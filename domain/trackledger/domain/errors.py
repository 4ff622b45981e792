"""What can go wrong, and what should the caller do about it?

    TrackledgerError
    ├── MessageError              one message cannot be used; the others are unaffected
    │   ├── Unreadable            it is not what the provider sends: look at it, then retry or discard
    │   └── Ignored               it is understood and says nothing about a parcel: nothing to do
    ├── InvalidStatement          a value that no provider may state, such as a time without a zone
    ├── TrackerTaken              the tracker or reference already feeds another shipment
    ├── ShipmentNotFound          no shipment has this id, reference or number
    ├── NoSuchCheckpoint          the shipment has no checkpoint of this id: see its timeline
    ├── NoSuchCase                the shipment has no failed delivery of this number, or no such action about one
    ├── CaseMovedOn               the failed delivery is not what it was: closed, or already acted on; look again
    ├── ShipmentForgotten         nothing more is heard of this shipment, on purpose
    ├── KeyMissing                the key of a private shipment is not in the vault: restore it, or forget the shipment
    ├── UnknownEvent              a stored event of a topic this version does not know: upgrade first
    ├── NothingThere              what was to be dropped or undone is not there: nothing to do
    ├── Contended                 other writers kept winning: try the batch again
    ├── Refused                   the database would not keep what it acknowledges, or is not ours
    │   └── NoLedger              there is none yet at that place, and this command makes none
    └── UsageError                the request itself makes no sense as written

Every message is one sentence that says who, what with its value, and what to do.
"""

from collections.abc import Sequence
from traceback import format_tb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trackledger.domain.checkpoints import Report


class TrackledgerError(Exception):
    """Base of everything this library raises on purpose."""


class MessageError(TrackledgerError):
    """One message cannot be turned into reports as a whole."""


class Unreadable(MessageError):
    """The message is not what the provider sends; the text names provider, field and value.

    `readable` are the reports of what could be read, where that is not true of the whole message.
    """

    def __init__(self, text: str, readable: "Sequence[Report]" = ()) -> None:
        super().__init__(text)
        self.readable = tuple(readable)


class Ignored(MessageError):
    """The message is well understood and makes no statement about a parcel, such as "not found yet"."""


class InvalidStatement(TrackledgerError, ValueError):
    """A statement breaks a rule of the domain, such as an instant without a zone."""


class TrackerTaken(TrackledgerError):
    """A tracker can feed one shipment only, and this one already feeds another."""


class ShipmentNotFound(TrackledgerError, LookupError):
    """Nothing in the ledger answers to this id, reference, order id or tracking number."""


class NoSuchCheckpoint(TrackledgerError, LookupError):
    """The shipment has no checkpoint with this id."""


class NoSuchCase(TrackledgerError, LookupError):
    """The shipment has no failed delivery of this number, or no action of this id."""


class CaseMovedOn(TrackledgerError):
    """A failed delivery is not to be acted on so any more."""


class ShipmentForgotten(TrackledgerError):
    """The shipment was forgotten; nothing can be added to it any more."""


class KeyMissing(TrackledgerError):
    """A private shipment that was not forgotten has no key, so that its text can neither be read nor be added to."""


class NothingThere(TrackledgerError, LookupError):
    """What was to be dropped is not there."""


class UnknownEvent(TrackledgerError):
    """A stored event has a topic or a body that this version cannot read."""


class Contended(TrackledgerError):
    """Concurrent writers won every attempt; nothing of the batch was stored."""


class Refused(TrackledgerError):
    """The database is refused, because it would lose acknowledged events or holds something else."""


class NoLedger(Refused):
    """There is no ledger yet; the first message or registration makes it."""


class UsageError(TrackledgerError, ValueError):
    """The request cannot be carried out as it is written."""


def traced(error: BaseException) -> str:
    """What kind of error it is and where it was raised, without what it says: that may quote the words of a message,
    which do not belong into a log."""
    return "\n".join([type(error).__name__, *(line.rstrip() for line in format_tb(error.__traceback__))])
