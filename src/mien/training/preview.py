"""What altered copies look like: one sheet with a row for every transformation, and rows of all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.align import CropSpec, framed_matrices
from mien.faces.detect import Detector, find_single
from mien.faces.faces import Faces
from mien.outputs.drawing import write_text
from mien.training.augment import Augment
from mien.training.augmentation import SHARES, TRANSFORMATIONS, Augmentation

TILE_PX = 116
"""About how large a crop is shown; it is enlarged by a whole factor, so that its pixels are seen."""

AROUND = 0.5
"""How much of what surrounds the crop is kept for turns and shifts, in sides of the template's square."""

_WHITE, _INK, _PALE = 255, (34, 34, 34), (120, 120, 120)
_LABEL_PX, _GAP_PX, _HEAD_PX, _TEXT_PX = 176, 4, 30, 15

Picture = NDArray[np.uint8]


def draw_preview(
    images: Sequence[Picture],
    spec: CropSpec,
    settings: Augmentation,
    *,
    detector: Detector | None = None,
    draws: int = 7,
    rows: int = 2,
    seed: int = 0,
) -> Picture:
    """Draw a contact sheet of altered copies.

    Each transformation has a row in which it is done to every copy, as strongly as in the settings, beside
    the picture as it is; also those that the settings leave out, which is said. In the last rows everything
    happens together, as often as in the settings.

    Parameters
    ----------
    images : sequence of ndarray of shape (H, W) or (H, W, 3), uint8
        Pictures of one face; the rows take them in turn.
    spec : CropSpec
        How crops are cut; from the card of the model that learns.
    settings : Augmentation
    detector : Detector, optional
        Finds the face to cut by; without one, or without a face, a picture is taken as a face framed like
        the template.
    draws : int
        Copies in a row.
    rows : int
        Rows in which everything happens together.
    seed : int

    Returns
    -------
    ndarray of shape (h, w, 3), uint8
        RGB.
    """
    for name, value in {"draws": draws, "rows": rows, "images": len(images)}.items():
        if value < 1:
            raise bad_argument(name, allowed="one or more", given=value)
    patches = [_patch(image, spec, detector) for image in images]
    lines = [(name, _how_often(name, settings), settings.only(name)) for name in TRANSFORMATIONS]
    lines += [("all together", "", settings)] * rows
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        strips = [
            _strip(patches[i % len(patches)], spec, line_settings, draws)
            for i, (_, _, line_settings) in enumerate(lines)
        ]
    return _lay_out([(name, often) for name, often, _ in lines], strips)


def _patch(image: Picture, spec: CropSpec, detector: Detector | None) -> Picture:
    """Cut a face with its surroundings, in pixels as large as those of the crop."""
    _, (margin, size) = _both(spec)
    wide = replace(spec, margin=margin, size=size)
    faces = Faces.empty() if detector is None else find_single(image, detector)
    return wide.cut(image, faces.landmarks_xy)[0] if len(faces) else wide.cut_framed(image)


def _both(spec: CropSpec) -> tuple[tuple[float, int], tuple[float, int]]:
    """Return margin and size of the crop, and of the crop with its surroundings."""
    margin = spec.margin + AROUND
    size = round(spec.size * (1 + 2 * margin) / (1 + 2 * spec.margin))
    return (spec.margin, spec.size), (margin, size)


def _strip(patch: Picture, spec: CropSpec, settings: Augmentation, draws: int) -> list[Picture]:
    """Return the crop as it is, and altered copies."""
    crop, wide = (framed_matrices([(1, 1)], m, s)[0] for m, s in _both(spec))  # from the template's square
    ratio = crop[0, 0] / wide[0, 0]
    matrix = np.column_stack([np.eye(2) * ratio, crop[:, 2] - ratio * wide[:, 2]])
    copies = torch.from_numpy(patch)[None].repeat(draws, *[1] * patch.ndim)
    matrices = torch.from_numpy(matrix).float()[None].repeat(draws, 1, 1)
    plain, _ = Augment(spec.size, Augmentation.preset("none"))(copies[:1], matrices[:1])
    altered, _ = Augment(spec.size, settings)(copies, matrices)
    return list(torch.cat([plain, altered]).round().byte().numpy())


def _how_often(name: str, settings: Augmentation) -> str:
    if not settings.uses(name):
        return "not in this preset"
    switch = TRANSFORMATIONS[name][0]
    return f"{getattr(settings, switch):.0%} of the pictures" if switch in SHARES else "every picture"


def _lay_out(labels: list[tuple[str, str]], strips: list[list[Picture]]) -> Picture:
    side = len(strips[0][0])
    factor = max(1, round(TILE_PX / side))
    step = side * factor + _GAP_PX
    columns = len(strips[0])
    width = _LABEL_PX + columns * step + 3 * _GAP_PX
    sheet = np.full((_HEAD_PX + len(strips) * step, width, 3), _WHITE, np.uint8)
    starts = [_LABEL_PX + column * step + (3 * _GAP_PX if column else 0) for column in range(columns)]
    write_text(sheet, "as it is", starts[0], _HEAD_PX / 2, _INK, _TEXT_PX, bold=True)
    write_text(sheet, "altered", starts[1], _HEAD_PX / 2, _INK, _TEXT_PX, bold=True)
    for row, ((name, often), strip) in enumerate(zip(labels, strips, strict=True)):
        top = _HEAD_PX + row * step
        middle = top + side * factor / 2
        write_text(sheet, name, 10, middle - (10 if often else 0), _INK, _TEXT_PX + 2, bold=True)
        write_text(sheet, often, 10, middle + 12, _PALE, _TEXT_PX - 2)
        for left, crop in zip(starts, strip, strict=True):
            shown = crop if crop.ndim == 3 else np.repeat(crop[..., None], 3, axis=2)
            tile = np.kron(shown, np.ones((factor, factor, 1), np.uint8))
            sheet[top : top + len(tile), left : left + len(tile)] = tile
    return sheet
