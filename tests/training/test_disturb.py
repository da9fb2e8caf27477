"""What goes wrong with pictures in use: landmarks move with the picture, and each does what it says."""

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.faces.align import TEMPLATES
from mien.training import disturb
from mien.training.conditions import CONDITIONS

UNIT = np.array(TEMPLATES["fer2013-mean"])


def random(seed=0):
    return np.random.default_rng(seed)


def portrait(side=120, colour=False, value=140):
    """A plain picture with a black dot of its own size at each landmark of a face; and the landmarks."""
    points = UNIT * side * 0.6 + side * 0.2
    y, x = np.mgrid[:side, :side] + 0.5
    dots = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) for px, py in points)
    picture = np.clip(value - 130 * dots, 0, 255).astype(np.uint8)
    return (np.repeat(picture[..., None], 3, axis=2) if colour else picture), points


def darkest_near(picture, point, reach=6):
    """The centre of darkness around a point: where its dot now is."""
    x, y = np.round(point).astype(int)
    part = picture[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(float)
    weight = np.clip(np.median(part) - 15 - part, 0, None)
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]]
    return (
        np.array(
            [
                x - reach + (weight * columns).sum() / weight.sum(),
                y - reach + (weight * rows).sum() / weight.sum(),
            ]
        )
        + 0.5
    )


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_keeps_the_shape_is_seeded_and_changes_something(name, colour):
    picture, points = portrait(colour=colour)
    before = picture.copy()
    first, second = (CONDITIONS[name](picture, points, random(3)) for _ in range(2))
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(first[0], second[0])
    assert first[0].shape == picture.shape
    assert first[0].dtype == np.uint8
    assert first[1].shape == (5, 2)
    assert np.abs(first[0].astype(int) - picture).max() > 20


COLOURED = {"dark-noisy", "noisy", "jpeg", "mask", "hand-below", "hand-left", "sunglasses"}
"""Those that bring colours of their own."""


@pytest.mark.parametrize("name", [name for name in CONDITIONS if name not in COLOURED])
def test_grey_and_its_colours_are_disturbed_alike(name):
    grey, points = portrait()
    colour, _ = portrait(colour=True)
    one, three = (CONDITIONS[name](p, points, random(1))[0] for p in (grey, colour))
    np.testing.assert_array_equal(three, np.repeat(one[..., None], 3, axis=2))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["turned-15", "turned-30", "turned-away-approximate"])
def test_landmarks_move_with_the_picture(name, seed):
    picture, points = portrait()
    moved, landmarks = CONDITIONS[name](picture, points, random(seed))
    assert np.abs(landmarks - points).max() > 3
    for point in landmarks:
        assert np.linalg.norm(darkest_near(moved, point) - point) < 0.6


def test_a_turn_is_as_large_as_it_says_to_either_side():
    picture, points = portrait()
    turns = set()
    for seed in range(10):
        _, landmarks = disturb.turn_in_plane(picture, points, random(seed), degrees=20)
        eyes = landmarks[1] - landmarks[0]
        turns.add(round(np.degrees(np.arctan2(eyes[1], eyes[0])), 3))
    assert turns == {-20.0, 20.0}


def test_a_face_turned_away_is_narrower_and_nearer_on_one_side():
    picture, points = portrait()
    _, (right, left, nose, *_) = disturb.turn_away_approximately(picture, points, random(0))
    halves = nose[0] - right[0], left[0] - nose[0]
    assert sum(halves) < 0.85 * (points[1, 0] - points[0, 0])
    assert max(halves) > 1.06 * min(halves)


def test_dark_is_as_dark_as_it_says():
    picture, points = portrait(value=200)
    assert disturb.darken(picture, points, random(), gain=0.25)[0][0, 0] == 50
    dark, _ = disturb.darken_noisily(picture, points, random(), gain=0.2)
    corner = dark[:20, :120].astype(float)
    assert corner.mean() == pytest.approx(40, abs=1)
    assert corner.std() == pytest.approx((1.5 * 40 + 20) ** 0.5, rel=0.1)


