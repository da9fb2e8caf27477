"""Alignment: the fit is exact where it can be, crops stand where the template says, at every scale."""

import cv2
import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.faces.align import (
    LANDMARKS,
    TEMPLATES,
    CropSpec,
    cut_boxes,
    fit_similarity,
    framed_matrices,
    invert,
    template_points,
    transform,
)

SPEC = CropSpec("fer2013-mean", -1 / 24, 44)


def similarity(angle_deg, scale, shift):
    angle = np.radians(angle_deg)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, shift])[None]


@pytest.mark.parametrize("angle", [0, 30, -90, 179])
@pytest.mark.parametrize("scale", [0.05, 1.0, 12.0])
def test_fit_recovers_a_similarity(angle, scale):
    points = np.random.default_rng(0).normal(size=(1, 5, 2)) * 40
    true = similarity(angle, scale, (3.0, -70.0))
    fitted = fit_similarity(points, transform(points, true))
    np.testing.assert_allclose(fitted, true, atol=1e-9)


def test_fit_does_not_mirror():
    points = np.random.default_rng(1).normal(size=(1, 5, 2))
    fitted = fit_similarity(points, points * (-1, 1))
    assert np.linalg.det(fitted[0, :, :2]) >= 0


def test_fit_of_coinciding_points_has_scale_zero():
    fitted = fit_similarity(np.zeros((1, 5, 2)), template_points("fer2013-mean", 0, 44))
    assert np.isfinite(fitted).all()
    assert np.abs(fitted[0, :, :2]).max() < 1e-6


def test_fit_of_no_faces_is_empty():
    assert fit_similarity(np.empty((0, 5, 2)), template_points("fer2013-mean", 0, 44)).shape == (0, 2, 3)


def test_invert_undoes():
    points = np.random.default_rng(2).normal(size=(1, 7, 2))
    matrix = similarity(33, 2.5, (4, 5))
    np.testing.assert_allclose(transform(transform(points, matrix), invert(matrix)), points, atol=1e-12)


def test_templates_are_symmetric_faces():
    for points in TEMPLATES.values():
        right_eye, left_eye, nose, mouth_right, mouth_left = np.array(points)
        assert len(points) == len(LANDMARKS)
        np.testing.assert_allclose(right_eye + left_eye, (1, 2 * right_eye[1]), atol=1e-3)
        np.testing.assert_allclose(mouth_right + mouth_left, (1, 2 * mouth_right[1]), atol=1e-3)
        assert right_eye[1] < nose[1] < mouth_right[1]


def test_margin_adds_and_trims():
    tight, plain, wide = (template_points("fer2013-mean", m, 100) for m in (-0.1, 0.0, 0.5))
    assert np.ptp(tight[:, 0]) > np.ptp(plain[:, 0]) > np.ptp(wide[:, 0])
    np.testing.assert_allclose(wide, plain / 2 + 25)


def face_picture(unit, middle=(200.0, 150.0), side=400):
    """Five bright discs where a face's landmarks are."""
    landmarks = (np.array(TEMPLATES["fer2013-mean"]) - 0.5) * unit + middle
    picture = np.full((side, side), 20, np.uint8)
    for x, y in landmarks:
        centre = round((x - 0.5) * 16), round((y - 0.5) * 16)
        cv2.circle(picture, centre, round(unit * 0.05 * 16), 250, -1, cv2.LINE_AA, 4)
    return picture, landmarks


@pytest.mark.parametrize("unit", [30.0, 48.0, 150.0, 380.0])
def test_cut_puts_landmarks_on_the_template(unit):
    picture, landmarks = face_picture(unit)
    crop = SPEC.cut(picture, landmarks[None])[0].astype(float) - 20
    for x, y in template_points(SPEC.template, SPEC.margin, SPEC.size):
        rows, columns = np.mgrid[: SPEC.size, : SPEC.size] + 0.5
        near = crop * (np.hypot(columns - x, rows - y) < 5)
        centre = (near * columns).sum() / near.sum(), (near * rows).sum() / near.sum()
        np.testing.assert_allclose(centre, (x, y), atol=0.35)


