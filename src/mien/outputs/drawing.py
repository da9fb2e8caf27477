"""What annotated pictures are drawn with: rounded shapes, transparent surfaces and text, on RGB arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
"""RGB, 0 to 255."""


def rounded_outline(low: NDArray[np.int64], high: NDArray[np.int64], radius: float) -> NDArray[np.int32]:
    """Return the corners of a rectangle with round corners, as a polygon of shape (m, 2), int32.

    Parameters
    ----------
    low, high : ndarray of shape (2,), int64
        Its first and its last pixel.
    radius : float
        Of the corners, pixels; at most half its sides.
    """
    import cv2

    r = int(min(radius, *((high - low) / 2)))
    (x0, y0), (x1, y1) = low.tolist(), high.tolist()
    centres = (
        ((x0 + r, y0 + r), 180),
        ((x1 - r, y0 + r), 270),
        ((x1 - r, y1 - r), 0),
        ((x0 + r, y1 - r), 90),
    )
    arcs = [cv2.ellipse2Poly(centre, (r, r), start, 0, 90, 5) for centre, start in centres]
    return np.concatenate(arcs).astype(np.int32)


def rounded_mask(width: int, height: int, radius: float) -> NDArray[np.float32]:
    """Return how much each pixel is covered by a rectangle with round corners, (height, width), 0 to 1."""
    import cv2

    mask = np.zeros((height, width), np.uint8)
    outline = rounded_outline(np.array([0, 0]), np.array([width - 1, height - 1]), radius)
    cv2.fillPoly(mask, [outline], 255, cv2.LINE_AA)
    return np.asarray(mask, np.float32) / np.float32(255)


def blend(area: NDArray[np.uint8], colour: Colour, weight: NDArray[np.float32]) -> None:
    """Lay a colour over part of a picture, in place; weights from 0 (clear) to 1 (covered)."""
    weight = weight[..., None]
    area[:] = (area * (1 - weight) + np.array(colour, np.float32) * weight + 0.5).astype(np.uint8)


def _font() -> Any:
    import cv2

    return cv2.FontFace("sans")  # the variable font that OpenCV 5 carries: no file is needed


def text_width(text: str, size: float, *, bold: bool = False) -> int:
    """Return the width of a text in pixels."""
    import cv2

    x, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), round(size), 600 if bold else 400)
    return int(x + width)


def write_text(
    canvas: NDArray[np.uint8],
    text: str,
    left: float,
    middle: float,
    colour: Colour,
    size: float,
    *,
    bold: bool = False,
) -> None:
    """Write a text in place, from `left`, its small letters centred on the height `middle`."""
    import cv2

    baseline = (round(left), round(middle + size * 0.33))
    cv2.putText(canvas, text, baseline, colour, _font(), round(size), 600 if bold else 400)
