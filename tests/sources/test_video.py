"""Films: every frame with its own number and time, whatever is left out, turned, sought or broken."""

import gc
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numbered import SIZE_PX, number_of, numbered, shoot

from mien.errors import ArgumentError, FrameError, ImageError, SourceError, SourceNotFoundError
from mien.sources import Frame, Source, find_film, open_source
from mien.sources.images import ImageFiles
from mien.sources.lazy import count_frames
from mien.sources.video import VideoFile, _end


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return shoot(tmp_path_factory.mktemp("films") / "film.mp4", 40)


def read(source):
    return [(frame.index, frame.time_s, number_of(frame.image)) for frame in source]


def test_every_frame_comes_in_order_with_its_number_and_time(film):
    with VideoFile(film) as frames:
        assert isinstance(frames, Source)
        got = read(frames)
        assert got == [(i, i / 25, i) for i in range(40)]
        assert read(frames) == got
        first = next(iter(frames))
    assert isinstance(first, Frame) and first.image.flags.c_contiguous
    assert (first.source, first.size_px, first.captured_s) == (str(film), SIZE_PX, None)


def test_it_says_what_the_film_is(film):
    frames = VideoFile(film)
    assert (frames.size_px, frames.rate_hz, frames.has_audio) == (SIZE_PX, 25.0, False)
    assert frames.duration_s == pytest.approx(1.6)
    assert frames.frames_estimate == 40
    assert VideoFile(film, every=4, start_s=0.8).frames_estimate == 5
    assert repr(frames) == f"VideoFile({str(film)!r})"


def test_sound_is_seen(tmp_path):
    assert VideoFile(shoot(tmp_path / "talk.mp4", 10, sound="aac")).has_audio


def test_a_rate_that_is_no_whole_number_stays_what_it_is(tmp_path):
    frames = VideoFile(shoot(tmp_path / "ntsc.mp4", 31, rate=Fraction(30_000, 1001)))
    assert frames.rate_hz == 30_000 / 1001
    assert [time for _, time, _ in read(frames)] == pytest.approx([i * 1001 / 30_000 for i in range(31)])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_rate_gives_each_frame_its_own_time(tmp_path, suffix):
    times = [0.0, 0.04, 0.1, 0.35, 0.36, 0.5, 1.25, 1.3, 2.0]
    path = shoot(tmp_path / f"phone{suffix}", 9, times_s=times)
    got = read(VideoFile(path))
    assert [number for *_, number in got] == list(range(9))
    assert [time for _, time, _ in got] == pytest.approx(times, abs=5e-4)


def test_times_begin_with_the_first_picture_of_the_stream(tmp_path):
    path = shoot(tmp_path / "late.mkv", 5, times_s=[3.0, 3.1, 3.2, 3.3, 3.4], sound="libopus")
    assert [time for _, time, _ in read(VideoFile(path))] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=1e-6)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({"every": 5}, range(0, 40, 5)),
        ({"fps": 10}, [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28, 30, 33, 35, 38]),
        ({"fps": 25}, range(40)),
        ({"fps": 1000}, range(40)),
        ({"start_s": 1.0}, range(25, 40)),
        ({"start_s": 1.01}, range(26, 40)),
        ({"end_s": 0.4}, range(10)),
        ({"start_s": 0.5, "end_s": 1.0, "every": 3}, [15, 18, 21, 24]),
        ({"start_s": 0.5, "end_s": 0.7, "fps": 5}, [13, 15]),
    ],
)
def test_parts_of_a_film_keep_their_numbers_and_times(film, options, numbers):
    frames = VideoFile(film, **options)
    assert read(frames) == [(i, i / 25, i) for i in numbers]
    assert abs(frames.frames_estimate - len(numbers)) <= 1


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"every": 0}, "every"),
        ({"every": 1.5}, "every"),
        ({"fps": 0}, "fps"),
        ({"fps": 5, "every": 2}, "fps"),
        ({"start_s": -1}, "start_s"),
        ({"start_s": 2, "end_s": 1}, "end_s"),
        ({"end_s": 0}, "end_s"),
        ({"start_s": 60}, "second to start at"),
    ],
)
def test_choices_that_cannot_be(film, options, parameter):
    with pytest.raises(ArgumentError, match=parameter):
        VideoFile(film, **options)


KINDS = [
    ("film.mp4", {}),
    ("opengop.mp4", {"x264-params": "open-gop=1"}),
    ("film.mkv", {}),
    ("film.ts", {}),
    ("film.avi", {}),
    ("film.h264", {}),
    ("mpeg4.avi", {"codec": "mpeg4", "bf": 2}),
    ("mpeg2.mpg", {"codec": "mpeg2video", "bf": 2}),
    ("motion.avi", {"codec": "mjpeg"}),
    ("vp8.webm", {"codec": "libvpx", "auto-alt-ref": 1, "lag-in-frames": 16}),
    ("vp9.webm", {"codec": "libvpx-vp9"}),
]


