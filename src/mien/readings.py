"""Readings: what one frame shows, as parallel arrays over its faces, and the table they become.

The emotion of a face is the expression it displays, not what the person feels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import bad_argument
from mien.faces.align import LANDMARKS
from mien.faces.faces import Faces
from mien.labels import LabelSet

if TYPE_CHECKING:
    import pandas as pd

UNSURE = "unsure"
"""What stands for the emotion of a face whose best probability is below the threshold."""


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Parameters
    ----------
    name : str
        Its heading; a part in angle brackets stands for several columns.
    unit : str
        Unit or range, or "text".
    meaning : str
        One sentence.
    """

    name: str
    unit: str
    meaning: str


COLUMNS = (
    Column("source", "text", "The file, or what the picture came as."),
    Column("frame", "from 0", "Position of the picture in its source."),
    Column("time_s", "s", "Seconds from the start of the source; empty for still pictures."),
    Column("face", "from 0", "Number of the face in its picture; empty where there is none."),
    Column("track", "from 0", "Of moving pictures: the same number for the same person over frames."),
    Column(
        "success", "0 or 1", "1 for a face; 0 for a picture without one; what describes a face is then empty."
    ),
    Column("box_x", "px", "Left edge of the face; 0 is the left edge of the picture."),
    Column("box_y", "px", "Top edge of the face; 0 is the top edge of the picture."),
    Column("box_width", "px", "Width of the face."),
    Column("box_height", "px", "Height of the face."),
    Column("detection_score", "0 to 1", "How sure the detector is that this is a face."),
    Column("<landmark>_x", "px", "One column for each landmark; right and left are the subject's."),
    Column("<landmark>_y", "px", "One column for each landmark."),
    Column("emotion", "text", "The most probable displayed emotion, or 'unsure'."),
    Column("confidence", "0 to 1", "Probability of the most probable emotion."),
    Column("<emotion>", "0 to 1", "Probability of each emotion; a row sums to 1."),
    Column("displayed", "text", "Of moving pictures: the emotion after smoothing, which does not flicker."),
    Column(
        "smooth_<emotion>", "0 to 1", "Of moving pictures: probabilities smoothed over time for each person."
    ),
    Column("model", "text", "The model that read the expression."),
)
"""The columns of every table mien writes, in order, one row per face (see :func:`column_names`)."""

MOVING_COLUMNS = ("track", "displayed", "smooth_<emotion>")
"""Those that only moving pictures have."""

TEXT_COLUMNS = ("source", "emotion", "displayed", "model")
WHOLE_COLUMNS = ("frame", "face", "success", "track")
"""Columns of text and of whole numbers; all others are fractions."""

_TIME_DIGITS, _PIXEL_DIGITS, _SCORE_DIGITS, _PROBABILITY_DIGITS = 6, 2, 4, 6


def landmark_names(points: int) -> tuple[str, ...]:
    """Return the names of `points` landmarks: the five known ones, or their numbers."""
    return LANDMARKS if points == len(LANDMARKS) else tuple(f"landmark_{i}" for i in range(points))


def column_names(labels: LabelSet, points: int = len(LANDMARKS), *, moving: bool = False) -> tuple[str, ...]:
    """Return the headings of the table for a label set and a number of landmarks, in order.

    Parameters
    ----------
    labels : LabelSet
        Gives one column for each emotion.
    points : int
        Landmarks of each face.
    moving : bool
        Whether the columns of moving pictures are among them.
    """
    several = {
        "<landmark>_x": [f"{name}_{axis}" for name in landmark_names(points) for axis in "xy"],
        "<landmark>_y": [],  # beside their x
        "<emotion>": list(labels),
        "smooth_<emotion>": [f"smooth_{name}" for name in labels],
    }
    wanted = [column.name for column in COLUMNS if moving or column.name not in MOVING_COLUMNS]
    return tuple(name for column in wanted for name in several.get(column, [column]))


