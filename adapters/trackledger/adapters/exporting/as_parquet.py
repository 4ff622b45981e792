"""How do rows become Parquet, each column with its type?

Instants are microseconds in UTC, days dates, integers of 64 bits, texts UTF-8. Row groups are of bounded size, so that
neither who writes nor who reads needs memory for more than one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from trackledger.domain.errors import UsageError
from trackledger.projections.table import Column, Kind

try:
    import pyarrow
    import pyarrow.parquet
except ImportError as error:
    raise UsageError(
        "Parquet needs the library pyarrow, which is not installed; run `pip install 'trackledger[parquet]'`"
    ) from error

if TYPE_CHECKING:
    from pyarrow import RecordBatch

GROUP_ROWS = 100_000
GROUP_BYTES = 16 * 1024 * 1024
"""A row group ends with the page that reaches either, of rows before they are compressed."""

_TYPE = {
    Kind.TEXT: pyarrow.string(),
    Kind.INTEGER: pyarrow.int64(),
    Kind.REAL: pyarrow.float64(),
    Kind.BOOLEAN: pyarrow.bool_(),
    Kind.INSTANT: pyarrow.timestamp("us", tz="UTC"),
    Kind.DAY: pyarrow.date32(),
}


class Rows:
    """See `formats.RowsFile`."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._schema = pyarrow.schema([pyarrow.field(c.name, _TYPE[c.kind], nullable=c.nullable) for c in columns])
        self._writer = pyarrow.parquet.ParquetWriter(_Counted(file), self._schema, compression="zstd")
        self._group: list[RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        arrays = [
            pyarrow.array(values, type=field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        page = pyarrow.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._group.append(page)
        self._rows, self._bytes = self._rows + page.num_rows, self._bytes + page.nbytes
        if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if self._group:
            self._writer.write_table(pyarrow.Table.from_batches(self._group), row_group_size=self._rows)
            self._group = []
            self._rows = self._bytes = 0

    def finish(self) -> None:
        """Write the last rows, and where they all are."""
        self._write_group()
        self._writer.close()


class _Counted:
    """A file for a writer that asks where it is, which a pipe cannot say."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._written = 0

    def write(self, data: bytes) -> int:
        self._written += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The file is not the writer's to close."""
