"""What an audit measures in every picture: size, light, and roughly how the face is turned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.faces.align import CropSpec
from mien.sources.labelled import Images
from mien.training.crops import content_key
from mien.training.similar import THUMBNAIL_PX, thumbnail

LIGHT = ("brightness", "contrast", "from_the_left", "from_above")
"""Columns of :attr:`Measures.light`."""

LOOK = CropSpec("fer2013-mean", margin=0.0, size=THUMBNAIL_PX)
"""How a face is cut before its light is measured."""

YAW_SLOPE = 1.6
"""Tangent of the yaw for each eye distance that the nose stands off the middle between the eyes.

Least squares against the yaw of MediaPipe's face landmarker on the 29,424 pictures of FER2013 in which both
find a face: half of the estimates lie within 2.5 degrees of it, nine of ten within 7.
"""

_COLOURED = 12
"""Largest difference of a thumbnail's channels, 0 to 255, up to which a picture counts as grey."""


@dataclass(frozen=True)
class Measures:
    """Measures of n pictures, as parallel arrays.

    Parameters
    ----------
    key : ndarray of shape (n,), str
        Equal for byte-identical pictures only.
    thumbnail : ndarray of shape (n, 32, 32), uint8
        The whole picture, grey.
    size_px : ndarray of shape (n, 2), int64
        Width and height.
    coloured : ndarray of shape (n,), bool
        False for a grey picture, also one that is stored as RGB.
    light : ndarray of shape (n, 4), float32
        Of the face where one is known, else of the picture's largest centred square: mean and standard
        deviation of the grey levels, 0 to 1; and the difference of two halves over their sum, -1 to 1,
        positive where the subject's left, and the upper half, are brighter.
    """

    key: NDArray[np.str_]
    thumbnail: NDArray[np.uint8]
    size_px: NDArray[np.int64]
    coloured: NDArray[np.bool_]
    light: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.key)


def measure(
    images: Images,
    landmarks_xy: NDArray[np.float32] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Measures:
    """Measure every picture.

    Parameters
    ----------
    images : sequence of ndarray
        n pictures, (H, W) grey or (H, W, 3) RGB, uint8.
    landmarks_xy : ndarray of shape (n, 5, 2), float32, optional
        Pixels of the picture; NaN where no face is known.
    progress : callable, optional
        Called with the number of pictures done, and of all.
    """
    n = len(images)
    result = Measures(
        key=np.empty(n, "U64"),
        thumbnail=np.empty((n, THUMBNAIL_PX, THUMBNAIL_PX), np.uint8),
        size_px=np.empty((n, 2), np.int64),
        coloured=np.zeros(n, bool),
        light=np.empty((n, len(LIGHT)), np.float32),
    )
    for row in range(n):
        image = images[row]
        points = None if landmarks_xy is None or np.isnan(landmarks_xy[row]).any() else landmarks_xy[row]
        face = LOOK.cut_framed(image) if points is None else LOOK.cut(image, points)[0]
        result.key[row] = content_key(image)
        result.thumbnail[row] = thumbnail(image)
        result.size_px[row] = image.shape[1::-1]
        result.coloured[row] = _is_coloured(image)
        result.light[row] = light_of(face)
        if progress is not None:
            progress(row + 1, n)
    return result


def light_of(face: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure the light on a grey face; see :attr:`Measures.light`.

    Parameters
    ----------
    face : ndarray of shape (S, S), uint8
        S even.

    Returns
    -------
    ndarray of shape (4,), float32
    """
    grey = face.astype(np.float64) / 255
    middle = len(face) // 2
    upper, lower = grey[:middle].mean(), grey[middle:].mean()
    right, left = grey[:, :middle].mean(), grey[:, middle:].mean()  # the subject's left is our right
    total = max(upper + lower, 1e-6)
    values = (grey.mean(), grey.std(), (left - right) / total, (upper - lower) / total)
    return np.array(values, np.float32)


@dataclass(frozen=True)
class Pose:
    """Size and rough turn of n faces, from five landmarks alone: an estimate, not a measurement.

    Parameters
    ----------
    yaw_deg : ndarray of shape (n,), float64
        Turned to the side, from where the nose stands between the eyes; positive towards the subject's
        left. See :data:`YAW_SLOPE` for how far it can be trusted.
    roll_deg : ndarray of shape (n,), float64
        Slope of the line through the eyes; positive where the subject's left eye is lower.
    eyes_px : ndarray of shape (n,), float64
        Distance of the eyes, pixels.
    """

    yaw_deg: NDArray[np.float64]
    roll_deg: NDArray[np.float64]
    eyes_px: NDArray[np.float64]


def estimate_pose(landmarks_xy: NDArray[np.float32]) -> Pose:
    """Estimate how faces are turned.

    Parameters
    ----------
    landmarks_xy : ndarray of shape (n, 5, 2), float32
        In the order of :data:`mien.faces.align.LANDMARKS`; NaN gives NaN.
    """
    points = landmarks_xy.astype(np.float64)
    right_eye, left_eye, nose = points[:, 0], points[:, 1], points[:, 2]
    line = left_eye - right_eye
    distance = np.hypot(line[:, 0], line[:, 1])
    along = ((nose - (left_eye + right_eye) / 2) * line).sum(axis=1) / np.maximum(distance, 1e-6) ** 2
    return Pose(
        yaw_deg=np.degrees(np.arctan(YAW_SLOPE * along)),
        roll_deg=np.degrees(np.arctan2(line[:, 1], line[:, 0])),
        eyes_px=distance,
    )


@dataclass(frozen=True)
class Spread:
    """How values are spread.

    Parameters
    ----------
    n : int
        How many there are; NaN is left out.
    low, quarter, median, three_quarters, high : float or None
        The 5th, 25th, 50th, 75th and 95th percentile; None without values.
    """

    n: int
    low: float | None = None
    quarter: float | None = None
    median: float | None = None
    three_quarters: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: NDArray[Any]) -> Spread:
        """Describe some values."""
        known = values[np.isfinite(values)]
        if not len(known):
            return cls(0)
        return cls(len(known), *(float(q) for q in np.percentile(known, (5, 25, 50, 75, 95))))

    def to_dict(self) -> dict[str, float | None]:
        """Return it as plain numbers, for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _is_coloured(image: NDArray[np.uint8]) -> bool:
    import cv2

    if image.ndim == 2:
        return False
    small = np.asarray(
        cv2.resize(image, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA), np.int16
    )
    return bool((small.max(axis=2) - small.min(axis=2)).max() > _COLOURED)
