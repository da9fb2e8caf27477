"""Decoding, suppression and scales of detectors, against networks whose answers are known."""

import shutil
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mien.catalog import find_model
from mien.errors import ArgumentError, ModelError
from mien.faces.detect import (
    STRIDES,
    PointDetector,
    doubt_chests,
    find_single,
    load_detector,
    suppress,
    surround,
)
from mien.runtime import Session
from mien.testing import FixedDetector, make_faces


class Answers:
    """Stands in for a session: a bright pixel makes the place it lies in answer with a face so tall."""

    def __init__(self, kind="ours", fixed=None, tall=48):
        self.kind, self.tall = kind, tall
        self.shown = []
        names = ["score", "box", "points"]
        if kind == "yunet":
            names = [f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in STRIDES]
        self.input_names, self.output_names = ("input",), tuple(names)
        self.input_shapes = {"input": (1, *(fixed or (None, None)))}

    def run(self, feeds, outputs=None):
        picture = feeds["input"][0]
        picture = picture if picture.ndim == 2 else picture.max(axis=0)
        self.shown.append(picture.shape)
        grids = [self.grid(picture, stride) for stride in STRIDES]
        if self.kind == "ours":
            return [np.concatenate([grid[i] for grid in grids])[None] for i in range(3)]
        square = [
            (grid[0][None, :, None], grid[0][None, :, None], grid[1][None], grid[2][None]) for grid in grids
        ]
        return [grid[i] for i in range(4) for grid in square]

    def grid(self, picture, stride):
        rows, columns = picture.shape[0] // stride, picture.shape[1] // stride
        cells = picture.reshape(rows, stride, columns, stride).max(axis=(1, 3)).reshape(-1)
        score = np.where((cells > 200) & (stride == 16), 0.9, 0.0).astype(np.float32)
        box = np.tile(np.array([0, 0, np.log(2), np.log(self.tall / 16)], np.float32), (len(cells), 1))
        points = np.tile(np.arange(10, dtype=np.float32) / 10, (len(cells), 1))
        return score, box, points


def picture_with_dot(shape=(96, 128), at=(40, 72)):
    picture = np.zeros(shape, np.uint8)
    row, column = at
    picture[row - 4 : row + 4, column - 4 : column + 4] = 255  # large enough to survive averaging
    return picture


def test_decoding_of_ours_counts_from_the_middle_of_a_place():
    faces = PointDetector(Answers(), "x", 0.5).detect(picture_with_dot())
    assert len(faces) == 1
    middle = np.array([72, 40])  # the dot about column 72, row 40 lies in the place from (64, 32) to (80, 48)
    np.testing.assert_allclose(faces.box_xyxy[0], [*(middle - (16, 24)), *(middle + (16, 24))], atol=1e-4)
    np.testing.assert_allclose(faces.landmarks_xy[0], middle + np.arange(10).reshape(5, 2) * 1.6, atol=1e-4)
    assert faces.score[0] == pytest.approx(0.9)


def test_decoding_of_yunet_counts_from_the_corner_of_a_place():
    faces = PointDetector(Answers("yunet"), "x", 0.5).detect(np.repeat(picture_with_dot()[..., None], 3, 2))
    np.testing.assert_allclose(faces.box_xyxy[0], [64 - 16, 32 - 24, 64 + 16, 32 + 24], atol=1e-4)
    np.testing.assert_allclose(faces.landmarks_xy[0, 0], (64, 32 + 1.6), atol=1e-4)


def test_a_threshold_of_nothing_is_not_the_card_s():
    with pytest.raises(ArgumentError, match="score_threshold"):
        load_detector(score_threshold=0.0)


def test_the_network_of_landmarks_may_lie_beside_the_detector(tmp_path):
    shipped = find_model("facepoint.scenes", "detection")[1].parent
    for one in (*shipped.glob("points70.faces.*"), *shipped.glob("confirm.scenes.*")):
        shutil.copy(one, tmp_path)
    shutil.copy(shipped / "facepoint.scenes.onnx", tmp_path)
    text = (shipped / "facepoint.scenes.toml").read_text()
    own = text.replace('base = "points70.faces"', 'base = "points70.faces.onnx"')
    assert own != text
    (tmp_path / "facepoint.scenes.toml").write_text(own)
    detector = load_detector(tmp_path / "facepoint.scenes.onnx")
    assert detector.landmarks is not None and detector.landmarks.session.path.parent == tmp_path


