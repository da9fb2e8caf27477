"""Pictures that are read only when asked for."""

import av
import numpy as np
import pytest
from numbered import SIZE_PX, number_of, shoot

from mien.errors import ArgumentError, DatasetError, FrameError, SourceError
from mien.sources import lazy
from mien.sources.lazy import BoxedPaths, ClipFrames, JoinedImages, count_frames
from mien.sources.video import VideoFile


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


def trimmed(path, whole, first):
    """Cut the start of a film away without coding it again: an edit list says where it begins."""
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(whole)) as source, av.open(str(path), "w", options=options) as out:
        copy = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.pts, packet.dts = (at - first * packet.duration for at in (packet.pts, packet.dts))
                packet.stream = copy
                out.mux(packet)
    return path


def test_a_trimmed_film_has_the_frames_it_shows(tmp_path):
    clip = trimmed(tmp_path / "part.mp4", shoot(tmp_path / "whole.mp4", 60, gop=60), 20)
    assert count_frames(clip) == 40
    images = ClipFrames([(clip, i) for i in range(40)])
    assert [number_of(image) for image in images] == list(range(20, 60))


@pytest.mark.skipif(
    not hasattr(av.video.stream.VideoStream, "set_display_rotation"), reason="PyAV 17 cannot write such films"
)
def test_a_film_of_a_phone_is_upright(tmp_path):
    clip = shoot(tmp_path / "upright.mp4", 3, degrees=90)
    image, wanted = ClipFrames([(clip, 1)])[0], list(VideoFile(clip))[1].image
    assert image.shape == (SIZE_PX[0], SIZE_PX[1], 3)
    assert np.array_equal(image, wanted) and number_of(np.rot90(image, -1)) == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.mp4", {}),
        ("opengop.mp4", {"x264-params": "open-gop=1"}),
        ("film.mkv", {}),
        ("film.ts", {}),
        ("film.h264", {}),
        ("mpeg4.avi", {"codec": "mpeg4", "bf": 2}),
        ("mpeg2.mpg", {"codec": "mpeg2video", "bf": 2}),
        ("vp8.webm", {"codec": "libvpx", "auto-alt-ref": 1, "lag-in-frames": 16}),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
    ],
)
def test_every_film_in_any_order_with_little_memory(tmp_path, monkeypatch, name, options):
    monkeypatch.setattr(lazy, "KEPT_BYTES", 4 * 3 * SIZE_PX[0] * SIZE_PX[1])
    clip = shoot(tmp_path / name, 60, **options)
    n = count_frames(clip)
    assert n == 60
    images = ClipFrames([(clip, i) for i in range(n)])
    order = [*range(n), 59, 57, 30, 31, 29, 0, 58]
    assert [number_of(images[i]) for i in order] == order
    assert len(images._open._kept) <= 4


def test_a_frame_over_the_limit_of_memory_is_still_given(tmp_path, monkeypatch):
    monkeypatch.setattr(lazy, "KEPT_BYTES", 1)
    clip = shoot(tmp_path / "film.mp4", 5)
    images = ClipFrames([(clip, i) for i in range(5)])
    assert [number_of(images[i]) for i in (0, 3, 3, 1, 4)] == [0, 3, 3, 1, 4]


@pytest.mark.parametrize("spoilt", [0, 4, 9])
def test_a_broken_frame_is_named_and_the_others_are_given(tmp_path, spoilt):
    clip = shoot(tmp_path / "film.avi", 10, codec="mjpeg", spoil=[spoilt])
    assert count_frames(clip) == 10
    images = ClipFrames([(clip, i) for i in range(10)])
    for i in [*range(10), spoilt, *reversed(range(10))]:
        if i == spoilt:
            with pytest.raises(FrameError, match=rf"film\.avi: frame {i} at .* cannot be decoded"):
                images[i]
        else:
            assert number_of(images[i]) == i


@pytest.mark.parametrize("content", [b"", b"no film at all"])
def test_what_is_no_film_is_named(tmp_path, content):
    (tmp_path / "film.mp4").write_bytes(content)
    with pytest.raises(SourceError, match=r"film\.mp4 cannot be read as a film"):
        count_frames(tmp_path / "film.mp4")


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
