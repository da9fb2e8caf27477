"""Probabilities over time: smoothed for each person, and a displayed emotion that does not flicker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.track import STEPS


@dataclass
class _Person:
    """What is known of one track."""

    probability: NDArray[np.float64]
    time_s: float
    shown: int


class Smoother:
    """A running mean of each person's probabilities that is aware of time, with hysteresis.

    Parameters
    ----------
    time_constant_s : float
        After so many seconds a sudden change has reached 63 % of its size; 0 for no smoothing.
    margin : float
        Another emotion is displayed only when its smoothed probability is higher by this, 0 to 1.
    forget_s : float
        A person who was not seen for so long starts anew. Where frames are far apart,
        :data:`mien.faces.track.STEPS` steps from frame to frame if that is longer.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    """

    def __init__(self, time_constant_s: float = 0.3, *, margin: float = 0.08, forget_s: float = 5.0) -> None:
        if not time_constant_s >= 0:
            raise bad_argument("time_constant_s", allowed="0 or more seconds", given=time_constant_s)
        if not 0 <= margin <= 1:
            raise bad_argument("margin", allowed="a number from 0 to 1", given=margin)
        if not forget_s > 0:
            raise bad_argument("forget_s", allowed="a positive number of seconds", given=forget_s)
        self.time_constant_s = time_constant_s
        self.margin = margin
        self.forget_s = forget_s
        self._people: dict[int, _Person] = {}

    def update(
        self,
        track_id: Sequence[int] | NDArray[np.int64],
        probability: NDArray[np.float32],
        time_s: float,
        *,
        step_s: float = 0.0,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Take the probabilities of one frame.

        Parameters
        ----------
        track_id : sequence of n int
        probability : ndarray of shape (n, k), float32
        time_s : float
            Seconds; not before that of the last call.
        step_s : float
            How far apart frames are, seconds (:attr:`mien.faces.track.Tracker.step_s`).

        Returns
        -------
        smoothed : ndarray of shape (n, k), float32
            Rows that sum to one.
        shown : ndarray of shape (n,), int64
            Which of the k emotions each face displays.
        """
        left_s = max(self.forget_s, STEPS * step_s)
        for track in [t for t, person in self._people.items() if time_s - person.time_s > left_s]:
            del self._people[track]
        smoothed = np.empty(probability.shape, np.float32)
        shown = np.empty(len(probability), np.int64)
        for i, track in enumerate(map(int, track_id)):
            person = self._follow(track, probability[i].astype(np.float64), time_s)
            smoothed[i], shown[i] = person.probability, person.shown
        return smoothed, shown

    def state(self) -> dict[str, Any]:
        """Return all that is remembered, as plain values for JSON."""
        return {
            str(track): [person.probability.tolist(), person.time_s, person.shown]
            for track, person in self._people.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self._people = {
            int(track): _Person(np.array(probability, np.float64), float(time_s), int(shown))
            for track, (probability, time_s, shown) in state.items()
        }

    def _follow(self, track: int, new: NDArray[np.float64], time_s: float) -> _Person:
        person = self._people.get(track)
        if person is None:
            person = self._people[track] = _Person(new, time_s, int(new.argmax()))
            return person
        passed = time_s - person.time_s
        share = 1.0 if self.time_constant_s == 0 else -math.expm1(-passed / self.time_constant_s)
        person.probability = person.probability + share * (new - person.probability)
        person.time_s = time_s
        best = int(person.probability.argmax())
        if person.probability[best] > person.probability[person.shown] + self.margin:
            person.shown = best
        return person
