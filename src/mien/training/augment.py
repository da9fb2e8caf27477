"""Altered copies of faces, made on the whole batch at once.

Mirroring, turning, scaling, shifting and cropping are folded into the alignment, so that a picture is
resampled once; see :mod:`mien.training.effects` for what changes its values.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor

from mien.errors import bad_argument
from mien.training.augmentation import PRESETS, TRANSFORMATIONS, Augmentation
from mien.training.effects import EFFECTS, relight

__all__ = [
    "EFFECTS", "MOVES", "PRESETS", "TRANSFORMATIONS", "Augment", "Augmentation", "cut", "jitter", "relight",
]  # fmt: skip


def jitter(matrix: Tensor, size: int, settings: Augmentation, flip: Tensor) -> Tensor:
    """Disturb alignments by a random turn, scale and shift about the crop's middle, and by cropping.

    Parameters
    ----------
    matrix : Tensor of shape (n, 2, 3) or (n, T, 2, 3)
        Picture to crop, continuous coordinates; the T frames of a sequence are disturbed alike.
    size : int
        Side of the crop in pixels.
    settings : Augmentation
        How far.
    flip : Tensor of shape (n,), bool
        Which to mirror.

    Returns
    -------
    Tensor of the shape of `matrix`
    """
    move = torch.eye(3, dtype=matrix.dtype, device=matrix.device).repeat(len(matrix), 1, 1)
    move[:, 0, 0] = torch.where(flip, -1.0, 1.0)
    for name, draw in MOVES.items():
        if settings.uses(name):
            move = draw(move, settings) @ move
    linear = move[:, :2, :2]
    middle = torch.full((len(matrix), 2, 1), size / 2, dtype=matrix.dtype, device=matrix.device)
    shift = middle + move[:, :2, 2:] * size - linear @ middle
    if matrix.ndim == 4:
        linear, shift = linear[:, None], shift[:, None]
    return torch.cat([linear @ matrix[..., :2], linear @ matrix[..., 2:] + shift], dim=-1)


def _turn(like: Tensor, settings: Augmentation) -> Tensor:
    angle = _normal(like, math.radians(settings.turn_deg))
    cos, sin = torch.cos(angle), torch.sin(angle)
    return _moves(like, linear=torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2))


def _scale(like: Tensor, settings: Augmentation) -> Tensor:
    return _moves(like, scale=torch.exp(_normal(like, settings.scale)))


def _shift(like: Tensor, settings: Augmentation) -> Tensor:
    return _moves(like, shift=torch.stack([_normal(like, settings.shift) for _ in "xy"], -1))


def _crop(like: Tensor, settings: Augmentation) -> Tensor:
    """Enlarge a square that lies within the crop to the whole of it."""
    area = torch.empty_like(like[:, 0, 0]).uniform_(*settings.crop_area)
    done = torch.rand_like(area) < settings.crop
    scale = torch.where(done, area.clamp(min=1e-3) ** -0.5, 1.0)
    spare = (torch.rand_like(like[:, 0, :2]) - 0.5) * (scale - 1)[:, None]
    return _moves(like, scale=scale, shift=spare)


MOVES: dict[str, Callable[[Tensor, Augmentation], Tensor]] = {
    "turn": _turn,
    "scale": _scale,
    "shift": _shift,
    "crop": _crop,
}
"""The transformations that move the crop, in order: each draws affine matrices (n, 3, 3) about its middle,
in sides of the crop. Mirroring is done before them."""


def cut(pictures: Tensor, matrix: Tensor, size: int) -> Tensor:
    """Resample pictures into crops by their alignment, repeating the border outside the picture.

    Parameters
    ----------
    pictures : Tensor of shape (n, H, W), (n, C, H, W), (n, H, W, 3) or (n, T, H, W, 3)
        0 to 255. C are colours that share an alignment, or the T frames of a sequence with an alignment
        each.
    matrix : Tensor of shape (n, 2, 3) or (n, T, 2, 3)
        Picture to crop, continuous coordinates.
    size : int
        Side of the crop in pixels.

    Returns
    -------
    Tensor of the layout of `pictures`, float32
        H and W are `size`.

    Raises
    ------
    ArgumentError
        If the shapes do not belong together.
    """
    frames = _as_frames(pictures, matrix)
    each = matrix if matrix.ndim == 4 else matrix[:, None].expand(-1, frames.shape[1], -1, -1)
    flat = each.reshape(-1, 2, 3)
    shift = flat[:, :, 2:] + flat[:, :, :2].sum(-1, keepdim=True) * 0.5 - 0.5  # kornia counts from centres
    centres = torch.cat([flat[:, :, :2], shift], dim=2)
    crops = warp_affine(frames.flatten(0, 1).float(), centres, (size, size), padding_mode="border")
    return _from_frames(crops.reshape(*frames.shape[:3], size, size), pictures.ndim, _last(pictures))


class Augment:
    """Cut crops with random turns, light, blur, noise and covered parts.

    Parameters
    ----------
    size : int
        Side of the crops in pixels.
    settings : Augmentation, optional
        How far the copies may differ.
    untouched : float
        Share of the copies that are mirrored and moved, but whose values stay as they are, from 0 to 1.
        Under strong settings hardly any copy would otherwise look like a picture in use.
    """

    def __init__(self, size: int, settings: Augmentation | None = None, *, untouched: float = 0.0) -> None:
        self.size = size
        self.settings = settings or Augmentation()
        self.untouched = untouched

    def __call__(self, pictures: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Cut a batch; the colours and the frames of one sample are altered alike.

        Parameters
        ----------
        pictures : Tensor of shape (n, H, W), (n, C, H, W), (n, H, W, 3) or (n, T, H, W, 3), uint8
            See :func:`cut`.
        matrix : Tensor of shape (n, 2, 3) or (n, T, 2, 3)
            Picture to crop.

        Returns
        -------
        crops : Tensor of the layout of `pictures`, float32
            0 to 255; H and W are the crops' side.
        flip : Tensor of shape (n,), bool
            Which are mirrored.
        """
        flip = torch.rand(len(pictures), device=matrix.device) < self.settings.mirror
        crops = cut(pictures, jitter(matrix, self.size, self.settings, flip), self.size)
        frames = _as_frames(crops, matrix)
        changed = self.alter(frames.flatten(1, 2)).reshape(frames.shape)
        return _from_frames(changed, pictures.ndim, _last(pictures)), flip

    def alter(self, layers: Tensor) -> Tensor:
        """Alter crops that are cut already: light, blur, noise, covered parts.

        Parameters
        ----------
        layers : Tensor of shape (n, L, S, S)
            0 to 255; the L layers of one sample are altered alike.

        Returns
        -------
        Tensor of shape (n, L, S, S)
            0 to 255.
        """
        return _some(layers, 1 - self.untouched, self._effects).clamp(0, 255)

    def _effects(self, layers: Tensor) -> Tensor:
        for name, effect in EFFECTS.items():
            share = getattr(self.settings, TRANSFORMATIONS[name][0])
            layers = _some(layers, share, effect, self.settings)
        return layers


