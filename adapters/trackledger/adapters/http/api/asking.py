"""Which parameters do the questions share?"""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from trackledger.domain.checkpoints import MAX_REFERENCE

MAX_PAGE = 1_000
MAX_ROWS = 100_000
MAX_WAIT = 10.0

MAX_NUMBER = 400
"""Characters of a shipment id: two names of 64, a reference, and what is between them; and some blanks."""

MAX_CURSOR = 40_000
"""Characters of a cursor that names a row by the longest text that is kept, the words of a status."""


def _instant(value: Any) -> datetime:
    try:
        instant = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{str(value)[:80]!r} is not an ISO 8601 time such as 2026-11-21T09:30:00Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"{str(value)[:80]!r} has no zone; add one, such as Z or +05:30 (a plus is %2B in an address)")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{str(value)[:80]!r} is not between the years 1 and 9999 in UTC") from None


Instant = Annotated[datetime, PlainValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An ISO 8601 time that says its zone."""


def _day(value: Any) -> date:
    text = str(value)
    try:
        # Of all the notations that are read here, only one has ten characters and two hyphens at these places.
        return date.fromisoformat(text if len(text) == 10 and text[4] == text[7] == "-" else "")
    except ValueError:
        raise ValueError(f"{text[:80]!r} is not a day such as 2026-11-21") from None


Day = Annotated[date, PlainValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
"""A local day."""

Position = Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
"""A place in the ledger. Clients compare them for being equal, and send them back as they are."""

Word = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE, pattern=r"^[^\x00]*$")]
"""A name or number, as long as any that is kept, without the character that no database keeps."""

Number = Annotated[str, Field(min_length=1, max_length=MAX_NUMBER, pattern=r"^[^\x00]*$")]
"""What one looks for: a name, a number, or a whole shipment id."""


class Asked(BaseModel):
    """What every question may say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    now: Instant | None = Field(None, description="The time by which lateness and silence are judged; else the clock's")
    known_at: Instant | None = Field(None, description="As it was known to the ledger at this time")
    wait_for: Position | None = Field(None, description="Answer once everything up to this position is in the tables")
    wait_seconds: float = Field(5.0, gt=0, le=MAX_WAIT, description="For so long at most; 503 after that")


class Listed(Asked):
    """What every question for a list may say."""

    limit: int | None = Field(
        None, ge=1, le=MAX_ROWS, description=f"Rows: up to {MAX_PAGE:,} as JSON (100), {MAX_ROWS:,} as CSV or NDJSON"
    )
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] | None = Field(None, description="`next` of the page before")
