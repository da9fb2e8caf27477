"""Labelled corpora as readers: pictures, labels under a stated rule, splits. No torch.

Every reader maps the corpus's own names to the standard ones and returns a :class:`LabelledImages`.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, SourceNotFoundError, UnknownNameError, bad_argument
from mien.labels import EKMAN7, EMOTIONS, FERPLUS8, LabelSet, canonical_name, get_label_set
from mien.sources.images import IMAGE_SUFFIXES, read_image

FER2013_NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What the numbers 0 to 6 of the official FER2013 file mean (Goodfellow et al. 2013, arXiv 1307.0414)."""

FERPLUS_COLUMNS = (*EMOTIONS, "unknown", "NF")
"""The vote columns of FER+ (Barsoum et al. 2016, arXiv 1608.01041), with the emotions in our order."""

Images = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
"""Pictures of one corpus: in one array, or each by itself."""

SPLITS = ("Training", "PublicTest", "PrivateTest")
"""What the column Usage of the official file holds."""


@dataclass(frozen=True)
class LabelledImages:
    """A labelled corpus as parallel arrays over its pictures.

    Parameters
    ----------
    name : str
        The corpus, as it is cited.
    labels : LabelSet
        The k emotions its labels use.
    images : sequence of ndarray
        n pictures, each (H, W) grey or (H, W, 3) RGB, uint8.
    label : ndarray of shape (n,), int64
        Column in `labels`; -1 where the rule gives no label.
    split : ndarray of shape (n,), str
        The official split of each picture; empty where there is none.
    source : ndarray of shape (n,), str
        What to call each picture in a message.
    votes : ndarray of shape (n, k), float32, optional
        Number of voters per emotion, where the corpus has them.
    rule : str
        How `label` was derived, in words.
    """

    name: str
    labels: LabelSet
    images: Images
    label: NDArray[np.int64]
    split: NDArray[np.str_]
    source: NDArray[np.str_]
    votes: NDArray[np.float32] | None = None
    rule: str = "the label as given"

    def __post_init__(self) -> None:
        n = len(self.images)
        for field in ("label", "split", "source", "votes"):
            value = getattr(self, field)
            if value is not None and len(value) != n:
                raise bad_argument(field, allowed=f"as long as images ({n})", given=len(value))

    def __len__(self) -> int:
        return len(self.images)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> LabelledImages:
        """Return the same corpus with only these rows (a mask or positions)."""
        if rows.dtype == bool and rows.shape != (len(self),):
            raise bad_argument("rows", allowed=f"a mask of {len(self)} pictures", given=rows.shape)
        index = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        images = self.images[index] if isinstance(self.images, np.ndarray) else _Chosen(self.images, index)
        return replace(
            self,
            images=images,
            label=self.label[index],
            split=self.split[index],
            source=self.source[index],
            votes=None if self.votes is None else self.votes[index],
        )


def read_fer2013(path: str | Path) -> LabelledImages:
    """Read the official FER2013 file (columns emotion, pixels, Usage).

    Returns
    -------
    LabelledImages
        48 x 48 grey pictures with the seven labels of the 2013 challenge.

    Raises
    ------
    DatasetError
        If the columns or the pixels are not those of the official file.
    """
    table = _read_csv(path, {"emotion", "pixels", "Usage"}, "the official FER2013 file")
    number = table["emotion"].to_numpy()
    if not np.isin(number, np.arange(len(FER2013_NAMES))).all():
        raise DatasetError(f"{path}: the column 'emotion' must hold 0 to 6, as in the official FER2013 file.")
    if not table["Usage"].isin(SPLITS).all():
        raise DatasetError(
            f"{path}: the column 'Usage' must hold {', '.join(SPLITS)}, as in the official FER2013 file."
        )
    to_column = np.array([EKMAN7.index(name) for name in FER2013_NAMES])
    return LabelledImages(
        name="FER2013",
        labels=EKMAN7,
        images=_parse_pixels(table["pixels"], path),
        label=to_column[number.astype(np.int64)],
        split=table["Usage"].to_numpy(dtype=str),
        source=np.array([f"{path}:{line}" for line in range(2, len(table) + 2)]),
    )


def read_ferplus(path: str | Path, votes_path: str | Path) -> LabelledImages:
    """Read FER2013 pictures with the FER+ votes, labelled by the majority rule of the FER+ authors.

    Parameters
    ----------
    path : path
        The official FER2013 file.
    votes_path : path
        The official ``fer2013new.csv``, row by row beside it.

    Returns
    -------
    LabelledImages
        `votes` after the rule's first step (see :func:`ferplus_majority`); `label` is -1 where the
        majority rule excludes the picture.
    """
    fer = read_fer2013(path)
    table = _read_csv(
        votes_path, {"Usage", "Image name", *FERPLUS_COLUMNS}, "the official FER+ file fer2013new.csv"
    )
    if len(table) != len(fer):
        raise DatasetError(
            f"{votes_path} has {len(table)} rows and {path} has {len(fer)}: "
            "they must be row by row the same pictures."
        )
    if (table["Usage"].to_numpy(dtype=str) != fer.split).any():
        raise DatasetError(
            f"{votes_path} and {path} disagree in the column 'Usage': the rows are not in the same order."
        )
    try:
        counts = table[list(FERPLUS_COLUMNS)].to_numpy(dtype=np.float32)
    except ValueError as error:
        raise DatasetError(f"{votes_path}: the vote columns must hold numbers ({error}).") from error
    if not (counts >= 0).all():
        raise DatasetError(f"{votes_path}: every vote column must hold a number from 0.")
    label, votes = ferplus_majority(counts)
    return replace(
        fer,
        name="FER+",
        labels=FERPLUS8,
        label=label,
        votes=votes,
        rule="FER+ majority: single votes dropped, the winner holds more than half of the rest, "
        "unknown and not-a-face left out",
    )