def _some(layers: Tensor, share: float, change: Callable[..., Tensor], *settings: Augmentation) -> Tensor:
    """Change a share of the samples; the others cost nothing."""
    if share in (0, 1):
        return change(layers, *settings) if share else layers
    chosen = torch.nonzero(torch.rand(len(layers), device=layers.device) < share)[:, 0]
    if not len(chosen):
        return layers
    return layers.index_copy(0, chosen, change(layers[chosen], *settings))


def _normal(like: Tensor, deviation: float) -> Tensor:
    return deviation * torch.randn_like(like[:, 0, 0])


def _moves(
    like: Tensor, *, linear: Tensor | None = None, scale: Tensor | None = None, shift: Tensor | None = None
) -> Tensor:
    """Put parts into affine matrices of the shape of `like`, (n, 3, 3)."""
    move = torch.eye(3, dtype=like.dtype, device=like.device).repeat(len(like), 1, 1)
    if linear is not None:
        move[:, :2, :2] = linear
    if scale is not None:
        move[:, 0, 0] = move[:, 1, 1] = scale
    if shift is not None:
        move[:, :2, 2] = shift
    return move


def _last(pictures: Tensor) -> bool:
    """Return whether the last axis is that of the three colours."""
    return pictures.ndim == 5 or (pictures.ndim == 4 and pictures.shape[-1] == 3)


def _as_frames(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Bring any layout into (n, T, C, H, W); T is 1 where there is one alignment for all."""
    if pictures.ndim == 3:
        frames = pictures[:, None, None]
    elif pictures.ndim == 4 and pictures.shape[-1] == 3:
        frames = pictures.permute(0, 3, 1, 2)[:, None]
    elif pictures.ndim == 4:
        frames = pictures[:, :, None] if matrix.ndim == 4 else pictures[:, None]
    elif pictures.ndim == 5 and pictures.shape[-1] == 3:
        frames = pictures.permute(0, 1, 4, 2, 3)
    else:
        allowed = "of shape (n, H, W), (n, C, H, W), (n, H, W, 3) or (n, T, H, W, 3)"
        raise bad_argument("pictures", allowed=allowed, given=tuple(pictures.shape))
    wanted = (len(pictures), frames.shape[1], 2, 3) if matrix.ndim == 4 else (len(pictures), 2, 3)
    if tuple(matrix.shape) != wanted:
        raise bad_argument("matrix", allowed=f"of shape {wanted}", given=tuple(matrix.shape))
    return frames


def _from_frames(frames: Tensor, ndim: int, last: bool) -> Tensor:
    """Bring (n, T, C, S, S) back into the layout it came from."""
    if ndim == 3:
        return frames[:, 0, 0]
    if last:
        coloured = frames.permute(0, 1, 3, 4, 2)
        return coloured if ndim == 5 else coloured[:, 0]
    return frames.flatten(1, 2)
