"""Noise is averaged away in what keeps still; what moves, and what has no noise, stays as it is."""

import json

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.models.denoise import NOISE, Denoiser, noise_of

SIZE = 44
RATE_HZ = 30
PLACE = np.float32([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]])


def face(shift=0.0):
    """Draw something as smooth as a face, of a contrast of about 45."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    return (120 + 60 * np.sin(5 * (x + shift)) * np.cos(4 * y) + 30 * x).astype(np.float32)


def crops_of(picture, noise, n=8, seed=0, colours=None, grain=1):
    """Return one crop a frame, (n, 1, S, S) or (n, 1, S, S, 3), with noise of its own."""
    random = np.random.default_rng(seed)
    picture = picture if colours is None else np.stack([picture] * 3, axis=-1)
    added = random.normal(0, noise, (n, 1, *picture.shape))
    if grain > 1:
        added = added[:, :, ::grain, ::grain].repeat(grain, axis=2).repeat(grain, axis=3)
    noisy = picture + added[:, :, :SIZE, :SIZE]
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def updated(denoiser, tracks, crops, time_s):
    """Update with faces that keep their place, whose crops are the same wherever they are cut."""
    places = np.tile(PLACE, (len(crops), 1, 1))
    return denoiser.update(tracks, crops, places, time_s, cut=lambda xy: crops[-len(xy) :])


def last_of(denoiser, frames, track=0, start_s=0.0, rate_hz=RATE_HZ):
    for i, crops in enumerate(frames):
        denoised, changed = updated(denoiser, [track], crops, start_s + i / rate_hz)
    return denoised[0], bool(changed[0])


def error(crop, picture):
    return float(np.sqrt(np.mean((crop.astype(np.float32) - picture) ** 2)))


@pytest.mark.parametrize(("colours", "grain"), [(None, 1), (3, 1), (None, 2)])
def test_noise_of_what_keeps_still_is_averaged_away(colours, grain):
    picture = face()
    frames = crops_of(picture, 20.0, colours=colours, grain=grain)
    denoised, changed = last_of(Denoiser(), frames)
    wanted = picture if colours is None else picture[..., None]
    assert changed and denoised.dtype == np.uint8 and denoised.shape == frames[0, 0].shape
    assert error(denoised, wanted) < 0.55 * error(frames[-1, 0], wanted)


def test_the_first_crop_of_a_person_is_as_it_was():
    frames = crops_of(face(), 20.0)
    denoised, changed = updated(Denoiser(), [0], frames[0], 0.0)
    np.testing.assert_array_equal(denoised, frames[0])
    assert changed.tolist() == [False]


def test_without_noise_nothing_is_changed_and_nothing_remembered():
    denoiser = Denoiser()
    for i in range(5):
        crop = crops_of(face(shift=0.02 * i), 1.0, n=1, seed=i)[0]
        denoised, changed = updated(denoiser, [0], crop, i / RATE_HZ)
        np.testing.assert_array_equal(denoised, crop)
        assert not changed.any()
    assert denoiser.state() == {}


def test_where_noise_ends_the_crop_is_as_it_is():
    denoiser = Denoiser()
    last_of(denoiser, crops_of(face(), 20.0))
    clean = crops_of(face(), 1.0, n=1)[0]
    denoised, changed = updated(denoiser, [0], clean, 8 / RATE_HZ)
    np.testing.assert_array_equal(denoised, clean)
    assert not changed.any()


def test_another_face_replaces_the_old_one_within_two_frames():
    old, new = face(), face(shift=0.5)
    denoiser = Denoiser()
    last_of(denoiser, crops_of(old, 20.0))
    frames = crops_of(new, 20.0, n=2, seed=1)
    denoised, _ = last_of(denoiser, frames, start_s=8 / RATE_HZ)
    # what is left of the old face is less than the noise that one frame has
    assert error(denoised, new) < error(frames[-1, 0], new)


def test_what_moves_is_not_mixed_with_what_was_there_before():
    """A dark bar that jumps: the rest is averaged, the bar is where it is now, and gone where it was."""
    before, now = face(), face()
    before[10:20], now[28:38] = 20.0, 20.0
    denoiser = Denoiser()
    last_of(denoiser, crops_of(before, 15.0))
    crop = crops_of(now, 15.0, n=1, seed=1)[0]
    denoised, _ = updated(denoiser, [0], crop, 8 / RATE_HZ)
    still = np.r_[0:6, 42:44]
    assert error(denoised[0][still], now[still]) < 0.6 * error(crop[0][still], now[still])
    for rows in (slice(12, 18), slice(30, 36)):
        left = np.abs((denoised[0][rows] - now[rows]).mean()) / np.abs((before[rows] - now[rows]).mean())
        assert left < 0.1


def test_what_is_long_ago_does_not_count():
    picture = face()
    frames = crops_of(picture, 20.0)
    soon, _ = last_of(Denoiser(0.3), frames)
    late, _ = last_of(Denoiser(0.3), frames, rate_hz=1)
    assert error(soon, picture) < 0.6 * error(frames[-1, 0], picture)
    assert error(late, picture) > 0.9 * error(frames[-1, 0], picture)


def test_landmarks_tremble_less_and_a_leap_is_believed():
    frames, random, places = crops_of(face(), 20.0, n=30), np.random.default_rng(0), []
    denoiser = Denoiser()

    def cut_by(crops):
        def cut(landmarks_xy):
            assert landmarks_xy.shape == (1, 5, 2) and landmarks_xy.dtype == np.float32
            places.append(landmarks_xy[0])
            return crops

        return cut

    for i, crops in enumerate(frames):
        moved = PLACE + (0 if i < 29 else 30) + random.normal(0, 2, PLACE.shape)
        denoiser.update([0], crops, moved[None].astype(np.float32), i / RATE_HZ, cut=cut_by(crops))
    tremble = np.std(np.array(places[8:28]) - PLACE)
    assert len(places) == 29 and tremble < 0.6 * 2
    np.testing.assert_allclose(places[-1], moved, atol=1e-4)


def test_people_are_kept_apart_and_their_order_does_not_matter():
    a, b = crops_of(face(), 20.0), crops_of(face(0.4), 20.0, seed=1)
    together, alone = Denoiser(), Denoiser()
    for i in range(6):
        order = [3, 8] if i % 2 else [8, 3]
        crops = np.concatenate([a[i], b[i]] if i % 2 else [b[i], a[i]])
        both, _ = updated(together, order, crops, i / RATE_HZ)
        one, _ = updated(alone, [3], a[i], i / RATE_HZ)
    np.testing.assert_array_equal(both[order.index(3)], one[0])


def test_nobody():
    denoised, changed = updated(Denoiser(), [], np.zeros((0, SIZE, SIZE), np.uint8), 0.0)
    assert denoised.shape == (0, SIZE, SIZE) and changed.shape == (0,)


def test_who_is_missed_for_a_frame_is_remembered():
    picture, denoiser = face(), Denoiser()
    last_of(denoiser, crops_of(picture, 20.0))
    updated(denoiser, [], np.zeros((0, SIZE, SIZE), np.uint8), 8 / RATE_HZ)
    frames = crops_of(picture, 20.0, n=1, seed=1)
    denoised, changed = last_of(denoiser, frames, start_s=9 / RATE_HZ)
    assert changed and error(denoised, picture) < 0.6 * error(frames[0, 0], picture)


def test_who_is_gone_is_forgotten():
    denoiser = Denoiser()
    last_of(denoiser, crops_of(face(), 20.0))
    updated(denoiser, [], np.zeros((0, SIZE, SIZE), np.uint8), 1.2)
    assert denoiser.state() == {}


def test_crops_are_not_changed_in_place():
    frames = crops_of(face(), 20.0)
    before = frames.copy()
    last_of(Denoiser(), frames)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("colours", [None, 3])
def test_going_on_from_a_state_is_the_very_same(colours):
    frames = crops_of(face(), 20.0, n=10, colours=colours)
    one, other = Denoiser(), Denoiser()
    last_of(one, frames[:6])
    other.restore(json.loads(json.dumps(one.state())))
    for denoiser in (one, other):
        denoiser.last, _ = last_of(denoiser, frames[6:], start_s=6 / RATE_HZ)
    np.testing.assert_array_equal(one.last, other.last)


def test_no_time_constant_takes_crops_as_they_are():
    denoiser = Denoiser(0)
    denoised, changed = last_of(denoiser, frames := crops_of(face(), 20.0))
    np.testing.assert_array_equal(denoised, frames[-1, 0])
    assert not changed and denoiser.state() == {}
    with pytest.raises(ArgumentError, match="time_constant_s"):
        Denoiser(-1)


@pytest.mark.parametrize("noise", [2.0, 10.0, 30.0])
def test_noise_is_estimated_as_a_share_of_contrast(noise):
    picture = face()
    estimates = [noise_of(crop) for crop in crops_of(picture, noise, n=20)[:, 0]]
    assert np.mean(estimates) == pytest.approx(noise / picture.std(), rel=0.15)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_crops_too_small_to_tell_have_no_noise(size):
    crops = np.random.default_rng(0).integers(0, 256, (1, size, size)).astype(np.uint8)
    assert noise_of(crops[0], grain=2) == 0
    denoised, changed = updated(Denoiser(), [0], crops, 0.0)
    np.testing.assert_array_equal(denoised, crops)
    assert not changed.any()


def test_flat_and_sharp_crops_have_no_noise():
    flat, sharp = np.full((SIZE, SIZE), 90, np.uint8), np.full((SIZE, SIZE), 40, np.uint8)
    sharp[:, ::11] = 200
    for grain, least, _ in NOISE:
        assert noise_of(flat, grain) == 0 and noise_of(sharp, grain) < least
