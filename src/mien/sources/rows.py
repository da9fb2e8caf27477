"""From a list of files to :class:`LabelledImages`: what the readers of corpora on disk share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError
from mien.labels import LabelSet
from mien.sources.images import IMAGE_SUFFIXES, natural_key
from mien.sources.labelled import ImagePaths, Images, LabelledImages


@dataclass(frozen=True)
class Row:
    """What a corpus says of one picture; empty where it says nothing.

    Parameters
    ----------
    file : path
    emotion : str, optional
        A class of the corpus; None for no label.
    position : int
        Place in the sequence.
    groups : mapping of str to str
        Such as ``{"light": "dark"}``.
    """

    file: Path
    emotion: str | None
    split: str = ""
    subject: str = ""
    sequence: str = ""
    position: int = 0
    groups: Mapping[str, str] = field(default_factory=dict)


def gather(
    rows: Sequence[Row],
    *,
    name: str,
    labels: LabelSet,
    rule: str = "the label as given",
    terms: str = "",
    images: Images | None = None,
    source: Sequence[str] | None = None,
    valence_arousal: NDArray[np.float32] | None = None,
) -> LabelledImages:
    """Put rows into the parallel columns of a corpus.

    Parameters
    ----------
    rows : sequence of Row
    name, labels, rule, terms, valence_arousal
        As in :class:`LabelledImages`.
    images : sequence of ndarray, optional
        The pictures of the rows; by default their files, decoded when they are asked for.
    source : sequence of str, optional
        What to call each picture; by default its file.
    """
    sequenced = any(row.sequence for row in rows)
    keys = sorted({key for row in rows for key in row.groups})
    return LabelledImages(
        name=name,
        labels=labels,
        images=ImagePaths([row.file for row in rows]) if images is None else images,
        label=np.array([-1 if r.emotion is None else labels.index(r.emotion) for r in rows], np.int64),
        split=texts(row.split for row in rows),
        source=texts(source if source is not None else (str(row.file) for row in rows)),
        rule=rule,
        subject=texts(row.subject for row in rows) if any(row.subject for row in rows) else None,
        sequence=texts(row.sequence for row in rows) if sequenced else None,
        position=np.array([row.position for row in rows], np.int64) if sequenced else None,
        groups={key: texts(row.groups.get(key, "") for row in rows) for key in keys},
        valence_arousal=valence_arousal,
        terms=terms,
    )


def texts(values: Iterable[str]) -> NDArray[np.str_]:
    """Return a column of text, also of none."""
    return np.array(list(values), dtype=np.str_)


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures of one folder, ordered as people do; hidden files are left out."""
    return sorted((p for p in folder.iterdir() if _is_picture(p)), key=natural_key)


def pictures_under(folder: Path) -> list[Path]:
    """Return the pictures of a folder and its sub-folders, ordered as people do."""
    return sorted((p for p in folder.rglob("*") if _is_picture(p)), key=natural_key)


def folders_in(folder: Path) -> list[Path]:
    """Return the sub-folders of a folder, ordered as people do; hidden ones are left out."""
    return sorted((p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."), key=natural_key)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."


def first_folder(root: Path, names: Iterable[str]) -> Path | None:
    """Return the first of some paths inside a folder that is a folder, or None."""
    return next((root / name for name in names if (root / name).is_dir()), None)


def wrong_layout(root: Path, corpus: str, layout: str, problem: str | None = None) -> DatasetError:
    """Word the error for a folder that is not laid out like its corpus.

    Parameters
    ----------
    root : path
        What was given.
    corpus : str
        The corpus, as it is cited.
    layout : str
        What its layout is.
    problem : str, optional
        What is wrong; by default what the folder holds is listed.
    """
    return DatasetError(
        f"{root} is not laid out like {corpus}: expected {layout}; {problem or f'found {_content(root)}'}."
    )


def _content(root: Path, limit: int = 8) -> str:
    if not root.is_dir():
        return "a file"
    names = [p.name + ("/" if p.is_dir() else "") for p in sorted(root.iterdir(), key=natural_key)]
    listed = ", ".join(names[:limit]) or "an empty folder"
    return f"{listed} and {len(names) - limit} more" if len(names) > limit else listed


def check_files(files: Sequence[Path], where: str) -> None:
    """Raise unless every file that a corpus lists is there.

    Parameters
    ----------
    files : sequence of path
    where : str
        The list that names them.

    Raises
    ------
    DatasetError
        With the first that is missing, and how many are.
    """
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DatasetError(
            f"{where} lists {len(files)} pictures, of which {len(missing)} are not there; "
            f"the first is {missing[0]}."
        )