def test_light_from_above_darkens_downwards_and_the_eyes():
    picture, points = np.full((120, 120), 100, np.uint8), portrait()[1]
    lit, _ = disturb.light_from_above(picture, points, random())
    assert lit[40, 5] > 1.2 * lit[70, 5] > 1.5 * lit[110, 5]
    x, y = points[0].astype(int)
    assert lit[y, x] < 0.7 * lit[y, 5]


@pytest.mark.parametrize("seed", range(4))
def test_light_from_the_side_leaves_one_half_in_the_dark(seed):
    picture, points = np.full((120, 120), 100, np.uint8), portrait()[1]
    lit, _ = disturb.light_from_side(picture, points, random(seed))
    halves = sorted([lit[:, :45].mean(), lit[:, 75:].mean()])
    assert halves[0] < 20
    assert halves[1] > 110


def test_light_follows_a_tilted_face():
    picture = np.full((120, 120), 100, np.uint8)
    _, points = disturb.turn_in_plane(*portrait(), random(0), degrees=90)
    lit, _ = disturb.light_from_side(picture, points, random(0))
    assert abs(lit[:40].mean() - lit[80:].mean()) > 50


def spread(picture):
    return float(np.abs(np.diff(picture.astype(float), axis=1)).mean())


@pytest.mark.parametrize("factor", [1, 3])
def test_blur_and_distance_follow_the_size_of_the_face(factor):
    picture, points = portrait(side=120 * factor)
    for function in (disturb.blur, disturb.shrink):
        settings = {"sides": 0.05} if function is disturb.blur else {"side_px": 12}
        assert spread(function(picture, points, random(), **settings)[0]) < 0.9 * spread(picture)
    fine = random(0).integers(0, 256, picture.shape).astype(np.uint8)
    assert disturb.blur(fine, points, random(), sides=0.03)[0].std() < 0.4 * fine.std()


def test_a_face_that_is_small_already_stays():
    picture, points = portrait(side=30)
    np.testing.assert_array_equal(disturb.shrink(picture, points, random(), side_px=24)[0], picture)
    small, _ = disturb.shrink(*portrait(side=120), random(), side_px=24)
    smaller, _ = disturb.shrink(*portrait(side=120), random(), side_px=16)
    assert spread(smaller) < spread(small)


def test_noise_has_its_deviation_and_its_grain():
    flat = np.full((192, 192, 3), 128, np.uint8)
    points = UNIT * 192  # a face four times as large as one of 48 pixels: grain of four pixels
    noisy = disturb.add_noise(flat, points, random(), deviation=20)[0].astype(float)
    assert noisy.std() == pytest.approx(20, rel=0.05)
    assert (np.diff(noisy, axis=1) == 0).mean() == pytest.approx(0.75, abs=0.02)
    assert np.abs(noisy[..., 0] - noisy[..., 1]).mean() > 10


def test_jpeg_keeps_the_order_of_the_colours():
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 220
    read, _ = disturb.compress(red, UNIT * 64, random())
    assert read[..., 0].mean() > 180
    assert read[..., 2].mean() < 60


@pytest.mark.parametrize(
    "points", [np.zeros((4, 2)), np.zeros((5, 2)), np.zeros((1, 5, 2))], ids=["four", "one place", "batch"]
)
def test_landmarks_that_are_none(points):
    with pytest.raises(ArgumentError, match="landmarks_xy must be"):
        disturb.FaceFrame(np.zeros((9, 9), np.uint8), points)


def test_the_frame_of_a_face_is_the_template():
    picture, points = portrait()
    face = disturb.FaceFrame(picture, points)
    assert face.side == pytest.approx(72)
    np.testing.assert_allclose(face.landmarks, UNIT, atol=1e-6)
    np.testing.assert_allclose(face.to_picture(*UNIT.T), points, atol=1e-6)
    assert face.u[0, 0] == pytest.approx((0.5 - 24) / 72, abs=1e-5)
