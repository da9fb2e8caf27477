"""Readings drawn onto their picture: boxes, the displayed emotion of each face, bars and landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import OutputError, bad_argument
from mien.outputs.drawing import Colour, blend, rounded_mask, rounded_outline, text_width, write_text
from mien.outputs.files import check_target, write_file
from mien.outputs.layout import Placement, place_labels
from mien.outputs.palette import DARK, LIGHT, colour_of, text_colour_on
from mien.readings import UNSURE, Readings
from mien.sources.frame import check_image
from mien.sources.images import read_image

SAVE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""What the names of pictures that are written may end in."""

_LEGIBLE_PX = 420
"""A picture smaller than this (square root of its area) is enlarged before it is drawn on."""

_TEXT_PX = 11
"""The smallest text that can be read; none is drawn where not even this fits."""

_HIDDEN = 0.12
"""The part of a face that its own bars may hide; otherwise only its name is drawn."""

_LANDMARKS_FROM_PX = 40
"""A smaller face is drawn without landmarks: they would hide it."""

_JPEG_QUALITY = 92


def annotate(
    image: NDArray[np.uint8], readings: Readings, *, bars: int = 3, enlarge: bool = True
) -> NDArray[np.uint8]:
    """Draw readings onto a copy of their picture.

    Each face gets a box in the colour of its displayed emotion, the emotion with its probability, and,
    where there is room beside all faces, bars for the most probable emotions. With several faces each
    also carries its number in the table ("#0"); of moving pictures its track, and the smoothed values.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
        RGB, the picture the readings came from.
    readings : Readings
    bars : int
        How many emotions get a bar; 0 for none.
    enlarge : bool
        Whether a picture too small for legible text is enlarged, by a whole factor.

    Returns
    -------
    ndarray of shape (f * H, f * W, 3), uint8
        RGB; f is 1 unless the picture was enlarged.

    Raises
    ------
    ArgumentError
        If the picture is not RGB of 8 bits, or not of the size the readings came from.
    """
    check_image(image)
    height, width = image.shape[:2]
    if readings.size_px not in ((0, 0), (width, height)):
        allowed = "the picture the readings came from, {} x {}".format(*readings.size_px)
        raise bad_argument("image", allowed=allowed, given=f"{width} x {height}")
    factor = _enlargement(width, height) if enlarge else 1
    canvas = _enlarged(image, factor)
    box = readings.faces.box_xyxy.astype(np.float64) * factor
    labels, placement = _lay_out(readings, box, canvas.shape[1::-1], bars)
    for i in range(len(readings)):
        _draw_face(canvas, box[i], readings.faces.landmarks_xy[i] * factor, labels[i])
    for label, corner in zip(labels, placement.corner_xy, strict=True):
        label.draw(canvas, corner)
    return canvas


def annotate_file(source: str | Path, readings: Readings, target: str | Path, *, bars: int = 3) -> None:
    """Draw readings onto the picture of a file, and save it under another name.

    Raises
    ------
    SourceError
        If the picture cannot be read.
    ArgumentError, OutputError
        As :func:`save_image`.
    """
    save_image(target, annotate(read_image(source), readings, bars=bars))


