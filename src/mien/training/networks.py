"""The networks that can be trained, in one registry: name → constructor.

A network takes crops as they are cut, ``(n, S, S)`` grey in 0 to 255, and returns one score array per
head. Whatever normalisation it needs is its own first layer, so that training and inference cannot
disagree about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mien.errors import unknown_name

NETWORKS: dict[str, Callable[[], nn.Module]] = {}
"""Trunks by name; each maps (n, 1, S, S) to (n, c) and has `.features`, its c."""


def register(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Enter a trunk's constructor under its own name."""
    NETWORKS[build.__name__] = build
    return build


class ExpressionNetwork(nn.Module):
    """A trunk with one linear head per label set.

    Parameters
    ----------
    arch : str
        A key of :data:`NETWORKS`.
    heads : mapping of str to int
        Number of outputs by the name of the head.
    dropout : float
        Share of the features hidden from the heads while training, 0 to 1.
    """

    def __init__(self, arch: str, heads: Mapping[str, int], dropout: float = 0.0) -> None:
        super().__init__()
        if arch not in NETWORKS:
            raise unknown_name("network", arch, NETWORKS)
        self.standardise = Standardise()
        self.trunk = NETWORKS[arch]()
        self.dropout = nn.Dropout(dropout)
        features: int = self.trunk.features  # type: ignore[assignment]  # an int on every trunk
        self.heads = nn.ModuleDict({name: nn.Linear(features, k) for name, k in heads.items()})

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Score crops.

        Parameters
        ----------
        crops : Tensor of shape (n, S, S)
            Grey, 0 to 255.

        Returns
        -------
        dict of str to Tensor of shape (n, k)
            Logits by head.
        """
        x = self.standardise(crops[:, None])
        x = self.dropout(self.trunk(x.contiguous(memory_format=torch.channels_last)))
        return {name: head(x) for name, head in self.heads.items()}


class Standardise(nn.Module):
    """Give every picture mean zero and deviation one, whatever its light."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        centred = x - mean
        deviation = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return centred / (deviation + 4.0)  # 4 of 255 levels: a flat picture stays flat instead of exploding


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut (He et al. 2016, arXiv 1512.03385), pooled as in ResNet-D."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(inputs, outputs, stride),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if inputs != outputs:
            shortcut += [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def convolution(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    """Return a 3 x 3 convolution with batch normalisation and ReLU."""
    return [
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


@register
def resnet() -> nn.Module:
    """Build the residual network that ships: 14 convolutions, 2.8 M weights.

    One thin layer at full resolution, then three stages of two blocks: at 44 pixels the work is
    balanced over the stages, and full-resolution maps, which cost most in training, appear once.
    """
    layers = [*convolution(1, 24), *convolution(24, 64, stride=2)]
    width = 64
    for outputs, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        layers.append(ResidualBlock(width, outputs, stride))
        width = outputs
    trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    trunk.features = width  # type: ignore[assignment]  # read back by ExpressionNetwork
    return trunk
