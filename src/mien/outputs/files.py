"""Readings into files: CSV, JSON Lines and Parquet, one row per face; and how mien writes any file.

Everything is written under a temporary name in the same folder and moved when it is whole, so that a
file that stands under its own name is complete.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from mien.errors import OutputError, bad_argument, require
from mien.readings import COLUMNS, MOVING_COLUMNS, TEXT_COLUMNS, WHOLE_COLUMNS, Readings

_FIXED_COLUMNS = tuple(c.name for c in COLUMNS if "<" not in c.name and c.name not in MOVING_COLUMNS)
_ROWS_AT_ONCE = 4096
"""Rows of Parquet kept in memory before they are written."""


class Sink(Protocol):
    """Anything that takes readings: opened with ``with``, fed frame by frame."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

    def write(self, readings: Readings) -> None:
        """Take the readings of one frame."""


def open_sink(path: str | Path) -> FileSink:
    """Open a file for readings, in the format that its name says.

    The columns are those of :data:`mien.readings.COLUMNS`, fixed by the first readings written. While it
    is written the file is called ``NAME.part``; it gets its own name when the ``with`` block ends. When
    the block ends with an error, ``NAME.part`` stays with the rows so far, or is removed if there are none.

    Parameters
    ----------
    path : path
        Ends in .csv, .jsonl (JSON Lines: one object a line) or .parquet (with ``mien[parquet]``).

    Returns
    -------
    FileSink
        Use it in a ``with`` statement.

    Raises
    ------
    ArgumentError
        If the name ends in something else.
    OutputError
        If nothing can be written there.
    MissingExtraError
        For Parquet, if pyarrow is not installed.

    Examples
    --------
    >>> from mien.testing import make_readings
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_sink(folder + "/faces.csv") as sink:
    ...         sink.write(make_readings(["happiness"]))
    ...     Path(folder, "faces.csv").read_text().count(chr(10))
    2
    """
    target = Path(path)
    kind = SINKS.get(target.suffix.lower())
    if kind is None:
        raise bad_argument("path", allowed=f"a name that ends in {', '.join(SINKS)}", given=str(path))
    return kind(target)


class FileSink:
    """A file that readings are written to; see :func:`open_sink`.

    Each format says how it begins, how it writes rows and how it ends.
    """

    def __init__(self, path: Path) -> None:
        check_target(path)
        self.path = path
        self._part = _part_of(path)
        self._columns: tuple[str, ...] | None = None
        self._open = False

    def __enter__(self) -> Self:
        with _translated(self.path):
            self._begin()
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self._open = False
        with _translated(self.path):
            if self._columns is None and error is None:
                self._set_columns(_FIXED_COLUMNS)
            self._end()
            if error is None:
                os.replace(self._part, self.path)
            elif self._columns is None:
                self._part.unlink()

    def write(self, readings: Readings) -> None:
        """Write the rows of one frame.

        Raises
        ------
        OutputError
            If the columns differ from those of the first frame, the disk refuses, or the file is closed.
        """
        if not self._open:
            raise OutputError(f"{self.path} is not open: write inside 'with open_sink(...) as sink:'.")
        columns = readings.columns()
        with _translated(self.path):
            if self._columns is None:
                self._set_columns(columns)
            elif columns != self._columns:
                other = ", ".join(sorted(set(columns) ^ set(self._columns))) or "their order"
                raise OutputError(
                    f"{self.path}: the columns are fixed by the first picture, and the readings of "
                    f"{readings.source!r} differ in {other}. Write them to another file."
                )
            self._write_rows(readings.rows())

    def _set_columns(self, columns: tuple[str, ...]) -> None:
        self._columns = columns
        self._write_heading(columns)

    def _begin(self) -> None:
        raise NotImplementedError

    def _write_heading(self, columns: tuple[str, ...]) -> None:
        raise NotImplementedError

    def _write_rows(self, rows: list[dict[str, Any]]) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        raise NotImplementedError


class _TextSink(FileSink):
    """What the formats made of lines share; each frame reaches the disk when it is written."""

    _file: IO[str]

    def _begin(self) -> None:
        self._file = self._part.open("w", encoding="utf-8", newline="")

    def _end(self) -> None:
        self._file.close()


class CsvSink(_TextSink):
    """Comma-separated values with a heading, UTF-8; empty cells where there is nothing to say."""

    def _write_heading(self, columns: tuple[str, ...]) -> None:
        self._table = csv.DictWriter(self._file, columns, lineterminator="\n")
        self._table.writeheader()

    def _write_rows(self, rows: list[dict[str, Any]]) -> None:
        self._table.writerows(rows)
        self._file.flush()


class JsonLinesSink(_TextSink):
    """One JSON object a line, UTF-8; null where there is nothing to say."""

    def _write_heading(self, columns: tuple[str, ...]) -> None:
        """Nothing to write: every line names its values."""

    def _write_rows(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()


class ParquetSink(FileSink):
    """Parquet, written in groups of rows; needs pyarrow."""

    def __init__(self, path: Path) -> None:
        self._arrow: Any = require("pyarrow", purpose="Writing Parquet", extra="parquet")
        self._parquet: Any = require("pyarrow.parquet", purpose="Writing Parquet", extra="parquet")
        super().__init__(path)

    def _begin(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._writer: Any = None
        self._file = self._part.open("wb")

    def _write_heading(self, columns: tuple[str, ...]) -> None:
        text = dict.fromkeys(TEXT_COLUMNS, self._arrow.string())
        whole = dict.fromkeys(WHOLE_COLUMNS, self._arrow.int64())
        kinds = text | whole
        fields = [(name, kinds.get(name, self._arrow.float64())) for name in columns]
        self._schema = self._arrow.schema(fields)
        self._writer = self._parquet.ParquetWriter(self._file, self._schema)

    def _write_rows(self, rows: list[dict[str, Any]]) -> None:
        self._rows += rows
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows = []

    def _end(self) -> None:
        with self._file:
            if self._writer is not None:
                self._flush()
                self._writer.close()


SINKS: dict[str, type[FileSink]] = {".csv": CsvSink, ".jsonl": JsonLinesSink, ".parquet": ParquetSink}
"""The formats by what the names of their files end in."""


def write_file(path: str | Path, data: bytes) -> None:
    """Write a file whole, or not at all.

    Raises
    ------
    OutputError
        If it cannot be written; what stood under the name before is still there.
    """
    target = Path(path)
    check_target(target)
    part = _part_of(target)
    with _translated(target):
        try:
            part.write_bytes(data)
            os.replace(part, target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def check_target(path: Path) -> None:
    """Raise if nothing can be written under a name: its folder is missing, or it is a folder itself.

    Raises
    ------
    OutputError
    """
    with _translated(path):
        if path.is_dir():
            raise OutputError(f"{path} cannot be written: it is a folder; add a name for the file.")
        if not path.parent.is_dir():
            raise OutputError(f"{path} cannot be written: there is no folder {path.parent}; create it first.")


def make_folder(path: Path) -> None:
    """Make a folder, and those it lies in, where they are missing.

    Raises
    ------
    OutputError
        If that cannot be: something in the way is a file, or the place is not to be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"the folder {path} cannot be made: {reason}.") from error


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into errors that name the file."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise OutputError(
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}."
        ) from error
