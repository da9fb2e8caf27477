from __future__ import annotations

import json
import os

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.faces.faces import Faces
from mien.labels import EKMAN7, FERPLUS8
from mien.readings import COLUMNS, Readings, column_names, landmark_names
from mien.testing import make_faces, make_readings

TWO = make_readings(["happiness", "sadness"])


def test_the_best_emotion_is_named_with_its_probability() -> None:
    assert TWO.emotion == ["happiness", "sadness"]
    assert TWO.confidence == pytest.approx([0.8, 0.8])
    assert len(TWO) == 2


def test_a_face_below_the_threshold_is_unsure() -> None:
    probability = np.array([[0.4, 0.6], [0.5, 0.5], [0.45, 0.55]], np.float32)
    labels = EKMAN7.subset(["anger", "fear"])

    def emotions(unsure: float) -> list[str]:
        return Readings(make_faces(3), labels, probability, "m", unsure=unsure).emotion

    assert emotions(0.0) == ["fear", "anger", "fear"]
    assert emotions(0.55) == ["fear", "unsure", "fear"]
    assert emotions(1.0) == ["unsure"] * 3


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (1, ["sadness"]),
        (-1, ["sadness"]),
        (slice(1), ["happiness"]),
        ([1, 0], ["sadness", "happiness"]),
        ([], []),
        (np.array([False, True]), ["sadness"]),
        (np.array([True, True]), ["happiness", "sadness"]),
        (np.array([1]), ["sadness"]),
    ],
)
def test_rows_are_chosen_together_with_their_faces(rows: object, wanted: list[str]) -> None:
    chosen = TWO[rows]  # type: ignore[index]  # of several types
    assert chosen.emotion == wanted
    positions = [["happiness", "sadness"].index(name) for name in wanted]
    assert (chosen.faces.box_xyxy == TWO.faces.box_xyxy[positions]).all()
    assert (chosen.source, chosen.size_px) == (TWO.source, TWO.size_px)


def test_a_row_that_is_not_there_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        TWO[2]


def test_each_face_is_a_row_with_the_documented_columns() -> None:
    rows = TWO.rows()
    assert [list(row) for row in rows] == [list(TWO.columns())] * 2
    first = rows[0]
    left, top, right, bottom = TWO.faces.box_xyxy[0]
    assert (first["box_x"], first["box_y"]) == pytest.approx((left, top), abs=0.005)
    assert (first["box_width"], first["box_height"]) == pytest.approx((right - left, bottom - top), abs=0.005)
    assert (first["left_eye_x"], first["left_eye_y"]) == pytest.approx(
        TWO.faces.landmarks_xy[0, 1], abs=0.005
    )
    assert first["left_eye_x"] > first["right_eye_x"]
    assert (first["emotion"], first["confidence"], first["happiness"]) == ("happiness", 0.8, 0.8)
    assert sum(first[name] for name in FERPLUS8) == pytest.approx(1, abs=1e-5)
    assert [(row["face"], row["success"], row["frame"]) for row in rows] == [(0, 1, 0), (1, 1, 0)]
    assert first["time_s"] is None


def test_no_face_is_a_row_that_says_so() -> None:
    (row,) = make_readings([]).rows()
    assert list(row) == list(TWO.columns())
    filled = {name: value for name, value in row.items() if value is not None}
    assert filled == {"source": "synthetic", "frame": 0, "success": 0, "model": "table"}


def test_the_columns_follow_labels_and_landmarks() -> None:
    names = column_names(EKMAN7, points=2)
    assert names[:5] == ("source", "frame", "time_s", "face", "success")
    assert names[10:14] == ("landmark_0_x", "landmark_0_y", "landmark_1_x", "landmark_1_y")
    assert names[-10:] == ("emotion", "confidence", *EKMAN7, "model")
    assert column_names(EKMAN7, points=0)[10] == "emotion"
    assert landmark_names(5)[0] == "right_eye"
    assert all(column.unit and column.meaning for column in COLUMNS)


@pytest.mark.parametrize("emotions", [[], ["anger"], ["anger", "fear", "fear"]])
def test_tables_have_the_same_types_whatever_was_found(emotions: list[str]) -> None:
    table = make_readings(emotions).to_pandas()
    full = TWO.to_pandas()
    assert list(table.columns) == list(TWO.columns())
    assert (table.dtypes == full.dtypes).all()
    assert len(table) == max(1, len(emotions))
    assert table["success"].sum() == len(emotions)


def test_dicts_are_plain_and_nested() -> None:
    dicts = json.loads(json.dumps(TWO.to_dicts()))
    assert [one["emotion"] for one in dicts] == TWO.emotion
    assert set(dicts[0]["probability"]) == set(FERPLUS8)
    assert dicts[0]["landmarks_xy"]["nose_tip"] == pytest.approx(TWO.faces.landmarks_xy[0, 2], abs=0.005)
    assert dicts[0]["box_xyxy"] == pytest.approx(TWO.faces.box_xyxy[0], abs=0.005)
    assert make_readings([]).to_dicts() == []


def test_names_of_files_that_are_no_unicode_can_be_written() -> None:
    readings = make_readings(["fear"], source=os.fsdecode(b"latin-\xe9.png"))
    for source in (readings.rows()[0]["source"], readings.to_dicts()[0]["source"]):
        assert source.encode("utf-8") == rb"latin-\udce9.png"


def test_readings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        TWO.model = "other"  # type: ignore[misc]  # what is tested
    with pytest.raises(ValueError, match="read-only"):
        TWO.probability[0, 0] = 1


@pytest.mark.parametrize(
    ("probability", "unsure", "word"),
    [
        (np.ones((2, 8)) / 8, 0.0, "probability"),
        (np.ones((1, 7)) / 7, 0.0, r"\(1, 8\)"),
        (np.ones(8) / 8, 0.0, "probability"),
        (np.ones((1, 8)), 0.0, "sum to 1"),
        (np.full((1, 8), np.nan), 0.0, "sum to 1"),
        (np.array([[1.5, -0.5, 0, 0, 0, 0, 0, 0]]), 0.0, "0 to 1"),
        (np.ones((1, 8)) / 8, 1.5, "unsure"),
        (np.ones((1, 8)) / 8, float("nan"), "unsure"),
    ],
)
def test_malformed_readings_are_refused(probability: np.ndarray, unsure: float, word: str) -> None:
    with pytest.raises(ArgumentError, match=word):
        Readings(make_faces(1), FERPLUS8, probability, "m", unsure=unsure)


def test_no_faces_are_readings_like_any() -> None:
    empty = Readings(Faces.empty(), FERPLUS8, np.empty((0, 8), np.float32), "m")
    assert (len(empty), empty.emotion, empty.confidence.shape) == (0, [], (0,))
    assert len(empty[[]]) == len(empty[:]) == 0
