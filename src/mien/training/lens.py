"""What light and a camera do to a composed scene."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def expose(scene: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Darken, light from one side, blur, coarsen, add noise and compress, in the order a camera would.

    Parameters
    ----------
    scene : ndarray of shape (S, S), uint8
        Grey.
    random : Generator
        Decides which of these happen, and how strongly.

    Returns
    -------
    ndarray of shape (S, S), uint8
    """
    size = len(scene)
    picture: NDArray[Any] = scene.astype(np.float32)
    if random.random() < 0.35:
        axis = np.linspace(-1, 1, size, dtype=np.float32)
        angle, slope = random.uniform(0, 2 * np.pi), random.uniform(0, 1.2)
        ramp = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
        picture *= np.exp(slope * (ramp - 0.5))
    if random.random() < 0.4:
        picture = 255 * (picture / 255) ** np.exp(random.uniform(-0.6, 0.6))
    if random.random() < 0.35:
        picture *= np.exp(random.uniform(np.log(0.1), np.log(1.3)))
    if random.random() < 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, 1.8))
    if random.random() < 0.1:
        coarse = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    if random.random() < 0.35:
        strength = random.uniform(1, 9)
        picture += strength * random.standard_normal(picture.shape, dtype=np.float32)
    taken = np.clip(picture, 0, 255).astype(np.uint8)
    return _compress(taken, int(random.integers(25, 80))) if random.random() < 0.2 else taken


def _compress(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Write a picture as JPEG and read it again."""
    _, file = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE), np.uint8)
