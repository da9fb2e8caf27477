"""Landmarks found a second time: moved where both agree, kept where they do not."""

import numpy as np
import pytest

from mien.faces.align import CropSpec, invert, transform
from mien.faces.detect import load_detector
from mien.faces.faces import Faces
from mien.faces.landmarks import FIVE_OF_70, MOST_MOVE, LandmarkModel, load_landmarks

PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160), dtype=np.uint8)
FIVE = np.array([[40, 40], [64, 42], [51, 55], [42, 68], [61, 70]], np.float32)


class Drawn(LandmarkModel):
    """Says that the five points lie at the same places of every crop."""

    def __init__(self, points, card):
        self.points, self.card = points, card

    def predict(self, crops):
        found = np.zeros((len(crops), 70, 2), np.float32)
        found[:, FIVE_OF_70] = self.points
        return found


@pytest.fixture(scope="module")
def card():
    return load_landmarks().card


def faces(*landmarks):
    n = len(landmarks)
    points = np.array(landmarks, np.float32).reshape(n, 5, 2)
    box = np.tile(np.array([20, 20, 90, 100], np.float32), (n, 1))
    return Faces(box, np.linspace(0.9, 0.8, n).astype(np.float32), points, np.arange(n))


def crop_of(card, points):
    spec = CropSpec(card.template, card.margin, card.size_px)
    return spec.matrices(points[None])


def test_points_move_to_where_the_network_sees_them(card):
    matrix = crop_of(card, FIVE)
    wanted = FIVE + (2, -3)
    model = Drawn(transform(wanted[None], matrix)[0], card)
    refined = model.refine(PICTURE, faces(FIVE))
    np.testing.assert_allclose(refined.landmarks_xy[0], wanted, atol=1e-3)
    plain = faces(FIVE)
    for field in ("box_xyxy", "score", "track_id"):
        np.testing.assert_array_equal(getattr(refined, field), getattr(plain, field))


def test_points_that_would_move_too_far_stay(card):
    eyes = float(np.linalg.norm(FIVE[0] - FIVE[1]))
    matrix = crop_of(card, FIVE)
    for share, moved in ((0.9, True), (1.1, False)):
        wanted = FIVE + (MOST_MOVE * eyes * share, 0)
        refined = Drawn(transform(wanted[None], matrix)[0], card).refine(PICTURE, faces(FIVE))
        np.testing.assert_allclose(refined.landmarks_xy[0], wanted if moved else FIVE, atol=1e-3)


def test_no_faces_and_faces_without_extent(card):
    model = Drawn(np.full((5, 2), 20.0), card)
    assert len(model.refine(PICTURE, Faces.empty())) == 0
    flat = np.full((5, 2), 30, np.float32)
    refined = model.refine(PICTURE, faces(flat, FIVE))
    np.testing.assert_array_equal(refined.landmarks_xy[0], flat)


def test_the_shipped_detector_looks_twice():
    from skimage.data import astronaut

    twice = load_detector()
    once = load_detector()
    once._landmarks = None
    first, second = once.detect(astronaut()), twice.detect(astronaut())
    np.testing.assert_array_equal(first.box_xyxy, second.box_xyxy)
    eyes = np.linalg.norm(first.landmarks_xy[0, 0] - first.landmarks_xy[0, 1])
    moved = np.linalg.norm(first.landmarks_xy[0] - second.landmarks_xy[0], axis=1) / eyes
    assert 0 < moved.max() < 0.4
    assert once.sha256 != load_detector().sha256, "their crops are not the same"


def test_what_is_found_in_the_crop_is_carried_back(card):
    matrix = crop_of(card, FIVE)
    inside = np.full((1, 5, 2), 22.0)
    carried = transform(inside, invert(matrix))[0]
    model = Drawn(inside[0], card)
    near = np.linalg.norm(carried - FIVE, axis=1).mean() <= MOST_MOVE * np.linalg.norm(FIVE[0] - FIVE[1])
    refined = model.refine(PICTURE, faces(FIVE)).landmarks_xy[0]
    np.testing.assert_allclose(refined, carried if near else FIVE, atol=1e-3)