class Confirm:
    """Stands in for a network that confirms: says its own scores from left to right, whatever it is shown."""

    def __init__(self, *scores, floor):
        self.scores, self.card, self.asked = scores, SimpleNamespace(score_threshold=floor), []

    def confirm(self, image, box_xyxy, score):
        self.asked.append(score.tolist())
        return np.array(self.scores, np.float32)[np.argsort(np.argsort(box_xyxy[:, 0]))]


def test_what_is_found_is_confirmed_and_counts_by_that_score():
    picture = np.maximum(picture_with_dot(at=(40, 24)), picture_with_dot(at=(40, 104)))
    plain = PointDetector(Answers(), "x", 0.5).detect(picture)
    confirm = Confirm(0.6, 0.8, floor=0.3)
    found = PointDetector(Answers(), "x", 0.5, confirm=confirm).detect(picture)
    assert confirm.asked == [pytest.approx([0.9, 0.9])]
    assert found.score.tolist() == pytest.approx([0.8, 0.6]) and found.box_xyxy[0, 0] > found.box_xyxy[1, 0]
    np.testing.assert_array_equal(np.sort(found.box_xyxy, 0), np.sort(plain.box_xyxy, 0))
    doubted = PointDetector(Answers(), "x", 0.7, confirm=confirm)
    assert len(doubted.detect(picture)) == 1 and len(doubted.candidates(picture)) == 2
    assert not len(PointDetector(Answers(), "x", 0.5, confirm=Confirm(floor=0.95)).detect(picture))


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (33, 31), (64, 64)])
def test_any_size_is_padded_to_the_grid(shape):
    answers = Answers()
    assert len(PointDetector(answers, "x", 0.5).detect(np.zeros(shape, np.uint8))) == 0
    assert all(side % 32 == 0 for shown in answers.shown for side in shown)


def test_large_pictures_are_looked_at_twice_and_points_carried_back():
    picture = np.zeros((1000, 2000), np.uint8)
    picture[500:504, 1000:1004] = 255
    answers = Answers()
    faces = PointDetector(answers, "x", 0.5).detect(picture)
    assert [shown[1] for shown in answers.shown] == [1280, 320]
    middles = faces.box_xyxy.reshape(-1, 2, 2).mean(axis=1)
    assert (np.abs(middles - (1002, 502)) < 8 * 6.25).all()


@pytest.mark.parametrize(
    ("longest", "min_face", "shown"),
    [
        (320, None, [320]),
        (384, None, [384]),
        (640, None, [640, 320]),
        (1280, None, [1280, 320]),
        (2560, None, [1280, 320]),
        (5120, 12, [5120, 1280, 320]),
        (640, 47, [192]),
    ],
)
def test_a_picture_is_shown_in_copies_down_to_the_size_that_was_learned(longest, min_face, shown):
    answers = Answers()
    PointDetector(answers, "x", 0.5).detect(np.zeros((longest // 2, longest), np.uint8), min_face=min_face)
    assert [one[1] for one in answers.shown] == shown


@pytest.mark.parametrize(("tall", "found"), [(48, [48]), (176, [352, 176]), (192, [384])])
def test_large_faces_are_those_of_the_smaller_copy(tall, found):
    """What answers alike to both copies is believed on each only for the heights it answers for."""
    picture = picture_with_dot((480, 640), (240, 320))
    boxes = PointDetector(Answers(tall=tall), "x", 0.5).detect(picture).box_xyxy
    middles = boxes.reshape(-1, 2, 2).mean(axis=1)
    assert (np.abs(middles - (320, 240)) <= 16).all()
    assert sorted(set((boxes[:, 3] - boxes[:, 1]).round().tolist()), reverse=True) == found


def test_min_face_chooses_the_scale_and_drops_smaller_ones():
    picture = picture_with_dot((600, 600), (300, 300))
    answers = Answers()
    detector = PointDetector(answers, "x", 0.5)
    assert len(detector.detect(picture, min_face=47)) == 1
    assert answers.shown[0][0] < 200
    assert len(detector.detect(picture, min_face=300)) == 0


def test_a_network_with_fixed_input_gets_that_size():
    answers = Answers(fixed=(64, 96))
    faces = PointDetector(answers, "x", 0.5).detect(picture_with_dot((128, 192), (80, 100)))
    assert answers.shown == [(64, 96)]
    assert len(faces) == 1
    np.testing.assert_allclose(faces.box_xyxy[0].reshape(2, 2).mean(0), (112, 80), atol=17)


@pytest.mark.parametrize(
    ("boxes", "scores", "kept"),
    [
        ([], [], []),
        ([[0, 0, 9, 9]], [0.5], [0]),
        ([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], [0.6, 0.9, 0.7], [1, 2]),
        ([[0, 0, 10, 10], [0, 0, 10, 10]], [0.8, 0.8], [0]),
        ([[0, 0, 10, 10], [6, 0, 16, 10]], [0.8, 0.9], [1, 0]),
    ],
)
def test_suppress(boxes, scores, kept):
    box = np.array(boxes, np.float32).reshape(-1, 4)
    assert suppress(box, np.array(scores, np.float32), 0.45).tolist() == kept


LARGE = (100.0, 100.0, 190.0, 220.0)


@pytest.mark.parametrize(
    ("box", "score", "after"),
    [
        ((140, 300, 160, 325), 0.8, 0.5),  # a medal: odds of 4 become 1
        ((20, 300, 45, 325), 0.8, 0.8),  # beside the body
        ((140, 500, 160, 525), 0.8, 0.8),  # at the feet
        ((140, 40, 160, 65), 0.8, 0.8),  # above the head
        ((130, 280, 170, 330), 0.8, 0.8),  # nearly half as large: a child
        ((140, 300, 160, 325), 0.95, 0.95),  # surer than the larger one
    ],
)
def test_small_faces_on_a_chest_are_doubted(box, score, after):
    boxes = np.array([box, LARGE], np.float32)
    found = doubt_chests(boxes, np.array([score, 0.9], np.float32))
    np.testing.assert_allclose(found, [after, 0.9], rtol=1e-5)


def test_doubting_no_faces():
    assert doubt_chests(np.empty((0, 4), np.float32), np.empty(0, np.float32)).shape == (0,)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.float32), np.zeros((0, 4, 3), np.uint8), np.zeros(4, np.uint8)]
)
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(ArgumentError, match="image"):
        PointDetector(Answers(), "x", 0.5).detect(image)


