"""In which formats are rows exported, and which one is meant?"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import PurePath
from types import ModuleType
from typing import Any, BinaryIO, Literal, Protocol, get_args

from trackledger.domain.errors import UsageError
from trackledger.projections.table import Column

Format = Literal["ndjson", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

_ENDINGS: dict[str, Format] = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet"}


class RowsFile(Protocol):
    """A file of rows that is being written. Memory does not grow with their number."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write the next rows, as values in column order."""
        ...

    def finish(self) -> None:
        """Write what ends the file, which stays open."""
        ...


def format_of(said: Format | None, out: str) -> Format:
    """The format that was asked for, else that of the ending of a file's name; of standard output NDJSON.

    Raises `UsageError` for another ending.
    """
    if said or out == "-":
        return said or "ndjson"
    ending = PurePath(out).suffix.lower()
    if ending not in _ENDINGS:
        raise UsageError(f"the ending of {out!r} is none of {', '.join(_ENDINGS)}; name a format with --format")
    return _ENDINGS[ending]


def rows_file(format_: Format, file: BinaryIO, columns: Sequence[Column]) -> RowsFile:
    """Begin a file of rows."""
    made: RowsFile = module(format_).Rows(file, columns)
    return made


def module(format_: Format) -> ModuleType:
    """What writes the format. Raises `UsageError` where a library that it needs is not installed."""
    return import_module(f"trackledger.adapters.exporting.as_{format_}")
