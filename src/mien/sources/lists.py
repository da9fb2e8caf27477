"""Corpora labelled by list files: RAF-DB, AffectNet and ExpW."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError
from mien.labels import AFFECTNET8, EKMAN7
from mien.sources.labelled import LabelledImages
from mien.sources.lazy import BoxedPaths
from mien.sources.rows import Row, check_files, first_folder, gather, wrong_layout
from mien.sources.tables import column_names, column_numbers, existing, read_csv

RAFDB_LAYOUT = (
    "EmoLabel/list_patition_label.txt and Image/aligned/train_00001_aligned.jpg (or Image/original)"
)
AFFECTNET_LAYOUT = (
    "training.csv, validation.csv and Manually_Annotated_Images; "
    "or train_set/images/0.jpg and train_set/annotations/0_exp.npy, and val_set"
)
EXPW_LAYOUT = "label/label.lst and image/ (or image/origin/)"

RAFDB_NAMES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""What the numbers 1 to 7 of RAF-DB's basic list mean (Li et al. 2017, doi 10.1109/CVPR.2017.277)."""

AFFECTNET_NAMES = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt", None, None, None,
)  # fmt: skip
"""What the numbers 0 to 10 of AffectNet mean (Mollahosseini et al. 2017, arXiv 1708.03985); the last three
are none, uncertain and no face."""

