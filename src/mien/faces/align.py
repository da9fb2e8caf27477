"""Cut faces upright, to the template of a model's card; and carry points back.

The one place where a face in a picture becomes a crop, in training and in inference alike. Coordinates
are continuous: (0, 0) is the outer corner of the first pixel, its centre is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import bad_argument

LANDMARKS = ("right_eye", "left_eye", "nose_tip", "mouth_right", "mouth_left")
"""The five points of a face, in order; left and right are the subject's."""

TEMPLATES = {
    # Mean of the five points over the 30,310 FER2013 pictures in which a landmarker found a face, in
    # units of the picture's side, made symmetric about the vertical middle.
    "fer2013-mean": (
        (0.3212, 0.3796),
        (0.6788, 0.3796),
        (0.5000, 0.5777),
        (0.3526, 0.7672),
        (0.6474, 0.7672),
    ),
}
"""Where the five points lie in an upright face, in units of the side of a FER2013-like square."""


def template_points(template: str, margin: float, size: int) -> NDArray[np.float64]:
    """Return where the five points lie in a crop, in its pixels.

    Parameters
    ----------
    template : str
        A key of :data:`TEMPLATES`.
    margin : float
        What is added on every side of the template's square, as a fraction of its side; negative trims.
    size : int
        Side of the crop in pixels.

    Returns
    -------
    ndarray of shape (5, 2), float64
    """
    if template not in TEMPLATES:
        raise bad_argument("template", allowed=f"one of {sorted(TEMPLATES)}", given=template)
    unit = np.asarray(TEMPLATES[template], np.float64)
    return (unit + margin) / (1 + 2 * margin) * size


def fit_similarity(source_xy: ArrayLike, target_xy: ArrayLike) -> NDArray[np.float64]:
    """Fit the turn, scale and shift that carry points onto others, by least squares.

    Without reflection, following Umeyama (1991), in the closed form that two dimensions allow.

    Parameters
    ----------
    source_xy : array_like of shape (n, p, 2)
        Points to carry, n sets of p.
    target_xy : array_like of shape (p, 2) or (n, p, 2)
        Where they should come to lie.

    Returns
    -------
    ndarray of shape (n, 2, 3), float64
        Matrices M with ``target ~ M[:, :2] @ source + M[:, 2]``. Where all points of a set coincide the
        scale is zero.
    """
    source = np.asarray(source_xy, np.float64)
    target = np.broadcast_to(np.asarray(target_xy, np.float64), source.shape)
    mean_s, mean_t = source.mean(axis=1), target.mean(axis=1)
    s, t = source - mean_s[:, None], target - mean_t[:, None]
    norm = np.maximum((s**2).sum(axis=(1, 2)), np.finfo(np.float64).tiny)
    a = (s * t).sum(axis=(1, 2)) / norm
    b = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(axis=1) / norm
    linear = np.stack([np.stack([a, -b], -1), np.stack([b, a], -1)], -2)
    shift = mean_t - np.einsum("nij,nj->ni", linear, mean_s)
    return np.concatenate([linear, shift[..., None]], axis=2)


