"""The crops of a corpus, cut as in inference, and kept on disk for the next run if one asks for it."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, bad_argument
from mien.faces.align import CropSpec
from mien.faces.detect import Detector, find_single
from mien.sources.labelled import Images

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Crops:
    """The faces of n pictures of one face.

    Parameters
    ----------
    crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
        As the model's card says; where no face was found, the picture taken as a face framed like the
        template.
    found : ndarray of shape (n,), bool
        Where a face was found; all True where no detector was asked.
    """

    crops: NDArray[np.uint8]
    found: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.crops)


def cut_corpus(
    images: Images,
    spec: CropSpec,
    detector: Detector | None,
    *,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Crops:
    """Cut the face of every picture.

    Parameters
    ----------
    images : sequence of ndarray
        n pictures, (H, W) grey or (H, W, 3) RGB, uint8.
    spec : CropSpec
        How crops are cut; from the model's card.
    detector : Detector, optional
        Finds the face by whose landmarks a picture is cut, as in any photograph. Without one the pictures
        are taken as faces framed like the template.
    cache : path, optional
        Folder in which crops are kept, by the content of the picture, the detector and the spec. By
        default nothing is kept.
    progress : callable, optional
        Called with the number of pictures done, and of all.

    Raises
    ------
    DatasetError
        If the cache is damaged.
    """
    kept = _Kept(Path(cache), spec, detector) if cache is not None else None
    shape = (spec.size, spec.size, 3) if spec.colour == "rgb" else (spec.size, spec.size)
    crops, found = np.empty((len(images), *shape), np.uint8), np.zeros(len(images), bool)
    for row in range(len(images)):
        image = images[row]
        key = content_key(image) if kept else ""
        if kept and (place := kept.place.get(key)) is not None:
            crops[row], found[row] = kept.crops[place], kept.found[place]
        else:
            crops[row], found[row] = _cut(image, spec, detector)
            if kept:
                kept.add(key, crops[row], bool(found[row]))
        if progress is not None:
            progress(row + 1, len(images))
    if kept:
        kept.save()
    return Crops(crops, found)


def content_key(image: NDArray[np.uint8]) -> str:
    """Return a key that only pictures of the same shape and the same bytes share."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def _cut(
    image: NDArray[np.uint8], spec: CropSpec, detector: Detector | None
) -> tuple[NDArray[np.uint8], bool]:
    if detector is None:
        return spec.cut_framed(image), True
    faces = find_single(image, detector)
    if len(faces):
        return spec.cut(image, faces.landmarks_xy)[0], True
    return spec.cut_framed(image), False


class _Kept:
    """Crops of earlier runs in one folder: a file for each detector and spec."""

    def __init__(self, folder: Path, spec: CropSpec, detector: Detector | None) -> None:
        identity = {**asdict(spec), "detector": None if detector is None else _identity(detector)}
        text = json.dumps(identity, sort_keys=True)
        self.file = folder / f"crops-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"
        self.crops: list[NDArray[np.uint8]] = []
        self.found: list[bool] = []
        self.place: dict[str, int] = {}
        self.new = False
        if self.file.is_file():
            self._load()

    def _load(self) -> None:
        try:
            with self.file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
                self.crops, self.found = list(kept["crops"]), kept["found"].tolist()
                self.place = {str(key): i for i, key in enumerate(kept["key"])}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{self.file} is no file of kept crops ({error}); delete it.") from error

    def add(self, key: str, crop: NDArray[np.uint8], found: bool) -> None:
        self.place[key] = len(self.crops)
        self.crops.append(crop.copy())
        self.found.append(found)
        self.new = True

    def save(self) -> None:
        if not self.new:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_name(f".{self.file.name}.{os.getpid()}.part")
        arrays: dict[str, NDArray[Any]] = {
            "key": np.array(list(self.place)),
            "crops": np.stack(self.crops),
            "found": np.array(self.found, bool),
        }
        try:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            os.replace(temporary, self.file)
        finally:
            temporary.unlink(missing_ok=True)


def _identity(detector: Detector) -> str:
    """Return what tells one detector's answers from another's: its file, and its score threshold."""
    sha256 = getattr(detector, "sha256", None)
    if not sha256:
        raise bad_argument(
            "cache", allowed="left out for a detector without a file of its own", given=detector
        )
    return f"{sha256} {getattr(detector, 'score_threshold', '')}"
