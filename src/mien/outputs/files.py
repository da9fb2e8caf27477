"""Readings into files: CSV, JSON Lines and Parquet, one row per face; and how mien writes any file.

Everything is written under a temporary name in the same folder and moved when it is whole, so that a
file that stands under its own name is complete. What is written so far can be read, and gone on with.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, count, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from mien._version import __version__
from mien.errors import OutputError, bad_argument, require
from mien.outputs.community import TableLayout, get_layout
from mien.outputs.journal import PART, Journal
from mien.readings import Readings

_ROWS_AT_ONCE = 4096
"""Rows in one group of a Parquet file, and in memory while it is made."""


@runtime_checkable
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


def open_sink(
    path: str | Path,
    columns: str = "mien",
    *,
    fingerprint: Mapping[str, Any] | None = None,
    resume: bool = False,
    replace: bool = True,
) -> FileSink:
    """Open a file for readings, in the format that its name says.

    The columns are fixed by the first readings written. While it is written the file is called
    ``NAME.part``, and grows frame by frame; it gets its own name when the ``with`` block ends. When the
    block ends with an error, ``NAME.part`` stays with the rows so far, or is removed if there are none.
    The ``NAME.part`` of a Parquet file is JSON Lines: Parquet can be read only when it is whole, so it is
    made of them at the end.

    A run that may have to be gone on with gives a `fingerprint`, and calls :meth:`FileSink.checkpoint`
    after each frame. If it is killed, the same call with ``resume=True`` has in :attr:`FileSink.resumed`
    what the last checkpoint was given, and the table goes on from there; without a checkpoint, that is
    None and the table begins anew.

    What cannot be had again, as a camera's readings, is written with ``replace=False``: what stands under
    the name, or its ``NAME.part``, is never touched, and the table takes the first name that is free:
    ``faces.csv``, ``faces-2.csv``, ``faces-3.csv`` and so on. Without checkpoints the rows go to the disk
    once a second.

    Parameters
    ----------
    path : path
        Ends in .csv, .jsonl (JSON Lines: one object a line) or .parquet (with ``mien[parquet]``).
    columns : str
        "mien" (:data:`mien.readings.COLUMNS`), "openface" or "fex" (the names that scripts for OpenFace and
        for py-feat expect; see :mod:`mien.outputs.community`).
    fingerprint : mapping of str, optional
        Plain JSON values that say what is read, by what and how: a run is gone on with only where they are
        the same. The columns and the version of mien are added.
    resume : bool
        Whether to go on from the checkpoint of an interrupted run, where there is one.
    replace : bool
        Whether the table takes the place of one that has the name; else :attr:`FileSink.path` is one
        that is free.

    Returns
    -------
    FileSink
        Use it in a ``with`` statement.

    Raises
    ------
    ArgumentError
        If the name ends in something else, the columns are not known, `resume` has no fingerprint, or
        it is to go on without replacing.
    OutputError
        If nothing can be written there, or the interrupted run was another one.
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
    if resume and fingerprint is None:
        raise bad_argument("fingerprint", allowed="given where resume is", given=fingerprint)
    if resume and not replace:
        raise bad_argument("replace", allowed="left as it is where resume is given", given=replace)
    return kind(target, get_layout(columns), fingerprint=fingerprint, resume=resume, replace=replace)


