"""The conditions of the robustness suite by name, and a corpus's pictures under one of them. No torch."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument, unknown_name
from mien.faces.align import TEMPLATES, framed_matrices, invert, transform
from mien.faces.detect import Detector
from mien.sources.labelled import Images
from mien.training import covers, disturb
from mien.training.crops import detected_geometry

CONDITIONS: Mapping[str, disturb.Disturbance] = {
    "darker": partial(disturb.darken, gain=0.4),
    "much-darker": partial(disturb.darken, gain=0.12),
    "dark-noisy": disturb.darken_noisily,
    "over-exposed": disturb.overexpose,
    "lit-from-above": disturb.light_from_above,
    "lit-from-side": disturb.light_from_side,
    "turned-15": partial(disturb.turn_in_plane, degrees=15.0),
    "turned-30": partial(disturb.turn_in_plane, degrees=30.0),
    "turned-away-approximate": disturb.turn_away_approximately,
    "blurred": disturb.blur,
    "small-24px": partial(disturb.shrink, side_px=24.0),
    "small-16px": partial(disturb.shrink, side_px=16.0),
    "noisy": disturb.add_noise,
    "jpeg": disturb.compress,
    "mask": covers.cover_with_mask,
    "hand-below": covers.cover_with_hand_below,
    "hand-left": covers.cover_with_hand_left,
    "sunglasses": covers.cover_with_sunglasses,
}
"""What is done to the pictures, by name; the functions say how."""


def choose_conditions(
    conditions: Iterable[str] | Mapping[str, disturb.Disturbance] | None,
) -> Mapping[str, disturb.Disturbance]:
    """Return the conditions of these names, or these functions, or all.

    Raises
    ------
    UnknownNameError
        If a condition is not known.
    """
    if conditions is None:
        return CONDITIONS
    if isinstance(conditions, Mapping):
        return conditions
    if isinstance(conditions, str):
        raise bad_argument("conditions", allowed="a list of names", given=conditions)
    names = list(conditions)
    for name in names:
        if name not in CONDITIONS:
            raise unknown_name("condition", name, CONDITIONS)
    return {name: CONDITIONS[name] for name in names}


def find_landmarks(
    images: Images,
    detector: Detector | None,
    *,
    cache: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Return the five landmarks of every picture; the template's where no face is found.

    Parameters
    ----------
    images : sequence of ndarray
        n pictures of one face.
    detector : Detector or None
    cache, progress
        As for :func:`mien.training.crops.cut_corpus`.

    Returns
    -------
    ndarray of shape (n, 5, 2), float64
    """
    shapes = [images[row].shape[:2] for row in range(len(images))]
    into = invert(framed_matrices(shapes, 0.0, 1))
    points = transform(np.tile(TEMPLATES[disturb.TEMPLATE], (len(images), 1, 1)), into)
    if detector is not None:
        places = detected_geometry(images, detector, cache=cache, progress=progress)
        points[places.found] = places.landmarks_xy[places.found]
    return points


class DisturbedImages(Sequence[NDArray[np.uint8]]):
    """Pictures under one condition, made when indexed.

    Parameters
    ----------
    images : sequence of ndarray
        n pictures of one face.
    landmarks : ndarray of shape (n, 5, 2), float64
        Of each picture's face.
    function : callable
        The condition.
    seed : str
        Decides, with its key, what is random about a picture.
    key : ndarray of shape (n,), int64
        A number for each picture.
    """

    def __init__(
        self,
        images: Images,
        landmarks: NDArray[np.float64],
        function: disturb.Disturbance,
        seed: str,
        key: NDArray[np.int64],
    ) -> None:
        self._images, self._landmarks, self._function = images, landmarks, function
        self._seed, self._key = zlib.crc32(seed.encode()), key

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # one picture at a time; slices are not asked for
        random = np.random.default_rng((self._seed, int(self._key[index])))
        picture, _ = self._function(self._images[index], self._landmarks[index], random)
        return picture
