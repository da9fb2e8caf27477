"""A corpus of one's own as a table: a line for each picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.errors import DatasetError, UnknownNameError
from mien.labels import canonical_name
from mien.sources.folders import choose_labels
from mien.sources.labelled import LabelledImages
from mien.sources.rows import Row, check_files, gather
from mien.sources.tables import column_names, column_numbers, column_texts, existing, read_csv, read_parquet

TABLE_LAYOUT = (
    "a csv or Parquet file with the columns path and label, and optionally subject, split, sequence, position"
)

MOST_GROUPS = 20
"""How many different values a further column may have to become a group."""

PARQUET_SUFFIXES = (".parquet", ".pq")

_KNOWN = ("path", "label", "subject", "split", "sequence", "position", "valence", "arousal")


def read_table(path: str | Path, *, labels: str | None = None) -> LabelledImages:
    """Read a table of pictures, csv or Parquet by its name.

    The columns path (relative to the table) and label (an emotion or an alias; empty for none) are needed.
    The columns subject, split, sequence with position, and valence with arousal are taken where they are.
    Every other column of text with 2 to 20 different values becomes a group.

    Parameters
    ----------
    path : path
    labels : str, optional
        Key of the label set; by default ``ekman7`` where it has every emotion that occurs, else
        ``ferplus8``.

    Raises
    ------
    DatasetError
        If a column is missing or holds something else, or a picture is missing.
    """
    file = existing(path)
    parquet = file.suffix.lower() in PARQUET_SUFFIXES
    table = (read_parquet if parquet else read_csv)(file, {"path", "label"}, "a table of pictures")
    if ("sequence" in table.columns) != ("position" in table.columns):
        raise DatasetError(f"{file}: the columns 'sequence' and 'position' must be given together.")
    texts = {str(name): column_texts(table, name) for name in table.columns}
    groups = [name for name in texts if name not in _KNOWN and _is_group(table, name)]
    empty = np.full(len(table), "")
    order = _positions(table, file) if "position" in texts else np.zeros(len(table), np.int64)
    rows = [
        Row(
            file.parent / texts["path"][i],
            _emotion(texts["label"][i], file, i),
            split=texts.get("split", empty)[i],
            subject=texts.get("subject", empty)[i],
            sequence=texts.get("sequence", empty)[i],
            position=int(order[i]),
            groups={name: texts[name][i] for name in groups},
        )
        for i in range(len(table))
    ]
    check_files([row.file for row in rows], str(file))
    valence_arousal = None
    if {"valence", "arousal"} <= set(texts):
        pair = [column_numbers(table, name, file) for name in ("valence", "arousal")]
        valence_arousal = np.stack(pair, axis=1).astype(np.float32)
    return gather(
        rows,
        name=file.stem,
        labels=choose_labels(file, rows, labels),
        valence_arousal=valence_arousal,
    )


def is_table(path: Path) -> bool:
    """Tell whether a file is Parquet by its name, or csv with the columns of a table of pictures."""
    if not path.is_file():
        return False
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return True
    return path.suffix.lower() == ".csv" and {"path", "label"} <= set(column_names(path))


def _emotion(text: str, file: Path, row: int) -> str | None:
    if not text:
        return None
    try:
        return canonical_name(text)
    except UnknownNameError as error:
        raise DatasetError(f"{file}: row {row + 1}, column 'label': {error}") from error


def _is_group(table, name: str) -> bool:  # type: ignore[no-untyped-def]  # a pandas DataFrame
    values = table[name].dropna()
    text = all(isinstance(value, str) for value in values)
    return bool(text and 2 <= values.nunique() <= MOST_GROUPS)


def _positions(table, file: Path) -> np.ndarray:  # type: ignore[no-untyped-def]  # as above
    order = column_numbers(table, "position", file)
    named = column_texts(table, "sequence") != ""
    wrong = np.flatnonzero(named & ~(order == np.floor(order)))
    if len(wrong):
        raise DatasetError(f"{file}: row {wrong[0] + 1}, column 'position': a whole number is needed.")
    return np.where(named, order, 0).astype(np.int64)
