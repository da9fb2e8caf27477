from __future__ import annotations

import numpy as np
import pytest

from mien.faces.align import template_points
from mien.training.measures import LIGHT, Spread, estimate_pose, light_of, measure


def ramp(side=32):
    return np.tile(np.linspace(40, 200, side).astype(np.uint8), (side, 1))


@pytest.mark.parametrize(
    ("face", "sign"),
    [
        (ramp(), (1, 0)),  # brighter to our right: from the subject's left
        (ramp()[:, ::-1], (-1, 0)),
        (ramp().T, (0, -1)),  # brighter below
        (ramp().T[::-1], (0, 1)),
        (np.full((32, 32), 128, np.uint8), (0, 0)),
        (np.zeros((32, 32), np.uint8), (0, 0)),
    ],
)
def test_light_says_where_it_comes_from(face, sign):
    light = dict(zip(LIGHT, light_of(face).tolist(), strict=True))
    assert (round(light["from_the_left"], 2) > 0) - (round(light["from_the_left"], 2) < 0) == sign[0]
    assert (round(light["from_above"], 2) > 0) - (round(light["from_above"], 2) < 0) == sign[1]
    assert light["brightness"] == pytest.approx(face.mean() / 255, abs=1e-6)
    assert light["contrast"] == pytest.approx(face.std() / 255, abs=1e-6)


def test_light_is_measured_in_the_face_where_one_is_known():
    image = np.zeros((200, 200), np.uint8)
    image[:60, :60] = 200
    points = (template_points("fer2013-mean", 0.0, 40) + 10)[None].astype(np.float32)
    unknown = np.full((1, 5, 2), np.nan, np.float32)
    measures = measure([image, image, image], np.concatenate([points, unknown, points]))
    assert measures.light[:, 0].tolist() == pytest.approx([200 / 255, 0.0706, 200 / 255], abs=0.01)
    assert measures.key[0] == measures.key[1]


def test_size_colour_and_identity():
    grey = ramp(20)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    red = rgb.copy()
    red[..., 1:] //= 3
    seen = []
    measures = measure([grey, rgb, red, grey[:, :10]], progress=lambda *step: seen.append(step))
    assert measures.size_px.tolist() == [[20, 20], [20, 20], [20, 20], [10, 20]]
    assert measures.coloured.tolist() == [False, False, True, False]
    assert len(set(measures.key.tolist())) == 4
    assert (measures.thumbnail[0] == measures.thumbnail[1]).all()
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(measure([])) == 0


def turned(yaw_deg=0.0, roll_deg=0.0, eyes=30.0):
    """Landmarks of a face with a nose that stands 1 / 1.6 of the eyes' distance before them."""
    yaw, roll = np.radians(yaw_deg), np.radians(roll_deg)
    width = eyes * np.cos(yaw)
    points = np.array([[-width / 2, 0], [width / 2, 0], [eyes / 1.6 * np.sin(yaw), 20], [-8, 40], [8, 40]])
    matrix = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return (points @ matrix.T + 100).astype(np.float32)


@pytest.mark.parametrize(("yaw", "roll"), [(0, 0), (20, 0), (-30, 0), (0, 15), (25, -40), (-10, 90)])
def test_turns_are_recovered_with_their_signs(yaw, roll):
    pose = estimate_pose(turned(yaw, roll)[None])
    assert pose.yaw_deg[0] == pytest.approx(yaw, abs=0.1)
    assert pose.roll_deg[0] == pytest.approx(roll, abs=0.1)
    assert pose.eyes_px[0] == pytest.approx(30 * np.cos(np.radians(yaw)), abs=0.1)


def test_no_face_has_no_turn():
    pose = estimate_pose(np.full((2, 5, 2), np.nan, np.float32))
    assert np.isnan(pose.yaw_deg).all() and np.isnan(pose.eyes_px).all()
    assert len(estimate_pose(np.empty((0, 5, 2), np.float32)).yaw_deg) == 0


@pytest.mark.parametrize(
    ("values", "n", "median"),
    [([], 0, None), ([np.nan], 0, None), ([3.0], 1, 3.0), ([1, np.nan, 2, 9], 3, 2.0)],
)
def test_spreads_leave_out_what_is_unknown(values, n, median):
    spread = Spread.of(np.array(values, float))
    assert (spread.n, spread.median) == (n, median)
    assert list(spread.to_dict()) == ["n", "low", "quarter", "median", "three_quarters", "high"]
