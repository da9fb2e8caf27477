"""Things that hide half of a face: a mask, a hand, sunglasses. Whole pictures, no torch.

Drawn in the face's own axes (see :class:`mien.training.disturb.FaceFrame`), as bright as the face they
cover. They look like their kind from afar, no more; the hand has no skin's colour.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.training.disturb import FaceFrame, Picture, Points, to_bytes

CLOTH_RGB = (188, 208, 220)
HAND_RGB = (150, 142, 136)
GLASS_RGB = (22, 22, 26)

_ORDINARY_FACE = 120.0
"""Mean value of a face in ordinary light, of 255; the colours above are seen in that light."""

Field = NDArray[np.float32]


def cover_with_mask(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator
) -> tuple[Picture, Points]:
    """Cover nose and mouth with a pleated mask whose straps go to the ears."""
    del random
    face = FaceFrame(picture, landmarks_xy)
    across = np.abs(face.u - 0.5)
    half = np.interp(face.v, (0.47, 0.58, 0.70, 0.85, 1.03), (0.05, 0.34, 0.37, 0.30, 0.12))
    middle = 0.75
    cloth = _inside(face, np.maximum(across - half, np.abs(face.v - middle) - 0.28))
    for strap in (((0.16, 0.60), (-0.05, 0.45)), ((0.18, 0.84), (-0.05, 0.60))):
        for side in (0, 1):
            ends = [np.array((abs(side - x) if x > 0 else side - x * (2 * side - 1), y)) for x, y in strap]
            cloth = np.maximum(cloth, _inside(face, _from_line(face, *ends) - 0.008))
    pleats = 1 - 0.13 * np.exp(-(((((face.v - 0.63) % 0.1) - 0.05) / 0.012) ** 2))
    rounding = 1.05 - 0.9 * across**2
    return _laid_on(picture, face, cloth, CLOTH_RGB, pleats * rounding), landmarks_xy


def cover_with_hand_below(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator
) -> tuple[Picture, Points]:
    """Hold a hand over nose and mouth: four fingers across, from a side drawn at random."""
    rows = np.array([0.60, 0.72, 0.84, 0.95])
    reach = np.array([0.14, 0.06, 0.10, 0.22])
    knuckles = np.stack([np.full(4, 0.92), rows + 0.02], axis=1)
    tips = np.stack([reach, rows], axis=1)
    palm = np.array((1.05, 0.84))
    if random.random() < 0.5:
        knuckles, tips, palm = (points * (-1, 1) + (1, 0) for points in (knuckles, tips, palm))
    return _covered_by_hand(picture, landmarks_xy, random, knuckles, tips, palm)


def cover_with_hand_left(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator
) -> tuple[Picture, Points]:
    """Hold a hand over the subject's left half: four fingers upwards."""
    columns = np.array([0.57, 0.69, 0.81, 0.92])
    reach = np.array([0.20, 0.10, 0.14, 0.28])
    knuckles = np.stack([columns, np.full(4, 0.88)], axis=1)
    tips = np.stack([columns + 0.02, reach], axis=1)
    return _covered_by_hand(picture, landmarks_xy, random, knuckles, tips, np.array((0.76, 1.0)))


def cover_with_sunglasses(
    picture: Picture, landmarks_xy: Points, random: np.random.Generator
) -> tuple[Picture, Points]:
    """Put dark glasses before the eyes, with a bridge and temples."""
    del random
    face = FaceFrame(picture, landmarks_xy)
    right, left = face.landmarks[:2] + (0, 0.015)
    frame = _from_line(face, right, left) - 0.018
    for eye, outward in ((right, -1), (left, 1)):
        across, down = np.abs(face.u - eye[0]) / 0.165, np.abs(face.v - eye[1]) / 0.125
        lens = ((across**3 + down**3) ** (1 / 3) - 1) * 0.14
        temple = _from_line(face, eye + (0.14 * outward, -0.04), eye + (0.34 * outward, -0.05)) - 0.016
        frame = np.minimum(frame, np.minimum(lens, temple))
    shine = 1 + 1.2 * np.clip(1 - (face.v - right[1] + 0.12) / 0.12, 0, 1)  # the sky, in the upper rim
    return _laid_on(picture, face, _inside(face, frame), GLASS_RGB, shine), landmarks_xy


def _covered_by_hand(
    picture: Picture,
    landmarks_xy: Points,
    random: np.random.Generator,
    knuckles: NDArray[np.float64],
    tips: NDArray[np.float64],
    palm: NDArray[np.float64],
) -> tuple[Picture, Points]:
    """Lay fingers, from knuckles (4, 2) to tips (4, 2), and a palm over a face; positions in sides."""
    face = FaceFrame(picture, landmarks_xy)
    radius = 0.064
    away = np.stack([_from_line(face, *ends) for ends in zip(knuckles, tips, strict=True)])
    finger = away.min(axis=0)
    hand = np.hypot(face.u - palm[0], face.v - palm[1]) - 0.27
    round_shade = np.sqrt(np.clip(1 - (finger / (1.15 * radius)) ** 2, 0.2, 1))
    shade = np.where(hand < 0, np.maximum(round_shade, 0.85), round_shade)
    for wave in random.uniform(-14, 14, (6, 2)):  # folds and spots
        shade = shade + 0.035 * np.cos(wave[0] * face.u + wave[1] * face.v + random.uniform(0, 2 * np.pi))
    cover = _inside(face, np.minimum(finger - radius, hand))
    return _laid_on(picture, face, cover, HAND_RGB, shade), landmarks_xy


def _from_line(face: FaceFrame, start: NDArray[np.float64], end: NDArray[np.float64]) -> Field:
    """Return how far every pixel is from a stretch of a line, in sides."""
    along = end - start
    place = (face.u - start[0]) * along[0] + (face.v - start[1]) * along[1]
    place = np.clip(place / (along @ along), 0, 1)
    away = np.hypot(face.u - start[0] - place * along[0], face.v - start[1] - place * along[1])
    return np.asarray(away, np.float32)


def _inside(face: FaceFrame, outside: NDArray[Any]) -> Field:
    """Turn distances from an outline, in sides, negative inside, into how much of a pixel is covered."""
    covered: Field = np.clip(0.5 - outside * face.side, 0, 1).astype(np.float32)
    return covered


def _laid_on(
    picture: Picture, face: FaceFrame, cover: Field, colour: tuple[int, int, int], shade: NDArray[Any]
) -> Picture:
    """Lay a colour with its shading over a picture, in the light that falls on the face."""
    inner = (np.abs(face.u - 0.5) < 0.35) & (np.abs(face.v - 0.55) < 0.35)
    seen = float(picture[inner].mean()) if inner.any() else _ORDINARY_FACE
    light = np.clip(seen / _ORDINARY_FACE, 0.1, 1.1) * shade
    if picture.ndim == 2:
        grey = float(np.dot(colour, (0.299, 0.587, 0.114)))
        return to_bytes(picture * (1 - cover) + grey * light * cover)
    tone = np.array(colour, np.float32) * light[..., None]
    return to_bytes(picture * (1 - cover[..., None]) + tone * cover[..., None])
