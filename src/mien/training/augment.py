"""Altered copies of faces, made on the whole batch at once.

Turning, scaling and shifting are folded into the alignment, so that a picture is resampled once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import kornia.augmentation as K
import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor


@dataclass(frozen=True)
class Ranges:
    """How far the copies may differ from the picture.

    Parameters
    ----------
    turn_deg : float
        Standard deviation of the in-plane turn, degrees.
    scale : float
        Standard deviation of the natural logarithm of the scale.
    shift : float
        Standard deviation of the shift, in sides of the crop.
    light : float
        Largest strength of the one-sided light: the logarithm of the gain at the crop's edge.
    """

    turn_deg: float = 9.0
    scale: float = 0.09
    shift: float = 0.04
    light: float = 1.0


def jitter(matrix: Tensor, size: int, ranges: Ranges, flip: Tensor) -> Tensor:
    """Disturb alignments by a random turn, scale and shift about the crop's middle.

    Parameters
    ----------
    matrix : Tensor of shape (n, 2, 3)
        Picture to crop, continuous coordinates.
    size : int
        Side of the crop in pixels.
    ranges : Ranges
        How far.
    flip : Tensor of shape (n,), bool
        Which to mirror.

    Returns
    -------
    Tensor of shape (n, 2, 3)
    """
    n = len(matrix)
    angle = torch.randn(n) * math.radians(ranges.turn_deg)
    scale = torch.exp(torch.randn(n) * ranges.scale)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    mirror = torch.where(flip, -1.0, 1.0)
    linear = torch.stack([torch.stack([cos * mirror, -sin], -1), torch.stack([sin * mirror, cos], -1)], -2)
    middle = torch.full((n, 2), size / 2)
    shift = middle + torch.randn(n, 2) * ranges.shift * size - (linear @ middle[..., None])[..., 0]
    return torch.cat([linear @ matrix[:, :, :2], linear @ matrix[:, :, 2:] + shift[..., None]], dim=2)


def cut(pictures: Tensor, matrix: Tensor, size: int) -> Tensor:
    """Resample pictures into crops by their alignment, repeating the border outside the picture.

    Parameters
    ----------
    pictures : Tensor of shape (n, H, W)
        Grey, 0 to 255.
    matrix : Tensor of shape (n, 2, 3)
        Picture to crop, continuous coordinates.
    size : int
        Side of the crop in pixels.

    Returns
    -------
    Tensor of shape (n, S, S), float32
    """
    centres = matrix.clone()  # kornia counts from pixel centres
    centres[:, :, 2] += matrix[:, :, :2].sum(-1) * 0.5 - 0.5
    crops = warp_affine(pictures[:, None].float(), centres, (size, size), padding_mode="border")
    return crops[:, 0]


def relight(crops: Tensor, strength: float) -> Tensor:
    """Let light fall from one side, mostly darkening: a gain that grows exponentially in some direction.

    Parameters
    ----------
    crops : Tensor of shape (n, S, S)
        Grey, 0 to 255.
    strength : float
        Largest logarithm of the gain at the crop's edge.
    """
    n, size = len(crops), crops.shape[-1]
    axis = torch.linspace(-1, 1, size)
    angle = torch.rand(n, 1, 1) * 2 * math.pi
    slope = torch.rand(n, 1, 1) * strength
    ramp = torch.cos(angle) * axis[None, None, :] + torch.sin(angle) * axis[None, :, None]
    return (crops * torch.exp(slope * (ramp - 0.5))).clamp(0, 255)


class Augment:
    """Cut crops with random turns, light, blur, noise and covered parts.

    Parameters
    ----------
    size : int
        Side of the crops in pixels.
    ranges : Ranges, optional
        How far the copies may differ.
    """

    def __init__(self, size: int, ranges: Ranges | None = None) -> None:
        self.size = size
        self.ranges = ranges or Ranges()
        self.photometric = K.AugmentationSequential(
            K.RandomGamma(gamma=(0.5, 1.8), p=0.4),
            K.RandomGaussianBlur((5, 5), (0.4, 1.6), p=0.2),
            K.RandomGaussianNoise(std=0.03, p=0.2),
            K.RandomErasing(scale=(0.02, 0.2), ratio=(0.4, 2.5), value=0.5, p=0.5),
            data_keys=["input"],
        )

    def __call__(self, pictures: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Cut a batch.

        Parameters
        ----------
        pictures : Tensor of shape (n, H, W), uint8
        matrix : Tensor of shape (n, 2, 3)
            Picture to crop.

        Returns
        -------
        crops : Tensor of shape (n, S, S), float32
            Grey, 0 to 255.
        flip : Tensor of shape (n,), bool
            Which are mirrored.
        """
        flip = torch.rand(len(pictures)) < 0.5
        crops = cut(pictures, jitter(matrix, self.size, self.ranges, flip), self.size)
        lit = torch.rand(len(crops), 1, 1) < 0.4
        crops = torch.where(lit, relight(crops, self.ranges.light), crops)
        crops = self.photometric(crops[:, None] / 255)[:, 0] * 255
        return crops.clamp(0, 255), flip