@pytest.mark.parametrize(("name", "options"), KINDS, ids=[name for name, _ in KINDS])
def test_a_film_entered_in_the_middle_gives_the_same_frames(tmp_path, name, options):
    path = shoot(tmp_path / name, 60, **options)
    errors = []
    frames = VideoFile(path, on_error=errors.append)
    whole = {frame.index: (frame.time_s, frame.image.tobytes()) for frame in frames}
    assert list(whole) == list(range(60))
    assert [round(25 * time_s) for time_s, _ in whole.values()] == list(range(60))

    def same(source):
        got = [(frame.index, (frame.time_s, frame.image.tobytes())) for frame in source]
        assert all(whole[index] == what for index, what in got)
        return [index for index, _ in got]

    assert same(VideoFile(path, start_s=1.3, on_error=errors.append)) == list(range(33, 60))
    for index in (41, 7):
        frames.start_at(whole[index][0], index=index)
        assert same(frames) == list(range(index, 60))
    assert errors == []


@pytest.mark.parametrize(
    ("name", "codec", "spoil", "lost"),
    [
        ("film.mp4", "libx264", [20], 1),
        ("film.mp4", "libx264", [24], 1),
        ("film.mp4", "libx264", [20, 21, 22], 3),
        ("film.avi", "mpeg4", [20, 24], 2),
        ("film.avi", "mjpeg", [20, 21], 2),
        ("film.webm", "libvpx-vp9", [20], 1),
    ],
)
def test_a_broken_frame_is_reported_and_passed_over(tmp_path, name, codec, spoil, lost):
    path = shoot(tmp_path / name, 60, codec=codec, spoil=spoil)
    errors = []
    got = read(VideoFile(path, on_error=errors.append))
    assert len(errors) == lost
    assert sorted([index for index, *_ in got] + [error.index for error in errors]) == list(range(60))
    assert all(time == pytest.approx(index / 25) for index, time, _ in got)
    assert all(number == index for index, _, number in got if index < 18 or index >= 36)
    for error in errors:
        assert isinstance(error, FrameError)
        assert error.time_s == pytest.approx(error.index / 25)
        assert f"frame {error.index} at" in str(error) and name in str(error)


def test_by_default_a_broken_frame_is_an_error(tmp_path):
    frames = VideoFile(shoot(tmp_path / "film.mp4", 30, codec="mjpeg", spoil=[10]))
    with pytest.raises(FrameError, match=r"film\.mp4: frame 10 at 0\.400 s cannot be decoded"):
        read(frames)


def test_a_film_that_was_cut_off_ends_where_it_is_cut(tmp_path):
    path = shoot(tmp_path / "cut.ts", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    errors = []
    got = read(VideoFile(path, on_error=errors.append))
    assert 10 < len(got) < 60
    assert [round(25 * time_s) for _, time_s, _ in got] == [number for *_, number in got]


CORNERS = np.zeros((48, 64, 3), np.uint8)
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32], CORNERS[24:, 32:] = (
    (220, 30, 30),
    (30, 200, 30),
    (30, 30, 220),
    (220, 220, 220),
)


@pytest.mark.skipif(
    not hasattr(av.video.stream.VideoStream, "set_display_rotation"), reason="PyAV 17 cannot write such films"
)
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_film_is_turned_as_the_camera_was_held(tmp_path, degrees, mirror):
    path = shoot(tmp_path / "turned.mp4", [CORNERS] * 3, degrees=degrees, mirror=mirror)
    frames = VideoFile(path)
    image = next(iter(frames)).image
    # counter-clockwise first, then mirrored from left to right
    wanted = np.rot90(CORNERS, degrees // 90)
    wanted = wanted[:, ::-1] if mirror else wanted
    assert image.shape == wanted.shape
    assert frames.size_px == image.shape[1::-1]
    inside = (slice(8, -8, 8), slice(8, -8, 8))
    assert np.abs(image[inside].astype(int) - wanted[inside]).mean() < 12


def test_pixels_become_square(tmp_path):
    path = shoot(tmp_path / "dv.mp4", 3, aspect=Fraction(4, 3))
    frames = VideoFile(path)
    assert frames.size_px == next(iter(frames)).size_px == (round(SIZE_PX[0] * 4 / 3), SIZE_PX[1])


@pytest.mark.parametrize("content", [b"", b"no film at all", b"\x00\x00\x00\x18ftypisom" + bytes(40)])
def test_what_is_no_film(tmp_path, content):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"film\.mp4 cannot be read as a film"):
        VideoFile(path)


