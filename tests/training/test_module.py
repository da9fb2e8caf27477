"""What of a backbone learns, and what each step draws from."""

import pytest
import torch
from torch import nn

from mien.training.module import ExpressionModule, step_seed, thaw
from mien.training.recipe import recipe_for


@pytest.mark.parametrize("before", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("share", "modes"), [(0.0, [False, False]), (0.5, [False, True]), (1.0, [True, True])]
)
def test_normalisations_learn_as_their_weights_do_whatever_was_frozen_before(before, share, modes):
    norms = [nn.BatchNorm2d(2), nn.BatchNorm2d(2)]
    trunk = nn.Sequential(nn.Conv2d(1, 2, 1), norms[0], nn.Conv2d(2, 2, 1), norms[1], nn.Dropout())
    thaw(trunk, before)
    thaw(trunk, share)
    assert [norm.training for norm in norms] == modes
    assert [norm.weight.requires_grad for norm in norms] == modes
    assert trunk[-1].training, "nothing but normalisations is touched"


def test_no_two_steps_processes_or_runs_draw_alike():
    seeds = {step_seed(seed, step, rank) for seed in range(4) for step in range(50) for rank in range(4)}
    assert len(seeds) == 4 * 50 * 4
    assert step_seed(1, 2, 3) == step_seed(1, 2, 3)


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_narrow_strided_convolutions_learn_in_every_precision(precision):
    """A 1 x 1 convolution of 8 channels with a stride: channels last in float32 it took the process down."""
    network = ExpressionModule(recipe_for("mini-xception", precision=precision), {"ekman7": 7}, []).network
    with torch.autocast("cpu", enabled=precision == "bf16-mixed"):
        scores = network(torch.rand(32, 48, 48, generator=torch.Generator().manual_seed(0)) * 255)["ekman7"]
    scores.float().logsumexp(1).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
