"""Finds to learn from: faces are faces, nothing is nothing, and what is neither is left out."""

import numpy as np
import pytest

from mien.errors import DatasetError
from mien.faces.faces import Faces
from mien.training.candidates import SIDE, alone, collect, found_in, frames
from mien.training.material import Material, Photo, Portraits
from mien.training.scenes import Scene


class Finds:
    """Stands in for a detector: finds these boxes in every picture."""

    name = "finds"

    def __init__(self, *boxes):
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)

    def candidates(self, image):
        n = len(self.boxes)
        return Faces(self.boxes, np.linspace(0.9, 0.2, n), np.zeros((n, 5, 2)))


def photo(boxes, scores, side=(300, 400)):
    """A black photograph whose faces are white."""
    picture = np.zeros(side, np.uint8)
    for x0, y0, x1, y1 in boxes:
        picture[y0:y1, x0:x1] = 255
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Photo(picture, boxes, np.zeros((len(boxes), 5, 2), np.float32), np.array(scores, np.float32), "x")


@pytest.fixture
def material():
    points = np.random.default_rng(0).uniform(60, 100, (3, 70, 2)).astype(np.float32)
    faces = np.full((3, 160, 160), 200, np.uint8)
    return Material(
        portraits={
            "faces_wild": Portraits(faces, points),
            "fer2013": Portraits(faces[:, :48, :48], points / 3),
        },
        photos={"caltech_faces": [photo([(60, 90, 140, 190)], [0.9])]},
        backgrounds=[np.full((200, 300), 90, np.uint8)],
    )


def test_what_overlaps_a_face_is_one_and_what_is_doubtful_is_left_out():
    boxes = [(10, 10, 50, 50), (100, 100, 140, 140)]
    scene = Scene(np.zeros((200, 200), np.uint8), [np.array(b, np.float32) for b in boxes], [], [True, False])
    finds = Finds(
        (12, 10, 52, 50),  # the face
        (100, 100, 140, 140),  # one that is not asked for
        (26, 10, 66, 50),  # 0.43: still the face
        (30, 30, 70, 70),  # 0.14: neither
        (150, 20, 190, 60),  # nothing
    )
    found = found_in(scene, finds, photographed=True)
    assert found.face.tolist() == [True, True, False]
    np.testing.assert_allclose(found.score, [0.9, 0.55, 0.2], atol=1e-6)
    assert found.photographed.all() and found.crops.shape == (3, SIDE, SIDE)
    missed = Finds((12, 10, 52, 50), (150, 20, 190, 60), (150, 120, 190, 160))
    assert found_in(scene, missed).face.tolist() == [True, False, False]
    photographed = found_in(scene, missed, photographed=True)
    assert photographed.score.tolist() == pytest.approx([0.9, 0.2]), "perhaps the teacher missed it"
    empty = found_in(Scene(scene.picture, [], [], []), finds)
    assert len(empty) == 5 and not empty.face.any() and not empty.photographed.any()


def test_frames_are_about_as_large_as_a_camera_s_and_boxes_stay_on_their_faces(material):
    shown = list(frames(material, 10, seed=0))
    assert len(shown) == 10 + 20, "photographs are shown twice as often"
    with_face = [scene for scene in shown if scene.boxes]
    assert len(with_face) == 20
    mirrored = 0
    for scene in with_face:
        assert 0.34 * 640 < max(scene.picture.shape) < 1.41 * 640
        x0, y0, x1, y1 = scene.boxes[0]
        blurred = scene.picture.astype(float)
        inside = blurred[int(y0) : int(y1), int(x0) : int(x1)].mean()
        assert inside > 1.5 * (blurred.sum() - inside * (x1 - x0) * (y1 - y0)) / blurred.size
        mirrored += (x0 + x1) / 2 > scene.picture.shape[1] / 2
    assert 3 <= mirrored <= 17, "half of them are mirrored, with their boxes"


def test_unsure_boxes_are_not_asked_for_and_unlikely_ones_are_nothing():
    doubtful = photo([(60, 90, 140, 190), (200, 20, 240, 60)], [0.45, 0.1])
    shown = next(frames(Material({}, {"clips": [doubtful]}, []), 1, seed=0))
    assert len(shown.boxes) == 1 and shown.sure == [False]


def test_single_faces_stand_in_the_middle_and_a_third_is_none(material):
    shown = list(alone(material, 20, seed=1))
    assert len(shown) == 30 and sum(not scene.boxes for scene in shown) == 10
    for scene in shown:
        for box in scene.boxes:
            height, width = scene.picture.shape
            assert (box > 0).all() and (box < (width, height, width, height)).all()
    boxed = photo([(20, 20, 60, 70)], [0.9], side=(100, 100))
    profiles = Material({}, {"without_landmarks": [boxed]}, material.backgrounds)
    assert [len(scene.boxes) for scene in alone(profiles, 4, seed=0)] == [1, 1, 0, 1, 1, 0]
    assert not list(frames(profiles, 1, seed=0))[1:], "portraits are no camera's frames"


def test_the_same_seed_finds_the_same_and_both_kinds_are_needed(material):
    places = range(0, 300, 30)
    finds = Finds(*((x, y, x + side, y + side) for side in (50, 100) for x in places for y in places))
    first, again = (collect(material, finds, scenes=4, rounds=1, singles=4, seed=2) for _ in range(2))
    assert len(first) == len(again) > 0 and first.face.any() and not first.face.all()
    for name in ("crops", "score", "face", "photographed"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    for nothing in (Finds(), Finds((0, 0, 2, 2))):
        with pytest.raises(DatasetError, match="finds nothing to tell apart"):
            collect(material, nothing, scenes=2, rounds=1, singles=2, seed=2)
