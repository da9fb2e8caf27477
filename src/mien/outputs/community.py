"""The columns of a table: mien's own, or the names that scripts of other communities expect.

Tables of other tools have columns for what mien does not measure (gaze, head pose, action units); these are
left out, never filled with a guess. Units are those of :data:`OPENFACE_COLUMNS` and :data:`FEX_COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mien.errors import unknown_name
from mien.readings import COLUMNS, MOVING_COLUMNS, TEXT_COLUMNS, WHOLE_COLUMNS, Column, Readings

Row = dict[str, Any]

OPENFACE_COLUMNS = (
    Column("frame", "from 1", "Number of the picture in its source, which OpenFace counts from 1."),
    Column("face_id", "from 0", "The track; of still pictures the number of the face. Empty without one."),
    Column("timestamp", "s", "Seconds from the start of the source; empty for still pictures."),
    Column("confidence", "0 to 1", "How sure the detector is that this is a face; 0 where there is none."),
    Column("success", "0 or 1", "1 for a face, 0 for a picture without."),
    Column("x_<i>", "px", "Landmark i of the 68 of iBUG, from the left edge; those that mien knows."),
    Column("y_<i>", "px", "The same from the top edge."),
    Column("emotion", "text", "mien's: the displayed emotion, of moving pictures after smoothing."),
    Column("<emotion>", "0 to 1", "mien's: probability of each emotion, not smoothed."),
    Column("source", "text", "mien's: the file."),
)
"""Columns of ``openface``: those of OpenFace 2's csv files that mien knows, in their order, then its own."""

FEX_COLUMNS = (
    Column("FaceRectX", "px", "Left edge of the face."),
    Column("FaceRectY", "px", "Top edge of the face."),
    Column("FaceRectWidth", "px", "Width of the face."),
    Column("FaceRectHeight", "px", "Height of the face."),
    Column("FaceScore", "0 to 1", "How sure the detector is that this is a face."),
    Column("x_<i>", "px", "Landmark i of the 68 of iBUG, from the left edge; those that mien knows."),
    Column("y_<i>", "px", "The same from the top edge."),
    Column("<emotion>", "0 to 1", "Probability of each emotion in py-feat's order, contempt last."),
    Column("Identity", "text", "Person_<track>, of moving pictures; by place and motion, not by who it is."),
    Column("frame", "from 0", "Number of the picture in its source."),
    Column("input", "text", "The file."),
    Column("approx_time", "mm:ss", "Time from the start of the source, in whole seconds."),
)
"""Columns of ``fex``: those of py-feat's Fex tables that mien knows; empty for a picture without a face."""

_FEX_EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_BOX = ("box_x", "box_y", "box_width", "box_height")
_RECTANGLE = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")
_IBUG_OF_5 = {"nose_tip": 30, "mouth_right": 48, "mouth_left": 54}
"""Which of our five landmarks are landmarks of iBUG; those have no point in the middle of an eye."""

_IBUG_POINTS = 68


@dataclass(frozen=True)
class TableLayout:
    """Which columns a table has, and how the readings of a frame become its rows.

    Parameters
    ----------
    name : str
        "mien", "openface" or "fex".
    fixed : tuple of str
        The columns that do not depend on the model; those of a table into which nothing was written.
    text, whole : tuple of str
        Which of its columns hold text and whole numbers; all others are fractions.
    names_of : callable
        Readings to the names of all columns, in order.
    rows_of : callable
        Readings to one dict for each row, with those names.
    """

    name: str
    fixed: tuple[str, ...]
    text: tuple[str, ...]
    whole: tuple[str, ...]
    names_of: Callable[[Readings], tuple[str, ...]]
    rows_of: Callable[[Readings], list[Row]]


def get_layout(name: str) -> TableLayout:
    """Return a layout by its name.

    Raises
    ------
    UnknownNameError
    """
    if name not in LAYOUTS:
        raise unknown_name("kind of columns", name, LAYOUTS)
    return LAYOUTS[name]


