"""Sharpness-aware steps: learn by the gradient where the loss is worst nearby, to find a flat minimum.

Foret et al. 2021 (arXiv 2010.01412), who find that what is learned so suffers less from wrong labels. Each
step takes two passes over its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def uphill(network: nn.Module, radius: float) -> Iterator[None]:
    """Move weights along their gradient to the edge of a ball, and back afterwards.

    Normalisations go on using a batch's own statistics meanwhile, but do not remember them: the weights there
    are not those that are kept.

    Parameters
    ----------
    network : Module
        With gradients, by which it is moved; parameters without one stay where they are. A gradient of 0, or
        one that overflowed, moves nothing.
    radius : float
        How far all weights together are moved, as a Euclidean norm.
    """
    moved: list[torch.Tensor] = [p for p in network.parameters() if p.grad is not None]
    before = [p.detach().clone() for p in moved]
    gradients = [p.grad for p in moved if p.grad is not None]
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    momenta = [norm.momentum for norm in norms]
    with torch.no_grad():
        if gradients:
            length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
            if length.isfinite() and length > 0:
                torch._foreach_add_(moved, gradients, alpha=radius / float(length))
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(moved, before, strict=True):
                parameter.copy_(value)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
