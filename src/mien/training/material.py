"""What the face detector learns from: single faces with landmarks, photographs with boxes, backgrounds.

Everything is read once, as grey pictures. A part of each kind is set aside by a fixed rule and never
trained on.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, SourceNotFoundError
from mien.faces.detect import Detector, find_single
from mien.faces.landmarks import FIVE_OF_70

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Portraits:
    """Single faces with their outline.

    Parameters
    ----------
    pictures : ndarray of shape (n, S, S), uint8
        Grey.
    points_xy : ndarray of shape (n, 70, 2), float32
        The 68 iBUG points and the two iris centres, pixels of the picture.
    """

    pictures: Grey
    points_xy: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True)
class Photo:
    """A photograph with the faces a teacher found in it.

    Parameters
    ----------
    picture : ndarray of shape (H, W), uint8
        Grey.
    box_xyxy : ndarray of shape (n, 4), float32
    landmarks_xy : ndarray of shape (n, 5, 2), float32
    score : ndarray of shape (n,), float32
        How sure the teacher was, 0 to 1.
    name : str
    """

    picture: Grey
    box_xyxy: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]
    score: NDArray[np.float32]
    name: str


@dataclass(frozen=True)
class Mistake:
    """A place on a background that a detector took for a face.

    Parameters
    ----------
    background : int
        Its index.
    scale : float
        Size at which the background was looked at, relative to its own.
    centre_xy : tuple of float
        Pixels of the background.
    score : float
        How sure the detector was, 0 to 1.
    """

    background: int
    scale: float
    centre_xy: tuple[float, float]
    score: float


@dataclass(frozen=True)
class Material:
    """One side of the split: what is trained on, or what is set aside.

    Parameters
    ----------
    portraits : dict of str to Portraits
        By corpus: "fer2013" (48 px), "faces_wild" (160 px).
    photos : dict of str to list of Photo
        By corpus: "caltech_faces", "fairface540", "clips".
    backgrounds : list of ndarray of shape (H, W), uint8
        Grey pictures without a face.
    mistakes : tuple of Mistake
        Places of the backgrounds to be shown more often.
    """

    portraits: dict[str, Portraits]
    photos: dict[str, list[Photo]]
    backgrounds: list[Grey]
    mistakes: tuple[Mistake, ...] = ()


def load_material(
    folder: str | Path,
    *,
    set_aside: bool = False,
    clip_every: int | None = None,
    teacher: Detector | None = None,
) -> Material:
    """Read one side of the split.

    Set aside are: the pictures of FER2013 outside Training; a tenth of the persons of faces_wild (by a
    checksum of the name); the last 30 % of caltech_faces, whose photographs are ordered by person; every
    third of fairface540; every fourth clip; every fourth background.

    Parameters
    ----------
    folder : path
        Holds ``fer2013``, ``faces_wild`` (``sheet_*.webp``, ``labels.csv``, ``geometry.npz``),
        ``caltech_faces``, ``fairface540`` (pictures, ``labels.json``), ``clips`` (videos,
        ``teacher_boxes.json``) and ``backgrounds`` (pictures).
    set_aside : bool
        Read the part that is set aside instead of the part that is trained on.
    clip_every : int, optional
        Of the clips, take one frame in so many; by default one in six to learn from, where neighbours teach
        little, and every frame of what is set aside.
    teacher : Detector, optional
        Draws boxes in the portraits in which the landmarker found no face, most of them profiles or half
        hidden; they become the photographs "without_landmarks". By default they are left out.

    Raises
    ------
    SourceNotFoundError
        If a folder is missing.
    """
    root = Path(folder)
    for name in ("fer2013", "faces_wild", "caltech_faces", "fairface540", "clips", "backgrounds"):
        if not (root / name).is_dir():
            raise SourceNotFoundError(
                f"{root} has no folder {name!r}: see docs/detector.md for the expected layout."
            )
    sheets = {
        "fer2013": _read_sheets(root / "fer2013", 48, 64, set_aside, _is_test_split),
        "faces_wild": _read_sheets(root / "faces_wild", 160, 32, set_aside, _is_set_aside_person),
    }
    photos = {
        "caltech_faces": _read_photos(root / "caltech_faces", set_aside, lambda i, n: i >= 0.7 * n),
        "fairface540": _read_photos(root / "fairface540", set_aside, lambda i, _: i % 3 == 0),
        "clips": _read_clips(root / "clips", set_aside, clip_every or (1 if set_aside else 6)),
    }
    if teacher is not None:
        rest = [(name, picture) for name, sheet in sheets.items() for picture in sheet.others]
        photos["without_landmarks"] = [p for name, picture in rest if (p := _taught(picture, teacher, name))]
    return Material(
        portraits={name: Portraits(sheet.pictures, sheet.points_xy) for name, sheet in sheets.items()},
        photos=photos,
        backgrounds=[
            _grey(file)
            for i, file in enumerate(sorted((root / "backgrounds").glob("*.jpg")))
            if (i % 4 == 0) == set_aside
        ],
    )


def _is_test_split(row: dict[str, str]) -> bool:
    return row["usage"] != "Training"


def _is_set_aside_person(row: dict[str, str]) -> bool:
    person = Path(row["file"]).stem.rstrip("0123456789").rstrip("_").lower()
    return zlib.crc32(person.encode()) % 10 == 0


@dataclass(frozen=True)
class _Sheets:
    """The pictures of one side of a corpus: those with 70 points, and those without."""

    pictures: Grey
    points_xy: NDArray[np.float32]
    others: Grey


def _read_sheets(
    folder: Path, side: int, columns: int, set_aside: bool, rule: Callable[[dict[str, str]], bool]
) -> _Sheets:
    with open(folder / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load(folder / "geometry.npz") as geometry:
        found = geometry["found"].astype(bool)
        points = geometry["landmarks_xy"].astype(np.float32)
    if len(found) != len(rows):
        raise DatasetError(
            f"{folder}: geometry.npz has {len(found)} entries and labels.csv {len(rows)} rows."
        )
    sheets = [
        sheet.reshape(-1, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
        for sheet in map(_grey, sorted(folder.glob("sheet_*.webp")))
    ]
    pictures = np.concatenate(sheets)[: len(rows)]
    ours = np.array([rule(row) for row in rows]) == set_aside
    return _Sheets(pictures[ours & found], points[ours & found], pictures[ours & ~found])


def _taught(picture: Grey, teacher: Detector, name: str) -> Photo | None:
    """Return a portrait with the teacher's box; None where the teacher finds no face either."""
    faces = find_single(picture, teacher)
    return Photo(picture, faces.box_xyxy, faces.landmarks_xy, faces.score, name) if len(faces) else None


