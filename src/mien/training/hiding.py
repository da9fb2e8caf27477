"""Faces half hidden, for training a face detector: masks, dark glasses, something held before the face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.training.material import Grey


def hide_part(
    picture: Grey, points: NDArray[np.float32], backgrounds: Sequence[Grey], random: np.random.Generator
) -> Grey:
    """Hide part of some faces: a mask over mouth and nose, dark glasses, something before the face.

    Parameters
    ----------
    picture : ndarray of shape (S, S), uint8
        Grey.
    points : ndarray of shape (70, 2), float32
        Pixels of the picture.
    backgrounds : sequence of ndarray of shape (H, W), uint8
        What gives the texture of some of what is before the face.
    random : numpy.random.Generator

    Returns
    -------
    ndarray of shape (S, S), uint8
        In seven cases of ten the picture itself.
    """
    kind = random.random()
    if kind > 0.3:
        return picture
    picture = picture.copy()
    unit = float(np.ptp(points[:68, 0])) / 10
    if kind < 0.16:
        top = points[28] + (points[30] - points[28]) * random.uniform(-0.2, 0.9)
        side = 1 + int(random.integers(0, 2))
        polygon = np.concatenate([points[side : 17 - side], top[None]])
        _fill(picture, backgrounds, random, cv2.convexHull(polygon.astype(np.float32)))
    elif kind < 0.21:
        for eye in (points[36:42], points[42:48]):
            centre = tuple(float(v) for v in eye.mean(0))
            axes = (unit * random.uniform(1.6, 2.2), unit * random.uniform(1.1, 1.8))
            ellipse = cv2.ellipse2Poly(
                tuple(map(round, centre)), tuple(max(1, round(a)) for a in axes), 0, 0, 360, 30
            )
            _fill(picture, backgrounds, random, np.asarray(ellipse, np.float32), dark=True)
    else:
        x, y = points[random.integers(68)] + random.normal(0, 1, 2) * unit
        width, height = 2 * (np.abs(random.normal(0, 1, 2)) * unit + unit)
        angle = float(random.uniform(0, 180))
        turned = cv2.boxPoints(((float(x), float(y)), (float(width), float(height)), angle))
        _fill(picture, backgrounds, random, turned)
    return picture


def _fill(
    picture: Grey,
    backgrounds: Sequence[Grey],
    random: np.random.Generator,
    polygon: NDArray[Any],
    *,
    dark: bool = False,
) -> None:
    """Fill a shape with a plain shade, or with the texture of a background."""
    mask = np.zeros(picture.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(polygon).astype(np.int32).reshape(-1, 1, 2)], 255)
    shade = np.full(picture.shape, random.uniform(0, 60 if dark else 255), np.float32)
    if not dark and random.random() < 0.5:
        source = backgrounds[int(random.integers(len(backgrounds)))]
        shade = cv2.resize(source, picture.shape[::-1]).astype(np.float32)
    elif not dark:
        shade += cv2.GaussianBlur(
            random.normal(0, 60, picture.shape).astype(np.float32), (0, 0), len(picture) / 16
        )
    picture[mask > 0] = np.clip(shade, 0, 255)[mask > 0]
