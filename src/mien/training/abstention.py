"""What is gained where a model may say that it is unsure: accuracy against the share of pictures answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import bad_argument
from mien.training.metrics import wilson_interval

SHARES = (1.0, 0.9, 0.8, 0.7, 0.5)
"""Shares of the pictures answered at which the accuracy is reported."""

THRESHOLDS = (0.5, 0.7, 0.9)
"""Values of ``unsure`` at which it is reported, where none are asked for."""

POINTS = 200
"""Points of a curve, at most."""

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Answered:
    """The surest answers.

    Parameters
    ----------
    share : float
        Part of all pictures that is answered, 0 to 1.
    n : int
        How many these are.
    accuracy, low, high : float
        Share of them that are right, with its 95 % interval (Wilson 1927); NaN where none is answered.
    confidence : float
        What is answered is at least so sure: the probability of the least sure answer, or the threshold.
        0 where a picture without a face would have to be answered.
    """

    share: float
    n: int
    accuracy: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, eq=False)
class Abstention:
    """How accuracy rises as the least sure answers are left out.

    Parameters
    ----------
    n : int
        Pictures. One in which no face was found is answered last, and wrong.
    share, accuracy, confidence : ndarray of shape (b,), float64
        The curve, from few answers to all: part of the pictures answered, part of these that are right,
        and probability of the least sure of them.
    area, area_low, area_high : float
        Area under the risk-coverage curve: the share of wrong answers, averaged over all shares answered
        (Geifman and El-Yaniv 2017, arXiv 1705.08500), with its 95 % interval (bootstrap). Lower is better;
        an order by chance gives the share of wrong answers among all.
    area_best : float
        What it would be if every wrong answer were less sure than every right one.
    at_share, at_threshold : tuple of Answered
        At :data:`SHARES`, and where every answer below a threshold is "unsure".
    """

    n: int
    share: Float
    accuracy: Float
    confidence: Float
    area: float
    area_low: float
    area_high: float
    area_best: float
    at_share: tuple[Answered, ...]
    at_threshold: tuple[Answered, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain numbers, lists and dicts, for JSON; None for NaN."""
        curve = {name: getattr(self, name).tolist() for name in ("share", "accuracy", "confidence")}
        points = {name: [_plain(one) for one in getattr(self, name)] for name in ("at_share", "at_threshold")}
        return {**vars(self), **curve, **points}


def abstain(
    probability: ArrayLike,
    label: ArrayLike,
    found: ArrayLike | None = None,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    draws: int = 200,
    seed: int = 0,
) -> Abstention:
    """Order answers by how sure they are, and see what leaving out the least sure ones gains.

    Equally sure answers are taken in any order: what is reported is the mean over all of these.

    Parameters
    ----------
    probability : array_like of shape (n, k)
        Rows that sum to one.
    label : array_like of shape (n,), int
        The right column.
    found : array_like of shape (n,), bool, optional
        Where there is an answer; by default everywhere. The others are answered last, and wrong; of a
        threshold they are below.
    thresholds : sequence of float
        As ``unsure`` of :class:`mien.Analyzer`, 0 to 1.
    draws, seed : int
        How often pictures are drawn with replacement for the interval (Efron 1979, percentile method).

    Raises
    ------
    ArgumentError
        If there is no picture, or a threshold is out of its range.
    """
    p, y = np.asarray(probability), np.asarray(label, np.int64)
    if p.ndim != 2 or y.shape != p.shape[:1] or not len(y):
        raise bad_argument("probability", allowed=f"of shape ({len(y)}, k), one row or more", given=p.shape)
    wrong = [value for value in thresholds if not 0 <= value <= 1]
    if wrong:
        raise bad_argument("thresholds", allowed="numbers from 0 to 1", given=wrong[0])
    there = np.ones(len(y), bool) if found is None else np.asarray(found, bool)
    sure = np.where(there, p.max(axis=1), p.dtype.type(-1))
    order = np.argsort(-sure, kind="stable")
    sure, right = sure[order], ((p.argmax(axis=1) == y) & there)[order].astype(np.float64)
    group = np.cumsum(np.concatenate([[0], sure[1:] != sure[:-1]])).astype(np.int64)
    rising = _rising(right, group)
    n, hits = len(y), int(right.sum())
    low, high = _area_interval(right, group, draws, seed)
    steps = np.unique(np.linspace(1, n, min(n, POINTS)).round().astype(np.int64))
    return Abstention(
        n=n,
        share=steps / n,
        accuracy=rising[steps - 1],
        confidence=np.maximum(sure, 0)[steps - 1].astype(np.float64),
        area=float(1 - rising.mean()),
        area_low=low,
        area_high=high,
        area_best=float(np.mean(np.maximum(np.arange(1, n + 1) - hits, 0) / np.arange(1, n + 1))),
        at_share=tuple(_surest(rising, sure, max(1, round(share * n))) for share in SHARES),
        at_threshold=tuple(_above(rising, sure, value) for value in thresholds),
    )


def _rising(right: Float, group: NDArray[np.int64]) -> Float:
    """Return the accuracy of the first 1, 2 ... n answers, equally sure ones in the mean of all orders."""
    rate = np.bincount(group, weights=right) / np.maximum(np.bincount(group), 1)
    return np.asarray(np.cumsum(rate[group]) / np.arange(1, len(right) + 1))


def _area_interval(right: Float, group: NDArray[np.int64], draws: int, seed: int) -> tuple[float, float]:
    random, n = np.random.default_rng(seed), len(right)
    drawn = (np.sort(random.integers(0, n, n)) for _ in range(draws))
    areas = [1 - _rising(right[rows], group[rows]).mean() for rows in drawn]
    low, high = np.percentile(areas, (2.5, 97.5))
    return float(low), float(high)


def _surest(rising: Float, sure: NDArray[np.floating], k: int) -> Answered:
    return _answered(rising, k, float(max(sure[k - 1], 0)))


def _above(rising: Float, sure: NDArray[np.floating], threshold: float) -> Answered:
    """Return what is answered where an answer below the threshold is none, as in :class:`mien.Readings`."""
    return _answered(rising, int((sure >= threshold).sum()), threshold)


def _answered(rising: Float, k: int, confidence: float) -> Answered:
    if k == 0:
        return Answered(0.0, 0, *(float("nan"),) * 3, confidence=confidence)
    low, high = wilson_interval(min(k, round(float(rising[k - 1]) * k)), k)
    return Answered(k / len(rising), k, float(rising[k - 1]), low, high, confidence)


def _plain(one: Answered) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in asdict(one).items()}
