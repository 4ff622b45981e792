"""Which shipments are sought, and from which index are they read?

Two ways lead to a page. Where one of the conditions says that there are `FEW`, these are looked up by it, sifted and
sorted. Otherwise the shipments are walked through in the order asked for, milestone by milestone, each from an index
that holds them so, and the walks are merged; they end with the page.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from trackledger.domain.milestones import FINAL, Milestone
from trackledger.projections.pages import Order, Page, page_by
from trackledger.projections.table import Reader

FEW = 5_000
"""So many shipments are looked up one by one within some milliseconds."""

_OURS = "account || '' = :account"
"""The condition on the account for an index that has it behind a number or a time. SQLite, which keeps no statistics,
would rather take an index that begins with the account, and read all there is of it."""

_EACH = "LIMIT 1 OFFSET 0"
"""Says nothing, but has PostgreSQL look for each shipment by itself, instead of reading all there is to join it."""

_FIRST = "LIMIT 1000000000 OFFSET 0"
"""Says nothing either, but has PostgreSQL find these before it looks at any shipment."""

_KEY = (("s.shipment_id", "shipment_id"),)
_HEARD, _SINCE = ("s.last_heard_at", "last_heard_at"), ("s.since", "since")

ORDERS: dict[str, Order] = {
    "shipment_id": Order(_KEY),
    "-shipment_id": Order(_KEY, descending=True),
    "last_heard_at": Order(_KEY, _HEARD, nullable=True),
    "-last_heard_at": Order(_KEY, _HEARD, nullable=True, descending=True),
    "since": Order(_KEY, _SINCE, nullable=True),
    "-since": Order(_KEY, _SINCE, nullable=True, descending=True),
}
"""By what shipments can be sorted; a minus stands for descending."""


class NdrState(StrEnum):
    """In which state the failed deliveries of a shipment are: that of the case which is not closed, if there is one;
    `none` where none failed."""

    OPEN = "open"
    ACTIONED = "actioned"
    CLOSED = "closed"
    NONE = "none"


class Sought(Struct, frozen=True, kw_only=True):
    """Which shipments are sought: those of one account to which all that is given applies as of `now`.

    `q` is a number or a reference, or what one begins with; see `numbers`. From `…_from` on, and before `…_before`.
    Those are meant by `edd_from` and `edd_to` that are expected, as far as is known now, on one of these days.
    """

    account: str
    now: datetime
    milestones: tuple[Milestone, ...] = ()
    is_final: bool | None = None
    carrier: str | None = None
    provider: str | None = None
    leg: str | None = None
    service: str | None = None
    reference: str | None = None
    order_id: str | None = None
    tracking_number: str | None = None
    q: str | None = None
    ndr: NdrState | None = None
    stuck: bool | None = None
    stuck_kind: str | None = None
    late: bool | None = None
    heard_from: datetime | None = None
    heard_before: datetime | None = None
    since_from: datetime | None = None
    since_before: datetime | None = None
    opened_from: datetime | None = None
    opened_before: datetime | None = None
    edd_from: date | None = None
    edd_to: date | None = None


class _Sieve(Struct, frozen=True):
    """A condition on a shipment `s`; and where an index may tell that it is true of few, the queries for their ids."""

    condition: str
    ids: tuple[str, ...] = ()


def page(store: Reader, sought: Sought, order: Order, limit: int, after: Sequence[Any] | None = None) -> Page:
    """Rows of `shipments` in an order, from the one that stands `after`; see `pages.page`."""
    milestones = _milestones(sought)
    if not milestones or (sought.q is not None and not numbers(sought.q)):
        return Page([], None)
    params = {name: value for name, value in asdict(sought).items() if value is not None and name != "milestones"}
    params |= _bounds(sought)
    sieves = list(_sieves(sought))
    few = next((sieve for sieve in sieves if sieve.ids and _are_few(store, sieve, params)), None)
    others = [sieve.condition for sieve in sieves if sieve is not few]

    def looked_up(ids: Sequence[str], part: Sequence[str], tail: str) -> str:
        # Several may name the same one.
        found = ids[0] if len(ids) == 1 else f"SELECT DISTINCT shipment_id FROM ({' UNION ALL '.join(ids)}) every_one"
        of = [f"s.milestone IN ({', '.join(map(_quoted, milestones))})"] if len(milestones) < len(Milestone) else []
        # CROSS JOIN: SQLite takes the tables in this order then.
        where = " AND ".join(["s.shipment_id = k.shipment_id", "s.account = :account", *of, *others, *part])
        return f"SELECT s.* FROM ({found} {_FIRST}) k CROSS JOIN {{s}}shipments s WHERE {where} {tail}"

    def walked(part: Sequence[str], tail: str) -> str:
        placed = ", ".join(column for column, _ in ((order.column, *order.key) if order.column else order.key))
        walks = [
            f"""SELECT * FROM (SELECT {placed} FROM {{s}}shipments s
                WHERE {" AND ".join(["s.account = :account", f"s.milestone = {_quoted(one)}", *others, *part])} {tail})
                walk_{number}"""
            for number, one in enumerate(milestones)
        ]
        merged = f"SELECT s.shipment_id FROM ({' UNION ALL '.join(walks)}) s {tail}"
        return f"""SELECT s.* FROM ({merged}) k CROSS JOIN {{s}}shipments s
                   WHERE s.shipment_id = k.shipment_id {tail}"""

    def sql(part: Sequence[str], tail: str) -> str:
        return looked_up(few.ids, part, tail) if few else walked(part, tail)

    return page_by(store, sql, params, order, limit=limit, after=after)


def numbers(text: str) -> list[str]:
    """As what a number that a person types may be kept: as written, in capitals, and either without the blanks and
    dashes that are only there to be read more easily."""
    bare = "".join(character for character in text if not character.isspace() and character != "-")
    written = text.strip()
    return [one for one in dict.fromkeys((written, written.upper(), bare, bare.upper())) if one]


def beyond(beginning: str) -> str | None:
    """The least text that is greater than every text which begins so, by code point; None where there is none."""
    for end in range(len(beginning), 0, -1):
        following = ord(beginning[end - 1]) + 1
        if following <= 0x10FFFF:
            # Surrogates are no characters, and no database takes them.
            return beginning[: end - 1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)
    return None


def _milestones(sought: Sought) -> list[Milestone]:
    chosen = [one for one in Milestone if not sought.milestones or one in sought.milestones]
    if sought.is_final is not None:
        chosen = [one for one in chosen if (one in FINAL) == sought.is_final]
    if sought.stuck or sought.stuck_kind or sought.late:
        # Nobody waits for what has ended.
        chosen = [one for one in chosen if one not in FINAL]
    return chosen


def _are_few(store: Reader, sieve: _Sieve, params: dict[str, Any]) -> bool:
    every = " UNION ALL ".join(sieve.ids)
    sql = f"SELECT COUNT(*) AS n FROM (SELECT shipment_id FROM ({every}) every_one LIMIT {FEW + 1}) found"
    return int(store.read(sql, **params)[0]["n"]) <= FEW


def _sieves(sought: Sought) -> Iterator[_Sieve]:
    """What is asked for, what tells of the fewest first."""
    for name in ("reference", "order_id", "tracking_number"):
        if getattr(sought, name) is not None:
            yield _sieve_of_row([f"{name} = :{name}"])
    if sought.q is not None:
        yield _by_number(sought.q)
    if sought.ndr is not None:
        yield _by_ndr(sought.ndr)
    if sought.stuck is not None:
        yield _sieve_of("silence", ["t.stuck_after <= :now"], negated=not sought.stuck)
    if sought.stuck_kind is not None:
        yield _sieve_of("silence", ["t.kind = :stuck_kind", "t.stuck_after <= :now"])
    if sought.late is not None:
        due = ["NOT t.is_final", "t.delivered_at IS NULL", "t.promised_by IS NOT NULL", "t.promised_by <= :now"]
        yield _sieve_of("delivery_dates", due, negated=not sought.late)
    expected = [
        *(["t.current_to >= :edd_from"] if sought.edd_from else []),
        *(["t.current_from <= :edd_to"] if sought.edd_to else []),
    ]
    if expected:
        yield _sieve_of("delivery_dates", expected)
    by_milestone = ["account = :account", f"milestone IN ({', '.join(map(_quoted, Milestone))})"]
    for column, name, placed in (
        ("last_heard_at", "heard", by_milestone),
        ("since", "since", by_milestone),
        ("opened_at", "opened", [_OURS]),
    ):
        within = [
            *([f"{column} >= :{name}_from"] if getattr(sought, f"{name}_from") else []),
            *([f"{column} < :{name}_before"] if getattr(sought, f"{name}_before") else []),
        ]
        if within:
            yield _sieve_of_row(within, placed)
    for name in ("carrier", "provider", "leg", "service"):
        if getattr(sought, name) is not None:
            yield _Sieve(f"s.{name} = :{name}")


def _sieve_of_row(conditions: Sequence[str], placed: Sequence[str] = (_OURS,)) -> _Sieve:
    """Of the shipment's own row; `placed` is where in an index those stand to which the conditions may apply."""
    where = " AND ".join([*placed, *conditions])
    return _Sieve(
        " AND ".join(f"s.{one}" for one in conditions), (f"SELECT shipment_id FROM {{s}}shipments WHERE {where}",)
    )


