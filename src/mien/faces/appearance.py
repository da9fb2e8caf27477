"""How a face looks, in a few numbers: enough to tell the people of one film apart, not to recognise anyone.

Three small pictures: all that is in the box, to compare with the frame before; the face from brow to chin,
upright; and the colour of its skin. What the measures below are laid through are pictures of five people in
one room and one light, and photographs moved over others (docs/tracking.md has the numbers, and those of the
expression network's embedding, which does worse).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.faces.align import CropSpec

_SPEC = CropSpec("fer2013-mean", margin=0.4, size=24, colour="rgb")

GREY_SIDE, COLOUR_SIDE = 12, 4
"""Sides of the grey pictures, and of that of colour."""

_AT = (np.arange(GREY_SIDE) + 0.5) / GREY_SIDE * 2 - 1
_ELLIPSE = np.flatnonzero(np.hypot(_AT / 0.42, _AT[:, None] / 0.53) < 1)
"""Which pixels of the upright picture are the face, without hair and room."""

_INNER = slice(5, 19)
"""Rows and columns of the upright crop from which the colour is taken."""

_DARK = 30.0
"""Added to the sum of the three channels, 0 to 765, so that the colour of dark places counts little."""

BOX = slice(0, GREY_SIDE**2)
FACE = slice(BOX.stop, BOX.stop + len(_ELLIPSE))
COLOUR = slice(FACE.stop, FACE.stop + 2 * COLOUR_SIDE**2)
"""Which of the numbers are which picture."""

LENGTH = COLOUR.stop
"""How many numbers describe a face."""

FLAT = 1e-6
"""A picture whose values differ less than this from their mean, all squared and summed, has no pattern."""

SAME_SCENE = 0.85
"""Two frames whose thumbnails correlate less are of two scenes. In clips of a fixed camera neighbouring
frames do at 0.91 or more, and at most at 0.80 where the film cuts between people in the same room."""

Float = NDArray[np.float64]


def describe(
    image: NDArray[np.uint8], box_xyxy: NDArray[np.floating], landmarks_xy: NDArray[np.floating]
) -> Float:
    """Describe how the faces of a picture look.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        RGB.
    box_xyxy : ndarray of shape (n, 4)
        Pixels of the picture.
    landmarks_xy : ndarray of shape (n, 5, 2)
        The same.

    Returns
    -------
    ndarray of shape (n, LENGTH), float64
        The two grey pictures, each without its mean and of length one, then the shares of red and of green
        of the third.
    """
    import cv2

    crops = _SPEC.cut(image, landmarks_xy)
    looks = np.empty((len(crops), LENGTH))
    grey, coarse = (GREY_SIDE, GREY_SIDE), (COLOUR_SIDE, COLOUR_SIDE)
    for look, box, crop in zip(looks, box_xyxy, crops, strict=True):
        whole = cv2.resize(_inside(image, box), grey, interpolation=cv2.INTER_AREA)
        look[BOX] = cv2.cvtColor(whole, cv2.COLOR_RGB2GRAY).ravel()
        small = cv2.resize(crop, grey, interpolation=cv2.INTER_AREA)
        look[FACE] = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).ravel()[_ELLIPSE]
        skin = cv2.resize(crop[_INNER, _INNER], coarse, interpolation=cv2.INTER_AREA).astype(np.float64)
        look[COLOUR] = (skin[..., :2] / (skin.sum(axis=2, keepdims=True) + _DARK)).ravel()
    for part in (BOX, FACE):
        looks[:, part] = _centred(looks[:, part])
    return looks


def correlation(looks: Float, others: Float, part: slice) -> Float:
    """Return how alike grey pictures are, whatever their light; one without any pattern is like all others.

    Parameters
    ----------
    looks, others : ndarray of shape (n, LENGTH) and (m, LENGTH), float64
        By :func:`describe`, or means of several.
    part : slice
        BOX or FACE.

    Returns
    -------
    ndarray of shape (n, m), float64
        -1 to 1.
    """
    return _alike(looks[:, part], others[:, part])


def same_person(looks: Float, others: Float) -> Float:
    """Return how much two looks speak for one person rather than for two.

    Parameters
    ----------
    looks, others : ndarray of shape (n, LENGTH) and (m, LENGTH), float64

    Returns
    -------
    ndarray of shape (n, m), float64
        Logarithm of how many times likelier they are among pictures of one person in one room than among
        those of two, -9 to 5. Straight lines laid through what was measured, cut off at both ends, since
        light and hands can make anyone look different.
    """
    colour = np.abs(looks[:, None, COLOUR] - others[None, :, COLOUR]).mean(axis=2)
    by_face: Float = np.clip(35 * (correlation(looks, others, FACE) - 0.9), -5, 3)
    by_colour: Float = np.clip(600 * (0.0055 - colour), -4, 2)
    return by_face + by_colour


def same_moment(looks: Float, others: Float) -> Float:
    """Return the same for two looks one frame apart: whoever turns or is covered changes little by little.

    Parameters
    ----------
    looks, others : ndarray of shape (n, LENGTH) and (m, LENGTH), float64

    Returns
    -------
    ndarray of shape (n, m), float64
        Logarithm of how many times likelier, -12 to 4.
    """
    alike = (correlation(looks, others, BOX) + correlation(looks, others, FACE)) / 2
    evidence: Float = np.clip(60 * (alike - 0.72), -12, 4)
    return evidence


def is_cut(thumbnail: Float, last: Float) -> bool:
    """Tell whether a film shows another scene than a frame before, by both :func:`thumbnail_of`."""
    return bool(_alike(thumbnail[None], last[None])[0, 0] < SAME_SCENE)


def thumbnail_of(image: NDArray[np.uint8]) -> Float:
    """Return a picture in 16 x 12 pixels, grey, shape (192,)."""
    import cv2

    step = max(1, min(image.shape[:2]) // 120)
    small = cv2.resize(np.ascontiguousarray(image[::step, ::step]), (16, 12), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64).ravel()


def _inside(image: NDArray[np.uint8], box_xyxy: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the part of a picture that is in a box, at least one pixel."""
    sides = np.array(image.shape[1::-1])
    low = np.clip(np.round(box_xyxy[:2]).astype(int), 0, sides - 1)
    high = np.clip(np.round(box_xyxy[2:]).astype(int), low + 1, sides)
    return image[low[1] : high[1], low[0] : high[0]]


def _alike(pictures: Float, others: Float) -> Float:
    """Return the correlation of rows with rows, (n, m)."""
    a, b = _centred(pictures), _centred(others)
    flat = np.logical_or.outer(~a.any(axis=1), ~b.any(axis=1))
    return np.where(flat, 1.0, a @ b.T)


def _centred(pictures: Float) -> Float:
    """Return rows without their mean and of length one; zeros where there is no pattern."""
    plain: Float = pictures - pictures.mean(axis=1, keepdims=True)
    length: Float = np.linalg.norm(plain, axis=1, keepdims=True)
    return np.where(length > FLAT, plain / np.maximum(length, FLAT), 0.0)
