"""Corpora of one's own: a folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.errors import DatasetError, UnknownNameError
from mien.labels import EKMAN7, EMOTIONS, FERPLUS8, canonical_name, get_label_set
from mien.sources.images import IMAGE_SUFFIXES
from mien.sources.labelled import ImagePaths, LabelledImages
from mien.sources.tables import existing


def read_folder(path: str | Path, *, labels: str | None = None) -> LabelledImages:
    """Read a folder with one sub-folder per emotion; sub-folder names may be aliases ("angry").

    Pictures are decoded only when they are asked for.

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
    found: list[tuple[Path, str]] = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != ".")
        if not files:
            continue
        try:
            emotion = canonical_name(folder.name)
        except UnknownNameError as error:
            raise DatasetError(
                f"{folder}: a folder per class must be named after an emotion. {error}"
            ) from error
        found += [(file, emotion) for file in files]
    if not found:
        raise DatasetError(
            f"{root} has no sub-folders with pictures: "
            f"expected one folder per emotion ({', '.join(EMOTIONS)})."
        )
    present = {emotion for _, emotion in found}
    chosen = get_label_set(labels) if labels else EKMAN7 if present <= set(EKMAN7) else FERPLUS8
    if not present <= set(chosen):
        outside = ", ".join(sorted(present - set(chosen)))
        raise DatasetError(
            f"{root} has pictures of {outside}, which the label set {chosen.key!r} does not have."
        )
    return LabelledImages(
        name=root.resolve().name,
        labels=chosen,
        images=ImagePaths([file for file, _ in found]),
        label=np.array([chosen.index(emotion) for _, emotion in found], np.int64),
        split=np.full(len(found), "", dtype="U1"),
        source=np.array([str(file) for file, _ in found]),
    )
