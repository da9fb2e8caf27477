"""What a person's face shows at rest, learned in the first seconds, and probabilities relative to it.

Some faces look a little angry or sad when they show nothing; a story should not answer to that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.readings import Readings

MOST_REST = 0.6
"""Most of any emotion but neutral that counts as rest: who laughs at first can still show more."""

LONGEST_STEP_S = 1.0
"""A frame stands for the time since the last one, but for no more than this: gaps are not learned from."""

NEUTRAL = "neutral"


@dataclass
class _Person:
    """What is known of one track; its samples are dropped once its rest is learned."""

    seen_s: float
    learned_s: float = 0.0
    values: list[NDArray[np.float64]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    rest: NDArray[np.float64] | None = None


class Baseline:
    """Probabilities relative to each person's own rest.

    The rest of a person is the median, over the time they were seen, of each emotion's probability in
    their first seconds. An emotion p with rest r becomes ``max(0, p - r) / (1 - r)``: 0 at rest, 1 at
    most; neutral is what the others leave. Rows still sum to one.

    Parameters
    ----------
    seconds : float
        How long each person is watched first; 0 leaves probabilities as they are.
    forget_s : float
        A track that was not seen for so long is forgotten.

    Raises
    ------
    ArgumentError
        If a value is out of its range.
    """

    def __init__(self, seconds: float = 5.0, *, forget_s: float = 60.0) -> None:
        if not 0 <= seconds <= 600:
            raise bad_argument("baseline_s", allowed="0 to 600 seconds", given=seconds)
        if not forget_s > 0:
            raise bad_argument("forget_s", allowed="a positive number of seconds", given=forget_s)
        self.seconds = seconds
        self.forget_s = forget_s
        self._people: dict[int, _Person] = {}

    def update(self, readings: Readings) -> NDArray[np.float32]:
        """Take the readings of one frame.

        Parameters
        ----------
        readings : Readings
            With tracks and a time, not before that of the last.

        Returns
        -------
        ndarray of shape (n, k), float32
            Rows that sum to one, or of NaN for a person whose rest is not known yet.

        Raises
        ------
        ArgumentError
            If the readings have no time.
        """
        if readings.time_s is None:
            raise bad_argument("readings", allowed="of moving pictures, with a time", given="a still picture")
        if self.seconds == 0:
            return readings.probability.copy()
        now = readings.time_s
        for track in [t for t, one in self._people.items() if now - one.seen_s > self.forget_s]:
            del self._people[track]
        neutral = readings.labels.names.index(NEUTRAL) if NEUTRAL in readings.labels else None
        relative = np.full(readings.probability.shape, np.nan, np.float32)
        for i, track in enumerate(readings.faces.track_id.tolist()):
            person = self._people.setdefault(track, _Person(now))
            value = readings.probability[i].astype(np.float64)
            if person.rest is None:
                self._learn(person, value, now, neutral)
            if person.rest is not None:
                relative[i] = relative_to(value, person.rest, neutral)
            person.seen_s = now
        return relative

    def rest(self, track: int) -> NDArray[np.float64] | None:
        """Return what a person shows at rest, shape (k,), or None while it is not known."""
        person = self._people.get(track)
        return None if person is None else person.rest

    def _learn(self, person: _Person, value: NDArray[np.float64], now: float, neutral: int | None) -> None:
        step = min(max(now - person.seen_s, 0.0), LONGEST_STEP_S)
        person.learned_s += step
        person.values.append(value)
        person.weights.append(step)
        if person.learned_s >= self.seconds - 1e-9:
            rest = _weighted_median(np.array(person.values), np.array(person.weights))
            capped = np.minimum(rest, MOST_REST)
            if neutral is not None:
                capped[neutral] = rest[neutral]
            person.rest = capped
            person.values, person.weights = [], []


def relative_to(
    value: NDArray[np.float64], rest: NDArray[np.float64], neutral: int | None
) -> NDArray[np.float64]:
    """Return probabilities as what they are above a rest; see :class:`Baseline`.

    Parameters
    ----------
    value, rest : ndarray of shape (k,)
        Each from 0 to 1.
    neutral : int, optional
        Which of them takes what the others leave; without it the others are scaled to sum to one where
        any is above its rest, and are even where none is.

    Returns
    -------
    ndarray of shape (k,), float64
        Sums to one.
    """
    above: NDArray[np.float64] = np.maximum(value - rest, 0) / np.maximum(1 - rest, 1e-9)
    if neutral is None:
        total = above.sum()
        return above / total if total > 0 else np.full_like(above, 1 / len(above))
    above[neutral] = 0
    above /= max(above.sum(), 1)
    above[neutral] = 1 - above.sum()
    return above


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each column of (m, k) values, the one in the middle of the weight."""
    order = values.argsort(axis=0, kind="stable")
    passed = weights[order].cumsum(axis=0)
    middle = (passed >= passed[-1] / 2).argmax(axis=0)
    columns = np.arange(values.shape[1])
    median: NDArray[np.float64] = values[order[middle, columns], columns]
    return median
