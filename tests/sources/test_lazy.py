"""Pictures that are read only when asked for."""

import numpy as np
import pytest

from mien.errors import ArgumentError, DatasetError, SourceError
from mien.sources.lazy import BoxedPaths, ClipFrames, JoinedImages, count_frames


@pytest.mark.parametrize(
    ("box", "margin", "shape"),
    [
        ([2, 1, 6, 5], 0, (4, 4, 3)),
        ([2, 1, 6, 5], 0.25, (6, 6, 3)),
        ([2, 1, 6, 5], 9, (8, 10, 3)),
        ([-5, -5, 3, 3], 0, (3, 3, 3)),
        ([2.5, 1.5, 3.5, 2.5], 0, (2, 2, 3)),
        ([np.nan, 0, 1, 1], 0, (8, 10, 3)),
    ],
)
def test_boxes(paint, box, margin, shape):
    images = BoxedPaths([paint("a.png")], np.array([box]), margin=margin)
    assert len(images) == 1 and images[0].shape == shape


@pytest.mark.parametrize("box", [[4, 4, 4, 8], [6, 1, 2, 5], [10, 0, 12, 5], [0, -9, 5, 0]])
def test_a_box_outside_is_named(paint, box):
    images = BoxedPaths([paint("a.png")], np.array([box]), margin=0.5)
    with pytest.raises(DatasetError, match=r"a\.png: the box .* has no area inside the picture of 10 x 8"):
        images[0]


def test_boxes_of_another_number(paint):
    with pytest.raises(ArgumentError, match=r"box_xyxy must be of shape \(1, 4\)"):
        BoxedPaths([paint("a.png")], np.zeros((2, 4)), margin=0)


def test_frames_of_films_in_any_order(film, paint):
    one, two = film("one.avi", [20, 120]), film("two.avi", [220])
    assert [count_frames(one), count_frames(two)] == [2, 1]
    images = ClipFrames([(one, 0), (two, 0), (one, 1), (paint("a.png", shade=77), None)])
    means = [round(float(images[i].mean()), -1) for i in (2, 1, 0, 1)]
    assert means == [120, 220, 20, 220] and (images[3] == 77).all()
    images[0][:] = 0
    assert images[0].mean() > 10, "what is done to a frame does not change the film"


def test_a_frame_that_is_not_there_is_named(film):
    with pytest.raises(SourceError, match=r"one\.avi has 1 frames that can be read, not 3"):
        ClipFrames([(film("one.avi", [20]), 2)])[0]


@pytest.mark.parametrize("sizes", [[], [0], [3], [2, 0, 3], [0, 0, 1]])
def test_joined(sizes):
    numbers = iter(range(99))
    parts = [np.array([[[next(numbers)]] for _ in range(n)], np.uint8).reshape(n, 1, 1) for n in sizes]
    joined = JoinedImages(parts)
    assert len(joined) == sum(sizes)
    assert [int(image[0, 0]) for image in joined] == list(range(sum(sizes)))
    with pytest.raises(IndexError):
        joined[sum(sizes)]
    if len(joined):
        assert int(joined[-1][0, 0]) == sum(sizes) - 1 and int(joined[np.int64(0)][0, 0]) == 0
