"""What is put around pictures, and the face that is then looked for."""

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.faces.align import CropSpec
from mien.faces.faces import Faces
from mien.training.crops import cut_corpus
from mien.training.surround import FILLS, Surround, find_main

POINTS = np.array([[0.32, 0.38], [0.68, 0.38], [0.5, 0.58], [0.35, 0.77], [0.65, 0.77]])


class Boxes:
    """Finds the faces it is told of, and keeps what it was shown."""

    name, sha256 = "boxes.none", "1" * 64

    def __init__(self, *boxes):
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)
        self.seen = []

    def detect(self, image, *, min_face=None):
        self.seen.append(image)
        left_top, size = self.boxes[:, None, :2], self.boxes[:, None, 2:] - self.boxes[:, None, :2]
        score = np.linspace(0.9, 0.8, len(self.boxes))
        return Faces(self.boxes, score, POINTS * size + left_top) if len(score) else Faces.empty()


@pytest.mark.parametrize("shape", [(40, 20), (40, 20, 3), (1, 1), (3, 2, 3)])
@pytest.mark.parametrize("fill", FILLS)
def test_the_picture_stays_as_it_is_in_the_middle(shape, fill):
    image = np.random.default_rng(0).integers(1, 255, shape, dtype=np.uint8)
    canvas, box = Surround(0.5, fill).pad(image)
    left, top, right, bottom = box.astype(int)
    assert (canvas[top:bottom, left:right] == image).all()
    assert canvas.dtype == np.uint8 and canvas.ndim == image.ndim
    if shape[:2] == (40, 20):
        assert canvas.shape[:2] == (80, 40) and box.tolist() == [10, 20, 30, 60]


def test_the_fills():
    image = np.zeros((4, 4, 3), np.uint8)
    image[0] = image[-1] = (90, 60, 30)
    image[1:3, 0] = image[1:3, -1] = (0, 60, 30)
    image[1:3, 1:3] = 255  # not at the border, so it does not count
    corner = {fill: Surround(1.0, fill).pad(image)[0][0, 0].tolist() for fill in FILLS}
    assert corner == {"plain": [60, 60, 30], "repeat": [90, 60, 30], "black": [0, 0, 0]}


@pytest.mark.parametrize(
    ("share", "fill", "message"),
    [(0, "plain", "surround must be over 0"), (9, "plain", "up to 8"), (0.5, "grey", "fill must be one of")],
)
def test_what_cannot_be_put_around(share, fill, message):
    with pytest.raises(ArgumentError, match=message):
        Surround(share, fill)


@pytest.mark.parametrize(
    ("boxes", "chosen"),
    [
        ([], None),
        ([[0, 0, 8, 8]], None),
        ([[0, 0, 12, 12], [12, 12, 28, 28]], [12, 12, 28, 28]),
        ([[0, 0, 40, 40], [10, 10, 30, 30]], [10, 10, 30, 30]),
    ],
)
def test_the_face_that_fills_most_of_the_picture_is_the_one(boxes, chosen):
    faces = find_main(np.zeros((40, 40), np.uint8), Boxes(*boxes), np.array([10.0, 10, 30, 30]))
    assert faces.box_xyxy.tolist() == ([] if chosen is None else [chosen])


def test_a_surrounded_face_is_cut_from_the_whole_picture():
    """The face as the detector saw it, and not made larger or smaller for it, gives the crop."""
    random = np.random.default_rng(1)
    picture = random.integers(0, 255, (48, 48), dtype=np.uint8)
    spec, detector = CropSpec("fer2013-mean", 0.0, 24), Boxes([24, 24, 72, 72])
    result = cut_corpus([picture], spec, detector, surround=Surround(0.5))
    assert result.found.all()
    assert detector.seen[0].shape == (96, 96, 3)
    assert (detector.seen[0][24:72, 24:72, 0] == picture).all()
    canvas, _ = Surround(0.5).pad(picture)
    assert (result.crops[0] == spec.cut(canvas, (POINTS * 48 + 24)[None])[0]).all()
    assert np.abs(result.crops[0].astype(int) - spec.cut_framed(picture)).mean() < 30


def test_a_face_lost_in_its_surroundings_is_missed():
    picture = np.full((48, 48), 99, np.uint8)
    result = cut_corpus([picture], CropSpec("fer2013-mean", 0.0, 24), Boxes(), surround=Surround(0.5))
    assert not result.found.any() and (result.crops == 99).all()


def test_what_is_kept_is_kept_for_each_surrounding(tmp_path):
    picture, spec = np.full((48, 48), 99, np.uint8), CropSpec("fer2013-mean", 0.0, 24)
    found = [
        cut_corpus([picture], spec, detector, surround=around, cache=tmp_path).found.tolist()
        for around, detector in [
            (Surround(0.5), Boxes()),
            (Surround(0.5, "black"), Boxes([24, 24, 72, 72])),
            (
                Surround(0.5),
                Boxes([24, 24, 72, 72]),
            ),  # the same question as the first: answered from the file
        ]
    ]
    assert found == [[False], [True], [False]]


def test_a_surrounding_needs_a_detector():
    with pytest.raises(ArgumentError, match="surround must be given with a detector"):
        cut_corpus(
            [np.zeros((9, 9), np.uint8)], CropSpec("fer2013-mean", 0.0, 9), None, surround=Surround(0.5)
        )
