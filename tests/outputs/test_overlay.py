from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import ArgumentError, ImageError, OutputError
from mien.faces.faces import Faces
from mien.labels import FERPLUS8
from mien.outputs.overlay import SAVE_SUFFIXES, annotate, annotate_file, save_image
from mien.outputs.palette import colour_of
from mien.readings import Readings
from mien.sources.images import read_image
from mien.testing import make_faces, make_readings


def grey(width: int = 640, height: int = 480) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


def readings_in(image: np.ndarray, count: int, emotion: str = "happiness") -> Readings:
    size_px = (image.shape[1], image.shape[0])
    return replace(make_readings([emotion] * count), faces=make_faces(count, size_px), size_px=size_px)


def count_of(image: np.ndarray, emotion: str) -> int:
    return int((image == colour_of(emotion)).all(axis=2).sum())


def test_the_picture_itself_is_left_alone() -> None:
    image = grey()
    drawn = annotate(image, readings_in(image, 1))
    assert (image == 100).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8


def test_no_face_leaves_the_picture_as_it_is() -> None:
    image = grey()
    drawn = annotate(image, readings_in(image, 0))
    assert (drawn == image).all()
    assert drawn is not image


@pytest.mark.parametrize("emotion", ["anger", "sadness", "happiness"])
def test_a_face_is_boxed_in_the_colour_of_its_emotion(emotion: str) -> None:
    image = grey()
    readings = readings_in(image, 1, emotion)
    drawn = annotate(image, readings)
    left, top, right, bottom = readings.faces.box_xyxy[0].round().astype(int)
    middle = drawn[(top + bottom) // 2]
    for edge in (left, right - 1):
        assert (middle[edge - 1 : edge + 2] == colour_of(emotion)).all(axis=1).any()
    assert count_of(drawn, emotion) > 500
    face = drawn[top + 12 : bottom - 12, left + 12 : right - 12]
    assert (face == 100).all(axis=2).mean() > 0.95


def test_bars_are_as_long_as_the_probabilities() -> None:
    image = grey()
    readings = readings_in(image, 1)
    readings = replace(readings, probability=np.array([[0.3, 0, 0, 0, 0.6, 0, 0.1, 0]], np.float32))
    drawn = annotate(image, readings)
    below = drawn[int(readings.faces.box_xyxy[0, 3]) + 30 :]

    def longest(emotion: str) -> int:
        return int((below == colour_of(emotion)).all(axis=2).sum(axis=1).max())

    assert longest("anger") == pytest.approx(3 * longest("sadness"), abs=3)
    assert longest("anger") > 10
    assert count_of(annotate(image, readings, bars=0), "anger") == 0


def test_an_unsure_face_has_no_colour_of_an_emotion() -> None:
    image = grey()
    drawn = annotate(image, replace(readings_in(image, 1), unsure=0.9), bars=0)
    assert count_of(drawn, "happiness") == 0
    assert count_of(drawn, "unsure") > 500


@pytest.mark.parametrize(
    ("size", "factor"), [((1, 1), 420), ((40, 40), 11), ((300, 200), 2), ((640, 480), 1)]
)
def test_small_pictures_are_enlarged_by_a_whole_factor(size: tuple[int, int], factor: int) -> None:
    image = grey(*size)
    drawn = annotate(image, readings_in(image, 1))
    assert drawn.shape == (size[1] * factor, size[0] * factor, 3)
    assert annotate(image, readings_in(image, 1), enlarge=False).shape == image.shape


@pytest.mark.parametrize("size", [(1, 1), (2, 700), (700, 2), (9, 9), (40, 40), (64, 48), (4000, 3000)])
@pytest.mark.parametrize("count", [1, 3])
def test_pictures_of_any_size_can_be_drawn_on(size: tuple[int, int], count: int) -> None:
    image = grey(*size)
    for enlarge in (True, False):
        assert annotate(image, readings_in(image, count), enlarge=enlarge).ndim == 3


def test_faces_that_reach_outside_are_drawn_as_far_as_they_are_inside() -> None:
    image = grey()
    box = np.array(
        [[-60, -40, 90, 120], [600, 400, 760, 600], [-300, 100, -200, 200], [50, 50, 50, 50]], np.float32
    )
    points = np.repeat(box[:, None, :2], 5, axis=1)
    faces = Faces(box, np.ones(4, np.float32), points)
    readings = Readings(faces, FERPLUS8, make_readings(["fear"] * 4).probability, "m", size_px=(640, 480))
    assert count_of(annotate(image, readings), "fear") > 100


def test_a_crowd_is_drawn_with_names_only() -> None:
    image = grey(800, 300)
    few, many = (count_of(annotate(image, readings_in(image, n)), "anger") for n in (2, 12))
    assert few > 0  # the smaller probabilities have bars
    assert many == 0


def test_only_its_own_picture_can_be_drawn_on() -> None:
    readings = readings_in(grey(), 1)
    with pytest.raises(ArgumentError, match="640 x 480"):
        annotate(grey(641, 480), readings)
    with pytest.raises(ArgumentError, match="image"):
        annotate(grey()[..., 0], readings)


@pytest.mark.parametrize("suffix", SAVE_SUFFIXES)
def test_pictures_are_saved_as_their_names_say(suffix: str, tmp_path: Path) -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[..., 0] = 250
    for name in ("ü 顔", os.fsdecode(b"\xe9")):
        path = tmp_path / (name + suffix)
        save_image(path, image)
        assert np.abs(read_image(path).astype(int) - image).max() <= 8
    assert len(list(tmp_path.iterdir())) == 2


def test_pictures_that_cannot_be_saved_say_why(tmp_path: Path) -> None:
    image = np.zeros((2, 70_000, 3), np.uint8)
    with pytest.raises(ArgumentError, match=r"\.png"):
        save_image(tmp_path / "a.gif", image)
    with pytest.raises(OutputError, match="create it first"):
        save_image(tmp_path / "missing" / "a.png", image)
    for name in ("a.jpg", "a.webp"):
        with pytest.raises(OutputError, match=rf"{name} cannot be written as"):
            save_image(tmp_path / name, image)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_annotated_into_another(tmp_path: Path) -> None:
    image = grey()
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    save_image(source, image)
    annotate_file(source, readings_in(image, 1), target)
    assert (read_image(target) == annotate(image, readings_in(image, 1))).all()
    with pytest.raises(ImageError):
        annotate_file(tmp_path, readings_in(image, 1), target)
