from __future__ import annotations

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.faces.align import CropSpec
from mien.labels import EKMAN7
from mien.sources.frame import Source
from mien.testing import (
    CollectingSink,
    FixedDetector,
    ScriptedDetector,
    SyntheticSource,
    TableModel,
    make_faces,
    make_readings,
)


def test_the_synthetic_source_is_a_source_and_repeats_itself() -> None:
    source = SyntheticSource(3, (8, 6), rate_hz=29.97, seed=4)
    assert isinstance(source, Source)
    with source as frames:
        first, second = list(frames), list(frames)
    assert len(first) == len(source) == 3
    assert [frame.time_s for frame in first] == pytest.approx([0, 1 / 29.97, 2 / 29.97])
    assert all((a.image == b.image).all() for a, b in zip(first, second, strict=True))
    assert (first[0].image != first[1].image).any()
    assert (first[0].image != next(iter(SyntheticSource(1, (8, 6), seed=5))).image).any()
    assert first[0].size_px == (8, 6)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_faces_lie_inside_their_picture_and_apart(count: int) -> None:
    faces = make_faces(count, (200, 50))
    assert len(faces) == count
    assert (faces.box_xyxy >= 0).all()
    assert (faces.box_xyxy[:, 2::2] <= 200).all()
    assert (faces.box_xyxy[1:, 0] > faces.box_xyxy[:-1, 2]).all()
    inside = (faces.landmarks_xy > faces.box_xyxy[:, None, :2]) & (
        faces.landmarks_xy < faces.box_xyxy[:, None, 2:]
    )
    assert inside.all()


def test_the_detector_finds_the_same_faces_but_not_the_small_ones() -> None:
    faces = make_faces(2, (320, 240))
    image = np.zeros((240, 320, 3), np.uint8)
    detector = FixedDetector(faces)
    assert len(detector.detect(image)) == 2
    assert len(detector.detect(image, min_face=1000)) == 0
    with pytest.raises(ArgumentError, match="image"):
        detector.detect(image[..., 0])


def test_the_model_answers_from_its_table_round_and_round() -> None:
    table = np.eye(7)[:2]
    model = TableModel(table, EKMAN7)
    answer = model.predict_proba(np.zeros((3, 48, 48), np.uint8))
    assert answer.tolist() == [table[0].tolist(), table[1].tolist(), table[0].tolist()]
    assert model.predict_proba(np.zeros((0, 48, 48), np.uint8)).shape == (0, 7)
    with pytest.raises(ArgumentError, match="crops"):
        model.predict_proba(np.zeros((1, 40, 40), np.uint8))
    colour = TableModel(table, EKMAN7, crop=CropSpec("fer2013-mean", 0.0, 48, "rgb"))
    assert colour.predict_proba(np.zeros((1, 48, 48, 3), np.uint8)).shape == (1, 7)


@pytest.mark.parametrize("table", [np.eye(8), np.ones(7), np.empty((0, 7))])
def test_a_table_that_does_not_fit_is_refused(table: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match="table"):
        TableModel(table, EKMAN7)


def test_the_sink_keeps_what_is_written() -> None:
    readings = [make_readings([]), make_readings(["joy"])]
    with CollectingSink() as sink:
        for one in readings:
            sink.write(one)
        assert not sink.closed
    assert sink.closed
    assert sink.written == readings


def test_made_readings_show_what_was_asked_for() -> None:
    assert make_readings(["joy", "calm"], EKMAN7, confidence=0.6).emotion == ["happiness", "neutral"]


def test_the_scripted_detector_answers_once_each_and_then_finds_nothing() -> None:
    picture = np.zeros((50, 200, 3), np.uint8)
    detector = ScriptedDetector([make_faces(2, (200, 50)), make_faces(0), make_faces(1, (200, 50))])
    assert [len(detector.detect(picture)) for _ in range(5)] == [2, 0, 1, 0, 0]
    assert detector.asked == 5
    assert len(ScriptedDetector([make_faces(2, (200, 50))]).detect(picture, min_face=1000)) == 0