def test_cut_averages_large_faces_instead_of_aliasing():
    stripes = np.tile(np.array([0, 255], np.uint8), (800, 400))
    landmarks = (np.array(TEMPLATES["fer2013-mean"])) * 800
    crop = SPEC.cut(stripes, landmarks[None])[0]
    assert abs(crop.mean() - 127.5) < 2
    assert crop.std() < 6


def test_cut_of_grey_rgb_and_none():
    picture, landmarks = face_picture(100)
    rgb = np.repeat(picture[..., None], 3, axis=2)
    assert SPEC.cut(rgb, landmarks[None]).shape == (1, 44, 44)
    assert CropSpec("fer2013-mean", 0.1, 32, "rgb").cut(picture, landmarks[None]).shape == (1, 32, 32, 3)
    assert SPEC.cut(picture, np.empty((0, 5, 2))).shape == (0, 44, 44)
    np.testing.assert_array_equal(SPEC.cut(rgb, landmarks[None]), SPEC.cut(picture, landmarks[None]))


def test_cut_outside_the_picture_repeats_its_border():
    picture = np.full((10, 10), 77, np.uint8)
    landmarks = np.array(TEMPLATES["fer2013-mean"]) * 300 - 500
    assert (SPEC.cut(picture, landmarks[None]) == 77).all()


def test_framed_is_the_aligned_cut_of_a_face_on_the_template():
    picture, _ = face_picture(48, middle=(24.0, 24.0), side=48)
    landmarks = np.array(TEMPLATES["fer2013-mean"]) * 48
    np.testing.assert_array_equal(SPEC.cut_framed(picture), SPEC.cut(picture, landmarks[None])[0])


def test_framed_takes_the_middle_of_a_wide_picture():
    matrix = framed_matrices([(50, 90)], 0.0, 50)[0]
    np.testing.assert_allclose(matrix, [[1, 0, -20], [0, 1, 0]])


@pytest.mark.parametrize("change", [{"template": "none"}, {"colour": "bgr"}])
def test_wrong_spec_is_refused(change):
    with pytest.raises(ArgumentError):
        CropSpec(**{"template": "fer2013-mean", "margin": 0.0, "size": 44} | change)


def test_boxes_are_cut_as_they_are_and_with_what_surrounds_them():
    picture = np.random.default_rng(3).integers(0, 256, (90, 120), dtype=np.uint8)
    boxes = [(30, 20, 62, 52), (40, 40, 56, 56)]
    plain, around = cut_boxes(picture, boxes, 0.0, 32)[0], cut_boxes(picture, boxes, 0.5, 32)[1]
    np.testing.assert_array_equal(plain, picture[20:52, 30:62])
    np.testing.assert_array_equal(around, picture[32:64, 32:64])
    assert cut_boxes(picture, np.empty((0, 4)), 0.0, 32).shape == (0, 32, 32)


def test_boxes_that_are_no_squares_keep_their_proportions_and_the_border_is_repeated():
    picture = np.tile(np.arange(100, dtype=np.uint8), (100, 1))
    wide = cut_boxes(picture, [(10, 40, 90, 60)], 0.0, 40)[0]  # 80 x 20: as large as 40 x 40
    np.testing.assert_array_equal(wide, picture[30:70, 30:70])
    beyond = cut_boxes(picture, [(-10, 10, 10, 30)], 0.0, 20)[0]
    np.testing.assert_array_equal(beyond[:, :11], 0)
    np.testing.assert_array_equal(beyond[0, 10:], np.arange(10))
    large = cut_boxes(np.repeat(picture[..., None], 3, axis=2), [(0, 0, 100, 100)], 0.0, 10)[0]
    np.testing.assert_allclose(large, np.tile(np.arange(4.5, 100, 10), (10, 1)), atol=1.5)
