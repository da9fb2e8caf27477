"""Probabilities over time: by seconds, not frames, for each person, with a displayed emotion that stays."""

import json

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.models.smoothing import Smoother

A, B = np.array([[0.9, 0.1]], np.float32), np.array([[0.1, 0.9]], np.float32)


def test_the_first_value_is_taken_as_it_is():
    smoothed, shown = Smoother().update([7], A, 3.0)
    np.testing.assert_array_equal(smoothed, A)
    assert smoothed.dtype == np.float32 and shown.tolist() == [0]


@pytest.mark.parametrize("rate_hz", [5, 30, 100])
def test_a_step_takes_its_time_at_any_rate(rate_hz):
    smoother = Smoother(0.5)
    smoother.update([0], A, 0.0)
    for i in range(1, rate_hz + 1):
        smoothed, _ = smoother.update([0], B, i / rate_hz)
    assert smoothed[0, 1] == pytest.approx(0.9 - 0.8 * np.exp(-1 / 0.5), abs=1e-5)


def test_irregular_times_do_not_matter():
    one, two = Smoother(0.3), Smoother(0.3)
    for smoother, times in ((one, [0.7]), (two, [0.01, 0.02, 0.3, 0.7])):
        smoother.update([0], A, 0.0)
        for time_s in times:
            last, _ = smoother.update([0], B, time_s)
        smoother.last = last
    np.testing.assert_allclose(one.last, two.last, atol=1e-6)


def test_no_time_constant_is_no_smoothing():
    smoother = Smoother(0)
    smoother.update([0], A, 0.0)
    np.testing.assert_allclose(smoother.update([0], B, 0.001)[0], B)


def test_the_displayed_emotion_has_hysteresis():
    smoother = Smoother(0, margin=0.2)

    def shown(p, time_s):
        return int(smoother.update([0], np.array([[p, 1 - p]], np.float32), time_s)[1][0])

    assert [shown(p, i / 10) for i, p in enumerate([0.6, 0.45, 0.55, 0.41, 0.39, 0.45, 0.59, 0.61])] == [
        0, 0, 0, 0, 1, 1, 1, 0,
    ]  # fmt: skip


def test_flicker_is_not_displayed():
    random = np.random.default_rng(0)
    smoother = Smoother()
    raw, displayed = [], []
    for i in range(300):
        p = float(np.clip(0.5 + random.normal(0, 0.15), 0, 1))
        row = np.array([[p, 1 - p]], np.float32)
        raw.append(int(row.argmax()))
        displayed.append(int(smoother.update([0], row, i / 30)[1][0]))
    assert np.diff(raw).any() and np.count_nonzero(np.diff(displayed)) < np.count_nonzero(np.diff(raw)) / 10


def test_people_are_kept_apart_whatever_their_order():
    smoother = Smoother(1.0)
    smoother.update([3, 5], np.concatenate([A, B]), 0.0)
    smoothed, shown = smoother.update([5, 3], np.concatenate([B, A]), 0.1)
    np.testing.assert_allclose(smoothed, np.concatenate([B, A]), atol=1e-6)
    assert shown.tolist() == [1, 0]


def test_no_faces():
    smoothed, shown = Smoother().update([], np.empty((0, 2), np.float32), 0.0)
    assert smoothed.shape == (0, 2) and shown.shape == (0,)


def test_who_is_long_gone_starts_anew_and_takes_no_memory():
    smoother = Smoother(10.0, forget_s=2.0)
    smoother.update([0], A, 0.0)
    assert smoother.update([0], B, 1.9)[0][0, 1] < 0.5
    np.testing.assert_array_equal(smoother.update([0], B, 4.0)[0], B)
    for i in range(100):
        smoother.update([i], A, 10.0 + i)
    assert len(smoother.state()) <= 3


@pytest.mark.parametrize(("step_s", "is_kept"), [(0.0, False), (1.2, False), (1.5, True)])
def test_where_frames_are_far_apart_nobody_starts_anew_at_each(step_s, is_kept):
    smoother = Smoother(10.0, forget_s=2.0)
    smoother.update([0], A, 0.0, step_s=step_s)
    smoothed, _ = smoother.update([0], B, 3.5, step_s=step_s)
    assert bool(smoothed[0, 1] < 0.5) == is_kept


def test_a_saved_state_goes_on_identically():
    random = np.random.default_rng(1)
    rows = random.dirichlet(np.ones(8), (20, 2)).astype(np.float32)
    one, two = Smoother(), Smoother()
    for i in range(10):
        one.update([0, 4], rows[i], i / 30)
    two.restore(json.loads(json.dumps(one.state())))
    for i in range(10, 20):
        for a, b in zip(
            one.update([0, 4], rows[i], i / 30), two.update([0, 4], rows[i], i / 30), strict=True
        ):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("option", [{"time_constant_s": -1}, {"margin": 1.5}, {"forget_s": 0}])
def test_wrong_values_are_refused(option):
    with pytest.raises(ArgumentError, match=next(iter(option))):
        Smoother(**option)
