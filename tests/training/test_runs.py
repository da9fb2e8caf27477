"""The running average of weights: what it comes to, and that counters are kept whole."""

import pytest
import torch

from mien.training.runs import _Running


@pytest.mark.parametrize(("steps", "decay"), [(0, 0.1), (9, 10 / 19), (10_000, 0.9)])
def test_early_steps_forget_faster(steps, decay):
    average = [torch.full((2, 3), 4.0), torch.full((5,), -1.0)]
    new = [torch.zeros(2, 3), torch.ones(5)]
    _Running(0.9)(average, new, torch.tensor(steps))
    torch.testing.assert_close(average[0], torch.full((2, 3), 4.0 * decay))
    torch.testing.assert_close(average[1], torch.full((5,), 1 - 2 * decay))
    assert new[1].eq(1).all()


def test_counters_are_taken_over_whole():
    average, new = [torch.tensor(3)], [torch.tensor(8)]
    _Running(0.9)(average, new, 100)
    assert average[0] == 8
    assert average[0].dtype == torch.int64