def invert(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert affine matrices.

    Parameters
    ----------
    matrix : ndarray of shape (n, 2, 3)

    Returns
    -------
    ndarray of shape (n, 2, 3), float64
    """
    linear = np.linalg.inv(matrix[:, :, :2])
    return np.concatenate([linear, -linear @ matrix[:, :, 2:]], axis=2)


def transform(points_xy: ArrayLike, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry points by affine matrices.

    Parameters
    ----------
    points_xy : array_like of shape (n, p, 2)
    matrix : ndarray of shape (n, 2, 3)

    Returns
    -------
    ndarray of shape (n, p, 2), float64
    """
    points = np.asarray(points_xy, np.float64)
    moved: NDArray[np.float64] = np.einsum("nij,npj->npi", matrix[:, :, :2], points)
    return moved + matrix[:, None, :, 2]


@dataclass(frozen=True)
class CropSpec:
    """How a model's faces are cut, as its card says.

    Parameters
    ----------
    template : str
        A key of :data:`TEMPLATES`.
    margin : float
        What is added on every side of the template's square, as a fraction of its side; negative trims.
    size : int
        Side of the crop in pixels.
    colour : {"grey", "rgb"}
    """

    template: str
    margin: float
    size: int
    colour: str = "grey"

    def __post_init__(self) -> None:
        if self.colour not in ("grey", "rgb"):
            raise bad_argument("colour", allowed="'grey' or 'rgb'", given=self.colour)
        template_points(self.template, self.margin, self.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one crop: (S, S), or (S, S, 3) for RGB."""
        return (self.size, self.size, 3) if self.colour == "rgb" else (self.size, self.size)

    def matrices(self, landmarks_xy: ArrayLike) -> NDArray[np.float64]:
        """Return how faces are carried from the picture into crops.

        Parameters
        ----------
        landmarks_xy : array_like of shape (n, 5, 2)
            Pixels of the picture, in the order of :data:`LANDMARKS`.

        Returns
        -------
        ndarray of shape (n, 2, 3), float64
        """
        return fit_similarity(landmarks_xy, template_points(self.template, self.margin, self.size))

    def cut(self, image: NDArray[np.uint8], landmarks_xy: ArrayLike) -> NDArray[np.uint8]:
        """Cut the faces of a picture.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Grey or RGB.
        landmarks_xy : array_like of shape (n, 5, 2)
            Pixels of the picture.

        Returns
        -------
        ndarray of shape (n, S, S) or (n, S, S, 3), uint8
            Outside the picture its border is repeated.
        """
        landmarks = np.asarray(landmarks_xy, np.float64).reshape(-1, len(LANDMARKS), 2)
        return self._warp(image, self.matrices(landmarks))

    def cut_framed(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut a picture that is a face already, framed like the template.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Its largest centred square is taken as the template's square.

        Returns
        -------
        ndarray of shape (S, S) or (S, S, 3), uint8
        """
        crops = self._warp(image, framed_matrices([image.shape[:2]], self.margin, self.size))
        return np.asarray(crops[0])

    def _warp(self, image: NDArray[np.uint8], matrices: NDArray[np.float64]) -> NDArray[np.uint8]:
        picture = _in_colour(image, self.colour)
        crops = [_resample(picture, matrix, self.size) for matrix in matrices]
        shape = (0, self.size, self.size) + picture.shape[2:]
        return np.stack(crops) if crops else np.empty(shape, np.uint8)


def framed_matrices(shapes: ArrayLike, margin: float, size: int) -> NDArray[np.float64]:
    """Return the cut of pictures that are faces already, framed like the template.

    Parameters
    ----------
    shapes : array_like of shape (n, 2)
        Height and width of the pictures; the frame is their largest centred square.
    margin : float
        As on the model's card.
    size : int
        Side of the crop in pixels.

    Returns
    -------
    ndarray of shape (n, 2, 3), float64
    """
    height, width = np.asarray(shapes, np.float64).T
    scale = size / (1 + 2 * margin) / np.minimum(height, width)
    matrix = np.zeros((len(scale), 2, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, 0, 2] = size / 2 - scale * width / 2
    matrix[:, 1, 2] = size / 2 - scale * height / 2
    return matrix


def cut_boxes(image: NDArray[np.uint8], box_xyxy: ArrayLike, margin: float, size: int) -> NDArray[np.uint8]:
    """Cut what lies in boxes and around them, as it is: squares that are not turned.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), uint8
        Grey or RGB.
    box_xyxy : array_like of shape (n, 4)
        Corners, pixels of the picture.
    margin : float
        What is added on every side of a square of as large an area as the box, as a fraction of its side.
    size : int
        Side of the crop in pixels.

    Returns
    -------
    ndarray of shape (n, S, S), uint8
        Grey; outside the picture its border is repeated.
    """
    box = np.asarray(box_xyxy, np.float64).reshape(-1, 4)
    low, high = box[:, :2], box[:, 2:]
    side = np.sqrt(np.maximum(np.prod(high - low, axis=1), 1)) * (1 + 2 * margin)
    matrix = np.zeros((len(box), 2, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = size / side
    matrix[:, :, 2] = size / 2 - (size / side)[:, None] * (low + high) / 2
    grey = _in_colour(image, "grey")
    crops = np.empty((len(box), size, size), np.uint8)
    for crop, one in zip(crops, matrix, strict=True):
        crop[:] = _resample(grey, one, size)
    return crops


def _in_colour(image: NDArray[np.uint8], colour: str) -> NDArray[np.uint8]:
    import cv2

    if colour == "grey" and image.ndim == 3:
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]  # uint8 in, uint8 out
    if colour == "rgb" and image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]  # uint8 in, uint8 out
    return image


def _resample(picture: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Warp one crop; a face much larger than the crop is averaged down first, so that it does not alias."""
    import cv2

    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    step = int(0.75 / scale) if scale > 0 else 1
    shift = np.zeros(2)
    if step > 1:
        picture, shift = _around(picture, matrix, size, step)
        height, width = (max(1, round(side / step)) for side in picture.shape[:2])
        ratio = np.array([picture.shape[1] / width, picture.shape[0] / height])
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]  # uint8
    else:
        ratio = np.ones(2)
    moved = matrix.copy()  # from the reduced picture's coordinates, and to pixel centres, as OpenCV counts
    moved[:, 2] += matrix[:, :2] @ shift
    moved[:, :2] *= ratio
    moved[:, 2] += moved[:, :2].sum(axis=1) * 0.5 - 0.5
    flags = cv2.INTER_LINEAR
    return cv2.warpAffine(picture, moved, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]  # uint8


def _around(
    picture: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, spare: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of the picture a crop reads, with some spare, and the part's corner."""
    corners = np.array([[[0, 0], [size, 0], [size, size], [0, size]]], np.float64)
    xy = transform(corners, invert(matrix[None]))[0]
    sides = np.array(picture.shape[1::-1])
    low = np.clip(np.floor(xy.min(axis=0)) - 2 * spare, 0, sides - 1).astype(int)
    high = np.clip(np.ceil(xy.max(axis=0)) + 2 * spare, low + 1, sides).astype(int)
    return picture[low[1] : high[1], low[0] : high[0]], low.astype(np.float64)