def _sieve_of(table: str, conditions: Sequence[str], *, negated: bool = False) -> _Sieve:
    """Of a row of another table, or that there is none."""
    where = " AND ".join(conditions)
    has = f"EXISTS (SELECT 1 FROM {{s}}{table} t WHERE t.shipment_id = s.shipment_id AND {where} {_EACH})"
    if negated:
        return _Sieve(f"NOT {has}")
    return _Sieve(has, (f"SELECT t.shipment_id FROM {{s}}{table} t WHERE t.account = :account AND {where}",))


def _by_ndr(state: NdrState) -> _Sieve:
    # A case that is not closed is a shipment's newest, as it ends before another is opened.
    unclosed = _sieve_of("ndr_cases", ["t.state <> 'closed'", "t.state = :ndr"])
    if state in (NdrState.OPEN, NdrState.ACTIONED):
        return unclosed
    has = "EXISTS (SELECT 1 FROM {s}ndr_cases t WHERE t.shipment_id = s.shipment_id"
    if state is NdrState.NONE:
        return _Sieve(f"NOT {has} {_EACH})")
    return _Sieve(f"{has} {_EACH}) AND NOT {has} AND t.state <> 'closed' {_EACH})")


def _by_number(text: str) -> _Sieve:
    ranges = {name: f">= :{name} AND {{0}} < :{name}_end" for name in (f"q{n}" for n, _ in enumerate(numbers(text)))}
    own = ("shipment_id", "reference", "order_id", "tracking_number")
    links = ("reference", "tracking_number")
    within = {column: [f"{column} {one.format(column)}" for one in ranges.values()] for column in own}
    ids = [
        f"SELECT shipment_id FROM {{s}}{table} WHERE {condition} AND {_OURS}"
        for table, columns in (("shipments", own), ("tracker_links", links))
        for column in columns
        for condition in within[column]
    ]
    of_row = [f"s.{column} {one.format(f's.{column}')}" for column in own for one in ranges.values()]
    of_link = [f"t.{column} {one.format(f't.{column}')}" for column in links for one in ranges.values()]
    linked = f"""EXISTS (SELECT 1 FROM {{s}}tracker_links t
                         WHERE t.shipment_id = s.shipment_id AND ({" OR ".join(of_link)}) {_EACH})"""
    return _Sieve(f"({' OR '.join([*of_row, linked])})", tuple(ids))


def _bounds(sought: Sought) -> dict[str, str]:
    """Where the ranges of what is looked for by its beginning start and end."""
    bounds: dict[str, str] = {}
    for n, beginning in enumerate(numbers(sought.q or "")):
        # There is nothing beyond the last character; a text of many of them is as good as that.
        bounds |= {f"q{n}": beginning, f"q{n}_end": beyond(beginning) or "\U0010ffff" * 1000}
    return bounds


def _quoted(milestone: Milestone) -> str:
    return f"'{milestone.value}'"
