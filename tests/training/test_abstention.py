"""Abstaining: curves worked out by hand, ties in the mean of all orders, missed faces last."""

import itertools
import json

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.training.abstention import SHARES, abstain


def two(best):
    """Make rows in which the first of two columns has these probabilities."""
    return np.stack([best, 1 - np.asarray(best)], axis=1)


def test_the_curve_by_hand():
    result = abstain(two([0.9, 0.6, 0.8, 0.7]), [0, 1, 0, 1])  # right where 0: the surest, and the second
    assert result.share.tolist() == [0.25, 0.5, 0.75, 1]
    assert result.accuracy.tolist() == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert result.confidence.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert result.area == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert result.area_best == pytest.approx(result.area), "every wrong answer is less sure already"
    assert [one.n for one in result.at_share] == [4, 4, 3, 3, 2]
    half = result.at_share[SHARES.index(0.5)]
    assert (half.accuracy, half.share, half.confidence) == (1, 0.5, pytest.approx(0.8))
    assert half.low == pytest.approx(0.3424, abs=1e-4) and half.high == 1


def test_the_wrong_order_has_a_larger_area_than_the_best():
    result = abstain(two([0.9, 0.8, 0.7, 0.6]), [1, 1, 0, 0])
    assert result.area == pytest.approx((1 + 1 + 2 / 3 + 1 / 2) / 4)
    assert result.area_best == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_equally_sure_answers_count_in_the_mean_of_all_orders():
    label = np.array([0, 1, 0, 1, 0])
    sure = np.array([0.9, 0.7, 0.7, 0.7, 0.6])
    areas = []
    for order in itertools.permutations(range(5)):
        broken = sure.copy()
        broken[list(order)] -= np.arange(5) * 1e-6  # tells them apart, in each order once
        areas.append(abstain(two(broken), label, draws=1).area)
    assert abstain(two(sure), label).area == pytest.approx(np.mean(areas))
    shuffled = [3, 2, 0, 4, 1]
    assert abstain(two(sure[shuffled]), label[shuffled]).area == pytest.approx(abstain(two(sure), label).area)


def test_a_threshold_answers_what_the_analyzer_would():
    sure = np.array([[0.7, 0.3], [0.69, 0.31], [0.9, 0.1]], np.float32)
    result = abstain(sure, [0, 0, 1], thresholds=[0.0, 0.7, 0.95])
    assert [(one.n, one.share) for one in result.at_threshold] == [(3, 1), (2, 2 / 3), (0, 0)]
    assert result.at_threshold[1].accuracy == 0.5
    assert np.isnan(result.at_threshold[2].accuracy)


def test_a_missed_face_is_answered_last_and_wrong():
    result = abstain(two([0.99, 0.6, 0.7]), [0, 0, 0], [False, True, True], thresholds=[0.0, 0.65])
    assert result.accuracy.tolist() == pytest.approx([1, 1, 2 / 3])
    assert result.confidence[-1] == 0
    assert [one.n for one in result.at_threshold] == [2, 1], "no threshold is low enough for it"


def test_the_interval_holds_the_area_about_as_often_as_it_says():
    random, held, trials = np.random.default_rng(0), 0, 60
    p = random.uniform(0.5, 1, 200_000)
    truth = abstain(two(p), (random.random(len(p)) > p).astype(int), draws=1).area
    for trial in range(trials):
        p = random.uniform(0.5, 1, 300)
        result = abstain(two(p), (random.random(300) > p).astype(int), seed=trial)
        held += result.area_low <= truth <= result.area_high
    assert held >= 0.85 * trials


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_the_curve_is_thinned_and_ends_at_the_accuracy_of_all(n):
    random = np.random.default_rng(n)
    p = random.dirichlet(np.ones(4), n)
    label = random.integers(0, 4, n)
    result = abstain(p, label)
    assert len(result.share) == min(n, 200) and result.share[-1] == 1
    assert result.accuracy[-1] == pytest.approx((p.argmax(axis=1) == label).mean())
    assert result.at_share[0].accuracy == result.accuracy[-1]
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert len(plain["at_share"]) == len(SHARES) and len(plain["share"]) == len(plain["accuracy"])


def test_all_faces_missed():
    result = abstain(np.zeros((3, 2), np.float32), [0, 0, 0], np.zeros(3, bool))
    assert (result.area, result.area_best) == (1, 1)
    assert json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("probability", "label", "thresholds", "message"),
    [
        (np.zeros((0, 2)), [], (0.5,), "probability must be"),
        (np.ones(3), [0, 0, 0], (0.5,), "probability must be"),
        (np.ones((1, 2)), [0], (0.5, 1.2), "thresholds must be numbers from 0 to 1; given 1.2"),
    ],
)
def test_wrong_arguments(probability, label, thresholds, message):
    with pytest.raises(ArgumentError, match=message):
        abstain(probability, label, thresholds=thresholds)
