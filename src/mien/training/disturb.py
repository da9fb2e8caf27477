"""What goes wrong with pictures in use: light, turns, distance, the camera. Whole pictures, no torch.

Every function takes a picture, the five landmarks of its face and a seeded generator, and returns the
picture and where the landmarks then lie. Strengths follow the size of the face, so that they mean the same
on a crop of 48 pixels and on a photograph. Lengths are in *sides*: the side of the template's square, which
reaches from above the brows to the chin.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import bad_argument
from mien.faces.align import LANDMARKS, fit_similarity, invert, template_points, transform

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]

TEMPLATE = "fer2013-mean"
"""The template whose square is the face."""

GRAIN_SIDES = 1 / 48
"""Grain of the noise, in sides: a pixel of a face of 48."""


class Disturbance(Protocol):
    """A function on a whole picture, (H, W) or (H, W, 3) uint8, and its landmarks, (5, 2)."""

    def __call__(
        self, picture: Picture, landmarks_xy: Points, random: np.random.Generator, /
    ) -> tuple[Picture, Points]:
        """Return the disturbed picture and its landmarks."""
        ...


class FaceFrame:
    """A face's own axes in its picture: (0, 0) and (1, 1) are the corners of the template's square.

    Parameters
    ----------
    picture : ndarray of shape (H, W) or (H, W, 3), uint8
    landmarks_xy : array_like of shape (5, 2)
        Pixels of the picture, in the order of :data:`mien.faces.align.LANDMARKS`.

    Attributes
    ----------
    side : float
        Side of the template's square, pixels.
    u, v : ndarray of shape (H, W), float32
        Of every pixel's centre: across the face, towards the subject's left, and down it; in sides.

    Raises
    ------
    ArgumentError
        If the landmarks are not five different points.
    """

    def __init__(self, picture: Picture, landmarks_xy: ArrayLike) -> None:
        points = np.asarray(landmarks_xy, np.float64)
        if points.shape != (len(LANDMARKS), 2):
            raise bad_argument("landmarks_xy", allowed=f"of shape ({len(LANDMARKS)}, 2)", given=points.shape)
        self._onto = fit_similarity(template_points(TEMPLATE, 0.0, 1)[None], points[None])
        self.side = float(np.hypot(self._onto[0, 0, 0], self._onto[0, 1, 0]))
        if not self.side > 0:
            raise bad_argument("landmarks_xy", allowed="five different points", given=points.tolist())
        self.landmarks = transform(points[None], invert(self._onto))[0]
        (a, b, c), (d, e, f) = invert(self._onto)[0]
        x = np.arange(picture.shape[1], dtype=np.float32)[None] + 0.5
        y = np.arange(picture.shape[0], dtype=np.float32)[:, None] + 0.5
        self.u: NDArray[np.float32] = np.asarray(a * x + b * y + c, np.float32)
        self.v: NDArray[np.float32] = np.asarray(d * x + e * y + f, np.float32)

    def to_picture(self, u: ArrayLike, v: ArrayLike) -> Points:
        """Return where points of the face lie in the picture: shape (..., 2), pixels, x then y."""
        flat = np.stack(np.broadcast_arrays(u, v), axis=-1)
        moved: Points = transform(flat.reshape(1, -1, 2), self._onto)[0].reshape(flat.shape)
        return moved

    def around(self, point: NDArray[np.float64], wide: float, high: float) -> NDArray[np.float32]:
        """Return a soft spot: 1 at a point of the face, falling off over `wide` and `high` sides."""
        across, down = (self.u - point[0]) / wide, (self.v - point[1]) / high
        spot: NDArray[np.float32] = np.exp(-(across**2) - down**2).astype(np.float32)
        return spot


def darken(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator, *, gain: float
) -> tuple[Picture, Points]:
    """Take away light: every value times `gain`, from 0 to 1, and rounded as a camera rounds."""
    del random
    return to_bytes(picture * np.float32(gain)), landmarks_xy


def darken_noisily(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator, *, gain: float = 0.2
) -> tuple[Picture, Points]:
    """Take away light in a camera whose noise then shows: that of the photons and a constant part."""
    dark = picture * np.float32(gain)
    deviation = np.sqrt(1.5 * dark + 20.0)  # of 255: about 7 where the face is 24
    return to_bytes(dark + deviation * _grain(picture, landmarks_xy, random)), landmarks_xy


def overexpose(picture: Picture, landmarks_xy: Points, random: np.random.Generator) -> tuple[Picture, Points]:
    """Give too much light: what was bright is white throughout."""
    del random
    return to_bytes(picture * np.float32(1.9) + np.float32(40)), landmarks_xy


def light_from_above(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator
) -> tuple[Picture, Points]:
    """Light from a lamp overhead: a bright brow, shadows in the eye sockets, under nose and lip."""
    del random
    face = FaceFrame(picture, landmarks_xy)
    gain = np.interp(face.v, (0.1, 0.35, 0.65, 1.0), (1.5, 1.1, 0.6, 0.3)).astype(np.float32)
    right_eye, left_eye, nose, *mouth = face.landmarks
    for eye in (right_eye, left_eye):
        gain *= 1 - 0.6 * face.around(eye + (0, -0.02), 0.13, 0.08)
    gain *= 1 - 0.5 * face.around(nose + (0, 0.08), 0.11, 0.06)
    gain *= 1 - 0.4 * face.around(np.mean(mouth, axis=0) + (0, 0.09), 0.16, 0.05)
    return _lit(picture, gain), landmarks_xy


def light_from_side(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator
) -> tuple[Picture, Points]:
    """Light hard from one side, drawn at random: beyond a line along the nose the face lies in shadow."""
    face = FaceFrame(picture, landmarks_xy)
    towards = 1 if random.random() < 0.5 else -1
    ridge = 0.06 * np.exp(-(((face.v - 0.55) / 0.15) ** 2))  # the nose throws its shadow onto the cheek
    beyond = towards * (face.u - 0.5) - ridge
    shadow = 1 / (1 + np.exp(-np.clip(beyond / 0.015, -30, 30)))
    return _lit(picture, (1.15 - 1.03 * shadow).astype(np.float32)), landmarks_xy


def turn_in_plane(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator, *, degrees: float
) -> tuple[Picture, Points]:
    """Tilt the head: turn the picture about the face's middle, to a side drawn at random."""
    face = FaceFrame(picture, landmarks_xy)
    angle = np.radians(degrees) * (1 if random.random() < 0.5 else -1)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = face.u - 0.5, face.v - 0.5
    turned = _look_up(picture, face.to_picture(0.5 + cos * x + sin * y, 0.5 - sin * x + cos * y))
    x, y = (face.landmarks - 0.5).T
    return turned, face.to_picture(0.5 + cos * x - sin * y, 0.5 + sin * x + cos * y)


