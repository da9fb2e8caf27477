"""Measuring detectors: thresholds from false faces, recall by overlap, landmark error in eye distances."""

import numpy as np
import pytest

from mien.faces.faces import Faces
from mien.training.evaluate_detector import as_frame, evaluate_detector, in_the_dark, nearest, threshold_for
from mien.training.material import Material, Photo, Portraits, five_points


def faces(boxes, scores, landmarks=None):
    n = len(boxes)
    points = np.zeros((n, 5, 2), np.float32) if landmarks is None else np.asarray(landmarks, np.float32)
    return Faces(
        box_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        score=np.array(scores, np.float32),
        landmarks_xy=points,
        track_id=np.full(n, -1, np.int64),
    )


class ByBrightness:
    """A detector whose answer is looked up by the picture's first pixel; nothing for values without one."""

    name = "by-brightness"

    def __init__(self, answers):
        self.answers = answers

    def detect(self, image, *, min_face=None):
        return self.answers.get(int(image.flat[0]), faces([], []))


@pytest.mark.parametrize(
    ("scores", "allowed", "left"),
    [([], 0, 0), ([0.5], 0, 0), ([0.9, 0.8, 0.7, 0.1], 2, 2), ([0.3, 0.3], 1, 0), ([0.2], 5, 1)],
)
def test_threshold_leaves_at_most_the_allowed(scores, allowed, left):
    found = np.array(scores, np.float32)
    assert (found >= threshold_for(found, allowed)).sum() == left


def test_nearest_takes_the_face_that_holds_the_points():
    wanted = np.array([[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]], np.float32)
    two = faces([[50, 50, 90, 90], [5, 5, 25, 25]], [0.9, 0.5], np.stack([np.zeros((5, 2)), wanted + 1]))
    np.testing.assert_allclose(nearest(two, wanted), wanted + 1)
    assert nearest(two[:1], wanted) is None
    assert nearest(two[:0], wanted) is None


def test_report_counts_what_it_says():
    points = np.random.default_rng(0).uniform(10, 40, (1, 70, 2)).astype(np.float32)
    true = five_points(points)[0] * 2 + 48
    eyes = np.linalg.norm(true[0] - true[1])
    around = [*(true.min(0) - 1), *(true.max(0) + 1)]
    answers = {
        1: faces([[0, 0, 9, 9]], [0.2]),  # a false face
        2: faces([], []),
        3: faces([[10, 10, 30, 30], [50, 50, 60, 60]], [0.8, 0.1]),
        4: faces([around], [0.9], [true + (0.1 * eyes, 0)]),
    }
    photo = Photo(
        picture=np.full((80, 80), 3, np.uint8),
        box_xyxy=np.array([[10, 10, 30, 31], [50, 50, 60, 60], [70, 70, 79, 79]], np.float32),
        landmarks_xy=np.zeros((3, 5, 2), np.float32),
        score=np.array([0.9, 0.9, 0.4], np.float32),  # the last is not sure enough to be asked for
        name="photo",
    )
    material = Material(
        portraits={"fer2013": Portraits(np.full((1, 48, 48), 4, np.uint8), points)},
        photos={"photos": [photo]},
        backgrounds=[np.full((9, 9), value, np.uint8) for value in (1, 2)],
    )
    report = evaluate_detector(ByBrightness(answers), material)
    assert 0.2 < report.score_threshold < 0.21
    assert (report.false_faces, report.backgrounds) == (0, 2)
    assert (report.recall["photos"].found, report.recall["photos"].n) == (1, 2)
    assert report.recall["photos"].low < 0.5 < report.recall["photos"].high
    assert report.landmark_error["fer2013"].value == pytest.approx(0.1, abs=1e-5)
    assert report.landmark_error["fer2013"].n == 1
    assert report.to_dict()["recall"]["photos"]["value"] == 0.5
    assert set(report.fooled.values()) == {0}
    lower = evaluate_detector(ByBrightness(answers), material, 0.05)
    assert lower.recall["photos"].found == 2
    assert (lower.fooled["as they are"], lower.fooled["as frames of 640 x 480"]) == (1, 1)


@pytest.mark.parametrize("shape", [(200, 300), (300, 200), (480, 640), (900, 1300), (1, 1), (7, 800)])
def test_a_frame_is_the_middle_of_a_picture(shape):
    picture = np.zeros(shape, np.uint8)
    picture[shape[0] // 3 : -(shape[0] // 3) or None, shape[1] // 3 : -(shape[1] // 3) or None] = 200
    frame = as_frame(picture)
    assert frame.shape == (480, 640)
    assert frame[230:250, 310:330].min() == 200
    assert np.abs(frame.astype(int) - frame[::-1, ::-1]).mean() < 1


def test_a_frame_in_the_dark_is_darker_noisy_and_the_same_again():
    frames = [np.full((480, 640), 120, np.uint8)] * 2
    one, other = in_the_dark(frames)
    assert one.mean() == pytest.approx(24, abs=1.5)
    assert 5 < one.std() < 9
    assert (one != other).any()
    np.testing.assert_array_equal(list(in_the_dark(frames))[1], other)
