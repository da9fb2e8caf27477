"""Time per answer: of the right batches, the median, on one thread."""

import time

import numpy as np
import pytest
from shades import LastShadeModel, ShadeModel

from mien.training.timing import MANY, milliseconds_per_answer

CROPS = np.zeros((3, 8, 8), np.uint8)


class Slow(ShadeModel):
    def predict_proba(self, crops):
        time.sleep(0.004 + 0.0005 * len(crops))
        return super().predict_proba(crops)


def test_of_stills():
    model = Slow()
    one, batch = milliseconds_per_answer(model, CROPS)
    assert set(model.batches) == {1, MANY}
    assert 4 < one < 40 and 0.5 < batch < one


@pytest.mark.parametrize("crops", [CROPS, CROPS[:1]])
def test_of_windows(crops):
    seen = []

    class Watched(LastShadeModel):
        def predict_windows(self, windows):
            seen.append(windows.shape)
            return super().predict_windows(windows)

    one, batch = milliseconds_per_answer(Watched(), crops)
    assert set(seen) == {(1, 3, 8, 8), (MANY, 3, 8, 8)} and one > 0 and batch > 0
