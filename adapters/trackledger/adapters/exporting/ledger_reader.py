"""What does a file say of which a ledger is to be made, and is it whole and in order?"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import BinaryIO, TypeVar

import msgspec
from eventsourcing.persistence import Notification

from trackledger.adapters.exporting.ledger_file import FORMAT, VERSION, EventLine, Header, KeyLine, Trailer
from trackledger.domain.checkpoints import tracker_key
from trackledger.domain.errors import InvalidStatement, UnknownEvent, Unreadable
from trackledger.domain.mapper import decode, encode
from trackledger.domain.privacy import KEY_BYTES

PAGE = 1000
PAGE_BYTES = 8 * 1024 * 1024
"""Events in memory, and bytes of them, unless a single one has more."""

LINE_BYTES = 64 * 1024 * 1024

T = TypeVar("T")

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises; the last for values that are nested too deeply."""

_header = msgspec.json.Decoder(Header).decode
_event = msgspec.json.Decoder(EventLine).decode
_key = msgspec.json.Decoder(KeyLine).decode
_trailer = msgspec.json.Decoder(Trailer).decode


class LedgerReader:
    """Reads such a file once, from its beginning to its end: `event_pages`, `key_pages` and `end`, in this order.

    Every line is looked at before it is given out, and only where `end` returns is nothing wrong. All raise
    `Unreadable`, which says what is wrong in which line.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = sha256()
        self._number = 0
        self._events = self._keys = 0
        self._page_began = 0
        self.last = 0
        """The position of the last event so far."""
        self._read()
        if not self._line:
            raise Unreadable("the file is empty; name one that `trackledger export events` has written")
        self.header = self._read_header()
        """What the file says of itself."""
        self._take()

    def _read(self) -> None:
        """Go on to the next line; it is empty at the end."""
        self._line = self._file.readline(LINE_BYTES)
        self._number += 1
        if self._line and not self._line.endswith(b"\n"):
            is_long = len(self._line) == LINE_BYTES
            raise self._wrong(
                f"is longer than {LINE_BYTES:,} bytes" if is_long else "has no end: the file was cut short"
            )

    def _take(self) -> None:
        """Count this line in and go on to the next."""
        self._sha256.update(self._line)
        self._read()

    def _wrong(self, what: str) -> Unreadable:
        return Unreadable(f"line {self._number:,} of the file {what}; export it anew, nothing was imported")

    def _decoded(self, decoder: Callable[[bytes], T]) -> T:
        try:
            return decoder(self._line)
        except _UNREADABLE as error:
            raise self._wrong(f"cannot be read: {error}") from None

    def _read_header(self) -> Header:
        try:
            header = _header(self._line)
        except _UNREADABLE:
            raise Unreadable(
                "line 1 of the file is not how one begins of which a ledger can be made; name one that `trackledger "
                "export events` has written as NDJSON"
            ) from None
        if (header.format, header.version) != (FORMAT, VERSION):
            raise Unreadable(
                f"the file is of the format {header.format!r}, version {header.version}, and not {FORMAT!r}, version "
                f"{VERSION}; upgrade trackledger to read it"
            )
        return header

    def event_pages(self) -> Iterator[list[Notification]]:
        """The events, in the order of the ledger, some at a time."""
        page: list[Notification] = []
        size = 0
        while self._line.startswith(b'{"position":'):
            if not page:
                self._page_began = self._number
            page.append(self._read_event())
            size += len(self._line)
            self._take()
            if len(page) >= PAGE or size >= PAGE_BYTES:
                yield page
                page, size = [], 0
        if page:
            yield page

    def taken_twice(self) -> Unreadable:
        """That a version of a shipment in the last page was there already."""
        return Unreadable(
            f"one of the lines {self._page_began:,} to {self._number - 1:,} of the file has a version of a shipment "
            f"that was there already; export it anew, nothing was imported"
        )

    def _read_event(self) -> Notification:
        said = self._decoded(_event)
        # As of a moment some may be left out, where several machines with clocks of their own have written.
        if said.position <= self.last or (self.header.known_at is None and said.position != self.last + 1):
            raise self._wrong(f"has position {said.position} where {self.last + 1} is next")
        stored = Notification(said.shipment_id, said.version, said.topic, bytes(said.state), said.position)
        try:
            _require_id(said.shipment_id)
            placed = decode(stored)
            if b"\\u0000" in stored.state:
                encode(placed)
        except (UnknownEvent, InvalidStatement) as error:
            raise self._wrong(f"holds no event: {error}") from None
        self.last = said.position
        self._events += 1
        return stored

    def key_pages(self) -> Iterator[list[tuple[str, bytes]]]:
        """The keys of private shipments, some at a time."""
        page: list[tuple[str, bytes]] = []
        while self.header.keys and self._line.startswith(b'{"key":'):
            said = self._decoded(_key)
            if len(said.key) != KEY_BYTES:
                raise self._wrong(f"holds a key of {len(said.key)} bytes instead of {KEY_BYTES}")
            page.append((said.shipment_id, said.key))
            self._keys += 1
            self._take()
            if len(page) >= PAGE:
                yield page
                page = []
        if page:
            yield page

    def end(self) -> None:
        """Read the last line, and see that there was what it says."""
        if not self._line:
            raise Unreadable(
                f"the file ends with line {self._number - 1:,}, which is not its last: it was cut short; export it "
                f"anew, nothing was imported"
            )
        said = self._decoded(_trailer)
        for what, held, stated in (("events", self._events, said.events), ("keys", self._keys, said.keys)):
            if held != stated:
                raise self._wrong(f"says that there are {stated:,} {what}, and there are {held:,}")
        if self._sha256.hexdigest() != said.sha256:
            raise self._wrong("does not have the SHA-256 of those before it: one of them was changed")
        self._read()
        if self._line:
            raise self._wrong("comes after the last")


def _require_id(shipment_id: str) -> None:
    parts = shipment_id.split(":", 2)
    if len(parts) != 3:
        raise InvalidStatement(f"{shipment_id[:80]!r} is no shipment id")
    tracker_key(*parts)
