"""FER2013 and its FER+ votes, in the official files."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError
from mien.labels import EKMAN7, EMOTIONS, FERPLUS8
from mien.sources.labelled import LabelledImages
from mien.sources.tables import read_csv

FER2013_NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What the numbers 0 to 6 of the official FER2013 file mean (Goodfellow et al. 2013, arXiv 1307.0414)."""

FERPLUS_COLUMNS = (*EMOTIONS, "unknown", "NF")
"""The vote columns of FER+ (Barsoum et al. 2016, arXiv 1608.01041), with the emotions in our order."""

TERMS = "the 2013 Kaggle challenge (Goodfellow et al. 2013, arXiv 1307.0414): web pictures, research use"
FERPLUS_TERMS = "votes: MIT (Barsoum et al. 2016, arXiv 1608.01041); pictures: " + TERMS

SPLITS = ("Training", "PublicTest", "PrivateTest")
"""What the column Usage of the official file holds."""


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
    table = read_csv(path, {"emotion", "pixels", "Usage"}, "the official FER2013 file")
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
        terms=TERMS,
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
    table = read_csv(
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
        terms=FERPLUS_TERMS,
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