def _read_photos(folder: Path, set_aside: bool, rule: Callable[[int, int], bool]) -> list[Photo]:
    labels = json.loads((folder / "labels.json").read_text())
    names = [name for i, name in enumerate(sorted(labels)) if rule(i, len(labels)) == set_aside]
    return [_photo(_grey(folder / name), labels[name]["teacher"], name) for name in names]


def _read_clips(folder: Path, set_aside: bool, every: int) -> list[Photo]:
    import av

    boxes = json.loads((folder / "teacher_boxes.json").read_text())
    photos = []
    for i, name in enumerate(sorted(boxes)):
        if (i % 4 == 3) != set_aside:
            continue
        with av.open(str(folder / name)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index % every == 0 and index < len(boxes[name]):
                    photos.append(
                        _photo(
                            np.asarray(frame.to_ndarray(format="gray"), np.uint8),
                            boxes[name][index],
                            f"{name}#{index}",
                        )
                    )
    return photos


def _photo(picture: Grey, teacher: Iterable[dict[str, list[float]]], name: str) -> Photo:
    faces = list(teacher)
    xywh = np.array([face["box"] for face in faces], np.float32).reshape(-1, 4)
    return Photo(
        picture=picture,
        box_xyxy=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
        landmarks_xy=np.array([face["pts"] for face in faces], np.float32).reshape(-1, 5, 2),
        score=np.array([face["score"] for face in faces], np.float32),
        name=name,
    )


def five_points(points_xy: NDArray[Any]) -> NDArray[Any]:
    """Return our five landmarks of the 70 points.

    Parameters
    ----------
    points_xy : ndarray of shape (..., 70, 2)

    Returns
    -------
    ndarray of shape (..., 5, 2)
    """
    return points_xy[..., FIVE_OF_70, :]


def _grey(path: Path) -> Grey:
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise DatasetError(f"{path} cannot be decoded as a picture.")
    return picture  # type: ignore[return-value]  # uint8
