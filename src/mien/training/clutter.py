"""Drawn things that a small detector likes to take for faces: letters, wheels, discs, boxes, medals.

Photographs without faces are few, and a network soon knows them all; of these there is no end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Random = np.random.Generator
Mask = NDArray[np.float32]

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)

CANVAS = 96
"""Side of what is drawn, in pixels; it is scaled afterwards."""


def draw_clutter(random: Random) -> tuple[Mask, Mask]:
    """Draw one thing.

    Parameters
    ----------
    random : numpy.random.Generator

    Returns
    -------
    shade : ndarray of shape (S, S), float32
        Brightness, 0 to 255.
    mask : ndarray of shape (S, S), float32
        Where it covers what is behind it, 0 to 1.
    """
    kinds: tuple[Callable[[Random, NDArray[np.uint8], NDArray[np.uint8]], None], ...] = (
        _letters,
        _disc,
        _wheel,
        _boxes,
        _medal,
    )
    shade = np.full((CANVAS, CANVAS), random.integers(0, 256), np.uint8)
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    kinds[random.integers(len(kinds))](random, shade, mask)
    if random.random() < 0.3:
        mask[6:-6, 6:-6] = 255  # on a sign of its own
    blur = random.uniform(0.3, 2.5)
    soft = cv2.GaussianBlur(mask, (0, 0), blur).astype(np.float32) / np.float32(255)
    return cv2.GaussianBlur(shade, (0, 0), blur).astype(np.float32), soft


def _letters(random: Random, shade: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    text = "".join(chr(random.integers(33, 127)) for _ in range(random.integers(1, 4)))
    font, size = FONTS[random.integers(len(FONTS))], random.uniform(1.0, 3.2)
    weight = int(random.integers(1, 9))
    place = (int(random.integers(0, 40)), int(random.integers(50, 94)))
    cv2.putText(shade, text, place, font, size, _shade(random), weight, cv2.LINE_AA)
    cv2.putText(mask, text, place, font, size, 255, weight + 2, cv2.LINE_AA)


def _disc(random: Random, shade: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    axes = (int(random.integers(22, 44)), int(random.integers(26, 46)))
    middle = (CANVAS // 2, CANVAS // 2)
    cv2.ellipse(shade, middle, axes, 0, 0, 360, _shade(random), -1, cv2.LINE_AA)
    cv2.ellipse(mask, middle, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    tone = _shade(random)
    for _ in range(random.integers(0, 9)):
        spot = (48 + int(random.normal(0, 16)), 48 + int(random.normal(0, 18)))
        size = (int(random.integers(2, 9)), int(random.integers(2, 9)))
        cv2.ellipse(shade, spot, size, float(random.uniform(0, 180)), 0, 360, tone, -1, cv2.LINE_AA)


def _wheel(random: Random, shade: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    outer = int(random.integers(28, 46))
    cv2.circle(mask, (48, 48), outer, 255, -1, cv2.LINE_AA)
    for radius in range(outer, 4, -int(random.integers(5, 15))):
        cv2.circle(shade, (48, 48), radius, _shade(random), -1, cv2.LINE_AA)
    tone, width = _shade(random), int(random.integers(1, 6))
    first, spokes = random.uniform(0, np.pi), int(random.integers(0, 9))
    for angle in first + np.arange(spokes) * 2 * np.pi / max(1, spokes):
        end = (round(48 + outer * 0.8 * np.cos(angle)), round(48 + outer * 0.8 * np.sin(angle)))
        cv2.line(shade, (48, 48), end, tone, width, cv2.LINE_AA)


def _boxes(random: Random, shade: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    mask[14:-14, 20:-20] = 255
    for _ in range(random.integers(2, 12)):
        x, y = (int(v) for v in random.integers(8, 72, 2))
        w, h = (int(v) for v in random.integers(4, 40, 2))
        fill = -1 if random.random() < 0.6 else int(random.integers(1, 4))
        cv2.rectangle(shade, (x, y), (x + w, y + h), _shade(random), fill, cv2.LINE_AA)
        cv2.rectangle(mask, (x, y), (x + w, y + h), 255, fill, cv2.LINE_AA)


def _medal(random: Random, shade: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    """Draw a round thing in relief, lit from one side: a coin, a knob, a helmet; some hang on a ribbon."""
    axes = (int(random.integers(24, 40)), int(random.integers(24, 40)))
    middle = (CANVAS // 2, CANVAS // 2 + int(random.integers(0, 8)))
    if random.random() < 0.5:
        half = int(random.integers(6, 26))
        for image, tone in ((shade, _shade(random)), (mask, 255)):
            cv2.rectangle(image, (middle[0] - half, 0), (middle[0] + half, middle[1]), tone, -1)
    inside = np.zeros_like(mask)
    cv2.ellipse(inside, middle, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    height: NDArray[Any] = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), random.uniform(2, 14))
    for size in random.uniform(1.5, 8, int(random.integers(1, 4))):
        grain = cv2.GaussianBlur(random.normal(0, 1, mask.shape).astype(np.float32), (0, 0), size)
        height = height + grain * np.float32(random.uniform(5, 40) / max(1e-6, float(grain.std())))
    angle, strength = random.uniform(0, 2 * np.pi), random.uniform(2, 14)
    slope = np.cos(angle) * np.gradient(height, axis=1) + np.sin(angle) * np.gradient(height, axis=0)
    lit = np.clip(_shade(random) + strength * slope, 0, 255)
    cover = inside.astype(np.float32) / np.float32(255)
    shade[:] = np.round((1 - cover) * shade + cover * lit).astype(np.uint8)
    np.maximum(mask, inside, out=mask)


def _shade(random: Random) -> int:
    return int(random.integers(0, 256))
