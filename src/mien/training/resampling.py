"""Means of several measures in several groups: drawn again for intervals, and shuffled for a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_ROUNDING = 1e-9
"""Distances that differ by less are the same, summed in another order."""

_AT_ONCE = 2_000_000
"""Random numbers in memory at a time."""


@dataclass(frozen=True)
class Sums:
    """What u units add up to: each a picture, or all pictures of one person in one set of groups.

    Parameters
    ----------
    top : ndarray of shape (u, m), float64
        Sum of each measure.
    bottom : ndarray of shape (u, m), float64
        Number of pictures that each sum is of.
    """

    top: Float
    bottom: Float

    def of_groups(self, member: Float) -> Sums:
        """Add up by groups, given (..., g, u) how often each unit is in each."""
        return Sums(member @ self.top, member @ self.bottom)

    @property
    def mean(self) -> Float:
        """Mean of each measure; NaN where it is of nothing."""
        mean: Float = np.where(self.bottom > 0, self.top / np.maximum(self.bottom, 1e-300), np.nan)
        return mean


def membership(code: Int, groups: int) -> Float:
    """Return which units are in which group, (g, u), 0 and 1, of the group of each unit, (u,)."""
    return np.asarray(np.arange(groups)[:, None] == code, np.float64)


def draw_units(sums: Sums, code: Int, groups: int, *, draws: int, random: np.random.Generator) -> Sums:
    """Draw the units of each group with replacement, as many as there are (Efron 1979).

    Parameters
    ----------
    sums : Sums
        Of u units.
    code : ndarray of shape (u,), int64
        The group of each, from 0 to `groups` - 1.
    groups, draws : int
    random : Generator

    Returns
    -------
    Sums
        Of shape (draws, groups, m).
    """
    m = sums.top.shape[1]
    top, bottom = np.zeros((draws, groups, m)), np.zeros((draws, groups, m))
    for g in range(groups):
        rows = np.flatnonzero(code == g)
        if not len(rows):
            continue
        step = max(1, _AT_ONCE // len(rows))
        for start in range(0, draws, step):
            part = slice(start, min(start + step, draws))
            times = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), part.stop - start)
            top[part, g], bottom[part, g] = times @ sums.top[rows], times @ sums.bottom[rows]
    return Sums(top, bottom)


def distances(sums: Sums, spread: Float) -> Float:
    """Return how far groups are apart, in standard errors that one common spread would give.

    Parameters
    ----------
    sums : Sums
        Of g groups, (g, m).
    spread : ndarray of shape (m,), float64
        Standard deviation of each measure over all pictures.

    Returns
    -------
    ndarray of shape (p, m), float64
        For each pair of groups, in the order of :func:`pairs`; 0 where a measure does not vary or a group
        has nothing of it.
    """
    first, second = pairs(sums.top.shape[0])
    mean, bottom = sums.mean, np.maximum(sums.bottom, 1e-300)
    error = spread * np.sqrt(1 / bottom[first] + 1 / bottom[second])
    apart = np.abs(mean[first] - mean[second]) / np.where(error > 0, error, 1)
    distance: Float = np.where((error > 0) & np.isfinite(apart), apart, 0.0)
    return distance


def pairs(groups: int) -> tuple[Int, Int]:
    """Return the first and the second group of every pair."""
    both = np.array(list(combinations(range(groups), 2)), np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def shuffled_maxima(
    sums: Sums, members: list[Float], spread: Float, *, shuffles: int, random: np.random.Generator
) -> Float:
    """Return the largest distance of any pair of groups, each time the units are shuffled over the groups.

    All columns are shuffled alike, so that what belongs together in them stays together.

    Parameters
    ----------
    sums : Sums
        Of u units.
    members : list of ndarray of shape (g, u), float64
        For each of c columns, which units are in which group that is compared; two groups or more.
    spread : ndarray of shape (m,), float64
    shuffles : int
    random : Generator

    Returns
    -------
    ndarray of shape (shuffles, c, m), float64
    """
    largest = np.zeros((shuffles, len(members), len(spread)))
    for i, order in enumerate(_orders(len(sums.top), shuffles, random)):
        mixed = Sums(sums.top[order], sums.bottom[order])
        for c, member in enumerate(members):
            largest[i, c] = distances(mixed.of_groups(member), spread).max(axis=0)
    return largest


def corrected_p(apart: list[Float], maxima: Float) -> list[Float]:
    """Return how often shuffled groups are as far apart as these anywhere, each measure by its own standard.

    The distance of a pair is first compared with the largest of its column and measure in each shuffle, so
    that it is corrected for the pairs; how rare that is, is then compared with the rarest of all columns and
    measures in each shuffle: the single-step procedure of Westfall and Young (1993, Resampling-Based
    Multiple Testing, section 2.3). A measure in which outliers are common does not hide the others. What was
    observed counts as one more shuffle.

    Parameters
    ----------
    apart : list of ndarray of shape (p, m), float64
        For each of c columns, the distances of its pairs; one pair or more.
    maxima : ndarray of shape (s, c, m), float64
        See :func:`shuffled_maxima`.

    Returns
    -------
    list of ndarray of shape (p, m), float64
        Over 0, up to 1.
    """
    shuffles = len(maxima)
    observed = np.array([one.max(axis=0) for one in apart]).reshape(maxima.shape[1:])
    every = np.sort(np.concatenate([maxima, observed[None]]), axis=0)
    rarest = np.full(shuffles, shuffles + 1)
    for place in np.ndindex(observed.shape):
        rarest = np.minimum(rarest, _as_large(every[:, *place], maxima[:, *place]))
    rarest.sort()
    corrected = []
    for c, one in enumerate(apart):
        p = np.empty_like(one)
        for j in range(one.shape[1]):
            # The observed largest stands in `every` for whichever pair is asked about, once.
            larger = _as_large(np.sort(maxima[:, c, j]), one[:, j])
            p[:, j] = (1 + np.searchsorted(rarest, 1 + larger, side="right")) / (1 + shuffles)
        corrected.append(p)
    return corrected


def _as_large(ordered: Float, values: Float) -> Int:
    """Return how many of some numbers, in rising order, are at least as large as each value."""
    return np.asarray(len(ordered) - np.searchsorted(ordered, values - _ROUNDING), np.int64)


def _orders(n: int, times: int, random: np.random.Generator) -> Iterator[Int]:
    for _ in range(times):
        yield random.permutation(n)