def save_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Save a picture, whole or not at all, in the format that its name says.

    Parameters
    ----------
    path : path
        Ends in one of :data:`SAVE_SUFFIXES`.
    image : ndarray of shape (H, W, 3), uint8
        RGB.

    Raises
    ------
    ArgumentError
        If the name ends in something else.
    OutputError
        If the picture cannot be written there, or is too large for the format.
    """
    import cv2

    check_image(image)
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SAVE_SUFFIXES:
        raise bad_argument("path", allowed=f"a name that ends in {', '.join(SAVE_SUFFIXES)}", given=str(path))
    check_target(target)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix in (".jpg", ".jpeg") else []
    try:
        done, data = cv2.imencode(suffix, image[..., ::-1], options)
    except cv2.error as error:
        raise OutputError(f"{target} cannot be written as {suffix}: {error.err}.") from error
    if not done:
        raise OutputError(f"{target} cannot be written as {suffix}: the picture is too large for the format.")
    write_file(target, data.tobytes())


@dataclass(frozen=True)
class _Row:
    name: str
    percent: str
    part: float
    colour: Colour


class _Label:
    """The title of a face, and under it its bars; measured once, drawn where it is put."""

    def __init__(self, title: str, colour: Colour, rows: list[_Row], text_px: float, wide_px: float) -> None:
        self.colour = colour
        self._title, self._rows, self._text = title, rows, text_px
        self._small = max(_TEXT_PX * 0.9, text_px * 0.86)
        self._pad = round(text_px * 0.55)
        self._head = round(text_px * 1.75)
        self._step = round(self._small * 1.5)
        self._names = max((text_width(row.name, self._small) for row in rows), default=0)
        self._percents = max((text_width(row.percent, self._small) for row in rows), default=0)
        bars = self._names + self._percents + round(text_px * 4) + 2 * self._pad if rows else 0
        self.width = max(text_width(title, text_px, bold=True), bars) + 2 * self._pad
        if rows:
            self.width = round(float(np.clip(wide_px, self.width, self.width * 1.6)))
        self.height = self._head + (self._step * len(rows) + self._pad if rows else 0)

    def draw(self, canvas: NDArray[np.uint8], corner: NDArray[np.float64]) -> None:
        import cv2

        if self._text < _TEXT_PX:
            return
        left, top = (round(float(value)) for value in corner)
        area = canvas[top : top + self.height, left : left + self.width]
        radius = self._text * 0.35
        mask = rounded_mask(area.shape[1], area.shape[0], radius)
        blend(area[: self._head], self.colour, mask[: self._head])
        blend(area[self._head :], DARK, mask[self._head :] * 0.82)
        outline = rounded_outline(
            np.array([left, top]), np.array([left + self.width, top + self.height]) - 1, radius
        )
        cv2.polylines(canvas, [outline], True, self.colour, max(1, round(self._text / 12)), cv2.LINE_AA)
        middle = top + self._head / 2
        write_text(
            canvas, self._title, left + self._pad, middle, text_colour_on(self.colour), self._text, bold=True
        )
        for number, row in enumerate(self._rows):
            y = top + self._head + self._pad * 0.5 + self._step * (number + 0.5)
            self._draw_row(canvas, row, left + self._pad, left + self.width - self._pad, y)

    def _draw_row(self, canvas: NDArray[np.uint8], row: _Row, left: int, right: int, y: float) -> None:
        write_text(canvas, row.name, left, y, LIGHT, self._small)
        indent = self._percents - text_width(row.percent, self._small)
        write_text(canvas, row.percent, right - self._percents + indent, y, LIGHT, self._small)
        start, end = left + self._names + self._pad, right - self._percents - self._pad
        half = max(1.5, self._small * 0.24)
        rows = slice(round(y - half), round(y + half))
        track = canvas[rows, start:end]
        blend(track, LIGHT, np.full(track.shape[:2], 0.16, np.float32))
        filled = canvas[rows, start : start + max(1, round((end - start) * row.part))]
        filled[:] = row.colour


def _lay_out(
    readings: Readings, box: NDArray[np.float64], picture_px: tuple[int, ...], bars: int
) -> tuple[list[_Label], Placement]:
    """Choose how much each label says: bars for all where all fit, else names only."""
    width, height = picture_px
    scale = np.sqrt(width * height)
    smallest, largest = max(_TEXT_PX, scale / 80), max(_TEXT_PX + 2, scale / 36)
    texts = [float(np.clip((b[2] - b[0]) / 12, smallest, largest)) for b in box]
    for count, first in ((bars, "below"), (0, "above")):
        labels = [_label(readings, i, box[i], count, texts[i], picture_px) for i in range(len(box))]
        sizes = [(label.width, label.height) for label in labels]
        placement = place_labels(box, sizes, (width, height), gap=smallest * 0.4, first=first)
        if not placement.on_others and (placement.on_own <= _HIDDEN).all():
            break
    return labels, placement


def _label(
    readings: Readings,
    i: int,
    box: NDArray[np.float64],
    bars: int,
    text_px: float,
    picture_px: tuple[int, ...],
) -> _Label:
    emotion, probability, number = readings.emotion[i], readings.probability[i], i
    if readings.smoothed is not None and readings.displayed is not None:
        emotion, probability = readings.displayed[i], readings.smoothed[i]
        number = int(readings.faces.track_id[i])
    sure = "" if emotion == UNSURE else f" {_percent(probability[readings.labels.index(emotion)])}"
    title = f"#{number} {emotion}{sure}" if len(readings) > 1 else f"{emotion}{sure}"
    best = np.argsort(-probability, kind="stable")[:bars]
    names = readings.labels.names
    rows = [
        _Row(names[k], _percent(probability[k]), float(probability[k]), colour_of(names[k])) for k in best
    ]
    left, _, right, _ = box
    label = _Label(title, colour_of(emotion), rows, text_px, right - left)
    too_large = max(label.width / picture_px[0], label.height / picture_px[1])
    return label if too_large <= 1 else _Label(title, label.colour, rows, text_px / too_large / 1.05, 0)


def _draw_face(
    canvas: NDArray[np.uint8],
    box: NDArray[np.float64],
    landmarks: NDArray[np.float32],
    label: _Label,
) -> None:
    import cv2

    height, width = canvas.shape[:2]
    side = float((box[2:] - box[:2]).max())
    stroke = round(min(side / 90, np.sqrt(width * height) / 280)) + 1
    low = np.clip(np.round(box[:2]), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.round(box[2:]), low + 1, (width, height)).astype(int) - 1
    outline = rounded_outline(low, high, side * 0.08)
    cv2.polylines(canvas, [outline], True, DARK, stroke + 2 * ((stroke + 2) // 3), cv2.LINE_AA)
    cv2.polylines(canvas, [outline], True, label.colour, stroke, cv2.LINE_AA)
    if side < _LANDMARKS_FROM_PX:
        return
    radius = max(2.0, side * 0.013)
    for x, y in landmarks:
        if 0 <= x < width and 0 <= y < height:
            centre = (round(float(x) * 16 - 8), round(float(y) * 16 - 8))  # in sixteenths of a pixel
            cv2.circle(canvas, centre, round((radius + max(1, radius * 0.5)) * 16), DARK, -1, cv2.LINE_AA, 4)
            cv2.circle(canvas, centre, round(radius * 16), LIGHT, -1, cv2.LINE_AA, 4)


def _enlargement(width: int, height: int) -> int:
    return max(1, int(np.ceil(_LEGIBLE_PX / max(np.sqrt(width * height), max(width, height) / 5))))


def _enlarged(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    import cv2

    if factor == 1:
        return image.copy()
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _percent(probability: Any) -> str:
    return f"{round(float(probability) * 100)}%"