def _fixed(columns: Sequence[Column], without: Sequence[str] = ()) -> tuple[str, ...]:
    return tuple(c.name for c in columns if "<" not in c.name and c.name not in without)


def _openface_names(readings: Readings) -> tuple[str, ...]:
    points = _points(readings)
    axes = [f"{axis}_{i}" for axis in "xy" for i in points.values()]
    start = ("frame", "face_id", "timestamp", "confidence", "success")
    return (*start, *axes, "emotion", *readings.labels, "source")


def _openface_rows(readings: Readings) -> list[Row]:
    points = _points(readings)
    rows = []
    for row in readings.rows():
        track = row.get("track")
        start: Row = {
            "frame": row["frame"] + 1,
            "face_id": row["face"] if track is None else track,
            "timestamp": row["time_s"],
            "confidence": row["detection_score"] or 0.0,
            "success": row["success"],
        }
        shown = row["displayed"] if readings.is_moving else row["emotion"]
        scores = {name: row[name] for name in readings.labels}
        rows.append(start | _axes(row, points) | {"emotion": shown, **scores, "source": row["source"]})
    return rows


def _fex_names(readings: Readings) -> tuple[str, ...]:
    axes = [f"{axis}_{i}" for axis in "xy" for i in _points(readings).values()]
    end = ("Identity", "frame", "input", "approx_time")
    return (*_RECTANGLE, "FaceScore", *axes, *_fex_emotions(readings), *end)


def _fex_rows(readings: Readings) -> list[Row]:
    points = _points(readings)
    rows = []
    for row in readings.rows():
        track = row.get("track")
        end: Row = {
            "Identity": None if track is None else f"Person_{track}",
            "frame": row["frame"],
            "input": row["source"],
            "approx_time": None if row["time_s"] is None else _minutes(row["time_s"]),
        }
        box: Row = {name: row[ours] for name, ours in zip(_RECTANGLE, _BOX, strict=True)}
        scores = {name: row[name] for name in _fex_emotions(readings)}
        rows.append(box | {"FaceScore": row["detection_score"]} | _axes(row, points) | scores | end)
    return rows


def _points(readings: Readings) -> dict[str, int]:
    """Return which of the landmarks are landmarks of iBUG, by the start of their columns' names."""
    count = readings.faces.landmarks_xy.shape[1]
    if count < _IBUG_POINTS:
        return _IBUG_OF_5 if count == 5 else {}
    return {f"landmark_{i}": i for i in range(_IBUG_POINTS)}


def _axes(row: Row, points: dict[str, int]) -> Row:
    return {f"{axis}_{i}": row[f"{name}_{axis}"] for axis in "xy" for name, i in points.items()}


def _fex_emotions(readings: Readings) -> list[str]:
    known = [name for name in _FEX_EMOTIONS if name in readings.labels.names]
    return known + [name for name in readings.labels if name not in known]


def _minutes(time_s: float) -> str:
    minutes, seconds = divmod(int(time_s), 60)
    return f"{minutes:02d}:{seconds:02d}"


LAYOUTS = {
    layout.name: layout
    for layout in (
        TableLayout(
            "mien",
            _fixed(COLUMNS, MOVING_COLUMNS),
            TEXT_COLUMNS,
            WHOLE_COLUMNS,
            Readings.columns,
            Readings.rows,
        ),
        TableLayout(
            "openface",
            _fixed(OPENFACE_COLUMNS),
            ("emotion", "source"),
            ("frame", "face_id", "success"),
            _openface_names,
            _openface_rows,
        ),
        TableLayout(
            "fex",
            _fixed(FEX_COLUMNS),
            ("Identity", "input", "approx_time"),
            ("frame",),
            _fex_names,
            _fex_rows,
        ),
    )
}
"""The layouts by name."""
