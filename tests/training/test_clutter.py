"""Drawn things are of many kinds, lie where they say, and hide the faces they cover."""

import numpy as np
import pytest

from mien.training.clutter import CANVAS, draw_clutter


@pytest.mark.parametrize("seed", range(24))
def test_things_are_drawn_within_their_mask(seed):
    shade, mask = draw_clutter(np.random.default_rng(seed))
    assert shade.shape == mask.shape == (CANVAS, CANVAS)
    assert shade.dtype == mask.dtype == np.float32
    assert shade.min() >= 0 and shade.max() <= 255
    assert mask.min() >= 0 and 0.5 < mask.max() <= 1
    assert mask.mean() < 0.95, "something must remain of what is behind"


def test_things_differ_and_come_again_by_their_seed():
    things = [draw_clutter(np.random.default_rng(seed))[0] for seed in range(12)]
    assert len({thing.tobytes() for thing in things}) == 12
    np.testing.assert_array_equal(things[3], draw_clutter(np.random.default_rng(3))[0])
