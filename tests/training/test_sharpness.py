"""Weights go uphill by the radius, and come back; nothing but the gradient remembers it."""

import pytest
import torch
from torch import nn

from mien.training.sharpness import uphill


def network():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2), nn.Linear(2, 2))
    made[3].requires_grad_(False)
    return made


def weights(made):
    return torch.cat([p.detach().flatten() for p in made.parameters()])


def state(made):
    return {name: value.clone() for name, value in made.state_dict().items() if "tracked" not in name}


def test_weights_move_along_the_gradient_by_the_radius_and_back():
    made, faces = network(), torch.randn(8, 4)
    loss = made(faces).square().mean()
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in made.parameters() if p.requires_grad])
    before, kept = weights(made), state(made)
    with uphill(made, 0.3):
        moved = weights(made) - before
        higher = made(faces).square().mean()
    torch.testing.assert_close(moved[:-6], 0.3 * gradient / gradient.norm())
    assert not moved[-6:].any(), "what does not learn stays"
    assert higher > loss
    for name, value in made.state_dict().items():
        if "tracked" not in name:
            assert torch.equal(value, kept[name]), name
    assert made[1].momentum == 0.1


def test_they_come_back_when_the_second_pass_fails():
    made = network()
    made(torch.randn(8, 4)).square().mean().backward()
    kept = state(made)
    with pytest.raises(RuntimeError), uphill(made, 1.0):
        raise RuntimeError("no memory left")
    assert all(torch.equal(value, kept[name]) for name, value in state(made).items())
    assert made[1].momentum == 0.1


@pytest.mark.parametrize("gradient", [0.0, float("inf"), float("nan"), None])
def test_a_gradient_without_a_direction_moves_nothing(gradient):
    made = network()
    for parameter in made.parameters():
        parameter.grad = None if gradient is None else torch.full_like(parameter, gradient)
    before = weights(made)
    with uphill(made, 1.0):
        assert torch.equal(weights(made), before)
