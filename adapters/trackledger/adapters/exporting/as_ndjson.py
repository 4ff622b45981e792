"""How do rows become NDJSON: one JSON object a line, by column name?

Instants are RFC 3339 in UTC with `Z`, days `YYYY-MM-DD`, as in every answer in JSON.
"""

from collections.abc import Sequence
from typing import Any, BinaryIO

import msgspec

from trackledger.projections.table import Column


class Rows:
    """See `formats.RowsFile`."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._file = file
        self._row = msgspec.defstruct("Row", [(column.name, Any) for column in columns])
        self._encode = msgspec.json.Encoder().encode_lines

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._file.write(self._encode([self._row(*row) for row in rows]))

    def finish(self) -> None:
        """Nothing to do: every line stands for itself."""
