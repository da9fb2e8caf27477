"""Labelled corpora: :func:`open_dataset` chooses the reader.

Every reader maps the corpus's own names to the standard ones and returns a
:class:`mien.sources.labelled.LabelledImages`.
"""

from __future__ import annotations

from pathlib import Path

from mien.errors import bad_argument
from mien.sources.fer2013 import read_fer2013, read_ferplus
from mien.sources.folders import read_folder
from mien.sources.labelled import LabelledImages
from mien.sources.tables import existing


def open_dataset(
    path: str | Path, *, ferplus: str | Path | None = None, labels: str | None = None
) -> LabelledImages:
    """Read a labelled corpus, choosing the reader by what stands at `path`.

    Parameters
    ----------
    path : path
        The official FER2013 csv, or a folder with one sub-folder per emotion.
    ferplus : path, optional
        The FER+ votes file beside the FER2013 csv.
    labels : {"ekman7", "ferplus8"}, optional
        Which labels to use; by default FER+ for a csv where its file is given, and for a folder the set
        that has the emotions found.
    """
    root = existing(path)
    if root.is_dir():
        if ferplus is not None:
            raise bad_argument("ferplus", allowed="given only beside a FER2013 csv", given=str(ferplus))
        return read_folder(root, labels=labels)
    wants = labels or ("ferplus8" if ferplus is not None else "ekman7")
    if wants not in ("ekman7", "ferplus8"):
        raise bad_argument("labels", allowed="'ekman7' or 'ferplus8' for a FER2013 csv", given=labels)
    if wants == "ekman7":
        return read_fer2013(root)
    if ferplus is None:
        raise bad_argument("labels", allowed="'ekman7' unless the FER+ votes file is given too", given=labels)
    return read_ferplus(root, ferplus)
