"""Drawing and shuffling: means by hand, and p values that are as rare as they say."""

import numpy as np
import pytest

from mien.training.resampling import (
    Sums,
    corrected_p,
    distances,
    draw_units,
    membership,
    pairs,
    shuffled_maxima,
)


def of_pictures(values):
    """Make units of one picture each."""
    values = np.asarray(values, float)
    return Sums(values, np.ones_like(values))


def test_means_of_groups():
    sums = Sums(np.array([[1.0, 0], [3, 0], [5, 2]]), np.array([[1.0, 0], [2, 0], [1, 4]]))
    member = membership(np.array([0, 0, 1]), 3)
    assert member.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]
    mean = sums.of_groups(member).mean
    np.testing.assert_allclose(mean, [[4 / 3, np.nan], [5, 0.5], [np.nan, np.nan]])


def test_drawn_means_are_spread_as_statistics_say():
    random = np.random.default_rng(0)
    values = random.normal(size=(300, 2)) * (1, 5)
    code = np.repeat([0, 2], [100, 200])
    drawn = draw_units(of_pictures(values), code, 3, draws=4000, random=random).mean
    assert drawn.shape == (4000, 3, 2) and np.isnan(drawn[:, 1]).all(), "nobody is in the second group"
    for g in (0, 2):
        part = values[code == g]
        np.testing.assert_allclose(drawn[:, g].mean(axis=0), part.mean(axis=0), atol=0.05)
        np.testing.assert_allclose(drawn[:, g].std(axis=0), part.std(axis=0) / np.sqrt(len(part)), rtol=0.08)


def test_distances_by_hand():
    sums = Sums(np.array([[4.0, 1], [0, 1], [9, 0]]), np.array([[4.0, 1], [1, 1], [9, 0]]))
    first, second = pairs(3)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2)]
    found = distances(sums, np.array([2.0, 0.0]))
    expected = [1 / (2 * np.sqrt(1 / 4 + 1)), 0, 1 / (2 * np.sqrt(1 + 1 / 9))]
    np.testing.assert_allclose(found[:, 0], expected)
    assert (found[:, 1] == 0).all(), "what does not vary is not apart"


def test_one_comparison_has_the_plain_p_of_a_permutation_test():
    maxima = np.array([3.0, 1.0, 2.0, 0.5]).reshape(4, 1, 1)
    for observed, larger in [(2.5, 1), (2.0, 2), (9.0, 0), (0.1, 4)]:
        (p,) = corrected_p([np.array([[observed]])], maxima)
        assert p.tolist() == [[(1 + larger) / 5]]


def test_among_more_measures_the_same_is_less_rare():
    random = np.random.default_rng(1)
    maxima = random.normal(size=(999, 2, 10))
    far = np.full((1, 10), -9.0)
    far[0, 0] = 99.0
    (first, second) = corrected_p([far, np.full((3, 10), -9.0)], maxima)
    assert first[0, 0] == pytest.approx(20 / 1000, abs=0.004), "20 measures, so 20 times the smallest p"
    assert (second == 1).all()


def test_a_measure_of_outliers_does_not_hide_another():
    random = np.random.default_rng(2)
    maxima = random.normal(size=(999, 1, 2)) * (1, 1000)
    (p,) = corrected_p([np.array([[4.0, 0.0]])], maxima)
    assert p[0, 0] < 0.01 and p[0, 1] > 0.5


def test_shuffles_keep_what_belongs_together():
    """Two columns that say the same are shuffled alike."""
    random = np.random.default_rng(3)
    values = of_pictures(random.normal(size=(40, 1)))
    member = membership(np.arange(40) % 2, 2)
    maxima = shuffled_maxima(values, [member, member], np.ones(1), shuffles=50, random=random)
    assert maxima.shape == (50, 2, 1) and (maxima[:, 0] == maxima[:, 1]).all() and len(np.unique(maxima)) > 20