def ferplus_majority(
    counts: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Apply the majority rule of the FER+ authors (Barsoum et al. 2016, arXiv 1608.01041).

    Votes of one count are outliers and are dropped; the winner needs more than half of what remains;
    a picture whose winner is "unknown" or "not a face", or that has none, is left out.

    Parameters
    ----------
    counts : ndarray of shape (n, 10)
        Votes in the order of :data:`FERPLUS_COLUMNS`.

    Returns
    -------
    label : ndarray of shape (n,), int64
        Column in ``FERPLUS8``, -1 where the picture is left out.
    votes : ndarray of shape (n, 8), float32
        The emotion votes that remain after the outliers are dropped.
    """
    kept = np.where(counts > 1, counts, 0).astype(np.float32)
    winner = kept.argmax(axis=1)
    decided = kept.max(axis=1) > 0.5 * kept.sum(axis=1)
    label = np.where(decided & (winner < len(FERPLUS8)), winner, -1)
    return label.astype(np.int64), kept[:, : len(FERPLUS8)]


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
    root = _existing(path)
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
        images=_Files([file for file, _ in found]),
        label=np.array([chosen.index(emotion) for _, emotion in found], np.int64),
        split=np.full(len(found), "", dtype="U1"),
        source=np.array([str(file) for file, _ in found]),
    )


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
    root = _existing(path)
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


def leaked_into_training(corpus: LabelledImages) -> NDArray[np.bool_]:
    """Find the pictures outside Training that are byte-identical to a Training picture.

    Returns
    -------
    ndarray of shape (n,), bool
        Always False for the Training pictures themselves.
    """
    key = duplicate_groups(corpus.images)
    training = corpus.split == "Training"
    leaked: NDArray[np.bool_] = np.isin(key, np.unique(key[training])) & ~training
    return leaked


def duplicate_groups(images: Images) -> NDArray[np.int64]:
    """Give byte-identical pictures the same number.

    Returns
    -------
    ndarray of shape (n,), int64
        Equal numbers for equal pictures (same shape, same bytes).
    """
    digests = [hashlib.sha256(repr(im.shape).encode() + im.tobytes()).digest() for im in images]
    return np.unique(np.array(digests, dtype="S32"), return_inverse=True)[1].astype(np.int64)


class _Files(Sequence[NDArray[np.uint8]]):
    """Pictures on disk, decoded when indexed."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # one picture at a time; slices are not asked for
        return read_image(self._paths[index])


class _Chosen(Sequence[NDArray[np.uint8]]):
    """Some rows of another sequence of pictures."""

    def __init__(self, images: Images, index: NDArray[np.int64]) -> None:
        self._images, self._index = images, index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as above
        return self._images[int(self._index[index])]


def _existing(path: str | Path) -> Path:
    found = Path(path)
    if not found.exists():
        raise SourceNotFoundError(f"{found} does not exist.")
    return found


def _read_csv(path: str | Path, columns: set[str], what: str):  # type: ignore[no-untyped-def]  # a pandas DataFrame, imported lazily
    import pandas as pd

    file = _existing(path)
    try:
        table = pd.read_csv(file)
    except (ValueError, OSError) as error:
        raise DatasetError(f"{file} cannot be read as a csv file ({error}); expected {what}.") from error
    missing = columns - set(table.columns)
    if missing:
        raise DatasetError(
            f"{file} is not {what}: it lacks {', '.join(sorted(missing))} "
            f"and has {', '.join(map(str, table.columns[:12]))}."
        )
    return table


def _parse_pixels(column, path: str | Path) -> NDArray[np.uint8]:  # type: ignore[no-untyped-def]  # a pandas Series
    side = 48
    pictures = np.empty((len(column), side, side), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # what numpy says of text that is no number
        for row, text in enumerate(column.astype(str)):
            where = f"{path}:{row + 2}: the column 'pixels' must hold {side} x {side} numbers from 0 to 255"
            try:
                flat = np.fromstring(text, dtype=np.int64, sep=" ")
            except (DeprecationWarning, ValueError) as error:
                raise DatasetError(f"{where}; it holds something else.") from error
            if flat.size != side * side or flat.min() < 0 or flat.max() > 255:
                raise DatasetError(f"{where}; it holds {flat.size} numbers{_range(flat)}.")
            pictures[row] = flat.reshape(side, side)
    return pictures


def _range(numbers: NDArray[np.int64]) -> str:
    return f" from {numbers.min()} to {numbers.max()}" if numbers.size else ""
