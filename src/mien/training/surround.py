"""Faces as they stand in whole pictures: smaller, with something around them. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.detect import Detector
from mien.faces.faces import Faces, overlap

FILLS = ("plain", "repeat", "black")
"""What may be put around a picture; see :class:`Surround`."""

WIDEST = 8.0
"""Most that may be put on every side, in sides of the picture."""


@dataclass(frozen=True)
class Surround:
    """What is put around every picture before a face is looked for in it.

    Parameters
    ----------
    share : float
        How much on every side, as a share of the picture's sides: 0.5 makes them twice as long. At most
        :data:`WIDEST`.
    fill : {"plain", "repeat", "black"}
        "plain": the mean colour of the picture's outermost pixels. It invents nothing that could pass for
        a part of a face, and the edge it leaves is on the whole the faintest that one colour can leave.
        "repeat": the outermost pixels go on outwards. It leaves no edge, as in a photograph cut elsewhere,
        but streaks that continue hair and chin. "black": zeros, as where pictures are brought to one shape.

    Raises
    ------
    ArgumentError
        If a value is none of these.
    """

    share: float
    fill: str = "plain"

    def __post_init__(self) -> None:
        if not 0 < self.share <= WIDEST:
            raise bad_argument("surround", allowed=f"over 0, up to {WIDEST:g}", given=self.share)
        if self.fill not in FILLS:
            raise bad_argument("fill", allowed=f"one of {', '.join(FILLS)}", given=self.fill)

    def pad(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Put the fill around a picture.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8

        Returns
        -------
        canvas : ndarray, uint8
            As many channels as `image`, its pixels unchanged in the middle.
        box_xyxy : ndarray of shape (4,), float64
            Where the picture lies in it, pixels.
        """
        height, width = image.shape[:2]
        down, right = (max(1, round(self.share * side)) for side in (height, width))
        around = ((down, down), (right, right), *((0, 0),) * (image.ndim - 2))
        if self.fill == "repeat":
            canvas = np.pad(image, around, mode="edge")
        else:
            canvas = np.empty((height + 2 * down, width + 2 * right, *image.shape[2:]), np.uint8)
            canvas[:] = _border_colour(image) if self.fill == "plain" else 0
            canvas[down : down + height, right : right + width] = image
        return canvas, np.array([right, down, right + width, down + height], np.float64)


def find_main(
    image: NDArray[np.uint8], detector: Detector, box_xyxy: NDArray[np.float64] | None = None
) -> Faces:
    """Find the face that a picture is of, as in any photograph: the picture is shown as it is.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
        RGB or grey.
    detector : Detector
    box_xyxy : ndarray of shape (4,), optional
        The part of the picture that it is of; by default all of it.

    Returns
    -------
    Faces
        None or one, the one that fills most of that part; coordinates in pixels of `image`.
    """
    shown = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    faces = detector.detect(shown)
    part = np.array([0, 0, *image.shape[1::-1]], np.float64) if box_xyxy is None else box_xyxy
    shared = overlap(faces.box_xyxy, part[None])[:, 0]
    if not len(faces) or not shared.max() > 0:
        return faces[:0]
    return faces[int(shared.argmax())]


def _border_colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rings = (image[0], image[-1], image[1:-1, 0], image[1:-1, -1])
    return np.asarray(np.concatenate(rings).mean(axis=0).round(), np.uint8)
