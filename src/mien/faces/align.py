"""Cut faces upright, to the template of a model's card; and carry points back.

The one place where a face in a picture becomes a crop, in training and in inference alike. Coordinates
are continuous: (0, 0) is the outer corner of the first pixel, its centre is (0.5, 0.5).
"""

from __future__ import annotations

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
    return np.einsum("nij,npj->npi", matrix[:, :, :2], points) + matrix[:, None, :, 2]
