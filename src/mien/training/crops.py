"""The faces of a corpus, found and cut as in inference; kept on disk for the next run if one asks for it."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DatasetError, bad_argument
from mien.faces.align import LANDMARKS, CropSpec
from mien.faces.detect import Detector, find_single
from mien.sources.labelled import Images
from mien.training.geometry import Geometry
from mien.training.surround import Surround, find_main

Progress = Callable[[int, int], None]
Row = dict[str, NDArray[Any]]


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
    surround: Surround | None = None,
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
    surround : Surround, optional
        Put around every picture before a face is looked for in it, which is then done as in any photograph:
        without it a picture is taken to be little more than a face, and prepared for the detector. A
        picture in which no face is found is cut without it.
    cache : path, optional
        Folder in which crops are kept, by the content of the picture, the detector and the spec. By
        default nothing is kept.
    progress : callable, optional
        Called with the number of pictures done, and of all.

    Raises
    ------
    ArgumentError
        If there is a surrounding and no detector.
    DatasetError
        If the cache is damaged.
    """
    if surround is not None and detector is None:
        raise bad_argument("surround", allowed="given with a detector, which looks into it", given=surround)
    around = {} if surround is None else {"surround": asdict(surround)}
    places = _Kept(cache, "places", detector, **around)
    crops = _Kept(cache, "crops", detector, **asdict(spec), **around)

    def look(image: NDArray[np.uint8]) -> Row:
        place = None if detector is None else partial(_place, image, detector, places, surround)
        return crops.get(image, lambda: _cut(image, spec, None if place is None else place(), surround))

    rows = _each(images, look, progress)
    for kept in (places, crops):
        kept.save()
    return Crops(
        crops=np.array([row["crop"] for row in rows], np.uint8).reshape(-1, *spec.shape),
        found=np.array([row["found"] for row in rows], bool),
    )


def detected_geometry(
    images: Images,
    detector: Detector,
    *,
    cache: str | Path | None = None,
    progress: Progress | None = None,
) -> Geometry:
    """Find the landmarks of pictures of one face with a detector.

    Parameters
    ----------
    images : sequence of ndarray
        n pictures, (H, W) grey or (H, W, 3) RGB, uint8.
    detector : Detector
    cache, progress
        As for :func:`cut_corpus`.

    Returns
    -------
    Geometry
        Without blend shapes.
    """
    places = _Kept(cache, "places", detector)
    rows = _each(images, lambda image: _place(image, detector, places), progress)
    places.save()
    return Geometry(
        found=np.array([row["found"] for row in rows], bool),
        landmarks_xy=np.array([row["landmarks"] for row in rows], np.float32).reshape(-1, len(LANDMARKS), 2),
        blendshapes=np.zeros((len(rows), 0), np.float32),
        blendshape_names=(),
    )


def content_key(image: NDArray[np.uint8]) -> str:
    """Return a key that only pictures of the same shape and the same bytes share."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def _each(images: Images, look: Callable[[NDArray[np.uint8]], Row], progress: Progress | None) -> list[Row]:
    rows = []
    for i in range(len(images)):
        rows.append(look(images[i]))
        if progress is not None:
            progress(i + 1, len(images))
    return rows


def _place(
    image: NDArray[np.uint8], detector: Detector, kept: _Kept, surround: Surround | None = None
) -> Row:
    """Return where the one face of a picture is; with something around it, in pixels of both together."""

    def find() -> Row:
        if surround is None:
            faces = find_single(image, detector)
        else:
            canvas, middle = surround.pad(image)
            faces = find_main(canvas, detector, middle)
        found = bool(len(faces))
        points = faces.landmarks_xy[0] if found else np.zeros((len(LANDMARKS), 2), np.float32)
        return {"found": np.array(found), "landmarks": points.astype(np.float32)}

    return kept.get(image, find)


def _cut(image: NDArray[np.uint8], spec: CropSpec, place: Row | None, surround: Surround | None) -> Row:
    if place is not None and place["found"]:
        canvas = image if surround is None else surround.pad(image)[0]
        return {"crop": spec.cut(canvas, place["landmarks"][None])[0], "found": np.array(True)}
    return {"crop": spec.cut_framed(image), "found": np.array(place is None)}


class _Kept:
    """Answers for pictures, by their content; in a file for each question, if there is a folder.

    Parameters
    ----------
    folder : path or None
        None: nothing is kept.
    kind : str
        Begins the name of the file.
    detector : Detector or None
    question
        Everything else that the answers depend on.
    """

    def __init__(
        self, folder: str | Path | None, kind: str, detector: Detector | None, **question: object
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.new = False
        self.file: Path | None = None
        if folder is not None:
            identity = {**question, "detector": None if detector is None else _identity(detector)}
            text = json.dumps(identity, sort_keys=True)
            self.file = Path(folder) / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"
            if self.file.is_file():
                self._load(self.file)

    def get(self, image: NDArray[np.uint8], answer: Callable[[], Row]) -> Row:
        """Return the answer for a picture, asking only where it is not known."""
        if self.file is None:
            return answer()
        key = content_key(image)
        if key not in self.rows:
            self.rows[key] = answer()
            self.new = True
        return self.rows[key]

    def _load(self, path: Path) -> None:
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
                columns = {name: kept[name] for name in kept.files}
            keys = columns.pop("key").tolist()
            self.rows = {
                key: {name: column[i] for name, column in columns.items()} for i, key in enumerate(keys)
            }
        except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{path} is no file of kept faces ({error}); delete it.") from error

    def save(self) -> None:
        """Write what is new to the file, by a temporary name."""
        if not self.new or self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_name(f".{self.file.name}.{os.getpid()}.part")
        names = next(iter(self.rows.values()))
        arrays: dict[str, NDArray[Any]] = {
            name: np.stack([row[name] for row in self.rows.values()]) for name in names
        }
        try:
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, key=np.array(list(self.rows)), **arrays)
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
