"""The face detector's network, and how its answers are read.

It is anchor-free (after FCOS, Tian et al. 2019, arXiv 1904.01355, and YuNet, Wu et al. 2023): every place of
three grids says whether a face is centred there, where its box ends and where its five landmarks lie.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.faces.detect import STRIDES
from mien.training.layers import ResidualBlock, convolution


class FacePoint(nn.Module):
    """The detector's network: 0.24 M weights, grey pictures of any size divisible by 32.

    The first step takes the logarithm, so that light multiplied onto a face becomes a constant, which
    the filters that follow need not see. The grids share one head, but each has its own normalisation:
    their statistics differ so much that common ones would fit none of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*convolution(1, 16, 2), *convolution(16, 32, 2))
        self.stages = nn.ModuleList(
            [
                nn.Sequential(*convolution(32, 48, 2), *_blocks(2)),
                nn.Sequential(*convolution(48, 48, 2), *_blocks(1)),
                nn.Sequential(*convolution(48, 48, 2), *_blocks(1)),
            ]
        )
        self.lateral = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(48, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True))
                for _ in STRIDES
            ]
        )
        self.head = nn.Conv2d(32, 32, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(32) for _ in STRIDES])
        self.score, self.box, self.points = (nn.Conv2d(32, k, 1) for k in (1, 4, 10))
        nn.init.constant_(self.score.bias, -4.5)  # type: ignore[arg-type]  # a bias is there
        nn.init.constant_(self.box.bias, 1.0)  # type: ignore[arg-type]  # a bias is there

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at pictures.

        Parameters
        ----------
        pictures : Tensor of shape (n, H, W)
            Grey, 0 to 255; H and W divisible by 32.

        Returns
        -------
        score : Tensor of shape (n, a)
            Logits, for the places of the three grids row by row, finest first.
        box : Tensor of shape (n, a, 4)
            Offset of the box's centre from the place and logarithm of its sides, in strides.
        points : Tensor of shape (n, a, 10)
            Offsets of the landmarks from the place, in strides.
        """
        x = self.stem(torch.log(pictures[:, None] + 8).contiguous(memory_format=torch.channels_last))
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        merged: list[Tensor] = []
        for lateral, level in zip(reversed(self.lateral), reversed(levels), strict=True):
            here = lateral(level)
            merged.append(
                here if not merged else here + F.interpolate(merged[-1], scale_factor=2.0, mode="nearest")
            )
        heads = [
            torch.relu(norm(self.head(level)))
            for norm, level in zip(self.norms, reversed(merged), strict=True)
        ]
        answers = [
            torch.cat([layer(h).flatten(2) for h in heads], dim=2).transpose(1, 2)
            for layer in (self.score, self.box, self.points)
        ]
        return answers[0][..., 0], answers[1], answers[2]


def _blocks(count: int) -> list[nn.Module]:
    return [ResidualBlock(48, 48, 1) for _ in range(count)]


def places(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the centres (a, 2) of all places, x and y in pixels, and their strides (a,)."""
    centres, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        centres.append(torch.stack([x.flatten(), y.flatten()], 1) * stride + stride / 2)
        strides.append(torch.full((x.numel(),), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def decode(box: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Turn the network's boxes (n, a, 4) into corners x, y, x, y in pixels."""
    middle = centres + box[..., :2] * strides[:, None]
    half = torch.exp(box[..., 2:].clamp(max=6)) * strides[:, None] / 2
    return torch.cat([middle - half, middle + half], dim=-1)
