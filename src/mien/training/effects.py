"""What light, a camera and things before the face do to crops, a whole batch at once.

Every effect takes layers of shape (n, L, S, S), float32 from 0 to 255: the L layers of a sample, its colours
or the frames of its sequence, share every draw, but for the grain of noise, which no two pictures share.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from kornia.enhance import jpeg_codec_differentiable
from kornia.filters import gaussian_blur2d
from torch import Tensor
from torch.nn.functional import interpolate

from mien.training.augmentation import Augmentation, Range

FROM_ABOVE = 0.75
"""Share of the vertical light that comes from above; lamps hang more often than they lie."""

SHADOWS = 4
"""Most spots of shadow on one face."""

COVER_FROM_DEG = (90.0, 90.0, 90.0, 0.0, 180.0, -90.0)
"""Where a cover comes from, each as likely as the other: 90 is below. Masks and hands lie more often before
the mouth than glasses and hair before the eyes."""

COVER_SPOTS = 6
"""Spots of a cover along a side of the crop."""

BLUR_KERNEL_PX = 5

GREY = 127.5


def cover(layers: Tensor, settings: Augmentation) -> Tensor:
    """Hide what lies beyond a bowed line, from below, from a side or from above, or a strip along that line.

    A mask, a scarf, a hand, glasses, hair: of any brightness, shaded and spotted, and without a colour.
    """
    side = torch.randint(len(COVER_FROM_DEG), (len(layers), 1, 1, 1), device=layers.device)
    angle = torch.deg2rad(layers.new_tensor(COVER_FROM_DEG))[side] + _even(layers, (-0.35, 0.35))
    along, across = _axes(layers, angle)
    begin = 1 - 2 * _even(layers, settings.cover_reach) + _even(layers, (-0.3, 0.3)) * across**2
    strip = torch.rand_like(layers[:, :1, :1, :1]) < 0.5
    end = torch.where(strip, begin + 2 * _even(layers, settings.cover_strip), math.inf)
    edge = _factor(layers, (0.01, 0.05))
    hidden = torch.sigmoid((along - begin) / edge) * torch.sigmoid((end - along) / edge)
    coarse = torch.randn(len(layers), 1, COVER_SPOTS, COVER_SPOTS, dtype=layers.dtype, device=layers.device)
    spots = interpolate(coarse, size=layers.shape[-2:], mode="bilinear", align_corners=True)
    shade = 1 + _even(layers, (-0.3, 0.3)) * across + _even(layers, (0.0, 0.15)) * spots
    surface = (_even(layers, settings.cover_value) * shade).clamp(0, 255)
    return layers + hidden * (surface - layers)


def relight(crops: Tensor, strength: float) -> Tensor:
    """Let light fall from one side, mostly darkening: a gain that grows exponentially in some direction.

    Parameters
    ----------
    crops : Tensor of shape (n, ..., S, S)
        0 to 255.
    strength : float
        Largest logarithm of the gain at the crop's edge.
    """
    angle = _even(crops, (0.0, 2 * math.pi))
    along, _ = _axes(crops, angle)
    return (crops * torch.exp(_even(crops, (0.0, strength)) * (along - 0.5))).clamp(0, 255)


def light_hard(layers: Tensor, settings: Augmentation) -> Tensor:
    """Let light fall hard from one side: shadow beyond a line that is bowed, as on a ball."""
    along, across = _axes(layers, _even(layers, (0.0, 2 * math.pi)))
    line = 0.3 * torch.randn_like(along[..., :1, :1]) + _even(layers, (0.0, 0.4)) * across**2
    width = 2 * _factor(layers, settings.hard_light_edge)  # an axis is two long, a sigmoid's rise four
    lit = torch.sigmoid((along + line) * 4 / width.clamp(min=4e-3))
    shadow = _even(layers, settings.hard_light_shadow)
    return (layers * (shadow + (1.1 - shadow) * lit)).clamp(0, 255)


def light_above(layers: Tensor, settings: Augmentation) -> Tensor:
    """Let light fall from above, or from below, a little aslant."""
    from_above = torch.rand_like(layers[:, :1, :1, :1]) < FROM_ABOVE
    angle = torch.where(from_above, -math.pi / 2, math.pi / 2) + _even(layers, (-0.4, 0.4))
    along, _ = _axes(layers, angle)
    slope = _even(layers, settings.light_above_strength)
    return (layers * torch.exp(slope * (along - 0.3))).clamp(0, 255)


def cast_shadows(layers: Tensor, settings: Augmentation) -> Tensor:
    """Cast soft elliptic shadows anywhere: one, and up to three more, each of these on half the samples."""
    right, down = _axes(layers, layers.new_zeros(1, 1, 1, 1))
    across, along = ((axis - _even(layers, (-1.0, 1.0), SHADOWS)) / 2 for axis in (right, down))
    radius = _factor(layers, settings.shadows_radius, SHADOWS)
    length = _factor(layers, (0.7, 1.4), SHADOWS)
    far = (across / (radius * length)) ** 2 + (along * length / radius) ** 2
    depth = _even(layers, settings.shadows_depth, SHADOWS)
    depth[:, 1:] *= torch.rand_like(depth[:, 1:]) < 0.5
    return layers * (1 - depth * torch.exp(-0.5 * far)).prod(1, keepdim=True)


def change_gamma(layers: Tensor, settings: Augmentation) -> Tensor:
    """Brighten or darken what is neither black nor white."""
    return 255 * (layers / 255) ** _even(layers, settings.gamma_range)


def change_brightness(layers: Tensor, settings: Augmentation) -> Tensor:
    """Multiply every value."""
    return (layers * _factor(layers, settings.brightness_factor)).clamp(0, 255)


def change_contrast(layers: Tensor, settings: Augmentation) -> Tensor:
    """Spread the values about the sample's mean, or draw them together."""
    mean = layers.mean((1, 2, 3), keepdim=True)
    return (mean + (layers - mean) * _factor(layers, settings.contrast_factor)).clamp(0, 255)


