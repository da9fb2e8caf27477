"""How far a model's probabilities agree with the votes of several people on each picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import bad_argument

FLOOR = 1e-6
"""What a probability counts as at least, so that the divergence is finite where a model gives an emotion that
has votes nothing at all (as it does with emotions it does not know)."""

Float = NDArray[np.float64]


@dataclass(frozen=True)
class VoteAgreement:
    """A model beside the voters, on n pictures; entropies and divergences in nats.

    Parameters
    ----------
    n : int
        Pictures with one vote or more, and with an answer.
    without_votes, unanswered : int
        Pictures left out: those that no vote is left of, and those with votes in which no face was found.
    kl, kl_low, kl_high : float
        Mean Kullback-Leibler divergence of the model's distribution from that of the votes, D(votes ||
        model), with its 95 % interval; see :func:`divergence`.
    kl_constant : float
        What it would be for a model that answers every picture with the mean of all vote distributions.
    floored : int
        Pictures in which an emotion with votes was given less than :data:`FLOOR`.
    pearson, pearson_low, pearson_high : float
        Correlation of the entropy of the model's distribution with that of the votes, with its 95 %
        interval; NaN where one of them is the same in all pictures.
    spearman, spearman_low, spearman_high : float
        The same of their ranks.
    entropy_votes, entropy_model : float
        Mean entropies: the model is on the whole surer than the voters where its own is lower.
    """

    n: int
    without_votes: int
    unanswered: int
    kl: float
    kl_low: float
    kl_high: float
    kl_constant: float
    floored: int
    pearson: float
    pearson_low: float
    pearson_high: float
    spearman: float
    spearman_low: float
    spearman_high: float
    entropy_votes: float
    entropy_model: float

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON; None for NaN."""
        return {name: None if value != value else value for name, value in vars(self).items()}


def compare_with_votes(
    probability: ArrayLike,
    votes: ArrayLike,
    found: ArrayLike | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> VoteAgreement | None:
    """Compare probabilities with the votes on the same pictures.

    Parameters
    ----------
    probability : array_like of shape (n, k)
        Rows that sum to one.
    votes : array_like of shape (n, k)
        Number of voters for each emotion, 0 or more; a picture with none at all is left out.
    found : array_like of shape (n,), bool, optional
        Where there is an answer; by default everywhere.
    draws : int
        How often pictures are drawn with replacement for the intervals (Efron 1979, percentile method).
    seed : int

    Returns
    -------
    VoteAgreement or None
        None where no picture has both votes and an answer.
    """
    p, counts = np.asarray(probability, np.float64), np.asarray(votes, np.float64)
    if p.ndim != 2 or counts.shape != p.shape or (counts < 0).any():
        raise bad_argument("votes", allowed=f"numbers from 0, of shape {p.shape}", given=counts)
    answered = np.ones(len(p), bool) if found is None else np.asarray(found, bool)
    voted = counts.sum(axis=1) > 0
    used = voted & answered
    n = int(used.sum())
    if not n:
        return None
    p, share = p[used], counts[used] / counts[used].sum(axis=1, keepdims=True)
    apart = divergence(share, p)
    mine, theirs = entropy(p), entropy(share)
    # The same votes for other emotions have the same entropy; what rounding makes of it must not rank them.
    places = [np.unique(one.round(10), return_inverse=True)[1] for one in (mine, theirs)]
    drawn = np.empty((draws, 3))
    random = np.random.default_rng(seed)
    for i in range(draws):
        rows = random.integers(0, n, n)
        ranks = [_mean_ranks(place[rows]) for place in places]
        drawn[i] = apart[rows].mean(), _correlation(mine[rows], theirs[rows]), _correlation(*ranks)
    intervals = [_middle(column) for column in drawn.T]
    constant = np.broadcast_to(share.mean(axis=0), share.shape)
    return VoteAgreement(
        n,
        int((~voted).sum()),
        int((voted & ~answered).sum()),
        float(apart.mean()),
        *intervals[0],
        kl_constant=float(divergence(share, constant).mean()),
        floored=int(((share > 0) & (p < FLOOR)).any(axis=1).sum()),
        pearson=_correlation(mine, theirs),
        pearson_low=intervals[1][0],
        pearson_high=intervals[1][1],
        spearman=_correlation(*(_mean_ranks(place) for place in places)),
        spearman_low=intervals[2][0],
        spearman_high=intervals[2][1],
        entropy_votes=float(theirs.mean()),
        entropy_model=float(mine.mean()),
    )


def divergence(share: Float, probability: Float) -> Float:
    """Return how far each distribution of a model is from that of the votes: D(votes || model), in nats.

    It is the sum of ``share * log(share / probability)`` (Kullback and Leibler 1951): what is lost where the
    model's distribution stands for that of the votes. An emotion without votes adds nothing, whatever the
    model gives it; what it takes from the others is counted there. A probability below :data:`FLOOR`
    counts as that.

    Parameters
    ----------
    share, probability : ndarray of shape (n, k), float64
        Rows that sum to one.

    Returns
    -------
    ndarray of shape (n,), float64
        From 0 (equal) up.
    """
    log = np.log(np.where(share > 0, share, np.maximum(probability, FLOOR)) / np.maximum(probability, FLOOR))
    return np.asarray((share * log).sum(axis=1))


def entropy(share: Float) -> Float:
    """Return the entropy of each row in nats (Shannon 1948): 0 where all agree, log k where it is even.

    Parameters
    ----------
    share : ndarray of shape (n, k), float64
        Rows that sum to one; 0 adds nothing.

    Returns
    -------
    ndarray of shape (n,), float64
    """
    safe = np.where(share > 0, share, 1.0)
    return np.asarray(-(safe * np.log(safe)).sum(axis=1))


def _mean_ranks(place: NDArray[np.int64]) -> Float:
    """Return ranks of values that are given by their places among all; equal ones share the mean rank."""
    count = np.bincount(place)
    ranks: Float = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def _correlation(a: Float, b: Float) -> float:
    """Return Pearson's correlation; NaN where one of the two does not vary."""
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    # Equal values need not give exactly their mean, so what is left of them is not exactly zero.
    varies = min(float(np.abs(a).max()), float(np.abs(b).max())) > 1e-12
    return float(a @ b) / length if varies and length > 0 else float("nan")


def _middle(values: Float) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)
