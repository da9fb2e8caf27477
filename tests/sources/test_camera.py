"""Cameras: the newest picture wins, what is gone is waited for, and every bad day has its sentence."""

import queue
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from numbered import number_of, shoot

from mien.errors import ArgumentError, CameraError, SourceError, SourceNotFoundError
from mien.sources import Source, camera, feeds
from mien.sources.camera import Camera

LONG_S = 20
"""Longer than anything here takes; a test that waits so long has failed."""


@pytest.fixture(autouse=True)
def no_thread_stays():
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(LONG_S)
        assert not thread.is_alive(), thread.name


@pytest.fixture
def short_pauses(monkeypatch):
    monkeypatch.setattr(camera, "PAUSES_S", (0.001, 0.002))


class Device:
    """Stands for cv2.VideoCapture: gives what the test puts into its queue; None is a device that is gone."""

    plugged = True
    released = 0

    def __init__(self, spec, shots=None):
        self.spec, self.shots, self.settings = spec, shots, {}

    def isOpened(self):
        return type(self).plugged

    def set(self, prop, value):
        self.settings[prop] = value

    def grab(self):
        self.image = self.shots.get(timeout=LONG_S)
        return self.image is not None

    def retrieve(self):
        return (True, self.image[..., ::-1]) if isinstance(self.image, np.ndarray) else (False, None)

    def release(self):
        type(self).released += 1


@pytest.fixture
def device(monkeypatch):
    """Plug in a device; returns the queue its pictures come from."""
    shots = queue.Queue()
    kind = type("Plugged", (Device,), {"opened": []})

    def capture(spec):
        kind.opened.append(kind(spec, shots))
        return kind.opened[-1]

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    monkeypatch.setattr(feeds, "_check_device", lambda name, path: None)
    shots.kind = kind
    return shots


def red(value):
    image = np.zeros((8, 12, 3), np.uint8)
    image[..., 0] = value
    return image


def end(shots):
    """Let a camera's thread come back from its device."""
    shots.put(None)


def test_frames_are_rgb_with_the_moment_they_were_taken(device):
    device.put(red(200))
    with Camera(0) as source:
        assert isinstance(source, Source)
        frame = next(iter(source))
        end(device)
    assert (frame.image == red(200)).all()
    assert (frame.index, frame.time_s, frame.source) == (0, 0.0, "camera 0")
    assert frame.captured_s is not None
    assert device.kind.opened[0].spec == 0
    assert device.kind.released == 1


def test_the_newest_frame_wins_and_the_others_are_counted(device):
    device.put(red(0))
    with Camera("/dev/video3") as source:
        running = iter(source)
        first = next(running)
        for value in range(1, 6):
            device.put(red(value))
        while device.qsize() or source._newest is None or source._newest.index < 5:
            pass
        newest = next(running)
        end(device)
    assert (first.index, newest.index, newest.image[0, 0, 0]) == (0, 5, 5)
    assert source.dropped == 4
    assert newest.time_s == pytest.approx(newest.captured_s - first.captured_s)
    assert device.kind.opened[0].spec == "/dev/video3"


def test_a_picture_that_cannot_be_decoded_is_passed_over(device):
    for shot in (red(1), "broken", red(3)):
        device.put(shot)
    with Camera(0) as source:
        seen = []
        for frame in source:
            seen.append(frame.index)
            if frame.index == 2:
                break
        end(device)
    assert seen[-1] == 2 and 1 not in seen
    assert source.broken == 1


