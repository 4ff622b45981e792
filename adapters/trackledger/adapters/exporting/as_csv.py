"""How do rows become CSV that is safe to open in a spreadsheet?

RFC 4180 with a header, in UTF-8 with a byte order mark, without which Excel takes it for another encoding. Instants are
RFC 3339 in UTC of fixed width (`2026-03-06T04:07:41.000000Z`), days `YYYY-MM-DD`, truth values `true` and `false`; what
is not known is empty, as is an empty text.

Spreadsheets run a cell that begins like a formula, and other people's words are in the texts (OWASP, "CSV Injection").
A text that begins with = + - @, also in full width or behind blanks, or with a tab or the end of a line, therefore has
an apostrophe in front, as has one that begins so behind apostrophes of its own; see `plain` for how to take it away.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

from trackledger.projections.table import Column, Kind

BOM = "\ufeff"

_DANGEROUS = r"(?:[\t\r\n]|\s*[=+\-@＝＋－＠])"
_TO_GUARD = re.compile(rf"'*{_DANGEROUS}").match
_GUARDED = re.compile(rf"'+{_DANGEROUS}").match


def guarded(text: str) -> str:
    """The text as a cell."""
    # Most begin with a letter or a digit, and need no closer look.
    return text if text[:1].isalnum() or not _TO_GUARD(text) else f"'{text}"


def plain(cell: str) -> str:
    """The text of a cell."""
    return cell[1:] if _GUARDED(cell) else cell


def _instant(value: datetime) -> str:
    return f"{value.astimezone(UTC).isoformat('T', 'microseconds')[:-6]}Z"


_CELL: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: guarded,
    Kind.INTEGER: str,
    Kind.REAL: str,
    Kind.BOOLEAN: lambda value: "true" if value else "false",
    Kind.INSTANT: _instant,
    Kind.DAY: lambda value: str(value.isoformat()),
}


class Rows:
    """See `formats.RowsFile`."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file = file
        self._cells = [_CELL[column.kind] for column in columns]
        self._file.write(BOM.encode())
        self._write([[column.name for column in columns]])

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        columns = [
            ["" if value is None else cell(value) for value in values]
            for cell, values in zip(self._cells, zip(*rows, strict=True), strict=True)
        ]
        self._write(zip(*columns, strict=True))

    def _write(self, rows: Any) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._file.write(text.getvalue().encode())

    def finish(self) -> None:
        """Nothing to do: the last line is whole."""
