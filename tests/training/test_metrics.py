"""Metrics against cases worked out by hand, and their behaviour on nothing."""

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.training.metrics import (
    calibration_interval,
    confusion_matrix,
    difference_interval,
    expected_calibration_error,
    fit_temperature,
    macro_f1,
    mean_recall_interval,
    recalls,
    reliability,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 2, 0.0945, 0.9055),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (15, 148, 0.0624, 0.1605),  # the same
        (1, 29, 0.0061, 0.1718),  # the same
    ],
)
def test_wilson_interval(k, n, low, high):
    assert wilson_interval(k, n) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_wilson_interval_of_the_impossible(k, n):
    with pytest.raises(ArgumentError, match="k must be from 0 to n"):
        wilson_interval(k, n)


def test_wilson_interval_of_another_confidence():
    low, high = wilson_interval(81, 263, 1.0)
    assert 0.2553 < low < 81 / 263 < high < 0.3662


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:873, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_difference_interval(counts, low, high):
    assert difference_interval(*counts) == pytest.approx((low, high), abs=6e-5)


def test_mean_recall_interval_holds_about_as_often_as_it_says():
    random, share, n, held = np.random.default_rng(0), np.array([0.9, 0.5, 1.0]), np.array([40, 25, 30]), 0
    for trial in range(200):
        low, high = mean_recall_interval(random.binomial(n, share), n, seed=trial)
        held += low <= share.mean() <= high
    assert held >= 180


def test_mean_recall_interval_at_the_ends():
    assert mean_recall_interval([5, 9], [5, 9])[1] == 1.0 and mean_recall_interval([0], [7])[0] == 0.0
    assert mean_recall_interval([5, 9], [5, 9])[0] < 0.95, "five of five leave something open"
    assert np.isnan(mean_recall_interval([], [])).all()


def two(best):
    """Make rows in which the first of two columns has these probabilities."""
    return np.stack([best, 1 - np.asarray(best)], axis=1)


def test_reliability_by_hand():
    table = reliability(two([0.95, 0.95, 0.85, 0.15, 1.0, 0.5]), [0, 1, 0, 0, 0, 0], bins=10)
    assert table.count.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 2, 3]
    np.testing.assert_allclose(table.confidence[[4, 8, 9]], [0.5, 0.85, 2.9 / 3])
    np.testing.assert_allclose(table.accuracy[[4, 8, 9]], [1.0, 0.5, 2 / 3])
    assert table.error == pytest.approx((0.5 + 2 * 0.35 + 0.9) / 6)


@pytest.mark.parametrize(("sure", "share", "error"), [(0.8, 0.8, 0.0), (0.9, 0.5, 0.4), (0.6, 1.0, 0.4)])
def test_expected_calibration_error(sure, share, error):
    label = (np.arange(100) >= share * 100).astype(int)
    assert expected_calibration_error(two(np.full(100, sure)), label) == pytest.approx(error)


