"""How a face looks, in a few numbers: enough to tell the people of one film apart, not to recognise anyone.

A small grey picture and a coarser one of colour alone, both of the upright face with some of what is around
it. Between two pictures of a clip the grey ones correlate at 0.95 in the middle and at 0.71 or more in 95 of
100; between two people at 0.04 (FairFace) or 0.42 (the much more alike portraits of one room in Caltech-101).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.faces.align import CropSpec

_SPEC = CropSpec("fer2013-mean", margin=0.25, size=24, colour="rgb")

GREY_SIDE, COLOUR_SIDE = 12, 4
"""Sides of the two pictures."""

LENGTH = GREY_SIDE**2 + 2 * COLOUR_SIDE**2
"""How many numbers describe a face."""

_GREY = GREY_SIDE**2
_DARK = 30.0
"""Added to the sum of the three channels, 0 to 765, so that the colour of dark places counts little."""


def describe(image: NDArray[np.uint8], landmarks_xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Describe how the faces of a picture look.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        RGB.
    landmarks_xy : ndarray of shape (n, 5, 2)
        Pixels of the picture.

    Returns
    -------
    ndarray of shape (n, 176), float64
        The grey picture without its mean and of length one, then the shares of red and of green of the
        other.
    """
    import cv2

    crops = _SPEC.cut(image, landmarks_xy)
    looks = np.empty((len(crops), LENGTH))
    for look, crop in zip(looks, crops, strict=True):
        small = cv2.resize(crop, (GREY_SIDE, GREY_SIDE), interpolation=cv2.INTER_AREA)
        look[:_GREY] = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).ravel()
        coarse = cv2.resize(crop, (COLOUR_SIDE, COLOUR_SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
        look[_GREY:] = (coarse[..., :2] / (coarse.sum(axis=2, keepdims=True) + _DARK)).ravel()
    grey = looks[:, :_GREY]
    grey -= grey.mean(axis=1, keepdims=True)
    grey /= np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-9)
    return looks


def correlation(looks: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how alike the grey pictures are, whatever their light, of shape (n, m), -1 to 1.

    Parameters
    ----------
    looks, others : ndarray of shape (n, 176) and (m, 176), float64
        By :func:`describe`, or means of several.
    """
    a, b = looks[:, :_GREY], others[:, :_GREY]
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    similar: NDArray[np.float64] = (a @ b.T) / np.maximum(lengths, 1e-9)
    return similar


def same_person(looks: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much two looks speak for one person rather than for two.

    Parameters
    ----------
    looks, others : ndarray of shape (n, 176) and (m, 176), float64

    Returns
    -------
    ndarray of shape (n, m), float64
        Logarithm of how many times likelier they are among pictures of one person in one film than among
        those of two, -10 to 5. Straight lines laid through what was measured (see docs/tracking.md), cut
        off at both ends, since light and hands can make anyone look different.
    """
    colour = np.abs(looks[:, None, _GREY:] - others[None, :, _GREY:]).mean(axis=2)
    by_grey: NDArray[np.float64] = np.clip(14 * (correlation(looks, others) - 0.7), -6, 3.5)
    by_colour: NDArray[np.float64] = np.clip(200 * (0.010 - colour), -4, 1.5)
    return by_grey + by_colour
