"""What light and camera do to crops: each effect does what its name says, as strongly as asked."""

from dataclasses import replace

import pytest
import torch

from mien.training.augmentation import Augmentation
from mien.training.effects import (
    EFFECTS,
    add_noise,
    blur,
    cast_shadows,
    change_brightness,
    change_contrast,
    change_gamma,
    coarsen,
    compress,
    cover,
    darken,
    erase,
    light_above,
    light_hard,
)

N, SIZE = 200, 44


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def flat(value=100.0, n=N, layers=1):
    return torch.full((n, layers, SIZE, SIZE), value)


def stripes(n=N):
    """Lines of one pixel, black and white: the finest there is."""
    line = torch.arange(SIZE) % 2 * 255.0
    return line.expand(n, 1, SIZE, SIZE).clone()


def face(n=1):
    """Something smooth, from dark to bright."""
    axis = torch.linspace(0, 3, SIZE)
    return (
        (127 + 100 * torch.sin(axis[:, None] + 0.3) * torch.cos(axis[None])).expand(n, 1, SIZE, SIZE).clone()
    )


@pytest.mark.parametrize("name", EFFECTS)
def test_effects_keep_shape_and_range(name):
    for layers in (flat(250.0, 5, 4), stripes(3), face(), flat(0.0, 1)):
        changed = EFFECTS[name](layers, Augmentation.preset("strong"))
        assert changed.shape == layers.shape
        assert torch.isfinite(changed).all()
        assert changed.min() >= -0.01
        assert changed.max() <= 256


def test_covers_hide_a_part_as_far_in_as_asked_and_leave_the_rest():
    settings = replace(Augmentation(), cover_reach=(0.4, 0.4), cover_strip=(0.2, 0.2), cover_value=(200, 200))
    hidden = (cover(flat(0.0), settings)[:, 0] > 70).float()
    share = hidden.mean((1, 2))
    assert share.min() > 0.05
    assert share.max() < 0.65
    strips = share < 0.3  # the others reach on to the border: 0.4 of the crop, more or less by their bow
    assert 0.3 < strips.float().mean() < 0.6
    far = hidden[~strips]
    lowest, uppermost, left, right = far[:, -1], far[:, 0], far[:, :, 0], far[:, :, -1]
    from_below, from_above = (edge.mean(1) > 0.95 for edge in (lowest, uppermost))
    assert from_below.sum() > 2 * from_above.sum() > 0
    assert ((left.mean(1) > 0.95) & ~from_below).any()
    assert ((right.mean(1) > 0.95) & ~from_below).any()


def test_covers_are_of_any_brightness_shaded_and_alike_for_all_layers_of_a_sample():
    settings = replace(Augmentation(), cover_reach=(0.9, 0.9))
    covered = cover(flat(0.0, layers=3), settings)
    assert torch.equal(covered[:, 0], covered[:, 2])
    brightest = covered.amax((1, 2, 3))
    assert brightest.min() < 60
    assert brightest.max() > 220
    assert (covered.std((1, 2, 3)) > 1).all()


def test_hard_light_leaves_a_bright_and_a_dark_part_with_a_narrow_edge():
    settings = replace(Augmentation(), hard_light_shadow=(0.2, 0.2), hard_light_edge=(0.02, 0.02))
    lit = light_hard(flat(), settings)[:, 0]
    bright, dark = (lit > 105).float().mean((1, 2)), (lit < 25).float().mean((1, 2))
    assert ((bright > 0.1) & (dark > 0.1)).float().mean() > 0.6
    assert (1 - bright - dark).mean() < 0.1
    soft = light_hard(flat(), replace(settings, hard_light_edge=(0.5, 0.5)))[:, 0]
    assert ((soft > 25) & (soft < 105)).float().mean() > 0.3


def test_light_above_comes_from_above_more_often_than_from_below():
    lit = light_above(flat(), Augmentation())[:, 0]
    above = lit[:, :10].mean((1, 2)) > lit[:, -10:].mean((1, 2)) + 20
    below = lit[:, :10].mean((1, 2)) < lit[:, -10:].mean((1, 2)) - 20
    assert (above | below).all()
    assert 0.65 < above.float().mean() < 0.85