@pytest.mark.parametrize("min_face", [0, -3, float("nan")])
def test_min_face_must_be_positive(min_face):
    with pytest.raises(ArgumentError, match="min_face"):
        PointDetector(Answers(), "x", 0.5).detect(np.zeros((9, 9), np.uint8), min_face=min_face)


@pytest.mark.parametrize("threshold", [0, 1, -0.5])
def test_threshold_must_be_a_probability(threshold):
    with pytest.raises(ArgumentError, match="score_threshold"):
        PointDetector(Answers(), "x", threshold)


def test_a_model_that_is_no_detector_is_refused(tmp_path):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "relu.onnx")
    with pytest.raises(ModelError, match="not a face detector"):
        load_detector(tmp_path / "relu.onnx")
    assert Session(tmp_path / "relu.onnx").output_names == ("y",)


@pytest.mark.parametrize(
    ("shape", "side"),
    [((48, 48), 96), ((300, 200), 200), ((96, 96, 3), 96), ((1, 1), 96), ((900, 1000), 320)],
)
def test_surround_scales_and_repeats_the_border(shape, side):
    picture = np.full(shape, 9, np.uint8)
    canvas, scale, shift = surround(picture)
    assert canvas.ndim == len(shape)
    assert (canvas == 9).all()
    np.testing.assert_allclose(np.array(shape[1::-1]) * scale + 2 * shift, canvas.shape[1::-1], atol=1)
    assert min(shape[:2]) * scale.max() == pytest.approx(side, abs=1)


def test_the_face_of_a_picture_that_is_one_comes_back_in_its_own_pixels():
    picture = np.zeros((48, 48), np.uint8)
    faces = PointDetector(Answers(), "x", 0.5).detect(picture_with_dot((192, 192), (100, 90)))
    found = find_single(picture, FixedDetector(faces))
    np.testing.assert_allclose(found.box_xyxy, (faces.box_xyxy - 48) / 2, atol=1e-4)
    np.testing.assert_allclose(found.landmarks_xy, (faces.landmarks_xy - 48) / 2, atol=1e-4)


def test_of_several_faces_the_one_that_fills_the_picture_counts():
    assert len(find_single(np.zeros((48, 48), np.uint8), FixedDetector(make_faces(3)))) <= 1
    assert len(find_single(np.zeros((48, 48), np.uint8), FixedDetector(make_faces(0)))) == 0
