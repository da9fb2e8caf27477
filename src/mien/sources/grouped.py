"""Pictures of people in groups, without labels of expressions: what a comparison of groups needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, bad_argument, unknown_name
from mien.sources.datasets import open_dataset
from mien.sources.labelled import ImagePaths, Images
from mien.sources.rows import check_files
from mien.sources.tables import column_names, column_texts, read_csv, read_parquet
from mien.sources.tabular import MOST_GROUPS, PARQUET_SUFFIXES

LABELS_FILE = "labels.json"
"""In a folder of pictures: what is known of each, by the name of its file."""

GROUPED_LAYOUT = (
    "a csv or Parquet table with a column path (or file), relative to the table, and columns of groups; "
    f"or a folder with {LABELS_FILE}, which holds for the name of each picture an object like "
    '{"age": "20-29", "gender": "female"}'
)

MOST_VALUES = 40
"""How many groups one column may make."""

CROSS = "*"
"""Stands between columns whose values are taken together, as in "age*gender"."""

_PATHS = ("path", "file")
_SUBJECT = "subject"
_NO_GROUPS = (*_PATHS, _SUBJECT, "label", "split", "sequence", "position", "valence", "arousal")


@dataclass(frozen=True)
class GroupedPictures:
    """n pictures and the groups they belong to, as parallel arrays.

    Parameters
    ----------
    name : str
        What the pictures are called in results.
    images : sequence of ndarray
        (H, W) grey or (H, W, 3) RGB, uint8.
    source : ndarray of shape (n,), str
        What to call each picture in a message.
    groups : mapping of str to ndarray of shape (n,), str
        The group of each picture by column; empty where it is not known.
    subject : ndarray of shape (n,), str, optional
        Who is shown; empty where that is not known.
    """

    name: str
    images: Images
    source: NDArray[np.str_]
    groups: Mapping[str, NDArray[np.str_]]
    subject: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        n = len(self.images)
        for name, value in {"source": self.source, "subject": self.subject, **self.groups}.items():
            if value is not None and len(value) != n:
                raise bad_argument(name, allowed=f"as long as images ({n})", given=len(value))

    def __len__(self) -> int:
        return len(self.images)


def read_grouped(spec: str | Path, by: Sequence[str] = ()) -> GroupedPictures:
    """Read pictures with groups.

    Parameters
    ----------
    spec : str or path
        A csv or Parquet table with a column ``path`` (or ``file``), and perhaps ``subject``; a folder with
        ``labels.json``, or that file; else any corpus that :func:`mien.sources.datasets.open_dataset`
        reads, with the groups it has.
    by : sequence of str
        Columns of groups, or several taken together ("age*gender"). By default every column of text with
        2 to 20 different values.

    Raises
    ------
    SourceNotFoundError
        If the path leads to nothing.
    DatasetError
        If it is laid out otherwise, a picture is missing, or a column has too many values or only one.
    UnknownNameError
        If there is no such column.
    """
    path = Path(spec)
    if path.is_dir() and (path / LABELS_FILE).is_file():
        path = path / LABELS_FILE
    if path.suffix.lower() == ".json" and path.is_file():
        pictures = _read_labels(path)
    elif path.is_file() and _is_table(path):
        pictures = _read_table(path)
    else:
        corpus = open_dataset(spec)
        pictures = GroupedPictures(corpus.name, corpus.images, corpus.source, corpus.groups, corpus.subject)
    if not len(pictures):
        raise DatasetError(f"{spec} lists no picture; expected {GROUPED_LAYOUT}.")
    return _by_columns(pictures, by, str(spec))


def _is_table(file: Path) -> bool:
    suffix = file.suffix.lower()
    return suffix in PARQUET_SUFFIXES or (suffix == ".csv" and bool(set(_PATHS) & set(column_names(file))))


def _read_table(file: Path) -> GroupedPictures:
    read = read_parquet if file.suffix.lower() in PARQUET_SUFFIXES else read_csv
    table = read(file, set(), "a table of pictures")
    named = [name for name in _PATHS if name in table.columns]
    if not named:
        raise DatasetError(f"{file} has no column path or file; expected {GROUPED_LAYOUT}.")
    texts = {str(name): column_texts(table, name) for name in table.columns}
    return _on_disk(file, texts[named[0]].tolist(), texts)


def _read_labels(file: Path) -> GroupedPictures:
    """Read what a JSON file says of each picture beside it; lists and objects in it are passed over."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file} cannot be read as JSON ({error}); expected {GROUPED_LAYOUT}.") from error
    if not isinstance(said, dict) or not all(isinstance(one, dict) for one in said.values()):
        raise DatasetError(f"{file} holds something else than an object for each picture: {GROUPED_LAYOUT}.")
    names = list(dict.fromkeys(key for one in said.values() for key in one))
    columns = {name: [one.get(name) for one in said.values()] for name in names}
    plain = {
        name: np.array(["" if value is None else str(value).strip() for value in values], np.str_)
        for name, values in columns.items()
        if all(value is None or isinstance(value, str | int | float) for value in values)
    }
    return _on_disk(file, list(said), plain)


def _on_disk(file: Path, names: Sequence[str], texts: Mapping[str, NDArray[np.str_]]) -> GroupedPictures:
    paths = [file.parent / name for name in names]
    check_files(paths, str(file))
    return GroupedPictures(
        name=file.parent.name if file.name == LABELS_FILE else file.stem,
        images=ImagePaths(paths),
        source=np.array([str(path) for path in paths], np.str_),
        groups={name: value for name, value in texts.items() if name not in _NO_GROUPS},
        subject=texts.get(_SUBJECT),
    )


def _by_columns(pictures: GroupedPictures, by: Sequence[str], where: str) -> GroupedPictures:
    """Return the pictures with only the columns that are asked for, or with all that make groups."""
    counts = {name: len(set(value.tolist()) - {""}) for name, value in pictures.groups.items()}
    wanted = list(dict.fromkeys(by)) or [name for name, n in counts.items() if 2 <= n <= MOST_GROUPS]
    if not wanted:
        raise DatasetError(
            f"{where} has no column of groups, of 2 to {MOST_GROUPS} different values: expected "
            f"{GROUPED_LAYOUT}."
        )
    groups = {name: _crossed(pictures, name, where) for name in wanted}
    for name, value in groups.items():
        n = len(set(value.tolist()) - {""})
        if not 2 <= n <= MOST_VALUES:
            advice = "; make ranges of its values" if n > MOST_VALUES else ""
            raise DatasetError(
                f"{where}: {name!r} has {n} different values, and 2 to {MOST_VALUES} groups can be "
                f"compared{advice}."
            )
    return GroupedPictures(pictures.name, pictures.images, pictures.source, groups, pictures.subject)


def _crossed(pictures: GroupedPictures, name: str, where: str) -> NDArray[np.str_]:
    """Return a column; for "a*b" both values together, and empty where one is not known."""
    parts = [name] if name in pictures.groups else [part.strip() for part in name.split(CROSS)]
    for part in parts:
        if part not in pictures.groups:
            raise unknown_name(f"column of {where}", part, pictures.groups)
    columns = [pictures.groups[part].tolist() for part in parts]
    return np.array([", ".join(row) if all(row) else "" for row in zip(*columns, strict=True)], np.str_)
