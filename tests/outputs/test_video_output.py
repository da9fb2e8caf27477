"""Annotated films: the times and the sound of the original, playable where people look at films."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from numbered import SIZE_PX, shoot

from mien.errors import ArgumentError, OutputError, SourceError
from mien.faces.faces import Faces
from mien.outputs.overlay import annotate
from mien.outputs.video import AnnotatedFilm
from mien.readings import Readings
from mien.sources.frame import Frame
from mien.sources.video import VideoFile
from mien.testing import make_readings

RATE = Fraction(30_000, 1001)


def moving(emotions, displayed=None, size_px=SIZE_PX):
    """Readings of moving pictures whose smoothed values show other emotions than the raw ones."""
    raw, shown = make_readings(emotions), make_readings(displayed or emotions)
    faces = replace(raw.faces, track_id=np.arange(len(raw)) + 7)
    return replace(
        raw, faces=faces, smoothed=shown.probability, displayed=tuple(shown.emotion), size_px=(320, 240)
    )


def write(path, frames, **options):
    with AnnotatedFilm(path, **options) as film:
        for frame in frames:
            film.write(frame, replace(moving([]), size_px=frame.size_px))
    return path


def frames_at(times_s, size_px=(320, 240)):
    return [Frame(_gradient(i, size_px), i, time_s, "film") for i, time_s in enumerate(times_s)]


def _gradient(index, size_px):
    return np.full((size_px[1], size_px[0], 3), 10 + index, np.uint8)


def streams(path):
    with av.open(str(path)) as container:
        return {stream.type: stream.codec_context.name for stream in container.streams}


def sound(path):
    """Decode the sound: seconds at which it begins, and its samples."""
    with av.open(str(path)) as container:
        pieces = list(container.decode(audio=0))
    samples = np.concatenate([piece.to_ndarray().mean(axis=0) for piece in pieces])
    return float(pieces[0].pts * pieces[0].time_base), samples / max(1e-9, np.abs(samples).max())


def pitch(samples):
    return np.abs(np.fft.rfft(samples)).argmax() * 48_000 / len(samples)


def test_it_is_h264_that_browsers_play_while_it_loads(tmp_path):
    path = write(tmp_path / "out.mp4", frames_at(i / 25 for i in range(30)))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.colorspace, context.color_range) == (1, 1)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "times_s",
    [
        [i * 1001 / 30_000 for i in range(40)],
        [0.0, 0.04, 0.1, 0.35, 0.36, 0.5, 1.25, 1.3, 2.0],
        [0.5, 0.6, 0.7],
        [0.0],
    ],
    ids=["29.97", "variable", "late", "one"],
)
def test_the_times_are_those_of_the_original(tmp_path, times_s):
    path = write(tmp_path / "out.mp4", frames_at(times_s))
    with av.open(str(path)) as container:
        got = [frame.time for frame in container.decode(video=0)]
    assert got == pytest.approx(times_s, abs=1e-4)


def test_the_rate_of_the_original_stays(tmp_path):
    path = write(tmp_path / "out.mp4", frames_at(i * 1001 / 30_000 for i in range(40)))
    film = VideoFile(path)
    assert film.rate_hz == pytest.approx(float(RATE), rel=1e-6)
    assert film.duration_s == pytest.approx(40 / float(RATE), abs=1e-3)


def test_the_colours_stay(tmp_path):
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, :320], image[:, 320:] = (210, 40, 30), (30, 60, 200)
    path = write(tmp_path / "out.mp4", [Frame(image, i, i / 25) for i in range(5)])
    back = list(VideoFile(path))[-1].image
    assert np.abs(back[20:-20, [40, 600]].astype(int) - image[20:-20, [40, 600]]).max() <= 6


@pytest.mark.parametrize(
    ("name", "codec", "kept"),
    [
        ("film.mp4", "aac", True),
        ("film.mp4", "libmp3lame", True),
        ("film.mkv", "libopus", True),
        ("film.ts", "aac", True),
        ("film.mkv", "pcm_s16le", False),
        ("film.mkv", "flac", False),
        ("film.mkv", "ac3", False),
    ],
)
def test_the_sound_is_kept(tmp_path, name, codec, kept):
    source = shoot(tmp_path / name, 60, rate=RATE, sound=codec)
    path = write(tmp_path / "out.mp4", VideoFile(source), sound_of=source)
    assert streams(path)["audio"] == (streams(source)["audio"] if kept else "aac")
    begin_s, samples = sound(path)
    assert begin_s == pytest.approx(0, abs=0.03)
    assert len(samples) / 48_000 == pytest.approx(60 / float(RATE), abs=0.1)
    assert pitch(samples[4800:-4800]) == pytest.approx(440, abs=3)


def test_pictures_and_sound_stay_together_where_a_part_is_cut_out(tmp_path):
    source = tmp_path / "film.mkv"
    shoot(source, 75, sound="pcm_s16le")
    click = tmp_path / "click.mkv"
    _with_click(source, click, at_s=2.0)
    film = VideoFile(click, start_s=1.0, end_s=2.6)
    path = write(tmp_path / "out.mp4", film, sound_of=click, start_s=1.0, end_s=2.6)
    begin_s, samples = sound(path)
    heard_s = begin_s + np.abs(samples).argmax() / 48_000
    assert heard_s == pytest.approx(1.0, abs=0.03)
    assert begin_s + len(samples) / 48_000 == pytest.approx(1.6, abs=0.06)
    assert [frame.time_s for frame in VideoFile(path)] == pytest.approx([i / 25 for i in range(40)], abs=1e-3)


def _with_click(source, target, at_s):
    """Copy the pictures of a film beside a sound of one click."""
    with av.open(str(source)) as taken, av.open(str(target), "w") as container:
        pictures = container.add_stream_from_template(taken.streams.video[0])
        tone = container.add_stream("pcm_s16le", rate=48_000, layout="mono")
        samples = np.zeros((1, 48_000 * 3), np.int16)
        samples[0, round(48_000 * at_s) : round(48_000 * at_s) + 48] = 20_000
        for packet in taken.demux(taken.streams.video[0]):
            if packet.size:
                packet.stream = pictures
                container.mux(packet)
        for start in range(0, samples.shape[1], 1000):
            piece = av.AudioFrame.from_ndarray(samples[:, start : start + 1000], format="s16", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(tone.encode(piece))


def test_a_film_without_sound_has_none(tmp_path):
    source = shoot(tmp_path / "silent.mkv", 10)
    assert streams(write(tmp_path / "out.mp4", VideoFile(source), sound_of=source)) == {"video": "h264"}


@pytest.mark.parametrize("size_px", [(641, 481), (640, 481), (99, 65)])
def test_odd_sizes(tmp_path, size_px):
    path = write(tmp_path / "out.mp4", frames_at([0, 0.1], size_px))
    width, height = VideoFile(path).size_px
    assert width % 2 == height % 2 == 0
    factor = round(width / size_px[0])
    assert 0 <= width - factor * size_px[0] <= 1 and 0 <= height - factor * size_px[1] <= 1


def test_a_size_that_changes_is_scaled(tmp_path):
    frames = frames_at([0, 0.1], (640, 480)) + [Frame(_gradient(5, (320, 240)), 2, 0.2)]
    back = list(VideoFile(write(tmp_path / "out.mp4", frames)))
    assert {frame.size_px for frame in back} == {(640, 480)}


def test_what_is_drawn_is_what_is_displayed_over_time():
    image = np.full((240, 320, 3), 128, np.uint8)
    calm, angry = moving(["happiness"], ["neutral"]), moving(["happiness"], ["anger"])
    raw = replace(calm, smoothed=None, displayed=None)
    assert (annotate(image, calm) != annotate(image, angry)).any()
    assert (annotate(image, calm) == annotate(image, moving(["neutral"]))).all()
    assert (annotate(image, raw) == annotate(image, make_readings(["happiness"]))).all()


def test_several_people_carry_their_tracks():
    image = np.full((240, 320, 3), 128, np.uint8)
    two = moving(["happiness", "anger"])
    other = replace(two, faces=replace(two.faces, track_id=np.array([3, 4])))
    assert (annotate(image, two) != annotate(image, other)).any()


def test_readings_are_drawn(tmp_path):
    frame = frames_at([0.0])[0]
    with AnnotatedFilm(tmp_path / "out.mp4") as film:
        film.write(frame, moving(["happiness"]))
    back = next(iter(VideoFile(tmp_path / "out.mp4"))).image
    plain = annotate(frame.image, replace(moving([]), size_px=(320, 240)))
    assert back.shape == plain.shape
    assert (np.abs(back.astype(int) - plain) > 60).mean() > 0.01


def test_nothing_is_left_of_a_film_that_failed(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"before")
    frames = frames_at([0.0, 0.1, 0.05])  # the last is refused
    with pytest.raises(ArgumentError):
        write(path, frames)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_disk_is_full(tmp_path):
    path = tmp_path / "out.mp4"
    (tmp_path / "out.mp4.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"out\.mp4 cannot be written: No space left"):
        write(path, frames_at(i / 25 for i in range(100)))
    assert list(tmp_path.iterdir()) == []


def test_a_film_without_frames_is_none(tmp_path):
    with pytest.raises(OutputError, match="there was no frame"):
        write(tmp_path / "out.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_places_where_nothing_can_be_written(tmp_path):
    with pytest.raises(ArgumentError, match=r"\.mp4 or \.m4v"):
        AnnotatedFilm(tmp_path / "out.avi")
    with pytest.raises(OutputError, match="there is no folder"):
        AnnotatedFilm(tmp_path / "none" / "out.mp4")
    source = shoot(tmp_path / "film.mp4", 5)
    with pytest.raises(ArgumentError, match="another file than the film itself"):
        AnnotatedFilm(source, sound_of=source)
    with pytest.raises(SourceError), AnnotatedFilm(tmp_path / "out.mp4", sound_of=tmp_path / "none.mp4"):
        pass


@pytest.mark.parametrize("times_s", [[0.2, 0.1], [0.1, 0.1], [None]])
def test_frames_have_a_time_after_the_last(tmp_path, times_s):
    with pytest.raises(ArgumentError, match="frame"):
        write(tmp_path / "out.mp4", frames_at(times_s))


def test_readings_without_a_size_are_taken(tmp_path):
    empty = Readings(
        Faces.empty(), make_readings([]).labels, np.zeros((0, 8), np.float32), "table", time_s=0.0
    )
    with AnnotatedFilm(tmp_path / "out.mp4") as film:
        film.write(frames_at([0.0])[0], empty)
    assert (tmp_path / "out.mp4").exists()
