"""Things before a face: they cover what they say, and nothing else, in the light of the face."""

import numpy as np
import pytest

from mien.faces.align import TEMPLATES
from mien.training.covers import (
    cover_with_hand_below,
    cover_with_hand_left,
    cover_with_mask,
    cover_with_sunglasses,
)

SIDE = 100
UNIT = np.array(TEMPLATES["fer2013-mean"])
POINTS = UNIT * SIDE  # the picture is the template's square
EYES, NOSE, MOUTH = [0, 1], [2], [3, 4]


def covered(function, value=120, seed=0, colour=False):
    """Where a plain picture is another after it was covered, (SIDE, SIDE); and the picture."""
    shape = (SIDE, SIDE, 3) if colour else (SIDE, SIDE)
    plain = np.random.default_rng(1).integers(value - 3, value + 4, shape).astype(np.uint8)
    picture, points = function(plain, POINTS, np.random.default_rng(seed))
    np.testing.assert_array_equal(points, POINTS)
    changed = picture != plain
    return (changed.any(axis=2) if colour else changed), picture


def at(mask, rows):
    return [
        bool(mask[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].mean() > 0.6) for x, y in POINTS[rows]
    ]


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("function", "hidden", "seen"),
    [
        (cover_with_mask, NOSE + MOUTH, EYES),
        (cover_with_hand_below, NOSE + MOUTH, EYES),
        (cover_with_hand_left, [1, 4], [0, 3]),
        (cover_with_sunglasses, EYES, NOSE + MOUTH),
    ],
)
def test_what_is_hidden_and_what_is_seen(function, hidden, seen, colour):
    mask, _ = covered(function, colour=colour)
    assert all(at(mask, hidden))
    assert not any(at(mask, seen))


def test_a_hand_comes_from_either_side():
    masks = [covered(cover_with_hand_below, seed=seed)[0] for seed in range(8)]
    palms = {(mask[75:95, :3].mean() > 0.8, mask[75:95, -3:].mean() > 0.8) for mask in masks}
    assert palms == {(True, False), (False, True)}


@pytest.mark.parametrize("function", [cover_with_mask, cover_with_hand_below, cover_with_hand_left])
def test_a_cover_is_lit_like_the_face(function):
    levels = []
    for value in (20, 60, 120):
        mask, picture = covered(function, value=value)
        levels.append(picture[mask].mean())
    assert levels[0] < 0.5 * levels[1] < 0.4 * levels[2]


def test_sunglasses_are_dark():
    mask, picture = covered(cover_with_sunglasses)
    assert picture[mask].mean() < 60
    assert 0.08 < mask.mean() < 0.3


def test_covers_follow_the_face():
    plain = np.full((SIDE * 2, SIDE * 2), 120, np.uint8)
    mask = cover_with_mask(plain, POINTS + (SIDE, 0), np.random.default_rng(0))[0] != plain
    assert mask[:SIDE, SIDE:].mean() > 0.2
    assert mask[:, : SIDE - 10].mean() == 0
    assert mask[SIDE + 10 :].mean() == 0
