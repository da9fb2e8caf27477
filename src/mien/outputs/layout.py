"""Where the labels of faces go: inside the picture, off the faces, off each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROUNDS = 3
"""How often each label may move again once all others have a place."""

_ON_LABEL, _ON_OTHER, _ON_OWN = 6.0, 3.0, 1.0
"""What a pixel of a label costs on another label, on another face and on its own face."""

_PLACES = ("below", "above", "right", "left", "inside")


@dataclass(frozen=True, eq=False)
class Placement:
    """Where n labels lie, and what they hide.

    Parameters
    ----------
    corner_xy : ndarray of shape (n, 2), float64
        Left top corners, pixels.
    on_others : float
        Pixels of labels that lie on other labels or on other people's faces.
    on_own : ndarray of shape (n,), float64
        Part of each face that its own label hides, 0 to 1.
    """

    corner_xy: NDArray[np.float64]
    on_others: float
    on_own: NDArray[np.float64]


def place_labels(
    box_xyxy: ArrayLike,
    size_px: ArrayLike,
    picture_px: tuple[int, int],
    *,
    gap: float = 0.0,
    first: str = "below",
) -> Placement:
    """Find a place for the label of each face, greedily and then by moving one at a time.

    Parameters
    ----------
    box_xyxy : array_like of shape (n, 4)
        The faces, pixels.
    size_px : array_like of shape (n, 2)
        Width and height of the labels, at most those of the picture.
    picture_px : tuple of int
        Width and height of the picture.
    gap : float
        Pixels between a face and its label.
    first : {"below", "above", "right", "left", "inside"}
        Where to try first.
    """
    box = np.asarray(box_xyxy, np.float64).reshape(-1, 4)
    size = np.asarray(size_px, np.float64).reshape(-1, 2)
    n = len(box)
    label = np.full((n, 4), np.nan)
    order = np.argsort(-(box[:, 3] - box[:, 1]))  # large faces first: their labels have the most to fit
    for _ in range(_ROUNDS if n > 1 else 1):
        for i in order:
            places = _candidates(box[i], size[i], picture_px, gap, first)
            others = np.arange(n) != i
            cost = _ON_OTHER * _shared(places, box[others]).sum(axis=1)
            cost += _ON_OWN * _shared(places, box[i : i + 1])[:, 0]
            cost += _ON_LABEL * _shared(places, label[others & ~np.isnan(label[:, 0])]).sum(axis=1)
            cost += np.arange(len(places)) * 0.002 * size[i].prod()  # between equals: the order of places
            label[i] = places[cost.argmin()]
    return _placement(box, label)


def _placement(box: NDArray[np.float64], label: NDArray[np.float64]) -> Placement:
    apart = 1 - np.eye(len(box))
    on_face = _shared(label, box)
    on_others = (on_face * apart).sum() + (_shared(label, label) * apart).sum() / 2
    area = np.maximum((box[:, 2:] - box[:, :2]).prod(axis=1), 1e-9)
    return Placement(label[:, :2], float(on_others), np.diagonal(on_face) / area)


def _candidates(
    box: NDArray[np.float64], size: NDArray[np.float64], picture_px: tuple[int, int], gap: float, first: str
) -> NDArray[np.float64]:
    """Return places around a face as boxes inside the picture, the preferred ones first."""
    (x0, y0, x1, y1), (w, h) = box, size
    along_x = (x0, (x0 + x1 - w) / 2, x1 - w)
    along_y = (y0, (y0 + y1 - h) / 2, y1 - h)
    corners = {
        "below": [(x, y1 + gap) for x in along_x],
        "above": [(x, y0 - gap - h) for x in along_x],
        "right": [(x1 + gap, y) for y in along_y],
        "left": [(x0 - gap - w, y) for y in along_y],
        "inside": [((x0 + x1 - w) / 2, y1 - h), ((x0 + x1 - w) / 2, y0)],
    }
    names = sorted(_PLACES, key=lambda name: name != first)
    low = np.array([corner for name in names for corner in corners[name]])
    low = np.clip(low, 0, np.maximum(np.array(picture_px) - size, 0))
    return np.concatenate([low, low + size], axis=1)


def _shared(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area that each of n boxes shares with each of m, shape (n, m)."""
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    area: NDArray[np.float64] = np.clip(sides, 0, None).prod(axis=2)
    return area
