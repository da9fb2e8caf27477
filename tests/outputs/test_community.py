"""The names that scripts of other communities expect, and the values they mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from film_tables import film, moving

from mien.errors import UnknownNameError
from mien.labels import EKMAN7, FERPLUS8
from mien.outputs.community import FEX_COLUMNS, LAYOUTS, OPENFACE_COLUMNS
from mien.outputs.files import open_sink
from mien.readings import COLUMNS
from mien.testing import make_readings

FEX_HEAD = ["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore"]
FEX_TAIL = ["Identity", "frame", "input", "approx_time"]
FIVE = ["x_30", "x_48", "x_54", "y_30", "y_48", "y_54"]


def with_landmarks(readings, points):
    """Give every face landmarks whose x is their number and whose y is 1000 more."""
    one = np.stack([np.arange(points), 1000 + np.arange(points)], axis=1)
    landmarks = np.repeat(one[None], len(readings), axis=0).astype(np.float32)
    return replace(readings, faces=replace(readings.faces, landmarks_xy=landmarks))


def test_openface_has_its_names_in_its_order_and_counts_frames_from_one() -> None:
    readings = moving(["fear", "calm"], index=6, time_s=0.25, tracks=[3, 8])
    layout = LAYOUTS["openface"]
    names = layout.names_of(readings)
    head = ["frame", "face_id", "timestamp", "confidence", "success"]
    assert list(names) == [*head, *FIVE, "emotion", *FERPLUS8, "source"]
    first, second = layout.rows_of(readings)
    assert tuple(first) == tuple(second) == names
    assert [first[name] for name in head] == [7, 3, 0.25, 0.9, 1]
    assert (second["face_id"], second["emotion"]) == (8, "neutral")
    nose = readings.faces.landmarks_xy[0, 2]
    assert (first["x_30"], first["y_30"]) == pytest.approx(tuple(nose), abs=0.005)
    right, left = readings.faces.landmarks_xy[0, 3:, 0]
    assert (first["x_48"], first["x_54"]) == pytest.approx((right, left), abs=0.005)
    assert first["x_48"] < first["x_54"]  # the subject's right is on the left of the picture


def test_openface_names_the_emotion_that_is_displayed() -> None:
    readings = replace(moving(["fear"]), displayed=("anger",))
    assert LAYOUTS["openface"].rows_of(readings)[0]["emotion"] == "anger"
    assert LAYOUTS["openface"].rows_of(make_readings(["fear"]))[0]["emotion"] == "fear"


def test_a_frame_without_a_face() -> None:
    readings = moving([], index=4, time_s=0.5)
    (row,) = LAYOUTS["openface"].rows_of(readings)
    assert (row["frame"], row["success"], row["confidence"], row["timestamp"]) == (5, 0, 0.0, 0.5)
    assert row["face_id"] is row["x_30"] is row["fear"] is row["emotion"] is None
    (row,) = LAYOUTS["fex"].rows_of(readings)
    assert [row[name] for name in FEX_TAIL] == [None, 4, "film.mp4", "00:00"]
    assert row["FaceRectX"] is row["anger"] is row["FaceScore"] is None


def test_fex_has_its_names_its_order_of_emotions_and_its_times() -> None:
    readings = moving(["fear"], index=9, time_s=754.9, tracks=[2])
    layout = LAYOUTS["fex"]
    emotions = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt"]
    assert list(layout.names_of(readings)) == [*FEX_HEAD, *FIVE, *emotions, *FEX_TAIL]
    (row,) = layout.rows_of(readings)
    assert [row[name] for name in FEX_TAIL] == ["Person_2", 9, "film.mp4", "12:34"]
    left, top, right, bottom = readings.faces.box_xyxy[0]
    box = (left, top, right - left, bottom - top, 0.9)
    assert [row[name] for name in FEX_HEAD] == pytest.approx(box, abs=0.01)
    assert row["fear"] == pytest.approx(0.8)


def test_emotions_that_a_model_does_not_know_have_no_column() -> None:
    readings = make_readings(["fear"], EKMAN7)
    names = LAYOUTS["fex"].names_of(readings)
    assert "contempt" not in names
    assert names[-5] == "neutral"
    assert LAYOUTS["fex"].rows_of(readings)[0]["Identity"] is None
    assert LAYOUTS["fex"].rows_of(readings)[0]["approx_time"] is None


@pytest.mark.parametrize("name", ["openface", "fex"])
@pytest.mark.parametrize(("points", "known"), [(70, 68), (68, 68), (29, 0)])
def test_all_68_landmarks_where_they_are_known(name: str, points: int, known: int) -> None:
    readings = with_landmarks(moving(["fear"]), points)
    names = LAYOUTS[name].names_of(readings)
    axes = [f"{axis}_{i}" for axis in "xy" for i in range(known)]
    assert [n for n in names if n[:2] in ("x_", "y_")] == axes
    (row,) = LAYOUTS[name].rows_of(readings)
    assert [row[axis] for axis in axes] == [*range(known), *range(1000, 1000 + known)]


@pytest.mark.parametrize("name", list(LAYOUTS))
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_tables_have_types_that_do_not_depend_on_what_was_found(
    name: str, suffix: str, tmp_path: Path
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"film{suffix}"
    with open_sink(path, name) as sink:
        for readings in film(40):
            sink.write(readings)
    readers = {".csv": pd.read_csv, ".jsonl": lambda p: pd.read_json(p, lines=True)}
    table = readers.get(suffix, pd.read_parquet)(path)
    assert list(table.columns) == list(LAYOUTS[name].names_of(film(1)[0]))
    assert len(table) == sum(max(len(r), 1) for r in film(40))
    assert pd.api.types.is_integer_dtype(table["frame"])
    assert table["fear"].dtype == np.float64
    with open_sink(path, name):
        pass
    empty = pd.DataFrame() if suffix == ".jsonl" else readers.get(suffix, pd.read_parquet)(path)
    assert len(empty) == 0


def test_every_column_is_described() -> None:
    readings = with_landmarks(moving(["fear"]), 68)
    for name, columns in (("openface", OPENFACE_COLUMNS), ("fex", FEX_COLUMNS)):
        described = {column.name for column in columns}
        for heading in LAYOUTS[name].names_of(readings):
            general = "<emotion>" if heading in FERPLUS8 else f"{heading[:2]}<i>"
            assert heading in described or general in described
        assert all(column.unit and column.meaning.endswith(".") for column in columns)


def test_an_unknown_kind_of_columns_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'openface'\? Known: fex, mien, openface"):
        open_sink(tmp_path / "a.csv", "openfaces")


def test_the_documentation_describes_the_columns_as_they_are() -> None:
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    tables = page.read_text(encoding="utf-8").split("### `--columns ")[1:]
    for text, columns in zip(tables, (COLUMNS, OPENFACE_COLUMNS, FEX_COLUMNS), strict=True):
        rows = [line for line in text.splitlines() if line.startswith("| `")]
        assert rows == [f"| `{c.name}` | {c.unit} | {c.meaning} |" for c in columns]