def test_calibrated_probabilities_have_little_error():
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(5), 20_000)
    label = (random.random((20_000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    assert expected_calibration_error(p, label) < 0.015
    sharper = p**2 / (p**2).sum(axis=1, keepdims=True)
    assert expected_calibration_error(sharper, label) > 0.1


def test_nothing_has_no_error():
    table = reliability(np.empty((0, 7)), np.empty(0, int))
    assert table.error == 0 and table.count.sum() == 0 and len(table.count) == 15


@pytest.mark.parametrize(
    ("probability", "label", "bins", "message"),
    [
        (np.ones((2, 3)), [0], 15, "probability must be"),
        (np.ones(3), [0, 0, 0], 15, "probability must be"),
        (np.ones((1, 3)), [0], 0, "bins must be"),
    ],
)
def test_wrong_shapes(probability, label, bins, message):
    with pytest.raises(ArgumentError, match=message):
        reliability(probability, label, bins)


CONFUSION = np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])


def test_confusion_matrix():
    label = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    answer = [0, 0, 0, 1, 0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(confusion_matrix(label, answer, 3), CONFUSION)
    np.testing.assert_array_equal(confusion_matrix([], [], 3), np.zeros((3, 3)))


def test_recalls_and_macro_f1():
    np.testing.assert_allclose(recalls(CONFUSION), [3 / 4, 4 / 6, np.nan])
    assert macro_f1(CONFUSION) == pytest.approx((6 / 9 + 8 / 11) / 2)
    missed = [1, 0, 2]
    np.testing.assert_allclose(recalls(CONFUSION, missed), [3 / 5, 4 / 6, 0])
    assert macro_f1(CONFUSION, missed) == pytest.approx((6 / 10 + 8 / 11 + 0) / 3)
    assert macro_f1(np.zeros((3, 3), int)) == 0


def test_macro_f1_agrees_with_its_definition():
    random = np.random.default_rng(3)
    label, answer = random.integers(0, 5, (2, 400))
    each = []
    for c in range(5):
        hit = ((label == c) & (answer == c)).sum()
        precision, recall = hit / (answer == c).sum(), hit / (label == c).sum()
        each.append(2 * precision * recall / (precision + recall))
    assert macro_f1(confusion_matrix(label, answer, 5)) == pytest.approx(np.mean(each))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("as_distribution", [False, True])
def test_temperature_is_recovered(temperature, as_distribution):
    random = np.random.default_rng(4)
    logits = random.normal(0, 2, (20_000, 6))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label = (random.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1)
    found = fit_temperature(logits * temperature, p if as_distribution else label)
    assert found == pytest.approx(temperature, rel=1e-3 if as_distribution else 0.03)


def test_it_is_as_sure_as_it_is_right_where_no_temperature_suits_all():
    """Half of the answers are far too sure, half not sure enough."""
    random = np.random.default_rng(5)
    logits = random.normal(0, 2, (20_000, 6))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label = (random.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1)
    logits[::2] *= 4
    scaled = logits / fit_temperature(logits, label)
    found = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
    assert found.max(axis=1).mean() == pytest.approx((found.argmax(axis=1) == label).mean(), abs=1e-3)


@pytest.mark.parametrize(("right", "probability"), [(3, 4 / 5), (18, 19 / 20)])
def test_a_few_right_answers_do_not_teach_certainty(right, probability):
    logits = np.tile([[2.0, -2.0]], (right, 1))
    sure = 1 / (1 + np.exp(-4 / fit_temperature(logits, np.zeros(right, int))))
    assert sure == pytest.approx(probability, abs=1e-4)


@pytest.mark.parametrize(
    ("logits", "label", "temperature"), [([[0.0, 0.0]] * 9, [0] * 9, 0.05), ([[1.0, 0.0]] * 9, [1] * 9, 20)]
)
def test_temperature_stays_within_bounds(logits, label, temperature):
    assert fit_temperature(logits, label) == temperature


@pytest.mark.parametrize(
    ("logits", "targets"), [(np.empty((0, 3)), []), (np.ones((2, 3)), [0]), (np.ones(3), [0, 0, 0])]
)
def test_temperature_of_wrong_shapes(logits, targets):
    with pytest.raises(ArgumentError, match="logits must be"):
        fit_temperature(logits, targets)


def test_the_interval_of_a_calibration_error_lies_around_it_however_small_it_is():
    for seed in range(8):
        random = np.random.default_rng(seed)
        sure = random.uniform(0.5, 1, 400)
        label = (random.random(400) > sure).astype(int)  # as often right as sure
        probability = np.stack([sure, 1 - sure], 1)
        error = expected_calibration_error(probability, label)
        low, high = calibration_interval(probability, label, seed=seed)
        assert 0 <= low < error < high
        assert 0.015 < high - low < 0.08
        assert calibration_interval(probability, label, seed=seed) == (low, high)
        wrong = calibration_interval(probability, np.ones(400, int), seed=seed)
        assert wrong[0] > high, "never right, and sure all the same"
    assert np.isnan(calibration_interval(np.empty((0, 2)), [])).all()
