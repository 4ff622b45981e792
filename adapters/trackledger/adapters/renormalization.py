"""Which kept messages say something else by today's mappings, and what follows if that is recorded?

All messages are read, page by page; what differs from the ledger is set aside on disk. Then that is gone through
shipment by shipment, as the messages of a shipment lie anywhere in the inbox.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct

from trackledger.adapters.differences import Difference, difference
from trackledger.adapters.inbox import ENVELOPE, Claimed, stored_message
from trackledger.adapters.intake import Read
from trackledger.adapters.providers.mapping import mappings
from trackledger.adapters.runtime import Runtime
from trackledger.domain.rereading import Rereading, Review
from trackledger.projections.conclusions import Policies

PAGE = 500
"""Messages that are looked at together."""

PAGE_BYTES = 4 * 1024 * 1024
"""Bytes of their bodies, unless a single message has more."""

TOGETHER = 1000
"""Readings that are recorded in one transaction."""

READ = ("done", "ignored", "parked")
"""States of messages that were read before."""

AGAIN = 1000
"""Messages that are tried again together."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Rereading).decode


class Which(Struct, frozen=True):
    """Which messages are meant: of a provider, of an account, first received from `since` up to, not including,
    `until`, about one shipment."""

    provider: str = ""
    account: str = ""
    since: datetime | None = None
    until: datetime | None = None
    shipment_id: str = ""


class Survey(Struct):
    """What was found in the messages. `messages` counts those that were read by their state, of those `silent` were
    taken in once and say nothing today, and `unreadable` cannot be read any more: what they told stays. `readable` were
    parked or ignored and can be read today, `parked` are those that still cannot. `by_hand` counts statements that stay
    as somebody amended them. `erased` counts checkpoints whose message is no longer kept."""

    messages: dict[str, int]
    silent: int = 0
    unreadable: int = 0
    readable: int = 0
    parked: int = 0
    by_hand: int = 0
    erased: int = 0


