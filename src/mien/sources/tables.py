"""Tables: those that come with corpora, and a corpus of one's own in one."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, SourceNotFoundError, require


def existing(path: str | Path) -> Path:
    """Return a path, or say that it leads to nothing."""
    found = Path(path)
    if not found.exists():
        raise SourceNotFoundError(f"{found} does not exist.")
    return found


def read_csv(path: str | Path, columns: set[str], what: str, *, names: Sequence[str] | None = None):  # type: ignore[no-untyped-def]  # a pandas DataFrame, imported lazily
    """Read a csv file that must have some columns.

    Parameters
    ----------
    path : path
    columns : set of str
        Those it must have.
    what : str
        The file expected, for the message.
    names : sequence of str, optional
        The columns of a file that has no line with their names.
    """
    import pandas as pd

    file = existing(path)
    try:
        table = pd.read_csv(file) if names is None else pd.read_csv(file, header=None, names=list(names))
    except (ValueError, OSError) as error:
        raise DatasetError(f"{file} cannot be read as a csv file ({error}); expected {what}.") from error
    return _with_columns(table, columns, what, file)


def column_names(file: Path) -> list[str]:
    """Return the first line of a csv file, as the names of its columns."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as opened:
        return next(csv.reader(opened), [])


def read_parquet(path: str | Path, columns: set[str], what: str):  # type: ignore[no-untyped-def]  # as above
    """Read a Parquet file that must have some columns; `what` names the file expected."""
    parquet = require("pyarrow.parquet", purpose="reading Parquet", extra="parquet")
    file = existing(path)
    try:
        table = parquet.read_table(file).to_pandas()
    except (ValueError, OSError) as error:  # pyarrow's errors are one of these
        raise DatasetError(f"{file} cannot be read as a Parquet file ({error}); expected {what}.") from error
    return _with_columns(table, columns, what, file)


def _with_columns(table, columns: set[str], what: str, file: Path):  # type: ignore[no-untyped-def]  # as above
    missing = columns - set(table.columns)
    if missing:
        raise DatasetError(
            f"{file} is not {what}: it lacks {', '.join(sorted(missing))} "
            f"and has {', '.join(map(str, table.columns[:12]))}."
        )
    return table


def column_numbers(table, name: str, file: Path) -> NDArray[np.float64]:  # type: ignore[no-untyped-def]  # as above
    """Return a column as numbers; NaN where it is empty.

    Raises
    ------
    DatasetError
        If it holds something else; the message names the row.
    """
    import pandas as pd

    column = table[name]
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if len(wrong):
        raise DatasetError(
            f"{file}: the column {name!r} must hold numbers; "
            f"row {wrong[0] + 1} holds {column.iloc[wrong[0]]!r}."
        )
    return np.asarray(numbers, np.float64)


def column_texts(table, name: str) -> NDArray[np.str_]:  # type: ignore[no-untyped-def]  # as above
    """Return a column as text without space around it; empty where it is empty."""
    column = table[name]
    shown = ["" if empty else _text(value) for value, empty in zip(column, column.isna(), strict=True)]
    return np.array(shown, dtype=np.str_)


def _text(value: object) -> str:
    whole = isinstance(value, float) and value.is_integer()  # a column with gaps turns 7 into 7.0
    return f"{value:.0f}" if whole else str(value).strip()
