"""Tables of readings, read back: CSV, JSON Lines or Parquet, whole or interrupted."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import SourceError, SourceNotFoundError, require
from mien.outputs.journal import PART
from mien.readings import UNSURE

if TYPE_CHECKING:
    import pandas as pd

_NEEDED = ("source", "frame", "time_s", "success", "model")
_LINES_AT_ONCE = 20_000
"""Lines of JSON in memory as Python values at a time."""

_SMOOTH = "smooth_"
_OTHERS = {"face_id": "openface", "FaceRectX": "fex"}
"""Columns by which the tables of other communities are known."""


@dataclass(frozen=True, eq=False)
class FilmTable:
    """What a summary needs of a table: m rows, one for each face, or one for a frame without.

    Parameters
    ----------
    source : str
        The film.
    model : str
        The model that read it.
    emotions : tuple of str
        The k emotions with a column.
    frame : ndarray of shape (m,), int64
        Number of the frame, not decreasing.
    time_s : ndarray of shape (m,), float64
        Seconds from the start of the film.
    track : ndarray of shape (m,), int64
        The person; -1 in a frame without a face, and of a face that belongs to none.
    has_face : ndarray of shape (m,), bool
        Whether the row is a face.
    displayed : ndarray of shape (m,), object
        The displayed emotion, or "unsure"; "" in a frame without a face.
    probability : ndarray of shape (m, k), float32
        Smoothed; NaN in a frame without a face.
    """

    source: str
    model: str
    emotions: tuple[str, ...]
    frame: NDArray[np.int64]
    time_s: NDArray[np.float64]
    track: NDArray[np.int64]
    has_face: NDArray[np.bool_]
    displayed: NDArray[np.object_]
    probability: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frame)


def read_film(path: str | Path) -> FilmTable:
    """Read the table of a film.

    Parameters
    ----------
    path : path
        CSV, JSON Lines or Parquet with mien's own columns, told apart by its content; also the
        ``NAME.part`` of an interrupted run, whose last line may be torn.

    Raises
    ------
    SourceNotFoundError
        If the path leads to nothing.
    SourceError
        If it is no such table, of still pictures, of several films, or without rows.
    MissingExtraError
        For Parquet, if pyarrow is not installed.
    """
    file = Path(path)
    try:
        table = _read(file)
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"{file} does not exist.") from error
    except (OSError, ValueError) as error:  # what pandas and pyarrow raise is one of these
        raise SourceError(
            f"{file} cannot be read as a table of readings: {getattr(error, 'strerror', None) or error}."
        ) from error
    return _checked(table, str(file))


def as_film(table: pd.DataFrame, name: str = "table") -> FilmTable:
    """Take a table that is in memory; see :func:`read_film`. `name` is what a complaint calls it."""
    return _checked(table, name)


def _read(file: Path) -> pd.DataFrame:
    import pandas as pd

    with file.open("rb") as opened:
        start = opened.read(4)
    if start == b"PAR1":
        parquet = require("pyarrow.parquet", purpose="Reading Parquet", extra="parquet")
        names = parquet.read_schema(file).names
        frame: pd.DataFrame = parquet.read_table(file, columns=list(filter(_is_wanted, names))).to_pandas()
        return frame
    whole = file.suffix != PART
    if start[:1] == b"{":
        return _read_lines(file, whole)
    data = file.read_bytes()
    data = data if whole else data[: data.rfind(b"\n") + 1]
    return pd.read_csv(io.BytesIO(data), usecols=_is_wanted, skipinitialspace=True) if data else _nothing()


def _read_lines(file: Path, whole: bool) -> pd.DataFrame:
    import pandas as pd

    pieces = []
    with file.open(encoding="utf-8") as lines:
        while some := list(islice(lines, _LINES_AT_ONCE)):
            if not whole and not some[-1].endswith("\n"):
                del some[-1]
            if not some:
                break
            rows = [json.loads(line) for line in some]
            if not all(isinstance(row, dict) for row in rows):
                raise ValueError("a line is no JSON object")
            names = list(filter(_is_wanted, rows[0]))
            pieces.append(pd.DataFrame({name: [row.get(name) for row in rows] for name in names}))
    return pd.concat(pieces, ignore_index=True) if pieces else _nothing()


def _nothing() -> pd.DataFrame:
    """Return the table of a file that is empty."""
    import pandas as pd

    return pd.DataFrame(columns=list(_NEEDED))


def _is_wanted(name: Any) -> bool:
    """Whether a summary needs a column, or knows by it what the table is."""
    plain = str(name).strip()
    return plain in {*_NEEDED, "track", "displayed", *_OTHERS} or plain.startswith(_SMOOTH)


def _checked(table: pd.DataFrame, name: str) -> FilmTable:
    import pandas as pd

    columns = [str(column).strip() for column in table.columns]
    table = table.set_axis(columns, axis=1)
    for column, kind in _OTHERS.items():
        if column in columns:
            raise SourceError(
                f"{name} has the columns of {kind!r}: a summary is made of a table with mien's own, "
                "written without --columns."
            )
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise SourceError(f"{name} is no table of readings: it has no column {', '.join(missing)}.")
    if not len(table):
        raise SourceError(f"{name} has no rows.")
    time_s = pd.to_numeric(table["time_s"], errors="coerce").to_numpy(np.float64)
    if not {"track", "displayed"}.issubset(columns) or not np.isfinite(time_s).all():
        raise SourceError(
            f"{name} is of still pictures: its rows have no times or no tracks. "
            "A summary is made of the table of a film."
        )
    sources = table["source"].astype(str).unique()
    if len(sources) > 1:
        raise SourceError(
            f"{name} has {len(sources)} films ({sources[0]!r}, {sources[1]!r} ...): one is wanted."
        )
    return _film(table, time_s, str(sources[0]), name)


def _film(table: pd.DataFrame, time_s: NDArray[np.float64], source: str, name: str) -> FilmTable:
    import pandas as pd

    emotions = tuple(column.removeprefix(_SMOOTH) for column in map(str, table) if column.startswith(_SMOOTH))
    try:
        values = table[[_SMOOTH + emotion for emotion in emotions]].astype(np.float32).to_numpy()
        frame = table["frame"].to_numpy(np.int64)
        track = pd.to_numeric(table["track"]).fillna(-1).to_numpy(np.int64)
        has_face = pd.to_numeric(table["success"]).to_numpy(np.int64) == 1
    except (ValueError, TypeError) as error:
        raise SourceError(
            f"{name} has a value that is not a number where one is wanted ({error})."
        ) from error
    shown = table["displayed"].fillna("").astype(str).to_numpy(object)
    odd = set(shown[has_face]) - {*emotions, UNSURE}
    if odd or not np.isfinite(values[has_face]).all():
        what = f"{min(odd)!r} as a displayed emotion" if odd else "a face without probabilities"
        raise SourceError(f"{name} has {what}: it is damaged, or was changed.")
    order = np.argsort(time_s, kind="stable")
    return FilmTable(
        source=source,
        model=str(table["model"].iloc[0]),
        emotions=emotions,
        frame=frame[order],
        time_s=time_s[order],
        track=track[order],
        has_face=has_face[order],
        displayed=shown[order],
        probability=values[order],
    )
