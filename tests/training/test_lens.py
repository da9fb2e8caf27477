"""What light and a camera do: much, but never so that the picture is another one."""

import numpy as np
import pytest

from mien.training.lens import expose, take_in_the_dark


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


@pytest.mark.parametrize("seed", range(8))
def test_in_the_dark_little_light_is_left_and_noise_beside_it(seed):
    flat = np.full((120, 120), 160, np.float32)
    taken = take_in_the_dark(flat, np.random.default_rng(seed))
    assert 13 < taken.mean() < 65, "15 to 60, and the noise's own mean"
    assert np.sqrt(0.3 * 15 + 2) * 0.4 < taken.std() < np.sqrt(1.5 * 60 + 25) * 1.1
    shades = np.array([np.full((120, 120), shade, np.float32) for shade in (20, 200)]).reshape(240, 120)
    both = take_in_the_dark(shades[60:180], np.random.default_rng(seed))
    assert both[60:].mean() > 5 * both[:60].mean(), "what was brighter still is"


def test_who_sits_in_the_dark_already_is_not_lit():
    taken = take_in_the_dark(np.full((64, 64), 4, np.float32), np.random.default_rng(0))
    assert taken.mean() < 6
