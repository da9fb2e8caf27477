"""Corpora that are a folder for each class: one's own, and SFEW."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mien.errors import DatasetError, UnknownNameError
from mien.labels import EKMAN7, EMOTIONS, FERPLUS8, LabelSet, canonical_name, get_label_set
from mien.sources.labelled import LabelledImages
from mien.sources.rows import Row, folders_in, gather, pictures_in, wrong_layout
from mien.sources.tables import existing
from mien.sources.video import VIDEO_SUFFIXES

SFEW_LAYOUT = "Train and Val, holding folders named after emotions (Angry, Disgust, ...)"


@dataclass(frozen=True)
class ClassFolder:
    """A folder named after an emotion, and the folder above it where that names a split."""

    folder: Path
    emotion: str
    split: str = ""


def read_folder(path: str | Path, *, labels: str | None = None) -> LabelledImages:
    """Read a folder with one sub-folder per emotion; sub-folder names may be aliases ("angry").

    Folders named after splits ("train", "val", "test") may stand above the classes. Pictures are decoded
    only when they are asked for.

    Parameters
    ----------
    path : path
    labels : str, optional
        Key of the label set to use; by default ``ekman7`` where it has every emotion that occurs, else
        ``ferplus8``.

    Raises
    ------
    DatasetError
        If there is no sub-folder with pictures, or one whose name is no emotion of the label set.
    """
    root = existing(path)
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder: expected one with a sub-folder per emotion.")
    rows = _rows(class_folders(root))
    if not rows:
        raise DatasetError(
            f"{root} has no sub-folders with pictures: "
            f"expected one folder per emotion ({', '.join(EMOTIONS)})."
        )
    return gather(rows, name=root.resolve().name, labels=choose_labels(root, rows, labels))


def read_sfew(path: str | Path) -> LabelledImages:
    """Read SFEW: ``Train/Angry/*.png`` and so on, and ``Val``.

    The folders may also be called ``Train_Aligned_Faces`` and the like; what stands before the underscore
    is the split.

    Raises
    ------
    DatasetError
        If the folders are others.
    """
    root = existing(path)
    rows = _rows(class_folders(root) if root.is_dir() else [])
    if not rows or not all(row.split for row in rows):
        raise wrong_layout(root, "SFEW", SFEW_LAYOUT)
    return gather(
        rows,
        name="SFEW",
        labels=choose_labels(root, rows, EKMAN7.key),
        rule="the folder's emotion",
        terms="research, by the agreement of the Australian National University",
    )


def is_folder(root: Path) -> bool:
    """Tell whether a folder has a sub-folder with pictures that is named after an emotion."""
    return any(pictures_in(found.folder) for found in named_folders(root))


def class_folders(root: Path) -> list[ClassFolder]:
    """Find the folders of the classes, in `root` or one level below it.

    Raises
    ------
    DatasetError
        If a folder where a class is expected holds something but is not named after an emotion.
    """
    found = list(named_folders(root))
    above = {one.folder.parent for one in found} | {root}
    named = {one.folder for one in found}
    for folder in (folder for place in sorted(above) for folder in folders_in(place)):
        if folder not in named | above and _holds_something(folder):
            try:
                canonical_name(folder.name)
            except UnknownNameError as error:
                raise DatasetError(
                    f"{folder}: a folder per class must be named after an emotion. {error}"
                ) from error
    return found


def named_folders(root: Path) -> Iterator[ClassFolder]:
    """Yield the folders named after emotions, in `root` or one level below it."""
    for folder in folders_in(root):
        if is_class_name(folder.name):
            yield ClassFolder(folder, canonical_name(folder.name))
            continue
        for inner in folders_in(folder):
            if is_class_name(inner.name):
                split = re.split(r"[_-]", folder.name)[0]
                yield ClassFolder(inner, canonical_name(inner.name), split)


def is_class_name(name: str) -> bool:
    """Tell whether a name means an emotion."""
    try:
        canonical_name(name)
    except UnknownNameError:
        return False
    return True


def clips_in(folder: Path) -> list[Path]:
    """Return the clips of a folder: films, and folders that hold pictures."""
    films = [p for p in folder.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and p.name[0] != "."]
    frames = [inner for inner in folders_in(folder) if pictures_in(inner)]
    return sorted([*filter(Path.is_file, films), *frames])


def choose_labels(root: Path, rows: Iterable[Row], key: str | None) -> LabelSet:
    """Return the label set of a key, or the smallest standard one that has every emotion that occurs.

    Raises
    ------
    DatasetError
        If the set asked for lacks an emotion of the rows.
    """
    present = {row.emotion for row in rows if row.emotion is not None}
    chosen = get_label_set(key) if key else EKMAN7 if present <= set(EKMAN7) else FERPLUS8
    if not present <= set(chosen):
        outside = ", ".join(sorted(present - set(chosen)))
        raise DatasetError(
            f"{root} has pictures of {outside}, which the label set {chosen.key!r} does not have."
        )
    return chosen


def _rows(folders: Iterable[ClassFolder]) -> list[Row]:
    return [Row(file, one.emotion, split=one.split) for one in folders for file in pictures_in(one.folder)]


def _holds_something(folder: Path) -> bool:
    return bool(pictures_in(folder) or clips_in(folder))