def darken(layers: Tensor, settings: Augmentation) -> Tensor:
    """Leave little light, with the noise of few photons and a constant part."""
    dark = layers * _factor(layers, settings.dark_gain)
    strength = _even(layers, settings.dark_noise)
    return (dark + strength * (dark + 6.0).sqrt() * torch.randn_like(dark)).clamp(0, 255)


def blur(layers: Tensor, settings: Augmentation) -> Tensor:
    """Put out of focus."""
    sigma = _even(layers, settings.blur_sigma_px).view(-1, 1).expand(-1, 2)
    return gaussian_blur2d(layers, (BLUR_KERNEL_PX, BLUR_KERNEL_PX), sigma)


def coarsen(layers: Tensor, settings: Augmentation) -> Tensor:
    """Reduce by averaging over cells, and enlarge again linearly.

    Both are linear along each axis, so that all samples, each with cells of its own size, take two
    products of matrices.
    """
    size = layers.shape[-1]
    low, high = settings.coarse_factor
    cell = _factor(layers, (max(low, 1.0), max(high, 1.0))).view(-1, 1, 1)
    place = torch.arange(size, dtype=layers.dtype, device=layers.device)
    number = torch.arange(math.ceil(size / max(low, 1.0)), dtype=layers.dtype, device=layers.device)
    begin = number[None, :, None] * cell
    shared = torch.minimum(place + 1, begin + cell) - torch.maximum(place, begin)
    reduce = shared.clamp(min=0)
    reduce = reduce / reduce.sum(-1, keepdim=True).clamp(min=1e-6)
    last = torch.ceil(size / cell - 1e-4) - 1
    middle = torch.minimum(((place + 0.5) / cell - 0.5).clamp(min=0), last).transpose(1, 2)
    enlarge = (1 - (middle - number[None, None]).abs()).clamp(min=0)
    both = (enlarge @ reduce)[:, None]
    return both @ layers @ both.transpose(-1, -2)


def add_noise(layers: Tensor, settings: Augmentation) -> Tensor:
    """Add Gaussian noise."""
    deviation = 255 * _even(layers, settings.noise_deviation)
    return (layers + deviation * torch.randn_like(layers)).clamp(0, 255)


def compress(layers: Tensor, settings: Augmentation) -> Tensor:
    """Compress as JPEG does; every layer by itself, as the brightness of a picture."""
    n, count, size, _ = layers.shape
    quality = _even(layers, settings.jpeg_quality).expand(n, count, 1, 1).reshape(-1)
    pictures = layers.reshape(n * count, 1, size, size).expand(-1, 3, -1, -1) / 255
    return 255 * jpeg_codec_differentiable(pictures, quality)[:, 0].reshape(layers.shape)


def erase(layers: Tensor, settings: Augmentation) -> Tensor:
    """Make a rectangle grey that lies within the crop (Zhong et al. 2017, arXiv 1708.04896)."""
    size = layers.shape[-1]
    area, ratio = _even(layers, settings.erasing_area), _factor(layers, (0.4, 2.5))
    place = torch.arange(size, dtype=layers.dtype, device=layers.device) + 0.5
    inside = []
    for length, axis in ((area * ratio, place[:, None]), (area / ratio, place[None, :])):
        side = length.sqrt().clamp(max=1) * size
        begin = _even(layers, (0.0, 1.0)) * (size - side)
        inside.append((axis >= begin) & (axis < begin + side))
    return torch.where(inside[0] & inside[1], GREY, layers)


EFFECTS: dict[str, Callable[[Tensor, Augmentation], Tensor]] = {
    "cover": cover,
    "light": lambda layers, settings: relight(layers, settings.light_strength),
    "hard-light": light_hard,
    "light-above": light_above,
    "shadows": cast_shadows,
    "gamma": change_gamma,
    "brightness": change_brightness,
    "contrast": change_contrast,
    "dark": darken,
    "blur": blur,
    "coarse": coarsen,
    "noise": add_noise,
    "jpeg": compress,
    "erasing": erase,
}
"""The transformations of :data:`mien.training.augmentation.TRANSFORMATIONS` that change values, in order."""


def _even(like: Tensor, ends: Range, count: int = 1) -> Tensor:
    """Draw numbers for each sample, evenly; of a shape that spreads over `like`."""
    shape = (len(like), count, *[1] * (like.ndim - 2))
    return torch.empty(shape, dtype=like.dtype, device=like.device).uniform_(*ends)


def _factor(like: Tensor, ends: Range, count: int = 1) -> Tensor:
    """Draw factors for each sample, evenly in their logarithm."""
    low, high = (math.log(max(end, 1e-6)) for end in ends)
    return torch.exp(_even(like, (low, high), count))


def _axes(crops: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Return how far every pixel lies in a direction and across it, -1 to 1 from edge to edge.

    An angle of 0 points to the right, of a quarter turn downwards.
    """
    axis = torch.linspace(-1, 1, crops.shape[-1], dtype=crops.dtype, device=crops.device)
    right, down = axis[None, :], axis[:, None]
    cos, sin = torch.cos(angle), torch.sin(angle)
    return cos * right + sin * down, cos * down - sin * right