def test_a_film_without_pictures(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 48_000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(SourceError, match="no moving pictures"):
        VideoFile(path)


def test_a_film_of_zero_frames(tmp_path):
    path = tmp_path / "none.y4m"
    path.write_bytes(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")
    with pytest.raises(SourceError, match=r"none\.y4m has no frame that can be decoded"):
        VideoFile(path)


def test_a_film_of_broken_frames_only(tmp_path):
    path = shoot(tmp_path / "broken.avi", 5, codec="mjpeg", spoil=range(5))
    with pytest.raises(SourceError, match="no frame that can be decoded"):
        VideoFile(path)


def test_a_film_that_is_not_there_or_is_a_folder(tmp_path, film):
    with pytest.raises(SourceNotFoundError, match=r"Did you mean .*film\.mp4"):
        VideoFile(film.parent / "fim.mp4")
    with pytest.raises(SourceError, match="it is a folder"):
        VideoFile(tmp_path)


def test_pictures_over_the_limit_are_not_made(film):
    with pytest.raises(ImageError, match="max_pixels"):
        VideoFile(film, max_pixels=1000)


def test_leaving_the_block_lets_the_file_go(film):
    before = threading.active_count()
    with VideoFile(film) as frames:
        running = iter(frames)
        next(running)
    assert next(running, None) is None
    gc.collect()
    assert threading.active_count() == before


def test_the_logging_of_pyav_does_not_stop_it(tmp_path):
    path = shoot(tmp_path / "film.mp4", 60, spoil=[20, 21, 24])
    code = (
        "import sys, av; av.logging.set_level(av.logging.PANIC);"
        "from mien.sources.video import VideoFile;"
        "print([len(list(VideoFile(sys.argv[1], on_error=lambda e: None))) for _ in range(6)])"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str([57] * 6), done.stderr


def test_a_film_is_opened_by_its_name_its_content_a_list_or_a_pattern(film, tmp_path):
    bare = tmp_path / "recording"
    bare.write_bytes(film.read_bytes())
    for spec in (film, str(film), [film], bare, str(film.parent / "*.mp4")):
        with open_source(spec) as frames:
            assert isinstance(frames, VideoFile)
            assert len(read(frames)) == 40


@pytest.mark.parametrize("others", [["film"], ["picture"], ["folder"], ["missing"]])
def test_a_film_is_read_by_itself(film, tmp_path, others):
    cv2.imwrite(str(tmp_path / "a.png"), numbered(1))
    known = {"film": film, "picture": tmp_path / "a.png", "folder": tmp_path, "missing": tmp_path / "b.png"}
    with pytest.raises(ArgumentError, match="one film by itself"):
        open_source([film, *(known[name] for name in others)])


def test_pictures_stay_pictures(film, tmp_path):
    (tmp_path / "b.mp4").write_bytes(film.read_bytes())
    cv2.imwrite(str(tmp_path / "a.png"), numbered(1))
    (tmp_path / "c.heic").write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(40))
    assert find_film([tmp_path]) is None
    assert find_film([tmp_path / "c.heic"]) is None
    for spec in (tmp_path, str(tmp_path / "*")):
        frames = open_source(spec)
        assert isinstance(frames, ImageFiles) and len(frames) == 1


def test_several_films_by_a_pattern(film, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(film.read_bytes())
    with pytest.raises(ArgumentError, match="2 films"):
        open_source(str(tmp_path / "*.mp4"))


def test_a_film_that_cannot_be_opened_is_reported_where_errors_are(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"none")
    errors = []
    with open_source(tmp_path / "film.mp4", on_error=errors.append) as frames:
        assert list(frames) == []
    assert len(errors) == 1


@pytest.mark.realdata
def test_real_clips_have_all_their_frames():
    clips = sorted((Path(os.environ.get("MIEN_DATA", "../shared/data")) / "clips").glob("*.mkv"))
    if not clips:
        pytest.skip("needs clips of real faces in MIEN_DATA")
    for clip in clips:
        film = VideoFile(clip)
        frames = [(frame.index, frame.time_s) for frame in film]
        assert [index for index, _ in frames] == list(range(count_frames(clip)))
        assert len(frames) == pytest.approx(film.frames_estimate, abs=1)
        assert np.diff([time_s for _, time_s in frames]).mean() == pytest.approx(1 / film.rate_hz, rel=0.05)


def test_a_film_read_again_and_again_leaves_no_frames_to_the_garbage_collector(tmp_path):
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        out.mux(stream.encode())
    film = VideoFile(path)
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            with film as frames:
                assert len(list(frames)) == 3
        left = [one for one in gc.get_objects() if type(one) is av.VideoFrame]
    finally:
        gc.enable()
    assert not left


def test_a_reading_ends_though_another_thread_is_about_to_take_a_frame():
    inside, go_on = threading.Event(), threading.Event()

    def frames():
        inside.set()
        go_on.wait(10)
        yield from range(100)

    running = frames()
    reader = threading.Thread(target=next, args=(running,))
    reader.start()
    inside.wait(10)
    ending = threading.Thread(target=_end, args=(running,))
    ending.start()
    go_on.set()
    for thread in (reader, ending):
        thread.join(10)
        assert not thread.is_alive()
    assert next(running, "over") == "over"
