"""What light and a camera do to a composed scene."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def expose(scene: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Darken, overexpose, light from one side, blur, coarsen, add noise, compress: in a camera's order.

    Parameters
    ----------
    scene : ndarray of shape (H, W), uint8
        Grey.
    random : Generator
        Decides which of these happen, and how strongly.

    Returns
    -------
    ndarray of shape (H, W), uint8
    """
    height, width = scene.shape
    picture: NDArray[Any] = scene.astype(np.float32)
    if random.random() < 0.35:
        across, down = (np.linspace(-1, 1, side, dtype=np.float32) for side in (width, height))
        angle, slope = random.uniform(0, 2 * np.pi), random.uniform(0, 1.2)
        ramp = np.cos(angle) * across[None, :] + np.sin(angle) * down[:, None]
        picture *= np.exp(slope * (ramp - 0.5))
    if random.random() < 0.4:
        picture = 255 * (picture / 255) ** np.exp(random.uniform(-0.6, 0.6))
    if random.random() < 0.35:
        picture *= np.exp(random.uniform(np.log(0.1), np.log(1.3)))
    if random.random() < 0.05:
        picture = picture * random.uniform(1.2, 2.0) + random.uniform(0, 50)
    if random.random() < 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, 1.8))
    if random.random() < 0.1:
        coarse = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    if random.random() < 0.35:
        strength = random.uniform(1, 9)
        picture += strength * random.standard_normal(picture.shape, dtype=np.float32)
    if random.random() < 0.12:
        picture = take_in_the_dark(picture, random)
    taken = np.clip(picture, 0, 255).astype(np.uint8)
    return _compress(taken, int(random.integers(25, 80))) if random.random() < 0.2 else taken


def take_in_the_dark(picture: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
    """Bring to a mean of 15 to 60 and add the noise of few photons and a constant part.

    Its grain is that of a camera whose picture was enlarged: one to five pixels.

    Parameters
    ----------
    picture : ndarray of shape (H, W)
        Grey, 0 to 255.
    random : Generator

    Returns
    -------
    ndarray of shape (H, W), float32
        Not limited to 0 to 255.
    """
    height, width = picture.shape
    dark = picture * min(
        1.0, float(np.exp(random.uniform(np.log(15), np.log(60)))) / max(1.0, picture.mean())
    )
    dark = np.clip(dark, 0, 255)
    pixels = random.uniform(1, 5)
    cells = [max(1, round(side / pixels)) for side in (height, width)]
    grain: NDArray[Any] = random.standard_normal(cells, dtype=np.float32)
    how = cv2.INTER_NEAREST if random.random() < 0.5 else cv2.INTER_CUBIC
    grain = cv2.resize(grain, (width, height), interpolation=how)
    deviation = np.sqrt(random.uniform(0.3, 1.5) * dark + random.uniform(2, 25))
    noisy: NDArray[Any] = dark + deviation * grain
    return noisy


def _compress(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Write a picture as JPEG and read it again."""
    _, file = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_GRAYSCALE), np.uint8)
