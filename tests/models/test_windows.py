"""The last crops of each person, for models of sequences."""

import json

import numpy as np
import pytest

from mien.errors import ArgumentError
from mien.labels import EKMAN7
from mien.models.windows import Windows
from mien.sources.labelled import LabelledImages, sequence_windows


def crops(*values):
    return np.array(values, np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)


def seen(windows, values, rate_hz, track=0):
    """Give one face's crops, one grey a frame; return the greys of the last window."""
    for i, value in enumerate(values):
        last = windows.update([track], crops(value), i / rate_hz)
    return last[0, :, 0, 0].tolist()


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([1], [1, 1, 1, 1]), ([1, 2], [1, 1, 1, 2]), ([1, 2, 3, 4], [1, 2, 3, 4]), (range(1, 9), [5, 6, 7, 8])],
)
def test_a_window_is_oldest_first_and_begins_still(values, wanted):
    assert seen(Windows(4, rate_hz=25), values, 25) == wanted


def test_faster_films_are_thinned_and_the_present_is_always_last():
    last = seen(Windows(4, rate_hz=25), range(100), 100)
    assert last[-1] == 99 and all(2 <= b - a <= 4 for a, b in zip(last[:-2], last[1:-1], strict=True))


@pytest.mark.parametrize("rate_hz", [24, 25, 30])
def test_films_of_about_the_rate_give_every_frame(rate_hz):
    assert seen(Windows(5, rate_hz=25), range(50), rate_hz) == [45, 46, 47, 48, 49]


@pytest.mark.parametrize(("frames", "step"), [(4, 1), (4, 2), (3, 5), (1, 2)])
@pytest.mark.parametrize("length", [1, 2, 7, 20])
@pytest.mark.parametrize("rate_hz", [25, 30])
def test_a_face_is_seen_live_as_in_training(frames, step, length, rate_hz):
    order, name, none = np.arange(length), np.full(length, "film"), np.full(length, "")
    pictures = np.zeros((length, 4, 4), np.uint8)
    film = LabelledImages("film", EKMAN7, pictures, order, none, none, sequence=name, position=order)
    learned = sequence_windows(film, frames, step=step).rows
    assert seen(Windows(frames, rate_hz=25, step=step), order, rate_hz) == learned[-1].tolist()


def test_people_are_kept_apart():
    windows = Windows(2)
    windows.update([3, 8], crops(1, 2), 0.0)
    last = windows.update([8, 3], crops(20, 10), 0.04)
    assert last[:, :, 0, 0].tolist() == [[2, 20], [1, 10]]
    assert windows.update([], crops(1)[:0], 0.08).shape == (0, 2, 4, 4)


def test_a_crop_that_is_changed_later_stays_as_it_was():
    windows, first = Windows(2), crops(1)
    windows.update([0], first, 0.0)
    first[:] = 9
    assert windows.update([0], crops(2), 0.04)[0, :, 0, 0].tolist() == [1, 2]


def test_who_was_away_starts_anew():
    windows = Windows(2, forget_s=1.0)
    windows.update([0], crops(1), 0.0)
    assert windows.update([0], crops(2), 1.5)[0, :, 0, 0].tolist() == [2, 2]
    for i in range(50):
        windows.update([i], crops(1), 10.0 + i)
    assert len(windows.state()) <= 2


def test_stills_need_no_past():
    assert seen(Windows(1), [1, 2, 3], 25) == [3]


def test_colour_and_a_saved_state():
    random = np.random.default_rng(0)
    film = random.integers(0, 256, (12, 1, 4, 4, 3), np.uint8)
    one, two = Windows(4, step=2), Windows(4, step=2)
    for i in range(6):
        one.update([2], film[i], i / 30)
    two.restore(json.loads(json.dumps(one.state())))
    for i in range(6, 12):
        np.testing.assert_array_equal(one.update([2], film[i], i / 30), two.update([2], film[i], i / 30))


@pytest.mark.parametrize("option", [{"frames": 0}, {"step": 0}, {"rate_hz": 0}, {"forget_s": -1}])
def test_wrong_values_are_refused(option):
    with pytest.raises(ArgumentError, match=next(iter(option))):
        Windows(**{"frames": 2, **option})
