"""Crops of moving pictures with less noise: what keeps still is averaged over time before a model looks.

In little light it is the camera's noise, more than the darkness, that hides an expression, and that lets the
landmarks tremble by which faces are cut. A network's answer to the mean of several noisy crops is better than
the mean of its answers to each. This is the temporal noise reduction of cameras and films, recursive and
adaptive to motion (Dubois and Sabri 1984, IEEE Transactions on Communications 32), of faces that are aligned
by landmarks with less tremble, and only where there is noise to be reduced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.models.windows import as_text, from_text

Crops = NDArray[np.uint8]
Plane = NDArray[np.float32]

NOISE = ((1, 0.07, 0.12), (2, 0.24, 0.34))
"""Of noise with a grain of so many pixels of a crop: its size, as a share of the crop's contrast, from which
on and up to which more and more is remembered. 98 of 100 faces of FER2013 and press photographs have less."""

LANDMARKS_S = 0.1
"""After so many seconds where a landmark was counts for 37 % of what it did; heads move, noise or not."""

FAR = 0.35
"""Landmarks farther from where they were than this, in distances between the eyes, are taken as they are."""

SIDE = 5
"""Side of the squares of pixels over which noise and motion are told apart."""

STILL = 2.0
"""A square that differs from what is remembered by so many deviations of the noise is half forgotten."""

FASTEST = 1.25
"""Noise changes from crop to crop by no more than this factor: what seems to change more is the face."""

GONE = 3.0
"""Time constants after which whoever was not seen is forgotten: little would count then."""

ENOUGH = 44
"""Rows and columns of a crop that tell its noise; of larger ones some are left out."""

NORMAL = 0.6745
"""Median of the size of what is normally distributed, in standard deviations."""


@dataclass
class _Person:
    """What is remembered of one track."""

    landmarks_xy: NDArray[np.float64]
    mean: Plane
    count: Plane  # of how many crops each pixel of the mean is
    noise: float  # standard deviation of one crop's squares; 0 before there were two
    time_s: float


class Denoiser:
    """A running mean of each person's crops, of those pixels that keep still, while there is noise.

    Parameters
    ----------
    time_constant_s : float
        After so many seconds a crop counts for 37 % of what it did; 0 to remember none.

    Raises
    ------
    ArgumentError
        If it is negative.
    """

    def __init__(self, time_constant_s: float = 0.3) -> None:
        if not time_constant_s >= 0:
            raise bad_argument("time_constant_s", allowed="0 or more seconds", given=time_constant_s)
        self.time_constant_s = time_constant_s
        self._people: dict[int, _Person] = {}

    def update(
        self,
        track_id: Sequence[int] | NDArray[np.int64],
        crops: Crops,
        landmarks_xy: NDArray[np.float32],
        time_s: float,
        *,
        cut: Callable[[NDArray[np.float32]], Crops],
    ) -> tuple[Crops, NDArray[np.bool_]]:
        """Take the crops of one frame.

        Parameters
        ----------
        track_id : sequence of n int
        crops : ndarray of shape (n, S, S) or (n, S, S, 3), uint8
        landmarks_xy : ndarray of shape (n, 5, 2), float32
            By which they were cut; pixels of the frame.
        time_s : float
            Seconds; not before that of the last call.
        cut : callable
            Cuts m faces of the frame by other landmarks (m, 5, 2).

        Returns
        -------
        crops : ndarray of the same shape, uint8
            With less noise, where there was much.
        changed : ndarray of shape (n,), bool
            Which of them are not as they were given.
        """
        denoised, changed = crops.copy(), np.zeros(len(crops), bool)
        if self.time_constant_s == 0:
            return denoised, changed
        before, forget_s = self._people, GONE * self.time_constant_s
        tracks, strengths = [int(track) for track in track_id], [_strength(crop) for crop in crops]
        self._people = {
            track: person
            for track, person in before.items()
            if track not in tracks and time_s - person.time_s <= forget_s
        }
        for i, (track, strength) in enumerate(zip(tracks, strengths, strict=True)):
            if strength > 0 and track not in before:
                self._people[track] = _first(landmarks_xy[i], crops[i], time_s)
            changed[i] = strength > 0 and track in before
        known = np.flatnonzero(changed).tolist()
        if not known:
            return denoised, changed
        steady = [_steadied(before[tracks[i]], landmarks_xy[i], time_s) for i in known]
        for i, landmarks, crop in zip(known, steady, cut(np.array(steady, np.float32)), strict=True):
            person = self._follow(before[tracks[i]], landmarks, crop, time_s, strengths[i])
            self._people[tracks[i]] = person
            denoised[i] = np.round(person.mean)
        return denoised, changed

    def state(self) -> dict[str, Any]:
        """Return all that is remembered, as plain values for JSON."""
        return {
            str(track): {
                "time_s": one.time_s,
                "noise": one.noise,
                "landmarks_xy": one.landmarks_xy.tolist(),
                "shape": list(one.mean.shape),
                "mean": as_text(one.mean),
                "count": as_text(one.count),
            }
            for track, one in self._people.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._people = {
            int(track): _Person(
                landmarks_xy=np.array(one["landmarks_xy"], np.float64),
                mean=from_text(one["mean"], one["shape"], np.float32),
                count=from_text(one["count"], one["shape"][:2], np.float32),
                noise=float(one["noise"]),
                time_s=float(one["time_s"]),
            )
            for track, one in state.items()
        }

    def _follow(
        self, person: _Person, landmarks_xy: NDArray[np.float64], crop: Crops, time_s: float, strength: float
    ) -> _Person:
        squares = _squares(_light(crop) - _light(person.mean))
        noise = _noise_between(squares, person)
        left = strength * math.exp((person.time_s - time_s) / self.time_constant_s)
        count = left * person.count * _still(squares, noise, person.count)
        share = 1 / (1 + count)
        share = share if crop.ndim == 2 else share[..., None]
        mean = person.mean + share * (crop - person.mean)
        return _Person(landmarks_xy, mean, np.float32(1) + count.astype(np.float32), noise, time_s)


def _first(landmarks_xy: NDArray[np.float32], crop: Crops, time_s: float) -> _Person:
    alone = np.ones(crop.shape[:2], np.float32)
    return _Person(landmarks_xy.astype(np.float64), crop.astype(np.float32), alone, 0.0, time_s)


def _steadied(person: _Person, landmarks_xy: NDArray[np.float32], time_s: float) -> NDArray[np.float64]:
    """Return where the landmarks (5, 2) probably are, if the head did not move far since."""
    moved = landmarks_xy - person.landmarks_xy
    right_eye, left_eye = landmarks_xy[:2]
    if np.hypot(*moved.T).mean() > FAR * np.hypot(*(left_eye - right_eye)):
        return landmarks_xy.astype(np.float64)
    return person.landmarks_xy - math.expm1((person.time_s - time_s) / LANDMARKS_S) * moved


def noise_of(crop: Crops, grain: int = 1) -> float:
    """Return the noise of a crop as a share of its contrast.

    From second differences in both directions, which faces have few of (Immerkaer 1996, Computer Vision and
    Image Understanding 64), by their median, as edges are few.

    Parameters
    ----------
    crop : ndarray of shape (S, S) or (S, S, 3), uint8
    grain : int
        Size of the noise in pixels: over how many differences are taken.

    Returns
    -------
    float
        From 0; 0 for crops of fewer than 2 `grain` + 1 pixels.
    """
    x = _light(crop).astype(np.float32)
    some = max(1, len(x) // ENOUGH)
    rows = x[: -2 * grain : some] - 2 * x[grain:-grain:some] + x[2 * grain :: some]
    both = rows[:, : -2 * grain : some] - 2 * rows[:, grain:-grain:some] + rows[:, 2 * grain :: some]
    if both.size == 0:
        return 0.0
    noise = _median(np.abs(both)) / (NORMAL * 6)  # 6: the root of the kernel's sum of squares
    return noise / math.sqrt(max(float(x[::some, ::some].var()) - noise**2, 1.0))


def _strength(crop: Crops) -> float:
    """Return how far what was before is to be remembered, 0 to 1."""
    shares = [(noise_of(crop, grain) - least) / (much - least) for grain, least, much in NOISE]
    return min(max(*shares, 0.0), 1.0)


def _squares(difference: Plane) -> Plane:
    """Return the mean over the square around each pixel."""
    sums = np.pad(difference, SIDE // 2, mode="edge").astype(np.float64)
    for axis in (0, 1):
        run = np.insert(np.cumsum(sums, axis=axis), 0, 0.0, axis=axis)
        count = run.shape[axis] - SIDE
        sums = run.take(range(SIDE, SIDE + count), axis) - run.take(range(count), axis)
    return (sums / SIDE**2).astype(np.float32)


def _noise_between(squares: Plane, person: _Person) -> float:
    """Return the noise of a crop's squares, by how they differ from the mean; near that before it."""
    spread = _median(np.abs(squares - _median(squares))) / NORMAL
    noise = max(spread / math.sqrt(1 + 1 / float(person.count.mean())), 0.1)
    return min(max(noise, person.noise / FASTEST), person.noise * FASTEST) if person.noise else noise


def _still(squares: Plane, noise: float, count: Plane) -> Plane:
    """Return for each pixel, 0 to 1, how surely its square differs from a mean of so many crops by noise."""
    excess = squares**2 / (noise**2 * (1 + 1 / count))
    return (1 / (1 + (excess / STILL**2) ** 2)).astype(np.float32)


def _light(picture: NDArray[Any]) -> NDArray[Any]:
    """Return a grey picture, or the green of one in colours, which is most of its light."""
    return picture if picture.ndim == 2 else picture[..., 1]


def _median(values: NDArray[Any]) -> float:
    """Return the upper median; in a third of the time that NumPy takes for the exact one."""
    return float(np.partition(values.ravel(), values.size // 2)[values.size // 2])