EXPW_NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What the numbers 0 to 6 of ExpW mean (Zhang et al. 2018, doi 10.1007/s11263-017-1055-1)."""

BOX_MARGIN = 0.25
"""What is left around a face that a list gives as a box, in widths and heights of the box."""

RAFDB_ATTRIBUTES = {
    "gender": ("male", "female", ""),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}
"""What the last three lines of a ``_manu_attri.txt`` file say, in RAF-DB's own words; the third gender is
"unsure"."""

_RAFDB_LIST = "EmoLabel/list_patition_label.txt"
_AFFECTNET_CSV = {"training.csv": "train", "validation.csv": "val"}
_AFFECTNET_LISTS = ("", "Manually_Annotated_file_lists", "Manually_Annotated")
_AFFECTNET_IMAGES = (
    "Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated",
)  # fmt: skip
_AFFECTNET_COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
    "expression", "valence", "arousal",
)  # fmt: skip
_AFFECTNET_SETS = {"train_set": "train", "val_set": "val"}
_EXPW_LISTS = ("label/label.lst", "label.lst")
_EXPW_IMAGES = ("image/origin", "image", "origin")


def read_rafdb(path: str | Path) -> LabelledImages:
    """Read the basic set of RAF-DB.

    ``EmoLabel/list_patition_label.txt`` has lines like ``train_00001.jpg 5``; the pictures are
    ``Image/aligned/train_00001_aligned.jpg`` or, where there are none, ``Image/original/train_00001.jpg``.
    Where ``Annotation/manual/train_00001_manu_attri.txt`` is there, gender, race and age become groups.

    Raises
    ------
    DatasetError
        If the folders or the list are others, or a picture is missing.
    """
    root = existing(path)
    root = root / "basic" if (root / "basic" / _RAFDB_LIST).is_file() else root
    images = first_folder(root, ("Image/aligned", "Image/original"))
    if not (root / _RAFDB_LIST).is_file() or images is None:
        raise wrong_layout(root, "RAF-DB", RAFDB_LAYOUT)
    ending = "_aligned.jpg" if images.name == "aligned" else ".jpg"
    rows = []
    for line, words in _lines(root / _RAFDB_LIST):
        if len(words) != 2 or words[1] not in "1234567" or not words[0].startswith(("train_", "test_")):
            raise DatasetError(
                f"{root / _RAFDB_LIST}:{line} must be like 'train_00001.jpg 5', with a number from 1 to 7; "
                f"it holds {' '.join(words)[:60]!r}."
            )
        stem = words[0].removesuffix(".jpg")
        groups = _rafdb_attributes(root / "Annotation" / "manual" / f"{stem}_manu_attri.txt")
        emotion = RAFDB_NAMES[int(words[1]) - 1]
        rows.append(Row(images / f"{stem}{ending}", emotion, split=stem.partition("_")[0], groups=groups))
    check_files([row.file for row in rows], str(root / _RAFDB_LIST))
    terms = "non-commercial research, by the agreement at whdeng.cn/RAF/model1.html"
    return gather(rows, name="RAF-DB", labels=EKMAN7, terms=terms)


def is_rafdb(root: Path) -> bool:
    """Tell whether a folder holds the list of RAF-DB."""
    return any((place / _RAFDB_LIST).is_file() for place in (root, root / "basic"))


def _rafdb_attributes(file: Path) -> Mapping[str, str]:
    if not file.is_file():
        return {}
    words = file.read_text(encoding="utf-8", errors="replace").split()[-len(RAFDB_ATTRIBUTES) :]
    try:
        return {
            key: names[int(word)] for (key, names), word in zip(RAFDB_ATTRIBUTES.items(), words, strict=True)
        }
    except (ValueError, IndexError) as error:
        raise DatasetError(
            f"{file} must end with the numbers of gender, race and age; it ends with {words}."
        ) from error


def read_affectnet(path: str | Path) -> LabelledImages:
    """Read AffectNet in either of its layouts, with valence and arousal.

    ``training.csv`` and ``validation.csv`` (columns subDirectory_filePath, expression, valence, arousal,
    and face_x, face_y, face_width, face_height where the face is to be cut out) beside the folder
    ``Manually_Annotated_Images``; or ``train_set`` and ``val_set`` with ``images/0.jpg`` and
    ``annotations/0_exp.npy``, ``0_val.npy``, ``0_aro.npy``. One of the two splits is enough. Pictures
    called none, uncertain or no face have no label.

    Raises
    ------
    DatasetError
        If the folders or columns are others, or a picture or annotation is missing.
    """
    root = existing(path)
    if any((root / folder / "annotations").is_dir() for folder in _AFFECTNET_SETS):
        return _affectnet_sets(root)
    lists, images = _affectnet_lists(root), first_folder(root, _AFFECTNET_IMAGES)
    if not lists or images is None:
        raise wrong_layout(root, "AffectNet", AFFECTNET_LAYOUT)
    rows: list[Row] = []
    numbers, boxes = [], []
    for file, split in lists:
        table = _affectnet_table(file)
        files = [images / str(name) for name in table["subDirectory_filePath"]]
        check_files(files, str(file))
        emotions = [_affectnet_emotion(value, file) for value in column_numbers(table, "expression", file)]
        rows += [Row(*pair, split=split) for pair in zip(files, emotions, strict=True)]
        numbers.append(np.stack([column_numbers(table, key, file) for key in ("valence", "arousal")], axis=1))
        boxes.append(_affectnet_boxes(table, file))
    cut = BoxedPaths([row.file for row in rows], np.concatenate(boxes), margin=BOX_MARGIN)
    return _affectnet(rows, np.concatenate(numbers), cut)


def is_affectnet(root: Path) -> bool:
    """Tell whether a folder holds the lists or the annotations of AffectNet."""
    sets = any((root / folder / "annotations").is_dir() for folder in _AFFECTNET_SETS)
    return sets or bool(_affectnet_lists(root) and first_folder(root, _AFFECTNET_IMAGES))


def _affectnet_lists(root: Path) -> list[tuple[Path, str]]:
    found = [
        (root / place / name, split) for name, split in _AFFECTNET_CSV.items() for place in _AFFECTNET_LISTS
    ]
    return [(file, split) for file, split in found if file.is_file()]


def _affectnet_table(file: Path):  # type: ignore[no-untyped-def]  # a pandas DataFrame, imported lazily
    """Read a list of AffectNet; some copies of validation.csv have no line of column names."""
    named = _AFFECTNET_COLUMNS[0] in column_names(file)
    needed = {"subDirectory_filePath", "expression", "valence", "arousal"}
    return read_csv(file, needed, "a list of AffectNet", names=None if named else _AFFECTNET_COLUMNS)


def _affectnet_boxes(table, file: Path) -> NDArray[np.float64]:  # type: ignore[no-untyped-def]  # a pandas DataFrame
    keys = ("face_x", "face_y", "face_width", "face_height")
    if not set(keys) <= set(table.columns):
        return np.full((len(table), 4), np.nan)
    left, top, width, height = (column_numbers(table, key, file) for key in keys)
    box = np.stack([left, top, left + width, top + height], axis=1)
    box[~((width > 0) & (height > 0))] = np.nan
    return box


def _affectnet_sets(root: Path) -> LabelledImages:
    rows: list[Row] = []
    numbers = []
    for folder, split in _AFFECTNET_SETS.items():
        annotations = root / folder / "annotations"
        if not annotations.is_dir():
            continue
        stems = sorted(
            (p.name.removesuffix("_exp.npy") for p in annotations.glob("*_exp.npy")), key=_by_number
        )
        files = [root / folder / "images" / f"{stem}.jpg" for stem in stems]
        check_files(files, str(annotations))
        for stem, file in zip(stems, files, strict=True):
            expression, *pair = (_scalar(annotations / f"{stem}_{key}.npy") for key in ("exp", "val", "aro"))
            emotion = _affectnet_emotion(expression, annotations / f"{stem}_exp.npy")
            rows.append(Row(file, emotion, split=split))
            numbers.append(pair)
    if not rows:
        raise wrong_layout(root, "AffectNet", AFFECTNET_LAYOUT, "found no file annotations/*_exp.npy")
    return _affectnet(rows, np.array(numbers, np.float64), None)


def _affectnet(
    rows: list[Row], valence_arousal: NDArray[np.float64], images: BoxedPaths | None
) -> LabelledImages:
    known = (valence_arousal >= -1) & (valence_arousal <= 1)  # -2 stands for none
    return gather(
        rows,
        name="AffectNet",
        labels=AFFECTNET8,
        rule="the label as given; none, uncertain and no face left out",
        images=images,
        valence_arousal=np.where(known, valence_arousal, np.nan).astype(np.float32),
        terms="non-commercial research, by the agreement at mohammadmahoor.com",
    )


def _affectnet_emotion(value: float, where: Path) -> str | None:
    if value not in range(len(AFFECTNET_NAMES)):
        raise DatasetError(f"{where}: an expression must be a number from 0 to 10; it holds {value:g}.")
    return AFFECTNET_NAMES[int(value)]


def _scalar(file: Path) -> float:
    try:
        return float(np.load(file, allow_pickle=False).reshape(-1)[0])  # the official files hold text
    except (OSError, ValueError, IndexError, EOFError) as error:
        raise DatasetError(f"{file} must hold one number ({error}).") from error


def _by_number(stem: str) -> tuple[int, str]:
    return (int(stem), "") if stem.isdecimal() else (-1, stem)


def read_expw(path: str | Path) -> LabelledImages:
    """Read ExpW, the faces cut out of their pictures.

    ``label/label.lst`` has lines ``name face_id top left right bottom confidence label``, the pictures
    stand in ``image`` or ``image/origin``. A quarter of the box is left around it on each side.

    Raises
    ------
    DatasetError
        If the folders or the list are others, or a picture is missing.
    """
    root = existing(path)
    lists = [root / name for name in _EXPW_LISTS if (root / name).is_file()]
    images = first_folder(root, _EXPW_IMAGES)
    if not lists or images is None:
        raise wrong_layout(root, "ExpW", EXPW_LAYOUT)
    rows, boxes, source = [], [], []
    for line, words in _lines(lists[0]):
        try:
            name, number, *places, _, label = words
            top, left, right, bottom = (float(place) for place in places)
            emotion = EXPW_NAMES[("0", "1", "2", "3", "4", "5", "6").index(label)]
        except ValueError as error:
            raise DatasetError(
                f"{lists[0]}:{line} must hold a name, a face number, top, left, right, bottom, confidence "
                f"and a label from 0 to 6; it holds {' '.join(words)[:60]!r}."
            ) from error
        rows.append(Row(images / name, emotion))
        boxes.append((left, top, right, bottom))
        source.append(f"{images / name}#{number}")
    check_files([row.file for row in rows], str(lists[0]))
    box_xyxy = np.array(boxes, np.float64).reshape(-1, 4)
    return gather(
        rows,
        name="ExpW",
        labels=EKMAN7,
        images=BoxedPaths([row.file for row in rows], box_xyxy, margin=BOX_MARGIN),
        source=source,
        terms="non-commercial research, as stated at mmlab.ie.cuhk.edu.hk/projects/socialrelation",
    )


def is_expw(root: Path) -> bool:
    """Tell whether a folder holds the list of ExpW."""
    return any((root / name).is_file() for name in _EXPW_LISTS)


def _lines(file: Path) -> list[tuple[int, list[str]]]:
    """Return the words of each line of a list that is not empty, with its number."""
    text = file.read_text(encoding="utf-8", errors="replace")
    found = [(i, line.split()) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not found:
        raise DatasetError(f"{file} is empty.")
    return found
