"""Corpora whose file names say everything: JAFFE and KDEF."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from mien.labels import EKMAN7
from mien.sources.labelled import LabelledImages
from mien.sources.rows import Row, folders_in, gather, pictures_in, pictures_under, wrong_layout
from mien.sources.tables import existing

JAFFE_LAYOUT = "pictures named like KA.AN1.39.tiff"
KDEF_LAYOUT = "pictures named like AF01AFS.JPG, in folders like AF01 or all in one"

JAFFE_CODES = {
    "AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "NE": "neutral", "SA": "sadness",
    "SU": "surprise",
}  # fmt: skip
"""What the letters of a JAFFE file name mean (Lyons et al. 1998, doi 10.1109/AFGR.1998.670949)."""

KDEF_CODES = {
    "AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happiness", "NE": "neutral", "SA": "sadness",
    "SU": "surprise",
}  # fmt: skip
"""What the letters of a KDEF file name mean (Lundqvist, Flykt and Öhman 1998, ISBN 91-630-7164-9)."""

KDEF_ANGLES = {
    "FL": "full left", "HL": "half left", "S": "straight", "HR": "half right", "FR": "full right",
}  # fmt: skip
"""Which profile is shown, by the last letters of a KDEF file name."""

_JAFFE_NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})\d+\.\d+\.\w+", re.IGNORECASE)
_KDEF_NAME = re.compile(
    rf"([AB])([FM])(\d\d)({'|'.join(KDEF_CODES)})({'|'.join(KDEF_ANGLES)})\.\w+", re.IGNORECASE
)
_KDEF_SHORT = re.compile(r"([AB])([FM])(\d\d)[A-Z]\.\w+", re.IGNORECASE)
"""The real set has two names without an emotion, AF31V.JPG and AM31H.JPG."""


def read_jaffe(path: str | Path) -> LabelledImages:
    """Read JAFFE: pictures named like ``KA.AN1.39.tiff`` (person, emotion and take, running number).

    Raises
    ------
    DatasetError
        If there are none, or one has another name.
    """
    return _read_named(
        existing(path),
        _jaffe_row,
        name="JAFFE",
        layout=JAFFE_LAYOUT,
        terms="non-commercial research, by the agreement at doi 10.5281/zenodo.3451524",
    )


def read_kdef(path: str | Path) -> LabelledImages:
    """Read KDEF: pictures named like ``AF01AFS.JPG``, all in one folder or one folder for each person.

    The letters are series (A, B), gender (F, M), number of the person, emotion and angle; series, gender
    and angle become groups. Pictures named without an emotion, of which the real set has two, stay without
    a label.

    Raises
    ------
    DatasetError
        If there are none, or one has another name.
    """
    return _read_named(
        existing(path),
        _kdef_row,
        name="KDEF",
        layout=KDEF_LAYOUT,
        terms="non-commercial research, by the agreement at kdef.se",
    )


def is_jaffe(root: Path) -> bool:
    """Tell whether a folder holds a picture named as in JAFFE."""
    return any(_JAFFE_NAME.fullmatch(file.name) for file in pictures_in(root))


def is_kdef(root: Path) -> bool:
    """Tell whether a folder, or one in it, holds a picture named as in KDEF."""
    return any(
        _KDEF_NAME.fullmatch(file.name)
        for folder in (root, *folders_in(root))
        for file in pictures_in(folder)
    )


def _read_named(
    root: Path, parse: Callable[[Path], Row | None], *, name: str, layout: str, terms: str
) -> LabelledImages:
    files = pictures_under(root) if root.is_dir() else []
    if not files:
        raise wrong_layout(root, name, layout)
    rows = []
    for file in files:
        row = parse(file)
        if row is None:
            raise wrong_layout(root, name, layout, f"found {file.relative_to(root)}")
        rows.append(row)
    return gather(rows, name=name, labels=EKMAN7, rule="the emotion in the file name", terms=terms)


def _jaffe_row(file: Path) -> Row | None:
    match = _JAFFE_NAME.fullmatch(file.name.upper())
    if match is None or match[2] not in JAFFE_CODES:
        return None
    return Row(file, JAFFE_CODES[match[2]], subject=match[1])


def _kdef_row(file: Path) -> Row | None:
    name = file.name.upper()
    match = _KDEF_NAME.fullmatch(name) or _KDEF_SHORT.fullmatch(name)
    if match is None:
        return None
    series, gender, number = match.groups()[:3]
    full = match.re is _KDEF_NAME
    groups = {"series": series, "gender": {"F": "female", "M": "male"}[gender]}
    groups["angle"] = KDEF_ANGLES[match[5]] if full else ""
    return Row(file, KDEF_CODES[match[4]] if full else None, subject=gender + number, groups=groups)
