"""What was said of a shipment, row by row, each under a name of its own by which a page points to it?"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import groupby

from msgspec import Struct

from trackledger.adapters.http.console.dossier import Dossier
from trackledger.projections.sources import Sources, Statement

MOST = 500
"""Checkpoints of one shipment that a page shows, the newest."""

Key = tuple[str, str | None, str | None]


class Row(Struct, frozen=True):
    """One statement under its name, which stays the same as long as there is the statement; of a checkpoint also what
    was said before, oldest first."""

    name: str
    statement: Statement
    earlier: tuple[Statement, ...] = ()

    @property
    def is_changed(self) -> bool:
        """Whether anything was done to it after it was made."""
        return bool(self.earlier or self.statement.changes)


class Rows(Struct, frozen=True):
    """The statements of one shipment: checkpoints in the order in which they happened, as far as they are shown;
    estimates and headline claims in the order in which they were made. `left_out` counts older checkpoints."""

    checkpoints: tuple[Row, ...]
    estimates: tuple[Row, ...]
    claims: tuple[Row, ...]
    left_out: int
    _names: dict[Key, str]

    def name(self, statement: Statement) -> str:
        """The name of the row of a statement; empty where it has none."""
        return self._names.get(_key(statement), "")


def rows(one: Dossier) -> Rows:
    """What was said of a shipment."""
    statements = one.recollection.statements
    sources = Sources(statements, one.recollection.events)
    told = sorted(statements.told(), key=lambda told: (told.checkpoint.occurred.at, told.checkpoint.key))
    checkpoints = [
        _row(sources.checkpoint(each), [sources.checkpoint(was) for was in statements.versions(each.checkpoint.key)])
        for each in told[-MOST:]
    ]
    windows = one.concluded.dates.windows[-MOST:] if one.concluded else ()
    estimates = [_row(sources.estimate(window)) for window in windows]
    claims = [_row(sources.claim(claim)) for claim in statements.claims()][:MOST]
    names = {_key(row.statement): row.name for row in (*checkpoints, *estimates, *claims)}
    return Rows(tuple(checkpoints), tuple(estimates), tuple(claims), len(told) - len(checkpoints), names)


def by_rule(one: Dossier) -> list[tuple[str, str, list[Statement]]]:
    """The statements that no conclusion depends on, by the rule that says why, with its sentence."""
    unused = sorted(one.told.unused, key=lambda each: each.rule.name) if one.told else []
    grouped = groupby(unused, key=lambda each: each.rule)
    return [(rule.name, rule.says, [each.statement for each in some]) for rule, some in grouped]


def said_at(statement: Statement) -> datetime | None:
    """When a statement was made, by its provider's clock, else by when it came."""
    return statement.stated_at or statement.received_at or statement.recorded_at


def _row(statement: Statement, earlier: Sequence[Statement] = ()) -> Row:
    said = "\x1f".join(part or "" for part in _key(statement))
    return Row(f"{statement.kind}-{blake2b(said.encode(), digest_size=5).hexdigest()}", statement, tuple(earlier))


def _key(statement: Statement) -> Key:
    if statement.checkpoint_id is not None:
        return statement.kind, statement.checkpoint_id, None
    return statement.kind, statement.value, f"{statement.message_id or ''} {said_at(statement)}"