class Renormalization:
    """One run over the kept messages of a ledger; `close` it, as it keeps what it found in a temporary file."""

    def __init__(self, runtime: Runtime, which: Which, actor: str) -> None:
        self._runtime = runtime
        self._which = which
        self._actor = actor
        self._policies = runtime.settings.policies or Policies()
        self.mappings = mappings()
        # A file without a name, which the system takes away with the connection.
        self._found = sqlite3.connect("")
        self._found.execute("CREATE TABLE readings (shipment_id TEXT, number INTEGER PRIMARY KEY, reading BLOB)")
        self._found.execute("CREATE TABLE again (message_id TEXT PRIMARY KEY)")

    def close(self) -> None:
        """Give the temporary file back."""
        self._found.close()

    def survey(self, progress: Callable[[int, int], None]) -> Survey:
        """Read all the messages and set aside what they say otherwise, in bounded memory. A message that cannot be
        read holds back no other. Nothing is stored."""
        survey = Survey(dict.fromkeys(READ, 0))
        condition, params = self._condition()
        database = self._runtime.database
        total = int(database.tuples(f"SELECT COUNT(*) FROM {{s}}messages WHERE {condition}", **params)[0][0])
        keys = self._keys()
        for page in self._pages(condition, params):
            readings: dict[str, list[Rereading]] = {}
            readable = []
            for row, body in page:
                survey.messages[row["state"]] += 1
                read = self._runtime.intake.read(Claimed(stored_message(row, body), row["times"]))
                if self._count(survey, row["state"], read):
                    readable.append(row["message_id"])
                for report in read.reports:
                    if keys is None or report.key in keys:
                        readings.setdefault(report.key, []).append(Rereading(report, read.state == "done"))
            failed = self._set_aside(survey, list(readings.values()))
            again = [(id_,) for id_ in readable if id_ not in failed]
            self._found.executemany("INSERT OR IGNORE INTO again VALUES (?)", again)
            survey.readable += len(again)
            survey.parked += len(readable) - len(again)
            progress(sum(survey.messages.values()), total)
        self._found.execute("CREATE INDEX by_shipment ON readings (shipment_id, number)")
        survey.erased = self._erased()
        return survey

    @staticmethod
    def _count(survey: Survey, state: str, read: Read) -> bool:
        """Count what became of a message; whether it was not taken in before and can be today."""
        if state == "done":
            survey.silent += read.state == "ignored"
            survey.unreadable += read.state == "parked"
            return False
        survey.parked += read.state == "parked"
        return read.state == "done"

    def _set_aside(self, survey: Survey, shipments: Sequence[Sequence[Rereading]]) -> set[str]:
        """Keep the readings of which anything follows; ids of messages of which something cannot be decided."""
        failed: set[str] = set()
        for review, readings in self._reviews(shipments, store=False):
            survey.by_hand += review.by_hand
            if review.error:
                failed |= {reading.report.message_id for reading in readings}
            if review.events or (review.error and not review.forgotten):
                self._found.executemany(
                    "INSERT INTO readings (shipment_id, reading) VALUES (?, ?)",
                    [(review.shipment_id, _encode(reading)) for reading in readings],
                )
        return failed

    def _reviews(
        self, shipments: Iterable[Sequence[Rereading]], *, store: bool
    ) -> Iterator[tuple[Review, Sequence[Rereading]]]:
        for some in _batches(shipments):
            reviews = self._runtime.ledger.reread(some, self.mappings, self._actor, store=store)
            yield from zip(reviews, some, strict=True)

    def differences(self, *, store: bool) -> Iterator[Difference]:
        """What changes, shipment by shipment, in the order of their ids; recorded first if that is wanted."""
        rows = self._found.execute("SELECT shipment_id, reading FROM readings ORDER BY shipment_id, number")
        shipments = ([_decode(row[1]) for row in some] for _, some in groupby(rows, key=lambda row: str(row[0])))
        for review, _ in self._reviews(shipments, store=store):
            if review.error or review.events:
                yield difference(review, self._policies)

    def take_in(self) -> None:
        """Take in, through the ordinary line, what was parked or ignored and can be read today."""
        rows = self._found.execute("SELECT message_id FROM again ORDER BY message_id")
        while ids := [row[0] for row in rows.fetchmany(AGAIN)]:
            self._runtime.kept.retry(ids)
            self._runtime.intake.catch_up()

    def _keys(self) -> set[str] | None:
        """The trackers of the shipment that is meant, None for all."""
        if not self._which.shipment_id:
            return None
        found = self._runtime.database.tuples(
            "SELECT tracker FROM {s}tracker_links WHERE shipment_id = :id", id=self._which.shipment_id
        )
        return {row[0] for row in found}

    def _condition(self) -> tuple[str, dict[str, Any]]:
        database, which = self._runtime.database, self._which
        conditions, params = [database.any_of("state", "states")], dict[str, Any](states=list(READ))
        if which.shipment_id:
            events = self._runtime.ledger.history(which.shipment_id)
            ids = {id_ for one in events if (id_ := getattr(one.event, "message_id", ""))}
            conditions.append(database.any_of("message_id", "ids"))
            params["ids"] = sorted(ids)
        narrower, values = self._narrower("provider", "account", "received_at")
        return " AND ".join((*conditions, *narrower)), params | values

    def _narrower(self, provider: str, account: str, received_at: str) -> tuple[list[str], dict[str, Any]]:
        """The conditions that are asked for, on these columns."""
        which = self._which
        asked = {
            "provider": (f"{provider} = :provider", which.provider),
            "account": (f"{account} = :account", which.account),
            "since": (f"{received_at} >= :since", which.since),
            "until": (f"{received_at} < :until", which.until),
        }
        given = {name: one for name, one in asked.items() if one[1]}
        return [condition for condition, _ in given.values()], {name: value for name, (_, value) in given.items()}

    def _pages(self, condition: str, params: dict[str, Any]) -> Iterator[list[tuple[dict[str, Any], bytes]]]:
        """The messages in the order of their ids, each page with no more bytes than can be held."""
        database, after = self._runtime.database, ""
        while True:
            rows = database.read(
                f"""SELECT {ENVELOPE}, length(body) AS bytes FROM {{s}}messages
                    WHERE message_id > :after AND {condition} ORDER BY message_id LIMIT :limit""",
                after=after,
                limit=PAGE,
                **params,
            )
            if not rows:
                return
            chosen, size = rows[:1], rows[0]["bytes"]
            for row in rows[1:]:
                size += row["bytes"]
                if size > PAGE_BYTES:
                    break
                chosen.append(row)
            after = chosen[-1]["message_id"]
            bodies = dict(
                database.tuples(
                    f"SELECT message_id, body FROM {{s}}messages WHERE {database.any_of('message_id', 'ids')}",
                    ids=[row["message_id"] for row in chosen],
                )
            )
            # One may have been erased since.
            yield [(row, bytes(bodies[row["message_id"]])) for row in chosen if row["message_id"] in bodies]

    def _erased(self) -> int:
        """How many checkpoints stand by a message that is no longer kept."""
        conditions, params = self._narrower("t.provider", "s.account", "t.received_at")
        if self._which.shipment_id:
            conditions.append("t.shipment_id = :shipment")
            params["shipment"] = self._which.shipment_id
        conditions.append("m.message_id IS NULL")
        found = self._runtime.database.tuples(
            f"""SELECT COUNT(*) FROM {{s}}timeline t JOIN {{s}}shipments s ON s.shipment_id = t.shipment_id
                LEFT JOIN {{s}}messages m ON m.message_id = t.message_id WHERE {" AND ".join(conditions)}""",
            **params,
        )
        return int(found[0][0])


def _batches(shipments: Iterable[Sequence[Rereading]]) -> Iterator[list[Sequence[Rereading]]]:
    """Shipments with their readings, so many that they fit into one transaction; one that has more is cut up."""
    batch: list[Sequence[Rereading]] = []
    size = 0
    for readings in shipments:
        for start in range(0, len(readings), TOGETHER):
            some = readings[start : start + TOGETHER]
            if batch and size + len(some) > TOGETHER:
                yield batch
                batch, size = [], 0
            batch.append(some)
            size += len(some)
    if batch:
        yield batch
