"""Stand-ins for the stages of mien, for tests that should need no weights, no files and no camera.

Each keeps the contract of what it stands for, and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import bad_argument
from mien.faces.align import CropSpec, template_points
from mien.faces.faces import Faces
from mien.labels import FERPLUS8, LabelSet
from mien.readings import Readings
from mien.sources.frame import Frame, check_image

_CROP = CropSpec("fer2013-mean", margin=0.0, size=48)


def make_faces(count: int, size_px: tuple[int, int] = (320, 240)) -> Faces:
    """Place upright faces side by side in a picture.

    Parameters
    ----------
    count : int
        How many.
    size_px : tuple of int
        Width and height of the picture.

    Returns
    -------
    Faces
        In one row, each half as wide as its share of the picture, with five landmarks.
    """
    width, height = size_px
    side = min(width / max(count, 1), height) / 2
    left = (np.arange(count) + 0.5) * width / max(count, 1) - side / 2
    corner = np.stack([left, np.full(count, (height - side) / 2)], axis=1)
    points = corner[:, None] + template_points(_CROP.template, margin=0.0, size=1) * side
    box = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    return Faces(box, np.full(count, 0.9, np.float32), points.astype(np.float32))


class SyntheticSource:
    """A source of seeded noise.

    Parameters
    ----------
    frames : int
        How many frames.
    size_px : tuple of int
        Width and height.
    rate_hz : float, optional
        Frames per second, which gives each its time; None for still pictures.
    seed : int
        The same seed gives the same frames.
    name : str
        The source of the frames.
    """

    def __init__(
        self,
        frames: int,
        size_px: tuple[int, int] = (320, 240),
        *,
        rate_hz: float | None = None,
        seed: int = 0,
        name: str = "synthetic",
    ) -> None:
        self.frames = frames
        self.size_px = size_px
        self.rate_hz = rate_hz
        self.seed = seed
        self.name = name

    def __len__(self) -> int:
        return self.frames

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        return None

    def __iter__(self) -> Iterator[Frame]:
        random = np.random.default_rng(self.seed)
        width, height = self.size_px
        for index in range(self.frames):
            image = random.integers(0, 256, (height, width, 3), np.uint8)
            time_s = None if self.rate_hz is None else index / self.rate_hz
            yield Frame(image, index=index, time_s=time_s, source=self.name)


class FixedDetector:
    """A detector that finds the same faces in every picture.

    Parameters
    ----------
    faces : Faces
        What it finds.
    name : str
        What it is called.
    """

    def __init__(self, faces: Faces, *, name: str = "fixed") -> None:
        self.faces = faces
        self.name = name

    def detect(self, image: NDArray[np.uint8], *, min_face: float | None = None) -> Faces:
        """Return the faces that are at least `min_face` pixels wide."""
        check_image(image)
        width = self.faces.box_xyxy[:, 2] - self.faces.box_xyxy[:, 0]
        return self.faces[width >= (min_face or 0)]


class ScriptedDetector:
    """A detector that finds what it is told to, picture after picture, and then nothing.

    Parameters
    ----------
    answers : sequence of Faces
        What it finds in the first picture, in the second, and so on.
    name : str
        What it is called.

    Attributes
    ----------
    asked : int
        How many pictures it was shown.
    """

    def __init__(self, answers: Sequence[Faces], *, name: str = "scripted") -> None:
        self.answers = tuple(answers)
        self.name = name
        self.asked = 0

    def detect(self, image: NDArray[np.uint8], *, min_face: float | None = None) -> Faces:
        """Return the next answer, without the faces that are less than `min_face` pixels wide."""
        check_image(image)
        self.asked += 1
        if self.asked > len(self.answers):
            return Faces.empty()
        return FixedDetector(self.answers[self.asked - 1]).detect(image, min_face=min_face)


class TableModel:
    """A model that answers from a table: the first crop gets the first row, and round again at its end.

    Parameters
    ----------
    table : array_like of shape (m, k)
        Rows that sum to one.
    labels : LabelSet
        The k columns.
    crop : CropSpec
        How its crops are cut.
    name : str
        What it is called.

    Raises
    ------
    ArgumentError
        If the table does not fit the labels.
    """

    def __init__(
        self,
        table: ArrayLike,
        labels: LabelSet = FERPLUS8,
        *,
        crop: CropSpec = _CROP,
        name: str = "table",
    ) -> None:
        self.table = np.asarray(table, np.float32)
        if self.table.ndim != 2 or self.table.shape[1] != len(labels) or not len(self.table):
            raise bad_argument("table", allowed=f"of shape (m, {len(labels)})", given=self.table.shape)
        self.labels = labels
        self.crop = crop
        self.name = name

    def predict_proba(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a row of the table for each crop, shape (n, k)."""
        grey = (self.crop.size, self.crop.size)
        wanted = grey if self.crop.colour == "grey" else (*grey, 3)
        if crops.shape[1:] != wanted:
            raise bad_argument("crops", allowed=f"of shape (n, {wanted})", given=crops.shape)
        return self.table[np.arange(len(crops)) % len(self.table)]


class CollectingSink:
    """A sink that keeps what is written to it.

    Attributes
    ----------
    written : list of Readings
        In the order of writing.
    closed : bool
        Whether the ``with`` block has ended.
    """

    def __init__(self) -> None:
        self.written: list[Readings] = []
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        self.closed = True

    def write(self, readings: Readings) -> None:
        """Keep the readings of one frame."""
        self.written.append(readings)


def make_readings(
    emotions: Sequence[str],
    labels: LabelSet = FERPLUS8,
    *,
    confidence: float = 0.8,
    source: str = "synthetic",
) -> Readings:
    """Make the readings of one picture whose faces show these emotions.

    Parameters
    ----------
    emotions : sequence of str
        One name or alias for each face; none for a picture without a face.
    labels : LabelSet
        The emotions the probabilities are over.
    confidence : float
        Probability of the named emotion; the rest is shared evenly.
    source : str
        What the picture is called.
    """
    n, k = len(emotions), len(labels)
    probability = np.full((n, k), (1 - confidence) / (k - 1), np.float32)
    probability[np.arange(n), [labels.index(name) for name in emotions]] = confidence
    size_px = (320, 240)
    return Readings(
        faces=make_faces(n, size_px),
        labels=labels,
        probability=probability,
        model="table",
        source=source,
        size_px=size_px,
    )