@dataclass(frozen=True, eq=False)
class Readings:
    """The expressions of the n faces of one frame.

    Parameters
    ----------
    faces : Faces
        Where they are, in pixels of the original frame.
    labels : LabelSet
        The k emotions.
    probability : ndarray of shape (n, k), float32
        Rows that sum to one. Stored read-only.
    model : str
        The model that read them.
    source : str
        What the frame came from.
    index : int
        Position of the frame in its source.
    time_s : float, optional
        Seconds from the start of the source.
    size_px : tuple of int
        Width and height of the frame.
    unsure : float
        A face whose best probability is below this is "unsure"; 0 names every face.
    smoothed : ndarray of shape (n, k), float32, optional
        Of moving pictures: probabilities smoothed over time for each person. Stored read-only.
    displayed : tuple of str, optional
        Of moving pictures: the emotion of each face after smoothing, which does not flicker; or "unsure".
        Given together with `smoothed`.
    captured_s : float, optional
        Of a live source: when the frame was taken, seconds of :func:`time.monotonic`.

    Raises
    ------
    ArgumentError
        If a shape is wrong, a probability is outside 0 to 1, or a row does not sum to one.
    """

    faces: Faces
    labels: LabelSet
    probability: NDArray[np.float32]
    model: str
    source: str = ""
    index: int = 0
    time_s: float | None = None
    size_px: tuple[int, int] = (0, 0)
    unsure: float = 0.0
    smoothed: NDArray[np.float32] | None = None
    displayed: tuple[str, ...] | None = None
    captured_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.unsure <= 1:
            raise bad_argument("unsure", allowed="a number from 0 to 1", given=self.unsure)
        object.__setattr__(self, "probability", self._checked("probability", self.probability))
        if (self.smoothed is None) != (self.displayed is None):
            raise bad_argument("displayed", allowed="given together with smoothed", given=self.displayed)
        if self.smoothed is None or self.displayed is None:
            return
        object.__setattr__(self, "smoothed", self._checked("smoothed", self.smoothed))
        known = {*self.labels, UNSURE}
        if len(self.displayed) != len(self.faces) or not known.issuperset(self.displayed):
            allowed = f"one of {', '.join(sorted(known))} for each of {len(self.faces)} faces"
            raise bad_argument("displayed", allowed=allowed, given=self.displayed)

    def _checked(self, parameter: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
        wanted = (len(self.faces), len(self.labels))
        checked = np.asarray(values).astype(np.float32, copy=False).view()
        if checked.shape != wanted:
            allowed = f"of shape {wanted}: a row for each face, a column for each emotion"
            raise bad_argument(parameter, allowed=allowed, given=checked.shape)
        if not ((checked >= 0).all() and np.allclose(checked.sum(axis=1), 1, atol=1e-3)):
            raise bad_argument(parameter, allowed="rows of 0 to 1 that sum to 1", given=checked)
        checked.flags.writeable = False
        return checked

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, rows: int | slice | Sequence[int] | NDArray[Any]) -> Readings:
        """Return the readings of some faces: by mask, slice, list of positions, or one position."""
        faces = self.faces[rows]
        if isinstance(rows, (int, np.integer)):
            rows = [int(rows)]
        index = rows if isinstance(rows, slice) else np.asarray(rows, None if len(rows) else np.int64)
        chosen = replace(
            self, faces=faces, probability=self.probability[index], smoothed=None, displayed=None
        )
        if self.smoothed is None or self.displayed is None:
            return chosen
        displayed = tuple(np.array(self.displayed, object)[index])
        return replace(chosen, smoothed=self.smoothed[index], displayed=displayed)

    @property
    def is_moving(self) -> bool:
        """Whether they are of moving pictures, with tracks and smoothed probabilities."""
        return self.smoothed is not None

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Probability of each face's most probable emotion, shape (n,)."""
        best: NDArray[np.float32] = self.probability.max(axis=1, initial=0)
        return best

    @property
    def emotion(self) -> list[str]:
        """The displayed emotion of each face, or "unsure" where its probability is below `unsure`."""
        best = self.probability.argmax(axis=1)
        sure = self.confidence >= self.unsure
        return [self.labels.names[i] if known else UNSURE for i, known in zip(best, sure, strict=True)]

    def columns(self) -> tuple[str, ...]:
        """Return the headings of :meth:`rows`."""
        return column_names(self.labels, self.faces.landmarks_xy.shape[1], moving=self.is_moving)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the table: one for each face, or one that says that there is none.

        Returns
        -------
        list of dict
            Each with the keys of :meth:`columns`, in order; None is an empty cell. Pixels are rounded to
            0.01, scores to 0.0001, probabilities to 0.000001.
        """
        frame = self._frame_cells()
        if not len(self):
            empty: dict[str, Any] = dict.fromkeys(self.columns())
            return [empty | frame | {"success": 0, "model": self.model}]
        cells = [
            self._face_cells(i) | self._moving_cells(i) | {"model": self.model} for i in range(len(self))
        ]
        order = self.columns()
        return [{name: row[name] for name in order} for row in (frame | face for face in cells)]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one nested dict for each face, of plain Python values, ready for JSON.

        Returns
        -------
        list of dict
            Empty where there is no face. Keys: source, frame, time_s, face, box_xyxy (px),
            detection_score, landmarks_xy (a name to x, y; px), emotion, confidence, probability (an
            emotion to 0 to 1), model; of moving pictures also track, displayed, smoothed (as probability).
        """
        names = landmark_names(self.faces.landmarks_xy.shape[1])
        emotion = self.emotion
        box, points = (_rounded(a, _PIXEL_DIGITS) for a in (self.faces.box_xyxy, self.faces.landmarks_xy))
        probability = _rounded(self.probability, _PROBABILITY_DIGITS)
        return [
            {
                **self._frame_cells(),
                "face": i,
                "box_xyxy": box[i].tolist(),
                "detection_score": round(float(self.faces.score[i]), _SCORE_DIGITS),
                "landmarks_xy": dict(zip(names, points[i].tolist(), strict=True)),
                "emotion": emotion[i],
                "confidence": float(probability[i].max()),
                "probability": dict(zip(self.labels, probability[i].tolist(), strict=True)),
                **self._moving_entries(i),
                "model": self.model,
            }
            for i in range(len(self))
        ]

    def to_pandas(self) -> pd.DataFrame:
        """Return :meth:`rows` as a table whose types do not depend on what was found."""
        import pandas as pd

        table = pd.DataFrame(self.rows(), columns=list(self.columns()))
        text = dict.fromkeys(TEXT_COLUMNS, "object")
        whole = {name: "int64" if name in ("frame", "success") else "Int64" for name in WHOLE_COLUMNS}
        kinds = {name: text.get(name) or whole.get(name) or "float64" for name in table.columns}
        return table.astype(kinds)

    def _frame_cells(self) -> dict[str, Any]:
        time_s = None if self.time_s is None else round(float(self.time_s), _TIME_DIGITS)
        # Names of files that are no Unicode keep their odd bytes, escaped: every output can hold them.
        source = self.source.encode("utf-8", "backslashreplace").decode("utf-8")
        return {"source": source, "frame": self.index, "time_s": time_s}

    def _face_cells(self, i: int) -> dict[str, Any]:
        left, top, right, bottom = self.faces.box_xyxy[i].astype(np.float64)
        box = _rounded(np.array([left, top, right - left, bottom - top]), _PIXEL_DIGITS)
        points = _rounded(self.faces.landmarks_xy[i], _PIXEL_DIGITS)
        probability = _rounded(self.probability[i], _PROBABILITY_DIGITS)
        names = [f"{name}_{axis}" for name in landmark_names(len(points)) for axis in "xy"]
        return {
            "face": i,
            "success": 1,
            **dict(zip(("box_x", "box_y", "box_width", "box_height"), box.tolist(), strict=True)),
            "detection_score": round(float(self.faces.score[i]), _SCORE_DIGITS),
            **dict(zip(names, points.ravel().tolist(), strict=True)),
            "emotion": self.emotion[i],
            "confidence": float(probability.max()),
            **dict(zip(self.labels, probability.tolist(), strict=True)),
        }

    def _moving_entries(self, i: int) -> dict[str, Any]:
        if self.smoothed is None or self.displayed is None:
            return {}
        smooth = dict(zip(self.labels, _rounded(self.smoothed[i], _PROBABILITY_DIGITS).tolist(), strict=True))
        track = int(self.faces.track_id[i])
        return {"track": track, "displayed": self.displayed[i], "smoothed": smooth}

    def _moving_cells(self, i: int) -> dict[str, Any]:
        entries = self._moving_entries(i)
        smooth = entries.pop("smoothed", {})
        return entries | {f"smooth_{name}": value for name, value in smooth.items()}


def _rounded(values: NDArray[Any], digits: int) -> NDArray[np.float64]:
    return np.asarray(values, np.float64).round(digits)
