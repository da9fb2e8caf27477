"""Numbers that say how good probabilities are: intervals, calibration, confusion. Functions over arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import bad_argument

Z_95 = 1.959963984540054
"""Quantile of the normal distribution that leaves 2.5 % above it."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often a model is right at each confidence: parallel arrays over b bins from 0 to 1.

    Parameters
    ----------
    confidence : ndarray of shape (b,), float64
        Mean probability of the best emotion; 0 in an empty bin.
    accuracy : ndarray of shape (b,), float64
        Share of right answers; 0 in an empty bin.
    count : ndarray of shape (b,), int64
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015): mean distance of the two, by the count."""
        if not self.count.sum():
            return 0.0
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.count))


def wilson_interval(k: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """Return the interval of a share (Wilson 1927, score interval).

    Parameters
    ----------
    k, n : int
        k of n.
    z : float
        Quantile of the normal distribution; by default that of a 95 % interval.

    Returns
    -------
    low, high : float
        From 0 to 1; all of it where n is 0.
    """
    if not 0 <= k <= n:
        raise bad_argument("k", allowed=f"from 0 to n ({n})", given=k)
    if n == 0:
        return 0.0, 1.0
    share, z2 = k / n, z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)


def difference_interval(k: int, n: int, other_k: int, other_n: int, z: float = Z_95) -> tuple[float, float]:
    """Return the interval of a difference of two shares that are counted apart.

    Newcombe (1998), Statistics in Medicine 17:873, method 10: it holds also where a share is 0 or 1.

    Parameters
    ----------
    k, n, other_k, other_n : int
        k of n, less other_k of other_n; both n over 0.
    z : float
        Quantile of the normal distribution; by default that of a 95 % interval.

    Returns
    -------
    low, high : float
        From -1 to 1.
    """
    share, other = k / n, other_k / other_n
    low, high = wilson_interval(k, n, z)
    other_low, other_high = wilson_interval(other_k, other_n, z)
    down, up = np.hypot(share - low, other_high - other), np.hypot(high - share, other - other_low)
    return float(share - other - down), float(share - other + up)


def reliability(probability: ArrayLike, label: ArrayLike, bins: int = 15) -> Reliability:
    """Compare confidence with accuracy, in bins of equal width.

    Parameters
    ----------
    probability : array_like of shape (n, k)
        Rows that sum to one.
    label : array_like of shape (n,), int
        The right column.
    bins : int
    """
    if bins < 1:
        raise bad_argument("bins", allowed="a whole number from 1", given=bins)
    p, y = _paired(probability, label)
    best = p.max(axis=1, initial=0.0)
    place = np.clip(
        np.ceil(best * bins).astype(np.int64) - 1, 0, bins - 1
    )  # bins are open below, closed above
    count = np.bincount(place, minlength=bins)
    some = np.maximum(count, 1)
    right = p.argmax(axis=1) == y if len(p) else np.zeros(0, bool)
    return Reliability(
        confidence=np.bincount(place, weights=best, minlength=bins) / some,
        accuracy=np.bincount(place, weights=right, minlength=bins) / some,
        count=count,
    )


def expected_calibration_error(probability: ArrayLike, label: ArrayLike, bins: int = 15) -> float:
    """Return the mean distance between confidence and accuracy; see :func:`reliability`."""
    return reliability(probability, label, bins).error


def calibration_interval(
    probability: ArrayLike, label: ArrayLike, *, draws: int = 200, seed: int = 0
) -> tuple[float, float]:
    """Return a 95 % interval of the expected calibration error, by drawing pictures with replacement.

    Parameters
    ----------
    probability : array_like of shape (n, k)
    label : array_like of shape (n,)
    draws : int
        How often (Efron 1979, percentile method). Drawing adds noise, which lifts every error: the mean lift
        is taken off again, else the interval may lie wholly above the error.
    seed : int

    Returns
    -------
    low, high : float
        Both NaN for no pictures.
    """
    probabilities, labels = _paired(probability, label)
    if not len(labels):
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    rows = (random.integers(0, len(labels), len(labels)) for _ in range(draws))
    errors = np.array([expected_calibration_error(probabilities[row], labels[row]) for row in rows])
    lift = errors.mean() - expected_calibration_error(probabilities, labels)
    low, high = np.percentile(errors, (2.5, 97.5)) - lift
    return max(0.0, float(low)), float(high)


def confusion_matrix(label: ArrayLike, answer: ArrayLike, k: int) -> NDArray[np.int64]:
    """Count pictures by label (row) and answer (column).

    Parameters
    ----------
    label, answer : array_like of shape (n,), int
        From 0 to k - 1.
    k : int

    Returns
    -------
    ndarray of shape (k, k), int64
    """
    cells = np.asarray(label, np.int64) * k + np.asarray(answer, np.int64)
    return np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.int64)


def recalls(confusion: NDArray[np.int64], missed: ArrayLike = 0) -> NDArray[np.float64]:
    """Return the share found of each class; not a number where the class does not occur.

    Parameters
    ----------
    confusion : ndarray of shape (k, k), int64
    missed : array_like of shape (k,), optional
        Pictures of each class without an answer.
    """
    total = confusion.sum(axis=1) + np.asarray(missed)
    return np.where(total > 0, np.diag(confusion) / np.maximum(total, 1), np.nan)


def mean_recall_interval(
    right: ArrayLike, total: ArrayLike, *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return a 95 % interval of the mean of several shares, each class weighing the same.

    Parameters
    ----------
    right, total : array_like of shape (c,), int
        Of each class, right of total; total over 0.
    draws : int
        How often each share is drawn from what the data leave open about it: the beta distribution of
        Jeffreys' interval (Brown, Cai and DasGupta 2001, doi 10.1214/ss/1009213286). Drawing pictures
        instead would leave nothing open about a class of which all or none are right.
    seed : int

    Returns
    -------
    low, high : float
        Both NaN for no class.
    """
    hits, n = np.asarray(right, np.float64), np.asarray(total, np.float64)
    if not len(n):
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    drawn = random.beta(hits + 0.5, n - hits + 0.5, (draws, len(n))).mean(axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    mean = float((hits / n).mean())  # where all are right, or none, it lies at the end of what is drawn
    return min(float(low), mean), max(float(high), mean)


def macro_f1(confusion: NDArray[np.int64], missed: ArrayLike = 0) -> float:
    """Return the mean over the classes that occur of the F1 (harmonic mean of precision and recall).

    Parameters
    ----------
    confusion : ndarray of shape (k, k), int64
    missed : array_like of shape (k,), optional
        Pictures of each class without an answer.
    """
    total = confusion.sum(axis=1) + np.asarray(missed)
    occurs = total > 0
    if not occurs.any():
        return 0.0
    return float((2 * np.diag(confusion)[occurs] / (total + confusion.sum(axis=0))[occurs]).mean())


def macro_f1_interval(
    confusion: NDArray[np.int64], missed: ArrayLike = 0, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return a 95 % interval of :func:`macro_f1`, by drawing pictures with replacement.

    Parameters
    ----------
    confusion : ndarray of shape (k, k), int64
    missed : array_like of shape (k,), optional
    draws : int
        How often (Efron 1979, percentile method).
    seed : int

    Returns
    -------
    low, high : float
        Both NaN for no pictures.
    """
    k = len(confusion)
    cells = np.column_stack([confusion, np.broadcast_to(np.asarray(missed, np.int64), k)])
    n = int(cells.sum())
    if n == 0:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).multinomial(n, cells.ravel() / n, draws).reshape(draws, k, k + 1)
    total = drawn.sum(axis=2)
    both = total + drawn[:, :, :k].sum(axis=1)
    right = np.diagonal(drawn, axis1=1, axis2=2)
    occurs = total > 0
    f1 = np.where(occurs, 2 * right / np.maximum(both, 1), 0.0).sum(axis=1) / occurs.sum(axis=1)
    low, high = np.percentile(f1, (2.5, 97.5))
    return float(low), float(high)


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """Find the temperature at which a model is as sure, in the mean, as it is right.

    That is expectation consistency (Clarté et al. 2023, arXiv 2303.02644). The temperature of the least
    cross-entropy (Guo et al. 2017, arXiv 1706.04599) is ruled by the few answers that are surest; where no
    temperature suits all, it leaves the others too sure. How often the model is right is estimated by the
    rule of succession, so that a handful of answers without a mistake does not teach certainty.

    Parameters
    ----------
    logits : array_like of shape (n, k)
    targets : array_like of shape (n,), int, or (n, k), float
        The right column, or the probability of each.

    Returns
    -------
    float
        What to divide logits by, between 0.05 and 20.
    """
    from scipy.optimize import brentq  # type: ignore[import-untyped]  # ships no types
    from scipy.special import softmax  # type: ignore[import-untyped]  # ships no types

    scores, wanted = np.asarray(logits, np.float64), np.asarray(targets)
    if scores.ndim != 2 or not scores.size or len(wanted) != len(scores):
        raise bad_argument(
            "logits", allowed=f"of shape ({len(wanted)}, k), with one row or more", given=scores.shape
        )
    if wanted.ndim == 1:
        wanted = np.eye(scores.shape[1])[wanted]
    right = wanted[np.arange(len(scores)), scores.argmax(axis=1)].sum()
    accuracy = (right + 1) / (len(scores) + 2)

    def surplus(log_t: float) -> float:
        return float(softmax(scores / np.exp(log_t), axis=1).max(axis=1).mean() - accuracy)

    least, most = np.log(0.05), np.log(20)
    if surplus(least) <= 0:
        return 0.05
    if surplus(most) >= 0:
        return 20.0
    return float(np.exp(brentq(surplus, least, most, xtol=1e-6)))


def _paired(probability: ArrayLike, label: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p, y = np.asarray(probability, np.float64), np.asarray(label, np.int64)
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise bad_argument("probability", allowed=f"of shape ({len(y)}, k)", given=p.shape)
    return p, y