class FileSink:
    """A file that readings are written to; see :func:`open_sink`.

    Each format says how it begins, how it writes rows and how it ends.
    """

    def __init__(
        self,
        path: Path,
        layout: TableLayout,
        *,
        fingerprint: Mapping[str, Any] | None = None,
        resume: bool = False,
        replace: bool = True,
    ) -> None:
        check_target(path)
        self.path = path = path if replace else _free(path)
        self.layout = layout
        self._replace = replace
        self._fingerprint: dict[str, Any] | None = None
        if fingerprint is not None:
            added = {"version of mien": __version__, "columns": layout.name}
            self._fingerprint = added | _plain("fingerprint", fingerprint)
        self._journal = Journal(path)
        self._note = self._interrupted() if resume else None
        self._columns: tuple[str, ...] | None = None if self._note is None else tuple(self._note["heading"])
        self._open = False

    @property
    def resumed(self) -> dict[str, Any] | None:
        """What the checkpoint was given from which this run goes on; None if it begins anew."""
        state: dict[str, Any] | None = None if self._note is None else self._note["state"]
        return state

    def __enter__(self) -> Self:
        with _translated(self.path):
            self._check_name()
            if self._note is None:
                self._journal.begin(replace=self._replace)
            else:
                self._journal.go_on(self._note["bytes"])
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
        with _translated(self.path, self._left_behind()):
            try:
                if error is None:
                    if self._columns is None:
                        self._set_columns(self.layout.fixed)
                    self._finish()
            finally:
                self._journal.close()
                if error is not None and self._columns is None:
                    self._journal.remove()

    def write(self, readings: Readings) -> None:
        """Write the rows of one frame: all of them, or none.

        Raises
        ------
        OutputError
            If the columns differ from those of the first frame, the disk refuses, or the file is closed.
        """
        self._check_open()
        columns = self.layout.names_of(readings)
        with _translated(self.path, self._left_behind()):
            if self._columns is None:
                self._set_columns(columns)
            elif columns != self._columns:
                other = ", ".join(sorted(set(columns) ^ set(self._columns))) or "their order"
                raise OutputError(
                    f"{self.path}: the columns are fixed by the first picture, and the readings of "
                    f"{readings.source!r} differ in {other}. Write them to another file."
                )
            rows = self._encoded(self.layout.rows_of(readings))
            self._journal.append(rows, sync=self._fingerprint is None)

    def checkpoint(self, state: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> None:
        """Note, at most once a second, from where an interrupted run can go on.

        Call it after each frame is written.

        Parameters
        ----------
        state : mapping, or a callable that returns one
            Plain JSON values; they are given back as :attr:`resumed`. A callable is called only when a
            second is over.

        Raises
        ------
        ArgumentError
            If the file was opened without a fingerprint, or `state` is not plain.
        OutputError
            If the disk refuses, or the file is closed.
        """
        self._check_open()
        if self._fingerprint is None:
            raise bad_argument(
                "fingerprint", allowed="given to open_sink where checkpoints are wanted", given=None
            )
        if self._columns is None or not self._journal.is_due:
            return
        note = {
            "fingerprint": self._fingerprint,
            "heading": self._columns,
            "state": _plain("state", state() if callable(state) else state),
        }
        with _translated(self.path, self._left_behind()):
            self._journal.save(note)

    def _interrupted(self) -> dict[str, Any] | None:
        """Return the checkpoint of the interrupted run, which must have been the same as this one."""
        try:
            note = self._journal.load()
            if note is None:
                return None
            before, _, _ = note["fingerprint"], note["heading"], note["state"]
        except (OSError, ValueError, KeyError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(
                f"{self._journal.state} is no checkpoint that can be gone on from ({reason}); "
                "begin anew, without resuming."
            ) from error
        now = self._fingerprint or {}
        other = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
        if other:
            said = "; ".join(f"{key} was {_said(before, key)}, and is {_said(now, key)} now" for key in other)
            raise OutputError(
                f"{self.path} cannot be gone on with, for it was begun otherwise: {said}. "
                "Give the same as then, or begin anew, without resuming."
            )
        return note

    def _set_columns(self, columns: tuple[str, ...]) -> None:
        self._journal.append(self._heading(columns))
        self._columns = columns

    def _check_open(self) -> None:
        if not self._open:
            raise OutputError(f"{self.path} is not open: write inside 'with open_sink(...) as sink:'.")

    def _check_name(self) -> None:
        """Raise if the name was free, and is not by now."""
        if not self._replace and os.path.lexists(self.path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _left_behind(self) -> str:
        """Say where the rows are when no more can be written."""
        if self._columns is None:
            return ""
        again = "; when that is mended, resume" if self._fingerprint is not None else ""
        return f" What is written so far stands in {self._journal.part}{again}."

    def _heading(self, columns: tuple[str, ...]) -> bytes:
        raise NotImplementedError

    def _encoded(self, rows: list[dict[str, Any]]) -> bytes:
        raise NotImplementedError

    def _finish(self) -> None:
        """Give the whole file its name."""
        self._move(self._journal.part)
        self._journal.remove()

    def _move(self, whole: Path) -> None:
        """Move a whole file to the name of the table, once it is on the disk."""
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        self._check_name()
        os.replace(whole, self.path)


class CsvSink(FileSink):
    """Comma-separated values with a heading, UTF-8; empty cells where there is nothing to say."""

    def _heading(self, columns: tuple[str, ...]) -> bytes:
        return self._lines([dict(zip(columns, columns, strict=True))], columns)

    def _encoded(self, rows: list[dict[str, Any]]) -> bytes:
        return self._lines(rows, self._columns or ())

    def _lines(self, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> bytes:
        text = io.StringIO(newline="")
        csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8")


class JsonLinesSink(FileSink):
    """One JSON object a line, UTF-8; null where there is nothing to say."""

    def _heading(self, columns: tuple[str, ...]) -> bytes:  # noqa: ARG002  # every line names its values
        return b""

    def _encoded(self, rows: list[dict[str, Any]]) -> bytes:
        lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        return "".join(lines).encode("utf-8")


class ParquetSink(JsonLinesSink):
    """Parquet, made at the end of the lines written until then; needs pyarrow."""

    def __init__(self, path: Path, layout: TableLayout, **options: Any) -> None:
        self._arrow: Any = require("pyarrow", purpose="Writing Parquet", extra="parquet")
        self._parquet: Any = require("pyarrow.parquet", purpose="Writing Parquet", extra="parquet")
        super().__init__(path, layout, **options)

    def _finish(self) -> None:
        whole = self.path.with_name(self.path.name + ".whole" + PART)
        try:
            self._convert(whole)
            self._move(whole)
        except BaseException:
            whole.unlink(missing_ok=True)
            raise
        self._journal.remove()

    def _convert(self, target: Path) -> None:
        kinds = dict.fromkeys(self.layout.text, self._arrow.string())
        kinds |= dict.fromkeys(self.layout.whole, self._arrow.int64())
        fields = [(name, kinds.get(name, self._arrow.float64())) for name in self._columns or ()]
        schema = self._arrow.schema(fields)
        lines = self._journal.lines()
        with self._parquet.ParquetWriter(target, schema) as writer:
            while rows := [json.loads(line) for line in islice(lines, _ROWS_AT_ONCE)]:
                writer.write_table(self._arrow.Table.from_pylist(rows, schema))


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
    return path.with_name(path.name + PART)


def _free(path: Path) -> Path:
    """Return the name, with a number if need be, under which neither a file nor a part stands."""
    numbered = (path.with_name(f"{path.stem}-{i}{path.suffix}") for i in count(2))
    names = chain([path], numbered)
    return next(name for name in names if not any(map(os.path.lexists, (name, _part_of(name)))))


def _plain(parameter: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON gives them back: lists for tuples."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(values)))
    except (TypeError, ValueError) as error:
        raise bad_argument(parameter, allowed=f"plain JSON values ({error})", given=values) from error
    return plain


def _said(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "not given"


@contextmanager
def _translated(path: Path, hint: str = "") -> Iterator[None]:
    """Turn the operating system's refusals into errors that name the file, and give a hint."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise OutputError(
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.{hint}"
        ) from error
