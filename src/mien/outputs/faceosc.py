"""What FaceOSC sends, from our landmarks: the patches written for it understand mien.

Gestures are distances in a unit of the face, so that they do not change with the distance to the camera.
"left" and "right" are FaceOSC's own words: as they lie in a picture that is not mirrored, which is the
other side than the subject's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.faces.align import template_points
from mien.faces.landmarks import FIVE_OF_70
from mien.readings import Readings

PORT = 8338
"""Where FaceOSC's receivers listen."""

EYES_APART = 17.5
"""Distance between the eyes in FaceOSC's unit: a mouth at rest is about 14 wide, as its patches expect."""

DEPTHS = (0.0, 0.0, 0.45, 0.1, 0.1)
"""How far the five landmarks stand out before the plane of the eyes, in distances between the eyes: about
28 mm for the tip of the nose and 6 mm for the corners of the mouth, where the eyes are 63 mm apart."""

RAW = tuple(i for i in range(68) if i not in (60, 64))
"""FaceOSC's 66 points among the 68 of iBUG: the inner corners of the mouth are not among them."""

_GESTURES = {
    "mouth/width": ((48,), (54,)),
    "mouth/height": ((62,), (66,)),
    "eyebrow/left": ((19,), (36, 37, 38, 39, 40, 41)),
    "eyebrow/right": ((24,), (42, 43, 44, 45, 46, 47)),
    "eye/left": ((37, 38), (40, 41)),
    "eye/right": ((43, 44), (46, 47)),
    "jaw": ((33,), (8,)),
    "nostrils": ((31,), (35,)),
}
"""Between which points each distance is taken; several points stand for their mean."""

Message = tuple[str, tuple[float | str, ...]]
"""An address and its values: int, float or text."""


def pose(five_xy: NDArray[np.float32]) -> tuple[float, tuple[float, float, float]]:
    """Return the scale and the turn of a face, by fitting a head of usual shape seen from afar.

    Parameters
    ----------
    five_xy : ndarray of shape (5, 2)
        The five landmarks, pixels.

    Returns
    -------
    scale : float
        Pixels between the eyes of the face turned to the camera.
    turn_rad : tuple of three float
        About the axes to the right, down and away from the camera, right-handed: positive looks down, looks
        to the left of the picture, leans to the right of the picture (clockwise). Within a few degrees, up
        to about 40.
    """
    head = np.empty((5, 3))
    head[:, :2] = template_points("fer2013-mean", margin=0.0, size=1)
    head[:, :2] /= head[1, 0] - head[0, 0]
    head[:, 2] = np.negative(DEPTHS)
    head -= head.mean(axis=0)
    points = np.asarray(five_xy, np.float64)
    seen = (points - points.mean(axis=0)).T @ np.linalg.pinv(head).T
    left, sizes, right = np.linalg.svd(seen, full_matrices=False)
    across, down = left @ right
    away = np.cross(across, down)
    pitch = np.arctan2(away[1], away[2])
    yaw = np.arctan2(-away[0], np.hypot(away[1], away[2]))
    roll = np.arctan2(down[0], across[0])
    return float(sizes.mean()), (float(pitch), float(yaw), float(roll))


def messages(readings: Readings, face: int | None) -> list[Message]:
    """Return the messages of one frame.

    Parameters
    ----------
    readings : Readings
        With 5 landmarks, from which the pose and the width of the mouth are known; with 68 or more all
        gestures are, and the raw points.
    face : int, optional
        Position of the one face they are about; None where there is none.

    Returns
    -------
    list of address and values
        Only "/found" 0 where there is no face. What is not known is not sent.
    """
    if face is None:
        return [("/found", (0,))]
    points = readings.faces.landmarks_xy[face].astype(np.float64)
    many = len(points) >= 68
    if not many and len(points) != 5:
        return [("/found", (1,))]
    five = points[list(FIVE_OF_70)] if len(points) >= 70 else _five_of_68(points) if many else points
    apart, turn = pose(five.astype(np.float32))
    scale = apart / EYES_APART
    centre = points[:68].mean(axis=0) if many else five.mean(axis=0)
    sent: list[Message] = [
        ("/found", (1,)),
        ("/pose/position", (float(centre[0]), float(centre[1]))),
        ("/pose/scale", (scale,)),
        ("/pose/orientation", turn),
    ]
    if scale <= 0:
        return sent
    if not many:
        return [*sent, ("/gesture/mouth/width", (float(np.linalg.norm(five[3] - five[4])) / scale,))]
    for name, (start, end) in _GESTURES.items():
        across = points[list(start)].mean(axis=0) - points[list(end)].mean(axis=0)
        sent.append((f"/gesture/{name}", (float(np.linalg.norm(across)) / scale,)))
    return [*sent, ("/raw", tuple(points[list(RAW)].ravel().tolist()))]


def _five_of_68(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the five landmarks of a face without iris centres: the middles of the eyes stand for them."""
    eyes = [points[36:42].mean(axis=0), points[42:48].mean(axis=0)]
    return np.stack([*eyes, points[30], points[48], points[54]])
