"""What are the figures of an account, counted now, a moment ago, or as they were known?"""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.http.api.services import Services
from trackledger.adapters.http.moments import Tables
from trackledger.adapters.http.recent import Counted
from trackledger.domain.events import FORGOTTEN
from trackledger.projections.analytics import Question, ask
from trackledger.projections.cohorts import Cohort, Dimension
from trackledger.projections.transit_times import Unit


class Wanted(Struct, frozen=True, kw_only=True):
    """One question about a cohort; see `analytics.ask`."""

    question: Question
    cohort: Cohort
    by: tuple[Dimension, ...]
    limit: int
    unit: Unit = "hours"


def figures(
    services: Services,
    wanted: Wanted,
    now: datetime,
    known_at: datetime | None = None,
    *,
    at_least: int = 0,
    exactly: bool = False,
) -> Counted:
    """The answer as of `now`; or of up to a minute ago, unless a position is named that it has to reflect, or it has to
    be `exactly` of now.

    Raises `Problem` for a moment that has not come, and for the past of a ledger that is too large.
    """
    recent, key = services.recent, (wanted, known_at)
    with services.moments.tables(known_at) as tables:
        # What was known by a moment changes only when somebody is forgotten, or what was being written arrives late:
        # neither is told as it was a minute ago.
        since = at_least if known_at is None else tables.position
        counted = None if exactly else recent.find(key, tables.position, since)
        if counted is None or _was_forgotten(tables, counted.position):
            answer = ask(tables.reader, wanted.question, wanted.cohort, wanted.by, wanted.limit, wanted.unit)
            return recent.keep(key, answer, now, tables.position)
    return replace(counted, as_of=now) if counted.position == tables.position else counted


def _was_forgotten(tables: Tables, after: int) -> bool:
    """Whether anybody was forgotten since a position, whose words may stand in what was answered then."""
    if after >= tables.position:
        return False
    return bool(
        tables.reader.read(
            f"""SELECT 1 AS found FROM {{s}}stored_events WHERE notification_id > :after AND notification_id <= :upto
                  AND topic = '{FORGOTTEN}' LIMIT 1""",
            after=after,
            upto=tables.position,
        )
    )
