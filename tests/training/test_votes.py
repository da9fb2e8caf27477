"""Probabilities beside votes: numbers worked out by hand, and what scipy says."""

import json

import numpy as np
import pytest
from scipy import stats

from mien.errors import ArgumentError
from mien.training.votes import FLOOR, compare_with_votes, divergence, entropy


def test_divergence_by_hand():
    share = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    p = np.array([[0.25, 0.25, 0.5], [0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    expected = [np.log(2), -np.log(0.8), 0.0, -np.log(FLOOR)]
    np.testing.assert_allclose(divergence(share, p), expected, atol=1e-12)


def test_the_direction_is_from_the_votes_to_the_model():
    votes, p = np.array([[9.0, 1.0]]), np.array([[0.5, 0.5]])
    result = compare_with_votes(p, votes)
    assert result.kl == pytest.approx(0.9 * np.log(1.8) + 0.1 * np.log(0.2))
    assert result.kl != pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))
    assert result.kl == pytest.approx(stats.entropy([0.9, 0.1], [0.5, 0.5]))


def test_entropy_by_hand():
    np.testing.assert_allclose(entropy(np.array([[1.0, 0, 0, 0], [0.25] * 4])), [0, np.log(4)], atol=1e-12)


def made_up(n=400, seed=0):
    """Votes of ten people drawn from distributions that the model knows."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(5, 0.4), n)
    votes = np.stack([random.multinomial(10, row / row.sum()) for row in p])
    return p, votes.astype(float)


def test_correlations_are_those_of_scipy():
    p, votes = made_up()
    result = compare_with_votes(p, votes)
    mine, theirs = stats.entropy(p, axis=1), stats.entropy(votes / votes.sum(axis=1, keepdims=True), axis=1)
    assert result.pearson == pytest.approx(stats.pearsonr(mine, theirs)[0])
    assert result.spearman == pytest.approx(stats.spearmanr(mine.round(10), theirs.round(10))[0])
    assert result.pearson_low < result.pearson < result.pearson_high
    assert result.spearman_low < result.spearman < result.spearman_high
    assert (result.entropy_model, result.entropy_votes) == pytest.approx((mine.mean(), theirs.mean()))
    assert result.n == 400 and (result.without_votes, result.unanswered, result.floored) == (0, 0, 0)


def test_the_same_votes_for_other_emotions_share_a_rank():
    p = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.4, 0.4, 0.2], [0.5, 0.3, 0.2]])
    votes = np.array([[10, 0, 0], [7, 3, 0], [3, 0, 7], [0, 3, 7]])
    assert compare_with_votes(p, votes).spearman == pytest.approx(
        stats.spearmanr([1, 2, 4, 3], [1, 3, 3, 3])[0]
    )


def test_intervals_are_those_of_drawing_pictures():
    p, votes = made_up(150, seed=3)
    result = compare_with_votes(p, votes)
    mine, theirs = stats.entropy(p, axis=1), stats.entropy(votes / votes.sum(axis=1, keepdims=True), axis=1)
    random = np.random.default_rng(1)
    drawn = []
    for _ in range(600):
        rows = random.integers(0, 150, 150)
        drawn.append(stats.spearmanr(mine[rows], theirs[rows])[0])
    assert (result.spearman_low, result.spearman_high) == pytest.approx(
        np.percentile(drawn, (2.5, 97.5)), abs=0.02
    )


def test_a_model_that_knows_the_distributions_beats_one_that_knows_their_mean():
    p, votes = made_up()
    knows = compare_with_votes(p, votes)
    mean = np.broadcast_to((votes / votes.sum(axis=1, keepdims=True)).mean(axis=0), p.shape)
    constant = compare_with_votes(mean, votes)
    assert knows.kl < 0.4 * knows.kl_constant
    assert constant.kl == pytest.approx(knows.kl_constant)
    assert np.isnan(constant.pearson) and np.isnan(constant.spearman_low), (
        "a constant correlates with nothing"
    )
    assert json.loads(json.dumps(constant.to_dict(), allow_nan=False))["pearson"] is None


def test_pictures_without_votes_or_answer_are_left_out_and_counted():
    p = np.tile([0.6, 0.4], (4, 1))
    votes = np.array([[5, 5], [0, 0], [10, 0], [3, 3]])
    result = compare_with_votes(p, votes, [True, True, False, True])
    assert (result.n, result.without_votes, result.unanswered) == (2, 1, 1)
    assert compare_with_votes(p, np.zeros((4, 2))) is None
    assert compare_with_votes(p, votes, np.zeros(4, bool)) is None


def test_nothing_given_to_an_emotion_with_votes_is_counted():
    result = compare_with_votes([[1.0, 0.0], [1.0, 0.0]], [[8, 2], [10, 0]])
    assert result.floored == 1 and np.isfinite(result.kl)


@pytest.mark.parametrize("votes", [[[1, 2, 3]], [[-1, 2]], [[1, 2], [3, 4]]])
def test_wrong_votes(votes):
    with pytest.raises(ArgumentError, match="votes must be numbers from 0"):
        compare_with_votes([[0.5, 0.5]], votes)