def test_what_is_asked_of_a_device(device):
    device.put(red(1))
    with Camera(0, size_px=(1280, 720), rate_hz=60):
        end(device)
    settings = device.kind.opened[0].settings
    assert settings[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert settings[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert settings[cv2.CAP_PROP_FPS] == 60


def test_a_camera_that_is_unplugged_is_waited_for(device, short_pauses):
    said = []
    device.put(red(1))
    with Camera(0, on_change=said.append) as source:
        running = iter(source)
        next(running)
        device.put(None)
        device.kind.plugged = False
        while len(device.kind.opened) < 4:  # it tries, and tries again
            pass
        device.kind.plugged = True
        device.put(red(2))
        again = next(running)
        end(device)
    assert again.image[0, 0, 0] == 2 and again.index == 1
    assert source.reconnects == 1
    assert "unplugged" in said[0] and "Waiting" in said[0]
    assert said[1] == "camera 0 is back."


def test_without_reconnect_a_camera_that_is_gone_is_an_error(device):
    device.put(red(1))
    device.put(None)
    with Camera(0, reconnect=False) as source, pytest.raises(CameraError, match="gives no more pictures"):
        list(source)


def test_there_is_no_camera(monkeypatch):
    monkeypatch.setattr(feeds, "_has_video_devices", lambda: True)
    monkeypatch.setattr(feeds.glob, "glob", lambda pattern: [])
    with pytest.raises(CameraError, match=r"camera 97: there is no /dev/video97\. No camera is connected"):
        Camera(97).__enter__()
    monkeypatch.setattr(feeds.glob, "glob", lambda pattern: ["/dev/video2"])
    with pytest.raises(CameraError, match=r"There are /dev/video2"):
        Camera("97").__enter__()


def test_a_camera_in_use(device):
    device.put(None)
    with pytest.raises(CameraError, match="camera 0 gives no picture: probably another program uses it"):
        Camera(0).__enter__()
    device.kind.plugged = False
    with pytest.raises(CameraError, match="cannot be opened: it is not a camera, or another program"):
        Camera(0).__enter__()


def test_a_camera_without_permission(device, monkeypatch):
    device.kind.plugged = False
    monkeypatch.setattr(feeds.os.path, "exists", lambda path: True)
    monkeypatch.setattr(feeds.os, "access", lambda path, mode: False)
    with pytest.raises(CameraError, match="no permission to use /dev/video0"):
        Camera(0).__enter__()


def test_closing_from_another_thread_tells_who_waits(device):
    device.put(red(1))
    source = Camera(0)
    got = []
    reader = threading.Thread(target=lambda: got.extend(source))
    with source:
        reader.start()
        while not got:
            pass
        end(device)
        source.close()
        source.close()
    reader.join(LONG_S)
    assert not reader.is_alive()
    assert len(got) == 1


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return shoot(tmp_path_factory.mktemp("films") / "film.mkv", 20, rate=100)


def test_a_film_is_played_in_real_time_and_ends(film):
    with Camera(film) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == [frame.index for frame in frames]
    assert len(frames) + source.dropped == 20
    assert frames[-1].index == 19
    assert frames[-1].time_s >= 0.19 - 1e-3
    assert all(frame.captured_s is not None and frame.source == str(film) for frame in frames)


def test_a_film_in_a_loop_begins_anew(film):
    with Camera(film, loop=True) as source:
        for frame in source:
            if frame.index >= 45:
                break
    assert number_of(frame.image) == frame.index % 20


def test_broken_frames_of_a_film_are_counted(tmp_path):
    path = shoot(tmp_path / "film.avi", 12, rate=100, codec="mjpeg", spoil=[4, 7])
    with Camera(path) as source:
        list(source)
    assert source.broken == 2


def test_a_film_that_is_not_there(tmp_path):
    with pytest.raises(SourceNotFoundError, match=r"none\.mp4 does not exist"):
        Camera(tmp_path / "none.mp4")


class Handler(BaseHTTPRequestHandler):
    def __init__(self, path, *arguments):
        self.content = path.read_bytes()
        super().__init__(*arguments)

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def url(film):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, film))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://guest:secret@127.0.0.1:{server.server_port}/film.mkv"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stream_is_read_and_its_end_is_an_error_without_reconnect(url):
    seen = []
    with Camera(url, reconnect=False) as source:
        with pytest.raises(CameraError, match="sends no more pictures"):
            seen.extend(source)
        assert source._count == 20
    assert "secret" not in source.name and "127.0.0.1" in source.name


def test_a_stream_that_ends_is_opened_again(url, short_pauses):
    said = []
    with Camera(url, on_change=said.append) as source:
        for frame in source:
            if frame.index >= 25:
                break
    assert source.reconnects >= 1
    assert number_of(frame.image) == frame.index % 20
    assert all("secret" not in sentence for sentence in said)


def test_a_stream_that_does_not_answer(url):
    with pytest.raises(CameraError, match="cannot be read as a film") as error:
        Camera("http://guest:secret@127.0.0.1:9/film.mkv").__enter__()
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "options", "what"),
    [
        (True, {}, "camera"),
        (None, {}, "camera"),
        ("", {}, "camera"),
        (0, {"loop": True}, "loop"),
        ("rtsp://127.0.0.1/x", {"loop": True}, "loop"),
        ("rtsp://127.0.0.1/x", {"size_px": (640, 480)}, "size_px"),
    ],
)
def test_what_cannot_be(spec, options, what):
    with pytest.raises(ArgumentError, match=what):
        Camera(spec, **options)


def test_an_error_of_the_callback_is_not_lost(device):
    def fail(sentence):
        raise ValueError("mine")

    device.put(red(1))
    device.put(None)
    with Camera(0, on_change=fail) as source, pytest.raises(ValueError, match="mine"):
        list(source)


def test_a_camera_error_is_a_source_error():
    assert issubclass(CameraError, SourceError)