def turn_away_approximately(
    picture: Picture,
    landmarks_xy: Points,
    random: np.random.Generator,
    *,
    degrees: float = 40.0,
    distance: float = 3.0,
) -> tuple[Picture, Points]:
    """Turn the face out of the plane as if it were flat; no more than an approximation of a turned head.

    One half is squeezed more than the other, as a camera `distance` sides away sees it; what a real turn
    hides, the far cheek and the far half of the mouth, stays visible.
    """
    face = FaceFrame(picture, landmarks_xy)
    angle = np.radians(degrees) * (1 if random.random() < 0.5 else -1)
    cos, lean = np.cos(angle), np.sin(angle) / distance
    x, y = np.clip(face.u - 0.5, -1.5, 1.5), face.v - 0.5  # further out the plane meets its horizon
    deep = 1 / (cos - x * lean)
    squeezed = _look_up(picture, face.to_picture(0.5 + x * deep, 0.5 + y * cos * deep))
    x, y = (face.landmarks - 0.5).T
    near = 1 / (1 + x * lean)
    return squeezed, face.to_picture(0.5 + x * cos * near, 0.5 + y * near)


def blur(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator, *, sides: float = 0.03
) -> tuple[Picture, Points]:
    """Put the picture out of focus: a Gaussian whose standard deviation is `sides`."""
    import cv2

    del random
    sigma = sides * FaceFrame(picture, landmarks_xy).side
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8), landmarks_xy


def shrink(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator, *, side_px: float
) -> tuple[Picture, Points]:
    """Take the picture from far away: reduced until the face is `side_px` high, and enlarged again.

    A face that is no larger stays as it is.
    """
    import cv2

    del random
    factor = side_px / FaceFrame(picture, landmarks_xy).side
    if factor >= 1:
        return picture, landmarks_xy
    height, width = picture.shape[:2]
    small = max(1, round(width * factor)), max(1, round(height * factor))
    reduced = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.uint8), landmarks_xy


def add_noise(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator, *, deviation: float = 25.0
) -> tuple[Picture, Points]:
    """Add Gaussian noise, its standard deviation in values of 255."""
    return to_bytes(picture + deviation * _grain(picture, landmarks_xy, random)), landmarks_xy


def compress(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator, *, quality: int = 15
) -> tuple[Picture, Points]:
    """Write the picture as JPEG of a quality from 0 to 100, and read it again."""
    import cv2

    del random
    written = picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., ::-1])
    _, file = cv2.imencode(".jpg", written, [cv2.IMWRITE_JPEG_QUALITY, quality])
    read = np.asarray(cv2.imdecode(file, cv2.IMREAD_UNCHANGED), np.uint8)
    return read if picture.ndim == 2 else np.ascontiguousarray(read[..., ::-1]), landmarks_xy


def to_bytes(values: NDArray[Any]) -> Picture:
    """Round values and keep them from 0 to 255."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _lit(picture: Picture, gain: NDArray[np.float32]) -> Picture:
    return to_bytes(picture * (gain if picture.ndim == 2 else gain[..., None]))


def _grain(picture: Picture, landmarks_xy: Points, random: np.random.Generator) -> NDArray[np.float32]:
    """Return noise of unit deviation in the picture's shape, coarser where the face has more pixels."""
    import cv2

    size = max(1.0, FaceFrame(picture, landmarks_xy).side * GRAIN_SIDES)
    height, width = picture.shape[:2]
    cells = int(np.ceil(height / size)), int(np.ceil(width / size)), *picture.shape[2:]
    noise = random.standard_normal(cells, dtype=np.float32)
    enlarged = cv2.resize(noise, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(enlarged, np.float32).reshape(picture.shape)


def _look_up(picture: Picture, source_xy: Points) -> Picture:
    """Return the picture whose every pixel is taken from a place (H, W, 2) in this one; borders repeat."""
    import cv2

    place = (source_xy - 0.5).astype(np.float32)  # OpenCV counts from pixel centres
    x, y = np.ascontiguousarray(place[..., 0]), np.ascontiguousarray(place[..., 1])
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
