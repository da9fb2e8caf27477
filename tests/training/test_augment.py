"""Altered copies: one resampling that agrees with inference, mirrored where it says, lit without overflow."""

import numpy as np
import pytest
import torch

from mien.faces.align import TEMPLATES, CropSpec, template_points
from mien.training.augment import Augment, Ranges, cut, jitter, relight

SPEC = CropSpec("fer2013-mean", -1 / 24, 44)
STILL = Ranges(turn_deg=0, scale=0, shift=0, light=0)


def smooth_picture(seed=0, side=48):
    small = np.random.default_rng(seed).integers(0, 256, (6, 6)).astype(np.uint8)
    return np.kron(small, np.ones((side // 6, side // 6), np.uint8))


def landmarks(scale, turn_deg=0.0, middle=(24.0, 24.0)):
    angle = np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (np.array(TEMPLATES["fer2013-mean"]) - 0.5) @ turn.T * 48 * scale + middle


@pytest.mark.parametrize(("scale", "turn"), [(1.0, 0), (0.7, 25), (1.2, -40)])
def test_training_cuts_what_inference_cuts(scale, turn):
    picture, points = smooth_picture(), landmarks(scale, turn)
    ours = cut(
        torch.from_numpy(picture[None]), torch.from_numpy(SPEC.matrices(points[None])).float(), SPEC.size
    )
    theirs = SPEC.cut(picture, points[None])
    assert np.abs(ours[0].numpy() - theirs[0]).max() < 6  # OpenCV interpolates in steps of 1/32 pixel


def test_no_jitter_is_the_alignment_itself():
    matrix = torch.from_numpy(SPEC.matrices(landmarks(0.8, 12)[None])).float()
    same = jitter(matrix, SPEC.size, STILL, torch.tensor([False]))
    torch.testing.assert_close(same, matrix)


def test_flip_mirrors_the_crop():
    picture = torch.from_numpy(smooth_picture()[None])
    matrix = torch.from_numpy(SPEC.matrices(landmarks(0.9)[None])).float()
    plain, mirrored = (
        cut(picture, jitter(matrix, SPEC.size, STILL, torch.tensor([flip])), SPEC.size)
        for flip in (False, True)
    )
    torch.testing.assert_close(mirrored, plain.flip(-1), atol=1e-2, rtol=0)


def test_jitter_turns_about_the_middle():
    torch.manual_seed(0)
    matrix = torch.from_numpy(SPEC.matrices(landmarks(1.0)[None])).float().repeat(500, 1, 1)
    moved = jitter(
        matrix, SPEC.size, Ranges(turn_deg=10, scale=0.1, shift=0.0), torch.zeros(500, dtype=torch.bool)
    )
    middle = moved[:, :, :2] @ torch.tensor([24.0, 24.0]) + moved[:, :, 2]
    torch.testing.assert_close(middle, torch.full((500, 2), 22.0), atol=1e-3, rtol=0)
    turned = torch.rad2deg(torch.atan2(moved[:, 1, 0], moved[:, 0, 0]))
    assert 8 < turned.std() < 12
    assert 0.08 < torch.log(torch.hypot(moved[:, 0, 0], moved[:, 1, 0])).std() < 0.12


def test_relight_keeps_the_range_and_one_side_is_darker():
    torch.manual_seed(1)
    lit = relight(torch.full((200, 44, 44), 100.0), 1.0)
    assert lit.min() >= 0
    assert lit.max() <= 255
    sides = (lit[:, :, :10].mean((1, 2)) - lit[:, :, -10:].mean((1, 2))).abs()
    tops = (lit[:, :10].mean((1, 2)) - lit[:, -10:].mean((1, 2))).abs()
    assert torch.maximum(sides, tops).median() > 10
    torch.testing.assert_close(relight(torch.full((3, 44, 44), 100.0), 0.0), torch.full((3, 44, 44), 100.0))


def test_augment_is_seeded_and_in_range():
    pictures = torch.from_numpy(np.stack([smooth_picture(i) for i in range(16)]))
    matrix = torch.from_numpy(SPEC.matrices(landmarks(1.0)[None])).float().repeat(16, 1, 1)
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(Augment(44)(pictures, matrix))
    torch.testing.assert_close(results[0][0], results[1][0])
    crops, flip = results[0]
    assert crops.shape == (16, 44, 44)
    assert crops.min() >= 0
    assert crops.max() <= 255
    assert 0 < flip.sum() < 16
    assert crops.std(dim=0).mean() > 1


def test_template_of_a_framed_picture_is_its_own():
    points = template_points("fer2013-mean", 0.0, 48)
    np.testing.assert_allclose(points, np.array(TEMPLATES["fer2013-mean"]) * 48)