def test_shadows_are_spots_as_deep_and_wide_as_asked_anywhere_on_the_face():
    settings = replace(Augmentation(), shadows_depth=(0.5, 0.5), shadows_radius=(0.05, 0.05))
    shade = 1 - cast_shadows(flat(), settings)[:, 0] / 100
    assert shade.min() >= 0
    deepest = shade.amax((1, 2))
    assert deepest.min() > 0.3, "one at least, though its middle may lie between pixels"
    assert 0.45 < deepest.median() < 0.6, "a few lie on one another"
    assert (shade > 0.25).float().mean() < 0.06, "a spot of a twentieth of the side is small"
    wide = 1 - cast_shadows(flat(), replace(settings, shadows_radius=(0.2, 0.2)))[:, 0] / 100
    assert (wide > 0.25).float().mean() > 4 * (shade > 0.25).float().mean()
    for half in (shade[:, :22], shade[:, 22:], shade[:, :, :22], shade[:, :, 22:]):
        assert half.sum() / shade.sum() == pytest.approx(0.5, abs=0.12)


def test_gamma_brightens_below_one():
    assert (change_gamma(flat(), replace(Augmentation(), gamma_range=(0.5, 0.5))) > 155).all()
    assert (change_gamma(flat(), replace(Augmentation(), gamma_range=(2, 2))) < 45).all()


def test_brightness_and_contrast():
    assert torch.allclose(
        change_brightness(flat(), replace(Augmentation(), brightness_factor=(2, 2))), flat(200.0)
    )
    changed = change_contrast(face(2), replace(Augmentation(), contrast_factor=(0.5, 0.5)))
    torch.testing.assert_close(changed.std((1, 2, 3)), face(2).std((1, 2, 3)) / 2)
    torch.testing.assert_close(changed.mean((1, 2, 3)), face(2).mean((1, 2, 3)))


def test_a_dark_room_is_dark_and_noisy():
    dark = darken(flat(200.0), replace(Augmentation(), dark_gain=(0.2, 0.2), dark_noise=(1, 1)))
    assert dark.mean() == pytest.approx(40, abs=1)
    assert dark.std((1, 2, 3)).mean() == pytest.approx((40 + 6) ** 0.5, rel=0.05)


def test_noise_is_as_strong_as_drawn():
    rough = add_noise(flat(), replace(Augmentation(), noise_deviation=(0.01, 0.1))).std((1, 2, 3)) / 255
    assert rough.min() < 0.03
    assert 0.07 < rough.max() < 0.11
    noise = [
        darken(flat(200.0), replace(Augmentation(), dark_gain=(0.2, 0.2), dark_noise=(k, k))).std()
        for k in (0.5, 1.5)
    ]
    assert noise[1] == pytest.approx(3 * float(noise[0]), rel=0.1)


def test_blur_takes_fine_detail():
    assert blur(stripes(), replace(Augmentation(), blur_sigma_px=(1.5, 1.5))).std() < 10
    weak = blur(stripes(), replace(Augmentation(), blur_sigma_px=(0.05, 0.05)))
    torch.testing.assert_close(weak, stripes(), atol=1, rtol=0)


@pytest.mark.parametrize("factor", [1.0, 2.0, 4.0, 44.0])
def test_coarse_is_the_mean_of_cells_enlarged(factor):
    layers = face() + 20 * torch.rand(1, 1, SIZE, SIZE)
    ours = coarsen(layers, replace(Augmentation(), coarse_factor=(factor, factor)))
    cells = torch.nn.functional.avg_pool2d(layers, int(factor))
    theirs = torch.nn.functional.interpolate(cells, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours, theirs, atol=1e-2, rtol=0)


def test_coarse_by_any_factor_keeps_a_plain_picture():
    torch.testing.assert_close(
        coarsen(flat(), replace(Augmentation(), coarse_factor=(1.3, 7.7))), flat(), atol=1e-2, rtol=0
    )


def test_jpeg_is_worse_at_a_low_quality():
    layers = face() + 20 * torch.rand(1, 1, SIZE, SIZE)
    errors = [
        (compress(layers, replace(Augmentation(), jpeg_quality=(q, q))) - layers).abs().mean()
        for q in (95, 40, 5)
    ]
    assert errors[0] < errors[1] < errors[2]
    assert errors[0] < 3
    assert errors[2] < 40


def test_erasing_covers_its_share():
    covered = (
        (erase(flat(), replace(Augmentation(), erasing_area=(0.1, 0.2))) == 127.5).float().mean((1, 2, 3))
    )
    assert covered.min() > 0.06
    assert covered.max() < 0.26
    assert covered.mean() == pytest.approx(0.15, abs=0.02)
