"""What light and a camera do: much, but never so that the picture is another one."""

import numpy as np
import pytest

from mien.training.lens import expose


def scene(side=64):
    x = np.linspace(40, 200, side)
    return np.tile(x, (side, 1)).astype(np.uint8)


def test_the_same_seed_gives_the_same_picture():
    taken = [expose(scene(), np.random.default_rng(3)) for _ in range(2)]
    assert np.array_equal(*taken)


@pytest.mark.parametrize("seed", range(40))
def test_a_picture_stays_the_picture_it_was(seed):
    before = scene()
    taken = expose(before, np.random.default_rng(seed))
    assert (taken.shape, taken.dtype) == (before.shape, np.uint8)
    assert np.array_equal(before, scene()), "the picture given is left alone"
    assert np.isfinite(taken).all()
    assert taken.max() > 0


def test_all_of_it_happens_and_sometimes_nothing():
    before = scene()
    taken = np.stack([expose(before, np.random.default_rng(seed)) for seed in range(200)])
    brightness = taken.mean(axis=(1, 2)) / before.mean()
    untouched = (taken == before).all(axis=(1, 2))
    rough = np.abs(np.diff(taken.astype(int), axis=1)).mean(axis=(1, 2))
    assert 0.02 < untouched.mean() < 0.3
    assert brightness.min() < 0.4
    assert brightness.max() > 1.1
    assert (rough > 2).mean() > 0.1
