"""Altered copies: one resampling that agrees with inference, mirrored where it says, alike in all layers."""

import numpy as np
import pytest
import torch

from mien.errors import ArgumentError
from mien.faces.align import TEMPLATES, CropSpec, template_points
from mien.training.augment import EFFECTS, MOVES, Augment, cut, jitter, relight
from mien.training.augmentation import PRESETS, TRANSFORMATIONS, Augmentation

SPEC = CropSpec("fer2013-mean", -1 / 24, 44)
STILL = PRESETS["none"]


def smooth_picture(seed=0, side=48):
    small = np.random.default_rng(seed).integers(0, 256, (6, 6)).astype(np.uint8)
    return np.kron(small, np.ones((side // 6, side // 6), np.uint8))


def landmarks(scale, turn_deg=0.0, middle=(24.0, 24.0)):
    angle = np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (np.array(TEMPLATES["fer2013-mean"]) - 0.5) @ turn.T * 48 * scale + middle


def alignments(n=1, scale=1.0, turn_deg=0.0):
    return torch.from_numpy(SPEC.matrices(landmarks(scale, turn_deg)[None])).float().repeat(n, 1, 1)


def batch(n=16):
    return torch.from_numpy(np.stack([smooth_picture(i) for i in range(n)]))


def altered(name_or_settings, pictures, matrix, seed=5, size=44):
    settings = (
        Augmentation.preset(name_or_settings) if isinstance(name_or_settings, str) else name_or_settings
    )
    torch.manual_seed(seed)
    return Augment(size, settings)(pictures, matrix)


@pytest.mark.parametrize(("scale", "turn"), [(1.0, 0), (0.7, 25), (1.2, -40)])
def test_training_cuts_what_inference_cuts(scale, turn):
    picture, points = smooth_picture(), landmarks(scale, turn)
    ours = cut(
        torch.from_numpy(picture[None]), torch.from_numpy(SPEC.matrices(points[None])).float(), SPEC.size
    )
    theirs = SPEC.cut(picture, points[None])
    assert np.abs(ours[0].numpy() - theirs[0]).max() < 6  # OpenCV interpolates in steps of 1/32 pixel


def test_no_jitter_is_the_alignment_itself():
    matrix = alignments(scale=0.8, turn_deg=12)
    same = jitter(matrix, SPEC.size, STILL, torch.tensor([False]))
    torch.testing.assert_close(same, matrix)


def test_flip_mirrors_the_crop():
    picture = torch.from_numpy(smooth_picture()[None])
    plain, mirrored = (
        cut(picture, jitter(alignments(scale=0.9), SPEC.size, STILL, torch.tensor([flip])), SPEC.size)
        for flip in (False, True)
    )
    torch.testing.assert_close(mirrored, plain.flip(-1), atol=1e-2, rtol=0)


def test_jitter_turns_about_the_middle():
    torch.manual_seed(0)
    settings = Augmentation(turn_deg=10, scale=0.1, shift=0.0)
    moved = jitter(alignments(500), SPEC.size, settings, torch.zeros(500, dtype=torch.bool))
    middle = moved[:, :, :2] @ torch.tensor([24.0, 24.0]) + moved[:, :, 2]
    torch.testing.assert_close(middle, torch.full((500, 2), 22.0), atol=1e-3, rtol=0)
    turned = torch.rad2deg(torch.atan2(moved[:, 1, 0], moved[:, 0, 0]))
    assert 8 < turned.std() < 12
    assert 0.08 < torch.log(torch.hypot(moved[:, 0, 0], moved[:, 1, 0])).std() < 0.12


def test_jitter_shifts_as_far_as_it_says():
    torch.manual_seed(0)
    settings = Augmentation(turn_deg=0, scale=0, shift=0.05)
    moved = jitter(alignments(2000), 44, settings, torch.zeros(2000, dtype=torch.bool)) - alignments(2000)
    torch.testing.assert_close(moved[:, :, :2], torch.zeros(2000, 2, 2))
    assert moved[:, :, 2].std() == pytest.approx(0.05 * 44, rel=0.1)


def test_cropping_enlarges_a_square_within_the_crop():
    torch.manual_seed(0)
    settings = Augmentation(turn_deg=0, scale=0, shift=0, crop=1.0, crop_area=(0.25, 0.5))
    matrix = torch.eye(2, 3).repeat(300, 1, 1)
    moved = jitter(matrix, 40, settings, torch.zeros(300, dtype=torch.bool))
    scale = moved[:, 0, 0]
    assert scale.min() >= 2**0.5 - 1e-4
    assert scale.max() <= 2 + 1e-4
    corner = -moved[:, :, 2] / scale[:, None]  # of what is kept, in the crop as it was
    assert corner.min() >= -1e-3
    assert (corner + 40 / scale[:, None]).max() <= 40 + 1e-3
    assert corner.std(dim=0).min() > 2


def test_relight_keeps_the_range_and_one_side_is_darker():
    torch.manual_seed(1)
    lit = relight(torch.full((200, 44, 44), 100.0), 1.0)
    assert lit.min() >= 0
    assert lit.max() <= 255
    sides = (lit[:, :, :10].mean((1, 2)) - lit[:, :, -10:].mean((1, 2))).abs()
    tops = (lit[:, :10].mean((1, 2)) - lit[:, -10:].mean((1, 2))).abs()
    assert torch.maximum(sides, tops).median() > 10
    torch.testing.assert_close(relight(torch.full((3, 44, 44), 100.0), 0.0), torch.full((3, 44, 44), 100.0))


@pytest.mark.parametrize("preset", PRESETS)
def test_augment_is_seeded_and_in_range(preset):
    results = [altered(preset, batch(), alignments(16)) for _ in range(2)]
    torch.testing.assert_close(results[0][0], results[1][0])
    crops, flip = results[0]
    assert crops.shape == (16, 44, 44)
    assert crops.dtype == torch.float32
    assert crops.min() >= 0
    assert crops.max() <= 255
    assert (0 < flip.sum() < 16) == (preset != "none")
    assert crops.std(dim=0).mean() > 1


def test_nothing_done_is_the_plain_cut():
    crops, flip = altered("none", batch(), alignments(16))
    torch.testing.assert_close(crops, cut(batch(), alignments(16), 44))
    assert not flip.any()


@pytest.mark.parametrize("preset", ["default", "strong", "any-light", "dark-room"])
@pytest.mark.parametrize("n", [0, 1])
def test_small_batches(preset, n):
    crops, flip = altered(preset, batch(1)[:n], alignments(1)[:n])
    assert crops.shape == (n, 44, 44)
    assert flip.shape == (n,)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_so_many_copies_are_moved_but_keep_their_values(share):
    n = 400
    grey = torch.full((n, 48, 48), 100, dtype=torch.uint8)  # moving it changes nothing
    torch.manual_seed(2)
    every_one = Augmentation.preset("none").only("gamma")
    crops, _ = Augment(44, every_one, untouched=share)(grey, alignments(n))
    kept = (crops == 100).flatten(1).all(1).float().mean()
    assert kept == pytest.approx(share, abs=0.08)


def test_untouched_copies_are_turned_all_the_same():
    torch.manual_seed(2)
    crops, _ = Augment(44, Augmentation(), untouched=1.0)(batch(), alignments(16))
    framed = cut(batch(), alignments(16), 44)
    assert (crops - framed).abs().amax((1, 2)).min() > 5
    assert crops.amax() <= batch().amax() and crops.amin() >= batch().amin()


QUIET = Augmentation(
    noise=0, crop=0.5, hard_light=0.5, light_above=0.5, shadows=0.5, contrast=0.5, brightness=0.5,
    coarse=0.5, jpeg=0.5,
)  # fmt: skip
"""Everything but noise, whose grain no two pictures share."""


@pytest.mark.parametrize(
    ("layout", "matrix_frames"),
    [("n c h w", 0), ("n h w c", 0), ("n t h w", 5), ("n t h w c", 5)],
)
def test_the_layers_of_a_sample_are_altered_alike(layout, matrix_frames):
    count = {"c": 3, "t": 5}
    pictures = batch()
    for axis, name in enumerate(layout.split()):
        if name in count:
            pictures = pictures.unsqueeze(axis).repeat_interleave(count[name], axis)
    matrix = alignments(16)
    matrix = matrix[:, None].repeat(1, matrix_frames, 1, 1) if matrix_frames else matrix
    crops, flip = altered(QUIET, pictures, matrix)
    alone, flip_alone = altered(QUIET, batch(), alignments(16))
    assert crops.shape == tuple({"n": 16, "h": 44, "w": 44, **count}[name] for name in layout.split())
    torch.testing.assert_close(flip, flip_alone)
    for axis, name in reversed(list(enumerate(layout.split()))):
        if name in count:
            torch.testing.assert_close(crops.amin(axis), crops.amax(axis))
            crops = crops.select(axis, 0)
    # a mean over more layers is rounded otherwise, by a few of the last bits of values up to 255
    torch.testing.assert_close(crops, alone, rtol=1.3e-6, atol=5e-5)


def test_every_frame_keeps_its_own_alignment():
    picture = torch.from_numpy(smooth_picture()[None])
    matrix = torch.stack([alignments(scale=s)[0] for s in (0.8, 1.0, 1.2)])[None]
    crops, _ = altered("none", picture[:, None].repeat(1, 3, 1, 1), matrix)
    for frame in range(3):
        torch.testing.assert_close(crops[:, frame], cut(picture, matrix[:, frame], 44))


@pytest.mark.parametrize(
    ("shape", "matrix", "complaint"),
    [
        ((4, 48), (4, 2, 3), "pictures must be"),
        ((4, 5, 48, 48, 2), (4, 2, 3), "pictures must be"),
        ((4, 48, 48), (3, 2, 3), "matrix must be"),
        ((4, 5, 48, 48), (4, 3, 2, 3), "matrix must be"),
        ((4, 48, 48), (4, 3, 3), "matrix must be"),
    ],
)
def test_shapes_that_do_not_belong_together(shape, matrix, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        cut(torch.zeros(shape, dtype=torch.uint8), torch.zeros(matrix), 44)


def test_every_transformation_has_its_function():
    assert list(TRANSFORMATIONS) == ["mirror", *MOVES, *EFFECTS]


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_each_alone_changes_the_crops_of_every_sample(name):
    settings = Augmentation().only(name)
    crops, flip = altered(settings, batch(), alignments(16))
    plain = cut(batch(), alignments(16), 44)
    assert flip.all() == (name == "mirror")
    assert ((crops - plain).abs().amax((1, 2)) > 1).float().mean() > 0.9
    assert [other for other in TRANSFORMATIONS if settings.uses(other)] == [name]


def test_template_of_a_framed_picture_is_its_own():
    points = template_points("fer2013-mean", 0.0, 48)
    np.testing.assert_allclose(points, np.array(TEMPLATES["fer2013-mean"]) * 48)
